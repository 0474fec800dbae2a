//! Sixteen octets at a time: where an octet stands, and how far the octets of names and numbers go.
//!
//! Promises: the same answers as a loop over single octets, which the tests compare; nothing but the text is read.
//! Leaves to `sys::lanes`: one block; to `octet` and `scan`: what the octets mean.
//!
//! The values of a request are 10–60 octets long. A call of a general search for each of them cost 1,770 of a scan's
//! 13,300 instructions, and the loops over single octets twice that.

use crate::sys::lanes::{self, BLOCK};

/// Bit n is set where octet n of the sixty-four is this one.
#[must_use]
#[inline]
pub fn equal_64(octets: &[u8; 64], octet: u8) -> u64 {
    let (blocks, _) = octets.as_chunks::<BLOCK>();
    blocks.iter().rev().fold(0, |mask, block| {
        mask << 16 | u64::from(lanes::equal(block, octet))
    })
}

/// Where this octet stands first.
#[must_use]
#[inline]
pub fn find(text: &[u8], octet: u8) -> Option<usize> {
    first(text, |block| lanes::equal(block, octet))
}

/// Where the first octet up to and with SP stands: white space and controls.
#[must_use]
#[inline]
pub fn find_blank(text: &[u8]) -> Option<usize> {
    first(text, lanes::blank)
}

/// How many octets from the start are letters, digits, `-`, `.` or `_`: they stand in tokens, hosts, users and values.
#[must_use]
#[inline]
pub fn plain_run(text: &[u8]) -> usize {
    first(text, |block| !lanes::plain(block) & 0xffff).unwrap_or(text.len())
}

/// The first octet for which `mask` has a bit.
#[inline]
fn first(text: &[u8], mask: impl Fn(&[u8; BLOCK]) -> u32) -> Option<usize> {
    let mut rest = text;
    let mut passed = 0_usize;
    while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
        let found = mask(block);
        if found != 0 {
            return Some(passed.wrapping_add(found.trailing_zeros() as usize));
        }
        passed = passed.wrapping_add(BLOCK);
        rest = after;
    }
    let found = match text.last_chunk::<BLOCK>() {
        // The last block once more, what was passed shifted out.
        Some(block) => mask(block).unbounded_shr(missing(rest, BLOCK)),
        None => mask(&padded(rest)),
    };
    let at = found.trailing_zeros() as usize;
    (at < rest.len()).then(|| passed.wrapping_add(at))
}

/// How many octets a text has less than these.
#[inline]
fn missing(text: &[u8], whole: usize) -> u32 {
    u32::try_from(whole.saturating_sub(text.len())).unwrap_or(0)
}

/// Up to fifteen octets with zeros behind them. Two words that overlap do it without a loop.
#[inline]
fn padded(text: &[u8]) -> [u8; BLOCK] {
    if let (Some(low), Some(high)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        let high = u64::from_le_bytes(*high).unbounded_shr(missing(text, 16).wrapping_mul(8));
        let word = u128::from(u64::from_le_bytes(*low)) | u128::from(high) << 64;
        return word.to_le_bytes();
    }
    let word = if let (Some(low), Some(high)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let high = u32::from_le_bytes(*high).unbounded_shr(missing(text, 8).wrapping_mul(8));
        u64::from(u32::from_le_bytes(*low)) | u64::from(high) << 32
    } else {
        let octets = [text.first(), text.get(1), text.get(2)];
        let [first, second, third] = octets.map(|octet| u64::from(*octet.unwrap_or(&0)));
        first | second << 8 | third << 16
    };
    u128::from(word).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every octet at every place of texts of every length up to three blocks.
    fn check(text: &[u8], octet: u8) {
        let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._".contains(octet);
        let position = |fits: &dyn Fn(&u8) -> bool| text.iter().position(fits);
        assert_eq!(find(text, octet), position(&|&o| o == octet), "{text:?}");
        assert_eq!(find_blank(text), position(&|&o| o <= b' '), "{text:?}");
        let run = position(&|o| !plain(o)).unwrap_or(text.len());
        assert_eq!(plain_run(text), run, "{text:?}");
    }

    #[test]
    fn blocks_answer_as_single_octets_do() {
        for length in 0..48 {
            let mut text = vec![b'a'; length];
            for octet in 0..=255 {
                check(&text, octet);
            }
            for at in 0..length {
                for octet in 0..=255 {
                    text[at] = octet;
                    check(&text, octet);
                }
                text[at] = b'a';
            }
        }
    }

    #[test]
    fn bits_stand_where_octets_do() {
        let mut octets = [b'x'; 64];
        for at in [0, 15, 16, 40, 63] {
            octets[at] = b'\n';
        }
        let wanted = 1 | 1 << 15 | 1 << 16 | 1 << 40 | 1 << 63;
        assert_eq!(equal_64(&octets, b'\n'), wanted);
    }
}
