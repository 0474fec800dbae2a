//! Socket options that neither std nor socket2 sets or reads as we need them.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets an integer option at the socket level.
fn set(socket: BorrowedFd<'_>, option: i32, value: i32) -> io::Result<()> {
    set_at(socket, libc::SOL_SOCKET, option, value)
}

/// Sets an integer option.
fn set_at(socket: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    // SAFETY: setsockopt(2) reads `length` = 4 octets at the pointer, which points to a live i32; the descriptor is
    // open for as long as it is borrowed.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Reads an option at the socket level into `values`; how many whole words the kernel wrote.
fn get<const N: usize>(
    socket: BorrowedFd<'_>,
    option: i32,
    values: &mut [u32; N],
) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(size_of::<[u32; N]>()).unwrap_or(0);
    // SAFETY: getsockopt(2) writes at most `length` octets, which is the size of `values`, and then writes `length`
    // itself; both are live and exclusively borrowed. Any octets are valid u32s.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer == 0 {
        return Ok(usize::try_from(length).unwrap_or(0) / size_of::<u32>());
    }
    Err(io::Error::last_os_error())
}

fn clamped(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// Asks for a receive buffer beyond `net.core.rmem_max`; needs `CAP_NET_ADMIN`.
///
/// # Errors
/// Not permitted, as a rule.
pub fn force_receive_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    set(socket, libc::SO_RCVBUFFORCE, clamped(bytes))
}

/// Asks for a receive buffer; the kernel cuts it to `net.core.rmem_max` without a word.
///
/// # Errors
/// Not a socket.
pub fn set_receive_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    set(socket, libc::SO_RCVBUF, clamped(bytes))
}

/// The receive buffer in force, octets as the kernel charges them (twice what was granted, its own overhead included).
///
/// # Errors
/// Not a socket.
pub fn receive_buffer(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut value = [0];
    get(socket, libc::SO_RCVBUF, &mut value)?;
    Ok(usize::try_from(value[0]).unwrap_or(0))
}

/// Lets later sockets of this user bind to the same address and port (`SO_REUSEPORT`).
///
/// # Errors
/// Not a socket.
pub fn share_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SO_REUSEPORT, 1)
}

/// Datagrams that the kernel dropped at this socket since it was opened (`SO_MEMINFO`, `SK_MEMINFO_DROPS`).
///
/// Read when somebody asks. `SO_RXQ_OVFL` would tell only with the next datagram that gets through, so the drops at the
/// end of a burst would stay unknown, and it costs a control message per datagram.
///
/// # Errors
/// Not a socket, or a kernel older than 4.12.
pub fn kernel_dropped(socket: BorrowedFd<'_>) -> io::Result<u64> {
    const DROPS: usize = 8;
    let mut values = [0; DROPS + 1];
    if get(socket, libc::SO_MEMINFO, &mut values)? <= DROPS {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    Ok(u64::from(values[DROPS]))
}

/// Octets in the receive queue and octets that it may hold, both as the kernel charges them (`SO_MEMINFO`). The kernel
/// gives back what was read in lots of up to a quarter of the buffer, so the first may be too high by that much.
///
/// # Errors
/// Not a socket, or a kernel older than 4.12.
pub fn receive_queue(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    // SK_MEMINFO_RMEM_ALLOC, SK_MEMINFO_RCVBUF
    let mut values = [0; 2];
    if get(socket, libc::SO_MEMINFO, &mut values)? < 2 {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    Ok((values[0], values[1]))
}

/// Sends without UDP checksums: the kernel then refuses runs, as it does on a way without checksum offload.
///
/// # Errors
/// Not a socket.
#[cfg(test)]
pub fn send_without_checksums(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SO_NO_CHECK, 1)
}

/// Lets the kernel name the address that each datagram came to (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
///
/// # Errors
/// Not an IP socket.
pub fn name_local_address(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_at(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
        .or_else(|_not_ipv6| set_at(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn datagrams_that_do_not_fit_are_counted() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_receive_buffer(receiver.as_fd(), 1).unwrap();
        assert!(receive_buffer(receiver.as_fd()).unwrap() >= 1);
        assert_eq!(kernel_dropped(receiver.as_fd()).unwrap(), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..50 {
            sender
                .send_to(&[0; 1000], receiver.local_addr().unwrap())
                .unwrap();
        }
        let (held, room) = receive_queue(receiver.as_fd()).unwrap();
        assert!(held > room / 2, "{held} of {room}");
        receiver.set_nonblocking(true).unwrap();
        let mut read = 0;
        while receiver.recv(&mut [0; 1000]).is_ok() {
            read += 1;
        }
        assert_eq!(kernel_dropped(receiver.as_fd()).unwrap() + read, 50);
    }
}
