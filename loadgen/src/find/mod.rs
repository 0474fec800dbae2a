//! The `find-max` command: the highest rate at which a server keeps its promises, with an interval around it.
//!
//! Promises: a round is discarded by one rule alone, fixed before the first: the yardstick (this generator against its own
//! responder) read right before or right after it is outside its band around the second best of the first readings, or around what
//! the operator says; then the machine was not itself. What the round showed plays no part. No round begins while the yardstick
//! is outside the band. A result near the generator's own ceiling, the least that was read beside a round that counts, is marked.
//! Leaves to `by_pulse`: the rule with the pulse of the server's core instead. Leaves to `walk`: which rates are tried, and what follows from how they went.

mod by_pulse;
mod round;
mod walk;

pub use self::round::Round;

use std::time::Duration;

use serde_json::{Value, json};
use signal_hook::iterator::Signals;

use self::round::judge;
use self::walk::Walk;
use crate::cli::RunArgs;
use crate::cli::search::FindArgs;
use crate::conclusion::{EXIT_INVALID, EXIT_MET};
use crate::limits::{
    FIND_DISCARDED_MAX, FIND_WAITS_MAX, GENERATOR_LATE_ONE_IN, PULSE_DISCARDED_MAX, YARDSTICK_BAND,
    YARDSTICK_READINGS,
};
use crate::report::{Results, SCHEMA};
use crate::run::{self, Course, OnSignal};
use crate::screen::{Progress, Silent};
use crate::yardstick::{Yardstick, is_generator_bound, second_best};

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The rate, calls per second, and how far to either side it is uncertain.
    pub rate: Option<(f64, f64)>,
    /// The generator's own ceiling, calls per second: the least beside a round that counts.
    pub ceiling: f64,
    /// The second best of the first readings of the yardstick, or what the operator says, calls per second.
    pub reference: f64,
    /// What the pulse was held against, touches per second.
    pub pulse_reference: Option<f64>,
    /// Why there is no result.
    pub reason: Option<String>,
    /// All rounds, in order.
    pub rounds: Vec<Round>,
    /// What the last round says of the machine and of how it was made, as in the JSON of a run.
    pub environment: Option<Value>,
    seed: u64,
    command: String,
}

/// Looks for the rate, as often as the options say. The first SIGINT or SIGTERM, or a fault that is not of one search alone, ends
/// those that are not over yet.
///
/// # Errors
/// A sentence for the operator about what cannot be done as asked.
pub fn find(args: &FindArgs, progress: &mut dyn Progress) -> Result<Vec<Found>, String> {
    let yardstick = Yardstick::start(&args.run, args.yardstick_cores.as_ref())?;
    let mut search = Search::begin(args, &yardstick, progress)?;
    let start = run::per_second(args.run.rate);
    let mut walks = vec![Walk::begin(start, args.rounds); args.searches];
    let ended = walk::turns(&mut walks, &mut |number, rate| search.round(number, rate));
    let pulses = search.pulses.as_ref();
    let found = walks.iter().zip(search.rounds).zip(0..);
    let found = found.map(|((walk, rounds), number)| Found {
        environment: search.environment.clone(),
        pulse_reference: pulses.map(|pulses| pulses.reference),
        seed: args.run.seed.wrapping_add(number),
        ..Found::of(walk.found(&ended), rounds, search.reference)
    });
    let found = found.collect();
    if let Some(pulses) = search.pulses {
        pulses.finish();
    }
    yardstick.finish();
    Ok(found)
}

