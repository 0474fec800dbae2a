//! INVITE, ACK and OPTIONS as templates, filled in place.
//!
//! Promises: a message is its template with the holes filled, rendered into the caller's octets without allocating; a
//! retransmission rendered again is byte-identical (it follows from the call alone); ACK has the INVITE's branch,
//! Request-URI and `CSeq` number and the answer's To (RFC 3261 §17.1.1.3); an INVITE with credentials has a branch and a
//! `CSeq` number of its own, and the Call-ID and From tag of the first (§22.2). The INVITE's shape is `chan_sip`'s, with its
//! header order. Leaves to `check`: an independent reading of all.

mod template;
mod usual;

use std::net::SocketAddr;

use crate::answer::Answer;
use crate::call::{Call, Datagram, Family};
use crate::fault::spoil;
use crate::limits::{ACK_BYTES_STEP, HOST_BYTES_MAX, INVITE_BYTES_STEP};
use crate::recent::Brief;
use crate::text::{Octets, Text};

use template::{Template, Values};
use usual::Usual;

/// The number that every INVITE's `CSeq` has, as `chan_sip`'s first one does.
pub const CSEQ: u32 = 102;

/// The magic cookie of RFC 3261 §8.1.1.7.
const BRANCH_COOKIE: &[u8] = b"z9hG4bK";
/// Hexadecimal digits of the run in branch, Call-ID and tag.
const RUN_DIGITS: usize = 8;
/// Hexadecimal digits of the call's number in branch, Call-ID and tag.
const SEQUENCE_DIGITS: usize = 10;

const INVITE: &str = "INVITE sip:{user}@{target} SIP/2.0\r
Via: SIP/2.0/{transport} {local};branch=z9hG4bK{run}{sequence}{attempt}\r
Max-Forwards: 70\r
From: <sip:{caller}@{from_host}>;tag=as{run}{sequence}\r
To: <sip:{user}@{target}>\r
Contact: <sip:{caller}@{local}{contact_transport}>\r
Call-ID: {run}{sequence}@{local}\r
CSeq: {cseq} INVITE\r
User-Agent: {own_agent}\r
{authorization}Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE\r
Supported: replaces, timer\r
Session-Expires: 1800\r
Min-SE: 90\r
{screening}Content-Type: {padding}application/sdp\r
Content-Length: {length}\r
\r
";

/// What each family says of the caller, and as whom its INVITE's User-Agent presents itself.
const FAMILIES: [(Family, &str, &str); 4] = [
    (
        Family::PTfps,
        "P-tfps: {caller};{domain};{address};{agent};{reported_calls}\r\n",
        OWN_AGENT,
    ),
    (
        Family::XTfps,
        "X-tfps: {caller};{domain}\r\nP-Received: {address}\r\nP-UA: {agent}\r\nP-Calls: {reported_calls}\r\n",
        OWN_AGENT,
    ),
    (
        Family::Received,
        "P-Received: {address}\r\nP-UA: {agent}\r\nP-Calls: {reported_calls}\r\n",
        OWN_AGENT,
    ),
    (Family::Bare, "", "{agent}"),
];

const OWN_AGENT: &str = concat!("tollgate-loadgen ", env!("CARGO_PKG_VERSION"));

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

/// What RFC 3261 §17.1.1.3 wants of it and no more, as `PJSIP` sends it: no Contact, no User-Agent.
const ACK: &str = "ACK sip:{user}@{target} SIP/2.0\r
Via: SIP/2.0/{transport} {local};branch=z9hG4bK{run}{sequence}{attempt}\r
Max-Forwards: 70\r
From: <sip:{caller}@{from_host}>;tag=as{run}{sequence}\r
To: {to}\r
Call-ID: {run}{sequence}@{local}\r
CSeq: {cseq} ACK\r
Content-Length: {padding}0\r
\r
";

/// A probe as a proxy sends it (RFC 3261 §11); its number stands where a call's does, behind a letter that no call has.
const OPTIONS: &str = "OPTIONS sip:{target} SIP/2.0\r
Via: SIP/2.0/{transport} {local};branch=z9hG4bK{run}p{sequence}\r
Max-Forwards: 70\r
From: <sip:loadgen@{local}>;tag=ap{run}{sequence}\r
To: <sip:{target}>\r
Call-ID: {run}p{sequence}@{local}\r
CSeq: 102 OPTIONS\r
User-Agent: {own_agent}\r
Content-Length: 0\r
\r
";

/// Which INVITE of a call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attempt {
    /// Without credentials.
    #[default]
    Plain,
    /// With the credentials that the server asked for (RFC 3261 §22.2).
    Authorized,
}

impl Attempt {
    /// The number of its `CSeq`.
    #[must_use]
    pub fn cseq(self) -> u32 {
        match self {
            Self::Plain => CSEQ,
            Self::Authorized => CSEQ + 1,
        }
    }

    /// What follows the call's number in the branch.
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Authorized => "a",
        }
    }
}

