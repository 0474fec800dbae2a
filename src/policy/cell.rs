//! Where the control plane publishes the policy and the shards read it, without a lock.
//!
//! Promises: a shard never frees a snapshot. The publisher keeps each one that it replaced until nobody else holds it
//! (freeing a large one on a shard stalled it for 20–33 ms); `sweep` does that on the publisher's thread.

use super::snapshot::Snapshot;
use arc_swap::{ArcSwap, Cache};
use std::sync::Arc;

/// The published snapshot. Cloning shares the cell.
#[derive(Debug, Clone)]
pub struct PolicyCell {
    current: Arc<ArcSwap<Snapshot>>,
}

/// A shard's view of the cell; loads cost under a nanosecond when nothing changed.
#[derive(Debug)]
pub struct PolicyReader {
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
}

/// The publishing side: swaps snapshots and frees the replaced ones, never on a shard.
#[derive(Debug)]
pub struct PolicyPublisher {
    current: Arc<ArcSwap<Snapshot>>,
    replaced: Vec<Arc<Snapshot>>,
}

impl PolicyCell {
    /// A cell that holds the first snapshot, and the side that may replace it.
    #[must_use]
    pub fn new(first: Snapshot) -> (Self, PolicyPublisher) {
        let current = Arc::new(ArcSwap::from_pointee(first));
        let publisher = PolicyPublisher {
            current: Arc::clone(&current),
            replaced: Vec::new(),
        };
        (Self { current }, publisher)
    }

    /// A reader for one shard.
    #[must_use]
    pub fn reader(&self) -> PolicyReader {
        PolicyReader {
            cache: Cache::new(Arc::clone(&self.current)),
        }
    }

    /// The snapshot in force, for the control plane.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }
}

impl PolicyReader {
    /// The snapshot in force; call once per batch, so that a batch is answered by one policy.
    pub fn load(&mut self) -> &Snapshot {
        self.cache.load()
    }
}

impl PolicyPublisher {
    /// Puts `next` in force. The replaced snapshot stays until `sweep` finds it unused; shards must be woken so that
    /// idle ones let go of it.
    pub fn publish(&mut self, next: Snapshot) {
        self.replaced.push(self.current.swap(Arc::new(next)));
    }

    /// Frees replaced snapshots that no reader holds any more; how many are still held.
    pub fn sweep(&mut self) -> usize {
        self.replaced
            .retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.replaced.len()
    }
}
