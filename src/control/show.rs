//! What `check` and `config` print.
//!
//! Promises: `in_force` is TOML: its first half is a `tollgate.toml`, what follows a `domains.toml` and a
//! `policies.toml`, with every default written out, so that nothing in force stands only in the code.

use super::fault::plural;
use super::journal::{JournalConfig, rotate_text, seconds_text};
use super::node::{Cores, NodeConfig, STEERINGS, Shards, Steering, cores_allowed};
use super::statuses::Answer;
use super::{Loaded, Source, domains, limits, policies, schedule};
use crate::clock::Now;
use crate::policy::Code;
use crate::policy::rows::{
    Action, AddressBlock, ContactHostRow, Count, DestinationTerm, DomainRow, LimitRow, PolicyRow,
    Profile, Risk, TranslateRow, Window,
};
use crate::policy::words;
use crate::uas::entries_for;
use std::net::IpAddr;
use toml::Value;

/// The one line of a configuration without faults: its counts and generation.
#[must_use]
pub fn summary(loaded: &Loaded) -> String {
    let rows = &loaded.rows;
    format!(
        "ok: {}, {}, {}, {}, {}; generation {}\n",
        plural(rows.domains.len(), "domain"),
        plural(rows.policies.len(), "policy"),
        plural(rows.subscribers.len(), "subscriber"),
        plural(rows.lists.len(), "list row"),
        plural(rows.destinations.len(), "destination"),
        rows.generation,
    )
}

/// A warning when list rows have expired before `now`: they are read and decide nothing.
#[must_use]
pub fn expired(loaded: &Loaded, now: Now) -> Option<String> {
    let count = loaded
        .rows
        .lists
        .iter()
        .filter(|row| {
            row.expires_unix_s
                .is_some_and(|expires| expires <= now.unix_s())
        })
        .count();
    (count > 0).then(|| format!("warning: expired list rows: {count}; they decide nothing\n"))
}

/// The configuration in force as commented TOML, every default in it.
#[must_use]
pub fn in_force(loaded: &Loaded) -> String {
    let mut page = Page::default();
    match &loaded.source {
        Source::Sample => page.comment("In force without --config: the sample inside the program."),
        Source::File(path) => page.comment(&format!("In force with --config {}.", path.display())),
    }
    page.comment(summary(loaded).trim_end());
    for warning in &loaded.warnings {
        page.comment(&format!("warning: {warning}"));
    }
    node(&mut page, &loaded.node);

    page.blank();
    page.comment("---- domains.toml");
    for domain in &loaded.rows.domains {
        domain_table(&mut page, domain, &loaded.rows.policies);
    }
    page.blank();
    page.comment("---- policies.toml");
    for policy in &loaded.rows.policies {
        policy_table(&mut page, policy);
    }
    page.blank();
    page.comment(&format!(
        "---- subscribers.csv: {}; lists: {} in {}; destinations: {}; rates: {}",
        plural(loaded.rows.subscribers.len(), "row"),
        plural(loaded.rows.lists.len(), "row"),
        plural(loaded.rows.list_files.len(), "file"),
        plural(loaded.rows.destinations.len(), "row"),
        plural(loaded.rows.rates.len(), "row"),
    ));
    page.0
}

/// Text that grows line by line.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn blank(&mut self) {
        self.line("");
    }

    fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.line(&format!("# {}", line.escape_debug()));
        }
    }

    fn header(&mut self, header: &str) {
        self.blank();
        self.line(header);
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.line(&format!("{key} = {}", value.into()));
    }

    fn set_with(&mut self, key: &str, value: impl Into<Value>, comment: &str) {
        self.line(&format!(
            "{key} = {} # {}",
            value.into(),
            comment.escape_debug()
        ));
    }
}

