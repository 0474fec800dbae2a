//! One request in, one answer out, and what is true of every answer.

use crate::rows;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tollgate::clock::Now;
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::policy::Snapshot;
use tollgate::policy::rows::Rows;
use tollgate::uas::{Admission, Packet, Reply, Slot, TransactionMemory, Uas};

/// Where requests come from unless a test says otherwise.
pub(crate) const SOURCE: &str = "127.0.0.1:40000";

/// A transaction memory of so many entries.
pub(crate) fn memory(entries: usize) -> Arc<TransactionMemory> {
    Arc::new(TransactionMemory::new(entries, [9; 16]).expect("there is address space"))
}

/// A server, its policy and its slot.
pub(crate) struct Bench {
    pub(crate) uas: Uas,
    pub(crate) policy: Snapshot,
    pub(crate) now: Now,
    slot: Slot,
}

/// What one packet got.
pub(crate) struct Outcome {
    pub(crate) admission: Admission,
    pub(crate) reply: Option<Reply>,
    pub(crate) text: Vec<u8>,
}

impl Bench {
    /// Everything from loopback is approved.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, changed.
    pub(crate) fn with(change: impl FnOnce(&mut Rows)) -> Self {
        let mut rows = rows::approving();
        change(&mut rows);
        Self {
            uas: Uas::new([7; 16]).with_memory(memory(1024)),
            policy: rows::snapshot(&rows),
            now: rows::at_ms(0),
            slot: Slot::new(),
        }
    }

    /// Sends octets from `SOURCE`.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.send_from(SOURCE, bytes)
    }

    /// Sends octets from an address.
    pub(crate) fn send_from(&mut self, source: &str, bytes: &[u8]) -> Outcome {
        self.send_cut(source, bytes, bytes.len())
    }

    /// Sends octets that were more on the wire; what comes back has been held against P2–P8.
    pub(crate) fn send_cut(&mut self, source: &str, bytes: &[u8], full_length: usize) -> Outcome {
        let source: SocketAddr = source.parse().expect("an address and a port");
        let packet = Packet {
            bytes,
            full_length,
            source,
        };
        let answer = |slot: &mut Slot| {
            let mut out = [0xAA_u8; RESPONSE_BYTES_MAX];
            let reply = self
                .uas
                .answer(&self.policy, &packet, self.now, slot, &mut out);
            (reply, out[..reply.map_or(0, |reply| reply.length)].to_vec())
        };
        let (reply, text) = answer(&mut self.slot);
        let shown = String::from_utf8_lossy(bytes).into_owned();
        // P8: the same octets again give the same answer, from a slot that was used and from a fresh one, decided and
        // remembered.
        assert_eq!(answer(&mut Slot::new()), (reply, text.clone()), "{shown}");
        if let Some(reply) = reply {
            // P3: to the source address, nowhere else.
            assert_eq!(reply.destination.ip(), source.ip(), "{shown}");
            // P4
            assert!(text.len() <= full_length + 250, "{shown}");
            assert!(
                full_length < 300 || text.len() * 2 <= full_length * 3,
                "{shown}"
            );
            // P5
            let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
            let first = bytes.iter().position(|octet| !blank(octet)).unwrap_or(0);
            let start = &bytes[first..];
            assert!(!start.starts_with(b"ACK "), "{shown}");
            assert!(!start.starts_with(b"SIP/2.0"), "{shown}");
            let copied = text.as_slice();
            let text = String::from_utf8_lossy(&text);
            assert!(text.starts_with("SIP/2.0 "), "{shown}");
            let full = text.ends_with("\r\nContent-Length: 0\r\n\r\n");
            assert!(full || text.ends_with("\r\nl:0\r\n\r\n"), "{text}");
            assert_eq!(text.matches("\r\n\r\n").count(), 1, "{text}");
            assert_eq!(status(text.as_bytes()), Some(reply.status.0), "{text}");
            check_lines(bytes, text.as_bytes());
            check_copies(bytes, copied);
            // RFC 3261 §8.2.7: never a 1xx; never a 2xx to an INVITE.
            assert!(reply.status.0 >= 200, "{text}");
            let invite = start.starts_with(b"INVITE ");
            assert!(!invite || reply.status.0 >= 300, "{text}");
        }
        Outcome {
            admission: self.slot.admission(),
            reply,
            text,
        }
    }
}

impl Outcome {
    /// The status; `None` is silence.
    pub(crate) fn status(&self) -> Option<u16> {
        self.reply.map(|reply| reply.status.0)
    }

