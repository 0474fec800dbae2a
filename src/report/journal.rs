//! The journal's work: fetches events, gives each a line or counts it, knows which snapshots are still needed.

use super::budget::{Budget, Charge, Group, Ruling};
use super::file::{JournalFile, OpenFault, Rotation};
use super::hits::Hits;
use super::line;
use crate::clock::{Clock, Now};
use crate::event::{Event, EventReceiver, Outcome};
use crate::limits::JOURNAL_WRITE_BYTES;
use crate::metrics::JournalMetrics;
use crate::policy::{Code, LimitFacts, Snapshot};
use crate::sys;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long the journal waits between two looks at the queues: short beside what they hold, long beside a look.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A second is closed when it is so long over: its events have been fetched by then.
const CLOSED_AFTER_S: u64 = 2;

/// What the journal is to be; checked by whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// The node's name.
    pub node: String,
    /// The file that is written.
    pub path: PathBuf,
    /// Lines a second for calls that were not approved, or would not have been; `None`: all.
    pub rejected_per_second: Option<u64>,
    /// Lines a second for approved calls; `None`: all.
    pub approved_per_second: Option<u64>,
    /// When a new file is begun.
    pub rotation: Rotation,
    /// How long old files are kept, seconds.
    pub keep_s: u64,
    /// How many of the last digits of numbers are hidden.
    pub mask_digits: u8,
}

/// Where events and their names come from.
#[derive(Debug)]
pub struct Sources {
    /// Events, one queue per shard.
    pub events: Vec<EventReceiver>,
    /// Every snapshot, before an event of it can come: `PolicyPublisher::follow`.
    pub snapshots: Receiver<Arc<Snapshot>>,
}

/// The journal, on whatever thread runs it.
#[derive(Debug)]
pub struct Journal {
    settings: JournalSettings,
    sources: Option<Sources>,
    say: fn(&str),
    writer: Writer,
    snapshots: Snapshots,
    /// Whether the last that was said was that the disk takes nothing.
    said_failing: bool,
}

/// From an event to the file.
#[derive(Debug)]
struct Writer {
    budget: Budget,
    file: JournalFile,
    metrics: Arc<JournalMetrics>,
    line: Vec<u8>,
    scratch: Vec<u8>,
    hits: Hits,
}

/// The snapshots that events may still name, oldest first.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Vec<Arc<Snapshot>>);

impl Journal {
    /// Opens the files. `say` is given sentences for the operator.
    ///
    /// # Errors
    /// The file can never be opened. A full or failing disk is no error: it is tried again.
    pub fn open(
        settings: JournalSettings,
        metrics: Arc<JournalMetrics>,
        now: Now,
        say: fn(&str),
    ) -> Result<Self, OpenFault> {
        let file = JournalFile::open(
            &settings.path,
            settings.rotation,
            settings.keep_s,
            Arc::clone(&metrics),
            now,
        )?;
        if metrics.torn.get() > 0 {
            let path = settings.path.display();
            say(&format!(
                "journal {path}: an unfinished last line was cut\n"
            ));
        }
        Ok(Self {
            writer: Writer {
                budget: Budget::new(settings.rejected_per_second, settings.approved_per_second),
                file,
                metrics,
                line: Vec::new(),
                scratch: Vec::new(),
                hits: Hits::default(),
            },
            settings,
            sources: None,
            say,
            snapshots: Snapshots::default(),
            said_failing: false,
        })
    }

    /// Connects it to the shards.
    pub fn connect(&mut self, sources: Sources) {
        self.sources = Some(sources);
    }

