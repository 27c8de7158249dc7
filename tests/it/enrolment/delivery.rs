//! The mail queue: it survives failures and restarts, gives up eventually, and contains no secrets.

use std::time::Duration;

use chinwag::model::MailKind;
use serde_json::json;

use super::PASSWORD;
use super::ask_reset;
use super::register;
use super::reset;
use super::set;
use super::start;
use crate::support::soon;
use crate::support::{Post, TestServer};

/// Advances the clock until no mail is queued for an account.
async fn given_up(server: &TestServer, user: &str) {
    let id = user.parse().unwrap();
    let mails = &server.app().services().mails;
    soon(async {
        // An attempt is recorded shortly after the mail server has received it, with the time of
        // the recording.
        while !mails.waiting(MailKind::Reset, id).await.unwrap().is_empty() {
            server.clock.advance(Duration::from_mins(1));
            mails.wake();
            // Gives the other tasks time to run.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn temporarily_rejected_mails_are_retried() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    post.answer_with(451);

    ask_reset(&server, &alice.email).await.nothing();
    post.tried().await;
    post.answer_with(250);
    // The next attempt is scheduled when the first is recorded, which may happen after this point.
    let mail = loop {
        server.clock.advance(Duration::from_secs(3));
        server.app().services().mails.wake();
        let soon = tokio::time::timeout(Duration::from_millis(200), post.mail());
        if let Ok(mail) = soon.await {
            break mail;
        }
    };

    assert_eq!(mail.to, alice.email);
    reset(&server, mail.token(), PASSWORD).await.nothing();
    assert!(post.all_so_far(&server).await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn queued_mails_are_sent_once_after_a_restart() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    post.answer_with(451);
    ask_reset(&server, &alice.email).await.nothing();
    post.tried().await;

    let server = server.restart().await;
    post.answer_with(250);
    server.clock.advance(Duration::from_mins(1));
    server.app().services().mails.wake();

    let mail = post.mail().await;
    assert_eq!(mail.to, alice.email);
    let server = server.restart().await;
    assert!(post.all_so_far(&server).await.is_empty());
    reset(&server, mail.token(), PASSWORD).await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn permanently_rejected_mails_are_dropped_after_a_few_attempts() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    post.answer_with(550);
    ask_reset(&server, &alice.email).await.nothing();

    let mut tries = 0;
    let mails = &server.app().services().mails;
    soon(async {
        while !mails.waiting(MailKind::Reset, alice.id.parse().unwrap()).await.unwrap().is_empty() {
            server.clock.advance(Duration::from_mins(10));
            mails.wake();
            if tokio::time::timeout(Duration::from_millis(100), post.tried()).await.is_ok() {
                tries += 1;
            }
        }
    })
    .await;

    assert!((1..=6).contains(&tries), "{tries}");
    server.stop().await;
}

#[tokio::test]
async fn mails_to_suspended_accounts_and_expired_mails_are_dropped() {
    let (server, mut post) = start(|_| {}).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let bob = server.member("bob").await;
    post.answer_with(451);
    for user in [&alice, &bob] {
        ask_reset(&server, &user.email).await.nothing();
        post.tried().await;
    }

    admin.patch(&format!("/users/{}", alice.id), &json!({"status": "suspended"})).await.ok();
    given_up(&server, &alice.id).await;
    // No mail is accepted before the other one has expired.
    server.clock.advance(Duration::from_hours(24));
    given_up(&server, &bob.id).await;
    post.answer_with(250);

    let server = server.restart().await;
    assert!(post.all_so_far(&server).await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn the_mail_queue_contains_no_tokens_or_passwords() {
    let (server, mut post) = start(|_| {}).await;
    set(&server, json!({"public_registration": true})).await;
    let alice = server.member("alice").await;
    ask_reset(&server, &alice.email).await.nothing();
    let asked = post.mail().await;
    register(&server, "new@example.com").await.nothing();
    let registered = post.mail().await;

    let database = server.database();
    server
        .stop_and(|| {
            let bytes = std::fs::read(&database).unwrap();
            let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(has("chinwag_mails") && has("registration"), "the queue is in the file");
            for mail in [&asked, &registered] {
                for part in mail.token().split('.').skip(1) {
                    assert!(!has(part), "{part}");
                }
                assert!(!has(PASSWORD));
            }
        })
        .await;
}

#[tokio::test]
async fn erasing_an_account_removes_its_mails_from_the_database() {
    let (server, mut post) = start(|config| {
        config.links.reset_urls =
            vec!["https://chat.example.com/unlike-any-other".parse().unwrap()];
    })
    .await;
    let alice = server.member("alice").await;
    let body = json!({
        "email": alice.email,
        "reset_url": "https://chat.example.com/unlike-any-other",
    });
    server.anonymous().post("/auth/password/request", &body).await.nothing();
    post.mail().await;

    server.app().services().accounts.erase(&alice.email, false).await.unwrap();

    let database = server.database();
    server
        .stop_and(|| {
            let bytes = std::fs::read(&database).unwrap();
            let text = b"unlike-any-other";
            assert!(!bytes.windows(text.len()).any(|part| part == text));
        })
        .await;
}

#[tokio::test]
async fn mails_use_the_current_project_settings_and_escape_html() {
    let (server, mut post) = start(|_| {}).await;
    let alice = server.member("alice").await;
    set(&server, json!({"project_name": "Grüße <b>& Co", "project_color": "#0a7"})).await;

    ask_reset(&server, &alice.email).await.nothing();
    let mail = post.mail().await;

    assert!(mail.text.contains("Grüße <b>& Co"), "{}", mail.text);
    assert!(mail.html.contains("Grüße &lt;b&gt;&amp; Co"), "{}", mail.html);
    assert!(mail.html.contains("background:#0a7"), "{}", mail.html);
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    server.stop().await;
}

#[tokio::test]
async fn an_unresponsive_mail_server_does_not_block_requests() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let post = Post::start().await;
    let server = TestServer::with(|config| {
        post.serve(config);
        config.email.smtp.port = silent.local_addr().unwrap().port();
    })
    .await;
    let alice = server.member("alice").await;

    ask_reset(&server, &alice.email).await.nothing();
    let _connection = soon(silent.accept()).await.unwrap();

    ask_reset(&server, &alice.email).await.nothing();
    alice.say("meanwhile").await;
    server.stop().await;
}
