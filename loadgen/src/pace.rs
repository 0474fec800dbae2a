//! When calls are due: the open loop. Nothing here knows whether an answer came.
//!
//! Promises: intended times follow from rate, kind of arrival, seed and number of the call, never from what happened before.

use std::time::Duration;

use crate::clock::{Nanos, nanos};
use crate::random::SplitMix64;

/// How the times between calls are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrival {
    /// Every call as far from the one before.
    Constant,
    /// Independent calls: exponential gaps.
    Poisson,
}

/// What is offered by all engines together.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// Calls per 1,000 seconds.
    pub rate_milli: u64,
    /// For how long calls are due, in nanoseconds.
    pub duration: Nanos,
    /// Calls at most.
    pub calls_max: u64,
    /// How gaps are distributed.
    pub arrival: Arrival,
    /// What Poisson gaps follow from.
    pub seed: u64,
}

/// The due times of one engine: of `threads`, it makes every `threads`-th call.
#[derive(Debug)]
pub struct Pace {
    offer: Offer,
    thread: u64,
    threads: u64,
    index: u64,
    random: SplitMix64,
    /// When the next call is due.
    due: Nanos,
    /// What `due` of a constant rate lacks of the exact time, in parts of a nanosecond of which there are `rate_milli`.
    due_parts: u64,
    /// How far an engine's calls are apart at a constant rate: nanoseconds, and such parts.
    step: (Nanos, u64),
}

const MILLI_NANOS: u128 = 1_000_000_000_000;

impl Pace {
    /// The times of engine `thread` of `threads`.
    #[must_use]
    pub fn new(offer: Offer, thread: u64, threads: u64) -> Self {
        let threads = threads.max(1);
        let (due, due_parts) = exact(thread, offer.rate_milli);
        let mut pace = Self {
            offer,
            thread,
            threads,
            index: 0,
            random: SplitMix64::of(!offer.seed, thread),
            due,
            due_parts,
            step: exact(threads, offer.rate_milli),
        };
        if offer.arrival == Arrival::Poisson {
            pace.due = pace.gap();
        }
        pace
    }

    /// The number of the next call among those of all engines.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.index
            .saturating_mul(self.threads)
            .saturating_add(self.thread)
    }

    /// When the next call is due, in nanoseconds from the start; `None` when all have been.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        let sequence = self.sequence();
        if sequence >= self.offer.calls_max {
            return None;
        }
        (self.due < self.offer.duration).then_some(self.due)
    }

    /// Goes on to the next call.
    pub fn advance(&mut self) {
        self.index += 1;
        match self.offer.arrival {
            Arrival::Constant => self.go_on_exactly(),
            Arrival::Poisson => self.due = self.due.saturating_add(self.gap()),
        }
    }

    /// Adds a step without a division, and without losing the parts of nanoseconds.
    fn go_on_exactly(&mut self) {
        let (nanos, parts) = self.step;
        self.due = self.due.saturating_add(nanos);
        self.due_parts += parts;
        let whole = self.offer.rate_milli.max(1);
        if self.due_parts >= whole {
            self.due_parts -= whole;
            self.due = self.due.saturating_add(1);
        }
    }

    /// Calls that all engines will make by this offer (for Poisson, on average).
    #[must_use]
    pub fn planned(offer: &Offer) -> u64 {
        let exact = u128::from(offer.duration) * u128::from(offer.rate_milli) / MILLI_NANOS;
        u64::try_from(exact)
            .unwrap_or(u64::MAX)
            .saturating_add(1)
            .min(offer.calls_max)
    }

    fn gap(&mut self) -> Nanos {
        let mean =
            1_000_000.0 / f64_of(self.offer.rate_milli.max(1)) * f64_of(self.threads) / 1_000.0;
        nanos(Duration::try_from_secs_f64(-self.random.unit().ln() * mean).unwrap_or(Duration::MAX))
    }
}

/// So many calls at a rate: whole nanoseconds, and the rest in parts of which a nanosecond has `rate_milli`.
fn exact(calls: u64, rate_milli: u64) -> (Nanos, u64) {
    let rate = u128::from(rate_milli.max(1));
    let whole = u128::from(calls) * MILLI_NANOS;
    (
        u64::try_from(whole / rate).unwrap_or(u64::MAX),
        u64::try_from(whole % rate).unwrap_or(0),
    )
}

/// A number as a float; both halves are exact.
fn f64_of(number: u64) -> f64 {
    Duration::from_secs(number).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(arrival: Arrival) -> Offer {
        Offer {
            rate_milli: 1_000_000,
            duration: 1_000_000_000,
            calls_max: u64::MAX,
            arrival,
            seed: 1,
        }
    }

    fn times(offer: Offer, thread: u64, threads: u64) -> Vec<Nanos> {
        let mut pace = Pace::new(offer, thread, threads);
        std::iter::from_fn(|| {
            let due = pace.next_due();
            pace.advance();
            due
        })
        .collect()
    }

    #[test]
    fn a_constant_rate_is_exact() {
        let all = times(offer(Arrival::Constant), 0, 1);
        assert_eq!(all.len(), 1000);
        assert_eq!(all[..3], [0, 1_000_000, 2_000_000]);
        let third = Offer {
            rate_milli: 333,
            duration: 10_000_000_000,
            ..offer(Arrival::Constant)
        };
        assert_eq!(
            times(third, 0, 1),
            [0, 3_003_003_003, 6_006_006_006, 9_009_009_009]
        );
    }

    #[test]
    fn engines_take_turns() {
        let mut both = times(offer(Arrival::Constant), 0, 2);
        both.extend(times(offer(Arrival::Constant), 1, 2));
        both.sort_unstable();
        assert_eq!(both, times(offer(Arrival::Constant), 0, 1));
    }

    #[test]
    fn no_more_calls_than_asked_for() {
        let few = Offer {
            calls_max: 7,
            ..offer(Arrival::Constant)
        };
        assert_eq!(times(few, 0, 1).len(), 7);
        assert_eq!(times(few, 0, 2).len() + times(few, 1, 2).len(), 7);
        assert_eq!(Pace::planned(&few), 7);
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_the_exponential() {
        let long = Offer {
            duration: 20_000_000_000,
            ..offer(Arrival::Poisson)
        };
        for threads in [1, 2] {
            let all = times(long, 0, threads);
            let expected = 20_000 / usize::try_from(threads).unwrap();
            assert!(
                all.len().abs_diff(expected) < expected / 20,
                "{}",
                all.len()
            );
            let short = all
                .windows(2)
                .filter(|w| w[1] - w[0] < 693_147 * threads)
                .count();
            assert!(short.abs_diff(expected / 2) < expected / 20, "{short}"); // the median is ln 2 of the mean
        }
        assert_eq!(times(long, 0, 1), times(long, 0, 1));
        assert_ne!(times(long, 0, 1), times(Offer { seed: 2, ..long }, 0, 1));
    }
}
