//! Accepts connections: disables Nagle's algorithm, enforces the connection limits, backs off when
//! the process has no file descriptors left, and loses no connection at shutdown.
//!
//! A connection is handed to the server when its first byte has arrived. A silent connection would
//! be closed by a shutdown, and its client would take that for a refusal. The timeouts of a
//! connection are in `connection`, its protocol in `server`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::connection::Connection;
use crate::app::waiting::Timeouts;
use crate::config::{ServerConfig, TrustProxy};
use crate::domain::memory;
use crate::domain::memory::Reservation;
use crate::domain::quota::{Owner, Quota, QuotaExceeded};
use crate::transport::minimum_rate::STALL_MAX;

/// Back-off after a failed `accept`.
const PAUSE: Duration = Duration::from_millis(100);

/// Minimum interval between two log lines about the same problem.
const LOG_PERIOD: Duration = Duration::from_mins(1);

/// Bytes by which a request head may exceed the configured maximum and is still read, so that its
/// client receives an error response. hyper answers larger heads with 431, as well as heads with
/// more than 100 headers.
const HEAD_SLACK: usize = 32 << 10;

/// Response to a connection beyond the global limit, sent if the socket accepts it at once.
pub(super) const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    connection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n";

/// Response to a connection from an address that has reached its limit of connections or memory.
pub(super) const FULL_FOR_ADDRESS: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
    connection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n";

/// Accepts connections for the server. Never fails: after an error it waits and tries again.
pub struct Acceptor {
    listener: TcpListener,
    local: LocalAddr,
    slots: Arc<Quota>,
    limits: ConnectionLimits,
    /// Accepted connections that have not sent a byte yet. Bounded by the connection slots.
    silent: FuturesUnordered<FirstByte>,
    gate: Gate,
    full_log: RateLimitedLog,
    address_log: RateLimitedLog,
    failure_log: RateLimitedLog,
}

/// Resolves to the connection when its first byte arrives, or to `None` after the timeout.
type FirstByte = Pin<Box<dyn Future<Output = Option<(Connection, SocketAddr)>> + Send>>;

/// Stops accepting connections, and reports when none is left between the listener and the server.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shut: CancellationToken,
    empty: CancellationToken,
}

impl Gate {
    /// Stops accepting; new connections wait in the backlog of the listening socket.
    pub fn shut(&self) {
        self.shut.cancel();
    }

    /// Waits until the gate is shut.
    pub async fn is_shut(&self) {
        self.shut.cancelled().await;
    }

    /// Returns whether the gate is shut.
    #[must_use]
    pub fn has_shut(&self) -> bool {
        self.shut.is_cancelled()
    }

    /// Waits until every accepted connection has been handed to the server or dropped.
    pub async fn is_empty(&self) {
        self.empty.cancelled().await;
    }
}

/// Limits and timeouts of connections.
pub struct ConnectionLimits {
    /// Maximum number of open connections.
    pub connections_max: usize,
    /// Maximum number of open connections per address.
    pub per_address_max: Option<usize>,
    /// Trusted proxies. They are exempt from the limit per address.
    pub proxies: TrustProxy,
    /// The timeouts of each connection.
    pub timeouts: Timeouts,
    /// The largest accepted request head in bytes, request line and headers.
    pub head_bytes_max: usize,
    /// The memory budget of request heads.
    pub memory: Arc<Quota>,
}

impl ConnectionLimits {
    /// Returns the configured limits, with a separate memory budget.
    #[must_use]
    pub fn of(config: &ServerConfig) -> Self {
        Self {
            connections_max: config.connections_max,
            per_address_max: config.connections_per_address_max,
            proxies: config.trust_proxy.clone(),
            timeouts: Timeouts {
                head: config.header_timeout,
                idle: config.keep_alive_timeout,
                stall: STALL_MAX,
            },
            head_bytes_max: config.url_bytes_max + config.headers_bytes_max + HEAD_SLACK,
            memory: memory::budget(config.answers_bytes_max),
        }
    }
}

