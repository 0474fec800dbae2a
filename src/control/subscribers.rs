//! `subscribers.csv`: who counts as whom within a domain.

use super::domains::Names;
use super::fault::Findings;
use super::parse;
use super::table::{self, Column, FileDigest, Row};
use crate::limits::{TECH_PREFIX_BYTES_MAX, USER_RANGE_DIGITS_MAX};
use crate::policy::hash::Seeded;
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
    let mut seen: HashSet<(String, String), Seeded> = HashSet::default();
    let mut first_email = true;
    // What a policy needs of a domain is said once, not at each of its subscribers.
    let mut policy_seen: HashSet<(usize, usize), Seeded> = HashSet::default();
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
            Ok(None) => {
                if let Some(meant) = likely_meant(token) {
                    row.warn(
                        USERS,
                        findings,
                        format!("users: \"{token}\" is taken for the name of one user; {meant}"),
                    );
                }
                subscriber.users.push(token.to_owned());
            }
            Err(sentence) => row.fault(USERS, findings, format!("users: {sentence}; {A_RANGE}")),
        }
    }
    for token in row.text(PEERS).split_ascii_whitespace() {
        if let Some(block) = row.check(PEERS, parse::address_block(token), findings) {
            subscriber.peers.push(block);
        }
    }
    let prefix = row.text(TECH_PREFIX);
    if !prefix.is_empty()
        && row
            .check(TECH_PREFIX, tech_prefix(prefix), findings)
            .is_some()
    {
        subscriber.tech_prefix = Some(prefix.to_owned());
    }
    subscriber
}

fn tech_prefix(text: &str) -> Result<(), String> {
    parse::dialled("tech_prefix", text)?;
    if text.len() > TECH_PREFIX_BYTES_MAX {
        return Err(format!(
            "tech_prefix has {} characters; {TECH_PREFIX_BYTES_MAX} at most",
            text.len()
        ));
    }
    Ok(())
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

/// What a range of users is.
const A_RANGE: &str =
    "a range is two numbers of one length, the lower one first, like \"1001-1099\"";

/// `1001-1099` as its ends; `None` for a plain user. Only two runs of digits are a range: `anna-lisa` is a user.
fn user_range(token: &str) -> Result<Option<(String, String)>, String> {
    let Some((first, last)) = token.split_once('-') else {
        return Ok(None);
    };
    if !is_number(first) || !is_number(last) {
        return Ok(None);
    }
    if first.len() != last.len() {
        return Err(format!(
            "range \"{token}\" has ends of {} and {} digits",
            first.len(),
            last.len()
        ));
    }
    if first > last {
        return Err(format!("range \"{token}\" ends before it begins"));
    }
    if first.len() > USER_RANGE_DIGITS_MAX {
        return Err(format!(
            "range \"{token}\" has numbers of {} digits, {USER_RANGE_DIGITS_MAX} at most",
            first.len()
        ));
    }
    Ok(Some((first.to_owned(), last.to_owned())))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// What somebody who wrote this user most likely meant: a user's name may hold nearly everything (RFC 3261 §25.1, `user`),
/// a range with a slip of the finger, too, and a list that is parted by other than blanks.
fn likely_meant(user: &str) -> Option<&'static str> {
    if user.contains([',', ';']) {
        return Some("several users are parted by blanks");
    }
    // Spreadsheets make a dash of a hyphen.
    let (first, last) = [
        "-", "\u{2010}", "\u{2011}", "\u{2012}", "\u{2013}", "\u{2014}", "..",
    ]
    .into_iter()
    .find_map(|between| user.split_once(between))?;
    // `anna-lisa`, `200-fax` and `-x` are names.
    let like_number = |end: &str| end.is_empty() || end.starts_with(|c: char| c.is_ascii_digit());
    let is_slip = like_number(first) && like_number(last) && !(first.is_empty() && last.is_empty());
    is_slip.then_some(A_RANGE)
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
                Err("range \"99-1001\" has ends of 2 and 4 digits"),
            ),
            ("200-100", Err("range \"200-100\" ends before it begins")),
            (
                "10000000000000000001-10000000000000000002",
                Err(
                    "range \"10000000000000000001-10000000000000000002\" has numbers of 20 digits, 19 at most",
                ),
            ),
        ] {
            assert_eq!(user_range(token), wanted.map_err(str::to_owned), "{token}");
        }
    }

    #[test]
    fn a_user_that_is_likely_a_range_or_a_list_is_pointed_out() {
        for slip in [
            "200-19x",
            "2O0-299",
            "200-2O9",
            "200-",
            "-200",
            "100-200-300",
            "1001\u{2013}1099",
            "1001..1099",
        ] {
            assert_eq!(likely_meant(slip), Some(A_RANGE), "{slip}");
        }
        for list in ["1001,1002", "1001;1002", "anna,"] {
            let meant = likely_meant(list);
            assert_eq!(meant, Some("several users are parted by blanks"), "{list}");
        }
        for name in [
            "1001",
            "anna",
            "anna-lisa",
            "200-fax",
            "fax-200",
            "200.fax",
            "x-1",
            "-",
            "-x",
            "a..b",
            "+39-06",
        ] {
            assert_eq!(likely_meant(name), None, "{name}");
        }
    }

    #[test]
    fn a_tech_prefix_that_nobody_would_look_for_is_refused() {
        let longest = "7".repeat(TECH_PREFIX_BYTES_MAX);
        assert_eq!(tech_prefix(&longest), Ok(()));
        assert_eq!(
            tech_prefix(&(longest + "7")),
            Err("tech_prefix has 64 characters; 63 at most".to_owned())
        );
    }
}
