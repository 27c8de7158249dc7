//! Permissions are checked at each event: rows, fields, and the keys of deleted items.

use serde_json::json;

use crate::support::{Permission, Socket, TestServer, User};

#[tokio::test]
async fn events_contain_only_readable_rows_and_fields() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let own = Permission::to("read", "messages")
        .fields(&["id", "content"])
        .on(json!({"user_created": {"first_name": {"_eq": "bob"}}}));
    let reader = server.user_with("reader", &[own]).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    let init = socket.subscribe("s", json!({})).await;
    assert_eq!(init["data"], json!([]));

    alice.say("hidden").await;
    bob.say("shown").await;
    alice.patch("/items/messages/1", &json!({"content": "hidden still"})).await.ok();
    bob.patch("/items/messages/2", &json!({"content": "shown still"})).await.ok();
    alice.delete("/items/messages/1").await.nothing();
    bob.delete_many("/items/messages", &json!([2])).await.nothing();

    let event = |event: &str, data: serde_json::Value| json!({"type": "subscription", "event": event, "data": data, "uid": "s"});
    socket.expect(&event("create", json!([{"id": 2, "content": "shown"}]))).await;
    socket.expect(&event("update", json!([{"id": 2, "content": "shown still"}]))).await;
    socket.expect(&event("delete", json!([2]))).await;
    server.stop().await;
}

#[tokio::test]
async fn delete_events_contain_only_readable_keys() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let some = Permission::to("read", "messages").on(json!({"content": {"_eq": "open"}}));
    let reader = server.user_with("reader", &[some]).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    socket.subscribe("s", json!({"event": "delete"})).await;
    for content in ["secret", "open", "secret", "open"] {
        admin.say(content).await;
    }

    admin.delete_many("/items/messages", &json!([1, 3])).await.nothing();
    admin.delete_many("/items/messages", &json!([4])).await.nothing();
    admin.say("secret").await;
    admin.delete_many("/items/messages", &json!([2, 5])).await.nothing();

    assert_eq!(socket.next().await["data"], json!([4]));
    assert_eq!(socket.next().await["data"], json!([2]));
    server.stop().await;
}

#[tokio::test]
async fn system_collection_events_apply_permissions_and_mask_secrets() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let names = Permission::to("read", "directus_users").fields(&["id", "first_name"]);
    let reader = server.user_with("reader", &[names]).await;
    let mut of_reader = Socket::signed_in(&server, &reader).await;
    let mut of_admin = Socket::signed_in(&server, &admin).await;
    let subscribe = json!({"collection": "directus_users", "event": "update"});
    of_reader.subscribe("s", subscribe.clone()).await;
    of_admin.subscribe("s", subscribe).await;

    let path = format!("/users/{}", reader.id);
    let change = json!({"first_name": "R", "token": "a static token"});
    admin.patch(&path, &change).await.ok();

    let shown = of_reader.next().await["data"].clone();
    assert_eq!(shown, json!([{"id": reader.id, "first_name": "R"}]));
    let shown = of_admin.next().await.to_string();
    assert!(shown.contains("**********"), "{shown}");
    assert!(!shown.contains("$argon2") && !shown.contains("a static token"), "{shown}");
    server.stop().await;
}

#[tokio::test]
async fn events_require_access_to_the_key_field() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let keyless = Permission::to("read", "messages").fields(&["content"]);
    let reader = server.user_with("reader", &[keyless]).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    socket.subscribe("s", json!({"event": "create"})).await;
    let mut witness = Socket::signed_in(&server, &alice).await;
    witness.subscribe("w", json!({"event": "create"})).await;

    alice.say("unheard").await;

    witness.expect_event("create", "unheard").await;
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_before_sign_in_starts_on_sign_in() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::connect(&server).await;

    // A reconnecting client sends its subscriptions first. It is told that they show nothing yet,
    // but not by a frame that would end them.
    let told = socket.subscribe("s", json!({"event": "create"})).await;
    assert_eq!(
        (told["type"].as_str(), told["error"]["code"].as_str()),
        (Some("subscription"), Some("FORBIDDEN"))
    );
    alice.say("not for nobody").await;
    let mut witness = Socket::signed_in(&server, &alice).await;
    witness.subscribe("w", json!({"event": "create"})).await;
    socket.quiet().await;
    socket.send(&json!({"type": "auth", "access_token": alice.token})).await;

    let mut frames = [socket.next().await, socket.next().await];
    frames.sort_by_key(|frame| frame["type"].to_string());
    assert_eq!(frames[0], json!({"type": "auth", "status": "ok"}));
    assert_eq!(frames[1], json!({"type": "subscription", "event": "init", "uid": "s"}));
    server.stop().await;
}

#[tokio::test]
async fn changes_to_unreadable_fields_send_no_event() {
    let server = TestServer::start().await;
    let (admin, bob) = (server.admin().await, server.member("bob").await);
    let names = Permission::to("read", "directus_users").fields(&["id", "first_name", "status"]);
    let active = names.on(json!({"status": {"_eq": "active"}}));
    let reader = server.user_with("reader", &[active]).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    let mut of_admin = Socket::signed_in(&server, &admin).await;
    let subscribe = json!({"collection": "directus_users", "event": "update",
        "query": {"fields": ["first_name"]}});
    for socket in [&mut socket, &mut of_admin] {
        assert_eq!(socket.subscribe("users", subscribe.clone()).await["event"], "init");
    }
    let path = format!("/users/{}", bob.id);

    User::sign_in(&server.anonymous(), &bob.id, &bob.email, &bob.password).await;
    admin.patch(&path, &json!({"password": "another password"})).await.ok();
    admin.patch(&path, &json!({"title": "Dr"})).await.ok();
    admin.patch(&path, &json!({"first_name": "Robert"})).await.ok();

    // An account that may read everything receives every event.
    let mut heard = 1;
    while of_admin.next().await["data"] != json!([{"first_name": "Robert"}]) {
        heard += 1;
    }
    assert_eq!(heard, 4);
    assert_eq!(socket.next().await["data"], json!([{"first_name": "Robert"}]));
    socket.quiet().await;
    server.stop().await;
}
