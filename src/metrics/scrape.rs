//! One scrape: what is in force and what the shards counted, as text.

use super::text::{Seconds, Text};
use super::{
    ANSWERS, ANSWERS_IN_RUNS, BATCH_SERVICE, BATCH_SERVICE_MAX, BATCH_SIZE, BUNDLE_AGE,
    BUNDLE_REFUSED, BUNDLE_STALE, COUNTERS_CAPACITY, COUNTERS_SUBSCRIBERS_FULL, COUNTERS_USED,
    COUNTERS_WITHOUT_ROOM, ControlMetrics, Counter, DATAGRAMS, DRAINING, EVENTS_DROPPED,
    GENERATION, GSO_FALLBACK, HOLDS, HOLDS_WITHOUT_ROOM, JOURNAL_COUNTED, JOURNAL_LINES,
    JOURNAL_LOST, JOURNAL_TORN, JOURNAL_WRITE_FAILURES, JournalMetrics, KERNEL_DROPPED, Metric,
    OUTCOMES, RECEIVE_BUFFER, RECEIVE_ERRORS, RELOAD, SEND_FAILED, SHARD_PANICS, SHARD_RUNNING,
    ShardMetrics, TRANSACTIONS_DEPTH, TRANSACTIONS_EVICTED_YOUNG, TRANSACTIONS_UNREMEMBERED,
    UNKNOWN_SOURCES, VERDICTS, WOULD_REJECT,
};
use crate::counters::Usage;
use crate::event::Outcome;
use crate::net::SendFailure;
use crate::policy::{Code, Snapshot};

/// One shard as it is scraped.
#[derive(Debug, Clone, Copy)]
pub struct ShardView<'a> {
    /// What it counted.
    pub metrics: &'a ShardMetrics,
    /// What the kernel dropped at its sockets.
    pub kernel_dropped: u64,
    /// Receive buffer of one of its sockets, octets.
    pub receive_buffer_bytes: u64,
}

/// Everything that a scrape shows.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// The shards in order.
    pub shards: &'a [ShardView<'a>],
    /// The policy in force.
    pub snapshot: &'a Snapshot,
    /// What the control plane counted.
    pub control: &'a ControlMetrics,
    /// `Now::monotonic_ns` of the scrape.
    pub now_ns: u64,
    /// The journal; zeros when there is none.
    pub journal: &'a JournalMetrics,
    /// How full the counters are.
    pub counters: Usage,
}

