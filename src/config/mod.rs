//! The settings: read once, from the environment and `.env`, under the names Directus uses.
//!
//! One small struct per concern; each field names its variable and default. `.env.example` is the
//! manual, and a test keeps the two equal. An empty variable counts as none; names that mean
//! nothing here are left alone. `read` is the table of names, defaults and forms; `form` knows what
//! values look like, `settings` where they are.

mod browser;
mod email;
mod form;
mod issuer;
mod limits;
mod misspelt;
mod pattern;
mod providers;
mod read;
mod settings;
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
pub use limits::Quota;
pub use pattern::Pattern;
pub use providers::Admission;
pub use providers::ClaimKeys;
pub use providers::Driver;
pub use providers::ProviderConfig;
pub use providers::ProviderMode;
pub use providers::ProvidersConfig;
pub use settings::Setting;
pub use settings::Wrong;
pub use settings::WrongSettings;
pub use trust_proxy::TrustProxy;

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::settings::Settings;

/// All settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where and how it listens.
    pub server: ServerConfig,
    /// What browsers may do, and are told.
    pub browser: BrowserConfig,
    /// Where it keeps things.
    pub store: StoreConfig,
    /// How people sign in.
    pub auth: AuthConfig,
    /// How much clients may ask for.
    pub limits: LimitsConfig,
    /// With whom else.
    pub providers: ProvidersConfig,
    /// How mail leaves.
    pub email: EmailConfig,
    /// What is done by links in mails.
    pub links: LinksConfig,
    /// The socket.
    pub websockets: WebSocketConfig,
    /// The socket of topics.
    pub topics: TopicsConfig,
    /// The bounds of queries.
    pub query: QueryConfig,
    /// What a first start creates.
    pub bootstrap: BootstrapConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Where and how it listens.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `HOST`, default `127.0.0.1`.
    pub host: IpAddr,
    /// `PORT`, default 8055; 0 for any free one.
    pub port: u16,
    /// `PUBLIC_URL`: the address under which browsers reach it; default `/`, that is unknown.
    pub public_url: String,
    /// `--public`: a directory with a built front end to serve at `/`.
    pub public_dir: Option<PathBuf>,
    /// `MAX_PAYLOAD_SIZE`, default `1mb`: the largest request body, in bytes.
    pub body_bytes_max: usize,
    /// `ANSWERS_SIZE_MAX`, default `256mb`: what clients make the server hold, from the bytes of a request
    /// to those of its response, until that is read. An account has a quarter, an address a twentieth.
    pub answers_bytes_max: usize,
    /// `JSON_DEPTH_MAX`, default 32: how deep the JSON of bodies, addresses and messages of sockets
    /// may nest.
    pub json_depth_max: usize,
    /// `SERVER_SHUTDOWN_TIMEOUT`, in milliseconds, default 5000: how long running requests may take
    /// to end after a signal.
    pub drain: Duration,
    /// `URL_SIZE_MAX`, default `32kb`: the longest address of a request, in bytes.
    pub url_bytes_max: usize,
    /// `HEADERS_SIZE_MAX`, default `32kb`: the largest headers of a request, in bytes.
    pub headers_bytes_max: usize,
    /// `CONNECTIONS_MAX`, default 100000: open connections in all; one more is closed at once.
    pub connections_max: usize,
    /// `CONNECTIONS_PER_ADDRESS_MAX`, default 50000: open connections from one address; one more is
    /// answered 429 and closed.
    pub connections_per_address_max: Option<usize>,
    /// `HEADER_TIMEOUT`, default `10s`: how long a connection may take for the head of a request.
    pub header_timeout: Duration,
    /// `SERVER_KEEP_ALIVE_TIMEOUT`, in milliseconds, default 150000: how long a connection may be without
    /// a request after an answer.
    pub keep_alive_timeout: Duration,
    /// `IP_TRUST_PROXY`, default false: whose `X-Forwarded-For` says where a request comes from.
    pub trust_proxy: TrustProxy,
    /// `PROJECT_NAME`, default `chinwag`: shown by `/server/info` and the chat page.
    pub project_name: String,
}

