//! Numbers, prefixes and ranges to values: the lists of numbers and the destination table.
//!
//! Promises: the longest match wins; a number shorter than a prefix never matches it, although both are padded with
//! zeros inside; a look-up allocates nothing and takes time that the number of rows hardly moves.
//! Leaves to its users: what the values mean, and what wins between tables.

use super::hash::Seeded;
use super::interval::{IntervalTable, edges, sweep};
use crate::e164::E164;
use crate::sys::prefetch_read;
use std::collections::{BTreeSet, HashMap};
use xorf::{BinaryFuse8, Filter};

/// Stands for "no entry".
pub(super) const NOTHING: u32 = u32::MAX;

/// All numbers that begin with one of `from..=to`, which have the same length.
#[derive(Debug, Clone, Copy)]
pub(super) struct PrefixRow {
    /// First prefix.
    pub(super) from: E164,
    /// Last prefix.
    pub(super) to: E164,
    /// Between entries of the same match length, the higher one wins.
    pub(super) preference: u32,
    /// What a look-up gives.
    pub(super) value: u32,
}

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberHit {
    /// The entry's value.
    pub(super) value: u32,
    /// How many leading digits decided: all of an exact number, the common prefix of a range.
    pub(super) match_digits: u8,
}

/// An entry as it stands in an interval: with the next one to try when the number is shorter than this one's digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    value: u32,
    /// Index into `fallbacks`.
    fallback: u32,
    digits_min: u8,
    match_digits: u8,
}

const EMPTY: Entry = Entry {
    value: NOTHING,
    fallback: NOTHING,
    digits_min: 0,
    match_digits: 0,
};

/// Prefixes and ranges.
#[derive(Debug)]
pub(super) struct PrefixTable {
    intervals: IntervalTable<u64, Entry>,
    fallbacks: Vec<Entry>,
}

/// `number`'s digits, then nines to the fifteenth.
fn last_of(number: E164) -> u64 {
    let nines = 0x9999_9999_9999_9990_u64;
    number.aligned() | nines.unbounded_shr(u32::try_from(4 * number.len()).unwrap_or(64)) & !0x0f
}

/// How many leading digits `from` and `to` share; they have the same length.
fn common_digits(from: E164, to: E164) -> u8 {
    let same_bits = (from.aligned() ^ to.aligned()).leading_zeros() as usize;
    u8::try_from((same_bits / 4).min(from.len())).unwrap_or(0)
}

impl PrefixTable {
    /// Builds the table. A row whose ends differ in length or stand in the wrong order matches nothing.
    pub(super) fn new(rows: &[PrefixRow]) -> Self {
        let spans = rows.iter().map(|row| {
            if row.from.len() == row.to.len() {
                (row.from.aligned(), last_of(row.to))
            } else {
                (u64::MAX, 0)
            }
        });
        // What covers a place, by digits needed: an entry that needs more digits than a better one is never reached,
        // so the best of each length is all that a place can use.
        let mut active: [BTreeSet<(u64, u32)>; 16] = Default::default();
        let mut fallbacks = Vec::new();
        let mut numbers: HashMap<Entry, u32, Seeded> = HashMap::default();
        let steps = sweep(
            &edges(spans),
            &mut active,
            |active, edge| {
                let Some(row) = rows.get(edge.entry as usize) else {
                    return;
                };
                let rank =
                    (u64::from(common_digits(row.from, row.to)) << 32) | u64::from(row.preference);
                let Some(of_length) = active.get_mut(row.from.len()) else {
                    return;
                };
                if edge.begins {
                    of_length.insert((rank, edge.entry));
                } else {
                    of_length.remove(&(rank, edge.entry));
                }
            },
            |active| chain(rows, active, &mut fallbacks, &mut numbers),
        );
        Self {
            intervals: IntervalTable::new(steps, EMPTY),
            fallbacks,
        }
    }

    /// The longest match of a number.
    #[inline]
    pub(super) fn get(&self, number: E164) -> Option<NumberHit> {
        let mut entry = self.intervals.get(number.aligned());
        // At most fifteen steps: each needs fewer digits than the one before.
        while usize::from(entry.digits_min) > number.len() {
            entry = *self.fallbacks.get(entry.fallback as usize)?;
        }
        (entry.value != NOTHING).then_some(NumberHit {
            value: entry.value,
            match_digits: entry.match_digits,
        })
    }

    /// Asks for the index entry of a number.
    pub(super) fn prefetch_index(&self, number: E164) {
        self.intervals.prefetch_index(number.aligned());
    }