/// What a message is about: a call and which of its INVITEs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The number of the call.
    pub sequence: u64,
    /// Which of its INVITEs.
    pub attempt: Attempt,
}

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// UDP, each as long as it is.
    Udp,
    /// UDP, padded so that many have the same length and can be sent as a run.
    UdpRuns,
    /// TCP.
    Tcp,
}

/// The messages of a call's first or second INVITE, which differ in branch and `CSeq`.
#[derive(Debug, Clone)]
struct OfAttempt {
    invites: [Template; FAMILIES.len()],
    ack: Template,
}

/// The messages of one socket: its address stands in them.
#[derive(Debug, Clone)]
pub struct Messages {
    plain: OfAttempt,
    authorized: OfAttempt,
    options: Template,
    target: String,
    run: [u8; RUN_DIGITS],
    /// What follows run and sequence in the Call-ID: `@` and the socket's address.
    call_id_tail: Box<[u8]>,
    /// The socket's address and port as they stand in a URI.
    own_host: Text<HOST_BYTES_MAX>,
    usual: Usual,
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

impl<'a> Echo<'a> {
    /// What an answer repeats.
    #[must_use]
    pub fn of(answer: &Answer<'a>) -> Self {
        Self {
            branch: answer.branch,
            from_tag: answer.from_tag,
            call_id: answer.call_id,
        }
    }
}

impl Messages {
    /// The messages that a socket bound to `local` sends to `target` in run `run`.
    #[must_use]
    pub fn new(local: SocketAddr, target: SocketAddr, run: u32, shape: Shape) -> Self {
        let (family, address) = match local {
            SocketAddr::V4(v4) => ("IP4", v4.ip().to_string()),
            SocketAddr::V6(v6) => ("IP6", v6.ip().to_string()),
        };
        let run = format!("{run:08x}");
        let local = in_uri(local);
        let sdp = SDP
            .replace("{family}", family)
            .replace("{address_text}", &address);
        let (transport, contact_transport) = match shape {
            Shape::Udp | Shape::UdpRuns => ("UDP", ""),
            Shape::Tcp => ("TCP", ";transport=tcp"),
        };
        let fixed = |text: &str| {
            text.replace("{target}", &in_uri(target))
                .replace("{local}", &local)
                .replace("{run}", &run)
                .replace("{transport}", transport)
                .replace("{contact_transport}", contact_transport)
                .replace("{length}", &sdp.len().to_string())
        };
        let (invite_step, ack_step) = match shape {
            Shape::Udp | Shape::Tcp => (1, 1),
            Shape::UdpRuns => (INVITE_BYTES_STEP, ACK_BYTES_STEP),
        };
        let of_attempt = |attempt: Attempt| {
            let fixed = |text: &str| {
                fixed(text)
                    .replace("{attempt}", attempt.suffix())
                    .replace("{cseq}", &attempt.cseq().to_string())
            };
            let plain = attempt == Attempt::Plain;
            OfAttempt {
                invites: FAMILIES.map(|(_, screening, agent)| {
                    let text = INVITE
                        .replace("{screening}", screening)
                        .replace("{own_agent}", agent)
                        .replace(if plain { "{authorization}" } else { "" }, "");
                    Template::compile(&(fixed(&text) + &sdp), invite_step)
                }),
                ack: Template::compile(&fixed(ACK), ack_step),
            }
        };
        let options = fixed(&OPTIONS.replace("{own_agent}", OWN_AGENT));
        let mut run_digits = [0; RUN_DIGITS];
        run_digits.copy_from_slice(run.as_bytes());
        let call_id_tail = format!("@{local}").into_bytes();
        let via = format!("Via: SIP/2.0/{transport} {local};branch=z9hG4bK{run}");
        Self {
            plain: of_attempt(Attempt::Plain),
            authorized: of_attempt(Attempt::Authorized),
            options: Template::compile(&options, 1),
            target: in_uri(target),
            run: run_digits,
            usual: Usual::new(via, &call_id_tail),
            call_id_tail: call_id_tail.into(),
            // An IPv6 address in brackets with its port has 47 octets.
            own_host: Text::of(local.as_bytes()).unwrap_or_default(),
        }
    }

    /// Writes the INVITE of a call, with the fault that the call has on purpose; `None` if `out` is too short.
    pub fn invite(&self, call: &Call, sequence: u64, out: &mut [u8]) -> Option<usize> {
        let name = Name {
            sequence,
            attempt: Attempt::Plain,
        };
        self.write_invite(call, name, b"", out)
    }

    /// Writes the INVITE of a call with credentials: `authorization` is the whole header line with its line end.
    pub fn authorized_invite(
        &self,
        call: &Call,
        sequence: u64,
        authorization: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let name = Name {
            sequence,
            attempt: Attempt::Authorized,
        };
        self.write_invite(call, name, authorization, out)
    }

