//! Reads a mix from TOML. The keys stand in the README and in `tollgate-loadgen mix show NAME`.
//!
//! Promises: every key is obeyed or refused; all faults at once, with file, line and column and what is expected.

use crate::call::{Family, caller_of, is_agent};
use crate::clock::Nanos;
use crate::fault::FAULTS;
use crate::limits::{AGENT_BYTES_MAX, CALLER_BYTES_MAX, COPIES_MAX, MIX_PARTS_MAX, RATE_MAX};
use crate::mix::Definition;
use crate::mix::document::{Faults, Keys, Placed, parse};
use crate::mix::model::Limit;
use crate::mix::numbers::{AGENTS, SETS};
use crate::mix::part::{Block, DISGUISES, Disguise, Kind, Order, Part, Pattern, Piece, Range};
use crate::mix::policy::{is_code, list_row, read_limit, read_terms};
use crate::mix::shape::Shape;
use crate::mix::weighted::Weighted;
use crate::text::Text;
use crate::verdict::Expected;

/// Largest weight of anything in a mix.
const WEIGHT_MAX: u64 = 1_000_000;
/// Limits of a mix, or of several together, at most.
pub const LIMITS_MAX: usize = 32;
/// Largest weight of an hour or a day.
const SHAPE_WEIGHT_MAX: u64 = 1000;
/// Digits of a number at most.
const DIGITS_MAX: usize = 15;
/// Random digits of a number at most.
const MORE_MAX: u32 = 12;
/// Pool of different numbers at most.
const POOL_MAX: u64 = 100_000_000;

/// A mix from a text; `file` is what faults name, `name` what the mix is called.
///
/// # Errors
/// All faults, a line each.
pub fn read(name: &str, file: &str, text: &str) -> Result<Definition, String> {
    let mut faults = Faults::new(file, text);
    let mut made = None;
    parse(&mut faults, |keys, faults| {
        made = definition(name, keys, faults);
    });
    match made {
        Some(definition) if faults.is_empty() => Ok(definition),
        _ => Err(faults.into_text()),
    }
}

fn definition(name: &str, mut keys: Keys<'_>, faults: &mut Faults<'_>) -> Option<Definition> {
    let about = keys.needed("about", faults).map_or("", |(about, _)| about);
    let milli = keys
        .thousandths("calls_per_second", 1..=RATE_MAX * 1000, faults)
        .map_or(1000, |(milli, _)| milli);
    let shape = keys
        .table("day", faults)
        .map_or_else(|| Some(Shape::even(milli)), |day| shape(milli, day, faults));
    let lists = keys
        .texts("lists", faults)
        .into_iter()
        .filter_map(|row| list_row(row, faults))
        .collect();
    let sets: Vec<NumberSet> = keys
        .tables("numbers", faults)
        .into_iter()
        .filter_map(|set| number_set(set, faults))
        .collect();
    let limits: Vec<Limit> = keys
        .tables("limit", faults)
        .into_iter()
        .filter_map(|limit| read_limit(limit, faults))
        .collect();
    let terms = read_terms(&mut keys, faults);
    if limits.len() > LIMITS_MAX {
        faults.at(keys.at, format!("a mix has at most {LIMITS_MAX} limits"));
    }
    let tables = keys.tables("part", faults);
    if tables.is_empty() || tables.len() > MIX_PARTS_MAX {
        faults.at(
            keys.at,
            format!("a mix has 1 to {MIX_PARTS_MAX} parts, each written [[part]]"),
        );
    }
    let parts: Vec<Part> = tables
        .into_iter()
        .filter_map(|part| read_part(part, &sets, faults))
        .collect();
    keys.finish(faults);
    Some(Definition {
        name: name.to_owned(),
        about: about.to_owned(),
        shape: shape?,
        parts,
        lists,
        limits,
        terms,
    })
}

pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn shape(milli: u64, mut keys: Keys<'_>, faults: &mut Faults<'_>) -> Option<Shape> {
    let begins = match keys.text("begins", faults) {
        None => Some(0),
        Some((text, at)) => {
            let hour = begin_of(text);
            if hour.is_none() {
                faults.at(at, "`begins` must be a day and an hour, as \"mon 08\"");
            }
            hour
        }
    };
    let hours = weights_of(&mut keys, "hours", faults);
    let weekdays = weights_of(&mut keys, "weekdays", faults);
    keys.finish(faults);
    Some(Shape::new(milli, begins?, &hours?, &weekdays?))
}

fn begin_of(text: &str) -> Option<usize> {
    let (day, hour) = text.split_once(' ')?;
    let day = DAYS.iter().position(|known| *known == day)?;
    let hour: usize = hour.parse().ok().filter(|hour| *hour < 24)?;
    Some(day * 24 + hour)
}

fn weights_of<const N: usize>(
    keys: &mut Keys<'_>,
    key: &'static str,
    faults: &mut Faults<'_>,
) -> Option<[u64; N]> {
    let before = faults.count();
    let Some((weights, at)) = keys.wholes(key, &(0..=SHAPE_WEIGHT_MAX), faults) else {
        return (faults.count() == before).then_some([1; N]);
    };
    let weights: Option<[u64; N]> = weights
        .try_into()
        .ok()
        .filter(|weights: &[u64; N]| weights.iter().any(|weight| *weight > 0));
    if weights.is_none() {
        faults.at(at, format!("`{key}` must be {N} weights, not all 0"));
    }
    weights
}

/// A set's name and its ranges with their weights.
type NumberSet = (String, Box<[(Range, u32)]>);

fn number_set(mut keys: Keys<'_>, faults: &mut Faults<'_>) -> Option<NumberSet> {
    let name = keys.needed("name", faults);
    if let Some((name, at)) = name
        && SETS.iter().any(|(known, _)| *known == name)
    {
        faults.at(at, format!("`{name}` is a set that every mix has"));
    }
    let ranges: Vec<(Range, u32)> = keys
        .weights("ranges", &(1..=WEIGHT_MAX), faults)
        .into_iter()
        .filter_map(|(text, weight)| range_of(text, weight, faults))
        .collect();
    if ranges.is_empty() {
        faults.at(
            keys.at,
            "`ranges` is missing or empty here, as { \"44207946####\" = 1 }",
        );
    }
    keys.finish(faults);
    Some((name?.0.to_owned(), ranges.into()))
}

fn range_of(
    (text, at): Placed<&str>,
    weight: u64,
    faults: &mut Faults<'_>,
) -> Option<(Range, u32)> {
    let prefix = text.trim_end_matches('#');
    let more = u32::try_from(text.len() - prefix.len()).unwrap_or(u32::MAX);
    let fits = prefix.bytes().all(|octet| octet.is_ascii_digit())
        && (1..=DIGITS_MAX).contains(&text.len())
        && !prefix.is_empty()
        && more <= MORE_MAX;
    if !fits {
        faults.at(
            at,
            format!(
                "`{text}` must be 1 to {DIGITS_MAX} digits of which the last, up to {MORE_MAX}, may be `#` (any digit)"
            ),
        );
        return None;
    }
    let range = Range {
        prefix: self::text(prefix),
        more,
    };
    Some((range, u32::try_from(weight).unwrap_or(1)))
}

