//! A configuration that decides a mix as the mix expects: what `mix bundle` prints or writes.
//!
//! Promises: written from the mix alone, in Tollgate's documented files; other servers' operators read from it which subscribers, lists and
//! policy the mix takes for granted. It listens on loopback only.

use crate::clock::Nanos;
use crate::mix::Definition;
use crate::mix::model::{Count, Limit, Window};
use crate::mix::numbers::SCANNERS;
use crate::mix::part::Part;
use crate::mix::terms::Terms;
use crate::verdict::Profile;

const NODE: &str = "[node]\nname = \"{name}\"\nstate_dir = \"state\"\n\n[[listen]]\nudp = \"127.0.0.1:5060\"\n\n\
[bundle]\npath = \"bundle\"\n\n[admin]\nhttp = \"127.0.0.1:8060\"\n";

/// A node's name has 64 characters at most.
const NAME_CHARACTERS_MAX: usize = 64;

const DOMAIN: &str = "[[domain]]\nname = \"mix\"\npeers = [\"127.0.0.0/8\"]\nmode = \"prevention\"\ntrust_headers = true\n\
default_policy = \"mix\"\ndefault_subscriber = \"unknown\"\nprofile = \"{profile}\"\nbare_e164 = true\nspoofing_filtered = true\n\n\
[[domain.translate]]\nmatch = \"011\"\nstrip = 3\n\n[[domain.translate]]\nmatch = \"00\"\nstrip = 2\n";

const POLICY: &str = "[[policy]]\nname = \"mix\"\ndestination = { deny = [\"type:premium\", \"satellite\"] }\n\
unknown = { prefix = \"reject\", identity = \"report\" }\n";

/// The files, as path below the configuration's folder and text.
#[must_use]
pub fn files(mix: &Definition, profile: Profile) -> Vec<(&'static str, String)> {
    let name: String = mix
        .name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .take(NAME_CHARACTERS_MAX)
        .collect();
    let mut files = vec![
        ("tollgate.toml", NODE.replace("{name}", &name)),
        (
            "bundle/domains.toml",
            DOMAIN.replace("{profile}", profile.word()),
        ),
        (
            "bundle/policies.toml",
            POLICY.to_owned() + &calendar(&mix.terms) + &limits(&mix.limits),
        ),
        ("bundle/subscribers.csv", subscribers(&mix.parts)),
        ("bundle/lists/mix.csv", lists(mix)),
    ];
    let rows = |head: &str, rows: &mut dyn Iterator<Item = &String>| {
        rows.fold(head.to_owned(), |text, row| text + row + "\n")
    };
    if !mix.terms.destinations.is_empty() {
        let mut all = mix.terms.destinations.iter().map(|row| &row.row);
        let text = rows("prefix,country,type,risk\n", &mut all);
        files.push(("bundle/destinations.csv", text));
    }
    if !mix.terms.rates.is_empty() {
        let mut all = mix.terms.rates.iter().map(|row| &row.row);
        let text = rows("prefix,rate_per_minute\n", &mut all);
        files.push(("bundle/rates.csv", text));
    }
    files
}

/// What a policy says of hours and of how long calls are.
fn calendar(terms: &Terms) -> String {
    let mut text = String::new();
    if let Some(minutes) = terms.assumed_minutes {
        text += &format!("assumed_minutes = {minutes}\n");
    }
    if !terms.hours.is_empty() {
        let words: Vec<String> = terms
            .hours
            .words
            .iter()
            .map(|words| format!("\"{words}\""))
            .collect();
        text += &format!(
            "time_zone = \"UTC\"\nworking_hours = [{}]\n",
            words.join(", ")
        );
    }
    text
}

