//! The destination table against `rlibphonenumber`, another port of the library that its numbering plans come from.
//!
//! Promises: the numbers are the oracle's own (its examples, and seeded variations of them and of nothing, that it deems
//! valid), at least `NUMBERS_MIN`; every disagreement on country or type is a line of `bench/record/destination-disagreements.txt`,
//! and the test fails on a missing line as on a superfluous one. A prefix cannot know the number's length, so a few are expected.
//! The tables beside it are checked for what their readers rely on: order, known words, a risk and a continent for each country.
//! Leaves to `policy`: looking up fast. The look-up here is a map and a loop.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and so do its helpers"
)]

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// How many of the oracle's numbers are compared, at least.
const NUMBERS_MIN: usize = 10_000;
/// Valid numbers wanted per example that the oracle has for a calling code (one per region and type), so that +1 with its
/// 25 countries gets its share.
const NUMBERS_PER_EXAMPLE: usize = 25;
/// Tries per example; codes with few valid numbers fall short of `NUMBERS_PER_EXAMPLE`, and that is fine.
const TRIES_PER_EXAMPLE: usize = 100;
/// Set to a date, it makes `the_table_agrees_with_the_oracle_but_for_the_listed_numbers` write the list instead of comparing.
const RECORD_VARIABLE: &str = "DESTINATION_DISAGREEMENTS_DATE";

const TYPES: [&str; 12] = [
    "premium",
    "shared-cost",
    "personal",
    "uan",
    "voip",
    "mobile",
    "fixed-or-mobile",
    "fixed",
    "pager",
    "toll-free",
    "voicemail",
    "unknown",
];
const PSEUDO_COUNTRIES: [&str; 2] = ["global", "satellite"];

#[test]
fn the_table_agrees_with_the_oracle_but_for_the_listed_numbers() {
    let table = Destinations::read();
    let numbers = numbers_of_the_oracle();
    assert!(
        numbers.len() >= NUMBERS_MIN,
        "the oracle made only {} numbers",
        numbers.len()
    );

    let mut found = Vec::new();
    for (digits, oracle) in &numbers {
        let ours = table
            .longest_match(digits)
            .map_or_else(|| "no row".to_owned(), |(_, row)| row.to_string());
        if ours != oracle.to_string() {
            found.push(format!("{digits}: table {ours}, oracle {oracle}"));
        }
    }

    let path = repository().join("bench/record/destination-disagreements.txt");
    if let Ok(date) = std::env::var(RECORD_VARIABLE) {
        fs::write(&path, record(&date, numbers.len(), &found)).unwrap();
        return;
    }
    let recorded = fs::read_to_string(&path).unwrap();
    let counts = counts_line(numbers.len(), found.len());
    assert!(
        recorded.lines().any(|line| line == counts),
        "{} should say {counts:?}",
        path.display()
    );
    let listed: BTreeSet<&str> = recorded
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not listed: {new:#?}\nlisted, but agreeing now: {gone:#?}"
    );
}

#[test]
fn the_numbers_of_the_oracle_cover_every_type_and_every_country() {
    let numbers = numbers_of_the_oracle();
    let types: BTreeSet<&str> = numbers.values().map(|row| row.kind.as_str()).collect();
    let expected: BTreeSet<&str> = TYPES
        .into_iter()
        .filter(|kind| *kind != "unknown")
        .collect();
    assert_eq!(types, expected);
    let countries: BTreeSet<&str> = numbers.values().map(|row| row.country.as_str()).collect();
    let table = Destinations::read();
    let ours: BTreeSet<&str> = table
        .rows
        .values()
        .map(|row| row.country.as_str())
        .collect();
    assert_eq!(ours, countries);
}

