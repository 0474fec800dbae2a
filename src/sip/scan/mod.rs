//! One pass over a datagram: finds the start line and the header fields, copies nothing.
//!
//! Promises: every span lies inside the datagram; at most `HEADERS_MAX` fields and `VIAS_MAX` Vias are kept, and the
//! rest of the head is still walked; time linear in the head's length; the body is never looked at. What is found
//! before a fault stays, so that an answer can be built (RFC 3261 §21.4.1).
//! Leaves to `uas`: whether the request makes sense. Grammar: RFC 3261 §7 and §25.1.
//!
//! Line ends: CRLF only. A bare LF ends a line too, a bare CR does not, and either is a fault: an answer says 400 and
//! carries a blank in their place. A caller who smuggles a line end through his PBX gains no header field by it.

mod lines;
mod plain;
mod values;

use self::lines::{Line, Lines};
pub use self::plain::Parts;
pub use self::values::{PlainUri, PlainVia};
use super::block;
use super::header::{Header, SINGLE_HEADERS};
use super::method::Method;
use super::octet::{self, Cursor, is, is_token, split_list, split_once};
use super::span::Span;
use super::status::Phrase;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, VIAS_MAX};

/// What a datagram is, by its first octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, line ends, blanks or NULs (RFC 5626 §4.4.1, and what proxies send to keep a binding open).
    KeepAlive,
    /// A start line that begins with `SIP/`.
    Response,
    /// Anything else.
    Request,
}

/// What is wrong with the framing: the first fault of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 400, with the phrase that names it.
    Syntax(Phrase),
    /// 513: the head, its fields or its Vias are beyond the limits.
    TooLarge,
}

/// The version of the request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// `SIP/2.0`, in any case (RFC 3261 §7.1).
    #[default]
    Two,
    /// Another number: 505.
    Other,
}

