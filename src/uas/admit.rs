//! RFC 3261 §8.2 in the RFC's order: framing, version, mandatory headers, method, scheme, Require.
//!
//! Promises: the first rule that is broken decides; an ACK or a response is never answered, whatever else it is.
//! Leaves to `policy`: the verdict on an INVITE that passed; to `respond`: the bytes.

use super::call::{Addressed, admit_call};
use super::slot::{Admission, Slot, State, TopVia};
use super::{Packet, Uas, plain, screening};
use crate::policy::{CallError, Scheme, Snapshot, Source};
use crate::sip::octet::{LWS, has_lws, is, number, trim};
use crate::sip::{
    Address, Fault, Header, Kind, Method, Parts, Phrase, Request, SipUri, Span, Uri, Version, Via,
    block,
};

/// RFC 3261 §8.1.1.5: a CSeq number is less than 2^31.
const CSEQ_MAX: u32 = 0x7fff_ffff;

/// Values of which a request has one.
const SINGLE: [Header; 5] = [
    Header::From,
    Header::To,
    Header::CallId,
    Header::CSeq,
    Header::MaxForwards,
];

/// Reads the packet into the slot.
pub(super) fn read(policy: &Snapshot, packet: &Packet<'_>, slot: &mut Slot) {
    slot.kind = None;
    let address = packet.source.ip().to_canonical();
    let source = policy.source(address);
    slot.state.reset(source, address);
    if source == Source::Unknown {
        return;
    }
    // RFC 3261 §8.2.7: a stateless UAS ignores ACK. Every final answer to an INVITE brings one, so nothing of it is read.
    if packet.bytes.starts_with(b"ACK ") {
        slot.state.admission = Admission::Ack;
        return;
    }
    let cut = packet.full_length > packet.bytes.len();
    slot.parts = Parts::default();
    slot.kind = Some(slot.layout.scan_parts(packet.bytes, cut, &mut slot.parts));
}

/// Says what it is that was read.
pub(super) fn admit(uas: &Uas, policy: &Snapshot, packet: &Packet<'_>, slot: &mut Slot) {
    let Some(kind) = slot.kind.take() else {
        return;
    };
    let request = Request::new(packet.bytes, &slot.layout);
    let state = &mut slot.state;
    let plain = plain::admit(uas, policy, packet, &request, &slot.parts, state);
    state.admission = match (kind, plain) {
        (Kind::KeepAlive, _) => Admission::KeepAlive,
        (Kind::Response, _) => Admission::Response,
        (Kind::Request, Some(admission)) => admission,
        (Kind::Request, None) => admit_request(uas, policy, packet, &request, state),
    };
}

fn admit_request(
    uas: &Uas,
    policy: &Snapshot,
    packet: &Packet<'_>,
    request: &Request<'_>,
    state: &mut State,
) -> Admission {
    // In whatever form its request line is.
    if request.method() == Method::Ack {
        return Admission::Ack;
    }
    let Some(via) = read_top_via(packet.bytes, request, state) else {
        return Admission::Unparsable;
    };
    if state.proxy_address.is_some() {
        find_peer_behind(policy, request, state);
    }
    let parsed = match judge(packet, request, &via, state) {
        Ok(parsed) => parsed,
        Err(error) if request.method() == Method::Invite => return Admission::CallError(error),
        // Asterisk takes any answer to OPTIONS for life, an error, too.
        Err(_)
            if uas.draining
                && request.method() == Method::Options
                && state.proxy_address.is_none() =>
        {
            return Admission::OptionsDrainingPeer;
        }
        Err(error) => return Admission::Refused(error),
    };
    match request.method() {
        Method::Invite => admit_invite(uas, policy, packet.bytes, request, &parsed, state),
        Method::Options if uas.draining => match state.proxy_address {
            Some(_) => Admission::OptionsDrainingProxy,
            None => Admission::OptionsDrainingPeer,
        },
        Method::Options if parsed.uri == Uri::Other => {
            Admission::Refused(CallError::UnsupportedScheme)
        }
        Method::Options if requires_extension(request) => Admission::BadExtension,
        Method::Options => Admission::Options,
        Method::Ack => Admission::Ack,
        Method::Cancel => Admission::Cancel,
        Method::InDialog => Admission::NoTransaction,
        Method::NotAllowed => Admission::MethodNotAllowed,
        Method::Unknown => Admission::MethodUnknown,
    }
}

