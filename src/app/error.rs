//! Errors of startup and of commands, in words for the operator.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::InvalidSettings;
use crate::domain::Error;
use crate::store::StoreError;

/// Why the service cannot start or continue, or why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are invalid.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// Another process listens on the address.
    #[error("{0} is in use: stop the process that listens on it, or set another PORT")]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The inherited socket cannot be used.
    #[error("cannot use the socket passed in LISTEN_FDS")]
    Inherited(#[source] io::Error),
    /// The directory of `--public` cannot be read.
    #[error("cannot serve {path}")]
    PublicDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database cannot be used.
    #[error("cannot use the database {path}")]
    Database {
        /// Its file.
        path: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The database cannot be used; the message of the source names the database.
    #[error(transparent)]
    Store(StoreError),
    /// The file with the generated secret cannot be read or written.
    #[error("cannot use {path}")]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file with the generated secret is too short.
    #[error(
        "{0} has fewer than 32 characters: restore the file, or delete it to sign out all users"
    )]
    ShortSecret(PathBuf),
    /// The requested operation was refused or failed.
    #[error(transparent)]
    Domain(#[from] Error),
    /// The system refused a resource that the server needs.
    #[error("the operating system did not provide {what}")]
    System {
        /// The resource.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address space of the process may be too small.
    #[error("the address space is limited to {limit} MiB (ulimit -v), and {needed} MiB are needed")]
    AddressSpace {
        /// The limit, in MiB.
        limit: u64,
        /// The required size, in MiB.
        needed: u64,
    },
    /// The next program cannot be executed.
    #[error("cannot start {program}")]
    Replace {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server ended without being asked to stop.
    #[error("the server stopped unexpectedly: see the log")]
    ServerEnded,
    /// An essential background task ended, which is a bug in this program.
    #[error("{0} failed: see the log")]
    PartEnded(&'static str),
    /// A second signal interrupted the shutdown.
    #[error(
        "stopped immediately by a second signal: requests were interrupted, stored data is safe"
    )]
    Hurried,
}

impl StartError {
    /// Converts an error of opening the database in this file (`None`: in memory).
    #[must_use]
    pub fn of_database(path: Option<&std::path::Path>, source: StoreError) -> Self {
        match source {
            StoreError::InUse(_) | StoreError::NewerSchema { .. } | StoreError::Path { .. } => {
                Self::Store(source)
            }
            source => {
                let path =
                    path.map_or_else(|| ":memory:".into(), |path| path.display().to_string());
                Self::Database { path, source }
            }
        }
    }

    /// Returns the exit status: 2 for wrong settings, 3 for an unusable database, otherwise 1.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Settings(_) => 2,
            Self::Database { .. } | Self::Store(_) | Self::Domain(Error::Store(_)) => 3,
            _ => 1,
        }
    }

    /// Returns the error and its causes in one line; several wrong settings take a line each.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // Database drivers break lines and repeat the messages of their causes.
            let words = error.to_string();
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            if !line.ends_with(&words) {
                line.push_str(": ");
                line.push_str(&words);
            }
            cause = error.source();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_on_the_same_line() {
        let address = "127.0.0.1:80".parse().unwrap();
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "permission\ndenied");

        let error = StartError::Listen { address, source };

        assert_eq!(error.line(), "cannot listen on 127.0.0.1:80: permission denied");
        assert_eq!(error.status(), 1);
    }

    #[test]
    fn causes_are_not_repeated() {
        let source = io::Error::other("is a file");

        let error = StartError::Store(StoreError::Path { path: "data".to_owned(), source });

        assert_eq!(error.line().matches("is a file").count(), 1, "{}", error.line());
    }

    #[test]
    fn an_unusable_database_has_its_own_exit_status() {
        let used = StartError::of_database(None, StoreError::InUse("data/chinwag.db".into()));
        let path = std::path::Path::new("data/chinwag.db");
        let stopped = StartError::of_database(Some(path), StoreError::Stopped);

        assert_eq!(used.line(), "data/chinwag.db is in use by another chinwag process");
        assert_eq!(used.status(), 3);
        assert_eq!(
            stopped.line(),
            "cannot use the database data/chinwag.db: the writer has stopped"
        );
        assert_eq!(stopped.status(), 3);
    }
}
