//! What stands in an answer: To tag, Contact, and nothing that the RFC does not name.

use crate::harness::{Bench, FROM, INVITE, SOURCE, VIA, invite_with, request};
use tollgate::limits::CONTACT_USER_BYTES_MAX;
use tollgate::policy::rows::{ContactHostRow, Profile};
use tollgate::policy::{CallError, Verdict};
use tollgate::uas::{Admission, Packet, Slot};

#[test]
fn an_approved_invite_gets_this_302() {
    // SIP-093, SIP-098, P6, P7
    let outcome = Bench::new().send(INVITE.as_bytes());
    let tag = outcome.to_tag();
    assert_eq!(
        outcome.shown(),
        format!(
            "SIP/2.0 302 Moved Temporarily\r\n\
             Via: {VIA}\r\n\
             From: {FROM}\r\n\
             To: <sip:011442071838750@127.0.0.1:5060>;tag={tag}\r\n\
             Call-ID: 2250b2316e4f174039004d052b2aef3d@127.0.0.1:5070\r\n\
             CSeq: 102 INVITE\r\n\
             Contact: <sip:A00011442071838750@pbx.example.com>\r\n\
             Content-Length: 0\r\n\r\n"
        )
    );
    assert_eq!(outcome.admission, Admission::Call);
    assert_eq!(
        outcome.reply.map(|reply| reply.destination.port()),
        Some(5070)
    );
}

#[test]
fn retransmission_gets_the_same_to_tag_and_another_request_another() {
    // SIP-080, SIP-085, SIP-141: `send` already compares two answers octet for octet.
    let tag = |bytes: &[u8]| Bench::new().send(bytes).to_tag();
    let first = tag(INVITE.as_bytes());
    assert_eq!(first.len(), 16);
    assert_eq!(tag(request("CANCEL").as_bytes()), first);
    for (from, to) in [
        ("z9hG4bK48de1b64", "z9hG4bK48de1b65"),
        ("Call-ID: 2", "Call-ID: 3"),
        ("CSeq: 102", "CSeq: 103"),
        ("tag=as74dd9bd9", "tag=as74dd9bda"),
    ] {
        assert_ne!(tag(&invite_with(from, to)), first, "{from}");
    }
    let mut other_key = Bench::new();
    other_key.uas = tollgate::uas::Uas::new([8; 16]);
    assert_ne!(other_key.send(INVITE.as_bytes()).to_tag(), first);
}

#[test]
fn a_to_tag_is_copied_and_names_no_dialog() {
    // SIP-079, SIP-086
    let outcome = Bench::new().send(&invite_with(
        "5060>\r\nContact",
        "5060>;tag=mine\r\nContact",
    ));
    assert_eq!(outcome.status(), Some(481));
    assert_eq!(
        outcome.one("To"),
        "<sip:011442071838750@127.0.0.1:5060>;tag=mine"
    );
}

#[test]
fn contact_is_made_from_the_user_as_received() {
    // SIP-093 and SEMANTICS: up to the first ";" or ":", in brackets, no parameters
    for (uri, contact) in [
        (
            "sip:+442071838750;phone-context=x@h:5060;user=phone",
            "<sip:A00+442071838750@pbx.example.com>",
        ),
        ("sip:011-44-2071@h", "<sip:A00011-44-2071@pbx.example.com>"),
        ("sip:44:pw@h", "<sip:A0044@pbx.example.com>"),
        (
            "sip:%2B442071838750@h",
            "<sip:A00%2B442071838750@pbx.example.com>",
        ),
        (
            "tel:+44-2071;phone-context=+1",
            "<sip:A00+44-2071@pbx.example.com>",
        ),
        ("sip:44#1@h", "<sip:A0044%231@pbx.example.com>"),
    ] {
        let outcome = Bench::new().send(&invite_with(
            "sip:011442071838750@127.0.0.1:5060 SIP",
            &format!("{uri} SIP"),
        ));
        assert_eq!(outcome.status(), Some(302), "{uri}");
        assert_eq!(outcome.one("Contact"), contact, "{uri}");
    }
}

