//! Writes a response into a given buffer: fixed templates, and octets of the request.
//!
//! Promises: nothing is written behind the buffer's end, and a response that did not fit is told as such; nothing
//! from the request is written but whole values, the way they came.
//! Leaves to `uas`: which fields stand in which response.

use super::block;
use super::octet::{Cursor, USER, is};
use super::span::Span;
use super::status::{Phrase, Status};
use std::fmt::{self, Write as _};
use std::mem;
use std::net::IpAddr;

/// Octets that are copied at once.
const COPY_BLOCK: usize = 32;

/// A response being written.
#[derive(Debug)]
pub struct Writer<'o> {
    /// What is left of the buffer. Cut off at the front, so that every part is checked by one comparison.
    rest: &'o mut [u8],
    /// The whole buffer's length.
    room: usize,
    overflown: bool,
}

/// What an answer changes in the top Via (RFC 3261 §18.2.1, RFC 3581 §4).
#[derive(Debug, Clone, Copy)]
pub struct ViaChanges {
    /// The top value inside its field.
    pub value: Span,
    /// The `received` parameter to replace.
    pub received_whole: Option<Span>,
    /// The `rport` parameter to replace.
    pub rport_whole: Option<Span>,
    /// What `received` is to say; `None` leaves it away if it is not there.
    pub received: Option<IpAddr>,
    /// What `rport` is to say, where it stands.
    pub rport: u16,
}

impl<'o> Writer<'o> {
    /// At the start of a buffer.
    #[must_use]
    pub fn new(out: &'o mut [u8]) -> Self {
        Self {
            room: out.len(),
            rest: out,
            overflown: false,
        }
    }

    /// Octets written; `None` when the buffer was too small.
    #[must_use]
    pub fn finish(self) -> Option<usize> {
        (!self.overflown).then_some(self.room.saturating_sub(self.rest.len()))
    }

    /// Writes octets.
    #[inline]
    pub fn put(&mut self, octets: &[u8]) {
        match mem::take(&mut self.rest).split_at_mut_checked(octets.len()) {
            Some((place, rest)) => {
                place.copy_from_slice(octets);
                self.rest = rest;
            }
            None => self.overflown = true,
        }
    }

    /// Copies a part of the request in whole blocks, up to one less than a block more than asked for: what comes next is
    /// written over it. Values are of any length, and a call of the general copy for each took 40 instructions more.
    #[inline]
    pub fn copy(&mut self, request: &[u8], part: Span) {
        let length = part.len();
        // At most 65,535 octets.
        let whole = length.wrapping_add(COPY_BLOCK - 1) & !(COPY_BLOCK - 1);
        let from = request.get(part.start()..part.start().wrapping_add(whole));
        let (Some(from), true) = (from, whole <= self.rest.len()) else {
            // At the end of either.
            return self.put(part.within(request));
        };
        let (from, _) = from.as_chunks::<COPY_BLOCK>();
        let (to, _) = self.rest.as_chunks_mut::<COPY_BLOCK>();
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
        self.rest = mem::take(&mut self.rest)
            .get_mut(length..)
            .unwrap_or_default();
    }

    /// `SIP/2.0 302 Moved Temporarily`, without a line end: every field begins with one.
    #[inline]
    pub fn status_line(&mut self, status: Status, phrase: Phrase) {
        // What an INVITE gets as a rule, in one piece.
        match (status.0, phrase) {
            (302, Phrase::Standard) => self.put(b"SIP/2.0 302 Moved Temporarily"),
            (503, Phrase::Standard) => self.put(b"SIP/2.0 503 Service Unavailable"),
            (603, Phrase::Standard) => self.put(b"SIP/2.0 603 Decline"),
            _ => self.other_status_line(status, phrase),
        }
    }

    fn other_status_line(&mut self, status: Status, phrase: Phrase) {
        self.put(b"SIP/2.0 ");
        self.decimal(u32::from(status.0));
        self.put(b" ");
        self.put(phrase.text(status).as_bytes());
    }

