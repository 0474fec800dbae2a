//! `tollgate-loadgen mix from-cdr`: a mix that resembles the calls of a file of call records.
//!
//! Promises: of called numbers only their first digits come out (`--prefix-digits`), never fewer than four digits are hidden; callers and
//! accounts come out as counts only. The file is streamed: memory grows with what is counted. All faults at once, with line and what was
//! expected; then nothing is printed.
//!
//! What is read of a record, and under which column names if `--columns` does not say:
//!
//! | what | names | form |
//! |---|---|---|
//! | time | `start`, `calldate`, `time`, `timestamp`, `at` | `2026-11-23 08:15:00`, RFC 3339, or seconds since 1970 |
//! | caller | `src`, `caller`, `calling`, `from` | any text |
//! | called | `dst`, `called`, `dialled`, `to` | `+`, `00…`, `011…`, or national with `--country-code` |
//! | subscriber | `accountcode`, `subscriber`, `account` | any text; may be missing |

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::files::LineFaults;
use crate::limits::CDR_COUNTED_MAX;
use crate::replay::journal::days_since_1970;

/// Options of `mix from-cdr`.
#[derive(Debug, Args)]
pub struct CdrArgs {
    /// Call records: CSV with a header line.
    pub file: PathBuf,
    /// Which columns hold what, as time=start,caller=src,called=dst,subscriber=accountcode.
    #[arg(long, value_name = "WHAT=NAME", value_delimiter = ',', value_parser = column_of)]
    pub columns: Vec<(What, String)>,
    /// Digits of called numbers that come out; the others become any digit.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=11))]
    pub prefix_digits: u8,
    /// Prefixes at most, the most called ones.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub prefixes_max: u16,
    /// Country code of numbers without international prefix; without it they are left out and counted.
    #[arg(long, value_name = "DIGITS", value_parser = digits_of)]
    pub country_code: Option<String>,
    /// What stands before national numbers and is no part of them; with --country-code.
    #[arg(long, value_name = "DIGITS", default_value = "0", requires = "country_code", value_parser = digits_of)]
    pub trunk_prefix: String,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// When the call began.
    Time,
    /// Who called.
    Caller,
    /// What was dialled.
    Called,
    /// To which account the caller belongs.
    Subscriber,
}

const WHATS: [(What, &str, &[&str]); 4] = [
    (
        What::Time,
        "time",
        &["start", "calldate", "time", "timestamp", "at"],
    ),
    (
        What::Caller,
        "caller",
        &["src", "caller", "calling", "from"],
    ),
    (What::Called, "called", &["dst", "called", "dialled", "to"]),
    (
        What::Subscriber,
        "subscriber",
        &["accountcode", "subscriber", "account"],
    ),
];

fn column_of(text: &str) -> Result<(What, String), String> {
    let found = text.split_once('=').and_then(|(what, name)| {
        let (what, ..) = WHATS.iter().find(|(_, word, _)| *word == what)?;
        (!name.is_empty()).then(|| (*what, name.to_owned()))
    });
    found
        .ok_or_else(|| "time=, caller=, called= or subscriber= and the name of a column".to_owned())
}

fn digits_of(text: &str) -> Result<String, String> {
    let fits = (1..=4).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    fits.then(|| text.to_owned())
        .ok_or_else(|| "one to four digits".to_owned())
}

/// The mix, as TOML.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn learn(args: &CdrArgs) -> Result<String, String> {
    let name = args.file.display().to_string();
    let file = File::open(&args.file).map_err(|error| format!("{name}: {error}"))?;
    let stem = Path::new(&name).file_stem().unwrap_or_default();
    Ok(Learnt::of(file, &name, args)?.to_toml(&stem.to_string_lossy(), args))
}

/// International prefixes, as they are dialled.
const INTERNATIONAL: [&str; 3] = ["+", "011", "00"];

/// Digits of a called number that never come out.
const HIDDEN_MIN: usize = 4;

