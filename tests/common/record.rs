//! What a long run showed, written down with where and how it was made.
//!
//! Promises: nothing is written unless `TOLLGATE_RECORD` names a folder; the file names the commit (with `+` when the working
//! tree had changes other than records), the kernel, the processor, how busy the machine was, and a command that makes it again.
//! Leaves to the test: judging the figures. It writes first and judges then, so that a run that missed its aim is recorded, too.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A table of figures; it becomes `STAGE.md`.
pub(crate) struct Record {
    stage: &'static str,
    text: String,
}

impl Record {
    /// What `./tests/long STAGE` showed. `about`: a sentence on what was done.
    pub(crate) fn of(stage: &'static str, about: &str) -> Self {
        let mut text = String::new();
        writeln!(
            text,
            "`{}`\n\n{}\n\n{about}\n\n| figure | seen | asked |\n|---|---|---|",
            command(stage),
            machine()
        )
        .unwrap();
        Self { stage, text }
    }

    /// One figure, and what is asked of it, if anything is. It is printed, too.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a figure is made where it is told"
    )]
    pub(crate) fn figure(&mut self, name: &str, seen: impl ToString, asked: &str) {
        let seen = seen.to_string();
        let with = if asked.is_empty() {
            String::new()
        } else {
            format!(" (asked: {asked})")
        };
        println!("{name}: {seen}{with}");
        writeln!(self.text, "| {name} | {seen} | {asked} |").unwrap();
    }

    /// Writes the file, if one is wanted.
    pub(crate) fn write(&self) {
        if let Some(folder) = env::var_os("TOLLGATE_RECORD") {
            let file = PathBuf::from(folder).join(self.stage).with_extension("md");
            fs::write(&file, &self.text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
            println!("recorded in {}", file.display());
        }
    }
}

/// The command with its settings, but for those that only say where things are.
fn command(stage: &str) -> String {
    let mut settings: Vec<String> = env::vars()
        .filter(|(name, _)| name.starts_with("TOLLGATE_") && name != "TOLLGATE_LOADGEN")
        .map(|(name, value)| format!("{name}={value} "))
        .collect();
    settings.sort();
    format!("{}./tests/long {stage}", settings.concat())
}

/// Commit, kernel, processor, cores and load.
fn machine() -> String {
    let said = |command: &str, arguments: &[&str]| {
        let output = Command::new(command).args(arguments).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&text).trim().to_owned()
    };
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    // Of several stages each finds what the one before wrote down.
    let changed = said(
        "git",
        &[
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            ":(exclude)bench/record",
        ],
    );
    let mark = if changed.is_empty() { "" } else { "+" };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let processor = processor
        .unwrap_or_default()
        .trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(", ");
    format!(
        "Commit {commit}{mark}, Linux {}, {processor}, cores {cores}. Load average at the end of the run: {load}.",
        kernel.trim()
    )
}
