//! Numbers with their last digits hidden, for those who must not keep them.
//!
//! Promises: of the number itself the last digits are hidden, however they are written (separators between them,
//! `%`-escapes); of what follows it in a user part (parameters, a password), every digit.

/// What stands for a hidden digit.
const HIDDEN: u8 = b'x';

/// Writes `text` into `out` with the last `digits` of its number hidden. `text` may be a whole user part.
pub(super) fn masked(text: &[u8], digits: u8, out: &mut Vec<u8>) {
    out.clear();
    if digits == 0 {
        out.extend_from_slice(text);
        return;
    }
    let end = text
        .iter()
        .position(|octet| matches!(octet, b';' | b':'))
        .unwrap_or(text.len());
    let (number, after) = text.split_at(end);
    // From the right, since the last ones count; turned round at the end.
    hide(after, usize::MAX, out);
    hide(number, usize::from(digits), out);
    out.reverse();
}

/// Appends `text` from right to left, the first `digits` digits that it meets hidden.
fn hide(text: &[u8], digits: usize, out: &mut Vec<u8>) {
    let mut left = digits;
    let mut rest = text;
    while let Some((&last, before)) = rest.split_last() {
        let escape = rest
            .split_last_chunk::<3>()
            .filter(|(_, escape)| left > 0 && is_escaped_digit(**escape));
        if let Some((before, _escape)) = escape {
            out.push(HIDDEN);
            left -= 1;
            rest = before;
            continue;
        }
        if left > 0 && last.is_ascii_digit() {
            out.push(HIDDEN);
            left -= 1;
        } else {
            out.push(last);
        }
        rest = before;
    }
}

/// `%30` to `%39`.
fn is_escaped_digit(escape: [u8; 3]) -> bool {
    matches!(escape, [b'%', b'3', digit] if digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digits_are_hidden_however_they_are_written() {
        for (text, digits, shown) in [
            ("011442071838750", 0, "011442071838750"),
            ("011442071838750", 4, "01144207183xxxx"),
            ("+39-06-987.6543", 5, "+39-06-98x.xxxx"),
            ("123", 4, "xxx"),
            ("", 4, ""),
            ("anonymous", 4, "anonymous"),
            ("1234%35%36", 3, "123xxx"),
            ("12%41", 1, "12%4x"),
            ("%3", 1, "%x"),
            ("44207;ext=12;tgrp=9", 2, "442xx;ext=xx;tgrp=x"),
            ("44207:12345", 1, "4420x:xxxxx"),
        ] {
            let mut out = b"what was here".to_vec();
            masked(text.as_bytes(), digits, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), shown, "{text} {digits}");
        }
    }
}
