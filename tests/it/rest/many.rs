//! Very large numbers of keys, filter tests and sessions; and keys and nulls that are difficult for
//! a database.

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::support::{Client, Permission, TestServer, User};

/// More than the number of parameters that SQLite allows in one statement.
const SESSIONS: i64 = 33_000;

/// Opens the database file beside the service.
async fn beside(server: &TestServer) -> SqliteConnection {
    let file = format!("sqlite:{}", server.database().display());
    SqliteConnection::connect(&file).await.unwrap()
}

/// Inserts sessions of a user into the file, with this expiry.
async fn add_sessions(server: &TestServer, user: &User, expires: i64) {
    let insert = format!(
        "with recursive n (n) as (select 1 union all select n + 1 from n where n < {SESSIONS}) \
         insert into directus_sessions \
         (id, \"user\", mode, seed, generation, date_created, date_rotated, expires) \
         select printf('%08x-0000-4000-8000-%012x', {expires} % 1000000, n), ?1, 'json', \
         '', 0, 0, 0, {expires} from n"
    );
    let mut connection = beside(server).await;
    let insert = sqlx::query(sqlx::AssertSqlSafe(insert)).bind(&user.id);
    insert.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn count_sessions(server: &TestServer, user: &User) -> i64 {
    let mut connection = beside(server).await;
    let count = sqlx::query_scalar("select count(*) from directus_sessions where \"user\" = ?1");
    let count = count.bind(&user.id).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test]
async fn one_request_changes_messages_up_to_the_batch_limit() {
    const MOST: usize = 1000;
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let list = |count: usize| Json::from(vec![json!({"content": "x"}); count]);
    let count = async || {
        let all = alice.get("/items/messages?limit=0&meta=total_count").await;
        all.body["meta"]["total_count"].clone()
    };

    alice.post("/items/messages?fields=id", &list(MOST + 1)).await.refused(400, "INVALID_PAYLOAD");
    assert_eq!(count().await, 0);
    let made = alice.post("/items/messages?fields=id", &list(MOST)).await.ok();
    let keys: Vec<Json> =
        made.as_array().unwrap().iter().map(|message| message["id"].clone()).collect();
    assert_eq!((keys.len(), count().await), (MOST, json!(MOST)));
    let change = json!({"keys": keys, "data": {"content": "y"}});
    let changed = alice.patch("/items/messages?fields=content", &change).await.ok();
    assert_eq!(changed, Json::from(vec![json!({"content": "y"}); MOST]));
    let mut more = keys.clone();
    more.push(json!(MOST + 1));
    alice.delete_many("/items/messages", &json!(more)).await.refused(400, "INVALID_PAYLOAD");
    assert_eq!(count().await, MOST);
    alice.delete_many("/items/messages", &json!(keys)).await.nothing();
    assert_eq!(count().await, 0);
    server.stop().await;
}

#[tokio::test]
async fn bulk_changes_over_the_byte_limit_are_refused() {
    let server = TestServer::with(|config| config.store.mutation_bytes_max = 1 << 20).await;
    let alice = server.member("alice").await;
    let text = "x".repeat(50_000);
    let list = Json::from(vec![json!({"content": text}); 15]);
    for _ in 0..2 {
        alice.post("/items/messages?fields=id", &list).await.ok();
    }
    let keys: Vec<i64> = (1..=30).collect();
    let all = json!({"filter": {"id": {"_gt": 0}}, "limit": -1});
    let each: Vec<Json> = keys.iter().map(|id| json!({"id": id, "content": "y"})).collect();
    let hint = "change fewer items at a time";

    for (method, body) in [
        ("PATCH", json!({"keys": keys, "data": {"content": "y"}})),
        ("PATCH", json!({"query": all, "data": {"content": "y"}})),
        // Short before, long after.
        ("PATCH", json!({"keys": &keys[..12], "data": {"content": text}})),
        ("PATCH", Json::from(each)),
        ("DELETE", json!(keys)),
        ("DELETE", json!({"query": all})),
    ] {
        let refused = alice.send_json(method, "/items/messages", &body).await;
        refused.refused(403, "LIMIT_EXCEEDED");
        assert!(refused.message().contains(hint), "{}", refused.message());
    }

    let all = alice.get("/items/messages?limit=-1&fields=content").await.ok();
    assert_eq!(all, Json::from(vec![json!({"content": text}); 30]));
    let few = json!({"keys": &keys[..10], "data": {"content": "y"}});
    alice.patch("/items/messages?fields=id", &few).await.ok();
    alice.delete_many("/items/messages", &json!(&keys[..20])).await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn an_account_cannot_exceed_its_write_queue_quota() {
    let server = TestServer::with(|config| config.store.write_queue_bytes_max = 1 << 20).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let create = |user: &User| {
        let body = Json::from(vec![json!({"content": "x".repeat(60_000)}); 3]);
        let client = Client::clone(user);
        tokio::spawn(async move { client.post("/items/messages?fields=id", &body).await })
    };
    let mut holder = beside(&server).await;
    sqlx::query("begin immediate").execute(&mut holder).await.unwrap();

    // While another connection locks the file, neither is written, and the second one exceeds the
    // quota of the account.
    let (mut first, mut second) = (create(&alice), create(&alice));
    let (refused, waiting) = tokio::select! {
        answer = &mut first => (answer.unwrap(), second),
        answer = &mut second => (answer.unwrap(), first),
    };
    let others = create(&bob);
    sqlx::query("rollback").execute(&mut holder).await.unwrap();

    refused.refused(503, "SERVICE_UNAVAILABLE");
    waiting.await.unwrap().ok();
    others.await.unwrap().ok();
    // A write that is larger than the quota is accepted alone.
    let list = Json::from(vec![json!({"content": "x".repeat(60_000)}); 9]);
    alice.post("/items/messages?fields=id", &list).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn filters_with_very_many_conditions_match_correctly() {
    let server = TestServer::start().await;
    let own = Permission::to("read", "messages").on(json!({"content": {"_starts_with": "m"}}));
    let reader = server.user_with("reader", &[own]).await;
    let admin = server.admin().await;
    for number in 1..=5 {
        admin.say(&format!("m{number}")).await;
    }
    admin.say("secret").await;
    let ids: Vec<i64> = (3..1903).collect();
    let tests: Vec<Json> = ids.iter().map(|id| json!({"id": {"_eq": id}})).collect();
    let any = json!({"_or": tests});

    for (user, found) in [(&admin, json!([3, 4, 5, 6])), (&reader, json!([3, 4, 5]))] {
        for filter in [json!({"id": {"_in": ids}}), any.clone()] {
            let query = json!({"query": {"filter": filter, "fields": "id"}});
            let list = user.search("/items/messages", &query).await.ok();
            let list: Json =
                list.as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
            assert_eq!(list, found);
        }
    }
    let both = json!({"query": {"filter": {"_and": [{"id": {"_nin": &ids[..50]}}, any]}}});
    assert_eq!(admin.search("/items/messages", &both).await.ok(), json!([]));
    let too_many: Vec<Json> = (0..2001).map(|id| json!({"id": {"_eq": id}})).collect();
    let too_many = json!({"query": {"filter": {"_or": too_many}}});
    admin.search("/items/messages", &too_many).await.refused(400, "INVALID_QUERY");
    let all: Vec<Json> = (3..1903).map(|id| json!({"id": {"_neq": id}})).collect();
    let query = json!({"query": {"filter": {"_and": all}, "fields": "id"}});
    assert_eq!(admin.search("/items/messages", &query).await.ok(), json!([{"id": 1}, {"id": 2}]));
    server.stop().await;
}

#[tokio::test]
async fn thousands_of_sessions_end_in_one_operation() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    add_sessions(&server, &alice, 1000).await;
    assert_eq!(count_sessions(&server, &alice).await, SESSIONS + 1);

    server.app().services().auth.end_expired_sessions().await.unwrap();

    assert_eq!(count_sessions(&server, &alice).await, 1);
    alice.say("not expired").await;
    // A new password ends the active sessions.
    add_sessions(&server, &alice, 9_999_999_999_999).await;
    let path = format!("/users/{}", alice.id);
    admin.patch(&path, &json!({"password": "a new password"})).await.ok();
    assert_eq!(count_sessions(&server, &alice).await, 0);
    // The deletion of the account ends them as well.
    add_sessions(&server, &alice, 9_999_999_999_998).await;
    admin.delete(&path).await.nothing();
    assert_eq!(count_sessions(&server, &alice).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_new_session_ends_thousands_of_excess_sessions() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    add_sessions(&server, &alice, 9_999_999_999_999).await;

    let alice = User::sign_in(&server.anonymous(), &alice.id, &alice.email, &alice.password).await;

    assert!(count_sessions(&server, &alice).await < SESSIONS);
    alice.say("signed in").await;
    server.stop().await;
}

#[tokio::test]
async fn explicit_keys_do_not_collide_with_generated_keys() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let policy = admin.policy("some", &[]).await;
    let row =
        json!({"policy": policy, "collection": "messages", "action": "read", "fields": ["id"]});
    let made = admin.post("/permissions", &row).await.ok()["id"].as_i64().unwrap();

    for ahead in [1, 1, 5] {
        let all = admin.get("/permissions?limit=-1").await.ok();
        let keys = all.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap());
        let mut chosen = row.clone();
        chosen["id"] = json!(keys.max().unwrap() + ahead);
        assert_eq!(admin.post("/permissions", &chosen).await.ok()["id"], chosen["id"]);
        admin.post("/permissions", &chosen).await.refused(400, "RECORD_NOT_UNIQUE");
        let mut seen = vec![made];
        for _ in 0..7 {
            let id = admin.post("/permissions", &row).await.ok()["id"].as_i64().unwrap();
            assert!(!seen.contains(&id), "{id} was assigned twice");
            seen.push(id);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn null_for_a_required_field_fails_validation() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (user, policy) = (server.member("alice").await.id, admin.policy("some", &[]).await);
    let (user, policy) =
        (format!("/users/{user}"), format!("/policies/{}", policy.as_str().unwrap()));

    for (collection, item, create, update, field) in [
        (
            "/users",
            &user,
            json!({"email": "x@example.com", "provider": null}),
            json!({"provider": null}),
            "provider",
        ),
        (
            "/policies",
            &policy,
            json!({"name": "x", "admin_access": null}),
            json!({"admin_access": null}),
            "admin_access",
        ),
        (
            "/policies",
            &policy,
            json!({"name": "x", "enforce_tfa": null}),
            json!({"enforce_tfa": null}),
            "enforce_tfa",
        ),
        ("/policies", &policy, json!({"name": null}), json!({"name": null}), "name"),
    ] {
        let before = admin.get(item).await.ok();
        for answer in [admin.post(collection, &create).await, admin.patch(item, &update).await] {
            answer.refused(400, "FAILED_VALIDATION");
            assert_eq!(answer.body["errors"][0]["extensions"]["field"], field);
        }
        assert_eq!(admin.get(item).await.ok(), before);
    }
    server.stop().await;
}

#[tokio::test]
async fn members_can_bulk_update_only_their_own_messages() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    for content in ["a", "b"] {
        alice.say(content).await;
    }
    bob.say("bob's").await;
    let contents = async || alice.get("/items/messages?fields=id,content").await.ok();

    let each = json!([{"id": 2, "content": "b2"}, {"id": 1, "content": "a2"}]);
    alice.patch("/items/messages", &each).await.ok();
    let changed = json!([{"id": 1, "content": "a2"}, {"id": 2, "content": "b2"},
        {"id": 3, "content": "bob's"}]);
    assert_eq!(contents().await, changed);

    let with_other = json!([{"id": 1, "content": "a3"}, {"id": 3, "content": "alice's"}]);
    alice.patch("/items/messages", &with_other).await.refused(403, "FORBIDDEN");
    assert_eq!(contents().await, changed);
    server.stop().await;
}

#[tokio::test]
async fn bulk_changes_by_an_empty_query_are_refused() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    alice.say("here").await;

    for user in [&admin, &alice] {
        for query in [json!({"filter": {}}), json!({}), json!({"filter": {"_and": []}})] {
            let body = json!({"query": query});
            user.delete_many("/items/messages", &body).await.refused(400, "INVALID_PAYLOAD");
            let change = json!({"query": query, "data": {"content": "x"}});
            user.patch("/items/messages", &change).await.refused(400, "INVALID_PAYLOAD");
        }
    }
    assert_eq!(
        alice.get("/items/messages?fields=content").await.ok(),
        json!([{"content": "here"}])
    );
    server.stop().await;
}
