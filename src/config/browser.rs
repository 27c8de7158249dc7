//! Reader for browsers: CORS, HSTS and the content security policy.
//!
//! Names and formats are those of Directus. `transport::origin` and `transport::cors` apply them.

use std::time::Duration;

use crate::config::parse;
use crate::config::parse::DefaultUnit;
use crate::config::reader::Reader;

/// Default policy of front-end pages: no restrictions, except that other sites must not frame them.
const PUBLIC_POLICY: &str = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'";

/// Reader for browsers.
#[derive(Debug, Clone)]
pub struct BrowserConfig {
    /// Origins that may read responses, besides those of this service.
    pub cors: CorsConfig,
    /// `HSTS_…`: how long browsers are to use TLS only; `None` (default) sends no header.
    pub hsts: Option<HstsConfig>,
    /// `CONTENT_SECURITY_POLICY`: the policy of the `--public` pages. The built-in pages have
    /// stricter ones of their own.
    pub content_security_policy: String,
}

/// Cross-origin resource sharing.
#[derive(Debug, Clone)]
pub struct CorsConfig {
    /// `CORS_ENABLED`, `CORS_ORIGIN`: origins that may read responses; default none, with `--demo`
    /// those on this machine.
    pub origins: Origins,
    /// `CORS_METHODS`, default `GET,POST,PATCH,DELETE,SEARCH`.
    pub methods: Vec<String>,
    /// `CORS_ALLOWED_HEADERS`, default `Content-Type,Authorization,Idempotency-Key`: request
    /// headers such a page may send.
    pub allowed_headers: Vec<String>,
    /// `CORS_EXPOSED_HEADERS`, default `Ignored-Fields,Retry-After,X-Request-Id`: response headers
    /// such a page may read.
    pub exposed_headers: Vec<String>,
    /// `CORS_CREDENTIALS`, default true: whether such a page may use cookies, if `CORS_ORIGIN`
    /// lists its origin.
    pub credentials: bool,
    /// `CORS_MAX_AGE`, in seconds, default 18000: how long browsers may cache a preflight response.
    pub max_age: Duration,
    /// Whether `CORS_ORIGIN` allows origins but has no effect because `CORS_ENABLED` is not set.
    pub is_ignored: bool,
    /// Whether `CORS_ENABLED` is set.
    is_decided: bool,
}

/// A set of origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// No origin.
    None,
    /// Origins on this machine, with any port.
    Local,
    /// The listed origins: scheme, host and port, as browsers write them.
    Listed(Vec<String>),
    /// Every origin.
    Any,
}

/// `Strict-Transport-Security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HstsConfig {
    /// `HSTS_MAX_AGE`, in seconds, default 31536000.
    pub max_age: Duration,
    /// `HSTS_INCLUDE_SUB_DOMAINS`, default true.
    pub subdomains: bool,
    /// `HSTS_PRELOAD`, default false.
    pub preload: bool,
}

impl BrowserConfig {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            cors: CorsConfig::read(from),
            hsts: HstsConfig::read(from),
            content_security_policy: from
                .find("CONTENT_SECURITY_POLICY", policy)
                .unwrap_or_else(|| PUBLIC_POLICY.to_owned()),
        }
    }
}

impl CorsConfig {
    fn read(from: &mut Reader) -> Self {
        let enabled = from.find("CORS_ENABLED", parse::boolean);
        let origins = from.read("CORS_ORIGIN", "false", origins);
        let is_named = origins != Origins::None;
        Self {
            origins: if enabled == Some(true) { origins } else { Origins::None },
            methods: from.read("CORS_METHODS", "GET,POST,PATCH,DELETE,SEARCH", tokens),
            allowed_headers: from.read(
                "CORS_ALLOWED_HEADERS",
                "Content-Type,Authorization,Idempotency-Key",
                tokens,
            ),
            exposed_headers: from.read(
                "CORS_EXPOSED_HEADERS",
                "Ignored-Fields,Retry-After,X-Request-Id",
                tokens,
            ),
            credentials: from.read("CORS_CREDENTIALS", "true", parse::boolean),
            max_age: from.read(
                "CORS_MAX_AGE",
                "18000",
                parse::duration(DefaultUnit::Seconds, Duration::ZERO),
            ),
            is_ignored: enabled.is_none() && is_named,
            is_decided: enabled.is_some(),
        }
    }

    /// Allows pages on this machine, unless `CORS_ENABLED` is set.
    pub(super) fn allow_local(&mut self) {
        if !self.is_decided {
            self.origins = Origins::Local;
        }
    }
}

impl Origins {
    /// Returns whether the set contains this origin, in the form that browsers send.
    #[must_use]
    pub fn contain(&self, origin: &str) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Local => is_local(origin),
            Self::Listed(origins) => origins.iter().any(|listed| listed == origin),
        }
    }
}

impl HstsConfig {
    fn read(from: &mut Reader) -> Option<Self> {
        let enabled = from.read("HSTS_ENABLED", "false", parse::boolean);
        let config = Self {
            max_age: from.read(
                "HSTS_MAX_AGE",
                "31536000",
                parse::duration(DefaultUnit::Seconds, Duration::ZERO),
            ),
            subdomains: from.read("HSTS_INCLUDE_SUB_DOMAINS", "true", parse::boolean),
            preload: from.read("HSTS_PRELOAD", "false", parse::boolean),
        };
        enabled.then_some(config)
    }
}

