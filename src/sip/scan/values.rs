//! Values of the plain form, read from stop to stop: `SIP/2.0/UDP host:port;branch=x`, `"Bob" <sip:user@host>;tag=x`,
//! `5;d;192.0.2.1;agent;3`, digits.
//!
//! Promises: what is read here is what `Via::read`, `Address::read`, `Uri::read` and `octet::number` read in it, which the
//! tests hold against each other; white space, escapes, commas, quoted parameters, IPv6 and every other rarity are left to
//! them, and so is every fault.

use crate::sip::octet::{TOKEN, VALUE_END, is, is_token};
use crate::sip::span::Span;
use crate::sys::marks::{Marked, Stop, Stops};

/// Up to eight octets that are looked for, letters in any case: their bits, and those that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    mask: u64,
    octets: u64,
}

impl Word {
    /// Letters in any case.
    pub(super) const fn of(text: &[u8]) -> Self {
        Self::with_case(text, 0x20)
    }

    /// As it stands.
    pub(super) const fn exactly(text: &[u8]) -> Self {
        Self::with_case(text, 0)
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "evaluated by the compiler, bounded by the loop's condition"
    )]
    const fn with_case(text: &[u8], case: u8) -> Self {
        assert!(text.len() <= 8, "a word has eight octets");
        let mut word = Self { mask: 0, octets: 0 };
        let mut at = 0;
        while at < text.len() {
            let case = if text[at].is_ascii_alphabetic() {
                case
            } else {
                0
            };
            word.mask |= ((0xff ^ case) as u64) << (8 * at);
            word.octets |= ((text[at] & !case) as u64) << (8 * at);
            at += 1;
        }
        word
    }

    /// Whether these are the first of eight octets.
    #[inline(always)]
    pub(super) fn begins(self, word: u64) -> bool {
        word & self.mask == self.octets
    }
}

/// A number of up to eight digits that stand from `start` up to `end`, nothing else among them.
#[inline(always)]
pub(super) fn digits(head: &Marked<'_>, start: usize, end: usize) -> Option<u32> {
    let length = end.wrapping_sub(start);
    if length.wrapping_sub(1) >= 8 || end < 8 {
        return None;
    }
    // The last digit comes to stand in the highest octet; what is in front of the first one becomes zeros.
    let others = 64_usize.wrapping_sub(length.wrapping_mul(8));
    let word = head.word(end.wrapping_sub(8)) ^ 0x3030_3030_3030_3030;
    let digits = word >> others << others;
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let all = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    u32::try_from(all).ok()
}

/// A number of two digits before a line end, such as 70.
#[inline(always)]
pub(super) fn two_digits(head: &Marked<'_>, start: usize) -> bool {
    let word = head.word(start);
    let digits = word & 0x0f0f;
    word & 0xffff_f0f0 == 0x0a0d_3030 && digits.wrapping_add(0x0606) & 0xf0f0 == 0
}

/// The number of a port behind the `:` at `colon`, and the stop behind it.
#[inline(always)]
fn port(head: &Marked<'_>, stops: &mut Stops<'_>, colon: usize) -> Option<(u16, Stop)> {
    let stop = stops.next_stop();
    let number = digits(head, colon.wrapping_add(1), stop.0)?;
    let port = u16::try_from(number).ok().filter(|port| *port != 0)?;
    Some((port, stop))
}

/// The end of a parameter's value that begins at `start`, and whether it is of plain octets.
#[inline(always)]
fn value_end(stops: &mut Stops<'_>, start: usize) -> Option<(Stop, bool)> {
    let mut stop = stops.next_stop();
    let mut is_plain = true;
    while !is(stop.1, VALUE_END) {
        if stop.1 < b' ' {
            return None;
        }
        stop = stops.next_stop();
        is_plain = false;
    }
    (stop.0 != start).then_some((stop, is_plain))
}

/// `name` or `name=value`, by where it lies.
struct Parameter {
    start: usize,
    name_end: usize,
    /// What stands behind it.
    stop: Stop,
    /// Whether its value is of plain octets only.
    is_plain: bool,
}

impl Parameter {
    /// The parameter behind the `;` at `at`.
    fn read(stops: &mut Stops<'_>, at: usize) -> Option<Self> {
        let start = at.wrapping_add(1);
        let (name_end, octet) = stops.next_stop();
        if name_end == start {
            return None;
        }
        let mut parameter = Self {
            start,
            name_end,
            stop: (name_end, octet),
            is_plain: true,
        };
        if octet == b'=' {
            (parameter.stop, parameter.is_plain) = value_end(stops, name_end.wrapping_add(1))?;
        }
        Some(parameter)
    }

    /// Whether it has this name, up to eight octets long.
    fn is_named(&self, head: &Marked<'_>, name: &[u8]) -> bool {
        let text = head.text().get(self.start..self.name_end);
        text.is_some_and(|text| text.eq_ignore_ascii_case(name))
    }

