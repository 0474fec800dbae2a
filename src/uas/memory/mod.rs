//! The transaction memory: a request that comes again within 32 seconds gets the answer that it got (RFC 3261 §17.2.1, as
//! far as a server without transactions can do it), whatever policy is in force by then and whichever shard it reaches.
//!
//! Promises: one table for all shards, without lock and without allocation after the start; an INVITE is decided once
//! and its copies are answered as it was, until 32 seconds later or until the table is too small for what arrives, which
//! the metrics say; datagrams from outside the peers, and all that is no INVITE to be decided, never touch it. An answer
//! that is too long for its request is refused anew, by the policy in force.
//! Leaves to `policy`: deciding; to `shard`: counting.
//!
//! A call attempt can be several transactions (a fork, an authentication retry). What its limits said is kept in
//! `counters::attempts`, by domain, Call-ID, From tag and called number.

mod answers;
mod table;
#[cfg(test)]
mod tests;

pub use table::{AGE_SWEPT as DEPTH_SECONDS_MAX, SWEEP_SECONDS};
pub(super) use table::{Key, Place};

use super::keyed::{Identity, Keyed, fold};
use super::slot::State;
use crate::clock::Now;
use crate::limits::{TRANSACTION_SECONDS, TRANSACTIONS_HEADROOM};
use crate::policy::{ContactHost, ContactPlan, Decision, HeaderFamily, Snapshot, Told};
use crate::sip::{Header, Request};
use answers::Answers;
use siphasher::sip::SipHasher13;
use std::fmt;
use std::io;
use std::net::IpAddr;
use table::{Entered, Look, Table};

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

/// What is known of a request that is to be decided.
#[derive(Debug)]
pub(super) enum Looked<'m> {
    /// It was answered so.
    Known(Recalled),
    /// Nothing; here it may be remembered.
    Unknown(Option<Place<'m>>),
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
    /// So that nobody can choose which entries meet.
    seeds: [u64; 2],
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

/// The headers that a decision depends on, where they are there: those of the family, and where it is not trusted, or there
/// is none, the others. With a number of the family.
fn who(family: HeaderFamily) -> (u64, &'static [Header]) {
    match family {
        HeaderFamily::PTfps => (
            1,
            &[
                Header::PTfps,
                Header::UserAgent,
                Header::AssertedIdentity,
                Header::PreferredIdentity,
                Header::RemotePartyId,
            ],
        ),
        HeaderFamily::XTfps => (
            2,
            &[
                Header::XTfps,
                Header::PReceived,
                Header::PUa,
                Header::PCalls,
                Header::UserAgent,
                Header::AssertedIdentity,
                Header::PreferredIdentity,
                Header::RemotePartyId,
            ],
        ),
        HeaderFamily::None => (
            3,
            &[
                Header::UserAgent,
                Header::AssertedIdentity,
                Header::PreferredIdentity,
                Header::RemotePartyId,
            ],
        ),
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
    ///
    /// # Errors
    /// There is no address space for it.
    pub fn new(entries: usize, seed: [u8; 16]) -> io::Result<Self> {
        let hasher = SipHasher13::new_with_key(&seed);
        Ok(Self {
            table: Table::new(entries)?,
            answers: Answers::new(),
            // Whatever the seed, these have ones and noughts all over, as a factor should.
            seeds: [hasher.hash(&[0]), hasher.hash(&[1])],
        })
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
    pub(super) fn key(
        &self,
        keyed: &Keyed,
        identity: Identity,
        request: &Request<'_>,
        state: &State,
    ) -> Key {
        let [first, second] = identity.words();
        let [one, other] = self.seeds;
        let mut hash = fold(first ^ one, second ^ other);
        let mut add = |part: u64| hash = fold(hash ^ part, one);
        add(keyed.part(8, request.uri()));
        // Which header a value stands in counts as well as the value.
        let (family, headers) = who(state.call.family);
        let flags = u64::from(state.call.suspect) | u64::from(state.call.diverted) << 1;
        let mut present = family << 2 | flags;
        for header in headers {
            present <<= 1;
            if let Some(value) = request.value(*header) {
                present |= 1;
                add(keyed.part(3, value));
            }
        }
        let word = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => keyed.part(4, &address.octets()),
        };
        add(word(state.peer_address) ^ present << 32);
        if let Some(proxy) = state.proxy_address {
            add(!word(proxy));
        }
        Key(hash)
    }

    /// Asks for the cache line that `look` will read.
    pub(super) fn touch(&self, key: Key) {
        self.table.touch(key);
    }

    /// How the same request was answered in the last 32 seconds; else where it is to be remembered.
    #[inline]
    pub(super) fn look(&self, key: Key, now: Now) -> Looked<'_> {
        match self.table.look(key, now) {
            Look::Known(number) => match self.recalled(number) {
                Some(recalled) => Looked::Known(recalled),
                None => Looked::Unknown(None),
            },
            Look::Unknown(place) => Looked::Unknown(Some(place)),
        }
    }

    /// Remembers how a request is answered that `look` did not know.
    pub(super) fn remember(
        &self,
        place: Option<Place<'_>>,
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
        let answer = self.answers.intern(told, host);
        let (Some(place), Some(answer)) = (place, answer) else {
            return Remembered::Stands(Recall::Unremembered);
        };
        match self.table.enter(place, key, answer, now) {
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
