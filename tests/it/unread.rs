//! Request bodies that a handler does not read to the end: the response still arrives, and the
//! connection serves the next request or announces its end.

use std::fmt::Write;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::TestServer;
use crate::support::wire::{Response, Wire};

/// The sizes of bodies: within a segment, a few segments, more than a socket buffers, more than is
/// ever accepted.
const SIZES: [usize; 4] = [30, 3 << 10, 60 << 10, 2 << 20];
/// The numbers of segments in which each is sent.
const SEGMENTS: [usize; 3] = [1, 2, 20];
/// The pause between segments, so that they arrive separately.
const GAP: Duration = Duration::from_millis(1);

const PING: &str = "GET /server/ping HTTP/1.1\r\nhost: a\r\n\r\n";

/// How a client frames and sends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    /// With its length, once the server asks for it.
    Expected,
}

const FRAMINGS: [Framing; 3] = [Framing::Length, Framing::Chunked, Framing::Expected];

/// A request with a body, and how it is sent.
#[derive(Debug, Clone)]
struct Sending {
    /// Method, target and additional headers.
    request: (String, String, String),
    size: usize,
    segments: usize,
    framing: Framing,
}

impl Sending {
    fn head(&self) -> String {
        let (method, target, headers) = &self.request;
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{headers}"
        );
        match self.framing {
            Framing::Length => write!(head, "content-length: {}\r\n", self.size),
            Framing::Chunked => write!(head, "transfer-encoding: chunked\r\n"),
            Framing::Expected => {
                write!(head, "content-length: {}\r\nexpect: 100-continue\r\n", self.size)
            }
        }
        .unwrap();
        head + "\r\n"
    }

    fn body(&self) -> Vec<u8> {
        let around = r#"{"content":""}"#.len();
        let body = format!(r#"{{"content":"{}"}}"#, "x".repeat(self.size - around)).into_bytes();
        if self.framing != Framing::Chunked {
            return body;
        }
        let mut chunked = Vec::new();
        for chunk in body.chunks(10_000) {
            chunked.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            chunked.extend(chunk);
            chunked.extend(b"\r\n");
        }
        chunked.extend(b"0\r\n\r\n");
        chunked
    }

    /// Sends the request and returns the response. The whole body is sent before the response is
    /// read, except with `Framing::Expected`.
    async fn send(&self, wire: &mut Wire) -> std::io::Result<Response> {
        let (head, body) = (self.head(), self.body());
        if self.framing == Framing::Expected {
            let response = wire.ask(&head).await?;
            if response.status != 100 {
                return Ok(response);
            }
            send_apart(wire, &body, self.segments).await?;
        } else {
            send_apart(wire, &[head.as_bytes(), &body].concat(), self.segments).await?;
        }
        match wire.read().await? {
            Response { status: 100, .. } => wire.read().await,
            response => Ok(response),
        }
    }
}

async fn send_apart(wire: &mut Wire, bytes: &[u8], segments: usize) -> std::io::Result<()> {
    for segment in bytes.chunks(bytes.len().div_ceil(segments)) {
        wire.send(segment).await?;
        if segments > 1 {
            tokio::time::sleep(GAP).await;
        }
    }
    Ok(())
}

/// Sends requests on one connection, which is reopened after the server has announced its end.
/// Fails if a request, or a ping after it, gets no response.
async fn send_all(
    server: &TestServer,
    sendings: Vec<Sending>,
    ended: impl Fn(&Sending, &Response),
) {
    let mut wire = Wire::connect(server.address).await;
    for sending in sendings {
        let response = sending.send(&mut wire).await.unwrap_or_else(|e| panic!("{sending:?}: {e}"));
        ended(&sending, &response);
        if response.closes() {
            wire.closed().await.unwrap_or_else(|error| panic!("{sending:?}: {error}"));
            wire = Wire::connect(server.address).await;
        }
        let next = wire.ask(PING).await.unwrap_or_else(|e| panic!("after {sending:?}: {e}"));
        assert_eq!((next.status, next.body.as_str()), (200, "pong"), "after {sending:?}");
    }
}

