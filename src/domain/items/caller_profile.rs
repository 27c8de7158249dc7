//! The fields of the caller that a query may use as variables.
//!
//! A query can compare `$CURRENT_USER.email` with a value of the client's choice, which discloses
//! the field. The variable is therefore set only if the caller may read the field. The rules of
//! permissions are not restricted.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::permissions::Permissions;
use crate::model::actor::Profile;
use crate::model::{Action, Actor, Record, Row, Value};
use crate::text::json::any_text;

/// Returns whether a query uses fields of the caller as variables.
pub(super) fn names_profile(query: &Json) -> bool {
    any_text(query, &|text| text.contains("$CURRENT_") && text.contains('.'))
}

/// Returns the actor with the part of its profile that it may read.
pub(super) fn with_readable_profile(permissions: &Permissions, actor: &Actor) -> Actor {
    let redact = |row: &Arc<Row>| redacted(permissions, actor, row);
    let profile = Profile {
        user: actor.profile.user.as_ref().map(redact),
        roles: actor.profile.roles.iter().map(redact).collect(),
        policies: actor.profile.policies.iter().map(redact).collect(),
        address: actor.profile.address,
    };
    Actor { profile, ..actor.clone() }
}

/// Returns the row without the fields that the actor may not read. A rule that follows a relation
/// grants nothing here.
fn redacted(permissions: &Permissions, actor: &Actor, row: &Arc<Row>) -> Arc<Row> {
    let scope = permissions.scope(actor, row.collection(), Action::Read);
    let record = Record::new(Arc::clone(row));
    let mut redacted = Row::clone(row);
    for field in row.collection().columns() {
        let is_shown = scope.as_ref().is_ok_and(|scope| scope.shows(&record, field));
        // The key is known anyway: it is the value of the variable itself.
        if !is_shown && field != row.collection().key() {
            redacted.set(field, Value::Null);
        }
    }
    Arc::new(redacted)
}
