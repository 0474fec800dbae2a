//! The counters of a node: one table for all shards.
//!
//! Promises: no lock, no allocation after the start; of a window never more than its maximum passes, whatever the shards do at
//! once; no key takes another one's place, and no owner more than its share; a key that expired is used again.
//! Leaves to its users: calling `sweep` every 16 seconds, and saving.

use super::attempts::Attempts;
use super::holds::{HoldEntry, Holds};
use super::index::{Entered, Index};
use super::key::{Key, KeyHasher, SEED_BYTES};
use super::pool::{Owners, Pool, add_below};
use super::sum::{AMOUNT_MAX, Added, Cells, Terms, since};
use super::types::{
    Attempt, Count, Counted, Held, IfFull, NewHold, Owner, Reserved, Seen, Sum, Told, Window,
};
use super::words::{AtomicU64, Line, Lines, Ordering};
use crate::clock::Now;
use crate::limits::{
    COUNTERS_PER_OWNER_DIVISOR, COUNTERS_RESERVE_DIVISOR, COUNTERS_SWEEP_SECONDS, HOLDS_MAX,
};
use crate::sys;
use std::cell::Cell;
use std::fmt;
use std::io;

/// Windows longer than this have two lines, seconds.
const SHORT_SECONDS_MAX: u32 = 3600;

/// A record's number says of which pool it is.
pub(super) const LONG: u32 = 1 << 27;
const _: () = assert!(LONG < super::index::RECORDS);

/// Bits of a name that say in which steps the history is kept. Amounts have forty bits, so it is less than this.
pub(super) const SHIFT_BITS: u64 = 31;

/// How long a day or a period may last at most, seconds: an end farther off is a fault of whoever says so.
const SINCE_SECONDS_MAX: u64 = 400 * 24 * 3600;

/// What a table is made of.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Keys with a count of their own.
    pub keys: u32,
    /// Attempts that are known for 32 seconds.
    pub attempts: usize,
}

/// How full the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Keys that have a count of their own.
    pub used: u64,
    /// Keys there is room for.
    pub capacity: u64,
    /// Owners who have as many as one may have.
    pub owners_at_share: u64,
    /// How often a key found no room, since the start.
    pub without_room: u64,
    /// Holds in force, or expired within the last half minute.
    pub holds: u64,
    /// How often a hold found no room, since the start.
    pub holds_without_room: u64,
}

/// The counters.
pub struct Counters {
    hasher: KeyHasher,
    pub(super) index: Index,
    short: Pool,
    long: Pool,
    pub(super) owners: Owners,
    capacity: u64,
    used: AtomicU64,
    without_room: AtomicU64,
    pub(super) holds: Holds,
    attempts: Attempts,
    /// Until when a key may have records with histories in different steps, seconds of the tables' time: for a window after
    /// an edit of a maximum.
    pub(super) steps_differ_until_s: AtomicU64,
    /// Added to the monotonic clock, microseconds: a restart goes on with the time of before.
    pub(super) ahead_us: AtomicU64,
    /// When the last sweep was, microseconds, and how many freeings there were: of the sweeping thread.
    swept_us: AtomicU64,
    freed: AtomicU64,
}

impl fmt::Debug for Counters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Counters")
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

/// What a count comes to once its window is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Since a begin, by its tag.
    Since(u64),
    /// Up to an hour, with its tick.
    Short(u64),
    /// Above.
    Long(u64),
}

/// A reading of the clocks, worked out once for all that an addition wants of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The tables' time, microseconds.
    time_us: u64,
    /// The same, seconds.
    pub(super) now_s: u64,
    /// Seconds since 1970 UTC.
    unix_s: u64,
}

/// How a count came by its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// It was there.
    Finding,
    /// It was made just now, so it is kept as long as it is to be.
    Making,
    /// There was no room, so it is the one of what counts together.
    Folding,
}

/// The words of a record's sum.
fn cells<const LONG: bool>(lines: &[Line]) -> Option<Cells<'_, LONG>> {
    Some(Cells {
        first: lines.first()?,
        second: lines.get(1),
    })
}

