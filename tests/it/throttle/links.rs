//! Rate limits of sign-up, of requests for links, and of their use.

use serde_json::json;

use crate::support::{Answer, Post, TestServer, User};
use crate::throttle::HOME;
use crate::throttle::before_the_wait;
use crate::throttle::machine;
use crate::throttle::post_from;
use crate::throttle::start_with;
use crate::throttle::told_to_wait;

const PASSWORD: &str = "correct horse battery";

async fn start() -> (TestServer, Post, User) {
    let post = Post::start().await;
    let server = start_with(|config| {
        post.serve(config);
        config.limits.registration = None;
    })
    .await;
    let admin = server.admin().await;
    admin.patch("/settings", &json!({"public_registration": true})).await.ok();
    (server, post, admin)
}

async fn register(server: &TestServer, from: &str, email: &str) -> Answer {
    let body = json!({"email": email, "password": PASSWORD});
    post_from(server, from, "/users/register", &body).await
}

async fn ask(server: &TestServer, from: &str, email: &str) -> Answer {
    post_from(server, from, "/auth/password/request", &json!({"email": email})).await
}

#[tokio::test]
async fn sign_ups_and_links_are_limited_per_address_and_account() {
    let (server, _post, _) = start().await;
    let known = server.member("known").await;

    for email in [&known.email, "new@example.com"] {
        let from = machine(email.len());
        let again = async |_| register(&server, &from, email).await;
        assert_eq!(before_the_wait("", again).await, 6, "{email}");
        register(&server, HOME, email).await.nothing();
        let again = async |_| ask(&server, &from, email).await;
        assert_eq!(before_the_wait("", again).await, 6, "{email}");
        // The owner asks from another address.
        ask(&server, HOME, email).await.nothing();
    }
    server.stop().await;
}

#[tokio::test]
async fn sign_ups_and_links_are_limited_per_address() {
    let (server, _post, _) = start().await;

    let other = async |number| register(&server, HOME, &format!("{number}@example.com")).await;
    assert_eq!(before_the_wait("", other).await, 31);
    let other = async |number| ask(&server, HOME, &format!("{number}@example.com")).await;
    assert_eq!(before_the_wait("", other).await, 31);

    register(&server, &machine(1), "new@example.com").await.nothing();
    ask(&server, &machine(1), "new@example.com").await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn invalid_links_are_throttled_and_valid_ones_are_not() {
    let (server, mut post, _) = start().await;
    let alice = server.member("alice").await;
    ask(&server, HOME, &alice.email).await.nothing();
    let token = post.mail().await.token().to_owned();
    let reset = async |token: &str, password: &str| {
        let body = json!({"token": token, "password": password});
        post_from(&server, HOME, "/auth/password/reset", &body).await
    };
    let made_up = async |path: &str, number: usize| {
        let body = json!({"token": format!("made.up.{number}"), "password": PASSWORD});
        post_from(&server, HOME, path, &body).await
    };

    let guess = async |number| made_up("/auth/password/reset", number).await;
    assert_eq!(before_the_wait("INVALID_TOKEN", guess).await, 61);

    told_to_wait(&made_up("/users/invite/accept", 1).await);
    let verify = "/users/register/verify-email?token=made.up";
    let verify = server.anonymous().request("GET", verify).header("x-forwarded-for", HOME);
    told_to_wait(&Answer::to(verify).await);
    // A valid token works, also after an attempt with a password that was too easy to guess.
    reset(&token, "password").await.refused(400, "FAILED_VALIDATION");
    reset(&token, "another good password").await.nothing();
    // But not repeatedly.
    let again = async |_| reset(&token, "another good password").await;
    assert_eq!(before_the_wait("FORBIDDEN", again).await, 11);
    server.stop().await;
}
