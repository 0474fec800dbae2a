//! Holds and limits: what a call adds up to with those before it.
//!
//! Promises: every call that reaches the limits is counted as an attempt once, whatever they say; what approved calls
//! reserve is given back when the call is not approved; no lock, no allocation, no clock. A policy without limits costs
//! nothing.
//! Leaves to `Counting`: the sums, the holds and which transactions are one attempt; to `schedule`: when it is working
//! time; to the rules: what becomes of a rejection.

use super::code::{Code, CodeSet};
use super::counting::{Counting, ReadOnly, attempt_key};
use super::limits_parts::{KEY_PARTS_MAX, Parts};
use super::rows::{
    Action, Count, During, LimitAction, LimitRow, PolicyRow, ScheduleRow, Whereto, Who, Window,
};
use super::schedule::{Moment, Schedule, Stretch};
use crate::clock::Now;
use crate::counters::{
    self, Attempt, Counted, HoldText, IfFull, Key, KeyHasher, LimitId, NewHold, Owner, Part,
    Reserved,
};
use crate::e164::E164;
use crate::limits::LIMITS_PER_POLICY_MAX;
use foldhash::quality::FixedState;
use std::fmt::{self, Write};
use std::hash::BuildHasher as _;
use std::net::IpAddr;

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

/// What limits may count a call by. Words are hashes of what operators chose; the octets are the caller's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parties<'a> {
    /// Of the domain's name.
    pub(super) domain: u64,
    /// Of the domain's and the subscriber's name.
    pub(super) subscriber: u64,
    /// The caller.
    pub(super) caller: &'a [u8],
    /// The caller's address.
    pub(super) address: IpAddr,
    /// The number.
    pub(super) number: Called<'a>,
    /// The number's prefix in the destination table.
    pub(super) prefix: Option<E164>,
    /// Of the country's name; 0 when there is none.
    pub(super) country: u64,
    /// What tells one attempt from another besides domain and number.
    pub(super) call_id: &'a [u8],
    /// See `call_id`.
    pub(super) from_tag: &'a [u8],
    /// What that comes to, if it is known.
    pub(super) attempt: Option<Key>,
    /// Simultaneous calls that the PBX reports.
    pub(super) reported_calls: Option<u32>,
    /// What the call would cost, millionths.
    pub(super) exposure_micros: u64,
    /// For whoever lists holds.
    pub(super) names: Names<'a>,
}

/// What holds are shown with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) domain: &'a str,
    pub(super) subscriber: &'a str,
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
    pub(super) attempt: LimitId,
    /// Whether some limit wants to know what the call costs.
    pub(super) wants_exposure: bool,
    names: Vec<String>,
}

#[derive(Debug)]
struct Limit {
    id: LimitId,
    /// Of the key that stands for all keys that found no room.
    rest: LimitId,
    /// Which parts its key has, by their places in `Parts`, and how many.
    by: [u8; KEY_PARTS_MAX],
    by_count: u8,
    who: Who,
    to: Whereto,
    count: Count,
    window: Option<Window>,
    warn: Option<u64>,
    max: u64,
    hold_s: Option<u32>,
    during: During,
    action: LimitAction,
    code: Code,
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
    pub(super) fn rule<C: Counting>(
        &self,
        parties: &Parties<'_>,
        counts: &C,
        now: Now,
    ) -> LimitRuling {
        let hasher = counts.hasher();
        let number = match parties.number {
            Called::Number(number) => Part::of_word(number.key()),
            Called::Other(dialled) => hasher.part(dialled),
        };
        let attempt = parties.attempt.unwrap_or_else(|| {
            let texts = [parties.call_id, parties.from_tag];
            attempt_key(hasher, self.attempt, parties.domain, texts, number)
        });
        match counts.attempt(&attempt, now) {
            Attempt::New => {
                let ruling = self.evaluate(parties, number, counts, now);
                counts.settle(&attempt, told(&ruling), now);
                ruling
            }
            Attempt::Same(Some(told)) => retold(told),
            Attempt::Same(None) => {
                let mut ruling = self.evaluate(parties, number, &ReadOnly(counts), now);
                // The warning is the other transaction's.
                ruling.facts.warned = 0;
                ruling.facts.same_attempt = true;
                ruling
            }
        }
    }

