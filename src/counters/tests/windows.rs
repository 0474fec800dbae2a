//! Sums over windows against lists of everything that was added.

use super::{SECOND_NS, at, count, counters, sum};
use crate::counters::{Count, Counters, Window};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

/// Sub-buckets of a window, from the outside: `Cut` has them for its own use.
fn steps(seconds: u32) -> u64 {
    if seconds <= 3600 { 17 } else { 61 }
}

/// What passed, and when.
#[derive(Default)]
struct Passed(Vec<(u64, u64)>);

impl Passed {
    fn sum(&self, from_ns: u64) -> u64 {
        let recent = self
            .0
            .iter()
            .filter(|(at_ns, _)| *at_ns > from_ns || from_ns == 0);
        recent.map(|(_, amount)| amount).sum()
    }
}

/// One arrival: at most the maximum passes in any window, and nothing is rejected that a window one sub-bucket longer (and,
/// above what a field holds, fields rounded up) would let pass. `coarsest` is the largest maximum there was.
fn arrive(
    counters: &Counters,
    count: &Count,
    (seconds, coarsest): (u32, u64),
    at_ns: u64,
    passed: &mut Passed,
) {
    let window_ns = u64::from(seconds) * SECOND_NS;
    let peeked = sum(counters.peek(count, at(at_ns)));
    let counted = sum(counters.add(count, at(at_ns)));
    assert_eq!(
        (peeked.total, peeked.is_over),
        (counted.total, counted.is_over)
    );
    if counted.is_over {
        let bucket_ns = window_ns / steps(seconds);
        let field_max: u64 = if seconds <= 3600 { 8191 } else { 4095 };
        let rounding = if coarsest > field_max {
            steps(seconds) * (coarsest / field_max + 1) * 2
        } else {
            0
        };
        let longest = passed.sum(at_ns.saturating_sub(window_ns + bucket_ns + 1000));
        assert!(
            longest + rounding + count.amount > count.max,
            "rejected at {at_ns} with {longest} of {} in a longer window",
            count.max
        );
        if let Some(reserved) = counted.reserved {
            counters.release(&reserved, at(at_ns));
        }
        return;
    }
    passed.0.push((at_ns, count.amount));
    let through = passed.sum(at_ns.saturating_sub(window_ns));
    assert!(
        through <= count.max,
        "{through} of {} passed by {at_ns}",
        count.max
    );
}

#[test]
fn no_window_lets_more_than_its_maximum_through_whatever_arrives() {
    let seconds = prop_oneof![
        1_u32..5,
        Just(30_u32),
        Just(900),
        Just(3600),
        Just(3601),
        3601_u32..86_400,
        Just(86_400)
    ];
    // Gaps as parts of the window: bursts, sub-buckets and their edges, whole windows, days of silence.
    let gap = prop_oneof![
        4 => Just(0.0_f64),
        6 => 0.0_f64..0.02,
        4 => (0_u32..70).prop_map(|steps| f64::from(steps) / 17.0),
        4 => (0_u32..70).prop_map(|steps| f64::from(steps) / 61.0),
        2 => 0.0_f64..1.1,
        1 => 0.9999_f64..1.0001,
        1 => 1.0_f64..20.0,
    ];
    let max = prop_oneof![4 => 1_u64..40, 1 => 4000_u64..9000, 1 => 1_000_000_u64..100_000_000];
    let arrivals = proptest::collection::vec((gap, any::<u64>()), 1..200);
    let start = prop_oneof![Just(0_u64), 0_u64..100_000_000_000_000];
    TestRunner::new(Config::with_cases(300))
        .run(
            &(seconds, max, start, arrivals),
            |(seconds, max, start, arrivals)| {
                let counters = counters(64);
                let mut count = count(&counters, 1, Window::Seconds(seconds), max);
                let mut passed = Passed::default();
                let mut at_ns = start;
                for (gap, amount) in arrivals {
                    let gap_ns = f64::from(seconds) * 1e9 * gap;
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a random time, not negative"
                    )]
                    let gap_ns = gap_ns as u64;
                    at_ns += gap_ns;
                    count.amount = if max < 100 {
                        1
                    } else {
                        1 + amount % (max / 20)
                    };
                    arrive(&counters, &count, (seconds, max), at_ns, &mut passed);
                }
                Ok(())
            },
        )
        .unwrap();
}

