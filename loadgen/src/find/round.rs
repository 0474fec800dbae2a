//! One round of a search and what it says.

use serde_json::{Value, json};

use crate::conclusion::{Conclusion, EXIT_MET};
use crate::report::Results;

/// One round.
#[derive(Debug, Clone)]
pub struct Round {
    /// Calls per second offered.
    pub rate: f64,
    /// Whether the server kept its promises.
    pub passed: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Whether the generator itself was what failed.
    pub generator_late: bool,
    /// 99th percentile of latency in microseconds.
    pub p99_us: f64,
    /// The last reading of the yardstick before it, and that right after it: with a pulse, not every round has one.
    pub yardsticks: (f64, Option<f64>),
    /// The pulse of the server's core, touches per second, if the search goes by it.
    pub pulse: Option<f64>,
    /// Copies that were sent of what was not answered in time.
    pub retransmitted: u64,
    /// Whether it was ended as soon as it was certain that it does not count.
    pub cut_short: bool,
    /// Whether the rule discarded it.
    pub discarded: bool,
}

/// What a round says that counts.
pub(super) fn judge(rate: f64, results: &Results, yardsticks: (f64, Option<f64>)) -> Round {
    let Conclusion {
        valid,
        reason,
        exit,
    } = results.conclusion();
    Round {
        rate,
        passed: valid && exit == EXIT_MET,
        reason,
        generator_late: !valid,
        p99_us: results.p99_us(),
        yardsticks,
        pulse: None,
        retransmitted: results.stats.counts.retransmitted,
        cut_short: false,
        discarded: false,
    }
}

impl Round {
    /// The line for the terminal.
    pub(super) fn line(&self) -> String {
        let outcome = match (self.cut_short, self.discarded, self.passed) {
            (true, ..) => "cut short",
            (_, true, _) => "discarded",
            (_, false, true) => "kept",
            (_, false, false) => "missed",
        };
        let reason = self.reason.as_deref().unwrap_or("");
        let after = self.yardsticks.1.map(|after| format!("{after:.0}"));
        let pulse = self.pulse.map(|pulse| format!("  pulse {pulse:>9.0}"));
        format!(
            "{:>9.0} calls/s  {outcome:<9}  p99 {:>9.1} us  yardstick {:>8.0} {:>8}{}  {reason}",
            self.rate,
            self.p99_us,
            self.yardsticks.0,
            after.unwrap_or_default(),
            pulse.unwrap_or_default()
        )
    }

    /// Its part of the JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "rate_per_s": self.rate.round(),
            "passed": self.passed,
            "reason": self.reason,
            "generator_late": self.generator_late,
            "p99_us": self.p99_us,
            "yardstick_before_per_s": self.yardsticks.0.round(),
            "yardstick_after_per_s": self.yardsticks.1.map(f64::round),
            "pulse_per_s": self.pulse.map(f64::round),
            "retransmitted": self.retransmitted,
            "cut_short": self.cut_short,
            "discarded": self.discarded,
        })
    }
}