impl Counters {
    /// Tables of this size, with a seed that is to be random and kept as long as what is saved of them.
    ///
    /// # Errors
    /// There is no address space for them.
    pub fn new(size: Size, seed: [u8; SEED_BYTES]) -> io::Result<Self> {
        let keys = size.keys.clamp(64, LONG - 1);
        // Four places for each key, so that not one set in a hundred thousand is full when half of the keys are there.
        let sets = usize::try_from(keys)
            .unwrap_or(64)
            .div_ceil(2)
            .next_power_of_two();
        let capacity = u64::from(keys);
        Ok(Self {
            hasher: KeyHasher::new(seed),
            index: Index::new(Lines::in_large_pages(sets)?),
            short: Pool::new(keys, 1)?,
            long: Pool::new(keys, 2)?,
            owners: Owners::new((capacity / COUNTERS_PER_OWNER_DIVISOR).max(1))?,
            capacity,
            used: AtomicU64::new(0),
            without_room: AtomicU64::new(0),
            holds: Holds::new(HOLDS_MAX)?,
            attempts: Attempts::new(size.attempts)?,
            steps_differ_until_s: AtomicU64::new(0),
            ahead_us: AtomicU64::new(0),
            swept_us: AtomicU64::new(0),
            freed: AtomicU64::new(0),
        })
    }

    /// Makes the keys.
    #[must_use]
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The time that the tables keep, microseconds: goes on through restarts.
    pub(super) fn time_us(&self, now: Now) -> u64 {
        let ahead_us = self.ahead_us.load(Ordering::Relaxed);
        (now.monotonic_ns / 1000).saturating_add(ahead_us)
    }

    /// What the tables go by at this reading of the clocks.
    #[inline]
    fn moment(&self, now: Now) -> Moment {
        let time_us = self.time_us(now);
        Moment {
            time_us,
            now_s: time_us / 1_000_000,
            unix_s: now.unix_s(),
        }
    }

    /// Asks for the set of a key.
    pub fn touch(&self, key: &Key) {
        if let Some(set) = self.index.set(key.place) {
            sys::prefetch_read(set);
        }
    }

    /// Asks for what `held` reads.
    pub fn touch_hold(&self, key: &Key) {
        self.holds.touch(key);
    }

    /// Asks for what `attempt` reads.
    pub fn touch_attempt(&self, key: &Key) {
        if let Some(set) = self.attempts.set(key) {
            sys::prefetch_read(set);
        }
    }

    /// Asks for the record of a key, whose set is at hand. What it saw is of use within the batch: a record is nobody else's
    /// before two sweeps.
    #[inline]
    pub fn fetch(&self, key: &Key, owner: Owner) -> Seen {
        let Some((record, is_marked)) = self.index.glance(key.place) else {
            if self.owners.is_full(self.owners.place(owner.0.0)) {
                return Seen::Full;
            }
            return Seen::Absent;
        };
        for line in self.lines(record) {
            sys::prefetch_read(line);
        }
        // A marked one may go at any moment; `find` takes the mark off.
        if is_marked {
            return Seen::Unseen;
        }
        Seen::Record(record)
    }

    pub(super) fn pool(&self, record: u32) -> (&Pool, u32) {
        if record & LONG == 0 {
            (&self.short, record)
        } else {
            (&self.long, record & !LONG)
        }
    }

    #[inline]
    pub(super) fn lines(&self, record: u32) -> &[Line] {
        let (pool, record) = self.pool(record);
        pool.lines(record)
    }

    /// What `count` comes to: the kind of its window, the name that its record has, and until when the record is kept.
    fn terms(window: Window, max: u64, at: Moment) -> (Kind, u32) {
        match window {
            Window::Seconds(seconds) => {
                let window_us = u64::from(seconds.max(1)).saturating_mul(1_000_000);
                let tick = |steps: u64| at.time_us.saturating_mul(steps) / window_us;
                if seconds <= SHORT_SECONDS_MAX {
                    let kind = Kind::Short(tick(Terms::<false>::CUT.steps));
                    (kind, Terms::<false>::new(max).shift)
                } else {
                    let kind = Kind::Long(tick(Terms::<true>::CUT.steps));
                    (kind, Terms::<true>::new(max).shift)
                }
            }
            Window::Since { start_unix_s, .. } => (Kind::Since(since::tag(start_unix_s)), 0),
        }
    }

