//! The screening headers; the rules stand in `checks/ptfps.rs`.
#![no_main]

#[path = "../checks/ptfps.rs"]
mod check;
#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;
#[path = "../ours.rs"]
mod ours;
#[path = "../timed.rs"]
mod timed;

use check::Check;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::cell::RefCell;

thread_local! {
    static CHECK: RefCell<Check> = RefCell::new(Check::new());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::text(data, size, max_size, seed)
});

fuzz_target!(|value: &[u8]| {
    CHECK.with_borrow_mut(|check| timed::timed(|| check.input(value)));
    ours::alone();
});
