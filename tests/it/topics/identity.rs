//! Identity of a connection: how it is established, how long it lasts, and the fallback afterwards.

use std::time::Duration;

use chinwag::config::WebSocketAuth;
use serde_json::json;

use super::Page;
use super::line;
use super::open;
use super::request;
use crate::support::error;
use crate::support::{Permission, Socket, TestServer};

#[tokio::test]
async fn an_invalid_token_is_refused_and_an_invalid_cookie_ignored() {
    let server = open().await;

    let with_token = request(&server, "?access_token=forged");
    let mut with_cookie = request(&server, "");
    with_cookie.headers_mut().insert("cookie", "directus_session_token=forged".parse().unwrap());

    assert_eq!(Socket::open(with_token).await.err(), Some(401));
    // A page cannot remove an expired session cookie, and needs none here.
    assert_eq!(Socket::open(with_cookie).await.err(), None);
    server.stop().await;
}

#[tokio::test]
async fn a_cookie_from_a_foreign_origin_is_refused() {
    let server = open().await;
    let alice = server.member("Alice").await;
    let login = json!({"email": alice.email, "password": alice.password, "mode": "session"});
    let answer = server.anonymous().post("/auth/login", &login).await;
    let cookie = answer.cookie("directus_session_token").unwrap().split(';').next().unwrap();

    let mut foreign = request(&server, "");
    foreign.headers_mut().insert("cookie", cookie.parse().unwrap());
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());

    assert_eq!(Socket::open(foreign).await.err(), Some(403));
    server.stop().await;
}

#[tokio::test]
async fn strict_mode_requires_a_token_for_topics() {
    let server = TestServer::with(|config| config.websockets.auth = WebSocketAuth::Strict).await;
    let alice = server.member("Alice").await;

    assert_eq!(Socket::open(request(&server, "")).await.err(), Some(401));
    let mut page = Page::open_as(request(&server, &format!("?access_token={}", alice.token))).await;
    alice.post("/auth/logout", &json!({"refresh_token": alice.refresh_token})).await.nothing();

    assert_eq!(error(&page.next().await).1, "AUTH_FAILED");
    assert_eq!(page.closed().await, None);
    server.stop().await;
}

#[tokio::test]
async fn signing_out_elsewhere_turns_the_connection_into_a_guest() {
    let server = open().await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let alice = server.member("Alice").await;
    let mut page = Page::open_as(request(&server, &format!("?access_token={}", alice.token))).await;

    alice.post("/auth/logout", &json!({"refresh_token": alice.refresh_token})).await.nothing();
    assert_eq!(error(&page.next().await).1, "AUTH_FAILED");
    page.publish("who am I").await;

    let name = page.name.clone();
    assert_eq!(page.list().await, [line(&name, "who am I")]);
    server.stop().await;
}

#[tokio::test]
async fn an_expired_token_turns_the_connection_into_a_guest() {
    // Long enough to open the page on a busy machine.
    let ttl = Duration::from_secs(5);
    let server = TestServer::with(|config| config.auth.access_token_ttl = ttl).await;
    let alice = server.member("Alice").await;
    let mut page = Page::open_as(request(&server, &format!("?access_token={}", alice.token))).await;

    assert_eq!(error(&page.next().await).1, "TOKEN_EXPIRED");
    page.publish("who am I").await;

    assert_eq!(error(&page.next().await).1, "FORBIDDEN");
    server.stop().await;
}
