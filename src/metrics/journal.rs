//! The figures of the journal.

use super::cell::Counter;
use super::hits::{LimitHits, ListHits};

/// What the journal's thread counts. That thread alone writes; everybody may read.
#[derive(Debug, Default)]
pub struct JournalMetrics {
    /// Lines in the file.
    pub lines: Counter,
    /// Calls that have no line of their own, because their second's budget was spent.
    pub counted: Counter,
    /// Calls whose lines were lost, because the disk took nothing for too long.
    pub lost: Counter,
    /// Operations on the file that failed.
    pub write_failures: Counter,
    /// Lines that a crash or a full disk had left unfinished, and that were cut.
    pub torn: Counter,
    /// Events taken out of the queues.
    pub events: Counter,
    /// Those of them that were of no call.
    pub others: Counter,
    /// Lines of counts that were made, in the file or on their way to it.
    pub count_lines: Counter,
    /// Which rows of the lists decided calls.
    pub list_hits: ListHits,
    /// Which limits decided, reported or warned.
    pub limit_hits: LimitHits,
}

impl JournalMetrics {
    /// Of so many events that were put into the queues, those of calls of which nothing is known to be in the file or
    /// counted as lost: they are still on their way.
    #[must_use]
    pub fn under_way(&self, queued: u64) -> u64 {
        let of_calls = queued.saturating_sub(self.others.get());
        let lines = self.lines.get().saturating_sub(self.count_lines.get());
        of_calls
            .saturating_sub(lines)
            .saturating_sub(self.counted.get())
            .saturating_sub(self.lost.get())
    }
}
