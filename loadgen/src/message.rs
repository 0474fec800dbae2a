//! INVITE and ACK as templates, filled in place.
//!
//! Promises: a message is its template with the holes filled, rendered into the caller's octets without allocating; a
//! retransmission rendered again is byte-identical (it follows from the call alone); ACK has the INVITE's branch,
//! Request-URI and `CSeq` number and the answer's To (RFC 3261 §17.1.1.3). The shape is `chan_sip`'s, with its header order.
//! Leaves to `check`: an independent reading of both.

use std::net::SocketAddr;

use crate::call::{Call, Datagram};
use crate::fault::spoil;

/// The number that every INVITE's `CSeq` has, as `chan_sip`'s first one does.
pub const CSEQ: u32 = 102;

/// The magic cookie of RFC 3261 §8.1.1.7.
const BRANCH_COOKIE: &[u8] = b"z9hG4bK";
/// Hexadecimal digits of the run in branch, Call-ID and tag.
const RUN_DIGITS: usize = 8;
/// Hexadecimal digits of the call's number in branch, Call-ID and tag.
const SEQUENCE_DIGITS: usize = 10;

const INVITE: &str = "INVITE sip:{user}@{target} SIP/2.0\r
Via: SIP/2.0/UDP {local};branch=z9hG4bK{run}{sequence}\r
Max-Forwards: 70\r
From: <sip:{caller}@{from_host}>;tag=as{run}{sequence}\r
To: <sip:{user}@{target}>\r
Contact: <sip:{caller}@{local}>\r
Call-ID: {run}{sequence}@{local}\r
CSeq: 102 INVITE\r
User-Agent: tollgate-loadgen {version}\r
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE\r
Supported: replaces, timer\r
Session-Expires: 1800\r
Min-SE: 90\r
P-tfps: {caller};{domain};{address};{agent};{reported_calls}\r
Content-Type: application/sdp\r
Content-Length: {length}\r
\r
";

const SDP: &str = "v=0\r
o=root 1830217743 1830217743 IN {family} {address_text}\r
s=synthetic\r
c=IN {family} {address_text}\r
t=0 0\r
m=audio 14022 RTP/AVP 9 0 8 101\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=maxptime:150\r
a=sendrecv\r
";

const ACK: &str = "ACK sip:{user}@{target} SIP/2.0\r
Via: SIP/2.0/UDP {local};branch=z9hG4bK{run}{sequence}\r
Max-Forwards: 70\r
From: <sip:{caller}@{from_host}>;tag=as{run}{sequence}\r
To: {to}\r
Contact: <sip:{caller}@{local}>\r
Call-ID: {run}{sequence}@{local}\r
CSeq: 102 ACK\r
User-Agent: tollgate-loadgen {version}\r
Content-Length: 0\r
\r
";

/// What stands in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    User,
    Caller,
    Domain,
    FromHost,
    Address,
    Agent,
    ReportedCalls,
    Sequence,
    To,
}

const FIELDS: &[(&str, Field)] = &[
    ("{user}", Field::User),
    ("{caller}", Field::Caller),
    ("{domain}", Field::Domain),
    ("{from_host}", Field::FromHost),
    ("{address}", Field::Address),
    ("{agent}", Field::Agent),
    ("{reported_calls}", Field::ReportedCalls),
    ("{sequence}", Field::Sequence),
    ("{to}", Field::To),
];

/// Text with holes.
#[derive(Debug, Clone)]
struct Template {
    text: Box<[u8]>,
    /// Where in `text` each hole is, ascending.
    holes: Box<[(usize, Field)]>,
}

/// The messages of one socket: its address stands in them.
#[derive(Debug, Clone)]
pub struct Messages {
    invite: Template,
    ack: Template,
    run: [u8; RUN_DIGITS],
    /// What follows run and sequence in the Call-ID: `@` and the socket's address.
    call_id_tail: Box<[u8]>,
}

/// What an answer must repeat of a call.
#[derive(Debug, Clone, Copy)]
pub struct Echo<'a> {
    /// The branch of the top Via.
    pub branch: &'a [u8],
    /// The tag of the From.
    pub from_tag: &'a [u8],
    /// The Call-ID.
    pub call_id: &'a [u8],
}

impl Messages {
    /// The messages that a socket bound to `local` sends to `target` in run `run`.
    #[must_use]
    pub fn new(local: SocketAddr, target: SocketAddr, run: u32) -> Self {
        let (family, address) = match local {
            SocketAddr::V4(v4) => ("IP4", v4.ip().to_string()),
            SocketAddr::V6(v6) => ("IP6", v6.ip().to_string()),
        };
        let run = format!("{run:08x}");
        let local = in_uri(local);
        let sdp = SDP
            .replace("{family}", family)
            .replace("{address_text}", &address);
        let fixed = |text: &str| {
            text.replace("{target}", &in_uri(target))
                .replace("{local}", &local)
                .replace("{run}", &run)
                .replace("{version}", env!("CARGO_PKG_VERSION"))
                .replace("{length}", &sdp.len().to_string())
        };
        let mut run_digits = [0; RUN_DIGITS];
        run_digits.copy_from_slice(run.as_bytes());
        Self {
            invite: Template::compile(&(fixed(INVITE) + &sdp)),
            ack: Template::compile(&fixed(ACK)),
            run: run_digits,
            call_id_tail: format!("@{local}").into_bytes().into(),
        }
    }

