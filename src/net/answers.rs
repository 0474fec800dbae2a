//! A batch of answers out: those that go to one destination leave as runs that the kernel cuts apart (`UDP_SEGMENT`).
//!
//! Sending costs more than deciding (about 1,380 ns a datagram), and a run leaves about 250 ns a datagram of that.
//!
//! Promises: one bad message does not hold up the ones behind it; every answer is sent, or counted by why it was not;
//! an answer leaves from the address that its request came to; a destination that a run cannot reach is reached one by one.
//! Leaves to `uas`: what an answer says, and how far it may be stretched.

use super::barred::Barred;
use super::delivery::{SendReport, send_all};
use super::socket::Socket;
use crate::limits::{BATCH_DATAGRAMS, RESPONSE_BYTES_MAX, RUN_DATAGRAM_BYTES_MAX, RUN_STEP_BYTES};
use crate::sys::{Run, SendBatch};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

/// An answer that was written into the slot that `TxBatch::next_slot` gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Octets of it.
    pub length: usize,
    /// Where it goes.
    pub destination: SocketAddr,
    /// How it can be made longer without another meaning, so that it fits into a run.
    pub stretch: Stretch,
}

impl Answer {
    /// An answer that stays as it is.
    #[must_use]
    pub const fn fixed(length: usize, destination: SocketAddr) -> Self {
        Self {
            length,
            destination,
            stretch: Stretch::NONE,
        }
    }
}

/// Where an answer bears blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// In front of the octet at which they go in.
    pub at: usize,
    /// How long the answer may become.
    pub length_max: usize,
}

impl Stretch {
    /// Nowhere.
    pub const NONE: Self = Self {
        at: 0,
        length_max: 0,
    };
}

/// Room for the answers of a batch.
#[derive(Debug)]
pub struct TxBatch {
    slots: SendBatch,
    answers: [Pending; BATCH_DATAGRAMS],
    plan: Plan,
    /// The plan is of the answers that are in the batch.
    is_arranged: bool,
    barred: Barred,
}

/// What is known of a slot that was filled.
#[derive(Debug, Clone, Copy)]
struct Pending {
    answer: Answer,
    local: Option<IpAddr>,
}

const NOTHING: Pending = Pending {
    answer: Answer::fixed(0, SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)),
    local: None,
};

/// In which order the slots are sent, and in what messages.
#[derive(Debug)]
struct Plan {
    order: [u8; BATCH_DATAGRAMS],
    order_length: usize,
    runs: [Run; BATCH_DATAGRAMS],
    run_count: usize,
}

const NO_RUN: Run = Run {
    first: 0,
    count: 0,
    segment: None,
    local: None,
};

impl Plan {
    const EMPTY: Self = Self {
        order: [0; BATCH_DATAGRAMS],
        order_length: 0,
        runs: [NO_RUN; BATCH_DATAGRAMS],
        run_count: 0,
    };

    fn clear(&mut self) {
        self.order_length = 0;
        self.run_count = 0;
    }

    /// Adds a message made of these slots. There is room for every slot, each in one message.
    fn add(
        &mut self,
        slots: impl Iterator<Item = u8>,
        segment: Option<u16>,
        local: Option<IpAddr>,
    ) {
        let first = self.order_length;
        for slot in slots {
            if let Some(place) = self.order.get_mut(self.order_length) {
                *place = slot;
                self.order_length += 1;
            }
        }
        let count = self.order_length - first;
        if let Some(run) = self.runs.get_mut(self.run_count) {
            *run = Run {
                first,
                count,
                segment,
                local,
            };
            self.run_count += 1;
        }
    }

    fn order(&self) -> &[u8] {
        self.order.get(..self.order_length).unwrap_or(&[])
    }

    fn runs(&self) -> &[Run] {
        self.runs.get(..self.run_count).unwrap_or(&[])
    }
}

/// The ways that the answers of a batch go, each a destination and a local address.
struct Ways {
    fingerprints: [u64; BATCH_DATAGRAMS],
    /// The first slot of each, and how many slots it has.
    members: [(u8, u8); BATCH_DATAGRAMS],
    count: usize,
}

impl Ways {
    const NONE: Self = Self {
        fingerprints: [0; BATCH_DATAGRAMS],
        members: [(0, 0); BATCH_DATAGRAMS],
        count: 0,
    };

