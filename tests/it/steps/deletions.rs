//! Deletions with many references: referential actions are ordinary changes, the first transaction
//! is the point of no return, and the next process resumes an interrupted deletion.

use chinwag::model::schema::access;
use chinwag::model::schema::messages;
use chinwag::model::schema::permissions;
use chinwag::model::schema::policies;
use chinwag::model::schema::roles;
use chinwag::model::schema::sessions;
use chinwag::model::schema::users;
use chinwag::model::schema::{ACCESS, PERMISSIONS, POLICIES, ROLES};
use chinwag::model::{AccountStatus, Action, Column};
use chinwag::query::{Filter, Test};

use super::*;

const ROLE: Uuid = Uuid::from_u128(0x401e);
const OTHER: Uuid = Uuid::from_u128(0x402e);
const POLICY: Uuid = Uuid::from_u128(0x9011c);

/// Runs a write to its end, and returns the events of each transaction.
async fn steps(world: &World, ops: Vec<Mutation>) -> Vec<Vec<Arc<Event>>> {
    let (mut rest, mut steps) = (Some(write(ops)), Vec::new());
    while let Some(next) = rest {
        let (events, left) = world.step(next).await.unwrap();
        steps.push(events);
        rest = left;
    }
    steps
}

fn new_policy(id: Uuid, name: &str) -> Row {
    Row::new(&POLICIES).with(&policies::id, id).with(&policies::name, name)
}

fn new_role(id: Uuid, name: &str) -> Row {
    Row::new(&ROLES).with(&roles::id, id).with(&roles::name, name)
}

fn access(policy: Uuid, column: &Column<Uuid>, to: Uuid) -> Row {
    Row::empty(&ACCESS)
        .with(&access::id, id::fresh())
        .with(&access::policy, policy)
        .with(column, to)
}

/// Creates a policy with administrator access, and two roles. The first role has the policy.
async fn administrators(world: &World) {
    let policy = new_policy(POLICY, "All").with(&policies::admin_access, true);
    let roles = vec![new_role(ROLE, "Administrators"), new_role(OTHER, "Others")];
    world
        .write(vec![
            Mutation::Create { collection: &POLICIES, rows: vec![policy] },
            Mutation::Create { collection: &ROLES, rows: roles },
            Mutation::Create {
                collection: &ACCESS,
                rows: vec![access(POLICY, &access::role, ROLE)],
            },
        ])
        .await;
}

#[tokio::test]
async fn deleting_an_author_updates_messages_in_bounded_steps() {
    let world = World::new().await;
    world.users(&[ALICE, BOB], None).await;
    world.sessions(ALICE, 2, 5).await;
    let both = |place| match place % 4 {
        0 => (Some(ALICE), None),
        1 => (Some(ALICE), Some(ALICE)),
        2 => (Some(BOB), Some(ALICE)),
        _ => (Some(BOB), Some(BOB)),
    };
    world.messages((0..400).map(both)).await;

    let steps = steps(&world, vec![delete(&USERS, &[ALICE])]).await;

    assert!(steps.len() >= 7, "{}", steps.len());
    for events in &steps {
        let consequences = items(events, &MESSAGES, EventAction::Update).0
            + items(events, &SESSIONS, EventAction::Delete).0;
        assert!(consequences <= STEP, "{consequences} items in one transaction");
    }
    let first = &steps[0];
    assert_eq!(items(first, &SESSIONS, EventAction::Delete).0, 2);
    let retired = first.iter().find(|event| event.collection == &USERS).unwrap();
    let row = retired.changes[0].after.as_ref().unwrap();
    assert_eq!(row.get(&users::status), Some(AccountStatus::Archived));
    assert_eq!(row.get(&users::token), None);
    let events: Vec<Arc<Event>> = steps.into_iter().flatten().collect();
    assert_eq!(items(&events, &MESSAGES, EventAction::Update).0, 300);
    let last = events.last().unwrap();
    assert_eq!((last.collection, last.action), (&USERS, EventAction::Delete));
    for event in &events {
        assert_eq!(event.actor, Some(ADMIN));
        for change in event.changes.iter().filter(|_| *event.collection == MESSAGES) {
            let [before, after] = [&change.before, &change.after].map(|row| row.clone().unwrap());
            for field in MESSAGES.columns() {
                let was = before[field].as_uuid();
                let expected = if was == Some(ALICE) { &Value::Null } else { &before[field] };
                assert_eq!(&after[field], expected, "{field:?}");
            }
            assert_ne!(before, after);
        }
    }
    let left = "select count(*) from messages where user_created is null or user_updated is null";
    assert_eq!(world.count(left).await, 300);
    // Activity has the requested change only: the account was retired and deleted.
    let lines = "select count(*) from directus_activity where action not in ('create', 'login')
                 and collection in ('messages', 'directus_users')";
    assert_eq!(world.count(lines).await, 2);
    assert_eq!(world.count("select count(*) from chinwag_deletions").await, 0);
}

