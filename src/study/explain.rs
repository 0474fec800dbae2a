//! `tollgate explain`: one call, told as a datagram, through the same reading as any other.
//!
//! Promises: what is explained went through `uas` as a packet would, so an error that a PBX would get is told as that.

use crate::clock::Now;
use crate::policy::counting::Counting;
use crate::policy::{Snapshot, Step};
use crate::uas::{Admission, Packet, Slot, Uas};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// A call as somebody describes it.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// What is dialled: the user part of the Request-URI.
    pub number: String,
    /// Who calls: the From user, and the caller of P-tfps.
    pub caller: Option<String>,
    /// The domain: the From host, and the domain of P-tfps.
    pub domain: Option<String>,
    /// The caller's own address.
    pub address: Option<IpAddr>,
    /// The caller's user agent.
    pub agent: Option<String>,
    /// Simultaneous calls that the PBX reports.
    pub reported_calls: Option<u32>,
}

impl Question {
    /// The INVITE of this call, which comes from `peer`.
    ///
    /// # Errors
    /// A sentence about what cannot stand in an INVITE.
    pub fn datagram(&self, peer: IpAddr) -> Result<Vec<u8>, String> {
        let texts = [
            ("the number", Some(&self.number)),
            ("the caller", self.caller.as_ref()),
            ("the domain", self.domain.as_ref()),
            ("the agent", self.agent.as_ref()),
        ];
        for (what, text) in texts {
            let controls = |text: &&String| text.chars().any(char::is_control);
            if text.filter(controls).is_some() {
                return Err(format!("{what} has a control character"));
            }
        }
        let Self { number, .. } = self;
        let host = match peer {
            IpAddr::V4(peer) => peer.to_string(),
            IpAddr::V6(peer) => format!("[{peer}]"),
        };
        let caller = self.caller.as_deref().unwrap_or("anonymous");
        let from_host = self.domain.as_deref().unwrap_or(&host);
        let mut text = format!(
            "INVITE sip:{number}@explain.invalid SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bKexplain\r\n\
             From: <sip:{caller}@{from_host}>;tag=explain\r\nTo: <sip:{number}@explain.invalid>\r\n\
             Call-ID: explain\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
        );
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
        let screened = self.address.is_some()
            || self.agent.is_some()
            || self.reported_calls.is_some()
            || self.domain.is_some();
        if screened {
            let address = self.address.map(|address| address.to_string());
            let calls = self.reported_calls.map(|calls| calls.to_string());
            // Writing to a String cannot fail.
            let _written = write!(
                text,
                "P-tfps: {};{};{};{};{}\r\n",
                or_nothing(&self.caller),
                or_nothing(&self.domain),
                or_nothing(&address),
                or_nothing(&self.agent),
                or_nothing(&calls),
            );
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        Ok(text.into_bytes())
    }
}

/// Every step of the call in a datagram that came from `source`.
///
/// # Errors
/// A sentence why it is no call that a policy decides.
pub fn explain<C: Counting>(
    policy: &Snapshot,
    datagram: &[u8],
    source: IpAddr,
    counts: &C,
    now: Now,
) -> Result<Vec<Step>, String> {
    let packet = Packet {
        bytes: datagram,
        full_length: datagram.len(),
        source: SocketAddr::new(source, 5060),
    };
    let mut slot = Slot::new();
    // No answer is written, so nobody sees a tag made with this key.
    let uas = Uas::new([0; 16]);
    uas.scan(policy, &packet, &mut slot);
    uas.admit(policy, &packet, &mut slot);
    match (slot.admission(), slot.attempt(datagram)) {
        (Admission::Call, Some(attempt)) => Ok(policy.explain(&attempt, counts, now)),
        (Admission::UnknownSource, _) => Err(format!(
            "{source} is nobody's peer: silence. Domains have peers; --peer says who asks"
        )),
        (Admission::CallError(error), _) => Err(format!(
            "an error before any rule: RFC 3261's own status is {}, the domain's profile may wear it otherwise",
            error.text()
        )),
        (other, _) => Err(format!("no INVITE that is decided: {}", instead(other))),
    }
}

/// What a datagram is that is no INVITE, and what it gets.
fn instead(admission: Admission) -> String {
    let text = match admission {
        Admission::Refused(error) => return format!("a request that gets {}", error.text()),
        Admission::UnknownSource => "from nobody's peer: silence",
        Admission::KeepAlive => "line ends, blanks or nothing: silence",
        Admission::Response => "a response: silence",
        Admission::Ack => "an ACK: silence (RFC 3261 §8.2.7)",
        Admission::Unparsable => "no request with a Via that an answer could go to: silence",
        Admission::Options | Admission::OptionsDrainingProxy | Admission::OptionsDrainingPeer => {
            "OPTIONS: 200"
        }
        Admission::BadExtension => "a request that requires an extension: 420",
        Admission::Cancel => "a CANCEL: 200",
        Admission::NoTransaction => "a request within a dialog: 481",
        Admission::MethodNotAllowed => "a method that is not served: 405",
        Admission::MethodUnknown => "an unknown method: 501",
        Admission::CallError(_) | Admission::Call => "an INVITE that cannot be read",
    };
    text.to_owned()
}
