//! Every figure that the server tells of itself: one table, arrays that shards write, and the text that is scraped.
//!
//! Promises: a metric exists only in `TABLE`, with its meaning; a shard's figures have one writer, so that counting costs
//! a load and a store; labels that traffic can choose are bounded (there are none: domains come from the bundle).
//! Leaves to `shard`: counting; to `admin`: serving the text.

mod cell;
mod control;
mod hits;
mod journal;
mod scrape;
mod shard;
mod strangers;
mod text;

pub use cell::{Counter, Histogram, Longest};
pub use control::{ControlMetrics, RELOAD_BOUNDS_NS};
pub use hits::{LimitCalls, LimitHits, ListHits};
pub use journal::JournalMetrics;
pub use scrape::{Scrape, ShardView};
pub use shard::{BATCH_SERVICE_BOUNDS_NS, BATCH_SIZE_BOUNDS, BatchCounts, ShardMetrics};
pub use strangers::Strangers;

/// What a metric is, in the words of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations up to each bound, their sum and number.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, `tollgate_` and the unit included.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What one of it is.
    pub unit: &'static str,
    /// What it means, as the text says it.
    pub meaning: &'static str,
}

macro_rules! metrics {
    ($($constant:ident $name:literal $kind:ident $unit:literal $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Metric = Metric {
                name: concat!("tollgate_", $name),
                kind: Kind::$kind,
                unit: $unit,
                meaning: $meaning,
            };
        )*
        /// Every metric, in the order of the text.
        pub const TABLE: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    DATAGRAMS "datagrams_total" Counter "datagrams" "Datagrams read, by shard.";
    OUTCOMES "outcomes_total" Counter "datagrams" "What became of them; every datagram read has exactly one outcome.";
    ANSWERS "answers_total" Counter "datagrams" "Answers that the kernel took.";
    ANSWERS_IN_RUNS "answers_in_runs_total" Counter "datagrams" "Those of them that left in runs to one destination (`UDP_SEGMENT`), which costs a fifth.";
    GSO_FALLBACK "gso_fallback_total" Counter "runs" "Runs that the kernel refused, so that their answers left one by one, as all to that destination for a minute.";
    SEND_FAILED "send_failed_total" Counter "datagrams" "Answers that could not be sent, by reason.";
    RECEIVE_ERRORS "receive_errors_total" Counter "errors" "Errors that a socket reported in place of a datagram.";
    KERNEL_DROPPED "kernel_dropped_total" Counter "datagrams" "Datagrams that the kernel dropped because the receive buffer was full.";
    RECEIVE_BUFFER "receive_buffer_bytes" Gauge "bytes" "Receive buffer granted per socket, as the kernel charges it.";
    VERDICTS "verdicts_total" Counter "calls" "Verdicts by domain and code; in detection mode A00, because the call is let through.";
    WOULD_REJECT "would_reject_total" Counter "calls" "Calls that prevention would have rejected, by domain and code; detection mode only.";
    UNKNOWN_SOURCES "unknown_sources_total" Counter "datagrams" "Datagrams from addresses that are nobody's peer, also those given up unread; they are never answered.";
    BATCH_SERVICE "batch_service_seconds" Histogram "seconds" "From the clock reading of a batch to that of the next, or to idleness.";
    BATCH_SERVICE_MAX "batch_service_max_seconds" Gauge "seconds" "The longest of them in the last minute: so long a datagram may have waited for the shard.";
    BATCH_SIZE "batch_size" Histogram "datagrams" "Datagrams in one batch.";
    TRANSACTIONS_DEPTH "transactions_depth_seconds" Gauge "seconds" "Age of what the transaction memory forgets to make room: 64 is that or more; below 32 it is too small for the calls that arrive.";
    TRANSACTIONS_EVICTED_YOUNG "transactions_evicted_young_total" Counter "transactions" "Transactions forgotten before their 32 seconds were over; a later copy of them is decided anew. Raise `node.expected_calls_per_second`.";
    TRANSACTIONS_UNREMEMBERED "transactions_unremembered_total" Counter "transactions" "Transactions not remembered, since more different answers were given than there is room for.";
    COUNTERS_USED "counters_used" Gauge "keys" "Keys that limits have a count for, or had until half a minute ago.";
    COUNTERS_CAPACITY "counters_capacity" Gauge "keys" "Keys there is room for: `node.counters_capacity`.";
    COUNTERS_SUBSCRIBERS_FULL "counters_subscribers_full" Gauge "subscribers" "Subscribers whose share of the counters is full: `unknown.counters` of their policy decides.";
    COUNTERS_WITHOUT_ROOM "counters_without_room_total" Counter "keys" "How often a key found no room, because a share or the table was full.";
    HOLDS "holds" Gauge "holds" "Holds in force, or ended within the last half minute.";
    HOLDS_WITHOUT_ROOM "holds_without_room_total" Counter "holds" "Holds that were not placed because there was no room; their limits went on firing.";
    EVENTS_DROPPED "events_dropped_total" Counter "events" "Events lost because their queue was full; the calls were answered.";
    JOURNAL_LINES "journal_lines_total" Counter "lines" "Lines in the journal, those of calls and those of counts.";
    JOURNAL_COUNTED "journal_counted_total" Counter "calls" "Calls past the budgets: in the journal as a count per domain, code and second.";
    JOURNAL_LOST "journal_lost_total" Counter "calls" "Calls whose lines were lost because the disk took none for too long.";
    JOURNAL_WRITE_FAILURES "journal_write_failures_total" Counter "failures" "Operations on the journal's files that failed; they are tried again.";
    JOURNAL_TORN "journal_torn_lines_total" Counter "lines" "Unfinished lines that were cut when the journal was opened.";
    SHARD_PANICS "shard_panics_total" Counter "panics" "Panics of a shard; each drops its batch, and the shard goes on.";
    SHARD_RUNNING "shard_running" Gauge "shards" "1 while the shard reads its sockets.";
    GENERATION "bundle_generation_info" Gauge "1" "The bundle in force; always 1.";
    BUNDLE_AGE "bundle_age_seconds" Gauge "seconds" "Time since the snapshot in force was published.";
    BUNDLE_REFUSED "bundle_refused_total" Counter "bundles" "Bundles refused since the start, at the start or at a reload; the one in force stayed.";
    BUNDLE_STALE "bundle_stale" Gauge "1" "1 while the bundle in force is not the one in the folder, because that was refused.";
    RELOAD "reload_seconds" Histogram "seconds" "From the order to reload to the new policy in force.";
    DRAINING "draining" Gauge "1" "1 once the node was told to drain: calls are answered, balancers are told to go elsewhere.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_what_they_count() {
        for (index, metric) in TABLE.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("tollgate_"), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}"
            );
            if metric.unit == "seconds" || metric.unit == "bytes" {
                assert!(name.ends_with(metric.unit), "{name}");
            }
            assert!(metric.meaning.ends_with('.'), "{name}");
            assert!(
                TABLE[..index].iter().all(|other| other.name != name),
                "{name}"
            );
        }
    }
}
