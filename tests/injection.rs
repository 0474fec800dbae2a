//! Whatever a caller writes into whichever field, what people and programs read of it later is text on one line.
//!
//! Promises: every field of the journal, of the list of holds and of an explanation that repeats a caller's words is written, by
//! every kind of octet that ends, hides or turns something somewhere. Leaves to `uas/sweep.rs`: the answer and the event; to `wire.rs`: what is refused unread.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod injection {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::path::PathBuf;
    use std::time::Duration;

    /// What is written into a field, and how the journal shows it.
    const MARKS: [(&[u8], &str); 14] = [
        (b"\0", "\0"),
        (b"\x01", "\x01"),
        (b"\x1b[2J\x1b]0;owned\x07", "\x1b[2J"),
        (b"\x7f", "\x7f"),
        (b"\xc2\x85", "\u{85}"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\xc3", "\\xc3"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ("\u{202e}".as_bytes(), "\u{202e}"),
        ("\u{2028}".as_bytes(), "\u{2028}"),
        (b"\r", ""),
        (b"\n", ""),
        (b"\r\n{\"verdict\":\"approve\"}\r\n ", ""),
        (b"=cmd|' /C calc'!A0", "=cmd"),
    ];

    /// Where a caller's words stand in a call, and the fields of the journal that may show them.
    const FIELDS: [(&str, &[&str]); 8] = [
        ("Call-ID: ~", &["call_id"]),
        // A tag is a token (RFC 3261 §25.1); with anything else in it the call is refused and the tag not written.
        (";tag=~", &[]),
        ("sip:~@pbx.example", &["calling"]),
        ("P-tfps: ~;sample;192.0.2.7;Phone;1", &["caller"]),
        ("P-tfps: 1;sample;192.0.2.7;~;1", &["agent"]),
        ("User-Agent: ~", &["agent"]),
        ("X-tfps: ~@sample", &["caller"]),
        ("INVITE sip:~@gw.example", &["dialled"]),
    ];

    fn invite(number: usize, at: SocketAddr, place: &str, mark: &[u8]) -> Vec<u8> {
        let written = place.replace('~', "evil~");
        let is = |start: &str| written.starts_with(start);
        let or = |is: bool, usual: &str| {
            if is {
                written.clone()
            } else {
                usual.to_owned()
            }
        };
        let own = is("P-tfps") || is("X-tfps") || is("User-Agent");
        let user = or(is("sip:"), "sip:4100@pbx.example");
        let tag = or(is(";tag"), &format!(";tag=f{number}"));
        let text = format!(
            "{} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{number}\r\nFrom: <{user}>{tag}\r\nTo: <sip:1@gw.example>\r\n{}\r\n\
             CSeq: 1 INVITE\r\n{}\r\nContent-Length: 0\r\n\r\n",
            or(is("INVITE"), "INVITE sip:+390612345678@gw.example"),
            or(is("Call-ID"), &format!("Call-ID: c{number}")),
            or(own, "Max-Forwards: 70"),
        );
        let (before, behind) = text.split_once('~').unwrap();
        [before.as_bytes(), mark, behind.as_bytes()].concat()
    }

    fn get(admin: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(admin).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// What a terminal, a table or a reader of lines may take for more than text.
    fn is_plain(sign: char) -> bool {
        !sign.is_control()
            && !matches!(sign, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }

    /// A server with the sample's bundle and what `change` makes of its policies, and `more` in its configuration; its folder.
    fn start(name: &str, more: &str, change: impl Fn(&str) -> String) -> (Server, PathBuf) {
        let folder = scratch(name);
        for (path, text) in tollgate::control::SAMPLE_BUNDLE {
            let text = match path {
                "policies.toml" => change(text),
                _ => text.to_owned(),
            };
            write_files(&folder, &[(&format!("bundle/{path}"), &text)]);
        }
        write_files(&folder, &[("tollgate.toml", &(node_toml(&folder) + more))]);
        (Server::start(&folder), folder)
    }

    /// Makes a call with each mark in each field, so many times; the INVITEs of the last time.
    fn call_in_every_way(to: SocketAddr, times: usize) -> Vec<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let at = socket.local_addr().unwrap();
        let mut number = 0;
        let mut sent = Vec::new();
        for _time in 0..times {
            sent.clear();
            for (place, _) in FIELDS {
                for (mark, _) in MARKS {
                    number += 1;
                    let datagram = invite(number, at, place, mark);
                    socket.send_to(&datagram, to).unwrap();
                    // Approved, rejected or refused: all are answered.
                    let mut heard = [0; 4096];
                    let length = socket.recv(&mut heard).unwrap();
                    let answer = String::from_utf8_lossy(&heard[..length]).into_owned();
                    assert!(
                        answer.starts_with("SIP/2.0 ") && !answer.contains("\r\n{"),
                        "{answer:?}"
                    );
                    sent.push(datagram);
                }
            }
        }
        sent
    }

    /// The body of an answer of the admin port, all of which is text.
    fn plain_body(admin: SocketAddr, path: &str) -> Value {
        let answer = get(admin, path);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            body.chars().all(|sign| sign == '\n' || is_plain(sign)),
            "{path}: {body:?}"
        );
        let body = serde_json::from_str(body).unwrap();
        assert_all_plain(&body);
        body
    }

    /// What a program makes of it is text, too: what JSON escapes comes back when it is read.
    fn assert_all_plain(value: &Value) {
        match value {
            Value::String(text) => assert!(text.chars().all(is_plain), "{text:?}"),
            Value::Array(values) => values.iter().for_each(assert_all_plain),
            Value::Object(fields) => fields.values().for_each(assert_all_plain),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    #[test]
    fn holds_and_explanations_of_whichever_caller_are_text_on_one_line() {
        let hold = "\n[[policy.limit]]\nname = \"twice\"\nper = [\"subscriber\", \"caller\"]\nto = \"any\"\ncount = \"attempts\"\n\
             window = \"1h\"\nmax = 1\nhold = \"1h\"\ncode = \"R08\"\nduring = \"always\"\n";
        let (server, _folder) = start("injection-holds", "", |policies| policies.to_owned() + hold);
        let datagrams = call_in_every_way(server.udp, 2);

        let holds = plain_body(server.admin, "/v1/holds");
        let callers: BTreeSet<&str> = holds["holds"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|hold| hold["caller"].as_str())
            .filter(|caller| caller.contains("evil"))
            .collect();
        assert!(callers.len() >= 10, "{callers:?}");
        for shown in ["evil\\x00", "evil\\xff\\xfe", "evil\\xe2\\x80\\xae"] {
            assert!(
                callers.iter().any(|caller| caller.starts_with(shown)),
                "{shown}: {callers:?}"
            );
        }

        let mut explained = 0;
        for datagram in &datagrams {
            let digits: String = datagram
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            let path = format!("/v1/explain/127.0.0.1/{digits}");
            let steps = plain_body(server.admin, &path)["steps"].to_string();
            explained += usize::from(steps.contains("evil"));
        }
        println!("{} holds, {explained} explanations", callers.len());
        assert!(explained > datagrams.len() / 3, "{explained}");
        let stopped = server.stop();
        assert!(!stopped.stderr.contains("evil") && !stopped.stdout.contains("evil"));
    }

    #[test]
    fn whatever_stands_in_whichever_field_is_text_on_one_line_of_the_journal_and_nowhere_else() {
        let journal = "\n[journal]\npath = \"calls.jsonl\"\nrejected_per_second = \"all\"\napproved_per_second = \"all\"\n";
        let (server, folder) = start("injection", journal, str::to_owned);
        let number = call_in_every_way(server.udp, 1).len();
        for path in [
            "/metrics",
            "/readyz",
            "/healthz",
            "/v1/status",
            "/v1/rules",
            "/v1/unknown-sources",
        ] {
            let answer = get(server.admin, path);
            assert!(
                !answer.contains("evil") && !answer.contains("owned"),
                "{path}: {answer}"
            );
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                body.chars().all(|sign| sign == '\n' || is_plain(sign)),
                "{path}"
            );
        }
        let stopped = server.stop();
        assert!(!stopped.stderr.contains("evil") && !stopped.stdout.contains("evil"));

        let bytes = fs::read(folder.join("calls.jsonl")).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.chars().all(|sign| sign == '\n' || is_plain(sign)),
            "{text:?}"
        );
        let mut keys = BTreeSet::new();
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            keys.extend(line.as_object().unwrap().keys().cloned());
            for (_, fields) in FIELDS {
                for field in fields.iter().copied() {
                    let value = line[field].as_str().unwrap_or_default();
                    let known = MARKS.iter().any(|(_, shown)| {
                        !shown.is_empty() && value.contains(&format!("evil{shown}"))
                    });
                    *shown.entry(field).or_default() += usize::from(known);
                }
            }
        }
        // A call is a line at most, and none of them has a field that we do not know.
        assert!(
            text.lines().count() <= number,
            "{} lines for {number} calls",
            text.lines().count()
        );
        assert!(
            keys.iter().all(|key| key
                .chars()
                .all(|sign| sign.is_ascii_lowercase() || sign == '_')),
            "{keys:?}"
        );
        println!(
            "{} lines of {number} calls; {shown:?}",
            text.lines().count()
        );
        for (field, count) in shown {
            assert!(count >= 5, "{field} was written {count} times");
        }
    }
}
