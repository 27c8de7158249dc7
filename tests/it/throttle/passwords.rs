//! Guessing passwords: of one account or many, from one address or many, over REST and sockets.

use std::time::Duration;

use chinwag::config::{TrustProxy, WebSocketAuth};
use serde_json::json;

use crate::support::error;
use crate::support::soon;
use crate::support::{Socket, TestServer};
use crate::throttle::before_the_wait;
use crate::throttle::login;
use crate::throttle::machine;
use crate::throttle::socket_from;
use crate::throttle::start;
use crate::throttle::start_with;
use crate::throttle::told_to_wait;
use crate::throttle::{HOME, WRONG};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn backoff_doubles_after_each_failure_and_matches_retry_after() {
    let server = start().await;
    let alice = server.member("alice").await;
    let guess = async |_| login(&server, HOME, &alice.email, WRONG).await;

    assert_eq!(before_the_wait("INVALID_CREDENTIALS", guess).await, 11);

    let mut waits = Vec::new();
    for _ in 0..6 {
        let wait = told_to_wait(&guess(0).await);
        waits.push(wait.as_secs());
        // The correct password has to wait as well, or the wait would reveal it.
        server.clock.advance(wait.saturating_sub(SECOND));
        told_to_wait(&login(&server, HOME, &alice.email, &alice.password).await);
        server.clock.advance(SECOND);
        guess(0).await.unknown();
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32]);
    server.clock.advance(told_to_wait(&guess(0).await));
    login(&server, HOME, &alice.email, &alice.password).await.ok();
    // A successful sign-in resets the counter, and raises the limit for this address from now on.
    assert_eq!(before_the_wait("INVALID_CREDENTIALS", guess).await, 21);
    server.stop().await;
}

#[tokio::test]
async fn throttling_does_not_reveal_whether_an_account_exists() {
    let server = start().await;
    let admin = server.admin().await;
    let (known, gone) = (server.member("known").await, server.member("gone").await);
    admin.patch(&format!("/users/{}", gone.id), &json!({"status": "suspended"})).await.ok();
    // The owner was at another address.
    login(&server, HOME, &known.email, &known.password).await.ok();

    let mut told = Vec::new();
    for email in [&known.email, &gone.email, "nobody@example.com"] {
        let mut of_one = Vec::new();
        for number in 0..30 {
            // From one address, and then from others.
            let from =
                machine(if number < 15 { told.len() * 50 } else { told.len() * 50 + number });
            let answer = login(&server, &from, email, WRONG).await;
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            headers.remove("date");
            of_one.push((answer.status, format!("{headers:?}"), answer.text));
        }
        assert!(of_one.iter().any(|(status, ..)| *status == 429));
        told.push(of_one);
    }

    assert_eq!(told[0], told[2]);
    assert_eq!(told[1], told[2]);
    server.stop().await;
}

