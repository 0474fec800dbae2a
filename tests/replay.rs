//! What fuzzing found worth keeping, each input alone, by the rules of the fuzz targets (`fuzz/checks`), with a stable compiler.
//!
//! Promises: no input breaks a rule, none makes the scanner allocate, and none takes long, measured by what an ordinary input
//! takes in the same run. Leaves to `fuzz/run`: what a long run finds, and the bound in milliseconds.

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
#[expect(dead_code, reason = "its words and dice are used, its changes are not")]
mod mutate;
#[cfg(test)]
#[path = "fuzz/checks/ptfps.rs"]
mod ptfps;
#[cfg(test)]
#[path = "fuzz/requests.rs"]
mod requests;
#[cfg(test)]
#[path = "common/rows.rs"]
mod rows;
#[cfg(test)]
#[path = "fuzz/checks/scan.rs"]
mod scan;
#[cfg(test)]
#[path = "fuzz/checks/script.rs"]
mod script;
#[cfg(test)]
#[path = "fuzz/checks/uri.rs"]
mod uri;

#[cfg(test)]
mod replay {
    use super::counting_allocator::{Counting, allocations};
    use super::mutate::{Dice, WORDS};
    use super::{answer, bundle, ptfps, requests, scan, script, uri};
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use tollgate::sys::thread_time_ns;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// An input may cost as much as so many ordinary ones, and in any case so many microseconds: the clock and the cache are
    /// no part of it.
    const TIMES_THE_ORDINARY_MAX: u64 = 60;
    const US_FREE: u64 = 1_000;

    /// What a peer sends all day.
    const INVITE: &[u8] = include_bytes!("data/captures/chan_sip-m1-escaped-invite.sip");

    /// An ordinary value: of a P-tfps header, and an address.
    const P_TFPS: &[u8] = b"1001;pbx.example.com;192.0.2.7:5060;Asterisk PBX 16.28.0;3";
    const ADDRESS: &[u8] = b"\"Bob\" <sip:1001@pbx.example.com:5060;user=phone>;tag=as74dd9bd9";

    /// A bundle that lays a row over the destination table, which is made anew for it, since these are forty octets.
    const BUNDLE: &[u8] = b"6prefix,country,type,risk\n1201,,,medium\n";

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
    }

    /// Name and octets of every input.
    fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = fuzz().join("corpus").join(target);
        let mut inputs: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
            .expect("a corpus")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                (
                    path.display().to_string(),
                    fs::read(&path).expect("an input"),
                )
            })
            .collect();
        inputs.sort();
        assert!(inputs.len() > 20, "{target}: {}", inputs.len());
        inputs
    }

    /// Processor time of one input, nanoseconds: the least of several tries.
    fn cost_ns(tries: usize, mut input: impl FnMut()) -> u64 {
        let once = |_try| {
            let before = thread_time_ns().expect("a clock");
            input();
            thread_time_ns().expect("a clock").saturating_sub(before)
        };
        (0..tries).map(once).min().unwrap_or(0)
    }

    /// Gives each input of a corpus to the check, and holds its cost to that of the ordinary input.
    fn replay(target: &str, ordinary: &[u8], input: impl FnMut(&[u8])) {
        replay_counted(target, ordinary, |_bytes| 1, input);
    }

    /// The same where an input may be worth several ordinary ones.
    fn replay_counted(
        target: &str,
        ordinary: &[u8],
        worth: impl Fn(&[u8]) -> u64,
        mut input: impl FnMut(&[u8]),
    ) {
        let ordinary_ns = cost_ns(10, || input(ordinary));
        for (name, bytes) in corpus(target) {
            let most_ns =
                (worth(&bytes) * ordinary_ns * TIMES_THE_ORDINARY_MAX).max(US_FREE * 1000);
            let mut cost = cost_ns(1, || input(&bytes));
            if cost > most_ns {
                cost = cost_ns(5, || input(&bytes));
            }
            assert!(
                cost <= most_ns,
                "{name}: {cost} ns of processor time, an ordinary input {ordinary_ns}"
            );
        }
    }

    #[test]
    fn the_corpus_of_scan_is_read_by_the_rules_and_without_allocation() {
        let mut check = scan::Check::new(allocations);
        replay("scan", INVITE, |bytes| check.input(bytes));
    }

    #[test]
    fn the_corpora_of_scan_and_answer_are_answered_by_the_rules() {
        let mut check = answer::Check::new();
        let datagrams = |bytes: &[u8]| script::Script::new(bytes).map(|part| part.rounds).sum();
        for target in ["answer", "scan"] {
            replay_counted(target, INVITE, datagrams, |bytes| check.input(bytes));
        }
        // The path that serves is one that counts.
        let (_, rejected, keys) = check.counts();
        assert!(
            rejected > 10 && keys > 10,
            "{rejected} rejected, {keys} keys"
        );
    }

    #[test]
    fn the_grammar_of_requests_writes_what_is_decided_counted_and_stopped() {
        let mut check = answer::Check::new();
        let mut dice = Dice::new(1);
        let mut asked = 0;
        for _ in 0..3_000 {
            let script = requests::script(&mut dice);
            for input in [requests::line_replaced(&script, &mut dice), script] {
                check.input(&input);
                // Twice from each of two peers; what a proxy passes on often names nobody's peer.
                asked += 4 * script::Script::new(&input)
                    .map(|part| part.rounds)
                    .sum::<u64>();
            }
        }
        let (decided, stopped, keys) = check.counts();
        // Else what lies behind the checks would be tried by few.
        assert!(decided * 6 > asked, "{decided} of {asked} decided");
        assert!(stopped > 100 && keys > 20, "{stopped} stopped, {keys} keys");
    }

    #[test]
    fn every_rule_of_the_grammar_of_requests_stands_once_and_is_met() {
        // From what `script` begins with, name by name; a name without a rule panics.
        let mut met = BTreeSet::new();
        let mut left: Vec<&[u8]> = vec![b"request", b"held"];
        while let Some(name) = left.pop() {
            if !met.insert(name) {
                continue;
            }
            for choice in requests::choices(name) {
                let opened = choice.split(|&octet| octet == b'{').skip(1);
                left.extend(opened.filter_map(|after| after.split(|&octet| octet == b'}').next()));
            }
        }
        let rules: Vec<&[u8]> = requests::RULES.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            met.len(),
            rules.len(),
            "one stands twice, or nothing leads to it"
        );
        assert_eq!(met, rules.into_iter().collect());
        let mut picked = requests::VALUES.into_iter().chain(requests::LINES);
        assert!(picked.all(|name| met.contains(name)));
    }

    #[test]
    fn the_corpus_of_values_is_read_or_refused() {
        let mut read = 0;
        replay("uri", ADDRESS, |text| read += usize::from(uri::input(text)));
        assert!(read > 10, "{read}");
    }

    #[test]
    fn the_corpus_of_screening_values_is_suspect_or_certain() {
        let mut check = ptfps::Check::new();
        replay("ptfps", P_TFPS, |value| check.input(value));
    }

    #[test]
    fn the_corpus_of_bundles_is_refused_with_a_sentence_or_loaded() {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{}", std::process::id()));
        let mut check = bundle::Check::new(&folder);
        replay("bundle", BUNDLE, |input| check.input(input));
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
