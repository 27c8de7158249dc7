//! Deletions by condition, one step at a time; events of bounded length; a log that is truncated by
//! items, not by events.

use std::sync::atomic::{AtomicBool, Ordering};

use chinwag::model::Event;
use chinwag::model::schema::messages;
use chinwag::model::schema::sessions;
use chinwag::model::schema::users;
use chinwag::query::{Filter, Test};
use chinwag::store::Retention;

use super::*;
use crate::support::soon;

fn expired(at: i64) -> Mutation {
    let test = Test::Lte(Value::Timestamp(Timestamp::from_millis(at)));
    let filter = Filter::Field(&sessions::expires, test);
    Mutation::DeleteWhere { collection: &SESSIONS, filter }
}

/// Returns whether an event ends sessions.
fn is_end(event: &Event) -> bool {
    *event.collection == SESSIONS && event.action == EventAction::Delete
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_session_deletion_interleaves_with_other_writes() {
    let mut world = World::new().await;
    world.users(&[ALICE], None).await;
    world.sessions(ALICE, 1_000, 5).await;
    world.sessions(ALICE, 3, 500).await;
    let begin = world.store.position();
    let swept = AtomicBool::new(false);

    let sweeping = async {
        world.store.write(write(vec![expired(5)])).await.unwrap();
        swept.store(true, Ordering::SeqCst);
    };
    let writing = async {
        while !swept.load(Ordering::SeqCst) {
            let rows = vec![message("meanwhile")];
            let ops = vec![Mutation::Create { collection: &MESSAGES, rows }];
            let turn = FlowKey::of("another");
            world.store.write_in_flow(turn, write(ops), None).await.unwrap();
        }
    };
    soon(async { tokio::join!(sweeping, writing) }).await;

    let mut events = Vec::new();
    while let Ok(committed) = world.published.try_recv() {
        events.extend(committed.iter().filter(|event| event.seq > begin).cloned());
    }
    assert_eq!(items(&events, &SESSIONS, EventAction::Delete), (1_000, STEP));
    let ends: Vec<usize> = (0..events.len()).filter(|place| is_end(&events[*place])).collect();
    let between = ends.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
    assert!(between > ends.len() / 2, "other writes ran between {between} of {} steps", ends.len());
    assert_eq!(world.count("select count(*) from directus_sessions").await, 3);
}

#[tokio::test]
async fn a_refused_multi_step_write_has_no_effect() {
    let world = World::new().await;
    world.users(&[ALICE], None).await;
    world.sessions(ALICE, 200, 5).await;
    let active = |status: &str| {
        let is = Test::Eq(Value::text(status));
        let precondition = Precondition::All(Filter::Field(&users::status, is));
        let set = vec![users::email.to("new@example.com")];
        let keys = vec![Key::Uuid(ALICE)];
        write(vec![expired(5), Mutation::Update { collection: &USERS, keys, set, precondition }])
    };

    let refused = world.step(active("invited")).await;

    assert!(matches!(refused, Err(StoreError::Refused)), "{refused:?}");
    assert_eq!(world.count("select count(*) from directus_sessions").await, 200);
    let events = world.store.write(active("active")).await.unwrap();
    assert_eq!(items(&events, &SESSIONS, EventAction::Delete), (200, STEP));
    // The write itself is in the last transaction.
    assert_eq!(events.last().unwrap().collection, &USERS);
    assert_eq!(world.count("select count(*) from directus_sessions").await, 0);
}

#[tokio::test]
async fn steps_with_long_texts_hold_fewer_items() {
    let mut world = World::new().await;
    let long: Vec<Row> = (0..60).map(|_| message(&"x".repeat(60_000))).collect();
    world.write(vec![Mutation::Create { collection: &MESSAGES, rows: long }]).await;
    while world.published.try_recv().is_ok() {}
    let keys: Vec<Key> = (1..=30).map(Key::Integer).collect();
    let set = vec![messages::guest.to(Value::Null)];

    // One update by keys is one transaction, with events of at most 256 KiB of text.
    let precondition = Precondition::None;
    world.write(vec![Mutation::Update { collection: &MESSAGES, keys, set, precondition }]).await;
    let committed = soon(world.published.recv()).await.unwrap();
    assert_eq!(items(&committed, &MESSAGES, EventAction::Update), (30, 2));

    let filter = Filter::everything();
    let deletion = write(vec![Mutation::DeleteWhere { collection: &MESSAGES, filter }]);
    let (events, rest) = world.step(deletion).await.unwrap();
    assert!(rest.is_some());
    let (all, _) = items(&events, &MESSAGES, EventAction::Delete);
    assert!((1..=18).contains(&all), "{all} long items in one step");
}

#[tokio::test]
async fn a_bulk_change_is_one_transaction_with_several_events() {
    let mut world = World::new().await;
    world.messages((0..120).map(|_| (None, None))).await;
    while world.published.try_recv().is_ok() {}
    let keys: Vec<Key> = (1..=120).map(Key::Integer).collect();
    let set = vec![messages::content.to("changed")];
    let update = Mutation::Update {
        collection: &MESSAGES,
        keys: keys.clone(),
        set,
        precondition: Precondition::None,
    };

    world.write(vec![update]).await;
    world.write(vec![Mutation::delete(&MESSAGES, keys, Precondition::None)]).await;

    for action in [EventAction::Update, EventAction::Delete] {
        let committed = soon(world.published.recv()).await.unwrap();
        let lengths: Vec<usize> = committed.iter().map(|event| event.changes.len()).collect();
        assert_eq!(lengths, [100, 20], "{action:?}");
        let order = committed.iter().flat_map(|event| event.changes.iter().map(|it| it.key));
        assert!(order.eq((1..=120).map(Key::Integer)), "{action:?}");
    }
    let lines = "select count(*) from directus_activity where action in ('update', 'delete')";
    assert_eq!(world.count(lines).await, 240);
}

#[tokio::test]
async fn the_log_is_truncated_by_items_and_not_by_events() {
    let world = World::new().await;
    for _ in 0..30 {
        world.messages((0..STEP).map(|_| (None, None))).await;
    }
    let all = Filter::everything();
    world.write(vec![Mutation::DeleteWhere { collection: &MESSAGES, filter: all }]).await;
    let creates = i64::try_from(30 * STEP).unwrap();
    assert_eq!(world.store.position(), creates + 30);
    soon(async {
        while world.store.indexed() < world.store.position() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let (mut steps, mut left) = (0, Vec::new());
    let keeping = Retention { since: None, events_max: Some(1) };
    while world.store.truncate_log(keeping).await.unwrap() {
        steps += 1;
        left.push(world.count("select count(*) from directus_activity").await);
    }

    // 500 items a step: 1,500 creates, and 30 deletes of 50 items each.
    assert_eq!(steps, 5, "{left:?}");
    let dropped = left.windows(2).map(|pair| pair[0] - pair[1]);
    assert!(dropped.max() <= Some(500), "{left:?}");
    assert_eq!(world.count("select count(*) from event_log").await, 1);
}
