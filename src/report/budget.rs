//! How many lines a second calls may have, and the counts of those that get none.
//!
//! Promises: in each second the first calls up to the budget have lines; every other is in exactly one count. Seconds are
//! those of the calls, so a journal that is late counts as if it had not been.
//! Leaves to `line`: what a count says.

use crate::policy::{CallError, Code, Verdict};
use std::collections::{BTreeMap, HashMap};

/// Which budget a call is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    /// Approved, and prevention would approve it, too.
    Approved,
    /// Everything else: rejected, diverted, an error, only let through because the domain detects, or the call that a
    /// limit warns of.
    Rejected,
}

/// What calls must share to be counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Group {
    /// `Snapshot::number` of the one that decided.
    pub(super) snapshot: u32,
    /// The domain's index in it.
    pub(super) domain: Option<u16>,
    /// The verdict.
    pub(super) ruling: Ruling,
    /// The code in force.
    pub(super) code: Code,
    /// The code that prevention would have rejected with.
    pub(super) would: Option<Code>,
    /// Whether they are copies of calls that were decided before, or later transactions of the same attempts.
    pub(super) same: bool,
}

/// A verdict as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ruling {
    /// Approved.
    Approve,
    /// Rejected.
    Reject,
    /// Sent to the divert target.
    Divert,
    /// An error, by its name.
    Error(&'static str),
}

impl From<Verdict> for Ruling {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Approve => Self::Approve,
            Verdict::Reject => Self::Reject,
            Verdict::Divert => Self::Divert,
            Verdict::Error(error) => Self::Error(error_name(error)),
        }
    }
}

/// Seconds that a clock may be set back without the budget of the seconds in between being shared.
const SET_BACK_S: u64 = 10;

/// Budgets and counts of the seconds that are not closed yet.
#[derive(Debug)]
pub(super) struct Budget {
    rejected_per_second: Option<u64>,
    approved_per_second: Option<u64>,
    seconds: BTreeMap<u64, Second>,
    closed_before: u64,
}

#[derive(Debug, Default)]
struct Second {
    rejected: u64,
    approved: u64,
    counts: HashMap<Group, u64>,
}

impl Budget {
    /// Budgets in lines a second; `None`: all.
    pub(super) fn new(rejected_per_second: Option<u64>, approved_per_second: Option<u64>) -> Self {
        Self {
            rejected_per_second,
            approved_per_second,
            seconds: BTreeMap::new(),
            closed_before: 0,
        }
    }

    /// Whether a call of this second gets a line. If not, it has been counted.
    pub(super) fn admit(&mut self, unix_s: u64, charge: Charge, group: &Group) -> bool {
        if unix_s.saturating_add(SET_BACK_S) < self.closed_before {
            self.closed_before = unix_s;
        }
        // A call that is so late that its second is closed is charged to the first open one.
        let unix_s = unix_s.max(self.closed_before);
        let second = self.seconds.entry(unix_s).or_default();
        let (spent, budget) = match charge {
            Charge::Approved => (&mut second.approved, self.approved_per_second),
            Charge::Rejected => (&mut second.rejected, self.rejected_per_second),
        };
        if budget.is_none_or(|budget| *spent < budget) {
            *spent += 1;
            return true;
        }
        *second.counts.entry(*group).or_default() += 1;
        false
    }

    /// Closes every second before this one, and those that a clock once showed and that lie far ahead of it; hands each
    /// count to `each`.
    pub(super) fn close(&mut self, before_s: u64, mut each: impl FnMut(u64, &Group, u64)) {
        self.closed_before = self.closed_before.max(before_s);
        let ahead_s = before_s.saturating_add(SET_BACK_S);
        self.seconds.retain(|unix_s, second| {
            if (before_s..=ahead_s).contains(unix_s) {
                return true;
            }
            for (group, count) in &second.counts {
                each(*unix_s, group, *count);
            }
            false
        });
    }

