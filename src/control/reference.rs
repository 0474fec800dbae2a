//! Every key of `tollgate.toml`, `domains.toml` and `policies.toml`: what it holds, its default, and what it is for.
//!
//! Promises: what is printed is TOML; every key that is read stands here, and no other; defaults are those in force.
//! Ranges are made of the bounds that the readers go by. Leaves to the readers: checking values.

use super::domains::STATUSES;
use super::journal::{
    BYTES_MIN, MASK_DIGITS_MAX, PER_SECOND_MAX, Rotate, SECONDS_MAX, SECONDS_MIN, rotate_text,
    seconds_text,
};
use super::node::{
    CORE_MAX, DRAIN_SECONDS_MAX, KEY_FILE_BYTES_MIN, NAME_CHARACTERS_MAX, TOKEN_CHARACTERS_MIN,
};
use super::parse::NAME_BYTES_MAX;
use crate::limits::{
    ASSUMED_MINUTES_MAX, CONTACT_USER_BYTES_MAX, COUNTED_MAX, COUNTERS_CAPACITY_MAX,
    COUNTERS_CAPACITY_MIN, DOMAINS_MAX, EXPECTED_CALLS_PER_SECOND_MAX, HOLD_SECONDS_MAX,
    LIMITS_PER_POLICY_MAX, SHARDS_MAX, WINDOW_SECONDS_MAX,
};
use std::fmt::Write as _;

/// A key whose default is not written as a value.
const REQUIRED: &str = "required";
const NONE: &str = "";

/// A key of a table: its name, its default as TOML (or `REQUIRED`, or `NONE`), and what it holds.
type Key = (&'static str, &'static str, String);

/// The keys of every table, in the order of the files.
fn tables() -> Vec<(&'static str, &'static str, Vec<Key>)> {
    vec![
        ("tollgate.toml", "[node]", node()),
        ("tollgate.toml", "[[listen]]", listen()),
        (
            "tollgate.toml",
            "[bundle]",
            vec![key(
                "path",
                REQUIRED,
                "folder of the bundle, seen from this file",
            )],
        ),
        ("tollgate.toml", "[admin]", admin()),
        ("tollgate.toml", "[journal]", journal()),
        ("domains.toml", "[[domain]]", domain()),
        ("domains.toml", "[[domain.translate]]", translate()),
        ("policies.toml", "[[policy]]", policy()),
        ("policies.toml", "[policy.destination]", destination()),
        ("policies.toml", "[policy.unknown]", unknown()),
        (
            "policies.toml",
            "[policy.divert]",
            vec![key(
                "target",
                REQUIRED,
                "SIP URI with {number} and, if it likes, {host}: where limits with action = \"divert\" send calls; without the table none may",
            )],
        ),
        ("policies.toml", "[[policy.limit]]", limit()),
    ]
}

fn key(name: &'static str, default: &'static str, about: impl Into<String>) -> Key {
    (name, default, about.into())
}

fn node() -> Vec<Key> {
    vec![
        key(
            "name",
            "\"tollgate\"",
            format!(
                "1 to {NAME_CHARACTERS_MAX} visible ASCII characters without blanks: the node's name in what it writes"
            ),
        ),
        key(
            "shards",
            "\"auto\"",
            format!(
                "\"auto\" (allowed cores less one, at least 1) or 1 to {SHARDS_MAX}: threads that answer calls"
            ),
        ),
        key(
            "cores",
            "\"auto\"",
            format!(
                "\"auto\", a list like [0, 2], or text like \"0,2-3\", each 0 to {CORE_MAX}: cores that the shards are pinned to, one each"
            ),
        ),
        key(
            "state_dir",
            NONE,
            "folder, seen from this file, ./tollgate-state unless said: what must outlive the node; one for each node",
        ),
        key(
            "key_file",
            NONE,
            format!(
                "file of at least {KEY_FILE_BYTES_MIN} octets, the same for all nodes of a cluster: the secret of To tags and hashes; unless said, one is drawn and kept in state_dir"
            ),
        ),
        key(
            "expected_calls_per_second",
            "8192",
            format!(
                "calls a second, 1 to {EXPECTED_CALLS_PER_SECOND_MAX}: room of the transaction memory"
            ),
        ),
        key(
            "counters_capacity",
            "524288",
            format!(
                "keys of 96 octets, {COUNTERS_CAPACITY_MIN} to {COUNTERS_CAPACITY_MAX}: what limits count by; a subscriber may have a sixteenth"
            ),
        ),
        key(
            "drain_time",
            "\"30s\"",
            format!(
                "time, \"0s\" to \"{}\" in s, m, h or d: how long a draining node goes on answering",
                seconds_text(DRAIN_SECONDS_MAX)
            ),
        ),
    ]
}

