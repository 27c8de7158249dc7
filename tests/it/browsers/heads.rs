//! Limits of the request head: a longer one is refused, with an error body where possible, and the
//! service continues.

use serde_json::Value as Json;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::TestServer;
use crate::support::soon;

/// Largest head that the server buffers, independent of the settings.
const HEAD_MAX: usize = 160 << 10;

/// Sends bytes and returns status and body of the response.
async fn send(server: &TestServer, head: &str) -> (u16, String) {
    let mut stream = soon(TcpStream::connect(server.address)).await.unwrap();
    soon(stream.write_all(head.as_bytes())).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Returns a complete request with this target and these headers.
fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n")
}

fn code(body: &str) -> Json {
    let body: Json = serde_json::from_str(body).unwrap_or_default();
    body["errors"][0]["extensions"]["code"].clone()
}

/// Returns a valid target of `bytes` bytes.
fn address(bytes: usize) -> String {
    let address = "/server/ping?x=";
    format!("{address}{}", "x".repeat(bytes - address.len()))
}

#[tokio::test]
async fn the_url_length_is_limited() {
    let server = TestServer::start().await;
    let max = 32 << 10;

    assert_eq!(send(&server, &get(&address(max), "")).await, (200, "pong".to_owned()));
    let (status, body) = send(&server, &get(&address(max + 1), "")).await;
    assert_eq!((status, code(&body)), (414, json!("URI_TOO_LONG")));
    let socket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                  sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = format!("/websocket?{}", "x".repeat(max));
    assert_eq!(send(&server, &get(&upgrade, socket)).await.0, 414);
    // Longer than any setting allows: refused before it is parsed.
    assert_eq!(send(&server, &get(&address(70 << 10), "")).await.0, 414);
    assert_eq!(server.anonymous().get("/server/ping").await.text, "pong");
    server.stop().await;
}

#[tokio::test]
async fn the_header_size_and_count_are_limited() {
    let server = TestServer::start().await;
    let max = 32 << 10;
    // The size of the other headers: two names, two values.
    let others = "host".len() + 1 + "connection".len() + "close".len();
    let one = |bytes: usize| format!("cookie: {}\r\n", "x".repeat(bytes - "cookie".len()));
    let many = |count: usize| "x-some: y\r\n".repeat(count);

    let ping = |headers: &str| get("/server/ping", headers);
    assert_eq!(send(&server, &ping(&one(max - others))).await, (200, "pong".to_owned()));
    let (status, body) = send(&server, &ping(&one(max - others + 1))).await;
    assert_eq!((status, code(&body)), (431, json!("HEADERS_TOO_LARGE")));
    // 100 headers are accepted, including the two of each request in this test.
    assert_eq!(send(&server, &ping(&many(98))).await.0, 200);
    assert_eq!(send(&server, &ping(&many(99))).await.0, 431);
    // The server does not wait for the end of a line that exceeds the limit.
    let endless = format!("GET / HTTP/1.1\r\ncookie: {}", "x".repeat(HEAD_MAX));
    assert_eq!(send(&server, &endless[..HEAD_MAX]).await.0, 431);
    assert_eq!(server.anonymous().get("/server/ping").await.text, "pong");
    server.stop().await;
}

#[tokio::test]
async fn url_and_header_limits_are_configurable() {
    let server = TestServer::with(|config| {
        config.server.url_bytes_max = 1 << 16;
        config.server.headers_bytes_max = 1 << 16;
    })
    .await;
    let cookie = format!("cookie: {}\r\n", "x".repeat(60 << 10));

    assert_eq!(send(&server, &get(&address(60 << 10), &cookie)).await.0, 200);
    server.stop().await;

    let server = TestServer::with(|config| {
        config.server.url_bytes_max = 1 << 10;
        config.server.headers_bytes_max = 1 << 10;
    })
    .await;
    assert_eq!(send(&server, &get(&address(1025), "")).await.0, 414);
    let cookie = format!("cookie: {}\r\n", "x".repeat(1 << 10));
    assert_eq!(send(&server, &get("/server/ping", &cookie)).await.0, 431);
    server.stop().await;
}

#[tokio::test]
async fn missing_repeated_and_invalid_hosts_are_refused() {
    let server = TestServer::start().await;
    let ping = |version: &str, hosts: &str| {
        format!("GET /server/ping HTTP/{version}\r\nconnection: close\r\n{hosts}\r\n")
    };

    for (version, hosts, status) in [
        ("1.1", "host: a\r\n", 200),
        ("1.1", "Host: chat.example:8055\r\n", 200),
        ("1.1", "host: [::1]:8055\r\n", 200),
        ("1.0", "", 200),
        ("1.0", "host: a\r\n", 200),
        ("1.1", "", 400),
        ("1.1", "host:\r\n", 400),
        ("1.1", "host: a\r\nhost: a\r\n", 400),
        ("1.1", "host: a\r\nhost: b\r\n", 400),
        ("1.0", "host: a\r\nhost: b\r\n", 400),
        ("1.1", "host: a b\r\n", 400),
        ("1.1", "host: a/b\r\n", 400),
        ("1.1", "host: http://a\r\n", 400),
        ("1.1", "host: user@a\r\n", 400),
        ("1.1", "host: a:port\r\n", 400),
        ("1.1", "host: \u{e4}\r\n", 400),
    ] {
        let (found, body) = send(&server, &ping(version, hosts)).await;
        assert_eq!(found, status, "{version} {hosts:?}: {body}");
        if status == 400 {
            assert_eq!(code(&body), json!("INVALID_PAYLOAD"), "{hosts:?}");
            assert!(body.contains("\\\"Host\\\""), "{body}");
        }
    }
    // The target takes precedence, but the header is required.
    for (hosts, status) in [("host: b\r\n", 200), ("", 400)] {
        let absolute =
            format!("GET http://a/server/ping HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n");
        assert_eq!(send(&server, &absolute).await.0, status, "{hosts:?}");
    }
    server.stop().await;
}
