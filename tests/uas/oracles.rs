//! Readers that owe us nothing: rsip on generated messages, tshark on the captures.
//!
//! Promises: where both accept a message they read the same in it; where they are known to differ, a table says how, and
//! fails when they no longer do. `tests/conformance/tshark.py` makes tshark's table.

use crate::harness::messages;
use proptest::prelude::*;
use proptest::sample::select;
use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use std::collections::BTreeMap;
use std::path::Path;
use tollgate::sip::{Address, Header, Layout, Method, Request, Uri, Via};

/// What a reader found. `None` where it refused the message or that part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Reading {
    method: String,
    call_id: String,
    cseq: String,
    from_tag: String,
    to_tag: String,
    user: String,
    host: String,
    port: Option<u16>,
    sent_by: String,
    branch: String,
    max_forwards: String,
    agent: String,
    vias: usize,
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn ours(bytes: &[u8]) -> Option<Reading> {
    let mut layout = Layout::new();
    layout.scan(bytes, false);
    let request = Request::new(bytes, &layout);
    if request.fault().is_some() || request.method() == Method::Unknown {
        return None;
    }
    let Uri::Sip(uri) = Uri::read(request.uri())? else {
        return None;
    };
    let via = Via::read(request.top_via()?).filter(|via| via.well_formed)?;
    let from = Address::read(request.value(Header::From)?)?;
    let to = Address::read(request.value(Header::To)?)?;
    let value = |header| text(request.value(header).unwrap_or_default());
    Some(Reading {
        method: text(request.method_name()),
        call_id: value(Header::CallId),
        cseq: value(Header::CSeq),
        from_tag: text(from.tag.unwrap_or_default()),
        to_tag: text(to.tag.unwrap_or_default()),
        user: text(uri.user()),
        host: text(uri.host),
        port: uri.port,
        sent_by: text(via.host),
        branch: text(via.branch.unwrap_or_default()),
        max_forwards: value(Header::MaxForwards),
        agent: value(Header::UserAgent),
        vias: request.via_fields().count(),
    })
}

/// rsip keeps blanks at the end of a value.
fn trimmed(value: &str) -> String {
    value.trim_end_matches([' ', '\t']).to_owned()
}

fn theirs(bytes: &[u8]) -> Option<Reading> {
    let request = rsip::Request::try_from(bytes).ok()?;
    let via = request.via_header().ok()?.typed().ok()?;
    let from = request.from_header().ok()?.typed().ok()?;
    let to = request.to_header().ok()?.typed().ok()?;
    let tag = |tag: Option<&rsip::common::uri::param::Tag>| {
        tag.map(|tag| tag.value().to_owned()).unwrap_or_default()
    };
    let vias = request
        .headers
        .iter()
        .filter(|header| matches!(header, rsip::Header::Via(_)));
    Some(Reading {
        method: request.method.to_string(),
        call_id: trimmed(request.call_id_header().ok()?.value()),
        cseq: trimmed(request.cseq_header().ok()?.value()),
        from_tag: tag(from.tag()),
        to_tag: tag(to.tag()),
        user: request.uri.user().unwrap_or_default().to_owned(),
        host: request.uri.host_with_port.host.to_string(),
        port: request
            .uri
            .host_with_port
            .port
            .as_ref()
            .map(|port| *port.value()),
        sent_by: via.uri.host_with_port.host.to_string(),
        branch: via
            .branch()
            .map(|branch| branch.value().to_owned())
            .unwrap_or_default(),
        max_forwards: request
            .max_forwards_header()
            .map(|header| trimmed(header.value()))
            .unwrap_or_default(),
        agent: request
            .user_agent_header()
            .map(|header| trimmed(header.value()))
            .unwrap_or_default(),
        vias: vias.count(),
    })
}

/// A host in each of its forms.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9]{0,8}(\\.[a-z]{2,5}){1,2}",
        (1_u8.., any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}")),
    ]
}

