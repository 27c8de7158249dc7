//! A field without read access behaves in every part of a query as if it did not exist: the error
//! is the same, regardless of other errors.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer};

/// Queries about a field. A type of field may reject a query as invalid.
fn queries(field: &str) -> Vec<Json> {
    let behind = |condition: Json| json!({"filter": {"user_created": {field: condition}}});
    let path = format!("user_created.{field}");
    vec![
        behind(json!({"_eq": "abc"})),
        behind(json!({"_lt": "x"})),
        behind(json!({"_gt": 5})),
        behind(json!({"_in": ["a", "b"]})),
        behind(json!({"_between": [1, 2]})),
        behind(json!({"_contains": "x"})),
        behind(json!({"_nonsense": "x"})),
        behind(json!({"_some": {"id": {"_nnull": true}}})),
        behind(json!({"name": {"_eq": "x"}})),
        behind(json!("abc")),
        json!({"filter": {"user_created": {format!("year({field})"): {"_eq": 2026}}}}),
        json!({"sort": path}),
        json!({"sort": format!("-{path}.name")}),
        json!({"fields": path}),
        json!({"fields": format!("{path}.name")}),
        json!({"fields": format!("user_created.year({field})")}),
        json!({"fields": ["id", "user_created.id"], "deep": {"user_created": {field: {"_limit": 1}}}}),
        json!({"fields": ["id", "user_created.id"],
            "deep": {"user_created": {"_filter": {field: {"_lt": "x"}}}}}),
    ]
}

#[tokio::test]
async fn hidden_fields_get_the_same_error_as_missing_fields() {
    let server = TestServer::start().await;
    let permissions = [
        Permission::to("read", "messages").fields(&["id", "user_created"]),
        Permission::to("read", "directus_users").fields(&["id", "first_name"]),
    ];
    let reader = server.user_with("reader", &permissions).await;
    let mut socket = Socket::signed_in(&server, &reader).await;

    for hidden in ["email", "password", "role", "last_access", "tags", "email_notifications"] {
        for (asked, of_nothing) in queries(hidden).iter().zip(queries("absent")) {
            let over_rest = async |query: &Json| {
                let answer = reader.search("/items/messages", &json!({"query": query})).await;
                (answer.status, answer.text.replace(hidden, "absent"))
            };
            assert_eq!(over_rest(asked).await, over_rest(&of_nothing).await, "{asked}");
            let mut ask = async |query: &Json| {
                let frame = json!({"type": "subscribe", "collection": "messages", "query": query});
                socket.ask(&frame).await["error"].to_string().replace(hidden, "absent")
            };
            assert_eq!(ask(asked).await, ask(&of_nothing).await, "{asked}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unreadable_collection_always_returns_the_same_error() {
    let server = TestServer::start().await;
    let alice = server.user_with("alice", &[]).await;

    let plain = alice.get("/roles").await;
    plain.refused(403, "FORBIDDEN");
    for query in [
        "fields=name",
        "fields=nope",
        "sort=nope",
        "filter[name][_eq]=1",
        "filter[name][_lt]=1",
        "filter[nope][_eq]=1",
        "aggregate[sum]=name",
        "groupBy=nope",
        "deep[users][_limit]=1",
        "alias[a]=nope",
    ] {
        let answer = alice.get(&format!("/roles?{query}")).await;
        assert_eq!((answer.status, &answer.text), (403, &plain.text), "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn validation_rules_cannot_refer_to_related_fields() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let policy = admin.post("/policies", &json!({"name": "rules"})).await.ok()["id"].clone();
    let permission = |validation: Json| {
        json!({"policy": policy, "collection": "messages", "action": "create", "fields": ["*"],
            "validation": validation})
    };

    let through = json!({"_and": [{"user_created": {"first_name": {"_eq": "V"}}}]});
    admin.post("/permissions", &permission(through)).await.refused(400, "INVALID_PAYLOAD");
    let of_key = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    admin.post("/permissions", &permission(of_key)).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn role_hierarchies_cannot_contain_cycles() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let role = async |name: &str, parent: &Json| {
        admin.post("/roles", &json!({"name": name, "parent": parent})).await.ok()["id"].clone()
    };
    let top = role("top", &Json::Null).await;
    let middle = role("middle", &top).await;
    let low = role("low", &middle).await;
    let moved = async |role: &Json, parent: &Json| {
        let path = format!("/roles/{}", role.as_str().unwrap());
        admin.patch(&path, &json!({"parent": parent})).await
    };

    for below in [&top, &middle, &low] {
        moved(&top, below).await.refused(400, "INVALID_PAYLOAD");
    }
    moved(&middle, &low).await.refused(400, "INVALID_PAYLOAD");
    moved(&low, &top).await.ok();
    moved(&middle, &low).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_search_matches_author_keys_only_if_readable() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let id = alice.say("hello").await;
    server.member("bob").await.say("something else").await;

    let found = alice.get(&format!("/items/messages?fields=id&search={}", alice.id)).await.ok();
    assert_eq!(found, json!([{"id": id}]));
    let hidden = server
        .user_with("hidden", &[Permission::to("read", "messages").fields(&["id", "content"])])
        .await;
    let found = hidden.get(&format!("/items/messages?fields=id&search={}", alice.id)).await.ok();
    assert_eq!(found, json!([]));
    server.stop().await;
}
