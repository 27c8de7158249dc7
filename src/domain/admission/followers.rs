//! The number of subscriptions that each new item of a collection may be delivered to.

use std::collections::HashMap;

use parking_lot::RwLock;

use crate::model::Collection;

/// The followers of all collections. A subscription that is restricted to certain values of a field
/// does not count.
#[derive(Debug, Default)]
pub struct Followers(RwLock<HashMap<&'static Collection, u64>>);

impl Followers {
    /// Adds a subscription.
    pub fn add(&self, collection: &'static Collection) {
        *self.0.write().entry(collection).or_default() += 1;
    }

    /// Removes a subscription.
    pub fn remove(&self, collection: &'static Collection) {
        if let Some(count) = self.0.write().get_mut(collection) {
            *count = count.saturating_sub(1);
        }
    }

    /// Returns the number of followers of a collection.
    #[must_use]
    pub fn of(&self, collection: &'static Collection) -> u64 {
        self.0.read().get(collection).copied().unwrap_or(0)
    }
}
