//! `[[policy.limit]]`: how much of what whom may do before it is fraud.
//!
//! Promises: every key is checked, those that restrain each other together; what a code's name already says (`R08` to
//! `R11`, `R13`) need not be said again.
//! Leaves to `policy::limits`: evaluating them.

use super::document::{Table, Value};
use super::fault::{Findings, did_you_mean, one_of};
use super::parse;
use super::shares;
use crate::limits::{COUNTED_MAX, HOLD_SECONDS_MAX, LIMITS_PER_POLICY_MAX, WINDOW_SECONDS_MAX};
use crate::policy::Code;
use crate::policy::rows::{
    Count, DivertRow, During, LimitAction, LimitRow, PolicyRow, Whereto, Who, Window,
};

/// The words for what is counted to.
pub(super) const WHERETO: [(&str, Whereto); 4] = [
    ("number", Whereto::Number),
    ("prefix", Whereto::Prefix),
    ("country", Whereto::Country),
    ("any", Whereto::Any),
];

/// The words for what is counted.
pub(super) const COUNTS: [(&str, Count); 4] = [
    ("attempts", Count::Attempts),
    ("approved", Count::Approved),
    ("exposure", Count::Exposure),
    ("reported-calls", Count::ReportedCalls),
];

/// The words for when.
pub(super) const DURING: [(&str, During); 3] = [
    ("always", During::Always),
    ("working-hours", During::WorkingHours),
    ("off-hours", During::OffHours),
];

/// The words for what a limit does.
pub(super) const LIMIT_ACTIONS: [(&str, LimitAction); 3] = [
    ("report", LimitAction::Report),
    ("divert", LimitAction::Divert),
    ("reject", LimitAction::Reject),
];

/// The words for whom.
const WHO: [&str; 4] = ["domain", "subscriber", "caller", "address"];

/// What a limit is when only its code is known (SEMANTICS, Limits).
struct Usual {
    who: Who,
    to: Whereto,
    count: Count,
    window: Option<Window>,
    during: During,
}

/// What a code's own limits are by default; `None`: the limit must say it all.
fn usual(code: Code) -> Option<Usual> {
    let of_subscriber = |count, window, during| Usual {
        who: Who {
            subscriber: true,
            ..Who::default()
        },
        to: Whereto::Any,
        count,
        window,
        during,
    };
    // Midnight lies inside an attack, so quotas count over a whole stretch of working or off hours.
    let period = Some(Window::Period);
    match code {
        Code::R08 => Some(of_subscriber(Count::ReportedCalls, None, During::OffHours)),
        Code::R09 => Some(of_subscriber(Count::Approved, period, During::OffHours)),
        Code::R10 => Some(of_subscriber(
            Count::ReportedCalls,
            None,
            During::WorkingHours,
        )),
        Code::R11 => Some(of_subscriber(Count::Approved, period, During::WorkingHours)),
        Code::R13 => Some(Usual {
            who: Who {
                subscriber: true,
                caller: true,
                address: false,
            },
            to: Whereto::Number,
            count: Count::Attempts,
            window: None,
            during: During::Always,
        }),
        _ => None,
    }
}

/// Whether a limit may have this code.
fn is_limit_code(code: Code) -> bool {
    code.is_own() || usual(code).is_some()
}

