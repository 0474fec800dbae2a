//! What the keys of a call's limits are made of.
//!
//! Promises: each part is hashed once per call; a limit finds those of its key by place, without a branch.
//! Leaves to `limits`: which parts a limit has, and filling them.

use crate::counters::Part;

/// Whose, the caller, the address, and to where.
pub(super) const KEY_PARTS_MAX: usize = 4;

/// What keys are made of, hashed once per call; a limit names those of its key by their places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts(pub(super) [Part; 8]);

impl Parts {
    pub(super) const DOMAIN: u8 = 0;
    pub(super) const SUBSCRIBER: u8 = 1;
    pub(super) const CALLER: u8 = 2;
    pub(super) const ADDRESS: u8 = 3;
    pub(super) const NUMBER: u8 = 4;
    pub(super) const PREFIX: u8 = 5;
    pub(super) const COUNTRY: u8 = 6;

    /// The part of a place, which is one of the above.
    pub(super) fn at(&self, place: u8) -> Part {
        let Self([.., unused]) = *self;
        self.0
            .get(usize::from(place % 8))
            .copied()
            .unwrap_or(unused)
    }

    /// Of domain and subscriber: whose share a key takes.
    pub(super) fn subscriber(&self) -> Part {
        self.at(Self::SUBSCRIBER)
    }
}
