//! The HTTP server, from its start to the end of its last request.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Incoming};
use hyper::http;
use hyper::http::header::CONNECTION;
use hyper::http::{HeaderValue, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use poem::http::Version;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::acceptor::{Acceptor, Gate};
use crate::app::answer::Answer;
use crate::app::connection::Connection;
use crate::app::exchanges::Exchanges;
use crate::app::remainder::Remainder;
use crate::transport::ws::TryWrite;

/// Grace period for silent connections once the gate is shut: on most networks the first byte is on
/// its way by then.
const FIRST_BYTE_GRACE: Duration = Duration::from_millis(250);

/// During shutdown, a connection is closed once nothing has arrived on it for this long, so that a
/// request already on its way is answered.
const QUIET: Duration = Duration::from_millis(250);

/// Additional time for the server task to end after the drain timeout.
const SLACK: Duration = Duration::from_millis(500);

/// Response to a client that speaks HTTP/2.
const NO_HTTP_2: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

/// A running HTTP server.
pub struct Server {
    task: JoinHandle<()>,
    gate: Gate,
    drain: Duration,
}

/// State shared by all connections.
struct Shared<E> {
    endpoint: E,
    /// Once shut, connections answer the requests received and close.
    gate: Gate,
    /// Quiet period before a connection closes during shutdown.
    quiet: Duration,
    /// Tells connections to close at once.
    cut_off: CancellationToken,
    /// The largest request head in bytes.
    head_bytes_max: usize,
}

impl Server {
    /// Starts accepting connections. After [`Server::stop_accepting`], running requests get `drain`
    /// to end before they are cut off.
    pub fn start(
        acceptor: Acceptor,
        endpoint: impl Endpoint<Output = Response> + 'static,
        drain: Duration,
    ) -> Self {
        let gate = acceptor.gate();
        let task = tokio::spawn(run(acceptor, endpoint, drain));
        Self { task, gate, drain }
    }

    /// Waits until the server ends unexpectedly.
    pub async fn ended(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(error = %error, "the server failed");
        }
    }

    /// Stops accepting connections and closes the open ones, each with its next response or after a
    /// quiet period. New connections wait in the backlog of the listening socket, which the caller
    /// keeps open.
    pub fn stop_accepting(&self) {
        self.gate.shut();
    }

    /// Waits until running requests have ended or were cut off.
    pub async fn drained(mut self) {
        let bound = FIRST_BYTE_GRACE + QUIET + self.drain + SLACK;
        if tokio::time::timeout(bound, &mut self.task).await.is_err() {
            tracing::warn!("the server did not stop in time");
            self.task.abort();
        }
    }
}

/// Serves connections until the gate is shut and all accepted ones have ended.
async fn run<E>(mut acceptor: Acceptor, endpoint: E, drain: Duration)
where
    E: Endpoint<Output = Response> + 'static,
{
    let shared = Arc::new(Shared {
        endpoint,
        gate: acceptor.gate(),
        quiet: QUIET.min(drain),
        cut_off: CancellationToken::new(),
        head_bytes_max: acceptor.head_bytes_max(),
    });
    let connections = TaskTracker::new();
    let mut stopped = pin!(stopped(acceptor.gate(), FIRST_BYTE_GRACE.min(drain)));
    loop {
        tokio::select! {
            () = &mut stopped => break,
            (connection, local, remote) = acceptor.accept() => {
                connections.spawn(serve(connection, local, remote, Arc::clone(&shared)));
            }
        }
    }
    drop(acceptor);
    connections.close();
    if tokio::time::timeout(drain, connections.wait()).await.is_err() {
        shared.cut_off.cancel();
        connections.wait().await;
    }
}

/// Serves one connection until it ends or is upgraded.
async fn serve<E>(
    connection: Connection,
    local: LocalAddr,
    remote: RemoteAddr,
    shared: Arc<Shared<E>>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let write_half = connection.write_half().clone();
    let exchanges = connection.exchanges().clone();
    let (answering, counted, socket) = (Arc::clone(&shared), exchanges.clone(), write_half.clone());
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if request.version() == Version::HTTP_11 {
            request.extensions_mut().insert(socket.clone());
        }
        respond(Arc::clone(&answering), counted.clone(), request, &local, &remote)
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(shared.head_bytes_max).header_read_timeout(None);
    let conversation = builder.serve_connection(TokioIo::new(connection), service).with_upgrades();
    let mut conversation = pin!(conversation);
    let ending = async {
        shared.gate.is_shut().await;
        exchanges.quiet(shared.quiet).await;
    };
    // Errors are not logged: clients disconnect at any time.
    let has_ended = tokio::select! {
        biased;
        _ = &mut conversation => {
            if exchanges.is_http_2() {
                // Sent only if the socket accepts it at once.
                let _ = write_half.try_write(NO_HTTP_2);
            }
            true
        }
        () = shared.cut_off.cancelled() => return,
        () = ending => false,
    };
    let end = async {
        if !has_ended {
            conversation.as_mut().graceful_shutdown();
            let _ = conversation.await;
        }
        exchanges.close_refused().await;
    };
    tokio::select! {
        () = end => {}
        () = shared.cut_off.cancelled() => {}
    }
}