impl Scrape<'_> {
    /// The text; about 5 KiB a shard.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Text::default();
        self.datagrams(&mut text);
        self.verdicts(&mut text);
        text.metric(&UNKNOWN_SOURCES);
        text.sample(&[], self.unknown_sources());
        self.batches(&mut text);
        self.transactions(&mut text);
        self.counters(&mut text);
        self.per_shard(&mut text, &EVENTS_DROPPED, |shard| {
            shard.metrics.events_dropped.get()
        });
        self.journal(&mut text);
        text.metric(&SHARD_PANICS);
        let panics: u64 = self
            .shards
            .iter()
            .map(|shard| shard.metrics.panics.get())
            .sum();
        text.sample(&[], panics);
        self.per_shard(&mut text, &SHARD_RUNNING, |shard| {
            shard.metrics.running.get()
        });
        text.metric(&GENERATION);
        text.sample(&[("gen", self.snapshot.generation())], 1);
        text.metric(&BUNDLE_AGE);
        text.sample(
            &[],
            Seconds {
                ns: self.now_ns.saturating_sub(self.control.published_ns.get()),
            },
        );
        self.reloads(&mut text);
        text.finish()
    }

    fn reloads(&self, text: &mut Text) {
        let control = self.control;
        text.metric(&BUNDLE_REFUSED);
        text.sample(&[], control.bundles_refused.get());
        text.metric(&BUNDLE_STALE);
        text.sample(&[], control.bundle_stale.get());
        text.metric(&RELOAD);
        let reload = &control.reload;
        text.histogram(&[], reload.bounds(), &reload.counts(), reload.sum(), |ns| {
            Seconds { ns }
        });
        text.metric(&DRAINING);
        text.sample(&[], control.draining.get());
    }

    fn journal(&self, text: &mut Text) {
        let journal = self.journal;
        for (metric, counter) in [
            (&JOURNAL_LINES, &journal.lines),
            (&JOURNAL_COUNTED, &journal.counted),
            (&JOURNAL_LOST, &journal.lost),
            (&JOURNAL_WRITE_FAILURES, &journal.write_failures),
            (&JOURNAL_TORN, &journal.torn),
        ] {
            text.metric(metric);
            text.sample(&[], counter.get());
        }
    }

    fn counters(&self, text: &mut Text) {
        let Usage {
            used,
            capacity,
            owners_at_share,
            without_room,
            holds,
            holds_without_room,
        } = self.counters;
        for (metric, value) in [
            (&COUNTERS_USED, used),
            (&COUNTERS_CAPACITY, capacity),
            (&COUNTERS_SUBSCRIBERS_FULL, owners_at_share),
            (&COUNTERS_WITHOUT_ROOM, without_room),
            (&HOLDS, holds),
            (&HOLDS_WITHOUT_ROOM, holds_without_room),
        ] {
            text.metric(metric);
            text.sample(&[], value);
        }
    }

    /// The shards share one memory. The least depth is that of the shard whose entries it was too small for.
    fn transactions(&self, text: &mut Text) {
        let depths = self
            .shards
            .iter()
            .map(|shard| shard.metrics.transactions_depth_us.get());
        text.metric(&TRANSACTIONS_DEPTH);
        if let Some(depth_us) = depths.min() {
            text.sample(
                &[],
                Seconds {
                    ns: depth_us.saturating_mul(1000),
                },
            );
        }
        type Read = fn(&ShardMetrics) -> &Counter;
        let counters: [(&Metric, Read); 2] = [
            (&TRANSACTIONS_EVICTED_YOUNG, |metrics| {
                &metrics.transactions_evicted_young
            }),
            (&TRANSACTIONS_UNREMEMBERED, |metrics| {
                &metrics.transactions_unremembered
            }),
        ];
        for (metric, read) in counters {
            text.metric(metric);
            let sum: u64 = self
                .shards
                .iter()
                .map(|shard| read(shard.metrics).get())
                .sum();
            text.sample(&[], sum);
        }
    }

    fn unknown_sources(&self) -> u64 {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.metrics.unknown_sources.get())
            .sum()
    }

    fn per_shard(&self, text: &mut Text, metric: &Metric, read: impl Fn(&ShardView<'_>) -> u64) {
        text.metric(metric);
        for (number, shard) in self.shards.iter().enumerate() {
            text.sample(&[("shard", &number.to_string())], read(shard));
        }
    }

    fn datagrams(&self, text: &mut Text) {
        self.per_shard(text, &DATAGRAMS, |shard| shard.metrics.datagrams.get());
        text.metric(&OUTCOMES);
        for (number, shard) in self.shards.iter().enumerate() {
            for (outcome, counter) in Outcome::ALL.iter().zip(&shard.metrics.outcomes) {
                let labels = [
                    ("shard", &*number.to_string()),
                    ("outcome", outcome.label()),
                ];
                text.sample(&labels, counter.get());
            }
        }
        self.per_shard(text, &ANSWERS, |shard| shard.metrics.answers.get());
        self.per_shard(text, &ANSWERS_IN_RUNS, |shard| {
            shard.metrics.answers_in_runs.get()
        });
        text.metric(&GSO_FALLBACK);
        let shards = self.shards.iter();
        let fallbacks: u64 = shards.map(|shard| shard.metrics.gso_fallbacks.get()).sum();
        text.sample(&[], fallbacks);
        text.metric(&SEND_FAILED);
        for (number, shard) in self.shards.iter().enumerate() {
            for (reason, counter) in SendFailure::ALL.iter().zip(&shard.metrics.send_failed) {
                let labels = [("shard", &*number.to_string()), ("reason", reason.label())];
                text.sample(&labels, counter.get());
            }
        }
        self.per_shard(text, &RECEIVE_ERRORS, |shard| {
            shard.metrics.receive_errors.get()
        });
        self.per_shard(text, &KERNEL_DROPPED, |shard| shard.kernel_dropped);
        self.per_shard(text, &RECEIVE_BUFFER, |shard| shard.receive_buffer_bytes);
    }

    /// Only what was ever counted: zeros for every code of every domain help nobody.
    fn verdicts(&self, text: &mut Text) {
        type Read = fn(&ShardMetrics, usize) -> [u64; Code::ALL.len()];
        let tables: [(&Metric, Read); 2] = [
            (&VERDICTS, ShardMetrics::verdicts),
            (&WOULD_REJECT, ShardMetrics::would_reject),
        ];
        for (metric, read) in tables {
            text.metric(metric);
            for (domain, name) in self.snapshot.domain_slots().entries() {
                let mut sums = [0; Code::ALL.len()];
                for shard in self.shards {
                    let counts = read(shard.metrics, domain);
                    for (sum, count) in sums.iter_mut().zip(counts) {
                        *sum += count;
                    }
                }
                for (code, sum) in Code::ALL.iter().zip(sums) {
                    if sum > 0 {
                        text.sample(&[("domain", name), ("code", code.text())], sum);
                    }
                }
            }
        }
    }

    fn batches(&self, text: &mut Text) {
        text.metric(&BATCH_SERVICE);
        for (number, shard) in self.shards.iter().enumerate() {
            let service = &shard.metrics.batch_service;
            let labels = [("shard", &*number.to_string())];
            text.histogram(
                &labels,
                service.bounds(),
                &service.counts(),
                service.sum(),
                |ns| Seconds { ns },
            );
        }
        text.metric(&BATCH_SERVICE_MAX);
        for (number, shard) in self.shards.iter().enumerate() {
            let longest = &shard.metrics.batch_service_longest;
            let ns = longest.of_last_minute(self.now_ns);
            text.sample(&[("shard", &number.to_string())], Seconds { ns });
        }
        text.metric(&BATCH_SIZE);
        for (number, shard) in self.shards.iter().enumerate() {
            let size = &shard.metrics.batch_size;
            let labels = [("shard", &*number.to_string())];
            text.histogram(
                &labels,
                size.bounds(),
                &size.counts(),
                size.sum(),
                |datagrams| datagrams,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BatchCounts, Kind, TABLE};
    use super::*;
    use crate::clock::Clock;
    use crate::policy::rows::Rows;
    use crate::uas::Recall;
    use std::collections::{BTreeMap, BTreeSet};

    fn text() -> String {
        let shards = [ShardMetrics::new(), ShardMetrics::new()];
        for (shard, times) in [(0, 3), (1, 4)] {
            shards[shard].count_outcome(Outcome::UnknownSource, times);
            for _ in 0..times {
                shards[shard].count_stranger([192, 0, 2, 1].into());
            }
        }
        shards[1].count_outcome(Outcome::Approved, 5);
        shards[1].batch_size.observe(12);
        shards[1]
            .batch_service_longest
            .observe(1_000_000_000, 70_000);
        for _ in 0..5000 {
            let mut counts = BatchCounts::new(&shards[1]);
            counts.recall(Recall::Remembered { replaced_age_s: 8 });
            shards[1].count_batch(&counts);
        }
        let mut counts = BatchCounts::new(&shards[0]);
        counts.recall(Recall::Unremembered);
        shards[0].count_batch(&counts);
        let views = shards.each_ref().map(|metrics| ShardView {
            metrics,
            kernel_dropped: 2,
            receive_buffer_bytes: 8 << 20,
        });
        let journal = JournalMetrics::default();
        journal.lost.add(6);
        let rows = Rows {
            generation: "0123abcd".to_owned(),
            ..Rows::default()
        };
        let control = ControlMetrics::new();
        control.published_ns.set(500_000_000);
        control.bundles_refused.add(2);
        control.reload.observe(2_000_000);
        Scrape {
            shards: &views,
            snapshot: &Snapshot::build(&rows, Clock::start().now()),
            control: &control,
            now_ns: 2_000_000_000,
            journal: &journal,
            counters: Usage {
                used: 7,
                owners_at_share: 1,
                ..Usage::default()
            },
        }
        .text()
    }

    #[test]
    fn what_was_counted_is_shown() {
        // SIP-142: among it the generation.
        let text = text();
        for line in [
            "tollgate_datagrams_total{shard=\"0\"} 3",
            "tollgate_datagrams_total{shard=\"1\"} 9",
            "tollgate_outcomes_total{shard=\"1\",outcome=\"approved\"} 5",
            "tollgate_unknown_sources_total 7",
            "tollgate_journal_lost_total 6",
            "tollgate_counters_used 7",
            "tollgate_counters_subscribers_full 1",
            "tollgate_kernel_dropped_total{shard=\"1\"} 2",
            "tollgate_receive_buffer_bytes{shard=\"0\"} 8388608",
            "tollgate_batch_service_max_seconds{shard=\"0\"} 0",
            "tollgate_batch_service_max_seconds{shard=\"1\"} 0.00007",
            "tollgate_batch_size_bucket{shard=\"1\",le=\"8\"} 0",
            "tollgate_batch_size_bucket{shard=\"1\",le=\"16\"} 1",
            "tollgate_bundle_generation_info{gen=\"0123abcd\"} 1",
            "tollgate_bundle_age_seconds 1.5",
            "tollgate_bundle_refused_total 2",
            "tollgate_bundle_stale 0",
            "tollgate_reload_seconds_bucket{le=\"0.001\"} 0",
            "tollgate_reload_seconds_bucket{le=\"0.003\"} 1",
            "tollgate_reload_seconds_sum 0.002",
            "tollgate_draining 0",
            "tollgate_transactions_evicted_young_total 5000",
            "tollgate_transactions_unremembered_total 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing in\n{text}"
            );
        }
    }

    /// What `promtool check metrics` would fault: order, types, duplicates, names, histograms that do not add up.
    #[test]
    fn the_text_is_well_formed() {
        let text = text();
        let mut metrics = Vec::new();
        let mut samples = BTreeSet::new();
        let mut last_bucket: BTreeMap<String, f64> = BTreeMap::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                metrics.push((help.split(' ').next().unwrap(), ""));
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let last = metrics.last_mut().unwrap();
                assert_eq!(last.0, name);
                last.1 = kind;
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(samples.insert(series.to_owned()), "{series} stands twice");
            let (name, kind) = *metrics.last().unwrap();
            let stem = series.split('{').next().unwrap();
            if kind != "histogram" {
                assert_eq!(stem, name);
                continue;
            }
            assert!(
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|end| stem == format!("{name}{end}"))
            );
            let shard = series
                .split("shard=\"")
                .nth(1)
                .map_or("none", |rest| rest.split('"').next().unwrap());
            let key = format!("{name} {shard}");
            if stem.ends_with("_bucket") {
                assert!(value >= *last_bucket.get(&key).unwrap_or(&0.0), "{series}");
                last_bucket.insert(key, value);
            } else if stem.ends_with("_count") {
                assert!((value - last_bucket[&key]).abs() < 0.5, "{series}");
            }
        }
        let names: Vec<&str> = metrics.iter().map(|(name, _)| *name).collect();
        let expected: BTreeSet<&str> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), expected);
        assert_eq!(names.len(), TABLE.len(), "each metric comes once");
        for (metric, (_, kind)) in TABLE.iter().zip(&metrics) {
            let _: Kind = metric.kind;
            assert!(["counter", "gauge", "histogram"].contains(kind));
        }
    }
}
