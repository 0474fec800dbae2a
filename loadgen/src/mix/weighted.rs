//! A choice by weight: whatever the number of items, one look into a table, or a search of halves where weights are large.
//!
//! Promises: of the same random number, the item in whose share of the sum it falls, items in the order in which they were given.

use crate::limits::WEIGHTED_PLACES_MAX;
use crate::random::SplitMix64;

/// Items, each with its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighted<T> {
    items: Box<[T]>,
    /// The sum of all weights up to and with each item's.
    ends: Box<[u64]>,
    /// For each number below the sum, the item that it falls on; empty if the sum is large.
    places: Box<[u16]>,
}

impl<T> Weighted<T> {
    /// These items with these weights. Of a sum that 32 bits do not hold, what is beyond them has no share.
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = (T, u32)>) -> Self {
        let (items, weights): (Vec<T>, Vec<u32>) = items.into_iter().unzip();
        let ends: Box<[u64]> = weights
            .iter()
            .scan(0, |sum, &weight| {
                *sum += u64::from(weight);
                Some(*sum)
            })
            .collect();
        let small = ends.last().is_some_and(|&sum| sum <= WEIGHTED_PLACES_MAX);
        let places = (0_u16..)
            .zip(&weights)
            .filter(|_| small)
            .flat_map(|(place, &weight)| (0..weight).map(move |_| place))
            .collect();
        Self {
            items: items.into(),
            ends,
            places,
        }
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// One of them; of a single one without asking chance.
    pub fn pick(&self, random: &mut SplitMix64) -> Option<&T> {
        if self.items.len() == 1 {
            return self.items.first();
        }
        let sum = self.ends.last().copied().unwrap_or(0).max(1);
        let fallen = random.below(u32::try_from(sum).unwrap_or(u32::MAX));
        let place = usize::try_from(fallen)
            .ok()
            .and_then(|at| self.places.get(at));
        let place = match place {
            Some(&place) => usize::from(place),
            None => self.ends.partition_point(|&end| end <= u64::from(fallen)),
        };
        self.items.get(place).or(self.items.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By walking over the shares, as the words say it.
    fn walked(weights: &[u32], fallen: u32) -> usize {
        let mut left = fallen;
        for (place, &weight) in weights.iter().enumerate() {
            if left < weight {
                return place;
            }
            left -= weight;
        }
        0
    }

    #[test]
    fn an_item_is_picked_by_its_share_of_the_sum() {
        for weights in [
            &[1, 1, 1][..],
            &[5, 0, 2],
            &[40, 20, 15, 25],
            &[4095, 1],
            &[100_000, 1, 3],
            &[1 << 30, 1 << 30, 7],
        ] {
            let weighted = Weighted::new(weights.iter().copied().enumerate());
            let sum: u32 = weights.iter().sum();
            for index in 0..2000 {
                let fallen = SplitMix64::of(3, index).below(sum);
                let picked = weighted.pick(&mut SplitMix64::of(3, index));
                assert_eq!(picked, Some(&walked(weights, fallen)), "{weights:?}");
            }
        }
    }

    #[test]
    fn a_single_item_asks_no_chance() {
        let one = Weighted::new([('x', 9)]);
        let mut random = SplitMix64::of(1, 1);
        let before = random.next_u64();
        let mut random = SplitMix64::of(1, 1);
        assert_eq!(one.pick(&mut random), Some(&'x'));
        assert_eq!(random.next_u64(), before);
        assert_eq!(Weighted::<char>::new([]).pick(&mut random), None);
    }
}
