//! The checklist's rules on values: lists, quoted strings, escapes, and the verdicts that wear a status of their own.

use crate::harness::{Bench, INVITE, invite_with, request};
use crate::rows::single;
use tollgate::policy::rows::Action;

const VIA: &str = "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK48de1b64";

#[test]
fn a_comma_list_is_a_repeated_header() {
    // SIP-034, SIP-078: three Vias in one field, in two, in three: the same order back.
    let below = [
        "SIP/2.0/UDP 10.0.0.1;x=\"a,b\"",
        "SIP/2.0/TCP [2001:db8::1]:5061",
    ];
    for between in [
        [", ", ","],
        ["\r\nVia: ", ", "],
        [" ,\r\n ", "\r\nv: "],
        ["\r\nv:", "\r\nVIA: "],
    ] {
        let vias = format!("{VIA}{}{}{}{}", between[0], below[0], between[1], below[1]);
        let mut bench = Bench::with(|rows| rows.domains[0].proxies = vec![single("127.0.0.20")]);
        let outcome = bench.send(&invite_with(VIA, &vias));
        assert_eq!(outcome.status(), Some(302), "{between:?}");
        let back = outcome.all("Via").join(", ");
        let places: Vec<usize> = [VIA, below[0], below[1]]
            .into_iter()
            .map(|via| back.find(via).unwrap_or_else(|| panic!("{via} in {back}")))
            .collect();
        assert!(places.is_sorted(), "{back}");
        // The value below the top one is the peer behind a proxy, however the list is written: 10.0.0.1 is nobody.
        let behind = bench.send_from("127.0.0.20:5060", &invite_with(VIA, &vias));
        assert_eq!(behind.status(), Some(403), "{between:?}");
    }
}

#[test]
fn separators_in_a_quoted_string_separate_nothing() {
    // SIP-036
    for (name, status) in [
        (r#""Bob \" \\ , ; < > : tag=no""#, 302),
        (r#""Bob;tag=no""#, 302),
        (r#""Bob \""#, 400),
        (r#""Bob"#, 400),
        (r#"Bob""#, 400),
        (r#""Bob" x"#, 400),
    ] {
        for field in ["From", "To"] {
            let value = format!("{name} <sip:1003@h>;tag=own");
            let datagram = match field {
                "From" => invite_with(
                    "\"Bob\" <sip:1003@pbx.example.com:5070>;tag=as74dd9bd9",
                    &value,
                ),
                // A To tag of its own shows that the right one was read: 481.
                _ => invite_with(
                    "<sip:011442071838750@127.0.0.1:5060>\r\nContact",
                    &format!("{value}\r\nContact"),
                ),
            };
            let wanted = if status == 302 && field == "To" {
                481
            } else {
                status
            };
            let outcome = Bench::new().send(&datagram);
            assert_eq!(outcome.status(), Some(wanted), "{field}: {name}");
            assert!(outcome.one(field).starts_with(name), "{field}: {name}");
        }
    }
}

#[test]
fn an_escape_is_one_only_where_escapes_are() {
    // SIP-051: not in names of fields, not in tags; decoded once in a user.
    let tag = |to: &str| {
        Bench::new()
            .send(&invite_with("tag=as74dd9bd9", to))
            .to_tag()
    };
    assert_ne!(tag("tag=a%62"), tag("tag=ab"));
    let mut bench = Bench::new();
    assert_eq!(
        bench.send(&invite_with("From: ", "F%72om: ")).status(),
        Some(400)
    );
    for (user, status) in [
        ("%31%31%32", 302),
        ("%2531", 484),
        ("44%00", 484),
        ("44%0d%0a", 484),
        ("44%3", 484),
    ] {
        let uri = format!("sip:{user}@127");
        let outcome = bench.send(&invite_with("sip:011442071838750@127", &uri));
        assert_eq!(outcome.status(), Some(status), "{user}");
    }
}

#[test]
fn a_rejection_is_603_and_says_why() {
    // SIP-095
    let mut bench = Bench::with(|rows| rows.policies[0].unknown_prefix = Action::Reject);
    let outcome = bench.send(INVITE.as_bytes());
    assert_eq!(
        (outcome.status(), outcome.phrase().as_str()),
        (Some(603), "Decline")
    );
    assert_eq!(outcome.one("Reason"), "Q.850;cause=21");
    assert_eq!(outcome.all("Contact"), Vec::<String>::new());
    assert_eq!(outcome.all("Retry-After"), Vec::<String>::new());
}

#[test]
fn emergency_numbers_pass_whatever_else_is_wrong_with_the_call() {
    // SIP-104
    let mut bench = Bench::with(|rows| {
        rows.policies[0].unknown_prefix = Action::Reject;
        rows.policies[0].unknown_identity = Action::Reject;
    });
    bench
        .uas
        .set_listening(&["127.0.0.1:5060".parse().expect("an address")]);
    let looped = format!("{VIA}\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nP-tfps: 1\r\nP-tfps: 2");
    let datagram = invite_with(VIA, &looped);
    assert_eq!(bench.send(&datagram).status(), Some(482)); // SIP-092
    let text = String::from_utf8(datagram).expect("text");
    let emergency = text.replacen("sip:011442071838750@", "sip:112@", 1);
    assert_eq!(bench.send(emergency.as_bytes()).status(), Some(302));
    // A request that is no call is none of an emergency's business.
    assert_eq!(bench.send(request("BYE").as_bytes()).status(), Some(481));
}

#[test]
fn an_emergency_call_is_approved_even_when_its_own_contact_host_finds_no_room() {
    // SIP-104: the From host would stand in the answer twice, which is more than half as long again as the request (P4).
    let mut bench = Bench::new();
    let host = "h".repeat(1_200);
    for (number, status, contact) in [
        ("112", 302, "<sip:A00112@127.0.0.1>"),
        ("011442071838750", 513, ""),
    ] {
        let text = INVITE
            .replacen("sip:011442071838750@", &format!("sip:{number}@"), 1)
            .replacen("pbx.example.com:5070", &host, 1);
        assert!(text.contains(&host));
        let outcome = bench.send(text.as_bytes());
        assert_eq!(outcome.status(), Some(status), "{number}");
        let answer = String::from_utf8(outcome.text).expect("text");
        assert!(answer.contains(contact), "{answer}");
    }
}

#[test]
fn a_listener_of_all_addresses_guards_by_the_called_user_only() {
    // SIP-092: what others call us is not known then. The top Via is the sender's own, whatever it says.
    for (listening, vias, status) in [
        (
            "0.0.0.0:5060",
            format!("{VIA}\r\nVia: SIP/2.0/UDP 0.0.0.0"),
            302,
        ),
        ("0.0.0.0:5060", format!("{VIA}, SIP/2.0/UDP 127.0.0.1"), 302),
        (
            "127.0.0.1:5060",
            format!("{VIA}, SIP/2.0/UDP 127.0.0.1"),
            482,
        ),
        (
            "127.0.0.1:5060",
            format!("{VIA}, SIP/2.0/UDP 127.0.0.1:5061"),
            302,
        ),
        (
            "[::ffff:127.0.0.1]:5060",
            format!("{VIA}, SIP/2.0/UDP [::ffff:127.0.0.1]:5060"),
            482,
        ),
        ("127.0.0.1:5060", "SIP/2.0/UDP 127.0.0.1".to_owned(), 302),
    ] {
        let mut bench = Bench::new();
        bench
            .uas
            .set_listening(&[listening.parse().expect("an address")]);
        let outcome = bench.send(&invite_with(VIA, &vias));
        assert_eq!(outcome.status(), Some(status), "{listening}: {vias}");
    }
}