fn listen() -> Vec<Key> {
    vec![
        key(
            "udp",
            REQUIRED,
            "address and port, like \"192.0.2.1:5060\"; port 0 lets the kernel choose",
        ),
        key(
            "steering",
            "\"payload\"",
            "\"payload\" (a balancer's calls reach all shards) or \"kernel\" (by address and port): how the shards share it",
        ),
        key(
            "gso",
            "true",
            "true or false: whether answers of one destination leave in runs",
        ),
        key("role", "\"screen\"", "\"screen\""),
    ]
}

fn admin() -> Vec<Key> {
    vec![
        key(
            "http",
            "\"127.0.0.1:8060\"",
            "address and port of /healthz, /readyz, /metrics and /v1, HTTP without TLS; port 0 lets the kernel choose",
        ),
        key(
            "token_file",
            NONE,
            format!(
                "file with one line of at least {TOKEN_CHARACTERS_MIN} visible ASCII characters: what /v1 wants to know; without it nothing can be changed"
            ),
        ),
    ]
}

fn journal() -> Vec<Key> {
    vec![
        key(
            "path",
            REQUIRED,
            "file, seen from this file; one JSON object a line. Without the table calls are counted, not recorded",
        ),
        key(
            "rejected_per_second",
            "20000",
            format!(
                "lines a second, 0 to {PER_SECOND_MAX}, or \"all\": calls that were not approved; more are counted"
            ),
        ),
        key(
            "approved_per_second",
            "2000",
            format!(
                "lines a second, 0 to {PER_SECOND_MAX}, or \"all\": approved calls; more are counted"
            ),
        ),
        key(
            "rotate",
            "\"1h\"",
            format!(
                "{}, or size from \"{}\" in MB or GB: when a new file is begun",
                journal_time(),
                rotate_text(Rotate::Bytes(BYTES_MIN))
            ),
        ),
        key(
            "keep",
            "\"30d\"",
            format!("{}: how long old files are kept", journal_time()),
        ),
        key(
            "mask_digits",
            "0",
            format!(
                "digits, 0 to {MASK_DIGITS_MAX}: how many of the last ones of every number are hidden"
            ),
        ),
    ]
}

fn journal_time() -> String {
    format!(
        "time, \"{}\" to \"{}\" in s, m, h or d",
        seconds_text(SECONDS_MIN),
        seconds_text(SECONDS_MAX)
    )
}