    /// The answer as text.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The values of a header, in order, white space around them taken off.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        fields(&self.text, name)
    }

    /// The value of a header that stands once.
    pub(crate) fn one(&self, name: &str) -> String {
        match &self.all(name)[..] {
            [value] => value.clone(),
            values => panic!("{name}: {values:?} in {}", self.shown()),
        }
    }

    /// The To tag that was added.
    pub(crate) fn to_tag(&self) -> String {
        let to = self.one("To");
        let (_, tag) = to.rsplit_once(";tag=").expect("a To tag");
        tag.to_owned()
    }

    /// The reason phrase.
    pub(crate) fn phrase(&self) -> String {
        let text = self.shown();
        text[12..text.find("\r\n").expect("a line")].to_owned()
    }
}

/// Names that an answer may carry, full and compact.
const NAMES: [&str; 17] = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Reason",
    "Allow",
    "Accept",
    "Supported",
    "Unsupported",
    "Content-Length",
    "v",
    "f",
    "t",
    "i",
    "l",
];

/// Of these, the ones whose values are the request's own octets.
const COPIED: [&str; 10] = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Unsupported",
    "v",
    "f",
    "t",
    "i",
];

/// P6: CRLF only, no header that we do not write, and controls only where a field is copied, and those that the request has.
fn check_lines(request: &[u8], answer: &[u8]) {
    let shown = String::from_utf8_lossy(answer);
    let controls = |line: &str| {
        let control = |octet: &u8| (*octet < 0x20 && *octet != b'\t') || *octet == 0x7f;
        line.bytes().filter(control).collect::<Vec<_>>()
    };
    let mut lines = shown.split("\r\n");
    assert_eq!(
        controls(lines.next().unwrap_or_default()),
        [0; 0],
        "{shown:?}"
    );
    let (mut named, mut copied) = (false, false);
    for line in lines.take_while(|line| !line.is_empty()) {
        assert!(!line.contains(['\r', '\n']), "{shown:?}");
        if line.starts_with([' ', '\t']) {
            assert!(named, "a fold of nothing: {shown:?}");
        } else {
            let name = line.split(':').next().unwrap_or_default();
            assert!(NAMES.contains(&name) || name == "m", "{shown:?}");
            (named, copied) = (true, COPIED.contains(&name));
        }
        for octet in controls(line) {
            assert!(copied && request.contains(&octet), "{shown:?}");
        }
    }
}

/// P7: every Via, From, Call-ID and CSeq is the request's, octet for octet; the top Via may have `received` and `rport`
/// changed, To a tag added. A head with a bare CR or LF, or without an end, is no head, and is left to `check_lines`.
fn check_copies(request: &[u8], answer: &[u8]) {
    let text: String = request.iter().map(|&octet| char::from(octet)).collect();
    let head = text
        .trim_start_matches(['\r', '\n'])
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default();
    if head.replace("\r\n", "").contains(['\r', '\n']) || !text.contains("\r\n\r\n") {
        return;
    }
    let shown = String::from_utf8_lossy(answer);
    for name in ["From", "Call-ID", "CSeq"] {
        let mut asked = fields(request, name);
        asked.truncate(1);
        assert_eq!(fields(answer, name), asked, "{name} of {text:?}");
    }
    let (got, asked) = (fields(answer, "To"), fields(request, "To"));
    match (got.as_slice(), asked.first()) {
        ([got], Some(asked)) => {
            let added = got.strip_prefix(asked.as_str());
            let tag = added.and_then(|added| added.strip_prefix(";tag="));
            assert!(
                added == Some("") || tag.is_some_and(|tag| tag.len() == 16),
                "{shown}"
            );
        }
        (got, asked) => assert!(got.is_empty() && asked.is_none(), "{got:?} for {asked:?}"),
    }
    let (got, asked) = (fields(answer, "Via"), fields(request, "Via"));
    assert_eq!(got.len(), asked.len(), "Vias of {text:?}");
    for (number, (got, asked)) in got.iter().zip(&asked).enumerate() {
        if number == 0 {
            assert_eq!(without_changes(got), without_changes(asked), "{text:?}");
        } else {
            assert_eq!(got, asked);
        }
    }
}

/// A Via field whose first value has lost its `received` and `rport` parameters.
fn without_changes(field: &str) -> String {
    let mut kept = String::new();
    let (mut quoted, mut escaped) = (false, false);
    let mut end = field.len();
    let mut cuts = vec![0];
    for (at, sign) in field.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => cuts.push(at),
            ',' if !quoted => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    cuts.push(end);
    for pair in cuts.windows(2) {
        let piece = &field[pair[0]..pair[1]];
        let name = piece
            .trim_start_matches(';')
            .split('=')
            .next()
            .unwrap_or_default();
        let name = name
            .trim_matches([' ', '\t', '\r', '\n'])
            .to_ascii_lowercase();
        if !["received", "rport"].contains(&name.as_str()) {
            kept.push_str(piece.trim_end_matches([' ', '\t', '\r', '\n']));
        }
    }
    kept + field[end..].trim_start_matches([' ', '\t', '\r', '\n'])
}

