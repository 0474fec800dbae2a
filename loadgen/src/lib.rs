//! An open-loop load generator for SIP redirect servers: what the `tollgate-loadgen` program is made of.
//!
//! It depends on nothing of the server, so that it can measure any: it is the independent witness. Life of a call:
//! `pace` (when) → `source` (what, and the verdict expected: a mix or a list) → `message` (octets) → `engine` (sent, kept in `table`) →
//! `answer` (read) → `verdict` (judged) → `record`, `stats` → `report`.

pub mod answer;
pub mod call;
pub mod cdr;
pub mod check;
pub mod cli;
pub mod clock;
pub mod conclusion;
pub mod digest;
pub mod engine;
pub mod fault;
pub mod files;
pub mod find;
pub mod framer;
pub mod histogram;
pub mod limits;
pub mod listing;
pub mod message;
pub mod mix;
pub mod net;
pub mod outputs;
pub mod pace;
pub mod pulse;
pub mod random;
pub mod recent;
pub mod record;
pub mod replay;
pub mod report;
pub mod respond;
pub mod run;
pub mod screen;
pub mod source;
pub mod stats;
pub mod sys;
pub mod table;
pub mod text;
pub mod verdict;
pub mod wire;
pub mod yardstick;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use cli::respond::RespondArgs;
use cli::search::FindArgs;
use cli::{Cli, Command, RunArgs};
use conclusion::EXIT_USAGE;
use outputs::Output;

/// Obeys a command line; returns the exit status.
#[must_use]
pub fn main_of(cli: &Cli) -> u8 {
    let done = match &cli.command {
        Command::Run(args) => report(args, |progress| run::run_open(args, None, progress)),
        Command::Soak(args) => report(&args.run, |progress| {
            run::run_open(&args.run, Some(args.drift_max), progress)
        }),
        Command::Replay(args) => report(&args.run, |progress| replay::command::run(args, progress)),
        Command::FindMax(args) => find_and_report(args),
        Command::Mix(args) => mix::command::run(args, &mut io::stdout()).map(|()| 0),
        Command::Respond(args) => respond_and_report(args),
    };
    match done {
        Ok(exit) => exit,
        Err(reason) => {
            complain(&reason);
            EXIT_USAGE
        }
    }
}

fn report(
    args: &RunArgs,
    run: impl FnOnce(&mut dyn screen::Progress) -> Result<report::Results, String>,
) -> Result<u8, String> {
    let mut json = JsonOutput::open(args.json.as_deref())?;
    let hgrm = args.hgrm.as_deref().map(Output::create).transpose()?;
    let results = run(&mut *screen::for_standard_error())?;
    if let Some(output) = hgrm {
        outputs::write_percentiles(&results.stats.from_intended, output)?;
    }
    if !matches!(json, JsonOutput::Standard) {
        print(&results.to_string());
    }
    json.write(&format!("{:#}\n", results.json()))?;
    Ok(results.conclusion().exit)
}

fn find_and_report(args: &FindArgs) -> Result<u8, String> {
    let run = &args.run;
    let of_one_run = [&run.csv, &run.hgrm, &run.interval_log, &run.calls];
    if of_one_run.into_iter().any(Option::is_some) || run.ceiling.is_some() {
        return Err(
            "--csv, --hgrm, --interval-log, --calls and --ceiling are of one run; find-max makes many and measures its ceiling itself"
                .to_owned(),
        );
    }
    let mut json = JsonOutput::open(run.json.as_deref())?;
    let found = find::find(args, &mut *screen::for_standard_error())?;
    if !matches!(json, JsonOutput::Standard) {
        found.iter().for_each(|one| print(&one.sentence()));
    }
    json.write(&format!("{:#}\n", find::json_of(&found)))?;
    Ok(find::exit_of(&found))
}

fn respond_and_report(args: &RespondArgs) -> Result<u8, String> {
    let mut json = JsonOutput::open(args.json.as_deref())?;
    let seen = respond::respond(args, &mut io::stderr())?;
    if !matches!(json, JsonOutput::Standard) {
        for (name, count) in seen.as_object().into_iter().flatten() {
            print(&format!("{name:<14}{count}\n"));
        }
    }
    json.write(&format!("{seen:#}\n"))?;
    Ok(0)
}

/// Where the JSON goes. A file is opened before the run, so that its figures cannot be lost for a misspelt folder.
enum JsonOutput {
    None,
    Standard,
    File(File, PathBuf),
}

impl JsonOutput {
    fn open(path: Option<&Path>) -> Result<Self, String> {
        match path {
            None => Ok(Self::None),
            Some(path) if path == Path::new("-") => Ok(Self::Standard),
            Some(path) => File::create(path)
                .map(|file| Self::File(file, path.to_owned()))
                .map_err(|error| format!("{}: {error}", path.display())),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Standard => {
                print(text);
                Ok(())
            }
            Self::File(file, path) => file
                .write_all(text.as_bytes())
                .map_err(|error| format!("{}: {error}", path.display())),
        }
    }
}

fn print(text: &str) {
    // A reader that has gone away (a closed pipe) does not change how the run ended.
    let _unread = io::stdout().write_all(text.as_bytes());
}

fn complain(reason: &str) {
    let _unread = writeln!(io::stderr(), "tollgate-loadgen: {reason}");
}
