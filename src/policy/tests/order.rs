//! SEMANTICS, Order: which rule decides, lists, destinations, what cannot be classified, the two modes.

use super::*;
use crate::policy::CallError;
use crate::policy::rows::DestinationTerm;

const OK: &str = "+442071838750";

/// A name, list rows, and the code that they lead to.
type ListCase<'a> = (&'a str, &'a [(Scope, Pattern, Option<Code>)], &'a str);

/// Rows in which everything about a call is denied, each rule with its own code.
fn all_denied() -> Rows {
    let mut rows = rows();
    rows.policies[0].unknown_identity = Action::Reject;
    rows.policies[0].destination_deny = vec![DestinationTerm::Country("GB".to_owned())];
    rows.lists = vec![
        listed(
            Scope::System,
            Pattern::AgentPart("scan".to_owned()),
            Some(Code::R01),
        ),
        listed(
            Scope::System,
            Pattern::Address(block("203.0.113.0/24")),
            Some(Code::R02),
        ),
        listed(
            Scope::System,
            Pattern::NumberPrefix(number("44")),
            Some(Code::R03),
        ),
    ];
    rows
}

fn everything_wrong<'a>(snapshot: &Snapshot, user_part: &'a str) -> CallAttempt<'a> {
    CallAttempt {
        screening: Screening {
            suspect: true,
            agent: Some(b"friendly-Scanner"),
            address: Some(ip("203.0.113.9")),
            ..screening()
        },
        ..attempt(snapshot, user_part)
    }
}

#[test]
fn the_first_rejection_decides_and_each_rule_has_its_place() {
    let mut rows = all_denied();
    let snapshot = build(&rows);
    let mut call = everything_wrong(&snapshot, OK);
    let mut seen = Vec::new();
    seen.push(words(&decide(&snapshot, &call)));
    call.screening.suspect = false;
    seen.push(words(&decide(&snapshot, &call)));
    call.screening.agent = None;
    seen.push(words(&decide(&snapshot, &call)));
    call.screening.address = None;
    seen.push(words(&decide(&snapshot, &call)));
    rows.lists.pop();
    let snapshot = build(&rows);
    seen.push(words(&decide(&snapshot, &call)));
    call.user_part = b"+999";
    seen.push(words(&decide(&snapshot, &call)));
    call.user_part = b"+1202";
    seen.push(words(&decide(&snapshot, &call)));
    assert_eq!(seen, ["R14", "R01", "R02", "R03", "R06", "R07", "A00"]);
}

#[test]
fn emergency_numbers_pass_every_rule_and_loops_and_undialable_numbers_are_errors_before_them() {
    let snapshot = build(&all_denied());
    for (user_part, want) in [
        ("112", "A00"),
        ("9-1-1", "A00"),
        ("A00442071838750", "Loop"),
        ("R14+44", "Loop"),
        ("+44207%3b", "AddressIncomplete"),
        ("", "AddressIncomplete"),
        (OK, "R14"),
    ] {
        let decision = decide(&snapshot, &everything_wrong(&snapshot, user_part));
        assert_eq!(words(&decision), want, "{user_part}");
        assert_eq!(decision.domain, Some(0));
    }
    let mut only_number = all_denied();
    only_number.lists.push(listed(
        Scope::System,
        Pattern::NumberPrefix(number("112")),
        Some(Code::R03),
    ));
    assert_eq!(outcome(&build(&only_number), "112"), "A00");
}

#[test]
fn an_allowed_number_skips_r03_r06_and_r07_but_not_r01_r02_r12_and_r14() {
    let mut rows = all_denied();
    rows.lists.push(listed(
        Scope::System,
        Pattern::NumberPrefix(number("4420")),
        None,
    ));
    rows.lists.push(listed(
        Scope::System,
        Pattern::NumberPrefix(number("999")),
        None,
    ));
    let snapshot = build(&rows);
    assert_eq!(outcome(&snapshot, OK), "A00"); // R03 by 44 and R06 by country
    assert_eq!(outcome(&snapshot, "+999123"), "A00"); // R07
    assert_eq!(outcome(&snapshot, "+4430"), "R03");
    let mut call = everything_wrong(&snapshot, OK);
    assert_eq!(words(&decide(&snapshot, &call)), "R14");
    call.screening.suspect = false;
    assert_eq!(words(&decide(&snapshot, &call)), "R01");
    call.screening.agent = None;
    assert_eq!(words(&decide(&snapshot, &call)), "R02");
    rows.lists.push(listed(
        Scope::System,
        Pattern::Address(block("203.0.113.9")),
        Some(Code::R12),
    ));
    assert_eq!(words(&decide(&build(&rows), &call)), "R12");
}

