//! The real UAS under watch: what its shards' threads free is counted, and, if wanted, when their loops go round.
//!
//! Promises: beside the calls it costs a comparison of two numbers a datagram and a store a batch; nothing is allocated.

use super::counting_allocator::watch;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use tollgate::clock::Now;
use tollgate::event::{Event, Outcome};
use tollgate::net::{Answer, Datagram};
use tollgate::policy::{Decision, Snapshot};
use tollgate::shard::{Stages, UasSlot};
use tollgate::uas::{Recall, Touch, Uas};

/// What the loops of some shards did, by the node's clock.
#[derive(Debug)]
pub(crate) struct Rounds {
    shards: Vec<Shard>,
    next: AtomicUsize,
}

/// One shard's: one writer.
#[derive(Debug)]
struct Shard {
    /// The longest gap between the clock readings of two batches in a row that ended in each millisecond, microseconds.
    gaps_us: Vec<AtomicU32>,
    /// The millisecond of the first batch by each policy, and how many there are.
    swaps_ms: Vec<AtomicU64>,
    swaps: AtomicUsize,
}

impl Rounds {
    /// Room for so many shards, milliseconds and policies.
    pub(crate) fn new(shards: usize, milliseconds: usize, policies: usize) -> Arc<Self> {
        let shard = |_| Shard {
            gaps_us: (0..milliseconds).map(|_| AtomicU32::new(0)).collect(),
            swaps_ms: (0..policies).map(|_| AtomicU64::new(0)).collect(),
            swaps: AtomicUsize::new(0),
        };
        Arc::new(Self {
            shards: (0..shards).map(shard).collect(),
            next: AtomicUsize::new(0),
        })
    }

    /// Of each shard the milliseconds in which it first decided by another policy.
    pub(crate) fn swaps(&self) -> Vec<Vec<u64>> {
        let of = |shard: &Shard| {
            let count = shard.swaps.load(Ordering::Acquire);
            let swaps = shard.swaps_ms.iter().take(count);
            swaps.map(|at| at.load(Ordering::Relaxed)).collect()
        };
        self.shards.iter().map(of).collect()
    }

    /// The longest gap of a shard that ended in these milliseconds; `None` when there was none.
    pub(crate) fn longest_us(&self, shard: usize, from_ms: u64, to_ms: u64) -> Option<u32> {
        let from = usize::try_from(from_ms).unwrap();
        let to = usize::try_from(to_ms).unwrap();
        let gaps = self.shards[shard].gaps_us.get(from..to)?;
        let longest = gaps.iter().map(|gap| gap.load(Ordering::Relaxed)).max()?;
        (longest > 0).then_some(longest)
    }
}

/// The UAS, for one shard once it has seen a datagram.
#[derive(Debug)]
pub(crate) struct Watched {
    uas: Uas,
    rounds: Option<Arc<Rounds>>,
    /// Which of the shards of `rounds` this is.
    shard: Cell<Option<usize>>,
    last_ns: Cell<u64>,
    last_policy: Cell<u32>,
}

impl Clone for Watched {
    /// For another shard.
    fn clone(&self) -> Self {
        Self {
            rounds: self.rounds.clone(),
            ..Self::new(self.uas.clone())
        }
    }
}

impl Watched {
    /// Counts large frees only.
    pub(crate) fn new(uas: Uas) -> Self {
        Self {
            uas,
            rounds: None,
            shard: Cell::new(None),
            last_ns: Cell::new(0),
            last_policy: Cell::new(0),
        }
    }

    /// Also says when the loops go round.
    pub(crate) fn timed(self, rounds: Arc<Rounds>) -> Self {
        Self {
            rounds: Some(rounds),
            ..self
        }
    }

    /// Called for each datagram of a batch; the first one has a new `now`.
    fn round(&self, policy: &Snapshot, now: Now) {
        let last_ns = self.last_ns.replace(now.monotonic_ns);
        if last_ns == now.monotonic_ns {
            return;
        }
        let Some(rounds) = &self.rounds else { return };
        let shard = self.shard.get().unwrap_or_else(|| {
            let number = rounds.next.fetch_add(1, Ordering::Relaxed);
            self.shard.set(Some(number));
            self.last_policy.set(policy.number());
            number
        });
        let Some(shard) = rounds.shards.get(shard) else {
            return;
        };
        let now_ms = now.monotonic_ns / 1_000_000;
        let gap_us = now.monotonic_ns.saturating_sub(last_ns) / 1000;
        let place = usize::try_from(now_ms).unwrap_or(usize::MAX);
        if let Some(longest) = shard.gaps_us.get(place)
            && last_ns > 0
        {
            let gap_us = u32::try_from(gap_us).unwrap_or(u32::MAX);
            longest.store(
                longest.load(Ordering::Relaxed).max(gap_us),
                Ordering::Relaxed,
            );
        }
        if self.last_policy.replace(policy.number()) != policy.number() {
            let count = shard.swaps.load(Ordering::Relaxed);
            if let Some(at) = shard.swaps_ms.get(count) {
                at.store(now_ms, Ordering::Relaxed);
                shard.swaps.store(count + 1, Ordering::Release);
            }
        }
    }
}

impl Stages for Watched {
    type Slot = UasSlot;

    fn set_draining(&mut self, draining: bool) {
        Stages::set_draining(&mut self.uas, draining);
    }

    fn slot(&self) -> UasSlot {
        Stages::slot(&self.uas)
    }

    fn is_expendable(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool {
        Stages::is_expendable(&self.uas, policy, datagram)
    }

    fn is_stranger(&self, policy: &Snapshot, datagram: &Datagram<'_>) -> bool {
        Stages::is_stranger(&self.uas, policy, datagram)
    }

    fn scan(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut UasSlot) {
        watch(true);
        Stages::scan(&self.uas, policy, datagram, slot);
    }

    fn admit(&self, policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut UasSlot) {
        Stages::admit(&self.uas, policy, datagram, slot);
    }

    fn touch(&self, policy: &Snapshot, slot: &mut UasSlot, step: Touch) {
        Stages::touch(&self.uas, policy, slot, step);
    }

    fn decide(&self, policy: &Snapshot, datagram: &Datagram<'_>, now: Now, slot: &mut UasSlot) {
        self.round(policy, now);
        Stages::decide(&self.uas, policy, datagram, now, slot);
    }

    fn respond(
        &self,
        policy: &Snapshot,
        datagram: &Datagram<'_>,
        slot: &mut UasSlot,
        out: &mut [u8],
    ) -> Option<Answer> {
        Stages::respond(&self.uas, policy, datagram, slot, out)
    }

    fn outcome(&self, slot: &UasSlot) -> Outcome {
        Stages::outcome(&self.uas, slot)
    }

    fn decision<'slot>(&self, slot: &'slot UasSlot) -> Option<&'slot Decision> {
        Stages::decision(&self.uas, slot)
    }

    fn recall(&self, slot: &UasSlot) -> Recall {
        Stages::recall(&self.uas, slot)
    }

    fn describe(&self, datagram: &Datagram<'_>, slot: &UasSlot, event: &mut Event) {
        Stages::describe(&self.uas, datagram, slot, event);
    }
}