/// Maxima whose histories are kept in different steps, whatever the window.
const EDITS: [u64; 4] = [3000, 9000, 40_000, 1_000_000];

#[test]
fn an_edit_of_the_maximum_to_and_fro_keeps_what_was_counted() {
    let seconds = prop_oneof![Just(1_u32), Just(30), Just(3600), Just(3601), Just(86_400)];
    let gap = prop_oneof![4 => Just(0.0_f64), 6 => 0.0_f64..0.05, 2 => 0.0_f64..1.2];
    let edit = prop_oneof![3 => Just(None), 1 => (0..EDITS.len()).prop_map(Some)];
    let arrivals = proptest::collection::vec((gap, edit, any::<u64>()), 1..200);
    TestRunner::new(Config::with_cases(300))
        .run(&(seconds, arrivals), |(seconds, arrivals)| {
            let counters = counters(64);
            let mut count = count(&counters, 1, Window::Seconds(seconds), EDITS[0]);
            let mut passed = Passed::default();
            let mut at_ns = 1_000_000_000_000;
            for (gap, edit, amount) in arrivals {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a random time, not negative"
                )]
                let gap_ns = (f64::from(seconds) * 1e9 * gap) as u64;
                at_ns += gap_ns;
                // As a node does it all the time.
                for before_s in [40, 20] {
                    counters.sweep(at(at_ns - before_s * SECOND_NS));
                }
                count.max = edit.map_or(count.max, |edit| EDITS[edit]);
                count.amount = 1 + amount % (count.max / 5);
                let coarsest = EDITS[EDITS.len() - 1];
                arrive(&counters, &count, (seconds, coarsest), at_ns, &mut passed);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn an_edit_of_the_maximum_gives_no_second_warning_and_outlives_a_restart() {
    for (seconds, maxima) in [(60, [8191, 8192]), (7200, [4095, 4096])] {
        let old = counters(64);
        let warned = |counters: &Counters, max: u64| {
            let count = Count {
                warn: Some(2),
                ..count(counters, 1, Window::Seconds(seconds), max)
            };
            let counted = sum(counters.add(&count, at(SECOND_NS)));
            (counted.total, counted.is_warning)
        };
        let [before, after] = maxima;
        let seen = [before, before, after, before, after].map(|max| warned(&old, max));
        let want = [(1, false), (2, true), (3, false), (4, false), (5, false)];
        assert_eq!(seen, want, "{seconds} s");
        let mut octets = Vec::new();
        old.save(at(SECOND_NS), &mut octets).unwrap();
        let new = counters(64);
        new.restore(at(SECOND_NS), octets.as_slice()).unwrap();
        assert_eq!(warned(&new, before), (6, false));
        let peeked = new.peek(
            &Count {
                amount: 0,
                ..count(&new, 1, Window::Seconds(seconds), after)
            },
            at(SECOND_NS),
        );
        assert_eq!(sum(peeked).total, 6);
    }
}

#[test]
fn at_every_phase_of_an_edge_the_window_holds_and_ends_within_one_sub_bucket() {
    for seconds in [1, 30, 3600, 3601, 86_400] {
        let window_ns = u64::from(seconds) * SECOND_NS;
        let bucket_ns = window_ns / steps(seconds);
        // 200 phases of a sub-bucket, and a microsecond before and after each edge.
        let fine = (0..200).map(|part| bucket_ns * part / 200);
        let phases = fine.chain((0..steps(seconds) * 2).flat_map(|step| {
            let edge_ns = 10_000 + step * bucket_ns;
            [edge_ns - 1000, edge_ns, edge_ns + 1000]
        }));
        for phase_ns in phases {
            let counters = counters(64);
            let count = count(&counters, 1, Window::Seconds(seconds), 10);
            let first_ns = window_ns * 3 + phase_ns;
            for call in 0..10 {
                assert!(!sum(counters.add(&count, at(first_ns + call))).is_over);
            }
            let is_over = |at_ns: u64| sum(counters.peek(&count, at(at_ns))).is_over;
            assert!(is_over(first_ns + 9));
            assert!(is_over(first_ns + window_ns - 1), "{seconds} s, {phase_ns}");
            assert!(
                !is_over(first_ns + window_ns + bucket_ns + 2000),
                "{seconds} s, {phase_ns}"
            );
        }
    }
}

#[test]
fn a_partial_sub_bucket_is_less_than_two_hundredths_of_a_long_window() {
    let counters = counters(64);
    let count = count(&counters, 1, Window::Seconds(86_400), 1);
    let day_ns = 86_400 * SECOND_NS;
    assert!(!sum(counters.add(&count, at(5))).is_over);
    assert!(sum(counters.peek(&count, at(day_ns))).is_over);
    assert!(!sum(counters.peek(&count, at(day_ns + day_ns / 50))).is_over);
}

#[test]
fn days_and_periods_begin_anew_with_their_begin() {
    let counters = counters(64);
    let since = |start_unix_s: u64| {
        let window = Window::Since {
            start_unix_s,
            end_unix_s: start_unix_s + 86_400,
        };
        count(&counters, 1, window, 2)
    };
    let (monday, tuesday) = (1_790_000_040, 1_790_086_440);
    let over = |start: u64| sum(counters.add(&since(start), at(0))).is_over;
    assert_eq!([monday; 3].map(over), [false, false, true]);
    assert_eq!([tuesday; 3].map(over), [false, false, true]);
    // A shard whose batch began before midnight adds to the day that has begun; a clock set back by a week begins anew.
    assert!(over(monday));
    assert!(!over(monday - 7 * 86_400));
}

#[test]
fn a_warning_is_given_once_per_key_and_window() {
    let counters = counters(64);
    let mut thirty = count(&counters, 1, Window::Seconds(30), 5);
    thirty.warn = Some(3);
    let warned = (0..100).filter(|second| {
        let sum = sum(counters.add(&thirty, at(second * SECOND_NS)));
        assert!(!sum.is_warning || sum.total >= 3);
        sum.is_warning
    });
    let warned: Vec<u64> = warned.collect();
    assert_eq!(warned[0], 2);
    let gaps = warned.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        gaps.clone().all(|gap| (30..=35).contains(&gap)),
        "{warned:?}"
    );
    let mut today = count(
        &counters,
        2,
        Window::Since {
            start_unix_s: 1_790_000_040,
            end_unix_s: 1_790_086_440,
        },
        5,
    );
    today.warn = Some(3);
    let warned = (0..9).filter(|_| sum(counters.add(&today, at(0))).is_warning);
    assert_eq!(warned.count(), 1);
}

#[test]
fn what_is_released_is_as_if_it_had_not_been() {
    for window in [
        Window::Seconds(30),
        Window::Seconds(86_400),
        Window::Since {
            start_unix_s: 1_790_000_040,
            end_unix_s: 1_790_086_440,
        },
    ] {
        let counters = counters(64);
        let mut count = count(&counters, 1, window, 10);
        count.amount = 6;
        let first = sum(counters.add(&count, at(0)));
        // In the head, and when it has gone into the history.
        let second = sum(counters.add(&count, at(0)));
        assert!(second.is_over);
        counters.release(&second.reserved.unwrap(), at(0));
        count.amount = 4;
        let third = sum(counters.add(&count, at(10 * SECOND_NS)));
        assert_eq!((third.total, third.is_over), (10, false));
        counters.release(&first.reserved.unwrap(), at(11 * SECOND_NS));
        count.amount = 0;
        assert_eq!(sum(counters.peek(&count, at(11 * SECOND_NS))).total, 4);
    }
}

#[test]
fn a_maximum_just_below_a_power_of_two_is_kept_when_a_whole_window_meets_it_at_once() {
    for (seconds, max) in [(60, 16_383), (60, 32_767), (86_400, 8191)] {
        let counters = counters(64);
        let mut count = count(&counters, 1, Window::Seconds(seconds), max);
        count.amount = max;
        assert!(!sum(counters.add(&count, at(0))).is_over);
        count.amount = 1;
        // All of it has become history of the window, and is still in it.
        let later = u64::from(seconds) / 2 * SECOND_NS;
        assert!(sum(counters.add(&count, at(later))).is_over, "{max}");
    }
}
