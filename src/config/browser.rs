//! Settings for browsers: CORS, HSTS and the content security policy.
//!
//! Names and formats are those of Directus. `transport::origin` and `transport::cors` apply them.

use std::time::Duration;

use crate::config::parse::accept;
use crate::config::parse::is_token;
use crate::config::reader::Reader;

/// Default policy of front-end pages: no restrictions, except that other sites must not frame them.
const PUBLIC_POLICY: &str = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'";

settings! {
    /// Settings for browsers.
    pub struct BrowserConfig {
        /// Origins that may read responses, besides those of this service.
        cors: CorsConfig = section();
        /// How long browsers are to use TLS only; `None` sends no header.
        hsts: Option<HstsConfig> = group(HstsConfig::new) {
            /// Whether browsers are told to use TLS only; enable it only if the whole host is
            /// served over TLS.
            enabled = setting("HSTS_ENABLED", "false", boolean);
            /// How long browsers remember to use TLS only (plain: seconds).
            max_age = setting("HSTS_MAX_AGE", "31536000", seconds(0));
            /// Whether browsers use TLS only for all subdomains, too.
            subdomains = setting("HSTS_INCLUDE_SUB_DOMAINS", "true", boolean);
            /// Whether browsers may include the host in their preload lists.
            preload = setting("HSTS_PRELOAD", "false", boolean);
        };
        /// The Content-Security-Policy of the pages of `serve --public DIR` (in quotes). Not set:
        /// "base-uri 'self'; frame-ancestors 'self'; object-src 'none'". Built-in pages have
        /// stricter policies.
        content_security_policy: String = derived("CONTENT_SECURITY_POLICY", PUBLIC_POLICY, policy);
    }
}

settings! {
    /// Cross-origin resource sharing.
    pub struct CorsConfig {
        /// Whether pages of other origins (scheme, host and port) may read responses. Not set: no,
        /// but with `serve --demo` those of localhost. `CORS_ORIGIN` has an effect only if this is
        /// true.
        enabled: Option<bool> = optional("CORS_ENABLED", boolean);
        /// The allowed origins: a list such as `https://chat.example.com,http://localhost:3000`, or
        /// true (or *) for all origins, without cookies.
        origins: Origins = setting("CORS_ORIGIN", "false", origins);
        /// The methods that pages of the allowed origins may use.
        methods: Vec<String> = setting("CORS_METHODS", "GET,POST,PATCH,DELETE,SEARCH", tokens);
        /// The request headers that pages of the allowed origins may send.
        allowed_headers: Vec<String> =
            setting("CORS_ALLOWED_HEADERS", "Content-Type,Authorization,Idempotency-Key", tokens);
        /// The response headers that pages of the allowed origins may read.
        exposed_headers: Vec<String> =
            setting("CORS_EXPOSED_HEADERS", "Ignored-Fields,Retry-After,X-Request-Id", tokens);
        /// Whether pages of the origins listed in `CORS_ORIGIN` may use cookies, and open sockets
        /// with them.
        credentials: bool = setting("CORS_CREDENTIALS", "true", boolean);
        /// How long browsers may cache the permissions of other origins (plain: seconds).
        max_age: Duration = setting("CORS_MAX_AGE", "18000", seconds(0));
        /// Whether `CORS_ORIGIN` allows origins but has no effect because `CORS_ENABLED` is not
        /// set.
        is_ignored: bool = computed(enabled.is_none() && origins != Origins::None);
    }
    check CorsConfig::check;
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
    /// How long browsers remember it.
    pub max_age: Duration,
    /// Whether it applies to all subdomains.
    pub subdomains: bool,
    /// Whether browsers may include the host in their preload lists.
    pub preload: bool,
}

impl HstsConfig {
    fn new(enabled: bool, max_age: Duration, subdomains: bool, preload: bool) -> Option<Self> {
        enabled.then_some(Self { max_age, subdomains, preload })
    }
}

impl CorsConfig {
    /// Allows no origin unless enabled.
    fn check(&mut self, _: &mut Reader) {
        if self.enabled != Some(true) {
            self.origins = Origins::None;
        }
    }

    /// Allows pages on this machine, unless `CORS_ENABLED` is set.
    pub(super) fn allow_local(&mut self) {
        if self.enabled.is_none() {
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
    let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().all(|name| is_token(name)) {
        Ok(names)
    } else {
        Err("names without spaces, separated by commas".to_owned())
    }
}

/// Reads a policy that is sent as a header value unchanged.
fn policy(value: &str) -> Result<String, String> {
    let is_ascii = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    accept(value, is_ascii, "a policy in one line of ASCII, such as frame-ancestors 'self'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, InvalidSettings};

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
