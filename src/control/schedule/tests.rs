//! Working hours, holidays and time zones, against jiff and by hand.

use super::*;
use crate::clock::Now;
use crate::policy::schedule::Schedule;

fn calendar(zone: &str, working: &[&str], holidays: &[&str]) -> ScheduleRow {
    ScheduleRow {
        zone: zone.to_owned(),
        offsets: offsets(zone).unwrap(),
        hours: working.iter().map(|text| hours(text).unwrap()).collect(),
        holidays: holidays.iter().map(|text| holiday(text).unwrap()).collect(),
    }
}

/// Seconds since 1970 of a moment written in UTC.
fn unix(text: &str) -> u64 {
    let moment: Timestamp = format!("{text}Z").parse().unwrap();
    u64::try_from(moment.as_second()).unwrap()
}

fn at(row: &ScheduleRow, text: &str) -> (bool, u64, u64) {
    let now = Now {
        monotonic_ns: 0,
        unix_us: unix("2026-06-01T00:00:00") * 1_000_000,
    };
    let moment = Schedule::new(row, now).at(unix(text));
    (
        moment.working,
        moment.stretch.start_unix_s,
        moment.day.start_unix_s,
    )
}

#[test]
fn working_hours_follow_the_wall_clock_over_both_changes_everywhere() {
    // Moments in UTC: is it working time, since when, and when did the local day begin?
    for (zone, hours, moment, working, since, day) in [
        // New York, winter and summer, and around both changes of 2026 (8 March, 1 November).
        (
            "America/New_York",
            "mon-fri 09:00-17:00",
            "2026-01-05T14:00:00",
            true,
            "2026-01-05T14:00:00",
            "2026-01-05T05:00:00",
        ),
        (
            "America/New_York",
            "mon-fri 09:00-17:00",
            "2026-01-05T13:59:59",
            false,
            "2026-01-02T22:00:00",
            "2026-01-05T05:00:00",
        ),
        (
            "America/New_York",
            "mon-fri 09:00-17:00",
            "2026-07-06T13:00:00",
            true,
            "2026-07-06T13:00:00",
            "2026-07-06T04:00:00",
        ),
        (
            "America/New_York",
            "mon-fri 09:00-17:00",
            "2026-03-09T13:00:00",
            true,
            "2026-03-09T13:00:00",
            "2026-03-09T04:00:00",
        ),
        (
            "America/New_York",
            "mon-fri 09:00-17:00",
            "2026-03-08T12:00:00",
            false,
            "2026-03-06T22:00:00",
            "2026-03-08T05:00:00",
        ),
        (
            "America/New_York",
            "mon-fri 09:00-17:00",
            "2026-11-02T13:59:59",
            false,
            "2026-10-30T21:00:00",
            "2026-11-02T05:00:00",
        ),
        (
            "America/New_York",
            "mon-fri 09:00-17:00",
            "2026-11-02T14:00:00",
            true,
            "2026-11-02T14:00:00",
            "2026-11-02T05:00:00",
        ),
        // The day of the change itself: 23 hours in March, 25 in November. It begins once.
        (
            "America/New_York",
            "daily 00:00-06:00",
            "2026-03-08T09:59:59",
            true,
            "2026-03-08T05:00:00",
            "2026-03-08T05:00:00",
        ),
        (
            "America/New_York",
            "daily 00:00-06:00",
            "2026-03-08T10:00:00",
            false,
            "2026-03-08T10:00:00",
            "2026-03-08T05:00:00",
        ),
        (
            "America/New_York",
            "daily 00:00-06:00",
            "2026-11-01T10:59:59",
            true,
            "2026-11-01T04:00:00",
            "2026-11-01T04:00:00",
        ),
        (
            "America/New_York",
            "daily 00:00-06:00",
            "2026-11-01T11:00:00",
            false,
            "2026-11-01T11:00:00",
            "2026-11-01T04:00:00",
        ),
        // 02:30 does not happen on 8 March: it begins when the clock jumps to 03:00.
        (
            "America/New_York",
            "daily 02:30-05:00",
            "2026-03-08T06:59:59",
            false,
            "2026-03-07T10:00:00",
            "2026-03-08T05:00:00",
        ),
        (
            "America/New_York",
            "daily 02:30-05:00",
            "2026-03-08T07:00:00",
            true,
            "2026-03-08T07:00:00",
            "2026-03-08T05:00:00",
        ),
        // 01:30 happens twice on 1 November: it begins the first time and does not end before the end.
        (
            "America/New_York",
            "daily 01:30-05:00",
            "2026-11-01T05:30:00",
            true,
            "2026-11-01T05:30:00",
            "2026-11-01T04:00:00",
        ),
        (
            "America/New_York",
            "daily 01:30-05:00",
            "2026-11-01T06:15:00",
            true,
            "2026-11-01T05:30:00",
            "2026-11-01T04:00:00",
        ),
        (
            "America/New_York",
            "daily 00:00-01:30",
            "2026-11-01T06:15:00",
            false,
            "2026-11-01T05:30:00",
            "2026-11-01T04:00:00",
        ),
        // Berlin: a night shift over the changes of 29 March (seven hours) and 25 October (nine).
        (
            "Europe/Berlin",
            "sat 22:00-06:00",
            "2026-03-28T21:00:00",
            true,
            "2026-03-28T21:00:00",
            "2026-03-27T23:00:00",
        ),
        (
            "Europe/Berlin",
            "sat 22:00-06:00",
            "2026-03-29T03:59:59",
            true,
            "2026-03-28T21:00:00",
            "2026-03-28T23:00:00",
        ),
        (
            "Europe/Berlin",
            "sat 22:00-06:00",
            "2026-03-29T04:00:00",
            false,
            "2026-03-29T04:00:00",
            "2026-03-28T23:00:00",
        ),
        (
            "Europe/Berlin",
            "sat 22:00-06:00",
            "2026-10-25T04:59:59",
            true,
            "2026-10-24T20:00:00",
            "2026-10-24T22:00:00",
        ),
        (
            "Europe/Berlin",
            "sat 22:00-06:00",
            "2026-10-25T05:00:00",
            false,
            "2026-10-25T05:00:00",
            "2026-10-24T22:00:00",
        ),
        // The southern hemisphere: Sydney's summer time ends 5 April and begins 4 October.
        (
            "Australia/Sydney",
            "mon-fri 09:00-17:00",
            "2026-04-02T22:00:00",
            true,
            "2026-04-02T22:00:00",
            "2026-04-02T13:00:00",
        ),
        (
            "Australia/Sydney",
            "mon-fri 09:00-17:00",
            "2026-04-05T22:59:59",
            false,
            "2026-04-03T06:00:00",
            "2026-04-05T14:00:00",
        ),
        (
            "Australia/Sydney",
            "mon-fri 09:00-17:00",
            "2026-04-05T23:00:00",
            true,
            "2026-04-05T23:00:00",
            "2026-04-05T14:00:00",
        ),
        (
            "Australia/Sydney",
            "mon-fri 09:00-17:00",
            "2026-10-04T22:00:00",
            true,
            "2026-10-04T22:00:00",
            "2026-10-04T13:00:00",
        ),
        // Half an hour and three quarters; Lord Howe's summer time moves the clock by half an hour.
        (
            "Asia/Kolkata",
            "mon-fri 09:30-18:00",
            "2026-06-01T04:00:00",
            true,
            "2026-06-01T04:00:00",
            "2026-05-31T18:30:00",
        ),
        (
            "Asia/Kathmandu",
            "daily 09:00-17:00",
            "2026-06-01T03:15:00",
            true,
            "2026-06-01T03:15:00",
            "2026-05-31T18:15:00",
        ),
        (
            "Australia/Lord_Howe",
            "daily 09:00-17:00",
            "2026-04-04T21:59:59",
            false,
            "2026-04-04T06:00:00",
            "2026-04-04T13:00:00",
        ),
        (
            "Australia/Lord_Howe",
            "daily 09:00-17:00",
            "2026-04-05T22:30:00",
            true,
            "2026-04-05T22:30:00",
            "2026-04-05T13:30:00",
        ),
        // Midnight itself is left out: Santiago's clock jumps from 24:00 to 01:00 on 6 September.
        (
            "America/Santiago",
            "daily 00:30-02:00",
            "2026-09-06T04:00:00",
            true,
            "2026-09-06T04:00:00",
            "2026-09-06T04:00:00",
        ),
        (
            "America/Santiago",
            "daily 00:30-02:00",
            "2026-09-06T03:59:59",
            false,
            "2026-09-05T06:00:00",
            "2026-09-05T04:00:00",
        ),
        // Midnight comes twice: on 5 April Santiago's clock goes from 24:00 back to 23:00, and the 5th begins after that.
        (
            "America/Santiago",
            "sun 09:00-10:00",
            "2026-04-05T03:30:00",
            false,
            "2026-03-29T13:00:00",
            "2026-04-04T03:00:00",
        ),
        (
            "America/Santiago",
            "sun 09:00-10:00",
            "2026-04-05T04:00:00",
            false,
            "2026-03-29T13:00:00",
            "2026-04-05T04:00:00",
        ),
    ] {
        let row = calendar(zone, &[hours], &[]);
        assert_eq!(
            at(&row, moment),
            (working, unix(since), unix(day)),
            "{zone} {hours} {moment}"
        );
    }
}