fn read_part(mut keys: Keys<'_>, sets: &[NumberSet], faults: &mut Faults<'_>) -> Option<Part> {
    let before = faults.count();
    let name = keys.needed("name", faults).map_or("", |(name, _)| name);
    let weight = keys
        .whole("weight", 1..=WEIGHT_MAX, faults)
        .map_or(1, |(weight, _)| weight);
    let start = time(&mut keys, "start", faults).map_or(0, |(start, _)| start);
    let end = time(&mut keys, "end", faults);
    if let Some((end, at)) = end
        && end <= start
    {
        faults.at(at, "`end` must be later than `start`");
    }
    let ranges = numbers(&mut keys, sets, faults);
    let order = one_of(
        &mut keys,
        "order",
        &[("random", Order::Random), ("rising", Order::Rising)],
        faults,
    );
    let pool = keys
        .whole("pool", 1..=POOL_MAX, faults)
        .map_or(0, |(pool, _)| u32::try_from(pool).unwrap_or(0));
    let spellings = spellings(&mut keys, faults);
    let disguises = several(&mut keys, "disguises", DISGUISES, faults);
    let subscribers = span(&mut keys, "subscribers", 1..=9_999_999, faults);
    let callers = span(&mut keys, "callers", 0..=999_999_999_999_999, faults);
    let addresses = addresses(&mut keys, faults);
    let agents = agents(&mut keys, faults);
    let domain = pattern(&mut keys, "domain", faults);
    let from_host = pattern(&mut keys, "from_host", faults);
    let family = one_of(&mut keys, "family", FAMILIES, faults);
    let reported = span(&mut keys, "reported_calls", 0..=99_999, faults);
    let copies = keys
        .whole("copies", 1..=COPIES_MAX, faults)
        .map_or(0, |(copies, _)| u8::try_from(copies).unwrap_or(0));
    let (kind, code) = kind(&mut keys, faults);
    keys.finish(faults);
    (faults.count() == before).then(|| Part {
        name: name.to_owned(),
        weight,
        start,
        end: end.map_or(Nanos::MAX, |(end, _)| end),
        ranges,
        order: order.unwrap_or(Order::Random),
        pool,
        spellings,
        disguises: if disguises.is_empty() {
            [Disguise::Plain].into()
        } else {
            disguises
        },
        subscribers: subscribers.map(|(first, last)| (narrow(first), narrow(last))),
        callers: callers.unwrap_or((1000, 9999)),
        addresses,
        agents,
        domain: domain.unwrap_or_else(|| pattern_of("pbx.example.com")),
        from_host: from_host.unwrap_or_default(),
        family: family.unwrap_or_default(),
        reported: reported.map(|(first, last)| (narrow(first), narrow(last))),
        copies,
        kind,
        code,
    })
}

const FAMILIES: &[(&str, Family)] = &[
    ("P-tfps", Family::PTfps),
    ("X-tfps", Family::XTfps),
    ("P-Received", Family::Received),
    ("none", Family::Bare),
];

/// The name of a header family in mixes and files of calls.
#[must_use]
pub fn family_name(family: Family) -> &'static str {
    let known = FAMILIES.iter().find(|(_, known)| *known == family);
    known.map_or("", |(name, _)| name)
}

/// The header family of a name.
#[must_use]
pub fn family_of(name: &str) -> Option<Family> {
    let known = FAMILIES.iter().find(|(known, _)| *known == name);
    known.map(|(_, family)| *family)
}

/// What must come back, by the words of mixes and files of calls.
pub const EXPECTED: &[(&str, Expected)] = &[
    ("approve", Expected::Approve),
    ("reject", Expected::Reject),
    ("approve or reject", Expected::ApproveOrReject),
    ("error", Expected::Error),
    ("any", Expected::Any),
    ("silence", Expected::Silence),
];

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn time(
    keys: &mut Keys<'_>,
    key: &'static str,
    faults: &mut Faults<'_>,
) -> Option<Placed<Nanos>> {
    let (text, at) = keys.text(key, faults)?;
    match crate::cli::time_of(text) {
        Ok(time) => Some((crate::clock::nanos(time), at)),
        Err(wanted) => {
            faults.at(at, format!("`{key}` must be {wanted}"));
            None
        }
    }
}

fn numbers(keys: &mut Keys<'_>, sets: &[NumberSet], faults: &mut Faults<'_>) -> Weighted<Range> {
    let named = keys.texts("numbers", faults);
    if named.is_empty() {
        faults.at(keys.at, "`numbers` is missing here: the name of a set");
    }
    let mut ranges = Vec::new();
    for (name, at) in named {
        if let Some((_, own)) = sets.iter().find(|(own, _)| own == name) {
            ranges.extend_from_slice(own);
        } else if let Some((_, known)) = SETS.iter().find(|(known, _)| *known == name) {
            ranges.extend(known.iter().map(|(prefix, more)| {
                let range = Range {
                    prefix: text(prefix),
                    more: u32::from(*more),
                };
                (range, 1)
            }));
        } else {
            let known: Vec<&str> = SETS.iter().map(|(known, _)| *known).collect();
            faults.at(
                at,
                format!(
                    "no set of numbers `{name}`; every mix has {}, others are written [[numbers]]",
                    known.join(", ")
                ),
            );
        }
    }
    Weighted::new(ranges)
}

