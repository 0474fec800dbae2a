//! `recvmmsg` into storage that is allocated once.
//!
//! Promises: a datagram is handed out only after the kernel wrote it, and never longer than it was stored; the length
//! that it had on the wire is known even when it was cut (`MSG_TRUNC`).

use super::address::AddressBytes;
use super::control::ControlBytes;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Octets between two slots. Slots a page apart would have their first lines in the same few sets of the processor's
/// nearest cache, eight of 32 at most; seventeen lines more spread datagrams of a kilobyte over all sets evenly.
const STAGGER: usize = 17 * 64;

/// Room for a batch of datagrams and their sources.
#[derive(Debug)]
pub struct ReceiveBatch {
    datagram_bytes_max: usize,
    /// Octets from one slot to the next.
    stride: usize,
    storage: Box<[u8]>,
    addresses: Box<[AddressBytes]>,
    controls: Box<[ControlBytes]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    received: usize,
}

impl ReceiveBatch {
    /// Room for `datagrams` of at most `datagram_bytes_max` octets each.
    #[must_use]
    pub fn new(datagrams: usize, datagram_bytes_max: usize) -> Self {
        let stride = datagram_bytes_max + STAGGER;
        Self {
            datagram_bytes_max,
            stride,
            storage: vec![0; datagrams * stride].into_boxed_slice(),
            addresses: vec![AddressBytes::EMPTY; datagrams].into_boxed_slice(),
            controls: vec![ControlBytes::EMPTY; datagrams].into_boxed_slice(),
            vectors: vec![EMPTY_VECTOR; datagrams].into_boxed_slice(),
            headers: vec![empty_header(); datagrams].into_boxed_slice(),
            received: 0,
        }
    }

    /// Reads as many datagrams as lie in the socket's queue, at most a batch; how many. Those of the last call are
    /// forgotten.
    ///
    /// # Errors
    /// `WouldBlock` when there are none; else what the socket reports.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.read(socket, false)
    }

    /// As `receive`, from a socket that was told to name the address that each came to (`name_local_address`): `local`
    /// tells it afterwards.
    ///
    /// # Errors
    /// As `receive`.
    pub fn receive_with_local(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.read(socket, true)
    }

    fn read(&mut self, socket: BorrowedFd<'_>, with_local: bool) -> io::Result<usize> {
        self.received = 0;
        self.point_at_storage(with_local);
        let count = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        // SAFETY: `headers` holds `count` initialised mmsghdr. `point_at_storage` has just aimed each at one iovec, one
        // address, at most one control buffer and one slot of `storage`, all owned by `self`, which is borrowed exclusively until the call is over;
        // recvmmsg(2) writes at most `count` entries, each within the lengths given, and with MSG_DONTWAIT keeps nothing.
        let answer = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                ptr::null_mut(),
            )
        };
        // Negative: an error.
        let Ok(received) = usize::try_from(answer) else {
            return Err(io::Error::last_os_error());
        };
        self.received = received.min(self.headers.len());
        Ok(self.received)
    }

    /// How many datagrams the last `receive` read.
    #[must_use]
    pub fn received(&self) -> usize {
        self.received
    }

    /// One of them: its length on the wire, its source unless the kernel named none. Past the last there is nothing.
    #[must_use]
    pub fn arrival(&self, index: usize) -> (usize, Option<SocketAddr>) {
        let header = self.headers.get(index).filter(|_| index < self.received);
        let (Some(header), Some(address)) = (header, self.addresses.get(index)) else {
            return (0, None);
        };
        let full_length = usize::try_from(header.msg_len).unwrap_or(usize::MAX);
        (full_length, address.read())
    }

    /// The same, and the octets that were stored before them.
    #[must_use]
    pub fn get(&self, index: usize) -> (&[u8], usize, Option<SocketAddr>) {
        let (full_length, source) = self.arrival(index);
        (self.bytes(index, full_length), full_length, source)
    }

    /// The octets that were stored of one that had this length on the wire.
    #[must_use]
    #[inline]
    pub fn bytes(&self, index: usize, full_length: usize) -> &[u8] {
        let start = index * self.stride;
        let stored = full_length.min(self.datagram_bytes_max);
        self.storage.get(start..start + stored).unwrap_or(&[])
    }

    /// The address of this machine that one of them came to; `None` when that was not asked for.
    #[must_use]
    pub fn local(&self, index: usize) -> Option<IpAddr> {
        let header = self.headers.get(index).filter(|_| index < self.received)?;
        // Some libraries have a narrower type here.
        #[expect(
            clippy::useless_conversion,
            reason = "msg_controllen is an unsigned int with some C libraries"
        )]
        let length = usize::try_from(header.msg_hdr.msg_controllen).unwrap_or(0);
        self.controls.get(index)?.local(length)
    }

    /// Aims every header at its slot. Done before each call: the kernel overwrites lengths, and pointers that are made
    /// anew never outlive a borrow (3 ns a datagram).
    fn point_at_storage(&mut self, with_local: bool) {
        let slots = self.storage.chunks_exact_mut(self.stride);
        let names = self.addresses.iter_mut().zip(self.controls.iter_mut());
        let parts = names.zip(self.vectors.iter_mut());
        for ((header, slot), ((address, control), vector)) in
            self.headers.iter_mut().zip(slots).zip(parts)
        {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = self.datagram_bytes_max.min(slot.len());
            header.msg_len = 0;
            let message = &mut header.msg_hdr;
            message.msg_name = ptr::from_mut(address).cast();
            message.msg_namelen = AddressBytes::LENGTH;
            message.msg_iov = ptr::from_mut(vector);
            message.msg_iovlen = 1;
            if with_local {
                message.msg_control = ptr::from_mut(control).cast();
                message.msg_controllen = ControlBytes::LENGTH;
            } else {
                message.msg_control = ptr::null_mut();
                message.msg_controllen = 0;
            }
            message.msg_flags = 0;
        }
    }
}

