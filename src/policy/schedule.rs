//! When it is working time: the hours, months and holidays of a policy as sorted moments.
//!
//! Promises: a look-up is two comparisons as long as the stretch is the one of the call before, else a binary search;
//! days and working hours begin when the wall clock first shows their time or a later one, so that an hour that a clock
//! leaves out or shows twice begins and ends once.
//! Leaves to `control`: what a time zone is. It hands over the moments at which the zone's offset changes.
//!
//! The week is not kept as a bitmap: one sorted table of moments gives both whether a moment is a working one and when
//! its stretch began, and a bitmap only the first.

use super::rows::{Holiday, OffsetRow, ScheduleRow};
use crate::clock::Now;
use std::sync::atomic::{AtomicU32, Ordering};

/// Seconds of a day without a change of offset.
const DAY_S: i64 = 86_400;

/// How far back stretches and days are known, days: more than a season, so that a house that is closed all winter is.
const DAYS_BEFORE: i64 = 400;

/// How far ahead, days. A snapshot is built anew a year before (`Schedule::good_until_unix_s`).
const DAYS_AHEAD: i64 = 5 * 366;

/// What a moment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Whether it lies in working hours.
    pub working: bool,
    /// The local day.
    pub day: Stretch,
    /// The stretch of working or off hours.
    pub stretch: Stretch,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// When it began, seconds since 1970 UTC; 0: longer ago than is known.
    pub start_unix_s: u64,
    /// When it ends; `u64::MAX`: later than is known.
    pub end_unix_s: u64,
}

/// A policy's calendar.
#[derive(Debug)]
pub struct Schedule {
    days: Moments,
    /// Every change between working and off hours.
    stretches: Moments,
    /// Whether the first stretch is a working one. They take turns.
    first_works: bool,
    good_until_unix_s: u64,
    /// The time zone's name and its offsets, for who reads.
    zone: String,
    offsets: Vec<OffsetRow>,
}

/// Rising moments, the first of which is 0.
#[derive(Debug)]
struct Moments {
    starts: Vec<u64>,
    /// The index that the last look-up found: nearly always the next one's, too.
    last: AtomicU32,
}

impl Moments {
    /// Of rising moments; those before 1970 count as 1970.
    fn new(starts: Vec<u64>) -> Self {
        Self {
            starts,
            last: AtomicU32::new(0),
        }
    }

    /// What `unix_s` lies in, and how many there are before it.
    #[inline]
    fn find(&self, unix_s: u64) -> (usize, Stretch) {
        let last = self.last.load(Ordering::Relaxed) as usize;
        let found = self.stretch(last);
        if found.start_unix_s <= unix_s && unix_s < found.end_unix_s {
            return (last, found);
        }
        let at = self
            .starts
            .partition_point(|start| *start <= unix_s)
            .saturating_sub(1);
        self.last
            .store(u32::try_from(at).unwrap_or(0), Ordering::Relaxed);
        (at, self.stretch(at))
    }

    fn stretch(&self, at: usize) -> Stretch {
        let moment = |at: usize| self.starts.get(at).copied().unwrap_or(u64::MAX);
        Stretch {
            start_unix_s: moment(at),
            end_unix_s: moment(at + 1),
        }
    }
}

impl Schedule {
    /// The calendar around `now`.
    #[must_use]
    pub fn new(row: &ScheduleRow, now: Now) -> Self {
        let zone = Zone(&row.offsets);
        let today = zone.day(unix_signed(now.unix_s()));
        let (first_day, end_day) = (today - DAYS_BEFORE, today + DAYS_AHEAD);
        let days = std::iter::once(0)
            .chain((first_day..end_day).map(|day| unsigned(zone.reaches(day * DAY_S))))
            .collect();
        let mut working = Vec::new();
        // A stretch that began the evening before belongs in, so one day more.
        for day in first_day - 1..end_day {
            stretches_of_day(row, &zone, day, &mut working);
        }
        let (stretches, first_works) = changes(working, zone.reaches(first_day * DAY_S));
        Self {
            days: Moments::new(days),
            stretches: Moments::new(stretches),
            first_works,
            good_until_unix_s: unsigned(zone.reaches((end_day - 366) * DAY_S)),
            zone: row.zone.clone(),
            offsets: row.offsets.clone(),
        }
    }

