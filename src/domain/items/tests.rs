//! Access control of queries over a real store: no query discloses unreadable data.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::domain::admission::{Admission, Progress};
use crate::model::id;
use crate::model::schema::access;
use crate::model::schema::messages;
use crate::model::schema::permissions;
use crate::model::schema::policies;
use crate::model::schema::roles;
use crate::model::schema::users;
use crate::model::schema::{ACCESS, MESSAGES, PERMISSIONS, POLICIES, ROLES, USERS};
use crate::model::{AccountStatus, Action, Actor, Column, Row, Value};
use crate::store::{Mutation, Write};

const POLICY: u128 = 1;
const ROLE: u128 = 2;
const ALICE: u128 = 3;
const BOB: u128 = 4;

struct World {
    items: Items,
    folder: PathBuf,
}

impl World {
    /// Creates a world in which Alice and Bob have a role with these read permissions. Alice has
    /// the messages "a1", "a2" and one without content, Bob has "b1" twice.
    async fn new(rules: &[(&str, Json, Json)]) -> Self {
        let mut config = Config::for_tests();
        let folder = std::env::temp_dir().join(format!("chinwag-items-{}", id::fresh()));
        fs::create_dir(&folder).unwrap();
        config.store.filename = Some(folder.join("chinwag.db"));
        let clock = Clock::manual(Timestamp::from_millis(1_795_303_007_250));
        let (commits, mut drain) = mpsc::channel(10);
        tokio::spawn(async move { while drain.recv().await.is_some() {} });
        let store = Arc::new(Store::open(&config.store, commits).await.unwrap());
        let limits = Limits::default();
        let permissions =
            Permissions::open(Arc::clone(&store), clock.clone(), limits.clone()).await;
        let permissions = Arc::new(permissions.unwrap());
        let row_cache = Arc::new(RowCache::new(Arc::clone(&store)));
        let admission = Admission::new(clock.clone(), None, Arc::new(Progress::new(0)));
        let committer = Committer::new(
            Arc::clone(&store),
            Arc::clone(&row_cache),
            Arc::clone(&permissions),
            admission,
            clock.clone(),
        );
        let passwords = Arc::new(Passwords::new(config.auth.hash));
        let items = Items {
            memory: crate::domain::memory::budget(1 << 30),
            clock,
            store,
            committer: Arc::new(committer),
            permissions,
            row_cache,
            passwords,
            patterns: Patterns::default(),
            limits,
            config: config.query,
            public_user: None,
        };
        let world = Self { items, folder };
        world.add(named(Row::new(&POLICIES), &policies::name, POLICY, "Chat")).await;
        world.add(named(Row::new(&ROLES), &roles::name, ROLE, "Member")).await;
        world.add_user(ALICE, "alice").await;
        world.add_user(BOB, "bob").await;
        let access = Row::empty(&ACCESS).with(&access::id, uuid(5)).with(&access::role, uuid(ROLE));
        world.add(access.with(&access::policy, uuid(POLICY))).await;
        for (collection, fields, filter) in rules {
            let row = Row::empty(&PERMISSIONS)
                .with(&permissions::collection, *collection)
                .with(&permissions::action, Action::Read)
                .with(&permissions::fields, fields.clone())
                .with(&permissions::permissions, filter.clone());
            world.add(row.with(&permissions::policy, uuid(POLICY))).await;
        }
        for (author, content) in [
            (ALICE, Some("a1")),
            (ALICE, Some("a2")),
            (BOB, Some("b1")),
            (BOB, Some("b1")),
            (ALICE, None),
        ] {
            let row = Row::empty(&MESSAGES).with(&messages::user_created, uuid(author));
            let at = Timestamp::from_millis(1_767_225_600_000);
            let row = row.with(&messages::date_created, at);
            world.add(row.with(&messages::content, content)).await;
        }
        world
    }

    async fn add(&self, row: Row) {
        let op = Mutation::Create { collection: row.collection(), rows: vec![row] };
        let write = Write { actor: None, at: self.items.clock.now(), ops: vec![op] };
        self.items.committer.commit(write).await.unwrap();
    }

