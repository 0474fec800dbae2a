//! The bare yardsticks: loops that read a datagram and send the same 384 octets back, whatever it was (but an ACK).
//!
//! Promises: nothing is done per packet but the system calls and what they need.

use crate::gate::{Latch, gate};
use crate::variant::{Answers, ThreadParts, ThreadVariant};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate::limits::BATCH_DATAGRAMS;
use tollgate::net::{Answer, Poller, Received, RxBatch, Socket, TxBatch, bind_group};
use tollgate::shard::pin;
use tollgate::sys::{self, send_segments};

/// Octets of the canned answer.
pub const ANSWER_OCTETS: usize = 384;
const SEGMENT_OCTETS: u16 = 384;
const _: () = assert!(SEGMENT_OCTETS as usize == ANSWER_OCTETS);

/// How a yardstick reads and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// mio, `recv_from` and `send_to` one at a time.
    Mio,
    /// `recvmmsg` and `sendmmsg`, 32 at a time.
    Batched,
    /// `recvmmsg`, and one message with `UDP_SEGMENT` per run of one source.
    Segmented,
}

impl Kind {
    /// Its name in the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mio => "mio",
            Self::Batched => "batched",
            Self::Segmented => "batched+gso",
        }
    }
}

/// The canned answer: what a 302 looks like, of the right length.
#[must_use]
pub fn canned_answer() -> [u8; ANSWER_OCTETS] {
    let mut answer = [b' '; ANSWER_OCTETS];
    let head = b"SIP/2.0 302 Moved Temporarily\r\nContact: <sip:A00+442071838750@127.0.0.1>\r\nContent-Length: 0";
    answer[..head.len()].copy_from_slice(head);
    answer[ANSWER_OCTETS - 4..].copy_from_slice(b"\r\n\r\n");
    answer
}

/// Starts a yardstick on `core`.
///
/// # Errors
/// No socket, or no thread.
pub fn start(kind: Kind, core: usize, receive_buffer_bytes: usize) -> io::Result<ThreadVariant> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    start_at(any, kind, core, receive_buffer_bytes)
}

/// Starts a yardstick on `core` and `address`.
///
/// # Errors
/// No socket, or no thread.
pub fn start_at(
    address: SocketAddr,
    kind: Kind,
    core: usize,
    receive_buffer_bytes: usize,
) -> io::Result<ThreadVariant> {
    let (gate, latch) = gate()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let name = kind.name().to_owned();
    let builder = std::thread::Builder::new().name(name.clone());
    let end = Box::new(move || stop.store(true, Ordering::Release));
    if kind == Kind::Mio {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        if sys::force_receive_buffer(socket.as_fd(), receive_buffer_bytes).is_err() {
            sys::set_receive_buffer(socket.as_fd(), receive_buffer_bytes)?;
        }
        let asked = socket.try_clone()?;
        return Ok(ThreadVariant::new(ThreadParts {
            name,
            address: socket.local_addr()?,
            answers: Answers::Canned,
            gate,
            receive_buffer_bytes: sys::receive_buffer(socket.as_fd())?,
            kernel_dropped: Box::new(move || sys::kernel_dropped(asked.as_fd()).ok()),
            stop: end,
            thread: builder.spawn(move || {
                pinned(core)?;
                one_at_a_time(&socket, &latch, &stopping)
            })?,
        }));
    }
    let mut group = bind_group(address, 1, receive_buffer_bytes).map_err(io::Error::other)?;
    let mut socket = group
        .pop()
        .ok_or_else(|| io::Error::other("a group of one has one"))?;
    // The yardsticks send as they say, not as the product does.
    socket.set_sends_runs(false);
    let socket = Arc::new(socket);
    let asked = Arc::clone(&socket);
    Ok(ThreadVariant::new(ThreadParts {
        name,
        address: socket.address(),
        answers: Answers::Canned,
        gate,
        receive_buffer_bytes: socket.receive_buffer_bytes(),
        kernel_dropped: Box::new(move || asked.kernel_dropped()),
        stop: end,
        thread: builder.spawn(move || {
            pinned(core)?;
            let segmented = kind == Kind::Segmented;
            batches(&socket, &latch, &stopping, segmented)
        })?,
    }))
}

/// Nobody answers an ACK, not even a yardstick.
fn is_ack(datagram: &[u8]) -> bool {
    datagram.first() == Some(&b'A')
}

fn pinned(core: usize) -> io::Result<()> {
    if pin(core) {
        return Ok(());
    }
    Err(io::Error::other(format!("cannot stay on core {core}")))
}

fn one_at_a_time(socket: &UdpSocket, latch: &Latch, stopping: &AtomicBool) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1);
    poll.registry().register(
        &mut SourceFd(&socket.as_raw_fd()),
        Token(0),
        Interest::READABLE,
    )?;
    let answer = canned_answer();
    let mut bytes = [0; 4096];
    while !stopping.load(Ordering::Relaxed) {
        poll.poll(&mut events, None)?;
        // Edge-triggered: read until there is nothing.
        while let Ok((length, source)) = socket.recv_from(&mut bytes) {
            if latch.is_mark(&bytes[..length]) {
                continue;
            }
            if !is_ack(&bytes) {
                // A peer that is gone or a full queue is not the yardstick's business; the runner counts what arrives.
                let _sent = socket.send_to(&answer, source);
            }
            latch.count_handled(1);
        }
    }
    Ok(())
}

fn batches(
    socket: &Socket,
    latch: &Latch,
    stopping: &AtomicBool,
    segmented: bool,
) -> io::Result<()> {
    let mut poller = Poller::new(1)?;
    poller.add(0, socket)?;
    let answer = canned_answer();
    let answers = answer.repeat(BATCH_DATAGRAMS);
    let mut rx = RxBatch::new();
    let mut tx = TxBatch::new();
    while !stopping.load(Ordering::Relaxed) {
        poller.wait(None, |_ready| {})?;
        loop {
            let received = rx.receive(socket);
            let mut handled = 0;
            let mut run: Option<(SocketAddr, usize)> = None;
            for datagram in rx.iter() {
                if latch.is_mark(datagram.bytes) {
                    continue;
                }
                handled += 1;
                if is_ack(datagram.bytes) {
                    continue;
                }
                if !segmented {
                    if let Some(slot) = tx.next_slot() {
                        slot[..ANSWER_OCTETS].copy_from_slice(&answer);
                    }
                    tx.commit(Answer::fixed(ANSWER_OCTETS, datagram.source), None);
                    continue;
                }
                run = match run {
                    Some((source, length)) if source == datagram.source => {
                        Some((source, length + 1))
                    }
                    ended => {
                        send_run(socket, ended, &answers);
                        Some((datagram.source, 1))
                    }
                };
            }
            if segmented {
                send_run(socket, run, &answers);
            } else if !tx.is_empty() {
                tx.send(socket, 0);
            }
            latch.count_handled(handled);
            if received != Received::Full {
                break;
            }
        }
    }
    Ok(())
}

fn send_run(socket: &Socket, run: Option<(SocketAddr, usize)>, answers: &[u8]) {
    let Some((source, length)) = run else { return };
    let octets = &answers[..length * ANSWER_OCTETS];
    // The runner counts what arrives.
    let _sent = send_segments(
        socket.as_fd(),
        source,
        SEGMENT_OCTETS,
        &[IoSlice::new(octets)],
    );
}