    /// Runs until the other end of `stop` is gone; `finish` is left to whoever waits for this thread.
    #[must_use]
    pub fn run(mut self, clock: Clock, stop: &Receiver<()>) -> Self {
        // Lines are written when the shards leave time for it. Refused, they are written beside them.
        let _idle = sys::idle_class();
        loop {
            self.pass(clock.now());
            match stop.recv_timeout(LOOK_AGAIN) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return self,
            }
        }
    }

    /// Fetches what has arrived and does what is due.
    pub fn pass(&mut self, now: Now) {
        self.fetch(now);
        self.close_seconds(now.unix_s().saturating_sub(CLOSED_AFTER_S));
        self.writer.file.work(now);
        self.say_failing();
    }

    /// Writes everything that has arrived, counts included, and sees it on the disk. What the disk does not take now is
    /// lost and counted.
    pub fn finish(mut self, now: Now) {
        self.fetch(now);
        self.close_seconds(u64::MAX);
        self.writer.file.finish(now);
        self.say_failing();
        let lost: u64 = self.writer.file.pending_lines().map(weight).sum();
        if lost > 0 {
            self.writer.metrics.lost.add(lost);
            let path = self.settings.path.display();
            (self.say)(&format!("journal {path}: calls lost at the end: {lost}\n"));
        }
    }

    fn fetch(&mut self, now: Now) {
        let Self {
            settings,
            sources: Some(sources),
            writer,
            snapshots,
            ..
        } = self
        else {
            return;
        };
        // Read before the queues: what it promises to be in them is fetched below.
        let needed_from = sources.events.iter().map(EventReceiver::handed_on_before);
        let needed_from = needed_from.min().unwrap_or(0);
        for queue in &sources.events {
            queue.drain(|event| {
                writer.call(settings, snapshots, &sources.snapshots, event);
                if writer.file.pending_bytes() >= JOURNAL_WRITE_BYTES {
                    writer.file.work(now);
                }
            });
        }
        writer.hits.hand_on_rows(snapshots, &writer.metrics);
        let counted = writer.budget.oldest_snapshot().unwrap_or(u32::MAX);
        snapshots.receive(&sources.snapshots);
        writer.hits.hand_on_limits(snapshots, &writer.metrics);
        snapshots.release_before(needed_from.min(counted));
    }

    fn close_seconds(&mut self, before_s: u64) {
        let Self {
            settings,
            writer,
            snapshots,
            ..
        } = self;
        let Writer {
            budget,
            file,
            metrics,
            line,
            ..
        } = writer;
        budget.close(before_s, |unix_s, group, weight| {
            // Snapshots are kept as long as a count names them.
            let Some(snapshot) = snapshots.find(group.snapshot) else {
                metrics.lost.add(weight);
                return;
            };
            line.clear();
            line::of_count(settings, snapshot, unix_s, group, weight, line);
            if file.push(line) {
                metrics.counted.add(weight);
                metrics.count_lines.add(1);
            } else {
                metrics.lost.add(weight);
            }
        });
    }

    fn say_failing(&mut self) {
        let failing = self.writer.file.failing();
        if failing.is_some() == self.said_failing {
            return;
        }
        self.said_failing = failing.is_some();
        let sentence = match failing {
            Some(error) => {
                format!("journal: {error}; calls are answered, lines wait and are tried again\n")
            }
            None => "journal: lines are written again\n".to_owned(),
        };
        (self.say)(&sentence);
    }
}

