//! What the scanner finds, refuses and bears.

use super::*;
use crate::sip::{Address, SipUri, Uri, Via};

#[path = "../../../tests/common/mutate.rs"]
mod mutate;

use mutate::{Dice, mutate};

fn scanned(text: &str) -> (Kind, Layout) {
    let mut layout = Layout::new();
    let kind = layout.scan(text.as_bytes(), false);
    (kind, layout)
}

fn fault(text: &str) -> Option<Fault> {
    let (kind, layout) = scanned(text);
    assert_eq!(kind, Kind::Request, "{text:?}");
    layout.fault
}

const BAD_LINE: Option<Fault> = Some(Fault::Syntax(Phrase::BadHeaderLine));
const BAD_START: Option<Fault> = Some(Fault::Syntax(Phrase::BadRequestLine));

#[test]
fn a_request_is_told_from_what_is_none() {
    for (text, kind) in [
        ("", Kind::KeepAlive),
        ("\r\n\r\n", Kind::KeepAlive), // SIP-008
        ("\0\0\0\0", Kind::KeepAlive),
        ("\n \r", Kind::KeepAlive),
        ("SIP/2.0 200 OK\r\n\r\n", Kind::Response), // SIP-084
        ("\r\nsip/2.0 4294967301 x", Kind::Response),
        ("SIP/7.0 100 ", Kind::Response),
        (" SIP/2.0 200 OK\r\n\r\n", Kind::Response),
        ("SIP", Kind::Request),
        ("INVITE sip:a@b SIP/2.0\r\n\r\n", Kind::Request),
        ("\r\n\r\nINVITE sip:a@b SIP/2.0\r\n\r\n", Kind::Request), // SIP-007
    ] {
        assert_eq!(scanned(text).0, kind, "{text:?}");
    }
}

#[test]
fn parts_are_found_in_any_order_folded_and_compact() {
    // SIP-030 to SIP-035
    let text = "\r\nINVITE sip:a@b sip/2.0\r\nf : sip:c@d\r\n ;tag=1\r\nTO\t:\r\n sip:a@b\r\ni:x\r\nCSEQ: 1\r\n\tINVITE\r\n\
                l:0\r\nX-Other:\r\nvia: SIP/2.0/UDP h , SIP/2.0/UDP i\r\nv:SIP/2.0/UDP j\r\n\r\nFrom: body\r\n";
    let (_, layout) = scanned(text);
    let request = Request::new(text.as_bytes(), &layout);
    assert_eq!(request.fault(), None);
    assert_eq!(request.method(), Method::Invite);
    assert_eq!(request.uri(), b"sip:a@b");
    assert_eq!(request.version(), Version::Two);
    assert_eq!(
        request.value(Header::From),
        Some(&b"sip:c@d\r\n ;tag=1"[..])
    );
    assert_eq!(request.value(Header::To), Some(&b"sip:a@b"[..]));
    assert_eq!(request.value(Header::CallId), Some(&b"x"[..]));
    assert_eq!(request.value(Header::CSeq), Some(&b"1\r\n\tINVITE"[..]));
    assert_eq!(request.value(Header::ContentLength), Some(&b"0"[..]));
    assert_eq!(request.value(Header::UserAgent), None);
    assert_eq!(request.top_via(), Some(&b"SIP/2.0/UDP h "[..]));
    assert_eq!(request.second_via(), Some(&b" SIP/2.0/UDP i"[..]));
    assert_eq!(request.via_fields().count(), 2);
    assert_eq!(layout.via_values, 3);
    assert!(!request.repeated(Header::From));
    assert_eq!(request.body_start(), Some(text.len() - 12));
    let names: Vec<_> = request.fields().map(|(name, _)| name.to_vec()).collect();
    assert_eq!(names.len(), 8);
    assert_eq!(names[5], b"X-Other");
}

#[test]
fn second_via_may_have_a_field_of_its_own() {
    let text = "X a:b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nVia: SIP/2.0/UDP i, SIP/2.0/UDP j\r\n\r\n";
    let (_, layout) = scanned(text);
    let request = Request::new(text.as_bytes(), &layout);
    assert_eq!(request.second_via(), Some(&b"SIP/2.0/UDP i"[..]));
}