#[test]
fn an_allowed_address_cancels_r02_and_r12_only_and_an_allowed_agent_r01_only() {
    let mut rows = all_denied();
    rows.lists.push(listed(
        Scope::System,
        Pattern::Address(block("203.0.113.9")),
        None,
    ));
    let snapshot = build(&rows);
    let mut call = everything_wrong(&snapshot, OK);
    call.screening.suspect = false;
    assert_eq!(words(&decide(&snapshot, &call)), "R01");
    call.screening.agent = None;
    assert_eq!(words(&decide(&snapshot, &call)), "R03");
    let mut rows = all_denied();
    rows.lists.push(listed(
        Scope::System,
        Pattern::AgentWhole("friendly-scanner".to_owned()),
        None,
    ));
    let snapshot = build(&rows);
    let mut call = everything_wrong(&snapshot, OK);
    call.screening.suspect = false;
    assert_eq!(words(&decide(&snapshot, &call)), "R02");
    call.screening.suspect = true;
    assert_eq!(words(&decide(&snapshot, &call)), "R14");
}

#[test]
fn the_longest_match_wins_then_the_narrower_scope_then_allowed() {
    let prefix = |digits: &str| Pattern::NumberPrefix(number(digits));
    let deny = Some(Code::R03);
    let cases: [ListCase<'_>; 9] = [
        (
            "longest, allowed",
            &[
                (Scope::Policy(0), prefix("44"), deny),
                (Scope::System, prefix("442"), None),
            ],
            "A00",
        ),
        (
            "longest, denied",
            &[
                (Scope::Policy(0), prefix("44"), None),
                (Scope::System, prefix("442"), deny),
            ],
            "R03",
        ),
        (
            "policy before domain",
            &[
                (Scope::Domain(0), prefix("44"), None),
                (Scope::Policy(0), prefix("44"), deny),
            ],
            "R03",
        ),
        (
            "domain before system",
            &[
                (Scope::System, prefix("44"), deny),
                (Scope::Domain(0), prefix("44"), None),
            ],
            "A00",
        ),
        (
            "system when alone",
            &[(Scope::System, prefix("44"), deny)],
            "R03",
        ),
        (
            "allowed at a tie",
            &[
                (Scope::System, prefix("44"), deny),
                (Scope::System, prefix("44"), None),
            ],
            "A00",
        ),
        (
            "a range matches as long as its common prefix",
            &[
                (
                    Scope::System,
                    Pattern::NumberRange(number("44200"), number("44299")),
                    deny,
                ),
                (Scope::System, prefix("4420"), None),
            ],
            "A00",
        ),
        (
            "an exact number is as long as itself",
            &[
                (Scope::System, Pattern::Number(number("442071838750")), deny),
                (Scope::Policy(0), prefix("44207183875"), None),
            ],
            "R03",
        ),
        (
            "an exact number and a prefix as long: allowed",
            &[
                (Scope::System, Pattern::Number(number("442071838750")), deny),
                (Scope::System, prefix("442071838750"), None),
            ],
            "A00",
        ),
    ];
    for (name, lists, want) in cases {
        let mut rows = rows();
        rows.lists = lists
            .iter()
            .map(|(scope, pattern, deny)| listed(*scope, pattern.clone(), *deny))
            .collect();
        assert_eq!(outcome(&build(&rows), OK), want, "{name}");
        rows.lists.reverse();
        assert_eq!(
            outcome(&build(&rows), OK),
            want,
            "{name}, in the other order"
        );
    }
}

