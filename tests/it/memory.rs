//! Memory limits: bytes buffered per account or address, in each direction. Other clients are not
//! refused because of them.

use std::net::SocketAddr;
use std::time::Duration;

use chinwag::domain::memory::VISITORS_SHARE;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::masked;
use crate::support::soon;
use crate::support::{Answer, Client, Permission, RawSocket, TestServer};

/// The memory quota of anonymous clients of one address.
const SHARE: usize = 1 << 20;
/// A large part of the quota: two do not fit, but one fits while its buffer grows.
const LARGE: usize = SHARE / 2 - SHARE / 16;

async fn server() -> TestServer {
    TestServer::with(|config| config.server.answers_bytes_max = VISITORS_SHARE * SHARE).await
}

async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    soon(socket.connect(address)).await.unwrap()
}

/// Returns a request with a body shorter than its content length.
fn unfinished(from: &str) -> Vec<u8> {
    let head = format!(
        "POST /auth/login HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {from}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        LARGE + 100
    );
    [head.as_bytes(), &vec![b' '; LARGE]].concat()
}

/// Reads the head of a response.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn is_refused(head: &str) -> bool {
    head.starts_with("HTTP/1.1 429 ") && head.contains("retry-after: 1\r\n")
}

/// Repeats a request until it is not refused for its memory.
async fn until_there_is_room(ask: impl AsyncFn() -> Answer) -> Answer {
    loop {
        let answer = soon(ask()).await;
        if answer.status != 429 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn unfinished_bodies_use_only_the_quota_of_their_address() {
    let server = TestServer::with(|config| {
        config.server.answers_bytes_max = VISITORS_SHARE * SHARE;
        config.server.trust_proxy = chinwag::config::TrustProxy::Hops(1);
    })
    .await;
    let alice = server.member("alice").await;
    let mut first = connect(server.address).await;
    first.write_all(&unfinished("192.0.2.1")).await.unwrap();
    // Until all of it is buffered.
    let other = connect(server.address).await;
    let mut other = until_refused(other, "192.0.2.1").await;

    let mut text = String::new();
    let length = "content-length: ".len();
    let answered = head(&mut other).await;
    assert!(is_refused(&answered), "{answered}");
    let at = answered.find("content-length: ").unwrap() + length;
    let bytes = answered[at..].split("\r\n").next().unwrap().parse().unwrap();
    soon((&mut other).take(bytes).read_to_string(&mut text)).await.unwrap();
    assert!(text.contains("\"code\":\"LIMIT_EXCEEDED\""), "{text}");

    // Another address, or an account, has its own quota.
    let mut elsewhere = connect(server.address).await;
    let body = b"POST /auth/login HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.2\r\n\
                 content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    elsewhere.write_all(body).await.unwrap();
    assert!(head(&mut elsewhere).await.starts_with("HTTP/1.1 400 "));
    alice.say("still here").await;

    drop((first, other));
    server.stop().await;
}

/// Sends unfinished requests until one is refused.
async fn until_refused(mut stream: TcpStream, from: &str) -> TcpStream {
    soon(async {
        loop {
            let mut byte = [0];
            let sent = async {
                let _ = stream.write_all(&unfinished(from)).await;
                stream.peek(&mut byte).await.unwrap();
            };
            if tokio::time::timeout(Duration::from_secs(2), sent).await.is_ok() {
                return stream;
            }
            stream = connect(stream.peer_addr().unwrap()).await;
        }
    })
    .await
}

#[tokio::test]
async fn json_with_too_many_values_is_refused() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let post = async |client: &Client, body: String| {
        let request = client.request("POST", "/items/messages");
        Answer::to(request.header("content-type", "application/json").body(body)).await
    };

    let lists = format!("[{}[0]]", "[0],".repeat(249_000));
    for client in [&server.anonymous(), &*alice] {
        let refused = post(client, lists.clone()).await;
        refused.refused(403, "LIMIT_EXCEEDED");
        assert!(refused.message().contains("send fewer items at a time"), "{}", refused.text);
    }
    // The largest list that one request may create is accepted, and so is one long text.
    let items = vec![json!({"content": "hello"}); 1000];
    alice.post("/items/messages?fields=id", &json!(items)).await.ok();
    let text = json!({"content": "[{,:".repeat(16_000)});
    alice.post("/items/messages?fields=id", &text).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn query_parsing_counts_towards_the_memory_quota() {
    // The address of the request fits, the JSON of its query does not.
    let bytes_max = VISITORS_SHARE * SHARE / 16;
    let server = TestServer::with(|config| config.server.answers_bytes_max = bytes_max).await;

    let long = format!("/items/messages?filter=[{}0]", "[0],".repeat(7000));
    server.anonymous().get(&long).await.refused(429, "LIMIT_EXCEEDED");
    assert_eq!(server.anonymous().get("/server/ping").await.text, "pong");
    server.stop().await;
}

#[tokio::test]
async fn unfinished_heads_use_the_quota_until_disconnect() {
    let server = TestServer::with(|config| config.server.answers_bytes_max = 4 * SHARE).await;
    let half = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(50_000));
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(server.address).await;
        // The refusal may arrive before everything is sent.
        let _ = soon(stream.write_all(half.as_bytes())).await;
        streams.push(stream);
    }
    let mut last = streams.pop().unwrap();

    // Closing with unread bytes may reset the connection after the response.
    let mut refused = Vec::new();
    while let Ok(1..) = soon(last.read_buf(&mut refused)).await {}
    assert!(refused.starts_with(b"HTTP/1.1 429 "), "{}", String::from_utf8_lossy(&refused));
    // A head of usual size is not counted.
    assert_eq!(server.anonymous().get("/server/ping").await.text, "pong");
    drop(streams);

    let mut again = connect(server.address).await;
    let whole = format!("{half}\r\nconnection: close\r\n\r\n");
    soon(again.write_all(whole.as_bytes())).await.unwrap();
    assert!(head(&mut again).await.starts_with("HTTP/1.1 431 "));
    server.stop().await;
}

