//! The last bundle that was put in force, kept in the state folder: a copy of its files, for the day when the bundle's
//! own folder is broken and the node must start.
//!
//! Promises: the copy is the bundle that was read, octet for octet (its generation is compared), and is whole at every
//! moment: a symbolic link names the copy, and only the link is replaced. What was kept before is removed after that.

use super::bundle;
use super::fault::{Faults, Findings};
use super::source::{Folder, Source};
use super::table::FileDigest;
use crate::policy::rows::Rows;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{self, Path, PathBuf};

/// The link in the state folder.
const LINK: &str = "last-good";

/// What copies are called: this and their generation.
const COPY: &str = "bundle-";

/// Octets copied at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Where a node's bundle is read from, again and again.
#[derive(Debug, Clone)]
pub struct BundleSource {
    folder: Folder,
    state_dir: PathBuf,
}

/// A bundle that may be put in force.
#[derive(Debug)]
pub struct Bundle {
    /// What it says.
    pub rows: Rows,
    /// What is right but will surprise; one sentence each.
    pub warnings: Vec<String>,
}

impl BundleSource {
    pub(super) fn new(source: &Source, path: &str, state_dir: &Path) -> Self {
        Self {
            folder: source.folder(path),
            state_dir: state_dir.to_owned(),
        }
    }

    /// Where that is, as a node and whoever asks it both say it: an absolute path.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.folder {
            Folder::Sample => "the sample inside the program".to_owned(),
            Folder::Disk(path) => path::absolute(path)
                .unwrap_or_else(|_| path.clone())
                .display()
                .to_string(),
        }
    }

    /// The generation of the files as they are now, right or wrong.
    ///
    /// # Errors
    /// A sentence, when one cannot be read.
    pub fn generation(&self) -> Result<String, String> {
        generation_of(&self.folder)
    }

    /// Reads and checks the bundle as it is now.
    ///
    /// # Errors
    /// All of its faults.
    pub fn read(&self) -> Result<Bundle, Faults> {
        read(&self.folder)
    }

    /// Keeps the bundle's files as the last good ones, if they are those that `generation` was read from. Does nothing
    /// when they are kept already, or when the bundle is the one inside the program.
    ///
    /// # Errors
    /// A sentence: the files have changed since, or the state folder cannot be written.
    pub fn keep(&self, generation: &str) -> Result<(), String> {
        let Folder::Disk(folder) = &self.folder else {
            return Ok(());
        };
        let link = self.state_dir.join(LINK);
        let name = format!("{COPY}{generation}");
        if fs::read_link(&link).is_ok_and(|kept| kept == Path::new(&name)) {
            return Ok(());
        }
        let copy = self.state_dir.join(&name);
        let unkept =
            |error: io::Error| format!("the bundle cannot be kept in {}: {error}", copy.display());
        // Left over from a start that ended in the middle of this.
        remove(&copy).map_err(unkept)?;
        let names = self.folder.names()?;
        let mut digests = Vec::new();
        for file in names.into_iter().filter(|file| bundle::is_read(file)) {
            let digest = copy_file(&folder.join(&file), &copy.join(&file)).map_err(unkept)?;
            digests.push((file, digest));
        }
        if bundle::generation(&digests) != generation {
            remove(&copy).map_err(unkept)?;
            return Err(format!(
                "{} has changed while it was read; it is in force as it was read, but not kept as the last good bundle",
                folder.display()
            ));
        }
        point(&self.state_dir, &link, &name)
            .and_then(|()| remove_others(&self.state_dir, &name))
            .map_err(unkept)
    }

    /// Reads the bundle that was kept; `None` when none ever was.
    ///
    /// # Errors
    /// Why it is of no use, as a sentence.
    pub fn read_kept(&self) -> Result<Option<Bundle>, String> {
        let link = self.state_dir.join(LINK);
        let name = match fs::read_link(&link) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read: {error}", link.display())),
        };
        let copy = self.state_dir.join(&name);
        let shown = copy.display();
        let changed = || format!("the bundle kept in {shown} was changed by somebody");
        let kept = name.to_str().and_then(|name| name.strip_prefix(COPY));
        let folder = Folder::Disk(copy.clone());
        // Before anything is made of it: what was changed is said to be changed, whatever else is wrong with it.
        let there = generation_of(&folder).ok();
        if there.is_none() || there.as_deref() != kept {
            return Err(changed());
        }
        let bundle = read(&folder).map_err(|faults| {
            format!("the bundle kept in {shown} is refused by this version:\n{faults}")
        })?;
        // The very octets that the rows were made of.
        if kept != Some(&*bundle.rows.generation) {
            return Err(changed());
        }
        Ok(Some(bundle))
    }
}

