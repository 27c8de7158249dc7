//! Wires the components together: open, serve, shut down.
//!
//! `wiring` constructs each component, in dependency order. `server` runs the HTTP server from start
//! to drain and does not depend on any component.

pub mod acceptor;
mod accounts;
pub mod address_space;
mod answer;
mod connection;
mod enrolment;
mod error;
mod exchanges;
mod files;
pub mod handover;
mod linger;
pub mod listener;
mod providers;
mod remainder;
mod secret;
pub mod server;
mod signals;
#[cfg(test)]
mod unread;
mod waiting;
mod warnings;
mod welcome;
mod wiring;

pub use accounts::Account;
pub use error::StartError;
pub use handover::Handover;
pub use signals::{Ending, Signals};
pub use welcome::reachable;

use std::io::Write;
use std::net::TcpListener;
use std::num::NonZero;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::acceptor::{Acceptor, ConnectionLimits};
use crate::app::server::Server;
use crate::app::welcome::Welcome;
use crate::app::wiring::Core;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Services;
use crate::domain::accounts::bootstrap;
use crate::domain::accounts::bootstrap::Bootstrapped;
use crate::domain::delivery::Closing;
use crate::domain::jobs::Jobs;
use crate::domain::subscriptions;
use crate::store::{Store, Vacuumed};
use crate::transport;
use crate::transport::Context;
use crate::transport::ws;
use crate::transport::ws::WriterPool;

/// Capacity of the channel of committed batches. While it is full, the writer waits.
const COMMITTED_MAX: usize = 1024;

/// Timeout for delivering the last events. Their writes have been answered by then.
const RELAY_PATIENCE: Duration = Duration::from_secs(5);

/// Timeout for sending close frames to connections that did not end in time.
const LAST_WORD: Duration = Duration::from_millis(250);

/// Timeout for the store to commit queued writes and close its file.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// The service, open and ready to serve.
pub struct App {
    config: Arc<Config>,
    services: Services,
    store: Arc<Store>,
    /// Socket tasks; each ends with its connection.
    tasks: TaskTracker,
    /// Tells sockets to start no new work.
    stopping: CancellationToken,
    /// The threads that write to sockets.
    writer_pool: Arc<WriterPool>,
    /// Delivers committed events to the hub; ends after the writer.
    relay: JoinHandle<()>,
    jobs: Jobs,
    first: Bootstrapped,
}

impl App {
    /// Opens the database, migrates it, creates the initial data on a first start, and wires all
    /// components together.
    ///
    /// # Errors
    /// When the database or the secret cannot be used; see [`StartError`].
    pub async fn open(mut config: Config, clock: Clock) -> Result<Self, StartError> {
        let (committed, commits) = mpsc::channel(COMMITTED_MAX);
        let store = Arc::new(open_store(&config, committed).await?);
        if config.auth.secret.0.is_empty() {
            config.auth.secret = secret::require(config.store.filename.as_deref())?;
        }
        let writer_pool = start_writer_pool(&config)?;
        let core = Core::open(&config, clock, Arc::clone(&store), writer_pool.progress()).await?;
        let first = bootstrap::run(&config.bootstrap, &store, &core.accounts).await?;
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let services = core.services(&config, &first, &tasks, &stopping)?;
        let loaded = services.hub.recovery().load().await;
        loaded.map_err(|error| StartError::of_database(config.store.filename.as_deref(), error))?;
        let relay =
            tokio::spawn(subscriptions::run(Arc::clone(&services.hub), Bus::local(), commits));
        let jobs = Jobs::start(&services, &store, &config.store, &stopping);
        let config = Arc::new(config);
        Ok(Self { config, services, store, tasks, stopping, writer_pool, relay, jobs, first })
    }

