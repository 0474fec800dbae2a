//! What happened before, in numbers: sums over windows of time, holds, and which transactions are one attempt.
//!
//! Promises: no lock, no allocation after the start, no clock: `now` is an argument. Keys are seeded hashes, so that nobody
//! can choose which of them meet.
//! Leaves to `policy`: which keys there are and what a sum means; to `process`: when to sweep and to save.

mod attempts;
mod holds;
mod index;
mod key;
mod live;
mod others;
mod pool;
mod state;
mod sum;
#[cfg(test)]
mod tests;
mod types;
mod words;

pub use holds::HoldEntry;
pub use key::{Key, KeyHasher, LimitId, Part};
pub use live::{Counters, Size, Usage};
pub use state::{Kind as StateKind, Saved, StateFault};
pub use types::{
    Attempt, Count, Counted, Held, HoldText, IfFull, NewHold, Owner, Reserved, Seen, Sum, Told,
    Window,
};
