//! OPTIONS beside the calls, as proxies and PBXs probe a server (RFC 3261 §11).
//!
//! Promises: a probe leaves each interval from each socket in turn; it counts as answered by any final answer, and as lost
//! at Timer F. Not sent again: what a probe tells is whether one datagram came back.

use std::collections::VecDeque;

use crate::clock::Nanos;
use crate::limits::TIMER_B_T1S;
use crate::stats::Stats;

#[derive(Debug)]
pub(super) struct Probes {
    /// Nanoseconds between two probes; `None`: no probes.
    every: Option<Nanos>,
    next: Nanos,
    /// Number of the first probe in `open`.
    base: u64,
    /// When each probe was sent, until it is answered or lost.
    open: VecDeque<Option<Nanos>>,
    lost_after: Nanos,
}

impl Probes {
    pub(super) fn new(every: Option<Nanos>, start: Nanos, t1: Nanos) -> Self {
        Self {
            every,
            next: start,
            base: 0,
            open: VecDeque::new(),
            lost_after: t1.saturating_mul(TIMER_B_T1S),
        }
    }

    /// The number of the probe that is due now, if one is: it counts as sent.
    pub(super) fn take_due(&mut self, now: Nanos) -> Option<u64> {
        let every = self.every?;
        if self.next > now {
            return None;
        }
        // After a stall one probe stands for all that were missed.
        self.next = now.saturating_add(every);
        let number = self.base + u64::try_from(self.open.len()).unwrap_or(0);
        self.open.push_back(Some(now));
        Some(number)
    }

    /// When the next probe is due.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.every.map(|_| self.next)
    }

    /// A final answer to a probe.
    pub(super) fn answered(&mut self, number: u64, status: u16, now: Nanos, stats: &mut Stats) {
        let index = number.checked_sub(self.base);
        let open = index
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| self.open.get_mut(index));
        let Some(sent) = open.and_then(Option::take) else {
            stats.counts.duplicates += 1;
            return;
        };
        stats.counts.options_answered += 1;
        stats.options_statuses.record(status);
        stats.from_options.record(now.saturating_sub(sent));
    }

    /// Counts the probes whose Timer F has fired.
    pub(super) fn expire(&mut self, now: Nanos, stats: &mut Stats) {
        while let Some(&first) = self.open.front() {
            let lost = first.is_some_and(|sent| sent.saturating_add(self.lost_after) <= now);
            if first.is_some() && !lost {
                return;
            }
            if lost {
                stats.counts.options_lost += 1;
                stats.from_options.record(self.lost_after);
            }
            self.open.pop_front();
            self.base += 1;
        }
    }

    /// Probes without an answer yet.
    pub(super) fn outstanding(&self) -> u64 {
        u64::try_from(self.open.iter().flatten().count()).unwrap_or(0)
    }

    /// No more probes.
    pub(super) fn stop(&mut self) {
        self.every = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_answered_once_or_lost_at_timer_f() {
        let mut stats = Stats::new();
        let mut probes = Probes::new(Some(100), 0, 10);
        assert_eq!(probes.take_due(0), Some(0));
        assert_eq!(probes.take_due(99), None);
        assert_eq!(probes.take_due(350), Some(1));
        assert_eq!(probes.next_due(), Some(450));
        probes.answered(1, 200, 360, &mut stats);
        probes.answered(1, 200, 361, &mut stats);
        probes.answered(9, 200, 361, &mut stats);
        assert_eq!(probes.outstanding(), 1);
        probes.expire(639, &mut stats);
        assert_eq!(stats.counts.options_lost, 0);
        probes.expire(640, &mut stats);
        let counts = stats.counts;
        assert_eq!(
            (
                counts.options_answered,
                counts.options_lost,
                counts.duplicates
            ),
            (1, 1, 2)
        );
        assert_eq!(probes.outstanding(), 0);
        probes.stop();
        assert_eq!((probes.take_due(9999), probes.next_due()), (None, None));
    }
}
