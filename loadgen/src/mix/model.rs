//! The generator's own model of limits: which calls of a mix a server with these limits must reject, may reject, must approve.
//!
//! Promises: written from what limits mean, not from any server: exact sliding windows over the mix's own times, days and stretches of working
//! hours by a clock that whoever makes the model sets. Where servers may differ (a window that ends in coarser steps, a few calls let through by
//! parallel shards, whether calls past the maximum still count, a call at the very change of hours), either verdict is right.
//! Leaves to `part`: what lists and destinations say; a call that they reject reaches no limit.
//!
//! Holds come before limits; a held call reaches none. A hold has a fixed length, which further calls do not extend.

use std::collections::{HashMap, VecDeque};

use super::terms::{Terms, day_of};
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
    /// What the calls that were approved are taken to cost, in millionths.
    Exposure,
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
            Self::Exposure => "exposure",
            Self::ReportedCalls => "reported-calls",
        }
    }
}

/// What of the called numbers counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Nothing: all count together.
    Any,
    /// Each number.
    Number,
    /// Each prefix of the destinations.
    Prefix,
    /// Each country of theirs.
    Country,
}

/// For how long calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Not at all, with [`Count::ReportedCalls`].
    None,
    /// So long.
    Sliding(Nanos),
    /// Since midnight.
    Day,
    /// Since the stretch of working or off hours began.
    Period,
}

/// When a limit is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum During {
    /// At all hours.
    Always,
    /// While work is done.
    WorkingHours,
    /// While it is not.
    OffHours,
}

impl To {
    /// The word of policies and mixes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Number => "number",
            Self::Prefix => "prefix",
            Self::Country => "country",
        }
    }
}

impl During {
    /// The word of policies and mixes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::WorkingHours => "working-hours",
            Self::OffHours => "off-hours",
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
    /// What of the called numbers counts for itself.
    pub to: To,
    /// What is counted.
    pub count: Count,
    /// For how long calls count.
    pub window: Window,
    /// When it is in force.
    pub during: During,
    /// Calls 1 to this pass, the next one does not; with [`Count::Exposure`] in millionths.
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
    terms: &'l Terms,
    /// What the clock on the wall says when the first call may come, in nanoseconds since 1970.
    begins: Nanos,
    keys: Vec<HashMap<Vec<u8>, Key>>,
}

#[derive(Debug, Default)]
struct Key {
    /// What counts.
    counted: VecDeque<Counted>,
    /// The first call with which the hold that may be in force may have begun.
    since: Nanos,
    /// Until when the key is held for certain.
    held: Nanos,
    /// Until when it may be held.
    maybe_held: Nanos,
}

/// A call that counts.
#[derive(Debug, Clone, Copy)]
struct Counted {
    time: Nanos,
    /// 1, or what it is taken to cost.
    weight: u64,
    /// Whether it counts for certain.
    sure: bool,
}

/// What a limit makes of a call, all others left aside.
#[derive(Debug, Clone, Copy)]
struct Finding {
    /// It fires for certain.
    sure: bool,
    /// It may fire.
    possible: bool,
    /// Whether it is in force for certain; `None`: it is not, for certain.
    in_force: Option<bool>,
    weight: u64,
}

impl<'l> Model<'l> {
    /// Empty windows; `begins` is what the clock on the wall says at time 0, in nanoseconds since 1970.
    #[must_use]
    pub fn new(limits: &'l [Limit], terms: &'l Terms, begins: Nanos) -> Self {
        Self {
            limits,
            terms,
            begins,
            keys: limits.iter().map(|_| HashMap::new()).collect(),
        }
    }

