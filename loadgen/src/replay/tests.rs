//! Captures made here, octet by octet, in every form that is read; journals; faults.

use super::*;

const INVITE: &str = "INVITE sip:0114420@gw SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa\r\nFrom: \"A\" <sip:1001@pbx.example:5060>;tag=f1\r\n\
     To: <sip:0114420@gw>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\nUser-Agent: Asterisk\r\nP-tfps: 1001;pbx;192.0.2.7;Cisco; SPA;3\r\nContent-Length: 0\r\n\r\n";
const ANSWER: &str = "SIP/2.0 302 Moved\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa\r\nFrom: <sip:1001@pbx>;tag=f1\r\nTo: <sip:0114420@gw>;tag=t\r\n\
     Call-ID: c1\r\nCSeq: 7 INVITE\r\nContact: <sip:A000114420@gw>\r\nContent-Length: 0\r\n\r\n";

fn udp(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap().to_be_bytes();
    [
        &[0x13, 0xC4, 0x13, 0xC4],
        length.as_slice(),
        &[0, 0],
        payload,
    ]
    .concat()
}

fn ipv4(payload: &[u8], fragment: u16) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 20).unwrap().to_be_bytes();
    let fragment = fragment.to_be_bytes();
    let head: &[u8] = &[
        0x45,
        0,
        length[0],
        length[1],
        0,
        0,
        fragment[0],
        fragment[1],
        64,
        17,
        0,
        0,
    ];
    [head, &[10, 0, 0, 9], &[10, 0, 0, 1], payload].concat()
}

fn ipv6(payload: &[u8], destination_options: bool) -> Vec<u8> {
    let (next, options): (u8, &[u8]) = if destination_options {
        (60, &[17, 0, 1, 4, 0, 0, 0, 0])
    } else {
        (17, &[])
    };
    let length = u16::try_from(payload.len() + options.len())
        .unwrap()
        .to_be_bytes();
    let head: &[u8] = &[0x60, 0, 0, 0, length[0], length[1], next, 64];
    [head, &[0x20; 32], options, payload].concat()
}

fn ethernet(ip: &[u8], vlan: bool) -> Vec<u8> {
    let kind: &[u8] = match (vlan, ip[0] >> 4) {
        (true, 4) => &[0x81, 0, 0, 5, 0x08, 0],
        (true, _) => &[0x81, 0, 0, 5, 0x86, 0xDD],
        (false, 4) => &[0x08, 0],
        (false, _) => &[0x86, 0xDD],
    };
    [&[2; 12], kind, ip].concat()
}

