//! The checklist's rules, by number, each with the message that shows it.

use crate::harness::{Bench, INVITE, SOURCE, invite_with, request};
use crate::rows::single;
use tollgate::limits::{CONTACT_USER_BYTES_MAX, DATAGRAM_BYTES_MAX, HEADERS_MAX, VIAS_MAX};
use tollgate::policy::rows::{ContactHostRow, Profile};
use tollgate::policy::{CallError, Verdict};
use tollgate::sip::Phrase;
use tollgate::uas::{Admission, Packet, Slot};

const VIA: &str = "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK48de1b64";
const FROM: &str = "\"Bob\" <sip:1003@pbx.example.com:5070>;tag=as74dd9bd9";

/// Each change of the base INVITE and the status it gets; `None` is silence.
fn check(cases: &[(&str, &str, Option<u16>)]) {
    let mut bench = Bench::new();
    for (from, to, status) in cases {
        let outcome = bench.send(&invite_with(from, to));
        assert_eq!(
            outcome.status(),
            *status,
            "{from:?} -> {to:?}: {}",
            outcome.shown()
        );
    }
}

/// Each change of the base INVITE, which gets a 400 with this phrase.
fn check_phrases(cases: &[(&str, &str, &str)]) {
    let mut bench = Bench::new();
    for (from, to, phrase) in cases {
        let outcome = bench.send(&invite_with(from, to));
        assert_eq!(
            outcome.status(),
            Some(400),
            "{from:?} -> {to:?}: {}",
            outcome.shown()
        );
        assert_eq!(outcome.phrase(), *phrase, "{from:?} -> {to:?}");
    }
}

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
fn framing_over_udp() {
    check(&[
        ("Content-Length: 5\r\n", "", Some(302)), // SIP-003
        ("Content-Length: 5", "Content-Length: 3", Some(302)), // SIP-004
        ("Content-Length: 5", "Content-Length: 6", Some(400)), // SIP-005
        ("Content-Length: 5", "Content-Length: -5", Some(400)),
        ("Content-Length: 5", "Content-Length: five", Some(400)),
        (
            "Content-Length: 5",
            "Content-Length: 99999999999",
            Some(400),
        ),
        ("Content-Length: 5", "Content-Length:", Some(400)),
        ("Content-Length: 5", "Content-Length:   5", Some(302)),
        ("Content-Length: 5", "Content-Length: 5\r\nl: 5", Some(302)),
        ("Content-Length: 5", "Content-Length: 5\r\nl: 4", Some(400)), // SIP-048
        ("INVITE sip:", "\r\n\r\nINVITE sip:", Some(302)),             // SIP-007
        ("\r\n\r\nv=0\r\n", "\r\n\r\n", Some(400)),
    ]);
    let mut bench = Bench::new();
    for keep_alive in ["", "\r\n\r\n", "\r\n", "\0\0\0\0"] {
        // SIP-008
        let outcome = bench.send(keep_alive.as_bytes());
        assert_eq!(outcome.admission, Admission::KeepAlive);
        assert_eq!(outcome.reply, None);
    }
}

#[test]
fn a_datagram_that_the_kernel_cut_is_judged_by_its_full_length() {
    // SIP-002: a body of 60 kB behind a whole head is none of our business.
    let whole =
        String::from_utf8(invite_with("Content-Length: 5", "Content-Length: 60000")).unwrap();
    let mut bytes = whole.clone().into_bytes();
    bytes.resize(DATAGRAM_BYTES_MAX, b'x');
    let head = whole.len() - 5;
    let mut bench = Bench::new();
    assert_eq!(
        bench.send_cut(SOURCE, &bytes, head + 60_000).status(),
        Some(302)
    );
    assert_eq!(
        bench.send_cut(SOURCE, &bytes, head + 59_999).status(),
        Some(400)
    );
    // Without a blank line in what was read, nobody knows what was lost.
    let mut bytes = invite_with("Content-Type: application/sdp", "Content-Type: a;");
    let at = bytes.windows(2).position(|pair| pair == b"a;").unwrap() + 2;
    bytes.truncate(at);
    bytes.resize(DATAGRAM_BYTES_MAX, b'x');
    assert_eq!(bench.send_cut(SOURCE, &bytes, 60_000).status(), Some(513));
    assert_eq!(bench.send(&bytes).status(), Some(400));
}

