//! The calls of a journal: one JSON object a line, as Tollgate writes them.
//!
//! Promises: a line is a call (`dialled`), a copy of one (`attempt` is `same`) or a count (`weight`, without `dialled`); the last two are told
//! in a remark, not made. All faults at once, by line. A torn last line is a remark.

use serde_json::Value;

use super::{Faulty, Recording};
use crate::call::{Call, Family, caller_of, is_agent, user_of};
use crate::clock::Nanos;
use crate::files::LineFaults;
use crate::listing::unsaid;
use crate::source::ListedCall;
use crate::text::Text;
use crate::verdict::Expected;

/// Reads the lines of a journal called `name`.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn parse(octets: &[u8], name: &str, faulty: Faulty) -> Result<Recording, String> {
    let mut faults = LineFaults::new(name);
    let mut calls = Vec::new();
    let (mut copies, mut counted, mut torn) = (0_u64, 0_u64, false);
    let torn_at = octets.last().is_some_and(|last| *last != b'\n');
    let mut lines = (1_u64..)
        .zip(octets.split(|octet| *octet == b'\n'))
        .peekable();
    while let Some((number, line)) = lines.next() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            if torn_at && lines.peek().is_none() {
                torn = true;
            } else {
                faults.at(number, "expected a JSON object");
            }
            continue;
        };
        if value.get("attempt").and_then(Value::as_str) == Some("same") {
            copies += 1;
            continue;
        }
        if value.get("dialled").is_none() && value.get("weight").is_some() {
            counted += value.get("weight").and_then(Value::as_u64).unwrap_or(1);
            continue;
        }
        match call_of(&value) {
            Ok(call) => calls.push(call),
            Err(expected) => faults.at(number, expected),
        }
    }
    let mut remarks = faulty.judge(faults)?;
    if copies > 0 {
        remarks.push(format!(
            "{copies} lines are copies of calls that are made once"
        ));
    }
    if counted > 0 {
        remarks.push(format!(
            "{counted} calls were only counted, beyond the journal's budgets, and cannot be made"
        ));
    }
    if torn {
        remarks.push("the last line is torn and left out".to_owned());
    }
    Ok(Recording { calls, remarks })
}

fn call_of(line: &Value) -> Result<ListedCall, String> {
    let text = |key: &str| line.get(key).and_then(Value::as_str);
    let due = text("ts")
        .and_then(unix_nanos)
        .ok_or("expected `ts` as 2026-11-23T01:02:03.000004Z")?;
    let mut call = unsaid();
    call.family = Family::PTfps;
    let dialled = text("dialled").unwrap_or_default();
    if dialled.contains('x') && dialled.bytes().any(|octet| octet.is_ascii_digit()) {
        return Err(format!(
            "expected a whole number in `dialled`, found `{dialled}`: the journal masks digits (journal.mask_digits)"
        ));
    }
    call.user = user_of(dialled).ok_or_else(|| {
        format!("expected `dialled` to be a user part that can be sent again, found `{dialled}`")
    })?;
    if let Some(caller) = text("caller").or_else(|| text("calling")) {
        call.caller = caller_of(caller).ok_or_else(|| {
            format!("expected `caller` to be a caller that can be sent again, found `{caller}`")
        })?;
    }
    if let Some(subscriber) = text("subscriber") {
        call.subscriber = caller_of(subscriber).unwrap_or_default();
    }
    if let Some(address) = text("address") {
        call.address = Text::of(address.as_bytes()).ok_or("expected `address` to be an address")?;
    } else {
        call.address.clear();
    }
    if let Some(agent) = text("agent") {
        call.agent = is_agent(agent.as_bytes())
            .then(|| Text::of(agent.as_bytes()))
            .flatten()
            .ok_or_else(|| format!("expected `agent` in printable ASCII, found `{agent}`"))?;
    } else {
        call.agent.clear();
    }
    if let Some(calls) = line.get("reported_calls").and_then(Value::as_u64) {
        call.reported_calls
            .set(calls.min(99_999).to_string().as_bytes());
    }
    verdict_of(line, &mut call)?;
    Ok(ListedCall { due, call })
}

fn verdict_of(line: &Value, call: &mut Call) -> Result<(), String> {
    let text = |key: &str| line.get(key).and_then(Value::as_str);
    call.expected = match text("verdict") {
        Some("approve") => Expected::Approve,
        Some("reject") => Expected::Reject,
        Some("error") => Expected::Error,
        Some("divert") | None => Expected::Any,
        Some(other) => {
            return Err(format!(
                "expected `verdict` to be approve, reject, divert or error, found `{other}`"
            ));
        }
    };
    if call.expected == Expected::Reject
        && let Some(code) = text("code")
    {
        call.code = Text::of(code.as_bytes()).unwrap_or_default();
    }
    Ok(())
}

/// A time of RFC 3339 in UTC, in nanoseconds since 1970.
#[must_use]
pub fn unix_nanos(text: &str) -> Option<Nanos> {
    let text = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let digits = fraction.len() <= 9 && fraction.bytes().all(|octet| octet.is_ascii_digit());
    let sane = (1970..=2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !digits || !sane {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000_000_000 + nanos)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar: years begin in March, so that the leap day is the last.
#[must_use]
pub fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}
