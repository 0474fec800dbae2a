//! From an admission to the octets of its answer (RFC 3261 §8.2.6).
//!
//! Promises: one answer or none; every Via, From, To, Call-ID and CSeq as they came, `received` and `rport` in the top
//! Via and a To tag added; never more octets than `answer_bytes_max` allows; one Contact at most, in `<>`.
//! Leaves to `policy`: which status; to `net`: sending.

use super::slot::{Admission, Slot};
use super::{Packet, Reply, Uas};
use crate::limits::{
    CONTACT_USER_BYTES_MAX, FIXED_HOST_BYTES_MAX, RESPONSE_ADDED_BYTES_MAX, RESPONSE_BYTES_MAX,
};
use crate::policy::{AnswerPlan, CallError, ContactHost, ContactPlan, Snapshot};
use crate::sip::write::contact_user;
use crate::sip::{Header, Phrase, Request, Span, Status, ViaChanges, Writer};
use std::net::SocketAddr;

/// Requests of this length and more get answers of at most one and a half times their length (P4): no amplifier.
const AMPLIFICATION_BOUND_FROM: usize = 300;

/// The default port (RFC 3261 §18.2.2).
pub(super) const SIP_PORT: u16 = 5060;

/// Fields that only some answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    None,
    Allow,
    Capabilities,
    Unsupported,
}

/// Header names as an answer spells them, with their colons, behind the line end of what stands before. Constants of a
/// type, so that the compiler copies each in a few moves: names looked up at run time cost 80 instructions an answer.
trait Names {
    const VIA: &'static [u8];
    const FROM: &'static [u8];
    const TO: &'static [u8];
    const CALL_ID: &'static [u8];
    const CSEQ: &'static [u8];
    /// With the start of its value.
    const CONTACT: &'static [u8];
    /// With its value and the blank line.
    const END: &'static [u8];
}

/// As RFC 3261 §20 writes them.
struct Full;

impl Names for Full {
    const VIA: &'static [u8] = b"\r\nVia: ";
    const FROM: &'static [u8] = b"\r\nFrom: ";
    const TO: &'static [u8] = b"\r\nTo: ";
    const CALL_ID: &'static [u8] = b"\r\nCall-ID: ";
    const CSEQ: &'static [u8] = b"\r\nCSeq: ";
    const CONTACT: &'static [u8] = b"\r\nContact: <sip:";
    const END: &'static [u8] = b"\r\nContent-Length: 0\r\n\r\n";
}

/// RFC 3261 §7.3.3: for an answer that would be too long. A hundred compact Vias would grow by 300 octets otherwise.
struct Compact;

impl Names for Compact {
    const VIA: &'static [u8] = b"\r\nv:";
    const FROM: &'static [u8] = b"\r\nf:";
    const TO: &'static [u8] = b"\r\nt:";
    const CALL_ID: &'static [u8] = b"\r\ni:";
    const CSEQ: &'static [u8] = b"\r\nCSeq: ";
    const CONTACT: &'static [u8] = b"\r\nm:<sip:";
    const END: &'static [u8] = b"\r\nl:0\r\n\r\n";
}

/// Most octets of an answer to a request of this length.
fn answer_bytes_max(request_length: usize) -> usize {
    let added = request_length.saturating_add(RESPONSE_ADDED_BYTES_MAX);
    if request_length < AMPLIFICATION_BOUND_FROM {
        return added;
    }
    added.min(request_length.saturating_add(request_length / 2))
}

/// The plan of an answer that no profile wears.
const fn plain(status: u16, force_rport: bool) -> AnswerPlan {
    AnswerPlan {
        status: Status(status),
        phrase: Phrase::Standard,
        contact: ContactPlan::None,
        reason: false,
        force_rport,
    }
}

/// More than an answer in its compact form has beyond the request that it repeats, besides its Contact's user and host: a
/// To tag (21 octets), `received` and `rport` (61), the rest of the Contact and `l:` (19), the status line (12 beyond the
/// request line without user and host), some for a phrase of the operator's.
const ADDED_BUT_CONTACT: usize = 130;

