//! What messages travel on: a UDP socket, or a TCP connection with what it has not taken yet.
//!
//! Promises: nothing blocks; messages on a connection go out whole and in order, or not at all and are counted; what waits is
//! bounded. Leaves to `framer`: where messages in a stream end; to `net`: opening.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use crate::limits::STREAM_WAITING_BYTES_MAX;

/// One or the other.
#[derive(Debug)]
pub enum Wire {
    /// A connected UDP socket.
    Udp(UdpSocket),
    /// A TCP connection.
    Tcp(Connection),
}

/// A TCP connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What the kernel has not taken yet.
    waiting: RefCell<Vec<u8>>,
}

impl Wire {
    /// The UDP socket, if it is one.
    #[must_use]
    pub fn udp(&self) -> Option<&UdpSocket> {
        match self {
            Self::Udp(socket) => Some(socket),
            Self::Tcp(_) => None,
        }
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        match self {
            Self::Udp(socket) => socket.as_raw_fd(),
            Self::Tcp(connection) => connection.stream.as_raw_fd(),
        }
    }

    /// Whether something waits for the kernel to take it.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Tcp(connection) => !connection.waiting.borrow().is_empty(),
        }
    }
}

impl Connection {
    /// A connection that does not block.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            waiting: RefCell::new(Vec::new()),
        }
    }

    /// The stream, to read from.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends what waits and then these whole messages. False: too much waits, so that they were not taken.
    ///
    /// # Errors
    /// What the connection says when it is of no more use.
    pub fn send(&self, messages: &[u8]) -> io::Result<bool> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() + messages.len() > STREAM_WAITING_BYTES_MAX {
            return Ok(false);
        }
        waiting.extend_from_slice(messages);
        let mut sent = 0;
        while let Some(rest) = waiting.get(sent..).filter(|rest| !rest.is_empty()) {
            match (&self.stream).write(rest) {
                Ok(taken) => sent += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    waiting.clear();
                    return Err(error);
                }
            }
        }
        waiting.drain(..sent);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn what_is_not_taken_at_once_waits_in_order_and_within_its_bound() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let connection = Connection::new(stream);
        let mut sent = 0u64;
        // Until the kernel's buffers and ours are full.
        while connection.send(&sent.to_be_bytes().repeat(128)).unwrap() {
            sent += 1;
        }
        assert!(!connection.waiting.borrow().is_empty());
        for number in 0..sent {
            let mut message = [0; 1024];
            let mut read = 0;
            while read < message.len() {
                connection.send(b"").unwrap();
                read += other.read(&mut message[read..]).unwrap();
            }
            assert_eq!(message, number.to_be_bytes().repeat(128)[..]);
        }
        drop(other);
        while connection.send(b"x").is_ok() {}
    }
}