    /// Writes the INVITE of a call, with the fault that the call has on purpose; `None` if `out` is too short.
    pub fn invite(&self, call: &Call, sequence: u64, out: &mut [u8]) -> Option<usize> {
        let length = self
            .invite
            .render(call, sequence, self.own_host(), b"", out)?;
        match call.datagram {
            Datagram::Invite => Some(length),
            Datagram::Faulty(fault) => spoil(fault, out, length),
        }
    }

    /// Writes the ACK for an answer whose To header's value is `to`; `None` if `out` is too short.
    pub fn ack(&self, call: &Call, sequence: u64, to: &[u8], out: &mut [u8]) -> Option<usize> {
        self.ack.render(call, sequence, self.own_host(), to, out)
    }

    /// The socket's address and port, as they stand in a URI.
    fn own_host(&self) -> &[u8] {
        self.call_id_tail.get(1..).unwrap_or_default()
    }

    /// The number of the call whose branch this is; `None` if it is none of this run's.
    #[must_use]
    pub fn sequence_of(&self, branch: &[u8]) -> Option<u64> {
        let digits = branch
            .strip_prefix(BRANCH_COOKIE)?
            .strip_prefix(&self.run)?;
        let exact = digits.len() == SEQUENCE_DIGITS
            && digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if !exact {
            return None;
        }
        u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    }

    /// Whether an answer with a branch of this run also repeats the From tag and the Call-ID of that call.
    #[must_use]
    pub fn agree(&self, echo: &Echo<'_>) -> bool {
        let Some(name) = echo.branch.strip_prefix(BRANCH_COOKIE) else {
            return false;
        };
        echo.from_tag.strip_prefix(b"as") == Some(name)
            && echo.call_id.strip_prefix(name) == Some(&self.call_id_tail)
    }

    /// The Call-ID of a call, for a report.
    #[must_use]
    pub fn call_id(&self, sequence: u64) -> String {
        let run = String::from_utf8_lossy(&self.run);
        let tail = String::from_utf8_lossy(&self.call_id_tail);
        format!("{run}{sequence:010x}{tail}")
    }
}

/// An address as it stands in a SIP URI; an IPv6 zone means nothing to the other side.
#[must_use]
pub fn in_uri(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.to_string(),
        SocketAddr::V6(v6) => format!("[{}]:{}", v6.ip(), v6.port()),
    }
}

impl Template {
    fn compile(source: &str) -> Self {
        let mut text = Vec::with_capacity(source.len());
        let mut holes = Vec::new();
        let mut rest = source;
        while let Some((at, name, field)) = first_hole(rest) {
            text.extend_from_slice(rest.as_bytes().get(..at).unwrap_or_default());
            holes.push((text.len(), field));
            rest = rest.get(at + name.len()..).unwrap_or_default();
        }
        text.extend_from_slice(rest.as_bytes());
        Self {
            text: text.into(),
            holes: holes.into(),
        }
    }

    fn render(
        &self,
        call: &Call,
        sequence: u64,
        own_host: &[u8],
        to: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let digits = hexadecimal(sequence);
        let mut from = 0;
        let mut written = 0;
        for &(at, field) in &self.holes {
            written = put(out, written, self.text.get(from..at)?)?;
            from = at;
            let filling = match field {
                Field::User => call.user.as_bytes(),
                Field::Caller => call.caller.as_bytes(),
                Field::Domain => call.domain.as_bytes(),
                Field::FromHost if call.from_host.as_bytes().is_empty() => own_host,
                Field::FromHost => call.from_host.as_bytes(),
                Field::Address => call.address.as_bytes(),
                Field::Agent => call.agent.as_bytes(),
                Field::ReportedCalls => call.reported_calls.as_bytes(),
                Field::Sequence => &digits,
                Field::To => to,
            };
            written = put(out, written, filling)?;
        }
        put(out, written, self.text.get(from..)?)
    }
}

fn first_hole(text: &str) -> Option<(usize, &'static str, Field)> {
    FIELDS
        .iter()
        .filter_map(|&(name, field)| Some((text.find(name)?, name, field)))
        .min_by_key(|&(at, ..)| at)
}

fn put(out: &mut [u8], at: usize, octets: &[u8]) -> Option<usize> {
    let end = at + octets.len();
    out.get_mut(at..end)?.copy_from_slice(octets);
    Some(end)
}

