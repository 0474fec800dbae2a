//! One request read and one answer written: what the responder says to whom, by rules of its own.
//!
//! Promises: reads in one pass, writes without allocating; an answer repeats Via, From, To, Call-ID and `CSeq` as they came
//! (RFC 3261 §8.2.6), with a To tag that follows from the Call-ID, so that a copy of the request gets the same octets.
//! Leaves to `respond`: sockets and faults on purpose.

use crate::answer::header_lines_that;
use crate::verdict::Profile;

/// Answers are made a multiple of this long, so that many of them, whatever the verdict, are one send: they have 330 to 470 octets.
const ANSWER_BYTES_STEP: usize = 256;

/// Header fields that are repeated; a request has one Via for each hop.
const VIAS_MAX: usize = 16;

/// A request, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The user part of the Request-URI; empty if it has none.
    pub user: &'a [u8],
    vias: [&'a [u8]; VIAS_MAX],
    from: &'a [u8],
    to: &'a [u8],
    call_id: &'a [u8],
    cseq: &'a [u8],
    agent: &'a [u8],
    /// The value of Authorization or Proxy-Authorization.
    pub authorization: Option<&'a [u8]>,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The call may go on.
    Approve,
    /// It may not.
    Reject,
}

impl Verdict {
    /// The other one.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Approve => Self::Reject,
            Self::Reject => Self::Approve,
        }
    }
}

/// Whether a header line that begins with this octet may be one that an answer repeats or a verdict depends on: most of an
/// INVITE's lines are neither.
fn is_repeated_or_read(first: u8) -> bool {
    matches!(
        first.to_ascii_lowercase(),
        b'v' | b'f' | b't' | b'c' | b'i' | b'p' | b'u' | b'a'
    )
}

/// Numbers that the default mix expects to be rejected: premium-rate and satellite ranges, without `011`, `00` or `+`.
pub const REJECTED_PREFIXES: &[&str] = &[
    "870", "881", "882", "449", "3989", "1900", "49900", "3389", "3480",
];

/// Agents that it expects to be rejected, in lower case.
const REJECTED_AGENTS: &[&[u8]] = &[b"friendly-scanner", b"sipvicious", b"sipcli"];