#[test]
fn lists_of_other_domains_and_policies_are_not_asked() {
    let mut rows = rows();
    rows.domains.push(DomainRow {
        peers: vec![block("192.0.2.2")],
        default_policy: 1,
        ..domain("other")
    });
    rows.policies.push(policy("strict"));
    for (scope, digits) in [(Scope::Domain(1), "44"), (Scope::Policy(1), "1")] {
        rows.lists.push(listed(
            scope,
            Pattern::NumberPrefix(number(digits)),
            Some(Code::R03),
        ));
    }
    for (scope, agent) in [(Scope::Domain(1), "pbx"), (Scope::Policy(1), "aster")] {
        rows.lists.push(listed(
            scope,
            Pattern::AgentPart(agent.to_owned()),
            Some(Code::R01),
        ));
    }
    let snapshot = build(&rows);
    assert_eq!(outcome(&snapshot, OK), "A00");
    assert_eq!(outcome(&snapshot, "+1202"), "A00");
    let Source::Peer(other) = snapshot.source(ip("192.0.2.2")) else {
        panic!("192.0.2.2 is a peer");
    };
    let mut call = attempt_of(other, OK);
    assert_eq!(words(&decide(&snapshot, &call)), "R01");
    call.user_agent = None;
    assert_eq!(words(&decide(&snapshot, &call)), "R03");
    call.user_part = b"+1202";
    assert_eq!(words(&decide(&snapshot, &call)), "R03");
}

#[test]
fn the_policy_comes_whole_from_the_subscriber_else_the_domain() {
    let mut rows = rows();
    rows.policies.push(PolicyRow {
        destination_deny: vec![DestinationTerm::Country("GB".to_owned())],
        ..policy("strict")
    });
    rows.subscribers.push(SubscriberRow {
        policy: Some(1),
        users: vec!["1001".to_owned()],
        ..subscriber(0, "sales")
    });
    rows.lists.push(listed(
        Scope::Policy(0),
        Pattern::NumberPrefix(number("1")),
        Some(Code::R03),
    ));
    let snapshot = build(&rows);
    let mut call = attempt(&snapshot, OK);
    let decision = decide(&snapshot, &call);
    assert_eq!(
        (words(&decision).as_str(), decision.subscriber),
        ("R06", Some(0))
    );
    assert_eq!(snapshot.subscriber_name(0, decision.subscriber), "sales");
    call.user_part = b"+1202";
    assert_eq!(words(&decide(&snapshot, &call)), "A00");
    call.from_user = b"1002";
    assert_eq!(words(&decide(&snapshot, &call)), "R03");
    call.user_part = OK.as_bytes();
    let decision = decide(&snapshot, &call);
    assert_eq!(
        (words(&decision).as_str(), decision.subscriber),
        ("A00", None)
    );
    assert_eq!(snapshot.subscriber_name(0, decision.subscriber), "unknown");
}

#[test]
fn destinations_are_permitted_by_country_continent_type_and_risk_and_deny_wins() {
    let country = |name: &str| DestinationTerm::Country(name.to_owned());
    let cases: [(&[DestinationTerm], &[DestinationTerm], [&str; 5]); 8] = [
        // +44 20…, +44 70…, +53, +1, +881
        (&[], &[], ["A00", "A00", "A00", "A00", "A00"]),
        (&[country("GB")], &[], ["A00", "A00", "R06", "R06", "R06"]),
        (
            &[],
            &[country("CU"), country("satellite")],
            ["A00", "A00", "R06", "A00", "R06"],
        ),
        (
            &[],
            &[DestinationTerm::Risk(Risk::High)],
            ["A00", "R06", "R06", "A00", "R06"],
        ),
        (
            &[DestinationTerm::Continent("NA".to_owned())],
            &[],
            ["R06", "R06", "A00", "A00", "R06"],
        ),
        (
            &[],
            &[DestinationTerm::Type("personal".to_owned())],
            ["A00", "R06", "A00", "A00", "A00"],
        ),
        (
            &[DestinationTerm::Continent("EU".to_owned())],
            &[DestinationTerm::Type("personal".to_owned())],
            ["A00", "R06", "R06", "R06", "R06"],
        ),
        (&[country("GB")], &[country("GB")], ["R06"; 5]),
    ];
    for (allow, deny, want) in cases {
        let mut rows = rows();
        rows.policies[0].destination_allow = allow.to_vec();
        rows.policies[0].destination_deny = deny.to_vec();
        let snapshot = build(&rows);
        let seen = [
            "+442071838750",
            "+447012345678",
            "+5371234567",
            "+12025550100",
            "+8816123456",
        ]
        .map(|user_part| outcome(&snapshot, user_part));
        assert_eq!(seen, want, "allow {allow:?} deny {deny:?}");
    }
}

