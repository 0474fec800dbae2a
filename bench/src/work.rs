//! The decision without sockets: the sample's policy with the list of the packets' numbers, and batches in memory.
//!
//! Promises: the stages are the product's, called in the order in which a shard calls them; packets lie where a shard's
//! lie, in 32 slots that are written anew for each batch; the results can be checked.

use crate::packet::{PacketPlan, PacketSet, is_rejected, rejected_numbers};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tollgate::clock::{Clock, Now};
use tollgate::control::{self, Source};
use tollgate::counters::{Counters, Size};
use tollgate::e164::E164;
use tollgate::event::Outcome;
use tollgate::limits::{
    BATCH_DATAGRAMS, COUNTERS_CAPACITY_DEFAULT, EXPECTED_CALLS_PER_SECOND_DEFAULT,
    RESPONSE_BYTES_MAX,
};
use tollgate::net::Datagram;
use tollgate::policy::rows::{ListRow, Pattern, Rows, Scope};
use tollgate::policy::{Code, Snapshot};
use tollgate::shard::Stages;
use tollgate::uas::{Touch, TransactionMemory, Uas, counters_seed, entries_for};

/// Key of the To tags; any.
const KEY: [u8; 16] = *b"tollgate's bench";

/// The sample's rows, and the numbers of the packets that are to be rejected (R03); with `more` further numbers that
/// nobody calls.
///
/// # Errors
/// The sample is at fault.
pub fn rows(more: u64) -> io::Result<Rows> {
    let loaded = control::load(&Source::Sample)
        .map_err(|faults| io::Error::other(format!("the sample is at fault: {faults:?}")))?;
    let mut rows = loaded.rows;
    let file = u32::try_from(rows.list_files.len()).map_err(io::Error::other)?;
    rows.list_files.push("lists/bench.csv".to_owned());
    // +99 is nobody's.
    let nobodys = (0..more).map(|index| format!("99{:010}", index * 7_919));
    for (line, digits) in (2_u32..).zip(rejected_numbers().chain(nobodys)) {
        let number = E164::from_digits(digits.as_bytes());
        let number = number.ok_or_else(|| io::Error::other(format!("{digits} is no number")))?;
        rows.lists.push(ListRow {
            scope: Scope::System,
            pattern: Pattern::Number(number),
            deny: Some(Code::R03),
            expires_unix_s: None,
            file,
            line,
        });
    }
    Ok(rows)
}

/// The policy of all measurements.
///
/// # Errors
/// The sample is at fault.
pub fn policy(more: u64) -> io::Result<Snapshot> {
    Ok(Snapshot::build(&rows(more)?, Clock::start().now()))
}

/// The same without its limits: what they take is the difference.
///
/// # Errors
/// The sample is at fault.
pub fn policy_without_limits(more: u64) -> io::Result<Snapshot> {
    let mut rows = rows(more)?;
    for policy in &mut rows.policies {
        policy.limits.clear();
    }
    Ok(Snapshot::build(&rows, Clock::start().now()))
}

/// The stages of all measurements: everything that `serve` has, the counters of the sample's limits too.
///
/// # Errors
/// There is no address space for the counters.
pub fn uas() -> io::Result<Uas> {
    let entries = entries_for(CALLS_PER_SECOND);
    let size = Size {
        keys: COUNTERS_CAPACITY_DEFAULT,
        attempts: entries,
    };
    let counters = Counters::new(size, counters_seed(KEY))?;
    let memory = TransactionMemory::new(entries, KEY)?;
    Ok(Uas::new(KEY)
        .with_memory(Arc::new(memory))
        .with_counters(Arc::new(counters)))
}

/// What a node sizes its transaction memory for when nothing is configured.
const CALLS_PER_SECOND: u64 = EXPECTED_CALLS_PER_SECOND_DEFAULT;

/// Time between two batches: the packets come round after more than the 32 seconds that a transaction is remembered.
const BATCH_NS: u64 = 10_000_000;

/// Batches in memory.
pub struct Work<S: Stages> {
    stages: S,
    policy: Arc<Snapshot>,
    packets: PacketSet,
    next: u64,
    now: Now,
    source: SocketAddr,
    received: Vec<Vec<u8>>,
    slots: Vec<S::Slot>,
    answers: Vec<Vec<u8>>,
    lengths: Vec<Option<usize>>,
}

impl<S: Stages> std::fmt::Debug for Work<S> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Work at packet {}", self.next)
    }
}

impl Work<Uas> {
    /// Work for the product's stages on INVITEs of so many octets.
    ///
    /// # Errors
    /// The length is impossible, or there is no address space for the counters.
    pub fn new(octets: usize, policy: Arc<Snapshot>) -> io::Result<Self> {
        let source = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let plan = PacketPlan {
            seed: 1,
            octets,
            source,
            target: SocketAddr::from(([127, 0, 0, 1], 5060)),
            equal_runs: false,
        };
        let stages = uas()?;
        let slots = (0..BATCH_DATAGRAMS).map(|_| stages.slot());
        Ok(Self {
            policy,
            packets: PacketSet::new(&plan).map_err(io::Error::other)?,
            next: 0,
            now: Clock::start().now(),
            source,
            received: vec![Vec::new(); BATCH_DATAGRAMS],
            slots: slots.collect(),
            answers: vec![vec![0; RESPONSE_BYTES_MAX]; BATCH_DATAGRAMS],
            lengths: vec![None; BATCH_DATAGRAMS],
            stages,
        })
    }
}

