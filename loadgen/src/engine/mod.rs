//! One thread's open loop: sends what is due, sends again what Timer A wants, reads what came, judges it, acknowledges it.
//!
//! Promises: a call leaves when it is due whatever came back before; no allocation per call but for the first wrong verdicts;
//! stamps never flatter: a call counts as sent before the system call, as late after it, and an answer as received when
//! the kernel had it. Leaves to `run`: threads, switches, adding up.

mod judge;
mod outbox;
mod probes;
mod retries;
mod seconds;

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::Sender;

use self::judge::Judge;
use self::outbox::Outbox;
use self::probes::Probes;
use self::retries::{Due, Retries};
use self::seconds::{Seconds, record_latency};
use crate::call::{Call, Family};
use crate::clock::{BothClocks, Clock, Nanos};
use crate::conclusion::Bounds;
use crate::digest::Credentials;
use crate::framer::{Frame, Framer};
use crate::limits::{
    BATCH, CALLS_PER_SOCKET_RUN, COPIES_PER_ROUND, LINGER_NS, OFFER_MAX_NS,
    RECEIVE_BATCHES_PER_ROUND, STREAM_MESSAGE_BYTES_MAX, TIMER_B_T1S, WAIT_MAX_NS,
};
use crate::message::Messages;
use crate::net::Link;
use crate::pace::{Offer, Pace};
use crate::random::SplitMix64;
use crate::recent::Recent;
use crate::record::{Line, Recorder};
use crate::source::Calls;
use crate::stats::{Interval, Stats};
use crate::sys::{Refusal, RxBatch, Waiter};
use crate::table::{Table, Times};
use crate::verdict::{Expected, Profile};
use crate::wire::Wire;

/// What all engines of a run share.
#[derive(Debug)]
pub struct Plan {
    /// The calls.
    pub calls: Calls,
    /// The headers that tell of the caller, whatever the calls say.
    pub family: Option<Family>,
    /// How verdicts are worn.
    pub profile: Profile,
    /// When calls are due.
    pub offer: Offer,
    /// T1 in nanoseconds.
    pub t1: Nanos,
    /// Whether Timer A runs.
    pub retransmit: bool,
    /// Whether final answers are acknowledged.
    pub acks: bool,
    /// Whether runs of equally long datagrams are one send.
    pub segments: bool,
    /// How many of 2³² datagrams, sent or received, are lost on purpose.
    pub lose: u32,
    /// What is shown to a server that asks who calls.
    pub credentials: Option<Credentials>,
    /// Nanoseconds between two OPTIONS of an engine.
    pub options_every: Option<Nanos>,
    /// How many calls of an engine are out at most. `None`: the loop is open, as it must be to measure a server.
    pub calls_out: Option<u64>,
    /// Whether the engine looks without ever sleeping.
    pub spin: bool,
    /// How far apart the rounds of an engine that sleeps are at least, in nanoseconds: calls leave up to so late, in batches.
    pub batch_window: Nanos,
    /// What makes a run invalid or missed.
    pub bounds: Bounds,
    /// Engines.
    pub threads: u64,
    /// When the run starts.
    pub start: Nanos,
}

impl Plan {
    /// Fills in the call with this number.
    pub fn fill(&self, sequence: u64, call: &mut Call) {
        self.calls.fill(sequence, call);
        if let Some(family) = self.family {
            call.family = family;
        }
    }

    /// The call with this number.
    #[must_use]
    pub fn call(&self, sequence: u64) -> Call {
        let mut call = Call::default();
        self.fill(sequence, &mut call);
        call
    }
}

/// While a connection does not take what it is given, it is tried this often, in nanoseconds.
const WAITING_LOOK_NS: Nanos = 1_000_000;

