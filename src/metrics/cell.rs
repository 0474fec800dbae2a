//! Figures with one writer and any number of readers.
//!
//! Promises: adding is a load and a store, no locked instruction (about 1 ns instead of 5 to 20). Two writers would lose
//! counts; that is why `add` belongs to the thread of one shard.

use std::sync::atomic::{AtomicU64, Ordering};

/// A figure with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A figure to begin with.
    #[must_use]
    pub const fn of(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// Adds; for the one writer only.
    pub fn add(&self, number: u64) {
        // Relaxed: a reader wants a recent figure, and no other memory depends on it.
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(number);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Sets; for the one writer only.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram with one writer: observations up to each bound, the last bucket for what is above.
#[derive(Debug)]
pub struct Histogram<const BUCKETS: usize> {
    bounds: &'static [u64],
    buckets: [Counter; BUCKETS],
    sum: Counter,
}

impl<const BUCKETS: usize> Histogram<BUCKETS> {
    /// An empty histogram over ascending `bounds`, one fewer than buckets.
    ///
    /// # Panics
    /// When there are more or fewer; the two are constants, so every test finds it.
    #[must_use]
    pub const fn new(bounds: &'static [u64]) -> Self {
        assert!(
            bounds.len() + 1 == BUCKETS,
            "a bound per bucket but the last"
        );
        Self {
            bounds,
            buckets: [const { Counter::new() }; BUCKETS],
            sum: Counter::new(),
        }
    }

    /// Counts one observation; for the one writer only.
    pub fn observe(&self, value: u64) {
        let place = self
            .bounds
            .iter()
            .position(|bound| value <= *bound)
            .unwrap_or(self.bounds.len());
        if let Some(bucket) = self.buckets.get(place) {
            bucket.add(1);
        }
        self.sum.add(value);
    }

    /// The bounds.
    #[must_use]
    pub fn bounds(&self) -> &'static [u64] {
        self.bounds
    }

    /// Observations per bucket, not added up.
    #[must_use]
    pub fn counts(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|bucket| self.buckets.get(bucket).map_or(0, Counter::get))
    }

    /// Sum of all observations.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::<4>::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, 5000] {
            histogram.observe(value);
        }
        assert_eq!(histogram.counts(), [2, 2, 2, 2]);
        assert_eq!(histogram.sum(), 5225);
    }
}
