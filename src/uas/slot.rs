//! What is known of one datagram between the stages of a batch.
//!
//! Promises: fixed size, no borrow, no heap; filled anew by every scan.
//! Leaves to `uas`: what stands in it; to `event`: the record made of it.

use super::keyed::Identity;
use super::memory::{Key, Recall};
use crate::policy::{
    AnswerPlan, CallAttempt, CallError, Code, ContactPlan, Decision, Facts, Foreseen, HeaderFamily,
    Peer, Prepared, Scheme, Screening, Source, Verdict,
};
use crate::sip::{Kind, Layout, Parts, Request, Span, Status};
use std::net::{IpAddr, Ipv4Addr};

/// What became of a datagram. Every one has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// From an address in no domain: silence, and nothing of it was read.
    UnknownSource,
    /// Line ends, blanks or nothing: silence (RFC 5626 §4.4.1 answers on streams only).
    KeepAlive,
    /// A response: silence. A server without transactions waits for none.
    Response,
    /// An ACK, well-formed or not: silence (RFC 3261 §8.2.7).
    Ack,
    /// A request without a Via whose sent-by can be read: no answer could find its way, so silence.
    Unparsable,
    /// OPTIONS: 200.
    Options,
    /// OPTIONS while the node drains, from a listed proxy: 503.
    OptionsDrainingProxy,
    /// OPTIONS while the node drains, from a direct peer: silence, since Asterisk takes any answer for life.
    OptionsDrainingPeer,
    /// OPTIONS that requires an extension: 420 (RFC 3261 §8.2.2.3).
    BadExtension,
    /// CANCEL: 200, and the INVITE was answered long ago.
    Cancel,
    /// BYE, UPDATE, PRACK, INFO: 481, no dialog lives here.
    NoTransaction,
    /// A known method that is not served: 405.
    MethodNotAllowed,
    /// An unknown method: 501.
    MethodUnknown,
    /// Another fault of a request that is no INVITE: its own status.
    Refused(CallError),
    /// A fault of an INVITE: its peer's profile says how it is worn.
    CallError(CallError),
    /// An INVITE that was decided: `Slot::decision`.
    Call,
}

/// One datagram of a batch.
#[derive(Debug, Clone)]
pub struct Slot {
    pub(super) layout: Layout,
    /// Where the parts of values in plain form lie.
    pub(super) parts: Parts,
    /// What was read, until `admit` takes it; `None`: nothing, and that is all there is to do.
    pub(super) kind: Option<Kind>,
    pub(super) state: State,
}

/// All of a slot but its layout, so that the layout can be read while this is written.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) admission: Admission,
    pub(super) source: Source,
    pub(super) peer: Option<Peer>,
    pub(super) peer_address: IpAddr,
    pub(super) proxy_address: Option<IpAddr>,
    pub(super) top_via: TopVia,
    pub(super) from_tag: Option<Span>,
    pub(super) to_tag: Option<Span>,
    pub(super) call: CallSpans,
    pub(super) prepared: Option<Prepared>,
    /// What it will be counted by; of use when `prepared` is there.
    pub(super) foreseen: Foreseen,
    pub(super) decision: Option<Decision>,
    pub(super) calling_number: Option<Span>,
    /// What an INVITE is known by that is to be decided; of everything else it is made when a tag is wanted.
    pub(super) identity: Option<Identity>,
    /// What the memory knows an INVITE by; of use when `prepared` is there.
    pub(super) key: Key,
    pub(super) recall: Recall,
    /// The number of the remembered answer that a copy gets.
    pub(super) answer: Option<u16>,
}

/// What the answer needs of the top Via.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TopVia {
    pub(super) value: Span,
    pub(super) received: Option<Span>,
    pub(super) rport: Option<Span>,
    pub(super) port: Option<u16>,
    pub(super) from_elsewhere: bool,
    pub(super) well_formed: bool,
}

/// The facts of an INVITE, as spans.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallSpans {
    pub(super) scheme: Scheme,
    pub(super) user_part: Span,
    pub(super) uri_host: Span,
    pub(super) from_user: Span,
    pub(super) from_host: Span,
    pub(super) asserted_identity_user: Option<Span>,
    pub(super) preferred_identity_user: Option<Span>,
    pub(super) remote_party_user: Option<Span>,
    pub(super) call_id: Span,
    pub(super) user_agent: Option<Span>,
    pub(super) diverted: bool,
    pub(super) family: HeaderFamily,
    pub(super) user: Option<Span>,
    pub(super) domain: Option<Span>,
    pub(super) address: Option<IpAddr>,
    pub(super) agent: Option<Span>,
    pub(super) reported_calls: Option<u32>,
    pub(super) suspect: bool,
}

