//! Sums, with two shards at once.

mod words {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug)]
    pub(super) struct Line(pub(super) [AtomicU64; 8]);
}

#[path = "../../../src/counters/sum.rs"]
mod sum;

use crate::model;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;
use sum::{Cells, Terms};
use words::Line;

fn line() -> Line {
    Line(std::array::from_fn(|_| AtomicU64::new(0)))
}

fn cells(line: &Line) -> Cells<'_, false> {
    Cells {
        first: line,
        second: None,
    }
}

/// Whether one more passes at this tick.
fn passes(line: &Line, max: u64, tick: u64) -> bool {
    let added = cells(line).add(Terms::new(max), tick, 1);
    added.total <= max
}

/// What passes of one at each of `before`, one after another, and then of two shards with these ticks at once. Either is
/// the thread that begins: of one that only reads, later writes are tried only when it is the other one.
fn check(
    before: &'static [u64],
    max: u64,
    ticks: [&'static [u64]; 2],
    want: std::ops::RangeInclusive<usize>,
) {
    let [one, another] = ticks;
    for [mine, others] in [[one, another], [another, one]] {
        let want = want.clone();
        let name = format!("{before:?}, then {mine:?} and {others:?} of {max}");
        model(&name, move || {
            let line = Arc::new(line());
            for tick in before {
                assert!(passes(&line, max, *tick));
            }
            let through = move |line: &Line, ticks: &'static [u64]| {
                let passed = ticks.iter().filter(|tick| passes(line, max, **tick));
                passed.count()
            };
            let other = {
                let line = Arc::clone(&line);
                thread::spawn(move || through(&line, others))
            };
            let passed = through(&line, mine);
            let passed = passed + other.join().unwrap();
            assert!(want.contains(&passed), "{passed} of {want:?}");
        });
    }
}

#[test]
fn two_shards_in_one_sub_bucket_let_exactly_the_maximum_through() {
    check(&[100], 3, [&[100, 100], &[100, 100]], 2..=2);
}

#[test]
fn and_when_time_moves_on_between_them() {
    check(&[100], 2, [&[101], &[101]], 1..=1);
    check(&[100], 2, [&[100], &[101]], 1..=1);
    check(&[99, 100], 4, [&[101, 102], &[102]], 2..=2);
}

#[test]
fn when_the_oldest_sub_bucket_has_just_left_at_most_one_more_of_the_other_shard_passes() {
    // The window of tick 118 begins with 101: for a shard that still has 117 the call at 100 counts.
    check(&[100, 117], 2, [&[117], &[118]], 1..=2);
    // A whole window later nothing is left.
    check(&[100], 1, [&[118], &[118]], 1..=1);
}

#[test]
fn what_is_taken_back_while_time_moves_on_is_never_more_than_was_added() {
    model("taken back", || {
        let line = Arc::new(line());
        assert!(passes(&line, 5, 100) && passes(&line, 5, 100));
        let other = {
            let line = Arc::clone(&line);
            thread::spawn(move || cells(&line).release(Terms::new(5), 100, 1))
        };
        assert!(passes(&line, 5, 101));
        other.join().unwrap();
        // Two were added at 100 and one at 101, one was taken back: that one may still count, until it is old.
        let sum = cells(&line).peek(Terms::new(5), 101);
        assert!((2..=3).contains(&sum), "{sum}");
    });
}
