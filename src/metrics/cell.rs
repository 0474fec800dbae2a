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

/// The longest of the last minute, with one writer: a reader takes nothing away, so any number may scrape.
#[derive(Debug)]
pub struct Longest {
    /// The longest of each stretch of time in turn: the stretch's number in the upper bits, nanoseconds below.
    stretches: [AtomicU64; STRETCHES],
}

/// Stretches are 2³³ ns long, 8.6 s.
const STRETCH_BITS: u32 = 33;
/// So that those before the present one are a minute.
const STRETCHES: usize = 8;
const _: () = assert!((STRETCHES as u64 - 1) << STRETCH_BITS >= 60_000_000_000);
/// Of a word; 19 hours.
const LONGEST_BITS: u32 = 46;
const LONGEST_MAX: u64 = (1 << LONGEST_BITS) - 1;
/// The number of a stretch, as far as a word has room for it: it comes again after 26 days.
const NUMBER_MAX: u64 = u64::MAX >> LONGEST_BITS;

impl Longest {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stretches: [const { AtomicU64::new(0) }; STRETCHES],
        }
    }

    /// Takes a duration that ended now (`Now::monotonic_ns`); for the one writer only. About 1 ns.
    pub fn observe(&self, now_ns: u64, took_ns: u64) {
        let number = now_ns >> STRETCH_BITS;
        let Some(stretch) = self.stretches.get(place(number)) else {
            return;
        };
        let word = (number & NUMBER_MAX) << LONGEST_BITS | took_ns.min(LONGEST_MAX);
        let known = stretch.load(Ordering::Relaxed);
        if known >> LONGEST_BITS != word >> LONGEST_BITS || known < word {
            stretch.store(word, Ordering::Relaxed);
        }
    }

    /// The longest of the minute before now, nanoseconds; of up to nine seconds more.
    #[must_use]
    pub fn of_last_minute(&self, now_ns: u64) -> u64 {
        let newest = now_ns >> STRETCH_BITS;
        let stretches = STRETCHES as u64;
        let numbers = newest.saturating_sub(stretches - 1)..=newest;
        let words = numbers.filter_map(|number| {
            let word = self.stretches.get(place(number))?.load(Ordering::Relaxed);
            (word >> LONGEST_BITS == number & NUMBER_MAX).then_some(word & LONGEST_MAX)
        });
        words.max().unwrap_or(0)
    }
}

impl Default for Longest {
    fn default() -> Self {
        Self::new()
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % STRETCHES as u64).unwrap_or(0)
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

    #[test]
    fn the_longest_is_shown_for_a_minute_and_no_longer_than_seventy_seconds() {
        const SECOND: u64 = 1_000_000_000;
        let longest = Longest::new();
        assert_eq!(longest.of_last_minute(0), 0);
        // Also across the number's wrap.
        for began in [0, 1000 * SECOND, (NUMBER_MAX - 3) << STRETCH_BITS] {
            longest.observe(began, 7000);
            longest.observe(began + 1, 300);
            for second in 0..300 {
                let now = began + second * SECOND;
                longest.observe(now, 40);
                let shown = longest.of_last_minute(now);
                match second {
                    0..=60 => assert_eq!(shown, 7000, "{second}"),
                    61..=69 => assert!(shown == 7000 || shown == 40, "{second}"),
                    _ => assert_eq!(shown, 40, "{second}"),
                }
            }
        }
        longest.observe(5000 * SECOND, u64::MAX);
        assert_eq!(longest.of_last_minute(5000 * SECOND), LONGEST_MAX);
        // Nothing for long: what is old is not shown.
        assert_eq!(longest.of_last_minute(6000 * SECOND), 0);
    }
}
