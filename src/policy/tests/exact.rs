//! Counters as simple as can be, which remember everything: what others are compared with.
//!
//! Promises: a sum over the last W seconds is over exactly these; nothing is ever full.
//! Leaves to its users: that they are used by one thread.

use super::super::counting::Counting;
use crate::clock::Now;
use crate::counters::{
    Attempt, Count, Counted, Held, Key, KeyHasher, NewHold, Owner, Reserved, Seen, Sum, Told,
    Window,
};
use std::cell::RefCell;
use std::collections::HashMap;

const ATTEMPT_NS: u64 = 32_000_000_000;
const ATTEMPT_TRANSACTIONS: u32 = 4;
const SECOND_NS: u64 = 1_000_000_000;

/// The exact counters.
pub(in crate::policy) struct Exact {
    hasher: KeyHasher,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    sums: HashMap<Key, Vec<Added>>,
    warned: HashMap<Key, Added>,
    holds: HashMap<Key, (u16, u64)>,
    attempts: HashMap<Key, (u64, u32, Option<Told>)>,
}

#[derive(Clone, Copy, PartialEq)]
struct Added {
    at_ns: u64,
    start_unix_s: u64,
    amount: u64,
}

impl Exact {
    pub(in crate::policy) fn new() -> Self {
        Self {
            hasher: KeyHasher::new([7; 32]),
            state: RefCell::default(),
        }
    }
}

fn counts(added: &Added, window: Window, now: Now) -> bool {
    match window {
        Window::Seconds(seconds) => now.monotonic_ns - added.at_ns < u64::from(seconds) * SECOND_NS,
        Window::Since { start_unix_s, .. } => added.start_unix_s == start_unix_s,
    }
}

fn added(count: &Count, now: Now) -> Added {
    Added {
        at_ns: now.monotonic_ns,
        start_unix_s: match count.window {
            Window::Seconds(_) => 0,
            Window::Since { start_unix_s, .. } => start_unix_s,
        },
        amount: count.amount,
    }
}

impl State {
    fn before(&self, count: &Count, now: Now) -> u64 {
        let all = self.sums.get(&count.key).into_iter().flatten();
        all.filter(|added| counts(added, count.window, now))
            .map(|added| added.amount)
            .sum()
    }
}

impl Counting for Exact {
    fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    fn touch(&self, _key: &Key) {}

    fn touch_hold(&self, _key: &Key) {}

    fn fetch(&self, _key: &Key, _owner: Owner) -> Seen {
        Seen::Unseen
    }

    fn add(&self, count: &Count, now: Now) -> Counted {
        let Counted::Sum(mut sum) = self.peek(count, now) else {
            return Counted::Full;
        };
        let mut state = self.state.borrow_mut();
        if sum.is_warning {
            state.warned.insert(count.key, added(count, now));
        }
        if sum.total - count.amount < count.max {
            let all = state.sums.entry(count.key).or_default();
            all.push(added(count, now));
            sum.reserved = Some(Reserved {
                key: count.key,
                tick: now.monotonic_ns,
                amount: count.amount,
                max: count.max,
                window: count.window,
            });
        }
        Counted::Sum(sum)
    }

    fn peek(&self, count: &Count, now: Now) -> Counted {
        let state = self.state.borrow();
        let total = state.before(count, now) + count.amount;
        let warned = state.warned.get(&count.key);
        Counted::Sum(Sum {
            total,
            is_over: total > count.max,
            is_warning: count.warn.is_some_and(|warn| total >= warn)
                && !warned.is_some_and(|warned| counts(warned, count.window, now)),
            is_folded: false,
            reserved: None,
        })
    }

    fn release(&self, reserved: &Reserved, _now: Now) {
        let mut state = self.state.borrow_mut();
        let all = state.sums.entry(reserved.key).or_default();
        let place = all
            .iter()
            .position(|one| one.at_ns == reserved.tick && one.amount == reserved.amount);
        all.remove(place.unwrap());
    }

