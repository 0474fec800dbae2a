//! Questions about decisions that are not made for a call: what would be decided, and why.
//!
//! Promises: nothing is counted, held or sent by asking.
//! Leaves to `policy`: every rule; to `cli` and `admin`: who asks, and by which policy and counters.

pub mod explain;
