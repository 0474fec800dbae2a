//! The command line: what each command does, and what it exits with.
//!
//! Promises: exit codes are those of the interface: 0, 64 usage, 65 bad data, 69 unavailable, 78 bad configuration; the help of
//! every command says what they mean.
//! Leaves to `control`: every check of a configuration; to `process`: running.

mod at_hand;
mod doctor;
mod explain;
mod recipe;
mod remote;
mod told;

use crate::clock::Clock;
use crate::control::presets::PRESETS;
use crate::control::{self, Cores, Faults, Loaded, Shards, Source, node};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit codes of the interface (those of sysexits.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// What was given is well-formed and refused, or cannot be read.
    BadData = 65,
    /// Something needed is not to be had: a port, a file to write, the running node, leave to give it orders.
    Unavailable = 69,
    /// The configuration or the bundle is wrong.
    BadConfiguration = 78,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Usage,
        Self::BadData,
        Self::Unavailable,
        Self::BadConfiguration,
    ];

    /// What it says, as the help has it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done; of `serve`: stopped or drained, as it was told",
            Self::Usage => {
                "the command line is wrong: an unknown word, an ill-formed value, options that do not go together"
            }
            Self::BadData => {
                "refused: of `reload`: the new bundle; of `hold release`: no such hold is in force; of `explain`: no such domain, no call that is decided, or a file that cannot be read"
            }
            Self::Unavailable => {
                "something is not to be had: a port, a core, memory, the state folder, the running node or leave to give it orders, a file to write, standard output; of `status`: it is not ready"
            }
            Self::BadConfiguration => "the configuration or its bundle is wrong, or cannot be read",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Decides, before a PBX sends a call to an expensive destination, whether it looks like toll fraud.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls until told to stop.
    Serve(ServeArguments),
    /// Say what is wrong in the configuration and its bundle, all of it, and start nothing.
    Check(ConfigArgument),
    /// Print the settings in force, defaults included; lists and subscribers as counts.
    Config(ConfigArguments),
    /// List or end the holds of the running node.
    Hold(HoldArguments),
    /// Tell the running node to take its bundle anew; the one in force stays when it is refused. SIGHUP does the same.
    Reload(ConfigArgument),
    /// Tell the running node to send balancers elsewhere, and to stop after its drain time. SIGTERM does the same.
    Drain(ConfigArgument),
    /// Say what of this machine a node would have otherwise, what it costs, how to change it and how to undo that.
    Doctor(ConfigArgument),
    /// Say of one call how its number is read, what each rule says of it, and what its limits would count. Changes nothing.
    Explain(explain::Arguments),
    /// Print a dialplan that asks this node, with its address in it.
    Recipe(RecipeArguments),
    /// Say how many calls each rule and each list of the running node decided. Rows of lists are counted with [journal] only.
    Rules(ConfigArgument),
    /// Say how the running node is, whether it is ready, and who asks it in vain.
    Status(ConfigArgument),
}

#[derive(Debug, Args)]
struct ServeArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Shards: "auto" or a number, in place of node.shards.
    #[arg(long, value_name = "N", value_parser = node::parse_shards)]
    shards: Option<Shards>,
    /// Cores the shards are pinned to: "auto" or a list like 0,2-3, in place of node.cores.
    #[arg(long, value_name = "LIST", value_parser = node::parse_cores)]
    cores: Option<Cores>,
}

#[derive(Debug, Args)]
struct RecipeArguments {
    /// The switch that asks.
    #[arg(value_name = "PROFILE")]
    switch: recipe::Switch,
    /// Which answer approves.
    #[arg(long, value_enum, default_value = "redirect")]
    method: recipe::Method,
    #[command(flatten)]
    config: ConfigArgument,
}

#[derive(Debug, Args)]
struct HoldArguments {
    #[command(subcommand)]
    what: HoldCommand,
}

#[derive(Debug, Subcommand)]
enum HoldCommand {
    /// Show the holds in force: what each is ended by, how long it lasts, and whom it holds.
    List(ConfigArgument),
    /// End holds; calls are counted on as before, so a limit may place one again.
    Release(ReleaseArguments),
}