fn address() -> impl Strategy<Value = String> {
    let port = prop::option::of(1_u16..);
    let name = select(&["", "Bob ", "\"Bob\" ", "\"B. O'B; x, y\" "][..]);
    (
        "[0-9a-zA-Z+*]{1,16}",
        host(),
        port,
        name,
        prop::option::of("[a-z0-9]{1,12}"),
    )
        .prop_map(|(user, host, port, name, tag)| {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let tag = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
            format!("{name}<sip:{user}@{host}{port}>{tag}")
        })
}

/// Requests as RFC 3261 has them: fields in any order, names in any case, more Vias and unknown fields among them.
fn requests() -> impl Strategy<Value = String> {
    let method = select(
        &[
            "INVITE", "OPTIONS", "BYE", "ACK", "CANCEL", "REGISTER", "INFO",
        ][..],
    );
    let uri = (
        select(&["sip", "sips"][..]),
        "[0-9+*]{1,20}",
        host(),
        prop::option::of(1_u16..),
    );
    let via = (
        host(),
        prop::option::of(1_u16..),
        "z9hG4bK[a-zA-Z0-9.]{1,20}",
        any::<bool>(),
    );
    let loose = (
        0_u32..0x8000_0000,
        0_u8..,
        "[!-~]([ -~]{0,40}[!-~])?",
        "[a-zA-Z0-9.-]{1,24}",
    );
    (
        method,
        uri,
        prop::collection::vec(via, 1..5),
        address(),
        address(),
        loose,
        any::<u64>(),
    )
        .prop_map(
            |(method, (scheme, user, host, port), vias, from, to, loose, order)| {
                let (cseq, hops, agent, call_id) = loose;
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                let mut fields = vec![
                    format!("From: {from}"),
                    format!("to: {to}"),
                    format!("CALL-ID: {call_id}@{host}"),
                    format!("CSeq: {cseq} {method}"),
                    format!("Max-Forwards: {hops}"),
                    format!("User-Agent: {agent}"),
                    "Subject: nothing; to, see".to_owned(),
                    "Content-Length: 0".to_owned(),
                ];
                let mut turn = order;
                for last in (1..fields.len()).rev() {
                    turn = turn.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    fields.swap(last, usize::try_from(turn % 8).unwrap() % (last + 1));
                }
                for (number, (host, port, branch, rport)) in vias.into_iter().enumerate() {
                    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                    let rport = if rport { ";rport" } else { "" };
                    let via = format!("Via: SIP/2.0/UDP {host}{port};branch={branch}{rport}");
                    let place = usize::try_from(order % 5).unwrap() + number;
                    fields.insert(place.min(fields.len()), via);
                }
                format!(
                    "{method} {scheme}:{user}@{host}{port} SIP/2.0\r\n{}\r\n\r\n",
                    fields.join("\r\n")
                )
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rsip_reads_generated_requests_as_we_do(request in requests()) {
        let ours = ours(request.as_bytes());
        prop_assert!(ours.is_some(), "we refuse {request}");
        prop_assert_eq!(ours, theirs(request.as_bytes()), "{}", request);
    }

    // Letters and digits only: of separators and signs in the wrong place rsip bears some and drops some.
    #[test]
    fn rsip_reads_changed_requests_as_we_do_or_one_of_us_refuses(
        request in requests(),
        at in any::<prop::sample::Index>(),
        octet in select(&b"azAZ09"[..]),
        insert in any::<bool>(),
    ) {
        let mut bytes = request.into_bytes();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, octet); } else { bytes[at] = octet; }
        if let (Some(ours), Some(theirs)) = (ours(&bytes), theirs(&bytes)) {
            prop_assert_eq!(ours, theirs, "{}", text(&bytes));
        }
    }
}