/// A vector that points nowhere.
pub(super) const EMPTY_VECTOR: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// A header that points nowhere.
pub(super) fn empty_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr is a C structure of integers and pointers (and, with some libraries, private padding), for which
    // all zeros is a valid value.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::name_local_address;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    const NOTHING: (&[u8], usize, Option<SocketAddr>) = (&[], 0, None);

    #[test]
    fn a_cut_datagram_keeps_its_full_length() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        for length in [0, 1, 63, 64, 65, 60_000] {
            sender.send_to(&vec![b'x'; length], to).unwrap();
        }
        let mut batch = ReceiveBatch::new(4, 64);
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 4);
        let from = sender.local_addr().unwrap();
        for (index, (stored, full)) in [(0, 0), (1, 1), (63, 63), (64, 64)].into_iter().enumerate()
        {
            assert_eq!(
                batch.get(index),
                (&vec![b'x'; stored][..], full, Some(from))
            );
        }
        assert_eq!(batch.get(4), NOTHING);
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 2);
        assert_eq!(batch.get(0), (&[b'x'; 64][..], 65, Some(from)));
        assert_eq!(batch.get(1), (&[b'x'; 64][..], 60_000, Some(from)));
        assert_eq!(
            batch.get(2),
            NOTHING,
            "the last batch's datagrams are forgotten"
        );
        let error = batch.receive(receiver.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.get(0), NOTHING);
    }

    #[test]
    fn sources_of_both_families_are_read() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let receiver = UdpSocket::bind(address).unwrap();
            let sender = UdpSocket::bind(address).unwrap();
            sender
                .send_to(b"x", receiver.local_addr().unwrap())
                .unwrap();
            let mut batch = ReceiveBatch::new(2, 64);
            assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 1);
            let (_, _, source) = batch.get(0);
            assert_eq!(source, Some(sender.local_addr().unwrap()));
        }
    }

    #[test]
    fn the_address_that_a_datagram_came_to_is_named_when_asked_for() {
        for (any, targets) in [
            ("0.0.0.0:0", &["127.0.0.1", "127.0.0.2"][..]),
            ("[::]:0", &["::1"][..]),
        ] {
            let receiver = UdpSocket::bind(any).unwrap();
            let port = receiver.local_addr().unwrap().port();
            name_local_address(receiver.as_fd()).unwrap();
            let mut batch = ReceiveBatch::new(4, 64);
            for target in targets {
                let target: IpAddr = target.parse().unwrap();
                for asked in [true, false] {
                    let sender = UdpSocket::bind((target, 0)).unwrap();
                    sender.send_to(b"x", (target, port)).unwrap();
                    let received = if asked {
                        batch.receive_with_local(receiver.as_fd())
                    } else {
                        batch.receive(receiver.as_fd())
                    };
                    assert_eq!(received.unwrap(), 1);
                    assert_eq!(batch.local(0), asked.then_some(target));
                    assert_eq!(batch.local(1), None);
                }
            }
        }
    }
}
