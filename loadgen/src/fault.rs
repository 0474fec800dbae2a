//! Faults on purpose: what makes a datagram of an INVITE that no server may take for one.
//!
//! Promises: the fault is written over the rendered INVITE without allocating; each fault has one expected reaction, which
//! follows from RFC 3261 and not from any server. Where an answer is expected, Via, From tag, Call-ID and `CSeq` are
//! whole, so that it can be told whose it is.

use crate::verdict::Expected;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Octets that begin no SIP message.
    NotSip,
    /// Two line ends, as a telephone sends to keep a path open.
    KeepAlive,
    /// Cut off within its request line.
    Cut,
    /// A response that nobody waits for (RFC 3261 §18.1.2).
    StrayResponse,
    /// An ACK of nothing: no answer to an ACK, ever (RFC 3261 §17.2.1, §8.2.7).
    StrayAck,
    /// No Via: nowhere to send an answer to (RFC 3261 §8.1.1.7, §18.2.2).
    NoVia,
    /// A version that does not exist: 505 (RFC 3261 §21.5.6).
    UnknownVersion,
    /// A called user that is no number: 484, or whatever the server says of a user that it does not know.
    NoNumber,
    /// A Request-URI of a scheme that does not exist: 416 (RFC 3261 §8.2.2.1).
    UnknownScheme,
    /// Content-Length beyond the datagram's end: 400 (RFC 3261 §18.3).
    BodyCut,
}

/// All faults with the names that mixes give them.
pub const FAULTS: &[(&str, Fault)] = &[
    ("not-sip", Fault::NotSip),
    ("keep-alive", Fault::KeepAlive),
    ("cut", Fault::Cut),
    ("stray-response", Fault::StrayResponse),
    ("stray-ack", Fault::StrayAck),
    ("no-via", Fault::NoVia),
    ("unknown-version", Fault::UnknownVersion),
    ("no-number", Fault::NoNumber),
    ("unknown-scheme", Fault::UnknownScheme),
    ("body-cut", Fault::BodyCut),
];

impl Fault {
    /// What a server must do with it.
    #[must_use]
    pub fn expected(self) -> Expected {
        match self {
            Self::NotSip
            | Self::KeepAlive
            | Self::Cut
            | Self::StrayResponse
            | Self::StrayAck
            | Self::NoVia => Expected::Silence,
            Self::UnknownVersion | Self::NoNumber | Self::UnknownScheme | Self::BodyCut => {
                Expected::Error
            }
        }
    }

    /// The name in mixes.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = FAULTS.iter().find(|(_, fault)| *fault == self);
        known.map_or("", |(name, _)| name)
    }
}

/// Writes the fault over an INVITE that fills the first `length` octets of `out`; returns the new length. `None`: there is
/// no room, or what stands there is no INVITE of ours.
pub fn spoil(fault: Fault, out: &mut [u8], length: usize) -> Option<usize> {
    match fault {
        Fault::NotSip => {
            // As long as an INVITE, and no letter of it.
            for (octet, value) in out
                .get_mut(..length)?
                .iter_mut()
                .zip((0..=255_u8).rev().cycle())
            {
                *octet = value;
            }
            Some(length)
        }
        Fault::KeepAlive => {
            out.get_mut(..4)?.copy_from_slice(b"\r\n\r\n");
            Some(4)
        }
        Fault::Cut => Some("INVITE sip:0".len()),
        Fault::StrayResponse => {
            let line_end = find(out.get(..length)?, b"\r\n")?;
            splice(out, length, 0, line_end, b"SIP/2.0 404 Not Found")
        }
        Fault::StrayAck => {
            let length = replace(out, length, b"INVITE sip:", b"ACK sip:")?;
            replace(out, length, b" INVITE\r\n", b" ACK\r\n")
        }
        Fault::NoVia => {
            let from = find(out.get(..length)?, b"\r\nVia:")? + 2;
            let line = find(out.get(from..length)?, b"\r\n")? + 2;
            splice(out, length, from, from + line, b"")
        }
        Fault::UnknownVersion => replace(out, length, b" SIP/2.0\r\n", b" SIP/7.0\r\n"),
        Fault::NoNumber => replace(out, length, b"INVITE sip:", b"INVITE sip:~"),
        Fault::UnknownScheme => replace(out, length, b"INVITE sip:", b"INVITE nobodyknows:"),
        Fault::BodyCut => replace(out, length, b"Content-Length: ", b"Content-Length: 9"),
    }
}

