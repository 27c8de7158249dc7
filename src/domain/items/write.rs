//! Creating, updating and deleting items.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::domain::items::accounts;
use crate::domain::items::draft::Draft;
use crate::domain::items::idempotency;
use crate::domain::items::keys;
use crate::domain::items::plan::Plan;
use crate::domain::items::roles;
use crate::domain::items::written;
use crate::domain::items::{Items, Update, Which, Written};
use crate::domain::{Error, Forbidden};
use crate::model::collection::{CollectionKind, Exposure};
use crate::model::event::key_as_written;
use crate::model::{Action, Actor, Collection, Event, Key};
use crate::query::Scope;
use crate::store::{Mutation, Outcome, Precondition, Write};

/// The changes that create items.
#[derive(Debug, Default)]
pub(in crate::domain) struct Creation {
    /// The changes; empty if there is no item.
    pub(in crate::domain) ops: Vec<Mutation>,
    /// The indexes of the items named by the payload among all items created in their collection.
    /// The others are behind relations.
    roots: Vec<usize>,
    /// The unknown names in the payload.
    ignored: Vec<String>,
}

impl Items {
    /// Creates one item (an object) or several (a list of objects), all or none. `query` shapes the
    /// answer.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidPayload`], [`Error::FailedValidation`],
    /// [`Error::RecordNotUnique`], [`Error::InvalidForeignKey`], [`Error::TooBusy`],
    /// [`Error::RequestsExceeded`], [`Error::LimitExceeded`].
    pub async fn create(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        payload: Json,
        query: &Json,
    ) -> Result<Written, Error> {
        let query = self.parse_for_answer(actor, collection, query)?;
        let Creation { ops, roots, ignored } = self.creation(actor, collection, &payload).await?;
        let events = if ops.is_empty() { Vec::new() } else { self.commit(actor, ops).await? };
        let rows = written::created(collection, &events, &roots);
        let written = self.written(actor, query, rows, payload.is_array()).await?;
        Ok(Written { ignored, ..written })
    }

    /// Creates as [`Items::create`], unless the caller has made the same request with this key
    /// already. In that case nothing is written, and the answer shows the current state of the
    /// items created by the first request.
    ///
    /// # Errors
    /// As [`Items::create`]; [`Error::Unprocessable`] if the key was used for another request.
    pub async fn create_once(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        payload: Json,
        query: &Json,
        key: String,
    ) -> Result<Written, Error> {
        let mut key = idempotency::key(actor, collection, &payload, key)?;
        let query = self.parse_for_answer(actor, collection, query)?;
        let Creation { ops, roots, ignored } = self.creation(actor, collection, &payload).await?;
        let many = payload.is_array();
        if ops.is_empty() {
            return self.written(actor, query, Vec::new(), many).await;
        }
        key.roots.clone_from(&roots);
        let write = Write { actor: actor.user, at: self.clock.now(), ops };
        match self.committer.commit_for(actor, write, Some(key)).await? {
            Outcome::Committed(events) | Outcome::Partial(events, _) => {
                let rows = written::created(collection, &events, &roots);
                let written = self.written(actor, query, rows, many).await?;
                Ok(Written { ignored, ..written })
            }
            Outcome::Duplicate(keys) => {
                let answer = match query {
                    Ok(query) => self.found(actor, &query, &keys, many).await,
                    Err(hidden) => Err(hidden),
                };
                Ok(Written { keys, answer, ignored })
            }
        }
    }

