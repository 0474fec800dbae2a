//! Text with holes, filled into the caller's octets.

use super::SEQUENCE_DIGITS;
use crate::text::{BLOCK, Octets};

/// What stands in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// Nothing: two pieces of text stand behind each other.
    Nothing,
    User,
    Caller,
    Domain,
    FromHost,
    Address,
    Agent,
    ReportedCalls,
    Sequence,
    Authorization,
    To,
    /// Behind all others: blanks before a header's value (RFC 3261 §25.1: HCOLON) up to a round length.
    Padding,
}

/// Fields that are not padding.
const FIELDS_COUNT: usize = Field::Padding as usize;

const FIELDS: &[(&str, Field)] = &[
    ("{user}", Field::User),
    ("{caller}", Field::Caller),
    ("{domain}", Field::Domain),
    ("{from_host}", Field::FromHost),
    ("{address}", Field::Address),
    ("{agent}", Field::Agent),
    ("{reported_calls}", Field::ReportedCalls),
    ("{sequence}", Field::Sequence),
    ("{authorization}", Field::Authorization),
    ("{to}", Field::To),
    ("{padding}", Field::Padding),
];

/// What goes into the holes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) user: Octets<'a>,
    pub(super) caller: Octets<'a>,
    pub(super) domain: Octets<'a>,
    pub(super) from_host: Octets<'a>,
    pub(super) address: Octets<'a>,
    pub(super) agent: Octets<'a>,
    pub(super) reported_calls: Octets<'a>,
    pub(super) sequence: u64,
    pub(super) authorization: Octets<'a>,
    pub(super) to: Octets<'a>,
}

/// Text with holes.
#[derive(Debug, Clone)]
pub(super) struct Template {
    steps: Box<[Step]>,
    /// Whether there is a hole for padding, behind all others.
    padded: bool,
    /// What follows the last hole.
    tail: Box<[u8]>,
    /// Messages are padded to a multiple of so many octets: a power of two.
    step: usize,
}

/// A piece of text and the hole behind it.
#[derive(Debug, Clone)]
struct Step {
    /// The piece, if it is no longer than a block.
    block: [u8; BLOCK],
    /// The piece, if it is.
    long: Box<[u8]>,
    length: usize,
    hole: Field,
}

impl Template {
    pub(super) fn compile(source: &str, step: usize) -> Self {
        let mut steps = Vec::new();
        let mut padded = false;
        let mut rest = source;
        while let Some((at, name, field)) = first_hole(rest) {
            let text = rest.as_bytes().get(..at).unwrap_or_default();
            rest = rest.get(at + name.len()..).unwrap_or_default();
            if field == Field::Padding {
                steps.push(Step::new(text, Field::Nothing));
                padded = true;
                break;
            }
            steps.push(Step::new(text, field));
        }
        Self {
            steps: steps.into(),
            padded,
            tail: rest.as_bytes().into(),
            step,
        }
    }

    pub(super) fn render(&self, values: &Values<'_>, out: &mut [u8]) -> Option<usize> {
        let digits = hexadecimal(values.sequence);
        let fillings = values.by_field(&digits);
        let mut written = 0;
        for step in &self.steps {
            written = step.put(out, written)?;
            let filling = fillings.get(step.hole as usize)?;
            written = filling.put(out, written)?;
        }
        if self.padded {
            let length = written + self.tail.len();
            let blanks = length.wrapping_neg() & (self.step - 1);
            out.get_mut(written..written + blanks)?.fill(b' ');
            written += blanks;
        }
        let end = written + self.tail.len();
        out.get_mut(written..end)?.copy_from_slice(&self.tail);
        Some(end)
    }
}

impl<'a> Values<'a> {
    /// What goes into each hole, in the order of [`Field`].
    #[inline(always)]
    fn by_field(&self, digits: &'a [u8; BLOCK]) -> [Octets<'a>; FIELDS_COUNT] {
        [
            Octets::default(),
            self.user,
            self.caller,
            self.domain,
            self.from_host,
            self.address,
            self.agent,
            self.reported_calls,
            Octets::first(digits, SEQUENCE_DIGITS),
            self.authorization,
            self.to,
        ]
    }
}

impl Step {
    fn new(text: &[u8], hole: Field) -> Self {
        let mut block = [b' '; BLOCK];
        let long = match block.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text);
                Box::default()
            }
            None => text.into(),
        };
        Self {
            block,
            long,
            length: text.len(),
            hole,
        }
    }

    /// Writes the piece at a place and returns where it ends; `None` if there is too little room.
    #[inline(always)]
    fn put(&self, out: &mut [u8], at: usize) -> Option<usize> {
        let end = at + self.length;
        match out.get_mut(at..at + BLOCK) {
            Some(to) if self.length <= BLOCK => to.copy_from_slice(&self.block),
            _ if self.length <= BLOCK => {
                let text = self.block.get(..self.length)?;
                out.get_mut(at..end)?.copy_from_slice(text);
            }
            _ => out.get_mut(at..end)?.copy_from_slice(&self.long),
        }
        Some(end)
    }
}

fn first_hole(text: &str) -> Option<(usize, &'static str, Field)> {
    FIELDS
        .iter()
        .filter_map(|&(name, field)| Some((text.find(name)?, name, field)))
        .min_by_key(|&(at, ..)| at)
}

/// The last ten hexadecimal digits of a number, and what may be read behind them.
fn hexadecimal(number: u64) -> [u8; BLOCK] {
    let mut digits = [b'0'; BLOCK];
    let octets = number.to_be_bytes();
    let last = octets.iter().skip(octets.len() - SEQUENCE_DIGITS / 2);
    for (place, &octet) in digits.chunks_exact_mut(2).zip(last) {
        let pair = PAIRS.get(usize::from(octet)).copied().unwrap_or_default();
        place.copy_from_slice(&pair);
    }
    digits
}

/// Every octet as two hexadecimal digits.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut octet = 0;
    while octet < pairs.len() {
        pairs[octet] = [DIGITS[octet >> 4], DIGITS[octet & 15]];
        octet += 1;
    }
    pairs
};
