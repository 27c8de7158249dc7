//! The one place that knows all parts: open, wire, serve, shut down.
//!
//! `App::open` reads from top to bottom in the order in which parts need each other; nothing else
//! constructs any of them. `server` is the life of the HTTP server between start and drain; it knows
//! no part by name.

pub mod acceptor;
mod accounts;
pub mod address_space;
mod answer;
mod chores;
mod connection;
mod enrolment;
mod error;
mod exchanges;
mod files;
pub mod handover;
mod linger;
pub mod listener;
mod places;
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

pub use accounts::Account;
pub use error::StartError;
pub use handover::Handover;
pub use signals::Ending;
pub use signals::Signals;
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

use crate::app::acceptor::Acceptor;
use crate::app::acceptor::Bounds;
use crate::app::server::Server;
use crate::app::welcome::Welcome;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Services;
use crate::domain::accounts::Accounts;
use crate::domain::admission::Admission;
use crate::domain::auth::Auth;
use crate::domain::auth::password::Passwords;
use crate::domain::auth::password_policy::PasswordPolicy;
use crate::domain::bootstrap;
use crate::domain::bootstrap::Bootstrapped;
use crate::domain::changes::Changes;
use crate::domain::directory::Directory;
use crate::domain::enrolment::Enrolment;
use crate::domain::items::Items;
use crate::domain::items::Patterns;
use crate::domain::memory;
use crate::domain::permissions::Permissions;
use crate::domain::realtime;
use crate::domain::realtime::Closing;
use crate::domain::realtime::Hub;
use crate::domain::realtime::Topics;
use crate::domain::settings::Settings;
use crate::query::Limits;
use crate::store::Store;
use crate::store::Vacuumed;
use crate::transport;
use crate::transport::Context;
use crate::transport::ws;
use crate::transport::ws::Sweep;

/// How many committed batches may wait to be delivered; while there are more the writer waits.
const COMMITTED_MAX: usize = 1024;

/// How long the last events may take to be delivered; their writes have been answered by then.
const RELAY_PATIENCE: Duration = Duration::from_secs(5);

/// How long connections that did not end in time may take to be told so.
const LAST_WORD: Duration = Duration::from_millis(250);

/// How long the store may take to commit what is queued and to close its file.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// How many hashes that anyone may ask for, other than those of passwords, may wait for the one
/// thread they have.
const HASHES_WAITING_MAX: usize = 10;

/// The whole service, open and ready to serve.
pub struct App {
    config: Arc<Config>,
    services: Services,
    store: Arc<Store>,
    /// The tasks of sockets; they end with their connections.
    tasks: TaskTracker,
    /// Tells sockets to begin nothing new.
    stopping: CancellationToken,
    /// Writes sockets.
    sweep: Arc<Sweep>,
    /// Carries committed events to the hub; it ends when the writer has.
    relay: JoinHandle<()>,
    /// Sends mail.
    mail: JoinHandle<()>,
    first: Bootstrapped,
}