    /// What the limits say of a call that comes at `now`, not before the one before.
    ///
    /// # Errors
    /// A sentence for the operator: a limit goes by the destination of a number of which the mix does not say any.
    pub fn rule(&mut self, call: &Call, now: Nanos) -> Result<Ruling, String> {
        if call.datagram != Datagram::Invite || call.expected != Expected::Approve {
            return Ok(Ruling::Pass);
        }
        let number = digits(call.user.as_bytes());
        let names = self
            .limits
            .iter()
            .map(|limit| key_of(limit, self.terms, call, &number))
            .collect::<Result<Vec<Vec<u8>>, String>>()?;
        let maybe_held = match self.held(&names, now) {
            Ok(maybe) => maybe,
            Err(ruling) => return Ok(ruling),
        };
        let findings: Vec<Finding> = (0..self.limits.len())
            .filter_map(|place| self.finding(place, call, &number, names.get(place)?, now))
            .collect();
        let ruling = self.ruling(&findings, maybe_held);
        let keys = self.limits.iter().zip(&mut self.keys);
        for (((limit, keys), name), finding) in keys.zip(names).zip(findings) {
            if finding.in_force.is_some() {
                let key = keys.entry(name).or_default();
                key.take(limit, now, ruling, finding, maybe_held);
            }
        }
        Ok(ruling)
    }

    /// Whether a hold may be in force; a ruling if one is for certain.
    fn held(&self, names: &[Vec<u8>], now: Nanos) -> Result<bool, Ruling> {
        let mut maybe_held = false;
        let keys = self.limits.iter().zip(&self.keys).zip(names);
        for (place, ((limit, keys), name)) in (0_u8..).zip(keys) {
            let jitter = JITTER.min(limit.hold / 10);
            let Some(key) = keys.get(name).filter(|_| limit.hold > 0) else {
                continue;
            };
            if now + jitter < key.held {
                let certain = self.limits.len() == 1;
                return Err(Ruling::Reject(certain.then_some(place)));
            }
            maybe_held |= key.maybe_held > 0 && now < key.maybe_held + jitter;
        }
        Ok(maybe_held)
    }

    fn finding(
        &mut self,
        place: usize,
        call: &Call,
        number: &[u8],
        name: &[u8],
        now: Nanos,
    ) -> Option<Finding> {
        let (limit, keys) = (self.limits.get(place)?, self.keys.get_mut(place)?);
        let clock = Clock {
            terms: self.terms,
            begins: self.begins,
        };
        let in_force = clock.in_force(limit.during, now);
        let weight = match limit.count {
            Count::Attempts | Count::Approved => 1,
            Count::Exposure => self.terms.cost_of(number),
            Count::ReportedCalls => 0,
        };
        let finding = |sure: bool, possible: bool| Finding {
            sure: sure && in_force == Some(true),
            possible: possible && in_force.is_some(),
            in_force,
            weight,
        };
        if limit.count == Count::ReportedCalls {
            let text = str::from_utf8(call.reported_calls.as_bytes()).unwrap_or_default();
            let fires = text.parse().unwrap_or(0_u64) > limit.max;
            return Some(finding(fires, fires));
        }
        let key = keys.entry(name.to_vec()).or_default();
        let sums = key.sums(limit, &clock, now);
        // Each call in doubt was counted, or turned down, or let through by shards that counted at the same moment: of
        // those there are so many at most.
        let full = sums.sure + weight > limit.max;
        let sure = weight > limit.max || (full && sums.in_doubt >= OVER_MAX);
        Some(finding(sure, sums.most + weight > limit.max))
    }

    fn ruling(&self, findings: &[Finding], maybe_held: bool) -> Ruling {
        let mut fired: Option<u8> = None;
        let mut maybe = maybe_held;
        let mut certain_code = true;
        for (place, finding) in (0_u8..).zip(findings) {
            if finding.possible && fired.is_none() {
                certain_code = !maybe;
                if finding.sure {
                    fired = Some(place);
                }
            }
            maybe |= finding.possible;
        }
        match (fired, maybe) {
            (Some(place), _) => {
                let certain = self.limits.len() == 1 || (certain_code && !maybe_held);
                Ruling::Reject(certain.then_some(place))
            }
            (None, true) => Ruling::Either,
            (None, false) => Ruling::Pass,
        }
    }
}

