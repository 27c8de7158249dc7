//! Deletions that take several transactions: those that were begun and are not finished.
//!
//! The table preserves them for the next process. The copy in memory is checked by each write that
//! could change such an item or refer to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::schema;
use crate::model::schema::USERS;
use crate::model::{Collection, Key, Row};
use crate::store::{Mutation, Store, StoreError, Write};

const LOAD: &str = "select collection, key, erase_items, stripped, actor from chinwag_deletions \
     order by date_created, collection, key";

const BEGIN: &str = "insert or replace into chinwag_deletions \
     (collection, key, actor, date_created, erase_items, stripped) \
     select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
     from json_each(?)";

const END: &str = "delete from chinwag_deletions where collection = ? \
     and key in (select value from json_each(?))";

const NOTE_STRIPPED: &str = "update chinwag_deletions set stripped = ? \
     where collection = 'directus_users' and key = ?";

/// Unfinished deletions. Clones share them until one changes.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Deletions {
    begun: Arc<HashMap<(&'static str, Key), Option<Erasure>>>,
}

/// The erasure of an account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Erasure {
    /// Whether the items that the account created are deleted as well.
    pub(super) items: bool,
    /// The offset up to which the account is erased from the log.
    pub(super) stripped: i64,
}

/// Deletions of one actor that an earlier process began.
#[derive(Debug)]
pub struct Begun {
    /// The remaining operations.
    pub rest: Write,
    /// Whether they are erasures.
    pub erases: bool,
}

/// A row of the table.
struct Line {
    collection: &'static Collection,
    key: Key,
    erasure: Option<Erasure>,
    actor: Option<Uuid>,
}

impl Deletions {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let lines = load(connection).await?;
        let begun = lines.into_iter().map(|line| ((line.collection.name, line.key), line.erasure));
        Ok(Self { begun: Arc::new(begun.collect()) })
    }

    /// Returns whether there is no unfinished deletion, the common case.
    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_empty()
    }

    pub(super) fn contains(&self, collection: &'static Collection, key: Key) -> bool {
        !self.is_empty() && self.begun.contains_key(&(collection.name, key))
    }

    /// Returns the erasure of an account, if it is in progress.
    pub(super) fn erasure(&self, user: Uuid) -> Option<Erasure> {
        if self.is_empty() {
            return None;
        }
        *self.begun.get(&(USERS.name, Key::Uuid(user)))?
    }

    /// Returns the field of a row that refers to an item being deleted.
    pub(super) fn referred_by(&self, row: &Row) -> Option<&'static str> {
        if self.is_empty() {
            return None;
        }
        let mut fields = row.collection().columns();
        let leads = fields.find(|field| {
            let key = row[*field].as_key();
            field.target().zip(key).is_some_and(|(target, key)| self.contains(target, key))
        });
        leads.map(|field| field.name)
    }

    pub(super) fn add(&mut self, to: &'static Collection, key: Key, erasure: Option<Erasure>) {
        Arc::make_mut(&mut self.begun).insert((to.name, key), erasure);
    }

    /// Records deletions on behalf of the actor of a write.
    pub(super) async fn begin(
        &mut self,
        connection: &mut SqliteConnection,
        collection: &'static Collection,
        keys: &[Key],
        write: &Write,
        erasure: Option<Erasure>,
    ) -> Result<(), StoreError> {
        let items = erasure.map(|erasure| i64::from(erasure.items));
        let stripped = erasure.map_or(0, |erasure| erasure.stripped);
        let line = |key: &Key| {
            let actor = write.actor.map(|actor| actor.to_string());
            let at = write.at.millis();
            json!([collection.name, key.to_string(), actor, at, items, stripped])
        };
        let lines: Json = keys.iter().map(line).collect();
        sqlx::query(BEGIN).bind(lines.to_string()).execute(connection).await?;
        for key in keys {
            self.add(collection, *key, erasure);
        }
        Ok(())
    }

    /// Removes the records of finished deletions.
    pub(super) async fn end(
        &mut self,
        connection: &mut SqliteConnection,
        collection: &'static Collection,
        keys: &[Key],
    ) -> Result<(), StoreError> {
        let names: Json = keys.iter().map(|key| Json::from(key.to_string())).collect();
        let query = sqlx::query(END).bind(collection.name).bind(names.to_string());
        query.execute(connection).await?;
        let begun = Arc::make_mut(&mut self.begun);
        for key in keys {
            begun.remove(&(collection.name, *key));
        }
        Ok(())
    }

    pub(super) async fn note_stripped(
        &mut self,
        connection: &mut SqliteConnection,
        user: Uuid,
        to: i64,
    ) -> Result<(), StoreError> {
        if let Some(erasure) = self.erasure(user) {
            self.add(&USERS, Key::Uuid(user), Some(Erasure { stripped: to, ..erasure }));
            let query = sqlx::query(NOTE_STRIPPED).bind(to).bind(user.to_string());
            query.execute(connection).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Returns the UUIDs of the items of these collections that have an unfinished deletion.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn being_deleted(
        &self,
        collections: &[&'static Collection],
    ) -> Result<HashSet<Uuid>, StoreError> {
        let mut connection = self.reserved().acquire().await?;
        let lines = load(&mut connection).await?.into_iter();
        let keys = lines.filter(|line| collections.contains(&line.collection)).map(|line| line.key);
        let uuid = |key| if let Key::Uuid(id) = key { Some(id) } else { None };
        Ok(keys.filter_map(uuid).collect())
    }

    /// Returns the unfinished deletions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begun_deletions(&self) -> Result<Vec<Begun>, StoreError> {
        let mut connection = self.reserved().acquire().await?;
        let mut all: Vec<Begun> = Vec::new();
        for Line { collection, key, actor, erasure } in load(&mut connection).await? {
            let erases = erasure.is_some();
            let is_same = |last: &&mut Begun| last.rest.actor == actor && last.erases == erases;
            let last = all.last_mut().filter(is_same);
            match last.and_then(|last| last.rest.ops.last_mut()) {
                Some(Mutation::Finish { collection: other, keys }) if *other == collection => {
                    keys.push(key);
                }
                _ => {
                    let ops = vec![Mutation::Finish { collection, keys: vec![key] }];
                    let rest = Write { actor, at: Timestamp::from_millis(0), ops };
                    all.push(Begun { rest, erases });
                }
            }
        }
        Ok(all)
    }
}

async fn load(connection: &mut SqliteConnection) -> Result<Vec<Line>, StoreError> {
    let inconsistent = |column| StoreError::Inconsistent { table: "chinwag_deletions", column };
    let lines = sqlx::query(LOAD).fetch_all(connection).await?;
    let read = |line: &sqlx::sqlite::SqliteRow| {
        let collection =
            schema::find(line.try_get(0)?).ok_or_else(|| inconsistent("collection"))?;
        let key: &str = line.try_get(1)?;
        let key = if collection.counts_keys() {
            key.parse().ok().map(Key::Integer)
        } else {
            Uuid::try_parse(key).ok().map(Key::Uuid)
        };
        let stripped = line.try_get(3)?;
        let erase: Option<i64> = line.try_get(2)?;
        Ok(Line {
            collection,
            key: key.ok_or_else(|| inconsistent("key"))?,
            erasure: erase.map(|items| Erasure { items: items != 0, stripped }),
            actor: line.try_get::<Option<&str>, _>(4)?.and_then(|id| Uuid::try_parse(id).ok()),
        })
    };
    lines.iter().map(read).collect()
}
