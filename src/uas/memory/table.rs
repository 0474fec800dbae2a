//! What happened lately: a table from keys to small values, one for all shards, which forgets after 32 seconds.
//!
//! Promises: no lock, no allocation after the start; a look-up reads one cache line; of two shards that remember the same
//! key at once exactly one succeeds, and the other is given its value; a full table forgets the oldest of eight.
//! Leaves to its users: what keys and values mean, and calling `sweep` now and then.
//!
//! Why exactly one: whoever finds a key absent replaces the oldest entry of its set by compare-and-swap. Which one that
//! is depends on the entries alone, not on the moment: time makes all of them older alike, and a sweep, which keeps the
//! oldest ones from coming round again, changes the choice only by changing the chosen entry itself. So a second shard
//! swaps at the same place, fails, looks again and finds the key. That holds however long a shard decides between looking
//! and entering: as long as nobody has entered anything in the chosen place, the choice is the same.

use crate::clock::Now;
use crate::limits::TRANSACTION_SECONDS;
use crate::sys::{self, Line, Lines};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Entries in one set, which is one cache line.
pub(super) const WAYS: usize = 8;

/// An entry: 46 bits of the key, 7 of the second it was made in, 11 of value. All zero: no entry.
const FINGERPRINT: u64 = !0 << FINGERPRINT_SHIFT;
const FINGERPRINT_SHIFT: u32 = 18;
const TICK_SHIFT: u32 = 11;
const TICK_MASK: u64 = 127;
const VALUE_MASK: u64 = (1 << TICK_SHIFT) - 1;

/// Values are less than this.
pub(super) const VALUES: usize = 1 << TICK_SHIFT;

/// What age an empty place counts as, and the oldest that a sweep leaves, seconds. Ages are told apart up to `AGE_MAX`, so
/// a sweep may be so much later than `AGE_SWEPT`; after that an old entry looks young, and a request that comes again,
/// octet for octet, after two minutes gets the answer of then.
pub const AGE_SWEPT: u8 = 64;

/// A shard that read the clock before another one may meet entries from its future, by so many seconds at most.
const AHEAD_MAX: u64 = 16;
const AGE_MAX: u64 = TICK_MASK - AHEAD_MAX;
const _: () = assert!(TRANSACTION_SECONDS < AGE_SWEPT && (AGE_SWEPT as u64) < AGE_MAX);

/// How often at least `sweep` must be called, seconds: with this there are 31 to spare.
pub const SWEEP_SECONDS: u64 = 16;
const _: () = assert!(AGE_SWEPT as u64 + SWEEP_SECONDS + 30 < AGE_MAX);

/// The key of an entry: a keyed hash, so that nobody can choose its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::uas) struct Key(pub(super) u64);

impl Key {
    /// Nobody's.
    pub(in crate::uas) const NONE: Self = Self(0);
}

/// What became of a value that was to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It is remembered, in place of an entry of this age in seconds (`AGE_SWEPT`: that or more, or none).
    New {
        /// Seconds, whole.
        replaced_age_s: u8,
    },
    /// The key was there already, with this value.
    Already(u16),
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    sets: Lines,
    mask: u64,
}

/// The second of `now`, as far as entries keep it.
fn tick(now: Now) -> u64 {
    (now.monotonic_ns / 1_000_000_000) & TICK_MASK
}

/// Seconds since the entry was made, above `AHEAD_MAX`: so that those from the future order rightly.
fn age_above(word: u64, tick: u64) -> u64 {
    tick.wrapping_sub(word >> TICK_SHIFT)
        .wrapping_add(AHEAD_MAX)
        & TICK_MASK
}

/// Whether the entry is young enough to be heeded. The clock's seconds are whole, so that is 32 to 33 of them.
fn is_remembered(word: u64, tick: u64) -> bool {
    age_above(word, tick) <= AHEAD_MAX + u64::from(TRANSACTION_SECONDS)
}

fn value(word: u64) -> u16 {
    u16::try_from(word & VALUE_MASK).unwrap_or_default()
}

/// The fingerprint of a key, in its place and never zero.
fn fingerprint(key: Key) -> u64 {
    (key.0 & FINGERPRINT).max(1 << FINGERPRINT_SHIFT)
}

fn word(fingerprint: u64, tick: u64, value: u16) -> u64 {
    fingerprint | tick << TICK_SHIFT | (u64::from(value) & VALUE_MASK)
}

impl Table {
    /// An empty table of so many entries, rounded up to a power of two of at least one set.
    pub(super) fn new(entries: usize) -> io::Result<Self> {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Ok(Self {
            sets: Lines::in_large_pages(sets)?,
            mask: u64::try_from(sets).unwrap_or(1).saturating_sub(1),
        })
    }

    /// How many entries it holds when full.
    pub(super) fn capacity(&self) -> usize {
        self.sets.len().saturating_mul(WAYS)
    }

    /// The set of a key. Its number is taken from other bits than the fingerprint while there are at most 2^18 sets.
    fn set(&self, key: Key) -> Option<&Line> {
        self.sets.get(usize::try_from(key.0 & self.mask).ok()?)
    }

