//! Options of `find-max` and `soak`, beside those of `run`.

use std::time::Duration;

use clap::Args;

use super::values::{cores_of, duration_of, ratio_of, rounds_of, searches_of};
use super::{Cores, RunArgs};

/// Options of `find-max`.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// What a round is: `--rate` is the first rate tried, `--duration` how long a round is, and the bounds say what the server promises.
    #[command(flatten)]
    pub run: RunArgs,
    /// Rounds of the last step, up after a success and down after a failure, from where they first turn.
    #[arg(long, value_name = "N", default_value = "16", value_parser = rounds_of)]
    pub rounds: usize,
    /// So many searches that take turns, round by round, each with a seed of its own (`--seed` and the numbers after it) and an interval of its own:
    /// they meet the same minutes of the machine, so that what sets their results apart is chance alone.
    #[arg(long, value_name = "N", default_value = "1", value_parser = searches_of)]
    pub searches: usize,
    /// How long the generator's own ceiling is measured, before and after each round.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = duration_of)]
    pub yardstick: Duration,
    /// Cores of the responder that the ceiling is measured against: best those of the server, which has nothing to do then.
    #[arg(long, value_name = "LIST", value_parser = cores_of)]
    pub yardstick_cores: Option<Cores>,
    /// The ceiling, in calls per second, that the one beside each round is held against. Without it, the second best of seven readings
    /// before the first round. Searches that are to be compared share one: `reference_per_s` of the first.
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u64).range(1..))]
    pub yardstick_reference: Option<u64>,
    /// The server's core, if it works on one of this machine: rounds count by the pulse of that core while they go on, not by the ceiling
    /// beside them. Every 2 ms a thread writes to 256 lines all over a table of 64 MiB and takes its time, about a percent of the core.
    /// A round counts if the pulse that nine of ten beats reached is no more than 8 % below the reference, nor that 8 % below it; one that
    /// cannot count any more is cut short. The ceiling is read after every eighth round that counts.
    #[arg(long, value_name = "CORE", conflicts_with = "yardstick_reference")]
    pub pulse_core: Option<usize>,
    /// The pulse, in touches per second, that a round's is held against. Without it, the first rate is offered for 40 s before the
    /// search, and it is what one in eight of those seconds reached: best a rate at which the server has much to do. Searches that are to be
    /// compared share one: `pulse_reference_per_s` of the first.
    #[arg(long, value_name = "RATE", requires = "pulse_core", value_parser = clap::value_parser!(u64).range(1..))]
    pub pulse_reference: Option<u64>,
    /// The generator's own core, or one of them. A round counts only if neither this core nor that of the server stood still for more than 8 ms: a thread there
    /// wakes every 2 ms, and where it did not begin, nobody ran; a hypervisor had taken the core.
    #[arg(long, value_name = "CORE", requires = "pulse_core")]
    pub own_pulse_core: Option<usize>,
}

/// Options of `soak`.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// What is offered.
    #[command(flatten)]
    pub run: RunArgs,
    /// How many times the median second's 99th percentile of the first quarter that of the last may be.
    #[arg(long, value_name = "RATIO", default_value = "1.5", value_parser = ratio_of)]
    pub drift_max: f64,
}
