//! An access token runs out on an open connection: who it was has no rights from then on.

use std::time::Duration;

use chinwag::config::Config;
use chinwag::config::WebSocketAuth;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::Permission;
use crate::support::Socket;
use crate::support::TestServer;

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
async fn after_the_expiry_there_is_a_while_without_rights_and_then_the_end() {
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
async fn a_new_sign_in_in_time_keeps_connection_and_subscriptions() {
    let server = TestServer::with(|config| {
        short(config);
        config.websockets.auth = WebSocketAuth::Handshake;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    // The subscription tells that it shows nothing any more, before or after the notice.
    while socket.next().await != expired() {}
    let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
    socket.send(&login).await;
    while socket.next().await["status"] != "ok" {}

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
async fn in_public_mode_the_public_is_left() {
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
async fn a_sign_in_by_password_lasts_as_long_as_its_session() {
    let server = TestServer::with(short).await;
    let alice = server.member("alice").await;
    let mut clock = Socket::signed_in(&server, &alice).await;
    let mut socket = Socket::connect(&server).await;
    let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
    assert_eq!(socket.ask(&login).await["status"], "ok");

    // Another connection's token, issued before, has run out.
    clock.expect(&expired()).await;

    socket.quiet().await;
    socket.say("still here").await;
    server.stop().await;
}