fn node(page: &mut Page, node: &NodeConfig) {
    page.header("[node]");
    page.set("name", node.name.as_str());
    let cores = plural(cores_allowed(), "core");
    match node.shards {
        Shards::Auto => page.set_with(
            "shards",
            "auto",
            &format!("one core less than the {cores} we may use, at least 1"),
        ),
        Shards::Fixed(count) => page.set_with(
            "shards",
            whole(count),
            &format!("this machine lets us use {cores}"),
        ),
    }
    match &node.cores {
        Cores::Auto => page.set("cores", "auto"),
        Cores::List(list) => page.set(
            "cores",
            list.iter().map(|&core| whole(core)).collect::<Vec<_>>(),
        ),
    }
    page.set("state_dir", node.state_dir.display().to_string());
    let entries = entries_for(node.expected_calls_per_second);
    page.set_with(
        "expected_calls_per_second",
        i64::try_from(node.expected_calls_per_second).unwrap_or(i64::MAX),
        &format!("transaction memory of {entries} entries, 8 octets each"),
    );
    page.set_with(
        "counters_capacity",
        i64::from(node.counters_capacity),
        "keys of limits; a subscriber may have a sixteenth",
    );
    match &node.key_file {
        Some(path) => page.set("key_file", path.display().to_string()),
        None => page.comment(
            "key_file is not set: the key that the first start drew and kept in state_dir",
        ),
    }
    page.set("drain_time", format!("{}s", node.drain_time.as_secs()));
    for listener in &node.listeners {
        page.header("[[listen]]");
        page.set("udp", listener.udp.to_string());
        let shared = match listener.steering {
            Steering::Payload => {
                "shards share datagrams by what they say, so also those of one port"
            }
            Steering::Kernel => {
                "shards share datagrams by address and port: all of one port go to one shard"
            }
        };
        page.set_with("steering", word(&STEERINGS, listener.steering), shared);
        page.set_with(
            "gso",
            listener.gso,
            "whether answers of one destination leave in runs",
        );
        page.set("role", "screen");
    }
    page.header("[bundle]");
    page.set("path", node.bundle_path.as_str());
    page.header("[admin]");
    page.set("http", node.admin_http.to_string());
    match &node.token_file {
        Some(path) => page.set("token_file", path.display().to_string()),
        None => page.comment("token_file is not set: nothing can be changed by the admin port"),
    }
    journal(page, node.journal.as_ref());
}

fn journal(page: &mut Page, journal: Option<&JournalConfig>) {
    let Some(journal) = journal else {
        page.blank();
        page.comment("[journal] is not set: decisions are counted, not recorded");
        return;
    };
    let budget = |lines: Option<u64>| match lines {
        Some(lines) => Value::from(i64::try_from(lines).unwrap_or(i64::MAX)),
        None => Value::from("all"),
    };
    page.header("[journal]");
    page.set("path", journal.path.display().to_string());
    page.set_with(
        "rejected_per_second",
        budget(journal.rejected_per_second),
        "lines; past them calls are counted per domain, code and second",
    );
    page.set("approved_per_second", budget(journal.approved_per_second));
    page.set("rotate", rotate_text(journal.rotate));
    page.set("keep", seconds_text(journal.keep_s));
    page.set("mask_digits", i64::from(journal.mask_digits));
}

fn domain_table(page: &mut Page, row: &DomainRow, policy_rows: &[PolicyRow]) {
    page.header("[[domain]]");
    page.set("name", row.name.as_str());
    page.set("peers", strings(row.peers.iter().map(block)));
    page.set("proxies", strings(row.proxies.iter().map(block)));
    page.set("names", strings(row.names.iter().cloned()));
    page.set("mode", word(&domains::MODES, row.mode));
    page.set("trust_headers", row.trust_headers);
    let policy = policy_rows
        .get(row.default_policy)
        .map_or("", |policy| policy.name.as_str());
    page.set("default_policy", policy);
    page.set("default_subscriber", row.default_subscriber.as_str());
    page.set("profile", word(&domains::PROFILES, row.profile));
    page.set(
        "calling_from",
        strings(
            row.calling_from
                .iter()
                .map(|&header| word(&domains::CALLING_HEADERS, header).to_owned()),
        ),
    );
    page.set("bare_e164", row.bare_e164);
    page.set(
        "emergency",
        strings(row.emergency.iter().map(|number| text(number))),
    );
    page.set(
        "contact_host",
        match &row.contact_host {
            ContactHostRow::From => "from".to_owned(),
            ContactHostRow::RequestUri => "request-uri".to_owned(),
            ContactHostRow::Source => "source".to_owned(),
            ContactHostRow::Fixed(host) => format!("fixed:{host}"),
        },
    );
    page.set("force_rport", row.force_rport);
    page.set("spoofing_filtered", row.spoofing_filtered);
    if row.profile == Profile::Failover && !row.proxies.is_empty() {
        page.set("proxy_passes_503", true);
    }
    let codes: Vec<String> = Code::ALL
        .into_iter()
        .filter_map(|code| {
            let wire = row.wire_codes.get(code.index())?;
            Some(format!("{} = {}", code.text(), Value::from(text(wire))))
        })
        .collect();
    page.line(&format!("codes = {{ {} }}", codes.join(", ")));
    statuses(page, row);
    for translation in &row.translations {
        translate(page, translation);
    }
}

/// The three answers as they are worn, and each code that differs from `reject`.
fn statuses(page: &mut Page, row: &DomainRow) {
    let reject = Answer::Reject.resolved(row.profile, &row.statuses);
    let shown: Vec<String> = Answer::all()
        .filter_map(|answer| {
            let status = answer.resolved(row.profile, &row.statuses)?;
            let repeats = matches!(answer, Answer::Code(_)) && Some(status) == reject;
            (!repeats).then(|| format!("{} = {}", answer.key(), status.0))
        })
        .collect();
    let own_error = Answer::Error.resolved(row.profile, &row.statuses).is_none();
    let comment = if own_error {
        " # errors have RFC 3261's own status"
    } else {
        ""
    };
    page.line(&format!("statuses = {{ {} }}{comment}", shown.join(", ")));
}