    fn value(&self) -> Option<Span> {
        let start = self.name_end.wrapping_add(1);
        (self.stop.0 != self.name_end).then(|| Span::short(start, self.stop.0))
    }

    fn whole(&self) -> Span {
        Span::short(self.start, self.stop.0)
    }
}

/// The parts of a Via value, each where it lies. What is not there is `NOWHERE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlainVia {
    /// The value.
    pub value: Span,
    /// The sent-by host.
    pub host: Span,
    /// The sent-by port, 0 without one.
    pub port: u16,
    /// The branch.
    pub branch: Span,
    /// The value of `received`.
    pub received: Span,
    /// The whole of `received`.
    pub received_whole: Span,
    /// The whole of `rport`.
    pub rport_whole: Span,
}

/// The first Via value of a field, and the stop at its end: a line end or a comma.
#[inline(always)]
pub(super) fn via(head: &Marked<'_>, start: usize) -> Option<(PlainVia, Stop)> {
    const FIRST: Word = Word::exactly(b"SIP/2.0/");
    const SECOND: Word = Word::exactly(b"UDP ");
    const BRANCH: Word = Word::exactly(b";branch=");
    if !FIRST.begins(head.word(start)) || !SECOND.begins(head.word(start.wrapping_add(8))) {
        return None;
    }
    let host = start.wrapping_add(12);
    let mut stops = head.stops(host);
    let mut stop = stops.next_stop();
    if stop.0 == host {
        return None;
    }
    let mut via = PlainVia {
        host: Span::short(host, stop.0),
        ..PlainVia::default()
    };
    if stop.1 == b':' {
        (via.port, stop) = port(head, &mut stops, stop.0)?;
    }
    // As most PBXs write it: the branch first.
    if BRANCH.begins(head.word(stop.0)) {
        let value = stop.0.wrapping_add(8);
        stops = head.stops(value);
        (stop, _) = value_end(&mut stops, value)?;
        via.branch = Span::short(value, stop.0);
    }
    if stop.1 == b';' {
        stop = via_parameters(head, stops, stop, &mut via)?;
    }
    via.value = Span::short(start, stop.0);
    matches!(stop.1, b'\r' | b',').then_some((via, stop))
}

/// The parameters of a Via from the `;` on.
fn via_parameters(
    head: &Marked<'_>,
    mut stops: Stops<'_>,
    mut stop: Stop,
    via: &mut PlainVia,
) -> Option<Stop> {
    while stop.1 == b';' {
        let parameter = Parameter::read(&mut stops, stop.0)?;
        if parameter.is_named(head, b"branch") {
            put(&mut via.branch, parameter.value()?)?;
        } else if parameter.is_named(head, b"rport") {
            put(&mut via.rport_whole, parameter.whole())?;
        } else if parameter.is_named(head, b"received") {
            put(&mut via.received, parameter.value()?)?;
            via.received_whole = parameter.whole();
        }
        stop = parameter.stop;
    }
    Some(stop)
}

/// What stands twice is not plain.
fn put(place: &mut Span, value: Span) -> Option<()> {
    let first = place.is_empty();
    *place = value;
    first.then_some(())
}

/// Where user and host of a `sip:` URI lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlainUri {
    /// What stands before the `@`.
    pub user_part: Span,
    /// The user part without a password.
    pub user: Span,
    /// The host.
    pub host: Span,
}

/// What follows `sip:` in a URI, from `start` on; with the place of the octet that ends it, `ends`.
#[inline(always)]
fn sip_uri(
    head: &Marked<'_>,
    stops: &mut Stops<'_>,
    start: usize,
    ends: u8,
) -> Option<(PlainUri, usize)> {
    let (mut at, mut octet) = stops.next_stop();
    let mut user_end = 0;
    while octet != b'@' {
        if octet == ends || octet <= b' ' {
            return None;
        }
        if octet == b':' && user_end == 0 {
            user_end = at;
        }
        (at, octet) = stops.next_stop();
    }
    if user_end == 0 {
        user_end = at;
    }
    let host = at.wrapping_add(1);
    let mut stop = stops.next_stop();
    let host_end = stop.0;
    if host_end == host {
        return None;
    }
    if stop.1 != ends {
        stop = sip_uri_tail(head, stops, stop, ends)?;
    }
    let uri = PlainUri {
        user_part: Span::short(start, at),
        user: Span::short(start, user_end),
        host: Span::short(host, host_end),
    };
    Some((uri, stop.0))
}

/// The port and the parameters of a URI, up to the octet that ends it.
fn sip_uri_tail(
    head: &Marked<'_>,
    stops: &mut Stops<'_>,
    mut stop: Stop,
    ends: u8,
) -> Option<Stop> {
    if stop.1 == b':' {
        (_, stop) = port(head, stops, stop.0)?;
    }
    if stop.1 == b';' {
        while stop.1 != ends {
            stop = stops.next_stop();
            if stop.1 == b'?' || stop.1 <= b' ' && stop.1 != ends {
                return None;
            }
        }
    }
    (stop.1 == ends).then_some(stop)
}