#[tokio::test]
async fn distributed_guessing_does_not_lock_out_the_owner() {
    let server = start().await;
    let alice = server.member("alice").await;
    login(&server, HOME, &alice.email, &alice.password).await.ok();
    let stranger = async |number| login(&server, &machine(number), &alice.email, WRONG).await;

    assert_eq!(before_the_wait("INVALID_CREDENTIALS", stranger).await, 21);

    // In another spelling it is the same account.
    told_to_wait(&login(&server, &machine(100), "ALICE@Example.COM", WRONG).await);
    login(&server, HOME, &alice.email, WRONG).await.unknown();
    login(&server, HOME, &alice.email, &alice.password).await.ok();
    let mut socket = socket_from(&server, HOME).await;
    let frame = json!({"type": "auth", "email": alice.email, "password": alice.password});
    assert_eq!(socket.ask(&frame).await["status"], "ok");
    told_to_wait(&stranger(101).await);
    // Sessions continue, also from new addresses.
    alice.get("/users/me").await.ok();
    let refresh = json!({"refresh_token": alice.refresh_token});
    super::post_from(&server, &machine(102), "/auth/refresh", &refresh).await.ok();
    // The refresh made this address known for the account.
    login(&server, &machine(102), &alice.email, &alice.password).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn password_spraying_does_not_lock_out_account_owners() {
    let server = start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    login(&server, HOME, &alice.email, &alice.password).await.ok();
    let spray =
        async |number| login(&server, HOME, &format!("person{number}@example.com"), WRONG).await;

    assert_eq!(before_the_wait("INVALID_CREDENTIALS", spray).await, 61);

    // Accounts known at the same address may sign in, and all accounts elsewhere.
    login(&server, HOME, &alice.email, &alice.password).await.ok();
    login(&server, &machine(1), &bob.email, &bob.password).await.ok();
    told_to_wait(&spray(500).await);
    server.stop().await;
}

#[tokio::test]
async fn sockets_and_requests_share_the_counters() {
    let server = start().await;
    let alice = server.member("alice").await;
    let mut socket = socket_from(&server, HOME).await;
    let guess = json!({"type": "auth", "email": alice.email, "password": WRONG, "uid": "g"});
    let refused = |frame: &serde_json::Value| {
        let (area, code, message) = error(frame);
        assert_eq!((area, code), ("auth", "REQUESTS_EXCEEDED"), "{frame}");
        assert_eq!(frame["uid"], "g");
        message.to_owned()
    };

    for _ in 0..11 {
        assert_eq!(error(&socket.ask(&guess).await).1, "AUTH_FAILED");
    }

    assert_eq!(refused(&socket.ask(&guess).await), "Too many requests, retry after 1s.");
    // Another connection does not avoid the limit, and neither does REST.
    let mut other = socket_from(&server, HOME).await;
    refused(&other.ask(&guess).await);
    told_to_wait(&login(&server, HOME, &alice.email, &alice.password).await);
    // The connection continues with the rights of the public.
    socket.quiet().await;
    server.clock.advance(SECOND);
    let right = json!({"type": "auth", "email": alice.email, "password": alice.password});
    assert_eq!(socket.ask(&right).await["status"], "ok");
    server.stop().await;
}

#[tokio::test]
async fn handshake_auth_failures_are_reported_before_the_close() {
    let server = start_with(|config| config.websockets.auth = WebSocketAuth::Handshake).await;
    let guess = json!({"type": "auth", "email": "alice@example.com", "password": WRONG});

    for number in 0..12 {
        let mut socket = socket_from(&server, HOME).await;
        let answer = socket.ask(&guess).await;
        let expected = if number < 11 { "AUTH_FAILED" } else { "REQUESTS_EXCEEDED" };
        assert_eq!(error(&answer).1, expected, "{number}");
        socket.closed().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn concurrent_guesses_do_not_exceed_the_limit() {
    let server = start().await;
    let alice = server.member("alice").await;
    let guesses = (0..100).map(|_| login(&server, HOME, &alice.email, WRONG));

    let answers = futures_util::future::join_all(guesses).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 11);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 89);
    server.stop().await;
}

#[tokio::test]
async fn client_addresses_follow_the_trust_proxy_setting() {
    for (trust, addresses, expected) in [
        // Without a trusted proxy, a client cannot choose its address.
        (TrustProxy::None, ["192.0.2.1", "192.0.2.2", "192.0.2.3"], 11),
        (TrustProxy::Hops(1), ["192.0.2.1", "192.0.2.1", "192.0.2.1"], 11),
        (TrustProxy::Hops(1), ["192.0.2.1", "9.9.9.9, 192.0.2.1", "8.8.8.8, 192.0.2.1"], 11),
        // An IPv6 network counts as one address. Several do not, up to the limit of the account.
        (TrustProxy::Hops(1), ["2001:db8::1", "2001:db8::2", "2001:db8::3"], 11),
        (TrustProxy::Hops(1), ["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"], 21),
    ] {
        let server = start_with(|config| config.server.trust_proxy = trust.clone()).await;

        let guess =
            async |number| login(&server, addresses[number % 3], "alice@example.com", WRONG).await;
        let found = before_the_wait("INVALID_CREDENTIALS", guess).await;

        assert_eq!(found, expected, "{trust:?} {addresses:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn throttled_requests_are_refused_immediately() {
    let server = start_with(|config| config.auth.login_stall = Duration::from_hours(1)).await;
    let guesses = (0..12).map(|_| Box::pin(login(&server, HOME, "alice@example.com", WRONG)));

    let (first, _, others) = soon(futures_util::future::select_all(guesses)).await;

    // The eleven refusals that count are delayed by an hour.
    told_to_wait(&first);
    drop(others);
    server.stop().await;
}

#[tokio::test]
async fn password_confirmation_shares_the_sign_in_throttle() {
    let server = start().await;
    let alice = server.member("alice").await;
    for path in ["/users/me/tfa/generate", "/users/me/tfa/recovery-codes"] {
        let guess = async |_| {
            let request = alice.request("POST", path).header("x-forwarded-for", machine(7));
            crate::support::Answer::to(request.json(&json!({"password": WRONG}))).await
        };
        let found = before_the_wait("INVALID_CREDENTIALS", guess).await;
        // The counters are shared with the sign-in.
        assert_eq!(found, if path.ends_with("generate") { 11 } else { 0 }, "{path}");
    }
    told_to_wait(&login(&server, &machine(7), &alice.email, WRONG).await);
    server.stop().await;
}

#[tokio::test]
async fn the_throttle_can_be_switched_off() {
    let server = start_with(|config| config.auth.throttle = false).await;
    let mut socket = Socket::connect(&server).await;

    for _ in 0..100 {
        login(&server, HOME, "alice@example.com", WRONG).await.unknown();
        let guess = json!({"type": "auth", "email": "alice@example.com", "password": WRONG});
        assert_eq!(error(&socket.ask(&guess).await).1, "AUTH_FAILED");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_restart_resets_the_failure_counters() {
    let server = start().await;
    let guess = async |server: &TestServer| login(server, HOME, "a@example.com", WRONG).await;
    for _ in 0..11 {
        guess(&server).await.unknown();
    }
    told_to_wait(&guess(&server).await);

    let server = server.restart().await;

    guess(&server).await.unknown();
    server.stop().await;
}
