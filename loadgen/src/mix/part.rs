//! One part of a mix: calls of one kind, and how each is made from its number within the part.
//!
//! Promises: a call follows from seed, part and its number within the part; a telephone (subscriber and caller) keeps its
//! address and agent. Allocates nothing per call.

use super::weighted::Weighted;
use crate::call::{Call, Datagram, Family};
use crate::clock::Nanos;
use crate::fault::Fault;
use crate::limits::{
    ADDRESS_BYTES_MAX, AGENT_BYTES_MAX, CALLER_BYTES_MAX, HOST_BYTES_MAX, USER_BYTES_MAX,
};
use crate::random::SplitMix64;
use crate::text::Text;
use crate::verdict::Expected;

/// Numbers that begin alike: `prefix`, then `more` digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The digits that all have.
    pub prefix: Text<CALLER_BYTES_MAX>,
    /// How many more there are, at most 12.
    pub more: u32,
}

/// In which order the numbers of a part come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any number of any range, by the ranges' weights.
    Random,
    /// Range by range, each number one more than the last.
    Rising,
}

/// How a number is disguised: a server must see through each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disguise {
    /// As it is.
    Plain,
    /// `-` between digits (RFC 3966 §5.1.1: visual separators carry no meaning).
    Dashes,
    /// `.` between digits.
    Dots,
    /// `(` and `)` around the first digits.
    Parentheses,
    /// `%20` between digits.
    Spaces,
    /// The first character as `%` and two hexadecimal digits.
    Percent,
    /// User parameters behind it.
    Parameters,
    /// A password behind it.
    Password,
}

/// The disguises with the names that mixes give them.
pub const DISGUISES: &[(&str, Disguise)] = &[
    ("plain", Disguise::Plain),
    ("dashes", Disguise::Dashes),
    ("dots", Disguise::Dots),
    ("parentheses", Disguise::Parentheses),
    ("spaces", Disguise::Spaces),
    ("percent", Disguise::Percent),
    ("parameters", Disguise::Parameters),
    ("password", Disguise::Password),
];

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// IPv4: the first address, and how many bits may differ.
    V4(u32, u32),
    /// IPv6: the first address, and how many bits may differ, of which the last 64 at most do.
    V6(u128, u32),
}

/// A text with `#` for a random digit and `{subscriber}` for the subscriber's number.
pub type Pattern = Box<[Piece]>;

/// A piece of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These octets.
    Text(Text<HOST_BYTES_MAX>),
    /// A digit that belongs to the telephone.
    Digit,
    /// The subscriber's number.
    Subscriber,
}

/// What a part's datagrams are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// INVITEs with this verdict.
    Calls(Expected),
    /// Datagrams with faults, taken in turn; each fault says what must come back. Never empty.
    Faults(Box<[Fault]>),
}

/// One part of a mix, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its share of the calls while it is active, against those of the other parts that are.
    pub weight: u64,
    /// From when it is active, on the mix's clock.
    pub start: Nanos,
    /// Until when; [`Nanos::MAX`] without end.
    pub end: Nanos,
    /// The numbers; never empty.
    pub ranges: Weighted<Range>,
    /// The order of the numbers.
    pub order: Order,
    /// How many different numbers there are; 0: as many as the ranges hold.
    pub pool: u32,
    /// International prefixes and their weights; never empty.
    pub spellings: Weighted<Text<CALLER_BYTES_MAX>>,
    /// Disguises, taken at random; never empty.
    pub disguises: Box<[Disguise]>,
    /// First and last subscriber; their number stands before the caller's. `None`: callers belong to nobody in particular.
    pub subscribers: Option<(u32, u32)>,
    /// First and last caller of each subscriber.
    pub callers: (u64, u64),
    /// Where telephones are; never empty.
    pub addresses: Box<[Block]>,
    /// User agents of telephones; never empty.
    pub agents: Box<[Text<AGENT_BYTES_MAX>]>,
    /// The domain field of the screening header.
    pub domain: Pattern,
    /// The host of the From; empty: the socket's own.
    pub from_host: Pattern,
    /// The headers that tell of the caller.
    pub family: Family,
    /// First and last number of calls that the PBX reports; `None`: it reports none.
    pub reported: Option<(u32, u32)>,
    /// Copies that follow each datagram at once.
    pub copies: u8,
    /// What the datagrams are.
    pub kind: Kind,
    /// The code that the server must give; empty: any.
    pub code: Text<3>,
}

/// What keeps the choices for numbers and those for telephones apart.
const NUMBERS: u64 = 0x6e75_6d62_6572_0000;
const TELEPHONES: u64 = 0x7068_6f6e_6500_0000;

