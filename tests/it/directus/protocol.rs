//! RFC 6455 on the wire: fragments, control frames, and protocol errors.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::masked;
use crate::support::{RawSocket, Socket, TestServer};

const PING: &[u8] = br#"{"type":"ping"}"#;
const PONG: &[u8] = br#"{"type":"pong"}"#;

#[tokio::test]
async fn a_protocol_violation_closes_with_its_code() {
    let server = TestServer::start().await;
    let mut bystander = Socket::connect(&server).await;
    let unmasked = [&[0x81, 15], PING].concat();

    for (what, bytes, code) in [
        ("an unmasked frame", unmasked, 1002),
        ("a reserved opcode", masked(0x83, PING), 1002),
        ("a reserved bit", masked(0xc1, PING), 1002),
        ("a continuation without a start", masked(0x80, PING), 1002),
        ("a fragmented ping", masked(0x09, b""), 1002),
        ("a long ping", masked(0x89, &[b'x'; 126]), 1002),
        ("a close with half a code", masked(0x88, b"x"), 1002),
        ("text that is not UTF-8", masked(0x81, b"\"\xff\xfe\""), 1007),
        (
            "text that ends within a character",
            masked(0x81, "é".as_bytes().split_last().unwrap().1),
            1007,
        ),
        (
            "an endless frame",
            vec![0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4],
            1009,
        ),
    ] {
        let mut socket = RawSocket::connect(&server).await;
        socket.send(&bytes).await;
        assert_eq!(socket.close_code().await, Some(code), "{what}");
        assert!(socket.frame().await.is_none(), "{what}");
    }
    bystander.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn fragments_form_one_message() {
    let server = TestServer::start().await;
    let mut socket = RawSocket::connect(&server).await;

    socket.send(&masked(0x01, &PING[..4])).await;
    // Control frames may come between fragments.
    socket.send(&masked(0x89, b"between")).await;
    assert_eq!(socket.frame().await, Some((0x8a, b"between".to_vec())));
    socket.send(&masked(0x00, &PING[4..9])).await;
    socket.send(&masked(0x00, b"")).await;
    socket.send(&masked(0x80, &PING[9..])).await;

    assert_eq!(socket.frame().await, Some((0x81, PONG.to_vec())));
    server.stop().await;
}

#[tokio::test]
async fn a_frame_may_arrive_byte_by_byte() {
    let server = TestServer::start().await;
    let mut socket = RawSocket::connect(&server).await;

    for byte in masked(0x81, PING) {
        socket.send(&[byte]).await;
    }

    assert_eq!(socket.frame().await, Some((0x81, PONG.to_vec())));
    server.stop().await;
}

#[tokio::test]
async fn binary_frames_get_text_responses() {
    let server = TestServer::start().await;
    let mut socket = Socket::connect(&server).await;

    socket.send_message(Message::binary(PING)).await;
    socket.expect(&json!({"type": "pong"})).await;
    socket.send_message(Message::binary(&b"\xff\xfe"[..])).await;

    assert_eq!(socket.next().await["error"]["code"], "INVALID_PAYLOAD");
    server.stop().await;
}

#[tokio::test]
async fn pings_are_answered_and_closes_are_echoed() {
    let server = TestServer::start().await;
    let mut socket = RawSocket::connect(&server).await;

    socket.send(&masked(0x89, b"hi")).await;
    assert_eq!(socket.frame().await, Some((0x8a, b"hi".to_vec())));
    socket.send(&masked(0x8a, b"unasked")).await;
    socket.send(&masked(0x88, &[0x03, 0xe8, b'b', b'y', b'e'])).await;

    assert_eq!(socket.close_code().await, Some(1000));
    assert!(socket.frame().await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_restart_closes_connections_with_1012() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let before = alice.say("before the restart").await;

    let server = server.restart().await;

    assert_eq!(socket.closed().await, Some(1012));
    // With the same database and secret the token stays valid.
    let mut socket = Socket::signed_in(&server, &alice).await;
    assert_eq!(socket.say("after the restart").await, before + 1);
    server.stop().await;
}
