//! Amplification, reflection and injection: thousands of messages changed line by line, from peers and from strangers.
//!
//! Promises: the same messages in every run. `TOLLGATE_MUTATIONS` changes how many there are (20,000).

use crate::harness::{Bench, INVITE, messages};
use crate::mutate::{Dice, mutate};
use std::env;
use tollgate::limits::{DATAGRAM_BYTES_MAX, RESPONSE_BYTES_MAX};
use tollgate::uas::{Admission, Packet, Slot};

fn mutations() -> usize {
    env::var("TOLLGATE_MUTATIONS").map_or(20_000, |text| text.parse().expect("a number"))
}

/// Every message of the corpora changed in turn, with its number.
fn changed() -> impl Iterator<Item = (usize, Vec<u8>)> {
    let mut messages: Vec<Vec<u8>> = messages().into_iter().map(|(_, bytes)| bytes).collect();
    messages.push(INVITE.as_bytes().to_vec());
    (0..mutations()).map(move |number| {
        let mut dice = Dice::new(u64::try_from(number).expect("a number"));
        let message = &messages[number % messages.len()];
        let other = &messages[dice.below(messages.len())];
        let changed = mutate(message, other, &mut dice, DATAGRAM_BYTES_MAX);
        (number, changed)
    })
}

#[test]
fn no_mutation_from_a_peer_is_amplified() {
    // P1–P8 are asserted by `send`, P4 among them.
    let mut bench = Bench::new();
    let (mut answered, mut redirected) = (0, 0);
    for (number, bytes) in changed() {
        let outcome = bench.send(&bytes);
        answered += usize::from(outcome.reply.is_some());
        redirected += usize::from(outcome.status() == Some(302));
        if number % 100 == 0 {
            // P9
            assert_eq!(bench.send(INVITE.as_bytes()).status(), Some(302));
        }
    }
    // Mutations that are all refused alike would show nothing.
    assert!(answered * 2 > mutations(), "{answered} answered");
    assert!(redirected * 20 > mutations(), "{redirected} redirected");
}

#[test]
fn to_a_mutation_from_a_stranger_not_one_octet_is_written() {
    // P4
    let bench = Bench::new();
    let mut slot = Slot::new();
    let sources = [
        "10.0.0.1:5060",
        "[2001:db8::1]:5060",
        "126.255.255.255:1",
        "128.0.0.1:5060",
    ];
    for (number, bytes) in changed() {
        let packet = Packet {
            bytes: &bytes,
            full_length: bytes.len(),
            source: sources[number % sources.len()].parse().expect("an address"),
        };
        let mut out = [0xAA_u8; RESPONSE_BYTES_MAX];
        let reply = bench
            .uas
            .answer(&bench.policy, &packet, bench.now, &mut slot, &mut out);
        assert_eq!((slot.admission(), reply), (Admission::UnknownSource, None));
        assert!(out.iter().all(|&octet| octet == 0xAA), "message {number}");
    }
}

#[test]
fn a_mutation_stays_within_its_bound_and_its_seed_repeats_it() {
    let long = INVITE.repeat(20);
    for seed in 0..2_000 {
        let make = || {
            mutate(
                long.as_bytes(),
                INVITE.as_bytes(),
                &mut Dice::new(seed),
                4096,
            )
        };
        let once = make();
        assert!(once.len() <= 4096);
        assert_eq!(once, make());
        // Nothing to change is no reason to panic.
        let _empty = mutate(b"", b"", &mut Dice::new(seed), 4096);
    }
}
