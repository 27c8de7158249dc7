//! Events to the lines of `event_log`, written in the transaction of their changes, and back.

use std::sync::Arc;

use futures_util::TryStreamExt;
use serde_json::Map;
use serde_json::Value as Json;
use sqlx::Row as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::Change;
use crate::model::Collection;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::Row;
use crate::model::collection::Reach;
use crate::model::schema;
use crate::store::StoreError;
use crate::store::rows;
use crate::store::writer::Step;

const APPEND: &str = "insert into event_log \
     (seq, collection, action, keys, actor, date_created, before, after, text_keys) \
     select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
     value ->> 6, value ->> 7, value ->> 8 from jsonb_each(?)";

/// Once the rows of a page have so many bytes, it ends.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// Appends events, which must come in order.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    events: impl Iterator<Item = &Event>,
) -> Result<(), StoreError> {
    let lines: Vec<Line> = events.map(line).collect();
    let packed = serde_json::to_string(&lines).expect("texts and numbers are JSON");
    sqlx::query(APPEND).bind(packed).execute(connection).await?;
    Ok(())
}

/// The rows of collections that clients cannot name are left out: only their keys matter to others.
const READ: &str = "with hidden (name) as (select value from json_each(?1)) \
     select seq, collection, action, keys, actor, date_created, \
     iif(collection in hidden, null, before), iif(collection in hidden, null, after), text_keys \
     from event_log where seq > ?2 and seq <= ?3 order by seq limit ?4";

/// Reads the events behind a place, in order, up to another one: so many, or fewer once they are
/// long. Those of collections that are not known are left out. Returns as well how far that reached.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    after: i64,
    to: i64,
    limit: u32,
    bytes_max: usize,
) -> Result<(Vec<Arc<Event>>, i64), StoreError> {
    let hidden: Json = schema::COLLECTIONS
        .iter()
        .filter(|collection| collection.reach == Reach::Internal)
        .map(|collection| collection.name)
        .collect();
    let query = sqlx::query(READ).bind(hidden.to_string()).bind(after).bind(to).bind(limit);
    let mut lines = query.fetch(connection);
    let (mut events, mut last, mut bytes) = (Vec::new(), after, 0);
    while bytes < bytes_max
        && let Some(line) = lines.try_next().await?
    {
        let seq: i64 = line.try_get(0)?;
        if seq != last + 1 {
            // What was here is gone.
            return Err(StoreError::Forgotten);
        }
        last = seq;
        bytes += line.try_get::<Option<&str>, _>(6)?.map_or(0, str::len);
        bytes += line.try_get::<Option<&str>, _>(7)?.map_or(0, str::len);
        events.extend(event(seq, &line)?.map(Arc::new));
    }
    Ok((events, last))
}

const MEASURE: &str = "select seq, json_array_length(keys), \
     octet_length(keys) + coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0) \
     from event_log where seq > ? and seq <= ? order by seq limit ?";

/// Returns the place up to which the events behind `after` are about as much as one transaction should
/// go through; at least one, and at most up to `to`.
pub(super) async fn reach(
    connection: &mut SqliteConnection,
    after: i64,
    to: i64,
    mut step: Step,
) -> Result<i64, StoreError> {
    let most = i64::try_from(step.rows).unwrap_or(i64::MAX);
    let mut events = sqlx::query(MEASURE).bind(after).bind(to).bind(most).fetch(connection);
    let mut last = after;
    while let Some(event) = events.try_next().await? {
        if step.is_spent() {
            return Ok(last);
        }
        last = event.try_get(0)?;
        let size = |value: i64| usize::try_from(value).unwrap_or_default();
        step.rows = step.rows.saturating_sub(size(event.try_get(1)?).max(1));
        step.bytes = step.bytes.saturating_sub(size(event.try_get(2)?));
    }
    Ok(if step.is_spent() { last } else { to.max(after) })
}

fn event(seq: i64, line: &SqliteRow) -> Result<Option<Event>, StoreError> {
    let Some(collection) = schema::find(line.try_get(1)?) else { return Ok(None) };
    let inconsistent = |column| StoreError::Inconsistent { table: "event_log", column };
    let action = EventAction::find(line.try_get(2)?).ok_or_else(|| inconsistent("action"))?;
    let keys = rows::unpack_keys(line.try_get(3)?).ok_or_else(|| inconsistent("keys"))?;
    let actor = line.try_get::<Option<&str>, _>(4)?.and_then(|id| Uuid::try_parse(id).ok());
    let at = Timestamp::from_millis(line.try_get(5)?);
    let side = |column, place| {
        line.try_get::<Option<&str>, _>(place).map_err(StoreError::from).and_then(|packed| {
            side(collection, packed, keys.len()).ok_or_else(|| inconsistent(column))
        })
    };
    let (before, after) = (side("before", 6)?, side("after", 7)?);
    let text_keys = match line.try_get::<Option<&str>, _>(8)? {
        Some(packed) => rows::unpack_keys(packed).ok_or_else(|| inconsistent("text_keys"))?.into(),
        None => Arc::default(),
    };
    let changes = keys
        .into_iter()
        .zip(before.into_iter().zip(after))
        .map(|(key, (before, after))| Change { key, before, after })
        .collect();
    Ok(Some(Event { seq, collection, action, changes, actor, at, text_keys }))
}

/// Returns the rows of one side of an event, each `None` if it has none.
fn side(
    collection: &'static Collection,
    packed: Option<&str>,
    changes: usize,
) -> Option<Vec<Option<Arc<Row>>>> {
    let Some(packed) = packed else { return Some(vec![None; changes]) };
    let described: Vec<Map<String, Json>> = serde_json::from_str(packed).ok()?;
    let rows: Option<Vec<_>> = described
        .iter()
        .map(|row| rows::restore(collection, row).map(|row| Some(Arc::new(row))))
        .collect();
    rows.filter(|rows| rows.len() == changes)
}

/// The columns of a line, in the order of [`APPEND`].
type Line = (
    i64,
    &'static str,
    &'static str,
    String,
    Option<Uuid>,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
);

fn line(event: &Event) -> Line {
    let keys = rows::pack_keys(event.changes.iter().map(|change| change.key));
    let side = |side: fn(&Change) -> Option<&Row>| -> Option<String> {
        let rows: Option<Vec<Json>> =
            event.changes.iter().map(|change| side(change).map(rows::describe)).collect();
        rows.map(|rows| Json::Array(rows).to_string())
    };
    (
        event.seq,
        event.collection.name,
        event.action.name(),
        keys.to_string(),
        event.actor,
        event.at.millis(),
        side(|change| change.before.as_deref()),
        side(|change| change.after.as_deref()),
        (!event.text_keys.is_empty())
            .then(|| rows::pack_keys(event.text_keys.iter().copied()).to_string()),
    )
}
