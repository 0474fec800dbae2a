//! A CSV table (RFC 4180) with a header line, streamed, with the place of every field.
//!
//! Promises: memory does not grow with the table; each field's place is exact, quoted or not; the digest is that of
//! the file's octets as they were read for the rows.

use super::fault::{Findings, Place, did_you_mean, plural};
use super::source::unreadable;
use csv::{ByteRecord, ReaderBuilder};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// SHA-256 of a file.
pub(super) type FileDigest = [u8; 32];

/// Octets kept behind the current record before they are dropped.
const KEPT_BYTES: u64 = 64 * 1024;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its name in the header line.
    pub(super) name: &'static str,
    /// Whether the header must name it.
    pub(super) required: bool,
}

impl Column {
    /// A column that the header must name.
    pub(super) const fn required(name: &'static str) -> Self {
        Self {
            name,
            required: true,
        }
    }

    /// A column that the header may leave out; all its fields are then empty.
    pub(super) const fn optional(name: &'static str) -> Self {
        Self {
            name,
            required: false,
        }
    }
}

/// One row. Columns are named by their index in the list given to `read`.
#[derive(Debug)]
pub(super) struct Row<'r> {
    file: &'r str,
    record: &'r ByteRecord,
    /// Column → index of the field in the record.
    fields: &'r [Option<usize>],
    /// The record's octets as they stand in the file.
    raw: &'r [u8],
    line: u64,
}

impl<'r> Row<'r> {
    /// The field without blanks around it; empty when the header does not name the column. Rows that are not UTF-8
    /// never get here.
    pub(super) fn text(&self, column: usize) -> &'r str {
        self.field_index(column)
            .and_then(|index| self.record.get(index))
            .and_then(|field| std::str::from_utf8(field).ok())
            .unwrap_or("")
            .trim()
    }

    /// The line in the file.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// A fault at a field.
    pub(super) fn fault(
        &self,
        column: usize,
        findings: &mut Findings,
        sentence: impl Into<String>,
    ) {
        findings.faults.at(self.file, self.place(column), sentence);
    }

    /// A warning at a field.
    pub(super) fn warn(&self, column: usize, findings: &mut Findings, sentence: impl Into<String>) {
        findings.warn(self.file, self.place(column), sentence.into());
    }

    /// The value, or a fault at the field.
    pub(super) fn check<T>(
        &self,
        column: usize,
        value: Result<T, String>,
        findings: &mut Findings,
    ) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(sentence) => {
                self.fault(column, findings, sentence);
                None
            }
        }
    }

    /// Where a column's field begins; the row's begin when the header does not name the column.
    fn place(&self, column: usize) -> Place {
        place_of_field(self.raw, self.line, self.field_index(column).unwrap_or(0))
    }

    fn field_index(&self, column: usize) -> Option<usize> {
        self.fields.get(column).copied().flatten()
    }
}

/// Reads a table and hands every well-formed row to `read_row`. `None` when the file could not be read to its end.
pub(super) fn read(
    file: &str,
    source: Box<dyn Read>,
    columns: &[Column],
    findings: &mut Findings,
    mut read_row: impl FnMut(&Row<'_>, &mut Findings),
) -> Option<FileDigest> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(Kept::new(source));
    let mut record = ByteRecord::new();
    let mut header: Option<Header> = None;
    loop {
        let start = reader.position().clone();
        reader.get_mut().forget_before(start.byte());
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let sentence = match error.into_kind() {
                    csv::ErrorKind::Io(error) => unreadable(&error),
                    other => format!("cannot be read: {other:?}"),
                };
                findings.faults.whole_file(file, sentence);
                return None;
            }
        }
        let end = reader.position().byte();
        let (raw, line) =
            without_empty_lines(reader.get_ref().between(start.byte(), end), start.line());
        let Some(known) = &header else {
            header = Some(Header::read(file, &record, raw, line, columns, findings));
            continue;
        };
        if known.usable && well_formed(file, &record, known.count, raw, line, findings) {
            let row = Row {
                file,
                record: &record,
                fields: &known.fields,
                raw,
                line,
            };
            read_row(&row, findings);
        }
    }
    if header.is_none() {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        findings.faults.at(
            file,
            Place { line: 1, column: 1 },
            format!(
                "is empty; its first line names the columns: {}",
                names.join(",")
            ),
        );
    }
    Some(reader.into_inner().digest.finalize().into())
}