    /// Prints the address and serves until a signal arrives, then shuts down gracefully: accepts no
    /// new connections, tells sockets to reconnect, lets running requests finish within the drain
    /// timeout, and leaves every acknowledged write on disk. The listening socket stays open.
    ///
    /// # Errors
    /// When the server cannot start; [`StartError::Hurried`] when a second signal interrupts it.
    pub async fn serve(
        mut self,
        listener: &TcpListener,
        signals: &mut Signals,
        handover: &Handover,
    ) -> Result<Ending, StartError> {
        let config = &self.config.server;
        let address = listener.local_addr().map_err(|source| StartError::System {
            what: "the address of the listening socket",
            source,
        })?;
        let room = files::raise_limit(config.connections_max, self.config.store.readers);
        let memory = Arc::clone(&self.services.memory);
        let limits =
            ConnectionLimits { connections_max: room, memory, ..ConnectionLimits::of(config) };
        let acceptor = listener
            .try_clone()
            .and_then(tokio::net::TcpListener::from_std)
            .and_then(|tcp| Acceptor::new(tcp, limits))
            .map_err(|source| StartError::Listen { address, source })?;
        for warning in warnings::of(&self.config, address) {
            tracing::warn!("{warning}");
        }
        let mut server = Server::start(acceptor, self.endpoint(), config.drain);
        let welcome = Welcome::new(&self.config, address, &self.first);
        // Standard output may be closed, which is no reason to stop.
        let _ = write!(std::io::stdout().lock(), "{welcome}");

        let mut ending = tokio::select! {
            ending = next_ending(signals, handover) => ending,
            () = server.ended() => return Err(StartError::ServerEnded),
            // Without one of these tasks the service would acknowledge writes it does not deliver,
            // or refuse every request. Exit so that the supervisor restarts it.
            () = self.store.failed() => return Err(StartError::PartEnded("the database writer")),
            _ = &mut self.relay => return Err(StartError::PartEnded("event delivery")),
            () = self.writer_pool.failed() => return Err(StartError::PartEnded("the socket writer")),
        };
        tracing::info!(ending = ?ending, "finishing running work");
        tokio::select! {
            biased;
            () = self.finish(server) => Ok(ending),
            () = signals.hurry(&mut ending) => Err(StartError::Hurried),
        }
    }

    /// Closes without having served. Every acknowledged write is on disk.
    pub async fn close(self) {
        self.stopping.cancel();
        self.services.hub.close_all(Closing::Restart);
        match tokio::time::timeout(CLOSE_PATIENCE, self.services.hub.recovery().save(None)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot save the recovery positions of clients");
            }
            Err(_) => tracing::warn!("the recovery positions of clients were not saved in time"),
        }
        self.store.end_long_work();
        // Sent mails have to be recorded, or they would be sent again.
        if tokio::time::timeout(RELAY_PATIENCE, self.jobs.ended()).await.is_err() {
            tracing::warn!("some jobs did not stop in time");
        }
        if tokio::time::timeout(CLOSE_PATIENCE, self.store.close()).await.is_err() {
            tracing::warn!(
                "the database was not closed in time; all acknowledged writes are stored"
            );
        }
        if tokio::time::timeout(RELAY_PATIENCE, self.services.committer.ended()).await.is_err() {
            tracing::warn!("writes of several transactions did not finish in time");
        }
        match tokio::time::timeout(RELAY_PATIENCE, self.relay).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = %error, "event delivery had failed"),
            Err(_) => tracing::warn!("event delivery did not stop in time"),
        }
        if tokio::time::timeout(RELAY_PATIENCE, self.services.hub.finish()).await.is_err() {
            tracing::warn!("some subscriptions did not end in time");
        }
        self.writer_pool.stop();
    }

    /// Returns the services, without a transport.
    #[must_use]
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// Returns the results of the bootstrap, to be shown once.
    #[must_use]
    pub const fn first(&self) -> &Bootstrapped {
        &self.first
    }

    /// Returns the endpoint with all routes, to embed in another server.
    #[must_use]
    pub fn endpoint(&self) -> impl poem::Endpoint<Output = poem::Response> + use<> {
        let sockets = ws::Context::new(
            self.services.clone(),
            Arc::clone(&self.config),
            self.tasks.clone(),
            self.stopping.clone(),
            Arc::clone(&self.writer_pool),
        );
        let context = Context::new(self.services.clone(), Arc::clone(&self.config));
        transport::routes(&context, &sockets)
    }

    async fn finish(self, server: Server) {
        let deadline = Instant::now() + self.config.server.drain;
        server.stop_accepting();
        self.stopping.cancel();
        if !self.drain(server, deadline).await {
            // Closing earlier would drop the responses in progress.
            self.services.hub.close_all(Closing::Restart);
            if tokio::time::timeout(LAST_WORD, self.tasks.wait()).await.is_err() {
                tracing::warn!(tasks = self.tasks.len(), "aborting the remaining connections");
            }
        }
        self.close().await;
    }

    /// Waits for running requests and sockets to end, and returns whether they did by the deadline.
    async fn drain(&self, server: Server, deadline: Instant) -> bool {
        let mut drained = pin!(async {
            server.drained().await;
            self.tasks.close();
            tokio::time::timeout_at(deadline, self.tasks.wait()).await.is_ok()
        });
        let give_up = deadline.checked_sub(LAST_WORD).unwrap_or(deadline);
        if let Ok(in_time) = tokio::time::timeout_at(give_up, &mut drained).await {
            return in_time;
        }
        // Interrupts long queries, so that their requests get an error response.
        self.store.end_long_work();
        drained.await
    }
}

