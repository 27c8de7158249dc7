//! Gives the space of deleted data back to the file system.
//!
//! A new database keeps track of its pages so that free ones at its end can be cut off
//! (`auto_vacuum = incremental`), which happens in small steps while the service runs. An older one
//! must be rewritten once, by [`Store::vacuum`].

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteAutoVacuum;
use sqlx::{ConnectOptions, Connection, Row as _, SqliteConnection};

use crate::config::StoreConfig;
use crate::store::dialect;
use crate::store::lock::Lock;
use crate::store::maintenance::Maintenance;
use crate::store::sqlite;
use crate::store::{Store, StoreError};

/// Free pages that are kept for later writes: the minimum, and the divisor of the page count.
const KEPT_MIN: i64 = 1_024;
const KEPT_PART: i64 = 16;

/// The limits of a step: its pages, the pages per statement, and the time after which it ends.
const STEP: i64 = 256;
const SLICE: i64 = 16;
const STEP_TIME: Duration = Duration::from_millis(5);

/// The mode of a database that can give pages back, as numbered by SQLite.
const INCREMENTAL: i64 = 2;

/// The size of the database file before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vacuumed {
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
}

impl Store {
    /// Gives some of the free pages back to the file system, if there are many. Returns whether
    /// there are more to give back.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn return_space(&self) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "select auto_vacuum, freelist_count, page_count \
             from pragma_auto_vacuum, pragma_freelist_count, pragma_page_count",
        )
        .fetch_one(self.reserved())
        .await?;
        let (mode, free, pages): (i64, i64, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let surplus = free - (pages / KEPT_PART).max(KEPT_MIN);
        if mode != INCREMENTAL || surplus <= 0 {
            return Ok(false);
        }
        self.maintain(Maintenance::Vacuum(surplus.min(STEP))).await?;
        Ok(surplus > SLICE)
    }

    /// Rewrites the database without free pages, and so that space can be given back from then on.
    /// No other process may have it open.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Path`]; when the database fails.
    pub async fn vacuum(config: &StoreConfig) -> Result<Vacuumed, StoreError> {
        dialect::add_functions()?;
        let filename = sqlite::filename(config)?;
        let _lock = Lock::acquire(filename)?;
        let options = sqlite::options(filename, config).auto_vacuum(SqliteAutoVacuum::Incremental);
        let mut connection = options.connect().await?;
        let before = length(filename)?;
        sqlx::query("vacuum").execute(&mut connection).await?;
        connection.close().await?;
        Ok(Vacuumed { before, after: length(filename)? })
    }
}

/// Gives pages back within a transaction, within the time limit of a step.
pub(super) async fn shrink(
    connection: &mut SqliteConnection,
    mut pages: i64,
) -> Result<(), StoreError> {
    let start = Instant::now();
    let sql = format!("pragma incremental_vacuum({SLICE})");
    while pages > 0 && start.elapsed() < STEP_TIME {
        sqlx::query(sqlx::AssertSqlSafe(sql.as_str())).execute(&mut *connection).await?;
        pages -= SLICE;
    }
    Ok(())
}

fn length(file: &Path) -> Result<u64, StoreError> {
    let path = file.display().to_string();
    let found = std::fs::metadata(file).map_err(|source| StoreError::Path { path, source })?;
    Ok(found.len())
}