fn every_way(requests: &[(String, String, String)], sizes: &[usize]) -> Vec<Vec<Sending>> {
    let mut ways = Vec::new();
    for &size in sizes {
        for segments in SEGMENTS {
            for framing in FRAMINGS {
                let sending = |request: &(_, _, _)| Sending {
                    request: request.clone(),
                    size,
                    segments,
                    framing,
                };
                ways.push(requests.iter().map(sending).collect());
            }
        }
    }
    ways
}

fn request(method: &str, target: &str, headers: &str) -> (String, String, String) {
    (method.to_owned(), target.to_owned(), headers.to_owned())
}

/// Sends each request in every way, several ways concurrently.
async fn check(
    server: &TestServer,
    requests: &[(String, String, String)],
    sizes: &[usize],
    ended: impl Fn(&Sending, &Response) + Copy,
) {
    stream::iter(every_way(requests, sizes))
        .for_each_concurrent(8, |sendings| send_all(server, sendings, ended))
        .await;
}

#[tokio::test]
async fn every_route_keeps_or_closes_the_connection_after_a_body() {
    let server = TestServer::start().await;
    let mut requests = Vec::new();
    for operation in chinwag::transport::rest::operations() {
        let mut path = operation.path;
        while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
            path.replace_range(open..=close, "1");
        }
        requests.push(request(operation.method.as_str(), &path, ""));
    }
    for path in
        ["/", "/docs", "/openapi.json", "/docs/websocket", "/asyncapi.json", "/chat/main.js"]
    {
        requests.push(request("GET", path, ""));
    }

    check(&server, &requests, &SIZES[..2], |_, _| {}).await;
    server.stop().await;
}

#[tokio::test]
async fn every_refusal_keeps_or_closes_the_connection_after_a_body() {
    let server = TestServer::with(|config| config.server.body_bytes_max = 1 << 20).await;
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (good, old) = (
        format!("{upgrade}sec-websocket-version: 13\r\n"),
        format!("{upgrade}sec-websocket-version: 8\r\n"),
    );
    let cookie = "cookie: directus_session_token=none\r\norigin: https://stranger.example\r\n";
    let long = "x".repeat(40_000);
    let (long_target, long_header) = (format!("/x?{long}"), format!("x: {long}\r\n"));
    let table: [(&str, &str, &str, &[u16]); 20] = [
        ("POST", "/files", "", &[404]),
        ("GET", "/nowhere", "", &[404]),
        ("PUT", "/items/messages", "", &[404]),
        ("GET", "/", "", &[200]),
        ("GET", "/docs", "", &[200]),
        ("GET", "/server/ping", "", &[200]),
        ("GET", "/items/messages", "", &[403]),
        ("POST", "/items/messages", "", &[403]),
        ("POST", "/items/messages", "authorization: Bearer none\r\n", &[401]),
        ("POST", "/items/messages", cookie, &[403]),
        ("DELETE", "/users/me/sessions", "", &[401]),
        ("POST", "/auth/login", "", &[400]),
        ("POST", "/items/messages", "content-encoding: zstd\r\n", &[415]),
        ("GET", "/websocket", "", &[404]),
        ("GET", "/websocket", &good, &[400]),
        ("GET", "/websocket", &old, &[400]),
        ("OPTIONS", "/items/messages", "", &[404]),
        ("GET", &long_target, "", &[414]),
        ("GET", "/x", &long_header, &[431]),
        ("GET", "/x", "host: b\r\n", &[400]),
    ];
    let requests = table.map(|(method, target, headers, _)| request(method, target, headers));
    let expected = |sending: &Sending, response: &Response| {
        let (method, target, headers) = &sending.request;
        let row = table.iter().find(|(m, t, h, _)| m == method && t == target && h == headers);
        // The server may refuse the size first.
        let is_expected = row.unwrap().3.contains(&response.status)
            || sending.size > 1 << 20 && response.status == 413;
        assert!(is_expected, "{sending:?}: {response:?}");
    };

    check(&server, &requests, &SIZES, expected).await;
    server.stop().await;
}