/// Creates the database or migrates it to the current schema, and closes it.
///
/// # Errors
/// When it cannot be used.
pub async fn migrate(config: &Config) -> Result<(), StartError> {
    let (committed, _commits) = mpsc::channel(1);
    open_store(config, committed).await?.close().await;
    Ok(())
}

/// Rewrites the database without the space of deleted data, and returns its size before and after.
///
/// # Errors
/// When it cannot be used.
pub async fn vacuum(config: &Config) -> Result<(u64, u64), StartError> {
    migrate(config).await?;
    let vacuumed = Store::vacuum(&config.store).await;
    let Vacuumed { before, after } = vacuumed
        .map_err(|error| StartError::of_database(config.store.filename.as_deref(), error))?;
    Ok((before, after))
}

/// Starts the threads that write to sockets.
fn start_writer_pool(config: &Config) -> Result<Arc<WriterPool>, StartError> {
    WriterPool::start(config.websockets.writer_threads.unwrap_or_else(writer_threads))
        .map_err(|source| StartError::System { what: "threads", source })
}

async fn open_store(
    config: &Config,
    committed: mpsc::Sender<crate::store::Committed>,
) -> Result<Store, StartError> {
    let opened = Store::open(&config.store, committed).await;
    opened.map_err(|error| StartError::of_database(config.store.filename.as_deref(), error))
}

/// Returns the default number of threads that write to sockets: half of the cores. The others read
/// from sockets and produce frames.
fn writer_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.div_ceil(2)
}

/// Waits for a signal to end. A restart is accepted only if the next program can start; otherwise
/// the service continues.
async fn next_ending(signals: &mut Signals, handover: &Handover) -> Ending {
    loop {
        let ending = signals.next().await;
        if ending == Ending::Stop || can_restart(handover) {
            return ending;
        }
    }
}

fn can_restart(handover: &Handover) -> bool {
    if let Err(wrong) = Config::from_env() {
        for wrong in wrong.0 {
            tracing::error!(setting = %wrong.name, "not restarted, a setting is invalid: {wrong}");
        }
        return false;
    }
    if !handover.is_possible() {
        let program = handover.program().display();
        tracing::error!(%program, "not restarted, the program file is missing");
        return false;
    }
    true
}
