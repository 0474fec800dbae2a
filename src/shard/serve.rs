//! The loop.

use super::pin::pin;
use super::stages::Stages;
use super::switches::Switches;
use crate::clock::{Clock, Now};
use crate::event::{EventSender, Outcome};
use crate::limits::{
    BATCH_DATAGRAMS, PANICS_IN_A_ROW_MAX, RECEIVE_ERRORS_IN_A_ROW_MAX, STOP_SERVE_NS_MAX,
};
use crate::metrics::{BatchCounts, ShardMetrics};
use crate::net::{Poller, Readiness, Received, RxBatch, Socket, TxBatch};
use crate::policy::cell::PolicyReader;
use crate::policy::{Decision, Verdict};
use crate::uas::{Recall, Touch};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How soon an idle shard looks whether its last events are awaited.
const EVENTS_LEFT_WAIT: Duration = Duration::from_millis(20);

/// All that a shard has. It outlives the shard's panics.
#[derive(Debug)]
pub struct Shard<S> {
    /// Its number, from 0.
    pub number: u16,
    /// The core to stay on; `None`: wherever the system puts it.
    pub core: Option<usize>,
    /// Its socket of every listener.
    pub sockets: Vec<Arc<Socket>>,
    /// Watches them; they are added here.
    pub poller: Poller,
    /// Its view of the policy.
    pub policy: PolicyReader,
    /// The clock.
    pub clock: Clock,
    /// What it counts.
    pub metrics: Arc<ShardMetrics>,
    /// What it is told.
    pub switches: Arc<Switches>,
    /// Where its events go, if anybody wants them.
    pub events: Option<EventSender>,
    /// Who answers.
    pub stages: S,
}

/// Runs a shard on the calling thread until it is told to stop.
///
/// # Errors
/// The sockets cannot be watched, or the shard panicked again and again without using up a datagram.
pub fn run<S: Stages>(mut shard: Shard<S>) -> io::Result<()> {
    if let Some(core) = shard.core {
        // A refused pin costs speed only; the start-up text has named the cores that we may use.
        let _pinned = pin(core);
    }
    for (number, socket) in shard.sockets.iter().enumerate() {
        shard.poller.add(number, socket)?;
    }
    let metrics = Arc::clone(&shard.metrics);
    metrics.running.set(1);
    let mut in_flight = 0;
    let mut panics_in_a_row = 0;
    loop {
        let before = metrics.datagrams.get();
        // What a panic leaves behind is thrown away with the `Loop`: batch, slots, ready list. What stays (poller,
        // policy reader, counters, event block) is whole between any two of its operations.
        let served = catch_unwind(AssertUnwindSafe(|| {
            Loop::new(&mut shard, &mut in_flight).serve()
        }));
        match served {
            Ok(outcome) => {
                metrics.running.set(0);
                return outcome;
            }
            Err(_panic) => {
                metrics.panics.add(1);
                metrics.count_outcome(Outcome::Panicked, in_flight);
                in_flight = 0;
            }
        }
        // A datagram that panics is used up by it. A panic that uses up none would come back for ever.
        panics_in_a_row = if metrics.datagrams.get() == before {
            panics_in_a_row + 1
        } else {
            0
        };
        if panics_in_a_row >= PANICS_IN_A_ROW_MAX {
            metrics.running.set(0);
            return Err(io::Error::other(
                "the shard panics without having read anything",
            ));
        }
    }
}

/// What lives from one panic to the next.
struct Loop<'a, S: Stages> {
    shard: &'a mut Shard<S>,
    /// Datagrams that were read and have no outcome yet.
    in_flight: &'a mut u64,
    /// Sockets that may still hold datagrams. Edge-triggered readiness tells only once.
    ready: Vec<bool>,
    errors_in_a_row: Vec<u32>,
    slots: Box<[S::Slot]>,
    rx: RxBatch,
    tx: TxBatch,
    /// The socket was left with more than it should hold: what can be spared is given up unread.
    overloaded: bool,
    /// When the last batch began, if its service time has not been counted.
    began_ns: Option<u64>,
}

