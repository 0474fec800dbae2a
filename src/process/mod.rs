//! Starts and joins every thread: shards, the renewal of the policy, the admin port; and says what runs.
//!
//! Promises: what was started is stopped within a second of SIGINT or SIGTERM, with the sums of what was done on
//! standard output; a port in use, or a state folder that cannot be written, ends it before anything starts.
//! Leaves to `control`: what the configuration means; to `shard`: answering.

mod accounting;
mod cores;
mod journal;
mod key;
mod node;
mod renewal;
mod start;

pub use accounting::Accounting;
pub use node::{Node, NodeSetup, Unavailable};
pub use start::serve;
