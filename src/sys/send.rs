//! `sendmmsg` from storage that is allocated once.
//!
//! Promises: what was put in goes out in order, once; a message that cannot be sent is named, never silently lost.

use super::address::AddressBytes;
use super::receive::{EMPTY_VECTOR, empty_header};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Room for a batch of answers and their destinations.
#[derive(Debug)]
pub struct SendBatch {
    datagram_bytes_max: usize,
    storage: Box<[u8]>,
    lengths: Box<[usize]>,
    addresses: Box<[AddressBytes]>,
    address_lengths: Box<[libc::socklen_t]>,
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
            storage: vec![0; datagrams * datagram_bytes_max].into_boxed_slice(),
            lengths: vec![0; datagrams].into_boxed_slice(),
            addresses: vec![AddressBytes::EMPTY; datagrams].into_boxed_slice(),
            address_lengths: vec![0; datagrams].into_boxed_slice(),
            vectors: vec![EMPTY_VECTOR; datagrams].into_boxed_slice(),
            headers: vec![empty_header(); datagrams].into_boxed_slice(),
            filled: 0,
        }
    }

    /// Empties the batch.
    pub fn clear(&mut self) {
        self.filled = 0;
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
        let start = self.filled * self.datagram_bytes_max;
        self.storage.get_mut(start..start + self.datagram_bytes_max)
    }

    /// Adds the first `length` octets of the slot that `next_slot` gave, for `destination`. Does nothing when the batch
    /// is full.
    pub fn commit(&mut self, length: usize, destination: SocketAddr) {
        let index = self.filled;
        let (Some(slot_length), Some(address), Some(address_length)) = (
            self.lengths.get_mut(index),
            self.addresses.get_mut(index),
            self.address_lengths.get_mut(index),
        ) else {
            return;
        };
        *slot_length = length.min(self.datagram_bytes_max);
        *address_length = address.write(destination);
        self.filled += 1;
    }

    /// Sends the messages from `first` on; how many went out before one could not. Zero messages are sent as zero.
    ///
    /// # Errors
    /// What the kernel says about message `first`; `WouldBlock` when the socket takes no more.
    pub fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        self.point_at_storage();
        let Some(headers) = self.headers.get_mut(first..self.filled) else {
            return Ok(0);
        };
        if headers.is_empty() {
            return Ok(0);
        }
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        // SAFETY: `headers` holds `count` initialised mmsghdr. `point_at_storage` has just aimed each at one iovec over
        // initialised octets of `storage` and at one address of the length given, all owned by `self`, which is borrowed
        // exclusively until the call is over; sendmmsg(2) writes only `msg_len` of these headers.
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

    /// Aims every filled header at its slot, as `ReceiveBatch` does.
    fn point_at_storage(&mut self) {
        let slots = self.storage.chunks_exact_mut(self.datagram_bytes_max);
        let sizes = self.lengths.iter().zip(self.address_lengths.iter());
        let parts = self.addresses.iter_mut().zip(self.vectors.iter_mut());
        let all = self.headers.iter_mut().zip(slots).zip(parts).zip(sizes);
        for (((header, slot), (address, vector)), (length, address_length)) in all.take(self.filled)
        {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = *length;
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
}
