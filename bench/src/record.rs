//! What a run showed, as a table for people and as JSON: medians, spread, and ratios within the same run.
//!
//! Promises: names the commit, the kernel, the processor and the command; answers that were missing or wrong stand in it.

use crate::runner::{Load, RunPlan, Sample, Series, ratio};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// Where and how a run was made.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Commit of the working tree, with `+` when it had changes.
    pub commit: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor.
    pub processor: String,
    /// How the compiler laid the programs out: `tuning/build` says "by a profile".
    pub build: &'static str,
    /// The command line.
    pub command: String,
    /// Seconds since 1970 UTC.
    pub unix_s: u64,
}

impl Environment {
    /// Asks the machine.
    #[must_use]
    pub fn read(command: String, unix_s: u64) -> Self {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
        // Of several measurements each finds what the one before wrote down.
        let changed = git(&[
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            ":(exclude)bench/record",
        ]);
        let mark = if changed.is_some_and(|text| !text.is_empty()) {
            "+"
        } else {
            ""
        };
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processor
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or("", |rest| rest.trim_start_matches(['\t', ' ', ':']));
        Self {
            commit: format!("{commit}{mark}"),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            processor: processor.to_owned(),
            build: option_env!("TOLLGATE_BUILD").unwrap_or("by no profile"),
            command,
            unix_s,
        }
    }
}

/// Middle value and extremes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of some values; zeros of none.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match (values.get(middle), values.get(middle.wrapping_sub(1))) {
            (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => {
                f64::midpoint(*lower, *upper)
            }
            (Some(middle), _) => *middle,
            (None, _) => 0.0,
        };
        Self {
            median,
            least: values.first().copied().unwrap_or(0.0),
            most: values.last().copied().unwrap_or(0.0),
        }
    }
}

/// The figures of one variant with one peer.
#[derive(Debug, Clone)]
pub struct Figures<'a> {
    /// Whose.
    pub series: &'a Series,
    /// Nanoseconds of processor time per answer.
    pub ns_per_answer: Spread,
    /// How many times cheaper than the baseline, round by round.
    pub times_baseline: Spread,
    /// The part of it in its own code, over all rounds.
    pub user_ns_per_answer: f64,
    /// Answers per second of a window.
    pub answers_per_s: Spread,
    /// The same against the baseline, round by round.
    pub times_baseline_rate: Spread,
    /// All rounds together.
    pub sum: Sample,
}

/// Computes the figures; the baseline is the series of that variant with the same peer, else there are no ratios.
#[must_use]
pub fn figures<'a>(all: &'a [Series], baseline: &str) -> Vec<Figures<'a>> {
    all.iter()
        .map(|series| {
            let base = all
                .iter()
                .find(|other| other.variant == baseline && other.peer == series.peer);
            let base = base.map_or(&[][..], |series| &series.samples[..]);
            let rounds = || series.samples.iter().zip(base);
            let sum = sum(&series.samples);
            Figures {
                series,
                ns_per_answer: Spread::of(series.samples.iter().map(Sample::ns_per_answer)),
                times_baseline: Spread::of(
                    rounds().map(|(own, base)| base.ns_per_answer() / own.ns_per_answer()),
                ),
                user_ns_per_answer: ratio(sum.cost.user_ns, sum.tally.answers()),
                answers_per_s: Spread::of(series.samples.iter().map(Sample::answers_per_s)),
                times_baseline_rate: Spread::of(
                    rounds().map(|(own, base)| own.answers_per_s() / base.answers_per_s()),
                ),
                sum,
            }
        })
        .collect()
}

fn sum(samples: &[Sample]) -> Sample {
    samples
        .iter()
        .fold(Sample::default(), |sum, sample| Sample {
            sent: sum.sent + sample.sent,
            tally: sum.tally.plus(sample.tally),
            wrong: sum.wrong + sample.wrong,
            cost: sum.cost.plus(sample.cost),
            window_ns: sum.window_ns + sample.window_ns,
            in_window: sum.in_window + sample.in_window,
            dropped: sum.dropped + sample.dropped,
        })
}