/// What a limit's hours and days go by.
struct Clock<'l> {
    terms: &'l Terms,
    begins: Nanos,
}

impl Clock<'_> {
    /// Whether a limit is in force for certain; `None`: it is not, for certain.
    fn in_force(&self, during: During, now: Nanos) -> Option<bool> {
        let [before, after] = self
            .around(now)
            .map(|time| self.terms.hours.are_worked(time));
        let (sure, maybe) = match during {
            During::Always => (true, true),
            During::WorkingHours => (before && after, before || after),
            During::OffHours => (!before && !after, !before || !after),
        };
        maybe.then_some(sure)
    }

    /// The two times on the wall between which a call is decided.
    fn around(&self, now: Nanos) -> [Nanos; 2] {
        let time = self.begins + now;
        [time.saturating_sub(JITTER), time + JITTER]
    }

    /// Whether a call at `then` counts at `now`, for certain and perhaps.
    fn counts(&self, window: Window, then: Nanos, now: Nanos) -> (bool, bool) {
        let begin = |time: Nanos| match window {
            Window::Day => day_of(time),
            Window::Period | Window::None | Window::Sliding(_) => self.terms.hours.stretch_of(time),
        };
        match window {
            Window::None => (false, false),
            Window::Sliding(length) => {
                let jitter = JITTER.min(length / 10);
                let age = now - then;
                let longest = length + length / WINDOW_SLACK + jitter;
                (age < length - jitter, age <= longest)
            }
            Window::Day | Window::Period => {
                let [earliest, latest] = self.around(then).map(begin);
                let [from, to] = self.around(now).map(begin);
                (
                    earliest == latest && latest == from && from == to,
                    latest >= from,
                )
            }
        }
    }
}

/// What counts at a moment, without the call that is being judged.
struct Sums {
    /// What counts for certain.
    sure: u64,
    /// Calls that are in the window for certain, but of which it is not certain that they count.
    in_doubt: u64,
    /// The most that it can be.
    most: u64,
}

impl Key {
    fn sums(&mut self, limit: &Limit, clock: &Clock<'_>, now: Nanos) -> Sums {
        let counts = |call: &Counted| clock.counts(limit.window, call.time, now);
        while self.counted.front().is_some_and(|call| !counts(call).1) {
            self.counted.pop_front();
        }
        let mut sums = Sums {
            sure: 0,
            in_doubt: 0,
            most: 0,
        };
        for call in &self.counted {
            let (certain, possible) = counts(call);
            sums.most += if possible { call.weight } else { 0 };
            match (certain, call.sure) {
                (true, true) => sums.sure += call.weight,
                (true, false) => sums.in_doubt += 1,
                (false, _) => {}
            }
        }
        sums
    }

    fn take(
        &mut self,
        limit: &Limit,
        now: Nanos,
        ruling: Ruling,
        finding: Finding,
        maybe_held: bool,
    ) {
        let weight = finding.weight;
        let in_force = finding.in_force == Some(true);
        let sure = match (limit.count, ruling) {
            (Count::ReportedCalls, _) | (Count::Approved | Count::Exposure, Ruling::Reject(_)) => {
                None
            }
            (Count::Approved | Count::Exposure, Ruling::Pass) => Some(in_force),
            (Count::Approved | Count::Exposure, Ruling::Either) => Some(false),
            // Past its maximum a key need not count.
            (Count::Attempts, _) => Some(in_force && !finding.possible && !maybe_held),
        };
        if let Some(sure) = sure {
            self.counted.push_back(Counted {
                time: now,
                weight,
                sure,
            });
        }
        if limit.hold == 0 || !finding.possible {
            return;
        }
        if now >= self.maybe_held {
            self.since = now;
        }
        self.maybe_held = self.maybe_held.max(now + limit.hold);
        if finding.sure {
            // It has fired by now, with this call or with one of those that it may have let through.
            self.held = self.held.max(self.since + limit.hold);
        }
    }
}

