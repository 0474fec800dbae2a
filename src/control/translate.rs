//! `[[domain.translate]]`: how a dialled string becomes an international number.

use super::document::{Table, Value};
use super::fault::Findings;
use super::parse;
use crate::limits::{CONTACT_USER_BYTES_MAX, E164_DIGITS_MAX};
use crate::policy::rows::TranslateRow;

/// Reads a domain's translations; rows in file order, which is the order of trying.
pub(super) fn read(value: &Value<'_>, findings: &mut Findings) -> Vec<TranslateRow> {
    let mut rows: Vec<TranslateRow> = Vec::new();
    for table in value.tables(findings) {
        let place = table.place();
        let file = table.file();
        let Some(row) = translation(table, findings) else {
            continue;
        };
        if let Some(earlier) = rows.iter().position(|earlier| covers(earlier, &row)) {
            findings.warn(
                file,
                place,
                format!(
                    "this translation is never reached: number {} of the domain fits whatever it fits",
                    earlier + 1
                ),
            );
        }
        rows.push(row);
    }
    rows
}

fn translation(mut table: Table<'_>, findings: &mut Findings) -> Option<TranslateRow> {
    let before = findings.faults.count();
    let characters = 0..=CONTACT_USER_BYTES_MAX as u64;
    let matches = table
        .require("match", findings)
        .and_then(|value| dialled(&value, findings));
    let strip = table.take("strip");
    let strip_count = strip
        .as_ref()
        .and_then(|value| count(value.integer(characters.clone(), findings)));
    let prepend = table
        .take("prepend")
        .and_then(|value| prepend(&value, findings))
        .unwrap_or_default();
    let min = table
        .take("min_digits")
        .and_then(|value| count(value.integer(characters.clone(), findings)));
    let max_value = table.take("max_digits");
    let max = max_value
        .as_ref()
        .and_then(|value| count(value.integer(characters, findings)));
    let place = table.place();
    let file = table.file();
    table.finish(findings);
    if findings.faults.count() > before {
        return None;
    }
    let matches = matches?;
    let row = TranslateRow {
        strip: strip_count.unwrap_or(0),
        prepend,
        min_digits: min.unwrap_or(0).max(matches.len()),
        max_digits: max.unwrap_or(CONTACT_USER_BYTES_MAX),
        matches,
    };
    if let Some(value) = &max_value
        && row.max_digits < row.min_digits
    {
        value.fault(
            findings,
            format!(
                "domain.translate.max_digits = {}, but what fits has {} at least",
                row.max_digits, row.min_digits
            ),
        );
    }
    if let Some(value) = &strip
        && row.strip > row.min_digits
    {
        value.fault(
            findings,
            format!(
                "domain.translate.strip = {}, but what fits may have only {} characters; set min_digits",
                row.strip, row.min_digits
            ),
        );
    }
    let kept = row.matches.get(row.strip..).unwrap_or(b"");
    if let Some(bad) = kept.iter().find(|octet| !octet.is_ascii_digit()) {
        findings.faults.at(
            file,
            place,
            format!(
                "domain.translate leaves \"{}\" of match in front of the number; strip it, since it has a \"{}\"",
                String::from_utf8_lossy(kept),
                char::from(*bad)
            ),
        );
    }
    Some(row)
}

fn count(number: Option<u64>) -> Option<usize> {
    usize::try_from(number?).ok()
}

fn dialled(value: &Value<'_>, findings: &mut Findings) -> Option<Vec<u8>> {
    let text = value.string(findings)?;
    let checked = parse::dialled("match", text).and_then(|()| {
        match text.chars().find(|character| matches!(character, '-' | '.')) {
            None => Ok(()),
            Some(separator) => Err(format!(
                "match \"{text}\" would never fit: separators like {separator:?} are taken out of what was dialled before"
            )),
        }
    });
    match checked {
        Ok(()) => Some(text.as_bytes().to_vec()),
        Err(sentence) => {
            value.fault_named(findings, sentence);
            None
        }
    }
}

