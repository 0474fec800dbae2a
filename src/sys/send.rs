//! `sendmmsg` from storage that is allocated once.
//!
//! Messages are datagrams of their own, or runs of datagrams that the kernel cuts apart (`UDP_SEGMENT`).
//!
//! Promises: what was put in goes out in order, once; a message that cannot be sent is named, never silently lost.

use super::address::AddressBytes;
use super::control::ControlBytes;
use super::receive::{EMPTY_VECTOR, empty_header};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// One message of `send_runs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where its slots begin in the order that is sent.
    pub first: usize,
    /// How many slots it has. All go where the first one goes.
    pub count: usize,
    /// The size of each of its datagrams but the last, which may be shorter. `None`: the message is one datagram.
    pub segment: Option<u16>,
    /// The address that it leaves from; `None` leaves that to the route.
    pub local: Option<IpAddr>,
}

impl Run {
    /// Its places in the order.
    #[must_use]
    pub fn places(&self) -> Range<usize> {
        self.first..self.first.saturating_add(self.count)
    }
}

/// A slot ends where a multiple of this begins that is at least as much behind its datagram: so much it may be stretched.
const ROOM_STEP: usize = 64;

/// Room for a batch of answers and their destinations.
#[derive(Debug)]
pub struct SendBatch {
    datagram_bytes_max: usize,
    storage: Box<[u8]>,
    /// Where each slot begins in `storage`.
    starts: Box<[usize]>,
    /// Where the next slot begins: answers lie close together, so that a batch of them is in ten pages, not in forty.
    next_start: usize,
    lengths: Box<[usize]>,
    addresses: Box<[AddressBytes]>,
    address_lengths: Box<[libc::socklen_t]>,
    controls: Box<[ControlBytes]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    filled: usize,
}

impl SendBatch {
    /// Room for `datagrams` of at most `datagram_bytes_max` octets each.
    #[must_use]
    pub fn new(datagrams: usize, datagram_bytes_max: usize) -> Self {
        Self {
            datagram_bytes_max,
            storage: vec![0; datagrams * (datagram_bytes_max + 2 * ROOM_STEP)].into_boxed_slice(),
            starts: vec![0; datagrams].into_boxed_slice(),
            next_start: 0,
            lengths: vec![0; datagrams].into_boxed_slice(),
            addresses: vec![AddressBytes::EMPTY; datagrams].into_boxed_slice(),
            address_lengths: vec![0; datagrams].into_boxed_slice(),
            controls: vec![ControlBytes::EMPTY; datagrams].into_boxed_slice(),
            vectors: vec![EMPTY_VECTOR; datagrams].into_boxed_slice(),
            headers: vec![empty_header(); datagrams].into_boxed_slice(),
            filled: 0,
        }
    }

