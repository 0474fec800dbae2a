//! Many keys, many threads, holds and attempts.

use super::{SECOND_NS, at, count, counters, key, no_text, owner, sum};
use crate::counters::{Attempt, Count, Counted, IfFull, LimitId, NewHold, Told, Window};
use std::thread;

/// Additions of one thread: `tests/long` asks for more.
fn additions() -> u64 {
    let text = std::env::var("TOLLGATE_ADDITIONS").unwrap_or_default();
    text.parse().unwrap_or(20_000)
}

#[test]
fn four_threads_lose_no_addition_and_never_let_more_than_the_maximum_through() {
    const KEYS: u64 = 997;
    let additions = additions();
    let counters = counters(1 << 16);
    let day = Window::Since {
        start_unix_s: 1_790_000_040,
        end_unix_s: 1_790_086_440,
    };
    let through: Vec<u64> = thread::scope(|scope| {
        let threads = (0..4).map(|thread| {
            let counters = &counters;
            scope.spawn(move || {
                let mut through = 0;
                for call in 0..additions {
                    let number = (call * 7 + thread) % KEYS;
                    // Time passes while they count: about 40 sub-buckets in all.
                    let now = at(call * 90 * SECOND_NS / additions);
                    let all = count(counters, number, Window::Seconds(60), 1 << 30);
                    sum(counters.add(&all, now));
                    let today = count(counters, KEYS + number, day, 1 << 30);
                    sum(counters.add(&today, now));
                    let limited = count(counters, 2 * KEYS + number, Window::Seconds(3600), 50);
                    through += u64::from(!sum(counters.add(&limited, now)).is_over);
                }
                through
            })
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let calls = 4 * additions;
    let mut total = 0;
    for number in 0..KEYS {
        let mut today = count(&counters, KEYS + number, day, 1 << 30);
        today.amount = 0;
        total += sum(counters.peek(&today, at(90 * SECOND_NS))).total;
    }
    assert_eq!(total, calls, "every addition is in a sum");
    let mut calls_of = vec![0_u64; 997];
    for call in (0..4).flat_map(|thread| (0..additions).map(move |call| call * 7 + thread)) {
        calls_of[usize::try_from(call % KEYS).unwrap()] += 1;
    }
    let want: u64 = calls_of.iter().map(|calls| *calls.min(&50)).sum();
    assert_eq!(through.iter().sum::<u64>(), want);
    assert_eq!(counters.usage().used, 3 * KEYS.min(additions));
    println!(
        "counters: four threads of {additions} calls, each added to three sums of {KEYS} keys, and none is missing; of the limited ones {want} passed, as many as may"
    );
}

/// What this process has in memory, KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn callers_rotated_by_one_subscriber_fill_its_share_and_touch_nobody_elses_counts() {
    let rotations = std::env::var("TOLLGATE_ROTATIONS").unwrap_or_default();
    let rotations: u64 = rotations.parse().unwrap_or(100_000);
    let counters = counters(1 << 14);
    let share = (1 << 14) / 16;
    let window = Window::Seconds(900);
    let of = |subscriber: u64, caller: u64, if_full| Count {
        key: key(&counters, subscriber << 40 | caller),
        owner: owner(subscriber),
        if_full,
        ..count(&counters, 0, window, 3)
    };
    let others = |amount| {
        (0..200_u64).map(move |caller| Count {
            amount,
            ..of(2, caller, IfFull::Refuse)
        })
    };
    for _call in 0..2 {
        others(1).for_each(|count| assert!(!sum(counters.add(&count, at(0))).is_over));
    }
    let rest = LimitId::new(&["rest"]);
    let mut refused = 0;
    let mut passed = 0;
    let mut resident = 0;
    for caller in 0..rotations {
        // Once the share is full and all of the index was met.
        if caller == rotations / 10 {
            resident = resident_kib();
        }
        let now = at(caller * 10 * SECOND_NS / rotations);
        match counters.add(&of(1, caller, IfFull::Refuse), now) {
            Counted::Full => refused += 1,
            Counted::Sum(sum) => assert!(!sum.is_over),
        }
        let folded = sum(counters.add(&of(1, caller, IfFull::Fold(rest)), now));
        passed += u64::from(folded.is_folded && !folded.is_over);
    }
    let grown = resident_kib().saturating_sub(resident);
    println!(
        "counters: {rotations} callers rotated by one subscriber: {refused} found no room of their own and count together, memory grew by {grown} KiB after the first tenth, and the counts of 200 callers of another one are as they were"
    );
    // Fewer are made beside other tests, which have memory of their own.
    assert!(rotations <= 100_000 || grown < 1024, "{grown} KiB");
    assert_eq!(refused, rotations - share);
    assert_eq!(passed, 3, "what found no room counts together");
    let usage = counters.usage();
    assert_eq!((usage.owners_at_share, usage.used), (1, share + 200 + 1));
    others(0).for_each(|count| assert_eq!(sum(counters.peek(&count, at(0))).total, 2));
    // When its callers have expired, its share has room again.
    for second in [1030, 1050] {
        counters.sweep(at(second * SECOND_NS));
    }
    assert_eq!(counters.usage().used, 0);
    assert_eq!(counters.usage().owners_at_share, 0);
    assert!(!sum(counters.add(&of(1, 7, IfFull::Refuse), at(1051 * SECOND_NS))).is_over);
}

#[test]
fn an_expired_key_is_used_again_and_a_live_one_is_not() {
    let counters = counters(64);
    let all: Vec<Count> = (0..64)
        .map(|number| Count {
            owner: owner(number),
            ..count(&counters, number, Window::Seconds(10), 1)
        })
        .collect();
    for round in 0..50_u64 {
        let now_ns = round * 60 * SECOND_NS;
        let entered = all
            .iter()
            .filter(|count| counters.add(count, at(now_ns)) != Counted::Full);
        let entered: Vec<&Count> = entered.collect();
        assert_eq!(entered.len(), 60, "a sixteenth is left to the rest");
        // Two sweeps within the window take nothing away, two after it take all.
        for second in [0, 9, 20, 40] {
            counters.sweep(at(now_ns + second * SECOND_NS));
            if second < 10 {
                let live = entered.iter();
                let live = live.filter(|count| sum(counters.peek(count, at(now_ns))).is_over);
                assert_eq!(live.count(), 60);
            }
        }
        assert_eq!(counters.usage().used, 0);
    }
}

#[test]
fn two_shards_that_enter_keys_at_once_make_one_record_of_each() {
    let counters = counters(1 << 12);
    let keys = 2000_u64;
    thread::scope(|scope| {
        for _thread in 0..4 {
            scope.spawn(|| {
                for number in 0..keys {
                    let count = Count {
                        owner: owner(number),
                        ..count(&counters, number, Window::Seconds(60), 4)
                    };
                    assert!(!sum(counters.add(&count, at(0))).is_over);
                }
            });
        }
    });
    assert_eq!(counters.usage().used, keys);
    for number in 0..keys {
        let count = count(&counters, number, Window::Seconds(60), 4);
        assert!(sum(counters.peek(&count, at(0))).is_over);
    }
}

#[test]
fn a_hold_lasts_its_time_and_is_not_extended() {
    let counters = counters(64);
    let text = no_text();
    let hold = |code| NewHold {
        code,
        seconds: 3600,
        owner: owner(1),
        text: &text,
    };
    let key = key(&counters, 1);
    let code = |second: u64| {
        let held = counters.held(&key, at(second * SECOND_NS));
        held.map(|held| (held.code, held.left_s))
    };
    assert_eq!(code(0), None);
    assert!(counters.hold(&key, &hold(13), at(0)));
    assert!(counters.hold(&key, &hold(14), at(1800 * SECOND_NS)));
    assert_eq!(code(1800), Some((13, 1800)));
    assert_eq!(code(3599), Some((13, 1)));
    assert_eq!(code(3600), None);
    assert!(counters.hold(&key, &hold(14), at(3600 * SECOND_NS)));
    assert_eq!(code(3601), Some((14, 3599)));
    assert_eq!(counters.held(&super::key(&counters, 2), at(0)), None);
}

#[test]
fn a_subscriber_has_a_share_of_the_holds_and_a_released_one_is_free_at_once() {
    let counters = counters(64);
    let text = no_text();
    let share = u64::from(crate::limits::HOLDS_MAX) / crate::limits::HOLDS_PER_OWNER_DIVISOR;
    let place = |number: u64, whose| {
        let hold = NewHold {
            code: 13,
            seconds: 60,
            owner: owner(whose),
            text: &text,
        };
        counters.hold(&key(&counters, number), &hold, at(0))
    };
    let placed = (0..share + 10).filter(|number| place(*number, 1)).count();
    assert_eq!(u64::try_from(placed), Ok(share));
    assert!(place(1 << 40, 2));
    let usage = counters.usage();
    assert_eq!((usage.holds, usage.holds_without_room), (share + 1, 10));
    let listed = counters.holds(at(0)).next().unwrap();
    assert!(counters.release_hold(listed.id, at(0)));
    assert!(!counters.release_hold(listed.id, at(0)));
    let left = counters.holds(at(0)).count();
    assert_eq!(u64::try_from(left), Ok(share));
}

#[test]
fn up_to_four_transactions_in_32_seconds_are_one_attempt() {
    let counters = counters(64);
    let key = key(&counters, 1);
    let seen = |second: u64| counters.attempt(&key, at(second * SECOND_NS));
    assert_eq!(seen(10), Attempt::New);
    assert_eq!(seen(10), Attempt::Same(None));
    counters.settle(&key, Told(77), at(10 * SECOND_NS));
    assert_eq!(seen(20), Attempt::Same(Some(Told(77))));
    assert_eq!(seen(42), Attempt::Same(Some(Told(77))));
    assert_eq!(seen(42), Attempt::New, "the fifth");
    counters.settle(&key, Told(0), at(42 * SECOND_NS));
    assert_eq!(seen(43), Attempt::Same(Some(Told(0))));
    assert_eq!(seen(76), Attempt::New, "34 seconds later");
    let other = super::key(&counters, 2);
    assert_eq!(counters.attempt(&other, at(76 * SECOND_NS)), Attempt::New);
}

#[test]
fn of_transactions_of_one_attempt_that_come_at_once_one_is_new() {
    let counters = counters(64);
    for number in 0..300 {
        let key = key(&counters, number);
        let new: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| counters.attempt(&key, at(0))))
                .collect();
            let told = threads.into_iter().map(|thread| thread.join().unwrap());
            told.filter(|told| *told == Attempt::New).count()
        });
        assert_eq!(new, 1);
    }
}

#[test]
fn a_look_at_a_full_share_says_what_adding_would() {
    let counters = counters(64);
    let window = Window::Seconds(900);
    let full = (0..64).find(|&number| {
        let count = count(&counters, number, window, 10);
        counters.add(&count, at(0)) == Counted::Full
    });
    let refused = count(&counters, full.unwrap(), window, 10);
    assert_eq!(counters.peek(&refused, at(0)), Counted::Full);
    let held = count(&counters, 0, window, 10);
    assert_eq!(sum(counters.peek(&held, at(0))).total, 2);
}
