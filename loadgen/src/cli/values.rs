//! What the values of options may be, and the sentences for those that may not.

use std::time::Duration;

use super::Cores;
use super::respond::Stall;
use crate::call::user_of;
use crate::limits::{
    BATCH_WINDOW_MS_MAX, DURATION_SECONDS_MAX, FIND_ROUNDS_MAX, FIND_SEARCHES_MAX, RATE_MAX,
    SOURCE_PORTS_MAX, THREADS_MAX, USER_BYTES_MAX,
};
use crate::text::Text;

/// Reads calls per second, as calls per 1,000 seconds.
///
/// # Errors
/// What is expected.
pub fn rate_of(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "a number of calls per second up to {RATE_MAX}, with at most three decimals, as 20000 or 0.5"
        )
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 3 || !digits(whole) || !digits(decimals) {
        return Err(bad());
    }
    let rate: u64 = format!("{whole}{decimals:0<3}")
        .parse()
        .map_err(|_| bad())?;
    if rate == 0 || rate > RATE_MAX * 1000 {
        return Err(bad());
    }
    Ok(rate)
}

/// A time with its unit: ms, s, m or h.
///
/// # Errors
/// What is expected.
pub fn time_of(text: &str) -> Result<Duration, String> {
    let bad = || "a number with ms, s, m or h, as 10s".to_owned();
    let unit_at = text
        .find(|letter: char| !letter.is_ascii_digit())
        .ok_or_else(bad)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    Ok(Duration::from_millis(number.saturating_mul(milliseconds)))
}

/// A time as above, or in microseconds.
fn short_time_of(text: &str) -> Option<Duration> {
    match text.strip_suffix("us") {
        Some(number) if number.bytes().all(|octet| octet.is_ascii_digit()) => {
            number.parse().ok().map(Duration::from_micros)
        }
        Some(_) => None,
        None => time_of(text).ok(),
    }
}

/// Reads how long calls may wait for each other: a time, also in microseconds, up to 10 ms.
///
/// # Errors
/// What is expected.
pub fn window_of(text: &str) -> Result<Duration, String> {
    short_time_of(text)
        .filter(|&window| window <= Duration::from_millis(BATCH_WINDOW_MS_MAX))
        .ok_or_else(|| format!("a time of at most {BATCH_WINDOW_MS_MAX}ms, as 100us"))
}

/// Reads a time within the bounds of a run.
///
/// # Errors
/// What is expected.
pub fn duration_of(text: &str) -> Result<Duration, String> {
    let duration = time_of(text)?;
    if duration.is_zero() || duration.as_secs() > DURATION_SECONDS_MAX {
        return Err(format!("from 1ms to {DURATION_SECONDS_MAX}s"));
    }
    Ok(duration)
}

/// Reads a bound of latency or lateness: a time, also in microseconds, within the bounds of a run.
///
/// # Errors
/// What is expected.
pub fn bound_of(text: &str) -> Result<Duration, String> {
    let bound = short_time_of(text).ok_or("a number with us, ms, s, m or h, as 500us")?;
    if bound.is_zero() || bound.as_secs() > DURATION_SECONDS_MAX {
        return Err(format!("from 1us to {DURATION_SECONDS_MAX}s"));
    }
    Ok(bound)
}

pub(crate) fn t1_of(text: &str) -> Result<Duration, String> {
    let t1 = time_of(text)?;
    if t1.is_zero() || t1.as_secs() > 10 {
        return Err("from 1ms to 10s".to_owned());
    }
    Ok(t1)
}

pub(crate) fn percent_of(text: &str) -> Result<f64, String> {
    let percent: f64 = text
        .trim_end_matches('%')
        .parse()
        .map_err(|_| "a number from 0 to 100".to_owned())?;
    if !(0.0..=100.0).contains(&percent) {
        return Err("a number from 0 to 100".to_owned());
    }
    Ok(percent)
}

pub(crate) fn between(text: &str, most: usize) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("a number from 1 to {most}"))
}