/// Reads the limits of a policy, whose other rows are read already. `has_rates`: the bundle says what minutes cost.
pub(super) fn read(
    table: &mut Table<'_>,
    policy: &PolicyRow,
    has_rates: bool,
    findings: &mut Findings,
) -> Vec<LimitRow> {
    let Some(value) = table.take("limit") else {
        return Vec::new();
    };
    let mut rows: Vec<LimitRow> = Vec::new();
    for table in value.tables(findings) {
        let place = table.place();
        let file = table.file();
        let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let Some(row) = limit(table, &known, findings) else {
            continue;
        };
        let by_hours = row.during != During::Always || row.window == Some(Window::Period);
        if by_hours && policy.schedule.hours.is_empty() {
            findings.faults.at(
                file,
                place,
                format!(
                    "limit \"{}\" goes by working hours, but policy.working_hours are not said",
                    row.name
                ),
            );
        }
        if row.action == LimitAction::Divert && policy.divert.is_none() {
            findings.faults.at(
                file,
                place,
                format!(
                    "limit \"{}\" diverts, but policy.divert does not say where to",
                    row.name
                ),
            );
        }
        if row.count == Count::Exposure && !has_rates {
            findings.faults.at(
                file,
                place,
                format!("limit \"{}\" counts exposure, but the bundle has no rates.csv that says what minutes cost", row.name),
            );
        }
        shares::warn_of(&row, policy.unknown_counters, file, place, findings);
        rows.push(row);
    }
    if rows.len() > LIMITS_PER_POLICY_MAX {
        value.fault(
            findings,
            format!(
                "{} limits in one policy; {LIMITS_PER_POLICY_MAX} at most",
                rows.len()
            ),
        );
    }
    rows
}

/// One limit; `None` when what it is cannot be told.
fn limit(mut table: Table<'_>, known: &[&str], findings: &mut Findings) -> Option<LimitRow> {
    let name = table.require("name", findings);
    let name = name.as_ref().and_then(|value| {
        let name = value.string(findings)?;
        if let Err(sentence) = parse::name(name) {
            value.fault_named(findings, sentence);
        } else if known.contains(&name) {
            value.fault(findings, format!("limit \"{name}\" stands twice"));
        }
        Some(name)
    });
    let code = table.require("code", findings);
    let code = code.and_then(|value| limit_code(&value, findings));
    let usual = code.and_then(usual);

    let who = match table.take("per") {
        Some(value) => who(&value, findings),
        None => needed(
            &table,
            "per",
            code,
            usual.as_ref().map(|usual| usual.who),
            findings,
        ),
    };
    let to = match table.take("to") {
        Some(value) => value.word(&WHERETO, findings),
        None => needed(
            &table,
            "to",
            code,
            usual.as_ref().map(|usual| usual.to),
            findings,
        ),
    };
    let count = match table.take("count") {
        Some(value) => value.word(&COUNTS, findings),
        None => needed(
            &table,
            "count",
            code,
            usual.as_ref().map(|usual| usual.count),
            findings,
        ),
    };
    let during = match table.take("during") {
        Some(value) => value.word(&DURING, findings),
        None => Some(usual.as_ref().map_or(During::Always, |usual| usual.during)),
    };
    let action = match table.take("action") {
        Some(value) => value.word(&LIMIT_ACTIONS, findings),
        None => Some(LimitAction::Reject),
    };
    let usual_window = usual.as_ref().and_then(|usual| usual.window);
    let window = window(&mut table, count, usual_window, findings);
    let (warn, max) = bounds(&mut table, count, findings);
    let hold_s = table.take("hold").and_then(|value| {
        let text = value.string(findings)?;
        let seconds = parse::seconds(text)
            .filter(|seconds| (1..=HOLD_SECONDS_MAX).contains(seconds))
            .and_then(|seconds| u32::try_from(seconds).ok());
        if seconds.is_none() {
            value.fault_named(
                findings,
                format!("\"{text}\" is no time from 1s to 7d, like \"1h\""),
            );
        }
        seconds
    });
    table.finish(findings);
    Some(LimitRow {
        name: name?.to_owned(),
        who: who?,
        to: to?,
        count: count?,
        window: window?,
        warn,
        max: max?,
        hold_s,
        during: during?,
        action: action?,
        code: code?,
    })
}

/// What a code's own limits have, or a fault that the key is missing. Without a code there is a fault already.
fn needed<T>(
    table: &Table<'_>,
    key: &str,
    code: Option<Code>,
    usual: Option<T>,
    findings: &mut Findings,
) -> Option<T> {
    if usual.is_none() && code.is_some() {
        table.fault(findings, format!("policy.limit.{key} is missing"));
    }
    usual
}

