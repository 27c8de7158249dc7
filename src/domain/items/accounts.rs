//! Side effects and limits of account changes: ended sessions, and no privilege escalation.

use uuid::Uuid;

use crate::domain::permissions::Permissions;
use crate::domain::row_cache::RowCache;
use crate::domain::{Error, Forbidden};
use crate::model::account::DEFAULT_PROVIDER;
use crate::model::schema::access;
use crate::model::schema::sessions;
use crate::model::schema::settings;
use crate::model::schema::users;
use crate::model::schema::{SESSIONS, USERS};
use crate::model::{Actor, Field, IntoValue, Row, SessionMode, Value};
use crate::query::{Filter, Test};
use crate::store::Mutation;

/// The fields whose change ends the sessions of an account.
static GROUNDS: [&Field; 5] = [
    users::email.field(),
    users::password.field(),
    users::status.field(),
    users::provider.field(),
    users::external_identifier.field(),
];

/// The fields that link an account to an identity at a provider.
static IDENTITY: [&Field; 3] =
    [users::provider.field(), users::external_identifier.field(), users::auth_data.field()];

/// The fields that set the role of an account or of future accounts.
static ROLES: [&Field; 3] =
    [users::role.field(), access::role.field(), settings::public_registration_role.field()];

/// Adds the deletion of the sessions of accounts when their address, password, status or identity
/// at a provider changes. It is part of the same transaction, so no sign-in can happen in between.
/// A cookie session survives a change that it makes itself. (The sessions of a deleted account are
/// deleted with it.)
pub(super) fn end_sessions(actor: &Actor, ops: &mut Vec<Mutation>) {
    let mut ending: Vec<Value> = Vec::new();
    for op in ops.iter() {
        if let Mutation::Update { collection, keys, set, .. } = op
            && **collection == USERS
            && set.iter().any(|(field, _)| GROUNDS.contains(field))
        {
            ending.extend(keys.iter().map(|key| Value::from(*key)));
        }
    }
    if !ending.is_empty() {
        let mut filter = Filter::Field(&sessions::user, Test::In(ending));
        if let Some(own) = actor.session {
            let other = Test::Neq(Value::Uuid(own));
            let in_body = Test::Neq(SessionMode::Session.into_value());
            filter = filter.and(Filter::Or(vec![
                Filter::Field(SESSIONS.key(), other),
                Filter::Field(&sessions::mode, in_body),
            ]));
        }
        ops.insert(0, Mutation::DeleteWhere { collection: &SESSIONS, filter });
    }
}

/// Refuses privilege escalation. Regardless of permissions, a caller without administrator access
/// cannot create or change administrators, nor change roles, policies or the rows that depend on
/// them. Such a caller cannot link an account to an identity at a provider either, including its
/// own account: the holder of that identity could sign in to the account.
///
/// # Errors
/// [`Error::Forbidden`].
pub(super) async fn keep_in_place(
    row_cache: &RowCache,
    permissions: &Permissions,
    actor: &Actor,
    ops: &[Mutation],
) -> Result<(), Error> {
    if actor.admin {
        return Ok(());
    }
    let roles = permissions.administrator_roles();
    let gives_all = |role: Option<Uuid>| role.is_some_and(|role| roles.contains(&role));
    for op in ops {
        let (collection, touched) = match op {
            Mutation::Create { collection, rows } => {
                let refused = |row: &Row| gives_all(row.get(&users::role)) || has_identity(row);
                if **collection == USERS && rows.iter().any(refused) {
                    return Err(Error::Forbidden(Forbidden::Action));
                }
                (*collection, &[][..])
            }
            Mutation::Update { collection, keys, set, .. } => {
                if set.iter().any(|(field, value)| {
                    IDENTITY.contains(field) || ROLES.contains(field) && gives_all(value.as_uuid())
                }) {
                    return Err(Error::Forbidden(Forbidden::Action));
                }
                (*collection, keys.as_slice())
            }
            Mutation::Delete { collection, keys, .. } => (*collection, keys.as_slice()),
            Mutation::DeleteWhere { .. }
            | Mutation::Finish { .. }
            | Mutation::Erase { .. }
            | Mutation::ProjectActivity => continue,
        };
        if Permissions::depend_on(collection) {
            return Err(Error::collection(collection.name));
        }
        if *collection != USERS {
            continue;
        }
        let rows = row_cache.find_many(&USERS, touched).await?;
        let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.get(&users::id)).collect();
        let administrators = permissions.administrators_among(&ids).await?;
        for row in rows {
            let id = row.get(&users::id);
            let is_admin = id.is_some_and(|id| administrators.contains(&id))
                || gives_all(row.get(&users::role));
            if is_admin && id != actor.user {
                return Err(Error::Forbidden(Forbidden::Item));
            }
        }
    }
    Ok(())
}

/// Returns whether a new account is linked to an identity at a provider.
fn has_identity(row: &Row) -> bool {
    row.get(&users::provider) != Some(DEFAULT_PROVIDER)
        || IDENTITY[1..].iter().any(|field| !row[*field].is_null())
}
