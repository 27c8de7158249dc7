//! Projection of events to `directus_activity`: one row per item, with the actor and the action.
//!
//! Most rows are written in the transaction of their events. Rows for created messages, which come
//! by the thousand, are deferred: they are projected from `event_log` before the table is read, so
//! that a create costs nothing extra. Sessions appear only as sign-ins: their end and the rotation
//! of their tokens are not actions on an item.

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Row as _, SqliteConnection};

use crate::clock::Timestamp;
use crate::model::collection::Exposure;
use crate::model::history::{ACTIVITY_PLACES, LOGIN};
use crate::model::schema::sessions;
use crate::model::schema::users;
use crate::model::schema::{COLLECTIONS, SESSIONS, USERS};
use crate::model::{Change, Event, EventAction, Row};
use crate::store::{Mutation, Store, StoreError, Write};

/// Maximum number of events that one transaction visits to project pending rows. It takes a few
/// milliseconds, during which other writes wait.
const EVENTS_MAX: i64 = 1_000;

const APPEND: &str = "insert into directus_activity \
     (id, action, \"user\", timestamp, collection, item, ip, user_agent) \
     select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
     value ->> 6, value ->> 7 from json_each(?)";

/// The offset after which rows are pending, and the offset of the last event.
const OWED: &str = "select \
     max(done.value, coalesce((select min(seq) - 1 from event_log), last.value)), last.value \
     from chinwag_counters as done, chinwag_counters as last \
     where done.name = 'directus_activity' and last.name = 'seq'";

const APPEND_OWED: &str = "insert into directus_activity \
     (id, action, \"user\", timestamp, collection, item) \
     select seq * ?1, action, actor, date_created, collection, keys ->> 0 from event_log \
     where seq > ?2 and seq <= ?3 and action = 'create' \
     and collection in (select value from json_each(?4))";

impl Store {
    /// Projects the pending rows of creates, in at most `transactions_max` transactions. Reads of
    /// activity wait for all of them (`None`) first.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn catch_up(&self, transactions_max: Option<usize>) -> Result<(), StoreError> {
        let goal = self.position();
        let mut transactions = 0;
        while self.caught_up().await? < goal
            && transactions_max.is_none_or(|max| transactions < max)
        {
            let at = Timestamp::from_millis(0);
            self.write(Write { actor: None, at, ops: vec![Mutation::ProjectActivity] }).await?;
            transactions += 1;
        }
        Ok(())
    }

    /// Returns the offset up to which no rows are pending.
    async fn caught_up(&self) -> Result<i64, StoreError> {
        let done =
            sqlx::query("select value from chinwag_counters where name = 'directus_activity'")
                .fetch_one(self.reserved())
                .await?;
        Ok(done.try_get(0)?)
    }
}

/// Appends the rows of events, which must be in order, except those that may be deferred.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    events: impl Iterator<Item = &Event>,
) -> Result<(), StoreError> {
    let lines: Vec<Json> = events.filter(|event| !may_owe(event)).flat_map(lines).collect();
    if lines.is_empty() {
        return Ok(());
    }
    sqlx::query(APPEND).bind(Json::Array(lines).to_string()).execute(connection).await?;
    Ok(())
}

/// Appends pending rows for events of earlier transactions.
pub(super) async fn append_owed(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let owed = sqlx::query(OWED).fetch_one(&mut *connection).await?;
    let (from, last): (i64, i64) = (owed.try_get(0)?, owed.try_get(1)?);
    let to = last.min(from + EVENTS_MAX);
    let collections = COLLECTIONS.iter().filter(|one| one.exposure == Exposure::Items);
    let collections: Json = collections.map(|collection| collection.name).collect();
    sqlx::query(APPEND_OWED)
        .bind(ACTIVITY_PLACES)
        .bind(from)
        .bind(to)
        .bind(collections.to_string())
        .execute(&mut *connection)
        .await?;
    sqlx::query("update chinwag_counters set value = ? where name = 'directus_activity'")
        .bind(to)
        .execute(connection)
        .await?;
    Ok(())
}

fn may_owe(event: &Event) -> bool {
    event.action == EventAction::Create && event.collection.exposure == Exposure::Items
}

fn lines(event: &Event) -> impl Iterator<Item = Json> {
    let first = event.seq * ACTIVITY_PLACES;
    let fits = i64::try_from(event.changes.len()).is_ok_and(|count| count <= ACTIVITY_PLACES);
    assert!(fits, "every item of an event has an activity entry");
    (first..first + ACTIVITY_PLACES)
        .zip(&event.changes)
        .filter_map(move |(id, change)| line(event, id, change))
}