#[test]
fn a_holiday_has_no_working_hours_whatever_begins_or_runs_into_it() {
    let weekday = ["mon-fri 09:00-17:00"];
    let nights = ["daily 22:00-06:00"];
    for (hours, holidays, moment, working, since) in [
        // Christmas 2026 is a Friday.
        (
            &weekday,
            &["2026-12-25"][..],
            "2026-12-25T12:00:00",
            false,
            "2026-12-24T17:00:00",
        ),
        (
            &weekday,
            &["12-25"],
            "2026-12-25T12:00:00",
            false,
            "2026-12-24T17:00:00",
        ),
        (
            &weekday,
            &["12-25"],
            "2027-12-27T09:00:00",
            true,
            "2027-12-27T09:00:00",
        ),
        (
            &weekday,
            &["2025-12-25"],
            "2026-12-25T12:00:00",
            true,
            "2026-12-25T09:00:00",
        ),
        // The shift of the 24th ends at midnight; that of the 25th does not take place, its morning neither.
        (
            &nights,
            &["2026-12-25"],
            "2026-12-24T23:59:59",
            true,
            "2026-12-24T22:00:00",
        ),
        (
            &nights,
            &["2026-12-25"],
            "2026-12-25T00:00:00",
            false,
            "2026-12-25T00:00:00",
        ),
        (
            &nights,
            &["2026-12-25"],
            "2026-12-26T05:00:00",
            false,
            "2026-12-25T00:00:00",
        ),
        (
            &nights,
            &["2026-12-25"],
            "2026-12-26T22:00:00",
            true,
            "2026-12-26T22:00:00",
        ),
        (
            &weekday,
            &["02-29"],
            "2028-02-29T12:00:00",
            false,
            "2028-02-28T17:00:00",
        ),
    ] {
        let row = calendar("UTC", hours, holidays);
        let (found, start, _) = at(&row, moment);
        assert_eq!(
            (found, start),
            (working, unix(since)),
            "{hours:?} {holidays:?} {moment}"
        );
    }
    // A holiday on the day of a change of clocks: the whole day of 25 hours, and no more.
    let row = calendar("America/New_York", &["daily 00:00-24:00"], &["2026-11-01"]);
    for (moment, working) in [
        ("2026-11-01T03:59:59", true),
        ("2026-11-01T04:00:00", false),
        ("2026-11-02T04:59:59", false),
        ("2026-11-02T05:00:00", true),
    ] {
        assert_eq!(at(&row, moment).0, working, "{moment}");
    }
}

