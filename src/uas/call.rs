//! From an INVITE that nothing is wrong with to a call: its facts, and what is prepared of it for the decision.
//!
//! Promises: the same for the short way and for the long one.
//! Leaves to `plain` and `admit`: finding out that nothing is wrong.

use super::respond::SIP_PORT;
use super::slot::{Admission, CallSpans, State};
use super::{Counts, Uas};
use crate::policy::{Scheme, Screening, Snapshot};
use crate::sip::octet::{split_list, trim};
use crate::sip::{Address, Header, Request, Span, Uri, Via};
use std::net::SocketAddr;

/// Who calls whom, by Request-URI and From.
pub(super) struct Addressed {
    pub(super) scheme: Scheme,
    pub(super) user_part: Span,
    pub(super) uri_host: Span,
    pub(super) from_user: Span,
    pub(super) from_host: Span,
}

/// Fills in what is known of the call, and prepares its decision.
pub(super) fn admit_call<'a>(
    uas: &Uas,
    policy: &Snapshot,
    (bytes, request): (&'a [u8], &Request<'_>),
    (addressed, screening): (Addressed, &Screening<'a>),
    state: &mut State,
) -> Admission {
    let span = |part: &[u8]| Span::of(part, bytes);
    state.call = CallSpans {
        scheme: addressed.scheme,
        user_part: addressed.user_part,
        uri_host: addressed.uri_host,
        from_user: addressed.from_user,
        from_host: addressed.from_host,
        asserted_identity_user: identity(request, bytes, Header::AssertedIdentity),
        preferred_identity_user: identity(request, bytes, Header::PreferredIdentity),
        remote_party_user: identity(request, bytes, Header::RemotePartyId),
        call_id: request.place(Header::CallId).unwrap_or_default(),
        user_agent: request.place(Header::UserAgent),
        diverted: request.has(Header::Diversion) || request.has(Header::HistoryInfo),
        family: screening.family,
        user: screening.user.map(span),
        domain: screening.domain.map(span),
        address: screening.address,
        agent: screening.agent.map(span),
        reported_calls: screening.reported_calls,
        suspect: screening.suspect,
    };
    state.admission = Admission::Call;
    if let Some(peer) = state.peer {
        let attempt = state.attempt_screened(peer, bytes, *screening);
        let mut prepared = policy.prepare(&attempt);
        if request.has_more_vias() && has_been_here(&uas.listening, request) {
            prepared.mark_loop();
        }
        if let Counts::Live(counters) = &uas.counts {
            policy.foresee(&attempt, &prepared, counters.hasher(), &mut state.foreseen);
        }
        let calling = |domain| Span::of(policy.calling_number(domain, &attempt), bytes);
        state.calling_number = prepared.domain().map(calling);
        state.prepared = Some(prepared);
    }
    Admission::Call
}

/// The user of the first URI of an identity header.
fn identity(request: &Request<'_>, bytes: &[u8], header: Header) -> Option<Span> {
    let user = match Address::first_uri(request.value(header)?)? {
        Uri::Sip(uri) => uri.user(),
        Uri::Tel(number) => number,
        Uri::Other => return None,
    };
    Some(Span::of(user, bytes))
}

/// Whether a Via below the top one was written by this node, port included: a PBX may share our address. Most INVITEs
/// have no such Via. The port of a sent-by without one is 5060 (RFC 3261 §18.2.2).
fn has_been_here(listening: &[SocketAddr], request: &Request<'_>) -> bool {
    let ours = |value: &[u8]| {
        let address = Via::read(trim(value)).and_then(|via| {
            let port = via.port.unwrap_or(SIP_PORT);
            Some(SocketAddr::new(via.host_address()?, port))
        });
        address.is_some_and(|address| listening.contains(&address))
    };
    let mut top = true;
    for field in request.via_fields() {
        let mut rest = Some(field);
        while let Some(list) = rest {
            let (value, after) = split_list(list);
            if !top && ours(value) {
                return true;
            }
            top = false;
            rest = after;
        }
    }
    false
}
