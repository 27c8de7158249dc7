//! A read-through cache of frequently read rows (accounts, sessions). Events of their changes
//! invalidate it.

use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::model::{Collection, Event, Key, Row};
use crate::store::{Store, StoreError};

/// The maximum number of cached rows. The row of an account takes about 1 KiB.
const ROWS_MAX: usize = 50_000;

type Address = (&'static str, Key);

/// A bounded cache in front of the store, for reads by key.
pub struct RowCache {
    store: Arc<Store>,
    rows: Cache<Address, Option<Arc<Row>>>,
    /// The number of applied changes. A row read while a change was applied is not cached.
    changes: Mutex<u64>,
}

impl RowCache {
    /// Creates an empty cache in front of the store.
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

    /// Returns the existing rows among these keys, in no particular order.
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

    /// Invalidates the rows of a committed change. Idempotent.
    pub fn apply(&self, event: &Event) {
        let mut changes = self.changes.lock();
        *changes += 1;
        for change in &event.changes {
            let address = (event.collection.name, change.key);
            // Events contain no secrets, so the row is read from the store on its next use.
            self.rows.remove(&address);
        }
    }
}
