//! The read pool of client queries, and the cancellation of their statements.
//!
//! A statement is cancelled when it exceeds its timeout, when its caller is gone, when other reads
//! wait while too many costly statements run, when all reads must pause, and when the service shuts
//! down. Statements that are likely to be costly do not start while they are held back (`wal`). The
//! statements themselves are in `read`.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::watch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::store::StoreError;

/// Interval of the progress handler in instructions of SQLite's virtual machine: some tens of
/// microseconds.
const STEPS: i32 = 4_000;

/// Running time from which on a statement counts as costly.
const COSTLY: Duration = Duration::from_millis(250);

/// A bounded pool of connections, opened on demand.
pub(super) struct ReadPool {
    options: SqliteConnectOptions,
    limits: Arc<Limits>,
    turns: Semaphore,
    idle: Mutex<Vec<ReadConnection>>,
    /// The state of each connection.
    watches: Mutex<Vec<Weak<Mutex<Watch>>>>,
    /// Whether reads that are likely to be costly are held back.
    held: watch::Sender<bool>,
}

/// Settings and counters shared by all connections.
struct Limits {
    connections: u32,
    /// Timeout of a statement.
    timeout: Duration,
    /// Timeout of waiting for a connection.
    patience: Duration,
    /// Permits of costly statements: half of the connections, so that the others stay available.
    costly: Arc<Semaphore>,
    /// Number of callers waiting for a connection.
    waiting: AtomicUsize,
    /// Number of callers waiting until no statement runs.
    pausing: AtomicUsize,
    /// Whether all statements must end.
    ending: AtomicBool,
}

struct ReadConnection {
    connection: SqliteConnection,
    watch: Arc<Mutex<Watch>>,
}

/// The state of a connection. Its progress handler decides by it whether the statement continues.
enum Watch {
    /// No statement runs.
    Idle,
    /// The caller is gone: a statement that still runs must end.
    Nobody,
    /// The caller waits for the result.
    Somebody {
        /// Start of the statement.
        since: Instant,
        /// The permit of a costly statement, once the statement has become one.
        costly: Option<OwnedSemaphorePermit>,
    },
    /// The statement was cancelled, for this reason.
    Ended(StoreError),
}

/// A pooled connection for one read, returned to the pool together with the result
/// ([`Borrowed::finish`]). Dropping it instead, because the caller is gone, cancels the statement.
pub(super) struct Borrowed<'a> {
    readers: &'a ReadPool,
    reader: Option<ReadConnection>,
    _turn: SemaphorePermit<'a>,
}

impl ReadPool {
    pub fn new(
        options: SqliteConnectOptions,
        connections: u32,
        timeout: Duration,
        patience: Duration,
    ) -> Self {
        let permits = |count: u32| Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX));
        let costly = Arc::new(permits((connections / 2).max(1)));
        let (waiting, pausing) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ending = AtomicBool::new(false);
        let limits = Limits { connections, timeout, patience, costly, waiting, pausing, ending };
        let limits = Arc::new(limits);
        let (turns, held) = (permits(connections), watch::channel(false).0);
        Self { options, limits, turns, idle: Mutex::default(), watches: Mutex::default(), held }
    }

    /// Like [`ReadPool::borrow`], for a read that is likely to be costly. Waits while such reads
    /// are held back.
    ///
    /// # Errors
    /// As [`ReadPool::borrow`].
    pub async fn borrow_for_costly(&self) -> Result<Borrowed<'_>, StoreError> {
        let mut held = self.held.subscribe();
        let released = async { held.wait_for(|held| !held).await.is_ok() };
        match tokio::time::timeout(self.limits.patience, released).await {
            Ok(true) => self.borrow().await,
            Ok(false) => Err(StoreError::Stopped),
            Err(_) => Err(StoreError::Crowded),
        }
    }

    /// Returns a connection, waiting for one if all are busy. The statement timeout starts now.
    ///
    /// # Errors
    /// [`StoreError::Crowded`] if none becomes free in time; [`StoreError::Stopped`]; when the
    /// database fails.
    pub async fn borrow(&self) -> Result<Borrowed<'_>, StoreError> {
        let mut borrowed =
            Borrowed { readers: self, _turn: self.turn().await?, reader: self.idle.lock().pop() };
        match &mut borrowed.reader {
            None => borrowed.reader = Some(self.open().await?),
            Some(reader) if reader.is_left_behind() => {
                if let Err(error) = reader.connection.ping().await {
                    borrowed.reader = None;
                    return Err(error.into());
                }
            }
            Some(_) => {}
        }
        if let Some(reader) = &borrowed.reader {
            *reader.watch.lock() = Watch::Somebody { since: Instant::now(), costly: None };
        }
        Ok(borrowed)
    }

    async fn open(&self) -> Result<ReadConnection, StoreError> {
        let reader = ReadConnection::open(&self.options, &self.limits).await?;
        let mut watches = self.watches.lock();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&reader.watch));
        Ok(reader)
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let _waiting = Counted::new(&self.limits.waiting);
        match tokio::time::timeout(self.limits.patience, self.turns.acquire()).await {
            Ok(turn) => turn.map_err(|_| StoreError::Stopped),
            Err(_) => Err(StoreError::Crowded),
        }
    }

    /// Holds back reads that are likely to be costly, or releases them.
    pub fn hold_costly(&self, held: bool) {
        self.held.send_if_modified(|now| std::mem::replace(now, held) != held);
    }

    /// Returns whether every running statement started less than `most` ago.
    pub fn are_quick(&self, most: Duration) -> bool {
        self.watches.lock().iter().filter_map(Weak::upgrade).all(|watch| match &*watch.lock() {
            Watch::Idle => true,
            Watch::Somebody { since, .. } => since.elapsed() < most,
            // Its statement may still be ending.
            Watch::Nobody | Watch::Ended(_) => false,
        })
    }

    /// Holds back new reads until the permit is dropped, cancels costly ones
    /// ([`StoreError::Crowded`]), and returns once no read is running.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub async fn pause(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let _pausing = Counted::new(&self.limits.pausing);
        let all = self.turns.acquire_many(self.limits.connections).await;
        all.map_err(|_| StoreError::Stopped)
    }

    /// Cancels running and later reads with [`StoreError::Stopped`], at their next progress check.
    pub fn end(&self) {
        self.limits.ending.store(true, Ordering::Relaxed);
    }

    /// Waits for running reads and closes all connections. Later reads are refused.
    pub async fn close(&self) {
        let all = self.turns.acquire_many(self.limits.connections).await;
        self.turns.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle.lock());
        for reader in idle {
            if let Err(error) = reader.connection.close().await {
                tracing::warn!(error = %error, "a read connection was not closed cleanly");
            }
        }
    }
}

