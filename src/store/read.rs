//! Scoped reads for clients: rows, counts and aggregates. The domain's unscoped reads are in
//! `find`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sea_query::{SelectStatement, SqliteQueryBuilder};
use sea_query_sqlx::SqlxBinder;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};

use crate::clock::Timestamp;
use crate::model::schema;
use crate::model::{Collection, Field, Key, Place, Row};
use crate::query::{Aggregation, Filter, Scope, Select};
use crate::store::aggregate_value;
use crate::store::compile;
use crate::store::recent::{BYTES_MAX, ROWS_MAX, RecentMessages};
use crate::store::rows;
use crate::store::search;
use crate::store::search::{Asked, Candidates};
use crate::store::{AggregateValue, Store, StoreError};

/// Approximate memory of a row besides its texts, in bytes.
const ROW_BYTES: usize = 512;

/// The memory limit of a read.
pub struct RowBudget<'a> {
    /// Maximum total size of the rows' texts, in bytes.
    most: usize,
    /// Reserves memory as rows are read.
    grow: Option<&'a mut dyn Grow>,
}

/// A memory reservation that grows during a read.
pub trait Grow: Send {
    /// Extends the reservation to a total of `bytes`.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`] if there is not enough memory.
    fn grow(&mut self, bytes: usize) -> Result<(), StoreError>;
}

impl From<usize> for RowBudget<'_> {
    fn from(most: usize) -> Self {
        Self { most, grow: None }
    }
}

impl<'a> RowBudget<'a> {
    /// Returns a limit of `most` bytes of text, with the memory reserved through `grow`.
    pub fn growing(most: usize, grow: &'a mut dyn Grow) -> Self {
        Self { most, grow: Some(grow) }
    }
}

impl Store {
    /// Returns the rows within the scope that match a selection. The newest messages come from
    /// memory, all other rows from the database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(&self, scope: &Scope, select: Select) -> Result<Vec<Arc<Row>>, StoreError> {
        self.read_within(scope, select, usize::MAX).await
    }

    /// Like [`Store::read`], within a memory limit.
    ///
    /// # Errors
    /// [`StoreError::TooLong`] if the texts exceed the limit; when the database fails.
    pub async fn read_within(
        &self,
        scope: &Scope,
        select: Select,
        budget: impl Into<RowBudget<'_>> + Send,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let (rows, is_cut) = self.read_first(scope, select, budget).await?;
        if is_cut { Err(StoreError::TooLong) } else { Ok(rows) }
    }

    /// Like [`Store::read`], but returns only the first rows within a memory limit, and whether
    /// rows are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_first(
        &self,
        scope: &Scope,
        select: Select,
        budget: impl Into<RowBudget<'_>> + Send,
    ) -> Result<(Vec<Arc<Row>>, bool), StoreError> {
        if let Some((order, limit, offset)) = select.as_newest(scope)
            && let Some(rows) = self.recent().newest(order, limit, offset)
        {
            return Ok((rows, false));
        }
        let (collection, select) = (scope.collection(), within(scope, select));
        let mut reader = self.readers().borrow().await?;
        let found = read_first(&mut reader, collection, &select, budget.into()).await;
        let (rows, is_cut) = reader.finish(found)?;
        Ok((rows.into_iter().map(Arc::new).collect(), is_cut))
    }

    /// Like [`Store::read`], for rows that a write is going to change.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] if they exceed the size limit of one write; when the database fails.
    pub async fn read_to_change(
        &self,
        scope: &Scope,
        select: Select,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let bytes_max = self.mutation_bytes_max();
        let found = self.read_within(scope, select, bytes_max).await;
        found.map_err(|error| match error {
            StoreError::TooLong => StoreError::TooMuch { bytes_max },
            other => other,
        })
    }

    /// Returns the first rows within the scope that match a selection, up to a memory limit but at
    /// least one; whether rows are left out; and the offset of the snapshot in the event log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_at(
        &self,
        scope: &Scope,
        select: Select,
        budget: impl Into<RowBudget<'_>> + Send,
    ) -> Result<(Vec<Row>, bool, Place), StoreError> {
        let mut reader = self.readers().borrow().await?;
        let (select, budget) = (within(scope, select), budget.into());
        let read = read_at(&mut reader, scope.collection(), &select, budget).await;
        reader.finish(read)
    }

    /// Returns the number of rows within the scope that match a selection, ignoring its page.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self, scope: &Scope, select: Select) -> Result<u64, StoreError> {
        let (collection, select) = (scope.collection(), within(scope, select));
        let count = |candidates: Option<&_>| compile::count(collection, &select, candidates);
        let found = self.ask(collection, &select, Asked::Whole, count).await?;
        let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Returns the rows within the scope that match a selection, with one page for each of these
    /// keys that `back` refers to. The rows of one key are in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_of_each(
        &self,
        scope: &Scope,
        back: &'static Field,
        keys: &[Key],
        select: Select,
    ) -> Result<Vec<Row>, StoreError> {
        let collection = scope.collection();
        let select = within(scope, select);
        let statement = compile::rows_of_each(collection, back, keys, &select);
        let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
        let mut reader = self.readers().borrow().await?;
        let found = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(&mut *reader).await;
        let found = reader.finish(found)?;
        found.iter().map(|row| rows::decode(collection, row)).collect()
    }

    /// Returns the groups of the matching rows within the scope, each with its own values and then
    /// its aggregates.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn totals(
        &self,
        scope: &Scope,
        select: Select,
        totals: &Aggregation,
    ) -> Result<Vec<Vec<AggregateValue>>, StoreError> {
        let collection = scope.collection();
        let select = within(scope, select);
        let statement =
            |candidates: Option<&_>| compile::totals(collection, &select, totals, candidates);
        let found = self.ask(collection, &select, Asked::Whole, statement).await?;
        found.iter().map(|row| aggregate_value::decode(collection, totals, row)).collect()
    }

    /// Returns the total duration of a small read and an empty write, one after the other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn response_time(&self) -> Result<Duration, StoreError> {
        let start = Instant::now();
        sqlx::query("select value from chinwag_counters where name = 'seq'")
            .fetch_one(self.reserved())
            .await?;
        self.wake().await?;
        Ok(start.elapsed())
    }

    /// Runs the statement of a selection, with candidates from the search index where it can help.
    async fn ask(
        &self,
        collection: &'static Collection,
        select: &Select,
        asked: Asked,
        statement: impl FnOnce(Option<&Candidates>) -> SelectStatement + Send,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut reader = match asked {
            Asked::Page => self.readers().borrow().await?,
            Asked::Whole => self.readers().borrow_for_costly().await?,
        };
        let found = if search::applies(collection, select) {
            run_narrowed(&mut reader, collection, select, asked, statement).await
        } else {
            run(&mut reader, statement(None)).await
        };
        reader.finish(found)
    }
}