#[tokio::test]
async fn a_deletion_with_few_references_is_one_transaction() {
    let mut world = World::new().await;
    world.users(&[ALICE], None).await;
    world.sessions(ALICE, 3, 5).await;
    world.messages((0..9).map(|_| (Some(ALICE), None))).await;
    while world.published.try_recv().is_ok() {}

    world.write(vec![delete(&USERS, &[ALICE])]).await;

    let committed = world.published.recv().await.unwrap();
    let told = committed.iter().map(|event| (event.collection, event.action, event.changes.len()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (&SESSIONS, EventAction::Delete, 3),
            (&MESSAGES, EventAction::Update, 9),
            (&USERS, EventAction::Delete, 1),
        ]
    );
}

#[tokio::test]
async fn deleting_roles_and_policies_emits_cascade_events() {
    let world = World::new().await;
    world.users(&[ADMIN], None).await;
    administrators(&world).await;
    let members: Vec<Uuid> = (1..=120).map(|place| Uuid::from_u128(0x1000 + place)).collect();
    world.users(&members, Some(ROLE)).await;
    let mine = access(POLICY, &access::user, ADMIN);
    let below = new_role(Uuid::from_u128(0x403e), "Below").with(&roles::parent, ROLE);
    world
        .write(vec![
            Mutation::Create { collection: &ACCESS, rows: vec![mine] },
            Mutation::Create { collection: &ROLES, rows: vec![below] },
        ])
        .await;

    let events: Vec<_> =
        steps(&world, vec![delete(&ROLES, &[ROLE])]).await.into_iter().flatten().collect();

    assert_eq!(items(&events, &ACCESS, EventAction::Delete).0, 1);
    // The role itself was retired, and its child lost its parent.
    assert_eq!(items(&events, &ROLES, EventAction::Update).0, 2);
    let (accounts, most) = items(&events, &USERS, EventAction::Update);
    assert_eq!(accounts, 120);
    assert!(most <= STEP, "{most}");
    assert_eq!(world.count("select count(*) from directus_users where role is not null").await, 0);

    let second = Uuid::from_u128(0x9022c);
    let permission = |policy: Uuid| {
        Row::empty(&PERMISSIONS)
            .with(&permissions::collection, "messages")
            .with(&permissions::action, Action::Read)
            .with(&permissions::policy, policy)
    };
    let given: Vec<Row> = members.iter().map(|user| access(second, &access::user, *user)).collect();
    world
        .write(vec![
            Mutation::Create { collection: &POLICIES, rows: vec![new_policy(second, "Some")] },
            Mutation::Create { collection: &ACCESS, rows: given },
            Mutation::Create { collection: &PERMISSIONS, rows: vec![permission(second)] },
        ])
        .await;

    let events: Vec<_> =
        steps(&world, vec![delete(&POLICIES, &[second])]).await.into_iter().flatten().collect();

    assert_eq!(items(&events, &ACCESS, EventAction::Delete).0, 120);
    assert!(items(&events, &ACCESS, EventAction::Delete).1 <= STEP);
    assert_eq!(items(&events, &PERMISSIONS, EventAction::Delete).0, 1);
}

#[tokio::test]
async fn deleting_parent_and_child_together_emits_no_update() {
    let world = World::new().await;
    let child = new_role(OTHER, "Child").with(&roles::parent, ROLE);
    let rows = vec![new_role(ROLE, "Parent"), child];
    world.write(vec![Mutation::Create { collection: &ROLES, rows }]).await;

    let events = world.write(vec![delete(&ROLES, &[ROLE, OTHER])]).await;

    assert_eq!(items(&events, &ROLES, EventAction::Delete), (2, 2));
    assert_eq!(items(&events, &ROLES, EventAction::Update).0, 0);
}