impl App {
    /// Opens the database, brings it up to date, creates what a first start creates, and connects
    /// all parts.
    ///
    /// # Errors
    /// When the database or the secret cannot be used; see [`StartError`].
    #[expect(clippy::too_many_lines, reason = "it constructs each part once, in order")]
    pub async fn open(mut config: Config, clock: Clock) -> Result<Self, StartError> {
        let (committed, commits) = mpsc::channel(COMMITTED_MAX);
        let store = Arc::new(open_store(&config, committed).await?);
        if config.auth.secret.0.is_empty() {
            config.auth.secret = secret::require(config.store.filename.as_deref())?;
        }

        let directory = Arc::new(Directory::new(Arc::clone(&store)));
        let permissions = Permissions::open(Arc::clone(&store), clock.clone(), limits(&config));
        let permissions = Arc::new(permissions.await?);
        let sweep = start_sweep(&config)?;
        let changes = Arc::new(Changes::new(
            Arc::clone(&store),
            Arc::clone(&directory),
            Arc::clone(&permissions),
            Admission::new(clock.clone(), config.limits.items, Arc::clone(sweep.progress())),
            clock.clone(),
        ));
        let settings = Arc::new(Settings::new(Arc::clone(&directory)));
        let policy =
            PasswordPolicy::new(config.auth.password_policy.clone(), Arc::clone(&settings));
        let passwords = Arc::new(Passwords::new(config.auth.hash).demanding(policy));
        let accounts = Arc::new(Accounts::new(
            Arc::clone(&store),
            Arc::clone(&changes),
            Arc::clone(&passwords),
            clock.clone(),
        ));
        let first = bootstrap::run(&config.bootstrap, &store, &accounts).await?;
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let auth = Auth::new(
            config.auth.clone(),
            clock.clone(),
            Arc::clone(&store),
            Arc::clone(&changes),
            Arc::clone(&directory),
            Arc::clone(&permissions),
            Arc::clone(&passwords),
        );
        let auth = providers::with_others(auth, &config, &clock, &tasks, &stopping)?;
        let mails = enrolment::mails(&config, &store, &changes, &settings, &clock)?;
        let items = Arc::new(Items {
            memory: memory::budget(config.server.answers_bytes_max),
            clock: clock.clone(),
            store: Arc::clone(&store),
            changes: Arc::clone(&changes),
            permissions: Arc::clone(&permissions),
            directory,
            passwords: Arc::clone(&passwords),
            patterns: Patterns::default(),
            limits: limits(&config),
            config: config.query.clone(),
            public_user: first.public_user,
        });
        let topics = Topics::start(
            Arc::clone(&items),
            Arc::clone(&permissions),
            config.topics.clone(),
            ws::topics::encode,
        );
        let hub = Arc::new(Hub::new(
            Arc::clone(&items),
            Arc::clone(&permissions),
            Arc::clone(&auth),
            Arc::clone(&changes),
            topics,
            &config.websockets,
        ));
        hub.recall()
            .await
            .map_err(|error| StartError::of_database(config.store.filename.as_deref(), error))?;
        let relay = tokio::spawn(realtime::run(Arc::clone(&hub), Bus::local(), commits));

        let enrolment = Arc::new(Enrolment {
            config: config.links.clone(),
            clock: clock.clone(),
            store: Arc::clone(&store),
            changes: Arc::clone(&changes),
            settings: Arc::clone(&settings),
            passwords,
            throttle: Arc::clone(auth.throttle()),
            items: Arc::clone(&items),
            accounts: Arc::clone(&accounts),
            mails: Arc::clone(&mails),
        });

        let services = Services {
            auth,
            permissions,
            memory: Arc::clone(&items.memory),
            items,
            hub,
            accounts,
            enrolment,
            mails,
            hashing: Arc::new(Passwords::with_places(config.auth.hash, 1, HASHES_WAITING_MAX)),
            changes,
            settings,
            clock,
        };
        let config = Arc::new(config);
        chores::begin(&tasks, &stopping, &services, &store, &config.store);
        let mail = tokio::spawn(enrolment::deliver(Arc::clone(&services.mails), stopping.clone()));
        Ok(Self { config, services, store, tasks, stopping, sweep, relay, mail, first })
    }

    /// Serves until a signal says to end, prints where, and ends in good order: no new connections,
    /// sockets told to come back, running requests finished within their bound, everything that was
    /// acknowledged on disk. The listening socket stays open throughout.
    ///
    /// # Errors
    /// When the server cannot start; [`StartError::Hurried`] when a second signal cut it short.
    pub async fn serve(
        mut self,
        listener: &TcpListener,
        signals: &mut Signals,
        handover: &Handover,
    ) -> Result<Ending, StartError> {
        let config = &self.config.server;
        let address = listener
            .local_addr()
            .map_err(|source| StartError::System { what: "the address of a socket", source })?;
        let room = files::make_room(config.connections_max, self.config.store.readers);
        let memory = Arc::clone(&self.services.memory);
        let bounds = Bounds { connections_max: room, memory, ..Bounds::of(config) };
        let acceptor = listener
            .try_clone()
            .and_then(tokio::net::TcpListener::from_std)
            .and_then(|tcp| Acceptor::new(tcp, bounds))
            .map_err(|source| StartError::Listen { address, source })?;
        for warning in warnings::of(&self.config, address) {
            tracing::warn!("{warning}");
        }
        let mut server = Server::start(acceptor, self.endpoint(), config.drain);
        let welcome = Welcome::new(&self.config, address, &self.first);
        // Whoever started it may have closed its output; that is no reason not to serve.
        let _ = write!(std::io::stdout().lock(), "{welcome}");

        let mut ending = tokio::select! {
            ending = next_ending(signals, handover) => ending,
            () = server.ended() => return Err(StartError::ServerEnded),
            // Half a service would acknowledge what it does not deliver, or refuse everything for
            // ever: whoever supervises the process starts a whole one.
            () = self.store.failed() => return Err(StartError::PartEnded("the writer")),
            _ = &mut self.relay => return Err(StartError::PartEnded("the delivery of events")),
            () = self.sweep.failed() => return Err(StartError::PartEnded("the writing of sockets")),
        };
        tracing::info!(ending = ?ending, "finishing running work");
        tokio::select! {
            biased;
            () = self.finish(server) => Ok(ending),
            () = signals.hurry(&mut ending) => Err(StartError::Hurried),
        }
    }

