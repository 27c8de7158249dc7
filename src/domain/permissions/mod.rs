//! Authorization: maps actor, collection and action to a [`Scope`] or to Forbidden.
//!
//! Permissions are rows. Roles, policies, permissions, and the policies of roles and of the public
//! are kept in memory as a snapshot, which is replaced as a whole when one of them changes. The
//! access that a set of policies grants is compiled on first use. The policies of single accounts
//! can be numerous, so they are read along with the account (`accounts`). This module knows nothing
//! of tokens or sessions (`auth`).

mod accounts;
mod compiled;
mod networks;
mod policy_snapshot;
mod rights;
mod summary;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use networks::Networks;
use parking_lot::RwLock;
pub use rights::Rights;
use serde_json::Value as Json;
pub use summary::fields;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::Error;
use crate::domain::permissions::accounts::AccountPolicies;
use crate::domain::permissions::policy_snapshot::PolicySnapshot;
use crate::model::schema::access;
use crate::model::schema::users;
use crate::model::schema::{ACCESS, PERMISSIONS, POLICIES, ROLES};
use crate::model::{Action, Actor, Collection, Event, Row};
use crate::query::{Environment, Limits, Scope};
use crate::store::{Store, StoreError};

/// The delays before a failed read of the permissions is retried: first and maximum.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The roles, policies and permissions in force.
pub struct Permissions {
    store: Arc<Store>,
    clock: Clock,
    limits: Limits,
    snapshot: RwLock<Arc<PolicySnapshot>>,
    accounts: AccountPolicies,
    /// Serializes refreshes: an older snapshot must not replace a newer one.
    refreshing: tokio::sync::Mutex<()>,
}

/// The accounts whose permissions an event may change.
#[derive(Debug, PartialEq, Eq)]
pub enum Concern {
    /// No account.
    None,
    /// Only these accounts.
    Accounts(HashSet<Uuid>),
    /// Any account, and visitors.
    All,
}

impl Concern {
    /// Returns the accounts whose permissions an event may change.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        if *event.collection != ACCESS {
            let depend = Permissions::depend_on(event.collection);
            return if depend { Self::All } else { Self::None };
        }
        let rows =
            event.changes.iter().flat_map(|change| change.before.iter().chain(&change.after));
        // A row without an account applies to a role or to the public.
        let accounts: Option<HashSet<Uuid>> =
            rows.map(|access| access.get(&access::user)).collect();
        accounts.map_or(Self::All, Self::Accounts)
    }
}

impl Permissions {
    /// Reads the permissions from the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(store: Arc<Store>, clock: Clock, limits: Limits) -> Result<Self, Error> {
        let snapshot = RwLock::new(Arc::new(PolicySnapshot::read(&store).await?));
        let accounts = AccountPolicies::new(Arc::clone(&store));
        let refreshing = tokio::sync::Mutex::default();
        Ok(Self { store, clock, limits, snapshot, accounts, refreshing })
    }

    /// Returns whether permissions depend on the items of this collection.
    #[must_use]
    pub fn depend_on(collection: &'static Collection) -> bool {
        [&ROLES, &POLICIES, &ACCESS, &PERMISSIONS].contains(&collection)
    }

    /// Applies committed events. Idempotent. Returns whether permissions may have changed.
    pub async fn apply(&self, events: &[Arc<Event>]) -> bool {
        let (mut changed, mut everybody) = (false, None);
        for event in events {
            self.accounts.apply(event);
            let concern = Concern::of(event);
            changed |= concern != Concern::None;
            if concern == Concern::All {
                everybody = Some(event.seq);
            }
        }
        if let Some(seq) = everybody {
            self.refresh(seq).await;
        }
        changed
    }

    /// Reads a new snapshot, unless the current one contains the event at `seq` already. Retries
    /// until it succeeds, since the change is committed. From the first failure until then, no
    /// permissions are in force: those in memory may grant too much.
    async fn refresh(&self, seq: i64) {
        let _one = self.refreshing.lock().await;
        if self.snapshot.read().seq >= seq {
            return;
        }
        let mut wait = RETRY_FIRST;
        loop {
            match PolicySnapshot::read(&self.store).await {
                Ok(snapshot) => {
                    *self.snapshot.write() = Arc::new(snapshot);
                    return;
                }
                Err(error) if error.is_closed() => return,
                Err(error) => {
                    tracing::error!(
                        error = %error,
                        "cannot read permissions; access is denied until they can be read"
                    );
                    *self.snapshot.write() = Arc::default();
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Returns the actor of a visitor at this address.
    #[must_use]
    pub fn public(&self, from: Option<IpAddr>) -> Arc<Actor> {
        Arc::new(self.snapshot.read().actor(None, &[], from))
    }

    /// Returns the actor of an account, authenticated by this session, with the permissions now in
    /// force at this address.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn actor(
        &self,
        user: &Arc<Row>,
        session: Option<Uuid>,
        from: Option<IpAddr>,
    ) -> Result<Actor, StoreError> {
        let policies = match user.get(&users::id) {
            Some(id) => self.accounts.of(id).await?,
            None => Arc::default(),
        };
        Ok(Actor { session, ..self.snapshot.read().actor(Some(user), &policies, from) })
    }

    /// Returns the scope of an action of the actor on items of the collection.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the collection, if the actor has no access.
    pub fn scope(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        action: Action,
    ) -> Result<Scope, Error> {
        if actor.admin {
            return Ok(Scope::grant(collection, true, Vec::new()));
        }
        let environment = Environment::new(actor, self.clock.now());
        let snapshot = Arc::clone(&self.snapshot.read());
        let scope = snapshot.scope(collection, action, &environment, &self.limits);
        scope.ok_or_else(|| Error::collection(collection.name))
    }

    /// Returns the actor's permissions in the form of `GET /permissions/me`.
    #[must_use]
    pub fn summary(&self, actor: &Actor) -> Json {
        summary::of(self, actor)
    }

    /// Returns the actions, collections and fields that the actor has access to.
    #[must_use]
    pub fn rights(&self, actor: &Actor) -> Rights {
        Rights::of(self, actor)
    }

    /// Returns the roles with administrator access, by a policy of the role or of an ancestor.
    #[must_use]
    pub fn administrator_roles(&self) -> HashSet<Uuid> {
        self.snapshot.read().administrator_roles()
    }

    /// Returns the accounts with administrator access by a policy of their own.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn administrators_among(
        &self,
        accounts: &[Uuid],
    ) -> Result<HashSet<Uuid>, StoreError> {
        let snapshot = Arc::clone(&self.snapshot.read());
        self.accounts.having(accounts, |policy| snapshot.makes_administrators(policy)).await
    }
}