/// The top Via as far as it is needed to answer; `None` when its sent-by cannot be read.
fn read_top_via<'a>(bytes: &[u8], request: &Request<'a>, state: &mut State) -> Option<Via<'a>> {
    let value = trim(request.top_via()?);
    let via = Via::read(value)?;
    let span = |part: Option<&[u8]>| part.map(|part| Span::of(part, bytes));
    state.top_via = TopVia {
        value: Span::of(value, bytes),
        received: span(via.received_whole),
        rport: span(via.rport_whole),
        port: via.port,
        // RFC 3261 §18.2.1: the packet's source, not the peer behind it.
        from_elsewhere: via.host_address()
            != Some(state.proxy_address.unwrap_or(state.peer_address)),
        well_formed: via.well_formed,
    };
    Some(via)
}

/// Behind a listed proxy the peer is in the Via below the proxy's: its `received`, else its sent-by if that is an
/// address. A host name without `received` is nobody.
pub(super) fn find_peer_behind(policy: &Snapshot, request: &Request<'_>, state: &mut State) {
    let below = request
        .second_via()
        .and_then(|value| Via::read(trim(value)));
    let address = below
        .filter(|via| via.well_formed)
        .and_then(|via| match via.received {
            Some(_) => via.received_address(),
            None => via.host_address(),
        });
    let (Some(address), Some(proxy)) = (address, state.proxy_address) else {
        return;
    };
    state.peer_address = address;
    state.peer = policy.peer_behind(proxy, address);
    if let Some(peer) = state.peer {
        state.source = Source::Peer(peer);
    }
}

/// What every well-formed request has.
struct Parsed<'a> {
    uri: Uri<'a>,
    from: Address<'a>,
}

/// RFC 3261 §8.1.1 and §18.3: framing, version, mandatory headers, in this order.
fn judge<'a>(
    packet: &Packet<'_>,
    request: &Request<'a>,
    via: &Via<'a>,
    state: &mut State,
) -> Result<Parsed<'a>, CallError> {
    let bytes = packet.bytes;
    // Tags are wanted for any answer, also of a request that is refused below.
    let from = request.value(Header::From).map(Address::read);
    let to = request.value(Header::To).map(Address::read);
    let tag = |address: Option<Option<Address<'_>>>| {
        let tag = address.flatten().and_then(|address| address.tag);
        tag.map(|tag| Span::of(tag, bytes))
    };
    state.from_tag = tag(from);
    state.to_tag = tag(to);

    match request.fault() {
        Some(Fault::Syntax(phrase)) => return Err(CallError::Syntax(phrase)),
        Some(Fault::TooLarge) => return Err(CallError::TooLarge),
        None => {}
    }
    check_content_length(packet, request)?;
    if request.version() == Version::Other {
        return Err(CallError::VersionNotSupported);
    }
    let syntax = |phrase| Err(CallError::Syntax(phrase));
    if SINGLE.into_iter().any(|header| request.repeated(header)) {
        return syntax(Phrase::RepeatedHeader);
    }
    if !via.well_formed {
        return syntax(Phrase::BadVia);
    }
    let from = match from {
        None => return syntax(Phrase::MissingFrom),
        Some(None) => return syntax(Phrase::BadFrom),
        Some(Some(from)) => from,
    };
    match to {
        None => return syntax(Phrase::MissingTo),
        Some(None) => return syntax(Phrase::BadTo),
        Some(Some(_)) => {}
    }
    match request.value(Header::CallId) {
        None => return syntax(Phrase::MissingCallId),
        Some(call_id) if call_id.is_empty() || has_lws(call_id) => {
            return syntax(Phrase::BadCallId);
        }
        Some(_) => {}
    }
    check_cseq(request)?;
    if let Some(hops) = request.value(Header::MaxForwards)
        && number(hops, 255).is_none()
    {
        return syntax(Phrase::BadMaxForwards);
    }
    // RFC 3261 §19.1.1: headers have no place in a Request-URI.
    match Uri::read(request.uri()) {
        None
        | Some(Uri::Sip(SipUri {
            headers: Some(_), ..
        })) => syntax(Phrase::BadRequestUri),
        Some(uri) => Ok(Parsed { uri, from }),
    }
}

