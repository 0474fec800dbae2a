//! A datagram end to end, from a direct peer, a proxy and a stranger: P2–P8 of every answer.
#![no_main]

#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;
#[path = "../../common/rows.rs"]
mod rows;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::cell::RefCell;
use std::net::SocketAddr;
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::policy::Snapshot;
use tollgate::uas::{Packet, Slot, Uas};

struct Bench {
    uas: Uas,
    policy: Snapshot,
    slots: [Slot; 2],
    sources: [SocketAddr; 3],
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(bench());
}

fn bench() -> Bench {
    let mut rows = rows::approving();
    rows.domains[0].proxies = vec![rows::single("127.0.0.20")];
    let mut uas = Uas::new([7; 16]);
    let sources = ["127.0.0.1:40000", "127.0.0.20:5060", "10.0.0.1:5060"];
    uas.set_listening(&["127.0.0.10:5060".parse().expect("an address")]);
    Bench {
        uas,
        policy: rows::snapshot(&rows),
        slots: [Slot::new(), Slot::new()],
        sources: sources.map(|source| source.parse().expect("an address")),
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::sip(data, size, max_size, seed)
});

fn answer(bench: &mut Bench, slot: usize, packet: &Packet<'_>, out: &mut [u8]) -> Option<usize> {
    let Bench { uas, policy, slots, .. } = bench;
    let reply = uas.answer(policy, packet, rows::at_ms(0), &mut slots[slot], out)?;
    assert_eq!(reply.destination.ip(), packet.source.ip(), "P3");
    Some(reply.length)
}

fuzz_target!(|bytes: &[u8]| {
    BENCH.with_borrow_mut(|bench| {
        for source in bench.sources {
            let packet = Packet { bytes, full_length: bytes.len(), source };
            let (mut out, mut again) = ([0_u8; RESPONSE_BYTES_MAX], [0_u8; RESPONSE_BYTES_MAX]);
            let length = answer(bench, 0, &packet, &mut out);
            bench.slots[1] = Slot::new();
            assert_eq!(answer(bench, 1, &packet, &mut again), length, "P8");
            assert_eq!(out, again, "P8");
            let Some(length) = length else { continue };
            assert!(source != bench.sources[2], "P4: a stranger was answered");
            let text = &out[..length];
            assert!(length <= bytes.len() + 250, "P4");
            assert!(bytes.len() < 300 || length * 2 <= bytes.len() * 3, "P4");
            let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
            let start = &bytes[bytes.iter().position(|octet| !blank(octet)).unwrap_or(0)..];
            assert!(!start.starts_with(b"SIP/2.0") && !start.starts_with(b"ACK "), "P5");
            assert!(text.starts_with(b"SIP/2.0 ") && text.ends_with(b":0\r\n\r\n") | text.ends_with(b": 0\r\n\r\n"), "P6");
            let mut before = 0;
            for &octet in text {
                assert_eq!(before == b'\r', octet == b'\n', "P6: CRLF only");
                before = octet;
            }
            let blank_lines = text.windows(4).filter(|at| at == b"\r\n\r\n").count();
            assert_eq!(blank_lines, 1, "P6: nothing behind the blank line");
        }
    });
});
