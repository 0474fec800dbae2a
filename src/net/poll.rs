//! Readiness of a shard's sockets, edge-triggered, and the bell that wakes it.
//!
//! Promises: a socket that was read until it was empty is reported again when something arrives. One that was left with
//! datagrams in it is not: the caller keeps a list of those.

use super::socket::Socket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::sync::Arc;
use std::time::Duration;

const BELL: Token = Token(usize::MAX);

/// What a poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// The socket that was registered with this number can be read.
    Socket(usize),
    /// Somebody rang.
    Bell,
}

/// Waits for a shard's sockets and its bell.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
    waker: Waker,
}

/// Wakes one poller from any thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<mio::Waker>);

impl Poller {
    /// A poller for at most `sockets` sockets.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new(sockets: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), BELL)?));
        Ok(Self {
            poll,
            events: Events::with_capacity(sockets + 1),
            waker,
        })
    }

    /// The bell of this poller.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches a socket under a number.
    ///
    /// # Errors
    /// The socket is watched already, or the machine has no room for another watch.
    pub fn add(&self, number: usize, socket: &Socket) -> io::Result<()> {
        self.poll.registry().register(
            &mut SourceFd(&socket.raw()),
            Token(number),
            Interest::READABLE,
        )
    }

    /// Waits until something is ready, or `timeout` is over; `None` waits without end. Then hands each to `each`.
    ///
    /// # Errors
    /// Whatever `epoll_wait(2)` reports; an interruption is no error and finds nothing.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut each: impl FnMut(Readiness),
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            each(match event.token() {
                BELL => Readiness::Bell,
                Token(number) => Readiness::Socket(number),
            });
        }
        Ok(())
    }
}

impl Waker {
    /// Wakes the poller; a bell that nobody has heard yet rings once.
    ///
    /// # Errors
    /// Whatever write(2) reports of the bell's descriptor.
    pub fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::bind_group;
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_socket_and_the_bell_are_told_apart() {
        let group = bind_group("127.0.0.1:0".parse().unwrap(), 1, 1 << 16).unwrap();
        let mut poller = Poller::new(1).unwrap();
        poller.add(7, &group[0]).unwrap();
        let mut found = Vec::new();
        poller
            .wait(Some(Duration::ZERO), |ready| found.push(ready))
            .unwrap();
        assert_eq!(found, []);
        poller.waker().wake().unwrap();
        poller.wait(None, |ready| found.push(ready)).unwrap();
        assert_eq!(found, [Readiness::Bell]);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"x", group[0].address()).unwrap();
        found.clear();
        poller.wait(None, |ready| found.push(ready)).unwrap();
        assert_eq!(found, [Readiness::Socket(7)]);
    }
}
