//! One event: raw facts and what was decided, copied out of the datagram. Fixed size.

use super::outcome::Outcome;
use crate::policy::{Decision, Facts, Verdict};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A text of an event: as much of it as an event holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    bytes: &'a [u8],
    cut: bool,
}

impl<'a> Text<'a> {
    /// The octets.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the original was longer.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

/// What an INVITE said, as far as an event tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said<'a> {
    /// Call-ID; 128 octets of it are kept.
    pub call_id: &'a [u8],
    /// The From tag; 64.
    pub from_tag: &'a [u8],
    /// The user that trusted screening headers named, else the calling number; 64.
    pub caller: &'a [u8],
    /// The calling number as received, from the headers that the domain's `calling_from` names; 64.
    pub calling: &'a [u8],
    /// User part of the Request-URI as received; 128.
    pub dialled: &'a [u8],
    /// The user agent that the rules saw: what trusted screening headers named; without such headers, User-Agent; 128.
    pub agent: &'a [u8],
}

/// How many octets of each text are kept at most, in the order of `Said`.
const KEPT_BYTES_MAX: [usize; 6] = [128, 64, 64, 64, 128, 128];

/// Room for all texts at their longest.
const TEXTS_BYTES: usize = {
    let [call_id, from_tag, caller, calling, dialled, agent] = KEPT_BYTES_MAX;
    call_id + from_tag + caller + calling + dialled + agent
};

/// The texts of an event, one behind the other: those of an ordinary call fill two cache lines, where a place for each would
/// touch six.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Texts {
    /// Where each ends and the next begins.
    ends: [u16; 6],
    /// Bit n: the nth was longer.
    cut: u8,
    bytes: [u8; TEXTS_BYTES],
}

impl Texts {
    const EMPTY: Self = Self {
        ends: [0; 6],
        cut: 0,
        bytes: [0; TEXTS_BYTES],
    };

    fn clear(&mut self) {
        self.ends = [0; 6];
        self.cut = 0;
    }

    fn set(&mut self, texts: [&[u8]; 6]) {
        let mut at = 0_usize;
        self.cut = 0;
        let places = self.ends.iter_mut().zip(KEPT_BYTES_MAX);
        for (number, (text, (end, kept_bytes_max))) in texts.into_iter().zip(places).enumerate() {
            let kept = text.get(..kept_bytes_max).unwrap_or(text);
            self.cut |= u8::from(kept.len() < text.len()) << number;
            let after = at + kept.len();
            if let Some(to) = self.bytes.get_mut(at..after) {
                to.copy_from_slice(kept);
            }
            at = after;
            // There is room for all, and fewer than 65,536 octets.
            *end = u16::try_from(at).unwrap_or(0);
        }
    }

    fn get(&self, number: usize) -> Text<'_> {
        let end_of = |number: usize| usize::from(self.ends.get(number).copied().unwrap_or(0));
        let start = number.checked_sub(1).map_or(0, end_of);
        Text {
            bytes: self.bytes.get(start..end_of(number)).unwrap_or_default(),
            cut: self.cut >> number & 1 == 1,
        }
    }
}

