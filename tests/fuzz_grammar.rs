//! The grammar by which the fuzz target `bundle` writes configurations (`fuzz/grammar`) against the keys and columns that there
//! are: what it does not know, no search ever tries behind the parser.
//!
//! Leaves to the reference's own test: that it has every key that is read.

#[cfg(test)]
#[path = "fuzz/checks/bundle.rs"]
#[expect(dead_code, reason = "calls are not asked here")]
mod check;
#[cfg(test)]
#[path = "fuzz/grammar/mod.rs"]
mod grammar;
#[cfg(test)]
#[path = "common/mutate.rs"]
#[expect(dead_code, reason = "the grammar needs its dice alone")]
mod mutate;

#[cfg(test)]
mod fuzz_grammar {
    use super::check::{Check, FILES};
    use super::grammar;
    use super::mutate::Dice;
    use std::collections::BTreeSet;
    use tollgate::control::reference;

    /// The keys of the reference, each behind its table; and the tables.
    fn read() -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut keys, mut tables) = (BTreeSet::new(), BTreeSet::new());
        let mut table = String::new();
        for line in reference::text().lines() {
            if line.starts_with("# ----") || line.is_empty() {
                continue;
            }
            if line.starts_with('[') {
                table = line.to_owned();
                tables.insert(table.clone());
                continue;
            }
            let line = line.strip_prefix("# ").unwrap_or(line);
            let name = line.split([':', ' ']).next().unwrap();
            keys.insert(format!("{table} {name}"));
        }
        (keys, tables)
    }

    #[test]
    fn the_grammar_knows_every_key_that_is_read_and_says_which_are_not() {
        let (read, tables) = read();
        assert!(read.len() > 60, "{}", read.len());
        let known = grammar::keys(FILES, &tables);
        let unread = grammar::unread();
        assert!(unread.is_subset(&known), "{unread:#?}");
        let right: BTreeSet<String> = known.difference(&unread).cloned().collect();
        assert_eq!(right, read);
    }

    #[test]
    fn the_grammars_tables_have_the_columns_of_the_readme() {
        let readme = include_str!("../README.md");
        let rows = readme
            .lines()
            .skip_while(|line| *line != "| file | columns |")
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let wanted: BTreeSet<&str> = rows.map(|row| row.split('`').nth(3).unwrap()).collect();
        assert_eq!(wanted.len(), 4);
        assert_eq!(grammar::headings(FILES), wanted);
    }

    #[test]
    fn the_same_seed_makes_the_same_text() {
        for first in (b'0'..).take(FILES) {
            let made = |seed| grammar::change(&[first], FILES, 4096, &mut Dice::new(seed));
            let texts: Vec<Vec<u8>> = (0..200).map(made).collect();
            assert_eq!(texts, (0..200).map(made).collect::<Vec<_>>());
            assert!(texts.iter().any(|text| text.len() > 100), "{first}");
        }
    }

    /// What sorts and balances is met only by files of many rows that are read to their end.
    #[test]
    fn most_of_what_is_written_anew_is_taken_however_long_it_is() {
        let folder = std::env::temp_dir().join(format!("tollgate-grammar-{}", std::process::id()));
        let mut check = Check::new(&folder);
        for first in (b'0'..).take(FILES) {
            let (mut long, mut taken) = (0, 0);
            for seed in 0..80 {
                let text = grammar::afresh(first, FILES, 4096, &mut Dice::new(seed));
                if text.split(|octet| *octet == b'\n').count() > 20 {
                    long += 1;
                    taken += u32::from(check.takes(&text));
                }
            }
            assert!(long >= 30, "{first}: {long}");
            assert!(taken * 2 > long, "{first}: {taken} of {long}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
