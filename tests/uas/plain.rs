//! An INVITE of the plain form goes a short way. Line ends before the start line change nothing in what a request means
//! (RFC 3261 §7.5), but send it the long way: both must come to the same.

use crate::harness::messages;
use crate::mutate::{Dice, mutate};
use crate::rows;
use std::net::SocketAddr;
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::policy::Snapshot;
use tollgate::uas::{Admission, Packet, Slot, Uas};

/// What became of the octets: all that is known of them between the stages, and the answer.
fn outcome(
    uas: &Uas,
    policy: &Snapshot,
    bytes: &[u8],
    source: SocketAddr,
) -> (String, Vec<u8>, Admission) {
    let packet = Packet {
        bytes,
        full_length: bytes.len(),
        source,
    };
    let mut slot = Slot::new();
    let mut out = vec![0; RESPONSE_BYTES_MAX];
    let reply = uas.answer(policy, &packet, rows::at_ms(0), &mut slot, &mut out);
    out.truncate(reply.map_or(0, |reply| reply.length));
    let facts = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        slot.admission(),
        slot.attempt(bytes),
        slot.decision(),
        slot.from_tag(bytes),
        slot.peer_address(),
        slot.proxy_address(),
        reply.map(|reply| (reply.destination, reply.status)),
    );
    (facts, out, slot.admission())
}

#[test]
fn the_short_way_and_the_long_way_come_to_the_same() {
    let mut rows = rows::approving();
    rows.domains[0].proxies = vec![rows::single("127.0.0.20")];
    let policy = rows::snapshot(&rows);
    let mut uas = Uas::new([7; 16]);
    uas.set_listening(&["127.0.0.10:5060".parse().unwrap()]);
    let sources = ["127.0.0.1:40000", "127.0.0.20:5060"].map(|source| source.parse().unwrap());
    let mut calls = 0;
    let mut check = |message: &[u8]| {
        // With line ends before it a message is longer, and the bounds on lengths are others.
        if message.len() > 4000 {
            return;
        }
        let longer = [b"\r\n", message].concat();
        for source in sources {
            let (short, short_answer, admission) = outcome(&uas, &policy, message, source);
            let (long, long_answer, _) = outcome(&uas, &policy, &longer, source);
            let most = if message.len() < 300 {
                message.len() + 250
            } else {
                message.len() * 3 / 2
            };
            if short_answer.len().max(long_answer.len()) + 300 > most && message.len() < 600 {
                continue;
            }
            let shown = String::from_utf8_lossy(message);
            assert_eq!(short, long, "{shown}");
            assert_eq!(short_answer, long_answer, "{shown}");
            calls += usize::from(admission == Admission::Call);
        }
    };
    let messages = messages();
    let mut dice = Dice::new(2);
    for (_, message) in &messages {
        check(message);
        for _ in 0..30 {
            let other = &messages[dice.below(messages.len())].1;
            check(&mutate(message, other, &mut dice, 4000));
        }
    }
    assert!(calls > 400, "{calls}");
}