/// What was counted.
#[derive(Debug, Default)]
struct Learnt {
    calls: u64,
    /// Calls by hour of the day.
    hours: [u64; 24],
    /// Calls by day of the week, from Monday.
    weekdays: [u64; 7],
    first_day: Option<u64>,
    last_day: u64,
    /// By prefix and length of the number.
    prefixes: HashMap<(String, usize), u64>,
    /// By place in [`INTERNATIONAL`].
    spellings: [u64; 3],
    subscribers: HashSet<String>,
    callers: HashSet<(String, String)>,
    /// Calls to numbers that are not international, or too short to hide anything of.
    left_out: u64,
}

impl Learnt {
    fn of(file: impl Read, name: &str, args: &CdrArgs) -> Result<Self, String> {
        let mut faults = LineFaults::new(name);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(file);
        let header = reader
            .headers()
            .map_err(|error| format!("{name}: {error}"))?
            .clone();
        let columns = Columns::of(&header, &args.columns, name)?;
        let mut learnt = Self::default();
        let mut record = csv::StringRecord::new();
        loop {
            let line = reader.position().line();
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let line = record.position().map_or(line, csv::Position::line);
                    if let Err(expected) = learnt.take(&record, &columns, args) {
                        faults.at(line, expected);
                    }
                }
                Err(error) => {
                    faults.at(line, error.to_string());
                    if error.is_io_error() {
                        break;
                    }
                }
            }
        }
        faults.into_result()?;
        if learnt.prefixes.is_empty() {
            return Err(format!(
                "{name}: no call to an international number in {} records; national ones want --country-code",
                learnt.calls + learnt.left_out
            ));
        }
        Ok(learnt)
    }

    fn take(
        &mut self,
        record: &csv::StringRecord,
        columns: &Columns,
        args: &CdrArgs,
    ) -> Result<(), String> {
        let time = record.get(columns.time).unwrap_or_default();
        let (day, hour) = day_and_hour(time).ok_or_else(|| {
            format!("expected a time as 2026-11-23 08:15:00, RFC 3339 or seconds since 1970, found `{time}`")
        })?;
        let called = record.get(columns.called).unwrap_or_default();
        let caller = record.get(columns.caller).unwrap_or_default();
        if caller.is_empty() {
            return Err("expected a caller, found nothing".to_owned());
        }
        let Some((spelling, number)) = international(called, args) else {
            self.left_out += 1;
            return Ok(());
        };
        let shown = usize::from(args.prefix_digits).min(number.len() - HIDDEN_MIN);
        let prefix = number.get(..shown).unwrap_or_default().to_owned();
        let subscriber = columns
            .subscriber
            .and_then(|at| record.get(at))
            .unwrap_or_default();
        self.calls += 1;
        count(&mut self.hours, hour);
        count(
            &mut self.weekdays,
            usize::try_from((day + 3) % 7).unwrap_or(0),
        );
        self.first_day = Some(self.first_day.map_or(day, |first| first.min(day)));
        self.last_day = self.last_day.max(day);
        if let Some(spelling) = spelling {
            count(&mut self.spellings, spelling);
        }
        *self.prefixes.entry((prefix, number.len())).or_default() += 1;
        self.subscribers.insert(subscriber.to_owned());
        self.callers
            .insert((subscriber.to_owned(), caller.to_owned()));
        if self.callers.len().max(self.prefixes.len()) > CDR_COUNTED_MAX {
            return Err(format!(
                "expected at most {CDR_COUNTED_MAX} different callers and prefixes"
            ));
        }
        Ok(())
    }

    /// Calls of an average week, by day: a weekday that the records do not cover is like the others.
    fn week(&self) -> [u64; 7] {
        let first = self.first_day.unwrap_or(self.last_day);
        let mut covered = [0_u64; 7];
        for day in first..=self.last_day.min(first + 7 * 520) {
            count(&mut covered, usize::try_from((day + 3) % 7).unwrap_or(0));
        }
        let of_all = self.calls / (self.last_day - first + 1).max(1);
        let mut week = [0; 7];
        for ((share, calls), days) in week.iter_mut().zip(self.weekdays).zip(covered) {
            *share = calls.checked_div(days).unwrap_or(of_all);
        }
        week
    }

    fn to_toml(&self, name: &str, args: &CdrArgs) -> String {
        let week = self.week();
        let milli = (week.iter().sum::<u64>() * 1000 / 604_800).max(1);
        let mut ranges: Vec<_> = self.prefixes.iter().collect();
        ranges.sort_by(|(one, more), (other, fewer)| fewer.cmp(more).then(one.cmp(other)));
        let kept: u64 = ranges
            .iter()
            .take(usize::from(args.prefixes_max))
            .map(|(_, calls)| **calls)
            .sum();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _written = writeln!(
            text,
            "# Learnt from {} call records; {} more went to numbers that are not international or shorter than {} digits.\n\
             # The prefixes below cover {kept} of the calls.\n\
             about = \"Calls as in {}.\"\ncalls_per_second = {}.{:03}\n\n[day]\nbegins = \"mon 00\"\nhours = {:?}\nweekdays = {:?}\n\n\
             [[numbers]]\nname = \"called\"\n\n[numbers.ranges]",
            self.calls,
            self.left_out,
            HIDDEN_MIN + 1,
            name.replace(['"', '\\'], "-"),
            milli / 1000,
            milli % 1000,
            in_thousand(&self.hours),
            in_thousand(&week),
        );
        let most = ranges.first().map_or(1, |(_, calls)| **calls).max(1);
        for ((prefix, length), calls) in ranges.iter().take(usize::from(args.prefixes_max)) {
            let weight = (u128::from(**calls) * 100_000 / u128::from(most)).max(1);
            let rest = "#".repeat(length - prefix.len());
            let _written = writeln!(text, "\"{prefix}{rest}\" = {weight}");
        }
        let spellings: Vec<String> = INTERNATIONAL
            .iter()
            .zip(in_thousand(&self.spellings))
            .filter(|(_, weight)| *weight > 0)
            .map(|(prefix, weight)| format!("\"{prefix}\" = {weight}"))
            .collect();
        let spellings = if spellings.is_empty() {
            "\"00\" = 1".to_owned()
        } else {
            spellings.join(", ")
        };
        let subscribers = self.subscribers.len();
        let callers = self.callers.len().div_ceil(subscribers.max(1));
        let _written = writeln!(
            text,
            "\n[[part]]\nname = \"calls\"\nnumbers = \"called\"\nspellings = {{ {spellings} }}\nsubscribers = \"1001-{}\"\n\
             callers = \"100-{}\"\ndomain = \"pbx{{subscriber}}.example.com\"\nexpect = \"approve\"",
            1000 + subscribers,
            99 + callers,
        );
        text
    }
}

