//! `POST /auth/refresh` and `POST /auth/logout`: a used refresh token stays valid until its
//! successor is first used. After that it is invalid, and its late reuse ends the whole family.

use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Client, TestServer};

const GRACE: Duration = Duration::from_secs(10);

async fn try_refresh(client: &Client, token: &str) -> Answer {
    client.post("/auth/refresh", &json!({"refresh_token": token, "mode": "json"})).await
}

async fn refresh(client: &Client, token: &str) -> String {
    text(&try_refresh(client, token).await.ok(), "refresh_token")
}

fn text(json: &Json, name: &str) -> String {
    json[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_repeated_refresh_returns_the_same_unused_successor() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let first = alice.refresh_token.clone();

    let second = refresh(&nobody, &first).await;
    assert_ne!(second, first);

    // However long the client was disconnected.
    server.clock.advance(Duration::from_hours(24));
    assert_eq!(refresh(&nobody, &first).await, second);

    let third = refresh(&nobody, &second).await;
    assert_ne!(third, second);
    try_refresh(&nobody, &first).await.unknown();
    assert_eq!(refresh(&nobody, &second).await, third);
    server.stop().await;
}

/// Refreshes with this user agent.
async fn refresh_as(client: &Client, user_agent: &str, token: &str) -> Answer {
    let body = json!({"refresh_token": token, "mode": "json"});
    let request = client.request("POST", "/auth/refresh").header("user-agent", user_agent);
    Answer::to(request.json(&body)).await
}

#[tokio::test]
async fn late_reuse_by_another_client_ends_the_token_family() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let second =
        text(&refresh_as(&nobody, "Owner", &alice.refresh_token).await.ok(), "refresh_token");

    server.clock.advance(GRACE + Duration::from_millis(1));
    // The owner's page was closed before it stored the successor.
    let again = refresh_as(&nobody, "Owner", &alice.refresh_token).await.ok();
    assert_eq!(text(&again, "refresh_token"), second);
    refresh_as(&nobody, "Thief", &alice.refresh_token).await.unknown();

    refresh_as(&nobody, "Owner", &second).await.unknown();
    nobody.bearing(&text(&again, "access_token")).get("/users/me").await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn another_client_gets_the_same_successor_in_the_grace_period() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let second =
        text(&refresh_as(&nobody, "Page", &alice.refresh_token).await.ok(), "refresh_token");

    server.clock.advance(GRACE);
    let other = refresh_as(&nobody, "Server of the page", &alice.refresh_token).await.ok();

    assert_eq!(text(&other, "refresh_token"), second);
    server.stop().await;
}

#[tokio::test]
async fn a_replay_in_the_grace_period_keeps_the_token_family() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let second = refresh(&nobody, &alice.refresh_token).await;
    let third = refresh(&nobody, &second).await;

    server.clock.advance(GRACE);
    try_refresh(&nobody, &alice.refresh_token).await.unknown();

    refresh(&nobody, &third).await;
    server.stop().await;
}

#[tokio::test]
async fn a_late_replay_ends_the_token_family() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let second = refresh(&nobody, &alice.refresh_token).await;
    let newest = try_refresh(&nobody, &second).await.ok();
    let login = json!({"email": alice.email, "password": alice.password});
    let other = nobody.post("/auth/login", &login).await.ok();

    server.clock.advance(GRACE + Duration::from_millis(1));
    try_refresh(&nobody, &alice.refresh_token).await.unknown();

    try_refresh(&nobody, &text(&newest, "refresh_token")).await.unknown();
    nobody.bearing(&text(&newest, "access_token")).get("/users/me").await.unknown();
    // Another sign-in of the same account is another family.
    nobody.bearing(&text(&other, "access_token")).get("/users/me").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn concurrent_refreshes_return_the_same_token() {
    let server = TestServer::start().await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());

    let tabs =
        futures_util::future::join_all((0..8).map(|_| refresh(&nobody, &alice.refresh_token)));
    let tokens = tabs.await;

    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    refresh(&nobody, &tokens[0]).await;
    server.stop().await;
}

