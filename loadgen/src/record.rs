//! The generator's own record of its calls (`--calls FILE`): one line for each call when it is over.
//!
//! Promises: every call that was sent has one line, whatever became of it; writing never makes an engine wait, and lines
//! that the disk was too slow for are counted, which makes the run invalid, since a record with holes proves nothing.
//! Lines of different engines mix; within an engine they stand in the order in which the calls ended.
//! Leaves to `engine`: when a call is over; to `verdict`: what its answer means.
//!
//! Columns, as CSV with a header line (RFC 4180), or as the keys of JSON lines if the file's name ends in `.jsonl` or
//! `.json`:
//!
//! | column | what |
//! |---|---|
//! | `call_id` | the Call-ID of the INVITE |
//! | `dialled` | the dialled user part as sent |
//! | `verdict` | `approve`, `reject`, `divert`, `error` (none of these), `either` (a profile that tells nothing apart), `lost` (no final answer at Timer B), `abandoned` (open when the run was ended), `silent` (none was to come; one that came all the same is among the wrong verdicts) |
//! | `code` | the code before the number in the Contact, as `A00`; empty (JSON: null) if there is none |
//! | `status` | status of the first final answer; empty (JSON: null) if none came |
//! | `expected` | the verdict that the mix expects |
//! | `intended_us` | when the call was due, in microseconds since the start of the run |
//! | `latency_us` | from then to its answer, in microseconds; for a lost call, to Timer B |

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::clock::Nanos;
use crate::limits::{RECORD_BLOCK_BYTES, RECORD_BLOCKS_MAX, RECORD_LINE_BYTES_MAX};

const HEADER: &str = "call_id,dialled,verdict,code,status,expected,intended_us,latency_us\n";

/// One call that is over.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// The dialled user part.
    pub dialled: &'a [u8],
    /// What became of it: one of the words above.
    pub verdict: &'static str,
    /// The code of its Contact.
    pub code: Option<&'a [u8]>,
    /// The status of its first final answer.
    pub status: Option<u16>,
    /// The verdict that the mix expects.
    pub expected: &'static str,
    /// When it was due, since the start of the run.
    pub intended: Nanos,
    /// From then to its end.
    pub latency: Nanos,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

/// The file and the thread that writes it.
#[derive(Debug)]
pub struct Record {
    form: Form,
    path: PathBuf,
    out: SyncSender<Vec<u8>>,
    writer: JoinHandle<Result<(), String>>,
}

/// One engine's end of the record.
#[derive(Debug)]
pub struct Recorder {
    form: Form,
    block: Vec<u8>,
    out: SyncSender<Vec<u8>>,
    /// Lines in `block`.
    lines: u64,
    /// Lines that nobody could take.
    dropped: u64,
}

impl Record {
    /// Opens the file, before the run, so that a misspelt folder costs nothing.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn create(path: &Path) -> Result<Self, String> {
        let fault = |error: &std::io::Error| format!("{}: {error}", path.display());
        let ending = path.extension().and_then(|ending| ending.to_str());
        let form = match ending {
            Some("jsonl" | "json") => Form::JsonLines,
            _ => Form::Csv,
        };
        let mut file = File::create(path).map_err(|error| fault(&error))?;
        if form == Form::Csv {
            file.write_all(HEADER.as_bytes())
                .map_err(|error| fault(&error))?;
        }
        let (out, blocks) = sync_channel(RECORD_BLOCKS_MAX);
        let name = path.to_owned();
        let writer = thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || write(file, &name, &blocks))
            .map_err(|error| format!("thread: {error}"))?;
        Ok(Self {
            form,
            path: path.to_owned(),
            out,
            writer,
        })
    }

    /// An engine's end.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder {
            form: self.form,
            block: Vec::with_capacity(RECORD_BLOCK_BYTES),
            out: self.out.clone(),
            lines: 0,
            dropped: 0,
        }
    }

    /// Waits until everything is on its way to the disk; all engines have ended before.
    ///
    /// # Errors
    /// A sentence for the operator, if the record has a hole.
    pub fn finish(self) -> Result<(), String> {
        drop(self.out);
        let unknown = || format!("{}: its writer panicked", self.path.display());
        self.writer.join().map_err(|_| unknown())?
    }
}

/// Writes blocks until all senders are gone; after a fault it goes on taking them, so that no engine fills up.
fn write(mut file: File, path: &Path, blocks: &Receiver<Vec<u8>>) -> Result<(), String> {
    let mut result = Ok(());
    for block in blocks {
        if result.is_ok() {
            result = file
                .write_all(&block)
                .map_err(|error| format!("{}: {error}", path.display()));
        }
    }
    result
}

impl Recorder {
    /// Takes a line; it is handed on when a block is full.
    pub fn line(&mut self, line: &Line<'_>) {
        if self.block.len() + RECORD_LINE_BYTES_MAX > RECORD_BLOCK_BYTES {
            self.hand_on();
        }
        match self.form {
            Form::Csv => csv(&mut self.block, line),
            Form::JsonLines => json_line(&mut self.block, line),
        }
        self.lines += 1;
    }

    /// Hands the last lines on; returns how many lines of all were dropped.
    #[must_use]
    pub fn finish(mut self) -> u64 {
        self.hand_on();
        self.dropped
    }

