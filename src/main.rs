//! The program: what the command line asks for, done or refused in one line.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Gives large blocks (a password hash takes 19 MiB) back to the system, at the latest when a thread that
/// was idle for a while ends; the system's own allocator keeps them for each thread that ever hashed.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::end_at_panic();
    let done = cli::parse().and_then(cli::run);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
