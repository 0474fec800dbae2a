//! What a person sees while a run goes on: a screen that renews itself on a terminal, a line a second elsewhere.
//!
//! Promises: nobody waits for whoever reads it; what cannot be written is not written.

use std::io::{self, IsTerminal, Write};

use crate::report::IntervalLine;
use crate::stats::Counts;

/// Who is told how a run goes.
pub trait Progress {
    /// A second is over.
    fn second(&mut self, line: &IntervalLine);
    /// Something is to be said.
    fn note(&mut self, text: &str);
    /// The run is over.
    fn end(&mut self) {}
}

/// Nobody is told.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn second(&mut self, _line: &IntervalLine) {}
    fn note(&mut self, _text: &str) {}
}

/// A line a second.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: Write> Progress for Lines<W> {
    fn second(&mut self, line: &IntervalLine) {
        let _unread = writeln!(self.0, "{line}");
    }

    fn note(&mut self, text: &str) {
        let _unread = writeln!(self.0, "{text}");
    }
}

/// Seconds whose latency the screen shows as a row of bars: as many as fit beside their title.
const SECONDS_SHOWN: usize = 54;

/// Eight heights of a bar.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A screen that renews itself.
#[derive(Debug)]
pub struct Screen<W> {
    out: W,
    total: Counts,
    /// 99th percentiles of the last seconds, nanoseconds.
    p99s: Vec<u64>,
    /// Lines that stand on the terminal.
    drawn: usize,
}

impl<W: Write> Screen<W> {
    /// A screen on this terminal.
    pub fn new(out: W) -> Self {
        Self {
            out,
            total: Counts::default(),
            p99s: Vec::new(),
            drawn: 0,
        }
    }

    fn text(&self, line: &IntervalLine) -> Vec<String> {
        let (now, all) = (&line.counts, &self.total);
        let micros = |nanos: u64| format!("{}.{} us", nanos / 1000, nanos / 100 % 10);
        vec![
            format!(
                "second {:<8} sent {:>9}/s   answered {:>9}/s",
                line.second, now.sent, now.answered
            ),
            format!(
                "so far          sent {:>9}     answered {:>9}",
                all.sent, all.answered
            ),
            format!(
                "lost {:<7} wrong {:<7} again {:<8} doubled {:<7} unexpected {}",
                all.lost,
                all.wrong,
                all.retransmitted,
                all.duplicates,
                all.unexpected()
            ),
            format!(
                "latency of this second   p50 {:<12} p99 {:<12} max {:<12}",
                micros(line.p50),
                micros(line.p99),
                micros(line.max)
            ),
            format!("p99, last seconds        {}", self.bars()),
        ]
    }

    /// Bars on a logarithmic scale: each height doubles what the one below says.
    fn bars(&self) -> String {
        let least = self
            .p99s
            .iter()
            .copied()
            .filter(|&p99| p99 > 0)
            .min()
            .unwrap_or(1);
        let bar = |&p99: &u64| {
            let doublings = (p99 / least.max(1)).max(1).ilog2();
            let height = usize::try_from(doublings).unwrap_or(0).min(BARS.len() - 1);
            BARS.get(height).copied().unwrap_or(' ')
        };
        self.p99s.iter().map(bar).collect()
    }
}

impl<W: Write> Progress for Screen<W> {
    fn second(&mut self, line: &IntervalLine) {
        self.total.add(&line.counts);
        if self.p99s.len() == SECONDS_SHOWN {
            self.p99s.remove(0);
        }
        self.p99s.push(line.p99);
        let text = self.text(line);
        // Without wrapping: on a narrow terminal a line ends at its edge, and going up meets the first one again.
        let mut frame = String::from("\x1b[?7l");
        if self.drawn > 0 {
            frame.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in &text {
            frame.push_str(&format!("\x1b[2K{line}\n"));
        }
        frame.push_str("\x1b[?7h");
        self.drawn = text.len();
        let _unread = self.out.write_all(frame.as_bytes());
        let _unread = self.out.flush();
    }

    fn note(&mut self, text: &str) {
        // It stays; the screen goes on below it.
        self.drawn = 0;
        let _unread = writeln!(self.out, "{text}");
    }

    fn end(&mut self) {
        self.drawn = 0;
    }
}

/// What suits standard error.
#[must_use]
pub fn for_standard_error() -> Box<dyn Progress> {
    let out = io::stderr();
    if out.is_terminal() {
        return Box::new(Screen::new(out));
    }
    Box::new(Lines(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;

    #[test]
    fn the_screen_writes_over_itself_and_adds_up() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out);
        let mut interval = Interval::new(0);
        interval.counts.sent = 70;
        interval.counts.lost = 2;
        interval.from_intended.record(5_000);
        screen.second(&IntervalLine::of(&interval));
        screen.second(&IntervalLine::of(&interval));
        screen.note("done");
        screen.second(&IntervalLine::of(&interval));
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\x1b[5A").count(), 1, "{text}");
        assert!(
            text.contains("sent       140 ") && text.contains("lost 6 "),
            "{text}"
        );
        assert!(text.contains("p99, last seconds        ▁▁▁"), "{text}");
    }

    #[test]
    fn the_screen_fits_into_eighty_columns() {
        let mut screen = Screen::new(Vec::new());
        let mut interval = Interval::new(86_399);
        interval.counts.sent = 9_999_999;
        interval.counts.answered = 9_999_999;
        interval.counts.lost = 999_999;
        interval.counts.wrong = 999_999;
        interval.counts.retransmitted = 9_999_999;
        interval.counts.duplicates = 999_999;
        interval.counts.late = 999_999;
        interval.from_intended.record(32_000_000_000);
        screen.p99s = vec![1; SECONDS_SHOWN];
        screen.total = interval.counts;
        for line in screen.text(&IntervalLine::of(&interval)) {
            assert!(line.chars().count() < 80, "{line}");
        }
    }

    #[test]
    fn a_second_in_which_no_call_ended_has_no_latency() {
        let mut interval = Interval::new(0);
        interval.counts.sent = 70;
        let line = IntervalLine::of(&interval).to_string();
        assert!(
            line.ends_with("again     0  no call has ended yet"),
            "{line}"
        );
        interval.from_intended.record(5_000);
        let line = IntervalLine::of(&interval).to_string();
        assert!(line.ends_with("p99       5.0 us"), "{line}");
    }

    #[test]
    fn bars_double_with_each_height() {
        let mut screen = Screen::new(Vec::new());
        screen.p99s = vec![10, 20, 40, 5_000_000];
        assert_eq!(screen.bars(), "▁▂▃█");
    }
}
