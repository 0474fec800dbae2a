//! Configuration and bundle; the rules stand in `checks/bundle.rs`.
#![no_main]

#[path = "../checks/bundle.rs"]
mod check;
#[path = "../grammar/mod.rs"]
mod grammar;
#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;
#[path = "../ours.rs"]
mod ours;
#[path = "../timed.rs"]
mod timed;

use check::{Check, FILES};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

thread_local! {
    static CHECK: RefCell<Check> = RefCell::new(Check::new(&folder()));
}

/// In memory where there is one, of this process alone.
fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    above.join(format!("tollgate-fuzz-{}", std::process::id()))
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Half of the time by the grammar of the file.
    let mut dice = mutate::Dice::new(u64::from(seed) << 32);
    if dice.below(2) == 0 {
        return mutator::text(data, size, max_size, seed);
    }
    let changed = grammar::change(&data[..size], FILES, max_size, &mut dice);
    mutator::put(&mut data[..max_size], &changed)
});

fuzz_target!(|data: &[u8]| {
    CHECK.with_borrow_mut(|check| timed::timed(|| check.input(data)));
    ours::alone();
});
