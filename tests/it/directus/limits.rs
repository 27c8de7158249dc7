//! What one connection may take up: subscriptions, unsent bytes, the size of a frame.

use serde_json::json;

use crate::support::RawSocket;
use crate::support::Socket;
use crate::support::TestServer;
use crate::support::error;

#[tokio::test]
async fn a_connection_has_a_bounded_number_of_subscriptions() {
    let server = TestServer::with(|config| config.websockets.subscriptions_max = 3).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    for uid in ["a", "b", "c", "c"] {
        assert_eq!(socket.subscribe(uid, json!({"event": "create"})).await["event"], "init");
    }
    let refused = socket.subscribe("d", json!({"event": "create"})).await;
    assert_eq!((error(&refused).1, &refused["uid"]), ("LIMIT_EXCEEDED", &json!("d")));
    socket.ask(&json!({"type": "unsubscribe", "uid": "a"})).await;

    assert_eq!(socket.subscribe("d", json!({"event": "create"})).await["event"], "init");
    server.stop().await;
}

#[tokio::test]
async fn who_reads_too_slowly_is_closed_and_nobody_else_waits() {
    const MESSAGES: usize = 160;
    let server = TestServer::with(|config| config.websockets.outbox_bytes_max = 256 * 1024).await;
    let alice = server.member("alice").await;
    let auth = json!({"type": "auth", "access_token": alice.token});
    let subscribe =
        json!({"type": "subscribe", "collection": "messages", "event": "create", "uid": "s"});
    let mut slow = RawSocket::connect(&server).await;
    slow.send_json(&auth).await;
    slow.send_json(&subscribe).await;
    // It has heard both answers, and reads nothing from here on.
    for _ in 0..2 {
        assert_eq!(slow.frame().await.unwrap().0, 0x81);
    }
    let mut quick = Socket::signed_in(&server, &alice).await;
    quick.subscribe("s", json!({"event": "create"})).await;

    // More than all buffers of the system between the two hold.
    let content = "x".repeat(60_000);
    for number in 0..MESSAGES {
        alice.say(&content).await;
        let frame = quick.next().await;
        assert_eq!(frame["data"][0]["id"], number + 1);
    }

    let mut heard = 0;
    let code = loop {
        match slow.frame().await {
            Some((0x81, payload)) => {
                let frame: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                heard += 1;
                assert_eq!(frame["data"][0]["id"], heard);
            }
            Some((0x88, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1013);
    assert!(heard < MESSAGES);
    quick.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_ends_its_connection_alone() {
    let server = TestServer::with(|config| config.websockets.frame_bytes_max = 64 * 1024).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let mut other = Socket::signed_in(&server, &alice).await;
    let frame = |bytes: usize| {
        let around = json!({"type": "ping", "uid": "u", "x": ""}).to_string().len();
        json!({"type": "ping", "uid": "u", "x": "x".repeat(bytes - around)})
    };

    assert_eq!(socket.ask(&frame(64 * 1024)).await, json!({"type": "pong", "uid": "u"}));
    socket.send(&frame(64 * 1024 + 1)).await;

    assert_eq!(socket.closed().await, Some(1009));
    other.quiet().await;
    server.stop().await;
}