fn domain() -> Vec<Key> {
    vec![
        key(
            "name",
            REQUIRED,
            format!(
                "1 to {NAME_BYTES_MAX} visible ASCII characters without blanks and quotes, once in the bundle; {DOMAINS_MAX} domains at most"
            ),
        ),
        key(
            "peers",
            REQUIRED,
            "addresses and CIDR blocks, at least one: who may ask",
        ),
        key(
            "proxies",
            "[]",
            "addresses and CIDR blocks: whose packets are the peer's below them in the Via",
        ),
        key(
            "names",
            "[]",
            "hosts of headers and of From that mean this domain",
        ),
        key(
            "mode",
            REQUIRED,
            "\"prevention\" or \"detection\" (decides and counts, approves all)",
        ),
        key(
            "trust_headers",
            REQUIRED,
            "true or false: whether P-tfps and its cousins are believed",
        ),
        key(
            "default_policy",
            REQUIRED,
            "name of a policy of policies.toml: that of subscribers that name none",
        ),
        key(
            "default_subscriber",
            REQUIRED,
            "name under which callers that no row of subscribers.csv knows count together",
        ),
        key(
            "profile",
            "\"redirect\"",
            "\"redirect\", \"redirect-codes\", \"failover\", \"next-route\" or \"monitor\": how verdicts are worn",
        ),
        key(
            "calling_from",
            "[\"From\"]",
            "of \"From\", \"P-Asserted-Identity\", \"P-Preferred-Identity\", \"Remote-Party-ID\": where the calling number is, the first that is there",
        ),
        key(
            "bare_e164",
            "false",
            "true or false: whether 8 to 15 digits without a prefix are an international number",
        ),
        key(
            "emergency",
            NONE,
            "numbers that nothing rejects, never empty; `tollgate config` prints those that count unless said",
        ),
        key(
            "contact_host",
            "\"from\"",
            "\"from\", \"request-uri\", \"source\" or \"fixed:HOST\": host of the Contact",
        ),
        key(
            "force_rport",
            "false",
            "true or false: answers go to the port that a request came from, asked or not (RFC 3581)",
        ),
        key(
            "proxy_passes_503",
            NONE,
            "true or false, false unless said: needed for failover behind a proxy",
        ),
        key(
            "spoofing_filtered",
            "false",
            "true or false: whether your network drops forged packets, for limits that hold",
        ),
        key(
            "codes",
            NONE,
            "table, like { R03 = \"R33\" }: codes on the wire, a letter and two digits",
        ),
        key(
            "statuses",
            NONE,
            format!(
                "table, like {{ reject = 603, R03 = 608 }}, {} to {}: statuses of approve, reject, error and of single codes",
                STATUSES.start(),
                STATUSES.end()
            ),
        ),
        key("email", NONE, "text; has no effect in this version"),
    ]
}

fn translate() -> Vec<Key> {
    vec![
        key(
            "match",
            REQUIRED,
            "what a dialled number begins with; the first translation that fits is used",
        ),
        key(
            "strip",
            "0",
            format!("characters, 0 to {CONTACT_USER_BYTES_MAX}: taken off the front"),
        ),
        key("prepend", "\"\"", "digits: put in front then"),
        key(
            "min_digits",
            NONE,
            format!(
                "characters, 0 to {CONTACT_USER_BYTES_MAX}, those of match unless said: fewer do not fit"
            ),
        ),
        key(
            "max_digits",
            "79",
            format!("characters, 0 to {CONTACT_USER_BYTES_MAX}: more do not fit"),
        ),
    ]
}

fn policy() -> Vec<Key> {
    vec![
        key(
            "name",
            REQUIRED,
            format!(
                "1 to {NAME_BYTES_MAX} visible ASCII characters without blanks and quotes, once in the bundle"
            ),
        ),
        key(
            "time_zone",
            "\"UTC\"",
            "name of the tz database, like \"America/New_York\"",
        ),
        key(
            "working_hours",
            NONE,
            "like [\"mon-fri 09:00-17:00\", \"dec sat 10:00-14:00\"], with time_zone; without it all hours are off hours",
        ),
        key(
            "holidays",
            "[]",
            "dates, like \"2026-12-25\", or \"01-01\" for every year: days without working hours",
        ),
        key(
            "assumed_minutes",
            "3",
            format!("minutes, 1 to {ASSUMED_MINUTES_MAX}: what exposure takes a call to last"),
        ),
    ]
}

fn destination() -> Vec<Key> {
    vec![
        key(
            "allow",
            "[]",
            "countries (\"GB\"), \"continent:EU\", \"type:mobile\", \"risk:low\", \"satellite\", \"global\": all others are rejected; none: all are allowed",
        ),
        key(
            "deny",
            "[]",
            "the same: these are rejected, whatever allow says",
        ),
    ]
}

fn unknown() -> Vec<Key> {
    vec![
        key(
            "prefix",
            "\"reject\"",
            "\"approve\", \"report\" or \"reject\": no known prefix, or no international number (R07)",
        ),
        key(
            "identity",
            "\"report\"",
            "\"approve\", \"report\" or \"reject\": screening headers that contradict themselves (R14)",
        ),
        key(
            "counters",
            "\"reject\"",
            "\"approve\", \"report\" or \"reject\": no room to count this subscriber's calls by (R15)",
        ),
    ]
}

