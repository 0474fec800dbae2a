//! The sums of what was done, printed at stop.

use crate::admin::ShardSource;
use crate::event::Outcome;
use crate::metrics::{Counter, JournalMetrics};
use serde_json::{Map, Value};

/// What all shards did together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounting {
    /// Datagrams read.
    pub datagrams: u64,
    /// What became of them, by `Outcome::index`; their sum is `datagrams`.
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Datagrams that the kernel dropped before they were read.
    pub kernel_dropped: u64,
    /// Answers that the kernel took.
    pub answers: u64,
    /// Answers that could not be sent.
    pub send_failed: u64,
    /// Events lost.
    pub events_dropped: u64,
    /// Lines in the journal.
    pub journal_lines: u64,
    /// Calls that the journal only counted.
    pub journal_counted: u64,
    /// Calls that the journal lost.
    pub journal_lost: u64,
    /// Panics of shards.
    pub panics: u64,
}

impl Accounting {
    /// Adds up the shards.
    #[must_use]
    pub fn of(shards: &[ShardSource], journal: &JournalMetrics) -> Self {
        let sum = |read: &dyn Fn(&ShardSource) -> u64| shards.iter().map(read).sum();
        Self {
            datagrams: sum(&|shard| shard.metrics.datagrams.get()),
            outcomes: Outcome::ALL.map(|outcome| {
                sum(&|shard| {
                    let counter = shard.metrics.outcomes.get(outcome.index());
                    counter.map_or(0, Counter::get)
                })
            }),
            kernel_dropped: sum(&ShardSource::kernel_dropped),
            answers: sum(&|shard| shard.metrics.answers.get()),
            send_failed: sum(&|shard| shard.metrics.send_failed.iter().map(Counter::get).sum()),
            events_dropped: sum(&|shard| shard.metrics.events_dropped.get()),
            journal_lines: journal.lines.get(),
            journal_counted: journal.counted.get(),
            journal_lost: journal.lost.get(),
            panics: sum(&|shard| shard.metrics.panics.get()),
        }
    }

    /// How many datagrams had this outcome.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.index()).copied().unwrap_or(0)
    }

    /// Events that were put into the queues, if there is a journal.
    #[must_use]
    pub fn events(&self) -> u64 {
        let of_calls = Outcome::ALL
            .iter()
            .filter(|outcome| outcome.is_of_call())
            .map(|outcome| self.outcome(*outcome));
        of_calls.sum::<u64>().saturating_sub(self.events_dropped)
    }

    /// One line of JSON, every outcome named.
    #[must_use]
    pub fn json(&self) -> String {
        let outcomes: Map<String, Value> = Outcome::ALL
            .iter()
            .zip(self.outcomes)
            .map(|(outcome, count)| (outcome.label().to_owned(), Value::from(count)))
            .collect();
        serde_json::json!({
            "datagrams": self.datagrams,
            "outcomes": outcomes,
            "kernel_dropped": self.kernel_dropped,
            "answers": self.answers,
            "send_failed": self.send_failed,
            "events_dropped": self.events_dropped,
            "journal_lines": self.journal_lines,
            "journal_counted": self.journal_counted,
            "journal_lost": self.journal_lost,
            "shard_panics": self.panics,
        })
        .to_string()
    }
}
