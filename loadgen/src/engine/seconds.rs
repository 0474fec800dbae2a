//! The second that is being counted, and where it goes when it is over.

use std::sync::mpsc::Sender;

use crate::clock::Nanos;
use crate::stats::{Counts, Interval, Stats};
use crate::table::Times;

const SECOND_NS: Nanos = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Seconds {
    pub(super) current: Interval,
    before: Counts,
    ends: Nanos,
    out: Sender<Interval>,
}

impl Seconds {
    /// The first second of a run that starts at `start`.
    pub(super) fn new(start: Nanos, out: Sender<Interval>) -> Self {
        Self {
            current: Interval::new(0),
            before: Counts::default(),
            ends: start + SECOND_NS,
            out,
        }
    }

    /// When the current second ends.
    pub(super) fn ends(&self) -> Nanos {
        self.ends
    }

    /// Closes the seconds that have passed.
    pub(super) fn roll(&mut self, now: Nanos, counts: &Counts) {
        while now >= self.ends {
            self.close(counts);
        }
    }

    /// Closes the last second, unless nothing happened in what there was of it.
    pub(super) fn end(&mut self, counts: &Counts) {
        if *counts != self.before {
            self.close(counts);
        }
    }

    fn close(&mut self, counts: &Counts) {
        let next = Interval::new(self.current.second + 1);
        let mut done = std::mem::replace(&mut self.current, next);
        done.counts = counts.since(&self.before);
        self.before = *counts;
        self.ends += SECOND_NS;
        // Nobody listens any more when the run has been given up.
        let _unheard = self.out.send(done);
    }
}

/// A call that is over counts from its intended and from its actual time of sending.
pub(super) fn record_latency(stats: &mut Stats, interval: &mut Interval, times: Times, end: Nanos) {
    let from_intended = end.saturating_sub(times.intended);
    stats.from_intended.record(from_intended);
    stats.from_sent.record(end.saturating_sub(times.sent));
    interval.from_intended.record(from_intended);
}