#[test]
fn several_periods_and_months_are_one_calendar() {
    let row = calendar(
        "UTC",
        &[
            "mon-fri 08:00-12:00",
            "mon-fri 12:00-13:00",
            "mon-thu 14:00-18:00",
            "nov-feb sat 09:00-12:00",
            "dec sun 20:00-02:00",
        ],
        &[],
    );
    for (moment, working, since) in [
        ("2026-06-01T12:30:00", true, "2026-06-01T08:00:00"), // what touches is one stretch
        ("2026-06-01T13:30:00", false, "2026-06-01T13:00:00"),
        ("2026-06-05T15:00:00", false, "2026-06-05T13:00:00"), // Friday afternoon
        ("2026-06-06T10:00:00", false, "2026-06-05T13:00:00"), // Saturday in June
        ("2026-11-07T10:00:00", true, "2026-11-07T09:00:00"),
        ("2027-02-27T10:00:00", true, "2027-02-27T09:00:00"),
        ("2027-01-31T21:00:00", false, "2027-01-30T12:00:00"), // Sunday in January
        ("2028-01-01T01:00:00", false, "2027-12-31T13:00:00"),
    ] {
        let (found, start, _) = at(&row, moment);
        assert_eq!((found, start), (working, unix(since)), "{moment}");
    }
    // What begins in December ends in January.
    let row = calendar("UTC", &["dec daily 20:00-02:00"], &[]);
    assert!(at(&row, "2027-01-01T01:59:59").0);
    assert!(!at(&row, "2027-01-01T20:00:00").0);
}

