//! The immutable policy snapshot: who asks, what number, and the order of the rules.

use super::answer::{AnswerPlan, CallError};
use super::attempt::CallAttempt;
use super::code::{Code, CodeSet};
use super::rows::Rows;
use crate::clock::Now;
use crate::e164::E164;
use std::net::IpAddr;

/// A known peer: the set of domains that its address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Index into the snapshot's interned sets of domains.
    pub domain_set: u32,
}

/// What a packet's source address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In no domain: silence.
    Unknown,
    /// A peer itself.
    Peer(Peer),
    /// A listed proxy: the peer is the address in the Via below.
    Proxy,
}

/// What a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Approved.
    Approve,
    /// Rejected.
    Reject,
    /// No verdict: the profile's error.
    Error(CallError),
}

/// A decided call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The answer's class. In detection mode `Approve` where prevention would reject.
    pub verdict: Verdict,
    /// The code in force: `A00`, or the rejecting one. Meaningless for errors (`A00`).
    pub code: Code,
    /// In detection mode: the code with which prevention would have rejected.
    pub would: Option<Code>,
    /// Codes of rules whose action is `report`.
    pub reports: CodeSet,
    /// The domain's index, if it became known.
    pub domain: Option<u16>,
    /// The subscriber's index; `None`: the domain's default subscriber.
    pub subscriber: Option<u32>,
    /// The dialled number as E.164; `None` when unclassified.
    pub number: Option<E164>,
    /// Index of the row in the destination table.
    pub destination: Option<u32>,
    /// Index of the list row that decided, if one did.
    pub list_row: Option<u32>,
    /// How the answer is worn.
    pub plan: AnswerPlan,
}

/// What is known of an attempt before its tables are looked up: made for all of a batch first, so that the cache misses
/// of the look-ups overlap.
#[derive(Debug, Clone, Copy)]
pub struct Prepared {
    /// Placeholder until the rules are built.
    pub number: Option<E164>,
}

/// The policy in force.
#[derive(Debug)]
pub struct Snapshot {
    generation: String,
}

impl Snapshot {
    /// Builds a snapshot; rows that expired before `now` are left out.
    #[must_use]
    pub fn build(rows: &Rows, _now: Now) -> Self {
        Self {
            generation: rows.generation.clone(),
        }
    }

    /// The bundle's hash.
    #[must_use]
    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// When the next list row expires, seconds since 1970 UTC: the control plane builds anew then.
    #[must_use]
    pub fn next_expiry_unix_s(&self) -> Option<u64> {
        None
    }

    /// What the packet's source address is. First thing asked of every datagram.
    #[must_use]
    pub fn source(&self, _address: IpAddr) -> Source {
        Source::Unknown
    }

    /// The peer behind a listed proxy: only domains that list both that proxy and that peer. `None`: 403.
    #[must_use]
    pub fn peer_behind(&self, _proxy: IpAddr, _peer: IpAddr) -> Option<Peer> {
        None
    }

    /// The answer to an INVITE's error before its domain is known: 403 if any of the peer's domains is `failover`,
    /// else as the peer's first domain. `peer` is `None` behind a proxy whose peer is unknown: then over all domains
    /// that list the proxy.
    #[must_use]
    pub fn error_plan(
        &self,
        _source: Source,
        _proxy: Option<IpAddr>,
        error: CallError,
    ) -> AnswerPlan {
        let (status, phrase) = error.status();
        AnswerPlan {
            status,
            phrase,
            contact: super::ContactPlan::None,
            reason: false,
            force_rport: false,
        }
    }

    /// Stage one: domain, subscriber, number.
    #[must_use]
    pub fn prepare(&self, _attempt: &CallAttempt<'_>) -> Prepared {
        Prepared { number: None }
    }

    /// Stage two: asks the processor for the cache lines that `decide` will read.
    pub fn touch(&self, _prepared: &Prepared) {}

    /// Stage three: the rules in their order.
    #[must_use]
    pub fn decide(&self, _attempt: &CallAttempt<'_>, _prepared: &Prepared) -> Decision {
        Decision {
            verdict: Verdict::Error(CallError::AddressIncomplete),
            code: Code::A00,
            would: None,
            reports: CodeSet::default(),
            domain: None,
            subscriber: None,
            number: None,
            destination: None,
            list_row: None,
            plan: self.error_plan(Source::Unknown, None, CallError::AddressIncomplete),
        }
    }

    /// Names of the domains, by index: labels of metrics.
    #[must_use]
    pub fn domain_name(&self, _domain: u16) -> &str {
        ""
    }

    /// The fixed Contact host of a domain; empty unless it has one.
    #[must_use]
    pub fn contact_host(&self, _domain: u16) -> &[u8] {
        b""
    }
}