impl<'a> Request<'a> {
    /// Reads a datagram; `None` if it is no request that could be answered.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        if datagram.starts_with(b"ACK ") {
            return Some(Self::of(b"ACK"));
        }
        let space = memchr::memchr(b' ', datagram.get(..32.min(datagram.len()))?)?;
        let (method, rest) = datagram.split_at_checked(space)?;
        if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
            return None;
        }
        let uri = rest.get(1..)?;
        let end = memchr::memchr2(b' ', b'\n', uri)?;
        let uri = uri.get(..end)?;
        let user = memchr::memchr(b'@', uri)
            .and_then(|at| uri.get(..at))
            .and_then(|before| before.get(memchr::memchr(b':', before)? + 1..))
            .unwrap_or_default();
        let mut request = Self {
            user,
            ..Self::of(method)
        };
        let mut vias = 0;
        for (name, value) in header_lines_that(datagram, is_repeated_or_read) {
            let is = |long: &str| name.eq_ignore_ascii_case(long.as_bytes());
            match name.len() {
                3 if is("Via") => {
                    *request.vias.get_mut(vias)? = value;
                    vias += 1;
                }
                4 if is("From") => request.from = value,
                2 if is("To") => request.to = value,
                7 if is("Call-ID") => request.call_id = value,
                4 if is("CSeq") => request.cseq = value,
                4 if is("P-UA") => request.agent = value,
                6 if is("P-tfps") => {
                    request.agent = value
                        .split(|&octet| octet == b';')
                        .nth(3)
                        .unwrap_or_default();
                }
                10 if is("User-Agent") && request.agent.is_empty() => request.agent = value,
                13 | 19 if is("Authorization") || is("Proxy-Authorization") => {
                    request.authorization = Some(value);
                }
                1 => match name.first() {
                    Some(b'v' | b'V') => {
                        *request.vias.get_mut(vias)? = value;
                        vias += 1;
                    }
                    Some(b'f' | b'F') => request.from = value,
                    Some(b't' | b'T') => request.to = value,
                    Some(b'i' | b'I') => request.call_id = value,
                    _ => {}
                },
                _ => {}
            }
        }
        let whole = vias > 0
            && [request.from, request.to, request.call_id, request.cseq]
                .iter()
                .all(|value| !value.is_empty());
        whole.then_some(request)
    }

    /// A request of which no more is known than its method: all that is asked of an ACK (RFC 3261 §8.2.7).
    fn of(method: &'a [u8]) -> Self {
        Self {
            method,
            user: b"",
            vias: [b""; VIAS_MAX],
            from: b"",
            to: b"",
            call_id: b"",
            cseq: b"",
            agent: b"",
            authorization: None,
        }
    }

    /// What a server with the default mix's lists would say.
    #[must_use]
    pub fn verdict(&self, rejected: &[Box<[u8]>]) -> Verdict {
        let number = [b"011".as_slice(), b"00", b"+"]
            .iter()
            .find_map(|prefix| self.user.strip_prefix(*prefix))
            .unwrap_or(self.user);
        let dear = rejected.iter().any(|prefix| number.starts_with(prefix));
        let scanner = || {
            REJECTED_AGENTS.iter().any(|name| {
                let here = self.agent.get(..name.len());
                here.is_some_and(|here| here.eq_ignore_ascii_case(name))
            })
        };
        if dear || scanner() {
            Verdict::Reject
        } else {
            Verdict::Approve
        }
    }

    /// Writes a verdict as the profile wears it; `None` if `out` is too short.
    pub fn answer(&self, profile: Profile, verdict: Verdict, out: &mut [u8]) -> Option<usize> {
        let (line, code): (&str, &[u8]) = match (profile, verdict) {
            (Profile::Redirect | Profile::RedirectCodes, Verdict::Approve) => {
                ("302 Moved Temporarily", b"A00")
            }
            (Profile::RedirectCodes, Verdict::Reject) => ("302 Moved Temporarily", b"R06"),
            (Profile::Redirect | Profile::NextRoute, Verdict::Reject) => ("603 Decline", b""),
            (Profile::Failover, Verdict::Approve) => ("503 Service Unavailable", b""),
            (Profile::Failover, Verdict::Reject) => ("486 Busy Here", b""),
            (Profile::NextRoute, Verdict::Approve) => ("404 Not Found", b""),
            (Profile::Monitor, _) => ("487 Request Terminated", b""),
        };
        self.write(line, code, "", out)
    }

    /// Writes an answer with this status and further header lines; `None` if `out` is too short.
    pub fn plain(&self, status: &str, lines: &str, out: &mut [u8]) -> Option<usize> {
        self.write(status, b"", lines, out)
    }

    fn write(&self, status: &str, code: &[u8], lines: &str, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer { out, at: 0 };
        writer
            .put(b"SIP/2.0 ")?
            .put(status.as_bytes())?
            .put(b"\r\n")?;
        for via in self.vias.iter().take_while(|via| !via.is_empty()) {
            writer.put(b"Via: ")?.put(via)?.put(b"\r\n")?;
        }
        writer
            .put(b"From: ")?
            .put(self.from)?
            .put(b"\r\nTo: ")?
            .put(self.to)?;
        let tagged = memchr::memmem::find(self.to, b";tag=").is_some();
        // RFC 3261 §8.2.6.2: every final answer has a To tag; a provisional 100 needs none.
        if !tagged && !status.starts_with("100") {
            writer.put(b";tag=r")?.put(&tag_of(self.call_id))?;
        }
        writer.put(b"\r\nCall-ID: ")?.put(self.call_id)?;
        writer.put(b"\r\nCSeq: ")?.put(self.cseq)?.put(b"\r\n")?;
        if !code.is_empty() {
            let end = memchr::memchr2(b';', b':', self.user);
            let user = self.user.get(..end.unwrap_or(self.user.len()))?;
            writer.put(b"Contact: <sip:")?.put(code)?.put(user)?;
            writer.put(b"@responder.invalid>\r\n")?;
        }
        writer.put(lines.as_bytes())?.put(b"Content-Length: ")?;
        let length = writer.at + 5;
        let blanks = length.next_multiple_of(ANSWER_BYTES_STEP) - length;
        writer.put([b' '; ANSWER_BYTES_STEP].get(..blanks)?)?;
        writer.put(b"0\r\n\r\n")?;
        Some(writer.at)
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) -> Option<&mut Self> {
        let end = self.at + octets.len();
        self.out.get_mut(self.at..end)?.copy_from_slice(octets);
        self.at = end;
        Some(self)
    }
}

