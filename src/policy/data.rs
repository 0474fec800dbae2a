//! The destination table that comes with the program: prefixes with country and number type from libphonenumber's
//! metadata, risk classes and continents from tables of our own.
//!
//! Promises: read once in a process, in a few milliseconds for 69,000 rows; a fault in the files is a sentence with its
//! place.
//! Leaves to `control`: a bundle's overrides.

use super::hash::Seeded;
use super::rows::{DestinationRow, Risk};
use crate::e164::E164;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

const DESTINATIONS: &str = include_str!("data/destinations.csv");
const RISKS: &str = include_str!("data/risk.csv");
const CONTINENTS: &str = include_str!("data/continents.csv");

/// The embedded destination table, in order of its prefixes. Every call gives the same one, so that whoever compares two
/// bundles' tables sees at once that neither changed it.
///
/// # Errors
/// The first fault in the embedded files, with file and line. A test reads them, so a released program has none.
pub fn embedded_destinations() -> Result<Arc<[DestinationRow]>, String> {
    static TABLE: OnceLock<Result<Arc<[DestinationRow]>, String>> = OnceLock::new();
    TABLE
        .get_or_init(|| {
            let mut rows = destinations(DESTINATIONS, RISKS, CONTINENTS)?;
            rows.sort_by_key(|row| row.prefix);
            Ok(rows.into())
        })
        .clone()
}

/// The risk class of a country's numbers of one type, from the embedded table: for rows that a bundle adds without one.
#[derive(Debug)]
pub struct RiskTable {
    risks: HashMap<(&'static str, &'static str), Risk, Seeded>,
}

impl RiskTable {
    /// The embedded table.
    ///
    /// # Errors
    /// The first fault in the embedded file, with its line.
    pub fn embedded() -> Result<Self, String> {
        Ok(Self {
            risks: risks(RISKS)?,
        })
    }

    /// The risk class of this country and type.
    #[must_use]
    pub fn risk(&self, country: &str, number_type: &str) -> Risk {
        risk_of(&self.risks, country, number_type)
    }
}

/// The continent of a country by the embedded table; empty for pseudo-countries and unknown ones.
#[must_use]
pub fn embedded_continent(country: &str) -> &'static str {
    CONTINENTS
        .lines()
        .filter_map(|line| line.split_once(','))
        .find(|(code, _)| *code == country)
        .map_or("", |(_, continent)| continent)
}

