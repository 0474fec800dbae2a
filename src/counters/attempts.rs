//! Which transactions are one attempt: forks, an authentication retry, the same call by way of another node.
//!
//! Promises: no lock; up to four transactions within 32 seconds are one attempt; of two shards that meet the first two at
//! once exactly one is told `New`; what is told of an attempt first stands; a full table forgets the oldest of eight.
//! Leaves to its users: what is told of an attempt, and calling `sweep`.
//!
//! Why exactly one: as in the transaction memory, the place of a key that is absent depends on the entries alone, not on the
//! moment: it is the oldest entry of its set, and only its being replaced makes it younger.

use super::key::Key;
use super::types::{Attempt, Told};
use super::words::{AtomicU64, Line, Lines, Ordering, WAYS};
use crate::clock::Now;
use crate::limits::{ATTEMPT_TRANSACTIONS, COUNTERS_SWEEP_SECONDS, TRANSACTION_SECONDS};
use std::io;

/// A word: 43 bits of the key, 7 of the second of its first transaction, 2 of further transactions, 12 of what was told.
const TOLD_MASK: u64 = (1 << 12) - 1;
/// Nothing was told yet.
const PENDING: u64 = TOLD_MASK;
const FURTHER_SHIFT: u32 = 12;
const FURTHER_ONE: u64 = 1 << FURTHER_SHIFT;
const FURTHER_MASK: u64 = 3 << FURTHER_SHIFT;
const TICK_SHIFT: u32 = 14;
const TICK_MASK: u64 = 127;
const FINGERPRINT: u64 = !0 << 21;

const _: () = assert!(Told::COUNT as u64 == PENDING && ATTEMPT_TRANSACTIONS <= 4);

/// A shard that read the clock before another one may meet entries from its future, by so many seconds at most.
const AHEAD_MAX: u64 = 16;
/// The oldest that a sweep leaves, seconds, so that ages stay apart until the sweep after next.
const AGE_SWEPT: u64 = 64;
const _: () = assert!(
    AGE_SWEPT + 2 * COUNTERS_SWEEP_SECONDS < TICK_MASK - AHEAD_MAX
        && (TRANSACTION_SECONDS as u64) < AGE_SWEPT
);

/// The attempts of the last 32 seconds.
#[derive(Debug)]
pub(super) struct Attempts {
    sets: Lines,
    mask: u64,
}

fn tick(now: Now) -> u64 {
    (now.monotonic_ns / 1_000_000_000) & TICK_MASK
}

/// Seconds since the first transaction, above `AHEAD_MAX`.
fn age_above(word: u64, tick: u64) -> u64 {
    tick.wrapping_sub(word >> TICK_SHIFT)
        .wrapping_add(AHEAD_MAX)
        & TICK_MASK
}

fn is_known(word: u64, tick: u64) -> bool {
    word != 0 && age_above(word, tick) <= AHEAD_MAX + u64::from(TRANSACTION_SECONDS)
}

fn fingerprint(key: &Key) -> u64 {
    (key.name & FINGERPRINT).max(!FINGERPRINT + 1)
}

impl Attempts {
    pub(super) fn new(entries: usize) -> io::Result<Self> {
        let sets = entries.div_ceil(8).next_power_of_two();
        Ok(Self {
            sets: Lines::in_large_pages(sets)?,
            mask: u64::try_from(sets).unwrap_or(1).saturating_sub(1),
        })
    }

    /// The line that is read for a key.
    pub(super) fn set(&self, key: &Key) -> Option<&Line> {
        self.sets.get(usize::try_from(key.place & self.mask).ok()?)
    }

    /// Whether this transaction is one of an attempt that is known.
    #[inline]
    pub(super) fn attempt(&self, key: &Key, now: Now) -> Attempt {
        let (fingerprint, tick) = (fingerprint(key), tick(now));
        let first = fingerprint | tick << TICK_SHIFT | PENDING;
        let Some(set) = self.set(key) else {
            return Attempt::New;
        };
        // Each turn but the last means that another shard has changed this very set meanwhile.
        loop {
            let (way, word, is_its) = choose(set, fingerprint, tick);
            let is_of_it = is_its && is_known(word, tick);
            let same = is_of_it && further(word) + 1 < ATTEMPT_TRANSACTIONS;
            let next = if same { word + FURTHER_ONE } else { first };
            let swapped = way.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_err() {
                continue;
            }
            if !same {
                return Attempt::New;
            }
            return Attempt::Same(told_of(word));
        }
    }

