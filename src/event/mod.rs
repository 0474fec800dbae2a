//! What became of a datagram, and what is told of it: raw facts of fixed size, in blocks, through bounded queues.
//!
//! Promises: every datagram has exactly one `Outcome`; telling of it takes no lock and allocates nothing; when nobody
//! fetches the blocks, events are lost and counted, and the calls are still answered.
//! Leaves to the reader of the blocks: names, sums, files, mail.

mod block;
mod fact;
mod outcome;

pub use block::{EventReceiver, EventSender, event_queue};
pub use fact::{Event, Said, Text};
pub use outcome::Outcome;
