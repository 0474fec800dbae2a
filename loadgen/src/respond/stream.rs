//! The responder's TCP connections: a thread each, so many at most.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Manner, Responder, STOP_LOOK_NS, Seen};
use crate::clock::Clock;
use crate::framer::{Frame, Framer};
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::sys::Waiter;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;

pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).map_err(|error| format!("tcp {address}: {error}"))?;
    listener
        .set_nonblocking(true)
        .map_err(|error| format!("tcp {address}: {error}"))?;
    Ok(listener)
}

/// Accepts connections and answers on them until told to end.
pub(super) fn serve(
    listener: &TcpListener,
    manner: &Manner,
    seen: &Seen,
    clock: Clock,
    stop: &AtomicBool,
) {
    let mut waiter = Waiter::new([listener.as_raw_fd()]);
    let open = AtomicUsize::new(0);
    thread::scope(|scope| {
        while !stop.load(Ordering::Relaxed) {
            if waiter.wait(STOP_LOOK_NS).is_err() {
                return;
            }
            if open.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
                continue;
            }
            let Ok((stream, _)) = listener.accept() else {
                continue;
            };
            open.fetch_add(1, Ordering::Relaxed);
            let open = &open;
            let responder = Responder::new(manner, seen, 0, clock.now());
            scope.spawn(move || {
                // A connection that breaks is the other side's end of it.
                let _broken = answer(stream, responder, clock, stop);
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}

fn answer(
    mut stream: TcpStream,
    mut responder: Responder<'_>,
    clock: Clock,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_nanos(STOP_LOOK_NS)))?;
    let mut framer = Framer::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut out = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Some(length) = responder.stall(clock.now()) {
            super::rest(length);
        }
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        framer.add(buffer.get(..read).unwrap_or_default());
        loop {
            match framer.next_frame() {
                Frame::Message(message) => responder.handle(message, |write| {
                    let start = out.len();
                    out.resize(start + DATAGRAM_BYTES_MAX, 0);
                    let written = out.get_mut(start..).and_then(write).unwrap_or(0);
                    out.truncate(start + written);
                }),
                Frame::Partial => break,
                Frame::Broken => return Ok(()),
            }
        }
        stream.write_all(&out)?;
        out.clear();
    }
    Ok(())
}
