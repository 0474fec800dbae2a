//! The key of To tags: configured for a cluster, else drawn once and kept in the state folder.
//!
//! Promises: a restarted node has the key that it had, so that a CANCEL after the restart gets the tag of its INVITE;
//! only its user may read the file; half a key is never used.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Octets of a key.
pub(super) const KEY_BYTES: usize = 16;

const FILE: &str = "key";

/// Whether a key was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// From an earlier start.
    Kept,
    /// Just drawn.
    Drawn,
}

/// The key of this node's state folder; drawn and written there when it has none.
///
/// # Errors
/// A sentence: the folder or the file cannot be read or written, or the file holds no key.
pub(super) fn of_state_dir(state_dir: &Path) -> Result<([u8; KEY_BYTES], Origin), String> {
    let path = state_dir.join(FILE);
    let shown = path.display();
    match read(&path) {
        Ok(Some(key)) => return Ok((key, Origin::Kept)),
        Ok(None) => {
            return Err(format!(
                "{shown} does not hold a key of {KEY_BYTES} octets; remove it and a new one is drawn"
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    }
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| format!("no random octets for a key: {error}"))?;
    write(state_dir, &path, &key).map_err(|error| format!("{shown} cannot be written: {error}"))?;
    Ok((key, Origin::Drawn))
}

/// `None` when the file has another length.
fn read(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let mut octets = Vec::new();
    let bound = u64::try_from(KEY_BYTES + 1).unwrap_or(u64::MAX);
    fs::File::open(path)?.take(bound).read_to_end(&mut octets)?;
    Ok(<[u8; KEY_BYTES]>::try_from(octets).ok())
}

/// Whole or not at all: written beside its place, then renamed.
fn write(state_dir: &Path, path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    fs::create_dir_all(state_dir)?;
    let beside = state_dir.join(format!("{FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(key)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder(name: &str) -> std::path::PathBuf {
        let unique = format!("tollgate-key-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(unique);
        let _absent = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_key_is_drawn_once_and_kept_for_its_user_alone() {
        let folder = folder("once");
        let (first, origin) = of_state_dir(&folder).unwrap();
        assert_eq!(origin, Origin::Drawn);
        assert_ne!(first, [0; KEY_BYTES]);
        assert_eq!(of_state_dir(&folder), Ok((first, Origin::Kept)));
        let mode = fs::metadata(folder.join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn half_a_key_is_refused() {
        let folder = folder("half");
        fs::create_dir_all(&folder).unwrap();
        for length in [0, 1, 15, 17, 4000] {
            fs::write(folder.join(FILE), vec![1; length]).unwrap();
            let sentence = of_state_dir(&folder).unwrap_err();
            assert!(
                sentence.contains("does not hold a key of 16 octets"),
                "{sentence}"
            );
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = folder("file");
        fs::write(&folder, b"").unwrap();
        let sentence = of_state_dir(&folder.join("state")).unwrap_err();
        assert!(sentence.contains("state/key cannot be"), "{sentence}");
        fs::remove_file(&folder).unwrap();
    }
}