#[test]
fn known_numbers_match_the_rows_an_engineer_expects() {
    let table = Destinations::read();
    let cases = [
        ("44", "GB", "unknown"),
        ("442079460123", "GB", "fixed"),
        ("447400123456", "GB", "mobile"),
        ("447012345678", "GB", "personal"),
        ("441481256789", "GG", "fixed"),
        ("1", "US", "unknown"),
        ("12125550123", "US", "fixed-or-mobile"),
        ("19002345678", "US", "premium"),
        ("18002345678", "US", "toll-free"),
        ("18765230123", "JM", "fixed-or-mobile"),
        ("12042345678", "CA", "fixed-or-mobile"),
        ("12041", "CA", "unknown"), // no exchange begins with 1, and the area code is Canada's
        ("74951234567", "RU", "fixed"),
        ("77012345678", "KZ", "mobile"),
        ("390669712345", "IT", "fixed"),
        ("390669812345", "VA", "fixed"),
        ("393312345678", "IT", "mobile"), // 11 or 12 digits would be a voice mailbox
        ("5351234567", "CU", "mobile"),
        ("881612345678", "satellite", "mobile"),
        ("870301234567", "satellite", "mobile"),
        ("8821612345678", "satellite", "voip"),
        ("882101234567", "global", "voip"),
        ("80012345678", "global", "toll-free"),
        ("979123456789", "global", "premium"),
    ];
    let mut wrong = String::new();
    for (digits, country, kind) in cases {
        let Some((prefix, row)) = table.longest_match(digits) else {
            writeln!(wrong, "{digits}: no row").unwrap();
            continue;
        };
        if (row.country.as_str(), row.kind.as_str()) != (country, kind) {
            writeln!(wrong, "{digits}: {prefix} {row}").unwrap();
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn an_unassigned_code_has_no_row() {
    let table = Destinations::read();
    for digits in [
        "",
        "0",
        "2",
        "9",
        "99",
        "999",
        "9991234567",
        "210",
        "2101234567",
        "871123456789",
        "388312345",
    ] {
        assert_eq!(
            table.longest_match(digits).map(|(prefix, _)| prefix),
            None,
            "{digits}"
        );
    }
}

#[test]
fn rows_are_sorted_and_made_of_known_words() {
    let text = data("destinations.csv");
    let mut before = "";
    for [prefix, country, kind] in rows(&text) {
        assert!(before < prefix, "{prefix} is out of order");
        assert!(
            prefix.bytes().all(|octet| octet.is_ascii_digit()) && (1..=15).contains(&prefix.len()),
            "{prefix}"
        );
        assert!(
            is_country(country) || PSEUDO_COUNTRIES.contains(&country),
            "{prefix}: country {country}"
        );
        assert!(TYPES.contains(&kind), "{prefix}: type {kind}");
        before = prefix;
    }
}

#[test]
fn every_country_of_the_table_has_a_risk_and_a_continent() {
    let risks = data("risk.csv");
    let continents = data("continents.csv");
    let mut classed = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for [country, kind, risk] in rows(&risks) {
        assert!(
            keys.insert((country, kind)),
            "{country},{kind} has two risks"
        );
        assert!(
            ["low", "medium", "high"].contains(&risk),
            "{country},{kind}: risk {risk}"
        );
        assert!(
            kind == "*" || TYPES.contains(&kind),
            "{country}: type {kind}"
        );
        if kind == "*" {
            classed.insert(country);
        }
    }
    assert!(classed.contains("*"), "a row of last resort");
    let mut placed = BTreeSet::new();
    for [country, continent] in rows(&continents) {
        assert!(
            is_country(country) && placed.insert(country),
            "{country} twice, or no country"
        );
        assert!(
            ["AF", "AN", "AS", "EU", "NA", "OC", "SA"].contains(&continent),
            "{country}: {continent}"
        );
    }
    for row in Destinations::read().rows.values() {
        assert!(
            classed.contains(row.country.as_str()),
            "{} has no risk",
            row.country
        );
        let pseudo = PSEUDO_COUNTRIES.contains(&row.country.as_str());
        assert_ne!(
            pseudo,
            placed.contains(row.country.as_str()),
            "{}: continent",
            row.country
        );
    }
    let placed_or_pseudo: BTreeSet<&str> = placed
        .into_iter()
        .chain(PSEUDO_COUNTRIES)
        .chain(["*"])
        .collect();
    assert_eq!(
        placed_or_pseudo, classed,
        "both tables hold the same countries"
    );
}

/// What a number is: our words for the oracle's answer, too.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    country: String,
    kind: String,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.country, self.kind)
    }
}

struct Destinations {
    rows: BTreeMap<String, Row>,
}

impl Destinations {
    fn read() -> Self {
        let text = data("destinations.csv");
        let row = |[prefix, country, kind]: [&str; 3]| {
            (
                prefix.to_owned(),
                Row {
                    country: country.to_owned(),
                    kind: kind.to_owned(),
                },
            )
        };
        Self {
            rows: rows(&text).map(row).collect(),
        }
    }

    fn longest_match<'a>(&'a self, digits: &'a str) -> Option<(&'a str, &'a Row)> {
        (1..=digits.len()).rev().find_map(|length| {
            let prefix = &digits[..length];
            self.rows.get(prefix).map(|row| (prefix, row))
        })
    }
}

/// Examples of every region and type, then seeded variations, as far as the oracle deems them valid.
fn numbers_of_the_oracle() -> BTreeMap<String, Row> {
    let mut numbers = BTreeMap::new();
    let mut examples: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        for kind in oracle_types() {
            if let Ok(number) =
                PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind)
            {
                examples
                    .entry(number.country_code)
                    .or_default()
                    .push(digits_of(&number));
            }
        }
    }
    for code in PHONE_NUMBER_UTIL.get_supported_global_network_calling_codes() {
        if let Ok(number) = PHONE_NUMBER_UTIL.get_example_number_for_non_geo_entity(code) {
            examples.entry(code).or_default().push(digits_of(&number));
        }
    }
    for (code, examples) in &examples {
        for digits in examples {
            insert_if_valid(&mut numbers, digits);
        }
        let mut random = SplitMix64(u64::from(code.unsigned_abs()));
        let enough = numbers.len() + NUMBERS_PER_EXAMPLE * examples.len();
        for attempt in 0..TRIES_PER_EXAMPLE * examples.len() {
            if numbers.len() >= enough {
                break;
            }
            let digits = if attempt % 3 == 0 {
                let count = 4 + random.below(9);
                random.digits_after(&code.to_string(), count)
            } else {
                // From a place behind the country code on, an example's digits become others.
                let example = &examples[random.below(examples.len())];
                let code_length = code.to_string().len();
                let kept = code_length + random.below(example.len() - code_length);
                random.digits_after(&example[..kept], example.len() - kept)
            };
            insert_if_valid(&mut numbers, &digits);
        }
    }
    numbers
}