    /// Asks for the intervals of a number.
    pub(super) fn prefetch_intervals(&self, number: E164) {
        self.intervals.prefetch_intervals(number.aligned());
    }
}

/// The entry of one place, with its fallbacks stored.
fn chain(
    rows: &[PrefixRow],
    active: &[BTreeSet<(u64, u32)>; 16],
    fallbacks: &mut Vec<Entry>,
    numbers: &mut HashMap<Entry, u32, Seeded>,
) -> Entry {
    let mut best: Vec<(u64, u32, usize)> = active
        .iter()
        .enumerate()
        .filter_map(|(digits, rows)| rows.last().map(|&(rank, row)| (rank, row, digits)))
        .collect();
    // Worst first, so that each finds its fallback stored. One that needs as many digits as a better one, or more, is
    // never reached and dropped.
    best.sort_unstable();
    let mut entry = EMPTY;
    for (at, &(rank, row, digits)) in best.iter().enumerate() {
        let reached = best
            .get(at + 1..)
            .unwrap_or(&[])
            .iter()
            .all(|&(_, _, better)| better > digits);
        let Some(row) = rows.get(row as usize).filter(|_| reached) else {
            continue;
        };
        let fallback = if entry == EMPTY {
            NOTHING
        } else {
            *numbers.entry(entry).or_insert_with(|| {
                fallbacks.push(entry);
                u32::try_from(fallbacks.len() - 1).unwrap_or(NOTHING)
            })
        };
        entry = Entry {
            value: row.value,
            fallback,
            digits_min: u8::try_from(digits).unwrap_or(u8::MAX),
            match_digits: u8::try_from(rank >> 32).unwrap_or(0),
        };
    }
    entry
}

/// From this many numbers a filter stands before the table: below, the table is as near as the filter.
const FILTERED_FROM: usize = 1024;

/// Exact numbers: open addressing at half load behind a filter that turns away 255 of 256 absent numbers.
struct ExactTable {
    /// `E164::key`, 0 where free (a number's word is never 0).
    keys: Vec<u64>,
    values: Vec<u32>,
    filter: Option<BinaryFuse8>,
}

impl std::fmt::Debug for ExactTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExactTable")
            .field("slots", &self.keys.len())
            .field("filtered", &self.filter.is_some())
            .finish_non_exhaustive()
    }
}

impl ExactTable {
    fn new(rows: &[(E164, u32, u32)]) -> Self {
        let mut best: HashMap<u64, (u32, u32), Seeded> =
            HashMap::with_capacity_and_hasher(rows.len(), Seeded::default());
        for &(number, preference, value) in rows {
            let held = best.entry(number.key()).or_insert((preference, value));
            if preference > held.0 {
                *held = (preference, value);
            }
        }
        let slots = if best.is_empty() {
            0
        } else {
            (best.len() * 2).next_power_of_two()
        };
        let mut table = Self {
            keys: vec![0; slots],
            values: vec![NOTHING; slots],
            filter: None,
        };
        for (&key, &(_, value)) in &best {
            let mut at = table.slot(key);
            while table.keys.get(at).is_some_and(|&held| held != 0) {
                at = (at + 1) & (slots - 1);
            }
            if let (Some(k), Some(v)) = (table.keys.get_mut(at), table.values.get_mut(at)) {
                *k = key;
                *v = value;
            }
        }
        if best.len() >= FILTERED_FROM {
            let keys: Vec<u64> = best.keys().copied().collect();
            // A filter that cannot be made costs speed, not truth.
            table.filter = BinaryFuse8::try_from(&keys).ok();
        }
        table
    }

    /// The home of a key: the high half of a product, so that digits anywhere move it.
    fn slot(&self, key: u64) -> usize {
        let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f_u128;
        usize::try_from(product >> 64).unwrap_or(0) & self.keys.len().saturating_sub(1)
    }

    #[inline]
    fn may_contain(&self, key: u64) -> bool {
        !self.keys.is_empty()
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.contains(&key))
    }

    #[inline]
    fn get(&self, number: E164) -> Option<u32> {
        let key = number.key();
        if !self.may_contain(key) {
            return None;
        }
        let mut at = self.slot(key);
        loop {
            match *self.keys.get(at)? {
                0 => return None,
                held if held == key => return self.values.get(at).copied(),
                _ => at = (at + 1) & (self.keys.len() - 1),
            }
        }
    }

    fn prefetch(&self, number: E164) {
        let key = number.key();
        if self.may_contain(key)
            && let (Some(held), Some(value)) = (
                self.keys.get(self.slot(key)),
                self.values.get(self.slot(key)),
            )
        {
            prefetch_read(held);
            prefetch_read(value);
        }
    }
}

