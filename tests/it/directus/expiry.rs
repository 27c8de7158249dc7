//! Expiry of an access token on an open connection: its rights end at once.

use std::time::Duration;

use chinwag::config::{Config, WebSocketAuth};
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer, User};

/// Tokens count whole seconds, so one of two seconds lasts at least one.
fn short(config: &mut Config) {
    config.auth.access_token_ttl = Duration::from_secs(2);
}

fn auth_error(code: &str, message: &str) -> Json {
    json!({"type": "auth", "status": "error", "error": {"code": code, "message": message}})
}

fn expired() -> Json {
    auth_error("TOKEN_EXPIRED", "Token expired.")
}

fn read() -> Json {
    json!({"type": "items", "collection": "messages", "action": "read"})
}

#[tokio::test]
async fn token_expiry_ends_access_and_closes_after_the_auth_timeout() {
    let server = TestServer::with(|config| {
        short(config);
        config.websockets.auth = WebSocketAuth::Handshake;
        config.websockets.auth_timeout = Duration::from_millis(500);
    })
    .await;
    let admin = server.admin().await;
    let mut socket = Socket::signed_in(&server, &admin).await;

    socket.expect(&expired()).await;

    assert_eq!(socket.ask(&read()).await["error"]["code"], "FORBIDDEN");
    socket.expect(&auth_error("AUTH_TIMEOUT", "Authentication timed out.")).await;
    assert_eq!(socket.closed().await, None);
    server.stop().await;
}

