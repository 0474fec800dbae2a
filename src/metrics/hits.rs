//! How often each row of the lists and each limit decided a call, counted beside the calls: the journal's thread has every event.
//!
//! Promises: no shard knows of it. Rows have no name that lasts: their counts are of the bundle in force and begin anew with
//! another one. Limits have: theirs go on as long as every bundle since has a limit of that policy and name.

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

/// What one limit had to do with, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitCalls {
    /// Attempts that it decided or reported, by itself or by its hold.
    pub calls: u64,
    /// Those of them that its hold decided.
    pub held: u64,
    /// Attempts with which a sum came to its warning.
    pub warned: u64,
}

impl LimitCalls {
    fn add(&mut self, more: Self) {
        self.calls += more.calls;
        self.held += more.held;
        self.warned += more.warned;
    }
}

/// Limits by their names, by the names of their policies.
type ByName = HashMap<String, HashMap<String, LimitCalls>>;

/// The counts of limits; written by the journal's thread, read by the admin port's.
#[derive(Debug, Default)]
pub struct LimitHits {
    #[expect(
        clippy::disallowed_types,
        reason = "between two threads of the control plane; no shard knows it"
    )]
    counts: std::sync::Mutex<ByName>,
}

impl LimitHits {
    /// Adds to a limit's counts.
    pub fn add(&self, policy: &str, limit: &str, more: LimitCalls) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_policy = counts.entry(policy.to_owned()).or_default();
        of_policy.entry(limit.to_owned()).or_default().add(more);
    }

    /// Forgets all limits but these, each with its policy before it: a bundle came into force that has no others.
    pub fn keep_only<'a>(&self, limits: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = ByName::new();
        for (policy, limit) in limits {
            if let Some(calls) = counts.get(policy).and_then(|limits| limits.get(limit)) {
                let of_policy = kept.entry(policy.to_owned()).or_default();
                of_policy.insert(limit.to_owned(), *calls);
            }
        }
        *counts = kept;
    }

    /// The counts of these limits, in their order.
    #[must_use]
    pub fn of<'a>(&self, limits: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<LimitCalls> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(policy, limit)| Some(*counts.get(policy)?.get(limit)?);
        limits
            .into_iter()
            .map(|limit| of(limit).unwrap_or_default())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_by_name_until_a_bundle_has_them_no_more() {
        let hits = LimitHits::default();
        let once = LimitCalls {
            calls: 1,
            ..LimitCalls::default()
        };
        for _ in 0..2 {
            hits.add("std", "a", once);
        }
        hits.add("std", "b", once);
        let calls = |hits: &LimitHits| {
            let all = hits.of([("std", "b"), ("std", "a"), ("other", "a")]);
            all.iter().map(|limit| limit.calls).collect::<Vec<_>>()
        };
        assert_eq!(calls(&hits), [1, 2, 0]);
        hits.keep_only([("std", "a"), ("std", "new")]);
        assert_eq!(calls(&hits), [0, 2, 0]);
    }

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
