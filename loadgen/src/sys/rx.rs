//! Datagrams that were received: several in one call (`recvmmsg`), and several in one buffer where the kernel has put a
//! run of them together (`UDP_GRO`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::pages::Pages;
use super::raw::{CONTROL_HEADER_BYTES, no_header, no_iovec};
use crate::limits::{DATAGRAM_BYTES_MAX, RX_BATCH, RX_RUN_BYTES_MAX};

/// Room for the control messages of one datagram: a time stamp (32 octets), a count of drops (24) and the length of a
/// segment (24), all aligned.
const CONTROL_BYTES: usize = 128;

/// By how much slots are longer than a power of two: an odd number of cache lines.
const SLOT_SHIFT: usize = 5 * 64;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// One received datagram.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Its octets; empty if it was longer than a slot and therefore cut.
    pub octets: &'a [u8],
    /// Wall clock of the kernel when it arrived, in nanoseconds since 1970, if the kernel said so.
    pub stamp: Option<u64>,
    /// Where it came from: family, port and address as the kernel wrote them.
    pub from: &'a Peer,
}

/// The address that a datagram came from, as the kernel wrote it; `net` makes an address of it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct Peer {
    octets: [u8; size_of::<libc::sockaddr_in6>()],
    length: usize,
}

impl Peer {
    /// No address.
    pub const NONE: Self = Self {
        octets: [0; size_of::<libc::sockaddr_in6>()],
        length: 0,
    };

    /// The address; `None` if the kernel wrote none.
    #[must_use]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        let family = u16::from_ne_bytes(first_chunk(&self.octets)?);
        let port = u16::from_be_bytes(first_chunk(self.octets.get(2..)?)?);
        match i32::from(family) {
            libc::AF_INET => {
                let ip: [u8; 4] = first_chunk(self.octets.get(4..)?)?;
                Some((ip, port).into())
            }
            libc::AF_INET6 => {
                let ip: [u8; 16] = first_chunk(self.octets.get(8..)?)?;
                Some((ip, port).into())
            }
            _ => None,
        }
    }

    /// The octets of the kernel's own form.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for Peer {}

/// Datagrams to be received.
pub struct RxBatch {
    storage: Pages,
    slot_bytes: usize,
    control: Box<[Control]>,
    peers: Box<[Peer]>,
    iovecs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    count: usize,
}

impl std::fmt::Debug for RxBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RxBatch")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl RxBatch {
    /// An empty batch; with `runs` its slots have room for what `UDP_GRO` puts together.
    #[must_use]
    pub fn new(runs: bool) -> Self {
        let room = if runs {
            RX_RUN_BYTES_MAX
        } else {
            DATAGRAM_BYTES_MAX
        };
        // Slots a power of two apart would all fall into the same sets of the cache.
        let slot_bytes = room + SLOT_SHIFT;
        Self {
            storage: Pages::zeroed(slot_bytes * RX_BATCH),
            slot_bytes,
            control: vec![Control([0; CONTROL_BYTES]); RX_BATCH].into(),
            peers: vec![Peer::NONE; RX_BATCH].into(),
            iovecs: vec![no_iovec(); RX_BATCH].into(),
            headers: vec![no_header(); RX_BATCH].into(),
            count: 0,
        }
    }

    /// Takes what the socket has, at most a batch, without waiting; returns how many slots were filled.
    ///
    /// # Errors
    /// What recvmmsg(2) says: `WouldBlock` when there is nothing, `ConnectionRefused` when ICMP said that the port is closed.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.count = 0;
        let slots = self
            .storage
            .chunks_exact_mut(self.slot_bytes)
            .zip(self.control.iter_mut().zip(self.peers.iter_mut()));
        let heads = self.headers.iter_mut().zip(self.iovecs.iter_mut());
        for ((octets, (control, peer)), (header, iovec)) in slots.zip(heads) {
            iovec.iov_base = octets.as_mut_ptr().cast();
            iovec.iov_len = octets.len() - SLOT_SHIFT;
            header.msg_hdr.msg_iov = ptr::from_mut(iovec);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = control.0.len();
            header.msg_hdr.msg_name = peer.octets.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = libc::socklen_t::try_from(peer.octets.len()).unwrap_or(0);
        }
        let slots = libc::c_uint::try_from(self.headers.len()).unwrap_or(0);
        // SAFETY: `headers` holds `slots` entries whose iovecs, control buffers and names were just pointed into `storage`,
        // `control` and `peers`, which `self` owns and nobody else borrows (`&mut self`); recvmmsg(2) writes at most
        // `slots` entries and at most the lengths given. No timeout is given (null).
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                slots,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        self.count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (header, peer) in self
            .headers
            .iter()
            .zip(self.peers.iter_mut())
            .take(self.count)
        {
            let length = usize::try_from(header.msg_hdr.msg_namelen).unwrap_or(0);
            peer.length = length.min(peer.octets.len());
        }
        Ok(self.count)
    }

    /// Whether the last receive filled every slot, so that there may be more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == RX_BATCH
    }

    /// What the last datagram says of how many a full buffer has cost its socket so far, if the kernel said so.
    #[must_use]
    pub fn dropped(&self) -> Option<u32> {
        let last = self.count.checked_sub(1)?;
        let (header, control) = (self.headers.get(last)?, self.control.get(last)?);
        Facts::read(&control.0, header.msg_hdr.msg_controllen).dropped
    }

    /// The datagrams of the last receive.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let slots = self
            .storage
            .chunks_exact(self.slot_bytes)
            .zip(self.control.iter().zip(self.peers.iter()));
        self.headers.iter().zip(slots).take(self.count).flat_map(
            |(header, (octets, (control, from)))| {
                let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
                let length = usize::try_from(header.msg_len).unwrap_or(0);
                let facts = Facts::read(&control.0, header.msg_hdr.msg_controllen);
                let octets = if cut {
                    &[]
                } else {
                    octets.get(..length).unwrap_or_default()
                };
                let segment = facts.segment.unwrap_or(length).max(1);
                let datagrams = octets.len().div_ceil(segment).max(1);
                (0..datagrams).map(move |index| {
                    let start = index * segment;
                    let end = octets.len().min(start + segment);
                    let datagram = octets.get(start..end).unwrap_or_default();
                    Received {
                        octets: if datagram.len() > DATAGRAM_BYTES_MAX {
                            &[]
                        } else {
                            datagram
                        },
                        stamp: facts.stamp,
                        from,
                    }
                })
            },
        )
    }
}

