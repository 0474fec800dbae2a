//! The product's own loop as a variant: `shard::run`, unchanged, with whatever stages it is given behind a gate.
//!
//! Promises: what is measured is the shard's thread as it is in service: metrics, one policy load and one clock read a
//! batch, events. All that the gate adds is the comparison of a length and a flag for each datagram.

use crate::gate::{Cost, Latch, gate};
use crate::reflect::{ANSWER_OCTETS, canned_answer};
use crate::variant::{Answers, ThreadParts, ThreadVariant, Variant};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tollgate::clock::{Clock, Now};
use tollgate::event::{Event, EventReceiver, Outcome, event_queue};
use tollgate::metrics::ShardMetrics;
use tollgate::net::{Answer, Datagram, Poller, bind_group};
use tollgate::policy::cell::PolicyCell;
use tollgate::policy::rows::Rows;
use tollgate::policy::{Decision, Snapshot};
use tollgate::shard::{Shard, Stages, Switches, run};
use tollgate::uas::{Recall, Touch};

/// Blocks of events between the shard and its reader: 64 events each.
const EVENT_BLOCKS: usize = 512;

/// Any stages, behind a gate.
struct Gated<S> {
    inner: S,
    latch: Latch,
}

/// What is kept of a datagram.
struct GatedSlot<T> {
    is_mark: bool,
    inner: T,
}

impl<S: Stages> Stages for Gated<S> {
    type Slot = GatedSlot<S::Slot>;

    fn set_draining(&mut self, draining: bool) {
        self.inner.set_draining(draining);
    }

    fn slot(&self) -> Self::Slot {
        GatedSlot {
            is_mark: false,
            inner: self.inner.slot(),
        }
    }

    fn is_expendable(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool {
        !self.latch.is_mark(datagram.bytes) && self.inner.is_expendable(policy, datagram)
    }

    fn is_stranger(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool {
        self.inner.is_stranger(policy, datagram)
    }

    fn scan(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut Self::Slot) {
        slot.is_mark = self.latch.is_mark(datagram.bytes);
        if !slot.is_mark {
            self.inner.scan(policy, datagram, &mut slot.inner);
        }
    }

    fn admit(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut Self::Slot) {
        if !slot.is_mark {
            self.inner.admit(policy, datagram, &mut slot.inner);
        }
    }

    fn touch(&self, policy: &Snapshot, slot: &mut Self::Slot, step: Touch) {
        if !slot.is_mark {
            self.inner.touch(policy, &mut slot.inner, step);
        }
    }

    fn decide(&self, policy: &Snapshot, datagram: &Datagram<'_>, now: Now, slot: &mut Self::Slot) {
        if !slot.is_mark {
            self.inner.decide(policy, datagram, now, &mut slot.inner);
        }
    }

    fn respond(
        &self,
        policy: &Snapshot,
        datagram: &Datagram<'_>,
        slot: &mut Self::Slot,
        out: &mut [u8],
    ) -> Option<Answer> {
        if slot.is_mark {
            return None;
        }
        self.inner.respond(policy, datagram, &mut slot.inner, out)
    }

    fn outcome(&self, slot: &Self::Slot) -> Outcome {
        if slot.is_mark {
            return Outcome::Keepalive;
        }
        self.inner.outcome(&slot.inner)
    }

    fn decision<'slot>(&self, slot: &'slot Self::Slot) -> Option<&'slot Decision> {
        if slot.is_mark {
            return None;
        }
        self.inner.decision(&slot.inner)
    }

    fn recall(&self, slot: &Self::Slot) -> Recall {
        if slot.is_mark {
            return Recall::default();
        }
        self.inner.recall(&slot.inner)
    }

    fn describe(&self, datagram: &Datagram<'_>, slot: &Self::Slot, event: &mut Event) {
        if !slot.is_mark {
            self.inner.describe(datagram, &slot.inner, event);
        }
    }
}

/// Stages that answer the canned 384 octets to everything: the loop without the decision.
#[derive(Debug)]
pub struct CannedStages {
    answer: [u8; ANSWER_OCTETS],
}

impl CannedStages {
    /// The stages.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "one way to make it is enough")]
    pub fn new() -> Self {
        Self {
            answer: canned_answer(),
        }
    }
}

impl Stages for CannedStages {
    /// Whether it is an ACK, which nobody answers.
    type Slot = bool;

    fn set_draining(&mut self, _draining: bool) {}

    fn slot(&self) -> bool {
        false
    }

    fn is_expendable(&self, _policy: &Snapshot, _datagram: &Datagram<'_>) -> bool {
        false
    }

    fn is_stranger(&self, _policy: &Snapshot, _datagram: &Datagram<'_>) -> bool {
        false
    }

    fn scan(&self, _policy: &Snapshot, datagram: &Datagram<'_>, is_ack: &mut bool) {
        *is_ack = datagram.bytes.first() == Some(&b'A');
    }

