//! What is counted: approved calls, exposure, reported calls, by day and by night; warnings; no room.

use super::*;

#[test]
fn approved_counts_what_is_approved_and_gives_back_what_is_not() {
    let approved = LimitRow {
        count: Count::Approved,
        ..limit(Code::R11)
    };
    let attempts_to_number = LimitRow {
        to: Whereto::Number,
        ..limit(Code::R13)
    };
    // The quota stands before and after the limit that rejects.
    for quota_first in [true, false] {
        let mut limits = vec![max(5, approved.clone()), max(2, attempts_to_number.clone())];
        if !quota_first {
            limits.reverse();
        }
        let node = Node::with(limits);
        assert_eq!(node.codes(20, CALL), "A00*2 R13*18");
        let other = Caller {
            to: "+442071838751",
            ..CALL
        };
        assert_eq!(node.codes(2, other), "A00*2");
        let third = Caller {
            to: "+442071838752",
            ..CALL
        };
        // 18 rejections took nothing of the quota of five.
        assert_eq!(node.codes(2, third), "A00*1 R11*1");
    }
    // What a rule before the limits rejects is neither an attempt nor approved.
    let mut rows = rows();
    rows.policies[0].limits = vec![max(1, limit(Code::R13)), max(1, approved)];
    rows.policies[0].destination_deny = vec![DestinationTerm::Country("CU".to_owned())];
    let node = Node::new(&rows);
    assert_eq!(
        node.codes(
            5,
            Caller {
                to: "+5371234567",
                ..CALL
            }
        ),
        "R06*5"
    );
    assert_eq!(node.codes(2, CALL), "A00*1 R13*1");
}

#[test]
fn exposure_is_rate_times_assumed_minutes_in_whole_millionths() {
    let mut rows = rows();
    rows.rates = vec![
        RateRow {
            prefix: Some(number("44")),
            micros_per_minute: 100_000,
        },
        RateRow {
            prefix: None,
            micros_per_minute: 0,
        },
    ];
    rows.policies[0].assumed_minutes = 5;
    rows.policies[0].limits = vec![LimitRow {
        count: Count::Exposure,
        max: 2_000_000,
        ..limit(Code::X01)
    }];
    let node = Node::new(&rows);
    // Half a unit each: four pass, and calls that cost nothing always do.
    assert_eq!(node.codes(5, CALL), "A00*4 X01*1");
    assert_eq!(
        node.codes(
            3,
            Caller {
                to: "+12125550100",
                ..CALL
            }
        ),
        "A00*3"
    );
    assert_eq!(
        node.snapshot.exposure_micros(&node.decide(CALL)),
        Some(500_000)
    );
    // A call that goes over is not charged when it is rejected.
    rows.policies[0].limits[0].max = 1_200_000;
    rows.rates.push(RateRow {
        prefix: Some(number("4470")),
        micros_per_minute: 40_000,
    });
    let node = Node::new(&rows);
    let cheap = Caller {
        to: "+447012345678",
        ..CALL
    };
    assert_eq!(node.codes(3, CALL), "A00*2 X01*1");
    assert_eq!(node.codes(2, cheap), "A00*1 X01*1");
}

#[test]
fn what_is_no_number_costs_what_all_others_cost_and_an_emergency_call_nothing() {
    let mut rows = rows();
    rows.policies[0].unknown_prefix = Action::Approve;
    rows.domains[0].bare_e164 = false;
    let row = |prefix, micros_per_minute| RateRow {
        prefix,
        micros_per_minute,
    };
    rows.rates = vec![row(Some(number("44")), 1), row(None, 100_000)];
    rows.policies[0].assumed_minutes = 5;
    rows.policies[0].limits = vec![LimitRow {
        count: Count::Exposure,
        max: 1_000_000,
        ..limit(Code::X01)
    }];
    let to = |to| Caller { to, ..CALL };
    let node = Node::new(&rows);
    assert_eq!(node.codes(3, to("5550")), "A00*2 X01*1");
    let exposure = |node: &Node, caller| node.snapshot.exposure_micros(&node.decide(caller));
    assert_eq!(exposure(&node, to("5550")), Some(500_000));
    assert_eq!(exposure(&node, to("112")), None);
    // Without a row for all others nobody knows what it costs.
    rows.rates.pop();
    let node = Node::new(&rows);
    assert_eq!(node.codes(3, to("5550")), "A00*3");
    assert_eq!(exposure(&node, to("5550")), None);
}