#[tokio::test]
async fn reauthentication_keeps_the_connection_and_its_subscriptions() {
    let server = TestServer::with(|config| {
        short(config);
        config.websockets.auth = WebSocketAuth::Handshake;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    // The subscription sends no frame about it: the loop of a page expects `data` in each.
    socket.expect(&expired()).await;
    let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
    assert_eq!(socket.ask(&login).await["status"], "ok");

    socket
        .send(&json!({"type": "items", "collection": "messages", "action": "create",
        "data": {"content": "again"}, "uid": "c"}))
        .await;
    let mut seen = vec![socket.next().await, socket.next().await];
    seen.sort_by_key(|frame| frame["type"].as_str().map(str::to_owned));
    assert_eq!((&seen[0]["uid"], &seen[1]["uid"]), (&json!("c"), &json!("s")), "{seen:?}");
    server.stop().await;
}

#[tokio::test]
async fn public_mode_falls_back_to_public_access_after_expiry() {
    let server = TestServer::with(short).await;
    let names = Permission::to("read", "messages").fields(&["id"]);
    server.allow_public(&[names]).await;
    let admin = server.admin().await;
    admin.say("here").await;
    let mut socket = Socket::signed_in(&server, &admin).await;

    socket.expect(&expired()).await;

    assert_eq!(socket.ask(&read()).await["data"], json!([{"id": 1}]));
    let create = json!({"type": "items", "collection": "messages", "action": "create", "data": {}});
    assert_eq!(socket.ask(&create).await["error"]["code"], "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn subscriptions_report_lost_access_only_without_a_new_sign_in() {
    for (patience, signs_in) in
        [(Duration::from_millis(500), false), (Duration::from_hours(1), true)]
    {
        let server = TestServer::with(|config| {
            short(config);
            config.websockets.auth_timeout = patience;
        })
        .await;
        let alice = server.member("alice").await;
        let mut socket = Socket::signed_in(&server, &alice).await;
        socket.subscribe("s", json!({"event": "create"})).await;

        socket.expect(&expired()).await;
        if signs_in {
            let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
            assert_eq!(socket.ask(&login).await["status"], "ok");
        } else {
            let told = socket.next().await;
            let code = &told["error"]["code"];
            assert_eq!((&told["event"], code), (&json!("error"), &json!("FORBIDDEN")));
        }

        socket.quiet().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_password_sign_in_outlives_the_access_token() {
    let server = TestServer::with(short).await;
    let alice = server.member("alice").await;
    let mut clock = Socket::signed_in(&server, &alice).await;
    let mut socket = Socket::connect(&server).await;
    let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
    assert_eq!(socket.ask(&login).await["status"], "ok");

    // The other connection's token was issued earlier, and has expired.
    clock.expect(&expired()).await;

    socket.quiet().await;
    socket.say("still here").await;
    server.stop().await;
}

#[tokio::test]
async fn events_during_expiry_are_replayed_after_reauthentication() {
    let server = TestServer::with(|config| {
        short(config);
        config.websockets.auth = WebSocketAuth::Handshake;
    })
    .await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;
    socket.subscribe("all", json!({})).await;
    let mut others = Socket::connect(&server).await;
    let login = json!({"type": "auth", "email": bob.email, "password": bob.password});
    assert_eq!(others.ask(&login).await["status"], "ok");
    while socket.next().await != expired() {}

    let id = others.say("while away").await;
    let update = json!({"type": "items", "collection": "messages", "action": "update", "id": id,
        "data": {"content": "edited"}});
    assert_eq!(others.ask(&update).await["data"]["content"], "edited");
    let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
    socket.send(&login).await;
    let mut told = Vec::new();
    let mut answered = false;
    // The response and the replayed events arrive in no fixed order.
    while told.len() < 3 || !answered {
        let frame = socket.next().await;
        answered |= frame["type"] == "auth" && frame["status"] == "ok";
        if frame["replayed"] == true {
            told.push(format!("{} {}", frame["uid"], frame["data"][0]["content"]));
        }
    }
    told.sort();

    assert_eq!(told, ["\"all\" \"edited\"", "\"all\" \"while away\"", "\"s\" \"while away\""]);
    others.say("and now").await;
    let mut live = [socket.next().await, socket.next().await];
    live.sort_by_key(|frame| frame["uid"].to_string());
    for (frame, uid) in live.iter().zip(["all", "s"]) {
        assert_eq!((&frame["uid"], &frame["data"][0]["content"]), (&json!(uid), &json!("and now")));
        assert!(frame.get("replayed").is_none(), "{frame}");
    }
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn reauthentication_replays_events_hidden_from_the_public() {
    let server = TestServer::with(short).await;
    let open = Permission::to("read", "messages").on(json!({"content": {"_starts_with": "open"}}));
    server.allow_public(&[open]).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut others = Socket::connect(&server).await;
    let login = json!({"type": "auth", "email": bob.email, "password": bob.password});
    assert_eq!(others.ask(&login).await["status"], "ok");
    let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
    let mut socket = Socket::connect(&server).await;
    // The token that was sent last expires last.
    let alice = User::sign_in(&server.anonymous(), &alice.id, &alice.email, &alice.password).await;
    socket.auth(&alice).await;
    let query = json!({"fields": ["content"]});
    socket.subscribe("s", json!({"event": "create", "query": query})).await;
    others.say("secret, while signed in").await;
    socket.expect_event("create", "secret, while signed in").await;
    while socket.next().await != expired() {}

    for content in ["open to all", "secret to the public", "open again"] {
        others.say(content).await;
    }
    for content in ["open to all", "open again"] {
        let frame = socket.expect_event("create", content).await;
        assert!(frame.get("replayed").is_none(), "{frame}");
    }
    socket.send(&login).await;
    let mut told = Vec::new();
    let mut answered = false;
    // The response and the replayed events arrive in no fixed order.
    while told.is_empty() || !answered {
        let frame = socket.next().await;
        if frame["type"] == "auth" {
            answered = true;
            continue;
        }
        assert_eq!(frame["replayed"], true, "{frame}");
        told.push(frame["data"][0]["content"].clone());
    }

    assert_eq!(told, ["secret to the public"]);
    others.say("secret, live").await;
    let frame = socket.expect_event("create", "secret, live").await;
    assert!(frame.get("replayed").is_none(), "{frame}");
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn another_account_receives_no_earlier_events() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    // Signed out: in this mode the connection falls back to the public, which may read nothing.
    socket.send(&json!({"type": "auth", "action": "logout"})).await;
    assert_eq!(socket.next().await["event"], "error");
    bob.say("while nobody was there").await;
    socket.auth(&bob).await;
    socket.quiet().await;

    bob.say("from now on").await;
    socket.expect_event("create", "from now on").await;
    server.stop().await;
}

#[tokio::test]
async fn a_restored_permission_replays_the_withheld_events() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let reader = server.user_with("reader", &[Permission::to("read", "messages")]).await;
    let permissions =
        admin.get("/permissions?filter[action][_eq]=read&sort=-id&limit=1").await.ok();
    let permission = format!("/permissions/{}", permissions[0]["id"]);
    let mut socket = Socket::signed_in(&server, &reader).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    admin.patch(&permission, &json!({"action": "update"})).await.ok();
    assert_eq!(socket.next().await["event"], "error");
    admin.say("unseen").await;
    socket.quiet().await;
    admin.patch(&permission, &json!({"action": "read"})).await.ok();

    let frame = socket.expect_event("create", "unseen").await;
    assert_eq!(frame["replayed"], true);
    admin.say("seen").await;
    socket.expect_event("create", "seen").await;
    server.stop().await;
}