    fn evaluate<C: Counting>(
        &self,
        parties: &Parties<'_>,
        number: Part,
        counts: &C,
        now: Now,
    ) -> LimitRuling {
        let parts = self.parts(parties, number, counts.hasher());
        let moment = self
            .schedule
            .as_ref()
            .map(|schedule| schedule.at(now.unix_s()));
        let call = Call {
            limits: self,
            parties,
            parts,
            keys: self.keys(&parts, counts),
            moment,
            counts,
            now,
        };
        let mut ruling = LimitRuling::default();
        if self.holds {
            call.holds(&mut ruling);
            if ruling.stop.is_some() {
                return ruling;
            }
        }
        call.limits_from(0, &mut ruling);
        ruling
    }

    fn parts(&self, parties: &Parties<'_>, number: Part, hasher: &KeyHasher) -> Parts {
        let unused = Part::of_word(0);
        // In the order of their places.
        Parts([
            Part::of_word(parties.domain),
            Part::of_word(parties.subscriber),
            if self.who.caller {
                hasher.part(parties.caller)
            } else {
                unused
            },
            if self.who.address {
                hasher.address(parties.address)
            } else {
                unused
            },
            number,
            Part::of_word(parties.prefix.map_or(0, E164::key)),
            Part::of_word(parties.country),
            unused,
        ])
    }

    /// The key of every limit. All are asked for before any is read, so that their misses overlap.
    fn keys<C: Counting>(&self, parts: &Parts, counts: &C) -> [Key; LIMITS_PER_POLICY_MAX] {
        let hasher = counts.hasher();
        let mut keys = [Key::UNUSED; LIMITS_PER_POLICY_MAX];
        for (key, limit) in keys.iter_mut().zip(&self.limits) {
            if limit.has_key() {
                *key = limit.key(parts, hasher);
                counts.touch(key);
            }
        }
        for (key, limit) in keys.iter().zip(&self.limits) {
            if limit.has_key() {
                counts.fetch(key);
            }
        }
        keys
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is looked at.
    pub what: String,
    /// What it comes to.
    pub answer: String,
}

impl Limits {
    /// What each limit would make of a call, and what it counts it by. Nothing is counted.
    pub(super) fn explain<C: Counting>(
        &self,
        parties: &Parties<'_>,
        counts: &C,
        now: Now,
    ) -> Vec<Step> {
        let hasher = counts.hasher();
        let number = match parties.number {
            Called::Number(number) => Part::of_word(number.key()),
            Called::Other(dialled) => hasher.part(dialled),
        };
        let parts = self.parts(parties, number, hasher);
        let call = Call {
            limits: self,
            parties,
            parts,
            keys: self.keys(&parts, counts),
            moment: self
                .schedule
                .as_ref()
                .map(|schedule| schedule.at(now.unix_s())),
            counts,
            now,
        };
        (0_u8..)
            .zip(self.limits.iter().zip(&call.keys))
            .map(|(number, (limit, key))| call.explain(number, limit, key))
            .collect()
    }
}

impl Limit {
    fn new(row: &LimitRow) -> Self {
        // What a sum is of: a change of any of these begins it anew, and its holds are no longer found. A change of `max` does
        // not, unless it needs coarser steps of the history (`counters::sum`, above some thousands).
        let shape = format!(
            "{:?} {:?} {:?} {:?}",
            row.who, row.to, row.count, row.window
        );
        let whose = if row.who.subscriber {
            Parts::SUBSCRIBER
        } else {
            Parts::DOMAIN
        };
        let to = match row.to {
            Whereto::Number => Some(Parts::NUMBER),
            Whereto::Prefix => Some(Parts::PREFIX),
            Whereto::Country => Some(Parts::COUNTRY),
            Whereto::Any => None,
        };
        let others = [
            row.who.caller.then_some(Parts::CALLER),
            row.who.address.then_some(Parts::ADDRESS),
            to,
        ];
        let mut by = [whose; KEY_PARTS_MAX];
        let mut by_count = 1;
        for (place, part) in by.iter_mut().skip(1).zip(others.into_iter().flatten()) {
            *place = part;
            by_count += 1;
        }
        Self {
            id: LimitId::new(&[&row.name, &shape]),
            rest: LimitId::new(&[&row.name, &shape, "rest"]),
            by,
            by_count,
            who: row.who,
            to: row.to,
            count: row.count,
            window: row.window,
            warn: row.warn,
            max: row.max,
            hold_s: row.hold_s,
            during: row.during,
            action: row.action,
            code: row.code,
        }
    }

