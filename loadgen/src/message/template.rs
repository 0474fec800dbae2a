//! Text with holes, filled into the caller's octets.

use super::{Attempt, SEQUENCE_DIGITS};

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
    Attempt,
    CSeq,
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
    ("{attempt}", Field::Attempt),
    ("{cseq}", Field::CSeq),
    ("{authorization}", Field::Authorization),
    ("{to}", Field::To),
    ("{padding}", Field::Padding),
];

/// What goes into the holes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) user: &'a [u8],
    pub(super) caller: &'a [u8],
    pub(super) domain: &'a [u8],
    pub(super) from_host: &'a [u8],
    pub(super) address: &'a [u8],
    pub(super) agent: &'a [u8],
    pub(super) reported_calls: &'a [u8],
    pub(super) sequence: u64,
    pub(super) attempt: Attempt,
    pub(super) authorization: &'a [u8],
    pub(super) to: &'a [u8],
}

/// Text with holes.
#[derive(Debug, Clone)]
pub(super) struct Template {
    text: Box<[u8]>,
    /// Where in `text` each hole is, ascending.
    holes: Box<[(usize, Field)]>,
    /// Messages are padded to a multiple of so many octets.
    step: usize,
}

impl Template {
    pub(super) fn compile(source: &str, step: usize) -> Self {
        let mut text = Vec::with_capacity(source.len());
        let mut holes = Vec::new();
        let mut rest = source;
        while let Some((at, name, field)) = first_hole(rest) {
            text.extend_from_slice(rest.as_bytes().get(..at).unwrap_or_default());
            holes.push((text.len(), field));
            rest = rest.get(at + name.len()..).unwrap_or_default();
        }
        text.extend_from_slice(rest.as_bytes());
        Self {
            text: text.into(),
            holes: holes.into(),
            step,
        }
    }

    pub(super) fn render(&self, values: &Values<'_>, out: &mut [u8]) -> Option<usize> {
        let digits = hexadecimal(values.sequence);
        let mut from = 0;
        let mut written = 0;
        for &(at, field) in &self.holes {
            written = put(out, written, self.text.get(from..at)?)?;
            from = at;
            let filling = match field {
                Field::User => values.user,
                Field::Caller => values.caller,
                Field::Domain => values.domain,
                Field::FromHost => values.from_host,
                Field::Address => values.address,
                Field::Agent => values.agent,
                Field::ReportedCalls => values.reported_calls,
                Field::Sequence => &digits,
                Field::Attempt => values.attempt.suffix(),
                Field::CSeq => values.attempt.cseq_digits(),
                Field::Authorization => values.authorization,
                Field::To => values.to,
                // No hole follows it, so that the length without it is known here.
                Field::Padding => {
                    let length = written + self.text.len() - at;
                    let blanks = length.next_multiple_of(self.step) - length;
                    out.get_mut(written..written + blanks)?.fill(b' ');
                    written += blanks;
                    continue;
                }
            };
            written = put(out, written, filling)?;
        }
        put(out, written, self.text.get(from..)?)
    }
}

fn first_hole(text: &str) -> Option<(usize, &'static str, Field)> {
    FIELDS
        .iter()
        .filter_map(|&(name, field)| Some((text.find(name)?, name, field)))
        .min_by_key(|&(at, ..)| at)
}

fn put(out: &mut [u8], at: usize, octets: &[u8]) -> Option<usize> {
    let end = at + octets.len();
    out.get_mut(at..end)?.copy_from_slice(octets);
    Some(end)
}

/// The last ten hexadecimal digits of a number.
fn hexadecimal(number: u64) -> [u8; SEQUENCE_DIGITS] {
    let mut digits = [b'0'; SEQUENCE_DIGITS];
    let mut rest = number;
    for place in digits.iter_mut().rev() {
        let [low, ..] = rest.to_le_bytes();
        *place = match low & 15 {
            digit @ 0..10 => b'0' + digit,
            digit => b'a' + digit - 10,
        };
        rest >>= 4;
    }
    digits
}
