//! What a restart finds.

use super::{SECOND_NS, at, count, counters, key, owner, sum};
use crate::clock::Now;
use crate::counters::{
    Count, Counters, Held, HoldText, IfFull, LimitId, NewHold, Size, StateFault, StateKind, Window,
};

const NAME: [u8; 3] = *b"R13";

fn counts(counters: &Counters) -> Vec<Count> {
    let day = Window::Since {
        start_unix_s: 1_790_000_040,
        end_unix_s: 1_790_090_000,
    };
    let windows = [Window::Seconds(60), Window::Seconds(86_400), day];
    (0..300)
        .map(|number| Count {
            owner: owner(number % 7),
            ..count(
                counters,
                number,
                windows[usize::try_from(number % 3).unwrap()],
                1000,
            )
        })
        .collect()
}

fn totals(counters: &Counters, now: Now) -> Vec<u64> {
    counts(counters)
        .iter()
        .map(|count| {
            sum(counters.peek(
                &Count {
                    amount: 0,
                    ..*count
                },
                now,
            ))
            .total
        })
        .collect()
}

fn filled() -> Counters {
    let counters = counters(1 << 12);
    for (number, count) in (1..).zip(counts(&counters)) {
        for call in 0..number {
            counters.add(&count, at(call * SECOND_NS / 10));
        }
    }
    let text = HoldText::new([b"acme", b"pbx", b"pumping", b"1001", b"", b"+390612345678"]);
    for number in 0..5 {
        let hold = NewHold {
            code: 13,
            seconds: 3600,
            owner: owner(number),
            text: &text,
        };
        counters.hold(&key(&counters, number), &hold, at(30 * SECOND_NS));
    }
    counters
}

fn octets(counters: &Counters, now: Now) -> (Vec<u8>, Vec<u8>) {
    let (mut sums, mut holds) = (Vec::new(), Vec::new());
    counters.save(now, &mut sums).unwrap();
    counters.save_holds(now, |_| NAME, &mut holds).unwrap();
    (sums, holds)
}

/// A table of another size in a process whose clock has just begun.
fn restarted(sums: &[u8], holds: &[u8], now: Now) -> Counters {
    let size = Size {
        keys: 1 << 14,
        attempts: 64,
    };
    let counters = Counters::new(size, [3; 32]).unwrap();
    for (kind, octets) in [(StateKind::Counters, sums), (StateKind::Holds, holds)] {
        counters.resume(&counters.examine(kind, octets).unwrap(), now);
    }
    counters.restore(now, sums).unwrap();
    let code = |name| (name == NAME).then_some(13);
    counters.restore_holds(now, code, holds).unwrap();
    counters
}

#[test]
fn a_restart_goes_on_counting_where_it_was() {
    let old = filled();
    let saved_at = at(31 * SECOND_NS);
    let (sums, holds) = octets(&old, saved_at);
    // Away for no time, for 20 seconds, for ten minutes: the monotonic clock began anew each time.
    for away_s in [0, 20, 600] {
        let now = Now {
            monotonic_ns: 5_000_000,
            unix_us: saved_at.unix_us + away_s * 1_000_000,
        };
        let new = restarted(&sums, &holds, now);
        let then = at(31 * SECOND_NS + away_s * SECOND_NS);
        assert_eq!(totals(&new, now), totals(&old, then), "{away_s} s");
        for number in 0..5 {
            let held = new.held(&key(&new, number), now);
            let left_s = u32::try_from(3599 - away_s).unwrap();
            assert_eq!(held, Some(Held { code: 13, left_s }));
        }
        let entry = new.holds(now).next().unwrap();
        assert_eq!(entry.text.fields()[5], "+390612345678");
        // Whose keys they are is known, too.
        let kept = if away_s == 600 { 200 } else { 300 };
        assert_eq!(new.usage().used, kept);
        // A later file holds the same.
        let (sums_again, holds_again) = octets(&new, now);
        let again = restarted(&sums_again, &holds_again, now);
        assert_eq!(totals(&again, now), totals(&old, then));
    }
}

#[test]
fn a_wall_clock_that_was_set_back_makes_windows_longer_and_never_shorter() {
    let old = filled();
    let (sums, holds) = octets(&old, at(31 * SECOND_NS));
    let now = Now {
        monotonic_ns: 0,
        unix_us: 1_000_000,
    };
    let new = restarted(&sums, &holds, now);
    assert_eq!(
        totals(&new, now)[0..2],
        totals(&old, at(31 * SECOND_NS))[0..2]
    );
    assert!(new.held(&key(&new, 1), now).is_some());
}

#[test]
fn a_file_that_is_torn_foreign_or_of_another_key_is_not_taken() {
    let counters = filled();
    let (sums, holds) = octets(&counters, at(0));
    let why = |kind, octets: &[u8]| {
        counters
            .examine(kind, octets)
            .map_err(|fault| fault.to_string())
    };
    assert_eq!(why(StateKind::Counters, &sums).unwrap().records, 300);
    for (kind, whole) in [(StateKind::Counters, &sums), (StateKind::Holds, &holds)] {
        for length in (0..whole.len()).step_by(41).chain([whole.len() - 1]) {
            assert!(
                why(kind, &whole[..length]).is_err(),
                "{kind:?} cut at {length}"
            );
        }
        for at in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert!(why(kind, &changed).is_err(), "{kind:?} changed at {at}");
        }
        let longer = [whole.as_slice(), b"\0"].concat();
        let fault = counters.examine(kind, longer.as_slice()).unwrap_err();
        assert!(matches!(fault, StateFault::Torn));
    }
    let fault = counters
        .examine(StateKind::Holds, sums.as_slice())
        .unwrap_err();
    assert!(matches!(fault, StateFault::Foreign));
    let size = Size {
        keys: 64,
        attempts: 64,
    };
    let other = Counters::new(size, [4; 32]).unwrap();
    let fault = other
        .examine(StateKind::Counters, sums.as_slice())
        .unwrap_err();
    assert!(matches!(fault, StateFault::OtherKey));
}

#[test]
fn what_counts_for_nobody_is_restored_as_such() {
    let old = counters(64);
    let rest = LimitId::new(&["rest"]);
    // A share is four keys here.
    for number in 0..8 {
        let folded = Count {
            if_full: IfFull::Fold(rest),
            ..count(&old, number, Window::Seconds(60), 100)
        };
        old.add(&folded, at(0));
    }
    assert_eq!(old.usage().owners_at_share, 1);
    let (sums, _) = octets(&old, at(0));
    let size = Size {
        keys: 64,
        attempts: 64,
    };
    let new = Counters::new(size, [3; 32]).unwrap();
    new.resume(
        &new.examine(StateKind::Counters, sums.as_slice()).unwrap(),
        at(0),
    );
    assert_eq!(new.restore(at(0), sums.as_slice()).unwrap(), 5);
    assert_eq!((new.usage().used, new.usage().owners_at_share), (5, 1));
}