/// What became of one datagram, and of an INVITE what it said and what was decided.
///
/// What every event has stands first, the texts last, as they lie in memory: so much of the block as is not written stays cold.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Event {
    /// Microseconds since 1970 UTC, of its batch.
    pub unix_us: u64,
    /// What was decided; INVITEs that reached the policy only.
    pub decision: Option<Decision>,
    /// The packet's source.
    pub source: SocketAddr,
    /// Simultaneous calls that the PBX reported.
    pub reported_calls: Option<u32>,
    /// `Snapshot::number` of the policy that decided: what the numbers in `decision` mean.
    pub snapshot: u32,
    /// The shard.
    pub shard: u16,
    /// Status of the answer that was written; `None`: silence.
    pub status: Option<u16>,
    /// The verdict on an INVITE, errors before the policy included; `None`: no INVITE.
    pub verdict: Option<Verdict>,
    /// What became of it.
    pub outcome: Outcome,
    /// Who asks: the source, or who stands behind a listed proxy.
    pub peer: IpAddr,
    /// The listed proxy, if one stood between.
    pub proxy: Option<IpAddr>,
    /// The caller's own address that trusted screening headers named.
    pub address: Option<IpAddr>,
    texts: Texts,
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
        address: None,
        reported_calls: None,
        texts: Texts::EMPTY,
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
        self.address = None;
        self.reported_calls = None;
        self.texts.clear();
    }

    /// Copies these texts in place of those before.
    pub fn say(&mut self, said: &Said<'_>) {
        let Said {
            call_id,
            from_tag,
            caller,
            calling,
            dialled,
            agent,
        } = *said;
        self.texts
            .set([call_id, from_tag, caller, calling, dialled, agent]);
    }

    /// See `Said`; so are the others.
    #[must_use]
    pub fn call_id(&self) -> Text<'_> {
        self.texts.get(0)
    }

    /// The From tag.
    #[must_use]
    pub fn from_tag(&self) -> Text<'_> {
        self.texts.get(1)
    }

    /// The caller.
    #[must_use]
    pub fn caller(&self) -> Text<'_> {
        self.texts.get(2)
    }

    /// The calling number.
    #[must_use]
    pub fn calling(&self) -> Text<'_> {
        self.texts.get(3)
    }

    /// What was dialled.
    #[must_use]
    pub fn dialled(&self) -> Text<'_> {
        self.texts.get(4)
    }

    /// The user agent.
    #[must_use]
    pub fn agent(&self) -> Text<'_> {
        self.texts.get(5)
    }

    /// Copies what an INVITE said. Screening headers count only if `screening_trusted`: what was not believed must not
    /// pass for a fact.
    pub fn set_attempt(
        &mut self,
        attempt: &impl Facts,
        screening_trusted: bool,
        calling_number: &[u8],
    ) {
        let (user, agent) = if screening_trusted {
            (attempt.screening_user(), attempt.screening_agent())
        } else {
            (None, attempt.user_agent())
        };
        self.say(&Said {
            call_id: attempt.call_id(),
            from_tag: attempt.tag_of_from(),
            caller: user.unwrap_or(calling_number),
            calling: calling_number,
            dialled: attempt.user_part(),
            agent: agent.unwrap_or_default(),
        });
        (self.address, self.reported_calls) = if screening_trusted {
            (attempt.screening_address(), attempt.reported_calls())
        } else {
            (None, None)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &Event, expected: [(&[u8], bool); 6]) {
        let texts = [
            event.call_id(),
            event.from_tag(),
            event.caller(),
            event.calling(),
            event.dialled(),
            event.agent(),
        ];
        assert_eq!(texts.map(|text| (text.bytes(), text.is_cut())), expected);
    }

    #[test]
    fn texts_of_an_event_are_told_apart_and_leave_nothing_behind() {
        let mut event = Event::EMPTY;
        check(&event, [(b"", false); 6]);
        event.say(&Said {
            call_id: b"1@a",
            from_tag: b"",
            caller: b"1001",
            calling: b"anonymous",
            dialled: b"0043",
            agent: b"A",
        });
        check(
            &event,
            [
                (b"1@a", false),
                (b"", false),
                (b"1001", false),
                (b"anonymous", false),
                (b"0043", false),
                (b"A", false),
            ],
        );
        event.begin(0, 0, event.source, Outcome::Unparsable);
        check(&event, [(b"", false); 6]);
    }

    #[test]
    fn a_longer_text_is_cut_and_says_so() {
        let long = [b'x'; 129];
        let (long, kept) = (&long[..], &long[..128]);
        let mut event = Event::EMPTY;
        event.say(&Said {
            call_id: long,
            from_tag: long,
            caller: long,
            calling: long,
            dialled: long,
            agent: long,
        });
        let half = &kept[..64];
        check(
            &event,
            [
                (kept, true),
                (half, true),
                (half, true),
                (half, true),
                (kept, true),
                (kept, true),
            ],
        );
        event.say(&Said {
            call_id: kept,
            caller: half,
            agent: kept,
            ..Said::default()
        });
        check(
            &event,
            [
                (kept, false),
                (b"", false),
                (half, false),
                (b"", false),
                (b"", false),
                (kept, false),
            ],
        );
    }

    #[test]
    fn an_ordinary_event_writes_few_cache_lines() {
        let said = std::mem::offset_of!(Event, texts) + std::mem::offset_of!(Texts, bytes);
        assert_eq!(align_of::<Event>(), 64);
        assert!(said <= 4 * 64, "{said} octets before the first text");
    }
}
