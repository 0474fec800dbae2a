//! Where the octets of a head stand that a reader stops at, a bit for each, found in one pass.
//!
//! Promises: nothing but the text is read, and no bit that was not written in the same pass; the same bits on every
//! processor, which the tests compare with a loop.
//! Leaves to `sip::scan`: what stands there.
#![expect(
    unsafe_code,
    reason = "vector instructions that not every x86_64 has, and arrays that are never cleared"
)]

use crate::limits::HEAD_BYTES_MAX;
use std::mem::MaybeUninit;

/// Octets that are classed at once: one word of bits.
const BLOCK: usize = 64;

/// Words of the longest head, and one of zeros, so that every window can be read whole.
const WORDS: usize = HEAD_BYTES_MAX / BLOCK + 1;

const _: () = assert!(HEAD_BYTES_MAX.is_multiple_of(BLOCK));

/// A text and two sets of its octets: controls (below SP), and stops, which are all but letters, digits, `-`, `.` and
/// `_`. A kilobyte that is made for every datagram and never cleared: only the words up to the blank line are written.
#[derive(Debug)]
pub struct Marked<'a> {
    text: &'a [u8],
    /// The last octet of the text from which a word can be read.
    last_word: usize,
    /// The last octet of the sets from which a word can be read: the first of the word of zeros behind those written.
    last: usize,
    controls: Words,
    stops: Words,
}

type Words = [MaybeUninit<u64>; WORDS];

/// A stop: where it is, and which octet.
pub type Stop = (usize, u8);

/// Behind the last stop.
const NO_STOP: Stop = (usize::MAX >> 1, 0);

