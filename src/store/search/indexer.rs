//! Keeps the index of what messages say, in small steps between commits.
//!
//! It belongs to the writer's task, so nobody ever waits for a lock, and has a connection of its
//! own that does not sync: a step that a power cut takes away is made again. The index follows
//! `event_log`. Where there is none yet, or the log was shortened past it, it is made from the
//! table, newest messages first, while it goes on following.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::Row as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteSynchronous;

use crate::store::StoreError;

/// How long a step should take, since a write may come meanwhile.
const STEP: Duration = Duration::from_millis(4);

/// How many messages a step takes at least and at most.
const ROWS: (i64, i64) = (16, 2048);

/// Fewer new events than this are left until there is nothing else to do.
const EVENTS_MIN: i64 = 256;

/// How long there must be nothing to write until they are taken.
const QUIET: Duration = Duration::from_millis(200);

/// With more than this a step is made although writes wait.
const EVENTS_MAX: i64 = 10_000;

/// How much time at least passes between such steps.
const BREATH: Duration = Duration::from_millis(25);

/// How many steps are made at the end. What is left then waits for the next start.
const LAST_STEPS: u32 = 20;

/// How long to leave it after a failure.
const RECOVERY: Duration = Duration::from_secs(5);

/// The index's follower.
pub(in crate::store) struct Indexer {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// The last event in the index; others look at it.
    seq: Arc<AtomicI64>,
    /// The last event there is.
    newest: i64,
    building: bool,
    rows: i64,
    last: Instant,
    failed: Option<Instant>,
}

/// What a step found to do.
struct Progress {
    seq: i64,
    building: bool,
    /// Whether this step was the last of making it.
    built: bool,
}

impl Indexer {
    /// Returns the follower of a database, which will open a connection of its own; `newest` is the
    /// last event there is.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::store) async fn new(
        connection: &mut SqliteConnection,
        options: &SqliteConnectOptions,
        newest: i64,
    ) -> Result<Self, StoreError> {
        let row =
            sqlx::query("select max(seq, 0) from chinwag_search").fetch_one(connection).await?;
        Ok(Self {
            options: options.clone().synchronous(SqliteSynchronous::Normal),
            connection: None,
            seq: Arc::new(AtomicI64::new(row.try_get(0)?)),
            newest,
            // Whether it is whole, the first step finds out.
            building: true,
            rows: ROWS.0 * 8,
            last: Instant::now(),
            failed: None,
        })
    }

    /// Returns where the last event in the index can be seen.
    pub(in crate::store) fn seq(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.seq)
    }

    /// Takes notice of the last event that was committed.
    pub(in crate::store) const fn notice(&mut self, newest: i64) {
        self.newest = newest;
    }

    /// Returns how long the writer may wait for something else to do before [`Indexer::step`];
    /// `None` for as long as it likes.
    pub(in crate::store) fn pause(&self) -> Option<Duration> {
        let behind = self.behind();
        if behind == 0 && !self.building {
            return None;
        }
        if let Some(failed) = self.failed {
            return Some(RECOVERY.saturating_sub(failed.elapsed()));
        }
        let much = self.building || behind >= EVENTS_MIN;
        Some(if much { Duration::ZERO } else { QUIET })
    }

    /// Returns whether a step is due although writes wait.
    pub(in crate::store) fn is_late(&self) -> bool {
        self.behind() > EVENTS_MAX && self.last.elapsed() > BREATH && self.failed.is_none()
    }

    /// Takes some of what is new, or of what the index does not have yet. A failure is logged; the
    /// index then stays behind, and searches get slower and not wrong.
    pub(in crate::store) async fn step(&mut self) {
        let start = Instant::now();
        match self.attempt().await {
            Ok(progress) => {
                if progress.built {
                    tracing::info!(seq = progress.seq, "the index for searches is whole");
                }
                self.seq.store(progress.seq, Ordering::Release);
                self.building = progress.building;
                self.failed = None;
            }
            Err(error) => {
                tracing::warn!(error = %error, "the index for searches stays behind");
                if let Some(connection) = self.connection.take() {
                    let _ = connection.close_hard().await;
                }
                self.failed = Some(Instant::now());
            }
        }
        let took = start.elapsed();
        if took > STEP {
            self.rows = (self.rows / 2).max(ROWS.0);
        } else if took < STEP / 2 {
            self.rows = (self.rows * 2).min(ROWS.1);
        }
        self.last = Instant::now();
    }

    /// Takes what little may be left, and closes the connection.
    pub(in crate::store) async fn close(mut self) {
        for _ in 0..LAST_STEPS {
            if self.behind() > 0 && !self.building && self.failed.is_none() {
                self.step().await;
            }
        }
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(error = %error, "the index for searches was not closed cleanly");
        }
    }

    fn behind(&self) -> i64 {
        self.newest - self.seq.load(Ordering::Relaxed)
    }

    async fn attempt(&mut self) -> Result<Progress, StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        let mut step = connection.begin_with("begin immediate").await?;
        let row =
            sqlx::query("select seq, below from chinwag_search").fetch_one(&mut *step).await?;
        let (mut seq, mut below): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let events = if seq < 0 { None } else { events(&mut step, seq, self.rows).await? };
        if let Some(last) = events {
            if last > seq {
                follow(&mut step, seq, last).await?;
                seq = last;
            }
        } else {
            (seq, below) = begin_anew(&mut step).await?;
            if below.is_some() {
                tracing::info!("the index for searches is made anew");
            }
        }
        let was_building = below.is_some();
        if let Some(end) = below {
            below = build(&mut step, end, self.rows).await?;
        }
        sqlx::query("update chinwag_search set seq = ?, below = ?")
            .bind(seq)
            .bind(below)
            .execute(&mut *step)
            .await?;
        step.commit().await?;
        let building = below.is_some();
        Ok(Progress { seq, building, built: was_building && !building })
    }
}

