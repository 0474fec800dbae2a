//! The figures of one shard.

use super::cell::{Counter, Histogram, Longest};
use super::strangers::Strangers;
use crate::event::Outcome;
use crate::limits::{BATCH_DATAGRAMS, TRANSACTION_SECONDS};
use crate::net::{SendFailure, SendReport};
use crate::policy::{Code, DomainSlots};
use crate::uas::{DEPTH_SECONDS_MAX, Recall};
use std::net::IpAddr;

/// Bounds of `batch_service_seconds`, nanoseconds: 5 µs to 10 ms, doubling.
pub const BATCH_SERVICE_BOUNDS_NS: &[u64] = &[
    5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000,
    5_120_000, 10_240_000,
];

/// Bounds of `batch_size`, datagrams.
pub const BATCH_SIZE_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 31, 32];
const _: () = assert!(BATCH_SIZE_BOUNDS[BATCH_SIZE_BOUNDS.len() - 1] == BATCH_DATAGRAMS as u64);

/// The weight of one observation in the depth of the transaction memory is one in so many.
const DEPTH_WEIGHT: u64 = 256;

/// What one shard counts. The shard alone writes; everybody may read. About 2 MiB, of which only the lines of domains
/// that call are ever touched.
#[derive(Debug)]
#[repr(align(128))]
pub struct ShardMetrics {
    /// Datagrams that have an outcome.
    pub datagrams: Counter,
    /// By `Outcome::index`.
    pub outcomes: [Counter; Outcome::ALL.len()],
    /// Answers that the kernel took.
    pub answers: Counter,
    /// Those of them that left in runs.
    pub answers_in_runs: Counter,
    /// Runs that had to be sent one by one.
    pub gso_fallbacks: Counter,
    /// By `SendFailure::index`.
    pub send_failed: [Counter; SendFailure::ALL.len()],
    /// Errors in place of datagrams.
    pub receive_errors: Counter,
    /// Nanoseconds per batch.
    pub batch_service: Histogram<13>,
    /// The longest of them lately.
    pub batch_service_longest: Longest,
    /// Datagrams per batch.
    pub batch_size: Histogram<8>,
    /// Mean age of what the transaction memory forgot to make room lately, microseconds.
    pub transactions_depth_us: Counter,
    /// Transactions forgotten while young.
    pub transactions_evicted_young: Counter,
    /// Transactions that could not be remembered.
    pub transactions_unremembered: Counter,
    /// Events lost.
    pub events_dropped: Counter,
    /// Panics.
    pub panics: Counter,
    /// 1 while the shard reads its sockets.
    pub running: Counter,
    /// Datagrams from nobody's peer.
    pub unknown_sources: Counter,
    /// Which unknown sources send most.
    pub strangers: Strangers,
    verdicts: Box<[[Counter; Code::ALL.len()]]>,
    would_reject: Box<[[Counter; Code::ALL.len()]]>,
}

