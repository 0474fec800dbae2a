//! What the admin port may ask of the node, and what the node says back. `process` carries it out.

use std::fmt;
use std::sync::PoisonError;
use tokio::sync::oneshot;

/// An order.
#[derive(Debug)]
pub enum Order {
    /// Take the bundle as it is in its folder now, and say what came of it.
    Reload(Reply),
    /// Tell balancers to go elsewhere, and stop after the drain time.
    Drain,
}

/// A bundle that was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Its generation.
    pub generation: String,
    /// Whether it is another than before.
    pub changed: bool,
}

/// Where the outcome of a reload goes: the bundle in force, or the faults one a line.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Result<Reloaded, String>>);

impl Reply {
    /// A reply, and where it arrives.
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<Reloaded, String>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Says what came of it. Whoever asked may have gone.
    pub fn send(self, outcome: Result<Reloaded, String>) {
        let _heard = self.0.send(outcome);
    }
}

/// Whoever takes orders.
pub struct Orders(Box<dyn Fn(Order) + Send + Sync>);

impl Orders {
    /// Orders go to `take`, which must not block.
    pub fn new(take: impl Fn(Order) + Send + Sync + 'static) -> Self {
        Self(Box::new(take))
    }

    pub(super) fn give(&self, order: Order) {
        (self.0)(order);
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Orders")
    }
}

/// Why the bundle in the folder is not in force, for people to read; nothing when it is.
#[derive(Debug, Default)]
pub struct Trouble {
    #[expect(
        clippy::disallowed_types,
        reason = "a text between two threads of the control plane; no shard knows it"
    )]
    faults: std::sync::Mutex<Option<String>>,
}

impl Trouble {
    /// Says what is wrong now.
    pub fn set(&self, faults: Option<String>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// What is wrong now, one fault a line.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        let faults = self.faults.lock();
        faults.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
