//! Micro-benchmarks of pure functions: parsing a query, matching a filter, formatting a date,
//! encoding a frame.
//!
//! `cargo bench` runs all of them, `cargo bench -- matches` a subset. The cost of whole requests is
//! measured from outside, by `scripts/bench`.

use std::hint::black_box;
use std::sync::Arc;

use chinwag::clock::Timestamp;
use chinwag::model::Actor;
use chinwag::model::Record;
use chinwag::model::Related;
use chinwag::model::Row;
use chinwag::model::schema::MESSAGES;
use chinwag::model::schema::USERS;
use chinwag::model::schema::messages;
use chinwag::model::schema::users;
use chinwag::query::Environment;
use chinwag::query::Filter;
use chinwag::query::Limits;
use chinwag::query::Query;
use chinwag::transport::ws::encode::TextFrame;
use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;
use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_795_303_007_250);

/// At least as generous as the defaults.
const LIMITS: Limits =
    Limits { default: 100, max: None, depth: 10, parts: 10_000, relations: 100, term: 1000 };

/// Typical chat queries, from simple to complex.
fn queries() -> [(&'static str, Json); 3] {
    [
        (
            "newest",
            json!({"limit": "10", "sort": "-date_created", "fields": "*,user_created.first_name"}),
        ),
        (
            "filtered",
            json!({"filter": filter("owned"), "sort": ["-date_created", "id"], "page": 3}),
        ),
        (
            "wide",
            json!({"filter": {"_or": (0..100).map(|id| json!({"id": {"_eq": id}})).collect::<Vec<_>>()}}),
        ),
    ]
}

/// Filters of subscriptions.
fn filter(name: &str) -> Json {
    match name {
        "owned" => json!({"user_created": {"_eq": "$CURRENT_USER"}}),
        "contains" => json!({"content": {"_icontains": "HELLO"}}),
        "related" => json!({"user_created": {"first_name": {"_starts_with": "A"}}}),
        _ => json!({"_and": [filter("owned"), {"_or": [filter("contains"), filter("related")]},
            {"date_created": {"_gt": "$NOW(-1 day)"}}]}),
    }
}

fn record(author: Uuid) -> Record {
    let name = Row::empty(&USERS).with(&users::id, author).with(&users::first_name, "Alice");
    let message = Row::empty(&MESSAGES)
        .with(&messages::id, 7)
        .with(&messages::user_created, author)
        .with(&messages::date_created, NOW)
        .with(&messages::content, "Good morning everybody, and hello to those who are new here");
    let mut record = Record::new(Arc::new(message));
    record
        .attach(&messages::user_created, Related::One(Some(Box::new(Record::new(Arc::new(name))))));
    record
}

fn pure(criterion: &mut Criterion) {
    let author = Uuid::from_u128(7);
    let actor = Actor { user: Some(author), ..Actor::denied() };
    let environment = Environment::new(&actor, NOW);

    for (name, query) in queries() {
        criterion.bench_function(&format!("parse/{name}"), |bench| {
            bench.iter(|| Query::parse(&MESSAGES, black_box(&query), &environment, &LIMITS));
        });
    }
    let record = record(author);
    for name in ["owned", "contains", "related", "all"] {
        let filter =
            Filter::parse(&MESSAGES, &filter(name), &environment, &LIMITS).expect("it makes sense");
        criterion.bench_function(&format!("matches/{name}"), |bench| {
            bench.iter(|| filter.matches(black_box(&record)));
        });
    }
    criterion.bench_function("date/wire", |bench| bench.iter(|| black_box(NOW).to_string()));
    criterion.bench_function("frame/300 bytes", |bench| {
        let text = "x".repeat(300);
        bench.iter(|| {
            let mut frame = TextFrame::with_capacity(text.len());
            frame.push(black_box(&text));
            frame.finish()
        });
    });
}

criterion_group!(benches, pure);
criterion_main!(benches);
