//! Socket addresses as the kernel's bytes, read and written without a cast.
//!
//! Promises: no `unsafe`; whatever the kernel writes, reading it yields an address or `None`.

use std::mem::{offset_of, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

const V4_BYTES: usize = size_of::<libc::sockaddr_in>();
const V6_BYTES: usize = size_of::<libc::sockaddr_in6>();
const FAMILY: usize = offset_of!(libc::sockaddr_in, sin_family);
const V4_PORT: usize = offset_of!(libc::sockaddr_in, sin_port);
const V4_ADDRESS: usize = offset_of!(libc::sockaddr_in, sin_addr);
const V6_PORT: usize = offset_of!(libc::sockaddr_in6, sin6_port);
const V6_FLOW: usize = offset_of!(libc::sockaddr_in6, sin6_flowinfo);
const V6_ADDRESS: usize = offset_of!(libc::sockaddr_in6, sin6_addr);
const V6_SCOPE: usize = offset_of!(libc::sockaddr_in6, sin6_scope_id);
const _: () = assert!(FAMILY == offset_of!(libc::sockaddr_in6, sin6_family));
const _: () = assert!(V4_BYTES <= V6_BYTES);

/// Room for the longer of the two address families, aligned as the kernel wants it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct AddressBytes([u8; V6_BYTES]);

impl AddressBytes {
    /// No address.
    pub(super) const EMPTY: Self = Self([0; V6_BYTES]);
    /// Its size, for `msg_namelen`.
    pub(super) const LENGTH: libc::socklen_t = 28;

    /// Writes `address`; how many octets of it the kernel shall read.
    pub(super) fn write(&mut self, address: SocketAddr) -> libc::socklen_t {
        let bytes = &mut self.0;
        match address {
            SocketAddr::V4(v4) => {
                put(bytes, FAMILY, family(libc::AF_INET).to_ne_bytes());
                put(bytes, V4_PORT, v4.port().to_be_bytes());
                put(bytes, V4_ADDRESS, v4.ip().octets());
                16
            }
            SocketAddr::V6(v6) => {
                put(bytes, FAMILY, family(libc::AF_INET6).to_ne_bytes());
                put(bytes, V6_PORT, v6.port().to_be_bytes());
                put(bytes, V6_FLOW, v6.flowinfo().to_ne_bytes());
                put(bytes, V6_ADDRESS, v6.ip().octets());
                put(bytes, V6_SCOPE, v6.scope_id().to_ne_bytes());
                Self::LENGTH
            }
        }
    }

    /// Reads what the kernel wrote.
    pub(super) fn read(&self) -> Option<SocketAddr> {
        let bytes = &self.0;
        let read_family = u16::from_ne_bytes(get(bytes, FAMILY));
        if read_family == family(libc::AF_INET) {
            let port = u16::from_be_bytes(get(bytes, V4_PORT));
            let ip = Ipv4Addr::from(get::<4>(bytes, V4_ADDRESS));
            return Some(SocketAddr::V4(SocketAddrV4::new(ip, port)));
        }
        if read_family == family(libc::AF_INET6) {
            let port = u16::from_be_bytes(get(bytes, V6_PORT));
            let ip = Ipv6Addr::from(get::<16>(bytes, V6_ADDRESS));
            let flow = u32::from_ne_bytes(get(bytes, V6_FLOW));
            let scope = u32::from_ne_bytes(get(bytes, V6_SCOPE));
            return Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)));
        }
        None
    }
}

const _: () = assert!(AddressBytes::LENGTH as usize == V6_BYTES && V4_BYTES == 16);

/// The family as the two octets that stand in the address.
const fn family(constant: i32) -> u16 {
    let [low, high, ..] = constant.to_le_bytes();
    u16::from_le_bytes([low, high])
}

fn put<const N: usize>(bytes: &mut [u8; V6_BYTES], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

fn get<const N: usize>(bytes: &[u8; V6_BYTES], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in [
            "127.0.0.1:5060",
            "255.1.2.3:65535",
            "[::1]:5060",
            "[2001:db8::9%7]:1",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            let mut bytes = AddressBytes::EMPTY;
            let length = bytes.write(address);
            assert_eq!(length, if address.is_ipv4() { 16 } else { 28 }, "{text}");
            assert_eq!(bytes.read(), Some(address), "{text}");
        }
    }

    #[test]
    fn no_address_is_none() {
        assert_eq!(AddressBytes::EMPTY.read(), None);
    }
}
