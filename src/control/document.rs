//! A TOML document with places: a table is read key by key, and what nobody asked for is an unknown key.
//!
//! Promises: every syntax fault the parser can recover from and every semantic fault is reported, each at its own
//! place. serde's `deny_unknown_fields` would stop at the first, which is why this walks the spanned document itself.

use super::fault::{Findings, Place, did_you_mean, one_of};
use super::parse;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

#[cfg(test)]
thread_local! {
    static ASKED: std::cell::RefCell<std::collections::BTreeSet<String>> = const {
        std::cell::RefCell::new(std::collections::BTreeSet::new())
    };
}

/// The dotted names of the keys that this thread asked for since it was asked last.
#[cfg(test)]
pub(super) fn asked() -> std::collections::BTreeSet<String> {
    ASKED.take()
}

/// The text of a document and where its lines begin.
#[derive(Debug)]
pub(super) struct Text<'t> {
    /// The file as the operator would open it.
    file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Text<'t> {
    /// The text of `file`.
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(index, _)| index + 1))
            .collect();
        Self {
            file,
            text,
            line_starts,
        }
    }

    /// Line and column of an octet.
    fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index))
            .copied()
            .unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        Place {
            line: line.max(1) as u64,
            column: before.chars().count() as u64 + 1,
        }
    }

    /// Parses and hands the root table to `read`. After a syntax fault nothing of this document is read: what the
    /// parser guessed past it would only give faults that are not there.
    pub(super) fn parse(
        &self,
        findings: &mut Findings,
        read: impl FnOnce(Table<'_>, &mut Findings),
    ) {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        if errors.is_empty() {
            let table = Table {
                path: String::new(),
                text: self,
                table: root.get_ref(),
                start: root.span().start,
                known: Vec::new(),
                refused: Vec::new(),
            };
            read(table, findings);
            return;
        }
        let mut seen = Vec::new();
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            // The parser may meet one fault twice while it recovers.
            if seen.contains(&offset) {
                continue;
            }
            seen.push(offset);
            findings.faults.at(
                self.file,
                self.place(offset),
                format!("not TOML: {}", error.message()),
            );
        }
    }
}

/// The string `[table] key` of a document with syntax faults, as far as the parser recovered.
pub(super) fn recovered_string(text: &str, table: &str, key: &str) -> Option<String> {
    let (root, _errors) = DeTable::parse_recoverable(text);
    let value = root.get_ref().get(table)?.get_ref().get(key)?;
    value.get_ref().as_str().map(str::to_owned)
}

/// A table whose keys are taken one after the other; `finish` reports the others.
#[derive(Debug)]
pub(super) struct Table<'d> {
    /// Dotted name for sentences, empty for the root.
    path: String,
    text: &'d Text<'d>,
    table: &'d DeTable<'d>,
    start: usize,
    known: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'d> Table<'d> {
    /// The value of an optional key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        #[cfg(test)]
        ASKED.with_borrow_mut(|asked| asked.insert(self.name_of(key)));
        self.known.push(key);
        self.find(key)
    }

    /// The value of a required key; its absence is a fault at the table.
    pub(super) fn require(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Value<'d>> {
        let value = self.take(key);
        if value.is_none() {
            self.fault(findings, format!("{} is missing", self.name_of(key)));
        }
        value
    }

    /// A key of the interface that this version does not have: setting it is a fault, since it would be obeyed by
    /// nobody.
    pub(super) fn refuse(&mut self, key: &'static str, findings: &mut Findings) {
        self.refused.push(key);
        if let Some(value) = self.find(key) {
            let name = value.name().to_owned();
            value.fault(
                findings,
                format!("{name} is not in this version; take it out"),
            );
        }
    }

    /// A key that changes no verdict and that this version does not use: its value is checked by `check`, and a warning
    /// says that it has no effect.
    pub(super) fn without_effect(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
        check: impl FnOnce(&Value<'d>, &mut Findings),
    ) {
        let Some(value) = self.take(key) else {
            return;
        };
        check(&value, findings);
        value.warn(
            findings,
            format!("{} has no effect in this version", value.name()),
        );
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self, findings: &mut Findings) {
        let mut keys: Vec<_> = self.table.keys().collect();
        keys.sort_by_key(|key| key.span().start);
        for key in keys {
            let name: &str = key.get_ref();
            if self.known.contains(&name) || self.refused.contains(&name) {
                continue;
            }
            let hint = did_you_mean(name, self.known.iter().copied()).map_or_else(
                || format!("known here: {}", self.known.join(", ")),
                |meant| format!("did you mean {}?", self.name_of(meant)),
            );
            findings.faults.at(
                self.text.file,
                self.text.place(key.span().start),
                format!("{} is not known; {hint}", self.name_of(name)),
            );
        }
    }

    /// A fault of the table as a whole.
    pub(super) fn fault(&self, findings: &mut Findings, sentence: impl Into<String>) {
        findings.faults.at(self.file(), self.place(), sentence);
    }

    /// Where the table begins.
    pub(super) fn place(&self) -> Place {
        self.text.place(self.start)
    }

    /// The file.
    pub(super) fn file(&self) -> &'d str {
        self.text.file
    }

    /// The keys in file order with the place of each, for tables whose keys are data (`codes`, `statuses`). All count
    /// as known.
    pub(super) fn entries(&self) -> Vec<(&'d str, Value<'d>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let name: &'d str = key.get_ref();
                (
                    key.span().start,
                    name,
                    Value {
                        path: self.name_of(name),
                        text: self.text,
                        value,
                    },
                )
            })
            .collect();
        entries.sort_by_key(|&(start, ..)| start);
        entries
            .into_iter()
            .map(|(_, name, value)| (name, value))
            .collect()
    }

    fn find(&self, key: &str) -> Option<Value<'d>> {
        let (_, value) = self
            .table
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)?;
        Some(Value {
            path: self.name_of(key),
            text: self.text,
            value,
        })
    }

    fn name_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            return key.to_owned();
        }
        format!("{}.{key}", self.path)
    }
}