/// Where the parts of one head lie. Holds no borrow, so it is made once and filled again for every datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    method: Method,
    method_name: Span,
    uri: Span,
    version: Version,
    fields: [Span; SINGLE_HEADERS],
    seen: u32,
    repeated: u32,
    differing: u32,
    vias: [Span; VIAS_MAX],
    via_fields: usize,
    via_values: usize,
    header_start: usize,
    body_start: Option<usize>,
    fault: Option<Fault>,
    clean: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout {
    /// An empty layout.
    #[must_use]
    pub const fn new() -> Self {
        const NOWHERE: Span = Span::NOWHERE;
        Self {
            method: Method::Unknown,
            method_name: NOWHERE,
            uri: NOWHERE,
            version: Version::Two,
            fields: [NOWHERE; SINGLE_HEADERS],
            seen: 0,
            repeated: 0,
            differing: 0,
            vias: [NOWHERE; VIAS_MAX],
            via_fields: 0,
            via_values: 0,
            header_start: 0,
            body_start: None,
            fault: None,
            clean: true,
        }
    }

    /// Reads a head. `cut` says that the datagram was longer than `bytes`.
    pub fn scan(&mut self, bytes: &[u8], cut: bool) -> Kind {
        self.scan_parts(bytes, cut, &mut Parts::default())
    }

    /// The same, and the parts of what has the plain form.
    #[inline]
    pub fn scan_parts(&mut self, bytes: &[u8], cut: bool, parts: &mut Parts) -> Kind {
        if self.read_plain(bytes, parts) {
            return Kind::Request;
        }
        *parts = Parts::default();
        self.scan_any(bytes, cut)
    }

    /// Forgets the header fields of the last head.
    #[inline(always)]
    fn clear(&mut self) {
        self.seen = 0;
        self.repeated = 0;
        self.differing = 0;
        self.via_fields = 0;
        self.via_values = 0;
        self.body_start = None;
        self.fault = None;
        self.clean = true;
    }

    /// Reads any head.
    fn scan_any(&mut self, bytes: &[u8], cut: bool) -> Kind {
        self.method = Method::Unknown;
        self.method_name = Span::default();
        self.uri = Span::default();
        self.version = Version::Two;
        self.header_start = 0;
        self.clear();

        // RFC 3261 §7.5: line ends before the start line are ignored.
        let start = bytes
            .iter()
            .position(|&octet| !matches!(octet, b'\r' | b'\n'))
            .unwrap_or(bytes.len());
        let from_start = bytes.get(start..).unwrap_or_default();
        if from_start
            .iter()
            .all(|&octet| is(octet, octet::LWS) || octet == 0)
        {
            return Kind::KeepAlive;
        }
        // With blanks before it a start line is broken, but a response all the same: nobody must answer it.
        if let Some(word) = octet::trim(from_start).get(..4)
            && word.eq_ignore_ascii_case(b"SIP/")
        {
            return Kind::Response;
        }
        let head = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
        let longer = cut || head.len() < bytes.len();
        self.read_head(head, start, longer);
        Kind::Request
    }

    fn read_head(&mut self, head: &[u8], start: usize, longer: bool) {
        let mut lines = Lines::new(head, start);
        let Some(line) = lines.next() else {
            self.read_request_line(head, start, head.len());
            self.refuse(unended(longer));
            return;
        };
        self.read_request_line(head, start, line.end);
        self.header_start = line.next;
        self.see_line_end(&line);
        let mut count = 0_usize;
        loop {
            let Some(line) = lines.next() else {
                self.refuse(unended(longer));
                break;
            };
            self.see_line_end(&line);
            if line.end == line.start {
                self.body_start = Some(line.next);
                break;
            }
            count = count.saturating_add(1);
            if count > HEADERS_MAX {
                self.refuse(Fault::TooLarge);
            }
            // Beyond the limit too: its 513 is matched to the request by the fields that it copies (RFC 3261 §8.2.6.2).
            self.read_field(head, line.start, line.end);
        }
        if lines.passed_bare_cr() {
            self.clean = false;
            self.refuse(Fault::Syntax(Phrase::BadHeaderLine));
        }
    }

    /// Keeps the first fault.
    fn refuse(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    #[inline]
    fn see_line_end(&mut self, line: &Line) {
        if !line.crlf {
            self.clean = false;
            self.refuse(Fault::Syntax(Phrase::BadHeaderLine));
        }
    }

    /// RFC 3261 §7.1: `Method SP Request-URI SP SIP-Version`, one SP each and no other white space.
    fn read_request_line(&mut self, head: &[u8], start: usize, end: usize) {
        let line = head.get(start..end).unwrap_or_default();
        let parts = split_once(line, b' ')
            .and_then(|(method, rest)| {
                // Most URIs end at the first blank, which is an SP; if not, the SP is looked for.
                let at = block::find_blank(rest)?;
                let (uri, after) = rest.split_at_checked(at)?;
                match after {
                    [b' ', version @ ..] => Some((method, (uri, version))),
                    _ => Some((method, split_once(rest, b' ')?)),
                }
            })
            .filter(|(method, (uri, _))| {
                (Method::of(method) != Method::Unknown || is_token(method))
                    && !uri.is_empty()
                    && !octet::has_lws(uri)
            });
        let Some((method, (uri, version))) = parts else {
            // The method is still told: an ACK is never answered, and an INVITE's error is worn by its profile. Lines of
            // blanks before it hide it as little as they hide a response.
            let mut cursor = Cursor::new(head.get(start..).unwrap_or_default());
            cursor.skip_lws();
            self.method = Method::of(cursor.take_all(octet::TOKEN));
            self.refuse(Fault::Syntax(Phrase::BadRequestLine));
            return;
        };
        self.method = Method::of(method);
        self.method_name = Span::of(method, head);
        self.uri = Span::of(uri, head);
        match version_of(version) {
            Some(version) => self.version = version,
            None => self.refuse(Fault::Syntax(Phrase::BadRequestLine)),
        }
    }

    #[inline]
    fn read_field(&mut self, head: &[u8], start: usize, end: usize) {
        let Some((header, value)) = read_name(head.get(start..end).unwrap_or_default()) else {
            self.refuse(Fault::Syntax(Phrase::BadHeaderLine));
            return;
        };
        if let Some(header) = header {
            self.keep_value(head, header, octet::trim(value));
        }
    }

    /// Keeps the value of a field.
    fn keep_value(&mut self, head: &[u8], header: Header, value: &[u8]) {
        if header == Header::Via {
            self.keep_via(head, value);
            return;
        }
        let Some(kept) = self.fields.get_mut(header as usize) else {
            return;
        };
        let bit = header.bit();
        if self.seen & bit == 0 {
            self.seen |= bit;
            *kept = Span::of(value, head);
            return;
        }
        self.see_again(header, value, head);
    }

    /// A field of a header that was there already.
    #[cold]
    fn see_again(&mut self, header: Header, value: &[u8], head: &[u8]) {
        let bit = header.bit();
        self.repeated |= bit;
        let kept = self.fields.get(header as usize);
        if kept.is_some_and(|kept| kept.within(head) != value) {
            self.differing |= bit;
        }
    }

    fn keep_via(&mut self, head: &[u8], value: &[u8]) {
        match self.vias.get_mut(self.via_fields) {
            Some(kept) => *kept = Span::of(value, head),
            None => self.refuse(Fault::TooLarge),
        }
        self.via_fields = self.via_fields.saturating_add(1);
        let mut rest = Some(value);
        while let Some(list) = rest {
            self.via_values = self.via_values.saturating_add(1);
            rest = split_list(list).1;
        }
        if self.via_values > VIAS_MAX {
            self.refuse(Fault::TooLarge);
        }
    }
}

/// The header that a line names and what follows its colon; `None` when it names none.
fn read_name(line: &[u8]) -> Option<(Option<Header>, &[u8])> {
    let mut cursor = Cursor::new(line);
    let name = cursor.take_all(octet::TOKEN);
    // RFC 3261 §7.3.1: only SP and HTAB may stand before the colon.
    while cursor.eat(b' ') || cursor.eat(b'\t') {}
    if name.is_empty() || !cursor.eat(b':') {
        return None;
    }
    Some((Header::of(name), cursor.rest()))
}

fn unended(longer: bool) -> Fault {
    if longer {
        return Fault::TooLarge;
    }
    // No blank line, and nothing more to come: the last header line is not one.
    Fault::Syntax(Phrase::BadHeaderLine)
}

fn version_of(text: &[u8]) -> Option<Version> {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Some(Version::Two);
    }
    let (name, number) = split_once(text, b'/')?;
    let (major, minor) = split_once(number, b'.')?;
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    (name.eq_ignore_ascii_case(b"SIP") && digits(major) && digits(minor)).then_some(Version::Other)
}