/// How a run is told to end.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// No more calls; those that are out are waited for.
    pub fn offering(&self) {
        self.0.fetch_max(1, Ordering::Relaxed);
    }

    /// Now.
    pub fn everything(&self) {
        self.0.fetch_max(2, Ordering::Relaxed);
    }

    fn stage(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket with its messages.
#[derive(Debug)]
pub struct Port {
    /// The socket.
    pub link: Link,
    /// The messages with its address.
    pub messages: Messages,
}

/// Where an engine's results go while it runs.
#[derive(Debug)]
pub struct Outputs {
    /// Every second that has passed.
    pub seconds: Sender<Interval>,
    /// Every call that is over, if that is wanted.
    pub record: Option<Recorder>,
}

/// One engine.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    stop: Arc<Stop>,
    clock: Clock,
    thread: u64,
    ports: Vec<Port>,
    /// Whether all sockets' answers carry the kernel's time of arrival.
    stamped: bool,
    /// What each socket's kernel counter of drops said last.
    dropped: Vec<u32>,
    /// Intended times of the first copies in the batch, and what is expected.
    due: Vec<(Nanos, Expected)>,
    /// The call that is being made.
    call: Call,
    /// Until when answers that must not come are listened for.
    silent_until: Nanos,
    pace: Pace,
    table: Table,
    recent: Recent,
    retries: Retries,
    probes: Probes,
    /// What connections have brought of messages that are not whole yet.
    framers: Vec<Framer>,
    /// What a connection is read into; empty without connections.
    buffer: Vec<u8>,
    outbox: Outbox,
    stats: Stats,
    seconds: Seconds,
    record: Option<Recorder>,
    offering: bool,
    last_event: Nanos,
}

impl Engine {
    /// An engine with its own sockets, of which it needs at least one.
    #[must_use]
    pub fn new(
        plan: &Arc<Plan>,
        stop: &Arc<Stop>,
        clock: Clock,
        thread: u64,
        ports: Vec<Port>,
        out: Outputs,
    ) -> Self {
        let per_thread = Pace::planned(&plan.offer) / plan.threads.max(1) + 1;
        let window_ms = plan.t1.saturating_mul(TIMER_B_T1S) / 1_000_000 + 2_000;
        let in_window = u128::from(plan.offer.rate_milli) * u128::from(window_ms)
            / 1_000_000
            / u128::from(plan.threads.max(1));
        let capacity = u128::from(per_thread).min(in_window + 1);
        Self {
            pace: Pace::new(plan.offer, thread, plan.threads),
            table: Table::new(
                usize::try_from(capacity).unwrap_or(usize::MAX),
                plan.t1,
                plan.retransmit,
            ),
            stamped: ports.iter().all(|port| port.link.stamped),
            dropped: vec![0; ports.len()],
            due: Vec::with_capacity(BATCH),
            call: Call::default(),
            silent_until: 0,
            recent: Recent::new(),
            retries: Retries::new(plan.t1, plan.retransmit),
            probes: Probes::new(plan.options_every, plan.start, plan.t1),
            framers: Vec::new(),
            buffer: if ports.iter().any(|port| port.link.wire.udp().is_none()) {
                vec![0; STREAM_MESSAGE_BYTES_MAX]
            } else {
                Vec::new()
            },
            outbox: Outbox::new(
                plan.segments,
                plan.lose,
                // Not the calls' own sequence, so that loss changes none of them.
                SplitMix64::of(plan.offer.seed.rotate_left(32), thread),
            ),
            stats: Stats::new(),
            seconds: Seconds::new(plan.start, out.seconds),
            record: out.record,
            offering: true,
            last_event: plan.start,
            plan: Arc::clone(plan),
            stop: Arc::clone(stop),
            clock,
            thread,
            ports,
        }
    }

    /// Runs to the end: all calls sent and over, or stopped.
    #[must_use]
    pub fn run(mut self) -> Stats {
        let mut waiter = Waiter::new(self.ports.iter().map(|port| port.link.wire.raw_fd()));
        let mut nobody = Waiter::new([]);
        let mut rx = RxBatch::new(self.ports.iter().any(|port| port.link.joined));
        let mut busy = false;
        loop {
            let now = self.clock.now();
            let stage = self.stop.stage();
            if stage >= 1 {
                self.offering = false;
            }
            busy |= self.offer(now);
            self.probe(now);
            let until = self.wake_at(now, busy);
            if !busy {
                self.nap(&mut nobody, now);
            }
            if let Err(error) = waiter.wait(until.saturating_sub(self.clock.now())) {
                self.stats.broken = Some(format!("ppoll: {error}"));
                break;
            }
            let looked = self.clock.now();
            let mut unread = false;
            for port in 0..self.ports.len() {
                if !waiter.is_ready(port) {
                    continue;
                }
                match self.receive(port, &mut rx) {
                    Received::All => {}
                    Received::Some => unread = true,
                    Received::Closed => waiter.ignore(port),
                }
            }
            self.send_waiting();
            // An answer that waits in the kernel is an answer: no timer fires before all have been read.
            let copies_left = !unread && self.fire_timers(looked);
            busy = unread || copies_left;
            self.seconds.roll(looked, &self.stats.counts);
            if stage >= 2 || self.is_over(looked) {
                break;
            }
        }
        self.finish()
    }

