//! What a mix takes for granted of a server's policy beside its limits: destinations, what minutes cost, working hours.
//!
//! Promises: written from what the words mean, not from any server. A number is at home at the longest prefix that the mix
//! names; what costs are counted in are millionths. Hours are those of UTC.
//! Leaves to `policy`: reading them; to `model`: what limits make of them.

use crate::clock::Nanos;

/// What the limits of a mix go by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Rows that the server's destinations must have.
    pub destinations: Vec<Destination>,
    /// What a minute costs.
    pub rates: Vec<Rate>,
    /// How long a call is taken to be.
    pub assumed_minutes: Option<u64>,
    /// When work is done.
    pub hours: Hours,
}

/// A row of destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// E.164 without `+`.
    pub prefix: String,
    /// The country's letters.
    pub country: String,
    /// All four fields, as the server's file has them.
    pub row: String,
}

/// A row of rates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// E.164 without `+`; empty: everywhere else.
    pub prefix: String,
    /// Millionths of the operator's currency a minute.
    pub micros: u64,
    /// Both fields, as the server's file has them.
    pub row: String,
}

impl Terms {
    /// Where a number is: of the rows that it begins with, the one with the longest prefix.
    #[must_use]
    pub fn destination_of(&self, number: &[u8]) -> Option<&Destination> {
        self.destinations
            .iter()
            .filter(|row| number.starts_with(row.prefix.as_bytes()))
            .max_by_key(|row| row.prefix.len())
    }

    /// What a call to a number is taken to cost, in millionths.
    #[must_use]
    pub fn cost_of(&self, number: &[u8]) -> u64 {
        let rate = self
            .rates
            .iter()
            .filter(|row| number.starts_with(row.prefix.as_bytes()))
            .max_by_key(|row| row.prefix.len());
        rate.map_or(0, |row| row.micros)
            .saturating_mul(self.assumed_minutes.unwrap_or(1))
    }

    /// Adds those of another mix.
    ///
    /// # Errors
    /// A sentence for the operator: both say something else of the same.
    pub fn join(&mut self, other: Self) -> Result<(), String> {
        let prefixes = |rows: &[Destination]| -> Vec<String> {
            rows.iter().map(|row| row.prefix.clone()).collect()
        };
        for row in other.destinations {
            if self.destinations.contains(&row) {
                continue;
            }
            if prefixes(&self.destinations).contains(&row.prefix) {
                return Err(format!(
                    "two of the mixes have a destination {}, and not the same one",
                    row.prefix
                ));
            }
            self.destinations.push(row);
        }
        for row in other.rates {
            if self.rates.contains(&row) {
                continue;
            }
            if self.rates.iter().any(|known| known.prefix == row.prefix) {
                return Err(format!(
                    "two of the mixes have a rate for `{}`, and not the same one",
                    row.prefix
                ));
            }
            self.rates.push(row);
        }
        let minutes = [self.assumed_minutes, other.assumed_minutes];
        if let [Some(one), Some(another)] = minutes
            && one != another
        {
            return Err(format!(
                "two of the mixes assume {one} and {another} minutes a call"
            ));
        }
        self.assumed_minutes = self.assumed_minutes.or(other.assumed_minutes);
        if self.hours.is_empty() {
            self.hours = other.hours;
        } else if !other.hours.is_empty() && other.hours != self.hours {
            return Err("two of the mixes have working hours, and not the same ones".to_owned());
        }
        Ok(())
    }
}

const SECOND: Nanos = 1_000_000_000;
const MINUTES_OF_WEEK: u64 = 7 * 24 * 60;
const SECONDS_OF_DAY: u64 = 86_400;
/// The first of January 1970 was a Thursday.
const DAYS_FROM_MONDAY_1970: u64 = 3;

/// Working hours: a week of them, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hours {
    /// Whether each minute of the week, from Monday 00:00 on, is worked; empty: nothing is said.
    working: Vec<bool>,
    /// As the server's policy has them.
    pub words: Vec<String>,
}