fn limit_code(value: &Value<'_>, findings: &mut Findings) -> Option<Code> {
    let text = value.string(findings)?;
    let code = Code::from_text(text).filter(|code| is_limit_code(*code));
    if code.is_none() {
        value.fault_named(
            findings,
            format!(
                "\"{text}\" is no limit's code; \"R08\" to \"R11\", \"R13\", or an own one, \"X01\" to \"X16\" (domain.codes says how it looks on the wire)"
            ),
        );
    }
    code
}

fn who(value: &Value<'_>, findings: &mut Findings) -> Option<Who> {
    let words = value.strings(findings);
    if words.is_empty() {
        if value.is_array() {
            value.fault_named(
                findings,
                format!(
                    "is empty; the whole domain is [\"domain\"]; others are {}",
                    one_of(&WHO)
                ),
            );
        }
        return None;
    }
    let mut who = Who::default();
    let mut seen = Vec::new();
    let mut known = true;
    for (word, element) in words {
        if seen.contains(&word) {
            element.fault_named(findings, format!("\"{word}\" stands twice"));
        }
        seen.push(word);
        match word {
            "domain" => {}
            "subscriber" => who.subscriber = true,
            "caller" => who.caller = true,
            "address" => who.address = true,
            _ => {
                known = false;
                let hint = did_you_mean(word, WHO).map_or_else(
                    || one_of(&WHO),
                    |meant| format!("did you mean \"{meant}\"?"),
                );
                element.fault_named(
                    findings,
                    format!("\"{word}\" is nobody to count by; {hint}"),
                );
            }
        }
    }
    known.then_some(who)
}

/// The window, `Some(None)` where the count has none.
fn window(
    table: &mut Table<'_>,
    count: Option<Count>,
    usual: Option<Window>,
    findings: &mut Findings,
) -> Option<Option<Window>> {
    let Some(value) = table.take("window") else {
        return match (count?, usual) {
            (Count::ReportedCalls, _) => Some(None),
            (_, Some(usual)) => Some(Some(usual)),
            (_, None) => {
                table.fault(findings, "policy.limit.window is missing");
                None
            }
        };
    };
    let text = value.string(findings)?;
    let window = match text {
        "day" => Some(Window::Day),
        "period" => Some(Window::Period),
        _ => parse::seconds(text)
            .filter(|seconds| (1..=WINDOW_SECONDS_MAX).contains(seconds))
            .and_then(|seconds| u32::try_from(seconds).ok())
            .map(Window::Seconds),
    };
    if window.is_none() {
        value.fault_named(
            findings,
            format!(
                "\"{text}\" is no window; a time from 1s to 24h, like \"15m\", or \"day\", or \"period\" (one stretch of working or off hours)"
            ),
        );
        return None;
    }
    if count? == Count::ReportedCalls {
        value.fault_named(
            findings,
            "reported-calls are as many as the PBX says there are now; take the window out",
        );
        return None;
    }
    Some(window)
}

/// `warn` and `max`.
fn bounds(
    table: &mut Table<'_>,
    count: Option<Count>,
    findings: &mut Findings,
) -> (Option<u64>, Option<u64>) {
    let exposure = count == Some(Count::Exposure);
    let read = |value: &Value<'_>, least: u64, findings: &mut Findings| {
        if exposure {
            return value.micros(COUNTED_MAX, findings);
        }
        value.integer(least..=COUNTED_MAX, findings)
    };
    let warn = table.take("warn");
    let warn_value = warn.as_ref().and_then(|value| read(value, 1, findings));
    let max = table
        .require("max", findings)
        .and_then(|value| read(&value, 0, findings));
    if let (Some(value), Some(warn), Some(max)) = (&warn, warn_value, max)
        && warn > max
    {
        value.fault_named(
            findings,
            "is above max; a warning comes before the limit fires",
        );
    }
    if let Some(value) = &warn
        && count == Some(Count::ReportedCalls)
    {
        value.fault_named(
            findings,
            "reported-calls have no window that a warning would be given once in; take it out",
        );
    }
    (warn_value, max)
}