    /// Whether there is anything to be looked up: simultaneous calls are not counted here.
    fn has_key(&self) -> bool {
        self.count != Count::ReportedCalls || self.hold_s.is_some()
    }

    fn key(&self, parts: &Parts, hasher: &KeyHasher) -> Key {
        let [a, b, c, d] = self.by.map(|place| parts.at(place));
        match self.by_count {
            1 => hasher.key(self.id, &[a]),
            2 => hasher.key(self.id, &[a, b]),
            3 => hasher.key(self.id, &[a, b, c]),
            _ => hasher.key(self.id, &[a, b, c, d]),
        }
    }

    fn is_in_force(&self, moment: Option<&Moment>) -> bool {
        let works = |moment: &Moment| moment.working;
        match self.during {
            During::Always => true,
            During::WorkingHours => moment.is_some_and(works),
            During::OffHours => moment.is_some_and(|moment| !works(moment)),
        }
    }

    /// `None`: it has none.
    fn window(&self, moment: Option<&Moment>) -> Option<counters::Window> {
        let since = |stretch: Stretch| counters::Window::Since {
            start_unix_s: stretch.start_unix_s,
            end_unix_s: stretch.end_unix_s,
        };
        match self.window? {
            Window::Seconds(seconds) => Some(counters::Window::Seconds(seconds)),
            Window::Day => moment.map(|moment| since(moment.day)),
            Window::Period => moment.map(|moment| since(moment.stretch)),
        }
    }
}

/// One call on its way through the limits.
struct Call<'a, C> {
    limits: &'a Limits,
    parties: &'a Parties<'a>,
    parts: Parts,
    keys: [Key; LIMITS_PER_POLICY_MAX],
    moment: Option<Moment>,
    counts: &'a C,
    now: Now,
}

