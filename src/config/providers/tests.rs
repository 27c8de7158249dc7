//! Defaults, values and errors of the settings of identity providers.

use super::*;
use crate::config::Config;

fn read(texts: &[(&str, &str)]) -> Result<ProvidersConfig, String> {
    Config::from_texts(texts.iter().copied())
        .map(|config| config.providers)
        .map_err(|wrong| wrong.to_string())
}

const GOOGLE: [(&str, &str); 5] = [
    ("PUBLIC_URL", "https://chat.example.com"),
    ("AUTH_PROVIDERS", "google"),
    ("AUTH_GOOGLE_DRIVER", "openid"),
    ("AUTH_GOOGLE_CLIENT_ID", "chat"),
    ("AUTH_GOOGLE_ISSUER_URL", "https://accounts.google.com"),
];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    GOOGLE.iter().chain(more).copied().collect()
}

#[test]
fn there_are_no_providers_by_default() {
    let config = read(&[("AUTH_GOOGLE_DRIVER", "carrier pigeon")]).unwrap();

    assert!(config.providers.is_empty() && config.issuer.is_none() && !config.disable_default);
}

#[test]
fn a_provider_has_the_defaults_of_directus() {
    let config = read(&GOOGLE).unwrap();

    let google = &config.providers[0];
    let discovery = "https://accounts.google.com/.well-known/openid-configuration";
    assert_eq!(google.driver, Driver::OpenId { discovery: Url::parse(discovery).unwrap() });
    assert_eq!(google.scope, ["openid", "profile", "email"]);
    assert_eq!((google.keys.identifier.as_str(), google.keys.email.as_str()), ("sub", "email"));
    assert_eq!((google.label.as_str(), google.icon.as_str()), ("google", "account_circle"));
    assert_eq!(google.mode, ProviderMode::Session);
    assert!(!google.admission.register && !google.admission.sync);
}

#[test]
fn the_issuer_url_may_be_its_discovery_document() {
    let document = "https://id.example.com/realms/x/.well-known/openid-configuration";
    for url in [document, "https://id.example.com/realms/x", "https://id.example.com/realms/x/"] {
        let found = parse::discovery(url).unwrap();
        assert_eq!(found.as_str(), document, "{url}");
    }
}

#[test]
fn plain_oauth_has_its_own_endpoint_urls() {
    let texts = [
        ("PUBLIC_URL", "https://chat.example.com"),
        ("AUTH_PROVIDERS", "git_hub"),
        ("AUTH_GIT_HUB_DRIVER", "oauth2"),
        ("AUTH_GIT_HUB_CLIENT_ID", "chat"),
        ("AUTH_GIT_HUB_CLIENT_SECRET", "hunter2hunter2"),
        ("AUTH_GIT_HUB_AUTHORIZE_URL", "https://github.com/login/oauth/authorize"),
        ("AUTH_GIT_HUB_ACCESS_URL", "https://github.com/login/oauth/access_token"),
        ("AUTH_GIT_HUB_PROFILE_URL", "https://api.github.com/user"),
        ("AUTH_GIT_HUB_PARAMS", "json:{\"allow_signup\":false}"),
        ("AUTH_GIT_HUB_MODE", "cookie"),
    ];
    let config = read(&texts).unwrap();

    let github = &config.providers[0];
    assert_eq!(github.keys.identifier, "email");
    assert_eq!(github.scope, ["email"]);
    assert_eq!(github.params, [("allow_signup".to_owned(), "false".to_owned())]);
    assert_eq!(github.mode, ProviderMode::Cookie);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn missing_and_invalid_settings_are_named() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("AUTH_GOOGLE_DRIVER", "saml")], "AUTH_GOOGLE_DRIVER"),
        (&[("AUTH_GOOGLE_DRIVER", "")], "AUTH_GOOGLE_DRIVER"),
        (&[("AUTH_GOOGLE_DRIVER", "oauth2")], "AUTH_GOOGLE_PROFILE_URL"),
        (&[("AUTH_GOOGLE_CLIENT_ID", "")], "AUTH_GOOGLE_CLIENT_ID"),
        (&[("AUTH_GOOGLE_ISSUER_URL", "")], "AUTH_GOOGLE_ISSUER_URL"),
        (&[("AUTH_GOOGLE_ISSUER_URL", "accounts.google.com")], "AUTH_GOOGLE_ISSUER_URL"),
        (&[("AUTH_GOOGLE_ISSUER_URL", "file:///etc/passwd")], "AUTH_GOOGLE_ISSUER_URL"),
        (&[("AUTH_GOOGLE_DEFAULT_ROLE_ID", "admin")], "AUTH_GOOGLE_DEFAULT_ROLE_ID"),
        (&[("AUTH_GOOGLE_MODE", "json")], "AUTH_GOOGLE_MODE"),
        (&[("AUTH_GOOGLE_PARAMS", "{\"state\":\"x\"}")], "AUTH_GOOGLE_PARAMS"),
        (&[("AUTH_GOOGLE_PARAMS", "prompt=login")], "AUTH_GOOGLE_PARAMS"),
        (&[("AUTH_PROVIDERS", "google,default")], "AUTH_PROVIDERS"),
        (&[("AUTH_PROVIDERS", "google,Google")], "AUTH_PROVIDERS"),
        (&[("AUTH_PROVIDERS", "go ogle")], "AUTH_PROVIDERS"),
        (&[("PUBLIC_URL", "/")], "PUBLIC_URL"),
        (&[("AUTH_PROVIDERS", ""), ("AUTH_DISABLE_DEFAULT", "true")], "AUTH_DISABLE_DEFAULT"),
    ];
    for (texts, name) in table {
        let wrong = read(&with(texts)).unwrap_err();
        assert!(wrong.contains(name), "{texts:?}: {wrong}");
    }
}

