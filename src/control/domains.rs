//! `domains.toml`: who may ask, and how each domain's answers are worn.
//!
//! Promises: required keys are there, names are unique, references resolve, and what restrains each other (profile,
//! statuses, codes, proxies) is checked together.

use super::document::{Table, Text, Value};
use super::fault::Place;
use super::fault::{Findings, did_you_mean, one_of};
use super::parse;
use super::statuses::{self, Answer};
use super::translate;
use crate::limits::DOMAINS_MAX;
use crate::policy::Code;
use crate::policy::rows::{
    AddressBlock, CallingHeader, ContactHostRow, DomainRow, LimitAction, Mode, PolicyRow, Profile,
    StatusOverrides,
};
use crate::sip::Status;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Statuses that may be put in place of a profile's.
pub(super) const STATUSES: RangeInclusive<u64> = 300..=699;

/// Emergency numbers of a domain that names none: the ones that many countries share, short and compared whole, so that
/// no premium service hides behind one. `tollgate config` prints them.
pub const EMERGENCY_DEFAULT: [&str; 36] = [
    "112",   // the European Union, GSM everywhere
    "911",   // North America and many others
    "999",   // the United Kingdom, Ireland, Hong Kong, Singapore, Kenya, …
    "000",   // Australia
    "111",   // New Zealand
    "100",   // India, Israel, Greece, Belgium, Argentina: police or ambulance
    "101",   // Israel, Argentina, India: ambulance, fire
    "102",   // Israel, Ukraine, India: fire, police, ambulance
    "103",   // Ukraine, Kazakhstan and others: ambulance
    "104",   // Ukraine and others: gas
    "107",   // Hungary, Argentina: ambulance, police
    "108",   // India
    "110",   // Germany, China, Japan, Iran: police
    "113",   // Norway, Italy, Indonesia, Viet Nam: ambulance, police
    "114",   // Viet Nam: fire
    "115",   // Italy, Iran: fire, ambulance
    "117",   // Switzerland: police
    "118",   // Italy, Switzerland, Indonesia: ambulance, fire
    "119",   // Japan, China, South Korea, Sri Lanka: fire, ambulance
    "120",   // China: ambulance
    "122",   // Austria, Egypt: fire
    "123",   // Egypt, Colombia: ambulance, all
    "133",   // Austria, Chile: police
    "144",   // Austria, Switzerland: ambulance
    "15",    // France: ambulance
    "17",    // France: police
    "18",    // France: fire
    "155",   // Turkey, Czechia: police, ambulance
    "158",   // Czechia: police
    "190",   // Brazil, Tunisia: police
    "192",   // Brazil: ambulance
    "193",   // Brazil: fire
    "997",   // Saudi Arabia, Poland: ambulance, police
    "998",   // Saudi Arabia, Poland, United Arab Emirates: fire, ambulance
    "10111", // South Africa: police
    "10177", // South Africa: ambulance
];

/// Names that other files refer to. A document that could not be read leaves its names unknown, and references to them
/// are then not faulted: they would be faults that are not there.
#[derive(Debug, Default)]
pub(super) struct Names {
    domains: Option<BTreeMap<String, usize>>,
    policies: Option<BTreeMap<String, usize>>,
    needs: Vec<PolicyNeeds>,
}

/// What a policy needs of the domains that it is in force in.
#[derive(Debug, Clone, Copy)]
pub(super) struct PolicyNeeds {
    /// It diverts calls, with this before the number.
    divert_prefix: Option<[u8; 3]>,
    /// It has a limit that holds.
    holds: bool,
}

impl PolicyNeeds {
    /// What this policy needs.
    pub(super) fn of(row: &PolicyRow) -> Self {
        let diverts = row
            .limits
            .iter()
            .any(|limit| limit.action == LimitAction::Divert);
        Self {
            divert_prefix: row
                .divert
                .as_ref()
                .filter(|_| diverts)
                .map(|divert| divert.prefix),
            holds: row.limits.iter().any(|limit| limit.hold_s.is_some()),
        }
    }

