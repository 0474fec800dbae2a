//! The generator's own model of limits: which calls of a mix a server with these limits must reject, may reject, must approve.
//!
//! Promises: written from what limits mean, not from any server: exact sliding windows over the mix's own times. Where servers may differ (a window that
//! ends in coarser steps, a few calls let through by parallel shards, whether calls past the maximum still count), either verdict is right.
//! Leaves to `part`: what lists and destinations say; a call that they reject reaches no limit.
//!
//! Holds come before limits; a held call reaches none. A hold has a fixed length, which further calls do not extend.

use std::collections::{HashMap, VecDeque};

use crate::call::{Call, Datagram};
use crate::clock::Nanos;
use crate::text::Text;
use crate::verdict::Expected;

/// How many more than `max` a window may let through: shards that count at the same moment.
pub const OVER_MAX: u64 = 3;
/// A window may reach back further by this part of its length, when a server counts in steps.
pub const WINDOW_SLACK: u64 = 8;
/// Calls arrive this much later than they are due at most, before a verdict may differ; and at most a tenth of a window.
pub const JITTER: Nanos = 1_000_000_000;

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody of the domain together.
    Domain,
    /// The subscriber; callers of none count together.
    Subscriber,
    /// The caller.
    Caller,
    /// The telephone's address.
    Address,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Every attempt that reaches the limits.
    Attempts,
    /// Calls that were approved.
    Approved,
    /// Nothing: the calls that the PBX says are up are compared.
    ReportedCalls,
}

impl Who {
    /// The word of policies and mixes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Subscriber => "subscriber",
            Self::Caller => "caller",
            Self::Address => "address",
        }
    }
}

impl Count {
    /// The word of policies and mixes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Approved => "approved",
            Self::ReportedCalls => "reported-calls",
        }
    }
}

/// A limit of the policy that a mix takes for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// Who counts, in the order of the file.
    pub per: Vec<Who>,
    /// Whether each called number counts for itself.
    pub to_number: bool,
    /// What is counted.
    pub count: Count,
    /// The window; 0 with [`Count::ReportedCalls`].
    pub window: Nanos,
    /// Calls 1 to this pass, the next one does not.
    pub max: u64,
    /// How long the key is held once the limit has fired; 0: not at all.
    pub hold: Nanos,
    /// The code of the rejection.
    pub code: Text<3>,
}

/// What the limits say of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// Nothing: it is as lists and destinations have it.
    Pass,
    /// Rejected; by the limit with this place in the file if that is certain.
    Reject(Option<u8>),
    /// Either verdict is right.
    Either,
}

/// The state of the windows, call after call.
#[derive(Debug)]
pub struct Model<'l> {
    limits: &'l [Limit],
    keys: Vec<HashMap<Vec<u8>, Key>>,
}

#[derive(Debug, Default)]
struct Key {
    /// Times that count, and whether they do for certain.
    counted: VecDeque<(Nanos, bool)>,
    /// The first call with which the hold that may be in force may have begun.
    since: Nanos,
    /// Until when the key is held for certain.
    held: Nanos,
    /// Until when it may be held.
    maybe_held: Nanos,
}

impl<'l> Model<'l> {
    /// Empty windows.
    #[must_use]
    pub fn new(limits: &'l [Limit]) -> Self {
        Self {
            limits,
            keys: limits.iter().map(|_| HashMap::new()).collect(),
        }
    }

    /// What the limits say of a call that comes at `now`, not before the one before.
    pub fn rule(&mut self, call: &Call, now: Nanos) -> Ruling {
        if call.datagram != Datagram::Invite || call.expected != Expected::Approve {
            return Ruling::Pass;
        }
        let names: Vec<Vec<u8>> = self
            .limits
            .iter()
            .map(|limit| key_of(limit, call))
            .collect();
        let jitter = |limit: &Limit| JITTER.min(limit.hold / 10);
        let mut maybe_held = false;
        for (place, ((limit, keys), name)) in
            (0_u8..).zip(self.limits.iter().zip(&mut self.keys).zip(&names))
        {
            let Some(key) = keys.get(name).filter(|_| limit.hold > 0) else {
                continue;
            };
            if now + jitter(limit) < key.held {
                let certain = self.limits.len() == 1;
                return Ruling::Reject(certain.then_some(place));
            }
            maybe_held |= key.maybe_held > 0 && now < key.maybe_held + jitter(limit);
        }
        let mut fired: Option<u8> = None;
        let mut maybe = maybe_held;
        let mut certain_code = true;
        let mut past = Vec::with_capacity(self.limits.len());
        for (place, ((limit, keys), name)) in
            (0_u8..).zip(self.limits.iter().zip(&mut self.keys).zip(&names))
        {
            let key = keys.entry(name.clone()).or_default();
            let (least, most) = key.sums(limit, call, now);
            let sure = least > limit.max + tolerance(limit);
            let possible = most > limit.max;
            past.push((sure, possible));
            if possible && fired.is_none() {
                certain_code = !maybe;
                if sure {
                    fired = Some(place);
                }
            }
            maybe |= possible;
        }
        let ruling = match (fired, maybe) {
            (Some(place), _) => {
                let certain = self.limits.len() == 1 || (certain_code && !maybe_held);
                Ruling::Reject(certain.then_some(place))
            }
            (None, true) => Ruling::Either,
            (None, false) => Ruling::Pass,
        };
        for (((limit, keys), name), (sure, possible)) in
            self.limits.iter().zip(&mut self.keys).zip(names).zip(past)
        {
            let key = keys.entry(name).or_default();
            key.take(limit, now, ruling, (sure, possible), maybe_held);
        }
        ruling
    }
}