fn key_of(limit: &Limit, terms: &Terms, call: &Call, number: &[u8]) -> Result<Vec<u8>, String> {
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
    let destination = || {
        terms.destination_of(number).ok_or_else(|| {
            format!(
                "limit `{}` counts by {}, but no row of `destinations` says where {} is",
                limit.name,
                limit.to.word(),
                String::from_utf8_lossy(number)
            )
        })
    };
    match limit.to {
        To::Any => {}
        To::Number => key.extend_from_slice(number),
        To::Prefix => key.extend_from_slice(destination()?.prefix.as_bytes()),
        To::Country => key.extend_from_slice(destination()?.country.as_bytes()),
    }
    Ok(key)
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
            to: To::Number,
            count: Count::Attempts,
            window: Window::Sliding(100 * SECOND),
            during: During::Always,
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
        let terms = Terms::default();
        let mut model = Model::new(&limits, &terms, 0);
        times
            .map(|now| model.rule(&call(b"1", b"+4420"), now).unwrap())
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
        let terms = Terms::default();
        let mut model = Model::new(&limits, &terms, 0);
        for spelling in [
            "+4420", "0114420", "004420", "4420", "44-20", "%2b4420", "4420;a=b", "(44)20",
            "44%2020", "44.20",
        ] {
            assert_eq!(
                model.rule(&call(b"1", spelling.as_bytes()), 0).unwrap(),
                Ruling::Pass
            );
        }
        assert_ne!(model.rule(&call(b"1", b"4420"), 0).unwrap(), Ruling::Pass);
        assert_eq!(model.rule(&call(b"2", b"4420"), 0).unwrap(), Ruling::Pass);
        assert_eq!(model.rule(&call(b"1", b"4421"), 0).unwrap(), Ruling::Pass);
    }

    #[test]
    fn reported_calls_are_compared_not_counted() {
        let limits = [Limit {
            count: Count::ReportedCalls,
            window: Window::None,
            max: 3,
            ..limit()
        }];
        let terms = Terms::default();
        let mut model = Model::new(&limits, &terms, 0);
        for (reported, ruling) in [
            ("3", Ruling::Pass),
            ("4", Ruling::Reject(Some(0))),
            ("", Ruling::Pass),
        ] {
            let mut call = call(b"1", b"+4420");
            call.reported_calls.set(reported.as_bytes());
            assert_eq!(model.rule(&call, 0).unwrap(), ruling, "{reported}");
        }
    }

    #[test]
    fn what_lists_reject_reaches_no_limit() {
        let limits = [limit()];
        let terms = Terms::default();
        let mut model = Model::new(&limits, &terms, 0);
        let rejected = Call {
            expected: Expected::Reject,
            ..call(b"1", b"+4420")
        };
        for _ in 0..50 {
            assert_eq!(model.rule(&rejected, 0).unwrap(), Ruling::Pass);
        }
        assert_eq!(model.rule(&call(b"1", b"+4420"), 0).unwrap(), Ruling::Pass);
    }

    /// 23 November 2026, a Monday, at 16:59:00 UTC.
    const BEFORE_FIVE: Nanos = (1_795_392_000 + 17 * 3600 - 60) * SECOND;

    fn office() -> Terms {
        let mut terms = Terms::default();
        let days = 0..5;
        terms
            .hours
            .add("mon-fri 09:00-17:00", days, (9 * 60, 17 * 60));
        terms
    }

    #[test]
    fn a_limit_of_off_hours_begins_to_count_when_work_ends() {
        let limits = [Limit {
            during: During::OffHours,
            max: 2,
            ..limit()
        }];
        let terms = office();
        let mut model = Model::new(&limits, &terms, BEFORE_FIVE);
        let mut at = |seconds: u64| {
            let now = seconds * SECOND;
            model.rule(&call(b"1", b"+4420"), now).unwrap()
        };
        for seconds in 0..50 {
            assert_eq!(at(seconds), Ruling::Pass, "{seconds}");
        }
        assert_eq!(at(60), Ruling::Pass); // at five o'clock: it may count or not
        assert_eq!(at(70), Ruling::Pass);
        assert_eq!(at(71), Ruling::Either); // the second or the third
        assert_eq!(at(72), Ruling::Either);
    }

    #[test]
    fn a_period_ends_with_its_hours_and_a_day_at_midnight() {
        for (window, ends) in [(Window::Period, 60), (Window::Day, 7 * 3600 + 60)] {
            let limits = [Limit {
                window,
                count: Count::Approved,
                max: 2,
                ..limit()
            }];
            let terms = office();
            let mut model = Model::new(&limits, &terms, BEFORE_FIVE);
            let mut at = |seconds: u64| {
                let now = seconds * SECOND;
                model.rule(&call(b"1", b"+4420"), now).unwrap()
            };
            assert_eq!([0, 1].map(&mut at), [Ruling::Pass; 2], "{window:?}");
            assert_eq!([2, 3, 4].map(&mut at), [Ruling::Either; 3], "{window:?}");
            assert_eq!(at(ends - 5), Ruling::Reject(Some(0)), "{window:?}");
            assert_eq!(at(ends), Ruling::Either, "{window:?}");
            assert_eq!(at(ends + 5), Ruling::Pass, "{window:?}");
        }
    }

    #[test]
    fn exposure_adds_up_what_calls_cost() {
        let limits = [Limit {
            count: Count::Exposure,
            to: To::Any,
            max: 1_000_000,
            ..limit()
        }];
        let rate = |prefix: &str, micros| super::super::terms::Rate {
            prefix: prefix.to_owned(),
            micros,
            row: String::new(),
        };
        let terms = Terms {
            rates: vec![rate("44", 100_000), rate("882", 5_000_000)],
            assumed_minutes: Some(3),
            ..Terms::default()
        };
        let mut model = Model::new(&limits, &terms, 0);
        let mut dial = |user: &[u8]| model.rule(&call(b"1", user), 0).unwrap();
        assert_eq!(dial(b"+8821"), Ruling::Reject(Some(0))); // 15 at once
        for _ in 0..3 {
            assert_eq!(dial(b"+4420"), Ruling::Pass); // 0.3 each
        }
        for _ in 0..3 {
            assert_eq!(dial(b"+4420"), Ruling::Either);
        }
        assert_eq!(dial(b"+4420"), Ruling::Reject(Some(0)));
        assert_eq!(dial(b"+39061"), Ruling::Either); // it costs nothing
    }

    #[test]
    fn a_prefix_and_a_country_count_all_their_numbers() {
        let row = |prefix: &str| super::super::terms::Destination {
            prefix: prefix.to_owned(),
            country: "GB".to_owned(),
            row: String::new(),
        };
        let terms = Terms {
            destinations: vec![row("4420"), row("4478")],
            ..Terms::default()
        };
        for (to, other) in [
            (To::Prefix, Ruling::Pass),
            (To::Country, Ruling::Either),
            (To::Any, Ruling::Either),
        ] {
            let limits = [Limit {
                to,
                max: 2,
                ..limit()
            }];
            let mut model = Model::new(&limits, &terms, 0);
            let mut dial = |user: &[u8]| model.rule(&call(b"1", user), 0);
            assert_eq!(dial(b"+44201"), Ok(Ruling::Pass));
            assert_eq!(dial(b"+44202"), Ok(Ruling::Pass));
            assert_eq!(dial(b"+44781"), Ok(other), "{to:?}");
            assert_eq!(dial(b"+44203"), Ok(Ruling::Either), "{to:?}");
            let abroad = dial(b"+39061");
            assert_eq!(abroad.is_err(), to != To::Any, "{to:?}");
        }
    }
}
