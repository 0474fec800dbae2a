//! One node a state folder: two would each write the holds and counts of the other away.
//!
//! Promises: a second node on the same folder is refused before it opens anything; the claim ends with the process,
//! however that ends.

use std::fs::{self, File, TryLockError};
use std::path::Path;

/// The file that is locked (flock(2)). What stands in it means nothing.
const FILE: &str = "lock";

/// Claims the folder for as long as what is returned lives; `None` where no lock can be had at all, such as in a folder that
/// cannot be written, which whoever needs to write there says.
///
/// # Errors
/// A sentence for the operator: another node has it.
pub(super) fn claim(state_dir: &Path) -> Result<Option<File>, String> {
    let opened = fs::create_dir_all(state_dir).and_then(|()| File::create(state_dir.join(FILE)));
    let Ok(file) = opened else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(format!(
            "node.state_dir {} belongs to another node that runs: give each node a folder of its own",
            state_dir.display()
        )),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_claimed_by_one_at_a_time() {
        let unique = format!("tollgate-claim-{}", std::process::id());
        let folder = std::env::temp_dir().join(unique);
        let first = claim(&folder).unwrap();
        assert!(first.is_some());
        let fault = claim(&folder).unwrap_err();
        assert!(
            fault.contains("another node") && fault.contains("tollgate-claim"),
            "{fault}"
        );
        drop(first);
        assert!(claim(&folder).unwrap().is_some());
        fs::remove_dir_all(&folder).unwrap();
        assert!(claim(Path::new("/proc/no-folder")).unwrap().is_none());
    }
}