/// What the control messages of a datagram say.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Facts {
    stamp: Option<u64>,
    dropped: Option<u32>,
    /// How long each datagram of a run is, but for the last.
    segment: Option<usize>,
}

impl Facts {
    /// Walks the control messages by their lengths (cmsg(3)); stops at the first that does not fit.
    fn read(control: &[u8], length: usize) -> Self {
        let mut facts = Self::default();
        let mut rest = control.get(..length).unwrap_or_default();
        while let Some((size, level, kind)) = control_header(rest) {
            let Some(data) = rest.get(CONTROL_HEADER_BYTES..size) else {
                break;
            };
            if level == libc::SOL_SOCKET && kind == libc::SCM_TIMESTAMPNS {
                facts.stamp = stamp_of(data);
            }
            if level == libc::SOL_SOCKET && kind == libc::SO_RXQ_OVFL {
                facts.dropped = first_chunk(data).map(u32::from_ne_bytes);
            }
            if level == libc::SOL_UDP && kind == libc::UDP_GRO {
                facts.segment = first_chunk(data)
                    .and_then(|octets| usize::try_from(i32::from_ne_bytes(octets)).ok());
            }
            rest = rest
                .get(size.next_multiple_of(align_of::<usize>())..)
                .unwrap_or_default();
        }
        facts
    }
}

fn control_header(octets: &[u8]) -> Option<(usize, i32, i32)> {
    let size = usize::from_ne_bytes(first_chunk(octets)?);
    let level = i32::from_ne_bytes(first_chunk(octets.get(size_of::<usize>()..)?)?);
    let kind = i32::from_ne_bytes(first_chunk(octets.get(size_of::<usize>() + 4..)?)?);
    (size >= CONTROL_HEADER_BYTES).then_some((size, level, kind))
}

/// A timespec of two words as nanoseconds.
fn stamp_of(data: &[u8]) -> Option<u64> {
    let seconds = i64::from_ne_bytes(first_chunk(data)?);
    let nanoseconds = i64::from_ne_bytes(first_chunk(data.get(8..)?)?);
    u64::try_from(seconds)
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(u64::try_from(nanoseconds).ok()?)
}