/// Whether an answer with a Contact is short enough whatever it says. Looks at lengths only.
fn is_ample(packet: &Packet<'_>, slot: &Slot) -> bool {
    let call = &slot.state.call;
    let host = FIXED_HOST_BYTES_MAX
        .max(call.from_host.len())
        .max(call.uri_host.len());
    // An escape makes three octets of one.
    let user = CONTACT_USER_BYTES_MAX.min(call.user_part.len().saturating_mul(3));
    let repeated = packet
        .full_length
        .saturating_sub(call.user_part.len())
        .saturating_sub(call.uri_host.len());
    let longest = repeated
        .saturating_add(ADDED_BUT_CONTACT)
        .saturating_add(user)
        .saturating_add(host);
    longest <= answer_bytes_max(packet.full_length)
}

impl Uas {
    /// Whether the answer that approves the call can be sent: of most calls one look at their lengths says so, of the others
    /// the answer is written and thrown away.
    pub(super) fn approval_fits(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &Slot,
    ) -> bool {
        let Some(prepared) = &slot.state.prepared else {
            return true;
        };
        is_ample(packet, slot)
            || policy
                .approval(prepared)
                .is_none_or(|plan| self.would_fit(policy, packet, slot, &plan))
    }

    #[cold]
    fn would_fit(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &Slot,
        plan: &AnswerPlan,
    ) -> bool {
        let mut out = [0; RESPONSE_BYTES_MAX];
        let form = (plan, Extra::None);
        self.write_form::<Compact>(policy, packet, slot, form, &mut out)
            .is_some()
    }

    /// Writes the answer, if there is one.
    pub(super) fn write_answer(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &Slot,
        out: &mut [u8],
    ) -> Option<Reply> {
        let state = &slot.state;
        let error_plan = |error| policy.error_plan(state.source, state.proxy_address, error);
        // A peer behind a NAT wants the answer to its OPTIONS where it wants those to its INVITEs. Which domain a request
        // that is no call belongs to is not asked: it is the peer's first.
        let plain = |status| plain(status, error_plan(CallError::UnknownPeer).force_rport);
        let (plan, extra) = match state.admission {
            Admission::UnknownSource
            | Admission::KeepAlive
            | Admission::Response
            | Admission::Ack
            | Admission::Unparsable
            | Admission::OptionsDrainingPeer => return None,
            Admission::Options => (plain(200), Extra::Capabilities),
            Admission::OptionsDrainingProxy => (plain(503), Extra::None),
            Admission::BadExtension => (plain(420), Extra::Unsupported),
            Admission::Cancel => (plain(200), Extra::None),
            Admission::NoTransaction => (plain(481), Extra::None),
            Admission::MethodNotAllowed => (plain(405), Extra::Allow),
            Admission::MethodUnknown => (plain(501), Extra::None),
            Admission::Refused(error) => {
                let (status, phrase) = error.status();
                let plan = AnswerPlan {
                    status,
                    phrase,
                    ..plain(status.0)
                };
                (plan, Extra::None)
            }
            Admission::CallError(error) => (error_plan(error), Extra::None),
            Admission::Call => (state.decision.as_ref()?.plan, Extra::None),
        };
        self.write_form::<Full>(policy, packet, slot, (&plan, extra), out)
            .or_else(|| self.write_shorter(policy, packet, slot, (&plan, extra), out))
    }

