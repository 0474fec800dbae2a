//! What a thread has cost so far.

use std::io;
use std::mem::MaybeUninit;

/// Processor time and waits of one thread since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThreadUsage {
    /// Time in our own code, microseconds. Kernels that sample at ticks split `user_us` from `system_us` by whom a tick
    /// met: only their sum is exact over short stretches.
    pub user_us: u64,
    /// Time in the kernel on our behalf, microseconds.
    pub system_us: u64,
    /// How often the thread waited.
    pub waits: u64,
    /// How often it was put aside for another.
    pub preemptions: u64,
}

/// What the calling thread has cost (`RUSAGE_THREAD`).
///
/// # Errors
/// None that the manual page knows for these arguments.
pub fn thread_usage() -> io::Result<ThreadUsage> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage(2) writes one rusage at the pointer, which is live and exclusively borrowed.
    let answer = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: rusage is a structure of integers; it was zeroed, and then written by the kernel.
    let usage = unsafe { usage.assume_init() };
    Ok(ThreadUsage {
        user_us: microseconds(usage.ru_utime),
        system_us: microseconds(usage.ru_stime),
        waits: u64::try_from(usage.ru_nvcsw).unwrap_or(0),
        preemptions: u64::try_from(usage.ru_nivcsw).unwrap_or(0),
    })
}

/// Processor time of the calling thread so far, nanoseconds (`CLOCK_THREAD_CPUTIME_ID`): exact, at about 200 ns a call.
///
/// # Errors
/// None that the manual page knows for this clock.
pub fn thread_time_ns() -> io::Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime(2) writes one timespec at the pointer, which is live and exclusively borrowed.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Ok(seconds * 1_000_000_000 + nanoseconds)
}

fn microseconds(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn work_costs_the_thread_that_does_it() {
        let spent = |usage: ThreadUsage| usage.user_us + usage.system_us;
        let before = spent(thread_usage().unwrap());
        let elsewhere = std::thread::spawn(move || {
            let mut sum = 0_u64;
            while spent(thread_usage().unwrap()) < 20_000 {
                sum = black_box(sum.wrapping_add(1));
            }
            spent(thread_usage().unwrap())
        });
        assert!(elsewhere.join().unwrap() >= 20_000);
        let here = spent(thread_usage().unwrap()) - before;
        let exact_us = thread_time_ns().unwrap() / 1000;
        assert!(exact_us < spent(thread_usage().unwrap()) + 20_000);
        assert!(exact_us > 0);
        assert!(here < 20_000, "{here} us for waiting");
    }
}
