//! SEMANTICS, Three answers: each code under each profile and mode, overrides, Contact, errors before the domain is known.

use super::*;
use crate::policy::profile::{approving_class, default_statuses, override_faults};
use crate::policy::rows::DestinationTerm;
use crate::policy::{AnswerPlan, CallError, ContactHost, ContactPlan};
use crate::sip::{Phrase, Status};

pub(super) const PROFILES: [Profile; 5] = [
    Profile::Redirect,
    Profile::RedirectCodes,
    Profile::Failover,
    Profile::NextRoute,
    Profile::Monitor,
];

/// One domain in which each code has a call that earns it.
fn every_code(profile: Profile) -> Rows {
    let mut rows = rows();
    rows.domains[0].profile = profile;
    rows.policies[0].unknown_identity = Action::Reject;
    rows.policies[0].destination_deny = vec![DestinationTerm::Country("CU".to_owned())];
    rows.lists = vec![
        listed(
            Scope::System,
            Pattern::AgentPart("scan".to_owned()),
            Some(Code::R01),
        ),
        listed(
            Scope::System,
            Pattern::Address(block("203.0.113.2")),
            Some(Code::R02),
        ),
        listed(
            Scope::System,
            Pattern::Address(block("203.0.113.12")),
            Some(Code::R12),
        ),
        listed(
            Scope::System,
            Pattern::NumberPrefix(number("4470")),
            Some(Code::R03),
        ),
    ];
    // Limits have calls by who calls.
    let limits = Code::ALL.into_iter().filter(|code| is_limits(*code));
    for (policy_number, code) in (1..).zip(limits) {
        let mut row = limit(code);
        if code == Code::R15 {
            row.max = NO_ROOM_MAX;
        }
        rows.policies.push(PolicyRow {
            limits: vec![row],
            ..policy(code.text())
        });
        rows.subscribers.push(SubscriberRow {
            policy: Some(policy_number),
            users: vec![code.text().to_owned()],
            ..subscriber(0, code.text())
        });
    }
    rows
}

fn is_limits(code: Code) -> bool {
    let own_row = [
        Code::A00,
        Code::R01,
        Code::R02,
        Code::R03,
        Code::R06,
        Code::R07,
        Code::R12,
        Code::R14,
    ];
    !own_row.contains(&code)
}

/// The call that earns the code.
fn call_for<'a>(snapshot: &Snapshot, code: Code) -> CallAttempt<'a> {
    let mut call = attempt(snapshot, "+442071838750");
    call.screening = screening();
    match code {
        Code::A00 => {}
        Code::R01 => call.screening.agent = Some(b"scanner"),
        Code::R02 => call.screening.address = Some(ip("203.0.113.2")),
        Code::R03 => call.user_part = b"+447012345678",
        Code::R06 => call.user_part = b"+5371234567",
        Code::R07 => call.user_part = b"+999",
        Code::R12 => call.screening.address = Some(ip("203.0.113.12")),
        Code::R14 => call.screening.suspect = true,
        limited => {
            assert!(is_limits(limited));
            call.from_user = limited.text().as_bytes();
        }
    }
    call
}

fn prefix(plan: AnswerPlan) -> Option<String> {
    match plan.contact {
        ContactPlan::None => None,
        ContactPlan::Redirect { prefix, .. } => Some(String::from_utf8(prefix.to_vec()).unwrap()),
    }
}

#[test]
fn every_code_has_its_answer_under_every_profile_and_mode() {
    for profile in PROFILES {
        let (approve, reject) = match profile {
            Profile::Redirect => ((302, Some("A00")), (603, false)),
            Profile::RedirectCodes => ((302, Some("A00")), (302, true)),
            Profile::Failover => ((503, None), (486, false)),
            Profile::NextRoute => ((404, None), (603, false)),
            Profile::Monitor => ((487, None), (487, false)),
        };
        for mode in [Mode::Prevention, Mode::Detection] {
            let mut rows = every_code(profile);
            rows.domains[0].mode = mode;
            let snapshot = build(&rows);
            for code in Code::ALL {
                let decision = decide(&snapshot, &call_for(&snapshot, code));
                let name = format!("{profile:?} {mode:?} {code:?}");
                let plan = decision.plan;
                assert_eq!(plan.phrase, Phrase::Standard, "{name}");
                if code == Code::A00 || mode == Mode::Detection {
                    assert_eq!(decision.verdict, Verdict::Approve, "{name}");
                    assert_eq!((plan.status.0, prefix(plan).as_deref()), approve, "{name}");
                    assert!(!plan.reason, "{name}");
                    assert_eq!(
                        decision.would,
                        Some(code).filter(|code| *code != Code::A00),
                        "{name}"
                    );
                    continue;
                }
                assert_eq!(
                    (decision.verdict, decision.code),
                    (Verdict::Reject, code),
                    "{name}"
                );
                let want = Some(code.text()).filter(|_| reject.1);
                assert_eq!(
                    (plan.status.0, prefix(plan).as_deref()),
                    (reject.0, want),
                    "{name}"
                );
                assert_eq!(plan.reason, profile != Profile::Monitor, "{name}");
            }
        }
    }
}

