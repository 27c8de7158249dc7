//! Storage errors, for logs and for `domain::Error`.

use std::time::Duration;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique value is already taken.
    #[error("{collection}.{field} is not unique")]
    NotUnique {
        /// The collection.
        collection: &'static str,
        /// The field.
        field: &'static str,
        /// The value, masked for secrets.
        value: String,
    },
    /// A required value is null.
    #[error("{collection}.{field} is null")]
    Null {
        /// The collection.
        collection: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The write would leave no active administrator.
    #[error("no administrator would remain")]
    NoAdministrator,
    /// A relation refers to an item that does not exist.
    #[error("a relation of {collection} names a missing item")]
    NoSuchTarget {
        /// The collection.
        collection: &'static str,
        /// The field, where known.
        field: Option<&'static str>,
    },
    /// An item that a write names is missing, or does not meet the write's precondition.
    #[error("the precondition of a write failed")]
    Refused,
    /// The result exceeds the size limit of the read.
    #[error("the result of a read is too long")]
    TooLong,
    /// The memory for the result of a read could not be reserved.
    #[error("no memory is left for the result of a read")]
    NoRoom,
    /// The items that a write would touch exceed the size limit of one write.
    #[error("a write would touch items of more than {bytes_max} bytes")]
    TooMuch {
        /// The limit in bytes, for the items before and after the write together.
        bytes_max: usize,
    },
    /// A read exceeded its timeout.
    #[error("a read took longer than {0:?}")]
    OutOfTime(Duration),
    /// No connection became free in time, or a costly read was cancelled in favor of others.
    #[error("too many reads are in progress")]
    Crowded,
    /// The idempotency key was used for another write before.
    #[error("the idempotency key was used for another write")]
    KeyReused,
    /// The log no longer contains the requested events.
    #[error("the event log does not reach back that far")]
    Forgotten,
    /// The write queue has reached its limit of jobs or bytes.
    #[error("the write queue is full")]
    QueueFull,
    /// The writer has stopped, because the service is shutting down.
    #[error("the writer has stopped")]
    Stopped,
    /// The database failed for another write of the same batch; this write was not retried.
    #[error("the database failed for another write of the same batch")]
    Abandoned,
    /// The write-ahead log cannot be truncated.
    #[error(
        "the write-ahead log cannot be truncated because another process keeps reading the \
         database: stop that process"
    )]
    WalInUse,
    /// Another process uses the database.
    #[error("{0} is in use by another chinwag process")]
    InUse(String),
    /// The database was written by a newer version.
    #[error(
        "the database has schema version {found}, this version of chinwag knows {known}: \
         start a newer chinwag, or restore a backup"
    )]
    NewerSchema {
        /// The version found.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A file or directory cannot be used.
    #[error("cannot use {path}")]
    Path {
        /// The path.
        path: String,
        /// The underlying I/O error.
        #[source]
        source: std::io::Error,
    },
    /// A stored value is invalid for its column.
    #[error("inconsistent value in {table}.{column}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// SQLite could not register the functions of this program.
    #[error(transparent)]
    Functions(#[from] chinwag_sql_function::OutOfMemory),
    /// A migration failed.
    #[error("migration failed")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database or its driver failed.
    #[error("database failed")]
    Database(#[source] sqlx::Error),
}

/// The primary result codes of SQLite for a damaged file: `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
const DAMAGE: [i32; 2] = [11, 26];
/// The damage code that occurs while the service runs. `SQLITE_NOTADB` fails the start, which logs
/// a line of its own.
const CORRUPT: [i32; 1] = [11];

/// The primary result codes of SQLite for transient failures, which end without intervention or
/// once space is freed: busy, locked, read-only, I/O error, full.
const PASSING: [i32; 5] = [5, 6, 8, 10, 13];

impl StoreError {
    /// Returns whether the store is closed, so that no later operation can succeed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Stopped | Self::Database(sqlx::Error::PoolClosed))
    }

    /// Returns whether a retry may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::QueueFull | Self::Stopped | Self::Abandoned | Self::WalInUse => true,
            Self::Database(error) => {
                has_code(error, &PASSING)
                    || matches!(
                        error,
                        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_)
                    )
            }
            _ => false,
        }
    }

    /// Returns whether the database file is damaged.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Database(error) if has_code(error, &DAMAGE))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if has_code(&error, &CORRUPT) {
            tracing::error!(
                error = %error,
                "the database file is damaged: GET /server/health?check=integrity shows where; \
                 restore a backup"
            );
        }
        Self::Database(error)
    }
}

fn has_code(error: &sqlx::Error, codes: &[i32]) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let code = error.code().and_then(|code| code.parse::<i32>().ok());
    // Extended codes carry the primary code in their lowest byte.
    code.is_some_and(|code| codes.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queue_and_pool_errors_are_transient() {
        assert!(StoreError::QueueFull.is_passing());
        assert!(StoreError::Database(sqlx::Error::PoolTimedOut).is_passing());
        assert!(!StoreError::Inconsistent { table: "messages", column: "id" }.is_passing());
    }
}
