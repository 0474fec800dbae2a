//! Holds and limits: what a call adds up to with those before it.
//!
//! Promises: every call that gets past the holds is counted as an attempt once, whatever the limits say; what approved calls
//! reserve is given back when the call is not approved; no lock, no allocation, no clock. A policy without limits costs
//! nothing.
//! Leaves to `Counting`: the sums, the holds and which transactions are one attempt; to `schedule`: when it is working
//! time; to the rules: what becomes of a rejection.

mod call;
mod explain;
mod foreseen;
mod limit;
mod parts;
mod told;

pub use explain::Step;
pub use foreseen::Foreseen;
pub(super) use foreseen::Whose;

use super::code::{Code, CodeSet};
use super::counting::{Counting, ReadOnly};
use super::rows::{
    Action, Count, During, LimitAction, LimitRow, PolicyRow, ScheduleRow, Who, Window,
};
use super::schedule::Schedule;
use crate::clock::Now;
use crate::counters::{Attempt, Key, LimitId, Told};
use crate::e164::E164;
use crate::limits::{ATTEMPT_LOOKS, LIMITS_PER_POLICY_MAX};
use call::Call;
use foldhash::quality::FixedState;
use limit::Limit;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use told::{retold, told};

/// What limits had to do with a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitFacts {
    /// The one that decided.
    pub decided: Option<Decider>,
    /// Bit n: the policy's nth limit came to its warning with this call.
    pub warned: u32,
    /// Bit n: the policy's nth limit, or its hold, reported this call.
    pub reported: u32,
    /// The limits were evaluated with an earlier transaction of the same attempt, and this is what they said then.
    pub same_attempt: bool,
}

/// Which limit decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decider {
    /// Its number in the policy's file order.
    pub number: u8,
    /// Whether by a hold that it had placed before.
    pub held: bool,
}

/// What ends the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Rejected with this code.
    Reject(Code),
    /// To the divert target, by this code.
    Divert(Code),
}

/// What the limits came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LimitRuling {
    pub(super) stop: Option<Stop>,
    pub(super) reports: CodeSet,
    pub(super) facts: LimitFacts,
}

/// A call, as limits see it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// What it is counted by, keys included.
    pub(super) foreseen: &'a Foreseen,
    /// Simultaneous calls that the PBX reports.
    pub(super) reported_calls: Option<u32>,
    /// What the call would cost, millionths.
    pub(super) exposure_micros: u64,
    /// Tells of whom it is about, which only holds and explanations want to know.
    pub(super) tell: &'a dyn Fn(Listener<'_>),
}

/// Is told whom a call is about.
pub(super) type Listener<'a> = &'a mut dyn FnMut(&Parties<'_>);

/// Whom a call is about. The octets are the caller's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parties<'a> {
    /// The caller.
    pub(super) caller: &'a [u8],
    /// The caller's address.
    pub(super) address: IpAddr,
    /// The number.
    pub(super) number: Called<'a>,
    /// The number's prefix in the destination table.
    pub(super) prefix: Option<E164>,
    /// Name of the domain.
    pub(super) domain: &'a str,
    /// Name of the subscriber.
    pub(super) subscriber: &'a str,
    /// Name of the country; empty when there is none.
    pub(super) country: &'a str,
}

/// What was called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Called<'a> {
    /// An international number.
    Number(E164),
    /// Something else, as it was dialled.
    Other(&'a [u8]),
}

/// A policy's limits, ready.
#[derive(Debug)]
pub(super) struct Limits {
    limits: Vec<Limit>,
    schedule: Option<Schedule>,
    unknown_counters: Action,
    /// Parts that some limit counts by.
    who: Who,
    holds: bool,
    /// Of keys of attempts.
    attempt: LimitId,
    /// Whether some limit wants to know what the call costs.
    pub(super) wants_exposure: bool,
    names: Vec<String>,
}