    /// Returns the changes that create the items of a payload, so that the caller can commit them
    /// along with others. They are empty if the payload has no items.
    ///
    /// # Errors
    /// As [`Items::create`].
    pub(in crate::domain) async fn creation(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        payload: &Json,
    ) -> Result<Creation, Error> {
        require_kind(collection, &[CollectionKind::Items])?;
        let scope = self.permissions.scope(actor, collection, Action::Create)?;
        let payloads = match payload {
            Json::Array(payloads) => {
                self.check_size(payloads.len())?;
                let objects = payloads.iter().map(Json::as_object);
                objects
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| Error::payload("every item must be of type object"))?
            }
            Json::Object(payload) => vec![payload],
            _ => return Err(Error::payload("'data' has to be an object, or a list of objects")),
        };
        if payloads.is_empty() {
            return Ok(Creation::default());
        }
        self.committer.admission().foresee(actor, collection, payloads.len()).await?;
        let mut draft = Draft::new(self, actor);
        let mut roots = Vec::with_capacity(payloads.len());
        for payload in payloads {
            roots.push(draft.create(&scope, payload, 0).await?.index);
        }
        draft.write_lists().await?;
        let Draft { mut ops, ignored, .. } = draft;
        self.with_consequences(actor, &mut ops).await?;
        Ok(Creation { ops, roots, ignored: ignored.report(collection) })
    }

    /// Updates items, all or none. `query` shapes the answer.
    ///
    /// # Errors
    /// As [`Items::create`].
    pub async fn update(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        update: Update,
        query: &Json,
    ) -> Result<Written, Error> {
        require_kind(collection, &[CollectionKind::Items, CollectionKind::Single])?;
        let query = self.parse_for_answer(actor, collection, query)?;
        let scope = self.permissions.scope(actor, collection, Action::Update)?;
        let many = !matches!(update, Update::Same(Which::One(_), _));
        let mut draft = Draft::new(self, actor);
        let mut roots = Vec::new();
        match update {
            Update::Same(which, payload) => {
                let payload = object(payload)?;
                roots = self.named(actor, collection, &scope, which).await?;
                draft.update(&scope, roots.clone(), payload, 0).await?;
            }
            Update::Each(payloads) => {
                self.check_size(payloads.len())?;
                for payload in payloads {
                    let payload = object(payload)?;
                    let key = payload
                        .get(collection.key().name)
                        .ok_or_else(|| Error::payload("Item in update misses primary key"))?;
                    let keys = keys::parse_all(collection, std::slice::from_ref(key))?;
                    roots.extend(&keys);
                    draft.update(&scope, keys, payload, 0).await?;
                }
            }
        }
        draft.write_lists().await?;
        let Draft { mut ops, ignored, fields, is_plain, .. } = draft;
        self.with_consequences(actor, &mut ops).await?;
        let events = self.commit(actor, ops).await.map_err(|error| match error {
            Error::Forbidden(Forbidden::Item) if is_plain => {
                Error::Forbidden(Forbidden::Update { collection: collection.name, fields })
            }
            other => other,
        })?;
        let rows = written::updated(collection, &events, &roots);
        let written = self.written(actor, query, rows, many).await?;
        Ok(Written { ignored: ignored.report(collection), ..written })
    }

    /// Deletes items, all or none, and returns the keys that were named or found, in the form in
    /// which the request wrote them.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidPayload`], [`Error::InvalidQuery`],
    /// [`Error::TooBusy`].
    pub async fn delete(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        which: Which,
    ) -> Result<Vec<Json>, Error> {
        require_kind(collection, &[CollectionKind::Items])?;
        let scope = self.permissions.scope(actor, collection, Action::Delete)?;
        let text_keys = match &which {
            Which::One(key) => keys::texts(collection, std::slice::from_ref(key)),
            Which::Keys(keys) => keys::texts(collection, keys),
            Which::Query(_) => Arc::default(),
        };
        let keys = self.named(actor, collection, &scope, which).await?;
        let written = |key: &Key| key_as_written(&text_keys, *key).to_json();
        let answer = keys.iter().map(written).collect();
        if keys.is_empty() {
            return Ok(answer);
        }
        let precondition =
            if scope.is_full() { Precondition::None } else { Precondition::All(scope.filter()) };
        let mut ops = vec![Mutation::Delete { collection, keys, precondition, text_keys }];
        self.with_consequences(actor, &mut ops).await?;
        self.commit(actor, ops).await.map_err(|error| match error {
            Error::Forbidden(Forbidden::Item) => {
                Error::Forbidden(Forbidden::Delete { collection: collection.name })
            }
            other => other,
        })?;
        Ok(answer)
    }

    async fn commit(&self, actor: &Actor, ops: Vec<Mutation>) -> Result<Vec<Arc<Event>>, Error> {
        let write = Write { actor: actor.user, at: self.clock.now(), ops };
        match self.committer.commit_for(actor, write, None).await? {
            Outcome::Committed(events) | Outcome::Partial(events, _) => Ok(events),
            // Only a write with an idempotency key can be a duplicate.
            Outcome::Duplicate(_) => Ok(Vec::new()),
        }
    }

    /// Returns the keys of the selected items. A query selects only items that the caller may both
    /// see and change.
    async fn named(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        scope: &Scope,
        which: Which,
    ) -> Result<Vec<Key>, Error> {
        let query = match which {
            Which::One(key) => return keys::parse_all(collection, &[key]),
            Which::Keys(keys) => {
                self.check_size(keys.len())?;
                return keys::parse_all(collection, &keys);
            }
            Which::Query(query) => query,
        };
        let unlimited = query.get("limit").is_none();
        // Without a limit all matching items are meant, so the page limit of lists does not apply.
        let all = query.get("limit").is_none_or(|limit| *limit == -1 || *limit == "-1");
        let query = self.parse(actor, collection, &query)?;
        if unlimited && query.select.search.is_none() && query.select.filter.is_everything() {
            return Err(Error::payload(
                "\"query\" must select items by a filter, a search or a limit",
            ));
        }
        let plan = Plan::new(&self.permissions, actor, &query)?;
        let mut select = plan.select;
        select.filter = scope.filter().and(select.filter);
        if all {
            // One more than the limit, to detect that there are too many.
            select.limit = Some(u64::try_from(self.config.batch_max).unwrap_or(u64::MAX - 1) + 1);
        }
        let rows = self.store.read_to_change(plan.projection.scope(), select).await?;
        self.check_size(rows.len())?;
        Ok(rows.iter().filter_map(|row| row.key()).collect())
    }

    /// Adds the side effects of account changes, and refuses privilege escalation.
    async fn with_consequences(&self, actor: &Actor, ops: &mut Vec<Mutation>) -> Result<(), Error> {
        if ops.iter().any(|op| op.collection().is_some_and(|it| it.exposure == Exposure::System)) {
            accounts::keep_in_place(&self.row_cache, &self.permissions, actor, ops).await?;
            accounts::end_sessions(actor, ops);
            roles::check_parents(&self.row_cache, ops).await?;
        }
        Ok(())
    }

    /// Refuses a request that changes more items than the limit.
    pub(super) fn check_size(&self, items: usize) -> Result<(), Error> {
        let most = self.config.batch_max;
        if items > most {
            return Err(Error::payload(format!("Exceeded max batch mutation limit of {most}")));
        }
        Ok(())
    }
}

/// Refuses operations that collections of this form do not support, also to administrators.
fn require_kind(collection: &'static Collection, kinds: &[CollectionKind]) -> Result<(), Error> {
    if kinds.contains(&collection.kind) { Ok(()) } else { Err(Error::collection(collection.name)) }
}

fn object(payload: Json) -> Result<Map<String, Json>, Error> {
    match payload {
        Json::Object(payload) => Ok(payload),
        _ => Err(Error::payload("\"data\" must be of type object")),
    }
}