/// Exact numbers, prefixes and ranges together.
#[derive(Debug)]
pub(super) struct NumberTable {
    exact: ExactTable,
    prefixes: PrefixTable,
    /// Among values of the same match length in the same table, which one wins: the table's user orders values.
    prefer: fn(u32, u32) -> u32,
}

impl NumberTable {
    /// Builds from exact numbers (number, preference, value), and prefixes or ranges. `prefer` settles a tie between
    /// an exact number and a prefix as long.
    pub(super) fn new(
        exact: &[(E164, u32, u32)],
        prefixes: &[PrefixRow],
        prefer: fn(u32, u32) -> u32,
    ) -> Self {
        Self {
            exact: ExactTable::new(exact),
            prefixes: PrefixTable::new(prefixes),
            prefer,
        }
    }

    /// The longest match of a number.
    #[inline]
    pub(super) fn get(&self, number: E164) -> Option<NumberHit> {
        let prefix = self.prefixes.get(number);
        let Some(exact) = self.exact.get(number) else {
            return prefix;
        };
        let match_digits = u8::try_from(number.len()).unwrap_or(u8::MAX);
        let value = match prefix {
            Some(hit) if hit.match_digits >= match_digits => (self.prefer)(exact, hit.value),
            _ => exact,
        };
        Some(NumberHit {
            value,
            match_digits,
        })
    }

    /// Asks for the index entry of a number.
    pub(super) fn prefetch_index(&self, number: E164) {
        self.prefixes.prefetch_index(number);
    }

