//! The short way of an INVITE whose values all have the plain form, as nearly every one's have.
//!
//! Promises: what it admits, `admit` would admit with the same state, which the tests hold against each other on every
//! message that we have and on mutations of them; what is not whole, in doubt or at fault is left to `admit`.

use super::admit::find_peer_behind;
use super::call::{Addressed, admit_call};
use super::screening::{self, five_fields};
use super::slot::{Admission, State, TopVia};
use super::{Packet, Uas};
use crate::policy::{Scheme, Snapshot};
use crate::sip::{Header, Parts, Request, Span, via};

/// Admits the INVITE, or leaves it to `admit`: `None`.
pub(super) fn admit(
    uas: &Uas,
    policy: &Snapshot,
    packet: &Packet<'_>,
    request: &Request<'_>,
    parts: &Parts,
    state: &mut State,
) -> Option<Admission> {
    if !parts.are_whole() || !is_sound(packet, request, parts) {
        return None;
    }
    let bytes = packet.bytes;
    let top = &parts.top_via;
    let there = |span: Span| (!span.is_empty()).then_some(span);
    state.top_via = TopVia {
        value: top.value,
        received: there(top.received_whole),
        rport: there(top.rport_whole),
        port: (top.port != 0).then_some(top.port),
        from_elsewhere: via::address(top.host.within(bytes)) != Some(state.peer_address),
        well_formed: true,
    };
    if state.proxy_address.is_some() {
        find_peer_behind(policy, request, state);
    }
    state.peer?;
    state.from_tag = there(parts.from_tag);
    let screening = if parts.has(Header::PTfps) {
        five_fields(parts.p_tfps.map(|field| field.within(bytes)))
    } else {
        screening::read(request)
    };
    let addressed = Addressed {
        scheme: Scheme::Sip,
        user_part: parts.uri.user_part,
        uri_host: parts.uri.host,
        from_user: parts.from.user,
        from_host: parts.from.host,
    };
    let facts = (addressed, &screening);
    Some(admit_call(uas, policy, (bytes, request), facts, state))
}

/// Whether nothing is left that `admit` could find fault with.
fn is_sound(packet: &Packet<'_>, request: &Request<'_>, parts: &Parts) -> bool {
    let body = packet
        .full_length
        .saturating_sub(request.body_start().unwrap_or_default());
    let content_length = usize::try_from(parts.content_length).unwrap_or(usize::MAX);
    let all_read = |header| parts.has(header) || !request.has(header);
    !request.repeats()
        && request.fault().is_none()
        && parts.to_tag.is_empty()
        && all_read(Header::ContentLength)
        && all_read(Header::MaxForwards)
        && content_length <= body
}
