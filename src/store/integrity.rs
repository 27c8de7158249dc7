//! The integrity check of the database file, on request.
//!
//! Each table is checked separately, within the query timeout and in a snapshot of its own, so that
//! a check neither runs without end nor keeps the write-ahead log from being truncated.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Row as _};

use crate::store::{Store, StoreError};

/// Time after which no further table is checked.
const TIME_MAX: Duration = Duration::from_mins(1);

/// Maximum number of reported findings.
const FINDINGS_MAX: usize = 20;

/// The result of an integrity check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// No damage in any table.
    Whole,
    /// Damage, as described by the database.
    Damaged(Vec<String>),
    /// No damage so far; these tables could not be checked in time.
    Unfinished(Vec<String>),
    /// Another check is in progress.
    UnderWay,
}

impl Store {
    /// Checks the structure of every table and its indexes; one check at a time.
    ///
    /// # Errors
    /// When the database fails for a reason other than damage.
    pub async fn check_integrity(&self) -> Result<Integrity, StoreError> {
        let Ok(_one) = self.checking().try_lock() else { return Ok(Integrity::UnderWay) };
        let start = Instant::now();
        let (mut findings, mut left) = (Vec::new(), Vec::new());
        let tables = match self.tables().await {
            Err(error) if error.is_damage() => return Ok(Integrity::Damaged(vec![words(&error)])),
            tables => tables?,
        };
        for table in tables {
            if start.elapsed() >= TIME_MAX {
                left.push(table);
                continue;
            }
            match self.check_table(&table).await {
                Ok(found) => findings.extend(found),
                Err(StoreError::OutOfTime(_) | StoreError::Crowded) => left.push(table),
                Err(error) if error.is_damage() => {
                    findings.push(format!("{table}: {}", words(&error)));
                }
                Err(error) => return Err(error),
            }
        }
        findings.truncate(FINDINGS_MAX);
        Ok(match (findings.is_empty(), left.is_empty()) {
            (false, _) => Integrity::Damaged(findings),
            (true, true) => Integrity::Whole,
            (true, false) => Integrity::Unfinished(left),
        })
    }

    async fn tables(&self) -> Result<Vec<String>, StoreError> {
        let mut reader = self.readers().borrow().await?;
        let sql = "select name from sqlite_schema where type = 'table' and rootpage > 0";
        let found = sqlx::query(sql).fetch_all(&mut *reader).await;
        let found = reader.finish(found)?;
        found.iter().map(|row| row.try_get(0).map_err(StoreError::from)).collect()
    }

    async fn check_table(&self, table: &str) -> Result<Vec<String>, StoreError> {
        let mut reader = self.readers().borrow_for_costly().await?;
        let sql = format!("pragma quick_check('{table}')");
        let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *reader).await;
        let found = reader.finish(found)?;
        let lines = found.iter().map(|row| row.try_get::<String, _>(0).map_err(StoreError::from));
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        let damage = lines.into_iter().filter(|line| line != "ok");
        Ok(damage.map(|line| format!("{table}: {line}")).collect())
    }
}

fn words(error: &StoreError) -> String {
    match error {
        StoreError::Database(error) => error.to_string(),
        error => error.to_string(),
    }
}