    fn held(&self, key: &Key, now: Now) -> Option<Held> {
        let state = self.state.borrow();
        let &(code, until_ns) = state.holds.get(key)?;
        let left_ns = until_ns.checked_sub(now.monotonic_ns)?;
        (left_ns > 0).then(|| Held {
            code,
            left_s: u32::try_from(left_ns.div_ceil(SECOND_NS)).unwrap(),
        })
    }

    fn hold(&self, key: &Key, hold: &NewHold<'_>, now: Now) -> bool {
        if self.held(key, now).is_none() {
            let until_ns = now.monotonic_ns + u64::from(hold.seconds) * SECOND_NS;
            self.state
                .borrow_mut()
                .holds
                .insert(*key, (hold.code, until_ns));
        }
        true
    }

    fn touch_attempt(&self, _key: &Key) {}

    fn attempt(&self, key: &Key, now: Now) -> Attempt {
        let mut state = self.state.borrow_mut();
        match state.attempts.get_mut(key) {
            Some((first_ns, transactions, told))
                if now.monotonic_ns - *first_ns < ATTEMPT_NS
                    && *transactions < ATTEMPT_TRANSACTIONS =>
            {
                *transactions += 1;
                Attempt::Same(*told)
            }
            _ => {
                state.attempts.insert(*key, (now.monotonic_ns, 1, None));
                Attempt::New
            }
        }
    }

    fn told(&self, key: &Key, _now: Now) -> Option<Told> {
        self.state.borrow().attempts.get(key)?.2
    }

    fn settle(&self, key: &Key, told: Told, _now: Now) -> Told {
        let mut state = self.state.borrow_mut();
        let settled = state.attempts.get_mut(key);
        settled.map_or(told, |(_, _, settled)| *settled.get_or_insert(told))
    }
}

#[test]
fn the_exact_counters_count_hold_and_know_attempts() {
    use crate::counters::{HoldText, IfFull, LimitId, Owner, Part};
    let exact = Exact::new();
    let at = |seconds: u64| Now {
        monotonic_ns: seconds * SECOND_NS,
        unix_us: seconds * 1_000_000,
    };
    let key = exact.hasher().key(LimitId::new(&["a"]), &[]);
    let owner = Owner(Part::of_word(1));
    let count = Count {
        seen: Seen::Unseen,
        key,
        owner,
        if_full: IfFull::Refuse,
        window: Window::Seconds(10),
        amount: 1,
        warn: Some(2),
        max: 2,
    };
    let seen = [0, 1, 2, 9, 10, 11, 12].map(|second| match exact.add(&count, at(second)) {
        Counted::Sum(sum) => (sum.total, sum.is_over, sum.is_warning),
        Counted::Full => panic!("never full"),
    });
    let want = [
        (1, false, false),
        (2, false, true),
        (3, true, false),
        (3, true, false),
        (2, false, false),
        (2, false, true),
        (3, true, false),
    ];
    assert_eq!(seen, want);
    let text = HoldText::new([b""; HoldText::FIELDS]);
    let hold = NewHold {
        code: 13,
        seconds: 5,
        owner,
        text: &text,
    };
    assert!(exact.hold(&key, &hold, at(20)) && exact.hold(&key, &hold, at(22)));
    let left = [24, 25].map(|second| exact.held(&key, at(second)).map(|held| held.left_s));
    assert_eq!(left, [Some(1), None]);
    assert_eq!(exact.attempt(&key, at(30)), Attempt::New);
    assert_eq!(exact.attempt(&key, at(31)), Attempt::Same(None));
    assert_eq!(exact.told(&key, at(31)), None);
    assert_eq!(exact.settle(&key, Told(3), at(31)), Told(3));
    assert_eq!(exact.settle(&key, Told(4), at(31)), Told(3));
    assert_eq!(exact.told(&key, at(31)), Some(Told(3)));
    assert_eq!(exact.attempt(&key, at(61)), Attempt::Same(Some(Told(3))));
    assert_eq!(exact.attempt(&key, at(62)), Attempt::New);
}
