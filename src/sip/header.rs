//! The header fields that an answer or a decision needs, by name.
//!
//! Promises: names are compared without case (RFC 3261 §7.3.1), compact forms are known (§7.3.3).
//! Leaves to `scan`: where the fields lie; everything that is not listed here is nobody's business.

use crate::sys::lanes::{self, BLOCK};

/// A header field that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Header {
    /// `From`, `f`
    From = 0,
    /// `To`, `t`
    To,
    /// `Call-ID`, `i`
    CallId,
    /// `CSeq`
    CSeq,
    /// `Content-Length`, `l`
    ContentLength,
    /// `Max-Forwards`
    MaxForwards,
    /// `User-Agent`
    UserAgent,
    /// `P-Asserted-Identity` (RFC 3325)
    AssertedIdentity,
    /// `P-Preferred-Identity` (RFC 3325)
    PreferredIdentity,
    /// `Remote-Party-ID`
    RemotePartyId,
    /// `Require`
    Require,
    /// `Diversion` (RFC 5806)
    Diversion,
    /// `History-Info` (RFC 7044)
    HistoryInfo,
    /// `P-tfps`
    PTfps,
    /// `X-tfps`, `X_tfps`
    XTfps,
    /// `P-Received`, `P_Received`
    PReceived,
    /// `P-UA`, `P_UA`
    PUa,
    /// `P-Calls`, `P_Calls`
    PCalls,
    /// `Via`, `v`: kept apart, since there are many.
    Via,
}

/// How many headers stand at most once or are kept by their first field: all but `Via`.
pub const SINGLE_HEADERS: usize = Header::Via as usize;

impl Header {
    /// The header with this name, white space around it already taken off.
    #[must_use]
    #[inline]
    pub fn of(name: &[u8]) -> Option<Self> {
        let first = name.first()?.to_ascii_lowercase();
        let (header, full): (Self, &[u8]) = match (name.len(), first) {
            (1, b'v') => return Some(Self::Via),
            (1, b'f') => return Some(Self::From),
            (1, b't') => return Some(Self::To),
            (1, b'i') => return Some(Self::CallId),
            (1, b'l') => return Some(Self::ContentLength),
            (2, b't') => (Self::To, b"to"),
            (3, b'v') => (Self::Via, b"via"),
            (4, b'f') => (Self::From, b"from"),
            (4, b'c') => (Self::CSeq, b"cseq"),
            (4, b'p') => (Self::PUa, b"p-ua"),
            (6, b'p') => (Self::PTfps, b"p-tfps"),
            (6, b'x') => (Self::XTfps, b"x-tfps"),
            (7, b'c') => (Self::CallId, b"call-id"),
            (7, b'r') => (Self::Require, b"require"),
            (7, b'p') => (Self::PCalls, b"p-calls"),
            (9, b'd') => (Self::Diversion, b"diversion"),
            (10, b'u') => (Self::UserAgent, b"user-agent"),
            (10, b'p') => (Self::PReceived, b"p-received"),
            (12, b'm') => (Self::MaxForwards, b"max-forwards"),
            (12, b'h') => (Self::HistoryInfo, b"history-info"),
            (14, b'c') => (Self::ContentLength, b"content-length"),
            (15, b'r') => (Self::RemotePartyId, b"remote-party-id"),
            (19, b'p') => (Self::AssertedIdentity, b"p-asserted-identity"),
            (20, b'p') => (Self::PreferredIdentity, b"p-preferred-identity"),
            _ => return None,
        };
        if eq_lowercase(name, full) {
            return Some(header);
        }
        let spelled_with_underscore = matches!(
            header,
            Self::XTfps | Self::PReceived | Self::PUa | Self::PCalls
        );
        (spelled_with_underscore && eq_with_underscore(name, full)).then_some(header)
    }