#[test]
fn what_cannot_be_classified_gets_the_policys_action() {
    for (action, want, reported) in [
        (Action::Approve, "A00", false),
        (Action::Report, "A00", true),
        (Action::Reject, "R07", false),
    ] {
        let mut rows = rows();
        rows.policies[0].unknown_prefix = action;
        let snapshot = build(&rows);
        for user_part in ["+999123456", "alice", "1234", "*98"] {
            let decision = decide(&snapshot, &attempt(&snapshot, user_part));
            assert_eq!(words(&decision), want, "{user_part} {action:?}");
            assert_eq!(
                decision.reports.contains(Code::R07),
                reported,
                "{user_part} {action:?}"
            );
            assert_eq!(decision.number.is_some(), user_part.starts_with('+'));
        }
    }
}

#[test]
fn headers_that_contradict_themselves_get_the_policys_action_where_they_are_trusted() {
    for (trust_headers, action, want, reported) in [
        (true, Action::Approve, "A00", false),
        (true, Action::Report, "A00", true),
        (true, Action::Reject, "R14", false),
        (false, Action::Reject, "A00", false),
    ] {
        let mut rows = rows();
        rows.domains[0].trust_headers = trust_headers;
        rows.policies[0].unknown_identity = action;
        let snapshot = build(&rows);
        let mut call = attempt(&snapshot, OK);
        call.screening = Screening {
            suspect: true,
            ..screening()
        };
        let decision = decide(&snapshot, &call);
        assert_eq!(words(&decision), want, "{trust_headers} {action:?}");
        assert_eq!(decision.reports.contains(Code::R14), reported);
    }
}

#[test]
fn a_report_is_recorded_and_evaluation_goes_on_to_a_rejection() {
    let mut rows = all_denied();
    rows.policies[0].unknown_identity = Action::Report;
    let snapshot = build(&rows);
    let decision = decide(&snapshot, &everything_wrong(&snapshot, OK));
    assert_eq!(decision.code, Code::R01);
    assert!(decision.reports.contains(Code::R14));
}

#[test]
fn agent_and_address_come_from_trusted_headers_only() {
    let mut rows = all_denied();
    rows.policies[0].destination_deny.clear();
    rows.lists.pop();
    for (trust_headers, family, header, user_agent, want) in [
        (
            true,
            HeaderFamily::PTfps,
            Some("my scanner"),
            "Asterisk",
            "R01",
        ),
        (
            true,
            HeaderFamily::XTfps,
            Some("my scanner"),
            "Asterisk",
            "R01",
        ),
        (true, HeaderFamily::PTfps, Some("Phone"), "scanner", "A00"), // the PBX's own agent says nothing
        (true, HeaderFamily::PTfps, None, "scanner", "A00"),
        (
            false,
            HeaderFamily::PTfps,
            Some("my scanner"),
            "Asterisk",
            "A00",
        ),
        (false, HeaderFamily::PTfps, Some("Phone"), "scanner", "R01"),
        (true, HeaderFamily::None, None, "scanner", "R01"),
    ] {
        rows.domains[0].trust_headers = trust_headers;
        let snapshot = build(&rows);
        let mut call = attempt(&snapshot, OK);
        call.user_agent = Some(user_agent.as_bytes());
        call.screening.family = family;
        call.screening.agent = header.map(str::as_bytes);
        assert_eq!(
            words(&decide(&snapshot, &call)),
            want,
            "{trust_headers} {family:?} {header:?} {user_agent}"
        );
        call.screening.agent = None;
        call.user_agent = None;
        call.screening.address = Some(ip("::ffff:203.0.113.1"));
        let by_address = if trust_headers && family != HeaderFamily::None {
            "R02"
        } else {
            "A00"
        };
        assert_eq!(
            words(&decide(&snapshot, &call)),
            by_address,
            "{trust_headers} {family:?}"
        );
    }
}

