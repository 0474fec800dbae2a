//! What a shard asks of whoever answers, stage by stage. `uas::Uas` does; tests put others in its place.

use crate::event::{Event, Outcome};
use crate::net::Datagram;
use crate::policy::{Decision, Snapshot};
use std::net::SocketAddr;

/// The stages of a batch. Every datagram of a batch goes through one before the first goes through the next.
pub trait Stages {
    /// What is kept of a datagram between the stages; reused for later datagrams.
    type Slot;

    /// An empty slot.
    fn slot(&self) -> Self::Slot;

    /// Bytes → request → attempt.
    fn scan(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut Self::Slot);

    /// Asks for the memory that `decide` will read, so that the cache misses of a batch overlap.
    fn touch(&self, policy: &Snapshot, slot: &Self::Slot);

    /// Attempt → verdict and plan.
    fn decide(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut Self::Slot);

    /// Plan → bytes in `out`; their number and where they go. `None`: silence.
    fn respond(
        &self,
        policy: &Snapshot,
        datagram: &Datagram<'_>,
        slot: &mut Self::Slot,
        out: &mut [u8],
    ) -> Option<(usize, SocketAddr)>;

    /// What became of the datagram; asked after `respond`.
    fn outcome(&self, slot: &Self::Slot) -> Outcome;

    /// What was decided, of an INVITE that reached the policy.
    fn decision<'slot>(&self, slot: &'slot Self::Slot) -> Option<&'slot Decision>;

    /// Writes into `event` what is known beyond time, shard, source and outcome.
    fn describe(&self, datagram: &Datagram<'_>, slot: &Self::Slot, event: &mut Event);
}
