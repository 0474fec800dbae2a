//! What a shard asks of whoever answers, stage by stage. `uas::Uas` does; tests put others in its place.

use crate::clock::Now;
use crate::event::{Event, Outcome, Said};
use crate::net::{Answer, Datagram, Stretch};
use crate::policy::{CallError, Decision, Snapshot, Verdict};
use crate::sip::Header;
use crate::uas::{Admission, Packet, Recall, Reply, Slot, Touch, Uas};
use std::net::SocketAddr;

/// The stages of a batch. Every datagram of a batch goes through one before the first goes through the next.
pub trait Stages {
    /// What is kept of a datagram between the stages; reused for later datagrams.
    type Slot;

    /// Is told where the node listens, ports that the kernel chose included, before the first datagram.
    fn set_listening(&mut self, _addresses: &[SocketAddr]) {}

    /// Whether this node goes away: what keep-alives are told. Told before every batch.
    fn set_draining(&mut self, draining: bool);

    /// An empty slot.
    fn slot(&self) -> Self::Slot;

    /// Whether the datagram is given up unread when there is too much to do. It then goes through no stage, and its slot
    /// stays as it was.
    fn is_expendable(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool;

    /// Whether the datagram comes from nobody's peer.
    fn is_stranger(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool;

    /// Bytes → request.
    fn scan(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut Self::Slot);

    /// Request → attempt.
    fn admit(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut Self::Slot);

    /// Asks for the memory that `decide` will read, so that the cache misses of a batch overlap: a step for all datagrams, then
    /// the next.
    fn touch(&self, policy: &Snapshot, slot: &mut Self::Slot, step: Touch);

    /// Attempt → verdict and plan.
    fn decide(&self, policy: &Snapshot, datagram: &Datagram<'_>, now: Now, slot: &mut Self::Slot);

    /// Plan → bytes in `out`; how many, where they go, and how they may be stretched. `None`: silence.
    fn respond(
        &self,
        policy: &Snapshot,
        datagram: &Datagram<'_>,
        slot: &mut Self::Slot,
        out: &mut [u8],
    ) -> Option<Answer>;

    /// What became of the datagram; asked after `respond`.
    fn outcome(&self, slot: &Self::Slot) -> Outcome;

    /// What was decided, of an INVITE that reached the policy.
    fn decision<'slot>(&self, slot: &'slot Self::Slot) -> Option<&'slot Decision>;

    /// What the transaction memory knew of it; asked after `decide`.
    fn recall(&self, slot: &Self::Slot) -> Recall;

    /// Writes into `event` what is known beyond time, shard, source and outcome.
    fn describe(&self, datagram: &Datagram<'_>, slot: &Self::Slot, event: &mut Event);
}

/// A slot of the UAS, and whether its datagram was answered.
#[derive(Debug, Default)]
pub struct UasSlot {
    slot: Slot,
    status: Option<u16>,
}

impl Stages for Uas {
    type Slot = UasSlot;

    fn set_listening(&mut self, addresses: &[SocketAddr]) {
        Self::set_listening(self, addresses);
    }

    fn set_draining(&mut self, draining: bool) {
        Self::set_draining(self, draining);
    }

    fn slot(&self) -> UasSlot {
        UasSlot::default()
    }

    fn is_expendable(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool {
        Self::is_expendable(self, policy, &packet(datagram))
    }

    fn is_stranger(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool {
        Self::is_stranger(self, policy, &packet(datagram))
    }

    fn scan(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut UasSlot) {
        slot.status = None;
        Self::scan(self, policy, &packet(datagram), &mut slot.slot);
    }

    fn admit(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut UasSlot) {
        Self::admit(self, policy, &packet(datagram), &mut slot.slot);
    }

    fn touch(&self, policy: &Snapshot, slot: &mut UasSlot, step: Touch) {
        Self::touch(self, policy, &mut slot.slot, step);
    }

    fn decide(&self, policy: &Snapshot, datagram: &Datagram<'_>, now: Now, slot: &mut UasSlot) {
        Self::decide(self, policy, &packet(datagram), now, &mut slot.slot);
    }

    fn respond(
        &self,
        policy: &Snapshot,
        datagram: &Datagram<'_>,
        slot: &mut UasSlot,
        out: &mut [u8],
    ) -> Option<Answer> {
        let Some(reply) = Self::respond(self, policy, &packet(datagram), &slot.slot, out) else {
            // Nothing was sent, so nobody may count the decision for a verdict.
            slot.slot
                .refuse(CallError::TooLarge, CallError::TooLarge.status().0);
            return None;
        };
        // A redirection that would be an amplifier is sent as an error: nobody may count it for an approval.
        if let Some(decision) = slot.slot.decision()
            && decision.plan.status != reply.status
        {
            slot.slot.refuse(CallError::TooLarge, reply.status);
        }
        slot.status = Some(reply.status.0);
        Some(Answer {
            length: reply.length,
            destination: reply.destination,
            stretch: Stretch {
                at: reply.length.saturating_sub(Reply::TAIL),
                length_max: reply.length_max,
            },
        })
    }

    fn outcome(&self, slot: &UasSlot) -> Outcome {
        Outcome::of(
            slot.slot.admission(),
            slot.slot.decision(),
            slot.slot.recall(),
            slot.status.is_some(),
        )
    }

    fn decision<'slot>(&self, slot: &'slot UasSlot) -> Option<&'slot Decision> {
        slot.slot.decision()
    }

    fn recall(&self, slot: &UasSlot) -> Recall {
        slot.slot.recall()
    }

    fn describe(&self, datagram: &Datagram<'_>, slot: &UasSlot, event: &mut Event) {
        let bytes = datagram.bytes;
        let slot_status = slot.status;
        let slot = &slot.slot;
        event.status = slot_status;
        event.peer = slot.peer_address();
        event.proxy = slot.proxy_address();
        event.decision = slot.decision().copied();
        event.verdict = match slot.admission() {
            Admission::CallError(error) => Some(Verdict::Error(error)),
            Admission::Call => slot.decision().map(|decision| decision.verdict),
            _ => return,
        };
        if let Some(facts) = slot.facts(bytes) {
            let calling = slot.calling_number(bytes).unwrap_or_default();
            event.set_attempt(&facts, slot.screening_trusted(), calling);
            return;
        }
        let request = slot.request(bytes);
        event.say(&Said {
            call_id: request.value(Header::CallId).unwrap_or_default(),
            from_tag: slot.from_tag(bytes).unwrap_or_default(),
            ..Said::default()
        });
    }
}

fn packet<'a>(datagram: &Datagram<'a>) -> Packet<'a> {
    Packet {
        bytes: datagram.bytes,
        full_length: datagram.full_length,
        source: datagram.source,
    }
}
