//! How often each row of the lists decided a call, counted beside the calls: the journal's thread has every event.
//!
//! Promises: no shard knows of it; a count is of the bundle in force and begins anew with another one, since rows have
//! no name that lasts.

use std::collections::HashMap;
use std::sync::PoisonError;

/// The counts; written by the journal's thread, read by the admin port's.
#[derive(Debug, Default)]
pub struct ListHits {
    #[expect(
        clippy::disallowed_types,
        reason = "between two threads of the control plane; no shard knows it"
    )]
    counts: std::sync::Mutex<Counts>,
}

/// Calls by row of one bundle.
#[derive(Debug, Default)]
struct Counts {
    generation: String,
    /// By the row's index. Rows that decided none are not there.
    by_row: HashMap<u32, u64>,
}

impl ListHits {
    /// Adds rows that decided calls under the newest snapshot, whose bundle is `generation`.
    pub fn add(&self, generation: &str, rows: impl IntoIterator<Item = u32>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.generation != generation {
            generation.clone_into(&mut counts.generation);
            counts.by_row.clear();
        }
        for row in rows {
            *counts.by_row.entry(row).or_default() += 1;
        }
    }

    /// The counts so far of this bundle; empty when there are only those of another one.
    #[must_use]
    pub fn of(&self, generation: &str) -> HashMap<u32, u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.generation != generation {
            return HashMap::new();
        }
        counts.by_row.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_count_for_their_own_bundle_only() {
        let hits = ListHits::default();
        hits.add("a", [1, 7, 1]);
        hits.add("a", [1]);
        assert_eq!(hits.of("a"), HashMap::from([(1, 3), (7, 1)]));
        assert_eq!(hits.of("b"), HashMap::new());
        hits.add("b", [7]);
        assert_eq!(hits.of("b"), HashMap::from([(7, 1)]));
        assert_eq!(hits.of("a"), HashMap::new());
    }
}
