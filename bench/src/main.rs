//! The bench's commands: `drain` and `window` measure, `reflector` lets any generator drive a yardstick.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tollgate::clock::Clock;
use tollgate_bench::kamailio::Kamailio;
use tollgate_bench::own;
use tollgate_bench::peer::PeerKind;
use tollgate_bench::record::{Environment, figures, json, markdown};
use tollgate_bench::reflect::{self, Kind};
use tollgate_bench::runner::{Load, RunPlan, run};
use tollgate_bench::serve::{self, CannedStages, ShardPlan};
use tollgate_bench::variant::{Answers, Variant};
use tollgate_bench::work;

/// Yardsticks for Tollgate: the same packets on the same core, with and without it.
#[derive(Debug, Parser)]
#[command(name = "tollgate-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Processor time per INVITE, in a drain of queued packets.
    Drain {
        /// Packets queued at a time.
        #[arg(long, default_value_t = 2048)]
        packets: u64,
        /// Times a round.
        #[arg(long, default_value_t = 32)]
        fills: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Answers per second, the source sending as fast as it can from the other core.
    Window {
        /// Length of a window, milliseconds.
        #[arg(long, default_value_t = 500)]
        milliseconds: u64,
        /// The source sends segments (GSO), to outrun servers that do.
        #[arg(long)]
        source_gso: bool,
        #[command(flatten)]
        common: Common,
    },
    /// One yardstick that answers whoever asks, until its input ends.
    Reflector {
        /// Which.
        #[arg(long, value_enum, default_value_t = Yardstick::Mio)]
        kind: Yardstick,
        /// Where it reads.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Core to stay on.
        #[arg(long, default_value_t = 0)]
        core: usize,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// Variants, in the order of their turns.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Name::Mio, Name::Batched, Name::Gso, Name::Loop, Name::Tollgate])]
    variants: Vec<Name>,
    /// How the peer reads.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Plain, Peer::Gro])]
    peers: Vec<Peer>,
    /// Rounds that count; one more comes first.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Mean length of an INVITE, octets.
    #[arg(long, default_value_t = 966)]
    octets: usize,
    /// Seed of the packets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Send the ACK of each answer as well.
    #[arg(long)]
    acks: bool,
    /// Core of the variants.
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// Core of the source.
    #[arg(long, default_value_t = 0)]
    source_core: usize,
    /// Numbers on Tollgate's lists beside those that are called.
    #[arg(long, default_value_t = 0)]
    listed: u64,
    /// Receive buffer to ask for, octets.
    #[arg(long, default_value_t = 64 << 20)]
    receive_buffer: usize,
    /// Folder of Kamailio's configuration.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/kamailio/redirect.cfg"))]
    kamailio_config: PathBuf,
    /// Write the table here.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Write the figures here.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Yardstick {
    Mio,
    Batched,
    Gso,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// mio, one packet per call, canned answer.
    Mio,
    /// Batches of 32, canned answer.
    Batched,
    /// Batches of 32 and GSO, canned answer.
    Gso,
    /// The shard's loop with a canned answer.
    Loop,
    /// The same, with nobody to tell of events.
    LoopSilent,
    /// Tollgate: the shard's loop with the sample's policy and the list of numbers, everything on.
    Tollgate,
    /// What Tollgate spends in its own code of that: the stages, metrics and events, without the system calls.
    TollgateOwn,
    /// Kamailio with bench/kamailio/redirect.cfg.
    Kamailio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    Plain,
    Gro,
}

impl From<Yardstick> for Kind {
    fn from(yardstick: Yardstick) -> Self {
        match yardstick {
            Yardstick::Mio => Self::Mio,
            Yardstick::Batched => Self::Batched,
            Yardstick::Gso => Self::Segmented,
        }
    }
}

impl From<Peer> for PeerKind {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Plain => Self::Plain,
            Peer::Gro => Self::Joining,
        }
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Commands::Drain {
            packets,
            fills,
            common,
        } => measure(&common, Load::Drain { packets, fills }),
        Commands::Window {
            milliseconds,
            source_gso,
            common,
        } => measure(
            &common,
            Load::Window {
                nanoseconds: milliseconds * 1_000_000,
                segments: source_gso,
            },
        ),
        Commands::Reflector { kind, listen, core } => reflector(kind.into(), listen, core),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when the terminal is gone.
            let _written = writeln!(io::stderr(), "tollgate-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(common: &Common, load: Load) -> io::Result<()> {
    let mut variants: Vec<Box<dyn Variant>> = Vec::new();
    for name in &common.variants {
        variants.push(variant(*name, common)?);
    }
    // Only now: threads that are started inherit the core of the one that starts them.
    if !tollgate::shard::pin(common.source_core) {
        return Err(io::Error::other("the source cannot stay on its core"));
    }
    let plan = RunPlan {
        rounds: common.rounds,
        octets: common.octets,
        seed: common.seed,
        acks: common.acks,
        load,
    };
    let peers: Vec<PeerKind> = common.peers.iter().map(|peer| (*peer).into()).collect();
    let all = run(&plan, &peers, &mut variants, |round, peer| {
        // Progress only; the figures come at the end.
        let _written = writeln!(io::stderr(), "round {round}, {peer} peer");
    })?;
    let baseline = common.variants.first().map_or("", |_| variants[0].name());
    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("tollgate-bench {}", command.join(" "));
    let environment = Environment::read(command, Clock::start().now().unix_s());
    let figures = figures(&all, baseline);
    let text = markdown(&environment, &plan, baseline, &figures);
    io::stdout().write_all(text.as_bytes())?;
    if let Some(path) = &common.markdown {
        std::fs::write(path, &text)?;
    }
    if let Some(path) = &common.json {
        let value = json(&environment, &plan, baseline, &figures);
        std::fs::write(path, format!("{value:#}\n"))?;
    }
    Ok(())
}

fn variant(name: Name, common: &Common) -> io::Result<Box<dyn Variant>> {
    let core = common.server_core;
    let buffer = common.receive_buffer;
    Ok(match name {
        Name::Mio => Box::new(reflect::start(Kind::Mio, core, buffer)?),
        Name::Batched => Box::new(reflect::start(Kind::Batched, core, buffer)?),
        Name::Gso => Box::new(reflect::start(Kind::Segmented, core, buffer)?),
        Name::Loop | Name::LoopSilent => Box::new(serve::start(
            ShardPlan {
                name: if name == Name::Loop {
                    "loop"
                } else {
                    "loop, no events"
                },
                answers: Answers::Canned,
                core,
                receive_buffer_bytes: buffer,
                events: name == Name::Loop,
            },
            CannedStages::new(),
            serve::empty_policy(),
        )?),
        Name::Tollgate => Box::new(serve::start(
            ShardPlan {
                name: "tollgate",
                answers: Answers::Decided,
                core,
                receive_buffer_bytes: buffer,
                events: true,
            },
            work::uas()?,
            work::policy(common.listed)?,
        )?),
        Name::TollgateOwn => Box::new(own::start(
            "tollgate, own code",
            core,
            buffer,
            work::uas()?,
            work::policy(common.listed)?,
        )?),
        Name::Kamailio => {
            let folder = format!("tollgate-bench-kamailio-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            Box::new(Kamailio::start(&common.kamailio_config, &folder, core)?)
        }
    })
}

fn reflector(kind: Kind, listen: SocketAddr, core: usize) -> io::Result<()> {
    let yardstick = reflect::start_at(listen, kind, core, 8 << 20)?;
    writeln!(
        io::stdout(),
        "{} at {}",
        yardstick.name(),
        yardstick.address()
    )?;
    // Until the input ends.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