#[test]
fn lists_of_addresses_hold_for_private_ones_too() {
    let mut rows = rows();
    rows.lists.push(listed(
        Scope::Domain(0),
        Pattern::Address(block("10.0.0.0/8")),
        Some(Code::R02),
    ));
    rows.lists.push(listed(
        Scope::Domain(0),
        Pattern::Address(block("fd00::/8")),
        Some(Code::R12),
    ));
    let snapshot = build(&rows);
    let mut call = attempt(&snapshot, OK);
    for (address, want) in [
        ("10.1.2.3", "R02"),
        ("fd00::1", "R12"),
        ("127.0.0.1", "A00"),
        ("11.0.0.1", "A00"),
    ] {
        call.screening = Screening {
            address: Some(ip(address)),
            ..screening()
        };
        assert_eq!(words(&decide(&snapshot, &call)), want, "{address}");
    }
}

#[test]
fn agents_whole_beats_part_beats_expression_then_longer_then_narrower_then_allowed() {
    let part = |text: &str| Pattern::AgentPart(text.to_owned());
    let whole = |text: &str| Pattern::AgentWhole(text.to_owned());
    let expression = |text: &str| Pattern::AgentExpression(text.to_owned());
    let deny = Some(Code::R01);
    let cases: [ListCase<'_>; 14] = [
        (
            "part, any case",
            &[(Scope::System, part("FRIENDLY"), deny)],
            "R01",
        ),
        (
            "whole, any case",
            &[(Scope::System, whole("friendly-SCANNER 1.0"), deny)],
            "R01",
        ),
        (
            "whole is not a part",
            &[(Scope::System, whole("friendly"), deny)],
            "A00",
        ),
        (
            "expression, any case",
            &[(Scope::System, expression("^FRIEND.*\\d$"), deny)],
            "R01",
        ),
        (
            "expression that does not match",
            &[(Scope::System, expression("^scanner"), deny)],
            "A00",
        ),
        (
            "whole beats part",
            &[
                (Scope::Policy(0), part("friendly-scanner"), deny),
                (Scope::System, whole("friendly-scanner 1.0"), None),
            ],
            "A00",
        ),
        (
            "part beats expression",
            &[
                (Scope::Policy(0), expression("^friendly-scanner 1.0$"), None),
                (Scope::System, part("f"), deny),
            ],
            "R01",
        ),
        (
            "longer part",
            &[
                (Scope::System, part("friend"), None),
                (Scope::System, part("scanner"), deny),
            ],
            "R01",
        ),
        (
            "longer part inside another",
            &[
                (Scope::Policy(0), part("scan"), None),
                (Scope::System, part("scanner"), deny),
            ],
            "R01",
        ),
        (
            "narrower scope, same part",
            &[
                (Scope::System, part("scan"), deny),
                (Scope::Domain(0), part("SCAN"), None),
            ],
            "A00",
        ),
        (
            "narrower scope, other part as long",
            &[
                (Scope::Policy(0), part("frie"), None),
                (Scope::System, part("scan"), deny),
            ],
            "A00",
        ),
        (
            "allowed at a tie",
            &[
                (Scope::System, part("scan"), deny),
                (Scope::System, part("scan"), None),
            ],
            "A00",
        ),
        (
            "longer expression match",
            &[
                (Scope::System, expression("scan"), None),
                (Scope::System, expression("scan\\w+"), deny),
            ],
            "R01",
        ),
        (
            "allowed at a tie of wholes",
            &[
                (Scope::System, whole("friendly-scanner 1.0"), deny),
                (Scope::System, whole("friendly-scanner 1.0"), None),
            ],
            "A00",
        ),
    ];
    for (name, lists, want) in cases {
        let mut rows = rows();
        rows.lists = lists
            .iter()
            .map(|(scope, pattern, deny)| listed(*scope, pattern.clone(), *deny))
            .collect();
        for _ in 0..2 {
            let snapshot = build(&rows);
            let mut call = attempt(&snapshot, OK);
            call.user_agent = Some(b"Friendly-Scanner 1.0");
            assert_eq!(words(&decide(&snapshot, &call)), want, "{name}");
            rows.lists.reverse();
        }
    }
}

