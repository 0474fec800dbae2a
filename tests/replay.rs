//! What fuzzing found worth keeping, each input alone, by the rules of the fuzz targets (`fuzz/checks`), with a stable compiler.
//!
//! Promises: no input breaks a rule, none makes the scanner allocate, and none takes long: far less than a hundred ordinary
//! calls, or, when `TOLLGATE_INPUT_MS_MAX` says so, less than so many milliseconds of processor time.
//! `TOLLGATE_FUZZ_FOUND` names a folder with more inputs, in folders by target: what a long run found.

#![expect(unsafe_code, reason = "a counting allocator is an allocator")]

#[cfg(test)]
#[path = "fuzz/checks/answer.rs"]
mod answer;
#[cfg(test)]
#[path = "fuzz/checks/bundle.rs"]
mod bundle;
#[cfg(test)]
#[path = "common/counting_allocator.rs"]
#[expect(dead_code, reason = "frees are watched by another test")]
mod counting_allocator;
#[cfg(test)]
#[path = "common/mutate.rs"]
#[expect(dead_code, reason = "only its words are looked at")]
mod mutate;
#[cfg(test)]
#[path = "fuzz/checks/ptfps.rs"]
mod ptfps;
#[cfg(test)]
#[path = "common/rows.rs"]
mod rows;
#[cfg(test)]
#[path = "fuzz/checks/scan.rs"]
mod scan;
#[cfg(test)]
#[path = "fuzz/checks/uri.rs"]
mod uri;

#[cfg(test)]
mod replay {
    use super::counting_allocator::{Counting, allocations};
    use super::mutate::WORDS;
    use super::{answer, bundle, ptfps, scan, uri};
    use std::env;
    use std::fs;
    use std::path::{Path, PathBuf};
    use tollgate::sys::thread_time_ns;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// An input may cost as much as so many inputs in the middle of its corpus, and at least as so many microseconds: the
    /// clock and the cache are no part of it.
    const TIMES_THE_MEDIAN_MAX: u64 = 100;
    const US_FREE: u64 = 2_000;

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
    }

    /// Name and octets of every input.
    fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
        let mut folders = vec![fuzz().join("corpus").join(target)];
        if let Some(found) = env::var_os("TOLLGATE_FUZZ_FOUND") {
            folders.push(PathBuf::from(found).join(target));
        }
        let mut inputs = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(folder).expect("a corpus") {
                let path = entry.expect("an entry").path();
                inputs.push((
                    path.display().to_string(),
                    fs::read(&path).expect("an input"),
                ));
            }
        }
        inputs.sort();
        assert!(inputs.len() > 20, "{target}: {}", inputs.len());
        inputs
    }

    /// Processor time of one input, nanoseconds; of three times the least, when the first looks long.
    fn cost_ns(mut input: impl FnMut()) -> u64 {
        let mut once = || {
            let before = thread_time_ns().expect("a clock");
            input();
            thread_time_ns().expect("a clock").saturating_sub(before)
        };
        let first = once();
        if first < US_FREE * 1000 {
            return first;
        }
        first.min(once()).min(once())
    }

    /// Gives each input of a corpus to the check, and holds its cost to the bound.
    fn replay(target: &str, mut input: impl FnMut(&[u8])) {
        let inputs = corpus(target);
        // What is read once in a process is not the first input's cost.
        input(&inputs[0].1);
        let mut costs: Vec<(u64, &str)> = inputs
            .iter()
            .map(|(name, bytes)| (cost_ns(|| input(bytes)), name.as_str()))
            .collect();
        costs.sort_unstable();
        let (median_ns, _) = costs[costs.len() / 2];
        let (slowest_ns, name) = costs[costs.len() - 1];
        println!(
            "{target}: {} inputs, each alone: median {} us, slowest {} us of processor time ({name})",
            costs.len(),
            median_ns / 1000,
            slowest_ns / 1000
        );
        let most_ns = match env::var("TOLLGATE_INPUT_MS_MAX") {
            Ok(text) => text.parse::<u64>().expect("a number") * 1_000_000,
            Err(_) => (median_ns * TIMES_THE_MEDIAN_MAX).max(US_FREE * 1000),
        };
        assert!(
            slowest_ns <= most_ns,
            "{name}: {slowest_ns} ns, median {median_ns}"
        );
    }

    #[test]
    fn the_corpus_of_scan_is_read_by_the_rules_and_without_allocation() {
        let mut check = scan::Check::new(allocations);
        replay("scan", |bytes| check.input(bytes));
    }

    #[test]
    fn the_corpora_of_scan_and_answer_are_answered_by_the_rules() {
        let mut check = answer::Check::new();
        replay("answer", |bytes| check.input(bytes));
        replay("scan", |bytes| check.input(bytes));
    }

    #[test]
    fn the_corpus_of_values_is_read_or_refused() {
        let mut read = 0;
        replay("uri", |text| read += usize::from(uri::input(text)));
        assert!(read > 10, "{read}");
    }

    #[test]
    fn the_corpus_of_screening_values_is_suspect_or_certain() {
        let mut check = ptfps::Check::new();
        replay("ptfps", |value| check.input(value));
    }

    #[test]
    fn the_corpus_of_bundles_is_refused_with_a_sentence_or_loaded() {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{}", std::process::id()));
        let mut check = bundle::Check::new(&folder);
        replay("bundle", |input| check.input(input));
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
}
