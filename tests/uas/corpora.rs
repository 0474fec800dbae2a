//! The torture messages of RFC 4475 and RFC 5118, each against its line of `EXPECTED.tsv`.

use crate::harness::{Bench, fields};
use crate::rows;
use crate::script::Script;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(corpus: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(corpus)
}

/// File, accepted answers (`-` is silence), and the best one.
fn expected(corpus: &str) -> Vec<(String, Vec<String>, String)> {
    let text = fs::read_to_string(folder(corpus).join("EXPECTED.tsv")).expect("EXPECTED.tsv");
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().expect("a heading").split('\t').collect();
    let column = |name: &str| {
        columns
            .iter()
            .position(|column| column.starts_with(name))
            .expect("a column")
    };
    let (file, accepted, best) = (column("file"), column("accepted"), column("best"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let accepted = cells[accepted].split(',').map(str::to_owned).collect();
            (cells[file].to_owned(), accepted, cells[best].to_owned())
        })
        .collect()
}

fn check(corpus: &str, count: usize) {
    let mut faults = Vec::new();
    let rows = expected(corpus);
    assert_eq!(rows.len(), count);
    for (file, accepted, best) in rows {
        let bytes = fs::read(folder(corpus).join(&file)).expect("a message");
        let mut bench = Bench::new();
        let outcome = bench.send(&bytes);
        let got = outcome
            .status()
            .map_or("-".to_owned(), |status| status.to_string());
        if !accepted.contains(&got) || got != best {
            faults.push(format!("{file}: {got}, best {best}, accepted {accepted:?}"));
        }
        if outcome.reply.is_none() {
            continue;
        }
        // P7: From, Call-ID, CSeq and the lower Vias are the request's octets.
        for name in ["From", "Call-ID", "CSeq"] {
            let (got, asked) = (outcome.all(name), fields(&bytes, name));
            if got != asked.iter().take(1).cloned().collect::<Vec<_>>() {
                faults.push(format!("{file}: {name} {got:?}, asked {asked:?}"));
            }
        }
        let (got, asked) = (outcome.all("Via"), fields(&bytes, "Via"));
        if got.len() != asked.len() || got[1..] != asked[1..] {
            faults.push(format!("{file}: Via {got:?}, asked {asked:?}"));
        }
        if let (Some(got), Some(asked)) = (outcome.all("To").first(), fields(&bytes, "To").first())
            && !got.starts_with(asked.as_str())
        {
            faults.push(format!("{file}: To {got:?}, asked {asked:?}"));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn rfc_4475_torture_messages_get_the_best_answer() {
    check("rfc4475", 49);
}

#[test]
fn rfc_5118_ipv6_messages_get_the_best_answer() {
    check("rfc5118", 12);
}

#[test]
fn rfc_5118_messages_with_their_content_length_mended_get_the_best_answer() {
    check("rfc5118-cl-fixed", 3);
}

#[test]
fn every_message_of_the_corpora_has_its_line() {
    for corpus in ["rfc4475", "rfc5118", "rfc5118-cl-fixed"] {
        let mut files: Vec<String> = fs::read_dir(folder(corpus))
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| {
                Path::new(name)
                    .extension()
                    .is_some_and(|ending| ending == "dat")
            })
            .collect();
        files.sort();
        let mut named: Vec<String> = expected(corpus).into_iter().map(|row| row.0).collect();
        named.sort();
        assert_eq!(files, named);
    }
}

#[test]
fn what_fuzzing_found_worth_keeping_is_answered_by_the_rules() {
    // P2–P8, from a peer and through a proxy; a stranger hears nothing.
    let mut bench = Bench::with(|rows| rows.domains[0].proxies = vec![rows::single("127.0.0.20")]);
    let mut answered = 0;
    for target in ["answer", "scan"] {
        let folder = folder("../fuzz/corpus").join(target);
        for entry in fs::read_dir(folder).expect("a corpus") {
            let bytes = fs::read(entry.expect("an entry").path()).expect("an input");
            let mut at_ms = 0;
            for part in Script::new(&bytes) {
                for round in 0..part.rounds {
                    at_ms += part.step_ms;
                    bench.now = rows::at_ms(at_ms);
                    let bytes = part.datagram(round);
                    answered += usize::from(bench.send(&bytes).reply.is_some());
                    bench.send_from("127.0.0.20:5060", &bytes);
                    assert_eq!(bench.send_from("10.0.0.1:5060", &bytes).reply, None);
                }
            }
        }
    }
    assert!(answered > 500, "{answered}");
}