#[test]
fn request_line_has_exactly_one_sp_and_no_lws() {
    // RFC 3261 §7.1, SIP-042
    for text in [
        "INVITE  sip:a@b  SIP/2.0",
        "INVITE sip:a@b; lr SIP/2.0",
        "INVITE sip:a@b SIP/2.0  ",
        "INVITE sip:a@b SIP/2.0\t",
        "INVITE\tsip:a@b SIP/2.0",
        "INVITE sip:a@b\tSIP/2.0",
        " INVITE sip:a@b SIP/2.0",
        "INVITE sip:a@b",
        "INVITE",
        "INVITE sip:a@b HTTP/1.1",
        "INVITE sip:a@b SIP/2",
        "INVITE sip:a@b SIP/2.0\r\n x",
        "IN\"VITE sip:a@b SIP/2.0",
        "INVITE  SIP/2.0",
    ] {
        assert_eq!(fault(&format!("{text}\r\n\r\n")), BAD_START, "{text:?}");
    }
    for text in ["INVITE sip:a@b SIP/2.0", "!x%.'~ a:b sIp/2.0"] {
        assert_eq!(fault(&format!("{text}\r\n\r\n")), None, "{text:?}");
    }
}

#[test]
fn other_versions_are_told() {
    // RFC 3261 §21.5.6, SIP-041
    for version in ["SIP/7.0", "SIP/1.0", "sip/2.1", "SIP/20.00"] {
        let (_, layout) = scanned(&format!("OPTIONS sip:a@b {version}\r\n\r\n"));
        assert_eq!(
            (layout.version, layout.fault),
            (Version::Other, None),
            "{version}"
        );
    }
}

#[test]
fn method_is_told_even_of_a_broken_request_line() {
    for (text, method) in [
        ("INVITE  sip:a@b SIP/2.0\r\n\r\n", Method::Invite),
        ("ACK\r\n\r\n", Method::Ack),
        (" \tACK sip:a@b SIP/2.0\r\n\r\n", Method::Ack),
        ("ACK\tsip:a@b SIP/2.0\r\n\r\n", Method::Ack),
        ("INVITE\tsip:a@b SIP/2.0\r\n\r\n", Method::Invite),
        ("ACK sip:a@b SIP/9.9", Method::Ack),
        ("invite sip:a@b SIP/2.0\r\n\r\n", Method::Unknown),
    ] {
        assert_eq!(scanned(text).1.method, method, "{text:?}");
    }
}

#[test]
fn only_sp_and_htab_may_stand_before_the_colon() {
    // RFC 3261 §7.3.1, SIP-033: all 256 octets
    for octet in 0..=255_u8 {
        let mut text = b"X a:b SIP/2.0\r\nTo".to_vec();
        text.push(octet);
        text.extend_from_slice(b": sip:a@b\r\n\r\n");
        let mut layout = Layout::new();
        layout.scan(&text, false);
        let found = layout.seen & Header::To.bit() != 0;
        let blank = matches!(octet, b' ' | b'\t');
        assert_eq!(found, blank || octet == b':', "octet {octet}");
        let harmless = blank || octet == b':' || is_token(&[octet]);
        assert_eq!(layout.fault.is_none(), harmless, "octet {octet}");
    }
}

#[test]
fn lines_without_a_colon_or_a_name_are_refused() {
    for line in ["x", ": y", "a b: c", "\"a\": c", "Via SIP/2.0/UDP h"] {
        assert_eq!(
            fault(&format!("X a:b SIP/2.0\r\n{line}\r\n\r\n")),
            BAD_LINE,
            "{line:?}"
        );
    }
}

#[test]
fn bare_line_ends_are_refused_and_make_no_header() {
    // SIP-056
    for (text, value) in [
        ("X a:b SIP/2.0\r\nTo: x\nFrom: y\r\n\r\n", Some("y")),
        ("X a:b SIP/2.0\r\nTo: x\rFrom: y\r\n\r\n", None),
        ("X a:b SIP/2.0\nFrom: y\n\n", Some("y")),
        ("X a:b SIP/2.0\r\nFrom: y\r\n\n", Some("y")),
    ] {
        let (_, layout) = scanned(text);
        let request = Request::new(text.as_bytes(), &layout);
        assert_eq!(request.fault(), BAD_LINE, "{text:?}");
        assert!(!request.clean());
        assert_eq!(
            request.value(Header::From),
            value.map(str::as_bytes),
            "{text:?}"
        );
    }
}

