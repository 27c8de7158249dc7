//! `$CURRENT_USER.email`, `$CURRENT_ROLE.name` and the like: fields of the rows that the variables
//! refer to.
//!
//! Values come from the rows of the actor. A missing value is null, so the variable has no value.

use std::sync::Arc;

use crate::model::schema;
use crate::model::{Actor, Collection, Kind, Row, Value};
use crate::query::QueryError;
use crate::query::environment::Variable;

/// Returns the value of a variable with a path.
///
/// # Errors
/// [`QueryError::Invalid`] if there is no such variable, or the path does not lead to a field with
/// a plain value.
pub(super) fn resolve(actor: &Actor, text: &str) -> Result<Variable, QueryError> {
    let invalid = || QueryError::invalid(format!("There is no variable \"{text}\""));
    let (variable, path) = text.split_once('.').ok_or_else(invalid)?;
    let profile = &actor.profile;
    let (collection, rows, many) = match variable {
        "$CURRENT_USER" => (&schema::USERS, profile.user.as_slice(), false),
        "$CURRENT_ROLE" => (&schema::ROLES, own_role(actor), false),
        "$CURRENT_ROLES" => (&schema::ROLES, &*profile.roles, true),
        "$CURRENT_POLICIES" => (&schema::POLICIES, &*profile.policies, true),
        _ => return Err(invalid()),
    };
    if !is_plain(collection, path) {
        return Err(invalid());
    }
    let mut values = rows.iter().filter_map(|row| follow(actor, row, path));
    if many {
        return Ok(Variable::Many(values.collect()));
    }
    Ok(values.next().map_or(Variable::Unset, Variable::One))
}

/// Returns whether a path leads over to-one relations to a field with a plain value. Secrets are
/// excluded, since comparing with them would reveal them.
fn is_plain(collection: &'static Collection, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (collection.field(name), rest) {
        (None, _) => false,
        (Some(field), Some(rest)) => field.target().is_some_and(|target| is_plain(target, rest)),
        (Some(field), None) => !matches!(field.kind, Kind::Secret | Kind::Json | Kind::ToMany(..)),
    }
}

/// Returns the value at a path, in the form in which a client would write it.
fn follow(actor: &Actor, row: &Row, path: &str) -> Option<String> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = row.collection().field(name)?;
    let Some(rest) = rest else {
        return match &row[field] {
            Value::Null | Value::Json(_) => None,
            Value::Boolean(flag) => Some(flag.to_string()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.to_string()),
            Value::Uuid(id) => Some(id.to_string()),
            Value::Timestamp(at) => Some(at.to_string()),
        };
    };
    let target = field.target()?;
    let key = row[field].as_key()?;
    let known = if *target == schema::ROLES {
        &*actor.profile.roles
    } else if *target == schema::USERS {
        actor.profile.user.as_slice()
    } else {
        &[]
    };
    let behind = known.iter().find(|row| row.key() == Some(key))?;
    follow(actor, behind, rest)
}

/// Returns the row of the actor's own role. The roles are in order, nearest first.
fn own_role(actor: &Actor) -> &[Arc<Row>] {
    let roles = &actor.profile.roles;
    let is_own = |row: &&Arc<Row>| row.get(&schema::roles::id) == actor.role;
    match roles.first().filter(is_own) {
        Some(_) => &roles[..1],
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::Column;
    use crate::model::actor::Profile;
    use crate::model::schema::{POLICIES, ROLES, USERS};

    fn row(collection: &'static Collection, id: u128, name: &Column<str>, text: &str) -> Row {
        let mut row = Row::empty(collection).with(name, text);
        row.set(collection.key(), Value::Uuid(Uuid::from_u128(id)));
        row
    }

    fn alice() -> Actor {
        let [user, role, above] = [1, 2, 3].map(Uuid::from_u128);
        Actor {
            user: Some(user),
            role: Some(role),
            profile: Profile {
                user: Some(Arc::new(
                    row(&USERS, 1, &schema::users::first_name, "Alice")
                        .with(&schema::users::role, Some(role))
                        .with(&schema::users::password, "hash"),
                )),
                roles: [
                    row(&ROLES, 2, &schema::roles::name, "Member")
                        .with(&schema::roles::parent, Some(above)),
                    row(&ROLES, 3, &schema::roles::name, "Everybody"),
                ]
                .map(Arc::new)
                .into(),
                policies: [Arc::new(row(&POLICIES, 4, &schema::policies::name, "Chat"))].into(),
                address: None,
            },
            ..Actor::denied()
        }
    }

    #[test]
    fn variables_resolve_to_profile_fields() {
        let one = |text: &str| Ok(Variable::One(text.to_owned()));
        let many = |texts: &[&str]| {
            Ok(Variable::Many(texts.iter().map(|text| (*text).to_owned()).collect()))
        };
        for (text, expected) in [
            ("$CURRENT_USER.first_name", one("Alice")),
            ("$CURRENT_USER.last_name", Ok(Variable::Unset)),
            ("$CURRENT_USER.role", one(&Uuid::from_u128(2).to_string())),
            ("$CURRENT_USER.role.name", one("Member")),
            ("$CURRENT_USER.role.parent.name", one("Everybody")),
            ("$CURRENT_ROLE.name", one("Member")),
            ("$CURRENT_ROLE.parent.parent.name", Ok(Variable::Unset)),
            ("$CURRENT_ROLES.name", many(&["Member", "Everybody"])),
            ("$CURRENT_POLICIES.name", many(&["Chat"])),
        ] {
            assert_eq!(resolve(&alice(), text), expected, "{text}");
        }
    }

    #[test]
    fn profile_fields_are_unset_for_the_public() {
        for text in ["$CURRENT_USER.first_name", "$CURRENT_ROLE.name", "$CURRENT_USER.role.name"] {
            assert_eq!(resolve(&Actor::denied(), text), Ok(Variable::Unset), "{text}");
        }
    }

    #[test]
    fn secret_and_unknown_fields_are_refused() {
        for text in [
            "$CURRENT_USER.password",
            "$CURRENT_USER.tags",
            "$CURRENT_USER.policies",
            "$CURRENT_USER.nope",
            "$CURRENT_USER.first_name.x",
            "$CURRENT_USER.",
            "$CURRENT_ROLE.users.id",
            "$CURRENT_TIME.x",
        ] {
            assert!(resolve(&alice(), text).is_err(), "{text}");
        }
    }
}
