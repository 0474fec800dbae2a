//! The few different answers that a node gives, each by a number that fits an entry of the table.
//!
//! Promises: a number means the same answer as long as the process lives, whatever policy is in force: a fixed Contact
//! host is kept as text; no lock, no allocation after the start.
//! Leaves to `memory`: what happens when there is no room for another one.

use super::table::VALUES;
use crate::limits::FIXED_HOST_BYTES_MAX;
use crate::policy::hash::Seeded;
use crate::policy::{ContactPlan, Told};
use std::hash::BuildHasher as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Places that are looked at before the answers count as full.
const PROBES_MAX: usize = 32;

/// The upper bits of a hash say where to look first.
const START_SHIFT: u32 = u64::BITS - VALUES.trailing_zeros();
const _: () = assert!(VALUES.is_power_of_two());

/// The answers seen so far.
#[derive(Debug)]
pub(super) struct Answers {
    places: Box<[Place]>,
    hasher: Seeded,
}

#[derive(Debug, Default)]
struct Place {
    /// Whoever sets this writes the answer, alone: so nobody ever waits for the `OnceLock`.
    claimed: AtomicBool,
    answer: OnceLock<Answer>,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// Verdict and plan. Of a fixed Contact host the domain's number is left out.
    told: Told,
    host_length: u8,
    host: [u8; FIXED_HOST_BYTES_MAX],
}

const _: () = assert!(FIXED_HOST_BYTES_MAX <= u8::MAX as usize);

impl Answer {
    /// `None`: the host is too long, which no policy has.
    fn new(told: Told, host: &[u8]) -> Option<Self> {
        let mut answer = Self {
            told,
            host_length: u8::try_from(host.len()).ok()?,
            host: [0; FIXED_HOST_BYTES_MAX],
        };
        answer.host.get_mut(..host.len())?.copy_from_slice(host);
        Some(answer)
    }

    /// Verdict and plan.
    pub(super) fn told(&self) -> Told {
        self.told
    }

    /// The text of a fixed Contact host, else nothing.
    pub(super) fn host(&self) -> &[u8] {
        self.host
            .get(..usize::from(self.host_length))
            .unwrap_or_default()
    }
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            places: (0..VALUES).map(|_place| Place::default()).collect(),
            hasher: Seeded::default(),
        }
    }

    /// Where to look first: answers that differ in one of these rarely meet. What is left out follows from them or is a few
    /// different values.
    fn start(&self, told: &Told, host: &[u8]) -> usize {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let [a, b, c] = match told.plan.contact {
            ContactPlan::Redirect { prefix, .. } => prefix,
            ContactPlan::None => [0; 3],
        };
        let code = u8::try_from(told.code.index()).unwrap_or_default();
        let would = told.would.map_or(0, |code| code.index().wrapping_add(1));
        let would = u8::try_from(would).unwrap_or_default();
        let [high, low] = told.plan.status.0.to_be_bytes();
        let flags = u8::from(told.plan.force_rport);
        let answer = u64::from_be_bytes([a, b, c, code, would, high, low, flags]);
        // Turned, so that every report is in the bits that a product carries upwards.
        let reports = u64::from(told.reports.bits())
            .wrapping_mul(FACTOR)
            .rotate_left(32);
        let mut hash = (answer ^ reports).wrapping_mul(FACTOR);
        if !host.is_empty() {
            hash ^= self.hasher.hash_one(host);
        }
        usize::try_from(hash >> START_SHIFT).unwrap_or_default()
    }

    /// The answer with this number.
    pub(super) fn get(&self, number: u16) -> Option<&Answer> {
        self.places.get(usize::from(number))?.answer.get()
    }

    /// The number of this answer; `None` when there is no room for another one.
    pub(super) fn intern(&self, told: Told, host: &[u8]) -> Option<u16> {
        let start = self.start(&told, host);
        let numbers = (start..VALUES).chain(0..start).take(PROBES_MAX);
        for number in numbers {
            let place = self.places.get(number)?;
            let there = place.answer.get();
            if let Some(answer) = there {
                if answer.told == told && answer.host() == host {
                    return u16::try_from(number).ok();
                }
                continue;
            }
            // While another shard writes here, this one goes on to the next place. The same answer may then come to
            // have two numbers; both are right.
            if place.claimed.swap(true, Ordering::AcqRel) {
                continue;
            }
            let _first = place.answer.set(Answer::new(told, host)?);
            return u16::try_from(number).ok();
        }
        None
    }
}
