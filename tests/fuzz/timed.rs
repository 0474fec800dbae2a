//! No input may take long: processor time of the thread, so that a busy machine is no fault.
//!
//! Promises: an input that takes 100 ms three times running ends the fuzzer as a crash. With `TOLLGATE_SHOW_COST` set, the
//! cost of each input goes to standard error, for whoever gives inputs alone.

use std::sync::OnceLock;
use tollgate::sys::thread_time_ns;

const NS_MAX: u64 = 100_000_000;

/// Gives the input to its check, and looks at the clock.
pub fn timed(mut input: impl FnMut()) {
    let mut once = || {
        let before = thread_time_ns().expect("a clock");
        input();
        thread_time_ns().expect("a clock").saturating_sub(before)
    };
    let mut cost_ns = once();
    if cost_ns >= NS_MAX {
        cost_ns = cost_ns.min(once()).min(once());
    }
    assert!(cost_ns < NS_MAX, "{cost_ns} ns of processor time");
    static SHOW: OnceLock<bool> = OnceLock::new();
    if *SHOW.get_or_init(|| std::env::var_os("TOLLGATE_SHOW_COST").is_some()) {
        eprintln!("cost {cost_ns} ns");
    }
}
