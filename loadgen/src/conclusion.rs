//! What the figures say: met, missed, or invalid because the generator itself was late.
//!
//! Promises: a run whose generator was late is invalid whatever the server did; every bound that was missed is named.
//! Leaves to `report`: how it is said.

use crate::cli::values::Share;
use crate::clock::Nanos;
use crate::report::{IntervalLine, micros};
use crate::stats::Stats;

/// What makes a run invalid or missed.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The 99th percentile of lateness above which the run is invalid, in nanoseconds.
    pub lateness_max: Nanos,
    /// How many calls may stay unanswered.
    pub lost_max: Share,
    /// Shares of calls with the latency from intended sending that they may have, in nanoseconds.
    pub latency_max: [(&'static str, f64, Option<Nanos>); 3],
    /// How many times the latency of the first quarter that of the last may be.
    pub drift_max: Option<f64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// Whether the generator did what it was asked, so that the figures are the server's.
    pub valid: bool,
    /// Why it is invalid or missed, or that it was ended early.
    pub reason: Option<String>,
    /// [`EXIT_MET`], [`EXIT_MISSED`] or [`EXIT_INVALID`].
    pub exit: u8,
}

/// Every bound holds.
pub const EXIT_MET: u8 = 0;
/// A bound was missed or a verdict wrong.
pub const EXIT_MISSED: u8 = 1;
/// The command line cannot be obeyed.
pub const EXIT_USAGE: u8 = 2;
/// Nothing is known of the server.
pub const EXIT_INVALID: u8 = 3;

/// What the exit statuses say, as the help has it.
pub const EXITS: [(u8, &str); 4] = [
    (
        EXIT_MET,
        "met: every bound holds and every verdict is the expected one; of `find-max`: a rate was found",
    ),
    (
        EXIT_MISSED,
        "missed: a verdict was wrong, calls went unanswered or were still open at the end, or a bound of latency or drift was missed",
    ),
    (
        EXIT_USAGE,
        "usage: the command line, or a file or an address that it names, cannot be used",
    ),
    (
        EXIT_INVALID,
        "invalid: the generator was late or could not send, so nothing is known of the server; of `find-max`: no rate was found",
    ),
];

/// What the figures say about a run.
#[must_use]
pub fn conclude(stats: &Stats, bounds: &Bounds, drift: Option<f64>, signalled: bool) -> Conclusion {
    let counts = &stats.counts;
    let invalid = |reason: String| Conclusion {
        valid: false,
        reason: Some(reason),
        exit: EXIT_INVALID,
    };
    if let Some(broken) = &stats.broken {
        return invalid(broken.clone());
    }
    if counts.sent == 0 {
        return invalid("no call was sent".to_owned());
    }
    let lateness = stats.lateness.quantile(0.99);
    if lateness > bounds.lateness_max {
        return invalid(format!(
            "the generator was late: p99 {:.0} us, {:.0} us are allowed; this machine cannot offer that rate now",
            micros(lateness),
            micros(bounds.lateness_max),
        ));
    }
    let mut missed = Vec::new();
    if counts.wrong > 0 {
        missed.push(format!("{} wrong verdicts", counts.wrong));
    }
    if bounds.lost_max.is_exceeded(counts.lost, counts.sent) {
        missed.push(format!(
            "{} calls without an answer at Timer B",
            counts.lost
        ));
    }
    if counts.abandoned > 0 {
        let still = counts.abandoned;
        missed.push(format!("{still} calls still open when the run was ended"));
    }
    for (name, share, most) in bounds.latency_max {
        let found = stats.from_intended.quantile(share);
        if let Some(most) = most.filter(|&most| found > most) {
            let (found, most) = (micros(found), micros(most));
            missed.push(format!("{name} {found:.0} us, {most:.0} us are allowed"));
        }
    }
    if let Some((drift, most)) = drift.zip(bounds.drift_max)
        && drift > most
    {
        missed.push(format!(
            "p99 in the last quarter is {drift:.2} times that of the first, {most} are allowed"
        ));
    }
    if !missed.is_empty() {
        return Conclusion {
            valid: true,
            reason: Some(missed.join(", ")),
            exit: EXIT_MISSED,
        };
    }
    Conclusion {
        valid: true,
        reason: signalled.then(|| "ended early by a signal".to_owned()),
        exit: EXIT_MET,
    }
}

/// How many times the first quarter's median second the last quarter's is, by the 99th percentiles of the seconds.
#[must_use]
pub fn drift_of(intervals: &[IntervalLine]) -> Option<f64> {
    let busy: Vec<Nanos> = intervals
        .iter()
        .filter(|line| line.counts.answered > 0 && line.counts.sent > 0)
        .map(|line| line.p99)
        .collect();
    let quarter = busy.len() / 4;
    let median = |seconds: Option<&[Nanos]>| {
        let mut seconds = seconds?.to_vec();
        seconds.sort_unstable();
        seconds
            .get(seconds.len() / 2)
            .copied()
            .filter(|&p99| p99 > 0)
    };
    let first = median(busy.get(..quarter))?;
    let last = median(busy.get(busy.len() - quarter..))?;
    Some(micros(last) / micros(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;

    const BOUND: Nanos = 50_000_000;

    const BOUNDS: Bounds = Bounds {
        lateness_max: BOUND,
        lost_max: Share::Calls(0),
        latency_max: [
            ("p50", 0.5, None),
            ("p99", 0.99, None),
            ("p999", 0.999, None),
        ],
        drift_max: None,
    };

    fn stats(sent: u64) -> Stats {
        let mut stats = Stats::new();
        stats.counts.sent = sent;
        stats.counts.answered = sent;
        stats
    }

    #[test]
    fn a_run_is_met_missed_or_invalid() {
        let conclude_with = |change: &dyn Fn(&mut Stats)| {
            let mut stats = stats(100);
            change(&mut stats);
            conclude(&stats, &BOUNDS, None, false)
        };
        for (change, valid, exit, part) in [
            (&(|_: &mut Stats| {}) as &dyn Fn(&mut Stats), true, 0, ""),
            (
                &|s: &mut Stats| s.counts.wrong = 1,
                true,
                1,
                "1 wrong verdicts",
            ),
            (
                &|s: &mut Stats| s.counts.lost = 2,
                true,
                1,
                "2 calls without an answer",
            ),
            (
                &|s: &mut Stats| s.counts.abandoned = 3,
                true,
                1,
                "3 calls still open",
            ),
            (
                &|s: &mut Stats| s.counts.sent = 0,
                false,
                3,
                "no call was sent",
            ),
            (
                &|s: &mut Stats| s.broken = Some("x".to_owned()),
                false,
                3,
                "x",
            ),
            (&|s: &mut Stats| s.lateness.record(BOUND / 2), true, 0, ""),
            (
                &|s: &mut Stats| s.lateness.record(BOUND * 2),
                false,
                3,
                "late",
            ),
            (&|s: &mut Stats| s.counts.duplicates = 9, true, 0, ""),
        ] {
            let found = conclude_with(change);
            assert_eq!((found.valid, found.exit), (valid, exit), "{found:?}");
            assert!(
                found.reason.clone().unwrap_or_default().contains(part),
                "{found:?}"
            );
            assert_eq!(found.reason.is_none(), part.is_empty());
        }
    }

    #[test]
    fn lateness_makes_even_a_missed_run_invalid() {
        let mut stats = stats(1);
        stats.counts.wrong = 1;
        stats.lateness.record(BOUND * 2);
        assert_eq!(conclude(&stats, &BOUNDS, None, false).exit, 3);
    }

    #[test]
    fn bounds_that_the_user_sets_are_held() {
        let p99 = |most| Bounds {
            latency_max: [
                ("p50", 0.5, None),
                ("p99", 0.99, Some(most)),
                ("p999", 0.999, None),
            ],
            ..BOUNDS
        };
        let lost = |most| Bounds {
            lost_max: most,
            ..BOUNDS
        };
        let drift = Bounds {
            drift_max: Some(1.5),
            ..BOUNDS
        };
        let mut stats = stats(1000);
        for _ in 0..1000 {
            stats.from_intended.record(2_000_000);
        }
        stats.counts.lost = 5;
        for (bounds, drifted, part) in [
            (lost(Share::Calls(5)), None, ""),
            (lost(Share::Calls(4)), None, "5 calls without an answer"),
            (lost(Share::Percent(0.5)), None, ""),
            (lost(Share::Percent(0.4)), None, "5 calls without an answer"),
            (p99(3_000_000), None, "5 calls without"),
            (p99(1_000_000), None, "p99 2001 us, 1000 us are allowed"),
            (drift, Some(1.6), "1.60 times that of the first"),
        ] {
            let found = conclude(&stats, &bounds, drifted, false);
            assert_eq!(found.exit, u8::from(!part.is_empty()), "{found:?}");
            assert!(found.reason.unwrap_or_default().contains(part), "{part}");
        }
        stats.counts.lost = 0;
        assert_eq!(conclude(&stats, &drift, Some(1.4), false).exit, 0);
    }

    #[test]
    fn drift_is_the_last_quarter_over_the_first() {
        let lines: Vec<IntervalLine> = (1..=8)
            .map(|second| {
                let mut interval = Interval::new(second);
                interval.counts.sent = 1;
                interval.counts.answered = 1;
                interval.from_intended.record(second * 1000);
                IntervalLine::of(&interval)
            })
            .collect();
        let drift = drift_of(&lines).unwrap();
        assert!((3.9..4.1).contains(&drift), "{drift}");
        assert_eq!(drift_of(&lines[..3]), None);
    }

    #[test]
    fn an_early_end_is_said_but_no_miss() {
        let found = conclude(&stats(5), &BOUNDS, None, true);
        assert_eq!(found.exit, 0);
        assert_eq!(found.reason.as_deref(), Some("ended early by a signal"));
    }
}
