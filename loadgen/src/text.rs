//! Short octet strings that live inline, so that a call is made without allocating.

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
        self.push_all(&[octet])
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

    /// Adds the decimal digits of a number; false if there was no room.
    pub fn push_decimal(&mut self, number: u32) -> bool {
        let mut digits = [0u8; 10];
        let mut at = digits.len();
        let mut rest = number;
        for place in digits.iter_mut().rev() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            *place = b'0' + digit;
            at -= 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push_all(digits.get(at..).unwrap_or_default())
    }

    /// Adds the decimal digits of a long number; false if there was no room.
    pub fn push_decimal_u64(&mut self, number: u64) -> bool {
        match u32::try_from(number) {
            Ok(short) => self.push_decimal(short),
            Err(_) => {
                let width = number.checked_ilog10().unwrap_or(0) + 1;
                self.push_padded(number, width)
            }
        }
    }

    /// Adds the last `width` decimal digits of a number (20 at most), with leading zeros; false if there was no room.
    pub fn push_padded(&mut self, number: u64, width: u32) -> bool {
        let mut digits = [b'0'; 20];
        let mut rest = number;
        for place in digits.iter_mut().rev() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            *place = b'0' + digit;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        let from = digits.len().saturating_sub(width);
        self.push_all(digits.get(from..).unwrap_or_default())
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
