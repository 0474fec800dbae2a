//! The rules in their order, and what they come to.
//!
//! Promises: the first rejection decides, a report is recorded and evaluation goes on (SEMANTICS, Order).
//! Leaves to the tables: each look-up; to `profile`: how the answer is worn.

use super::counted::Call;
use super::{Decision, Prepared, Snapshot, Source, Told, Verdict};
use crate::clock::Now;
use crate::counters::KeyHasher;
use crate::limits::CONTACT_USER_BYTES_MAX;
use crate::policy::answer::{AnswerPlan, CallError, ContactPlan};
use crate::policy::attempt::{CallAttempt, Facts};
use crate::policy::code::{Code, CodeSet};
use crate::policy::counting::Counting;
use crate::policy::dialled::{Dialled, bare_user};
use crate::policy::limits::{Foreseen, LimitFacts, Stop};
use crate::policy::lists::{self, Listed};
use crate::policy::rows::{Action, Mode};
use crate::sip::write::user_length;

/// What the rules came to, before the profile and the mode.
pub(super) struct Ruling {
    /// What ended the evaluation.
    pub(super) stop: Option<Stop>,
    list_row: Option<u32>,
    pub(super) reports: CodeSet,
    /// The row of the destination table, and how many digits of the number are its prefix.
    destination: Option<(u32, u8)>,
    pub(super) limits: LimitFacts,
}

impl Snapshot {
    /// Stage `decide`: the rules in their order.
    #[must_use]
    pub fn decide<C: Counting>(
        &self,
        attempt: &CallAttempt<'_>,
        prepared: &Prepared,
        counts: &C,
        now: Now,
    ) -> Decision {
        self.decide_foreseen(attempt, prepared, &Foreseen::NOTHING, (counts, now))
    }

