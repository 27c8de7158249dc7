//! The policy snapshot: all permissions in memory, except the policies of single accounts.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::domain::permissions::compiled::{CompiledRules, Permission};
use crate::domain::permissions::networks::Networks;
use crate::model::actor::Profile;
use crate::model::schema;
use crate::model::{Action, Actor, Collection, Row};
use crate::query::{Environment, Limits, Scope};
use crate::store::{Store, StoreError};

/// The maximum number of roles in a lineage. Ancestors beyond it grant nothing.
const ANCESTORS_MAX: usize = 32;

/// The maximum number of cached rule sets.
const COMPILED_MAX: usize = 10_000;

/// A snapshot of roles, policies, permissions, and the access rows of roles and of the public.
pub(super) struct PolicySnapshot {
    /// The log offset of the snapshot. It contains at least all changes up to there.
    pub(super) seq: i64,
    roles: HashMap<Uuid, Arc<Row>>,
    policies: HashMap<Uuid, Policy>,
    of_roles: HashMap<Uuid, Vec<Uuid>>,
    of_public: Vec<Uuid>,
    /// The compiled rule sets. The cache is dropped with the snapshot, so it never contains
    /// outdated permissions. Its keys contain only policies in force at the client's address.
    compiled: Cache<Asked, Arc<CompiledRules>>,
}