impl<S: Stages> Work<S> {
    /// Takes the next 32 packets in, as the kernel would. Time passes so that a call that comes round again is a new one.
    pub fn receive(&mut self) {
        self.now.monotonic_ns += BATCH_NS;
        for slot in &mut self.received {
            slot.clear();
            slot.extend_from_slice(self.packets.packet(self.next));
            self.next += 1;
        }
    }

    /// Bytes to requests.
    pub fn scan(&mut self) {
        for (bytes, slot) in self.received.iter().zip(&mut self.slots) {
            let datagram = datagram(bytes, self.source);
            self.stages.scan(&self.policy, &datagram, slot);
        }
    }

    /// Requests to attempts.
    pub fn admit(&mut self) {
        for (bytes, slot) in self.received.iter().zip(&mut self.slots) {
            let datagram = datagram(bytes, self.source);
            self.stages.admit(&self.policy, &datagram, slot);
        }
    }

    /// Asks for what `decide` reads.
    pub fn touch(&mut self) {
        for step in Touch::STEPS {
            for slot in &mut self.slots {
                self.stages.touch(&self.policy, slot, step);
            }
        }
    }

    /// Attempts to verdicts.
    pub fn decide(&mut self) {
        for (bytes, slot) in self.received.iter().zip(&mut self.slots) {
            let datagram = datagram(bytes, self.source);
            self.stages.decide(&self.policy, &datagram, self.now, slot);
        }
    }

    /// Verdicts to bytes.
    pub fn respond(&mut self) {
        let answers = self.answers.iter_mut().zip(&mut self.lengths);
        let all = self.received.iter().zip(&mut self.slots).zip(answers);
        for ((bytes, slot), (out, length)) in all {
            let datagram = datagram(bytes, self.source);
            let reply = self.stages.respond(&self.policy, &datagram, slot, out);
            *length = reply.map(|answer| answer.length);
        }
    }

    /// All stages.
    pub fn answer(&mut self) {
        self.scan();
        self.admit();
        self.touch();
        self.decide();
        self.respond();
    }

    /// How many of the batch are rejected, of those that were decided, once they should be.
    ///
    /// # Errors
    /// One was decided otherwise than its number asks for; which one, and how.
    pub fn check_outcomes(&self) -> Result<usize, String> {
        self.check(|index, rejected| {
            let slot = self.slots.get(index).ok_or("no such slot")?;
            let outcome = self.stages.outcome(slot);
            let expected = if rejected {
                Outcome::Rejected
            } else {
                Outcome::Approved
            };
            if outcome == expected {
                return Ok(());
            }
            Err(format!("{outcome:?} in place of {expected:?}"))
        })
    }

    /// How many of the batch were answered 603; the others were answered 302 with the number in Contact.
    ///
    /// # Errors
    /// One was answered otherwise than its number asks for; which one, and how.
    pub fn check_answers(&self) -> Result<usize, String> {
        self.check(|index, rejected| {
            let length = self.lengths.get(index).copied().flatten().unwrap_or(0);
            let answer = self.answers.get(index).and_then(|out| out.get(..length));
            let text = String::from_utf8_lossy(answer.unwrap_or_default());
            let right = if rejected {
                text.starts_with("SIP/2.0 603 ") && !text.contains("Contact:")
            } else {
                text.starts_with("SIP/2.0 302 ") && text.contains("<sip:A00+")
            };
            if right && text.ends_with("\r\n\r\n") {
                return Ok(());
            }
            Err(format!("rejected = {rejected}, but: {text}"))
        })
    }

    fn check(&self, fault: impl Fn(usize, bool) -> Result<(), String>) -> Result<usize, String> {
        let batch = u64::try_from(BATCH_DATAGRAMS).unwrap_or(0);
        let first = self.next - batch;
        let mut rejected = 0;
        for (index, packet) in (first..self.next).enumerate() {
            let is_rejected = is_rejected(self.packets.number_of(packet));
            rejected += usize::from(is_rejected);
            fault(index, is_rejected).map_err(|fault| format!("packet {packet}: {fault}"))?;
        }
        Ok(rejected)
    }
}

fn datagram(bytes: &[u8], source: SocketAddr) -> Datagram<'_> {
    Datagram {
        bytes,
        full_length: bytes.len(),
        source,
        local: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_is_decided_and_answered_by_its_number() {
        let policy = Arc::new(policy(1000).unwrap());
        for octets in [600, 966, 1400] {
            let mut work = Work::new(octets, Arc::clone(&policy)).unwrap();
            let mut rejected = 0;
            for _ in 0..100 {
                work.receive();
                work.answer();
                rejected += work.check_answers().unwrap();
            }
            assert!((200..500).contains(&rejected), "{rejected} of 3200");
        }
    }
}
