//! Batches of datagrams for `recvmmsg` and `sendmmsg`, with their storage.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::limits::{BATCH, DATAGRAM_BYTES_MAX};

/// Room for the control messages of one datagram: a time stamp (32 octets) and a count of drops (24), both aligned.
const CONTROL_BYTES: usize = 128;

/// Octets before the data of a control message: cmsghdr is a length, a level and a type (cmsg(3)).
const CONTROL_HEADER_BYTES: usize = size_of::<libc::cmsghdr>();

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
    /// Datagrams that this socket's full buffer has cost so far, if the kernel said so.
    pub dropped: Option<u32>,
}

/// Datagrams to be received.
pub struct RxBatch {
    storage: Box<[[u8; DATAGRAM_BYTES_MAX]]>,
    control: Box<[Control]>,
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
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            storage: vec![[0; DATAGRAM_BYTES_MAX]; BATCH].into(),
            control: vec![Control([0; CONTROL_BYTES]); BATCH].into(),
            iovecs: vec![no_iovec(); BATCH].into(),
            headers: vec![no_header(); BATCH].into(),
            count: 0,
        }
    }

    /// Takes what the socket has, at most a batch, without waiting; returns how many.
    ///
    /// # Errors
    /// What recvmmsg(2) says: `WouldBlock` when there is nothing, `ConnectionRefused` when ICMP said that the port is closed.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.count = 0;
        let slots = self.storage.iter_mut().zip(self.control.iter_mut());
        let heads = self.headers.iter_mut().zip(self.iovecs.iter_mut());
        for ((octets, control), (header, iovec)) in slots.zip(heads) {
            iovec.iov_base = octets.as_mut_ptr().cast();
            iovec.iov_len = octets.len();
            header.msg_hdr.msg_iov = ptr::from_mut(iovec);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = control.0.len();
        }
        let slots = libc::c_uint::try_from(self.headers.len()).unwrap_or(0);
        // SAFETY: `headers` holds `slots` entries whose iovecs and control buffers were just pointed into `storage` and
        // `control`, which `self` owns and nobody else borrows (`&mut self`); recvmmsg(2) writes at most `slots` entries
        // and at most the lengths given. No name is asked for, no timeout is given (null).
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
        Ok(self.count)
    }

    /// The datagrams of the last receive.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let slots = self.storage.iter().zip(self.control.iter());
        self.headers
            .iter()
            .zip(slots)
            .take(self.count)
            .map(|(header, (octets, control))| {
                let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
                let length = usize::try_from(header.msg_len).unwrap_or(0);
                let facts = Facts::read(&control.0, header.msg_hdr.msg_controllen);
                Received {
                    octets: if cut {
                        &[]
                    } else {
                        octets.get(..length).unwrap_or_default()
                    },
                    stamp: facts.stamp,
                    dropped: facts.dropped,
                }
            })
    }
}

impl Default for RxBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// What the control messages of a datagram say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    stamp: Option<u64>,
    dropped: Option<u32>,
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

/// Datagrams to be sent on one connected socket.
pub struct TxBatch {
    storage: Box<[[u8; DATAGRAM_BYTES_MAX]]>,
    lengths: [usize; BATCH],
    iovecs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    count: usize,
}

impl std::fmt::Debug for TxBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TxBatch")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl TxBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            storage: vec![[0; DATAGRAM_BYTES_MAX]; BATCH].into(),
            lengths: [0; BATCH],
            iovecs: vec![no_iovec(); BATCH].into(),
            headers: vec![no_header(); BATCH].into(),
            count: 0,
        }
    }

    /// Datagrams in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether no other datagram fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds what `write` writes into a slot; false if it wrote nothing or the batch is full.
    pub fn push(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        let Some(slot) = self.storage.get_mut(self.count) else {
            return false;
        };
        let Some(length) = write(slot) else {
            return false;
        };
        if let Some(place) = self.lengths.get_mut(self.count) {
            *place = length.min(DATAGRAM_BYTES_MAX);
        }
        self.count += 1;
        true
    }

    /// Hands the datagrams from index `from` on to the kernel; returns how many it took, at least one.
    ///
    /// # Errors
    /// What sendmmsg(2) says about the first of them, or about an earlier datagram on this socket (`ConnectionRefused`).
    pub fn send(&mut self, socket: BorrowedFd<'_>, from: usize) -> io::Result<usize> {
        let slots = self.storage.iter_mut().zip(self.lengths.iter());
        let heads = self.headers.iter_mut().zip(self.iovecs.iter_mut());
        for ((octets, length), (header, iovec)) in slots.zip(heads).take(self.count).skip(from) {
            iovec.iov_base = octets.as_mut_ptr().cast();
            iovec.iov_len = *length;
            header.msg_hdr.msg_iov = ptr::from_mut(iovec);
            header.msg_hdr.msg_iovlen = 1;
        }
        let Some(headers) = self.headers.get_mut(from..self.count) else {
            return Ok(0);
        };
        if headers.is_empty() {
            return Ok(0);
        }
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(0);
        // SAFETY: `headers` holds `count` entries whose iovecs were just pointed into `storage`, which `self` owns and
        // nobody else borrows (`&mut self`), with lengths inside their slots; sendmmsg(2) reads those octets and writes
        // `msg_len` of at most `count` entries. Name and control are null and zero.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Default for TxBatch {
    fn default() -> Self {
        Self::new()
    }
}

fn no_iovec() -> libc::iovec {
    libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr is integers and pointers; all zeros are no name, no iovec, no control, no flags.
    unsafe { mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Waiter, stamp_receives};
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
        assert_eq!(tx.send(one.as_fd(), 1).unwrap(), 2); // from the second on
        assert_eq!(tx.send(one.as_fd(), 3).unwrap(), 0);
        let mut rx = RxBatch::new();
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
    fn a_datagram_longer_than_a_slot_is_empty_not_cut() {
        let (one, other) = pair();
        one.send(&[7; DATAGRAM_BYTES_MAX + 1]).unwrap();
        let mut rx = RxBatch::new();
        Waiter::new([other.as_raw_fd()])
            .wait(5_000_000_000)
            .unwrap();
        assert_eq!(rx.receive(other.as_fd()).unwrap(), 1);
        assert_eq!(rx.iter().next().unwrap().octets, b"");
    }

    #[test]
    fn a_full_batch_takes_no_more() {
        let mut tx = TxBatch::new();
        for _ in 0..BATCH {
            assert!(tx.push(|_| Some(1)));
        }
        assert!(tx.is_full());
        assert!(!tx.push(|_| Some(1)));
        tx.clear();
        assert!(tx.is_empty());
        assert!(!tx.push(|_| None));
        assert_eq!(tx.len(), 0);
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
                dropped: Some(5)
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
