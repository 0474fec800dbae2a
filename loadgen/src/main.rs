//! The `tollgate-loadgen` program: reads the command line, leaves the rest to the library.

use std::process::ExitCode;

use clap::Parser;
use tollgate_loadgen::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(tollgate_loadgen::main_of(&Cli::parse()))
}
