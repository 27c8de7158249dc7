//! The settings: read once, from the environment and `.env`, under the names Directus uses.
//!
//! One small struct per concern; each field documents its variable and default. `.env.example` is
//! the manual, and a test keeps the two consistent. An empty variable counts as unset, and unknown
//! names are ignored. `read` is the table of names, defaults and parsers; `parse` has the parsers,
//! and `reader` reads the sources.

mod browser;
mod email;
mod issuer;
mod limits;
mod parse;
mod pattern;
mod providers;
mod read;
mod reader;
mod suggest;
mod topics;
mod trust_proxy;

pub use browser::BrowserConfig;
pub use browser::CorsConfig;
pub use browser::HstsConfig;
pub use browser::Origins;
pub use email::EmailConfig;
pub use email::EmailTransport;
pub use email::LinksConfig;
pub use email::SmtpConfig;
pub use issuer::IssuerConfig;
pub use limits::LimitsConfig;
pub use limits::RateLimit;
pub use pattern::Pattern;
pub use providers::Admission;
pub use providers::ClaimKeys;
pub use providers::Driver;
pub use providers::ProviderConfig;
pub use providers::ProviderMode;
pub use providers::ProvidersConfig;
pub use reader::InvalidSetting;
pub use reader::InvalidSettings;
pub use reader::Setting;
pub use topics::TopicsConfig;
pub use trust_proxy::TrustProxy;

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::reader::Reader;

/// All settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// Browser policies.
    pub browser: BrowserConfig,
    /// The database.
    pub store: StoreConfig,
    /// Authentication.
    pub auth: AuthConfig,
    /// Rate limits.
    pub limits: LimitsConfig,
    /// Identity providers.
    pub providers: ProvidersConfig,
    /// Outgoing mail.
    pub email: EmailConfig,
    /// Links in mails.
    pub links: LinksConfig,
    /// The WebSocket of Directus's protocol.
    pub websockets: WebSocketConfig,
    /// The WebSocket of topics.
    pub topics: TopicsConfig,
    /// Limits of queries.
    pub query: QueryConfig,
    /// Data created on a first start.
    pub bootstrap: BootstrapConfig,
    /// Logs.
    pub log: LogConfig,
}

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `HOST`, default `127.0.0.1`.
    pub host: IpAddr,
    /// `PORT`, default 8055; 0 for any free port.
    pub port: u16,
    /// `PUBLIC_URL`: the URL under which browsers reach the service; default `/`, that is unknown.
    pub public_url: String,
    /// `--public`: a directory with a built front end, served at `/`.
    pub public_dir: Option<PathBuf>,
    /// `MAX_PAYLOAD_SIZE`, default `1mb`: the largest request body, in bytes.
    pub body_bytes_max: usize,
    /// `ANSWERS_SIZE_MAX`, default `256mb`: memory budget of requests and responses, from the first
    /// byte of a request until the client has read the response. An account may use a quarter, an
    /// address a twentieth.
    pub answers_bytes_max: usize,
    /// `JSON_DEPTH_MAX`, default 32: maximum JSON depth of bodies, query strings and WebSocket
    /// messages.
    pub json_depth_max: usize,
    /// `SERVER_SHUTDOWN_TIMEOUT`, in milliseconds, default 5000: how long running requests may take
    /// to end after a signal.
    pub drain: Duration,
    /// `URL_SIZE_MAX`, default `32kb`: the longest request URL, in bytes.
    pub url_bytes_max: usize,
    /// `HEADERS_SIZE_MAX`, default `32kb`: the largest request headers, in bytes.
    pub headers_bytes_max: usize,
    /// `CONNECTIONS_MAX`, default 100000: open connections in total; one more is closed at once.
    pub connections_max: usize,
    /// `CONNECTIONS_PER_ADDRESS_MAX`, default 50000: open connections from one address; one more is
    /// answered 429 and closed.
    pub connections_per_address_max: Option<usize>,
    /// `HEADER_TIMEOUT`, default `10s`: timeout for the head of a request.
    pub header_timeout: Duration,
    /// `SERVER_KEEP_ALIVE_TIMEOUT`, in milliseconds, default 150000: idle timeout of a connection
    /// after a response.
    pub keep_alive_timeout: Duration,
    /// `IP_TRUST_PROXY`, default false: proxies trusted to set `X-Forwarded-For`.
    pub trust_proxy: TrustProxy,
    /// `PROJECT_NAME`, default `chinwag`: shown by `/server/info` and the chat page.
    pub project_name: String,
}