/// Every message of the corpora and the captures, by folder and name.
pub(crate) fn messages() -> Vec<(String, Vec<u8>)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut messages = Vec::new();
    for folder in ["captures", "rfc4475", "rfc5118", "rfc5118-cl-fixed"] {
        for entry in fs::read_dir(data.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path
                .extension()
                .is_some_and(|found| found == "sip" || found == "dat")
            {
                let name = path.file_name().expect("a name").to_string_lossy();
                messages.push((
                    format!("{folder}/{name}"),
                    fs::read(&path).expect("a message"),
                ));
            }
        }
    }
    messages.sort();
    assert!(messages.len() > 100, "{}", messages.len());
    messages
}

fn status(text: &[u8]) -> Option<u16> {
    std::str::from_utf8(text.get(8..11)?).ok()?.parse().ok()
}

/// The values of a header in a message with CRLF line ends, folds and compact forms borne: a reading of its own.
pub(crate) fn fields(message: &[u8], name: &str) -> Vec<String> {
    let compact = match name {
        "Via" => "v",
        "From" => "f",
        "To" => "t",
        "Call-ID" => "i",
        "Contact" => "m",
        _ => name,
    };
    let text: String = message.iter().map(|&octet| char::from(octet)).collect();
    let head = text
        .trim_start_matches(['\r', '\n'])
        .split("\r\n\r\n")
        .next()
        .expect("a head");
    let mut values: Vec<String> = Vec::new();
    let mut open = false;
    for line in head.split("\r\n").skip(1) {
        if line.starts_with([' ', '\t']) {
            if open && let Some(last) = values.last_mut() {
                last.push_str("\r\n");
                last.push_str(line);
            }
            continue;
        }
        let (found, value) = line.split_once(':').unwrap_or(("", ""));
        let found = found.trim_end_matches([' ', '\t']);
        open = found.eq_ignore_ascii_case(name) || found.eq_ignore_ascii_case(compact);
        if open {
            values.push(value.to_owned());
        }
    }
    let edge = [' ', '\t', '\r', '\n'];
    values
        .iter()
        .map(|value| value.trim_matches(edge).to_owned())
        .collect()
}

/// A good INVITE of about 400 octets, whose lines a test replaces.
pub(crate) const INVITE: &str = "INVITE sip:011442071838750@127.0.0.1:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK48de1b64\r\n\
    Max-Forwards: 70\r\n\
    From: \"Bob\" <sip:1003@pbx.example.com:5070>;tag=as74dd9bd9\r\n\
    To: <sip:011442071838750@127.0.0.1:5060>\r\n\
    Contact: <sip:1003@127.0.0.1:5070>\r\n\
    Call-ID: 2250b2316e4f174039004d052b2aef3d@127.0.0.1:5070\r\n\
    CSeq: 102 INVITE\r\n\
    User-Agent: Asterisk PBX 16.28.0\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\
    \r\n\
    v=0\r\n";

/// `INVITE` with a piece of it replaced, which must be there.
pub(crate) fn invite_with(from: &str, to: &str) -> Vec<u8> {
    assert!(INVITE.contains(from), "{from}");
    INVITE.replacen(from, to, 1).into_bytes()
}

/// `INVITE` as a request of another method.
pub(crate) fn request(method: &str) -> String {
    INVITE
        .replace("INVITE sip", &format!("{method} sip"))
        .replace("102 INVITE", &format!("102 {method}"))
}

/// The top Via of `INVITE`.
pub(crate) const VIA: &str = "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK48de1b64";

/// The From of `INVITE`.
pub(crate) const FROM: &str = "\"Bob\" <sip:1003@pbx.example.com:5070>;tag=as74dd9bd9";

/// Each change of the base INVITE and the status it gets; `None` is silence.
pub(crate) fn check(cases: &[(&str, &str, Option<u16>)]) {
    let mut bench = Bench::new();
    for (from, to, status) in cases {
        let outcome = bench.send(&invite_with(from, to));
        assert_eq!(
            outcome.status(),
            *status,
            "{from:?} -> {to:?}: {}",
            outcome.shown()
        );
    }
}

/// Each change of the base INVITE, which gets a 400 with this phrase.
pub(crate) fn check_phrases(cases: &[(&str, &str, &str)]) {
    let mut bench = Bench::new();
    for (from, to, phrase) in cases {
        let outcome = bench.send(&invite_with(from, to));
        assert_eq!(
            outcome.status(),
            Some(400),
            "{from:?} -> {to:?}: {}",
            outcome.shown()
        );
        assert_eq!(outcome.phrase(), *phrase, "{from:?} -> {to:?}");
    }
}
