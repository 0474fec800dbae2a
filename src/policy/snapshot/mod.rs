//! The immutable policy snapshot: who asks, what number, and the order of the rules.
//!
//! Promises: the same attempt gets the same decision from the same snapshot; a decision allocates nothing (but see
//! `agents` on expressions), takes no lock and has no input on which it panics.
//! Leaves to its tables: how each look-up works; to `profile`: how an answer is worn.

mod build;
mod counted;
mod decision;
mod explain;
mod prepare;
mod reach;
mod rules;
mod shown;

pub use decision::{Decision, Told, Verdict};
pub use prepare::Prepared;
pub use reach::Reach;
pub use shown::ShownLimit;

use super::agents::Agents;
use super::answer::{AnswerPlan, CallError, ContactHost};
use super::attempt::{CallAttempt, HeaderFamily};
use super::destinations::{DestinationClass, Destinations, Permitted};
use super::dialled::NumberPlan;
use super::limits::Limits;
use super::lists::ScopeLists;
use super::profile::{Answers, error_plan};
use super::rates::Rates;
use super::rows::{Action, CallingHeader, Mode, Profile};
use super::slots::DomainSlots;
use super::who::{Peers, Subscribers};
use crate::e164::E164;
use crate::limits::COUNTED_MAX;
use reach::Reached;
use std::net::IpAddr;
use std::sync::Arc;

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

/// The policy in force.
#[derive(Debug)]
pub struct Snapshot {
    number: u32,
    generation: String,
    next_expiry_unix_s: Option<u64>,
    peers: Peers,
    domains: Vec<Domain>,
    slots: DomainSlots,
    policies: Vec<Policy>,
    subscribers: Arc<Subscribers>,
    subscriber_rules: Arc<[SubscriberRules]>,
    subscriber_names: Arc<Names>,
    system: ScopeLists,
    agents: Agents,
    destinations: Arc<Destinations>,
    list_files: Vec<String>,
    /// File and line of each list row.
    list_places: Vec<(u32, u32)>,
    rates: Option<Rates>,
    /// Contact hosts that are the same whatever the request says, by `ContactHost::Fixed`.
    hosts: Vec<Box<[u8]>>,
    /// What each code does.
    reached: Reached,
}

/// A domain, ready for decisions.
#[derive(Debug)]
struct Domain {
    name: String,
    slot: u16,
    default_subscriber: String,
    profile: Profile,
    mode: Mode,
    trust_headers: bool,
    default_policy: u32,
    calling_from: Vec<CallingHeader>,
    numbers: NumberPlan,
    answers: Answers,
    lists: ScopeLists,
    /// Its name in one word.
    word: u64,
    /// Its default subscriber's name in one word.
    default_subscriber_word: u64,
}

/// A policy, ready for decisions.
#[derive(Debug)]
struct Policy {
    unknown_prefix: Action,
    unknown_identity: Action,
    permitted: Permitted,
    lists: ScopeLists,
    /// `None`: it has none.
    limits: Option<Box<Limits>>,
    divert: Option<Divert>,
    assumed_minutes: u64,
    name: String,
}

/// Where a policy's diverted calls go.
#[derive(Debug, Clone, Copy)]
struct Divert {
    prefix: [u8; 3],
    /// `None`: the domain's contact host.
    host: Option<ContactHost>,
}

/// What a subscriber changes.
#[derive(Debug)]
struct SubscriberRules {
    /// Index of its policy; `None`: the domain's default.
    policy: Option<u32>,
    tech_prefix: Option<Box<[u8]>>,
    /// Its name in one word.
    word: u64,
}

/// Many names in two vectors.
#[derive(Debug, Default)]
struct Names {
    text: String,
    ends: Vec<u32>,
}