impl ReadConnection {
    async fn open(
        options: &SqliteConnectOptions,
        limits: &Arc<Limits>,
    ) -> Result<Self, StoreError> {
        let mut connection = options.connect().await?;
        let watch = Arc::new(Mutex::new(Watch::Idle));
        let (seen, limits) = (Arc::clone(&watch), Arc::clone(limits));
        connection
            .lock_handle()
            .await?
            .set_progress_handler(STEPS, move || seen.lock().goes_on(&limits));
        Ok(Self { connection, watch })
    }

    /// Returns whether the last read was abandoned, so that its statement may still be ending.
    fn is_left_behind(&self) -> bool {
        matches!(*self.watch.lock(), Watch::Nobody)
    }
}

impl Watch {
    fn goes_on(&mut self, limits: &Limits) -> bool {
        let Self::Somebody { since, costly } = self else { return matches!(self, Self::Idle) };
        if limits.ending.load(Ordering::Relaxed) {
            *self = Self::Ended(StoreError::Stopped);
            return false;
        }
        let taken = since.elapsed();
        if taken >= limits.timeout {
            *self = Self::Ended(StoreError::OutOfTime(limits.timeout));
            return false;
        }
        if taken >= COSTLY && limits.pausing.load(Ordering::Relaxed) > 0 {
            *self = Self::Ended(StoreError::Crowded);
            return false;
        }
        if taken >= COSTLY && costly.is_none() {
            *costly = Arc::clone(&limits.costly).try_acquire_owned().ok();
            if costly.is_none() && limits.waiting.load(Ordering::Relaxed) > 0 {
                *self = Self::Ended(StoreError::Crowded);
                return false;
            }
        }
        true
    }
}

impl Borrowed<'_> {
    /// Gives the connection back to the pool, and returns the result of the read or the reason for
    /// its cancellation.
    ///
    /// # Errors
    /// The error of the result; [`StoreError::OutOfTime`], [`StoreError::Crowded`] or
    /// [`StoreError::Stopped`] if the read was cancelled.
    pub fn finish<T>(mut self, result: Result<T, impl Into<StoreError>>) -> Result<T, StoreError> {
        let result = result.map_err(Into::into);
        let Some(reader) = self.reader.take() else { return result };
        let ended = std::mem::replace(&mut *reader.watch.lock(), Watch::Idle);
        match (result, ended) {
            (Err(_), Watch::Ended(why)) => {
                self.readers.idle.lock().push(reader);
                Err(why)
            }
            // The connection itself may have failed. It is dropped; the next read opens another.
            (Err(error @ StoreError::Database(_)), _) => Err(error),
            (result, _) => {
                self.readers.idle.lock().push(reader);
                result
            }
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            *reader.watch.lock() = Watch::Nobody;
            self.readers.idle.lock().push(reader);
        }
    }
}

impl Deref for Borrowed<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.reader.as_ref().expect("only `finish` and `drop` take the reader").connection
    }
}

impl DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.reader.as_mut().expect("only `finish` and `drop` take the reader").connection
    }
}

/// Counts as one in a counter for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
