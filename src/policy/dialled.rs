//! From the user part of a Request-URI to a number: decoding, separators, tech prefix, translations.
//!
//! Promises: escapes are decoded once; nothing is allocated; whatever is not a number becomes an error or
//! `Unclassified`, never a number by accident.
//! Leaves to `snapshot`: what an unclassified number leads to.
//!
//! Parameters and password are cut off before decoding, as RFC 3261 §19.1.4 parses them: an escaped `;` is a character of
//! the user and makes the number undialable (484). Otherwise we would decide about less than our Contact carries back.

use super::attempt::Scheme;
use crate::e164::E164;
use crate::limits::DIALLED_BYTES_MAX;
use crate::sip::block;
use crate::sip::write::contact_user;

/// What the caller dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialled {
    /// An emergency number of the domain: approved before everything.
    Emergency,
    /// Our own answer come back.
    Loop,
    /// Not a dialable number (484).
    Undialable,
    /// An international number.
    Number(E164),
    /// Dialable, but not known to be an international number.
    Unclassified,
}

/// A short byte string: what was given as long as nothing in it had to change, which is so for most numbers, else a
/// copy on the stack.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text<'a> {
    Given(&'a [u8]),
    Changed(Buffer),
}

/// Room for one dialled string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffer {
    bytes: [u8; DIALLED_BYTES_MAX],
    length: usize,
}

impl Buffer {
    const EMPTY: Self = Self {
        bytes: [0; DIALLED_BYTES_MAX],
        length: 0,
    };

    /// Adds a byte; `None` when full.
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte;
        self.length += 1;
        Some(())
    }

    fn extend(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length + bytes.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }
}

impl Text<'_> {
    /// What it holds.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(bytes) => bytes,
            Self::Changed(buffer) => buffer.bytes.get(..buffer.length).unwrap_or(&[]),
        }
    }
}

/// One translation (`[[domain.translate]]`).
#[derive(Debug, Clone)]
pub(super) struct Translation {
    pub(super) matches: Vec<u8>,
    pub(super) strip: usize,
    pub(super) prepend: Vec<u8>,
    pub(super) min_digits: usize,
    pub(super) max_digits: usize,
}

impl Translation {
    fn fits(&self, text: &[u8]) -> bool {
        // Most texts differ in the first character, which is sooner told than by a call.
        let may_fit = match (self.matches.first(), text.first()) {
            (Some(wanted), Some(first)) => wanted == first,
            (wanted, _) => wanted.is_none(),
        };
        may_fit
            && (self.min_digits..=self.max_digits).contains(&text.len())
            && text.starts_with(&self.matches)
    }

    /// The translated string; `None` when it does not fit our buffer, so is no number either.
    fn apply<'a>(&self, text: &'a [u8]) -> Option<Text<'a>> {
        let kept = text.get(self.strip..).unwrap_or(&[]);
        if self.prepend.is_empty() {
            return Some(Text::Given(kept));
        }
        let mut translated = Buffer::EMPTY;
        translated.extend(&self.prepend)?;
        translated.extend(kept)?;
        Some(Text::Changed(translated))
    }
}

/// The part of a domain that reading a number depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberPlan {
    pub(super) translations: Vec<Translation>,
    pub(super) bare_e164: bool,
    emergency: Vec<Vec<u8>>,
    /// Bit n: some emergency number has n characters (63: that many or more). Most calls end at this one test.
    emergency_lengths: u64,
    wire_codes: Vec<[u8; 3]>,
    /// Bit n: some wire code begins with an octet whose lowest six bits are n. A number's `+` or digit is none of them.
    wire_code_starts: u64,
}

impl NumberPlan {
    /// A plan with these emergency numbers and nothing else.
    pub(super) fn new(emergency: &[Vec<u8>]) -> Self {
        let mut plan = Self::default();
        for number in emergency {
            plan.emergency_lengths |= length_bit(number.len());
            plan.emergency.push(number.clone());
        }
        plan
    }

    /// Our own answers begin with one of these.
    pub(super) fn set_wire_codes(&mut self, codes: &[[u8; 3]]) {
        self.wire_codes = codes.to_vec();
        self.wire_code_starts = codes
            .iter()
            .fold(0, |starts, [first, ..]| starts | start_bit(*first));
    }

    fn is_emergency(&self, text: &[u8]) -> bool {
        self.emergency_lengths & length_bit(text.len()) != 0
            && self.emergency.iter().any(|number| number == text)
    }

    fn is_own_answer(&self, decoded: &[u8]) -> bool {
        let Some((code, [next, ..])) = decoded.split_first_chunk::<3>() else {
            return false;
        };
        let [first, ..] = code;
        self.wire_code_starts & start_bit(*first) != 0
            && (next.is_ascii_digit() || *next == b'+')
            && self.wire_codes.contains(code)
    }

