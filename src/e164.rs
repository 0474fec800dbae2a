//! An international number as digits (ITU-T E.164), packed in one word.
//!
//! Promises: 1–15 decimal digits, no `+`; ordering is by digits from the left, a shorter number before its
//! continuations, so prefix tables can be sorted intervals.
//! Leaves to `policy`: how a dialled string becomes such a number.

use crate::limits::E164_DIGITS_MAX;
use std::fmt;

/// Digits left-aligned as nibbles, the length in the lowest nibble: `+39` is `0x3900_0000_0000_0002`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(u64);

impl E164 {
    /// The number of these ASCII digits; `None` unless there are 1–15 and nothing else.
    #[must_use]
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() || digits.len() > E164_DIGITS_MAX {
            return None;
        }
        let (first, second) = halves(digits)?;
        let count = digits.len();
        let word = u64::from(packed(first, count.min(8))?) << 32
            | u64::from(packed(second, count.saturating_sub(8))?);
        Some(Self(word | count as u64))
    }

    /// How many digits, 1–15.
    #[must_use]
    pub fn len(self) -> usize {
        (self.0 & 0x0f) as usize
    }

    /// Never: a number has at least one digit. Here because `len` is.
    #[must_use]
    pub fn is_empty(self) -> bool {
        false
    }

    /// The digits left-aligned as nibbles, zeros to the right, without the length. Sorts like the digits.
    #[must_use]
    pub fn aligned(self) -> u64 {
        self.0 & !0x0f
    }

    /// The packed word: unique per number, so it serves as a key.
    #[must_use]
    pub fn key(self) -> u64 {
        self.0
    }

    /// The digit at `index` from the left, 0–9.
    #[must_use]
    pub fn digit(self, index: usize) -> Option<u8> {
        if index >= self.len() {
            return None;
        }
        Some(((self.0 >> (60 - 4 * index)) & 0x0f) as u8)
    }

    /// Whether this number begins with all digits of `prefix` (a number begins with itself).
    #[must_use]
    pub fn starts_with(self, prefix: Self) -> bool {
        let length = prefix.len();
        length <= self.len() && (self.0 ^ prefix.0) >> (64 - 4 * length) == 0
    }

    /// The first `digits` digits, at least one and at most all.
    #[must_use]
    pub fn truncated(self, digits: usize) -> Self {
        let digits = digits.clamp(1, self.len());
        let kept = !(u64::MAX >> (4 * digits));
        Self((self.0 & kept) | digits as u64)
    }

    /// The ASCII digits, in a buffer of `E164_DIGITS_MAX`, and how many of them count.
    #[must_use]
    pub fn to_ascii(self) -> ([u8; E164_DIGITS_MAX], usize) {
        let mut ascii = [b'0'; E164_DIGITS_MAX];
        for (index, place) in ascii.iter_mut().enumerate() {
            *place = b'0' + self.digit(index).unwrap_or(0);
        }
        (ascii, self.len())
    }
}

/// The first eight octets and the others, the first octet highest; what they do not fill is nought.
#[inline]
fn halves(digits: &[u8]) -> Option<(u64, u64)> {
    let missing = |whole: usize| 8 * u32::try_from(whole - digits.len()).unwrap_or(0);
    if let (Some(first), Some(last)) = (digits.first_chunk(), digits.last_chunk()) {
        // What the last eight have in common with the first is shifted out.
        let last = u64::from_be_bytes(*last).unbounded_shl(missing(16));
        return Some((u64::from_be_bytes(*first), last));
    }
    if let (Some(first), Some(last)) = (digits.first_chunk(), digits.last_chunk()) {
        let last = u32::from_be_bytes(*last).unbounded_shl(missing(8));
        let first = u64::from(u32::from_be_bytes(*first)) << 32;
        return Some((first | u64::from(last), 0));
    }
    let octet = |index: usize| u64::from(digits.get(index).copied().unwrap_or(0));
    Some((octet(0) << 56 | octet(1) << 48 | octet(2) << 40, 0))
}

/// The nibbles of the first `count` octets, the first one highest; `None` when one of them is no digit. Eight octets at
/// once: 138 instructions a number in a loop, 60 so.
#[inline]
fn packed(octets: u64, count: usize) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let unused = u64::MAX.unbounded_shr(8 * u32::try_from(count).unwrap_or(8));
    let digits = (octets ^ (ONES * u64::from(b'0'))) & !unused;
    // Bit 7 tells what is above nine; what it carries from one octet into the next was told already.
    if (digits | digits.wrapping_add(ONES * 0x76)) & (ONES * 0x80) != 0 {
        return None;
    }
    let pairs = (digits | digits >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    u32::try_from((fours | fours >> 16) & 0xffff_ffff).ok()
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.len())
            .filter_map(|index| self.digit(index))
            .try_for_each(|digit| write!(f, "{digit}"))
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> E164 {
        E164::from_digits(digits.as_bytes()).unwrap()
    }

    #[test]
    fn digits_are_read_at_every_length_and_no_other_octet_is() {
        for length in 1..=15 {
            let mut text = *b"123456789012345";
            let text = &mut text[..length];
            let number = E164::from_digits(text).unwrap();
            assert_eq!(number.len(), length);
            let (ascii, count) = number.to_ascii();
            assert_eq!(ascii[..count], *text);
            for at in 0..length {
                let digit = text[at];
                for octet in 0..=255_u8 {
                    text[at] = octet;
                    let number = E164::from_digits(text);
                    let (ascii, count) = number.map_or(([0; 15], 0), E164::to_ascii);
                    assert_eq!(number.is_some(), octet.is_ascii_digit(), "{text:?}");
                    assert!(number.is_none() || ascii[..count] == *text, "{text:?}");
                }
                text[at] = digit;
            }
        }
    }

    #[test]
    fn a_number_is_1_to_15_digits_and_nothing_else() {
        for bad in ["", "+39", "39 06", "1234567890123456", "12a"] {
            assert_eq!(E164::from_digits(bad.as_bytes()), None, "{bad}");
        }
        for good in ["1", "442071838750", "123456789012345", "0"] {
            assert_eq!(number(good).to_string(), good);
            let (ascii, count) = number(good).to_ascii();
            assert_eq!(&ascii[..count], good.as_bytes());
        }
        assert_eq!(number("39").key(), 0x3900_0000_0000_0002);
    }

    #[test]
    fn order_is_by_digits_from_the_left_and_shorter_first() {
        let sorted = ["39", "390", "3906", "39069", "391", "4", "44", "440"].map(number);
        assert!(sorted.is_sorted());
    }

    #[test]
    fn a_truncated_number_is_the_prefix_of_that_length() {
        for (digits, want) in [
            (0, "4"),
            (1, "4"),
            (4, "4420"),
            (6, "442071"),
            (15, "442071"),
        ] {
            assert_eq!(number("442071").truncated(digits), number(want), "{digits}");
        }
        let longest = number("123456789012345");
        assert_eq!(longest.truncated(15), longest);
    }

    #[test]
    fn a_number_begins_with_its_prefixes_only() {
        assert!(number("442071").starts_with(number("44")));
        assert!(number("442071").starts_with(number("442071")));
        assert!(!number("442071").starts_with(number("4420710")));
        assert!(!number("442071").starts_with(number("43")));
        assert!(number("123456789012345").starts_with(number("123456789012345")));
    }
}