#[tokio::test]
async fn a_rate_limit_keeps_or_closes_the_connection_after_a_body() {
    use std::num::NonZeroU32;

    let server = TestServer::with(|config| {
        let points = NonZeroU32::new(1).unwrap();
        let quota = chinwag::config::RateLimit { points, duration: Duration::from_hours(1) };
        config.limits.registration = Some(quota);
    })
    .await;
    server.anonymous().post("/users/register", &json!({})).await;
    let requests = [request("POST", "/users/register", "")];

    let refused = |sending: &Sending, response: &Response| {
        let too_large = sending.size > 1 << 20 && sending.framing != Framing::Chunked;
        let status = if too_large { 413 } else { 429 };
        assert!([status, 429].contains(&response.status), "{sending:?}: {response:?}");
    };
    check(&server, &requests, &SIZES, refused).await;
    server.stop().await;
}

/// A short body is read, so that the connection is kept. A client that announces a long one need
/// not send it.
#[tokio::test]
async fn short_bodies_keep_the_connection_and_long_ones_end_it() {
    let server = TestServer::start().await;
    let requests = [request("POST", "/nowhere", "")];

    let short = |sending: &Sending, response: &Response| {
        assert_eq!(response.closes(), sending.framing == Framing::Expected, "{sending:?}");
    };
    check(&server, &requests, &SIZES[..3], short).await;
    let long = |sending: &Sending, response: &Response| assert!(response.closes(), "{sending:?}");
    check(&server, &requests, &SIZES[3..], long).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_slowly_gets_its_response() {
    let server = TestServer::start().await;
    let mut wire = Wire::connect(server.address).await;

    wire.send(b"POST /nowhere HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n").await.unwrap();
    let response = wire.read().await.unwrap();
    assert_eq!(response.status, 404);
    assert!(response.closes());
    // Bytes that the client sends meanwhile do not reset the connection.
    for _ in 0..10 {
        wire.send(b"xxxxxxxxxx").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    wire.closed().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn oversized_heads_get_an_error_response() {
    let server = TestServer::start().await;
    for head in [
        format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {}\r\n\r\n", "x".repeat(2 << 20)),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(2 << 20)),
        format!("no request\r\n{}\r\n\r\n", "x".repeat(2 << 20)),
    ] {
        let mut wire = Wire::connect(server.address).await;
        wire.send(head.as_bytes()).await.unwrap();

        let response = wire.read().await.unwrap();
        assert!((400..500).contains(&response.status), "{response:?}");
        wire.closed().await.unwrap();
    }
    server.stop().await;
}

/// Each message is created once, regardless of earlier requests on the connection.
#[tokio::test]
async fn accepted_and_refused_bodies_alternate_on_one_connection() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let headers = format!("authorization: Bearer {}\r\n", alice.token);
    let requests = [
        request("POST", "/items/messages", &headers),
        request("POST", "/files", &headers),
        request("POST", "/items/messages", "authorization: Bearer none\r\n"),
    ];

    check(&server, &requests, &SIZES[..2], |sending, response| {
        let (_, target, shown) = &sending.request;
        let status = match (target.as_str(), *shown == headers) {
            ("/files", _) => 404,
            (_, true) => 200,
            (_, false) => response.status,
        };
        assert_eq!(response.status, status, "{sending:?}");
    })
    .await;
    let count = alice.get("/items/messages?aggregate[count]=*").await.ok();
    let created = SEGMENTS.len() * FRAMINGS.len() * 2;
    assert_eq!(count[0]["count"], Json::from(created), "{count}");
    server.stop().await;
}
