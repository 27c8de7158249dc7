//! Warnings at startup about settings that disable a protection, have no effect, or are harmful
//! together. They do not prevent the start; invalid settings are refused by `config`.

use std::net::SocketAddr;

use crate::config::Config;

/// Returns the warnings, one sentence each.
#[must_use]
pub fn of(config: &Config, listening: SocketAddr) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_so: bool, told: &str| warnings.extend(is_so.then(|| told.to_owned()));
    // May be left over from a test.
    warn(
        !config.auth.throttle,
        "AUTH_THROTTLE_ENABLED is false: attempts to guess passwords and codes are not limited",
    );
    warn(
        config.limits.per_address.is_none(),
        "RATE_LIMITER_ENABLED is false: the requests and messages of a client are not limited",
    );
    warn(
        config.bootstrap.demo && !listening.ip().is_loopback(),
        "--demo has public passwords and lets visitors read and write, and HOST accepts \
         connections from other machines: use --demo with HOST=127.0.0.1",
    );
    warn(
        config.browser.cors.is_ignored,
        "CORS_ORIGIN has no effect without CORS_ENABLED=true: its origins are treated like all \
         others",
    );
    warnings.extend(
        config
            .providers
            .unknown
            .iter()
            .map(|name| format!("{name} has no effect: providers have no such setting")),
    );
    warnings
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn told(texts: &[(&str, &str)], demo: bool, listening: &str) -> Vec<String> {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let mut config = Config::from_texts(texts.collect::<HashMap<_, _>>()).unwrap();
        if demo {
            config.enable_demo();
        }
        of(&config, listening.parse().unwrap())
    }

    #[test]
    fn the_defaults_cause_no_warnings() {
        assert_eq!(told(&[], false, "0.0.0.0:8055"), Vec::<String>::new());
        assert_eq!(told(&[], true, "127.0.0.1:8055"), Vec::<String>::new());
        assert_eq!(told(&[], true, "[::1]:8055"), Vec::<String>::new());
    }

    #[test]
    fn each_warning_starts_with_the_name_of_its_setting() {
        const FRIEND: (&str, &str) = ("CORS_ORIGIN", "https://a.example");
        let google = [
            ("PUBLIC_URL", "https://chat.example.com"),
            ("AUTH_PROVIDERS", "google"),
            ("AUTH_GOOGLE_DRIVER", "openid"),
            ("AUTH_GOOGLE_CLIENT_ID", "chat"),
            ("AUTH_GOOGLE_ISSUER_URL", "https://accounts.google.com"),
            ("AUTH_GOOGLE_ROLE_MAPPING", "{}"),
        ];
        for (texts, demo, listening, name) in [
            (
                &[("AUTH_THROTTLE_ENABLED", "false")][..],
                false,
                "127.0.0.1:1",
                "AUTH_THROTTLE_ENABLED",
            ),
            (&[("RATE_LIMITER_ENABLED", "false")], false, "127.0.0.1:1", "RATE_LIMITER_ENABLED"),
            (&[], true, "0.0.0.0:8055", "--demo"),
            (&[], true, "192.168.0.2:8055", "--demo"),
            (&[FRIEND], false, "127.0.0.1:1", "CORS_ORIGIN"),
            (&[FRIEND], true, "127.0.0.1:1", "CORS_ORIGIN"),
            (&google, false, "127.0.0.1:1", "AUTH_GOOGLE_ROLE_MAPPING"),
        ] {
            let told = told(texts, demo, listening);
            assert!(told.len() == 1 && told[0].starts_with(name), "{texts:?}: {told:?}");
        }
        // An explicit `CORS_ENABLED` is not warned of.
        for enabled in ["true", "false"] {
            let told = told(&[("CORS_ENABLED", enabled), FRIEND], false, "127.0.0.1:1");
            assert!(told.is_empty(), "{enabled}: {told:?}");
        }
    }
}