fn replace(out: &mut [u8], length: usize, what: &[u8], with: &[u8]) -> Option<usize> {
    let at = find(out.get(..length)?, what)?;
    splice(out, length, at, at + what.len(), with)
}

/// Puts `with` in the place of the octets `from..to` and moves what follows.
fn splice(out: &mut [u8], length: usize, from: usize, to: usize, with: &[u8]) -> Option<usize> {
    let end = from + with.len() + length.checked_sub(to)?;
    if end > out.len() {
        return None;
    }
    out.copy_within(to..length, from + with.len());
    out.get_mut(from..from + with.len())?.copy_from_slice(with);
    Some(end)
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:0114420@h SIP/2.0\r\nVia: SIP/2.0/UDP l;branch=z\r\nMax-Forwards: 70\r\nCSeq: 102 INVITE\r\nContent-Length: 2\r\n\r\nab";

    fn spoilt(fault: Fault) -> String {
        let mut out = [0; 300];
        out[..INVITE.len()].copy_from_slice(INVITE.as_bytes());
        let length = spoil(fault, &mut out, INVITE.len()).unwrap();
        String::from_utf8_lossy(&out[..length]).into_owned()
    }

    #[test]
    fn each_fault_is_where_it_is_meant_to_be() {
        for (fault, begins, holds, lacks) in [
            (
                Fault::NotSip,
                "\u{fffd}\u{fffd}",
                "\u{fffd}\u{fffd}\u{fffd}",
                "INVITE",
            ),
            (Fault::KeepAlive, "\r\n\r\n", "", "INVITE"),
            (Fault::Cut, "INVITE sip:0", "", "\r\n"),
            (
                Fault::StrayResponse,
                "SIP/2.0 404 Not Found\r\nVia",
                "",
                "sip:",
            ),
            (
                Fault::StrayAck,
                "ACK sip:0114420@h",
                "CSeq: 102 ACK\r\n",
                "INVITE",
            ),
            (
                Fault::NoVia,
                "INVITE sip:0114420@h SIP/2.0\r\nMax-",
                "",
                "Via",
            ),
            (
                Fault::UnknownVersion,
                "INVITE",
                "@h SIP/7.0\r\n",
                "@h SIP/2.0",
            ),
            (Fault::NoNumber, "INVITE sip:~0114420@h", "", "sip:0"),
            (
                Fault::UnknownScheme,
                "INVITE nobodyknows:0114420@h ",
                "",
                "sip:",
            ),
            (
                Fault::BodyCut,
                "INVITE",
                "Content-Length: 92\r\n",
                "Length: 2",
            ),
        ] {
            let text = spoilt(fault);
            assert!(text.starts_with(begins), "{fault:?}: {text:?}");
            assert!(text.contains(holds), "{fault:?}: {text:?}");
            assert!(!text.contains(lacks), "{fault:?}: {text:?}");
        }
    }

    #[test]
    fn every_fault_has_a_name_of_its_own_and_a_reaction() {
        for (name, fault) in FAULTS {
            assert_eq!(fault.name(), *name);
            assert!(matches!(
                fault.expected(),
                Expected::Silence | Expected::Error
            ));
        }
    }

    #[test]
    fn too_little_room_is_said() {
        let mut out = [0; 120];
        let length = INVITE.len().min(120);
        out[..length].copy_from_slice(&INVITE.as_bytes()[..length]);
        assert_eq!(spoil(Fault::UnknownScheme, &mut out, length), None);
        assert_eq!(spoil(Fault::BodyCut, &mut [0; 10], 10), None);
    }
}
