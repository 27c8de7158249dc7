//! A write under construction: the changes of one request to items and to the items behind their
//! relations, which are committed together or not at all.
//!
//! Each item is checked as if a separate request changed it: permissions, presets, rules. `nested`
//! parses the items behind relations.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::domain::items::Items;
use crate::domain::items::ignored::Ignored;
use crate::domain::items::nested::Lists;
use crate::domain::items::payload::permitted;
use crate::domain::items::unchanged;
use crate::domain::items::unchanged::Current;
use crate::domain::{Error, Forbidden};
use crate::model::collection::{Exposure, Special};
use crate::model::{Action, Actor, Collection, Field, Key, Row};
use crate::query::Scope;
use crate::store::{Mutation, Precondition};

/// The changes of one request so far.
pub(super) struct Draft<'a> {
    pub(super) items: &'a Items,
    pub(super) actor: &'a Actor,
    pub(super) ops: Vec<Mutation>,
    /// The unknown names in payloads.
    pub(super) ignored: Ignored,
    /// The fields that the request sets on the items that it names, except server-managed fields.
    pub(super) fields: Vec<String>,
    /// Whether only the items named by the request are changed.
    pub(super) is_plain: bool,
    /// The queued lists of to-many relations, written after the items that they belong to.
    pub(super) lists: VecDeque<Lists>,
    /// The items released by lists.
    pub(super) released: HashSet<(&'static str, Key)>,
    /// The number of items created in each collection.
    created: HashMap<&'static str, usize>,
    /// The number of changed items.
    size: usize,
}

/// A new item in a draft.
pub(super) struct Created {
    /// The key; `None` if the writer assigns it.
    pub(super) key: Option<Key>,
    /// The index among the new items of its collection.
    pub(super) index: usize,
}

impl<'a> Draft<'a> {
    /// Creates an empty draft on behalf of an actor.
    pub(super) fn new(items: &'a Items, actor: &'a Actor) -> Self {
        Self {
            items,
            actor,
            ops: Vec::new(),
            ignored: Ignored::default(),
            fields: Vec::new(),
            is_plain: true,
            lists: VecDeque::new(),
            released: HashSet::new(),
            created: HashMap::new(),
            size: 0,
        }
    }

    /// Returns the scope of an action of the actor on items of a collection.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the collection, if the actor has no access.
    pub(super) fn scope(
        &self,
        collection: &'static Collection,
        action: Action,
    ) -> Result<Scope, Error> {
        self.items.permissions.scope(self.actor, collection, action)
    }

    /// Adds the creation of an item, `depth` relations away from the items that the request names.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidPayload`], [`Error::FailedValidation`].
    pub(super) async fn create(
        &mut self,
        scope: &Scope,
        payload: &Map<String, Json>,
        depth: usize,
    ) -> Result<Created, Error> {
        self.is_plain &= depth == 0;
        let (values, unknown) = permitted(scope, payload)?;
        self.ignored.extend(&unknown);
        let mut values = self.items.with_presets(self.actor, scope, values)?;
        let lists = self.take_relations(scope.collection(), &mut values, depth).await?;
        let row = self.items.row(self.actor, scope, &values, &unknown).await?;
        let key = row.key();
        let index = self.push_row(row)?;
        self.queue(lists, key, true, depth)?;
        Ok(Created { key, index })
    }

    /// Adds the same change to several items. Behind a relation, an equal value is not a change.
    ///
    /// # Errors
    /// As [`Draft::create`].
    pub(super) async fn update(
        &mut self,
        scope: &Scope,
        keys: Vec<Key>,
        mut payload: Map<String, Json>,
        depth: usize,
    ) -> Result<(), Error> {
        self.is_plain &= depth == 0;
        let collection = scope.collection();
        // An item keeps its key. In a list of changes the key identifies the item.
        payload.remove(collection.key().name);
        let current = self.current(scope, &keys, &payload, depth).await?;
        if let Some(current) = &current {
            payload.retain(|name, value| !current.keeps(name, value));
        }
        let (mut values, unknown) = permitted(scope, &payload)?;
        self.ignored.extend(&unknown);
        if keys.is_empty() {
            return Ok(());
        }
        unchanged::leave_out_masks(collection, &mut values);
        let precondition = precondition(scope, &values)?;
        let mut values = self.items.with_presets(self.actor, scope, values)?;
        let lists = self.take_relations(collection, &mut values, depth).await?;
        let mut set = self.items.set(self.actor, scope, &values).await?;
        if depth == 0 {
            self.name_fields(set.iter().map(|(field, _)| *field));
        }
        if let Some(current) = &current {
            set.retain(|entry| !current.has(entry.0, &entry.1));
            current.require_sign_in(self.actor, &set)?;
        }
        if depth == 0 || !set.is_empty() {
            Items::stamp(self.actor, collection, &mut set);
            self.grow(keys.len())?;
            self.ops.push(Mutation::Update { collection, keys: keys.clone(), set, precondition });
        }
        for key in keys {
            self.queue(lists.clone(), Some(key), false, depth)?;
        }
        Ok(())
    }

