//! What a limit does when it fires: hold, report, divert, reject.

use super::*;

#[test]
fn a_hold_answers_with_its_limits_code_for_its_time_and_is_not_extended() {
    let row = LimitRow {
        hold_s: Some(3600),
        who: SUBSCRIBER_AND_CALLER,
        to: Whereto::Number,
        ..limit(Code::R13)
    };
    let node = Node::with(vec![max(2, row)]);
    assert_eq!(node.codes(3, CALL), "A00*2 R13*1");
    for _ in 0..59 {
        node.wait(60);
        let held = node.decide(CALL);
        assert_eq!(held.code, Code::R13);
        assert_eq!(
            held.limits.decided,
            Some(Decider {
                number: 0,
                held: true
            })
        );
    }
    // Others are not held, and the held calls did not count.
    assert_eq!(
        node.code(Caller {
            from: "1002",
            ..CALL
        }),
        "A00"
    );
    node.wait(60);
    assert_eq!(node.codes(3, CALL), "A00*2 R13*1");
}

#[test]
fn an_edit_of_a_limit_lifts_no_hold_unless_it_names_another_whom_or_whereto() {
    let row = max(
        1,
        LimitRow {
            hold_s: Some(3600),
            who: SUBSCRIBER_AND_CALLER,
            to: Whereto::Number,
            ..limit(Code::R13)
        },
    );
    let edited = |edit: fn(&mut LimitRow)| {
        let mut rows = rows();
        rows.policies[0].limits = vec![row.clone()];
        let mut node = Node::new(&rows);
        assert_eq!(node.codes(2, CALL), "A00*1 R13*1");
        edit(&mut rows.policies[0].limits[0]);
        node.snapshot = build(&rows);
        node.decide(CALL).limits.decided.is_some_and(|by| by.held)
    };
    let keep: [fn(&mut LimitRow); 7] = [
        |row| row.window = Some(Window::Seconds(7200)),
        |row| row.window = Some(Window::Day),
        |row| row.count = Count::Approved,
        |row| row.max = 100_000,
        |row| row.warn = Some(1),
        |row| row.hold_s = Some(60),
        |row| row.code = Code::X01,
    ];
    for (number, edit) in keep.into_iter().enumerate() {
        assert!(edited(edit), "{number}");
    }
    let lift: [fn(&mut LimitRow); 4] = [
        |row| "another".clone_into(&mut row.name),
        |row| row.who = Who::default(),
        |row| row.to = Whereto::Prefix,
        |row| row.hold_s = None,
    ];
    for (number, edit) in lift.into_iter().enumerate() {
        assert!(!edited(edit), "{number}");
    }
}

#[test]
fn report_goes_on_the_first_reject_decides_else_the_first_divert() {
    use LimitAction::{Divert, Reject, Report};
    for (actions, want) in [
        (&[Report, Report][..], "A00 R08+R09"),
        (&[Report, Reject], "R09 R08"),
        (&[Reject, Report], "R08 "),
        (&[Divert, Reject], "R09 "),
        (&[Divert, Report], "R08 R09"),
        (&[Divert, Divert], "R08 "),
        (&[Report, Divert, Reject], "R10 R08"),
        (&[Divert, Divert, Divert, Reject], "R11 "),
    ] {
        let codes = [Code::R08, Code::R09, Code::R10, Code::R11];
        let limits = actions.iter().zip(codes).map(|(action, code)| LimitRow {
            action: *action,
            ..limit(code)
        });
        let mut rows = rows();
        rows.policies[0].limits = limits.collect();
        rows.policies[0].divert = Some(DivertRow {
            prefix: *b"D00",
            host: None,
        });
        for hold_s in [None, Some(60)] {
            for row in &mut rows.policies[0].limits {
                row.hold_s = hold_s;
            }
            let node = Node::new(&rows);
            let _placed = node.decide(CALL);
            let decision = node.decide(CALL);
            let reported: Vec<&str> = Code::ALL
                .into_iter()
                .filter(|code| decision.reports.contains(*code))
                .map(Code::text)
                .collect();
            let got = format!("{} {}", decision.code.text(), reported.join("+"));
            assert_eq!(got, want, "{actions:?} {hold_s:?}");
        }
    }
}

#[test]
fn a_diverted_call_is_neither_approved_nor_charged_and_comes_back_as_a_loop() {
    let mut rows = rows();
    rows.policies[0].divert = Some(DivertRow {
        prefix: *b"D00",
        host: Some("ivr.example:5070".to_owned()),
    });
    rows.policies[0].limits = vec![
        max(
            3,
            LimitRow {
                count: Count::Approved,
                ..limit(Code::R11)
            },
        ),
        max(
            1,
            LimitRow {
                action: LimitAction::Divert,
                to: Whereto::Number,
                ..limit(Code::R13)
            },
        ),
    ];
    let node = Node::new(&rows);
    assert_eq!(node.codes(9, CALL), "A00*1 R13*8");
    let decision = node.decide(CALL);
    assert_eq!(
        (decision.verdict, decision.plan.status.0),
        (Verdict::Divert, 302)
    );
    let ContactPlan::Redirect { prefix, host } = decision.plan.contact else {
        panic!()
    };
    assert_eq!(prefix, *b"D00");
    let ContactHost::Fixed { text } = host else {
        panic!("{host:?}")
    };
    assert_eq!(node.snapshot.contact_host(text), b"ivr.example:5070");
    // Nine diversions took nothing of the quota.
    let other = |to| Caller { to, ..CALL };
    assert_eq!(node.code(other("+442071838751")), "A00");
    assert_eq!(node.code(other("+442071838752")), "A00");
    assert_eq!(node.code(other("+442071838753")), "R11");
    assert_eq!(outcome(&node.snapshot, "D00+442071838750"), "Loop");
}

#[test]
fn a_profile_without_redirects_rejects_what_it_cannot_divert() {
    for profile in answers::PROFILES {
        let mut rows = rows();
        rows.domains[0].profile = profile;
        rows.policies[0].divert = Some(DivertRow {
            prefix: *b"D00",
            host: None,
        });
        rows.policies[0].limits = vec![LimitRow {
            action: LimitAction::Divert,
            ..limit(Code::R13)
        }];
        let verdict = Node::new(&rows).decide(CALL).verdict;
        let want = match profile {
            Profile::Redirect | Profile::RedirectCodes => Verdict::Divert,
            Profile::Failover | Profile::NextRoute | Profile::Monitor => Verdict::Reject,
        };
        assert_eq!(verdict, want, "{profile:?}");
    }
}
