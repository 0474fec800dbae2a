//! The index, of sets of three words: enough for two keys and a free place, and soon tried out.

mod words {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug)]
    pub(super) struct Line(pub(super) [AtomicU64; WAYS]);
    pub(super) type Lines = Box<[Line]>;
    pub(super) const WAYS: usize = 3;
}

#[path = "../../../src/counters/index.rs"]
mod index;

use crate::model;
use index::{Entered, Index};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use words::Line;

const KEY: u64 = 7;
const OTHER: u64 = 8;

/// An index with one set, and which records are whose: `names[record]` is the place of its key.
struct Table {
    index: Index,
    names: [AtomicU64; 6],
}

impl Table {
    fn new(names: [u64; 6]) -> Self {
        let line = Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            index: Index::new(Box::new([line])),
            names: names.map(AtomicU64::new),
        }
    }

    fn is(&self, key: u64) -> impl Fn(u32) -> bool {
        move |record| self.names[record as usize].load(Ordering::Acquire) == key
    }

    fn enter(&self, key: u64, record: u32) -> Entered {
        self.index.enter(key, record, self.is(key))
    }

    fn sweep(&self, freeing: &mut u64, expired: u64) {
        self.index
            .sweep(freeing, |record| expired >> record & 1 == 1, |_| {});
    }

    fn records_of(&self, key: u64) -> usize {
        let entries = self.index.entries();
        entries.filter(|(_, record)| self.is(key)(*record)).count()
    }
}

#[test]
fn a_key_that_two_shards_enter_at_once_has_one_record() {
    model("a key that two shards enter at once has one record", || {
        let table = Arc::new(Table::new([0, KEY, KEY, 0, 0, 0]));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || table.enter(KEY, 2))
        };
        let mine = table.enter(KEY, 1);
        let others = other.join().unwrap();
        let one = (mine, others);
        assert!(
            one == (Entered::New, Entered::Already(1))
                || one == (Entered::Already(2), Entered::New),
            "{one:?}"
        );
        assert_eq!(table.records_of(KEY), 1);
    });
}

/// Two shards enter the same key while the second of two places becomes free: `first_freed` is which one is free already.
fn enter_while_freeing(first_freed: u32, then_freed: u32) {
    let name = format!("two enter a key, way {then_freed} is freed after {first_freed}");
    model(&name, move || {
        // All three places are taken, one is freed, and another has been found expired once.
        let table = Arc::new(Table::new([0, KEY, KEY, 1, 2, 3]));
        for (key, record) in [(1, 3), (2, 4), (3, 5)] {
            assert_eq!(table.enter(key, record), Entered::New);
        }
        let mut freeing = 0;
        let first = 1 << (3 + first_freed);
        let both = first | 1 << (3 + then_freed);
        table.sweep(&mut freeing, first);
        table.sweep(&mut freeing, both);
        assert_eq!(freeing, 1);
        let enter = |record| {
            let table = Arc::clone(&table);
            thread::spawn(move || table.enter(KEY, record))
        };
        let (one, other) = (enter(1), enter(2));
        table.sweep(&mut freeing, both);
        let entered = [one.join().unwrap(), other.join().unwrap()];
        let new = entered.iter().filter(|entered| **entered == Entered::New);
        assert_eq!(new.count(), 1, "{entered:?}");
        assert_eq!(table.records_of(KEY), 1);
        assert_eq!(freeing, 2);
    });
}

#[test]
fn it_has_one_record_also_while_places_become_free() {
    enter_while_freeing(0, 2);
    enter_while_freeing(2, 0);
}

#[test]
fn what_is_found_in_use_is_not_freed() {
    model("what is found in use is not freed", || {
        let table = Arc::new(Table::new([0, KEY, OTHER, 0, 0, 0]));
        assert_eq!(table.enter(KEY, 1), Entered::New);
        let mut freeing = 0;
        table.sweep(&mut freeing, 1 << 1);
        let sweeper = {
            let table = Arc::clone(&table);
            thread::spawn(move || table.sweep(&mut freeing, 1 << 1))
        };
        let found = table.index.find(KEY, true, table.is(KEY));
        sweeper.join().unwrap();
        assert_eq!(found.is_some(), table.records_of(KEY) == 1);
    });
}
