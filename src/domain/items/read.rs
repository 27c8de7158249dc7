//! Reading items: one or several by key, or the result of a query.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::domain::items::caller_profile;
use crate::domain::items::json_writer::list_too_long;
use crate::domain::items::json_writer::too_long;
use crate::domain::items::keys;
use crate::domain::items::plan::Plan;
use crate::domain::items::plan::authorize;
use crate::domain::items::render;
use crate::domain::items::{Answer, Counts, Items, JsonText, Table, Which};
use crate::domain::memory::Reservation;
use crate::domain::quota::Owner;
use crate::domain::{Error, Forbidden};
use crate::model::collection::CollectionKind;
use crate::model::{Action, Actor, Collection, Key, Place, Record, Value};
use crate::query::{Aggregation, Environment, Filter, Meta, Query, Relations, Scope, Select, Test};
use crate::store::{Grow, RowBudget, StoreError};

/// The limit on the size of the rows read for an answer, as a multiple of the limit on the answer:
/// not all of their text is shown.
pub(super) const ROWS_SHARE: usize = 4;

/// The result of a plan at one moment.
pub(in crate::domain) struct Presented {
    /// One item, or a list.
    pub data: JsonText,
    /// Whether items are left out, or reduced to their keys, because of the size limit.
    pub truncated: bool,
    /// The requested counts.
    pub counts: Option<Counts>,
    /// The position of the snapshot in the order of events.
    pub place: Place,
}

impl Items {
    /// Reads one item, several, or the result of a query, up to `ANSWER_SIZE_MAX` bytes. `query` is
    /// the JSON form of the query language. With [`Which::Query`] the query in there applies and
    /// `query` is ignored.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidQuery`], [`Error::LimitExceeded`], and store errors.
    pub async fn read(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        which: Which,
        query: &Json,
    ) -> Result<Answer, Error> {
        self.read_within(actor, collection, which, query, self.config.answer_bytes_max).await
    }

    /// Reads as [`Items::read`], up to `most` bytes of JSON.
    ///
    /// # Errors
    /// As [`Items::read`].
    pub async fn read_within(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        which: Which,
        query: &Json,
        most: usize,
    ) -> Result<Answer, Error> {
        if collection.kind == CollectionKind::History {
            self.permissions.scope(actor, collection, Action::Read)?;
            self.store.catch_up(None).await?;
        }
        match which {
            Which::One(key) => {
                let query = self.parse(actor, collection, query)?;
                let plan = Plan::new(&self.permissions, actor, &query)?;
                // The existence of the item of a singleton is no secret.
                if collection.kind != CollectionKind::Single {
                    require_key(plan.projection.scope())?;
                }
                let key = keys::require(collection, &key)?;
                let Some(record) = self.find(&plan, key).await? else {
                    return Err(Error::Forbidden(Forbidden::Item));
                };
                let table =
                    query.export.map(|export| Table { export, columns: plan.projection.names() });
                let data = plan.projection.object_within(&record, most)?;
                let memory = Reservation::new(&self.memory, Owner::of(actor));
                Ok(Answer { data, counts: None, table, memory })
            }
            Which::Keys(keys) => {
                let keys = keys::parse_all(collection, &keys)?;
                let says_limit = query.get("limit").is_some();
                let mut query = self.parse(actor, collection, query)?;
                if !says_limit {
                    // A request by keys returns all of the items, not only the first page.
                    query.select.limit = self.limits.cap(None);
                }
                query.select.filter = keyed(collection, &keys).and(query.select.filter);
                require_key(&self.permissions.scope(actor, collection, Action::Read)?)?;
                self.list(actor, &query, most).await
            }
            Which::Query(query) => {
                let query = self.parse(actor, collection, &query)?;
                self.list(actor, &query, most).await
            }
        }
    }