/// Marks a text from its start up to its blank line or four other controls in a row (somewhat more, and all of it when it
/// has none; of a text longer than a head the rest is left out), and has it read. What `read` does is compiled for the same processor. `None` for a text
/// of less than eight octets.
#[inline(always)]
pub fn read<'a, R>(text: &'a [u8], read: impl FnOnce(&Marked<'a>) -> R) -> Option<R> {
    let last_word = text.len().checked_sub(8)?;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
    {
        // SAFETY: the processor has what the function asks for.
        return Some(unsafe { avx512::read(text, last_word, read) });
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
    {
        // SAFETY: the processor has what the function asks for.
        return Some(unsafe { avx2::read(text, last_word, read) });
    }
    let mut marked = Marked::new(text, last_word);
    marked.mark(portable::classes);
    Some(read(&marked))
}

impl<'a> Marked<'a> {
    #[inline(always)]
    fn new(text: &'a [u8], last_word: usize) -> Self {
        let mut marked = Self {
            text,
            last_word,
            last: 0,
            controls: [const { MaybeUninit::uninit() }; WORDS],
            stops: [const { MaybeUninit::uninit() }; WORDS],
        };
        marked.end(0);
        marked
    }

    #[inline(always)]
    fn mark(&mut self, classes: impl Fn(&[u8; BLOCK]) -> Classes) {
        let (blocks, rest) = self.text.as_chunks::<BLOCK>();
        let places = self.controls.iter_mut().zip(&mut self.stops);
        let mut words = 0;
        for (block, (controls, stops)) in blocks.iter().zip(places) {
            if words == WORDS - 1 {
                break;
            }
            let found = classes(block);
            controls.write(found.controls.to_le());
            stops.write(found.stops.to_le());
            words += 1;
            // CR LF CR LF. One that lies in two blocks goes unseen, and the text is marked further than it need be.
            let two = found.controls & found.controls >> 1;
            if two & two >> 2 != 0 {
                return self.end(words);
            }
        }
        self.mark_rest(words, rest, classes);
    }

    /// Marks what is no whole block.
    #[inline(always)]
    fn mark_rest(&mut self, words: usize, rest: &[u8], classes: impl Fn(&[u8; BLOCK]) -> Classes) {
        if rest.is_empty() || words == WORDS - 1 {
            return self.end(words);
        }
        let mut block = [0; BLOCK];
        if let Some(place) = block.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        let found = classes(&block);
        let there = !(u64::MAX << rest.len());
        if let (Some(controls), Some(stops)) =
            (self.controls.get_mut(words), self.stops.get_mut(words))
        {
            controls.write((found.controls & there).to_le());
            stops.write((found.stops & there).to_le());
        }
        self.end(words + 1);
    }

    #[inline(always)]
    fn end(&mut self, words: usize) {
        if let (Some(controls), Some(stops)) =
            (self.controls.get_mut(words), self.stops.get_mut(words))
        {
            controls.write(0);
            stops.write(0);
            self.last = words * 8;
        }
    }

    /// The text.
    #[must_use]
    #[inline(always)]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The octet at a place, 0 behind the end.
    #[must_use]
    #[inline(always)]
    pub fn octet(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The eight octets from a place on, the first in the lowest bits; 0 when there are not as many.
    #[must_use]
    #[inline(always)]
    pub fn word(&self, at: usize) -> u64 {
        if at > self.last_word {
            return 0;
        }
        // SAFETY: `read` set `last_word` eight octets before the end, and `at` is not behind it.
        let octets = unsafe { self.text.as_ptr().add(at) };
        // SAFETY: the eight octets from there are the text's.
        u64::from_le(unsafe { octets.cast::<u64>().read_unaligned() })
    }

    /// Whether CR and LF stand at a place.
    #[must_use]
    #[inline(always)]
    pub fn is_line_end(&self, at: usize) -> bool {
        if at <= self.last_word {
            return self.word(at) & 0xffff == 0x0a0d;
        }
        self.is_last_line_end(at)
    }

    /// The last octets of a text cannot be read as a word.
    #[cold]
    fn is_last_line_end(&self, at: usize) -> bool {
        self.text.get(at..at.wrapping_add(2)) == Some(b"\r\n")
    }

    /// The first control from a place on, `text`'s length or more without one.
    #[must_use]
    #[inline(always)]
    pub fn control(&self, from: usize) -> usize {
        let mut window = self.window(&self.controls, from);
        let mut from = from;
        if window == 0 {
            (from, window) = self.next_window(&self.controls, from);
        }
        from + window.trailing_zeros() as usize
    }

    /// How many octets from a place on are no stops, if fewer than 57; else that or more.
    #[must_use]
    #[inline(always)]
    pub fn plain(&self, from: usize) -> usize {
        self.window(&self.stops, from).trailing_zeros() as usize
    }

    /// The stops from a place on.
    #[must_use]
    #[inline(always)]
    pub fn stops(&self, from: usize) -> Stops<'_> {
        Stops {
            marked: self,
            from,
            window: self.window(&self.stops, from),
        }
    }

    /// Bit n: octet `from + n` is marked. At least 57 octets, up to the end of a whole word's octets; then come zeros.
    #[inline(always)]
    fn window(&self, words: &Words, from: usize) -> u64 {
        let place = from / 8;
        if place > self.last {
            return 0;
        }
        let octets = words.as_ptr().cast::<u8>();
        // SAFETY: `end` found room for a word at `self.last`, so the array has eight octets from here.
        let octets = unsafe { octets.add(place) };
        // SAFETY: all of them lie in words that `mark`, `mark_rest` or `end` wrote.
        let word = unsafe { octets.cast::<u64>().read_unaligned() };
        u64::from_le(word) >> (from % 8)
    }

    /// The first window with a mark behind the one at `from`, which has none: its start, and it.
    #[inline(never)]
    fn next_window(&self, words: &Words, mut from: usize) -> (usize, u64) {
        loop {
            from = from / 8 * 8 + BLOCK;
            if from / 8 > self.last {
                return (NO_STOP.0, 0);
            }
            let window = self.window(words, from);
            if window != 0 {
                return (from, window);
            }
        }
    }
}

/// Goes from stop to stop.
#[derive(Debug, Clone, Copy)]
pub struct Stops<'m> {
    marked: &'m Marked<'m>,
    /// What bit 0 of the window stands for.
    from: usize,
    /// Stops that were not met yet.
    window: u64,
}

impl Stops<'_> {
    /// The next stop; behind the last one some place behind the end, and 0.
    #[inline(always)]
    pub fn next_stop(&mut self) -> Stop {
        if self.window == 0 {
            (self.from, self.window) = self.marked.next_window(&self.marked.stops, self.from);
            if self.window == 0 {
                return NO_STOP;
            }
        }
        let at = self.from + self.window.trailing_zeros() as usize;
        self.window &= self.window - 1;
        // SAFETY: `mark` and `mark_rest` set no bit behind the text's end, and `window` reads no others.
        (at, unsafe { *self.marked.text.get_unchecked(at) })
    }
}