/// 40 % `011…`, 20 % `00…`, 15 % `+…`, 25 % bare E.164, as PBXs send them.
const SPELLINGS: [(&str, u32); 4] = [("011", 40), ("00", 20), ("+", 15), ("", 25)];

fn spellings(keys: &mut Keys<'_>, faults: &mut Faults<'_>) -> Weighted<Text<CALLER_BYTES_MAX>> {
    let written = keys.weights("spellings", &(1..=WEIGHT_MAX), faults);
    if written.is_empty() {
        let common = SPELLINGS.map(|(prefix, weight)| (text(prefix), weight));
        return Weighted::new(common);
    }
    Weighted::new(written.into_iter().filter_map(|((prefix, at), weight)| {
        let fits = prefix.len() <= 8
            && prefix
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"+*-.".contains(&octet));
        if !fits {
            faults.at(
                at,
                format!("`{prefix}` must be at most 8 letters, digits, `+`, `*`, `-` or `.`"),
            );
        }
        fits.then(|| (text(prefix), narrow(weight)))
    }))
}

pub(super) fn one_of<T: Copy>(
    keys: &mut Keys<'_>,
    key: &'static str,
    known: &[(&str, T)],
    faults: &mut Faults<'_>,
) -> Option<T> {
    let (text, at) = keys.text(key, faults)?;
    find(key, (text, at), known, faults)
}

pub(super) fn several<T: Copy>(
    keys: &mut Keys<'_>,
    key: &'static str,
    known: &[(&str, T)],
    faults: &mut Faults<'_>,
) -> Box<[T]> {
    keys.texts(key, faults)
        .into_iter()
        .filter_map(|name| find(key, name, known, faults))
        .collect()
}

fn find<T: Copy>(
    key: &str,
    (name, at): Placed<&str>,
    known: &[(&str, T)],
    faults: &mut Faults<'_>,
) -> Option<T> {
    let found = known.iter().find(|(word, _)| *word == name);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        faults.at(
            at,
            format!("`{key}` is one of {}, not `{name}`", words.join(", ")),
        );
    }
    found.map(|(_, meaning)| *meaning)
}

/// `first-last`, or one number.
fn span(
    keys: &mut Keys<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    faults: &mut Faults<'_>,
) -> Option<(u64, u64)> {
    let (text, at) = keys.text(key, faults)?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number =
        |text: &str| -> Option<u64> { text.parse().ok().filter(|number| range.contains(number)) };
    let found = number(first)
        .zip(number(last))
        .filter(|(first, last)| first <= last && caller_of(&last.to_string()).is_some());
    if found.is_none() {
        faults.at(
            at,
            format!(
                "`{key}` must be a number or a range as \"{}-{}\"",
                range.start(),
                range.end()
            ),
        );
    }
    found
}

fn addresses(keys: &mut Keys<'_>, faults: &mut Faults<'_>) -> Box<[Block]> {
    let written = keys.texts("addresses", faults);
    if written.is_empty() {
        return [Block::V4(0x0a00_0000, 24)].into();
    }
    written
        .into_iter()
        .filter_map(|(text, at)| {
            let block = block_of(text);
            if block.is_none() {
                faults.at(
                    at,
                    format!("`{text}` must be an address or a block whose host bits are 0, as \"10.0.0.0/8\" or \"2001:db8::/64\""),
                );
            }
            block
        })
        .collect()
}

