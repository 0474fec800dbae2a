//! Byte strings under a tag to row numbers: users of a domain, names of a set of domains, whole agents.
//!
//! Promises: a look-up borrows its key and allocates nothing; the hash is seeded, since traffic chooses the keys; three
//! flat vectors hold all.
//! Leaves to its users: lower case, where case does not count.

use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// From (tag, bytes) to the lowest value inserted for it.
#[derive(Debug, Default)]
pub(super) struct ByteMap {
    seed: RandomState,
    /// Index into `entries` plus one; 0 is free. Length is a power of two, at most half full.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    tag: u32,
    start: u32,
    length: u32,
    value: u32,
}

impl ByteMap {
    /// Puts `value` under the key; the lowest value stays.
    pub(super) fn insert_lowest(&mut self, tag: u32, key: &[u8], value: u32) {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let hash = self.seed.hash_one((tag, key));
        let (slot, found) = self.find(hash, tag, key);
        if let Some(entry) = found.and_then(|at| self.entries.get_mut(at)) {
            entry.value = entry.value.min(value);
            return;
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.entries.push(Entry {
            hash,
            tag,
            start: count(self.bytes.len()),
            length: count(key.len()),
            value,
        });
        self.bytes.extend_from_slice(key);
        let number = count(self.entries.len());
        if let Some(free) = self.slots.get_mut(slot) {
            *free = number;
        }
    }

    /// The value under the key.
    #[inline]
    pub(super) fn get(&self, tag: u32, key: &[u8]) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let (_, found) = self.find(self.seed.hash_one((tag, key)), tag, key);
        Some(self.entries.get(found?)?.value)
    }

    /// The free slot where the search ended, or the entry found.
    fn find(&self, hash: u64, tag: u32, key: &[u8]) -> (usize, Option<usize>) {
        let mask = self.slots.len().saturating_sub(1);
        let mut slot = usize::try_from(hash).unwrap_or(0) & mask;
        loop {
            let Some(at) = self
                .slots
                .get(slot)
                .and_then(|&held| (held as usize).checked_sub(1))
            else {
                return (slot, None);
            };
            let same = self.entries.get(at).is_some_and(|entry| {
                entry.hash == hash && entry.tag == tag && self.key_of(entry) == key
            });
            if same {
                return (slot, Some(at));
            }
            slot = (slot + 1) & mask;
        }
    }

    fn key_of(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize;
        self.bytes
            .get(start..start + entry.length as usize)
            .unwrap_or(&[])
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        let mut slots = vec![0_u32; size];
        for (at, entry) in self.entries.iter().enumerate() {
            let mut slot = usize::try_from(entry.hash).unwrap_or(0) & (size - 1);
            while slots.get(slot).is_some_and(|&held| held != 0) {
                slot = (slot + 1) & (size - 1);
            }
            if let Some(free) = slots.get_mut(slot) {
                *free = u32::try_from(at + 1).unwrap_or(u32::MAX);
            }
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::ByteMap;

    #[test]
    fn the_lowest_value_of_a_key_stays_and_tags_part_keys() {
        let mut map = ByteMap::default();
        assert_eq!(map.get(0, b"1001"), None);
        for (tag, key, value) in [
            (1, "1001", 7),
            (1, "1001", 3),
            (1, "1001", 9),
            (2, "1001", 1),
            (1, "", 5),
        ] {
            map.insert_lowest(tag, key.as_bytes(), value);
        }
        assert_eq!(map.get(1, b"1001"), Some(3));
        assert_eq!(map.get(2, b"1001"), Some(1));
        assert_eq!(map.get(1, b""), Some(5));
        assert_eq!(map.get(2, b""), None);
    }

    #[test]
    fn every_key_of_many_is_found_again() {
        let mut map = ByteMap::default();
        for number in 0..10_000_u32 {
            map.insert_lowest(number % 7, number.to_string().as_bytes(), number);
        }
        for number in 0..10_000_u32 {
            assert_eq!(
                map.get(number % 7, number.to_string().as_bytes()),
                Some(number)
            );
            assert_eq!(map.get(8, number.to_string().as_bytes()), None);
        }
    }
}
