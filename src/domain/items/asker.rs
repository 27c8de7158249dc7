//! What a query may learn of whoever asks it.
//!
//! `$CURRENT_USER.email` in a query is compared with what its writer chooses, which tells its value. So
//! it stands for something only where they may read it. Rules of permissions see everything.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::permissions::Permissions;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Record;
use crate::model::Row;
use crate::model::Value;
use crate::model::actor::Profile;

/// Returns whether a query names fields of whoever asks.
pub(super) fn is_named(query: &Json) -> bool {
    match query {
        Json::String(text) => text.contains("$CURRENT_") && text.contains('.'),
        Json::Array(parts) => parts.iter().any(is_named),
        Json::Object(parts) => parts.values().any(is_named),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Returns the actor with as much of their profile as they may read.
pub(super) fn as_seen(permissions: &Permissions, actor: &Actor) -> Actor {
    let seen = |row: &Arc<Row>| shown(permissions, actor, row);
    let profile = Profile {
        user: actor.profile.user.as_ref().map(seen),
        roles: actor.profile.roles.iter().map(seen).collect(),
        policies: actor.profile.policies.iter().map(seen).collect(),
        address: actor.profile.address,
    };
    Actor { profile, ..actor.clone() }
}

/// Returns the row without what the actor may not read. A rule that looks through a relation gives
/// nothing here.
fn shown(permissions: &Permissions, actor: &Actor, row: &Arc<Row>) -> Arc<Row> {
    let scope = permissions.scope(actor, row.collection(), Action::Read);
    let record = Record::new(Arc::clone(row));
    let mut shown = Row::clone(row);
    for field in row.collection().columns() {
        let is_shown = scope.as_ref().is_ok_and(|scope| scope.shows(&record, field));
        // The key is known anyway: it is what the variable itself stands for.
        if !is_shown && field != row.collection().key() {
            shown.set(field, Value::Null);
        }
    }
    Arc::new(shown)
}
