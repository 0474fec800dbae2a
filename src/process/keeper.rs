//! Keeps the counters and the holds in the state folder: holds within a second of a change, counters once a minute, both at
//! the stop.
//!
//! Promises: what is on the disk is whole at every moment (written beside, fsync, renamed); a file that cannot be taken is
//! said and left where it is until the next one replaces it; no shard waits for any of it.
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

/// How often holds are looked at: with the writing, a hold is on the disk within a second.
const HOLDS_EVERY: Duration = Duration::from_millis(250);

/// How often the counters are written, nanoseconds.
const COUNTERS_EVERY_NS: u64 = 60_000_000_000;

/// Writes what must outlive the process.
#[derive(Debug)]
pub(super) struct Keeper {
    counters: Arc<Counters>,
    folder: PathBuf,
    /// The changes of holds that are on the disk.
    holds_kept: u64,
    counters_kept_ns: u64,
    /// What kept the last writing of each from succeeding, so that it is said once.
    trouble: [Option<io::ErrorKind>; 2],
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
    pub(super) fn open(counters: Arc<Counters>, folder: PathBuf, now: Now) -> (Self, String) {
        let mut said = String::new();
        let mut whole = Vec::new();
        for kind in [StateKind::Counters, StateKind::Holds] {
            let path = folder.join(file(kind));
            match examine(&counters, kind, &path) {
                Ok(None) => {}
                Ok(Some(saved)) => {
                    counters.resume(&saved, now);
                    whole.push((kind, path));
                }
                Err(fault) => said += &refusal(kind, &path, &fault),
            }
        }
        for (kind, path) in whole {
            match restore(&counters, kind, &path, now) {
                Ok(0) => {}
                Ok(records) => {
                    said += &format!("{}: {records} of before the start\n", file(kind));
                }
                Err(fault) => said += &refusal(kind, &path, &fault),
            }
        }
        let keeper = Self {
            holds_kept: counters.hold_changes(),
            counters,
            folder,
            counters_kept_ns: now.monotonic_ns,
            trouble: [None; 2],
        };
        (keeper, said)
    }

    /// Writes what is due until told to stop, and then everything.
    pub(super) fn run(mut self, clock: Clock, stop: &Receiver<()>) {
        // Not idle: a machine whose cores are all busy would keep no hold, and its stop would not come to an end.
        let _nicer = sys::nice(CONTROL_NICE);
        while stop.recv_timeout(HOLDS_EVERY) == Err(RecvTimeoutError::Timeout) {
            self.step(clock.now());
        }
        let now = clock.now();
        self.keep(StateKind::Holds, now);
        self.keep(StateKind::Counters, now);
    }

    fn step(&mut self, now: Now) {
        // Read before the holds are, so that one placed meanwhile is a change the next time.
        let changes = self.counters.hold_changes();
        if changes != self.holds_kept && self.keep(StateKind::Holds, now) {
            self.holds_kept = changes;
        }
        if now.monotonic_ns.saturating_sub(self.counters_kept_ns) >= COUNTERS_EVERY_NS {
            self.keep(StateKind::Counters, now);
            self.counters_kept_ns = now.monotonic_ns;
        }
    }

    /// Whether it is on the disk now.
    fn keep(&mut self, kind: StateKind, now: Now) -> bool {
        let written = write(&self.counters, kind, &self.folder, now);
        let failed = written.as_ref().err().map(io::Error::kind);
        let [counters, holds] = &mut self.trouble;
        let before = match kind {
            StateKind::Counters => counters,
            StateKind::Holds => holds,
        };
        if *before != failed {
            let path = self.folder.join(file(kind));
            let shown = path.display();
            say(&match &written {
                Ok(()) => format!("{shown} is written again\n"),
                Err(error) => format!(
                    "warning: {shown} cannot be written: {error}; a restart would not find what is counted now\n"
                ),
            });
            *before = failed;
        }
        written.is_ok()
    }
}

fn refusal(kind: StateKind, path: &Path, fault: &StateFault) -> String {
    format!(
        "warning: {} {fault}; it is ignored, and the {} begin anew\n",
        path.display(),
        file(kind)
    )
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
}
