//! `tollgate-loadgen replay`: the calls of a file, made again.
//!
//! Promises: everything is read and checked before anything is sent.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Faulty, Hold, hurry, read};
use crate::cli::{REPLAY_REFUSES, RunArgs, rate_of};
use crate::limits::{DURATION_SECONDS_MAX, RATE_MAX};
use crate::report::Results;
use crate::screen::Progress;
use crate::source::{Calls, ListedCall};

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A capture (pcap, pcapng) with INVITEs over UDP, a journal of Tollgate (JSON lines), or a list of calls (CSV, as `mix make` prints).
    #[arg(conflicts_with_all = REPLAY_REFUSES)]
    pub file: PathBuf,
    /// How many times as fast as recorded.
    #[arg(long, value_name = "TIMES", default_value = "1", value_parser = speed_of, conflicts_with = "at_rate")]
    pub speed: u64,
    /// Calls per second at even distances, instead of the recorded times.
    #[arg(long, value_name = "RATE", value_parser = rate_of)]
    pub at_rate: Option<u64>,
    /// What the answers are held against.
    #[arg(long, value_enum, default_value_t = Hold::Recorded)]
    pub hold_against: Hold,
    /// Leave out the packets and lines of a capture or a journal that cannot be made again, instead of refusing the file.
    #[arg(long)]
    pub leave_out_faulty: bool,
    /// As for `run`, but for what the file says.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Replays; progress goes to `progress`.
///
/// # Errors
/// Sentences for the operator, one a line; nothing has been sent then.
pub fn run(args: &ReplayArgs, progress: &mut dyn Progress) -> Result<Results, String> {
    let faulty = if args.leave_out_faulty {
        Faulty::LeaveOut
    } else {
        Faulty::Refuse
    };
    let mut recording = read(&args.file, args.hold_against, args.run.profile, faulty)?;
    for remark in &recording.remarks {
        // Progress that nobody reads is no reason to stop.
        progress.note(&format!("{}: {remark}", args.file.display()));
    }
    hurry(&mut recording.calls, args.speed);
    let (run, own_times) = bounds(args.run.clone(), &recording.calls, args.at_rate)?;
    let calls = Calls::Listed {
        calls: recording.calls,
        own_times,
        label: args.file.display().to_string(),
    };
    crate::run::run_calls(&run, calls, None, progress)
}

/// Rate and duration that fit the calls: for their own times those that they have on average.
fn bounds(
    mut run: RunArgs,
    calls: &[ListedCall],
    at_rate: Option<u64>,
) -> Result<(RunArgs, bool), String> {
    let count = u64::try_from(calls.len()).unwrap_or(u64::MAX);
    run.calls_max = Some(run.calls_max.map_or(count, |most| most.min(count)));
    let last = calls.last().map_or(0, |call| call.due);
    let nanos = match at_rate {
        Some(milli) => u128::from(count) * 1_000_000_000_000 / u128::from(milli.max(1)) + 1,
        None => u128::from(last) + 1,
    };
    let duration = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    if duration.as_secs() > DURATION_SECONDS_MAX {
        return Err(format!(
            "the calls take {} s, more than a run may ({DURATION_SECONDS_MAX} s); a larger --speed makes it shorter",
            duration.as_secs()
        ));
    }
    run.duration = duration;
    let mean = u128::from(count) * 1_000_000_000_000 / nanos.max(1);
    let mean = u64::try_from(mean)
        .unwrap_or(u64::MAX)
        .clamp(1, RATE_MAX * 1000);
    run.rate = at_rate.unwrap_or(mean);
    Ok((run, at_rate.is_none()))
}

fn speed_of(text: &str) -> Result<u64, String> {
    let speed = rate_of(text).ok().filter(|speed| *speed <= 1_000_000_000);
    speed.ok_or_else(|| {
        "a number up to 1000000 with at most three decimals, as 60 or 0.5".to_owned()
    })
}