impl Part {
    /// Fills in the call with number `index` within the part, which is the mix's `place`-th.
    pub fn fill(&self, seed: u64, place: u64, index: u64, call: &mut Call) {
        let seed = seed.wrapping_add(place.wrapping_mul(0x0101_0101));
        let mut random = SplitMix64::of(seed, index);
        call.clear();
        self.number(seed, index, &mut random, &mut call.user);
        let subscriber = self
            .subscribers
            .map(|(first, last)| first + random.below(last - first + 1));
        let caller = self.callers.0 + random.below_u64(self.callers.1 - self.callers.0 + 1);
        if let Some(subscriber) = subscriber {
            call.subscriber.push_all(b"sub");
            call.subscriber.push_decimal(subscriber);
            call.caller.push_decimal(subscriber);
        }
        call.caller.push_decimal_u64(caller);
        if let Some((first, last)) = self.reported {
            let reported = first + random.below(last - first + 1);
            call.reported_calls.push_decimal(reported);
        }
        let telephone = (u64::from(subscriber.unwrap_or(0)) << 40) ^ caller;
        let mut of_telephone = SplitMix64::of(seed ^ TELEPHONES, telephone);
        address(
            pick(&mut of_telephone, &self.addresses).copied(),
            &mut of_telephone,
            &mut call.address,
        );
        if let Some(agent) = pick(&mut of_telephone, &self.agents) {
            call.agent.push_octets(agent.octets());
        }
        pattern(
            &self.domain,
            subscriber,
            &mut of_telephone,
            &mut call.domain,
        );
        pattern(
            &self.from_host,
            subscriber,
            &mut of_telephone,
            &mut call.from_host,
        );
        call.family = self.family;
        call.copies = self.copies;
        call.code = self.code;
        match &self.kind {
            Kind::Calls(expected) => call.expected = *expected,
            Kind::Faults(faults) => {
                let count = u64::try_from(faults.len()).unwrap_or(1).max(1);
                let turn = usize::try_from(index % count).unwrap_or(0);
                if let Some(&fault) = faults.get(turn) {
                    call.datagram = Datagram::Faulty(fault);
                    call.expected = fault.expected();
                }
            }
        }
    }

    fn number(
        &self,
        seed: u64,
        index: u64,
        random: &mut SplitMix64,
        user: &mut Text<USER_BYTES_MAX>,
    ) {
        let prefix = self.spellings.pick(random);
        let disguise = if self.disguises.len() > 1 {
            pick(random, &self.disguises).copied()
        } else {
            self.disguises.first().copied()
        };
        let (range, rest) = match self.order {
            Order::Random if self.pool == 0 => self.any_number(random),
            Order::Random => {
                let one = u64::from(random.below(self.pool));
                self.any_number(&mut SplitMix64::of(seed ^ NUMBERS, one))
            }
            Order::Rising => self.next_number(seed, index),
        };
        let spell = |user: &mut Text<USER_BYTES_MAX>| {
            if let Some(prefix) = prefix {
                user.push_octets(prefix.octets());
            }
            if let Some(range) = range {
                user.push_octets(range.prefix.octets());
                user.push_padded(rest, range.more);
            }
        };
        match disguise {
            None | Some(Disguise::Plain) => spell(user),
            Some(disguise) => {
                let mut plain = Text::new();
                spell(&mut plain);
                disguised(disguise, plain.as_bytes(), user);
            }
        }
    }

    fn any_number(&self, random: &mut SplitMix64) -> (Option<&Range>, u64) {
        let range = self.ranges.pick(random);
        let rest = random.below_u64(10_u64.pow(range.map_or(0, |range| range.more)));
        (range, rest)
    }

    /// The ranges one after the other, `pool` numbers of each (100 if the mix names no pool), from a start of the seed's choosing.
    fn next_number(&self, seed: u64, index: u64) -> (Option<&Range>, u64) {
        let of_each = if self.pool == 0 {
            100
        } else {
            u64::from(self.pool)
        };
        let ranges = self.ranges.items();
        let count = u64::try_from(ranges.len()).unwrap_or(1).max(1);
        let run = index / of_each;
        let range = usize::try_from(run % count)
            .ok()
            .and_then(|at| ranges.get(at));
        let size = 10_u64.pow(range.map_or(0, |range| range.more));
        let first = SplitMix64::of(seed ^ NUMBERS, run % count).below_u64(size);
        // A range that is met again goes on where it was left.
        let met = run / count;
        let next = first
            .wrapping_add(met.wrapping_mul(of_each))
            .wrapping_add(index % of_each);
        (range, next % size)
    }
}

fn pick<'t, T>(random: &mut SplitMix64, from: &'t [T]) -> Option<&'t T> {
    if from.len() == 1 {
        return from.first();
    }
    let count = u32::try_from(from.len()).unwrap_or(u32::MAX);
    from.get(usize::try_from(random.below(count)).unwrap_or(0))
}