impl Writer {
    /// Gives a call its line, or counts it.
    fn call(
        &mut self,
        settings: &JournalSettings,
        snapshots: &mut Snapshots,
        newer: &Receiver<Arc<Snapshot>>,
        event: &Event,
    ) {
        // Not an INVITE: a request of another kind to which no answer could be written.
        self.metrics.events.add(1);
        let Some(verdict) = event.verdict else {
            self.metrics.others.add(1);
            return;
        };
        if snapshots.find(event.snapshot).is_none() {
            self.hits.hand_on_rows(snapshots, &self.metrics);
            snapshots.receive(newer);
        }
        // It was sent before any shard could decide by it.
        let Some(snapshot) = snapshots.find(event.snapshot) else {
            self.metrics.lost.add(1);
            return;
        };
        let decision = event.decision.as_ref();
        if let Some(decision) = decision {
            let is_newest = snapshots.is_newest(snapshot);
            self.hits.count(snapshot, is_newest, decision);
        }
        let facts = decision.map_or_else(LimitFacts::default, |decision| decision.limits);
        let group = Group {
            snapshot: event.snapshot,
            domain: decision.and_then(|decision| decision.domain),
            ruling: verdict.into(),
            code: decision.map_or(Code::A00, |decision| decision.code),
            would: decision.and_then(|decision| decision.would),
            same: event.outcome == Outcome::Repeated || facts.same_attempt,
        };
        let charge = match (group.ruling, group.would) {
            (Ruling::Approve, None) if facts.warned == 0 => Charge::Approved,
            (Ruling::Approve | Ruling::Reject | Ruling::Divert | Ruling::Error(_), _) => {
                Charge::Rejected
            }
        };
        if !self.budget.admit(event.unix_us / 1_000_000, charge, &group) {
            return;
        }
        self.line.clear();
        line::of_call(
            settings,
            snapshot,
            event,
            &group,
            &mut self.scratch,
            &mut self.line,
        );
        if !self.file.push(&self.line) {
            self.metrics.lost.add(1);
        }
    }
}

impl Snapshots {
    pub(super) fn newest(&self) -> Option<&Snapshot> {
        self.0.last().map(|snapshot| &**snapshot)
    }

    pub(super) fn find(&self, number: u32) -> Option<&Snapshot> {
        // There are one or two, and the newest is nearly always meant.
        let mut newest_first = self.0.iter().rev();
        newest_first
            .find(|snapshot| snapshot.number() == number)
            .map(|snapshot| &**snapshot)
    }

    /// Whether its rows are those of the newest.
    fn is_newest(&self, snapshot: &Snapshot) -> bool {
        let newest = self.0.last();
        newest.is_some_and(|newest| newest.generation() == snapshot.generation())
    }

    fn receive(&mut self, newer: &Receiver<Arc<Snapshot>>) {
        self.0.extend(newer.try_iter());
    }

    /// Lets go of all before this one, but never of the newest.
    fn release_before(&mut self, number: u32) {
        let newest = self.0.last().map(|snapshot| snapshot.number());
        self.0
            .retain(|snapshot| snapshot.number() >= number || Some(snapshot.number()) == newest);
    }
}