impl CallSpans {
    const NOTHING: Self = Self {
        scheme: Scheme::Sip,
        user_part: Span::NOWHERE,
        uri_host: Span::NOWHERE,
        from_user: Span::NOWHERE,
        from_host: Span::NOWHERE,
        asserted_identity_user: None,
        preferred_identity_user: None,
        remote_party_user: None,
        call_id: Span::NOWHERE,
        user_agent: None,
        diverted: false,
        family: HeaderFamily::None,
        user: None,
        domain: None,
        address: None,
        agent: None,
        reported_calls: None,
        suspect: false,
    };
}

/// The facts of a call, each made when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct CallFacts<'a> {
    state: &'a State,
    peer: Peer,
    bytes: &'a [u8],
}

impl CallFacts<'_> {
    fn within(&self, span: Option<Span>) -> Option<&[u8]> {
        span.map(|span| span.within(self.bytes))
    }
}

impl Facts for CallFacts<'_> {
    fn attempt(&self) -> CallAttempt<'_> {
        self.state.attempt_of(self.peer, self.bytes)
    }

    fn user_part(&self) -> &[u8] {
        self.state.call.user_part.within(self.bytes)
    }

    fn call_id(&self) -> &[u8] {
        self.state.call.call_id.within(self.bytes)
    }

    fn tag_of_from(&self) -> &[u8] {
        self.within(self.state.from_tag).unwrap_or_default()
    }

    fn user_agent(&self) -> Option<&[u8]> {
        self.within(self.state.call.user_agent)
    }

    fn screening_user(&self) -> Option<&[u8]> {
        self.within(self.state.call.user)
    }

    fn screening_address(&self) -> Option<IpAddr> {
        self.state.call.address
    }

    fn screening_agent(&self) -> Option<&[u8]> {
        self.within(self.state.call.agent)
    }

    fn reported_calls(&self) -> Option<u32> {
        self.state.call.reported_calls
    }

    fn is_suspect(&self) -> bool {
        self.state.call.suspect
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self {
            layout: Layout::new(),
            parts: Parts::default(),
            kind: None,
            state: State::new(),
        }
    }

    /// What became of the datagram.
    #[must_use]
    pub fn admission(&self) -> Admission {
        self.state.admission
    }

    /// The decision, when `admission` is `Call` and the batch has come past `decide`.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.state.decision.as_ref()
    }

    /// What the transaction memory knew of it, when the batch has come past `decide`.
    #[must_use]
    pub fn recall(&self) -> Recall {
        self.state.recall
    }

    /// The peer's address: the packet's source, or who stands behind a listed proxy, as far as that was known.
    #[must_use]
    pub fn peer_address(&self) -> IpAddr {
        self.state.peer_address
    }

    /// The listed proxy that the packet came from.
    #[must_use]
    pub fn proxy_address(&self) -> Option<IpAddr> {
        self.state.proxy_address
    }

    /// The request's fields. Meaningful only when the datagram was scanned: not for `UnknownSource`.
    #[must_use]
    pub fn request<'a>(&'a self, bytes: &'a [u8]) -> Request<'a> {
        Request::new(bytes, &self.layout)
    }

    /// The From tag, if From was readable and had one.
    #[must_use]
    pub fn from_tag<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.state.from_tag.map(|tag| tag.within(bytes))
    }

    /// The calling number as received, from the headers that the domain names; of an INVITE that was decided.
    #[must_use]
    pub fn calling_number<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.state.calling_number.map(|number| number.within(bytes))
    }

    /// Whether the decision was made on the screening headers: the domain trusts them, and there are some.
    #[must_use]
    pub fn screening_trusted(&self) -> bool {
        self.state.prepared.is_some_and(|prepared| prepared.trusted)
    }

    /// Takes back a decision whose answer could not be written: what was sent in its place is this error.
    pub fn refuse(&mut self, error: CallError, sent: Status) {
        if let Some(decision) = &mut self.state.decision {
            decision.verdict = Verdict::Error(error);
            decision.code = Code::A00;
            decision.would = None;
            decision.plan = AnswerPlan {
                status: sent,
                contact: ContactPlan::None,
                reason: false,
                ..decision.plan
            };
        }
    }

    /// The same, of which each is made when it is asked for.
    #[must_use]
    pub fn facts<'a>(&'a self, bytes: &'a [u8]) -> Option<CallFacts<'a>> {
        self.state.facts(bytes)
    }

    /// The facts that the decision was made on, when `admission` is `Call`. `bytes` are the packet's.
    #[must_use]
    pub fn attempt<'a>(&self, bytes: &'a [u8]) -> Option<CallAttempt<'a>> {
        self.state.attempt(bytes)
    }
}