impl ShardMetrics {
    /// All zero.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it allocates half a megabyte; nobody should get one by accident"
    )]
    pub fn new() -> Self {
        Self {
            datagrams: Counter::new(),
            outcomes: [const { Counter::new() }; Outcome::ALL.len()],
            answers: Counter::new(),
            answers_in_runs: Counter::new(),
            gso_fallbacks: Counter::new(),
            send_failed: [const { Counter::new() }; SendFailure::ALL.len()],
            receive_errors: Counter::new(),
            batch_service: Histogram::new(BATCH_SERVICE_BOUNDS_NS),
            batch_service_longest: Longest::new(),
            batch_size: Histogram::new(BATCH_SIZE_BOUNDS),
            transactions_depth_us: Counter::of(depth_us(u8::MAX)),
            transactions_evicted_young: Counter::new(),
            transactions_unremembered: Counter::new(),
            events_dropped: Counter::new(),
            panics: Counter::new(),
            running: Counter::new(),
            unknown_sources: Counter::new(),
            strangers: Strangers::new(),
            verdicts: per_domain(),
            would_reject: per_domain(),
        }
    }

    /// Counts what became of one datagram. `datagrams` rises here and nowhere else, so that it is the outcomes' sum.
    pub fn count_outcome(&self, outcome: Outcome, datagrams: u64) {
        self.datagrams.add(datagrams);
        if let Some(counter) = self.outcomes.get(outcome.index()) {
            counter.add(datagrams);
        }
    }

    /// Counts what became of a batch.
    pub fn count_batch(&self, counts: &BatchCounts) {
        for (counter, count) in self.outcomes.iter().zip(counts.outcomes) {
            if count > 0 {
                counter.add(count.into());
                self.datagrams.add(count.into());
            }
        }
        self.transactions_depth_us.set(counts.depth_us);
        if counts.evicted_young > 0 {
            self.transactions_evicted_young
                .add(counts.evicted_young.into());
        }
        if counts.unremembered > 0 {
            self.transactions_unremembered
                .add(counts.unremembered.into());
        }
    }

    /// Counts a datagram from nobody's peer, whatever its outcome.
    pub fn count_stranger(&self, address: IpAddr) {
        self.unknown_sources.add(1);
        self.strangers.count(address);
    }

    /// Counts a verdict of a domain, by its number of `DomainSlots`, which lasts as long as the process.
    pub fn count_verdict(&self, domain: u16, code: Code, would: Option<Code>) {
        let domain = usize::from(domain);
        if let Some(counter) = self
            .verdicts
            .get(domain)
            .and_then(|row| row.get(code.index()))
        {
            counter.add(1);
        }
        let Some(would) = would else { return };
        if let Some(counter) = self
            .would_reject
            .get(domain)
            .and_then(|row| row.get(would.index()))
        {
            counter.add(1);
        }
    }

    /// Counts what became of a batch of answers.
    pub fn count_sent(&self, report: &SendReport) {
        self.answers.add(report.sent);
        self.answers_in_runs.add(report.in_runs);
        self.gso_fallbacks.add(report.fallbacks);
        for (counter, failed) in self.send_failed.iter().zip(report.failed) {
            if failed > 0 {
                counter.add(failed);
            }
        }
    }

    /// Verdicts of one domain (its number of `DomainSlots`), by `Code::index`.
    #[must_use]
    pub fn verdicts(&self, domain: usize) -> [u64; Code::ALL.len()] {
        read(&self.verdicts, domain)
    }

    /// What prevention would have rejected, of one domain, by `Code::index`.
    #[must_use]
    pub fn would_reject(&self, domain: usize) -> [u64; Code::ALL.len()] {
        read(&self.would_reject, domain)
    }
}

/// What became of the datagrams of a batch, in places that stay in the processor's nearest cache: added to the shard's
/// figures once, not datagram by datagram.
#[derive(Debug)]
pub struct BatchCounts {
    /// By `Outcome::index`.
    outcomes: [u8; Outcome::ALL.len()],
    datagrams: u8,
    evicted_young: u8,
    unremembered: u8,
    /// See `ShardMetrics::transactions_depth_us`.
    depth_us: u64,
}

const _: () = assert!(
    BATCH_DATAGRAMS <= u8::MAX as usize,
    "a batch fits the counts"
);

impl BatchCounts {
    /// Nothing yet, of a batch of this shard.
    #[must_use]
    pub fn new(metrics: &ShardMetrics) -> Self {
        Self {
            outcomes: [0; Outcome::ALL.len()],
            datagrams: 0,
            evicted_young: 0,
            unremembered: 0,
            depth_us: metrics.transactions_depth_us.get(),
        }
    }

    /// Counts what became of one datagram.
    #[inline]
    pub fn outcome(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome.index()) {
            *count = count.wrapping_add(1);
        }
        self.datagrams = self.datagrams.wrapping_add(1);
    }

    /// Counts what the transaction memory did with one INVITE.
    #[inline]
    pub fn recall(&mut self, recall: Recall) {
        match recall {
            Recall::Unasked | Recall::Repeated => {}
            Recall::Unremembered => self.unremembered = self.unremembered.wrapping_add(1),
            Recall::Remembered { replaced_age_s } => {
                let young = replaced_age_s <= TRANSACTION_SECONDS;
                self.evicted_young = self.evicted_young.wrapping_add(young.into());
                // A mean over the last few hundred.
                let rest = self.depth_us.saturating_sub(self.depth_us / DEPTH_WEIGHT);
                let share = depth_us(replaced_age_s) / DEPTH_WEIGHT;
                self.depth_us = rest.saturating_add(share);
            }
        }
    }

    /// How many datagrams were counted.
    #[must_use]
    pub fn datagrams(&self) -> u64 {
        self.datagrams.into()
    }
}

