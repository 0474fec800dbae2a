//! The table and the answers by themselves, with a clock moved by hand.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are its own, and an overflow in them fails it"
)]

use super::answers::Answers;
use super::table::{AGE_SWEPT, Entered, Key, Look, SWEEP_SECONDS, Table, VALUES, WAYS};
use super::{TransactionMemory, entries_for};
use crate::clock::Now;
use crate::policy::{AnswerPlan, Code, CodeSet, ContactHost, ContactPlan, Told, Verdict};
use crate::sip::{Phrase, Status};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

fn at_ms(ms: u64) -> Now {
    Now {
        monotonic_ns: ms * 1_000_000,
        unix_us: 0,
    }
}

fn at_s(seconds: u64) -> Now {
    at_ms(seconds * 1000)
}

impl Table {
    fn recall(&self, key: Key, now: Now) -> Option<u16> {
        match self.look(key, now) {
            Look::Known(value) => Some(value),
            Look::Unknown(_) => None,
        }
    }

    fn remember(&self, key: Key, value: u16, now: Now) -> Entered {
        match self.look(key, now) {
            Look::Known(value) => Entered::Already(value),
            Look::Unknown(place) => self.enter(place, key, value, now),
        }
    }
}

/// Keys that differ in their fingerprints and meet in the first set.
fn meeting(number: u64) -> Key {
    Key((number + 1) << 40)
}

/// A hash of a number, so that keys spread.
fn spread(number: u64) -> Key {
    let mut word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Key(word ^ (word >> 31))
}

fn new(replaced_age_s: u8) -> Entered {
    Entered::New { replaced_age_s }
}

#[test]
fn a_value_is_known_for_32_seconds_and_not_for_34() {
    let table = Table::new(64).unwrap();
    for start_ms in [0, 999, 1000, 127_500, 128_000, 86_400_123] {
        let key = spread(start_ms);
        let age = |ms: u64| table.recall(key, at_ms(start_ms + ms));
        assert_eq!(age(0), None);
        assert_eq!(table.remember(key, 7, at_ms(start_ms)), new(AGE_SWEPT));
        for ms in [0, 1, 500, 31_500, 32_000] {
            assert_eq!(age(ms), Some(7), "{start_ms} + {ms}");
        }
        for ms in [33_000, 34_000, 60_000] {
            assert_eq!(age(ms), None, "{start_ms} + {ms}");
        }
        // Recalled or not, it grows no younger.
        let again = at_ms(start_ms + 33_000);
        assert!(matches!(table.remember(key, 8, again), Entered::New { .. }));
        assert_eq!(age(64_000), Some(8));
    }
}

#[test]
fn a_swept_entry_never_looks_young_again() {
    let table = Table::new(8).unwrap();
    for start_s in 0..130 {
        let key = meeting(start_s);
        assert!(matches!(
            table.remember(key, 1, at_s(start_s)),
            Entered::New { .. }
        ));
    }
    let keys = 0..130;
    for now_s in (130..20_000).step_by(usize::try_from(SWEEP_SECONDS).unwrap()) {
        table.sweep(at_s(now_s));
        for after in 0..SWEEP_SECONDS {
            let known = keys
                .clone()
                .filter(|start| table.recall(meeting(*start), at_s(now_s + after)).is_some());
            let young = keys.clone().filter(|start| now_s + after - start <= 32);
            assert_eq!(known.count(), young.count().min(WAYS), "{now_s} + {after}");
        }
    }
    // What takes their place hours later is known to replace something old.
    assert_eq!(
        table.remember(meeting(500), 1, at_s(20_000)),
        new(AGE_SWEPT)
    );
}

#[test]
fn a_full_set_forgets_its_oldest_entry_and_says_how_old_it_was() {
    let table = Table::new(8).unwrap();
    for number in 0..8 {
        assert_eq!(
            table.remember(meeting(number), 1, at_s(100 + number)),
            new(AGE_SWEPT)
        );
    }
    assert_eq!(table.remember(meeting(8), 1, at_s(110)), new(10));
    assert_eq!(table.recall(meeting(0), at_s(110)), None);
    assert_eq!(table.recall(meeting(1), at_s(110)), Some(1));
    assert_eq!(table.remember(meeting(9), 1, at_s(150)), new(49));
    assert_eq!(table.remember(meeting(10), 1, at_s(190)), new(AGE_SWEPT));
    // Its own old entry is replaced, and no second one made.
    assert_eq!(table.remember(meeting(10), 2, at_s(223)), new(33));
    assert_eq!(table.recall(meeting(10), at_s(223)), Some(2));
}

