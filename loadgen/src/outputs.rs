//! The files of a run beside its JSON: a line a second as CSV, a log of the seconds' histograms, and the whole as percentiles.
//!
//! Promises: files are opened before anything is sent; a second is on its way to the disk when it is over, so that what ended
//! early has left what it had. A fault of a disk is kept and said at the end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::histogram::{Nanoseconds, interval_log_header};
use crate::report::IntervalLine;
use crate::stats::{Counts, Interval};

/// `SIPp`'s names where they mean the same: (P) is of this second, (C) since the start.
const CSV_HEADER: &str = "ElapsedTime(C);TargetRate;CallRate(P);OutgoingCall(P);OutgoingCall(C);SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C);Retransmissions(P);Retransmissions(C);WrongVerdict(P);Unexpected(P);ResponseTimeP50_us;ResponseTimeP99_us;ResponseTimeMax_us";

/// A file that was opened, and what went wrong with it first.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    fault: Option<String>,
}

impl Output {
    /// Opens a file anew.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn create(path: &Path) -> Result<Self, String> {
        Ok(Self {
            path: path.to_owned(),
            file: File::create(path).map_err(|error| format!("{}: {error}", path.display()))?,
            fault: None,
        })
    }

    /// Writes, unless it has failed before.
    pub fn write(&mut self, octets: &[u8]) {
        if self.fault.is_none()
            && let Err(error) = self.file.write_all(octets)
        {
            self.fault = Some(format!("{}: {error}", self.path.display()));
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn finish(self) -> Result<(), String> {
        self.fault.map_or(Ok(()), Err)
    }
}

/// What is written second by second.
#[derive(Debug)]
pub struct Seconds {
    csv: Option<Output>,
    log: Option<Output>,
    rate: f64,
    total: Counts,
}

impl Seconds {
    /// Opens the files that are wanted; `rate` is what is offered a second.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn create(
        csv: Option<&Path>,
        log: Option<&Path>,
        rate: f64,
        started_at: u64,
    ) -> Result<Self, String> {
        let mut seconds = Self {
            csv: csv.map(Output::create).transpose()?,
            log: log.map(Output::create).transpose()?,
            rate,
            total: Counts::default(),
        };
        if let Some(csv) = &mut seconds.csv {
            csv.write(format!("{CSV_HEADER}\n").as_bytes());
        }
        if let Some(log) = &mut seconds.log {
            log.write(interval_log_header(started_at).as_bytes());
        }
        Ok(seconds)
    }

    /// A second is over.
    pub fn second(&mut self, interval: &Interval, line: &IntervalLine) {
        self.total.add(&line.counts);
        let text = self.csv_line(line);
        if let Some(csv) = &mut self.csv {
            csv.write(text.as_bytes());
        }
        if let Some(log) = &mut self.log {
            let mut text = Vec::new();
            match interval
                .from_intended
                .write_interval(line.second, &mut text)
            {
                Ok(()) => log.write(&text),
                Err(error) => log.fault = Some(format!("{}: {error}", log.path.display())),
            }
        }
    }

    fn csv_line(&self, line: &IntervalLine) -> String {
        let (now, all) = (&line.counts, &self.total);
        let micros = |nanos| Duration::from_nanos(nanos).as_secs_f64() * 1e6;
        let elapsed = line.second + 1;
        format!(
            "{:02}:{:02}:{:02};{};{};{};{};{};{};{};{};{};{};{};{};{:.1};{:.1};{:.1}\n",
            elapsed / 3600,
            elapsed / 60 % 60,
            elapsed % 60,
            self.rate,
            now.sent,
            now.sent,
            all.sent,
            now.answered.saturating_sub(now.wrong),
            all.answered.saturating_sub(all.wrong),
            now.lost + now.wrong,
            all.lost + all.wrong,
            now.retransmitted,
            all.retransmitted,
            now.wrong,
            now.unexpected(),
            micros(line.p50),
            micros(line.p99),
            micros(line.max),
        )
    }

    /// Ends the files.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn finish(self) -> Result<(), String> {
        for output in [self.csv, self.log].into_iter().flatten() {
            output.finish()?;
        }
        Ok(())
    }
}

/// Writes the percentiles of a run.
///
/// # Errors
/// A sentence for the operator.
pub fn write_percentiles(histogram: &Nanoseconds, mut output: Output) -> Result<(), String> {
    let mut text = Vec::new();
    histogram
        .write_percentiles(&mut text)
        .map_err(|error| format!("{}: {error}", output.path.display()))?;
    output.write(&text);
    output.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_csv_has_a_value_for_each_name() {
        let mut seconds = Seconds::create(None, None, 500.0, 0).unwrap();
        let mut interval = Interval::new(59);
        interval.counts.sent = 500;
        interval.counts.answered = 498;
        interval.counts.lost = 2;
        interval.counts.wrong = 1;
        let line = IntervalLine::of(&interval);
        for _ in 0..2 {
            seconds.second(&interval, &line);
        }
        let text = seconds.csv_line(&line);
        let fields: Vec<&str> = text.trim_end().split(';').collect();
        assert_eq!(fields.len(), CSV_HEADER.split(';').count());
        assert_eq!(
            fields[..9],
            [
                "00:01:00", "500", "500", "500", "1000", "497", "994", "3", "6"
            ]
        );
    }

    #[test]
    fn a_full_disk_is_said_at_the_end() {
        let mut output = Output::create(Path::new("/dev/full")).unwrap();
        output.write(b"x");
        output.write(b"y");
        assert!(output.finish().unwrap_err().starts_with("/dev/full: "));
    }
}
