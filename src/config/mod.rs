//! The settings: read once, from the environment and `.env`, under the names Directus uses.
//!
//! One small struct per concern; each field names its variable and default. `.env.example` is the
//! manual, and a test keeps the two equal. An empty variable counts as none; names that mean
//! nothing here are left alone. `form` knows what values look like, `settings` where they are.

mod form;
mod settings;

pub use settings::Setting;
pub use settings::Wrong;
pub use settings::WrongSettings;

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::form::Plain;
use crate::config::settings::Settings;

const SECOND: Duration = Duration::from_secs(1);

/// All settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where and how it listens.
    pub server: ServerConfig,
    /// Where it keeps things.
    pub store: StoreConfig,
    /// How people sign in.
    pub auth: AuthConfig,
    /// The socket.
    pub websockets: WebSocketConfig,
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
    /// `SERVER_SHUTDOWN_TIMEOUT`, in milliseconds, default 5000: how long running requests may take
    /// to end after a signal.
    pub drain: Duration,
    /// `CONNECTIONS_MAX`, default 100000: open connections in all; one more is closed at once.
    pub connections_max: usize,
    /// `HEADER_TIMEOUT`, default `10s`: how long a connection may take for the head of its first
    /// request.
    pub header_timeout: Duration,
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
    /// `DB_WRITE_QUEUE_MAX`, default 10000: writes that may wait; more are refused with 503.
    pub write_queue_max: usize,
    /// `DB_WRITE_BATCH_MAX`, default 1000: writes in one transaction.
    pub write_batch_max: usize,
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
    /// `SESSIONS_PER_USER_MAX`, default 100: the oldest is ended by one more.
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
    /// `WEBSOCKETS_ENABLED`, default true.
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
    /// `WEBSOCKETS_OUTBOX_SIZE_MAX`, default `1mb`: unsent bytes after which a slow reader is closed.
    pub outbox_bytes_max: usize,
    /// `WEBSOCKETS_SUBSCRIPTIONS_MAX`, default 128: subscriptions of one socket.
    pub subscriptions_max: usize,
    /// `WEBSOCKETS_PENDING_MAX`, default 128: frames of one socket that may wait to be handled;
    /// while there are more the socket is not read.
    pub pending_max: usize,
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