#[test]
fn a_shard_whose_clock_was_read_earlier_knows_entries_of_the_next_second() {
    let table = Table::new(8).unwrap();
    for number in 0..8 {
        let _new = table.remember(meeting(number), 3, at_s(10 - number % 2));
    }
    assert_eq!(table.recall(meeting(0), at_s(9)), Some(3));
    assert_eq!(table.remember(meeting(0), 4, at_s(9)), Entered::Already(3));
    // The entries of second 9 are the older ones, seen from 9, 10 or 8.
    for (number, now_s, replaced) in [(8, 9, 0), (9, 10, 1), (10, 8, 0)] {
        assert_eq!(
            table.remember(meeting(number), 4, at_s(now_s)),
            new(replaced)
        );
    }
    for number in [0, 2, 4, 6] {
        assert_eq!(table.recall(meeting(number), at_s(10)), Some(3));
    }
}

#[test]
fn keys_that_share_all_but_the_fingerprint_or_all_but_the_set_are_different() {
    let table = Table::new(64).unwrap();
    let key = Key(5 << 18 | 3);
    let _new = table.remember(key, 9, at_s(1));
    for other in [Key(6 << 18 | 3), Key(5 << 18 | 4), Key(3), Key(0)] {
        assert_eq!(table.recall(other, at_s(1)), None);
    }
    // Bits between set and fingerprint tell nothing; they are what a larger table would tell apart.
    assert_eq!(table.recall(Key(5 << 18 | 3 | 1 << 10), at_s(1)), Some(9));
    // A fingerprint of nought is one like others, and no empty place.
    assert_eq!(table.remember(Key(0), 0, at_s(128)), new(AGE_SWEPT));
    assert_eq!(table.recall(Key(0), at_s(128)), Some(0));
}

#[test]
fn entries_are_a_power_of_two_with_room_for_what_is_expected() {
    for (calls_per_second, entries) in [
        (1, 128),
        (1000, 131_072),
        (8192, 1_048_576),
        (8193, 2_097_152),
        (1_000_000, 134_217_728),
    ] {
        assert_eq!(entries_for(calls_per_second), entries);
    }
    for (entries, capacity) in [(0, 8), (8, 8), (9, 16), (1000, 1024), (1024, 1024)] {
        assert_eq!(
            TransactionMemory::new(entries, [1; 16]).unwrap().capacity(),
            capacity
        );
    }
}

#[test]
fn at_the_expected_rate_hardly_anything_is_forgotten_early() {
    const RATE: u64 = 128;
    let table = Table::new(entries_for(RATE)).unwrap();
    let mut early = 0_u64;
    for number in 0..RATE * 200 {
        if let Entered::New { replaced_age_s } =
            table.remember(spread(number), 1, at_ms(number * 1000 / RATE))
        {
            early += u64::from(replaced_age_s <= 32);
        }
        if number % (RATE * SWEEP_SECONDS) == 0 {
            table.sweep(at_ms(number * 1000 / RATE));
        }
    }
    assert!(early * 500 < RATE * 200, "{early}");
}

