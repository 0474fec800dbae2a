//! Short octet strings that live inline, so that a call is made without allocating, and how they are copied.

use std::fmt;

/// At most `N` octets. What does not fit is not taken, and `push` says so.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    octets: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    /// No octets.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            octets: [0; N],
            length: 0,
        }
    }

    /// Takes all octets out.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Makes it these octets; false, and nothing, if they do not fit.
    pub fn set(&mut self, octets: &[u8]) -> bool {
        self.clear();
        self.push_all(octets)
    }

    /// These octets, if they fit.
    #[must_use]
    pub fn of(octets: &[u8]) -> Option<Self> {
        let mut text = Self::new();
        text.push_all(octets).then_some(text)
    }

    /// Adds one octet; false if there was no room.
    pub fn push(&mut self, octet: u8) -> bool {
        let Some(place) = self.octets.get_mut(self.length) else {
            return false;
        };
        *place = octet;
        self.length += 1;
        true
    }

    /// Adds all octets or none; false if there was no room.
    pub fn push_all(&mut self, octets: &[u8]) -> bool {
        let end = self.length + octets.len();
        let Some(room) = self.octets.get_mut(self.length..end) else {
            return false;
        };
        room.copy_from_slice(octets);
        self.length = end;
        true
    }

    /// Adds octets whose room may be read, or none of them; false if there was no room.
    pub fn push_octets(&mut self, octets: Octets<'_>) -> bool {
        let end = octets.put_short(&mut self.octets, self.length);
        self.length = end.unwrap_or(self.length);
        end.is_some()
    }

    /// Adds the decimal digits of a number; false if there was no room.
    pub fn push_decimal(&mut self, number: u32) -> bool {
        self.push_decimal_u64(u64::from(number))
    }

    /// Adds the decimal digits of a long number; false if there was no room.
    #[inline]
    pub fn push_decimal_u64(&mut self, number: u64) -> bool {
        if number < HALF {
            let digits = eight_digits(number);
            // A leading zero is an octet without any of its lower bits; the last digit is one whatever it is.
            let zeros = ((digits & 0x0F0F_0F0F_0F0F_0F0F).trailing_zeros() / 8).min(7);
            if self.push_word(digits >> (8 * zeros), EIGHT_DIGITS - zeros) {
                return true;
            }
        }
        let width = match number.checked_ilog10() {
            Some(zeros) => zeros + 1,
            None => 1,
        };
        self.push_padded(number, width)
    }

    /// Adds the last `width` decimal digits of a number (20 at most), with leading zeros; false if there was no room.
    pub fn push_padded(&mut self, number: u64, width: u32) -> bool {
        let width = width.min(DECIMAL_DIGITS_MAX);
        if width <= EIGHT_DIGITS {
            let digits = eight_digits(number % HALF) >> (8 * (EIGHT_DIGITS - width)).min(63);
            if self.push_word(digits, width) {
                return true;
            }
            let digits = u128::from(digits).to_le_bytes();
            let length = usize::try_from(width).unwrap_or(0);
            return self.push_octets(Octets::first(&digits, length));
        }
        let Some(beyond) = SIXTEEN_DIGITS.checked_sub(width) else {
            let high = number / 10_u64.pow(SIXTEEN_DIGITS);
            return self.push_padded(high, width - SIXTEEN_DIGITS)
                && self.push_padded(number, SIXTEEN_DIGITS);
        };
        let digits = (sixteen_digits(number) >> (8 * beyond).min(127)).to_le_bytes();
        let length = usize::try_from(width).unwrap_or(0);
        self.push_octets(Octets::first(&digits, length))
    }

    /// Adds the lowest `length` octets of a word; false, and nothing, if there was no room for all eight.
    #[inline]
    fn push_word(&mut self, word: u64, length: u32) -> bool {
        let place = self.octets.get_mut(self.length..);
        let Some(place) = place.and_then(<[u8]>::first_chunk_mut) else {
            return false;
        };
        *place = word.to_le_bytes();
        self.length += usize::try_from(length).unwrap_or(0);
        true
    }

    /// Adds the decimal digits of an octet and a dot; false if there was no room for four octets.
    #[inline]
    pub fn push_dotted(&mut self, octet: u8) -> bool {
        let place = self.octets.get_mut(self.length..);
        let entry = DOTTED.get(usize::from(octet)).copied();
        let (Some(place), Some((text, length))) = (place.and_then(<[u8]>::first_chunk_mut), entry)
        else {
            return false;
        };
        *place = text;
        self.length += usize::from(length);
        true
    }

    /// Takes the last octet out, if there is one.
    pub fn pop(&mut self) {
        self.length = self.length.saturating_sub(1);
    }

    /// Adds the hexadecimal digits of a number; false if there was no room.
    pub fn push_hexadecimal(&mut self, number: u64) -> bool {
        let mut digits = [0u8; 16];
        let mut at = digits.len();
        let mut rest = number;
        for place in digits.iter_mut().rev() {
            let [low, ..] = rest.to_le_bytes();
            *place = match low & 15 {
                digit @ 0..10 => b'0' + digit,
                digit => b'a' + digit - 10,
            };
            at -= 1;
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        self.push_all(digits.get(at..).unwrap_or_default())
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl<const N: usize> Text<N> {
    /// The octets with the room behind them.
    #[must_use]
    pub fn octets(&self) -> Octets<'_> {
        Octets::first(&self.octets, self.length)
    }
}

/// The decimal digits of every octet with a dot behind them, and how many octets that is.
const DOTTED: [([u8; 4], u8); 256] = {
    let mut all = [([b'.'; 4], 0); 256];
    let mut octet: u8 = 0;
    loop {
        let (hundreds, tens, ones) = (octet / 100, octet / 10 % 10, octet % 10);
        let (hundreds, tens, ones) = (b'0' + hundreds, b'0' + tens, b'0' + ones);
        all[octet as usize] = match octet {
            0..10 => ([ones, b'.', b'.', b'.'], 2),
            10..100 => ([tens, ones, b'.', b'.'], 3),
            100.. => ([hundreds, tens, ones, b'.'], 4),
        };
        if octet == u8::MAX {
            break;
        }
        octet += 1;
    }
    all
};

/// Digits of the largest number of 64 bits.
const DECIMAL_DIGITS_MAX: u32 = 20;
/// Digits that are made at once.
const EIGHT_DIGITS: u32 = 8;
/// And twice of them.
const SIXTEEN_DIGITS: u32 = 16;
/// The first number that eight digits do not hold.
const HALF: u64 = 100_000_000;

/// The last sixteen decimal digits of a number, the first in the lowest octet. In registers: digits that are stored one by one
/// cannot be loaded together until all stores are done.
fn sixteen_digits(number: u64) -> u128 {
    let low = eight_digits(number % HALF);
    let high = eight_digits(number / HALF % HALF);
    u128::from(low) << 64 | u128::from(high)
}

/// The decimal digits of a number below 100,000,000, the first in the lowest octet: halves, quarters and eighths of it are
/// divided at once, each in a part of the word.
fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // n / 100 for n < 10,000, and n / 10 for n < 100.
    let hundreds = ((fours * 5243) >> 19) & 0x7F_0000_007F;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    (tens | ((twos - tens * 10) << 8)) + 0x3030_3030_3030_3030
}

