//! What a mix's file says of the server's policy: rows of lists, limits, and what the limits go by.
//!
//! Promises: the keys and words of a policy's; every fault is said with its place.

use super::document::{Faults, Keys, Placed};
use super::model::{Count, During, Limit, To, Who, Window};
use super::read::{DAYS, one_of, several, time};
use super::terms::{Destination, Hours, Rate, Terms};
use crate::clock::{Nanos, nanos};
use crate::text::Text;

const SECOND: Nanos = 1_000_000_000;
const DAY: Nanos = 86_400 * SECOND;

pub(super) fn list_row((row, at): Placed<&str>, faults: &mut Faults<'_>) -> Option<String> {
    let fields: Vec<&str> = row.split(',').collect();
    let fits = matches!(fields.as_slice(), ["number" | "address" | "agent", what, "allow" | "deny", code]
        if !what.is_empty() && is_code(code));
    if !fits {
        faults.at(
            at,
            "a row of `lists` is \"number|address|agent,WHAT,allow|deny,CODE\"",
        );
    }
    fits.then(|| row.to_owned())
}

pub(super) fn is_code(code: &str) -> bool {
    matches!(code.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'])
}

const WHO: &[(&str, Who)] = &[
    ("domain", Who::Domain),
    ("subscriber", Who::Subscriber),
    ("caller", Who::Caller),
    ("address", Who::Address),
];

const COUNT: &[(&str, Count)] = &[
    ("attempts", Count::Attempts),
    ("approved", Count::Approved),
    ("exposure", Count::Exposure),
    ("reported-calls", Count::ReportedCalls),
];

const TO: &[(&str, To)] = &[
    ("number", To::Number),
    ("prefix", To::Prefix),
    ("country", To::Country),
    ("any", To::Any),
];

const DURING: &[(&str, During)] = &[
    ("always", During::Always),
    ("working-hours", During::WorkingHours),
    ("off-hours", During::OffHours),
];

/// A limit that rejects, with the keys and words of a policy's.
pub(super) fn read_limit(mut keys: Keys<'_>, faults: &mut Faults<'_>) -> Option<Limit> {
    let before = faults.count();
    let name = keys.needed("name", faults);
    if let Some((name, at)) = name
        && !name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    {
        faults.at(at, "`name` must be letters, digits and `-`");
    }
    let per = several(&mut keys, "per", WHO, faults);
    if per.is_empty() {
        faults.at(keys.at, "`per` is missing here, as [\"subscriber\"]");
    }
    let to = one_of(&mut keys, "to", TO, faults).unwrap_or(To::Any);
    let count = one_of(&mut keys, "count", COUNT, faults).unwrap_or(Count::Attempts);
    let window = window(&mut keys, count, faults);
    let during = one_of(&mut keys, "during", DURING, faults).unwrap_or(During::Always);
    let max = if count == Count::Exposure {
        // Millionths of what has three decimals.
        let max = keys.thousandths("max", 1..=u64::from(u32::MAX), faults);
        max.map(|(thousandths, at)| (thousandths * 1000, at))
    } else {
        keys.whole("max", 1..=u64::from(u32::MAX), faults)
    };
    if max.is_none() {
        faults.at(keys.at, "`max` is missing here, or no number");
    }
    let hold = time(&mut keys, "hold", faults).map_or(0, |(hold, _)| hold);
    let code = keys.needed("code", faults);
    if let Some((text, at)) = code
        && !is_code(text)
    {
        faults.at(at, "`code` must be a letter and two digits, as \"R13\"");
    }
    keys.finish(faults);
    (faults.count() == before).then_some(())?;
    Some(Limit {
        name: name?.0.to_owned(),
        per: per.into(),
        to,
        count,
        window,
        during,
        max: max?.0,
        hold,
        code: Text::of(code?.0.as_bytes())?,
    })
}

/// `window`: a time, `day` or `period`.
fn window(keys: &mut Keys<'_>, count: Count, faults: &mut Faults<'_>) -> Window {
    let Some((text, at)) = keys.text("window", faults) else {
        if count != Count::ReportedCalls {
            faults.at(keys.at, "`window` is missing here, as \"15m\"");
        }
        return Window::None;
    };
    if count == Count::ReportedCalls {
        faults.at(at, "`reported-calls` has no `window`");
        return Window::None;
    }
    match (text, crate::cli::time_of(text)) {
        ("day", _) => Window::Day,
        ("period", _) => Window::Period,
        (_, Ok(length)) if (SECOND..=DAY).contains(&nanos(length)) => {
            Window::Sliding(nanos(length))
        }
        _ => {
            faults.at(at, "`window` must be 1s to 24h, `day` or `period`");
            Window::None
        }
    }
}

/// What the limits go by.
pub(super) fn read_terms(keys: &mut Keys<'_>, faults: &mut Faults<'_>) -> Terms {
    let destinations = keys.texts("destinations", faults);
    let rates = keys.texts("rates", faults);
    let assumed_minutes = keys
        .whole("assumed_minutes", 1..=MINUTES_MAX, faults)
        .map(|(minutes, _)| minutes);
    let mut hours = Hours::default();
    for (words, at) in keys.texts("working_hours", faults) {
        match hours_of(words) {
            Some((days, minutes)) => hours.add(words, days, minutes),
            None => faults.at(
                at,
                "`working_hours` are those of UTC, as \"mon-fri 09:00-17:00\"",
            ),
        }
    }
    Terms {
        destinations: destinations
            .into_iter()
            .filter_map(|row| destination(row, faults))
            .collect(),
        rates: rates
            .into_iter()
            .filter_map(|row| rate(row, faults))
            .collect(),
        assumed_minutes,
        hours,
    }
}

/// Minutes that a call may be assumed to take at most.
const MINUTES_MAX: u64 = 24 * 60;

fn is_prefix(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn destination((row, at): Placed<&str>, faults: &mut Faults<'_>) -> Option<Destination> {
    let fields: Vec<&str> = row.split(',').collect();
    match fields.as_slice() {
        [prefix, country, _, _] if is_prefix(prefix) && !country.is_empty() => Some(Destination {
            prefix: (*prefix).to_owned(),
            country: (*country).to_owned(),
            row: row.to_owned(),
        }),
        _ => {
            faults.at(
                at,
                "a row of `destinations` is \"PREFIX,COUNTRY,TYPE,RISK\", the last two as the server's table has them or empty",
            );
            None
        }
    }
}

fn rate((row, at): Placed<&str>, faults: &mut Faults<'_>) -> Option<Rate> {
    let read = || {
        let (prefix, rate) = row.split_once(',')?;
        let (whole, decimals) = rate.split_once('.').unwrap_or((rate, ""));
        let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        let fits = (prefix == "*" || is_prefix(prefix))
            && (1..=6).contains(&whole.len())
            && decimals.len() <= 6
            && digits(whole)
            && digits(decimals);
        fits.then_some(())?;
        Some(Rate {
            prefix: prefix.trim_start_matches('*').to_owned(),
            micros: format!("{whole}{decimals:0<6}").parse().ok()?,
            row: row.to_owned(),
        })
    };
    let found = read();
    if found.is_none() {
        faults.at(
            at,
            "a row of `rates` is \"PREFIX,RATE\" or \"*,RATE\", with at most six decimals",
        );
    }
    found
}

/// Days of the week (0: Monday) and minutes of the day.
fn hours_of(words: &str) -> Option<(std::ops::RangeInclusive<u64>, (u64, u64))> {
    let (days, times) = words.split_once(' ')?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let day = |name: &str| {
        let place = DAYS.iter().position(|known| *known == name)?;
        u64::try_from(place).ok()
    };
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let two = |text: &str| {
            (text.len() == 2)
                .then(|| text.parse::<u64>().ok())
                .flatten()
        };
        let minute = two(hour)? * 60 + two(minute).filter(|minute| *minute < 60)?;
        (minute <= 24 * 60).then_some(minute)
    };
    let (from, to) = times.split_once('-')?;
    let (first, last, from, to) = (day(first)?, day(last)?, minute(from)?, minute(to)?);
    (first <= last && from < to).then_some((first..=last, (from, to)))
}
