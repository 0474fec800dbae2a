//! Stops a server thread between two datagrams, so that packets can be queued before it, and says what it cost since.
//!
//! The runner sends `MARK`; the thread that reads it reports its usage and waits to be released. The server's loop stays
//! the one that is measured: all it has to do is hand every datagram to `Latch::is_mark` first, which compares a length.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tollgate::sys::{ThreadUsage, thread_usage};

/// The datagram that stops the reader; shorter than anything that is SIP.
const MARK: &[u8] = b"hold";

/// How long a server may take to come to its mark.
const HOLD_WITHIN: Duration = Duration::from_secs(10);

/// What a variant cost between a release and the next hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Time in its own code, nanoseconds; where the kernel samples at ticks, only sums over seconds mean anything.
    pub user_ns: u64,
    /// Time in the kernel, nanoseconds; likewise.
    pub system_ns: u64,
    /// How often it waited.
    pub waits: u64,
    /// How often it was put aside for somebody else: a sign of a noisy machine.
    pub preemptions: u64,
}

impl Cost {
    /// All its time, nanoseconds.
    #[must_use]
    pub fn total_ns(self) -> u64 {
        self.user_ns + self.system_ns
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns + other.user_ns,
            system_ns: self.system_ns + other.system_ns,
            waits: self.waits + other.waits,
            preemptions: self.preemptions + other.preemptions,
        }
    }

    fn between(before: ThreadUsage, after: ThreadUsage) -> Self {
        Self {
            user_ns: after.user_us.saturating_sub(before.user_us) * 1000,
            system_ns: after.system_us.saturating_sub(before.system_us) * 1000,
            waits: after.waits.saturating_sub(before.waits),
            preemptions: after.preemptions.saturating_sub(before.preemptions),
        }
    }
}

/// The runner's end.
#[derive(Debug)]
pub struct Gate {
    costs: Receiver<Cost>,
    releases: Sender<()>,
    handled: Arc<AtomicU64>,
    control: UdpSocket,
}

/// The server thread's end.
#[derive(Debug)]
pub struct Latch {
    costs: Sender<Cost>,
    releases: Receiver<()>,
    handled: Arc<AtomicU64>,
    since: Cell<ThreadUsage>,
}

/// A gate and its latch.
///
/// # Errors
/// No socket to send the mark from.
pub fn gate() -> io::Result<(Gate, Latch)> {
    let (cost_sender, costs) = channel();
    let (releases, release_receiver) = channel();
    let handled = Arc::new(AtomicU64::new(0));
    let gate = Gate {
        costs,
        releases,
        handled: Arc::clone(&handled),
        control: UdpSocket::bind("127.0.0.1:0")?,
    };
    let latch = Latch {
        costs: cost_sender,
        releases: release_receiver,
        handled,
        since: Cell::default(),
    };
    Ok((gate, latch))
}

impl Gate {
    /// Stops the server that reads `server`; what it cost since the last release.
    ///
    /// # Errors
    /// It did not come to its mark in time, or it is gone.
    pub fn hold(&self, server: SocketAddr) -> io::Result<Cost> {
        self.control.send_to(MARK, server)?;
        self.costs.recv_timeout(HOLD_WITHIN).map_err(|error| {
            io::Error::other(match error {
                RecvTimeoutError::Timeout => "the server did not come to its mark",
                RecvTimeoutError::Disconnected => "the server thread has ended",
            })
        })
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// It is gone.
    pub fn release(&self) -> io::Result<()> {
        let sent = self.releases.send(());
        sent.map_err(|_gone| io::Error::other("the server thread has ended"))
    }

    /// Datagrams that it is through with, marks left out.
    #[must_use]
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Acquire)
    }
}

impl Latch {
    /// Waits at the mark; false for every other datagram. When the runner is gone it waits no more.
    #[inline]
    pub fn is_mark(&self, datagram: &[u8]) -> bool {
        if datagram.len() != MARK.len() {
            return false;
        }
        self.wait();
        true
    }

    #[cold]
    fn wait(&self) {
        let usage = thread_usage().unwrap_or_default();
        // The runner may be gone; then nobody measures any more.
        let _runner = self.costs.send(Cost::between(self.since.get(), usage));
        let _runner = self.releases.recv();
        self.since.set(thread_usage().unwrap_or_default());
    }

    /// Counts datagrams that the server is through with.
    #[inline]
    pub fn count_handled(&self, datagrams: u64) {
        // One writer.
        let before = self.handled.load(Ordering::Relaxed);
        self.handled.store(before + datagrams, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn a_held_server_costs_nothing_and_its_work_is_told() {
        let (gate, latch) = gate().unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 64];
            loop {
                let length = server.recv(&mut bytes).unwrap();
                if latch.is_mark(&bytes[..length]) {
                    continue;
                }
                if length == 0 {
                    return;
                }
                for spin in 0..2_000_000 {
                    black_box(spin);
                }
                latch.count_handled(1);
            }
        });
        gate.hold(address).unwrap();
        gate.control.send_to(b"some work", address).unwrap();
        assert_eq!(gate.handled(), 0);
        gate.release().unwrap();
        let busy = gate.hold(address).unwrap();
        assert_eq!(gate.handled(), 1);
        gate.release().unwrap();
        let idle = gate.hold(address).unwrap();
        assert!(busy.total_ns() > 3 * idle.total_ns(), "{busy:?} {idle:?}");
        gate.release().unwrap();
        gate.control.send_to(b"", address).unwrap();
        thread.join().unwrap();
        assert!(gate.release().is_err());
    }
}
