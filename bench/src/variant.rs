//! What is measured: somebody who answers INVITEs on one core, and can be stopped while packets are queued.

use crate::gate::{Cost, Gate};
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

/// What a variant answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The same octets to everything.
    Canned,
    /// 302 or 603, by the list of numbers.
    Decided,
}

/// Somebody who answers.
pub trait Variant {
    /// Its name in the record.
    fn name(&self) -> &str;

    /// Where it reads.
    fn address(&self) -> SocketAddr;

    /// What it answers.
    fn answers(&self) -> Answers;

    /// Stops it, once its queue is empty; what it cost since `release`.
    ///
    /// # Errors
    /// It cannot be stopped, or is gone.
    fn hold(&mut self) -> io::Result<Cost>;

    /// Lets it go on.
    ///
    /// # Errors
    /// It is gone.
    fn release(&mut self) -> io::Result<()>;

    /// Whether it is through with so many datagrams since the last `release`. Asking must not wake it.
    fn is_through(&mut self, datagrams: u64) -> bool;

    /// Octets of receive buffer that the kernel granted, as it charges them, where known.
    fn receive_buffer_bytes(&self) -> Option<usize>;

    /// Datagrams that the kernel dropped before it, where known.
    fn kernel_dropped(&self) -> Option<u64>;
}

/// A variant that is a thread of this process, behind a gate.
pub struct ThreadVariant {
    name: String,
    address: SocketAddr,
    answers: Answers,
    gate: Option<Gate>,
    handled_at_release: u64,
    receive_buffer_bytes: usize,
    kernel_dropped: Box<dyn Fn() -> Option<u64>>,
    /// Makes the thread end after its next datagram.
    stop: Box<dyn Fn()>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl std::fmt::Debug for ThreadVariant {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ThreadVariant({} at {})", self.name, self.address)
    }
}

/// What a thread variant is made of.
pub struct ThreadParts {
    /// Its name.
    pub name: String,
    /// Where it reads.
    pub address: SocketAddr,
    /// What it answers.
    pub answers: Answers,
    /// Its gate.
    pub gate: Gate,
    /// What was granted.
    pub receive_buffer_bytes: usize,
    /// Asks its socket.
    pub kernel_dropped: Box<dyn Fn() -> Option<u64>>,
    /// Makes the thread end after its next datagram.
    pub stop: Box<dyn Fn()>,
    /// The thread.
    pub thread: JoinHandle<io::Result<()>>,
}

impl std::fmt::Debug for ThreadParts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ThreadParts({} at {})", self.name, self.address)
    }
}

impl ThreadVariant {
    /// Takes charge of the thread; it is ended and joined when the variant goes.
    #[must_use]
    pub fn new(parts: ThreadParts) -> Self {
        Self {
            name: parts.name,
            address: parts.address,
            answers: parts.answers,
            gate: Some(parts.gate),
            handled_at_release: 0,
            receive_buffer_bytes: parts.receive_buffer_bytes,
            kernel_dropped: parts.kernel_dropped,
            stop: parts.stop,
            thread: Some(parts.thread),
        }
    }

    fn gate(&self) -> io::Result<&Gate> {
        let gate = self.gate.as_ref();
        gate.ok_or_else(|| io::Error::other("the variant has ended"))
    }
}

impl Variant for ThreadVariant {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn answers(&self) -> Answers {
        self.answers
    }

    fn hold(&mut self) -> io::Result<Cost> {
        self.gate()?.hold(self.address)
    }

    fn release(&mut self) -> io::Result<()> {
        self.handled_at_release = self.gate()?.handled();
        self.gate()?.release()
    }

    fn is_through(&mut self, datagrams: u64) -> bool {
        let handled = self.gate.as_ref().map_or(0, Gate::handled);
        handled - self.handled_at_release >= datagrams
    }

    fn receive_buffer_bytes(&self) -> Option<usize> {
        Some(self.receive_buffer_bytes)
    }

    fn kernel_dropped(&self) -> Option<u64> {
        (self.kernel_dropped)()
    }
}

impl Drop for ThreadVariant {
    fn drop(&mut self) {
        (self.stop)();
        // With its gate gone, a thread that waits at a mark goes on; a last datagram wakes one that waits for a socket.
        drop(self.gate.take());
        if let Ok(socket) = std::net::UdpSocket::bind("127.0.0.1:0") {
            let _woken = socket.send_to(b"end", self.address);
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
