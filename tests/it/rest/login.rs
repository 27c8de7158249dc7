//! `POST /auth/login`: the three ways to deliver tokens, and the single error for all refusals.

use chinwag::config::SameSite;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{ADMIN, Answer, TestServer, User};

async fn login(server: &TestServer, user: &User, mode: &str) -> Answer {
    let body = json!({"email": user.email, "password": user.password, "mode": mode});
    server.anonymous().post("/auth/login", &body).await
}

fn names(json: &Json) -> Vec<&str> {
    json.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn json_mode_answers_with_both_tokens() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    let answer = login(&server, &alice, "json").await;

    let data = answer.ok();
    assert_eq!(names(&data), ["expires", "refresh_token", "access_token"]);
    assert_eq!(data["expires"], 900_000);
    let token = data["refresh_token"].as_str().unwrap();
    assert_eq!(token.len(), 64);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert_eq!(data["access_token"].as_str().unwrap().split('.').count(), 3);
    assert!(answer.cookie("directus_refresh_token").is_none());
    assert_eq!(answer.header("cache-control"), "no-store");
    server.stop().await;
}

#[tokio::test]
async fn cookie_mode_keeps_the_refresh_token_in_a_cookie() {
    let server = TestServer::at_noon(|_| {}).await;
    let alice = server.member("alice").await;

    let answer = login(&server, &alice, "cookie").await;

    assert_eq!(names(&answer.ok()), ["expires", "access_token"]);
    let cookie = answer.cookie("directus_refresh_token").unwrap();
    let (token, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(token.len(), "directus_refresh_token=".len() + 64);
    assert_eq!(
        attributes,
        "Max-Age=604800; Path=/; Expires=Sat, 07 Feb 2026 12:00:00 GMT; HttpOnly; SameSite=Lax"
    );
    server.stop().await;
}

#[tokio::test]
async fn session_mode_returns_one_token_in_a_cookie() {
    let server = TestServer::at_noon(|_| {}).await;
    let alice = server.member("alice").await;

    let answer = login(&server, &alice, "session").await;

    assert_eq!(answer.ok(), json!({"expires": 86_400_000}));
    let cookie = answer.cookie("directus_session_token").unwrap();
    let (token, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Max-Age=86400; Path=/; Expires=Sun, 01 Feb 2026 12:00:00 GMT; HttpOnly; SameSite=Lax"
    );
    let me = server.anonymous().request("GET", "/users/me?fields=id").header("cookie", token);
    assert_eq!(Answer::to(me).await.ok()["id"], alice.id.as_str());
    server.stop().await;
}

#[tokio::test]
async fn cookie_attributes_follow_the_configuration() {
    let server = TestServer::at_noon(|config| {
        config.auth.session_cookie.name = "chat".to_owned();
        config.auth.session_cookie.secure = true;
        config.auth.session_cookie.same_site = SameSite::Strict;
        config.auth.session_cookie.domain = Some("example.com".to_owned());
    })
    .await;
    let alice = server.member("alice").await;

    let answer = login(&server, &alice, "session").await;

    let (_, attributes) = answer.cookie("chat").unwrap().split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Max-Age=86400; Domain=example.com; Path=/; Expires=Sun, 01 Feb 2026 12:00:00 GMT; \
         HttpOnly; Secure; SameSite=Strict"
    );
    server.stop().await;
}

#[tokio::test]
async fn sign_in_ignores_the_case_of_the_email_address() {
    let server = TestServer::start().await;

    let body = json!({"email": "Admin@EXAMPLE.com", "password": ADMIN.1, "more": true});

    server.anonymous().post("/auth/login", &body).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_refused_sign_in_does_not_reveal_the_reason() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut refused = vec![json!({"email": ADMIN.0, "password": "wrong"})];
    refused.push(json!({"email": "nobody@example.com", "password": "wrong"}));
    for status in ["suspended", "draft", "invited", "unverified", "archived"] {
        let user = server.member(status).await;
        admin.patch(&format!("/users/{}", user.id), &json!({"status": status})).await.ok();
        refused.push(json!({"email": user.email, "password": user.password}));
    }

    for body in refused {
        for mode in ["json", "cookie", "session"] {
            let mut body = body.clone();
            body["mode"] = json!(mode);
            let answer = server.anonymous().post("/auth/login", &body).await;
            answer.unknown();
            assert!(answer.headers.get("set-cookie").is_none());
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_malformed_sign_in_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();

    for (body, reason) in [
        (json!({"password": "x"}), "\"email\" is required"),
        (json!({"email": "alice", "password": "x"}), "\"email\" must be a valid email"),
        (json!({"email": "a@b.c"}), "\"password\" is required"),
        (json!({"email": "a@b.c", "password": 5}), "\"password\" must be a string"),
        (json!({"email": "a@b.c", "password": ""}), "\"password\" is not allowed to be empty"),
        (
            json!({"email": "a@b.c", "password": "x", "mode": "pigeon"}),
            "\"mode\" must be one of [cookie, json, session]",
        ),
        (json!([]), "\"value\" must be of type object"),
    ] {
        let answer = nobody.post("/auth/login", &body).await;
        answer.refused_with(400, "INVALID_PAYLOAD", &format!("Invalid payload. {reason}."));
        assert_eq!(answer.body["errors"][0]["extensions"]["reason"], reason);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_oldest_session_ends_when_the_limit_is_exceeded() {
    let server = TestServer::at_noon(|config| config.auth.sessions_per_user_max = 2).await;
    let alice = server.member("alice").await;

    for _ in 0..2 {
        server.clock.advance(std::time::Duration::from_secs(1));
        login(&server, &alice, "json").await.ok();
    }

    alice.get("/users/me").await.unknown();
    server.stop().await;
}
