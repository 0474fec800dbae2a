//! What must be done again and again beside the calls: builds the policy anew for a reload and when a list row expires,
//! keeps the last good bundle, frees snapshots that nobody reads any more, keeps the transaction memory from ageing, frees
//! expired counters.
//!
//! Promises: a new bundle is in force whole or not at all; an expired row stops counting within a second of its time; no
//! shard ever builds or frees a snapshot.

use super::say;
use crate::admin::{Reloaded, Trouble};
use crate::clock::{Clock, Now};
use crate::control::{BundleSource, Faults};
use crate::counters::Counters;
use crate::limits::COUNTERS_SWEEP_SECONDS;
use crate::metrics::ControlMetrics;
use crate::policy::cell::PolicyPublisher;
use crate::policy::rows::Rows;
use crate::policy::{PolicyCell, Snapshot};
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

/// What a reload came to.
pub type ReloadOutcome = Result<Reloaded, Faults>;

/// What the publishing side is told.
pub(super) enum Work {
    /// Read the bundle, put it in force, and say what came of it.
    Reload(Box<dyn FnOnce(ReloadOutcome) + Send>),
    /// End.
    Stop,
}

/// The publishing side of the policy.
#[derive(Debug)]
pub(super) struct Renewal {
    /// What the snapshot in force was built from.
    pub(super) rows: Rows,
    /// When the next of its rows expires, seconds since 1970 UTC.
    pub(super) next_expiry_unix_s: Option<u64>,
    /// Swaps snapshots.
    pub(super) publisher: PolicyPublisher,
    /// The snapshot in force.
    pub(super) policy: PolicyCell,
    /// Wakes idle shards.
    pub(super) switches: Arc<Switches>,
    /// Written here alone, but for `draining`.
    pub(super) metrics: Arc<ControlMetrics>,
    /// Where reloads read; `None`: the bundle is what it is.
    pub(super) bundles: Option<BundleSource>,
    /// Why the bundle in the folder is not in force.
    pub(super) trouble: Arc<Trouble>,
    /// The memory to sweep.
    pub(super) memory: Option<Arc<TransactionMemory>>,
    /// The counters to sweep.
    pub(super) counters: Option<Arc<Counters>>,
}

