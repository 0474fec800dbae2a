//! Opens the sockets and connections that calls leave from.
//!
//! Promises: each socket is bound, connected to the target (so that the kernel drops strangers' datagrams and tells of
//! closed ports) and does not block; what could not be had is said by name. Leaves to `engine`: sending and receiving.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::{RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES};
use crate::sys::{self, Refusal};
use crate::wire::{Connection, Wire};

/// Where calls leave from.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// Local addresses, taken in turn; empty: the one that the kernel chooses.
    pub addresses: Vec<IpAddr>,
    /// Sockets wanted.
    pub ports: usize,
    /// The first local port, the next ones following; 0: the kernel chooses.
    pub first_port: u16,
    /// Whether runs of answers may be received together (`UDP_GRO`).
    pub joined: bool,
    /// Whether they are TCP connections.
    pub tcp: bool,
}

/// An open socket.
#[derive(Debug)]
pub struct Link {
    /// The socket or connection: bound, connected, not blocking.
    pub wire: Wire,
    /// Its own address, as it stands in the Via.
    pub local: SocketAddr,
    /// Octets of receive buffer that the kernel granted. Linux counts its own overhead in it, about as much again.
    pub receive_buffer: usize,
    /// Whether the kernel stamps what arrives; else times are those of reading.
    pub stamped: bool,
    /// Whether the kernel hands over runs of answers together.
    pub joined: bool,
}

/// The sockets that could be opened.
#[derive(Debug)]
pub struct Links {
    /// At least one.
    pub links: Vec<Link>,
    /// Why there are fewer than asked for, if so.
    pub shortage: Option<String>,
}

/// Opens the sockets of a run.
///
/// # Errors
/// A sentence for the operator when not even one could be opened.
pub fn open(plan: &SourcePlan, target: SocketAddr) -> Result<Links, String> {
    let mut links = Vec::with_capacity(plan.ports);
    for index in 0..plan.ports {
        let address = local_address(plan, target, index);
        match address
            .and_then(|address| open_any(address, target, plan).map_err(|e| explain(address, &e)))
        {
            Ok(link) => links.push(link),
            Err(reason) if links.is_empty() => return Err(reason),
            Err(reason) => {
                let shortage = format!("{} of {} source ports: {reason}", links.len(), plan.ports);
                return Ok(Links {
                    links,
                    shortage: Some(shortage),
                });
            }
        }
    }
    if links.is_empty() {
        return Err("no source port was asked for".to_owned());
    }
    Ok(Links {
        links,
        shortage: None,
    })
}

fn local_address(
    plan: &SourcePlan,
    target: SocketAddr,
    index: usize,
) -> Result<SocketAddr, String> {
    let any = match target {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let addresses = plan.addresses.len().max(1);
    let ip = plan
        .addresses
        .get(index % addresses)
        .copied()
        .unwrap_or(any);
    if plan.first_port == 0 {
        return Ok(SocketAddr::new(ip, 0));
    }
    // Each address has the same ports, so the next port comes when every address has had its turn.
    let port = u16::try_from(index / addresses)
        .ok()
        .and_then(|step| plan.first_port.checked_add(step))
        .ok_or_else(|| format!("ports from {} on end at 65535", plan.first_port))?;
    Ok(SocketAddr::new(ip, port))
}

fn open_any(address: SocketAddr, target: SocketAddr, plan: &SourcePlan) -> io::Result<Link> {
    if plan.tcp {
        return open_connection(address, target);
    }
    open_one(address, target, plan.joined)
}

/// A connection that is not made by then fails.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

fn open_connection(address: SocketAddr, target: SocketAddr) -> io::Result<Link> {
    let domain = Domain::for_address(target);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    let _refused = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.bind(&address.into())?;
    socket.connect_timeout(&target.into(), CONNECT_WITHIN)?;
    // A message is not kept back until others fill a segment.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let receive_buffer = socket.recv_buffer_size()?;
    let stream = TcpStream::from(socket);
    Ok(Link {
        local: stream.local_addr()?,
        wire: Wire::Tcp(Connection::new(stream)),
        receive_buffer,
        stamped: false,
        joined: false,
    })
}

fn open_one(address: SocketAddr, target: SocketAddr, joined: bool) -> io::Result<Link> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // A refused size is no fault: what was granted is reported.
    let _refused = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    let _refused = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.connect(&target.into())?;
    let receive_buffer = socket.recv_buffer_size()?;
    let stamped = sys::stamp_receives(socket.as_fd()).is_ok();
    let joined = joined && sys::join_receives(socket.as_fd()).is_ok();
    let socket = UdpSocket::from(socket);
    Ok(Link {
        local: socket.local_addr()?,
        wire: Wire::Udp(socket),
        receive_buffer,
        stamped,
        joined,
    })
}