impl<'a, S: Stages> Loop<'a, S> {
    fn new(shard: &'a mut Shard<S>, in_flight: &'a mut u64) -> Self {
        let sockets = shard.sockets.len();
        Self {
            // At first all: after a panic nobody knows which of them were empty.
            ready: vec![true; sockets],
            errors_in_a_row: vec![0; sockets],
            slots: (0..BATCH_DATAGRAMS).map(|_| shard.stages.slot()).collect(),
            rx: RxBatch::new(),
            tx: TxBatch::new(),
            overloaded: false,
            began_ns: None,
            in_flight,
            shard,
        }
    }

    fn serve(mut self) -> io::Result<()> {
        while !self.shard.switches.stopping() {
            let busy = self.ready.contains(&true);
            let timeout = if busy {
                Some(Duration::ZERO)
            } else {
                self.idle()
            };
            let ready = &mut self.ready;
            let mut rang = false;
            self.shard.poller.wait(timeout, |found| match found {
                Readiness::Socket(number) => {
                    if let Some(ready) = ready.get_mut(number) {
                        *ready = true;
                    }
                }
                Readiness::Bell => rang = true,
            })?;
            if rang {
                // An idle shard lets go of the old snapshot here.
                let policy = self.shard.policy.load();
                if let Some(events) = &mut self.shard.events {
                    events.decided_by(policy.number());
                }
            }
            self.round();
        }
        self.finish();
        Ok(())
    }

    /// One batch of every socket that may hold something, so that none waits for another to be empty.
    fn round(&mut self) {
        let draining = self.shard.switches.draining();
        self.shard.stages.set_draining(draining);
        for number in 0..self.ready.len() {
            if self.ready.get(number) == Some(&true) {
                self.batch(number);
            }
        }
    }

    fn batch(&mut self, number: usize) {
        if !self.receive(number) {
            return;
        }
        let now = self.shard.clock.now();
        self.close_service(now);
        self.began_ns = Some(now.monotonic_ns);
        let Self {
            shard,
            rx,
            tx,
            slots,
            in_flight,
            overloaded,
            ..
        } = self;
        let Shard {
            number: shard_number,
            sockets,
            policy,
            metrics,
            events,
            stages,
            ..
        } = &mut **shard;
        let policy = policy.load(); // a batch is answered by one policy, never by two
        let mut shed = Shed::NONE;
        if *overloaded {
            for (number, datagram) in rx.iter().enumerate() {
                if stages.is_expendable(policy, &datagram) {
                    shed.add(number);
                    if stages.is_stranger(policy, &datagram) {
                        metrics.count_stranger(datagram.source.ip());
                    }
                }
            }
        }
        for (datagram, slot) in shed.spared(rx.iter().zip(slots.iter_mut())) {
            stages.scan(policy, &datagram, slot);
        }
        for (datagram, slot) in shed.spared(rx.iter().zip(slots.iter_mut())) {
            stages.admit(policy, &datagram, slot);
        }
        for step in Touch::STEPS {
            for slot in shed.spared(slots.iter_mut().take(rx.len())) {
                stages.touch(policy, slot, step);
            }
        }
        for (datagram, slot) in shed.spared(rx.iter().zip(slots.iter_mut())) {
            stages.decide(policy, &datagram, now, slot);
        }
        for (datagram, slot) in shed.spared(rx.iter().zip(slots.iter_mut())) {
            // There are as many places for answers as for datagrams.
            let Some(out) = tx.next_slot() else { continue };
            if let Some(answer) = stages.respond(policy, &datagram, slot, out) {
                tx.commit(answer, datagram.local);
            }
        }
        if let Some(socket) = sockets.get(number)
            && !tx.is_empty()
        {
            metrics.count_sent(&tx.send(socket, now.monotonic_ns));
        }
        if let Some(events) = events {
            events.decided_by(policy.number());
        }
        let mut counts = BatchCounts::new(metrics);
        for (datagram, slot) in shed.spared(rx.iter().zip(slots.iter())) {
            let outcome = stages.outcome(slot);
            counts.outcome(outcome);
            if outcome == Outcome::UnknownSource {
                metrics.count_stranger(datagram.source.ip());
            }
            let recall = stages.recall(slot);
            counts.recall(recall);
            // A copy of a call is no call of its own.
            if recall != Recall::Repeated {
                count_verdict(metrics, stages.decision(slot));
            }
            let Some(events) = events else { continue };
            if !outcome.is_of_call() {
                continue;
            }
            let kept = events.push(|event| {
                event.begin(now.unix_us, *shard_number, datagram.source, outcome);
                event.snapshot = policy.number();
                stages.describe(&datagram, slot, event);
            });
            if !kept {
                metrics.events_dropped.add(1);
            }
        }
        metrics.count_batch(&counts);
        **in_flight = in_flight.saturating_sub(counts.datagrams());
        // Of these no event tells: writing it costs more than all that was saved.
        if shed.count() > 0 {
            metrics.count_outcome(Outcome::Shed, shed.count());
            **in_flight = in_flight.saturating_sub(shed.count());
        }
    }

