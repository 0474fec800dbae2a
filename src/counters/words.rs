//! The words that the tables are made of. The model of their interleavings (`tests/loom`) puts others in this place.

pub(super) use crate::sys::{Line, Lines};
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a line.
pub(super) const WAYS: usize = 8;
