//! The embedded database: one file, one writer, some readers.
//!
//! WAL, so that readers and the writer do not wait for each other; `synchronous = full`, so that a
//! commit is on disk when it returns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::SqliteConnection;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteAutoVacuum;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Timestamp;
use crate::config::StoreConfig;
use crate::model::Event;
use crate::store::StoreError;
use crate::store::chore::Chore;
use crate::store::dialect;
use crate::store::lock::Lock;
use crate::store::log::Log;
use crate::store::migrate;
use crate::store::read;
use crate::store::readers::Readers;
use crate::store::recent::BYTES_MAX;
use crate::store::recent::ROWS_MAX;
use crate::store::recent::Recent;
use crate::store::search::Indexer;
use crate::store::search::Purges;
use crate::store::wal::Wal;
use crate::store::write::Committed;
use crate::store::write::Done;
use crate::store::write::Once;
use crate::store::write::Turn;
use crate::store::write::Write;
use crate::store::writer::Bounds;
use crate::store::writer::Queue;
use crate::store::writer::State;
use crate::store::writer::Step;
use crate::store::writer::Work;
use crate::store::writer::Writer;

/// How long a statement waits for another process that holds the file, and a reader for a
/// connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open database.
pub struct Store {
    readers: Readers,
    /// A connection for what the service itself has to know, whatever clients keep the others busy
    /// with.
    reserved: SqlitePool,
    recent: Arc<Recent>,
    position: Arc<AtomicI64>,
    log: Log,
    indexed: Arc<AtomicI64>,
    purges: Purges,
    wal: Arc<Wal>,
    checking: tokio::sync::Mutex<()>,
    queue: Mutex<Option<Queue>>,
    queue_jobs_max: usize,
    mutation_bytes_max: usize,
    queue_bytes_max: usize,
    /// Whether the service is about to end.
    ending: AtomicBool,
    writer: Mutex<Option<JoinHandle<Option<SqliteConnection>>>>,
    _lock: Lock,
}

