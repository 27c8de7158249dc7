//! Typing indicators: sent to subscribers on both sockets, and to no one else.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::error;
use crate::support::{Permission, Socket, TestServer, User};

/// Signs in at `/websocket` and subscribes to typing indicators.
async fn watching(server: &TestServer, user: &User) -> Socket {
    let mut socket = Socket::signed_in(server, user).await;
    let ask = json!({"type": "typing", "action": "subscribe", "uid": "t"});
    assert_eq!(socket.ask(&ask).await, told(&[]));
    socket
}

/// Opens a topics socket subscribed to typing indicators only, and returns it with its name.
async fn page(server: &TestServer) -> (Socket, Json) {
    let request = format!("ws://{}/_ws", server.address).into_client_request().unwrap();
    let mut socket = Socket::open(request).await.unwrap();
    let mut frame = socket.next().await;
    while frame["topic"] != "_internal" {
        frame = socket.next().await;
    }
    let name = frame["payload"]["connectionId"].clone();
    socket.next().await;
    socket.send(&json!({"type": "unsubscribe", "topic": "session"})).await;
    socket.send(&json!({"type": "subscribe", "topic": "typing"})).await;
    assert_eq!(socket.next().await, state(&[]));
    (socket, name)
}

fn told(names: &[&str]) -> Json {
    json!({"type": "typing", "data": list(names), "uid": "t"})
}

fn state(names: &[&str]) -> Json {
    json!({"topic": "typing", "payload": list(names)})
}

fn list(names: &[&str]) -> Json {
    names.iter().map(|name| json!({"user": name})).collect()
}

fn typing() -> Json {
    json!({"type": "typing"})
}

fn in_topic(payload: &Json) -> Json {
    json!({"type": "publish", "topic": "typing", "payload": payload})
}

async fn open() -> TestServer {
    let server = TestServer::start().await;
    let rights = [
        Permission::to("read", "messages"),
        Permission::to("create", "messages"),
        Permission::to("read", "directus_users").fields(&["first_name"]),
    ];
    server.allow_public(&rights).await;
    server
}

#[tokio::test]
async fn typing_is_shown_on_both_endpoints_until_the_message_is_sent() {
    let server = open().await;
    let (alice, bob) = (server.member("Alice").await, server.member("Bob").await);
    let (mut of_alice, mut of_bob) =
        (watching(&server, &alice).await, watching(&server, &bob).await);
    let (mut page, guest) = page(&server).await;

    of_alice.send(&typing()).await;
    of_bob.expect(&told(&["Alice"])).await;
    page.expect(&state(&["Alice"])).await;
    page.send(&in_topic(&json!(true))).await;
    of_bob.expect(&told(&["Alice", guest.as_str().unwrap()])).await;
    // A connection does not see its own account.
    of_alice.expect(&told(&[guest.as_str().unwrap()])).await;

    alice.say("sent by another road").await;
    of_bob.expect(&told(&[guest.as_str().unwrap()])).await;
    page.expect(&state(&[])).await;
    page.send(&json!({"type": "publish", "topic": "chat", "payload": {"text": "sent"}})).await;
    of_bob.expect(&told(&[])).await;
    of_alice.expect(&told(&[])).await;
    server.stop().await;
}

#[tokio::test]
async fn typing_ends_on_stop_disconnect_or_timeout() {
    let timeout = Duration::from_secs(2);
    let server = TestServer::with(|config| config.topics.typing_timeout = timeout).await;
    let (alice, bob) = (server.member("Alice").await, server.member("Bob").await);
    let mut of_bob = watching(&server, &bob).await;
    let mut of_alice = Socket::signed_in(&server, &alice).await;

    // Two connections of an account are one typing user.
    let mut elsewhere = Socket::signed_in(&server, &alice).await;
    of_alice.send(&typing()).await;
    elsewhere.send(&typing()).await;
    of_bob.expect(&told(&["Alice"])).await;
    of_bob.expect(&told(&[])).await;

    of_alice.send(&typing()).await;
    of_bob.expect(&told(&["Alice"])).await;
    of_alice.send(&json!({"type": "typing", "action": "stop"})).await;
    of_bob.expect(&told(&[])).await;

    of_alice.send(&json!({"type": "typing", "action": "start"})).await;
    of_bob.expect(&told(&["Alice"])).await;
    drop(of_alice);
    of_bob.expect(&told(&[])).await;
    server.stop().await;
}

