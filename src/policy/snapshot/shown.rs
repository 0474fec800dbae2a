//! What of a snapshot is shown to operators: list files and limits, by name and place.
//!
//! Leaves to `admin` and `report`: how often each decided.

use super::{Decision, Snapshot};
use crate::policy::Code;
use crate::policy::rows::LimitAction;

/// One limit of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownLimit<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// The limit's name.
    pub name: &'a str,
    /// The code with which it answers.
    pub code: Code,
    /// What it does when it fires.
    pub action: LimitAction,
}

impl Snapshot {
    /// The name of a limit of the policy that decided.
    #[must_use]
    pub fn limit_name(&self, decision: &Decision, number: u8) -> &str {
        let policy = self.deciding_policy(decision);
        policy.map_or("", |policy| self.limit_of_policy(policy, number))
    }

    /// The index of the policy that decided; `None`: the domain did not become known.
    #[must_use]
    pub fn deciding_policy(&self, decision: &Decision) -> Option<u32> {
        let domain = self.domain(decision.domain?.into())?;
        u32::try_from(self.policy_of(domain, decision.subscriber)).ok()
    }

    /// The name of a policy; empty beyond the last.
    #[must_use]
    pub fn policy_name(&self, policy: u32) -> &str {
        let policy = self.policies.get(policy as usize);
        policy.map_or("", |policy| &policy.name)
    }

    /// The name of a limit by its number in the policy's file order; empty beyond the last.
    #[must_use]
    pub fn limit_of_policy(&self, policy: u32, number: u8) -> &str {
        let policy = self.policies.get(policy as usize);
        let limits = policy.and_then(|policy| policy.limits.as_ref());
        limits.map_or("", |limits| limits.name(number))
    }

    /// The limits of all policies, in file order.
    pub fn limits(&self) -> impl Iterator<Item = ShownLimit<'_>> {
        self.policies.iter().flat_map(|policy| {
            let limits = policy.limits.iter().flat_map(|limits| limits.shown());
            limits.map(|(name, code, action)| ShownLimit {
                policy: &policy.name,
                name,
                code,
                action,
            })
        })
    }

    /// The list files in their order, each with the number of its rows, expired ones included.
    #[must_use]
    pub fn list_files(&self) -> Vec<(&str, usize)> {
        let mut files: Vec<(&str, usize)> =
            self.list_files.iter().map(|name| (&**name, 0)).collect();
        for (file, _line) in &self.list_places {
            if let Some((_, rows)) = files.get_mut(*file as usize) {
                *rows += 1;
            }
        }
        files
    }

    /// File and line of a list row.
    #[must_use]
    pub fn list_place(&self, row: u32) -> Option<(&str, u32)> {
        let &(file, line) = self.list_places.get(row as usize)?;
        Some((self.list_files.get(file as usize)?, line))
    }
}
