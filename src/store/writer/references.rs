//! Referential actions: the effect of a deletion on the items that refer to the deleted ones.
//!
//! Foreign keys of the database would do the same in one statement, but without events. They are a
//! safety net: when an item is deleted, no references to it are left.

use std::collections::HashSet;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::model::collection::OnDelete;
use crate::model::schema;
use crate::model::{Collection, Field, Key, Row, Value};
use crate::query::{Filter, Test};
use crate::store::StoreError;
use crate::store::write::Write;
use crate::store::writer::batch::Batch;

impl Batch<'_> {
    /// Deletes items if their referential actions fit into this step; otherwise carries out only
    /// some of the actions. Returns whether the items are deleted.
    pub(super) fn delete<'a>(
        &'a mut self,
        write: &'a Write,
        collection: &'static Collection,
        items: &'a [Row],
        text_keys: &'a [Key],
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let detached = self.detach(write, collection, items).await?;
            if detached {
                self.delete_rows(write, collection, items, text_keys).await?;
            }
            Ok(detached)
        }
        .boxed()
    }

    /// Carries out the referential actions that fit into this step, for items to be deleted.
    /// Returns whether no references to the items are left.
    pub(super) async fn detach(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        items: &[Row],
    ) -> Result<bool, StoreError> {
        if items.is_empty() {
            return Ok(true);
        }
        self.deleting.push((collection, items.iter().filter_map(Row::key).collect()));
        let implying = std::mem::replace(&mut self.implying, true);
        let detached = self.detach_each(write, collection).await;
        self.implying = implying;
        self.deleting.pop();
        detached
    }

    /// Does so for the last entry of [`Batch::deleting`].
    async fn detach_each(
        &mut self,
        write: &Write,
        collection: &'static Collection,
    ) -> Result<bool, StoreError> {
        for (referring, field) in schema::references(collection) {
            let filter = self.refers(referring, field);
            let (found, more) = self.take_some(referring, &filter).await?;
            let done = if field.on_delete == OnDelete::Cascade {
                self.delete(write, referring, &found, &[]).await?
            } else {
                self.clear(write, collection, referring, found).await?;
                true
            };
            if more || !done {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the filter for items whose `field` refers to an item being deleted, and that are not
    /// being deleted themselves.
    fn refers(&self, referring: &'static Collection, field: &'static Field) -> Filter {
        let values = |keys: &HashSet<Key>| keys.iter().copied().map(Value::from).collect();
        let (_, keys) = self.deleting.last().expect("a deletion is in progress");
        let mut filter = Filter::Field(field, Test::In(values(keys)));
        for (collection, keys) in &self.deleting {
            if *collection == referring {
                filter = filter.and(Filter::Field(referring.key(), Test::Nin(values(keys))));
            }
        }
        filter
    }

    /// Sets the fields that refer to items being deleted to null: one event for all items that lose
    /// the same fields.
    async fn clear(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        referring: &'static Collection,
        items: Vec<Row>,
    ) -> Result<(), StoreError> {
        let fields: Vec<&'static Field> = schema::references(collection)
            .filter(|(other, field)| *other == referring && field.on_delete == OnDelete::SetNull)
            .map(|(_, field)| field)
            .collect();
        let (_, keys) = self.deleting.last().expect("a deletion is in progress");
        let mut groups: Vec<(Vec<&'static Field>, Vec<Row>)> = Vec::new();
        for item in items {
            let leads = |field: &&'static Field| {
                item[*field].as_key().is_some_and(|key| keys.contains(&key))
            };
            let lost: Vec<&'static Field> = fields.iter().copied().filter(leads).collect();
            match groups.iter_mut().find(|(fields, _)| *fields == lost) {
                Some((_, items)) => items.push(item),
                None => groups.push((lost, vec![item])),
            }
        }
        for (lost, items) in groups {
            let set: Vec<_> = lost.into_iter().map(|field| (field, Value::Null)).collect();
            self.set(write, referring, &items, &set).await?;
        }
        Ok(())
    }
}
