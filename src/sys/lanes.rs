//! Sixteen octets compared at once, a bit for each.
//!
//! Promises: only the array that is given is read; the same bits on every processor, which the tests compare with a loop.
//! Leaves to `sip::block`: texts that are no multiple of sixteen.
#![expect(
    unsafe_code,
    reason = "the processor's vector instructions are unsafe to call, even those that every x86_64 has"
)]

/// Octets of a block.
pub const BLOCK: usize = 16;

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::BLOCK;
    use std::arch::x86_64::{
        __m128i, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8, _mm_sub_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(block: &[u8; BLOCK]) -> __m128i {
        let word =
            |octets: Option<&[u8; 8]>| octets.map_or(0, |octets| i64::from_le_bytes(*octets));
        // The compiler makes one load of the two.
        _mm_set_epi64x(word(block.last_chunk()), word(block.first_chunk()))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn all(octet: u8) -> __m128i {
        _mm_set1_epi8(octet.cast_signed())
    }

    /// Lanes that are at most `last`, unsigned.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn up_to(lanes: __m128i, last: u8) -> __m128i {
        _mm_cmpeq_epi8(_mm_min_epu8(lanes, all(last)), lanes)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn equal(block: &[u8; BLOCK], octet: u8) -> u32 {
        _mm_movemask_epi8(_mm_cmpeq_epi8(load(block), all(octet))).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn blank(block: &[u8; BLOCK]) -> u32 {
        _mm_movemask_epi8(up_to(load(block), b' ')).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn control(block: &[u8; BLOCK]) -> u32 {
        _mm_movemask_epi8(up_to(load(block), 0x1f)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn plain(block: &[u8; BLOCK]) -> u32 {
        let lanes = load(block);
        let lower = _mm_or_si128(lanes, all(0x20));
        let letter = up_to(_mm_sub_epi8(lower, all(b'a')), 25);
        // "-", ".", "/" and the digits follow each other.
        let digit = up_to(_mm_sub_epi8(lanes, all(b'-')), b'9' - b'-');
        let digit = _mm_andnot_si128(_mm_cmpeq_epi8(lanes, all(b'/')), digit);
        let underscore = _mm_cmpeq_epi8(lanes, all(b'_'));
        _mm_movemask_epi8(_mm_or_si128(letter, _mm_or_si128(digit, underscore))).cast_unsigned()
    }
}

/// The loop that stands in where there is no SSE2, and in the tests.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::BLOCK;

    fn bits(block: &[u8; BLOCK], fits: impl Fn(u8) -> bool) -> u32 {
        let octets = block.iter().rev();
        octets.fold(0, |mask, &octet| mask << 1 | u32::from(fits(octet)))
    }

    pub(super) fn equal(block: &[u8; BLOCK], octet: u8) -> u32 {
        bits(block, |given| given == octet)
    }

    pub(super) fn blank(block: &[u8; BLOCK]) -> u32 {
        bits(block, |octet| octet <= b' ')
    }

    pub(super) fn control(block: &[u8; BLOCK]) -> u32 {
        bits(block, |octet| octet < b' ')
    }

    pub(super) fn plain(block: &[u8; BLOCK]) -> u32 {
        bits(block, |octet| {
            octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_')
        })
    }
}

/// Bit n is set where octet n is this one.
#[must_use]
#[inline]
pub fn equal(block: &[u8; BLOCK], octet: u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of every x86_64, which is all that the function asks for.
    return unsafe { sse2::equal(block, octet) };
    #[cfg(not(target_arch = "x86_64"))]
    return portable::equal(block, octet);
}

/// Bit n is set where octet n is SP or a control below it.
#[must_use]
#[inline]
pub fn blank(block: &[u8; BLOCK]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `equal`.
    return unsafe { sse2::blank(block) };
    #[cfg(not(target_arch = "x86_64"))]
    return portable::blank(block);
}

/// Bit n is set where octet n is a control below SP.
#[must_use]
#[inline]
pub fn control(block: &[u8; BLOCK]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `equal`.
    return unsafe { sse2::control(block) };
    #[cfg(not(target_arch = "x86_64"))]
    return portable::control(block);
}

/// Bit n is set where octet n is a letter, a digit, `-`, `.` or `_`.
#[must_use]
#[inline]
pub fn plain(block: &[u8; BLOCK]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `equal`.
    return unsafe { sse2::plain(block) };
    #[cfg(not(target_arch = "x86_64"))]
    return portable::plain(block);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_at_every_place_is_told_as_the_loop_tells_it() {
        for at in 0..BLOCK {
            for octet in 0..=255 {
                let mut block = [b'a'; BLOCK];
                block[at] = octet;
                assert_eq!(blank(&block), portable::blank(&block), "{block:?}");
                assert_eq!(plain(&block), portable::plain(&block), "{block:?}");
                assert_eq!(control(&block), portable::control(&block), "{block:?}");
                for sought in [0, b'a', b'\n', b':', 0xff, octet] {
                    let found = equal(&block, sought);
                    assert_eq!(found, portable::equal(&block, sought), "{block:?}");
                }
            }
        }
    }
}
