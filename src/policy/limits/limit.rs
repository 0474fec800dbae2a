//! One limit of a policy, ready: its identity, its keys, when it is in force and over what time.

use super::parts::{KEY_PARTS_MAX, Parts};
use crate::counters::{self, Key, KeyHasher, LimitId};
use crate::policy::code::Code;
use crate::policy::rows::{Count, During, LimitAction, LimitRow, Whereto, Who, Window};
use crate::policy::schedule::{Moment, Stretch};

#[derive(Debug)]
pub(super) struct Limit {
    /// Of the key by which it holds.
    pub(super) id: LimitId,
    /// What makes the key of its sum of that key.
    pub(super) sum: LimitId,
    /// Of the key that stands for all keys that found no room.
    pub(super) rest: LimitId,
    /// Which parts its key has, by their places in `Parts`, and how many.
    pub(super) by: [u8; KEY_PARTS_MAX],
    pub(super) by_count: u8,
    pub(super) who: Who,
    pub(super) to: Whereto,
    pub(super) count: Count,
    pub(super) window: Option<Window>,
    pub(super) warn: Option<u64>,
    pub(super) max: u64,
    pub(super) hold_s: Option<u32>,
    pub(super) during: During,
    pub(super) action: LimitAction,
    pub(super) code: Code,
}

impl Limit {
    pub(super) fn new(row: &LimitRow) -> Self {
        let identity = Identity::new(row);
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
            id: LimitId::new(&[&row.name, &identity.who, identity.to]),
            sum: LimitId::new(&["sum", identity.count, &identity.window]),
            rest: LimitId::new(&[
                "rest",
                &row.name,
                &identity.who,
                identity.to,
                identity.count,
                &identity.window,
            ]),
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

    /// Whether there is a sum: simultaneous calls are not counted here.
    pub(super) fn has_sum(&self) -> bool {
        self.count != Count::ReportedCalls
    }

    /// The key of its sum, by the one by which it holds.
    pub(super) fn sum_key(&self, key: &Key) -> Key {
        key.about(self.sum)
    }

    /// The key by which it holds.
    pub(super) fn key(&self, parts: &Parts, hasher: &KeyHasher) -> Key {
        let [a, b, c, d] = self.by.map(|place| parts.at(place));
        match self.by_count {
            1 => hasher.key(self.id, &[a]),
            2 => hasher.key(self.id, &[a, b]),
            3 => hasher.key(self.id, &[a, b, c]),
            _ => hasher.key(self.id, &[a, b, c, d]),
        }
    }

    pub(super) fn is_in_force(&self, moment: Option<&Moment>) -> bool {
        let works = |moment: &Moment| moment.working;
        match self.during {
            During::Always => true,
            During::WorkingHours => moment.is_some_and(works),
            During::OffHours => moment.is_some_and(|moment| !works(moment)),
        }
    }

    /// `None`: it has none.
    pub(super) fn window(&self, moment: Option<&Moment>) -> Option<counters::Window> {
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

/// What tells a limit from others besides its name, in words that stay as they are: what was saved is found by them.
///
/// Holds are known by name, whom and whereto, sums by the count and the window as well: another window is another sum, but
/// whom a limit holds it holds on. An edit of anything else changes neither.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    who: String,
    to: &'static str,
    count: &'static str,
    window: String,
}

impl Identity {
    fn new(row: &LimitRow) -> Self {
        let Who {
            subscriber,
            caller,
            address,
        } = row.who;
        let whom = [
            (subscriber, "subscriber"),
            (caller, "caller"),
            (address, "address"),
        ];
        let whom = whom.into_iter().filter(|(is_named, _)| *is_named);
        Self {
            who: whom.map(|(_, word)| word).collect::<Vec<_>>().join(" "),
            to: match row.to {
                Whereto::Number => "number",
                Whereto::Prefix => "prefix",
                Whereto::Country => "country",
                Whereto::Any => "any",
            },
            count: match row.count {
                Count::Attempts => "attempts",
                Count::Approved => "approved",
                Count::Exposure => "exposure",
                Count::ReportedCalls => "reported-calls",
            },
            window: match row.window {
                None => "none".to_owned(),
                Some(Window::Seconds(seconds)) => format!("{seconds} seconds"),
                Some(Window::Day) => "day".to_owned(),
                Some(Window::Period) => "period".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes a word here lifts every hold and begins every count anew at the next upgrade.
    #[test]
    fn a_limits_identity_is_made_of_words_that_stay_as_they_are() {
        let row = LimitRow {
            name: "pairs".to_owned(),
            who: Who {
                subscriber: true,
                caller: true,
                address: true,
            },
            to: Whereto::Number,
            count: Count::Attempts,
            window: Some(Window::Seconds(900)),
            warn: None,
            max: 10,
            hold_s: None,
            during: During::Always,
            action: LimitAction::Reject,
            code: Code::R13,
        };
        let words = |row: &LimitRow| {
            let Identity {
                who,
                to,
                count,
                window,
            } = Identity::new(row);
            format!("{who}, {to}, {count}, {window}")
        };
        assert_eq!(
            words(&row),
            "subscriber caller address, number, attempts, 900 seconds"
        );
        let others = [
            (
                Whereto::Prefix,
                Count::Approved,
                Some(Window::Day),
                ", prefix, approved, day",
            ),
            (
                Whereto::Country,
                Count::Exposure,
                Some(Window::Period),
                ", country, exposure, period",
            ),
            (
                Whereto::Any,
                Count::ReportedCalls,
                None,
                ", any, reported-calls, none",
            ),
        ];
        for (to, count, window, want) in others {
            let row = LimitRow {
                who: Who::default(),
                to,
                count,
                window,
                ..row.clone()
            };
            assert_eq!(words(&row), want);
        }
    }
}
