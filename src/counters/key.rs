//! Keys: what is counted, as 128 bits of seeded hash.
//!
//! Promises: the same parts make the same key as long as the seed is the same; whoever does not know the seed cannot find
//! two that meet.
//! Leaves to its users: which parts a key has, and that two kinds of keys differ in their `LimitId`.

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::fmt;
use std::hash::Hasher as _;
use std::net::IpAddr;

/// What is counted, held or known. Made by `KeyHasher::key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Says where it is kept, and is compared there in part.
    pub(super) place: u64,
    /// Is compared whole.
    pub(super) name: u64,
}

impl Key {
    /// What no parts make: stands where no key is wanted.
    pub const UNUSED: Self = Self { place: 0, name: 0 };

    /// The key of something else about the same parts: say, of the sum, where this one is of the hold. Costs next to nothing;
    /// that nobody can make two meet rests on this key's being a seeded hash.
    #[must_use]
    #[inline]
    pub const fn about(self, what: LimitId) -> Self {
        Self {
            place: self.place ^ what.0,
            name: self.name ^ what.0.rotate_left(32),
        }
    }
}

/// A limit's identity: made once, when a snapshot is built. The same names make the same identity in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitId(u64);

impl LimitId {
    /// The identity made of these names: say, a domain's, the limit's, and its shape. Not secret: operators choose them, no
    /// caller does.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        let seeds = SharedSeed::from_u64(0x746f_6c6c_6761_7465);
        let mut hasher = FoldHasher::with_seed(0, &seeds);
        for name in names {
            hasher.write(name.as_bytes());
            // Keeps the end of one name from passing for the start of the next.
            hasher.write_u64(u64::try_from(name.len()).unwrap_or(u64::MAX));
        }
        Self(hasher.finish())
    }
}

/// One part of a key: who, or to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part(pub(super) u64);

impl Part {
    /// A part that is a word anyway, such as a number or a country. It needs no hashing of its own.
    #[must_use]
    pub const fn of_word(word: u64) -> Self {
        Self(word)
    }
}

/// Makes keys. Whoever knows its seed can make keys meet, so it stands in no log.
#[derive(Clone)]
pub struct KeyHasher {
    seeds: SharedSeed,
    of_part: u64,
    of_place: u64,
    of_name: u64,
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}

/// Octets of a seed.
pub(super) const SEED_BYTES: usize = 32;

impl KeyHasher {
    /// With a seed that is to be random, and kept as long as what was counted by it.
    #[must_use]
    pub fn new(seed: [u8; SEED_BYTES]) -> Self {
        let [a, b, c, d] = [0, 8, 16, 24].map(|from| {
            let word = seed.get(from..).and_then(|rest| rest.first_chunk());
            u64::from_le_bytes(word.copied().unwrap_or_default())
        });
        Self {
            seeds: SharedSeed::from_u64(a),
            of_part: b,
            of_place: c,
            of_name: d,
        }
    }

    /// A part that is text. Made once per call for all the limits that name it; about 5 ns.
    #[must_use]
    pub fn part(&self, octets: &[u8]) -> Part {
        let mut hasher = FoldHasher::with_seed(self.of_part, &self.seeds);
        hasher.write(octets);
        Part(hasher.finish())
    }

    /// A word of a text and of what it is looked up in: for whoever knows a text again by it. No key is made of it.
    #[must_use]
    pub fn text_of(&self, places: [u32; 3], text: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(!self.of_part, &self.seeds);
        for place in places {
            hasher.write_u32(place);
        }
        hasher.write(text);
        hasher.finish()
    }

    /// A part that is an address.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> Part {
        match address {
            IpAddr::V4(address) => Part::of_word(address.to_bits().into()),
            IpAddr::V6(address) => self.part(&address.octets()),
        }
    }

    /// The key of these parts. How many there are belongs to the limit's identity, and so does which.
    #[must_use]
    #[inline]
    pub fn key<const N: usize>(&self, limit: LimitId, parts: &[Part; N]) -> Key {
        // With a number that is known, the hasher's buffering costs nothing: 30 instructions instead of 90.
        let hash = |seed| {
            let mut hasher = FoldHasher::with_seed(seed, &self.seeds);
            hasher.write_u64(limit.0);
            for part in parts {
                hasher.write_u64(part.0);
            }
            hasher.finish()
        };
        Key {
            place: hash(self.of_place),
            name: hash(self.of_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_part_the_limit_and_the_seed_make_another_key() {
        let hasher = |first: u8| KeyHasher::new([first; 32]);
        let one = hasher(1);
        let id = |name| LimitId::new(&["acme", name, "shape"]);
        let parts = [
            one.part(b"1001"),
            one.part(b"1002"),
            one.address("192.0.2.1".parse().unwrap()),
            one.address("2001:db8::1".parse().unwrap()),
            Part::of_word(390_612_345_678),
        ];
        let mut keys = HashSet::new();
        for hasher in [&one, &hasher(2)] {
            for limit in [id("a"), id("b")] {
                for first in parts {
                    assert!(keys.insert(hasher.key(limit, &[first])));
                    for second in parts {
                        assert!(keys.insert(hasher.key(limit, &[first, second])));
                    }
                }
            }
        }
        assert_eq!(one.key(id("a"), &parts), one.key(id("a"), &parts));
        assert_ne!(LimitId::new(&["ab", "c"]), LimitId::new(&["a", "bc"]));
    }
}