    /// Reads a batch; whether it holds anything.
    fn receive(&mut self, number: usize) -> bool {
        let (Some(socket), Some(ready), Some(errors)) = (
            self.shard.sockets.get(number),
            self.ready.get_mut(number),
            self.errors_in_a_row.get_mut(number),
        ) else {
            return false;
        };
        match self.rx.receive(socket) {
            Received::Full => {
                *errors = 0;
                self.overloaded = socket.is_crowded();
            }
            Received::Drained => {
                *errors = 0;
                self.overloaded = false;
                *ready = false;
            }
            Received::Error => {
                // RFC 3261 §18.4: an ICMP error about an earlier answer ends nothing.
                self.shard.metrics.receive_errors.add(1);
                *errors += 1;
                self.overloaded = false;
                if *errors >= RECEIVE_ERRORS_IN_A_ROW_MAX {
                    *errors = 0;
                    *ready = false;
                }
            }
        }
        let read = u64::try_from(self.rx.len()).unwrap_or(u64::MAX);
        *self.in_flight = read;
        if read > 0 {
            self.shard.metrics.batch_size.observe(read);
        }
        read > 0
    }

    /// The clock is read once a batch: its reading ends the service of the batch before.
    fn close_service(&mut self, now: Now) {
        if let Some(began_ns) = self.began_ns.take() {
            let took = now.monotonic_ns.saturating_sub(began_ns);
            self.shard.metrics.batch_service.observe(took);
            self.shard
                .metrics
                .batch_service_longest
                .observe(now.monotonic_ns, took);
        }
    }

    /// Before waiting: nothing may lie about that somebody else waits for. How long to wait; `None` is without end.
    fn idle(&mut self) -> Option<Duration> {
        if self.began_ns.is_some() {
            self.close_service(self.shard.clock.now());
        }
        let events = self.shard.events.as_mut()?;
        (!events.flush_if_awaited()).then_some(EVENTS_LEFT_WAIT)
    }

    /// Serves what the sockets hold, for a bounded time: what was sent before the stop is answered and counted.
    fn finish(&mut self) {
        let began_ns = self.shard.clock.now().monotonic_ns;
        self.ready.fill(true);
        while self.ready.contains(&true) {
            self.round();
            let now_ns = self.shard.clock.now().monotonic_ns;
            if now_ns.saturating_sub(began_ns) > STOP_SERVE_NS_MAX {
                break;
            }
        }
        self.close_service(self.shard.clock.now());
        if let Some(events) = &mut self.shard.events {
            events.flush();
        }
    }
}

/// Which datagrams of a batch are given up unread: a bit each.
#[derive(Debug, Clone, Copy)]
struct Shed(u32);

const _: () = assert!(BATCH_DATAGRAMS <= 32, "a bit for every datagram");

impl Shed {
    const NONE: Self = Self(0);

    fn add(&mut self, number: usize) {
        self.0 |= 1 << number;
    }

    fn count(self) -> u64 {
        u64::from(self.0.count_ones())
    }

    /// The others.
    fn spared<T>(self, batch: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        let Self(mut bits) = self;
        batch.filter(move |_datagram| {
            let spared = bits & 1 == 0;
            bits >>= 1;
            spared
        })
    }
}

/// Counts the verdict on one INVITE for its domain; errors have an outcome and no code.
fn count_verdict(metrics: &ShardMetrics, decision: Option<&Decision>) {
    let Some(decision) = decision else { return };
    let Some(domain) = decision.domain_slot else {
        return;
    };
    match decision.verdict {
        Verdict::Approve | Verdict::Reject | Verdict::Divert => {
            metrics.count_verdict(domain, decision.code, decision.would);
        }
        Verdict::Error(_) => {}
    }
}