    /// Why such a policy cannot be in force in this domain.
    pub(super) fn fault(self, domain: &DomainRow) -> Option<String> {
        let prefix = self.divert_prefix?;
        let profile = domain.profile.text();
        match domain.profile {
            Profile::Failover | Profile::NextRoute | Profile::Monitor => {
                return Some(format!(
                    "a limit of this policy diverts, which is a redirect, and profile {profile} of domain \"{}\" has none",
                    domain.name
                ));
            }
            Profile::Redirect | Profile::RedirectCodes => {}
        }
        let twin = Code::ALL
            .into_iter()
            .find(|code| domain.wire_codes.get(code.index()) == Some(&prefix))?;
        Some(format!(
            "policy.divert.target puts {} before the number, which is {} on the wire of domain \"{}\"",
            String::from_utf8_lossy(&prefix),
            twin.text(),
            domain.name
        ))
    }

    /// A sentence when a hold of this policy can be forged on somebody of the domain.
    pub(super) fn warning(self, domain: &DomainRow) -> Option<String> {
        (self.holds && !domain.spoofing_filtered).then(|| {
            format!(
                "a limit of this policy holds, and domain \"{}\" is asked by UDP without digest: whoever forges a peer's address can place a hold on a victim; say spoofing_filtered = true in the domain once your network drops forged packets",
                domain.name
            )
        })
    }
}

impl Names {
    /// Makes the names of these policies known.
    pub(super) fn set_policies(&mut self, policies: impl Iterator<Item = (String, PolicyNeeds)>) {
        let (names, needs): (Vec<String>, Vec<PolicyNeeds>) = policies.unzip();
        self.policies = Some(indexed(names.into_iter()));
        self.needs = needs;
    }

    /// What a policy needs of its domains; `None` when the policies could not be read.
    pub(super) fn needs(&self, policy: usize) -> Option<PolicyNeeds> {
        self.needs.get(policy).copied()
    }

    /// Makes the names of these domains known.
    pub(super) fn set_domains(&mut self, names: impl Iterator<Item = String>) {
        self.domains = Some(indexed(names));
    }

    /// The domain's index; `None` when the domains could not be read.
    pub(super) fn domain(&self, name: &str) -> Result<Option<usize>, String> {
        lookup(self.domains.as_ref(), "domain", "domains.toml", name)
    }

    /// The policy's index; `None` when the policies could not be read.
    pub(super) fn policy(&self, name: &str) -> Result<Option<usize>, String> {
        lookup(self.policies.as_ref(), "policy", "policies.toml", name)
    }
}

fn indexed(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    names
        .enumerate()
        .map(|(index, name)| (name, index))
        .collect()
}

fn lookup(
    known: Option<&BTreeMap<String, usize>>,
    noun: &str,
    document: &str,
    name: &str,
) -> Result<Option<usize>, String> {
    let Some(known) = known else {
        return Ok(None);
    };
    if let Some(&index) = known.get(name) {
        return Ok(Some(index));
    }
    if name.is_empty() {
        return Err(format!("{noun} is empty; a {noun} of {document} is needed"));
    }
    let hint = did_you_mean(name, known.keys().map(String::as_str))
        .map_or_else(String::new, |meant| format!("; did you mean \"{meant}\"?"));
    Err(format!("{noun} \"{name}\" is not in {document}{hint}"))
}

/// Reads the document; rows in file order.
pub(super) fn read(
    file: &str,
    text: &str,
    names: &Names,
    findings: &mut Findings,
) -> Option<Vec<DomainRow>> {
    let mut rows = None;
    Text::new(file, text).parse(findings, |mut root, findings| {
        let mut domains = Domains::default();
        if let Some(value) = root.require("domain", findings) {
            for table in value.tables(findings) {
                domain_table(table, names, &mut domains, findings);
            }
            if domains.rows.len() > DOMAINS_MAX {
                value.fault(
                    findings,
                    format!("{} domains; {DOMAINS_MAX} at most", domains.rows.len()),
                );
            }
        }
        root.finish(findings);
        claimed_twice(file, &domains, findings);
        proxies_that_are_peers(file, &domains, findings);
        rows = Some(domains.rows);
    });
    rows
}

