//! A head of the plain form: every line ends with CR LF, no other control, nothing folded, each name directly before its
//! colon. Nearly every head is; any other is given up half-read and read by `Layout::read_head`.
//!
//! Promises: the layout of a plain head is the one that `read_head` makes, and the parts are those that the complete
//! readers make of it; the tests hold them against each other.

use super::values::{self, PlainUri, PlainVia, Word, digits};
use super::{Fault, Layout, Version};
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, VIAS_MAX};
use crate::sip::header::Header;
use crate::sip::method::Method;
use crate::sip::octet;
use crate::sip::span::Span;
use crate::sys::marks::{self, Marked};

/// Where the parts of a request lie whose values have the plain form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// What was read: bits of headers, and `URI`.
    pub(super) read: u32,
    /// The Request-URI, a `sip:` URI.
    pub uri: PlainUri,
    /// The first value of the first Via field.
    pub top_via: PlainVia,
    /// From.
    pub from: PlainUri,
    /// The tag of From, `NOWHERE` without one.
    pub from_tag: Span,
    /// The tag of To, `NOWHERE` without one.
    pub to_tag: Span,
    /// Content-Length.
    pub content_length: u32,
    /// The five fields of `P-tfps`.
    pub p_tfps: [Span; 5],
}

/// The Request-URI in `Parts::read`.
pub(super) const URI: u32 = 1 << 31;

/// Octets of the longest name that is plain.
const NAME_BYTES_MAX: usize = 56;

impl Parts {
    /// Whether the first field of the header was read; of From, To, Via, Call-ID, `CSeq`, Max-Forwards, Content-Length and
    /// `P-tfps` some are. `CSeq` names INVITE then, and Max-Forwards is at most 255.
    #[must_use]
    pub fn has(&self, header: Header) -> bool {
        self.read & header.bit() != 0
    }

    /// Whether everything that RFC 3261 §8.1.1 asks for was read, and the request is an INVITE.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        const ALL: u32 = URI
            | Header::Via.bit()
            | Header::From.bit()
            | Header::To.bit()
            | Header::CallId.bit()
            | Header::CSeq.bit();
        self.read & ALL == ALL
    }
}

impl Layout {
    /// Reads a plain head; `false` when it is none, and then the layout and the parts are no good.
    #[inline]
    pub(super) fn read_plain(&mut self, bytes: &[u8], parts: &mut Parts) -> bool {
        let head = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
        let read = marks::read(
            head,
            #[inline(always)]
            |head| self.read_plain_head(head, parts),
        );
        read.flatten().is_some()
    }

