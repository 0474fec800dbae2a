//! What the control plane tells the shards: drain, stop, and that there is a new snapshot.

use crate::net::Waker;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// The switches of all shards. Flags are read once a batch; the bell is for shards that are idle.
#[derive(Debug)]
pub struct Switches {
    drain: AtomicBool,
    stop: AtomicBool,
    wakers: Vec<Waker>,
}

impl Switches {
    /// Switches over the shards that these bells wake.
    #[must_use]
    pub fn new(wakers: Vec<Waker>) -> Self {
        Self {
            drain: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            wakers,
        }
    }

    /// Tells every shard that this node goes away: OPTIONS get another answer, calls the same. For good: there is no way
    /// back but a restart, since whoever was told has gone elsewhere.
    pub fn drain(&self) {
        // No bell: it is read before the next datagram is.
        self.drain.store(true, Ordering::Release);
    }

    /// Whether this node goes away.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.drain.load(Ordering::Acquire)
    }

    /// Tells every shard to serve what its sockets hold, for at most `STOP_SERVE_NS_MAX`, and to end.
    ///
    /// # Errors
    /// A bell could not be rung; that shard stops at its next datagram.
    pub fn stop(&self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        self.wake_all()
    }

    /// Wakes every shard, so that idle ones take the new snapshot and let go of the old one.
    ///
    /// # Errors
    /// A bell could not be rung; that shard takes the snapshot at its next datagram.
    pub fn snapshot_changed(&self) -> io::Result<()> {
        self.wake_all()
    }

    /// Whether the shards shall end.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn wake_all(&self) -> io::Result<()> {
        let mut outcome = Ok(());
        for waker in &self.wakers {
            // One broken bell does not keep the others from being rung.
            outcome = waker.wake().and(outcome);
        }
        outcome
    }
}