/// Returns the event to go on to from `seq`, so that about as many messages as given are changed on the
/// way; `None` if the log has a gap there.
async fn events(
    step: &mut SqliteConnection,
    seq: i64,
    rows_max: i64,
) -> Result<Option<i64>, StoreError> {
    let newest: i64 = sqlx::query("select value from chinwag_counters where name = 'seq'")
        .fetch_one(&mut *step)
        .await?
        .try_get(0)?;
    let events = sqlx::query(
        "select seq, case collection when 'messages' then json_array_length(keys) else 0 end \
         from event_log where seq > ? order by seq limit ?",
    )
    .bind(seq)
    .bind(rows_max)
    .fetch_all(step)
    .await?;
    let (mut last, mut rows) = (seq, 0);
    for event in &events {
        if event.try_get::<i64, _>(0)? != last + 1 {
            return Ok(None);
        }
        rows += event.try_get::<i64, _>(1)?;
        if rows > rows_max && last > seq {
            break;
        }
        last += 1;
    }
    Ok((last > seq || newest == seq).then_some(last))
}

/// Takes what messages say now for all that changed after one event and up to another.
async fn follow(step: &mut SqliteConnection, after: i64, to: i64) -> Result<(), StoreError> {
    const CHANGED: &str = "(select changed.value from event_log join json_each(event_log.keys) as \
                           changed where event_log.seq > ?1 and event_log.seq <= ?2 and \
                           event_log.collection = 'messages')";
    for sql in [
        format!("delete from chinwag_search_texts where rowid in {CHANGED}"),
        insert(&format!("id in {CHANGED}")),
    ] {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(after).bind(to);
        query.execute(&mut *step).await?;
    }
    Ok(())
}

/// Empties the index; returns where it then stands.
async fn begin_anew(step: &mut SqliteConnection) -> Result<(i64, Option<i64>), StoreError> {
    sqlx::query("insert into chinwag_search_texts (chinwag_search_texts) values ('delete-all')")
        .execute(&mut *step)
        .await?;
    let row = sqlx::query(
        "select (select value from chinwag_counters where name = 'seq'), \
         (select max(id) from messages)",
    )
    .fetch_one(step)
    .await?;
    let newest: Option<i64> = row.try_get(1)?;
    Ok((row.try_get(0)?, newest.map(|newest| newest.saturating_add(1))))
}

/// Takes the newest of the messages with keys below `end`; returns what is still missing.
async fn build(
    step: &mut SqliteConnection,
    end: i64,
    rows: i64,
) -> Result<Option<i64>, StoreError> {
    let begin: Option<i64> = sqlx::query(
        "select min(id) from (select id from messages where id < ? order by id desc limit ?)",
    )
    .bind(end)
    .bind(rows)
    .fetch_one(&mut *step)
    .await?
    .try_get(0)?;
    let Some(begin) = begin else { return Ok(None) };
    sqlx::query(sqlx::AssertSqlSafe(insert("id >= ? and id < ?")))
        .bind(begin)
        .bind(end)
        .execute(step)
        .await?;
    Ok(Some(begin))
}

/// Returns the statement that takes the messages for which a condition holds.
fn insert(condition: &str) -> String {
    format!(
        "insert or replace into chinwag_search_texts (rowid, content) \
         select id, fold(content) || char(1, 1) from messages \
         where content is not null and {condition}"
    )
}
