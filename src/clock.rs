//! The only reader of clocks. Everything else is given `now`, so a test passes a minute in a microsecond.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks, taken once per batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since the clock was made; never goes back. For intervals.
    pub monotonic_ns: u64,
    /// Microseconds since 1970-01-01 UTC. For what people read, and for dates in the bundle.
    pub unix_us: u64,
}

impl Now {
    /// Whole seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn unix_s(self) -> u64 {
        self.unix_us / 1_000_000
    }
}

/// Reads the machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that reads the clock"
    )]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Reads both clocks; about 50 ns.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that reads the clock"
    )]
    pub fn now(&self) -> Now {
        let monotonic = Instant::now().saturating_duration_since(self.origin);
        // A wall clock before 1970 reads as 1970: it only dates journal lines and list entries.
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic_ns: u64::try_from(monotonic.as_nanos()).unwrap_or(u64::MAX),
            unix_us: u64::try_from(unix.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
