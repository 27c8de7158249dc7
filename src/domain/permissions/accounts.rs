//! The policies attached to single accounts, as opposed to those of roles and of the public. Their
//! number grows with that of accounts, so they are read on demand into a bounded cache. Events
//! invalidate it.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::domain::permissions::Concern;
use crate::model::schema::access;
use crate::model::schema::{ACCESS, POLICIES, ROLES, USERS};
use crate::model::{Event, EventAction, Key, Row};
use crate::store::{Store, StoreError};

/// The maximum number of cached accounts, equal to the number of rows cached by `row_cache`.
const ACCOUNTS_MAX: usize = 50_000;

/// A bounded cache of the policies of accounts.
pub(super) struct AccountPolicies {
    store: Arc<Store>,
    known: Cache<Uuid, Arc<[Uuid]>>,
    /// The number of applied changes. Policies read while a change was applied are not cached.
    changes: Mutex<u64>,
}

impl AccountPolicies {
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, known: Cache::new(ACCOUNTS_MAX), changes: Mutex::new(0) }
    }

    /// Returns the policies of an account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(&self, account: Uuid) -> Result<Arc<[Uuid]>, StoreError> {
        if let Some(policies) = self.known.get(&account) {
            return Ok(policies);
        }
        let before = *self.changes.lock();
        let rows = self.read(&[account]).await?;
        let policies: Arc<[Uuid]> = rows.iter().filter_map(policy).collect();
        let changes = self.changes.lock();
        if *changes == before {
            self.known.insert(account, Arc::clone(&policies));
        }
        Ok(policies)
    }

    /// Returns the accounts that have a policy accepted by `is_one`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn having(
        &self,
        accounts: &[Uuid],
        is_one: impl Fn(Uuid) -> bool,
    ) -> Result<HashSet<Uuid>, StoreError> {
        let rows = self.read(accounts).await?;
        let having = rows.iter().filter(|row| policy(row).is_some_and(&is_one));
        Ok(having.filter_map(account).collect())
    }

    /// Invalidates the accounts affected by a committed change. Idempotent.
    pub fn apply(&self, event: &Event) {
        let accounts: HashSet<Uuid> = match Concern::of(event) {
            Concern::Accounts(accounts) => accounts,
            // The change may include access rows of accounts, or delete them with a policy or role.
            Concern::All
                if *event.collection == ACCESS
                    || event.action == EventAction::Delete
                        && [&POLICIES, &ROLES].contains(&event.collection) =>
            {
                *self.changes.lock() += 1;
                self.known.clear();
                return;
            }
            Concern::None if *event.collection == USERS && event.action == EventAction::Delete => {
                let keys = event.changes.iter().map(|change| change.key);
                keys.filter_map(|key| if let Key::Uuid(id) = key { Some(id) } else { None })
                    .collect()
            }
            Concern::All | Concern::None => return,
        };
        *self.changes.lock() += 1;
        for account in &accounts {
            self.known.remove(account);
        }
    }

    async fn read(&self, accounts: &[Uuid]) -> Result<Vec<Row>, StoreError> {
        let keys: Vec<Key> = accounts.iter().copied().map(Key::Uuid).collect();
        self.store.pointing(&ACCESS, &access::user, &keys, None).await
    }
}

fn account(access: &Row) -> Option<Uuid> {
    access.get(&access::user)
}

fn policy(access: &Row) -> Option<Uuid> {
    access.get(&access::policy)
}
