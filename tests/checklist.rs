//! Holds `RULES.md` against the tests and the code: no rule without a test or a reason, no test that does not name its rule.
//!
//! Promises: every fault in one run. Leaves to each test: whether it shows the rule.

#[cfg(test)]
mod checklist {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The numbers of the checklist: first and last of each part.
    const PARTS: [(u32, u32); 5] = [(1, 23), (30, 58), (70, 104), (120, 128), (140, 144)];

    /// Rules that may stand without a test, since what they speak of is not built or cannot be seen.
    const EXCUSED: [u32; 17] = [
        1, 6, 9, 10, 11, 12, 52, 90, 120, 121, 122, 123, 124, 125, 126, 127, 128,
    ];

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// The function with the comment lines before it, up to the next item at the left margin or one level in.
    fn body<'a>(text: &'a str, function: &str) -> Option<&'a str> {
        let at = text.find(&format!("fn {function}("))?;
        let start = text[..at].rfind("\n\n").unwrap_or(0);
        let rest = &text[at..];
        let end = ["\n}\n", "\n    }\n"]
            .iter()
            .filter_map(|end| rest.find(end))
            .collect::<Vec<_>>();
        // The indentation of the function tells which end is its own.
        let line_start = text[..at].rfind('\n').map_or(0, |line| line + 1);
        let indented = text[line_start..].starts_with("    ");
        let end = if indented {
            rest.find("\n    }\n")
        } else {
            rest.find("\n}\n")
        }
        .or(end.first().copied())?;
        Some(&text[start..at + end])
    }

    /// Whether the text names the rule, alone or inside a range.
    fn names(text: &str, rule: &str) -> bool {
        if let Some(number) = rule.strip_prefix("P") {
            let alone = |found: &str| !found.starts_with(|next: char| next.is_ascii_digit());
            let named = text.split(rule).skip(1).any(alone);
            let number: u32 = number.parse().unwrap();
            return named || (text.contains("P2–P8") && (2..=8).contains(&number));
        }
        let wanted: u32 = rule.trim_start_matches("SIP-").parse().unwrap();
        text.contains(rule)
            || text
                .split("SIP-")
                .zip(text.split("SIP-").skip(1))
                .any(|(before, after)| {
                    let first = before
                        .get(..3)
                        .and_then(|digits| digits.parse::<u32>().ok());
                    let last = after.get(..3).and_then(|digits| digits.parse::<u32>().ok());
                    let range = before.get(3..) == Some(" to ");
                    range
                        && first
                            .zip(last)
                            .is_some_and(|(first, last)| (first..=last).contains(&wanted))
                })
    }

    fn read(below: &[&str], file: &str) -> Option<String> {
        below
            .iter()
            .map(|folder| root().join(folder).join(file))
            .find(|path: &PathBuf| path.is_file())
            .map(|path| fs::read_to_string(path).unwrap())
    }

    /// What is wrong with one row; its rule.
    fn row(line: &str) -> (String, Vec<String>) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [rule, _section, what, test, code] = cells[..] else {
            return (line.to_owned(), vec![format!("{line}: not five cells")]);
        };
        let mut faults = Vec::new();
        let mut fault = |sentence: String| faults.push(format!("{rule}: {sentence}"));
        if what.is_empty() {
            fault("does not say what".to_owned());
        }
        if let Some(reason) = test.strip_prefix("reason: ") {
            let number = rule.trim_start_matches("SIP-").parse().unwrap_or(0);
            if !EXCUSED.contains(&number) {
                fault("has a reason in place of a test, and is not excused".to_owned());
            }
            if reason.len() < 15 {
                fault(format!("{reason:?} is no reason"));
            }
            return (rule.to_owned(), faults);
        }
        match test.split_once(": ") {
            None => fault(format!("{test:?} is no `file: function`")),
            Some((file, function)) => match read(&["tests", "."], file) {
                None => fault(format!("there is no tests/{file}")),
                Some(text) => match body(&text, function) {
                    None => fault(format!("tests/{file} has no function {function}")),
                    Some(body) if !names(body, rule) => {
                        fault(format!("{function} in tests/{file} does not name the rule"));
                    }
                    Some(_) => {}
                },
            },
        }
        match code.split_once(": ") {
            None => fault(format!("{code:?} is no `file: word`")),
            Some((file, word)) => match read(&["."], file) {
                None => fault(format!("there is no {file}")),
                Some(text) if !text.contains(word) => fault(format!("{file} has no {word:?}")),
                Some(_) => {}
            },
        }
        (rule.to_owned(), faults)
    }

    #[test]
    fn every_rule_has_a_test_that_names_it_or_a_reason() {
        let table = fs::read_to_string(root().join("tests/RULES.md")).unwrap();
        let mut wanted: BTreeSet<String> = (1..=10).map(|number| format!("P{number}")).collect();
        for (first, last) in PARTS {
            wanted.extend((first..=last).map(|number| format!("SIP-{number:03}")));
        }
        let rows: Vec<(String, Vec<String>)> = table
            .lines()
            .filter(|line| line.starts_with("| SIP-") || line.starts_with("| P"))
            .map(row)
            .collect();
        let mut faults: Vec<String> = rows.iter().flat_map(|(_, faults)| faults.clone()).collect();
        let mut seen = BTreeSet::new();
        for (rule, _) in &rows {
            if !seen.insert(rule.clone()) {
                faults.push(format!("{rule}: stands twice"));
            }
        }
        faults.extend(
            wanted
                .difference(&seen)
                .map(|rule| format!("{rule}: has no row")),
        );
        faults.extend(
            seen.difference(&wanted)
                .map(|rule| format!("{rule}: is no rule")),
        );
        assert!(
            faults.is_empty(),
            "{} faults:\n{}",
            faults.len(),
            faults.join("\n")
        );
    }

    #[test]
    fn a_breach_of_the_table_is_found() {
        let check = |line: &str, sentence: &str| {
            let (_, faults) = row(line);
            assert!(
                faults.iter().any(|fault| fault.contains(sentence)),
                "{faults:?}"
            );
        };
        check(
            "| SIP-003 | 1 | x | reason: no time for this one | |",
            "not excused",
        );
        check("| SIP-001 | 1 | x | reason: TCP | |", "no reason");
        check(
            "| SIP-003 | 1 | x | uas/methods.rs: nothing | src/limits.rs: a |",
            "no function",
        );
        check(
            "| SIP-003 | 1 | x | uas/methods.rs: methods | src/limits.rs: a |",
            "does not name",
        );
        check(
            "| SIP-039 | 1 | x | uas/methods.rs: methods | src/limits.rs: noword |",
            "has no \"noword\"",
        );
        check(
            "| SIP-039 | 1 | x | nowhere.rs: methods | src/none.rs: a |",
            "no tests/nowhere.rs",
        );
        assert!(names("// SIP-013 to SIP-018, SIP-140", "SIP-015"));
        assert!(!names("// SIP-013 to SIP-018, SIP-140", "SIP-019"));
        assert!(!names("// SIP-013, SIP-018", "SIP-015"));
        assert!(names("// P10", "P10") && !names("// P10", "P1"));
    }
}
