//! The query plans of common client queries: by an index, without sorting. Tests only.

use std::collections::BTreeSet;

use sea_query::{SelectStatement, SqliteQueryBuilder};
use sea_query_sqlx::SqlxBinder;
use serde_json::Value as Json;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};

use crate::clock::Timestamp;
use crate::model::collection::{CollectionKind, OnDelete};
use crate::model::history::{ACTIVITY, REVISIONS};
use crate::model::schema;
use crate::model::schema::{ACCESS, COLLECTIONS, MESSAGES, PERMISSIONS, SESSIONS, USERS};
use crate::model::{Actor, Collection, Value};
use crate::query::{Environment, Filter, Limits, Query, Select, Test};
use crate::store::compile;
use crate::store::migrate;

const SOMEBODY: &str = "00000000-0000-4000-8000-000000000001";

async fn database() -> SqliteConnection {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    migrate::run(&mut connection).await.unwrap();
    connection
}

fn select(collection: &'static Collection, query: &Json) -> Select {
    let actor = Actor::denied();
    let environment = Environment::new(&actor, Timestamp::from_millis(0));
    let query = Query::parse(collection, query, &environment, &Limits::default()).unwrap();
    assert!(query.select.limit.is_some());
    query.select
}

async fn plan(connection: &mut SqliteConnection, statement: SelectStatement) -> String {
    let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
    let sql = AssertSqlSafe(format!("explain query plan {sql}"));
    let steps = sqlx::query_with(sql, values).fetch_all(connection).await.unwrap();
    let steps: Vec<&str> = steps.iter().map(|step| step.get("detail")).collect();
    steps.join("; ")
}

#[tokio::test]
async fn lists_are_read_in_index_order() {
    let mut connection = database().await;
    let mut lists: Vec<(&'static Collection, Json)> =
        COLLECTIONS.iter().map(|collection| (*collection, json!({}))).collect();
    // Revisions are computed from the log.
    lists.retain(|(collection, _)| **collection != REVISIONS);
    for sort in [
        json!("-id"),
        json!("date_created"),
        json!("-date_created"),
        json!(["date_created", "id"]),
        json!(["-date_created", "-id"]),
    ] {
        lists.push((&MESSAGES, json!({"sort": sort, "page": 7})));
    }
    lists.push((&USERS, json!({"sort": "email"})));
    lists.push((&ACTIVITY, json!({"sort": "-timestamp"})));

    for (collection, query) in lists {
        let statement = compile::rows(collection, &select(collection, &query), None);
        let plan = plan(&mut connection, statement).await;

        assert!(!plan.contains("TEMP B-TREE"), "{collection:?} {query}: {plan}");
    }
}

#[tokio::test]
async fn common_filters_use_an_index() {
    let mut connection = database().await;
    let older = json!({"_or": [
        {"date_created": {"_lt": "2026-01-31T12:00:00.000Z"}},
        {"_and": [{"date_created": {"_eq": "2026-01-31T12:00:00.000Z"}}, {"id": {"_lt": 7}}]},
    ]});
    let at_most = json!({"_and": [{"date_created": {"_lte": "2026-01-31T12:00:00.000Z"}}, older]});
    let newest = json!(["-date_created", "-id"]);
    for (collection, query) in [
        (&MESSAGES, json!({"filter": {"user_created": SOMEBODY}, "sort": "-date_created"})),
        (&MESSAGES, json!({"filter": {"user_created": {"_null": true}}, "sort": "date_created"})),
        (&MESSAGES, json!({"filter": {"id": {"_lt": 7}}, "sort": "-id"})),
        (&MESSAGES, json!({"filter": {"id": {"_in": [1, 2, 3]}}})),
        (&MESSAGES, json!({"filter": {"date_created": {"_gt": "$NOW(-1 day)"}}, "sort": newest})),
        (&MESSAGES, json!({"filter": at_most, "sort": newest})),
        (&USERS, json!({"filter": {"role": SOMEBODY}})),
        (&USERS, json!({"filter": {"email": "ann@example.com"}})),
        (&ACTIVITY, json!({"filter": {"item": "7", "collection": "messages"}})),
        (&PERMISSIONS, json!({"filter": {"policy": SOMEBODY}})),
        (&ACCESS, json!({"filter": {"user": SOMEBODY}})),
        (&ACCESS, json!({"filter": {"role": SOMEBODY}})),
        (&ACCESS, json!({"filter": {"policy": SOMEBODY}})),
    ] {
        let select = select(collection, &query);
        let rows = plan(&mut connection, compile::rows(collection, &select, None)).await;
        let count = plan(&mut connection, compile::count(collection, &select, None)).await;

        assert!(rows.starts_with("SEARCH t "), "{collection:?} {query}: {rows}");
        assert!(count.starts_with("SEARCH t "), "{collection:?} {query}: {count}");
        assert!(!rows.contains("TEMP B-TREE"), "{collection:?} {query}: {rows}");
    }
}

#[tokio::test]
async fn referential_actions_match_the_database_schema() {
    let mut connection = database().await;
    for collection in COLLECTIONS.into_iter().filter(|it| it.kind != CollectionKind::History) {
        let sql = format!("pragma foreign_key_list({})", collection.name);
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let text = |row: &SqliteRow, name: &str| row.get::<String, _>(name).to_lowercase();
        let stored: BTreeSet<[String; 3]> = rows
            .iter()
            .map(|row| [text(row, "from"), text(row, "table"), text(row, "on_delete")])
            .collect();

        let modelled: BTreeSet<[String; 3]> = collection
            .fields
            .iter()
            .filter_map(|field| {
                let action = match field.on_delete {
                    OnDelete::Keep => return None,
                    OnDelete::SetNull => "set null",
                    OnDelete::Cascade => "cascade",
                };
                Some([field.name, field.target()?.name, action].map(str::to_owned))
            })
            .collect();

        assert_eq!(modelled, stored, "{collection:?}");
    }
}

#[tokio::test]
async fn references_are_looked_up_by_index() {
    let mut connection = database().await;
    let ids = vec![Value::Uuid(uuid::Uuid::from_u128(1)), Value::Uuid(uuid::Uuid::from_u128(2))];
    let mut asked = 0;
    for (collection, field) in COLLECTIONS.into_iter().flat_map(schema::references) {
        asked += 1;
        let filter = Filter::Field(field, Test::In(ids.clone()));
        let plan = plan(&mut connection, compile::some_rows(collection, &filter, 1000)).await;

        let only_one = collection.kind == CollectionKind::Single;
        assert!(plan.starts_with("SEARCH t ") || only_one, "{collection:?}.{field:?}: {plan}");
    }
    assert_eq!(asked, 12);
    for (collection, field) in [(&SESSIONS, "expires"), (&MESSAGES, "user_created")] {
        let test = Test::Lte(Value::Timestamp(Timestamp::from_millis(7)));
        let filter = Filter::Field(collection.field(field).unwrap(), test);
        let plan = plan(&mut connection, compile::some_rows(collection, &filter, 1000)).await;

        assert!(plan.starts_with("SEARCH t ") && !plan.contains("B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn counting_messages_uses_a_covering_index() {
    let mut connection = database().await;
    let counted = plan(&mut connection, compile::count(&MESSAGES, &Select::default(), None)).await;

    assert!(counted.contains("COVERING INDEX"), "{counted}");
}