    /// Ends without having served: everything that was acknowledged is on disk.
    pub async fn close(self) {
        self.stopping.cancel();
        self.services.hub.close_all(Closing::Restart);
        match tokio::time::timeout(CLOSE_PATIENCE, self.services.hub.remember(None)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "how far clients have got could not be written down");
            }
            Err(_) => tracing::warn!("how far clients have got was not written down in time"),
        }
        // What was sent is to be noted, or it would be sent again.
        if !matches!(tokio::time::timeout(RELAY_PATIENCE, self.mail).await, Ok(Ok(()))) {
            tracing::warn!("the sending of mails did not end in good order");
        }
        if tokio::time::timeout(CLOSE_PATIENCE, self.store.close()).await.is_err() {
            tracing::warn!("the database was not closed in time; what was acknowledged is in it");
        }
        if tokio::time::timeout(RELAY_PATIENCE, self.services.changes.ended()).await.is_err() {
            tracing::warn!("writes of several transactions did not end in time");
        }
        match tokio::time::timeout(RELAY_PATIENCE, self.relay).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = %error, "the delivery of events had failed"),
            Err(_) => tracing::warn!("the delivery of events did not end in time"),
        }
        if tokio::time::timeout(RELAY_PATIENCE, self.services.hub.finish()).await.is_err() {
            tracing::warn!("some subscriptions did not end in time");
        }
        self.sweep.stop();
    }

    /// Returns the service's calls, without a transport.
    #[must_use]
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// Returns what this start has to tell once.
    #[must_use]
    pub const fn first(&self) -> &Bootstrapped {
        &self.first
    }

    /// Returns everything the service answers, for a server of one's own.
    #[must_use]
    pub fn endpoint(&self) -> impl poem::Endpoint<Output = poem::Response> + use<> {
        let sockets = ws::Context::new(
            self.services.clone(),
            &self.config,
            self.tasks.clone(),
            self.stopping.clone(),
            Arc::clone(&self.sweep),
        );
        let context = Context::new(self.services.clone(), Arc::clone(&self.config));
        transport::routes(&context, &sockets)
    }

    async fn finish(self, server: Server) {
        let deadline = Instant::now() + self.config.server.drain;
        server.stop_accepting();
        self.stopping.cancel();
        if !self.drain(server, deadline).await {
            // Told to come back earlier, they would not get the answers that were being made.
            self.services.hub.close_all(Closing::Restart);
            if tokio::time::timeout(LAST_WORD, self.tasks.wait()).await.is_err() {
                tracing::warn!(tasks = self.tasks.len(), "connections are cut off");
            }
        }
        self.close().await;
    }

    /// Waits until all requests are answered and all sockets closed, and returns whether they were by
    /// then.
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
        // Whoever asked for something that takes so long is told that it will not come.
        self.store.end_long_work();
        drained.await
    }
}

/// Creates the database or brings its schema up to date, and nothing else.
///
/// # Errors
/// When it cannot be used.
pub async fn migrate(config: &Config) -> Result<(), StartError> {
    let (committed, _commits) = mpsc::channel(1);
    open_store(config, committed).await?.close().await;
    Ok(())
}

/// Writes the database anew without the space of deleted data, and returns its size before and after.
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

/// Starts the threads that write sockets.
fn start_sweep(config: &Config) -> Result<Arc<Sweep>, StartError> {
    Sweep::start(config.websockets.sweep_threads.unwrap_or_else(sweep_threads))
        .map_err(|source| StartError::System { what: "threads", source })
}

async fn open_store(
    config: &Config,
    committed: mpsc::Sender<crate::store::Committed>,
) -> Result<Store, StartError> {
    let opened = Store::open(&config.store, committed).await;
    opened.map_err(|error| StartError::of_database(config.store.filename.as_deref(), error))
}

/// Returns how many threads write sockets if nothing is said: the others read them, and make what is
/// written.
fn sweep_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.div_ceil(2)
}

fn limits(config: &Config) -> Limits {
    Limits {
        default: config.query.limit_default,
        max: config.query.limit_max,
        depth: config.query.depth_max,
        ..Limits::default()
    }
}

/// Waits until the process is asked to end. Asked to replace itself, it first makes sure that the
/// next one can start; else it goes on as it is.
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
            tracing::error!(setting = %wrong.name, "not restarted, a setting is wrong: {wrong}");
        }
        return false;
    }
    if !handover.is_possible() {
        let program = handover.program().display();
        tracing::error!(%program, "not restarted, there is no program");
        return false;
    }
    true
}
