//! Store guarantees: group commit, total order, increasing numbers, a single process, and limits.

use std::sync::Arc;
use std::time::Duration;

use chinwag::clock::Timestamp;
use chinwag::config::{Config, StoreConfig};
use chinwag::model::AccountStatus;
use chinwag::model::schema::messages;
use chinwag::model::schema::users;
use chinwag::model::schema::{MESSAGES, USERS};
use chinwag::model::{Event, Key, Row, Value};
use chinwag::query::Filter;
use chinwag::store::{
    Committed, FlowKey, IdempotencyKey, Mutation, Outcome, Precondition, Store, StoreError, Write,
};
use sqlx::{Connection, Row as _, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::soon;

/// A store in a directory of its own, and its published batches.
struct Opened {
    store: Arc<Store>,
    published: mpsc::Receiver<Committed>,
    config: StoreConfig,
    directory: TempDir,
}

impl Opened {
    async fn new() -> Self {
        Self::with(10_000).await
    }

    async fn with(committed_max: usize) -> Self {
        Self::bent(committed_max, |_| {}).await
    }

    async fn bent(committed_max: usize, bend: impl FnOnce(&mut StoreConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests().store;
        config.filename = Some(directory.path().join("chinwag.db"));
        bend(&mut config);
        let (committed, published) = mpsc::channel(committed_max);
        let store = Arc::new(Store::open(&config, committed).await.unwrap());
        Self { store, published, config, directory }
    }

    async fn reopened(self) -> Self {
        self.store.close().await;
        drop(self.store);
        let (committed, published) = mpsc::channel(10_000);
        let store = Arc::new(Store::open(&self.config, committed).await.unwrap());
        Self { store, published, config: self.config, directory: self.directory }
    }

    /// Opens the file beside the store, to inspect it.
    async fn look(&self) -> SqliteConnection {
        let file = self.directory.path().join("chinwag.db");
        SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap()
    }

    async fn published(&mut self, count: usize) -> Vec<Arc<Event>> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(soon(self.published.recv()).await.unwrap().iter().cloned());
        }
        events
    }
}

fn create(rows: Vec<Row>) -> Write {
    let ops = vec![Mutation::Create { collection: &MESSAGES, rows }];
    Write { actor: None, at: Timestamp::from_millis(0), ops }
}

fn delete(keys: Vec<Key>) -> Write {
    let ops = vec![Mutation::delete(&MESSAGES, keys, Precondition::None)];
    Write { actor: None, at: Timestamp::from_millis(0), ops }
}

fn message(content: &str) -> Row {
    Row::empty(&MESSAGES)
        .with(&messages::content, content)
        .with(&messages::date_created, Timestamp::from_millis(1))
}

