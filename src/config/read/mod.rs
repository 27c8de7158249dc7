//! The table of settings: variable, default and parser of each field.
//!
//! The order is that of `.env.example`. Conditions across settings are checked here as well.

#[cfg(test)]
mod tests;

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
use crate::config::parse;
use crate::config::parse::DefaultUnit;
use crate::config::reader::Reader;
use crate::config::trust_proxy::trust_proxy;

const SAME_SITES: &[(&str, SameSite)] =
    &[("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)];

const WEBSOCKET_AUTHS: &[(&str, WebSocketAuth)] = &[
    ("public", WebSocketAuth::Public),
    ("handshake", WebSocketAuth::Handshake),
    ("strict", WebSocketAuth::Strict),
];

impl Config {
    pub(super) fn read(from: &mut Reader) -> Self {
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
    fn read(from: &mut Reader) -> Self {
        let patience = parse::duration(DefaultUnit::Milliseconds, Duration::from_millis(100));
        Self {
            host: from.read("HOST", "127.0.0.1", parse::host),
            port: from.read("PORT", "8055", parse::number(0, 65_535)),
            public_url: from.read("PUBLIC_URL", "/", parse::public_url),
            public_dir: None,
            project_name: from.read("PROJECT_NAME", "chinwag", parse::text),
            body_bytes_max: from.read("MAX_PAYLOAD_SIZE", "1mb", parse::size(1 << 10, 1 << 30)),
            answers_bytes_max: from.read(
                "ANSWERS_SIZE_MAX",
                "256mb",
                parse::size(1 << 20, 1 << 40),
            ),
            json_depth_max: from.read("JSON_DEPTH_MAX", "32", parse::number(8, 100)),
            url_bytes_max: from.read("URL_SIZE_MAX", "32kb", parse::size(1 << 10, 1 << 16)),
            headers_bytes_max: from.read("HEADERS_SIZE_MAX", "32kb", parse::size(1 << 10, 1 << 16)),
            connections_max: from.read("CONNECTIONS_MAX", "100000", parse::number(1, 10_000_000)),
            connections_per_address_max: from.read(
                "CONNECTIONS_PER_ADDRESS_MAX",
                "50000",
                parse::number_or_none(10_000_000),
            ),
            header_timeout: from.read("HEADER_TIMEOUT", "10s", &patience),
            keep_alive_timeout: from.read("SERVER_KEEP_ALIVE_TIMEOUT", "150000", &patience),
            drain: from.read("SERVER_SHUTDOWN_TIMEOUT", "5000", parse::wait),
            trust_proxy: from.read("IP_TRUST_PROXY", "false", trust_proxy),
        }
    }
}

/// Maximum number of follow-up changes in one transaction: about ten milliseconds of the writer's
/// time, during which other writes wait.
const STEP_ROWS_MAX: usize = 250;
const STEP_BYTES_MAX: usize = 256 << 10;

impl StoreConfig {
    fn read(from: &mut Reader) -> Self {
        /// The value is not stored, since there is only one choice.
        const CLIENTS: &[(&str, ())] = &[("sqlite3", ())];
        from.read("DB_CLIENT", "sqlite3", |text| {
            parse::choice(CLIENTS)(text)
                .map_err(|client| format!("{client}, the only supported database"))
        });
        Self {
            filename: Some(from.read("DB_FILENAME", "data/chinwag.db", parse::file)),
            readers: from.read("DB_READERS", "4", parse::number(1, 64)),
            query_timeout: from.read(
                "DB_QUERY_TIMEOUT",
                "10000",
                parse::duration(DefaultUnit::Milliseconds, Duration::from_millis(1)),
            ),
            write_queue_max: from.read("DB_WRITE_QUEUE_MAX", "10000", parse::number(1, 1_000_000)),
            write_queue_bytes_max: from.read(
                "DB_WRITE_QUEUE_SIZE_MAX",
                "64mb",
                parse::size(1 << 20, 1 << 40),
            ),
            write_batch_max: from.read("DB_WRITE_BATCH_MAX", "1000", parse::number(1, 100_000)),
            mutation_bytes_max: from.read(
                "DB_MUTATION_SIZE_MAX",
                "4mb",
                parse::size(1 << 20, 1 << 40),
            ),
            wal_bytes_max: from.read("DB_WAL_SIZE_MAX", "40mb", parse::size(1 << 20, 1 << 40)),
            step_rows_max: STEP_ROWS_MAX,
            step_bytes_max: STEP_BYTES_MAX,
            log_retention: from.read("EVENT_LOG_RETENTION", "7d", parse::wait),
            log_events_max: from.read(
                "EVENT_LOG_EVENTS_MAX",
                "1000000",
                parse::number(0, 1_000_000_000_000),
            ),
        }
    }
}

impl AuthConfig {
    fn read(from: &mut Reader) -> Self {
        let secret = from.find_secret("SECRET", parse::secret(32));
        let config = Self {
            secret: secret.unwrap_or_else(|| Secret(String::new())),
            access_token_ttl: from.read("ACCESS_TOKEN_TTL", "15m", parse::lifetime),
            refresh_token_ttl: from.read("REFRESH_TOKEN_TTL", "7d", parse::lifetime),
            session_ttl: from.read("SESSION_COOKIE_TTL", "1d", parse::lifetime),
            session_lifetime_max: from.read("SESSION_LIFETIME_MAX", "30d", parse::lifetime),
            refresh_grace: from.read("SESSION_REFRESH_GRACE_PERIOD", "10s", parse::wait),
            login_stall: from.read("LOGIN_STALL_TIME", "500", parse::wait),
            throttle: from.read("AUTH_THROTTLE_ENABLED", "true", parse::boolean),
            sessions_per_user_max: from.read(
                "SESSIONS_PER_USER_MAX",
                "1000",
                parse::number(1, 10_000),
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
    fn read(from: &mut Reader) -> Self {
        let config = Self {
            memory_kib: from.read("HASH_MEMORY_COST", "19456", parse::number(8, 1 << 20)),
            passes: from.read("HASH_TIME_COST", "2", parse::number(1, 100)),
            lanes: from.read("HASH_PARALLELISM", "1", parse::number(1, 64)),
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
        from: &mut Reader,
        name: (&'static str, &'static str),
        secure: &'static str,
        same_site: &'static str,
        domain: &'static str,
    ) -> Self {
        let config = Self {
            name: from.read(name.0, name.1, parse::cookie_name),
            secure: from.read(secure, "false", parse::boolean),
            same_site: from.read(same_site, "lax", parse::choice(SAME_SITES)),
            domain: from.find(domain, parse::domain),
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
    fn read(from: &mut Reader) -> Self {
        let seconds = |from: &mut Reader, name, default| {
            let min = Duration::from_millis(100);
            from.read(name, default, parse::duration(DefaultUnit::Seconds, min))
        };
        let size = |from: &mut Reader, name, default| {
            from.read(name, default, parse::size(1 << 10, 1 << 30))
        };
        let enabled = from.read("WEBSOCKETS_ENABLED", "true", parse::boolean);
        let auth = from.read("WEBSOCKETS_REST_AUTH", "public", parse::choice(WEBSOCKET_AUTHS));
        let rate = |from: &mut Reader, name, default| {
            from.read(name, default, parse::number(1, 10_000_000))
        };
        Self {
            enabled,
            auth,
            // In the mode that Directus itself has, frames are byte-compatible with Directus.
            cursors: from
                .find("WEBSOCKETS_CURSORS", parse::boolean)
                .unwrap_or(auth != WebSocketAuth::Handshake),
            auth_timeout: seconds(from, "WEBSOCKETS_REST_AUTH_TIMEOUT", "10"),
            heartbeat: from.read("WEBSOCKETS_HEARTBEAT_ENABLED", "true", parse::boolean),
            heartbeat_period: seconds(from, "WEBSOCKETS_HEARTBEAT_PERIOD", "30"),
            connections_max: from.find("WEBSOCKETS_REST_CONN_LIMIT", parse::number(1, 10_000_000)),
            frame_bytes_max: size(from, "WEBSOCKETS_FRAME_SIZE_MAX", "1mb"),
            handshake_bytes_max: size(from, "WEBSOCKETS_HANDSHAKE_SIZE_MAX", "16kb"),
            outbox_bytes_max: size(from, "WEBSOCKETS_OUTBOX_SIZE_MAX", "1mb"),
            outboxes_bytes_max: from.read(
                "WEBSOCKETS_OUTBOXES_SIZE_MAX",
                "32mb",
                parse::size(1 << 20, 1 << 40),
            ),
            subscriptions_max: from.read(
                "WEBSOCKETS_SUBSCRIPTIONS_MAX",
                "128",
                parse::number(1, 100_000),
            ),
            user_subscriptions_max: from.read(
                "WEBSOCKETS_USER_SUBSCRIPTIONS_MAX",
                "50000",
                parse::number(1, 10_000_000),
            ),
            user_queries_max: from.read(
                "WEBSOCKETS_USER_QUERIES_MAX",
                "2000",
                parse::number(1, 1_000_000),
            ),
            queries_bytes_max: size(from, "WEBSOCKETS_QUERIES_SIZE_MAX", "64kb"),
            user_queries_bytes_max: size(from, "WEBSOCKETS_USER_QUERIES_SIZE_MAX", "1mb"),
            all_queries_bytes_max: size(from, "WEBSOCKETS_ALL_QUERIES_SIZE_MAX", "16mb"),
            answer_bytes_max: size(from, "WEBSOCKETS_ANSWER_SIZE_MAX", "4mb"),
            positions_max: from.read(
                "WEBSOCKETS_POSITIONS_MAX",
                "20000",
                parse::number(2, 1_000_000),
            ),
            user_positions_max: from.read(
                "WEBSOCKETS_USER_POSITIONS_MAX",
                "500",
                parse::number(1, 1_000_000),
            ),
            pending_max: from.read("WEBSOCKETS_PENDING_MAX", "128", parse::number(1, 100_000)),
            upgrades_per_second: rate(from, "WEBSOCKETS_UPGRADES_MAX", "2000"),
            messages_per_second: rate(from, "WEBSOCKETS_MESSAGES_MAX", "5000"),
            user_messages_per_second: rate(from, "WEBSOCKETS_USER_MESSAGES_MAX", "50000"),
            parts_per_second: rate(from, "WEBSOCKETS_FRAMES_MAX", "1000"),
            writer_threads: from.find("WEBSOCKETS_SWEEP_THREADS", parse::number(0, 64)),
        }
    }
}

impl QueryConfig {
    fn read(from: &mut Reader) -> Self {
        let limit_default: u64 =
            from.read("QUERY_LIMIT_DEFAULT", "100", parse::number(1, 1_000_000_000));
        let limit_max: Option<u64> =
            from.read("QUERY_LIMIT_MAX", "10000", parse::number_or_none(1_000_000_000));
        if limit_max.is_some_and(|max| limit_default > max) && from.has("QUERY_LIMIT_DEFAULT") {
            let found = limit_default.to_string();
            from.report("QUERY_LIMIT_DEFAULT", Some(&found), "at most QUERY_LIMIT_MAX");
        }
        Self {
            limit_default: limit_max.map_or(limit_default, |max| limit_default.min(max)),
            limit_max,
            depth_max: from.read("MAX_RELATIONAL_DEPTH", "10", parse::number(2, 32)),
            batch_max: from.read("MAX_BATCH_MUTATION", "1000", parse::number(1, 100_000)),
            text_max: from.read("CONTENT_LENGTH_MAX", "65536", parse::number(1, 10_000_000)),
            require_content: from.read("MESSAGES_REQUIRE_CONTENT", "true", parse::boolean),
            answer_bytes_max: from.read("ANSWER_SIZE_MAX", "32mb", parse::size(1 << 16, 1 << 30)),
        }
    }
}

impl BootstrapConfig {
    fn read(from: &mut Reader) -> Self {
        Self {
            admin_email: Some(from.read("ADMIN_EMAIL", "admin@example.com", parse::email)),
            admin_password: from.find_secret("ADMIN_PASSWORD", parse::secret(8)),
            public_user: from.find_even_empty("PUBLIC_USER"),
            demo: false,
        }
    }
}

impl LogConfig {
    fn read(from: &mut Reader) -> Self {
        const STYLES: &[(&str, bool)] = &[("pretty", false), ("raw", true)];
        Self {
            level: from.read("LOG_LEVEL", "info", parse::log_level),
            json: from.read("LOG_STYLE", "pretty", parse::choice(STYLES)),
        }
    }
}