/// Handles one request and returns its response. The request is counted at once.
fn respond<E>(
    shared: Arc<Shared<E>>,
    exchanges: Exchanges,
    mut request: http::Request<Incoming>,
    local: &LocalAddr,
    remote: &RemoteAddr,
) -> impl Future<Output = Result<http::Response<Answer<BoxBody<Bytes, io::Error>>>, Infallible>> + use<E>
where
    E: Endpoint<Output = Response> + 'static,
{
    let exchange = exchanges.begin();
    let has_body = !request.body().is_end_stream();
    // The body would precede the first frame of the socket.
    let refused = has_body.then(|| request.extensions_mut().remove::<OnUpgrade>()).flatten();
    let mut request = Request::from((request, local.clone(), remote.clone(), Scheme::HTTP));
    let remainder = has_body.then(|| Remainder::share(&mut request));
    async move {
        // Back-pressure: no request is handled before the previous response has been written.
        exchanges.written().await;
        let response = shared.endpoint.get_response(request).await;
        let (mut head, body) = http::Response::from(response).into_parts();
        let was_read = match remainder {
            Some(remainder) => remainder.drain().await,
            None => true,
        };
        if !was_read {
            exchanges.leave_unread(refused);
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        } else if head.status == StatusCode::SWITCHING_PROTOCOLS {
            exchanges.upgrade();
        } else if shared.gate.has_shut() {
            // Tells the client not to send the next request on this connection.
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        exchanges.hand_on();
        Ok(http::Response::from_parts(head, Answer::new(body, exchange)))
    }
}

/// Waits until the gate is shut and accepted connections have sent their first byte.
async fn stopped(gate: Gate, grace: Duration) {
    gate.is_shut().await;
    // Connections that stay silent longer are closed without a response.
    let _ = tokio::time::timeout(grace, gate.is_empty()).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use poem::{Body, IntoResponse, Request};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use crate::app::acceptor::ConnectionLimits;
    use crate::app::waiting::Timeouts;
    use crate::config::TrustProxy;
    use crate::domain::memory;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// Responds after the number of milliseconds in the path.
    struct Slow;

    impl Endpoint for Slow {
        type Output = Response;

        async fn call(&self, request: Request) -> poem::Result<Response> {
            let path = request.uri().path().trim_start_matches('/');
            tokio::time::sleep(Duration::from_millis(path.parse().unwrap_or(0))).await;
            Ok(Body::from("done").into_response())
        }
    }

    async fn server(drain: Duration) -> (Server, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ConnectionLimits {
            connections_max: 10,
            per_address_max: None,
            proxies: TrustProxy::None,
            timeouts: Timeouts { head: SOON, idle: SOON, stall: SOON },
            head_bytes_max: 1 << 16,
            memory: memory::budget(1 << 20),
        };
        (Server::start(Acceptor::new(listener, limits).unwrap(), Slow, drain), address)
    }

    async fn ask(address: SocketAddr, millis: u64) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /{millis} HTTP/1.1\r\nhost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn read(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        // A connection that is cut off may be reset.
        let _ = tokio::time::timeout(SOON, reading).await.expect("in time");
        answer
    }

    #[tokio::test]
    async fn running_requests_complete_during_a_drain() {
        let (server, address) = server(SOON).await;
        let running = tokio::spawn(read(ask(address, 300).await));
        let idle = TcpStream::connect(address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;

        server.stop_accepting();
        tokio::time::timeout(SOON, server.drained()).await.unwrap();

        assert!(running.await.unwrap().ends_with("done"));
        assert_eq!(read(idle).await, "");
    }

    #[tokio::test]
    async fn accepted_connections_are_served_during_a_drain() {
        let (server, address) = server(SOON).await;
        let mut early = TcpStream::connect(address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;

        server.stop_accepting();
        let drained = tokio::spawn(server.drained());
        tokio::time::sleep(Duration::from_millis(50)).await;
        early.write_all(b"GET /0 HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();

        assert!(read(early).await.ends_with("done"));
        tokio::time::timeout(SOON, drained).await.unwrap().unwrap();
    }

    /// Sends a request on a kept-alive connection and returns the response.
    async fn ask_again(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET /0 HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"done") {
            let byte = tokio::time::timeout(SOON, stream.read_u8()).await.expect("in time");
            answer.push(byte.expect("the connection stays open"));
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn responses_during_a_drain_have_connection_close() {
        let (server, address) = server(SOON).await;
        let mut kept = TcpStream::connect(address).await.unwrap();
        assert!(!ask_again(&mut kept).await.contains("connection: close"));
        let mut others = Vec::new();
        for _ in 0..2 {
            let mut other = TcpStream::connect(address).await.unwrap();
            ask_again(&mut other).await;
            others.push(other);
        }

        server.stop_accepting();
        let drained = tokio::spawn(server.drained());

        // One request at once; the others while the server waits only for their connections.
        assert!(ask_again(&mut kept).await.contains("connection: close"));
        for mut other in others {
            assert!(ask_again(&mut other).await.contains("connection: close"));
            assert_eq!(read(other).await, "");
        }
        tokio::time::timeout(SOON, drained).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn requests_beyond_the_drain_timeout_are_aborted() {
        let (server, address) = server(Duration::from_millis(100)).await;
        let endless = tokio::spawn(read(ask(address, 60_000).await));
        tokio::time::sleep(Duration::from_millis(100)).await;

        server.stop_accepting();
        tokio::time::timeout(SOON, server.drained()).await.unwrap();

        assert_eq!(endless.await.unwrap(), "");
    }
}
