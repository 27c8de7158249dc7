//! Parsers for the settings of identity providers.

use serde_json::Value as Json;
use url::Url;
use uuid::Uuid;

use crate::config::parse::accept;
use crate::text;

/// Parameters of the authorization request that `AUTH_<NAME>_PARAMS` cannot set.
const OUR_PARAMS: [&str; 8] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

/// Reserved names: `default` stands for accounts with a password, and `AUTH_JWT_…` are the settings
/// of an issuer.
const RESERVED: [&str; 2] = ["default", "jwt"];

const NAME_CHARACTERS_MAX: usize = 64;

/// Names of providers, separated by commas.
pub(super) fn names(value: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for name in text::names(value) {
        let name = provider_name(name)?;
        let is_reserved = RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        if is_reserved || names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(format!("distinct names, and none of {}", RESERVED.join(", ")));
        }
        names.push(name);
    }
    Ok(names)
}

/// The name of a provider or of an issuer.
pub(in crate::config) fn provider_name(value: &str) -> Result<String, String> {
    let is_name = (1..=NAME_CHARACTERS_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !value.eq_ignore_ascii_case("default");
    accept(value, is_name, "names of letters, digits and _, such as google, but not default")
}

/// The URL of an HTTP endpoint.
pub(in crate::config) fn endpoint(value: &str) -> Result<Url, String> {
    Url::parse(value)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| "an address, such as https://id.example.com/path".to_owned())
}

/// The URL of an issuer, or of its discovery document.
pub(super) fn discovery(value: &str) -> Result<Url, String> {
    const DOCUMENT: &str = "/.well-known/openid-configuration";
    let url = endpoint(value)?;
    if url.path().ends_with(DOCUMENT) {
        return Ok(url);
    }
    endpoint(&format!("{}{DOCUMENT}", value.trim_end_matches('/')))
}

/// The key of a role.
pub(in crate::config) fn role(value: &str) -> Result<Uuid, String> {
    Uuid::try_parse(value).map_err(|_| "the key of a role".to_owned())
}

/// Words separated by spaces.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a parser")]
pub(super) fn words(value: &str) -> Result<Vec<String>, String> {
    Ok(value.split_whitespace().map(str::to_owned).collect())
}

/// A JSON object, optionally after `json:`, as Directus writes it.
pub(super) fn params(value: &str) -> Result<Vec<(String, String)>, String> {
    let text = |value: Json| match value {
        Json::String(text) => Some(text),
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let param = |(name, value): (String, Json)| {
        let is_ours = OUR_PARAMS.contains(&name.as_str());
        text(value).filter(|_| !is_ours).map(|value| (name, value))
    };
    let json = value.strip_prefix("json:").unwrap_or(value);
    let object: Option<serde_json::Map<String, Json>> = serde_json::from_str(json).ok();
    object.and_then(|object| object.into_iter().map(param).collect()).ok_or_else(|| {
        format!("a JSON object such as {{\"prompt\":\"login\"}}, without {}", OUR_PARAMS.join(", "))
    })
}
