//! What `--mix` names: a shipped mix or a file, with its share and the time at which it joins in.
//!
//! Promises: `NAME`, `NAME:WEIGHT`, `NAME@START`, `NAME:WEIGHT@START`; NAME is a shipped mix, or a path that ends in `.toml`; one path that
//! ends in `.csv` is a list of calls instead.

use std::path::Path;

use crate::clock::{Nanos, nanos};
use crate::limits::MIX_FILE_BYTES_MAX;
use crate::mix::read::read;
use crate::mix::shipped::{SHIPPED, text};
use crate::mix::{Definition, Mix, Times};
use crate::source::Calls;

/// One `--mix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// A shipped mix, or a path.
    pub name: String,
    /// Its share of the calls against those of the other mixes.
    pub weight: u64,
    /// When it joins in.
    pub start: Nanos,
}

/// Largest share of a mix.
const WEIGHT_MAX: u64 = 1_000_000;

/// Reads one `--mix`.
///
/// # Errors
/// What is expected.
pub fn selected(argument: &str) -> Result<Selected, String> {
    let (rest, start) = match argument.rsplit_once('@') {
        None => (argument, 0),
        Some((rest, start)) => (rest, nanos(crate::cli::time_of(start)?)),
    };
    let (name, weight) = match rest.rsplit_once(':') {
        None => (rest, 1),
        Some((name, weight)) => {
            let number = weight.parse().ok();
            let number = number.filter(|number| (1..=WEIGHT_MAX).contains(number));
            (
                name,
                number.ok_or_else(|| format!("a weight from 1 to {WEIGHT_MAX} behind the `:`"))?,
            )
        }
    };
    if name.is_empty() {
        return Err("NAME, NAME:WEIGHT, NAME@START or NAME:WEIGHT@START".to_owned());
    }
    Ok(Selected {
        name: name.to_owned(),
        weight,
        start,
    })
}

/// Reads one mix: a shipped one by name, or a file.
///
/// # Errors
/// Sentences for the operator, a line each.
pub fn definition(name: &str) -> Result<Definition, String> {
    if let Some(text) = text(name) {
        return read(name, name, text);
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|ending| ending != "toml") {
        let known: Vec<&str> = SHIPPED.iter().map(|(known, _)| *known).collect();
        return Err(format!(
            "no mix `{name}`; shipped are {}; a file of your own ends in .toml, a list of calls in .csv",
            known.join(", ")
        ));
    }
    let bytes_max = u64::try_from(MIX_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let text = crate::files::read_text(path, bytes_max)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    read(&stem, name, &text)
}

/// All mixes together.
///
/// # Errors
/// Sentences for the operator, a line each: every fault of every mix.
pub fn combined(mixes: &[Selected]) -> Result<Definition, String> {
    let mut read = Vec::new();
    let mut faults = Vec::new();
    for mix in mixes {
        match definition(&mix.name) {
            Ok(definition) => read.push((definition, mix.weight, mix.start)),
            Err(sentences) => faults.push(sentences),
        }
    }
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    Definition::combined(read)
}

/// The calls that `--mix` options ask for; without any, the default mix. `limited` is how many of them the limits of the
/// mixes judge, and what the clock on the wall says when they begin; `None`: the server has no limits.
///
/// # Errors
/// Sentences for the operator, a line each.
pub fn calls(
    mixes: &[Selected],
    seed: u64,
    times: Times,
    limited: Option<(u64, Nanos)>,
) -> Result<Calls, String> {
    match mixes {
        [] => Ok(Calls::Mix(Mix::standard(seed))),
        [only] if only.name.ends_with(".csv") => Ok(Calls::Listed {
            calls: crate::listing::read(Path::new(&only.name))?,
            own_times: false,
            label: only.name.clone(),
        }),
        several => {
            let mix = Mix::new(combined(several)?, seed, times)?;
            Ok(Calls::Mix(match limited {
                Some((calls, begins)) => mix.judged(calls, times, begins)?,
                None => mix,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_named_with_its_share_and_start() {
        let is = |name: &str, weight, start| {
            Ok(Selected {
                name: name.to_owned(),
                weight,
                start,
            })
        };
        for (text, meaning) in [
            ("tdos", is("tdos", 1, 0)),
            ("tdos:5", is("tdos", 5, 0)),
            ("tdos@10s", is("tdos", 1, 10_000_000_000)),
            ("a/b.toml:5@500ms", is("a/b.toml", 5, 500_000_000)),
        ] {
            assert_eq!(selected(text), meaning, "{text}");
        }
        for text in ["tdos:0", "tdos:x", "tdos@10", "", ":5"] {
            assert!(selected(text).is_err(), "{text}");
        }
    }

    #[test]
    fn faults_of_all_mixes_are_said_at_once() {
        let mixes = ["no-such", "none.toml", "tdos"].map(|name| selected(name).unwrap());
        let faults = combined(&mixes).unwrap_err();
        assert!(
            faults.contains("no mix `no-such`; shipped are default, "),
            "{faults}"
        );
        assert!(faults.contains("none.toml: "), "{faults}");
    }
}
