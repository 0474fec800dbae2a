//! Reads configuration and bundle, checks them, and makes typed rows of them.
//!
//! Promises: what `load` returns is whole: references resolve, names are unique, and nothing was set that this version
//! does not obey. What it refuses, it refuses with every fault at once, each with file, line and column.
//! Leaves to `policy`: compiling the rows; to `process`: opening what the node's configuration names.

mod bundle;
mod destinations;
mod document;
mod domains;
mod fault;
mod lists;
pub mod node;
mod parse;
mod policies;
pub mod show;
mod source;
mod statuses;
mod subscribers;
mod table;
mod translate;

pub use domains::EMERGENCY_DEFAULT;
pub use fault::{Fault, Faults, Place};
pub use node::{Cores, Listener, NodeConfig, NodeKey, Shards, Steering};
pub use source::{SAMPLE_BUNDLE, SAMPLE_CONFIG, Source, write_sample};

use crate::clock::Now;
use crate::policy::Snapshot;
use crate::policy::rows::Rows;
use fault::Findings;

/// A configuration that may be put in force.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Where it came from.
    pub source: Source,
    /// The node's own part.
    pub node: NodeConfig,
    /// The bundle.
    pub rows: Rows,
    /// What is right but will surprise; one sentence each, to be shown at start.
    pub warnings: Vec<String>,
}

/// Reads and checks configuration and bundle.
///
/// # Errors
/// All faults of all files at once. Nothing is half in force: the caller keeps what it had.
pub fn load(source: &Source) -> Result<Loaded, Faults> {
    let mut findings = Findings::default();
    let reading = node::read(source, &mut findings);
    // Without a [bundle] path there is no bundle to look at; its absence is a fault already.
    let rows = reading
        .bundle_path()
        .map(|path| bundle::read(&source.folder(path), &mut findings))
        .unwrap_or_default();
    findings.faults.sort();
    match reading {
        node::Reading::Whole(node) if findings.faults.is_empty() => Ok(Loaded {
            source: source.clone(),
            node: *node,
            rows,
            warnings: findings.into_warnings(),
        }),
        _ => Err(findings.faults),
    }
}

/// Compiles checked rows; list rows that expired before `now` are left out.
#[must_use]
pub fn build(rows: &Rows, now: Now) -> Snapshot {
    Snapshot::build(rows, now)
}
