//! Tests with clients that send requests and do not read the responses, or that speak HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use poem::http::Method;
use poem::{Body, Endpoint, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::app::acceptor::{Acceptor, ConnectionLimits};
use crate::app::server::Server;
use crate::app::waiting::Timeouts;
use crate::config::TrustProxy;
use crate::domain::memory;

const SOON: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_millis(500);

async fn server(endpoint: Large) -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = ConnectionLimits {
        connections_max: 10,
        per_address_max: None,
        proxies: TrustProxy::None,
        timeouts: Timeouts { head: SOON, idle: SOON, stall: STALL },
        head_bytes_max: 1 << 16,
        memory: memory::budget(1 << 20),
    };
    (Server::start(Acceptor::new(listener, limits).unwrap(), endpoint, SOON), address)
}

async fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // A connection that is cut off may be reset.
    let _ = tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await.expect("in time");
    answer
}

async fn stop(server: Server) {
    server.stop_accepting();
    server.drained().await;
}

/// Answers with large responses, and counts requests and response parts still in memory.
#[derive(Clone, Default)]
struct Large {
    requests: Arc<AtomicUsize>,
    /// Number of frames per response.
    frames: usize,
    held: Arc<()>,
}

/// Part of a response, counted while it is in memory.
struct Part {
    bytes: Vec<u8>,
    _held: Arc<()>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Endpoint for Large {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if request.method() == Method::HEAD {
            return Ok(Response::builder().header("x-long", "y".repeat(500)).finish());
        }
        let held = Arc::clone(&self.held);
        let part = move || {
            let (bytes, held) = (vec![b'x'; 1 << 16], Arc::clone(&held));
            Bytes::from_owner(Part { bytes, _held: held })
        };
        if self.frames == 1 {
            return Ok(Response::builder().body(part()));
        }
        let frames = (0..self.frames).map(move |_| Ok::<_, std::io::Error>(part()));
        Ok(Response::builder().body(Body::from_bytes_stream(stream::iter(frames))))
    }
}

impl Large {
    fn new(frames: usize) -> Self {
        Self { frames, ..Self::default() }
    }

    /// Returns the number of response parts in memory.
    fn held(&self) -> usize {
        // The server's endpoint and this clone hold one reference each.
        Arc::strong_count(&self.held) - 2
    }

    async fn until_nothing_is_held(&self) {
        while self.held() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Sends requests as far as the socket accepts them, and reads nothing.
async fn send(address: SocketAddr, request: &str, times: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    socket2::SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
    let requests = request.repeat(times);
    let sent = tokio::time::timeout(STALL / 2, stream.write_all(requests.as_bytes()));
    let _ = sent.await;
    stream
}

#[tokio::test]
async fn unread_responses_are_bounded_and_time_out() {
    for frames in [1, 100] {
        let large = Large::new(frames);
        let (server, address) = server(large.clone()).await;

        let stream = send(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", 100).await;
        // Parts in the socket buffers of the system are not counted.
        while large.requests.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(large.held() <= 2, "{}", large.held());
        tokio::time::timeout(SOON, large.until_nothing_is_held()).await.unwrap();

        assert!(large.requests.load(Ordering::Relaxed) < 100);
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(SOON, { stream }.read_to_end(&mut rest)).await.unwrap();
        stop(server).await;
    }
}

#[tokio::test]
async fn unread_responses_without_a_body_are_bounded() {
    let large = Large::new(1);
    let (server, address) = server(large.clone()).await;

    let stream = send(address, "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", 20_000).await;

    assert!(large.requests.load(Ordering::Relaxed) < 10_000);
    drop(stream);
    stop(server).await;
}

#[tokio::test]
async fn a_response_in_many_frames_arrives_complete() {
    let large = Large::new(50);
    let (server, address) = server(large.clone()).await;

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = read(stream).await;

    assert_eq!(answer.matches('x').count(), 50 << 16);
    stop(server).await;
}

#[tokio::test]
async fn an_http_2_preface_gets_505() {
    let (server, address) = server(Large::new(1)).await;

    let mut stream = TcpStream::connect(address).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.unwrap();

    assert!(read(stream).await.starts_with("HTTP/1.1 505 "));
    stop(server).await;
}
