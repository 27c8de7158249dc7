//! What failed in storage, for logs and for `domain::Error`.

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A value that has to be unique is taken.
    #[error("{collection}.{field} is not unique")]
    NotUnique {
        /// The collection.
        collection: &'static str,
        /// The field.
        field: &'static str,
        /// The value, masked for secrets.
        value: String,
    },
    /// A relation names an item that does not exist.
    #[error("a relation of {collection} leads nowhere")]
    NoSuchTarget {
        /// The collection.
        collection: &'static str,
        /// The field, where known.
        field: Option<&'static str>,
    },
    /// An item that a write names is not there, or does not fit the guard of the write.
    #[error("the guard of a write refused it")]
    Refused,
    /// More writes wait than may wait.
    #[error("the write queue is full")]
    QueueFull,
    /// The writer has stopped, because the service is shutting down.
    #[error("the writer has stopped")]
    Stopped,
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
    #[error("cannot use {path}: {source}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A stored value is not what its column promises.
    #[error("inconsistent value in {table}.{column}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A migration failed.
    #[error("migration failed")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database or its driver failed.
    #[error("database failed")]
    Database(#[from] sqlx::Error),
}
