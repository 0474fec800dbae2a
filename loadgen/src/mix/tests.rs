//! What all mixes promise, shown with every shipped one.

use super::shipped::{SHIPPED, find};
use super::*;
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::message::{Messages, Shape};
use crate::mix::read::read;
use crate::source::Calls;
use std::collections::{HashMap, HashSet};

fn ready(name: &str, seed: u64, times: Times) -> Mix {
    Mix::new(find(name).unwrap(), seed, times).unwrap()
}

fn call(mix: &Mix, number: u64) -> Call {
    let mut call = Call::default();
    mix.fill(number, &mut call);
    call
}

/// The datagrams of a run, with what carries the run made alike.
fn datagrams(calls: &Calls, run: u32) -> Vec<Vec<u8>> {
    let address = "127.0.0.1:5070".parse().unwrap();
    let messages = Messages::new(address, address, run, Shape::Udp);
    let (own, alike) = (format!("{run:08x}"), "0".repeat(8));
    let mut out = [0; DATAGRAM_BYTES_MAX];
    (0..600)
        .map(|number| {
            let length = messages
                .invite(&calls.call(number), number, &mut out)
                .unwrap();
            let text: Vec<u8> = out[..length].to_vec();
            let mut at = 0;
            let mut replaced = Vec::with_capacity(length);
            while at < text.len() {
                if text[at..].starts_with(own.as_bytes()) {
                    replaced.extend_from_slice(alike.as_bytes());
                    at += own.len();
                } else {
                    replaced.push(text[at]);
                    at += 1;
                }
            }
            replaced
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_octets_but_for_branch_call_id_and_tags() {
    for (name, _) in SHIPPED {
        let calls = |seed| Calls::Mix(ready(name, seed, Times::Rate(1_000_000)));
        let one = datagrams(&calls(1), 0x1234_abcd);
        assert_eq!(one, datagrams(&calls(1), 0xfeed_f00d), "{name}");
        assert_ne!(one, datagrams(&calls(2), 0x1234_abcd), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_times() {
    for (name, _) in SHIPPED {
        let (one, again) = (ready(name, 7, Times::Own), ready(name, 7, Times::Own));
        let mut before = 0;
        for number in 0..2000 {
            let due = one.due(number).unwrap();
            assert_eq!(Some(due), again.due(number), "{name}");
            assert!(due >= before, "{name} {number}");
            before = due;
        }
        assert_eq!(ready(name, 7, Times::Rate(1000)).due(1), None);
    }
}

#[test]
fn the_default_mix_has_the_shares_of_its_file_exactly() {
    let mix = ready("default", 1, Times::Rate(1_000_000));
    let mut parts: HashMap<String, u32> = HashMap::new();
    let mut users = HashSet::new();
    let mut plus = 0;
    for number in 0..100_000 {
        let call = call(&mix, number);
        *parts.entry(mix.part_of(number).to_owned()).or_default() += 1;
        plus += u32::from(call.user.as_bytes().starts_with(b"+"));
        users.insert(call.user.as_bytes().to_vec());
    }
    assert_eq!(parts["ordinary calls"], 94_000);
    assert_eq!(parts["premium and satellite numbers"], 5000);
    assert_eq!(parts["scanners"], 1000);
    assert!((14_500..15_500).contains(&plus), "{plus}");
    assert!(users.len() > 97_000, "{}", users.len());
}

fn parts(text: &str, times: Times, calls: u64) -> Vec<String> {
    let mix = Mix::new(read("m", "m", text).unwrap(), 1, times).unwrap();
    (0..calls).map(|n| mix.part_of(n).to_owned()).collect()
}

const TWO: &str = "about = \"a\"\ncalls_per_second = 10\n[[part]]\nname = \"a\"\nnumbers = \"ordinary\"\nexpect = \"approve\"\n\
     [[part]]\nname = \"b\"\nweight = 3\nstart = \"2s\"\nend = \"4s\"\nnumbers = \"ordinary\"\norder = \"rising\"\nexpect = \"approve\"\n";

#[test]
fn parts_begin_and_end_when_they_say() {
    for times in [Times::Rate(10_000), Times::Own] {
        let parts = parts(TWO, times, 60);
        assert!(parts[..20].iter().all(|part| part == "a"));
        assert_eq!(parts[20..40].iter().filter(|part| *part == "b").count(), 15);
        assert!(parts[40..].iter().all(|part| part == "a"));
    }
}

#[test]
fn a_part_counts_its_own_calls_through_all_phases() {
    let mix = Mix::new(read("m", "m", TWO).unwrap(), 1, Times::Rate(10_000)).unwrap();
    let mut seen = [0_u64; 2];
    for number in 0..200 {
        let (place, index) = mix.turn(number).unwrap();
        assert_eq!(index, seen[place], "call {number}");
        seen[place] += 1;
    }
    assert_eq!(seen, [185, 15]);
}

#[test]
fn a_time_without_any_part_is_refused() {
    let late = TWO.replace(
        "[[part]]\nname = \"a\"",
        "[[part]]\nname = \"a\"\nstart = \"1s\"",
    );
    let fault = Mix::new(read("m", "m", &late).unwrap(), 1, Times::Own).unwrap_err();
    assert_eq!(fault, "m: no part is active from 0 s on");
}

#[test]
fn mixes_together_have_the_shares_and_starts_that_were_asked_for() {
    let day = find("business-day").unwrap();
    let attack = find("irsf-burst").unwrap();
    let both = Definition::combined(vec![(day, 95, 0), (attack, 5, 2_000_000_000)]).unwrap();
    assert_eq!(both.name, "business-day + irsf-burst");
    let mix = Mix::new(both, 1, Times::Rate(10_000_000)).unwrap();
    let fraud = |numbers: std::ops::Range<u64>| {
        numbers
            .filter(|&n| call(&mix, n).subscriber.as_bytes() == b"sub1500")
            .count()
    };
    assert_eq!(fraud(0..20_000), 0);
    let later = fraud(20_000..120_000);
    assert!((4900..=5100).contains(&later), "{later}");
}

#[test]
fn a_rising_part_dials_number_after_number() {
    let mix = ready("number-range", 3, Times::Own);
    let numbers: Vec<u64> = (0..200)
        .map(|n| {
            let user = call(&mix, n).user;
            str::from_utf8(user.as_bytes()).unwrap()[2..]
                .parse()
                .unwrap()
        })
        .collect();
    let steps = numbers.windows(2).filter(|w| w[1] == w[0] + 1).count();
    assert!(steps >= 198, "{steps}"); // a range may come round once
}

#[test]
fn a_pool_has_that_many_numbers_and_a_telephone_keeps_its_address() {
    let mix = ready("targeted-pumping", 1, Times::Own);
    let users: HashSet<_> = (0..500)
        .map(|n| call(&mix, n).user.as_bytes().to_vec())
        .collect();
    assert_eq!(users.len(), 1);
    let mix = ready("business-day", 1, Times::Own);
    let mut addresses = HashMap::new();
    for number in 0..20_000 {
        let call = call(&mix, number);
        let address = call.address.as_bytes().to_vec();
        let part = mix.part_of(number).to_owned();
        let known = addresses
            .entry((part, call.caller.as_bytes().to_vec()))
            .or_insert_with(|| address.clone());
        assert_eq!(*known, address);
    }
}

#[test]
fn every_caller_is_new_when_callers_rotate() {
    let mix = ready("rotating-callers", 1, Times::Own);
    let callers: HashSet<_> = (0..1000)
        .map(|n| call(&mix, n).caller.as_bytes().to_vec())
        .collect();
    assert_eq!(callers.len(), 1000);
}

#[test]
fn malformed_datagrams_say_what_must_come_back() {
    let mix = ready("malformed", 1, Times::Own);
    let mut seen: HashMap<Expected, u32> = HashMap::new();
    for number in 0..1000 {
        *seen.entry(call(&mix, number).expected).or_default() += 1;
    }
    assert_eq!(seen[&Expected::Silence], 400);
    assert_eq!(seen[&Expected::Error], 400);
    assert_eq!(seen[&Expected::Approve], 200);
}