pub(crate) fn ports_of(text: &str) -> Result<usize, String> {
    between(text, SOURCE_PORTS_MAX)
}

pub(crate) fn threads_of(text: &str) -> Result<usize, String> {
    between(text, THREADS_MAX)
}

pub(crate) fn user_arg(text: &str) -> Result<Text<USER_BYTES_MAX>, String> {
    user_of(text).ok_or_else(|| {
        format!("1 to {USER_BYTES_MAX} characters that a SIP URI may hold before its `@`")
    })
}

pub(crate) fn cores_of(text: &str) -> Result<Cores, String> {
    let bad = || "numbers and ranges of cores, as 0,2-3".to_owned();
    let mut cores = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let first: usize = first.parse().map_err(|_| bad())?;
        let last: usize = last.parse().map_err(|_| bad())?;
        if first > last || last > 4096 {
            return Err(bad());
        }
        cores.extend(first..=last);
    }
    Ok(Cores(cores))
}

/// `200ms/2s`.
pub(crate) fn stall_of(text: &str) -> Result<Stall, String> {
    let bad = || "how long and how often, as 200ms/2s".to_owned();
    let (length, every) = text.split_once('/').ok_or_else(bad)?;
    let (length, every) = (duration_of(length)?, duration_of(every)?);
    if length >= every {
        return Err("a stall must be shorter than the time from one to the next".to_owned());
    }
    Ok(Stall { length, every })
}

/// Searches of one `find-max`.
pub(crate) fn searches_of(text: &str) -> Result<usize, String> {
    between(text, FIND_SEARCHES_MAX)
}

/// Rounds of the last step of `find-max`.
pub(crate) fn rounds_of(text: &str) -> Result<usize, String> {
    let rounds = between(text, FIND_ROUNDS_MAX)?;
    if rounds < 4 {
        return Err(format!("a number from 4 to {FIND_ROUNDS_MAX}"));
    }
    Ok(rounds)
}

/// A ratio of at least one.
pub(crate) fn ratio_of(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio| (1.0..=1000.0).contains(ratio))
        .ok_or_else(|| "a number from 1 to 1000".to_owned())
}

/// A number of calls, or a share of all in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// So many.
    Calls(u64),
    /// So many percent.
    Percent(f64),
}

impl Share {
    /// Whether so many of so many are more than that.
    #[must_use]
    pub fn is_exceeded(self, count: u64, of: u64) -> bool {
        let float = |number: u64| Duration::from_secs(number).as_secs_f64();
        match self {
            Self::Calls(most) => count > most,
            Self::Percent(percent) => float(count) * 100.0 > float(of) * percent,
        }
    }
}

/// `5` or `0.1%`.
pub(crate) fn share_of(text: &str) -> Result<Share, String> {
    let bad = || "a number of calls, or a share as 0.1%".to_owned();
    match text.strip_suffix('%') {
        Some(_) => percent_of(text).map(Share::Percent).map_err(|_| bad()),
        None => text.parse().map(Share::Calls).map_err(|_| bad()),
    }
}

/// What `--ceiling` can say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ceiling {
    /// Measured before the run.
    Measure,
    /// So many calls a second, from an earlier measurement.
    Known(f64),
}

/// `measure` or a rate.
pub(crate) fn ceiling_of(text: &str) -> Result<Ceiling, String> {
    if text == "measure" {
        return Ok(Ceiling::Measure);
    }
    let rate = rate_of(text).map_err(|fault| format!("`measure`, or {fault}"))?;
    Ok(Ceiling::Known(Duration::from_millis(rate).as_secs_f64()))
}

/// `1/10000`.
pub(crate) fn one_in_of(text: &str) -> Result<u64, String> {
    text.strip_prefix("1/")
        .and_then(|number| number.parse().ok())
        .filter(|&number| number > 0)
        .ok_or_else(|| "one in so many, as 1/10000".to_owned())
}