impl State {
    const fn new() -> Self {
        Self {
            admission: Admission::UnknownSource,
            source: Source::Unknown,
            peer: None,
            peer_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            proxy_address: None,
            top_via: TopVia {
                value: Span::NOWHERE,
                received: None,
                rport: None,
                port: None,
                from_elsewhere: false,
                well_formed: false,
            },
            from_tag: None,
            to_tag: None,
            call: CallSpans::NOTHING,
            prepared: None,
            foreseen: Foreseen::NOTHING,
            decision: None,
            calling_number: None,
            identity: None,
            key: Key::NONE,
            recall: Recall::Unasked,
            answer: None,
        }
    }

    /// See `Slot::facts`.
    pub(super) fn facts<'a>(&'a self, bytes: &'a [u8]) -> Option<CallFacts<'a>> {
        let peer = self.peer.filter(|_| self.admission == Admission::Call)?;
        Some(CallFacts {
            state: self,
            peer,
            bytes,
        })
    }

    /// See `Slot::attempt`.
    pub(super) fn attempt<'a>(&self, bytes: &'a [u8]) -> Option<CallAttempt<'a>> {
        let peer = self.peer.filter(|_| self.admission == Admission::Call)?;
        Some(self.attempt_of(peer, bytes))
    }

    fn attempt_of<'a>(&self, peer: Peer, bytes: &'a [u8]) -> CallAttempt<'a> {
        let call = &self.call;
        let within = |span: Option<Span>| span.map(|span| span.within(bytes));
        let screening = Screening {
            family: call.family,
            user: within(call.user),
            domain: within(call.domain),
            address: call.address,
            agent: within(call.agent),
            reported_calls: call.reported_calls,
            suspect: call.suspect,
        };
        self.attempt_screened(peer, bytes, screening)
    }

    /// The facts of a call whose screening headers are at hand as they were read.
    #[inline]
    pub(super) fn attempt_screened<'a>(
        &self,
        peer: Peer,
        bytes: &'a [u8],
        screening: Screening<'a>,
    ) -> CallAttempt<'a> {
        let call = &self.call;
        let within = |span: Option<Span>| span.map(|span| span.within(bytes));
        CallAttempt {
            peer,
            peer_address: self.peer_address,
            proxy_address: self.proxy_address,
            scheme: call.scheme,
            user_part: call.user_part.within(bytes),
            from_user: call.from_user.within(bytes),
            from_host: call.from_host.within(bytes),
            asserted_identity_user: within(call.asserted_identity_user),
            preferred_identity_user: within(call.preferred_identity_user),
            remote_party_user: within(call.remote_party_user),
            call_id: call.call_id.within(bytes),
            from_tag: within(self.from_tag).unwrap_or_default(),
            user_agent: within(call.user_agent),
            screening,
            diverted: call.diverted,
        }
    }

    /// Forgets the last datagram. The layout is cleared by its own scan.
    pub(super) fn reset(&mut self, source: Source, address: IpAddr) {
        self.admission = Admission::UnknownSource;
        self.source = source;
        self.peer = match source {
            Source::Peer(peer) => Some(peer),
            Source::Proxy | Source::Unknown => None,
        };
        self.peer_address = address;
        self.proxy_address = (source == Source::Proxy).then_some(address);
        self.top_via = TopVia::default();
        self.from_tag = None;
        self.to_tag = None;
        self.prepared = None;
        self.decision = None;
        self.calling_number = None;
        self.identity = None;
        self.recall = Recall::Unasked;
        self.answer = None;
    }
}
