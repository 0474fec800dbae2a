//! Holds: keys that are held for a fixed time.
//!
//! Promises: no lock; a hold in force is not extended; one that expired can be placed again; a release is at once.
//! Leaves to its users: what its code means; saving.

use super::index::{Entered, Index};
use super::key::Key;
use super::pool::{Owners, Pool};
use super::types::{Held, HoldText, NewHold};
use super::words::{AtomicU64, Line, Lines, Ordering};
use crate::limits::HOLDS_PER_OWNER_DIVISOR;
use crate::sys;
use std::io;

/// A record: name, state, place of its key, when it was placed, length of its text; then the text.
const LINES: usize = 5;
const TEXT_AT: usize = 5;
const _: () =
    assert!(HoldText::BYTES <= (LINES * 8 - TEXT_AT) * 8 && HoldText::BYTES.is_multiple_of(8));

/// A state: until when, milliseconds of the tables' time, and the code. All zero: released.
const CODE_BITS: u32 = 16;

/// Holds.
#[derive(Debug)]
pub(super) struct Holds {
    index: Index,
    records: Pool,
    owners: Owners,
    /// Records in use: while there is none, nothing is looked up.
    count: AtomicU64,
    without_room: AtomicU64,
    /// Rises with every change that is worth saving.
    changes: AtomicU64,
    freed: AtomicU64,
}

/// A hold as it is listed and saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldEntry {
    /// What it is released by: as long as the seed is the same, the hold's own.
    pub id: u64,
    /// The place of its key in the index.
    pub(super) place: u64,
    /// The code that it answers with.
    pub code: u16,
    /// How long it still lasts, milliseconds.
    pub left_ms: u64,
    /// When it was placed, seconds since 1970 UTC.
    pub placed_unix_s: u64,
    /// Whose share it takes.
    pub(super) owner: u64,
    /// Whom it holds.
    pub text: HoldText,
}

fn until_ms(state: u64) -> u64 {
    state >> CODE_BITS
}

fn code(state: u64) -> u16 {
    u16::try_from(state & 0xffff).unwrap_or(0)
}

impl Holds {
    pub(super) fn new(count: u32) -> io::Result<Self> {
        let sets = usize::try_from(count)
            .unwrap_or(0)
            .div_ceil(2)
            .next_power_of_two();
        Ok(Self {
            index: Index::new(Lines::zeroed(sets)?),
            records: Pool::new(count, LINES)?,
            owners: Owners::new((u64::from(count) / HOLDS_PER_OWNER_DIVISOR).max(1))?,
            count: AtomicU64::new(0),
            without_room: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            freed: AtomicU64::new(0),
        })
    }

    pub(super) fn touch(&self, key: &Key) {
        if self.count.load(Ordering::Relaxed) > 0
            && let Some(set) = self.index.set(key.place)
        {
            sys::prefetch_read(set);
        }
    }

    fn head(&self, record: u32) -> Option<&[AtomicU64; 8]> {
        self.records.lines(record).first().map(|line| &line.0)
    }

    fn is_named(&self, record: u32, name: u64) -> bool {
        self.head(record)
            .is_some_and(|[there, ..]| there.load(Ordering::Acquire) == name)
    }

    fn find(&self, place: u64, name: u64, keep: bool) -> Option<u32> {
        self.index
            .find(place, keep, |record| self.is_named(record, name))
    }

    fn name(key: &Key) -> u64 {
        key.name.max(1)
    }

