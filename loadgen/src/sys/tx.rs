//! Datagrams to be sent, one after another in memory, so that a run of equally long ones is one send (`UDP_SEGMENT`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::pages::Pages;
use super::raw::{CONTROL_HEADER_BYTES, no_header, no_iovec};
use super::rx::Peer;
use crate::limits::{BATCH, DATAGRAM_BYTES_MAX, SEGMENTED_BYTES_MAX};

/// One control message with two octets of data, padded to the alignment that cmsg(3) wants.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct SegmentControl([u8; (CONTROL_HEADER_BYTES + 2).next_multiple_of(8)]);

/// What the kernel took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams.
    pub datagrams: usize,
    /// Sends: a run of datagrams is one.
    pub sends: usize,
}

/// Datagrams to be sent.
pub struct TxBatch {
    storage: Pages,
    /// Where each datagram ends in `storage`; it begins where the one before ends.
    ends: [usize; BATCH],
    count: usize,
    iovecs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    controls: Box<[SegmentControl]>,
    /// How many datagrams each header carries.
    carried: [usize; BATCH],
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
            storage: Pages::zeroed(BATCH * DATAGRAM_BYTES_MAX),
            ends: [0; BATCH],
            count: 0,
            iovecs: vec![no_iovec(); BATCH].into(),
            headers: vec![no_header(); BATCH].into(),
            controls: vec![SegmentControl([0; size_of::<SegmentControl>()]); BATCH].into(),
            carried: [0; BATCH],
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

    /// Whether another datagram like the first would not go into the same send.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let octets = self.end_of(self.count);
        self.count == BATCH || octets + self.end_of(1.min(self.count)) > SEGMENTED_BYTES_MAX
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds what `write` writes into a slot; false if it wrote nothing or the batch is full.
    pub fn push(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        let start = self.end_of(self.count);
        let Some(slot) = self.storage.get_mut(start..start + DATAGRAM_BYTES_MAX) else {
            return false;
        };
        let Some(place) = self.ends.get_mut(self.count) else {
            return false;
        };
        let Some(length) = write(slot) else {
            return false;
        };
        *place = start + length.min(DATAGRAM_BYTES_MAX);
        self.count += 1;
        true
    }

    /// The octets of the datagrams from index `from` on, one after another.
    #[must_use]
    pub fn octets_from(&self, from: usize) -> &[u8] {
        self.storage
            .get(self.end_of(from)..self.end_of(self.count))
            .unwrap_or_default()
    }

    /// Hands the datagrams from index `from` on to the kernel; returns how many it took, at least one, and in how many
    /// sends. With `segments`,
    /// a run of equally long ones (and a shorter one after it) is one send, which the kernel cuts up (udp(7)). `to` is
    /// needed on a socket that is not connected.
    ///
    /// # Errors
    /// What sendmmsg(2) says about the first of them, or about an earlier datagram on this socket (`ConnectionRefused`).
    /// A device or route that cannot carry a run says EINVAL, EIO or EMSGSIZE.
    pub fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        from: usize,
        to: Option<&Peer>,
        segments: bool,
    ) -> io::Result<Sent> {
        let messages = self.gather(from, to, segments);
        let Some(headers) = self.headers.get_mut(..messages) else {
            return Ok(Sent::default());
        };
        if headers.is_empty() {
            return Ok(Sent::default());
        }
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(0);
        // SAFETY: `headers` holds `count` entries whose iovecs and control messages were just pointed into `storage` and
        // `controls` by `gather`, which `self` owns and nobody else borrows (`&mut self`), with lengths inside them,
        // and whose names are null or point to `to`, which outlives the call; sendmmsg(2) reads those octets and writes
        // `msg_len` of at most `count` entries.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
            )
        };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        Ok(Sent {
            datagrams: self.carried.iter().take(sent).sum(),
            sends: sent,
        })
    }

    /// Points a header at each run of datagrams from `from` on; returns how many headers.
    fn gather(&mut self, from: usize, to: Option<&Peer>, segments: bool) -> usize {
        let mut next = from;
        let mut messages = 0;
        while next < self.count {
            let start = self.end_of(next);
            let (carried, length) = self.run_at(next, segments);
            let end = self.end_of(next + carried);
            let heads = self
                .headers
                .get_mut(messages)
                .zip(self.iovecs.get_mut(messages));
            let notes = self
                .controls
                .get_mut(messages)
                .zip(self.carried.get_mut(messages));
            let (Some((header, iovec)), Some((control, count)), Some(octets)) =
                (heads, notes, self.storage.get_mut(start..end))
            else {
                break;
            };
            iovec.iov_base = octets.as_mut_ptr().cast();
            iovec.iov_len = octets.len();
            header.msg_hdr.msg_iov = ptr::from_mut(iovec);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = ptr::null_mut();
            header.msg_hdr.msg_controllen = 0;
            let name = to.map_or(&[][..], Peer::raw);
            header.msg_hdr.msg_name = if name.is_empty() {
                ptr::null_mut()
            } else {
                name.as_ptr().cast_mut().cast() // sendmmsg(2) only reads it
            };
            header.msg_hdr.msg_namelen = libc::socklen_t::try_from(name.len()).unwrap_or(0);
            if carried > 1 {
                *control = segment_control(length);
                header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = control.0.len();
            }
            *count = carried;
            messages += 1;
            next += carried;
        }
        messages
    }

    /// How many datagrams from `first` on one send may carry, and how long each but the last is.
    fn run_at(&self, first: usize, segments: bool) -> (usize, usize) {
        let length_of = |index| self.end_of(index + 1) - self.end_of(index);
        let length = length_of(first);
        let mut carried = 1;
        while segments && first + carried < self.count {
            let next = length_of(first + carried);
            if next > length || (carried + 1) * length > SEGMENTED_BYTES_MAX {
                break;
            }
            carried += 1;
            if next < length {
                break; // only the last may be shorter
            }
        }
        (carried, length)
    }

    /// Where the datagram before `index` ends.
    fn end_of(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before).copied())
            .unwrap_or(0)
    }
}

