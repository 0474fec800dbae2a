//! SEMANTICS, Who asks: peers, proxies, domains, subscribers.

use super::*;
use proptest::prelude::*;

const OK: &str = "+442071838750";

/// Two domains that share a peer and one alone: names, trust and proxies differ.
fn three_domains() -> Rows {
    let mut rows = rows();
    rows.domains = vec![
        DomainRow {
            peers: vec![block("192.0.2.0/28"), block("2001:db8::/64")],
            proxies: vec![block("198.51.100.9")],
            ..domain("first")
        },
        DomainRow {
            peers: vec![block("192.0.2.0/24")],
            trust_headers: false,
            proxies: vec![block("198.51.100.8/30")],
            ..domain("second")
        },
        DomainRow {
            peers: vec![block("192.0.2.1"), block("203.0.113.0/24")],
            names: vec![
                "PBX.Third.Example".to_owned(),
                "[2001:db8::5]".to_owned(),
                "first".to_owned(),
            ],
            ..domain("third")
        },
    ];
    rows
}

fn domain_of(snapshot: &Snapshot, call: &CallAttempt<'_>) -> String {
    decide(snapshot, call)
        .domain
        .map_or("", |domain| snapshot.domain_name(domain))
        .to_owned()
}

#[test]
fn a_source_is_a_proxy_a_peer_or_unknown() {
    let mut rows = three_domains();
    rows.domains[0].peers.push(block("198.51.100.9"));
    let snapshot = build(&rows);
    for (address, want) in [
        ("192.0.2.1", "peer"),
        ("::ffff:192.0.2.1", "peer"),
        ("192.0.2.255", "peer"),
        ("192.0.3.0", "unknown"),
        ("2001:db8::abcd", "peer"),
        ("2001:db8:0:1::", "unknown"),
        ("198.51.100.9", "proxy"), // also a peer: what it forwards is not its own
        ("198.51.100.11", "proxy"),
        ("198.51.100.12", "unknown"),
    ] {
        let seen = match snapshot.source(ip(address)) {
            Source::Unknown => "unknown",
            Source::Peer(_) => "peer",
            Source::Proxy => "proxy",
        };
        assert_eq!(seen, want, "{address}");
    }
}

#[test]
fn a_peer_behind_a_proxy_is_in_the_domains_that_list_both() {
    let snapshot = build(&three_domains());
    for (proxy, peer, want) in [
        ("198.51.100.9", "192.0.2.1", Some("first")),
        ("198.51.100.10", "192.0.2.1", Some("second")),
        ("198.51.100.9", "192.0.2.200", Some("second")),
        ("198.51.100.9", "2001:db8::1", Some("first")),
        ("198.51.100.10", "2001:db8::1", None),
        ("198.51.100.9", "203.0.113.1", None), // its domain lists no proxy
        ("198.51.100.9", "10.0.0.1", None),
        ("198.51.100.12", "192.0.2.1", None),
    ] {
        let seen = snapshot
            .peer_behind(ip(proxy), ip(peer))
            .map(|peer| domain_of(&snapshot, &attempt_of(peer, OK)));
        assert_eq!(seen.as_deref(), want, "{proxy} {peer}");
    }
}

