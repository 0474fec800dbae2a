//! Callers who may choose what they are counted by, and would choose keys that meet (hash flooding).

use super::*;
use crate::counters::words::WAYS;

/// Keys under one seed, in the order of their numbers, that lie in one set of its index.
fn meeting(counters: &Counters, wanted: usize) -> Vec<u64> {
    let set = |number| counters.index.set(key(counters, number).place).unwrap();
    (0..)
        .filter(|number| std::ptr::eq(set(*number), set(0)))
        .take(wanted)
        .collect()
}

/// How many of these keys of an owner found no room.
fn refused(counters: &Counters, of: u64, numbers: &[u64]) -> usize {
    let window = Window::Seconds(60);
    let full = numbers.iter().filter(|number| {
        let count = Count {
            owner: owner(of),
            ..count(counters, **number, window, 9)
        };
        counters.add(&count, at(SECOND_NS)) == Counted::Full
    });
    full.count()
}

#[test]
fn keys_that_meet_under_one_seed_spread_under_another_and_take_one_set_only() {
    let size = Size {
        keys: 1 << 14,
        attempts: 1 << 10,
    };
    let known = Counters::new(size, [3; 32]).unwrap();
    let chosen = meeting(&known, 8 * WAYS);
    // Whoever knew the seed could fill a set. A look-up still reads that one cache line.
    assert_eq!(refused(&known, 1, &chosen), 7 * WAYS);
    let others: Vec<u64> = (1 << 40..(1 << 40) + 1000).collect();
    let met = refused(&known, 2, &others);
    assert!(met < 10, "{met} keys of somebody else have no room");
    // Nobody knows it, and under another seed the same keys have nothing to do with each other.
    let secret = Counters::new(size, [4; 32]).unwrap();
    assert_eq!(refused(&secret, 1, &chosen), 0);
}
