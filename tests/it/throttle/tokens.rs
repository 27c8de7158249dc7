//! Rate limit of invalid refresh tokens.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, TestServer};
use crate::throttle::HOME;
use crate::throttle::before_the_wait;
use crate::throttle::machine;
use crate::throttle::post_from;
use crate::throttle::start;
use crate::throttle::told_to_wait;

async fn refresh(server: &TestServer, from: &str, token: &str) -> Answer {
    post_from(server, from, "/auth/refresh", &json!({"refresh_token": token})).await
}

#[tokio::test]
async fn invalid_tokens_are_throttled_and_valid_ones_are_not() {
    let server = start().await;
    let alice = server.member("alice").await;
    for shape in [None, Some(alice.refresh_token.len())] {
        let from = machine(shape.unwrap_or_default());
        let token = |number| match shape {
            None => format!("nonsense {number}"),
            // A refresh token begins with the key of its session.
            Some(length) => format!("{:A<length$}", format!("s{number:03}")),
        };

        let made_up = async |number| refresh(&server, &from, &token(number)).await;
        assert_eq!(before_the_wait("INVALID_CREDENTIALS", made_up).await, 61, "{shape:?}");

        // Another account behind the same address.
        let bob = server.member(&format!("bob{}", shape.is_some())).await;
        refresh(&server, &from, &bob.refresh_token).await.ok();
        refresh(&server, HOME, "nonsense").await.unknown();
        server.clock.advance(told_to_wait(&made_up(100).await));
        made_up(101).await.unknown();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_revoked_token_throttles_only_itself() {
    let server = start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    alice.delete("/users/me/sessions").await.nothing();

    let repeat = async |_| refresh(&server, HOME, &alice.refresh_token).await;
    assert_eq!(before_the_wait("INVALID_CREDENTIALS", repeat).await, 21);

    let first = refresh(&server, HOME, &bob.refresh_token).await.ok();
    server.clock.advance(Duration::from_secs(30));
    refresh(&server, HOME, first["refresh_token"].as_str().unwrap()).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn regular_refreshes_are_never_throttled() {
    let server = start().await;
    let alice = server.member("alice").await;
    let mut token = alice.refresh_token.clone();

    for _ in 0..100 {
        let data = refresh(&server, HOME, &token).await.ok();
        data["refresh_token"].as_str().unwrap().clone_into(&mut token);
    }
    server.stop().await;
}