    async fn add_user(&self, id: u128, name: &str) {
        let row = Row::empty(&USERS)
            .with(&users::id, uuid(id))
            .with(&users::first_name, name)
            .with(&users::email, format!("{name}@example.com"))
            .with(&users::title, "secretly great")
            .with(&users::status, AccountStatus::Active)
            .with(&users::provider, "default")
            .with(&users::email_notifications, true)
            .with(&users::role, uuid(ROLE));
        self.add(row).await;
    }

    async fn actor(&self, id: u128) -> Actor {
        let key = Key::Uuid(Uuid::from_u128(id));
        let row = self.items.row_cache.find(&USERS, key).await.unwrap().unwrap();
        self.items.permissions.actor(&row, None, None).await.unwrap()
    }

    async fn read(&self, collection: &'static Collection, query: Json) -> Result<Json, Error> {
        let alice = self.actor(ALICE).await;
        self.read_as(&alice, collection, query).await
    }

    async fn read_as(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        query: Json,
    ) -> Result<Json, Error> {
        let answer = self.items.read(actor, collection, Which::Query(query), &Json::Null).await?;
        Ok(serde_json::from_str(answer.data.get()).unwrap())
    }

    async fn admin(&self) -> Actor {
        Actor { admin: true, ..self.actor(ALICE).await }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn uuid(id: u128) -> Value {
    Value::Uuid(Uuid::from_u128(id))
}

fn named(row: Row, column: &Column<str>, id: u128, name: &str) -> Row {
    let mut row = row.with(column, name);
    row.set(row.collection().key(), uuid(id));
    row
}

fn text(id: u128) -> String {
    Uuid::from_u128(id).to_string()
}

/// Messages with content that only their author may read.
fn own_content() -> [(&'static str, Json, Json); 2] {
    [
        ("messages", json!(["id", "user_created"]), json!({})),
        ("messages", json!(["id", "content"]), json!({"user_created": {"_eq": "$CURRENT_USER"}})),
    ]
}

#[tokio::test]
async fn aggregates_and_groups_are_computed() {
    let world = World::new(&[("messages", json!(["*"]), json!({}))]).await;
    let (alice, bob) = (text(ALICE), text(BOB));
    for (query, expected) in [
        (json!({"aggregate": {"count": "*"}}), json!([{"count": 5}])),
        (
            json!({"aggregate": {"count": "id,content", "countDistinct": ["content"]}}),
            json!([{"count": {"id": 5, "content": 4}, "countDistinct": {"content": 3}}]),
        ),
        (
            json!({"aggregate": {"min": "id", "max": "content", "avg": "id", "sum": "id"}}),
            json!([{"min": {"id": 1}, "max": {"content": "b1"}, "avg": {"id": 3}, "sum": {"id": 15}}]),
        ),
        (
            json!({"aggregate": {"count": "*", "sum": "id"}, "filter": {"id": {"_gt": 100}}}),
            json!([{"count": 0, "sum": {"id": null}}]),
        ),
        (
            json!({"aggregate": {"count": "*"}, "groupBy": "user_created", "sort": "-count"}),
            json!([{"user_created": alice, "count": 3}, {"user_created": bob, "count": 2}]),
        ),
        (
            json!({"groupBy": "content", "sort": "-content", "limit": 2, "offset": 1}),
            json!([{"content": "a2"}, {"content": "a1"}]),
        ),
        (
            json!({"aggregate": {"count": "*"}, "groupBy": ["year(date_created)"]}),
            json!([{"date_created_year": 2026, "count": 5}]),
        ),
        (json!({"aggregate": {"count": "*"}, "search": "b1"}), json!([{"count": 2}])),
        (json!({"groupBy": "content", "limit": 0}), json!([])),
    ] {
        let found = world.read(&MESSAGES, query.clone()).await.unwrap();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn hidden_values_do_not_affect_aggregates_or_filters() {
    let world = World::new(&own_content()).await;
    for (query, expected) in [
        (json!({"aggregate": {"count": "*"}}), json!([{"count": 5}])),
        (json!({"aggregate": {"count": "content"}}), json!([{"count": {"content": 2}}])),
        (json!({"aggregate": {"max": "content"}}), json!([{"max": {"content": "a2"}}])),
        (
            json!({"aggregate": {"count": "*"}, "groupBy": "content"}),
            json!([
                {"content": null, "count": 1},
                {"content": "a1", "count": 1},
                {"content": "a2", "count": 1},
            ]),
        ),
        (
            json!({"aggregate": {"count": "*"}, "filter": {"content": {"_eq": "b1"}}}),
            json!([{"count": 0}]),
        ),
        (json!({"aggregate": {"count": "*"}, "search": "b1"}), json!([{"count": 0}])),
        (
            json!({"fields": "id,words", "alias": {"words": "content"}, "sort": "-id", "limit": 2}),
            json!([{"id": 5, "words": null}, {"id": 4, "words": null}]),
        ),
    ] {
        let found = world.read(&MESSAGES, query.clone()).await.unwrap();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn hidden_fields_are_refused_in_every_query_part() {
    let world = World::new(&[
        ("messages", json!(["id", "content", "user_created"]), json!({})),
        ("directus_users", json!(["id", "first_name"]), json!({})),
    ])
    .await;
    for query in [
        json!({"aggregate": {"count": "date_created"}}),
        json!({"aggregate": {"count": "year(date_created)"}}),
        json!({"groupBy": "date_created"}),
        json!({"groupBy": "year(date_created)"}),
        json!({"fields": "year(date_created)"}),
        json!({"filter": {"year(date_created)": {"_eq": 2026}}}),
        json!({"sort": "year(date_created)"}),
        json!({"alias": {"x": "date_created"}, "fields": "x"}),
        json!({"alias": {"x": "date_created"}}),
        json!({"alias": {"x": "user_created"}, "fields": "x.email"}),
        json!({"fields": "user_created.id", "deep": {"user_created": {"_filter": {"email": "x"}}}}),
        json!({"fields": "user_created.id", "deep": {"user_created": {"_sort": "email"}}}),
        json!({"fields": "user_created.policies"}),
        json!({"fields": "user_created.policies.id"}),
        json!({"filter": {"user_created": {"policies": {"_some": {}}}}}),
        json!({"filter": {"user_created": {"policies": {"_none": {}}}}}),
        json!({"filter": {"user_created": {"role": {"users": {"_some": {}}}}}}),
    ] {
        let found = world.read(&MESSAGES, query.clone()).await;
        assert!(matches!(found, Err(Error::Forbidden(_))), "{query}: {found:?}");
    }
}

#[tokio::test]
async fn an_author_outside_the_filter_is_null() {
    let world = World::new(&[
        ("messages", json!(["*"]), json!({})),
        ("directus_users", json!(["first_name"]), json!({"first_name": {"_eq": "alice"}})),
    ])
    .await;
    let deep = |name| {
        json!({
            "fields": "id,author.first_name",
            "alias": {"author": "user_created"},
            "deep": {"author": {"_filter": {"first_name": {"_eq": name}}, "_limit": 1}},
            "filter": {"id": {"_between": [2, 3]}},
        })
    };

    let alice = world.read(&MESSAGES, deep("alice")).await.unwrap();
    let bob = world.read(&MESSAGES, deep("bob")).await.unwrap();

    assert_eq!(
        alice,
        json!([{"id": 2, "author": {"first_name": "alice"}}, {"id": 3, "author": null}])
    );
    assert_eq!(bob, json!([{"id": 2, "author": null}, {"id": 3, "author": null}]));
}

#[tokio::test]
async fn related_lists_contain_only_readable_and_requested_items() {
    let world = World::new(&[
        ("directus_roles", json!(["*"]), json!({})),
        ("directus_users", json!(["id", "first_name", "role"]), json!({"first_name": "alice"})),
    ])
    .await;
    let names = json!({"fields": "name,users.first_name"});
    let keys = json!({"fields": "users"});
    let visible = json!([{"name": "Member", "users": [{"first_name": "alice"}]}]);
    assert_eq!(world.read(&ROLES, names.clone()).await.unwrap(), visible);
    assert_eq!(world.read(&ROLES, keys).await.unwrap(), json!([{"users": [text(ALICE)]}]));
    let about_bob = |quantified: &str| json!({"filter": {"users": {quantified: {"first_name": "bob"}}}, "fields": "name"});
    assert_eq!(world.read(&ROLES, about_bob("_some")).await.unwrap(), json!([]));
    assert_eq!(world.read(&ROLES, about_bob("_none")).await.unwrap(), json!([{"name": "Member"}]));

    let admin = world.admin().await;
    let limited = json!({
        "fields": "few.first_name,rest.first_name",
        "alias": {"few": "users", "rest": "users"},
        "deep": {
            "few": {"_sort": "-first_name", "_limit": 1},
            "rest": {"_filter": {"first_name": {"_neq": "bob"}}},
        },
    });
    assert_eq!(
        world.read_as(&admin, &ROLES, limited).await.unwrap(),
        json!([{"few": [{"first_name": "bob"}], "rest": [{"first_name": "alice"}]}])
    );
    let role = json!({
        "fields": "user_created.role.users.first_name",
        "filter": {"id": 3},
    });
    assert_eq!(
        world.read_as(&admin, &MESSAGES, role).await.unwrap(),
        json!([{"user_created": {"role": {
            "users": [{"first_name": "alice"}, {"first_name": "bob"}],
        }}}])
    );
}

#[tokio::test]
async fn nested_lists_are_bounded() {
    let world = World::new(&[]).await;
    for id in 100..160 {
        world.add_user(id, &format!("user{id}")).await;
    }
    let admin = world.admin().await;

    let few = world.read_as(&admin, &ROLES, json!({"fields": "users.role.users.id"})).await;
    let many =
        world.read_as(&admin, &ROLES, json!({"fields": "users.role.users.role.users.id"})).await;

    assert!(few.is_ok());
    let Err(Error::InvalidQuery(reason)) = many else { panic!("{many:?}") };
    assert!(reason.contains("_limit"), "{reason}");
}

#[tokio::test]
async fn variables_do_not_disclose_unreadable_fields() {
    let world = World::new(&[
        ("messages", json!(["*"]), json!({"user_created": {"role": "$CURRENT_USER.role"}})),
        ("directus_users", json!(["id", "email"]), json!({"id": {"_eq": "$CURRENT_USER"}})),
    ])
    .await;
    let alice = format!("{}@example.com", "alice");
    let users = |variable: &str| json!({"filter": {"email": {"_eq": variable}}, "fields": "email"});

    let all = world.read(&MESSAGES, json!({"aggregate": {"count": "*"}})).await.unwrap();
    let readable = world.read(&USERS, users("$CURRENT_USER.email")).await.unwrap();
    let hidden = world.read(&USERS, users("$CURRENT_USER.title")).await.unwrap();
    let secret = world.read(&USERS, users("$CURRENT_USER.password")).await;

    // A rule may use fields that its reader may not read.
    assert_eq!(all, json!([{"count": 5}]));
    assert_eq!(readable, json!([{"email": alice}]));
    assert_eq!(hidden, json!([]));
    assert!(matches!(secret, Err(Error::InvalidQuery(_))), "{secret:?}");
}

#[tokio::test]
async fn aggregates_are_refused_for_single_items() {
    let world = World::new(&[("messages", json!(["*"]), json!({}))]).await;
    let alice = world.actor(ALICE).await;

    let query = json!({"aggregate": {"count": "*"}});
    let one = world.items.read(&alice, &MESSAGES, Which::One(json!(1)), &query).await;

    assert!(matches!(one, Err(Error::InvalidQuery(_))), "{one:?}");
}
