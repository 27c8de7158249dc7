//! An erasure in steps leaves no personal data, wherever it was interrupted.

use chinwag::model::schema::messages;
use chinwag::store::IdempotencyKey;

use super::*;

/// Leaves traces of an account in rows, the log, activity and under idempotency keys.
async fn live(world: &World) {
    world.users(&[ALICE, BOB], None).await;
    world.sessions(ALICE, 70, 5).await;
    world.messages((0..130).map(|_| (Some(ALICE), None))).await;
    world.messages((0..10).map(|_| (Some(BOB), Some(ALICE)))).await;
    for place in 0..60 {
        let once = IdempotencyKey {
            owner: Some(ALICE),
            key: format!("key {place}"),
            digest: String::new(),
            collection: &MESSAGES,
            roots: vec![0],
        };
        let row = message(&format!("once {place}")).with(&messages::user_created, ALICE);
        let ops = vec![Mutation::Create { collection: &MESSAGES, rows: vec![row] }];
        let write = Write { actor: Some(ALICE), ..write(ops) };
        world.store.write_in_flow(FlowKey::of(()), write, Some(once)).await.unwrap();
    }
}

/// Counts traces of the account, except its key as the key of an event.
async fn traces(world: &World) -> i64 {
    let id = ALICE.to_string();
    let mut all = 0;
    for sql in [
        format!("select count(*) from directus_users where id = '{id}'"),
        format!("select count(*) from directus_sessions where \"user\" = '{id}'"),
        format!("select count(*) from messages where '{id}' in (user_created, user_updated)"),
        format!("select count(*) from event_log where actor = '{id}'"),
        format!(
            "select count(*) from event_log, json_each(coalesce(before, '[]')) as row
             where '{id}' in (row.value ->> 'user', row.value ->> 'user_created')"
        ),
        format!(
            "select count(*) from event_log, json_each(coalesce(after, '[]')) as row
             where '{id}' in (row.value ->> 'user', row.value ->> 'user_created')"
        ),
        format!("select count(*) from event_log where instr(before, '{id}@example.com') > 0"),
        format!("select count(*) from directus_activity where \"user\" = '{id}'"),
        format!("select count(*) from chinwag_idempotency where owner = '{id}'"),
        "select count(*) from chinwag_deletions".to_owned(),
    ] {
        all += world.count(&sql).await;
    }
    all
}

#[tokio::test]
async fn an_interrupted_erasure_resumes_and_leaves_no_traces() {
    for items in [true, false] {
        let mut interrupted = 0;
        for stop in [0, 1, 3, 6, 9, 12, 1_000] {
            let world = World::new().await;
            live(&world).await;
            world.store.catch_up(None).await.unwrap();
            assert!(traces(&world).await > 500);
            let mut rest = Some(write(vec![Mutation::Erase { user: ALICE, items }]));
            for _ in 0..=stop {
                let Some(next) = rest.take() else { break };
                let (events, left) = world.step(next).await.unwrap();
                let touched: usize = events.iter().map(|event| event.changes.len()).sum();
                assert!(touched <= STEP + 1, "{touched} items in one step");
                rest = left;
            }
            interrupted += usize::from(rest.is_some());

            let world = world.reopened().await;
            for begun in world.store.begun_deletions().await.unwrap() {
                assert!(begun.erases);
                world.store.write(begun.rest).await.unwrap();
            }

            assert_eq!(traces(&world).await, 0, "{items} {stop}");
            let left = if items { 10 } else { 200 };
            assert_eq!(world.count("select count(*) from messages").await, left);
            assert_eq!(
                world.count("select count(*) = max(seq) from event_log").await,
                1,
                "the log keeps every event"
            );
        }
        assert!(interrupted >= 3, "{interrupted}");
    }
}

#[tokio::test]
async fn a_deletion_waits_for_a_running_erasure() {
    let world = World::new().await;
    live(&world).await;
    let (_, erasing) =
        world.step(write(vec![Mutation::Erase { user: ALICE, items: true }])).await.unwrap();
    assert!(erasing.is_some());

    // The deletion ends when the account is gone, which includes the erasure.
    world.write(vec![delete(&USERS, &[ALICE])]).await;

    assert_eq!(traces(&world).await, 0);
    assert!(world.store.write(erasing.unwrap()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_erasure_overtakes_a_running_deletion() {
    let world = World::new().await;
    live(&world).await;
    let (_, deleting) = world.step(write(vec![delete(&USERS, &[ALICE])])).await.unwrap();

    world.write(vec![Mutation::Erase { user: ALICE, items: false }]).await;

    assert_eq!(traces(&world).await, 0);
    assert!(world.store.write(deleting.unwrap()).await.unwrap().is_empty());
}