fn tolerance(limit: &Limit) -> u64 {
    match limit.count {
        Count::ReportedCalls => 0,
        Count::Attempts | Count::Approved => OVER_MAX,
    }
}

impl Key {
    /// The least and the most that the sum can be with this call.
    fn sums(&mut self, limit: &Limit, call: &Call, now: Nanos) -> (u64, u64) {
        if limit.count == Count::ReportedCalls {
            let text = str::from_utf8(call.reported_calls.as_bytes()).unwrap_or_default();
            let calls = text.parse().unwrap_or(0);
            return (calls, calls);
        }
        let jitter = JITTER.min(limit.window / 10);
        let longest = limit.window + limit.window / WINDOW_SLACK + jitter;
        while let Some((time, _)) = self.counted.front()
            && now - time > longest
        {
            self.counted.pop_front();
        }
        let certain = self
            .counted
            .iter()
            .filter(|(time, _)| now - time < limit.window - jitter);
        let (mut sure, mut all) = (0, 0);
        for (_, counts) in certain {
            all += 1;
            sure += u64::from(*counts);
        }
        // Once the maximum is there for certain, each further call was either counted or turned down by it.
        let least = if sure >= limit.max { all } else { sure };
        let count = |calls: usize| u64::try_from(calls).unwrap_or(u64::MAX);
        (least + 1, count(self.counted.len()) + 1)
    }

    fn take(
        &mut self,
        limit: &Limit,
        now: Nanos,
        ruling: Ruling,
        (sure, possible): (bool, bool),
        maybe_held: bool,
    ) {
        match (limit.count, ruling) {
            (Count::ReportedCalls, _) | (Count::Approved, Ruling::Reject(_)) => {}
            (Count::Approved, Ruling::Pass) => self.counted.push_back((now, true)),
            (Count::Approved, Ruling::Either) => self.counted.push_back((now, false)),
            // Past its maximum a key need not count.
            (Count::Attempts, _) => self.counted.push_back((now, !possible && !maybe_held)),
        }
        if limit.hold == 0 || !possible {
            return;
        }
        if now >= self.maybe_held {
            self.since = now;
        }
        self.maybe_held = self.maybe_held.max(now + limit.hold);
        if sure {
            // It has fired by now, with this call or with one of those that it may have let through.
            self.held = self.held.max(self.since + limit.hold);
        }
    }
}

fn key_of(limit: &Limit, call: &Call) -> Vec<u8> {
    let mut key = Vec::new();
    for who in &limit.per {
        let part = match who {
            Who::Domain => b"",
            Who::Subscriber => call.subscriber.as_bytes(),
            Who::Caller => call.caller.as_bytes(),
            Who::Address => call.address.as_bytes(),
        };
        key.extend_from_slice(part);
        key.push(0);
    }
    if limit.to_number {
        key.extend(digits(call.user.as_bytes()));
    }
    key
}