    /// A value as it came, folds included; of an unclean head with blanks for its CR and LF.
    #[inline]
    pub fn value(&mut self, request: &[u8], value: Span, clean: bool) {
        if clean {
            self.copy(request, value);
        } else {
            self.unclean(value.within(request));
        }
    }

    fn unclean(&mut self, value: &[u8]) {
        for piece in value.split_inclusive(|octet| matches!(octet, b'\r' | b'\n')) {
            match piece {
                [text @ .., b'\r' | b'\n'] => {
                    self.put(text);
                    self.put(b" ");
                }
                text => self.put(text),
            }
        }
    }

    /// The value of the first Via field, changed in its top value. The parts that are replaced lie in that.
    pub fn changed_via(&mut self, request: &[u8], field: Span, changes: &ViaChanges, clean: bool) {
        let mut at = field.start();
        let parts = [changes.received_whole, changes.rport_whole];
        let received_first = match parts {
            [Some(received), Some(rport)] => received.start() < rport.start(),
            _ => true,
        };
        for is_received in [received_first, !received_first] {
            let [received, rport] = parts;
            let Some(whole) = (if is_received { received } else { rport }) else {
                continue;
            };
            self.value(request, Span::new(at, whole.start()), clean);
            at = whole.end();
            if is_received {
                self.put(b"received=");
                self.received(changes);
            } else {
                self.put(b"rport=");
                self.decimal(u32::from(changes.rport));
            }
        }
        let end = changes.value.end();
        self.value(request, Span::new(at, end), clean);
        if changes.received_whole.is_none() && changes.received.is_some() {
            self.put(b";received=");
            self.received(changes);
        }
        self.value(request, Span::new(end, field.end()), clean);
    }

    fn received(&mut self, changes: &ViaChanges) {
        if let Some(address) = changes.received {
            self.address(address);
        }
    }

    /// A number.
    pub fn decimal(&mut self, number: u32) {
        let mut digits = [b'0'; 10];
        let mut rest = number;
        let mut from = digits.len();
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            from = at;
            *digit = b'0' | u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.put(digits.get(from..).unwrap_or_default());
    }