/// An age in seconds as microseconds; the deepest when it is that or more.
fn depth_us(age_s: u8) -> u64 {
    u64::from(age_s.min(DEPTH_SECONDS_MAX)) * 1_000_000
}

fn per_domain() -> Box<[[Counter; Code::ALL.len()]]> {
    (0..DomainSlots::COUNT)
        .map(|_domain| [const { Counter::new() }; Code::ALL.len()])
        .collect()
}

fn read(rows: &[[Counter; Code::ALL.len()]], domain: usize) -> [u64; Code::ALL.len()] {
    let Some(row) = rows.get(domain) else {
        return [0; Code::ALL.len()];
    };
    std::array::from_fn(|code| row.get(code).map_or(0, Counter::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_the_sum_of_the_outcomes() {
        let metrics = ShardMetrics::new();
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            metrics.count_outcome(outcome, u64::try_from(index).unwrap());
        }
        let sum: u64 = metrics.outcomes.iter().map(Counter::get).sum();
        assert!(sum > 0);
        assert_eq!(metrics.datagrams.get(), sum);
    }

    #[test]
    fn the_depth_follows_what_is_forgotten_and_young_ones_are_counted() {
        let metrics = ShardMetrics::new();
        let count = |recall: Recall, times: u8| {
            let mut counts = BatchCounts::new(&metrics);
            for _ in 0..times {
                counts.recall(recall);
            }
            metrics.count_batch(&counts);
        };
        let depth_s = || metrics.transactions_depth_us.get() / 1_000_000;
        count(Recall::Repeated, 1);
        count(Recall::Unasked, 1);
        count(Recall::Unremembered, 1);
        assert_eq!(metrics.transactions_unremembered.get(), 1);
        assert_eq!(depth_s(), 64);
        for (replaced_age_s, young) in [(33, 0), (32, 3000), (5, 6000), (64, 6000)] {
            for _ in 0..100 {
                count(Recall::Remembered { replaced_age_s }, 30);
            }
            assert!(
                depth_s().abs_diff(replaced_age_s.into()) <= 1,
                "{}",
                depth_s()
            );
            assert_eq!(metrics.transactions_evicted_young.get(), young);
        }
    }

    #[test]
    fn a_batch_counts_as_its_datagrams_would() {
        let metrics = ShardMetrics::new();
        for _ in 0..3 {
            let mut counts = BatchCounts::new(&metrics);
            for number in 0..BATCH_DATAGRAMS {
                counts.outcome(Outcome::ALL[number % Outcome::ALL.len()]);
            }
            assert_eq!(counts.datagrams(), 32);
            metrics.count_batch(&counts);
        }
        assert_eq!(metrics.datagrams.get(), 96);
        assert_eq!(metrics.outcomes[0].get(), 6);
        assert_eq!(metrics.outcomes[Outcome::ALL.len() - 1].get(), 3);
    }

    #[test]
    fn a_verdict_counts_for_its_domain_and_code_alone() {
        let metrics = ShardMetrics::new();
        let last = u16::try_from(DomainSlots::COUNT - 1).unwrap();
        metrics.count_verdict(last, Code::A00, Some(Code::R03));
        metrics.count_verdict(0, Code::R14, None);
        metrics.count_verdict(u16::MAX, Code::R14, Some(Code::R01));
        let sum = |read: &dyn Fn(usize) -> [u64; Code::ALL.len()]| -> u64 {
            (0..DomainSlots::COUNT).flat_map(read).sum()
        };
        assert_eq!(
            metrics.verdicts(DomainSlots::COUNT - 1)[Code::A00.index()],
            1
        );
        assert_eq!(metrics.verdicts(0)[Code::R14.index()], 1);
        assert_eq!(sum(&|domain| metrics.verdicts(domain)), 2);
        assert_eq!(
            metrics.would_reject(DomainSlots::COUNT - 1)[Code::R03.index()],
            1
        );
        assert_eq!(sum(&|domain| metrics.would_reject(domain)), 1);
    }
}
