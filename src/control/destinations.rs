//! The destination table with the bundle's `destinations.csv` laid over it.
//!
//! Promises: every prefix stands once; an override that leaves country or type empty keeps what the table says for that
//! prefix, and one without a risk has that of its country and type.

use super::fault::{Findings, did_you_mean, one_of, plural};
use super::parse;
use super::policies::RISKS;
use super::table::{self, Column, FileDigest, Row};
use crate::e164::E164;
use crate::policy::data::RiskTable;
use crate::policy::rows::{DestinationRow, Risk};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

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
    countries: BTreeMap<String, String>,
    types: BTreeSet<String>,
    continents: BTreeSet<String>,
    risks: Option<RiskTable>,
}

impl World {
    /// The words of these rows.
    pub(super) fn of(rows: &[DestinationRow]) -> Self {
        let mut world = Self {
            // Reading the same files gave the rows; without rows there is a fault already.
            risks: RiskTable::embedded().ok(),
            ..Self::default()
        };
        for row in rows {
            if !world.countries.contains_key(&row.country) {
                world
                    .countries
                    .insert(row.country.clone(), row.continent.clone());
                if !row.continent.is_empty() {
                    world.continents.insert(row.continent.clone());
                }
            }
            if !world.types.contains(&row.number_type) {
                world.types.insert(row.number_type.clone());
            }
        }
        world
    }

    /// The country or pseudo-country of this name, or why there is none.
    pub(super) fn country(&self, name: &str) -> Result<&str, String> {
        if let Some((known, _)) = self.countries.get_key_value(name) {
            return Ok(known);
        }
        let upper = name.to_ascii_uppercase();
        let lower = name.to_ascii_lowercase();
        let hint = [upper, lower]
            .into_iter()
            .find(|other| self.countries.contains_key(other))
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
    pub(super) fn number_type(&self, name: &str) -> Result<&str, String> {
        if let Some(known) = self.types.get(name) {
            return Ok(known);
        }
        let known: Vec<&str> = self.types.iter().map(String::as_str).collect();
        Err(match did_you_mean(name, known.iter().copied()) {
            Some(meant) => format!("\"{name}\" is no number type; did you mean \"{meant}\"?"),
            None => format!("\"{name}\" is no number type: {}", one_of(&known)),
        })
    }

    /// The continents.
    pub(super) fn continents(&self) -> impl Iterator<Item = &str> {
        self.continents.iter().map(String::as_str)
    }

    /// The risk class of this country's numbers of this type, where a row does not say.
    fn risk(&self, country: &str, number_type: &str) -> Risk {
        self.risks
            .as_ref()
            .map_or(Risk::Low, |risks| risks.risk(country, number_type))
    }

    fn continent_of(&self, country: &str) -> String {
        self.countries.get(country).cloned().unwrap_or_default()
    }
}

/// Lays `destinations.csv` over the table.
pub(super) fn read(
    file: &str,
    source: Box<dyn Read>,
    world: &World,
    rows: &mut Vec<DestinationRow>,
    findings: &mut Findings,
) -> Option<FileDigest> {
    let mut by_prefix: BTreeMap<E164, DestinationRow> = std::mem::take(rows)
        .into_iter()
        .map(|row| (row.prefix, row))
        .collect();
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
        if let Some(overriding) = override_row(row, prefix, world, &by_prefix, findings) {
            by_prefix.insert(prefix, overriding);
            let longer = longer_prefixes(&by_prefix, prefix);
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
    rows.extend(by_prefix.into_values());
    digest
}

fn override_row(
    row: &Row<'_>,
    prefix: E164,
    world: &World,
    table: &BTreeMap<E164, DestinationRow>,
    findings: &mut Findings,
) -> Option<DestinationRow> {
    let covering = covering(table, prefix);
    // Every field is looked at before any is given up, so that one reading shows all faults of a row.
    let country = optional(row, COUNTRY, findings, |text| {
        world.country(text).map(str::to_owned)
    });
    let number_type = optional(row, TYPE, findings, |text| {
        world.number_type(text).map(str::to_owned)
    });
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
    let Some(country) = country.or_else(|| covering.map(|row| row.country.clone())) else {
        inherited("country", findings);
        return None;
    };
    let Some(number_type) = number_type.or_else(|| covering.map(|row| row.number_type.clone()))
    else {
        inherited("type", findings);
        return None;
    };
    Some(DestinationRow {
        prefix,
        continent: world.continent_of(&country),
        risk: risk.unwrap_or_else(|| world.risk(&country, &number_type)),
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

/// The row of the longest prefix that `prefix` begins with, itself included.
fn covering(table: &BTreeMap<E164, DestinationRow>, prefix: E164) -> Option<&DestinationRow> {
    let (ascii, length) = prefix.to_ascii();
    (1..=length).rev().find_map(|count| {
        let shorter = E164::from_digits(ascii.get(..count)?)?;
        table.get(&shorter)
    })
}

fn longer_prefixes(table: &BTreeMap<E164, DestinationRow>, prefix: E164) -> usize {
    // A prefix sorts before its continuations, which follow it without a gap.
    table
        .range(prefix..)
        .skip(1)
        .take_while(|(longer, _)| longer.starts_with(prefix))
        .count()
}
