//! `recover`: a client without a cursor resumes from its last acknowledged position.

use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::error;
use crate::support::{Permission, Socket, TestServer, User};

/// A page name that no other test uses.
pub(super) const PAGE: &str = "1f6f3c0e-6f0e-4a57-8f7e-1c2d3e4f5a6b";

/// A client that behaves like the SDK: it answers pings and resubscribes on each connection.
pub(super) struct Page {
    pub(super) socket: Socket,
}

impl Page {
    pub(super) async fn signed_in(server: &TestServer, user: &User) -> Self {
        Self { socket: Socket::signed_in(server, user).await }
    }

    /// Returns the next frame other than a ping.
    pub(super) async fn next(&mut self) -> Json {
        loop {
            let frame = self.socket.next().await;
            if frame["type"] != "ping" {
                return frame;
            }
            self.socket.send(&json!({"type": "pong"})).await;
        }
    }

    /// Subscribes under this name, and returns whether the subscription was recovered.
    pub(super) async fn recovers(&mut self, recover: &str) -> bool {
        self.socket
            .send(&json!({"type": "subscribe", "collection": "messages", "event": "create",
                "uid": "chat", "recover": recover, "query": {"fields": ["content"]}}))
            .await;
        let init = self.next().await;
        assert_eq!(init["event"], "init", "{init}");
        init["recovered"].as_bool().unwrap()
    }

    /// Waits for a message, and returns whether it was replayed.
    pub(super) async fn sees(&mut self, content: &str) -> bool {
        let frame = self.next().await;
        assert_eq!(frame["data"], json!([{"content": content}]), "{frame}");
        frame["replayed"] == true
    }

    /// Acknowledges all events so far: answers a ping, and waits until the server has processed the
    /// pong. (Pings that request an acknowledgement are sent one at a time, and the ping of `quiet`
    /// is answered after the pong.)
    pub(super) async fn confirm(&mut self) {
        let frame = self.socket.next().await;
        assert_eq!(frame["type"], "ping", "{frame}");
        self.socket.send(&json!({"type": "pong"})).await;
        self.quiet().await;
    }

