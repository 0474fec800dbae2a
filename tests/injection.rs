//! Whatever a caller writes into whichever field, what people and programs read of it later is text on one line.
//!
//! Promises: every field of the journal that repeats a caller's words is written, by every kind of octet that ends, hides or turns
//! something somewhere. Leaves to `uas/sweep.rs`: the answer and the event; to `wire.rs`: what is refused unread.

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

    #[test]
    fn whatever_stands_in_whichever_field_is_text_on_one_line_of_the_journal_and_nowhere_else() {
        let folder = scratch("injection");
        let sample = tollgate::control::SAMPLE_BUNDLE;
        for (path, text) in sample {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let journal = "\n[journal]\npath = \"calls.jsonl\"\nrejected_per_second = \"all\"\napproved_per_second = \"all\"\n";
        write_files(
            &folder,
            &[("tollgate.toml", &(node_toml(&folder) + journal))],
        );
        let server = Server::start(&folder);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let at = socket.local_addr().unwrap();
        let mut number = 0;
        for (place, _) in FIELDS {
            for (mark, _) in MARKS {
                number += 1;
                socket
                    .send_to(&invite(number, at, place, mark), server.udp)
                    .unwrap();
                // Approved, rejected or refused: all are answered.
                let mut heard = [0; 4096];
                let length = socket.recv(&mut heard).unwrap();
                let answer = String::from_utf8_lossy(&heard[..length]).into_owned();
                assert!(
                    answer.starts_with("SIP/2.0 ") && !answer.contains("\r\n{"),
                    "{answer:?}"
                );
            }
        }
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