fn limit() -> Vec<Key> {
    vec![
        key(
            "name",
            REQUIRED,
            format!(
                "name, once in the policy: what holds and counts are known by; {LIMITS_PER_POLICY_MAX} limits at most"
            ),
        ),
        key(
            "code",
            REQUIRED,
            "\"R08\" to \"R11\", \"R13\", \"X01\" to \"X16\"; what the first five mean says per, to, count, during and (not R13) window, too",
        ),
        key(
            "per",
            NONE,
            "of \"domain\", \"subscriber\", \"caller\", \"address\": whom it counts apart",
        ),
        key(
            "to",
            NONE,
            "\"number\", \"prefix\", \"country\" or \"any\": which destinations it counts apart",
        ),
        key(
            "count",
            NONE,
            "\"attempts\", \"approved\", \"exposure\" (rates.csv times assumed_minutes) or \"reported-calls\" (as the PBX says)",
        ),
        key(
            "window",
            NONE,
            format!(
                "time, \"1s\" to \"{}\", \"day\", or \"period\" (one stretch of working or off hours); none for reported-calls",
                seconds_text(WINDOW_SECONDS_MAX)
            ),
        ),
        key(
            "warn",
            NONE,
            format!("1 to {COUNTED_MAX}, at most max: warned of once per key and window"),
        ),
        key(
            "max",
            REQUIRED,
            format!(
                "0 to {COUNTED_MAX} calls, or an amount like 0.5 for exposure: what is above it fires"
            ),
        ),
        key(
            "hold",
            NONE,
            format!(
                "time, \"1s\" to \"{}\": how long the key is held then",
                seconds_text(HOLD_SECONDS_MAX)
            ),
        ),
        key(
            "during",
            NONE,
            "\"always\" (unless the code says otherwise), \"working-hours\" or \"off-hours\"",
        ),
        key(
            "action",
            "\"reject\"",
            "\"report\", \"divert\" or \"reject\"",
        ),
    ]
}

/// The reference as TOML: defaults are values, keys without one are comments.
#[must_use]
pub fn text() -> String {
    let mut text = String::new();
    let mut last = "";
    for (file, table, keys) in tables() {
        if file != last {
            // Writing to a String cannot fail.
            let _written = writeln!(text, "# ---- {file}");
            last = file;
        }
        let _written = writeln!(text, "\n{table}");
        for (name, default, about) in keys {
            let _written = match default {
                REQUIRED => writeln!(text, "# {name}: required; {about}"),
                NONE => writeln!(text, "# {name}: {about}"),
                value => writeln!(text, "{name} = {value} # {about}"),
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::destinations::World;
    use super::super::document::{Text, asked};
    use super::super::domains::Names;
    use super::super::fault::Findings;
    use super::super::source::Source;
    use super::super::{domains, node, policies};
    use super::*;
    use std::collections::BTreeSet;

    /// Documents with every table that there is, so that every reader asks for its keys.
    const NODE: &str = "[node]\n[[listen]]\n[bundle]\n[admin]\n[journal]\n";
    const DOMAINS: &str = "[[domain]]\n[[domain.translate]]\n";
    const POLICIES: &str =
        "[[policy]]\ndestination = {}\nunknown = {}\ndivert = {}\n[[policy.limit]]\n";

    #[test]
    fn every_key_that_is_read_is_in_the_reference_and_no_other() {
        let _before = asked();
        let mut findings = Findings::default();
        Text::new("n", NODE).parse(&mut findings, |root, findings| {
            node::root_table(&Source::Sample, root, findings);
        });
        let names = Names::default();
        domains::read("d", DOMAINS, &names, &mut findings);
        policies::read("p", POLICIES, World::embedded(), false, &mut findings);
        let asked = asked();
        let is_table = |name: &String| {
            let below = format!("{name}.");
            asked.iter().any(|other| other.starts_with(&below))
        };
        let read: BTreeSet<&String> = asked.iter().filter(|name| !is_table(name)).collect();
        let told: Vec<String> = tables()
            .into_iter()
            .flat_map(|(_, table, keys)| {
                let table = table.trim_matches(['[', ']']);
                keys.into_iter()
                    .map(move |(name, ..)| format!("{table}.{name}"))
            })
            .collect();
        let told: BTreeSet<&String> = told.iter().collect();
        assert_eq!(told, read);
    }
}