/// RFC 3261 §18.3: octets behind the body are ignored, a body cut short is a fault.
fn check_content_length(packet: &Packet<'_>, request: &Request<'_>) -> Result<(), CallError> {
    let Some(text) = request.value(Header::ContentLength) else {
        return Ok(());
    };
    let body = packet
        .full_length
        .saturating_sub(request.body_start().unwrap_or_default());
    let fits = number(text, u32::MAX)
        .and_then(|length| usize::try_from(length).ok())
        .is_some_and(|length| length <= body);
    if fits && !request.differing(Header::ContentLength) {
        return Ok(());
    }
    Err(CallError::Syntax(Phrase::BadContentLength))
}

fn check_cseq(request: &Request<'_>) -> Result<(), CallError> {
    let Some(cseq) = request.value(Header::CSeq) else {
        return Err(CallError::Syntax(Phrase::MissingCSeq));
    };
    let (digits, method) = split_cseq(cseq);
    if number(digits, CSEQ_MAX).is_none() || method.is_empty() {
        return Err(CallError::Syntax(Phrase::BadCSeq));
    }
    // RFC 4475 §3.1.2.18: a method that is not known is worth a 501, whatever CSeq says.
    if method != request.method_name() && request.method() != Method::Unknown {
        return Err(CallError::Syntax(Phrase::CSeqMethodMismatch));
    }
    Ok(())
}

/// The number and the method of a CSeq value.
fn split_cseq(cseq: &[u8]) -> (&[u8], &[u8]) {
    // Up to the first white space.
    let digits = match block::find_blank(cseq) {
        Some(at) if cseq.get(at) == Some(&b' ') => at,
        _ => {
            let white = cseq.iter().position(|&octet| is(octet, LWS));
            white.unwrap_or(cseq.len())
        }
    };
    let (digits, method) = cseq.split_at_checked(digits).unwrap_or((cseq, b""));
    (digits, trim(method))
}

/// Whether any Require field names an option tag. None is supported (RFC 3261 §8.2.2.3).
fn requires_extension(request: &Request<'_>) -> bool {
    if !request.has(Header::Require) {
        return false;
    }
    request
        .fields()
        .filter(|(name, _)| Header::of(name) == Some(Header::Require))
        .any(|(_, value)| value.iter().any(|&octet| octet != b',' && !is(octet, LWS)))
}

fn admit_invite(
    uas: &Uas,
    policy: &Snapshot,
    bytes: &[u8],
    request: &Request<'_>,
    parsed: &Parsed<'_>,
    state: &mut State,
) -> Admission {
    if state.peer.is_none() {
        return Admission::CallError(CallError::UnknownPeer);
    }
    let (scheme, user_part, uri_host) = match parsed.uri {
        Uri::Sip(uri) if uri.secure => (Scheme::Sips, uri.user_part, uri.host),
        Uri::Sip(uri) => (Scheme::Sip, uri.user_part, uri.host),
        Uri::Tel(number) => (Scheme::Tel, number, &b""[..]),
        // RFC 3261 §8.2.2.1
        Uri::Other => return Admission::CallError(CallError::UnsupportedScheme),
    };
    // RFC 3261 §12.2.2: a To tag names a dialog, and there is none.
    if state.to_tag.is_some() {
        return Admission::CallError(CallError::NoSuchDialog);
    }
    // RFC 3261 §8.3: a redirect server does not look at Require.
    let span = |part: &[u8]| Span::of(part, bytes);
    let (from_user, from_host) = match parsed.from.uri {
        Uri::Sip(uri) => (span(uri.user()), span(uri.host)),
        Uri::Tel(number) => (span(number), Span::NOWHERE),
        Uri::Other => (Span::NOWHERE, Span::NOWHERE),
    };
    let addressed = Addressed {
        scheme,
        user_part: span(user_part),
        uri_host: span(uri_host),
        from_user,
        from_host,
    };
    let facts = (addressed, &screening::read(request));
    admit_call(uas, policy, (bytes, request), facts, state)
}