#[test]
fn top_via_gets_received_and_rport_and_no_other() {
    // Via sent, Via back, port of the answer: RFC 3261 §18.2.1, §18.2.2 and RFC 3581 §4 (SIP-013 to SIP-018, SIP-140)
    for (sent, back, port) in [
        (
            "SIP/2.0/UDP 127.0.0.1:5070;branch=x",
            "SIP/2.0/UDP 127.0.0.1:5070;branch=x",
            5070,
        ),
        (
            "SIP/2.0/UDP 127.0.0.1;branch=x",
            "SIP/2.0/UDP 127.0.0.1;branch=x",
            5060,
        ),
        (
            "SIP/2.0/UDP 127.0.0.2:5070;branch=x",
            "SIP/2.0/UDP 127.0.0.2:5070;branch=x;received=127.0.0.1",
            5070,
        ),
        (
            "SIP/2.0/UDP pbx:5070;branch=x",
            "SIP/2.0/UDP pbx:5070;branch=x;received=127.0.0.1",
            5070,
        ),
        (
            "SIP/2.0/UDP 127.0.0.1:5070;rport;branch=x",
            "SIP/2.0/UDP 127.0.0.1:5070;rport=40000;branch=x;received=127.0.0.1",
            40000,
        ),
        (
            "SIP/2.0/UDP 127.0.0.1;branch=x;received=9.9.9.9;rport=77",
            "SIP/2.0/UDP 127.0.0.1;branch=x;received=127.0.0.1;rport=40000",
            40000,
        ),
        (
            "SIP/2.0/UDP 127.0.0.1;maddr=10.9.9.9;branch=x",
            "SIP/2.0/UDP 127.0.0.1;maddr=10.9.9.9;branch=x",
            5060,
        ),
        (
            "SIP/2.0/UDP 127.0.0.1;maddr=127.0.0.1;branch=x",
            "SIP/2.0/UDP 127.0.0.1;maddr=127.0.0.1;branch=x",
            5060,
        ),
        (
            "SIP/2.0/UDP lb;branch=x , SIP/2.0/UDP pbx;rport",
            "SIP/2.0/UDP lb;branch=x;received=127.0.0.1 , SIP/2.0/UDP pbx;rport",
            5060,
        ),
        (
            "SIP/2.0/UDP lb;branch=x\r\nv: SIP/2.0/UDP pbx;rport",
            "SIP/2.0/UDP lb;branch=x;received=127.0.0.1|SIP/2.0/UDP pbx;rport",
            5060,
        ),
        (
            "SIP/2.0/UDP [::ffff:127.0.0.1]:5070;branch=x",
            "SIP/2.0/UDP [::ffff:127.0.0.1]:5070;branch=x",
            5070,
        ), // SIP-022
    ] {
        let outcome = Bench::new().send(&invite_with(VIA, sent));
        assert_eq!(outcome.all("Via").join("|"), back);
        assert_eq!(
            outcome.reply.map(|reply| reply.destination.port()),
            Some(port),
            "{sent}"
        );
        assert_eq!(outcome.status(), Some(302), "{sent}");
    }
}

#[test]
fn received_of_an_ipv6_source_has_no_brackets() {
    // SIP-021
    let outcome = Bench::new().send_from(
        "[::1]:40000",
        &invite_with(VIA, "SIP/2.0/UDP [2001:db8::1]:5070;rport"),
    );
    assert_eq!(
        outcome.one("Via"),
        "SIP/2.0/UDP [2001:db8::1]:5070;rport=40000;received=::1"
    );
    let outcome = Bench::new().send_from(
        "[::1]:40000",
        &invite_with(VIA, "SIP/2.0/UDP [::1]:5070;branch=x"),
    );
    assert_eq!(outcome.one("Via"), "SIP/2.0/UDP [::1]:5070;branch=x");
}