/// The run as Markdown.
#[must_use]
pub fn markdown(
    environment: &Environment,
    plan: &RunPlan,
    baseline: &str,
    all: &[Figures<'_>],
) -> String {
    let mut text = format!(
        "`{}`\n\nCommit {}, laid out {}, Linux {}, {}. {}, {} rounds, INVITEs of {} ± 16 octets{}. Medians (least–most); ratios are taken \
         round by round.\n\n",
        environment.command,
        environment.commit,
        environment.build,
        environment.kernel,
        environment.processor,
        load_text(plan.load),
        plan.rounds,
        plan.octets,
        if plan.acks { ", an ACK to each" } else { "" },
    );
    let window = matches!(plan.load, Load::Window { .. });
    if window {
        text += &format!(
            "| variant | peer | answers/s | × {baseline} | CPU ns/answer | core busy | dropped by the kernel |\n|---|---|---|---|---|---|---|\n"
        );
    } else {
        text += &format!(
            "| variant | peer | ns/INVITE | × {baseline} | user ns (sampled) | missing or wrong | preempted |\n|---|---|---|---|---|---|---|\n"
        );
    }
    for figures in all {
        let (name, peer) = (&figures.series.variant, figures.series.peer.name());
        let sum = figures.sum;
        // Writing to a string cannot fail.
        let _infallible = if window {
            writeln!(
                text,
                "| {name} | {peer} | {} | {} | {} | {:.0} % | {} |",
                show(figures.answers_per_s, 0),
                show(figures.times_baseline_rate, 2),
                show(figures.ns_per_answer, 0),
                // What it cost after the window, for what was still queued, does not count.
                100.0
                    * ratio(sum.cost.total_ns(), sum.tally.answers())
                    * ratio(sum.in_window, sum.window_ns),
                sum.dropped,
            )
        } else {
            writeln!(
                text,
                "| {name} | {peer} | {} | {} | {:.0} | {} | {} |",
                show(figures.ns_per_answer, 0),
                show(figures.times_baseline, 2),
                figures.user_ns_per_answer,
                sum.wrong,
                sum.cost.preemptions,
            )
        };
    }
    text
}

fn load_text(load: Load) -> String {
    match load {
        Load::Drain { packets, fills } => {
            format!("Drain: {fills} times {packets} queued packets a round")
        }
        Load::Window {
            nanoseconds,
            segments,
        } => {
            let how = if segments { "with" } else { "without" };
            let milliseconds = nanoseconds / 1_000_000;
            format!("Window: {milliseconds} ms a round, the source at its limit, {how} GSO")
        }
    }
}

fn show(spread: Spread, digits: usize) -> String {
    let Spread {
        median,
        least,
        most,
    } = spread;
    format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
}

/// The run as JSON.
#[must_use]
pub fn json(
    environment: &Environment,
    plan: &RunPlan,
    baseline: &str,
    all: &[Figures<'_>],
) -> Value {
    let spread = |spread: Spread| json!({"median": spread.median, "least": spread.least, "most": spread.most});
    let variants: Vec<Value> = all
        .iter()
        .map(|figures| {
            let sum = figures.sum;
            json!({
                "variant": figures.series.variant,
                "peer": figures.series.peer.name(),
                "ns_per_answer": spread(figures.ns_per_answer),
                "times_baseline": spread(figures.times_baseline),
                "user_ns_per_answer": figures.user_ns_per_answer,
                "answers_per_s": spread(figures.answers_per_s),
                "times_baseline_rate": spread(figures.times_baseline_rate),
                "sent": sum.sent,
                "answers": {"302": sum.tally.redirected, "603": sum.tally.declined, "other": sum.tally.other},
                "missing_or_wrong": sum.wrong,
                "kernel_dropped": sum.dropped,
                "preemptions": sum.cost.preemptions,
                "receive_buffer_bytes": figures.series.receive_buffer_bytes,
                "rounds_ns_per_answer": figures.series.samples.iter().map(Sample::ns_per_answer).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "schema": "tollgate-bench/1",
        "command": environment.command,
        "commit": environment.commit,
        "build": environment.build,
        "kernel": environment.kernel,
        "processor": environment.processor,
        "unix_s": environment.unix_s,
        "load": load_text(plan.load),
        "rounds": plan.rounds,
        "octets": plan.octets,
        "acks": plan.acks,
        "seed": plan.seed,
        "baseline": baseline,
        "variants": variants,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Cost;
    use crate::peer::{PeerKind, Tally};

    fn series(variant: &str, costs_ns: &[u64]) -> Series {
        let sample = |cost: &u64| Sample {
            sent: 100,
            tally: Tally {
                redirected: 100,
                ..Tally::default()
            },
            cost: Cost {
                system_ns: *cost * 100,
                ..Cost::default()
            },
            ..Sample::default()
        };
        Series {
            variant: variant.to_owned(),
            peer: PeerKind::Plain,
            samples: costs_ns.iter().map(sample).collect(),
            receive_buffer_bytes: None,
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was three times slower in the second round: that must not show in the ratio.
        let all = [
            series("mio", &[2000, 6000, 2000]),
            series("x", &[1000, 3000, 500]),
        ];
        let figures = figures(&all, "mio");
        assert!((figures[1].times_baseline.median - 2.0).abs() < 1e-9);
        assert!((figures[1].times_baseline.most - 4.0).abs() < 1e-9);
        assert!((figures[1].ns_per_answer.median - 1000.0).abs() < 1e-9);
        assert!((figures[0].times_baseline.least - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter());
        assert!((spread.median - 2.5).abs() < 1e-9);
        assert_eq!(Spread::of(std::iter::empty()), Spread::default());
    }
}