    fn hand_on(&mut self) {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(RECORD_BLOCK_BYTES));
        match self.out.try_send(block) {
            Ok(()) => {}
            Err(TrySendError::Full(mut block) | TrySendError::Disconnected(mut block)) => {
                self.dropped += self.lines;
                block.clear();
                self.block = block;
            }
        }
        self.lines = 0;
    }
}

fn csv(out: &mut Vec<u8>, line: &Line<'_>) {
    field(out, line.call_id.as_bytes());
    out.push(b',');
    field(out, line.dialled);
    out.push(b',');
    out.extend_from_slice(line.verdict.as_bytes());
    out.push(b',');
    field(out, line.code.unwrap_or_default());
    out.push(b',');
    if let Some(status) = line.status {
        put(out, format_args!("{status}"));
    }
    let (intended, latency) = (line.intended / 1000, line.latency / 1000);
    put(
        out,
        format_args!(",{},{intended},{latency}\n", line.expected),
    );
}

/// RFC 4180 §2.6: a field with a comma, a quote or a line break stands in quotes, and its quotes are doubled.
fn field(out: &mut Vec<u8>, octets: &[u8]) {
    let plain = !octets
        .iter()
        .any(|octet| matches!(octet, b',' | b'"' | b'\r' | b'\n'));
    if plain {
        out.extend_from_slice(octets);
        return;
    }
    out.push(b'"');
    for &octet in octets {
        if octet == b'"' {
            out.push(octet);
        }
        out.push(octet);
    }
    out.push(b'"');
}

fn json_line(out: &mut Vec<u8>, line: &Line<'_>) {
    let text = |octets: &[u8]| Value::from(String::from_utf8_lossy(octets));
    let object = json!({
        "call_id": line.call_id,
        "dialled": text(line.dialled),
        "verdict": line.verdict,
        "code": line.code.map(text),
        "status": line.status,
        "expected": line.expected,
        "intended_us": line.intended / 1000,
        "latency_us": line.latency / 1000,
    });
    put(out, format_args!("{object}\n"));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line<'_> = Line {
        call_id: "0f@127.0.0.1:5070",
        dialled: b"+44,20",
        verdict: "approve",
        code: Some(b"A00"),
        status: Some(302),
        expected: "approve",
        intended: 1_234_567,
        latency: 89_999,
    };

    const LOST: Line<'_> = Line {
        dialled: b"8816",
        verdict: "lost",
        code: None,
        status: None,
        expected: "reject",
        ..LINE
    };

    /// What a record of these lines says; `name` is the test's own, since tests run at once.
    fn written(name: &str, lines: &[Line<'_>]) -> String {
        let name = format!("tollgate-loadgen-record-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let record = Record::create(&path).unwrap();
        let mut recorder = record.recorder();
        for line in lines {
            recorder.line(line);
        }
        assert_eq!(recorder.finish(), 0);
        record.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        text
    }

    #[test]
    fn a_line_of_csv_has_the_columns_of_its_header() {
        assert_eq!(
            written("columns.csv", &[LINE, LOST]),
            format!(
                "{HEADER}0f@127.0.0.1:5070,\"+44,20\",approve,A00,302,approve,1234,89\n\
                 0f@127.0.0.1:5070,8816,lost,,,reject,1234,89\n"
            )
        );
    }

    #[test]
    fn the_ending_of_the_name_makes_json_lines() {
        let text = written("lines.jsonl", &[LINE, LOST]);
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["dialled"], "+44,20");
        assert_eq!(lines[0]["code"], "A00");
        assert_eq!(lines[0]["status"], 302);
        assert_eq!(lines[1]["verdict"], "lost");
        assert_eq!(lines[1]["code"], Value::Null);
        let columns: Vec<&str> = HEADER.trim_end().split(',').collect();
        for line in &lines {
            let object = line.as_object().unwrap();
            assert_eq!(object.len(), columns.len());
            assert!(columns.iter().all(|name| object.contains_key(*name)));
        }
    }

    #[test]
    fn many_blocks_keep_every_line() {
        let many = RECORD_BLOCK_BYTES / 64 * 4;
        assert_eq!(
            written("many.csv", &vec![LOST; many]).lines().count(),
            many + 1
        );
    }

    #[test]
    fn lines_that_nobody_takes_are_counted_and_the_engine_does_not_wait() {
        let (out, nobody) = sync_channel(1);
        let mut recorder = Recorder {
            form: Form::Csv,
            block: Vec::with_capacity(RECORD_BLOCK_BYTES),
            out,
            lines: 0,
            dropped: 0,
        };
        let lines = RECORD_BLOCK_BYTES / 20;
        for _ in 0..lines {
            recorder.line(&LOST);
        }
        let dropped = recorder.finish();
        let kept = nobody.try_recv().unwrap();
        let kept = kept.iter().filter(|&&octet| octet == b'\n').count();
        assert_eq!(u64::try_from(lines - kept).unwrap(), dropped);
        assert!(dropped > 0);
    }

    #[test]
    fn a_fault_of_the_disk_is_said_at_the_end() {
        let record = Record::create(Path::new("/dev/full"));
        // The header itself may be what does not fit.
        let fault = match record {
            Err(fault) => fault,
            Ok(record) => {
                let mut recorder = record.recorder();
                recorder.line(&LINE);
                assert_eq!(recorder.finish(), 0);
                record.finish().unwrap_err()
            }
        };
        assert!(fault.starts_with("/dev/full: "), "{fault}");
    }
}