fn block_of(text: &str) -> Option<Block> {
    let (address, length) = text
        .split_once('/')
        .map_or((text, None), |(a, l)| (a, Some(l)));
    let length: Option<u32> = length.map_or(Some(u32::MAX), |length| length.parse().ok());
    match address.parse().ok()? {
        std::net::IpAddr::V4(address) => {
            let bits = match length? {
                u32::MAX => 0,
                length => 32_u32.checked_sub(length)?,
            };
            let first = u32::from(address);
            let hosts = u32::MAX.checked_shr(32 - bits).unwrap_or(0);
            (first & hosts == 0).then_some(Block::V4(first, bits))
        }
        std::net::IpAddr::V6(address) => {
            let bits = match length? {
                u32::MAX => 0,
                length => 128_u32.checked_sub(length)?,
            };
            let first = u128::from(address);
            let hosts = u128::MAX.checked_shr(128 - bits).unwrap_or(0);
            (first & hosts == 0).then_some(Block::V6(first, bits.min(64)))
        }
    }
}

fn agents(keys: &mut Keys<'_>, faults: &mut Faults<'_>) -> Box<[Text<AGENT_BYTES_MAX>]> {
    let written = keys.texts("agents", faults);
    let known = |name: &str| AGENTS.iter().find(|(known, _)| *known == name);
    let mut agents = Vec::new();
    if written.is_empty() {
        let telephones = known("telephones").map_or(&[] as &[&str], |(_, agents)| agents);
        agents.extend(telephones.iter().map(|agent| text(agent)));
    }
    for (name, at) in written {
        if let Some((_, list)) = known(name) {
            agents.extend(list.iter().map(|agent| text(agent)));
        } else if is_agent(name.as_bytes()) {
            agents.push(text(name));
        } else {
            faults.at(
                at,
                "`agents` are `telephones`, `scanners`, or texts of printable ASCII",
            );
        }
    }
    agents.into()
}

/// A text whose length has been checked, or that is one of ours.
fn text<const N: usize>(checked: &str) -> Text<N> {
    Text::of(checked.as_bytes()).unwrap_or_default()
}

fn pattern(keys: &mut Keys<'_>, key: &'static str, faults: &mut Faults<'_>) -> Option<Pattern> {
    let (text, at) = keys.text(key, faults)?;
    let longest = text.replace('#', "0").replace("{subscriber}", "0000000");
    if crate::call::host_of(&longest).is_none() {
        faults.at(
            at,
            format!("`{key}` must be a host, in which `#` is any digit and `{{subscriber}}` the subscriber's number"),
        );
        return None;
    }
    Some(pattern_of(text))
}

fn pattern_of(written: &str) -> Pattern {
    let mut pieces = Vec::new();
    for (index, between) in written.split("{subscriber}").enumerate() {
        if index > 0 {
            pieces.push(Piece::Subscriber);
        }
        for (index, literal) in between.split('#').enumerate() {
            if index > 0 {
                pieces.push(Piece::Digit);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(text(literal)));
            }
        }
    }
    pieces.into()
}

fn kind(keys: &mut Keys<'_>, faults: &mut Faults<'_>) -> (Kind, Text<3>) {
    let expected = one_of(keys, "expect", EXPECTED, faults);
    let on_purpose = several(keys, "faults", FAULTS, faults);
    let mut code = Text::new();
    if let Some((text, at)) = keys.text("code", faults) {
        if is_code(text) {
            code.push_all(text.as_bytes());
        } else {
            faults.at(at, "`code` must be a letter and two digits, as \"R06\"");
        }
    }
    match (expected, on_purpose.is_empty()) {
        (Some(expected), true) => (Kind::Calls(expected), code),
        (None, false) => (Kind::Faults(on_purpose), code),
        (Some(expected), false) => {
            faults.at(
                keys.at,
                "here stand `expect` and `faults`; each fault says itself what must come back",
            );
            (Kind::Calls(expected), code)
        }
        (None, true) => {
            faults.at(keys.at, "`expect` is missing here, or `faults`");
            (Kind::Calls(Expected::Approve), code)
        }
    }
}