fn count<const N: usize>(counts: &mut [u64; N], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count += 1;
    }
}

/// The counts as weights up to 1,000, the smallest that are not 0 at least 1.
fn in_thousand<const N: usize>(counts: &[u64; N]) -> [u64; N] {
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    counts.map(|count| match count {
        0 => 0,
        count => (count * 1000 / most).max(1),
    })
}

/// Where the columns are.
#[derive(Debug)]
struct Columns {
    time: usize,
    caller: usize,
    called: usize,
    subscriber: Option<usize>,
}

impl Columns {
    fn of(
        header: &csv::StringRecord,
        named: &[(What, String)],
        file: &str,
    ) -> Result<Self, String> {
        let mut faults = LineFaults::new(file);
        let mut places = [None; 4];
        for (place, (what, word, usual)) in places.iter_mut().zip(WHATS) {
            let own = named.iter().find(|(of, _)| *of == what);
            *place = match own {
                Some((_, name)) => header.iter().position(|found| found == name),
                None => usual
                    .iter()
                    .find_map(|name| header.iter().position(|found| found == *name)),
            };
            let missing = match own {
                Some((_, name)) if place.is_none() => {
                    format!("expected a column `{name}` ({word})")
                }
                None if place.is_none() && what != What::Subscriber => format!(
                    "expected a column for the {word} ({}); --columns {word}=NAME names another",
                    usual.join(", ")
                ),
                _ => continue,
            };
            let found: Vec<&str> = header.iter().collect();
            faults.at(1, format!("{missing}; found {}", found.join(", ")));
        }
        faults.into_result()?;
        let [Some(time), Some(caller), Some(called), subscriber] = places else {
            return Err(format!("{file}:1: expected a header line"));
        };
        Ok(Self {
            time,
            caller,
            called,
            subscriber,
        })
    }
}

