//! Keeps the write-ahead log (WAL) short.
//!
//! SQLite restarts the log only at a moment at which no reader needs it. While reads overlap
//! continuously there is no such moment, and the log grows without bound. So once the log is long,
//! no costly read starts. Once it is too long, no read starts at all and costly ones are cancelled;
//! then the log is truncated. That takes the lock of the writer, so the writer's own task does it,
//! between two writes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::{Row as _, SqliteConnection};
use tokio::sync::oneshot;

use crate::config::StoreConfig;
use crate::store::{Store, StoreError};

/// Timeout of the writer for readers of the log that are not clients.
const PATIENCE: Duration = Duration::from_millis(20);

/// Maximum pause of reads for the writer, which may itself be waiting for consumers that read.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// While the log is not too long yet, reads that have run for longer than this are not cancelled.
const QUICK: Duration = Duration::from_millis(20);

/// Number of failed attempts without client reads after which another process must be the reader,
/// and the time for which no reads are held back then.
const ATTEMPTS: u32 = 5;
const RESIGNATION: Duration = Duration::from_secs(30);

/// Number of attempts of an erasure to truncate the log, and the pause between them.
const ERASURE_ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// The log of one database, and the pending request to truncate it.
pub(super) struct Wal {
    file: PathBuf,
    bytes_max: u64,
    request: Mutex<Option<oneshot::Sender<Result<bool, StoreError>>>>,
    /// One request at a time.
    turn: tokio::sync::Mutex<()>,
    failures: Mutex<Failures>,
}

/// Failed attempts while no client was reading.
#[derive(Default)]
struct Failures {
    count: u32,
    until: Option<Instant>,
}

impl Wal {
    pub(super) fn of(config: &StoreConfig) -> Self {
        let mut file = config.filename.clone().unwrap_or_default().into_os_string();
        file.push("-wal");
        Self {
            file: file.into(),
            bytes_max: config.wal_bytes_max as u64,
            request: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Returns the size in bytes from which on the log is long, and costly reads wait.
    pub(super) const fn long(config: &StoreConfig) -> usize {
        config.wal_bytes_max / 2
    }

    /// Truncates the log if requested, on the connection of the writer.
    pub(super) async fn truncate_if_asked(&self, connection: Option<&mut SqliteConnection>) {
        let request = self.request.lock().take();
        if let Some(reply) = request {
            let outcome = match connection {
                Some(connection) => truncate(connection).await,
                None => Ok(false),
            };
            // The caller may be gone.
            let _ = reply.send(outcome);
        }
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    fn has_resigned(&self) -> bool {
        self.failures.lock().until.is_some_and(|until| Instant::now() < until)
    }

    /// Records an attempt while no client was reading.
    fn note(&self, truncated: bool) {
        let mut failures = self.failures.lock();
        if truncated {
            *failures = Failures::default();
            return;
        }
        failures.count += 1;
        if failures.count >= ATTEMPTS {
            let until = Instant::now() + RESIGNATION;
            *failures = Failures { count: 0, until: Some(until) };
            tracing::warn!(
                bytes = self.bytes(),
                "the write-ahead log cannot be truncated: another process reads the database"
            );
        }
    }
}

impl Store {
    /// Keeps the write-ahead log short. Must be called many times a second.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shorten_wal(&self) -> Result<(), StoreError> {
        let bytes = self.wal().bytes();
        if bytes <= self.wal().bytes_max / 2 || self.wal().has_resigned() {
            self.readers().hold_costly(false);
            return Ok(());
        }
        self.readers().hold_costly(true);
        let truncated = self.try_to_shorten_wal(bytes).await;
        self.readers().hold_costly(matches!(truncated, Ok(false)));
        truncated.map(drop)
    }

    async fn try_to_shorten_wal(&self, bytes: u64) -> Result<bool, StoreError> {
        if bytes <= self.wal().bytes_max && !self.readers().are_quick(QUICK) {
            return Ok(false);
        }
        let _pause = self.readers().pause().await?;
        let truncated = self.try_truncate_wal().await?;
        self.wal().note(truncated);
        Ok(truncated)
    }

    /// Copies the log into the database and truncates it, while no client reads.
    ///
    /// # Errors
    /// [`StoreError::WalInUse`] if another process keeps reading the file; when the database fails.
    pub(super) async fn truncate_wal(&self) -> Result<(), StoreError> {
        for _ in 0..ERASURE_ATTEMPTS {
            let readers = self.readers().pause().await?;
            if self.try_truncate_wal().await? {
                return Ok(());
            }
            drop(readers);
            tokio::time::sleep(PAUSE).await;
        }
        Err(StoreError::WalInUse)
    }

    /// Returns whether the log was truncated: no reader used it, and the writer was ready in time.
    async fn try_truncate_wal(&self) -> Result<bool, StoreError> {
        let truncating = async {
            let _turn = self.wal().turn.lock().await;
            let (reply, outcome) = oneshot::channel();
            *self.wal().request.lock() = Some(reply);
            self.wake().await?;
            outcome.await.map_err(|_| StoreError::Stopped)?
        };
        tokio::time::timeout(PAUSE_MAX, truncating).await.unwrap_or(Ok(false))
    }
}

async fn truncate(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let usual = sqlx::query("pragma busy_timeout").fetch_one(&mut *connection).await?.try_get(0)?;
    set_patience(connection, i64::try_from(PATIENCE.as_millis()).unwrap_or(usual)).await?;
    let outcome = sqlx::query("pragma wal_checkpoint(truncate)").fetch_one(&mut *connection).await;
    set_patience(connection, usual).await?;
    Ok(outcome?.try_get::<i64, _>(0)? == 0)
}

async fn set_patience(connection: &mut SqliteConnection, millis: i64) -> Result<(), StoreError> {
    let sql = format!("pragma busy_timeout = {millis}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
    Ok(())
}