/// The rows read so far.
#[derive(Debug, Default)]
struct Domains {
    rows: Vec<DomainRow>,
    by_name: BTreeMap<String, usize>,
    /// Every host that means a domain, in lower case, with the domain and the place.
    hosts: Vec<(String, usize, Place)>,
    /// Every listed proxy as it is written, with its place.
    proxies: Vec<(AddressBlock, String, Place)>,
}

fn domain_table(
    mut table: Table<'_>,
    names: &Names,
    domains: &mut Domains,
    findings: &mut Findings,
) {
    let index = domains.rows.len();
    let mut row = empty_row();
    if let Some(value) = table.require("name", findings)
        && let Some(name) = value.string(findings)
    {
        if let Err(sentence) = parse::name(name) {
            value.fault_named(findings, sentence);
        } else if domains.by_name.insert(name.to_owned(), index).is_some() {
            value.fault(findings, format!("domain \"{name}\" stands twice"));
        }
        name.clone_into(&mut row.name);
        domains
            .hosts
            .push((name.to_ascii_lowercase(), index, value.place()));
    }
    who(&mut table, &mut row, index, domains, findings);
    let policy = required(&mut table, &mut row, names, findings);
    numbers(&mut table, &mut row, findings);
    answers(&mut table, &mut row, findings);
    if let Some((value, needs)) =
        policy.and_then(|value| Some((value, names.needs(row.default_policy)?)))
    {
        if let Some(sentence) = needs.fault(&row) {
            value.fault_named(findings, sentence);
        }
        if let Some(sentence) = needs.warning(&row) {
            value.warn(findings, format!("domain.default_policy: {sentence}"));
        }
    }
    table.without_effect("email", findings, |value, findings| {
        let _checked = value.string(findings);
    });
    table.finish(findings);
    domains.rows.push(row);
}

fn empty_row() -> DomainRow {
    DomainRow {
        name: String::new(),
        peers: Vec::new(),
        proxies: Vec::new(),
        names: Vec::new(),
        mode: Mode::Prevention,
        trust_headers: false,
        default_policy: 0,
        default_subscriber: String::new(),
        profile: Profile::Redirect,
        calling_from: vec![CallingHeader::From],
        bare_e164: false,
        emergency: EMERGENCY_DEFAULT
            .iter()
            .map(|number| number.as_bytes().to_vec())
            .collect(),
        contact_host: ContactHostRow::From,
        force_rport: false,
        spoofing_filtered: false,
        wire_codes: Code::ALL.map(wire_code_default),
        statuses: StatusOverrides::default(),
        translations: Vec::new(),
    }
}

/// `peers`, `proxies`, `names`.
fn who(
    table: &mut Table<'_>,
    row: &mut DomainRow,
    index: usize,
    domains: &mut Domains,
    findings: &mut Findings,
) {
    if let Some(value) = table.require("peers", findings) {
        row.peers = blocks(&value, findings);
        if value.is_array() && value.array(findings).is_empty() {
            value.fault(findings, "domain.peers is empty; nobody could ask");
        }
    }
    if let Some(value) = table.take("proxies") {
        row.proxies = blocks(&value, findings);
        for (text, element) in value.strings(findings) {
            if let Ok(block) = parse::address_block(text) {
                domains
                    .proxies
                    .push((block, text.to_owned(), element.place()));
            }
        }
    }
    let Some(value) = table.take("names") else {
        return;
    };
    for (name, element) in value.strings(findings) {
        if let Err(sentence) = parse::host(name) {
            element.fault_named(findings, sentence);
            continue;
        }
        domains
            .hosts
            .push((name.to_ascii_lowercase(), index, element.place()));
        row.names.push(name.to_owned());
    }
}

fn blocks(value: &Value<'_>, findings: &mut Findings) -> Vec<AddressBlock> {
    let mut blocks = Vec::new();
    for (text, element) in value.strings(findings) {
        match parse::address_block(text) {
            Ok(block) if blocks.contains(&block) => {
                element.fault_named(findings, format!("\"{text}\" stands twice"));
            }
            Ok(block) => blocks.push(block),
            Err(sentence) => element.fault_named(findings, sentence),
        }
    }
    blocks
}