/// Minute by minute against the library's own reading of the wall clock, where the clock is not between two times.
#[test]
fn it_agrees_with_the_wall_clock_through_a_year() {
    for zone in [
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kolkata",
    ] {
        let row = calendar(
            zone,
            &["mon-fri 09:00-17:00", "sat 22:00-06:00"],
            &["2026-05-01"],
        );
        let start = unix("2026-01-01T00:00:00");
        let schedule = Schedule::new(
            &row,
            Now {
                monotonic_ns: 0,
                unix_us: start * 1_000_000,
            },
        );
        let zone = TimeZone::get(zone).unwrap();
        for quarter in 0..(365 * 96) {
            let unix_s = start + quarter * 900;
            let local =
                zone.to_datetime(Timestamp::from_second(unix_s.try_into().unwrap()).unwrap());
            let minute =
                u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
            let weekday = local.date().weekday().to_monday_zero_offset();
            let holiday = local.date() == jiff::civil::date(2026, 5, 1);
            let office = weekday < 5 && (540..1020).contains(&minute) && !holiday;
            let night = weekday == 5 && minute >= 1320 || weekday == 6 && minute < 360;
            let moment = schedule.at(unix_s);
            assert_eq!(moment.working, office || night, "{local} {zone:?}");
            assert!(moment.stretch.start_unix_s <= unix_s && moment.day.start_unix_s <= unix_s);
        }
    }
}

#[test]
fn what_is_no_calendar_is_said() {
    for (text, want) in [
        ("mon-fri", "\"mon-fri\" is not days and a time"),
        ("mon-fry 09:00-17:00", "\"mon-fry\" is no day"),
        ("mon 9:00-17:00", "\"9:00-17:00\" is no time"),
        ("mon 09:00-24:01", "is no time"),
        ("mon 24:00-01:00", "is no time"),
        ("mon 09:60-17:00", "is no time"),
        ("mon 09:00", "is no time"),
        ("mon 09:00-09:00", "ends when it begins"),
        ("june mon 09:00-17:00", "\"june\" is no month"),
        ("", "is not days and a time"),
    ] {
        let sentence = hours(text).unwrap_err();
        assert!(sentence.contains(want), "{sentence}");
    }
    for text in [
        "2026-13-01",
        "2026-02-29",
        "02-30",
        "2026-2-1",
        "25.12.2026",
        "",
        "+026-01-01",
    ] {
        assert!(holiday(text).is_err(), "{text}");
    }
    assert!(
        offsets("Europe/Berln")
            .unwrap_err()
            .contains("did you mean \"Europe/Berlin\"?")
    );
    assert!(
        offsets("Mars")
            .unwrap_err()
            .contains("like \"Europe/Berlin\"")
    );
    assert!(offsets("").is_err());
}

#[test]
fn what_is_shown_can_be_read_again() {
    for text in [
        "mon-fri 09:00-17:00",
        "daily 00:00-24:00",
        "nov-feb sat,sun 22:00-06:00",
        "sun-tue 20:00-00:00",
    ] {
        let row = hours(text).unwrap();
        assert_eq!(hours(&hours_text(&row)), Ok(row), "{text}");
    }
    for text in ["2026-12-25", "12-25", "02-29"] {
        assert_eq!(holiday_text(holiday(text).unwrap()), text);
    }
}