    /// Sends the calls that are due; true if there was no time for all of them before answers want to be read.
    fn offer(&mut self, now: Nanos) -> bool {
        loop {
            let Some(port) = self.fill(now) else {
                return false;
            };
            self.send_calls(port);
            if self.clock.now().saturating_sub(now) > OFFER_MAX_NS {
                return true;
            }
        }
    }

    /// Renders the next calls that are due and leave from one socket; `None` if none is due.
    fn fill(&mut self, now: Nanos) -> Option<usize> {
        self.due.clear();
        let first = self.table.next_number();
        let port = self.port_of(first);
        while self.offering && !self.outbox.tx.is_full() && self.due.len() < BATCH {
            let Some(due) = self.next_due() else {
                self.offering = false;
                break;
            };
            let intended = self.plan.start + due;
            let number = first + count(self.due.len());
            let out = self.table.outstanding() + count(self.due.len());
            let closed = self.plan.calls_out.is_some_and(|most| out >= most);
            if closed || intended > now || self.port_of(number) != port {
                break;
            }
            if self.table.is_full() {
                self.break_off("the table of open calls is full");
                break;
            }
            let sequence = self.pace.sequence();
            self.plan.fill(sequence, &mut self.call);
            let call = &self.call;
            let waiting = self.outbox.tx.len();
            if waiting > 0 && waiting + usize::from(call.copies) >= BATCH {
                break;
            }
            let messages = &self.ports.get(port)?.messages;
            for _ in 0..=call.copies {
                let counts = &mut self.stats.counts;
                let write = |slot: &mut [u8]| messages.invite(call, sequence, slot);
                if !self.outbox.push(counts, write) {
                    self.break_off("an INVITE did not fit into a datagram");
                    return (!self.due.is_empty()).then_some(port);
                }
            }
            self.stats.counts.copies += u64::from(call.copies);
            self.recent.keep(number, call);
            self.due.push((intended, call.expected));
            self.pace.advance();
        }
        (!self.due.is_empty()).then_some(port)
    }

    /// Sends the OPTIONS that is due, if one is.
    fn probe(&mut self, now: Nanos) {
        if !self.offering {
            self.probes.stop();
        }
        let Some(number) = self.probes.take_due(now) else {
            return;
        };
        let port = usize::try_from(number).unwrap_or(0) % self.ports.len().max(1);
        let Some(Port { link, messages }) = self.ports.get(port) else {
            return;
        };
        let counts = &mut self.stats.counts;
        self.outbox
            .push(counts, |slot| messages.options(number, slot));
        counts.options_sent += 1;
        self.outbox.flush(link, counts);
        self.last_event = now;
    }

    /// Hands a batch of first copies to the kernel and takes note of the calls.
    fn send_calls(&mut self, port: usize) {
        let sent = self.clock.now();
        self.flush(port);
        let done = self.clock.now();
        let due = std::mem::take(&mut self.due);
        for &(intended, expected) in &due {
            self.stats.lateness.record(done.saturating_sub(intended));
            let times = Times { intended, sent };
            if expected == Expected::Silence {
                let number = self.table.next_number();
                self.table.push_silent(times);
                self.stats.counts.silent += 1;
                self.silent_until = sent.saturating_add(self.plan.t1);
                self.record_unanswered(number, times, "silent", sent);
            } else {
                self.table.push(times);
            }
        }
        self.stats.counts.sent += count(due.len());
        self.due = due;
        let begun = self.stats.sending.map_or(sent, |(begun, _)| begun);
        self.stats.sending = Some((begun, done));
        self.last_event = done;
    }