#[test]
fn an_ipv4_mapped_source_is_an_ipv4_source() {
    // SIP-022
    let outcome = Bench::new().send_from(
        "[::ffff:127.0.0.1]:40000",
        &invite_with("127.0.0.1:5070;b", "pbx;b"),
    );
    assert_eq!(
        outcome.one("Via"),
        "SIP/2.0/UDP pbx;branch=z9hG4bK48de1b64;received=127.0.0.1"
    );
}

#[test]
fn force_rport_answers_to_the_source_port() {
    // SIP-016
    for (forced, port) in [(true, 40000), (false, 5070)] {
        let mut bench = Bench::with(|rows| rows.domains[0].force_rport = forced);
        for datagram in [
            request("INVITE"),
            request("INVITE").replace("From: ", "Frm: "),
            request("OPTIONS"),
            request("OPTIONS").replace("From: ", "Frm: "),
            request("CANCEL"),
            request("REGISTER"),
        ] {
            let outcome = bench.send(datagram.as_bytes());
            let destination = outcome.reply.map(|reply| reply.destination.port());
            assert_eq!(destination, Some(port), "{datagram}");
        }
    }
}

#[test]
fn names_in_any_case_form_order_and_fold() {
    // SIP-030 to SIP-035
    check(&[
        ("Via: ", "vIA \t: ", Some(302)),
        ("From: ", "f:", Some(302)),
        ("To: ", "t :\r\n ", Some(302)),
        ("Call-ID: ", "I: ", Some(302)),
        ("CSeq: 102 INVITE", "cseq: 0102\r\n\tINVITE", Some(302)),
        ("Content-Type", "c", Some(302)),
        ("SIP/2.0\r\n", "sip/2.0\r\n", Some(302)), // SIP-040
    ]);
    let reordered = "INVITE sip:1@127.0.0.1 SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nCSeq: 1 INVITE\r\nCall-ID: x\r\n\
        To: <sip:1@127.0.0.1>\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n";
    assert_eq!(Bench::new().send(reordered.as_bytes()).status(), Some(302));
}

#[test]
fn what_is_not_needed_is_not_refused() {
    check(&[
        ("User-Agent: ", "Date: yesterday\r\nUser-Agent: ", Some(302)), // SIP-037
        (
            "User-Agent: ",
            "P-Asserted-Identity: ;;,,<\r\nUser-Agent: ",
            Some(302),
        ),
        (
            "User-Agent: ",
            "UnknownHeader: ;;,,;,;\r\nUser-Agent: ",
            Some(302),
        ), // SIP-038
        (
            "User-Agent: ",
            "User-Agent: \u{fffd}\u{7f}\r\nUser-Agent: ",
            Some(302),
        ), // SIP-055
        ("Max-Forwards: 70\r\n", "", Some(302)), // SIP-046
        ("Max-Forwards: 70", "Max-Forwards: 0068", Some(302)),
        ("Max-Forwards: 70", "Max-Forwards: 0", Some(302)), // SIP-089
        ("Max-Forwards: 70", "Max-Forwards: 256", Some(400)),
        ("Max-Forwards: 70", "Max-Forwards: -1", Some(400)),
        (";tag=as74dd9bd9", "", Some(302)),         // SIP-049
        (";branch=z9hG4bK48de1b64", "", Some(302)), // SIP-050
        (";branch=z9hG4bK48de1b64", ";branch=z9hG4bK", Some(302)),
        (
            "User-Agent: ",
            "Require: nothing\r\nUser-Agent: ",
            Some(302),
        ), // SIP-074
        (
            "User-Agent: ",
            "Proxy-Require: nothing\r\nUser-Agent: ",
            Some(302),
        ), // SIP-076
        ("application/sdp", "multipart/mixed;boundary=x", Some(302)), // SIP-077
        (
            "To: <sip:011442071838750@127.0.0.1:5060>",
            "To: unknown:x",
            Some(302),
        ), // SIP-073
        ("CSeq: 102", "CSeq: 0", Some(302)),                          // SIP-044
        ("CSeq: 102", "CSeq: 2147483647", Some(302)),
    ]);
}