    /// Seconds of the tables' time until which a record is kept at least, and until when it is kept if that is to be set.
    pub(super) fn expiry(window: Window, at: Moment) -> (u32, u32) {
        let (least, slack) = match window {
            Window::Seconds(seconds) => {
                let seconds = u64::from(seconds);
                (seconds.saturating_add(2), seconds / 8 + 1)
            }
            Window::Since { end_unix_s, .. } => {
                let left = end_unix_s.saturating_sub(at.unix_s);
                (left.min(SINCE_SECONDS_MAX), 60)
            }
        };
        let then = |after: u64| u32::try_from(at.now_s.saturating_add(after)).unwrap_or(u32::MAX);
        (then(least), then(least.saturating_add(slack)))
    }

    /// The name of a record: of the key, and in the lowest bits the step in which its history is kept.
    pub(super) fn name(key: &Key, shift: u32) -> u64 {
        (key.name & !SHIFT_BITS).max(SHIFT_BITS + 1) | u64::from(shift) & SHIFT_BITS
    }

    /// Whether the history of a record with this name is kept in steps of more than one: of two records of a key at least one
    /// is.
    pub(super) fn is_in_steps(name: u64) -> bool {
        name & SHIFT_BITS != 0
    }

    fn is_named(&self, record: u32, is_long: bool, name: u64) -> bool {
        (record & LONG != 0) == is_long
            && self.lines(record).first().is_some_and(|line| {
                let [there, ..] = &line.0;
                there.load(Ordering::Acquire) == name
            })
    }

    #[inline]
    fn find(&self, key: &Key, kind: Kind, shift: u32, keep: bool) -> Option<u32> {
        let name = Self::name(key, shift);
        let is_long = matches!(kind, Kind::Long(_));
        self.index.find(key.place, keep, |record| {
            self.is_named(record, is_long, name)
        })
    }

    /// The key and the record of a count, a new one if need be. `None`: there is no room.
    #[inline]
    fn place(&self, count: &Count, kind: Kind, shift: u32, at: Moment) -> Option<(Key, u32, By)> {
        let key = &count.key;
        let is_its = |record| {
            let is_long = matches!(kind, Kind::Long(_));
            self.is_named(record, is_long, Self::name(key, shift))
        };
        match count.seen {
            Seen::Record(record) if is_its(record) => return Some((*key, record, By::Finding)),
            Seen::Record(_) | Seen::Unseen => {
                if let Some(record) = self.find(key, kind, shift, true) {
                    return Some((*key, record, By::Finding));
                }
            }
            Seen::Absent | Seen::Full => {}
        }
        if count.seen != Seen::Full {
            let (_, until) = Self::expiry(count.window, at);
            let share = self.owners.place(count.owner.0.0);
            if let Some(record) = self.enter(key, kind, shift, share, until) {
                return Some((*key, record, By::Making));
            }
            // Another call of the batch may have had the last room, for the same key.
            if count.seen == Seen::Absent
                && let Some(record) = self.find(key, kind, shift, true)
            {
                return Some((*key, record, By::Finding));
            }
        }
        self.without_room.fetch_add(1, Ordering::Relaxed);
        let rest = self.rest(count)?;
        let record = self.find(&rest, kind, shift, true);
        let record = record.or_else(|| self.enter_rest(&rest, count.window, (kind, shift), at))?;
        Some((rest, record, By::Folding))
    }

    /// Makes the record of what counts together.
    #[cold]
    fn enter_rest(
        &self,
        rest: &Key,
        window: Window,
        (kind, shift): (Kind, u32),
        at: Moment,
    ) -> Option<u32> {
        let (_, until) = Self::expiry(window, at);
        self.enter(rest, kind, shift, Owners::nobody(), until)
    }

    /// The key under which a count is made when there is no room for its own.
    fn rest(&self, count: &Count) -> Option<Key> {
        match count.if_full {
            IfFull::Fold(limit) => Some(self.hasher.key(limit, &[count.owner.0])),
            IfFull::Refuse => None,
        }
    }