/// Lines that hold a row: their number from 1, and their `N` fields. Comments, blank lines and the heading are passed over.
fn rows<'a, const N: usize>(
    file: &'static str,
    text: &'a str,
    heading: &'static str,
) -> impl Iterator<Item = Result<(usize, [&'a str; N]), String>> {
    (1..)
        .zip(text.lines())
        .filter(move |(_, line)| !line.is_empty() && !line.starts_with('#') && *line != heading)
        .map(move |(number, line)| {
            let mut fields = line.split(',');
            let row = [(); N].map(|()| fields.next().unwrap_or(""));
            if fields.next().is_some() || row.iter().any(|field| field.is_empty()) {
                return Err(format!("{file}:{number}: want {heading}"));
            }
            Ok((number, row))
        })
}

fn risks(text: &str) -> Result<HashMap<(&str, &str), Risk, Seeded>, String> {
    let mut risks = HashMap::default();
    for row in rows::<3>("risk.csv", text, "country,type,risk") {
        let (line, [country, number_type, risk]) = row?;
        let risk = match risk {
            "low" => Risk::Low,
            "medium" => Risk::Medium,
            "high" => Risk::High,
            other => {
                return Err(format!(
                    "risk.csv:{line}: risk \"{other}\" is not low, medium or high"
                ));
            }
        };
        if risks.insert((country, number_type), risk).is_some() {
            return Err(format!(
                "risk.csv:{line}: {country},{number_type} stands twice"
            ));
        }
    }
    if risks.contains_key(&("*", "*")) {
        return Ok(risks);
    }
    Err("risk.csv: no row for *,*".to_owned())
}

/// Country and type both; else the higher of the country's and the type's; else the row for all.
fn risk_of(risks: &HashMap<(&str, &str), Risk, Seeded>, country: &str, number_type: &str) -> Risk {
    let risk = |key| risks.get(&key).copied();
    risk((country, number_type))
        .or_else(|| risk((country, "*")).max(risk(("*", number_type))))
        .or_else(|| risk(("*", "*")))
        .unwrap_or(Risk::High)
}

fn destinations(
    destinations: &'static str,
    risk: &str,
    continent: &'static str,
) -> Result<Vec<DestinationRow>, String> {
    let risks = risks(risk)?;
    let mut continents: HashMap<&str, &str, Seeded> = HashMap::default();
    for row in rows::<2>("continents.csv", continent, "country,continent") {
        let (_, [country, continent]) = row?;
        continents.insert(country, continent);
    }
    // Countries come in runs with a handful of types: the risk is looked up once for each pair.
    let mut known: HashMap<(&str, &str), Risk, Seeded> = HashMap::default();
    let mut table = Vec::with_capacity(destinations.len() / 16);
    for row in rows::<3>("destinations.csv", destinations, "prefix,country,type") {
        let (line, [prefix, country, number_type]) = row?;
        let Some(prefix) = E164::from_digits(prefix.as_bytes()) else {
            return Err(format!(
                "destinations.csv:{line}: prefix \"{prefix}\" is not 1 to 15 digits"
            ));
        };
        let risk = *known
            .entry((country, number_type))
            .or_insert_with(|| risk_of(&risks, country, number_type));
        table.push(DestinationRow {
            prefix,
            country,
            number_type,
            risk,
            continent: continents.get(country).copied().unwrap_or(""),
        });
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_files_have_no_fault() {
        let table = embedded_destinations().unwrap();
        assert!(table.len() > 50_000, "{} rows", table.len());
        let row = |prefix: &str| {
            let prefix = E164::from_digits(prefix.as_bytes()).unwrap();
            table.iter().find(|row| row.prefix == prefix).unwrap()
        };
        let usa = row("12012");
        assert_eq!((usa.country, usa.continent), ("US", "NA"));
        // Every country of the table has a continent, but for the pseudo-countries.
        let without: std::collections::BTreeSet<&str> = table
            .iter()
            .filter(|row| row.continent.is_empty())
            .map(|row| row.country)
            .collect();
        assert_eq!(
            without.into_iter().collect::<Vec<_>>(),
            ["global", "satellite"]
        );
        let prefixes: std::collections::BTreeSet<E164> =
            table.iter().map(|row| row.prefix).collect();
        assert_eq!(prefixes.len(), table.len(), "each prefix stands once");
    }

    #[test]
    fn the_more_specific_risk_decides_and_of_two_halves_the_higher() {
        let risks =
            risks("*,*,low\nIT,*,medium\n*,premium,high\nIT,premium,low\n*,voip,low\n").unwrap();
        for (country, number_type, want) in [
            ("US", "fixed", Risk::Low),
            ("IT", "fixed", Risk::Medium),
            ("US", "premium", Risk::High),
            ("IT", "premium", Risk::Low),
            ("IT", "voip", Risk::Medium),
        ] {
            assert_eq!(
                risk_of(&risks, country, number_type),
                want,
                "{country} {number_type}"
            );
        }
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        let check = |table: &'static str, risk: &str, want: &str| {
            assert_eq!(destinations(table, risk, "IT,EU\n").unwrap_err(), want);
        };
        check(
            "39O6,IT,fixed\n",
            "*,*,low\n",
            "destinations.csv:1: prefix \"39O6\" is not 1 to 15 digits",
        );
        check(
            "# x\n39,IT\n",
            "*,*,low\n",
            "destinations.csv:2: want prefix,country,type",
        );
        check(
            "",
            "*,*,some\n",
            "risk.csv:1: risk \"some\" is not low, medium or high",
        );
        check("", "IT,*,low\n", "risk.csv: no row for *,*");
        check("", "*,*,low\n*,*,low\n", "risk.csv:2: *,* stands twice");
    }

    #[test]
    fn countries_outside_the_table_have_no_continent() {
        assert_eq!(embedded_continent("AD"), "EU");
        assert_eq!(embedded_continent("satellite"), "");
        assert_eq!(embedded_continent("ZZ"), "");
        assert_eq!(
            RiskTable::embedded().unwrap().risk("ZZ", "premium"),
            Risk::High
        );
    }
}