/// The header line.
#[derive(Debug)]
struct Header {
    fields: Vec<Option<usize>>,
    count: usize,
    /// False after a fault in it: every row would only repeat that.
    usable: bool,
}

impl Header {
    fn read(
        file: &str,
        record: &ByteRecord,
        raw: &[u8],
        line: u64,
        columns: &[Column],
        findings: &mut Findings,
    ) -> Self {
        let mut fields = vec![None; columns.len()];
        let mut usable = true;
        let known: Vec<&str> = columns.iter().map(|column| column.name).collect();
        for (index, name) in record.iter().enumerate() {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            let sentence = match known.iter().position(|known| *known == name) {
                Some(column) => match fields.get_mut(column) {
                    Some(place @ None) => {
                        *place = Some(index);
                        continue;
                    }
                    _ => format!("column \"{name}\" stands twice"),
                },
                None => {
                    let hint = did_you_mean(&name, known.iter().copied()).map_or_else(
                        || format!("known here: {}", known.join(",")),
                        |meant| format!("did you mean \"{meant}\"?"),
                    );
                    format!("column \"{}\" is not known; {hint}", name.escape_debug())
                }
            };
            usable = false;
            findings
                .faults
                .at(file, place_of_field(raw, line, index), sentence);
        }
        for (column, field) in columns.iter().zip(&fields) {
            if column.required && field.is_none() {
                usable = false;
                findings.faults.at(
                    file,
                    Place { line, column: 1 },
                    format!("column \"{}\" is missing in the first line", column.name),
                );
            }
        }
        Self {
            fields,
            count: record.len(),
            usable,
        }
    }
}

fn well_formed(
    file: &str,
    record: &ByteRecord,
    count: usize,
    raw: &[u8],
    line: u64,
    findings: &mut Findings,
) -> bool {
    if record.len() != count {
        findings.faults.at(
            file,
            Place { line, column: 1 },
            format!(
                "has {}, but the first line names {count}",
                plural(record.len(), "field")
            ),
        );
        return false;
    }
    let broken = record
        .iter()
        .position(|field| std::str::from_utf8(field).is_err());
    if let Some(index) = broken {
        findings
            .faults
            .at(file, place_of_field(raw, line, index), "is not UTF-8");
    }
    broken.is_none()
}

/// The record without the line ends before it (the reader skips empty lines), and the line it really begins on.
fn without_empty_lines(raw: &[u8], line: u64) -> (&[u8], u64) {
    let skipped = raw
        .iter()
        .take_while(|&&octet| matches!(octet, b'\r' | b'\n'))
        .count();
    let (before, record) = raw.split_at(skipped);
    let lines = before.iter().filter(|&&octet| octet == b'\n').count();
    (record, line + lines as u64)
}

/// The place of a field in a record's octets, blanks before it left out; counts characters, and lines inside quotes.
fn place_of_field(raw: &[u8], line: u64, index: usize) -> Place {
    let mut place = Place { line, column: 1 };
    let mut quoted = false;
    let mut at_start = true;
    let mut fields_before = 0;
    let text = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    for &octet in text {
        if fields_before == index && !(at_start && octet == b' ') {
            break;
        }
        match octet {
            b'"' if at_start || quoted => quoted = !quoted,
            // A doubled quote inside a quoted field closes and opens again.
            b'"' => quoted = true,
            b',' if !quoted => fields_before += 1,
            _ => {}
        }
        at_start = octet == b',' && !quoted || at_start && octet == b' ';
        if octet == b'\n' {
            place.line += 1;
            place.column = 1;
        } else if octet & 0xc0 != 0x80 {
            place.column += 1;
        }
    }
    place
}

/// A reader that hashes what it reads and keeps the octets of the current record, for places.
#[derive(Debug)]
struct Kept<R> {
    inner: R,
    digest: Sha256,
    bytes: Vec<u8>,
    /// Offset in the file of the first kept octet.
    from: u64,
}