    /// An address, IPv6 without brackets (SIP-021).
    pub fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                let mut text = [b'.'; 16];
                let mut length = 0_usize;
                for octet in address.octets() {
                    let (digits, count) = decimal_of(octet);
                    if let Some(place) = text
                        .get_mut(length..)
                        .and_then(|rest| rest.first_chunk_mut())
                    {
                        *place = digits;
                    }
                    length = length.saturating_add(count).saturating_add(1);
                }
                self.put(text.get(..length.saturating_sub(1)).unwrap_or_default());
            }
            // Formatting an address writes piece by piece and allocates nothing; a full buffer is told by `finish`.
            IpAddr::V6(address) => {
                self.overflown |= write!(self, "{address}").is_err();
            }
        }
    }

    /// An address where a URI wants a host: IPv6 in brackets.
    pub fn host_address(&mut self, address: IpAddr) {
        if address.is_ipv4() {
            self.address(address);
            return;
        }
        self.put(b"[");
        self.address(address);
        self.put(b"]");
    }

    /// Sixteen hexadecimal digits.
    pub fn hexadecimal(&mut self, word: u64) {
        let digits = spread(word.wrapping_shr(32)) << 64 | spread(word & 0xffff_ffff);
        self.put(&digits.to_be_bytes());
    }

    /// A user part: what may not stand in one is escaped, escapes stay as they are (RFC 3261 §25.1).
    pub fn user(&mut self, user: &[u8]) {
        if user.iter().all(|octet| is(*octet, USER)) {
            self.put(user);
            return;
        }
        let mut rest = user;
        while let [octet, after @ ..] = rest {
            if *octet == b'%' && is_escape(rest) {
                self.put(rest.get(..3).unwrap_or_default());
                rest = rest.get(3..).unwrap_or_default();
                continue;
            }
            if is(*octet, USER) {
                self.put(&[*octet]);
            } else {
                self.put(&[
                    b'%',
                    hexadecimal_digit(octet >> 4).to_ascii_uppercase(),
                    hexadecimal_digit(octet & 0x0f).to_ascii_uppercase(),
                ]);
            }
            rest = after;
        }
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// The digits of an octet with dots behind them, and how many they are.
fn decimal_of(octet: u8) -> ([u8; 4], usize) {
    let digit = |number: u8| b'0' | (number % 10);
    let (hundreds, tens, ones) = (digit(octet / 100), digit(octet / 10), digit(octet));
    match octet {
        0..=9 => ([ones, b'.', b'.', b'.'], 1),
        10..=99 => ([tens, ones, b'.', b'.'], 2),
        100..=255 => ([hundreds, tens, ones, b'.'], 3),
    }
}

/// Octets that `Writer::user` writes for this user part.
#[must_use]
pub fn user_length(user: &[u8]) -> usize {
    let mut cursor = Cursor::new(user);
    let mut length = cursor.take_all(USER).len();
    let mut rest = cursor.rest();
    while let [octet, after @ ..] = rest {
        let (more, next) = if *octet == b'%' && is_escape(rest) {
            (3, rest.get(3..).unwrap_or_default())
        } else if is(*octet, USER) {
            (1, after)
        } else {
            (3, after)
        };
        length = length.saturating_add(more);
        rest = next;
    }
    length
}

fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// The digits of the low 32 bits, eight octets at once: 156 instructions a tag in a loop, 40 so.
fn spread(half: u64) -> u128 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = (half | half << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (word | word << 4) & (ONES.wrapping_mul(0x0f));
    // Bit 4 of nibble + 6 tells a letter.
    let letters = nibbles.wrapping_add(ONES.wrapping_mul(6)) >> 4 & ONES;
    let digits = nibbles
        .wrapping_add(ONES.wrapping_mul(u64::from(b'0')))
        .wrapping_add(letters.wrapping_mul(u64::from(b'a' - b'9' - 1)));
    u128::from(digits)
}

fn hexadecimal_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' | nibble,
        _ => b'a'.saturating_add(nibble.saturating_sub(10)),
    }
}

