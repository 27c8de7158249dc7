//! The policies of single accounts, as opposed to those of roles and of the public. There may be as
//! many as there are accounts, so they are read when an account is looked up and kept in a bounded
//! cache that events keep true.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::domain::permissions::Concern;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::Key;
use crate::model::Row;
use crate::model::schema::ACCESS;
use crate::model::schema::POLICIES;
use crate::model::schema::ROLES;
use crate::model::schema::USERS;
use crate::store::Store;
use crate::store::StoreError;

/// How many accounts' policies are kept, as many as rows of accounts (`directory`).
const ACCOUNTS_MAX: usize = 50_000;

/// A bounded cache of the policies of accounts.
pub(super) struct AccountPolicies {
    store: Arc<Store>,
    known: Cache<Uuid, Arc<[Uuid]>>,
    /// How many changes were applied: what was read while one came is not kept.
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

    /// Returns those of the accounts that have one of the policies that `is_one` accepts.
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

    /// Takes notice of a committed change. Doing so twice does no harm.
    pub fn apply(&self, event: &Event) {
        let accounts: HashSet<Uuid> = match Concern::of(event) {
            Concern::Accounts(accounts) => accounts,
            // Rows of accounts may be among them, or go with a policy or a role.
            Concern::Everybody
                if *event.collection == ACCESS
                    || event.action == EventAction::Delete
                        && [&POLICIES, &ROLES].contains(&event.collection) =>
            {
                *self.changes.lock() += 1;
                self.known.clear();
                return;
            }
            Concern::Nobody
                if *event.collection == USERS && event.action == EventAction::Delete =>
            {
                let keys = event.changes.iter().map(|change| change.key);
                keys.filter_map(|key| if let Key::Uuid(id) = key { Some(id) } else { None })
                    .collect()
            }
            Concern::Everybody | Concern::Nobody => return,
        };
        *self.changes.lock() += 1;
        for account in &accounts {
            self.known.remove(account);
        }
    }

    async fn read(&self, accounts: &[Uuid]) -> Result<Vec<Row>, StoreError> {
        let keys: Vec<Key> = accounts.iter().copied().map(Key::Uuid).collect();
        self.store.pointing(&ACCESS, ACCESS.require("user"), &keys, None).await
    }
}

fn account(access: &Row) -> Option<Uuid> {
    access.value("user").as_uuid()
}

fn policy(access: &Row) -> Option<Uuid> {
    access.value("policy").as_uuid()
}
