//! Heartbeats: which connections get pings, which activity counts, and the timeout.

use std::time::Duration;

use chinwag::config::Config;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::masked;
use crate::support::{RawSocket, Socket, TestServer};

const PERIOD: Duration = Duration::from_millis(400);

fn quick(config: &mut Config) {
    config.websockets.heartbeat_period = PERIOD;
}

#[tokio::test]
async fn a_responsive_client_is_pinged_again() {
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
async fn a_client_that_ignores_a_ping_is_disconnected() {
    let server = TestServer::with(quick).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    socket.expect(&json!({"type": "ping"})).await;

    assert_eq!(socket.closed().await, None);
    server.stop().await;
}

#[tokio::test]
async fn anonymous_connections_get_protocol_pings() {
    let server = TestServer::with(quick).await;
    let mut socket = Socket::connect(&server).await;

    // The client library answers pings automatically, as browsers do.
    for _ in 0..3 {
        assert!(matches!(socket.message().await, Some(Message::Ping(_))));
    }

    socket.quiet().await;
    server.stop().await;
}

/// A heartbeat that is long compared to delays, and short compared to the transfer of the bytes.
const LONG: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_slowly_sent_message_counts_as_activity() {
    let server = TestServer::with(|config| config.websockets.heartbeat_period = LONG).await;
    let mut socket = RawSocket::connect(&server).await;
    let frame = json!({"type": "ping", "filling": "x".repeat(5000)}).to_string();
    let bytes = masked(0x81, frame.as_bytes());

    // Three heartbeats long.
    for part in bytes.chunks(bytes.len() / 60) {
        socket.send(part).await;
        tokio::time::sleep(LONG / 20).await;
    }

    loop {
        match socket.frame().await.expect("the connection stays open") {
            (0x89, _) => {}
            (0x81, payload) => break assert!(payload.starts_with(br#"{"type":"pong""#)),
            other => panic!("{other:?}"),
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn slow_reading_counts_as_activity() {
    let server = TestServer::with(|config| config.websockets.heartbeat_period = LONG).await;
    let alice = server.member("alice").await;
    let mut socket = RawSocket::connect(&server).await;
    socket.send_json(&json!({"type": "auth", "access_token": alice.token})).await;
    assert_eq!(socket.frame().await.unwrap().0, 0x81);
    let content = "x".repeat(60_000);
    for _ in 0..4 {
        alice.say(&content).await;
    }

    // More than the socket buffers of both ends hold, read during three heartbeats without a pong.
    for _ in 0..30 {
        let read = json!({"type": "items", "collection": "messages", "action": "read"});
        socket.send_json(&read).await;
    }
    let mut frames = 0;
    while frames < 30 {
        match socket.frame().await.expect("the connection stays open") {
            (0x81, payload) if payload.len() > 200_000 => frames += 1,
            (0x81 | 0x89, _) => {}
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(LONG / 10).await;
    }

    server.stop().await;
}

#[tokio::test]
async fn a_client_that_stalls_within_a_frame_is_disconnected() {
    let server = TestServer::with(quick).await;
    let mut socket = RawSocket::connect(&server).await;

    // Half a frame, followed by silence.
    socket.send(&masked(0x81, &[b'x'; 100])[..50]).await;

    loop {
        match socket.frame().await {
            Some((0x89, _)) => {}
            Some((0x88, _)) => break,
            other => panic!("{other:?}"),
        }
    }
    server.stop().await;
}
