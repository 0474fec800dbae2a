//! `rates.csv`: what a minute to each prefix costs, in the operator's currency.
//!
//! Promises: each prefix stands once; what is not named costs nothing unless a row `*` says otherwise, and a warning
//! says how much of the destination table that is.

use super::fault::{Findings, Place, plural};
use super::parse;
use super::table::{self, Column, FileDigest};
use crate::e164::E164;
use crate::limits::RATE_MICROS_MAX;
use crate::policy::rows::{DestinationRow, RateRow};
use std::collections::BTreeSet;
use std::io::Read;

const COLUMNS: [Column; 2] = [
    Column::required("prefix"),
    Column::required("rate_per_minute"),
];
const PREFIX: usize = 0;
const RATE: usize = 1;

/// Reads the table.
pub(super) fn read(
    file: &str,
    source: Box<dyn Read>,
    destinations: &[DestinationRow],
    rows: &mut Vec<RateRow>,
    findings: &mut Findings,
) -> Option<FileDigest> {
    let mut seen = BTreeSet::new();
    let digest = table::read(file, source, &COLUMNS, findings, |row, findings| {
        let text = row.text(PREFIX);
        let prefix = match text {
            "*" => Ok(None),
            _ => parse::number("prefix", text).map(Some),
        };
        // Both fields are looked at before either is given up, so that one reading shows all faults of a row.
        let prefix = row.check(PREFIX, prefix, findings);
        let rate = row.check(
            RATE,
            parse::micros(row.text(RATE), RATE_MICROS_MAX),
            findings,
        );
        let (Some(prefix), Some(micros_per_minute)) = (prefix, rate) else {
            return;
        };
        if !seen.insert(prefix) {
            row.fault(PREFIX, findings, format!("prefix \"{text}\" stands twice"));
        }
        rows.push(RateRow {
            prefix,
            micros_per_minute,
        });
    });
    if !seen.contains(&None) {
        let count = destinations.len() - rated(&seen, destinations);
        let others = if count > 0 {
            format!(
                "{} of the destination table and what is no international number have no rate and cost nothing",
                plural(count, "prefix")
            )
        } else {
            "what is no international number has no rate and costs nothing".to_owned()
        };
        findings.warn(
            file,
            Place { line: 1, column: 1 },
            format!("{others}; a row \"*\" is the rate of all that no other names"),
        );
    }
    digest
}

/// How many of the destinations, which are in order of their prefixes, have a rate of their own or of a shorter prefix.
fn rated(rated: &BTreeSet<Option<E164>>, destinations: &[DestinationRow]) -> usize {
    let mut count = 0;
    let mut rest = destinations;
    // A prefix sorts before its continuations, which follow it without a gap.
    for prefix in rated.iter().flatten() {
        let (_, from) = rest.split_at(rest.partition_point(|row| row.prefix < *prefix));
        let below = from.partition_point(|row| row.prefix.starts_with(*prefix));
        count += below;
        rest = from.get(below..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Vec<RateRow>, String, Vec<String>) {
        let mut findings = Findings::default();
        let mut rows = Vec::new();
        let table = crate::policy::data::embedded_destinations().unwrap();
        let source = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let _digest = read("rates.csv", source, &table, &mut rows, &mut findings);
        (rows, findings.faults.to_string(), findings.into_warnings())
    }

    #[test]
    fn rates_are_millionths_and_each_prefix_stands_once() {
        let (rows, faults, warnings) =
            check("prefix,rate_per_minute\n+39,0.035\n3906,1\n*,0.000001\n");
        assert_eq!((faults.as_str(), warnings.len()), ("", 0));
        let number = |digits: &str| E164::from_digits(digits.as_bytes());
        let want = [
            (number("39"), 35_000),
            (number("3906"), 1_000_000),
            (None, 1),
        ];
        for (row, (prefix, micros)) in rows.iter().zip(want) {
            assert_eq!((row.prefix, row.micros_per_minute), (prefix, micros));
        }
        assert_eq!(rows.len(), want.len());
    }

    #[test]
    fn faults_are_named_all_at_once_and_free_destinations_are_told() {
        let (_, faults, warnings) = check(
            "prefix,rate_per_minute\n39O6,0.1\n39,-1\n39,1e3\n44,0.0000001\n44,1\n44,2\n45,999999999\n,1\n",
        );
        let want = [
            "rates.csv:2:1: prefix \"39O6\" has the letter O; digits only",
            "rates.csv:3:4: \"-1\" is no amount; digits, and a point with up to six more, like \"0.035\"",
            "rates.csv:4:4: \"1e3\" is no amount; digits, and a point with up to six more, like \"0.035\"",
            "rates.csv:5:4: \"0.0000001\" is no amount; digits, and a point with up to six more, like \"0.035\"",
            "rates.csv:7:1: prefix \"44\" stands twice",
            "rates.csv:8:4: \"999999999\" is more than 694.444444",
            "rates.csv:9:1: prefix \"\" has no digits",
        ];
        assert_eq!(faults.lines().collect::<Vec<_>>(), want);
        assert!(
            warnings[0].contains("have no rate and cost nothing"),
            "{warnings:?}"
        );
    }

    #[test]
    fn what_is_no_number_costs_nothing_without_a_rate_of_all_others_and_that_is_told() {
        let (_, faults, warnings) =
            check("prefix,rate_per_minute\n1,1\n2,1\n3,1\n4,1\n5,1\n6,1\n7,1\n8,1\n9,1\n");
        assert_eq!(faults, "");
        let told = warnings[0].contains("no international number has no rate and costs nothing");
        assert!(told, "{warnings:?}");
    }

    #[test]
    fn a_destination_is_rated_by_its_own_prefix_or_a_shorter_one() {
        let table = crate::policy::data::embedded_destinations().unwrap();
        for prefixes in [
            "",
            "39",
            "1",
            "39 3906 390",
            "3906 393 44 999999 7",
            "390612345",
        ] {
            let rates: BTreeSet<Option<E164>> = prefixes
                .split(' ')
                .map(|digits| E164::from_digits(digits.as_bytes()))
                .collect();
            let by_row = table.iter().filter(|row| {
                (1..=row.prefix.len())
                    .any(|digits| rates.contains(&Some(row.prefix.truncated(digits))))
            });
            assert_eq!(rated(&rates, &table), by_row.count(), "{prefixes}");
        }
    }
}