#[test]
fn all_missing_settings_of_a_provider_are_named_at_once() {
    let wrong = read(&[("AUTH_PROVIDERS", "google"), ("AUTH_GOOGLE_MODE", "json")]).unwrap_err();
    for name in ["PUBLIC_URL", "DRIVER", "CLIENT_ID", "ISSUER_URL", "MODE"] {
        assert!(wrong.contains(&format!("{name}: ")), "{name} is not in {wrong}");
    }
    assert!(wrong.starts_with("5 settings"), "{wrong}");

    let profile = ("AUTH_GOOGLE_PROFILE_URL", "https://id.example.com/me");
    let wrong = read(&[("AUTH_PROVIDERS", "google"), profile]).unwrap_err();
    assert!(wrong.contains("AUTH_GOOGLE_ACCESS_URL") && !wrong.contains("ISSUER"), "{wrong}");
}

#[test]
fn a_misspelt_provider_setting_is_corrected_in_the_error() {
    let wrong = read(&with(&[("AUTH_GOOGLE_SCPE", "email")])).unwrap_err();
    assert_eq!(wrong, "AUTH_GOOGLE_SCPE: should be AUTH_GOOGLE_SCOPE: no such setting");

    // Reader that only Directus has, of other or unknown providers, and of the service.
    let unknown = |more: &[(&str, &str)]| read(&with(more)).map(|config| config.unknown);
    let mapping = "AUTH_GOOGLE_ROLE_MAPPING";
    assert_eq!(unknown(&[(mapping, "{}")]), Ok(vec![mapping.to_owned()]));
    assert_eq!(unknown(&[("AUTH_GOOGLE_SCPE", ""), ("AUTH_GITHUB_SCPE", "x")]), Ok(vec![]));
    let both = [
        ("AUTH_PROVIDERS", "google,google_work,throttle"),
        ("AUTH_GOOGLE_WORK_DRIVER", "openid"),
        ("AUTH_GOOGLE_WORK_CLIENT_ID", "chat"),
        ("AUTH_GOOGLE_WORK_ISSUER_URL", "https://accounts.google.com"),
        ("AUTH_THROTTLE_ENABLED", "true"),
        ("AUTH_THROTTLE_DRIVER", "openid"),
        ("AUTH_THROTTLE_CLIENT_ID", "chat"),
        ("AUTH_THROTTLE_ISSUER_URL", "https://accounts.google.com"),
    ];
    assert_eq!(unknown(&both), Ok(vec![]));
}