#[tokio::test]
async fn unfinished_messages_over_the_quota_close_the_connection() {
    for path in ["/websocket", "/_ws"] {
        let server = server().await;
        let alice = server.member("alice").await;
        let whole = masked(0x81, &vec![b' '; SHARE / 2 + SHARE / 8]);
        let in_pieces =
            [masked(0x01, &vec![b' '; LARGE / 4]), masked(0x00, &vec![b' '; LARGE / 4])];
        for unfinished in [&whole[..whole.len() - 10], &in_pieces.concat()[..]] {
            let mut first = RawSocket::connect_to(&server, path).await;
            first.send(unfinished).await;
            let mut second = RawSocket::connect_to(&server, path).await;
            second.try_send(unfinished).await;
            // One of them is closed: the one that was read last.
            let (code, reason) = tokio::select! {
                told = closed(&mut first) => told,
                told = closed(&mut second) => told,
            };
            assert_eq!((code, reason.as_str()), (1013, "sending too much at once"), "{path}");
            drop((first, second));
            // The memory is released once the server has noticed the end of the connections.
            let mut third = RawSocket::connect_to(&server, path).await;
            third.send(&masked(0x81, b"ping")).await;
        }
        alice.say("still here").await;
        server.stop().await;
    }
}

/// Waits for a close frame.
async fn closed(socket: &mut RawSocket) -> (u16, String) {
    loop {
        match socket.frame().await {
            Some((0x88, payload)) => {
                let (code, reason) = payload.split_first_chunk().unwrap();
                return (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).unwrap());
            }
            Some(_) => {}
            None => panic!("a close frame was expected"),
        }
    }
}

#[tokio::test]
async fn messages_with_too_many_values_get_an_error() {
    let server = server().await;
    let frame = format!(r#"{{"type":"ping","more":[{}0]}}"#, "[0],".repeat(3000));
    let mut socket = RawSocket::connect(&server).await;

    socket.send(&masked(0x81, frame.as_bytes())).await;
    let (_, told) = socket.frame().await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains(r#""code":"LIMIT_EXCEEDED""#), "{told}");
    socket.send_json(&json!({"type": "ping"})).await;

    assert_eq!(socket.frame().await.unwrap(), (0x81, br#"{"type":"pong"}"#.to_vec()));
    server.stop().await;
}

#[tokio::test]
async fn responses_use_the_quota_until_the_client_reads_them() {
    let server = server().await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let alice = server.member("alice").await;
    for _ in 0..3 {
        let message = json!({"content": "x".repeat(10_000)});
        alice.post("/items/messages?fields=id", &json!(vec![message; 30])).await.ok();
    }
    let visitor = server.anonymous();
    let list = |limit| format!("/items/messages?fields=content&sort=id&limit={limit}");

    // One list exceeds the whole quota, and so do several smaller ones, as the socket buffers do
    // not hold them.
    visitor.get(&list(90)).await.refused(429, "LIMIT_EXCEEDED");
    let mut held = Vec::new();
    let refused = loop {
        let mut stream = connect(server.address).await;
        let ask = format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", list(30));
        soon(stream.write_all(ask.as_bytes())).await.unwrap();
        let answered = head(&mut stream).await;
        if !answered.starts_with("HTTP/1.1 200 ") {
            break answered;
        }
        held.push(stream);
        assert!(held.len() < 10, "unread responses did not exceed the quota");
    };
    assert!(is_refused(&refused), "{refused}");
    assert!(!held.is_empty());
    alice.get(&list(90)).await.ok();

    drop(held);
    until_there_is_room(async || visitor.get(&list(30)).await).await.ok();
    server.stop().await;
}
