//! Runs of datagrams as one message: `UDP_SEGMENT` (the kernel cuts what we send), `UDP_GRO` (it joins what we read).
//!
//! Promises: the pieces are those that the caller named, of the size the kernel said; nothing is kept after a call.
//! Leaves to `net`: which answers may go as one run, and what to do where the path refuses them (EIO, EINVAL, EMSGSIZE).

use super::address::AddressBytes;
use std::io::{self, IoSlice};
use std::mem::{offset_of, size_of};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
const CONTROL_BYTES: usize = HEADER_BYTES + 8;
const LENGTH: usize = offset_of!(libc::cmsghdr, cmsg_len);
const LEVEL: usize = offset_of!(libc::cmsghdr, cmsg_level);
const KIND: usize = offset_of!(libc::cmsghdr, cmsg_type);

/// Room for one control message of at most eight octets, aligned as the kernel wants it, written and read without a cast.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct ControlBytes([u8; CONTROL_BYTES]);

impl ControlBytes {
    const EMPTY: Self = Self([0; CONTROL_BYTES]);

    /// `UDP_SEGMENT` with its u16, cmsg(3).
    fn segment(octets: u16) -> Self {
        let mut control = Self::EMPTY;
        control.put(LENGTH, (HEADER_BYTES + size_of::<u16>()).to_ne_bytes());
        control.put(LEVEL, libc::SOL_UDP.to_ne_bytes());
        control.put(KIND, libc::UDP_SEGMENT.to_ne_bytes());
        control.put(HEADER_BYTES, octets.to_ne_bytes());
        control
    }

    /// The int of `UDP_GRO`, if that is what the kernel wrote.
    fn joined(&self, length: usize) -> Option<usize> {
        if length < HEADER_BYTES + size_of::<i32>()
            || i32::from_ne_bytes(self.get(LEVEL)) != libc::SOL_UDP
            || i32::from_ne_bytes(self.get(KIND)) != libc::UDP_GRO
        {
            return None;
        }
        usize::try_from(i32::from_ne_bytes(self.get(HEADER_BYTES))).ok()
    }

    fn put<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        if let Some(place) = self.0.get_mut(at..at + N) {
            place.copy_from_slice(&value);
        }
    }

    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        let bytes = self.0.get(at..at + N);
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; N])
    }
}

/// Sends `parts`, one after another, to `destination` as datagrams of `segment_octets` each, of which only the last may
/// be shorter; how many octets the kernel took (all, or it says why not).
///
/// # Errors
/// What sendmsg(2) reports: `WouldBlock`, `EMSGSIZE` (the whole above 65,507 octets, or too many parts), `EINVAL` (a
/// segment above the path's MTU, or too many), `EIO` (no checksum offload).
pub fn send_segments(
    socket: BorrowedFd<'_>,
    destination: SocketAddr,
    segment_octets: u16,
    parts: &[IoSlice<'_>],
) -> io::Result<usize> {
    let mut address = AddressBytes::EMPTY;
    let mut control = ControlBytes::segment(segment_octets);
    let mut message = empty_message();
    message.msg_namelen = address.write(destination);
    message.msg_name = (&raw mut address).cast();
    // std promises that an IoSlice is an iovec.
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len();
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_BYTES;
    // SAFETY: `message` names an address, iovecs and a control message of the lengths given, all live until the call is
    // over, as are the octets that `parts` borrows. sendmsg(2) only reads all of them.
    let answer = unsafe {
        libc::sendmsg(
            socket.as_raw_fd(),
            &raw const message,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    // Negative: an error.
    usize::try_from(answer).map_err(|_negative| io::Error::last_os_error())
}

/// Lets the kernel hand over runs of equal datagrams of one source as one (`UDP_GRO`); read them with `receive_joined`.
///
/// # Errors
/// Not a UDP socket, or a kernel older than 5.0.
pub fn join_datagrams(socket: BorrowedFd<'_>) -> io::Result<()> {
    let value: i32 = 1;
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    // SAFETY: setsockopt(2) reads `length` = 4 octets at the pointer, which points to a live i32; the descriptor is
    // open for as long as it is borrowed.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const value).cast(),
            length,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Reads one datagram, or one run of them, into `bytes`: the octets stored, and the size of each datagram but the last,
/// which may be shorter. A single datagram has its own size.
///
/// # Errors
/// `WouldBlock` when there is none; else what the socket reports.
pub fn receive_joined(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, usize)> {
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control = ControlBytes::EMPTY;
    let mut message = empty_message();
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_BYTES;
    // SAFETY: `message` names one iovec over `bytes`, exclusively borrowed, and a control buffer of the length given, all
    // live until the call is over; recvmsg(2) writes within those lengths.
    let answer = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    // Negative: an error.
    let length = usize::try_from(answer).map_err(|_negative| io::Error::last_os_error())?;
    let segment = control.joined(message.msg_controllen).unwrap_or(length);
    Ok((length, segment))
}

fn empty_message() -> libc::msghdr {
    // SAFETY: msghdr is a C structure of integers and pointers (and, with some libraries, private padding), for which
    // all zeros is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = ptr::null_mut();
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn a_run_arrives_as_its_datagrams_or_joined() {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let parts: [&[u8]; 3] = [b"one!two!", b"thr", b"ee"];
        let parts = parts.map(IoSlice::new);
        for joined in [false, true] {
            let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
            if joined {
                join_datagrams(receiver.as_fd()).unwrap();
            }
            let to = receiver.local_addr().unwrap();
            let sent = send_segments(sender.as_fd(), to, 4, &parts);
            assert_eq!(sent.unwrap(), 13);
            sender.send_to(b"alone", to).unwrap();
            let expected: &[(&[u8], usize)] = if joined {
                &[(b"one!two!three", 4), (b"alone", 5)]
            } else {
                &[
                    (b"one!", 4),
                    (b"two!", 4),
                    (b"thre", 4),
                    (b"e", 1),
                    (b"alone", 5),
                ]
            };
            let mut bytes = [0; 64];
            for (text, segment) in expected {
                let (length, read) = receive_joined(receiver.as_fd(), &mut bytes).unwrap();
                assert_eq!((&bytes[..length], read), (*text, *segment), "{joined}");
            }
            let error = receive_joined(receiver.as_fd(), &mut bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        let half = vec![0; 40_000];
        let error = send_segments(
            sender.as_fd(),
            to,
            1000,
            &[&half, &half].map(|part| IoSlice::new(part)),
        );
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
    }
}