    /// Asks for the cache line that the two below will read.
    pub(super) fn touch(&self, key: Key) {
        if let Some(set) = self.set(key) {
            sys::prefetch_read(set);
        }
    }

    /// The value that was remembered for this key in the last 32 seconds, else where it would be remembered.
    #[inline]
    pub(super) fn look(&self, key: Key, now: Now) -> Look<'_> {
        let (fingerprint, tick) = (fingerprint(key), tick(now));
        match self.set(key) {
            Some(set) => look(set, fingerprint, tick),
            None => Look::Unknown(Place::NONE),
        }
    }

    /// Remembers a value for a key that `look` did not find, in the place that it named then.
    #[inline]
    pub(super) fn enter(&self, place: Place<'_>, key: Key, value_new: u16, now: Now) -> Entered {
        let (fingerprint, tick) = (fingerprint(key), tick(now));
        let entry = word(fingerprint, tick, value_new);
        let mut place = place;
        // Each turn but the last means that another shard has entered something into this very set meanwhile.
        while let Some(free) = place.entry {
            let swapped =
                free.compare_exchange(place.word, entry, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_ok() {
                break;
            }
            place = match self.look(key, now) {
                Look::Known(value) => return Entered::Already(value),
                Look::Unknown(other) => other,
            };
        }
        let age = place.rank.saturating_sub(AHEAD_MAX + 1);
        let replaced = u8::try_from(age).unwrap_or(AGE_SWEPT).min(AGE_SWEPT);
        Entered::New {
            replaced_age_s: replaced,
        }
    }

    /// Keeps old entries from coming round: what is older than `AGE_SWEPT` is made as old as that. To be called every
    /// `SWEEP_SECONDS`, not on a shard; reads the whole table, 8 MB in about a millisecond.
    pub(super) fn sweep(&self, now: Now) {
        let tick = tick(now);
        let oldest = tick.wrapping_sub(u64::from(AGE_SWEPT)) & TICK_MASK;
        for entry in self.sets.iter().flat_map(|set| &set.0) {
            let old = entry.load(Ordering::Relaxed);
            if old == 0 || age_above(old, tick) <= AHEAD_MAX + u64::from(AGE_SWEPT) {
                continue;
            }
            let restamped = word(old & FINGERPRINT, oldest, value(old));
            // It fails when a shard has just put something else there, which is young.
            let _swapped =
                entry.compare_exchange(old, restamped, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

/// What a set says of a key.
#[derive(Debug)]
pub(super) enum Look<'s> {
    /// It is remembered with this value.
    Known(u16),
    /// It is not; here it may go.
    Unknown(Place<'s>),
}

/// A place in a set where a key may go, and what was there when it was looked at.
#[derive(Debug)]
pub(in crate::uas) struct Place<'s> {
    /// `None`: there is none, which no table has.
    entry: Option<&'s AtomicU64>,
    word: u64,
    /// One more than `age_above` has it, so that every entry outranks none; an empty place outranks every entry.
    rank: u64,
}

impl Place<'_> {
    const NONE: Self = Self {
        entry: None,
        word: 0,
        rank: RANK_EMPTY,
    };
}

const RANK_EMPTY: u64 = TICK_MASK + 2;

/// The key's value if it is young; else the place of this key, else of the oldest entry, the first among equals.
#[inline]
fn look(set: &Line, fingerprint: u64, tick: u64) -> Look<'_> {
    // Loaded once, and gone through twice: most keys are in no set, so the first pass is a few comparisons that end
    // nowhere, and the second one has no way out in the middle. One pass for both took twice the instructions.
    let words = set.0.each_ref().map(|entry| entry.load(Ordering::Acquire));
    let place = |way: usize, rank: u64| Place {
        entry: set.0.get(way),
        word: words.get(way).copied().unwrap_or(0),
        rank,
    };
    if let Some(way) = words
        .iter()
        .position(|word| word & FINGERPRINT == fingerprint)
    {
        let word = words.get(way).copied().unwrap_or(0);
        if is_remembered(word, tick) {
            return Look::Known(value(word));
        }
        return Look::Unknown(place(way, age_above(word, tick).wrapping_add(1)));
    }
    // Rank above the way's number counted from the end: of equals the first is the greatest.
    let mut oldest = 0;
    for (from_end, word) in (0_u64..).zip(words.iter().rev()) {
        let rank = if *word == 0 {
            RANK_EMPTY
        } else {
            age_above(*word, tick).wrapping_add(1)
        };
        oldest = oldest.max(rank << WAY_BITS | from_end);
    }
    let from_end = usize::try_from(oldest & ((1 << WAY_BITS) - 1)).unwrap_or(0);
    Look::Unknown(place(
        (WAYS - 1).saturating_sub(from_end),
        oldest >> WAY_BITS,
    ))
}

/// Bits of the number of a way.
const WAY_BITS: u32 = WAYS.trailing_zeros();
const _: () = assert!(WAYS.is_power_of_two());
