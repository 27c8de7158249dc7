//! Defaults, values and errors of the settings.

use std::path::PathBuf;

use super::*;

fn read(texts: &[(&str, &str)]) -> Result<Config, InvalidSettings> {
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
    assert_eq!(config.log.style, LogStyle::Pretty);
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
    assert_eq!(config.log.style, LogStyle::Raw);
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
fn debug_output_omits_secrets() {
    let config = read(&[("SECRET", &"s".repeat(40)), ("ADMIN_PASSWORD", "hunter2hunter2")]);

    let shown = format!("{:?}", config.unwrap());

    assert!(!shown.contains("sss") && !shown.contains("hunter2"), "{shown}");
}
