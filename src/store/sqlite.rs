//! The embedded database: one file, one writer, some readers.
//!
//! WAL mode lets readers and the writer run concurrently. With `synchronous = full`, a commit is on
//! disk when it returns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Timestamp;
use crate::config::StoreConfig;
use crate::model::Event;
use crate::store::StoreError;
use crate::store::dialect;
use crate::store::lock::Lock;
use crate::store::log::Log;
use crate::store::maintenance::Maintenance;
use crate::store::migrate;
use crate::store::readers::ReadPool;
use crate::store::recent::RecentMessages;
use crate::store::search::Purges;
use crate::store::wal::Wal;
use crate::store::write::{Committed, FlowKey, IdempotencyKey, Outcome, Write};
use crate::store::writer::{Queue, Work, Writer};

/// Timeout of a statement on a locked file, and of waiting for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open database.
pub struct Store {
    readers: ReadPool,
    /// Connections for the service's own reads, so that client queries cannot delay these.
    reserved: SqlitePool,
    recent: Arc<RecentMessages>,
    log: Log,
    indexed: Arc<AtomicI64>,
    purges: Purges,
    wal: Arc<Wal>,
    checking: tokio::sync::Mutex<()>,
    queue: Mutex<Option<Queue>>,
    queue_jobs_max: usize,
    mutation_bytes_max: usize,
    queue_bytes_max: usize,
    /// Whether the service is shutting down.
    ending: AtomicBool,
    writer: Mutex<Option<JoinHandle<Option<SqliteConnection>>>>,
    _lock: Lock,
}

impl Store {
    /// Opens the database, creating it if it does not exist, and migrates its schema. Committed
    /// events are sent to `committed`, in order; while that channel is full, the writer waits.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerSchema`], [`StoreError::Path`]; when the database
    /// fails.
    pub async fn open(
        config: &StoreConfig,
        committed: mpsc::Sender<Committed>,
    ) -> Result<Self, StoreError> {
        dialect::add_functions()?;
        let filename = filename(config)?;
        let lock = Lock::acquire(filename)?;
        let options = options(filename, config);
        // The statement journal of a batch exceeds the size that SQLite keeps in memory by default.
        // It is bounded like the bytes of a batch.
        let writing = options.clone().pragma("temp_store", "memory");
        let is_new = std::fs::metadata(filename).is_ok_and(|file| file.len() == 0);
        let mut connection = if is_new {
            writing.clone().auto_vacuum(SqliteAutoVacuum::Incremental).connect().await?
        } else {
            writing.connect().await?
        };
        migrate::run(&mut connection).await?;
        let writer = Writer::open(connection, writing, config, committed).await?;
        let reading = options.pragma("query_only", "on");
        let reserved = SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(reading.clone());
        let (queue, jobs) = Queue::new(config.write_queue_max, config.write_queue_bytes_max);
        Ok(Self {
            readers: ReadPool::new(reading, config.readers, config.query_timeout, PATIENCE),
            log: Log::open(&reserved, Arc::clone(&writer.head)).await?,
            reserved,
            recent: Arc::clone(&writer.recent),
            indexed: writer.indexer.seq(),
            purges: writer.indexer.purges(),
            wal: Arc::clone(&writer.wal),
            checking: tokio::sync::Mutex::default(),
            queue: Mutex::new(Some(queue)),
            queue_jobs_max: config.write_queue_max,
            mutation_bytes_max: config.mutation_bytes_max,
            queue_bytes_max: config.write_queue_bytes_max,
            ending: AtomicBool::new(false),
            writer: Mutex::new(Some(tokio::spawn(writer.run(jobs)))),
            _lock: lock,
        })
    }

