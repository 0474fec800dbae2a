//! One thread per core: reads its sockets in batches, has each batch answered, sends the answers.
//!
//! Promises: a batch is answered by one policy at one time; no lock, no allocation, no log line on the way; every
//! datagram is counted once; a panic costs its batch and nothing else.
//! Leaves to `uas`: what the datagrams mean; to `process`: threads and sockets.

mod pin;
mod serve;
mod stages;
mod switches;

pub use pin::{allowed_cores, pin};
pub use serve::{Shard, run};
pub use stages::{Stages, UasSlot};
pub use switches::Switches;