impl<C: Counting> Call<'_, C> {
    /// The first hold that rejects decides, else the first that diverts.
    fn holds(&self, ruling: &mut LimitRuling) {
        for (number, (limit, key)) in (0_u8..).zip(self.limits.limits.iter().zip(&self.keys)) {
            if limit.hold_s.is_none() || self.counts.held(key, self.now).is_none() {
                continue;
            }
            let held = Decider { number, held: true };
            ruling.act(limit.action, limit.code, held);
            if ruling.is_rejected() {
                return;
            }
        }
    }

    /// This limit and those after it; once they have spoken, what this one reserved is given back if the call is not
    /// approved.
    fn limits_from(&self, number: u8, ruling: &mut LimitRuling) {
        let at = usize::from(number);
        let (Some(limit), Some(key)) = (self.limits.limits.get(at), self.keys.get(at)) else {
            return;
        };
        let reserved = self.limit(number, limit, key, ruling);
        self.limits_from(number + 1, ruling);
        if let Some(reserved) = reserved
            && ruling.stop.is_some()
        {
            self.counts.release(&reserved, self.now);
        }
    }

    /// Counts the call with one limit. What it reserved, if it did.
    fn limit(
        &self,
        number: u8,
        limit: &Limit,
        key: &Key,
        ruling: &mut LimitRuling,
    ) -> Option<Reserved> {
        if !limit.is_in_force(self.moment.as_ref()) {
            return None;
        }
        // A rejected call is still an attempt, but no longer approved.
        let is_attempt = limit.count == Count::Attempts;
        if ruling.is_rejected() && !is_attempt {
            return None;
        }
        let amount = match limit.count {
            Count::Attempts | Count::Approved => 1,
            Count::Exposure => self.parties.exposure_micros,
            Count::ReportedCalls => {
                let calls = self.parties.reported_calls?;
                if u64::from(calls) > limit.max {
                    self.fire(number, limit, key, ruling);
                }
                return None;
            }
        };
        if amount == 0 {
            return None;
        }
        let owner = Owner(self.parts.subscriber());
        let if_full = match self.limits.unknown_counters {
            Action::Reject => IfFull::Refuse,
            Action::Approve | Action::Report => IfFull::Fold(limit.rest),
        };
        let counted = self.counts.add(
            &counters::Count {
                key: *key,
                owner,
                if_full,
                window: limit.window(self.moment.as_ref())?,
                amount,
                warn: limit.warn,
                max: limit.max,
            },
            self.now,
        );
        let sum = match counted {
            Counted::Sum(sum) => sum,
            Counted::Full => {
                self.no_room(number, ruling);
                return None;
            }
        };
        if sum.is_folded {
            self.no_room(number, ruling);
        }
        if sum.is_warning {
            ruling.facts.warned |= 1_u32.unbounded_shl(number.into());
        }
        if sum.is_over {
            self.fire(number, limit, key, ruling);
        }
        sum.reserved.filter(|_| !is_attempt)
    }

    /// The subscriber's share of the counters is full (R15).
    fn no_room(&self, number: u8, ruling: &mut LimitRuling) {
        let action = match self.limits.unknown_counters {
            Action::Approve => return,
            Action::Report => LimitAction::Report,
            Action::Reject => LimitAction::Reject,
        };
        let decider = Decider {
            number,
            held: false,
        };
        ruling.act(action, Code::R15, decider);
    }

    fn fire(&self, number: u8, limit: &Limit, key: &Key, ruling: &mut LimitRuling) {
        if let Some(seconds) = limit.hold_s {
            let hold = NewHold {
                code: u16::from(limit.code as u8),
                seconds,
                owner: Owner(self.parts.subscriber()),
                text: &self.hold_text(number, limit),
            };
            // Where there is no room for a hold the limit itself goes on firing, and the counters say so.
            let _is_held = self.counts.hold(key, &hold, self.now);
        }
        let decider = Decider {
            number,
            held: false,
        };
        ruling.act(limit.action, limit.code, decider);
    }

    /// Whom and what a hold of this limit is about.
    #[cold]
    fn hold_text(&self, number: u8, limit: &Limit) -> HoldText {
        let Parties {
            caller,
            address,
            number: called,
            prefix,
            names,
            ..
        } = *self.parties;
        let named = |is_named: bool, text| if is_named { text } else { &b""[..] };
        let mut address_text = Small::EMPTY;
        // An address has room.
        let _fits = write!(address_text, "{address}");
        let mut to_text = Small::EMPTY;
        let _fits = match (limit.to, called) {
            (Whereto::Number, Called::Number(number)) => write!(to_text, "+{number}"),
            (Whereto::Number, Called::Other(dialled)) => {
                to_text.push(dialled);
                Ok(())
            }
            (Whereto::Prefix, _) => prefix.map_or(Ok(()), |prefix| write!(to_text, "+{prefix}*")),
            (Whereto::Country, _) => to_text.write_str(names.country),
            (Whereto::Any, _) => Ok(()),
        };
        HoldText::new([
            names.domain.as_bytes(),
            named(limit.who.subscriber, names.subscriber.as_bytes()),
            self.limits.name(number).as_bytes(),
            named(limit.who.caller, caller),
            named(limit.who.address, address_text.octets()),
            to_text.octets(),
        ])
    }
}

impl<C: Counting> Call<'_, C> {
    fn explain(&self, number: u8, limit: &Limit, key: &Key) -> Step {
        let text = self.hold_text(number, limit);
        let by: Vec<&str> = text
            .fields()
            .into_iter()
            .enumerate()
            .filter(|(field, text)| *field != 2 && !text.is_empty())
            .map(|(_, text)| text)
            .collect();
        let what = format!(
            "{} limit {}, by {}",
            limit.code.text(),
            self.limits.name(number),
            by.join(" ")
        );
        let verb = match limit.action {
            LimitAction::Report => "reports",
            LimitAction::Divert => "DIVERTS",
            LimitAction::Reject => "REJECTS",
        };
        let held = limit.hold_s.and_then(|_| self.counts.held(key, self.now));
        let answer = if let Some(held) = held {
            format!("{verb}: held for {} s more", held.left_s)
        } else if limit.is_in_force(self.moment.as_ref()) {
            let (sum, fires) = self.sum(limit, key);
            format!("{}: {sum}", if fires { verb } else { "passes" })
        } else {
            "passes: not in force at this hour".to_owned()
        };
        Step { what, answer }
    }

    /// What the call would come to with this limit, and whether it fires.
    fn sum(&self, limit: &Limit, key: &Key) -> (String, bool) {
        let amount = match limit.count {
            Count::Attempts | Count::Approved => 1,
            Count::Exposure => self.parties.exposure_micros,
            Count::ReportedCalls => {
                return match self.parties.reported_calls {
                    Some(calls) => (
                        format!("reported calls {calls}, max {}", limit.max),
                        u64::from(calls) > limit.max,
                    ),
                    None => ("no reported calls".to_owned(), false),
                };
            }
        };
        let Some(window) = limit.window(self.moment.as_ref()) else {
            return ("no window".to_owned(), false);
        };
        let counted = self.counts.peek(
            &counters::Count {
                key: *key,
                owner: Owner(self.parts.subscriber()),
                if_full: IfFull::Refuse,
                window,
                amount,
                warn: limit.warn,
                max: limit.max,
            },
            self.now,
        );
        match counted {
            Counted::Sum(sum) => {
                let unit = if limit.count == Count::Exposure {
                    " millionths"
                } else {
                    ""
                };
                let said = format!("with this call {}{unit}, max {}", sum.total, limit.max);
                (said, sum.is_over && amount > 0)
            }
            Counted::Full => ("no room to count by".to_owned(), true),
        }
    }
}

