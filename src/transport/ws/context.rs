//! State shared by all sockets.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::config::CookieConfig;
use crate::config::CorsConfig;
use crate::config::RateLimit;
use crate::config::TopicsConfig;
use crate::config::TrustProxy;
use crate::config::WebSocketConfig;
use crate::domain::Error;
use crate::domain::Services;
use crate::domain::quota::Owner;
use crate::domain::token_bucket::TokenBucket;
use crate::domain::token_bucket::TokenBuckets;
use crate::transport::ws::addresses::Addresses;
use crate::transport::ws::addresses::OfAddress;
use crate::transport::ws::socket::Bounds;
use crate::transport::ws::socket::Socket;
use crate::transport::ws::write_half::WriteHalf;
use crate::transport::ws::writer_pool::WriterPool;

/// State shared by all sockets.
pub struct Context {
    /// All domain services.
    pub services: Services,
    /// The socket settings.
    pub config: WebSocketConfig,
    /// The topic settings.
    pub topics: TopicsConfig,
    /// The settings of the session cookie.
    pub session_cookie: CookieConfig,
    /// The public URL of the service, if it is known.
    pub public_url: String,
    /// Other origins with access to cookies.
    pub cors: CorsConfig,
    /// Maximum nesting of JSON in a message.
    pub json_depth_max: usize,
    /// The proxies that are trusted to set `X-Forwarded-For`.
    pub trust_proxy: TrustProxy,
    /// Tracks the tasks of all sockets. A shutdown closes it and waits for them.
    pub tasks: TaskTracker,
    /// Cancelled when the service stops: sockets start no new work, finish and answer the running
    /// work, and close.
    pub stopping: CancellationToken,
    /// The writer pool, for connections that support it. Stopped by the code that started it.
    pub pool: Arc<WriterPool>,
    /// Message rate limits of accounts, over all of their sockets, and of addresses, over all of the
    /// sockets without an account.
    pub message_rates: TokenBuckets<Owner>,
    /// Whether message rate limits are enabled.
    pub is_paced: bool,
    /// Number of socket tasks that have panicked.
    pub panics: Arc<AtomicU64>,
    /// Token bucket of upgrades.
    admission: Mutex<TokenBucket>,
    places: Option<Arc<Semaphore>>,
    /// The socket limit per address, where the address is known only from the request.
    addresses: Option<Arc<Addresses>>,
}

/// Maximum wait of an upgrade for admission.
const ADMISSION_PATIENCE: Duration = Duration::from_secs(5);

impl Context {
    /// Creates the context.
    #[must_use]
    pub fn new(
        services: Services,
        config: &Config,
        tasks: TaskTracker,
        stopping: CancellationToken,
        pool: Arc<WriterPool>,
    ) -> Arc<Self> {
        let places = config
            .websockets
            .connections_max
            .map(|max| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))));
        let upgrades = RateLimit::per_second(config.websockets.upgrades_per_second);
        let messages = RateLimit::per_second(config.websockets.user_messages_per_second);
        Arc::new(Self {
            message_rates: TokenBuckets::new(messages),
            is_paced: config.limits.per_address.is_some(),
            panics: Arc::default(),
            admission: Mutex::new(TokenBucket::new(upgrades, Instant::now().into_std())),
            services,
            config: config.websockets.clone(),
            topics: config.topics.clone(),
            session_cookie: config.auth.session_cookie.clone(),
            public_url: config.server.public_url.clone(),
            cors: config.browser.cors.clone(),
            json_depth_max: config.server.json_depth_max,
            trust_proxy: config.server.trust_proxy.clone(),
            tasks,
            stopping,
            pool,
            places,
            addresses: (config.server.trust_proxy != TrustProxy::None)
                .then_some(config.server.connections_per_address_max)
                .flatten()
                .map(Addresses::new),
        })
    }

    /// Waits for a token of the upgrade rate limit.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if the wait would be too long.
    pub async fn admit(&self) -> Result<(), Error> {
        let taken = self.admission.lock().take(Instant::now().into_std(), ADMISSION_PATIENCE);
        let wait = taken.map_err(|retry_after| Error::TooBusy { retry_after })?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Opens a socket on an upgraded connection. With a `wire`, it is written by the pool.
    pub async fn open<S>(&self, stream: S, wire: Option<WriteHalf>) -> Socket
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let bounds = Bounds {
            frame_bytes_max: self.config.frame_bytes_max,
            parts_per_second: self.config.parts_per_second,
            outbox_bytes_max: self.config.outbox_bytes_max,
            memory: Arc::clone(&self.services.memory),
        };
        match wire {
            Some(wire) => Socket::open_swept(stream, wire, &self.pool, bounds, &self.tasks).await,
            None => Socket::open(stream, bounds, &self.tasks).await,
        }
    }

    /// Acquires a connection slot, released on drop.
    ///
    /// # Errors
    /// `NoPlace` if all slots are in use.
    pub fn take_place(&self) -> Result<Place, NoPlace> {
        let permit = match &self.places {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().map_err(|_| NoPlace)?),
            None => None,
        };
        Ok(Place { _permit: permit })
    }

    /// Acquires a slot of an address, released on drop. Returns `None` if that is not limited here.
    ///
    /// # Errors
    /// `NoPlace` if all slots of the address are in use.
    pub fn take_place_of(&self, from: Option<IpAddr>) -> Result<Option<OfAddress>, NoPlace> {
        let (Some(addresses), Some(from)) = (&self.addresses, from) else { return Ok(None) };
        addresses.take(from).map(Some).ok_or(NoPlace)
    }
}

/// A connection slot.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The limit of open sockets is reached.
#[derive(Debug, thiserror::Error)]
#[error("The limit of open sockets is reached")]
pub struct NoPlace;
