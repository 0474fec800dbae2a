//! Amounts and times as an operator reads and writes them.
//!
//! Promises: an amount has the unit of `rates.csv` and no digit that says nothing; a time has the units that people say.
//! Leaves to `schedule`: times of day, which hang on a policy's time zone.

/// Digits behind the point of a millionth.
const MICRO_DIGITS: usize = 6;

/// Millionths as an amount: `0.5`.
#[must_use]
pub fn amount(micros: u64) -> String {
    let text = format!(
        "{}.{:0MICRO_DIGITS$}",
        micros / 1_000_000,
        micros % 1_000_000
    );
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

/// Seconds as a stretch of time: `1 h 30 min`.
#[must_use]
pub(super) fn stretch(seconds: u64) -> String {
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let said: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if said.is_empty() {
        return "0 s".to_owned();
    }
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_no_digit_that_says_nothing() {
        for (micros, want) in [
            (0, "0"),
            (1, "0.000001"),
            (500_000, "0.5"),
            (35_000, "0.035"),
            (12_000_000, "12"),
            (100_000_000_010_000, "100000000.01"),
        ] {
            assert_eq!(amount(micros), want);
        }
    }

    #[test]
    fn times_have_the_units_that_people_say() {
        for (seconds, want) in [
            (0, "0 s"),
            (59, "59 s"),
            (900, "15 min"),
            (3600, "1 h"),
            (5430, "1 h 30 min 30 s"),
            (86_400, "24 h"),
            (3601, "1 h 1 s"),
        ] {
            assert_eq!(stretch(seconds), want);
        }
    }
}
