//! One filter tree, two readers: the database and memory have to find the same rows.

use std::sync::Arc;

use chinwag::clock::Timestamp;
use chinwag::model::Actor;
use chinwag::model::Record;
use chinwag::model::Related;
use chinwag::model::Row;
use chinwag::model::Value;
use chinwag::model::schema::MESSAGES;
use chinwag::model::schema::USERS;
use chinwag::query::Environment;
use chinwag::query::Filter;
use chinwag::query::Limits;
use chinwag::query::date;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::TestServer;

/// Texts with what goes wrong: case, nothing, wildcards, quotes, other scripts, numbers, blanks.
const TEXTS: [&str; 14] =
    ["", "a", "A", "ab", "Abc", "100%", "a_c", "it's", "ä", "Ä", "你好", "12", " 12 ", "null"];

/// The names of the authors there are.
const AUTHORS: [Option<&str>; 3] = [Some("Ann"), Some("ann"), None];

fn text_test() -> impl Strategy<Value = Json> {
    let operators = select(vec![
        "_eq",
        "_neq",
        "_contains",
        "_ncontains",
        "_icontains",
        "_starts_with",
        "_nstarts_with",
        "_istarts_with",
        "_ends_with",
        "_nends_with",
        "_iends_with",
    ]);
    let texts = select(TEXTS[1..].to_vec());
    prop_oneof![
        4 => (operators, texts.clone()).prop_map(|(operator, text)| json!({operator: text})),
        1 => vec(texts, 1..4).prop_map(|texts| json!({"_in": texts})),
        1 => vec(select(TEXTS[1..].to_vec()), 1..4).prop_map(|texts| json!({"_nin": texts})),
        2 => select(vec!["_null", "_nnull", "_empty", "_nempty"])
            .prop_flat_map(|operator| any::<bool>().prop_map(move |flag| json!({operator: flag}))),
    ]
}

fn number_test() -> impl Strategy<Value = Json> {
    prop_oneof![
        (select(vec!["_eq", "_neq", "_lt", "_lte", "_gt", "_gte"]), 0..14_i64)
            .prop_map(|(operator, number)| json!({operator: number})),
        (select(vec!["_eq", "_gt"]), 0..14_i64)
            .prop_map(|(operator, number)| json!({operator: number.to_string()})),
        (select(vec!["_between", "_nbetween"]), 0..14_i64, 0..14_i64)
            .prop_map(|(operator, low, high)| json!({operator: [low, high]})),
        (select(vec!["_in", "_nin"]), vec(0..14_i64, 1..5))
            .prop_map(|(operator, numbers)| json!({operator: numbers})),
    ]
}

fn date_test() -> impl Strategy<Value = Json> {
    let parts = select(vec!["month", "week", "day", "weekday", "hour", "minute", "second"]);
    let operators = || select(vec!["_eq", "_neq", "_lt", "_lte", "_gt", "_gte"]);
    prop_oneof![
        4 => (parts, operators(), 0..60_i64).prop_map(|(part, operator, number)| {
            json!({format!("{part}(date_created)"): {operator: number}})
        }),
        1 => (operators(), 2025..2030_i64)
            .prop_map(|(operator, year)| json!({"year(date_created)": {operator: year}})),
        1 => (0..60_i64, 0..60_i64)
            .prop_map(|(low, high)| json!({"second(date_created)": {"_between": [low, high]}})),
    ]
}

fn filter() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        3 => text_test().prop_map(|test| json!({"content": test})),
        2 => number_test().prop_map(|test| json!({"id": test})),
        1 => date_test(),
        1 => any::<bool>().prop_map(|flag| json!({"user_created": {"_null": flag}})),
        2 => text_test().prop_map(|test| json!({"user_created": {"first_name": test}})),
        1 => Just(json!({"user_created": {"_or": [
            {"first_name": {"_null": true}}, {"first_name": {"_eq": "Ann"}},
        ]}})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|parts| json!({"_and": parts})),
            vec(inner, 0..3).prop_map(|parts| json!({"_or": parts})),
        ]
    })
}

/// Returns the keys that memory finds.
fn in_memory(records: &[Record], filter: &Json) -> Vec<i64> {
    let actor = Actor::nobody();
    let environment = Environment::new(&actor, Timestamp::from_millis(0));
    let filter = Filter::parse(&MESSAGES, filter, &environment, &Limits::default()).unwrap();
    let fitting = records.iter().filter(|record| filter.matches(record));
    fitting.filter_map(|record| record.row.value("id").as_integer()).collect()
}

#[test]
fn the_database_and_memory_find_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, admin, records) = runtime.block_on(async {
        let server = TestServer::start().await;
        let admin = server.admin().await;
        let mut authors = Vec::new();
        for (place, name) in AUTHORS.iter().enumerate() {
            let user = server.member(&format!("author{place}")).await;
            let path = format!("/users/{}", user.id);
            admin.patch(&path, &json!({"first_name": name})).await.ok();
            authors.push(user);
        }
        server.allow_public(&[crate::support::Permission::to("create", "messages")]).await;
        let mut records = Vec::new();
        for (place, text) in TEXTS.iter().map(|text| json!(text)).chain([json!(null)]).enumerate() {
            let author = authors.get(place % 4);
            let row = json!({"content": text});
            if let Some(author) = author {
                author.post("/items/messages", &row).await.ok();
            } else {
                server.anonymous().post("/items/messages", &row).await.nothing();
            }
            let id = i64::try_from(place).unwrap() + 1;
            let mut message = Row::empty(&MESSAGES).with("id", Value::Integer(id));
            if let Some(text) = text.as_str() {
                message = message.with("content", Value::text(text));
            }
            let made = admin.get(&format!("/items/messages/{id}?fields=date_created")).await;
            let made = date::parse(made.body["data"]["date_created"].as_str().unwrap()).unwrap();
            message = message.with("date_created", Value::Timestamp(made));
            let behind = author.map(|author| {
                let name = AUTHORS[place % 4].map_or(Value::Null, Value::text);
                let key = Value::Uuid(author.id.parse().unwrap());
                Row::empty(&USERS).with("id", key).with("first_name", name)
            });
            if let Some(author) = &behind {
                message = message.with("user_created", author.value("id").clone());
            }
            let mut record = Record::new(Arc::new(message));
            let behind = behind.map(|author| Box::new(Record::from(author)));
            record.attach(MESSAGES.require("user_created"), Related::One(behind));
            records.push(record);
        }
        (server, admin, records)
    });

    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&filter(), |filter| {
        let query = json!({"query": {"filter": filter, "fields": ["id"], "limit": -1}});
        let found = runtime.block_on(admin.search("/items/messages", &query));
        prop_assert_eq!(found.status, 200, "{}", found.text);
        let rows = found.body["data"].as_array().unwrap();
        let database: Vec<i64> = rows.iter().filter_map(|row| row["id"].as_i64()).collect();
        prop_assert_eq!(database, in_memory(&records, &filter));
        Ok(())
    });

    runtime.block_on(server.stop());
    outcome.unwrap();
}