    fn write_invite(
        &self,
        call: &Call,
        name: Name,
        authorization: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let values = Values {
            user: call.user.octets(),
            caller: call.caller.octets(),
            domain: call.domain.octets(),
            from_host: self.host_or_own(&call.from_host),
            address: call.address.octets(),
            agent: call.agent.octets(),
            reported_calls: call.reported_calls.octets(),
            sequence: name.sequence,
            authorization: authorization.into(),
            to: Octets::default(),
        };
        let [p_tfps, x_tfps, received, bare] = &self.of(name.attempt).invites;
        let template = match call.family {
            Family::PTfps => p_tfps,
            Family::XTfps => x_tfps,
            Family::Received => received,
            Family::Bare => bare,
        };
        let length = template.render(&values, out)?;
        match call.datagram {
            Datagram::Invite => Some(length),
            Datagram::Faulty(fault) => spoil(fault, out, length),
        }
    }

    /// Writes the ACK for an answer whose To header's value is `to`; `None` if `out` is too short.
    pub fn ack(&self, call: &Brief, name: Name, to: &[u8], out: &mut [u8]) -> Option<usize> {
        let values = Values {
            user: call.user.octets(),
            caller: call.caller.octets(),
            from_host: self.host_or_own(&call.from_host),
            sequence: name.sequence,
            to: to.into(),
            ..Values::default()
        };
        self.of(name.attempt).ack.render(&values, out)
    }

    fn of(&self, attempt: Attempt) -> &OfAttempt {
        match attempt {
            Attempt::Plain => &self.plain,
            Attempt::Authorized => &self.authorized,
        }
    }

    /// Writes the OPTIONS of this number; `None` if `out` is too short.
    pub fn options(&self, number: u64, out: &mut [u8]) -> Option<usize> {
        let values = Values {
            sequence: number,
            ..Values::default()
        };
        self.options.render(&values, out)
    }

    /// The Request-URI of a call, which a digest covers.
    #[must_use]
    pub fn request_uri(&self, call: &Call) -> String {
        let user = String::from_utf8_lossy(call.user.as_bytes());
        format!("sip:{user}@{}", self.target)
    }

    /// The From host of a call, or the socket's address and port as they stand in a URI.
    fn host_or_own<'a>(&'a self, host: &'a Text<HOST_BYTES_MAX>) -> Octets<'a> {
        let host = host.octets();
        if host.is_empty() {
            return self.own_host.octets();
        }
        host
    }

    /// The call whose branch this is, and which of its INVITEs; `None` if it is none of this run's.
    #[must_use]
    pub fn name_of(&self, branch: &[u8]) -> Option<Name> {
        let rest = branch
            .strip_prefix(BRANCH_COOKIE)?
            .strip_prefix(&self.run)?;
        let (digits, suffix) = rest.split_at_checked(SEQUENCE_DIGITS)?;
        let attempt = [Attempt::Plain, Attempt::Authorized]
            .into_iter()
            .find(|attempt| attempt.suffix().as_bytes() == suffix)?;
        Some(Name {
            sequence: number_of(digits)?,
            attempt,
        })
    }

    /// Reads an answer to a call's first INVITE that is written as most are: it repeats branch, From tag, Call-ID and `CSeq` of the
    /// call that is told with it. `None` says nothing: it is for [`Answer::parse`], [`Self::name_of`] and [`Self::agree`] then.
    #[must_use]
    pub fn read_usual<'a>(&self, datagram: &'a [u8]) -> Option<(Answer<'a>, Name)> {
        let (answer, sequence) = self.usual.read(datagram)?;
        let name = Name {
            sequence,
            attempt: Attempt::Plain,
        };
        Some((answer, name))
    }

    /// The number of the OPTIONS whose branch this is; `None` if it is none of this run's.
    #[must_use]
    pub fn probe_of(&self, branch: &[u8]) -> Option<u64> {
        let rest = branch
            .strip_prefix(BRANCH_COOKIE)?
            .strip_prefix(&self.run)?;
        let digits = rest.strip_prefix(b"p")?;
        (digits.len() == SEQUENCE_DIGITS)
            .then(|| number_of(digits))
            .flatten()
    }

    /// Whether an answer with a branch of this run also repeats the From tag and the Call-ID of that call.
    #[must_use]
    pub fn agree(&self, echo: &Echo<'_>) -> bool {
        let name = echo
            .branch
            .get(BRANCH_COOKIE.len()..BRANCH_COOKIE.len() + RUN_DIGITS + SEQUENCE_DIGITS);
        let Some(name) = name else {
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

/// The number that ten hexadecimal digits (lower case) stand for.
fn number_of(digits: &[u8]) -> Option<u64> {
    let mut number = 0;
    let mut all = 0;
    for &digit in digits {
        let value = VALUES.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT);
        all |= value;
        number = number << 4 | u64::from(value);
    }
    (all & NO_DIGIT == 0).then_some(number)
}

/// A bit that no digit's value has.
const NO_DIGIT: u8 = 0x80;

/// What each octet is worth as a hexadecimal digit: the digits of successive calls follow no pattern that a branch could be
/// foretold by.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let letter = if value < 10 { b'0' } else { b'a' - 10 };
        values[(letter + value) as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests;
