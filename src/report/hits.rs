//! Which list rows and limits had to do with the calls of one look at the queues, until their counts are handed on.
//!
//! Promises: one lock for each kind and look, however many calls; a limit counts an attempt once, whatever its transactions.

use super::journal::Snapshots;
use crate::metrics::{JournalMetrics, LimitCalls};
use crate::policy::{Code, Decision, Snapshot};
use std::collections::HashMap;

/// Calls that are not handed on yet.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// Rows of the newest snapshot.
    rows: Vec<u32>,
    /// By snapshot, policy and the limit's number.
    limits: HashMap<(u32, u32, u8), LimitCalls>,
    /// The newest snapshot whose limits are those that are kept.
    limits_of: Option<u32>,
}

impl Hits {
    /// Counts a decision by this snapshot.
    pub(super) fn count(&mut self, snapshot: &Snapshot, is_newest: bool, decision: &Decision) {
        if let Some(row) = decision.list_row
            && is_newest
        {
            self.rows.push(row);
        }
        let facts = &decision.limits;
        // No room to count by is no hit of the limit that wanted to.
        let decided = facts
            .decided
            .filter(|_| decision.would.unwrap_or(decision.code) != Code::R15);
        if facts.same_attempt || (decided.is_none() && facts.warned | facts.reported == 0) {
            return;
        }
        let Some(policy) = snapshot.deciding_policy(decision) else {
            return;
        };
        for number in (0..u8::MAX).take_while(|number| u32::from(*number) < u32::BITS) {
            let has = |bits: u32| bits >> number & 1 == 1;
            let decider = decided.filter(|decided| decided.number == number);
            let (warned, reported) = (has(facts.warned), has(facts.reported));
            if decider.is_none() && !warned && !reported {
                continue;
            }
            let key = (snapshot.number(), policy, number);
            let counts = self.limits.entry(key).or_default();
            counts.calls += u64::from(decider.is_some() || reported);
            counts.held += u64::from(decider.is_some_and(|decider| decider.held));
            counts.warned += u64::from(warned);
        }
    }

    /// Hands on the rows that decided under what is still the newest snapshot.
    pub(super) fn hand_on_rows(&mut self, snapshots: &Snapshots, metrics: &JournalMetrics) {
        if let Some(newest) = snapshots.newest()
            && !self.rows.is_empty()
        {
            let rows = self.rows.drain(..);
            metrics.list_hits.add(newest.generation(), rows);
        }
    }

    /// Hands on the limits, as long as the snapshots that have their names are there.
    pub(super) fn hand_on_limits(&mut self, snapshots: &Snapshots, metrics: &JournalMetrics) {
        for ((number, policy, limit), calls) in self.limits.drain() {
            if let Some(snapshot) = snapshots.find(number) {
                let name = snapshot.limit_of_policy(policy, limit);
                metrics
                    .limit_hits
                    .add(snapshot.policy_name(policy), name, calls);
            }
        }
        let Some(newest) = snapshots.newest() else {
            return;
        };
        if self.limits_of != Some(newest.number()) {
            self.limits_of = Some(newest.number());
            let limits = newest.limits().map(|limit| (limit.policy, limit.name));
            metrics.limit_hits.keep_only(limits);
        }
    }
}