    /// The hold in force on this key.
    #[inline]
    pub(super) fn held(&self, key: &Key, time_us: u64) -> Option<Held> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let record = self.find(key.place, Self::name(key), false)?;
        let [_, state, ..] = self.head(record)?;
        let state = state.load(Ordering::Acquire);
        let left_ms = until_ms(state).checked_sub(time_us / 1000)?;
        (left_ms > 0).then(|| Held {
            code: code(state),
            left_s: u32::try_from(left_ms.div_ceil(1000)).unwrap_or(u32::MAX),
        })
    }

    /// Places a hold, unless one is in force. Whether one is in force now.
    pub(super) fn place(&self, key: &Key, hold: &NewHold<'_>, time_us: u64, unix_s: u64) -> bool {
        let left_ms = u64::from(hold.seconds).saturating_mul(1000);
        self.place_entry(
            &HoldEntry {
                id: Self::name(key),
                place: key.place,
                code: hold.code,
                left_ms,
                placed_unix_s: unix_s,
                owner: hold.owner.0.0,
                text: *hold.text,
            },
            time_us,
        )
    }

    pub(super) fn place_entry(&self, entry: &HoldEntry, time_us: u64) -> bool {
        let now_ms = time_us / 1000;
        let next = now_ms.saturating_add(entry.left_ms) << CODE_BITS | u64::from(entry.code);
        let found = self.find(entry.place, entry.id, true);
        let record = match found.map_or_else(|| self.enter(entry, next), Entered::Already) {
            Entered::New => {
                self.changes.fetch_add(1, Ordering::AcqRel);
                return true;
            }
            Entered::Full => {
                self.without_room.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            Entered::Already(record) => record,
        };
        let Some([_, state, _, placed, ..]) = self.head(record) else {
            return false;
        };
        let mut seen = state.load(Ordering::Acquire);
        while until_ms(seen) <= now_ms {
            match state.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    placed.store(entry.placed_unix_s, Ordering::Release);
                    self.changes.fetch_add(1, Ordering::AcqRel);
                    break;
                }
                Err(now) => seen = now,
            }
        }
        true
    }

    fn enter(&self, entry: &HoldEntry, state: u64) -> Entered {
        let share = self.owners.place(entry.owner);
        if !self.owners.take(share) {
            return Entered::Full;
        }
        let Some(record) = self.records.take(share.into()) else {
            self.owners.give(share);
            return Entered::Full;
        };
        let (octets, length) = entry.text.parts();
        let words = self.records.lines(record).iter().flat_map(|line| &line.0);
        let head = [
            entry.id,
            state,
            entry.place,
            entry.placed_unix_s,
            length.into(),
        ];
        let (text, _) = octets.as_chunks();
        let values = head
            .into_iter()
            .chain(text.iter().map(|octets| u64::from_le_bytes(*octets)));
        for (word, value) in words.zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        // Before it can be found: whoever finds it, finds the count.
        self.count.fetch_add(1, Ordering::AcqRel);
        let entered = self
            .index
            .enter(entry.place, record, |other| self.is_named(other, entry.id));
        if entered != Entered::New {
            self.give_back(record);
        }
        entered
    }

    fn give_back(&self, record: u32) {
        let share = u32::try_from(self.records.note(record)).unwrap_or(Owners::nobody());
        self.owners.give(share);
        self.records.give(record);
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn sweep(&self, time_us: u64) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let now_ms = time_us / 1000;
        let mut freed = self.freed.load(Ordering::Acquire);
        let is_expired = |record: u32| {
            self.head(record)
                .is_some_and(|[_, state, ..]| until_ms(state.load(Ordering::Acquire)) <= now_ms)
        };
        self.index
            .sweep(&mut freed, is_expired, |record| self.give_back(record));
        self.freed.store(freed, Ordering::Release);
    }

    /// The holds in force.
    pub(super) fn entries(&self, time_us: u64) -> impl Iterator<Item = HoldEntry> {
        let now_ms = time_us / 1000;
        self.index.entries().filter_map(move |(_, record)| {
            let lines = self.records.lines(record);
            let mut words = lines
                .iter()
                .flat_map(|line: &Line| &line.0)
                .map(|word| word.load(Ordering::Acquire));
            let [id, state, place, placed_unix_s, length] = [(); TEXT_AT].map(|()| words.next());
            let state = state?;
            let left_ms = until_ms(state)
                .checked_sub(now_ms)
                .filter(|left| *left > 0)?;
            let mut octets = [0; HoldText::BYTES];
            let (chunks, _) = octets.as_chunks_mut();
            for (chunk, word) in chunks.iter_mut().zip(words) {
                *chunk = u64::to_le_bytes(word);
            }
            Some(HoldEntry {
                id: id?,
                place: place?,
                code: code(state),
                left_ms,
                placed_unix_s: placed_unix_s?,
                owner: self
                    .owners
                    .owner(u32::try_from(self.records.note(record)).ok()?),
                text: HoldText::from_parts(octets, u8::try_from(length?).ok()?)?,
            })
        })
    }

    /// Ends a hold; `false`: none with this number is in force.
    pub(super) fn release(&self, id: u64, time_us: u64) -> bool {
        let now_ms = time_us / 1000;
        let mut released = false;
        for (_, record) in self.index.entries() {
            let Some([there, state, ..]) = self.head(record) else {
                continue;
            };
            let seen = state.load(Ordering::Acquire);
            if there.load(Ordering::Acquire) != id || until_ms(seen) <= now_ms {
                continue;
            }
            let swapped = state.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire);
            released |= swapped.is_ok();
        }
        if released {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
        released
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn without_room(&self) -> u64 {
        self.without_room.load(Ordering::Acquire)
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}
