//! Methods, schemes, and the order of the checks (RFC 3261 §8.2).

use crate::harness::{Bench, INVITE, check, request};
use crate::rows::single;
use tollgate::uas::Admission;

#[test]
fn rules_are_asked_in_the_rfcs_order() {
    // SIP-041, SIP-070: each message breaks the rule named and all that follow.
    let mut text = request("REGISTER").replace(
        "sip:011442071838750@127.0.0.1:5060 SIP/2.0",
        "urn:x SIP/3.0",
    );
    text = text
        .replace("From: ", "Require: y\r\nFrm: ")
        .replace("Content-Length: 5", "Content-Length: 6");
    let mut bench = Bench::new();
    let mut next = |from: &str, to: &str, status: u16, phrase: &str| {
        let outcome = bench.send(text.as_bytes());
        assert_eq!(
            (outcome.status(), outcome.phrase()),
            (Some(status), phrase.to_owned())
        );
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    };
    next(
        "Content-Length: 6",
        "Content-Length: 5",
        400,
        "Bad Content-Length",
    );
    next("SIP/3.0", "SIP/2.0", 505, "Version Not Supported");
    next("Frm: ", "From: ", 400, "Missing From");
    next("REGISTER", "OPTIONS", 405, "Method Not Allowed");
    next("urn:x", "sip:x", 416, "Unsupported URI Scheme");
    next("Require: y\r\n", "", 420, "Bad Extension");
    next("OPTIONS", "OPTIONS", 200, "OK");
}

#[test]
fn methods() {
    let mut bench = Bench::new();
    for (method, status) in [
        ("INVITE", Some(302)),
        ("invite", Some(501)),  // SIP-039
        ("ACK", None),          // SIP-083
        ("CANCEL", Some(200)),  // SIP-085
        ("OPTIONS", Some(200)), // SIP-088
        ("BYE", Some(481)),     // SIP-087
        ("UPDATE", Some(481)),
        ("PRACK", Some(481)),
        ("INFO", Some(481)),
        ("REGISTER", Some(405)), // SIP-071
        ("MESSAGE", Some(405)),
        ("SUBSCRIBE", Some(405)),
        ("NOTIFY", Some(405)),
        ("PUBLISH", Some(405)),
        ("REFER", Some(405)),
        ("NEWMETHOD", Some(501)), // SIP-072
        ("INVIT%45", Some(501)),  // SIP-051
    ] {
        let outcome = bench.send(request(method).as_bytes());
        assert_eq!(outcome.status(), status, "{method}");
        if status == Some(405) {
            assert_eq!(outcome.one("Allow"), "INVITE, ACK, CANCEL, OPTIONS");
        }
    }
}

#[test]
fn options_says_what_we_do() {
    // SIP-088
    let outcome = Bench::new().send(request("OPTIONS").as_bytes());
    assert_eq!(outcome.one("Allow"), "INVITE, ACK, CANCEL, OPTIONS");
    assert_eq!(outcome.one("Accept"), "application/sdp");
    assert_eq!(outcome.one("Supported"), "");
    // SIP-075
    let required = request("OPTIONS").replace(
        "User-Agent:",
        "Require: a, b\r\nProxy-Require: c\r\nrequire: d\r\nUser-Agent:",
    );
    let outcome = Bench::new().send(required.as_bytes());
    assert_eq!(outcome.status(), Some(420));
    assert_eq!(outcome.all("Unsupported"), ["a, b", "d"]);
    let nothing = request("OPTIONS").replace("User-Agent:", "Require: ,\r\nUser-Agent:");
    assert_eq!(Bench::new().send(nothing.as_bytes()).status(), Some(200));
}

#[test]
fn draining_is_told_to_proxies_only() {
    // SIP-088
    let mut bench = Bench::with(|rows| rows.domains[0].proxies = vec![single("127.0.0.20")]);
    bench.uas.set_draining(true);
    let options = request("OPTIONS");
    assert_eq!(
        bench.send(options.as_bytes()).admission,
        Admission::OptionsDrainingPeer
    );
    assert_eq!(bench.send(options.as_bytes()).reply, None);
    assert_eq!(
        bench
            .send_from("127.0.0.20:5060", options.as_bytes())
            .status(),
        Some(503)
    );
    // What would be refused is told no more than what would be answered.
    for odd in [
        request("OPTIONS").replace("User-Agent:", "Require: a\r\nUser-Agent:"),
        request("OPTIONS").replace("OPTIONS sip:", "OPTIONS soap:"),
        request("OPTIONS").replace("Max-Forwards: 70", "Max-Forwards: 700"),
    ] {
        assert_ne!(odd, options);
        assert_eq!(bench.send(odd.as_bytes()).reply, None, "{odd}");
    }
    assert_eq!(bench.send(INVITE.as_bytes()).status(), Some(302));
}

#[test]
fn ack_and_responses_are_never_answered() {
    // SIP-041, SIP-083, SIP-084, P5
    let mut bench = Bench::new();
    for ack in [
        "ACK",
        "ACK ",
        "ACK sip:a@b SIP/9.9\r\n\r\n",
        "ACK  x\r\n",
        " \r\n\t\r\nACK \r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n",
        &request("ACK")[..200],
    ] {
        let outcome = bench.send(ack.as_bytes());
        assert_eq!(
            (outcome.admission, outcome.reply),
            (Admission::Ack, None),
            "{ack}"
        );
    }
    for response in [
        "SIP/2.0 200 OK\r\n\r\n",
        "SIP/2.0",
        "sip/2.0 999",
        "SIP/7.0 1 x\r\nVia: SIP/2.0/UDP h\r\n\r\n",
    ] {
        let outcome = bench.send(response.as_bytes());
        assert_eq!(
            (outcome.admission, outcome.reply),
            (Admission::Response, None),
            "{response}"
        );
    }
}

#[test]
fn schemes() {
    let uri = "sip:011442071838750@127.0.0.1:5060 SIP";
    check(&[
        (uri, "sips:+442071838750@127.0.0.1 SIP", Some(302)), // SIP-023
        (uri, "tel:+44-2071-838750 SIP", Some(302)),          // SIP-054
        (uri, "urn:service:sos SIP", Some(416)),              // SIP-104
        (uri, "h323:x SIP", Some(416)),                       // SIP-073
        (uri, "x SIP", Some(400)),
        (uri, "sip:127.0.0.1 SIP", Some(484)),
        (uri, "sip:A00442071838750@127.0.0.1 SIP", Some(482)), // SIP-091
        (uri, "sip:1%252B2@127.0.0.1 SIP", Some(484)), // SIP-051: decoded once, "%2B" is no digit
        (uri, "sip:44%002071@127.0.0.1 SIP", Some(484)),
        (uri, "sip:112@127.0.0.1 SIP", Some(302)), // SIP-104
    ]);
}
