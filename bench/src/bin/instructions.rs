//! Decides some thousand calls and ends: run under callgrind by `bench/instructions`, which counts what `measured` does.
//!
//! Promises: the work is the same every time; it fails when a call was decided wrongly.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use tollgate::uas::Uas;
use tollgate_bench::work::{Work, policy};

/// Batches that are counted.
const BATCHES: u32 = 250;

#[inline(never)]
fn instructions_measured(work: &mut Work<Uas>) {
    work.answer();
}

fn count() -> Result<u32, String> {
    let policy = policy(0).map_err(|error| error.to_string())?;
    let mut work = Work::new(966, Arc::new(policy)).map_err(|error| error.to_string())?;
    for _ in 0..BATCHES {
        work.receive();
        instructions_measured(&mut work);
        work.check_answers()?;
    }
    Ok(BATCHES * 32)
}

fn main() -> ExitCode {
    match count() {
        Ok(decisions) => {
            // The script reads it; without a reader there is nobody to tell.
            let _written = writeln!(io::stdout(), "{decisions}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _written = writeln!(io::stderr(), "instructions: {error}");
            ExitCode::FAILURE
        }
    }
}
