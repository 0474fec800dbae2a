//! `/v1/rules`: every rule, limit and list in force, and how many calls each decided.
//!
//! Promises: costs the shards nothing that they do not count already. Rules are counted by every shard per domain and
//! code, since the start; limits by the journal's thread, by policy and name, as long as bundles have them; rows of lists
//! likewise, since their bundle is in force. Neither is counted without `[journal]`. Of each code it is said whether it can
//! decide a call at all by the bundle in force, and what would make it.
//! What is named has a bound; sums are over all.

use super::view::View;
use crate::limits::RULES_SHOWN_MAX;
use crate::metrics::LimitCalls;
use crate::policy::rows::LimitAction;
use crate::policy::{Code, Reach, ShownLimit, Snapshot};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// The body.
pub(super) fn shown(view: &View) -> Value {
    let snapshot = view.policy.current();
    let lists = if view.has_journal {
        let hits = view.journal.list_hits.of(snapshot.generation());
        lists(&snapshot, Some(&hits))
    } else {
        lists(&snapshot, None)
    };
    let all: Vec<ShownLimit<'_>> = snapshot.limits().collect();
    let counts = view.has_journal.then(|| {
        let names = all.iter().map(|limit| (limit.policy, limit.name));
        view.journal.limit_hits.of(names)
    });
    json!({
        "generation": snapshot.generation(),
        "rules": rules(view, &snapshot),
        "limits": limits(&all, counts.as_deref()),
        "limits_more": all.len().saturating_sub(RULES_SHOWN_MAX),
        "limits_counted": view.has_journal,
        "lists": lists,
        "lists_counted": view.has_journal,
    })
}

/// Calls of each code, in sum and by domain.
fn rules(view: &View, snapshot: &Snapshot) -> Vec<Value> {
    // (calls, calls that would have been) by code and domain.
    let mut by_code: Vec<BTreeMap<usize, (u64, u64)>> = vec![BTreeMap::new(); Code::ALL.len()];
    for (domain, _name) in snapshot.domain_slots().entries() {
        for shard in &view.shards {
            let calls = shard.metrics.verdicts(domain);
            let would = shard.metrics.would_reject(domain);
            for (of_code, counts) in by_code.iter_mut().zip(calls.into_iter().zip(would)) {
                if counts != (0, 0) {
                    let sum = of_code.entry(domain).or_default();
                    sum.0 += counts.0;
                    sum.1 += counts.1;
                }
            }
        }
    }
    let names: HashMap<usize, &str> = snapshot.domain_slots().entries().collect();
    let rules = Code::ALL.iter().zip(by_code).map(|(code, domains)| {
        let mut most: Vec<(usize, (u64, u64))> = domains.into_iter().collect();
        let calls: u64 = most.iter().map(|(_, counts)| counts.0).sum();
        let would: u64 = most.iter().map(|(_, counts)| counts.1).sum();
        most.sort_by_key(|(domain, counts)| (Reverse(counts.0 + counts.1), *domain));
        most.truncate(RULES_SHOWN_MAX);
        let domains: Vec<Value> = most
            .into_iter()
            .map(|(domain, (calls, would))| {
                let name = names.get(&domain).copied().unwrap_or_default();
                json!({ "domain": name, "calls": calls, "would": would })
            })
            .collect();
        let reach = match snapshot.reach(*code) {
            Reach::Nothing => "nothing",
            Reach::Reports => "reports",
            Reach::Decides => "decides",
        };
        json!({
            "code": code.text(),
            "calls": calls,
            "would": would,
            "domains": domains,
            "reach": reach,
            "decides_by": decides_by(*code),
        })
    });
    rules.collect()
}

/// What of a bundle makes a code decide calls.
const fn decides_by(code: Code) -> &'static str {
    match code {
        Code::A00 => "a [[domain]]",
        Code::R01 => "a row of lists/*.csv with kind agent and verdict deny",
        Code::R02 => "a row of lists/*.csv with kind address and verdict deny",
        Code::R03 => "a row of lists/*.csv with kind number and verdict deny",
        Code::R06 => "allow or deny of [policy.destination]",
        Code::R07 => "prefix = \"reject\" of [policy.unknown]",
        Code::R12 => "a row of lists/*.csv with kind address, verdict deny and code R12",
        Code::R14 => {
            "identity = \"reject\" of [policy.unknown], with trust_headers = true of the domain"
        }
        Code::R15 => {
            "counters = \"reject\" of [policy.unknown], with a [[policy.limit]] that counts calls itself"
        }
        Code::R08
        | Code::R09
        | Code::R10
        | Code::R11
        | Code::R13
        | Code::X01
        | Code::X02
        | Code::X03
        | Code::X04
        | Code::X05
        | Code::X06
        | Code::X07
        | Code::X08
        | Code::X09
        | Code::X10
        | Code::X11
        | Code::X12
        | Code::X13
        | Code::X14
        | Code::X15
        | Code::X16 => "a [[policy.limit]] of that code that rejects or diverts",
    }
}

/// The limits, those with the most calls first, else in file order.
fn limits(all: &[ShownLimit<'_>], counts: Option<&[LimitCalls]>) -> Vec<Value> {
    let mut most: Vec<(&ShownLimit<'_>, Option<LimitCalls>)> = (0..)
        .zip(all)
        .map(|(place, limit): (usize, _)| (limit, counts.and_then(|all| all.get(place).copied())))
        .collect();
    // Stable.
    most.sort_by_key(|(_, counts)| Reverse(counts.map_or(0, |counts| counts.calls)));
    most.truncate(RULES_SHOWN_MAX);
    let shown = most.into_iter().map(|(limit, counts)| {
        let action = match limit.action {
            LimitAction::Report => "report",
            LimitAction::Divert => "divert",
            LimitAction::Reject => "reject",
        };
        json!({
            "policy": limit.policy,
            "limit": limit.name,
            "code": limit.code.text(),
            "action": action,
            "calls": counts.map(|counts| counts.calls),
            "held": counts.map(|counts| counts.held),
            "warned": counts.map(|counts| counts.warned),
        })
    });
    shown.collect()
}

/// Every list file with its rows, and those of its rows that decided most.
fn lists(snapshot: &Snapshot, hits: Option<&HashMap<u32, u64>>) -> Vec<Value> {
    let mut most: Vec<(u32, u64)> = hits
        .into_iter()
        .flatten()
        .map(|(row, calls)| (*row, *calls))
        .collect();
    most.sort_by_key(|(row, calls)| (Reverse(*calls), *row));
    let mut sums: HashMap<&str, (u64, Vec<Value>)> = HashMap::new();
    for (place, (row, calls)) in most.into_iter().enumerate() {
        let Some((file, line)) = snapshot.list_place(row) else {
            continue;
        };
        let (sum, rows) = sums.entry(file).or_default();
        *sum += calls;
        if place < RULES_SHOWN_MAX {
            rows.push(json!({ "line": line, "calls": calls }));
        }
    }
    let files = snapshot.list_files().into_iter();
    let shown = files.map(|(file, rows)| {
        let (calls, deciding) = sums.remove(file).unwrap_or_default();
        json!({
            "file": file,
            "rows": rows,
            "calls": hits.map(|_counted| calls),
            "deciding": deciding,
        })
    });
    shown.collect()
}
