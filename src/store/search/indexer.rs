//! Keeps the index of what messages say, in small steps between commits.
//!
//! It belongs to the writer's task, so nobody ever waits for a lock, and has a connection of its
//! own that does not sync: a step that a power cut takes away is made again. The index follows
//! `event_log`. Where there is none yet, or the log was shortened past it, it is made from the
//! table, newest messages first, while it goes on following. Now and then, and when an erasure asks
//! for it, its segments are merged, which removes the trigrams of deleted texts (`purge`).

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
use crate::store::search::purge::Purge;
use crate::store::search::purge::Purges;

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
    purge: Purge,
}

/// What a step found to do.
struct Progress {
    seq: i64,
    building: bool,
    /// Whether this step was the last of making it.
    built: bool,
    /// The last event that left trigrams of deleted texts in the segments.
    stale: i64,
    /// Whether the index was emptied, and with it all such trigrams.
    emptied: bool,
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
        let row = sqlx::query("select max(seq, 0), stale, purged from chinwag_search")
            .fetch_one(connection)
            .await?;
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
            purge: Purge::new(row.try_get(1)?, row.try_get(2)?),
        })
    }

    /// Returns where the last event in the index can be seen.
    pub(in crate::store) fn seq(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.seq)
    }

    /// Returns where purges are requested and their progress can be followed.
    pub(in crate::store) fn purges(&self) -> Purges {
        self.purge.purges()
    }

    /// Takes notice of the last event that was committed.
    pub(in crate::store) const fn notice(&mut self, newest: i64) {
        self.newest = newest;
    }

    /// Returns how long the writer may wait for something else to do before [`Indexer::step`];
    /// `None` for as long as it likes.
    pub(in crate::store) fn pause(&self) -> Option<Duration> {
        let purge = self.purge.pause(self.indexed(), self.last);
        let is_behind = self.behind() > 0 || self.building;
        let follow = is_behind.then(|| if self.has_much() { Duration::ZERO } else { QUIET });
        let pause = purge.into_iter().chain(follow).min()?;
        Some(self.failed.map_or(pause, |failed| RECOVERY.saturating_sub(failed.elapsed())))
    }

    /// Returns whether a step is due although writes wait.
    pub(in crate::store) fn is_late(&self) -> bool {
        (self.behind() > EVENTS_MAX || self.purge.is_requested())
            && self.last.elapsed() > BREATH
            && self.failed.is_none()
    }

    /// Takes some of what is new, or of what the index does not have yet, or merges some pages of a
    /// purge. A failure is logged; the index then stays behind, and searches get slower and not wrong.
    pub(in crate::store) async fn step(&mut self) {
        let start = Instant::now();
        let has_much = self.has_much();
        let outcome = if self.purge.takes_turn(self.indexed(), self.last, has_much) {
            self.merge().await
        } else {
            self.follow().await
        };
        self.failed = match outcome {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(error = %error, "the index for searches stays behind");
                if let Some(connection) = self.connection.take() {
                    let _ = connection.close_hard().await;
                }
                Some(start)
            }
        };
        self.last = Instant::now();
    }

    async fn follow(&mut self) -> Result<(), StoreError> {
        let start = Instant::now();
        let outcome = self.attempt().await;
        self.rows = adapt(self.rows, start.elapsed(), ROWS);
        let progress = outcome?;
        if progress.built {
            tracing::info!(seq = progress.seq, "the index for searches is whole");
        }
        self.seq.store(progress.seq, Ordering::Release);
        self.building = progress.building;
        self.purge.note(progress.stale, progress.emptied.then_some(progress.seq));
        Ok(())
    }

    async fn merge(&mut self) -> Result<(), StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        self.purge.step(connection).await
    }

    /// Takes what little may be left, and closes the connection.
    pub(in crate::store) async fn close(mut self) {
        for _ in 0..LAST_STEPS {
            if self.behind() > 0 && !self.building && self.follow().await.is_err() {
                break;
            }
        }
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(error = %error, "the index for searches was not closed cleanly");
        }
    }

    /// Returns whether the index has events or messages to take that are not left for quiet times.
    fn has_much(&self) -> bool {
        self.building || self.behind() >= EVENTS_MIN || self.purge.waits_for_index(self.indexed())
    }

    fn indexed(&self) -> i64 {
        self.seq.load(Ordering::Relaxed)
    }

    fn behind(&self) -> i64 {
        self.newest - self.indexed()
    }

    async fn attempt(&mut self) -> Result<Progress, StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        let mut step = connection.begin_with("begin immediate").await?;
        let row = sqlx::query("select seq, below, stale from chinwag_search")
            .fetch_one(&mut *step)
            .await?;
        let (mut seq, mut below): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let mut stale: i64 = row.try_get(2)?;
        let events = if seq < 0 { None } else { events(&mut step, seq, self.rows).await? };
        if let Some(last) = events {
            if last > seq {
                if follow(&mut step, seq, last).await? {
                    stale = last;
                }
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
        sqlx::query(
            "update chinwag_search set seq = ?1, below = ?2, stale = ?3, \
             purged = case when ?4 then ?1 else purged end",
        )
        .bind(seq)
        .bind(below)
        .bind(stale)
        .bind(events.is_none())
        .execute(&mut *step)
        .await?;
        step.commit().await?;
        let building = below.is_some();
        let (built, emptied) = (was_building && !building, events.is_none());
        Ok(Progress { seq, building, built, stale, emptied })
    }
}

/// Returns how much the next step takes if one took so long.
pub(super) fn adapt(count: i64, took: Duration, (least, most): (i64, i64)) -> i64 {
    if took > STEP {
        (count / 2).max(least)
    } else if took < STEP / 2 {
        (count * 2).min(most)
    } else {
        count
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

/// Takes what messages say now for all that changed after one event and up to another. Updates that
/// left the texts alone are passed over, unless an erasure has taken the rows out of the log. Returns
/// whether the index had other texts of some of them: their trigrams stay in its segments until these
/// are merged.
async fn follow(step: &mut SqliteConnection, after: i64, to: i64) -> Result<bool, StoreError> {
    const CHANGED: &str = "(select changed.value from event_log as event join json_each(event.keys) as changed \
         where event.seq > ?1 and event.seq <= ?2 and event.collection = 'messages' and not (\
            event.action = 'update' \
            and event.after ->> ('$[' || changed.key || '].date_created') is not null \
            and event.before ->> ('$[' || changed.key || '].content') \
                is event.after ->> ('$[' || changed.key || '].content')))";
    let mut deleted = 0;
    for (sql, deletes) in [
        (format!("delete from chinwag_search_texts where rowid in {CHANGED}"), true),
        (insert(&format!("id in {CHANGED}")), false),
    ] {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(after).bind(to);
        let done = query.execute(&mut *step).await?;
        deleted += if deletes { done.rows_affected() } else { 0 };
    }
    Ok(deleted > 0)
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
