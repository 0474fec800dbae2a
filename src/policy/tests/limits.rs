//! SEMANTICS, Limits: what counts, when a limit fires, what holds, what is given back, and the order of it all.

use super::exact::Exact;
use super::*;
use crate::policy::rows::{
    DestinationTerm, DivertRow, OffsetRow, RateRow, ScheduleRow, WorkingHours,
};
use crate::policy::{ContactPlan, Decider};
use proptest::prelude::*;
use std::cell::Cell;

const SECOND_NS: u64 = 1_000_000_000;
/// A Monday, 00:00 UTC.
const MONDAY: u64 = 1_767_571_200;

/// A node with exact counters and a clock that is moved by hand.
struct Node {
    snapshot: Snapshot,
    counts: Exact,
    second: Cell<u64>,
    calls: Cell<u32>,
}

/// One call; each has a Call-ID of its own unless it says one.
#[derive(Clone, Copy)]
struct Caller<'a> {
    from: &'a str,
    to: &'a str,
    address: &'a str,
    reported: Option<u32>,
    call_id: Option<&'a str>,
}

const CALL: Caller<'static> = Caller {
    from: "1001",
    to: "+442071838750",
    address: "198.51.100.7",
    reported: None,
    call_id: None,
};

impl Node {
    fn new(rows: &Rows) -> Self {
        Self {
            snapshot: Snapshot::build(rows, now(MONDAY)),
            counts: Exact::new(),
            second: Cell::new(0),
            calls: Cell::new(0),
        }
    }

    /// One policy with these limits.
    fn with(limits: Vec<LimitRow>) -> Self {
        let mut rows = rows();
        rows.policies[0].limits = limits;
        Self::new(&rows)
    }

    fn wait(&self, seconds: u64) {
        self.second.set(self.second.get() + seconds);
    }

    fn now(&self) -> Now {
        Now {
            monotonic_ns: (1000 + self.second.get()) * SECOND_NS,
            unix_us: (MONDAY + self.second.get()) * 1_000_000,
        }
    }

    fn decide(&self, caller: Caller<'_>) -> Decision {
        self.calls.set(self.calls.get() + 1);
        let fresh = self.calls.get().to_string();
        let mut call = attempt(&self.snapshot, caller.to);
        call.from_user = caller.from.as_bytes();
        call.call_id = caller.call_id.unwrap_or(&fresh).as_bytes();
        call.screening = Screening {
            address: Some(ip(caller.address)),
            reported_calls: caller.reported,
            ..screening()
        };
        let mut prepared = self.snapshot.prepare(&call);
        // Whether an attempt was foreseen changes nothing: every other one is.
        if self.calls.get().is_multiple_of(2) {
            let texts = (call.call_id, call.from_tag);
            self.snapshot
                .foresee_attempt(&mut prepared, texts.0, texts.1, &self.counts);
        }
        self.snapshot
            .decide(&call, &prepared, &self.counts, self.now())
    }

