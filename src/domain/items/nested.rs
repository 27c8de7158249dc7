//! Items behind relations in payloads: an object for a to-one relation; for a to-many relation a
//! complete list, or the items to create, update and release.
//!
//! The code follows the relations of the schema and knows no collection by name.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use crate::domain::items::draft::Draft;
use crate::domain::items::keys;
use crate::domain::items::unchanged::ReadAccess;
use crate::domain::{Error, Forbidden};
use crate::model::collection::Deselect;
use crate::model::{Action, Collection, Field, Key, Kind, Value};
use crate::query::{Filter, Select, Test};

/// The lists of a payload for one to-many relation of an item. Several fields can share a relation.
pub(super) struct Lists {
    /// The collection of the items in the lists.
    other: &'static Collection,
    /// The field of those items that points back.
    back: &'static Field,
    /// The item that the lists belong to.
    parent: Key,
    /// Whether that item is new, so that no item points at it yet.
    is_new: bool,
    /// Whether a released item is deleted.
    owns: bool,
    /// The lists as the client sent them.
    sent: Vec<Json>,
    /// The number of relations between these items and those that the request names.
    depth: usize,
}

/// The changes that lists request.
#[derive(Default)]
struct Changes {
    create: Vec<Map<String, Json>>,
    /// Items with keys: updated or, if missing, created.
    update: Vec<(Key, Map<String, Json>)>,
    link: Vec<Key>,
    release: Vec<Key>,
    /// Whether all other items are released.
    is_whole: bool,
}

