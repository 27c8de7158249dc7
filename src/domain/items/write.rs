//! Creating, updating and deleting items.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::items::Answer;
use crate::domain::items::Items;
use crate::domain::items::Update;
use crate::domain::items::Which;
use crate::domain::items::Written;
use crate::domain::items::accounts;
use crate::domain::items::ignored::Ignored;
use crate::domain::items::keys;
use crate::domain::items::once;
use crate::domain::items::plan::Plan;
use crate::domain::items::read::ROWS_SHARE;
use crate::domain::items::read::keyed;
use crate::domain::items::read::shorter;
use crate::domain::items::roles;
use crate::domain::shares::Owner;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::Event;
use crate::model::Field;
use crate::model::Key;
use crate::model::Record;
use crate::model::Row;
use crate::model::Value;
use crate::model::collection::Form;
use crate::model::collection::Reach;
use crate::model::collection::Special;
use crate::model::event::key_as_written;
use crate::model::schema;
use crate::query::Limit;
use crate::query::Query;
use crate::query::Relations;
use crate::query::Scope;
use crate::store::Done;
use crate::store::Guard;
use crate::store::Op;
use crate::store::Select;
use crate::store::Write;

/// What creates items.
#[derive(Debug, Default)]
pub(in crate::domain) struct Creation {
    /// The changes; none if there is no item.
    pub(in crate::domain) ops: Vec<Op>,
    /// The names in the payload that are no fields.
    ignored: Vec<String>,
}

impl Items {
    /// Creates one item (an object) or several (a list of objects), all or none. `query` shapes the
    /// answer.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidPayload`], [`Error::FailedValidation`],
    /// [`Error::RecordNotUnique`], [`Error::InvalidForeignKey`], [`Error::TooBusy`].
    pub async fn create(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        payload: Json,
        query: &Json,
    ) -> Result<Written, Error> {
        let query = self.parse_for_answer(actor, collection, query)?;
        let Creation { ops, ignored } = self.creation(actor, collection, &payload).await?;
        let events = if ops.is_empty() { Vec::new() } else { self.commit(actor, ops).await? };
        let written = self.written(actor, collection, query, &events, payload.is_array()).await?;
        Ok(Written { ignored, ..written })
    }

    /// Creates as [`Items::create`], unless the caller has done the same under this key already:
    /// then nothing happens, and the answer shows what was created then, as it is now.
    ///
    /// # Errors
    /// As [`Items::create`]; [`Error::Unprocessable`] if the key was used for something else.
    pub async fn create_once(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        payload: Json,
        query: &Json,
        key: String,
    ) -> Result<Written, Error> {
        let once = once::once(actor, collection, &payload, key)?;
        let query = self.parse_for_answer(actor, collection, query)?;
        let Creation { ops, ignored } = self.creation(actor, collection, &payload).await?;
        let many = payload.is_array();
        if ops.is_empty() {
            return self.written(actor, collection, query, &[], many).await;
        }
        let write = Write { actor: actor.user, at: self.clock.now(), ops };
        match self.changes.commit_for(Owner::of(actor), write, Some(once)).await? {
            Done::Now(events) => {
                let written = self.written(actor, collection, query, &events, many).await?;
                Ok(Written { ignored, ..written })
            }
            Done::Before(keys) => {
                let answer = match query {
                    Ok(query) => self.found(actor, collection, &query, &keys, many).await,
                    Err(hidden) => Err(hidden),
                };
                Ok(Written { keys, answer, ignored })
            }
        }
    }

