//! The only reader of clocks.
//!
//! Promises: times are nanoseconds since the clock was made and never go back; the clock of a test is moved by hand.
//! Everything else in this crate is given `now`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the start of a [`Clock`].
pub type Nanos = u64;

/// A monotonic clock that also knows what the wall clock says, because the kernel stamps datagrams with the latter.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

/// One look at both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BothClocks {
    /// Nanoseconds since the clock was made.
    pub monotonic: Nanos,
    /// Nanoseconds since 1970.
    pub wall: u64,
}

impl BothClocks {
    /// The monotonic time of something that the kernel stamped with the wall clock.
    ///
    /// A stamp from the future (the wall clock was set back in between) counts as now.
    #[must_use]
    pub fn monotonic_of(&self, wall_ns: u64) -> Nanos {
        self.monotonic
            .saturating_sub(self.wall.saturating_sub(wall_ns))
    }
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is the reader of clocks"
    )]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Nanoseconds since the start; costs about 25 ns.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is the reader of clocks"
    )]
    pub fn now(&self) -> Nanos {
        nanos(Instant::now().saturating_duration_since(self.origin))
    }

    /// Both clocks at once; costs about 50 ns.
    #[must_use]
    pub fn both(&self) -> BothClocks {
        BothClocks {
            monotonic: self.now(),
            wall: wall_ns(),
        }
    }
}

/// Nanoseconds since 1970 by the wall clock; 0 if it stands before that.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the reader of clocks"
)]
pub fn wall_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, nanos)
}

/// A duration in nanoseconds; more than 584 years count as that.
#[must_use]
pub fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_the_kernel_is_moved_onto_the_monotonic_clock() {
        let both = BothClocks {
            monotonic: 5_000,
            wall: 1_000_000,
        };
        for (wall, monotonic) in [
            (1_000_000, 5_000),
            (999_000, 4_000),
            (1_000_500, 5_000), // from the future: now
            (0, 0),             // before the clock was made
        ] {
            assert_eq!(both.monotonic_of(wall), monotonic, "wall {wall}");
        }
    }

    #[test]
    fn the_clock_does_not_go_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
    }
}
