//! Times as people and file names have them, in UTC.

use std::fmt;

/// Microseconds since 1970 UTC as RFC 3339 with all six digits.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339 {
    /// The microseconds.
    pub unix_us: u64,
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.unix_us / 1_000_000;
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = time(seconds);
        let micros = self.unix_us % 1_000_000;
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
        )
    }
}

/// Seconds since 1970 UTC as a file name has them: `20261123T003000Z`, which sorts by time.
pub(super) fn file_stamp(unix_s: u64) -> String {
    let (year, month, day) = date(unix_s / 86_400);
    let (hour, minute, second) = time(unix_s);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The seconds since 1970 UTC of a `file_stamp`; `None`: this is none.
pub(super) fn parse_file_stamp(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| -> Option<u64> {
        let digits = text.get(range)?;
        let all = digits.bytes().all(|octet| octet.is_ascii_digit());
        digits.parse().ok().filter(|_| all)
    };
    if text.len() != 16 || text.get(8..9) != Some("T") || text.get(15..) != Some("Z") {
        return None;
    }
    let days = days(number(0..4)?, number(4..6)?, number(6..8)?)?;
    let unix_s = days * 86_400 + number(9..11)? * 3600 + number(11..13)? * 60 + number(13..15)?;
    // Only what we write is read: no 13th month, no 61st second.
    (file_stamp(unix_s) == text).then_some(unix_s)
}

fn time(unix_s: u64) -> (u64, u64, u64) {
    (unix_s / 3600 % 24, unix_s / 60 % 60, unix_s % 60)
}

/// Year, month and day of a number of days since 1970. The year is taken to begin in March, so that the leap day is its
/// last; an era is the 400 years after which the calendar repeats.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01, as many days before 1970-01-01.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// The days since 1970 of a date, whose month may be wrong by more than a calendar has; `None` before 1970.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year.checked_sub(u64::from(month <= 2))?;
    let era = year / 400;
    let year_of_era = year % 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = ((153 * month_from_march + 2) / 5 + day).checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix_us, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_709_251_199_999_999, "2024-02-29T23:59:59.999999Z"),
            (1_709_251_200_000_000, "2024-03-01T00:00:00.000000Z"),
            (1_795_392_874_123_456, "2026-11-23T00:14:34.123456Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(Rfc3339 { unix_us }.to_string(), text);
        }
    }

    #[test]
    fn a_file_stamp_is_read_as_it_was_written() {
        for day in 0..60_000 {
            let unix_s = day * 86_400 + day % 86_400;
            assert_eq!(parse_file_stamp(&file_stamp(unix_s)), Some(unix_s));
        }
        for text in [
            "",
            "20261123T003000",
            "20261323T003000Z",
            "20260230T003000Z",
            "20261123T006000Z",
            "20261123 003000Z",
            "2026112\u{e9}T03000Z",
            "+0261123T003000Z",
            "19691231T235959Z",
            "00000000T000000Z",
        ] {
            assert_eq!(parse_file_stamp(text), None, "{text}");
        }
    }
}