    /// Adds the slot; the number of its way.
    fn add(&mut self, slot: u8, answers: &[Pending]) -> u8 {
        let Some(pending) = answers.get(usize::from(slot)) else {
            return 0;
        };
        let fingerprint = fingerprint(pending);
        let known = self.fingerprints.iter().take(self.count);
        for (way, known) in (0..).zip(known) {
            if *known != fingerprint {
                continue;
            }
            let Some((first, members)) = self.members.get_mut(usize::from(way)) else {
                continue;
            };
            let same = answers.get(usize::from(*first)).is_some_and(|other| {
                other.answer.destination == pending.answer.destination
                    && other.local == pending.local
            });
            if same {
                *members += 1;
                return way;
            }
        }
        let way = self.count;
        if let (Some(place), Some(members)) =
            (self.fingerprints.get_mut(way), self.members.get_mut(way))
        {
            *place = fingerprint;
            *members = (slot, 1);
            self.count += 1;
        }
        u8::try_from(way).unwrap_or(u8::MAX)
    }

    /// How many answers go this way.
    fn members(&self, way: u8) -> u8 {
        self.members
            .get(usize::from(way))
            .map_or(0, |(_first, members)| *members)
    }
}

/// Different for different ways, as a rule: one comparison instead of a few.
fn fingerprint(pending: &Pending) -> u64 {
    let fold = |address: IpAddr| match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
            half(bits >> 64).rotate_left(24) ^ half(bits)
        }
    };
    let destination = pending.answer.destination;
    let local = pending.local.map_or(0, fold);
    fold(destination.ip()) ^ u64::from(destination.port()) << 40 ^ local.rotate_left(20)
}