#[test]
fn a_400_names_the_fault() {
    // SIP-058
    check_phrases(&[
        (" SIP/2.0\r\n", " SIP/2.0 \r\n", "Bad Request Line"),
        ("INVITE sip:", "INVITE  sip:", "Bad Request Line"), // SIP-042
        ("127.0.0.1:5060 SIP", "127.0.0.1:x SIP", "Bad Request-URI"),
        (
            "127.0.0.1:5060 SIP",
            "127.0.0.1?Route=x SIP",
            "Bad Request-URI",
        ), // SIP-053
        (VIA, "SIP/2.0/UDP 127.0.0.1;;", "Bad Via"),
        ("From: ", "Frm: ", "Missing From"),      // SIP-043
        (FROM, "\"Bob <sip:1003@b>", "Bad From"), // SIP-036
        ("To: ", "Ta: ", "Missing To"),
        ("To: <", "To: < ", "Bad To"),
        ("Call-ID: ", "Call_ID: ", "Missing Call-ID"),
        ("Call-ID: ", "Call-ID: a b", "Bad Call-ID"),
        ("CSeq: 102 INVITE\r\n", "", "Missing CSeq"),
        ("CSeq: 102", "CSeq: 2147483648", "Bad CSeq"), // SIP-044
        ("CSeq: 102", "CSeq: x", "Bad CSeq"),
        ("CSeq: 102 INVITE", "CSeq: 102", "Bad CSeq"),
        (
            "CSeq: 102 INVITE",
            "CSeq: 102 invite",
            "CSeq Method Mismatch",
        ), // SIP-045
        (
            "Content-Length: 5",
            "Content-Length: 6",
            "Bad Content-Length",
        ),
        ("Max-Forwards: 70", "Max-Forwards: 256", "Bad Max-Forwards"),
        ("CSeq: ", "Call-ID: x\r\nCSeq: ", "Repeated Header"), // SIP-047
        ("User-Agent: ", "User-Agent ", "Bad Header Line"),
        ("User-Agent: ", "User Agent: ", "Bad Header Line"), // SIP-033
        ("User-Agent: ", "User-Agent:\n", "Bad Header Line"), // SIP-056
    ]);
}

#[test]
fn every_phrase_of_a_400_is_reachable() {
    let mut bench = Bench::new();
    let outcome = bench.send(&invite_with("From: ", "Frm: "));
    assert_eq!(
        outcome.admission,
        Admission::CallError(CallError::Syntax(Phrase::MissingFrom))
    );
    assert_eq!(outcome.all("From"), Vec::<String>::new());
}

#[test]
fn a_smuggled_line_end_makes_no_header_and_reaches_no_answer() {
    // SIP-056: a caller number of "1006%0aX-Evil: 1", decoded by the PBX.
    for line_end in ["\n", "\r", "\r\r", "\n "] {
        let outcome = Bench::new().send(&invite_with("\"Bob\"", &format!("\"Bob{line_end}X: 1\"")));
        assert_eq!(outcome.status(), Some(400), "{line_end:?}");
        let bare = outcome.shown().replace("\r\n", "");
        assert!(!bare.contains(['\r', '\n']), "{bare:?}");
    }
}

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
    bench
        .uas
        .decide(&bench.policy, &packet, bench.now, &mut slot);
    let verdict = slot.decision().map(|decision| decision.verdict);
    assert_eq!(verdict, Some(Verdict::Error(CallError::AddressIncomplete)));
}

#[test]
fn published_limits_are_answered_with_513() {
    // SIP-057
    let fields = |count: usize| {
        invite_with(
            "User-Agent: ",
            &format!("{}User-Agent: ", "S: x\r\n".repeat(count)),
        )
    };
    let mut bench = Bench::new();
    assert_eq!(bench.send(&fields(HEADERS_MAX - 10)).status(), Some(302));
    assert_eq!(bench.send(&fields(HEADERS_MAX - 9)).status(), Some(513));
    let vias = |count: usize| {
        invite_with(
            "Max-Forwards",
            &format!("{}Max-Forwards", "v:SIP/2.0/UDP 10.0.0.1\r\n".repeat(count)),
        )
    };
    // SIP-078: 100 Vias and more, all of them copied in order.
    let outcome = bench.send(&vias(VIAS_MAX - 1));
    assert_eq!(
        (outcome.status(), outcome.all("Via").len()),
        (Some(302), VIAS_MAX)
    );
    let outcome = bench.send(&vias(VIAS_MAX));
    assert_eq!(
        (outcome.status(), outcome.all("Via").len()),
        (Some(513), VIAS_MAX + 1)
    );
}

