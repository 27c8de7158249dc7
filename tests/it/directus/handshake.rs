//! Opening a socket: the three modes, and credentials of the upgrade request.

use std::time::Duration;

use chinwag::config::WebSocketAuth;
use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Permission, Socket, TestServer, User};

pub async fn server(mode: WebSocketAuth) -> TestServer {
    TestServer::with(|config| config.websockets.auth = mode).await
}

fn handshake_failed() -> Json {
    json!({"type": "auth", "status": "error",
        "error": {"code": "AUTH_FAILED", "message": "Authentication handshake failed."}})
}

#[tokio::test]
async fn every_invalid_first_frame_fails_with_the_same_error() {
    let server = server(WebSocketAuth::Handshake).await;
    let alice = server.member("alice").await;
    let login = json!({"type": "auth", "email": alice.email, "password": alice.password});

    for first in [
        json!({"type": "auth", "email": alice.email, "password": "wrong"}).to_string(),
        json!({"type": "auth", "email": "nobody@example.com", "password": "x"}).to_string(),
        json!({"type": "auth", "email": "alice", "password": alice.password}).to_string(),
        json!({"type": "auth", "access_token": "bad", "uid": "named"}).to_string(),
        json!({"type": "auth", "refresh_token": "bad"}).to_string(),
        json!({"type": "auth", "access_token": 5}).to_string(),
        json!({"type": "auth"}).to_string(),
        json!({"type": "auth", "action": "logout"}).to_string(),
        json!({"type": "auth", "access_token": alice.token, "uid": {}}).to_string(),
        json!({"type": "ping"}).to_string(),
        json!({"type": "items", "collection": "messages", "action": "read"}).to_string(),
        json!({"type": "subscribe", "collection": "messages"}).to_string(),
        json!({"type": "unknown"}).to_string(),
        json!({}).to_string(),
        "hello".to_owned(),
        "[]".to_owned(),
        "5".to_owned(),
        json!(login.to_string()).to_string(),
    ] {
        let mut socket = Socket::connect(&server).await;
        socket.send_text(&first).await;
        let answer = socket.next().await;
        assert_eq!(answer, handshake_failed(), "{first}");
        assert_eq!(socket.closed().await, None, "{first}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_silent_handshake_times_out() {
    let server = TestServer::with(|config| {
        config.websockets.auth = WebSocketAuth::Handshake;
        config.websockets.auth_timeout = Duration::from_millis(200);
    })
    .await;

    let mut socket = Socket::connect(&server).await;

    socket.expect(&handshake_failed()).await;
    assert_eq!(socket.closed().await, None);
    server.stop().await;
}

#[tokio::test]
async fn frames_before_the_handshake_have_a_smaller_size_limit() {
    let server = server(WebSocketAuth::Handshake).await;
    let mut socket = Socket::connect(&server).await;

    let large = json!({"type": "auth", "access_token": "x".repeat(17 * 1024)});
    socket.send(&large).await;

    assert_eq!(socket.closed().await, Some(1009));
    server.stop().await;
}

#[tokio::test]
async fn public_mode_accepts_any_first_frame() {
    let server = server(WebSocketAuth::Public).await;
    server
        .allow_public(&[Permission::to("read", "messages"), Permission::to("create", "messages")])
        .await;
    let mut socket = Socket::connect(&server).await;

    let made = json!({"type": "items", "collection": "messages", "action": "create",
        "data": {"content": "hello"}, "query": {"fields": ["id", "content", "user_created"]}});
    socket.send(&made).await;

    let data = json!({"id": 1, "content": "hello", "user_created": null});
    socket.expect(&json!({"type": "items", "data": data})).await;
    server.stop().await;
}

#[tokio::test]
async fn strict_mode_requires_a_token_in_the_upgrade() {
    let server = server(WebSocketAuth::Strict).await;
    let alice = server.member("alice").await;

    assert_eq!(Socket::open(Socket::request(&server, "")).await.err(), Some(401));
    let query = format!("?access_token={}", alice.token);
    let mut socket = Socket::open(Socket::request(&server, &query)).await.unwrap();

    socket.quiet().await;
    assert_eq!(socket.say("strictly").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn upgrade_credentials_set_the_identity_in_every_mode() {
    for mode in [WebSocketAuth::Handshake, WebSocketAuth::Public, WebSocketAuth::Strict] {
        let server = server(mode).await;
        let (alice, bob) = (server.member("alice").await, server.member("bob").await);
        let admin = server.admin().await;
        admin.patch(&format!("/users/{}", bob.id), &json!({"token": "static"})).await.ok();
        let cookie = session_cookie(&server, &alice).await;
        let open = async |query: &str, cookie: &str, origin: Option<&str>| {
            let mut request = Socket::request(&server, query);
            if !cookie.is_empty() {
                request.headers_mut().insert("cookie", cookie.parse().unwrap());
            }
            if let Some(origin) = origin {
                request.headers_mut().insert("origin", origin.parse().unwrap());
            }
            let mut socket = Socket::open(request).await?;
            let say = json!({"type": "items", "collection": "messages", "action": "create",
                "data": {"content": "hi"}, "query": {"fields": "user_created"}});
            Ok::<_, u16>(socket.ask(&say).await["data"]["user_created"].clone())
        };
        let token = format!("?access_token={}", alice.token);

        assert_eq!(open(&token, "", None).await, Ok(json!(alice.id)));
        assert_eq!(open("?access_token=static", "", None).await, Ok(json!(bob.id)));
        assert_eq!(open("", &cookie, None).await, Ok(json!(alice.id)));
        // A token in the query string takes precedence over the cookie, valid or not.
        assert_eq!(open("?access_token=static", &cookie, None).await, Ok(json!(bob.id)));
        assert_eq!(open("?access_token=bad", &cookie, None).await, Err(401));
        assert_eq!(open("?access_token=bad", "", None).await, Err(401));
        assert_eq!(open("", "directus_session_token=bad", None).await, Err(401));
        // Any page's upgrade request carries the cookie, but not a token in the URL.
        let evil = Some("https://evil.example");
        assert_eq!(open("", &cookie, evil).await, Err(403));
        assert_eq!(open(&token, "", evil).await, Ok(json!(alice.id)));
        let own = format!("http://{}", server.address);
        assert_eq!(open("", &cookie, Some(&own)).await, Ok(json!(alice.id)));
        server.stop().await;
    }
}

async fn session_cookie(server: &TestServer, user: &User) -> String {
    let login = json!({"email": user.email, "password": user.password, "mode": "session"});
    let answer = server.anonymous().post("/auth/login", &login).await;
    answer.cookie("directus_session_token").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_disabled_websocket_endpoint_returns_not_found() {
    let server = TestServer::with(|config| config.websockets.enabled = false).await;
    let alice = server.member("alice").await;

    for query in ["", &format!("?access_token={}", alice.token)] {
        let request = Socket::request(&server, query);
        assert_eq!(Socket::open(request).await.err(), Some(404), "{query}");
    }
    assert_eq!(alice.get("/server/info").await.ok()["websocket"], json!(false));
    // The topics socket has its own setting.
    let topics = format!("ws://{}/_ws", server.address).into_client_request().unwrap();
    assert!(Socket::open(topics).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let server = TestServer::with(|config| config.websockets.connections_max = Some(2)).await;
    let _first = Socket::connect(&server).await;
    let mut second = Socket::connect(&server).await;

    assert_eq!(Socket::open(Socket::request(&server, "")).await.err(), Some(403));

    second.send_message(Message::Close(None)).await;
    second.closed().await;
    drop(second);

    // The slot is free once the server has also seen the end of the connection.
    while Socket::open(Socket::request(&server, "")).await.is_err() {}
    server.stop().await;
}
