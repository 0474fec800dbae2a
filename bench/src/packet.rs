//! The packets of every measurement: INVITEs of a PBX, each a call of its own.
//!
//! Promises: packet `n` of a seed is the same octets every time; each has its own branch, Call-ID, From tag and CSeq
//! caller, one of at least 100,000 numbers, and a length within 16 octets of the one asked for. Every variant of a round
//! gets the same packets, and no round repeats those of another.
//! Leaves to `peer`: sending them.

use std::net::SocketAddr;

/// Messages that are laid out in full; a packet is one of them with its own digits written in (some 30 ns).
const LAYOUTS: u64 = 4096;

/// Octets by which lengths differ from the one asked for.
const JITTER: u64 = 16;

/// Leading digits of the numbers; seven more follow.
const PREFIXES: [&str; 8] = [
    "44207", "49302", "33142", "390667", "1212", "3120", "41442", "81352",
];

/// How many numbers there are.
pub const NUMBERS: u64 = 131_072;

/// One in so many numbers is on the list of those to reject.
pub const REJECTED_ONE_IN: u64 = 10;

/// Octets from which a request has SDP and the header fields of a whole INVITE.
const WHOLE_OCTETS: usize = 950;

/// What the packets are made from.
#[derive(Debug, Clone, Copy)]
pub struct PacketPlan {
    /// Same seed, same packets.
    pub seed: u64,
    /// Mean length.
    pub octets: usize,
    /// Who sends them: stands in Via, From and Contact.
    pub source: SocketAddr,
    /// Whom they ask: stands in the Request-URI and To.
    pub target: SocketAddr,
    /// Whether packets of equal length follow each other, over a hundred in a row, so that a source may send them as
    /// segments; else lengths are mixed.
    pub equal_runs: bool,
}

/// The packets of one plan.
#[derive(Debug)]
pub struct PacketSet {
    seed: u64,
    layouts: Vec<Layout>,
    acks: Vec<Layout>,
}

/// One message and where its own digits stand.
#[derive(Debug)]
struct Layout {
    bytes: Vec<u8>,
    branch: usize,
    call_id: usize,
    tag: usize,
    callers: Vec<usize>,
    numbers: Vec<usize>,
}

/// Mixes all bits (the finaliser of `SplitMix64`); a bijection.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The digits of number `index` (below `NUMBERS`), without `+`.
#[must_use]
pub fn number(index: u64) -> String {
    let prefix = PREFIXES[slot_of(index, 8)];
    let tail = tail_of(index);
    format!("{prefix}{tail:07}")
}

/// Whether number `index` is on the list of those to reject.
#[must_use]
pub fn is_rejected(index: u64) -> bool {
    (index / 8).is_multiple_of(REJECTED_ONE_IN)
}

/// The numbers to reject, without `+`.
pub fn rejected_numbers() -> impl Iterator<Item = String> {
    (0..NUMBERS).filter(|index| is_rejected(*index)).map(number)
}

/// Spreads the numbers over all seven digits: 7,919 has no factor in common with 10^7.
fn tail_of(index: u64) -> u64 {
    (index * 7_919 + 1_234_567) % 10_000_000
}

fn slot_of(index: u64, slots: u64) -> usize {
    usize::try_from(index % slots).unwrap_or(0)
}

impl PacketSet {
    /// Lays the messages out.
    ///
    /// # Errors
    /// The length is too short for an INVITE, or too long for an Ethernet frame.
    pub fn new(plan: &PacketPlan) -> Result<Self, String> {
        let layouts: Result<Vec<Layout>, String> = (0..LAYOUTS)
            .map(|slot| Layout::of(invite(plan, slot)?))
            .collect();
        let acks: Result<Vec<Layout>, String> = (0..8)
            .map(|slot| Layout::of(ack_text(plan, slot)))
            .collect();
        Ok(Self {
            seed: plan.seed,
            layouts: layouts?,
            acks: acks?,
        })
    }

    /// Which number packet `index` calls.
    #[must_use]
    pub fn number_of(&self, index: u64) -> u64 {
        // The prefix belongs to the layout, the rest to the packet.
        (mix(self.seed ^ index) % (NUMBERS / 8)) * 8 + index % 8
    }

