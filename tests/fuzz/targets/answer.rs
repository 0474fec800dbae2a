//! A datagram end to end; the rules stand in `checks/answer.rs`.
#![no_main]

#[path = "../checks/answer.rs"]
mod check;
#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;
#[path = "../timed.rs"]
mod timed;
#[path = "../../common/rows.rs"]
mod rows;

use check::Check;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::cell::RefCell;

thread_local! {
    static CHECK: RefCell<Check> = RefCell::new(Check::new());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::sip(data, size, max_size, seed)
});

fuzz_target!(|bytes: &[u8]| CHECK.with_borrow_mut(|check| timed::timed(|| check.input(bytes))));
