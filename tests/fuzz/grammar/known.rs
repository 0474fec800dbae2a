//! What the grammar knows, for the test that holds it against what there is (`tests/fuzz_grammar.rs`).

use super::files::{Field, File, UNREAD, file};
use std::collections::BTreeSet;

/// The keys of all documents, each with its table, as `[admin] http`. What is written as a table in one line has keys of
/// its own where `tables` names it: `[policy.unknown] prefix`.
pub(crate) fn keys(files: usize, tables: &BTreeSet<String>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for block in all(files).filter_map(document).flatten() {
        for (key, field) in block.keys {
            let below = format!("[{}.{key}]", block.heading.trim_matches(['[', ']']));
            match field {
                Field::Inline(fields) if tables.contains(&below) => {
                    known.extend(fields.iter().map(|(name, _)| format!("{below} {name}")));
                }
                _ => {
                    known.insert(format!("{} {key}", block.heading));
                }
            }
        }
    }
    known
}

/// Those of the keys that nobody reads.
pub(crate) fn unread() -> BTreeSet<String> {
    UNREAD.iter().map(|key| (*key).to_owned()).collect()
}

/// The headings of all tables of rows.
pub(crate) fn headings(files: usize) -> BTreeSet<&'static str> {
    let heading = |file| match file {
        File::Table(heading, fields) => {
            assert_eq!(heading.split(',').count(), fields.len(), "{heading}");
            Some(heading.trim_end())
        }
        File::Document(_) => None,
    };
    all(files).filter_map(heading).collect()
}

fn all(files: usize) -> impl Iterator<Item = File> {
    (b'0'..).take(files).map(move |first| file(first, files))
}

fn document(file: File) -> Option<super::files::Document> {
    match file {
        File::Document(blocks) => Some(blocks),
        File::Table(..) => None,
    }
}
