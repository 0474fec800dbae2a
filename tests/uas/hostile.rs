//! What strangers and broken clients send: nothing panics, every answer keeps its promises, and the next call is
//! answered. rsip, which owes us nothing, reads the captures and our answers to them.

use crate::harness::{Bench, INVITE, SOURCE, messages};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use std::path::Path;
use tollgate::sip::{Address, Header, Layout, Request, Uri, Via};
use tollgate::uas::Admission;

/// The octets get what they get, and a good INVITE right after gets its verdict (P9).
fn endure(bench: &mut Bench, bytes: &[u8]) {
    bench.send(bytes);
    bench.send_cut(SOURCE, bytes, bytes.len() + 1000);
    assert_eq!(bench.send(INVITE.as_bytes()).status(), Some(302));
}

/// Pieces that a head is made of, good and bad.
const PIECES: [&str; 48] = [
    "INVITE ",
    "OPTIONS ",
    "CANCEL ",
    "BYE ",
    "sip:",
    "sips:",
    "tel:+",
    "011442071838750",
    "@",
    "127.0.0.1",
    "[::1]",
    ":5060",
    " SIP/2.0",
    "\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "Via: ",
    "v:",
    "SIP/2.0/UDP ",
    ";branch=z9hG4bK",
    ";rport",
    ";received=1.2.3.4",
    "From: ",
    "To: ",
    "f:",
    "t:",
    "<",
    ">",
    "\"",
    "\\",
    ";tag=x",
    "Call-ID: ",
    "CSeq: ",
    "1 INVITE",
    "Content-Length: ",
    "P-tfps: ",
    ";",
    ",",
    " ",
    "\t",
    "%",
    "%2B",
    "?",
    "\0",
    "\u{e9}",
    "Require: a",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_octets_are_endured(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        endure(&mut Bench::new(), &bytes);
    }

    #[test]
    fn random_pieces_of_sip_are_endured(pieces in prop::collection::vec(select(&PIECES[..]), 0..80)) {
        endure(&mut Bench::new(), pieces.concat().as_bytes());
    }

    #[test]
    fn pieces_strewn_into_a_good_invite_are_endured(
        strewn in prop::collection::vec((any::<Index>(), select(&PIECES[..])), 1..6),
    ) {
        let mut bytes = INVITE.as_bytes().to_vec();
        for (at, piece) in strewn {
            let at = at.index(bytes.len());
            bytes.splice(at..at, piece.bytes());
        }
        endure(&mut Bench::new(), &bytes);
    }

    #[test]
    fn mutated_messages_are_endured(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), 0_u8..4), 1..8),
    ) {
        let messages = messages();
        let mut bytes = messages[which.index(messages.len())].1.clone();
        for (at, octet, change) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match change {
                0 => bytes[at] = octet,
                1 => bytes.insert(at, octet),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
        }
        endure(&mut Bench::new(), &bytes);
    }
}

#[test]
fn every_prefix_of_a_good_invite_is_endured() {
    let mut bench = Bench::new();
    for length in 0..INVITE.len() {
        endure(&mut bench, &INVITE.as_bytes()[..length]);
    }
}

#[test]
fn every_single_octet_changed_is_endured() {
    let mut bench = Bench::new();
    for at in 0..INVITE.len() {
        for octet in [0, b'\r', b'\n', b' ', b'"', b';', b':', b'<', b'%', 0x80] {
            let mut bytes = INVITE.as_bytes().to_vec();
            bytes[at] = octet;
            bench.send(&bytes);
        }
    }
}

#[test]
fn rsip_reads_the_captures_as_we_do() {
    let mut read = 0;
    for (name, bytes) in messages() {
        let Ok(theirs) = rsip::Request::try_from(bytes.as_slice()) else {
            continue;
        };
        let path = Path::new(&name);
        if path.extension().is_none_or(|ending| ending != "sip") {
            continue;
        }
        read += 1;
        let mut layout = Layout::new();
        layout.scan(&bytes, false);
        let ours = Request::new(&bytes, &layout);
        assert_eq!(ours.fault(), None, "{name}");
        assert_eq!(
            ours.method_name(),
            theirs.method.to_string().as_bytes(),
            "{name}"
        );
        let text =
            |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        assert_eq!(
            text(ours.value(Header::CallId)),
            theirs.call_id_header().expect("Call-ID").value(),
            "{name}"
        );
        assert_eq!(
            text(ours.value(Header::From)),
            theirs.from_header().expect("From").value(),
            "{name}"
        );
        assert_eq!(
            text(ours.value(Header::To)),
            theirs.to_header().expect("To").value(),
            "{name}"
        );
        assert_eq!(
            text(ours.value(Header::CSeq)),
            theirs.cseq_header().expect("CSeq").value(),
            "{name}"
        );
        let via = Via::read(ours.top_via().expect("a Via")).expect("a sent-by");
        let their_via = theirs
            .via_header()
            .expect("Via")
            .typed()
            .expect("a typed Via");
        assert_eq!(
            text(Some(via.host)),
            their_via.uri.host_with_port.host.to_string(),
            "{name}"
        );
        assert_eq!(
            via.port,
            their_via.uri.host_with_port.port.map(|port| *port.value()),
            "{name}"
        );
        assert_eq!(
            text(via.branch),
            their_via
                .branch()
                .map(|branch| branch.value().to_owned())
                .unwrap_or_default(),
            "{name}"
        );
        let Some(Uri::Sip(uri)) = Uri::read(ours.uri()) else {
            panic!("{name}");
        };
        assert_eq!(
            text(Some(uri.host)),
            theirs.uri.host_with_port.host.to_string(),
            "{name}"
        );
        assert_eq!(
            uri.port,
            theirs
                .uri
                .host_with_port
                .port
                .as_ref()
                .map(|port| *port.value()),
            "{name}"
        );
        let from = Address::read(ours.value(Header::From).expect("From")).expect("a From");
        let Ok(their_from) = theirs.from_header().expect("From").typed() else {
            // rsip cannot read a display name with a quoted pair in it (RFC 3261 §25.1).
            assert!(text(ours.value(Header::From)).contains("\\\""), "{name}");
            continue;
        };
        assert_eq!(
            text(from.tag),
            their_from
                .tag()
                .map(|tag| tag.value().to_owned())
                .unwrap_or_default(),
            "{name}"
        );
    }
    assert!(read > 60, "{read}");
}

#[test]
fn rsip_reads_our_answers_to_the_captures() {
    let mut read = 0;
    for (name, bytes) in messages() {
        if Path::new(&name)
            .extension()
            .is_none_or(|ending| ending != "sip")
        {
            continue;
        }
        let outcome = Bench::new().send(&bytes);
        let silent = matches!(outcome.admission, Admission::Ack | Admission::Response);
        assert_eq!(outcome.reply.is_none(), silent, "{name}");
        let Some(reply) = outcome.reply else { continue };
        read += 1;
        let theirs = rsip::Response::try_from(outcome.text.as_slice())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(theirs.status_code.code(), reply.status.0, "{name}");
        let to = theirs.to_header().expect("To").typed().expect("a typed To");
        assert_eq!(to.tag().map(|tag| tag.value().len()), Some(16), "{name}");
        if reply.status.0 == 302 {
            let contact = theirs
                .contact_header()
                .expect("Contact")
                .typed()
                .expect("a typed Contact");
            let user = contact.uri.user().unwrap_or_default().to_owned();
            assert!(user.starts_with("A00"), "{name}: {user}");
            assert!(
                contact.params.is_empty() && contact.display_name.is_none(),
                "{name}"
            );
        }
    }
    assert!(read > 50, "{read}");
}
