//! The destination table as the rules use it: a number's row, and what each policy permits.
//!
//! Promises: whether a policy permits a destination is one bit; classes are the distinct combinations of country, type,
//! risk and continent, a few thousand for 57,000 prefixes.
//! Leaves to `control`: telling the operator of a term that no destination has.

use super::hash::Seeded;
use super::limits::word;
use super::number_table::{NumberHit, PrefixRow, PrefixTable};
use super::rows::{DestinationRow, DestinationTerm, PolicyRow, Risk};
use crate::e164::E164;
use std::collections::HashMap;

/// What a destination is, for the journal and for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DestinationClass {
    /// Country or pseudo-country.
    pub country: String,
    /// Number type.
    pub number_type: String,
    /// Risk class.
    pub risk: Risk,
    /// Continent, empty for pseudo-countries.
    pub continent: String,
}

/// The table.
#[derive(Debug)]
pub(super) struct Destinations {
    prefixes: PrefixTable,
    /// Class of each row.
    row_classes: Vec<u32>,
    classes: Vec<DestinationClass>,
    /// The country of each class in one word.
    country_words: Vec<u64>,
}

/// One bit per class.
#[derive(Debug, Default)]
pub(super) struct Permitted(Vec<u64>);

impl Permitted {
    fn contains(&self, class: u32) -> bool {
        self.0
            .get(class as usize / 64)
            .is_some_and(|word| word >> (class % 64) & 1 == 1)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Destinations {
    /// Builds from the rows; of two with the same prefix the later counts, since overrides come later.
    pub(super) fn new(rows: &[DestinationRow]) -> Self {
        let mut numbers: HashMap<(&str, &str, Risk, &str), u32, Seeded> = HashMap::default();
        let mut classes = Vec::new();
        let mut row_classes = Vec::with_capacity(rows.len());
        let mut prefixes = Vec::with_capacity(rows.len());
        for (index, row) in (0_u32..).zip(rows) {
            let key = (row.country, row.number_type, row.risk, row.continent);
            let class = *numbers.entry(key).or_insert_with(|| {
                classes.push(DestinationClass {
                    country: row.country.to_owned(),
                    number_type: row.number_type.to_owned(),
                    risk: row.risk,
                    continent: row.continent.to_owned(),
                });
                count(classes.len() - 1)
            });
            row_classes.push(class);
            prefixes.push(PrefixRow {
                from: row.prefix,
                to: row.prefix,
                preference: index,
                value: index,
            });
        }
        Self {
            prefixes: PrefixTable::new(&prefixes),
            row_classes,
            country_words: classes.iter().map(|class| word(&class.country)).collect(),
            classes,
        }
    }

    /// What a policy permits: deny wins over allow, an empty allow is everything.
    pub(super) fn permitted(&self, policy: &PolicyRow) -> Permitted {
        let mut words = vec![0_u64; self.classes.len().div_ceil(64)];
        for (at, class) in self.classes.iter().enumerate() {
            let any = |terms: &[DestinationTerm]| terms.iter().any(|term| term_names(term, class));
            let allowed = policy.destination_allow.is_empty() || any(&policy.destination_allow);
            if let Some(word) = words
                .get_mut(at / 64)
                .filter(|_| allowed && !any(&policy.destination_deny))
            {
                *word |= 1 << (at % 64);
            }
        }
        Permitted(words)
    }

    /// The row of a number, and how many of its digits are the row's prefix.
    #[inline]
    pub(super) fn row(&self, number: E164) -> Option<(u32, u8)> {
        self.prefixes.get(number).map(
            |NumberHit {
                 value,
                 match_digits,
             }| (value, match_digits),
        )
    }

    /// The country of a row in one word (`limits::word`).
    pub(super) fn country_word(&self, row: u32) -> u64 {
        let class = self.row_classes.get(row as usize);
        class
            .and_then(|&class| self.country_words.get(class as usize))
            .copied()
            .unwrap_or(0)
    }

    /// Whether the row is permitted.
    #[inline]
    pub(super) fn permits(&self, permitted: &Permitted, row: u32) -> bool {
        self.row_classes
            .get(row as usize)
            .is_some_and(|&class| permitted.contains(class))
    }

    /// Whether every row is permitted.
    pub(super) fn permits_all(&self, permitted: &Permitted) -> bool {
        (0..count(self.classes.len())).all(|class| permitted.contains(class))
    }

    /// What the row is.
    pub(super) fn class(&self, row: u32) -> Option<&DestinationClass> {
        let class = *self.row_classes.get(row as usize)?;
        self.classes.get(class as usize)
    }

    /// The table itself, for prefetching.
    pub(super) fn prefixes(&self) -> &PrefixTable {
        &self.prefixes
    }
}

fn term_names(term: &DestinationTerm, class: &DestinationClass) -> bool {
    match term {
        DestinationTerm::Country(country) => country.eq_ignore_ascii_case(&class.country),
        DestinationTerm::Continent(continent) => continent.eq_ignore_ascii_case(&class.continent),
        DestinationTerm::Type(number_type) => number_type.eq_ignore_ascii_case(&class.number_type),
        DestinationTerm::Risk(risk) => *risk == class.risk,
    }
}