/// The Request-URI that begins at `start`, and where the SP behind it stands.
#[inline(always)]
pub(super) fn request_uri(head: &Marked<'_>, start: usize) -> Option<(PlainUri, usize)> {
    const SCHEME: Word = Word::of(b"sip:");
    if !SCHEME.begins(head.word(start)) {
        return None;
    }
    let user = start.wrapping_add(4);
    sip_uri(head, &mut head.stops(user), user, b' ')
}

/// Goes past a display name, to the `<` behind it; gives its place.
fn display_name_end(head: &Marked<'_>, start: usize) -> Option<usize> {
    let mut stops = head.stops(start);
    let (mut at, mut octet) = stops.next_stop();
    if (at, octet) == (start, b'"') {
        // A quoted one, without escapes.
        (at, octet) = stops.next_stop();
        while octet != b'"' {
            if octet == b'\\' || octet < b' ' {
                return None;
            }
            (at, octet) = stops.next_stop();
        }
        let behind = at.wrapping_add(1);
        let blanks = usize::from(head.octet(behind) == b' ');
        return Some(behind.wrapping_add(blanks));
    }
    // One of tokens and of what is no ASCII. Blanks in front of it are not the value's.
    if (at, octet) == (start, b' ') {
        return None;
    }
    while octet != b'<' {
        if octet != b' ' && octet < 0x80 && !is(octet, TOKEN) {
            return None;
        }
        (at, octet) = stops.next_stop();
    }
    Some(at)
}

/// The value of a From or To that begins at `start`: its URI, its tag, and where it ends, at a line end.
#[inline(always)]
pub(super) fn address(head: &Marked<'_>, start: usize) -> Option<(PlainUri, Span, usize)> {
    const OPENING: Word = Word::of(b"<sip:");
    const TAG: Word = Word::of(b";tag=");
    let mut bracket = start;
    if !OPENING.begins(head.word(start)) {
        bracket = display_name_end(head, start)?;
        if !OPENING.begins(head.word(bracket)) {
            return None;
        }
    }
    let user = bracket.wrapping_add(5);
    let mut stops = head.stops(user);
    let (uri, closed) = sip_uri(head, &mut stops, user, b'>')?;
    let behind = closed.wrapping_add(1);
    let mut tag = Span::NOWHERE;
    let mut stop;
    if TAG.begins(head.word(behind)) {
        let value = behind.wrapping_add(5);
        stops = head.stops(value);
        let is_plain;
        (stop, is_plain) = value_end(&mut stops, value)?;
        tag = Span::short(value, stop.0);
        if !is_plain && !is_token(tag.within(head.text())) {
            return None;
        }
    } else {
        stop = stops.next_stop();
        if stop.0 != behind {
            return None;
        }
    }
    if stop.1 == b';' {
        stop = address_parameters(head, stops, stop, &mut tag)?;
    }
    (stop.1 == b'\r').then_some((uri, tag, stop.0))
}

/// The parameters of a From or To from the `;` on.
fn address_parameters(
    head: &Marked<'_>,
    mut stops: Stops<'_>,
    mut stop: Stop,
    tag: &mut Span,
) -> Option<Stop> {
    while stop.1 == b';' {
        let parameter = Parameter::read(&mut stops, stop.0)?;
        if parameter.is_named(head, b"tag") {
            put(tag, parameter.value()?)?;
            if !parameter.is_plain && !is_token(tag.within(head.text())) {
                return None;
            }
        }
        stop = parameter.stop;
    }
    Some(stop)
}

/// The five fields of a value that begins at `start`, divided by `;`, and where it ends, at a line end.
#[inline(always)]
pub(super) fn five_fields(head: &Marked<'_>, start: usize) -> Option<([Span; 5], usize)> {
    let mut stops = head.stops(start);
    let mut fields = [Span::NOWHERE; 5];
    let mut from = start;
    let mut count = 0_usize;
    loop {
        let (at, octet) = stops.next_stop();
        if octet == b';' {
            *fields.get_mut(count)? = Span::short(from, at);
            from = at.wrapping_add(1);
            count = count.wrapping_add(1);
        } else if octet < b' ' {
            *fields.get_mut(4)? = Span::short(from, at);
            return (octet == b'\r' && count == 4).then_some((fields, at));
        }
    }
}

/// The first octet up to and with SP from `start` on.
#[inline(always)]
pub(super) fn blank(head: &Marked<'_>, start: usize) -> Stop {
    let mut stops = head.stops(start);
    loop {
        let stop = stops.next_stop();
        if stop.1 <= b' ' {
            return stop;
        }
    }
}