const _: () = assert!(
    7 + 15 <= CALLER_BYTES_MAX,
    "a subscriber's number and a caller's fit together"
);

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "about = \"a\"\n[[part]]\nname = \"p\"\nnumbers = \"ordinary\"\nexpect = \"approve\"\n";

    fn faults(text: &str) -> String {
        read("m", "m.toml", text).unwrap_err()
    }

    #[test]
    fn the_shortest_mix_has_sane_defaults() {
        let mix = read("m", "m.toml", GOOD).unwrap();
        let [part] = mix.parts.as_slice() else {
            panic!("{mix:?}")
        };
        assert_eq!((part.weight, part.start, part.end), (1, 0, Nanos::MAX));
        assert_eq!(part.callers, (1000, 9999));
        assert_eq!(part.kind, Kind::Calls(Expected::Approve));
        assert_eq!(mix.shape, Shape::even(1000));
    }

    #[test]
    fn each_fault_says_where_it_is_and_what_is_expected() {
        for (line, says) in [
            ("weight = 0", "6:10: `weight` must be a whole number from 1"),
            (
                "start = \"5\"",
                "6:9: `start` must be a number with ms, s, m or h",
            ),
            ("end = \"0s\"", "6:7: `end` must be later"),
            (
                "order = \"down\"",
                "6:9: `order` is one of random, rising, not `down`",
            ),
            (
                "disguises = [\"plain\", \"beard\"]",
                "6:23: `disguises` is one of plain, dashes",
            ),
            (
                "subscribers = \"9-1\"",
                "6:15: `subscribers` must be a number or a range",
            ),
            ("callers = \"a\"", "6:11: `callers`"),
            (
                "addresses = \"10.0.0.1/8\"",
                "6:13: `10.0.0.1/8` must be an address",
            ),
            ("agents = \"caf\u{e9}\"", "6:10: `agents` are"),
            ("domain = \"a b\"", "6:10: `domain` must be a host"),
            (
                "family = \"Q\"",
                "6:10: `family` is one of P-tfps, X-tfps, P-Received, none",
            ),
            (
                "reported_calls = 4",
                "6:18: `reported_calls` must be a string",
            ),
            (
                "copies = 16",
                "6:10: `copies` must be a whole number from 1 to 15",
            ),
            (
                "code = \"06\"",
                "6:8: `code` must be a letter and two digits",
            ),
            (
                "faults = [\"no-via\"]",
                "2:1: here stand `expect` and `faults`",
            ),
            ("spellings = { \"0 1\" = 1 }", "6:15: `0 1` must be"),
            ("colour = 1", "6:1: unknown key `colour`"),
            ("[day]\nhours = [1, 2]", "7:9: `hours` must be 24 weights"),
            (
                "[day]\nbegins = \"mon 24\"",
                "7:10: `begins` must be a day and an hour",
            ),
            (
                "[[numbers]]\nname = \"x\"\nranges = { \"44x\" = 1 }",
                "8:12: `44x` must be",
            ),
            (
                "[[numbers]]\nname = \"ordinary\"\nranges = { \"44\" = 1 }",
                "7:8: `ordinary` is a set that every mix has",
            ),
            (
                "[[limit]]\nname = \"l\"\nper = [\"caller\", \"friend\"]",
                "8:18: `per` is one of domain",
            ),
            (
                "[[limit]]\nname = \"l\"\nwindow = \"25h\"",
                "8:10: `window` must be 1s to 24h",
            ),
            ("[[part]]\nname = \"q\"", "6:1: `numbers` is missing here"),
        ] {
            let found = faults(&format!("{GOOD}{line}\n"));
            assert!(found.contains(&format!("m.toml:{says}")), "{line}: {found}");
        }
        let found = faults(&format!("lists = [\"number,1,deny\"]\n{GOOD}"));
        assert!(
            found.starts_with("m.toml:1:10: a row of `lists`"),
            "{found}"
        );
    }

    #[test]
    fn all_faults_are_said_at_once() {
        let found = faults("about = 1\ncalls_per_second = 0\n[[part]]\nweight = 0\n");
        assert_eq!(found.lines().count(), 6, "{found}"); // about, pace, name, weight, numbers, expect
    }

    #[test]
    fn patterns_have_digits_and_subscribers() {
        assert_eq!(
            pattern_of("a{subscriber}.b#"),
            [
                Piece::Text(text("a")),
                Piece::Subscriber,
                Piece::Text(text(".b")),
                Piece::Digit
            ]
            .into()
        );
    }
}