    /// Parses a query for an actor.
    pub(in crate::domain) fn parse(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        query: &Json,
    ) -> Result<Query, Error> {
        // Without read access, the errors of the query are not disclosed.
        self.permissions.scope(actor, collection, Action::Read)?;
        let caller = if caller_profile::names_profile(query) {
            Cow::Owned(caller_profile::with_readable_profile(&self.permissions, actor))
        } else {
            Cow::Borrowed(actor)
        };
        let may_name = |collection, field| {
            let scope = self.permissions.scope(actor, collection, Action::Read);
            scope.is_ok_and(|scope| scope.has(field))
        };
        let environment = Environment::new(&caller, self.clock.now()).restricted(&may_name);
        Ok(Query::parse(collection, query, &environment, &self.limits)?)
    }

    async fn list(&self, actor: &Actor, query: &Query, most: usize) -> Result<Answer, Error> {
        if let Some(totals) = &query.totals {
            let answer = self.totals(actor, query, totals).await?;
            let is_short = answer.data.get().len() <= most;
            return if is_short { Ok(answer) } else { Err(too_long(most)) };
        }
        let plan = Plan::new(&self.permissions, actor, query)?;
        let mut memory = Reservation::new(&self.memory, Owner::of(actor));
        let (rows, is_cut) = if plan.select.limit == Some(0) {
            (Vec::new(), false)
        } else {
            let (scope, select) = (plan.projection.scope(), plan.select.clone());
            let mut growth = Growth::new(&mut memory);
            let read = self.store.read_first(scope, select, growth.budget(most)).await;
            read.map_err(|error| growth.failed(error, most))?
        };
        let records = self.records(&plan.projection, rows, Relations::default()).await?;
        if is_cut {
            return Err(list_too_long(most, plan.projection.count_that_fit(&records, most)));
        }
        let counts = self.count(&plan, query.meta).await?;
        let table = query.export.map(|export| Table { export, columns: plan.projection.names() });
        let data = written(&mut memory, most, |most| plan.projection.list_within(&records, most));
        let data = data.map_err(|error| match error {
            Error::LimitExceeded(_) => {
                list_too_long(most, plan.projection.count_that_fit(&records, most))
            }
            error => error,
        })?;
        drop(records);
        memory.resize_to_fit(data.capacity())?;
        Ok(Answer { data, counts, table, memory })
    }

    /// Computes totals instead of reading items.
    async fn totals(
        &self,
        actor: &Actor,
        query: &Query,
        totals: &Aggregation,
    ) -> Result<Answer, Error> {
        let (select, scope) = authorize(&self.permissions, actor, query)?;
        let groups = if select.limit == Some(0) {
            Vec::new()
        } else {
            self.store.totals(&scope, select.clone(), totals).await?
        };
        let counts = self.counts(&scope, &select, query.meta).await?;
        let table =
            query.export.map(|export| Table { export, columns: render::group_names(totals) });
        let memory = Reservation::new(&self.memory, Owner::of(actor));
        Ok(Answer { data: render::groups(totals, &groups), counts, table, memory })
    }

    /// Returns the requested counts, if any.
    pub(in crate::domain) async fn count(
        &self,
        plan: &Plan,
        meta: Meta,
    ) -> Result<Option<Counts>, Error> {
        self.counts(plan.projection.scope(), &plan.select, meta).await
    }

    async fn counts(
        &self,
        scope: &Scope,
        select: &Select,
        meta: Meta,
    ) -> Result<Option<Counts>, Error> {
        if !meta.any() {
            return Ok(None);
        }
        let mut counts = Counts::default();
        if meta.total {
            counts.total = Some(self.store.count(scope, Select::default()).await?);
        }
        if meta.filter {
            let select = Select { limit: None, offset: 0, ..select.clone() };
            counts.filter = Some(self.store.count(scope, select).await?);
        }
        Ok(Some(counts))
    }

