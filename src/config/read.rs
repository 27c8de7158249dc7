//! The table of settings: variable, default and parser of each field.
//!
//! The order is that of `.env.example`. Conditions across settings are checked here as well.

use std::time::Duration;

use crate::config::AuthConfig;
use crate::config::BootstrapConfig;
use crate::config::BrowserConfig;
use crate::config::Config;
use crate::config::CookieConfig;
use crate::config::EmailConfig;
use crate::config::HashConfig;
use crate::config::LimitsConfig;
use crate::config::LinksConfig;
use crate::config::LogConfig;
use crate::config::Pattern;
use crate::config::ProvidersConfig;
use crate::config::QueryConfig;
use crate::config::SameSite;
use crate::config::Secret;
use crate::config::ServerConfig;
use crate::config::StoreConfig;
use crate::config::TopicsConfig;
use crate::config::WebSocketAuth;
use crate::config::WebSocketConfig;
use crate::config::form;
use crate::config::form::DefaultUnit;
use crate::config::settings::Settings;
use crate::config::trust_proxy::trust_proxy;

const SAME_SITES: &[(&str, SameSite)] =
    &[("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)];

const WEBSOCKET_AUTHS: &[(&str, WebSocketAuth)] = &[
    ("public", WebSocketAuth::Public),
    ("handshake", WebSocketAuth::Handshake),
    ("strict", WebSocketAuth::Strict),
];

impl Config {
    pub(super) fn read(from: &mut Settings) -> Self {
        let server = ServerConfig::read(from);
        let has_public_url = server.public_url != "/";
        Self {
            server,
            browser: BrowserConfig::read(from),
            store: StoreConfig::read(from),
            auth: AuthConfig::read(from),
            limits: LimitsConfig::read(from),
            providers: ProvidersConfig::read(from, has_public_url),
            email: EmailConfig::read(from),
            links: LinksConfig::read(from),
            websockets: WebSocketConfig::read(from),
            topics: TopicsConfig::read(from),
            query: QueryConfig::read(from),
            bootstrap: BootstrapConfig::read(from),
            log: LogConfig::read(from),
        }
    }
}

impl ServerConfig {
    fn read(from: &mut Settings) -> Self {
        let patience = form::duration(DefaultUnit::Milliseconds, Duration::from_millis(100));
        Self {
            host: from.read("HOST", "127.0.0.1", form::host),
            port: from.read("PORT", "8055", form::number(0, 65_535)),
            public_url: from.read("PUBLIC_URL", "/", form::public_url),
            public_dir: None,
            project_name: from.read("PROJECT_NAME", "chinwag", form::text),
            body_bytes_max: from.read("MAX_PAYLOAD_SIZE", "1mb", form::size(1 << 10, 1 << 30)),
            answers_bytes_max: from.read("ANSWERS_SIZE_MAX", "256mb", form::size(1 << 20, 1 << 40)),
            json_depth_max: from.read("JSON_DEPTH_MAX", "32", form::number(8, 100)),
            url_bytes_max: from.read("URL_SIZE_MAX", "32kb", form::size(1 << 10, 1 << 16)),
            headers_bytes_max: from.read("HEADERS_SIZE_MAX", "32kb", form::size(1 << 10, 1 << 16)),
            connections_max: from.read("CONNECTIONS_MAX", "100000", form::number(1, 10_000_000)),
            connections_per_address_max: from.read(
                "CONNECTIONS_PER_ADDRESS_MAX",
                "50000",
                form::number_or_none(10_000_000),
            ),
            header_timeout: from.read("HEADER_TIMEOUT", "10s", &patience),
            keep_alive_timeout: from.read("SERVER_KEEP_ALIVE_TIMEOUT", "150000", &patience),
            drain: from.read("SERVER_SHUTDOWN_TIMEOUT", "5000", form::wait),
            trust_proxy: from.read("IP_TRUST_PROXY", "false", trust_proxy),
        }
    }
}

/// Maximum number of follow-up changes in one transaction: about ten milliseconds of the writer's
/// time, during which other writes wait.
const STEP_ROWS_MAX: usize = 250;
const STEP_BYTES_MAX: usize = 256 << 10;

impl StoreConfig {
    fn read(from: &mut Settings) -> Self {
        /// The value is not stored, since there is only one choice.
        const CLIENTS: &[(&str, ())] = &[("sqlite3", ())];
        from.read("DB_CLIENT", "sqlite3", |text| {
            form::choice(CLIENTS)(text)
                .map_err(|client| format!("{client}, the only supported database"))
        });
        Self {
            filename: Some(from.read("DB_FILENAME", "data/chinwag.db", form::file)),
            readers: from.read("DB_READERS", "4", form::number(1, 64)),
            query_timeout: from.read(
                "DB_QUERY_TIMEOUT",
                "10000",
                form::duration(DefaultUnit::Milliseconds, Duration::from_millis(1)),
            ),
            write_queue_max: from.read("DB_WRITE_QUEUE_MAX", "10000", form::number(1, 1_000_000)),
            write_queue_bytes_max: from.read(
                "DB_WRITE_QUEUE_SIZE_MAX",
                "64mb",
                form::size(1 << 20, 1 << 40),
            ),
            write_batch_max: from.read("DB_WRITE_BATCH_MAX", "1000", form::number(1, 100_000)),
            mutation_bytes_max: from.read(
                "DB_MUTATION_SIZE_MAX",
                "4mb",
                form::size(1 << 20, 1 << 40),
            ),
            wal_bytes_max: from.read("DB_WAL_SIZE_MAX", "40mb", form::size(1 << 20, 1 << 40)),
            step_rows_max: STEP_ROWS_MAX,
            step_bytes_max: STEP_BYTES_MAX,
            log_retention: from.read("EVENT_LOG_RETENTION", "7d", form::wait),
            log_events_max: from.read(
                "EVENT_LOG_EVENTS_MAX",
                "1000000",
                form::number(0, 1_000_000_000_000),
            ),
        }
    }
}

impl AuthConfig {
    fn read(from: &mut Settings) -> Self {
        let secret = from.find_secret("SECRET", form::secret(32));
        let config = Self {
            secret: secret.unwrap_or_else(|| Secret(String::new())),
            access_token_ttl: from.read("ACCESS_TOKEN_TTL", "15m", form::lifetime),
            refresh_token_ttl: from.read("REFRESH_TOKEN_TTL", "7d", form::lifetime),
            session_ttl: from.read("SESSION_COOKIE_TTL", "1d", form::lifetime),
            session_lifetime_max: from.read("SESSION_LIFETIME_MAX", "30d", form::lifetime),
            refresh_grace: from.read("SESSION_REFRESH_GRACE_PERIOD", "10s", form::wait),
            login_stall: from.read("LOGIN_STALL_TIME", "500", form::wait),
            throttle: from.read("AUTH_THROTTLE_ENABLED", "true", form::boolean),
            sessions_per_user_max: from.read(
                "SESSIONS_PER_USER_MAX",
                "1000",
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
            password_policy: from.find("AUTH_PASSWORD_POLICY", Pattern::parse),
            hash: HashConfig::read(from),
        };
        if config.refresh_cookie.name == config.session_cookie.name {
            let name = config.session_cookie.name.as_str();
            from.report(
                "SESSION_COOKIE_NAME",
                Some(name),
                "different from REFRESH_TOKEN_COOKIE_NAME",
            );
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
            // Browsers silently drop such a cookie, and sign-ins would not last.
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
            from.read(name, default, form::duration(DefaultUnit::Seconds, min))
        };
        let size = |from: &mut Settings, name, default| {
            from.read(name, default, form::size(1 << 10, 1 << 30))
        };
        let enabled = from.read("WEBSOCKETS_ENABLED", "true", form::boolean);
        let auth = from.read("WEBSOCKETS_REST_AUTH", "public", form::choice(WEBSOCKET_AUTHS));
        let rate = |from: &mut Settings, name, default| {
            from.read(name, default, form::number(1, 10_000_000))
        };
        Self {
            enabled,
            auth,
            // In the mode that Directus itself has, frames are byte-compatible with Directus.
            cursors: from
                .find("WEBSOCKETS_CURSORS", form::boolean)
                .unwrap_or(auth != WebSocketAuth::Handshake),
            auth_timeout: seconds(from, "WEBSOCKETS_REST_AUTH_TIMEOUT", "10"),
            heartbeat: from.read("WEBSOCKETS_HEARTBEAT_ENABLED", "true", form::boolean),
            heartbeat_period: seconds(from, "WEBSOCKETS_HEARTBEAT_PERIOD", "30"),
            connections_max: from.find("WEBSOCKETS_REST_CONN_LIMIT", form::number(1, 10_000_000)),
            frame_bytes_max: size(from, "WEBSOCKETS_FRAME_SIZE_MAX", "1mb"),
            handshake_bytes_max: size(from, "WEBSOCKETS_HANDSHAKE_SIZE_MAX", "16kb"),
            outbox_bytes_max: size(from, "WEBSOCKETS_OUTBOX_SIZE_MAX", "1mb"),
            outboxes_bytes_max: from.read(
                "WEBSOCKETS_OUTBOXES_SIZE_MAX",
                "32mb",
                form::size(1 << 20, 1 << 40),
            ),
            subscriptions_max: from.read(
                "WEBSOCKETS_SUBSCRIPTIONS_MAX",
                "128",
                form::number(1, 100_000),
            ),
            user_subscriptions_max: from.read(
                "WEBSOCKETS_USER_SUBSCRIPTIONS_MAX",
                "50000",
                form::number(1, 10_000_000),
            ),
            user_queries_max: from.read(
                "WEBSOCKETS_USER_QUERIES_MAX",
                "2000",
                form::number(1, 1_000_000),
            ),
            queries_bytes_max: size(from, "WEBSOCKETS_QUERIES_SIZE_MAX", "64kb"),
            user_queries_bytes_max: size(from, "WEBSOCKETS_USER_QUERIES_SIZE_MAX", "1mb"),
            all_queries_bytes_max: size(from, "WEBSOCKETS_ALL_QUERIES_SIZE_MAX", "16mb"),
            answer_bytes_max: size(from, "WEBSOCKETS_ANSWER_SIZE_MAX", "4mb"),
            positions_max: from.read(
                "WEBSOCKETS_POSITIONS_MAX",
                "20000",
                form::number(2, 1_000_000),
            ),
            user_positions_max: from.read(
                "WEBSOCKETS_USER_POSITIONS_MAX",
                "500",
                form::number(1, 1_000_000),
            ),
            pending_max: from.read("WEBSOCKETS_PENDING_MAX", "128", form::number(1, 100_000)),
            upgrades_per_second: rate(from, "WEBSOCKETS_UPGRADES_MAX", "2000"),
            messages_per_second: rate(from, "WEBSOCKETS_MESSAGES_MAX", "5000"),
            user_messages_per_second: rate(from, "WEBSOCKETS_USER_MESSAGES_MAX", "50000"),
            parts_per_second: rate(from, "WEBSOCKETS_FRAMES_MAX", "1000"),
            sweep_threads: from.find("WEBSOCKETS_SWEEP_THREADS", form::number(0, 64)),
        }
    }
}

impl TopicsConfig {
    fn read(from: &mut Settings) -> Self {
        Self {
            enabled: from.read("TOPICS_ENABLED", "true", form::boolean),
            chat_length: from.read("TOPICS_CHAT_LENGTH", "100", form::number(1, 1000)),
            chat_bytes_max: from.read(
                "TOPICS_CHAT_SIZE_MAX",
                "256kb",
                form::size(1 << 10, 1 << 24),
            ),
            internal: from.read("TOPICS_INTERNAL", "true", form::boolean),
            chat_default: from.read("TOPICS_CHAT_DEFAULT", "false", form::boolean),
            rate_max: from.read("TOPICS_RATE_MAX", "20", form::number(1, 100_000)),
            typing_timeout: from.read(
                "TYPING_TIMEOUT",
                "5",
                form::duration(DefaultUnit::Seconds, Duration::from_millis(100)),
            ),
        }
    }
}

impl QueryConfig {
    fn read(from: &mut Settings) -> Self {
        let limit_default: u64 =
            from.read("QUERY_LIMIT_DEFAULT", "100", form::number(1, 1_000_000_000));
        let limit_max: Option<u64> =
            from.read("QUERY_LIMIT_MAX", "10000", form::number_or_none(1_000_000_000));
        if limit_max.is_some_and(|max| limit_default > max) && from.has("QUERY_LIMIT_DEFAULT") {
            let found = limit_default.to_string();
            from.report("QUERY_LIMIT_DEFAULT", Some(&found), "at most QUERY_LIMIT_MAX");
        }
        Self {
            limit_default: limit_max.map_or(limit_default, |max| limit_default.min(max)),
            limit_max,
            depth_max: from.read("MAX_RELATIONAL_DEPTH", "10", form::number(2, 32)),
            batch_max: from.read("MAX_BATCH_MUTATION", "2500", form::number(1, 100_000)),
            text_max: from.read("CONTENT_LENGTH_MAX", "65536", form::number(1, 10_000_000)),
            require_content: from.read("MESSAGES_REQUIRE_CONTENT", "true", form::boolean),
            answer_bytes_max: from.read("ANSWER_SIZE_MAX", "32mb", form::size(1 << 16, 1 << 30)),
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
    use std::path::PathBuf;

    use super::*;
    use crate::config::WrongSettings;

    fn read(texts: &[(&str, &str)]) -> Result<Config, WrongSettings> {
        Config::from_texts(texts.iter().copied())
    }

    #[test]
    fn the_defaults_match_the_field_docs() {
        let config = read(&[]).unwrap();

        assert_eq!(config.server.host.to_string(), "127.0.0.1");
        assert_eq!(config.server.port, 8055);
        assert_eq!(config.server.body_bytes_max, 1 << 20);
        assert_eq!(config.server.drain, Duration::from_secs(5));
        assert_eq!(config.server.header_timeout, Duration::from_secs(10));
        assert_eq!(config.server.connections_per_address_max, Some(50_000));
        assert_eq!(config.store.filename, Some(PathBuf::from("data/chinwag.db")));
        assert_eq!(config.auth.secret.0, "");
        assert_eq!(config.auth.access_token_ttl, Duration::from_mins(15));
        assert_eq!(config.auth.refresh_token_ttl, Duration::from_hours(7 * 24));
        assert_eq!(config.auth.session_ttl, Duration::from_hours(24));
        assert_eq!(config.auth.login_stall, Duration::from_millis(500));
        assert!(config.auth.throttle);
        assert_eq!(config.auth.hash.memory_kib, 19_456);
        assert_eq!(config.websockets.auth, WebSocketAuth::Public);
        assert_eq!(config.websockets.heartbeat_period, Duration::from_secs(30));
        assert_eq!(config.websockets.connections_max, None);
        assert_eq!(config.query.limit_max, Some(10_000));
        assert_eq!(config.bootstrap.admin_email.as_deref(), Some("admin@example.com"));
        assert_eq!(config.bootstrap.public_user, None);
        assert!(!config.log.json);
    }

    #[test]
    fn each_setting_sets_its_field() {
        let secret = "s".repeat(32);
        let config = read(&[
            ("PORT", "0"),
            ("PUBLIC_URL", "https://chat.example.com/"),
            ("MAX_PAYLOAD_SIZE", "100kb"),
            ("SERVER_SHUTDOWN_TIMEOUT", "1500"),
            ("DB_CLIENT", "sqlite3"),
            ("SECRET", &secret),
            ("ACCESS_TOKEN_TTL", "4s"),
            ("AUTH_THROTTLE_ENABLED", "false"),
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
        assert!(!config.auth.throttle);
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
    fn all_invalid_settings_are_named_at_once() {
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
            "DB_CLIENT: found \"pg\", should be sqlite3, the only supported database",
            "SECRET: should be a text of at least 32 characters",
            "HASH_MEMORY_COST: found \"32\", should be at least 8 times HASH_PARALLELISM",
            "WEBSOCKETS_REST_AUTH: found \"open\", should be one of public, handshake, strict",
        ] {
            assert!(told.contains(line), "{line} is not in {told}");
        }
        assert!(!told.contains("too short to be one"), "{told}");
    }

    #[test]
    fn the_default_limit_never_exceeds_the_maximum() {
        let limits = |texts: &[(&str, &str)]| {
            read(texts).map(|config| (config.query.limit_default, config.query.limit_max))
        };

        assert_eq!(limits(&[("QUERY_LIMIT_MAX", "50")]), Ok((50, Some(50))));
        assert_eq!(limits(&[("QUERY_LIMIT_DEFAULT", "50")]), Ok((50, Some(10_000))));
        let no_bound = [("QUERY_LIMIT_DEFAULT", "20000"), ("QUERY_LIMIT_MAX", "-1")];
        assert_eq!(limits(&no_bound), Ok((20_000, None)));
        let wrong = limits(&[("QUERY_LIMIT_DEFAULT", "51"), ("QUERY_LIMIT_MAX", "50")]);
        assert_eq!(
            wrong.unwrap_err().to_string(),
            "QUERY_LIMIT_DEFAULT: found \"51\", should be at most QUERY_LIMIT_MAX"
        );
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
    fn debug_output_omits_secrets() {
        let config = read(&[("SECRET", &"s".repeat(40)), ("ADMIN_PASSWORD", "hunter2hunter2")]);

        let shown = format!("{:?}", config.unwrap());

        assert!(!shown.contains("sss") && !shown.contains("hunter2"), "{shown}");
    }
}