#[test]
fn unknown_sources_get_silence_and_are_not_read() {
    // P4
    let mut bench = Bench::new();
    for bytes in [INVITE, "", "SIP/2.0 200 OK\r\n\r\n", &request("OPTIONS")] {
        let outcome = bench.send_from("10.0.0.1:5060", bytes.as_bytes());
        assert_eq!(
            (outcome.admission, outcome.reply),
            (Admission::UnknownSource, None)
        );
    }
}

#[test]
fn behind_a_proxy_the_peer_stands_in_the_via_below() {
    const PROXY: &str = "127.0.0.20:5060";
    let mut bench = Bench::with(|rows| {
        rows.domains[0].peers = vec![single("127.0.0.30")];
        rows.domains[0].proxies = vec![single("127.0.0.20")];
    });
    for (below, status) in [
        ("", 403),
        (", SIP/2.0/UDP 127.0.0.30:5090", 302),
        ("\r\nVia: SIP/2.0/UDP 127.0.0.30:5090", 302),
        (", SIP/2.0/UDP 10.0.0.1;received=127.0.0.30", 302),
        (", SIP/2.0/UDP 127.0.0.30;received=10.0.0.1", 403),
        (", SIP/2.0/UDP 127.0.0.30;received=nonsense", 403),
        (", SIP/2.0/UDP pbx.example.com", 403),
        (", SIP/2.0/UDP pbx.example.com;received=127.0.0.30", 302),
        (", SIP/2.0/UDP 10.0.0.1, SIP/2.0/UDP 127.0.0.30", 403),
        (", SIP/2.0/UDP 127.0.0.30;;", 403),
    ] {
        let vias = format!("SIP/2.0/UDP 127.0.0.20;branch=x{below}");
        let outcome = bench.send_from(PROXY, &invite_with(VIA, &vias));
        assert_eq!(outcome.status(), Some(status), "{below}");
        let unknown = Admission::CallError(CallError::UnknownPeer);
        assert_eq!(outcome.admission == unknown, status == 403, "{below}");
    }
    // The proxy's own OPTIONS has one Via; an ACK is silent from anywhere.
    assert_eq!(
        bench
            .send_from(PROXY, request("OPTIONS").as_bytes())
            .status(),
        Some(200)
    );
    assert_eq!(
        bench.send_from(PROXY, request("ACK").as_bytes()).reply,
        None
    );
    // The PBX itself may also ask directly; others behind loopback may not.
    assert_eq!(
        bench
            .send_from("127.0.0.30:5060", INVITE.as_bytes())
            .status(),
        Some(302)
    );
    assert_eq!(
        bench.send(INVITE.as_bytes()).admission,
        Admission::UnknownSource
    );
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
fn without_a_way_back_there_is_silence() {
    // SIP-043
    let mut bench = Bench::new();
    for (from, to) in [
        ("Via: ", "Vai: "),
        (VIA, "SIP/2.0/UDP"),
        (VIA, "nonsense"),
        (VIA, ""),
    ] {
        let outcome = bench.send(&invite_with(from, to));
        assert_eq!(
            (outcome.admission, outcome.reply),
            (Admission::Unparsable, None),
            "{to}"
        );
    }
    for noise in ["x", "INVITE", "INVITE sip:a@b SIP/2.0\r\n", "\u{80}\u{80}"] {
        assert_eq!(
            bench.send(noise.as_bytes()).admission,
            Admission::Unparsable,
            "{noise}"
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

#[test]
fn an_answer_that_would_be_an_amplifier_is_made_shorter() {
    // P4: a From host of a kilobyte would stand in the answer twice.
    let long = "h".repeat(1200);
    let outcome = Bench::new().send(&invite_with("pbx.example.com", &long));
    assert_eq!(outcome.status(), Some(513));
    assert_eq!(outcome.all("Contact"), Vec::<String>::new());
}