    /// Asks for the lines that `get` reads.
    pub(super) fn prefetch_entries(&self, number: E164) {
        self.exact.prefetch(number);
        self.prefixes.prefetch_intervals(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(digits: &str) -> E164 {
        E164::from_digits(digits.as_bytes()).unwrap()
    }

    fn prefix(from: &str, to: &str, preference: u32, value: u32) -> PrefixRow {
        PrefixRow {
            from: number(from),
            to: number(to),
            preference,
            value,
        }
    }

    fn value(table: &PrefixTable, digits: &str) -> Option<u32> {
        table.get(number(digits)).map(|hit| hit.value)
    }

    #[test]
    fn a_number_shorter_than_a_prefix_does_not_match_it() {
        let table = PrefixTable::new(&[prefix("39000", "39000", 0, 1), prefix("390", "390", 0, 2)]);
        for (digits, want) in [
            ("39000", Some(1)),
            ("390000", Some(1)),
            ("3900", Some(2)),
            ("390", Some(2)),
            ("39", None),
            ("3", None),
            ("39001", Some(2)),
        ] {
            assert_eq!(value(&table, digits), want, "{digits}");
        }
    }

    #[test]
    fn a_range_is_every_number_that_begins_with_one_of_its_ends_or_between() {
        let table = PrefixTable::new(&[prefix("3912", "3914", 0, 1), prefix("391", "391", 0, 2)]);
        // The range's match length is that of `391`, so preference decides; both are 0: the later entry.
        for (digits, want) in [
            ("3911999", Some(2)),
            ("3912", Some(2)),
            ("39149", Some(2)),
            ("3915", Some(2)),
            ("391", Some(2)),
        ] {
            assert_eq!(value(&table, digits), want, "{digits}");
        }
        let table = PrefixTable::new(&[prefix("3912", "3914", 1, 1), prefix("391", "391", 0, 2)]);
        for (digits, want) in [
            ("3911999", Some(2)),
            ("3912", Some(1)),
            ("391499", Some(1)),
            ("3915", Some(2)),
            ("391", Some(2)),
        ] {
            assert_eq!(value(&table, digits), want, "{digits}");
        }
        assert_eq!(table.get(number("39130")).unwrap().match_digits, 3);
    }

    #[test]
    fn a_range_up_to_the_last_number_and_a_full_length_prefix_are_found() {
        let table = PrefixTable::new(&[
            prefix("98", "99", 0, 1),
            prefix("999999999999999", "999999999999999", 0, 2),
        ]);
        assert_eq!(value(&table, "999999999999999"), Some(2));
        assert_eq!(value(&table, "99999999999999"), Some(1));
        assert_eq!(value(&table, "97"), None);
    }

    #[test]
    fn rows_without_sense_match_nothing() {
        let table = PrefixTable::new(&[prefix("5", "44", 0, 1), prefix("45", "44", 0, 2)]);
        for digits in ["4", "44", "45", "5", "50"] {
            assert_eq!(value(&table, digits), None, "{digits}");
        }
        let table = NumberTable::new(&[], &[], |one, _| one);
        assert_eq!(table.get(number("1")), None);
    }

    #[test]
    fn an_exact_number_beats_shorter_matches_and_ties_go_to_the_preferred() {
        let table = NumberTable::new(
            &[
                (number("39069"), 1, 10),
                (number("39069"), 2, 11),
                (number("4412"), 1, 12),
            ],
            &[prefix("3906", "3906", 9, 20), prefix("4412", "4412", 9, 5)],
            u32::min,
        );
        assert_eq!(table.get(number("39069")).unwrap().value, 11);
        assert_eq!(table.get(number("390699")).unwrap().value, 20);
        assert_eq!(table.get(number("4412")).unwrap().value, 5);
    }

    /// Digits that collide often: padding zeros, carries over nines.
    fn digits(most: usize) -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just('0'), Just('9'), Just('3')], 1..=most)
            .prop_map(|digits| digits.into_iter().collect())
    }

    fn row(preference: u32) -> impl Strategy<Value = PrefixRow> {
        (digits(6), digits(6)).prop_map(move |(one, other)| {
            let length = one.len().min(other.len());
            let mut ends = [&one[..length], &other[..length]];
            ends.sort_unstable();
            prefix(ends[0], ends[1], preference, preference)
        })
    }

    fn naive(rows: &[PrefixRow], number: E164) -> Option<(u8, u32)> {
        rows.iter()
            .filter(|row| {
                let head = number.to_string();
                head.len() >= row.from.len() && {
                    let head = E164::from_digits(&head.as_bytes()[..row.from.len()]).unwrap();
                    row.from <= head && head <= row.to
                }
            })
            .map(|row| {
                let (from, to) = (row.from.to_string(), row.to.to_string());
                let common = from
                    .bytes()
                    .zip(to.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();
                (u8::try_from(common).unwrap(), row.preference)
            })
            .max()
    }

    proptest! {
        #[test]
        fn prefixes_answer_as_going_through_all_rows_would(
            rows in proptest::collection::vec(any::<()>(), 0..40)
                .prop_flat_map(|rows| (0_u32..).zip(rows).map(|(n, ())| row(n)).collect::<Vec<_>>()),
            numbers in proptest::collection::vec(digits(9), 1..60),
        ) {
            let table = PrefixTable::new(&rows);
            for digits in numbers {
                let number = number(&digits);
                let found = table.get(number).map(|hit| (hit.match_digits, hit.value));
                prop_assert_eq!(found, naive(&rows, number), "{}", digits);
            }
        }
    }

    /// A small generator, so that a large table needs no file.
    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn a_table_large_enough_for_index_and_filter_answers_as_maps_do() {
        let mut state = 0x7011_9a7e_u64;
        let mut by_prefix = std::collections::BTreeMap::new();
        let mut by_number = std::collections::BTreeMap::new();
        for value in 0..30_000_u32 {
            let digits = (random(&mut state) % 100_000_000).to_string();
            let length = 2 + value as usize % 7;
            if let Some(digits) = digits.get(..length) {
                by_prefix.insert(digits.to_owned(), value);
            }
            by_number.insert(
                (random(&mut state) % 1_000_000_000).to_string(),
                value + 1_000_000,
            );
        }
        let prefixes: Vec<PrefixRow> = by_prefix
            .iter()
            .map(|(digits, value)| prefix(digits, digits, 0, *value))
            .collect();
        let exact: Vec<(E164, u32, u32)> = by_number
            .iter()
            .map(|(digits, value)| (number(digits), 0, *value))
            .collect();
        let table = NumberTable::new(&exact, &prefixes, |one, _| one);
        assert!(table.exact.filter.is_some());
        assert!(table.prefixes.intervals.len() > 8192);
        let mut hits = [0; 2];
        let random_numbers: Vec<String> = (0..30_000)
            .map(|_| (random(&mut state) % 1_000_000_000).to_string())
            .collect();
        for digits in by_number
            .keys()
            .chain(by_prefix.keys())
            .chain(&random_numbers)
        {
            let exact = by_number.get(digits).copied();
            let longest = (1..=digits.len())
                .rev()
                .find_map(|length| by_prefix.get(&digits[..length]).copied());
            hits[0] += usize::from(exact.is_some());
            hits[1] += usize::from(longest.is_some());
            let found = table.get(number(digits)).map(|hit| hit.value);
            assert_eq!(found, exact.or(longest), "{digits}");
        }
        assert!(hits.iter().all(|hits| *hits > 20_000), "{hits:?}");
    }
}
