//! The immutable policy snapshot: who asks, what number, and the order of the rules.
//!
//! Promises: the same attempt gets the same decision from the same snapshot; a decision allocates nothing (but see
//! `agents` on expressions), takes no lock and has no input on which it panics.
//! Leaves to its tables: how each look-up works; to `profile`: how an answer is worn.

use super::agents::Agents;
use super::answer::{AnswerPlan, CallError, ContactHost, ContactPlan};
use super::attempt::{CallAttempt, HeaderFamily};
use super::code::{Code, CodeSet};
use super::destinations::{DestinationClass, Destinations, Permitted};
use super::dialled::{Dialled, NumberPlan, Translation, bare_user, decode};
use super::lists::{self, Listed, ScopeLists, ScopeRows};
use super::profile::{AnswerSettings, Answers, error_plan};
use super::rows::{
    Action, CallingHeader, ContactHostRow, DomainRow, ListRow, Mode, Profile, Rows, Scope,
};
use super::slots::DomainSlots;
use super::who::{Peers, Subscribers};
use crate::clock::Now;
use crate::e164::E164;
use crate::limits::CONTACT_USER_BYTES_MAX;
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

/// What a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The domain's number by name (`DomainSlots`), the same across reloads: what counts per domain counts by it.
    pub domain_slot: Option<u16>,
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

/// The part of a decision that the caller hears and the sums show: what can be remembered across snapshots, as far as it
/// names no row of one. (A fixed Contact host does: whoever remembers keeps its text.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Told {
    /// As in the decision; so are the others.
    pub verdict: Verdict,
    /// The code in force.
    pub code: Code,
    /// The code of prevention, in detection mode.
    pub would: Option<Code>,
    /// Codes of rules whose action is `report`.
    pub reports: CodeSet,
    /// How the answer is worn.
    pub plan: AnswerPlan,
}

impl Decision {
    /// What of it is told.
    #[must_use]
    pub fn told(&self) -> Told {
        Told {
            verdict: self.verdict,
            code: self.code,
            would: self.would,
            reports: self.reports,
            plan: self.plan,
        }
    }
}

/// What is known of an attempt before its tables are looked up: made for all of a batch first, so that the cache misses
/// of the look-ups overlap.
#[derive(Debug, Clone, Copy)]
pub struct Prepared {
    /// The dialled number as E.164, if it is one.
    pub number: Option<E164>,
    dialled: Dialled,
    /// Index of the domain; `None`: the peer is not of this snapshot.
    domain: Option<u16>,
    /// Index of the subscriber; `None`: the domain's default.
    subscriber: Option<u32>,
    /// Index of the policy.
    policy: u32,
    /// The caller's own address, from headers that the domain trusts.
    address: Option<IpAddr>,
    /// Whether the domain trusts the screening headers and there are some.
    pub trusted: bool,
}

impl Prepared {
    /// The request has come through this node before: an error, unless an emergency number was dialled (SEMANTICS,
    /// Order: emergency stands before loop).
    pub fn mark_loop(&mut self) {
        if self.dialled != Dialled::Emergency {
            self.dialled = Dialled::Loop;
            self.number = None;
        }
    }
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
    contact_host: Vec<u8>,
    lists: ScopeLists,
}

/// A policy, ready for decisions.
#[derive(Debug)]
struct Policy {
    unknown_prefix: Action,
    unknown_identity: Action,
    permitted: Permitted,
    lists: ScopeLists,
}

/// What a subscriber changes.
#[derive(Debug)]
struct SubscriberRules {
    /// Index of its policy; `None`: the domain's default.
    policy: Option<u32>,
    tech_prefix: Option<Box<[u8]>>,
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

/// The tables made of `Rows::subscribers`.
fn subscriber_tables(rows: &Rows) -> (Arc<Subscribers>, Arc<[SubscriberRules]>, Arc<Names>) {
    let mut names = Names::default();
    let rules = rows.subscribers.iter().map(|row| {
        names.push(&row.name);
        SubscriberRules {
            policy: row.policy.map(count),
            tech_prefix: row
                .tech_prefix
                .as_deref()
                .filter(|prefix| !prefix.is_empty())
                .map(|prefix| prefix.as_bytes().into()),
        }
    });
    let rules = rules.collect();
    let table = Subscribers::new(&rows.subscribers, rows.domains.len());
    (Arc::new(table), rules, Arc::new(names))
}

/// What the rules came to, before the profile and the mode.
struct Ruling {
    /// The rejecting code.
    reject: Option<Code>,
    list_row: Option<u32>,
    reports: CodeSet,
    destination: Option<u32>,
}

impl Snapshot {
    /// Builds a snapshot; rows that expired before `now` are left out.
    #[must_use]
    pub fn build(rows: &Rows, now: Now) -> Self {
        Self::build_from(rows, now, None)
    }

