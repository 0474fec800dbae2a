//! The command line: names, ranges, defaults and the sentences for what is out of range.
//!
//! Promises: what leaves here is in its bounds. `SIPp`'s letters stand beside our long names where they mean the same.

pub mod respond;
pub mod search;
pub mod values;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Args, Parser, Subcommand, ValueEnum};

use self::respond::RespondArgs;
use self::search::{FindArgs, SoakArgs};
use self::values::{
    Ceiling, Share, bound_of, ceiling_of, cores_of, percent_of, ports_of, share_of, t1_of,
    threads_of, user_arg, window_of,
};
pub use self::values::{duration_of, rate_of, time_of};
use crate::call::Family;
use crate::conclusion::EXITS;
use crate::limits::{BATCH_WINDOW, CALLS_MAX, LATENESS_P99_MAX, T1_DEFAULT, USER_BYTES_MAX};
use crate::mix::command::MixArgs;
use crate::mix::select::{Selected, selected};
use crate::pace::Arrival;
use crate::replay::command::ReplayArgs;
use crate::text::Text;
use crate::verdict::{Expected, Profile};

/// An open-loop load generator for SIP redirect servers.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of `run` that `replay` refuses, since its file says what they would: they are not in its help either.
pub const REPLAY_REFUSES: [&str; 7] = [
    "mix", "user", "expect", "rate", "duration", "arrival", "limits",
];

/// Options of `run` that `find-max` refuses, since they are of one run.
pub const FIND_MAX_REFUSES: [&str; 5] = ["csv", "hgrm", "interval_log", "calls", "ceiling"];

/// Leaves an option that a command refuses out of its help.
fn unless_refused(arg: Arg, refused: &[&str]) -> Arg {
    let hidden = refused.contains(&arg.get_id().as_str());
    arg.hide(hidden)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Offers calls at a rate for a time and checks every verdict.
    #[command(after_long_help = exits())]
    Run(Box<RunArgs>),
    /// Makes the calls of a capture, a journal or a list again, at their own times or faster, and checks every verdict.
    ///
    /// Branch, Call-ID and tags are the run's own. Every fault of the file is named, and then nothing is sent.
    #[command(after_long_help = exits())]
    #[command(mut_args(|arg| unless_refused(arg, &REPLAY_REFUSES)))]
    Replay(Box<ReplayArgs>),
    /// Looks for the highest rate at which the bounds hold, with an interval around it.
    ///
    /// The rate grows until a round misses, the gap is halved, then rounds go up and down around it. Before and after each
    /// round the generator's own ceiling is measured against its own responder: a round beside which that is more than 20 %
    /// below the second best of its first readings, or that below it, does not count, and a result within 20 % of the least is marked as generator-bound.
    #[command(after_long_help = exits())]
    #[command(mut_args(|arg| unless_refused(arg, &FIND_MAX_REFUSES)))]
    #[command(mut_arg("rate", |arg| arg.default_value("5000")), mut_arg("duration", |arg| arg.default_value("2s")), mut_arg("p99_max", |arg| arg.default_value("20ms")))]
    FindMax(Box<FindArgs>),
    /// Offers a steady load for long, and looks whether latency drifts.
    ///
    /// As `run`, and it is also missed if latency in the last quarter is above that of the first by more than --drift-max.
    #[command(after_long_help = exits())]
    #[command(mut_arg("duration", |arg| arg.default_value("1h")))]
    Soak(Box<SoakArgs>),
    /// Shows, checks and makes mixes of calls; sends nothing.
    Mix(MixArgs),
    /// Answers calls: what a generator can do here is measured against it, and what a generator must notice.
    ///
    /// Rejects what the default mix expects to be rejected, approves the rest, answers OPTIONS with 200, to the address
    /// that a request came from. Ends at Ctrl-C or after --duration, and says what it saw.
    Respond(Box<RespondArgs>),
}

