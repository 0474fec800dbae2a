//! The journal's files: one that is written, older ones beside it.
//!
//! Promises: a file ends with a whole line before another one is begun; an unfinished line is cut when the file is
//! opened, and what of it is still here is written again; an operation that fails is counted and tried again; what waits
//! for the disk is bounded, and what finds no room is refused to the caller.
//!
//! The file that is written has the configured name. When the time or the size of `rotate` has come it is renamed to
//! `NAME.20261123T010000Z` (the time at which it was closed; with `-001` and so on when that name is taken), and kept until that time
//! is `keep` ago. Lines are handed to the kernel within some hundredths of a second; it writes them to the disk when it
//! sees fit (fdatasync is called when a file is closed, not for every line), so a kill loses nothing that was handed
//! over, and a power failure may lose the last half minute.

use super::stamp::{file_stamp, parse_file_stamp};
use crate::clock::Now;
use crate::limits::JOURNAL_PENDING_BYTES_MAX;
use crate::metrics::JournalMetrics;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// How long until a failed operation is tried again.
const RETRY_NS: u64 = 500_000_000;

/// How often the folder is looked at: is our file still there, are others too old.
const LOOK_NS: u64 = 1_000_000_000;
const SWEEP_NS: u64 = 60_000_000_000;

/// When a new file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// At each multiple of so many seconds since 1970 UTC.
    Seconds(u64),
    /// Before a file would grow beyond so many octets.
    Bytes(u64),
}

/// Why a journal cannot be: a sentence for the operator.
#[derive(Debug)]
pub struct OpenFault(pub(super) String);

impl std::fmt::Display for OpenFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for OpenFault {}

/// The files, and the lines that wait for them.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    rotation: Rotation,
    keep_s: u64,
    metrics: Arc<JournalMetrics>,
    open: Option<Open>,
    /// Whole lines, of which the first `written` octets are in the file.
    pending: Vec<u8>,
    written: usize,
    retry_ns: u64,
    rotate_again_ns: u64,
    look_ns: u64,
    sweep_ns: u64,
    failing: Option<String>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// When its last line was written before it was opened, or when it was begun: says whether its time is over.
    of_s: u64,
    /// `None`: no regular file (a device); it is neither rotated nor cut nor missed.
    inode: Option<(u64, u64)>,
}