/// The number that every spelling and disguise of a mix means: E.164 without `+`.
fn digits(user: &[u8]) -> Vec<u8> {
    let end = user
        .iter()
        .position(|octet| matches!(octet, b';' | b':'))
        .unwrap_or(user.len());
    let mut plain = Vec::new();
    let mut rest = user.get(..end).unwrap_or_default();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
        let octet = escaped.unwrap_or(first);
        rest = after
            .get(if escaped.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
        if !b"-.() ".contains(&octet) {
            plain.push(octet);
        }
    }
    for prefix in [&b"+"[..], b"011", b"00"] {
        if let Some(number) = plain.strip_prefix(prefix) {
            return number.to_vec();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn limit() -> Limit {
        Limit {
            name: "l".to_owned(),
            per: vec![Who::Caller],
            to_number: true,
            count: Count::Attempts,
            window: 100 * SECOND,
            max: 10,
            hold: 0,
            code: Text::of(b"R13").unwrap(),
        }
    }

    fn call(caller: &[u8], user: &[u8]) -> Call {
        Call {
            caller: Text::of(caller).unwrap(),
            user: Text::of(user).unwrap(),
            ..Call::default()
        }
    }

    fn rulings(limit: &Limit, times: impl Iterator<Item = Nanos>) -> Vec<Ruling> {
        let limits = [limit.clone()];
        let mut model = Model::new(&limits);
        times
            .map(|now| model.rule(&call(b"1", b"+4420"), now))
            .collect()
    }

    #[test]
    fn the_first_max_calls_pass_and_after_a_few_that_may_all_are_rejected() {
        let found = rulings(&limit(), (0..20).map(|n| n * SECOND));
        assert!(
            found[..10].iter().all(|it| *it == Ruling::Pass),
            "{found:?}"
        );
        assert!(
            found[10..13].iter().all(|it| *it == Ruling::Either),
            "{found:?}"
        );
        assert!(
            found[13..].iter().all(|it| *it == Ruling::Reject(Some(0))),
            "{found:?}"
        );
        let held = Limit {
            hold: 3600 * SECOND,
            ..limit()
        };
        assert!(found_at_once(&held), "a hold that never was holds nobody");
        let later = [3000, 3611, 3613, 3615].map(|n| n * SECOND);
        let found = rulings(&held, (0..20).map(|n| n * SECOND).chain(later));
        assert_eq!(found[20], Ruling::Reject(Some(0)));
        // The hold began with the 11th to 14th call.
        assert_eq!(found[21..], [Ruling::Either, Ruling::Either, Ruling::Pass]);
    }

    /// Whether the first calls pass when all come within a moment.
    fn found_at_once(limit: &Limit) -> bool {
        let found = rulings(limit, (0..14).map(|n| n * 1000));
        found[..10].iter().all(|it| *it == Ruling::Pass) && found[13] == Ruling::Reject(Some(0))
    }

    #[test]
    fn a_window_slides_exactly_but_for_its_slack() {
        let ten = (0..10).map(|_| 0);
        for (last, ruling) in [
            (99 * SECOND, Ruling::Either),
            (112 * SECOND, Ruling::Either), // a server may count in steps
            (114 * SECOND, Ruling::Pass),
        ] {
            let found = rulings(&limit(), ten.clone().chain([last]));
            assert_eq!(found[10], ruling, "{last}");
        }
    }

    #[test]
    fn callers_and_numbers_count_for_themselves_and_spellings_do_not() {
        let limits = [limit()];
        let mut model = Model::new(&limits);
        for spelling in [
            "+4420", "0114420", "004420", "4420", "44-20", "%2b4420", "4420;a=b", "(44)20",
            "44%2020", "44.20",
        ] {
            assert_eq!(
                model.rule(&call(b"1", spelling.as_bytes()), 0),
                Ruling::Pass
            );
        }
        assert_ne!(model.rule(&call(b"1", b"4420"), 0), Ruling::Pass);
        assert_eq!(model.rule(&call(b"2", b"4420"), 0), Ruling::Pass);
        assert_eq!(model.rule(&call(b"1", b"4421"), 0), Ruling::Pass);
    }

    #[test]
    fn reported_calls_are_compared_not_counted() {
        let limits = [Limit {
            count: Count::ReportedCalls,
            window: 0,
            max: 3,
            ..limit()
        }];
        let mut model = Model::new(&limits);
        for (reported, ruling) in [
            ("3", Ruling::Pass),
            ("4", Ruling::Reject(Some(0))),
            ("", Ruling::Pass),
        ] {
            let mut call = call(b"1", b"+4420");
            call.reported_calls.set(reported.as_bytes());
            assert_eq!(model.rule(&call, 0), ruling, "{reported}");
        }
    }

    #[test]
    fn what_lists_reject_reaches_no_limit() {
        let limits = [limit()];
        let mut model = Model::new(&limits);
        let rejected = Call {
            expected: Expected::Reject,
            ..call(b"1", b"+4420")
        };
        for _ in 0..50 {
            assert_eq!(model.rule(&rejected, 0), Ruling::Pass);
        }
        assert_eq!(model.rule(&call(b"1", b"+4420"), 0), Ruling::Pass);
    }
}