#[test]
fn headers_and_from_host_choose_only_among_the_peers_domains() {
    let mut rows = three_domains();
    rows.domains.push(DomainRow {
        peers: vec![block("203.0.113.200")],
        ..domain("fourth")
    });
    let snapshot = build(&rows);
    for (header, from_host, want) in [
        (None, "192.0.2.1", "first"),
        (None, "pbx.second.example", "second"),
        (None, "SECOND", "second"),
        (None, "pbx.third.EXAMPLE", "third"),
        (None, "[2001:DB8::5]", "third"),
        (None, "first", "first"), // a name of two: file order
        (None, "pbx.fourth.example", "first"),
        (Some("third"), "second", "third"),
        (Some("pbx.third.example"), "first", "third"),
        (Some("second"), "third", "third"), // the header names a domain that trusts none
        (Some("second"), "nowhere", "first"),
        (Some("fourth"), "second", "second"),
        (Some(""), "second", "second"),
    ] {
        let mut call = attempt(&snapshot, OK);
        call.from_host = from_host.as_bytes();
        if let Some(header) = header {
            call.screening = Screening {
                domain: Some(header.as_bytes()),
                ..screening()
            };
        }
        assert_eq!(domain_of(&snapshot, &call), want, "{header:?} {from_host}");
        call.screening.family = HeaderFamily::None;
        let without = domain_of(&snapshot, &call);
        call.screening = Screening::NONE;
        assert_eq!(without, domain_of(&snapshot, &call));
    }
    // A peer of one domain is in it, whatever it says.
    let Source::Peer(peer) = snapshot.source(ip("192.0.2.77")) else {
        panic!("192.0.2.77 is a peer");
    };
    let mut call = attempt_of(peer, OK);
    call.from_host = b"first";
    assert_eq!(domain_of(&snapshot, &call), "second");
    call.from_host = &[b'x'; 5000];
    assert_eq!(domain_of(&snapshot, &call), "second");
}

#[test]
fn without_domains_every_source_is_unknown() {
    let snapshot = build(&Rows::default());
    for address in [PEER, "127.0.0.1", "::1"] {
        assert_eq!(snapshot.source(ip(address)), Source::Unknown, "{address}");
        assert_eq!(snapshot.peer_behind(ip(address), ip(PEER)), None);
    }
    assert_eq!((snapshot.domain_count(), snapshot.domain_name(0)), (0, ""));
}

#[test]
fn a_peer_of_another_snapshot_is_answered_403() {
    let snapshot = build(&rows());
    let decision = decide(&snapshot, &attempt_of(Peer { domain_set: 99 }, OK));
    assert_eq!(words(&decision), "UnknownPeer");
    assert_eq!((decision.plan.status.0, decision.domain), (403, None));
}

fn subscribers() -> Rows {
    let mut rows = rows();
    rows.domains.push(DomainRow {
        peers: vec![block("203.0.113.1")],
        ..domain("other")
    });
    rows.subscribers = vec![
        SubscriberRow {
            users: vec!["1001".to_owned(), "+15551230000".to_owned()],
            ..subscriber(1, "elsewhere")
        },
        SubscriberRow {
            user_ranges: vec![("1000".to_owned(), "1099".to_owned())],
            ..subscriber(0, "sales")
        },
        SubscriberRow {
            users: vec!["1001".to_owned(), "2001".to_owned(), "alice".to_owned()],
            ..subscriber(0, "desk")
        },
        SubscriberRow {
            tech_prefix: Some("77".to_owned()),
            peers: vec![block("192.0.2.64/26")],
            ..subscriber(0, "reseller")
        },
        SubscriberRow {
            tech_prefix: Some("7".to_owned()),
            users: vec!["3001".to_owned()],
            ..subscriber(0, "small reseller")
        },
        SubscriberRow {
            peers: vec![block("192.0.2.0/24")],
            users: vec!["4001".to_owned()],
            ..subscriber(0, "everybody")
        },
    ];
    rows
}