/// What a Contact's user is made from: the user part up to its first `;` or `:`. And whether that is all of it, and all of
/// it may stand in a user part as it is.
#[must_use]
#[inline]
pub fn contact_user(user_part: &[u8]) -> (&[u8], bool) {
    // As a rule it is "+" and digits to the end.
    let plain = user_part.strip_prefix(b"+").unwrap_or(user_part);
    if block::plain_run(plain) == plain.len() {
        return (user_part, true);
    }
    let ends = |octet: &u8| matches!(octet, b';' | b':');
    let end = user_part.iter().position(ends);
    let user = end.and_then(|end| user_part.get(..end));
    (user.unwrap_or(user_part), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::octet::{self, split_list};
    use crate::sip::via::Via;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = [0_u8; 512];
        let mut writer = Writer::new(&mut out);
        write(&mut writer);
        let length = writer.finish().expect("it fits");
        String::from_utf8_lossy(&out[..length]).into_owned()
    }

    fn via(field: &str, received: Option<&str>) -> String {
        let request = field.as_bytes();
        let value = octet::trim(split_list(request).0);
        let via = Via::read(value).expect("a Via");
        let span = |part: &[u8]| Span::of(part, request);
        written(|writer| {
            writer.changed_via(
                request,
                span(request),
                &ViaChanges {
                    value: span(value),
                    received_whole: via.received_whole.map(span),
                    rport_whole: via.rport_whole.map(span),
                    received: received.map(|text| text.parse().expect("an address")),
                    rport: 4711,
                },
                true,
            );
        })
    }

    #[test]
    fn only_the_top_via_gets_received_and_rport() {
        let source = Some("10.0.0.1");
        for (field, received, wanted) in [
            ("SIP/2.0/UDP h;branch=x", None, "SIP/2.0/UDP h;branch=x"),
            (
                "SIP/2.0/UDP h;branch=x",
                source,
                "SIP/2.0/UDP h;branch=x;received=10.0.0.1",
            ),
            (
                "SIP/2.0/UDP h;rport;branch=x",
                source,
                "SIP/2.0/UDP h;rport=4711;branch=x;received=10.0.0.1",
            ),
            (
                "SIP/2.0/UDP h;received=9.9.9.9;rport=77",
                source,
                "SIP/2.0/UDP h;received=10.0.0.1;rport=4711",
            ),
            (
                "SIP/2.0/UDP h;rport = 77;a;received=9.9.9.9;b",
                source,
                "SIP/2.0/UDP h;rport=4711;a;received=10.0.0.1;b",
            ),
            (
                "SIP/2.0/UDP h , SIP/2.0/UDP i;rport",
                source,
                "SIP/2.0/UDP h;received=10.0.0.1 , SIP/2.0/UDP i;rport",
            ),
            (
                "SIP/2.0/UDP h;received=1.1.1.1 , SIP/2.0/UDP i",
                Some("::1"),
                "SIP/2.0/UDP h;received=::1 , SIP/2.0/UDP i",
            ),
        ] {
            assert_eq!(via(field, received), wanted, "{field}");
        }
    }

    #[test]
    fn user_parts_are_escaped_once() {
        for (user, wanted) in [
            ("+39069876543", "+39069876543"),
            ("0114420%2371838750%20x", "0114420%2371838750%20x"),
            ("a#b", "a%23b"),
            ("%", "%25"),
            ("%zz", "%25zz"),
            ("a>b \"", "a%3Eb%20%22"),
            ("\u{e9}\u{7}", "%C3%A9%07"),
        ] {
            assert_eq!(written(|writer| writer.user(user.as_bytes())), wanted);
            assert_eq!(user_length(user.as_bytes()), wanted.len());
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for (number, wanted) in [
            (0, "0"),
            (7, "7"),
            (10, "10"),
            (65535, "65535"),
            (u32::MAX, "4294967295"),
        ] {
            assert_eq!(written(|writer| writer.decimal(number)), wanted);
        }
        assert_eq!(
            written(|writer| writer.hexadecimal(0x0123_4567_89ab_cdef)),
            "0123456789abcdef"
        );
        for octets in [[192, 0, 2, 1], [0; 4], [255; 4], [10, 99, 100, 9]] {
            let address = std::net::Ipv4Addr::from(octets);
            assert_eq!(
                written(|writer| writer.address(address.into())),
                address.to_string()
            );
        }
        assert_eq!(
            written(|writer| writer.host_address("2001:db8::1".parse().unwrap())),
            "[2001:db8::1]"
        );
    }

    #[test]
    fn a_part_is_copied_alone_wherever_it_lies() {
        let request: Vec<u8> = (0..200).collect();
        for start in [0, 1, 100, 167, 168, 169, 199, 200] {
            for end in start..=200 {
                for room in [0, 31, 32, 64, 100, 300] {
                    let mut out = vec![255_u8; room];
                    let mut writer = Writer::new(&mut out);
                    writer.copy(&request, Span::new(start, end));
                    writer.put(b"!");
                    let length = writer.finish();
                    let wanted = end - start + 1;
                    assert_eq!(length, (wanted <= room).then_some(wanted));
                    if let Some(length) = length {
                        assert_eq!(out[..length - 1], request[start..end]);
                        assert_eq!(out[length - 1], b'!');
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let mut out = [0_u8; 4];
        let mut writer = Writer::new(&mut out);
        writer.put(b"12345");
        assert_eq!(writer.finish(), None);
    }

    #[test]
    fn line_ends_of_an_unclean_head_become_blanks() {
        assert_eq!(
            written(|writer| writer.value(b"a\n b\r\n c\rd", Span::new(0, 10), false)),
            "a  b   c d"
        );
    }
}
