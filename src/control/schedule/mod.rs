//! The calendar of a policy: `time_zone`, `working_hours`, `holidays`.
//!
//! Promises: what is read does not depend on when it is read: a zone's offsets are those of the years 1990 to 2100.
//! Leaves to `policy::schedule`: what a moment is. The data plane knows no time zones, only the moments of their changes.

use super::document::{Table, Value};
use super::fault::{Findings, did_you_mean};
use crate::policy::rows::{Holiday, OffsetRow, ScheduleRow, WorkingHours};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, db};

/// The zone of a policy that names none.
pub(super) const ZONE_DEFAULT: &str = "UTC";

/// Whose offsets are kept: 1990-01-01 to 2100-01-01, seconds since 1970 UTC.
const OFFSETS_FROM_UNIX_S: i64 = 631_152_000;
const OFFSETS_UNTIL_UNIX_S: i64 = 4_102_444_800;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ALL_MONTHS: u16 = 0x0fff;
const ALL_DAYS: u8 = 0x7f;
const DAY_MINUTES: u16 = 24 * 60;

/// Reads the calendar's keys of a policy.
pub(super) fn read(table: &mut Table<'_>, findings: &mut Findings) -> ScheduleRow {
    let mut row = ScheduleRow {
        zone: ZONE_DEFAULT.to_owned(),
        ..ScheduleRow::default()
    };
    let zone = table.take("time_zone");
    if let Some(value) = &zone
        && let Some(name) = value.string(findings)
    {
        match offsets(name) {
            Ok(offsets) => {
                name.clone_into(&mut row.zone);
                row.offsets = offsets;
            }
            Err(sentence) => value.fault_named(findings, sentence),
        }
    }
    if let Some(value) = table.take("working_hours") {
        elements(&value, findings, hours, &mut row.hours);
        if zone.is_none() {
            value.fault(
                findings,
                "policy.working_hours are told by a wall clock; policy.time_zone must say whose, like \"America/New_York\" or \"UTC\"",
            );
        }
        if value.is_array() && value.array(findings).is_empty() {
            value.fault(
                findings,
                "policy.working_hours is empty; leave it out if there are none",
            );
        }
    }
    if let Some(value) = table.take("holidays") {
        elements(&value, findings, holiday, &mut row.holidays);
        if row.hours.is_empty() && value.is_array() {
            value.warn(
                findings,
                "policy.holidays change nothing without policy.working_hours",
            );
        }
    }
    row
}

/// The strings of an array, each read; one that stands twice is a fault.
fn elements<T: PartialEq>(
    value: &Value<'_>,
    findings: &mut Findings,
    read: impl Fn(&str) -> Result<T, String>,
    into: &mut Vec<T>,
) {
    for (text, element) in value.strings(findings) {
        match read(text) {
            Ok(item) if into.contains(&item) => {
                element.fault_named(findings, format!("\"{text}\" stands twice"));
            }
            Ok(item) => into.push(item),
            Err(sentence) => element.fault_named(findings, sentence),
        }
    }
}

/// When the zone's offset changes.
fn offsets(name: &str) -> Result<Vec<OffsetRow>, String> {
    let zone = TimeZone::get(name).map_err(|_unknown| {
        let names: Vec<String> = db().available().map(|name| name.to_string()).collect();
        let hint = did_you_mean(name, names.iter().map(String::as_str)).map_or_else(
            || "names are those of the tz database, like \"Europe/Berlin\" or \"UTC\"".to_owned(),
            |meant| format!("did you mean \"{meant}\"?"),
        );
        format!("\"{name}\" is no time zone; {hint}")
    })?;
    let from = Timestamp::from_second(OFFSETS_FROM_UNIX_S)
        .map_err(|error| format!("\"{name}\" cannot be read: {error}"))?;
    let mut rows = vec![OffsetRow {
        from_unix_s: OFFSETS_FROM_UNIX_S,
        offset_s: zone.to_offset(from).seconds(),
    }];
    let changes = zone
        .following(from)
        .take_while(|change| change.timestamp().as_second() < OFFSETS_UNTIL_UNIX_S);
    for change in changes {
        let offset_s = change.offset().seconds();
        // A change of name or of what counts as daylight saving alone moves no clock.
        if rows.last().is_none_or(|row| row.offset_s != offset_s) {
            rows.push(OffsetRow {
                from_unix_s: change.timestamp().as_second(),
                offset_s,
            });
        }
    }
    Ok(rows)
}