    /// Returns what creates the items of a payload, for whoever commits more with it; nothing if there
    /// are none.
    ///
    /// # Errors
    /// As [`Items::create`].
    pub(in crate::domain) async fn creation(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        payload: &Json,
    ) -> Result<Creation, Error> {
        require_form(collection, &[Form::Items])?;
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
        let mut ignored = Ignored::default();
        let mut rows = Vec::with_capacity(payloads.len());
        let mut attached = Vec::new();
        for payload in payloads {
            let (row, access) = self.row(actor, &scope, payload, &mut ignored).await?;
            rows.push(row);
            attached.extend(access);
        }
        let mut ops = vec![Op::Create { collection, rows }];
        if !attached.is_empty() {
            ops.push(Op::Create { collection: &schema::ACCESS, rows: attached });
        }
        self.with_consequences(actor, collection, &mut ops).await?;
        Ok(Creation { ops, ignored: ignored.report(collection) })
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
        require_form(collection, &[Form::Items, Form::Single])?;
        let query = self.parse_for_answer(actor, collection, query)?;
        let scope = self.permissions.scope(actor, collection, Action::Update)?;
        let many = !matches!(update, Update::Same(Which::One(_), _));
        let (mut ops, mut ignored) = (Vec::new(), Ignored::default());
        match update {
            Update::Same(which, payload) => {
                let payload = object(payload)?;
                let (set, guard) = self.change(actor, &scope, &payload, &mut ignored).await?;
                let keys = self.named(actor, collection, &scope, which).await?;
                ops.push(Op::Update { collection, keys, set, guard });
            }
            Update::Each(payloads) => {
                self.check_size(payloads.len())?;
                for payload in payloads {
                    let payload = object(payload)?;
                    let key = payload
                        .get(collection.key().name)
                        .ok_or_else(|| Error::payload("Item in update misses primary key"))?;
                    let keys = keys::parse_all(collection, std::slice::from_ref(key))?;
                    let (set, guard) = self.change(actor, &scope, &payload, &mut ignored).await?;
                    ops.push(Op::Update { collection, keys, set, guard });
                }
            }
        }
        let fields = named_fields(&ops);
        self.with_consequences(actor, collection, &mut ops).await?;
        let events = self.commit(actor, ops).await.map_err(|error| match error {
            Error::Forbidden(Forbidden::Item) => {
                Error::Forbidden(Forbidden::Update { collection: collection.name, fields })
            }
            other => other,
        })?;
        let written = self.written(actor, collection, query, &events, many).await?;
        Ok(Written { ignored: ignored.report(collection), ..written })
    }

    /// Deletes items, all or none, and returns the keys that were named or found, in the form that the
    /// request wrote them in.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidPayload`], [`Error::InvalidQuery`], [`Error::TooBusy`].
    pub async fn delete(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        which: Which,
    ) -> Result<Vec<Json>, Error> {
        require_form(collection, &[Form::Items])?;
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
        let guard = if scope.is_full() { Guard::Present } else { Guard::Every(scope.filter()) };
        let mut ops = vec![Op::Delete { collection, keys, guard, text_keys }];
        self.with_consequences(actor, collection, &mut ops).await?;
        self.commit(actor, ops).await.map_err(|error| match error {
            Error::Forbidden(Forbidden::Item) => {
                Error::Forbidden(Forbidden::Delete { collection: collection.name })
            }
            other => other,
        })?;
        Ok(answer)
    }

    async fn commit(&self, actor: &Actor, ops: Vec<Op>) -> Result<Vec<Arc<Event>>, Error> {
        let write = Write { actor: actor.user, at: self.clock.now(), ops };
        match self.changes.commit_for(Owner::of(actor), write, None).await? {
            Done::Now(events) => Ok(events),
            // Only what has a key can have happened before.
            Done::Before(_) => Ok(Vec::new()),
        }
    }

    /// Returns what a payload sets, and which items it may be set of.
    async fn change(
        &self,
        actor: &Actor,
        scope: &Scope,
        payload: &Map<String, Json>,
        ignored: &mut Ignored,
    ) -> Result<(Vec<(&'static Field, Value)>, Guard), Error> {
        let set = self.changes(actor, scope, payload, ignored).await?;
        if scope.is_full() {
            return Ok((set, Guard::Present));
        }
        let collection = scope.collection();
        let fields: Vec<&'static Field> = payload
            .keys()
            .filter_map(|name| collection.field(name))
            .filter(|field| *field != collection.key())
            .collect();
        let filter = scope.filter_for(&fields).ok_or_else(|| {
            let fields = fields.iter().map(|field| field.name.to_owned()).collect();
            Error::Forbidden(Forbidden::Update { collection: collection.name, fields })
        })?;
        Ok((set, Guard::Every(filter)))
    }

    /// Returns the keys of the items that a call is about. A query finds only what the caller may
    /// both see and change.
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
        // All are meant, or none: what a list may show is no bound for them.
        let all = query.get("limit").is_none_or(|limit| *limit == -1 || *limit == "-1");
        let query = self.parse(actor, collection, &query)?;
        if unlimited && query.search.is_none() && query.filter.is_everything() {
            return Err(Error::payload(
                "\"query\" must say which items are meant: by a filter, a search or a limit",
            ));
        }
        let plan = Plan::new(&self.permissions, actor, collection, &query)?;
        let mut select = plan.select;
        select.filter = scope.filter().and(select.filter);
        if all {
            // One more than may be changed, to notice when there are too many.
            select.limit = Some(u64::try_from(self.config.batch_max).unwrap_or(u64::MAX - 1) + 1);
        }
        let rows = self.store.read_to_change(plan.projection.scope(), select).await?;
        self.check_size(rows.len())?;
        Ok(rows.iter().filter_map(|row| row.key()).collect())
    }

