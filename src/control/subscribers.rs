//! `subscribers.csv`: who counts as whom within a domain.

use super::domains::Names;
use super::fault::Findings;
use super::parse;
use super::table::{self, Column, FileDigest, Row};
use crate::policy::rows::{DomainRow, SubscriberRow};
use std::collections::HashSet;
use std::io::Read;

const COLUMNS: [Column; 7] = [
    Column::required("domain"),
    Column::required("name"),
    Column::optional("policy"),
    Column::optional("users"),
    Column::optional("peers"),
    Column::optional("tech_prefix"),
    Column::optional("email"),
];
const DOMAIN: usize = 0;
const NAME: usize = 1;
const POLICY: usize = 2;
const USERS: usize = 3;
const PEERS: usize = 4;
const TECH_PREFIX: usize = 5;
const EMAIL: usize = 6;

/// Reads the table; rows in file order.
pub(super) fn read(
    file: &str,
    source: Box<dyn Read>,
    names: &Names,
    domains: &[DomainRow],
    rows: &mut Vec<SubscriberRow>,
    findings: &mut Findings,
) -> Option<FileDigest> {
    let mut seen: HashSet<(String, String)> = HashSet::new();
    let mut first_email = true;
    // What a policy needs of a domain is said once, not at each of its subscribers.
    let mut policy_seen: HashSet<(usize, usize)> = HashSet::new();
    table::read(file, source, &COLUMNS, findings, |row, findings| {
        let domain = names.domain(row.text(DOMAIN));
        if let Err(sentence) = &domain {
            row.fault(DOMAIN, findings, sentence);
        }
        let name = row.text(NAME);
        if let Err(sentence) = parse::name(name) {
            row.fault(NAME, findings, sentence);
        } else if !seen.insert((row.text(DOMAIN).to_owned(), name.to_owned())) {
            row.fault(
                NAME,
                findings,
                format!(
                    "subscriber \"{name}\" stands twice in domain \"{}\"",
                    row.text(DOMAIN)
                ),
            );
        }
        let policy = match row.text(POLICY) {
            "" => None,
            given => row.check(POLICY, names.policy(given), findings).flatten(),
        };
        if !row.text(EMAIL).is_empty() && first_email {
            first_email = false;
            row.warn(EMAIL, findings, "email has no effect in this version");
        }
        let domain_row = domain
            .ok()
            .flatten()
            .and_then(|index| Some((index, domains.get(index)?)));
        let subscriber = SubscriberRow {
            domain: domain_row.map_or(0, |(index, _)| index),
            name: name.to_owned(),
            policy,
            users: Vec::new(),
            user_ranges: Vec::new(),
            peers: Vec::new(),
            tech_prefix: None,
        };
        let subscriber = matchers(row, subscriber, findings);
        if let Some((_, domain_row)) = domain_row {
            against_domain(row, &subscriber, domain_row, findings);
        }
        if let Some(((index, domain_row), policy)) = domain_row.zip(policy)
            && policy_seen.insert((index, policy))
            && let Some(needs) = names.needs(policy)
        {
            if let Some(sentence) = needs.fault(domain_row) {
                row.fault(POLICY, findings, sentence);
            }
            if let Some(sentence) = needs.warning(domain_row) {
                row.warn(POLICY, findings, sentence);
            }
        }
        rows.push(subscriber);
    })
}

/// The columns that say whom the subscriber matches.
fn matchers(
    row: &Row<'_>,
    mut subscriber: SubscriberRow,
    findings: &mut Findings,
) -> SubscriberRow {
    for token in row.text(USERS).split_ascii_whitespace() {
        match user_range(token) {
            Ok(Some(range)) => subscriber.user_ranges.push(range),
            Ok(None) => subscriber.users.push(token.to_owned()),
            Err(sentence) => row.fault(USERS, findings, sentence),
        }
    }
    for token in row.text(PEERS).split_ascii_whitespace() {
        if let Some(block) = row.check(PEERS, parse::address_block(token), findings) {
            subscriber.peers.push(block);
        }
    }
    let tech_prefix = row.text(TECH_PREFIX);
    if !tech_prefix.is_empty()
        && row
            .check(
                TECH_PREFIX,
                parse::dialled("tech_prefix", tech_prefix),
                findings,
            )
            .is_some()
    {
        subscriber.tech_prefix = Some(tech_prefix.to_owned());
    }
    subscriber
}

fn against_domain(
    row: &Row<'_>,
    subscriber: &SubscriberRow,
    domain: &DomainRow,
    findings: &mut Findings,
) {
    if subscriber.name == domain.default_subscriber {
        row.fault(
            NAME,
            findings,
            format!(
                "subscriber \"{}\" is the default_subscriber of domain \"{}\": callers that match no row count under it, so it has no row",
                subscriber.name, domain.name
            ),
        );
    }
    for block in &subscriber.peers {
        if !domain.peers.iter().any(|peer| parse::overlap(peer, block)) {
            row.fault(
                PEERS,
                findings,
                format!(
                    "peer {} is none of the peers of domain \"{}\"",
                    block.first, domain.name
                ),
            );
        }
    }
    let matched = !subscriber.users.is_empty()
        || !subscriber.user_ranges.is_empty()
        || !subscriber.peers.is_empty()
        || subscriber.tech_prefix.is_some();
    if !matched {
        row.warn(
            NAME,
            findings,
            format!(
                "subscriber \"{}\" has neither users, peers nor tech_prefix, so no call is its own",
                subscriber.name
            ),
        );
    }
}

/// `1001-1099` as its ends; `None` for a plain user. Only two runs of digits are a range: `anna-lisa` is a user.
fn user_range(token: &str) -> Result<Option<(String, String)>, String> {
    let Some((first, last)) = token.split_once('-') else {
        return Ok(None);
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Ok(None);
    }
    if first.len() != last.len() {
        return Err(format!(
            "range \"{token}\" has ends of {} and {} digits; they must be of one length",
            first.len(),
            last.len()
        ));
    }
    if first > last {
        return Err(format!("range \"{token}\" ends before it begins"));
    }
    Ok(Some((first.to_owned(), last.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_runs_of_digits_of_one_length_are_a_range() {
        for (token, wanted) in [
            ("1001-1099", Ok(Some(("1001".into(), "1099".into())))),
            ("007-007", Ok(Some(("007".into(), "007".into())))),
            ("1001", Ok(None)),
            ("anna-lisa", Ok(None)),
            ("100-", Ok(None)),
            (
                "99-1001",
                Err("range \"99-1001\" has ends of 2 and 4 digits; they must be of one length"),
            ),
            ("200-100", Err("range \"200-100\" ends before it begins")),
        ] {
            assert_eq!(user_range(token), wanted.map_err(str::to_owned), "{token}");
        }
    }
}
