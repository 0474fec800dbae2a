//! The user agent server of RFC 3261 §8.2, stateless (§8.2.7): a datagram's bytes in, an answer's bytes out.
//!
//! Promises: never a 1xx, never a 2xx to an INVITE, never more than one answer; the same octets get the same answer.
//! Leaves to `policy`: the verdict; to `shard` and `stream`: where the bytes come from.
//!
//! A batch goes through in stages, each over all of its slots: `scan`, `admit`, `touch`, `decide`, `respond`. `answer` does
//! all five for one packet. Stages are cut so that the code of each fits the processor's first cache.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod admit;
mod call;
mod keyed;
mod memory;
mod plain;
mod respond;
pub mod screening;
mod slot;

pub use keyed::counters_seed;
pub use memory::{DEPTH_SECONDS_MAX, Recall, SWEEP_SECONDS, TransactionMemory, entries_for};
pub use slot::{Admission, Slot};

use crate::clock::Now;
use crate::counters::Counters;
use crate::policy::counting::Uncounted;
use crate::policy::{Decision, Snapshot, Source};
use crate::sip::Status;
use keyed::Keyed;
use memory::{Looked, Recalled, Remembered};
use slot::State;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// One datagram as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Its octets, as far as they were read.
    pub bytes: &'a [u8],
    /// Its octets on the wire: more than `bytes` holds when the kernel cut it.
    pub full_length: usize,
    /// Where it came from.
    pub source: SocketAddr,
}

/// An answer that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Octets of it.
    pub length: usize,
    /// How long blanks in front of its last `Reply::TAIL` octets may make it: they follow `Content-Length:`, where RFC
    /// 3261 §25.1 lets white space stand, and it still is no amplifier.
    pub length_max: usize,
    /// Where it goes.
    pub destination: SocketAddr,
    /// Its status.
    pub status: Status,
}

impl Reply {
    /// Octets from the value of Content-Length to the end.
    pub const TAIL: usize = b"0\r\n\r\n".len();
}

/// The steps of stage three. Each is made for the whole batch before the next, which needs what this one asked for.
///
/// A processor that finds no translation of an address waits for it even when it is only asked for a cache line: some 200
/// ns under a hypervisor (measured on an AMD EPYC of 2023). In a short loop such waits overlap; between the
/// thousands of instructions of a scan they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Sets and indices whose places hang on the request alone.
    Sets,
    /// What the indices lead to.
    Entries,
    /// Where the sums of the limits are noted: by what the entries say of the number.
    Counters,
    /// These sums.
    Sums,
}

impl Touch {
    /// All, in their order.
    pub const STEPS: [Self; 4] = [Self::Sets, Self::Entries, Self::Counters, Self::Sums];
}

/// The user agent server. One per shard; all of a cluster hold the same key.
#[derive(Clone)]
pub struct Uas {
    keyed: Keyed,
    draining: bool,
    listening: Vec<SocketAddr>,
    memory: Option<Arc<TransactionMemory>>,
    counts: Counts,
}

/// What limits count by.
#[derive(Debug, Clone)]
enum Counts {
    /// Nothing is ever counted.
    Nothing(Arc<Uncounted>),
    /// The node's counters.
    Live(Arc<Counters>),
}

