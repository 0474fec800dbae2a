//! What a call will be counted by, worked out stage by stage before it is decided, so that the memory of the counters can be
//! asked for in time.
//!
//! Promises: what was foreseen changes nothing but speed; it is of use with the snapshot and the counters that made it.
//! Leaves to `limits`: counting.

use super::Limits;
use super::parts::Parts;
use crate::counters::{Key, KeyHasher, Owner, Part, Seen};
use crate::e164::E164;
use crate::limits::LIMITS_PER_POLICY_MAX;
use crate::policy::counting::{Counting, attempt_key};
use std::net::IpAddr;

/// What a call will be counted by. Made once and filled anew for every call.
#[derive(Debug, Clone)]
pub struct Foreseen {
    stage: Stage,
    /// What the limits know the attempt by.
    pub(super) attempt: Key,
    pub(super) parts: Parts,
    /// By which every limit holds; of it the key of its sum is made.
    pub(super) keys: [Key; LIMITS_PER_POLICY_MAX],
    /// What was seen of the keys of the sums.
    pub(super) seen: [Seen; LIMITS_PER_POLICY_MAX],
    /// Row of the destination table, and how many digits of the number are its prefix.
    destination: Option<(u32, u8)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    Attempt,
    Keys,
}

/// What a limit may count a call by. Words are hashes of what operators chose; the octets are the caller's.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Whose<'a> {
    /// Of the domain's name.
    pub(in crate::policy) domain: u64,
    /// Of the domain's and the subscriber's name.
    pub(in crate::policy) subscriber: u64,
    /// The caller.
    pub(in crate::policy) caller: &'a [u8],
    /// The caller's address.
    pub(in crate::policy) address: IpAddr,
    /// What was called.
    pub(in crate::policy) number: Part,
    /// What tells one attempt from another besides domain and number.
    pub(in crate::policy) call_id: &'a [u8],
    /// See `call_id`.
    pub(in crate::policy) from_tag: &'a [u8],
}

impl Default for Foreseen {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl Foreseen {
    /// Nothing is.
    pub const NOTHING: Self = Self {
        stage: Stage::Nothing,
        attempt: Key::UNUSED,
        parts: Parts([Part::of_word(0); 8]),
        keys: [Key::UNUSED; LIMITS_PER_POLICY_MAX],
        seen: [Seen::Unseen; LIMITS_PER_POLICY_MAX],
        destination: None,
    };

    /// Forgets the last call.
    pub fn clear(&mut self) {
        self.stage = Stage::Nothing;
    }

    /// The attempt's key, once it is known.
    pub(in crate::policy) fn attempt(&self) -> Option<&Key> {
        (self.stage != Stage::Nothing).then_some(&self.attempt)
    }

    /// Whose share of the counters its keys take.
    pub(super) fn owner(&self) -> Owner {
        Owner(self.parts.subscriber())
    }

    /// The destination, once it is looked up.
    pub(in crate::policy) fn destination(&self) -> Option<Option<(u32, u8)>> {
        (self.stage == Stage::Keys).then_some(self.destination)
    }
}

impl Limits {
    /// Whether some limit counts by caller.
    pub(in crate::policy) fn want_caller(&self) -> bool {
        self.who.caller
    }

    /// First: what the call itself says.
    pub(in crate::policy) fn foresee(
        &self,
        whose: &Whose<'_>,
        hasher: &KeyHasher,
        foreseen: &mut Foreseen,
    ) {
        let texts = [whose.call_id, whose.from_tag];
        foreseen.attempt = attempt_key(hasher, self.attempt, whose.domain, texts, whose.number);
        let unused = Part::of_word(0);
        // In the order of their places.
        foreseen.parts = Parts([
            Part::of_word(whose.domain),
            Part::of_word(whose.subscriber),
            if self.who.caller {
                hasher.part(whose.caller)
            } else {
                unused
            },
            if self.who.address {
                hasher.address(whose.address)
            } else {
                unused
            },
            whose.number,
            unused,
            unused,
            unused,
        ]);
        foreseen.stage = Stage::Attempt;
    }

    /// Second: the keys, by what the destination table says of the number.
    pub(in crate::policy) fn foresee_keys(
        &self,
        destination: Option<(u32, u8)>,
        (prefix, country): (Option<E164>, u64),
        hasher: &KeyHasher,
        foreseen: &mut Foreseen,
    ) {
        foreseen.destination = destination;
        let Parts([.., of_prefix, of_country, _]) = &mut foreseen.parts;
        *of_prefix = Part::of_word(prefix.map_or(0, E164::key));
        *of_country = Part::of_word(country);
        let places = foreseen.keys.iter_mut().zip(&mut foreseen.seen);
        for ((key, seen), limit) in places.zip(&self.limits) {
            *seen = Seen::Unseen;
            // A limit of simultaneous calls counts nothing; only its hold has a key.
            if limit.has_sum() || limit.hold_s.is_some() {
                *key = limit.key(&foreseen.parts, hasher);
            }
        }
        foreseen.stage = Stage::Keys;
    }

    /// Asks for the first of two places in memory of each limit.
    pub(in crate::policy) fn touch<C: Counting>(&self, foreseen: &Foreseen, counts: &C) {
        for (key, limit) in foreseen.keys.iter().zip(&self.limits) {
            if limit.has_sum() {
                counts.touch(&limit.sum_key(key));
            }
            if limit.hold_s.is_some() {
                counts.touch_hold(key);
            }
        }
    }

    /// Asks for the second ones, which the first ones name.
    pub(in crate::policy) fn fetch<C: Counting>(&self, foreseen: &mut Foreseen, counts: &C) {
        let owner = foreseen.owner();
        let places = foreseen.keys.iter().zip(&mut foreseen.seen);
        for ((key, seen), limit) in places.zip(&self.limits) {
            if limit.has_sum() {
                *seen = counts.fetch(&limit.sum_key(key), owner);
            }
        }
    }
}
