//! The ranges that `config --reference` prints, offered to the readers: what is said to be in is taken, and what is one beyond is
//! a fault at that key.
//!
//! Promises: a range that is printed has a row here.

#[cfg(test)]
mod reference_ranges {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};
    use tollgate::control::{self, Source, reference};

    /// How a number of a range is written.
    #[derive(Debug, Clone, Copy)]
    enum Form {
        /// Digits.
        Number,
        /// In a list.
        List,
        /// As the status of a code.
        Status,
        /// A text of so many characters.
        Length,
        /// Seconds in quotes.
        Time,
    }

    /// Table and key; how a number is written; lines that stand beside it; and a fault that is another's.
    type Row = (&'static str, &'static str, Form, &'static str, &'static str);

    const ROWS: [Row; 22] = [
        ("[node]", "name", Form::Length, "", ""),
        (
            "[node]",
            "shards",
            Form::Number,
            "",
            "this machine lets us use",
        ),
        ("[node]", "cores", Form::List, "", ""),
        ("[node]", "expected_calls_per_second", Form::Number, "", ""),
        ("[node]", "counters_capacity", Form::Number, "", ""),
        ("[node]", "drain_time", Form::Time, "", ""),
        ("[journal]", "rejected_per_second", Form::Number, "", ""),
        ("[journal]", "approved_per_second", Form::Number, "", ""),
        ("[journal]", "rotate", Form::Time, "", ""),
        ("[journal]", "keep", Form::Time, "", ""),
        ("[journal]", "mask_digits", Form::Number, "", ""),
        ("[[domain]]", "name", Form::Length, "", ""),
        (
            "[[domain]]",
            "statuses",
            Form::Status,
            "profile = \"redirect-codes\"",
            "",
        ),
        (
            "[[domain.translate]]",
            "strip",
            Form::Number,
            "min_digits = 79",
            "",
        ),
        ("[[domain.translate]]", "min_digits", Form::Number, "", ""),
        (
            "[[domain.translate]]",
            "max_digits",
            Form::Number,
            "",
            "what fits has 1 at least",
        ),
        ("[[policy]]", "name", Form::Length, "", ""),
        ("[[policy]]", "assumed_minutes", Form::Number, "", ""),
        ("[[policy.limit]]", "window", Form::Time, "", ""),
        (
            "[[policy.limit]]",
            "warn",
            Form::Number,
            "max = 1000000000000",
            "",
        ),
        ("[[policy.limit]]", "max", Form::Number, "", ""),
        ("[[policy.limit]]", "hold", Form::Time, "", ""),
    ];

    /// What a configuration has at least, table by table.
    const LEAST: [(&str, &str, &str); 8] = [
        ("tollgate.toml", "[node]", ""),
        ("tollgate.toml", "[[listen]]", "udp = \"127.0.0.1:5060\""),
        ("tollgate.toml", "[bundle]", "path = \"bundle\""),
        ("tollgate.toml", "[journal]", "path = \"j\""),
        (
            "bundle/domains.toml",
            "[[domain]]",
            "name = \"a\"\npeers = [\"192.0.2.1\"]\nmode = \"prevention\"\ntrust_headers = true\n\
             spoofing_filtered = true\ndefault_policy = \"p\"\ndefault_subscriber = \"u\"",
        ),
        (
            "bundle/domains.toml",
            "[[domain.translate]]",
            "match = \"0\"",
        ),
        ("bundle/policies.toml", "[[policy]]", "name = \"p\""),
        (
            "bundle/policies.toml",
            "[[policy.limit]]",
            "name = \"l\"\ncode = \"R13\"\nwindow = \"1m\"\nmax = 1",
        ),
    ];

    /// The range in a description: `1 to 64`, or `"1s" to "7d"` in seconds.
    fn range(about: &str) -> Option<(u64, u64)> {
        let words: Vec<&str> = about.split([' ', ',', ':']).collect();
        words.windows(3).find_map(|three| match three {
            [first, "to", last] => Some((number(first)?, number(last)?)),
            _ => None,
        })
    }

    fn number(word: &str) -> Option<u64> {
        let Some(time) = word
            .strip_prefix('"')
            .and_then(|word| word.strip_suffix('"'))
        else {
            return word.parse().ok();
        };
        let (digits, unit) = time.split_at_checked(time.len().checked_sub(1)?)?;
        let scale = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        Some(digits.parse::<u64>().ok()? * scale)
    }

    /// The ranges of the reference, by table and key.
    fn ranges() -> BTreeMap<(String, String), (u64, u64)> {
        let mut found = BTreeMap::new();
        let mut table = String::new();
        for line in reference::text().lines() {
            if line.starts_with('[') {
                table = line.to_owned();
                continue;
            }
            let name = line.trim_start_matches("# ").split([':', ' ']).next();
            let about = line.split_once('#').map_or("", |(_, about)| about);
            let about = about.split_once(": ").map_or(about, |(before, after)| {
                if line.starts_with("# ") {
                    after
                } else {
                    before
                }
            });
            if let (Some(name), Some(range)) = (name, range(about)) {
                found.insert((table.clone(), name.to_owned()), range);
            }
        }
        found
    }

    fn line(key: &str, form: Form, value: u64) -> String {
        match form {
            Form::Number => format!("{key} = {value}"),
            Form::List => format!("{key} = [{value}]"),
            Form::Status => format!("{key} = {{ R03 = {value} }}"),
            Form::Length => format!(
                "{key} = \"{}\"",
                "p".repeat(usize::try_from(value).unwrap())
            ),
            Form::Time => format!("{key} = \"{value}s\""),
        }
    }

    /// Faults of the least configuration with this line in a table, and others beside it.
    fn faults(folder: &Path, table: &str, key: &str, line: &str, beside: &str) -> Vec<String> {
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for (file, heading, keys) in LEAST {
            let text = files.entry(file).or_default();
            *text += &format!("{heading}\n");
            let replaced = |known: &str| {
                let has = |line: &str| line.split(" = ").next() == known.split(" = ").next();
                heading == table && (has(line) || has(beside))
            };
            for known in keys.lines().filter(|known| !replaced(known)) {
                *text += &format!("{known}\n");
            }
            if heading == table {
                *text += &format!("{line}\n{beside}\n");
            }
        }
        // Who is called otherwise is called so by those that name him.
        if (table, key) == ("[[policy]]", "name") {
            let name = line.split('"').nth(1).unwrap();
            let domains = files.get_mut("bundle/domains.toml").unwrap();
            *domains = domains.replace("\"p\"", &format!("\"{name}\""));
        }
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        match control::load(&Source::File(folder.join("tollgate.toml"))) {
            Ok(_loaded) => Vec::new(),
            Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn what_is_said_to_be_in_a_range_is_taken_and_what_is_beyond_is_not() {
        let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("reference-ranges-{}", std::process::id()));
        let mut ranges = ranges();
        for (table, key, form, beside, other) in ROWS {
            let (least, most) = ranges
                .remove(&(table.to_owned(), key.to_owned()))
                .unwrap_or_else(|| panic!("{table} {key} has no range"));
            for value in [least, most] {
                let mut found = faults(&folder, table, key, &line(key, form, value), beside);
                found.retain(|fault| other.is_empty() || !fault.contains(other));
                assert!(found.is_empty(), "{table} {key} {value}: {found:#?}");
            }
            for value in [least.checked_sub(1), Some(most + 1)].into_iter().flatten() {
                let found = faults(&folder, table, key, &line(key, form, value), beside);
                assert!(!found.is_empty(), "{table} {key} {value}");
            }
        }
        assert!(ranges.is_empty(), "without a row: {ranges:#?}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