    /// Builds the snapshot that replaces `self`, which was built from `own_rows`. Domains keep their numbers by name;
    /// the destinations and the subscribers, which are the large tables, are shared when their rows are the same.
    #[must_use]
    pub fn build_next(&self, own_rows: &Rows, rows: &Rows, now: Now) -> Self {
        Self::build_from(rows, now, Some((self, own_rows)))
    }

    fn build_from(rows: &Rows, now: Now, before: Option<(&Self, &Rows)>) -> Self {
        let now_unix_s = now.unix_s();
        let live = |row: &ListRow| row.expires_unix_s.is_none_or(|expiry| expiry > now_unix_s);
        let mut system = ScopeRows::default();
        let mut of_domains: Vec<ScopeRows> =
            rows.domains.iter().map(|_| ScopeRows::default()).collect();
        let mut of_policies: Vec<ScopeRows> =
            rows.policies.iter().map(|_| ScopeRows::default()).collect();
        let listed = || {
            rows.lists
                .iter()
                .enumerate()
                .filter(|(_, row)| live(row))
                .map(|(index, row)| (Listed::new(index, row), row))
        };
        for (listed, row) in listed() {
            let scope = match row.scope {
                Scope::System => Some(&mut system),
                Scope::Domain(domain) => of_domains.get_mut(domain),
                Scope::Policy(policy) => of_policies.get_mut(policy),
            };
            if let Some(scope) = scope {
                scope.push(row, listed);
            }
        }
        let agents = Agents::new(
            listed()
                .map(|(listed, row)| {
                    let scope = match row.scope {
                        Scope::System => AGENTS_SYSTEM,
                        Scope::Domain(domain) => agents_domain(count(domain)),
                        Scope::Policy(policy) => agents_policy(rows.domains.len(), count(policy)),
                    };
                    (scope, listed, row)
                })
                .collect(),
        );
        let destinations = match before {
            Some((snapshot, own)) if own.destinations == rows.destinations => {
                Arc::clone(&snapshot.destinations)
            }
            _ => Arc::new(Destinations::new(&rows.destinations)),
        };
        let (subscribers, subscriber_rules, subscriber_names) = match before {
            Some((snapshot, own))
                if own.subscribers == rows.subscribers
                    && own.domains.len() == rows.domains.len() =>
            {
                (
                    Arc::clone(&snapshot.subscribers),
                    Arc::clone(&snapshot.subscriber_rules),
                    Arc::clone(&snapshot.subscriber_names),
                )
            }
            _ => subscriber_tables(rows),
        };
        let (slots, slot_of_domain) = before
            .map(|(snapshot, _)| snapshot.slots.clone())
            .unwrap_or_default()
            .with(
                &rows
                    .domains
                    .iter()
                    .map(|row| &*row.name)
                    .collect::<Vec<_>>(),
            );
        let next_expiry_unix_s = rows
            .lists
            .iter()
            .filter(|row| live(row))
            .filter_map(|row| row.expires_unix_s)
            .min();
        Self {
            number: 0,
            generation: rows.generation.clone(),
            next_expiry_unix_s,
            peers: Peers::new(&rows.domains),
            domains: (0_u16..)
                .zip(rows.domains.iter().zip(of_domains).zip(slot_of_domain))
                .map(|(number, ((row, lists), slot))| Domain::new(number, slot, row, lists.build()))
                .collect(),
            slots,
            policies: rows
                .policies
                .iter()
                .zip(of_policies)
                .map(|(row, lists)| Policy {
                    unknown_prefix: row.unknown_prefix,
                    unknown_identity: row.unknown_identity,
                    permitted: destinations.permitted(row),
                    lists: lists.build(),
                })
                .collect(),
            subscribers,
            subscriber_rules,
            subscriber_names,
            system: system.build(),
            agents,
            destinations,
            list_files: rows.list_files.clone(),
            list_places: rows.lists.iter().map(|row| (row.file, row.line)).collect(),
        }
    }

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