    /// A moment as the wall clock of the policy's time zone shows it: `2026-11-23 17:00 America/New_York`.
    #[must_use]
    pub fn clock(&self, unix_s: u64) -> String {
        let zone = Zone(&self.offsets);
        let local_s = unix_signed(unix_s) + zone.offset_s(unix_signed(unix_s));
        let (year, month, day) = civil(local_s.div_euclid(DAY_S));
        let minute = local_s.rem_euclid(DAY_S) / 60;
        format!(
            "{year:04}-{month:02}-{day:02} {:02}:{:02} {}",
            minute / 60,
            minute % 60,
            self.zone
        )
    }

    /// What this moment is.
    #[inline]
    #[must_use]
    pub fn at(&self, unix_s: u64) -> Moment {
        let (_, day) = self.days.find(unix_s);
        let (before, stretch) = self.stretches.find(unix_s);
        Moment {
            working: self.first_works ^ (before % 2 == 1),
            day,
            stretch,
        }
    }

    /// When the calendar should be made anew: it then reaches a year further.
    #[must_use]
    pub fn good_until_unix_s(&self) -> u64 {
        self.good_until_unix_s
    }
}

/// Adds the working hours that begin on a day, as `[begin, end)` in seconds since 1970 UTC.
fn stretches_of_day(row: &ScheduleRow, zone: &Zone<'_>, day: i64, working: &mut Vec<(i64, i64)>) {
    // On a holiday nothing begins, and what began the day before ends at midnight.
    if is_holiday(row, day) {
        return;
    }
    let month = u32::from(civil(day).1);
    // Day 0, 1970-01-01, was a Thursday; Monday is bit 0.
    let weekday = u32::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
    let midnight_holds = is_holiday(row, day + 1);
    for hours in &row.hours {
        if hours.days >> weekday & 1 == 0 || hours.months >> (month - 1) & 1 == 0 {
            continue;
        }
        let mut until = i64::from(hours.until_minute);
        if hours.until_minute <= hours.from_minute {
            until += 24 * 60;
        }
        if midnight_holds {
            until = until.min(24 * 60);
        }
        let begin = zone.reaches(day * DAY_S + 60 * i64::from(hours.from_minute));
        let end = zone.reaches(day * DAY_S + 60 * until);
        if begin < end {
            working.push((begin, end));
        }
    }
}

/// Where working hours begin and end, and whether they come first. What reaches back before `known_from` reaches back
/// for ever.
fn changes(mut working: Vec<(i64, i64)>, known_from: i64) -> (Vec<u64>, bool) {
    working.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (begin, end) in working {
        match merged.last_mut() {
            Some((_, last_end)) if begin <= *last_end => *last_end = end.max(*last_end),
            _ => merged.push((begin, end)),
        }
    }
    let mut starts = vec![0];
    let mut first_works = false;
    for (begin, end) in merged {
        if begin <= known_from && end > known_from {
            first_works = true;
            starts.push(unsigned(end));
        } else if begin > known_from {
            starts.extend([unsigned(begin), unsigned(end)]);
        }
    }
    (starts, first_works)
}

fn is_holiday(row: &ScheduleRow, day: i64) -> bool {
    if row.holidays.is_empty() {
        return false;
    }
    let (year, month, day) = civil(day);
    row.holidays.iter().any(|holiday| match *holiday {
        Holiday::Date(of_year, of_month, of_day) => {
            (of_year, of_month, of_day) == (year, month, day)
        }
        Holiday::EveryYear(of_month, of_day) => (of_month, of_day) == (month, day),
    })
}

/// The offsets of a time zone over the years.
#[derive(Debug, Clone, Copy)]
struct Zone<'a>(&'a [OffsetRow]);