    /// The oldest snapshot that a count still needs for its names.
    pub(super) fn oldest_snapshot(&self) -> Option<u32> {
        let counts = self
            .seconds
            .values()
            .flat_map(|second| second.counts.keys());
        counts.map(|group| group.snapshot).min()
    }
}

/// What an error is called: as in the outcomes, without `error_`.
fn error_name(error: CallError) -> &'static str {
    match error {
        CallError::Syntax(_) => "syntax",
        CallError::VersionNotSupported => "version",
        CallError::UnsupportedScheme => "scheme",
        CallError::NoSuchDialog => "no_dialog",
        CallError::Loop => "loop",
        CallError::AddressIncomplete => "address_incomplete",
        CallError::TooLarge => "too_large",
        CallError::UnknownPeer => "unknown_peer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPROVED: Group = Group {
        snapshot: 3,
        domain: Some(1),
        ruling: Ruling::Approve,
        code: Code::A00,
        would: None,
        same: false,
    };
    const REJECTED: Group = Group {
        domain: Some(0),
        ruling: Ruling::Reject,
        code: Code::R03,
        ..APPROVED
    };

    fn closed(budget: &mut Budget, before_s: u64) -> Vec<(u64, Group, u64)> {
        let mut counts = Vec::new();
        budget.close(before_s, |second, group, count| {
            counts.push((second, *group, count));
        });
        counts.sort_by_key(|(second, group, _)| (*second, group.code.index()));
        counts
    }

    #[test]
    fn each_second_has_its_own_budgets_and_the_rest_is_counted() {
        let mut budget = Budget::new(Some(2), Some(1));
        let mut lines = 0;
        for second in [10, 11] {
            for _ in 0..5 {
                lines += u64::from(budget.admit(second, Charge::Rejected, &REJECTED));
                lines += u64::from(budget.admit(second, Charge::Approved, &APPROVED));
            }
        }
        assert_eq!(lines, 2 * (2 + 1));
        assert_eq!(budget.oldest_snapshot(), Some(3));
        assert_eq!(
            closed(&mut budget, 11),
            [(10, APPROVED, 4), (10, REJECTED, 3)]
        );
        assert_eq!(
            closed(&mut budget, 12),
            [(11, APPROVED, 4), (11, REJECTED, 3)]
        );
        assert_eq!(closed(&mut budget, 13), []);
        assert_eq!(budget.oldest_snapshot(), None);
    }

    #[test]
    fn none_is_all_and_nought_is_none() {
        let mut budget = Budget::new(Some(0), None);
        for _ in 0..100_000 {
            assert!(budget.admit(1, Charge::Approved, &APPROVED));
        }
        assert!(!budget.admit(1, Charge::Rejected, &REJECTED));
        assert_eq!(closed(&mut budget, 2), [(1, REJECTED, 1)]);
    }

    #[test]
    fn a_late_call_is_charged_to_the_first_open_second() {
        let mut budget = Budget::new(Some(1), Some(1));
        assert!(budget.admit(10, Charge::Rejected, &REJECTED));
        assert_eq!(closed(&mut budget, 20), []);
        assert!(budget.admit(15, Charge::Rejected, &REJECTED));
        assert!(!budget.admit(20, Charge::Rejected, &REJECTED));
        assert_eq!(closed(&mut budget, 21), [(20, REJECTED, 1)]);
    }

    #[test]
    fn a_clock_that_is_set_back_starts_budgets_anew_and_loses_no_count() {
        let mut budget = Budget::new(Some(1), Some(1));
        for _ in 0..3 {
            budget.admit(5000, Charge::Rejected, &REJECTED);
        }
        assert_eq!(closed(&mut budget, 4999), []);
        for second in [100, 101] {
            assert!(budget.admit(second, Charge::Rejected, &REJECTED));
        }
        assert_eq!(closed(&mut budget, 100), [(5000, REJECTED, 2)]);
    }
}
