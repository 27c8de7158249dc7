//! The event log: reading and retention.

use chinwag::model::schema::messages;
use std::sync::Arc;

use chinwag::clock::Timestamp;
use chinwag::config::Config;
use chinwag::model::schema::MESSAGES;
use chinwag::model::{Event, Key, Row, Value};
use chinwag::store::{
    FlowKey, IdempotencyKey, Mutation, Outcome, Precondition, Retention, Store, StoreError, Write,
};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::soon;

/// No limit on the number of events.
const ALL: u32 = u32::MAX;

async fn opened() -> (Store, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::for_tests().store;
    config.filename = Some(directory.path().join("chinwag.db"));
    let (committed, mut published) = mpsc::channel(10_000);
    tokio::spawn(async move { while published.recv().await.is_some() {} });
    (Store::open(&config, committed).await.unwrap(), directory)
}

fn write(at: i64, ops: Vec<Mutation>) -> Write {
    Write { actor: None, at: Timestamp::from_millis(at), ops }
}

fn create(at: i64, content: &str) -> Write {
    let row = Row::empty(&MESSAGES)
        .with(&messages::content, content)
        .with(&messages::date_created, Timestamp::from_millis(at));
    write(at, vec![Mutation::Create { collection: &MESSAGES, rows: vec![row] }])
}

const fn keeping(events_max: i64) -> Retention {
    Retention { since: None, events_max: Some(events_max) }
}

/// Waits until the search index has processed every event: unprocessed events stay in the log.
async fn indexed(store: &Store) {
    soon(async {
        while store.indexed() < store.position() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Truncates the log as far as possible, and returns the first event that is left.
async fn shortened(store: &Store, retention: Retention) -> i64 {
    indexed(store).await;
    while store.truncate_log(retention).await.unwrap() {}
    let head = store.head().seq;
    let mut before = head;
    while before > 0 && store.events(before - 1, head, 1).await.is_ok() {
        before -= 1;
    }
    before + 1
}

#[tokio::test]
async fn the_log_returns_the_recorded_events() {
    let (store, _directory) = opened().await;
    let mut happened: Vec<Arc<Event>> = Vec::new();
    happened.extend(store.write(create(5, "héllo \" 🎉")).await.unwrap());
    happened.extend(store.write(create(6, "other")).await.unwrap());
    let (keys, precondition) = (vec![Key::Integer(1), Key::Integer(2)], Precondition::None);
    let set = vec![messages::content.to(Value::Null)];
    let update = Mutation::Update { collection: &MESSAGES, keys: keys.clone(), set, precondition };
    happened.extend(store.write(write(7, vec![update])).await.unwrap());
    let delete = Mutation::delete(&MESSAGES, keys, Precondition::None);
    happened.extend(store.write(write(8, vec![delete])).await.unwrap());

    let page = store.events(0, store.head().seq, ALL).await.unwrap();

    assert_eq!(page.last, 4);
    assert_eq!(format!("{:?}", page.events), format!("{happened:?}"));
    let part = store.events(1, 3, 1).await.unwrap();
    assert_eq!((part.events[0].seq, part.last), (2, 2));
    assert_eq!(store.find_place(3).await.unwrap(), Some(happened[2].place()));
    assert_eq!(store.find_place(5).await.unwrap(), None);
    store.close().await;
}

#[tokio::test]
async fn the_log_is_truncated_by_count_and_age_but_never_emptied() {
    let (store, _directory) = opened().await;
    for at in 1..=1200 {
        store.write(create(at, "x")).await.unwrap();
    }

    indexed(&store).await;
    // Each call drops a chunk, so that other writes do not wait for all of it.
    assert!(store.truncate_log(keeping(100)).await.unwrap());
    assert!(matches!(store.events(0, 1200, ALL).await, Err(StoreError::Forgotten)));
    assert_eq!(store.events(500, 1200, ALL).await.unwrap().events.len(), 700);
    assert_eq!(shortened(&store, keeping(100)).await, 1101);
    let since = Some(Timestamp::from_millis(1151));
    assert_eq!(shortened(&store, Retention { since, events_max: None }).await, 1151);
    let forever = Retention { since: None, events_max: None };
    assert_eq!(shortened(&store, forever).await, 1151);
    let since = Some(Timestamp::from_millis(i64::MAX));
    assert_eq!(shortened(&store, Retention { since, events_max: Some(1) }).await, 1200);

    assert_eq!(store.find_place(1199).await.unwrap(), None);
    assert_eq!(store.find_place(1200).await.unwrap(), Some(store.head()));
    store.close().await;
}

#[tokio::test]
async fn log_rows_of_internal_collections_are_not_parsed() {
    let (store, directory) = opened().await;
    store.write(create(1, "first")).await.unwrap();
    store.write(create(2, "second")).await.unwrap();
    let file = directory.path().join("chinwag.db");
    let mut look = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    // As an earlier version wrote a single event with millions of sessions. The value is not JSON,
    // so that parsing it would fail.
    let sql = "update event_log set collection = 'directus_sessions', action = 'delete', \
               keys = '[\"6b9f61f5-02a9-4de6-9ea1-1a2bd5d1a6a1\"]', before = 'long', after = null \
               where seq = 1";
    sqlx::query(sql).execute(&mut look).await.unwrap();

    let page = store.events(0, 2, ALL).await.unwrap();

    let change = &page.events[0].changes[0];
    assert!(change.before.is_none() && change.after.is_none());
    assert_eq!(change.key.to_string(), "6b9f61f5-02a9-4de6-9ea1-1a2bd5d1a6a1");
    assert!(page.events[1].changes[0].after.is_some());
    store.close().await;
}

#[tokio::test]
async fn events_held_by_a_reader_are_not_truncated() {
    let (store, _directory) = opened().await;
    for at in 1..=20 {
        store.write(create(at, "x")).await.unwrap();
    }

    store.hold_log("one", 7);
    store.hold_log("another", 12);
    assert_eq!(shortened(&store, keeping(1)).await, 8);
    store.hold_log("one", 15);
    assert_eq!(shortened(&store, keeping(1)).await, 13);
    store.close().await;
}

#[tokio::test]
async fn idempotency_keys_are_removed_with_their_events() {
    let (store, _directory) = opened().await;
    let (key, digest) = ("k".to_owned(), "d".to_owned());
    let once = IdempotencyKey { owner: None, key, digest, collection: &MESSAGES, roots: vec![0] };
    let first =
        store.write_in_flow(FlowKey::of(()), create(1, "x"), Some(once.clone())).await.unwrap();
    assert!(matches!(first, Outcome::Committed(events) if events.len() == 1));
    let again =
        store.write_in_flow(FlowKey::of(()), create(2, "x"), Some(once.clone())).await.unwrap();
    assert!(matches!(again, Outcome::Duplicate(keys) if keys == [Key::Integer(1)]));
    let other = IdempotencyKey { digest: "e".to_owned(), ..once.clone() };
    let reused = store.write_in_flow(FlowKey::of(()), create(3, "x"), Some(other)).await;
    assert!(matches!(reused, Err(StoreError::KeyReused)));

    store.write(create(4, "y")).await.unwrap();
    shortened(&store, keeping(1)).await;

    let anew = store.write_in_flow(FlowKey::of(()), create(5, "x"), Some(once)).await.unwrap();
    assert!(matches!(anew, Outcome::Committed(_)));
    store.close().await;
}