fn number(events: &[Arc<Event>]) -> i64 {
    match events[0].changes[0].key {
        Key::Integer(number) => number,
        Key::Uuid(id) => panic!("{id}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creates_have_one_dense_order() {
    let mut opened = Opened::new().await;
    let writes = (0..300).map(|place| {
        let store = Arc::clone(&opened.store);
        tokio::spawn(async move { store.write(create(vec![message(&format!("m{place}"))])).await })
    });

    let mut ids = Vec::new();
    for write in writes.collect::<Vec<_>>() {
        ids.push(number(&soon(write).await.unwrap().unwrap()));
    }

    ids.sort_unstable();
    assert_eq!(ids, (1..=300).collect::<Vec<_>>());
    let events = opened.published(300).await;
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
    let rows = sqlx::query(
        "select seq, keys ->> 0, content from event_log join messages on id = keys ->> 0 \
         where action = 'create' order by seq",
    )
    .fetch_all(&mut opened.look().await)
    .await
    .unwrap();
    assert_eq!(rows.len(), 300);
    for (row, event) in rows.iter().zip(&events) {
        assert_eq!(row.get::<i64, _>(0), event.seq);
        assert_eq!(Key::Integer(row.get(1)), event.changes[0].key);
        let after = event.changes[0].after.as_ref().unwrap();
        assert_eq!(after.get(&messages::content), Some(row.get(2)));
    }
}

#[tokio::test]
async fn a_bad_write_in_a_batch_fails_alone() {
    let opened = Opened::new().await;
    let missing_author = Value::Uuid(uuid::Uuid::from_u128(404));
    let bad = message("bad").with(&messages::user_created, missing_author);

    // Queued in one poll, so that they form one batch.
    let (first, second, third) = tokio::join!(
        opened.store.write(create(vec![message("first")])),
        opened.store.write(create(vec![bad])),
        opened.store.write(create(vec![message("third")])),
    );

    first.unwrap();
    assert!(matches!(second, Err(StoreError::NoSuchTarget { .. })), "{second:?}");
    third.unwrap();
    let contents = sqlx::query("select content from messages order by id")
        .fetch_all(&mut opened.look().await)
        .await
        .unwrap();
    let contents: Vec<&str> = contents.iter().map(|row| row.get(0)).collect();
    assert_eq!(contents, ["first", "third"]);
}

#[tokio::test]
async fn refused_writes_do_not_split_the_batch() {
    let mut opened = Opened::new().await;
    let store = &opened.store;
    let once = |digest: &str| IdempotencyKey {
        owner: None,
        key: "key".to_owned(),
        digest: digest.to_owned(),
        collection: &MESSAGES,
        roots: vec![0],
    };
    let keyed = |key: i64| {
        let mut row = message("keyed");
        row.set(MESSAGES.key(), Value::Integer(key));
        row
    };
    store
        .write_in_flow(FlowKey::of(()), create(vec![message("first")]), Some(once("one")))
        .await
        .unwrap();
    opened.published(1).await;
    let missing_author = Value::Uuid(uuid::Uuid::from_u128(404));
    let precondition = Precondition::All(Filter::And(Vec::new()));
    let missing = Mutation::delete(&MESSAGES, vec![Key::Integer(404)], precondition);
    let missing = Write { actor: None, at: Timestamp::from_millis(0), ops: vec![missing] };
    let orphan = || {
        create(vec![
            message("half"),
            message("bad").with(&messages::user_created, missing_author.clone()),
        ])
    };
    let other = IdempotencyKey { key: "other".to_owned(), ..once("two") };
    let store = &opened.store;

    // Queued in one poll, so that they form one batch.
    let outcomes = tokio::join!(
        store.write(create(vec![message("a")])),
        store.write_in_flow(FlowKey::of(()), create(vec![message("reused")]), Some(once("two"))),
        store.write_in_flow(FlowKey::of(()), orphan(), Some(other.clone())),
        store.write(create(vec![message("b")])),
        store.write(create(vec![keyed(1)])),
        store.write(missing),
        store.write(create(vec![message("c")])),
        store.write_in_flow(FlowKey::of(()), create(vec![message("again")]), Some(once("one"))),
        store.write_in_flow(FlowKey::of(()), create(vec![message("d")]), Some(other.clone())),
    );

    let (a, reused, orphan, b, taken, missing, c, before, d) = outcomes;
    assert!(matches!(reused, Err(StoreError::KeyReused)), "{reused:?}");
    assert!(matches!(orphan, Err(StoreError::NoSuchTarget { .. })), "{orphan:?}");
    assert!(matches!(taken, Err(StoreError::NotUnique { .. })), "{taken:?}");
    assert!(matches!(missing, Err(StoreError::Refused)), "{missing:?}");
    assert!(matches!(before, Ok(Outcome::Duplicate(keys)) if keys == [Key::Integer(1)]));
    let Ok(Outcome::Committed(d)) = d else { panic!("{d:?}") };
    let done = [a.unwrap(), b.unwrap(), c.unwrap(), d];
    assert_eq!(done.each_ref().map(|events| number(events)), [2, 3, 4, 5]);
    assert_eq!(done.each_ref().map(|events| events[0].seq), [2, 3, 4, 5]);
    // The events of one transaction are published together.
    let committed = soon(opened.published.recv()).await.unwrap();
    assert_eq!(committed.iter().map(|event| event.seq).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let again = opened
        .store
        .write_in_flow(FlowKey::of(()), create(vec![message("d")]), Some(other))
        .await
        .unwrap();
    assert!(matches!(again, Outcome::Duplicate(keys) if keys == [Key::Integer(5)]));
    let contents = sqlx::query("select content from messages order by id")
        .fetch_all(&mut opened.look().await)
        .await
        .unwrap();
    let contents: Vec<&str> = contents.iter().map(|row| row.get(0)).collect();
    assert_eq!(contents, ["first", "a", "b", "c", "d"]);
}

#[tokio::test]
async fn the_mutations_of_a_write_are_atomic() {
    let opened = Opened::new().await;
    let kept = number(&opened.store.write(create(vec![message("kept")])).await.unwrap());
    let missing_author = Value::Uuid(uuid::Uuid::from_u128(404));
    let mut write = delete(vec![Key::Integer(kept)]);
    write
        .ops
        .extend(create(vec![message("bad").with(&messages::user_created, missing_author)]).ops);

    opened.store.write(write).await.unwrap_err();

    assert!(opened.store.find(&MESSAGES, Key::Integer(kept)).await.unwrap().is_some());
}

#[tokio::test]
async fn keys_are_not_reused_after_a_restart() {
    let opened = Opened::new().await;
    let first = opened.store.write(create(vec![message("first")])).await.unwrap();
    let gone = number(&opened.store.write(create(vec![message("gone")])).await.unwrap());
    let last = opened.store.write(delete(vec![Key::Integer(gone)])).await.unwrap();

    let opened = opened.reopened().await;
    let next = opened.store.write(create(vec![message("next")])).await.unwrap();

    assert_eq!(number(&next), gone + 1);
    assert_eq!(next[0].seq, last[0].seq + 1);
    let kept = opened.store.find(&MESSAGES, Key::Integer(number(&first))).await.unwrap().unwrap();
    assert_eq!(kept.get(&messages::content), Some("first"));
}

#[tokio::test]
async fn chosen_keys_are_skipped_without_moving_the_sequence() {
    let opened = Opened::new().await;
    let chosen = |id: i64| message("chosen").with(&messages::id, id);
    opened.store.write(create(vec![message("1")])).await.unwrap();

    opened.store.write(create(vec![chosen(3), chosen(1_000_000)])).await.unwrap();
    let mut counted = Vec::new();
    for _ in 0..2 {
        counted.push(number(&opened.store.write(create(vec![message("m")])).await.unwrap()));
    }
    let opened = opened.reopened().await;
    counted.push(number(&opened.store.write(create(vec![message("m")])).await.unwrap()));
    let taken = opened.store.write(create(vec![chosen(3)])).await;

    assert_eq!(counted, [2, 4, 5]);
    let Err(StoreError::NotUnique { field, value, .. }) = taken else { panic!("{taken:?}") };
    assert_eq!((field, value.as_str()), ("id", "3"));
}

#[tokio::test]
async fn the_log_keeps_old_values_without_secrets() {
    let opened = Opened::new().await;
    let user = Row::empty(&USERS)
        .with(&users::id, uuid::Uuid::from_u128(1))
        .with(&users::first_name, "Ann")
        .with(&users::status, AccountStatus::Active)
        .with(&users::provider, "default")
        .with(&users::password, "$argon2id$a-hash");
    let key = user.key().unwrap();
    let at = Timestamp::from_millis(0);
    let write = |ops| Write { actor: None, at, ops };
    let made = write(vec![Mutation::Create { collection: &USERS, rows: vec![user] }]);
    opened.store.write(made).await.unwrap();

    let renamed = write(vec![Mutation::Update {
        collection: &USERS,
        keys: vec![key],
        set: vec![users::first_name.to("Anna")],
        precondition: Precondition::None,
    }]);
    opened.store.write(renamed).await.unwrap();

    let rows = sqlx::query("select action, before from event_log order by seq")
        .fetch_all(&mut opened.look().await)
        .await
        .unwrap();
    let before: &str = rows[1].get(1);
    assert_eq!(rows[1].get::<&str, _>(0), "update");
    assert!(before.contains("Ann") && !before.contains("Anna"), "{before}");
    assert!(!before.contains("argon2id"), "{before}");
}

#[tokio::test]
async fn a_database_is_locked_by_one_process() {
    let opened = Opened::new().await;
    let (committed, _published) = mpsc::channel(1);

    let second = Store::open(&opened.config, committed).await;

    assert!(matches!(second, Err(StoreError::InUse(_))), "{:?}", second.err());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let opened = Opened::new().await;
    opened.store.close().await;
    let insert = "insert into _sqlx_migrations (version, description, success, checksum, \
                  execution_time) values (999, 'from the future', true, x'00', 0)";
    sqlx::query(insert).execute(&mut opened.look().await).await.unwrap();
    let Opened { store, config, directory, .. } = opened;
    drop(store);
    let (committed, _published) = mpsc::channel(1);

    let refused = Store::open(&config, committed).await.err();

    assert!(matches!(refused, Some(StoreError::NewerSchema { found: 999, .. })), "{refused:?}");
    drop(directory);
}

#[tokio::test]
async fn a_full_queue_refuses_writes_and_keeps_the_queued_ones() {
    // The published batches are not received, so the writer blocks after the first one.
    let mut opened = Opened::with(1).await;
    let writes: Vec<_> = (0..20_000)
        .map(|_| {
            let store = Arc::clone(&opened.store);
            tokio::spawn(async move { store.write(create(vec![message("m")])).await })
        })
        .collect();
    let drain = tokio::spawn(async move { while opened.published.recv().await.is_some() {} });

    let (mut kept, mut refused) = (0, 0);
    for write in writes {
        match soon(write).await.unwrap() {
            Ok(_) => kept += 1,
            Err(StoreError::QueueFull) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    opened.store.close().await;

    assert!(refused > 0, "{kept} were kept");
    let file = opened.directory.path().join("chinwag.db");
    let mut look = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let row = sqlx::query("select count(*) from messages").fetch_one(&mut look).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), kept);
    drop(opened.store);
    soon(drain).await.unwrap();
}

#[tokio::test]
async fn the_write_queue_is_limited_by_size() {
    let opened = Opened::bent(10_000, |config| config.write_queue_bytes_max = 1 << 20).await;
    let large = "x".repeat(300 << 10);

    // Queued in one poll, before the writer takes any of them.
    let writes = (0..10).map(|_| opened.store.write(create(vec![message(&large)])));
    let answers = soon(futures_util::future::join_all(writes)).await;

    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    let full = |answer: &&Result<_, _>| matches!(answer, Err(StoreError::QueueFull));
    assert_eq!((kept, answers.iter().filter(full).count()), (3, 7));
    // A write that is larger than the whole queue is accepted while the queue is empty.
    let larger = message(&"x".repeat(2 << 20));
    soon(opened.store.write(create(vec![larger]))).await.unwrap();
}

#[tokio::test]
async fn a_flow_with_a_large_backlog_does_not_delay_others() {
    let mut opened = Opened::new().await;
    let (much, little) = (FlowKey::of("much"), FlowKey::of("little"));
    let large = "x".repeat(256 << 10);
    let write =
        |turn, text: &str| opened.store.write_in_flow(turn, create(vec![message(text)]), None);

    // Queued in one poll, before the writer takes any of them.
    let all = (0..64).map(|_| write(much, &large));
    let (all, one) =
        soon(futures_util::future::join(futures_util::future::join_all(all), write(little, "one")))
            .await;

    let number = |done: Result<Outcome, StoreError>| match done.unwrap() {
        Outcome::Committed(events) => number(&events),
        other => panic!("{other:?}"),
    };
    assert_eq!(number(one), 2);
    let order: Vec<i64> = all.into_iter().map(number).collect();
    assert!(order.is_sorted(), "{order:?}");
    let mut left = 65;
    while left > 0 {
        let batch = soon(opened.published.recv()).await.unwrap();
        assert!(batch.len() <= 17, "{} in one batch", batch.len());
        left -= batch.len();
    }
}

#[tokio::test]
async fn batches_are_limited_by_mutated_bytes() {
    let mut opened = Opened::bent(10_000, |config| config.mutation_bytes_max = 8 << 20).await;
    let text = "x".repeat(60_000);
    let rows: Vec<Row> = (0..50).map(|_| message(&text)).collect();
    soon(opened.store.write(create(rows))).await.unwrap();
    opened.published(50).await;
    let keys: Vec<Key> = (1..=50).map(Key::Integer).collect();
    let update = |text: &str| {
        let set = vec![messages::content.to(text)];
        let (keys, precondition) = (keys.clone(), Precondition::None);
        let ops = vec![Mutation::Update { collection: &MESSAGES, keys, set, precondition }];
        Write { actor: None, at: Timestamp::from_millis(0), ops }
    };

    // Each is small in the queue, but touches three megabytes before and after.
    let updates = (0..4).map(|turn| {
        opened.store.write_in_flow(
            FlowKey::of(turn / 2),
            update(&turn.to_string().repeat(60_000)),
            None,
        )
    });
    let answers = soon(futures_util::future::join_all(updates)).await;

    assert!(answers.iter().all(Result::is_ok));
    let mut batches = Vec::new();
    while batches.iter().sum::<usize>() < 4 * 25 {
        batches.push(soon(opened.published.recv()).await.unwrap().len());
    }
    // Six megabytes each, in events of two items.
    assert_eq!(batches, [25; 4]);
    let row = sqlx::query("select distinct content from messages")
        .fetch_all(&mut opened.look().await)
        .await
        .unwrap();
    assert_eq!(row.len(), 1);
    // The final content is from the last write of one of the two flows.
    let last = row[0].get::<&str, _>(0);
    assert!(last.starts_with('1') || last.starts_with('3'), "{}", &last[..1]);
}

#[tokio::test]
async fn default_sort_orders_use_an_index() {
    let opened = Opened::new().await;
    let mut look = opened.look().await;

    for order in ["date_created desc, id desc", "date_created, id", "id desc", "id"] {
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!(
            "explain query plan select * from messages order by {order} limit 10"
        )))
        .fetch_all(&mut look)
        .await
        .unwrap();
        let plan: Vec<&str> = plan.iter().map(|step| step.get("detail")).collect();

        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{order}: {plan:?}");
    }
}

#[tokio::test]
async fn closing_the_store_commits_queued_writes() {
    let opened = Opened::new().await;
    let mut queued: Vec<_> =
        (0..50).map(|_| Box::pin(opened.store.write(create(vec![message("queued")])))).collect();
    for write in &mut queued {
        // Polled once, so that they are queued.
        let _ = futures_util::poll!(write.as_mut());
    }

    tokio::time::timeout(Duration::from_secs(10), opened.store.close()).await.unwrap();

    for write in queued {
        soon(write).await.unwrap();
    }
    assert!(matches!(
        opened.store.write(create(vec![message("late")])).await,
        Err(StoreError::Stopped)
    ));
}
