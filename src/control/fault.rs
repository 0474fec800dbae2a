//! What is wrong in a configuration, as sentences with their places, all of them at once.
//!
//! Promises: faults come out sorted by file (in the order of reading), line and column; past a bound per file only
//! their number is kept, so that a broken million-line table neither fills memory nor the screen.

use crate::limits::FAULTS_PER_FILE_MAX;
use std::fmt;

/// Line and column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column in characters.
    pub column: u64,
}

/// One fault: where, and a sentence an operator can act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file as the operator would open it.
    pub file: String,
    /// The place in it; `None` when the file itself is at fault (missing, unreadable).
    pub place: Option<Place>,
    /// What is wrong and what would be right.
    pub sentence: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { line, column }) => {
                write!(f, "{}:{line}:{column}: {}", self.file, self.sentence)
            }
            None => write!(f, "{}: {}", self.file, self.sentence),
        }
    }
}

/// All faults of a configuration and its bundle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    files: Vec<FileFaults>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileFaults {
    name: String,
    shown: Vec<Fault>,
    uncounted: usize,
}

impl Faults {
    /// No fault yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault, or only counts it when its file has `FAULTS_PER_FILE_MAX` already.
    pub fn push(&mut self, fault: Fault) {
        let index = self
            .files
            .iter()
            .position(|file| file.name == fault.file)
            .unwrap_or_else(|| {
                self.files.push(FileFaults {
                    name: fault.file.clone(),
                    shown: Vec::new(),
                    uncounted: 0,
                });
                self.files.len() - 1
            });
        let Some(file) = self.files.get_mut(index) else {
            return;
        };
        if file.shown.len() >= FAULTS_PER_FILE_MAX {
            file.uncounted += 1;
            return;
        }
        file.shown.push(fault);
    }

    /// Adds a fault with a place.
    pub fn at(&mut self, file: &str, place: Place, sentence: impl Into<String>) {
        self.push(Fault {
            file: file.to_owned(),
            place: Some(place),
            sentence: sentence.into(),
        });
    }

    /// Adds a fault of a whole file.
    pub fn whole_file(&mut self, file: &str, sentence: impl Into<String>) {
        self.push(Fault {
            file: file.to_owned(),
            place: None,
            sentence: sentence.into(),
        });
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How many there are, the merely counted ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.files
            .iter()
            .map(|file| file.shown.len() + file.uncounted)
            .sum()
    }

    /// Sorts each file's faults by place.
    pub(super) fn sort(&mut self) {
        for file in &mut self.files {
            file.shown.sort_by_key(|fault| fault.place);
        }
    }
}

/// One fault a line, without a line end after the last.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for file in &self.files {
            for fault in &file.shown {
                if !first {
                    writeln!(f)?;
                }
                first = false;
                write!(f, "{fault}")?;
            }
            if file.uncounted > 0 {
                write!(f, "\n{}: {} more faults", file.name, file.uncounted)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// What reading gathers: faults, which refuse the configuration, and warnings, which do not.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What is wrong.
    pub(super) faults: Faults,
    /// What is right but will surprise.
    pub(super) warnings: Vec<String>,
    warnings_counted: usize,
}

impl Findings {
    /// Adds a warning about a place, or only counts it past `FAULTS_PER_FILE_MAX`.
    pub(super) fn warn(&mut self, file: &str, place: Place, sentence: impl fmt::Display) {
        if self.warnings.len() >= FAULTS_PER_FILE_MAX {
            self.warnings_counted += 1;
            return;
        }
        self.warnings.push(format!(
            "{file}:{}:{}: {sentence}",
            place.line, place.column
        ));
    }

    /// The warnings, with one more for those that were only counted.
    pub(super) fn into_warnings(mut self) -> Vec<String> {
        if self.warnings_counted > 0 {
            self.warnings
                .push(format!("{} more warnings", self.warnings_counted));
        }
        self.warnings
    }
}

/// Edits that a slip of the hand makes.
const EDITS_MAX: usize = 2;

/// The word of `known` that `given` most likely meant: at most [`EDITS_MAX`] edits away, and closer than its own length.
pub(super) fn did_you_mean<'k>(
    given: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let given = lower_case(given);
    known
        .into_iter()
        .filter_map(|word| Some((edits(&given, &lower_case(word))?, word)))
        .filter(|&(distance, word)| distance < word.chars().count())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

fn lower_case(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Levenshtein distance of at most [`EDITS_MAX`]. Texts whose lengths are further apart are not gone through: a long value is held
/// against hundreds of time zones.
fn edits(left: &[char], right: &[char]) -> Option<usize> {
    if left.len().abs_diff(right.len()) > EDITS_MAX {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, &from) in left.iter().enumerate() {
        let mut diagonal = index;
        let mut beside = index + 1;
        let mut next = vec![beside];
        for (&to, &above) in right.iter().zip(row.iter().skip(1)) {
            beside = (diagonal + usize::from(from != to))
                .min(above + 1)
                .min(beside + 1);
            diagonal = above;
            next.push(beside);
        }
        row = next;
    }
    row.last()
        .copied()
        .filter(|&distance| distance <= EDITS_MAX)
}

/// `"a", "b" or "c"`.
pub(super) fn one_of<S: AsRef<str>>(words: &[S]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push_str(if index + 1 == words.len() {
                " or "
            } else {
                ", "
            });
        }
        text.push('"');
        text.push_str(word.as_ref());
        text.push('"');
    }
    text
}

/// `1 fault`, `2 faults`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        return format!("1 {noun}");
    }
    if let Some(stem) = noun.strip_suffix('y') {
        return format!("{count} {stem}ies");
    }
    let ending = if noun.ends_with('x') { "es" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_file_line_column_sentence() {
        let mut faults = Faults::new();
        faults.at(
            "bundle/lists/irsf.csv",
            Place {
                line: 118,
                column: 5,
            },
            "prefix \"+39O6\" has the letter O; digits only",
        );
        faults.whole_file("bundle/rates.csv", "is not read by this version");
        assert_eq!(
            faults.to_string(),
            "bundle/lists/irsf.csv:118:5: prefix \"+39O6\" has the letter O; digits only\n\
             bundle/rates.csv: is not read by this version"
        );
    }

    #[test]
    fn past_a_thousand_faults_in_a_file_the_rest_is_counted() {
        let mut faults = Faults::new();
        for line in 1..=1234 {
            faults.at("a.csv", Place { line, column: 1 }, "no");
            faults.at("b.csv", Place { line, column: 1 }, "no");
        }
        let text = faults.to_string();
        assert_eq!(faults.count(), 2468);
        assert_eq!(text.lines().count(), 2002);
        assert!(text.contains("a.csv:1000:1: no\na.csv: 234 more faults\nb.csv:1:1"));
        assert!(text.ends_with("b.csv: 234 more faults"));
    }

    #[test]
    fn past_a_thousand_warnings_the_rest_is_counted() {
        let mut findings = Findings::default();
        for line in 1..=1002 {
            findings.warn("a.csv", Place { line, column: 1 }, "hm");
        }
        let warnings = findings.into_warnings();
        assert_eq!(warnings.len(), 1001);
        assert_eq!(warnings[999], "a.csv:1000:1: hm");
        assert_eq!(warnings[1000], "2 more warnings");
    }

    #[test]
    fn a_near_miss_is_named_and_a_far_one_is_not() {
        let known = ["shards", "cores", "state_dir"];
        for (given, meant) in [
            ("shard", Some("shards")),
            ("Shards", Some("shards")),
            ("state_dri", Some("state_dir")),
            ("threads", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(given, known), meant, "{given}");
        }
    }
}
