//! How the datagrams of one input follow each other.
//!
//! An input is a datagram. Behind `SEPARATOR` may stand an octet that says how it goes on, and behind that the next datagram;
//! where that is missing it is the first one once more:
//!
//!     INVITE … | SEPARATOR | step | INVITE … | SEPARATOR | step
//!
//! Of a step, bits 0 to 2 say how much time passes before each datagram, bits 3 and 4 how many there are, bit 5 that the tables
//! are swept behind them, bit 6 that the node drains meanwhile. In an input with steps, `VARIED` stands for a decimal digit
//! that is another one in each round, so that one line makes many callers, numbers or Call-IDs.
//!
//! Promises: an input without `SEPARATOR` is one datagram as it is; at most `DATAGRAMS_MAX` in all.

use std::borrow::Cow;

/// Between the parts of an input. Octets that no datagram of the world has.
pub(crate) const SEPARATOR: &[u8] = b"\x1e\x1e";
/// Stands for a digit of the round's number: the ones, and the tens where it stands for the second time.
pub(crate) const VARIED: u8 = 0x1f;

/// Milliseconds that pass: memory lasts 32 s, a hold here a minute, windows from half an hour on.
const STEPS_MS: [u64; 8] = [
    0,
    1_000,
    40_000,
    600_000,
    3_600_000,
    9 * 3_600_000,
    24 * 3_600_000,
    400 * 24 * 3_600_000,
];
/// Datagrams of a part.
const ROUNDS: [u64; 4] = [1, 2, 6, 16];
/// Of an input, so that none takes long.
const DATAGRAMS_MAX: u64 = 32;
/// Sweeps of an input: each reads all places for holds there are.
const SWEEPS_MAX: u64 = 2;

/// The parts of an input.
pub(crate) struct Script<'i> {
    first: &'i [u8],
    rest: Option<&'i [u8]>,
    /// The part of the first datagram is still to come.
    begins: bool,
    datagrams_left: u64,
    sweeps_left: u64,
}

/// Datagrams that are alike.
pub(crate) struct Part<'i> {
    bytes: &'i [u8],
    varies: bool,
    /// Time that passes before each.
    pub(crate) step_ms: u64,
    /// How many there are.
    pub(crate) rounds: u64,
    /// Whether the tables are swept behind them.
    pub(crate) sweeps: bool,
    /// Whether the node drains.
    pub(crate) is_draining: bool,
}

/// What stands before a separator, and what behind it.
fn split(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let at = bytes
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR);
    match at.and_then(|at| bytes.split_at_checked(at)) {
        Some((before, from)) => (before, from.get(SEPARATOR.len()..)),
        None => (bytes, None),
    }
}

impl<'i> Script<'i> {
    pub(crate) fn new(input: &'i [u8]) -> Self {
        let (first, rest) = split(input);
        Self {
            first,
            rest,
            begins: true,
            datagrams_left: DATAGRAMS_MAX,
            sweeps_left: SWEEPS_MAX,
        }
    }

    fn part(&mut self, step: u8, bytes: &'i [u8], varies: bool) -> Part<'i> {
        let rounds = ROUNDS[usize::from(step >> 3) % ROUNDS.len()].min(self.datagrams_left);
        let sweeps = step & 0x20 != 0 && self.sweeps_left > 0;
        self.datagrams_left -= rounds;
        self.sweeps_left -= u64::from(sweeps);
        Part {
            bytes: if bytes.is_empty() { self.first } else { bytes },
            varies,
            step_ms: STEPS_MS[usize::from(step) % STEPS_MS.len()],
            rounds,
            sweeps,
            is_draining: step & 0x40 != 0,
        }
    }
}

impl<'i> Iterator for Script<'i> {
    type Item = Part<'i>;

    fn next(&mut self) -> Option<Part<'i>> {
        if self.begins {
            self.begins = false;
            return Some(self.part(0, self.first, self.rest.is_some()));
        }
        let (part, rest) = split(self.rest.take()?);
        self.rest = rest;
        let (step, bytes) = part.split_first()?;
        Some(self.part(*step, bytes, true))
    }
}

impl<'i> Part<'i> {
    /// The datagram of this round.
    pub(crate) fn datagram(&self, round: u64) -> Cow<'i, [u8]> {
        if !self.varies || !self.bytes.contains(&VARIED) {
            return Cow::Borrowed(self.bytes);
        }
        let digits =
            [round % 10, round / 10 % 10].map(|digit| b'0' + u8::try_from(digit).unwrap_or(0));
        let mut digits = digits.into_iter().cycle();
        let octet = |octet: &u8| match *octet {
            VARIED => digits.next().unwrap_or(b'0'),
            other => other,
        };
        Cow::Owned(self.bytes.iter().map(octet).collect())
    }
}
