//! The `find-max` command: the highest rate at which a server keeps its promises, with an interval around it.
//!
//! Three steps: the rate grows by half until a round fails; the gap is halved until it is small; then rounds go up a step
//! after each success and down a step after each failure, and the mean of their rates is the answer.
//!
//! Promises: a round is discarded by one rule alone, fixed before the first: the yardstick (this generator against its own
//! responder) read right before or right after it is outside its band around the second best of the first readings, or around what
//! the operator says; then the machine was not itself. What the round showed plays no part. No round begins while the yardstick
//! is outside the band. A result near the generator's own ceiling, the least that was read beside a round that counts, is marked.

use serde_json::{Value, json};
use signal_hook::iterator::Signals;

use crate::cli::RunArgs;
use crate::cli::search::FindArgs;
use crate::conclusion::{Conclusion, EXIT_INVALID, EXIT_MET};
use crate::limits::{
    FIND_DISCARDED_MAX, FIND_GAP, FIND_GROWTH, FIND_STEP, FIND_WAITS_MAX, RATE_MAX, YARDSTICK_BAND,
    YARDSTICK_READINGS,
};
use crate::report::{Results, SCHEMA};
use crate::run::{self, Course, OnSignal};
use crate::screen::{Progress, Silent};
use crate::yardstick::{Yardstick, is_generator_bound, second_best};

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
    /// The yardstick before and after.
    pub yardsticks: (f64, f64),
    /// Whether the rule discarded it.
    pub discarded: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The rate, calls per second, and how far to either side it is uncertain.
    pub rate: Option<(f64, f64)>,
    /// The generator's own ceiling, calls per second: the least beside a round that counts.
    pub ceiling: f64,
    /// What the band of the yardstick was around, calls per second.
    pub reference: f64,
    /// Why there is no result.
    pub reason: Option<String>,
    /// All rounds, in order.
    pub rounds: Vec<Round>,
    /// The last round's results, for the environment.
    pub last: Option<Results>,
    seed: u64,
    command: String,
}

/// Looks for the rate. The first SIGINT or SIGTERM ends the search with what it has.
///
/// # Errors
/// A sentence for the operator about what cannot be done as asked.
pub fn find(args: &FindArgs, progress: &mut dyn Progress) -> Result<Found, String> {
    let yardstick = Yardstick::start(&args.run, args.yardstick_cores.as_ref())?;
    let mut search = Search::begin(args, &yardstick, progress)?;
    let start = run::per_second(args.run.rate);
    let rate = steps(start, args.rounds, &mut |rate| search.round(rate));
    let found = Found::of(rate, search.rounds, search.reference);
    let last = search.last;
    yardstick.finish();
    Ok(Found {
        last,
        seed: args.run.seed,
        ..found
    })
}

/// The rounds of a search, with the yardstick beside them.
struct Search<'a> {
    args: &'a FindArgs,
    yardstick: &'a Yardstick,
    progress: &'a mut dyn Progress,
    /// Heard from the first reading on, between rounds as well.
    signals: Signals,
    /// The second best of the first readings: what the band is around.
    reference: f64,
    /// The reading before the next round.
    before: f64,
    rounds: Vec<Round>,
    discarded: usize,
    /// Readings that were outside the band, so that no round was begun.
    waits: usize,
    last: Option<Results>,
}

impl<'a> Search<'a> {
    fn begin(
        args: &'a FindArgs,
        yardstick: &'a Yardstick,
        progress: &'a mut dyn Progress,
    ) -> Result<Self, String> {
        let signals = run::signals()?;
        let mut readings = Vec::with_capacity(YARDSTICK_READINGS);
        yardstick.reading(args.yardstick)?; // the first wakes the cores and is not kept
        for _ in 0..YARDSTICK_READINGS {
            readings.push(yardstick.reading(args.yardstick)?);
        }
        let last = readings.last().copied().unwrap_or(0.0);
        let here = second_best(&mut readings);
        let reference = args.yardstick_reference.map_or(here, calls_per_second);
        progress.note(&format!(
            "the generator's own ceiling here: {here:.0} calls/s; a round counts if that beside it is from {:.0} to {:.0}, and the search waits until it is",
            reference * (1.0 - YARDSTICK_BAND),
            reference / (1.0 - YARDSTICK_BAND),
        ));
        Ok(Self {
            args,
            yardstick,
            progress,
            signals,
            reference,
            before: last,
            rounds: Vec::new(),
            discarded: 0,
            waits: 0,
            last: None,
        })
    }