#[test]
fn reported_calls_fire_above_max_and_not_when_unknown() {
    let row = LimitRow {
        count: Count::ReportedCalls,
        window: None,
        ..limit(Code::R10)
    };
    let node = Node::with(vec![max(3, row)]);
    for (reported, want) in [
        (None, "A00"),
        (Some(0), "A00"),
        (Some(3), "A00"),
        (Some(4), "R10"),
        (Some(3), "A00"),
    ] {
        assert_eq!(node.code(Caller { reported, ..CALL }), want, "{reported:?}");
    }
}

#[test]
fn day_and_night_have_limits_of_their_own_and_a_quota_lasts_a_stretch() {
    let mut rows = rows();
    rows.policies[0].schedule = office();
    let quota = |code, during, max| LimitRow {
        count: Count::Approved,
        window: Some(Window::Period),
        during,
        max,
        ..limit(code)
    };
    let calls = |code, during, max| LimitRow {
        count: Count::ReportedCalls,
        window: None,
        during,
        max,
        ..limit(code)
    };
    rows.policies[0].limits = vec![
        calls(Code::R08, During::OffHours, 1),
        quota(Code::R09, During::OffHours, 2),
        calls(Code::R10, During::WorkingHours, 5),
        quota(Code::R11, During::WorkingHours, 4),
    ];
    let node = Node::new(&rows);
    let many = Caller {
        reported: Some(6),
        ..CALL
    };
    let some = Caller {
        reported: Some(2),
        ..CALL
    };
    // Monday 00:00: off hours since Friday evening.
    assert_eq!((node.code(many), node.code(some)), ("R08", "R08"));
    assert_eq!(node.codes(3, CALL), "A00*2 R09*1");
    node.wait(9 * 3600);
    assert_eq!((node.code(many), node.code(some)), ("R10", "A00"));
    assert_eq!(node.codes(4, CALL), "A00*3 R11*1");
    // The night is one stretch: midnight gives no fresh quota.
    node.wait(8 * 3600);
    assert_eq!(node.codes(3, CALL), "A00*2 R09*1");
    node.wait(12 * 3600);
    assert_eq!(node.codes(1, CALL), "R09*1");
    node.wait(4 * 3600);
    assert_eq!(node.codes(1, CALL), "A00*1");
}

#[test]
fn a_day_ends_at_the_time_zones_midnight() {
    let mut rows = rows();
    rows.policies[0].schedule = ScheduleRow {
        zone: "two hours east".to_owned(),
        offsets: vec![OffsetRow {
            from_unix_s: 0,
            offset_s: 7200,
        }],
        ..ScheduleRow::default()
    };
    rows.policies[0].limits = vec![LimitRow {
        window: Some(Window::Day),
        max: 1,
        ..limit(Code::R13)
    }];
    let node = Node::new(&rows);
    assert_eq!(node.codes(2, CALL), "A00*1 R13*1");
    node.wait(22 * 3600 - 1);
    assert_eq!(node.codes(1, CALL), "R13*1");
    node.wait(1);
    assert_eq!(node.codes(2, CALL), "A00*1 R13*1");
}

#[test]
fn a_warning_is_one_event_per_key_and_window() {
    let row = LimitRow {
        warn: Some(2),
        who: SUBSCRIBER_AND_CALLER,
        ..limit(Code::R13)
    };
    let node = Node::with(vec![max(50, limit(Code::R13)), max(4, row)]);
    let warned = |caller| node.decide(caller).limits.warned;
    let other = Caller {
        from: "1002",
        ..CALL
    };
    let seen: Vec<u32> = (0..6).map(|_| warned(CALL)).collect();
    assert_eq!(seen, [0, 0b10, 0, 0, 0, 0]);
    assert_eq!([warned(other), warned(other)], [0, 0b10]);
    node.wait(60);
    assert_eq!([warned(CALL), warned(CALL)], [0, 0b10]);
}

#[test]
fn a_full_share_does_what_the_policy_says() {
    for (action, want, reported) in [
        (Action::Reject, "R15", false),
        (Action::Report, "A00", true),
        (Action::Approve, "A00", false),
    ] {
        let mut rows = rows();
        rows.policies[0].unknown_counters = action;
        rows.policies[0].limits = vec![LimitRow {
            max: NO_ROOM_MAX,
            ..limit(Code::R13)
        }];
        let snapshot = build(&rows);
        let decision = decide(&snapshot, &attempt(&snapshot, CALL.to));
        assert_eq!(decision.code.text(), want);
        assert_eq!(decision.reports.contains(Code::R15), reported, "{action:?}");
    }
}