/// Policies in force, name of the collection, and action.
type Asked = (Arc<[Uuid]>, &'static str, Action);

impl Default for PolicySnapshot {
    fn default() -> Self {
        Self {
            seq: 0,
            roles: HashMap::new(),
            policies: HashMap::new(),
            of_roles: HashMap::new(),
            of_public: Vec::new(),
            compiled: Cache::new(COMPILED_MAX),
        }
    }
}

struct Policy {
    row: Arc<Row>,
    admin: bool,
    app: bool,
    /// The networks in which the policy applies; `None` for everywhere.
    networks: Option<Networks>,
    permissions: Vec<Arc<Permission>>,
}

impl Policy {
    fn counts_at(&self, address: Option<IpAddr>) -> bool {
        self.networks
            .as_ref()
            .is_none_or(|networks| address.is_some_and(|address| networks.contain(address)))
    }
}

impl PolicySnapshot {
    pub(super) async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut snapshot = Self { seq: store.position(), ..Self::default() };
        // Roles and policies grant nothing from the first transaction of their deletion on.
        let gone = store.being_deleted(&[&schema::ROLES, &schema::POLICIES]).await?;
        for role in store.all(&schema::ROLES).await? {
            if let Some(id) = role.get(&schema::roles::id).filter(|id| !gone.contains(id)) {
                snapshot.roles.insert(id, Arc::new(role));
            }
        }
        for policy in store.all(&schema::POLICIES).await? {
            if let Some(id) = policy.get(&schema::policies::id).filter(|id| !gone.contains(id)) {
                let admin = policy.get(&schema::policies::admin_access) == Some(true);
                let app = admin || policy.get(&schema::policies::app_access) == Some(true);
                let networks = Networks::of(&policy);
                let (row, permissions) = (Arc::new(policy), Vec::new());
                snapshot.policies.insert(id, Policy { row, admin, app, networks, permissions });
            }
        }
        for row in store.all(&schema::PERMISSIONS).await? {
            let policy = row.get(&schema::permissions::policy);
            let policy = policy.and_then(|id| snapshot.policies.get_mut(&id));
            if let (Some(policy), Some(permission)) = (policy, Permission::read(&row)) {
                policy.permissions.push(Arc::new(permission));
            }
        }
        for access in store.leading_nowhere(&schema::ACCESS, &schema::access::user).await? {
            let Some(policy) = access.get(&schema::access::policy) else { continue };
            match access.get(&schema::access::role) {
                Some(role) if gone.contains(&role) => {}
                Some(role) => snapshot.of_roles.entry(role).or_default().push(policy),
                None => snapshot.of_public.push(policy),
            }
        }
        Ok(snapshot)
    }

    /// Returns the actor for an account at this address with the account's own policies; without an
    /// account, the public actor.
    pub(super) fn actor(
        &self,
        account: Option<&Arc<Row>>,
        own: &[Uuid],
        address: Option<IpAddr>,
    ) -> Actor {
        let user = account.and_then(|row| row.get(&schema::users::id));
        let role = account.and_then(|row| row.get(&schema::users::role));
        let roles = self.lineage(role);
        let mut policies: Vec<Uuid> = Vec::new();
        // The public policies apply to visitors and to accounts without a role.
        if role.is_none() {
            policies.extend(&self.of_public);
        }
        policies.extend(own);
        policies.extend(roles.iter().filter_map(|role| self.of_roles.get(role)).flatten());
        policies.retain(|id| self.policies.get(id).is_some_and(|policy| policy.counts_at(address)));
        policies.sort_unstable();
        policies.dedup();
        // A visitor is never an administrator, even if a public policy has admin access.
        let has = |right: fn(&Policy) -> bool| {
            user.is_some() && policies.iter().filter_map(|id| self.policies.get(id)).any(right)
        };
        let (admin, app) = (has(|policy| policy.admin), has(|policy| policy.app));
        let profile = Profile {
            user: account.cloned(),
            roles: roles.iter().filter_map(|id| self.roles.get(id).cloned()).collect(),
            policies: policies
                .iter()
                .filter_map(|id| Some(Arc::clone(&self.policies.get(id)?.row)))
                .collect(),
            address,
        };
        Actor {
            user,
            guest: None,
            session: None,
            role,
            roles: roles.into(),
            policies: policies.into(),
            admin,
            app,
            profile,
        }
    }

    /// Returns the role and its ancestors, nearest first.
    fn lineage(&self, role: Option<Uuid>) -> Vec<Uuid> {
        let mut lineage = Vec::new();
        let mut next = role;
        while let Some(role) = next
            && lineage.len() < ANCESTORS_MAX
            && !lineage.contains(&role)
        {
            lineage.push(role);
            next = self.roles.get(&role).and_then(|row| row.get(&schema::roles::parent));
        }
        lineage
    }

    /// Returns the scope that the policies of the environment's actor grant; `None` for no access.
    pub(super) fn scope(
        &self,
        collection: &'static Collection,
        action: Action,
        environment: &Environment<'_>,
        limits: &Limits,
    ) -> Option<Scope> {
        let policies = &environment.actor.policies;
        let key = (Arc::clone(policies), collection.name, action);
        let compiled = self.compiled.get(&key).unwrap_or_else(|| {
            let permissions = self.permissions(policies, collection, action);
            let compiled =
                Arc::new(CompiledRules::of(collection, permissions, environment, limits));
            self.compiled.insert(key, Arc::clone(&compiled));
            compiled
        });
        compiled.scope(environment, limits)
    }

    /// Returns the permissions that the policies contain for this collection and action.
    fn permissions<'a>(
        &'a self,
        policies: &'a [Uuid],
        collection: &'static Collection,
        action: Action,
    ) -> impl Iterator<Item = &'a Arc<Permission>> {
        let policies = policies.iter().filter_map(|id| self.policies.get(id));
        policies.flat_map(|policy| &policy.permissions).filter(move |permission| {
            *permission.collection == *collection && permission.action == action
        })
    }

    /// Returns whether the policy makes its holders administrators.
    pub(super) fn makes_administrators(&self, policy: Uuid) -> bool {
        self.policies.get(&policy).is_some_and(|policy| policy.admin)
    }

    /// Returns the roles that make administrators.
    pub(super) fn administrator_roles(&self) -> HashSet<Uuid> {
        let roles = self.roles.keys().copied().filter(|role| {
            let lineage = self.lineage(Some(*role));
            let policies = lineage.iter().filter_map(|role| self.of_roles.get(role)).flatten();
            policies.copied().any(|policy| self.makes_administrators(policy))
        });
        roles.collect()
    }
}
