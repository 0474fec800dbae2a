//! What counts together: who, to where, the limit itself.

use super::*;

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
            foreseen: RefCell::default(),
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

#[test]
fn what_was_foreseen_of_a_number_is_not_counted_for_a_call_of_none() {
    let mut rows = rows();
    rows.policies[0].unknown_prefix = Action::Approve;
    rows.domains[0].bare_e164 = false;
    rows.policies[0].limits = vec![max(
        1,
        LimitRow {
            who: SUBSCRIBER_AND_CALLER,
            ..limit(Code::R13)
        },
    )];
    let node = Node::new(&rows);
    let other = Caller {
        from: "2002",
        ..CALL
    };
    assert_eq!(node.code(CALL), "A00");
    // No number, so nothing is foreseen of it, and it is the other caller's only call.
    assert_eq!(
        node.code(Caller {
            to: "1234",
            ..other
        }),
        "A00"
    );
    assert_eq!(node.code(other), "R13");
}