impl<R> Kept<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
            bytes: Vec::new(),
            from: 0,
        }
    }

    /// Lets go of what lies before an offset, once it is worth the move.
    fn forget_before(&mut self, offset: u64) {
        let behind = offset.saturating_sub(self.from);
        if behind < KEPT_BYTES {
            return;
        }
        let count = usize::try_from(behind)
            .unwrap_or(usize::MAX)
            .min(self.bytes.len());
        self.bytes.drain(..count);
        self.from += count as u64;
    }

    fn between(&self, start: u64, end: u64) -> &[u8] {
        let index = |offset: u64| usize::try_from(offset.saturating_sub(self.from)).ok();
        index(start)
            .zip(index(end))
            .and_then(|(start, end)| self.bytes.get(start..end))
            .unwrap_or(b"")
    }
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let fresh = buffer.get(..count).unwrap_or(b"");
        self.digest.update(fresh);
        self.bytes.extend_from_slice(fresh);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::required("a"),
        Column::required("b"),
        Column::optional("c"),
    ];

    /// Reads a table in which every field `b` that is `bad` earns a fault; the rows' `a b c` and the faults.
    fn read_all(text: &str) -> (Vec<String>, Vec<String>) {
        let mut findings = Findings::default();
        let mut rows = Vec::new();
        let source: Box<dyn Read> = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        let digest = read("t.csv", source, &COLUMNS, &mut findings, |row, findings| {
            if row.text(1) == "bad" {
                row.fault(1, findings, "bad");
            }
            rows.push(format!("{}|{}|{}", row.text(0), row.text(1), row.text(2)));
        });
        assert_eq!(digest, Some(Sha256::digest(text).into()));
        let faults = findings.faults.to_string();
        (rows, faults.lines().map(str::to_owned).collect())
    }

    #[test]
    fn places_are_exact_with_quotes_blank_lines_and_line_ends() {
        for (text, place) in [
            ("a,b\n1,bad\n", "2:3"),
            ("a,b\r\n1,bad\r\n", "2:3"),
            ("a,b\n\n\n1,bad\n", "4:3"),
            ("a,b\r\n\r\n1,bad\r\n", "3:3"),
            ("a,b\n\"x,y\",bad\n", "2:7"),
            ("a,b\n\"x\"\"y\",bad\n", "2:8"),
            ("a,b\n\"x\ny\",bad\n", "3:4"),
            ("a,b\n\"x\ny\",z\n1,bad", "4:3"),
            ("a,b\né, bad\n", "2:4"),
            ("a,b\n1,\"bad\"\n", "2:3"),
            ("\u{feff}a,b\n1,bad\n", "2:3"),
        ] {
            let (_, faults) = read_all(text);
            assert_eq!(faults, [format!("t.csv:{place}: bad")], "{text:?}");
        }
    }

    #[test]
    fn columns_are_found_by_name_and_an_absent_one_is_empty() {
        let (rows, faults) = read_all("b,a\n 2 ,1\n\"x\"\"y\",3\n");
        assert_eq!(faults, [""; 0]);
        assert_eq!(rows, ["1|2|", "3|x\"y|"]);
    }

    #[test]
    fn a_wrong_header_is_one_fault_and_not_one_per_row() {
        for (text, wanted) in [
            (
                "",
                "t.csv:1:1: is empty; its first line names the columns: a,b,c",
            ),
            (
                "a,c\n1,2\n3,4\n",
                "t.csv:1:1: column \"b\" is missing in the first line",
            ),
            (
                "a,b,description\n1,2,3\n",
                "t.csv:1:5: column \"description\" is not known; known here: a,b,c",
            ),
            ("a,b,b\n1,2,3\n", "t.csv:1:5: column \"b\" stands twice"),
        ] {
            let (rows, faults) = read_all(text);
            assert_eq!(faults, [wanted], "{text:?}");
            assert_eq!(rows, [""; 0]);
        }
    }

    #[test]
    fn a_row_of_another_length_is_a_fault_and_the_next_is_read() {
        let (rows, faults) = read_all("a,b\n1\n1,2,3\n4,5\n");
        assert_eq!(rows, ["4|5|"]);
        assert_eq!(
            faults,
            [
                "t.csv:2:1: has 1 field, but the first line names 2",
                "t.csv:3:1: has 3 fields, but the first line names 2",
            ]
        );
    }

    #[test]
    fn a_large_table_keeps_its_places_and_little_memory() {
        let mut text = "a,b\n".to_owned();
        for _ in 0..100_000 {
            text.push_str("1,good\n");
        }
        text.push_str("1,bad\n");
        let (rows, faults) = read_all(&text);
        assert_eq!(rows.len(), 100_001);
        assert_eq!(faults, ["t.csv:100002:3: bad"]);
    }
}