    /// Returns the current result of a plan: one item, or the first items of a list, up to `most`
    /// bytes. An item that alone exceeds the limit is reduced to its key. The memory counts towards
    /// the budget of `reader` until the result is complete.
    pub(in crate::domain) async fn present(
        &self,
        plan: &Plan,
        item: Option<Key>,
        meta: Meta,
        most: usize,
        reader: Owner,
    ) -> Result<Presented, Error> {
        let Plan { projection, select } = plan;
        let scope = projection.scope();
        let mut select = select.clone();
        if let Some(key) = item {
            select.filter = keyed(scope.collection(), &[key]).and(select.filter);
        }
        let mut memory = Reservation::new(&self.memory, reader);
        let mut growth = Growth::new(&mut memory);
        let read = self.store.read_at(scope, select, growth.budget(most)).await;
        let (rows, is_cut, place) = read.map_err(|error| growth.failed(error, most))?;
        let records = self.records(projection, rows, Relations::default()).await?;
        let counts = self.count(plan, meta).await?;
        let (data, truncated) = match (item, records.first()) {
            (None, _) => projection.list_that_fits(&records, most),
            (Some(_), Some(record)) => match projection.object_within(record, most) {
                Ok(object) => (object, false),
                Err(_) => (projection.object_of_key(record), true),
            },
            (Some(_), None) => return Err(Error::Forbidden(Forbidden::Item)),
        };
        Ok(Presented { data, truncated: truncated || is_cut, counts, place })
    }

    /// Returns the item with this key, if the plan's reader may see it and it matches the filter.
    pub(in crate::domain) async fn find(
        &self,
        plan: &Plan,
        key: Key,
    ) -> Result<Option<Record>, Error> {
        let scope = plan.projection.scope();
        let filter = keyed(scope.collection(), &[key]).and(plan.select.filter.clone());
        let select = Select { filter, limit: Some(1), offset: 0, ..plan.select.clone() };
        let rows = self.store.read(scope, select).await?;
        Ok(self.records(&plan.projection, rows, Relations::default()).await?.pop())
    }
}

/// The growing memory reservation of a read.
struct Growth<'m> {
    memory: &'m mut Reservation,
    /// The error of the last refused growth.
    refusal: Option<Error>,
}

impl<'m> Growth<'m> {
    const fn new(memory: &'m mut Reservation) -> Self {
        Self { memory, refusal: None }
    }

    /// Returns the memory for the rows of an answer of at most `most` bytes.
    fn budget(&mut self, most: usize) -> RowBudget<'_> {
        RowBudget::growing(ROWS_SHARE.saturating_mul(most), self)
    }

    /// Returns the error for a failed read.
    fn failed(self, error: StoreError, most: usize) -> Error {
        match (error, self.refusal) {
            (StoreError::NoRoom, Some(refusal)) => refusal,
            (error, _) => shorter(error, most),
        }
    }
}

impl Grow for Growth<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.memory.resize_to_fit(bytes).map_err(|error| {
            self.refusal = Some(error);
            StoreError::NoRoom
        })
    }
}

/// Writes an answer of at most `most` bytes while its rows are in memory. Reserves memory for both.
fn written(
    memory: &mut Reservation,
    most: usize,
    write: impl FnOnce(usize) -> Result<JsonText, Error>,
) -> Result<JsonText, Error> {
    let (rows, cap) = (memory.bytes(), memory.cap(most));
    let text = match write(cap) {
        // A temporary lack of memory and a permanent limit have different errors.
        Err(Error::LimitExceeded(_)) if cap < most => return Err(memory.exceeded()),
        written => written?,
    };
    memory.resize_to_fit(rows + text.capacity())?;
    Ok(text)
}

/// Returns the error for a failed read. If the result was too long, it advises a smaller request.
pub(super) fn shorter(error: StoreError, most: usize) -> Error {
    match error {
        StoreError::TooLong => too_long(most),
        error => error.into(),
    }
}

/// Refuses access by key to a reader that may not see keys: the existence of an item would disclose
/// its key.
fn require_key(scope: &Scope) -> Result<(), Error> {
    if scope.has(scope.collection().key()) {
        Ok(())
    } else {
        Err(Error::Forbidden(Forbidden::Item))
    }
}

/// Returns the filter for the items with these keys.
pub(super) fn keyed(collection: &'static Collection, keys: &[Key]) -> Filter {
    if keys.is_empty() {
        return Filter::Or(Vec::new());
    }
    let keys = keys.iter().map(|key| Value::from(*key)).collect();
    Filter::Field(collection.key(), Test::In(keys))
}
