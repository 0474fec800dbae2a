//! A batch of datagrams in, a batch of answers out.
//!
//! Promises: one bad message does not hold up the ones behind it; every message is sent, or counted by why it was not.

use super::socket::Socket;
use crate::limits::{BATCH_DATAGRAMS, DATAGRAM_BYTES_MAX, RESPONSE_BYTES_MAX};
use crate::sys::{ReceiveBatch, SendBatch, errno};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
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
}

const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

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
pub struct RxBatch(ReceiveBatch);

/// Room for the answers of a batch.
#[derive(Debug)]
pub struct TxBatch(SendBatch);

/// Why an answer was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// The socket's send queue was full, twice.
    QueueFull,
    /// An ICMP message about an earlier answer (RFC 3261 §18.4).
    Refused,
    /// A firewall rule of this machine.
    NotPermitted,
    /// No route.
    Unreachable,
    /// Longer than the path or the socket carries.
    TooLong,
    /// Anything else, and an answer for which the batch had no room.
    Other,
}

impl SendFailure {
    /// All reasons, in the order of their numbers in arrays.
    pub const ALL: [Self; 6] = [
        Self::QueueFull,
        Self::Refused,
        Self::NotPermitted,
        Self::Unreachable,
        Self::TooLong,
        Self::Other,
    ];

    /// The reason's name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::NotPermitted => "not_permitted",
            Self::Unreachable => "unreachable",
            Self::TooLong => "too_long",
            Self::Other => "other",
        }
    }

    /// Its place in arrays that count by reason.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno::CONNECTION_REFUSED) => Self::Refused,
            Some(errno::NOT_PERMITTED) => Self::NotPermitted,
            Some(errno::NO_BUFFERS) => Self::QueueFull,
            Some(errno::MESSAGE_SIZE) => Self::TooLong,
            Some(errno::NETWORK_UNREACHABLE | errno::HOST_UNREACHABLE) => Self::Unreachable,
            Some(_) | None => Self::Other,
        }
    }
}

/// What became of a batch of answers; `sent` and the sum of `failed` are the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendReport {
    /// Answers that went out.
    pub sent: u64,
    /// Answers that did not, by `SendFailure::index`.
    pub failed: [u64; SendFailure::ALL.len()],
}

impl RxBatch {
    /// Room for one batch.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it allocates; nobody should get one by accident"
    )]
    pub fn new() -> Self {
        Self(ReceiveBatch::new(BATCH_DATAGRAMS, DATAGRAM_BYTES_MAX))
    }

    /// Reads at most a batch. A batch that is not full found the socket empty, so that one system call is saved.
    pub fn receive(&mut self, socket: &Socket) -> Received {
        match self.0.receive(socket.as_fd()) {
            Ok(BATCH_DATAGRAMS) => Received::Full,
            Ok(_) => Received::Drained,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Drained,
            Err(_) => Received::Error,
        }
    }

    /// How many datagrams the last `receive` read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.received()
    }

    /// Whether the last `receive` read none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The datagrams of the last `receive`, in order. One whose source the kernel did not name (it names all) comes from
    /// 0.0.0.0:0, which is nobody's peer.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        (0..self.len()).map(|index| {
            let (bytes, full_length, source) = self.0.get(index);
            Datagram {
                bytes,
                full_length,
                source: source.unwrap_or(NOBODY),
            }
        })
    }
}

impl TxBatch {
    /// Room for one batch.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it allocates; nobody should get one by accident"
    )]
    pub fn new() -> Self {
        Self(SendBatch::new(BATCH_DATAGRAMS, RESPONSE_BYTES_MAX))
    }

    /// The octets into which the next answer is written; `None` when the batch is full.
    pub fn next_slot(&mut self) -> Option<&mut [u8]> {
        self.0.next_slot()
    }

    /// Adds the first `length` octets of that slot, for `destination`.
    pub fn commit(&mut self, length: usize, destination: SocketAddr) {
        self.0.commit(length, destination);
    }

    /// How many answers are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.filled()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends what is in the batch, and empties it. A message that the kernel refuses is skipped. A full send queue is
    /// tried once more; then the rest of the batch is given up, since the peers will ask again (RFC 3261 §17.1.1.2).
    pub fn send(&mut self, socket: &Socket) -> SendReport {
        let report = send_all(self.0.filled(), |first| self.0.send(socket.as_fd(), first));
        self.0.clear();
        report
    }

    /// Forgets what is in the batch.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Sends messages `0..filled` by way of `send`, which sends from a given one on.
