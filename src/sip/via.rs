//! One Via value: who sent it, where the answer goes, and which of its parameters an answer rewrites.
//!
//! Promises: a value is read as far as its sent-by or not at all; a fault behind the sent-by is told, and an answer
//! can still be sent. Leaves to `uas`: what the parameters mean. Grammar: RFC 3261 §20.42 and §25.1, RFC 3581.

use super::octet::{self, Cursor, is, port};
use super::uri::take_host;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One Via value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport, as received.
    pub transport: &'a [u8],
    /// The sent-by host, IPv6 with its brackets.
    pub host: &'a [u8],
    /// The sent-by port.
    pub port: Option<u16>,
    /// The branch; RFC 2543 clients have none.
    pub branch: Option<&'a [u8]>,
    /// The value of `received`.
    pub received: Option<&'a [u8]>,
    /// The octets of the whole `received` parameter, name included.
    pub received_whole: Option<&'a [u8]>,
    /// The octets of the whole `rport` parameter, name included: present when an answer to the source port is asked.
    pub rport_whole: Option<&'a [u8]>,
    /// Whether what follows the sent-by can be read. If not, nothing of it was.
    pub well_formed: bool,
}

impl<'a> Via<'a> {
    /// Reads a value; `None` when its sent-by cannot be read.
    #[must_use]
    pub fn read(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let transport = take_protocol(&mut cursor)?;
        cursor.skip_lws();
        let host = take_host(&mut cursor)?;
        let mut via = Self {
            transport,
            host,
            port: None,
            branch: None,
            received: None,
            received_whole: None,
            rport_whole: None,
            well_formed: true,
        };
        if via.read_rest(&mut cursor).is_none() {
            via = Self {
                branch: None,
                received: None,
                received_whole: None,
                rport_whole: None,
                well_formed: false,
                ..via
            };
        }
        Some(via)
    }

    fn read_rest(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        cursor.skip_lws();
        if cursor.eat(b':') {
            cursor.skip_lws();
            self.port = Some(port(cursor.take_while(|octet| octet.is_ascii_digit()))?);
        }
        while let Some(parameter) = cursor.take_parameter().ok()? {
            match parameter.name {
                name if name.eq_ignore_ascii_case(b"branch") => {
                    only_once(&mut self.branch, parameter.value?)?;
                }
                name if name.eq_ignore_ascii_case(b"received") => {
                    only_once(&mut self.received, parameter.value?)?;
                    self.received_whole = Some(parameter.whole);
                }
                name if name.eq_ignore_ascii_case(b"rport") => {
                    only_once(&mut self.rport_whole, parameter.whole)?;
                }
                _ => {}
            }
        }
        cursor.rest().is_empty().then_some(())
    }

    /// The sent-by host as an address, if it is one.
    #[must_use]
    pub fn host_address(&self) -> Option<IpAddr> {
        address(self.host)
    }

    /// The `received` value as an address, if there is one and it is readable.
    #[must_use]
    pub fn received_address(&self) -> Option<IpAddr> {
        address(self.received?)
    }
}

/// A parameter that stands twice is a fault: which of the two counts would be anybody's guess.
fn only_once<'a>(place: &mut Option<&'a [u8]>, value: &'a [u8]) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Takes `SIP/2.0/UDP` and the first white space behind it; the transport.
fn take_protocol<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    // As nearly everybody writes it.
    if let Some(after) = cursor.rest().strip_prefix(b"SIP/2.0/UDP ") {
        let transport = cursor.rest().get(8..11);
        *cursor = Cursor::new(after);
        return transport;
    }
    cursor.skip_lws();
    take_token(cursor)?;
    take_slash(cursor)?;
    take_token(cursor)?;
    take_slash(cursor)?;
    let transport = take_token(cursor)?;
    let white = cursor.peek().is_some_and(|octet| is(octet, octet::LWS));
    white.then_some(transport)
}

fn take_token<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let token = cursor.take_all(octet::TOKEN);
    (!token.is_empty()).then_some(token)
}

fn take_slash(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.skip_lws();
    if !cursor.eat(b'/') {
        return None;
    }
    cursor.skip_lws();
    Some(())
}

/// An address, IPv6 with or without brackets (RFC 5118 §4.5), IPv4-mapped ones as IPv4.
#[must_use]
pub fn address(text: &[u8]) -> Option<IpAddr> {
    if let [b'[', inside @ .., b']'] = text {
        return ipv6(inside);
    }
    if let Some(address) = ipv4(text) {
        return Some(IpAddr::V4(address));
    }
    ipv6(text)
}

fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (first, text) = ipv4_part(text)?;
    let (second, text) = ipv4_part(after_dot(text)?)?;
    let (third, text) = ipv4_part(after_dot(text)?)?;
    let (fourth, text) = ipv4_part(after_dot(text)?)?;
    text.is_empty()
        .then(|| Ipv4Addr::new(first, second, third, fourth))
}

#[inline]
fn after_dot(text: &[u8]) -> Option<&[u8]> {
    let (dot, after) = text.split_first()?;
    (*dot == b'.').then_some(after)
}

/// A part of an IPv4 address at the start of a text, and what follows its digits. As the standard library has it: "010" might
/// be octal somewhere, so it is no part here.
#[inline(always)]
fn ipv4_part(text: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |at: usize| {
        let digit = text.get(at)?.wrapping_sub(b'0');
        (digit <= 9).then_some(digit)
    };
    let first = digit(0)?;
    let Some(second) = digit(1) else {
        return Some((first, text.get(1..)?));
    };
    if first == 0 {
        return None;
    }
    let two = first.wrapping_mul(10).wrapping_add(second);
    let Some(third) = digit(2) else {
        return Some((two, text.get(2..)?));
    };
    // A fourth digit is no dot and no end.
    let part = two.checked_mul(10)?.checked_add(third)?;
    Some((part, text.get(3..)?))
}

fn ipv6(text: &[u8]) -> Option<IpAddr> {
    if !text.contains(&b':') {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn via_values_are_read() {
        let via = Via::read(b"SIP/2.0/UDP 127.0.0.1:5080;rport;branch=z9hG4bKPj1").unwrap();
        assert_eq!(
            (via.transport, via.host, via.port),
            (&b"UDP"[..], &b"127.0.0.1"[..], Some(5080))
        );
        assert_eq!(
            (via.branch, via.rport_whole),
            (Some(&b"z9hG4bKPj1"[..]), Some(&b"rport"[..]))
        );
        assert!(via.well_formed);

        let via = Via::read(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw").unwrap();
        assert_eq!(
            (via.host, via.port, via.branch),
            (&b"192.0.2.2"[..], None, Some(&b"390skdjuw"[..]))
        );

        let via = Via::read(
            b"SIP/2.0/UDP [2001:db8::9:1]:6050;received=[2001:db8::9:255];rport=77 ; branch=x",
        )
        .unwrap();
        assert_eq!((via.host, via.port), (&b"[2001:db8::9:1]"[..], Some(6050)));
        assert_eq!(via.received_address(), "2001:db8::9:255".parse().ok());
        assert_eq!(via.received_whole, Some(&b"received=[2001:db8::9:255]"[..]));
        assert_eq!(via.rport_whole, Some(&b"rport=77"[..]));

        let via =
            Via::read(b"SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3")
                .unwrap();
        assert_eq!(via.received_address(), "2001:db8::9:255".parse().ok());
    }

    #[test]
    fn a_fault_behind_the_sent_by_is_told() {
        for value in [
            "SIP/2.0/UDP 192.0.2.15;;", // RFC 4475 §3.1.2.1
            "SIP/2.0/UDP h:0",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h:5060x",
            "SIP/2.0/UDP h;rport;rport=1",
            "SIP/2.0/UDP h;branch=",
            "SIP/2.0/UDP h;branch",
            "SIP/2.0/UDP h x",
        ] {
            let via = Via::read(value.as_bytes()).unwrap_or_else(|| panic!("{value}"));
            assert!(!via.well_formed, "{value}");
        }
    }

    #[test]
    fn without_a_sent_by_there_is_no_via() {
        for value in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 h",
            "SIP/2.0/UDP ;branch=x",
            "SIP/2.0/UDP[::1]",
            "SIP/2.0/UDP [::1",
        ] {
            assert_eq!(Via::read(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1..2.3",
            "::1",
            "2001:db8::1",
            "a",
            "",
            "1",
            "::ffff:1.2.3.4x",
            ":",
            "1.2.3.4 ",
            "1.2.3.",
            ".1.2.3",
            "1.2.3.4.",
            "00.1.2.3",
            "0.0.0.00",
            "1.2.3.300",
            "1.2.3.99999999999999",
            "1.2.3.-4",
        ] {
            let wanted = text
                .parse::<IpAddr>()
                .ok()
                .map(|address| address.to_canonical());
            assert_eq!(address(text.as_bytes()), wanted, "{text}");
        }
        assert_eq!(address(b"[::ffff:192.0.2.10]"), "192.0.2.10".parse().ok()); // SIP-022
        assert_eq!(address(b"[192.0.2.10]"), None);
    }
}