impl Store {
    /// Opens the database, creating it where there is none, and brings its schema up to date.
    /// Committed events leave through `committed`, in order; while that is full the writer waits.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerSchema`], [`StoreError::Path`], and what the
    /// database fails with.
    pub async fn open(
        config: &StoreConfig,
        committed: mpsc::Sender<Committed>,
    ) -> Result<Self, StoreError> {
        dialect::add_functions()?;
        let filename = filename(config)?;
        let lock = Lock::acquire(filename)?;
        let options = options(filename, config);
        // What a statement changed so far is kept to be undone, and that of a batch is larger than what
        // SQLite would keep in memory by itself. It is bounded as the bytes of a batch are.
        let writing = options.clone().pragma("temp_store", "memory");
        let is_new = std::fs::metadata(filename).is_ok_and(|file| file.len() == 0);
        let mut connection = if is_new {
            writing.clone().auto_vacuum(SqliteAutoVacuum::Incremental).connect().await?
        } else {
            writing.connect().await?
        };
        migrate::run(&mut connection).await?;
        let state = State::load(&mut connection).await?;
        let last = state.counters.seq();
        let reading = options.clone().pragma("query_only", "on");
        let readers = Readers::new(reading.clone(), config.readers, config.query_timeout, PATIENCE);
        let reserved = SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(reading);
        let (queue, jobs) = Queue::new(config.write_queue_max, config.write_queue_bytes_max);
        let recent = Arc::new(read::read_newest(&mut connection, ROWS_MAX, BYTES_MAX).await?);
        let position = Arc::new(AtomicI64::new(last));
        let log = Log::open(&mut connection).await?;
        let follower = Indexer::new(&mut connection, &writing, last).await?;
        let (indexed, purges) = (follower.seq(), follower.purges());
        let wal = Arc::new(Wal::of(config));
        let writer = Writer {
            options: writing,
            connection: Some(connection),
            state,
            recent: Arc::clone(&recent),
            position: Arc::clone(&position),
            head: Arc::clone(&log.head),
            committed,
            batch_max: config.write_batch_max,
            bounds: Bounds {
                mutation_bytes_max: config.mutation_bytes_max,
                step: Step { rows: config.step_rows_max, bytes: config.step_bytes_max },
            },
            indexer: follower,
            wal: Arc::clone(&wal),
        };
        Ok(Self {
            readers,
            reserved,
            recent,
            position,
            log,
            indexed,
            purges,
            wal,
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

    /// Returns the place of the last event that was committed, in the order of events. Whoever was
    /// answered is not behind it.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    /// Returns the place of the last event that the index for searches knows, at most
    /// [`Store::position`]. What comes after it stays in the log.
    #[must_use]
    pub fn indexed(&self) -> i64 {
        self.indexed.load(Ordering::Acquire)
    }

    /// Queues a write, waits for its commit, and returns its events in order. Secrets are masked
    /// in events. A write that takes several transactions is carried out at once, and all its events are
    /// returned: for callers who know that it is small.
    ///
    /// # Errors
    /// [`StoreError::QueueFull`]; what the write itself is refused for: nothing has happened then.
    pub async fn write(&self, write: Write) -> Result<Vec<Arc<Event>>, StoreError> {
        let turn = Turn::of(write.actor);
        let (mut next, mut all) = (Some(write), Vec::new());
        while let Some(write) = next.take() {
            match self.write_in_turn(turn, write, None).await? {
                Done::Now(events) => all.extend(events),
                Done::Partly(events, rest) => {
                    all.extend(events);
                    next = Some(rest);
                }
                // Only what has a key can have happened before.
                Done::Before(_) => {}
            }
        }
        Ok(all)
    }

    /// As [`Store::write`], when it is the turn of whoever it is for; with a key, unless the same has
    /// happened under it already, or happens at the same moment. That is remembered as long as the
    /// log keeps its events.
    ///
    /// # Errors
    /// As [`Store::write`]; [`StoreError::KeyReused`] if the key stands for something else.
    pub async fn write_in_turn(
        &self,
        turn: Turn,
        write: Write,
        once: Option<Once>,
    ) -> Result<Done, StoreError> {
        self.queue_up(Work::Write(write, once), turn).await
    }

    /// Returns how many bytes writes may have that wait.
    #[must_use]
    pub const fn queue_bytes_max(&self) -> usize {
        self.queue_bytes_max
    }

    /// Returns how much of [`Store::queue_bytes_max`] a write takes: its bytes, or its part of it by
    /// number.
    #[must_use]
    pub fn queue_bytes(&self, write: &Write) -> usize {
        write.bytes().max(self.queue_bytes_max / self.queue_jobs_max)
    }

    /// Queues what keeps the service's own tables in order, and waits for its commit.
    pub(super) async fn keep_house(&self, chore: Chore) -> Result<(), StoreError> {
        self.queue_up(Work::Chore(chore), Turn::of(())).await.map(drop)
    }

    async fn queue_up(&self, work: Work, turn: Turn) -> Result<Done, StoreError> {
        let answer = self.queue.lock().as_ref().ok_or(StoreError::Stopped)?.add(work, turn)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Lets the writer look around between two writes.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub(super) async fn wake(&self) -> Result<(), StoreError> {
        let nothing = Write { actor: None, at: Timestamp::from_millis(0), ops: Vec::new() };
        self.write(nothing).await.map(drop)
    }

    /// Waits until the file holds no part of the texts that were deleted or edited before: neither in
    /// the index for searches nor in the write-ahead log.
    ///
    /// # Errors
    /// [`StoreError::Stopped`]; [`StoreError::WalInUse`] if another process reads the database all the
    /// time; when the database fails.
    pub async fn purge_texts(&self) -> Result<(), StoreError> {
        let goal = self.position();
        self.purges.request(goal);
        self.wake().await?;
        self.purges.wait(goal).await?;
        self.truncate_wal().await
    }

    /// Waits until the writer has ended although nobody closed the store: nothing can be committed any
    /// more.
    pub async fn failed(&self) {
        let queue = self.queue.lock().clone();
        if let Some(queue) = queue {
            queue.closed().await;
        }
    }

    /// Ends the queries of clients that still run, and refuses further ones that take long; writes that
    /// take several transactions stop between two. Clients that wait get an answer before the service
    /// ends.
    pub fn end_long_work(&self) {
        self.ending.store(true, Ordering::Release);
        self.readers.end();
    }

    /// Returns whether no further transaction of a long write should begin.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Commits what is queued, takes no more, and closes the file. Later writes are refused.
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

    /// Returns how many bytes of items an update or a delete may touch.
    pub(super) const fn mutation_bytes_max(&self) -> usize {
        self.mutation_bytes_max
    }

    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(super) const fn reserved(&self) -> &SqlitePool {
        &self.reserved
    }

    pub(super) const fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Returns what is held while the file is checked for damage.
    pub(super) const fn checking(&self) -> &tokio::sync::Mutex<()> {
        &self.checking
    }

    pub(super) fn wal(&self) -> &Wal {
        &self.wal
    }
}

/// Returns the file of the database.
///
/// # Errors
/// [`StoreError::Path`] if there is none.
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
        // What was deleted is overwritten, and not only let go.
        .pragma("secure_delete", "on")
        // After one long transaction the write-ahead log becomes shorter again.
        .pragma("journal_size_limit", Wal::long(config).to_string())
        .busy_timeout(PATIENCE)
        .disable_statement_logging()
}
