//! Signs of life: who is asked for one, what counts as one, and what happens without.

use std::time::Duration;

use chinwag::config::Config;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::Socket;
use crate::support::TestServer;

const PERIOD: Duration = Duration::from_millis(400);

fn quick(config: &mut Config) {
    config.websockets.heartbeat_period = PERIOD;
}

#[tokio::test]
async fn who_answers_is_asked_again() {
    let server = TestServer::with(quick).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    for answer in [json!({"type": "pong"}), json!({"type": "unknown"}), json!({"type": "pong"})] {
        socket.expect(&json!({"type": "ping"})).await;
        socket.send(&answer).await;
    }

    socket.expect(&json!({"type": "ping"})).await;
    server.stop().await;
}

#[tokio::test]
async fn who_says_nothing_for_a_period_is_gone() {
    let server = TestServer::with(quick).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    socket.expect(&json!({"type": "ping"})).await;

    assert_eq!(socket.closed().await, None);
    server.stop().await;
}

#[tokio::test]
async fn who_has_not_signed_in_is_asked_without_the_page_knowing() {
    let server = TestServer::with(quick).await;
    let mut socket = Socket::connect(&server).await;

    // The codec of the client answers by itself, as browsers do.
    for _ in 0..3 {
        assert!(matches!(socket.message().await, Some(Message::Ping(_))));
    }

    socket.quiet().await;
    server.stop().await;
}