/// Octets copied at once into a message: it is made of some forty pieces, and a copy of known length is a few instructions
/// where one of any length is a call of `memcpy`.
pub const BLOCK: usize = 64;

/// Octets with others behind them that may be read, and copied, as well.
#[derive(Debug, Clone, Copy, Default)]
pub struct Octets<'a> {
    room: &'a [u8],
    length: usize,
    /// The first octets of the room, if these are not more.
    block: Option<&'a [u8; BLOCK]>,
}

impl<'a> Octets<'a> {
    /// The first `length` octets of `room`.
    #[must_use]
    #[inline]
    pub fn first(room: &'a [u8], length: usize) -> Self {
        let length = length.min(room.len());
        Self {
            room,
            length,
            block: room.first_chunk().filter(|_| length <= BLOCK),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes them at a place and returns where they end; `None` if there is too little room. What lies behind them in
    /// `out` may be overwritten.
    #[inline]
    pub fn put(self, out: &mut [u8], at: usize) -> Option<usize> {
        match (self.block, out.get_mut(at..at + BLOCK)) {
            (Some(block), Some(to)) => to.copy_from_slice(block),
            _ if self.length == 0 => {}
            _ => self.put_exactly(out.get_mut(at..)?)?,
        }
        Some(at + self.length)
    }

    /// The same into a place that has little room behind it.
    #[inline]
    fn put_short(self, out: &mut [u8], at: usize) -> Option<usize> {
        let to = out.get_mut(at..)?;
        if !self.put_word(to) && !self.put_block::<32>(to) {
            self.put_exactly(to)?;
        }
        Some(at + self.length)
    }

    /// Copies a block of `N` octets if they are not more and both sides have room for it.
    #[inline(always)]
    fn put_block<const N: usize>(self, to: &mut [u8]) -> bool {
        let blocks = (self.room.first_chunk::<N>(), to.first_chunk_mut::<N>());
        match blocks {
            (Some(from), Some(to)) if self.length <= N => *to = *from,
            _ => return false,
        }
        true
    }

    /// The same for up to sixteen octets, which the compiler can tell from a copy of a block.
    #[inline(always)]
    fn put_word(self, to: &mut [u8]) -> bool {
        let blocks = (self.room.first_chunk(), to.first_chunk_mut());
        match blocks {
            (Some(from), Some(to)) if self.length <= 16 => {
                *to = u128::from_ne_bytes(*from).to_ne_bytes();
            }
            _ => return false,
        }
        true
    }

    /// Copies them as they are. A function of its own, since the compiler would make one call of `memcpy` of this copy and
    /// those of blocks.
    #[cold]
    #[inline(never)]
    fn put_exactly(self, out: &mut [u8]) -> Option<()> {
        let to = out.get_mut(..self.length)?;
        to.copy_from_slice(self.room.get(..self.length)?);
        Some(())
    }
}

impl<'a> From<&'a [u8]> for Octets<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::first(octets, octets.len())
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_put_whole_or_not_at_all_whatever_lies_around_them() {
        let room: Vec<u8> = (0..=255).chain(0..=255).collect();
        for length in 0..200 {
            for behind in [0, 1, 31, 32, 63, 64, 70] {
                for left in [0, 1, 31, 32, 63, 64, 70] {
                    let octets = Octets::first(&room[..length + behind], length);
                    let mut out = vec![0xEE; 3 + length + left];
                    assert_eq!(octets.put(&mut out, 3), Some(3 + length));
                    assert_eq!(out[..3], [0xEE; 3]);
                    assert_eq!(out[3..3 + length], room[..length]);
                    out.truncate(2 + length);
                    assert_eq!(octets.put(&mut out, 3), (length == 0).then_some(3));
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let mut text = Text::<4>::new();
        assert!(text.push_all(b"abc"));
        assert!(!text.push_all(b"de"));
        assert!(text.push(b'd'));
        assert!(!text.push(b'e'));
        assert_eq!(text.as_bytes(), b"abcd");
        assert_eq!(Text::<2>::of(b"abc"), None);
    }

    #[test]
    fn other_digits_are_right_too() {
        let mut text = Text::<64>::new();
        text.push_padded(42, 5);
        text.push_padded(42, 1);
        text.push(b' ');
        text.push_decimal_u64(10_001_000_000_000_000_019);
        text.push(b' ');
        text.push_hexadecimal(0);
        text.push_hexadecimal(0x2b);
        text.push_hexadecimal(u64::MAX);
        assert_eq!(
            text.as_bytes(),
            b"000422 10001000000000000019 02bffffffffffffffff"
        );
    }

    #[test]
    fn digits_are_those_that_the_library_writes() {
        let mut random = crate::random::SplitMix64::of(1, 1);
        for _ in 0..20_000 {
            let number = random.next_u64() >> random.below(64);
            let width = random.below(21);
            let mut text = Text::<64>::new();
            assert!(text.push_decimal_u64(number));
            assert_eq!(text.as_bytes(), number.to_string().as_bytes());
            text.clear();
            assert!(text.push_padded(number, width));
            let all = format!("{number:020}");
            let from = 20 - usize::try_from(width).unwrap();
            assert_eq!(text.as_bytes(), &all.as_bytes()[from..]);
        }
    }

    #[test]
    fn an_octet_is_added_with_its_dot_or_not_at_all() {
        for octet in 0..=255 {
            let mut text = Text::<8>::new();
            assert!(text.push_dotted(octet));
            assert_eq!(text.as_bytes(), format!("{octet}.").as_bytes());
            text.pop();
            assert_eq!(text.as_bytes(), octet.to_string().as_bytes());
        }
        let mut full = Text::<4>::of(b"1").unwrap();
        assert!(!full.push_dotted(2));
        assert_eq!(full.as_bytes(), b"1");
    }

    #[test]
    fn decimals_have_no_leading_zeros() {
        for (number, digits) in [
            (0, "0"),
            (7, "7"),
            (10, "10"),
            (4_294_967_295, "4294967295"),
        ] {
            let mut text = Text::<10>::new();
            assert!(text.push_decimal(number));
            assert_eq!(text.as_bytes(), digits.as_bytes());
        }
    }
}