    /// Timers A and B; true if more copies are due.
    fn fire_timers(&mut self, now: Nanos) -> bool {
        let more = self.send_copies(now);
        self.fire_retries(now);
        self.expire(now);
        more
    }

    /// Sends the copies that Timer A wants: rendered again, they are the same octets. True if there may be more.
    fn send_copies(&mut self, now: Nanos) -> bool {
        let before = self.stats.counts.retransmitted;
        let mut batch_port = 0;
        let mut more = false;
        while let Some(number) = self.table.next_copy(now) {
            let port = self.port_of(number);
            if port != batch_port || self.outbox.tx.is_full() {
                self.flush(batch_port);
                batch_port = port;
            }
            let sequence = self.sequence_of(number);
            self.plan.fill(sequence, &mut self.call);
            let Some(Port { messages, .. }) = self.ports.get(port) else {
                continue;
            };
            let call = &self.call;
            let counts = &mut self.stats.counts;
            if self
                .outbox
                .push(counts, |slot| messages.invite(call, sequence, slot))
            {
                counts.retransmitted += 1;
            }
            more = counts.retransmitted - before >= COPIES_PER_ROUND;
            if more {
                break;
            }
        }
        self.flush(batch_port);
        more
    }

    /// Timers A and B of second INVITEs.
    fn fire_retries(&mut self, now: Nanos) {
        while let Some(due) = self.retries.take_due(now) {
            match due {
                Due::Copy(number) => {
                    let sequence = self.sequence_of(number);
                    let call = self.plan.call(sequence);
                    let port = self.port_of(number);
                    let line = self.retries.authorization(number).unwrap_or_default();
                    let Some(Port { link, messages }) = self.ports.get(port) else {
                        continue;
                    };
                    let counts = &mut self.stats.counts;
                    self.outbox.push(counts, |slot| {
                        messages.authorized_invite(&call, sequence, line, slot)
                    });
                    counts.retransmitted += 1;
                    self.outbox.flush(link, counts);
                }
                Due::Lost(number) => {
                    if let Some(times) = self.table.lose(number) {
                        self.count_lost(number, times, now);
                    }
                }
            }
        }
    }

    fn flush(&mut self, port: usize) {
        if let Some(Port { link, .. }) = self.ports.get(port) {
            self.outbox.flush(link, &mut self.stats.counts);
        }
    }

    /// Gives connections what they had not taken before.
    fn send_waiting(&mut self) {
        for Port { link, .. } in self.ports.iter().filter(|port| port.link.wire.is_waiting()) {
            self.outbox.flush(link, &mut self.stats.counts);
        }
    }

    /// Reads, judges and acknowledges what a socket or connection has, up to a bound.
    fn receive(&mut self, port: usize, rx: &mut RxBatch) -> Received {
        match self.ports.get(port).map(|port| &port.link.wire) {
            Some(Wire::Udp(_)) => self.receive_datagrams(port, rx),
            Some(Wire::Tcp(_)) => self.receive_messages(port),
            None => Received::All,
        }
    }

    fn receive_messages(&mut self, port: usize) -> Received {
        for _ in 0..RECEIVE_BATCHES_PER_ROUND {
            let found = {
                let Some(Port { link, .. }) = self.ports.get(port) else {
                    return Received::All;
                };
                let Wire::Tcp(connection) = &link.wire else {
                    return Received::All;
                };
                read_some(connection.stream(), &mut self.buffer)
            };
            let read = match found {
                Ok(read) if read > 0 => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Received::All,
                // The end of the stream, or a connection that broke: its open calls will be lost.
                Ok(_) | Err(_) => {
                    self.stats.counts.connections_lost += 1;
                    return Received::Closed;
                }
            };
            let now = self.clock.now();
            let mut framer = std::mem::take(self.framer(port));
            framer.add(self.buffer.get(..read).unwrap_or_default());
            let broken = self.judge_messages(port, &mut framer, now);
            *self.framer(port) = framer;
            self.flush(port); // the ACKs
            self.last_event = now;
            if broken {
                self.stats.counts.unparsable += 1;
                self.stats.counts.connections_lost += 1;
                return Received::Closed;
            }
        }
        Received::Some
    }