    /// What nearly every call dials: `+` and digits, which nothing of this plan speaks about. All rules of `read`, asked
    /// backwards: `None` says only that one of them may have something to say.
    #[inline]
    fn read_plain(&self, decoded: &[u8], tech_prefix: Option<&[u8]>) -> Option<E164> {
        let number = E164::from_digits(decoded.strip_prefix(b"+")?)?;
        let prefixed = tech_prefix.is_some_and(|prefix| decoded.starts_with(prefix));
        let spoken_of = prefixed
            || self.emergency_lengths & length_bit(decoded.len()) != 0
            || self.wire_code_starts & start_bit(b'+') != 0
            || self.translations.iter().any(|row| row.fits(decoded));
        (!spoken_of).then_some(number)
    }

    /// What was dialled. `decoded` is the decoded user part; `tech_prefix` the subscriber's.
    pub(super) fn read(
        &self,
        decoded: &[u8],
        scheme: Scheme,
        tech_prefix: Option<&[u8]>,
    ) -> Dialled {
        if let Some(number) = self.read_plain(decoded, tech_prefix) {
            return Dialled::Number(number);
        }
        let cleaned = clean(decoded);
        let raw = cleaned.as_bytes();
        let shortened = tech_prefix
            .and_then(|prefix| decoded.strip_prefix(prefix))
            .map(clean);
        let text = shortened.as_ref().map_or(raw, Text::as_bytes);
        // SEMANTICS: emergency numbers are compared whole, raw or translated, before everything. Behind a tech prefix
        // they are raw once that is off: a translation that fits them, too, must not hide them.
        if [decoded, raw, text]
            .into_iter()
            .any(|text| self.is_emergency(text))
        {
            return Dialled::Emergency;
        }
        let translation = self
            .translations
            .iter()
            .find(|translation| translation.fits(text));
        let translated = translation.map(|translation| translation.apply(text));
        let in_full = match &translated {
            Some(translated) => translated.as_ref().map_or(&[][..], Text::as_bytes),
            None => text,
        };
        if self.is_emergency(in_full) {
            return Dialled::Emergency;
        }
        if self.is_own_answer(decoded) {
            return Dialled::Loop;
        }
        if !is_dialable(raw) || (shortened.is_some() && !is_dialable(text)) {
            return Dialled::Undialable;
        }
        let digits = in_full.strip_prefix(b"+");
        let number = if translated.is_some() {
            E164::from_digits(digits.unwrap_or(in_full))
        } else if let Some(digits) = digits {
            E164::from_digits(digits)
        } else if self.bare_e164 && scheme != Scheme::Tel && (8..=15).contains(&text.len()) {
            // RFC 3966 §5.1.5: a tel: number without `+` is local, so it is not E.164 for being long.
            E164::from_digits(text)
        } else {
            None
        };
        number.map_or(Dialled::Unclassified, Dialled::Number)
    }
}

/// A step of reading a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Visual separators taken out.
    Separators,
    /// The subscriber's tech prefix taken off, and separators behind it.
    TechPrefix,
    /// The domain's translation with this index.
    Translation(usize),
    /// None of the domain's translations fits.
    NoTranslation,
}

impl NumberPlan {
    /// The steps of `read` that change something, each with what it leaves; `None`: too long.
    pub(super) fn read_aloud(
        &self,
        decoded: &[u8],
        tech_prefix: Option<&[u8]>,
        mut say: impl FnMut(Reading, Option<&[u8]>),
    ) {
        let cleaned = clean(decoded);
        let raw = cleaned.as_bytes();
        if raw != decoded {
            say(Reading::Separators, Some(raw));
        }
        let shortened = tech_prefix
            .and_then(|prefix| decoded.strip_prefix(prefix))
            .map(clean);
        let text = shortened.as_ref().map_or(raw, Text::as_bytes);
        if shortened.is_some() {
            say(Reading::TechPrefix, Some(text));
        }
        let mut translations = self.translations.iter().enumerate();
        match translations.find(|(_, translation)| translation.fits(text)) {
            Some((at, translation)) => {
                let translated = translation.apply(text);
                say(
                    Reading::Translation(at),
                    translated.as_ref().map(Text::as_bytes),
                );
            }
            None => say(Reading::NoTranslation, None),
        }
    }
}

fn start_bit(octet: u8) -> u64 {
    1 << (octet & 0x3f)
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// The user part up to its first `;` or `:`: without parameters and password. This is what a Contact carries back.
#[inline]
pub(super) fn bare_user(user_part: &[u8]) -> &[u8] {
    contact_user(user_part).0
}

/// Decodes `%HH` once; `None` when longer than `DIALLED_BYTES_MAX`. A `%` that begins no escape stays.
#[inline]
pub(super) fn decode(user: &[u8]) -> Option<Text<'_>> {
    if block::find(user, b'%').is_some() {
        return decode_escapes(user).map(Text::Changed);
    }
    (user.len() <= DIALLED_BYTES_MAX).then_some(Text::Given(user))
}

