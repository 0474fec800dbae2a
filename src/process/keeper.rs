//! Keeps the counters and the holds in the state folder: holds within a second of a change, counters so often that what
//! `kill -9` leaves is at most a minute old, both at the stop. A thread for each, so that no large table keeps a hold waiting.
//!
//! Promises: what is on the disk is whole at every moment (written beside, fsync, renamed); a file that cannot be taken is
//! said and set aside under another name, so that nothing overwrites it; no shard waits for any of it.
//! Leaves to `counters`: what the files hold.

use super::say;
use crate::clock::{Clock, Now};
use crate::counters::{Counters, StateFault, StateKind};
use crate::limits::CONTROL_NICE;
use crate::policy::Code;
use crate::sys;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often is looked what is due: with the writing, a hold is on the disk within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often the counters are written, nanoseconds. With a quarter of a minute for the writing they are a minute old at most.
const COUNTERS_EVERY_NS: u64 = 45_000_000_000;

/// Writes one of the things that must outlive the process.
#[derive(Debug)]
pub(super) struct Keeper {
    kind: StateKind,
    counters: Arc<Counters>,
    folder: PathBuf,
    /// The changes of holds that are on the disk.
    changes_kept: u64,
    /// When the last writing began.
    kept_ns: u64,
    /// What kept the last writing from succeeding, so that it is said once.
    trouble: Option<io::ErrorKind>,
}

fn file(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Counters => "counters",
        StateKind::Holds => "holds",
    }
}

fn name_of_code(number: u16) -> [u8; 3] {
    let code = Code::ALL.get(usize::from(number)).copied();
    let text = code.unwrap_or(Code::A00).text().as_bytes();
    text.first_chunk().copied().unwrap_or_default()
}

fn code_of_name(name: [u8; 3]) -> Option<u16> {
    let code = Code::from_text(str::from_utf8(&name).ok()?)?;
    u16::try_from(code.index()).ok()
}

impl Keeper {
    /// Takes what the state folder holds. What cannot be taken is a sentence in the returned text, as is what was.
    pub(super) fn open(counters: &Arc<Counters>, folder: &Path, now: Now) -> ([Self; 2], String) {
        let kinds = [StateKind::Counters, StateKind::Holds];
        let mut said = String::new();
        let mut whole = Vec::new();
        for kind in kinds {
            let path = folder.join(file(kind));
            match examine(counters, kind, &path) {
                Ok(None) => {}
                Ok(Some(saved)) => {
                    counters.resume(&saved, now);
                    whole.push((kind, path));
                }
                Err(fault) => said += &refuse(kind, &path, &fault, now),
            }
        }
        for (kind, path) in whole {
            match restore(counters, kind, &path, now) {
                Ok(0) => {}
                Ok(records) => {
                    said += &format!("{}: {records} of before the start\n", file(kind));
                }
                Err(fault) => said += &refuse(kind, &path, &fault, now),
            }
        }
        let keepers = kinds.map(|kind| Self {
            kind,
            changes_kept: counters.hold_changes(),
            counters: Arc::clone(counters),
            folder: folder.to_owned(),
            kept_ns: now.monotonic_ns,
            trouble: None,
        });
        (keepers, said)
    }

    /// What its thread is called.
    pub(super) fn name(&self) -> String {
        format!("keep-{}", file(self.kind))
    }

    /// Writes what is due until told to stop, and then once more.
    pub(super) fn run(mut self, clock: Clock, stop: &Receiver<()>) {
        // Not idle: a machine whose cores are all busy would keep nothing, and its stop would not come to an end.
        let _nicer = sys::nice(CONTROL_NICE);
        while stop.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            self.step(clock.now());
        }
        self.keep(clock.now());
    }

    fn step(&mut self, now: Now) {
        match self.kind {
            StateKind::Holds => {
                // Read before the holds are, so that one placed meanwhile is a change the next time.
                let changes = self.counters.hold_changes();
                if changes != self.changes_kept && self.keep(now) {
                    self.changes_kept = changes;
                }
            }
            StateKind::Counters => {
                if now.monotonic_ns.saturating_sub(self.kept_ns) >= COUNTERS_EVERY_NS {
                    self.keep(now);
                    self.kept_ns = now.monotonic_ns;
                }
            }
        }
    }

    /// Whether it is on the disk now.
    fn keep(&mut self, now: Now) -> bool {
        let written = write(&self.counters, self.kind, &self.folder, now);
        let failed = written.as_ref().err().map(io::Error::kind);
        if self.trouble != failed {
            let path = self.folder.join(file(self.kind));
            let shown = path.display();
            say(&match &written {
                Ok(()) => format!("{shown} is written again\n"),
                Err(error) => format!(
                    "warning: {shown} cannot be written: {error}; a restart would not find what is counted now\n"
                ),
            });
            self.trouble = failed;
        }
        written.is_ok()
    }
}

