//! Limits in words: amounts as `rates.csv` has them, times by the clock of the policy's time zone.

use super::*;
use crate::policy::rows::During;

const HOUR_S: u64 = 3600;
/// West of UTC in January.
const NEW_YORK_S: i32 = -5 * 3600;

/// What is said of the call's first limit, and of what it costs.
fn explained(node: &Node) -> (String, String) {
    let call = attempt(&node.snapshot, CALL.to);
    let steps = node.snapshot.explain(&call, &node.counts, node.now());
    let answer = |part: &str| {
        let step = steps.iter().find(|step| step.what.contains(part));
        step.map_or_else(String::new, |step| step.answer.clone())
    };
    (answer(" limit "), answer("exposure"))
}

/// A node with one limit, in an office in New York, so long after Monday 00:00 UTC.
fn node(row: LimitRow, after_s: u64) -> Node {
    let mut rows = rows();
    rows.rates = vec![RateRow {
        prefix: Some(number("44")),
        micros_per_minute: 35_000,
    }];
    rows.policies[0].limits = vec![row];
    rows.policies[0].schedule = ScheduleRow {
        zone: "America/New_York".to_owned(),
        offsets: vec![OffsetRow {
            from_unix_s: 0,
            offset_s: NEW_YORK_S,
        }],
        ..office()
    };
    let node = Node::new(&rows);
    node.wait(after_s);
    node
}

fn check(row: LimitRow, after_s: u64, want: &str) {
    assert_eq!(explained(&node(row, after_s)).0, want);
}

#[test]
fn amounts_are_those_of_rates_csv() {
    let row = LimitRow {
        count: Count::Exposure,
        window: Some(Window::Seconds(5400)),
        max: 250_000,
        ..limit(Code::X01)
    };
    let node = node(row, 0);
    let exposure = "0.105: 3 assumed minutes at 0.035 each by rates.csv";
    let first = "passes: with this call 0.105, max 0.25 in 1 h 30 min";
    assert_eq!(explained(&node), (first.to_owned(), exposure.to_owned()));
    for _ in 0..2 {
        assert_eq!(node.code(CALL), "A00");
    }
    let third = "REJECTS: with this call 0.315, max 0.25 in 1 h 30 min";
    assert_eq!(explained(&node).0, third);
}

#[test]
fn windows_and_hours_are_told_by_the_clock_on_the_wall() {
    let row = |window, during| LimitRow {
        window: Some(window),
        during,
        max: 9,
        ..limit(Code::X01)
    };
    let with = "passes: with this call 1, max 9";
    let day = row(Window::Day, During::Always);
    check(
        day.clone(),
        0,
        &format!("{with} in the day since 2026-01-04 00:00 America/New_York"),
    );
    check(
        day,
        5 * HOUR_S,
        &format!("{with} in the day since 2026-01-05 00:00 America/New_York"),
    );
    let period = row(Window::Period, During::Always);
    check(
        period.clone(),
        13 * HOUR_S,
        &format!("{with} in the off hours since 2026-01-02 17:00 America/New_York"),
    );
    check(
        period,
        14 * HOUR_S,
        &format!("{with} in the working hours since 2026-01-05 09:00 America/New_York"),
    );
    let minute = Window::Seconds(60);
    check(
        row(minute, During::OffHours),
        13 * HOUR_S,
        &format!("{with} in 1 min"),
    );
    check(
        row(minute, During::OffHours),
        14 * HOUR_S,
        "passes: in force in off hours only, which begin 2026-01-05 17:00 America/New_York",
    );
    check(
        row(minute, During::WorkingHours),
        13 * HOUR_S,
        "passes: in force in working hours only, which begin 2026-01-05 09:00 America/New_York",
    );
}

#[test]
fn a_hold_is_told_in_hours_and_minutes() {
    let row = LimitRow {
        hold_s: Some(5400),
        max: 1,
        ..limit(Code::R13)
    };
    let node = node(row, 0);
    assert_eq!(node.codes(2, CALL), "A00*1 R13*1");
    node.wait(61);
    let (said, _) = explained(&node);
    assert!(
        said.starts_with("REJECTS: held for 1 h 28 min 59 s more"),
        "{said}"
    );
}