#[test]
fn the_first_subscriber_of_which_a_criterion_matches_is_taken() {
    let rows = subscribers();
    let snapshot = build(&rows);
    for (from_user, peer_address, user_part, want) in [
        ("1001", PEER, OK, "sales"),
        ("1099", PEER, OK, "sales"),
        ("01001", PEER, OK, "everybody"), // five digits are not within four
        ("1100", PEER, OK, "everybody"),
        ("2001", PEER, OK, "desk"),
        ("alice", PEER, OK, "desk"),
        ("Alice", PEER, OK, "everybody"), // RFC 3261 §19.1.4: the user part minds case
        ("%61lice", PEER, OK, "desk"),
        ("alice;x=y", PEER, OK, "desk"),
        ("bob", PEER, "77+442071838750", "reseller"),
        ("bob", PEER, "7+442071838750", "small reseller"),
        ("bob", PEER, "%377+442071838750", "reseller"),
        ("bob", "192.0.2.65", OK, "reseller"),
        ("3001", PEER, OK, "small reseller"),
        ("bob", PEER, OK, "everybody"),
        ("bob", "198.51.100.1", OK, "unknown"),
        ("4001", "198.51.100.1", OK, "everybody"),
        ("+15551230000", "198.51.100.1", OK, "unknown"), // another domain's user
        ("", "198.51.100.1", OK, "unknown"),
    ] {
        let mut call = attempt(&snapshot, user_part);
        call.from_user = from_user.as_bytes();
        call.peer_address = ip(peer_address);
        let decision = decide(&snapshot, &call);
        assert_eq!(decision.domain, Some(0));
        let name = snapshot.subscriber_name(0, decision.subscriber);
        assert_eq!(name, want, "{from_user} {peer_address} {user_part}");
        assert_eq!(
            words(&decision),
            "A00",
            "{from_user} {peer_address} {user_part}"
        );
    }
}

#[test]
fn users_are_compared_with_the_trusted_headers_user_else_with_from() {
    let mut rows = subscribers();
    for (trust_headers, header, want) in [
        (true, Some("2001"), "desk"),
        (true, Some("+15550000000"), "everybody"),
        (true, None, "sales"),
        (false, Some("2001"), "sales"),
    ] {
        rows.domains[0].trust_headers = trust_headers;
        let snapshot = build(&rows);
        let mut call = attempt(&snapshot, OK);
        call.screening = Screening {
            user: header.map(str::as_bytes),
            ..screening()
        };
        let decision = decide(&snapshot, &call);
        assert_eq!(
            snapshot.subscriber_name(0, decision.subscriber),
            want,
            "{trust_headers} {header:?}"
        );
    }
}

proptest! {
    #[test]
    fn ranges_of_users_answer_as_going_through_all_rows_would(
        ranges in proptest::collection::vec((0_u32..2, 2_usize..4, 0_u32..100, 0_u32..100), 0..20),
        users in proptest::collection::vec("[0-9]{1,4}", 1..20),
    ) {
        let mut rows = subscribers();
        rows.subscribers = ranges
            .iter()
            .map(|&(domain, width, one, other)| {
                let (first, last) = (one.min(other), one.max(other));
                SubscriberRow {
                    user_ranges: vec![(format!("{first:0width$}"), format!("{last:0width$}"))],
                    ..subscriber(domain as usize, "range")
                }
            })
            .collect();
        let snapshot = build(&rows);
        for user in users {
            let want = rows.subscribers.iter().position(|row| {
                let (first, last) = &row.user_ranges[0];
                row.domain == 0 && user.len() == first.len() && *first <= user && user <= *last
            });
            let mut call = attempt(&snapshot, OK);
            call.from_user = user.as_bytes();
            let found = decide(&snapshot, &call).subscriber.map(|row| row as usize);
            prop_assert_eq!(found, want, "{}", user);
        }
    }

    #[test]
    fn no_user_part_from_and_agent_panics_and_none_is_approved_by_accident(
        user_part in proptest::collection::vec(any::<u8>(), 0..200),
        from_user in proptest::collection::vec(any::<u8>(), 0..200),
        agent in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut rows = subscribers();
        rows.domains[0].emergency = vec![b"112".to_vec()];
        rows.lists = vec![listed(Scope::System, Pattern::AgentExpression("x+y".to_owned()), Some(Code::R01))];
        let snapshot = build(&rows);
        let mut call = attempt(&snapshot, "");
        call.user_part = &user_part;
        call.from_user = &from_user;
        call.user_agent = Some(&agent);
        let decision = decide(&snapshot, &call);
        if decision.verdict == Verdict::Approve {
            let emergency = user_part.windows(1).filter(|byte| b"12".contains(&byte[0])).count() >= 3;
            prop_assert!(decision.destination.is_some() || emergency, "{:?}", decision);
        }
    }
}