    /// Makes a record for a key that has none; `None` when the share or the table is full.
    fn enter(&self, key: &Key, kind: Kind, shift: u32, share: u32, until: u32) -> Option<u32> {
        let name = Self::name(key, shift);
        let is_long = matches!(kind, Kind::Long(_));
        self.enter_named(key.place, name, is_long, share, |lines| {
            if let Some(Line([_, meta, ..])) = lines.first() {
                meta.store(u64::from(until) << 32, Ordering::Relaxed);
            }
        })
    }

    pub(super) fn meta(&self, record: u32) -> u64 {
        self.lines(record).first().map_or(0, |line| {
            let [_, meta, ..] = &line.0;
            meta.load(Ordering::Acquire)
        })
    }

    /// As above, with whatever `fill` writes into its lines.
    pub(super) fn enter_named(
        &self,
        place: u64,
        name: u64,
        is_long: bool,
        share: u32,
        fill: impl FnOnce(&[Line]),
    ) -> Option<u32> {
        if !self.owners.take(share) {
            return None;
        }
        // What does not fit folds into keys of nobody's, so there is room left for those.
        let limit = if share == Owners::nobody() {
            self.capacity
        } else {
            self.capacity - self.capacity / COUNTERS_RESERVE_DIVISOR
        };
        if add_below(&self.used, limit).is_none() {
            self.owners.give(share);
            return None;
        }
        let (pool, bit) = if is_long {
            (&self.long, LONG)
        } else {
            (&self.short, 0)
        };
        // The part of the place that the index does not keep is wanted when the record is saved.
        let note = u64::from(share) | place >> 34 << 32;
        let record = pool.take(note).map(|record| record | bit);
        let met_another = Cell::new(false);
        let entered = record.map_or(Entered::Full, |record| {
            let lines = self.lines(record);
            if let Some(Line([there, ..])) = lines.first() {
                there.store(name, Ordering::Relaxed);
            }
            fill(lines);
            let is_its = |other| {
                let is_its = self.is_named(other, is_long, name);
                // Of the same place and not the same: of this key, perhaps, with its history in other steps.
                met_another.set(met_another.get() || !is_its);
                is_its
            };
            self.index.enter(place, record, is_its)
        });
        match (entered, record) {
            (Entered::New, record) => {
                if met_another.get() {
                    self.entered_beside_others(place, name, is_long, record);
                }
                record
            }
            (Entered::Already(other), Some(record)) => {
                self.give_back(record);
                Some(other)
            }
            (Entered::Full, Some(record)) => {
                self.give_back(record);
                None
            }
            (Entered::Full | Entered::Already(_), None) => {
                self.owners.give(share);
                self.used.fetch_sub(1, Ordering::AcqRel);
                None
            }
        }
    }

    fn give_back(&self, record: u32) {
        let (pool, number) = self.pool(record);
        let share = u32::try_from(pool.note(number) & u64::from(u32::MAX));
        self.owners.give(share.unwrap_or(Owners::nobody()));
        pool.give(number);
        self.used.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn cells<const LONG: bool>(&self, record: u32) -> Option<Cells<'_, LONG>> {
        cells(self.lines(record))
    }

    /// Adds, then compares.
    #[inline]
    pub fn add(&self, count: &Count, now: Now) -> Counted {
        let at = self.moment(now);
        let (kind, shift) = Self::terms(count.window, count.max, at);
        let Some((key, record, by)) = self.place(count, kind, shift, at) else {
            return Counted::Full;
        };
        let amount = count.amount.min(AMOUNT_MAX);
        let others = self.others(&key, count.window, (kind, shift), at);
        // What the others have is as good as counted here.
        let max = count.max.saturating_sub(others.total);
        let lines = self.lines(record);
        let added = match kind {
            Kind::Since(tag) => cells(lines).map(|cells| since::add(cells, tag, amount, max)),
            Kind::Short(tick) => cells(lines)
                .map(|cells| cells.add(Terms::<false>::in_steps(shift, max), tick, amount)),
            Kind::Long(tick) => cells(lines)
                .map(|cells| cells.add(Terms::<true>::in_steps(shift, max), tick, amount)),
        };
        let (Some(Added { total, tick }), Some(first)) = (added, lines.first()) else {
            return Counted::Full;
        };
        // A stretch may have become longer since (a new holiday), also of a sum that is at its maximum and grows no more.
        if by != By::Making && (tick.is_some() || matches!(kind, Kind::Since(..))) {
            Self::keep(first, count.window, at);
        }
        let total = total.saturating_add(others.total);
        Counted::Sum(Sum {
            total,
            is_over: total > count.max,
            is_warning: Self::warns(first, count, kind, (total, others.warned), at),
            is_folded: by == By::Folding,
            reserved: tick.map(|tick| Reserved {
                key,
                tick,
                amount,
                max: count.max,
                window: count.window,
            }),
        })
    }