/// A value with its dotted name and its place.
#[derive(Debug)]
pub(super) struct Value<'d> {
    path: String,
    text: &'d Text<'d>,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Value<'d> {
    /// The dotted name, for sentences.
    pub(super) fn name(&self) -> &str {
        &self.path
    }

    /// Where the value begins.
    pub(super) fn place(&self) -> Place {
        self.text.place(self.value.span().start)
    }

    /// A fault at this value.
    pub(super) fn fault(&self, findings: &mut Findings, sentence: impl Into<String>) {
        findings.faults.at(self.text.file, self.place(), sentence);
    }

    /// A fault at this value that begins with its name.
    pub(super) fn fault_named(&self, findings: &mut Findings, sentence: impl AsRef<str>) {
        self.fault(findings, format!("{}: {}", self.path, sentence.as_ref()));
    }

    /// A warning at this value.
    pub(super) fn warn(&self, findings: &mut Findings, sentence: impl Into<String>) {
        findings.warn(self.text.file, self.place(), sentence.into());
    }

    /// The string, or a fault.
    pub(super) fn string(&self, findings: &mut Findings) -> Option<&'d str> {
        let found = self.as_string();
        if found.is_none() {
            self.wrong_type(findings, "a string in quotes");
        }
        found
    }

    /// The string if it is one.
    pub(super) fn as_string(&self) -> Option<&'d str> {
        self.value.get_ref().as_str()
    }

    /// Whether it is an array.
    pub(super) fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// The boolean, or a fault.
    pub(super) fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        let found = self.value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(findings, "true or false");
        }
        found
    }

    /// The whole number if it lies in `range`, or a fault.
    pub(super) fn integer(
        &self,
        range: RangeInclusive<u64>,
        findings: &mut Findings,
    ) -> Option<u64> {
        let Some(written) = self.value.get_ref().as_integer() else {
            self.wrong_type(findings, "a whole number");
            return None;
        };
        let number = u64::from_str_radix(written.as_str(), written.radix())
            .ok()
            .filter(|number| range.contains(number));
        if number.is_none() {
            self.fault(
                findings,
                format!(
                    "{} = {written}, but must be {} to {}",
                    self.path,
                    range.start(),
                    range.end()
                ),
            );
        }
        number
    }

    /// An amount of money of at most `max` millionths, as millionths, or a fault.
    pub(super) fn micros(&self, max: u64, findings: &mut Findings) -> Option<u64> {
        let text = match self.value.get_ref() {
            DeValue::Integer(written) if written.radix() == 10 => written.as_str(),
            DeValue::Float(written) => written.as_str(),
            _ => {
                self.wrong_type(findings, "an amount like 12 or 0.5");
                return None;
            }
        };
        match parse::micros(text, max) {
            Ok(micros) => Some(micros),
            Err(sentence) => {
                self.fault_named(findings, sentence);
                None
            }
        }
    }

    /// The elements of an array, or a fault.
    pub(super) fn array(&self, findings: &mut Findings) -> Vec<Self> {
        let Some(array) = self.value.get_ref().as_array() else {
            self.wrong_type(findings, "an array in [ ]");
            return Vec::new();
        };
        array
            .iter()
            .map(|value| Value {
                path: self.path.clone(),
                text: self.text,
                value,
            })
            .collect()
    }

    /// The strings of an array with the place of each, or faults.
    pub(super) fn strings(&self, findings: &mut Findings) -> Vec<(&'d str, Self)> {
        self.array(findings)
            .into_iter()
            .filter_map(|element| Some((element.string(findings)?, element)))
            .collect()
    }

    /// The table, or a fault.
    pub(super) fn table(&self, findings: &mut Findings) -> Option<Table<'d>> {
        let Some(table) = self.value.get_ref().as_table() else {
            self.wrong_type(findings, "a table");
            return None;
        };
        Some(Table {
            path: self.path.clone(),
            text: self.text,
            table,
            start: self.value.span().start,
            known: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// The tables of `[[name]]`, or a fault.
    pub(super) fn tables(&self, findings: &mut Findings) -> Vec<Table<'d>> {
        if self.value.get_ref().is_table() {
            self.fault(
                findings,
                format!(
                    "[{0}] is written [[{0}]], since there may be several",
                    self.path
                ),
            );
            return Vec::new();
        }
        self.array(findings)
            .into_iter()
            .filter_map(|element| element.table(findings))
            .collect()
    }

    /// The meaning of a word out of a few, or a fault that names them.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], findings: &mut Findings) -> Option<T> {
        let given = self.string(findings)?;
        let found = words.iter().find(|(word, _)| *word == given);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            self.fault(
                findings,
                format!(
                    "{} is \"{given}\", but must be {}",
                    self.path,
                    one_of(&known)
                ),
            );
        }
        found.map(|&(_, meaning)| meaning)
    }

    fn wrong_type(&self, findings: &mut Findings, wanted: &str) {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.fault(
            findings,
            format!("{} must be {wanted}, not {found}", self.path),
        );
    }
}
