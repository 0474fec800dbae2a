//! Records of one size, of which each is handed out to one user at a time; and how many of them each owner has.
//!
//! Promises: no lock; a record that is handed out is nobody else's until it is given back; records that never were handed out
//! take no memory.
//! Leaves to its users: what stands in them.

use super::words::{AtomicU64, Line, Lines, Ordering};
use std::io;

/// Records of some lines each.
#[derive(Debug)]
pub(super) struct Pool {
    lines: Lines,
    lines_each: usize,
    /// A word for each record: while it is free, the number of the next free one and one more; else its user's note.
    notes: Lines,
    /// Records that were ever handed out.
    begun: AtomicU64,
    /// The number of the first free record and one more, 0 for none; above it 32 bits that no two states share.
    free: AtomicU64,
    count: u64,
}

const NUMBER: u64 = 0xffff_ffff;

impl Pool {
    pub(super) fn new(count: u32, lines_each: usize) -> io::Result<Self> {
        let records = usize::try_from(count).unwrap_or(0);
        Ok(Self {
            lines: Lines::zeroed(records.saturating_mul(lines_each))?,
            lines_each,
            notes: Lines::zeroed(records.div_ceil(8))?,
            begun: AtomicU64::new(0),
            free: AtomicU64::new(0),
            count: count.into(),
        })
    }

    /// The lines of a record.
    #[inline]
    pub(super) fn lines(&self, record: u32) -> &[Line] {
        let first = usize::try_from(record)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.lines_each);
        let last = first.saturating_add(self.lines_each);
        self.lines.get(first..last).unwrap_or_default()
    }

    fn note_word(&self, record: u32) -> Option<&AtomicU64> {
        let at = usize::try_from(record).ok()?;
        self.notes.get(at / 8)?.0.get(at % 8)
    }

    /// What was noted of a record that is handed out.
    pub(super) fn note(&self, record: u32) -> u64 {
        self.note_word(record)
            .map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Hands out a record, its words all zero, with a note. `None`: there is none left.
    #[inline]
    pub(super) fn take(&self, note: u64) -> Option<u32> {
        let record = self.take_free().or_else(|| self.begin())?;
        for line in self.lines(record) {
            for word in &line.0 {
                word.store(0, Ordering::Relaxed);
            }
        }
        self.note_word(record)?.store(note, Ordering::Release);
        Some(record)
    }

    fn take_free(&self) -> Option<u32> {
        let mut seen = self.free.load(Ordering::Acquire);
        loop {
            let record = u32::try_from((seen & NUMBER).checked_sub(1)?).ok()?;
            // While another shard takes this one, the note may change under us; then so has `free`.
            let after = self.note(record) & NUMBER;
            let next = (seen | NUMBER).wrapping_add(1) | after;
            match self
                .free
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(record),
                Err(now) => seen = now,
            }
        }
    }

    fn begin(&self) -> Option<u32> {
        u32::try_from(add_below(&self.begun, self.count)?).ok()
    }

    /// Takes a record back.
    pub(super) fn give(&self, record: u32) {
        let Some(note) = self.note_word(record) else {
            return;
        };
        let mut seen = self.free.load(Ordering::Acquire);
        loop {
            note.store(seen & NUMBER, Ordering::Release);
            let next = (seen | NUMBER).wrapping_add(1) | u64::from(record).saturating_add(1);
            match self
                .free
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

/// How many records each owner has. Owners are never forgotten: they stand in a bundle, and no caller chooses them.
#[derive(Debug)]
pub(super) struct Owners {
    /// Pairs of words: the owner, and how many.
    lines: Lines,
    share: u64,
    at_share: AtomicU64,
}

/// Owners that can be told apart; what is more counts as one.
const OWNERS: usize = 1 << 20;
/// Places that are looked at for one.
const PROBES: usize = 64;
/// The places of nobody, who has no share, and of the owners beyond.
const NOBODY: u32 = 0;
const BEYOND: u32 = 1;

impl Owners {
    /// Each may have so many records.
    pub(super) fn new(share: u64) -> io::Result<Self> {
        Ok(Self {
            lines: Lines::zeroed(OWNERS / 4)?,
            share,
            at_share: AtomicU64::new(0),
        })
    }

    /// Whose records are nobody's share.
    pub(super) fn nobody() -> u32 {
        NOBODY
    }

    fn pair(&self, at: u32) -> Option<(&AtomicU64, &AtomicU64)> {
        let at = usize::try_from(at).ok()?;
        let line = &self.lines.get(at / 4)?.0;
        let word = at % 4 * 2;
        Some((line.get(word)?, line.get(word.wrapping_add(1))?))
    }

    /// The place of an owner, by any hash of it.
    pub(super) fn place(&self, owner: u64) -> u32 {
        let owner = owner.max(1);
        let first = usize::try_from(owner.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).unwrap_or(0);
        for probe in 0..PROBES {
            let at = first.wrapping_add(probe) % OWNERS;
            let Ok(at) = u32::try_from(at) else {
                return BEYOND;
            };
            if at <= BEYOND {
                continue;
            }
            let Some((id, _)) = self.pair(at) else {
                return BEYOND;
            };
            let mut seen = id.load(Ordering::Acquire);
            if seen == 0 {
                let claimed = id.compare_exchange(0, owner, Ordering::AcqRel, Ordering::Acquire);
                seen = claimed.err().unwrap_or(owner);
            }
            if seen == owner {
                return at;
            }
        }
        BEYOND
    }

    /// The owner of a place.
    pub(super) fn owner(&self, place: u32) -> u64 {
        self.pair(place)
            .map_or(0, |(id, _)| id.load(Ordering::Acquire))
    }

    /// One record more, if the share has room.
    pub(super) fn take(&self, place: u32) -> bool {
        let Some((_, used)) = self.pair(place) else {
            return false;
        };
        let bound = if place == NOBODY {
            u64::MAX
        } else {
            self.share
        };
        let Some(before) = add_below(used, bound) else {
            return false;
        };
        if before.saturating_add(1) == self.share && place != NOBODY {
            self.at_share.fetch_add(1, Ordering::AcqRel);
        }
        true
    }

    /// One record less.
    pub(super) fn give(&self, place: u32) {
        let Some((_, used)) = self.pair(place) else {
            return;
        };
        if used.fetch_sub(1, Ordering::AcqRel) == self.share && place != NOBODY {
            self.at_share.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether a share has no room.
    pub(super) fn is_full(&self, place: u32) -> bool {
        self.pair(place)
            .is_none_or(|(_, used)| used.load(Ordering::Acquire) >= self.share)
    }

    /// Owners whose share is full.
    pub(super) fn at_share(&self) -> u64 {
        self.at_share.load(Ordering::Acquire)
    }
}

/// One more, as long as the word is below the bound. What it was; `None`: it is not.
pub(super) fn add_below(word: &AtomicU64, bound: u64) -> Option<u64> {
    let mut seen = word.load(Ordering::Acquire);
    while seen < bound {
        let next = seen.saturating_add(1);
        match word.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(before) => return Some(before),
            Err(now) => seen = now,
        }
    }
    None
}
