//! The transaction memory: a request that comes again within 32 seconds gets the answer that it got (RFC 3261 §17.2.1, as
//! far as a server without transactions can do it), whatever policy is in force by then and whichever shard it reaches.
//!
//! Promises: one table for all shards, without lock and without allocation after the start; an INVITE is decided once
//! and its copies are answered as it was, until 32 seconds later or until the table is too small for what arrives, which
//! the metrics say; datagrams from outside the peers, and all that is no INVITE to be decided, never touch it. An answer
//! that is too long for its request is refused anew, by the policy in force.
//! Leaves to `policy`: deciding; to `shard`: counting.
//!
//! A call attempt can be several transactions (a fork, an authentication retry). What its limits said will be kept in a
//! `Table` of its own, by domain, Call-ID, From tag and called number: a `Table` knows nothing of transactions.

mod answers;
mod table;
#[cfg(test)]
mod tests;

pub(super) use table::Key;
pub use table::{AGE_SWEPT as DEPTH_SECONDS_MAX, SWEEP_SECONDS};

use super::Packet;
use super::slot::Slot;
use crate::clock::Now;
use crate::limits::{TRANSACTION_SECONDS, TRANSACTIONS_HEADROOM};
use crate::policy::{ContactHost, ContactPlan, Decision, HeaderFamily, Snapshot, Told};
use crate::sip::Header;
use answers::Answers;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::fmt;
use std::hash::Hasher as _;
use std::net::IpAddr;
use table::{Entered, Table};

/// What the transaction memory knew of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recall {
    /// It was not asked: no INVITE that is decided, or no memory.
    #[default]
    Unasked,
    /// The INVITE was decided before, and is answered as it was then.
    Repeated,
    /// It was decided, and is remembered in place of an entry so many seconds old (at most 64: that or more, or none).
    Remembered {
        /// Seconds, whole.
        replaced_age_s: u8,
    },
    /// It was decided, and there is no room for an answer that never was given before: a copy will be decided anew.
    Unremembered,
}

/// What was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recalled {
    /// Verdict and plan.
    pub(super) told: Told,
    /// The number of the answer, for `contact_host`.
    pub(super) answer: u16,
}

/// What became of a decision that was to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remembered {
    /// It stands.
    Stands(Recall),
    /// Another shard was first with the same request; its answer stands.
    Repeats(Recalled),
}

/// The memory of all shards.
pub struct TransactionMemory {
    table: Table,
    answers: Answers,
    seeds: SharedSeed,
    seed: u64,
}

impl fmt::Debug for TransactionMemory {
    // Whoever reads the seeds can choose which entries meet, so they stand in no log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TransactionMemory")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// Entries for so many calls per second: 32 seconds of them, four times over, because sets fill unevenly: so not one
/// insertion in 900 meets a set full of young entries, where with room for exactly 32 seconds every second one would.
#[must_use]
pub fn entries_for(calls_per_second: u64) -> usize {
    let entries = calls_per_second
        .saturating_mul(TRANSACTION_SECONDS.into())
        .saturating_mul(TRANSACTIONS_HEADROOM);
    usize::try_from(entries)
        .unwrap_or(usize::MAX >> 1)
        .next_power_of_two()
}

impl TransactionMemory {
    /// A memory of so many entries (8 octets each), rounded up to a power of two. The seed is to be random.
    #[must_use]
    pub fn new(entries: usize, seed: [u8; 16]) -> Self {
        let seed = u128::from_ne_bytes(seed);
        let half = |shift: u32| u64::try_from(seed >> shift & u128::from(u64::MAX)).unwrap_or(0);
        Self {
            table: Table::new(entries),
            answers: Answers::new(),
            seeds: SharedSeed::from_u64(half(0)),
            seed: half(64),
        }
    }

    /// Entries that it holds when full.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// Keeps old entries from looking young. To be called every `SWEEP_SECONDS`, not on a shard.
    pub fn sweep(&self, now: Now) {
        self.table.sweep(now);
    }

