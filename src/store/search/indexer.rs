//! Updates the search index in small steps between commits.
//!
//! The indexer runs in the writer's task, so that there is no waiting for locks. It has its own
//! connection, which does not sync: a step that is lost in a power failure is repeated. The index
//! follows `event_log`. Where there is no index yet, or the log was truncated past it, it is
//! rebuilt from the table, newest messages first, while it continues to follow. From time to time,
//! and when an erasure requests it, its segments are merged, which removes the trigrams of deleted
//! texts (`purge`).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row as _, SqliteConnection};

use crate::store::StoreError;
use crate::store::search::purge::{Purge, Purges};

/// Target duration of a step, for which a new write may have to wait.
const STEP: Duration = Duration::from_millis(4);

/// Minimum and maximum size of a step in bytes of text, and the bytes that a message counts besides
/// its text.
const BYTES: (i64, i64) = (8 << 10, 1 << 20);
const BYTES_EACH: i64 = 512;

/// A backlog of fewer new events than this waits until the writer is idle.
const EVENTS_MIN: i64 = 256;

/// Idle time after which these events are indexed.
const QUIET: Duration = Duration::from_millis(200);

/// Number of new events beyond which a step runs although writes wait.
const EVENTS_MAX: i64 = 10_000;

/// Minimum time between such steps.
const BREATH: Duration = Duration::from_millis(25);

/// Maximum number of steps at shutdown. The remaining events wait for the next start.
const LAST_STEPS: u32 = 20;

/// Pause after a failure.
const RECOVERY: Duration = Duration::from_secs(5);

/// The indexer of a database.
pub(in crate::store) struct Indexer {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// The offset of the last indexed event, shared with readers.
    seq: Arc<AtomicI64>,
    /// The offset of the last committed event.
    newest: i64,
    pending: Pending,
    building: bool,
    /// Size of the next step, in bytes.
    bytes: i64,
    last: Instant,
    failed: Option<Instant>,
    purge: Purge,
}

/// Changed messages that are not indexed yet, each with the bytes of its text. They come from the
/// events up to `seq`: a long event takes several steps.
#[derive(Default)]
struct Pending {
    messages: VecDeque<(i64, i64)>,
    seq: i64,
}

/// The result of a step.
struct Progress {
    seq: i64,
    building: bool,
    /// Whether this step completed a rebuild.
    built: bool,
    /// The last event that left trigrams of deleted texts in the segments.
    stale: i64,
    /// Whether the index was emptied, and with it all such trigrams.
    emptied: bool,
}

impl Indexer {
    /// Creates the indexer of a database, which opens its own connection. `newest` is the offset of
    /// the last event.
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
            pending: Pending::default(),
            // The first step finds out whether the index is complete.
            building: true,
            bytes: BYTES.0 * 8,
            last: Instant::now(),
            failed: None,
            purge: Purge::new(row.try_get(1)?, row.try_get(2)?),
        })
    }

    /// Returns the shared offset of the last indexed event.
    pub(in crate::store) fn seq(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.seq)
    }

    /// Returns the handle for requesting purges and following their progress.
    pub(in crate::store) fn purges(&self) -> Purges {
        self.purge.purges()
    }

    /// Records the offset of the last committed event.
    pub(in crate::store) const fn notice(&mut self, newest: i64) {
        self.newest = newest;
    }

    /// Returns how long the writer may wait for jobs before [`Indexer::step`]; `None` for no limit.
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

    /// Indexes some of the new events or of the missing messages, or merges some pages for a purge.
    /// A failure is logged; the index then lags, which makes searches slower but not wrong.
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
                tracing::warn!(error = %error, "cannot update the search index");
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
        self.bytes = adapt(self.bytes, start.elapsed(), BYTES);
        let progress = outcome.inspect_err(|_| self.pending = Pending::default())?;
        if progress.built {
            tracing::info!(seq = progress.seq, "the search index is complete");
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

    /// Indexes the few remaining events, and closes the connection.
    pub(in crate::store) async fn close(mut self) {
        for _ in 0..LAST_STEPS {
            if self.behind() > 0 && !self.building && self.follow().await.is_err() {
                break;
            }
        }
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(error = %error, "the search index was not closed cleanly");
        }
    }

    /// Returns whether there are events or messages to index that do not wait for idle times.
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
        let Self { connection, options, pending, bytes, .. } = self;
        let connection = match connection {
            Some(connection) => connection,
            none => none.insert(options.connect().await?),
        };
        let mut step = connection.begin_with("begin immediate").await?;
        let row = sqlx::query("select seq, below, stale from chinwag_search")
            .fetch_one(&mut *step)
            .await?;
        let (mut seq, mut below): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let mut stale: i64 = row.try_get(2)?;
        let has_gap = seq < 0 || !pending.fill(&mut step, seq, *bytes).await?;
        if has_gap {
            *pending = Pending::default();
            (seq, below) = begin_anew(&mut step).await?;
            if below.is_some() {
                tracing::info!("rebuilding the search index");
            }
        } else {
            let keys = pending.take(*bytes);
            if follow(&mut step, keys).await? {
                stale = pending.seq;
            }
            if pending.messages.is_empty() {
                seq = pending.seq;
            }
        }
        let was_building = below.is_some();
        if let Some(end) = below {
            below = build(&mut step, end, *bytes).await?;
        }
        sqlx::query(
            "update chinwag_search set seq = ?1, below = ?2, stale = ?3, \
             purged = case when ?4 then ?1 else purged end",
        )
        .bind(seq)
        .bind(below)
        .bind(stale)
        .bind(has_gap)
        .execute(&mut *step)
        .await?;
        step.commit().await?;
        let building = below.is_some();
        let (built, emptied) = (was_building && !building, has_gap);
        Ok(Progress { seq, building, built, stale, emptied })
    }
}