/// `divert = { target = "sip:D00{number}@{host}" }`.
pub(super) fn divert(table: &mut Table<'_>, findings: &mut Findings) -> Option<DivertRow> {
    let value = table.take("divert")?;
    let mut divert = value.table(findings)?;
    let target = divert.require("target", findings);
    let row = target.and_then(|value| {
        let text = value.string(findings)?;
        match divert_target(text) {
            Ok(row) => Some(row),
            Err(sentence) => {
                value.fault_named(findings, sentence);
                None
            }
        }
    });
    divert.finish(findings);
    row
}

fn divert_target(text: &str) -> Result<DivertRow, String> {
    let no_target = || {
        format!(
            "\"{text}\" is no target; sip:, a letter and two digits, {{number}}@, and {{host}} or a host, like \"sip:D00{{number}}@{{host}}\""
        )
    };
    let (prefix, host) = text
        .strip_prefix("sip:")
        .and_then(|rest| rest.split_once("{number}@"))
        .ok_or_else(no_target)?;
    let &[letter @ b'A'..=b'Z', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = prefix.as_bytes() else {
        return Err(no_target());
    };
    let prefix = [letter, tens, ones];
    if prefix == *b"A00" {
        return Err(format!("\"{text}\": A00 means approved"));
    }
    if host == "{host}" {
        return Ok(DivertRow { prefix, host: None });
    }
    parse::host_and_port(host).map_err(|sentence| format!("\"{text}\": {sentence}"))?;
    Ok(DivertRow {
        prefix,
        host: Some(host.to_owned()),
    })
}

/// The divert target as `policies.toml` has it.
pub(super) fn divert_text(row: &DivertRow) -> String {
    format!(
        "sip:{}{{number}}@{}",
        String::from_utf8_lossy(&row.prefix),
        row.host.as_deref().unwrap_or("{host}")
    )
}

/// `per` as `policies.toml` has it.
pub(super) fn who_words(who: Who) -> Vec<&'static str> {
    let Who {
        subscriber,
        caller,
        address,
    } = who;
    let named = [
        (subscriber, "subscriber"),
        (caller, "caller"),
        (address, "address"),
    ];
    let words: Vec<&str> = named
        .into_iter()
        .filter_map(|(is_named, word)| is_named.then_some(word))
        .collect();
    if words.is_empty() {
        vec!["domain"]
    } else {
        words
    }
}

#[cfg(test)]
mod tests {
    use super::super::destinations::World;
    use super::super::policies;
    use super::*;

    /// A policy that says `keys` and has one limit that says `limit`, and what is wrong with it.
    fn policy(keys: &str, limit: &str, has_rates: bool) -> (Vec<PolicyRow>, String) {
        let text = format!("[[policy]]\nname = \"std\"\n{keys}\n[[policy.limit]]\n{limit}\n");
        let mut findings = Findings::default();
        let rows = policies::read("p", &text, &World::default(), has_rates, &mut findings);
        findings.faults.sort();
        (rows.unwrap_or_default(), findings.faults.to_string())
    }

    const HOURS: &str = "time_zone = \"UTC\"\nworking_hours = [\"mon-fri 09:00-17:00\"]\ndivert = { target = \"sip:D00{number}@{host}\" }";

    fn row(limit: &str) -> LimitRow {
        let (mut rows, faults) = policy(HOURS, limit, true);
        assert_eq!(faults, "", "{limit}");
        rows.remove(0).limits.remove(0)
    }

