//! What fuzzing found worth keeping, replayed with a stable compiler; the fuzz targets hold the same rules.

use crate::harness::Bench;
use crate::mutate::WORDS;
use std::fs;
use std::path::{Path, PathBuf};
use tollgate::control::{self, SAMPLE_BUNDLE, SAMPLE_CONFIG, Source};
use tollgate::sip::{Address, Header, Layout, Request, Uri, Via};
use tollgate::uas::screening;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut inputs: Vec<Vec<u8>> = fs::read_dir(fuzz().join("corpus").join(target))
        .expect("a corpus")
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("an input"))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 20, "{target}: {}", inputs.len());
    inputs
}

#[test]
fn the_corpora_of_scan_and_answer_are_answered_by_the_rules() {
    // P2–P8, from a peer and through a proxy; a stranger hears nothing.
    let mut bench =
        Bench::with(|rows| rows.domains[0].proxies = vec![crate::rows::single("127.0.0.20")]);
    for target in ["answer", "scan"] {
        for bytes in corpus(target) {
            bench.send(&bytes);
            bench.send_from("127.0.0.20:5060", &bytes);
            assert_eq!(bench.send_from("10.0.0.1:5060", &bytes).reply, None);
        }
    }
}

#[test]
fn the_corpus_of_values_is_read_or_refused() {
    let mut read = 0;
    for text in corpus("uri") {
        let found = [
            Uri::read(&text).is_some(),
            Address::read(&text).is_some(),
            Address::first_uri(&text).is_some(),
            Via::read(&text).is_some(),
            Header::of(&text).is_some(),
        ];
        read += usize::from(found.contains(&true));
    }
    assert!(read > 10, "{read}");
}

#[test]
fn the_corpus_of_screening_values_is_suspect_or_certain() {
    for value in corpus("ptfps") {
        let request = [
            b"INVITE sip:a@b SIP/2.0\r\nP-tfps: ".as_slice(),
            &value,
            b"\r\n\r\n",
        ]
        .concat();
        let mut layout = Layout::new();
        layout.scan(&request, false);
        let read = screening::read(&Request::new(&request, &layout));
        let nothing =
            read.address.is_none() && read.agent.is_none() && read.reported_calls.is_none();
        assert!(!read.suspect || nothing, "{value:?}");
    }
}

#[test]
fn the_corpus_of_bundles_is_refused_with_a_sentence_or_loaded() {
    // As the fuzz target: the first octet chooses the file that is replaced. Each load reads the whole destination table.
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{}", std::process::id()));
    fs::create_dir_all(folder.join("bundle/lists")).expect("a folder");
    let files: Vec<(PathBuf, &str)> = SAMPLE_BUNDLE
        .iter()
        .map(|(path, text)| (folder.join("bundle").join(path), *text))
        .chain([(folder.join("tollgate.toml"), SAMPLE_CONFIG)])
        .collect();
    for (path, text) in &files {
        fs::write(path, text).expect("a file");
    }
    let source = Source::File(folder.join("tollgate.toml"));
    assert!(control::load(&source).is_ok(), "the sample itself");
    for input in corpus("bundle") {
        let Some((first, text)) = input.split_first() else {
            continue;
        };
        let (path, original) = &files[usize::from(*first) % files.len()];
        fs::write(path, text).expect("a file");
        if let Err(faults) = control::load(&source) {
            assert!(!faults.to_string().is_empty());
        }
        fs::write(path, original).expect("a file");
    }
    fs::remove_dir_all(&folder).expect("our own folder");
}

#[test]
fn the_dictionary_holds_the_mutators_words() {
    let text = fs::read_to_string(fuzz().join("sip.dict")).expect("a dictionary");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('"')).collect();
    let shown: Vec<String> = WORDS
        .iter()
        .map(|word| {
            let escaped: String = word
                .iter()
                .map(|&octet| match octet {
                    b'"' => "\\\"".to_owned(),
                    b'\\' => "\\\\".to_owned(),
                    0x20..0x7f => char::from(octet).to_string(),
                    _ => format!("\\x{octet:02x}"),
                })
                .collect();
            format!("\"{escaped}\"")
        })
        .collect();
    assert_eq!(lines, shown);
}