#[test]
fn contact_host_is_the_configured_one() {
    for (host, from, contact) in [
        (
            ContactHostRow::From,
            "<sip:1003@[2001:db8::1]:5070>",
            "<sip:A00011442071838750@[2001:db8::1]>",
        ),
        (
            ContactHostRow::From,
            "<tel:+1555>",
            "<sip:A00011442071838750@127.0.0.1>",
        ),
        (
            ContactHostRow::RequestUri,
            "<sip:1@x>",
            "<sip:A00011442071838750@127.0.0.1>",
        ),
        (
            ContactHostRow::Source,
            "<sip:1@x>",
            "<sip:A00011442071838750@127.0.0.1>",
        ),
        (
            ContactHostRow::Fixed("gate.example".to_owned()),
            "<sip:1@x>",
            "<sip:A00011442071838750@gate.example>",
        ),
    ] {
        let mut bench = Bench::with(|rows| rows.domains[0].contact_host = host.clone());
        let outcome = bench.send(&invite_with(
            "\"Bob\" <sip:1003@pbx.example.com:5070>",
            from,
        ));
        assert_eq!(outcome.one("Contact"), contact, "{host:?}");
    }
}

#[test]
fn a_contact_user_beyond_what_asterisk_dials_is_incomplete() {
    let longest = "1".repeat(CONTACT_USER_BYTES_MAX - 3);
    let dial = |user: &str| invite_with("sip:011442071838750@127", &format!("sip:{user}@127"));
    let mut bench = Bench::new();
    assert_eq!(bench.send(&dial(&longest)).status(), Some(302));
    assert_eq!(
        bench.send(&dial(&format!("{longest}1"))).status(),
        Some(484)
    );
    // Escaping makes three octets of one: 30 numbers signs are 90.
    let bytes = dial(&"#".repeat(30));
    assert_eq!(bench.send(&bytes).status(), Some(484));
    let packet = Packet {
        bytes: &bytes,
        full_length: bytes.len(),
        source: SOURCE.parse().unwrap(),
    };
    let mut slot = Slot::new();
    bench.uas.scan(&bench.policy, &packet, &mut slot);
    bench.uas.admit(&bench.policy, &packet, &mut slot);
    bench
        .uas
        .decide(&bench.policy, &packet, bench.now, &mut slot);
    let verdict = slot.decision().map(|decision| decision.verdict);
    assert_eq!(verdict, Some(Verdict::Error(CallError::AddressIncomplete)));
}

#[test]
fn an_error_of_an_invite_never_looks_like_an_approval() {
    for (profile, status) in [
        (Profile::Failover, 403),
        (Profile::NextRoute, 603),
        (Profile::Monitor, 487),
    ] {
        let mut bench = Bench::with(|rows| rows.domains[0].profile = profile);
        for (from, to) in [
            ("From: ", "Frm: "),
            (" SIP/2.0\r\n", " SIP/9.9\r\n"),
            ("INVITE sip", "INVITE  sip"),
            ("sip:011442071838750@127.0.0.1:5060 SIP", "urn:x SIP"),
            ("5060>\r\nContact", "5060>;tag=x\r\nContact"),
            ("Content-Length: 5", "Content-Length: 55"),
            ("User-Agent: ", "User-Agent "),
        ] {
            let outcome = bench.send(&invite_with(from, to));
            assert_eq!(outcome.status(), Some(status), "{profile:?}: {to}");
            assert_eq!(outcome.all("Contact"), Vec::<String>::new());
        }
        // Other methods get RFC 3261's own status.
        assert_eq!(bench.send(request("BYE").as_bytes()).status(), Some(481));
        assert_eq!(
            bench
                .send(request("OPTIONS").replace("From:", "Frm:").as_bytes())
                .status(),
            Some(400)
        );
    }
}

#[test]
fn nothing_of_the_request_is_echoed_but_what_the_rfc_names() {
    // SIP-094, SIP-099, SIP-100, SIP-101, SIP-102, SIP-103
    let outcome = Bench::new().send(&invite_with(
        "User-Agent: ",
        "Record-Route: <sip:lb;lr>\r\nTimestamp: 1\r\nP-tfps: 1;d;;A;1\r\nUser-Agent: ",
    ));
    let shown = outcome.shown();
    let names: Vec<&str> = shown
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':').map(|(name, _)| name))
        .collect();
    assert_eq!(
        names,
        [
            "Via",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Contact",
            "Content-Length"
        ]
    );
}