/// The exit statuses, a line each.
fn exits() -> String {
    let lines = EXITS.map(|(status, meaning)| format!("\n  {status} {meaning}"));
    format!("Exit status:{}", lines.concat())
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Done.
    On,
    /// Not done.
    Off,
}

/// What `--transport` can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// What `--family` can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FamilyArg {
    /// `P-tfps`, five fields.
    PTfps,
    /// `X-tfps`, `P-Received`, `P-UA` and `P-Calls`.
    XTfps,
    /// `P-Received`, `P-UA` and `P-Calls`.
    Received,
    /// None.
    Bare,
}

impl From<FamilyArg> for Family {
    fn from(family: FamilyArg) -> Self {
        match family {
            FamilyArg::PTfps => Self::PTfps,
            FamilyArg::XTfps => Self::XTfps,
            FamilyArg::Received => Self::Received,
            FamilyArg::Bare => Self::Bare,
        }
    }
}

/// What `--expect` can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExpectArg {
    /// The number is approved.
    Approve,
    /// The number is rejected.
    Reject,
}

impl From<ExpectArg> for Expected {
    fn from(expect: ExpectArg) -> Self {
        match expect {
            ExpectArg::Approve => Self::Approve,
            ExpectArg::Reject => Self::Reject,
        }
    }
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Server under test, as HOST or HOST:PORT, an IPv6 address in brackets; without a port 5060.
    #[arg(long, value_name = "HOST:PORT")]
    pub target: String,
    /// Calls per second, at most three decimals.
    #[arg(short = 'r', long, default_value = "1000", value_parser = rate_of)]
    pub rate: u64,
    /// For how long calls are offered: a number with ms, s, m or h. Calls still open then are waited for, up to Timer B.
    #[arg(long, default_value = "10s", value_parser = duration_of)]
    pub duration: Duration,
    /// Calls at most.
    #[arg(short = 'm', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CALLS_MAX))]
    pub calls_max: Option<u64>,
    /// Which calls to make: a mix that comes with the program (`mix list`), a file of your own that ends in .toml, or calls
    /// in a file that ends in .csv, over and over. Several mixes share the calls by weight and join in at their time.
    #[arg(long, value_name = "NAME|FILE[:WEIGHT][@START]", value_parser = selected, conflicts_with = "user")]
    pub mix: Vec<Selected>,
    /// Whether the server has the limits of the mixes: on, their own model says which calls must be rejected; off, they
    /// are left out.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub limits: Switch,
    /// One dialled user part for every call instead of a mix.
    #[arg(short = 's', long, value_name = "USER", value_parser = user_arg)]
    pub user: Option<Text<USER_BYTES_MAX>>,
    /// The verdict expected with --user.
    #[arg(long, value_enum, default_value_t = ExpectArg::Approve, requires = "user")]
    pub expect: ExpectArg,
    /// How the server wears its verdicts.
    #[arg(long, value_enum, default_value_t = Profile::Redirect)]
    pub profile: Profile,
    /// How the times between calls are distributed.
    #[arg(long, value_enum, default_value_t = Arrival::Constant)]
    pub arrival: Arrival,
    /// Local addresses to send from, separated by commas, taken in turn.
    #[arg(short = 'i', long, value_name = "IP", value_delimiter = ',')]
    pub source: Vec<IpAddr>,
    /// Local ports to send from; at least one per thread is used.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = ports_of)]
    pub source_ports: usize,
    /// First local port, the others following; without it the kernel chooses.
    #[arg(short = 'p', long, value_name = "PORT", default_value_t = 0)]
    pub first_port: u16,
    /// Engine threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads_of)]
    pub threads: usize,
    /// Cores that the threads are pinned to, in turn, as 0,2-3.
    #[arg(long, value_name = "LIST", value_parser = cores_of)]
    pub cores: Option<Cores>,
    /// What numbers, callers and agents follow from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Acknowledge final answers (RFC 3261 section 17.1.1.3).
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub acks: Switch,
    /// Send unanswered INVITEs again by Timer A (RFC 3261 section 17.1.1.2).
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub retransmit: Switch,
    /// What calls travel on. On TCP each source port is a connection, and nothing is sent again (RFC 3261 section 17.1.1.2).
    #[arg(long, value_enum, default_value_t = Transport::Udp)]
    pub transport: Transport,
    /// Headers that tell of the caller, whatever the mix says.
    #[arg(long, value_enum)]
    pub family: Option<FamilyArg>,
    /// Send a run of equally long datagrams as one (`UDP_SEGMENT`); messages are padded with blanks to that end. A server that
    /// spreads datagrams over several sockets may give a whole run to one of them.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub gso: Switch,
    /// Receive a run of answers as one (`UDP_GRO`).
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub gro: Switch,
    /// Share of all datagrams, sent and received, that is lost on purpose, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent_of)]
    pub lose: f64,
    /// Password shown when the server asks for digest credentials (401 or 407; MD5 or SHA-256).
    #[arg(long, value_name = "TEXT")]
    pub auth_password: Option<String>,
    /// User of the credentials; without it the account that the call belongs to, or its caller.
    #[arg(long, value_name = "USER", requires = "auth_password")]
    pub auth_user: Option<String>,
    /// Send an OPTIONS this often beside the calls, from each thread.
    #[arg(long, value_name = "TIME", value_parser = duration_of)]
    pub options_every: Option<Duration>,
    /// T1; Timer B is 64 times as long. Other values than 500ms are for tests and for networks known to be fast.
    #[arg(long, value_name = "TIME", default_value = T1_DEFAULT, value_parser = t1_of)]
    pub t1: Duration,
    /// 99th percentile of the generator's own lateness above which the run is invalid.
    #[arg(long, value_name = "TIME", default_value = LATENESS_P99_MAX, value_parser = bound_of)]
    pub lateness_max: Duration,
    /// Calls that may stay without an answer, as a number or a share (0.1%), before the run has missed.
    #[arg(long, value_name = "N|PERCENT%", default_value = "0", value_parser = share_of)]
    pub lost_max: Share,
    /// Median latency from intended sending above which the run has missed: a number with us, ms, s, m or h.
    #[arg(long, value_name = "TIME", value_parser = bound_of)]
    pub p50_max: Option<Duration>,
    /// 99th percentile above which the run has missed.
    #[arg(long, value_name = "TIME", value_parser = bound_of)]
    pub p99_max: Option<Duration>,
    /// 99.9th percentile above which the run has missed.
    #[arg(long, value_name = "TIME", value_parser = bound_of)]
    pub p999_max: Option<Duration>,
    /// Calls per second that this generator makes here against its own responder: `measure` does so before the run (one second
    /// more). A run within 20 % of it is marked as generator-bound.
    #[arg(long, value_name = "measure|RATE", value_parser = ceiling_of)]
    pub ceiling: Option<Ceiling>,
    /// Let calls that become due within so long leave together, and be late by that. Longer: fuller batches, fewer system
    /// calls. 64 INVITEs fill a batch.
    #[arg(long, value_name = "TIME", default_value = BATCH_WINDOW, value_parser = window_of)]
    pub batch_window: Duration,
    /// Never sleep: less lateness for a whole core.
    #[arg(long)]
    pub spin: bool,
    /// Write the results as JSON to this file, or to standard output with `-`.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a line a second to this file, separated by `;`, with `SIPp`'s names where they mean the same.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write the latency from intended sending by percentiles to this file, as `HdrHistogram`'s plotter reads it.
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
    /// Write the latency of every second to this file, as a log of `HdrHistogram`'s intervals.
    #[arg(long, value_name = "FILE")]
    pub interval_log: Option<PathBuf>,
    /// Write a line for every call to this file: `call_id,dialled,verdict,code,status,expected,intended_us,latency_us`,
    /// as CSV, or as JSON lines if the name ends in .jsonl.
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
    /// Confirms that a target outside loopback may be loaded.
    #[arg(long)]
    pub i_may_load_this_host: bool,
}