    fn framer(&mut self, port: usize) -> &mut Framer {
        if self.framers.len() <= port {
            self.framers.resize_with(port + 1, Framer::default);
        }
        &mut self.framers[port]
    }

    /// Judges the whole messages that a connection has brought; true if the stream is of no more use.
    fn judge_messages(&mut self, port: usize, framer: &mut Framer, now: Nanos) -> bool {
        let mut judge = self.judge(port);
        loop {
            match framer.next_frame() {
                Frame::Message(message) => judge.datagram(message, now),
                Frame::Partial => return false,
                Frame::Broken => return true,
            }
        }
    }

    fn receive_datagrams(&mut self, port: usize, rx: &mut RxBatch) -> Received {
        for _ in 0..RECEIVE_BATCHES_PER_ROUND {
            let socket = self.ports.get(port).and_then(|port| port.link.wire.udp());
            let Some(socket) = socket else {
                return Received::All;
            };
            match rx.receive(socket.as_fd()) {
                Ok(runs) => self.stats.counts.receives += count(runs),
                Err(error) => {
                    if Refusal::of(&error) == Refusal::PortClosed {
                        self.stats.counts.refused += 1;
                    }
                    return Received::All;
                }
            }
            let read = self.clock.both();
            self.judge_batch(port, rx, read);
            self.flush(port); // the ACKs
            if !rx.is_full() {
                return Received::All;
            }
        }
        Received::Some
    }

    fn judge_batch(&mut self, port: usize, rx: &RxBatch, read: BothClocks) {
        if let Some((dropped, known)) = rx.dropped().zip(self.dropped.get_mut(port)) {
            self.stats.counts.receive_dropped += u64::from(dropped.wrapping_sub(*known));
            *known = dropped;
        }
        let mut judge = self.judge(port);
        for datagram in rx.iter() {
            let arrived = datagram
                .stamp
                .map_or(read.monotonic, |stamp| read.monotonic_of(stamp));
            judge.datagram(datagram.octets, arrived);
        }
        self.last_event = read.monotonic;
    }

