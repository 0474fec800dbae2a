//! What a call gets: the verdict, its codes, and how the answer is worn.
//!
//! Leaves to `rules`: coming to it.

use crate::e164::E164;
use crate::policy::answer::{AnswerPlan, CallError};
use crate::policy::code::{Code, CodeSet};
use crate::policy::limits::LimitFacts;

/// What a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Approved.
    Approve,
    /// Rejected.
    Reject,
    /// Sent to the policy's divert target: neither approved nor charged.
    Divert,
    /// No verdict: the profile's error.
    Error(CallError),
}

/// A decided call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The answer's class. In detection mode `Approve` where prevention would reject.
    pub verdict: Verdict,
    /// The code in force: `A00`, or the rejecting one. Meaningless for errors (`A00`).
    pub code: Code,
    /// In detection mode: the code with which prevention would have rejected.
    pub would: Option<Code>,
    /// Codes of rules whose action is `report`.
    pub reports: CodeSet,
    /// The domain's index, if it became known.
    pub domain: Option<u16>,
    /// The domain's number by name (`DomainSlots`), the same across reloads: what counts per domain counts by it.
    pub domain_slot: Option<u16>,
    /// The subscriber's index; `None`: the domain's default subscriber.
    pub subscriber: Option<u32>,
    /// The dialled number as E.164; `None` when unclassified.
    pub number: Option<E164>,
    /// Whether what was dialled has a rate: a number has, and what could not be classified; an emergency call and what is no
    /// number at all have none.
    pub is_priced: bool,
    /// Index of the row in the destination table.
    pub destination: Option<u32>,
    /// Index of the list row that decided, if one did.
    pub list_row: Option<u32>,
    /// What limits had to do with it.
    pub limits: LimitFacts,
    /// How the answer is worn.
    pub plan: AnswerPlan,
}

/// The part of a decision that the caller hears and the sums show: what can be remembered across snapshots, as far as it
/// names no row of one. (A fixed Contact host does: whoever remembers keeps its text.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Told {
    /// As in the decision; so are the others.
    pub verdict: Verdict,
    /// The code in force.
    pub code: Code,
    /// The code of prevention, in detection mode.
    pub would: Option<Code>,
    /// Codes of rules whose action is `report`.
    pub reports: CodeSet,
    /// How the answer is worn.
    pub plan: AnswerPlan,
}

impl Decision {
    /// What of it is told.
    #[must_use]
    pub fn told(&self) -> Told {
        Told {
            verdict: self.verdict,
            code: self.code,
            would: self.would,
            reports: self.reports,
            plan: self.plan,
        }
    }
}