    fn code(&self, caller: Caller<'_>) -> &'static str {
        self.decide(caller).code.text()
    }

    /// The codes of so many calls, told apart by runs: `A00*3 R13*2`.
    fn codes(&self, count: usize, caller: Caller<'_>) -> String {
        let mut runs: Vec<(&str, usize)> = Vec::new();
        for _ in 0..count {
            let code = self.code(caller);
            match runs.last_mut() {
                Some((last, length)) if *last == code => *length += 1,
                _ => runs.push((code, 1)),
            }
        }
        let words: Vec<String> = runs
            .iter()
            .map(|(code, length)| format!("{code}*{length}"))
            .collect();
        words.join(" ")
    }
}

fn max(max: u64, row: LimitRow) -> LimitRow {
    LimitRow { max, ..row }
}

const SUBSCRIBER_AND_CALLER: Who = Who {
    subscriber: true,
    caller: true,
    address: false,
};

#[test]
fn calls_up_to_max_pass_and_the_next_fires_until_the_window_has_passed() {
    let node = Node::with(vec![max(10, limit(Code::R13))]);
    assert_eq!(node.codes(13, CALL), "A00*10 R13*3");
    node.wait(59);
    assert_eq!(node.codes(1, CALL), "R13*1");
    node.wait(1);
    assert_eq!(node.codes(11, CALL), "A00*10 R13*1");
}

#[test]
fn each_of_what_a_limit_names_counts_apart_and_nothing_else_does() {
    let others = [
        Caller {
            from: "1002",
            ..CALL
        },
        Caller {
            to: "+442071838751",
            ..CALL
        },
        Caller {
            to: "+447012345678",
            ..CALL
        },
        Caller {
            to: "+12125550100",
            ..CALL
        },
        Caller {
            address: "198.51.100.8",
            ..CALL
        },
    ];
    let who = |text: &str| Who {
        subscriber: text.contains('s'),
        caller: text.contains('c'),
        address: text.contains('a'),
    };
    // For each limit: which of the other calls it counts together with the first one (1).
    for (per, to, together) in [
        ("", Whereto::Any, "11111"),
        ("s", Whereto::Any, "11111"),
        ("c", Whereto::Any, "01111"),
        ("a", Whereto::Any, "11110"),
        ("", Whereto::Number, "10001"),
        ("", Whereto::Prefix, "11001"),
        ("", Whereto::Country, "11101"),
        ("ca", Whereto::Number, "00000"),
        ("sc", Whereto::Country, "01101"),
    ] {
        for (other, is_together) in others.into_iter().zip(together.chars()) {
            let row = LimitRow {
                who: who(per),
                to,
                ..limit(Code::R13)
            };
            let node = Node::with(vec![max(1, row)]);
            assert_eq!(node.code(CALL), "A00");
            let want = if is_together == '1' { "R13" } else { "A00" };
            assert_eq!(
                node.code(other),
                want,
                "per {per} to {to:?}: {} {} {}",
                other.from,
                other.to,
                other.address
            );
        }
    }
}

#[test]
fn callers_of_no_row_count_together_and_a_forged_caller_id_buys_no_fresh_quota() {
    let mut rows = rows();
    let by_subscriber = Who {
        subscriber: true,
        ..Who::default()
    };
    rows.policies[0].limits = vec![max(
        5,
        LimitRow {
            who: by_subscriber,
            ..limit(Code::R13)
        },
    )];
    rows.subscribers = vec![SubscriberRow {
        users: vec!["2000".to_owned()],
        ..subscriber(0, "known")
    }];
    let node = Node::new(&rows);
    let forged: Vec<String> = (0..50).map(|user| format!("99{user}")).collect();
    let passed = forged
        .iter()
        .filter(|from| node.code(Caller { from, ..CALL }) == "A00");
    assert_eq!(passed.count(), 5);
    assert_eq!(
        node.codes(
            6,
            Caller {
                from: "2000",
                ..CALL
            }
        ),
        "A00*5 R13*1"
    );
}

#[test]
fn a_limits_name_domain_and_shape_are_its_identity() {
    let mut rows = rows();
    rows.domains.push(DomainRow {
        peers: vec![block("192.0.2.2")],
        ..domain("other")
    });
    rows.policies[0].limits = vec![max(2, limit(Code::R13))];
    let node = Node::new(&rows);
    assert_eq!(node.codes(3, CALL), "A00*2 R13*1");
    // The same policy in another domain counts for itself.
    let Source::Peer(peer) = node.snapshot.source(ip("192.0.2.2")) else {
        panic!()
    };
    let call = CallAttempt {
        call_id: b"other",
        ..attempt_of(peer, CALL.to)
    };
    let prepared = node.snapshot.prepare(&call);
    let decision = node
        .snapshot
        .decide(&call, &prepared, &node.counts, node.now());
    assert_eq!(decision.code, Code::A00);
    // An edit of the maximum keeps the counts; another window begins anew.
    for (edit, want) in [
        (max(4, limit(Code::R13)), "A00*2 R13*1"),
        (
            LimitRow {
                window: Some(Window::Seconds(61)),
                ..max(4, limit(Code::R13))
            },
            "A00*3",
        ),
    ] {
        rows.policies[0].limits = vec![edit];
        let edited = Node {
            snapshot: Snapshot::build(&rows, now(MONDAY)),
            counts: Exact::new(),
            second: Cell::new(0),
            calls: Cell::new(100),
        };
        // The counts of before.
        for _ in 0..2 {
            let _counted = node_call(&node.snapshot, &edited);
        }
        assert_eq!(edited.codes(3, CALL), want);
    }
}

/// A call decided by another snapshot with this node's counts.
fn node_call(snapshot: &Snapshot, node: &Node) -> Code {
    node.calls.set(node.calls.get() + 1);
    let fresh = node.calls.get().to_string();
    let call = CallAttempt {
        call_id: fresh.as_bytes(),
        screening: screening(),
        ..attempt(snapshot, CALL.to)
    };
    let prepared = snapshot.prepare(&call);
    snapshot
        .decide(&call, &prepared, &node.counts, node.now())
        .code
}

#[test]
fn transactions_of_one_attempt_count_once_and_are_told_the_same() {
    let node = Node::with(vec![max(1, limit(Code::R13))]);
    let fork = Caller {
        call_id: Some("forked"),
        ..CALL
    };
    assert_eq!(node.codes(4, fork), "A00*4");
    assert_eq!(node.codes(1, CALL), "R13*1");
    // A fifth transaction is an attempt of its own; so is one after 32 seconds.
    assert_eq!(node.codes(1, fork), "R13*1");
    let node = Node::with(vec![max(1, limit(Code::R13))]);
    assert_eq!(node.codes(2, fork), "A00*2");
    node.wait(32);
    assert_eq!(node.codes(1, fork), "R13*1");
    // What was rejected stays so for its other transactions, of the same number only.
    assert!(node.decide(fork).limits.same_attempt);
    assert_eq!(node.code(fork), "R13");
    let other = node.decide(Caller {
        to: "+442071838751",
        ..fork
    });
    assert!(!other.limits.same_attempt);
}

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

/// 09:00 to 17:00 on weekdays, UTC.
fn office() -> ScheduleRow {
    ScheduleRow {
        zone: "UTC".to_owned(),
        offsets: vec![OffsetRow {
            from_unix_s: 0,
            offset_s: 0,
        }],
        hours: vec![WorkingHours {
            months: 0x0fff,
            days: 0x1f,
            from_minute: 540,
            until_minute: 1020,
        }],
        holidays: Vec::new(),
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
    let super::super::ContactHost::Fixed { text } = host else {
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

#[test]
fn emergency_calls_and_errors_never_reach_the_limits_and_allowed_numbers_do() {
    let mut rows = rows();
    rows.policies[0].limits = vec![max(1, limit(Code::R13))];
    rows.lists = vec![listed(
        Scope::System,
        Pattern::Number(number("5371234567")),
        None,
    )];
    let node = Node::new(&rows);
    assert_eq!(node.codes(5, Caller { to: "112", ..CALL }), "A00*5");
    let long = format!("+44{}2071838750", "-".repeat(80));
    assert!(matches!(
        node.decide(Caller { to: &long, ..CALL }).verdict,
        Verdict::Error(_)
    ));
    assert_eq!(
        node.codes(
            2,
            Caller {
                to: "+5371234567",
                ..CALL
            }
        ),
        "A00*1 R13*1"
    );
    assert_eq!(node.codes(2, Caller { to: "112", ..CALL }), "A00*2");
}

#[test]
fn a_number_that_is_none_counts_by_its_characters_however_they_are_written() {
    let mut rows = rows();
    rows.policies[0].unknown_prefix = Action::Approve;
    rows.domains[0].bare_e164 = false;
    rows.policies[0].limits = vec![max(
        1,
        LimitRow {
            to: Whereto::Number,
            ..limit(Code::R13)
        },
    )];
    let node = Node::new(&rows);
    assert_eq!(node.code(Caller { to: "1234", ..CALL }), "A00");
    assert_eq!(
        node.code(Caller {
            to: "12%334",
            ..CALL
        }),
        "R13"
    );
    assert_eq!(
        node.code(Caller {
            to: "1-2.34",
            ..CALL
        }),
        "R13"
    );
    assert_eq!(node.code(Caller { to: "1235", ..CALL }), "A00");
}

/// A limit of any kind, small enough to fire.
fn any_limit() -> impl Strategy<Value = LimitRow> {
    let who =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(subscriber, caller, address)| {
            Who {
                subscriber,
                caller,
                address,
            }
        });
    let to = prop_oneof![
        Just(Whereto::Number),
        Just(Whereto::Prefix),
        Just(Whereto::Country),
        Just(Whereto::Any)
    ];
    let count = prop_oneof![
        Just(Count::Attempts),
        Just(Count::Approved),
        Just(Count::Exposure),
        Just(Count::ReportedCalls)
    ];
    let window = prop_oneof![
        (1_u32..40).prop_map(Window::Seconds),
        Just(Window::Day),
        Just(Window::Period)
    ];
    let during = prop_oneof![
        Just(During::Always),
        Just(During::WorkingHours),
        Just(During::OffHours)
    ];
    let action = prop_oneof![
        Just(LimitAction::Report),
        Just(LimitAction::Divert),
        Just(LimitAction::Reject)
    ];
    let hold = prop_oneof![3 => Just(None), 1 => (1_u32..60).prop_map(Some)];
    (who, to, count, window, during, action, hold, 0_u64..6).prop_map(
        |(who, to, count, window, during, action, hold_s, max)| LimitRow {
            who,
            to,
            count,
            window: (count != Count::ReportedCalls).then_some(window),
            during,
            action,
            hold_s,
            max: if count == Count::Exposure {
                max * 300_000
            } else {
                max
            },
            ..limit(Code::R13)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the limits: the decision follows from which of them fired, in file order; detection changes the answer
    /// and nothing else; and what is not approved has taken nothing of what only approved calls take.
    #[test]
    fn the_order_of_limits_holds_and_detection_moves_the_same_state(
        limits in proptest::collection::vec(any_limit(), 1..5),
        calls in proptest::collection::vec((0_usize..3, 0_usize..3, 0_u64..20, proptest::option::of(0_u32..8)), 1..60),
    ) {
        let mut rows = rows();
        rows.policies[0].schedule = office();
        rows.policies[0].divert = Some(DivertRow { prefix: *b"D00", host: None });
        rows.rates = vec![RateRow { prefix: None, micros_per_minute: 100_000 }];
        let codes = [Code::R08, Code::R09, Code::R10, Code::R11];
        rows.policies[0].limits = limits.into_iter().zip(codes).map(|(row, code)| LimitRow { name: code.text().to_owned(), code, ..row }).collect();
        let prevention = Node::new(&rows);
        rows.domains[0].mode = Mode::Detection;
        let detection = Node::new(&rows);
        let mut model = model::Model::new(&rows.policies[0].limits);
        for node in [&prevention, &detection] {
            node.wait(9 * 3600 - 30);
        }
        for (from, to, wait, reported) in calls {
            let caller = Caller {
                from: ["1001", "1002", "1003"][from],
                to: ["+442071838750", "+447012345678", "+12125550100"][to],
                reported,
                ..CALL
            };
            prevention.wait(wait);
            detection.wait(wait);
            let decision = prevention.decide(caller);
            let detected = detection.decide(caller);
            let want = model.decide(&caller, MONDAY + prevention.second.get());
            let got = (decision.verdict, decision.code);
            prop_assert_eq!(got, want);
            prop_assert_eq!(decision.reports, detected.reports);
            prop_assert_eq!(detected.verdict, Verdict::Approve);
            prop_assert_eq!(detected.code, Code::A00);
            let would = Some(decision.code).filter(|code| *code != Code::A00);
            prop_assert_eq!(detected.would, would);
        }
    }
}

/// What the limits should say, written from the semantics and from nothing else.
mod model {
    use super::*;
    use std::collections::HashMap;

    type Key = (usize, String);

    pub(super) struct Model<'a> {
        limits: &'a [LimitRow],
        sums: HashMap<Key, Vec<(u64, u64)>>,
        holds: HashMap<Key, u64>,
    }

    impl<'a> Model<'a> {
        pub(super) fn new(limits: &'a [LimitRow]) -> Self {
            Self {
                limits,
                sums: HashMap::new(),
                holds: HashMap::new(),
            }
        }

        fn key(&self, at: usize, caller: &Caller<'_>) -> Key {
            let row = &self.limits[at];
            let mut text = String::new();
            if row.who.caller {
                text += caller.from;
            }
            text += match (row.to, caller.to) {
                (Whereto::Number, number) => number,
                (Whereto::Prefix, "+442071838750") => "44",
                (Whereto::Prefix, "+447012345678") => "4470",
                (Whereto::Prefix | Whereto::Country, "+12125550100") => "1",
                (Whereto::Country, _) => "GB",
                (Whereto::Any, _) => "",
                (Whereto::Prefix, other) => panic!("{other}"),
            };
            (at, text)
        }

        /// What counts at this moment in the window of a limit.
        fn sum(&self, key: &Key, at_s: u64) -> u64 {
            let row = &self.limits[key.0];
            let all = self.sums.get(key).into_iter().flatten();
            let in_window = |moment: u64| match row.window.unwrap() {
                Window::Seconds(seconds) => at_s - moment < u64::from(seconds),
                Window::Day => at_s / 86_400 == moment / 86_400,
                Window::Period => stretch(at_s) == stretch(moment),
            };
            all.filter(|(moment, _)| in_window(*moment))
                .map(|(_, amount)| *amount)
                .sum()
        }

        pub(super) fn decide(&mut self, caller: &Caller<'_>, at_s: u64) -> (Verdict, Code) {
            let mut stops: Vec<(LimitAction, Code)> = Vec::new();
            for (at, row) in self.limits.iter().enumerate() {
                let until = self.holds.get(&self.key(at, caller));
                if until.is_some_and(|until| at_s < *until) {
                    stops.push((row.action, row.code));
                }
            }
            if let Some(stop) = first(&stops) {
                return stop;
            }
            stops.clear();
            let mut reserved = Vec::new();
            for (at, row) in self.limits.iter().enumerate() {
                let working = stretch(at_s).1;
                let in_force = match row.during {
                    During::Always => true,
                    During::WorkingHours => working,
                    During::OffHours => !working,
                };
                let is_rejected = stops
                    .iter()
                    .any(|(action, _)| *action == LimitAction::Reject);
                if !in_force || (is_rejected && row.count != Count::Attempts) {
                    continue;
                }
                let key = self.key(at, caller);
                let fires = match row.count {
                    Count::ReportedCalls => caller
                        .reported
                        .is_some_and(|calls| u64::from(calls) > row.max),
                    Count::Attempts | Count::Approved | Count::Exposure => {
                        let amount = if row.count == Count::Exposure {
                            300_000
                        } else {
                            1
                        };
                        let before = self.sum(&key, at_s);
                        if before < row.max {
                            self.sums
                                .entry(key.clone())
                                .or_default()
                                .push((at_s, amount));
                            if row.count != Count::Attempts {
                                reserved.push(key.clone());
                            }
                        }
                        before + amount > row.max
                    }
                };
                if fires {
                    if let Some(seconds) = row.hold_s {
                        let until = self.holds.entry(key).or_insert(0);
                        if *until <= at_s {
                            *until = at_s + u64::from(seconds);
                        }
                    }
                    stops.push((row.action, row.code));
                }
            }
            let Some(stop) = first(&stops) else {
                return (Verdict::Approve, Code::A00);
            };
            for key in reserved {
                self.sums.get_mut(&key).unwrap().pop();
            }
            stop
        }
    }

    /// The first reject, else the first divert.
    fn first(stops: &[(LimitAction, Code)]) -> Option<(Verdict, Code)> {
        let of = |wanted| stops.iter().find(|(action, _)| *action == wanted);
        let reject = of(LimitAction::Reject).map(|(_, code)| (Verdict::Reject, *code));
        reject.or_else(|| of(LimitAction::Divert).map(|(_, code)| (Verdict::Divert, *code)))
    }

    /// Which stretch of the office's hours a moment lies in, and whether it is a working one.
    fn stretch(at_s: u64) -> (u64, bool) {
        let (day, second) = ((at_s - MONDAY) / 86_400, at_s % 86_400);
        let works = day % 7 < 5 && (32_400..61_200).contains(&second);
        if works {
            return (2 * day + 1, true);
        }
        // A night belongs to the evening that it begins on, a week-end to its Friday.
        let of_day = if second < 32_400 {
            day.wrapping_sub(1)
        } else {
            day
        };
        let since_monday = of_day.wrapping_add(7) % 7;
        let evening = if since_monday > 4 {
            of_day.wrapping_sub(since_monday - 4)
        } else {
            of_day
        };
        (evening.wrapping_mul(2).wrapping_add(2), false)
    }
}
