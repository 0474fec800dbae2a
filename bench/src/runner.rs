//! Gives every variant the same packets, in turn, round after round, and keeps what each round showed.
//!
//! `drain`: packets are queued while the variant is stopped; then it works them off. What it cost per packet does not
//! depend on how fast the source is. `window`: the source sends as fast as it can from the other core; answers per second.
//!
//! Promises: A B C A B C …, so that a noisy minute meets all; no packet comes twice to a variant.

use crate::gate::Cost;
use crate::packet::{PacketPlan, PacketSet};
use crate::peer::{Peer, PeerKind, Tally};
use crate::variant::{Answers, Variant};
use std::io;
use std::time::Duration;
use tollgate::clock::Clock;

/// How long a variant may take for one fill.
const FILL_WITHIN_NS: u64 = 5_000_000_000;

/// After the window, the source reads on until nothing has come for so long.
const QUIET_NS: u64 = 2_000_000_000;

/// Packets between two looks at the answers, in a window.
const BURST: u64 = 64;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct RunPlan {
    /// Rounds.
    pub rounds: usize,
    /// Mean length of the packets.
    pub octets: usize,
    /// Seed of the packets.
    pub seed: u64,
    /// Whether ACKs come between the INVITEs.
    pub acks: bool,
    /// How the load comes.
    pub load: Load,
}

/// How the load comes.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// So many packets queued while the variant stands still, so many times a round.
    Drain {
        /// Packets queued at a time.
        packets: u64,
        /// Times a round.
        fills: u64,
    },
    /// As fast as the source can, for so long.
    Window {
        /// The window, nanoseconds.
        nanoseconds: u64,
        /// Whether the source sends segments (GSO), to outrun a server that does.
        segments: bool,
    },
}

/// What one variant showed in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Packets sent to it.
    pub sent: u64,
    /// What came back.
    pub tally: Tally,
    /// Answers that are not what they should be: missing ones, or of another status than the number asks for. Known
    /// only where nothing may be dropped (drain).
    pub wrong: u64,
    /// What it cost.
    pub cost: Cost,
    /// Wall time of the window, nanoseconds; 0 for a drain.
    pub window_ns: u64,
    /// Answers within the window.
    pub in_window: u64,
    /// Packets that the kernel dropped before it, where known.
    pub dropped: u64,
}

impl Sample {
    /// Processor time per answer, nanoseconds.
    #[must_use]
    pub fn ns_per_answer(&self) -> f64 {
        ratio(self.cost.total_ns(), self.tally.answers())
    }

    /// Answers per second of the window.
    #[must_use]
    pub fn answers_per_s(&self) -> f64 {
        ratio(self.in_window, self.window_ns) * 1e9
    }
}

/// One number over another; 0 over nothing.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "figures, far below 2^52")]
pub fn ratio(over: u64, under: u64) -> f64 {
    if under == 0 {
        return 0.0;
    }
    over as f64 / under as f64
}

/// All rounds of one variant with one peer.
#[derive(Debug, Clone)]
pub struct Series {
    /// The variant's name.
    pub variant: String,
    /// How the peer read.
    pub peer: PeerKind,
    /// One a round.
    pub samples: Vec<Sample>,
    /// Octets of receive buffer granted, where known.
    pub receive_buffer_bytes: Option<usize>,
}

/// Runs the plan: every variant, every peer.
///
/// # Errors
/// A variant cannot be stopped or started, or did not work off its packets in time.
pub fn run(
    plan: &RunPlan,
    peers: &[PeerKind],
    variants: &mut [Box<dyn Variant>],
    mut progress: impl FnMut(usize, &str),
) -> io::Result<Vec<Series>> {
    for variant in variants.iter_mut() {
        variant.hold()?;
    }
    let clock = Clock::start();
    let mut all = Vec::new();
    let mut next_packet = 0;
    for kind in peers {
        let mut peer = Peer::new(*kind)?;
        let mut packets = PacketSet::new(&PacketPlan {
            seed: plan.seed,
            octets: plan.octets,
            source: peer.address(),
            target: ([127, 0, 0, 1], 5060).into(),
            equal_runs: matches!(plan.load, Load::Window { segments: true, .. }),
        })
        .map_err(io::Error::other)?;
        let mut series: Vec<Series> = variants
            .iter()
            .map(|variant| Series {
                variant: variant.name().to_owned(),
                peer: *kind,
                samples: Vec::new(),
                receive_buffer_bytes: variant.receive_buffer_bytes(),
            })
            .collect();
        // The first round warms caches, tables and the clock speed, and is not kept.
        for round in 0..=plan.rounds {
            progress(round, kind.name());
            let first = next_packet;
            for (variant, series) in variants.iter_mut().zip(&mut series) {
                let mut turn = Turn {
                    peer: &mut peer,
                    packets: &mut packets,
                    clock: &clock,
                    variant: variant.as_mut(),
                    next: first,
                    acks: plan.acks,
                };
                let sample = turn.take(plan.load)?;
                next_packet = next_packet.max(turn.next);
                if round > 0 {
                    series.samples.push(sample);
                }
            }
        }
        all.append(&mut series);
    }
    Ok(all)
}

