//! The user agent server of RFC 3261 §8.2, stateless (§8.2.7): a datagram's bytes in, an answer's bytes out.
//!
//! Promises: never a 1xx, never a 2xx to an INVITE, never more than one answer; the same octets get the same answer.
//! Leaves to `policy`: the verdict; to `shard` and `stream`: where the bytes come from.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
