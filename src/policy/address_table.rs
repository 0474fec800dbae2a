//! Blocks of addresses to values: sets of domains, sets of subscribers, the winning row of a list.
//!
//! Promises: an IPv4-mapped IPv6 address is looked up as IPv4; a look-up allocates nothing.
//! Leaves to its users: what the values mean.

use super::interval::{IntervalTable, edges, sweep};
use super::rows::AddressBlock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Both families' intervals.
#[derive(Debug)]
pub(super) struct AddressTable<V> {
    v4: IntervalTable<u32, V>,
    v6: IntervalTable<u128, V>,
}

/// The bits of an address, by family; an IPv4-mapped one is IPv4.
enum Bits {
    V4(u32),
    V6(u128),
}

fn bits(address: IpAddr) -> Bits {
    match address.to_canonical() {
        IpAddr::V4(v4) => Bits::V4(v4.to_bits()),
        IpAddr::V6(v6) => Bits::V6(v6.to_bits()),
    }
}

/// The entries of each family as spans with an item each; a block whose ends differ in family is no block.
type Spans<K, T> = Vec<(K, K, T)>;

fn split<T>(
    blocks: impl IntoIterator<Item = (AddressBlock, T)>,
) -> (Spans<u32, T>, Spans<u128, T>) {
    let mut v4 = Vec::new();
    let mut v6 = Vec::new();
    for (block, item) in blocks {
        match (bits(block.first), bits(block.last)) {
            (Bits::V4(first), Bits::V4(last)) => v4.push((first, last, item)),
            (Bits::V6(first), Bits::V6(last)) => v6.push((first, last, item)),
            (Bits::V4(_), Bits::V6(_)) | (Bits::V6(_), Bits::V4(_)) => {}
        }
    }
    (v4, v6)
}

impl<V: Copy + PartialEq> AddressTable<V> {
    /// The value at an address.
    #[inline]
    pub(super) fn get(&self, address: IpAddr) -> V {
        match bits(address) {
            Bits::V4(bits) => self.v4.get(bits),
            Bits::V6(bits) => self.v6.get(bits),
        }
    }

    /// Asks for the index entry of an address.
    pub(super) fn prefetch_index(&self, address: IpAddr) {
        match bits(address) {
            Bits::V4(bits) => self.v4.prefetch_index(bits),
            Bits::V6(bits) => self.v6.prefetch_index(bits),
        }
    }

    /// Asks for the intervals of an address.
    pub(super) fn prefetch_intervals(&self, address: IpAddr) {
        match bits(address) {
            Bits::V4(bits) => self.v4.prefetch_intervals(bits),
            Bits::V6(bits) => self.v6.prefetch_intervals(bits),
        }
    }

    /// Where blocks overlap, the one with the highest rank gives the value.
    pub(super) fn of_highest<R: Ord + Copy>(
        blocks: impl IntoIterator<Item = (AddressBlock, R, V)>,
        empty: V,
    ) -> Self {
        let (v4, v6) = split(
            blocks
                .into_iter()
                .map(|(block, rank, value)| (block, (rank, value))),
        );
        Self {
            v4: highest(&v4, empty),
            v6: highest(&v6, empty),
        }
    }
}

fn highest<K: super::interval::Key, R: Ord + Copy, V: Copy + PartialEq>(
    spans: &[(K, K, (R, V))],
    empty: V,
) -> IntervalTable<K, V> {
    let rank = |entry: u32| spans.get(entry as usize).map(|(_, _, (rank, _))| *rank);
    let mut active = BTreeSet::new();
    let steps = sweep(
        &edges(spans.iter().map(|(first, last, _)| (*first, *last))),
        &mut active,
        |active, edge| {
            let ranked = (rank(edge.entry), edge.entry);
            if edge.begins {
                active.insert(ranked);
            } else {
                active.remove(&ranked);
            }
        },
        |active| {
            active
                .last()
                .and_then(|(_, entry)| spans.get(*entry as usize))
                .map_or(empty, |(_, _, (_, value))| *value)
        },
    );
    IntervalTable::new(steps, empty)
}

/// Sets of small numbers, each kept once, sorted.
#[derive(Debug, Default)]
pub(super) struct Sets {
    members: Vec<u32>,
    /// End of each set in `members`.
    ends: Vec<u32>,
}

/// Gives each distinct set its number while tables are built.
#[derive(Debug, Default)]
pub(super) struct SetInterner {
    numbers: HashMap<Vec<u32>, u32>,
    sets: Sets,
}

/// Stands for the empty set.
pub(super) const NO_SET: u32 = u32::MAX;

impl Sets {
    /// The members of a set, rising; none for `NO_SET`.
    pub(super) fn members(&self, set: u32) -> &[u32] {
        let at = set as usize;
        let Some(&end) = self.ends.get(at) else {
            return &[];
        };
        let start = at
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        self.members
            .get(start as usize..end as usize)
            .unwrap_or(&[])
    }

    /// How many sets there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }
}

impl SetInterner {
    /// The number of this set of rising members.
    pub(super) fn number(&mut self, members: Vec<u32>) -> u32 {
        if members.is_empty() {
            return NO_SET;
        }
        let Self { numbers, sets } = self;
        *numbers.entry(members).or_insert_with_key(|members| {
            sets.members.extend_from_slice(members);
            sets.ends
                .push(u32::try_from(sets.members.len()).unwrap_or(u32::MAX));
            sets.count() - 1
        })
    }

    /// The sets so far.
    pub(super) fn sets(&self) -> &Sets {
        &self.sets
    }

    /// The sets, when all tables are built.
    pub(super) fn finish(self) -> Sets {
        self.sets
    }

    /// A table from addresses to the set of all items whose blocks cover them. `reduce` may leave out members that
    /// no look-up can ask for.
    pub(super) fn table(
        &mut self,
        blocks: impl IntoIterator<Item = (AddressBlock, u32)>,
        reduce: impl Fn(Vec<u32>) -> Vec<u32>,
    ) -> AddressTable<u32> {
        let (v4, v6) = split(blocks);
        AddressTable {
            v4: self.union(&v4, &reduce),
            v6: self.union(&v6, &reduce),
        }
    }

    fn union<K: super::interval::Key>(
        &mut self,
        spans: &[(K, K, u32)],
        reduce: &impl Fn(Vec<u32>) -> Vec<u32>,
    ) -> IntervalTable<K, u32> {
        // How many blocks of each item cover the place: an item may list overlapping blocks.
        let mut active: BTreeMap<u32, u32> = BTreeMap::new();
        let steps = sweep(
            &edges(spans.iter().map(|(first, last, _)| (*first, *last))),
            &mut active,
            |active, edge| {
                let Some((_, _, item)) = spans.get(edge.entry as usize) else {
                    return;
                };
                let covering = active.entry(*item).or_insert(0);
                if edge.begins {
                    *covering += 1;
                    return;
                }
                *covering -= 1;
                if *covering == 0 {
                    active.remove(item);
                }
            },
            |active| self.number(reduce(active.keys().copied().collect())),
        );
        IntervalTable::new(steps, NO_SET)
    }
}
