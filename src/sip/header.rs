//! The header fields that an answer or a decision needs, by name.
//!
//! Promises: names are compared without case (RFC 3261 §7.3.1), compact forms are known (§7.3.3).
//! Leaves to `scan`: where the fields lie; everything that is not listed here is nobody's business.

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

    /// Its bit in a set of headers.
    #[must_use]
    pub(super) fn bit(self) -> u32 {
        1_u32.wrapping_shl(u32::from(self as u8))
    }
}

/// Whether a name of the same length is this lowercase one. Eight octets at a time: names are compared for every field.
#[inline]
fn eq_lowercase(name: &[u8], full: &[u8]) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
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