impl fmt::Debug for Uas {
    // Whoever reads the key can guess To tags, so it stands in no log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Uas")
            .field("draining", &self.draining)
            .field("listening", &self.listening)
            .field("memory", &self.memory)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Uas {
    /// A server with the cluster's key for To tags, which remembers nothing: a copy of a request gets the same answer
    /// only as long as the policy is the same.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            keyed: Keyed::new(key),
            draining: false,
            listening: Vec::new(),
            memory: None,
            counts: Counts::Nothing(Arc::default()),
        }
    }

    /// The same server with a memory, which all shards share.
    #[must_use]
    pub fn with_memory(self, memory: Arc<TransactionMemory>) -> Self {
        Self {
            memory: Some(memory),
            ..self
        }
    }

    /// The same server with counters, which all shards share. Without them no limit ever fires.
    #[must_use]
    pub fn with_counters(self, counters: Arc<Counters>) -> Self {
        Self {
            counts: Counts::Live(counters),
            ..self
        }
    }

    /// Where this node listens: an INVITE with one of these below its top Via has been here before. An unspecified
    /// address (`0.0.0.0`) says nothing about what others call us, so it is left out.
    pub fn set_listening(&mut self, addresses: &[SocketAddr]) {
        self.listening = addresses
            .iter()
            .filter(|address| !address.ip().is_unspecified())
            .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()))
            .collect();
    }

    /// Whether OPTIONS says that this node goes away: 503 to listed proxies, silence to direct peers.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Whether the packet may be given up unread when there is too much to do: OPTIONS of direct peers, and what comes from
    /// nobody's peer. INVITEs of peers never are: deciding one costs less than hearing it again. Nor are OPTIONS of listed
    /// proxies: a balancer that hears no answer takes this node out and gives its calls to the others, which are then too
    /// busy to answer, too; and they come once a second. A direct peer asks again.
    #[must_use]
    pub fn is_expendable(&self, policy: &Snapshot, packet: &Packet<'_>) -> bool {
        match policy.source(packet.source.ip().to_canonical()) {
            Source::Unknown => true,
            Source::Proxy => false,
            Source::Peer(_) => packet.bytes.starts_with(b"OPTIONS "),
        }
    }

    /// Whether the packet comes from nobody's peer.
    #[must_use]
    pub fn is_stranger(&self, policy: &Snapshot, packet: &Packet<'_>) -> bool {
        policy.source(packet.source.ip().to_canonical()) == Source::Unknown
    }

    /// Stage one: reads the packet into the slot. Of an unknown source nothing is read.
    pub fn scan(&self, policy: &Snapshot, packet: &Packet<'_>, slot: &mut Slot) {
        admit::read(policy, packet, slot);
    }

    /// Stage two: says what was read, and prepares the decision of an INVITE.
    pub fn admit(&self, policy: &Snapshot, packet: &Packet<'_>, slot: &mut Slot) {
        admit::admit(self, policy, packet, slot);
        if slot.state.prepared.is_none() {
            return;
        }
        let request = slot.request(packet.bytes);
        let top_via = slot.state.top_via.value.within(packet.bytes);
        let identity = self.keyed.identity(&request, top_via);
        if let Some(memory) = &self.memory {
            slot.state.key = memory.key(&self.keyed, identity, &request, &slot.state);
        }
        slot.state.identity = Some(identity);
    }

    /// Stage three: asks for the cache lines that the decision will read, step by step.
    pub fn touch(&self, policy: &Snapshot, slot: &mut Slot, step: Touch) {
        let state = &mut slot.state;
        let Some(prepared) = &state.prepared else {
            return;
        };
        let counters = match &self.counts {
            Counts::Live(counters) => Some(&**counters),
            Counts::Nothing(_) => None,
        };
        match (step, counters) {
            (Touch::Sets, _) => {
                if let Some(memory) = &self.memory {
                    memory.touch(state.key);
                }
                if let Some(counters) = counters {
                    policy.touch_attempt(&state.foreseen, counters);
                }
                policy.touch(prepared);
            }
            (Touch::Entries, _) => policy.touch_entries(prepared),
            (Touch::Counters, Some(counters)) => {
                policy.touch_counters(prepared, &mut state.foreseen, counters);
            }
            (Touch::Sums, Some(counters)) => {
                policy.fetch_counters(prepared, &mut state.foreseen, counters);
            }
            (Touch::Counters | Touch::Sums, None) => {}
        }
    }

    /// Stage four: decides an INVITE, or answers a copy of one as it was decided. Nothing happens to other slots.
    pub fn decide(&self, policy: &Snapshot, packet: &Packet<'_>, now: Now, slot: &mut Slot) {
        debug_assert!(slot.kind.is_none(), "what was scanned is admitted before");
        if !self.approval_fits(policy, packet, slot)
            && let Some(prepared) = &mut slot.state.prepared
        {
            prepared.mark_too_long();
        }
        let state = &mut slot.state;
        match &self.memory {
            None => state.decision = self.decide_anew(policy, state, packet.bytes, now),
            Some(memory) if state.prepared.is_some() => {
                self.decide_once(memory, policy, packet.bytes, now, state);
            }
            Some(_) => state.decision = None,
        }
    }

    /// As it was decided before, if it was.
    fn decide_once(
        &self,
        memory: &TransactionMemory,
        policy: &Snapshot,
        bytes: &[u8],
        now: Now,
        state: &mut State,
    ) {
        let place = match memory.look(state.key, now) {
            Looked::Known(recalled) => return repeat(policy, &recalled, state),
            Looked::Unknown(place) => place,
        };
        state.decision = self.decide_anew(policy, state, bytes, now);
        let Some(decision) = &state.decision else {
            return;
        };
        match memory.remember(place, state.key, decision, policy, now) {
            Remembered::Stands(recall) => state.recall = recall,
            // Another shard was first.
            Remembered::Repeats(recalled) => repeat(policy, &recalled, state),
        }
    }

    fn decide_anew(
        &self,
        policy: &Snapshot,
        state: &State,
        bytes: &[u8],
        now: Now,
    ) -> Option<Decision> {
        let (facts, prepared) = (&state.facts(bytes)?, state.prepared.as_ref()?);
        let foreseen = &state.foreseen;
        Some(match &self.counts {
            Counts::Live(counters) => {
                policy.decide_foreseen(facts, prepared, foreseen, (&**counters, now))
            }
            Counts::Nothing(nothing) => {
                policy.decide_foreseen(facts, prepared, foreseen, (&**nothing, now))
            }
        })
    }

    /// Stage five: writes the answer into `out` (`RESPONSE_BYTES_MAX` octets always do); `None` is silence.
    #[must_use]
    pub fn respond(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        slot: &Slot,
        out: &mut [u8],
    ) -> Option<Reply> {
        self.write_answer(policy, packet, slot, out)
    }

    /// All stages for one packet.
    #[must_use]
    pub fn answer(
        &self,
        policy: &Snapshot,
        packet: &Packet<'_>,
        now: Now,
        slot: &mut Slot,
        out: &mut [u8],
    ) -> Option<Reply> {
        self.scan(policy, packet, slot);
        self.admit(policy, packet, slot);
        for step in Touch::STEPS {
            self.touch(policy, slot, step);
        }
        self.decide(policy, packet, now, slot);
        self.respond(policy, packet, slot, out)
    }
}

fn repeat(policy: &Snapshot, recalled: &Recalled, state: &mut State) {
    let Some(prepared) = &state.prepared else {
        return;
    };
    state.decision = Some(policy.repeat(prepared, &recalled.told));
    state.recall = Recall::Repeated;
    state.answer = Some(recalled.answer);
}