fn first_chunk<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    octets.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{TxBatch, Waiter, join_receives, stamp_receives};
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn pair() -> (UdpSocket, UdpSocket) {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        one.connect(other.local_addr().unwrap()).unwrap();
        other.connect(one.local_addr().unwrap()).unwrap();
        (one, other)
    }

    #[test]
    fn a_batch_arrives_in_order_with_stamps() {
        let (one, other) = pair();
        stamp_receives(other.as_fd()).unwrap();
        let mut tx = TxBatch::new();
        for n in 0..3u8 {
            assert!(tx.push(|slot| {
                slot[..2].copy_from_slice(&[n, n]);
                Some(2)
            }));
        }
        let sent = tx.send(one.as_fd(), 1, None, false).unwrap();
        assert_eq!((sent.datagrams, sent.sends), (2, 2)); // from the second on
        assert_eq!(tx.send(one.as_fd(), 3, None, false).unwrap().datagrams, 0);
        let mut rx = RxBatch::new(false);
        let mut seen = Vec::new();
        let mut waiter = Waiter::new([other.as_raw_fd()]);
        while seen.len() < 2 {
            waiter.wait(5_000_000_000).unwrap();
            assert!(waiter.is_ready(0));
            rx.receive(other.as_fd()).unwrap();
            for datagram in rx.iter() {
                assert!(
                    datagram
                        .stamp
                        .is_some_and(|stamp| stamp > 1_600_000_000_000_000_000)
                );
                seen.push(datagram.octets.to_vec());
            }
        }
        assert_eq!(seen, [[1, 1], [2, 2]]);
        let empty = rx.receive(other.as_fd()).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_run_of_datagrams_is_cut_where_it_was_put_together() {
        let (one, other) = pair();
        join_receives(other.as_fd()).unwrap();
        let mut tx = TxBatch::new();
        for (n, length) in [(1u8, 900), (2, 900), (3, 900), (4, 100)] {
            assert!(tx.push(|slot| {
                slot[..length].fill(n);
                Some(length)
            }));
        }
        let sent = tx.send(one.as_fd(), 0, None, true).unwrap();
        assert_eq!((sent.datagrams, sent.sends), (4, 1));
        let mut rx = RxBatch::new(true);
        let mut waiter = Waiter::new([other.as_raw_fd()]);
        let mut seen = Vec::new();
        while seen.len() < 4 {
            waiter.wait(5_000_000_000).unwrap();
            assert!(waiter.is_ready(0));
            rx.receive(other.as_fd()).unwrap();
            for datagram in rx.iter() {
                assert!(datagram.octets.iter().all(|&n| n == datagram.octets[0]));
                assert_eq!(datagram.from.address(), one.local_addr().ok());
                seen.push((datagram.octets[0], datagram.octets.len()));
            }
        }
        assert_eq!(seen, [(1, 900), (2, 900), (3, 900), (4, 100)]);
    }

    #[test]
    fn a_datagram_longer_than_a_slot_is_empty_not_cut() {
        let (one, other) = pair();
        one.send(&[7; DATAGRAM_BYTES_MAX + 1]).unwrap();
        let mut rx = RxBatch::new(false);
        Waiter::new([other.as_raw_fd()])
            .wait(5_000_000_000)
            .unwrap();
        assert_eq!(rx.receive(other.as_fd()).unwrap(), 1);
        assert_eq!(rx.iter().next().unwrap().octets, b"");
    }

    #[test]
    fn control_messages_are_walked_by_their_lengths() {
        let message = |kind: i32, data: &[u8]| {
            let mut octets = (CONTROL_HEADER_BYTES + data.len()).to_ne_bytes().to_vec();
            octets.extend(libc::SOL_SOCKET.to_ne_bytes());
            octets.extend(kind.to_ne_bytes());
            octets.extend(data);
            octets.resize(octets.len().next_multiple_of(8), 0);
            octets
        };
        let time = [3i64.to_ne_bytes(), 9i64.to_ne_bytes()].concat();
        let all = [
            message(libc::SO_RXQ_OVFL, &5u32.to_ne_bytes()),
            message(libc::SCM_TIMESTAMPNS, &time),
        ]
        .concat();
        let facts = Facts::read(&all, all.len());
        assert_eq!(
            facts,
            Facts {
                stamp: Some(3_000_000_009),
                dropped: Some(5),
                segment: None,
            }
        );
        for end in 0..all.len() {
            let cut = Facts::read(&all[..end], end);
            assert!(cut.stamp.is_none(), "cut at {end}");
        }
        let endless = [0; 64];
        assert_eq!(Facts::read(&endless, 64), Facts::default());
    }
}
