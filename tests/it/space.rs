//! Free space in the database file: it is returned to the disk.

use chinwag::clock::Timestamp;
use chinwag::config::{Config, StoreConfig};
use chinwag::model::schema::MESSAGES;
use chinwag::model::schema::messages;
use chinwag::model::{Key, Row};
use chinwag::store::{Mutation, Precondition, Retention, Store, Write};
use sqlx::{Connection, Row as _, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::soon;

/// The free space that is kept for later writes, and a margin.
const KEPT: u64 = 6 << 20;

fn configured() -> (StoreConfig, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::for_tests().store;
    config.filename = Some(directory.path().join("chinwag.db"));
    (config, directory)
}

async fn open(config: &StoreConfig) -> Store {
    let (committed, mut published) = mpsc::channel(100);
    tokio::spawn(async move { while published.recv().await.is_some() {} });
    Store::open(config, committed).await.unwrap()
}

async fn beside(config: &StoreConfig) -> SqliteConnection {
    let file = config.filename.as_ref().unwrap().display().to_string();
    SqliteConnection::connect(&format!("sqlite:{file}?mode=rwc")).await.unwrap()
}

fn length(config: &StoreConfig) -> u64 {
    std::fs::metadata(config.filename.as_ref().unwrap()).unwrap().len()
}

/// Writes some megabytes, and deletes them again together with their log entries.
async fn come_and_go(store: &Store) {
    let write = |op| Write { actor: None, at: Timestamp::from_millis(0), ops: vec![op] };
    let message = |_| {
        Row::empty(&MESSAGES)
            .with(&messages::content, "m".repeat(20_000))
            .with(&messages::date_created, Timestamp::from_millis(1))
    };
    for _ in 0..10 {
        let rows = (0..50).map(message).collect();
        let events =
            store.write(write(Mutation::Create { collection: &MESSAGES, rows })).await.unwrap();
        let keys = events.iter().map(|event| event.changes[0].key).collect::<Vec<Key>>();
        let op = Mutation::delete(&MESSAGES, keys, Precondition::None);
        store.write(write(op)).await.unwrap();
    }
    soon(async {
        while store.indexed() < store.position() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    while store.truncate_log(Retention { since: None, events_max: Some(1) }).await.unwrap() {}
}

async fn integrity(config: &StoreConfig) -> String {
    let mut database = beside(config).await;
    let row = sqlx::query("pragma integrity_check").fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn free_space_is_returned_to_the_disk_in_steps() {
    let (config, _directory) = configured();
    let store = open(&config).await;
    come_and_go(&store).await;
    store.close().await;
    drop(store);
    assert!(length(&config) > 3 * KEPT, "{}", length(&config));

    let store = open(&config).await;
    let mut steps = 1;
    while store.return_space().await.unwrap() {
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
    store.close().await;

    assert!(length(&config) < KEPT, "{}", length(&config));
    assert_eq!(integrity(&config).await, "ok");
}

#[tokio::test]
async fn older_databases_return_space_after_a_vacuum() {
    let (config, _directory) = configured();
    let mut database = beside(&config).await;
    sqlx::raw_sql("create table earlier (id integer)").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let store = open(&config).await;
    come_and_go(&store).await;
    assert!(!store.return_space().await.unwrap());
    store.close().await;
    drop(store);
    let before = length(&config);

    let vacuumed = Store::vacuum(&config).await.unwrap();

    assert_eq!((vacuumed.before, vacuumed.after), (before, length(&config)));
    assert!(vacuumed.after < 2 << 20, "{vacuumed:?}");
    assert_eq!(integrity(&config).await, "ok");
    let store = open(&config).await;
    come_and_go(&store).await;
    assert!(store.return_space().await.unwrap());
    store.close().await;
}