/// A list of cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores(pub Vec<usize>);

impl RunArgs {
    /// The address of the target, if it may be loaded.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn target_address(&self) -> Result<SocketAddr, String> {
        let address = resolve(&self.target, self.source.first().copied())?;
        let loopback = address.ip().to_canonical().is_loopback();
        if !loopback && !self.i_may_load_this_host {
            return Err(format!(
                "{address} is not this machine; say --i-may-load-this-host if you may load it"
            ));
        }
        if address.port() == 0 {
            return Err(format!("{address}: a port from 1 to 65535 is needed"));
        }
        if let Some(odd) = self
            .source
            .iter()
            .find(|ip| ip.is_ipv4() != address.is_ipv4())
        {
            return Err(format!(
                "source {odd} cannot send to {address}: one is IPv4, the other IPv6"
            ));
        }
        Ok(address)
    }
}

fn resolve(target: &str, source: Option<IpAddr>) -> Result<SocketAddr, String> {
    if let Ok(address) = target.parse() {
        return Ok(address);
    }
    let bare = target.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Ok(SocketAddr::new(ip, 5060));
    }
    let with_port = if target.contains(':') {
        target.to_owned()
    } else {
        format!("{target}:5060")
    };
    let found: Vec<SocketAddr> = with_port
        .to_socket_addrs()
        .map_err(|error| format!("target {target}: {error}"))?
        .collect();
    let fits = |address: &&SocketAddr| source.is_none_or(|ip| ip.is_ipv4() == address.is_ipv4());
    found
        .iter()
        .find(fits)
        .or(found.first())
        .copied()
        .ok_or_else(|| format!("target {target} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<RunArgs, String> {
        let words = ["tollgate-loadgen", "run"]
            .into_iter()
            .chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        match cli.command {
            Command::Run(args) => Ok(*args),
            Command::Replay(_)
            | Command::Mix(_)
            | Command::Respond(_)
            | Command::FindMax(_)
            | Command::Soak(_) => Err("not run".to_owned()),
        }
    }

    #[test]
    fn sipps_letters_mean_the_same_as_our_names() {
        let short = parse("--target h -r 20000 -m 5 -s 0114420 -i 127.0.0.2 -p 6000").unwrap();
        let long = parse(
            "--target h --rate 20000 --calls-max 5 --user 0114420 --source 127.0.0.2 --first-port 6000",
        )
        .unwrap();
        assert_eq!(format!("{short:?}"), format!("{long:?}"));
        assert_eq!((short.rate, short.calls_max), (20_000_000, Some(5)));
    }

    #[test]
    fn values_have_units_and_ranges() {
        for (line, ok) in [
            ("--rate 0.5", true),
            ("--rate 0", false),
            ("--rate -1", false),
            ("--rate 1.2345", false),
            ("--rate 10000001", false),
            ("--duration 90s", true),
            ("--duration 5m", true),
            ("--duration 10", false),
            ("--duration 0s", false),
            ("--duration 25h", false),
            ("--batch-window 0us", true),
            ("--batch-window 300us", true),
            ("--batch-window 10ms", true),
            ("--batch-window 11ms", false),
            ("--batch-window 1", false),
            ("--p99-max 500us", true),
            (
                "--lateness-max 500us --p50-max 20us --p999-max 1500us",
                true,
            ),
            ("--p99-max 0us", false),
            ("--p99-max +5us", false),
            ("--p99-max 86401000000us", false),
            ("--t1 10ms", true),
            ("--t1 11s", false),
            ("--source-ports 0", false),
            ("--threads 65", false),
            ("--cores 0,2-3", true),
            ("--cores 3-1", false),
            ("--acks maybe", false),
            ("--user a@b", false),
            ("--expect reject", false), // of what?
            ("--user 1 --mix f", false),
            ("--profile failover --arrival poisson", true),
            ("--no-such", false),
        ] {
            assert_eq!(parse(&format!("--target h {line}")).is_ok(), ok, "{line}");
        }
        assert_eq!(
            parse("--target h --cores 0,2-3").unwrap().cores,
            Some(Cores(vec![0, 2, 3]))
        );
        assert_eq!(parse("--target h --rate 0.5").unwrap().rate, 500);
    }

    #[test]
    fn the_help_of_a_command_shows_no_option_that_it_refuses() {
        use clap::CommandFactory;
        for (name, refused) in [
            ("replay", &REPLAY_REFUSES[..]),
            ("find-max", &FIND_MAX_REFUSES),
        ] {
            let mut cli = Cli::command();
            let help = cli.find_subcommand_mut(name).unwrap().render_long_help();
            let help = help.to_string();
            assert!(help.contains("--source-ports <"), "{help}");
            for option in refused {
                let shown = format!("--{} <", option.replace('_', "-"));
                assert!(!help.contains(&shown), "{name}: {shown}");
            }
        }
        let run = Cli::command()
            .find_subcommand_mut("run")
            .unwrap()
            .render_long_help();
        assert!(run.to_string().contains("--mix <"));
    }

    #[test]
    fn the_exit_statuses_are_the_same_in_the_readme_and_in_every_help() {
        use clap::CommandFactory;
        let readme =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        let heading = "| exit status | of `run`, `replay`, `soak` and `find-max` |";
        let lines = readme.lines().skip_while(|line| *line != heading).skip(2);
        let rows: Vec<&str> = lines.take_while(|line| line.starts_with('|')).collect();
        assert_eq!(
            rows,
            EXITS.map(|(status, meaning)| format!("| `{status}` | {meaning} |"))
        );
        for name in ["run", "replay", "soak", "find-max"] {
            let mut cli = Cli::command();
            let help = cli.find_subcommand_mut(name).unwrap().render_long_help();
            for (status, meaning) in EXITS {
                let line = format!("  {status} {meaning}");
                let help = help.to_string();
                assert!(help.lines().any(|said| said == line), "{line}\n{help}");
            }
        }
    }

    #[test]
    fn replay_refuses_what_its_file_says() {
        for option in [
            "--mix default",
            "--user 1",
            "--rate 5",
            "--duration 5s",
            "--arrival poisson",
            "--limits off",
        ] {
            let line = format!("tollgate-loadgen replay f --target h {option}");
            assert!(
                Cli::try_parse_from(line.split_whitespace()).is_err(),
                "{option}"
            );
        }
        let plain = "tollgate-loadgen replay f --target h --at-rate 5";
        assert!(Cli::try_parse_from(plain.split_whitespace()).is_ok());
    }

    #[test]
    fn only_loopback_is_loaded_without_being_told() {
        for (line, address) in [
            ("127.0.0.1:5070", Ok("127.0.0.1:5070")),
            ("127.9.9.9", Ok("127.9.9.9:5060")),
            ("[::1]:5070", Ok("[::1]:5070")),
            ("::1", Ok("[::1]:5060")),
            ("[::ffff:127.0.0.1]:5060", Ok("[::ffff:127.0.0.1]:5060")),
            ("192.0.2.1:5060", Err("--i-may-load-this-host")),
            (
                "192.0.2.1:5060 --i-may-load-this-host",
                Ok("192.0.2.1:5060"),
            ),
            ("0.0.0.0:5060", Err("--i-may-load-this-host")),
            ("127.0.0.1:0", Err("port")),
            ("127.0.0.1 --source ::1", Err("IPv6")),
        ] {
            let found = parse(&format!("--target {line}")).unwrap().target_address();
            match (found, address) {
                (Ok(found), Ok(address)) => assert_eq!(found.to_string(), address, "{line}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{line}: {found}"),
                (found, _) => panic!("{line}: {found:?}"),
            }
        }
    }
}