/// Reads rows on a connection, without a scope.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    select: &Select,
) -> Result<Vec<Row>, StoreError> {
    let found = run(connection, compile::rows(collection, select, None)).await?;
    found.iter().map(|row| rows::decode(collection, row)).collect()
}

/// Like [`read()`], up to `most` bytes of text in total.
///
/// # Errors
/// [`StoreError::TooLong`] if the texts are longer; when the database fails.
pub(super) async fn read_bounded(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    select: &Select,
    most: usize,
) -> Result<Vec<Row>, StoreError> {
    fetch(connection, collection, compile::rows(collection, select, None), most.into()).await
}

/// Reads matching rows in no particular order, up to `rows_max` rows or about `bytes_max` bytes of
/// text. Also returns whether there are more.
pub(super) async fn read_some(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    filter: &Filter,
    rows_max: usize,
    bytes_max: usize,
) -> Result<(Vec<Row>, bool), StoreError> {
    let statement = compile::some_rows(collection, filter, rows_max as u64 + 1);
    let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
    let mut found = sqlx::query_with(AssertSqlSafe(sql), values).fetch(connection);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.try_next().await? {
        if rows.len() >= rows_max || bytes >= bytes_max {
            return Ok((rows, true));
        }
        let row = rows::decode(collection, &row)?;
        bytes += row.text_bytes();
        rows.push(row);
    }
    Ok((rows, false))
}

/// Loads the cache of the newest messages.
pub(super) async fn read_newest(
    connection: &mut SqliteConnection,
) -> Result<RecentMessages, StoreError> {
    let statement = compile::rows(&schema::MESSAGES, &Select::newest(ROWS_MAX), None);
    let budget = BYTES_MAX.into();
    let (rows, is_cut) = fetch_some(connection, &schema::MESSAGES, statement, 0, budget).await?;
    let whole = !is_cut && rows.len() < ROWS_MAX;
    let missing = greatest_key_but(connection, &rows).await?;
    Ok(RecentMessages::of(rows, whole, missing))
}