    /// Stage nought, which changes nothing but speed: asks for what `prepare` will read of the subscriber. Best called
    /// for each attempt as soon as it is scanned, so that the rest of the batch's scanning hides the cache miss.
    pub fn foresee(&self, attempt: &CallAttempt<'_>) {
        if let Some(number) = self.peers.domain(attempt)
            && let Some(domain) = self.domain(number)
        {
            self.subscribers
                .prefetch(number, attempt, domain.trusts(attempt));
        }
    }

    /// Stage one: domain, subscriber, number.
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
        let prepared = Prepared {
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
        };
        // The first level of the look-ups is asked for here, the second, which needs it, in `touch`.
        if let Some((_, policy)) = self.of(&prepared) {
            lists::prefetch_index(self.scopes(domain, policy), number, prepared.address);
        }
        if let Some(number) = number {
            self.destinations.prefixes().prefetch_index(number);
        }
        prepared
    }

    /// Stage two: asks the processor for the cache lines that `decide` will read.
    pub fn touch(&self, prepared: &Prepared) {
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

    /// Stage three: the rules in their order.
    #[must_use]
    pub fn decide(&self, attempt: &CallAttempt<'_>, prepared: &Prepared) -> Decision {
        let mut decision = Decision {
            verdict: Verdict::Error(CallError::UnknownPeer),
            code: Code::A00,
            would: None,
            reports: CodeSet::default(),
            domain: prepared.domain,
            domain_slot: None,
            subscriber: prepared.subscriber,
            number: prepared.number,
            destination: None,
            list_row: None,
            plan: self.error_plan(Source::Unknown, None, CallError::UnknownPeer),
        };
        let Some((domain, policy)) = self.of(prepared) else {
            return decision;
        };
        decision.domain_slot = Some(domain.slot);
        let error = |decision: Decision, error: CallError| Decision {
            verdict: Verdict::Error(error),
            code: Code::A00,
            would: None,
            plan: domain.answers.error(error),
            ..decision
        };
        match prepared.dialled {
            Dialled::Loop => return error(decision, CallError::Loop),
            Dialled::Undialable => return error(decision, CallError::AddressIncomplete),
            Dialled::Emergency => {
                decision.verdict = Verdict::Approve;
                decision.plan = domain.answers.approve();
            }
            Dialled::Number(_) | Dialled::Unclassified => {
                let ruling = self.rule(attempt, prepared, domain, policy);
                decision.reports = ruling.reports;
                decision.destination = ruling.destination;
                decision.list_row = ruling.list_row;
                (
                    decision.verdict,
                    decision.code,
                    decision.would,
                    decision.plan,
                ) = match (ruling.reject, domain.mode) {
                    (None, _) => (Verdict::Approve, Code::A00, None, domain.answers.approve()),
                    (Some(code), Mode::Prevention) => {
                        (Verdict::Reject, code, None, domain.answers.reject(code))
                    }
                    (Some(code), Mode::Detection) => (
                        Verdict::Approve,
                        Code::A00,
                        Some(code),
                        domain.answers.approve(),
                    ),
                };
            }
        }
        if let ContactPlan::Redirect { prefix, .. } = decision.plan.contact
            && prefix.len() + attempt.user_part.len() > CONTACT_USER_BYTES_MAX
            && prefix.len() + bare_user(attempt.user_part).len() > CONTACT_USER_BYTES_MAX
        {
            return error(decision, CallError::AddressIncomplete);
        }
        decision
    }

    /// In place of `decide`, for a request that was decided before: the same is told. Which rows decided then is not known
    /// any more.
    #[must_use]
    pub fn repeat(&self, prepared: &Prepared, told: &Told) -> Decision {
        Decision {
            verdict: told.verdict,
            code: told.code,
            would: told.would,
            reports: told.reports,
            domain: prepared.domain,
            domain_slot: self.of(prepared).map(|(domain, _)| domain.slot),
            subscriber: prepared.subscriber,
            number: prepared.number,
            destination: None,
            list_row: None,
            plan: told.plan,
        }
    }

    /// SEMANTICS, Order: number allowed? → R14 → R01 agent → R02/R12 address → R03 number → R06/R07 destination → A00.
    /// The first rejection decides; a report is recorded and evaluation goes on.
    fn rule(
        &self,
        attempt: &CallAttempt<'_>,
        prepared: &Prepared,
        domain: &Domain,
        policy: &Policy,
    ) -> Ruling {
        let mut ruling = Ruling {
            reject: None,
            list_row: None,
            reports: CodeSet::default(),
            destination: prepared
                .number
                .and_then(|number| self.destinations.row(number)),
        };
        let scopes = self.scopes(domain, policy);
        let number_listed = prepared
            .number
            .and_then(|number| lists::number(scopes, number));
        let number_allowed = number_listed.is_some_and(|listed| listed.deny().is_none());

        if prepared.trusted
            && attempt.screening.suspect
            && ruling.act(policy.unknown_identity, Code::R14)
        {
            return ruling;
        }
        let agent = if prepared.trusted {
            attempt.screening.agent
        } else {
            attempt.user_agent
        };
        let agent_scopes = self.agent_scopes(prepared);
        if ruling.deny(agent.and_then(|agent| self.agents.find(agent_scopes, agent))) {
            return ruling;
        }
        let address_listed = prepared
            .address
            .and_then(|address| lists::address(scopes, address));
        if ruling.deny(address_listed) {
            return ruling;
        }
        if number_allowed {
            return ruling;
        }
        if ruling.deny(number_listed) {
            return ruling;
        }
        match ruling.destination {
            None => {
                ruling.act(policy.unknown_prefix, Code::R07);
            }
            Some(row) if !self.destinations.permits(&policy.permitted, row) => {
                ruling.reject = Some(Code::R06);
            }
            Some(_) => {}
        }
        ruling
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

    /// The fixed Contact host of a domain; empty unless it has one.
    #[must_use]
    pub fn contact_host(&self, domain: u16) -> &[u8] {
        self.domain(domain.into())
            .map_or(&[][..], |domain| &domain.contact_host)
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

    /// File and line of a list row.
    #[must_use]
    pub fn list_place(&self, row: u32) -> Option<(&str, u32)> {
        let &(file, line) = self.list_places.get(row as usize)?;
        Some((self.list_files.get(file as usize)?, line))
    }

    fn domain(&self, number: u32) -> Option<&Domain> {
        self.domains.get(number as usize)
    }

    fn of(&self, prepared: &Prepared) -> Option<(&Domain, &Policy)> {
        let domain = self.domain(prepared.domain?.into())?;
        Some((domain, self.policies.get(prepared.policy as usize)?))
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

impl Ruling {
    /// Rejects if the row denies; whether it did.
    fn deny(&mut self, listed: Option<Listed>) -> bool {
        let Some((listed, code)) = listed.and_then(|listed| Some((listed, listed.deny()?))) else {
            return false;
        };
        self.reject = Some(code);
        self.list_row = Some(listed.row());
        true
    }

    /// Does what the policy says about something that cannot be classified; whether that was to reject.
    fn act(&mut self, action: Action, code: Code) -> bool {
        match action {
            Action::Approve => false,
            Action::Report => {
                self.reports.insert(code);
                false
            }
            Action::Reject => {
                self.reject = Some(code);
                true
            }
        }
    }
}

impl Domain {
    /// Whether the attempt carries screening headers that count.
    fn trusts(&self, attempt: &CallAttempt<'_>) -> bool {
        self.trust_headers && attempt.screening.family != HeaderFamily::None
    }

    fn new(number: u16, slot: u16, row: &DomainRow, lists: ScopeLists) -> Self {
        let (host, contact_host) = match &row.contact_host {
            ContactHostRow::From => (ContactHost::From, Vec::new()),
            ContactHostRow::RequestUri => (ContactHost::RequestUri, Vec::new()),
            ContactHostRow::Source => (ContactHost::Source, Vec::new()),
            ContactHostRow::Fixed(host) => (
                ContactHost::Fixed { domain: number },
                host.clone().into_bytes(),
            ),
        };
        let mut numbers = NumberPlan::new(&row.emergency);
        numbers.bare_e164 = row.bare_e164;
        numbers.set_wire_codes(&row.wire_codes);
        numbers.translations = row
            .translations
            .iter()
            .map(|row| Translation {
                matches: row.matches.clone(),
                strip: row.strip,
                prepend: row.prepend.clone(),
                min_digits: row.min_digits,
                max_digits: row.max_digits,
            })
            .collect();
        Self {
            name: row.name.clone(),
            slot,
            default_subscriber: row.default_subscriber.clone(),
            profile: row.profile,
            mode: row.mode,
            trust_headers: row.trust_headers,
            default_policy: count(row.default_policy),
            calling_from: row.calling_from.clone(),
            numbers,
            answers: Answers::new(AnswerSettings {
                profile: row.profile,
                overrides: &row.statuses,
                wire_codes: &row.wire_codes,
                host,
                force_rport: row.force_rport,
            }),
            contact_host,
            lists,
        }
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