/// The rounds of a search, with the yardstick beside them.
struct Search<'a> {
    args: &'a FindArgs,
    yardstick: &'a Yardstick,
    progress: &'a mut dyn Progress,
    /// Heard from the first reading on, between rounds as well.
    signals: Signals,
    /// The second best of the first readings: what the band is around, without a pulse.
    reference: f64,
    pulses: Option<by_pulse::Pulses>,
    /// The reading before the next round.
    before: f64,
    /// Of each search.
    rounds: Vec<Vec<Round>>,
    /// The search whose turn it is.
    number: usize,
    discarded: usize,
    /// Readings that were outside the band, so that no round was begun.
    waits: usize,
    /// Rounds that count since the yardstick was read.
    counted: usize,
    environment: Option<Value>,
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
        let rule = match args.pulse_core {
            Some(_) => String::new(),
            None => format!(
                "; a round counts if that beside it is from {:.0} to {:.0}, and the search waits until it is",
                reference * (1.0 - YARDSTICK_BAND),
                reference / (1.0 - YARDSTICK_BAND),
            ),
        };
        progress.note(&format!(
            "the generator's own ceiling here: {here:.0} calls/s{rule}"
        ));
        let mut search = Self {
            args,
            yardstick,
            progress,
            signals,
            reference,
            pulses: None,
            before: last,
            rounds: vec![Vec::new(); args.searches],
            number: 0,
            discarded: 0,
            waits: 0,
            counted: 0,
            environment: None,
        };
        search.pulses = args.pulse_core.map(|core| search.feel(core)).transpose()?;
        Ok(search)
    }

    /// Whether the server keeps its promises at this rate: a round that the rule discards is made again.
    fn round(&mut self, number: usize, rate: f64) -> Result<bool, String> {
        self.number = number;
        loop {
            self.wait_for_the_machine()?;
            let round = match self.pulses.take() {
                None => self.round_by_yardstick(rate)?,
                Some(held) => self.round_by_pulse(held, rate)?,
            };
            self.progress.note(&round.line());
            let (passed, discarded) = (round.passed, round.discarded);
            if let Some(rounds) = self.rounds.get_mut(number) {
                rounds.push(round);
            }
            if !discarded {
                return Ok(passed);
            }
            self.discarded += 1;
            let (most, what) = match self.pulses {
                Some(_) => (PULSE_DISCARDED_MAX, "pulse"),
                None => (FIND_DISCARDED_MAX, "yardstick"),
            };
            if self.discarded > most {
                return Err(format!(
                    "the machine was not itself in {} rounds: the {what} left its band; measure when nothing else runs here",
                    self.discarded
                ));
            }
        }
    }

    /// Makes one; whether it counts says the yardstick before and after it.
    fn round_by_yardstick(&mut self, rate: f64) -> Result<Round, String> {
        let results = self.offer(rate, self.args.run.duration, None)?;
        self.go_on()?; // what a signal cut short says nothing
        let before = self.before;
        let after = self.read_yardstick()?;
        let within = |reading| is_in_band(reading, self.reference, YARDSTICK_BAND);
        let discarded = !(within(before) && within(after));
        let round = judge(rate, &results, (before, Some(after)));
        self.environment = Some(results.environment_json());
        Ok(Round { discarded, ..round })
    }

    fn read_yardstick(&mut self) -> Result<f64, String> {
        self.before = self.yardstick.reading(self.args.yardstick)?;
        Ok(self.before)
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
        while self.pulses.is_none() && !is_in_band(self.before, self.reference, YARDSTICK_BAND) {
            if self.waits == FIND_WAITS_MAX {
                return Err(format!(
                    "the machine was not itself in {FIND_WAITS_MAX} readings: the yardstick left its band; measure when nothing else runs here"
                ));
            }
            self.waits += 1;
            self.read_yardstick()?;
            self.go_on()?;
        }
        Ok(())
    }

    fn offer(
        &self,
        rate: f64,
        length: Duration,
        cut_short: Option<&dyn Fn() -> bool>,
    ) -> Result<Results, String> {
        let mut args: RunArgs = self.args.run.clone();
        args.rate = run::milli(rate);
        args.seed = args
            .seed
            .wrapping_add(u64::try_from(self.number).unwrap_or(0));
        args.duration = length;
        let course = Course {
            progress: &mut Silent,
            calls_out: None,
            offer_for: None,
            cut_short,
            on_signal: OnSignal::EndNow,
        };
        run::run(&args, course)
    }
}

/// Whether a reading says that the machine is still what it was: that it is no more than this share below the reference, nor that below it.
fn is_in_band(reading: f64, reference: f64, band: f64) -> bool {
    reading.min(reference) >= reading.max(reference) * (1.0 - band)
}

/// The least yardstick beside a round that counts; `None` when none does.
fn least_ceiling(rounds: &[Round]) -> Option<f64> {
    let counted = rounds.iter().filter(|round| !round.discarded);
    counted
        .map(|round| round.yardsticks)
        .map(|(before, after)| after.map_or(before, |after| after.min(before)))
        .reduce(f64::min)
}

/// A rate that was given as a whole number.
fn calls_per_second(rate: u64) -> f64 {
    run::per_second(rate.saturating_mul(1000))
}

/// The JSON of several searches that took turns, or of the one.
#[must_use]
pub fn json_of(all: &[Found]) -> Value {
    match all {
        [one] => one.json(),
        _ => json!({
            "schema": SCHEMA,
            "valid": all.iter().all(|found| found.rate.is_some()),
            "exit": exit_of(all),
            "searches": all.iter().map(Found::json).collect::<Vec<_>>(),
        }),
    }
}

