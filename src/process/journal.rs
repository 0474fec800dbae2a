//! The journal's thread: made when the node is, ended after the last shard.
//!
//! Promises: the files are open before any call is decided; at the stop everything that was decided is written, unless
//! the disk takes nothing for `STOP_TIMEOUT`.

use super::node::{Unavailable, spawn};
use super::say;
use crate::admin::View;
use crate::clock::Clock;
use crate::event::{EventSender, event_queue};
use crate::limits::{EVENT_BLOCKS, EVENT_BLOCKS_PER_SHARD_MIN};
use crate::policy::Snapshot;
use crate::report::{Journal, JournalSettings, Sources};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// How long the stop waits for the disk, twice: for the thread to come back, and for its last lines.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

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
    /// Writes what is left. Called when every shard has ended.
    pub(super) fn stop(self, clock: Clock) {
        drop(self.stop);
        let Ok(journal) = self.ended.recv_timeout(STOP_TIMEOUT) else {
            say("journal: the disk does not answer; its last lines are lost\n");
            return;
        };
        // On a thread that does not give way to anybody, and that the stop need not wait for if the disk hangs.
        let (end, ended) = mpsc::channel();
        let finishing = spawn("journal-end".to_owned(), move || {
            journal.finish(clock.now());
            let _awaited = end.send(());
        });
        if finishing.is_err() || ended.recv_timeout(STOP_TIMEOUT).is_err() {
            say("journal: the disk does not answer; its last lines are lost\n");
        }
    }
}