/// The number in E.164 without `+`, and the place of its prefix in [`INTERNATIONAL`].
fn international(called: &str, args: &CdrArgs) -> Option<(Option<usize>, String)> {
    let bare: String = called
        .chars()
        .filter(|letter| !matches!(letter, '-' | '.' | '(' | ')' | ' '))
        .collect();
    let found = (0..).zip(INTERNATIONAL).find_map(|(at, prefix)| {
        let rest = bare.strip_prefix(prefix)?;
        Some((Some(at), rest.to_owned()))
    });
    let (spelling, number) = match (found, &args.country_code) {
        (Some(found), _) => found,
        (None, Some(country)) => {
            let rest = bare
                .strip_prefix(args.trunk_prefix.as_str())
                .unwrap_or(&bare);
            (None, format!("{country}{rest}"))
        }
        (None, None) => return None,
    };
    let fits = number.bytes().all(|octet| octet.is_ascii_digit())
        && !number.starts_with('0')
        && (HIDDEN_MIN + 1..=15).contains(&number.len());
    fits.then_some((spelling, number))
}

/// The day since 1970 and the hour, as the record writes them: an office's hours are those of its own clock.
fn day_and_hour(text: &str) -> Option<(u64, usize)> {
    if text.len() >= 9
        && text
            .bytes()
            .all(|octet| octet.is_ascii_digit() || octet == b'.')
    {
        let seconds: u64 = text.split('.').next()?.parse().ok()?;
        let hour = seconds / 3600 % 24;
        return Some((seconds / 86_400, usize::try_from(hour).ok()?));
    }
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (hour, rest) = time.split_once(':')?;
    let minute = rest.get(..2)?;
    let hour: usize = hour.parse().ok().filter(|hour| *hour < 24)?;
    let minute: u8 = minute.parse().ok()?;
    let sane = (1970..=2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && minute < 60;
    sane.then(|| (days_since_1970(year, month, day), hour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::read::read;
    use crate::mix::shipped::find;
    use crate::mix::{Mix, Times};

    fn args() -> CdrArgs {
        CdrArgs {
            file: PathBuf::new(),
            columns: Vec::new(),
            prefix_digits: 5,
            prefixes_max: 500,
            country_code: None,
            trunk_prefix: "0".to_owned(),
        }
    }

    fn learnt(text: &str, args: &CdrArgs) -> Result<String, String> {
        Ok(Learnt::of(text.as_bytes(), "cdr.csv", args)?.to_toml("cdr", args))
    }

    const RECORDS: &str = "accountcode,src,dst,start\n\
        a,100,+442079460001,2026-11-23 09:10:00\n\
        a,101,00442079460002,2026-11-23 09:20:00\n\
        b,100,011 33 142 123456,2026-11-24T10:00:00Z\n\
        b,100,1234,2026-11-24 11:00:00\n\
        b,100,02079460003,1795515300\n";

    #[test]
    fn what_comes_out_are_weights_and_counts_never_numbers_or_names() {
        let text = learnt(RECORDS, &args()).unwrap();
        for whole in ["442079460001", "07946", "33142123", "123456", "a,", "100,+"] {
            assert!(!text.contains(whole), "{whole} in {text}");
        }
        for line in [
            "\"44207#######\" = 100000",
            "\"33142######\" = 50000",
            "subscribers = \"1001-1002\"",
            "callers = \"100-101\"",
            "spellings = { \"+\" = 1000, \"011\" = 1000, \"00\" = 1000 }",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.contains("3 call records; 2 more"), "{text}");
        let mix = read("cdr", "cdr", &text).unwrap();
        assert_eq!(mix.parts.len(), 1);
    }

    #[test]
    fn even_the_shortest_number_keeps_four_digits_hidden() {
        let all = CdrArgs {
            prefix_digits: 11,
            ..args()
        };
        let text = learnt("src,dst,start\n1,+4420794,2026-11-23 09:10:00\n", &all).unwrap();
        assert!(text.contains("\"442####\" = "), "{text}");
    }

    #[test]
    fn national_numbers_want_a_country() {
        let uk = CdrArgs {
            country_code: Some("44".to_owned()),
            ..args()
        };
        let text = learnt(RECORDS, &uk).unwrap();
        assert!(text.contains("5 call records; 0 more"), "{text}");
        assert!(text.contains("\"44207#######\" = 100000"), "{text}");
    }

    #[test]
    fn columns_can_be_named() {
        let own = CdrArgs {
            columns: ["time=t", "caller=a", "called=b"]
                .map(|it| column_of(it).unwrap())
                .to_vec(),
            ..args()
        };
        let text = "a,b,t\n100,+442079460001,2026-11-23 09:10:00\n";
        assert!(learnt(text, &own).is_ok());
        let fault = learnt(text, &args()).unwrap_err();
        assert_eq!(fault.lines().count(), 3, "{fault}");
        assert!(
            fault.starts_with("cdr.csv:1: expected a column for the time (start, calldate"),
            "{fault}"
        );
        assert!(column_of("colour=red").is_err());
    }

    #[test]
    fn every_fault_has_its_line() {
        let text = "src,dst,start\n1,+442079460001,yesterday\n,+442079460001,2026-11-23 09:10:00\n1,+442079460001\n";
        let faults = learnt(text, &args()).unwrap_err();
        let lines: Vec<&str> = faults.lines().collect();
        for (line, says) in lines.iter().zip([
            "cdr.csv:2: expected a time",
            "cdr.csv:3: expected a caller",
            "cdr.csv:",
        ]) {
            assert!(line.starts_with(says), "{line}");
        }
        assert_eq!(lines.len(), 3, "{faults}");
        let none = learnt("src,dst,start\n1,0207,2026-11-23 09:10:00\n", &args()).unwrap_err();
        assert!(
            none.contains("no call to an international number in 1 records"),
            "{none}"
        );
    }

    #[test]
    fn a_learnt_mix_resembles_what_it_was_learnt_from() {
        let source = Mix::new(find("business-day").unwrap(), 1, Times::Own).unwrap();
        let mut call = crate::call::Call::default();
        let mut records = "caller,called,time,subscriber\n".to_owned();
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        let mut hours = [0_u64; 24];
        for number in 0..50_000 {
            source.fill(number, &mut call);
            let at = source.due(number).unwrap() / 1_000_000_000;
            hours[usize::try_from(at / 3600 % 24).unwrap()] += 1;
            let user = text(call.user.as_bytes());
            let user = if user.starts_with(['0', '+']) {
                user
            } else {
                format!("+{user}")
            };
            // 2026-11-23 is a Monday.
            records += &format!(
                "{},{user},{},{}\n",
                text(call.caller.as_bytes()),
                1_795_392_000 + at,
                text(call.subscriber.as_bytes())
            );
        }
        let mix = read("m", "m", &learnt(&records, &args()).unwrap()).unwrap();
        let again = Mix::new(mix.clone(), 1, Times::Own).unwrap();
        let mut again_hours = [0_u64; 24];
        for number in 0..50_000 {
            let at = again.due(number).unwrap() / 1_000_000_000;
            again_hours[usize::try_from(at / 3600 % 24).unwrap()] += 1;
        }
        for (one, other) in hours.iter().zip(again_hours) {
            assert!(
                one.abs_diff(other) <= one / 5 + 60,
                "{hours:?} {again_hours:?}"
            );
        }
        assert_eq!(mix.parts[0].subscribers, Some((1001, 1400)));
        assert_eq!(mix.parts[0].callers, (100, 119));
    }
}