/// Returns the greatest key among the messages that are not in `rows`.
async fn greatest_key_but(
    connection: &mut SqliteConnection,
    rows: &[Row],
) -> Result<Option<Key>, StoreError> {
    let known: HashSet<Key> = rows.iter().filter_map(Row::key).collect();
    let mut keys =
        sqlx::query_scalar::<_, i64>("select id from messages order by id desc").fetch(connection);
    while let Some(key) = keys.try_next().await? {
        if !known.contains(&Key::Integer(key)) {
            return Ok(Some(Key::Integer(key)));
        }
    }
    Ok(None)
}

async fn run(
    connection: &mut SqliteConnection,
    statement: SelectStatement,
) -> Result<Vec<SqliteRow>, StoreError> {
    let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
    Ok(sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(connection).await?)
}

/// Runs the statement of a selection with candidates from the search index. Both use one snapshot,
/// since the candidates must be those of the rows that are read.
async fn run_narrowed(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    select: &Select,
    asked: Asked,
    statement: impl FnOnce(Option<&Candidates>) -> SelectStatement,
) -> Result<Vec<SqliteRow>, StoreError> {
    let mut snapshot = connection.begin().await?;
    let candidates = search::narrow(&mut snapshot, collection, select, asked).await?;
    let found = run(&mut snapshot, statement(candidates.as_ref())).await?;
    snapshot.rollback().await?;
    Ok(found)
}

/// Reads rows on a connection within a memory limit, with candidates from the search index where it
/// can help. Also returns whether rows are left out.
async fn read_first(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    select: &Select,
    budget: RowBudget<'_>,
) -> Result<(Vec<Row>, bool), StoreError> {
    if !search::applies(collection, select) {
        let statement = compile::rows(collection, select, None);
        return fetch_some(connection, collection, statement, 0, budget).await;
    }
    let mut snapshot = connection.begin().await?;
    let candidates = search::narrow(&mut snapshot, collection, select, Asked::Page).await?;
    let statement = compile::rows(collection, select, candidates.as_ref());
    let found = fetch_some(&mut snapshot, collection, statement, 0, budget).await?;
    snapshot.rollback().await?;
    Ok(found)
}

/// Runs a statement row by row. Fails with [`StoreError::TooLong`] once the texts exceed the limit.
async fn fetch(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    statement: SelectStatement,
    budget: RowBudget<'_>,
) -> Result<Vec<Row>, StoreError> {
    let (rows, is_cut) = fetch_some(connection, collection, statement, 0, budget).await?;
    if is_cut { Err(StoreError::TooLong) } else { Ok(rows) }
}

/// Runs a statement row by row until the texts exceed the limit, but for at least `least` rows.
/// Also returns whether rows are left out.
async fn fetch_some(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    statement: SelectStatement,
    least: usize,
    mut budget: RowBudget<'_>,
) -> Result<(Vec<Row>, bool), StoreError> {
    let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
    let mut found = sqlx::query_with(AssertSqlSafe(sql), values).fetch(connection);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.try_next().await? {
        let row = rows::decode(collection, &row)?;
        bytes += row.text_bytes();
        if bytes > budget.most && rows.len() >= least {
            return Ok((rows, true));
        }
        rows.push(row);
        if let Some(grow) = &mut budget.grow {
            grow.grow(bytes + rows.len() * ROW_BYTES)?;
        }
    }
    Ok((rows, false))
}

/// Reads rows on a connection, and the offset of their snapshot in the event log.
async fn read_at(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    select: &Select,
    budget: RowBudget<'_>,
) -> Result<(Vec<Row>, bool, Place), StoreError> {
    let mut snapshot = connection.begin().await?;
    // The first read of a transaction fixes the snapshot of the later ones.
    let line = sqlx::query(
        "select value, (select date_created from event_log where seq = value) \
         from chinwag_counters where name = 'seq'",
    )
    .fetch_one(&mut *snapshot)
    .await?;
    let at = line.try_get::<Option<i64>, _>(1)?.unwrap_or(0);
    let place = Place { seq: line.try_get(0)?, at: Timestamp::from_millis(at) };
    let candidates = search::narrow(&mut snapshot, collection, select, Asked::Page).await?;
    let statement = compile::rows(collection, select, candidates.as_ref());
    let (rows, is_cut) = fetch_some(&mut snapshot, collection, statement, 1, budget).await?;
    snapshot.rollback().await?;
    Ok((rows, is_cut, place))
}

/// Restricts a selection to the scope: its rows, and the fields that may be searched.
fn within(scope: &Scope, mut select: Select) -> Select {
    select.filter = scope.filter().and(select.filter);
    if let Some((_, fields)) = &mut select.search {
        fields.retain(|field| scope.searches(field));
    }
    select
}