/// Says why a file is not taken, and sets it aside: the next writing would replace it, and with another key in its place by
/// mistake it is good for the right one.
fn refuse(kind: StateKind, path: &Path, fault: &StateFault, now: Now) -> String {
    let what = file(kind);
    let aside = path.with_extension(format!("refused-{}", now.unix_s()));
    let (shown, shown_aside) = (path.display(), aside.display());
    let kept = match fs::rename(path, &aside) {
        Ok(()) => format!("it is set aside as {shown_aside}"),
        Err(error) => {
            format!("it cannot be set aside as {shown_aside} ({error}) and will be overwritten")
        }
    };
    let remedy = match fault {
        StateFault::OtherKey => format!(
            "; to have its {what} back, stop the node, put the key of before back (node.key_file, or `key` beside it) and the file, too"
        ),
        StateFault::Unreadable(_) | StateFault::Foreign | StateFault::Torn => String::new(),
    };
    format!("warning: {shown} {fault}; it is ignored, and the {what} begin anew; {kept}{remedy}\n")
}

fn examine(
    counters: &Counters,
    kind: StateKind,
    path: &Path,
) -> Result<Option<crate::counters::Saved>, StateFault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateFault::Unreadable(error)),
    };
    counters.examine(kind, BufReader::new(file)).map(Some)
}

fn restore(counters: &Counters, kind: StateKind, path: &Path, now: Now) -> Result<u64, StateFault> {
    let from = BufReader::new(File::open(path)?);
    match kind {
        StateKind::Counters => counters.restore(now, from),
        StateKind::Holds => counters.restore_holds(now, code_of_name, from),
    }
}

/// Beside its place, to the disk, then renamed.
fn write(counters: &Counters, kind: StateKind, folder: &Path, now: Now) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(file(kind));
    let beside = path.with_extension("new");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    let mut out = BufWriter::with_capacity(1 << 16, file);
    match kind {
        StateKind::Counters => counters.save(now, &mut out)?,
        StateKind::Holds => counters.save_holds(now, name_of_code, &mut out)?,
    };
    out.flush()?;
    out.get_ref().sync_all()?;
    fs::rename(&beside, &path)?;
    // The name is on the disk when the folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_name_back() {
        for code in Code::ALL {
            let number = u16::try_from(code.index()).unwrap();
            assert_eq!(code_of_name(name_of_code(number)), Some(number));
        }
        assert_eq!(code_of_name(*b"???"), None);
    }

    fn at_s(seconds: u64) -> Now {
        Now {
            monotonic_ns: seconds * 1_000_000_000,
            unix_us: 1_790_000_000_000_000 + seconds * 1_000_000,
        }
    }

    #[test]
    fn counters_on_the_disk_are_never_a_minute_old() {
        let unique = format!("tollgate-keeper-{}", std::process::id());
        let folder = std::env::temp_dir().join(unique);
        let _absent = fs::remove_dir_all(&folder);
        let size = crate::counters::Size {
            keys: 64,
            attempts: 64,
        };
        let counters = Arc::new(Counters::new(size, [1; 32]).unwrap());
        let ([mut keeper, _], said) = Keeper::open(&counters, &folder, at_s(0));
        assert_eq!((keeper.kind, said.as_str()), (StateKind::Counters, ""));
        let path = folder.join(file(StateKind::Counters));
        let mut written_s = 0;
        for second in 1..400 {
            keeper.step(at_s(second));
            if path.exists() {
                fs::remove_file(&path).unwrap();
                written_s = second;
            }
            // A quarter of a minute is left for the writing itself.
            assert!(second - written_s <= 45, "{written_s} {second}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