#[test]
fn errors_wear_the_profile_and_never_look_like_an_approval() {
    let errors = [
        CallError::Syntax(Phrase::BadFrom),
        CallError::VersionNotSupported,
        CallError::UnsupportedScheme,
        CallError::NoSuchDialog,
        CallError::Loop,
        CallError::AddressIncomplete,
        CallError::TooLarge,
        CallError::UnknownPeer,
    ];
    for profile in PROFILES {
        let snapshot = build(&every_code(profile));
        let source = snapshot.source(ip(PEER));
        for error in errors {
            let plan = snapshot.error_plan(source, None, error);
            let want = match (profile, error) {
                (_, CallError::UnknownPeer) => (Status(403), Phrase::Standard),
                (Profile::Redirect | Profile::RedirectCodes, _) => error.status(),
                (Profile::Failover, _) => (Status(403), Phrase::Standard),
                (Profile::NextRoute, _) => (Status(603), Phrase::Standard),
                (Profile::Monitor, _) => (Status(487), Phrase::Standard),
            };
            assert_eq!((plan.status, plan.phrase), want, "{profile:?} {error:?}");
            assert_eq!((plan.contact, plan.reason), (ContactPlan::None, false));
            assert!(
                !approving_class(profile, plan.status, false),
                "{profile:?} {error:?}"
            );
        }
        let looped = decide(&snapshot, &attempt(&snapshot, "A00+44")).plan;
        assert_eq!(looped, snapshot.error_plan(source, None, CallError::Loop));
    }
}

#[test]
fn statuses_are_overridden_by_code_then_by_answer() {
    let mut rows = every_code(Profile::Redirect);
    let statuses = &mut rows.domains[0].statuses;
    statuses.approve = Some(Status(300));
    statuses.reject = Some(Status(608));
    statuses.error = Some(Status(400));
    statuses.by_code[Code::R03.index()] = Some(Status(607));
    rows.domains[0].force_rport = true;
    let snapshot = build(&rows);
    for (code, want) in [(Code::A00, 300), (Code::R03, 607), (Code::R01, 608)] {
        let plan = decide(&snapshot, &call_for(&snapshot, code)).plan;
        assert_eq!((plan.status.0, plan.force_rport), (want, true), "{code:?}");
        assert_eq!(prefix(plan).is_some(), code == Code::A00, "{code:?}");
    }
    let plan = decide(&snapshot, &attempt(&snapshot, "A00+44")).plan;
    assert_eq!((plan.status.0, plan.force_rport), (400, true));
}

#[test]
fn redirect_codes_sends_the_wire_code_in_a_3xx_and_no_contact_otherwise() {
    let mut rows = every_code(Profile::RedirectCodes);
    rows.domains[0].wire_codes[Code::R03.index()] = *b"R33";
    rows.domains[0].statuses.by_code[Code::R01.index()] = Some(Status(603));
    rows.domains[0].contact_host = ContactHostRow::Fixed("gw.example".to_owned());
    let snapshot = build(&rows);
    let plan = |code| decide(&snapshot, &call_for(&snapshot, code)).plan;
    let host = ContactHost::Fixed { text: 0 };
    let redirect = |prefix: &[u8; 3]| ContactPlan::Redirect {
        prefix: *prefix,
        host,
    };
    assert_eq!(plan(Code::R03).contact, redirect(b"R33"));
    assert_eq!(plan(Code::R06).contact, redirect(b"R06"));
    assert_eq!(
        (plan(Code::R01).status.0, plan(Code::R01).contact),
        (603, ContactPlan::None)
    );
    assert_eq!(snapshot.contact_host(0), b"gw.example");
    // What comes back with the remapped code is our own answer; with the unmapped one it is not.
    assert_eq!(outcome(&snapshot, "R33442071838750"), "Loop");
    assert_eq!(outcome(&snapshot, "R03442071838750"), "R07");
}

