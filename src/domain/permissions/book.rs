//! All rights of the service, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::model::Action;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::Row;
use crate::model::Value;
use crate::model::actor::Profile;
use crate::model::schema;
use crate::query::Environment;
use crate::query::Filter;
use crate::query::Limits;
use crate::query::Rule;
use crate::query::RuleFields;
use crate::store::Store;
use crate::store::StoreError;

/// How many roles lie above another at most; what lies beyond gives no rights. It also ends a circle.
const ANCESTORS_MAX: usize = 32;

/// A reading of roles, policies, access rows and permissions.
#[derive(Default)]
pub(super) struct Book {
    /// The place in the order of events up to which changes are in it, at least.
    pub(super) seq: i64,
    roles: HashMap<Uuid, Arc<Row>>,
    policies: HashMap<Uuid, Policy>,
    of_users: HashMap<Uuid, Vec<Uuid>>,
    of_roles: HashMap<Uuid, Vec<Uuid>>,
    of_public: Vec<Uuid>,
}

struct Policy {
    row: Arc<Row>,
    admin: bool,
    app: bool,
    permissions: Vec<Permission>,
}

struct Permission {
    collection: &'static Collection,
    action: Action,
    fields: RuleFields,
    filter: Json,
    validation: Option<Json>,
    presets: Option<Map<String, Json>>,
}

impl Book {
    pub(super) async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut book = Self { seq: store.position(), ..Self::default() };
        for role in store.all(&schema::ROLES).await? {
            if let Some(id) = role.value("id").as_uuid() {
                book.roles.insert(id, Arc::new(role));
            }
        }
        for policy in store.all(&schema::POLICIES).await? {
            if let Some(id) = policy.value("id").as_uuid() {
                let admin = policy.value("admin_access").is_true();
                let app = admin || policy.value("app_access").is_true();
                let row = Arc::new(policy);
                book.policies.insert(id, Policy { row, admin, app, permissions: Vec::new() });
            }
        }
        for row in store.all(&schema::PERMISSIONS).await? {
            let policy = row.value("policy").as_uuid().and_then(|id| book.policies.get_mut(&id));
            if let (Some(policy), Some(permission)) = (policy, Permission::read(&row)) {
                policy.permissions.push(permission);
            }
        }
        for access in store.all(&schema::ACCESS).await? {
            let Some(policy) = access.value("policy").as_uuid() else { continue };
            match (access.value("user").as_uuid(), access.value("role").as_uuid()) {
                (Some(user), _) => book.of_users.entry(user).or_default().push(policy),
                (None, Some(role)) => book.of_roles.entry(role).or_default().push(policy),
                (None, None) => book.of_public.push(policy),
            }
        }
        Ok(book)
    }

    /// Returns the actor that an account is; without one, the public.
    pub(super) fn actor(&self, account: Option<&Arc<Row>>) -> Actor {
        let at = |name| account.and_then(|row| row.value(name).as_uuid());
        let (user, role) = (at("id"), at("role"));
        let roles = self.lineage(role);
        let mut policies: Vec<Uuid> = Vec::new();
        // The public's rights reach visitors, and accounts without a role.
        if role.is_none() {
            policies.extend(&self.of_public);
        }
        policies.extend(user.iter().filter_map(|user| self.of_users.get(user)).flatten());
        policies.extend(roles.iter().filter_map(|role| self.of_roles.get(role)).flatten());
        policies.sort_unstable();
        policies.dedup();
        // A visitor is never an administrator, whatever the Public policy says.
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
        };
        Actor {
            user,
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
            next = self.roles.get(&role).and_then(|row| row.value("parent").as_uuid());
        }
        lineage
    }

    /// Returns the rules of all permissions that the actor has for this.
    pub(super) fn rules(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        action: Action,
        environment: &Environment<'_>,
        limits: &Limits,
    ) -> Vec<Rule> {
        let mut rules = Vec::new();
        for policy in actor.policies.iter().filter_map(|id| self.policies.get(id)) {
            for permission in &policy.permissions {
                if *permission.collection != *collection || permission.action != action {
                    continue;
                }
                match permission.rule(environment, limits) {
                    Some(rule) if rules.contains(&rule) => {}
                    Some(rule) => rules.push(rule),
                    None => tracing::warn!(
                        collection = collection.name,
                        action = action.name(),
                        "a permission has a rule that makes no sense and gives nothing"
                    ),
                }
            }
        }
        rules
    }

    /// Returns the accounts and the roles that are administrators.
    pub(super) fn administrators(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        let gives = |policies: &Vec<Uuid>| {
            policies.iter().filter_map(|id| self.policies.get(id)).any(|policy| policy.admin)
        };
        let users = self.of_users.iter().filter(|(_, policies)| gives(policies));
        let roles = self.roles.keys().copied().filter(|role| {
            let lineage = self.lineage(Some(*role));
            lineage.iter().filter_map(|role| self.of_roles.get(role)).any(gives)
        });
        (users.map(|(user, _)| *user).collect(), roles.collect())
    }
}

impl Permission {
    /// Reads a row; `None` if it names what does not exist, and so allows nothing.
    fn read(row: &Row) -> Option<Self> {
        let collection = schema::find(row.value("collection").as_text()?)?;
        let action = Action::find(row.value("action").as_text()?)?;
        let json = |name: &str| match row.value(name) {
            Value::Json(json) if !json.is_null() => Some(Json::clone(json)),
            _ => None,
        };
        let names: Vec<String> = match json("fields") {
            Some(Json::Array(names)) => {
                names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
            }
            Some(Json::String(names)) => names.split(',').map(|name| name.trim().into()).collect(),
            _ => Vec::new(),
        };
        let fields = if names.iter().any(|name| name == "*") {
            RuleFields::All
        } else {
            RuleFields::Some(names.iter().filter_map(|name| collection.field(name)).collect())
        };
        let presets = match json("presets") {
            Some(Json::Object(presets)) => Some(presets),
            _ => None,
        };
        let filter = json("permissions").unwrap_or(Json::Object(Map::new()));
        Some(Self { collection, action, fields, filter, validation: json("validation"), presets })
    }

    /// Returns the rule for whoever asks now; `None` if its filter makes no sense.
    fn rule(&self, environment: &Environment<'_>, limits: &Limits) -> Option<Rule> {
        let filter = Filter::parse(self.collection, &self.filter, environment, limits).ok()?;
        Some(Rule {
            filter,
            fields: self.fields.clone(),
            validation: self.validation.clone(),
            presets: self.presets.clone(),
        })
    }
}
