//! Before the tables are looked up: domain, subscriber, number; and asking for the memory that the rules will read.
//!
//! Promises: asking for memory changes nothing but speed; what is prepared for one snapshot is of use with that one only.
//! Leaves to `who` and `dialled`: how each is found.

use super::Snapshot;
use crate::e164::E164;
use crate::policy::answer::AnswerPlan;
use crate::policy::attempt::CallAttempt;
use crate::policy::dialled::{Dialled, bare_user, decode};
use crate::policy::lists;
use std::net::IpAddr;

/// What is known of an attempt before its tables are looked up: made for all of a batch first, so that the cache misses
/// of the look-ups overlap.
#[derive(Debug, Clone, Copy)]
pub struct Prepared {
    /// The dialled number as E.164, if it is one.
    pub number: Option<E164>,
    pub(super) dialled: Dialled,
    /// Index of the domain; `None`: the peer is not of this snapshot.
    pub(super) domain: Option<u16>,
    /// Index of the subscriber; `None`: the domain's default.
    pub(super) subscriber: Option<u32>,
    /// Index of the policy.
    pub(super) policy: u32,
    /// The caller's own address, from headers that the domain trusts.
    pub(super) address: Option<IpAddr>,
    /// Whether the domain trusts the screening headers and there are some.
    pub trusted: bool,
    /// An answer with a Contact would be longer than the request allows.
    pub(super) is_too_long: bool,
}

impl Prepared {
    /// Index of the domain; `None`: the peer is in none.
    #[must_use]
    pub fn domain(&self) -> Option<u16> {
        self.domain
    }

    /// Whether what was dialled has a rate: a number, and what could not be classified.
    pub(super) fn is_priced(&self) -> bool {
        match self.dialled {
            Dialled::Number(_) | Dialled::Unclassified => true,
            Dialled::Emergency | Dialled::Loop | Dialled::Undialable => false,
        }
    }

    /// Whether an emergency number was dialled: nothing can reject such a call.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        self.dialled == Dialled::Emergency
    }

    /// The request has come through this node before: an error, unless an emergency number was dialled (SEMANTICS,
    /// Order: emergency stands before loop).
    pub fn mark_loop(&mut self) {
        if !self.is_emergency() {
            self.dialled = Dialled::Loop;
            self.number = None;
        }
    }
}

impl Prepared {
    /// An answer with a Contact would be longer than the request allows: what would be approved is an error, and counts
    /// nowhere, unless an emergency number was dialled.
    pub fn mark_too_long(&mut self) {
        self.is_too_long = !self.is_emergency();
    }
}

impl Snapshot {
    /// How the call is answered if it is approved. `None`: its peer is not of this snapshot.
    #[must_use]
    pub fn approval(&self, prepared: &Prepared) -> Option<AnswerPlan> {
        self.of(prepared)
            .map(|(domain, _)| domain.answers.approve())
    }

    /// Stage `admit`: domain, subscriber, number.
    #[must_use]
    pub fn prepare(&self, attempt: &CallAttempt<'_>) -> Prepared {
        let nobody = Prepared {
            number: None,
            dialled: Dialled::Undialable,
            domain: None,
            subscriber: None,
            policy: 0,
            address: None,
            trusted: false,
            is_too_long: false,
        };
        let Some(domain_number) = self.peers.domain(attempt) else {
            return nobody;
        };
        let Some(domain) = self.domain(domain_number) else {
            return nobody;
        };
        let trusted = domain.trusts(attempt);
        let decoded = decode(bare_user(attempt.user_part));
        let raw = decoded.as_ref().map_or(&[][..], |text| text.as_bytes());
        let subscriber = self.subscribers.find(domain_number, attempt, trusted, raw);
        let rules = subscriber.and_then(|row| self.subscriber_rules.get(row as usize));
        let dialled = match decoded {
            Some(_) => domain.numbers.read(
                raw,
                attempt.scheme,
                rules.and_then(|rules| rules.tech_prefix.as_deref()),
            ),
            None => Dialled::Undialable,
        };
        let number = match dialled {
            Dialled::Number(number) => Some(number),
            Dialled::Emergency | Dialled::Loop | Dialled::Undialable | Dialled::Unclassified => {
                None
            }
        };
        Prepared {
            number,
            dialled,
            domain: u16::try_from(domain_number).ok(),
            subscriber,
            policy: rules
                .and_then(|rules| rules.policy)
                .unwrap_or(domain.default_policy),
            address: attempt
                .screening
                .address
                .filter(|_| trusted)
                .map(|address| address.to_canonical()),
            trusted,
            is_too_long: false,
        }
    }

    /// Stage `touch`: asks the processor for the first cache lines that `decide` will read.
    pub fn touch(&self, prepared: &Prepared) {
        if let Some((domain, policy)) = self.of(prepared) {
            let scopes = self.scopes(domain, policy);
            lists::prefetch_index(scopes, prepared.number, prepared.address);
        }
        if let Some(number) = prepared.number {
            self.destinations.prefixes().prefetch_index(number);
        }
    }

    /// Asks for what the lines of `touch` lead to.
    pub fn touch_entries(&self, prepared: &Prepared) {
        if let Some((domain, policy)) = self.of(prepared) {
            lists::prefetch_entries(
                self.scopes(domain, policy),
                prepared.number,
                prepared.address,
            );
        }
        if let Some(number) = prepared.number {
            self.destinations.prefixes().prefetch_intervals(number);
        }
    }
}