/// FNV-1a of the Call-ID as eight letters: the same request gets the same tag.
fn tag_of(call_id: &[u8]) -> [u8; 8] {
    let hash = call_id.iter().fold(0x811c_9dc5_u32, |hash, &octet| {
        (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193)
    });
    let mut tag = [b'0'; 8];
    let mut rest = hash;
    for place in tag.iter_mut().rev() {
        let [low, ..] = rest.to_le_bytes();
        *place = b'a' + (low & 15);
        rest >>= 4;
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::limits::DATAGRAM_BYTES_MAX;
    use crate::message::{Messages, Shape};
    use crate::mix::Mix;
    use crate::source::Calls;

    fn rejected() -> Vec<Box<[u8]>> {
        let octets = |prefix: &&str| Box::from(prefix.as_bytes());
        REJECTED_PREFIXES.iter().map(octets).collect()
    }

    #[test]
    fn the_default_mix_gets_what_it_expects() {
        let address = |text: &str| text.parse().unwrap();
        let (local, target) = (address("127.0.0.1:5070"), address("127.0.0.1:5060"));
        let messages = Messages::new(local, target, 1, Shape::Udp);
        let calls = Calls::Mix(Mix::standard(3));
        let rejected = rejected();
        for profile in [
            Profile::Redirect,
            Profile::RedirectCodes,
            Profile::Failover,
            Profile::NextRoute,
            Profile::Monitor,
        ] {
            for sequence in 0..2000 {
                let call = calls.call(sequence);
                let mut datagram = [0; DATAGRAM_BYTES_MAX];
                let length = messages.invite(&call, sequence, &mut datagram).unwrap();
                let request = Request::parse(&datagram[..length]).unwrap();
                let verdict = request.verdict(&rejected);
                for (verdict, right) in [(verdict, true), (verdict.flipped(), false)] {
                    let mut out = [0; DATAGRAM_BYTES_MAX];
                    let length = request.answer(profile, verdict, &mut out).unwrap();
                    assert!(length.is_multiple_of(ANSWER_BYTES_STEP));
                    let answer = Answer::parse(&out[..length]).unwrap();
                    assert_eq!(messages.name_of(answer.branch).unwrap().sequence, sequence);
                    let reading =
                        profile.read(answer.status, answer.contact_user, call.user.as_bytes());
                    let meets = reading.meets(call.expected);
                    assert_eq!(meets, right || profile == Profile::Monitor, "{call:?}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_answered_is_no_request() {
        for text in [
            "",
            "\r\n\r\n",
            "SIP/2.0 200 OK\r\nVia: x\r\n\r\n",
            "INVITE sip:1@h SIP/2.0\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n",
            "INVITE sip:1@h SIP/2.0\r\nVia: x\r\nTo: b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n",
        ] {
            assert!(Request::parse(text.as_bytes()).is_none(), "{text}");
        }
        let short = "OPTIONS sip:h SIP/2.0\r\nv: x\r\nf: a\r\nt: b;tag=y\r\ni: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
        let request = Request::parse(short.as_bytes()).unwrap();
        let mut out = [0; 512];
        let length = request.plain("200 OK", "", &mut out).unwrap();
        let text = str::from_utf8(&out[..length]).unwrap();
        assert!(text.starts_with("SIP/2.0 200 OK\r\nVia: x\r\nFrom: a\r\nTo: b;tag=y\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"));
        assert!(request.plain("200 OK", "", &mut [0; 64]).is_none());
    }
}
