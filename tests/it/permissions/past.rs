//! A permission to read revisions does not extend to the contents of their messages.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, TestServer, User};

async fn contents(reader: &User) -> Json {
    let path = "/revisions?fields=item,data,delta&sort=id";
    let list = reader.get(path).await.ok();
    let line = |one: &Json| json!([one["item"], one["data"]["content"], one["delta"]["content"]]);
    list.as_array().unwrap().iter().map(line).collect()
}

async fn said(server: &TestServer) {
    let admin = server.admin().await;
    for content in ["open", "secret"] {
        admin.say(content).await;
    }
    admin.patch("/items/messages/2", &json!({"content": "open too"})).await.ok();
    admin.patch("/items/messages/1", &json!({"content": "secret now"})).await.ok();
}

#[tokio::test]
async fn revisions_hide_the_content_of_unreadable_messages() {
    let server = TestServer::start().await;
    said(&server).await;
    let permissions =
        ["directus_revisions", "directus_activity"].map(|one| Permission::to("read", one));
    let reader = server.user_with("reader", &permissions).await;

    let list = reader.get("/revisions?fields=item,data,delta").await.ok();

    let line = |item: &str| json!({"item": item, "data": null, "delta": null});
    assert_eq!(list, json!([line("1"), line("2"), line("2"), line("1")]));
    let nested = "/activity?filter[collection][_eq]=messages&fields=revisions.data,revisions.delta";
    let nested = reader.get(nested).await.ok();
    assert!(
        !nested.to_string().contains("open") && !nested.to_string().contains("secret"),
        "{nested}"
    );
    let exported = reader.get("/revisions?export=csv").await;
    assert!(!exported.text.contains("open") && !exported.text.contains("secret"));
    // Nor can queries refer to their data.
    for query in [
        "filter[data][_contains]=secret",
        "filter[delta][_eq]=x",
        "sort=data",
        "aggregate[max]=data",
        "groupBy[]=delta",
    ] {
        let answer = reader.get(&format!("/revisions?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
    }
    assert_eq!(reader.get("/revisions?search=secret").await.ok(), json!([]));
    server.stop().await;
}

#[tokio::test]
async fn revisions_are_authorized_by_the_content_they_record() {
    let server = TestServer::start().await;
    said(&server).await;
    let permissions = [
        Permission::to("read", "directus_revisions"),
        Permission::to("read", "messages")
            .fields(&["id", "content"])
            .on(json!({"content": {"_starts_with": "open"}})),
    ];
    let reader = server.user_with("reader", &permissions).await;

    assert_eq!(
        contents(&reader).await,
        json!([
            ["1", "open", "open"],
            ["2", null, null],
            ["2", "open too", "open too"],
            ["1", null, null]
        ])
    );
    let first = reader.get("/revisions?limit=1&fields=data,delta").await.ok();
    let shown = json!({"id": 1, "content": "open"});
    assert_eq!(first, json!([{"data": shown, "delta": shown}]));
    server.stop().await;
}

#[tokio::test]
async fn author_rules_apply_to_revisions() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    alice.say("hers").await;
    bob.say("his").await;
    let rule = json!({"user_created": {"first_name": {"_eq": "alice"}}});
    let permissions = [
        Permission::to("read", "directus_revisions"),
        Permission::to("read", "messages").on(rule),
        Permission::to("read", "directus_users"),
    ];
    let reader = server.user_with("reader", &permissions).await;

    assert_eq!(contents(&reader).await, json!([["1", "hers", "hers"], ["2", null, null]]));
    server.stop().await;
}

#[tokio::test]
async fn activity_rules_limit_rows_and_fields() {
    let server = TestServer::start().await;
    let own = json!({"user": {"_eq": "$CURRENT_USER"}});
    let read =
        Permission::to("read", "directus_activity").fields(&["id", "action", "item", "user"]);
    let permissions = [read.on(own), Permission::to("create", "messages")];
    let alice = server.user_with("alice", &permissions).await;
    server.admin().await.say("the administrator's").await;
    alice.post("/items/messages", &json!({"content": "hers"})).await.nothing();

    let lines = alice.get("/activity?fields=action,user").await.ok();

    let line = |action: &str| json!({"action": action, "user": alice.id});
    assert_eq!(lines, json!([line("login"), line("create")]));
    for path in [
        "/activity?fields=ip",
        "/activity?filter[ip][_nnull]=true",
        "/activity?sort=user_agent",
        "/revisions",
    ] {
        alice.get(path).await.refused(403, "FORBIDDEN");
    }
    server.member("bob").await.get("/activity").await.refused(403, "FORBIDDEN");
    server.anonymous().get("/activity").await.refused(403, "FORBIDDEN");
    server.stop().await;
}