impl Acceptor {
    /// Creates an acceptor that enforces these limits.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn new(listener: TcpListener, limits: ConnectionLimits) -> io::Result<Self> {
        let per_address_max = limits.per_address_max.unwrap_or(usize::MAX);
        Ok(Self {
            local: LocalAddr(listener.local_addr()?.into()),
            listener,
            slots: Quota::new(per_address_max, limits.connections_max),
            limits,
            silent: FuturesUnordered::new(),
            gate: Gate::default(),
            full_log: RateLimitedLog::default(),
            address_log: RateLimitedLog::default(),
            failure_log: RateLimitedLog::default(),
        })
    }

    /// Returns the maximum size of a request head, in bytes.
    #[must_use]
    pub(super) const fn head_bytes_max(&self) -> usize {
        self.limits.head_bytes_max
    }

    /// Returns the gate of this acceptor.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Assigns a connection slot to a new connection, or refuses it.
    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        let proxied = self.limits.proxies.trusts(remote.ip(), 0);
        let owner =
            if proxied { Owner::Proxied } else { Owner::of_either(None, Some(remote.ip())) };
        let slot = match self.slots.take(owner, 1) {
            Ok(slot) => slot,
            Err(exceeded) => return self.refuse(&stream, exceeded),
        };
        // Fails only on a connection that has been closed already, which the next read reports.
        let _ = stream.set_nodelay(true);
        let memory = Reservation::new(&self.limits.memory, owner);
        let mut connection = Connection::new(stream, self.limits.timeouts, slot, memory);
        self.silent.push(Box::pin(async move {
            connection.first_byte().await.is_ok().then_some((connection, remote))
        }));
    }

    /// Sends the refusal of a connection if that is possible without blocking.
    fn refuse(&mut self, stream: &TcpStream, exceeded: QuotaExceeded) {
        let is_full = exceeded == QuotaExceeded::Total || self.slots.is_exhausted();
        let _ = stream.try_write(if is_full { FULL } else { FULL_FOR_ADDRESS });
        if is_full && self.full_log.is_due() {
            tracing::warn!("refusing connections: the limit CONNECTIONS_MAX is reached");
        } else if !is_full && self.address_log.is_due() {
            tracing::warn!(
                "refusing connections from one address: the limit CONNECTIONS_PER_ADDRESS_MAX is \
                 reached"
            );
        }
    }

    /// Returns the next connection with its local and remote address. Never fails: after an error
    /// it waits and tries again. Once the gate is shut it never returns. Cancel-safe.
    pub(super) async fn accept(&mut self) -> (Connection, LocalAddr, RemoteAddr) {
        loop {
            let shut = self.gate.shut.is_cancelled();
            if shut && self.silent.is_empty() {
                self.gate.empty.cancel();
                return std::future::pending().await;
            }
            let listener = &self.listener;
            tokio::select! {
                accepted = with_retries(&mut self.failure_log, || listener.accept()), if !shut => {
                    let (stream, remote) = accepted;
                    self.admit(stream, remote);
                }
                Some(spoken) = self.silent.next() => {
                    if let Some((connection, remote)) = spoken {
                        let remote = RemoteAddr(remote.into());
                        return (connection, self.local.clone(), remote);
                    }
                }
                () = self.gate.shut.cancelled(), if !shut => {}
            }
        }
    }
}

