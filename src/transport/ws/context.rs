//! State shared by all sockets.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, RateLimit, TrustProxy};
use crate::domain::quota::{Owner, Permit, Quota, QuotaExceeded};
use crate::domain::token_bucket::{TokenBucket, TokenBuckets};
use crate::domain::{Error, Services};
use crate::transport::ws::socket::{Socket, SocketLimits};
use crate::transport::ws::write_half::WriteHalf;
use crate::transport::ws::writer_pool::WriterPool;

/// State shared by all sockets.
pub struct Context {
    /// All domain services.
    pub services: Services,
    /// The settings.
    pub config: Arc<Config>,
    /// Tracks the tasks of all sockets. A shutdown closes it and waits for them.
    pub tasks: TaskTracker,
    /// Cancelled when the service stops: sockets start no new work, finish and answer the running
    /// work, and close.
    pub stopping: CancellationToken,
    /// The writer pool. Stopped by the code that started it.
    pub pool: Arc<WriterPool>,
    /// Message rate limits of accounts, over all of their sockets, and of addresses, over all of the
    /// sockets without an account. `None` if rate limits are disabled, per connection as well.
    pub message_rates: Option<TokenBuckets<Owner>>,
    /// Number of socket tasks that have panicked.
    pub panics: Arc<AtomicU64>,
    /// Token bucket of upgrades.
    admission: Mutex<TokenBucket>,
    /// The open sockets: in total, and per address where only the request names the address.
    slots: Arc<Quota>,
}

/// Maximum wait of an upgrade for admission.
const ADMISSION_PATIENCE: Duration = Duration::from_secs(5);

impl Context {
    /// Creates the context.
    #[must_use]
    pub fn new(
        services: Services,
        config: Arc<Config>,
        tasks: TaskTracker,
        stopping: CancellationToken,
        pool: Arc<WriterPool>,
    ) -> Arc<Self> {
        // Without proxies, the server limits the connections of an address already.
        let per_address_max = match config.server.trust_proxy {
            TrustProxy::None => None,
            _ => config.server.connections_per_address_max,
        };
        let slots = Quota::new(
            per_address_max.unwrap_or(usize::MAX),
            config.websockets.connections_max.unwrap_or(usize::MAX),
        );
        let upgrades = RateLimit::per_second(config.websockets.upgrades_per_second);
        let messages = RateLimit::per_second(config.websockets.user_messages_per_second);
        let is_limited = config.limits.per_address.is_some();
        Arc::new(Self {
            message_rates: is_limited.then(|| TokenBuckets::new(messages)),
            panics: Arc::default(),
            admission: Mutex::new(TokenBucket::new(upgrades, Instant::now().into_std())),
            services,
            config,
            tasks,
            stopping,
            pool,
            slots,
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

    /// Opens a socket on an upgraded connection.
    pub async fn open(
        &self,
        stream: impl AsyncRead + Send + Unpin + 'static,
        write_half: WriteHalf,
    ) -> Socket {
        let config = &self.config.websockets;
        let limits = SocketLimits {
            frame_bytes_max: config.frame_bytes_max,
            parts_per_second: config.parts_per_second,
            outbox_bytes_max: config.outbox_bytes_max,
            memory: Arc::clone(&self.services.memory),
        };
        Socket::open(stream, write_half, &self.pool, &limits, &self.tasks).await
    }

    /// Acquires a slot for the socket of a client at this address, released on drop.
    ///
    /// # Errors
    /// [`QuotaExceeded`] if all slots are in use; of the total if both limits are reached.
    pub fn take_slot(&self, from: Option<IpAddr>) -> Result<Permit, QuotaExceeded> {
        let owner = from.map_or(Owner::Proxied, |_| Owner::of_either(None, from));
        self.slots.take(owner, 1).map_err(|exceeded| match exceeded {
            QuotaExceeded::Owner if !self.slots.is_exhausted() => QuotaExceeded::Owner,
            _ => QuotaExceeded::Total,
        })
    }
}
