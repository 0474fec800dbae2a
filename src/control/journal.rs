//! `[journal]`: where decisions are recorded, how many, in which files, for how long.
//!
//! Promises: every value is checked here and nowhere else; without the table there is no journal.
//! Leaves to `report`: writing it.

use super::document::{Table, Value};
use super::fault::Findings;
use super::node::non_empty;
use super::source::Source;
use std::path::PathBuf;

/// Lines a second for calls that were not approved, when nothing else is said.
pub const REJECTED_PER_SECOND_DEFAULT: u64 = 20_000;

/// Lines a second for approved calls, when nothing else is said.
pub const APPROVED_PER_SECOND_DEFAULT: u64 = 2_000;

/// Most lines a second that may be asked for; more is `"all"`.
pub const PER_SECOND_MAX: u64 = 10_000_000;

/// Most digits that are masked: those of an international number.
pub const MASK_DIGITS_MAX: u64 = 15;

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Shortest time for `rotate` and `keep`.
pub(super) const SECONDS_MIN: u64 = 60;

/// Longest time for `rotate` and `keep`: a hundred years.
pub(super) const SECONDS_MAX: u64 = 36_525 * DAY_S;

/// Smallest size for `rotate`.
pub(super) const BYTES_MIN: u64 = 1_000_000;

/// When a new file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotate {
    /// At each multiple of so many seconds since 1970 UTC: `"1h"` is every full hour.
    Seconds(u64),
    /// Before a file would grow beyond so many octets.
    Bytes(u64),
}

/// `[journal]`, every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalConfig {
    /// The file that is written; older ones lie beside it.
    pub path: PathBuf,
    /// Lines a second for calls that were not approved, or would not have been; `None`: all. Default 20,000.
    pub rejected_per_second: Option<u64>,
    /// Lines a second for approved calls; `None`: all. Default 2,000.
    pub approved_per_second: Option<u64>,
    /// When a new file is begun. Default every full hour.
    pub rotate: Rotate,
    /// How long old files are kept, seconds. Default 30 days.
    pub keep_s: u64,
    /// How many of the last digits of numbers are masked. Default 0.
    pub mask_digits: u8,
}

/// Reads `[journal]`; `None` after a fault that leaves no path.
pub(super) fn read(
    source: &Source,
    mut table: Table<'_>,
    findings: &mut Findings,
) -> Option<JournalConfig> {
    let path = table.require("path", findings);
    let path = path.and_then(|value| non_empty(&value, findings));
    let mut config = JournalConfig {
        path: path.map(|path| source.resolve(path)).unwrap_or_default(),
        rejected_per_second: Some(REJECTED_PER_SECOND_DEFAULT),
        approved_per_second: Some(APPROVED_PER_SECOND_DEFAULT),
        rotate: Rotate::Seconds(HOUR_S),
        keep_s: 30 * DAY_S,
        mask_digits: 0,
    };
    if let Some(value) = table.take("rejected_per_second") {
        config.rejected_per_second = per_second(&value, findings);
    }
    if let Some(value) = table.take("approved_per_second") {
        config.approved_per_second = per_second(&value, findings);
    }
    if let Some(value) = table.take("rotate")
        && let Some(text) = value.string(findings)
    {
        match rotate(text) {
            Ok(rotate) => config.rotate = rotate,
            Err(sentence) => value.fault_named(findings, sentence),
        }
    }
    if let Some(value) = table.take("keep")
        && let Some(text) = value.string(findings)
    {
        match seconds(text) {
            Ok(seconds) => config.keep_s = seconds,
            Err(sentence) => value.fault_named(findings, sentence),
        }
    }
    if let Some(value) = table.take("mask_digits")
        && let Some(digits) = value.integer(0..=MASK_DIGITS_MAX, findings)
    {
        config.mask_digits = u8::try_from(digits).unwrap_or(u8::MAX);
    }
    table.finish(findings);
    path.map(|_path| config)
}

/// A number of lines, or `"all"`.
fn per_second(value: &Value<'_>, findings: &mut Findings) -> Option<u64> {
    match value.as_string() {
        Some("all") => None,
        Some(word) => {
            value.fault_named(
                findings,
                format!("\"{word}\" is neither \"all\" nor a number without quotes"),
            );
            None
        }
        None => value.integer(0..=PER_SECOND_MAX, findings),
    }
}

fn rotate(text: &str) -> Result<Rotate, String> {
    if !text.ends_with('B') {
        return seconds(text).map(Rotate::Seconds).map_err(|_sentence| {
            format!("\"{text}\" is neither a time of at least 1m, like \"1h\", nor a size, like \"100MB\"")
        });
    }
    let units = [("MB", 1_000_000), ("GB", 1_000_000_000)];
    amount(text, &units)
        .filter(|bytes| *bytes >= BYTES_MIN)
        .map(Rotate::Bytes)
        .ok_or_else(|| format!("\"{text}\" is no size of at least 1MB, like \"100MB\" or \"2GB\""))
}

fn seconds(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", HOUR_S), ("d", DAY_S)];
    amount(text, &units)
        .filter(|seconds| (SECONDS_MIN..=SECONDS_MAX).contains(seconds))
        .ok_or_else(|| format!("\"{text}\" is no time of at least 1m, like \"12h\" or \"30d\""))
}

/// A whole number and its unit.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, scale) = units
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))?;
    if number.is_empty() || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// A time as the configuration has it, in the largest unit that holds it whole.
pub(super) fn seconds_text(seconds: u64) -> String {
    let (unit, scale) = match seconds {
        _ if seconds.is_multiple_of(DAY_S) => ("d", DAY_S),
        _ if seconds.is_multiple_of(HOUR_S) => ("h", HOUR_S),
        _ if seconds.is_multiple_of(60) => ("m", 60),
        _ => ("s", 1),
    };
    format!("{}{unit}", seconds / scale)
}

/// `rotate` as the configuration has it.
pub(super) fn rotate_text(rotate: Rotate) -> String {
    match rotate {
        Rotate::Seconds(seconds) => seconds_text(seconds),
        Rotate::Bytes(bytes) => format!("{}MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_is_by_time_or_by_size() {
        for (text, wanted) in [
            ("1h", Some(Rotate::Seconds(3600))),
            ("90s", Some(Rotate::Seconds(90))),
            ("7d", Some(Rotate::Seconds(7 * DAY_S))),
            ("100MB", Some(Rotate::Bytes(100_000_000))),
            ("2GB", Some(Rotate::Bytes(2_000_000_000))),
            ("59s", None),
            ("0h", None),
            ("h", None),
            ("+1h", None),
            ("1 h", None),
            ("0MB", None),
            ("100B", None),
            ("100kB", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
            ("36526d", None),
            ("", None),
        ] {
            assert_eq!(rotate(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["1h", "90s", "25h", "30d", "100MB", "2000MB"] {
            assert_eq!(rotate_text(rotate(text).unwrap()), text);
        }
        assert_eq!(seconds_text(86_400), "1d");
        assert_eq!(seconds_text(5400), "90m");
    }
}
