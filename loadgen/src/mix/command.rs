//! `tollgate-loadgen mix`: shows, checks and makes mixes without sending anything.
//!
//! Promises: what is printed goes to standard output alone; what is wrong is said by the caller, with exit status 2.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::call::Call;
use crate::cdr::CdrArgs;
use crate::cli::{Switch, duration_of, rate_of};
use crate::clock::{Nanos, nanos, wall_ns};
use crate::limits::CALLS_MAX;
use crate::listing::Writer;
use crate::mix::select::{Selected, combined, definition, selected};
use crate::mix::{Mix, Times, bundle, shipped};
use crate::verdict::Profile;

/// Options of `mix`.
#[derive(Debug, Args)]
pub struct MixArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: MixCommand,
}

/// What can be done with mixes.
#[derive(Debug, Subcommand)]
pub enum MixCommand {
    /// The mixes that come with the program, a line each.
    List,
    /// The text of a shipped mix: a file to start from.
    Show {
        /// A shipped mix.
        name: String,
    },
    /// Says everything that is wrong with mixes, each fault with its line and column.
    Check {
        /// Shipped mixes or files that end in .toml.
        #[arg(required = true, value_name = "NAME|FILE")]
        mixes: Vec<String>,
    },
    /// Prints the calls of mixes with their times, as CSV that `replay` and `run --mix FILE.csv` read.
    Make(MakeArgs),
    /// Prints a mix that resembles the calls of a file of call records: hours, weekdays, destinations by prefix, callers.
    ///
    /// Of numbers only prefixes come out, of callers and accounts only counts. Columns are found by their usual names: time (start, calldate,
    /// time, timestamp, at), caller (src, caller, calling, from), called (dst, called, dialled, to), subscriber (accountcode,
    /// subscriber, account).
    FromCdr(CdrArgs),
    /// Prints a configuration for Tollgate that decides a mix as the mix expects.
    Bundle(BundleArgs),
}

/// Options of `mix make`.
#[derive(Debug, Args)]
pub struct MakeArgs {
    /// Shipped mixes or files, each as NAME, NAME:WEIGHT, NAME@START or NAME:WEIGHT@START.
    #[arg(required = true, value_name = "MIX", value_parser = selected)]
    pub mixes: Vec<Selected>,
    /// Calls at most.
    #[arg(short = 'm', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CALLS_MAX))]
    pub calls_max: Option<u64>,
    /// For how long.
    #[arg(long, default_value = "60s", value_parser = duration_of)]
    pub duration: Duration,
    /// Whether the server has the limits of the mixes; off leaves them out.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub limits: Switch,
    /// What the clock on the wall says when the calls begin, for limits that go by hours or days: as 2026-11-23T16:59:00Z. Without it, now.
    #[arg(long, value_name = "TIME", value_parser = begin_of)]
    pub begins: Option<Nanos>,
    /// Calls per second, at even distances; without it the pace of the mix itself.
    #[arg(short = 'r', long, value_parser = rate_of)]
    pub rate: Option<u64>,
    /// What all choices follow from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Options of `mix bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// Shipped mixes or files.
    #[arg(required = true, value_name = "MIX", value_parser = selected)]
    pub mixes: Vec<Selected>,
    /// How the server wears its verdicts.
    #[arg(long, value_enum, default_value_t = Profile::Redirect)]
    pub profile: Profile,
    /// Whether to give the policy the limits of the mixes.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub limits: Switch,
    /// Write the files into this new folder instead of printing them; `tollgate serve --config FOLDER/tollgate.toml` runs it.
    #[arg(long, value_name = "FOLDER")]
    pub write: Option<PathBuf>,
}

/// Obeys; writes to `out`.
///
/// # Errors
/// Sentences for the operator, a line each.
pub fn run(args: &MixArgs, out: &mut dyn Write) -> Result<(), String> {
    match &args.command {
        MixCommand::List => list(out),
        MixCommand::Show { name } => {
            let known: Vec<&str> = shipped::SHIPPED.iter().map(|(known, _)| *known).collect();
            let text = shipped::text(name)
                .ok_or_else(|| format!("no mix `{name}`; shipped are {}", known.join(", ")))?;
            put(out, text)
        }
        MixCommand::Check { mixes } => check(mixes, out),
        MixCommand::Make(args) => make(args, out),
        MixCommand::FromCdr(args) => put(out, &crate::cdr::learn(args)?),
        MixCommand::Bundle(args) => print_bundle(args, out),
    }
}

