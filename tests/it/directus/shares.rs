//! Limits of subscriptions and their queries for each account and address, over all sockets.

use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::error;
use crate::support::{Permission, Socket, TestServer};

/// Returns a subscription with a unique filter.
fn different(number: usize) -> Json {
    let filter = json!({"content": {"_ncontains": format!("never said {number}")}});
    json!({"event": "create", "query": {"fields": ["content"], "filter": filter}})
}

#[tokio::test]
async fn filters_of_an_account_share_a_quota_across_sockets() {
    let server = TestServer::with(|config| config.websockets.user_queries_max = 20).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut sockets = Vec::new();
    let mut last = loop {
        let mut socket = Socket::signed_in(&server, &alice).await;
        let answer = socket.subscribe("s", different(sockets.len())).await;
        if answer["event"] == "init" {
            sockets.push(socket);
            continue;
        }
        assert_eq!((error(&answer).1, &answer["uid"]), ("LIMIT_EXCEEDED", &json!("s")));
        break socket;
    };
    // A filter that scans texts counts for several subscriptions.
    assert!((2..10).contains(&sockets.len()), "{}", sockets.len());
    // The same query costs nothing more, and another account has its own quota.
    assert_eq!(last.subscribe("t", different(0)).await["event"], "init");
    let mut of_bob = Socket::signed_in(&server, &bob).await;
    assert_eq!(of_bob.subscribe("s", different(90)).await["event"], "init");
    last.expect_nothing_lost_of(&mut sockets, &alice).await;

    // The quota is returned when a subscription ends.
    sockets[1].ask(&json!({"type": "unsubscribe", "uid": "s"})).await;
    assert_eq!(last.subscribe("u", different(91)).await["event"], "init");
    server.stop().await;
}

#[tokio::test]
async fn subscriptions_of_an_account_share_a_quota_across_sockets() {
    let server = TestServer::with(|config| config.websockets.user_subscriptions_max = 3).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let plain = || json!({"event": "create"});
    let mut one = Socket::signed_in(&server, &alice).await;
    let mut other = Socket::signed_in(&server, &alice).await;
    for uid in ["a", "b", "b"] {
        assert_eq!(one.subscribe(uid, plain()).await["event"], "init");
    }
    assert_eq!(other.subscribe("a", plain()).await["event"], "init");

    let refused = other.subscribe("b", plain()).await;
    assert_eq!(error(&refused).1, "LIMIT_EXCEEDED");
    let mut of_bob = Socket::signed_in(&server, &bob).await;
    assert_eq!(of_bob.subscribe("a", plain()).await["event"], "init");
    let peers = server.app().services().hub.peers();
    drop(one);
    while server.app().services().hub.peers() == peers {
        tokio::task::yield_now().await;
    }

    assert_eq!(other.subscribe("b", plain()).await["event"], "init");
    server.stop().await;
}

#[tokio::test]
async fn accounts_of_one_address_share_a_subscription_quota() {
    let server = TestServer::with(|config| config.websockets.user_subscriptions_max = 1).await;
    let mut sockets = Vec::new();
    for name in ["ann", "ben", "cat", "dan", "eve"] {
        let user = server.member(name).await;
        let mut socket = Socket::signed_in(&server, &user).await;
        let answer = socket.subscribe("s", json!({"event": "create"})).await;
        if name == "eve" {
            assert_eq!(error(&answer).1, "LIMIT_EXCEEDED");
        } else {
            assert_eq!(answer["event"], "init", "{name}");
        }
        sockets.push(socket);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_permission_change_at_full_quota_ends_no_subscription() {
    let server = TestServer::with(|config| config.websockets.user_queries_max = 8).await;
    let admin = server.admin().await;
    let some = Permission::to("read", "messages").fields(&["id", "content"]);
    let reader = server.user_with("reader", &[some]).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    let mut count = 0;
    loop {
        let query = json!({"filter": {"id": {"_gt": -count}}});
        let answer = socket.subscribe(&count.to_string(), json!({"query": query})).await;
        if answer["event"] != "init" {
            assert_eq!(error(&answer).1, "LIMIT_EXCEEDED");
            break;
        }
        count += 1;
    }
    assert!(count > 1, "{count}");

    let policy = admin.get("/policies?filter[name]=reader").await.ok()[0]["id"].clone();
    admin.grant(&policy, &[Permission::to("read", "messages")]).await;
    admin.say("seen with all fields").await;

    for _ in 0..count {
        let event = socket.expect_event("create", "seen with all fields").await;
        assert!(event["data"][0]["date_created"].is_string(), "{event}");
    }
    server.stop().await;
}

#[tokio::test]
async fn topics_count_as_subscriptions() {
    let server = TestServer::with(|config| config.websockets.user_subscriptions_max = 1).await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let open = || async {
        let request = format!("ws://{}/_ws", server.address).into_client_request().unwrap();
        Socket::open(request).await.unwrap()
    };
    let (mut one, mut other) = (open().await, open().await);
    let subscribe = json!({"type": "subscribe", "topic": "chat"});

    one.send(&subscribe).await;
    server.admin().await.say("heard by the first").await;
    while one.next().await["topic"] != "chat" {}
    other.send(&subscribe).await;
    let refused = loop {
        let frame = other.next().await;
        if frame["status"] == "error" {
            break frame;
        }
    };

    assert_eq!(error(&refused).1, "LIMIT_EXCEEDED", "{refused}");
    server.stop().await;
}

impl Socket {
    /// Asserts that existing subscriptions continue: each of these sockets gets another message.
    async fn expect_nothing_lost_of(&mut self, sockets: &mut [Self], by: &crate::support::User) {
        by.say("goes on").await;
        for socket in sockets {
            socket.expect_event("create", "goes on").await;
        }
        self.expect_event("create", "goes on").await;
    }
}
