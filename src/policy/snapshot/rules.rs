//! The rules in their order, and what they come to.
//!
//! Promises: the first rejection decides, a report is recorded and evaluation goes on (SEMANTICS, Order).
//! Leaves to the tables: each look-up; to `profile`: how the answer is worn.

use super::{Decision, Domain, Policy, Prepared, Snapshot, Source, Told, Verdict};
use crate::limits::CONTACT_USER_BYTES_MAX;
use crate::policy::answer::{CallError, ContactPlan};
use crate::policy::attempt::CallAttempt;
use crate::policy::code::{Code, CodeSet};
use crate::policy::dialled::{Dialled, bare_user};
use crate::policy::lists::{self, Listed};
use crate::policy::rows::{Action, Mode};

/// What the rules came to, before the profile and the mode.
struct Ruling {
    /// The rejecting code.
    reject: Option<Code>,
    list_row: Option<u32>,
    reports: CodeSet,
    destination: Option<u32>,
}

impl Snapshot {
    /// Stage three: the rules in their order.
    #[must_use]
    pub fn decide(&self, attempt: &CallAttempt<'_>, prepared: &Prepared) -> Decision {
        let mut decision = Decision {
            verdict: Verdict::Error(CallError::UnknownPeer),
            code: Code::A00,
            would: None,
            reports: CodeSet::default(),
            domain: prepared.domain,
            domain_slot: None,
            subscriber: prepared.subscriber,
            number: prepared.number,
            destination: None,
            list_row: None,
            plan: self.error_plan(Source::Unknown, None, CallError::UnknownPeer),
        };
        let Some((domain, policy)) = self.of(prepared) else {
            return decision;
        };
        decision.domain_slot = Some(domain.slot);
        let error = |decision: Decision, error: CallError| Decision {
            verdict: Verdict::Error(error),
            code: Code::A00,
            would: None,
            plan: domain.answers.error(error),
            ..decision
        };
        match prepared.dialled {
            Dialled::Loop => return error(decision, CallError::Loop),
            Dialled::Undialable => return error(decision, CallError::AddressIncomplete),
            Dialled::Emergency => {
                decision.verdict = Verdict::Approve;
                decision.plan = domain.answers.approve();
            }
            Dialled::Number(_) | Dialled::Unclassified => {
                let ruling = self.rule(attempt, prepared, domain, policy);
                decision.reports = ruling.reports;
                decision.destination = ruling.destination;
                decision.list_row = ruling.list_row;
                (
                    decision.verdict,
                    decision.code,
                    decision.would,
                    decision.plan,
                ) = match (ruling.reject, domain.mode) {
                    (None, _) => (Verdict::Approve, Code::A00, None, domain.answers.approve()),
                    (Some(code), Mode::Prevention) => {
                        (Verdict::Reject, code, None, domain.answers.reject(code))
                    }
                    (Some(code), Mode::Detection) => (
                        Verdict::Approve,
                        Code::A00,
                        Some(code),
                        domain.answers.approve(),
                    ),
                };
            }
        }
        if let ContactPlan::Redirect { prefix, .. } = decision.plan.contact
            && prefix.len() + attempt.user_part.len() > CONTACT_USER_BYTES_MAX
            && prefix.len() + bare_user(attempt.user_part).len() > CONTACT_USER_BYTES_MAX
        {
            return error(decision, CallError::AddressIncomplete);
        }
        decision
    }

    /// In place of `decide`, for a request that was decided before: the same is told. Which rows decided then is not known
    /// any more.
    #[must_use]
    pub fn repeat(&self, prepared: &Prepared, told: &Told) -> Decision {
        Decision {
            verdict: told.verdict,
            code: told.code,
            would: told.would,
            reports: told.reports,
            domain: prepared.domain,
            domain_slot: self.of(prepared).map(|(domain, _)| domain.slot),
            subscriber: prepared.subscriber,
            number: prepared.number,
            destination: None,
            list_row: None,
            plan: told.plan,
        }
    }

    /// SEMANTICS, Order: number allowed? → R14 → R01 agent → R02/R12 address → R03 number → R06/R07 destination → A00.
    /// The first rejection decides; a report is recorded and evaluation goes on.
    fn rule(
        &self,
        attempt: &CallAttempt<'_>,
        prepared: &Prepared,
        domain: &Domain,
        policy: &Policy,
    ) -> Ruling {
        let mut ruling = Ruling {
            reject: None,
            list_row: None,
            reports: CodeSet::default(),
            destination: prepared
                .number
                .and_then(|number| self.destinations.row(number)),
        };
        let scopes = self.scopes(domain, policy);
        let number_listed = prepared
            .number
            .and_then(|number| lists::number(scopes, number));
        let number_allowed = number_listed.is_some_and(|listed| listed.deny().is_none());

        if prepared.trusted
            && attempt.screening.suspect
            && ruling.act(policy.unknown_identity, Code::R14)
        {
            return ruling;
        }
        let agent = if prepared.trusted {
            attempt.screening.agent
        } else {
            attempt.user_agent
        };
        let agent_scopes = self.agent_scopes(prepared);
        if ruling.deny(agent.and_then(|agent| self.agents.find(agent_scopes, agent))) {
            return ruling;
        }
        let address_listed = prepared
            .address
            .and_then(|address| lists::address(scopes, address));
        if ruling.deny(address_listed) {
            return ruling;
        }
        if number_allowed {
            return ruling;
        }
        if ruling.deny(number_listed) {
            return ruling;
        }
        match ruling.destination {
            None => {
                ruling.act(policy.unknown_prefix, Code::R07);
            }
            Some(row) if !self.destinations.permits(&policy.permitted, row) => {
                ruling.reject = Some(Code::R06);
            }
            Some(_) => {}
        }
        ruling
    }
}

impl Ruling {
    /// Rejects if the row denies; whether it did.
    fn deny(&mut self, listed: Option<Listed>) -> bool {
        let Some((listed, code)) = listed.and_then(|listed| Some((listed, listed.deny()?))) else {
            return false;
        };
        self.reject = Some(code);
        self.list_row = Some(listed.row());
        true
    }

    /// Does what the policy says about something that cannot be classified; whether that was to reject.
    fn act(&mut self, action: Action, code: Code) -> bool {
        match action {
            Action::Approve => false,
            Action::Report => {
                self.reports.insert(code);
                false
            }
            Action::Reject => {
                self.reject = Some(code);
                true
            }
        }
    }
}
