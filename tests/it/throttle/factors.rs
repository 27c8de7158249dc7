//! Guessing codes of a second factor, with a known password or an existing session.

use std::time::Duration;

use chinwag::clock::Timestamp;
use serde_json::json;

use crate::support::code;
use crate::support::error;
use crate::support::{Answer, Permission, TestServer, User};
use crate::throttle::HOME;
use crate::throttle::before_the_wait;
use crate::throttle::machine;
use crate::throttle::post_from;
use crate::throttle::socket_from;
use crate::throttle::start;
use crate::throttle::told_to_wait;

/// Returns an account with a second factor, and its secret.
async fn careful(server: &TestServer) -> (User, String) {
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let permission = Permission::to("update", "directus_users").fields(&["tfa_secret"]).on(own);
    let user = server.user_with("careful", &[permission]).await;
    let secret = user.enable_factor(server).await;
    server.clock.advance(Duration::from_mins(2));
    (user, secret)
}

async fn login(server: &TestServer, from: &str, user: &User, otp: Option<&str>) -> Answer {
    let body = json!({"email": user.email, "password": user.password, "otp": otp});
    post_from(server, from, "/auth/login", &body).await
}

/// Returns an invalid code.
fn wrong(secret: &str, now: Timestamp, number: usize) -> String {
    let right: Vec<String> = (-1..=1).map(|steps| code(secret, now, steps)).collect();
    let codes = (0..).map(|other| format!("{:06}", number * 10 + other));
    codes.into_iter().find(|code| !right.contains(code)).unwrap()
}

#[tokio::test]
async fn codes_cannot_be_guessed_from_one_address() {
    let server = start().await;
    let (user, secret) = careful(&server).await;
    let guess = async |number| {
        let otp = wrong(&secret, server.clock.now(), number);
        login(&server, HOME, &user, Some(&otp)).await
    };

    assert_eq!(before_the_wait("INVALID_OTP", guess).await, 6);

    // Neither the correct code nor a sign-in with the password alone shortens the wait.
    let right = code(&secret, server.clock.now(), 0);
    told_to_wait(&login(&server, HOME, &user, Some(&right)).await);
    login(&server, HOME, &user, None).await.refused(401, "INVALID_OTP");
    let wait = told_to_wait(&guess(9).await);
    server.clock.advance(wait);
    guess(10).await.refused(401, "INVALID_OTP");
    server.clock.advance(wait);
    told_to_wait(&guess(11).await);
    server.stop().await;
}

#[tokio::test]
async fn distributed_code_guessing_does_not_lock_out_the_owner() {
    let server = start().await;
    let (user, secret) = careful(&server).await;
    let right = code(&secret, server.clock.now(), 0);
    login(&server, HOME, &user, Some(&right)).await.ok();
    server.clock.advance(Duration::from_mins(1));
    let stranger = async |number| {
        let otp = wrong(&secret, server.clock.now(), number);
        login(&server, &machine(number), &user, Some(&otp)).await
    };

    assert_eq!(before_the_wait("INVALID_OTP", stranger).await, 11);

    let right = code(&secret, server.clock.now(), 0);
    told_to_wait(&login(&server, &machine(50), &user, Some(&right)).await);
    login(&server, HOME, &user, Some(&right)).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn codes_cannot_be_guessed_over_a_socket() {
    let server = start().await;
    let (user, secret) = careful(&server).await;
    let mut socket = socket_from(&server, HOME).await;
    let mut told = Vec::new();

    for number in 0..8 {
        let otp = wrong(&secret, server.clock.now(), number);
        let auth = json!({"type": "auth", "email": user.email, "password": user.password,
            "otp": otp});
        told.push(error(&socket.ask(&auth).await).1.to_owned());
    }

    assert_eq!(told[..6], ["INVALID_OTP"; 6]);
    assert_eq!(told[6..], ["REQUESTS_EXCEEDED"; 2]);
    let right = code(&secret, server.clock.now(), 0);
    told_to_wait(&login(&server, HOME, &user, Some(&right)).await);
    server.stop().await;
}

#[tokio::test]
async fn recovery_codes_cannot_be_guessed() {
    let server = start().await;
    let (user, _) = careful(&server).await;
    let guess = async |number| {
        login(&server, HOME, &user, Some(&format!("AAAA-BBBB-CCCC-{number:04}"))).await
    };

    assert_eq!(before_the_wait("INVALID_OTP", guess).await, 6);
    server.stop().await;
}

#[tokio::test]
async fn a_missing_code_is_not_counted_as_a_failure() {
    let server = start().await;
    let (user, secret) = careful(&server).await;

    for otp in [None, Some("")].repeat(20) {
        login(&server, HOME, &user, otp).await.refused(401, "INVALID_OTP");
    }

    let right = code(&secret, server.clock.now(), 0);
    login(&server, HOME, &user, Some(&right)).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_stolen_session_cannot_disable_the_second_factor() {
    let server = start().await;
    let (user, secret) = careful(&server).await;
    let disable = async |from: &str, otp: &str| {
        let request = user.request("POST", "/users/me/tfa/disable").header("x-forwarded-for", from);
        Answer::to(request.json(&json!({"otp": otp}))).await
    };
    let guess =
        async |number| disable(&machine(1), &wrong(&secret, server.clock.now(), number)).await;

    assert_eq!(before_the_wait("INVALID_PAYLOAD", guess).await, 6);

    let right = code(&secret, server.clock.now(), 0);
    told_to_wait(&disable(&machine(1), &right).await);
    disable(HOME, &right).await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn a_factor_cannot_be_enabled_by_guessing() {
    let server = start().await;
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let permission = Permission::to("update", "directus_users").fields(&["tfa_secret"]).on(own);
    let user = server.user_with("careful", &[permission]).await;
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let enable = async |number| {
        let otp = wrong(secret, server.clock.now(), number);
        user.post("/users/me/tfa/enable", &json!({"secret": secret, "otp": otp})).await
    };

    // The higher limit applies: the account has signed in from this address.
    assert_eq!(before_the_wait("INVALID_PAYLOAD", enable).await, 11);
    server.stop().await;
}