/// The database.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `DB_FILENAME`, default `data/chinwag.db`; `None` for a database in memory (tests only).
    pub filename: Option<PathBuf>,
    /// `DB_READERS`, default 4: number of read connections.
    pub readers: u32,
    /// `DB_QUERY_TIMEOUT`, in milliseconds, default 10000: timeout of a client's query in the
    /// database. A longer query is cancelled and answered 503.
    pub query_timeout: Duration,
    /// `DB_WRITE_QUEUE_MAX`, default 10000: queued writes; more are refused with 503.
    pub write_queue_max: usize,
    /// `DB_WRITE_QUEUE_SIZE_MAX`, default `64mb`: size of the queued writes; more are answered 503.
    /// One account, or all visitors from one address together, may use a quarter of it.
    pub write_queue_bytes_max: usize,
    /// `DB_WRITE_BATCH_MAX`, default 1000: writes in one transaction.
    pub write_batch_max: usize,
    /// `DB_MUTATION_SIZE_MAX`, default `4mb`: bytes of the items that one request updates or
    /// deletes, counting old and new versions; more are refused.
    pub mutation_bytes_max: usize,
    /// `DB_WAL_SIZE_MAX`, default `40mb`: how large overlapping reads may let the write-ahead log
    /// grow. From half of it on, costly reads wait. Beyond it all reads wait briefly, and running
    /// costly ones are cancelled and answered 503.
    pub wal_bytes_max: usize,
    /// Maximum number of items in one event, and of follow-up changes in one transaction; not
    /// configurable.
    pub step_rows_max: usize,
    /// The same in bytes of their texts; not configurable.
    pub step_bytes_max: usize,
    /// `EVENT_LOG_RETENTION`, default `7d`: how long events are kept; zero keeps them forever.
    pub log_retention: Duration,
    /// `EVENT_LOG_EVENTS_MAX`, default 1000000: number of events kept; 0 keeps all.
    pub log_events_max: i64,
}

/// Authentication.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `SECRET`, at least 32 characters; default: generated on the first start and kept beside the
    /// database. Signs access tokens. Empty here until `app` has read or generated it.
    pub secret: Secret,
    /// `ACCESS_TOKEN_TTL`, default `15m`.
    pub access_token_ttl: Duration,
    /// `REFRESH_TOKEN_TTL`, default `7d`.
    pub refresh_token_ttl: Duration,
    /// `SESSION_COOKIE_TTL`, default `1d`.
    pub session_ttl: Duration,
    /// `SESSION_LIFETIME_MAX`, default `30d`: maximum lifetime of a session, despite refreshes.
    pub session_lifetime_max: Duration,
    /// `SESSION_REFRESH_GRACE_PERIOD`, default `10s`.
    pub refresh_grace: Duration,
    /// `LOGIN_STALL_TIME`, in milliseconds, default 500: minimum duration of a refused login.
    pub login_stall: Duration,
    /// `REFRESH_TOKEN_COOKIE_NAME`, `…_SECURE`, `…_SAME_SITE`, `…_DOMAIN`.
    pub refresh_cookie: CookieConfig,
    /// `SESSION_COOKIE_NAME`, `…_SECURE`, `…_SAME_SITE`, `…_DOMAIN`.
    pub session_cookie: CookieConfig,
    /// `HASH_MEMORY_COST` (KiB, default 19456), `HASH_TIME_COST` (default 2),
    /// `HASH_PARALLELISM` (default 1): argon2id.
    pub hash: HashConfig,
    /// `AUTH_PASSWORD_POLICY`, default none: a pattern for new passwords, in addition to the
    /// minimum length and the list of common passwords.
    pub password_policy: Option<Pattern>,
    /// `AUTH_THROTTLE_ENABLED`, default true: whether failed sign-ins and similar failures delay
    /// further attempts.
    pub throttle: bool,
    /// `SESSIONS_PER_USER_MAX`, default 1000: one more ends the least recently refreshed one.
    pub sessions_per_user_max: usize,
}

/// The cost of a password hash (argon2id).
#[derive(Debug, Clone, Copy)]
pub struct HashConfig {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Number of passes.
    pub passes: u32,
    /// Number of lanes.
    pub lanes: u32,
}

/// Attributes of a cookie.
#[derive(Debug, Clone)]
pub struct CookieConfig {
    /// The name.
    pub name: String,
    /// Whether browsers send it over TLS only; default false.
    pub secure: bool,
    /// `lax` (default), `strict` or `none`.
    pub same_site: SameSite,
    /// The domain; default none, that is the exact host.
    pub domain: Option<String>,
}

/// When browsers send a cookie with requests from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// With top-level navigation.
    Lax,
    /// Always.
    None,
}