    /// The header that a line begins with, `None` if it is nobody's business, and how many octets the name and its colon
    /// take. `None` for the whole when only `of` can say: a rare name, blanks before the colon, or a name that is none.
    ///
    /// A look-up and two comparisons of words: 16 lines of an INVITE took 1,900 instructions with `of`.
    #[must_use]
    #[inline]
    pub fn known(line: &[u8; BLOCK]) -> Option<(Option<Self>, usize)> {
        let length = lanes::equal(line, b':').trailing_zeros();
        let low = u64::from_le_bytes(*line.first_chunk()?);
        let high = u64::from_le_bytes(*line.last_chunk()?);
        let end = (length as usize).wrapping_sub(1);
        let name = KNOWN.get(place(*line.first()?, *line.get(end)?, length))?;
        if name.length != length
            || low & name.mask[0] != name.octets[0]
            || high & name.mask[1] != name.octets[1]
        {
            return None;
        }
        Some((name.header, (length as usize).wrapping_add(1)))
    }

    /// Its bit in a set of headers.
    #[must_use]
    pub(super) fn bit(self) -> u32 {
        1_u32.wrapping_shl(u32::from(self as u8))
    }
}

/// A name of up to fifteen octets as two words, letters in upper case.
#[derive(Debug, Clone, Copy)]
struct Known {
    header: Option<Header>,
    length: u32,
    /// Without the bit of case where a letter stands; nothing behind the name.
    mask: [u64; 2],
    octets: [u64; 2],
}

/// Names that lines of requests begin with; `None` for those that nobody looks at.
const NAMES: [(&[u8], Option<Header>); 39] = [
    (b"v", Some(Header::Via)),
    (b"f", Some(Header::From)),
    (b"t", Some(Header::To)),
    (b"i", Some(Header::CallId)),
    (b"l", Some(Header::ContentLength)),
    (b"m", None),
    (b"c", None),
    (b"k", None),
    (b"s", None),
    (b"via", Some(Header::Via)),
    (b"from", Some(Header::From)),
    (b"to", Some(Header::To)),
    (b"call-id", Some(Header::CallId)),
    (b"cseq", Some(Header::CSeq)),
    (b"contact", None),
    (b"content-length", Some(Header::ContentLength)),
    (b"content-type", None),
    (b"max-forwards", Some(Header::MaxForwards)),
    (b"user-agent", Some(Header::UserAgent)),
    (b"allow", None),
    (b"supported", None),
    (b"date", None),
    (b"p-tfps", Some(Header::PTfps)),
    (b"x-tfps", Some(Header::XTfps)),
    (b"p-received", Some(Header::PReceived)),
    (b"p-ua", Some(Header::PUa)),
    (b"p-calls", Some(Header::PCalls)),
    (b"require", Some(Header::Require)),
    (b"diversion", Some(Header::Diversion)),
    (b"history-info", Some(Header::HistoryInfo)),
    (b"remote-party-id", Some(Header::RemotePartyId)),
    (b"route", None),
    (b"record-route", None),
    (b"expires", None),
    (b"session-expires", None),
    (b"min-se", None),
    (b"accept", None),
    (b"allow-events", None),
    (b"privacy", None),
];

const PLACES: usize = 128;

const FACTOR: u32 = 0xeaea_bce7;

/// A name's place in `KNOWN`: first octet, last octet and length, multiplied so that no two of `NAMES` meet (asserted
/// below). Any odd factor does for which that holds.
#[inline]
const fn place(first: u8, last: u8, length: u32) -> usize {
    let name = (first & 0x1f) as u32 | ((last & 0x1f) as u32) << 5 | length << 10;
    (name.wrapping_mul(FACTOR) >> 25) as usize
}

static KNOWN: [Known; PLACES] = known();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler, bounded by the loops' conditions; names have at most fifteen octets"
)]
const fn known() -> [Known; PLACES] {
    const NOBODY: Known = Known {
        header: None,
        length: 0,
        mask: [0; 2],
        octets: [u64::MAX; 2],
    };
    let mut table = [NOBODY; PLACES];
    let mut number = 0;
    while number < NAMES.len() {
        let (name, header) = NAMES[number];
        let mut entry = Known {
            header,
            length: name.len() as u32,
            mask: [0; 2],
            octets: [0; 2],
        };
        let mut at = 0;
        while at < name.len() {
            let shift = 8 * (at % 8);
            let case = if name[at].is_ascii_alphabetic() {
                0x20
            } else {
                0
            };
            entry.mask[at / 8] |= (0xff ^ case) << shift;
            entry.octets[at / 8] |= (name[at] as u64 & !case) << shift;
            at += 1;
        }
        let place = place(name[0], name[name.len() - 1], entry.length);
        assert!(table[place].length == 0, "no two names may have one place");
        table[place] = entry;
        number += 1;
    }
    table
}

