//! The rows in the log that are about one account: reading and erasing them.
//!
//! A logged row is about an account if it is the account itself, or names it as its owner (`user`)
//! or its author (`user_created`).

use std::pin::pin;

use futures_util::TryStreamExt as _;
use serde_json::Value as Json;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::schema::access;
use crate::model::schema::mails;
use crate::model::schema::messages;
use crate::model::schema::second_factors;
use crate::model::schema::sessions;
use crate::model::schema::users;
use crate::model::{Field, Row, Value};
use crate::store::event_log;
use crate::store::rows;
use crate::store::{Store, StoreError};

/// Reduces rows about the account to their keys.
const STRIP_BEFORE: &str = "\
    update event_log set before = (\
        select json_group_array(case \
            when ?1 in (row.value ->> 'id', row.value ->> 'user', row.value ->> 'user_created') \
            then json_object('id', row.value ->> 'id') \
            else json(row.value) end) \
        from json_each(event_log.before) as row\
    ) where seq > ?2 and seq <= ?3 and before is not null and instr(before, ?1) > 0";
/// A created message omits its author if that is the actor.
const STRIP_AFTER: &str = "\
    update event_log set after = (\
        select json_group_array(case \
            when ?1 in (row.value ->> 'id', row.value ->> 'user', row.value ->> 'user_created') \
                or (event_log.actor = ?1 and event_log.action = 'create' \
                and event_log.collection = 'messages' \
                and json_type(row.value, '$.user_created') is null) \
            then json_object('id', coalesce(row.value ->> 'id', event_log.keys ->> row.key)) \
            else json(row.value) end) \
        from json_each(event_log.after) as row\
    ) where seq > ?2 and seq <= ?3 and after is not null and (actor = ?1 or instr(after, ?1) > 0)";

const STRIP_ACTOR: &str =
    "update event_log set actor = null where seq > ?2 and seq <= ?3 and actor = ?1";
/// Activity keys are derived from [`ACTIVITY_PLACES`](crate::model::history::ACTIVITY_PLACES).
const STRIP_ACTIVITY: &str = "\
    update directus_activity set \"user\" = null, ip = null, user_agent = null, comment = null \
    where id >= (?2 + 1) * 100000 and id < (?3 + 1) * 100000 and \"user\" = ?1";

const FORGET_KEYS: &str = "delete from chinwag_idempotency where (owner, key) in \
    (select owner, key from chinwag_idempotency where owner = ?1 limit ?2)";
const FORGET_ACTOR: &str = "update chinwag_deletions set actor = null where actor = ?1";
const FORGET_POSITIONS: &str = "delete from chinwag_positions where owner = ?1";

/// A row before or after a change.
#[derive(Debug)]
pub struct Earlier {
    /// The offset of the change.
    pub seq: i64,
    /// The collection.
    pub collection: &'static str,
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// The time of the change.
    pub at: Timestamp,
    /// `before` or `after` the change.
    pub side: &'static str,
    /// The row, with secrets masked.
    pub row: Json,
}

impl Store {
    /// Returns all logged states of rows that are about an account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn earlier_rows(&self, user: Uuid) -> Result<Vec<Earlier>, StoreError> {
        let mut events = pin!(event_log::read_about(self.reserved(), user));
        let mut found = Vec::new();
        while let Some(event) = events.try_next().await? {
            let sides = event.changes.iter().flat_map(|change| {
                [("before", change.before.as_deref()), ("after", change.after.as_deref())]
            });
            let about = sides
                .filter_map(|(side, row)| Some((side, row.filter(|row| is_about(row, user))?)));
            found.extend(about.map(|(side, row)| Earlier {
                seq: event.seq,
                collection: event.collection.name,
                action: event.action.name(),
                at: event.at,
                side,
                row: rows::describe(row, &Row::empty(event.collection)),
            }));
        }
        Ok(found)
    }
}

/// The fields that make a row one about an account.
static ABOUT: [&Field; 6] = [
    users::id.field(),
    second_factors::id.field(),
    sessions::user.field(),
    access::user.field(),
    mails::user.field(),
    messages::user_created.field(),
];

fn is_about(row: &Row, user: Uuid) -> bool {
    row.collection()
        .columns()
        .any(|field| ABOUT.contains(&field) && row[field] == Value::Uuid(user))
}

/// Erases an account from the events in `(after, to]`. Their actions, keys and dates stay.
pub(super) async fn strip(
    connection: &mut SqliteConnection,
    user: Uuid,
    after: i64,
    to: i64,
) -> Result<(), StoreError> {
    for statement in [STRIP_BEFORE, STRIP_AFTER, STRIP_ACTOR, STRIP_ACTIVITY] {
        let query = sqlx::query(statement).bind(user.to_string()).bind(after).bind(to);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes the positions and up to `keys_max` idempotency keys of an account, and clears it as the
/// actor of deletions. Returns whether no keys are left.
pub(super) async fn forget_some(
    connection: &mut SqliteConnection,
    user: Uuid,
    keys_max: usize,
) -> Result<bool, StoreError> {
    let most = i64::try_from(keys_max).unwrap_or(i64::MAX);
    let keys = sqlx::query(FORGET_KEYS).bind(user.to_string()).bind(most);
    let forgotten = keys.execute(&mut *connection).await?.rows_affected();
    for statement in [FORGET_ACTOR, FORGET_POSITIONS] {
        sqlx::query(statement).bind(user.to_string()).execute(&mut *connection).await?;
    }
    Ok(forgotten < keys_max as u64)
}