#[derive(Debug, Args)]
struct ReleaseArguments {
    /// The holds, as `tollgate hold list` shows them: 16 hexadecimal digits each.
    #[arg(value_name = "ID", required = true, value_parser = hold_id)]
    ids: Vec<String>,
    #[command(flatten)]
    config: ConfigArgument,
}

fn hold_id(text: &str) -> Result<String, String> {
    let is_hex = text.len() == 16 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    is_hex
        .then(|| text.to_ascii_lowercase())
        .ok_or_else(|| "want 16 hexadecimal digits, as `tollgate hold list` shows them".to_owned())
}

#[derive(Debug, Args)]
struct ConfigArgument {
    /// The tollgate.toml; without it, the sample inside the program.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ConfigArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Write the sample into this folder instead, as files to start from; nothing that is there is overwritten.
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    write: Option<PathBuf>,
    /// Print limits that stop this instead, to be put behind a policy of policies.toml; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = preset_names(), conflicts_with_all = ["config", "write"])]
    preset: Vec<String>,
    /// Print every key of tollgate.toml, domains.toml and policies.toml instead, with its default and what it holds.
    #[arg(long, conflicts_with_all = ["config", "write", "preset"])]
    reference: bool,
}

impl ConfigArgument {
    fn source(&self) -> Source {
        self.config.clone().map_or(Source::Sample, Source::File)
    }
}

/// What the command line of `serve` put in place of the file's settings. They are in `Loaded::node` already when
/// `process::serve` gets them; here so that the start-up text can say so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServeOverrides {
    /// `--shards`.
    pub shards: Option<Shards>,
    /// `--cores`.
    pub cores: Option<Cores>,
}

/// The command line, whose every help says what the exit statuses mean.
fn command() -> clap::Command {
    let lines = Exit::ALL.map(|exit| format!("\n  {:<3} {}", exit as u8, exit.meaning()));
    let statuses = format!("Exit status:{}", lines.concat());
    with_help_after(CommandLine::command(), &statuses)
}

/// Of a command and of all below it.
fn with_help_after(command: clap::Command, text: &str) -> clap::Command {
    command
        .after_help(text.to_owned())
        .mut_subcommands(|command| with_help_after(command, text))
}

/// Runs the command in `arguments`, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = command()
        .try_get_matches_from(arguments)
        .and_then(|matches| CommandLine::from_arg_matches(&matches));
    let command_line = match parsed {
        Ok(command_line) => command_line,
        Err(error) => return usage(&error),
    };
    match command_line.command {
        Command::Serve(arguments) => serve(arguments),
        Command::Check(argument) => check(&argument.source()),
        Command::Config(arguments) => match arguments.write {
            Some(folder) => write_sample(&folder),
            None if arguments.reference => say(&mut io::stdout(), &control::reference::text()),
            None if !arguments.preset.is_empty() => presets(&arguments.preset),
            None => config(&arguments.config.source()),
        },
        Command::Hold(arguments) => match arguments.what {
            HoldCommand::List(argument) => remote::ask(&argument, remote::Request::Holds),
            HoldCommand::Release(arguments) => {
                // All are tried; the first that fails says how it ends.
                let codes = arguments
                    .ids
                    .iter()
                    .map(|id| remote::ask(&arguments.config, remote::Request::Release(id)));
                let mut failed = codes
                    .filter(|code| *code != ExitCode::SUCCESS)
                    .collect::<Vec<_>>()
                    .into_iter();
                failed.next().unwrap_or(ExitCode::SUCCESS)
            }
        },
        Command::Reload(argument) => remote::ask(&argument, remote::Request::Reload),
        Command::Drain(argument) => remote::ask(&argument, remote::Request::Drain),
        Command::Doctor(argument) => doctor(&argument.source()),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Recipe(arguments) => recipe(&arguments),
        Command::Rules(argument) => remote::ask(&argument, remote::Request::Rules),
        Command::Status(argument) => remote::ask(&argument, remote::Request::Status),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // A closed standard error leaves nobody to tell; the exit status still does. Help that cannot be printed is 69.
    let written = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion if written.is_err() => {
            Exit::Unavailable.into()
        }
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok.into(),
        _ => Exit::Usage.into(),
    }
}