#[test]
fn a_head_that_does_not_end_is_refused() {
    assert_eq!(fault("X a:b SIP/2.0\r\nl: 0\r\n"), BAD_LINE); // RFC 4475 §3.1.2.15 as archived
    assert_eq!(fault("X a:b SIP/2.0\r\nl: 0"), BAD_LINE);
    assert_eq!(fault("X a:b SIP/2.0"), BAD_LINE);
    let mut layout = Layout::new();
    layout.scan(b"X a:b SIP/2.0\r\nl: 0\r\n", true);
    assert_eq!(layout.fault, Some(Fault::TooLarge));
    let mut long = b"X a:b SIP/2.0\r\nA: ".to_vec();
    long.resize(HEAD_BYTES_MAX, b'x');
    long.extend_from_slice(b"\r\n\r\n");
    layout.scan(&long, false);
    assert_eq!(layout.fault, Some(Fault::TooLarge));
}

#[test]
fn published_limits_hold() {
    // SIP-057
    let with = |line: &str, count: usize| format!("X a:b SIP/2.0\r\n{}\r\n", line.repeat(count));
    assert_eq!(fault(&with("A: b\r\n", HEADERS_MAX)), None);
    assert_eq!(
        fault(&with("A: b\r\n", HEADERS_MAX + 1)),
        Some(Fault::TooLarge)
    );
    assert_eq!(fault(&with("v:S/2/U h\r\n", VIAS_MAX)), None);
    assert_eq!(
        fault(&with("v:S/2/U h\r\n", VIAS_MAX + 1)),
        Some(Fault::TooLarge)
    );
    assert_eq!(fault(&with("v:S/2/U h,S/2/U i\r\n", VIAS_MAX / 2)), None);
    assert_eq!(
        fault(&with("v:S/2/U h,S/2/U i\r\n", VIAS_MAX / 2 + 1)),
        Some(Fault::TooLarge)
    );
    // The last one has a field of its own, in the plain form.
    let list = ["SIP/2.0/UDP a"; VIAS_MAX].join(",");
    let plain = format!(
        "INVITE sip:1@a SIP/2.0\r\nVia: {list}\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: <sip:1@a>;tag=1\r\n\
         To: <sip:1@a>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(fault(&plain), Some(Fault::TooLarge));
}

#[test]
fn repeated_fields_are_told_and_the_first_is_kept() {
    let text = "X a:b SIP/2.0\r\nP-tfps: 1\r\nP-tfps: 1\r\nP-UA: x\r\nP_UA: y\r\n\r\n";
    let (_, layout) = scanned(text);
    let request = Request::new(text.as_bytes(), &layout);
    assert!(request.repeated(Header::PTfps) && !request.differing(Header::PTfps));
    assert!(request.repeated(Header::PUa) && request.differing(Header::PUa));
    assert_eq!(request.value(Header::PUa), Some(&b"x"[..]));
}

#[test]
fn a_layout_is_filled_anew() {
    let mut layout = Layout::new();
    layout.scan(b"X a:b SIP/2.0\r\nFrom: x\r\nVia: y\r\nbad\r\n\r\n", false);
    let text = b"INVITE a:b SIP/2.0\r\nTo: x\r\n\r\n";
    layout.scan(text, false);
    let request = Request::new(text, &layout);
    assert_eq!(request.fault(), None);
    assert_eq!(
        (request.value(Header::From), request.top_via()),
        (None, None)
    );
}

/// Messages of PBXs and of RFC 4475, and forms of an INVITE that a plain reader must tell apart.
fn messages() -> Vec<Vec<u8>> {
    let files: [&[u8]; 25] = [
        include_bytes!("../../../tests/data/captures/chan_sip-401-invite1.sip"),
        include_bytes!("../../../tests/data/captures/chan_sip-401-invite2.sip"),
        include_bytes!("../../../tests/data/captures/chan_sip-407-fromuser-invite2.sip"),
        include_bytes!("../../../tests/data/captures/chan_sip-407-noqop-invite2.sip"),
        include_bytes!("../../../tests/data/captures/chan_sip-cid-anon-invite.sip"),
        include_bytes!("../../../tests/data/captures/chan_sip-cid-plus-invite.sip"),
        include_bytes!("../../../tests/data/captures/pjsip16-m1-invite.sip"),
        include_bytes!("../../../tests/data/captures/pjsip16-m2-invite.sip"),
        include_bytes!("../../../tests/data/captures/pjsip16-no-p-tfps-invite.sip"),
        include_bytes!("../../../tests/data/captures/pjsip16-provider-invite.sip"),
        include_bytes!("../../../tests/data/captures/pjsip16-tcp-invite.sip"),
        include_bytes!("../../../tests/data/captures/pjsip16-uri_core-loop-invite.sip"),
        include_bytes!("../../../tests/data/captures/chan_sip-options-qualify.sip"),
        include_bytes!("../../../tests/data/rfc4475/wsinv.dat"),
        include_bytes!("../../../tests/data/rfc4475/intmeth.dat"),
        include_bytes!("../../../tests/data/rfc4475/esc01.dat"),
        include_bytes!("../../../tests/data/rfc4475/lwsdisp.dat"),
        include_bytes!("../../../tests/data/rfc4475/longreq.dat"),
        include_bytes!("../../../tests/data/rfc4475/dblreq.dat"),
        include_bytes!("../../../tests/data/rfc4475/semiuri.dat"),
        include_bytes!("../../../tests/data/rfc4475/transports.dat"),
        include_bytes!("../../../tests/data/rfc4475/mpart01.dat"),
        include_bytes!("../../../tests/data/rfc4475/escnull.dat"),
        include_bytes!("../../../tests/data/rfc4475/multi01.dat"),
        include_bytes!("../../../tests/data/rfc4475/ltgtruri.dat"),
    ];
    let mut messages = files.map(<[u8]>::to_vec).to_vec();
    for (from, to) in [
        ("<sip:1001@127.0.0.1>;tag=as1", "<sip:1@h>"),
        (
            "\"B. O, \u{e9}\" <sip:1001:pw@h.example:5060;user=phone>;x=\"y\";tag=a!b",
            "<sips:1@h>",
        ),
        (
            "Bob B <SIP:1001@h;x@y>;a;tag=1;b=c",
            "Bob <sip:1@h?x=y>;tag=x",
        ),
        ("Bob <sip:1001@h>;tag=1;tag=2", "\"\" <sip:1@h:0>"),
        ("\"a\\\"b\"<sip:1001@h>;TAG=1", "sip:1@h;tag=2"),
    ] {
        messages.push(
            format!(
                "INVITE sip:+4420;x=y@127.0.0.1:5060;p SIP/2.0\r\nVIA: SIP/2.0/UDP 127.0.0.1:5062;rport;branch=z9hG4bK1\r\n\
                 Via: SIP/2.0/UDP a.b;BRANCH=2;received=192.0.2.1;rport=7, SIP/2.0/UDP c\r\nmax-forwards: 69\r\n\
                 From: {from}\r\nTo: {to}\r\nCall-ID: a@b:c\r\nCSeq: 102 INVITE\r\n\
                 P-tfps: 1; d ;192.0.2.1;an agent;3\r\nUser-Agent: x y\r\nContent-Length: 3\r\n\r\nv=0"
            )
            .into_bytes(),
        );
    }
    messages
}

fn sip_uri(uri: Option<Uri<'_>>) -> SipUri<'_> {
    match uri {
        Some(Uri::Sip(uri)) => uri,
        other => panic!("{other:?}"),
    }
}

/// The plain readers against the complete ones. Whether the head was plain, and its parts whole.
fn check_plain(bytes: &[u8]) -> (bool, bool) {
    let mut complete = Layout::new();
    let kind = complete.scan_any(bytes, false);
    let mut short = Layout::new();
    let mut parts = Parts::default();
    if !short.read_plain(bytes, &mut parts) {
        return (false, false);
    }
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!(kind, Kind::Request, "{shown}");
    assert!(short == complete, "{short:?}\n{complete:?}\n{shown}");
    let request = Request::new(bytes, &short);
    let text = |span: Span| span.within(bytes);
    let there = |span: Span| (!span.is_empty()).then(|| text(span));
    if parts.read & plain::URI != 0 {
        let uri = sip_uri(Uri::read(request.uri()));
        assert_eq!((uri.secure, uri.headers), (false, None), "{shown}");
        let read = (parts.uri.user_part, parts.uri.host);
        assert_eq!(
            (text(read.0), text(read.1)),
            (uri.user_part, uri.host),
            "{shown}"
        );
        assert_eq!(request.method(), Method::Invite);
    }
    if parts.has(Header::Via) {
        let value = octet::trim(request.top_via().unwrap());
        let via = Via::read(value).unwrap();
        let read = &parts.top_via;
        assert_eq!(text(read.value), value, "{shown}");
        let read = Via {
            transport: b"UDP",
            host: text(read.host),
            port: (read.port != 0).then_some(read.port),
            branch: there(read.branch),
            received: there(read.received),
            received_whole: there(read.received_whole),
            rport_whole: there(read.rport_whole),
            well_formed: true,
        };
        assert_eq!(read, via, "{shown}");
    }
    if parts.has(Header::From) {
        let from = Address::read(request.value(Header::From).unwrap()).unwrap();
        let uri = sip_uri(Some(from.uri));
        assert_eq!(text(parts.from.user_part), uri.user_part, "{shown}");
        assert_eq!(text(parts.from.user), uri.user(), "{shown}");
        assert_eq!(text(parts.from.host), uri.host, "{shown}");
        assert_eq!(there(parts.from_tag), from.tag, "{shown}");
    }
    if parts.has(Header::To) {
        let to = Address::read(request.value(Header::To).unwrap()).unwrap();
        assert_eq!(there(parts.to_tag), to.tag, "{shown}");
    }
    if parts.has(Header::CallId) {
        let call_id = request.value(Header::CallId).unwrap();
        assert!(!call_id.is_empty() && !octet::has_lws(call_id), "{shown}");
    }
    if parts.has(Header::CSeq) {
        let (digits, method) = split_once(request.value(Header::CSeq).unwrap(), b' ').unwrap();
        assert!(
            octet::number(digits, 0x7fff_ffff).is_some() && method == b"INVITE",
            "{shown}"
        );
    }
    if parts.has(Header::MaxForwards) {
        let hops = request.value(Header::MaxForwards).unwrap();
        assert!(octet::number(hops, 255).is_some(), "{shown}");
    }
    if parts.has(Header::ContentLength) {
        let length = request.value(Header::ContentLength).unwrap();
        assert_eq!(
            octet::number(length, u32::MAX),
            Some(parts.content_length),
            "{shown}"
        );
    }
    if parts.has(Header::PTfps) {
        let value = request.value(Header::PTfps).unwrap();
        let fields = value.split(|octet| *octet == b';');
        assert!(fields.eq(parts.p_tfps.map(text)), "{shown}");
    }
    (true, parts.are_whole())
}

#[test]
fn a_plain_head_is_read_as_the_complete_readers_read_it() {
    let messages = messages();
    let (mut plain, mut whole) = (0, 0);
    let mut see = |bytes: &[u8]| {
        let (is_plain, is_whole) = check_plain(bytes);
        plain += usize::from(is_plain);
        whole += usize::from(is_whole);
    };
    let mut dice = Dice::new(1);
    for message in &messages {
        see(message);
        for _ in 0..120 {
            let other = &messages[dice.below(messages.len())];
            see(&mutate(message, other, &mut dice, 6000));
        }
    }
    // Else little is shown.
    assert!(plain > 1000 && whole > 300, "{plain} plain, {whole} whole");
}

#[test]
fn every_octet_of_a_plain_head_counts() {
    for message in messages().iter().rev().take(5) {
        for at in 0..message.len() {
            for octet in *b"\0\t\r\n \"%+,-./05:;<=>?@AZ\\_az~\x7f\x80\xff" {
                let mut changed = message.clone();
                changed[at] = octet;
                check_plain(&changed);
            }
            check_plain(&message[..at]);
        }
    }
}