impl Names {
    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(count(self.text.len()));
    }

    fn get(&self, at: u32) -> Option<&str> {
        let at = at as usize;
        let end = *self.ends.get(at)?;
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start as usize..end as usize)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Snapshot {
    /// What the packet's source address is. First thing asked of every datagram.
    #[must_use]
    pub fn source(&self, address: IpAddr) -> Source {
        self.peers.source(address)
    }

    /// The peer behind a listed proxy: only domains that list both that proxy and that peer. `None`: 403.
    #[must_use]
    pub fn peer_behind(&self, proxy: IpAddr, peer: IpAddr) -> Option<Peer> {
        self.peers.behind(proxy, peer)
    }

    /// The answer to an INVITE's error before its domain is known: 403 if any of the peer's domains is `failover`,
    /// else as the peer's first domain; a peer of one domain is known to be in it. For `Source::Proxy` (the peer behind
    /// `proxy` is unknown) over all domains that list the proxy. An unknown peer gets 403 in every profile.
    #[must_use]
    pub fn error_plan(
        &self,
        source: Source,
        proxy: Option<IpAddr>,
        error: CallError,
    ) -> AnswerPlan {
        let members = match source {
            Source::Peer(peer) => self.peers.domains_of(peer),
            Source::Proxy => proxy.map_or(&[][..], |proxy| self.peers.domains_of_proxy(proxy)),
            Source::Unknown => &[],
        };
        let mut domains = members.iter().filter_map(|&number| self.domain(number));
        let (status, phrase) = error.status();
        let Some(first) = domains.next() else {
            return error_plan(status, phrase, false);
        };
        let force_rport = first.answers.force_rport();
        if error == CallError::UnknownPeer {
            return error_plan(status, phrase, force_rport);
        }
        let alone = members.len() == 1;
        if !alone
            && (first.profile == Profile::Failover
                || domains.any(|domain| domain.profile == Profile::Failover))
        {
            let (status, phrase) = CallError::UnknownPeer.status();
            return error_plan(status, phrase, force_rport);
        }
        first.answers.error(error)
    }

    /// The answer to an INVITE that was decided but cannot be answered so: its own domain's, since that is known.
    #[must_use]
    pub fn decided_error_plan(&self, decision: &Decision, error: CallError) -> AnswerPlan {
        match decision
            .domain
            .and_then(|number| self.domain(number.into()))
        {
            Some(domain) => domain.answers.error(error),
            None => self.error_plan(Source::Unknown, None, error),
        }
    }

    /// The calling number as received: the user of the first of the domain's `calling_from` headers that names one;
    /// empty when none does.
    #[must_use]
    pub fn calling_number<'a>(&self, domain: u16, attempt: &CallAttempt<'a>) -> &'a [u8] {
        let headers = self
            .domain(domain.into())
            .map_or(&[][..], |domain| &domain.calling_from);
        headers
            .iter()
            .filter_map(|header| match header {
                CallingHeader::From => Some(attempt.from_user),
                CallingHeader::AssertedIdentity => attempt.asserted_identity_user,
                CallingHeader::PreferredIdentity => attempt.preferred_identity_user,
                CallingHeader::RemotePartyId => attempt.remote_party_user,
            })
            .find(|user| !user.is_empty())
            .unwrap_or_default()
    }

    /// How many snapshots this process had put in force before this one: what a record of a decision names it by. 0
    /// until it is published.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// For the publishing side.
    pub(super) fn set_number(&mut self, number: u32) {
        self.number = number;
    }

    /// The bundle's hash.
    #[must_use]
    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// When the next list row expires, seconds since 1970 UTC: the control plane builds anew then.
    #[must_use]
    pub fn next_expiry_unix_s(&self) -> Option<u64> {
        self.next_expiry_unix_s
    }

    /// How many domains there are.
    #[must_use]
    pub fn domain_count(&self) -> usize {
        self.domains.len()
    }

    /// The numbers by which domains are counted, with their names: labels of metrics.
    #[must_use]
    pub fn domain_slots(&self) -> &DomainSlots {
        &self.slots
    }

    /// Names of the domains, by index. Empty beyond the last.
    #[must_use]
    pub fn domain_name(&self, domain: u16) -> &str {
        self.domain(domain.into()).map_or("", |domain| &domain.name)
    }

    /// The text of a fixed Contact host (`ContactHost::Fixed`); empty unless there is one.
    #[must_use]
    pub fn contact_host(&self, text: u16) -> &[u8] {
        self.hosts
            .get(usize::from(text))
            .map_or(&[][..], |host| host)
    }

    /// What a decision's call would cost, millionths of the operator's currency; `None`: there are no rates, or none for
    /// what was dialled.
    #[must_use]
    pub fn exposure_micros(&self, decision: &Decision) -> Option<u64> {
        let domain = self.domain(decision.domain?.into())?;
        let policy = self
            .policies
            .get(self.policy_of(domain, decision.subscriber))?;
        decision
            .is_priced
            .then(|| self.exposure_of(policy, decision.number))?
    }

    /// The name of a decision's subscriber; the domain's default one for `None`.
    #[must_use]
    pub fn subscriber_name(&self, domain: u16, subscriber: Option<u32>) -> &str {
        match subscriber {
            Some(row) => self.subscriber_names.get(row).unwrap_or(""),
            None => self
                .domain(domain.into())
                .map_or("", |domain| &domain.default_subscriber),
        }
    }

    /// What a decision's destination is.
    #[must_use]
    pub fn destination(&self, row: u32) -> Option<&DestinationClass> {
        self.destinations.class(row)
    }

    fn domain(&self, number: u32) -> Option<&Domain> {
        self.domains.get(number as usize)
    }

    fn of(&self, prepared: &Prepared) -> Option<(&Domain, &Policy)> {
        let domain = self.domain(prepared.domain?.into())?;
        Some((domain, self.policies.get(prepared.policy as usize)?))
    }

    fn policy_of(&self, domain: &Domain, subscriber: Option<u32>) -> usize {
        let rules = subscriber.and_then(|row| self.subscriber_rules.get(row as usize));
        rules
            .and_then(|rules| rules.policy)
            .unwrap_or(domain.default_policy) as usize
    }

    /// `number`: `None` when what was dialled could not be classified. It may cost as much as any, so the row for all others
    /// is its rate.
    fn exposure_of(&self, policy: &Policy, number: Option<E164>) -> Option<u64> {
        let micros = self.rate_of(number)?.saturating_mul(policy.assumed_minutes);
        Some(micros.min(COUNTED_MAX))
    }

    /// What a minute of a call costs, millionths.
    fn rate_of(&self, number: Option<E164>) -> Option<u64> {
        let rates = self.rates.as_ref()?;
        match number {
            Some(number) => Some(rates.micros_per_minute(number)),
            None => rates.micros_of_others(),
        }
    }

    /// The lists that speak for a call, from the narrowest.
    fn scopes<'a>(&'a self, domain: &'a Domain, policy: &'a Policy) -> [&'a ScopeLists; 3] {
        [&policy.lists, &domain.lists, &self.system]
    }

    fn agent_scopes(&self, prepared: &Prepared) -> [u32; 3] {
        [
            agents_policy(self.domains.len(), prepared.policy),
            agents_domain(prepared.domain.unwrap_or(u16::MAX).into()),
            AGENTS_SYSTEM,
        ]
    }
}

impl Domain {
    /// Whether the attempt carries screening headers that count.
    fn trusts(&self, attempt: &CallAttempt<'_>) -> bool {
        self.trust_headers && attempt.screening.family != HeaderFamily::None
    }
}

/// Scopes as `Agents` numbers them: system, then domains, then policies.
const AGENTS_SYSTEM: u32 = 0;

fn agents_domain(domain: u32) -> u32 {
    domain.saturating_add(1)
}

fn agents_policy(domains: usize, policy: u32) -> u32 {
    count(domains).saturating_add(1).saturating_add(policy)
}
