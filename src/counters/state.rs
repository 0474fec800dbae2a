//! The counters and the holds as octets, so that a restart finds them.
//!
//! Promises: what was cut short, changed, written by another version or under another seed is told apart and not taken; the
//! tables' time goes on from where it was, with the time that the node was away added by the wall clock.
//! Leaves to `process`: files, and when they are written.
//!
//! A file is a head (what it is, the seed's mark, both clocks), records, and a tail with their number and a hash of all
//! before it. Numbers are little-endian.

use super::holds::HoldEntry;
use super::index::PLACE_KEPT;
use super::key::{Key, LimitId};
use super::live::{Counters, LONG};
use super::types::HoldText;
use super::words::{Line, Ordering};
use crate::clock::Now;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::fmt;
use std::hash::Hasher as _;
use std::io::{self, Read, Write};

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sums.
    Counters,
    /// Holds.
    Holds,
}

impl Kind {
    fn magic(self) -> [u8; 24] {
        *match self {
            Self::Counters => b"tollgate counters 2\n\0\0\0\0",
            Self::Holds => b"tollgate holds 2\n\0\0\0\0\0\0\0",
        }
    }
}

/// What a whole file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// The tables' time when it was written, microseconds.
    time_us: u64,
    /// Microseconds since 1970 UTC when it was written.
    unix_us: u64,
    /// Records in it.
    pub records: u64,
}

/// Why a file is not taken.
#[derive(Debug)]
pub enum StateFault {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is something else, or of another version.
    Foreign,
    /// It was written under another key.
    OtherKey,
    /// It was cut short, or changed.
    Torn,
}

impl fmt::Display for StateFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(out, "cannot be read: {error}"),
            Self::Foreign => out.write_str("is no file of this version of tollgate"),
            Self::OtherKey => out.write_str("was written by a node with another key"),
            Self::Torn => out.write_str("is torn: it was cut short or changed"),
        }
    }
}

impl From<io::Error> for StateFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Torn,
            _ => Self::Unreadable(error),
        }
    }
}

const TAG_END: u8 = 0;
const TAG_SHORT: u8 = 1;
const TAG_LONG: u8 = 2;
const TAG_HOLD: u8 = 3;

/// Words of a record after its name, those of a long one.
const WORDS_MAX: usize = 15;

/// Place, name, owner, and which words follow.
const COUNTER_HEAD: usize = 8 * 3 + 2;
/// Id, place, until, when placed, owner, code, length of the text.
const HOLD_HEAD: usize = 8 * 5 + 3 + 1;

/// Whatever goes through is in the hash.
struct Hashed<T> {
    inner: T,
    hasher: FoldHasher<'static>,
}

static SEEDS: SharedSeed = SharedSeed::from_u64(0x0074_6f6c_6c67_6174);

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hasher: FoldHasher::with_seed(1, &SEEDS),
        }
    }

    fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

impl<T: Write> Hashed<T> {
    fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        self.hasher.write(octets);
        self.inner.write_all(octets)
    }
}

impl<T: Read> Hashed<T> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut octets = [0; N];
        self.inner.read_exact(&mut octets)?;
        self.hasher.write(&octets);
        Ok(octets)
    }

    fn word(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// Cuts words off octets that were read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn word(&mut self) -> u64 {
        let Some((word, rest)) = self.0.split_first_chunk() else {
            return 0;
        };
        self.0 = rest;
        u64::from_le_bytes(*word)
    }
}

impl Counters {
    /// The same for the same seed, and for no other.
    fn mark(&self) -> u64 {
        let Key { place, name } = self.hasher().key(LimitId::new(&["mark of the seed"]), &[]);
        place ^ name.rotate_left(1)
    }

    fn put_head(&self, kind: Kind, now: Now, out: &mut Hashed<impl Write>) -> io::Result<()> {
        out.put(&kind.magic())?;
        for word in [self.mark(), self.time_us(now), now.unix_us] {
            out.put(&word.to_le_bytes())?;
        }
        Ok(())
    }

    fn put_tail(records: u64, out: &mut Hashed<impl Write>) -> io::Result<u64> {
        out.put(&[TAG_END])?;
        out.put(&records.to_le_bytes())?;
        let hash = out.hash();
        out.inner.write_all(&hash.to_le_bytes())?;
        out.inner.flush()?;
        Ok(records)
    }

