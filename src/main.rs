//! The `tollgate` program: hands its arguments to `tollgate::cli` and exits with what that says.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate::cli::run(std::env::args_os())
}
