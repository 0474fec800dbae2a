//! Builds the policy anew when a list row expires, and frees snapshots that nobody reads any more.
//!
//! Promises: an expired row stops counting within a second of its time; no shard ever builds or frees a snapshot.

use crate::clock::{Clock, Now};
use crate::metrics::Counter;
use crate::policy::Snapshot;
use crate::policy::cell::PolicyPublisher;
use crate::policy::rows::Rows;
use crate::shard::Switches;
use crate::sys;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long at most until the wall clock is looked at again: it may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How soon a replaced snapshot is tried again that a shard still holds.
const SWEEP_AGAIN: Duration = Duration::from_secs(1);

/// The publishing side of the policy.
#[derive(Debug)]
pub(super) struct Renewal {
    /// What the snapshot in force was built from.
    pub(super) rows: Rows,
    /// When the next of its rows expires, seconds since 1970 UTC.
    pub(super) next_expiry_unix_s: Option<u64>,
    /// Swaps snapshots.
    pub(super) publisher: PolicyPublisher,
    /// Wakes idle shards.
    pub(super) switches: Arc<Switches>,
    /// When the snapshot in force was published; written here alone.
    pub(super) published_ns: Arc<Counter>,
}

impl Renewal {
    /// Runs until the other end of `stop` is gone.
    pub(super) fn run(mut self, clock: Clock, stop: &Receiver<()>) {
        // Building is done when the shards leave time for it. Refused, it is done beside them.
        let _idle = sys::idle_class();
        loop {
            let wait = self.step(clock.now());
            match stop.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Does what is due; how long until something else may be.
    fn step(&mut self, now: Now) -> Duration {
        if self
            .next_expiry_unix_s
            .is_some_and(|due| due <= now.unix_s())
        {
            let next = Snapshot::build(&self.rows, now);
            self.next_expiry_unix_s = next.next_expiry_unix_s();
            self.publisher.publish(next);
            self.published_ns.set(now.monotonic_ns);
            // A bell that does not ring only delays an idle shard until its next datagram.
            let _rang = self.switches.snapshot_changed();
        }
        if self.publisher.sweep() > 0 {
            return SWEEP_AGAIN;
        }
        let Some(due_s) = self.next_expiry_unix_s else {
            return LOOK_AGAIN;
        };
        let left_us = due_s.saturating_mul(1_000_000).saturating_sub(now.unix_us);
        Duration::from_micros(left_us).clamp(Duration::from_millis(1), LOOK_AGAIN)
    }
}
