//! Sign-in: tokens, sessions, cookies and passwords.

use std::time::Duration;

use clap::ValueEnum;

use crate::config::reader::Reader;
use crate::config::{Pattern, Secret};

settings! {
    /// Authentication.
    pub struct AuthConfig {
        /// Signs access tokens. Empty here until `app` has read or generated it.
        secret: Secret = group(Option::unwrap_or_default) {
            /// Signs access tokens: at least 32 random characters, the same on every machine of a
            /// service. Not set: generated at the first start and kept in the file `secret` beside
            /// the database.
            secret = secret("SECRET", secret(32));
        };
        /// The lifetime of an access token (plain: milliseconds).
        access_token_ttl: Duration = setting("ACCESS_TOKEN_TTL", "15m", milliseconds(1_000));
        /// The lifetime of a refresh token and its cookie (plain: milliseconds). Each refresh
        /// restarts it, so this is also the idle timeout of a session.
        refresh_token_ttl: Duration = setting("REFRESH_TOKEN_TTL", "7d", milliseconds(1_000));
        /// The lifetime of a session token and its cookie (plain: milliseconds).
        session_ttl: Duration = setting("SESSION_COOKIE_TTL", "1d", milliseconds(1_000));
        /// The maximum lifetime of a session, even if it is refreshed (plain: milliseconds); then a
        /// new sign-in is required.
        session_lifetime_max: Duration =
            setting("SESSION_LIFETIME_MAX", "30d", milliseconds(1_000));
        /// How long a used session or refresh token is valid for any client (plain: milliseconds).
        /// Later, only the client that a refresh token was rotated for gets its successor again,
        /// and a copy ends the session.
        refresh_grace: Duration = setting("SESSION_REFRESH_GRACE_PERIOD", "10s", milliseconds(0));
        /// The minimum duration of a refused login, so that timing discloses nothing (plain:
        /// milliseconds).
        login_stall: Duration = setting("LOGIN_STALL_TIME", "500", milliseconds(0));
        /// Whether guessing is slowed down: failed sign-ins, wrong second-factor codes, invalid
        /// tokens, registrations and requests for new passwords. Never disable it on a public
        /// server.
        throttle: bool = setting("AUTH_THROTTLE_ENABLED", "true", boolean);
        /// The number of sessions of an account; one more ends the least recently refreshed one.
        sessions_per_user_max: usize = setting("SESSIONS_PER_USER_MAX", "1000", number(1, 10_000));
        /// The cookie of the refresh token.
        refresh_cookie: CookieConfig = fields(CookieConfig) {
            /// The name of the refresh token cookie.
            name = setting("REFRESH_TOKEN_COOKIE_NAME", "directus_refresh_token", cookie_name);
            /// Whether browsers send the refresh token cookie over TLS only; set it to true
            /// wherever there is TLS.
            secure = setting("REFRESH_TOKEN_COOKIE_SECURE", "false", boolean);
            /// Whether browsers send the refresh token cookie with requests from other sites: lax,
            /// strict or none (none needs SECURE).
            same_site = setting("REFRESH_TOKEN_COOKIE_SAME_SITE", "lax", choice);
            /// The domain of the refresh token cookie. Not set: the host only.
            domain = optional("REFRESH_TOKEN_COOKIE_DOMAIN", domain);
        };
        /// The cookie of the session token.
        session_cookie: CookieConfig = fields(CookieConfig) {
            /// The name of the session cookie.
            name = setting("SESSION_COOKIE_NAME", "directus_session_token", cookie_name);
            /// Whether browsers send the session cookie over TLS only; set it to true wherever
            /// there is TLS.
            secure = setting("SESSION_COOKIE_SECURE", "false", boolean);
            /// Whether browsers send the session cookie with requests from other sites: lax, strict
            /// or none (none needs SECURE).
            same_site = setting("SESSION_COOKIE_SAME_SITE", "lax", choice);
            /// The domain of the session cookie. Not set: the host only.
            domain = optional("SESSION_COOKIE_DOMAIN", domain);
        };
        /// A regular expression that new passwords have to match, such as `/^.{12,}$/`. They always
        /// need at least 8 characters and cannot be one of the 3,000 most common ones. Existing
        /// passwords stay valid.
        password_policy: Option<Pattern> = optional("AUTH_PASSWORD_POLICY", Pattern::parse);
        /// The cost of a password hash.
        hash: HashConfig = section();
    }
    check AuthConfig::check;
}

settings! {
    /// The cost of a password hash (argon2id).
    #[derive(Copy)]
    pub struct HashConfig {
        /// The cost of a password hash (argon2id): memory in KiB. A higher cost applies at the next
        /// sign-in.
        memory_kib: u32 = setting("HASH_MEMORY_COST", "19456", number(8, 1 << 20));
        /// The cost of a password hash: passes over the memory.
        passes: u32 = setting("HASH_TIME_COST", "2", number(1, 100));
        /// The cost of a password hash: lanes, at most an eighth of the memory.
        lanes: u32 = setting("HASH_PARALLELISM", "1", number(1, 64));
    }
    check HashConfig::check;
}

/// Attributes of a cookie.
#[derive(Debug, Clone)]
pub struct CookieConfig {
    /// The name.
    pub name: String,
    /// Whether browsers send it over TLS only.
    pub secure: bool,
    /// When browsers send it with requests from other sites.
    pub same_site: SameSite,
    /// The domain; `None` for the exact host.
    pub domain: Option<String>,
}

/// When browsers send a cookie with requests from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum SameSite {
    /// With top-level navigation.
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
}

impl AuthConfig {
    fn check(&mut self, from: &mut Reader) {
        let (refresh, session) = (&self.refresh_cookie, &self.session_cookie);
        for (cookie, prefix) in [(refresh, "REFRESH_TOKEN_COOKIE"), (session, "SESSION_COOKIE")] {
            if cookie.same_site == SameSite::None && !cookie.secure {
                // Browsers silently drop such a cookie, and sign-ins would not last.
                let should = format!("lax or strict, or {prefix}_SECURE should be true");
                from.report(&format!("{prefix}_SAME_SITE"), should);
            }
        }
        if refresh.name == session.name {
            from.report("SESSION_COOKIE_NAME", "different from REFRESH_TOKEN_COOKIE_NAME");
        }
    }
}

impl HashConfig {
    fn check(&mut self, from: &mut Reader) {
        if self.memory_kib < 8 * self.lanes {
            from.report("HASH_MEMORY_COST", "at least 8 times HASH_PARALLELISM");
        }
    }
}
