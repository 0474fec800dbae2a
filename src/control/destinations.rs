//! The destination table with the bundle's `destinations.csv` laid over it.
//!
//! Promises: every prefix stands once; an override that leaves country or type empty keeps what the table says for that
//! prefix, and one without a risk has that of its country and type.

use super::fault::{Findings, did_you_mean, one_of, plural};
use super::parse;
use super::policies::RISKS;
use super::table::{self, Column, FileDigest, Row};
use crate::e164::E164;
use crate::policy::data::{self, RiskTable};
use crate::policy::rows::{DestinationRow, Risk};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, LazyLock};

const COLUMNS: [Column; 4] = [
    Column::required("prefix"),
    Column::optional("country"),
    Column::optional("type"),
    Column::optional("risk"),
];
/// Pseudo-countries, for hints; the table itself says which there are.
const PSEUDO_COUNTRIES: [&str; 2] = ["satellite", "global"];

const PREFIX: usize = 0;
const COUNTRY: usize = 1;
const TYPE: usize = 2;
const RISK: usize = 3;

/// What the destination table knows: the words that a bundle may use.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Country → continent.
    countries: BTreeMap<&'static str, &'static str>,
    types: BTreeSet<&'static str>,
    continents: BTreeSet<&'static str>,
    risks: Option<RiskTable>,
}

impl World {
    /// The words of the table in the program, gathered once.
    pub(super) fn embedded() -> &'static Self {
        static WORLD: LazyLock<World> = LazyLock::new(|| {
            // Without rows there is a fault already.
            World::of(&data::embedded_destinations().unwrap_or_default())
        });
        &WORLD
    }

    fn of(rows: &[DestinationRow]) -> Self {
        let mut world = Self {
            // Reading the same files gave the rows; without rows there is a fault already.
            risks: RiskTable::embedded().ok(),
            ..Self::default()
        };
        for row in rows {
            world.countries.entry(row.country).or_insert(row.continent);
            if !row.continent.is_empty() {
                world.continents.insert(row.continent);
            }
            world.types.insert(row.number_type);
        }
        world
    }

    /// The country or pseudo-country of this name, or why there is none.
    pub(super) fn country(&self, name: &str) -> Result<&'static str, String> {
        if let Some((known, _)) = self.countries.get_key_value(name) {
            return Ok(known);
        }
        let upper = name.to_ascii_uppercase();
        let lower = name.to_ascii_lowercase();
        let hint = [upper, lower]
            .into_iter()
            .find(|other| self.countries.contains_key(other.as_str()))
            .or_else(|| did_you_mean(name, PSEUDO_COUNTRIES).map(str::to_owned))
            .map_or_else(
                || {
                    "countries are ISO 3166-1 codes like \"CU\", besides \"satellite\" and \"global\""
                        .to_owned()
                },
                |other| format!("did you mean \"{other}\"?"),
            );
        Err(format!(
            "\"{name}\" is no country of the destination table; {hint}"
        ))
    }

    /// The number type of this name, or why there is none.
    pub(super) fn number_type(&self, name: &str) -> Result<&'static str, String> {
        if let Some(known) = self.types.get(name) {
            return Ok(known);
        }
        let known: Vec<&str> = self.types.iter().copied().collect();
        Err(match did_you_mean(name, known.iter().copied()) {
            Some(meant) => format!("\"{name}\" is no number type; did you mean \"{meant}\"?"),
            None => format!("\"{name}\" is no number type: {}", one_of(&known)),
        })
    }

    /// The continents.
    pub(super) fn continents(&self) -> impl Iterator<Item = &str> {
        self.continents.iter().copied()
    }

    /// The risk class of this country's numbers of this type, where a row does not say.
    fn risk(&self, country: &str, number_type: &str) -> Risk {
        self.risks
            .as_ref()
            .map_or(Risk::Low, |risks| risks.risk(country, number_type))
    }

    fn continent_of(&self, country: &str) -> &'static str {
        self.countries.get(country).copied().unwrap_or_default()
    }
}

/// The table and what a bundle lays over it.
struct Overlay<'t> {
    /// In order of its prefixes.
    table: &'t [DestinationRow],
    own: BTreeMap<E164, DestinationRow>,
}