    /// Line by line: a name that is expected with its value of the plain form, or any other.
    #[inline(always)]
    fn read_plain_head(&mut self, head: &Marked<'_>, parts: &mut Parts) -> Option<()> {
        const VIA: Word = Word::of(b"via: ");
        const FROM: Word = Word::of(b"from: ");
        const TO: Word = Word::of(b"to: ");
        const CSEQ: Word = Word::of(b"cseq: ");
        const CALL_ID: Word = Word::of(b"call-id:");
        const P_TFPS: Word = Word::of(b"p-tfps: ");
        const MAX_FORWARDS: [Word; 2] = [Word::of(b"max-forw"), Word::of(b"ards: ")];
        const INVITE: Word = Word::exactly(b" INVITE\r");
        // A line that was not read: no value ends at the head's start.
        const OTHER: (Header, usize) = (Header::Via, 0);
        const CONTENT_LENGTH: [Word; 2] = [Word::of(b"content-"), Word::of(b"length: ")];
        let mut at = self.read_plain_request_line(head, parts)?;
        self.clear();
        self.header_start = at;
        // What was kept, and what of it was read.
        let mut seen = 0_u32;
        let mut read = parts.read;
        let mut lines = 0_usize;
        loop {
            let length = head.plain(at);
            let colon = at.wrapping_add(length);
            // Of more octets than a window has, nothing is known.
            if head.octet(colon) != b':' || length.wrapping_sub(1) >= NAME_BYTES_MAX {
                if !head.is_line_end(at) {
                    return None;
                }
                if lines > HEADERS_MAX {
                    self.refuse(Fault::TooLarge);
                }
                self.body_start = Some(at.wrapping_add(2));
                self.seen = seen;
                parts.read = read;
                return Some(());
            }
            lines = lines.wrapping_add(1);
            let word = head.word(at);
            let value = colon.wrapping_add(2);
            // Without guards, so that the compiler jumps by the length and does not compare it again and again.
            let (header, end) = match length {
                2 => {
                    if TO.begins(word)
                        && let Some((_, tag, end)) = values::address(head, value)
                    {
                        parts.to_tag = tag;
                        (Header::To, end)
                    } else {
                        OTHER
                    }
                }
                3 => {
                    if VIA.begins(word)
                        && let Some(end) = self.keep_plain_via(head, value, parts, &mut read)
                    {
                        if !head.is_line_end(end) {
                            return None;
                        }
                        at = end.wrapping_add(2);
                        continue;
                    }
                    OTHER
                }
                4 => {
                    if FROM.begins(word)
                        && let Some((uri, tag, end)) = values::address(head, value)
                    {
                        parts.from = uri;
                        parts.from_tag = tag;
                        (Header::From, end)
                    } else if CSEQ.begins(word) {
                        let blank = value.wrapping_add(head.plain(value));
                        if INVITE.begins(head.word(blank)) && digits(head, value, blank).is_some() {
                            (Header::CSeq, blank.wrapping_add(7))
                        } else {
                            OTHER
                        }
                    } else {
                        OTHER
                    }
                }
                6 => {
                    if P_TFPS.begins(word)
                        && let Some((fields, end)) = values::five_fields(head, value)
                        && head.octet(value) > b' '
                        && head.octet(end.wrapping_sub(1)) > b' '
                    {
                        parts.p_tfps = fields;
                        (Header::PTfps, end)
                    } else {
                        OTHER
                    }
                }
                7 => {
                    if CALL_ID.begins(word) && head.octet(colon.wrapping_add(1)) == b' ' {
                        let (end, octet) = values::blank(head, value);
                        if end != value && octet == b'\r' {
                            (Header::CallId, end)
                        } else {
                            OTHER
                        }
                    } else {
                        OTHER
                    }
                }
                12 => {
                    if MAX_FORWARDS[0].begins(word)
                        && MAX_FORWARDS[1].begins(head.word(at.wrapping_add(8)))
                        && values::two_digits(head, value)
                    {
                        (Header::MaxForwards, value.wrapping_add(2))
                    } else {
                        OTHER
                    }
                }
                14 => {
                    if CONTENT_LENGTH[0].begins(word)
                        && CONTENT_LENGTH[1].begins(head.word(at.wrapping_add(8)))
                    {
                        let end = value.wrapping_add(head.plain(value));
                        if let Some(number) = digits(head, value, end)
                            && head.octet(end) == b'\r'
                        {
                            parts.content_length = number;
                            (Header::ContentLength, end)
                        } else {
                            OTHER
                        }
                    } else {
                        OTHER
                    }
                }
                _ => OTHER,
            };
            let end = if end != OTHER.1 && seen & header.bit() == 0 {
                seen |= header.bit();
                read |= header.bit();
                if let Some(place) = self.fields.get_mut(header as usize) {
                    *place = Span::short(value, end);
                }
                end
            } else {
                let end = head.control(at);
                if let Some(header) = Header::of(head.text().get(at..colon)?) {
                    read &= !(header.bit() & seen);
                    self.seen = seen;
                    self.keep_plain(head.text(), header, colon.wrapping_add(1), end)?;
                    seen = self.seen;
                }
                end
            };
            if !head.is_line_end(end) {
                return None;
            }
            at = end.wrapping_add(2);
        }
    }

    /// Keeps a Via field of one value of the plain form; where it ends.
    #[inline(always)]
    fn keep_plain_via(
        &mut self,
        head: &Marked<'_>,
        start: usize,
        parts: &mut Parts,
        read: &mut u32,
    ) -> Option<usize> {
        let (via, (end, octet)) = values::via(head, start)?;
        if self.via_fields == 0 {
            parts.top_via = via;
            *read |= Header::Via.bit();
        }
        if octet != b'\r' {
            return None;
        }
        *self.vias.get_mut(self.via_fields)? = via.value;
        self.via_fields = self.via_fields.wrapping_add(1);
        self.via_values = self.via_values.wrapping_add(1);
        // Too many, of which a field before this one held several: the complete reader says so.
        (self.via_values <= VIAS_MAX).then_some(end)
    }

    /// Keeps the value of a field that is not of the plain form, or not the first.
    #[inline(never)]
    fn keep_plain(&mut self, head: &[u8], header: Header, start: usize, end: usize) -> Option<()> {
        let value = octet::trim(head.get(start..end)?);
        self.keep_value(head, header, value);
        Some(())
    }

    /// `INVITE SP Request-URI SP SIP/2.0`; where the line behind it starts.
    #[inline(always)]
    fn read_plain_request_line(&mut self, head: &Marked<'_>, parts: &mut Parts) -> Option<usize> {
        const INVITE: Word = Word::exactly(b"INVITE ");
        const VERSION: Word = Word::exactly(b" SIP/2.0");
        parts.read = 0;
        let mut method_end = 6;
        self.method = Method::Invite;
        let is_invite = INVITE.begins(head.word(0));
        if !is_invite {
            method_end = head.plain(0);
            if head.octet(method_end) != b' ' || method_end.wrapping_sub(1) >= NAME_BYTES_MAX {
                return None;
            }
            self.method = Method::of(head.text().get(..method_end)?);
        }
        let start = method_end.wrapping_add(1);
        let end = match values::request_uri(head, start) {
            Some((uri, end)) => {
                parts.uri = uri;
                if is_invite {
                    parts.read = URI;
                }
                end
            }
            None => values::blank(head, start).0,
        };
        let line_end = end.wrapping_add(8);
        if end == start || !VERSION.begins(head.word(end)) || !head.is_line_end(line_end) {
            return None;
        }
        self.method_name = Span::short(0, method_end);
        self.uri = Span::short(start, end);
        self.version = Version::Two;
        Some(line_end.wrapping_add(2))
    }
}