#[tokio::test]
async fn an_account_being_deleted_is_missing_for_other_writes() {
    let world = World::new().await;
    world.users(&[ALICE, BOB], None).await;
    world.messages((0..200).map(|_| (Some(ALICE), None))).await;
    let (_, rest) = world.step(write(vec![delete(&USERS, &[ALICE])])).await.unwrap();
    let rest = rest.expect("there are more messages than a step holds");

    let late = message("late").with(&messages::user_created, ALICE);
    let create = write(vec![Mutation::Create { collection: &MESSAGES, rows: vec![late] }]);
    let refused = world.store.write(create).await;
    assert!(
        matches!(refused, Err(StoreError::NoSuchTarget { field: Some("user_created"), .. })),
        "{refused:?}"
    );
    let edited = vec![messages::user_updated.to(ALICE)];
    let keys = vec![Key::Integer(1)];
    let edit = Mutation::Update {
        collection: &MESSAGES,
        keys,
        set: edited,
        precondition: Precondition::None,
    };
    let refused = world.store.write(write(vec![edit])).await;
    assert!(matches!(refused, Err(StoreError::NoSuchTarget { .. })), "{refused:?}");
    let back = |precondition| {
        let set = vec![users::status.to(AccountStatus::Active)];
        let keys = vec![Key::Uuid(ALICE), Key::Uuid(BOB)];
        write(vec![Mutation::Update { collection: &USERS, keys, set, precondition }])
    };
    let events = world.store.write(back(Precondition::None)).await.unwrap();
    assert_eq!(events[0].changes.len(), 1, "the account being deleted is skipped");
    let every = Precondition::All(Filter::everything());
    let refused = world.store.write(back(every)).await;
    assert!(matches!(refused, Err(StoreError::Refused)), "{refused:?}");

    // Two deletions of the same account both end when it is deleted.
    let (_, second) = world.step(write(vec![delete(&USERS, &[ALICE])])).await.unwrap();
    let second = second.expect("the account is not deleted yet");
    world.store.write(rest).await.unwrap();
    assert!(world.store.find(&USERS, Key::Uuid(ALICE)).await.unwrap().is_none());
    assert!(world.store.write(second).await.unwrap().is_empty());
    assert_eq!(world.count("select count(*) from messages where user_created is null").await, 200);
}

#[tokio::test]
async fn the_next_process_resumes_interrupted_deletions() {
    for stop in 0..6 {
        let world = World::new().await;
        let others: Vec<Uuid> = (1..=70).map(|place| Uuid::from_u128(0x1000 + place)).collect();
        world.users(&[ALICE, BOB], None).await;
        world.users(&others, None).await;
        world.messages((0..150).map(|_| (Some(ALICE), Some(BOB)))).await;
        world.messages(others.iter().map(|id| (Some(*id), None))).await;
        let mut begun = vec![
            Some(write(vec![delete(&USERS, &[ALICE])])),
            Some(write(vec![delete(&USERS, &others)])),
        ];
        for _ in 0..=stop {
            for rest in &mut begun {
                if let Some(next) = rest.take() {
                    *rest = world.step(next).await.unwrap().1;
                }
            }
        }

        let world = world.reopened().await;
        let unfinished = begun.iter().filter(|rest| rest.is_some()).count();
        for begun in world.store.begun_deletions().await.unwrap() {
            assert!(begun.rest.is_decided() && !begun.erases);
            assert_eq!(begun.rest.actor, Some(ADMIN));
            world.store.write(begun.rest).await.unwrap();
        }

        assert!(stop > 1 || unfinished > 0, "{stop}");
        assert_eq!(world.count("select count(*) from directus_users").await, 1, "{stop}");
        assert_eq!(world.count("select count(user_created) from messages").await, 0, "{stop}");
        assert_eq!(world.count("select count(user_updated) from messages").await, 150, "{stop}");
        assert_eq!(world.count("select count(*) from chinwag_deletions").await, 0, "{stop}");
        let told = "select sum(json_array_length(keys)) from event_log
                    where collection = 'messages' and action = 'update'";
        assert_eq!(world.count(told).await, 220, "{stop}");
    }
}

