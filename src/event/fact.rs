//! One event: raw facts and what was decided, copied out of the datagram. Fixed size.

use super::outcome::Outcome;
use crate::policy::{CallAttempt, Decision, Screening};
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
    /// What was decided; INVITEs that reached the policy only.
    pub decision: Option<Decision>,
    /// Who asks: the source, or who stands behind a listed proxy.
    pub peer: IpAddr,
    /// The listed proxy, if one stood between.
    pub proxy: Option<IpAddr>,
    /// Call-ID.
    pub call_id: Text<96>,
    /// The From tag.
    pub from_tag: Text<48>,
    /// User of the From URI.
    pub from_user: Text<48>,
    /// The calling number as received, from the headers that the domain's `calling_from` names.
    pub calling_number: Text<48>,
    /// The user that the screening headers named; this and what else they said only where the domain trusts them.
    pub screening_user: Text<48>,
    /// User part of the Request-URI as received.
    pub dialled: Text<80>,
    /// The user agent that the rules saw: what trusted screening headers named; without such headers, User-Agent.
    pub agent: Text<80>,
    /// The caller's own address that the screening headers named.
    pub address: Option<IpAddr>,
    /// Simultaneous calls that the PBX reported.
    pub reported_calls: Option<u32>,
}

impl Event {
    /// Nothing yet.
    pub const EMPTY: Self = Self {
        unix_us: 0,
        shard: 0,
        source: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        outcome: Outcome::Unparsable,
        status: None,
        decision: None,
        peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        proxy: None,
        call_id: Text::EMPTY,
        from_tag: Text::EMPTY,
        from_user: Text::EMPTY,
        calling_number: Text::EMPTY,
        screening_user: Text::EMPTY,
        dialled: Text::EMPTY,
        agent: Text::EMPTY,
        address: None,
        reported_calls: None,
    };

    /// Copies what an INVITE said; the octets that were here before stay behind the lengths. Screening headers count only
    /// if `screening_trusted`: what was not believed must not pass for a fact.
    pub fn set_attempt(&mut self, attempt: &CallAttempt<'_>, screening_trusted: bool) {
        let (screening, agent) = if screening_trusted {
            (attempt.screening, attempt.screening.agent)
        } else {
            (Screening::NONE, attempt.user_agent)
        };
        self.peer = attempt.peer_address;
        self.proxy = attempt.proxy_address;
        self.from_user.set(attempt.from_user);
        self.screening_user.set(screening.user.unwrap_or_default());
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
