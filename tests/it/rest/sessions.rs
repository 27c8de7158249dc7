//! `/users/me/sessions` and `/users/{id}/sessions`: listing and ending sessions.

use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Socket, TestServer, User};

async fn again(server: &TestServer, user: &User) -> User {
    User::sign_in(&server.anonymous(), &user.id, &user.email, &user.password).await
}

async fn sessions(user: &User) -> Vec<Json> {
    user.get("/users/me/sessions").await.ok().as_array().unwrap().clone()
}

#[tokio::test]
async fn an_account_lists_its_own_sessions_without_tokens() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    server.clock.advance(Duration::from_secs(5));
    let login = json!({"email": alice.email, "password": alice.password, "mode": "cookie"});
    let request = server.anonymous().request("POST", "/auth/login").header("user-agent", "phone");
    Answer::to(request.json(&login)).await.ok();

    let answer = alice.get("/users/me/sessions").await;

    let listed = answer.ok();
    let id = |at: usize| listed[at]["id"].clone();
    assert_eq!(
        listed,
        json!([
            {
                "id": id(0), "mode": "json", "ip": "127.0.0.1", "user_agent": null,
                "date_created": "2026-01-31T12:00:00.000Z",
                "date_renewed": "2026-01-31T12:00:00.000Z",
                "expires": "2026-02-07T12:00:00.000Z",
                "current": true,
            },
            {
                "id": id(1), "mode": "cookie", "ip": "127.0.0.1", "user_agent": "phone",
                "date_created": "2026-01-31T12:00:05.000Z",
                "date_renewed": "2026-01-31T12:00:05.000Z",
                "expires": "2026-02-07T12:00:05.000Z",
                "current": false,
            },
        ])
    );
    assert_eq!(sessions(&bob).await.len(), 1);
    server.anonymous().get("/users/me/sessions").await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn ending_a_session_revokes_only_its_tokens_and_sockets() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let phone = again(&server, &alice).await;
    let mut socket = Socket::signed_in(&server, &phone).await;
    let listed = sessions(&phone).await;
    let lost = listed.iter().find(|one| one["current"] == true).unwrap()["id"].clone();
    let path = format!("/users/me/sessions/{}", lost.as_str().unwrap());

    bob.delete(&path).await.refused(403, "FORBIDDEN");
    phone.get("/users/me").await.ok();
    alice.delete(&path).await.nothing();

    phone.get("/users/me").await.unknown();
    let refresh = json!({"refresh_token": phone.refresh_token});
    server.anonymous().post("/auth/refresh", &refresh).await.unknown();
    assert_eq!(socket.next().await["error"]["code"], "AUTH_FAILED");
    assert_eq!(sessions(&alice).await.len(), 1);
    alice.delete(&path).await.refused(403, "FORBIDDEN");
    alice.delete("/users/me/sessions/no-key").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn signing_out_everywhere_can_keep_the_current_session() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let (second, third) = (again(&server, &alice).await, again(&server, &alice).await);

    second.delete("/users/me/sessions?keep_current=true").await.nothing();

    alice.get("/users/me").await.unknown();
    third.get("/users/me").await.unknown();
    assert_eq!(sessions(&second).await.len(), 1);
    second.delete("/users/me/sessions").await.nothing();
    second.get("/users/me").await.unknown();
    bob.get("/users/me").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn ending_a_cookie_session_clears_the_cookie() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let login = json!({"email": alice.email, "password": alice.password, "mode": "session"});
    let answer = server.anonymous().post("/auth/login", &login).await;
    let cookie = answer.cookie("directus_session_token").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let end = async || {
        let request = server.anonymous().request("DELETE", "/users/me/sessions");
        Answer::to(request.header("cookie", &cookie)).await
    };

    let ended = end().await;

    ended.nothing();
    assert!(ended.cookie("directus_session_token").unwrap().contains("=; Max-Age=0;"));
    end().await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn administrators_see_and_end_the_sessions_of_others() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let second = again(&server, &alice).await;
    let path = format!("/users/{}/sessions", alice.id);

    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone())] {
        second.send(method, &path).await.refused(403, "FORBIDDEN");
    }
    let listed = admin.get(&path).await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let first = format!("{path}/{}", listed[0]["id"].as_str().unwrap());
    second.delete(&first).await.refused(403, "FORBIDDEN");
    admin.delete(&first).await.nothing();
    alice.get("/users/me").await.unknown();
    second.get("/users/me").await.ok();
    admin.delete(&path).await.nothing();

    second.get("/users/me").await.unknown();
    admin.get("/users/me").await.ok();
    // A session is not found under another account.
    let own = sessions(&admin).await[0]["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("{path}/{own}")).await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn sessions_have_an_idle_timeout_and_a_maximum_lifetime() {
    let day = Duration::from_hours(24);
    let server = TestServer::at_noon(|config| {
        config.auth.refresh_token_ttl = 7 * day;
        config.auth.session_lifetime_max = 10 * day;
    })
    .await;
    let (idle, busy) = (server.member("idle").await, server.member("busy").await);
    let refresh = async |token: &str| {
        let body = json!({"refresh_token": token});
        server.anonymous().post("/auth/refresh", &body).await
    };

    server.clock.advance(6 * day);
    let renewed = refresh(&busy.refresh_token).await.ok();
    server.clock.advance(day);
    refresh(&idle.refresh_token).await.unknown();
    server.clock.advance(Duration::from_mins(3 * 24 * 60 - 1));
    let last = refresh(renewed["refresh_token"].as_str().unwrap()).await.ok();
    // The access token does not outlive the session.
    assert_eq!(last["expires"], 60_000);
    server.clock.advance(Duration::from_mins(1));

    refresh(last["refresh_token"].as_str().unwrap()).await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn a_refresh_updates_the_last_access() {
    let server = TestServer::at_noon(|_| {}).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let path = format!("/users/{}?fields=last_access", alice.id);
    let seen = async || admin.get(&path).await.ok()["last_access"].clone();
    assert_eq!(seen().await, "2026-01-31T12:00:00.000Z");

    server.clock.advance(Duration::from_mins(3));
    let refresh = json!({"refresh_token": alice.refresh_token});
    server.anonymous().post("/auth/refresh", &refresh).await.ok();

    assert_eq!(seen().await, "2026-01-31T12:03:00.000Z");
    server.stop().await;
}