/// Digits; a `+` before them says what they are anyway and is taken off.
fn prepend(value: &Value<'_>, findings: &mut Findings) -> Option<Vec<u8>> {
    let text = value.string(findings)?;
    let digits = text.strip_prefix('+').unwrap_or(text);
    let checked = parse::digits_only("prepend", text, digits).and_then(|()| {
        if digits.len() > E164_DIGITS_MAX {
            return Err(format!(
                "prepend \"{text}\" has {} digits; {E164_DIGITS_MAX} at most",
                digits.len()
            ));
        }
        Ok(())
    });
    match checked {
        Ok(()) => Some(digits.as_bytes().to_vec()),
        Err(sentence) => {
            value.fault_named(findings, sentence);
            None
        }
    }
}

/// Whether the earlier translation fits everything that the later one fits.
fn covers(earlier: &TranslateRow, later: &TranslateRow) -> bool {
    later.matches.starts_with(&earlier.matches)
        && earlier.min_digits <= later.min_digits
        && later.max_digits <= earlier.max_digits
}

#[cfg(test)]
mod tests {
    use super::super::document::Text;
    use super::*;

    /// The rows and findings of `[[translate]]` tables.
    fn read_all(text: &str) -> (Vec<TranslateRow>, Findings) {
        let mut findings = Findings::default();
        let mut rows = Vec::new();
        Text::new("d.toml", text).parse(&mut findings, |mut root, findings| {
            let value = root.take("translate").unwrap();
            rows = read(&value, findings);
        });
        (rows, findings)
    }

    #[test]
    fn what_is_left_out_changes_nothing_and_asks_for_nothing() {
        let (rows, findings) = read_all("[[translate]]\nmatch = \"011\"\n");
        assert!(findings.faults.is_empty());
        assert_eq!(
            rows,
            [TranslateRow {
                matches: b"011".to_vec(),
                strip: 0,
                prepend: Vec::new(),
                min_digits: 3,
                max_digits: CONTACT_USER_BYTES_MAX,
            }]
        );
    }

    #[test]
    fn a_match_with_a_separator_is_refused_since_dialled_strings_have_none_by_then() {
        for (given, refused) in [
            ("1-800", true),
            ("1.800", true),
            ("1800", false),
            ("*_#+", false),
        ] {
            let (_, findings) = read_all(&format!(
                "[[translate]]\nmatch = \"{given}\"\nstrip = 4\nmin_digits = 4\n"
            ));
            assert_eq!(
                !findings.faults.is_empty(),
                refused,
                "{given}: {}",
                findings.faults
            );
        }
    }

    #[test]
    fn a_plus_before_what_is_prepended_is_taken_off() {
        let (rows, findings) = read_all(
            "[[translate]]\nmatch = \"\"\nprepend = \"+39\"\nmin_digits = 6\nmax_digits = 10\nstrip = 1\n",
        );
        assert!(findings.faults.is_empty());
        assert_eq!(rows[0].prepend, b"39");
        assert_eq!((rows[0].min_digits, rows[0].strip), (6, 1));
    }

    #[test]
    fn a_translation_that_is_never_reached_earns_a_warning() {
        for (second, warned) in [
            ("match = \"0011\"\nstrip = 4", true),
            ("match = \"0011\"\nstrip = 4\nmax_digits = 12", true),
            ("match = \"01\"\nstrip = 1", false),
            ("match = \"0\"\nstrip = 1", false),
        ] {
            let text =
                format!("[[translate]]\nmatch = \"00\"\nstrip = 2\n[[translate]]\n{second}\n");
            let (_, findings) = read_all(&text);
            assert!(findings.faults.is_empty(), "{}", findings.faults);
            assert_eq!(!findings.warnings.is_empty(), warned, "{second}");
        }
    }
}
