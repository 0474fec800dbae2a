//! From the user part of a Request-URI to a number: decoding, separators, tech prefix, translations.
//!
//! Promises: escapes are decoded once; nothing is allocated; whatever is not a number becomes an error or
//! `Unclassified`, never a number by accident.
//! Leaves to `snapshot`: what an unclassified number leads to.
//!
//! Parameters and password are cut off before decoding, as RFC 3261 §19.1.4 parses them: an escaped `;` is a character of
//! the user and makes the number undialable (484). Otherwise we would decide about less than our Contact carries back.

use super::attempt::Scheme;
use crate::e164::E164;
use crate::limits::DIALLED_BYTES_MAX;

/// What the caller dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialled {
    /// An emergency number of the domain: approved before everything.
    Emergency,
    /// Our own answer come back.
    Loop,
    /// Not a dialable number (484).
    Undialable,
    /// An international number.
    Number(E164),
    /// Dialable, but not known to be an international number.
    Unclassified,
}

/// A short byte string on the stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    bytes: [u8; DIALLED_BYTES_MAX],
    length: usize,
}

impl Text {
    const EMPTY: Self = Self {
        bytes: [0; DIALLED_BYTES_MAX],
        length: 0,
    };

    /// Adds a byte; `None` when full.
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte;
        self.length += 1;
        Some(())
    }

    fn extend(&mut self, bytes: &[u8]) -> Option<()> {
        bytes.iter().try_for_each(|&byte| self.push(byte))
    }

    /// What it holds.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// One translation (`[[domain.translate]]`).
#[derive(Debug, Clone)]
pub(super) struct Translation {
    pub(super) matches: Vec<u8>,
    pub(super) strip: usize,
    pub(super) prepend: Vec<u8>,
    pub(super) min_digits: usize,
    pub(super) max_digits: usize,
}

impl Translation {
    fn fits(&self, text: &[u8]) -> bool {
        (self.min_digits..=self.max_digits).contains(&text.len()) && text.starts_with(&self.matches)
    }

    /// The translated string; `None` when it does not fit our buffer, so is no number either.
    fn apply(&self, text: &[u8]) -> Option<Text> {
        let mut translated = Text::EMPTY;
        translated.extend(&self.prepend)?;
        translated.extend(text.get(self.strip..).unwrap_or(&[]))?;
        Some(translated)
    }
}

/// The part of a domain that reading a number depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberPlan {
    pub(super) translations: Vec<Translation>,
    pub(super) bare_e164: bool,
    emergency: Vec<Vec<u8>>,
    /// Bit n: some emergency number has n characters. Most calls end at this one test.
    emergency_lengths: u64,
    pub(super) wire_codes: Vec<[u8; 3]>,
}

impl NumberPlan {
    /// A plan with these emergency numbers and nothing else.
    pub(super) fn new(emergency: &[Vec<u8>]) -> Self {
        let mut plan = Self::default();
        for number in emergency {
            plan.emergency_lengths |= length_bit(number.len());
            plan.emergency.push(number.clone());
        }
        plan
    }

    fn is_emergency(&self, text: &[u8]) -> bool {
        self.emergency_lengths & length_bit(text.len()) != 0
            && self.emergency.iter().any(|number| number == text)
    }

    fn is_own_answer(&self, decoded: &[u8]) -> bool {
        let Some((code, [next, ..])) = decoded.split_first_chunk::<3>() else {
            return false;
        };
        (next.is_ascii_digit() || *next == b'+') && self.wire_codes.contains(code)
    }

    /// What was dialled. `decoded` is the decoded user part; `tech_prefix` the subscriber's.
    pub(super) fn read(
        &self,
        decoded: &[u8],
        scheme: Scheme,
        tech_prefix: Option<&[u8]>,
    ) -> Dialled {
        // SEMANTICS: emergency numbers are compared whole, raw or translated, before everything.
        let raw = clean(decoded);
        if self.is_emergency(decoded) || self.is_emergency(raw.as_bytes()) {
            return Dialled::Emergency;
        }
        let shortened = tech_prefix
            .and_then(|prefix| decoded.strip_prefix(prefix))
            .map(clean);
        let text = shortened.as_ref().unwrap_or(&raw).as_bytes();
        let translation = self
            .translations
            .iter()
            .find(|translation| translation.fits(text));
        let translated = translation.map(|translation| translation.apply(text));
        let in_full = match &translated {
            Some(translated) => translated.as_ref().map_or(&[][..], Text::as_bytes),
            None => text,
        };
        if self.is_emergency(in_full) {
            return Dialled::Emergency;
        }
        if self.is_own_answer(decoded) {
            return Dialled::Loop;
        }
        let dialable =
            |text: &[u8]| !text.is_empty() && text.iter().all(|byte| is_number_character(*byte));
        if !dialable(raw.as_bytes()) || !dialable(text) {
            return Dialled::Undialable;
        }
        let digits = in_full.strip_prefix(b"+");
        let number = if translated.is_some() {
            E164::from_digits(digits.unwrap_or(in_full))
        } else if let Some(digits) = digits {
            E164::from_digits(digits)
        } else if self.bare_e164 && scheme != Scheme::Tel && (8..=15).contains(&text.len()) {
            // RFC 3966 §5.1.5: a tel: number without `+` is local, so it is not E.164 for being long.
            E164::from_digits(text)
        } else {
            None
        };
        number.map_or(Dialled::Unclassified, Dialled::Number)
    }
}

fn length_bit(length: usize) -> u64 {
    u32::try_from(length).map_or(0, |length| 1_u64.unbounded_shl(length))
}

/// The user part up to its first `;` or `:`: without parameters and password. This is what a Contact carries back.
pub(super) fn bare_user(user_part: &[u8]) -> &[u8] {
    let end = user_part
        .iter()
        .position(|byte| matches!(byte, b';' | b':'))
        .unwrap_or(user_part.len());
    user_part.get(..end).unwrap_or(user_part)
}

/// Decodes `%HH` once; `None` when longer than `DIALLED_BYTES_MAX`. A `%` that begins no escape stays.
pub(super) fn decode(user: &[u8]) -> Option<Text> {
    let mut text = Text::EMPTY;
    let mut rest = user;
    while let [first, after @ ..] = rest {
        if let (b'%', [high, low, beyond @ ..]) = (*first, after)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            text.push(high << 4 | low)?;
            rest = beyond;
            continue;
        }
        text.push(*first)?;
        rest = after;
    }
    Some(text)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Without visual separators.
fn clean(decoded: &[u8]) -> Text {
    let mut text = Text::EMPTY;
    for &byte in decoded {
        if !matches!(byte, b'-' | b'.' | b'(' | b')' | b' ') {
            // It is no longer than what was decoded, so there is room.
            let _room = text.push(byte);
        }
    }
    text
}

const fn is_number_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'*' | b'#' | b'.' | b'_' | b'-')
}