    fn admit(&self, _policy: &Snapshot, _datagram: &Datagram<'_>, _is_ack: &mut bool) {}

    fn touch(&self, _policy: &Snapshot, _is_ack: &mut bool, _step: Touch) {}

    fn decide(&self, _policy: &Snapshot, _datagram: &Datagram<'_>, _now: Now, _is_ack: &mut bool) {}

    fn respond(
        &self,
        _policy: &Snapshot,
        datagram: &Datagram<'_>,
        is_ack: &mut bool,
        out: &mut [u8],
    ) -> Option<Answer> {
        if *is_ack {
            return None;
        }
        let place = out.get_mut(..ANSWER_OCTETS)?;
        place.copy_from_slice(&self.answer);
        Some(Answer::fixed(ANSWER_OCTETS, datagram.source))
    }

    fn outcome(&self, is_ack: &bool) -> Outcome {
        if *is_ack {
            Outcome::Ack
        } else {
            Outcome::Approved
        }
    }

    fn decision<'slot>(&self, _is_ack: &'slot bool) -> Option<&'slot Decision> {
        None
    }

    fn recall(&self, _is_ack: &bool) -> Recall {
        Recall::default()
    }

    fn describe(&self, _datagram: &Datagram<'_>, _is_ack: &bool, _event: &mut Event) {}
}

/// A policy without any rule, for stages that ask none.
#[must_use]
pub fn empty_policy() -> Snapshot {
    Snapshot::build(&Rows::default(), Clock::start().now())
}

/// A shard as a variant.
#[derive(Debug)]
pub struct ShardVariant {
    thread: ThreadVariant,
    metrics: Arc<ShardMetrics>,
    datagrams_at_release: u64,
    events: Option<EventReceiver>,
    events_read: u64,
}

/// How a shard is set up.
#[derive(Debug, Clone, Copy)]
pub struct ShardPlan<'a> {
    /// The variant's name.
    pub name: &'a str,
    /// What its stages answer.
    pub answers: Answers,
    /// The core to stay on.
    pub core: usize,
    /// Receive buffer to ask for.
    pub receive_buffer_bytes: usize,
    /// Whether it tells of every datagram, as it does with a journal.
    pub events: bool,
}

/// Starts a shard with these stages and this policy.
///
/// # Errors
/// No socket, or no thread.
pub fn start<S>(plan: ShardPlan<'_>, stages: S, policy: Snapshot) -> io::Result<ShardVariant>
where
    S: Stages + Send + 'static,
{
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut group = bind_group(any, 1, plan.receive_buffer_bytes).map_err(io::Error::other)?;
    let socket = group
        .pop()
        .ok_or_else(|| io::Error::other("a group of one has one"))?;
    let socket = Arc::new(socket);
    let (gate, latch) = gate()?;
    let (cell, _publisher) = PolicyCell::new(policy);
    let poller = Poller::new(1)?;
    let switches = Arc::new(Switches::new(vec![poller.waker()]));
    let metrics = Arc::new(ShardMetrics::new());
    let (sender, receiver) = event_queue(EVENT_BLOCKS);
    let shard = Shard {
        number: 0,
        core: Some(plan.core),
        sockets: vec![Arc::clone(&socket)],
        poller,
        policy: cell.reader(),
        clock: Clock::start(),
        metrics: Arc::clone(&metrics),
        switches: Arc::clone(&switches),
        events: plan.events.then_some(sender),
        stages: Gated {
            inner: stages,
            latch,
        },
    };
    let thread = std::thread::Builder::new()
        .name(plan.name.to_owned())
        .spawn(move || run(shard))?;
    Ok(ShardVariant {
        metrics,
        datagrams_at_release: 0,
        events: plan.events.then_some(receiver),
        events_read: 0,
        thread: ThreadVariant::new(ThreadParts {
            name: plan.name.to_owned(),
            address: socket.address(),
            answers: plan.answers,
            gate,
            receive_buffer_bytes: socket.receive_buffer_bytes(),
            kernel_dropped: Box::new(move || socket.kernel_dropped()),
            stop: Box::new(move || {
                // The bell may be gone with its shard.
                let _rung = switches.stop();
            }),
            thread,
        }),
    })
}

impl ShardVariant {
    /// What the shard counts.
    #[must_use]
    pub fn metrics(&self) -> &ShardMetrics {
        &self.metrics
    }

    /// Events that were read of it.
    #[must_use]
    pub fn events_read(&self) -> u64 {
        self.events_read
    }

    fn read_events(&mut self) {
        if let Some(events) = &self.events {
            let read = events.drain(|event| {
                std::hint::black_box(event);
            });
            self.events_read += u64::try_from(read).unwrap_or(0);
        }
    }
}

impl Variant for ShardVariant {
    fn name(&self) -> &str {
        self.thread.name()
    }

    fn address(&self) -> SocketAddr {
        self.thread.address()
    }

    fn answers(&self) -> Answers {
        self.thread.answers()
    }

    fn hold(&mut self) -> io::Result<Cost> {
        self.thread.hold()
    }

    fn release(&mut self) -> io::Result<()> {
        self.read_events();
        self.datagrams_at_release = self.metrics.datagrams.get();
        self.thread.release()
    }

    fn is_through(&mut self, datagrams: u64) -> bool {
        self.read_events();
        // The mark has its outcome only after the release.
        self.metrics.datagrams.get() - self.datagrams_at_release > datagrams
    }

    fn receive_buffer_bytes(&self) -> Option<usize> {
        self.thread.receive_buffer_bytes()
    }

    fn kernel_dropped(&self) -> Option<u64> {
        self.thread.kernel_dropped()
    }
}