/// Requests on which rsip 0.4 and we differ, and what each of us reads in the place named; `-`: refused.
#[test]
fn rsip_is_known_to_differ_here_and_only_here() {
    let base = "INVITE sip:1@h.example SIP/2.0\r\nVia: SIP/2.0/UDP h.example;branch=z9hG4bK1\r\n\
        From: <sip:a@h.example>;tag=1\r\nTo: <sip:1@h.example>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n";
    assert_eq!(ours(base.as_bytes()), theirs(base.as_bytes()));
    for (from, to, we_read, they_read) in [
        // A "<" in a quoted display name is taken for that of the URI.
        ("From: <", "From: \"<x>\" <", "1 1 c", "-"),
        // Compact forms, folds, IPv6 and blanks that RFC 3261 allows are not known.
        ("From: ", "f: ", "1 1 c", "-"),
        ("Call-ID: c", "Call-ID:\r\n c", "1 1 c", "-"),
        ("sip:1@h.example", "sip:1@[::1]:5060", "1 1 c", "-"),
        (";tag=1", " ; tag = 1", "1 1 c", "-"),
        ("SIP/2.0/UDP h", "SIP / 2.0 / UDP h", "1 1 c", "-"),
        ("Call-ID", "Call-ID ", "1 1 c", "-"),
        // A user that begins with a sign is taken for the host, a value that does is dropped.
        ("INVITE sip:1@", "INVITE sip:.1@", ".1 1 c", " 1 c"),
        // What RFC 3261 §7.1 forbids in a request line is accepted, and the user is not what it seems.
        ("INVITE sip:1@", "INVITE  sip:1@", "-", " sip 1 c"),
        ("INVITE sip:1@h", "INVITE tel:+1@h", "-", "tel 1 c"),
    ] {
        assert!(base.contains(from), "{from}");
        let request = base.replacen(from, to, 1);
        let shown = |reading: Option<Reading>| {
            reading.map_or("-".to_owned(), |read| {
                format!("{} {} {}", read.user, read.from_tag, read.call_id)
            })
        };
        assert_eq!(shown(ours(request.as_bytes())), we_read, "we: {to}");
        assert_eq!(shown(theirs(request.as_bytes())), they_read, "rsip: {to}");
    }
}

#[test]
fn tshark_reads_the_captures_as_we_do() {
    let table = include_str!("../data/captures/tshark.tsv");
    let mut lines = table.lines();
    let columns = "file\tCall-ID\tCSeq\tFrom user\tFrom tag\tTo tag\tRequest-URI user\tVias";
    assert_eq!(lines.next(), Some(columns));
    let rows: BTreeMap<&str, Vec<&str>> = lines
        .map(|line| line.split_once('\t').expect("a file"))
        .map(|(file, rest)| (file, rest.split('\t').collect()))
        .collect();
    let mut read = 0;
    for (name, bytes) in messages() {
        let Some(file) = name.strip_prefix("captures/") else {
            continue;
        };
        let row = rows
            .get(file)
            .unwrap_or_else(|| panic!("{file} is not in tshark.tsv"));
        if bytes.starts_with(b"SIP/2.0 ") {
            // We read nothing of a response.
            assert!(Path::new(file).extension().is_some());
            continue;
        }
        read += 1;
        let mut layout = Layout::new();
        layout.scan(&bytes, false);
        let request = Request::new(&bytes, &layout);
        let address =
            |header| Address::read(request.value(header).expect("it")).expect("an address");
        let (from, to) = (address(Header::From), address(Header::To));
        let user = |uri: Uri<'_>| match uri {
            Uri::Sip(uri) => text(uri.user()),
            Uri::Tel(number) => text(number),
            Uri::Other => String::new(),
        };
        let request_user = user(Uri::read(request.uri()).expect("a Request-URI"));
        let ours = [
            text(request.value(Header::CallId).expect("a Call-ID")),
            text(request.value(Header::CSeq).expect("a CSeq")),
            user(from.uri),
            text(from.tag.unwrap_or_default()),
            text(to.tag.unwrap_or_default()),
            request_user,
            request.via_fields().count().to_string(),
        ];
        let ours = ours.map(|cell| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        });
        assert_eq!(row.as_slice(), ours, "{file}");
    }
    assert!(read > 60, "{read}");
}