impl Overlay<'_> {
    fn row(&self, prefix: E164) -> Option<DestinationRow> {
        let in_table = || {
            let at = self.table.binary_search_by_key(&prefix, |row| row.prefix);
            self.table.get(at.ok()?).copied()
        };
        self.own.get(&prefix).copied().or_else(in_table)
    }

    /// The row of the longest prefix that `prefix` begins with, itself included.
    fn covering(&self, prefix: E164) -> Option<DestinationRow> {
        let (ascii, length) = prefix.to_ascii();
        (1..=length)
            .rev()
            .find_map(|count| self.row(E164::from_digits(ascii.get(..count)?)?))
    }

    /// How many longer prefixes begin with `prefix`.
    fn longer(&self, prefix: E164) -> usize {
        // A prefix sorts before its continuations, which follow it without a gap.
        let from = self.table.partition_point(|row| row.prefix <= prefix);
        let to = self
            .table
            .partition_point(|row| row.prefix <= prefix || row.prefix.starts_with(prefix));
        let added = self
            .own
            .range(prefix..)
            .skip_while(|(own, _)| **own == prefix)
            .take_while(|(own, _)| own.starts_with(prefix))
            .filter(|(own, _)| {
                self.table
                    .binary_search_by_key(*own, |row| row.prefix)
                    .is_err()
            });
        to - from + added.count()
    }

    /// Both, in order; a row of the bundle in place of one of the table with its prefix. What stands between two rows of the
    /// bundle is copied in one go: row by row it took five times as long.
    fn merged(self) -> Arc<[DestinationRow]> {
        let mut rows = Vec::with_capacity(self.table.len() + self.own.len());
        let mut rest = self.table;
        for own in self.own.into_values() {
            let (before, after) =
                rest.split_at(rest.partition_point(|row| row.prefix < own.prefix));
            rows.extend_from_slice(before);
            rows.push(own);
            rest = match after.split_first() {
                Some((row, after)) if row.prefix == own.prefix => after,
                _ => after,
            };
        }
        rows.extend_from_slice(rest);
        rows.into()
    }
}

/// Lays `destinations.csv` over the table.
pub(super) fn read(
    file: &str,
    source: Box<dyn Read>,
    world: &World,
    rows: &mut Arc<[DestinationRow]>,
    findings: &mut Findings,
) -> Option<FileDigest> {
    let table = Arc::clone(rows);
    let mut overlay = Overlay {
        table: &table,
        own: BTreeMap::new(),
    };
    let mut seen = BTreeSet::new();
    let digest = table::read(file, source, &COLUMNS, findings, |row, findings| {
        let Some(prefix) = row.check(PREFIX, parse::number("prefix", row.text(PREFIX)), findings)
        else {
            return;
        };
        if !seen.insert(prefix) {
            row.fault(
                PREFIX,
                findings,
                format!("prefix \"+{prefix}\" stands twice"),
            );
        }
        if let Some(overriding) = override_row(row, prefix, world, &overlay, findings) {
            overlay.own.insert(prefix, overriding);
            let longer = overlay.longer(prefix);
            if longer > 0 {
                row.warn(
                    PREFIX,
                    findings,
                    format!(
                        "prefix \"+{prefix}\": {} below it in the table keep what they say",
                        plural(longer, "longer prefix")
                    ),
                );
            }
        }
    });
    // Beside a fault nobody takes the rows, and nobody waits until they are made.
    if !overlay.own.is_empty() && findings.faults.is_empty() {
        *rows = overlay.merged();
    }
    digest
}