    /// Empties the batch.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.next_start = 0;
    }

    /// How many messages are in it.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// The octets into which the next message is written; `None` when the batch is full. It counts only after `commit`.
    pub fn next_slot(&mut self) -> Option<&mut [u8]> {
        if self.filled >= self.headers.len() {
            return None;
        }
        let start = self.next_start;
        self.storage.get_mut(start..start + self.datagram_bytes_max)
    }

    /// Adds the first `length` octets of the slot that `next_slot` gave, for `destination`. Does nothing when the batch
    /// is full.
    pub fn commit(&mut self, length: usize, destination: SocketAddr) {
        let index = self.filled;
        let (Some(slot_length), Some(start), Some(address), Some(address_length)) = (
            self.lengths.get_mut(index),
            self.starts.get_mut(index),
            self.addresses.get_mut(index),
            self.address_lengths.get_mut(index),
        ) else {
            return;
        };
        *slot_length = length.min(self.datagram_bytes_max);
        *start = self.next_start;
        self.next_start += room(*slot_length);
        *address_length = address.write(destination);
        self.filled += 1;
    }

    /// The room of a slot that was committed, at least `ROOM_STEP` octets more than its datagram has, and the length it was
    /// committed with.
    pub fn slot(&mut self, index: usize) -> Option<(&mut [u8], &mut usize)> {
        if index >= self.filled {
            return None;
        }
        let start = *self.starts.get(index)?;
        let end = match self.starts.get(index + 1) {
            Some(next) if index + 1 < self.filled => *next,
            _ => self.next_start,
        };
        let room = self.storage.get_mut(start..end)?;
        Some((room, self.lengths.get_mut(index)?))
    }

    /// Sends the slots from `first` on, a message each; how many went out before one could not. Zero messages are sent
    /// as zero.
    ///
    /// # Errors
    /// What the kernel says about message `first`; `WouldBlock` when the socket takes no more.
    pub fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        self.point_at_storage();
        self.send_headers(socket, first..self.filled)
    }

    /// Sends `runs`, a message each, made of the slots whose numbers stand in `order`; how many messages went out before
    /// one could not. Zero messages are sent as zero.
    ///
    /// # Errors
    /// `InvalidInput` when a run names a slot that is not filled, or the runs have more messages or slots than there are;
    /// else what the kernel says about the first run. Of a run with segments also: `EINVAL` or `EMSGSIZE` (a segment
    /// above the path's MTU, too many of them, or more than 65,507 octets), `EIO` (no checksum offload).
    pub fn send_runs(
        &mut self,
        socket: BorrowedFd<'_>,
        order: &[u8],
        runs: &[Run],
    ) -> io::Result<usize> {
        self.point_at_runs(order, runs)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.send_headers(socket, 0..runs.len())
    }

    /// Sends the messages whose headers have been aimed.
    fn send_headers(&mut self, socket: BorrowedFd<'_>, range: Range<usize>) -> io::Result<usize> {
        let Some(headers) = self.headers.get_mut(range) else {
            return Ok(0);
        };
        if headers.is_empty() {
            return Ok(0);
        }
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        // SAFETY: `headers` holds `count` initialised mmsghdr. `point_at_storage` or `point_at_runs` has just aimed each
        // at iovecs over initialised octets of `storage`, at one address and at most one control buffer, of the lengths
        // given, all owned by `self`, which is borrowed exclusively until the call is over; sendmmsg(2) writes only
        // `msg_len` of these headers.
        let answer = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        // Negative: an error.
        usize::try_from(answer).map_err(|_negative| io::Error::last_os_error())
    }

    /// Aims one header for each run at its slots; `None` when they are not there.
    fn point_at_runs(&mut self, order: &[u8], runs: &[Run]) -> Option<()> {
        if runs.len() > self.headers.len() {
            return None;
        }
        let mut vectors = &mut *self.vectors;
        let parts = self.headers.iter_mut().zip(self.controls.iter_mut());
        for (run, (header, control)) in runs.iter().zip(parts) {
            let slots = order.get(run.places())?;
            let first = usize::from(*slots.first()?);
            let (own, rest) = std::mem::take(&mut vectors).split_at_mut_checked(slots.len())?;
            vectors = rest;
            for (slot, vector) in slots.iter().zip(own.iter_mut()) {
                let slot = usize::from(*slot);
                if slot >= self.filled {
                    return None;
                }
                let start = *self.starts.get(slot)?;
                let bytes = self.storage.get(start..start + *self.lengths.get(slot)?)?;
                // The kernel only reads what it sends.
                vector.iov_base = bytes.as_ptr().cast_mut().cast();
                vector.iov_len = bytes.len();
            }
            header.msg_len = 0;
            let message = &mut header.msg_hdr;
            message.msg_name = ptr::from_ref(self.addresses.get(first)?).cast_mut().cast();
            message.msg_namelen = *self.address_lengths.get(first)?;
            message.msg_iov = own.as_mut_ptr();
            message.msg_iovlen = slots.len();
            message.msg_controllen = control.write(run.segment, run.local);
            message.msg_control = if message.msg_controllen == 0 {
                ptr::null_mut()
            } else {
                ptr::from_mut(control).cast()
            };
            message.msg_flags = 0;
        }
        Some(())
    }

    /// Aims every filled header at its slot, as `ReceiveBatch` does.
    fn point_at_storage(&mut self) {
        let storage = &self.storage;
        let slots = self.starts.iter().zip(self.lengths.iter());
        let parts = self.addresses.iter_mut().zip(self.vectors.iter_mut());
        let addressed = self.headers.iter_mut().zip(self.address_lengths.iter());
        let all = addressed.zip(slots).zip(parts);
        for (((header, address_length), (start, length)), (address, vector)) in
            all.take(self.filled)
        {
            let bytes = storage.get(*start..*start + *length).unwrap_or_default();
            // The kernel only reads what it sends.
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_len = 0;
            let message = &mut header.msg_hdr;
            message.msg_name = ptr::from_mut(address).cast();
            message.msg_namelen = *address_length;
            message.msg_iov = ptr::from_mut(vector);
            message.msg_iovlen = 1;
            message.msg_control = ptr::null_mut();
            message.msg_controllen = 0;
            message.msg_flags = 0;
        }
    }
}