/// The exit status: of the search that fared worst.
#[must_use]
pub fn exit_of(all: &[Found]) -> u8 {
    all.iter().map(Found::exit).max().unwrap_or(EXIT_INVALID)
}

impl Found {
    /// What these rounds say, if `reference` is what their yardsticks were held against.
    fn of(rate: Result<(f64, f64), String>, rounds: Vec<Round>, reference: f64) -> Self {
        Self {
            ceiling: least_ceiling(&rounds).unwrap_or(reference),
            reference,
            pulse_reference: None,
            reason: rate.as_ref().err().cloned(),
            rate: rate.ok(),
            rounds,
            environment: None,
            seed: 0,
            command: crate::report::command_line(),
        }
    }

    /// Whether the rate may be the generator's own: near its ceiling, or the generator was late again and again.
    #[must_use]
    pub fn generator_bound(&self) -> bool {
        let near = self
            .rate
            .is_some_and(|(rate, _)| is_generator_bound(rate, self.ceiling));
        near || self.late() * GENERATOR_LATE_ONE_IN > self.counted()
    }

    /// Rounds that count.
    fn counted(&self) -> usize {
        self.rounds.iter().filter(|round| !round.discarded).count()
    }

    /// Rounds that count, as missed, in which the generator was late.
    fn late(&self) -> usize {
        let late = |round: &&Round| round.generator_late && !round.discarded;
        self.rounds.iter().filter(late).count()
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
            "environment": self.environment,
            "rate_per_s": rate,
            "low_per_s": rate.zip(half).map(|(rate, half)| rate - half),
            "high_per_s": rate.zip(half).map(|(rate, half)| rate + half),
            "half_width_percent": self.rate.map(|(rate, half)| (half / rate * 1000.0).round() / 10.0),
            "ceiling_per_s": self.ceiling.round(),
            "reference_per_s": self.reference.round(),
            "pulse_reference_per_s": self.pulse_reference.map(f64::round),
            "generator_bound": self.generator_bound(),
            "generator_late": self.late(),
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
            "{rate:.0} calls/s, between {:.0} and {:.0}, by {} rounds that count of {} (the generator's own ceiling: {:.0}){bound}\n",
            rate - half,
            rate + half,
            self.counted(),
            self.rounds.len(),
            self.ceiling
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_counts_while_the_yardstick_is_in_its_band() {
        for (reading, within) in [(790.0, false), (810.0, true), (1000.0, true)] {
            assert_eq!(is_in_band(reading, 1000.0, 0.2), within, "{reading}");
            assert_eq!(is_in_band(1000.0, reading, 0.2), within, "{reading}");
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
            pulse: None,
            retransmitted: 0,
            cut_short: false,
            discarded,
        };
        let rounds = [
            round((1000.0, Some(960.0)), false),
            round((990.0, Some(910.0)), false),
            round((930.0, None), false),
            round((300.0, Some(990.0)), true),
        ];
        let found = |rounds: &[Round]| Found::of(Ok((800.0, 20.0)), rounds.to_vec(), 1001.0);
        let near = found(&rounds);
        assert!((near.ceiling - 910.0).abs() < 1e-9, "{}", near.ceiling);
        assert!(near.generator_bound());
        assert_eq!(near.json()["ceiling_per_s"], 910.0);
        let none_counts = found(&rounds[3..]);
        assert!((none_counts.ceiling - 1001.0).abs() < 1e-9);
        assert!(!none_counts.generator_bound());
    }

    #[test]
    fn a_search_is_the_generators_when_it_was_late_in_more_than_one_round_of_twenty() {
        let round = |generator_late: bool, discarded| Round {
            rate: 800.0,
            passed: !generator_late,
            reason: None,
            generator_late,
            p99_us: 1.0,
            yardsticks: (10_000.0, None),
            pulse: None,
            retransmitted: 0,
            cut_short: false,
            discarded,
        };
        let found = |late: usize, discarded: usize| {
            let mut rounds = vec![round(false, false); 40 - late];
            rounds.extend(vec![round(true, false); late]);
            rounds.extend(vec![round(true, true); discarded]);
            Found::of(Ok((800.0, 20.0)), rounds, 10_000.0)
        };
        for (late, discarded, bound) in [(0, 9, false), (2, 9, false), (3, 0, true)] {
            let found = found(late, discarded);
            assert_eq!(found.generator_bound(), bound, "{late}");
            assert_eq!(found.json()["generator_late"], late);
        }
    }
}