/// Returns whether the origin is on this machine: `http` or `https`, any port.
fn is_local(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        // The colons inside an IPv6 address do not precede a port.
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "0"),
    };
    matches!(scheme, "http" | "https")
        && matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        && port.parse::<u16>().is_ok()
}

/// Reads a set of origins: none, all, or a list.
fn origins(value: &str) -> Result<Origins, String> {
    let value = value.strip_prefix("array:").unwrap_or(value);
    match value.to_ascii_lowercase().as_str() {
        "false" => Ok(Origins::None),
        "true" | "*" => Ok(Origins::Any),
        listed => {
            let origins = listed.split(',').map(|origin| origin_of(origin.trim()));
            origins.collect::<Option<_>>().map(Origins::Listed).ok_or_else(|| {
                "true, false, or origins without a path, such as https://chat.example.com, \
                 separated by commas"
                    .to_owned()
            })
        }
    }
}

/// Returns the origin as browsers write it, without a default port.
fn origin_of(text: &str) -> Option<String> {
    let (scheme, authority) = text.trim_end_matches('/').split_once("://")?;
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let authority = authority.strip_suffix(default).unwrap_or(authority);
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_good = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !authority.is_empty()
        && authority.bytes().all(is_host);
    is_good.then(|| format!("{scheme}://{authority}"))
}

/// Reads method or header names, separated by commas.
fn tokens(value: &str) -> Result<Vec<String>, String> {
    let value = value.strip_prefix("array:").unwrap_or(value);
    let is_token = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().all(|name| is_token(name)) {
        Ok(names)
    } else {
        Err("names without spaces, separated by commas".to_owned())
    }
}

/// Reads a policy that is sent as a header value unchanged.
fn policy(value: &str) -> Result<String, String> {
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(value.to_owned())
    } else {
        Err("a policy in one line of ASCII, such as frame-ancestors 'self'".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::InvalidSettings;

    fn read(texts: &[(&str, &str)]) -> Result<Config, InvalidSettings> {
        Config::from_texts(texts.iter().copied())
    }

    #[test]
    fn no_origin_is_allowed_unless_cors_is_enabled() {
        for (enabled, origin, expected) in [
            ("", "", Origins::None),
            ("", "https://a.example", Origins::None),
            ("false", "true", Origins::None),
            ("true", "", Origins::None),
            ("true", "false", Origins::None),
            ("true", "true", Origins::Any),
            ("true", "*", Origins::Any),
            ("true", "https://a.example", Origins::Listed(vec!["https://a.example".to_owned()])),
        ] {
            let config = read(&[("CORS_ENABLED", enabled), ("CORS_ORIGIN", origin)]).unwrap();

            assert_eq!(config.browser.cors.origins, expected, "{enabled} {origin}");
        }
    }

    #[test]
    fn a_demo_allows_local_origins_by_default() {
        for (enabled, origin, expected) in [
            ("", "", Origins::Local),
            ("false", "", Origins::None),
            ("true", "https://a.example", Origins::Listed(vec!["https://a.example".to_owned()])),
        ] {
            let mut config = read(&[("CORS_ENABLED", enabled), ("CORS_ORIGIN", origin)]).unwrap();
            config.enable_demo();

            assert!(config.bootstrap.demo);
            assert_eq!(config.browser.cors.origins, expected, "{enabled} {origin}");
        }
    }

    #[test]
    fn origins_are_normalized_as_in_browsers() {
        for (text, expected) in [
            ("https://A.example:443/ , http://b:8080", vec!["https://a.example", "http://b:8080"]),
            (
                "array:http://[::1]:80,capacitor://localhost",
                vec!["http://[::1]", "capacitor://localhost"],
            ),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(origins(text), Ok(Origins::Listed(expected)), "{text}");
        }
        for refused in [
            "null",
            "a.example",
            "https://",
            "https://a.example/path",
            "https://*.example",
            "https://a.example,",
            "https://user@a.example",
            "https://ä.example",
        ] {
            assert!(origins(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn only_loopback_names_are_local_origins() {
        for local in [
            "http://localhost",
            "http://localhost:3000",
            "https://127.0.0.1:5173",
            "http://[::1]:80",
            "http://[::1]",
        ] {
            assert!(Origins::Local.contain(local), "{local}");
        }
        for foreign in [
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://localhost:evil",
            "http://127.0.0.1.evil.example:80",
            "http://127.0.0.2",
            "http://evil.example/localhost",
            "file://localhost",
            "null",
            "",
        ] {
            assert!(!Origins::Local.contain(foreign), "{foreign}");
        }
    }

    #[test]
    fn lists_and_policies_are_valid_header_values() {
        assert_eq!(
            tokens("Content-Type, X-A"),
            Ok(vec!["Content-Type".to_owned(), "X-A".to_owned()])
        );
        for refused in ["a b", "a,", "a:b", "a\nb"] {
            assert!(tokens(refused).is_err(), "{refused}");
        }
        assert!(policy("a\r\nset-cookie: b").is_err());
        assert!(policy("default-src 'self'").is_ok());
    }

    #[test]
    fn hsts_is_sent_only_when_enabled() {
        assert_eq!(read(&[("HSTS_MAX_AGE", "60")]).unwrap().browser.hsts, None);
        let on = read(&[("HSTS_ENABLED", "true"), ("HSTS_PRELOAD", "true")]).unwrap();
        let year = Duration::from_hours(365 * 24);
        let expected = HstsConfig { max_age: year, subdomains: true, preload: true };
        assert_eq!(on.browser.hsts, Some(expected));
    }
}
