//! Calls as lines of CSV (RFC 4180): what `mix make` prints, and what `--mix FILE.csv` and `replay` read.
//!
//! Promises: what was written is read back as the same call; columns stand in any order, by the names in the header line, and
//! all but `dialled` and `expected` may be missing; an unknown column is a fault, since nobody would obey it. All faults at once, each with `file:line`
//! and what was expected; past a bound, a count. A file with a fault gives no calls.
//!
//! | column | what | if missing |
//! |---|---|---|
//! | `at` | seconds from the start, up to nine decimals; never earlier than the line before | 0 |
//! | `part` | for readers only | |
//! | `dialled` | the user part of Request-URI and To | needed |
//! | `caller`, `subscriber` | user part of the From, first field of `P-tfps`; account | `1000`, none |
//! | `domain`, `from_host` | domain field of `P-tfps`; host of the From | `pbx.example.com`, the socket's |
//! | `family` | `P-tfps`, `X-tfps`, `P-Received` or `none` | `P-tfps` |
//! | `address`, `agent` | of the telephone | `10.0.0.1`, that of a telephone |
//! | `reported_calls` | calls that are up | not said |
//! | `fault`, `copies` | a fault on purpose; copies sent at once | none |
//! | `expected`, `code` | `approve`, `reject`, `approve or reject`, `error` or `silence`; the code | needed, any |

use std::io::Write;
use std::path::Path;

use crate::call::{Call, Datagram, caller_of, host_of, is_agent, user_of};
use crate::clock::Nanos;
use crate::fault::FAULTS;
use crate::limits::{
    AGENT_BYTES_MAX, CALLER_BYTES_MAX, CALLS_FILE_BYTES_MAX, COPIES_MAX, FAULTS_SHOWN,
    USER_BYTES_MAX,
};
use crate::mix::numbers::FIXED_AGENT;
use crate::mix::read::{EXPECTED, family_name, family_of};
use crate::source::ListedCall;
use crate::text::Text;

/// The columns, as they are written.
pub const COLUMNS: [&str; 15] = [
    "at",
    "part",
    "dialled",
    "caller",
    "subscriber",
    "domain",
    "from_host",
    "family",
    "address",
    "agent",
    "reported_calls",
    "fault",
    "copies",
    "expected",
    "code",
];

/// Writes calls.
#[derive(Debug)]
pub struct Writer<W: Write>(csv::Writer<W>);

impl<W: Write> Writer<W> {
    /// Writes the header line.
    ///
    /// # Errors
    /// What the output says.
    pub fn new(out: W) -> Result<Self, String> {
        let mut writer = csv::Writer::from_writer(out);
        writer
            .write_record(COLUMNS)
            .map_err(|error| error.to_string())?;
        Ok(Self(writer))
    }

    /// Writes a call.
    ///
    /// # Errors
    /// What the output says.
    pub fn write(&mut self, at: Nanos, part: &str, call: &Call) -> Result<(), String> {
        let at = format!("{}.{:09}", at / 1_000_000_000, at % 1_000_000_000);
        let copies = call.copies.to_string();
        let fault = match call.datagram {
            Datagram::Invite => "",
            Datagram::Faulty(fault) => fault.name(),
        };
        let fields: [&[u8]; 15] = [
            at.as_bytes(),
            part.as_bytes(),
            call.user.as_bytes(),
            call.caller.as_bytes(),
            call.subscriber.as_bytes(),
            call.domain.as_bytes(),
            call.from_host.as_bytes(),
            family_name(call.family).as_bytes(),
            call.address.as_bytes(),
            call.agent.as_bytes(),
            call.reported_calls.as_bytes(),
            fault.as_bytes(),
            copies.as_bytes(),
            call.expected.word().as_bytes(),
            call.code.as_bytes(),
        ];
        self.0
            .write_record(fields)
            .map_err(|error| error.to_string())
    }

    /// Hands everything on.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> Result<(), String> {
        self.0.flush().map_err(|error| error.to_string())
    }
}

/// Reads the calls of a file.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn read(path: &Path) -> Result<Vec<ListedCall>, String> {
    let octets = crate::files::read(path, CALLS_FILE_BYTES_MAX)?;
    parse(&octets, &path.display().to_string())
}

