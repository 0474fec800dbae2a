//! Blocks of addresses to values: sets of domains, sets of subscribers, the winning row of a list.
//!
//! Promises: an IPv4-mapped IPv6 address is looked up as IPv4; a look-up allocates nothing.
//! Leaves to its users: what the values mean.

use super::hash::Seeded;
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
    numbers: HashMap<Vec<u32>, u32, Seeded>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn block(first: &str, last: &str, prefix_bits: u8) -> AddressBlock {
        AddressBlock {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            prefix_bits,
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_highest_rank_gives_the_value_and_mapped_addresses_are_ipv4() {
        let table = AddressTable::of_highest(
            [
                (block("10.0.0.0", "10.255.255.255", 8), 8, 1_u32),
                (block("10.1.0.0", "10.1.255.255", 16), 16, 2),
                (block("2001:db8::", "2001:db8::ffff", 112), 112, 3),
                (block("255.255.255.255", "255.255.255.255", 32), 32, 4),
            ],
            0,
        );
        for (text, want) in [
            ("10.0.0.0", 1),
            ("10.1.2.3", 2),
            ("10.2.0.0", 1),
            ("11.0.0.0", 0),
            ("9.255.255.255", 0),
            ("::ffff:10.1.0.1", 2),
            ("::10.1.0.1", 0),
            ("2001:db8::1", 3),
            ("2001:db8::1:0", 0),
            ("255.255.255.255", 4),
        ] {
            assert_eq!(table.get(address(text)), want, "{text}");
        }
    }

    #[test]
    fn a_set_holds_every_item_that_covers_the_address_once() {
        let mut interner = SetInterner::default();
        let table = interner.table(
            [
                (block("10.0.0.0", "10.0.0.255", 24), 7),
                (block("10.0.0.0", "10.0.0.15", 28), 7),
                (block("10.0.0.8", "10.0.0.8", 32), 2),
            ],
            |set| set,
        );
        let sets = interner.finish();
        for (text, want) in [
            ("10.0.0.1", &[7][..]),
            ("10.0.0.8", &[2, 7]),
            ("10.0.0.200", &[7]),
            ("10.0.1.0", &[]),
        ] {
            assert_eq!(sets.members(table.get(address(text))), want, "{text}");
        }
    }

    /// Addresses in a small space around a border of the direct index.
    fn v4(offset: u16) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_ff00 + u32::from(offset)))
    }

    fn v6(offset: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(
            (0x2001_u128 << 112) - 0x80 + u128::from(offset),
        ))
    }

    fn spans() -> impl Strategy<Value = Vec<(u16, u16, bool)>> {
        proptest::collection::vec((0_u16..512, 0_u16..512, any::<bool>()), 0..24)
    }

    proptest! {
        #[test]
        fn tables_answer_as_going_through_all_blocks_would(spans in spans()) {
            let blocks: Vec<(AddressBlock, u32)> = (0_u32..)
                .zip(&spans)
                .map(|(item, &(one, other, six))| {
                    let (first, last) = (one.min(other), one.max(other));
                    let place = if six { v6 } else { v4 };
                    let block = AddressBlock { first: place(first), last: place(last), prefix_bits: 0 };
                    (block, item)
                })
                .collect();
            let highest = AddressTable::of_highest(
                blocks.iter().map(|&(block, item)| (block, (item * 7) % 5 * 100 + item, item)),
                u32::MAX,
            );
            let mut interner = SetInterner::default();
            let sets_table = interner.table(blocks.iter().copied(), |set| set);
            let sets = interner.finish();
            for offset in 0..520 {
                for place in [v4(offset), v6(offset)] {
                    let covering: Vec<u32> = blocks
                        .iter()
                        .filter(|(block, _)| {
                            block.first.is_ipv4() == place.is_ipv4() && block.first <= place && place <= block.last
                        })
                        .map(|(_, item)| *item)
                        .collect();
                    prop_assert_eq!(sets.members(sets_table.get(place)), &covering[..]);
                    let best = covering.iter().copied().max_by_key(|item| (item * 7) % 5 * 100 + item);
                    prop_assert_eq!(highest.get(place), best.unwrap_or(u32::MAX));
                }
            }
        }
    }

    #[test]
    fn a_table_large_enough_for_the_index_answers_as_a_map_does() {
        let mut state = 0x2545_f491_u32;
        let mut map = BTreeMap::new();
        for value in 0..20_000_u32 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            map.insert(state, value);
        }
        let table = AddressTable::of_highest(
            map.iter().map(|(&bits, &value)| {
                let place = IpAddr::V4(Ipv4Addr::from_bits(bits));
                (
                    AddressBlock {
                        first: place,
                        last: place,
                        prefix_bits: 32,
                    },
                    0,
                    value,
                )
            }),
            u32::MAX,
        );
        for &bits in map.keys() {
            for near in [bits.wrapping_sub(1), bits, bits.wrapping_add(1)] {
                let want = map.get(&near).copied().unwrap_or(u32::MAX);
                assert_eq!(
                    table.get(IpAddr::V4(Ipv4Addr::from_bits(near))),
                    want,
                    "{near:x}"
                );
            }
        }
    }
}