    /// The key of an INVITE that is to be decided: everything that the decision depends on and everything that tells one
    /// transaction from another. Copies by way of another port of the peer are the same.
    pub(super) fn key(&self, packet: &Packet<'_>, slot: &Slot) -> Key {
        let request = slot.request(packet.bytes);
        let state = &slot.state;
        let mut hasher = FoldHasher::with_seed(self.seed, &self.seeds);
        let mut lengths = 0_u64;
        let mut write = |part: Option<&[u8]>| {
            // The lengths keep the end of one part from passing for the start of the next, and an absent one from an
            // empty one.
            lengths = lengths.rotate_left(13);
            if let Some(part) = part {
                hasher.write(part);
                lengths ^= u64::try_from(part.len()).unwrap_or(0).wrapping_add(1);
            }
        };
        write(Some(request.uri()));
        write(Some(state.top_via.value.within(packet.bytes)));
        for header in [Header::From, Header::CallId, Header::CSeq] {
            write(request.value(header));
        }
        let who: &[Header] = match state.call.family {
            HeaderFamily::PTfps => &[Header::PTfps],
            HeaderFamily::XTfps => &[
                Header::XTfps,
                Header::PReceived,
                Header::PUa,
                Header::PCalls,
            ],
            HeaderFamily::None => &[],
        };
        for header in who {
            write(request.value(*header));
        }
        // Where the family is not trusted, or there is none, these decide.
        for header in [
            Header::UserAgent,
            Header::AssertedIdentity,
            Header::PreferredIdentity,
            Header::RemotePartyId,
        ] {
            write(request.value(header));
        }
        let flags = u64::from(state.call.suspect) << 62 | u64::from(state.call.diverted) << 63;
        let peer = match state.peer_address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => {
                hasher.write_u128(address.to_bits());
                0
            }
        };
        hasher.write_u128(u128::from(lengths ^ flags) << 64 | peer);
        if let Some(proxy) = state.proxy_address {
            hasher.write_u128(match proxy {
                IpAddr::V4(address) => address.to_bits().into(),
                IpAddr::V6(address) => address.to_bits(),
            });
        }
        Key(hasher.finish())
    }

    /// Asks for the cache line that `recall` will read.
    pub(super) fn touch(&self, key: Key) {
        self.table.touch(key);
    }

    /// How the same request was answered in the last 32 seconds.
    #[inline]
    pub(super) fn recall(&self, key: Key, now: Now) -> Option<Recalled> {
        self.recalled(self.table.recall(key, now)?)
    }

    /// Remembers how a request is answered that `recall` did not know.
    pub(super) fn remember(
        &self,
        key: Key,
        decision: &Decision,
        policy: &Snapshot,
        now: Now,
    ) -> Remembered {
        let mut told = decision.told();
        let mut host = &b""[..];
        if let ContactPlan::Redirect {
            host: ContactHost::Fixed { text },
            ..
        } = &mut told.plan.contact
        {
            host = policy.contact_host(*text);
            *text = 0;
        }
        let Some(answer) = self.answers.intern(told, host) else {
            return Remembered::Stands(Recall::Unremembered);
        };
        match self.table.remember(key, answer, now) {
            Entered::New { replaced_age_s } => {
                Remembered::Stands(Recall::Remembered { replaced_age_s })
            }
            Entered::Already(answer) => match self.recalled(answer) {
                Some(recalled) => Remembered::Repeats(recalled),
                None => Remembered::Stands(Recall::Unremembered),
            },
        }
    }

    /// The fixed Contact host of a remembered answer.
    pub(super) fn contact_host(&self, answer: u16) -> &[u8] {
        self.answers.get(answer).map_or(&[], |answer| answer.host())
    }

    fn recalled(&self, number: u16) -> Option<Recalled> {
        let told = self.answers.get(number)?.told();
        Some(Recalled {
            told,
            answer: number,
        })
    }
}
