//! Encodes events as rows of `event_log`, in the transaction of their changes, and decodes them.

use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::collection::{Exposure, Special};
use crate::model::schema;
use crate::model::{Change, Collection, Event, EventAction, Key, Row, Value};
use crate::store::StoreError;
use crate::store::rows;
use crate::store::writer::Step;

const APPEND: &str = "insert into event_log \
     (seq, collection, action, keys, actor, date_created, before, after, text_keys) \
     select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
     value ->> 6, value ->> 7, value ->> 8 from jsonb_each(?)";

const APPEND_LONG: &str = "insert into event_log \
     (seq, collection, action, keys, actor, date_created, before, after, text_keys) \
     values (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Size of the rows of an event from which on it is appended by a statement of its own, in bytes.
/// Short events share a statement; long ones would be encoded and parsed once more for that.
const LONG: usize = 4 << 10;

/// Size at which a page ends, in bytes of its rows.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// Appends events, which must be in order.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    events: impl Iterator<Item = &Event>,
) -> Result<(), StoreError> {
    let mut short: Vec<Line> = Vec::new();
    for event in events {
        let line = line(event);
        if line.is_long() {
            line.append(connection).await?;
        } else {
            short.push(line);
        }
    }
    if !short.is_empty() {
        let packed = serde_json::to_string(&short).expect("texts and numbers can be serialized");
        sqlx::query(APPEND).bind(packed).execute(connection).await?;
    }
    Ok(())
}

/// Omits the rows of collections that clients cannot name: consumers need only their keys.
const READ: &str = "with hidden (name) as (select value from json_each(?1)) \
     select seq, collection, action, keys, actor, date_created, \
     iif(collection in hidden, null, before), iif(collection in hidden, null, after), text_keys \
     from event_log where seq > ?2 and seq <= ?3 order by seq limit ?4";

/// Reads the events in `(after, to]` in order, up to `limit` events or about `bytes_max` bytes.
/// Events of unknown collections are left out. Also returns the offset that was reached.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    after: i64,
    to: i64,
    limit: u32,
    bytes_max: usize,
) -> Result<(Vec<Arc<Event>>, i64), StoreError> {
    let hidden: Json = schema::COLLECTIONS
        .iter()
        .filter(|collection| collection.exposure == Exposure::Internal)
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
            // The missing events were truncated.
            return Err(StoreError::Forgotten);
        }
        last = seq;
        bytes += line.try_get::<Option<&str>, _>(6)?.map_or(0, str::len);
        bytes += line.try_get::<Option<&str>, _>(7)?.map_or(0, str::len);
        events.extend(event(seq, &line)?.map(Arc::new));
    }
    Ok((events, last))
}

const READ_ABOUT: &str = "select seq, collection, action, keys, actor, date_created, before, after, \
     text_keys from event_log where actor = ?1 or instr(before, ?1) > 0 or instr(after, ?1) > 0 order by seq";

/// Reads the events that name an account, in order.
pub(super) fn read_about<'c>(
    connection: impl SqliteExecutor<'c> + 'c,
    user: Uuid,
) -> impl Stream<Item = Result<Event, StoreError>> + 'c {
    let lines = sqlx::query(READ_ABOUT).bind(user.to_string()).fetch(connection);
    lines.map_err(StoreError::from).try_filter_map(async |line| event(line.try_get(0)?, &line))
}

const MEASURE: &str = "select seq, json_array_length(keys), \
     octet_length(keys) + coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0) \
     from event_log where seq > ? and seq <= ? order by seq limit ?";

