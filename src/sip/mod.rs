//! RFC 3261 bytes: what a datagram says, and how an answer is written. Allocates nothing, knows no policy.
//!
//! Promises: every slice lies inside the datagram; time linear in its length; no input panics.
//! Leaves to `uas`: whether the request makes sense.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod status;

pub use status::{Phrase, Status};
