//! Rates of requests and messages, independent of their kind.

use std::num::NonZeroU32;
use std::time::Duration;

use chinwag::config::{LimitsConfig, RateLimit};
use serde_json::json;

use crate::support::{Answer, Socket, TestServer};
use crate::throttle::HOME;
use crate::throttle::before_the_wait;
use crate::throttle::machine;
use crate::throttle::post_from;
use crate::throttle::socket_from;
use crate::throttle::start_with;
use crate::throttle::told_to_wait;

#[expect(clippy::unnecessary_wraps, reason = "as the settings have it")]
fn quota(points: u32, seconds: u64) -> Option<RateLimit> {
    let points = NonZeroU32::new(points).unwrap();
    Some(RateLimit { points, duration: Duration::from_secs(seconds) })
}

async fn limited(bend: impl FnOnce(&mut LimitsConfig)) -> TestServer {
    start_with(|config| bend(&mut config.limits)).await
}

async fn ping(server: &TestServer, from: &str) -> Answer {
    let request = server.anonymous().request("GET", "/server/ping");
    Answer::to(request.header("x-forwarded-for", from)).await
}

#[tokio::test]
async fn server_info_reports_rates_to_signed_in_clients() {
    for (per_address, global, told) in [
        (quota(50, 2), None, json!([{"points": 50, "duration": 2}, false])),
        (None, quota(9, 60), json!([false, {"points": 9, "duration": 60}])),
    ] {
        let server = limited(|limits| {
            (limits.per_address, limits.global) = (per_address, global);
        })
        .await;
        let info = server.admin().await.get("/server/info").await.ok();
        assert_eq!(json!([info["rateLimit"], info["rateLimitGlobal"]]), told);
        let public = server.anonymous().get("/server/info").await.ok();
        assert_eq!(public.get("rateLimit"), None);
        server.stop().await;
    }
}

#[tokio::test]
async fn requests_per_address_are_limited_with_exact_retry_after() {
    let server = limited(|limits| limits.per_address = quota(5, 10)).await;
    for _ in 0..5 {
        assert_eq!(ping(&server, HOME).await.status, 200);
    }

    let refused = ping(&server, HOME).await;
    assert_eq!(told_to_wait(&refused), Duration::from_secs(2));
    assert_eq!(refused.body["errors"][0]["extensions"]["limit"], 5);
    assert_eq!(refused.header("x-content-type-options"), "nosniff");
    // Any request has to wait.
    told_to_wait(&post_from(&server, HOME, "/items/messages", &json!({"content": "x"})).await);
    told_to_wait(&post_from(&server, HOME, "/nowhere", &json!({})).await);
    assert_eq!(ping(&server, &machine(1)).await.status, 200);

    server.clock.advance(Duration::from_millis(1999));
    told_to_wait(&ping(&server, HOME).await);
    server.clock.advance(Duration::from_millis(1));
    assert_eq!(ping(&server, HOME).await.status, 200);
    told_to_wait(&ping(&server, HOME).await);
    server.stop().await;
}

#[tokio::test]
async fn sockets_do_not_count_against_the_request_rate() {
    let server = limited(|limits| limits.per_address = quota(1, 60)).await;

    for _ in 0..10 {
        socket_from(&server, HOME).await.quiet().await;
    }
    assert_eq!(ping(&server, HOME).await.status, 200);
    told_to_wait(&ping(&server, HOME).await);
    server.stop().await;
}

#[tokio::test]
async fn the_global_request_rate_is_limited() {
    let server = limited(|limits| limits.global = quota(5, 10)).await;

    let mut statuses = Vec::new();
    for number in 0..6 {
        statuses.push(ping(&server, &machine(number)).await.status);
    }

    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    server.stop().await;
}

#[tokio::test]
async fn refused_registrations_count_against_the_rate() {
    let server = limited(|limits| limits.registration = quota(3, 60)).await;
    let body = json!({"email": "new@example.com", "password": "correct horse battery"});
    let register = async |from: &str| post_from(&server, from, "/users/register", &body).await;

    assert_eq!(before_the_wait("FORBIDDEN", async |_| register(HOME).await).await, 3);

    register(&machine(1)).await.refused(403, "FORBIDDEN");
    assert_eq!(ping(&server, HOME).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn the_rates_can_be_switched_off() {
    let server = start_with(|config| {
        config.limits.per_address = None;
        config.websockets.messages_per_second = 1;
        config.websockets.user_messages_per_second = 1;
    })
    .await;
    for _ in 0..1100 {
        assert_eq!(ping(&server, HOME).await.status, 200);
    }
    let mut socket = Socket::connect(&server).await;
    for uid in 0..20 {
        socket.send(&json!({"type": "ping", "uid": uid})).await;
        socket.expect(&json!({"type": "pong", "uid": uid})).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_ordinary_front_end_stays_within_the_limits() {
    let server = start_with(|_| {}).await;
    let alice = server.member("alice").await;

    // The clock is stopped: all requests arrive in the same instant.
    for _ in 0..200 {
        let request = alice.request("GET", "/items/messages").header("x-forwarded-for", HOME);
        Answer::to(request).await.ok();
    }
    server.stop().await;
}