fn put(out: &mut dyn Write, text: &str) -> Result<(), String> {
    match out.write_all(text.as_bytes()) {
        // A reader that has seen enough is no fault.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn list(out: &mut dyn Write) -> Result<(), String> {
    for (name, _) in shipped::SHIPPED {
        let mix = definition(name)?;
        put(out, &format!("{name:<21} {}\n", mix.about))?;
    }
    Ok(())
}

fn check(mixes: &[String], out: &mut dyn Write) -> Result<(), String> {
    let mut faults = Vec::new();
    for name in mixes {
        let whole = definition(name).and_then(|definition| {
            let parts = definition.parts.len();
            Mix::new(definition, 1, Times::Own).map(|_| parts)
        });
        match whole {
            Ok(1) => put(out, &format!("{name}: 1 part, no fault\n"))?,
            Ok(parts) => put(out, &format!("{name}: {parts} parts, no fault\n"))?,
            Err(sentences) => faults.push(sentences),
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(faults.join("\n"))
}

fn make(args: &MakeArgs, out: &mut dyn Write) -> Result<(), String> {
    let times = args.rate.map_or(Times::Own, Times::Rate);
    let until = nanos(args.duration);
    let definition = combined(&args.mixes)?;
    let planned = match times {
        Times::Own => definition.shape.number_at(until).saturating_add(1),
        Times::Rate(milli) => {
            let exact = u128::from(until) * u128::from(milli) / 1_000_000_000_000 + 1;
            u64::try_from(exact).unwrap_or(u64::MAX)
        }
    };
    let calls = args.calls_max.map_or(planned, |most| most.min(planned));
    let mut mix = Mix::new(definition, args.seed, times)?;
    if args.limits == Switch::On {
        let begins = args.begins.unwrap_or_else(wall_ns);
        mix = mix.judged(calls, times, begins)?;
    }
    let mut writer = Writer::new(BufWriter::new(out))?;
    let mut call = Call::default();
    for number in 0..args.calls_max.unwrap_or(CALLS_MAX) {
        let even = |milli: u64| {
            let exact = u128::from(number) * 1_000_000_000_000 / u128::from(milli.max(1));
            u64::try_from(exact).unwrap_or(u64::MAX)
        };
        let due = match args.rate {
            Some(milli) => even(milli),
            None => mix.due(number).unwrap_or(u64::MAX),
        };
        if due >= until {
            break;
        }
        mix.fill(number, &mut call);
        if writer.write(due, mix.part_of(number), &call).is_err() {
            return Ok(()); // the reader has seen enough
        }
    }
    writer.finish().or(Ok(()))
}

fn begin_of(text: &str) -> Result<Nanos, String> {
    let time = crate::replay::journal::unix_nanos(text);
    time.ok_or_else(|| "a time of UTC, as 2026-11-23T16:59:00Z".to_owned())
}

fn print_bundle(args: &BundleArgs, out: &mut dyn Write) -> Result<(), String> {
    let mut definition = combined(&args.mixes)?;
    if args.limits == Switch::Off {
        definition.limits.clear();
    }
    let files = bundle::files(&definition, args.profile);
    let Some(folder) = &args.write else {
        for (path, text) in &files {
            put(out, &format!("# ==> {path}\n{text}\n"))?;
        }
        return Ok(());
    };
    if folder.exists() {
        return Err(format!("{} exists; name a new folder", folder.display()));
    }
    for (path, text) in &files {
        let path = folder.join(path);
        let fault = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new("."))).map_err(fault)?;
        fs::write(&path, text).map_err(fault)?;
    }
    put(
        out,
        &format!(
            "tollgate serve --config {}\n",
            folder.join("tollgate.toml").display()
        ),
    )
}