    /// An answer that would be too long is none. An INVITE still hears that it is refused, so that it looks like no
    /// approval; but an emergency call, which nothing refuses, is approved with the peer's address for a Contact host.
    #[cold]
    fn write_shorter(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &Slot,
        (plan, extra): (&AnswerPlan, Extra),
        out: &mut [u8],
    ) -> Option<Reply> {
        let state = &slot.state;
        let error_plan = |error| policy.error_plan(state.source, state.proxy_address, error);
        let shorter = AnswerPlan {
            reason: false,
            ..*plan
        };
        let refusal = || match state.admission {
            Admission::Call => state.decision.as_ref().map_or_else(
                || error_plan(CallError::TooLarge),
                |decision| policy.decided_error_plan(decision, CallError::TooLarge),
            ),
            Admission::CallError(_) => AnswerPlan {
                force_rport: plan.force_rport,
                ..error_plan(CallError::TooLarge)
            },
            Admission::UnknownSource
            | Admission::KeepAlive
            | Admission::Response
            | Admission::Ack
            | Admission::Unparsable
            | Admission::Options
            | Admission::OptionsDrainingProxy
            | Admission::OptionsDrainingPeer
            | Admission::BadExtension
            | Admission::Cancel
            | Admission::NoTransaction
            | Admission::MethodNotAllowed
            | Admission::MethodUnknown
            | Admission::Refused(_) => {
                let force_rport = error_plan(CallError::UnknownPeer).force_rport;
                plain(513, force_rport)
            }
        };
        let nearer = || match shorter.contact {
            ContactPlan::Redirect { prefix, .. } if state.prepared?.is_emergency() => {
                let host = ContactHost::Source;
                Some(AnswerPlan {
                    contact: ContactPlan::Redirect { prefix, host },
                    ..shorter
                })
            }
            ContactPlan::Redirect { .. } | ContactPlan::None => None,
        };
        self.write_form::<Compact>(policy, packet, slot, (&shorter, extra), out)
            .or_else(|| {
                let form = (&nearer()?, extra);
                self.write_form::<Compact>(policy, packet, slot, form, out)
            })
            .or_else(|| {
                let form = (&refusal(), Extra::None);
                self.write_form::<Compact>(policy, packet, slot, form, out)
            })
    }

    /// `None` when the answer does not fit the buffer or would be too long for its request.
    fn write_form<N: Names>(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &Slot,
        (plan, extra): (&AnswerPlan, Extra),
        out: &mut [u8],
    ) -> Option<Reply> {
        let bytes = packet.bytes;
        let request = slot.request(bytes);
        let clean = request.clean();
        let mut writer = Writer::new(out);
        writer.status_line(plan.status, plan.phrase);
        write_vias::<N>(&mut writer, packet, slot, &request);
        if let Some(from) = request.place(Header::From) {
            writer.put(N::FROM);
            writer.value(bytes, from, clean);
        }
        if let Some(to) = request.place(Header::To) {
            writer.put(N::TO);
            writer.value(bytes, to, clean);
            if slot.state.to_tag.is_none() {
                let identity = slot.state.identity.unwrap_or_else(|| {
                    let top_via = slot.state.top_via.value.within(bytes);
                    self.keyed.identity(&request, top_via)
                });
                writer.put(b";tag=");
                writer.hexadecimal(self.keyed.tag(identity));
            }
        }
        if let Some(call_id) = request.place(Header::CallId) {
            writer.put(N::CALL_ID);
            writer.value(bytes, call_id, clean);
        }
        if let Some(cseq) = request.place(Header::CSeq) {
            writer.put(N::CSEQ);
            writer.value(bytes, cseq, clean);
        }
        if let ContactPlan::Redirect { prefix, host } = plan.contact {
            writer.put(N::CONTACT);
            let fixed = self.fixed_host(policy, slot, host);
            write_contact(&mut writer, packet, slot, prefix, host, fixed);
        }
        if plan.reason {
            // RFC 3326, Q.850 cause 21: call rejected.
            writer.put(b"\r\nReason: Q.850;cause=21");
        }
        match extra {
            Extra::None => {}
            Extra::Allow => writer.put(b"\r\nAllow: INVITE, ACK, CANCEL, OPTIONS"),
            // RFC 3261 §11.2: what an INVITE may carry, though no body is ever read; and no extension.
            Extra::Capabilities => writer.put(
                b"\r\nAllow: INVITE, ACK, CANCEL, OPTIONS\r\nAccept: application/sdp\r\nSupported:",
            ),
            Extra::Unsupported => {
                let required = request
                    .fields()
                    .filter(|(name, _)| Header::of(name) == Some(Header::Require));
                for (_, tags) in required {
                    writer.put(b"\r\nUnsupported: ");
                    writer.value(bytes, Span::of(tags, bytes), clean);
                }
            }
        }
        writer.put(N::END);
        let length = writer.finish()?;
        let length_max = answer_bytes_max(packet.full_length);
        (length <= length_max).then(|| Reply {
            length,
            length_max,
            destination: destination(packet, slot, plan.force_rport),
            status: plan.status,
        })
    }

