//! A TOML document read key by key, with the place of every fault.
//!
//! Promises: all faults of a document at once, each as `file:line:column: sentence`, in the order of the file; a key that nobody
//! asked for is a fault. Leaves to `read`: what the keys mean.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::limits::{FAULTS_SHOWN, MIX_FILE_BYTES_MAX};

/// What is wrong with a text, by place.
#[derive(Debug)]
pub struct Faults<'t> {
    file: &'t str,
    text: &'t str,
    found: Vec<(usize, String)>,
}

/// A value and where it begins.
pub type Placed<T> = (T, usize);

impl<'t> Faults<'t> {
    /// None yet.
    #[must_use]
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            found: Vec::new(),
        }
    }

    /// A fault at an octet of the text.
    pub fn at(&mut self, offset: usize, sentence: impl Into<String>) {
        self.found.push((offset, sentence.into()));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The faults, a line each; past a bound, a count.
    #[must_use]
    pub fn into_text(mut self) -> String {
        self.found.sort_by_key(|(offset, _)| *offset);
        let more = self.found.len().saturating_sub(FAULTS_SHOWN);
        let mut lines: Vec<String> = self
            .found
            .iter()
            .take(FAULTS_SHOWN)
            .map(|(offset, sentence)| format!("{}:{}: {sentence}", self.file, self.place(*offset)))
            .collect();
        if more > 0 {
            lines.push(format!("{}: {more} more faults", self.file));
        }
        lines.join("\n")
    }

    fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or("").chars().count() + 1;
        format!("{line}:{column}")
    }
}

/// Parses a document and hands its root to `read`; a document that is no TOML has no meaning to be judged.
pub fn parse(faults: &mut Faults<'_>, read: impl FnOnce(Keys<'_>, &mut Faults<'_>)) {
    if faults.text.len() > MIX_FILE_BYTES_MAX {
        faults.at(0, format!("longer than {MIX_FILE_BYTES_MAX} octets"));
        return;
    }
    let (root, errors) = DeTable::parse_recoverable(faults.text);
    if errors.is_empty() {
        read(Keys::new(root.get_ref(), 0), faults);
        return;
    }
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        if !faults.found.iter().any(|(known, _)| *known == offset) {
            faults.at(offset, format!("not TOML: {}", error.message()));
        }
    }
}

/// The keys of a table, taken one after the other.
#[derive(Debug)]
pub struct Keys<'d> {
    table: &'d DeTable<'d>,
    /// Where the table begins.
    pub at: usize,
    asked: Vec<&'static str>,
}

impl<'d> Keys<'d> {
    fn new(table: &'d DeTable<'d>, at: usize) -> Self {
        Self {
            table,
            at,
            asked: Vec::new(),
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.push(key);
        self.table
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)
            .map(|(_, value)| value)
    }

    /// A string in quotes.
    pub fn text(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<Placed<&'d str>> {
        let value = self.value(key)?;
        text_of(key, value, faults)
    }

    /// A string that must be there.
    pub fn needed(
        &mut self,
        key: &'static str,
        faults: &mut Faults<'_>,
    ) -> Option<Placed<&'d str>> {
        if self.value(key).is_none() {
            faults.at(self.at, format!("`{key}` is missing here"));
        }
        self.text(key, faults)
    }

    /// A whole number in a range.
    pub fn whole(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        faults: &mut Faults<'_>,
    ) -> Option<Placed<u64>> {
        let value = self.value(key)?;
        whole_of(key, value, range, faults)
    }

    /// A number with at most three decimals, in thousandths.
    pub fn thousandths(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        faults: &mut Faults<'_>,
    ) -> Option<Placed<u64>> {
        let value = self.value(key)?;
        let at = value.span().start;
        let written = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => "",
        };
        let (whole, decimals) = written.split_once('.').unwrap_or((written, ""));
        let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        let fits = !whole.is_empty() && decimals.len() <= 3 && digits(whole) && digits(decimals);
        let number = fits
            .then(|| format!("{whole}{decimals:0<3}").parse().ok())
            .flatten()
            .filter(|number| range.contains(number));
        if number.is_none() {
            faults.at(
                at,
                format!(
                    "`{key}` must be a number from {} to {} with at most three decimals",
                    in_thousandths(*range.start()),
                    in_thousandths(*range.end())
                ),
            );
        }
        Some((number?, at))
    }

    /// An array of strings, or one string.
    pub fn texts(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<Placed<&'d str>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| text_of(key, item, faults))
                .collect(),
            _ => text_of(key, value, faults).into_iter().collect(),
        }
    }

    /// An array of whole numbers; `None` if the key is not there or faulty.
    pub fn wholes(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<u64>,
        faults: &mut Faults<'_>,
    ) -> Option<Placed<Vec<u64>>> {
        let value = self.value(key)?;
        let at = value.span().start;
        let DeValue::Array(items) = value.get_ref() else {
            faults.at(at, format!("`{key}` must be an array of whole numbers"));
            return None;
        };
        let numbers: Vec<u64> = items
            .iter()
            .filter_map(|item| whole_of(key, item, range.clone(), faults).map(|(number, _)| number))
            .collect();
        (numbers.len() == items.len()).then_some((numbers, at))
    }

    /// A table whose keys are data, with whole numbers: the pairs in the order of the file.
    pub fn weights(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<u64>,
        faults: &mut Faults<'_>,
    ) -> Vec<(Placed<&'d str>, u64)> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Table(table) = value.get_ref() else {
            faults.at(
                value.span().start,
                format!("`{key}` must be a table of weights, as {{ \"+\" = 3 }}"),
            );
            return Vec::new();
        };
        let mut pairs: Vec<_> = table
            .iter()
            .filter_map(|(name, value)| {
                let name_at: Placed<&'d str> = (name.get_ref().as_ref(), name.span().start);
                let (weight, _) = whole_of(key, value, range.clone(), faults)?;
                Some((name_at, weight))
            })
            .collect();
        pairs.sort_by_key(|((_, at), _)| *at);
        pairs
    }

    /// A table.
    pub fn table(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<Self> {
        let value = self.value(key)?;
        let at = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            faults.at(at, format!("`{key}` must be a table, as [{key}]"));
            return None;
        };
        Some(Self::new(table, at))
    }

    /// An array of tables.
    pub fn tables(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            faults.at(value.span().start, format!("`{key}` is written [[{key}]]"));
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| match item.get_ref() {
                DeValue::Table(table) => Some(Self::new(table, item.span().start)),
                _ => {
                    faults.at(item.span().start, format!("`{key}` is written [[{key}]]"));
                    None
                }
            })
            .collect()
    }

    /// Says every key that nobody asked for.
    pub fn finish(self, faults: &mut Faults<'_>) {
        for name in self.table.keys() {
            if !self.asked.contains(&name.get_ref().as_ref()) {
                let mut known = self.asked.clone();
                known.dedup();
                faults.at(
                    name.span().start,
                    format!(
                        "unknown key `{}`; known here: {}",
                        name.get_ref(),
                        known.join(", ")
                    ),
                );
            }
        }
    }
}

