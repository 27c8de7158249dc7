//! The answer to a write: the items named by the request, as visible to the caller.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::items::project::Projection;
use crate::domain::items::read::ROWS_SHARE;
use crate::domain::items::read::keyed;
use crate::domain::items::read::shorter;
use crate::domain::items::{Answer, Items, Written};
use crate::domain::memory::Reservation;
use crate::domain::quota::Owner;
use crate::domain::{Error, Forbidden};
use crate::model::{Action, Actor, Collection, Event, EventAction, Key, Record, Row};
use crate::query::{Query, Relations, Select};

/// Returns the items at these indexes among those that the events create in a collection, in their state
/// after all of the events.
pub(super) fn created(
    collection: &'static Collection,
    events: &[Arc<Event>],
    indexes: &[usize],
) -> Vec<Arc<Row>> {
    let creations = events
        .iter()
        .filter(|event| event.collection == collection && event.action == EventAction::Create);
    let keys: Vec<Key> =
        creations.flat_map(|event| event.changes.iter().map(|change| change.key)).collect();
    let keys: Vec<Key> = indexes.iter().filter_map(|index| keys.get(*index).copied()).collect();
    updated(collection, events, &keys)
}

/// Returns the items with these keys in their state after the events. Items that the events do not
/// change are left out.
pub(super) fn updated(
    collection: &'static Collection,
    events: &[Arc<Event>],
    keys: &[Key],
) -> Vec<Arc<Row>> {
    let changes = events
        .iter()
        .filter(|event| event.collection == collection)
        .flat_map(|event| &event.changes);
    let rows: HashMap<Key, &Arc<Row>> =
        changes.filter_map(|change| Some((change.key, change.after.as_ref()?))).collect();
    keys.iter().filter_map(|key| rows.get(key).copied().cloned()).collect()
}

impl Items {
    /// Parses the query for the answer to a write. An invalid query refuses the call. Hidden fields
    /// do not: the write is executed, and only its result is hidden.
    pub(super) fn parse_for_answer(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        query: &Json,
    ) -> Result<Result<Query, Error>, Error> {
        match self.parse(actor, collection, query) {
            Err(hidden @ Error::Forbidden(_)) => Ok(Err(hidden)),
            Err(error) => Err(error),
            Ok(query) => Ok(Ok(query)),
        }
    }

    /// Returns the result of a write from the rows that it changed.
    pub(super) async fn written(
        &self,
        actor: &Actor,
        query: Result<Query, Error>,
        rows: Vec<Arc<Row>>,
        many: bool,
    ) -> Result<Written, Error> {
        let keys = rows.iter().filter_map(|row| row.key()).collect();
        let answer = match query {
            Ok(query) => self.answer(actor, &query, rows, many).await,
            Err(hidden) => Err(hidden),
        };
        Ok(Written { keys, answer, ignored: Vec::new() })
    }

    /// Returns the current state of items, in the order of `keys`, as the answer to a write.
    pub(super) async fn found(
        &self,
        actor: &Actor,
        query: &Query,
        keys: &[Key],
        many: bool,
    ) -> Result<Answer, Error> {
        let scope = self.permissions.scope(actor, query.collection, Action::Read)?;
        let select = Select { filter: keyed(query.collection, keys), ..Select::default() };
        let most = self.config.answer_bytes_max;
        let rows = self.store.read_within(&scope, select, ROWS_SHARE.saturating_mul(most));
        let mut rows = rows.await.map_err(|error| shorter(error, most))?;
        rows.sort_by_key(|row| keys.iter().position(|key| row.key() == Some(*key)));
        self.answer(actor, query, rows, many).await
    }

    /// Returns the answer with those of the rows that the caller may see.
    async fn answer(
        &self,
        actor: &Actor,
        query: &Query,
        rows: Vec<Arc<Row>>,
        many: bool,
    ) -> Result<Answer, Error> {
        let scope = self.permissions.scope(actor, query.collection, Action::Read)?;
        let projection = Projection::new(&self.permissions, actor, scope, &query.fields)?;
        let records = self.records(&projection, rows, Relations::default()).await?;
        let visible: Vec<&Record> =
            records.iter().filter(|record| projection.fits(record)).collect();
        let data = match visible.first() {
            _ if many => projection.list(visible),
            Some(record) => projection.object(record),
            None => return Err(Error::Forbidden(Forbidden::Item)),
        };
        let memory = Reservation::new(&self.memory, Owner::of(actor));
        Ok(Answer { data, counts: None, table: None, memory })
    }
}