/// The bounds of queries.
#[derive(Debug, Clone)]
pub struct QueryConfig {
    /// `QUERY_LIMIT_DEFAULT`, default 100.
    pub limit_default: u64,
    /// `QUERY_LIMIT_MAX`, default -1 (no bound).
    pub limit_max: Option<u64>,
    /// `MAX_RELATIONAL_DEPTH`, default 10.
    pub depth_max: usize,
    /// `MAX_BATCH_MUTATION`, default 10000: items one request may change.
    pub batch_max: usize,
    /// `CONTENT_LENGTH_MAX`, default 65536: characters in one text.
    pub text_max: usize,
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

const SAME_SITES: &[(&str, SameSite)] =
    &[("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)];

const WEBSOCKET_AUTHS: &[(&str, WebSocketAuth)] = &[
    ("public", WebSocketAuth::Public),
    ("handshake", WebSocketAuth::Handshake),
    ("strict", WebSocketAuth::Strict),
];

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
    pub fn from_texts(texts: HashMap<String, String>) -> Result<Self, WrongSettings> {
        let mut settings = Settings::new(texts);
        let config = Self::read(&mut settings);
        settings.finish(config)
    }

    /// Returns settings for tests: a database in memory, any free port, passwords that cost next to
    /// nothing, refused logins without delay.
    ///
    /// # Panics
    /// Never: the defaults have the form of their settings.
    #[must_use]
    pub fn for_tests() -> Self {
        let mut config = Self::from_texts(HashMap::new()).expect("the defaults are good settings");
        config.store.filename = None;
        config.server.port = 0;
        config.auth.hash = HashConfig { memory_kib: 8, passes: 1, lanes: 1 };
        config.auth.login_stall = Duration::ZERO;
        config
    }

    /// Returns all settings with their defaults, in the order of `.env.example`.
    #[must_use]
    pub fn settings() -> Vec<Setting> {
        let mut settings = Settings::new(HashMap::new());
        Self::read(&mut settings);
        settings.known()
    }

    fn read(from: &mut Settings) -> Self {
        Self {
            server: ServerConfig::read(from),
            store: StoreConfig::read(from),
            auth: AuthConfig::read(from),
            websockets: WebSocketConfig::read(from),
            query: QueryConfig::read(from),
            bootstrap: BootstrapConfig::read(from),
            log: LogConfig::read(from),
        }
    }
}

impl ServerConfig {
    fn read(from: &mut Settings) -> Self {
        let drain = form::duration(Plain::Milliseconds, Duration::ZERO);
        let header = form::duration(Plain::Milliseconds, Duration::from_millis(100));
        Self {
            host: from.read("HOST", "127.0.0.1", form::host),
            port: from.read("PORT", "8055", form::number(0, 65_535)),
            public_url: from.read("PUBLIC_URL", "/", form::public_url),
            public_dir: None,
            project_name: from.read("PROJECT_NAME", "chinwag", form::text),
            body_bytes_max: from.read("MAX_PAYLOAD_SIZE", "1mb", form::size(1 << 10, 1 << 30)),
            connections_max: from.read("CONNECTIONS_MAX", "100000", form::number(1, 10_000_000)),
            header_timeout: from.read("HEADER_TIMEOUT", "10s", header),
            drain: from.read("SERVER_SHUTDOWN_TIMEOUT", "5000", drain),
        }
    }
}

impl StoreConfig {
    fn read(from: &mut Settings) -> Self {
        /// Nothing is kept of it: there is no choice yet.
        const CLIENTS: &[(&str, ())] = &[("sqlite3", ())];
        from.read("DB_CLIENT", "sqlite3", |text| {
            form::choice(CLIENTS)(text)
                .map_err(|client| format!("{client}, the only database so far"))
        });
        Self {
            filename: Some(from.read("DB_FILENAME", "data/chinwag.db", form::file)),
            readers: from.read("DB_READERS", "4", form::number(1, 64)),
            write_queue_max: from.read("DB_WRITE_QUEUE_MAX", "10000", form::number(1, 1_000_000)),
            write_batch_max: from.read("DB_WRITE_BATCH_MAX", "1000", form::number(1, 100_000)),
        }
    }
}

impl AuthConfig {
    fn read(from: &mut Settings) -> Self {
        let lifetime = |from: &mut Settings, name, default| {
            from.read(name, default, form::duration(Plain::Milliseconds, SECOND))
        };
        let wait = |from: &mut Settings, name, default| {
            from.read(name, default, form::duration(Plain::Milliseconds, Duration::ZERO))
        };
        let secret = from.find_secret("SECRET", form::secret(32));
        let config = Self {
            secret: secret.unwrap_or_else(|| Secret(String::new())),
            access_token_ttl: lifetime(from, "ACCESS_TOKEN_TTL", "15m"),
            refresh_token_ttl: lifetime(from, "REFRESH_TOKEN_TTL", "7d"),
            session_ttl: lifetime(from, "SESSION_COOKIE_TTL", "1d"),
            refresh_grace: wait(from, "SESSION_REFRESH_GRACE_PERIOD", "10s"),
            login_stall: wait(from, "LOGIN_STALL_TIME", "500"),
            sessions_per_user_max: from.read(
                "SESSIONS_PER_USER_MAX",
                "100",
                form::number(1, 10_000),
            ),
            refresh_cookie: CookieConfig::read(
                from,
                ("REFRESH_TOKEN_COOKIE_NAME", "directus_refresh_token"),
                "REFRESH_TOKEN_COOKIE_SECURE",
                "REFRESH_TOKEN_COOKIE_SAME_SITE",
                "REFRESH_TOKEN_COOKIE_DOMAIN",
            ),
            session_cookie: CookieConfig::read(
                from,
                ("SESSION_COOKIE_NAME", "directus_session_token"),
                "SESSION_COOKIE_SECURE",
                "SESSION_COOKIE_SAME_SITE",
                "SESSION_COOKIE_DOMAIN",
            ),
            hash: HashConfig::read(from),
        };
        if config.refresh_cookie.name == config.session_cookie.name {
            let name = config.session_cookie.name.as_str();
            from.report("SESSION_COOKIE_NAME", Some(name), "another than REFRESH_TOKEN_COOKIE_NAME");
        }
        config
    }
}

impl HashConfig {
    fn read(from: &mut Settings) -> Self {
        let config = Self {
            memory_kib: from.read("HASH_MEMORY_COST", "19456", form::number(8, 1 << 20)),
            passes: from.read("HASH_TIME_COST", "2", form::number(1, 100)),
            lanes: from.read("HASH_PARALLELISM", "1", form::number(1, 64)),
        };
        if config.memory_kib < 8 * config.lanes {
            let found = config.memory_kib.to_string();
            from.report("HASH_MEMORY_COST", Some(&found), "at least 8 times HASH_PARALLELISM");
        }
        config
    }
}

impl CookieConfig {
    fn read(
        from: &mut Settings,
        name: (&'static str, &'static str),
        secure: &'static str,
        same_site: &'static str,
        domain: &'static str,
    ) -> Self {
        let config = Self {
            name: from.read(name.0, name.1, form::cookie_name),
            secure: from.read(secure, "false", form::boolean),
            same_site: from.read(same_site, "lax", form::choice(SAME_SITES)),
            domain: from.find(domain, form::domain),
        };
        if config.same_site == SameSite::None && !config.secure {
            // Browsers drop such a cookie without a word, and nobody stays signed in.
            let should = format!("lax or strict, or {secure} should be true");
            from.report(same_site, Some("none"), should);
        }
        config
    }
}

impl WebSocketConfig {
    fn read(from: &mut Settings) -> Self {
        let seconds = |from: &mut Settings, name, default| {
            let min = Duration::from_millis(100);
            from.read(name, default, form::duration(Plain::Seconds, min))
        };
        let size = |from: &mut Settings, name, default| {
            from.read(name, default, form::size(1 << 10, 1 << 30))
        };
        Self {
            enabled: from.read("WEBSOCKETS_ENABLED", "true", form::boolean),
            auth: from.read("WEBSOCKETS_REST_AUTH", "public", form::choice(WEBSOCKET_AUTHS)),
            auth_timeout: seconds(from, "WEBSOCKETS_REST_AUTH_TIMEOUT", "10"),
            heartbeat: from.read("WEBSOCKETS_HEARTBEAT_ENABLED", "true", form::boolean),
            heartbeat_period: seconds(from, "WEBSOCKETS_HEARTBEAT_PERIOD", "30"),
            connections_max: from.find("WEBSOCKETS_REST_CONN_LIMIT", form::number(1, 10_000_000)),
            frame_bytes_max: size(from, "WEBSOCKETS_FRAME_SIZE_MAX", "1mb"),
            outbox_bytes_max: size(from, "WEBSOCKETS_OUTBOX_SIZE_MAX", "1mb"),
            subscriptions_max: from.read(
                "WEBSOCKETS_SUBSCRIPTIONS_MAX",
                "128",
                form::number(1, 100_000),
            ),
            pending_max: from.read("WEBSOCKETS_PENDING_MAX", "128", form::number(1, 100_000)),
        }
    }
}

impl QueryConfig {
    fn read(from: &mut Settings) -> Self {
        Self {
            limit_default: from.read("QUERY_LIMIT_DEFAULT", "100", form::number(1, 1_000_000_000)),
            limit_max: from.read("QUERY_LIMIT_MAX", "-1", form::number_or_none(1_000_000_000)),
            depth_max: from.read("MAX_RELATIONAL_DEPTH", "10", form::number(2, 32)),
            batch_max: from.read("MAX_BATCH_MUTATION", "10000", form::number(1, 1_000_000)),
            text_max: from.read("CONTENT_LENGTH_MAX", "65536", form::number(1, 10_000_000)),
        }
    }
}

impl BootstrapConfig {
    fn read(from: &mut Settings) -> Self {
        Self {
            admin_email: Some(from.read("ADMIN_EMAIL", "admin@example.com", form::email)),
            admin_password: from.find_secret("ADMIN_PASSWORD", form::secret(8)),
            public_user: from.find_even_empty("PUBLIC_USER"),
            demo: false,
        }
    }
}

impl LogConfig {
    fn read(from: &mut Settings) -> Self {
        const STYLES: &[(&str, bool)] = &[("pretty", false), ("raw", true)];
        Self {
            level: from.read("LOG_LEVEL", "info", form::log_level),
            json: from.read("LOG_STYLE", "pretty", form::choice(STYLES)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[(&str, &str)]) -> Result<Config, WrongSettings> {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Config::from_texts(texts.collect())
    }

    #[test]
    fn the_defaults_are_those_of_the_field_docs() {
        let config = read(&[]).unwrap();

        assert_eq!(config.server.host.to_string(), "127.0.0.1");
        assert_eq!(config.server.port, 8055);
        assert_eq!(config.server.body_bytes_max, 1 << 20);
        assert_eq!(config.server.drain, Duration::from_secs(5));
        assert_eq!(config.server.header_timeout, Duration::from_secs(10));
        assert_eq!(config.store.filename, Some(PathBuf::from("data/chinwag.db")));
        assert_eq!(config.auth.secret.0, "");
        assert_eq!(config.auth.access_token_ttl, Duration::from_mins(15));
        assert_eq!(config.auth.refresh_token_ttl, Duration::from_hours(7 * 24));
        assert_eq!(config.auth.session_ttl, Duration::from_hours(24));
        assert_eq!(config.auth.login_stall, Duration::from_millis(500));
        assert_eq!(config.auth.hash.memory_kib, 19_456);
        assert_eq!(config.websockets.auth, WebSocketAuth::Public);
        assert_eq!(config.websockets.heartbeat_period, Duration::from_secs(30));
        assert_eq!(config.websockets.connections_max, None);
        assert_eq!(config.query.limit_max, None);
        assert_eq!(config.bootstrap.admin_email.as_deref(), Some("admin@example.com"));
        assert_eq!(config.bootstrap.public_user, None);
        assert!(!config.log.json);
    }

    #[test]
    fn each_setting_reaches_its_field() {
        let secret = "s".repeat(32);
        let config = read(&[
            ("PORT", "0"),
            ("PUBLIC_URL", "https://chat.example.com/"),
            ("MAX_PAYLOAD_SIZE", "100kb"),
            ("SERVER_SHUTDOWN_TIMEOUT", "1500"),
            ("DB_CLIENT", "sqlite3"),
            ("SECRET", &secret),
            ("ACCESS_TOKEN_TTL", "4s"),
            ("SESSION_COOKIE_SAME_SITE", "none"),
            ("SESSION_COOKIE_SECURE", "1"),
            ("SESSION_COOKIE_DOMAIN", "example.com"),
            ("WEBSOCKETS_REST_AUTH", "handshake"),
            ("WEBSOCKETS_REST_AUTH_TIMEOUT", "3"),
            ("WEBSOCKETS_REST_CONN_LIMIT", "5"),
            ("QUERY_LIMIT_MAX", "500"),
            ("ADMIN_PASSWORD", "correct horse"),
            ("PUBLIC_USER", ""),
            ("LOG_LEVEL", "silent"),
            ("LOG_STYLE", "raw"),
        ])
        .unwrap();

        assert_eq!(config.server.port, 0);
        assert_eq!(config.server.public_url, "https://chat.example.com");
        assert_eq!(config.server.body_bytes_max, 102_400);
        assert_eq!(config.server.drain, Duration::from_millis(1500));
        assert_eq!(config.auth.secret.0, secret);
        assert_eq!(config.auth.access_token_ttl, Duration::from_secs(4));
        assert_eq!(config.auth.session_cookie.same_site, SameSite::None);
        assert_eq!(config.auth.session_cookie.domain.as_deref(), Some("example.com"));
        assert_eq!(config.auth.refresh_cookie.same_site, SameSite::Lax);
        assert_eq!(config.websockets.auth, WebSocketAuth::Handshake);
        assert_eq!(config.websockets.auth_timeout, Duration::from_secs(3));
        assert_eq!(config.websockets.connections_max, Some(5));
        assert_eq!(config.query.limit_max, Some(500));
        assert_eq!(config.bootstrap.admin_password.unwrap().0, "correct horse");
        assert_eq!(config.bootstrap.public_user.as_deref(), Some(""));
        assert_eq!(config.log.level, "off");
        assert!(config.log.json);
    }

    #[test]
    fn every_wrong_setting_is_named_at_once() {
        let wrong = read(&[
            ("DB_CLIENT", "pg"),
            ("HASH_PARALLELISM", "8"),
            ("HASH_MEMORY_COST", "32"),
            ("PORT", "http"),
            ("REFRESH_TOKEN_COOKIE_SAME_SITE", "none"),
            ("SECRET", "too short to be one"),
            ("SESSION_COOKIE_NAME", "directus_refresh_token"),
            ("WEBSOCKETS_REST_AUTH", "open"),
        ])
        .unwrap_err();

        let told = wrong.to_string();
        assert_eq!(wrong.0.len(), 7, "{told}");
        for line in [
            "PORT: found \"http\", should be a whole number from 0 to 65535",
            "DB_CLIENT: found \"pg\", should be sqlite3, the only database so far",
            "SECRET: should be a text of at least 32 characters",
            "HASH_MEMORY_COST: found \"32\", should be at least 8 times HASH_PARALLELISM",
            "WEBSOCKETS_REST_AUTH: found \"open\", should be one of public, handshake, strict",
        ] {
            assert!(told.contains(line), "{line} is not in {told}");
        }
        assert!(!told.contains("too short to be one"), "{told}");
    }

    #[test]
    fn no_setting_is_read_twice() {
        let settings = Config::settings();

        for (index, setting) in settings.iter().enumerate() {
            let again = settings[..index].iter().any(|earlier| earlier.name == setting.name);
            assert!(!again, "{}", setting.name);
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let config = read(&[("SECRET", &"s".repeat(40)), ("ADMIN_PASSWORD", "hunter2hunter2")]);

        let shown = format!("{:?}", config.unwrap());

        assert!(!shown.contains("sss") && !shown.contains("hunter2"), "{shown}");
    }
}
