//! Events to the lines of `event_log`, written in the transaction of their changes.

use serde_json::Value as Json;
use serde_json::json;
use sqlx::SqliteConnection;

use crate::model::Event;
use crate::store::StoreError;
use crate::store::rows;

const APPEND: &str = "insert into event_log \
     (seq, collection, action, keys, actor, date_created, before) \
     select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
     value ->> 6 from json_each(?)";

/// Appends events, which must come in order.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    events: impl Iterator<Item = &Event>,
) -> Result<(), StoreError> {
    let lines = Json::Array(events.map(line).collect());
    sqlx::query(APPEND).bind(lines.to_string()).execute(connection).await?;
    Ok(())
}

fn line(event: &Event) -> Json {
    let keys = rows::pack_keys(event.changes.iter().map(|change| change.key));
    let before: Option<Vec<Json>> =
        event.changes.iter().map(|change| change.before.as_deref().map(rows::describe)).collect();
    json!([
        event.seq,
        event.collection.name,
        event.action.name(),
        keys.to_string(),
        event.actor.map(|actor| actor.to_string()),
        event.at.millis(),
        before.map(|before| Json::Array(before).to_string()),
    ])
}