fn address(block: Option<Block>, random: &mut SplitMix64, text: &mut Text<ADDRESS_BYTES_MAX>) {
    match block {
        Some(Block::V4(first, bits)) => {
            // Neither the first nor the last address of a block that has more than two.
            let offset = match bits {
                0 => 0,
                1 => random.below(2),
                bits => {
                    let size = u32::try_from((1_u64 << bits.min(32)) - 1).unwrap_or(u32::MAX);
                    1 + random.below(size - 1)
                }
            };
            for octet in first.wrapping_add(offset).to_be_bytes() {
                text.push_dotted(octet);
            }
            text.pop();
        }
        Some(Block::V6(first, bits)) => {
            let mask = u64::MAX
                .checked_shr(64_u32.saturating_sub(bits))
                .unwrap_or(0);
            let address = first | u128::from(random.next_u64() & mask);
            for group in 0..8_u32 {
                if group > 0 {
                    text.push(b':');
                }
                let sixteen = (address >> (112 - 16 * group)) & 0xffff;
                text.push_hexadecimal(u64::try_from(sixteen).unwrap_or(0));
            }
        }
        None => {}
    }
}

fn pattern<const N: usize>(
    pieces: &[Piece],
    subscriber: Option<u32>,
    random: &mut SplitMix64,
    text: &mut Text<N>,
) {
    for piece in pieces {
        match piece {
            Piece::Text(octets) => text.push_octets(octets.octets()),
            Piece::Digit => text.push(b'0' + random.below_octet(10)),
            Piece::Subscriber => text.push_decimal(subscriber.unwrap_or(0)),
        };
    }
}

/// Separators stand behind every third character.
const SEPARATED: usize = 3;

fn disguised(disguise: Disguise, plain: &[u8], user: &mut Text<USER_BYTES_MAX>) {
    let separated = |separator: &[u8], user: &mut Text<USER_BYTES_MAX>| {
        for (index, &octet) in plain.iter().enumerate() {
            if index > 0 && index % SEPARATED == 0 {
                user.push_all(separator);
            }
            user.push(octet);
        }
    };
    match disguise {
        Disguise::Plain => {
            user.push_all(plain);
        }
        Disguise::Dashes => separated(b"-", user),
        Disguise::Dots => separated(b".", user),
        Disguise::Spaces => separated(b"%20", user),
        Disguise::Parentheses => {
            let (first, rest) = plain.split_at(plain.len().min(SEPARATED));
            user.push(b'(');
            user.push_all(first);
            user.push(b')');
            user.push_all(rest);
        }
        Disguise::Percent => {
            if let Some((&first, rest)) = plain.split_first() {
                user.push(b'%');
                user.push_hexadecimal(u64::from(first));
                user.push_all(rest);
            }
        }
        Disguise::Parameters => {
            user.push_all(plain);
            user.push_all(b";npdi;rn=+1");
        }
        Disguise::Password => {
            user.push_all(plain);
            user.push_all(b":1234");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disguise_hides_the_number_only_from_who_does_not_read_it() {
        for (disguise, text) in [
            (Disguise::Plain, "+44207946"),
            (Disguise::Dashes, "+44-207-946"),
            (Disguise::Dots, "+44.207.946"),
            (Disguise::Spaces, "+44%20207%20946"),
            (Disguise::Parentheses, "(+44)207946"),
            (Disguise::Percent, "%2b44207946"),
            (Disguise::Parameters, "+44207946;npdi;rn=+1"),
            (Disguise::Password, "+44207946:1234"),
        ] {
            let mut user = Text::new();
            disguised(disguise, b"+44207946", &mut user);
            assert_eq!(user.as_bytes(), text.as_bytes(), "{disguise:?}");
            assert!(crate::call::user_of(text).is_some(), "{disguise:?}");
        }
    }

    #[test]
    fn addresses_stay_in_their_block() {
        for (block, begins) in [
            (Block::V4(0x0a00_0000, 24), "10."),
            (Block::V4(0xcb00_7107, 0), "203.0.113.7"),
            (Block::V4(0xcb00_7100, 8), "203.0.113."),
            (Block::V6(0x2001_0db8 << 96, 96), "2001:db8:0:0:"),
        ] {
            for index in 0..500 {
                let mut text = Text::new();
                address(Some(block), &mut SplitMix64::of(1, index), &mut text);
                let text = str::from_utf8(text.as_bytes()).unwrap();
                assert!(text.starts_with(begins), "{text}");
                assert!(text.parse::<std::net::IpAddr>().is_ok(), "{text}");
                assert!(!text.ends_with(".113.0") && !text.ends_with(".113.255"));
            }
        }
    }
}