impl JournalFile {
    /// Opens the file. A disk that is full or fails is no fault: it is tried again.
    pub(super) fn open(
        path: &Path,
        rotation: Rotation,
        keep_s: u64,
        metrics: Arc<JournalMetrics>,
        now: Now,
    ) -> Result<Self, OpenFault> {
        let mut this = Self {
            path: path.to_owned(),
            rotation,
            keep_s,
            metrics,
            open: None,
            pending: Vec::new(),
            written: 0,
            retry_ns: 0,
            rotate_again_ns: 0,
            look_ns: now.monotonic_ns.saturating_add(LOOK_NS),
            sweep_ns: 0,
            failing: None,
        };
        let shown = path.display();
        if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty())
            && let Err(error) = fs::create_dir_all(folder)
        {
            let folder = folder.display();
            return Err(OpenFault(format!(
                "journal.path {shown}: the folder {folder} cannot be made: {error}"
            )));
        }
        if let Ok(metadata) = fs::metadata(path)
            && !metadata.is_file()
            && !metadata.file_type().is_char_device()
        {
            return Err(OpenFault(format!("journal.path {shown} is no file")));
        }
        match this.reopen(now) {
            Ok(()) => {}
            Err(error) if is_of_the_disk(&error) => this.failed(&error, now),
            Err(error) => {
                return Err(OpenFault(format!(
                    "journal.path {shown} cannot be opened: {error}"
                )));
            }
        }
        Ok(this)
    }

    /// Takes whole lines; false, and nothing taken, when so many wait already that there is no room.
    pub(super) fn push(&mut self, lines: &[u8]) -> bool {
        if self.pending_bytes() + lines.len() > JOURNAL_PENDING_BYTES_MAX {
            return false;
        }
        self.pending.extend_from_slice(lines);
        true
    }

    /// Octets that wait.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len().saturating_sub(self.written)
    }

    /// What fails at present, as a sentence.
    pub(super) fn failing(&self) -> Option<&str> {
        self.failing.as_deref()
    }

    /// Lines that wait.
    pub(super) fn pending_lines(&self) -> impl Iterator<Item = &[u8]> {
        let start = line_start(&self.pending, self.written);
        let waiting = self.pending.get(start..).unwrap_or_default();
        waiting.split_inclusive(|octet| *octet == b'\n')
    }

    /// Does what is due: rotates, writes what waits, looks after the folder.
    pub(super) fn work(&mut self, now: Now) {
        if now.monotonic_ns < self.retry_ns {
            return;
        }
        if now.monotonic_ns >= self.look_ns {
            self.look_ns = now.monotonic_ns.saturating_add(LOOK_NS);
            self.close_if_missed();
        }
        if now.monotonic_ns >= self.sweep_ns {
            self.sweep_ns = now.monotonic_ns.saturating_add(SWEEP_NS);
            self.sweep(now);
        }
        match self.write(now) {
            Ok(()) => self.failing = None,
            Err(error) => self.failed(&error, now),
        }
    }

    /// Writes what waits and sees it on the disk.
    pub(super) fn finish(&mut self, now: Now) {
        self.retry_ns = 0;
        self.work(now);
        self.sync();
    }

    fn failed(&mut self, error: &io::Error, now: Now) {
        self.metrics.write_failures.add(1);
        self.failing = Some(format!("{}: {error}", self.path.display()));
        self.retry_ns = now.monotonic_ns.saturating_add(RETRY_NS);
        let line_start = line_start(&self.pending, self.written);
        self.pending.drain(..line_start);
        self.written -= line_start;
        // A full disk keeps what it has; after any other error nobody knows what the file holds until it is looked at.
        if error.kind() != io::ErrorKind::StorageFull {
            self.open = None;
        }
    }

    fn write(&mut self, now: Now) -> io::Result<()> {
        while self.pending_bytes() > 0 {
            if self.open.is_none() {
                self.reopen(now)?;
            }
            let room = self.room(now)?;
            let (Some(open), Some(waiting)) = (&mut self.open, self.pending.get(self.written..))
            else {
                return Ok(());
            };
            let chunk = match waiting.get(..room) {
                // Only whole lines.
                Some(fitting) => match fitting.iter().rposition(|octet| *octet == b'\n') {
                    Some(end) => waiting.get(..=end).unwrap_or(waiting),
                    None => waiting,
                },
                None => waiting,
            };
            match open.file.write(chunk) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let lines = chunk.iter().take(count).filter(|octet| **octet == b'\n');
                    self.metrics.lines.add(lines.count() as u64);
                    open.bytes = open.bytes.saturating_add(count as u64);
                    self.written += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        self.written = 0;
        Ok(())
    }

    /// How many octets still belong into the open file, after a new one was begun if it was time.
    fn room(&mut self, now: Now) -> io::Result<usize> {
        let Some(open) = &mut self.open else {
            return Ok(usize::MAX);
        };
        let at_line_start = line_start(&self.pending, self.written) == self.written;
        let movable = open.inode.is_some() && open.bytes > 0 && at_line_start;
        let first_line = self
            .pending
            .get(self.written..)
            .and_then(|waiting| waiting.iter().position(|octet| *octet == b'\n'))
            .map_or(0, |end| end as u64 + 1);
        let (due, room) = match self.rotation {
            Rotation::Seconds(seconds) => {
                let due = now.unix_s() / seconds.max(1) != open.of_s / seconds.max(1);
                (due, u64::MAX)
            }
            Rotation::Bytes(bytes) => {
                let due = open.bytes.saturating_add(first_line) > bytes;
                (due, bytes.saturating_sub(open.bytes).max(first_line))
            }
        };
        if !due || !movable || now.monotonic_ns < self.rotate_again_ns {
            return Ok(usize::try_from(room).unwrap_or(usize::MAX));
        }
        self.sync();
        if self.put_aside(now).is_err() {
            // The lines still have a file; only its name waits.
            self.rotate_again_ns = now.monotonic_ns.saturating_add(RETRY_NS);
            self.metrics.write_failures.add(1);
            return Ok(usize::MAX);
        }
        self.open = None;
        self.reopen(now)?;
        self.sweep(now);
        Ok(match self.rotation {
            Rotation::Seconds(_) => usize::MAX,
            Rotation::Bytes(bytes) => usize::try_from(bytes.max(first_line)).unwrap_or(usize::MAX),
        })
    }

    /// Gives the file the name under which it is kept.
    fn put_aside(&self, now: Now) -> io::Result<()> {
        let stamp = file_stamp(now.unix_s());
        let mut number = 0_u32;
        loop {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{stamp}"));
            if number > 0 {
                name.push(format!("-{number:03}"));
            }
            if fs::symlink_metadata(&name).is_err() {
                return fs::rename(&self.path, &name);
            }
            number += 1;
        }
    }

    /// Opens the file, cuts an unfinished line, and goes back to the start of the one that was being written.
    fn reopen(&mut self, now: Now) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path)?;
        let metadata = file.metadata()?;
        let mut open = Open {
            bytes: metadata.len(),
            of_s: now.unix_s(),
            inode: metadata.is_file().then(|| (metadata.dev(), metadata.ino())),
            file: file.try_clone()?,
        };
        if open.inode.is_some() {
            if open.bytes > 0 {
                let modified = metadata.modified().ok();
                let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                open.of_s = since.map_or(0, |since| since.as_secs());
            }
            let whole = whole_lines_end(&mut file, open.bytes)?;
            if whole < open.bytes {
                file.set_len(whole)?;
                open.bytes = whole;
                self.metrics.torn.add(1);
            }
        }
        self.written = line_start(&self.pending, self.written);
        self.open = Some(open);
        Ok(())
    }

    /// Lets go of a file that somebody else has moved or removed; the next line begins a new one.
    fn close_if_missed(&mut self) {
        let Some(inode) = self.open.as_ref().and_then(|open| open.inode) else {
            return;
        };
        let there = fs::metadata(&self.path).map(|metadata| (metadata.dev(), metadata.ino()));
        if there.is_ok_and(|there| there == inode) {
            return;
        }
        self.open = None;
    }

    fn sync(&self) {
        let Some(open) = &self.open else { return };
        if open.inode.is_some() && open.file.sync_data().is_err() {
            self.metrics.write_failures.add(1);
        }
    }

    /// Removes files that were closed longer ago than they are kept.
    fn sweep(&self, now: Now) {
        let Some(name) = self.path.file_name() else {
            return;
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // A folder that cannot be read is one whose files cannot be removed either: tried again in a minute.
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            let closed_s = closed_at(name, &entry.file_name());
            let old =
                closed_s.is_some_and(|closed| closed.saturating_add(self.keep_s) <= now.unix_s());
            if old && fs::remove_file(entry.path()).is_err() {
                self.metrics.write_failures.add(1);
            }
        }
    }
}

