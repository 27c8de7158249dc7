//! The program: runs the command line, and reports a failure in one line.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Returns large blocks (a password hash takes 19 MiB) to the system, at the latest when a thread
/// that was idle for a while ends. The default allocator keeps them for each thread that ever
/// hashed a password.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Milliseconds after which freed memory is returned to the system: not at once, since most of it
/// is allocated again within a request.
const FREED_KEPT_MS: u16 = 50;

fn main() -> ExitCode {
    chinwag_allocator::return_freed_memory_after(FREED_KEPT_MS);
    cli::end_at_panic();
    let done = cli::parse().and_then(cli::run);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