fn decode_escapes(user: &[u8]) -> Option<Buffer> {
    let mut text = Buffer::EMPTY;
    let mut rest = user;
    while let [first, after @ ..] = rest {
        if let (b'%', [high, low, beyond @ ..]) = (*first, after)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            text.push(high << 4 | low)?;
            rest = beyond;
            continue;
        }
        text.push(*first)?;
        rest = after;
    }
    Some(text)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')' | b' ')
}

/// Without visual separators.
#[inline]
pub(super) fn clean(decoded: &[u8]) -> Text<'_> {
    if !decoded.iter().any(|byte| is_separator(*byte)) {
        return Text::Given(decoded);
    }
    let mut text = Buffer::EMPTY;
    for &byte in decoded {
        if !is_separator(byte) {
            // It is no longer than what was decoded, so there is room.
            let _room = text.push(byte);
        }
    }
    Text::Changed(text)
}

#[inline]
fn is_dialable(text: &[u8]) -> bool {
    // Plain octets are number characters.
    let rest = text.strip_prefix(b"+").unwrap_or(text);
    !text.is_empty()
        && (block::plain_run(rest) == rest.len()
            || text.iter().all(|byte| is_number_character(*byte)))
}

const fn is_number_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'*' | b'#' | b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> NumberPlan {
        let mut plan = NumberPlan::new(&[b"112".to_vec(), b"911".to_vec(), b"*99#".to_vec()]);
        plan.set_wire_codes(&[*b"A00", *b"R33"]);
        let translation =
            |matches: &str, strip, prepend: &str, min_digits, max_digits| Translation {
                matches: matches.as_bytes().to_vec(),
                strip,
                prepend: prepend.as_bytes().to_vec(),
                min_digits,
                max_digits,
            };
        plan.translations = vec![
            translation("011", 3, "", 0, 99),
            translation("00", 2, "", 6, 99),
            translation("9", 1, "", 4, 4),
            translation("0", 1, "39", 5, 12),
            translation("#", 1, "+44", 2, 99),
            translation("7*", 0, "", 0, 99),
        ];
        plan
    }

    /// A translation that fits every dialled string.
    fn everything_to(prepend: &str) -> Translation {
        Translation {
            matches: Vec::new(),
            strip: 0,
            prepend: prepend.as_bytes().to_vec(),
            min_digits: 0,
            max_digits: 99,
        }
    }

    fn read_as(
        plan: &NumberPlan,
        user_part: &str,
        scheme: Scheme,
        tech_prefix: Option<&[u8]>,
    ) -> Dialled {
        decode(bare_user(user_part.as_bytes())).map_or(Dialled::Undialable, |decoded| {
            plan.read(decoded.as_bytes(), scheme, tech_prefix)
        })
    }

    fn check(user_part: &str, want: Dialled) {
        assert_eq!(
            read_as(&plan(), user_part, Scheme::Sip, None),
            want,
            "{user_part}"
        );
    }

    fn number(digits: &str) -> Dialled {
        Dialled::Number(E164::from_digits(digits.as_bytes()).unwrap())
    }

    #[test]
    fn called_number_is_read_from_the_user_part() {
        check("+442071838750", number("442071838750"));
        check("011442071838750", number("442071838750"));
        check("00442071838750", number("442071838750"));
        check("+39-06.987(65) 43", number("39069876543"));
        check("011-44-2071", number("442071"));
        check("%2B442071838750", number("442071838750")); // SIP-051: decoded once
        check("+44%32071838750", number("442071838750"));
        check("+442071838750;phone-context=+1", number("442071838750"));
        check("+442071838750:secret", number("442071838750"));
        check("+1234567890123456", Dialled::Unclassified); // 16 digits are no E.164 number
        check("442071838750", Dialled::Unclassified);
        check("+", Dialled::Unclassified);
        check("alice", Dialled::Unclassified);
        check("7*123", Dialled::Unclassified); // translated, but not to digits
    }

    #[test]
    fn what_is_not_a_number_is_undialable() {
        for user_part in [
            "",
            ";x=y",
            ":secret",
            "-.()",
            "%20",
            "%252B44",
            "+44%",
            "+44%3bx",
            "+44%00",
            "+44%0d%0a",
            "01144&SIP",
            "é",
            "0114420/71",
            "+44\u{2011}20",
        ] {
            check(user_part, Dialled::Undialable);
        }
        check(&"1".repeat(DIALLED_BYTES_MAX), Dialled::Unclassified);
        check(&"1".repeat(DIALLED_BYTES_MAX + 1), Dialled::Undialable);
    }

    #[test]
    fn the_first_translation_that_fits_is_used_and_counts_all_characters() {
        check("0044", Dialled::Unclassified); // too short for 00; 0 wants 5
        check("00441", number("390441")); // five characters: 0 fits before 00 does
        check("004412", number("4412"));
        check("0698765", number("39698765"));
        check("0698765432109", Dialled::Unclassified); // 13 characters, 0 takes 12
        check("%232071", number("442071")); // what a translation prepends may begin with +
    }

    #[test]
    fn emergency_numbers_are_compared_whole_raw_or_translated_before_everything() {
        for user_part in [
            "112",
            "1-1-2",
            "9112",
            "011112",
            "*99%23",
            "112;phone-context=+1",
        ] {
            check(user_part, Dialled::Emergency);
        }
        for user_part in ["1120", "0112", "+112"] {
            assert_ne!(
                read_as(&plan(), user_part, Scheme::Sip, None),
                Dialled::Emergency,
                "{user_part}"
            );
        }
        for user_part in ["77112", "77911", "7711-2", "112"] {
            let mut plan = plan();
            assert_eq!(
                read_as(&plan, user_part, Scheme::Sip, Some(b"77")),
                Dialled::Emergency,
                "{user_part}"
            );
            // A translation of everything changes nothing.
            plan.translations.insert(0, everything_to("39"));
            assert_eq!(
                read_as(&plan, user_part, Scheme::Sip, Some(b"77")),
                Dialled::Emergency,
                "{user_part}, translated"
            );
        }
    }

    #[test]
    fn our_own_answer_come_back_is_a_loop() {
        for user_part in [
            "A00442071838750",
            "A00+44",
            "R331",
            "%4100442071838750",
            "A001%20",
        ] {
            check(user_part, Dialled::Loop);
        }
        for user_part in ["A00", "A00x", "a00442071838750", "R03442071838750"] {
            check(user_part, Dialled::Unclassified);
        }
    }

    #[test]
    fn bare_numbers_of_8_to_15_digits_are_e164_where_the_domain_says_so() {
        let mut plan = plan();
        plan.bare_e164 = true;
        for (user_part, want) in [
            ("442071838750", number("442071838750")),
            ("12345678", number("12345678")),
            ("1234567", Dialled::Unclassified),
            ("123456789012345", number("123456789012345")),
            ("1234567890123456", Dialled::Unclassified),
            ("4420718387x0", Dialled::Unclassified),
        ] {
            assert_eq!(
                read_as(&plan, user_part, Scheme::Sip, None),
                want,
                "{user_part}"
            );
        }
        // SIP-054, RFC 3966 §5.1.5: without + a tel: number is local, whatever its length.
        assert_eq!(
            read_as(&plan, "442071838750;phone-context=+1", Scheme::Tel, None),
            Dialled::Unclassified
        );
        assert_eq!(
            read_as(&plan, "011442071838750", Scheme::Tel, None),
            number("442071838750")
        );
        assert_eq!(
            read_as(&plan, "+44-2071-838750", Scheme::Tel, None),
            number("442071838750")
        );
    }

    #[test]
    fn a_plan_that_speaks_of_plus_and_digits_is_heard() {
        let dialled = "+442071838750";
        check(dialled, number("442071838750"));
        let mut translating = plan();
        translating.translations.push(Translation {
            matches: b"+44".to_vec(),
            strip: 3,
            ..everything_to("39")
        });
        let mut emergency = NumberPlan::new(&[dialled.as_bytes().to_vec()]);
        let mut own = plan();
        own.set_wire_codes(&[*b"+44"]);
        for (plan, tech_prefix, want) in [
            (&translating, None, number("392071838750")),
            (&emergency, None, Dialled::Emergency),
            (&own, None, Dialled::Loop),
            (&plan(), Some(&b"+442"[..]), number("3971838750")),
        ] {
            assert_eq!(read_as(plan, dialled, Scheme::Sip, tech_prefix), want);
        }
        // Another number of that length is none.
        emergency.translations.clear();
        assert_eq!(
            read_as(&emergency, "+442071838751", Scheme::Sip, None),
            number("442071838751")
        );
    }

    #[test]
    fn the_tech_prefix_comes_off_before_translation() {
        let plan = plan();
        for (user_part, want) in [
            ("77011442071838750", number("442071838750")),
            ("77+442071838750", number("442071838750")),
            ("77", Dialled::Undialable),
            ("011442071838750", number("442071838750")),
        ] {
            assert_eq!(
                read_as(&plan, user_part, Scheme::Sip, Some(b"77")),
                want,
                "{user_part}"
            );
        }
    }
}