/// When the file `entry` was put aside, if it is an old one of `name`.
fn closed_at(name: &std::ffi::OsStr, entry: &OsString) -> Option<u64> {
    let after = entry.to_str()?.strip_prefix(name.to_str()?)?;
    let stamp = after.strip_prefix('.')?;
    let (stamp, number) = stamp.split_once('-').unwrap_or((stamp, "0"));
    let numbered = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    parse_file_stamp(stamp).filter(|_| numbered)
}

/// Where the line begins that `at` lies in.
fn line_start(lines: &[u8], at: usize) -> usize {
    let before = lines.get(..at).unwrap_or_default();
    before
        .iter()
        .rposition(|octet| *octet == b'\n')
        .map_or(0, |end| end + 1)
}

/// Where the last whole line of a file of so many octets ends.
fn whole_lines_end(file: &mut File, bytes: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = bytes;
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        (&mut *file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(last) = chunk.iter().rposition(|octet| *octet == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Whether an error may go away by itself.
fn is_of_the_disk(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::Interrupted
            | io::ErrorKind::StaleNetworkFileHandle
    ) || error.raw_os_error() == Some(crate::sys::errno::INPUT_OUTPUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::JOURNAL_PENDING_BYTES_MAX;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let unique = format!("tollgate-journal-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(unique);
            let _none_there = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn path(&self) -> PathBuf {
            self.0.join("calls.jsonl")
        }

        /// Names and contents of the files, sorted.
        fn files(&self) -> Vec<(String, String)> {
            let mut files: Vec<_> = fs::read_dir(&self.0)
                .unwrap()
                .map(|entry| {
                    let path = entry.unwrap().path();
                    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                    (name, fs::read_to_string(path).unwrap())
                })
                .collect();
            files.sort();
            files
        }

        fn open(&self, rotation: Rotation, now: Now) -> JournalFile {
            let metrics = Arc::new(JournalMetrics::default());
            JournalFile::open(&self.path(), rotation, 3600, metrics, now).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _best_effort = fs::remove_dir_all(&self.0);
        }
    }

    /// Some time in 2100: after any time that the machine's clock writes into files.
    const HOUR: u64 = 4_107_542_400;

    fn at(unix_s: u64) -> Now {
        Now {
            monotonic_ns: unix_s * 1_000_000_000,
            unix_us: unix_s * 1_000_000,
        }
    }

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn an_unfinished_line_is_cut_and_only_that() {
        let long = "x".repeat(200_000);
        for (before, whole, torn) in [
            ("", "", 0),
            ("{1}\n{2}\n", "{1}\n{2}\n", 0),
            ("{1}\n{2}\n{\"ts\":", "{1}\n{2}\n", 1),
            ("{\"ts\":", "", 1),
            ("{1}\n\0\0\0", "{1}\n", 1),
            (&format!("{{1}}\n{long}"), "{1}\n", 1),
            (&long, "", 1),
        ] {
            let folder = Folder::new("torn");
            fs::write(folder.path(), before).unwrap();
            let mut journal = folder.open(Rotation::Seconds(u64::MAX), at(HOUR));
            assert_eq!(journal.metrics.torn.get(), torn);
            assert!(journal.push(b"{3}\n"));
            journal.finish(at(HOUR));
            assert_eq!(
                folder.files(),
                [file("calls.jsonl", &format!("{whole}{{3}}\n"))]
            );
        }
    }

    #[test]
    fn a_new_file_is_begun_at_the_full_hour_and_kept_for_its_time() {
        let folder = Folder::new("time");
        fs::write(folder.0.join("calls.jsonl.bak"), "not ours").unwrap();
        let mut journal = folder.open(Rotation::Seconds(3600), at(HOUR + 10));
        for (when, line) in [
            (HOUR + 10, "{1}\n"),
            (HOUR + 3599, "{2}\n"),
            (HOUR + 3600, "{3}\n"),
            (HOUR + 3601, "{4}\n"),
        ] {
            assert!(journal.push(line.as_bytes()));
            journal.work(at(when));
        }
        let bak = file("calls.jsonl.bak", "not ours");
        assert_eq!(
            folder.files(),
            [
                file("calls.jsonl", "{3}\n{4}\n"),
                file("calls.jsonl.21000301T010000Z", "{1}\n{2}\n"),
                bak.clone(),
            ]
        );
        // A restart in the same hour goes on in the same file.
        drop(journal);
        let mut journal = folder.open(Rotation::Seconds(u64::MAX), at(HOUR + 3602));
        journal.work(at(HOUR + 7199));
        assert_eq!(folder.files().len(), 3);
        journal.work(at(HOUR + 7260));
        assert_eq!(folder.files(), [file("calls.jsonl", "{3}\n{4}\n"), bak]);
    }

    #[test]
    fn a_file_of_an_hour_that_is_over_is_put_aside_at_the_first_line() {
        let folder = Folder::new("restart");
        // Its time is the machine's own, which is long before the test's.
        fs::write(folder.path(), "{1}\n").unwrap();
        let mut journal = folder.open(Rotation::Seconds(3600), at(HOUR));
        journal.work(at(HOUR));
        assert_eq!(folder.files(), [file("calls.jsonl", "{1}\n")]);
        assert!(journal.push(b"{2}\n"));
        journal.work(at(HOUR));
        assert_eq!(
            folder.files(),
            [
                file("calls.jsonl", "{2}\n"),
                file("calls.jsonl.21000301T000000Z", "{1}\n")
            ]
        );
    }

    #[test]
    fn no_file_grows_beyond_its_size_and_none_is_overwritten() {
        let folder = Folder::new("size");
        let mut journal = folder.open(Rotation::Bytes(10), at(HOUR));
        assert!(journal.push(b"{1}\n{2}\n{3}\n{4}\n"));
        assert!(journal.push(b"{longer than a file}\n{5}\n"));
        journal.work(at(HOUR));
        assert_eq!(
            folder.files(),
            [
                file("calls.jsonl", "{5}\n"),
                file("calls.jsonl.21000301T000000Z", "{1}\n{2}\n"),
                file("calls.jsonl.21000301T000000Z-001", "{3}\n{4}\n"),
                file("calls.jsonl.21000301T000000Z-002", "{longer than a file}\n"),
            ]
        );
        assert_eq!(journal.metrics.lines.get(), 6);
        journal.sweep(at(HOUR + 3600));
        assert_eq!(folder.files(), [file("calls.jsonl", "{5}\n")]);
    }

    #[test]
    fn a_file_that_somebody_moved_is_left_alone_and_another_begun() {
        let folder = Folder::new("moved");
        let mut journal = folder.open(Rotation::Seconds(u64::MAX), at(HOUR));
        assert!(journal.push(b"{1}\n"));
        journal.work(at(HOUR));
        fs::rename(folder.path(), folder.0.join("elsewhere")).unwrap();
        assert!(journal.push(b"{2}\n"));
        journal.work(at(HOUR + 1));
        assert_eq!(
            folder.files(),
            [file("calls.jsonl", "{2}\n"), file("elsewhere", "{1}\n")]
        );
    }

    #[test]
    fn a_disk_that_takes_nothing_keeps_lines_waiting_up_to_the_bound() {
        let metrics = Arc::new(JournalMetrics::default());
        let path = Path::new("/dev/full");
        let rotation = Rotation::Seconds(3600);
        let mut journal =
            JournalFile::open(path, rotation, 60, Arc::clone(&metrics), at(HOUR)).unwrap();
        let line = vec![b'\n'; 1024 * 1024];
        let mut taken = 0;
        while journal.push(&line) {
            taken += 1;
            journal.work(at(HOUR + taken));
        }
        assert_eq!(journal.pending_bytes(), JOURNAL_PENDING_BYTES_MAX);
        assert_eq!(metrics.write_failures.get(), taken);
        assert!(
            journal
                .failing()
                .unwrap()
                .starts_with("/dev/full: No space")
        );
        // Within the pause nothing is tried.
        journal.work(at(HOUR + taken));
        assert_eq!(metrics.write_failures.get(), taken);
        assert_eq!(metrics.lines.get(), 0);
        assert_eq!(journal.pending_lines().count(), JOURNAL_PENDING_BYTES_MAX);
    }

    #[test]
    fn a_place_that_can_be_no_file_is_a_fault() {
        let folder = Folder::new("fault");
        fs::write(folder.0.join("file"), "").unwrap();
        for (path, part) in [
            (folder.0.clone(), "is no file"),
            (folder.0.join("file/calls.jsonl"), "cannot be made"),
        ] {
            let metrics = Arc::new(JournalMetrics::default());
            let rotation = Rotation::Seconds(3600);
            let fault = JournalFile::open(&path, rotation, 60, metrics, at(HOUR)).unwrap_err();
            assert!(fault.to_string().contains(part), "{fault}");
        }
    }
}
