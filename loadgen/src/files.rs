//! Input files: read whole up to a bound, with faults by line.
//!
//! Promises: nothing longer than its bound is kept; faults name the file as the operator wrote it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::limits::FAULTS_SHOWN;

/// The octets of a file.
///
/// # Errors
/// A sentence for the operator.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let mut octets = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut octets)
        .map_err(|error| format!("{name}: {error}"))?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(format!("{name}: longer than {bytes_max} octets"));
    }
    Ok(octets)
}

/// The text of a file.
///
/// # Errors
/// A sentence for the operator.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let octets = read(path, bytes_max)?;
    String::from_utf8(octets).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("{}: octet {at} is not UTF-8", path.display())
    })
}

/// What is wrong with a file, by line.
#[derive(Debug)]
pub struct LineFaults<'n> {
    name: &'n str,
    lines: Vec<String>,
    more: usize,
}

impl<'n> LineFaults<'n> {
    /// None yet.
    #[must_use]
    pub fn new(name: &'n str) -> Self {
        Self {
            name,
            lines: Vec::new(),
            more: 0,
        }
    }

    /// A fault in a packet of a capture.
    pub fn packet(&mut self, number: u64, sentence: impl AsRef<str>) {
        self.push(&format!(": packet {number}: {}", sentence.as_ref()));
    }

    /// A fault in a line; past a bound they are counted.
    pub fn at(&mut self, line: u64, sentence: impl AsRef<str>) {
        self.push(&format!(":{line}: {}", sentence.as_ref()));
    }

    fn push(&mut self, place_and_sentence: &str) {
        if self.lines.len() >= FAULTS_SHOWN {
            self.more += 1;
            return;
        }
        self.lines
            .push(format!("{}{place_and_sentence}", self.name));
    }

    /// All faults so far, if there are any.
    ///
    /// # Errors
    /// The faults, a line each.
    pub fn check(&self) -> Result<(), String> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut text = self.lines.join("\n");
        if self.more > 0 {
            text = format!("{text}\n{}: {} more faults", self.name, self.more);
        }
        Err(text)
    }

    /// All faults as remarks, where what is faulty is left out instead.
    #[must_use]
    pub fn into_remarks(self) -> Vec<String> {
        let mut remarks: Vec<String> = self
            .lines
            .into_iter()
            .map(|line| format!("left out: {line}"))
            .collect();
        if self.more > 0 {
            remarks.push(format!("left out: {} more", self.more));
        }
        remarks
    }

    /// All faults, if there are any.
    ///
    /// # Errors
    /// The faults, a line each.
    pub fn into_result(self) -> Result<(), String> {
        self.check()
    }
}

/// The beginning of a text of a file, escaped, for a sentence about it.
#[must_use]
pub fn shown(octets: &[u8]) -> String {
    const OCTETS_SHOWN: usize = 80;
    let begin = octets.get(..OCTETS_SHOWN).unwrap_or(octets);
    let more = if begin.len() < octets.len() {
        "…"
    } else {
        ""
    };
    format!("{}{more}", begin.escape_ascii())
}