    /// What was told of it, if anything was.
    pub(super) fn told(&self, key: &Key, now: Now) -> Option<Told> {
        let (fingerprint, tick) = (fingerprint(key), tick(now));
        let (_, word) = find(self.set(key)?, fingerprint)?;
        told_of(word).filter(|_| is_known(word, tick))
    }

    /// Tells it, unless something was told already. What stands.
    pub(super) fn settle(&self, key: &Key, told: Told, now: Now) -> Told {
        let (fingerprint, tick) = (fingerprint(key), tick(now));
        let Some(set) = self.set(key) else {
            return told;
        };
        loop {
            let Some((way, word)) = find(set, fingerprint) else {
                return told;
            };
            if !is_known(word, tick) {
                return told;
            }
            if let Some(stands) = told_of(word) {
                return stands;
            }
            let next = word & !TOLD_MASK | u64::from(told.0).min(PENDING - 1);
            let swapped = way.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_ok() {
                return told;
            }
        }
    }

    /// Keeps old entries from coming round.
    pub(super) fn sweep(&self, now: Now) {
        let tick = tick(now);
        let oldest = tick.wrapping_sub(AGE_SWEPT) & TICK_MASK;
        for way in self.sets.iter().flat_map(|set| &set.0) {
            let old = way.load(Ordering::Relaxed);
            if old == 0 || age_above(old, tick) <= AHEAD_MAX + AGE_SWEPT {
                continue;
            }
            let restamped = old & !(TICK_MASK << TICK_SHIFT) | oldest << TICK_SHIFT;
            // It fails when a shard has just put something else there, which is young.
            let _swapped =
                way.compare_exchange(old, restamped, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

/// `None`: nothing yet.
fn told_of(word: u64) -> Option<Told> {
    let told = u16::try_from(word & TOLD_MASK).ok()?;
    (u64::from(told) != PENDING).then_some(Told(told))
}

fn further(word: u64) -> u64 {
    (word & FURTHER_MASK) >> FURTHER_SHIFT
}

/// The place of this key, if it is there, young or old.
#[inline]
fn find(set: &Line, fingerprint: u64) -> Option<(&AtomicU64, u64)> {
    set.0.iter().find_map(|way| {
        let word = way.load(Ordering::Acquire);
        (word & FINGERPRINT == fingerprint).then_some((way, word))
    })
}

/// The place of this key, else of the oldest entry, absent ones before all, the first among equals; and whether the key is
/// there, young or old.
#[inline]
fn choose(set: &Line, fingerprint: u64, tick: u64) -> (&AtomicU64, u64, bool) {
    // Read once: who read a second time to find the oldest could miss the key that came in between, and enter it twice.
    let words = set.0.each_ref().map(|way| way.load(Ordering::Acquire));
    let [first, ..] = &set.0;
    let place = |at: usize| {
        let way = set.0.get(at).unwrap_or(first);
        (way, words.get(at).copied().unwrap_or(0))
    };
    let is_its = |word: &u64| word & FINGERPRINT == fingerprint;
    if let Some(at) = words.iter().position(is_its) {
        let (way, word) = place(at);
        return (way, word, true);
    }
    // Rank above the way's number counted from the end: of equals the first is the greatest. There is no branch, since nobody
    // could foretell it.
    let mut oldest = 0;
    for (from_end, word) in (0_u64..).zip(words.iter().rev()) {
        let rank = if *word == 0 {
            TICK_MASK + 1
        } else {
            age_above(*word, tick)
        };
        oldest = oldest.max(rank << WAY_BITS | from_end);
    }
    let from_end = usize::try_from(oldest & ((1 << WAY_BITS) - 1)).unwrap_or(0);
    let (way, word) = place((WAYS - 1).saturating_sub(from_end));
    (way, word, false)
}

/// Bits of the number of a way.
const WAY_BITS: u32 = WAYS.trailing_zeros();
const _: () = assert!(WAYS.is_power_of_two());