impl Zone<'_> {
    /// Days from 1970-01-01 to the local day of a moment.
    fn day(&self, unix_s: i64) -> i64 {
        (unix_s + self.offset_s(unix_s)).div_euclid(DAY_S)
    }

    /// How far the wall clock is ahead of UTC at a moment.
    fn offset_s(&self, unix_s: i64) -> i64 {
        let after = self.0.partition_point(|row| row.from_unix_s <= unix_s);
        after
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .map_or(0, |row| row.offset_s.into())
    }

    /// The first moment at which the wall clock shows this time or a later one. `local_s` counts as if the clock's time
    /// were UTC.
    fn reaches(&self, local_s: i64) -> i64 {
        // No clock is more than a day from UTC, so rows that ended before cannot matter.
        let first = self
            .0
            .partition_point(|row| row.from_unix_s <= local_s - DAY_S)
            .saturating_sub(1);
        for (at, row) in self.0.iter().enumerate().skip(first) {
            let moment = local_s - i64::from(row.offset_s);
            let begins = if at == 0 { i64::MIN } else { row.from_unix_s };
            if self
                .0
                .get(at + 1)
                .is_none_or(|next| moment < next.from_unix_s)
            {
                return moment.max(begins);
            }
        }
        local_s
    }
}

/// Year, month (1–12) and day (1–31) of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted from
/// March, so that the leap day is the last.
fn civil(day: i64) -> (i16, u8, u8) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        i16::try_from(year).unwrap_or(i16::MAX),
        u8::try_from(month).unwrap_or(1),
        u8::try_from(day_of_month).unwrap_or(1),
    )
}

fn unix_signed(unix_s: u64) -> i64 {
    i64::try_from(unix_s).unwrap_or(i64::MAX / 4)
}

fn unsigned(unix_s: i64) -> u64 {
    u64::try_from(unix_s).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rows::WorkingHours;

    #[test]
    fn days_have_their_civil_dates() {
        for (day, want) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (20_514, (2026, 3, 2)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(day), want, "{day}");
        }
    }

    fn now(unix_s: u64) -> Now {
        Now {
            monotonic_ns: 0,
            unix_us: unix_s * 1_000_000,
        }
    }

    fn utc(hours: Vec<WorkingHours>) -> ScheduleRow {
        ScheduleRow {
            zone: "UTC".to_owned(),
            offsets: vec![OffsetRow {
                from_unix_s: i64::MIN,
                offset_s: 0,
            }],
            hours,
            holidays: Vec::new(),
        }
    }

    const ALL_MONTHS: u16 = 0x0fff;

    #[test]
    fn a_stretch_without_a_change_began_before_anybody_knows() {
        let always = WorkingHours {
            months: ALL_MONTHS,
            days: 0x7f,
            from_minute: 0,
            until_minute: 24 * 60,
        };
        let start = 1_800_000_000;
        for (hours, works) in [(vec![], false), (vec![always], true)] {
            let schedule = Schedule::new(&utc(hours), now(start));
            let moment = schedule.at(start + 1000);
            assert_eq!(moment.working, works);
            assert_eq!(moment.stretch.start_unix_s, 0);
            assert_eq!(moment.day.start_unix_s, (start + 1000) / 86_400 * 86_400);
        }
    }

    #[test]
    fn a_look_up_is_the_same_whatever_was_asked_before() {
        let office = WorkingHours {
            months: ALL_MONTHS,
            days: 0x1f,
            from_minute: 9 * 60,
            until_minute: 17 * 60,
        };
        let start = 1_800_000_000;
        let schedule = Schedule::new(&utc(vec![office]), now(start));
        let fresh = |unix_s| Schedule::new(&utc(vec![office]), now(start)).at(unix_s);
        for step in [
            0_u64,
            40_000,
            3,
            900_000,
            899_999,
            5_000_000,
            12,
            1_000_000_000,
        ] {
            assert_eq!(schedule.at(start + step), fresh(start + step), "{step}");
        }
    }
}
