//! The journal: every decision as one JSON object a line, within budgets, in files that rotate.
//!
//! Promises: what was decided is in a line of its own, in a count, or in a metric that says how much was lost; a full,
//! slow or broken disk touches no call; one line per record, whatever octets a stranger sent; a line that a crash left
//! unfinished is cut before the next is written.
//! Leaves to `event`: bringing the events; to `process`: the thread; to a log shipper: copies that nobody can tamper with.

mod budget;
mod file;
mod hits;
mod journal;
mod line;
mod mask;
mod stamp;
mod text;

pub use file::{OpenFault, Rotation};
pub use journal::{Journal, JournalSettings, Sources};
pub use stamp::Rfc3339;