    /// What is needed to judge a socket's answers.
    fn judge(&mut self, port: usize) -> Judge<'_> {
        Judge {
            plan: &self.plan,
            thread: self.thread,
            ports: &self.ports,
            port,
            table: &mut self.table,
            recent: &mut self.recent,
            retries: &mut self.retries,
            probes: &mut self.probes,
            outbox: &mut self.outbox,
            stats: &mut self.stats,
            interval: &mut self.seconds.current,
            record: &mut self.record,
        }
    }

    /// Counts the calls whose Timer B has fired: their latency is Timer B, not nothing.
    fn expire(&mut self, now: Nanos) {
        while let Some((number, times)) = self.table.next_lost(now) {
            self.count_lost(number, times, now);
        }
        self.table.forget(now);
        self.probes.expire(now, &mut self.stats);
    }

    fn count_lost(&mut self, number: u64, times: Times, now: Nanos) {
        self.stats.counts.lost += 1;
        record_latency(&mut self.stats, &mut self.seconds.current, times, now);
        self.record_unanswered(number, times, "lost", now);
        self.last_event = now;
    }

    fn is_over(&self, now: Nanos) -> bool {
        !self.offering
            && self.table.outstanding() == 0
            && self.probes.outstanding() == 0
            && now
                >= self
                    .last_event
                    .saturating_add(LINGER_NS)
                    .max(self.silent_until)
    }

    /// When the next call is due, from the start: by the calls' own times, else by the pace.
    fn next_due(&self) -> Option<Nanos> {
        if !self.plan.calls.has_own_times() {
            return self.pace.next_due();
        }
        let sequence = self.pace.sequence();
        let due = self.plan.calls.due(sequence)?;
        let offered = sequence < self.plan.offer.calls_max && due < self.plan.offer.duration;
        offered.then_some(due)
    }

    /// Until when nothing is to be done unless a datagram comes.
    fn wake_at(&mut self, now: Nanos, behind: bool) -> Nanos {
        if behind || self.plan.spin {
            return now;
        }
        let mut at = now.saturating_add(WAIT_MAX_NS).min(self.seconds.ends());
        if self.offering {
            if let Some(due) = self.next_due() {
                at = at.min(self.plan.start + due);
            }
        } else if self.table.outstanding() == 0 {
            let over = self.last_event.saturating_add(LINGER_NS);
            at = at.min(over.max(self.silent_until));
        }
        if self.ports.iter().any(|port| port.link.wire.is_waiting()) {
            at = at.min(now + WAITING_LOOK_NS);
        }
        let timers = [
            self.table.next_due(),
            self.retries.next_due(),
            self.probes.next_due().filter(|_| self.offering),
        ];
        timers.into_iter().flatten().fold(at, Nanos::min)
    }

    /// Keeps the rounds of an engine apart, so that calls and answers come in batches: nobody is listened to meanwhile.
    /// Answers wait in the kernel, which has stamped them. Without its stamps there is no nap.
    fn nap(&self, nobody: &mut Waiter, round: Nanos) {
        if self.plan.spin || !self.stamped {
            return;
        }
        let rest = (round + self.plan.batch_window).saturating_sub(self.clock.now());
        if rest > 0 {
            // A nap cut short costs processor time, nothing else.
            nobody.wait(rest).unwrap_or_default();
        }
    }

    fn finish(mut self) -> Stats {
        self.stats.counts.abandoned = self.table.outstanding();
        let now = self.clock.now();
        if self.record.is_some() {
            while let Some((number, times)) = self.table.next_open() {
                self.record_unanswered(number, times, "abandoned", now);
            }
        }
        let dropped = self.record.take().map_or(0, Recorder::finish);
        if dropped > 0 {
            self.break_off(&format!(
                "the record of calls lacks {dropped} lines: its disk was too slow"
            ));
        }
        self.seconds.end(&self.stats.counts);
        self.stats.cpu_ns = crate::sys::thread_cpu_ns();
        self.stats.cpu_system_ns = crate::sys::thread_cpu_system_ns();
        self.stats
    }

    /// A line for a call that got no answer.
    fn record_unanswered(&mut self, number: u64, times: Times, verdict: &'static str, now: Nanos) {
        let sequence = self.sequence_of(number);
        let port = self.port_of(number);
        let Some((record, Port { messages, .. })) = self.record.as_mut().zip(self.ports.get(port))
        else {
            return;
        };
        let call = self.plan.call(sequence);
        record.line(&Line {
            call_id: &messages.call_id(sequence),
            dialled: call.user.as_bytes(),
            verdict,
            code: None,
            status: None,
            expected: call.expected.word(),
            intended: times.intended.saturating_sub(self.plan.start),
            latency: now.saturating_sub(times.intended),
        });
    }

    fn break_off(&mut self, reason: &str) {
        self.stats.broken = Some(reason.to_owned());
        self.offering = false;
    }

    /// Which socket the engine's call of this number leaves from.
    fn port_of(&self, number: u64) -> usize {
        port_of(number, self.ports.len())
    }

    fn sequence_of(&self, number: u64) -> u64 {
        number * self.plan.threads + self.thread
    }
}

/// How reading a socket or connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    /// There was no more.
    All,
    /// There may be more.
    Some,
    /// The connection is over.
    Closed,
}

fn read_some(mut stream: &TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    stream.read(buffer)
}

fn port_of(number: u64, ports: usize) -> usize {
    let turn = (number / CALLS_PER_SOCKET_RUN) % count(ports).max(1);
    usize::try_from(turn).unwrap_or(0)
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_take_turns_in_short_runs() {
        let ports: Vec<usize> = (0..6)
            .map(|run| port_of(run * CALLS_PER_SOCKET_RUN, 2))
            .collect();
        assert_eq!(ports, [0, 1, 0, 1, 0, 1]);
        assert_eq!(port_of(CALLS_PER_SOCKET_RUN - 1, 2), 0);
        assert_eq!(port_of(u64::MAX, 1), 0);
    }
}
