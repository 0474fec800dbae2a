//! Which codes the bundle in force can decide by, and which it can only report.
//!
//! Promises: a code that is said to do nothing comes with no call, whatever is dialled. Not said: that a call which a code is
//! there for will ever come, and that no allowance hides every row.

use super::{Policy, Snapshot};
use crate::policy::code::Code;
use crate::policy::destinations::Destinations;
use crate::policy::rows::{Action, Count, LimitAction, ListRow, Rows, Scope};

/// What a code does by the bundle in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// No call can have it.
    Nothing,
    /// Calls can be reported with it, and none is decided by it.
    Reports,
    /// Calls can be decided by it, or would be outside detection mode.
    Decides,
}

/// For each code, by `Code::index`.
#[derive(Debug)]
pub(super) struct Reached([Reach; Code::ALL.len()]);

impl Snapshot {
    /// What a code does.
    #[must_use]
    pub fn reach(&self, code: Code) -> Reach {
        let Reached(of_codes) = &self.reached;
        of_codes
            .get(code.index())
            .copied()
            .unwrap_or(Reach::Nothing)
    }
}

impl Reached {
    /// What the codes do by rows of which `live` have not expired.
    pub(super) fn new(
        rows: &Rows,
        live: impl Fn(&ListRow) -> bool,
        policies: &[Policy],
        destinations: &Destinations,
    ) -> Self {
        let mut reached = Self([Reach::Nothing; Code::ALL.len()]);
        if rows.domains.is_empty() {
            return reached;
        }
        reached.add(Code::A00, Reach::Decides);
        let in_force = in_force(rows);
        let mut used = vec![false; rows.policies.len()];
        for (_, policy) in &in_force {
            if let Some(used) = used.get_mut(*policy) {
                *used = true;
            }
        }
        for row in rows.lists.iter().filter(|row| live(row)) {
            let reaches = match row.scope {
                Scope::System | Scope::Domain(_) => true,
                Scope::Policy(policy) => used.get(policy) == Some(&true),
            };
            if let (Some(code), true) = (row.deny, reaches) {
                reached.add(code, Reach::Decides);
            }
        }
        for (domain, policy) in in_force {
            let trusts = rows
                .domains
                .get(domain)
                .is_some_and(|domain| domain.trust_headers);
            reached.add_policy(rows, policy, trusts);
        }
        let in_force = policies.iter().zip(used).filter(|(_, used)| *used);
        let forbids = |policy: &Policy| !destinations.permits_all(&policy.permitted);
        if in_force.map(|(policy, _)| policy).any(forbids) {
            reached.add(Code::R06, Reach::Decides);
        }
        reached
    }

    /// What a policy does in a domain that trusts screening headers, or does not.
    fn add_policy(&mut self, rows: &Rows, policy: usize, trusts_headers: bool) {
        let Some(policy) = rows.policies.get(policy) else {
            return;
        };
        self.add(Code::R07, of_action(policy.unknown_prefix));
        if trusts_headers {
            self.add(Code::R14, of_action(policy.unknown_identity));
        }
        for limit in &policy.limits {
            let reach = match limit.action {
                LimitAction::Report => Reach::Reports,
                LimitAction::Divert | LimitAction::Reject => Reach::Decides,
            };
            self.add(limit.code, reach);
            // What the PBX reports takes no room.
            if limit.count != Count::ReportedCalls {
                self.add(Code::R15, of_action(policy.unknown_counters));
            }
        }
    }

    fn add(&mut self, code: Code, reach: Reach) {
        let Self(of_codes) = self;
        if let Some(known) = of_codes.get_mut(code.index()) {
            *known = reach.max(*known);
        }
    }
}

fn of_action(action: Action) -> Reach {
    match action {
        Action::Approve => Reach::Nothing,
        Action::Report => Reach::Reports,
        Action::Reject => Reach::Decides,
    }
}

/// Domains and the policies that calls in them may meet, each pair once.
pub(super) fn in_force(rows: &Rows) -> Vec<(usize, usize)> {
    let defaults = rows.domains.iter().enumerate();
    let defaults = defaults.map(|(domain, row)| (domain, row.default_policy));
    let own = rows
        .subscribers
        .iter()
        .filter_map(|row| Some((row.domain, row.policy?)));
    let mut pairs: Vec<(usize, usize)> = defaults.chain(own).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}
