//! `chinwag serve`: reads the settings, opens the socket and serves until a signal ends it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chinwag::app::listener;
use chinwag::app::{App, Ending, Handover, Signals, StartError};
use chinwag::clock::Clock;
use chinwag::config;

use crate::cli;
use crate::cli::Failure;
use crate::cli::failure;

/// Timeout at exit for work that cannot be cancelled, such as a password hash being computed.
const BLOCKING_PATIENCE: Duration = Duration::from_secs(1);

/// Serves until a signal ends it. Does not return on a restart, since the next program takes over
/// the process.
pub fn serve(demo: bool, public: Option<PathBuf>) -> Result<(), Failure> {
    let mut config = cli::settings()?;
    if demo {
        config.enable_demo();
    }
    if let Some(directory) = &public {
        require_directory(directory)?;
    }
    config.server.public_dir = public;
    let handover = Handover::prepare(config::search_path().as_deref())
        .map_err(|source| StartError::System { what: "the path of the program", source })?;
    let inherited = listener::inherit()?;
    let address = SocketAddr::new(config.server.host, config.server.port);

    let runtime = cli::runtime()?;
    let served = runtime.block_on(async {
        let mut signals = Signals::mind()
            .map_err(|source| StartError::System { what: "signal handlers", source })?;
        // Opened before the database, so that clients wait from now on instead of being refused.
        let listener = listener::open(inherited, address)?;
        let app = App::open(config, Clock::system()).await?;
        failure::survive_panics();
        let ending = app.serve(&listener, &mut signals, &handover).await?;
        Ok::<_, StartError>((ending, listener))
    });
    runtime.shutdown_timeout(BLOCKING_PATIENCE);

    match served? {
        (Ending::Stop, _) => Ok(()),
        (Ending::Restart, listener) => {
            let source = handover.replace(&listener);
            let program = handover.program().to_owned();
            Err(StartError::Replace { program, source }.into())
        }
    }
}

fn require_directory(path: &Path) -> Result<(), StartError> {
    let found = std::fs::read_dir(path).map(drop);
    found.map_err(|source| StartError::PublicDirectory { path: path.to_owned(), source })
}
