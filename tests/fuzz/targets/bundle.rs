//! Configuration and bundle; the rules stand in `checks/bundle.rs`.
#![no_main]

#[path = "../checks/bundle.rs"]
mod check;
#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;
#[path = "../timed.rs"]
mod timed;

use check::Check;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

thread_local! {
    static CHECK: RefCell<Check> = RefCell::new(Check::new(&folder()));
}

/// In memory where there is one, of this process alone.
fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    above.join(format!("tollgate-fuzz-{}", std::process::id()))
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::table(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| CHECK.with_borrow_mut(|check| timed::timed(|| check.input(data))));
