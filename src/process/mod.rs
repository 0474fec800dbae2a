//! Starts and joins every thread: shards, the renewal of the policy, the admin port; takes signals and orders; and says
//! what runs.
//!
//! Promises: SIGHUP reloads; SIGTERM drains, and what was started is stopped within a second of the end of the drain
//! time, of a second SIGTERM or of SIGINT, with the sums of what was done on standard output; a port in use, a state folder that cannot be written, or one that another node has, ends it before anything starts.
//! Leaves to `control`: what the configuration means; to `shard`: answering.

mod accounting;
mod claim;
mod cores;
mod journal;
mod keeper;
mod key;
mod node;
mod notify;
mod operate;
mod renewal;
mod start;

pub use accounting::Accounting;
pub use cores::plan as plan_cores;
pub use node::{Node, NodeSetup, Operation, Unavailable};
pub use renewal::ReloadOutcome;
pub use start::{ADMIN_ADDRESS_FILE, serve};

use std::io::{self, Write};

/// The log. A closed standard error leaves nobody to tell; the calls are answered all the same.
fn say(text: &str) {
    let _written = io::stderr().write_all(text.as_bytes());
}
