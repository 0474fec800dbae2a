//! Placeholder of this branch: the program's start stands elsewhere.

use crate::cli::{Exit, ServeOverrides};
use crate::control::Loaded;
use std::process::ExitCode;

/// Starts nothing.
#[must_use]
pub fn serve(_loaded: Loaded, _overrides: ServeOverrides) -> ExitCode {
    Exit::Unavailable.into()
}