/// Where it keeps things.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `DB_FILENAME`, default `data/chinwag.db`; `None` for a database in memory (tests only).
    pub filename: Option<PathBuf>,
    /// `DB_READERS`, default 4: connections for reading.
    pub readers: u32,
    /// `DB_QUERY_TIMEOUT`, in milliseconds, default 10000: how long a client's query may take in the
    /// database. One that takes longer is ended and answered 503.
    pub query_timeout: Duration,
    /// `DB_WRITE_QUEUE_MAX`, default 10000: writes that may wait; more are refused with 503.
    pub write_queue_max: usize,
    /// `DB_WRITE_QUEUE_SIZE_MAX`, default `64mb`: how many bytes writes may have that wait; more are
    /// refused with 503. A quarter of it is what one account, or all visitors from one address
    /// together, may have waiting.
    pub write_queue_bytes_max: usize,
    /// `DB_WRITE_BATCH_MAX`, default 1000: writes in one transaction.
    pub write_batch_max: usize,
    /// `DB_MUTATION_SIZE_MAX`, default `32mb`: how many bytes the items may have that one request
    /// updates or deletes, as they were and as they become; more are refused.
    pub mutation_bytes_max: usize,
    /// `DB_WAL_SIZE_MAX`, default `40mb`: how long the write-ahead log may become because of reads
    /// that overlap. From half of it on costly reads wait; beyond it all reads wait for a moment, and
    /// costly ones are ended and answered 503.
    pub wal_bytes_max: usize,
    /// How many items an event names at most, and how many follow from a write in one transaction; no
    /// setting.
    pub step_rows_max: usize,
    /// How many bytes of their texts; no setting.
    pub step_bytes_max: usize,
    /// `EVENT_LOG_RETENTION`, default `7d`: how long events are kept; zero for ever.
    pub log_retention: Duration,
    /// `EVENT_LOG_EVENTS_MAX`, default 1000000: how many events are kept; 0 for all.
    pub log_events_max: i64,
}

/// How people sign in.
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
    /// `SESSION_LIFETIME_MAX`, default `30d`: how long a session lasts however often it is renewed.
    pub session_lifetime_max: Duration,
    /// `SESSION_REFRESH_GRACE_PERIOD`, default `10s`.
    pub refresh_grace: Duration,
    /// `LOGIN_STALL_TIME`, in milliseconds, default 500: what a refused login takes at least.
    pub login_stall: Duration,
    /// `REFRESH_TOKEN_COOKIE_NAME`, `…_SECURE`, `…_SAME_SITE`, `…_DOMAIN`.
    pub refresh_cookie: CookieConfig,
    /// `SESSION_COOKIE_NAME`, `…_SECURE`, `…_SAME_SITE`, `…_DOMAIN`.
    pub session_cookie: CookieConfig,
    /// `HASH_MEMORY_COST` (KiB, default 19456), `HASH_TIME_COST` (default 2),
    /// `HASH_PARALLELISM` (default 1): argon2id.
    pub hash: HashConfig,
    /// `AUTH_PASSWORD_POLICY`, default none: what new passwords have to fit, besides being long
    /// enough and not common.
    pub password_policy: Option<Pattern>,
    /// `AUTH_THROTTLE_ENABLED`, default true: whether failed sign-ins and their like make the next
    /// attempts wait.
    pub throttle: bool,
    /// `SESSIONS_PER_USER_MAX`, default 1000: one more ends the one that was not refreshed for
    /// longest.
    pub sessions_per_user_max: usize,
}

/// The cost of a password hash (argon2id).
#[derive(Debug, Clone, Copy)]
pub struct HashConfig {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// How a cookie is set.
#[derive(Debug, Clone)]
pub struct CookieConfig {
    /// The name.
    pub name: String,
    /// Whether browsers send it over TLS only; default false.
    pub secure: bool,
    /// `lax` (default), `strict` or `none`.
    pub same_site: SameSite,
    /// The domain; default none, that is the host alone.
    pub domain: Option<String>,
}

/// When browsers send a cookie along with requests from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// With top-level navigation.
    Lax,
    /// Always.
    None,
}

