//! What the admin port may see of the node.

use crate::clock::Clock;
use crate::metrics::{Counter, JournalMetrics, Scrape, ShardMetrics, ShardView};
use crate::net::Socket;
use crate::policy::PolicyCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Unknown sources that are shown.
const STRANGERS_SHOWN: usize = 20;

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
    /// The clock by which the snapshot was published.
    pub clock: Clock,
    /// When the snapshot in force was published, `Now::monotonic_ns`.
    pub published_ns: Arc<Counter>,
    /// The journal's figures.
    pub journal: Arc<JournalMetrics>,
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
        let now_ns = self.clock.now().monotonic_ns;
        Scrape {
            shards: &shards,
            snapshot: &self.policy.current(),
            snapshot_age_ns: now_ns.saturating_sub(self.published_ns.get()),
            journal: &self.journal,
        }
        .text()
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

    /// Why the node is not ready; `None` when it is: every shard reads its sockets.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
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