/// What must be said, since guessing it would be guessing a verdict. The default policy's value, if it is one.
fn required<'d>(
    table: &mut Table<'d>,
    row: &mut DomainRow,
    names: &Names,
    findings: &mut Findings,
) -> Option<Value<'d>> {
    let mut policy = None;
    if let Some(value) = table.require("mode", findings)
        && let Some(mode) = value.word(&MODES, findings)
    {
        row.mode = mode;
    }
    if let Some(value) = table.require("trust_headers", findings)
        && let Some(trust) = value.boolean(findings)
    {
        row.trust_headers = trust;
    }
    if let Some(value) = table.require("default_policy", findings)
        && let Some(name) = value.string(findings)
    {
        match names.policy(name) {
            Ok(index) => {
                row.default_policy = index.unwrap_or(0);
                policy = index.map(|_known| value);
            }
            Err(sentence) => value.fault_named(findings, sentence),
        }
    }
    if let Some(value) = table.require("default_subscriber", findings)
        && let Some(name) = value.string(findings)
    {
        match parse::name(name) {
            Ok(()) => name.clone_into(&mut row.default_subscriber),
            Err(sentence) => value.fault_named(findings, sentence),
        }
    }
    policy
}

/// The words for modes.
pub(super) const MODES: [(&str, Mode); 2] = [
    ("prevention", Mode::Prevention),
    ("detection", Mode::Detection),
];

/// The headers a calling number may be read from.
pub(super) const CALLING_HEADERS: [(&str, CallingHeader); 4] = [
    ("From", CallingHeader::From),
    ("P-Asserted-Identity", CallingHeader::AssertedIdentity),
    ("P-Preferred-Identity", CallingHeader::PreferredIdentity),
    ("Remote-Party-ID", CallingHeader::RemotePartyId),
];

/// `calling_from`, `bare_e164`, `emergency`, `translate`.
fn numbers(table: &mut Table<'_>, row: &mut DomainRow, findings: &mut Findings) {
    if let Some(value) = table.take("calling_from") {
        row.calling_from.clear();
        for element in value.array(findings) {
            match element.word(&CALLING_HEADERS, findings) {
                Some(header) if row.calling_from.contains(&header) => {
                    element.fault_named(findings, "a header stands twice");
                }
                Some(header) => row.calling_from.push(header),
                None => {}
            }
        }
        if value.is_array() && value.array(findings).is_empty() {
            value.fault(
                findings,
                "domain.calling_from is empty; [\"From\"] is the default",
            );
        }
    }
    if let Some(value) = table.take("bare_e164")
        && let Some(bare) = value.boolean(findings)
    {
        row.bare_e164 = bare;
    }
    if let Some(value) = table.take("emergency") {
        emergency(&value, row, findings);
    }
    if let Some(value) = table.take("translate") {
        row.translations = translate::read(&value, findings);
    }
}

fn emergency(value: &Value<'_>, row: &mut DomainRow, findings: &mut Findings) {
    row.emergency.clear();
    for (number, element) in value.strings(findings) {
        if let Err(sentence) = parse::emergency(number) {
            element.fault_named(findings, sentence);
        } else if row.emergency.iter().any(|known| known == number.as_bytes()) {
            element.fault_named(findings, format!("\"{number}\" stands twice"));
        }
        row.emergency.push(number.as_bytes().to_vec());
    }
    if value.is_array() && value.array(findings).is_empty() {
        value.fault(
            findings,
            "domain.emergency is empty, but emergency calls must never be rejected; leave it out for the common numbers",
        );
    }
}

/// The words for profiles.
pub(super) const PROFILES: [(&str, Profile); 5] = [
    (Profile::Redirect.text(), Profile::Redirect),
    (Profile::RedirectCodes.text(), Profile::RedirectCodes),
    (Profile::Failover.text(), Profile::Failover),
    (Profile::NextRoute.text(), Profile::NextRoute),
    (Profile::Monitor.text(), Profile::Monitor),
];