impl Draft<'_> {
    /// Writes the items behind the to-one relations of a payload, replaces them by their keys, and
    /// takes the lists of to-many relations out of the payload.
    ///
    /// # Errors
    /// As [`Draft::create`].
    pub(super) async fn take_relations(
        &mut self,
        collection: &'static Collection,
        values: &mut Map<String, Json>,
        depth: usize,
    ) -> Result<Vec<(&'static Field, Json)>, Error> {
        let mut lists = Vec::new();
        for field in collection.fields {
            match field.kind {
                Kind::ToOne(target) => {
                    let value = values.get_mut(field.name).filter(|value| value.is_object());
                    if let Some(Json::Object(object)) = value.map(Json::take) {
                        let key = Box::pin(self.write_one(target, object, depth + 1)).await?;
                        values.insert(field.name.to_owned(), Value::from(key).to_json());
                    }
                }
                Kind::ToMany(..) => {
                    lists.extend(values.get_mut(field.name).map(|list| (field, list.take())));
                }
                _ => {}
            }
        }
        Ok(lists)
    }

    /// Queues the lists of an item until the preceding items are written.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] for lists of a new item if the writer assigns the item's key.
    pub(super) fn queue(
        &mut self,
        lists: Vec<(&'static Field, Json)>,
        parent: Option<Key>,
        is_new: bool,
        depth: usize,
    ) -> Result<(), Error> {
        for (field, list) in lists {
            let Some((other, back)) = field.pointing() else { continue };
            let Some(parent) = parent else { return Err(not_yet_known(field.name)) };
            match self.lists.back_mut() {
                Some(last) if last.back == back && last.parent == parent => last.sent.push(list),
                _ => self.lists.push_back(Lists {
                    other,
                    back,
                    parent,
                    is_new,
                    owns: field.deselect == Deselect::Delete || back.required,
                    sent: vec![list],
                    depth: depth + 1,
                }),
            }
        }
        Ok(())
    }

    /// Writes the item that an object describes, and returns its key.
    async fn write_one(
        &mut self,
        target: &'static Collection,
        object: Map<String, Json>,
        depth: usize,
    ) -> Result<Key, Error> {
        self.check_depth(depth)?;
        let name = target.key().name;
        match object.get(name).filter(|key| !key.is_null()) {
            None => {
                let created = self.create_nested(target, &object, depth).await?;
                created.ok_or_else(|| not_yet_known(target.name))
            }
            Some(key) => {
                let key = keys::require(target, key)?;
                if object.len() > 1 {
                    self.upsert(target, key, object, depth).await?;
                }
                Ok(key)
            }
        }
    }

    async fn create_nested(
        &mut self,
        collection: &'static Collection,
        object: &Map<String, Json>,
        depth: usize,
    ) -> Result<Option<Key>, Error> {
        let scope = self.scope(collection, Action::Create)?;
        Ok(Box::pin(self.create(&scope, object, depth)).await?.key)
    }

    /// Updates the item with this key. An administrator creates it if it is missing. Other callers
    /// cannot choose keys, nor find out in this way which keys exist.
    async fn upsert(
        &mut self,
        collection: &'static Collection,
        key: Key,
        object: Map<String, Json>,
        depth: usize,
    ) -> Result<(), Error> {
        if self.actor.admin && self.items.rows(collection, &[key]).await?.is_empty() {
            self.create_nested(collection, &object, depth).await?;
            return Ok(());
        }
        self.update_nested(collection, vec![key], object, depth).await
    }

    async fn update_nested(
        &mut self,
        collection: &'static Collection,
        keys: Vec<Key>,
        object: Map<String, Json>,
        depth: usize,
    ) -> Result<(), Error> {
        let scope = self.scope(collection, Action::Update)?;
        Box::pin(self.update(&scope, keys, object, depth)).await
    }

    /// Writes the lists of one relation of an item.
    ///
    /// # Errors
    /// As [`Draft::create`].
    pub(super) async fn write_list(&mut self, mut of: Lists) -> Result<(), Error> {
        self.check_depth(of.depth)?;
        let changes = Changes::read(of.other, std::mem::take(&mut of.sent))?;
        let Lists { other, back, parent, depth, .. } = of;
        let named: Vec<Key> = changes.link.iter().chain(&changes.release).copied().collect();
        let rows = self.items.rows(other, &named).await?;
        let access = ReadAccess::new(self.items, self.actor, other);
        let is_linked = |key: &Key| {
            let row = rows.get(key);
            row.is_some_and(|row| row[back].as_key() == Some(parent) && access.shows(row, back))
        };
        if changes.link.iter().any(|key| !rows.contains_key(key)) {
            return Err(Error::Forbidden(Forbidden::Item));
        }
        let links: Vec<Key> = changes.link.iter().filter(|key| !is_linked(key)).copied().collect();
        let mut gone: Vec<Key> =
            changes.release.iter().filter(|key| is_linked(key)).copied().collect();
        if changes.is_whole && !of.is_new {
            let kept = changes.link.iter().chain(changes.update.iter().map(|(key, _)| key));
            gone.extend(self.others(&of, &access, &kept.copied().collect()).await?);
        }

        let to_parent = Value::from(parent).to_json();
        for mut object in changes.create {
            object.insert(back.name.to_owned(), to_parent.clone());
            self.create_nested(other, &object, depth).await?;
        }
        for (key, mut object) in changes.update {
            object.insert(back.name.to_owned(), to_parent.clone());
            self.upsert(other, key, object, depth).await?;
        }
        if !links.is_empty() {
            self.update_nested(other, links, only(back, to_parent), depth).await?;
        }
        self.release(&of, gone).await
    }

    /// Returns the items of a relation that are visible to the caller and not in `kept`. Returns
    /// none if `kept` is exactly the page that a read without a limit of its own shows.
    async fn others(
        &self,
        of: &Lists,
        access: &ReadAccess,
        kept: &HashSet<Key>,
    ) -> Result<Vec<Key>, Error> {
        let ReadAccess(Some(scope)) = access else { return Ok(Vec::new()) };
        let filter = Filter::Field(of.back, Test::Eq(Value::from(of.parent)));
        let limit = u64::try_from(self.items.config.batch_max + kept.len()).unwrap_or(u64::MAX - 1);
        let select = Select { filter, limit: Some(limit + 1), ..Select::default() };
        let rows = self.items.store.read_to_change(scope, select).await?;
        let visible = rows.iter().filter(|row| access.shows(row, of.back));
        let keys: Vec<Key> = visible.filter_map(|row| row.key()).collect();
        if let Some(shown) = Select::first_page(&self.items.limits).limit
            && let Some(shown) = usize::try_from(shown).ok().and_then(|shown| keys.get(..shown))
            && shown.len() == kept.len()
            && shown.iter().all(|key| kept.contains(key))
        {
            return Ok(Vec::new());
        }
        Ok(keys.into_iter().filter(|key| !kept.contains(key)).collect())
    }

    /// Releases items: their relation is set to null, or they are deleted.
    async fn release(&mut self, of: &Lists, mut keys: Vec<Key>) -> Result<(), Error> {
        keys.retain(|key| self.released.insert((of.other.name, *key)));
        if keys.is_empty() {
            return Ok(());
        }
        if of.owns {
            return self.delete(of.other, keys);
        }
        self.update_nested(of.other, keys, only(of.back, Json::Null), of.depth).await
    }

    fn check_depth(&self, depth: usize) -> Result<(), Error> {
        let most = self.items.config.depth_max;
        if depth > most {
            return Err(Error::payload(format!("A payload may nest at most {most} relations")));
        }
        Ok(())
    }
}