impl Hours {
    /// Whether nothing is said of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Adds hours of these days (0: Monday), in minutes of the day.
    pub fn add(&mut self, words: &str, days: impl IntoIterator<Item = u64>, minutes: (u64, u64)) {
        self.words.push(words.to_owned());
        let week = usize::try_from(MINUTES_OF_WEEK).unwrap_or(0);
        self.working.resize(week, false);
        for day in days {
            for minute in minutes.0..minutes.1 {
                let at = usize::try_from(day * 24 * 60 + minute).unwrap_or(usize::MAX);
                if let Some(working) = self.working.get_mut(at) {
                    *working = true;
                }
            }
        }
    }

    /// Whether work is done at a time, in nanoseconds since 1970.
    #[must_use]
    pub fn are_worked(&self, time: Nanos) -> bool {
        self.minute(time / SECOND / 60)
    }

    /// When the stretch of working or off hours that a time belongs to began; 0 if it never changes.
    #[must_use]
    pub fn stretch_of(&self, time: Nanos) -> Nanos {
        let now = time / SECOND / 60;
        let kind = self.minute(now);
        (0..MINUTES_OF_WEEK)
            .map_while(|back| now.checked_sub(back))
            .find(|&minute| self.minute(minute) != kind)
            .map_or(0, |before| (before + 1) * 60 * SECOND)
    }

    fn minute(&self, minute: u64) -> bool {
        let within = (minute + DAYS_FROM_MONDAY_1970 * 24 * 60) % MINUTES_OF_WEEK;
        let at = usize::try_from(within).unwrap_or(0);
        self.working.get(at).copied().unwrap_or(false)
    }
}

/// When the day (of UTC) that a time belongs to began.
#[must_use]
pub fn day_of(time: Nanos) -> Nanos {
    time - time % (SECONDS_OF_DAY * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 23 November 2026, a Monday, at 00:00 UTC.
    const MONDAY: Nanos = 1_795_392_000 * SECOND;
    const HOUR: Nanos = 3600 * SECOND;

    fn office() -> Hours {
        let mut hours = Hours::default();
        hours.add("mon-fri 09:00-17:00", 0..5, (9 * 60, 17 * 60));
        hours
    }

    #[test]
    fn hours_are_those_of_the_week() {
        let hours = office();
        for (time, working, stretch) in [
            (MONDAY + 9 * HOUR, true, MONDAY + 9 * HOUR),
            (MONDAY + 17 * HOUR - 1, true, MONDAY + 9 * HOUR),
            (MONDAY + 17 * HOUR, false, MONDAY + 17 * HOUR),
            (MONDAY + 33 * HOUR - 1, false, MONDAY + 17 * HOUR),
            // A weekend is one stretch, over midnights and the week's end.
            (MONDAY + 8 * HOUR, false, MONDAY - (24 + 24 + 7) * HOUR),
            (MONDAY - 30 * HOUR, false, MONDAY - (24 + 24 + 7) * HOUR),
        ] {
            assert_eq!(hours.are_worked(time), working, "{time}");
            assert_eq!(hours.stretch_of(time), stretch, "{time}");
        }
        assert_eq!(day_of(MONDAY + 23 * HOUR), MONDAY);
        assert!(!Hours::default().are_worked(MONDAY));
        assert_eq!(Hours::default().stretch_of(MONDAY), 0);
    }

    #[test]
    fn a_number_is_at_home_at_its_longest_prefix() {
        let destination = |prefix: &str, country: &str| Destination {
            prefix: prefix.to_owned(),
            country: country.to_owned(),
            row: String::new(),
        };
        let rate = |prefix: &str, micros| Rate {
            prefix: prefix.to_owned(),
            micros,
            row: String::new(),
        };
        let terms = Terms {
            destinations: vec![destination("44", "GB"), destination("447781", "GG")],
            rates: vec![rate("", 10), rate("44", 20), rate("447", 50)],
            assumed_minutes: Some(3),
            hours: Hours::default(),
        };
        let country = |number: &[u8]| terms.destination_of(number).map(|row| row.country.as_str());
        assert_eq!(country(b"442079460000"), Some("GB"));
        assert_eq!(country(b"447781000000"), Some("GG"));
        assert_eq!(country(b"390612345"), None);
        for (number, cost) in [(&b"39061"[..], 30), (b"4420", 60), (b"4478", 150)] {
            assert_eq!(terms.cost_of(number), cost);
        }
    }
}
