//! No input may take long: processor time of the thread, so that a busy machine is no fault.
//!
//! Promises: an input that takes 100 ms three times running ends the fuzzer as a crash; `TOLLGATE_INPUT_MS_MAX` is another
//! bound, for programs that trace every comparison. With `TOLLGATE_SHOW_COST` set, the cost of each input goes to standard
//! error, for whoever gives inputs alone.

use std::sync::OnceLock;
use tollgate::sys::thread_time_ns;

/// Milliseconds that are too long.
const INPUT_MS_MAX: u64 = 100;

fn input_ns_max() -> u64 {
    static NS_MAX: OnceLock<u64> = OnceLock::new();
    *NS_MAX.get_or_init(|| {
        let asked = std::env::var("TOLLGATE_INPUT_MS_MAX").ok();
        let ms = asked.map_or(INPUT_MS_MAX, |ms| ms.parse().expect("milliseconds"));
        ms.saturating_mul(1_000_000)
    })
}

/// Gives the input to its check, and looks at the clock.
pub fn timed(mut input: impl FnMut()) {
    let mut once = || {
        let before = thread_time_ns().expect("a clock");
        input();
        thread_time_ns().expect("a clock").saturating_sub(before)
    };
    let mut cost_ns = once();
    if cost_ns >= input_ns_max() {
        cost_ns = cost_ns.min(once()).min(once());
    }
    assert!(cost_ns < input_ns_max(), "{cost_ns} ns of processor time");
    static SHOW: OnceLock<bool> = OnceLock::new();
    if *SHOW.get_or_init(|| std::env::var_os("TOLLGATE_SHOW_COST").is_some()) {
        eprintln!("cost {cost_ns} ns");
    }
}
