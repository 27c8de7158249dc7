//! Sign-up: disabled by default, the same response for every address, and a link that works once.

use std::time::Duration;

use serde_json::json;

use super::PASSWORD;
use super::find;
use super::follow;
use super::login;
use super::register;
use super::reset;
use super::role;
use super::set;
use super::start;
use super::verify;
use crate::support::TestServer;

#[tokio::test]
async fn sign_up_requires_the_public_registration_setting() {
    let server = TestServer::start().await;

    register(&server, "new@example.com").await.refused(403, "FORBIDDEN");
    set(&server, json!({"public_registration": true, "public_registration_verify_email": false}))
        .await;
    register(&server, "new@example.com").await.nothing();
    set(&server, json!({"public_registration": false})).await;
    register(&server, "newer@example.com").await.refused(403, "FORBIDDEN");

    login(&server, "new@example.com", PASSWORD).await.ok();
    login(&server, "newer@example.com", PASSWORD).await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn the_email_filter_is_case_insensitive() {
    let server = TestServer::start().await;
    let filter = json!({"email": {"_ends_with": "@example.com"}});
    set(
        &server,
        json!({"public_registration": true, "public_registration_verify_email": false,
            "public_registration_email_filter": filter}),
    )
    .await;

    register(&server, "b@Example.COM").await.nothing();
    register(&server, "c@example.com.evil").await.refused(403, "FORBIDDEN");

    login(&server, "B@example.com", PASSWORD).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn demo_mode_enables_sign_up_with_the_member_role() {
    let server = TestServer::with(|config| config.bootstrap.demo = true).await;

    register(&server, "new@example.com").await.nothing();

    let token = login(&server, "new@example.com", PASSWORD).await.ok()["access_token"].clone();
    let new = server.anonymous().bearing(token.as_str().unwrap());
    new.say("hello").await;
    let me = new.patch("/users/me", &json!({"title": "newcomer"})).await;
    assert_eq!(me.status, 200, "{}", me.text);
    server.stop().await;
}

#[tokio::test]
async fn a_new_account_is_unverified_until_its_address_is_confirmed() {
    let (server, mut post) = start(|_| {}).await;
    let admin = server.admin().await;
    let member = role(&admin, "Member").await;
    set(&server, json!({"public_registration": true, "public_registration_role": member})).await;

    register(&server, "new@example.com").await.nothing();
    let mail = post.mail().await;

    assert_eq!(mail.to, "new@example.com");
    assert_eq!(mail.header("Subject"), "Confirm your email address for chinwag");
    let link = "https://chat.example.com/users/register/verify-email?token=";
    assert!(mail.link().starts_with(link), "{}", mail.link());
    // The mail contains no text from the form, as the address may belong to a third party.
    assert!(!mail.raw.contains("New"), "{}", mail.raw);
    let account = find(&admin, "new@example.com").await;
    assert_eq!((&account["status"], &account["role"]), (&json!("unverified"), &member));
    login(&server, "new@example.com", PASSWORD).await.unknown();

    let confirmed = verify(&server, mail.token()).await;
    assert_eq!(
        (confirmed.status, confirmed.header("location")),
        (302, "https://chat.example.com/#confirmed")
    );
    login(&server, "new@example.com", PASSWORD).await.ok();
    verify(&server, mail.token()).await.refused(403, "FORBIDDEN");
    server.stop().await;
}

/// A browser requests HTML, and displays the response.
#[tokio::test]
async fn browsers_are_redirected_even_for_used_or_expired_links() {
    let (server, mut post) = start(|_| {}).await;
    set(&server, json!({"public_registration": true})).await;
    register(&server, "new@example.com").await.nothing();
    let mail = post.mail().await;

    assert_eq!(follow(&server, mail.token()).await, "https://chat.example.com/#confirmed");
    assert_eq!(follow(&server, mail.token()).await, "https://chat.example.com/#link-used");
    assert_eq!(follow(&server, "made-up").await, "https://chat.example.com/#link-used");
    register(&server, "late@example.com").await.nothing();
    let mail = post.mail().await;
    server.clock.advance(Duration::from_hours(8 * 24));
    assert_eq!(follow(&server, mail.token()).await, "https://chat.example.com/#link-expired");
    verify(&server, mail.token()).await.refused(401, "TOKEN_EXPIRED");
    server.stop().await;
}

#[tokio::test]
async fn sign_up_does_not_reveal_whether_an_address_is_taken() {
    let (server, mut post) = start(|_| {}).await;
    set(&server, json!({"public_registration": true})).await;
    let alice = server.member("alice").await;

    let new = register(&server, "new@example.com").await;
    let taken = register(&server, &alice.email).await;
    let spelt = register(&server, "ALICE@example.com").await;

    for answer in [&new, &taken, &spelt] {
        answer.nothing();
        let names = |answer: &crate::support::Answer| {
            answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(answer), names(&new));
    }
    let mails = post.all_so_far(&server).await;
    let to: Vec<&str> = mails.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, ["new@example.com"]);
    login(&server, &alice.email, PASSWORD).await.unknown();
    login(&server, &alice.email, &alice.password).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_sign_up_replaces_the_link_and_the_password() {
    let (server, mut post) = start(|_| {}).await;
    set(&server, json!({"public_registration": true})).await;
    let again = |password: &'static str| {
        let client = server.anonymous();
        async move {
            let body = json!({"email": "new@example.com", "password": password});
            client.post("/users/register", &body).await.nothing();
        }
    };

    again("what somebody else chose").await;
    let first = post.mail().await;
    again(PASSWORD).await;
    let second = post.mail().await;

    verify(&server, first.token()).await.refused(403, "FORBIDDEN");
    assert_eq!(verify(&server, second.token()).await.status, 302);
    login(&server, "new@example.com", "what somebody else chose").await.unknown();
    login(&server, "new@example.com", PASSWORD).await.ok();
    again("somebody else once more").await;
    login(&server, "new@example.com", PASSWORD).await.ok();
    assert!(post.all_so_far(&server).await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn repeated_sign_ups_send_a_limited_number_of_mails() {
    // Without the throttle, as if each request came from another address.
    let (server, mut post) = start(|config| config.auth.throttle = false).await;
    set(&server, json!({"public_registration": true})).await;

    for _ in 0..8 {
        register(&server, "new@example.com").await.nothing();
    }
    let mails = post.all_so_far(&server).await;
    assert!((1..=5).contains(&mails.len()), "{}", mails.len());
    // The last mail has a valid link, since requests without a mail changed nothing.
    let good = mails.last().unwrap();
    server.clock.advance(Duration::from_hours(2));
    assert_eq!(verify(&server, good.token()).await.status, 302);
    server.stop().await;
}

#[tokio::test]
async fn a_verification_link_expires_and_has_no_other_use() {
    let (server, mut post) = start(|_| {}).await;
    set(&server, json!({"public_registration": true})).await;
    register(&server, "new@example.com").await.nothing();
    let mail = post.mail().await;

    reset(&server, mail.token(), PASSWORD).await.refused(403, "FORBIDDEN");
    super::accept(&server, mail.token(), PASSWORD).await.refused(403, "FORBIDDEN");
    verify(&server, "made-up").await.refused(403, "INVALID_TOKEN");
    verify(&server, &format!("{}x", mail.token())).await.refused(403, "INVALID_TOKEN");
    verify(&server, "").await.refused(400, "INVALID_PAYLOAD");
    let admin = server.admin().await;
    verify(&server, &admin.token).await.refused(403, "INVALID_TOKEN");
    // The link's token does not authenticate requests.
    let shown = server.anonymous().bearing(mail.token()).get("/users/me").await;
    shown.refused(403, "INVALID_TOKEN");

    server.clock.advance(Duration::from_hours(7 * 24));
    verify(&server, mail.token()).await.refused(401, "TOKEN_EXPIRED");
    server.stop().await;
}

#[tokio::test]
async fn a_link_signed_with_another_secret_is_refused() {
    let (server, mut post) = start(|config| {
        config.auth.secret =
            chinwag::config::Secret("another secret, of another service".to_owned());
    })
    .await;
    set(&server, json!({"public_registration": true})).await;
    register(&server, "new@example.com").await.nothing();
    let mail = post.mail().await;
    let (other, _) = start(|_| {}).await;

    verify(&other, mail.token()).await.refused(403, "INVALID_TOKEN");
    other.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn sign_up_requires_an_address_that_matches_the_filter() {
    let server = TestServer::start().await;
    set(
        &server,
        json!({
            "public_registration": true,
            "public_registration_verify_email": false,
            "public_registration_email_filter": {"email": {"_ends_with": "@example.com"}},
        }),
    )
    .await;

    register(&server, "new@example.com").await.nothing();
    register(&server, "new@example.net").await.refused(403, "FORBIDDEN");
    register(&server, "new@example.com.example.net").await.refused(403, "FORBIDDEN");

    login(&server, "new@example.com", PASSWORD).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn invalid_payloads_are_refused_before_any_lookup() {
    let (server, mut post) = start(|config| {
        config.links.register_urls = vec!["https://chat.example.com/confirm".parse().unwrap()];
        config.limits.registration = None;
    })
    .await;
    set(&server, json!({"public_registration": true})).await;
    let alice = server.member("alice").await;
    let anyone = server.anonymous();

    for email in ["new@example.com", alice.email.as_str()] {
        for (extra, status, code) in [
            (json!({"role": "x"}), 400, "INVALID_PAYLOAD"),
            (json!({"status": "active"}), 400, "INVALID_PAYLOAD"),
            (json!({"password": "password"}), 400, "FAILED_VALIDATION"),
            (json!({"password": "short"}), 400, "FAILED_VALIDATION"),
            (json!({"password": ""}), 400, "INVALID_PAYLOAD"),
            (json!({"password": null}), 400, "INVALID_PAYLOAD"),
            (json!({"email": "nobody"}), 400, "INVALID_PAYLOAD"),
            (json!({"email": ["a@b.c"]}), 400, "INVALID_PAYLOAD"),
            (
                json!({"email": format!("{}@example.com", "a".repeat(250))}),
                400,
                "FAILED_VALIDATION",
            ),
            (json!({"first_name": "x".repeat(256)}), 400, "VALUE_TOO_LONG"),
            (json!({"verification_url": "https://evil.example/"}), 400, "INVALID_PAYLOAD"),
            (json!({"verification_url": "https://chat.example.com/"}), 400, "INVALID_PAYLOAD"),
        ] {
            let mut body = json!({"email": email, "password": PASSWORD});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let answer = anyone.post("/users/register", &body).await;
            assert_eq!((answer.status, answer.code()), (status, code), "{body}: {}", answer.text);
        }
    }
    anyone.post("/users/register", &json!([])).await.refused(400, "INVALID_PAYLOAD");
    anyone.send("POST", "/users/register").await.refused(400, "INVALID_PAYLOAD");
    assert!(post.all_so_far(&server).await.is_empty());

    let url = "https://chat.example.com/confirm?lang=eo";
    let body = json!({"email": "new@example.com", "password": PASSWORD, "verification_url": url});
    anyone.post("/users/register", &body).await.nothing();
    let mail = post.mail().await;
    assert!(mail.link().starts_with(&format!("{url}&token=")), "{}", mail.link());
    server.stop().await;
}

#[tokio::test]
async fn sign_up_with_verification_requires_a_mail_transport() {
    let server = TestServer::start().await;
    set(&server, json!({"public_registration": true})).await;

    register(&server, "new@example.com").await.refused(422, "UNPROCESSABLE_CONTENT");

    let admin = server.admin().await;
    assert_eq!(find(&admin, "new@example.com").await, json!(null));
    server.stop().await;
}

#[tokio::test]
async fn concurrent_sign_ups_with_one_address_create_one_account() {
    let server = TestServer::with(|config| config.auth.throttle = false).await;
    set(&server, json!({"public_registration": true, "public_registration_verify_email": false}))
        .await;

    let many = (0..8).map(|_| register(&server, "new@example.com"));
    for answer in futures_util::future::join_all(many).await {
        answer.nothing();
    }

    let admin = server.admin().await;
    let found = admin.get("/users?filter[email][_eq]=new@example.com").await.ok();
    assert_eq!(found.as_array().unwrap().len(), 1);
    server.stop().await;
}
