//! `policies.toml`: what a policy allows, denies and does with what it cannot classify.

use super::destinations::World;
use super::document::{Table, Text, Value};
use super::fault::{Findings, did_you_mean, one_of};
use super::{limits, parse, schedule};
use crate::limits::ASSUMED_MINUTES_MAX;
use crate::policy::rows::{Action, DestinationTerm, LimitAction, LimitRow, PolicyRow, Risk};

/// Reads the document; rows in file order.
pub(super) fn read(
    file: &str,
    text: &str,
    world: &World,
    has_rates: bool,
    findings: &mut Findings,
) -> Option<Vec<PolicyRow>> {
    let mut rows = None;
    Text::new(file, text).parse(findings, |mut root, findings| {
        let mut policies = Vec::new();
        if let Some(value) = root.require("policy", findings) {
            for table in value.tables(findings) {
                policy_table(table, world, has_rates, &mut policies, findings);
            }
        }
        root.finish(findings);
        rows = Some(policies);
    });
    rows
}

fn policy_table(
    mut table: Table<'_>,
    world: &World,
    has_rates: bool,
    policies: &mut Vec<PolicyRow>,
    findings: &mut Findings,
) {
    let mut row = PolicyRow::named("");
    if let Some(value) = table.require("name", findings)
        && let Some(name) = value.string(findings)
    {
        if let Err(sentence) = parse::name(name) {
            value.fault_named(findings, sentence);
        } else if policies.iter().any(|known| known.name == name) {
            value.fault(findings, format!("policy \"{name}\" stands twice"));
        }
        name.clone_into(&mut row.name);
    }
    if let Some(value) = table.take("destination")
        && let Some(mut destination) = value.table(findings)
    {
        if let Some(allow) = destination.take("allow") {
            row.destination_allow = terms(&allow, world, findings);
        }
        if let Some(deny) = destination.take("deny") {
            row.destination_deny = terms(&deny, world, findings);
        }
        destination.finish(findings);
    }
    if let Some(value) = table.take("unknown")
        && let Some(mut unknown) = value.table(findings)
    {
        for (key, action) in [
            ("prefix", &mut row.unknown_prefix),
            ("identity", &mut row.unknown_identity),
            ("counters", &mut row.unknown_counters),
        ] {
            if let Some(value) = unknown.take(key)
                && let Some(given) = value.word(&ACTIONS, findings)
            {
                *action = given;
            }
        }
        unknown.refuse("origin", findings);
        unknown.finish(findings);
    }
    row.schedule = schedule::read(&mut table, findings);
    row.divert = limits::divert(&mut table, findings);
    if let Some(value) = table.take("assumed_minutes")
        && let Some(minutes) = value.integer(1..=ASSUMED_MINUTES_MAX.into(), findings)
    {
        row.assumed_minutes = u32::try_from(minutes).unwrap_or(ASSUMED_MINUTES_MAX);
    }
    row.limits = limits::read(&mut table, &row, has_rates, findings);
    // Bears on verdicts, and this version does not have it.
    table.refuse("origin", findings);
    if row.destination_allow.is_empty() && row.destination_deny.is_empty() {
        findings.warn(table.file(), table.place(), without_destinations(&row));
    }
    table.finish(findings);
    policies.push(row);
}

/// What a policy comes to that names no destination: right where limits are all that is wanted, and a forgotten line elsewhere.
fn without_destinations(row: &PolicyRow) -> String {
    let stops = |limit: &LimitRow| limit.action != LimitAction::Report;
    let rejecting = [
        (row.unknown_prefix == Action::Reject, "unknown.prefix"),
        (row.unknown_identity == Action::Reject, "unknown.identity"),
        (row.limits.iter().any(stops), "its limits"),
    ];
    let rejecting: Vec<&str> = rejecting
        .into_iter()
        .filter_map(|(rejects, by)| rejects.then_some(by))
        .collect();
    let others = if rejecting.is_empty() {
        "it can reject nothing, only lists can".to_owned()
    } else {
        format!(
            "besides lists it can reject by {} only",
            rejecting.join(" and ")
        )
    };
    format!(
        "policy \"{}\" has neither destination.allow nor destination.deny, so premium-rate and satellite numbers are approved like others; {others}",
        row.name
    )
}