    /// Writes all sums; how many. While shards count, each sum is as it was at some moment of the writing.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn save(&self, now: Now, out: impl Write) -> io::Result<u64> {
        let mut out = Hashed::new(out);
        self.put_head(Kind::Counters, now, &mut out)?;
        let mut records = 0_u64;
        let mut octets = Vec::with_capacity(COUNTER_HEAD);
        for (kept, record) in self.index.entries() {
            let (pool, number) = self.pool(record);
            let note = pool.note(number);
            let place = kept | note >> 32 << 34;
            let share = u32::try_from(note & u64::from(u32::MAX)).unwrap_or(0);
            let owner = self.owners.owner(share);
            let mut words = self
                .lines(record)
                .iter()
                .flat_map(|line| &line.0)
                .map(|word| word.load(Ordering::Acquire));
            let Some(name) = words.next() else { continue };
            let words: Vec<u64> = words.collect();
            let present = (0..)
                .zip(&words)
                .filter(|(_, word)| **word != 0)
                .fold(0_u16, |present, (at, _)| present | 1 << at);
            let tag = if record & LONG == 0 {
                TAG_SHORT
            } else {
                TAG_LONG
            };
            out.put(&[tag])?;
            octets.clear();
            for word in [place, name, owner] {
                octets.extend_from_slice(&word.to_le_bytes());
            }
            octets.extend_from_slice(&present.to_le_bytes());
            // Head and words are read one by one, and hashed as they are read.
            out.put(&octets)?;
            for word in words.iter().filter(|word| **word != 0) {
                out.put(&word.to_le_bytes())?;
            }
            records = records.saturating_add(1);
        }
        Self::put_tail(records, &mut out)
    }

    /// Writes all holds; how many. `name` is a code's name, which lasts longer than its number.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn save_holds(
        &self,
        now: Now,
        name: impl Fn(u16) -> [u8; 3],
        out: impl Write,
    ) -> io::Result<u64> {
        let mut out = Hashed::new(out);
        self.put_head(Kind::Holds, now, &mut out)?;
        let time_ms = self.time_us(now) / 1000;
        let mut records = 0_u64;
        for entry in self.holds(now) {
            let (octets, length) = entry.text.parts();
            out.put(&[TAG_HOLD])?;
            let mut head = Vec::with_capacity(HOLD_HEAD);
            for word in [
                entry.id,
                entry.place,
                time_ms.saturating_add(entry.left_ms),
                entry.placed_unix_s,
                entry.owner,
            ] {
                head.extend_from_slice(&word.to_le_bytes());
            }
            head.extend_from_slice(&name(entry.code));
            head.push(length);
            out.put(&head)?;
            out.put(octets)?;
            records = records.saturating_add(1);
        }
        Self::put_tail(records, &mut out)
    }

    /// Reads a file to its end and says whether it may be taken.
    ///
    /// # Errors
    /// It may not.
    pub fn examine(&self, kind: Kind, from: impl Read) -> Result<Saved, StateFault> {
        let mut from = Hashed::new(from);
        // Shorter than its head, it may be anything.
        let magic = from.take::<24>().map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => StateFault::Foreign,
            _ => StateFault::Unreadable(error),
        })?;
        if magic != kind.magic() {
            return Err(StateFault::Foreign);
        }
        if from.word()? != self.mark() {
            return Err(StateFault::OtherKey);
        }
        let (time_us, unix_us) = (from.word()?, from.word()?);
        let mut records = 0_u64;
        while Self::pass_record(kind, &mut from)? {
            records = records.saturating_add(1);
        }
        let counted = from.word()?;
        let hash = from.hash();
        if counted != records || from.word()? != hash {
            return Err(StateFault::Torn);
        }
        if from.inner.read(&mut [0])? != 0 {
            return Err(StateFault::Torn);
        }
        Ok(Saved {
            time_us,
            unix_us,
            records,
        })
    }

    /// Reads over a record; false: that was the tail's tag.
    fn pass_record(kind: Kind, from: &mut Hashed<impl Read>) -> Result<bool, StateFault> {
        match (kind, from.take()?) {
            (_, [TAG_END]) => return Ok(false),
            (Kind::Counters, [TAG_SHORT | TAG_LONG]) => {
                let head = from.take::<COUNTER_HEAD>()?;
                words_behind(&head, from)?;
            }
            (Kind::Holds, [TAG_HOLD]) => {
                from.take::<HOLD_HEAD>()?;
                from.take::<{ HoldText::BYTES }>()?;
            }
            (Kind::Counters | Kind::Holds, _) => return Err(StateFault::Torn),
        }
        Ok(true)
    }

    /// Goes on with the time of a file. Before anything is restored or counted; of several files the latest time counts.
    pub fn resume(&self, saved: &Saved, now: Now) {
        let away_us = now.unix_us.saturating_sub(saved.unix_us);
        let time_us = saved.time_us.saturating_add(away_us);
        let ahead_us = time_us.saturating_sub(now.monotonic_ns / 1000);
        self.ahead_us.fetch_max(ahead_us, Ordering::AcqRel);
    }

    /// Takes the sums of a file that was examined; how many of them still matter and found room.
    ///
    /// # Errors
    /// It cannot be read any more.
    pub fn restore(&self, now: Now, from: impl Read) -> Result<u64, StateFault> {
        let mut from = Hashed::new(from);
        from.take::<48>()?;
        let now_s = self.time_us(now) / 1_000_000;
        let mut restored = 0_u64;
        loop {
            let [tag] = from.take()?;
            if tag == TAG_END {
                return Ok(restored);
            }
            let head = from.take::<COUNTER_HEAD>()?;
            let words = words_behind(&head, &mut from)?;
            let mut fields = Fields(&head);
            let (place, name, owner) = (fields.word(), fields.word(), fields.word());
            let [expiry, ..] = words;
            if expiry >> 32 < now_s {
                continue;
            }
            // Whose share was nobody's has no owner.
            let share = if owner == 0 {
                super::pool::Owners::nobody()
            } else {
                self.owners.place(owner)
            };
            if Self::is_in_steps(name) {
                self.expect_others(u32::try_from(expiry >> 32).unwrap_or(u32::MAX));
            }
            let entered = self.enter_named(place, name, tag == TAG_LONG, share, |lines| {
                let places = lines.iter().flat_map(|Line(line)| line).skip(1);
                for (there, word) in places.zip(words) {
                    there.store(word, Ordering::Relaxed);
                }
            });
            restored = restored.saturating_add(u64::from(entered.is_some()));
        }
    }

    /// Takes the holds of a file that was examined; how many are still in force. `code` is the number of a code's name.
    ///
    /// # Errors
    /// It cannot be read any more.
    pub fn restore_holds(
        &self,
        now: Now,
        code: impl Fn([u8; 3]) -> Option<u16>,
        from: impl Read,
    ) -> Result<u64, StateFault> {
        let mut from = Hashed::new(from);
        from.take::<48>()?;
        let time_us = self.time_us(now);
        let mut restored = 0_u64;
        loop {
            let [tag] = from.take()?;
            if tag == TAG_END {
                return Ok(restored);
            }
            let head = from.take::<HOLD_HEAD>()?;
            let octets = from.take::<{ HoldText::BYTES }>()?;
            let mut fields = Fields(&head);
            let [id, place, until_ms, placed_unix_s, owner] = [(); 5].map(|()| fields.word());
            let [a, b, c, length] = *fields.0 else {
                return Err(StateFault::Torn);
            };
            let text = HoldText::from_parts(octets, length).ok_or(StateFault::Torn)?;
            let left_ms = until_ms.saturating_sub(time_us / 1000);
            let Some(code) = code([a, b, c]).filter(|_| left_ms > 0) else {
                continue;
            };
            let entry = HoldEntry {
                id,
                place,
                code,
                left_ms,
                placed_unix_s,
                owner,
                text,
            };
            restored = restored.saturating_add(u64::from(self.place_hold(&entry, now)));
        }
    }

    fn place_hold(&self, entry: &HoldEntry, now: Now) -> bool {
        self.holds.place_entry(entry, self.time_us(now))
    }
}

/// The words of a record, each in its place.
fn words_behind(
    head: &[u8; COUNTER_HEAD],
    from: &mut Hashed<impl Read>,
) -> Result<[u64; WORDS_MAX], StateFault> {
    let [.., low, high] = *head;
    let present = u16::from_le_bytes([low, high]);
    let mut words = [0; WORDS_MAX];
    for (at, word) in words.iter_mut().enumerate() {
        if present >> at & 1 == 1 {
            *word = from.word()?;
        }
    }
    Ok(words)
}

const _: () = assert!(
    PLACE_KEPT == (1 << 34) - 1,
    "the note keeps the other thirty bits"
);