/// Threads that ask the same keys in another order each, while time goes on and a sweeper sweeps: each key is entered
/// once, and everybody is told that value.
#[test]
fn of_shards_that_remember_a_key_at_once_one_is_first_and_the_others_hear_it() {
    const THREADS: u64 = 4;
    const KEYS: u64 = 4000;
    for round in 0..10_u64 {
        let table = Table::new(1 << 15).unwrap();
        // Half of the rounds begin with a table full of old entries, whose order the sweeper changes meanwhile.
        let start_s = round * 1000 + 70;
        for number in 0..(round % 2) * 60_000 {
            let _new = table.remember(spread(!number), 5, at_s(start_s - 33 - number % 37));
        }
        let table = Arc::new(table);
        let clock = Arc::new(AtomicU64::new(start_s));
        let barrier = Arc::new(Barrier::new(5));
        let threads: Vec<_> = (0..THREADS)
            .map(|shard| {
                let (table, clock) = (Arc::clone(&table), Arc::clone(&clock));
                let barrier = Arc::clone(&barrier);
                thread::spawn(move || {
                    barrier.wait();
                    let mut firsts = Vec::new();
                    let mut heard = HashMap::new();
                    for number in 0..KEYS {
                        // Nearly the same order, so that they meet.
                        let number = number ^ shard;
                        let now = at_s(clock.load(Ordering::Relaxed));
                        let own = u16::try_from(shard).unwrap();
                        let key = spread(number);
                        let told = match table.look(key, now) {
                            Look::Known(value) => value,
                            Look::Unknown(place) => match table.enter(place, key, own, now) {
                                Entered::New { .. } => {
                                    firsts.push(number);
                                    own
                                }
                                Entered::Already(value) => value,
                            },
                        };
                        heard.insert(number, told);
                    }
                    (firsts, heard)
                })
            })
            .collect();
        barrier.wait();
        for second in 0..20 {
            clock.store(start_s + second, Ordering::Relaxed);
            table.sweep(at_s(start_s + second));
        }
        let mut firsts = 0;
        let mut told: HashMap<u64, u16> = HashMap::new();
        for thread in threads {
            let (first, heard) = thread.join().unwrap();
            firsts += first.len();
            for (number, value) in heard {
                assert_eq!(*told.entry(number).or_insert(value), value, "{number}");
            }
        }
        assert_eq!(firsts, usize::try_from(KEYS).unwrap());
    }
}

fn told(status: u16) -> Told {
    Told {
        verdict: Verdict::Approve,
        code: Code::A00,
        would: None,
        reports: CodeSet::default(),
        plan: AnswerPlan {
            status: Status(status),
            phrase: Phrase::Standard,
            contact: ContactPlan::Redirect {
                prefix: *b"A00",
                host: ContactHost::Fixed { text: 0 },
            },
            reason: false,
            force_rport: false,
        },
    }
}

#[test]
fn the_same_answer_has_one_number_and_its_host_is_part_of_it() {
    let answers = Answers::new();
    let first = answers.intern(told(302), b"one.example").unwrap();
    let other = answers.intern(told(302), b"two.example").unwrap();
    let third = answers.intern(told(301), b"one.example").unwrap();
    assert!(first != other && first != third && other != third);
    for _ in 0..3 {
        assert_eq!(answers.intern(told(302), b"one.example"), Some(first));
        assert_eq!(answers.intern(told(302), b"two.example"), Some(other));
    }
    assert_eq!(answers.get(other).unwrap().host(), b"two.example");
    assert_eq!(answers.get(third).unwrap().told(), told(301));
}

#[test]
fn answers_that_differ_in_their_reports_or_in_rport_alone_have_numbers_of_their_own() {
    let answers = Answers::new();
    let mut numbers = HashSet::new();
    for force_rport in [false, true] {
        // Every set of the last eight codes.
        for set in 0..256_usize {
            let mut answer = told(302);
            answer.plan.force_rport = force_rport;
            for (bit, code) in Code::ALL.into_iter().rev().take(8).enumerate() {
                if set >> bit & 1 == 1 {
                    answer.reports.insert(code);
                }
            }
            let number = answers.intern(answer, b"");
            assert!(number.is_some(), "{set:b} {force_rport}: no room");
            assert!(numbers.insert(number), "{set:b} {force_rport}");
        }
    }
}

#[test]
fn when_the_answers_are_full_a_new_one_has_no_number_and_the_old_ones_keep_theirs() {
    let answers = Answers::new();
    let mut numbers = HashMap::new();
    let mut refused = 0;
    for number in 0..2 * VALUES {
        let host = format!("host{number}.example");
        match answers.intern(told(302), host.as_bytes()) {
            Some(at) => {
                assert_eq!(numbers.insert(at, host), None);
            }
            None => refused += 1,
        }
    }
    assert!(refused >= VALUES, "{refused}");
    assert!(numbers.len() > VALUES * 3 / 4, "{}", numbers.len());
    for (at, host) in numbers {
        assert_eq!(answers.intern(told(302), host.as_bytes()), Some(at));
        assert_eq!(answers.get(at).unwrap().host(), host.as_bytes());
    }
}

#[test]
fn seeds_show_in_no_log() {
    let shown = format!("{:?}", TransactionMemory::new(8, [77; 16]).unwrap());
    assert_eq!(shown, "TransactionMemory { capacity: 8, .. }");
}
