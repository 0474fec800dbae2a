//! How rules count: the trait behind which the counters are, be they the node's, private ones of a replay, or only read.
//!
//! Promises: the policy names no table and no clock; every call gets the `now` of its batch.
//! Leaves to `counters`: how it is done; to the rules: which keys are made, and what a sum means.
//!
//! For each limit of a call: `held`, then `add`. A later transaction of the same attempt (`attempt` says so) takes over what was
//! said of it; as long as nothing was, limits are only read for it, and `settle` says what stands. `reported-calls` counts nothing and comes here only for its hold.

use crate::clock::Now;
use crate::counters::{
    Attempt, Count, Counted, Counters, Held, Key, KeyHasher, LimitId, NewHold, Owner, Part,
    Reserved, Seen, Sum, Told,
};

/// Counters, as the rules see them.
pub trait Counting {
    /// Makes the keys.
    fn hasher(&self) -> &KeyHasher;

    /// Asks for the first of two places in memory that `add` and its like read for a key: best for the whole batch, before
    /// any of them.
    fn touch(&self, key: &Key);

    /// Asks for what `held` reads: best for the whole batch, before any of it.
    fn touch_hold(&self, key: &Key);

    /// Asks for the second one, which the first one names: best for the whole batch, after `touch`. What `add` may be told of
    /// the key in the same batch.
    fn fetch(&self, key: &Key, owner: Owner) -> Seen;

    /// Adds, then compares. A sum at its maximum is read and not written.
    fn add(&self, count: &Count, now: Now) -> Counted;

    /// What `add` would come to, and nothing is changed. With an amount of 0: whether the sum is above the maximum as it is.
    fn peek(&self, count: &Count, now: Now) -> Counted;

    /// Takes back what `add` added, when the call was rejected after all.
    fn release(&self, reserved: &Reserved, now: Now);

    /// The hold in force on this key.
    fn held(&self, key: &Key, now: Now) -> Option<Held>;

    /// Places a hold, unless one is in force. Whether one is in force now: not if there is no room, which is counted.
    fn hold(&self, key: &Key, hold: &NewHold<'_>, now: Now) -> bool;

    /// Asks for what `attempt` reads: best for the whole batch, before any of it.
    fn touch_attempt(&self, key: &Key);

    /// Whether this transaction is one of an attempt that was seen in the last 32 seconds. The key is made of domain,
    /// Call-ID, From tag and called number.
    fn attempt(&self, key: &Key, now: Now) -> Attempt;

    /// What the limits said of an attempt, if they have spoken.
    fn told(&self, key: &Key, now: Now) -> Option<Told>;

    /// Says what the limits said of an attempt, unless that is known already. What stands: all transactions of an attempt are
    /// told the same, whichever shard was first.
    fn settle(&self, key: &Key, told: Told, now: Now) -> Told;
}

/// What an attempt is known by: its domain's word, its Call-ID and From tag, and what it calls.
pub(super) fn attempt_key(
    hasher: &KeyHasher,
    of_attempts: LimitId,
    domain: u64,
    [call_id, from_tag]: [&[u8]; 2],
    number: Part,
) -> Key {
    let parts = [
        Part::of_word(domain),
        hasher.part(call_id),
        hasher.part(from_tag),
        number,
    ];
    hasher.key(of_attempts, &parts)
}

/// Counters that are empty and stay so.
#[derive(Debug)]
pub struct Uncounted(KeyHasher);

impl Default for Uncounted {
    fn default() -> Self {
        Self(KeyHasher::new([0; 32]))
    }
}

impl Counting for Uncounted {
    fn hasher(&self) -> &KeyHasher {
        &self.0
    }

    fn touch(&self, _key: &Key) {}

    fn touch_hold(&self, _key: &Key) {}

    fn fetch(&self, _key: &Key, _owner: Owner) -> Seen {
        Seen::Unseen
    }