/// What a line of ours stands for: its last field.
fn weight(line: &[u8]) -> u64 {
    let digits = line.strip_suffix(b"}\n").unwrap_or(line);
    let start = digits.iter().rposition(|octet| *octet == b':');
    let digits = start.and_then(|start| digits.get(start + 1..));
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventSender, event_queue};
    use crate::policy::cell::PolicyPublisher;
    use crate::policy::rows::Rows;
    use crate::policy::{PolicyCell, Verdict};
    use std::path::Path;

    fn at(unix_s: u64) -> Now {
        Now {
            monotonic_ns: unix_s * 1_000_000_000,
            unix_us: unix_s * 1_000_000,
        }
    }

    fn snapshot(generation: &str) -> Snapshot {
        let rows = Rows {
            generation: generation.to_owned(),
            ..Rows::default()
        };
        Snapshot::build(&rows, at(0))
    }

    struct Bench {
        journal: Journal,
        sender: EventSender,
        publisher: PolicyPublisher,
        metrics: Arc<JournalMetrics>,
    }

    fn bench(path: &Path, approved_per_second: Option<u64>) -> Bench {
        let settings = JournalSettings {
            node: "n".to_owned(),
            path: path.to_owned(),
            rejected_per_second: None,
            approved_per_second,
            rotation: Rotation::Seconds(3600),
            keep_s: 3600,
            mask_digits: 0,
        };
        let metrics = Arc::new(JournalMetrics::default());
        let mut journal =
            Journal::open(settings, Arc::clone(&metrics), at(1000), |_text| {}).unwrap();
        let (sender, events) = event_queue(64);
        let (_cell, mut publisher) = PolicyCell::new(snapshot("g0"));
        journal.connect(Sources {
            events: vec![events],
            snapshots: publisher.follow(),
        });
        Bench {
            journal,
            sender,
            publisher,
            metrics,
        }
    }

    impl Bench {
        fn call(&mut self, snapshot: u32, unix_s: u64) {
            self.sender.decided_by(snapshot);
            let pushed = self.sender.push(|event| {
                let source = "127.0.0.1:5060".parse().unwrap();
                event.begin(unix_s * 1_000_000, 0, source, Outcome::Approved);
                event.verdict = Some(Verdict::Approve);
                event.snapshot = snapshot;
            });
            assert!(pushed);
        }

        fn pass(&mut self, unix_s: u64) {
            self.sender.flush();
            self.journal.pass(at(unix_s));
        }
    }

    fn temporary(name: &str) -> PathBuf {
        let unique = format!("tollgate-{name}-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(unique);
        let _none_there = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn names_are_those_of_the_snapshot_that_decided_and_it_goes_when_nothing_names_it() {
        let path = temporary("names");
        let mut bench = bench(&path, Some(1));
        bench.call(0, 1000);
        bench.call(0, 1000);
        bench.publisher.publish(snapshot("g1"));
        bench.call(1, 1000);
        bench.pass(1001);
        // The count of the second call still needs the first one for its names.
        assert_eq!(bench.journal.snapshots.0.len(), 2);
        assert_eq!(bench.publisher.sweep(), 1);
        bench.pass(1010);
        bench.pass(1011);
        assert_eq!(bench.journal.snapshots.0.len(), 1);
        assert_eq!(bench.publisher.sweep(), 0);
        bench.journal.finish(at(1012));
        let text = std::fs::read_to_string(&path).unwrap();
        let mut seen: Vec<(String, u64)> = text
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let generation = line["gen"].as_str().unwrap().to_owned();
                (generation, line["weight"].as_u64().unwrap())
            })
            .collect();
        seen.sort();
        let seen: Vec<(&str, u64)> = seen
            .iter()
            .map(|(hash, weight)| (&**hash, *weight))
            .collect();
        assert_eq!(seen, [("g0", 1), ("g0", 1), ("g1", 1)]);
        assert_eq!(bench.metrics.counted.get(), 2);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_old_snapshot_stays_while_a_shard_may_still_send_events_of_it() {
        let path = temporary("stays");
        let mut bench = bench(&path, None);
        bench.call(0, 1000);
        bench.publisher.publish(snapshot("g1"));
        bench.pass(1001);
        assert_eq!(bench.journal.snapshots.0.len(), 2);
        bench.sender.decided_by(1);
        bench.pass(1002);
        assert_eq!(bench.journal.snapshots.0.len(), 1);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_call_for_call() {
        let mut bench = bench(Path::new("/dev/full"), Some(60));
        const CALLS: u64 = 100_000;
        for call in 0..CALLS {
            bench.call(0, 1000 + call / 100);
            if call % 1000 == 999 {
                bench.pass(1000 + call / 100);
            }
        }
        let Bench {
            journal,
            sender,
            metrics,
            ..
        } = bench;
        drop(sender);
        assert!(metrics.lost.get() > 0, "the lines that wait are bounded");
        journal.finish(at(3000));
        assert_eq!(metrics.lines.get(), 0);
        assert_eq!(metrics.lost.get(), CALLS);
        assert!(metrics.write_failures.get() > 0);
    }

    #[test]
    fn the_weight_of_a_line_is_its_last_field() {
        for (line, want) in [
            (&b"{\"ts\":\"12:30:00\",\"weight\":1}\n"[..], 1),
            (b"{\"weight\":123456}\n", 123_456),
        ] {
            assert_eq!(weight(line), want);
        }
    }
}
