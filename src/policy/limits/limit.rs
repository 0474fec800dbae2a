//! One limit of a policy, ready: its identity, its keys, when it is in force and over what time.

use super::parts::{KEY_PARTS_MAX, Parts};
use crate::counters::{self, Key, KeyHasher, LimitId};
use crate::policy::code::Code;
use crate::policy::rows::{Count, During, LimitAction, LimitRow, Whereto, Who, Window};
use crate::policy::schedule::{Moment, Stretch};

#[derive(Debug)]
pub(super) struct Limit {
    pub(super) id: LimitId,
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
    pub(super) fn has_key(&self) -> bool {
        self.count != Count::ReportedCalls || self.hold_s.is_some()
    }

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
