//! The caller's access to one item or to a singleton: `/permissions/me/…`.

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::accounts;
use crate::domain::items::keys;
use crate::domain::items::read::keyed;
use crate::domain::permissions;
use crate::model::collection::{CollectionKind, Exposure};
use crate::model::schema;
use crate::model::{Action, Actor, Collection, Key};
use crate::query::Scope;
use crate::store::{Mutation, Precondition, Select};

impl Items {
    /// Returns whether the caller may update, delete and share the item with this key or, without a
    /// key, some item of the collection. The answer has the same form if the item or the collection
    /// does not exist. For a singleton it also contains the fields that the caller may update, and
    /// the presets.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn access(
        &self,
        actor: &Actor,
        collection: &str,
        key: Option<&Json>,
    ) -> Result<Json, Error> {
        if actor.admin {
            let yes = json!({"access": true});
            return Ok(json!({"update": yes, "delete": yes, "share": yes}));
        }
        let found = schema::find(collection).filter(|found| found.exposure != Exposure::Internal);
        let mut answer = Map::new();
        for action in [Action::Update, Action::Delete, Action::Share] {
            let scope = match found {
                Some(collection) => self.scope_of(actor, collection, action, key).await?,
                None => None,
            };
            let mut access = json!({"access": scope.is_some()});
            if let Some(scope) = scope
                && action == Action::Update
                && scope.collection().kind == CollectionKind::Single
            {
                access["fields"] = permissions::fields(&scope);
                access["presets"] = presets(&scope);
            }
            answer.insert(action.name().to_owned(), access);
        }
        Ok(Json::Object(answer))
    }

    /// Returns the scope of an action, if the caller may perform it on the item.
    async fn scope_of(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        action: Action,
        key: Option<&Json>,
    ) -> Result<Option<Scope>, Error> {
        let fits = match action {
            Action::Update => collection.kind != CollectionKind::History,
            Action::Delete => collection.kind == CollectionKind::Items,
            _ => true,
        };
        let Ok(scope) = self.permissions.scope(actor, collection, action) else { return Ok(None) };
        let keys = match key {
            None => Vec::new(),
            Some(key) => match keys::parse(collection, key) {
                Some(key) => vec![key],
                None => return Ok(None),
            },
        };
        let is_refused = !fits || self.is_protected(actor, collection, action, &keys).await?;
        if is_refused {
            return Ok(None);
        }
        if !keys.is_empty() {
            let select = Select { filter: keyed(collection, &keys), ..Select::default() };
            if self.store.count(&scope, select).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(scope))
    }

    /// Returns whether a change is refused although the permissions allow it.
    async fn is_protected(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        action: Action,
        keys: &[Key],
    ) -> Result<bool, Error> {
        let (keys, precondition) = (keys.to_vec(), Precondition::None);
        let op = match action {
            Action::Update => Mutation::Update { collection, keys, set: Vec::new(), precondition },
            Action::Delete => Mutation::delete(collection, keys, precondition),
            _ => return Ok(false),
        };
        match accounts::keep_in_place(&self.row_cache, &self.permissions, actor, &[op]).await {
            Ok(()) => Ok(false),
            Err(Error::Forbidden(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Returns the presets of the rules of a scope. If several preset a field, the last one applies.
fn presets(scope: &Scope) -> Json {
    let presets = scope.rules().iter().filter_map(|rule| rule.presets.as_ref());
    let presets: Map<String, Json> =
        presets.flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
    Json::Object(presets)
}