/// The bit of case in each of eight octets.
const CASE: u64 = 0x2020_2020_2020_2020;

/// Whether a name of the same length is this lowercase one. Eight octets at a time: names are compared for every field.
#[inline]
fn eq_lowercase(name: &[u8], full: &[u8]) -> bool {
    let (name_words, name_rest) = name.as_chunks::<8>();
    let (full_words, full_rest) = full.as_chunks::<8>();
    // Setting the bit of case leaves every letter one value of its own; "-" would get a second one, CR, which is in no
    // token.
    name_rest.eq_ignore_ascii_case(full_rest)
        && name_words
            .iter()
            .zip(full_words)
            .all(|(name, full)| u64::from_le_bytes(*name) | CASE == u64::from_le_bytes(*full))
}

/// `OpenSIPS`'s dialect: `P_Received` for `P-Received`.
fn eq_with_underscore(name: &[u8], full: &[u8]) -> bool {
    name.iter().zip(full).all(|(&given, &wanted)| {
        given.to_ascii_lowercase() == wanted || (given == b'_' && wanted == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_compact() {
        for (name, header) in [
            ("From", Header::From),
            ("f", Header::From),
            ("F", Header::From),
            ("TO", Header::To),
            ("t", Header::To),
            ("i", Header::CallId),
            ("CALL-id", Header::CallId),
            ("cseq", Header::CSeq),
            ("v", Header::Via),
            ("VIA", Header::Via),
            ("l", Header::ContentLength),
            ("Content-Length", Header::ContentLength),
            ("MaX-fOrWaRdS", Header::MaxForwards),
            ("User-Agent", Header::UserAgent),
            ("P-Asserted-Identity", Header::AssertedIdentity),
            ("P-Preferred-Identity", Header::PreferredIdentity),
            ("Remote-Party-ID", Header::RemotePartyId),
            ("Require", Header::Require),
            ("Diversion", Header::Diversion),
            ("History-Info", Header::HistoryInfo),
            ("P-tfps", Header::PTfps),
            ("p-TFPS", Header::PTfps),
            ("X-tfps", Header::XTfps),
            ("X_tfps", Header::XTfps),
            ("P_Received", Header::PReceived),
            ("P-UA", Header::PUa),
            ("P_UA", Header::PUa),
            ("P-Calls", Header::PCalls),
            ("P_Calls", Header::PCalls),
        ] {
            assert_eq!(Header::of(name.as_bytes()), Some(header), "{name}");
        }
    }

    #[test]
    fn known_names_are_read_as_their_octets_say() {
        for (name, header) in NAMES {
            assert_eq!(Header::of(name), header, "{name:?}");
            for name in [name.to_vec(), name.to_ascii_uppercase()] {
                let mut line = [b'x'; BLOCK];
                line[..name.len()].copy_from_slice(&name);
                assert_eq!(Header::known(&line), None, "{line:?}");
                line[name.len()] = b':';
                let wanted = Some((header, name.len() + 1));
                assert_eq!(Header::known(&line), wanted, "{line:?}");
                for at in 0..name.len() {
                    let mut other = line;
                    for octet in 0..=255 {
                        other[at] = octet;
                        let same = other[at].eq_ignore_ascii_case(&line[at]);
                        // Another name may come of it, but only one that says the same.
                        if let Some((header, after)) = Header::known(&other) {
                            assert_eq!(Header::of(&other[..after - 1]), header, "{other:?}");
                        } else {
                            assert!(!same, "{other:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn other_names_are_nobodys_business() {
        for name in [
            "",
            "Call_ID",
            "P_tfps",
            "k",
            "C%6Fntact",
            "Fron",
            "Via2",
            "T0",
            "User_Agent",
            "s",
        ] {
            assert_eq!(Header::of(name.as_bytes()), None, "{name}");
        }
    }
}