    /// The text of a fixed Contact host: the snapshot's, or of a copy what it was when its request was decided.
    fn fixed_host<'t>(&'t self, policy: &'t Snapshot, slot: &Slot, host: ContactHost) -> &'t [u8] {
        let ContactHost::Fixed { text } = host else {
            return b"";
        };
        match (&self.memory, slot.state.answer) {
            (Some(memory), Some(answer)) => memory.contact_host(answer),
            _ => policy.contact_host(text),
        }
    }
}

fn write_vias<N: Names>(
    writer: &mut Writer<'_>,
    packet: &Packet<'_>,
    slot: &Slot,
    request: &Request<'_>,
) {
    let clean = request.clean();
    let bytes = packet.bytes;
    let top = &slot.state.top_via;
    // RFC 3581 §4: with rport, received is written even if the sent-by says the same.
    let say_received = top.from_elsewhere || top.received.is_some() || top.rport.is_some();
    if request.lost_vias() {
        write_all_vias::<N>(writer, packet, slot, request, say_received);
        return;
    }
    let Some((first, below)) = request.via_places().split_first() else {
        return;
    };
    writer.put(N::VIA);
    if say_received {
        writer.changed_via(bytes, *first, &changes(packet, slot), clean);
    } else {
        writer.value(bytes, *first, clean);
    }
    for via in below {
        writer.put(N::VIA);
        writer.value(bytes, *via, clean);
    }
}

/// What an answer changes in the top Via, where something has to be said.
fn changes(packet: &Packet<'_>, slot: &Slot) -> ViaChanges {
    let top = &slot.state.top_via;
    ViaChanges {
        value: top.value,
        received_whole: top.received,
        rport_whole: top.rport,
        // Of a Via that cannot be read nothing is known to be missing: it goes back as it came.
        received: top.well_formed.then(|| packet.source.ip().to_canonical()),
        rport: packet.source.port(),
    }
}

/// Of a request with more Vias than were kept.
#[cold]
fn write_all_vias<N: Names>(
    writer: &mut Writer<'_>,
    packet: &Packet<'_>,
    slot: &Slot,
    request: &Request<'_>,
    say_received: bool,
) {
    let clean = request.clean();
    let vias = request
        .fields()
        .filter(|(name, _)| Header::of(name) == Some(Header::Via));
    for (number, (_, via)) in vias.enumerate() {
        writer.put(N::VIA);
        let via = Span::of(via, packet.bytes);
        if number == 0 && say_received {
            writer.changed_via(packet.bytes, via, &changes(packet, slot), clean);
        } else {
            writer.value(packet.bytes, via, clean);
        }
    }
}

/// Behind `<sip:`: code, user, `@`, host `>`: without display name and parameters, which not all PBXs bear.
fn write_contact(
    writer: &mut Writer<'_>,
    packet: &Packet<'_>,
    slot: &Slot,
    prefix: [u8; 3],
    host: ContactHost,
    fixed: &[u8],
) {
    let state = &slot.state;
    let bytes = packet.bytes;
    let user_part = state.call.user_part;
    writer.user(&prefix);
    let (user, is_plain) = contact_user(user_part.within(bytes));
    if is_plain {
        writer.copy(bytes, user_part);
    } else {
        writer.user(user);
    }
    writer.put(b"@");
    let host = match host {
        ContactHost::From => state.call.from_host,
        ContactHost::RequestUri => state.call.uri_host,
        ContactHost::Source | ContactHost::Fixed { .. } => Span::NOWHERE,
    };
    // A tel: URI has no host; the PBX itself is who shall dial again.
    if !host.is_empty() {
        writer.copy(bytes, host);
    } else if !fixed.is_empty() {
        writer.put(fixed);
    } else {
        writer.host_address(state.peer_address);
    }
    writer.put(b">");
}

/// RFC 3261 §18.2.2 and RFC 3581 §4. The address is always the packet's source: maddr and sent-by lead nowhere else.
fn destination(packet: &Packet<'_>, slot: &Slot, force_rport: bool) -> SocketAddr {
    let mut destination = packet.source;
    if !force_rport && slot.state.top_via.rport.is_none() {
        destination.set_port(slot.state.top_via.port.unwrap_or(SIP_PORT));
    }
    destination
}