/// The last ten hexadecimal digits of a number.
fn hexadecimal(number: u64) -> [u8; SEQUENCE_DIGITS] {
    let mut digits = [b'0'; SEQUENCE_DIGITS];
    let mut rest = number;
    for place in digits.iter_mut().rev() {
        let [low, ..] = rest.to_le_bytes();
        *place = match low & 15 {
            digit @ 0..10 => b'0' + digit,
            digit => b'a' + digit - 10,
        };
        rest >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DATAGRAM_BYTES_MAX;
    use crate::mix::Mix;
    use crate::source::Calls;

    const MIX: Calls = Calls::Mix(Mix { seed: 1 });

    fn messages(run: u32) -> Messages {
        Messages::new(
            "127.0.0.1:5070".parse().unwrap(),
            "127.0.0.1:5060".parse().unwrap(),
            run,
        )
    }

    fn invite(run: u32, sequence: u64) -> String {
        let mut out = [0; DATAGRAM_BYTES_MAX];
        let length = messages(run)
            .invite(&MIX.call(sequence), sequence, &mut out)
            .unwrap();
        String::from_utf8(out[..length].to_vec()).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_calls_but_for_branch_call_id_and_tag() {
        for sequence in 0..200 {
            let one = invite(0x1234_5678, sequence);
            let other = invite(0x9abc_def0, sequence);
            assert_ne!(one, other);
            assert_eq!(one, other.replace("9abcdef0", "12345678"));
            let differ: Vec<&str> = one
                .lines()
                .zip(other.lines())
                .filter(|(a, b)| a != b)
                .map(|(a, _)| a.split_once(':').map_or("", |(name, _)| name))
                .collect();
            assert_eq!(differ, ["Via", "From", "Call-ID"]);
        }
    }

    #[test]
    fn an_invite_has_the_size_of_a_real_one() {
        for sequence in 0..1000 {
            let length = invite(1, sequence).len();
            assert!((900..=1050).contains(&length), "{length}");
        }
    }

    #[test]
    fn content_length_is_the_length_of_the_body() {
        for local in ["127.0.0.1:5070", "[::1]:40000"] {
            let messages = Messages::new(local.parse().unwrap(), "[::1]:5060".parse().unwrap(), 1);
            let mut out = [0; DATAGRAM_BYTES_MAX];
            let length = messages.invite(&MIX.call(0), 0, &mut out).unwrap();
            let text = str::from_utf8(&out[..length]).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let stated = format!("Content-Length: {}", body.len());
            assert!(head.ends_with(&stated), "{head}");
            assert!((200..=300).contains(&body.len()), "{}", body.len());
        }
    }

    #[test]
    fn a_branch_of_another_run_is_not_ours() {
        let ours = messages(0x00c0_ffee);
        for (branch, sequence) in [
            ("z9hG4bK00c0ffee00000000ff", Some(255)),
            ("z9hG4bK00c0ffeeffffffffff", Some((1 << 40) - 1)),
            ("z9hG4bK00c0ffef00000000ff", None),
            ("z9hG4bK00c0ffee00000000fg", None),
            ("z9hG4bK00c0ffee+0000000ff", None),
            ("z9hG4bK00c0ffee00000000FF", None),
            ("z9hG4bK00c0ffee0000000ff", None),
            ("00c0ffee00000000ff", None),
            ("", None),
        ] {
            assert_eq!(ours.sequence_of(branch.as_bytes()), sequence, "{branch}");
        }
    }

    #[test]
    fn call_id_and_from_tag_must_be_those_of_the_branch() {
        let ours = messages(0xab);
        let branch = b"z9hG4bK000000ab0000000001";
        for (from_tag, call_id, agree) in [
            (
                "as000000ab0000000001",
                "000000ab0000000001@127.0.0.1:5070",
                true,
            ),
            (
                "as000000ab0000000002",
                "000000ab0000000001@127.0.0.1:5070",
                false,
            ),
            (
                "as000000ab0000000001",
                "000000ab0000000002@127.0.0.1:5070",
                false,
            ),
            (
                "as000000ab0000000001",
                "000000ab0000000001@127.0.0.1:5071",
                false,
            ),
            ("", "", false),
        ] {
            let echo = Echo {
                branch,
                from_tag: from_tag.as_bytes(),
                call_id: call_id.as_bytes(),
            };
            assert_eq!(ours.agree(&echo), agree, "{from_tag} {call_id}");
        }
        assert_eq!(ours.call_id(1), "000000ab0000000001@127.0.0.1:5070");
    }

    #[test]
    fn too_little_room_is_said_not_cut() {
        let mut out = [0; 100];
        assert_eq!(messages(1).invite(&MIX.call(0), 0, &mut out), None);
    }
}