    /// Keeps the record until its window has passed.
    fn keep(Line([_, meta, ..]): &Line, window: Window, at: Moment) {
        let (least, until) = Self::expiry(window, at);
        let mut seen = meta.load(Ordering::Acquire);
        while seen >> 32 < u64::from(least) {
            let next = u64::from(until) << 32 | seen & 0xffff_ffff;
            match meta.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Whether a warning is due, which is once per window: the lower half of the record's second word says until when it is
    /// not due again, or of which begin it was.
    fn warns(
        Line([_, meta, ..]): &Line,
        count: &Count,
        kind: Kind,
        (total, others_warned): (u64, u64),
        at: Moment,
    ) -> bool {
        if count.warn.is_none_or(|warn| total < warn) {
            return false;
        }
        let mut seen = meta.load(Ordering::Acquire);
        loop {
            let last = (seen & 0xffff_ffff).max(others_warned);
            let Some(next) = Self::next_warning(last, count.window, kind, at) else {
                return false;
            };
            let next = seen & !0xffff_ffff | next;
            match meta.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// What to write down of a warning now; `None`: none is due.
    fn next_warning(last: u64, window: Window, kind: Kind, at: Moment) -> Option<u64> {
        match (kind, window) {
            (Kind::Since(tag), _) => {
                let tag = tag.saturating_add(1);
                (last != tag).then_some(tag)
            }
            (Kind::Short(_) | Kind::Long(_), Window::Seconds(seconds)) => {
                // In whole seconds, rounded so that two are never nearer than the window.
                let now_s = at.now_s;
                let until = now_s.saturating_add(u64::from(seconds)).saturating_add(1);
                (now_s >= last).then(|| until.min(u32::MAX.into()))
            }
            (Kind::Short(_) | Kind::Long(_), Window::Since { .. }) => None,
        }
    }

    /// What `add` would come to; changes nothing.
    #[must_use]
    pub fn peek(&self, count: &Count, now: Now) -> Counted {
        let at = self.moment(now);
        let (kind, shift) = Self::terms(count.window, count.max, at);
        let found = self.find(&count.key, kind, shift, false);
        let is_full = found.is_none() && self.is_full_for(count.owner);
        if is_full && count.if_full == IfFull::Refuse {
            return Counted::Full;
        }
        let rest = self.rest(count).filter(|_| is_full);
        let rest_record = rest.and_then(|rest| self.find(&rest, kind, shift, false));
        let record = found.or(rest_record);
        let key = rest.unwrap_or(count.key);
        let others = self.look_for_others(&key, (kind, shift));
        let before = record.map_or(0, |record| self.total(record, kind, count.max));
        let total = before
            .saturating_add(others.total)
            .saturating_add(count.amount);
        let warned = record.map_or(0, |record| self.meta(record) & 0xffff_ffff);
        let last = warned.max(others.warned);
        let is_due = || Self::next_warning(last, count.window, kind, at).is_some();
        Counted::Sum(Sum {
            total,
            is_over: total > count.max,
            is_warning: count.warn.is_some_and(|warn| total >= warn) && is_due(),
            is_folded: found.is_none() && record.is_some(),
            reserved: None,
        })
    }

    fn is_full_for(&self, owner: Owner) -> bool {
        self.owners.is_full(self.owners.place(owner.0.0))
            || self.used.load(Ordering::Acquire)
                >= self.capacity - self.capacity / COUNTERS_RESERVE_DIVISOR
    }

    fn total(&self, record: u32, kind: Kind, max: u64) -> u64 {
        match kind {
            Kind::Since(tag) => self
                .cells(record)
                .map_or(0, |cells| since::peek(cells, tag)),
            Kind::Short(tick) => self
                .cells(record)
                .map_or(0, |cells| cells.peek(Terms::<false>::new(max), tick)),
            Kind::Long(tick) => self
                .cells(record)
                .map_or(0, |cells| cells.peek(Terms::<true>::new(max), tick)),
        }
    }

    /// Takes back what `add` added.
    pub fn release(&self, reserved: &Reserved, now: Now) {
        let Reserved {
            key, tick, amount, ..
        } = *reserved;
        let (kind, shift) = Self::terms(reserved.window, reserved.max, self.moment(now));
        let Some(record) = self.find(&key, kind, shift, true) else {
            return;
        };
        match kind {
            Kind::Since(_) => {
                if let Some(cells) = self.cells(record) {
                    since::release(cells, tick, amount);
                }
            }
            Kind::Short(_) => {
                if let Some(cells) = self.cells(record) {
                    cells.release(Terms::<false>::new(reserved.max), tick, amount);
                }
            }
            Kind::Long(_) => {
                if let Some(cells) = self.cells(record) {
                    cells.release(Terms::<true>::new(reserved.max), tick, amount);
                }
            }
        }
    }

    /// The hold in force on this key.
    #[must_use]
    #[inline]
    pub fn held(&self, key: &Key, now: Now) -> Option<Held> {
        self.holds.held(key, self.time_us(now))
    }

    /// Places a hold, unless one is in force. Whether one is in force now.
    pub fn hold(&self, key: &Key, hold: &NewHold<'_>, now: Now) -> bool {
        self.holds.place(key, hold, self.time_us(now), now.unix_s())
    }

    /// The holds in force.
    pub fn holds(&self, now: Now) -> impl Iterator<Item = HoldEntry> {
        self.holds.entries(self.time_us(now))
    }

    /// Ends a hold by its `HoldEntry::id`; `false`: none such is in force.
    pub fn release_hold(&self, id: u64, now: Now) -> bool {
        self.holds.release(id, self.time_us(now))
    }

    /// Rises with every hold that is placed or released.
    #[must_use]
    pub fn hold_changes(&self) -> u64 {
        self.holds.changes()
    }

    /// Whether a transaction is one of an attempt that is known.
    #[must_use]
    #[inline]
    pub fn attempt(&self, key: &Key, now: Now) -> Attempt {
        self.attempts.attempt(key, now)
    }

    /// What the limits said of an attempt, if they have spoken.
    #[must_use]
    pub fn told(&self, key: &Key, now: Now) -> Option<Told> {
        self.attempts.told(key, now)
    }

    /// Says what the limits said of an attempt, unless that is known already. What stands.
    pub fn settle(&self, key: &Key, told: Told, now: Now) -> Told {
        self.attempts.settle(key, told, now)
    }

    /// Marks what is expired, frees what was marked by the sweep before. To be called every `COUNTERS_SWEEP_SECONDS`, not on
    /// a shard; called sooner, it does nothing. Reads the whole index: 32 octets for each key there is room for.
    pub fn sweep(&self, now: Now) {
        let time_us = self.time_us(now);
        let last_us = self.swept_us.load(Ordering::Acquire);
        if time_us < last_us.saturating_add(COUNTERS_SWEEP_SECONDS * 1_000_000) {
            return;
        }
        self.swept_us.store(time_us, Ordering::Release);
        self.attempts.sweep(now);
        let mut freed = self.freed.load(Ordering::Acquire);
        let now_s = time_us / 1_000_000;
        let is_expired = |record: u32| {
            self.lines(record).first().is_some_and(|line| {
                let [_, meta, ..] = &line.0;
                meta.load(Ordering::Acquire) >> 32 < now_s
            })
        };
        self.index
            .sweep(&mut freed, is_expired, |record| self.give_back(record));
        self.freed.store(freed, Ordering::Release);
        self.holds.sweep(time_us);
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            used: self.used.load(Ordering::Acquire),
            capacity: self.capacity,
            owners_at_share: self.owners.at_share(),
            without_room: self.without_room.load(Ordering::Acquire),
            holds: self.holds.count(),
            holds_without_room: self.holds.without_room(),
        }
    }
}