    /// The same, with what was foreseen.
    #[must_use]
    pub fn decide_foreseen<F: Facts, C: Counting>(
        &self,
        attempt: &F,
        prepared: &Prepared,
        foreseen: &Foreseen,
        (counts, now): (&C, Now),
    ) -> Decision {
        let Some((domain, policy)) = self.of(prepared) else {
            return self.of_nobody(prepared);
        };
        let approve = domain.answers.approve();
        let mut decision = Decision {
            verdict: Verdict::Approve,
            code: Code::A00,
            would: None,
            reports: CodeSet::default(),
            domain: prepared.domain,
            domain_slot: Some(domain.slot),
            subscriber: prepared.subscriber,
            number: prepared.number,
            is_priced: prepared.is_priced(),
            destination: None,
            list_row: None,
            limits: LimitFacts::default(),
            plan: approve,
        };
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
            Dialled::Emergency => {}
            Dialled::Number(_) | Dialled::Unclassified => {
                let call = (attempt, prepared, domain, policy);
                let mut ruling = self.rule(call, foreseen, counts.hasher());
                // What will be an error is no attempt: it must not count.
                if let Some(limits) = &policy.limits
                    && ruling.stop.is_none()
                    && contact_error(&approve, attempt, prepared).is_none()
                {
                    self.rule_by_limits(limits, call, foreseen, &mut ruling, (counts, now));
                }
                decision.reports = ruling.reports;
                decision.destination = ruling.destination.map(|(row, _)| row);
                decision.list_row = ruling.list_row;
                decision.limits = ruling.limits;
                (decision.verdict, decision.code, decision.plan) = match ruling.stop {
                    None => (Verdict::Approve, Code::A00, approve),
                    Some(Stop::Reject(code)) => {
                        (Verdict::Reject, code, domain.answers.reject(code))
                    }
                    Some(Stop::Divert(code)) => {
                        let divert = policy.divert.as_ref();
                        let plan = divert
                            .and_then(|divert| domain.answers.divert(divert.prefix, divert.host));
                        // Control lets no policy divert where it cannot; such a call is rejected.
                        plan.map_or_else(
                            || (Verdict::Reject, code, domain.answers.reject(code)),
                            |plan| (Verdict::Divert, code, plan),
                        )
                    }
                };
                if domain.mode == Mode::Detection && ruling.stop.is_some() {
                    decision.would = Some(decision.code);
                    (decision.verdict, decision.code, decision.plan) =
                        (Verdict::Approve, Code::A00, approve);
                }
            }
        }
        match contact_error(&decision.plan, attempt, prepared) {
            Some(fault) => error(decision, fault),
            None => decision,
        }
    }

    /// The peer is of no domain of this snapshot.
    #[cold]
    fn of_nobody(&self, prepared: &Prepared) -> Decision {
        Decision {
            verdict: Verdict::Error(CallError::UnknownPeer),
            code: Code::A00,
            would: None,
            reports: CodeSet::default(),
            domain: prepared.domain,
            domain_slot: None,
            subscriber: prepared.subscriber,
            number: prepared.number,
            is_priced: prepared.is_priced(),
            destination: None,
            list_row: None,
            limits: LimitFacts::default(),
            plan: self.error_plan(Source::Unknown, None, CallError::UnknownPeer),
        }
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
            is_priced: prepared.is_priced(),
            destination: None,
            list_row: None,
            limits: LimitFacts {
                same_attempt: true,
                ..LimitFacts::default()
            },
            plan: told.plan,
        }
    }

    /// SEMANTICS, Order: number allowed? → R14 → R01 agent → R02/R12 address → R03 number → R06/R07 destination → A00.
    /// The first rejection decides; a report is recorded and evaluation goes on.
    fn rule<F: Facts>(
        &self,
        (attempt, prepared, domain, policy): Call<'_, F>,
        foreseen: &Foreseen,
        hasher: &KeyHasher,
    ) -> Ruling {
        let look_up = || {
            let number = prepared.number?;
            self.destinations.row(number)
        };
        let mut ruling = Ruling {
            stop: None,
            limits: LimitFacts::default(),
            list_row: None,
            reports: CodeSet::default(),
            destination: foreseen.destination().unwrap_or_else(look_up),
        };
        let scopes = self.scopes(domain, policy);
        let number_listed = prepared
            .number
            .and_then(|number| lists::number(scopes, number));
        let number_allowed = number_listed.is_some_and(|listed| listed.deny().is_none());

        if prepared.trusted
            && attempt.is_suspect()
            && ruling.act(policy.unknown_identity, Code::R14)
        {
            return ruling;
        }
        let agent = if prepared.trusted {
            attempt.screening_agent()
        } else {
            attempt.user_agent()
        };
        let agent_scopes = self.agent_scopes(prepared);
        if ruling.deny(agent.and_then(|agent| self.agents.find(hasher, agent_scopes, agent))) {
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
            Some((row, _)) if !self.destinations.permits(&policy.permitted, row) => {
                ruling.stop = Some(Stop::Reject(Code::R06));
            }
            Some(_) => {}
        }
        ruling
    }
}

/// Why an answer cannot have its Contact: it keeps within what Asterisk dials, and the answer within what its request allows.
fn contact_error(
    plan: &AnswerPlan,
    attempt: &impl Facts,
    prepared: &Prepared,
) -> Option<CallError> {
    let ContactPlan::Redirect { prefix, .. } = plan.contact else {
        return None;
    };
    // An escape makes three octets of one, so most numbers need not be looked at.
    let user_part = attempt.user_part();
    let fits = user_part.len() <= (CONTACT_USER_BYTES_MAX - prefix.len()) / 3
        || prefix.len() + user_length(bare_user(user_part)) <= CONTACT_USER_BYTES_MAX;
    if !fits {
        return Some(CallError::AddressIncomplete);
    }
    prepared.is_too_long.then_some(CallError::TooLarge)
}

impl Ruling {
    /// Rejects if the row denies; whether it did.
    fn deny(&mut self, listed: Option<Listed>) -> bool {
        let Some((listed, code)) = listed.and_then(|listed| Some((listed, listed.deny()?))) else {
            return false;
        };
        self.stop = Some(Stop::Reject(code));
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
                self.stop = Some(Stop::Reject(code));
                true
            }
        }
    }
}
