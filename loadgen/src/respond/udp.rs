//! The responder's UDP threads.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, Protocol, Socket, Type};

use super::{Responder, STOP_LOOK_NS};
use crate::clock::Clock;
use crate::limits::{RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES};
use crate::sys::{self, Peer, Refusal, RxBatch, TxBatch, Waiter, wait_writable};

/// Opens the sockets of all threads, on one address and port.
pub(super) fn open(
    listen: SocketAddr,
    threads: usize,
    gro: bool,
) -> Result<Vec<UdpSocket>, String> {
    let mut address = listen;
    let mut sockets = Vec::with_capacity(threads);
    for _ in 0..threads {
        let socket =
            open_one(address, threads > 1, gro).map_err(|error| format!("{address}: {error}"))?;
        address = socket
            .local_addr()
            .map_err(|error| format!("{address}: {error}"))?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn open_one(address: SocketAddr, shared: bool, gro: bool) -> std::io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    // A refused size is no fault.
    let _refused = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    let _refused = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if gro {
        // An old kernel gives the datagrams one by one.
        let _refused = sys::join_receives(socket.as_fd());
    }
    Ok(UdpSocket::from(socket))
}

/// Answers until told to end.
pub(super) fn serve(
    socket: &UdpSocket,
    mut responder: Responder<'_>,
    clock: Clock,
    stop: &AtomicBool,
) {
    let mut waiter = Waiter::new([socket.as_raw_fd()]);
    let mut rx = RxBatch::new(responder.manner.gro);
    let mut tx = TxBatch::new();
    while !stop.load(Ordering::Relaxed) {
        if let Some(length) = responder.stall(clock.now()) {
            super::rest(length);
        }
        if !responder.manner.spin && waiter.wait(STOP_LOOK_NS).is_err() {
            return;
        }
        while rx.receive(socket.as_fd()).is_ok() {
            answer_all(socket, &rx, &mut tx, &mut responder);
            if !rx.is_full() {
                break;
            }
        }
    }
    responder
        .seen
        .cpu_ns
        .fetch_add(sys::thread_cpu_ns(), Ordering::Relaxed);
}

/// Answers a batch; answers to one address in a row leave together.
fn answer_all(socket: &UdpSocket, rx: &RxBatch, tx: &mut TxBatch, responder: &mut Responder<'_>) {
    let mut to = Peer::NONE;
    let (manner, seen) = (responder.manner, responder.seen);
    let mut failed = 0;
    for datagram in rx.iter() {
        if *datagram.from != to || tx.len() + 2 > crate::limits::BATCH {
            failed += flush(socket, tx, &to, manner.gso);
            to = *datagram.from;
        }
        responder.handle(datagram.octets, |write| {
            failed += u64::from(!tx.push(write));
        });
    }
    failed += flush(socket, tx, &to, manner.gso);
    seen.send_failed.fetch_add(failed, Ordering::Relaxed);
}

/// Sends what is in the batch; returns how many datagrams could not be sent.
fn flush(socket: &UdpSocket, tx: &mut TxBatch, to: &Peer, gso: bool) -> u64 {
    let mut from = 0;
    let mut failed = 0;
    let mut segments = gso;
    while from < tx.len() {
        match tx.send(socket.as_fd(), from, Some(to), segments) {
            Ok(sent) => from += sent.datagrams,
            Err(error) => match Refusal::of(&error) {
                Refusal::NotNow => wait_writable(socket.as_fd(), 1_000_000),
                Refusal::Interrupted | Refusal::PortClosed => {}
                Refusal::NotAsRun if segments => segments = false,
                Refusal::NotAsRun
                | Refusal::Forbidden
                | Refusal::NoRoute
                | Refusal::AddressNotHere
                | Refusal::AddressTaken
                | Refusal::NotPrivileged
                | Refusal::TooManyFiles
                | Refusal::Other => {
                    failed += 1;
                    from += 1;
                }
            },
        }
    }
    tx.clear();
    failed
}
