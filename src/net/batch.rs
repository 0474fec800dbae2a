//! A batch of datagrams in.
//!
//! Promises: what was read stays readable until the next batch; an error that a socket reports is told from emptiness.
//! Leaves to `answers`: the way back.

use super::socket::Socket;
use crate::limits::{BATCH_DATAGRAMS, DATAGRAM_BYTES_MAX};
use crate::sys::ReceiveBatch;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

/// One datagram of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Its octets, at most `DATAGRAM_BYTES_MAX`.
    pub bytes: &'a [u8],
    /// Octets that it had on the wire; more than `bytes` holds when it was cut.
    pub full_length: usize,
    /// Where it came from.
    pub source: SocketAddr,
    /// The address of this machine that it came to, and that its answer has to leave from. `None`: the socket's own.
    pub local: Option<IpAddr>,
}

const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What reading a socket found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A full batch: there may be more.
    Full,
    /// Some, and then the socket was empty; also when there were none.
    Drained,
    /// The socket reported an error instead of a datagram (an ICMP message about an earlier answer, as a rule). The
    /// error is gone by being read; the datagrams behind it are still there.
    Error,
}

/// Room for the datagrams of a batch; about 130 KiB.
#[derive(Debug)]
pub struct RxBatch {
    batch: ReceiveBatch,
    /// What the kernel says of each, read once a batch: every stage goes through the datagrams anew.
    arrivals: [Arrival; BATCH_DATAGRAMS],
}

/// A datagram without its octets.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    full_length: usize,
    source: SocketAddr,
    local: Option<IpAddr>,
}

const NO_ARRIVAL: Arrival = Arrival {
    full_length: 0,
    source: NOBODY,
    local: None,
};

impl RxBatch {
    /// Room for one batch.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it allocates; nobody should get one by accident"
    )]
    pub fn new() -> Self {
        Self {
            batch: ReceiveBatch::new(BATCH_DATAGRAMS, DATAGRAM_BYTES_MAX),
            arrivals: [NO_ARRIVAL; BATCH_DATAGRAMS],
        }
    }

    /// Reads at most a batch. A batch that is not full found the socket empty, so that one system call is saved.
    pub fn receive(&mut self, socket: &Socket) -> Received {
        let read = if socket.is_wildcard() {
            self.batch.receive_with_local(socket.as_fd())
        } else {
            self.batch.receive(socket.as_fd())
        };
        for (index, arrival) in (0..self.len()).zip(&mut self.arrivals) {
            let (full_length, source) = self.batch.arrival(index);
            *arrival = Arrival {
                full_length,
                source: source.unwrap_or(NOBODY),
                // Nothing can leave from a group's address.
                local: self
                    .batch
                    .local(index)
                    .filter(|local| !local.is_multicast()),
            };
        }
        match read {
            Ok(BATCH_DATAGRAMS) => Received::Full,
            Ok(_) => Received::Drained,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Drained,
            Err(_) => Received::Error,
        }
    }

    /// How many datagrams the last `receive` read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.received()
    }

    /// Whether the last `receive` read none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The datagrams of the last `receive`, in order. One whose source the kernel did not name (it names all) comes from
    /// 0.0.0.0:0, which is nobody's peer.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        let arrivals = self.arrivals.iter().take(self.len());
        arrivals.enumerate().map(|(index, arrival)| Datagram {
            bytes: self.batch.bytes(index, arrival.full_length),
            full_length: arrival.full_length,
            source: arrival.source,
            local: arrival.local,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::bind_group;
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_full_batch_says_that_there_may_be_more() {
        let group = bind_group("127.0.0.1:0".parse().unwrap(), 1, 1 << 20).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..=BATCH_DATAGRAMS {
            sender.send_to(b"x", group[0].address()).unwrap();
        }
        let mut rx = RxBatch::new();
        assert_eq!(rx.receive(&group[0]), Received::Full);
        assert_eq!(rx.len(), BATCH_DATAGRAMS);
        assert_eq!(rx.receive(&group[0]), Received::Drained);
        assert_eq!(rx.len(), 1);
        assert_eq!(
            rx.iter().next().unwrap().source,
            sender.local_addr().unwrap()
        );
        assert_eq!(rx.receive(&group[0]), Received::Drained);
        assert!(rx.is_empty());
    }

    #[test]
    fn only_a_wildcard_socket_names_the_address_that_a_datagram_came_to() {
        for (bound, to, named) in [
            ("0.0.0.0:0", "127.0.0.2", true),
            ("127.0.0.2:0", "127.0.0.2", false),
            ("[::]:0", "::1", true),
            ("[::1]:0", "::1", false),
        ] {
            let group = bind_group(bound.parse().unwrap(), 1, 1 << 20).unwrap();
            let to: IpAddr = to.parse().unwrap();
            let sender = UdpSocket::bind((to, 0)).unwrap();
            let port = group[0].address().port();
            sender.send_to(b"x", (to, port)).unwrap();
            let mut rx = RxBatch::new();
            assert_eq!(rx.receive(&group[0]), Received::Drained);
            let locals: Vec<Option<IpAddr>> = rx.iter().map(|datagram| datagram.local).collect();
            assert_eq!(locals, [named.then_some(to)], "{bound}");
        }
    }
}
