//! From a captured packet to the datagram in it: link layer, IPv4 or IPv6, UDP.
//!
//! Promises: reads within the packet only. Other protocols are `None`; UDP that is fragmented or cut short by the capture is refused
//! in a sentence, since half a datagram is another call.

use super::pcap::Packet;

const UDP: u8 = 17;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
const ETHERTYPE_VLAN: [u16; 2] = [0x8100, 0x88A8];

const LINKTYPE_NULL: u32 = 0;
const LINKTYPE_ETHERNET: u32 = 1;
const LINKTYPE_RAW: u32 = 101;
const LINKTYPE_LOOP: u32 = 108;
const LINKTYPE_LINUX_SLL: u32 = 113;
const LINKTYPE_IPV4: u32 = 228;
const LINKTYPE_IPV6: u32 = 229;
const LINKTYPE_LINUX_SLL2: u32 = 276;

/// The UDP datagram of a packet; `None` if it is something else.
///
/// # Errors
/// What was expected instead.
pub fn udp_payload<'f>(packet: &Packet<'f>) -> Result<Option<&'f [u8]>, String> {
    let Some(ip) = ip_of(packet)? else {
        return Ok(None);
    };
    let (protocol, fragment, transport) = match ip.first().map(|octet| octet >> 4) {
        Some(4) => match ipv4(ip) {
            Some(parts) => parts,
            None => return Ok(None),
        },
        Some(6) => match ipv6(ip) {
            Some(parts) => parts,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    if protocol != UDP {
        return Ok(None);
    }
    if fragment {
        return Err(
            "expected a whole datagram, found a fragment; capture behind the reassembly, or put the fragments together first"
                .to_owned(),
        );
    }
    let length = transport.get(4..6).map(|two| usize::from(u16_of(two)));
    let payload = length.and_then(|length| transport.get(8..length));
    match payload {
        Some(payload) => Ok(Some(payload)),
        None if packet.cut => Err(
            "expected a whole datagram, but the capture kept only the beginning of packets; capture with a larger snapshot length"
                .to_owned(),
        ),
        None => Ok(None),
    }
}

fn u16_of(two: &[u8]) -> u16 {
    two.first_chunk().map_or(0, |two| u16::from_be_bytes(*two))
}

fn ip_of<'f>(packet: &Packet<'f>) -> Result<Option<&'f [u8]>, String> {
    let octets = packet.octets;
    Ok(match packet.link {
        LINKTYPE_ETHERNET => behind_ethertype(octets, 12, 14),
        LINKTYPE_LINUX_SLL => behind_ethertype(octets, 14, 16),
        LINKTYPE_LINUX_SLL2 => behind_ethertype(octets, 0, 20),
        LINKTYPE_RAW | LINKTYPE_IPV4 | LINKTYPE_IPV6 | 12 | 14 => Some(octets),
        // Four octets of an address family, whose numbers differ between systems: the IP version says it, too.
        LINKTYPE_NULL | LINKTYPE_LOOP => octets.get(4..),
        other => {
            return Err(format!(
                "expected Ethernet, Linux cooked, raw IP or loopback, found link type {other}"
            ));
        }
    })
}

/// What stands behind a type field of the Ethernet kind, if that is IP.
fn behind_ethertype(octets: &[u8], kind_at: usize, ip_at: usize) -> Option<&[u8]> {
    let (mut kind_at, mut ip_at) = (kind_at, ip_at);
    loop {
        let kind = u16_of(octets.get(kind_at..kind_at + 2)?);
        if ETHERTYPE_VLAN.contains(&kind) {
            kind_at = ip_at + 2;
            ip_at += 4;
            continue;
        }
        let is_ip = kind == ETHERTYPE_IPV4 || kind == ETHERTYPE_IPV6;
        return if is_ip { octets.get(ip_at..) } else { None };
    }
}

/// Protocol, whether it is a fragment, and what follows the header.
fn ipv4(ip: &[u8]) -> Option<(u8, bool, &[u8])> {
    let header = usize::from(ip.first()? & 15) * 4;
    let fragment = u16_of(ip.get(6..8)?) & 0x3FFF != 0; // more fragments, or an offset
    let protocol = *ip.get(9)?;
    Some((protocol, fragment, ip.get(header.max(20)..)?))
}

/// As `ipv4`, behind the extension headers (RFC 8200 §4).
fn ipv6(ip: &[u8]) -> Option<(u8, bool, &[u8])> {
    let mut next = *ip.get(6)?;
    let mut at = 40;
    let mut fragment = false;
    loop {
        match next {
            // Hop-by-hop, routing, destination options: their length in eights beyond the first.
            0 | 43 | 60 => {
                next = *ip.get(at)?;
                at += (usize::from(*ip.get(at + 1)?) + 1) * 8;
            }
            44 => {
                next = *ip.get(at)?;
                fragment |= u16_of(ip.get(at + 2..at + 4)?) & 0xFFF9 != 0;
                at += 8;
            }
            protocol => return Some((protocol, fragment, ip.get(at..)?)),
        }
    }
}
