//! How willingly a thread of the control plane gives way to the shards.

use std::io;

/// Raises the calling thread's nice value, so that it gives way to the shards.
///
/// # Errors
/// Whatever setpriority(2) refuses.
pub fn nice(value: i32) -> io::Result<()> {
    // SAFETY: setpriority(2) takes no pointers; on Linux `PRIO_PROCESS` with 0 means the calling thread.
    let answer = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Puts the calling thread into `SCHED_IDLE`: it runs when nobody else wants the core.
///
/// # Errors
/// Whatever `sched_setscheduler(2)` refuses.
pub fn idle_class() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: sched_setscheduler(2) reads one sched_param at the pointer, which is live; 0 means the calling thread.
    let answer = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameter) };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_may_always_give_way() {
        let outcome = std::thread::spawn(|| (nice(10), idle_class()))
            .join()
            .unwrap();
        assert!(outcome.0.is_ok() && outcome.1.is_ok(), "{outcome:?}");
    }
}