#[tokio::test]
async fn each_refresh_renews_the_token_lifetime() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());

    server.clock.advance(Duration::from_hours(6 * 24));
    let second = refresh(&nobody, &alice.refresh_token).await;
    server.clock.advance(Duration::from_hours(6 * 24));
    let third = refresh(&nobody, &second).await;
    server.clock.advance(Duration::from_hours(7 * 24));

    try_refresh(&nobody, &third).await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn a_replaced_session_token_is_valid_for_ten_seconds() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let login = json!({"email": alice.email, "password": alice.password, "mode": "session"});
    let login = nobody.post("/auth/login", &login).await;
    let first = login.cookie("directus_session_token").unwrap().split(';').next().unwrap();
    let call = async |method: &str, path: &str, cookie: &str| {
        let request = nobody.request(method, path).header("cookie", cookie);
        let request =
            if method == "POST" { request.json(&json!({"mode": "session"})) } else { request };
        Answer::to(request).await
    };

    let refreshed = call("POST", "/auth/refresh", first).await;
    assert_eq!(refreshed.ok(), json!({"expires": 86_400_000}));
    let second = refreshed.cookie("directus_session_token").unwrap().split(';').next().unwrap();
    assert_ne!(second, first);
    let again = call("POST", "/auth/refresh", first).await;
    assert!(again.cookie("directus_session_token").unwrap().starts_with(second));
    call("GET", "/users/me", first).await.ok();

    server.clock.advance(GRACE + Duration::from_millis(1));
    call("GET", "/users/me", first).await.unknown();
    call("POST", "/auth/refresh", first).await.unknown();
    call("GET", "/users/me", second).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_refresh_token_from_a_cookie_works_in_a_body() {
    let server = TestServer::start().await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let cookie = format!("directus_refresh_token={}", alice.refresh_token);

    let request = nobody.request("POST", "/auth/refresh").header("cookie", cookie);
    let answer = Answer::to(request).await;

    assert!(answer.ok().get("refresh_token").is_none());
    let cookie = answer.cookie("directus_refresh_token").unwrap();
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    refresh(&nobody, token).await;
    server.stop().await;
}

#[tokio::test]
async fn logout_ends_the_access_token_as_well() {
    let server = TestServer::start().await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let body = json!({"refresh_token": alice.refresh_token});

    nobody.post("/auth/logout", &body).await.nothing();

    alice.get("/users/me").await.unknown();
    try_refresh(&nobody, &alice.refresh_token).await.unknown();
    nobody.post("/auth/logout", &body).await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn logout_clears_the_cookies_of_the_request() {
    let server = TestServer::start().await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let cookie = format!("directus_refresh_token={}", alice.refresh_token);

    let request = nobody.request("POST", "/auth/logout").header("cookie", cookie);
    let answer = Answer::to(request).await;

    answer.nothing();
    assert_eq!(
        answer.cookie("directus_refresh_token").unwrap(),
        "directus_refresh_token=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; \
         HttpOnly; SameSite=Lax"
    );
    assert!(answer.cookie("directus_session_token").is_none());
    alice.get("/users/me").await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn refresh_and_logout_require_a_refresh_token() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();
    let required =
        "Invalid payload. The refresh token is required in either the payload or cookie.";

    for path in ["/auth/refresh", "/auth/logout"] {
        for body in [
            json!({}),
            json!({"mode": "json"}),
            json!({"mode": "cookie"}),
            json!({"mode": "session"}),
            json!({"mode": "pigeon", "refresh_token": "x"}),
            json!({"refresh_token": ""}),
        ] {
            nobody.post(path, &body).await.refused_with(400, "INVALID_PAYLOAD", required);
        }
    }
    try_refresh(&nobody, "x").await.unknown();
    try_refresh(&nobody, &"x".repeat(64)).await.unknown();
    server.stop().await;
}
