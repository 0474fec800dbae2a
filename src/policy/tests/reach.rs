//! Which codes a bundle can decide by: each key that turns one on, alone.

use super::*;
use crate::policy::rows::DestinationTerm;

/// The codes that only report, then those that decide, beside A00.
fn reached(rows: &Rows) -> (Vec<&'static str>, Vec<&'static str>) {
    let snapshot = build(rows);
    let of = |reach: Reach| {
        let codes = Code::ALL.into_iter().filter(|code| *code != Code::A00);
        let found = codes.filter(|code| snapshot.reach(*code) == reach);
        found.map(Code::text).collect()
    };
    (of(Reach::Reports), of(Reach::Decides))
}

/// A bundle that turns nothing on.
fn idle() -> Rows {
    let mut rows = rows();
    rows.policies[0].unknown_prefix = Action::Approve;
    rows.policies[0].unknown_identity = Action::Approve;
    rows.policies[0].unknown_counters = Action::Approve;
    rows
}

fn set_lists(rows: &mut Rows, scope: Scope) {
    rows.lists = vec![
        listed(
            scope,
            Pattern::AgentPart("scan".to_owned()),
            Some(Code::R01),
        ),
        listed(
            scope,
            Pattern::Address(block("203.0.113.0/24")),
            Some(Code::R12),
        ),
        listed(scope, Pattern::Number(number("44")), None),
    ];
}

#[test]
fn a_code_is_reached_by_what_turns_it_on_and_by_nothing_else() {
    type Case = (
        &'static str,
        fn(&mut Rows),
        &'static [&'static str],
        &'static [&'static str],
    );
    let cases: [Case; 16] = [
        ("nothing", |_| {}, &[], &[]),
        (
            "no domain",
            |rows| {
                set_lists(rows, Scope::System);
                rows.domains.clear();
            },
            &[],
            &[],
        ),
        (
            "lists of all",
            |rows| set_lists(rows, Scope::System),
            &[],
            &["R01", "R12"],
        ),
        (
            "lists of a domain",
            |rows| set_lists(rows, Scope::Domain(0)),
            &[],
            &["R01", "R12"],
        ),
        (
            "lists of a policy that nobody has",
            |rows| {
                rows.policies.push(policy("spare"));
                set_lists(rows, Scope::Policy(1));
            },
            &[],
            &[],
        ),
        (
            "the same, of a subscriber",
            |rows| {
                rows.policies.push(PolicyRow {
                    name: "spare".to_owned(),
                    ..rows.policies[0].clone()
                });
                rows.subscribers.push(SubscriberRow {
                    policy: Some(1),
                    ..subscriber(0, "a")
                });
                set_lists(rows, Scope::Policy(1));
            },
            &[],
            &["R01", "R12"],
        ),
        (
            "lists that have expired",
            |rows| {
                set_lists(rows, Scope::System);
                for row in &mut rows.lists {
                    row.expires_unix_s = Some(1_000);
                }
            },
            &[],
            &[],
        ),
        (
            "a denied destination",
            |rows| {
                rows.policies[0].destination_deny = vec![DestinationTerm::Country("CU".to_owned())];
            },
            &[],
            &["R06"],
        ),
        (
            "all destinations allowed by name",
            |rows| {
                rows.policies[0].destination_allow = vec![
                    DestinationTerm::Continent("EU".to_owned()),
                    DestinationTerm::Continent("NA".to_owned()),
                    DestinationTerm::Country("satellite".to_owned()),
                ];
            },
            &[],
            &[],
        ),
        (
            "unknown prefixes",
            |rows| rows.policies[0].unknown_prefix = Action::Reject,
            &[],
            &["R07"],
        ),
        (
            "unknown prefixes reported",
            |rows| rows.policies[0].unknown_prefix = Action::Report,
            &["R07"],
            &[],
        ),
        (
            "identity",
            |rows| rows.policies[0].unknown_identity = Action::Reject,
            &[],
            &["R14"],
        ),
        (
            "identity that is not looked at",
            |rows| {
                rows.policies[0].unknown_identity = Action::Reject;
                rows.domains[0].trust_headers = false;
            },
            &[],
            &[],
        ),
        (
            "limits",
            |rows| {
                rows.policies[0].unknown_counters = Action::Report;
                rows.policies[0].limits = vec![
                    limit(Code::R13),
                    LimitRow {
                        action: LimitAction::Report,
                        ..limit(Code::X03)
                    },
                    LimitRow {
                        action: LimitAction::Divert,
                        ..limit(Code::X16)
                    },
                ];
            },
            &["R15", "X03"],
            &["R13", "X16"],
        ),
        (
            "no room, and nothing that takes room",
            |rows| {
                rows.policies[0].unknown_counters = Action::Reject;
                rows.policies[0].limits = vec![LimitRow {
                    count: Count::ReportedCalls,
                    window: None,
                    ..limit(Code::R08)
                }];
            },
            &[],
            &["R08"],
        ),
        (
            "no room",
            |rows| {
                rows.policies[0].unknown_counters = Action::Reject;
                rows.policies[0].limits = vec![limit(Code::R09)];
            },
            &[],
            &["R09", "R15"],
        ),
    ];
    for (name, change, reports, decides) in cases {
        let mut rows = idle();
        change(&mut rows);
        assert_eq!(
            reached(&rows),
            (reports.to_vec(), decides.to_vec()),
            "{name}"
        );
    }
}