#[tokio::test]
async fn deletions_never_remove_the_last_administrator() {
    let world = World::new().await;
    administrators(&world).await;
    let members: Vec<Uuid> = (1..=120).map(|place| Uuid::from_u128(0x1000 + place)).collect();
    world.users(&members, Some(ROLE)).await;

    let refused = world.step(write(vec![delete(&ROLES, &[ROLE])])).await;
    assert!(matches!(refused, Err(StoreError::NoAdministrator)), "{refused:?}");
    assert_eq!(world.count("select count(role) from directus_users").await, 120);
    let refused = world.step(write(vec![delete(&POLICIES, &[POLICY])])).await;
    assert!(matches!(refused, Err(StoreError::NoAdministrator)), "{refused:?}");

    world.users(&[ADMIN], None).await;
    let mine = access(POLICY, &access::user, ADMIN);
    world.write(vec![Mutation::Create { collection: &ACCESS, rows: vec![mine] }]).await;
    let (_, rest) = world.step(write(vec![delete(&ROLES, &[ROLE])])).await.unwrap();
    assert!(world.count("select count(role) from directus_users").await > 0);
    // Accounts that still have the role do not count as administrators: its deletion is decided.
    let suspended = vec![users::status.to(AccountStatus::Suspended)];
    let (keys, precondition) = (vec![Key::Uuid(ADMIN)], Precondition::None);
    let suspend = Mutation::Update { collection: &USERS, keys, set: suspended, precondition };
    let refused = world.step(write(vec![suspend])).await;
    assert!(matches!(refused, Err(StoreError::NoAdministrator)), "{refused:?}");
    world.store.write(rest.unwrap()).await.unwrap();
    assert_eq!(world.count("select count(role) from directus_users").await, 0);
}

#[tokio::test]
async fn a_refused_administrator_removal_ends_no_sessions() {
    let world = World::new().await;
    administrators(&world).await;
    world.users(&[ADMIN], Some(ROLE)).await;
    world.sessions(ADMIN, 200, 5).await;
    let ending = |to: Timestamp| {
        let test = Test::Lte(Value::Timestamp(to));
        let filter = Filter::Field(&sessions::expires, test);
        Mutation::DeleteWhere { collection: &SESSIONS, filter }
    };
    let suspend = |to: AccountStatus| {
        let set = vec![users::status.to(to)];
        let (keys, precondition) = (vec![Key::Uuid(ADMIN)], Precondition::None);
        let update = Mutation::Update { collection: &USERS, keys, set, precondition };
        write(vec![ending(Timestamp::from_millis(5)), update])
    };

    let refused = world.step(suspend(AccountStatus::Suspended)).await;

    assert!(matches!(refused, Err(StoreError::NoAdministrator)), "{refused:?}");
    assert_eq!(world.count("select count(*) from directus_sessions").await, 200);
    let head = world.store.position();
    let (events, rest) = world.step(suspend(AccountStatus::Active)).await.unwrap();
    // The trial run of the update leaves no event.
    assert_eq!(items(&events, &SESSIONS, EventAction::Delete), (STEP, STEP));
    assert_eq!(items(&events, &USERS, EventAction::Update).0, 0);
    assert_eq!(world.store.position(), head + 1);
    let events = world.store.write(rest.unwrap()).await.unwrap();
    assert_eq!(items(&events, &USERS, EventAction::Update).0, 1);
    assert_eq!(world.count("select count(*) from directus_sessions").await, 0);
}

/// Otherwise a write would wait for two steps: the one in progress, and one in its own transaction.
#[tokio::test]
async fn a_step_shares_no_transaction_with_earlier_writes() {
    let mut world = World::new().await;
    world.users(&[ALICE], None).await;
    world.messages((0..5 * STEP).map(|_| (Some(ALICE), None))).await;
    let (_, rest) = world.step(write(vec![delete(&USERS, &[ALICE])])).await.unwrap();
    let mut rest = rest;
    while world.published.try_recv().is_ok() {}

    while let Some(next) = rest {
        let create = Mutation::Create { collection: &MESSAGES, rows: vec![message("between")] };
        // Both are queued before the writer runs.
        let (_, done) = tokio::join!(world.write(vec![create]), world.step(next));
        rest = done.unwrap().1;
        let creates = |event: &&Arc<Event>| event.action == EventAction::Create;
        let first = world.published.try_recv().unwrap();
        assert_eq!((first.len(), first.iter().filter(creates).count()), (1, 1));
        assert_eq!(world.published.try_recv().unwrap().iter().filter(creates).count(), 0);
    }
}