/// Reads the calls of a text that came from `name`.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn parse(text: &[u8], name: &str) -> Result<Vec<ListedCall>, String> {
    let mut faults = crate::files::LineFaults::new(name);
    let mut calls: Vec<ListedCall> = Vec::new();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text);
    let mut columns: Option<Vec<&'static str>> = None;
    let mut record = csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                faults.at(reader.position().line(), error.to_string());
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        let Some(columns) = &columns else {
            columns = Some(header(&record, line, &mut faults)?);
            continue;
        };
        if record.len() != columns.len() {
            faults.at(
                line,
                format!("expected {} fields, found {}", columns.len(), record.len()),
            );
            continue;
        }
        let earliest = calls.last().map_or(0, |call| call.due);
        match call_of(columns, &record, earliest) {
            Ok(call) => calls.push(call),
            Err(sentences) => {
                for sentence in sentences {
                    faults.at(line, sentence);
                }
            }
        }
    }
    faults.into_result()?;
    if calls.is_empty() {
        return Err(format!(
            "{name}: holds no calls; a header line with at least `dialled,expected`, then a line a call"
        ));
    }
    Ok(calls)
}

fn header(
    record: &csv::ByteRecord,
    line: u64,
    faults: &mut crate::files::LineFaults<'_>,
) -> Result<Vec<&'static str>, String> {
    let mut columns = Vec::new();
    for field in record {
        let known = COLUMNS.iter().find(|known| known.as_bytes() == field);
        match known {
            Some(known) if columns.contains(known) => {
                faults.at(line, format!("column `{known}` stands here twice"));
            }
            Some(known) => columns.push(*known),
            None => faults.at(
                line,
                format!(
                    "no column `{}`; known are {}",
                    field.escape_ascii(),
                    COLUMNS.join(", ")
                ),
            ),
        }
    }
    for needed in ["dialled", "expected"] {
        if !columns.contains(&needed) {
            faults.at(
                line,
                format!("column `{needed}` is missing in the header line"),
            );
        }
    }
    faults.check().map(|()| columns)
}

