//! Syntax: what is read, what is refused, and what a refusal says.

use crate::harness::{Bench, FROM, VIA, check, check_phrases, invite_with};
use tollgate::limits::{HEADERS_MAX, VIAS_MAX};
use tollgate::policy::CallError;
use tollgate::sip::Phrase;
use tollgate::uas::Admission;

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