/// A classic capture: link type and packets, each with its microseconds.
fn classic(link: u32, packets: &[(u32, Vec<u8>)], big: bool, nanos: bool) -> Vec<u8> {
    let order = |number: u32| {
        if big {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let magic = if nanos { 0xA1B2_3C4D } else { 0xA1B2_C3D4 };
    let mut file = [magic, 0x0002_0004, 0, 0, 65_535, link].map(order).concat();
    for (at, octets) in packets {
        let length = u32::try_from(octets.len()).unwrap();
        let part = at % 1_000_000 * if nanos { 1000 } else { 1 };
        file.extend(
            [1_700_000_000 + at / 1_000_000, part, length, length]
                .map(order)
                .concat(),
        );
        file.extend(octets);
    }
    file
}

fn next_generation(link: u16, packets: &[(u64, Vec<u8>)], big: bool) -> Vec<u8> {
    let order = |number: u32| {
        if big {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let short = |number: u16| {
        if big {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(body.len() + 12).unwrap();
        [&order(kind), &order(length), body, &order(length)].concat()
    };
    let mut file = block(
        0x0A0D_0D0A,
        &[
            order(0x1A2B_3C4D),
            order(1),
            order(u32::MAX),
            order(u32::MAX),
        ]
        .concat(),
    );
    // Times in nanoseconds (option 9, 10⁻⁹), padded.
    let interface = [
        &short(link)[..],
        &[0, 0],
        &order(0),
        &short(9),
        &short(1),
        &[9, 0, 0, 0],
        &[0; 4],
    ]
    .concat();
    file.extend(block(1, &interface));
    file.extend(block(5, &[0; 8])); // statistics, of no interest
    for (at, octets) in packets {
        let nanos = 1_700_000_000_000_000_000 + at * 1000;
        let halves = [
            u32::try_from(nanos >> 32).unwrap(),
            u32::try_from(nanos & 0xFFFF_FFFF).unwrap(),
        ];
        let length = u32::try_from(octets.len()).unwrap();
        let mut body = [
            order(0),
            order(halves[0]),
            order(halves[1]),
            order(length),
            order(length),
        ]
        .concat();
        body.extend(octets);
        body.resize(body.len().next_multiple_of(4), 0);
        file.extend(block(6, &body));
    }
    file
}

fn read_all(file: &[u8]) -> Recording {
    parse(file, "f", Hold::Recorded, Profile::Redirect, Faulty::Refuse).unwrap()
}

/// The one call of [`INVITE`] and [`ANSWER`].
fn check(file: &[u8]) {
    let recording = read_all(file);
    let [listed] = recording.calls.as_slice() else {
        panic!("{recording:?}")
    };
    let call = &listed.call;
    assert_eq!(listed.due, 0);
    assert_eq!(call.user.as_bytes(), b"0114420");
    assert_eq!(call.caller.as_bytes(), b"1001");
    assert_eq!(call.from_host.as_bytes(), b"pbx.example:5060");
    assert_eq!(call.domain.as_bytes(), b"pbx");
    assert_eq!(call.address.as_bytes(), b"192.0.2.7");
    assert_eq!(call.agent.as_bytes(), b"Cisco; SPA");
    assert_eq!(call.reported_calls.as_bytes(), b"3");
    assert_eq!(call.expected, Expected::Approve);
}

#[test]
fn every_link_layer_and_both_forms_of_capture_give_the_same_call() {
    let (invite, answer) = (udp(INVITE.as_bytes()), udp(ANSWER.as_bytes()));
    let sll = |ip: &[u8]| [&[0; 14][..], &[8_u8, 0], ip].concat();
    let sll2 = |ip: &[u8]| [&[8_u8, 0], &[0_u8; 18][..], ip].concat();
    let null = |ip: &[u8]| [&[2, 0, 0, 0], ip].concat();
    let of = |wrap: &dyn Fn(&[u8]) -> Vec<u8>| [wrap(&ipv4(&invite, 0)), wrap(&ipv4(&answer, 0))];
    for (link, [invite, answer]) in [
        (1, of(&|ip| ethernet(ip, false))),
        (1, of(&|ip| ethernet(ip, true))),
        (
            1,
            [
                ethernet(&ipv6(&invite, false), false),
                ethernet(&ipv6(&answer, true), true),
            ],
        ),
        (101, of(&<[u8]>::to_vec)),
        (113, of(&sll)),
        (276, of(&sll2)),
        (0, of(&null)),
    ] {
        for big in [false, true] {
            for nanos in [false, true] {
                let packets = [(5, invite.clone()), (900, answer.clone())];
                check(&classic(link, &packets, big, nanos));
            }
            let packets = [(5, invite.clone()), (900, answer.clone())];
            check(&next_generation(
                u16::try_from(link).unwrap(),
                &packets,
                big,
            ));
        }
    }
}

#[test]
fn one_attempt_is_one_call_at_its_own_time() {
    let raw = |text: &str| ipv4(&udp(text.as_bytes()), 0);
    let other = INVITE.replace("c1", "c2").replace("0114420", "0114421");
    let again = INVITE.replace("CSeq: 7", "CSeq: 8").replace("bKa", "bKb"); // with credentials, or a fork
    let refused = ANSWER.replace("302 Moved", "407 Who").replace("A00", "");
    let later = ANSWER.replace("CSeq: 7", "CSeq: 8");
    let reinvite = INVITE.replace("To: <sip:0114420@gw>", "To: <sip:0114420@gw>;tag=up");
    let options = INVITE.replace("INVITE", "OPTIONS");
    let file = classic(
        101,
        &[
            (0, raw(INVITE)),
            (500_000, raw(INVITE)),
            (600_000, raw(&refused)),
            (700_000, raw(&again)),
            (710_000, raw(&later)),
            (720_000, raw(&reinvite)),
            (730_000, raw(&options)),
            (2_000_000, raw(&other)),
        ],
        false,
        false,
    );
    let mut recording = read_all(&file);
    let due: Vec<u64> = recording.calls.iter().map(|call| call.due).collect();
    assert_eq!(due, [0, 2_000_000_000]);
    assert_eq!(recording.calls[0].call.expected, Expected::Approve);
    assert_eq!(recording.calls[1].call.expected, Expected::Any);
    assert_eq!(
        recording.remarks,
        [
            "2 INVITEs were copies, branches or further tries of calls that are made once",
            "2 packets hold no new call over UDP"
        ]
    );
    hurry(&mut recording.calls, 4000);
    assert_eq!(recording.calls[1].due, 500_000_000);
}

#[test]
fn what_cannot_be_made_again_is_refused_with_its_packet() {
    let raw = |text: &str| ipv4(&udp(text.as_bytes()), 0);
    let good = raw(INVITE);
    let mut snapped = classic(101, &[(0, good.clone())], false, false);
    // The capture kept 100 octets of what was longer.
    snapped.truncate(24 + 16 + 100);
    snapped[32..36].copy_from_slice(&100_u32.to_le_bytes());
    let mut torn = classic(101, &[(0, good.clone()), (1, good.clone())], false, false);
    torn.truncate(torn.len() - 10);
    for (file, says) in [
        (
            classic(
                101,
                &[(0, ipv4(&udp(INVITE.as_bytes()), 0x2000))],
                false,
                false,
            ),
            "f: packet 1: expected a whole datagram, found a fragment",
        ),
        (
            classic(
                101,
                &[(0, good.clone()), (1, ipv4(b"rest", 5))],
                false,
                false,
            ),
            "f: packet 2: expected a whole datagram, found a fragment",
        ),
        (
            snapped,
            "f: packet 1: expected a whole datagram, but the capture kept",
        ),
        (torn, "f: packet 2: expected "),
        (
            classic(147, &[(0, good)], false, false),
            "f: packet 1: expected Ethernet, Linux cooked, raw IP or loopback, found link type 147",
        ),
        (
            classic(
                101,
                &[(0, raw(&INVITE.replace("sip:0114420@gw SIP", "sip:gw SIP")))],
                false,
                false,
            ),
            "f: packet 1: expected sip:USER@",
        ),
        (
            classic(
                101,
                &[(0, raw(&INVITE.replace("Call-ID: c1\r\n", "")))],
                false,
                false,
            ),
            "f: packet 1: expected a Call-ID",
        ),
        (
            classic(
                101,
                &[(0, raw(&INVITE.replace("1001;pbx", "a b;pbx")))],
                false,
                false,
            ),
            "f: packet 1: expected a caller",
        ),
        (classic(101, &[], false, false), "f: holds no calls"),
    ] {
        let fault = parse(
            &file,
            "f",
            Hold::Recorded,
            Profile::Redirect,
            Faulty::Refuse,
        )
        .unwrap_err();
        assert!(fault.starts_with(says), "{fault}");
    }
}

#[test]
fn what_cannot_be_made_again_can_be_left_out() {
    let raw = |text: &str| ipv4(&udp(text.as_bytes()), 0);
    let bad = raw(&INVITE.replace("Call-ID: c1\r\n", ""));
    let file = classic(101, &[(0, bad), (1, raw(INVITE))], false, false);
    let recording = parse(&file, "f", Hold::Any, Profile::Redirect, Faulty::LeaveOut).unwrap();
    assert_eq!(recording.calls.len(), 1);
    assert_eq!(
        recording.remarks,
        ["left out: f: packet 1: expected a Call-ID"]
    );
}

#[test]
fn no_capture_breaks_the_reader() {
    let packets = vec![(5, ethernet(&ipv6(&udp(INVITE.as_bytes()), true), true))];
    let next = next_generation(1, &[(5, packets[0].1.clone())], false);
    for file in [classic(1, &packets, false, false), next] {
        for at in 0..file.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut changed = file.clone();
                changed[at] = value;
                let _either = parse(&changed, "f", Hold::Any, Profile::Redirect, Faulty::Refuse);
            }
            let _either = parse(
                &file[..at],
                "f",
                Hold::Any,
                Profile::Redirect,
                Faulty::Refuse,
            );
        }
    }
}

#[test]
fn the_families_are_told_apart() {
    for (from, to, family, caller, domain) in [
        (
            "P-tfps: 1001;pbx;192.0.2.7;Cisco; SPA;3",
            "X-tfps: 2002@dom\r\nP-UA: x",
            Family::XTfps,
            "2002",
            "dom",
        ),
        (
            "P-tfps: 1001;pbx;192.0.2.7;Cisco; SPA;3",
            "X_tfps: 2002;dom",
            Family::XTfps,
            "2002",
            "dom",
        ),
        (
            "P-tfps: 1001;pbx;192.0.2.7;Cisco; SPA;3",
            "P-Received: 192.0.2.1:5060",
            Family::Received,
            "1001",
            "",
        ),
        (
            "P-tfps: 1001;pbx;192.0.2.7;Cisco; SPA;3",
            "X-Other: 1",
            Family::Bare,
            "1001",
            "",
        ),
        (
            "P-tfps: 1001;",
            "p-TFPS: 3003;",
            Family::PTfps,
            "3003",
            "pbx",
        ),
    ] {
        let text = INVITE.replace(from, to);
        let call = message::invite(text.as_bytes()).unwrap().call;
        assert_eq!(call.family, family, "{to}");
        assert_eq!(call.caller.as_bytes(), caller.as_bytes(), "{to}");
        assert_eq!(call.domain.as_bytes(), domain.as_bytes(), "{to}");
    }
}

use crate::call::Family;

const JOURNAL: &str = r#"{"ts":"2026-11-23T01:00:00.000000Z","domain":"d","subscriber":"front-desk","caller":"100","dialled":"0114420","address":"192.0.2.7","agent":"Bria","reported_calls":2,"verdict":"approve","code":"A00","attempt":"new","weight":1}
{"ts":"2026-11-23T01:00:00.500000Z","dialled":"0114420","verdict":"approve","attempt":"same"}
{"ts":"2026-11-23T01:00:01.25Z","caller":"100","dialled":"8816","verdict":"reject","code":"R06","attempt":"new"}
{"ts":"2026-11-23T01:00:02Z","verdict":"reject","weight":7}
{"ts":"2026-11-2"#;

#[test]
fn the_calls_of_a_journal_are_made_with_their_verdicts() {
    let recording = read_all(JOURNAL.as_bytes());
    let [one, two] = recording.calls.as_slice() else {
        panic!("{recording:?}")
    };
    assert_eq!((one.due, two.due), (0, 1_250_000_000));
    assert_eq!(one.call.subscriber.as_bytes(), b"front-desk");
    assert_eq!(one.call.agent.as_bytes(), b"Bria");
    assert_eq!(one.call.expected, Expected::Approve);
    assert_eq!(two.call.expected, Expected::Reject);
    assert_eq!(two.call.code.as_bytes(), b"R06");
    assert_eq!(recording.remarks.len(), 3, "{:?}", recording.remarks);
    let any = parse(
        JOURNAL.as_bytes(),
        "f",
        Hold::Any,
        Profile::Redirect,
        Faulty::Refuse,
    )
    .unwrap();
    assert!(
        any.calls
            .iter()
            .all(|call| call.call.expected == Expected::Any)
    );
}

#[test]
fn every_fault_of_a_journal_has_its_line() {
    let text = "{\"ts\":\"yesterday\",\"dialled\":\"1\"}\nnot json\n{\"ts\":\"2026-11-23T01:00:00Z\",\"dialled\":\"01144xxxx\"}\n{\"ts\":\"2026-11-23T01:00:00Z\",\"dialled\":\"a b\",\"verdict\":\"approve\"}\n{\"ts\":\"2026-11-23T01:00:00Z\",\"dialled\":\"1\",\"verdict\":\"maybe\"}\n";
    let faults = parse(
        text.as_bytes(),
        "j",
        Hold::Recorded,
        Profile::Redirect,
        Faulty::Refuse,
    )
    .unwrap_err();
    let lines: Vec<&str> = faults.lines().collect();
    for (line, says) in lines.iter().zip([
        "j:1: expected `ts`",
        "j:2: expected a JSON object",
        "j:3: expected a whole number in `dialled`, found `01144xxxx`: the journal masks",
        "j:4: expected `dialled` to be a user part",
        "j:5: expected `verdict` to be",
    ]) {
        assert!(line.starts_with(says), "{line}");
    }
    assert_eq!(lines.len(), 5, "{faults}");
}

#[test]
fn times_of_journals_are_read_to_the_nanosecond() {
    for (text, nanos) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2000-02-29T12:00:00.5Z", Some(951_825_600_500_000_000)),
        (
            "2026-11-23T01:02:03.000004Z",
            Some(1_795_395_723_000_004_000),
        ),
        (
            "2026-11-23T01:02:03.000004+00:00",
            Some(1_795_395_723_000_004_000),
        ),
        ("2026-13-23T01:02:03Z", None),
        ("2026-11-23", None),
    ] {
        assert_eq!(journal::unix_nanos(text), nanos, "{text}");
    }
}