/// The WebSocket of Directus's protocol.
#[derive(Debug, Clone)]
pub struct WebSocketConfig {
    /// `WEBSOCKETS_ENABLED`, default true: whether `/websocket` is served.
    pub enabled: bool,
    /// `WEBSOCKETS_REST_AUTH`, default `public`.
    pub auth: WebSocketAuth,
    /// `WEBSOCKETS_REST_AUTH_TIMEOUT`, in seconds, default 10.
    pub auth_timeout: Duration,
    /// `WEBSOCKETS_HEARTBEAT_ENABLED`, default true.
    pub heartbeat: bool,
    /// `WEBSOCKETS_HEARTBEAT_PERIOD`, in seconds, default 30.
    pub heartbeat_period: Duration,
    /// `WEBSOCKETS_REST_CONN_LIMIT`, default none: open sockets; one more is answered 403.
    pub connections_max: Option<usize>,
    /// `WEBSOCKETS_FRAME_SIZE_MAX`, default `1mb`: the largest message from a client.
    pub frame_bytes_max: usize,
    /// `WEBSOCKETS_HANDSHAKE_SIZE_MAX`, default `16kb`: the same before sign-in, in modes that
    /// require one.
    pub handshake_bytes_max: usize,
    /// `WEBSOCKETS_OUTBOXES_SIZE_MAX`, default `32mb`: unsent bytes of all connections together,
    /// counting shared frames once. Beyond it the connections with the largest backlog are closed.
    pub outboxes_bytes_max: usize,
    /// `WEBSOCKETS_OUTBOX_SIZE_MAX`, default `1mb`: unsent bytes of one connection, beyond which it
    /// is closed as a slow reader.
    pub outbox_bytes_max: usize,
    /// `WEBSOCKETS_SUBSCRIPTIONS_MAX`, default 128: subscriptions per socket.
    pub subscriptions_max: usize,
    /// `WEBSOCKETS_USER_SUBSCRIPTIONS_MAX`, default 50000: subscriptions over all sockets of one
    /// account, or of one address without an account. All clients of one address together may have
    /// four times as many.
    pub user_subscriptions_max: usize,
    /// `WEBSOCKETS_USER_QUERIES_MAX`, default 2000: distinct queries of these subscriptions; a
    /// costly one counts several times.
    pub user_queries_max: usize,
    /// `WEBSOCKETS_QUERIES_SIZE_MAX`, default `64kb`: size of the queries of all subscriptions of
    /// one socket.
    pub queries_bytes_max: usize,
    /// `WEBSOCKETS_USER_QUERIES_SIZE_MAX`, default `1mb`: the same over all sockets of one account,
    /// or of one address without an account. Short queries do not count here.
    pub user_queries_bytes_max: usize,
    /// `WEBSOCKETS_ALL_QUERIES_SIZE_MAX`, default `16mb`: the same over all sockets. Short queries
    /// do not count here either.
    pub all_queries_bytes_max: usize,
    /// `WEBSOCKETS_ANSWER_SIZE_MAX`, default `4mb`: the largest response on a socket, the largest
    /// snapshot of a subscription, and the largest notification with whole items.
    pub answer_bytes_max: usize,
    /// `WEBSOCKETS_POSITIONS_MAX`, default 20000: stored positions of subscriptions with `recover`.
    pub positions_max: usize,
    /// `WEBSOCKETS_USER_POSITIONS_MAX`, default 500: the same per account, or per address without
    /// an account.
    pub user_positions_max: usize,
    /// `WEBSOCKETS_CURSORS`, default true, with `handshake` false: whether frames carry cursors
    /// even if the subscription does not ask for them.
    pub cursors: bool,
    /// `WEBSOCKETS_PENDING_MAX`, default 128: queued frames of one socket. While the queue is full
    /// the socket is not read.
    pub pending_max: usize,
    /// `WEBSOCKETS_UPGRADES_MAX`, default 2000: upgrades per second. Excess upgrades wait, and
    /// those that would wait too long are answered 503.
    pub upgrades_per_second: u32,
    /// `WEBSOCKETS_MESSAGES_MAX`, default 5000: messages per second and socket; more are refused.
    pub messages_per_second: u32,
    /// `WEBSOCKETS_USER_MESSAGES_MAX`, default 50000: messages per second over all sockets of one
    /// account; more are refused.
    pub user_messages_per_second: u32,
    /// `WEBSOCKETS_FRAMES_MAX`, default 1000: pings, pongs and message fragments read from one
    /// socket per second.
    pub parts_per_second: u32,
    /// `WEBSOCKETS_SWEEP_THREADS`: threads that write to sockets, each serving a share of them;
    /// at least one; default: one for every two cores.
    pub writer_threads: Option<usize>,
}