    /// The same without a sign-in: the acknowledgement is requested by WebSocket pings.
    pub(super) async fn confirm_unseen(&mut self) {
        loop {
            match self.socket.message().await {
                Some(Message::Ping(_)) => break,
                Some(Message::Text(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        self.quiet().await;
    }

    /// Asserts that only pings arrive before the response to a frame that is sent now.
    pub(super) async fn quiet(&mut self) {
        self.socket.send(&json!({"type": "ping", "uid": "quiet?"})).await;
        assert_eq!(self.next().await, json!({"type": "pong", "uid": "quiet?"}));
    }
}

#[tokio::test]
async fn a_recovered_client_receives_unacknowledged_events() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut page = Page::signed_in(&server, &alice).await;
    assert!(!page.recovers(PAGE).await, "a new page has no position");
    page.confirm().await;
    alice.say("confirmed").await;
    assert!(!page.sees("confirmed").await);
    page.confirm().await;
    // The client receives this message, but is disconnected before it can acknowledge it.
    alice.say("on its way").await;
    assert_eq!(page.socket.next().await["data"], json!([{"content": "on its way"}]));
    drop(page);
    alice.say("missed").await;

    let mut page = Page::signed_in(&server, &alice).await;

    assert!(page.recovers(PAGE).await);
    for content in ["on its way", "missed"] {
        assert!(page.sees(content).await);
    }
    alice.say("news").await;
    assert!(!page.sees("news").await);
    page.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_subscription_replays_each_event_once() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut page = Page::signed_in(&server, &alice).await;
    page.recovers(PAGE).await;
    drop(page);
    for content in ["one", "two"] {
        alice.say(content).await;
    }

    // The SDK sends each subscription twice after a reconnect.
    let mut page = Page::signed_in(&server, &alice).await;
    let subscribe = json!({"type": "subscribe", "collection": "messages", "event": "create",
        "uid": "chat", "recover": PAGE, "query": {"fields": ["content"]}});
    page.socket.send(&subscribe).await;
    page.socket.send(&subscribe).await;

    let mut told = Vec::new();
    let mut inits = 0;
    while told.len() < 2 || inits < 2 {
        let frame = page.next().await;
        if frame["event"] == "init" {
            assert_eq!(frame["recovered"], true);
            inits += 1;
        } else {
            told.push(frame["data"][0]["content"].clone());
        }
    }
    assert_eq!(told, ["one", "two"]);
    page.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn recovery_positions_survive_a_restart() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut page = Page::signed_in(&server, &alice).await;
    page.recovers(PAGE).await;
    alice.say("confirmed").await;
    page.sees("confirmed").await;
    page.confirm().await;
    drop(page);
    alice.say("before").await;

    let server = server.restart().await;
    let alice = server.signed_in_again(&alice);
    alice.say("after").await;
    let mut page = Page::signed_in(&server, &alice).await;

    assert!(page.recovers(PAGE).await);
    for content in ["before", "after"] {
        assert!(page.sees(content).await);
    }
    page.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn an_unacknowledged_snapshot_is_sent_again() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    alice.say("there").await;
    let subscribe = json!({"type": "subscribe", "collection": "messages", "uid": "list",
        "recover": PAGE, "query": {"fields": ["content"]}});
    let mut page = Page::signed_in(&server, &alice).await;
    assert_eq!(page.socket.ask(&subscribe).await["data"], json!([{"content": "there"}]));
    drop(page);

    // Nothing was acknowledged: the snapshot is sent again.
    let mut page = Page::signed_in(&server, &alice).await;
    let init = page.socket.ask(&subscribe).await;
    assert_eq!(
        (&init["data"], &init["recovered"]),
        (&json!([{"content": "there"}]), &json!(false))
    );
    page.confirm().await;
    drop(page);

    let mut page = Page::signed_in(&server, &alice).await;
    let init = page.socket.ask(&subscribe).await;
    assert_eq!((init.get("data"), &init["recovered"]), (None, &json!(true)));
    server.stop().await;
}

#[tokio::test]
async fn a_long_recovery_key_recovers_without_a_sign_in() {
    let server = TestServer::start().await;
    let rule = json!({"content": {"_ncontains": "secret"}});
    server.allow_public(&[Permission::to("read", "messages").on(rule)]).await;
    let alice = server.member("alice").await;
    let mut page = Page::signed_in(&server, &alice).await;
    page.recovers(PAGE).await;
    drop(page);
    for content in ["a secret", "for all"] {
        alice.say(content).await;
    }

    // After a sign-in with a typed password, the SDK reconnects without signing in.
    let mut page = Page { socket: Socket::connect(&server).await };
    assert!(page.recovers(PAGE).await);
    assert!(page.sees("for all").await);
    page.confirm_unseen().await;
    drop(page);

    // The events that were sent are acknowledged. Those that the public may not read are not.
    let mut page = Page { socket: Socket::connect(&server).await };
    assert!(page.recovers(PAGE).await);
    page.quiet().await;
    page.socket.auth(&alice).await;
    for content in ["a secret", "for all"] {
        assert!(page.sees(content).await);
    }
    page.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn one_account_cannot_evict_the_positions_of_another() {
    let server = TestServer::with(|config| {
        config.websockets.subscriptions_max = 6;
        config.websockets.positions_max = 20;
        config.websockets.user_positions_max = 5;
    })
    .await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut page = Page::signed_in(&server, &alice).await;
    assert!(!page.recovers(PAGE).await);
    drop(page);

    // The limit holds within one connection and across several.
    for connection in 0..4 {
        let mut page = Page::signed_in(&server, &bob).await;
        for number in 0..30 {
            assert!(!page.recovers(&format!("page {connection}.{number} of bob")).await);
        }
    }

    assert!(Page::signed_in(&server, &alice).await.recovers(PAGE).await);
    server.stop().await;
}

#[tokio::test]
async fn a_short_recovery_key_belongs_to_one_account() {
    let server = TestServer::start().await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut page = Page::signed_in(&server, &alice).await;
    page.recovers("page").await;
    drop(page);

    assert!(!Page::signed_in(&server, &bob).await.recovers("page").await);
    assert!(!Page { socket: Socket::connect(&server).await }.recovers("page").await);
    assert!(!Page { socket: Socket::connect(&server).await }.recovers("page").await);
    assert!(Page::signed_in(&server, &alice).await.recovers("page").await);
    server.stop().await;
}

#[tokio::test]
async fn invalid_recovery_keys_are_refused() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    for recover in [json!(""), json!(7), json!(["page"]), json!("x".repeat(256))] {
        let frame = json!({"recover": recover, "event": "create"});
        let answer = socket.subscribe("s", frame).await;
        assert_eq!(error(&answer).1, "INVALID_PAYLOAD", "{recover}");
    }
    server.stop().await;
}
