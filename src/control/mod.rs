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
pub mod journal;
mod last_good;
mod limits;
mod lists;
pub mod node;
mod parse;
mod policies;
pub mod presets;
mod rates;
pub mod reference;
mod schedule;
mod shares;
pub mod show;
mod source;
mod statuses;
mod subscribers;
mod table;
mod translate;

pub use domains::EMERGENCY_DEFAULT;
pub use fault::{Fault, Faults, Place};
pub use journal::{JournalConfig, Rotate};
pub use last_good::{Bundle, BundleSource};
pub use node::{AdminToken, Cores, Listener, NodeConfig, NodeKey, Shards, Steering};
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

/// Reads `tollgate.toml` alone, for whoever talks to a running node.
///
/// # Errors
/// All of its faults.
pub fn node_config(source: &Source) -> Result<NodeConfig, Faults> {
    let mut findings = Findings::default();
    let reading = node::read(source, &mut findings);
    findings.faults.sort();
    match reading {
        node::Reading::Whole(node) if findings.faults.is_empty() => Ok(*node),
        _ => Err(findings.faults),
    }
}

/// Where the bundle of a configuration is read from.
#[must_use]
pub fn bundle_source(source: &Source, node: &NodeConfig) -> BundleSource {
    BundleSource::new(source, &node.bundle_path, &node.state_dir)
}

/// What `serve` starts with.
#[derive(Debug, Clone)]
pub struct Start {
    /// What may be put in force.
    pub loaded: Loaded,
    /// The faults of the bundle's folder, if `loaded` has the last good bundle in its place.
    pub refused: Option<Faults>,
}

/// Reads and checks configuration and bundle as `load` does, but takes the last good bundle of the state folder when
/// the bundle's folder is broken: a node that was running starts again, whatever was done to its bundle since.
///
/// # Errors
/// All faults, when `tollgate.toml` has some or there is no good bundle.
pub fn load_or_last_good(source: &Source) -> Result<Start, Faults> {
    let mut findings = Findings::default();
    let reading = node::read(source, &mut findings);
    let node::Reading::Whole(node) = reading else {
        return load(source).map(Start::whole);
    };
    if !findings.faults.is_empty() {
        return load(source).map(Start::whole);
    }
    let bundles = bundle_source(source, &node);
    let mut warnings = findings.into_warnings();
    let (bundle, refused) = match bundles.read() {
        Ok(bundle) => (bundle, None),
        Err(mut faults) => match bundles.read_kept() {
            Ok(Some(bundle)) => (bundle, Some(faults)),
            Ok(None) => return Err(faults),
            Err(sentence) => {
                let state = node.state_dir.display().to_string();
                faults.whole_file(&state, sentence);
                return Err(faults);
            }
        },
    };
    warnings.extend(bundle.warnings);
    Ok(Start {
        loaded: Loaded {
            source: source.clone(),
            node: *node,
            rows: bundle.rows,
            warnings,
        },
        refused,
    })
}

impl Start {
    fn whole(loaded: Loaded) -> Self {
        Self {
            loaded,
            refused: None,
        }
    }
}

impl Loaded {
    /// Where its bundle is read from, for reloads.
    #[must_use]
    pub fn bundles(&self) -> BundleSource {
        bundle_source(&self.source, &self.node)
    }
}

/// Compiles checked rows; list rows that expired before `now` are left out.
#[must_use]
pub fn build(rows: &Rows, now: Now) -> Snapshot {
    Snapshot::build(rows, now)
}