fn serve(arguments: ServeArguments) -> ExitCode {
    let mut start = match control::load_or_last_good(&arguments.config.source()) {
        Ok(start) => start,
        Err(faults) => return refuse(&faults),
    };
    let overrides = ServeOverrides {
        shards: arguments.shards,
        cores: arguments.cores,
    };
    if let Err(sentence) = start
        .loaded
        .node
        .override_threads(overrides.shards, overrides.cores.clone())
    {
        say(&mut io::stderr(), &format!("tollgate serve: {sentence}\n"));
        return Exit::Usage.into();
    }
    crate::process::serve(start, overrides)
}

fn check(source: &Source) -> ExitCode {
    let loaded = match control::load(source) {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    let expired = control::show::expired(&loaded, Clock::start().now());
    say(
        &mut io::stderr(),
        &(warnings(&loaded) + &expired.unwrap_or_default()),
    );
    say(&mut io::stdout(), &control::show::summary(&loaded))
}

fn config(source: &Source) -> ExitCode {
    match control::load(source) {
        Ok(loaded) => say(&mut io::stdout(), &control::show::in_force(&loaded)),
        Err(faults) => refuse(&faults),
    }
}

/// The names of the presets, each with what it stops.
fn preset_names() -> PossibleValuesParser {
    let values = PRESETS.map(|preset| PossibleValue::new(preset.name).help(preset.about));
    PossibleValuesParser::new(values)
}

fn presets(names: &[String]) -> ExitCode {
    let chosen = PRESETS
        .iter()
        .filter(|preset| names.iter().any(|name| name == preset.name));
    let texts: Vec<&str> = chosen.map(|preset| preset.text).collect();
    say(&mut io::stdout(), &texts.join("\n"))
}

fn doctor(source: &Source) -> ExitCode {
    let node = match control::node_config(source) {
        Ok(node) => node,
        Err(faults) => return refuse(&faults),
    };
    let allowed = crate::shard::allowed_cores();
    let cores = match crate::process::plan_cores(node.shards, &node.cores, &allowed) {
        Ok(cores) => cores,
        Err(sentence) => {
            let _said = say(&mut io::stderr(), &format!("tollgate doctor: {sentence}\n"));
            return Exit::Unavailable.into();
        }
    };
    let text = doctor::text(&doctor::ThisMachine, &node, &cores, &allowed);
    say(&mut io::stdout(), &text)
}

fn recipe(arguments: &RecipeArguments) -> ExitCode {
    let node = match control::node_config(&arguments.config.source()) {
        Ok(node) => node,
        Err(faults) => return refuse(&faults),
    };
    // A configuration without a listener is refused above.
    let Some(listener) = node.listeners.first() else {
        return Exit::BadConfiguration.into();
    };
    let text = recipe::text(arguments.switch, arguments.method, listener.udp);
    say(&mut io::stdout(), &text)
}

fn write_sample(folder: &Path) -> ExitCode {
    match control::write_sample(folder) {
        Ok(paths) => {
            let mut text: String = paths
                .iter()
                .map(|path| format!("wrote {}\n", path.display()))
                .collect();
            // The first is tollgate.toml.
            if let Some(config) = paths.first() {
                let _always_ok = writeln!(
                    text,
                    "next: edit them, then\n      tollgate check --config {0}\n      tollgate serve --config {0}",
                    config.display()
                );
            }
            say(&mut io::stdout(), &text)
        }
        Err(sentence) => {
            say(&mut io::stderr(), &format!("tollgate config: {sentence}\n"));
            Exit::Unavailable.into()
        }
    }
}

/// All faults and their number, on standard error.
fn refuse(faults: &Faults) -> ExitCode {
    let count = faults.count();
    let noun = if count == 1 { "fault" } else { "faults" };
    say(
        &mut io::stderr(),
        &format!("{faults}\ntollgate: {count} {noun}; nothing was started\n"),
    );
    Exit::BadConfiguration.into()
}

/// The warnings of a configuration, one a line.
#[must_use]
pub fn warnings(loaded: &Loaded) -> String {
    loaded
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}\n"))
        .collect()
}

/// Writes text; a reader that went away is no success.
fn say(to: &mut dyn Write, text: &str) -> ExitCode {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Ok(()) => Exit::Ok.into(),
        Err(_gone) => Exit::Unavailable.into(),
    }
}
