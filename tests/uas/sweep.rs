//! What stands before the colon of a screening header, and what stands in the fields: headers cannot be forged by
//! spelling, and nothing that a caller writes leaves its field.

use crate::harness::{Bench, SOURCE, invite_with, request};
use tollgate::event::Event;
use tollgate::net::Datagram;
use tollgate::policy::rows::Action;
use tollgate::policy::{Code, HeaderFamily, Verdict};
use tollgate::shard::Stages;
use tollgate::uas::{Packet, Slot};

/// What one header of a call says, as the rules see it.
type Seen = fn(&Slot, &[u8]) -> bool;

/// Every screening header, a value, and how one sees that it was read with that value.
const HEADERS: [(&str, &str, Seen); 16] = [
    ("P-tfps", "1001;d;192.0.2.1;A;7", |slot, bytes| {
        of(
            slot,
            bytes,
            HeaderFamily::PTfps,
            Some(b"1001"),
            None,
            Some(7),
        )
    }),
    ("p-TFPS", "1001", |slot, bytes| {
        of(slot, bytes, HeaderFamily::PTfps, Some(b"1001"), None, None)
    }),
    ("X-tfps", "1001@d", |slot, bytes| {
        of(slot, bytes, HeaderFamily::XTfps, Some(b"1001"), None, None)
    }),
    ("X_tfps", "1001@d", |slot, bytes| {
        of(slot, bytes, HeaderFamily::XTfps, Some(b"1001"), None, None)
    }),
    ("P-Received", "192.0.2.1:5060", address_read),
    ("P_Received", "192.0.2.1:5060", address_read),
    ("P-UA", "Phone", |slot, bytes| {
        of(slot, bytes, HeaderFamily::XTfps, None, Some(b"Phone"), None)
    }),
    ("P_UA", "Phone", |slot, bytes| {
        of(slot, bytes, HeaderFamily::XTfps, None, Some(b"Phone"), None)
    }),
    ("P-Calls", "7", |slot, bytes| {
        of(slot, bytes, HeaderFamily::XTfps, None, None, Some(7))
    }),
    ("P_Calls", "7", |slot, bytes| {
        of(slot, bytes, HeaderFamily::XTfps, None, None, Some(7))
    }),
    ("User-Agent", "Phone", |slot, bytes| {
        attempt(slot, bytes, |attempt| attempt.user_agent == Some(b"Phone"))
    }),
    ("P-Asserted-Identity", "<sip:7@h>", |slot, bytes| {
        attempt(slot, bytes, |attempt| {
            attempt.asserted_identity_user == Some(b"7")
        })
    }),
    ("P-Preferred-Identity", "<sip:7@h>", |slot, bytes| {
        attempt(slot, bytes, |attempt| {
            attempt.preferred_identity_user == Some(b"7")
        })
    }),
    ("Remote-Party-ID", "<sip:7@h>", |slot, bytes| {
        attempt(slot, bytes, |attempt| {
            attempt.remote_party_user == Some(b"7")
        })
    }),
    ("Diversion", "<sip:7@h>", |slot, bytes| {
        attempt(slot, bytes, |attempt| attempt.diverted)
    }),
    ("History-Info", "<sip:7@h>", |slot, bytes| {
        attempt(slot, bytes, |attempt| attempt.diverted)
    }),
];

