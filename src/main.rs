//! The program: what the command line asks for, done or refused in one line.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let done = cli::parse().and_then(cli::run);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
