//! Connection limits in time and memory: request heads, pauses between requests, and connections
//! per address; and sockets that stay open, with or without writer threads.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::masked;
use crate::support::soon;
use crate::support::{RawSocket, Socket, TestServer};

/// Longer than any delay in these tests, shorter than the timeouts under test.
const SHORT: Duration = Duration::from_secs(2);
const PING: &[u8] = b"GET /server/ping HTTP/1.1\r\nhost: a\r\n\r\n";

async fn connect(server: &TestServer) -> TcpStream {
    soon(TcpStream::connect(server.address)).await.unwrap()
}

/// Requests a ping on a keep-alive connection.
async fn ask(stream: &mut TcpStream) {
    stream.write_all(PING).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"pong") {
        answer.push(soon(stream.read_u8()).await.unwrap());
    }
}

/// Waits for the end of a connection and returns the remaining bytes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // Closing with unread bytes may reset the connection.
    let _ = soon(stream.read_to_end(&mut rest)).await;
    String::from_utf8(rest).unwrap()
}

/// Sends an endless head, one byte at a time, until the connection ends.
async fn drip(stream: TcpStream) {
    let (mut read, mut write) = stream.into_split();
    let dripping = async {
        for byte in b"GET /server/ping HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'a')) {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(SHORT / 20).await;
        }
    };
    let ended = async { while let Ok(1..) = read.read(&mut [0; 64]).await {} };
    tokio::select! {
        () = dripping => {}
        () = soon(ended) => {}
    }
}

#[tokio::test]
async fn request_heads_have_a_timeout() {
    let server = TestServer::with(|config| config.server.header_timeout = SHORT).await;

    drip(connect(&server).await).await;
    let mut second = connect(&server).await;
    ask(&mut second).await;
    drip(second).await;

    server.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed_after_the_timeout() {
    let server = TestServer::with(|config| config.server.keep_alive_timeout = SHORT).await;
    let mut stream = connect(&server).await;

    for _ in 0..3 {
        ask(&mut stream).await;
    }

    assert_eq!(rest(&mut stream).await, "");
    server.stop().await;
}

#[tokio::test]
async fn http_timeouts_do_not_apply_to_websockets() {
    let server = TestServer::with(|config| {
        config.server.header_timeout = SHORT;
        config.server.keep_alive_timeout = SHORT;
    })
    .await;
    let mut socket = Socket::connect(&server).await;

    tokio::time::sleep(SHORT + SHORT / 2).await;

    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn connections_are_limited_per_address() {
    let server =
        TestServer::with(|config| config.server.connections_per_address_max = Some(2)).await;
    let (mut one, mut two) = (connect(&server).await, connect(&server).await);
    ask(&mut one).await;
    ask(&mut two).await;

    let mut three = connect(&server).await;

    assert!(rest(&mut three).await.starts_with("HTTP/1.1 429 "));
    ask(&mut one).await;
    drop((one, two));
    server.stop().await;
}

#[tokio::test]
async fn websockets_behind_a_proxy_are_limited_per_address() {
    let server = TestServer::with(|config| {
        config.server.connections_per_address_max = Some(2);
        config.server.trust_proxy = chinwag::config::TrustProxy::Hops(1);
    })
    .await;
    let from = |address: &'static str| {
        let mut request = Socket::request(&server, "");
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        Socket::open(request)
    };

    let one = from("192.0.2.1").await.unwrap();
    let _two = from("192.0.2.1").await.unwrap();
    assert_eq!(from("192.0.2.1").await.err(), Some(429));
    let _other = from("192.0.2.2").await.unwrap();
    drop(one);
    // Until the server has noticed the end of the connection.
    let again = async { while from("192.0.2.1").await.is_err() {} };

    soon(Box::pin(again)).await;
    server.stop().await;
}

#[tokio::test]
async fn websockets_have_at_least_one_writer_thread() {
    let server = TestServer::with(|config| config.websockets.writer_threads = Some(0)).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    for content in ["one", "two", "three"] {
        alice.say(content).await;
        socket.expect_event("create", content).await;
    }

    server.stop().await;
}

#[tokio::test]
async fn responses_keep_their_order_with_one_pending_request() {
    let server = TestServer::with(|config| config.websockets.pending_max = 1).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    for uid in 0..200 {
        let read = json!({"type": "items", "collection": "messages", "action": "read", "uid": uid});
        socket.send(&read).await;
    }

    for uid in 0..200 {
        assert_eq!(socket.next().await["uid"], uid);
    }
    server.stop().await;
}

#[tokio::test]
async fn protocol_pings_replace_a_disabled_heartbeat() {
    let server = TestServer::with(|config| {
        config.websockets.heartbeat = false;
        config.websockets.heartbeat_period = SHORT;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    for _ in 0..3 {
        assert!(matches!(socket.message().await, Some(Message::Ping(_))));
    }
    socket.quiet().await;

    server.stop().await;
}

#[tokio::test]
async fn large_frames_are_refused_before_sign_in() {
    let server = TestServer::with(|config| {
        config.websockets.auth = chinwag::config::WebSocketAuth::Handshake;
        config.websockets.handshake_bytes_max = 4096;
    })
    .await;
    let alice = server.member("alice").await;
    let large = masked(0x81, &[b' '; 8000]);
    let pieces = [masked(0x01, &[b' '; 3000]), masked(0x00, &[b' '; 3000])].concat();

    // The frame is refused at its head, before the rest is sent.
    for beginning in [&large[..10], &pieces[..3020]] {
        let mut socket = RawSocket::connect(&server).await;
        socket.send(beginning).await;
        assert_eq!(socket.close_code().await, Some(1009));
    }

    let mut socket = RawSocket::connect(&server).await;
    socket.send_json(&json!({"type": "auth", "access_token": alice.token})).await;
    assert_eq!(socket.frame().await.unwrap().0, 0x81);
    let frame = format!("{}{}", r#"{"type":"ping"}"#, " ".repeat(8000));
    socket.send(&masked(0x81, frame.as_bytes())).await;
    assert_eq!(socket.frame().await.unwrap(), (0x81, br#"{"type":"pong"}"#.to_vec()));
    server.stop().await;
}
