//! Latencies: histograms of nanoseconds, and the two forms in which the tools of `HdrHistogram` read them.
//!
//! Promises: three digits (two in an interval) from a nanosecond to ten minutes in fixed memory; more counts as ten minutes.

use std::io::{self, Write};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};

use crate::clock::Nanos;
use crate::limits::HISTOGRAM_NS_MAX;

/// A histogram of nanoseconds.
#[derive(Debug, Clone)]
pub struct Nanoseconds(Histogram<u64>);

impl Nanoseconds {
    /// An empty histogram that tells values apart by so many digits (1 to 5).
    ///
    /// # Panics
    /// With other digits; they are constants here.
    #[must_use]
    pub fn new(digits: u8) -> Self {
        let made = Histogram::new_with_bounds(1, HISTOGRAM_NS_MAX, digits);
        Self(made.expect("bounds and digits are constants of this crate that the tests use"))
    }

    /// Adds a value.
    pub fn record(&mut self, value: Nanos) {
        self.0.saturating_record(value);
    }

    /// Adds the values of another one.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so that there is always room.
        self.0.add(&other.0).unwrap_or_default();
    }

    /// Values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value that this share (0 to 1) of all values does not exceed; 0 if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Nanos {
        self.0.value_at_quantile(share)
    }

    /// The largest value; 0 if there are none.
    #[must_use]
    pub fn max(&self) -> Nanos {
        self.0.max()
    }

    /// The distribution by percentiles in microseconds, as `HdrHistogram`'s plotter reads it (`.hgrm`).
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_percentiles(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>12} {:>14} {:>10} {:>14}\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        )?;
        let mut total = 0;
        for step in self.0.iter_quantiles(5) {
            total += step.count_since_last_iteration();
            let (value, share) = (step.value_iterated_to(), step.quantile_iterated_to());
            write!(out, "{:>12.3} {share:>14.12} {total:>10}", micros(value))?;
            if share < 1.0 {
                write!(out, " {:>14.2}", 1.0 / (1.0 - share))?;
            }
            writeln!(out)?;
        }
        writeln!(
            out,
            "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
            self.0.mean() / 1000.0,
            self.0.stdev() / 1000.0
        )?;
        writeln!(
            out,
            "#[Max     = {:>12.3}, Total count    = {:>12}]",
            micros(self.max()),
            self.count()
        )?;
        writeln!(
            out,
            "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
            self.0.buckets(),
            self.0.distinct_values() / usize::from(self.0.buckets()).max(1)
        )
    }

    /// One line of an interval log (version 1.3): seconds from the start, seconds long, maximum in milliseconds, the
    /// histogram of nanoseconds itself, compressed.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_interval(&self, second: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut packed = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut packed)
            .map_err(|error| io::Error::other(error.to_string()))?;
        writeln!(
            out,
            "{second}.000,1.000,{:.3},{}",
            micros(self.max()) / 1000.0,
            base64(&packed)
        )
    }
}

/// What an interval log begins with; `started_at` in seconds since 1970.
#[must_use]
pub fn interval_log_header(started_at: u64) -> String {
    format!(
        "#[Logged by tollgate-loadgen: latency from intended sending, nanoseconds]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {started_at}.000 (seconds since epoch)]\n\
         #[BaseTime: {started_at}.000 (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
    )
}

fn micros(nanos: Nanos) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

/// RFC 4648 §4.
fn base64(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let index = usize::try_from(bits >> shift & 63).unwrap_or(0);
            let letter = LETTERS.get(index).copied().unwrap_or(b'A');
            out.push(if place <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Nanoseconds::new(3);
        assert_eq!((histogram.quantile(0.5), histogram.max()), (0, 0));
        for value in 1..=1000 {
            histogram.record(value * 1000);
        }
        for (share, value) in [
            (0.5, 500_000),
            (0.9, 900_000),
            (0.99, 990_000),
            (1.0, 1_000_000),
        ] {
            assert!(
                histogram.quantile(share).abs_diff(value) <= value / 1000,
                "{share}"
            );
        }
        histogram.record(u64::MAX);
        assert!(histogram.max().abs_diff(HISTOGRAM_NS_MAX) <= HISTOGRAM_NS_MAX / 500);
        let mut sum = Nanoseconds::new(3);
        sum.add(&histogram);
        sum.add(&histogram);
        assert_eq!(sum.count(), 2002);
    }

    #[test]
    fn the_percentiles_in_text_end_with_all_values() {
        let mut histogram = Nanoseconds::new(3);
        for value in 1..=1000 {
            histogram.record(value * 1000);
        }
        let mut out = Vec::new();
        histogram.write_percentiles(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines[0].trim_start().starts_with("Value "));
        let last: Vec<&str> = lines.last().unwrap().split_whitespace().collect();
        assert_eq!(last[1..], ["1.000000000000", "1000"]);
        assert!(lines[3].split_whitespace().count() == 4, "{}", lines[3]);
        assert!(text.contains("Total count    =         1000]"), "{text}");
    }

    #[test]
    fn an_interval_can_be_read_back() {
        let mut histogram = Nanoseconds::new(2);
        histogram.record(5_000_000);
        let mut out = Vec::new();
        histogram.write_interval(7, &mut out).unwrap();
        let line = String::from_utf8(out).unwrap();
        let log = interval_log_header(1) + &line;
        use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
        let entries: Vec<_> = IntervalLogIterator::new(log.as_bytes())
            .map(|entry| entry.unwrap())
            .collect();
        let found = entries.iter().find_map(|entry| match entry {
            LogEntry::Interval(interval) => Some(interval),
            LogEntry::StartTime(_) | LogEntry::BaseTime(_) => None,
        });
        let interval = found.unwrap();
        assert_eq!(interval.start_timestamp().as_secs(), 7);
        assert!(line.starts_with("7.000,1.000,5."), "{line}");
        assert!(interval.encoded_histogram().starts_with("HISTFAA"));
    }

    #[test]
    fn octets_become_the_letters_of_rfc_4648() {
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(octets.as_bytes()), text);
        }
    }
}
