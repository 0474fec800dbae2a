//! An open-loop load generator for SIP redirect servers: what the `tollgate-loadgen` program is made of.
//!
//! It depends on nothing of the server, so that it can measure any: it is the independent witness. Life of a call:
//! `pace` (when) → `mix` (what, and the verdict expected) → `message` (octets) → `engine` (sent, kept in `table`) →
//! `answer` (read) → `verdict` (judged) → `stats` → `report`.

pub mod answer;
pub mod calls;
pub mod check;
pub mod cli;
pub mod clock;
pub mod engine;
pub mod limits;
pub mod message;
pub mod mix;
pub mod net;
pub mod pace;
pub mod random;
pub mod report;
pub mod run;
pub mod stats;
pub mod sys;
pub mod table;
pub mod text;
pub mod verdict;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use cli::{Cli, Command, RunArgs};

/// The status of a command line that cannot be obeyed.
pub const EXIT_USAGE: u8 = 2;

/// Obeys a command line; returns the exit status.
#[must_use]
pub fn main_of(cli: &Cli) -> u8 {
    let Command::Run(args) = &cli.command;
    match run_and_report(args) {
        Ok(exit) => exit,
        Err(reason) => {
            complain(&reason);
            EXIT_USAGE
        }
    }
}

fn run_and_report(args: &RunArgs) -> Result<u8, String> {
    let results = run::run(args, &mut io::stderr())?;
    let exit = results.conclusion().exit;
    let json = format!("{:#}\n", results.json());
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => print(&json),
        Some(path) => {
            print(&results.to_string());
            // The figures have been printed, so they are not lost with the file.
            if let Err(error) = fs::write(path, json) {
                complain(&format!("{}: {error}", path.display()));
                return Ok(EXIT_USAGE);
            }
        }
        None => print(&results.to_string()),
    }
    Ok(exit)
}

fn print(text: &str) {
    // A reader that has gone away (a closed pipe) does not change how the run ended.
    let _unread = io::stdout().write_all(text.as_bytes());
}

fn complain(reason: &str) {
    let _unread = writeln!(io::stderr(), "tollgate-loadgen: {reason}");
}
