//! Many subscriptions with different views: an event reaches the matching ones, however they are
//! indexed, and no others.

use serde_json::json;

use crate::support::{Permission, Socket, TestServer};

const READERS: usize = 12;

#[tokio::test]
async fn filters_and_rules_limit_events_to_own_items() {
    let server = TestServer::start().await;
    let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    let mut readers = Vec::new();
    for number in 0..READERS {
        // For half of them a rule restricts the rows, for the others a filter does.
        let by_rule = number % 2 == 0;
        let read = Permission::to("read", "messages");
        let read = if by_rule { read.on(own.clone()) } else { read };
        let rights = [read, Permission::to("create", "messages")];
        let user = server.user_with(&format!("reader{number}"), &rights).await;
        let mut socket = Socket::signed_in(&server, &user).await;
        let query = if by_rule { json!({}) } else { json!({"filter": own}) };
        let init = socket.subscribe("s", json!({"event": "create", "query": query})).await;
        assert_eq!(init["event"], "init");
        readers.push((user, socket));
    }

    for (user, _) in &readers {
        user.say(&format!("by {}", user.email)).await;
    }

    for (user, mut socket) in readers {
        socket.expect_event("create", &format!("by {}", user.email)).await;
        socket.quiet().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn every_kind_of_filter_matches_its_events() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let by_alice = json!({"user_created": {"id": {"_eq": alice.id}}});
    let filters = [
        (json!({}), vec!["one", "two", "three"]),
        (by_alice.clone(), vec!["one", "three"]),
        (
            json!({"_or": [by_alice.clone(), {"content": {"_eq": "two"}}]}),
            vec!["one", "two", "three"],
        ),
        (json!({"content": {"_in": ["two", "three"]}}), vec!["two", "three"]),
        (json!({"_and": [by_alice, {"content": {"_in": ["one", "two"]}}]}), vec!["one"]),
        (json!({"content": {"_contains": "e"}}), vec!["one", "three"]),
        (json!({"content": {"_in": ["four"]}}), vec![]),
    ];
    let mut sockets = Vec::new();
    for (filter, expected) in filters {
        let mut socket = Socket::signed_in(&server, &bob).await;
        let query = json!({"filter": filter, "fields": ["content"]});
        socket.subscribe("s", json!({"event": "create", "query": query})).await;
        sockets.push((expected, socket));
    }

    alice.say("one").await;
    bob.say("two").await;
    alice.say("three").await;

    for (expected, mut socket) in sockets {
        for content in expected {
            socket.expect_event("create", content).await;
        }
        socket.quiet().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_item_subscription_follows_its_key_until_the_delete() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    for content in ["first", "second"] {
        alice.say(content).await;
    }
    let mut socket = Socket::signed_in(&server, &alice).await;
    assert_eq!(socket.subscribe("s", json!({"item": 2})).await["event"], "init");

    alice.patch("/items/messages/1", &json!({"content": "not this"})).await.ok();
    alice.patch("/items/messages/2", &json!({"content": "this"})).await.ok();
    alice.delete("/items/messages/1").await.nothing();
    alice.delete("/items/messages/2").await.nothing();

    let update = socket.next().await;
    assert_eq!((&update["event"], &update["data"]["content"]), (&json!("update"), &json!("this")));
    let delete = socket.next().await;
    assert_eq!((&delete["event"], &delete["data"]), (&json!("delete"), &json!("2")));
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn unsubscribing_keeps_equal_subscriptions_of_other_sockets() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let own = json!({"event": "create", "query": {"filter": {"user_created": "$CURRENT_USER"}}});
    let mut one = Socket::signed_in(&server, &alice).await;
    let mut other = Socket::signed_in(&server, &alice).await;
    for socket in [&mut one, &mut other] {
        socket.subscribe("s", own.clone()).await;
    }

    one.ask(&json!({"type": "unsubscribe", "uid": "s"})).await;
    alice.say("to one of them").await;
    other.expect_event("create", "to one of them").await;
    other.ask(&json!({"type": "unsubscribe", "uid": "s"})).await;
    alice.say("to nobody").await;
    one.quiet().await;
    other.quiet().await;
    one.subscribe("s", own).await;
    alice.say("to one again").await;

    one.expect_event("create", "to one again").await;
    other.quiet().await;
    server.stop().await;
}
