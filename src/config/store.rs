//! The database and the event log.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::config::parse::choice;

/// Maximum number of follow-up changes in one transaction: about ten milliseconds of the writer's
/// time, during which other writes wait.
const STEP_ROWS_MAX: usize = 250;
const STEP_BYTES_MAX: usize = 256 << 10;

settings! {
    /// The database.
    pub struct StoreConfig {
        /// The kind of database. Only sqlite3 is supported so far.
        client: DatabaseClient = setting("DB_CLIENT", "sqlite3", client);
        /// `None` for a database in memory (tests only).
        filename: Option<PathBuf> = group(Some) {
            /// The database file. Its directory is created, and holds the generated secret as well.
            filename = setting("DB_FILENAME", "data/chinwag.db", file);
        };
        /// The number of read connections.
        readers: u32 = setting("DB_READERS", "4", number(1, 64));
        /// The timeout of a client's query in the database, in milliseconds or with a unit. Longer
        /// queries, and those of disconnected clients, are cancelled and answered 503. The queries
        /// of the service itself (sign-in, permissions) are exempt.
        query_timeout: Duration = setting("DB_QUERY_TIMEOUT", "10000", milliseconds(1));
        /// The number of queued writes; further ones are answered 503.
        write_queue_max: usize = setting("DB_WRITE_QUEUE_MAX", "10000", number(1, 1_000_000));
        /// The bytes of queued writes; further ones are answered 503. An account, or all visitors
        /// of one address together, may use a quarter of it, and of `DB_WRITE_QUEUE_MAX`.
        write_queue_bytes_max: usize = setting("DB_WRITE_QUEUE_SIZE_MAX", "64mb", budget);
        /// The number of writes in one transaction, which also ends at about 4 MB.
        write_batch_max: usize = setting("DB_WRITE_BATCH_MAX", "1000", number(1, 100_000));
        /// The bytes of all items that one request updates or deletes, old and new versions
        /// together; larger requests are refused. A single item may always be changed. Other writes
        /// wait meanwhile: some 70 ms for 4 MB on two cores.
        mutation_bytes_max: usize = setting("DB_MUTATION_SIZE_MAX", "4mb", budget);
        /// The size that overlapping reads may let the write-ahead log (the -wal file) reach,
        /// beyond the largest transaction. From half of it on, counts and other totals wait; beyond
        /// it, all reads pause briefly, and those that have run for 250 ms are cancelled and
        /// answered 503.
        wal_bytes_max: usize = setting("DB_WAL_SIZE_MAX", "40mb", budget);
        /// Maximum number of items in one event, and of follow-up changes in one transaction.
        step_rows_max: usize = computed(STEP_ROWS_MAX);
        /// The same in bytes of their texts.
        step_bytes_max: usize = computed(STEP_BYTES_MAX);
        /// How long events are kept, and with them replay for clients, idempotency keys and the
        /// history of edits (plain: milliseconds); 0 keeps them forever.
        log_retention: Duration = setting("EVENT_LOG_RETENTION", "7d", milliseconds(0));
        /// The number of events kept; 0 for all.
        log_events_max: i64 =
            setting("EVENT_LOG_EVENTS_MAX", "1000000", number(0, 1_000_000_000_000));
    }
}

/// Kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum DatabaseClient {
    /// SQLite.
    Sqlite3,
}

fn client(value: &str) -> Result<DatabaseClient, String> {
    choice(value).map_err(|client| format!("{client}, the only supported database"))
}