impl TxBatch {
    /// Room for one batch.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it allocates; nobody should get one by accident"
    )]
    pub fn new() -> Self {
        Self {
            slots: SendBatch::new(BATCH_DATAGRAMS, RESPONSE_BYTES_MAX),
            answers: [NOTHING; BATCH_DATAGRAMS],
            plan: Plan::EMPTY,
            is_arranged: false,
            barred: Barred::new(),
        }
    }

    /// The octets into which the next answer is written; `None` when the batch is full.
    pub fn next_slot(&mut self) -> Option<&mut [u8]> {
        self.slots.next_slot()
    }

    /// Adds the answer that was written into that slot. `local`: the address that its request came to, as the datagram
    /// names it.
    pub fn commit(&mut self, answer: Answer, local: Option<IpAddr>) {
        if let Some(pending) = self.answers.get_mut(self.slots.filled()) {
            *pending = Pending { answer, local };
            self.is_arranged = false;
            self.slots.commit(answer.length, answer.destination);
        }
    }

    /// How many answers are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.filled()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends what is in the batch, and empties it. A message that the kernel refuses is skipped. A full send queue is
    /// tried once more; then the rest of the batch is given up, since the peers will ask again (RFC 3261 §17.1.1.2).
    /// `now_ns` is the monotonic time: a destination that refused a run gets none for a while.
    pub fn send(&mut self, socket: &Socket, now_ns: u64) -> SendReport {
        if !self.is_arranged {
            self.arrange(socket, now_ns);
        }
        let mut refused = 0;
        let mut report = self.send_plan(socket, &mut refused);
        if refused != 0 {
            self.send_refused(socket, refused, now_ns, &mut report);
        }
        self.clear();
        report
    }

    /// Puts the answers into messages; `send` does it when nobody has.
    pub fn arrange(&mut self, socket: &Socket, now_ns: u64) {
        self.is_arranged = true;
        if socket.sends_runs() {
            self.plan_runs(now_ns);
            return;
        }
        self.plan.clear();
        for slot in filled(self.len()) {
            self.plan_alone(slot);
        }
    }

    /// Forgets what is in the batch.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.is_arranged = false;
    }

    fn plan_alone(&mut self, slot: u8) {
        let pending = self.answers.get(usize::from(slot));
        let local = pending.and_then(|pending| pending.local);
        self.plan.add(std::iter::once(slot), None, local);
    }

    /// Puts answers of one way and size together. Of a run only the last may be shorter, so the longest come first, and
    /// the first one of the next size ends a run.
    fn plan_runs(&mut self, now_ns: u64) {
        let mut ways = Ways::NONE;
        let mut way_of = [0; BATCH_DATAGRAMS];
        for (slot, way) in filled(self.len()).zip(way_of.iter_mut()) {
            *way = ways.add(slot, &self.answers);
        }
        let mut keys = [Key(0); BATCH_DATAGRAMS];
        for ((slot, key), way) in filled(self.len()).zip(keys.iter_mut()).zip(way_of) {
            // Also those that go alone: the answer to a retransmission has the same octets, whatever it is sent with.
            let size = self.stretch(slot);
            let may_run = ways.members(way) > 1 && self.may_run(slot, now_ns);
            *key = Key::new(way, if may_run { size } else { 0 }, slot);
        }
        let keys = keys.get_mut(..self.slots.filled()).unwrap_or_default();
        keys.sort_unstable();
        self.plan.clear();
        let mut rest = &*keys;
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|key| key.same_run(*first)).count();
            let shorter = rest
                .get(same)
                .is_some_and(|key| key.way() == first.way() && key.size() > 0);
            let count = if first.size() == 0 {
                1
            } else {
                same + usize::from(shorter)
            };
            let (run, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let pending = self.answers.get(usize::from(first.slot()));
            let local = pending.and_then(|pending| pending.local);
            let segment = (count > 1).then(|| first.size());
            self.plan
                .add(run.iter().map(|key| key.slot()), segment, local);
            rest = behind;
        }
    }

    /// Whether the answer may be part of a run, as far as its length and its destination go.
    fn may_run(&self, slot: u8, now_ns: u64) -> bool {
        self.answers.get(usize::from(slot)).is_some_and(|pending| {
            let Answer {
                length,
                destination,
                ..
            } = pending.answer;
            length <= RUN_DATAGRAM_BYTES_MAX && !self.barred.holds(destination.ip(), now_ns)
        })
    }

    /// Puts blanks into an answer up to the next step, if it bears them; its length, which is not 0.
    fn stretch(&mut self, slot: u8) -> u16 {
        let index = usize::from(slot);
        let (Some(pending), Some((room, length))) =
            (self.answers.get(index), self.slots.slot(index))
        else {
            return 0;
        };
        let Stretch { at, length_max } = pending.answer.stretch;
        let wanted = length.next_multiple_of(RUN_STEP_BYTES);
        let longest = length_max.min(RUN_DATAGRAM_BYTES_MAX).min(room.len());
        if wanted <= longest && at <= *length {
            let blanks = wanted - *length;
            room.copy_within(at..*length, at + blanks);
            if let Some(blanks) = room.get_mut(at..at + blanks) {
                blanks.fill(b' ');
            }
            *length = wanted;
        }
        u16::try_from(*length).unwrap_or(0)
    }

    /// Sends what is planned. Sets in `refused` the bits of the runs that have to be sent in another way.
    fn send_plan(&mut self, socket: &Socket, refused: &mut u32) -> SendReport {
        let Self { slots, plan, .. } = self;
        let send = |first: usize| {
            let runs = plan.runs().get(first..).unwrap_or(&[]);
            slots.send_runs(socket.as_fd(), plan.order(), runs)
        };
        send_all(plan.runs(), refused, send)
    }

    /// Sends the answers of these runs one by one, and sends their destinations none for a while.
    fn send_refused(
        &mut self,
        socket: &Socket,
        refused: u32,
        now_ns: u64,
        report: &mut SendReport,
    ) {
        report.fallbacks += u64::from(refused.count_ones());
        let order = self.plan.order;
        let runs = self.plan.runs;
        self.plan.clear();
        for (number, run) in runs.iter().enumerate() {
            if refused & 1 << number == 0 {
                continue;
            }
            let slots = order.get(run.places()).unwrap_or(&[]);
            if let Some(first) = slots.first()
                && let Some(pending) = self.answers.get(usize::from(*first))
            {
                self.barred.add(pending.answer.destination.ip(), now_ns);
            }
            for slot in slots {
                self.plan_alone(*slot);
            }
        }
        let alone = self.send_plan(socket, &mut 0);
        report.sent += alone.sent;
        for (sum, failed) in report.failed.iter_mut().zip(alone.failed) {
            *sum += failed;
        }
    }
}

/// Way, size (longest first) and slot of an answer in one word that sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u32);

impl Key {
    /// `size` 0: the answer goes alone.
    fn new(way: u8, size: u16, slot: u8) -> Self {
        Self(u32::from(way) << 24 | u32::from(u16::MAX - size) << 8 | u32::from(slot))
    }

    fn way(self) -> u8 {
        let [way, ..] = self.0.to_be_bytes();
        way
    }