fn attempt(
    slot: &Slot,
    bytes: &[u8],
    holds: impl FnOnce(&tollgate::policy::CallAttempt<'_>) -> bool,
) -> bool {
    slot.attempt(bytes).is_some_and(|attempt| holds(&attempt))
}

fn of(
    slot: &Slot,
    bytes: &[u8],
    family: HeaderFamily,
    user: Option<&[u8]>,
    agent: Option<&[u8]>,
    calls: Option<u32>,
) -> bool {
    attempt(slot, bytes, |attempt| {
        let read = attempt.screening;
        let p_tfps_agent = family == HeaderFamily::PTfps || read.agent == agent;
        (read.family, read.user, read.reported_calls) == (family, user, calls) && p_tfps_agent
    })
}

fn address_read(slot: &Slot, bytes: &[u8]) -> bool {
    attempt(slot, bytes, |attempt| {
        attempt.screening.address == "192.0.2.1".parse().ok()
    })
}

/// The base INVITE without a User-Agent and with this line.
fn with_line(line: &[u8]) -> Vec<u8> {
    let base = invite_with("User-Agent: Asterisk PBX 16.28.0\r\n", "");
    let at = base
        .windows(6)
        .position(|at| at == b"CSeq: ")
        .expect("a CSeq");
    [&base[..at], line, b"\r\n", &base[at..]].concat()
}

fn scanned(bench: &Bench, bytes: &[u8]) -> Slot {
    let mut slot = Slot::new();
    let packet = Packet {
        bytes,
        full_length: bytes.len(),
        source: SOURCE.parse().expect("an address"),
    };
    bench.uas.scan(&bench.policy, &packet, &mut slot);
    bench.uas.admit(&bench.policy, &packet, &mut slot);
    bench
        .uas
        .decide(&bench.policy, &packet, bench.now, &mut slot);
    slot
}

#[test]
fn only_blanks_before_the_colon_keep_a_screening_header() {
    // SIP-033: all 256 octets between the name and its colon
    let mut bench = Bench::new();
    for (name, value, seen) in HEADERS {
        for octet in 0..=u8::MAX {
            let line = [name.as_bytes(), &[octet], b": ", value.as_bytes()].concat();
            let bytes = with_line(&line);
            let kept = seen(&scanned(&bench, &bytes), &bytes);
            // A colon ends the name, and the one after it belongs to the value: the header, but not this value. For
            // Diversion and History-Info presence is all that counts.
            let presence = ["Diversion", "History-Info"].contains(&name) && octet == b':';
            let wanted = matches!(octet, b' ' | b'\t') || presence;
            assert_eq!(kept, wanted, "{name} {octet:#04x}");
            // P2–P8, whatever it is.
            let status = bench.send(&bytes).status();
            assert!(
                matches!(status, Some(302 | 400)),
                "{name} {octet:#04x}: {status:?}"
            );
        }
    }
}

#[test]
fn blanks_and_folds_around_the_colon_change_nothing() {
    // SIP-032, SIP-033
    let bench = Bench::new();
    for (name, value, seen) in HEADERS {
        for between in [":", " :", "\t \t: ", ":\r\n ", " :\r\n\t\r\n "] {
            let bytes = with_line(format!("{name}{between}{value}").as_bytes());
            assert!(seen(&scanned(&bench, &bytes), &bytes), "{name}{between:?}");
        }
    }
}

#[test]
fn two_differing_copies_of_a_screening_header_are_r14() {
    let bench = Bench::with(|rows| rows.policies[0].unknown_identity = Action::Reject);
    for names in [
        ["P-tfps", "p-tfps"],
        ["X-tfps", "X_tfps"],
        ["P-Received", "P_RECEIVED"],
        ["P-UA", "P_UA"],
        ["P-Calls", "P_Calls"],
    ] {
        let [one, two] = names;
        let verdict = |one_value: &str, two_value: &str| {
            let bytes = with_line(format!("{one}: {one_value}\r\n{two} : {two_value}").as_bytes());
            let slot = scanned(&bench, &bytes);
            let decision = slot.decision().expect("a decision");
            (decision.verdict, decision.code)
        };
        assert_eq!(verdict("1", "2"), (Verdict::Reject, Code::R14), "{names:?}");
        assert_eq!(verdict("1", ""), (Verdict::Reject, Code::R14), "{names:?}");
        assert_eq!(
            verdict("1", " 1\t"),
            (Verdict::Approve, Code::A00),
            "{names:?}"
        );
    }
}

#[test]
fn a_header_of_general_use_is_read_by_its_first_copy_and_suspects_nobody() {
    // RFC 3325 §9.1 allows two P-Asserted-Identity, RFC 5806 and RFC 7044 a Diversion and a History-Info for each hop, and a
    // proxy may leave a second User-Agent standing: R14 is for the headers that are meant for us alone.
    // Of Diversion and History-Info it counts that they are there.
    let bench = Bench::with(|rows| rows.policies[0].unknown_identity = Action::Reject);
    for (name, value, seen) in &HEADERS {
        if name.starts_with(['P', 'X', 'p']) && !name.ends_with("Identity") {
            continue; // meant for us alone, see above
        }
        let other = value.replace("Phone", "Other").replace('7', "8");
        let bytes = with_line(format!("{name}: {value}\r\n{name}: {other}").as_bytes());
        let slot = scanned(&bench, &bytes);
        assert!(seen(&slot, &bytes), "{name}");
        let decision = slot.decision().expect("a decision");
        assert_eq!(decision.code, Code::A00, "{name}");
    }
}

/// Octets that end a line, a field or a record somewhere, and some that only look odd.
const EVIL: [&[u8]; 12] = [
    b"\0",
    b"\x01",
    b"\x1b[2J",
    b"\x7f",
    b"\xff\xfe",
    b"\xc3",
    b"\"",
    b"\\",
    b"%0d%0aX: y",
    b";x=y",
    b"\xe2\x80\xae",
    b"\xe2\x80\xa8",
];

#[test]
fn what_a_caller_writes_stays_in_its_field() {
    // Agent, caller, called number, Call-ID, display name, screening fields
    for evil in EVIL {
        let mut bench = Bench::new();
        for (from, to) in [
            (&b"User-Agent: Asterisk"[..], &b"User-Agent: E~"[..]),
            (b"\"Bob\"", b"\"B~\""),
            (b"sip:1003@", b"sip:1003~@"),
            (b"Call-ID: 2250", b"Call-ID: ~"),
            (b"User-Agent: ", b"P-tfps: 1~;d;;A~;1\r\nUser-Agent: "),
            (b"User-Agent: ", b"X-tfps: 1~@d\r\nP-UA: ~\r\nUser-Agent: "),
            (b"011442071838750@127", b"0114420~@127"),
            (b"tag=as74dd9bd9", b"tag=a~"),
            (b"branch=z9hG4bK48de1b64", b"branch=~"),
        ] {
            let written: Vec<u8> = to
                .split(|&octet| octet == b'~')
                .collect::<Vec<_>>()
                .join(evil);
            let base = invite_with("Max-Forwards", "Max-Forwards");
            let at = base
                .windows(from.len())
                .position(|at| at == from)
                .expect("there");
            let bytes = [&base[..at], &written, &base[at + from.len()..]].concat();
            let outcome = bench.send(&bytes);
            // Every line of the answer was checked by `send`; none is one of theirs.
            assert!(!outcome.shown().contains("\r\nX:"), "{:?}", outcome.shown());
            let Some(contact) = outcome.all("Contact").first().cloned() else {
                continue;
            };
            let inside = contact
                .strip_prefix("<sip:A00")
                .and_then(|rest| rest.strip_suffix('>'));
            let inside = inside.expect("one URI in brackets");
            assert!(
                !inside.contains(['<', '>', '"', '\\', ';', '\r', '\n']),
                "{contact}"
            );
            assert!(
                inside.bytes().all(|octet| (0x21..0x7f).contains(&octet)),
                "{contact:?}"
            );
        }
    }
}

#[test]
fn an_unknown_extension_is_named_as_it_was_written() {
    // RFC 3261 §8.2.2.3: whatever stands there goes back to who sent it, in its field. INVITEs are decided all the same.
    for evil in EVIL {
        let mut bench = Bench::new();
        let request = request("OPTIONS");
        let at = request.find("Max-Forwards").expect("there");
        let (before, after) = request.as_bytes().split_at(at);
        let bytes = [before, b"Require: a", evil, b"b\r\n", after].concat();
        let outcome = bench.send(&bytes);
        assert_eq!(outcome.status(), Some(420), "{evil:?}");
        let wanted: String = evil.iter().map(|&octet| char::from(octet)).collect();
        assert_eq!(outcome.one("Unsupported"), format!("a{wanted}b"));
    }
}

#[test]
fn an_event_holds_a_callers_octets_as_they_were_and_no_more_than_it_has_room_for() {
    // What is written of an event escapes it; here nothing is lost, joined or spilled.
    let bench = Bench::new();
    for evil in EVIL.into_iter().chain([&[b'x'; 900][..]]) {
        let line = [b"P-tfps: 1;d;;".as_slice(), evil, b";1"].concat();
        let bytes = with_line(&line);
        let datagram = Datagram {
            bytes: &bytes,
            full_length: bytes.len(),
            source: SOURCE.parse().expect("an address"),
            local: None,
        };
        let mut slot = bench.uas.slot();
        Stages::scan(&bench.uas, &bench.policy, &datagram, &mut slot);
        Stages::admit(&bench.uas, &bench.policy, &datagram, &mut slot);
        Stages::decide(&bench.uas, &bench.policy, &datagram, bench.now, &mut slot);
        let mut event = Event::EMPTY;
        bench.uas.describe(&datagram, &slot, &mut event);
        if evil == b";x=y" {
            // Six fields that cannot be split in one way: nothing after the domain is believed.
            assert_eq!(event.agent().bytes(), b"");
            continue;
        }
        let kept = event.agent().bytes();
        assert!(!kept.is_empty() && evil.starts_with(kept), "{evil:?}");
        assert_eq!(kept != evil, event.agent().is_cut(), "{evil:?}");
        assert_eq!(event.caller().bytes(), b"1");
    }
}
