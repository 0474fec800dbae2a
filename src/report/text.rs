//! One JSON object on one line, written field by field.
//!
//! Promises: the line is ASCII but for printable UTF-8, and a terminal or an editor that shows it is not moved by it:
//! controls (C0, DEL, C1), line and paragraph separators and everything that turns the direction of writing are
//! escaped. An octet that is no UTF-8 stands as `\xNN` in the text, and so does a backslash itself (`\x5c`): what a
//! stranger sent can be told from what we made of it.

use crate::plain::is_unsafe;

/// A line that grows.
#[derive(Debug)]
pub(super) struct Line<'o> {
    out: &'o mut Vec<u8>,
    before: u8,
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl<'o> Line<'o> {
    /// Begins an object at the end of `out`.
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        Self { out, before: b'{' }
    }

    /// Ends the object and the line.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    /// A text of octets that somebody else chose; an empty one is left out.
    pub(super) fn text(&mut self, name: &str, octets: &[u8]) {
        self.cut_text(name, octets, false);
    }

    /// The same; `cut` says that it was longer, and an ellipsis shows it.
    pub(super) fn cut_text(&mut self, name: &str, octets: &[u8], cut: bool) {
        if octets.is_empty() {
            return;
        }
        self.name(name);
        self.out.push(b'"');
        self.escaped(octets);
        if cut {
            self.out.extend_from_slice("…".as_bytes());
        }
        self.out.push(b'"');
    }

    /// A word that needs no escaping: one of ours, a number, a time, an address.
    pub(super) fn word(&mut self, name: &str, word: impl std::fmt::Display) {
        self.name(name);
        self.format(format_args!("\"{word}\""));
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.format(format_args!("{number}"));
    }

    /// An amount of millionths, as a number with the digits that it needs.
    pub(super) fn micros(&mut self, name: &str, micros: u64) {
        self.name(name);
        let (whole, fraction) = (micros / 1_000_000, micros % 1_000_000);
        if fraction == 0 {
            self.format(format_args!("{whole}"));
            return;
        }
        let mut digits = 6;
        let mut rest = fraction;
        while rest % 10 == 0 {
            rest /= 10;
            digits -= 1;
        }
        self.format(format_args!("{whole}.{rest:0digits$}"));
    }

    /// An array of texts that somebody else chose.
    pub(super) fn texts(&mut self, name: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        self.name(name);
        self.out.push(b'[');
        for (number, text) in texts.into_iter().enumerate() {
            let quote = if number > 0 { ",\"" } else { "\"" };
            self.out.extend_from_slice(quote.as_bytes());
            self.escaped(text.as_ref().as_bytes());
            self.out.push(b'"');
        }
        self.out.push(b']');
    }

    /// An array of words that need no escaping.
    pub(super) fn words(&mut self, name: &str, words: impl Iterator<Item = &'static str>) {
        self.name(name);
        self.out.push(b'[');
        for (number, word) in words.enumerate() {
            let comma = if number > 0 { "," } else { "" };
            self.format(format_args!("{comma}\"{word}\""));
        }
        self.out.push(b']');
    }

    fn name(&mut self, name: &str) {
        self.out.push(self.before);
        self.before = b',';
        self.format(format_args!("\"{name}\":"));
    }

    fn format(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a Vec does not fail.
        let _always_ok = std::io::Write::write_fmt(self.out, what);
    }

    fn escaped(&mut self, octets: &[u8]) {
        for chunk in octets.utf8_chunks() {
            for character in chunk.valid().chars() {
                self.character(character);
            }
            for &octet in chunk.invalid() {
                self.octet(octet);
            }
        }
    }

    fn character(&mut self, character: char) {
        match character {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.octet(b'\\'),
            ' '..='~' => self.out.push(u8::try_from(character).unwrap_or(b'?')),
            _ if is_unsafe(character) => {
                let code = u32::from(character);
                self.format(format_args!("\\u{code:04x}"));
            }
            _ => {
                let mut utf8 = [0; 4];
                self.out
                    .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            }
        }
    }

    /// An octet as the text `\xNN`; the backslash is doubled for JSON.
    fn octet(&mut self, octet: u8) {
        let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'?');
        self.out.extend_from_slice(b"\\\\x");
        self.out.push(digit(octet >> 4));
        self.out.push(digit(octet & 0x0f));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(octets: &[u8]) -> String {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out);
        line.text("t", octets);
        line.number("n", 1);
        line.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whatever_octets_come_it_is_one_line_of_json_that_moves_no_terminal() {
        for (octets, text) in [
            (&b"plain +39"[..], "plain +39"),
            (b"a\r\nb", "a\\u000d\\u000ab"),
            (b"\0\x1b[2J\x7f", "\\u0000\\u001b[2J\\u007f"),
            (b"\"}{", "\\\"}{"),
            (b"\\x41\\", "\\\\x5cx41\\\\x5c"),
            (b"\xff\xc3", "\\\\xff\\\\xc3"),
            ("Grüße 電話".as_bytes(), "Grüße 電話"),
            ("\u{9b}2J".as_bytes(), "\\u009b2J"),
            ("a\u{2028}b\u{2029}".as_bytes(), "a\\u2028b\\u2029"),
            ("\u{202e}cod\u{2066}".as_bytes(), "\\u202ecod\\u2066"),
            (
                "\u{61c}\u{200f}\u{feff}".as_bytes(),
                "\\u061c\\u200f\\ufeff",
            ),
            (b"=cmd|'/c'!A1", "=cmd|'/c'!A1"),
        ] {
            let line = line(octets);
            assert_eq!(line, format!("{{\"t\":\"{text}\",\"n\":1}}\n"));
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read["n"], 1);
        }
    }

    #[test]
    fn the_octets_can_be_had_back() {
        for octets in [&b"\\xff"[..], b"\xff", b"\\\\", "\u{202e}é\n".as_bytes()] {
            let read: serde_json::Value = serde_json::from_str(&line(octets)).unwrap();
            let mut back = Vec::new();
            let mut rest = read["t"].as_str().unwrap();
            while let Some(at) = rest.find('\\') {
                back.extend_from_slice(&rest.as_bytes()[..at]);
                back.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap());
                rest = &rest[at + 4..];
            }
            back.extend_from_slice(rest.as_bytes());
            assert_eq!(back, octets);
        }
    }

    #[test]
    fn an_object_has_commas_between_its_fields_only() {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out);
        line.text("empty", b"");
        line.words("none", std::iter::empty());
        line.words("two", ["a", "b"].into_iter());
        line.cut_text("cut", b"long", true);
        line.word("w", 5);
        line.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"none\":[],\"two\":[\"a\",\"b\"],\"cut\":\"long…\",\"w\":\"5\"}\n"
        );
    }
}
