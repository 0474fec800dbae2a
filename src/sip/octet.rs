//! Octet classes of RFC 3261 §25.1, and the cursor that the readers of values share.
//!
//! Promises: every step moves forward or says that it did not; no step leaves the value.
//! Leaves to the readers: what the pieces mean.

use super::block;

/// The octet may stand in a `token`.
pub const TOKEN: u8 = 1;
/// The octet may stand in the user of a SIP URI as it is (`unreserved`, `user-unreserved`); others are escaped.
pub const USER: u8 = 2;
/// The octet may stand in a host name. The underscore is no part of RFC 3261's grammar, but of real host names.
pub const HOST: u8 = 4;
/// Linear white space. CR and LF stand inside a value only as a fold (RFC 3261 §7.3.1).
pub const LWS: u8 = 8;
/// The octet ends an unquoted parameter value: `;`, `,`, `"`, `<`, `>` and white space.
pub const VALUE_END: u8 = 16;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut octet = 0_usize;
    while octet < 256 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a loop over the values of u8, evaluated by the compiler"
        )]
        let byte = octet as u8;
        let mut class = 0;
        if byte.is_ascii_alphanumeric() {
            class |= TOKEN | USER | HOST;
        }
        if matches!(byte, b'-' | b'.' | b'_') {
            class |= TOKEN | USER | HOST;
        }
        if matches!(byte, b'!' | b'*' | b'\'' | b'~') {
            class |= TOKEN | USER;
        }
        if matches!(byte, b'%' | b'+' | b'`') {
            class |= TOKEN;
        }
        if matches!(
            byte,
            b'(' | b')' | b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/'
        ) {
            class |= USER;
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            class |= LWS | VALUE_END;
        }
        if matches!(byte, b';' | b',' | b'"' | b'<' | b'>') {
            class |= VALUE_END;
        }
        #[expect(
            clippy::indexing_slicing,
            clippy::arithmetic_side_effects,
            reason = "evaluated by the compiler, bounded by the loop's condition"
        )]
        {
            table[octet] = class;
            octet += 1;
        }
    }
    table
}

/// Whether the octet is in one of the classes.
#[must_use]
#[inline]
pub fn is(octet: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(octet))
        .is_some_and(|classes| classes & class != 0)
}

/// Whether this is a `token`: not empty, and nothing else in it.
#[must_use]
#[inline]
pub fn is_token(text: &[u8]) -> bool {
    Cursor::new(text).take_all(TOKEN).len() == text.len() && !text.is_empty()
}

/// Whether there is white space, folds included.
#[must_use]
#[inline]
pub fn has_lws(text: &[u8]) -> bool {
    // White space is among the octets up to SP, of which most texts have none.
    block::find_blank(text).is_some() && text.iter().any(|&octet| is(octet, LWS))
}

/// The value without white space (folds included) at both ends.
#[must_use]
#[inline]
pub fn trim(mut value: &[u8]) -> &[u8] {
    // One SP before the value and none behind it, as nearly everybody writes.
    if let [b' ', inner @ ..] = value
        && let ([first, ..], [.., last]) = (inner, inner)
        && first.min(last) > &b' '
    {
        return inner;
    }
    // Or none at all.
    if let ([first, ..], [.., last]) = (value, value)
        && first.min(last) > &b' '
    {
        return value;
    }
    while let [first, rest @ ..] = value
        && is(*first, LWS)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is(*last, LWS)
    {
        value = rest;
    }
    value
}

/// A number of decimal digits and nothing else, at most `max`; leading zeros carry no meaning.
#[must_use]
pub fn number(digits: &[u8], max: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_u32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(u32::from(digit & 0x0f))?;
    }
    (value <= max).then_some(value)
}

/// A port, 1–65535.
#[must_use]
pub fn port(digits: &[u8]) -> Option<u16> {
    let port = number(digits, u32::from(u16::MAX))?;
    u16::try_from(port).ok().filter(|&port| port != 0)
}

/// The value split at the first such octet, which belongs to neither part.
#[must_use]
#[inline]
pub fn split_once(value: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = value.split_at_checked(block::find(value, at)?)?;
    Some((before, rest.get(1..)?))
}

/// The value split at the last such octet, which belongs to neither part.
#[must_use]
pub fn rsplit_once(value: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = value.split_at_checked(memchr::memrchr(at, value)?)?;
    Some((before, rest.get(1..)?))
}

/// What is left of a value, from the left.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start of a value.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// What is not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next octet, not taken.
    #[must_use]
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next octet if it is this one.
    #[inline]
    pub fn eat(&mut self, octet: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes white space, folds included.
    #[inline]
    pub fn skip_lws(&mut self) {
        while let [first, rest @ ..] = self.rest
            && is(*first, LWS)
        {
            self.rest = rest;
        }
    }

    /// Takes octets as long as they are in one of the classes, each of which must hold what `block` calls plain.
    #[inline]
    pub fn take_all(&mut self, classes: u8) -> &'a [u8] {
        self.take_from_plain(|octet| is(octet, classes))
    }

    /// Takes octets up to the first that is in one of the classes, none of which may hold what `block` calls plain.
    #[inline]
    pub fn take_until(&mut self, classes: u8) -> &'a [u8] {
        self.take_from_plain(|octet| !is(octet, classes))
    }

    /// Takes plain octets sixteen at a time, and others that fit one by one.
    #[inline]
    fn take_from_plain(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let whole = self.rest;
        let mut rest = whole;
        loop {
            rest = rest.get(block::plain_run(rest)..).unwrap_or_default();
            match rest {
                [first, after @ ..] if fits(*first) => rest = after,
                _ => break,
            }
        }
        let length = whole.len().wrapping_sub(rest.len());
        let (taken, rest) = whole.split_at_checked(length).unwrap_or((whole, b""));
        self.rest = rest;
        taken
    }

    /// Takes octets as long as they fit.
    #[inline]
    pub fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let whole = self.rest;
        let length = whole
            .iter()
            .position(|&octet| !fits(octet))
            .unwrap_or(whole.len());
        let (taken, rest) = whole.split_at_checked(length).unwrap_or((whole, b""));
        self.rest = rest;
        taken
    }

    /// Takes a quoted string with its quotes (RFC 3261 §25.1); `None` when it does not end or none stands here.
    pub fn take_quoted(&mut self) -> Option<&'a [u8]> {
        let whole = self.rest;
        let mut octets = whole.iter().enumerate();
        if octets.next().map(|(_, &octet)| octet) != Some(b'"') {
            return None;
        }
        while let Some((at, &octet)) = octets.next() {
            match octet {
                b'\\' => {
                    octets.next()?;
                }
                b'"' => {
                    let (quoted, rest) = whole.split_at_checked(at.checked_add(1)?)?;
                    self.rest = rest;
                    return Some(quoted);
                }
                _ => {}
            }
        }
        None
    }
}

