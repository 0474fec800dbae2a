//! What a minute to a number costs.
//!
//! Promises: the longest prefix decides; amounts are millionths of the operator's currency, whole numbers, so that sums are
//! exact.

use super::number_table::{PrefixRow, PrefixTable};
use super::rows::RateRow;
use crate::e164::E164;

/// The rates of a bundle.
#[derive(Debug)]
pub(super) struct Rates {
    prefixes: PrefixTable,
    /// Millionths a minute, by the table's value.
    micros: Vec<u64>,
    /// Of what no prefix names, if a row says it.
    others: Option<u64>,
}

impl Rates {
    /// The table of these rows; `None` when there are none.
    pub(super) fn new(rows: &[RateRow]) -> Option<Self> {
        if rows.is_empty() {
            return None;
        }
        let prefixes: Vec<PrefixRow> = (0_u32..)
            .zip(rows)
            .filter_map(|(value, row)| {
                let prefix = row.prefix?;
                Some(PrefixRow {
                    from: prefix,
                    to: prefix,
                    preference: value,
                    value,
                })
            })
            .collect();
        let others = rows.iter().find(|row| row.prefix.is_none());
        Some(Self {
            prefixes: PrefixTable::new(&prefixes),
            micros: rows.iter().map(|row| row.micros_per_minute).collect(),
            others: others.map(|row| row.micros_per_minute),
        })
    }

    /// What a minute to this number costs, millionths.
    pub(super) fn micros_per_minute(&self, number: E164) -> u64 {
        self.prefixes
            .get(number)
            .and_then(|hit| self.micros.get(hit.value as usize))
            .copied()
            .or(self.others)
            .unwrap_or(0)
    }

    /// What a minute to something costs that is no international number; `None`: there is no row for all others.
    pub(super) fn micros_of_others(&self) -> Option<u64> {
        self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_has_the_rate_else_the_row_for_all_others() {
        let row = |prefix: Option<&str>, micros_per_minute| RateRow {
            prefix: prefix.and_then(|prefix| E164::from_digits(prefix.as_bytes())),
            micros_per_minute,
        };
        let named = [
            row(Some("39"), 10),
            row(Some("3906"), 20),
            row(Some("44"), 0),
        ];
        let with_others: Vec<RateRow> = named.into_iter().chain([row(None, 7)]).collect();
        for (rows, others) in [(&named[..], 0), (&with_others, 7)] {
            let rates = Rates::new(rows).unwrap();
            let of_others = rates.micros_of_others();
            assert_eq!(of_others, Some(others).filter(|_| others > 0));
            for (number, micros) in [
                ("39069", 20),
                ("3907", 10),
                ("39", 10),
                ("44207", 0),
                ("1", others),
            ] {
                let number = E164::from_digits(number.as_bytes()).unwrap();
                assert_eq!(rates.micros_per_minute(number), micros, "{number}");
            }
        }
        assert!(Rates::new(&[]).is_none());
    }
}
