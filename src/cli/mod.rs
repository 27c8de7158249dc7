//! The command line: its subcommands and the functions that run them.
//!
//! Commands use the service only through `app`. Larger commands have a file each; `failure` turns
//! errors into one line and an exit status.

mod failure;
mod healthcheck;
mod output;
mod serve;
mod settings;
mod users;

pub use failure::Failure;
pub use failure::end_at_panic;

use std::path::PathBuf;
use std::time::Duration;

use chinwag::app;
use chinwag::config::Config;
use chinwag::telemetry;
use chinwag::transport;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// Idle timeout of threads for blocking work. Memory that such a thread freed returns to the system
/// when the thread ends.
const BLOCKING_KEPT: Duration = Duration::from_secs(2);

/// A persistent chat backend that speaks Directus over REST and WebSocket.
///
/// Settings come from the environment and from `.env` in the working directory, under the names
/// that Directus uses; `chinwag settings` explains all of them.
#[derive(Debug, Parser)]
#[command(name = "chinwag", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT; SIGHUP restarts it without refusing connections
    Serve {
        /// Create the data of the tutorial: users alice and bob, a guest, an open Public policy
        #[arg(long)]
        demo: bool,
        /// Serve a built front end at `/`, and the API also under `/directus`
        #[arg(long, value_name = "DIR")]
        public: Option<PathBuf>,
    },
    /// Create the database or upgrade its schema, then exit
    Migrate,
    /// Compact the database file by removing free space; the server must be stopped
    Vacuum,
    /// Manage accounts; the server must be stopped
    Users {
        #[command(subcommand)]
        command: users::Users,
    },
    /// Print the settings in effect, with their defaults, explanations and errors
    Settings(settings::Settings),
    /// Print the description of the REST interface (OpenAPI, JSON)
    Openapi,
    /// Print the description of the sockets (AsyncAPI, JSON)
    Asyncapi,
    /// Check the running server: exit status 0 if it is healthy, otherwise 1
    Healthcheck,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Parses the command line.
pub fn parse() -> Result<Cli, Failure> {
    Cli::try_parse().map_err(Failure::of_usage)
}

/// Runs the command.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve { demo, public } => serve::serve(demo, public),
        Command::Migrate => migrate(),
        Command::Vacuum => vacuum(),
        Command::Users { command } => users::run(command),
        Command::Settings(options) => settings::settings(&options),
        Command::Openapi => output::print(&transport::rest::document()),
        Command::Asyncapi => output::print(&transport::asyncapi::document()),
        Command::Healthcheck => healthcheck::healthcheck(&settings()?.server),
        Command::Completions { shell } => completions(shell),
    }
}

fn migrate() -> Result<(), Failure> {
    let config = settings()?;
    runtime()?.block_on(app::migrate(&config)).map_err(Failure::of_command)
}

fn vacuum() -> Result<(), Failure> {
    let config = settings()?;
    let (before, after) = runtime()?.block_on(app::vacuum(&config)).map_err(Failure::of_command)?;
    output::print(&format!("vacuumed  {} KiB, before {} KiB\n", after / 1024, before / 1024))
}

fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chinwag", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Reads the settings and initializes logging.
fn settings() -> Result<Config, Failure> {
    let config = Config::from_env().map_err(app::StartError::from)?;
    telemetry::init(&config.log);
    Ok(config)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    app::address_space::require()?;
    let built = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(BLOCKING_KEPT)
        .build();
    Ok(built.map_err(|source| app::StartError::System { what: "threads", source })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_is_parsed() {
        for line in [
            "serve",
            "serve --demo --public dist",
            "migrate",
            "vacuum",
            "users create --email a@example.com --first-name Ann --role Member --password -",
            "users list",
            "users password --email a@example.com",
            "users suspend --email a@example.com",
            "users export --email a@example.com",
            "users erase --email a@example.com --keep-messages",
            "users disable-tfa --email a@example.com",
            "openapi",
            "asyncapi",
            "healthcheck",
            "completions bash",
        ] {
            let words = std::iter::once("chinwag").chain(line.split(' '));

            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_usage_error_is_one_line() {
        for (line, part) in [
            ("serve --demos", "unexpected argument '--demos'"),
            ("users create", "--email"),
            ("frobnicate", "unrecognized subcommand 'frobnicate'"),
        ] {
            let words = std::iter::once("chinwag").chain(line.split(' '));
            let failure = Failure::of_usage(Cli::try_parse_from(words).unwrap_err());

            let told = failure.to_string();
            assert!(told.contains(part), "{told}");
            assert!(!told.contains('\n'), "{told}");
        }
    }
}
