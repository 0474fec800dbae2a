//! The journal's thread: made when the node is, ended after the last shard.
//!
//! Promises: the files are open before any call is decided; at the stop everything that was decided is written, unless
//! the disk takes nothing for `STOP_TIMEOUT`; then what is lost is counted.

use super::accounting::Accounting;
use super::node::{Unavailable, spawn};
use super::say;
use crate::admin::View;
use crate::clock::Clock;
use crate::event::{EventSender, event_queue};
use crate::limits::{EVENT_BLOCKS, EVENT_BLOCKS_PER_SHARD_MIN};
use crate::metrics::JournalMetrics;
use crate::policy::Snapshot;
use crate::report::{Journal, JournalSettings, Sources};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// How long the stop waits for the disk, twice: for the thread to come back, and for its last lines.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// So often, if the journal has got on since.
const STOP_TURNS_MAX: u32 = 10;

/// A journal whose files are open.
#[derive(Debug)]
pub(super) struct OpenJournal {
    /// The journal, connected.
    pub(super) journal: Journal,
    /// The shards' ends, one each.
    pub(super) senders: Vec<EventSender>,
}

/// A journal that is written.
#[derive(Debug)]
pub(super) struct RunningJournal {
    stop: Sender<()>,
    ended: Receiver<Journal>,
}

/// Opens the files and makes the queues.
pub(super) fn open(
    settings: JournalSettings,
    view: &View,
    shards: usize,
    snapshots: Receiver<Arc<Snapshot>>,
) -> Result<OpenJournal, Unavailable> {
    let now = view.clock.now();
    let metrics = Arc::clone(&view.journal);
    let mut journal = Journal::open(settings, metrics, now, say)
        .map_err(|fault| Unavailable(fault.to_string()))?;
    let blocks = (EVENT_BLOCKS / shards.max(1)).max(EVENT_BLOCKS_PER_SHARD_MIN);
    let (senders, events) = (0..shards).map(|_shard| event_queue(blocks)).unzip();
    journal.connect(Sources { events, snapshots });
    Ok(OpenJournal { journal, senders })
}

/// Starts the thread.
pub(super) fn start(journal: Journal, clock: Clock) -> Result<RunningJournal, Unavailable> {
    let (stop, stopped) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let _detached = spawn("journal".to_owned(), move || {
        // Nobody waits any more: the lines that are left go with the process.
        let _awaited = end.send(journal.run(clock, &stopped));
    })?;
    Ok(RunningJournal { stop, ended })
}

impl RunningJournal {
    /// Writes what is left. Called when every shard has ended; the calls that are lost nevertheless and that nobody else
    /// counts.
    #[must_use]
    pub(super) fn stop(self, view: &View) -> u64 {
        drop(self.stop);
        let clock = view.clock;
        let written = match wait(&self.ended, &view.journal) {
            Some(journal) => {
                // On a thread that does not give way to anybody, and that the stop need not wait for if the disk hangs.
                let (end, ended) = mpsc::channel();
                let finishing = spawn("journal-end".to_owned(), move || {
                    journal.finish(clock.now());
                    let _awaited = end.send(());
                });
                finishing.is_ok() && wait(&ended, &view.journal).is_some()
            }
            None => false,
        };
        if written {
            return 0;
        }
        let sums = Accounting::of(&view.shards, &view.journal);
        let lost = view.journal.under_way(sums.events());
        say(&format!(
            "journal: the disk does not answer; calls lost at the end: {lost}\n"
        ));
        lost
    }
}

/// Waits as long as the journal gets on: a machine that is busy with other things may give it little time, and only a
/// disk that hangs gives it none.
fn wait<T>(ended: &Receiver<T>, journal: &JournalMetrics) -> Option<T> {
    let done = || journal.events.get() + journal.lines.get() + journal.lost.get();
    let mut before = done();
    for _turn in 0..STOP_TURNS_MAX {
        match ended.recv_timeout(STOP_TIMEOUT) {
            Ok(value) => return Some(value),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = done();
        if now == before {
            return None;
        }
        before = now;
    }
    None
}