    /// Whether the server keeps its promises at this rate: a round that the rule discards is made again.
    fn round(&mut self, rate: f64) -> Result<bool, String> {
        loop {
            self.wait_for_the_machine()?;
            let results = self.measure(rate)?;
            self.go_on()?; // what a signal cut short says nothing
            let after = self.yardstick.reading(self.args.yardstick)?;
            let round = judge(rate, &results, (self.before, after), self.reference);
            self.before = after;
            self.last = Some(results);
            self.progress.note(&round.line());
            let (passed, discarded) = (round.passed, round.discarded);
            self.rounds.push(round);
            if !discarded {
                return Ok(passed);
            }
            self.discarded += 1;
            if self.discarded > FIND_DISCARDED_MAX {
                return Err(format!(
                    "the machine was not itself in {} rounds: the yardstick left its band; measure when nothing else runs here",
                    self.discarded
                ));
            }
        }
    }

    /// An error once a signal has come.
    fn go_on(&mut self) -> Result<(), String> {
        match self.signals.pending().next() {
            Some(_) => Err("ended by a signal".to_owned()),
            None => Ok(()),
        }
    }

    /// Reads the yardstick again while it is outside its band: a round beside it would not count, whatever it showed.
    fn wait_for_the_machine(&mut self) -> Result<(), String> {
        self.go_on()?;
        while !is_in_band(self.before, self.reference) {
            if self.waits == FIND_WAITS_MAX {
                return Err(format!(
                    "the machine was not itself in {FIND_WAITS_MAX} readings: the yardstick left its band; measure when nothing else runs here"
                ));
            }
            self.waits += 1;
            self.before = self.yardstick.reading(self.args.yardstick)?;
            self.go_on()?;
        }
        Ok(())
    }

    fn measure(&self, rate: f64) -> Result<Results, String> {
        let mut args: RunArgs = self.args.run.clone();
        args.rate = run::milli(rate);
        let course = Course {
            progress: &mut Silent,
            calls_out: None,
            offer_for: None,
            on_signal: OnSignal::EndNow,
        };
        run::run(&args, course)
    }
}

