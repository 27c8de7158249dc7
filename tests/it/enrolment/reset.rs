//! Password resets: a link by mail that works once, and responses that do not reveal whether an
//! account exists.

use std::time::Duration;

use serde_json::json;

use super::PASSWORD;
use super::ask_reset;
use super::login;
use super::reset;
use super::set;
use super::start;
use super::verify;
use crate::support::{Socket, TestServer};

#[tokio::test]
async fn a_password_reset_works_once_and_ends_all_sessions() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    ask_reset(&server, "ALICE@example.com").await.nothing();
    let mail = post.mail().await;
    assert_eq!(mail.to, alice.email);
    assert_eq!(mail.header("Subject"), "Choose a new password for chinwag");
    let page = "https://chat.example.com/admin/reset-password?token=";
    assert!(mail.link().starts_with(page), "{}", mail.link());
    // The request alone changes nothing.
    alice.get("/users/me").await.ok();
    login(&server, &alice.email, &alice.password).await.ok();

    reset(&server, mail.token(), PASSWORD).await.nothing();

    alice.get("/users/me").await.unknown();
    let body = json!({"refresh_token": alice.refresh_token});
    server.anonymous().post("/auth/refresh", &body).await.unknown();
    let told = socket.next().await;
    assert_eq!((&told["type"], &told["error"]["code"]), (&json!("auth"), &json!("AUTH_FAILED")));
    login(&server, &alice.email, &alice.password).await.unknown();
    login(&server, &alice.email, PASSWORD).await.ok();
    reset(&server, mail.token(), "yet another password").await.refused(403, "FORBIDDEN");
    login(&server, &alice.email, PASSWORD).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_reset_link_used_concurrently_succeeds_once() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    ask_reset(&server, &alice.email).await.nothing();
    let mail = post.mail().await;

    let many = (0..6).map(|_| reset(&server, mail.token(), PASSWORD));
    let answers = futures_util::future::join_all(many).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 204) {
        answer.refused(403, "FORBIDDEN");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_reset_link_is_void_after_a_change_of_password_or_address() {
    let (server, mut post) = start(|_| {}).await;
    let admin = server.admin().await;
    for change in [json!({"password": "changed meanwhile"}), json!({"email": "else@example.com"})] {
        let name = if change.get("email").is_some() { "bob" } else { "alice" };
        let user = server.member(name).await;
        ask_reset(&server, &user.email).await.nothing();
        let mail = post.mail().await;

        admin.patch(&format!("/users/{}", user.id), &change).await.ok();

        reset(&server, mail.token(), PASSWORD).await.refused(403, "FORBIDDEN");
    }
    server.stop().await;
}

#[tokio::test]
async fn only_active_accounts_get_a_link_and_responses_do_not_differ() {
    let (server, mut post) = start(|_| {}).await;
    let admin = server.admin().await;
    let mut answers = vec![ask_reset(&server, "nobody@example.com").await];
    for status in ["suspended", "archived", "draft", "unverified", "invited"] {
        let user = server.member(status).await;
        admin.patch(&format!("/users/{}", user.id), &json!({"status": status})).await.ok();
        answers.push(ask_reset(&server, &user.email).await);
    }
    let elsewhere = server.member("elsewhere").await;
    let provider = json!({"provider": "github", "external_identifier": "7"});
    admin.patch(&format!("/users/{}", elsewhere.id), &provider).await.ok();
    answers.push(ask_reset(&server, &elsewhere.email).await);
    let alice = server.member("alice").await;
    answers.push(ask_reset(&server, &alice.email).await);

    for answer in &answers {
        answer.nothing();
    }
    let mails = post.all_so_far(&server).await;
    let to: Vec<&str> = mails.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, [alice.email.as_str()]);
    server.stop().await;
}

#[tokio::test]
async fn a_suspended_account_cannot_reset_its_password() {
    let (server, mut post) = start(|_| {}).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let path = format!("/users/{}", alice.id);
    ask_reset(&server, &alice.email).await.nothing();
    let mail = post.mail().await;

    admin.patch(&path, &json!({"status": "suspended"})).await.ok();
    reset(&server, mail.token(), PASSWORD).await.refused(403, "FORBIDDEN");

    admin.patch(&path, &json!({"status": "active"})).await.ok();
    login(&server, &alice.email, &alice.password).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn reset_tokens_expire_after_a_day_and_other_tokens_are_refused() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    ask_reset(&server, &alice.email).await.nothing();
    let mail = post.mail().await;

    for token in ["made-up", "", "a.b.c", &alice.token, &alice.refresh_token] {
        let answer = reset(&server, token, PASSWORD).await;
        let expected =
            if token.is_empty() { (400, "INVALID_PAYLOAD") } else { (403, "INVALID_TOKEN") };
        assert_eq!((answer.status, answer.code()), expected, "{token}");
    }
    verify(&server, mail.token()).await.refused(403, "FORBIDDEN");
    super::accept(&server, mail.token(), PASSWORD).await.refused(403, "FORBIDDEN");
    server.clock.advance(Duration::from_hours(24));
    reset(&server, mail.token(), PASSWORD).await.refused(401, "TOKEN_EXPIRED");
    server.stop().await;
}