/// `mon-fri 09:00-17:00`, with months before the days where it is so in some only: `jun-aug mon-fri 08:00-14:00`.
fn hours(text: &str) -> Result<WorkingHours, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (months, days, times) = match *words.as_slice() {
        [days, times] => (ALL_MONTHS, days, times),
        [months, days, times] => (
            bits(months, &MONTHS).ok_or_else(|| {
                format!(
                    "\"{text}\": \"{months}\" is no month, like \"jan\", \"jun-aug\" or \"jan,jul\""
                )
            })?,
            days,
            times,
        ),
        _ => {
            return Err(format!(
                "\"{text}\" is not days and a time, like \"mon-fri 09:00-17:00\", with months before them if it is so in some only"
            ));
        }
    };
    let days = if days == "daily" {
        u16::from(ALL_DAYS)
    } else {
        bits(days, &DAYS).ok_or_else(|| {
            format!("\"{text}\": \"{days}\" is no day, like \"mon\", \"mon-fri\", \"sat,sun\" or \"daily\"")
        })?
    };
    let no_time = || {
        format!(
            "\"{text}\": \"{times}\" is no time from 00:00 to 24:00, like \"09:00-17:00\" or \"22:00-06:00\""
        )
    };
    let (from, until) = times.split_once('-').ok_or_else(no_time)?;
    let from_minute = minute(from)
        .filter(|&minute| minute < DAY_MINUTES)
        .ok_or_else(no_time)?;
    let until_minute = minute(until)
        .map(|minute| if minute == 0 { DAY_MINUTES } else { minute })
        .ok_or_else(no_time)?;
    if from_minute == until_minute {
        return Err(format!(
            "\"{text}\" ends when it begins; a whole day is \"00:00-24:00\""
        ));
    }
    Ok(WorkingHours {
        months,
        days: u8::try_from(days).unwrap_or(ALL_DAYS),
        from_minute,
        until_minute,
    })
}

/// `HH:MM` as minutes, up to 24:00.
fn minute(text: &str) -> Option<u16> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else {
        return None;
    };
    let number = |tens: u8, ones: u8| {
        let digit = |octet: u8| octet.is_ascii_digit().then(|| u16::from(octet - b'0'));
        Some(10 * digit(tens)? + digit(ones)?)
    };
    let (hour, minute) = (number(h1, h2)?, number(m1, m2)?);
    let minutes = 60 * hour + minute;
    (minute < 60 && minutes <= DAY_MINUTES).then_some(minutes)
}

/// A list of names and ranges of them, as bits. A range may go over the end: `nov-feb`.
fn bits(text: &str, names: &[&str]) -> Option<u16> {
    let place = |name: &str| names.iter().position(|known| *known == name);
    let mut bits = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        let count = (last + names.len() - first) % names.len();
        for step in 0..=count {
            bits |= 1 << ((first + step) % names.len());
        }
    }
    Some(bits)
}

/// `2026-12-25`, or `12-25` for every year.
fn holiday(text: &str) -> Result<Holiday, String> {
    let no_day =
        || format!("\"{text}\" is no day, like \"2026-12-25\", or \"12-25\" for every year");
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str, length: usize| {
        (part.len() == length && part.bytes().all(|octet| octet.is_ascii_digit()))
            .then(|| part.parse::<i16>().ok())
            .flatten()
    };
    let month_and_day = |month: &str, day: &str| {
        let month = i8::try_from(digits(month, 2)?).ok()?;
        let day = i8::try_from(digits(day, 2)?).ok()?;
        Some((month, day))
    };
    match *parts.as_slice() {
        [month, day] => {
            let (month, day) = month_and_day(month, day).ok_or_else(no_day)?;
            // A leap year has every day that any year has.
            let date = Date::new(2024, month, day).map_err(|_bad| no_day())?;
            Ok(Holiday::EveryYear(
                date.month().unsigned_abs(),
                date.day().unsigned_abs(),
            ))
        }
        [year, month, day] => {
            let year = digits(year, 4).ok_or_else(no_day)?;
            let (month, day) = month_and_day(month, day).ok_or_else(no_day)?;
            let date = Date::new(year, month, day).map_err(|_bad| no_day())?;
            Ok(Holiday::Date(
                year,
                date.month().unsigned_abs(),
                date.day().unsigned_abs(),
            ))
        }
        _ => Err(no_day()),
    }
}

/// Working hours as `policies.toml` has them.
pub(super) fn hours_text(hours: &WorkingHours) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let names = |bits: u16, names: &[&str]| {
        let named = names.iter().enumerate();
        named
            .filter(|(place, _)| bits >> place & 1 == 1)
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
            .join(",")
    };
    let months = if hours.months == ALL_MONTHS {
        String::new()
    } else {
        names(hours.months, &MONTHS) + " "
    };
    let days = if hours.days == ALL_DAYS {
        "daily".to_owned()
    } else {
        names(u16::from(hours.days), &DAYS)
    };
    format!(
        "{months}{days} {}-{}",
        time(hours.from_minute),
        time(hours.until_minute)
    )
}

/// A holiday as `policies.toml` has it.
pub(super) fn holiday_text(holiday: Holiday) -> String {
    match holiday {
        Holiday::Date(year, month, day) => format!("{year:04}-{month:02}-{day:02}"),
        Holiday::EveryYear(month, day) => format!("{month:02}-{day:02}"),
    }
}

#[cfg(test)]
mod tests;