/// Octets from a slot's begin to the next one's.
fn room(length: usize) -> usize {
    length.next_multiple_of(ROOM_STEP) + ROOM_STEP
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = SendBatch::new(3, 8);
        assert_eq!(batch.send(sender.as_fd(), 0).unwrap(), 0);
        for text in ["one", "two!", ""] {
            batch.next_slot().unwrap()[..text.len()].copy_from_slice(text.as_bytes());
            batch.commit(text.len(), receiver.local_addr().unwrap());
        }
        assert!(batch.next_slot().is_none());
        batch.commit(3, receiver.local_addr().unwrap());
        assert_eq!(batch.filled(), 3, "a full batch takes no more");
        assert_eq!(batch.send(sender.as_fd(), 1).unwrap(), 2);
        assert_eq!(batch.send(sender.as_fd(), 0).unwrap(), 3);
        for text in ["two!", "", "one", "two!", ""] {
            let mut bytes = [0; 8];
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], text.as_bytes());
        }
    }

    #[test]
    fn a_message_that_cannot_go_is_named() {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = SendBatch::new(3, 8);
        let good = receiver.local_addr().unwrap();
        for to in [good, "[::1]:9".parse().unwrap(), good] {
            batch.commit(1, to);
        }
        assert_eq!(batch.send(sender.as_fd(), 0).unwrap(), 1);
        assert!(batch.send(sender.as_fd(), 1).is_err());
        assert_eq!(batch.send(sender.as_fd(), 2).unwrap(), 1);
    }

    fn arrangement(first: usize, count: usize, segment: Option<u16>) -> Run {
        Run {
            first,
            count,
            segment,
            local: None,
        }
    }

    #[test]
    fn a_run_arrives_as_its_datagrams() {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let receivers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut batch = SendBatch::new(4, 8);
        for (text, to) in [("one!", 0), ("b", 1), ("two!", 0), ("end", 0)] {
            batch.next_slot().unwrap()[..text.len()].copy_from_slice(text.as_bytes());
            batch.commit(text.len(), receivers[to].local_addr().unwrap());
        }
        let local = Some(sender.local_addr().unwrap().ip());
        let runs = [
            Run {
                local,
                ..arrangement(0, 3, Some(4))
            },
            arrangement(3, 1, None),
        ];
        let sent = batch.send_runs(sender.as_fd(), &[2, 0, 3, 1], &runs);
        assert_eq!(sent.unwrap(), 2);
        for (to, text) in [(0, "two!"), (0, "one!"), (0, "end"), (1, "b")] {
            let mut bytes = [0; 8];
            let length = receivers[to].recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], text.as_bytes());
        }
    }

    #[test]
    fn a_run_of_what_is_not_there_is_refused() {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = SendBatch::new(2, 8);
        batch.commit(1, sender.local_addr().unwrap());
        for (order, runs) in [
            (&[0, 1][..], &[arrangement(0, 2, None)][..]),
            (&[0], &[arrangement(0, 2, None)]),
            (&[0], &[arrangement(0, 0, None)]),
            (&[0, 0, 0], &[arrangement(0, 3, None)]),
            (&[0, 0, 0], &[arrangement(0, 1, None); 3]),
            (&[9], &[arrangement(0, 1, None)]),
            (&[0], &[arrangement(usize::MAX, 1, None)]),
        ] {
            let error = batch.send_runs(sender.as_fd(), order, runs).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{order:?}");
        }
        assert_eq!(batch.send_runs(sender.as_fd(), &[], &[]).unwrap(), 0);
    }
}
