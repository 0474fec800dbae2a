//! The only `unsafe` of the generator: batches of datagrams, a wait with nanoseconds, what the kernel says of them, and vectors.
//!
//! Promises: every buffer that the kernel is shown belongs to the batch that shows it and outlives the call; nothing here
//! knows what an octet of a datagram means. Leaves to `net`: opening sockets; to `engine`: what an error means.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmmsg, ppoll and socket options have no safe form that does not allocate"
)]

mod pages;
mod raw;
mod refusal;
mod rx;
pub mod scan;
mod tx;

pub(crate) use pages::Pages;
pub use refusal::Refusal;
pub use rx::{Peer, Received, RxBatch};
pub use tx::TxBatch;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

/// Asks the kernel to stamp each datagram with the wall clock when it arrives, and to say how many it had to drop.
///
/// # Errors
/// What setsockopt(2) says; without the stamps, times are those of reading.
pub fn stamp_receives(socket: BorrowedFd<'_>) -> io::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
    switch_on(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL)
}

/// Asks the kernel to hand over runs of equally long datagrams of one sender together (`UDP_GRO`, Linux 5.0).
///
/// # Errors
/// What setsockopt(2) says.
pub fn join_receives(socket: BorrowedFd<'_>) -> io::Result<()> {
    switch_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

fn switch_on(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: setsockopt(2) reads `size` octets at `on`, which lives on this stack frame.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&on).cast(),
            size,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets this thread's sleeps end when they are due instead of up to 50 µs later. A kernel that refuses is obeyed.
pub fn sleep_precisely() {
    let nanoseconds: libc::c_ulong = 1;
    // SAFETY: PR_SET_TIMERSLACK takes one number and touches no memory of ours.
    let _refused = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) };
}

/// Processor time that this thread has used, in nanoseconds; 0 if the kernel does not say.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime(2) writes one timespec, which lives on this stack frame.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if result != 0 {
        return 0;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanoseconds
}

/// How much of it the kernel used, in nanoseconds: by its ticks, so that only long runs say something; 0 if it does not say.
#[must_use]
pub fn thread_cpu_system_ns() -> u64 {
    // SAFETY: rusage is integers; all zeros are no time.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: getrusage(2) writes one rusage, which lives on this stack frame.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    if result != 0 {
        return 0;
    }
    let seconds = u64::try_from(usage.ru_stime.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(usage.ru_stime.tv_usec).unwrap_or(0);
    seconds * 1_000_000_000 + microseconds * 1_000
}

/// Sockets that are waited for together.
#[derive(Debug)]
pub struct Waiter {
    sockets: Vec<libc::pollfd>,
}

impl Waiter {
    /// Waits for these descriptors. One that is closed meanwhile is reported as ready, and reading it says why.
    #[must_use]
    pub fn new(sockets: impl IntoIterator<Item = RawFd>) -> Self {
        let sockets = sockets
            .into_iter()
            .map(|fd| libc::pollfd {
                fd,
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        Self { sockets }
    }

    /// Waits until a socket can be read, but at most this long; 0 only looks.
    ///
    /// # Errors
    /// What ppoll(2) says, except that a signal is an early end.
    pub fn wait(&mut self, nanoseconds: u64) -> io::Result<()> {
        let timeout = timespec_of(nanoseconds);
        let count = libc::nfds_t::try_from(self.sockets.len()).unwrap_or(0);
        // SAFETY: ppoll(2) reads `timeout`, writes `revents` of the first `count` entries, which `self.sockets` holds,
        // and takes no signal mask (null).
        let result = unsafe {
            libc::ppoll(
                self.sockets.as_mut_ptr(),
                count,
                &raw const timeout,
                ptr::null(),
            )
        };
        if result >= 0 {
            return Ok(());
        }
        for socket in &mut self.sockets {
            socket.revents = 0;
        }
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::Interrupted {
            return Ok(());
        }
        Err(error)
    }

    /// Waits no more for the one at this index.
    pub fn ignore(&mut self, index: usize) {
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.fd = -1; // ppoll(2) passes over it and sets revents to 0
            socket.revents = 0;
        }
    }

    /// Whether the last wait found the socket at this index ready or broken.
    #[must_use]
    pub fn is_ready(&self, index: usize) -> bool {
        self.sockets
            .get(index)
            .is_some_and(|socket| socket.revents != 0)
    }
}

/// Waits until this socket takes another datagram, but at most this long.
pub fn wait_writable(socket: BorrowedFd<'_>, nanoseconds: u64) {
    let timeout = timespec_of(nanoseconds);
    let mut entry = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: ppoll(2) reads `timeout` and writes `revents` of the one entry; both live on this stack frame. An error
    // means no more than not having waited: the send that follows is tried a bounded number of times.
    let _ready = unsafe { libc::ppoll(&raw mut entry, 1, &raw const timeout, ptr::null()) };
}

fn timespec_of(nanoseconds: u64) -> libc::timespec {
    let seconds = libc::time_t::try_from(nanoseconds / 1_000_000_000).unwrap_or(libc::time_t::MAX);
    let rest = libc::c_long::try_from(nanoseconds % 1_000_000_000).unwrap_or(0);
    libc::timespec {
        tv_sec: seconds,
        tv_nsec: rest,
    }
}
