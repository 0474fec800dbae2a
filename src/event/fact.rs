//! One event: raw facts and what was decided, copied out of the datagram. Fixed size.

use super::outcome::Outcome;
use crate::policy::{CallAttempt, Decision, Screening, Verdict};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A bounded copy of octets from the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<const BYTES: usize> {
    length: u16,
    cut: bool,
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Text<BYTES> {
    /// Nothing.
    pub const EMPTY: Self = Self {
        length: 0,
        cut: false,
        bytes: [0; BYTES],
    };

    /// Copies as much of `text` as fits.
    pub fn set(&mut self, text: &[u8]) {
        let length = text.len().min(BYTES);
        if let (Some(to), Some(from)) = (self.bytes.get_mut(..length), text.get(..length)) {
            to.copy_from_slice(from);
        }
        self.length = u16::try_from(length).unwrap_or(u16::MAX);
        self.cut = length < text.len();
    }

    /// The octets.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Whether the original was longer.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

/// What became of one datagram, and of an INVITE what it said and what was decided.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// `Snapshot::number` of the policy that decided: what the numbers in `decision` mean.
    pub snapshot: u32,
    /// Microseconds since 1970 UTC, of its batch.
    pub unix_us: u64,
    /// The shard.
    pub shard: u16,
    /// The packet's source.
    pub source: SocketAddr,
    /// What became of it.
    pub outcome: Outcome,
    /// Status of the answer that was written; `None`: silence.
    pub status: Option<u16>,
    /// The verdict on an INVITE, errors before the policy included; `None`: no INVITE.
    pub verdict: Option<Verdict>,
    /// What was decided; INVITEs that reached the policy only.
    pub decision: Option<Decision>,
    /// Who asks: the source, or who stands behind a listed proxy.
    pub peer: IpAddr,
    /// The listed proxy, if one stood between.
    pub proxy: Option<IpAddr>,
    /// Call-ID.
    pub call_id: Text<128>,
    /// The From tag.
    pub from_tag: Text<64>,
    /// The user that trusted screening headers named, else the calling number.
    pub caller: Text<64>,
    /// The calling number as received, from the headers that the domain's `calling_from` names.
    pub calling: Text<64>,
    /// User part of the Request-URI as received.
    pub dialled: Text<128>,
    /// The user agent that the rules saw: what trusted screening headers named; without such headers, User-Agent.
    pub agent: Text<128>,
    /// The caller's own address that trusted screening headers named.
    pub address: Option<IpAddr>,
    /// Simultaneous calls that the PBX reported.
    pub reported_calls: Option<u32>,
}

impl Event {
    /// Nothing yet.
    pub const EMPTY: Self = Self {
        snapshot: 0,
        unix_us: 0,
        shard: 0,
        source: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        outcome: Outcome::Unparsable,
        status: None,
        verdict: None,
        decision: None,
        peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        proxy: None,
        call_id: Text::EMPTY,
        from_tag: Text::EMPTY,
        caller: Text::EMPTY,
        calling: Text::EMPTY,
        dialled: Text::EMPTY,
        agent: Text::EMPTY,
        address: None,
        reported_calls: None,
    };

    /// Makes it an event of which nothing is known but when, where from and what became of it. The octets that were
    /// here before stay behind the lengths: clearing them would cost more than all the rest.
    pub fn begin(&mut self, unix_us: u64, shard: u16, source: SocketAddr, outcome: Outcome) {
        self.snapshot = 0;
        self.unix_us = unix_us;
        self.shard = shard;
        self.source = source;
        self.outcome = outcome;
        self.status = None;
        self.verdict = None;
        self.decision = None;
        self.peer = source.ip();
        self.proxy = None;
        self.call_id.set(&[]);
        self.from_tag.set(&[]);
        self.caller.set(&[]);
        self.calling.set(&[]);
        self.dialled.set(&[]);
        self.agent.set(&[]);
        self.address = None;
        self.reported_calls = None;
    }

    /// Copies what an INVITE said. Screening headers count only if `screening_trusted`: what was not believed must not
    /// pass for a fact.
    pub fn set_attempt(
        &mut self,
        attempt: &CallAttempt<'_>,
        screening_trusted: bool,
        calling_number: &[u8],
    ) {
        let (screening, agent) = if screening_trusted {
            (attempt.screening, attempt.screening.agent)
        } else {
            (Screening::NONE, attempt.user_agent)
        };
        self.caller.set(screening.user.unwrap_or(calling_number));
        self.calling.set(calling_number);
        self.dialled.set(attempt.user_part);
        self.agent.set(agent.unwrap_or_default());
        self.address = screening.address;
        self.reported_calls = screening.reported_calls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_text_is_cut_and_says_so() {
        let mut text = Text::<4>::EMPTY;
        for (given, kept, cut) in [
            ("", "", false),
            ("abcd", "abcd", false),
            ("abcde", "abcd", true),
            ("x", "x", false),
        ] {
            text.set(given.as_bytes());
            assert_eq!(text.bytes(), kept.as_bytes());
            assert_eq!(text.is_cut(), cut, "{given}");
        }
    }
}