/// The bits of a block; controls are stops, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Classes {
    controls: u64,
    stops: u64,
}

/// Of the lower half of an octet: it is plain when both halves have a bit in common, and a control when that is the sign.
/// Bits: 1 `-` and `.`, 2 digits, 4 letters up to `o`, 8 letters from `p` on, 16 `_`.
#[cfg(target_arch = "x86_64")]
const LOW: [i8; 16] = [
    -118, -114, -114, -114, -114, -114, -114, -114, -114, -114, -116, -124, -124, -123, -123, -108,
];

/// Of the upper half.
#[cfg(target_arch = "x86_64")]
const HIGH: [i8; 16] = [-128, -128, 1, 2, 4, 24, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0];

/// A block at once, its bits as the processor makes them of a comparison.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{BLOCK, Classes, HIGH, LOW, Marked};
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_loadu_si128, _mm512_and_si512, _mm512_broadcast_i32x4,
        _mm512_cmplt_epi8_mask, _mm512_loadu_si512, _mm512_movepi8_mask, _mm512_set1_epi8,
        _mm512_shuffle_epi8, _mm512_srli_epi16,
    };

    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
    pub(super) fn read<'a, R>(
        text: &'a [u8],
        last_word: usize,
        read: impl FnOnce(&Marked<'a>) -> R,
    ) -> R {
        let mut marked = Marked::new(text, last_word);
        marked.mark(|block| classes(block));
        read(&marked)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(octets: &[u8; BLOCK]) -> __m512i {
        // SAFETY: sixty-four octets are there to read, and they need not be aligned.
        unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn table(half: &[i8; 16]) -> __m512i {
        // SAFETY: sixteen octets are there to read, and they need not be aligned.
        let lane: __m128i = unsafe { _mm_loadu_si128(half.as_ptr().cast()) };
        _mm512_broadcast_i32x4(lane)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn classes(block: &[u8; BLOCK]) -> Classes {
        let lanes = load(block);
        // As with 32 octets at a time, below.
        let low = _mm512_shuffle_epi8(table(&LOW), lanes);
        let halved = _mm512_and_si512(_mm512_srli_epi16::<4>(lanes), _mm512_set1_epi8(0x0f));
        let both = _mm512_and_si512(low, _mm512_shuffle_epi8(table(&HIGH), halved));
        Classes {
            controls: _mm512_movepi8_mask(both),
            stops: _mm512_cmplt_epi8_mask(both, _mm512_set1_epi8(1)),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Classes, HIGH, LOW, Marked};
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_set1_epi8, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_srli_epi16,
    };

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub(super) fn read<'a, R>(
        text: &'a [u8],
        last_word: usize,
        read: impl FnOnce(&Marked<'a>) -> R,
    ) -> R {
        let mut marked = Marked::new(text, last_word);
        marked.mark(|block| {
            let (halves, _) = block.as_chunks::<32>();
            let [first, second] = halves else {
                return Classes {
                    controls: 0,
                    stops: 0,
                };
            };
            let (first, second) = (classes(first), classes(second));
            Classes {
                controls: u64::from(first.0) | u64::from(second.0) << 32,
                stops: u64::from(first.1) | u64::from(second.1) << 32,
            }
        });
        read(&marked)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(octets: &[u8; 32]) -> __m256i {
        // SAFETY: thirty-two octets are there to read, and they need not be aligned.
        unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn table(half: [i8; 16]) -> __m256i {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = half;
        _mm256_setr_epi8(
            a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, a, b, c, d, e, f, g, h, i, j, k, l, m,
            n, o, p,
        )
    }

    /// Controls and stops.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn classes(octets: &[u8; 32]) -> (u32, u32) {
        let lanes = load(octets);
        // Of an octet above 127 a look-up gives zero, so it is a stop.
        let low = _mm256_shuffle_epi8(table(LOW), lanes);
        let halved = _mm256_and_si256(_mm256_srli_epi16::<4>(lanes), _mm256_set1_epi8(0x0f));
        let high = _mm256_shuffle_epi8(table(HIGH), halved);
        let both = _mm256_and_si256(low, high);
        // Plain is above zero; a control is below.
        let stops = _mm256_cmpgt_epi8(_mm256_set1_epi8(1), both);
        let bits = |lanes| _mm256_movemask_epi8(lanes).cast_unsigned();
        (bits(both), bits(stops))
    }
}

mod portable {
    use super::super::lanes;
    use super::{BLOCK, Classes};

    /// Sixteen at a time.
    #[inline]
    pub(super) fn classes(block: &[u8; BLOCK]) -> Classes {
        let (blocks, _) = block.as_chunks::<{ lanes::BLOCK }>();
        let mut classes = Classes {
            controls: 0,
            stops: 0,
        };
        for block in blocks.iter().rev() {
            let controls = lanes::control(block);
            let stops = !lanes::plain(block) & 0xffff;
            classes.controls = classes.controls << lanes::BLOCK | u64::from(controls);
            classes.stops = classes.stops << lanes::BLOCK | u64::from(stops);
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain(octet: u8) -> bool {
        octet.is_ascii_alphanumeric() || b"-._".contains(&octet)
    }

    /// What the marks say against what a loop says, from every place on.
    fn check(text: &[u8], marked: &Marked<'_>, end: usize) {
        assert_eq!(marked.text(), text);
        for from in 0..=end {
            let rest = &text[from..];
            let control = rest.iter().position(|&octet| octet < b' ');
            let wanted = control.map(|at| from + at).filter(|at| *at < end);
            let found = Some(marked.control(from)).filter(|at| *at < end);
            assert_eq!(found, wanted, "from {from}: {text:?}");
            let plain = rest.iter().take_while(|&&octet| is_plain(octet)).count();
            assert!(
                marked.plain(from) == plain
                    || plain >= 57 && marked.plain(from) >= 57
                    || from + plain >= end,
                "from {from}: {text:?}"
            );
            assert_eq!(marked.octet(from), rest.first().copied().unwrap_or(0));
            let word = rest.first_chunk();
            let word = word.map_or(0, |word| u64::from_le_bytes(*word));
            assert_eq!(marked.word(from), word);
            assert_eq!(marked.is_line_end(from), rest.starts_with(b"\r\n"));
        }
        let mut stops = marked.stops(0);
        let wanted = (0..end).filter(|at| !is_plain(text[*at]));
        for at in wanted {
            assert_eq!(stops.next_stop(), (at, text[at]), "{text:?}");
        }
        if end == text.len() {
            assert_eq!(stops.next_stop(), NO_STOP);
            assert_eq!(stops.next_stop(), NO_STOP);
        }
    }

    fn check_all(text: &[u8], end: usize) {
        let by_vectors = read(text, |marked| check(text, marked, end));
        assert_eq!(by_vectors.is_some(), text.len() >= 8);
        if let Some(last_word) = text.len().checked_sub(8) {
            // Where the widest registers are, `read` goes no other way.
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
            {
                // SAFETY: the processor has what the function asks for.
                unsafe { avx2::read(text, last_word, |marked| check(text, marked, end)) };
            }
            let mut marked = Marked::new(text, last_word);
            marked.mark(portable::classes);
            check(text, &marked, end);
        }
    }

    #[test]
    fn every_octet_is_marked_as_a_loop_tells_it() {
        let mut text = vec![b'a'; 200];
        for at in [0, 7, 31, 57, 63, 64, 199] {
            for octet in 0..=255 {
                text[at] = octet;
                check_all(&text, text.len());
            }
            text[at] = b'a';
        }
        let octets: Vec<u8> = (b' '..=255).collect();
        check_all(&octets, octets.len());
    }

    #[test]
    fn texts_of_every_length_are_marked_up_to_their_end() {
        for length in (0..200).chain([4095, 4096]) {
            check_all(&vec![b'a'; length], length);
            check_all(&vec![b' '; length], length);
            let mut text = vec![b'x'; length];
            for octet in text.iter_mut().step_by(41) {
                *octet = b'\r';
            }
            check_all(&text, length);
        }
    }

    #[test]
    fn marks_end_behind_the_blank_line_and_at_the_longest_head() {
        for at in 0..130 {
            let mut text = vec![b'a'; at];
            text.extend_from_slice(b"\r\n\r\n");
            text.extend_from_slice(&[b';'; 300]);
            check_all(&text, at + 4);
        }
        check_all(&vec![b';'; HEAD_BYTES_MAX + 1], HEAD_BYTES_MAX);
        check_all(&vec![b'a'; HEAD_BYTES_MAX + 100], HEAD_BYTES_MAX);
    }
}