    /// Adds the deletion of several items behind a relation.
    ///
    /// # Errors
    /// As [`Draft::create`].
    pub(super) fn delete(
        &mut self,
        collection: &'static Collection,
        keys: Vec<Key>,
    ) -> Result<(), Error> {
        self.is_plain = false;
        let scope = self.scope(collection, Action::Delete)?;
        let precondition =
            if scope.is_full() { Precondition::None } else { Precondition::All(scope.filter()) };
        self.grow(keys.len())?;
        self.ops.push(Mutation::delete(collection, keys, precondition));
        Ok(())
    }

    /// Writes the queued lists and the lists that they add to the queue.
    ///
    /// # Errors
    /// As [`Draft::create`].
    pub(super) async fn write_lists(&mut self) -> Result<(), Error> {
        while let Some(lists) = self.lists.pop_front() {
            self.write_list(lists).await?;
        }
        Ok(())
    }

    /// Returns the current items, if unchanged values matter: behind a relation, in collections
    /// with items that clients send back as they were read, and for server-managed fields.
    async fn current(
        &self,
        scope: &Scope,
        keys: &[Key],
        payload: &Map<String, Json>,
        depth: usize,
    ) -> Result<Option<Current>, Error> {
        let collection = scope.collection();
        let matters = |name: &String| {
            collection.field(name).is_some_and(|field| match field.special {
                Special::Managed | Special::Guest => true,
                _ => unchanged::is_managed(field) && !scope.has(field),
            })
        };
        if depth == 0 && collection.exposure != Exposure::System && !payload.keys().any(matters) {
            return Ok(None);
        }
        let rows = self.items.rows(collection, keys).await?;
        Ok(Some(Current::new(self.items, self.actor, collection, keys.len(), rows)))
    }

    /// Adds a row to the last creation, if that is in the same collection. Returns the row's index
    /// among the new items of the collection.
    fn push_row(&mut self, row: Row) -> Result<usize, Error> {
        self.grow(1)?;
        let collection = row.collection();
        match self.ops.last_mut() {
            Some(Mutation::Create { collection: last, rows }) if *last == collection => {
                rows.push(row);
            }
            _ => self.ops.push(Mutation::Create { collection, rows: vec![row] }),
        }
        let created = self.created.entry(collection.name).or_default();
        *created += 1;
        Ok(*created - 1)
    }

    /// Counts changed items against the limit.
    fn grow(&mut self, items: usize) -> Result<(), Error> {
        self.size += items;
        self.items.check_size(self.size)
    }

    fn name_fields(&mut self, fields: impl Iterator<Item = &'static Field>) {
        for field in fields {
            if !self.fields.iter().any(|name| name == field.name) {
                self.fields.push(field.name.to_owned());
            }
        }
    }
}

impl Items {
    /// Returns the current items with these keys, regardless of permissions.
    pub(super) async fn rows(
        &self,
        collection: &'static Collection,
        keys: &[Key],
    ) -> Result<HashMap<Key, Arc<Row>>, Error> {
        let rows = if collection.exposure == Exposure::Items {
            self.store.find_many(collection, keys).await?.into_iter().map(Arc::new).collect()
        } else {
            self.row_cache.find_many(collection, keys).await?
        };
        Ok(rows.into_iter().filter_map(|row| Some((row.key()?, row))).collect())
    }
}

/// Returns the precondition on the items that these values are set on.
fn precondition(scope: &Scope, values: &Map<String, Json>) -> Result<Precondition, Error> {
    if scope.is_full() {
        return Ok(Precondition::None);
    }
    let collection = scope.collection();
    let fields: Vec<&'static Field> =
        values.keys().filter_map(|name| collection.field(name)).collect();
    let filter = scope.filter_for(&fields).ok_or_else(|| {
        let fields = fields.iter().map(|field| field.name.to_owned()).collect();
        Error::Forbidden(Forbidden::Update { collection: collection.name, fields })
    })?;
    Ok(Precondition::All(filter))
}