/// A head and the datagram that it lies in.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    bytes: &'a [u8],
    layout: &'a Layout,
}

impl<'a> Request<'a> {
    /// The view of a scanned datagram. `bytes` must be those that `layout` was filled from.
    #[must_use]
    pub fn new(bytes: &'a [u8], layout: &'a Layout) -> Self {
        Self { bytes, layout }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.layout.method
    }

    /// The method's octets.
    #[must_use]
    pub fn method_name(&self) -> &'a [u8] {
        self.layout.method_name.within(self.bytes)
    }

    /// The Request-URI's octets; empty when the request line has none.
    #[must_use]
    pub fn uri(&self) -> &'a [u8] {
        self.layout.uri.within(self.bytes)
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.layout.version
    }

    /// The first fault of the framing.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.layout.fault
    }

    /// Whether all line ends are CRLF. If not, a copied value may hold a CR or LF that no fold follows.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.layout.clean
    }

    /// The header's first value, without white space around it; `None` when absent. Not for `Via`.
    #[must_use]
    #[inline]
    pub fn value(&self, header: Header) -> Option<&'a [u8]> {
        if self.layout.seen & header.bit() == 0 {
            return None;
        }
        let span = self.layout.fields.get(header as usize)?;
        Some(span.within(self.bytes))
    }

    /// Where that value lies.
    #[must_use]
    #[inline]
    pub fn place(&self, header: Header) -> Option<Span> {
        if self.layout.seen & header.bit() == 0 {
            return None;
        }
        self.layout.fields.get(header as usize).copied()
    }

    /// Where the values of the Via fields lie, in order.
    #[must_use]
    #[inline]
    pub fn via_places(&self) -> &'a [Span] {
        let kept = self.layout.via_fields.min(VIAS_MAX);
        self.layout.vias.get(..kept).unwrap_or_default()
    }

    /// Whether the header is there at all. Not for `Via`.
    #[must_use]
    pub fn has(&self, header: Header) -> bool {
        self.layout.seen & header.bit() != 0
    }

    /// Whether the header has more than one field. Not for `Via`.
    #[must_use]
    pub fn repeated(&self, header: Header) -> bool {
        self.layout.repeated & header.bit() != 0
    }

    /// Whether any header has more than one field. Not for `Via`.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.layout.repeated != 0
    }

    /// Whether there are Via values below the top one.
    #[must_use]
    pub fn has_more_vias(&self) -> bool {
        self.layout.via_values > 1
    }

    /// Whether the header has fields of different values. Not for `Via`.
    #[must_use]
    pub fn differing(&self, header: Header) -> bool {
        self.layout.differing & header.bit() != 0
    }

    /// The values of the Via fields in order; one may hold several, separated by commas. At most `VIAS_MAX`.
    pub fn via_fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let places = self.via_places().iter();
        places.map(move |via| via.within(bytes))
    }

    /// Whether there are more Via fields than were kept: then only `fields` knows them all.
    #[must_use]
    pub fn lost_vias(&self) -> bool {
        matches!(self.layout.fault, Some(Fault::TooLarge))
    }

    /// The first value of the first Via field.
    #[must_use]
    pub fn top_via(&self) -> Option<&'a [u8]> {
        self.via_fields().next().map(|field| split_list(field).0)
    }

    /// The value below the top one.
    #[must_use]
    pub fn second_via(&self) -> Option<&'a [u8]> {
        let mut fields = self.via_fields();
        match split_list(fields.next()?).1 {
            Some(rest) => Some(split_list(rest).0),
            None => fields.next().map(|field| split_list(field).0),
        }
    }

    /// Offset of the body's first octet; `None` when the blank line was not seen.
    #[must_use]
    pub fn body_start(&self) -> Option<usize> {
        self.layout.body_start
    }

    /// All header fields with their names, walked again: for what is rarely wanted.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        let head = self.bytes.get(..HEAD_BYTES_MAX).unwrap_or(self.bytes);
        Fields {
            lines: Lines::new(head, self.layout.header_start),
        }
    }
}

/// The header fields of a head in order: name and value, white space around both taken off.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    lines: Lines<'a>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.lines.next()?;
            if line.end == line.start {
                return None;
            }
            let text = self.lines.head().get(line.start..line.end)?;
            if let Some((name, value)) = split_once(text, b':') {
                return Some((octet::trim(name), octet::trim(value)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