fn call_of(
    columns: &[&'static str],
    record: &csv::ByteRecord,
    earliest: Nanos,
) -> Result<ListedCall, Vec<String>> {
    let mut call = unsaid();
    let mut due = 0;
    let mut faults = Vec::new();
    for (&column, field) in columns.iter().zip(record) {
        let taken = match (column, str::from_utf8(field)) {
            (_, Err(_)) => None,
            ("at", Ok(text)) => seconds_of(text)
                .filter(|&at| at >= earliest)
                .map(|at| due = at),
            (column, Ok(text)) => take(column, text, &mut call),
        };
        if taken.is_none() {
            faults.push(format!(
                "`{column}`: expected {}, found `{}`",
                wanted(column),
                field.escape_ascii()
            ));
        }
    }
    if faults.is_empty() {
        Ok(ListedCall { due, call })
    } else {
        Err(faults)
    }
}

/// A call of which nothing was said.
#[must_use]
pub fn unsaid() -> Call {
    let mut call = Call::default();
    call.caller.push_all(b"1000");
    call.domain.push_all(b"pbx.example.com");
    call.address.push_all(b"10.0.0.1");
    call.agent.push_all(FIXED_AGENT);
    call
}

fn take(column: &'static str, text: &str, call: &mut Call) -> Option<()> {
    match column {
        "dialled" => call.user = user_of(text)?,
        "caller" => call.caller = caller_of(text)?,
        "subscriber" => call.subscriber = or_empty(text, caller_of)?,
        "domain" => call.domain = or_empty(text, host_of)?,
        "from_host" => call.from_host = or_empty(text, host_of)?,
        "family" => call.family = family_of(text)?,
        "address" => {
            let _known: std::net::IpAddr = text.parse().ok()?;
            call.address = Text::of(text.as_bytes())?;
        }
        "agent" => {
            if !is_agent(text.as_bytes()) {
                return None;
            }
            call.agent = Text::of(text.as_bytes())?;
        }
        "reported_calls" => {
            if !text.bytes().all(|octet| octet.is_ascii_digit()) {
                return None;
            }
            call.reported_calls = Text::of(text.as_bytes())?;
        }
        "fault" if text.is_empty() => {}
        "fault" => {
            let (_, fault) = FAULTS.iter().find(|(name, _)| *name == text)?;
            call.datagram = Datagram::Faulty(*fault);
        }
        "copies" => {
            let copies = if text.is_empty() { "0" } else { text };
            let copies: u8 = copies.parse().ok()?;
            if u64::from(copies) > COPIES_MAX {
                return None;
            }
            call.copies = copies;
        }
        "expected" => {
            let (_, expected) = EXPECTED.iter().find(|(word, _)| *word == text)?;
            call.expected = *expected;
        }
        "code" if text.is_empty() => {}
        "code" => {
            let code = Text::of(text.as_bytes())?;
            let shaped = matches!(text.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9']);
            call.code = shaped.then_some(code)?;
        }
        // `part` is for readers; `at` was taken before.
        _ => {}
    }
    Some(())
}

fn or_empty<const N: usize>(text: &str, read: impl Fn(&str) -> Option<Text<N>>) -> Option<Text<N>> {
    if text.is_empty() {
        return Some(Text::new());
    }
    read(text)
}

fn wanted(column: &str) -> String {
    match column {
        "at" => "seconds with at most nine decimals, not before those of the line above".to_owned(),
        "dialled" => {
            format!("1 to {USER_BYTES_MAX} characters that a SIP URI may hold before its `@`")
        }
        "caller" | "subscriber" => {
            format!("1 to {CALLER_BYTES_MAX} letters, digits, `-`, `_`, `.`, `+` or `*`")
        }
        "domain" | "from_host" => "a host".to_owned(),
        "family" => "P-tfps, X-tfps, P-Received or none".to_owned(),
        "address" => "an IP address".to_owned(),
        "agent" => format!("at most {AGENT_BYTES_MAX} printable ASCII characters"),
        "reported_calls" => "up to five digits".to_owned(),
        "fault" => {
            let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
            format!("nothing, or one of {}", names.join(", "))
        }
        "copies" => format!("a number up to {COPIES_MAX}"),
        "expected" => {
            let words: Vec<&str> = EXPECTED.iter().map(|(word, _)| *word).collect();
            format!("one of {}", words.join(", "))
        }
        "code" => "a letter and two digits".to_owned(),
        _ => "UTF-8".to_owned(),
    }
}

/// Seconds with up to nine decimals, in nanoseconds.
#[must_use]
pub fn seconds_of(text: &str) -> Option<Nanos> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 9
        || decimals.len() > 9
        || !digits(whole)
        || !digits(decimals)
    {
        return None;
    }
    format!("{whole}{decimals:0<9}").parse().ok()
}

const _: () = assert!(FAULTS_SHOWN > 0, "a refusal says at least one fault");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::shipped::{SHIPPED, find};
    use crate::mix::{Mix, Times};

    #[test]
    fn what_is_written_is_read_back() {
        for (name, _) in SHIPPED {
            let mix = Mix::new(find(name).unwrap(), 1, Times::Own).unwrap();
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out).unwrap();
            let mut made = Vec::new();
            for number in 0..200 {
                let mut call = Call::default();
                mix.fill(number, &mut call);
                let due = mix.due(number).unwrap();
                writer.write(due, mix.part_of(number), &call).unwrap();
                made.push(ListedCall { due, call });
            }
            writer.finish().unwrap();
            assert_eq!(parse(&out, "f").unwrap(), made, "{name}");
        }
    }

    #[test]
    fn two_columns_are_enough() {
        let calls = parse(
            b"expected,dialled\napprove,0114420\n# no call\nreject,+8816\n",
            "f",
        )
        .unwrap();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[1].call.user.as_bytes(), b"+8816");
        assert_eq!(calls[1].call.agent.as_bytes(), FIXED_AGENT);
    }

    #[test]
    fn every_fault_is_said_with_its_line() {
        let text = "at,dialled,expected,agent\n1,0114420,approve,x\n2,01144 20,approve,x\n1.5,0114420,yes,x\n3,1,reject\n4,1,reject,\u{e9}\n";
        let faults = parse(text.as_bytes(), "calls.csv").unwrap_err();
        let lines: Vec<&str> = faults.lines().collect();
        for (line, (start, part)) in lines.iter().zip([
            ("calls.csv:3:", "`dialled`: expected 1 to"),
            (
                "calls.csv:4:",
                "`expected`: expected one of approve, reject",
            ),
            ("calls.csv:5:", "expected 4 fields, found 3"),
            ("calls.csv:6:", "printable ASCII"),
        ]) {
            assert!(line.starts_with(start) && line.contains(part), "{line}");
        }
        assert_eq!(lines.len(), 4, "{faults}");
        let back = parse(b"at,dialled,expected\n2,1,approve\n1,1,approve\n", "f").unwrap_err();
        assert!(back.contains("f:3: `at`: expected seconds"), "{back}");
    }

    #[test]
    fn an_unknown_or_missing_column_is_a_fault() {
        let faults = parse(b"dialled,colour\n1,red\n", "f").unwrap_err();
        assert!(faults.contains("f:1: no column `colour`"), "{faults}");
        assert!(
            faults.contains("f:1: column `expected` is missing"),
            "{faults}"
        );
        assert!(parse(b"", "f").unwrap_err().contains("holds no calls"));
    }

    #[test]
    fn past_the_bound_faults_are_counted() {
        let text = format!(
            "dialled,expected\n{}",
            "x y,approve\n".repeat(FAULTS_SHOWN + 5)
        );
        let faults = parse(text.as_bytes(), "f").unwrap_err();
        assert!(faults.ends_with("f: 5 more faults"), "{faults}");
    }
}
