//! From typed rows to a snapshot.
//!
//! Promises: tables whose rows are the same as before are shared, not built again; rows that have expired are left out.
//! Leaves to the tables: how each is built.

use super::reach::{Reached, in_force};
use super::{
    AGENTS_SYSTEM, Divert, Domain, Names, Policy, Snapshot, SubscriberRules, agents_domain,
    agents_policy, count,
};
use crate::clock::Now;
use crate::policy::agents::Agents;
use crate::policy::answer::ContactHost;
use crate::policy::destinations::Destinations;
use crate::policy::dialled::{NumberPlan, Translation};
use crate::policy::hash::Seeded;
use crate::policy::limits::{Limits, word};
use crate::policy::lists::{Listed, ScopeLists, ScopeRows};
use crate::policy::profile::{AnswerSettings, Answers};
use crate::policy::rates::Rates;
use crate::policy::rows::{ContactHostRow, DomainRow, ListRow, Rows, Scope};
use crate::policy::who::{Peers, Subscribers};
use std::collections::HashMap;
use std::sync::Arc;

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
            word: word(&row.name),
        }
    });
    let rules = rules.collect();
    let table = Subscribers::new(&rows.subscribers, rows.domains.len());
    (Arc::new(table), rules, Arc::new(names))
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
            // Without overrides it is the very same table, and nothing need be compared.
            Some((snapshot, own))
                if Arc::ptr_eq(&own.destinations, &rows.destinations)
                    || own.destinations == rows.destinations =>
            {
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
        let mut hosts = Hosts::default();
        let domains: Vec<Domain> = rows
            .domains
            .iter()
            .zip(of_domains)
            .zip(slot_of_domain)
            .zip(divert_prefixes(rows))
            .map(|(((row, lists), slot), diverts)| {
                Domain::new(slot, row, lists.build(), &diverts, &mut hosts)
            })
            .collect();
        let policies: Vec<Policy> = rows
            .policies
            .iter()
            .zip(of_policies)
            .map(|(row, lists)| Policy {
                unknown_prefix: row.unknown_prefix,
                unknown_identity: row.unknown_identity,
                permitted: destinations.permitted(row),
                lists: lists.build(),
                limits: Limits::new(row, now),
                divert: row.divert.as_ref().map(|divert| Divert {
                    prefix: divert.prefix,
                    host: divert.host.as_deref().map(|host| hosts.fixed(host)),
                }),
                assumed_minutes: row.assumed_minutes.into(),
                name: row.name.clone(),
            })
            .collect();
        let list_expiries = rows
            .lists
            .iter()
            .filter(|row| live(row))
            .filter_map(|row| row.expires_unix_s);
        let calendars = policies
            .iter()
            .filter_map(|policy| policy.limits.as_ref()?.good_until_unix_s());
        let next_expiry_unix_s = list_expiries.chain(calendars).min();
        let reached = Reached::new(rows, live, &policies, &destinations);
        Self {
            number: 0,
            generation: rows.generation.clone(),
            next_expiry_unix_s,
            peers: Peers::new(&rows.domains),
            domains,
            slots,
            policies,
            subscribers,
            subscriber_rules,
            subscriber_names,
            system: system.build(),
            agents,
            destinations,
            list_files: rows.list_files.clone(),
            list_places: rows.lists.iter().map(|row| (row.file, row.line)).collect(),
            rates: Rates::new(&rows.rates),
            hosts: hosts.texts,
            reached,
        }
    }
}

/// What the policies in force in each domain put before the number of a call that they divert.
fn divert_prefixes(rows: &Rows) -> Vec<Vec<[u8; 3]>> {
    let mut of_domains: Vec<Vec<[u8; 3]>> = rows.domains.iter().map(|_| Vec::new()).collect();
    for (domain, policy) in in_force(rows) {
        let divert = rows
            .policies
            .get(policy)
            .and_then(|row| row.divert.as_ref());
        if let (Some(divert), Some(prefixes)) = (divert, of_domains.get_mut(domain))
            && !prefixes.contains(&divert.prefix)
        {
            prefixes.push(divert.prefix);
        }
    }
    of_domains
}

/// The fixed Contact hosts, each once.
#[derive(Debug, Default)]
struct Hosts {
    texts: Vec<Box<[u8]>>,
    numbers: HashMap<String, u16, Seeded>,
}

impl Hosts {
    /// The host with this text. Beyond 65,536 of them, which control refuses, the request's own is used.
    fn fixed(&mut self, host: &str) -> ContactHost {
        if let Some(&text) = self.numbers.get(host) {
            return ContactHost::Fixed { text };
        }
        let Ok(text) = u16::try_from(self.texts.len()) else {
            return ContactHost::From;
        };
        self.texts.push(host.as_bytes().into());
        self.numbers.insert(host.to_owned(), text);
        ContactHost::Fixed { text }
    }
}

impl Domain {
    fn new(
        slot: u16,
        row: &DomainRow,
        lists: ScopeLists,
        diverts: &[[u8; 3]],
        hosts: &mut Hosts,
    ) -> Self {
        let host = match &row.contact_host {
            ContactHostRow::From => ContactHost::From,
            ContactHostRow::RequestUri => ContactHost::RequestUri,
            ContactHostRow::Source => ContactHost::Source,
            ContactHostRow::Fixed(host) => hosts.fixed(host),
        };
        let mut numbers = NumberPlan::new(&row.emergency);
        numbers.bare_e164 = row.bare_e164;
        let own_answers: Vec<[u8; 3]> = row.wire_codes.iter().chain(diverts).copied().collect();
        numbers.set_wire_codes(&own_answers);
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
            lists,
            word: word(&row.name),
            default_subscriber_word: word(&row.default_subscriber),
        }
    }
}