fn line(event: &Event, id: i64, change: &Change) -> Option<Json> {
    let (action, at) = (event.action.name(), event.at.millis());
    if *event.collection == SESSIONS {
        let session = change.after.as_ref().filter(|_| event.action == EventAction::Create)?;
        let user = session.get(&sessions::user)?.to_string();
        let (ip, agent) = (session.get(&sessions::ip), session.get(&sessions::user_agent));
        return Some(json!([id, LOGIN, user, at, USERS.name, user, ip, agent]));
    }
    if event.collection.exposure == Exposure::Internal {
        return None;
    }
    if let (Some(before), Some(after)) = (&change.before, &change.after)
        && is_access_alone(before, after)
    {
        return None;
    }
    let actor = event.actor.map(|actor| actor.to_string());
    Some(json!([id, action, actor, at, event.collection.name, change.key.to_string()]))
}

/// Returns whether only the last access time of an account changed, which is part of a sign-in.
fn is_access_alone(before: &Row, after: &Row) -> bool {
    let collection = before.collection();
    *collection == USERS
        && before.get(&users::last_access) != after.get(&users::last_access)
        && collection
            .columns()
            .all(|field| *field == users::last_access || before[field] == after[field])
}

#[cfg(test)]
mod tests {
    use sea_query::SqliteQueryBuilder;
    use sqlx::{AssertSqlSafe, Connection};

    use super::*;
    use crate::model::history::{ACTIVITY, REVISIONS};
    use crate::model::schema::MESSAGES;
    use crate::model::{Collection, Value};
    use crate::query::{Filter, Select, Sort, Test};
    use crate::store::compile;
    use crate::store::migrate;

    async fn database() -> SqliteConnection {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        migrate::run(&mut connection).await.unwrap();
        connection
    }

    async fn plan(collection: &'static Collection, select: Select) -> String {
        let sql = compile::rows(collection, &select, None).to_string(SqliteQueryBuilder);
        let explained = format!("explain query plan {sql}");
        let mut connection = database().await;
        let steps = sqlx::query(AssertSqlSafe(explained)).fetch_all(&mut connection).await.unwrap();
        let steps = steps.iter().map(|step| step.get::<String, _>("detail"));
        steps.collect::<Vec<_>>().join("\n")
    }

    fn newest(collection: &'static Collection, field: &str) -> Select {
        let field = collection.field(field).unwrap();
        let sort = vec![Sort { path: Vec::new(), field, part: None, descending: true }];
        Select { sort, limit: Some(100), ..Select::default() }
    }

    fn of_item(collection: &'static Collection) -> Select {
        let is = |name, value| {
            Filter::Field(collection.field(name).unwrap(), Test::Eq(Value::text(value)))
        };
        let filter = is("collection", "messages").and(is("item", "5"));
        Select { filter, limit: Some(100), ..Select::default() }
    }

    #[tokio::test]
    async fn common_activity_queries_use_an_index() {
        let by_item = "USING INDEX directus_activity_item (item=? AND collection=?)";
        for (collection, select, step) in [
            (&ACTIVITY, newest(&ACTIVITY, "timestamp"), "USING INDEX directus_activity_timestamp"),
            (&ACTIVITY, newest(&ACTIVITY, "id"), "SCAN t"),
            (&ACTIVITY, of_item(&ACTIVITY), by_item),
            (&REVISIONS, newest(&REVISIONS, "id"), "SCAN activity"),
            (&REVISIONS, newest(&REVISIONS, "activity"), "SCAN activity"),
            (&REVISIONS, of_item(&REVISIONS), by_item),
        ] {
            let plan = plan(collection, select).await;

            assert!(plan.contains(step), "{collection:?} {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{collection:?} {plan}");
        }
    }

    #[tokio::test]
    async fn a_revision_contains_every_message_column() {
        let mut connection = database().await;
        sqlx::raw_sql(
            "insert into event_log (seq, collection, action, keys, date_created) \
             values (1, 'messages', 'create', '[5]', 0); \
             insert into messages (id, date_created) values (5, 0); \
             update chinwag_counters set value = 1 where name = 'seq'",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        append_owed(&mut connection).await.unwrap();

        for change in [
            "select 1",
            "insert into event_log (seq, collection, action, keys, date_created, before) \
             values (2, 'messages', 'delete', '[5]', 0, '[{\"id\":5}]'); \
             insert into directus_activity (id, action, timestamp, collection, item) \
             values (200000, 'delete', 0, 'messages', '5'); delete from messages",
        ] {
            sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
            let found = sqlx::query("select data from directus_revisions")
                .fetch_one(&mut connection)
                .await
                .unwrap();

            let data: Json = serde_json::from_str(found.get(0)).unwrap();
            let names: Vec<&String> = data.as_object().unwrap().keys().collect();
            let columns: Vec<&str> = MESSAGES.columns().map(|field| field.name).collect();
            assert_eq!(names, columns, "a migration must add new columns to directus_revisions");
        }
    }
}
