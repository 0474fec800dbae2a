//! The scanner alone; the rules stand in `checks/scan.rs`.
#![no_main]

#[path = "../checks/scan.rs"]
mod check;
#[path = "../../common/counting_allocator.rs"]
#[allow(dead_code, reason = "frees are watched by another test")]
mod counting_allocator;
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

#[global_allocator]
static ALLOCATOR: counting_allocator::Counting = counting_allocator::Counting;

thread_local! {
    static CHECK: RefCell<Check> = RefCell::new(Check::new(counting_allocator::allocations));
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::sip(data, size, max_size, seed)
});

fuzz_target!(|bytes: &[u8]| {
    CHECK.with_borrow_mut(|check| timed::timed(|| check.input(bytes)));
    ours::alone();
});
