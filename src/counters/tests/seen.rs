//! Batches that look at all their keys before they add to any.

use super::{SECOND_NS, at, count, counters, owner, sum};
use crate::counters::{Count, IfFull, LimitId, Seen, Usage, Window};

/// A few of the numbers that a generator yields.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        let product = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = product.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What becomes of batches of counts, with looking before or without, and how full the table is after each.
fn batches(looks: bool) -> Vec<(Vec<String>, Usage)> {
    let counters = counters(64);
    let mut random = Random(7);
    let rest = IfFull::Fold(LimitId::new(&["rest"]));
    let windows = [1, 10, 7200].map(Window::Seconds);
    let mut now_ns = 100 * SECOND_NS;
    let batches = (0..4_000).map(|_batch| {
        now_ns += random.below(2 * SECOND_NS);
        counters.sweep(at(now_ns));
        let counts = [(); 16].map(|()| {
            let whose = random.below(3);
            let number = whose << 32 | random.below(6);
            // As limits have it: another window is another sum.
            let window = windows[usize::try_from(number % 3).unwrap()];
            Count {
                owner: owner(whose + 1),
                if_full: if whose == 0 { IfFull::Refuse } else { rest },
                warn: Some(2),
                ..count(&counters, number, window, 3)
            }
        });
        let counts = counts.map(|count| Count {
            seen: if looks {
                counters.fetch(&count.key, count.owner)
            } else {
                Seen::Unseen
            },
            ..count
        });
        let counted = counts.map(|count| format!("{:?}", counters.add(&count, at(now_ns))));
        (counted.to_vec(), counters.usage())
    });
    batches.collect()
}

#[test]
fn what_a_batch_saw_of_its_keys_changes_nothing_but_speed() {
    let (with, without) = (batches(true), batches(false));
    for (batch, (one, other)) in with.iter().zip(&without).enumerate() {
        assert_eq!(one, other, "batch {batch}");
    }
    let folded = with.iter().flat_map(|(counted, _)| counted);
    let folded = folded.filter(|counted| counted.contains("is_folded: true"));
    assert!(folded.count() > 1000, "shares are full again and again");
}

#[test]
fn a_record_that_is_swept_between_look_and_addition_is_kept() {
    let counters = counters(64);
    let mut one = count(&counters, 1, Window::Seconds(10), 9);
    sum(counters.add(&one, at(0)));
    one.seen = counters.fetch(&one.key, one.owner);
    assert!(matches!(one.seen, Seen::Record(_)));
    // The first sweep after its time marks it; what is added then keeps it.
    counters.sweep(at(20 * SECOND_NS));
    assert_eq!(sum(counters.add(&one, at(20 * SECOND_NS))).total, 1);
    counters.sweep(at(37 * SECOND_NS));
    counters.sweep(at(54 * SECOND_NS));
    assert_eq!(counters.usage().used, 0, "its window has passed");
    let now = at(55 * SECOND_NS);
    let two = count(&counters, 2, Window::Seconds(10), 9);
    for total in 1..=5 {
        assert_eq!(sum(counters.add(&two, now)).total, total);
    }
    // Its record is somebody else's by now.
    assert_eq!(counters.fetch(&two.key, two.owner), one.seen);
    assert_eq!(sum(counters.add(&one, now)).total, 1);
    assert_eq!(sum(counters.add(&two, now)).total, 6);
}

#[test]
fn a_marked_record_is_looked_for_again() {
    let counters = counters(64);
    let mut one = count(&counters, 1, Window::Seconds(10), 9);
    sum(counters.add(&one, at(0)));
    counters.sweep(at(20 * SECOND_NS));
    one.seen = counters.fetch(&one.key, one.owner);
    assert_eq!(one.seen, Seen::Unseen);
    sum(counters.add(&one, at(20 * SECOND_NS)));
    let mark = counters
        .index
        .glance(one.key.place)
        .map(|(_, marked)| marked);
    assert_eq!(mark, Some(false));
}
