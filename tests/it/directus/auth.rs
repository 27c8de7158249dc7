//! The `auth` frame: responses, failures, and frames sent right after it.

use chinwag::config::{HashConfig, WebSocketAuth};
use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::directus::handshake::server;
use crate::support::{Permission, Socket, TestServer};

#[tokio::test]
async fn each_credential_type_gets_its_auth_response() {
    let server = server(WebSocketAuth::Handshake).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let text = async |frame: Json| {
        let mut socket = Socket::connect(&server).await;
        socket.send(&frame).await;
        match socket.message().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let tail = |answer: &str, start: &str| {
        let token = answer.strip_prefix(start).unwrap().strip_suffix("\"}").unwrap();
        assert_eq!(token.len(), 64);
        token.to_owned()
    };

    let by_token = json!({"type": "auth", "access_token": alice.token});
    assert_eq!(text(by_token).await, r#"{"type":"auth","status":"ok"}"#);
    let by_token = json!({"type": "auth", "access_token": alice.token, "uid": 0});
    assert_eq!(text(by_token).await, r#"{"type":"auth","status":"ok","uid":0}"#);
    let by_password =
        json!({"type": "auth", "email": "ALICE@example.com", "password": alice.password});
    let start = r#"{"type":"auth","status":"ok","refresh_token":""#;
    let token = tail(&text(by_password).await, start);
    let by_refresh = json!({"type": "auth", "refresh_token": token, "uid": "abc"});
    let start = r#"{"type":"auth","status":"ok","uid":"abc","refresh_token":""#;
    let token = tail(&text(by_refresh).await, start);

    // The token has the same form as over REST.
    let refreshed = nobody.post("/auth/refresh", &json!({"refresh_token": token})).await.ok();
    let by_refresh = json!({"type": "auth", "refresh_token": refreshed["refresh_token"]});
    tail(&text(by_refresh).await, r#"{"type":"auth","status":"ok","refresh_token":""#);
    server.stop().await;
}

#[tokio::test]
async fn a_reconnecting_page_can_reuse_its_refresh_token() {
    let server = server(WebSocketAuth::Public).await;
    let alice = server.member("alice").await;
    let auth = json!({"type": "auth", "refresh_token": alice.refresh_token});

    let first = Socket::connect(&server).await.ask(&auth).await;
    let second = Socket::connect(&server).await.ask(&auth).await;

    assert_eq!(first["status"], "ok");
    assert_eq!(second, first);
    server.stop().await;
}

#[tokio::test]
async fn frames_after_an_auth_frame_wait_for_its_result_in_order() {
    let server = TestServer::with(|config| {
        config.websockets.auth = WebSocketAuth::Handshake;
        // Makes the password check slow.
        config.auth.hash = HashConfig { memory_kib: 4096, passes: 2, lanes: 1 };
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::connect(&server).await;

    let items = |action: &str, uid: &str| {
        json!({"type": "items", "collection": "messages", "action": action,
            "data": {"content": uid}, "query": {"fields": ["content"]}, "uid": uid})
    };
    let subscribe =
        json!({"type": "subscribe", "collection": "messages", "event": "delete", "uid": "s"});
    let auth = json!({"type": "auth", "email": alice.email, "password": alice.password});
    let ping = json!({"type": "ping", "uid": "p"});
    for frame in [&auth, &subscribe, &items("create", "1"), &items("read", "2"), &ping] {
        socket.send(frame).await;
    }

    assert_eq!(socket.next().await["status"], "ok");
    socket.expect(&json!({"type": "subscription", "event": "init", "uid": "s"})).await;
    socket.expect(&json!({"type": "items", "data": {"content": "1"}, "uid": "1"})).await;
    socket.expect(&json!({"type": "items", "data": [{"content": "1"}], "uid": "2"})).await;
    socket.expect(&json!({"type": "pong", "uid": "p"})).await;
    server.stop().await;
}

#[tokio::test]
async fn a_failed_auth_closes_the_connection_except_in_public_mode() {
    for mode in [WebSocketAuth::Handshake, WebSocketAuth::Strict, WebSocketAuth::Public] {
        let server = server(mode).await;
        let alice = server.member("alice").await;
        let query = format!("?access_token={}", alice.token);
        let mut socket = Socket::open(Socket::request(&server, &query)).await.unwrap();
        socket.quiet().await;

        socket.send(&json!({"type": "auth", "access_token": "bad", "uid": "p1"})).await;

        socket
            .expect(&json!({"type": "auth", "status": "error", "uid": "p1",
                "error": {"code": "AUTH_FAILED", "message": "Authentication failed."}}))
            .await;
        if mode == WebSocketAuth::Public {
            socket.quiet().await;
        } else {
            assert_eq!(socket.closed().await, None);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_malformed_auth_frame_keeps_the_current_identity() {
    for mode in [WebSocketAuth::Handshake, WebSocketAuth::Public] {
        let server = server(mode).await;
        let alice = server.member("alice").await;
        let mut socket = Socket::signed_in(&server, &alice).await;

        for frame in [
            json!({"type": "auth", "uid": "1"}),
            json!({"type": "auth", "email": "alice", "password": "x"}),
            json!({"type": "auth", "email": alice.email}),
        ] {
            socket.send(&frame).await;
        }

        socket.quiet().await;
        let id = socket.say("still me").await;
        let item = alice.get(&format!("/items/messages/{id}")).await.ok();
        assert_eq!(item["user_created"], alice.id.as_str());
        server.stop().await;
    }
}

#[tokio::test]
async fn logout_ends_the_session_without_a_response() {
    for mode in [WebSocketAuth::Handshake, WebSocketAuth::Public] {
        let server = server(mode).await;
        let alice = server.member("alice").await;
        let mut socket = Socket::connect(&server).await;
        let login = json!({"type": "auth", "email": alice.email, "password": alice.password});
        let token = socket.ask(&login).await["refresh_token"].clone();

        socket.send(&json!({"type": "auth", "action": "logout", "uid": "3"})).await;

        socket.quiet().await;
        let read = json!({"type": "items", "collection": "messages", "action": "read"});
        assert_eq!(socket.ask(&read).await["error"]["code"], "FORBIDDEN");
        // The session that this connection began has ended. The account's other session continues.
        let refresh = json!({"refresh_token": token});
        server.anonymous().post("/auth/refresh", &refresh).await.unknown();
        alice.get("/users/me").await.ok();
        // Another account signs in on the same page.
        socket.auth(&alice).await;
        socket.say("back").await;
        server.stop().await;
    }
}

#[tokio::test]
async fn switching_accounts_reauthorizes_existing_subscriptions() {
    let server = server(WebSocketAuth::Public).await;
    let names = Permission::to("read", "messages").fields(&["id", "content"]);
    let (alice, reader) =
        (server.member("alice").await, server.user_with("reader", &[names]).await);
    let stranger = server.user_with("stranger", &[]).await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    alice.say("one").await;
    assert!(socket.expect_event("create", "one").await["data"][0].get("user_created").is_some());
    socket.auth(&reader).await;
    alice.say("two").await;
    let shown = socket.expect_event("create", "two").await["data"].clone();
    assert_eq!(shown, json!([{"id": 2, "content": "two"}]));

    // A subscription without access gets an error, and no events.
    socket.send(&json!({"type": "auth", "access_token": stranger.token})).await;
    let told = socket.next().await;
    assert_eq!(
        (told["event"].as_str(), told["error"]["code"].as_str()),
        (Some("error"), Some("FORBIDDEN"))
    );
    socket.expect(&json!({"type": "auth", "status": "ok"})).await;
    let mut witness = Socket::signed_in(&server, &alice).await;
    witness.subscribe("w", json!({"event": "create"})).await;
    alice.say("three").await;
    while witness.next().await["data"][0]["content"] != "three" {}
    socket.quiet().await;
    server.stop().await;
}
