//! Writes with many consequences: executed in steps of bounded size with an event for every change,
//! interleaved with other writes, and resumed by the next process.

mod caches;
mod deletions;
mod erasure;
mod service;
mod sweeps;

use std::sync::Arc;

use chinwag::clock::Timestamp;
use chinwag::config::{Config, StoreConfig};
use chinwag::model::id;
use chinwag::model::schema::messages;
use chinwag::model::schema::sessions;
use chinwag::model::schema::users;
use chinwag::model::schema::{MESSAGES, SESSIONS, USERS};
use chinwag::model::{AccountStatus, SessionMode};
use chinwag::model::{Collection, Event, EventAction, Key, Row, Value};
use chinwag::store::{
    Committed, FlowKey, Mutation, Outcome, Precondition, Store, StoreError, Write,
};
use sqlx::{Connection, Row as _, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Number of items per step in these tests.
const STEP: usize = 50;

const ALICE: Uuid = Uuid::from_u128(0xa11ce);
const BOB: Uuid = Uuid::from_u128(0xb0b);
const ADMIN: Uuid = Uuid::from_u128(0xad);

/// A store in a directory of its own.
struct World {
    store: Arc<Store>,
    config: StoreConfig,
    published: mpsc::Receiver<Committed>,
    directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests().store;
        config.filename = Some(directory.path().join("chinwag.db"));
        config.step_rows_max = STEP;
        let (committed, published) = mpsc::channel(100_000);
        let store = Arc::new(Store::open(&config, committed).await.unwrap());
        Self { store, config, published, directory }
    }

    /// Drops the store between two steps, and opens the file again.
    async fn reopened(self) -> Self {
        let Self { store, config, directory, .. } = self;
        store.close().await;
        drop(store);
        let (committed, published) = mpsc::channel(100_000);
        let store = Arc::new(Store::open(&config, committed).await.unwrap());
        Self { store, config, published, directory }
    }

    async fn write(&self, ops: Vec<Mutation>) -> Vec<Arc<Event>> {
        self.store.write(write(ops)).await.unwrap()
    }

    /// Commits one transaction of a write, and returns its events and the rest of the write.
    async fn step(&self, write: Write) -> Result<(Vec<Arc<Event>>, Option<Write>), StoreError> {
        match self.store.write_in_flow(FlowKey::of(()), write, None).await? {
            Outcome::Committed(events) => Ok((events, None)),
            Outcome::Partial(events, rest) => Ok((events, Some(rest))),
            Outcome::Duplicate(keys) => panic!("{keys:?}"),
        }
    }

    /// Creates accounts.
    async fn users(&self, ids: &[Uuid], role: Option<Uuid>) {
        let rows = ids.iter().map(|id| {
            Row::empty(&USERS)
                .with(&users::id, *id)
                .with(&users::email, format!("{id}@example.com"))
                .with(&users::status, AccountStatus::Active)
                .with(&users::token, id.to_string())
                .with(&users::provider, "default")
                .with(&users::role, role)
        });
        self.write(vec![Mutation::Create { collection: &USERS, rows: rows.collect() }]).await;
    }

    /// Creates messages with these authors and editors.
    async fn messages(&self, authors: impl Iterator<Item = (Option<Uuid>, Option<Uuid>)>) {
        let rows = authors.enumerate().map(|(place, (author, editor))| {
            message(&format!("message {place}"))
                .with(&messages::user_created, author)
                .with(&messages::user_updated, editor)
        });
        let rows: Vec<Row> = rows.collect();
        self.write(vec![Mutation::Create { collection: &MESSAGES, rows }]).await;
    }

    /// Creates sessions of an account.
    async fn sessions(&self, user: Uuid, count: usize, expires: i64) {
        let rows: Vec<Row> = (0..count).map(|_| session(user, expires)).collect();
        self.write(vec![Mutation::Create { collection: &SESSIONS, rows }]).await;
    }

    /// Returns the count that a query of the file selects.
    async fn count(&self, sql: &str) -> i64 {
        let file = self.directory.path().join("chinwag.db");
        let mut look =
            SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::query(sql).fetch_one(&mut look).await.unwrap().get(0)
    }
}

fn write(ops: Vec<Mutation>) -> Write {
    Write { actor: Some(ADMIN), at: Timestamp::from_millis(7), ops }
}

fn delete(collection: &'static Collection, ids: &[Uuid]) -> Mutation {
    let keys = ids.iter().copied().map(Key::Uuid).collect();
    Mutation::delete(collection, keys, Precondition::None)
}

fn message(content: &str) -> Row {
    Row::empty(&MESSAGES)
        .with(&messages::content, content)
        .with(&messages::date_created, Timestamp::from_millis(1))
}

fn session(user: Uuid, expires: i64) -> Row {
    let at = Value::Timestamp(Timestamp::from_millis(1));
    Row::empty(&SESSIONS)
        .with(&sessions::id, id::fresh())
        .with(&sessions::user, user)
        .with(&sessions::mode, SessionMode::Json)
        .with(&sessions::seed, "seed")
        .with(&sessions::generation, 1)
        .with(&sessions::date_created, at.clone())
        .with(&sessions::date_rotated, at)
        .with(&sessions::expires, Timestamp::from_millis(expires))
}

/// Returns the number of items in the events of a collection and action, and the number in the
/// longest one.
fn items(events: &[Arc<Event>], of: &'static Collection, action: EventAction) -> (usize, usize) {
    let lengths = events
        .iter()
        .filter(|event| event.collection == of && event.action == action)
        .map(|event| event.changes.len());
    let lengths: Vec<usize> = lengths.collect();
    (lengths.iter().sum(), lengths.into_iter().max().unwrap_or_default())
}