/// Returns the size of the next step, given the size and the duration of one.
pub(super) fn adapt(count: i64, took: Duration, (least, most): (i64, i64)) -> i64 {
    if took > STEP {
        (count / 2).max(least)
    } else if took < STEP / 2 {
        (count * 2).min(most)
    } else {
        count
    }
}

/// The rows themselves are read only for updates, where both sides are compared.
const EVENTS: &str = "select seq, iif(collection = 'messages', keys, '[]'), \
     coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0), \
     iif(collection = 'messages' and action = 'update', before, null), \
     iif(collection = 'messages' and action = 'update', after, null) \
     from event_log where seq > ? order by seq limit ?";

/// The fields of a logged message that affect the index.
#[derive(Deserialize)]
struct Logged<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    date_created: Option<IgnoredAny>,
}

impl Pending {
    /// Adds the messages that changed after `seq`, of about `bytes_max` bytes, if none is pending.
    /// Returns false if the log has a gap there.
    async fn fill(
        &mut self,
        step: &mut SqliteConnection,
        seq: i64,
        bytes_max: i64,
    ) -> Result<bool, StoreError> {
        if !self.messages.is_empty() {
            return Ok(true);
        }
        self.seq = seq;
        let newest: i64 = sqlx::query("select value from chinwag_counters where name = 'seq'")
            .fetch_one(&mut *step)
            .await?
            .try_get(0)?;
        let mut events = sqlx::query(EVENTS).bind(seq).bind(bytes_max / BYTES_EACH).fetch(step);
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(event) = events.try_next().await?
        {
            if event.try_get::<i64, _>(0)? != self.seq + 1 {
                return Ok(false);
            }
            self.seq += 1;
            let keys: Vec<i64> = unpacked(event.try_get(1)?)?;
            let sides = (event.try_get(3)?, event.try_get(4)?);
            if let (Some(before), Some(after)) = sides {
                let (before, after): (Vec<Logged<'_>>, Vec<Logged<'_>>) =
                    (unpacked(before)?, unpacked(after)?);
                let changed = before.iter().zip(&after).zip(keys).filter_map(|(sides, key)| {
                    let bytes = changed_text(sides.0, sides.1)?;
                    Some((key, BYTES_EACH + bytes))
                });
                self.messages.extend(changed);
                bytes += event.try_get::<i64, _>(2)?;
            } else if !keys.is_empty() {
                let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
                let each = BYTES_EACH + event.try_get::<i64, _>(2)? / count;
                self.messages.extend(keys.into_iter().map(|key| (key, each)));
                bytes += each.saturating_mul(count);
            }
        }
        Ok(self.seq > seq || newest == seq)
    }

    /// Takes messages of about `bytes_max` bytes, at least one.
    fn take(&mut self, bytes_max: i64) -> Vec<i64> {
        let (mut keys, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some((key, size)) = self.messages.pop_front()
        {
            bytes += size;
            keys.push(key);
        }
        keys
    }
}

/// Returns the bytes of a text that an update changed; `None` if it left the text unchanged. A row
/// that an erasure removed from the log may be of either kind, and counts as changed.
fn changed_text(before: &Logged<'_>, after: &Logged<'_>) -> Option<i64> {
    let is_same = before.content == after.content && after.date_created.is_some();
    let bytes = after.content.as_ref().map_or(0, |content| content.len());
    (!is_same).then(|| i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn unpacked<'a, T: Deserialize<'a>>(column: &'a str) -> Result<T, StoreError> {
    let inconsistent = |_| StoreError::Inconsistent { table: "event_log", column: "rows" };
    serde_json::from_str(column).map_err(inconsistent)
}

/// Indexes the current texts of these messages. Returns whether the index had other texts of some
/// of them: their trigrams stay in its segments until these are merged.
async fn follow(step: &mut SqliteConnection, keys: Vec<i64>) -> Result<bool, StoreError> {
    const CHANGED: &str = "(select value from json_each(?))";
    if keys.is_empty() {
        return Ok(false);
    }
    let keys = Json::from(keys).to_string();
    let delete = format!("delete from chinwag_search_texts where rowid in {CHANGED}");
    let insert = insert(&format!("id in {CHANGED}"));
    let delete = sqlx::query(sqlx::AssertSqlSafe(delete)).bind(&keys);
    let deleted = delete.execute(&mut *step).await?.rows_affected();
    sqlx::query(sqlx::AssertSqlSafe(insert)).bind(&keys).execute(step).await?;
    Ok(deleted > 0)
}

/// Empties the index. Returns its offset, and the key below which messages are missing.
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

/// Indexes the newest of the messages with keys below `end`. Returns the key below which messages
/// are still missing.
async fn build(
    step: &mut SqliteConnection,
    end: i64,
    bytes_max: i64,
) -> Result<Option<i64>, StoreError> {
    let begin: Option<i64> = sqlx::query(
        "select min(id) from (select id, coalesce(sum(?3 + coalesce(octet_length(content), 0)) \
             over (order by id desc rows between unbounded preceding and 1 preceding), 0) as newer \
             from (select id, content from messages where id < ?1 order by id desc limit ?2)) \
         where newer < ?2 * ?3",
    )
    .bind(end)
    .bind(bytes_max / BYTES_EACH)
    .bind(BYTES_EACH)
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

/// Returns the statement that indexes the messages that match a condition.
fn insert(condition: &str) -> String {
    format!(
        "insert or replace into chinwag_search_texts (rowid, content) \
         select id, fold(content) || char(1, 1) from messages \
         where content is not null and {condition}"
    )
}