impl Renewal {
    /// Runs until told to stop, or until nobody can tell any more.
    pub(super) fn run(mut self, clock: Clock, work: &Receiver<Work>) {
        // Building is done when the shards leave time for it. Refused, it is done beside them. At nice 19 and on the cores
        // that no shard has, it keeps whoever else is there waiting for a whole slice: with the load generator there the longest
        // gap around a swap was 258 µs above that without one; idle, 64 there and 26 on any core.
        let _idle = sys::idle_class();
        if self.metrics.bundle_stale.get() == 0 {
            self.keep();
        }
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
            if let Some(counters) = &self.counters {
                // It knows itself when it was swept last.
                counters.sweep(now);
                wait = wait.min(Duration::from_secs(COUNTERS_SWEEP_SECONDS));
            }
            match work.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Work::Reload(done)) => done(self.reload(clock)),
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Does what is due; how long until something else may be.
    fn step(&mut self, now: Now) -> Duration {
        if self
            .next_expiry_unix_s
            .is_some_and(|due| due <= now.unix_s())
        {
            let next = self
                .policy
                .current()
                .build_next(&self.rows, &self.rows, now);
            self.publish(next, now);
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

    fn publish(&mut self, next: Snapshot, now: Now) {
        self.next_expiry_unix_s = next.next_expiry_unix_s();
        self.publisher.publish(next);
        self.metrics.published(now);
        // A bell that does not ring only delays an idle shard until its next datagram.
        let _rang = self.switches.snapshot_changed();
    }

    /// A new bundle whole, or the old one stays; the log says which.
    fn reload(&mut self, clock: Clock) -> ReloadOutcome {
        let began = clock.now();
        let Some(bundles) = &self.bundles else {
            let mut faults = Faults::new();
            faults.whole_file("the bundle", "is not read from anywhere");
            return Err(faults);
        };
        let bundle = match bundles.read() {
            Ok(bundle) => bundle,
            Err(faults) => {
                self.metrics.bundles_refused.add(1);
                self.metrics.bundle_stale.set(1);
                self.trouble.set(Some(faults.to_string()));
                let generation = &self.rows.generation;
                say(&format!(
                    "{faults}\ntollgate: reload refused, faults {}; the bundle in force stays: generation {generation}\n",
                    faults.count()
                ));
                return Err(faults);
            }
        };
        let changed = bundle.rows.generation != self.rows.generation;
        let now = clock.now();
        // Built even when nothing changed: whoever reloads wants what is there now in force, for certain.
        let next = self
            .policy
            .current()
            .build_next(&self.rows, &bundle.rows, now);
        self.rows = bundle.rows;
        self.publish(next, now);
        let took_ns = clock.now().monotonic_ns.saturating_sub(began.monotonic_ns);
        self.metrics.reload.observe(took_ns);
        self.metrics.bundle_stale.set(0);
        self.trouble.set(None);
        let generation = self.rows.generation.clone();
        let warnings: String = bundle
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}\n"))
            .collect();
        let same = if changed { "" } else { ", the same as before" };
        say(&format!(
            "{warnings}tollgate: reloaded in {} ms: generation {generation}{same}\n",
            took_ns / 1_000_000
        ));
        self.keep();
        Ok(Reloaded {
            generation,
            changed,
        })
    }

    /// Keeps the bundle in force for a start with a broken folder.
    fn keep(&self) {
        if let Some(bundles) = &self.bundles
            && let Err(sentence) = bundles.keep(&self.rows.generation)
        {
            say(&format!("warning: {sentence}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{self, Source};
    use crate::e164::E164;
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

    fn renewal(rows: Rows) -> Renewal {
        let first = Snapshot::build(&rows, at(0));
        let next_expiry_unix_s = first.next_expiry_unix_s();
        let (policy, publisher) = PolicyCell::new(first);
        Renewal {
            rows,
            next_expiry_unix_s,
            publisher,
            policy,
            switches: Arc::new(Switches::new(Vec::new())),
            metrics: Arc::new(ControlMetrics::new()),
            bundles: None,
            trouble: Arc::new(Trouble::default()),
            memory: None,
            counters: None,
        }
    }

    #[test]
    fn the_policy_is_built_anew_when_a_row_expires_and_not_before() {
        let mut rows = control::load(&Source::Sample).unwrap().rows;
        rows.lists.extend([expiring(1000), expiring(2000)]);
        let mut renewal = renewal(rows);
        let mut reader = renewal.policy.reader();
        assert_eq!(renewal.next_expiry_unix_s, Some(1000));
        let first = std::ptr::from_ref(reader.load());
        assert_eq!(renewal.step(at(0)), LOOK_AGAIN);
        assert_eq!(renewal.step(at(999_400_000)), Duration::from_millis(600));
        assert!(std::ptr::eq(first, reader.load()));
        // A shard still holds the first one.
        assert_eq!(renewal.step(at(1_000_000_000)), SWEEP_AGAIN);
        assert_eq!(renewal.metrics.published_ns.get(), 1_000_000_000);
        assert!(!std::ptr::eq(first, reader.load()));
        assert_eq!(renewal.next_expiry_unix_s, Some(2000));
        assert_eq!(renewal.step(at(1_000_000_001)), LOOK_AGAIN);
        renewal.step(at(2_000_000_000));
        reader.load();
        assert_eq!(renewal.next_expiry_unix_s, None);
        assert_eq!(renewal.step(at(2_000_000_001)), LOOK_AGAIN);
        assert_eq!(renewal.metrics.published_ns.get(), 2_000_000_000);
    }

    #[test]
    fn a_bundle_that_is_read_from_nowhere_is_not_reloaded() {
        let mut renewal = renewal(Rows::default());
        let faults = renewal.reload(Clock::start()).unwrap_err();
        assert_eq!(faults.to_string(), "the bundle: is not read from anywhere");
    }

    #[test]
    fn a_reload_publishes_and_is_counted() {
        let loaded = control::load(&Source::Sample).unwrap();
        let bundles = loaded.bundles();
        let mut renewal = renewal(Rows::default());
        renewal.bundles = Some(bundles);
        let mut reader = renewal.policy.reader();
        let generation = loaded.rows.generation;
        for changed in [true, false] {
            let outcome = renewal.reload(Clock::start());
            let reloaded = Reloaded {
                generation: generation.clone(),
                changed,
            };
            assert_eq!(outcome, Ok(reloaded));
            assert_eq!(reader.load().generation(), generation);
        }
        assert_eq!(renewal.metrics.reload.counts().iter().sum::<u64>(), 2);
    }
}