/// How answers are worn: `profile`, `contact_host`, `force_rport`, `codes`, `statuses`, and what proxies do to them.
fn answers(table: &mut Table<'_>, row: &mut DomainRow, findings: &mut Findings) {
    let profile = table.take("profile");
    if let Some(value) = &profile
        && let Some(profile) = value.word(&PROFILES, findings)
    {
        row.profile = profile;
    }
    let passes_503 = table
        .take("proxy_passes_503")
        .and_then(|value| value.boolean(findings))
        .unwrap_or(false);
    if row.profile == Profile::Failover
        && !row.proxies.is_empty()
        && !passes_503
        && let Some(value) = &profile
    {
        value.fault(
            findings,
            "profile failover behind a proxy needs proxy_passes_503 = true: a proxy that turns 503 into 500, as Kamailio does, breaks it",
        );
    }
    if let Some(value) = table.take("spoofing_filtered")
        && let Some(filtered) = value.boolean(findings)
    {
        row.spoofing_filtered = filtered;
    }
    if let Some(value) = table.take("contact_host")
        && let Some(text) = value.string(findings)
    {
        match contact_host(text) {
            Ok(host) => row.contact_host = host,
            Err(sentence) => value.fault_named(findings, sentence),
        }
    }
    if let Some(value) = table.take("force_rport")
        && let Some(force) = value.boolean(findings)
    {
        row.force_rport = force;
    }
    if let Some(value) = table.take("codes")
        && let Some(codes) = value.table(findings)
    {
        wire_codes(&codes, row, findings);
    }
    if let Some(value) = table.take("statuses")
        && let Some(table) = value.table(findings)
    {
        status_overrides(&table, row, findings);
    }
}

fn contact_host(text: &str) -> Result<ContactHostRow, String> {
    match text {
        "from" => return Ok(ContactHostRow::From),
        "request-uri" => return Ok(ContactHostRow::RequestUri),
        "source" => return Ok(ContactHostRow::Source),
        _ => {}
    }
    let Some(host) = text.strip_prefix("fixed:") else {
        return Err(format!(
            "\"{text}\" is not \"from\", \"request-uri\", \"source\" or \"fixed:HOST\""
        ));
    };
    parse::host(host).map(|()| ContactHostRow::Fixed(host.to_owned()))
}

/// The code's own name.
pub(super) fn wire_code_default(code: Code) -> [u8; 3] {
    let mut wire = [b'0'; 3];
    for (place, octet) in wire.iter_mut().zip(code.text().bytes()) {
        *place = octet;
    }
    wire
}