fn translate(page: &mut Page, row: &TranslateRow) {
    page.header("[[domain.translate]]");
    page.set("match", text(&row.matches));
    page.set("strip", whole(row.strip));
    page.set("prepend", text(&row.prepend));
    page.set("min_digits", whole(row.min_digits));
    page.set("max_digits", whole(row.max_digits));
}

fn policy_table(page: &mut Page, row: &PolicyRow) {
    page.header("[[policy]]");
    page.set("name", row.name.as_str());
    let terms = |terms: &[DestinationTerm]| Value::from(strings(terms.iter().map(term)));
    let meaning = if row.destination_allow.is_empty() {
        "no allow: every destination that is not denied"
    } else {
        "what is not in allow is rejected"
    };
    page.line(&format!(
        "destination = {{ allow = {}, deny = {} }} # {meaning}",
        terms(&row.destination_allow),
        terms(&row.destination_deny)
    ));
    let action = |action: Action| Value::from(word(&policies::ACTIONS, action));
    page.line(&format!(
        "unknown = {{ prefix = {}, identity = {}, counters = {} }}",
        action(row.unknown_prefix),
        action(row.unknown_identity),
        action(row.unknown_counters)
    ));
    page.set("time_zone", row.schedule.zone.as_str());
    if row.schedule.hours.is_empty() {
        page.comment("working_hours are not said: no limit may go by them");
    } else {
        let hours = row.schedule.hours.iter().map(schedule::hours_text);
        page.set("working_hours", strings(hours));
    }
    let holidays = row.schedule.holidays.iter().copied();
    page.set("holidays", strings(holidays.map(schedule::holiday_text)));
    page.set("assumed_minutes", i64::from(row.assumed_minutes));
    match &row.divert {
        Some(divert) => page.line(&format!(
            "divert = {{ target = {} }}",
            Value::from(limits::divert_text(divert))
        )),
        None => page.comment("divert is not said: no limit may divert"),
    }
    for limit in &row.limits {
        limit_table(page, limit);
    }
}

fn limit_table(page: &mut Page, row: &LimitRow) {
    page.header("[[policy.limit]]");
    page.set("name", row.name.as_str());
    page.set(
        "per",
        strings(limits::who_words(row.who).into_iter().map(str::to_owned)),
    );
    page.set("to", word(&limits::WHERETO, row.to));
    page.set("count", word(&limits::COUNTS, row.count));
    match row.window {
        Some(Window::Seconds(seconds)) => page.set("window", seconds_text(seconds.into())),
        Some(Window::Day) => {
            page.set_with("window", "day", "from midnight to midnight of time_zone");
        }
        Some(Window::Period) => {
            page.set_with("window", "period", "one stretch of working or off hours");
        }
        None => page.comment("no window: as many as the PBX says there are now"),
    }
    let amount = |page: &mut Page, key, count: u64| {
        if row.count == Count::Exposure {
            page.line(&format!("{key} = {}", words::amount(count)));
        } else {
            page.set(key, i64::try_from(count).unwrap_or(i64::MAX));
        }
    };
    if let Some(warn) = row.warn {
        amount(page, "warn", warn);
    }
    amount(page, "max", row.max);
    if let Some(hold_s) = row.hold_s {
        page.set("hold", seconds_text(hold_s.into()));
    }
    page.set("during", word(&limits::DURING, row.during));
    page.set("action", word(&limits::LIMIT_ACTIONS, row.action));
    page.set("code", row.code.text());
}

/// A term as `policies.toml` has it.
fn term(term: &DestinationTerm) -> String {
    match term {
        DestinationTerm::Country(country) => country.clone(),
        DestinationTerm::Continent(continent) => format!("continent:{continent}"),
        DestinationTerm::Type(number_type) => format!("type:{number_type}"),
        DestinationTerm::Risk(risk) => format!("risk:{}", risk_word(*risk)),
    }
}

fn risk_word(risk: Risk) -> &'static str {
    word(&policies::RISKS, risk)
}

/// A block as the bundle has it.
fn block(block: &AddressBlock) -> String {
    let whole = match block.first {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    if block.prefix_bits == whole {
        return block.first.to_string();
    }
    format!("{}/{}", block.first, block.prefix_bits)
}

/// The word that configuration uses for a meaning.
fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    words
        .iter()
        .find(|(_, known)| *known == meaning)
        .map_or("", |&(word, _)| word)
}

fn strings(items: impl Iterator<Item = String>) -> Vec<String> {
    items.collect()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// TOML's whole numbers are signed; ours are small.
fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
