//! What the admin port may see of the node.

use super::orders::{Orders, Trouble};
use crate::clock::Clock;
use crate::control::AdminToken;
use crate::counters::Counters;
use crate::metrics::{ControlMetrics, JournalMetrics, Scrape, ShardMetrics, ShardView};
use crate::net::Socket;
use crate::policy::{PolicyCell, Snapshot};
use crate::report::Rfc3339;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Unknown sources that are shown.
const STRANGERS_SHOWN: usize = 20;

/// Of them in the node's status.
const STRANGERS_IN_SHORT: usize = 5;

const NS_PER_S: u64 = 1_000_000_000;

/// One shard as the control plane knows it.
#[derive(Debug)]
pub struct ShardSource {
    /// What it counts.
    pub metrics: Arc<ShardMetrics>,
    /// Its sockets.
    pub sockets: Vec<Arc<Socket>>,
}

/// The node as the admin port shows it.
#[derive(Debug)]
pub struct View {
    /// The shards in order.
    pub shards: Vec<ShardSource>,
    /// The policy.
    pub policy: PolicyCell,
    /// The node's name.
    pub name: String,
    /// Where reloads read the bundle, for people; `None`: from nowhere.
    pub bundle_read_from: Option<String>,
    /// The clock by which the snapshot was published, which began with the node.
    pub clock: Clock,
    /// What the control plane counts.
    pub control: Arc<ControlMetrics>,
    /// Why the bundle in the folder is not in force.
    pub trouble: Arc<Trouble>,
    /// What whoever wants to see more or change something must know; `None`: nothing can be changed.
    pub token: Option<AdminToken>,
    /// Who carries out what is ordered; `None`: nobody.
    pub orders: Option<Orders>,
    /// The journal's figures.
    pub journal: Arc<JournalMetrics>,
    /// The counters, if there are any.
    pub counters: Option<Arc<Counters>>,
    /// Whether there is a journal.
    pub has_journal: bool,
    /// Takes sentences for the operator.
    pub say: fn(&str),
}

impl ShardSource {
    /// What the kernel dropped at its sockets.
    #[must_use]
    pub fn kernel_dropped(&self) -> u64 {
        self.sockets
            .iter()
            .filter_map(|socket| socket.kernel_dropped())
            .sum()
    }

    /// The smallest receive buffer among its sockets, octets.
    #[must_use]
    pub fn receive_buffer_bytes(&self) -> u64 {
        let smallest = self
            .sockets
            .iter()
            .map(|socket| socket.receive_buffer_bytes())
            .min();
        u64::try_from(smallest.unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

impl View {
    /// The figures as text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let shards: Vec<ShardView<'_>> = self
            .shards
            .iter()
            .map(|shard| ShardView {
                metrics: &shard.metrics,
                kernel_dropped: shard.kernel_dropped(),
                receive_buffer_bytes: shard.receive_buffer_bytes(),
            })
            .collect();
        Scrape {
            shards: &shards,
            snapshot: &self.policy.current(),
            control: &self.control,
            now_ns: self.clock.now().monotonic_ns,
            journal: &self.journal,
            counters: self
                .counters
                .as_ref()
                .map(|counters| counters.usage())
                .unwrap_or_default(),
        }
        .text()
    }

    /// The node in short.
    #[must_use]
    pub fn status(&self) -> Value {
        let now_ns = self.clock.now().monotonic_ns;
        let snapshot = self.policy.current();
        let not_ready = self.not_ready();
        let shards: Vec<Value> = self
            .shards
            .iter()
            .map(|shard| {
                json!({
                    "running": shard.metrics.running.get() == 1,
                    "datagrams": shard.metrics.datagrams.get(),
                    "kernel_dropped": shard.kernel_dropped(),
                })
            })
            .collect();
        let mut bundle = self.in_force(&snapshot);
        let faults = self.trouble.get().unwrap_or_default();
        let more = json!({
            "domains": snapshot.domain_count(),
            "refused_total": self.control.bundles_refused.get(),
            "faults": faults.lines().collect::<Vec<_>>(),
        });
        if let (Some(bundle), Value::Object(more)) = (bundle.as_object_mut(), more) {
            bundle.extend(more);
        }
        let unknown: u64 = self
            .shards
            .iter()
            .map(|shard| shard.metrics.unknown_sources.get())
            .sum();
        let mut strangers = self.strangers_as_json();
        strangers.truncate(STRANGERS_IN_SHORT);
        json!({
            "node": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": now_ns / NS_PER_S,
            "ready": not_ready.is_none(),
            "draining": self.control.draining.get() == 1,
            "why_not_ready": not_ready,
            "bundle": bundle,
            "shards": shards,
            "unknown_sources": { "datagrams": unknown, "most": strangers },
        })
    }

    /// Which bundle is in force, since when, where reloads read it, and whether what is there now was refused.
    pub(super) fn in_force(&self, snapshot: &Snapshot) -> Value {
        let now_ns = self.clock.now().monotonic_ns;
        let published = Rfc3339 {
            unix_us: self.control.published_unix_us.get(),
        };
        json!({
            "generation": snapshot.generation(),
            "published": published.to_string(),
            "age_seconds": now_ns.saturating_sub(self.control.published_ns.get()) / NS_PER_S,
            "read_from": self.bundle_read_from,
            "stale": self.control.bundle_stale.get() == 1,
        })
    }

    /// `strangers` as the admin port shows them.
    pub(super) fn strangers_as_json(&self) -> Vec<Value> {
        self.strangers()
            .into_iter()
            .map(|(address, datagrams)| json!({ "address": address.to_string(), "datagrams": datagrams }))
            .collect()
    }

    /// The unknown sources that send most, with their datagrams, most first. A count may be too high by what forged
    /// addresses before it had.
    #[must_use]
    pub fn strangers(&self) -> Vec<(IpAddr, u64)> {
        let mut sums: HashMap<IpAddr, u64> = HashMap::new();
        for shard in &self.shards {
            for (address, count) in shard.metrics.strangers.entries() {
                *sums.entry(address).or_default() += count;
            }
        }
        let mut top: Vec<(IpAddr, u64)> = sums.into_iter().collect();
        top.sort_unstable_by_key(|(address, count)| (Reverse(*count), *address));
        top.truncate(STRANGERS_SHOWN);
        top
    }

    /// Why no more calls should be sent here; `None` when they should.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        if self.control.draining.get() == 1 {
            return Some("draining".to_owned());
        }
        self.not_running()
    }

    /// Which shards do not read their sockets; `None`: all do.
    #[must_use]
    pub fn not_running(&self) -> Option<String> {
        let down: Vec<String> = (0..)
            .zip(&self.shards)
            .filter(|(_number, shard)| shard.metrics.running.get() == 0)
            .map(|(number, _shard): (usize, _)| number.to_string())
            .collect();
        if down.is_empty() {
            return None;
        }
        Some(format!("not running: shard {}", down.join(", ")))
    }
}