/// The socket.
#[derive(Debug, Clone)]
pub struct WebSocketConfig {
    /// `WEBSOCKETS_ENABLED`, default true: whether there is one at `/websocket`.
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
    /// `WEBSOCKETS_FRAME_SIZE_MAX`, default `1mb`: the largest message a client may send.
    pub frame_bytes_max: usize,
    /// `WEBSOCKETS_HANDSHAKE_SIZE_MAX`, default `16kb`: the same before it has signed in, where it has to.
    pub handshake_bytes_max: usize,
    /// `WEBSOCKETS_OUTBOXES_SIZE_MAX`, default `32mb`: unsent bytes of all connections together, frames
    /// that are shared counted once, after which those with most of them are closed.
    pub outboxes_bytes_max: usize,
    /// `WEBSOCKETS_OUTBOX_SIZE_MAX`, default `1mb`: unsent bytes after which a slow reader is closed.
    pub outbox_bytes_max: usize,
    /// `WEBSOCKETS_SUBSCRIPTIONS_MAX`, default 128: subscriptions of one socket.
    pub subscriptions_max: usize,
    /// `WEBSOCKETS_USER_SUBSCRIPTIONS_MAX`, default 50000: subscriptions of all sockets of one account
    /// or, without one, of one address; all clients of one address have four times as many.
    pub user_subscriptions_max: usize,
    /// `WEBSOCKETS_USER_QUERIES_MAX`, default 2000: different queries of all these subscriptions; a
    /// costly one counts for several.
    pub user_queries_max: usize,
    /// `WEBSOCKETS_QUERIES_SIZE_MAX`, default `64kb`: queries of all subscriptions of one socket.
    pub queries_bytes_max: usize,
    /// `WEBSOCKETS_USER_QUERIES_SIZE_MAX`, default `1mb`: of all sockets of one account or, without one,
    /// of one address. Short queries do not count here.
    pub user_queries_bytes_max: usize,
    /// `WEBSOCKETS_ALL_QUERIES_SIZE_MAX`, default `16mb`: of all sockets, in the same way.
    pub all_queries_bytes_max: usize,
    /// `WEBSOCKETS_ANSWER_SIZE_MAX`, default `4mb`: one answer of a socket, the first rows of a
    /// subscription, and what it is told of one event.
    pub answer_bytes_max: usize,
    /// `WEBSOCKETS_POSITIONS_MAX`, default 20000: positions of subscriptions with `recover` that are
    /// remembered.
    pub positions_max: usize,
    /// `WEBSOCKETS_USER_POSITIONS_MAX`, default 500: of one account or, without one, of one address.
    pub user_positions_max: usize,
    /// `WEBSOCKETS_CURSORS`, default true, with `handshake` false: whether the frames of subscriptions
    /// that do not ask for it carry cursors as well.
    pub cursors: bool,
    /// `WEBSOCKETS_PENDING_MAX`, default 128: frames of one socket that may wait to be handled;
    /// while there are more the socket is not read.
    pub pending_max: usize,
    /// `WEBSOCKETS_UPGRADES_MAX`, default 2000: sockets that are let in each second; more wait, and
    /// those that would wait too long are answered 503.
    pub upgrades_per_second: u32,
    /// `WEBSOCKETS_MESSAGES_MAX`, default 5000: messages of one socket each second; more are refused.
    pub messages_per_second: u32,
    /// `WEBSOCKETS_USER_MESSAGES_MAX`, default 50000: messages of all sockets of one account each
    /// second; more are refused.
    pub user_messages_per_second: u32,
    /// `WEBSOCKETS_FRAMES_MAX`, default 1000: pings, pongs and pieces of messages that are read from one
    /// socket each second.
    pub parts_per_second: u32,
    /// `WEBSOCKETS_SWEEP_THREADS`: threads that write sockets, each some of them; default: one for
    /// every two cores. With 0 each socket has a task of its own.
    pub sweep_threads: Option<usize>,
}

/// What a socket may do before it has signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocketAuth {
    /// Anything the Public policy allows; a failed sign-in leaves it open.
    Public,
    /// Nothing but sign in, as its first frame and in time.
    Handshake,
    /// Nothing: without a token in its address it is refused.
    Strict,
}

