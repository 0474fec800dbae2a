//! Control messages of `recvmsg` and `sendmsg` (cmsg(3)), written and read without a cast.
//!
//! Promises: no `unsafe`; whatever the kernel writes, reading it yields a value or `None`.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = size_of::<libc::cmsghdr>();
const LENGTH: usize = offset_of!(libc::cmsghdr, cmsg_len);
const LEVEL: usize = offset_of!(libc::cmsghdr, cmsg_level);
const KIND: usize = offset_of!(libc::cmsghdr, cmsg_type);

const V4_BYTES: usize = size_of::<libc::in_pktinfo>();
const V4_LOCAL: usize = offset_of!(libc::in_pktinfo, ipi_spec_dst);
const V6_BYTES: usize = size_of::<libc::in6_pktinfo>();
const V6_LOCAL: usize = offset_of!(libc::in6_pktinfo, ipi6_addr);

/// Octets of a segment size and of the longer local address, each with its header, rounded up as `CMSG_SPACE` does.
const CONTROL_BYTES: usize = space(size_of::<u16>()) + space(V6_BYTES);

const fn space(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(size_of::<usize>())
}

/// The control messages of one datagram, aligned as the kernel wants them.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBytes([u8; CONTROL_BYTES]);

impl ControlBytes {
    pub(super) const EMPTY: Self = Self([0; CONTROL_BYTES]);
    pub(super) const LENGTH: usize = CONTROL_BYTES;

    /// Writes what is given: the size of the segments to cut a message into (`UDP_SEGMENT`), the address that it leaves
    /// from (`IP_PKTINFO`). How many octets of it the kernel shall read; none is zero.
    pub(super) fn write(&mut self, segment: Option<u16>, local: Option<IpAddr>) -> usize {
        let mut end = 0;
        if let Some(octets) = segment {
            let payload = octets.to_ne_bytes();
            end = self.put(end, libc::SOL_UDP, libc::UDP_SEGMENT, payload);
        }
        match local {
            None => end,
            Some(IpAddr::V4(address)) => {
                // The interface stays 0: the route decides it.
                let mut info = [0; V4_BYTES];
                info[V4_LOCAL..V4_LOCAL + 4].copy_from_slice(&address.octets());
                self.put(end, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
            }
            Some(IpAddr::V6(address)) => {
                let mut info = [0; V6_BYTES];
                info[V6_LOCAL..V6_LOCAL + 16].copy_from_slice(&address.octets());
                self.put(end, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
            }
        }
    }

    /// The address that a datagram came to, if the first message, of `length` octets in all, says so.
    pub(super) fn local(&self, length: usize) -> Option<IpAddr> {
        if length < HEADER {
            return None;
        }
        let level = i32::from_ne_bytes(self.get(LEVEL)?);
        let kind = i32::from_ne_bytes(self.get(KIND)?);
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if length >= HEADER + V4_BYTES => {
                let octets: [u8; 4] = self.get(HEADER + V4_LOCAL)?;
                Some(IpAddr::V4(Ipv4Addr::from(octets)))
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if length >= HEADER + V6_BYTES => {
                let octets: [u8; 16] = self.get(HEADER + V6_LOCAL)?;
                Some(IpAddr::V6(Ipv6Addr::from(octets)))
            }
            _ => None,
        }
    }

    /// Writes one message at `start`; where the next would begin.
    fn put<const N: usize>(
        &mut self,
        start: usize,
        level: i32,
        kind: i32,
        payload: [u8; N],
    ) -> usize {
        self.set(start + LENGTH, (HEADER + N).to_ne_bytes());
        self.set(start + LEVEL, level.to_ne_bytes());
        self.set(start + KIND, kind.to_ne_bytes());
        self.set(start + HEADER, payload);
        start + space(N)
    }

    fn set<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        if let Some(place) = self.0.get_mut(at..at + N) {
            place.copy_from_slice(&value);
        }
    }

    fn get<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at + N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_address_reads_back_as_it_was_written() {
        for text in ["127.0.0.2", "::1", "2001:db8::9"] {
            let address: IpAddr = text.parse().unwrap();
            let mut control = ControlBytes::EMPTY;
            let length = control.write(None, Some(address));
            assert_eq!(control.local(length), Some(address));
            assert_eq!(control.local(length - 5), None, "cut");
            assert!(control.write(Some(384), Some(address)) <= ControlBytes::LENGTH);
            assert_eq!(control.local(ControlBytes::LENGTH), None, "a segment size");
        }
    }

    #[test]
    fn nothing_to_say_takes_no_room() {
        let mut control = ControlBytes::EMPTY;
        assert_eq!(control.write(None, None), 0);
        assert_eq!(control.local(0), None);
        assert_eq!(control.local(ControlBytes::LENGTH), None);
    }
}