impl Changes {
    /// Parses the lists of one relation.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] for a malformed list, [`Error::Forbidden`] for an invalid key.
    fn read(collection: &'static Collection, lists: Vec<Json>) -> Result<Self, Error> {
        let mut changes = Self::default();
        for list in lists {
            match list {
                Json::Null => changes.is_whole = true,
                Json::Array(entries) => {
                    changes.is_whole = true;
                    for entry in entries {
                        changes.add(collection, entry)?;
                    }
                }
                Json::Object(parts) => {
                    for (name, entries) in parts {
                        changes.add_part(collection, &name, entries)?;
                    }
                }
                _ => return Err(structure("it must be a list, or an object with lists")),
            }
        }
        for keys in [&mut changes.link, &mut changes.release] {
            let mut seen = HashSet::with_capacity(keys.len());
            keys.retain(|key| seen.insert(*key));
        }
        Ok(changes)
    }

    /// Adds an entry of a complete list.
    fn add(&mut self, collection: &'static Collection, entry: Json) -> Result<(), Error> {
        match entry {
            Json::Object(object) => match key_of(collection, &object)? {
                Some(key) => self.update.push((key, object)),
                None => self.create.push(object),
            },
            Json::String(_) | Json::Number(_) => self.link.push(keys::require(collection, &entry)?),
            _ => return Err(structure("a list may contain only keys and objects")),
        }
        Ok(())
    }

    /// Adds the entries to create, update or release.
    fn add_part(
        &mut self,
        collection: &'static Collection,
        name: &str,
        entries: Json,
    ) -> Result<(), Error> {
        let Json::Array(entries) = entries else {
            return Err(structure(&format!("\"{name}\" must be an array")));
        };
        for (index, entry) in entries.into_iter().enumerate() {
            match (name, entry) {
                ("create", Json::Object(object)) => self.create.push(object),
                ("update", Json::Object(object)) => {
                    let key = key_of(collection, &object)?;
                    let key =
                        key.ok_or_else(|| Error::payload("Item in update misses primary key"))?;
                    self.update.push((key, object));
                }
                ("delete", key @ (Json::String(_) | Json::Number(_))) => {
                    self.release.push(keys::require(collection, &key)?);
                }
                ("create" | "update", _) => {
                    return Err(structure(&format!("\"{name}[{index}]\" must be of type object")));
                }
                ("delete", _) => {
                    let must_be = "must be one of [string, number]";
                    return Err(structure(&format!("\"{name}[{index}]\" {must_be}")));
                }
                _ => break,
            }
        }
        if !["create", "update", "delete"].contains(&name) {
            return Err(structure(&format!("\"{name}\" is not allowed")));
        }
        Ok(())
    }
}

/// Returns the key of an object; `None` if it has none.
fn key_of(
    collection: &'static Collection,
    object: &Map<String, Json>,
) -> Result<Option<Key>, Error> {
    let key = object.get(collection.key().name).filter(|key| !key.is_null());
    key.map(|key| keys::require(collection, key)).transpose()
}

/// Returns a payload with a single value.
fn only(field: &Field, value: Json) -> Map<String, Json> {
    [(field.name.to_owned(), value)].into_iter().collect()
}

fn structure(reason: &str) -> Error {
    Error::payload(format!("Invalid one-to-many update structure: {reason}"))
}

fn not_yet_known(name: &str) -> Error {
    Error::payload(format!(
        "\"{name}\" cannot be written together with a new item that gets its key from a counter: \
         create the item first"
    ))
}
