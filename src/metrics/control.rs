//! The figures of the control plane: each has one writing thread, as those of the shards have.

use super::cell::{Counter, Histogram};
use crate::clock::Now;

/// Bounds of `reload_seconds`, nanoseconds: 1 ms to 100 s.
pub const RELOAD_BOUNDS_NS: &[u64] = &[
    1_000_000,
    3_000_000,
    10_000_000,
    30_000_000,
    100_000_000,
    300_000_000,
    1_000_000_000,
    3_000_000_000,
    10_000_000_000,
    30_000_000_000,
    100_000_000_000,
];

/// What the control plane counts. Written by the thread that publishes policies, but `draining` by the one that waits
/// for signals.
#[derive(Debug)]
pub struct ControlMetrics {
    /// When the snapshot in force was published, `Now::monotonic_ns`.
    pub published_ns: Counter,
    /// The same by the wall clock, microseconds since 1970 UTC.
    pub published_unix_us: Counter,
    /// Bundles refused, the one refused at the start included.
    pub bundles_refused: Counter,
    /// 1 while the bundle in force is not the one in the folder, because that was refused.
    pub bundle_stale: Counter,
    /// Nanoseconds from the order to reload to the new policy in force.
    pub reload: Histogram<12>,
    /// 1 from the order to drain on.
    pub draining: Counter,
}

impl ControlMetrics {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            published_ns: Counter::new(),
            published_unix_us: Counter::new(),
            bundles_refused: Counter::new(),
            bundle_stale: Counter::new(),
            reload: Histogram::new(RELOAD_BOUNDS_NS),
            draining: Counter::new(),
        }
    }
}

impl ControlMetrics {
    /// Notes that a snapshot was published.
    pub fn published(&self, now: Now) {
        self.published_ns.set(now.monotonic_ns);
        self.published_unix_us.set(now.unix_us);
    }
}

impl Default for ControlMetrics {
    fn default() -> Self {
        Self::new()
    }
}