fn send_all(filled: usize, mut send: impl FnMut(usize) -> io::Result<usize>) -> SendReport {
    let mut report = SendReport::default();
    let mut first = 0;
    let mut tried_again = false;
    while first < filled {
        match send(first) {
            // The kernel never sends zero of some without an error; were it to, this must still end.
            Ok(0) => {
                report.failed[SendFailure::Other.index()] += count(filled - first);
                return report;
            }
            Ok(sent) => {
                first += sent;
                report.sent += count(sent);
                tried_again = false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if tried_again {
                    report.failed[SendFailure::QueueFull.index()] += count(filled - first);
                    return report;
                }
                tried_again = true;
            }
            Err(error) => {
                report.failed[SendFailure::of(&error).index()] += 1;
                first += 1;
            }
        }
    }
    report
}

fn count(messages: usize) -> u64 {
    u64::try_from(messages).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::socket::bind_group;
    use super::*;
    use std::net::UdpSocket;

    /// Plays `script` to `send_all`: what each call answers; then everything goes.
    fn check(
        filled: usize,
        script: &[Result<usize, i32>],
        sent: u64,
        failed: &[(SendFailure, u64)],
    ) {
        let mut calls = script.iter();
        let report = send_all(filled, |first| match calls.next() {
            Some(Ok(number)) => Ok(*number),
            Some(Err(number)) => Err(io::Error::from_raw_os_error(*number)),
            None => Ok(filled - first),
        });
        assert_eq!(report.sent, sent, "{script:?}");
        for reason in SendFailure::ALL {
            let expected = failed.iter().find(|(name, _)| *name == reason);
            assert_eq!(
                report.failed[reason.index()],
                expected.map_or(0, |(_, number)| *number),
                "{script:?} {reason:?}"
            );
        }
    }

    #[test]
    fn every_answer_is_sent_or_counted_by_its_reason() {
        const AGAIN: i32 = 11;
        const INTERRUPTED: i32 = 4;
        check(0, &[], 0, &[]);
        check(5, &[], 5, &[]);
        check(5, &[Ok(2), Ok(3)], 5, &[]);
        check(5, &[Err(INTERRUPTED)], 5, &[]);
        check(5, &[Err(AGAIN)], 5, &[]);
        check(
            5,
            &[Err(AGAIN), Err(AGAIN)],
            0,
            &[(SendFailure::QueueFull, 5)],
        );
        check(
            5,
            &[Ok(1), Err(AGAIN), Ok(1), Err(AGAIN), Err(AGAIN)],
            2,
            &[(SendFailure::QueueFull, 3)],
        );
        check(
            5,
            &[
                Err(errno::CONNECTION_REFUSED),
                Ok(1),
                Err(errno::NOT_PERMITTED),
                Err(errno::MESSAGE_SIZE),
            ],
            2,
            &[
                (SendFailure::Refused, 1),
                (SendFailure::NotPermitted, 1),
                (SendFailure::TooLong, 1),
            ],
        );
        check(
            2,
            &[Err(errno::NO_BUFFERS), Err(errno::HOST_UNREACHABLE)],
            0,
            &[(SendFailure::QueueFull, 1), (SendFailure::Unreachable, 1)],
        );
        check(2, &[Err(9999)], 1, &[(SendFailure::Other, 1)]);
        check(2, &[Ok(0)], 0, &[(SendFailure::Other, 2)]);
    }

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
    fn an_answer_to_nowhere_does_not_hold_up_the_next() {
        let group = bind_group("127.0.0.1:0".parse().unwrap(), 1, 1 << 20).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut tx = TxBatch::new();
        for to in ["[::1]:9".parse().unwrap(), peer.local_addr().unwrap()] {
            tx.next_slot().unwrap()[..2].copy_from_slice(b"ok");
            tx.commit(2, to);
        }
        let report = tx.send(&group[0]);
        assert_eq!(report.sent, 1);
        assert_eq!(report.failed.iter().sum::<u64>(), 1);
        assert!(tx.is_empty());
        let mut bytes = [0; 8];
        assert_eq!(peer.recv(&mut bytes).unwrap(), 2);
    }
}