#[test]
fn a_user_part_too_long_for_the_contact_is_an_error_where_the_answer_would_redirect() {
    let long = |length: usize| format!("+442071838750{}", "-".repeat(length - 13));
    for (profile, user_part, want) in [
        (Profile::Redirect, long(76), "A00"),
        (Profile::Redirect, long(77), "AddressIncomplete"),
        (
            Profile::Redirect,
            format!("{};a={}", long(76), "b".repeat(40)),
            "A00",
        ),
        (Profile::Redirect, long(77).replace("+4420", "+4470"), "R03"), // 603 has no Contact
        (
            Profile::RedirectCodes,
            long(77).replace("+4420", "+4470"),
            "AddressIncomplete",
        ),
        (Profile::Failover, long(100), "A00"),
        (Profile::Monitor, long(100), "A00"),
    ] {
        assert_eq!(
            outcome(&build(&every_code(profile)), &user_part),
            want,
            "{profile:?} {user_part}"
        );
    }
}

#[test]
fn an_override_into_the_approving_class_is_a_fault_and_is_not_used() {
    for (profile, key, status, fault) in [
        (Profile::Redirect, "reject", 603, false),
        (Profile::Redirect, "approve", 301, false),
        (Profile::Redirect, "approve", 404, true),
        (Profile::Redirect, "error", 200, true),
        (Profile::Redirect, "reject", 180, true),
        (Profile::RedirectCodes, "R03", 603, false),
        (Profile::Failover, "reject", 603, false),
        (Profile::Failover, "reject", 600, false),
        (Profile::Failover, "approve", 513, false),
        (Profile::Failover, "approve", 482, true),
        (Profile::Failover, "approve", 486, true),
        (Profile::NextRoute, "reject", 486, false),
        (Profile::NextRoute, "reject", 404, true),
        (Profile::NextRoute, "error", 404, true),
        (Profile::NextRoute, "R07", 404, true),
        (Profile::NextRoute, "approve", 480, false),
        (Profile::NextRoute, "approve", 603, true), // what its rejections have
        (Profile::Monitor, "reject", 603, true),
        (Profile::Monitor, "reject", 487, false),
    ] {
        let mut overrides = StatusOverrides::default();
        match key {
            "approve" => overrides.approve = Some(Status(status)),
            "reject" => overrides.reject = Some(Status(status)),
            "error" => overrides.error = Some(Status(status)),
            code => {
                overrides.by_code[Code::from_text(code).unwrap().index()] = Some(Status(status));
            }
        }
        let faults = override_faults(profile, &overrides);
        assert_eq!(!faults.is_empty(), fault, "{profile:?} {key} = {status}");
        assert!(
            faults
                .iter()
                .all(|(named, at, _)| *named == key && at.0 == status)
        );
        if fault {
            let plain = build(&every_code(profile));
            let mut rows = every_code(profile);
            rows.domains[0].statuses = overrides;
            let snapshot = build(&rows);
            for code in Code::ALL {
                let plan = |snapshot: &Snapshot| decide(snapshot, &call_for(snapshot, code)).plan;
                assert_eq!(
                    plan(&snapshot),
                    plan(&plain),
                    "{profile:?} {key} = {status}, {code:?}"
                );
            }
        }
    }
}

#[test]
fn failover_never_sends_what_a_switch_takes_for_the_next_route() {
    for status in 300..=699 {
        let forbidden = matches!(status, 401 | 407 | 410 | 422 | 423 | 482 | 500..=599);
        for key in ["reject", "error", "R01"] {
            let mut rows = every_code(Profile::Failover);
            let statuses = &mut rows.domains[0].statuses;
            match key {
                "reject" => statuses.reject = Some(Status(status)),
                "error" => statuses.error = Some(Status(status)),
                _ => statuses.by_code[Code::R01.index()] = Some(Status(status)),
            }
            assert_eq!(
                !override_faults(Profile::Failover, statuses).is_empty(),
                forbidden,
                "{key} = {status}"
            );
            let snapshot = build(&rows);
            let mut sent = vec![decide(&snapshot, &attempt(&snapshot, "A0044")).plan.status];
            for code in Code::ALL.into_iter().filter(|code| *code != Code::A00) {
                sent.push(decide(&snapshot, &call_for(&snapshot, code)).plan.status);
            }
            for sent in sent {
                assert!(
                    !approving_class(Profile::Failover, sent, false),
                    "{key} = {status}: {sent:?}"
                );
                assert!(
                    sent.0 != 422 && sent.0 / 100 != 5,
                    "{key} = {status}: {sent:?}"
                );
            }
        }
    }
}

