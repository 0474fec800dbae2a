//! What a shard spends in its own code: the same packets through the same stages, with the thread's clock read around
//! them and the system calls left outside.
//!
//! A kernel that samples at ticks does not tell user time from system time over a second; this does, to some 5 ns a
//! datagram. Promises: metrics are counted and events are told as `shard` does it. Leaves to `serve`: the real loop.

use crate::gate::{Cost, Latch, gate};
use crate::variant::{Answers, ThreadParts, ThreadVariant, Variant};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tollgate::clock::Clock;
use tollgate::event::{EventReceiver, EventSender, event_queue};
use tollgate::limits::BATCH_DATAGRAMS;
use tollgate::metrics::{BatchCounts, ShardMetrics};
use tollgate::net::{Poller, Received, RxBatch, Socket, TxBatch, bind_group};
use tollgate::policy::Snapshot;
use tollgate::shard::{Stages, pin};
use tollgate::sys::thread_time_ns;
use tollgate::uas::Touch;

/// Blocks of events between the thread and its reader.
const EVENT_BLOCKS: usize = 512;

/// The variant.
#[derive(Debug)]
pub struct OwnVariant {
    thread: ThreadVariant,
    own_ns: Arc<AtomicU64>,
    own_ns_at_release: u64,
    events: EventReceiver,
}

/// Starts it.
///
/// # Errors
/// No socket, or no thread.
pub fn start<S>(
    name: &str,
    core: usize,
    receive_buffer_bytes: usize,
    stages: S,
    policy: Snapshot,
) -> io::Result<OwnVariant>
where
    S: Stages + Send + 'static,
{
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut group = bind_group(any, 1, receive_buffer_bytes).map_err(io::Error::other)?;
    let socket = group
        .pop()
        .ok_or_else(|| io::Error::other("a group of one has one"))?;
    let socket = Arc::new(socket);
    let asked = Arc::clone(&socket);
    let (gate, latch) = gate()?;
    let (sender, events) = event_queue(EVENT_BLOCKS);
    let stop = Arc::new(AtomicBool::new(false));
    let own_ns = Arc::new(AtomicU64::new(0));
    let thread = Thread {
        socket: Arc::clone(&socket),
        latch,
        stopping: Arc::clone(&stop),
        own_ns: Arc::clone(&own_ns),
        stages,
        policy,
        events: sender,
    };
    let builder = std::thread::Builder::new().name(name.to_owned());
    Ok(OwnVariant {
        own_ns,
        own_ns_at_release: 0,
        events,
        thread: ThreadVariant::new(ThreadParts {
            name: name.to_owned(),
            address: socket.address(),
            answers: Answers::Decided,
            gate,
            receive_buffer_bytes: socket.receive_buffer_bytes(),
            kernel_dropped: Box::new(move || asked.kernel_dropped()),
            stop: Box::new(move || stop.store(true, Ordering::Release)),
            thread: builder.spawn(move || {
                if !pin(core) {
                    return Err(io::Error::other(format!("cannot stay on core {core}")));
                }
                thread.serve()
            })?,
        }),
    })
}

struct Thread<S> {
    socket: Arc<Socket>,
    latch: Latch,
    stopping: Arc<AtomicBool>,
    own_ns: Arc<AtomicU64>,
    stages: S,
    policy: Snapshot,
    events: EventSender,
}

impl<S: Stages> Thread<S> {
    fn serve(mut self) -> io::Result<()> {
        let clock = Clock::start();
        let metrics = ShardMetrics::new();
        let mut poller = Poller::new(1)?;
        poller.add(0, &self.socket)?;
        let mut rx = RxBatch::new();
        let mut tx = TxBatch::new();
        let mut slots: Vec<S::Slot> = (0..BATCH_DATAGRAMS).map(|_| self.stages.slot()).collect();
        while !self.stopping.load(Ordering::Relaxed) {
            poller.wait(None, |_ready| {})?;
            loop {
                let received = rx.receive(&self.socket);
                let is_mark = rx.iter().any(|datagram| self.latch.is_mark(datagram.bytes));
                if is_mark {
                    // It comes alone.
                    continue;
                }
                let before = thread_time_ns()?;
                let now_ns = self.answer(&clock, &metrics, &rx, &mut tx, &mut slots);
                tx.arrange(&self.socket, now_ns);
                let spent = thread_time_ns()? - before;
                self.own_ns.fetch_add(spent, Ordering::Relaxed);
                if !tx.is_empty() {
                    metrics.count_sent(&tx.send(&self.socket, now_ns));
                }
                let handled = u64::try_from(rx.len()).unwrap_or(0);
                self.latch.count_handled(handled);
                if received != Received::Full {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The batch's time.
    fn answer(
        &mut self,
        clock: &Clock,
        metrics: &ShardMetrics,
        rx: &RxBatch,
        tx: &mut TxBatch,
        slots: &mut [S::Slot],
    ) -> u64 {
        let (stages, policy) = (&self.stages, &self.policy);
        let now = clock.now();
        for (datagram, slot) in rx.iter().zip(slots.iter_mut()) {
            stages.scan(policy, &datagram, slot);
        }
        for (datagram, slot) in rx.iter().zip(slots.iter_mut()) {
            stages.admit(policy, &datagram, slot);
        }
        for step in Touch::STEPS {
            for slot in slots.iter_mut().take(rx.len()) {
                stages.touch(policy, slot, step);
            }
        }
        for (datagram, slot) in rx.iter().zip(slots.iter_mut()) {
            stages.decide(policy, &datagram, now, slot);
        }
        for (datagram, slot) in rx.iter().zip(slots.iter_mut()) {
            let Some(out) = tx.next_slot() else { continue };
            if let Some(answer) = stages.respond(policy, &datagram, slot, out) {
                tx.commit(answer, datagram.local);
            }
        }
        let mut counts = BatchCounts::new(metrics);
        for (datagram, slot) in rx.iter().zip(slots.iter()) {
            let outcome = stages.outcome(slot);
            counts.outcome(outcome);
            counts.recall(stages.recall(slot));
            if let Some(decision) = stages.decision(slot)
                && let Some(domain) = decision.domain
            {
                metrics.count_verdict(domain, decision.code, decision.would);
            }
            let kept = self.events.push(|event| {
                event.begin(now.unix_us, 0, datagram.source, outcome);
                stages.describe(&datagram, slot, event);
            });
            if !kept {
                metrics.events_dropped.add(1);
            }
        }
        metrics.count_batch(&counts);
        now.monotonic_ns
    }
}

impl OwnVariant {
    fn read_events(&self) {
        self.events.drain(|event| {
            std::hint::black_box(event);
        });
    }
}

impl Variant for OwnVariant {
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
        let whole = self.thread.hold()?;
        let own_ns = self.own_ns.load(Ordering::Relaxed);
        Ok(Cost {
            user_ns: own_ns - self.own_ns_at_release,
            system_ns: 0,
            ..whole
        })
    }

    fn release(&mut self) -> io::Result<()> {
        self.read_events();
        self.own_ns_at_release = self.own_ns.load(Ordering::Relaxed);
        self.thread.release()
    }

    fn is_through(&mut self, datagrams: u64) -> bool {
        self.read_events();
        self.thread.is_through(datagrams)
    }

    fn receive_buffer_bytes(&self) -> Option<usize> {
        self.thread.receive_buffer_bytes()
    }

    fn kernel_dropped(&self) -> Option<u64> {
        self.thread.kernel_dropped()
    }
}