#[tokio::test]
async fn typing_is_sent_to_current_subscribers_only() {
    let server = open().await;
    let (alice, bob) = (server.member("Alice").await, server.member("Bob").await);
    let mut deaf = Socket::signed_in(&server, &bob).await;
    deaf.subscribe("s", json!({"event": "create"})).await;
    let mut tired = watching(&server, &bob).await;
    tired.send(&json!({"type": "typing", "action": "unsubscribe"})).await;
    tired.quiet().await;
    let mut of_alice = Socket::signed_in(&server, &alice).await;
    let (mut page, _) = page(&server).await;

    of_alice.send(&typing()).await;
    page.expect(&state(&["Alice"])).await;

    of_alice.quiet().await;
    deaf.quiet().await;
    tired.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn typing_needs_read_permission_to_watch_and_create_to_send() {
    let server = TestServer::start().await;
    let reader = server.user_with("reader", &[Permission::to("read", "messages")]).await;
    let writer = server.user_with("writer", &[Permission::to("create", "messages")]).await;
    let few = Permission::to("read", "messages").fields(&["id", "content"]);
    let of_few = server.user_with("few", &[few]).await;
    let mut of_reader = watching(&server, &reader).await;
    let mut of_few = watching(&server, &of_few).await;
    let mut of_writer = Socket::signed_in(&server, &writer).await;

    let refused = of_writer.ask(&json!({"type": "typing", "action": "subscribe", "uid": 1})).await;
    assert_eq!((error(&refused).0, error(&refused).1), ("typing", "FORBIDDEN"));
    assert_eq!(refused["uid"], 1);
    let refused = of_reader.ask(&typing()).await;
    assert_eq!((error(&refused).0, error(&refused).1), ("typing", "FORBIDDEN"));

    // Neither may read names. One of them may read the author of a message.
    of_writer.send(&typing()).await;
    of_reader.expect(&told(&[&writer.id])).await;
    of_few.expect(&told(&["Guest"])).await;
    server.stop().await;
}

#[tokio::test]
async fn row_rules_on_messages_apply_to_typing() {
    let server = TestServer::start().await;
    let alice = server.member("Alice").await;
    let own = Permission::to("read", "messages").on(json!({"user_created": "$CURRENT_USER"}));
    let solitary = server.user_with("solitary", &[own]).await;
    let mut of_solitary = watching(&server, &solitary).await;
    let reader = server.member("Bob").await;
    let mut of_reader = watching(&server, &reader).await;
    let mut of_alice = Socket::signed_in(&server, &alice).await;

    of_alice.send(&typing()).await;
    of_reader.expect(&told(&["Alice"])).await;
    of_alice.send(&json!({"type": "typing", "action": "stop"})).await;
    of_reader.expect(&told(&[])).await;

    of_solitary.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn permission_changes_affect_typing_at_once() {
    let timeout = Duration::from_hours(1);
    let server = TestServer::with(|config| config.topics.typing_timeout = timeout).await;
    let admin = server.admin().await;
    let policy = admin.policy("given", &[]).await;
    let role = json!({"name": "given", "policies": [{"policy": policy}]});
    let role = admin.post("/roles", &role).await.ok()["id"].clone();
    let rights = ["read", "create"].map(|action| Permission::to(action, "messages"));
    let given = admin.grant(&policy, &rights).await;
    let guest = server.user_without_role("Given").await;
    let path = format!("/users/{}", guest.id);
    admin.patch(&path, &json!({"role": role})).await.ok();
    let (alice, bob) = (server.member("Alice").await, server.member("Bob").await);
    let mut of_alice = watching(&server, &alice).await;
    let mut of_bob = watching(&server, &bob).await;
    let mut of_guest = watching(&server, &guest).await;

    of_alice.send(&typing()).await;
    of_bob.expect(&told(&["Alice"])).await;
    of_guest.expect(&told(&[&alice.id])).await;
    of_guest.send(&typing()).await;
    of_bob.expect(&told(&["Alice", "Given"])).await;
    of_alice.expect(&told(&["Given"])).await;

    admin.delete(&format!("/permissions/{}", given[1])).await.nothing();
    of_bob.expect(&told(&["Alice"])).await;
    of_alice.expect(&told(&[])).await;
    admin.delete(&format!("/permissions/{}", given[0])).await.nothing();
    of_guest.expect(&told(&[])).await;

    // Switching the account on a connection ends its typing state.
    of_alice.send(&json!({"type": "auth", "access_token": bob.token})).await;
    of_bob.expect(&told(&[])).await;
    server.stop().await;
}

#[tokio::test]
async fn typing_is_not_stored() {
    let server = open().await;
    let (alice, bob) = (server.member("Alice").await, server.member("Bob").await);
    let mut of_bob = watching(&server, &bob).await;
    let mut of_alice = Socket::signed_in(&server, &alice).await;
    let place = json!({"event": "create", "since": ""});
    let before = of_alice.subscribe("before", place.clone()).await["cursor"].clone();

    of_alice.send(&typing()).await;
    of_bob.expect(&told(&["Alice"])).await;

    // Any stored change would advance the cursor.
    assert!(before.is_string());
    assert_eq!(of_alice.subscribe("after", place).await["cursor"], before);
    server.stop().await;
}

#[tokio::test]
async fn simultaneous_typing_is_sent_in_few_frames() {
    let server = open().await;
    let bob = server.member("Bob").await;
    let mut of_bob = watching(&server, &bob).await;
    let mut pages = Vec::new();
    for _ in 0..30 {
        pages.push(page(&server).await.0);
    }
    let start = Instant::now();

    for page in &mut pages {
        page.send(&in_topic(&json!({}))).await;
    }

    let mut frames = 0;
    let mut named = 0;
    while named < 20 {
        let frame = of_bob.next().await;
        named = frame["data"].as_array().unwrap().len();
        frames += 1;
    }
    assert!(frames <= 2 + start.elapsed().as_secs(), "{frames} frames");
    assert_eq!(named, 20, "at most twenty users are named");
    server.stop().await;
}

#[tokio::test]
async fn invalid_typing_actions_get_an_error() {
    let server = open().await;
    let mut socket = Socket::connect(&server).await;

    let answer = socket.ask(&json!({"type": "typing", "action": "sing", "uid": "x"})).await;

    let (area, code, message) = error(&answer);
    assert_eq!((area, code), ("typing", "INVALID_PAYLOAD"));
    assert!(message.contains("'start', 'stop', 'subscribe', 'unsubscribe'"), "{message}");
    assert_eq!(answer["uid"], "x");
    server.stop().await;
}

#[tokio::test]
async fn accounts_are_named_before_anonymous_visitors() {
    let server = open().await;
    let (alice, bob) = (server.member("Alice").await, server.member("Bob").await);
    let mut visitors = Vec::new();
    for _ in 0..30 {
        let mut socket = Socket::connect(&server).await;
        socket.send(&typing()).await;
        // The frame has been processed.
        socket.quiet().await;
        visitors.push(socket);
    }
    let mut of_alice = Socket::signed_in(&server, &alice).await;
    of_alice.send(&typing()).await;

    let mut of_bob = Socket::signed_in(&server, &bob).await;
    of_bob.send(&json!({"type": "typing", "action": "subscribe", "uid": "t"})).await;
    while !of_bob.next().await["data"].as_array().unwrap().contains(&json!({"user": "Alice"})) {}
    server.stop().await;
}
