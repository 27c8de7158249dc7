//! Connections that switch accounts while messages are written, and subscriptions without access to
//! the keys of items.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chinwag::config::WebSocketAuth;
use futures_util::future::join_all;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::error;
use crate::support::{Permission, Socket, TestServer, User};

const SOCKETS: usize = 20;
const MESSAGES: i64 = 200;

/// Signs in and out until the last message arrives, and returns the ids received. Counts the socket
/// in `turning` from its second sign-in on.
async fn flip(mut socket: Socket, token: String, turning: Arc<AtomicUsize>) -> Vec<i64> {
    let (mut heard, mut turns) = (Vec::new(), 0);
    let sign_in = json!({"type": "auth", "access_token": token});
    socket.send(&sign_in).await;
    loop {
        let frame = socket.next().await;
        match frame["type"].as_str().unwrap() {
            "subscription" => {
                assert_eq!(frame["event"], "create", "{frame}");
                for item in frame["data"].as_array().unwrap() {
                    if item["content"] == "the end" {
                        assert!(turns > 2, "{turns} sign-ins are too few to prove anything");
                        return heard;
                    }
                    heard.push(item["id"].as_i64().unwrap());
                }
            }
            "auth" => {
                assert_eq!(frame["status"], "ok", "{frame}");
                turns += 1;
                if turns == 2 {
                    turning.fetch_add(1, Ordering::Relaxed);
                }
                socket.send(&json!({"type": "auth", "action": "logout"})).await;
                socket.send(&json!({"type": "ping"})).await;
            }
            "pong" => socket.send(&sign_in).await,
            other => panic!("{other}: {frame}"),
        }
    }
}

async fn write(user: &User, turning: &AtomicUsize) {
    // Waits until all sockets are switching, so that no message is written before that.
    while turning.load(Ordering::Relaxed) < SOCKETS {
        tokio::task::yield_now().await;
    }
    for number in 0..MESSAGES / 4 {
        user.say(&format!("{number}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn account_switches_under_load_deliver_every_message_once() {
    let server = TestServer::with(|config| config.websockets.auth = WebSocketAuth::Public).await;
    // The public reads fewer fields, so each switch moves the subscription to another view.
    server
        .allow_public(&[
            Permission::to("read", "messages").fields(&["id", "content"]),
            Permission::to("read", "directus_users").fields(&["first_name"]),
        ])
        .await;
    let alice = server.member("alice").await;
    let turning = Arc::new(AtomicUsize::new(0));
    let mut flipping = Vec::new();
    for number in 0..SOCKETS {
        let mut socket = Socket::connect(&server).await;
        // Half of them request fields that both may read, and stay in views with the same output.
        let fields = if number % 2 == 0 { json!(["id", "content"]) } else { json!(["*"]) };
        let init = socket.subscribe("s", json!({"event": "create", "query": {"fields": fields}}));
        assert_eq!(init.await["event"], "init");
        flipping.push(tokio::spawn(flip(socket, alice.token.clone(), Arc::clone(&turning))));
    }

    join_all((0..4).map(|_| write(&alice, &turning))).await;
    alice.say("the end").await;

    let stored = alice.get("/items/messages?limit=-1&fields=id&filter[content][_neq]=the end");
    let stored = stored.await.ok();
    let stored: Vec<i64> =
        stored.as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
    assert_eq!(i64::try_from(stored.len()), Ok(MESSAGES));
    for heard in join_all(flipping).await {
        assert_eq!(heard.unwrap(), stored);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_item_subscription_requires_access_to_the_key() {
    let server = TestServer::start().await;
    let permissions = [Permission::to("read", "messages").fields(&["content"])];
    let (admin, reader) = (server.admin().await, server.user_with("reader", &permissions).await);
    let id = admin.say("one").await;
    let mut socket = Socket::signed_in(&server, &reader).await;

    for event in [json!(null), json!("create"), json!("update"), json!("delete")] {
        for item in [json!(id), json!(id.to_string()), json!(999)] {
            let mut frame = json!({"item": item, "query": {"fields": ["content"]}});
            if !event.is_null() {
                frame["event"] = event.clone();
            }
            let answer = socket.subscribe("one", frame.clone()).await;
            assert_eq!(error(&answer).1, "FORBIDDEN", "{frame}");
            assert!(!answer.to_string().contains("\"one\",\"data\""), "{answer}");
        }
    }
    let mut witness = Socket::signed_in(&server, &admin).await;
    witness.subscribe("one", json!({"item": id, "event": "update"})).await;
    admin.patch(&format!("/items/messages/{id}"), &json!({"content": "changed"})).await.ok();
    witness.next().await;
    socket.quiet().await;
    // Only the key is hidden: the account reads the contents of all items.
    let all = json!({"type": "items", "collection": "messages", "action": "read",
        "query": {"fields": ["content"]}});
    assert_eq!(socket.ask(&all).await["data"], json!([{"content": "changed"}]));
    server.stop().await;
}

#[tokio::test]
async fn delete_events_omit_keys_hidden_by_rules() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let open = json!({"content": {"_starts_with": "open"}});
    let keyless = [Permission::to("read", "messages").fields(&["content"])];
    let some_keys = [
        Permission::to("read", "messages").fields(&["content"]),
        Permission::to("read", "messages").fields(&["id"]).on(open.clone()),
    ];
    let some_rows = [Permission::to("read", "messages").on(open)];
    let mut sockets = Vec::new();
    for (name, permissions) in
        [("keyless", &keyless[..]), ("some-keys", &some_keys), ("some-rows", &some_rows)]
    {
        let reader = server.user_with(name, permissions).await;
        let mut socket = Socket::signed_in(&server, &reader).await;
        let init = socket.subscribe("all", json!({"query": {"fields": ["content"]}})).await;
        assert_eq!(init["event"], "init", "{name}: {init}");
        let gone = socket.subscribe("gone", json!({"event": "delete"})).await;
        assert_eq!(gone["event"], "init", "{name}: {gone}");
        sockets.push((name, socket));
    }
    let create = |id: i64, content: &str| json!({"id": id, "content": content});
    let list = [create(770_001, "secret"), create(770_002, "open"), create(770_003, "secret too")];
    admin.post("/items/messages", &json!(list)).await.ok();

    admin.delete("/items/messages/770001").await.nothing();
    admin.delete_many("/items/messages", &json!([770_003, 770_002])).await.nothing();
    admin.post("/items/messages", &json!({"content": "open: the end"})).await.ok();

    for (name, mut socket) in sockets.into_iter().rev() {
        let mut told: Vec<Json> = Vec::new();
        if name == "keyless" {
            // An account without access to keys gets no events. By now the others have received all
            // of them.
            socket.send(&json!({"type": "ping"})).await;
        }
        loop {
            let frame = socket.next().await;
            if frame["data"][0]["content"] == "open: the end" || frame["type"] == "pong" {
                break;
            }
            assert_ne!(name, "keyless", "{frame}");
            assert!(!frame.to_string().contains("770001"), "{name}: {frame}");
            assert!(!frame.to_string().contains("770003"), "{name}: {frame}");
            if frame["event"] == "delete" {
                told.extend(frame["data"].as_array().unwrap().iter().cloned());
            }
        }
        let open = if name == "keyless" { vec![] } else { vec![json!(770_002); 2] };
        assert_eq!(told, open, "{name}");
    }
    server.stop().await;
}
