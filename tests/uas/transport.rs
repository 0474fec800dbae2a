//! Transport and framing: where a request comes from, where its answer goes, and who gets none.

use crate::harness::{Bench, INVITE, SOURCE, VIA, check, invite_with, request};
use crate::rows::single;
use tollgate::limits::DATAGRAM_BYTES_MAX;
use tollgate::policy::CallError;
use tollgate::uas::Admission;

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
    // SIP-143
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
    // Of anybody else a Via below is not believed.
    let vias = "SIP/2.0/UDP 127.0.0.20;branch=x, SIP/2.0/UDP 127.0.0.30;received=127.0.0.30";
    assert_eq!(
        bench.send(&invite_with(VIA, vias)).admission,
        Admission::UnknownSource
    );
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
fn an_answer_that_would_be_an_amplifier_is_made_shorter() {
    // P4: a From host of a kilobyte would stand in the answer twice.
    let long = "h".repeat(1200);
    let outcome = Bench::new().send(&invite_with("pbx.example.com", &long));
    assert_eq!(outcome.status(), Some(513));
    assert_eq!(outcome.all("Contact"), Vec::<String>::new());
}