    /// Packet `index`. It stays until the next call.
    pub fn packet(&mut self, index: u64) -> &[u8] {
        let number = self.number_of(index);
        let mixed = self.mixed(index);
        self.layouts[slot_of(index, LAYOUTS)].with_digits(index, mixed, number)
    }

    /// The ACK of packet `index`, as `chan_sip` sends it: same branch, Call-ID, tag and number.
    pub fn ack(&mut self, index: u64) -> &[u8] {
        let number = self.number_of(index);
        let mixed = self.mixed(index);
        self.acks[slot_of(index, 8)].with_digits(index, mixed, number)
    }

    fn mixed(&self, index: u64) -> u64 {
        mix(self.seed.rotate_left(32) ^ index)
    }

    /// How many of the packets `range` call a number on the list.
    #[must_use]
    pub fn rejected_among(&self, range: std::ops::Range<u64>) -> u64 {
        let rejected = range.filter(|index| is_rejected(self.number_of(*index)));
        u64::try_from(rejected.count()).unwrap_or(u64::MAX)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn write_hex<const N: usize>(bytes: &mut [u8], at: usize, mut value: u64) {
    for place in bytes[at..at + N].iter_mut().rev() {
        *place = HEX[usize::from(low_byte(value) & 15)];
        value >>= 4;
    }
}

fn write_decimal<const N: usize>(bytes: &mut [u8], at: usize, mut value: u64) {
    for place in bytes[at..at + N].iter_mut().rev() {
        *place = b'0' + low_byte(value % 10);
        value /= 10;
    }
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// Stands for the digits of a packet while a message is laid out; none of them occurs otherwise.
const BRANCH: &str = "BBBBBBBBBBBBBBBB";
const CALL_ID: &str = "IIIIIIIIIIIIIIII";
const TAG: &str = "TTTTTTTT";
const CALLER: &str = "CCCCCCC";
const NUMBER: &str = "NNNNNNN";

/// The INVITE of one layout, of the length that is its own.
fn invite(plan: &PacketPlan, slot: u64) -> Result<String, String> {
    let noise = mix(plan.seed.wrapping_mul(31).wrapping_add(slot));
    let lengths = 2 * JITTER + 1;
    let jitter = if plan.equal_runs {
        slot * lengths / LAYOUTS
    } else {
        noise % lengths
    };
    let octets = (plan.octets + slot_of(jitter, lengths)).saturating_sub(16);
    // Part of what fills goes before the fields that matter, so that they do not always stand at the same places.
    let agent_filler = slot_of(noise >> 8, 13);
    let bare = text(plan, slot, agent_filler, 0).len();
    let filler = octets.checked_sub(bare);
    let Some(filler) = filler.filter(|_| plan.octets <= 1_440) else {
        return Err(format!(
            "an INVITE of {octets} octets cannot be made: from {} to 1440",
            bare + 16
        ));
    };
    let message = text(plan, slot, agent_filler, filler);
    // A body that grows past 99 or 999 octets takes a digit more in Content-Length.
    if message.len() > octets {
        let too_long = message.len() - octets;
        return Ok(text(plan, slot, agent_filler, filler - too_long));
    }
    Ok(message)
}

impl Layout {
    fn of(message: String) -> Result<Self, String> {
        let places = |mark: &str| -> Vec<usize> {
            let found = message.match_indices(mark);
            found.map(|(at, _)| at).collect()
        };
        let one = |mark: &str| -> Result<usize, String> {
            match places(mark)[..] {
                [at] => Ok(at),
                _ => Err(format!("{mark} does not stand once in a message")),
            }
        };
        Ok(Self {
            branch: one(BRANCH)?,
            call_id: one(CALL_ID)?,
            tag: one(TAG)?,
            callers: places(CALLER),
            numbers: places(NUMBER),
            bytes: message.into_bytes(),
        })
    }

    fn with_digits(&mut self, index: u64, mixed: u64, number: u64) -> &[u8] {
        let bytes = &mut self.bytes;
        write_hex::<16>(bytes, self.branch, mixed);
        write_hex::<16>(bytes, self.call_id, index);
        write_hex::<8>(bytes, self.tag, mixed.rotate_left(17));
        for at in &self.callers {
            write_decimal::<7>(bytes, *at, mixed >> 20);
        }
        for at in &self.numbers {
            write_decimal::<7>(bytes, *at, tail_of(number));
        }
        bytes
    }
}

fn ack_text(plan: &PacketPlan, slot: u64) -> String {
    let source = plan.source;
    let (source_ip, target_ip) = (source.ip(), plan.target.ip());
    let prefix = PREFIXES[slot_of(slot, 8)];
    format!(
        "ACK sip:+{prefix}{NUMBER}@{target_ip} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {source};branch=z9hG4bK{BRANCH}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{CALLER}@{source_ip}>;tag=as{TAG}\r\n\
         To: <sip:+{prefix}{NUMBER}@{target_ip}>;tag=7f3a90c1d2e4b586\r\n\
         Contact: <sip:{CALLER}@{source}>\r\n\
         Call-ID: {CALL_ID}7a1d@{source}\r\n\
         CSeq: 102 ACK\r\n\
         User-Agent: Asterisk PBX 16.28.0~dfsg-0+deb11u4\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// The message as `chan_sip` writes it, `filler` octets longer than it need be.
fn text(plan: &PacketPlan, slot: u64, agent_filler: usize, filler: usize) -> String {
    let (source, target) = (plan.source, plan.target);
    let (source_ip, target_ip) = (source.ip(), target.ip());
    let prefix = PREFIXES[slot_of(slot, 8)];
    let agent = &"+deb11u4~bpo11"[..agent_filler];
    let common = format!(
        "INVITE sip:+{prefix}{NUMBER}@{target_ip} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {source};branch=z9hG4bK{BRANCH}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{CALLER}@{source_ip}>;tag=as{TAG}\r\n\
         To: <sip:+{prefix}{NUMBER}@{target_ip}>\r\n\
         Contact: <sip:{CALLER}@{source}>\r\n\
         Call-ID: {CALL_ID}7a1d@{source}\r\n\
         CSeq: 102 INVITE\r\n\
         User-Agent: Asterisk PBX 16.28.0~dfsg-0{agent}\r\n"
    );
    let screening =
        format!("P-tfps: {CALLER};pbx.acme.example;81.2.69.142;Zoiper rv2.10.11.7;12\r\n");
    if plan.octets < WHOLE_OCTETS {
        let subject = "x".repeat(filler);
        return format!("{common}{screening}Subject: {subject}\r\nContent-Length: 0\r\n\r\n");
    }
    let body = format!(
        "v=0\r\n\
         o=root 1468473716 1468473716 IN IP4 {source_ip}\r\n\
         s=Asterisk PBX 16.28.0~dfsg-0{}\r\n\
         c=IN IP4 {source_ip}\r\n\
         t=0 0\r\n\
         m=audio 17604 RTP/AVP 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\n\
         a=sendrecv\r\n",
        "+".repeat(filler)
    );
    format!(
        "{common}\
         Date: Sun, 22 Nov 2026 21:31:54 GMT\r\n\
         Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE\r\n\
         Supported: replaces, timer\r\n\
         {screening}\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn set(octets: usize) -> PacketSet {
        PacketSet::new(&PacketPlan {
            seed: 1,
            octets,
            source: "127.0.0.1:40001".parse().unwrap(),
            target: "127.0.0.1:40002".parse().unwrap(),
            equal_runs: false,
        })
        .unwrap()
    }

    fn field<'a>(packet: &'a str, from: &str, to: &str) -> &'a str {
        let start = packet.find(from).unwrap() + from.len();
        let length = packet[start..].find(to).unwrap();
        &packet[start..start + length]
    }

    #[test]
    fn every_call_is_its_own_and_the_numbers_are_many() {
        const PACKETS: u64 = 300_000;
        let mut set = set(966);
        let mut seen: [HashSet<String>; 5] = Default::default();
        for index in 0..PACKETS {
            let called = number(set.number_of(index));
            let packet = std::str::from_utf8(set.packet(index)).unwrap();
            assert_eq!(field(packet, "sip:+", "@"), called);
            assert_eq!(field(packet, "To: <sip:+", "@"), called);
            let fields = [
                field(packet, "branch=", "\r"),
                field(packet, "Call-ID: ", "\r"),
                field(packet, ";tag=", "\r"),
                field(packet, "From: <sip:", "@"),
                field(packet, "INVITE sip:", "@"),
            ];
            for (values, value) in seen.iter_mut().zip(fields) {
                values.insert(value.to_owned());
            }
        }
        let counts = seen.map(|values| u64::try_from(values.len()).unwrap());
        assert_eq!(counts[..2], [PACKETS; 2], "branch, Call-ID");
        assert!(counts[2] > PACKETS - 100, "{counts:?}");
        assert!(counts[3] > PACKETS * 9 / 10, "{counts:?}");
        assert!(counts[4] > 100_000, "{counts:?}");
    }

    #[test]
    fn lengths_lie_within_16_octets_of_the_mean() {
        for octets in [600, 966, 1400] {
            let mut set = set(octets);
            let lengths: Vec<usize> = (0..LAYOUTS).map(|index| set.packet(index).len()).collect();
            let (least, most) = (lengths.iter().min(), lengths.iter().max());
            assert_eq!((least, most), (Some(&(octets - 16)), Some(&(octets + 16))));
            let packet = std::str::from_utf8(set.packet(0)).unwrap();
            let (_, body) = packet.split_once("\r\n\r\n").unwrap();
            let said: usize = field(packet, "Content-Length: ", "\r").parse().unwrap();
            assert_eq!(said, body.len(), "{packet}");
        }
    }

    #[test]
    fn an_impossible_length_is_refused() {
        for octets in [100, 860, 1441] {
            let plan = PacketPlan {
                seed: 1,
                octets,
                source: "127.0.0.1:40001".parse().unwrap(),
                target: "127.0.0.1:40002".parse().unwrap(),
                equal_runs: false,
            };
            let made = PacketSet::new(&plan);
            assert_eq!(made.is_err(), octets != 860, "{octets}");
        }
    }

    #[test]
    fn a_packet_is_the_same_every_time() {
        let (mut one, mut other) = (set(966), set(966));
        let first = one.packet(5).to_owned();
        one.packet(5 + LAYOUTS);
        assert_eq!(other.packet(5), first);
        assert_eq!(one.packet(5), first);
    }

    #[test]
    fn an_ack_belongs_to_its_invite() {
        let mut set = set(966);
        let invite = String::from_utf8(set.packet(4711).to_owned()).unwrap();
        let ack = String::from_utf8(set.ack(4711).to_owned()).unwrap();
        for (from, to) in [
            ("branch=", "\r"),
            ("Call-ID: ", "\r"),
            ("From: ", "\r"),
            ("sip:", " "),
        ] {
            assert_eq!(field(&ack, from, to), field(&invite, from, to));
        }
        assert!(ack.starts_with("ACK sip:+"), "{ack}");
    }

    #[test]
    fn equal_lengths_follow_each_other_when_asked() {
        let mut set = PacketSet::new(&PacketPlan {
            seed: 1,
            octets: 966,
            source: "127.0.0.1:40001".parse().unwrap(),
            target: "127.0.0.1:40002".parse().unwrap(),
            equal_runs: true,
        })
        .unwrap();
        let lengths: Vec<usize> = (0..LAYOUTS).map(|index| set.packet(index).len()).collect();
        let changes = lengths.windows(2).filter(|pair| pair[0] != pair[1]);
        assert_eq!(changes.count(), 32);
    }

    #[test]
    fn about_one_in_ten_is_rejected() {
        let set = set(966);
        let rejected = set.rejected_among(0..100_000);
        assert!((9_000..11_000).contains(&rejected), "{rejected}");
        let listed: HashSet<String> = rejected_numbers().collect();
        assert_eq!(listed.len(), 13_112);
    }
}
