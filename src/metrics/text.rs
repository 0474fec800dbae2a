//! The text format of Prometheus (0.0.4), written without a library.
//!
//! Promises: each metric's `# HELP` and `# TYPE` come once, before its samples; label values are escaped.

use super::{Kind, Metric};
use std::fmt::{self, Display, Write};

/// A text that grows.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    name: &'static str,
}

/// Label names and values of a sample.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

impl Text {
    /// Begins a metric; its samples follow.
    pub(super) fn metric(&mut self, metric: &Metric) {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let Metric { name, meaning, .. } = *metric;
        self.name = name;
        self.push(format_args!(
            "# HELP {name} {meaning}\n# TYPE {name} {kind}\n"
        ));
    }

    /// One sample of the metric begun last.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.suffixed("", labels, None, value);
    }

    /// A histogram of the metric begun last; `scale` writes a bound or the sum in the metric's unit.
    pub(super) fn histogram<D: Display>(
        &mut self,
        labels: Labels<'_>,
        bounds: &[u64],
        counts: &[u64],
        sum: u64,
        scale: impl Fn(u64) -> D,
    ) {
        let mut total = 0;
        let mut bounds = bounds.iter();
        for count in counts {
            total += count;
            let bound = bounds
                .next()
                .map_or_else(|| "+Inf".to_owned(), |bound| scale(*bound).to_string());
            self.suffixed("_bucket", labels, Some(&bound), total);
        }
        self.suffixed("_sum", labels, None, scale(sum));
        self.suffixed("_count", labels, None, total);
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.out
    }

    fn suffixed(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        let name = self.name;
        self.push(format_args!("{name}{suffix}"));
        let mut before = "{";
        for (label, text) in labels
            .iter()
            .copied()
            .chain(bound.map(|bound| ("le", bound)))
        {
            self.push(format_args!("{before}{label}=\"{}\"", Escaped(text)));
            before = ",";
        }
        let close = if before == "," { "}" } else { "" };
        self.push(format_args!("{close} {value}\n"));
    }

    fn push(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _always_ok = self.out.write_fmt(what);
    }
}

/// Nanoseconds as seconds, exactly and without trailing zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds {
    pub(super) ns: u64,
}

impl Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.ns / 1_000_000_000, self.ns % 1_000_000_000);
        out.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => out.write_str("\\\\")?,
                '"' => out.write_str("\\\"")?,
                '\n' => out.write_str("\\n")?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BATCH_SERVICE, DATAGRAMS};
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut text = Text::default();
        text.metric(&DATAGRAMS);
        text.sample(&[("shard", "a\"b\\c\nd"), ("other", "ü")], 7);
        text.sample(&[], 8);
        assert!(text.finish().ends_with(
            "# TYPE tollgate_datagrams_total counter\n\
             tollgate_datagrams_total{shard=\"a\\\"b\\\\c\\nd\",other=\"ü\"} 7\n\
             tollgate_datagrams_total 8\n"
        ));
    }

    #[test]
    fn a_histogram_adds_up_to_its_count() {
        let mut text = Text::default();
        text.metric(&BATCH_SERVICE);
        text.histogram(
            &[("shard", "0")],
            &[5_000, 1_000_000_000],
            &[1, 2, 4],
            2_500_000_001,
            |ns| Seconds { ns },
        );
        assert!(text.finish().ends_with(
            "tollgate_batch_service_seconds_bucket{shard=\"0\",le=\"0.000005\"} 1\n\
             tollgate_batch_service_seconds_bucket{shard=\"0\",le=\"1\"} 3\n\
             tollgate_batch_service_seconds_bucket{shard=\"0\",le=\"+Inf\"} 7\n\
             tollgate_batch_service_seconds_sum{shard=\"0\"} 2.500000001\n\
             tollgate_batch_service_seconds_count{shard=\"0\"} 7\n"
        ));
    }

    #[test]
    fn seconds_are_exact() {
        for (ns, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (10_240_000, "0.01024"),
            (10_000_000_000, "10"),
        ] {
            assert_eq!(Seconds { ns }.to_string(), text);
        }
    }
}