/// Returns the end of the range of events after `after` that fits into the budget `step`: at least
/// one event, and at most up to `to`.
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
    let implied = |key| implied(collection, action, key, actor, at);
    let side = |column, place| {
        line.try_get::<Option<&str>, _>(place)
            .map_err(StoreError::from)
            .and_then(|packed| side(packed, &keys, implied).ok_or_else(|| inconsistent(column)))
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

/// Returns the values of a created item that other columns of its log row already contain: its key,
/// the actor as its author, and the date. Created messages are by far the most frequent rows of the
/// log, which does not repeat these values.
fn implied(
    collection: &'static Collection,
    action: EventAction,
    key: Key,
    actor: Option<Uuid>,
    at: Timestamp,
) -> Row {
    let mut row = Row::empty(collection);
    if action == EventAction::Create && collection.exposure == Exposure::Items {
        row.set(collection.key(), key.into());
        for field in collection.columns() {
            match field.special {
                Special::UserCreated => row.set(field, actor.map_or(Value::Null, Value::Uuid)),
                Special::DateCreated => row.set(field, Value::Timestamp(at)),
                _ => {}
            }
        }
    }
    row
}

/// Returns the rows of one side of an event, each `None` if the event lacks that side. `implied`
/// returns the values that a description omits. A description with a key was written by an earlier
/// version and omits only nulls.
fn side(
    packed: Option<&str>,
    keys: &[Key],
    implied: impl Fn(Key) -> Row,
) -> Option<Vec<Option<Arc<Row>>>> {
    let Some(packed) = packed else { return Some(vec![None; keys.len()]) };
    let described: Vec<Map<String, Json>> = serde_json::from_str(packed).ok()?;
    let row = |(key, described): (&Key, &Map<String, Json>)| {
        let implied = implied(*key);
        let collection = implied.collection();
        let is_whole = described.contains_key(collection.key().name);
        let row = if is_whole { Row::empty(collection) } else { implied };
        rows::restore(row, described).map(|row| Some(Arc::new(row)))
    };
    if described.len() != keys.len() {
        return None;
    }
    keys.iter().zip(&described).map(row).collect()
}

/// The columns of a row, in the order of [`APPEND`].
#[derive(Serialize)]
struct Line(
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

impl Line {
    fn is_long(&self) -> bool {
        let sides = self.6.iter().chain(&self.7);
        sides.map(String::len).sum::<usize>() > LONG
    }

    /// Appends the row by a statement of its own.
    async fn append(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let Self(seq, collection, action, keys, actor, at, before, after, text_keys) = self;
        let query = sqlx::query(APPEND_LONG).bind(seq).bind(collection).bind(action).bind(keys);
        let actor = actor.map(|actor| actor.to_string());
        let query = query.bind(actor).bind(at).bind(before).bind(after).bind(text_keys);
        query.execute(connection).await?;
        Ok(())
    }
}

fn line(event: &Event) -> Line {
    let keys = rows::pack_keys(event.changes.iter().map(|change| change.key));
    let Event { collection, action, actor, at, .. } = *event;
    let described = |change: &Change, row: &Row| {
        rows::describe(row, &implied(collection, action, change.key, actor, at))
    };
    let side = |side: fn(&Change) -> Option<&Row>| -> Option<String> {
        let row = |change| side(change).map(|row| described(change, row));
        let rows: Option<Vec<Json>> = event.changes.iter().map(row).collect();
        rows.map(|rows| Json::Array(rows).to_string())
    };
    Line(
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::schema::MESSAGES;

    const AT: Timestamp = Timestamp::from_millis(1_769_860_800_000);
    const KEY: Key = Key::Integer(7);

    fn packed(row: &Row, actor: Option<Uuid>) -> Json {
        let change = Change { key: KEY, before: None, after: Some(Arc::new(row.clone())) };
        let text_keys = Arc::default();
        let event = Event {
            seq: 1,
            collection: &MESSAGES,
            action: EventAction::Create,
            changes: vec![change],
            actor,
            at: AT,
            text_keys,
        };
        serde_json::from_str(&line(&event).7.unwrap()).unwrap()
    }

    fn unpacked(packed: &Json, actor: Option<Uuid>) -> Row {
        let implied = |key| implied(&MESSAGES, EventAction::Create, key, actor, AT);
        let rows = side(Some(&packed.to_string()), &[KEY], implied).unwrap();
        rows[0].as_deref().unwrap().clone()
    }

    #[test]
    fn a_created_message_is_read_back_with_any_author_and_date() {
        let (alice, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for actor in [None, Some(alice)] {
            for author in [None, Some(alice), Some(bob)] {
                for date in [AT, Timestamp::from_millis(1)] {
                    let row = Row::empty(&MESSAGES)
                        .with(&schema::messages::id, Value::from(KEY))
                        .with(&schema::messages::content, "hello")
                        .with(&schema::messages::date_created, date)
                        .with(&schema::messages::user_created, author);
                    let packed = packed(&row, actor);
                    assert_eq!(unpacked(&packed, actor), row, "{packed}");
                    if actor == author && date == AT {
                        assert_eq!(packed, json!([{"content": "hello"}]));
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_with_a_key_has_no_implied_values() {
        let whole = json!([{"id": 7, "content": "hello", "date_created": AT.to_string()}]);
        let row = unpacked(&whole, Some(Uuid::from_u128(1)));
        assert!(row.get(&schema::messages::user_created).is_none());
        assert_eq!(row.get(&schema::messages::content), Some("hello"));
    }
}