/// The words for what a policy does.
pub(super) const ACTIONS: [(&str, Action); 3] = [
    ("approve", Action::Approve),
    ("report", Action::Report),
    ("reject", Action::Reject),
];

/// The words for risk classes.
pub(super) const RISKS: [(&str, Risk); 3] = [
    (Risk::Low.text(), Risk::Low),
    (Risk::Medium.text(), Risk::Medium),
    (Risk::High.text(), Risk::High),
];

fn terms(value: &Value<'_>, world: &World, findings: &mut Findings) -> Vec<DestinationTerm> {
    let mut terms = Vec::new();
    for (text, element) in value.strings(findings) {
        match term(text, world) {
            Ok(term) if terms.contains(&term) => {
                element.fault_named(findings, format!("\"{text}\" stands twice"));
            }
            Ok(term) => terms.push(term),
            Err(sentence) => element.fault_named(findings, sentence),
        }
    }
    terms
}

/// One term: a country, a pseudo-country, `continent:EU`, `type:premium` or `risk:high`.
fn term(text: &str, world: &World) -> Result<DestinationTerm, String> {
    let Some((kind, value)) = text.split_once(':') else {
        return world
            .country(text)
            .map(|country| DestinationTerm::Country(country.to_owned()));
    };
    match kind {
        "continent" => {
            if world.continents().any(|known| known == value) {
                return Ok(DestinationTerm::Continent(value.to_owned()));
            }
            let known: Vec<&str> = world.continents().collect();
            Err(format!("\"{text}\" is no continent: {}", one_of(&known)))
        }
        "type" => world
            .number_type(value)
            .map(|number_type| DestinationTerm::Type(number_type.to_owned())),
        "risk" => RISKS
            .iter()
            .find(|(word, _)| *word == value)
            .map(|&(_, risk)| DestinationTerm::Risk(risk))
            .ok_or_else(|| {
                format!(
                    "\"{text}\" is no risk class: \"risk:low\", \"risk:medium\" or \"risk:high\""
                )
            }),
        _ => {
            let hint = did_you_mean(kind, ["continent", "type", "risk"])
                .map_or_else(String::new, |meant| format!("; did you mean {meant}:?"));
            Err(format!(
                "\"{text}\" is no destination: a country like \"CU\", \"satellite\", \"global\", or one that begins with continent:, type: or risk:{hint}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is warned of in a policy with these keys.
    fn check(keys: &str, want: &[&str]) {
        let text = format!("[[policy]]\nname = \"std\"\n{keys}");
        let mut findings = Findings::default();
        let _rows = read("p", &text, World::embedded(), false, &mut findings);
        assert_eq!(findings.faults.to_string(), "", "{keys}");
        let said: Vec<&str> = findings
            .warnings
            .iter()
            .filter_map(|said| Some(said.split_once("approved like others; ")?.1))
            .collect();
        assert_eq!(said, want, "{keys}: {:?}", findings.warnings);
    }

    #[test]
    fn a_policy_that_names_no_destination_is_pointed_out_with_what_it_can_reject() {
        check("destination = { deny = [\"satellite\"] }\n", &[]);
        check("destination = { allow = [\"continent:EU\"] }\n", &[]);
        let prefix = "besides lists it can reject by unknown.prefix only";
        check("", &[prefix]);
        check("destination = { deny = [] }\n", &[prefix]);
        check(
            "unknown = { prefix = \"report\", identity = \"report\" }\n",
            &["it can reject nothing, only lists can"],
        );
        let limit = |action: &str| {
            format!(
                "unknown = {{ prefix = \"approve\", identity = \"reject\" }}\n[[policy.limit]]\nname = \"a\"\nper = [\"subscriber\"]\nto = \"any\"\n\
                 count = \"attempts\"\nwindow = \"1m\"\nmax = 9\ncode = \"X01\"\naction = \"{action}\"\n"
            )
        };
        check(
            &limit("reject"),
            &["besides lists it can reject by unknown.identity and its limits only"],
        );
        check(
            &limit("report"),
            &["besides lists it can reject by unknown.identity only"],
        );
    }
}
