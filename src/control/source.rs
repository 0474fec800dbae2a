//! Where configuration and bundle come from: files, or the sample inside the program.
//!
//! Promises: both are read through one door, so the sample goes through every check that a file does; with a file
//! given, nothing of the sample is used.

use super::fault::{Faults, Place};
use crate::limits::DOCUMENT_BYTES_MAX;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What `--config` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The embedded sample: no `--config`.
    Sample,
    /// This `tollgate.toml`.
    File(PathBuf),
}

/// The embedded `tollgate.toml`.
pub const SAMPLE_CONFIG: &str = include_str!("sample/tollgate.toml");

/// The embedded bundle: names relative to its folder, and contents.
pub const SAMPLE_BUNDLE: [(&str, &str); 5] = [
    ("domains.toml", include_str!("sample/bundle/domains.toml")),
    ("policies.toml", include_str!("sample/bundle/policies.toml")),
    (
        "subscribers.csv",
        include_str!("sample/bundle/subscribers.csv"),
    ),
    (
        "lists/agents.csv",
        include_str!("sample/bundle/lists/agents.csv"),
    ),
    (
        "lists/numbers.csv",
        include_str!("sample/bundle/lists/numbers.csv"),
    ),
];

/// Writes the sample into `folder` as files to start from: `tollgate.toml`, and the bundle in `bundle/`. Makes the folder
/// if need be. Returns what was written, `tollgate.toml` first.
///
/// # Errors
/// A sentence, when one of the files is there already (then none is written) or cannot be written.
pub fn write_sample(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = without_dots(folder);
    let bundle = folder.join("bundle");
    let files: Vec<(PathBuf, &str)> =
        std::iter::once((folder.join("tollgate.toml"), SAMPLE_CONFIG))
            .chain(SAMPLE_BUNDLE.map(|(name, text)| (bundle.join(name), text)))
            .collect();
    if let Some((taken, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(format!(
            "{} is there already; nothing was written",
            taken.display()
        ));
    }
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    for (path, text) in &files {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        // Not `fs::write`: a file that came to be since the look above stays as it is.
        File::create_new(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| failed(path, error))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

impl Source {
    /// The name of the configuration in sentences.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Sample => "sample/tollgate.toml".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The text of `tollgate.toml`.
    pub(super) fn text(&self) -> Result<String, Unread> {
        match self {
            Self::Sample => Ok(SAMPLE_CONFIG.to_owned()),
            Self::File(path) => {
                let file = File::open(path).map_err(|error| Unread::of(unreadable(&error)))?;
                document(Box::new(file))
            }
        }
    }

    /// A path of the configuration, which is relative to its file; of the sample, to the working directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        match self {
            Self::Sample => PathBuf::from(path),
            Self::File(config) => {
                let folder = config.parent().unwrap_or(Path::new(""));
                without_dots(&folder.join(path))
            }
        }
    }

    /// The bundle that `[bundle] path` names.
    pub(super) fn folder(&self, path: &str) -> Folder {
        match self {
            Self::Sample => Folder::Sample,
            Self::File(_) => Folder::Disk(self.resolve(path)),
        }
    }
}

/// The same path without what says nothing: `a/./b//c/` is `a/b/c`. A `..` stays, since a link may stand before it, and so
/// does a `.` at the beginning.
fn without_dots(path: &Path) -> PathBuf {
    path.components().collect()
}

/// The folder of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    Sample,
    Disk(PathBuf),
}

impl Folder {
    /// A file of the bundle as the operator would open it.
    pub(super) fn display(&self, name: &str) -> String {
        match self {
            Self::Sample => format!("sample/bundle/{name}"),
            Self::Disk(path) => path.join(name).display().to_string(),
        }
    }

    /// Names of all files in the folder and in `lists`, sorted, hidden ones left out; folders end in `/`.
    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        let mut names = match self {
            Self::Sample => SAMPLE_BUNDLE
                .iter()
                .map(|&(name, _)| name.to_owned())
                .collect(),
            Self::Disk(path) => {
                let mut names = names_in(path, "").map_err(|error| unreadable(&error))?;
                let lists = path.join("lists");
                if lists.is_dir() {
                    names.extend(
                        names_in(&lists, "lists/")
                            .map_err(|error| format!("lists/ {}", unreadable(&error)))?,
                    );
                }
                names
            }
        };
        names.sort();
        Ok(names)
    }

    /// Opens a file of the bundle.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read>, String> {
        match self {
            Self::Sample => SAMPLE_BUNDLE
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| -> Box<dyn Read> { Box::new(text.as_bytes()) })
                .ok_or_else(|| "is not in the sample".to_owned()),
            Self::Disk(path) => {
                let file = File::open(path.join(name)).map_err(|error| unreadable(&error))?;
                Ok(Box::new(file))
            }
        }
    }
}

/// Why the text of a document is not to be had.
#[derive(Debug)]
pub(super) struct Unread {
    place: Option<Place>,
    sentence: String,
}

impl Unread {
    fn of(sentence: String) -> Self {
        Self {
            place: None,
            sentence,
        }
    }

    /// Adds it to the faults of `file`.
    pub(super) fn report(self, file: &str, faults: &mut Faults) {
        match self.place {
            Some(place) => faults.at(file, place, self.sentence),
            None => faults.whole_file(file, self.sentence),
        }
    }
}

/// Reads a document whole, up to its bound.
pub(super) fn document(reader: Box<dyn Read>) -> Result<String, Unread> {
    let mut bytes = Vec::new();
    reader
        .take(DOCUMENT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Unread::of(unreadable(&error)))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(Unread::of(format!(
            "is longer than {} MiB; what grows belongs into the CSV files",
            DOCUMENT_BYTES_MAX >> 20
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
        let line = before.matches('\n').count() as u64 + 1;
        let in_line = before.rsplit('\n').next().unwrap_or_default();
        Unread {
            place: Some(Place {
                line,
                column: in_line.chars().count() as u64 + 1,
            }),
            sentence: "is not UTF-8".to_owned(),
        }
    })
}

/// Why a file could not be read, as the end of a sentence that begins with its name.
pub(super) fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

fn names_in(path: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let slash = if entry.path().is_dir() { "/" } else { "" };
        names.push(format!("{prefix}{name}{slash}"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_configuration_are_shown_without_dots_between() {
        let shown = |config: &str, path: &str| {
            let source = Source::File(config.into());
            source.resolve(path).display().to_string()
        };
        for (config, path, wanted) in [
            (
                "my-node/tollgate.toml",
                "./tollgate-state",
                "my-node/tollgate-state",
            ),
            ("my-node/tollgate.toml", "bundle/", "my-node/bundle"),
            ("/etc/tollgate.toml", "././a/.//b", "/etc/a/b"),
            ("/etc/tollgate.toml", "/var/./lib", "/var/lib"),
            ("tollgate.toml", "./tollgate-state", "./tollgate-state"),
            ("./tollgate.toml", "state", "./state"),
            // Where a link leads is not seen from its name.
            ("a/tollgate.toml", "../b/./c", "a/../b/c"),
            ("a/tollgate.toml", "...", "a/..."),
        ] {
            assert_eq!(shown(config, path), wanted, "{config} {path}");
        }
    }
}