    #[test]
    fn a_code_says_what_its_limit_need_not_say() {
        let subscriber = Who {
            subscriber: true,
            ..Who::default()
        };
        for (code, count, window, during) in [
            ("R08", Count::ReportedCalls, None, During::OffHours),
            (
                "R09",
                Count::Approved,
                Some(Window::Period),
                During::OffHours,
            ),
            ("R10", Count::ReportedCalls, None, During::WorkingHours),
            (
                "R11",
                Count::Approved,
                Some(Window::Period),
                During::WorkingHours,
            ),
        ] {
            let row = row(&format!("name = \"a\"\ncode = \"{code}\"\nmax = 3"));
            assert_eq!(
                (row.count, row.window, row.during),
                (count, window, during),
                "{code}"
            );
            assert_eq!(
                (row.who, row.to, row.action),
                (subscriber, Whereto::Any, LimitAction::Reject)
            );
            assert_eq!(
                (row.warn, row.max, row.hold_s, row.code.text()),
                (None, 3, None, code)
            );
        }
        let pair = row("name = \"a\"\ncode = \"R13\"\nmax = 5\nwindow = \"30s\"\nhold = \"1h\"");
        assert_eq!(
            pair.who,
            Who {
                caller: true,
                ..subscriber
            }
        );
        assert_eq!((pair.to, pair.count), (Whereto::Number, Count::Attempts));
        assert_eq!(
            (pair.window, pair.hold_s),
            (Some(Window::Seconds(30)), Some(3600))
        );
        // What is said wins.
        let other = row(
            "name = \"a\"\ncode = \"R09\"\nmax = 5\nwindow = \"day\"\nduring = \"always\"\nper = [\"domain\"]\nto = \"country\"\ncount = \"exposure\"\nwarn = 2.5\naction = \"divert\"",
        );
        assert_eq!(
            (other.who, other.to, other.count),
            (Who::default(), Whereto::Country, Count::Exposure)
        );
        assert_eq!(
            (other.window, other.during),
            (Some(Window::Day), During::Always)
        );
        assert_eq!(
            (other.warn, other.max, other.action),
            (Some(2_500_000), 5_000_000, LimitAction::Divert)
        );
    }

    #[test]
    fn every_fault_of_a_limit_is_named_at_once() {
        let (_, faults) = policy(
            "",
            "name = \"a b\"\nper = [\"subscriber\", \"calller\", \"subscriber\"]\nto = \"numbers\"\ncount = \"calls\"\nwindow = \"25h\"\nwarn = 0\nmax = -1\nhold = \"8d\"\nduring = \"night\"\naction = \"block\"\ncode = \"R03\"\nperiod = 1",
            false,
        );
        let want = [
            "p:5:8: policy.limit.name: name \"a b\" has the character ' '; visible ASCII without spaces and quotes",
            "p:6:22: policy.limit.per: \"calller\" is nobody to count by; did you mean \"caller\"?",
            "p:6:33: policy.limit.per: \"subscriber\" stands twice",
            "p:7:6: policy.limit.to is \"numbers\", but must be \"number\", \"prefix\", \"country\" or \"any\"",
            "p:8:9: policy.limit.count is \"calls\", but must be \"attempts\", \"approved\", \"exposure\" or \"reported-calls\"",
            "p:9:10: policy.limit.window: \"25h\" is no window; a time from 1s to 24h, like \"15m\", or \"day\", or \"period\" (one stretch of working or off hours)",
            "p:10:8: policy.limit.warn = 0, but must be 1 to 1000000000000",
            "p:11:7: policy.limit.max = -1, but must be 0 to 1000000000000",
            "p:12:8: policy.limit.hold: \"8d\" is no time from 1s to 7d, like \"1h\"",
            "p:13:10: policy.limit.during is \"night\", but must be \"always\", \"working-hours\" or \"off-hours\"",
            "p:14:10: policy.limit.action is \"block\", but must be \"report\", \"divert\" or \"reject\"",
            "p:15:8: policy.limit.code: \"R03\" is no limit's code; \"R08\" to \"R11\", \"R13\", or an own one, \"X01\" to \"X16\" (domain.codes says how it looks on the wire)",
            "p:16:1: policy.limit.period is not known; known here: name, code, per, to, count, during, action, window, warn, max, hold",
        ];
        assert_eq!(faults.lines().collect::<Vec<_>>(), want);
    }