/// The socket of topics. Its frames, outboxes, heartbeat and number have the bounds of the other.
#[derive(Debug, Clone)]
pub struct TopicsConfig {
    /// `TOPICS_ENABLED`, default true.
    pub enabled: bool,
    /// `TOPICS_CHAT_LENGTH`, default 100: messages in the list.
    pub chat_length: usize,
    /// `TOPICS_CHAT_SIZE_MAX`, default `256kb`: bytes of the list; the oldest messages are left out.
    pub chat_bytes_max: usize,
    /// `TOPICS_INTERNAL`, default true: whether a connection is told its name.
    pub internal: bool,
    /// `TOPICS_CHAT_DEFAULT`, default `false`: every connection hears of `chat` from the start.
    pub chat_default: bool,
    /// `TOPICS_RATE_MAX`, default 20: frames of one connection in a second; faster ones wait.
    pub rate_max: u32,
    /// `TYPING_TIMEOUT`, in seconds, default 5: how long somebody counts as writing who does not say
    /// so again, on either socket.
    pub typing_timeout: Duration,
}

/// The bounds of queries.
#[derive(Debug, Clone)]
pub struct QueryConfig {
    /// `QUERY_LIMIT_DEFAULT`, default 100, or `QUERY_LIMIT_MAX` if that is less.
    pub limit_default: u64,
    /// `QUERY_LIMIT_MAX`, default 10000; `None` (-1) for no bound.
    pub limit_max: Option<u64>,
    /// `MAX_RELATIONAL_DEPTH`, default 10.
    pub depth_max: usize,
    /// `MAX_BATCH_MUTATION`, default 10000: items one request may change.
    pub batch_max: usize,
    /// `CONTENT_LENGTH_MAX`, default 65536: characters in the content of a message.
    pub text_max: usize,
    /// `MESSAGES_REQUIRE_CONTENT`, default true: a message without visible text is refused.
    pub require_content: bool,
    /// `ANSWER_SIZE_MAX`, default `32mb`: the longest answer to a read by REST, in bytes.
    pub answer_bytes_max: usize,
}

/// What a first start creates.
#[derive(Debug, Clone)]
pub struct BootstrapConfig {
    /// `ADMIN_EMAIL`, default `admin@example.com`.
    pub admin_email: Option<String>,
    /// `ADMIN_PASSWORD`; default: generated and printed once.
    pub admin_password: Option<Secret>,
    /// `PUBLIC_USER`: the address or id of the account that anonymous creates are attributed to.
    /// Unset: nobody, but with `--demo` the guest it makes. Empty: nobody.
    pub public_user: Option<String>,
    /// `--demo`: the state that the tutorial ends in.
    pub demo: bool,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `LOG_LEVEL`: `trace`, `debug`, `info` (default), `warn`, `error`, `fatal` or `silent`, or
    /// filters such as `info,chinwag::store=debug`. Here always as filters.
    pub level: String,
    /// `LOG_STYLE`: `pretty` (default) or `raw` (JSON lines).
    pub json: bool,
}

/// A text that never shows in logs or errors.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Returns where programs are looked for (`PATH`).
#[must_use]
pub fn search_path() -> Option<OsString> {
    std::env::var_os("PATH")
}

impl Config {
    /// Reads the process environment and `.env` in the working directory; the former wins. What
    /// the command line says (`--demo`, `--public`) is left to be filled in.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_env() -> Result<Self, WrongSettings> {
        let mut settings = Settings::from_env();
        let config = Self::read(&mut settings);
        settings.finish(config)
    }

    /// Reads the settings from these texts alone.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_texts<N: Into<String>, T: Into<String>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, WrongSettings> {
        let texts = texts.into_iter().map(|(name, text)| (name.into(), text.into()));
        let mut settings = Settings::new(texts.collect());
        let config = Self::read(&mut settings);
        settings.finish(config)
    }

    /// Changes the settings as `--demo` does: first data that everybody knows, and answers for pages
    /// of this machine, unless the settings say whose.
    pub fn show_off(&mut self) {
        self.bootstrap.demo = true;
        self.browser.cors.allow_local();
    }

    /// Returns settings for tests: a database in memory, any free port, passwords that cost next to
    /// nothing, refused logins without delay.
    ///
    /// # Panics
    /// Never: the defaults have the form of their settings.
    #[must_use]
    pub fn for_tests() -> Self {
        let mut config =
            Self::from_texts::<&str, &str>([]).expect("the defaults are good settings");
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
        let mut settings = Settings::new(HashMap::new());
        Self::read(&mut settings);
        settings.known()
    }
}