fn wire_codes(table: &Table<'_>, row: &mut DomainRow, findings: &mut Findings) {
    let mut remapped = Vec::new();
    for (key, value) in table.entries() {
        let Some(code) = Code::from_text(key) else {
            value.fault(findings, unknown_code("codes", key));
            continue;
        };
        let Some(text) = value.string(findings) else {
            continue;
        };
        let &[letter @ b'A'..=b'Z', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = text.as_bytes()
        else {
            value.fault_named(
                findings,
                format!(
                    "\"{text}\" is no code; one upper-case letter and two digits, like \"R33\""
                ),
            );
            continue;
        };
        if code != Code::A00 && text == "A00" {
            value.fault_named(
                findings,
                "\"A00\" means approved and can be no rejection's code",
            );
            continue;
        }
        if let Some(wire) = row.wire_codes.get_mut(code.index()) {
            *wire = [letter, tens, ones];
        }
        remapped.push((code, value));
    }
    // Compared when all are known: two codes may change places.
    for (code, value) in remapped {
        let wire = row.wire_codes.get(code.index());
        let twin = Code::ALL
            .into_iter()
            .find(|&other| other != code && row.wire_codes.get(other.index()) == wire);
        if let Some(other) = twin {
            value.fault_named(
                findings,
                format!(
                    "{} would look like {} on the wire",
                    code.text(),
                    other.text()
                ),
            );
        }
    }
}

fn status_overrides(table: &Table<'_>, row: &mut DomainRow, findings: &mut Findings) {
    let mut places = Vec::new();
    for (key, value) in table.entries() {
        let Some(answer) = Answer::from_key(key) else {
            let sentence = if key == "A00" {
                "domain.statuses.A00 is written approve".to_owned()
            } else {
                unknown_code("statuses", key)
            };
            value.fault(findings, sentence);
            continue;
        };
        let Some(status) = value
            .integer(STATUSES, findings)
            .and_then(|status| u16::try_from(status).ok())
            .map(|status| Some(Status(status)))
        else {
            continue;
        };
        match answer {
            Answer::Approve => row.statuses.approve = status,
            Answer::Reject => row.statuses.reject = status,
            Answer::Error => row.statuses.error = status,
            Answer::Code(code) => {
                if let Some(place) = row.statuses.by_code.get_mut(code.index()) {
                    *place = status;
                }
            }
        }
        places.push((answer, value));
    }
    for (key, sentence) in statuses::faults(row.profile, &row.statuses) {
        if let Some((_, value)) = places.iter().find(|(answer, _)| answer.key() == key) {
            value.fault(findings, format!("domain.statuses.{sentence}"));
        }
    }
}

fn unknown_code(table: &str, key: &str) -> String {
    let codes = Code::ALL.into_iter().filter(|code| !code.is_own());
    let others: &[&str] = if table == "statuses" {
        &["approve", "reject", "error"]
    } else {
        &["A00"]
    };
    let known: Vec<&str> = others
        .iter()
        .copied()
        .chain(codes.map(Code::text).filter(|&code| code != "A00"))
        .collect();
    format!(
        "domain.{table}.{key} is no answer that this version gives; {}, or an own code, X01 to X16",
        one_of(&known)
    )
}

/// A packet of a listed proxy is what the proxy forwards, never a call of its own (SEMANTICS, Who asks): an address that
/// is a peer, too, hears 403 when it calls by itself. Right in a network of peers that holds the proxy, a surprise on a
/// machine that is both.
fn proxies_that_are_peers(file: &str, domains: &Domains, findings: &mut Findings) {
    let mut peers: Vec<(AddressBlock, &str)> = Vec::new();
    for row in &domains.rows {
        peers.extend(row.peers.iter().map(|block| (*block, &*row.name)));
    }
    peers.sort_by_key(|(block, _)| block.first);
    // Of all peers up to each place the one that reaches furthest: whether a block meets any is one look-up.
    let mut reach = 0;
    let furthest: Vec<usize> = (0..peers.len())
        .map(|at| {
            let last = |at: usize| peers.get(at).map(|(block, _)| block.last);
            if last(at) > last(reach) {
                reach = at;
            }
            reach
        })
        .collect();
    for (proxy, text, place) in &domains.proxies {
        let before = peers.partition_point(|(block, _)| block.first <= proxy.last);
        let meets = before
            .checked_sub(1)
            .and_then(|at| peers.get(*furthest.get(at)?))
            .filter(|(block, _)| block.last >= proxy.first);
        if let Some((_, domain)) = meets {
            findings.warn(
                file,
                *place,
                format!(
                    "proxy \"{text}\" is among the peers of domain \"{domain}\", too; it counts as a proxy, so calls of its own get 403"
                ),
            );
        }
    }
}

/// Two domains that the same peer may speak for must not be meant by the same host.
fn claimed_twice(file: &str, domains: &Domains, findings: &mut Findings) {
    let mut by_host: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (host, index, place) in &domains.hosts {
        let Some(row) = domains.rows.get(*index) else {
            continue;
        };
        let claimants = by_host.entry(host).or_default();
        let rival = claimants
            .iter()
            .filter_map(|&other| domains.rows.get(other))
            .find(|other| other.name != row.name && share_peers(other, row));
        if let Some(rival) = rival {
            findings.faults.at(
                file,
                *place,
                format!(
                    "\"{host}\" means domain \"{}\" already, and both have peers in common",
                    rival.name
                ),
            );
        }
        claimants.push(*index);
    }
}

fn share_peers(left: &DomainRow, right: &DomainRow) -> bool {
    left.peers
        .iter()
        .any(|one| right.peers.iter().any(|other| parse::overlap(one, other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_names_that_are_equally_near_the_hint_is_the_first_in_their_order() {
        let mut names = Names::default();
        names.set_domains((1..=9).rev().map(|number| format!("site{number}")));
        let sentence = names.domain("site").unwrap_err();
        assert!(sentence.contains("did you mean \"site1\"?"), "{sentence}");
    }
}
