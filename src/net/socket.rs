//! Opening the sockets of a listener: one per shard on one address and port, held by this process alone.

use crate::sys;
use socket2::{Domain, Protocol, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// One UDP socket of a listener. `process` holds it for life, so that a restarted shard reuses it: closing one moves
/// the last of the group into its place.
#[derive(Debug)]
pub struct Socket {
    inner: UdpSocket,
    address: SocketAddr,
    receive_buffer_bytes: usize,
    sends_runs: bool,
}

/// Why a listener could not be opened; its text is a sentence for the operator.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => write!(
                out,
                "udp {address} is in use by another process; stop it or listen elsewhere"
            ),
            io::ErrorKind::AddrNotAvailable => {
                write!(out, "udp {address} is not an address of this machine")
            }
            io::ErrorKind::PermissionDenied => write!(
                out,
                "udp {address} may not be bound by this user (ports below 1024 need CAP_NET_BIND_SERVICE)"
            ),
            _ => write!(out, "udp {address} cannot be opened: {}", self.cause),
        }
    }
}

impl std::error::Error for BindError {}

/// Opens `shards` sockets on one address, in the order of the shards. Port 0 is chosen by the kernel, once for all.
///
/// # Errors
/// The address is in use (also by sockets that would share their port), not ours, or not permitted.
pub fn bind_group(
    address: SocketAddr,
    shards: usize,
    receive_buffer_bytes: usize,
) -> Result<Vec<Socket>, BindError> {
    let fail = |cause| BindError { address, cause };
    // The first one is bound alone and shares its port only afterwards. A second process that does the same is refused
    // by the kernel, whereas two that both shared from the start would silently split the calls between them.
    let first = open(address, receive_buffer_bytes, false).map_err(fail)?;
    sys::share_port(first.as_fd()).map_err(fail)?;
    let bound = first.address;
    let mut group = Vec::with_capacity(shards);
    group.push(first);
    while group.len() < shards {
        group.push(open(bound, receive_buffer_bytes, true).map_err(fail)?);
    }
    Ok(group)
}

fn open(address: SocketAddr, receive_buffer_bytes: usize, shared: bool) -> io::Result<Socket> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // IPv4 has listeners of its own: no address arrives IPv4-mapped.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    if sys::force_receive_buffer(socket.as_fd(), receive_buffer_bytes).is_err() {
        sys::set_receive_buffer(socket.as_fd(), receive_buffer_bytes)?;
    }
    if shared {
        sys::share_port(socket.as_fd())?;
    }
    if address.ip().is_unspecified() {
        // Any address of the machine may be meant, and the answer has to leave from the one that was. About 40 ns a
        // datagram, so only here.
        sys::name_local_address(socket.as_fd())?;
    }
    socket.bind(&address.into())?;
    let inner = UdpSocket::from(socket);
    Ok(Socket {
        address: inner.local_addr()?,
        receive_buffer_bytes: sys::receive_buffer(inner.as_fd())?,
        inner,
        sends_runs: true,
    })
}

/// Lets the group share its datagrams by their octets instead of by address and port: a balancer in front of us sends
/// everything from one port, and the kernel's own hash would put all of it on one shard. A call and its retransmissions
/// reach the same shard as before. One socket needs no steering and gets none.
///
/// # Errors
/// The kernel refuses the packet program.
pub fn steer(group: &[Socket]) -> io::Result<()> {
    let [first, _, ..] = group else {
        return Ok(());
    };
    // The program lives as long as the group, which is as long as any of its sockets.
    sys::steer_by_payload(first.as_fd(), u32::try_from(group.len()).unwrap_or(1))
}

impl Socket {
    /// The address and port that it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The receive buffer in force, octets as the kernel charges them: each datagram counts with its overhead (about
    /// 2,300 for an INVITE of 966). The kernel doubles what it grants.
    #[must_use]
    pub fn receive_buffer_bytes(&self) -> usize {
        self.receive_buffer_bytes
    }

    /// Datagrams that the kernel dropped at this socket for want of room, since it was opened; `None` when this kernel
    /// does not tell.
    #[must_use]
    pub fn kernel_dropped(&self) -> Option<u64> {
        sys::kernel_dropped(self.as_fd()).ok()
    }

    /// Whether answers of one destination leave in runs; they do unless told otherwise.
    #[must_use]
    pub fn sends_runs(&self) -> bool {
        self.sends_runs
    }

    /// Sends every answer on its own from now on, or not.
    pub fn set_sends_runs(&mut self, sends_runs: bool) {
        self.sends_runs = sends_runs;
    }

    /// Whether more than half of the receive buffer is taken; about 150 ns. False when this kernel does not tell.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        sys::receive_queue(self.as_fd()).is_ok_and(|(held, room)| held > room / 2)
    }

    /// Whether it takes what comes to any address of the machine.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.address.ip().is_unspecified()
    }

    pub(super) fn raw(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: usize = 1 << 20;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_second_group_on_the_same_port_is_refused() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let group = bind_group(address.parse().unwrap(), 2, BUFFER).unwrap();
            let taken = group[0].address();
            let error = bind_group(taken, 2, BUFFER).unwrap_err().to_string();
            assert!(error.contains(&taken.to_string()), "{error}");
            assert!(error.contains("in use"), "{error}");
        }
    }

    #[test]
    fn all_sockets_of_a_group_have_the_port_that_the_kernel_chose() {
        let group = bind_group(loopback(), 4, BUFFER).unwrap();
        assert_eq!(group.len(), 4);
        assert_ne!(group[0].address().port(), 0);
        for socket in &group {
            assert_eq!(socket.address(), group[0].address());
            assert!(socket.receive_buffer_bytes() > 0);
            assert_eq!(socket.kernel_dropped(), Some(0));
        }
    }

    #[test]
    fn ipv6_does_not_take_the_ipv4_port() {
        let six = bind_group("[::]:0".parse().unwrap(), 1, BUFFER).unwrap();
        let four = SocketAddr::new("0.0.0.0".parse().unwrap(), six[0].address().port());
        assert!(bind_group(four, 1, BUFFER).is_ok());
    }

    #[test]
    fn a_foreign_address_is_named() {
        let error = bind_group("192.0.2.1:5060".parse().unwrap(), 1, BUFFER)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "udp 192.0.2.1:5060 is not an address of this machine"
        );
    }
}
