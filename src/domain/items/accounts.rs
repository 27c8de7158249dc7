//! What changes of accounts bring with them: sessions that end, and the administrator who must stay.

use uuid::Uuid;

use crate::domain::Error;
use crate::domain::permissions::Permissions;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::schema::SESSIONS;
use crate::model::schema::USERS;
use crate::query::Filter;
use crate::query::Test;
use crate::store::Op;
use crate::store::Store;

/// The fields whose change ends the sessions of an account.
const GROUNDS: [&str; 3] = ["email", "password", "status"];

/// Adds the end of the sessions of accounts that are deleted, or whose address, password or status
/// changes. It happens in the same transaction, so no sign-in slips through between.
pub(super) fn end_sessions(ops: &mut Vec<Op>) {
    let mut ending: Vec<Value> = Vec::new();
    for op in ops.iter() {
        match op {
            Op::Delete { keys, .. } => ending.extend(keys.iter().map(|key| Value::from(*key))),
            Op::Update { keys, set, .. }
                if set.iter().any(|(field, _)| GROUNDS.contains(&field.name)) =>
            {
                ending.extend(keys.iter().map(|key| Value::from(*key)));
            }
            _ => {}
        }
    }
    if !ending.is_empty() {
        let filter = Filter::Field(SESSIONS.require("user"), Test::In(ending));
        // Before the accounts go, since their sessions would go with them without an event.
        ops.insert(0, Op::DeleteWhere { collection: &SESSIONS, filter });
    }
}

/// Refuses changes after which there would be no active administrator.
///
/// # Errors
/// [`Error::Unprocessable`].
pub(super) async fn keep_an_administrator(
    store: &Store,
    permissions: &Permissions,
    ops: &[Op],
) -> Result<(), Error> {
    let mut losing: Vec<Key> = Vec::new();
    for op in ops {
        match op {
            Op::Delete { keys, .. } => losing.extend(keys),
            Op::Update { keys, set, .. } => {
                let loses = set.iter().any(|(field, value)| match field.name {
                    "status" => value.as_text() != Some("active"),
                    "role" => true,
                    _ => false,
                });
                if loses {
                    losing.extend(keys);
                }
            }
            _ => {}
        }
    }
    if losing.is_empty() {
        return Ok(());
    }
    let (users, roles) = permissions.administrators();
    let keys = |ids: Vec<Uuid>| ids.into_iter().map(Key::Uuid).collect::<Vec<_>>();
    let mut administrators = store.find_many(&USERS, &keys(users)).await?;
    administrators.extend(store.pointing(&USERS, USERS.require("role"), &keys(roles)).await?);
    let active: Vec<Key> = administrators
        .iter()
        .filter(|row| row.value("status").as_text() == Some("active"))
        .filter_map(Row::key)
        .collect();
    let stays = active.iter().any(|key| !losing.contains(key));
    if !stays && active.iter().any(|key| losing.contains(key)) {
        return Err(Error::Unprocessable(
            "the last active administrator has to stay: make another one first".into(),
        ));
    }
    Ok(())
}
