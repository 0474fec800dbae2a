//! From keys to the numbers of records: sets of eight words, each of which is a cache line.
//!
//! Promises: no lock; a look-up reads one cache line; of two shards that enter the same key at once exactly one succeeds, and
//! the other is given its record; an entry leaves only by `sweep`.
//! Leaves to its users: the records, of which each holds the name of its key; and that `sweep` is called by one thread, every
//! 16 seconds or more seldom: a shard holds a record for the time of one batch, and a record is given to somebody else only
//! after two sweeps have found it expired.
//!
//! Why exactly one: whoever finds a key absent enters it by compare-and-swap at the place that has been free for longest.
//! Every freeing has a number of its own, larger than all before, and the words are read until two readings agree. So from
//! the moment that a shard has seen a set without the key, the place that it chose is the one that others choose, too, until
//! it is taken; the second one to swap fails, looks again, and finds the key.

use super::words::{Line, Lines, Ordering, WAYS};

/// A word: in use or not, marked or not, 34 bits of the key, 28 of the record's number. Not in use: the number of the
/// freeing, 0 for a place that never was in use.
const LIVE: u64 = 1 << 63;
const MARK: u64 = 1 << 62;
const FINGERPRINT_SHIFT: u32 = 28;
const FINGERPRINT: u64 = (MARK - 1) & (!0 << FINGERPRINT_SHIFT);

/// Numbers of records are less than this.
pub(super) const RECORDS: u32 = 1 << FINGERPRINT_SHIFT;

/// The index.
#[derive(Debug)]
pub(super) struct Index {
    sets: Lines,
    mask: u64,
}

/// What became of a key that was to be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It has the record that came with it.
    New,
    /// It had this one already.
    Already(u32),
    /// Its set is full.
    Full,
}

fn record(word: u64) -> u32 {
    u32::try_from(word & u64::from(RECORDS - 1)).unwrap_or(0)
}

/// The upper bits of a hash choose the set, the lower ones are the fingerprint.
fn live(place: u64) -> u64 {
    LIVE | (place << FINGERPRINT_SHIFT & FINGERPRINT)
}

impl Index {
    /// Over these sets, all zero; their number is a power of two.
    pub(super) fn new(sets: Lines) -> Self {
        let mask = u64::try_from(sets.len()).unwrap_or(1).saturating_sub(1);
        Self { sets, mask }
    }

    /// The set of a key.
    pub(super) fn set(&self, place: u64) -> Option<&Line> {
        // From bits that the fingerprint leaves, as far as there are any.
        self.sets
            .get(usize::try_from(place.rotate_left(30) & self.mask).ok()?)
    }

    /// The record of a key; `is_its` says whether a record has the key's name. With `keep`, sweeps find it in use.
    #[inline]
    pub(super) fn find(&self, place: u64, keep: bool, is_its: impl Fn(u32) -> bool) -> Option<u32> {
        let want = live(place);
        let set = self.set(place)?;
        loop {
            let mut lost = false;
            for way in &set.0 {
                let word = way.load(Ordering::Acquire);
                if word & (LIVE | FINGERPRINT) != want || !is_its(record(word)) {
                    continue;
                }
                if word & MARK == 0 || !keep || unmark(way, word) {
                    return Some(record(word));
                }
                // It has just been swept away, or another shard has taken the mark off.
                lost = true;
            }
            if !lost {
                return None;
            }
        }
    }

    /// The record that is probably this key's, whose name is not looked at, and whether a sweep has marked it.
    #[inline]
    pub(super) fn glance(&self, place: u64) -> Option<(u32, bool)> {
        let want = live(place);
        let word = self.set(place)?.0.iter().find_map(|way| {
            let word = way.load(Ordering::Acquire);
            (word & (LIVE | FINGERPRINT) == want).then_some(word)
        })?;
        Some((record(word), word & MARK != 0))
    }

    /// Goes over the records of all keys that have this place.
    pub(super) fn each(&self, place: u64, mut each: impl FnMut(u32)) {
        for way in self.set(place).iter().flat_map(|set| &set.0) {
            let word = way.load(Ordering::Acquire);
            if word & (LIVE | FINGERPRINT) == live(place) {
                each(record(word));
            }
        }
    }

    /// Enters a key that `find` did not find, with a record that nobody else has and that holds its name.
    pub(super) fn enter(&self, place: u64, new: u32, is_its: impl Fn(u32) -> bool) -> Entered {
        let Some(set) = self.set(place) else {
            return Entered::Full;
        };
        loop {
            let words = read(set);
            // No word that is not in use is as large as this.
            let (mut is_there, mut longest, mut free) = (false, LIVE, 0);
            for (at, &word) in words.iter().enumerate() {
                if word < longest {
                    // The one that has been free for longest.
                    (longest, free) = (word, at);
                } else if word & (LIVE | FINGERPRINT) == live(place) && is_its(record(word)) {
                    is_there = true;
                }
            }
            // The key may have come since it was not found.
            if is_there {
                match self.find(place, true, &is_its) {
                    Some(record) => return Entered::Already(record),
                    // It has just been swept away.
                    None => continue,
                }
            }
            let Some(way) = set.0.get(free).filter(|_| longest != LIVE) else {
                return Entered::Full;
            };
            let entry = live(place) | u64::from(new & (RECORDS - 1));
            let swapped = way.compare_exchange(longest, entry, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_ok() {
                return Entered::New;
            }
        }
    }

    /// One round over all entries: marks what is expired, and frees what still has the mark of the round before. `freeing`
    /// is the number of the last freeing there was.
    pub(super) fn sweep(
        &self,
        freeing: &mut u64,
        is_expired: impl Fn(u32) -> bool,
        mut freed: impl FnMut(u32),
    ) {
        for way in self.sets.iter().flat_map(|set| &set.0) {
            let word = way.load(Ordering::Acquire);
            if word & LIVE == 0 {
                continue;
            }
            let is_expired = is_expired(record(word));
            match (is_expired, word & MARK != 0) {
                (false, false) => {}
                (false, true) => {
                    let _kept = unmark(way, word);
                }
                (true, false) => {
                    // It fails for nobody: only sweeps mark.
                    let _marked = way.compare_exchange(
                        word,
                        word | MARK,
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                }
                (true, true) => {
                    let next = freeing.saturating_add(1);
                    let swapped =
                        way.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed);
                    if swapped.is_ok() {
                        *freeing = next;
                        freed(record(word));
                    }
                }
            }
        }
    }

    /// All entries: the part of their places that a word keeps (`PLACE_KEPT`), and their records.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, u32)> {
        let words = self.sets.iter().flat_map(|set| &set.0);
        words
            .map(|way| way.load(Ordering::Acquire))
            .filter(|word| word & LIVE != 0)
            .map(|word| ((word & FINGERPRINT) >> FINGERPRINT_SHIFT, record(word)))
    }
}

/// The bits of a place that its word keeps. The others are of the number of its set, which depends on the size.
pub(super) const PLACE_KEPT: u64 = FINGERPRINT >> FINGERPRINT_SHIFT;

fn unmark(way: &super::words::AtomicU64, word: u64) -> bool {
    way.compare_exchange(word, word & !MARK, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

/// The words of a set as they stood at one moment.
fn read(set: &Line) -> [u64; WAYS] {
    let read = || set.0.each_ref().map(|way| way.load(Ordering::Acquire));
    let mut words = read();
    loop {
        let again = read();
        if again == words {
            return words;
        }
        words = again;
    }
}
