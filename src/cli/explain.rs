//! `tollgate explain`: one call, step by step, by the running node if there is one, else by the configuration alone.
//!
//! Promises: says whose counters were asked; 65 when what was given is no call that is decided, or its file cannot be read.

use super::remote::{self, Explained, Unexplained};
use super::{ConfigArgument, Exit, refuse, say};
use crate::clock::Clock;
use crate::control::{self, Loaded};
use crate::policy::counting::Uncounted;
use crate::policy::rows::AddressBlock;
use crate::study::explain::{Question, explain};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What is dialled, as it stands in the Request-URI before the `@`.
    #[arg(value_name = "NUMBER", required_unless_present = "datagram")]
    number: Option<String>,
    /// Who calls: the user of the From, and of P-tfps.
    #[arg(long, value_name = "USER")]
    caller: Option<String>,
    /// The domain that is asked for; else the peer's first.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Who asks; else the first peer of the domain.
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<IpAddr>,
    /// The caller's own address.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// The caller's user agent.
    #[arg(long, value_name = "TEXT")]
    agent: Option<String>,
    /// Simultaneous calls that the PBX reports, this one included.
    #[arg(long, value_name = "N")]
    reported_calls: Option<u32>,
    /// A file with the INVITE's octets, in place of all of these but --peer.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["number", "caller", "domain", "address", "agent", "reported_calls"]
    )]
    datagram: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = match control::load(&arguments.config.source()) {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    let told = call(arguments, &loaded).and_then(|(peer, datagram)| {
        let asked = if arguments.peer.is_none() {
            format!("\n# asked as {peer}, one of the domain's peers; --peer asks as another")
        } else {
            String::new()
        };
        Ok(
            match remote::explained(&arguments.config, &loaded.node, peer, &datagram) {
                Ok(Explained { generation, steps }) => page(
                    &format!(
                        "by the running node, generation {generation}, and its counters{asked}"
                    ),
                    &steps,
                ),
                Err(Unexplained::NoCall(sentence)) => return Err(refused(sentence)),
                Err(Unexplained::Nobody(why)) => {
                    let now = Clock::start().now();
                    let policy = control::build(&loaded.rows, now);
                    let steps = explain(&policy, &datagram, peer, &Uncounted::default(), now)
                        .map_err(refused)?;
                    let steps: Vec<(String, String)> = steps
                        .into_iter()
                        .map(|step| (step.what, step.answer))
                        .collect();
                    page(
                        &format!(
                            "by the configuration alone: {why}, so all counts are empty{asked}"
                        ),
                        &steps,
                    )
                }
            },
        )
    });
    match told {
        Ok(text) => say(&mut io::stdout(), &text),
        Err((exit, sentence)) => {
            let _said = say(
                &mut io::stderr(),
                &format!("tollgate explain: {sentence}\n"),
            );
            exit.into()
        }
    }
}

/// What was given is nothing to explain.
fn refused(sentence: String) -> (Exit, String) {
    (Exit::BadData, sentence)
}

/// Who asks, and the INVITE.
fn call(arguments: &Arguments, loaded: &Loaded) -> Result<(IpAddr, Vec<u8>), (Exit, String)> {
    let mut domains = loaded.rows.domains.iter();
    let domain = match &arguments.domain {
        Some(name) => domains
            .find(|row| row.name == *name)
            .ok_or_else(|| refused(format!("domain \"{name}\" is not in domains.toml")))?,
        None => domains
            .next()
            .ok_or_else(|| refused("there is no domain".to_owned()))?,
    };
    let peer = match (arguments.peer, domain.peers.first()) {
        (Some(peer), _) => peer,
        (None, Some(block)) => a_host(block),
        (None, None) => return Err(refused("the domain has no peer".to_owned())),
    };
    if let Some(path) = &arguments.datagram {
        let octets = fs::read(path).map_err(|error| {
            (
                Exit::BadData,
                format!("{} cannot be read: {error}", path.display()),
            )
        })?;
        return Ok((peer, octets));
    }
    let question = Question {
        number: arguments.number.clone().unwrap_or_default(),
        caller: arguments.caller.clone(),
        domain: arguments.domain.clone(),
        address: arguments.address,
        agent: arguments.agent.clone(),
        reported_calls: arguments.reported_calls,
    };
    Ok((peer, question.datagram(peer).map_err(refused)?))
}

/// An address of a block that a machine may have: the first one of a network is its own name.
fn a_host(block: &AddressBlock) -> IpAddr {
    match block.first {
        IpAddr::V4(first) if block.prefix_bits < 31 => {
            Ipv4Addr::from_bits(first.to_bits() | 1).into()
        }
        IpAddr::V6(first) if block.prefix_bits < 127 => {
            Ipv6Addr::from_bits(first.to_bits() | 1).into()
        }
        first => first,
    }
}

fn page(head: &str, steps: &[(String, String)]) -> String {
    let mut text = format!("# {head}\n");
    for (what, answer) in steps {
        // Writing to a String cannot fail.
        let _written = writeln!(text, "{what}: {answer}");
    }
    text
}