/// The generation of the files as they are, without reading anything into them.
fn generation_of(folder: &Folder) -> Result<String, String> {
    let mut digests = Vec::new();
    let names = folder.names()?;
    for file in names.into_iter().filter(|file| bundle::is_read(file)) {
        let mut source = folder.open(&file)?;
        let digest = hash(&mut source, &mut io::sink()).map_err(|error| error.to_string())?;
        digests.push((file, digest));
    }
    Ok(bundle::generation(&digests))
}

fn read(folder: &Folder) -> Result<Bundle, Faults> {
    let mut findings = Findings::default();
    let rows = bundle::read(folder, &mut findings);
    findings.faults.sort();
    if !findings.faults.is_empty() {
        return Err(findings.faults);
    }
    Ok(Bundle {
        rows,
        warnings: findings.into_warnings(),
    })
}

/// Copies a file and hashes what was copied; it is on the disk when this returns.
fn copy_file(from: &Path, to: &Path) -> io::Result<FileDigest> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut to = File::create_new(to)?;
    let digest = hash(&mut File::open(from)?, &mut to)?;
    to.sync_all()?;
    Ok(digest)
}

/// Hashes what is copied.
fn hash(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<FileDigest> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk)?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        hash.update(read);
        to.write_all(read)?;
    }
    Ok(hash.finalize().into())
}

/// Puts a link to `name` in place of the one that is there.
fn point(state_dir: &Path, link: &Path, name: &str) -> io::Result<()> {
    let copy = state_dir.join(name);
    for folder in [copy.join("lists"), copy] {
        if folder.is_dir() {
            File::open(folder)?.sync_all()?;
        }
    }
    let beside = state_dir.join(format!("{LINK}.new"));
    remove(&beside)?;
    std::os::unix::fs::symlink(name, &beside)?;
    fs::rename(&beside, link)?;
    File::open(state_dir)?.sync_all()
}

/// Removes copies that the link does not name.
fn remove_others(state_dir: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(state_dir)? {
        let entry = entry?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file.starts_with(COPY) && file != name {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file, a link or a folder; one that is not there is as good as removed.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::SAMPLE_BUNDLE;
    use super::*;

    /// A bundle folder and a state folder, both new.
    fn source(name: &str) -> (PathBuf, BundleSource) {
        let unique = format!("tollgate-last-good-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(unique);
        remove(&root).unwrap();
        let folder = root.join("bundle");
        for (file, text) in SAMPLE_BUNDLE {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let state_dir = root.join("state");
        fs::create_dir_all(&state_dir).unwrap();
        let source = BundleSource {
            folder: Folder::Disk(folder),
            state_dir,
        };
        (root, source)
    }

    fn kept(source: &BundleSource) -> Option<String> {
        let bundle = source.read_kept().unwrap()?;
        Some(bundle.rows.generation)
    }

    #[test]
    fn what_was_kept_is_what_was_read_and_only_the_newest() {
        let (root, source) = source("newest");
        assert_eq!(kept(&source), None);
        let mut generations = Vec::new();
        for numbers in ["scope,kind,match,verdict,code,reason,source,expires\n", ""] {
            let list = root.join("bundle/lists/more.csv");
            fs::write(&list, numbers).unwrap();
            if numbers.is_empty() {
                fs::remove_file(&list).unwrap();
            }
            let generation = source.read().unwrap().rows.generation;
            source.keep(&generation).unwrap();
            source.keep(&generation).unwrap();
            assert_eq!(kept(&source), Some(generation.clone()));
            generations.push(generation);
        }
        assert_ne!(generations[0], generations[1]);
        // The link and one copy.
        assert_eq!(fs::read_dir(root.join("state")).unwrap().count(), 2);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_bundle_that_changed_is_not_kept_and_a_copy_that_changed_not_used() {
        let (root, source) = source("changed");
        let generation = source.read().unwrap().rows.generation;
        let domains = root.join("bundle/domains.toml");
        let text = fs::read_to_string(&domains).unwrap();
        fs::write(&domains, format!("{text}\n# later\n")).unwrap();
        assert!(
            source
                .keep(&generation)
                .unwrap_err()
                .contains("has changed")
        );
        assert_eq!(kept(&source), None);

        fs::write(&domains, &text).unwrap();
        source.keep(&generation).unwrap();
        fs::write(&domains, "broken").unwrap();
        assert!(source.read().is_err());
        assert_eq!(kept(&source), Some(generation));
        let kept = root.join("state/last-good/domains.toml");
        // Whether it could be read or not: nothing is made of what is not the copy.
        for changed in [format!("{text}\n# by hand\n"), "broken".to_owned()] {
            fs::write(&kept, changed).unwrap();
            assert!(
                source
                    .read_kept()
                    .unwrap_err()
                    .ends_with("was changed by somebody")
            );
        }
        fs::remove_file(&kept).unwrap();
        assert!(
            source
                .read_kept()
                .unwrap_err()
                .ends_with("was changed by somebody")
        );
        fs::remove_dir_all(&root).unwrap();
    }
}
