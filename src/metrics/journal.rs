//! The figures of the journal.

use super::cell::Counter;
use super::hits::ListHits;

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
    /// Which rows of the lists decided calls.
    pub list_hits: ListHits,
}
