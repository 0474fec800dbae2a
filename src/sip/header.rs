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
    ///
    /// By its length, and then by one or two words: a request has twenty of them.
    #[must_use]
    #[inline]
    pub fn of(name: &[u8]) -> Option<Self> {
        // Most names of a request are nobody's business, and most of these are told by their length and first letter.
        let firsts = FIRSTS.get(name.len())?;
        if firsts >> (name.first()? & 0x1f) & 1 == 0 {
            return None;
        }
        let is = |wanted: &[u8]| words(name) == words(wanted);
        match name.len() {
            1 => match name.first()? | 0x20 {
                b'v' => Some(Self::Via),
                b'f' => Some(Self::From),
                b't' => Some(Self::To),
                b'i' => Some(Self::CallId),
                b'l' => Some(Self::ContentLength),
                _ => None,
            },
            2 if is(b"to") => Some(Self::To),
            3 if is(b"via") => Some(Self::Via),
            4 if is(b"from") => Some(Self::From),
            4 if is(b"cseq") => Some(Self::CSeq),
            4 if is(b"p-ua") || name.eq_ignore_ascii_case(b"p_ua") => Some(Self::PUa),
            6 if is(b"p-tfps") => Some(Self::PTfps),
            6 if is(b"x-tfps") || name.eq_ignore_ascii_case(b"x_tfps") => Some(Self::XTfps),
            7 if is(b"call-id") => Some(Self::CallId),
            7 if is(b"require") => Some(Self::Require),
            7 if is(b"p-calls") || name.eq_ignore_ascii_case(b"p_calls") => Some(Self::PCalls),
            9 if is(b"diversion") => Some(Self::Diversion),
            10 if is(b"user-agent") => Some(Self::UserAgent),
            10 if is(b"p-received") || name.eq_ignore_ascii_case(b"p_received") => {
                Some(Self::PReceived)
            }
            12 if is(b"max-forwards") => Some(Self::MaxForwards),
            12 if is(b"history-info") => Some(Self::HistoryInfo),
            14 if is(b"content-length") => Some(Self::ContentLength),
            15 if is(b"remote-party-id") => Some(Self::RemotePartyId),
            19 if name.eq_ignore_ascii_case(b"p-asserted-identity") => Some(Self::AssertedIdentity),
            20 if name.eq_ignore_ascii_case(b"p-preferred-identity") => {
                Some(Self::PreferredIdentity)
            }
            _ => None,
        }
    }

    /// Its bit in a set of headers.
    #[must_use]
    pub(super) const fn bit(self) -> u32 {
        1_u32.wrapping_shl(self as u32)
    }
}

/// Names that `Header::of` knows; those with `_` begin and are as long as those with `-`.
const NAMES: [&[u8]; 24] = [
    b"v",
    b"f",
    b"t",
    b"i",
    b"l",
    b"to",
    b"via",
    b"from",
    b"cseq",
    b"p-ua",
    b"p-tfps",
    b"x-tfps",
    b"call-id",
    b"require",
    b"p-calls",
    b"diversion",
    b"user-agent",
    b"p-received",
    b"max-forwards",
    b"history-info",
    b"content-length",
    b"remote-party-id",
    b"p-asserted-identity",
    b"p-preferred-identity",
];

/// Of the names of each length the first letters: a bit each, by the letter's place in the alphabet.
const FIRSTS: [u32; 21] = firsts();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, bounded by the loop's condition"
)]
const fn firsts() -> [u32; 21] {
    let mut firsts = [0; 21];
    let mut at = 0;
    while at < NAMES.len() {
        let name = NAMES[at];
        firsts[name.len()] |= 1 << (name[0] & 0x1f);
        at += 1;
    }
    firsts
}

/// Names of one to sixteen octets as two words that overlap, letters in lower case: equal for names of one length that
/// are equal without case. Setting the bit of case gives "-" a second spelling, too, CR, which is in no name; "_" would
/// get DEL.
#[inline(always)]
fn words(name: &[u8]) -> (u64, u64) {
    if let (Some(low), Some(high)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return (
            u64::from_le_bytes(*low) | CASE,
            u64::from_le_bytes(*high) | CASE,
        );
    }
    if let (Some(low), Some(high)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let word = u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32;
        return (word | CASE, 0);
    }
    if let (Some(low), Some(high)) = (name.first_chunk::<2>(), name.last_chunk::<2>()) {
        let word = u64::from(u16::from_le_bytes(*low)) | u64::from(u16::from_le_bytes(*high)) << 16;
        return (word | CASE, 0);
    }
    (0, 0)
}

/// The bit of case in each of eight octets.
const CASE: u64 = 0x2020_2020_2020_2020;

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
    fn a_name_is_another_when_an_octet_of_it_is() {
        let names = [
            "via",
            "from",
            "to",
            "call-id",
            "cseq",
            "content-length",
            "max-forwards",
            "user-agent",
            "p-asserted-identity",
            "p-preferred-identity",
            "remote-party-id",
            "require",
            "diversion",
            "history-info",
            "p-tfps",
            "x-tfps",
            "x_tfps",
            "p-received",
            "p_received",
            "p-ua",
            "p_ua",
            "p-calls",
            "p_calls",
            "v",
            "f",
            "t",
            "i",
            "l",
        ];
        let of = |name: &[u8]| {
            names
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
        };
        for name in names {
            for at in 0..name.len() {
                let mut other = name.as_bytes().to_vec();
                // A CR stands in no name: it would end the line.
                for octet in (0..=255).filter(|octet| *octet != b'\r') {
                    other[at] = octet;
                    assert_eq!(Header::of(&other).is_some(), of(&other), "{other:?}");
                }
            }
            let longer = format!("{name}x");
            assert_eq!(Header::of(longer.as_bytes()), None, "{longer}");
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