    fn size(self) -> u16 {
        let [_way, high, low, _slot] = self.0.to_be_bytes();
        u16::MAX - u16::from_be_bytes([high, low])
    }

    fn slot(self) -> u8 {
        let [.., slot] = self.0.to_be_bytes();
        slot
    }

    fn same_run(self, other: Self) -> bool {
        self.0 >> 8 == other.0 >> 8
    }
}

const _: () = assert!(BATCH_DATAGRAMS <= 32, "a bit of `refused` for every run");

/// The numbers of the filled slots.
fn filled(count: usize) -> impl Iterator<Item = u8> {
    (0..).take(count)
}

#[cfg(test)]
mod tests {
    use super::super::socket::bind_group;
    use super::*;
    use std::net::UdpSocket;

    const TAIL: usize = 5;

    /// An answer of `length` octets that ends in five that stay at its end.
    fn put(tx: &mut TxBatch, length: usize, length_max: usize, to: SocketAddr) {
        let slot = tx.next_slot().unwrap();
        slot[..length - TAIL].fill(b'x');
        slot[length - TAIL..length].copy_from_slice(b"0\r\n\r\n");
        let stretch = Stretch {
            at: length - TAIL,
            length_max,
        };
        let answer = Answer {
            stretch,
            ..Answer::fixed(length, to)
        };
        tx.commit(answer, None);
    }

    fn peer() -> UdpSocket {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        peer
    }

