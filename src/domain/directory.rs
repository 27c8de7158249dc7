//! Rows that are asked for all the time (accounts, sessions), kept in memory and kept true by the
//! events of their changes.

use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::model::Collection;
use crate::model::Event;
use crate::model::Key;
use crate::model::Row;
use crate::store::Store;
use crate::store::StoreError;

/// How many rows are kept. A row of an account takes about 1 KiB.
const ROWS_MAX: usize = 50_000;

type Address = (&'static str, Key);

/// A bounded cache in front of the store, for reads by key.
pub struct Directory {
    store: Arc<Store>,
    rows: Cache<Address, Option<Arc<Row>>>,
    /// How many changes were applied: a row that was read while one came is not kept.
    changes: Mutex<u64>,
}

impl Directory {
    /// Returns an empty directory in front of the store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, rows: Cache::new(ROWS_MAX), changes: Mutex::new(0) }
    }

    /// Returns the row with this key, or `None` if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find(
        &self,
        collection: &'static Collection,
        key: Key,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        let address = (collection.name, key);
        if let Some(row) = self.rows.get(&address) {
            return Ok(row);
        }
        let before = *self.changes.lock();
        let row = self.store.find(collection, key).await?.map(Arc::new);
        let changes = self.changes.lock();
        if *changes == before {
            self.rows.insert(address, row.clone());
        }
        Ok(row)
    }

    /// Returns the rows with these keys that are there, in no particular order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_many(
        &self,
        collection: &'static Collection,
        keys: &[Key],
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut missing = Vec::new();
        for key in keys {
            match self.rows.get(&(collection.name, *key)) {
                Some(row) => found.extend(row),
                None => missing.push(*key),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let before = *self.changes.lock();
        let read = self.store.find_many(collection, &missing).await?;
        let changes = self.changes.lock();
        for row in read.into_iter().map(Arc::new) {
            if let Some(key) = row.key()
                && *changes == before
            {
                self.rows.insert((collection.name, key), Some(Arc::clone(&row)));
            }
            found.push(row);
        }
        Ok(found)
    }

    /// Takes notice of a committed change. Doing so twice does no harm.
    pub fn apply(&self, event: &Event) {
        let mut changes = self.changes.lock();
        *changes += 1;
        for change in &event.changes {
            let address = (event.collection.name, change.key);
            // A secret is not in the event, so the row is read anew when next asked for.
            self.rows.remove(&address);
        }
    }
}