fn explain(address: SocketAddr, error: &io::Error) -> String {
    let ip = address.ip();
    match Refusal::of(error) {
        Refusal::AddressNotHere => {
            format!("{ip} is no address of this machine, or it has no free port left ({error})")
        }
        Refusal::AddressTaken if address.port() == 0 => {
            format!("{ip} has no free port left ({error})")
        }
        Refusal::AddressTaken => format!("{address} is taken by another program ({error})"),
        Refusal::NotPrivileged => {
            format!("{address} needs a privilege that this program lacks ({error})")
        }
        Refusal::TooManyFiles => {
            format!("no more open files are allowed; raise `ulimit -n` ({error})")
        }
        Refusal::NoRoute => format!("there is no route to the target ({error})"),
        Refusal::Forbidden => format!("a firewall of this machine forbids it ({error})"),
        Refusal::PortClosed => format!("the target takes no connection ({error})"),
        Refusal::NotNow | Refusal::Interrupted | Refusal::NotAsRun | Refusal::Other => {
            format!("{address}: {error}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ports: usize) -> SourcePlan {
        SourcePlan {
            addresses: Vec::new(),
            ports,
            first_port: 0,
            joined: true,
            tcp: false,
        }
    }

    #[test]
    fn each_socket_has_a_port_of_its_own_and_says_its_buffer() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = server.local_addr().unwrap();
        let open = open(&plan(3), target).unwrap();
        assert_eq!(open.shortage, None);
        let mut ports: Vec<u16> = open.links.iter().map(|link| link.local.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 3);
        for link in &open.links {
            assert_eq!(link.local.ip(), target.ip());
            assert!(link.receive_buffer > 0 && link.stamped);
        }
    }

    #[test]
    fn a_target_without_tcp_is_named() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = SourcePlan {
            tcp: true,
            ..plan(1)
        };
        let reason = open(&tcp, udp.local_addr().unwrap()).unwrap_err();
        assert!(reason.contains("takes no connection"), "{reason}");
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = server.local_addr().unwrap();
        let taken = SourcePlan {
            addresses: vec![target.ip()],
            first_port: target.port(),
            ..plan(1)
        };
        let reason = open(&taken, target).unwrap_err();
        assert!(reason.contains("is taken by another program"), "{reason}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let foreign = SourcePlan {
            addresses: vec!["192.0.2.1".parse().unwrap()],
            ..plan(1)
        };
        let reason = open(&foreign, "127.0.0.1:5060".parse().unwrap()).unwrap_err();
        assert!(
            reason.contains("192.0.2.1 is no address of this machine"),
            "{reason}"
        );
    }

    #[test]
    fn ports_go_on_when_every_address_had_its_turn() {
        let plan = SourcePlan {
            addresses: vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()],
            ports: 4,
            first_port: 6000,
            joined: false,
            tcp: false,
        };
        let target = "127.0.0.1:5060".parse().unwrap();
        let all: Vec<String> = (0..4)
            .map(|n| local_address(&plan, target, n).unwrap().to_string())
            .collect();
        assert_eq!(
            all,
            [
                "127.0.0.1:6000",
                "127.0.0.2:6000",
                "127.0.0.1:6001",
                "127.0.0.2:6001"
            ]
        );
        let last = SourcePlan {
            first_port: 65_535,
            ..plan
        };
        assert!(local_address(&last, target, 2).is_err());
    }
}