#[test]
fn agents_of_any_bytes_and_length_are_matched_up_to_the_published_length() {
    let mut rows = rows();
    rows.lists = vec![
        listed(
            Scope::System,
            Pattern::AgentPart("scanner".to_owned()),
            Some(Code::R01),
        ),
        listed(
            Scope::System,
            Pattern::AgentPart(String::new()),
            Some(Code::R01),
        ),
        listed(
            Scope::System,
            Pattern::AgentPart("téléphone".to_owned()),
            Some(Code::R01),
        ),
    ];
    let snapshot = build(&rows);
    let limit = crate::limits::SCREENING_VALUE_BYTES_MAX;
    for (agent, want) in [
        (Vec::new(), "A00"),
        (b"\xff\x00scanner\xfe".to_vec(), "R01"),
        ("TéLéPHONE".as_bytes().to_vec(), "R01"),
        (
            [vec![b'x'; limit - 7], b"scanner".to_vec(), vec![b'x'; 4000]].concat(),
            "R01",
        ),
        ([vec![b'x'; limit - 6], b"scanner".to_vec()].concat(), "A00"),
    ] {
        let mut call = attempt(&snapshot, OK);
        call.user_agent = Some(&agent);
        assert_eq!(
            words(&decide(&snapshot, &call)),
            want,
            "{} octets",
            agent.len()
        );
    }
}

#[test]
fn a_row_denies_with_its_own_code_and_is_named() {
    let mut rows = rows();
    rows.lists = vec![
        listed(Scope::System, Pattern::NumberPrefix(number("1")), None),
        ListRow {
            line: 118,
            ..listed(
                Scope::System,
                Pattern::NumberPrefix(number("44")),
                Some(Code::R12),
            )
        },
    ];
    let snapshot = build(&rows);
    let decision = decide(&snapshot, &attempt(&snapshot, OK));
    assert_eq!((decision.code, decision.list_row), (Code::R12, Some(1)));
    assert_eq!(snapshot.list_place(1), Some(("lists/test.csv", 118)));
    let destination = snapshot.destination(decision.destination.unwrap()).unwrap();
    assert_eq!(
        (
            destination.country.as_str(),
            destination.number_type.as_str()
        ),
        ("GB", "fixed")
    );
}

#[test]
fn expired_rows_are_left_out_and_the_next_expiry_is_known() {
    let mut rows = rows();
    for (digits, expires_unix_s) in [
        ("44", Some(1_000)),
        ("53", Some(1_001)),
        ("1", Some(5_000)),
        ("881", None),
    ] {
        rows.lists.push(ListRow {
            expires_unix_s,
            ..listed(
                Scope::System,
                Pattern::NumberPrefix(number(digits)),
                Some(Code::R03),
            )
        });
    }
    for (unix_s, want, next) in [
        (999, ["R03", "R03", "R03", "R03"], Some(1_000)),
        (1_000, ["A00", "R03", "R03", "R03"], Some(1_001)),
        (1_001, ["A00", "A00", "R03", "R03"], Some(5_000)),
        (5_000, ["A00", "A00", "A00", "R03"], None),
    ] {
        let snapshot = Snapshot::build(&rows, now(unix_s));
        let seen = [
            "+442071838750",
            "+5371234567",
            "+12025550100",
            "+8816123456",
        ]
        .map(|user_part| outcome(&snapshot, user_part));
        assert_eq!(seen, want, "at {unix_s}");
        assert_eq!(snapshot.next_expiry_unix_s(), next, "at {unix_s}");
    }
}

#[test]
fn in_detection_rejections_are_answered_as_approvals_and_errors_stay_errors() {
    for profile in answers::PROFILES {
        let mut rows = all_denied();
        rows.domains[0].mode = Mode::Detection;
        rows.domains[0].profile = profile;
        let snapshot = build(&rows);
        let approval = decide(&snapshot, &attempt(&snapshot, "112")).plan;
        let decision = decide(&snapshot, &everything_wrong(&snapshot, OK));
        assert_eq!(decision.verdict, Verdict::Approve);
        assert_eq!(
            (decision.code, decision.would),
            (Code::A00, Some(Code::R14))
        );
        assert_eq!(decision.plan, approval, "{profile:?}");
        for (user_part, error) in [
            ("A0044", CallError::Loop),
            ("", CallError::AddressIncomplete),
        ] {
            let decision = decide(&snapshot, &attempt(&snapshot, user_part));
            assert_eq!(
                (decision.verdict, decision.would),
                (Verdict::Error(error), None)
            );
        }
    }
}
