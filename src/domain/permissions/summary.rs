//! `GET /permissions/me`: the caller's permissions, collection by collection.

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::permissions::Permissions;
use crate::model::collection::Exposure;
use crate::model::schema::COLLECTIONS;
use crate::model::{Action, Actor};
use crate::query::Scope;

/// Returns, for each collection and action, `full` or `partial` access with the fields, or `none`.
/// Collections without access are left out.
pub(super) fn of(permissions: &Permissions, actor: &Actor) -> Json {
    let mut collections = Map::new();
    for collection in COLLECTIONS.iter().filter(|one| one.exposure != Exposure::Internal) {
        let mut actions = Map::new();
        for action in Action::ALL {
            let access = permissions
                .scope(actor, collection, action)
                .map_or_else(|_| json!({"access": "none"}), |scope| access(&scope));
            actions.insert(action.name().to_owned(), access);
        }
        if actions.values().any(|access| access["access"] != "none") {
            collections.insert(collection.name.to_owned(), Json::Object(actions));
        }
    }
    Json::Object(collections)
}

fn access(scope: &Scope) -> Json {
    let open = scope.is_full() || scope.filter().is_everything();
    json!({"access": if open { "full" } else { "partial" }, "fields": fields(scope)})
}

/// Returns the names of the fields within a scope: `*` for all.
#[must_use]
pub fn fields(scope: &Scope) -> Json {
    if scope.has_all() {
        return json!(["*"]);
    }
    let fields = scope.collection().fields.iter().filter(|field| scope.has(field));
    fields.map(|field| field.name).collect()
}