impl LimitRuling {
    fn is_rejected(&self) -> bool {
        matches!(self.stop, Some(Stop::Reject(_)))
    }

    /// The first rejection decides, else the first diversion. After a rejection nothing is added any more.
    fn act(&mut self, action: LimitAction, code: Code, decider: Decider) {
        if self.is_rejected() {
            return;
        }
        match action {
            LimitAction::Report => {
                self.reports.insert(code);
                if code != Code::R15 {
                    self.facts.reported |= 1_u32.unbounded_shl(decider.number.into());
                }
                return;
            }
            LimitAction::Divert if self.stop.is_some() => return,
            LimitAction::Divert => self.stop = Some(Stop::Divert(code)),
            LimitAction::Reject => self.stop = Some(Stop::Reject(code)),
        }
        self.facts.decided = Some(decider);
    }
}

const TOLD_DIVERT: u16 = 1 << 5;
const TOLD_REJECT: u16 = 2 << 5;
const TOLD_CODE: u16 = (1 << 5) - 1;
const _: () = assert!(
    Code::ALL.len() <= TOLD_CODE as usize + 1 && TOLD_REJECT | TOLD_CODE < counters::Told::COUNT,
    "what is told fits what is kept of an attempt"
);

/// What later transactions of the same attempt are told. Which limit it was is not: the policy may be another one by then.
fn told(ruling: &LimitRuling) -> counters::Told {
    let code = |code: Code| u16::from(code as u8);
    counters::Told(match ruling.stop {
        None => 0,
        Some(Stop::Divert(by)) => TOLD_DIVERT | code(by),
        Some(Stop::Reject(by)) => TOLD_REJECT | code(by),
    })
}

fn retold(told: counters::Told) -> LimitRuling {
    let code = Code::ALL
        .get(usize::from(told.0 & TOLD_CODE))
        .copied()
        .unwrap_or(Code::R13);
    LimitRuling {
        stop: match told.0 & !TOLD_CODE {
            TOLD_DIVERT => Some(Stop::Divert(code)),
            TOLD_REJECT => Some(Stop::Reject(code)),
            _ => None,
        },
        reports: CodeSet::default(),
        facts: LimitFacts {
            same_attempt: true,
            ..LimitFacts::default()
        },
    }
}

/// Room for an address or a number as text; what does not fit is left out.
struct Small {
    octets: [u8; 48],
    length: usize,
}

impl Small {
    const EMPTY: Self = Self {
        octets: [0; 48],
        length: 0,
    };

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, octets: &[u8]) {
        for (place, octet) in self.octets.iter_mut().skip(self.length).zip(octets) {
            *place = *octet;
            self.length += 1;
        }
    }
}

impl Write for Small {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// A name in one word, the same in every process. Operators choose names, so it need not be seeded.
pub(super) fn word(name: &str) -> u64 {
    FixedState::with_seed(0x746f_6c6c_6761_7465).hash_one(name)
}

/// A subscriber of a domain in one word, of the words of both.
pub(super) fn word_of_both(domain: u64, subscriber: u64) -> u64 {
    (domain.rotate_left(23) ^ subscriber).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
