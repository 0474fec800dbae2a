//! URIs, header forms and Vias; the rules stand in `checks/uri.rs`.
#![no_main]

#[path = "../checks/uri.rs"]
mod check;
#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;
#[path = "../ours.rs"]
mod ours;
#[path = "../timed.rs"]
mod timed;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::text(data, size, max_size, seed)
});

fuzz_target!(|text: &[u8]| {
    timed::timed(|| {
        let _read = check::input(text);
    });
    ours::alone();
});