impl Default for TxBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// The control message that says how long a segment is.
fn segment_control(length: usize) -> SegmentControl {
    let mut octets = [0; size_of::<SegmentControl>()];
    let size = u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes();
    let parts = (CONTROL_HEADER_BYTES + size.len())
        .to_ne_bytes()
        .into_iter()
        .chain(libc::SOL_UDP.to_ne_bytes())
        .chain(libc::UDP_SEGMENT.to_ne_bytes())
        .chain(size);
    for (place, octet) in octets.iter_mut().zip(parts) {
        *place = octet;
    }
    SegmentControl(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn batch(lengths: &[usize]) -> TxBatch {
        let mut tx = TxBatch::new();
        for (&length, octet) in lengths.iter().zip(b'a'..) {
            assert!(tx.push(|slot| {
                slot[..length].fill(octet);
                Some(length)
            }));
        }
        tx
    }

    fn carried(lengths: &[usize], from: usize, segments: bool) -> Vec<usize> {
        let mut tx = batch(lengths);
        let messages = tx.gather(from, None, segments);
        tx.carried[..messages].to_vec()
    }

    #[test]
    fn a_run_ends_with_a_shorter_one_and_before_a_longer_one() {
        for (lengths, runs) in [
            (&[5, 5, 5][..], &[3][..]),
            (&[5, 5, 4, 5], &[3, 1]),
            (&[4, 5, 5], &[1, 2]),
            (&[5], &[1]),
            (&[], &[]),
        ] {
            assert_eq!(carried(lengths, 0, true), runs, "{lengths:?}");
            assert_eq!(carried(lengths, 0, false), vec![1; lengths.len()]);
        }
        assert_eq!(carried(&[9, 5, 5], 1, true), [2]);
        let all = carried(&[2000; BATCH], 0, true);
        assert_eq!(all.iter().sum::<usize>(), BATCH);
        assert!(all.iter().all(|&run| run * 2000 <= SEGMENTED_BYTES_MAX));
    }

    #[test]
    fn a_run_arrives_as_the_datagrams_it_was_made_of() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        one.connect(other.local_addr().unwrap()).unwrap();
        other
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .unwrap();
        for segments in [true, false] {
            let mut tx = batch(&[700, 700, 700, 300, 900]);
            let mut from = 1;
            while from < tx.len() {
                from += tx
                    .send(one.as_fd(), from, None, segments)
                    .unwrap()
                    .datagrams;
            }
            let sent = tx.send(one.as_fd(), 5, None, segments).unwrap();
            assert_eq!(sent, Sent::default());
            let mut buffer = [0; 2048];
            for (length, octet) in [(700, b'b'), (700, b'c'), (300, b'd'), (900, b'e')] {
                assert_eq!(other.recv(&mut buffer).unwrap(), length);
                assert!(buffer[..length].iter().all(|&found| found == octet));
            }
        }
    }

    #[test]
    fn a_full_batch_takes_no_more() {
        let mut tx = TxBatch::new();
        for _ in 0..BATCH {
            assert!(tx.push(|_| Some(DATAGRAM_BYTES_MAX)));
        }
        assert!(tx.is_full());
        assert!(!tx.push(|_| Some(1)));
        tx.clear();
        assert!(tx.is_empty());
        assert!(!tx.push(|_| None));
        assert_eq!(tx.len(), 0);
    }

    #[test]
    fn the_octets_stand_one_after_another() {
        let tx = batch(&[2, 3, 1]);
        assert_eq!(tx.octets_from(0), b"aabbbc");
        assert_eq!(tx.octets_from(2), b"c");
        assert_eq!(tx.octets_from(3), b"");
    }
}