    /// Returns the offset of the last committed event. It covers every acknowledged write.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.head().seq
    }

    /// Returns the offset of the last event in the search index, at most [`Store::position`]. Later
    /// events stay in the log.
    #[must_use]
    pub fn indexed(&self) -> i64 {
        self.indexed.load(Ordering::Acquire)
    }

    /// Queues a write, waits for its commit, and returns its events in order. Secrets are masked in
    /// events. A write that takes several transactions is carried out to its end, and all its
    /// events are returned: only for writes that are known to be small.
    ///
    /// # Errors
    /// [`StoreError::QueueFull`]; the error of a refused write, which then has no effect.
    pub async fn write(&self, write: Write) -> Result<Vec<Arc<Event>>, StoreError> {
        let flow = FlowKey::of(write.actor);
        let (mut next, mut all) = (Some(write), Vec::new());
        while let Some(write) = next.take() {
            match self.write_in_flow(flow, write, None).await? {
                Outcome::Committed(events) => all.extend(events),
                Outcome::Partial(events, rest) => {
                    all.extend(events);
                    next = Some(rest);
                }
                // Only writes with an idempotency key have duplicates.
                Outcome::Duplicate(_) => {}
            }
        }
        Ok(all)
    }

    /// Like [`Store::write`], for one transaction in the flow `flow`. With an idempotency key, the
    /// write is skipped if the same write was committed under it before, or is committed at the
    /// same moment. Keys are kept as long as the log keeps the events.
    ///
    /// # Errors
    /// As [`Store::write`]; [`StoreError::KeyReused`] if the key was used for another write.
    pub async fn write_in_flow(
        &self,
        flow: FlowKey,
        write: Write,
        key: Option<IdempotencyKey>,
    ) -> Result<Outcome, StoreError> {
        self.queue_up(Work::Write(write, key), flow).await
    }

    /// Returns the size limit of the write queue, in bytes.
    #[must_use]
    pub const fn queue_bytes_max(&self) -> usize {
        self.queue_bytes_max
    }

    /// Returns the share of [`Store::queue_bytes_max`] that a write takes: its bytes, but at least
    /// the share of one job.
    #[must_use]
    pub fn queue_bytes(&self, write: &Write) -> usize {
        write.bytes().max(self.queue_bytes_max / self.queue_jobs_max)
    }

    /// Queues a maintenance write and waits for its commit.
    pub(super) async fn maintain(&self, maintenance: Maintenance) -> Result<(), StoreError> {
        self.queue_up(Work::Maintenance(maintenance), FlowKey::of(())).await.map(drop)
    }

    async fn queue_up(&self, work: Work, flow: FlowKey) -> Result<Outcome, StoreError> {
        let answer = self.queue.lock().as_ref().ok_or(StoreError::Stopped)?.add(work, flow)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Wakes the writer's task with an empty write, so that it handles pending requests.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub(super) async fn wake(&self) -> Result<(), StoreError> {
        let nothing = Write { actor: None, at: Timestamp::from_millis(0), ops: Vec::new() };
        self.write(nothing).await.map(drop)
    }

    /// Waits until the file contains no part of the texts deleted or edited so far, neither in the
    /// search index nor in the write-ahead log.
    ///
    /// # Errors
    /// [`StoreError::Stopped`]; [`StoreError::WalInUse`] if another process keeps reading the file;
    /// when the database fails.
    pub async fn purge_texts(&self) -> Result<(), StoreError> {
        let goal = self.position();
        self.purges.request(goal);
        self.wake().await?;
        self.purges.wait(goal).await?;
        self.truncate_wal().await
    }

    /// Waits until the writer has ended without a call of [`Store::close`]. No write can be
    /// committed then.
    pub async fn failed(&self) {
        let queue = self.queue.lock().clone();
        if let Some(queue) = queue {
            queue.closed().await;
        }
    }

    /// Cancels running client queries and refuses later ones that take long. Writes of several
    /// transactions stop between two of them. Waiting clients still get a response.
    pub fn end_long_work(&self) {
        self.ending.store(true, Ordering::Release);
        self.readers.end();
    }

    /// Returns whether a write of several transactions should stop before the next one.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Commits the queued writes, refuses later ones, and closes the file.
    pub async fn close(&self) {
        self.ending.store(true, Ordering::Release);
        self.queue.lock().take();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer
            && let Ok(connection) = writer.await
        {
            self.readers.close().await;
            self.reserved.close().await;
            if let Some(connection) = connection
                && let Err(error) = connection.close().await
            {
                tracing::warn!(error = %error, "the database was not closed cleanly");
            }
        }
    }

    /// Returns the size limit of the items that an update or a delete may touch, in bytes.
    pub(super) const fn mutation_bytes_max(&self) -> usize {
        self.mutation_bytes_max
    }

    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn recent(&self) -> &RecentMessages {
        &self.recent
    }

    pub(super) const fn reserved(&self) -> &SqlitePool {
        &self.reserved
    }

    pub(super) const fn readers(&self) -> &ReadPool {
        &self.readers
    }

    /// Returns the lock that is held during an integrity check.
    pub(super) const fn checking(&self) -> &tokio::sync::Mutex<()> {
        &self.checking
    }

    pub(super) fn wal(&self) -> &Wal {
        &self.wal
    }
}

/// Returns the path of the database file.
///
/// # Errors
/// [`StoreError::Path`] if none is configured.
pub(super) fn filename(config: &StoreConfig) -> Result<&Path, StoreError> {
    config.filename.as_deref().ok_or_else(|| StoreError::Path {
        path: "the database without a name (DB_FILENAME)".to_owned(),
        source: std::io::ErrorKind::InvalidInput.into(),
    })
}

pub(super) fn options(filename: &Path, config: &StoreConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(filename)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Deleted content is overwritten with zeros.
        .pragma("secure_delete", "on")
        // After a long transaction the write-ahead log is truncated to this size.
        .pragma("journal_size_limit", Wal::long(config).to_string())
        .busy_timeout(PATIENCE)
        .disable_statement_logging()
}