fn override_row(
    row: &Row<'_>,
    prefix: E164,
    world: &World,
    overlay: &Overlay<'_>,
    findings: &mut Findings,
) -> Option<DestinationRow> {
    let covering = overlay.covering(prefix);
    // Every field is looked at before any is given up, so that one reading shows all faults of a row.
    let country = optional(row, COUNTRY, findings, |text| world.country(text));
    let number_type = optional(row, TYPE, findings, |text| world.number_type(text));
    let risk = optional(row, RISK, findings, risk_class);
    let (country, number_type, risk) = (country.ok()?, number_type.ok()?, risk.ok()?);
    if country.is_none() && number_type.is_none() && risk.is_none() {
        row.fault(
            PREFIX,
            findings,
            format!("prefix \"+{prefix}\" says neither country, type nor risk"),
        );
        return None;
    }
    let inherited = |what: &str, findings: &mut Findings| {
        row.fault(
            PREFIX,
            findings,
            format!("prefix \"+{prefix}\" is not in the table, so its {what} must be said"),
        );
    };
    let Some(country) = country.or_else(|| covering.map(|row| row.country)) else {
        inherited("country", findings);
        return None;
    };
    let Some(number_type) = number_type.or_else(|| covering.map(|row| row.number_type)) else {
        inherited("type", findings);
        return None;
    };
    Some(DestinationRow {
        prefix,
        continent: world.continent_of(country),
        risk: risk.unwrap_or_else(|| world.risk(country, number_type)),
        country,
        number_type,
    })
}

/// A field was there and wrong; the fault is reported.
struct Faulty;

/// The value of a field that may be empty.
fn optional<T>(
    row: &Row<'_>,
    column: usize,
    findings: &mut Findings,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Faulty> {
    match row.text(column) {
        "" => Ok(None),
        text => row
            .check(column, read(text), findings)
            .map(Some)
            .ok_or(Faulty),
    }
}

fn risk_class(text: &str) -> Result<Risk, String> {
    RISKS
        .iter()
        .find(|(word, _)| *word == text)
        .map(|&(_, risk)| risk)
        .ok_or_else(|| format!("\"{text}\" is no risk class: \"low\", \"medium\" or \"high\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn number(digits: &str) -> E164 {
        E164::from_digits(digits.as_bytes()).unwrap()
    }

    fn laid_over(csv: &str) -> (Arc<[DestinationRow]>, Findings) {
        let mut rows = data::embedded_destinations().unwrap();
        let mut findings = Findings::default();
        let source = Box::new(Cursor::new(csv.to_owned().into_bytes()));
        read("d.csv", source, World::embedded(), &mut rows, &mut findings);
        (rows, findings)
    }

    #[test]
    fn a_table_that_nothing_is_laid_over_is_the_programs_own() {
        let own = data::embedded_destinations().unwrap();
        assert!(Arc::ptr_eq(&own, &laid_over("prefix,risk\n").0));
        assert!(own.is_sorted_by_key(|row| row.prefix));
    }

    #[test]
    fn rows_of_the_bundle_stand_in_place_of_those_of_the_table_and_between_them() {
        let own = data::embedded_destinations().unwrap();
        let csv = "prefix,country,type,risk\n1,,,high\n3906,,,medium\n390612345,IT,mobile,\n999999,GB,fixed,low\n";
        let (rows, findings) = laid_over(csv);
        assert!(findings.faults.is_empty(), "{}", findings.faults);
        let mut expected: BTreeMap<E164, DestinationRow> =
            own.iter().map(|row| (row.prefix, *row)).collect();
        for (prefix, country, number_type, risk) in [
            ("1", None, None, Some(Risk::High)),
            ("3906", None, None, Some(Risk::Medium)),
            ("390612345", Some("IT"), Some("mobile"), None),
            ("999999", Some("GB"), Some("fixed"), Some(Risk::Low)),
        ] {
            let prefix = number(prefix);
            let (ascii, length) = prefix.to_ascii();
            let covering = (1..=length)
                .rev()
                .find_map(|count| expected.get(&E164::from_digits(&ascii[..count])?))
                .copied();
            let country = country.unwrap_or_else(|| covering.unwrap().country);
            let number_type = number_type.unwrap_or_else(|| covering.unwrap().number_type);
            let world = World::embedded();
            let risk = risk.unwrap_or_else(|| world.risk(country, number_type));
            let continent = world.continent_of(country);
            let row = DestinationRow {
                prefix,
                country,
                number_type,
                risk,
                continent,
            };
            expected.insert(prefix, row);
        }
        assert!(expected.into_values().eq(rows.iter().copied()));
    }
}