/// The three steps; the rate and how far it is uncertain to either side. `holds` says whether the server keeps up.
fn steps(
    start: f64,
    rounds: usize,
    holds: &mut dyn FnMut(f64) -> Result<bool, String>,
) -> Result<(f64, f64), String> {
    let most = run::per_second(RATE_MAX * 1000);
    let (mut good, mut bad) = (0.0, start);
    while holds(bad)? {
        good = bad;
        bad *= FIND_GROWTH;
        if bad > most {
            return Err(format!(
                "the server keeps up with {good:.0} calls/s and more"
            ));
        }
    }
    while bad - good > bad * FIND_GAP {
        let middle = f64::midpoint(good, bad);
        if middle < 1.0 {
            return Err("the server does not even keep up with one call/s".to_owned());
        }
        if holds(middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    // Up a step after a success, down after a failure: the mean of the rates is where half of the rounds succeed.
    let middle = f64::midpoint(good, bad);
    let mut rate = middle;
    let mut rates = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        rates.push(rate);
        rate *= if holds(rate)? {
            1.0 + FIND_STEP
        } else {
            1.0 - FIND_STEP
        };
    }
    Ok(estimate(&rates, middle * FIND_STEP))
}

/// What a round says. `reference` is what the band of the yardstick is around.
fn judge(rate: f64, results: &Results, yardsticks: (f64, f64), reference: f64) -> Round {
    let Conclusion {
        valid,
        reason,
        exit,
    } = results.conclusion();
    let within = |reading| is_in_band(reading, reference);
    Round {
        rate,
        passed: valid && exit == EXIT_MET,
        reason,
        generator_late: !valid,
        p99_us: results.p99_us(),
        yardsticks,
        discarded: !(within(yardsticks.0) && within(yardsticks.1)),
    }
}

/// Whether a reading of the yardstick says that the machine is still what it was.
fn is_in_band(reading: f64, reference: f64) -> bool {
    reading.min(reference) >= reading.max(reference) * (1.0 - YARDSTICK_BAND)
}

/// The mean of the walk's rates and how far it is uncertain: two standard errors, but at least a step.
///
/// A rate is one step from the one before, so that neighbours know of each other and so many rates say as much as fewer would that are apart:
/// with a correlation of r between neighbours, as (1 - r) / (1 + r) of them. Without that, searches minutes apart did not overlap.
fn estimate(rates: &[f64], step: f64) -> (f64, f64) {
    let count = f64::from(u32::try_from(rates.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean = rates.iter().sum::<f64>() / count;
    let spread = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>();
    let pairs = rates.iter().zip(rates.iter().skip(1));
    let together = pairs.map(|(one, next)| (one - mean) * (next - mean));
    let known = (together.sum::<f64>() / spread.max(f64::MIN_POSITIVE)).clamp(0.0, CORRELATION_MAX);
    let apart = count * (1.0 - known) / (1.0 + known);
    let error = (spread / (count - 1.0).max(1.0) / apart).sqrt();
    (mean, (2.0 * error).max(step))
}

/// The correlation of neighbours that is reckoned with at most: a walk that only rose or fell has one near 1, and its interval is wide enough.
const CORRELATION_MAX: f64 = 0.9;

/// The least yardstick beside a round that counts; `None` when none does.
fn least_ceiling(rounds: &[Round]) -> Option<f64> {
    let counted = rounds.iter().filter(|round| !round.discarded);
    counted
        .map(|round| round.yardsticks.0.min(round.yardsticks.1))
        .reduce(f64::min)
}

/// A rate that was given as a whole number.
fn calls_per_second(rate: u64) -> f64 {
    run::per_second(rate.saturating_mul(1000))
}

impl Round {
    fn line(&self) -> String {
        let outcome = match (self.discarded, self.passed) {
            (true, _) => "discarded",
            (false, true) => "kept",
            (false, false) => "missed",
        };
        let reason = self.reason.as_deref().unwrap_or("");
        format!(
            "{:>9.0} calls/s  {outcome:<9}  p99 {:>9.1} us  yardstick {:>8.0} {:>8.0}  {reason}",
            self.rate, self.p99_us, self.yardsticks.0, self.yardsticks.1
        )
    }

    fn json(&self) -> Value {
        json!({
            "rate_per_s": self.rate.round(),
            "passed": self.passed,
            "reason": self.reason,
            "generator_late": self.generator_late,
            "p99_us": self.p99_us,
            "yardstick_before_per_s": self.yardsticks.0.round(),
            "yardstick_after_per_s": self.yardsticks.1.round(),
            "discarded": self.discarded,
        })
    }
}

impl Found {
    /// What these rounds say, if `reference` is what their yardsticks were held against.
    fn of(rate: Result<(f64, f64), String>, rounds: Vec<Round>, reference: f64) -> Self {
        Self {
            ceiling: least_ceiling(&rounds).unwrap_or(reference),
            reference,
            reason: rate.as_ref().err().cloned(),
            rate: rate.ok(),
            rounds,
            last: None,
            seed: 0,
            command: crate::report::command_line(),
        }
    }

    /// Whether the rate may be the generator's own: near its ceiling, or the generator was late where it ended.
    #[must_use]
    pub fn generator_bound(&self) -> bool {
        let near = self
            .rate
            .is_some_and(|(rate, _)| is_generator_bound(rate, self.ceiling));
        let late = |round: &Round| round.generator_late && !round.discarded;
        near || self.rounds.iter().any(late)
    }

    /// The exit status.
    #[must_use]
    pub fn exit(&self) -> u8 {
        if self.rate.is_some() {
            EXIT_MET
        } else {
            EXIT_INVALID
        }
    }

    /// The JSON of `tollgate-loadgen/1`.
    #[must_use]
    pub fn json(&self) -> Value {
        let rate = self.rate.map(|(rate, _)| rate.round());
        let half = self.rate.map(|(_, half)| half.round());
        json!({
            "schema": SCHEMA,
            "valid": self.rate.is_some(),
            "reason": self.reason,
            "exit": self.exit(),
            "command": self.command,
            "seed": self.seed,
            "environment": self.last.as_ref().map(Results::environment_json),
            "rate_per_s": rate,
            "low_per_s": rate.zip(half).map(|(rate, half)| rate - half),
            "high_per_s": rate.zip(half).map(|(rate, half)| rate + half),
            "half_width_percent": self.rate.map(|(rate, half)| (half / rate * 1000.0).round() / 10.0),
            "ceiling_per_s": self.ceiling.round(),
            "reference_per_s": self.reference.round(),
            "generator_bound": self.generator_bound(),
            "discarded": self.rounds.iter().filter(|round| round.discarded).count(),
            "rounds": self.rounds.iter().map(Round::json).collect::<Vec<_>>(),
        })
    }

    /// One sentence for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some((rate, half)) = self.rate else {
            return format!(
                "INVALID: {}\n",
                self.reason.as_deref().unwrap_or("no result")
            );
        };
        let bound = if self.generator_bound() {
            "\ngenerator-bound: the generator itself does not do much more here, so the server may"
        } else {
            ""
        };
        format!(
            "{rate:.0} calls/s, between {:.0} and {:.0} (the generator's own ceiling: {:.0}){bound}\n",
            rate - half,
            rate + half,
            self.ceiling
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_at_which_half_of_the_rounds_hold_is_found() {
        for (capacity, start) in [(43_210.0, 1000.0), (900.0, 5000.0), (5000.0, 5000.0)] {
            let mut random = crate::random::SplitMix64::of(1, 0);
            let mut noisy = |rate: f64| {
                // A server whose capacity wavers by 2 % to either side.
                let wavering = capacity * (0.98 + 0.04 * random.unit());
                Ok(rate <= wavering)
            };
            let (rate, half) = steps(start, 16, &mut noisy).unwrap();
            assert!(
                (rate - capacity).abs() <= half.max(capacity * 0.03),
                "{rate} ± {half}"
            );
            assert!(half <= capacity * 0.05, "{half}");
        }
    }

    #[test]
    fn a_server_that_never_or_always_keeps_up_has_no_rate() {
        let fault = |holds| steps(100.0, 4, &mut |_| Ok(holds)).unwrap_err();
        assert!(fault(false).contains("not even"));
        assert!(fault(true).contains("and more"));
        let ended = steps(100.0, 4, &mut |_| Err("ended by a signal".to_owned()));
        assert_eq!(ended.unwrap_err(), "ended by a signal");
    }

    #[test]
    fn the_estimate_is_the_mean_and_no_surer_than_a_step() {
        assert_eq!(estimate(&[100.0, 102.0, 100.0, 102.0], 2.5), (101.0, 2.5));
        let (mean, half) = estimate(&[80.0, 120.0, 80.0, 120.0], 2.5);
        assert!((mean - 100.0).abs() < 1e-9 && half > 20.0, "{half}");
    }

    #[test]
    fn rates_that_follow_each_other_closely_say_less() {
        let back_and_forth = estimate(&[1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0], 0.0);
        let there = estimate(&[1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0], 0.0);
        assert!((back_and_forth.0 - there.0).abs() < 1e-9);
        // The second's neighbours have a correlation of 5/8: as many as 8 * 3/13 apart.
        let wider = (13.0_f64 / 3.0).sqrt();
        assert!(
            (there.1 - wider * back_and_forth.1).abs() < 1e-9,
            "{there:?}"
        );
        assert!(estimate(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.0).1.is_finite());
        assert_eq!(estimate(&[2.0, 2.0], 0.5), (2.0, 0.5));
    }

    #[test]
    fn a_round_counts_while_the_yardstick_is_in_its_band() {
        for (reading, within) in [(790.0, false), (810.0, true), (1000.0, true)] {
            assert_eq!(is_in_band(reading, 1000.0), within, "{reading}");
            assert_eq!(is_in_band(1000.0, reading), within, "{reading}");
        }
    }

    #[test]
    fn a_result_is_held_against_the_least_ceiling_beside_a_round_that_counts() {
        let round = |yardsticks, discarded| Round {
            rate: 800.0,
            passed: true,
            reason: None,
            generator_late: false,
            p99_us: 1.0,
            yardsticks,
            discarded,
        };
        let rounds = [
            round((1000.0, 960.0), false),
            round((910.0, 990.0), false),
            round((300.0, 990.0), true),
        ];
        let found = |rounds: &[Round]| Found::of(Ok((800.0, 20.0)), rounds.to_vec(), 1001.0);
        let near = found(&rounds);
        assert!((near.ceiling - 910.0).abs() < 1e-9, "{}", near.ceiling);
        assert!(near.generator_bound());
        assert_eq!(near.json()["ceiling_per_s"], 910.0);
        let none_counts = found(&rounds[2..]);
        assert!((none_counts.ceiling - 1001.0).abs() < 1e-9);
        assert!(!none_counts.generator_bound());
    }
}
