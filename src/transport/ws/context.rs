//! What all sockets share.

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
use crate::config::TopicsConfig;
use crate::config::TrustProxy;
use crate::config::WebSocketConfig;
use crate::domain::Error;
use crate::domain::Services;
use crate::domain::rate::Rate;
use crate::transport::ws::addresses::Addresses;
use crate::transport::ws::addresses::OfAddress;
use crate::transport::ws::socket::Bounds;
use crate::transport::ws::socket::Socket;
use crate::transport::ws::sweep::Sweep;
use crate::transport::ws::users::Users;
use crate::transport::ws::wire::Wire;

/// What all sockets share.
pub struct Context {
    /// Every call that a frame can make.
    pub services: Services,
    /// The settings of sockets.
    pub config: WebSocketConfig,
    /// The settings of topics.
    pub topics: TopicsConfig,
    /// The name of the cookie that holds a session.
    pub session_cookie: CookieConfig,
    /// The address under which browsers reach the service, as far as it is known.
    pub public_url: String,
    /// Whose pages may use cookies, besides those of this service.
    pub cors: CorsConfig,
    /// How deep the JSON of a message may nest.
    pub json_depth_max: usize,
    /// Whose word counts for where a connection comes from.
    pub trust_proxy: TrustProxy,
    /// Where all tasks of sockets run; whoever shuts down closes it and waits for it.
    pub tasks: TaskTracker,
    /// Says that the service is stopping: sockets begin nothing new, finish what has begun, answer
    /// it, and close.
    pub stopping: CancellationToken,
    /// Writes the sockets whose connection allows that. Whoever started it stops it.
    pub sweep: Arc<Sweep>,
    /// How fast each account may speak.
    pub users: Users,
    /// Whether there is a bound to how fast clients may speak.
    pub is_paced: bool,
    /// How many tasks of sockets have panicked.
    pub panics: Arc<AtomicU64>,
    /// How fast sockets are let in.
    admission: Mutex<Rate>,
    places: Option<Arc<Semaphore>>,
    /// How many sockets each address has, where that is not seen before its request is read.
    addresses: Option<Arc<Addresses>>,
}

/// How long an upgrade may wait to be let in.
const ADMISSION_PATIENCE: Duration = Duration::from_secs(5);

impl Context {
    /// Returns the context over its parts.
    #[must_use]
    pub fn new(
        services: Services,
        config: &Config,
        tasks: TaskTracker,
        stopping: CancellationToken,
        sweep: Arc<Sweep>,
    ) -> Arc<Self> {
        let places = config
            .websockets
            .connections_max
            .map(|max| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))));
        let admission =
            Mutex::new(Rate::new(config.websockets.upgrades_per_second, Instant::now().into_std()));
        Arc::new(Self {
            users: Users::default(),
            is_paced: config.limits.per_address.is_some(),
            panics: Arc::default(),
            admission,
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
            sweep,
            places,
            addresses: (config.server.trust_proxy != TrustProxy::Nobody)
                .then_some(config.server.connections_per_address_max)
                .flatten()
                .map(Addresses::new),
        })
    }

    /// Waits until another socket may be let in.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if so many wait that it would take too long.
    pub async fn admit(&self) -> Result<(), Error> {
        let taken = self.admission.lock().take(Instant::now().into_std(), ADMISSION_PATIENCE);
        let wait = taken.map_err(|retry_after| Error::TooBusy { retry_after })?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Opens a socket on an upgraded connection; the sweep writes it if there is a `wire`.
    pub async fn open<S>(&self, stream: S, wire: Option<Wire>) -> Socket
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
            Some(wire) => Socket::open_swept(stream, wire, &self.sweep, bounds, &self.tasks).await,
            None => Socket::open(stream, bounds, &self.tasks).await,
        }
    }

    /// Takes a place among the open sockets, until it is dropped.
    ///
    /// # Errors
    /// `NoPlace` if all are taken.
    pub fn take_place(&self) -> Result<Place, NoPlace> {
        let permit = match &self.places {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().map_err(|_| NoPlace)?),
            None => None,
        };
        Ok(Place { _permit: permit })
    }

    /// Takes a place among the sockets of an address, until it is dropped; `None` if they are not
    /// bounded here.
    ///
    /// # Errors
    /// `NoPlace` if the address has as many as it may have.
    pub fn take_place_of(&self, from: Option<IpAddr>) -> Result<Option<OfAddress>, NoPlace> {
        let (Some(addresses), Some(from)) = (&self.addresses, from) else { return Ok(None) };
        addresses.take(from).map(Some).ok_or(NoPlace)
    }
}

/// A place among the open sockets.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

/// As many sockets are open as there may be.
#[derive(Debug, thiserror::Error)]
#[error("As many sockets are open as there may be")]
pub struct NoPlace;