fn text_of<'d>(
    key: &str,
    value: &'d Spanned<DeValue<'d>>,
    faults: &mut Faults<'_>,
) -> Option<Placed<&'d str>> {
    let at = value.span().start;
    let found = value.get_ref().as_str();
    if found.is_none() {
        faults.at(at, format!("`{key}` must be a string in quotes"));
    }
    Some((found?, at))
}

fn whole_of(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    range: RangeInclusive<u64>,
    faults: &mut Faults<'_>,
) -> Option<Placed<u64>> {
    let at = value.span().start;
    let number = value
        .get_ref()
        .as_integer()
        .and_then(|written| u64::from_str_radix(written.as_str(), written.radix()).ok())
        .filter(|number| range.contains(number));
    if number.is_none() {
        faults.at(
            at,
            format!(
                "`{key}` must be a whole number from {} to {}",
                range.start(),
                range.end()
            ),
        );
    }
    Some((number?, at))
}

fn in_thousandths(number: u64) -> String {
    let text = format!("{}.{:03}", number / 1000, number % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        let mut faults = Faults::new("m.toml", text);
        parse(&mut faults, |mut keys, faults| {
            keys.needed("name", faults);
            keys.whole("n", 1..=9, faults);
            keys.thousandths("rate", 1..=10_000, faults);
            keys.texts("list", faults);
            for mut part in keys.tables("part", faults) {
                part.needed("name", faults);
                part.finish(faults);
            }
            keys.finish(faults);
        });
        faults.into_text()
    }

    #[test]
    fn every_fault_has_its_line_and_column() {
        let text = "name = 1\nn = 10\nrate = 0.0001\nlist = [\"a\", 2]\nextra = 1\n[[part]]\nnane = \"x\"\n";
        let found = faults(text);
        let lines: Vec<&str> = found.lines().collect();
        for (line, begins) in lines.iter().zip([
            "m.toml:1:8: `name` must be a string",
            "m.toml:2:5: `n` must be a whole number from 1 to 9",
            "m.toml:3:8: `rate` must be a number from 0.001 to 10 ",
            "m.toml:4:14: `list` must be a string",
            "m.toml:5:1: unknown key `extra`; known here: name, n",
            "m.toml:6:1: `name` is missing here",
            "m.toml:7:1: unknown key `nane`",
        ]) {
            assert!(line.starts_with(begins), "{line}");
        }
        assert_eq!(lines.len(), 7, "{found}");
    }

    #[test]
    fn what_is_no_toml_is_said_where_it_ends_to_be() {
        let found = faults("name = \"a\"\nn = = 2\nrate 5\n");
        assert!(found.contains("m.toml:2:5: not TOML"), "{found}");
        assert!(found.contains("m.toml:3:"), "{found}");
    }

    #[test]
    fn past_the_bound_faults_are_counted() {
        let text: String = (0..FAULTS_SHOWN + 3)
            .map(|n| format!("k{n} = 1\n"))
            .collect();
        let found = faults(&format!("name = \"a\"\n{text}"));
        assert!(found.ends_with("m.toml: 3 more faults"), "{found}");
    }
}