/// Access to a socket before sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocketAuth {
    /// Everything the Public policy allows; a failed sign-in leaves the socket open.
    Public,
    /// Only a sign-in, as the first frame and within the timeout.
    Handshake,
    /// None: the upgrade is refused without a token in its URL.
    Strict,
}

/// Limits of queries.
#[derive(Debug, Clone)]
pub struct QueryConfig {
    /// `QUERY_LIMIT_DEFAULT`, default 100, or `QUERY_LIMIT_MAX` if that is less.
    pub limit_default: u64,
    /// `QUERY_LIMIT_MAX`, default 10000; `None` (-1) for no bound.
    pub limit_max: Option<u64>,
    /// `MAX_RELATIONAL_DEPTH`, default 10.
    pub depth_max: usize,
    /// `MAX_BATCH_MUTATION`, default 1000: items one request may change.
    pub batch_max: usize,
    /// `CONTENT_LENGTH_MAX`, default 65536: characters in the content of a message.
    pub text_max: usize,
    /// `MESSAGES_REQUIRE_CONTENT`, default true: whether a message without visible text is refused.
    pub require_content: bool,
    /// `ANSWER_SIZE_MAX`, default `32mb`: the largest response to a REST read, in bytes.
    pub answer_bytes_max: usize,
}

/// Data created on a first start.
#[derive(Debug, Clone)]
pub struct BootstrapConfig {
    /// `ADMIN_EMAIL`, default `admin@example.com`.
    pub admin_email: Option<String>,
    /// `ADMIN_PASSWORD`; default: generated and printed once.
    pub admin_password: Option<Secret>,
    /// `PUBLIC_USER`: the address or id of the account that anonymous creates are attributed to.
    /// Unset: none, or with `--demo` the guest account it creates. Empty: none.
    pub public_user: Option<String>,
    /// `--demo`: the state at the end of the tutorial.
    pub demo: bool,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `LOG_LEVEL`: `trace`, `debug`, `info` (default), `warn`, `error`, `fatal` or `silent`, or
    /// filters such as `info,chinwag::store=debug`. Stored as filters.
    pub level: String,
    /// `LOG_STYLE`: `pretty` (default) or `raw` (JSON lines).
    pub json: bool,
}

/// A text that is redacted in logs and errors.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Returns the search path of programs (`PATH`).
#[must_use]
pub fn search_path() -> Option<OsString> {
    std::env::var_os("PATH")
}

impl Config {
    /// Reads the process environment and `.env` in the working directory; the former has
    /// precedence. The caller fills in the command-line options (`--demo`, `--public`).
    ///
    /// # Errors
    /// All wrong settings at once.
    pub fn from_env() -> Result<Self, InvalidSettings> {
        let mut settings = Reader::from_env();
        let config = Self::read(&mut settings);
        settings.finish(config)
    }

    /// Reads the settings from these texts only.
    ///
    /// # Errors
    /// All wrong settings at once.
    pub fn from_texts<N: Into<String>, T: Into<String>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, InvalidSettings> {
        let texts = texts.into_iter().map(|(name, text)| (name.into(), text.into()));
        let mut settings = Reader::new(texts.collect());
        let config = Self::read(&mut settings);
        settings.finish(config)
    }

    /// Applies `--demo`: initial data with known passwords, and CORS for pages on this machine
    /// unless `CORS_ENABLED` is set.
    pub fn enable_demo(&mut self) {
        self.bootstrap.demo = true;
        self.browser.cors.allow_local();
    }

    /// Returns settings for tests: a database in memory, any free port, cheap password hashes, no
    /// delay of refused logins.
    ///
    /// # Panics
    /// Never: the defaults are valid settings.
    #[must_use]
    pub fn for_tests() -> Self {
        let mut config =
            Self::from_texts::<&str, &str>([]).expect("the default settings are valid");
        config.store.filename = None;
        config.server.port = 0;
        config.auth.hash = HashConfig { memory_kib: 8, passes: 1, lanes: 1 };
        config.auth.login_stall = Duration::ZERO;
        config.links.register_stall = Duration::ZERO;
        config.links.reset_stall = Duration::ZERO;
        config
    }

    /// Returns all settings with their defaults, in the order of `.env.example`.
    #[must_use]
    pub fn settings() -> Vec<Setting> {
        let mut settings = Reader::new(HashMap::new());
        Self::read(&mut settings);
        settings.known()
    }
}
