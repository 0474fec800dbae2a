//! Options of `respond`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::{cores_of, duration_of, one_in_of, percent_of, stall_of, threads_of};
use super::{Cores, Switch};
use crate::verdict::Profile;

/// A stall: so long, so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// For how long nothing is read or sent.
    pub length: Duration,
    /// From the beginning of one stall to the next.
    pub every: Duration,
}

/// What `--challenge` can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Challenge {
    /// MD5 (RFC 3261).
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
}

/// Options of `respond`.
#[derive(Debug, Args)]
pub struct RespondArgs {
    /// Where to listen, for UDP and TCP; port 0 lets the kernel choose. The address is said on standard error.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5060")]
    pub listen: SocketAddr,
    /// How verdicts are worn.
    #[arg(long, value_enum, default_value_t = Profile::Redirect)]
    pub profile: Profile,
    /// Reject numbers that begin so (without 011, 00 or +), instead of those that the default mix expects.
    #[arg(long, value_name = "DIGITS")]
    pub reject_prefix: Vec<String>,
    /// Stop answering for so long so often, as 200ms/2s: the first time after the second of the two.
    #[arg(long, value_name = "TIME/TIME", value_parser = stall_of)]
    pub stall: Option<Stall>,
    /// Give the other verdict to one in so many INVITEs, as 1/10000.
    #[arg(long, value_name = "1/N", value_parser = one_in_of)]
    pub flip: Option<u64>,
    /// Answer so many percent of the INVITEs not at all.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent_of)]
    pub drop: f64,
    /// Answer so many percent of the INVITEs twice.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent_of)]
    pub duplicate: f64,
    /// Ask INVITEs for digest credentials first.
    #[arg(long, value_enum, requires = "auth_password")]
    pub challenge: Option<Challenge>,
    /// The password of all who are asked.
    #[arg(long, value_name = "TEXT")]
    pub auth_password: Option<String>,
    /// Threads, each with a socket of its own; the kernel shares what comes by source address and port.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads_of)]
    pub threads: usize,
    /// Cores that the threads are pinned to, in turn, as 0,2-3.
    #[arg(long, value_name = "LIST", value_parser = cores_of)]
    pub cores: Option<Cores>,
    /// Look for requests without ever sleeping: whoever sends them then need not wake anybody.
    #[arg(long)]
    pub spin: bool,
    /// Send a run of equally long answers as one (`UDP_SEGMENT`).
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub gso: Switch,
    /// Receive a run of requests as one (`UDP_GRO`).
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub gro: Switch,
    /// End after this time; without it, at Ctrl-C.
    #[arg(long, value_parser = duration_of)]
    pub duration: Option<Duration>,
    /// Write what was seen as JSON to this file, or to standard output with `-`.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
