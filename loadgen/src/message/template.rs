//! Text with holes, filled into the caller's octets.

use super::SEQUENCE_DIGITS;
use crate::text::{BLOCK, Octets};

/// What stands in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
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
    /// Blanks before a header's value (RFC 3261 §25.1: HCOLON) up to a round length.
    Padding,
}

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
    /// Octets of text behind the hole for padding, if there is one.
    behind_padding: usize,
    /// Messages are padded to a multiple of so many octets: a power of two.
    step: usize,
}

/// A piece of text and the hole behind it.
#[derive(Debug, Clone)]
struct Step {
    text: [u8; BLOCK],
    length: usize,
    hole: Option<Field>,
}

impl Template {
    pub(super) fn compile(source: &str, step: usize) -> Self {
        let mut steps = Vec::new();
        let mut behind_padding = 0;
        let mut rest = source;
        while let Some((at, name, field)) = first_hole(rest) {
            add_text(&mut steps, rest.as_bytes().get(..at).unwrap_or_default());
            add_hole(&mut steps, field);
            rest = rest.get(at + name.len()..).unwrap_or_default();
            if field == Field::Padding {
                behind_padding = rest.len();
            }
        }
        add_text(&mut steps, rest.as_bytes());
        Self {
            steps: steps.into(),
            behind_padding,
            step,
        }
    }

    pub(super) fn render(&self, values: &Values<'_>, out: &mut [u8]) -> Option<usize> {
        let digits = hexadecimal(values.sequence);
        let sequence = Octets::first(&digits, SEQUENCE_DIGITS);
        let mut written = 0;
        for step in &self.steps {
            written = match out.get_mut(written..written + BLOCK) {
                Some(to) => {
                    to.copy_from_slice(&step.text);
                    written + step.length
                }
                None => Octets::first(&step.text, step.length).put(out, written)?,
            };
            let filling = match step.hole {
                None => continue,
                Some(Field::User) => values.user,
                Some(Field::Caller) => values.caller,
                Some(Field::Domain) => values.domain,
                Some(Field::FromHost) => values.from_host,
                Some(Field::Address) => values.address,
                Some(Field::Agent) => values.agent,
                Some(Field::ReportedCalls) => values.reported_calls,
                Some(Field::Sequence) => sequence,
                Some(Field::Authorization) => values.authorization,
                Some(Field::To) => values.to,
                // No hole follows it, so that the length without it is known here.
                Some(Field::Padding) => {
                    let length = written + self.behind_padding;
                    let blanks = length.wrapping_neg() & (self.step - 1);
                    out.get_mut(written..written + blanks)?.fill(b' ');
                    written += blanks;
                    continue;
                }
            };
            written = filling.put(out, written)?;
        }
        Some(written)
    }
}

/// Adds text in pieces of at most a block.
fn add_text(steps: &mut Vec<Step>, text: &[u8]) {
    for piece in text.chunks(BLOCK) {
        let mut block = [b' '; BLOCK];
        for (place, octet) in block.iter_mut().zip(piece) {
            *place = *octet;
        }
        steps.push(Step {
            text: block,
            length: piece.len(),
            hole: None,
        });
    }
}

/// Adds a hole behind the text that was added last.
fn add_hole(steps: &mut Vec<Step>, hole: Field) {
    match steps.last_mut() {
        Some(last) if last.hole.is_none() => last.hole = Some(hole),
        Some(_) | None => steps.push(Step {
            text: [b' '; BLOCK],
            length: 0,
            hole: Some(hole),
        }),
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
