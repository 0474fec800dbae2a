//! The user agent server of RFC 3261 §8.2, stateless (§8.2.7): a datagram's bytes in, an answer's bytes out.
//!
//! Promises: never a 1xx, never a 2xx to an INVITE, never more than one answer; the same octets get the same answer.
//! Leaves to `policy`: the verdict; to `shard` and `stream`: where the bytes come from.
//!
//! A batch goes through in stages, each over all of its slots: `scan`, `touch`, `decide`, `respond`. `answer` does all
//! four for one packet.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod admit;
mod respond;
pub mod screening;
mod slot;
mod tag;

pub use slot::{Admission, Slot};

use crate::policy::{AnswerPlan, CallError, ContactPlan, Decision, Snapshot, Source, Verdict};
use crate::sip::Status;
use std::fmt;
use std::net::SocketAddr;

/// One datagram as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Its octets, as far as they were read.
    pub bytes: &'a [u8],
    /// Its octets on the wire: more than `bytes` holds when the kernel cut it.
    pub full_length: usize,
    /// Where it came from.
    pub source: SocketAddr,
}

/// An answer that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Octets of it.
    pub length: usize,
    /// How long blanks in front of its last `Reply::TAIL` octets may make it: they follow `Content-Length:`, where RFC
    /// 3261 §25.1 lets white space stand, and it still is no amplifier.
    pub length_max: usize,
    /// Where it goes.
    pub destination: SocketAddr,
    /// Its status.
    pub status: Status,
}

impl Reply {
    /// Octets from the value of Content-Length to the end.
    pub const TAIL: usize = b"0\r\n\r\n".len();
}

/// The user agent server. One per shard; all of a cluster hold the same key.
#[derive(Clone)]
pub struct Uas {
    key: [u8; 16],
    draining: bool,
}

impl fmt::Debug for Uas {
    // Whoever reads the key can guess To tags, so it stands in no log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Uas")
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}

impl Uas {
    /// A server with the cluster's key for To tags.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            key,
            draining: false,
        }
    }

    /// Whether OPTIONS says that this node goes away: 503 to listed proxies, silence to direct peers.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Whether the packet may be given up unread when there is too much to do: OPTIONS, and what comes from nobody's peer.
    /// INVITEs of peers never are: deciding one costs less than hearing it again.
    #[must_use]
    pub fn is_expendable(&self, policy: &Snapshot, packet: &Packet<'_>) -> bool {
        packet.bytes.starts_with(b"OPTIONS ") || self.is_stranger(policy, packet)
    }

    /// Whether the packet comes from nobody's peer.
    #[must_use]
    pub fn is_stranger(&self, policy: &Snapshot, packet: &Packet<'_>) -> bool {
        policy.source(packet.source.ip().to_canonical()) == Source::Unknown
    }

    /// Stage one: reads the packet into the slot. Of an unknown source nothing is read.
    pub fn scan(&self, policy: &Snapshot, packet: &Packet<'_>, slot: &mut Slot) {
        admit::admit(policy, packet, self.draining, slot);
    }

    /// Stage two: asks for the cache lines that the decision will read.
    pub fn touch(&self, policy: &Snapshot, slot: &Slot) {
        if let Some(prepared) = &slot.state.prepared {
            policy.touch(prepared);
        }
    }

    /// Stage three: decides an INVITE. Nothing happens to other slots.
    pub fn decide(&self, policy: &Snapshot, packet: &Packet<'_>, slot: &mut Slot) {
        let state = &mut slot.state;
        let (Some(attempt), Some(prepared)) = (state.attempt(packet.bytes), state.prepared) else {
            return;
        };
        let decision = policy.decide(&attempt, &prepared);
        let ContactPlan::Redirect { prefix, .. } = decision.plan.contact else {
            state.decision = Some(decision);
            return;
        };
        if respond::contact_fits(attempt.user_part, &prefix) {
            state.decision = Some(decision);
            return;
        }
        // The policy measures the user part as received; escaping can make it longer.
        let error = CallError::AddressIncomplete;
        state.decision = Some(Decision {
            verdict: Verdict::Error(error),
            plan: AnswerPlan {
                force_rport: decision.plan.force_rport,
                ..policy.error_plan(state.source, state.proxy_address, error)
            },
            ..decision
        });
    }

    /// Stage four: writes the answer into `out` (`RESPONSE_BYTES_MAX` octets always do); `None` is silence.
    #[must_use]
    pub fn respond(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &Slot,
        out: &mut [u8],
    ) -> Option<Reply> {
        self.write_answer(policy, packet, slot, out)
    }

    /// All stages for one packet.
    #[must_use]
    pub fn answer(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &mut Slot,
        out: &mut [u8],
    ) -> Option<Reply> {
        self.scan(policy, packet, slot);
        self.touch(policy, slot);
        self.decide(policy, packet, slot);
        self.respond(policy, packet, slot, out)
    }
}
