//! The generator's own ceiling: how many calls a second it makes against a responder that is as quick as itself.
//!
//! Promises: the same engine, switches, threads and cores as the run that is held against it; the responder has no faults.
//! A closed loop (so many calls out at a time), since a ceiling is what cannot be offered. Where the responder is the
//! slower of the two the ceiling comes out too low, which marks more results as the generator's.
//! A reading is the second best of several short parts: what interrupts a part is no ceiling. What the generator does in the long run on a
//! machine that is interrupted all the time is less.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::cli::{Cores, RunArgs, Switch};
use crate::limits::{GENERATOR_BOUND_PERCENT, RATE_MAX, YARDSTICK_CALLS_OUT, YARDSTICK_PARTS};
use crate::respond::{Manner, Running};
use crate::run::{self, Course, OnSignal};
use crate::screen::Silent;

const UNREAD: &str = "the generator's own ceiling could not be measured";

/// A responder and the options of a run against it.
#[derive(Debug)]
pub struct Yardstick {
    running: Running,
    args: RunArgs,
}

impl Yardstick {
    /// Starts the responder, on these cores.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn start(args: &RunArgs, cores: Option<&Cores>) -> Result<Self, String> {
        let ip: IpAddr = if args.target_address()?.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        let manner = Manner::plain(args.gso == Switch::On, args.gro == Switch::On);
        let cores = run::cores_of(cores)?;
        let running = Running::start(SocketAddr::new(ip, 0), manner, args.threads, &cores)?;
        let mut own = args.clone();
        own.target = running.address.to_string();
        own.rate = RATE_MAX * 1000;
        own.duration = Duration::from_secs(3600);
        own.calls_max = None;
        own.mix = Vec::new();
        own.user = None;
        own.calls = None;
        own.csv = None;
        own.interval_log = None;
        own.profile = crate::verdict::Profile::Redirect;
        own.source = Vec::new();
        own.first_port = 0;
        own.lose = 0.0;
        own.auth_password = None;
        own.options_every = None;
        own.retransmit = Switch::On;
        own.t1 = Duration::from_millis(20);
        Ok(Self { running, args: own })
    }

    /// Calls per second, measured for so long in [`YARDSTICK_PARTS`] parts.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn reading(&self, length: Duration) -> Result<f64, String> {
        let parts = (0..YARDSTICK_PARTS).map(|_| self.part(length / YARDSTICK_PARTS));
        let mut rates = parts.collect::<Result<Vec<f64>, String>>()?;
        let reading = second_best(&mut rates);
        if reading > 0.0 {
            return Ok(reading);
        }
        Err(UNREAD.to_owned())
    }

    /// A part that was over before the engine had its core is worth nothing, as one that was interrupted is worth little.
    fn part(&self, length: Duration) -> Result<f64, String> {
        let course = Course {
            progress: &mut Silent,
            calls_out: Some(YARDSTICK_CALLS_OUT),
            offer_for: Some(length),
            cut_short: None,
            on_signal: OnSignal::Ignore, // a reading is over in a moment
        };
        let results = run::run(&self.args, course)?;
        match results.stats.broken {
            None => Ok(results.answered_per_s().unwrap_or(0.0)),
            Some(_) => Err(UNREAD.to_owned()),
        }
    }

    /// Ends the responder.
    pub fn finish(self) {
        self.running.finish();
    }
}

/// The second of the highest rates; of one, that.
pub(crate) fn second_best(rates: &mut [f64]) -> f64 {
    rates.sort_by(|one, other| other.total_cmp(one));
    rates.get(1).or(rates.first()).copied().unwrap_or(0.0)
}

/// Whether a rate is so near the ceiling that it may be the generator's own.
#[must_use]
pub fn is_generator_bound(rate: f64, ceiling: f64) -> bool {
    rate * 100.0 > ceiling * (100.0 - GENERATOR_BOUND_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_interruptions_nor_one_lucky_part_are_the_reading() {
        let mut rates = [940.0, 470.0, 955.0, 1257.0, 880.0, 950.0, 610.0];
        assert!((second_best(&mut rates) - 955.0).abs() < 1e-9);
        assert!((second_best(&mut [7.0]) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn a_rate_within_a_fifth_of_the_ceiling_is_the_generators() {
        for (rate, ceiling, bound) in [
            (79_000.0, 100_000.0, false),
            (81_000.0, 100_000.0, true),
            (120_000.0, 100_000.0, true),
        ] {
            assert_eq!(is_generator_bound(rate, ceiling), bound, "{rate}");
        }
    }
}
