//! The connections that clients' queries are read on, and when a statement has to end.
//!
//! A statement ends early when its time is over, when nobody waits for its result any more, when
//! others wait while more costly ones run than may, when all reads have to pause, and when the service
//! ends. Statements that are likely to be costly do not begin while these are held back (`wal`). What
//! a statement reads is not known here (`read`).

use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;
use tokio::sync::watch;

use crate::store::StoreError;

/// How many steps of the database's machine lie between two looks at the time: some tens of
/// microseconds.
const STEPS: i32 = 4_000;

/// From when on a statement counts as costly.
const COSTLY: Duration = Duration::from_millis(250);

/// A bounded number of connections, opened when first needed.
pub(super) struct Readers {
    options: SqliteConnectOptions,
    limits: Arc<Limits>,
    turns: Semaphore,
    idle: Mutex<Vec<Reader>>,
    /// What each connection does.
    watches: Mutex<Vec<Weak<Mutex<Watch>>>>,
    /// Whether reads that are likely to be costly are held back.
    held: watch::Sender<bool>,
}

/// What all connections go by.
struct Limits {
    connections: u32,
    /// How long a statement may take.
    timeout: Duration,
    /// How long it may be waited for a connection.
    patience: Duration,
    /// Half of the connections, so that costly statements leave some to the others.
    costly: Arc<Semaphore>,
    /// How many wait for a connection.
    waiting: AtomicUsize,
    /// How many wait until no statement runs.
    pausing: AtomicUsize,
    /// Whether all have to end.
    ending: AtomicBool,
}

struct Reader {
    connection: SqliteConnection,
    watch: Arc<Mutex<Watch>>,
}

/// What the database asks, while it works, whether to go on.
enum Watch {
    /// Nothing runs.
    Idle,
    /// Nobody waits for a result any more: what still runs has to end.
    Nobody,
    /// Somebody waits.
    Somebody {
        /// When the statement began.
        since: Instant,
        /// One of the turns of costly statements, once it has become one.
        costly: Option<OwnedSemaphorePermit>,
    },
    /// The statement was told to end, for this.
    Ended(StoreError),
}

/// A connection for one read, to be given back with its result ([`Borrowed::finish`]). When it is
/// dropped instead, because whoever asked has gone, the statement ends.
pub(super) struct Borrowed<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
    _turn: SemaphorePermit<'a>,
}

impl Readers {
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

    /// Returns as [`Readers::borrow`] for a read that is likely to be costly, once these are not held
    /// back.
    ///
    /// # Errors
    /// As [`Readers::borrow`].
    pub async fn borrow_for_costly(&self) -> Result<Borrowed<'_>, StoreError> {
        let mut held = self.held.subscribe();
        let released = async { held.wait_for(|held| !held).await.is_ok() };
        match tokio::time::timeout(self.limits.patience, released).await {
            Ok(true) => self.borrow().await,
            Ok(false) => Err(StoreError::Stopped),
            Err(_) => Err(StoreError::Crowded),
        }
    }

    /// Returns a connection, waiting for one if all are busy. Its time runs from now on.
    ///
    /// # Errors
    /// [`StoreError::Crowded`] if none becomes free in time, [`StoreError::Stopped`], and what the
    /// database fails with.
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

    async fn open(&self) -> Result<Reader, StoreError> {
        let reader = Reader::open(&self.options, &self.limits).await?;
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

    /// Holds reads back that are likely to be costly, or no more.
    pub fn hold_costly(&self, held: bool) {
        self.held.send_if_modified(|now| std::mem::replace(now, held) != held);
    }

    /// Returns whether no statement has run for as long as this.
    pub fn are_quick(&self, most: Duration) -> bool {
        self.watches.lock().iter().filter_map(Weak::upgrade).all(|watch| match &*watch.lock() {
            Watch::Idle => true,
            Watch::Somebody { since, .. } => since.elapsed() < most,
            // It may still be ending.
            Watch::Nobody | Watch::Ended(_) => false,
        })
    }

    /// Lets new reads wait until the pause is dropped, ends those that are costly
    /// ([`StoreError::Crowded`]), and returns once none runs.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub async fn pause(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let _pausing = Counted::new(&self.limits.pausing);
        let all = self.turns.acquire_many(self.limits.connections).await;
        all.map_err(|_| StoreError::Stopped)
    }

    /// Ends what is being read, and all that would be: [`StoreError::Stopped`].
    pub fn end(&self) {
        self.limits.ending.store(true, Ordering::Relaxed);
    }

    /// Waits for what is being read, and closes all connections. Later reads are refused.
    pub async fn close(&self) {
        let all = self.turns.acquire_many(self.limits.connections).await;
        self.turns.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle.lock());
        for reader in idle {
            if let Err(error) = reader.connection.close().await {
                tracing::warn!(error = %error, "a reader was not closed cleanly");
            }
        }
    }
}

impl Reader {
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

    /// Returns whether the last read was given up, so that its statement may still be ending.
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
    /// Gives the connection back, and returns the result of what was read on it: if it was told to
    /// end, why.
    ///
    /// # Errors
    /// Those of the result; [`StoreError::OutOfTime`], [`StoreError::Crowded`],
    /// [`StoreError::Stopped`].
    pub fn finish<T>(mut self, result: Result<T, impl Into<StoreError>>) -> Result<T, StoreError> {
        let result = result.map_err(Into::into);
        let Some(reader) = self.reader.take() else { return result };
        let ended = std::mem::replace(&mut *reader.watch.lock(), Watch::Idle);
        match (result, ended) {
            (Err(_), Watch::Ended(why)) => {
                self.readers.idle.lock().push(reader);
                Err(why)
            }
            // The connection may be what failed: the next read opens another.
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
        &self.reader.as_ref().expect("only finishing and dropping take it").connection
    }
}

impl DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.reader.as_mut().expect("only finishing and dropping take it").connection
    }
}

/// One more in a count, as long as it lives.
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
