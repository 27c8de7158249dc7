//! Idempotency keys, chosen by clients, so that repeated requests are carried out once.
//!
//! The keys of a batch are looked up and saved together, within its transaction. Of two concurrent
//! repeats, even in the same batch, only the first is carried out.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Row as _, SqliteConnection};

use crate::model::{Event, EventAction, Key};
use crate::store::StoreError;
use crate::store::rows;
use crate::store::write::IdempotencyKey;

const FIND: &str = "select i.owner, i.key, i.digest, i.items from json_each(?) as asked \
     join chinwag_idempotency as i on i.owner = asked.value ->> 0 and i.key = asked.value ->> 1";

const SAVE: &str = "insert into chinwag_idempotency (owner, key, digest, items, seq) \
     select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?)";

/// The idempotency keys of one batch.
#[derive(Debug, Default)]
pub(super) struct Idempotency {
    /// By owner and key.
    done: HashMap<(String, String), Line>,
}

#[derive(Debug)]
struct Line {
    digest: String,
    items: Vec<Key>,
    /// The offset of the first create event; `None` if an earlier batch saved the key.
    new: Option<i64>,
}

impl Idempotency {
    /// Reads the records of these keys.
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        keys: impl Iterator<Item = &IdempotencyKey>,
    ) -> Result<Self, StoreError> {
        let asked: Vec<Json> = keys.map(|key| json!([owner(key), key.key])).collect();
        let mut done = HashMap::new();
        if !asked.is_empty() {
            let asked = Json::Array(asked).to_string();
            for row in sqlx::query(FIND).bind(asked).fetch_all(connection).await? {
                let items = rows::unpack_keys(row.try_get(3)?).ok_or(StoreError::Inconsistent {
                    table: "chinwag_idempotency",
                    column: "items",
                })?;
                let line = Line { digest: row.try_get(2)?, items, new: None };
                done.insert((row.try_get(0)?, row.try_get(1)?), line);
            }
        }
        Ok(Self { done })
    }

    /// Returns the items that were created under a key, if it was used.
    pub(super) fn find(&self, key: &IdempotencyKey) -> Result<Option<Vec<Key>>, StoreError> {
        match self.done.get(&(owner(key), key.key.clone())) {
            None => Ok(None),
            Some(line) if line.digest == key.digest => Ok(Some(line.items.clone())),
            Some(_) => Err(StoreError::KeyReused),
        }
    }

    /// Records the requested items that were created under a key. Skips a write without creates.
    pub(super) fn note(&mut self, key: &IdempotencyKey, events: &[Arc<Event>]) {
        let Some(first) = events.iter().find(|event| event.action == EventAction::Create) else {
            return;
        };
        let creations = events.iter().filter(|event| {
            event.collection == key.collection && event.action == EventAction::Create
        });
        let created: Vec<Key> =
            creations.flat_map(|event| event.changes.iter().map(|change| change.key)).collect();
        let items = key.roots.iter().filter_map(|place| created.get(*place).copied()).collect();
        let line = Line { digest: key.digest.clone(), items, new: Some(first.seq) };
        self.done.insert((owner(key), key.key.clone()), line);
    }

    /// Saves the keys that this batch used.
    pub(super) async fn save(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let lines: Vec<Json> = self
            .done
            .iter()
            .filter_map(|((owner, key), line)| {
                let items = rows::pack_keys(line.items.iter().copied()).to_string();
                Some(json!([owner, key, line.digest, items, line.new?]))
            })
            .collect();
        if !lines.is_empty() {
            let lines = Json::Array(lines).to_string();
            sqlx::query(SAVE).bind(lines).execute(connection).await?;
        }
        Ok(())
    }
}

fn owner(key: &IdempotencyKey) -> String {
    key.owner.map(|owner| owner.to_string()).unwrap_or_default()
}
