//! Finds octets sixteen at a time.
//!
//! Promises: the same on every processor; without vectors only slower. What is looked for in a message is mostly within a
//! block or two, for which a call of `memchr` takes three times the instructions.

/// Octets compared at once.
const BLOCK: usize = 16;

/// Where an octet stands first.
#[inline]
#[must_use]
pub fn find(wanted: u8, octets: &[u8]) -> Option<usize> {
    search(
        octets,
        |block| equal(block, wanted),
        |octet| octet == wanted,
    )
}

/// Where one of two octets stands first.
#[inline]
#[must_use]
pub fn find2(one: u8, other: u8, octets: &[u8]) -> Option<usize> {
    search(
        octets,
        |block| equal(block, one) | equal(block, other),
        |octet| octet == one || octet == other,
    )
}

/// Where one of three octets stands first.
#[inline]
#[must_use]
pub fn find3(one: u8, other: u8, third: u8, octets: &[u8]) -> Option<usize> {
    search(
        octets,
        |block| equal(block, one) | equal(block, other) | equal(block, third),
        |octet| octet == one || octet == other || octet == third,
    )
}

#[inline(always)]
fn search(
    octets: &[u8],
    marks: impl Fn(&[u8; BLOCK]) -> u32,
    is: impl Fn(u8) -> bool,
) -> Option<usize> {
    let (blocks, rest) = octets.as_chunks();
    let mut passed = 0;
    for block in blocks {
        let marks = marks(block);
        if marks != 0 {
            return Some(passed + lowest(marks));
        }
        passed += BLOCK;
    }
    let within = rest.iter().position(|&octet| is(octet))?;
    Some(passed + within)
}

/// The places of all line feeds, ascending.
#[derive(Debug, Clone)]
pub struct LineFeeds<'a> {
    octets: &'a [u8],
    /// Where the next block begins.
    next: usize,
    /// Where line feeds are in the block before it that have not been told yet.
    marks: u32,
}

impl<'a> LineFeeds<'a> {
    /// Those of these octets.
    #[must_use]
    pub fn of(octets: &'a [u8]) -> Self {
        Self {
            octets,
            next: 0,
            marks: 0,
        }
    }
}

impl Iterator for LineFeeds<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.marks == 0 {
            let rest = self.octets.get(self.next..)?;
            self.marks = match rest.first_chunk() {
                Some(block) => equal(block, b'\n'),
                None if rest.is_empty() => return None,
                None => equal(&filled_up(rest), b'\n'),
            };
            self.next += BLOCK;
        }
        let within = lowest(self.marks);
        self.marks &= self.marks - 1;
        Some(self.next - BLOCK + within)
    }
}

/// A last block, with zeros behind it.
fn filled_up(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (place, octet) in block.iter_mut().zip(rest) {
        *place = *octet;
    }
    block
}

fn lowest(marks: u32) -> usize {
    usize::try_from(marks.trailing_zeros()).unwrap_or(0)
}

/// A bit for each octet of the block, from the lowest on: whether it is the one that is wanted.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn equal(block: &[u8; BLOCK], wanted: u8) -> u32 {
    // SAFETY: SSE2 is part of every x86-64.
    unsafe { equal_by_vector(block, wanted) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn equal_by_vector(block: &[u8; BLOCK], wanted: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    let [low, high] = halves(block); // both together are one load
    let same = _mm_cmpeq_epi8(
        _mm_set_epi64x(high, low),
        _mm_set1_epi8(wanted.cast_signed()),
    );
    _mm_movemask_epi8(same).cast_unsigned()
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn halves(block: &[u8; BLOCK]) -> [i64; 2] {
    let whole = u128::from_le_bytes(*block);
    let half = |shift: u32| {
        let [a, b, c, d, e, f, g, h, ..] = (whole >> shift).to_le_bytes();
        i64::from_le_bytes([a, b, c, d, e, f, g, h])
    };
    [half(0), half(64)]
}

/// A bit for each octet of the block, from the lowest on: whether it is the one that is wanted.
#[cfg(not(target_arch = "x86_64"))]
fn equal(block: &[u8; BLOCK], wanted: u8) -> u32 {
    block
        .iter()
        .rev()
        .fold(0, |marks, &octet| marks << 1 | u32::from(octet == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn octets_are_found_where_they_stand_first() {
        let mut random = SplitMix64::of(1, 1);
        for length in 0..70 {
            for _ in 0..200 {
                let octets: Vec<u8> = (0..length)
                    .map(|_| match random.below(40) {
                        0 => b';',
                        1 => b',',
                        2 => b'\n',
                        3 => 0xFF,
                        _ => u8::try_from(random.below(256)).unwrap(),
                    })
                    .collect();
                let first = |wanted: &[u8]| octets.iter().position(|octet| wanted.contains(octet));
                assert_eq!(find(b';', &octets), first(b";"), "{octets:?}");
                assert_eq!(find(0xFF, &octets), first(b"\xFF"), "{octets:?}");
                assert_eq!(find(0, &octets), first(b"\0"), "{octets:?}");
                assert_eq!(find2(b';', b',', &octets), first(b";,"), "{octets:?}");
                assert_eq!(find3(b';', b',', 0xFF, &octets), first(b";,\xFF"));
                let feeds: Vec<usize> = (0..length).filter(|&at| octets[at] == b'\n').collect();
                assert_eq!(LineFeeds::of(&octets).collect::<Vec<_>>(), feeds);
            }
        }
    }
}