/// The limits as a policy has them: each rejects.
fn limits(limits: &[Limit]) -> String {
    let seconds = |nanos: Nanos| format!("\"{}s\"", nanos.div_ceil(1_000_000_000));
    let mut text = String::new();
    for limit in limits {
        let per: Vec<String> = limit
            .per
            .iter()
            .map(|who| format!("\"{}\"", who.word()))
            .collect();
        text += &format!(
            "\n[[policy.limit]]\nname = \"{}\"\nper = [{}]\nto = \"{}\"\ncount = \"{}\"\n",
            limit.name,
            per.join(", "),
            limit.to.word(),
            limit.count.word(),
        );
        match limit.window {
            Window::None => {}
            Window::Sliding(length) => text += &format!("window = {}\n", seconds(length)),
            Window::Day => text += "window = \"day\"\n",
            Window::Period => text += "window = \"period\"\n",
        }
        text += &match limit.count {
            Count::Exposure => format!(
                "max = {}.{:06}\n",
                limit.max / 1_000_000,
                limit.max % 1_000_000
            ),
            Count::Attempts | Count::Approved | Count::ReportedCalls => {
                format!("max = {}\n", limit.max)
            }
        };
        if limit.hold > 0 {
            text += &format!("hold = {}\n", seconds(limit.hold));
        }
        let code = String::from_utf8_lossy(limit.code.as_bytes());
        text += &format!(
            "during = \"{}\"\naction = \"reject\"\ncode = \"{code}\"\n",
            limit.during.word()
        );
    }
    text
}

/// A row for each subscriber of any part, with the users that the parts let call.
fn subscribers(parts: &[Part]) -> String {
    let mut spans: Vec<(u32, u32, (u64, u64))> = parts
        .iter()
        .filter_map(|part| {
            let (first, last) = part.subscribers?;
            Some((first, last, part.callers))
        })
        .collect();
    spans.sort_unstable();
    spans.dedup();
    let mut numbers: Vec<u32> = spans
        .iter()
        .flat_map(|(first, last, _)| *first..=*last)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut text = "domain,name,policy,users,peers,tech_prefix,email\n".to_owned();
    for number in numbers {
        let mut users: Vec<String> = spans
            .iter()
            .filter(|(first, last, _)| (*first..=*last).contains(&number))
            .flat_map(|(_, _, callers)| users(number, *callers))
            .collect();
        users.dedup();
        text += &format!("mix,sub{number},,{},,,\n", users.join(" "));
    }
    text
}

/// The users `number` + first to last caller: a range for each length that callers have.
fn users(number: u32, (first, last): (u64, u64)) -> Vec<String> {
    let mut ranges = Vec::new();
    let mut from = first;
    while from <= last {
        let digits = from.checked_ilog10().unwrap_or(0) + 1;
        let to = last.min(10_u64.pow(digits) - 1);
        ranges.push(if from == to {
            format!("{number}{from}")
        } else {
            format!("{number}{from}-{number}{to}")
        });
        from = to + 1;
    }
    ranges
}

/// The lists that the mix names, and the scanners, whom every mix may hold.
fn lists(mix: &Definition) -> String {
    let mut text = "scope,kind,match,verdict,code,reason,source,expires\n".to_owned();
    let scanners = SCANNERS
        .iter()
        .map(|agent| format!("agent,{agent},deny,R01"));
    let mut rows: Vec<String> = mix.lists.clone();
    rows.extend(scanners);
    rows.sort();
    rows.dedup();
    for row in rows {
        text += &format!("system,{row},mix {},tollgate-loadgen,\n", mix.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::shipped::find;

    #[test]
    fn every_caller_of_a_mix_belongs_to_its_subscriber() {
        assert_eq!(users(1001, (100, 119)), ["1001100-1001119"]);
        assert_eq!(users(7, (5, 12)), ["75-79", "710-712"]);
        assert_eq!(users(7, (0, 0)), ["70"]);
        let text = subscribers(&find("stolen-credentials").unwrap().parts);
        assert_eq!(text.lines().count(), 11, "{text}");
        assert!(
            text.contains("\nmix,sub1010,,1010100-1010101,,,\n"),
            "{text}"
        );
    }

    #[test]
    fn the_lists_are_those_that_the_mix_takes_for_granted() {
        let files = files(&find("stolen-credentials").unwrap(), Profile::RedirectCodes);
        let (_, lists) = files
            .iter()
            .find(|(path, _)| path.ends_with("mix.csv"))
            .unwrap();
        assert!(
            lists.contains("\nsystem,address,203.0.113.0/24,deny,R12,mix stolen-credentials,"),
            "{lists}"
        );
        let (_, domains) = &files[1];
        assert!(
            domains.contains("profile = \"redirect-codes\""),
            "{domains}"
        );
    }
}
