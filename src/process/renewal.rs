//! What must be done again and again beside the calls: builds the policy anew when a list row expires, frees snapshots
//! that nobody reads any more, keeps the transaction memory from ageing.
//!
//! Promises: an expired row stops counting within a second of its time; no shard ever builds or frees a snapshot.

use crate::clock::{Clock, Now};
use crate::metrics::Counter;
use crate::policy::Snapshot;
use crate::policy::cell::PolicyPublisher;
use crate::policy::rows::Rows;
use crate::shard::Switches;
use crate::sys;
use crate::uas::{SWEEP_SECONDS, TransactionMemory};
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
    /// The memory to sweep.
    pub(super) memory: Option<Arc<TransactionMemory>>,
}

impl Renewal {
    /// Runs until the other end of `stop` is gone.
    pub(super) fn run(mut self, clock: Clock, stop: &Receiver<()>) {
        // Building is done when the shards leave time for it. Refused, it is done beside them.
        let _idle = sys::idle_class();
        let mut swept_ns = 0;
        loop {
            let now = clock.now();
            let mut wait = self.step(now);
            if let Some(memory) = &self.memory {
                if now.monotonic_ns.saturating_sub(swept_ns) >= SWEEP_SECONDS * 1_000_000_000 {
                    memory.sweep(now);
                    swept_ns = now.monotonic_ns;
                }
                wait = wait.min(Duration::from_secs(SWEEP_SECONDS));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{self, Source};
    use crate::e164::E164;
    use crate::policy::PolicyCell;
    use crate::policy::rows::{ListRow, Pattern, Scope};

    fn at(unix_us: u64) -> Now {
        Now {
            monotonic_ns: unix_us,
            unix_us,
        }
    }

    fn expiring(expires_unix_s: u64) -> ListRow {
        ListRow {
            scope: Scope::System,
            pattern: Pattern::Number(E164::from_digits(b"390612345678").unwrap()),
            deny: None,
            expires_unix_s: Some(expires_unix_s),
            file: 0,
            line: 1,
        }
    }

    #[test]
    fn the_policy_is_built_anew_when_a_row_expires_and_not_before() {
        let mut rows = control::load(&Source::Sample).unwrap().rows;
        rows.lists.extend([expiring(1000), expiring(2000)]);
        let first = Snapshot::build(&rows, at(0));
        let next_expiry_unix_s = first.next_expiry_unix_s();
        assert_eq!(next_expiry_unix_s, Some(1000));
        let (cell, publisher) = PolicyCell::new(first);
        let mut reader = cell.reader();
        let mut renewal = Renewal {
            rows,
            next_expiry_unix_s,
            publisher,
            switches: Arc::new(Switches::new(Vec::new())),
            published_ns: Arc::new(Counter::new()),
            memory: None,
        };
        let first = std::ptr::from_ref(reader.load());
        assert_eq!(renewal.step(at(0)), LOOK_AGAIN);
        assert_eq!(renewal.step(at(999_400_000)), Duration::from_millis(600));
        assert!(std::ptr::eq(first, reader.load()));
        // A shard still holds the first one.
        assert_eq!(renewal.step(at(1_000_000_000)), SWEEP_AGAIN);
        assert_eq!(renewal.published_ns.get(), 1_000_000_000);
        assert!(!std::ptr::eq(first, reader.load()));
        assert_eq!(renewal.next_expiry_unix_s, Some(2000));
        assert_eq!(renewal.step(at(1_000_000_001)), LOOK_AGAIN);
        renewal.step(at(2_000_000_000));
        reader.load();
        assert_eq!(renewal.next_expiry_unix_s, None);
        assert_eq!(renewal.step(at(2_000_000_001)), LOOK_AGAIN);
        assert_eq!(renewal.published_ns.get(), 2_000_000_000);
    }
}
