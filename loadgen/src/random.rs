//! A small seeded generator of numbers: the same seed gives the same calls on every machine and in every version.
//!
//! `SplitMix64` (Steele, Lea, Flood 2014), fifteen lines of our own: crates of random numbers do not promise the same
//! sequence across their versions, and a call's content must follow from (seed, number of the call) alone, so that a
//! retransmission is rendered again instead of being kept. Nothing here is a secret.

/// The state of one sequence.
#[derive(Debug, Clone, Copy)]
pub struct SplitMix64 {
    state: u64,
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl SplitMix64 {
    /// The sequence that belongs to item `index` of `seed`; neighbours have nothing in common.
    #[must_use]
    pub fn of(seed: u64, index: u64) -> Self {
        Self {
            state: mix(seed.wrapping_add(GAMMA)) ^ mix(index.wrapping_mul(GAMMA).wrapping_add(1)),
        }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number below `bound` (0 for a bound of 0). The bias of the multiplication is below 2⁻³² for the bounds used here.
    pub fn below(&mut self, bound: u32) -> u32 {
        let wide = u64::from(high_half(self.next_u64())) * u64::from(bound);
        high_half(wide)
    }

    /// The same for a small bound.
    pub fn below_octet(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u32::from(bound))).unwrap_or(0)
    }

    /// A number below `bound` (0 for a bound of 0), of all 64 bits.
    pub fn below_u64(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number in (0, 1]: never zero, so its logarithm is finite.
    pub fn unit(&mut self) -> f64 {
        (f64::from(high_half(self.next_u64())) + 1.0) / 4_294_967_296.0
    }
}

fn high_half(wide: u64) -> u32 {
    let [a, b, c, d, ..] = wide.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_never_changes() {
        let mut random = SplitMix64::of(1, 0);
        let first = random.next_u64();
        assert_eq!(first, SplitMix64::of(1, 0).next_u64());
        assert_ne!(first, SplitMix64::of(1, 1).next_u64());
        assert_ne!(first, SplitMix64::of(2, 0).next_u64());
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let mut seen = [0u32; 10];
        let mut random = SplitMix64::of(7, 7);
        for _ in 0..10_000 {
            seen[usize::try_from(random.below(10)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn unit_is_in_its_interval_and_has_the_mean_of_one() {
        let mut random = SplitMix64::of(3, 0);
        let mut sum = 0.0;
        for _ in 0..10_000 {
            let x = random.unit();
            assert!(x > 0.0 && x <= 1.0);
            sum += x;
        }
        assert!((4_800.0..5_200.0).contains(&sum), "{sum}");
    }
}
