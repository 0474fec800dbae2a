//! The counters through their own door.

mod flooding;
mod many;
mod saved;
mod seen;
mod windows;

use super::{
    Count, Counted, Counters, HoldText, IfFull, Key, LimitId, Owner, Part, Seen, Size, Sum, Window,
};
use crate::clock::Now;

const SECOND_NS: u64 = 1_000_000_000;

fn counters(keys: u32) -> Counters {
    let size = Size {
        keys,
        attempts: 1 << 10,
    };
    Counters::new(size, [3; 32]).unwrap()
}

fn at(ns: u64) -> Now {
    Now {
        monotonic_ns: ns,
        unix_us: 1_790_000_000_000_000 + ns / 1000,
    }
}

fn key(counters: &Counters, number: u64) -> Key {
    counters
        .hasher()
        .key(LimitId::new(&["test"]), &[Part::of_word(number)])
}

fn owner(number: u64) -> Owner {
    Owner(Part::of_word(number))
}

fn count(counters: &Counters, number: u64, window: Window, max: u64) -> Count {
    Count {
        seen: Seen::Unseen,
        key: key(counters, number),
        owner: owner(1),
        if_full: IfFull::Refuse,
        window,
        amount: 1,
        warn: None,
        max,
    }
}

fn sum(counted: Counted) -> Sum {
    match counted {
        Counted::Sum(sum) => sum,
        Counted::Full => panic!("there is room"),
    }
}

fn no_text() -> HoldText {
    HoldText::new([b""; HoldText::FIELDS])
}