/// One `;name=value` parameter of a header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name, a token.
    pub name: &'a [u8],
    /// Its value, quotes included; `None` without `=`.
    pub value: Option<&'a [u8]>,
    /// Name and value with what stands between them: what an answer replaces.
    pub whole: &'a [u8],
}

/// A parameter list that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadParameter;

impl<'a> Cursor<'a> {
    /// Takes the next parameter. `Ok(None)` when no `;` comes next; white space before it is taken.
    ///
    /// # Errors
    /// `BadParameter` when after the `;` no name stands, or after a `=` no value.
    pub fn take_parameter(&mut self) -> Result<Option<Parameter<'a>>, BadParameter> {
        self.skip_lws();
        if !self.eat(b';') {
            return Ok(None);
        }
        self.skip_lws();
        let from = self.rest;
        let name = self.take_all(TOKEN);
        if name.is_empty() {
            return Err(BadParameter);
        }
        let mut after = *self;
        after.skip_lws();
        if !after.eat(b'=') {
            return Ok(Some(Parameter {
                name,
                value: None,
                whole: name,
            }));
        }
        *self = after;
        self.skip_lws();
        let value = if self.peek() == Some(b'"') {
            self.take_quoted().ok_or(BadParameter)?
        } else {
            self.take_until(VALUE_END)
        };
        if value.is_empty() {
            return Err(BadParameter);
        }
        let length = from.len().saturating_sub(self.rest.len());
        Ok(Some(Parameter {
            name,
            value: Some(value),
            whole: from.get(..length).unwrap_or(from),
        }))
    }
}

/// The first value of a comma-separated list and what follows its comma. Commas in quoted strings do not count.
#[must_use]
pub fn split_list(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(at) = list_comma(list) else {
        return (list, None);
    };
    let (first, rest) = list.split_at_checked(at).unwrap_or((list, b""));
    (first, rest.get(1..))
}

fn list_comma(list: &[u8]) -> Option<usize> {
    let comma = block::find(list, b',')?;
    if !list.get(..comma)?.contains(&b'"') {
        return Some(comma);
    }
    let mut quoted = false;
    let mut octets = list.iter().enumerate();
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                octets.next();
            }
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_commas_in_quoted_strings_do_not_count() {
        // RFC 3261 §25.1, SIP-034 and SIP-036
        assert_eq!(split_list(b"a"), (&b"a"[..], None));
        assert_eq!(split_list(b"a, b,c"), (&b"a"[..], Some(&b" b,c"[..])));
        assert_eq!(
            split_list(b"a;x=\"1,\\\",2\", b"),
            (&b"a;x=\"1,\\\",2\""[..], Some(&b" b"[..]))
        );
        assert_eq!(split_list(b"a;x=\"1,2"), (&b"a;x=\"1,2"[..], None));
    }

    #[test]
    fn numbers_are_digits_only_and_bounded() {
        assert_eq!(number(b"0068", 255), Some(68));
        assert_eq!(number(b"0", 255), Some(0));
        for bad in [
            "",
            "-1",
            "+1",
            "256",
            "4294967296",
            "99999999999999999999",
            "1 ",
        ] {
            assert_eq!(number(bad.as_bytes(), 255), None, "{bad}");
        }
        assert_eq!(port(b"5060"), Some(5060));
        assert_eq!(port(b"0"), None);
        assert_eq!(port(b"65536"), None);
    }

    #[test]
    fn parameters_are_read_with_white_space_and_quotes() {
        let mut cursor = Cursor::new(b" ; tag =\r\n 1918 ;lr;x=\"a;\\\"b\" rest");
        let read = |cursor: &mut Cursor<'_>| {
            cursor
                .take_parameter()
                .map(|parameter| parameter.map(|p| (p.name.to_vec(), p.value.map(<[u8]>::to_vec))))
        };
        assert_eq!(
            read(&mut cursor),
            Ok(Some((b"tag".to_vec(), Some(b"1918".to_vec()))))
        );
        assert_eq!(read(&mut cursor), Ok(Some((b"lr".to_vec(), None))));
        assert_eq!(
            read(&mut cursor),
            Ok(Some((b"x".to_vec(), Some(b"\"a;\\\"b\"".to_vec()))))
        );
        assert_eq!(read(&mut cursor), Ok(None));
        assert_eq!(cursor.rest(), b"rest");
        for bad in [";", ";;a", ";=1", ";a=", ";a=\"open", ";,"] {
            assert_eq!(
                Cursor::new(bad.as_bytes()).take_parameter(),
                Err(BadParameter),
                "{bad}"
            );
        }
    }
}