/// One variant's turn in one round.
struct Turn<'a> {
    peer: &'a mut Peer,
    packets: &'a mut PacketSet,
    clock: &'a Clock,
    variant: &'a mut dyn Variant,
    next: u64,
    acks: bool,
}

impl Turn<'_> {
    fn take(&mut self, load: Load) -> io::Result<Sample> {
        let dropped_before = self.variant.kernel_dropped().unwrap_or(0);
        let mut sample = match load {
            Load::Drain { packets, fills } => self.drain(packets, fills)?,
            Load::Window {
                nanoseconds,
                segments,
            } => self.window(nanoseconds, segments)?,
        };
        let dropped = self.variant.kernel_dropped().unwrap_or(0);
        sample.dropped = dropped - dropped_before;
        Ok(sample)
    }

    fn drain(&mut self, packets: u64, fills: u64) -> io::Result<Sample> {
        let mut sample = Sample::default();
        for _ in 0..fills {
            let range = self.next..self.next + packets;
            self.next = range.end;
            let target = self.variant.address();
            self.peer
                .send(self.packets, range.clone(), target, self.acks)?;
            self.variant.release()?;
            self.wait_until_through(packets * if self.acks { 2 } else { 1 })?;
            sample.cost = sample.cost.plus(self.variant.hold()?);
            let tally = self.peer.collect()?;
            sample.sent += packets;
            sample.tally = sample.tally.plus(tally);
            sample.wrong += match self.variant.answers() {
                Answers::Canned => packets.abs_diff(tally.redirected),
                Answers::Decided => {
                    let declined = self.packets.rejected_among(range);
                    tally.declined.abs_diff(declined)
                        + tally.redirected.abs_diff(packets - declined)
                        + tally.other
                }
            };
        }
        Ok(sample)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "that a drain is over shows only as a count; to be woken would cost the thread that is measured"
    )]
    fn wait_until_through(&mut self, packets: u64) -> io::Result<()> {
        let began = self.clock.now().monotonic_ns;
        while !self.variant.is_through(packets) {
            if self.clock.now().monotonic_ns - began > FILL_WITHIN_NS {
                return Err(io::Error::other(format!(
                    "{} did not work off {packets} packets in time",
                    self.variant.name()
                )));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn window(&mut self, nanoseconds: u64, segments: bool) -> io::Result<Sample> {
        let mut sample = Sample::default();
        let target = self.variant.address();
        let dropped_before = self.variant.kernel_dropped().unwrap_or(0);
        self.variant.release()?;
        let began = self.clock.now().monotonic_ns;
        loop {
            let range = self.next..self.next + BURST;
            self.next = range.end;
            if segments {
                self.peer.send_as_segments(self.packets, range, target)?;
            } else {
                self.peer.send(self.packets, range, target, self.acks)?;
            }
            sample.sent += BURST;
            sample.tally = sample.tally.plus(self.peer.collect()?);
            // Reads its events as well.
            self.variant.is_through(u64::MAX / 2);
            sample.window_ns = self.clock.now().monotonic_ns - began;
            if sample.window_ns >= nanoseconds {
                break;
            }
        }
        sample.in_window = sample.tally.answers();
        let mut quiet_since = self.clock.now().monotonic_ns;
        loop {
            let tally = self.peer.collect()?;
            self.variant.is_through(u64::MAX / 2);
            let now = self.clock.now().monotonic_ns;
            if tally.answers() > 0 {
                quiet_since = now;
            }
            sample.tally = sample.tally.plus(tally);
            // All accounted for, or nothing more to be expected: an answer that came later would count for the next.
            let dropped = self.variant.kernel_dropped().unwrap_or(0) - dropped_before;
            if sample.tally.answers() + dropped >= sample.sent || now - quiet_since > QUIET_NS {
                break;
            }
        }
        sample.cost = self.variant.hold()?;
        Ok(sample)
    }
}