/// The digits may be read as something else (a national prefix in them); what counts is the number that the oracle reads.
fn insert_if_valid(numbers: &mut BTreeMap<String, Row>, digits: &str) {
    let Ok(number) = PHONE_NUMBER_UTIL.parse(format!("+{digits}"), None) else {
        return;
    };
    if !number.is_valid() {
        return;
    }
    let canonical = digits_of(&number);
    let Some(region) = number.get_region_code() else {
        return;
    };
    let country = match &*region.as_region_str() {
        "001" => pseudo_country(&canonical).to_owned(),
        country => country.to_owned(),
    };
    numbers.insert(
        canonical,
        Row {
            country,
            kind: our_word(number.get_type()).to_owned(),
        },
    );
}

fn digits_of(number: &PhoneNumber) -> String {
    number
        .format_as(PhoneNumberFormat::E164)
        .trim_start_matches('+')
        .to_owned()
}

/// The oracle knows no satellites; this is the generator's choice, said a second time.
fn pseudo_country(digits: &str) -> &'static str {
    let satellite = ["870", "881", "88213", "88216", "88220"];
    if satellite.iter().any(|prefix| digits.starts_with(prefix)) {
        "satellite"
    } else {
        "global"
    }
}

fn our_word(kind: PhoneNumberType) -> &'static str {
    match kind {
        PhoneNumberType::FixedLine => "fixed",
        PhoneNumberType::Mobile => "mobile",
        PhoneNumberType::FixedLineOrMobile => "fixed-or-mobile",
        PhoneNumberType::TollFree => "toll-free",
        PhoneNumberType::PremiumRate => "premium",
        PhoneNumberType::SharedCost => "shared-cost",
        PhoneNumberType::VoIP => "voip",
        PhoneNumberType::PersonalNumber => "personal",
        PhoneNumberType::Pager => "pager",
        PhoneNumberType::UAN => "uan",
        PhoneNumberType::VoiceMail => "voicemail",
        PhoneNumberType::Unknown => "unknown",
    }
}

/// Types with examples; fixed-or-mobile has none of its own.
fn oracle_types() -> [PhoneNumberType; 10] {
    [
        PhoneNumberType::FixedLine,
        PhoneNumberType::Mobile,
        PhoneNumberType::TollFree,
        PhoneNumberType::PremiumRate,
        PhoneNumberType::SharedCost,
        PhoneNumberType::VoIP,
        PhoneNumberType::PersonalNumber,
        PhoneNumberType::Pager,
        PhoneNumberType::UAN,
        PhoneNumberType::VoiceMail,
    ]
}

fn record(date: &str, numbers: usize, found: &[String]) -> String {
    let table = data("destinations.csv");
    let metadata = table
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ");
    let mut text = format!(
        "# Where the destination table and rlibphonenumber disagree, {date}.\n\
         # Table: {metadata}\n\
         # Written by: {RECORD_VARIABLE}={date} cargo test -p tollgate-bench --test destinations\n\
         # Why there are any: bench/generators/destinations.py says what a prefix cannot tell apart; and the oracle\n\
         # may carry an older version of the metadata.\n\
         {}\n",
        counts_line(numbers, found.len())
    );
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, kind) in found.iter().filter_map(|line| line.split_once(": ")) {
        *kinds.entry(kind).or_default() += 1;
    }
    for (kind, count) in kinds {
        writeln!(text, "# {count} × {kind}").unwrap();
    }
    for line in found {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn counts_line(numbers: usize, disagreements: usize) -> String {
    format!("# {numbers} numbers compared, {disagreements} disagreements.")
}

/// Fields of a table of ours: `#` comments, one line of names, then rows without quotes.
fn rows<const FIELDS: usize>(text: &str) -> impl Iterator<Item = [&str; FIELDS]> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            fields
                .try_into()
                .unwrap_or_else(|_| panic!("{line:?} has not {FIELDS} fields"))
        })
}

fn is_country(word: &str) -> bool {
    word.len() == 2 && word.bytes().all(|octet| octet.is_ascii_uppercase())
}

fn data(name: &str) -> String {
    fs::read_to_string(repository().join("src/policy/data").join(name)).unwrap()
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014). Ten lines instead of a dependency whose
/// next version would give other numbers.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform enough below small bounds.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }

    fn digits_after(&mut self, start: &str, count: usize) -> String {
        let mut digits = start.to_owned();
        for _ in 0..count {
            digits.push(char::from(b"0123456789"[self.below(10)]));
        }
        digits
    }
}