#[test]
fn the_approving_class_of_each_profile() {
    for (profile, status, a00, want) in [
        (Profile::Redirect, 302, true, true),
        (Profile::Redirect, 302, false, false),
        (Profile::RedirectCodes, 399, true, true),
        (Profile::RedirectCodes, 603, true, false),
        (Profile::NextRoute, 404, false, true),
        (Profile::NextRoute, 603, false, false),
        (Profile::Monitor, 487, false, false),
        (Profile::Failover, 503, false, true),
        (Profile::Failover, 482, false, true),
        (Profile::Failover, 486, false, false),
        (Profile::Failover, 603, false, false),
        (Profile::Failover, 403, false, false),
        (Profile::Failover, 422, false, false), // it hangs the call, which is no approval; it is forbidden all the same
    ] {
        assert_eq!(
            approving_class(profile, Status(status), a00),
            want,
            "{profile:?} {status} {a00}"
        );
    }
    for profile in PROFILES {
        let own = default_statuses(profile);
        let redirects = matches!(profile, Profile::Redirect | Profile::RedirectCodes);
        assert_eq!(
            approving_class(profile, own.approve, redirects),
            profile != Profile::Monitor
        );
        assert!(!approving_class(profile, own.reject, false));
        assert!(
            own.error
                .is_none_or(|status| !approving_class(profile, status, false))
        );
    }
}

#[test]
fn before_the_domain_is_known_failover_asks_for_403_else_the_first_domain_speaks() {
    let with = |profiles: &[Profile], error: Option<Status>| {
        let mut rows = rows();
        rows.domains = (0..)
            .zip(profiles)
            .map(|(at, &profile)| DomainRow {
                profile,
                proxies: vec![block("198.51.100.9")],
                statuses: StatusOverrides {
                    error,
                    ..StatusOverrides::default()
                },
                ..domain(&format!("d{at}"))
            })
            .collect();
        build(&rows)
    };
    let error = CallError::TooLarge;
    for (profiles, want) in [
        (&[Profile::Redirect, Profile::NextRoute][..], 513),
        (&[Profile::NextRoute, Profile::Redirect], 603),
        (
            &[Profile::Redirect, Profile::NextRoute, Profile::Failover],
            403,
        ),
        (&[Profile::Monitor, Profile::Redirect], 487),
        (&[Profile::Failover], 403),
    ] {
        let snapshot = with(profiles, None);
        let proxy = ip("198.51.100.9");
        let peer = snapshot.peer_behind(proxy, ip(PEER)).unwrap();
        for (source, proxy) in [
            (snapshot.source(ip(PEER)), None),
            (Source::Peer(peer), Some(proxy)),
            (Source::Proxy, Some(proxy)),
        ] {
            let plan = snapshot.error_plan(source, proxy, error);
            assert_eq!(plan.status.0, want, "{profiles:?} {source:?}");
        }
    }
    let snapshot = with(&[Profile::Failover], Some(Status(488)));
    let source = snapshot.source(ip(PEER));
    assert_eq!(snapshot.error_plan(source, None, error).status.0, 488);
    let snapshot = with(&[Profile::Redirect, Profile::Failover], Some(Status(488)));
    let source = snapshot.source(ip(PEER));
    assert_eq!(snapshot.error_plan(source, None, error).status.0, 403);
    assert_eq!(
        snapshot.error_plan(Source::Unknown, None, error).status.0,
        513
    );
    // SEMANTICS, Who asks: an unknown peer behind a listed proxy is answered with 403.
    let snapshot = with(&[Profile::NextRoute], None);
    let plan = snapshot.error_plan(
        Source::Proxy,
        Some(ip("198.51.100.9")),
        CallError::UnknownPeer,
    );
    assert_eq!(plan.status.0, 403);
}