/// Retries until `accept` succeeds. Backs off after an error to avoid a busy loop.
async fn with_retries<T, F>(log: &mut RateLimitedLog, mut accept: impl FnMut() -> F) -> T
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if log.is_due() {
                    tracing::warn!(error = %error, "cannot accept connections, retrying");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Returns whether the error concerns a single connection that failed before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// A recurring problem with rate-limited log lines.
#[derive(Default)]
struct RateLimitedLog(Option<Instant>);

impl RateLimitedLog {
    /// Returns whether to log the problem now, and if so starts a new interval.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.0.is_none_or(|last| now.duration_since(last) >= LOG_PERIOD);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Timeout for steps that should complete at once.
    const SOON: Duration = Duration::from_secs(5);

    async fn acceptor(connections_max: usize) -> (Acceptor, SocketAddr) {
        limited(limits(connections_max, None)).await
    }

    fn limits(connections_max: usize, per_address_max: Option<usize>) -> ConnectionLimits {
        ConnectionLimits {
            connections_max,
            per_address_max,
            proxies: TrustProxy::None,
            timeouts: Timeouts { head: SOON, idle: SOON, stall: SOON },
            head_bytes_max: 1 << 16,
            memory: memory::budget(1 << 20),
        }
    }

    async fn limited(limits: ConnectionLimits) -> (Acceptor, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Acceptor::new(listener, limits).unwrap(), address)
    }

    async fn speak(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_get_503() {
        let (mut acceptor, address) = acceptor(1).await;
        let _first = speak(address).await;
        let (mut connection, ..) = acceptor.accept().await;

        let mut second = TcpStream::connect(address).await.unwrap();
        let accepting = tokio::spawn(async move { acceptor.accept().await.0 });
        let mut answer = Vec::new();
        tokio::time::timeout(SOON, second.read_to_end(&mut answer)).await.unwrap().unwrap();

        assert_eq!(answer, FULL);
        // The first connection stays open, and closing it frees its slot.
        assert_eq!(connection.read_u8().await.unwrap(), b'x');
        drop(connection);
        let _third = speak(address).await;
        assert!(tokio::time::timeout(SOON, accepting).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn connections_beyond_the_address_limit_get_429() {
        let (mut acceptor, address) = limited(limits(10, Some(1))).await;
        let _first = speak(address).await;
        let (_connection, ..) = acceptor.accept().await;

        let mut second = TcpStream::connect(address).await.unwrap();
        let accepting = tokio::spawn(async move { acceptor.accept().await.0 });
        let mut answer = Vec::new();
        tokio::time::timeout(SOON, second.read_to_end(&mut answer)).await.unwrap().unwrap();

        assert_eq!(answer, FULL_FOR_ADDRESS);
        accepting.abort();
    }

    #[tokio::test]
    async fn addresses_are_limited_by_network_and_proxies_are_not() {
        let owner = |text: &str| Owner::of_either(None, Some(text.parse().unwrap()));
        let (acceptor, _) = limited(limits(4, Some(1))).await;
        let take = |owner| acceptor.slots.take(owner, 1);

        let here = take(owner("192.0.2.1")).unwrap();
        assert_eq!(take(owner("::ffff:192.0.2.1")).unwrap_err(), QuotaExceeded::Owner);
        let _network = take(owner("2001:db8::1")).unwrap();
        assert_eq!(take(owner("2001:db8::2")).unwrap_err(), QuotaExceeded::Owner);
        let _proxied = [take(Owner::Proxied).unwrap(), take(Owner::Proxied).unwrap()];
        assert!(acceptor.slots.is_exhausted());
        drop(here);
        assert!(take(owner("192.0.2.1")).is_ok());
    }

    #[tokio::test]
    async fn a_silent_connection_does_not_block_others() {
        let (mut acceptor, address) = acceptor(2).await;
        let _silent = TcpStream::connect(address).await.unwrap();
        let _speaking = speak(address).await;

        let (mut connection, ..) = tokio::time::timeout(SOON, acceptor.accept()).await.unwrap();

        assert_eq!(connection.read_u8().await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn accepted_connections_use_nodelay() {
        let (mut acceptor, address) = acceptor(1).await;
        let _client = speak(address).await;

        let (connection, ..) = acceptor.accept().await;

        assert!(connection.is_nodelay());
    }

    #[tokio::test]
    async fn a_shut_gate_passes_only_accepted_connections() {
        let (mut acceptor, address) = acceptor(2).await;
        let gate = acceptor.gate();
        let mut early = TcpStream::connect(address).await.unwrap();
        // No connection has sent a byte, so this call only accepts them.
        let short = Duration::from_millis(100);
        assert!(tokio::time::timeout(short, acceptor.accept()).await.is_err());

        gate.shut();
        let _late = speak(address).await;
        early.write_all(b"e").await.unwrap();
        let (mut connection, ..) = tokio::time::timeout(SOON, acceptor.accept()).await.unwrap();

        assert_eq!(connection.read_u8().await.unwrap(), b'e');
        assert!(tokio::time::timeout(short, acceptor.accept()).await.is_err());
        tokio::time::timeout(SOON, gate.is_empty()).await.unwrap();
    }

    #[tokio::test]
    async fn accept_backs_off_without_file_descriptors() {
        let tries = Cell::new(0);
        let mut log = RateLimitedLog::default();
        let started = Instant::now();

        let accepted = with_retries(&mut log, || {
            tries.set(tries.get() + 1);
            let outcome = match tries.get() {
                // EMFILE, "Too many open files".
                1 | 2 => Err(io::Error::from_raw_os_error(24)),
                3 => Err(io::ErrorKind::ConnectionAborted.into()),
                _ => Ok("a connection"),
            };
            std::future::ready(outcome)
        })
        .await;

        assert_eq!(accepted, "a connection");
        assert_eq!(tries.get(), 4);
        assert!(started.elapsed() >= 2 * PAUSE, "{:?}", started.elapsed());
        assert!(started.elapsed() < 20 * PAUSE, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_repeated_problem_is_logged_once() {
        let mut log = RateLimitedLog::default();

        assert!(log.is_due());
        assert!(!log.is_due());
    }
}
