//! A complete service on a free port, with its database in a directory of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chinwag::app::App;
use chinwag::app::acceptor::{Acceptor, ConnectionLimits};
use chinwag::app::server::Server;
use chinwag::clock::{Clock, Timestamp};
use chinwag::config::{Config, Secret};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::Client;
use crate::support::panics;
use crate::support::secrets;
use crate::support::soon;

/// The administrator's address and password.
pub const ADMIN: (&str, &str) = ("admin@example.com", "the administrator's password");

/// The start time of tests with a manual clock: 2026-01-31T12:00:00.000Z.
const NOON: Timestamp = Timestamp::from_millis(1_769_860_800_000);

/// Time for requests to finish once a test has ended.
const DRAIN: Duration = Duration::from_millis(200);

/// A running service. A test stops it as its last step, which fails if one of its tasks panicked.
pub struct TestServer {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// Its clock.
    pub clock: Clock,
    config: Config,
    running: Option<Running>,
}

struct Running {
    app: App,
    server: Server,
    directory: TempDir,
}

impl TestServer {
    /// Starts a service in its initial state: an administrator, the Member role, and a Public
    /// policy that allows nothing.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a service with other settings.
    pub async fn with(bend: impl FnOnce(&mut Config)) -> Self {
        Self::open(tempfile::tempdir().unwrap(), Clock::system(), config(bend)).await
    }

    /// Starts a service with a clock that stands still until the test advances it.
    pub async fn at_noon(bend: impl FnOnce(&mut Config)) -> Self {
        Self::open(tempfile::tempdir().unwrap(), Clock::manual(NOON), config(bend)).await
    }

    async fn open(directory: TempDir, clock: Clock, config: Config) -> Self {
        panics::watch();
        secrets::watch();
        secrets::keep("the administrator's password", ADMIN.1);
        let mut settings = config.clone();
        settings.store.filename = Some(directory.path().join("chinwag.db"));
        let app = Box::pin(App::open(settings, clock.clone())).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = Acceptor::new(listener, ConnectionLimits::of(&config.server)).unwrap();
        let server = Server::start(acceptor, app.endpoint(), DRAIN);
        let running = Running { app, server, directory };
        Self { address, clock, config, running: Some(running) }
    }

    /// Stops the service and waits for its tasks.
    ///
    /// # Panics
    ///
    /// If one of its tasks panicked at any time, or a secret was in its log or in an error.
    pub async fn stop(mut self) {
        self.end().await;
    }

    /// Stops the service, and inspects its files before the directory is removed.
    pub async fn stop_and(mut self, look: impl FnOnce()) {
        let directory = self.end().await;
        look();
        drop(directory);
    }

    /// Stops the service and starts it again on the same database.
    pub async fn restart(mut self) -> Self {
        let directory = self.end().await;
        Self::open(directory, self.clock.clone(), self.config.clone()).await
    }

    async fn end(&mut self) -> TempDir {
        let Running { app, server, directory } = self.running.take().unwrap();
        server.stop_accepting();
        soon(server.drained()).await;
        soon(app.close()).await;
        let panics = panics::here();
        assert!(panics.is_empty(), "tasks panicked: {panics:#?}");
        let told = secrets::told();
        assert!(told.is_empty(), "secrets were logged or answered: {told:#?}");
        directory
    }

    /// Returns the path of the database file.
    pub fn database(&self) -> PathBuf {
        self.running.as_ref().unwrap().directory.path().join("chinwag.db")
    }

    /// Returns the service in this process.
    pub fn app(&self) -> &App {
        &self.running.as_ref().unwrap().app
    }

    /// Returns a client without credentials.
    pub fn anonymous(&self) -> Client {
        Client::new(self.address)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        assert!(
            self.running.is_none() || std::thread::panicking(),
            "the last step of a test is `server.stop().await`"
        );
    }
}

fn config(bend: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::for_tests();
    config.bootstrap.admin_email = Some(ADMIN.0.to_owned());
    config.bootstrap.admin_password = Some(Secret(ADMIN.1.to_owned()));
    // Frames as in Directus; the fields that cursors add have tests of their own.
    config.websockets.cursors = false;
    bend(&mut config);
    config
}