    fn receive(peer: &UdpSocket) -> Vec<u8> {
        let mut bytes = vec![0; 5000];
        let length = peer.recv(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    fn group() -> Vec<Socket> {
        bind_group("127.0.0.1:0".parse().unwrap(), 1, 1 << 20).unwrap()
    }

    /// Sends answers of these lengths (and greatest lengths) to one peer; what arrives, sorted, and how many in runs.
    fn lengths(answers: &[(usize, usize)], sends_runs: bool) -> (Vec<usize>, u64) {
        let mut group = group();
        group[0].set_sends_runs(sends_runs);
        let peer = peer();
        let mut tx = TxBatch::new();
        for (length, length_max) in answers {
            put(&mut tx, *length, *length_max, peer.local_addr().unwrap());
        }
        let report = tx.send(&group[0], 0);
        assert_eq!(report.sent, u64::try_from(answers.len()).unwrap());
        assert_eq!(
            (report.failed.iter().sum::<u64>(), report.fallbacks),
            (0, 0)
        );
        let mut lengths: Vec<usize> = answers
            .iter()
            .map(|_| {
                let bytes = receive(&peer);
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.ends_with("0\r\n\r\n"), "{text}");
                let inside = text.trim_end_matches("0\r\n\r\n").trim_start_matches('x');
                assert!(inside.bytes().all(|octet| octet == b' '), "{text}");
                text.len()
            })
            .collect();
        lengths.sort_unstable();
        (lengths, report.in_runs)
    }

    #[test]
    fn answers_of_one_destination_are_stretched_and_leave_in_runs() {
        const FAR: usize = 5000;
        for (answers, arrived, in_runs) in [
            (&[(300, FAR)][..], &[384][..], 0),
            (&[(300, FAR), (310, FAR), (384, FAR)], &[384, 384, 384], 3),
            // The first of the shorter ones ends the run of the longer ones.
            (&[(385, FAR), (300, FAR), (400, FAR)], &[384, 512, 512], 3),
            (&[(385, FAR), (300, FAR), (310, FAR)], &[384, 384, 512], 2),
            // As far as each may grow.
            (&[(300, 310), (300, 383), (300, 384)], &[300, 300, 384], 2),
            (&[(300, 0), (300, 0)], &[300, 300], 2),
            // Above the path's likely MTU each leaves alone, as it is.
            (&[(1390, FAR), (1390, FAR)], &[1390, 1390], 2),
            (&[(1401, FAR), (1402, FAR)], &[1401, 1402], 0),
            (&[(2000, FAR), (300, FAR), (300, FAR)], &[384, 384, 2000], 2),
            (&[(2000, FAR), (300, FAR)], &[384, 2000], 0),
        ] {
            assert_eq!(
                lengths(answers, true),
                (arrived.to_vec(), in_runs),
                "{answers:?}"
            );
            let mut as_written: Vec<usize> = answers.iter().map(|(length, _)| *length).collect();
            as_written.sort_unstable();
            assert_eq!(lengths(answers, false), (as_written, 0), "{answers:?}");
        }
    }

    #[test]
    fn a_full_batch_to_many_reaches_each() {
        let group = group();
        let peers = [(); 5].map(|()| peer());
        let mut tx = TxBatch::new();
        for slot in 0..BATCH_DATAGRAMS {
            let to = peers[slot % 5].local_addr().unwrap();
            put(&mut tx, 100 + slot * 7, 5000, to);
        }
        assert!(tx.next_slot().is_none());
        let report = tx.send(&group[0], 0);
        assert_eq!(report.sent, 32);
        assert!(report.in_runs >= 25, "{report:?}");
        for (number, peer) in peers.iter().enumerate() {
            for _ in 0..(BATCH_DATAGRAMS - number).div_ceil(5) {
                assert_eq!(receive(peer).len() % RUN_STEP_BYTES, 0);
            }
            peer.set_nonblocking(true).unwrap();
            assert!(peer.recv(&mut [0; 10]).is_err(), "one too many");
        }
    }

    #[test]
    fn what_is_refused_as_a_run_is_sent_one_by_one_for_a_minute() {
        const MINUTE: u64 = 60_000_000_000;
        let ways = [group(), group()];
        crate::sys::send_without_checksums(ways[1][0].as_fd()).unwrap();
        let peer = peer();
        let mut tx = TxBatch::new();
        for (way, now_ns, in_runs, fallbacks) in [
            (0, 5, 2, 0),
            (1, 5, 0, 1),
            // Another socket of the shard, the same destination.
            (0, 5, 0, 0),
            (0, 4 + MINUTE, 0, 0),
            (0, 5 + MINUTE, 2, 0),
            (1, 6 + MINUTE, 0, 1),
        ] {
            for number in 0..3 {
                // The second one has a length that fits no run; it is sent in between.
                let length = if number == 1 { 1500 } else { 100 };
                put(&mut tx, length, length, peer.local_addr().unwrap());
            }
            let report = tx.send(&ways[way][0], now_ns);
            assert_eq!(
                (report.sent, report.in_runs, report.fallbacks),
                (3, in_runs, fallbacks),
                "{way} {now_ns}"
            );
            let mut lengths = [(); 3].map(|()| receive(&peer).len());
            lengths.sort_unstable();
            assert_eq!(lengths, [100, 100, 1500]);
        }
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        for (any, addresses) in [
            ("0.0.0.0:0", &["127.0.0.1", "127.0.0.2"][..]),
            ("[::]:0", &["::1"][..]),
        ] {
            let group = bind_group(any.parse().unwrap(), 1, 1 << 20).unwrap();
            let port = group[0].address().port();
            let mut tx = TxBatch::new();
            let peer = UdpSocket::bind((addresses[0], 0)).unwrap();
            for address in addresses.iter().cycle().take(6) {
                tx.next_slot().unwrap()[..2].copy_from_slice(b"ok");
                let answer = Answer::fixed(2, peer.local_addr().unwrap());
                tx.commit(answer, Some(address.parse().unwrap()));
            }
            let report = tx.send(&group[0], 0);
            assert_eq!((report.sent, report.in_runs), (6, 6));
            let mut from: Vec<SocketAddr> = (0..6)
                .map(|_| peer.recv_from(&mut [0; 8]).unwrap().1)
                .collect();
            from.sort_unstable();
            let each = 6 / addresses.len();
            let expected: Vec<SocketAddr> = addresses
                .iter()
                .flat_map(|address| vec![SocketAddr::new(address.parse().unwrap(), port); each])
                .collect();
            assert_eq!(from, expected);
        }
    }

    #[test]
    fn an_answer_to_nowhere_does_not_hold_up_the_next() {
        let group = bind_group("127.0.0.1:0".parse().unwrap(), 1, 1 << 20).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut tx = TxBatch::new();
        for to in ["[::1]:9".parse().unwrap(), peer.local_addr().unwrap()] {
            tx.next_slot().unwrap()[..2].copy_from_slice(b"ok");
            tx.commit(Answer::fixed(2, to), None);
        }
        let report = tx.send(&group[0], 0);
        assert_eq!(report.sent, 1);
        assert_eq!(report.failed.iter().sum::<u64>(), 1);
        assert!(tx.is_empty());
        let mut bytes = [0; 8];
        assert_eq!(peer.recv(&mut bytes).unwrap(), 2);
    }
}
