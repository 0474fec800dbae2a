//! Where the control plane publishes the policy and the shards read it, without a lock.
//!
//! Promises: a shard never frees a snapshot. The publisher keeps each one that it replaced until nobody else holds it
//! (freeing a large one on a shard stalled it for 20–33 ms); `sweep` does that on the publisher's thread.

use super::snapshot::Snapshot;
use arc_swap::{ArcSwap, Cache};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

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
    published: u32,
    followers: Vec<Sender<Arc<Snapshot>>>,
}

impl PolicyCell {
    /// A cell that holds the first snapshot, and the side that may replace it.
    #[must_use]
    pub fn new(first: Snapshot) -> (Self, PolicyPublisher) {
        let current = Arc::new(ArcSwap::from_pointee(first));
        let publisher = PolicyPublisher {
            current: Arc::clone(&current),
            replaced: Vec::new(),
            published: 0,
            followers: Vec::new(),
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
    /// Puts `next` in force and numbers it. The replaced snapshot stays until `sweep` finds it unused; shards must be
    /// woken so that idle ones let go of it.
    pub fn publish(&mut self, mut next: Snapshot) {
        self.published = self.published.wrapping_add(1);
        next.set_number(self.published);
        let next = Arc::new(next);
        // Before any shard can decide by it: whoever reads of a decision has the snapshot by then.
        self.followers
            .retain(|follower| follower.send(Arc::clone(&next)).is_ok());
        self.replaced.push(self.current.swap(next));
    }

    /// The snapshot in force and every later one, each before a shard can see it. Whoever follows lets go of them in
    /// time: they are not freed while it holds them.
    #[must_use]
    pub fn follow(&mut self) -> Receiver<Arc<Snapshot>> {
        let (follower, snapshots) = mpsc::channel();
        // The receiver is in our hands.
        let _received = follower.send(self.current.load_full());
        self.followers.push(follower);
        snapshots
    }

    /// Frees replaced snapshots that no reader holds any more; how many are still held.
    pub fn sweep(&mut self) -> usize {
        self.replaced
            .retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.replaced.len()
    }
}