impl Limits {
    /// The limits of a policy; `None` when it has none.
    pub(super) fn new(row: &PolicyRow, now: Now) -> Option<Box<Self>> {
        if row.limits.is_empty() {
            return None;
        }
        let mut who = Who::default();
        for limit in &row.limits {
            who.subscriber |= limit.who.subscriber;
            who.caller |= limit.who.caller;
            who.address |= limit.who.address;
        }
        let by_calendar = |limit: &LimitRow| {
            limit.during != During::Always
                || matches!(limit.window, Some(Window::Day | Window::Period))
        };
        let schedule = |row: &ScheduleRow| Schedule::new(row, now);
        Some(Box::new(Self {
            schedule: row
                .limits
                .iter()
                .any(by_calendar)
                .then(|| schedule(&row.schedule)),
            unknown_counters: row.unknown_counters,
            who,
            attempt: LimitId::new(&["attempt"]),
            holds: row.limits.iter().any(|limit| limit.hold_s.is_some()),
            wants_exposure: row
                .limits
                .iter()
                .any(|limit| limit.count == Count::Exposure),
            names: row.limits.iter().map(|limit| limit.name.clone()).collect(),
            limits: row
                .limits
                .iter()
                .take(LIMITS_PER_POLICY_MAX)
                .map(Limit::new)
                .collect(),
        }))
    }

    /// Name, code and action of each limit, in file order.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&str, Code, LimitAction)> {
        let names = self.names.iter().zip(&self.limits);
        names.map(|(name, limit)| (&**name, limit.code, limit.action))
    }

    /// The name of a limit.
    pub(super) fn name(&self, number: u8) -> &str {
        self.names.get(usize::from(number)).map_or("", |name| name)
    }

    /// When the schedule has to be made anew.
    pub(super) fn good_until_unix_s(&self) -> Option<u64> {
        self.schedule.as_ref().map(Schedule::good_until_unix_s)
    }

    /// Holds, then limits; once per attempt.
    pub(super) fn rule<C: Counting>(&self, asked: &Asked<'_>, counts: &C, now: Now) -> LimitRuling {
        let attempt = &asked.foreseen.attempt;
        match counts.attempt(attempt, now) {
            Attempt::New => self.evaluate(asked, counts, now),
            Attempt::Same(Some(told)) => retold(told),
            Attempt::Same(None) => {
                let mut ruling = self.evaluate(asked, &ReadOnly(counts), now);
                // The warning is the other transaction's.
                ruling.facts.warned = 0;
                ruling.facts.same_attempt = true;
                let stands = told_by_another(&ruling, attempt, counts, now)
                    .unwrap_or_else(|| counts.settle(attempt, told(&ruling), now));
                ruling.abide_by(stands);
                ruling
            }
        }
    }

    fn evaluate<C: Counting>(&self, asked: &Asked<'_>, counts: &C, now: Now) -> LimitRuling {
        let call = self.call(asked, counts, now);
        let mut ruling = LimitRuling::default();
        if self.holds {
            call.holds(&mut ruling);
            if ruling.stop.is_some() {
                call.settle(&mut ruling);
                return ruling;
            }
        }
        call.limits_from(0, &mut ruling);
        ruling
    }

    fn call<'a, C: Counting>(
        &'a self,
        asked: &'a Asked<'a>,
        counts: &'a C,
        now: Now,
    ) -> Call<'a, C> {
        let schedule = self.schedule.as_ref();
        Call {
            limits: self,
            asked,
            moment: schedule.map(|schedule| schedule.at(now.unix_s())),
            counts,
            now,
        }
    }
}

/// What a limit says to a transaction whose attempt another shard is just counting may be one call too strict: the other
/// shard's amount may be in the sum already, and nobody knows. So a stop waits a little for the other one to speak.
#[cold]
fn told_by_another<C: Counting>(
    ruling: &LimitRuling,
    attempt: &Key,
    counts: &C,
    now: Now,
) -> Option<Told> {
    ruling.stop?;
    (0..ATTEMPT_LOOKS).find_map(|_| {
        std::hint::spin_loop();
        counts.told(attempt, now)
    })
}

/// A name in one word, the same in every process. Operators choose names, so it need not be seeded.
pub(super) fn word(name: &str) -> u64 {
    FixedState::with_seed(0x746f_6c6c_6761_7465).hash_one(name)
}

/// A subscriber of a domain in one word, of the words of both.
pub(super) fn word_of_both(domain: u64, subscriber: u64) -> u64 {
    (domain.rotate_left(23) ^ subscriber).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