#[tokio::test]
async fn a_password_that_violates_the_policy_keeps_the_link_valid() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    set(&server, json!({"auth_password_policy": "/[0-9]/"})).await;
    ask_reset(&server, &alice.email).await.nothing();
    let mail = post.mail().await;

    for password in ["short 1", "12345678", "no digits in this"] {
        let answer = reset(&server, mail.token(), password).await;
        answer.refused(400, "FAILED_VALIDATION");
        assert!(!answer.text.contains(password), "{}", answer.text);
    }
    reset(&server, mail.token(), "4 words and a digit").await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn a_password_reset_keeps_the_second_factor() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    let made =
        alice.post("/users/me/tfa/generate", &json!({"password": alice.password})).await.ok();
    let secret = made["secret"].as_str().unwrap();
    let otp = crate::support::code(secret, server.clock.now(), 0);
    alice.post("/users/me/tfa/enable", &json!({"secret": secret, "otp": otp})).await.nothing();

    ask_reset(&server, &alice.email).await.nothing();
    let mail = post.mail().await;
    reset(&server, mail.token(), PASSWORD).await.nothing();

    login(&server, &alice.email, PASSWORD).await.refused(401, "INVALID_OTP");
    server.stop().await;
}

#[tokio::test]
async fn reset_links_point_to_configured_urls_only() {
    let (server, mut post) = start(|config| {
        config.links.reset_urls = vec!["https://chat.example.com/new-password".parse().unwrap()];
    })
    .await;
    let alice = server.member("alice").await;
    let ask = async |email: &str, url: &str| {
        let body = json!({"email": email, "reset_url": url});
        server.anonymous().post("/auth/password/request", &body).await
    };

    for email in [alice.email.as_str(), "nobody@example.com"] {
        for url in ["https://evil.example/", "https://chat.example.com/", "", "javascript:alert(1)"]
        {
            ask(email, url).await.refused(400, "INVALID_PAYLOAD");
        }
    }
    ask(&alice.email, "https://chat.example.com/new-password").await.nothing();
    let mail = post.mail().await;
    assert!(mail.link().starts_with("https://chat.example.com/new-password?token="));
    // The client cannot choose the host either.
    let request = server.anonymous().request("POST", "/auth/password/request");
    let request = request.header("Host", "evil.example").json(&json!({"email": alice.email}));
    crate::support::Answer::to(request).await.nothing();
    assert!(post.mail().await.link().starts_with("https://chat.example.com/admin/reset-password"));
    server.stop().await;
}

#[tokio::test]
async fn reset_mails_are_limited_per_account_and_hour() {
    // Without the throttle, as if each request came from another address.
    let (server, mut post) = start(|config| config.auth.throttle = false).await;
    let alice = server.member("alice").await;

    for _ in 0..9 {
        ask_reset(&server, &alice.email).await.nothing();
    }
    assert_eq!(post.all_so_far(&server).await.len(), 5);
    server.clock.advance(Duration::from_mins(61));
    ask_reset(&server, &alice.email).await.nothing();
    assert_eq!(post.mail().await.to, alice.email);
    server.stop().await;
}

#[tokio::test]
async fn invalid_payloads_are_refused() {
    let (server, _post) = start(|_| {}).await;
    let anyone = server.anonymous();

    for (path, body) in [
        ("/auth/password/request", json!({})),
        ("/auth/password/request", json!({"email": ["a", "b"]})),
        ("/auth/password/request", json!({"email": ""})),
        ("/auth/password/request", json!({"email": "a@b.c", "reset_url": 7})),
        ("/auth/password/request", json!("a@b.c")),
        ("/auth/password/reset", json!({"token": "x"})),
        ("/auth/password/reset", json!({"password": "x"})),
        ("/auth/password/reset", json!({"token": "x", "password": ["x"]})),
    ] {
        anyone.post(path, &body).await.refused(400, "INVALID_PAYLOAD");
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_mail_transport_every_reset_request_is_refused() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    for email in [alice.email.as_str(), "nobody@example.com"] {
        let answer = ask_reset(&server, email).await;
        answer.refused(422, "UNPROCESSABLE_CONTENT");
        assert!(answer.message().contains("EMAIL_TRANSPORT"));
    }
    server.stop().await;
}