    /// Adds what changes of accounts bring with them, and refuses those that would give rights away.
    async fn with_consequences(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        ops: &mut Vec<Op>,
    ) -> Result<(), Error> {
        if collection.reach == Reach::System {
            accounts::keep_in_place(&self.directory, &self.permissions, actor, ops).await?;
        }
        if *collection == schema::USERS {
            accounts::end_sessions(actor, ops);
        }
        if *collection == schema::ROLES {
            roles::check_parents(&self.directory, ops).await?;
        }
        Ok(())
    }

    fn check_size(&self, items: usize) -> Result<(), Error> {
        let most = self.config.batch_max;
        if items > most {
            return Err(Error::payload(format!("Exceeded max batch mutation limit of {most}")));
        }
        Ok(())
    }

    /// Reads the query that shapes an answer. Nonsense refuses the call; fields that may not be seen
    /// do not: the write happens, and only its result stays hidden.
    fn parse_for_answer(
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

    async fn written(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        query: Result<Query, Error>,
        events: &[Arc<Event>],
        many: bool,
    ) -> Result<Written, Error> {
        let changes = events
            .iter()
            .filter(|event| event.collection == collection)
            .flat_map(|event| &event.changes);
        let mut keys = Vec::new();
        let mut rows = Vec::new();
        for change in changes {
            keys.push(change.key);
            rows.extend(change.after.clone());
        }
        let answer = match query {
            Ok(query) => self.answer(actor, collection, &query, rows, many).await,
            Err(hidden) => Err(hidden),
        };
        Ok(Written { keys, answer, ignored: Vec::new() })
    }

    /// Shows items as they are now, in the order of their keys, to whoever wrote them.
    async fn found(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        query: &Query,
        keys: &[Key],
        many: bool,
    ) -> Result<Answer, Error> {
        let everything = Query { limit: Limit::All, ..Query::everything(&self.limits) };
        let plan = Plan::new(&self.permissions, actor, collection, &everything)?;
        let select = Select { filter: keyed(collection, keys), ..plan.select };
        let most = self.config.answer_bytes_max;
        let rows = self.store.read_within(
            plan.projection.scope(),
            select,
            ROWS_SHARE.saturating_mul(most),
        );
        let mut rows = rows.await.map_err(|error| shorter(error, most))?;
        rows.sort_by_key(|row| keys.iter().position(|key| row.key() == Some(*key)));
        self.answer(actor, collection, query, rows, many).await
    }

    /// Shows rows as their writer may see them.
    async fn answer(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        query: &Query,
        rows: Vec<Arc<Row>>,
        many: bool,
    ) -> Result<Answer, Error> {
        let query = Query { fields: query.fields.clone(), ..Query::everything(&self.limits) };
        let projection = Plan::new(&self.permissions, actor, collection, &query)?.projection;
        let records = self.records(&projection, rows, Relations::default()).await?;
        let visible: Vec<&Record> =
            records.iter().filter(|record| projection.fits(record)).collect();
        let data = match visible.first() {
            _ if many => projection.list(visible),
            Some(record) => projection.object(record),
            None => return Err(Error::Forbidden(Forbidden::Item)),
        };
        Ok(Answer { data, counts: None, sheet: None })
    }
}

/// Refuses, to administrators too, what cannot be done with items of a collection of this form.
fn require_form(collection: &'static Collection, forms: &[Form]) -> Result<(), Error> {
    if forms.contains(&collection.form) { Ok(()) } else { Err(Error::collection(collection.name)) }
}

fn object(payload: Json) -> Result<Map<String, Json>, Error> {
    match payload {
        Json::Object(payload) => Ok(payload),
        _ => Err(Error::payload("\"data\" must be of type object")),
    }
}

/// Returns the names of the fields that updates set, apart from those the server keeps.
fn named_fields(ops: &[Op]) -> Vec<String> {
    let mut names = Vec::new();
    for op in ops {
        if let Op::Update { set, .. } = op {
            for (field, _) in set {
                let kept = matches!(field.special, Special::UserUpdated | Special::DateUpdated);
                if !kept && !names.iter().any(|name| name == field.name) {
                    names.push(field.name.to_owned());
                }
            }
        }
    }
    names
}