    fn add(&self, count: &Count, now: Now) -> Counted {
        self.peek(count, now)
    }

    fn peek(&self, count: &Count, _now: Now) -> Counted {
        Counted::Sum(Sum {
            total: count.amount,
            is_over: count.amount > count.max,
            is_warning: count.warn.is_some_and(|warn| count.amount >= warn),
            is_folded: false,
            reserved: None,
        })
    }

    fn release(&self, _reserved: &Reserved, _now: Now) {}

    fn held(&self, _key: &Key, _now: Now) -> Option<Held> {
        None
    }

    fn hold(&self, _key: &Key, _hold: &NewHold<'_>, _now: Now) -> bool {
        true
    }

    fn touch_attempt(&self, _key: &Key) {}

    fn attempt(&self, _key: &Key, _now: Now) -> Attempt {
        Attempt::New
    }

    fn told(&self, _key: &Key, _now: Now) -> Option<Told> {
        None
    }

    fn settle(&self, _key: &Key, told: Told, _now: Now) -> Told {
        told
    }
}

/// The counters as they stand: what a call would meet, and nothing is changed by asking.
#[derive(Debug)]
pub struct ReadOnly<'a, C>(pub &'a C);

impl<C: Counting> Counting for ReadOnly<'_, C> {
    fn hasher(&self) -> &KeyHasher {
        self.0.hasher()
    }

    fn touch(&self, key: &Key) {
        self.0.touch(key);
    }

    fn touch_hold(&self, key: &Key) {
        self.0.touch_hold(key);
    }

    fn fetch(&self, key: &Key, owner: Owner) -> Seen {
        self.0.fetch(key, owner)
    }

    fn add(&self, count: &Count, now: Now) -> Counted {
        self.0.peek(count, now)
    }

    fn peek(&self, count: &Count, now: Now) -> Counted {
        self.0.peek(count, now)
    }

    fn release(&self, _reserved: &Reserved, _now: Now) {}

    fn held(&self, key: &Key, now: Now) -> Option<Held> {
        self.0.held(key, now)
    }

    fn hold(&self, _key: &Key, _hold: &NewHold<'_>, _now: Now) -> bool {
        true
    }

    fn touch_attempt(&self, key: &Key) {
        self.0.touch_attempt(key);
    }

    fn attempt(&self, _key: &Key, _now: Now) -> Attempt {
        Attempt::New
    }

    fn told(&self, _key: &Key, _now: Now) -> Option<Told> {
        None
    }

    fn settle(&self, _key: &Key, told: Told, _now: Now) -> Told {
        told
    }
}

impl Counting for Counters {
    fn hasher(&self) -> &KeyHasher {
        self.hasher()
    }

    fn touch(&self, key: &Key) {
        self.touch(key);
    }

    fn touch_hold(&self, key: &Key) {
        self.touch_hold(key);
    }

    fn fetch(&self, key: &Key, owner: Owner) -> Seen {
        self.fetch(key, owner)
    }

    fn add(&self, count: &Count, now: Now) -> Counted {
        self.add(count, now)
    }

    fn peek(&self, count: &Count, now: Now) -> Counted {
        self.peek(count, now)
    }

    fn release(&self, reserved: &Reserved, now: Now) {
        self.release(reserved, now);
    }

    fn held(&self, key: &Key, now: Now) -> Option<Held> {
        self.held(key, now)
    }

    fn hold(&self, key: &Key, hold: &NewHold<'_>, now: Now) -> bool {
        self.hold(key, hold, now)
    }

    fn touch_attempt(&self, key: &Key) {
        self.touch_attempt(key);
    }

    fn attempt(&self, key: &Key, now: Now) -> Attempt {
        self.attempt(key, now)
    }

    fn told(&self, key: &Key, now: Now) -> Option<Told> {
        self.told(key, now)
    }

    fn settle(&self, key: &Key, told: Told, now: Now) -> Told {
        self.settle(key, told, now)
    }
}
