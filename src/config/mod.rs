//! The settings: read once, from the environment and `.env`, under the names Directus uses.
//!
//! Each file declares one table of settings, from which `table` makes the struct, its reader, the
//! documentation, `.env.example` (`example`) and `chinwag settings` (`listing`). `parse` has the
//! parsers of values, and `reader` reads the sources. An empty variable counts as unset, and
//! unknown names are ignored.

#[macro_use]
mod table;

mod auth;
mod bootstrap;
mod browser;
mod email;
mod example;
mod issuer;
mod limits;
mod listing;
mod log;
mod parse;
mod pattern;
mod providers;
mod query;
mod reader;
mod server;
mod store;
mod suggest;
#[cfg(test)]
mod tests;
mod topics;
mod trust_proxy;
mod websocket;

pub use auth::{AuthConfig, CookieConfig, HashConfig, SameSite};
pub use bootstrap::BootstrapConfig;
pub use browser::{BrowserConfig, CorsConfig, HstsConfig, Origins};
pub use email::{EmailConfig, EmailTransport, LinksConfig, SmtpConfig};
pub use example::env_example;
pub use issuer::IssuerConfig;
pub use limits::{LimitsConfig, RateLimit};
pub use listing::{Listing, Setting, Source};
pub use log::{LogConfig, LogStyle};
pub use pattern::Pattern;
pub use providers::{Admission, ClaimKeys, Driver, ProviderConfig, ProviderMode, ProvidersConfig};
pub use query::QueryConfig;
pub use reader::{InvalidSetting, InvalidSettings};
pub use server::ServerConfig;
pub use store::{DatabaseClient, StoreConfig};
pub use topics::TopicsConfig;
pub use trust_proxy::TrustProxy;
pub use websocket::{WebSocketAuth, WebSocketConfig};

use std::ffi::OsString;
use std::time::Duration;

use crate::config::reader::Reader;
use crate::config::table::Section;

settings! {
    /// All settings of one process.
    pub struct Config {
        /// The HTTP server.
        server: ServerConfig = section("Server");
        /// Browser policies.
        browser: BrowserConfig = section("Browsers");
        /// The database.
        store: StoreConfig = section("Database");
        /// Authentication.
        auth: AuthConfig = section("Sign-in");
        /// Rate limits.
        limits: LimitsConfig = section("Limits");
        /// Identity providers.
        providers: ProvidersConfig = section("Sign-in with others");
        /// Outgoing mail.
        email: EmailConfig = section("Mail");
        /// Links in mails.
        links: LinksConfig = section();
        /// The WebSocket of Directus's protocol.
        websockets: WebSocketConfig = section("WebSocket");
        /// The WebSocket of topics.
        topics: TopicsConfig = section("Topics");
        /// Limits of queries.
        query: QueryConfig = section("Queries");
        /// Data created on a first start.
        bootstrap: BootstrapConfig = section("First start");
        /// Logs.
        log: LogConfig = section("Logs");
    }
}

/// A text that is redacted in logs and errors.
#[derive(Clone, Default)]
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
    /// All invalid settings at once.
    pub fn from_env() -> Result<Self, InvalidSettings> {
        Self::of(Reader::from_env())
    }

    /// Reads the settings from these texts only.
    ///
    /// # Errors
    /// All invalid settings at once.
    pub fn from_texts<N: Into<String>, T: Into<String>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, InvalidSettings> {
        Self::of(Reader::from_texts(texts))
    }

    fn of(mut reader: Reader) -> Result<Self, InvalidSettings> {
        let config = Self::read(&mut reader);
        let (_, invalid) = reader.finish();
        if invalid.is_empty() { Ok(config) } else { Err(InvalidSettings(invalid)) }
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

    /// Returns all settings with their defaults, in the order of `.env.example`; `<NAME>` stands for
    /// the name of each provider.
    #[must_use]
    pub fn settings() -> Vec<Setting> {
        let mut reader = Reader::default();
        Self::read(&mut reader);
        reader.finish().0
    }
}
