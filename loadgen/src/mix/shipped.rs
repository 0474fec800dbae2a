//! The mixes that come with the program.

use crate::mix::Definition;
use crate::mix::read::read;

/// The mix that is used when none is named.
pub const STANDARD: &str = "default";

/// Name and text of each.
pub const SHIPPED: &[(&str, &str)] = &[
    ("default", include_str!("shipped/default.toml")),
    ("business-day", include_str!("shipped/business-day.toml")),
    ("irsf-burst", include_str!("shipped/irsf-burst.toml")),
    ("irsf-slow", include_str!("shipped/irsf-slow.toml")),
    (
        "targeted-pumping",
        include_str!("shipped/targeted-pumping.toml"),
    ),
    ("number-range", include_str!("shipped/number-range.toml")),
    ("wangiri", include_str!("shipped/wangiri.toml")),
    (
        "many-spellings",
        include_str!("shipped/many-spellings.toml"),
    ),
    ("scanners", include_str!("shipped/scanners.toml")),
    (
        "stolen-credentials",
        include_str!("shipped/stolen-credentials.toml"),
    ),
    (
        "rotating-callers",
        include_str!("shipped/rotating-callers.toml"),
    ),
    ("malformed", include_str!("shipped/malformed.toml")),
    (
        "retransmission-storm",
        include_str!("shipped/retransmission-storm.toml"),
    ),
    ("tdos", include_str!("shipped/tdos.toml")),
];

/// The text of a shipped mix.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    let known = SHIPPED.iter().find(|(known, _)| *known == name);
    known.map(|(_, text)| *text)
}

/// A shipped mix.
#[must_use]
pub fn find(name: &str) -> Option<Definition> {
    // A test reads each of them.
    read(name, name, text(name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_mix_is_without_fault() {
        for (name, text) in SHIPPED {
            let mix = read(name, name, text).unwrap_or_else(|faults| panic!("{faults}"));
            assert!(mix.about.ends_with('.'), "{name}");
        }
        assert!(find(STANDARD).is_some());
    }
}