    #[test]
    fn what_restrains_each_other_is_checked_together() {
        let check = |limit: &str, want: &[&str]| {
            let (_, faults) = policy("", limit, false);
            assert_eq!(faults.lines().collect::<Vec<_>>(), want, "{limit}");
        };
        check(
            "",
            &[
                "p:4:1: policy.limit.name is missing",
                "p:4:1: policy.limit.code is missing",
                "p:4:1: policy.limit.max is missing",
            ],
        );
        check(
            "name = \"a\"\ncode = \"X01\"\nmax = 1",
            &[
                "p:4:1: policy.limit.per is missing",
                "p:4:1: policy.limit.to is missing",
                "p:4:1: policy.limit.count is missing",
            ],
        );
        check(
            "name = \"a\"\ncode = \"R13\"\nmax = 1",
            &["p:4:1: policy.limit.window is missing"],
        );
        check(
            "name = \"a\"\ncode = \"R08\"\nmax = 1",
            &["p:4:1: limit \"a\" goes by working hours, but policy.working_hours are not said"],
        );
        let all = "name = \"a\"\ncode = \"X01\"\nper = [\"domain\"]\nto = \"any\"\n";
        check(
            &format!("{all}count = \"attempts\"\nwindow = \"period\"\nmax = 1\nwarn = 2"),
            &[
                "p:4:1: limit \"a\" goes by working hours, but policy.working_hours are not said",
                "p:12:8: policy.limit.warn: is above max; a warning comes before the limit fires",
            ],
        );
        check(
            &format!("{all}count = \"exposure\"\nwindow = \"1h\"\nmax = 1.5\naction = \"divert\""),
            &[
                "p:4:1: limit \"a\" diverts, but policy.divert does not say where to",
                "p:4:1: limit \"a\" counts exposure, but the bundle has no rates.csv that says what minutes cost",
            ],
        );
        check(
            &format!("{all}count = \"reported-calls\"\nwindow = \"1h\"\nmax = 1\nwarn = 1"),
            &[
                "p:10:10: policy.limit.window: reported-calls are as many as the PBX says there are now; take the window out",
                "p:12:8: policy.limit.warn: reported-calls have no window that a warning would be given once in; take it out",
            ],
        );
        check(
            &format!("{all}count = \"approved\"\nwindow = \"1h\"\nmax = 1.5"),
            &["p:11:7: policy.limit.max must be a whole number, not a number with a fraction"],
        );
        let twice = format!("{all}count = \"attempts\"\nwindow = \"1s\"\nmax = 1\n");
        check(
            &format!("{twice}[[policy.limit]]\n{twice}"),
            &["p:13:8: limit \"a\" stands twice"],
        );
        let many: String = (0..=LIMITS_PER_POLICY_MAX)
            .map(|at| {
                format!(
                    "[[policy.limit]]\n{}",
                    twice.replace("\"a\"", &format!("\"a{at}\""))
                )
            })
            .collect();
        let (_, faults) = policy("", many.trim_start_matches("[[policy.limit]]\n"), false);
        assert_eq!(faults, "p:4:1: 33 limits in one policy; 32 at most");
    }

    #[test]
    fn a_divert_target_is_a_prefix_the_number_and_a_host() {
        for (text, want) in [
            ("sip:D00{number}@{host}", Ok((*b"D00", None))),
            (
                "sip:Q77{number}@ivr.example:5070",
                Ok((*b"Q77", Some("ivr.example:5070"))),
            ),
            (
                "sip:D00{number}@[2001:db8::1]",
                Ok((*b"D00", Some("[2001:db8::1]"))),
            ),
            (
                "sip:D00{number}@[2001:db8::1]:5070",
                Ok((*b"D00", Some("[2001:db8::1]:5070"))),
            ),
            ("sip:A00{number}@{host}", Err("A00 means approved")),
            ("sip:D0{number}@{host}", Err("is no target")),
            ("sip:{number}@{host}", Err("is no target")),
            ("sip:D00@{host}", Err("is no target")),
            ("D00{number}@{host}", Err("is no target")),
            ("sip:D00{number}@a b", Err("has the character ' '")),
            ("sip:D00{number}@host:99999", Err("\"99999\" is no port")),
            ("sip:D00{number}@", Err("host is empty")),
        ] {
            let got = divert_target(text);
            match (got, want) {
                (Ok(row), Ok((prefix, host))) => {
                    assert_eq!((row.prefix, row.host.as_deref()), (prefix, host), "{text}");
                    assert_eq!(divert_text(&row), text);
                }
                (Err(sentence), Err(part)) => assert!(sentence.contains(part), "{sentence}"),
                (got, want) => panic!("{text}: {got:?}, not {want:?}"),
            }
        }
    }
}
