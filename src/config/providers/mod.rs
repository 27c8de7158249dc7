//! Identity providers (`AUTH_PROVIDERS`, `AUTH_<NAME>_…`). An application that issues access tokens
//! itself is an `issuer`.
//!
//! The setting names of a provider contain its name, so they are not in the list of settings;
//! `.env.example` shows them as a table.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value as Json;
use url::Url;
use uuid::Uuid;

use crate::config::IssuerConfig;
use crate::config::Secret;
use crate::config::email::urls;
use crate::config::parse;
use crate::config::parse::DefaultUnit;
use crate::config::reader::Reader;
use crate::config::suggest;
use crate::text;

/// The settings of a provider, without `AUTH_<NAME>_`.
const PROVIDER_SETTINGS: [&str; 22] = [
    "DRIVER",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "ISSUER_URL",
    "AUTHORIZE_URL",
    "ACCESS_URL",
    "PROFILE_URL",
    "SCOPE",
    "IDENTIFIER_KEY",
    "EMAIL_KEY",
    "FIRST_NAME_KEY",
    "LAST_NAME_KEY",
    "ALLOW_PUBLIC_REGISTRATION",
    "REQUIRE_VERIFIED_EMAIL",
    "DEFAULT_ROLE_ID",
    "SYNC_USER_INFO",
    "REDIRECT_ALLOW_LIST",
    "MODE",
    "LABEL",
    "ICON",
    "PARAMS",
    "TIMEOUT",
];

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
const TAKEN: [&str; 2] = ["default", "jwt"];

const NAME_CHARACTERS_MAX: usize = 64;

/// Identity providers and the token issuer.
#[derive(Debug, Clone)]
pub struct ProvidersConfig {
    /// `AUTH_PROVIDERS`, default none: names separated by commas.
    pub providers: Vec<ProviderConfig>,
    /// `AUTH_DISABLE_DEFAULT`, default false: whether sign-in with a password is disabled.
    pub disable_default: bool,
    /// `AUTH_JWT_…`, default none: the issuer of accepted tokens.
    pub issuer: Option<IssuerConfig>,
    /// Reader of a provider that are set but unknown.
    pub unknown: Vec<String>,
}

/// One provider. Each field is the setting `AUTH_<NAME>_…` of its name.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Its name, as in `AUTH_PROVIDERS`.
    pub name: String,
    /// `DRIVER`, with its URLs.
    pub driver: Driver,
    /// `CLIENT_ID`.
    pub client_id: String,
    /// `CLIENT_SECRET`, default none: a public client.
    pub client_secret: Option<Secret>,
    /// `SCOPE`, default `openid profile email`, or `email` for `oauth2`.
    pub scope: Vec<String>,
    /// `…_KEY`: the names of the claims.
    pub keys: ClaimKeys,
    /// Admission of new accounts.
    pub admission: Admission,
    /// `REDIRECT_ALLOW_LIST`, default none: allowed redirect targets after sign-in, besides pages
    /// of `PUBLIC_URL`.
    pub redirects: Vec<Url>,
    /// `MODE`, default `session`: the cookie that a page gets.
    pub mode: ProviderMode,
    /// `LABEL`, default the name: the label of the button.
    pub label: String,
    /// `ICON`, default `account_circle`.
    pub icon: String,
    /// `PARAMS`, a JSON object, default none: additional parameters of the authorization URL.
    pub params: Vec<(String, String)>,
    /// `TIMEOUT`, default `10s`: timeout of requests to the provider.
    pub timeout: Duration,
}

/// The protocol of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// OpenID Connect: the discovery document (`ISSUER_URL`) contains all other URLs.
    OpenId {
        /// The URL of the document, `…/.well-known/openid-configuration`.
        discovery: Url,
    },
    /// OAuth 2 without OpenID Connect.
    OAuth2 {
        /// `AUTHORIZE_URL`: the sign-in page.
        authorize: Url,
        /// `ACCESS_URL`: the token endpoint.
        access: Url,
        /// `PROFILE_URL`: the user info endpoint.
        profile: Url,
    },
}

/// The cookie that a page gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderMode {
    /// A session token.
    Session,
    /// A refresh token.
    Cookie,
}

/// Names of the claims in a profile; dots lead into nested objects.
#[derive(Debug, Clone)]
pub struct ClaimKeys {
    /// The identifier of the user.
    pub identifier: String,
    /// The email address.
    pub email: String,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
}

/// Admission of new accounts.
#[derive(Debug, Clone)]
pub struct Admission {
    /// `ALLOW_PUBLIC_REGISTRATION`, default false: whether unknown users get an account.
    pub register: bool,
    /// `REQUIRE_VERIFIED_EMAIL`, default false: whether only users with a confirmed address
    /// (`email_verified`) get one.
    pub verified_email: bool,
    /// `DEFAULT_ROLE_ID`, default none: the role of new accounts.
    pub role: Option<Uuid>,
    /// `SYNC_USER_INFO`, default false: whether names and address are updated from the provider.
    pub sync: bool,
}

impl ProvidersConfig {
    /// Reads the settings. Requires `PUBLIC_URL`, since providers redirect back to it and it is
    /// never taken from a request.
    pub(super) fn read(from: &mut Reader, has_public_url: bool) -> Self {
        let names = from.find("AUTH_PROVIDERS", names).unwrap_or_default();
        if !names.is_empty() && !has_public_url {
            let should = "set with AUTH_PROVIDERS, such as https://chat.example.com";
            from.report("PUBLIC_URL", None, should);
        }
        let disable_default = from.read("AUTH_DISABLE_DEFAULT", "false", parse::boolean);
        let providers: Vec<ProviderConfig> =
            names.iter().filter_map(|name| ProviderConfig::read(from, name)).collect();
        let prefixes: Vec<String> = names.iter().map(|name| prefix(name)).collect();
        let unknown = prefixes
            .iter()
            .flat_map(|prefix| suggest::report(from, prefix, &prefixes, &PROVIDER_SETTINGS))
            .collect();
        let issuer = IssuerConfig::read(from);
        if disable_default && names.is_empty() && issuer.is_none() {
            let should = "false without AUTH_PROVIDERS: otherwise no user could sign in";
            from.report("AUTH_DISABLE_DEFAULT", Some("true"), should);
        }
        Self { providers, disable_default, issuer, unknown }
    }
}

impl ProviderConfig {
    /// Reads the settings of one provider. Reports all errors; `None` if a required one is missing.
    fn read(from: &mut Reader, name: &str) -> Option<Self> {
        const MODES: &[(&str, ProviderMode)] =
            &[("session", ProviderMode::Session), ("cookie", ProviderMode::Cookie)];
        let of = |setting: &str| format!("{}{setting}", prefix(name));
        let driver = Driver::read(from, &of);
        let client_id = require(from, &of("CLIENT_ID"), parse::text);
        let is_openid = matches!(driver, Some(Driver::OpenId { .. }));
        let scope = if is_openid { "openid profile email" } else { "email" };
        let scope = from.find_named(&of("SCOPE"), parse::text).unwrap_or_else(|| scope.to_owned());
        let mut scope: Vec<String> = scope.split_whitespace().map(str::to_owned).collect();
        if is_openid && !scope.iter().any(|part| part == "openid") {
            scope.insert(0, "openid".to_owned());
        }
        let email = from.find_named(&of("EMAIL_KEY"), parse::text);
        let email = email.unwrap_or_else(|| "email".to_owned());
        let given = |name: &str| is_openid.then(|| name.to_owned());
        Some(Self {
            name: name.to_owned(),
            client_secret: from.find_named_secret(&of("CLIENT_SECRET"), parse::secret(1)),
            scope,
            keys: ClaimKeys {
                identifier: from
                    .find_named(&of("IDENTIFIER_KEY"), parse::text)
                    .unwrap_or_else(|| if is_openid { "sub".to_owned() } else { email.clone() }),
                first_name: from
                    .find_named(&of("FIRST_NAME_KEY"), parse::text)
                    .or_else(|| given("given_name")),
                last_name: from
                    .find_named(&of("LAST_NAME_KEY"), parse::text)
                    .or_else(|| given("family_name")),
                email,
            },
            admission: Admission {
                register: switch(from, &of("ALLOW_PUBLIC_REGISTRATION")),
                verified_email: switch(from, &of("REQUIRE_VERIFIED_EMAIL")),
                role: from.find_named(&of("DEFAULT_ROLE_ID"), key),
                sync: switch(from, &of("SYNC_USER_INFO")),
            },
            redirects: from.find_named(&of("REDIRECT_ALLOW_LIST"), urls).unwrap_or_default(),
            mode: from
                .find_named(&of("MODE"), parse::choice(MODES))
                .unwrap_or(ProviderMode::Session),
            label: from.find_named(&of("LABEL"), parse::text).unwrap_or_else(|| name.to_owned()),
            icon: from
                .find_named(&of("ICON"), parse::text)
                .unwrap_or_else(|| "account_circle".to_owned()),
            params: from.find_named(&of("PARAMS"), params).unwrap_or_default(),
            timeout: from
                .find_named(&of("TIMEOUT"), parse::duration(DefaultUnit::Milliseconds, TIMEOUT_MIN))
                .unwrap_or(TIMEOUT),
            // Last, so that the other settings are checked even if one of these is missing.
            client_id: client_id?,
            driver: driver?,
        })
    }
}

impl Driver {
    /// Reads the protocol of a provider and its URLs. Without `DRIVER` it is OpenID Connect, unless
    /// a URL of OAuth 2 is set.
    fn read(from: &mut Reader, of: &impl Fn(&str) -> String) -> Option<Self> {
        const DRIVERS: &[(&str, bool)] = &[("openid", true), ("oauth2", false)];
        const ADDRESSES: [&str; 3] = ["AUTHORIZE_URL", "ACCESS_URL", "PROFILE_URL"];
        let is_openid = require(from, &of("DRIVER"), parse::choice(DRIVERS));
        if is_openid.unwrap_or_else(|| !ADDRESSES.iter().any(|name| from.has(&of(name)))) {
            let discovery = require(from, &of("ISSUER_URL"), discovery)?;
            return Some(Self::OpenId { discovery });
        }
        let [authorize, access, profile] = ADDRESSES.map(|name| require(from, &of(name), endpoint));
        Some(Self::OAuth2 { authorize: authorize?, access: access?, profile: profile? })
    }
}

/// Returns the prefix of the settings of a provider.
fn prefix(name: &str) -> String {
    format!("AUTH_{}_", name.to_ascii_uppercase())
}

const TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const TIMEOUT_MIN: Duration = Duration::from_millis(10);

/// Reads a required setting of a provider.
fn require<T>(
    from: &mut Reader,
    name: &str,
    form: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    if !from.has(name) {
        from.report(name, None, "set, since AUTH_PROVIDERS names its provider");
    }
    from.find_named(name, form)
}

fn switch(from: &mut Reader, name: &str) -> bool {
    from.find_named(name, parse::boolean).unwrap_or(false)
}

/// Names of providers, separated by commas.
fn names(value: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for name in text::names(value) {
        let name = provider_name(name)?;
        let is_taken = TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken));
        if is_taken || names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(format!("distinct names, and none of {}", TAKEN.join(", ")));
        }
        names.push(name);
    }
    Ok(names)
}

/// The name of a provider or of an issuer.
pub(super) fn provider_name(value: &str) -> Result<String, String> {
    let is_name = value.len() <= NAME_CHARACTERS_MAX
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !value.eq_ignore_ascii_case("default");
    if is_name && !value.is_empty() {
        Ok(value.to_owned())
    } else {
        Err("names of letters, digits and _, such as google, but not default".to_owned())
    }
}

/// The URL of an HTTP endpoint.
pub(super) fn endpoint(value: &str) -> Result<Url, String> {
    Url::parse(value)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| "an address, such as https://id.example.com/path".to_owned())
}

/// The URL of an issuer, or of its discovery document.
fn discovery(value: &str) -> Result<Url, String> {
    const DOCUMENT: &str = "/.well-known/openid-configuration";
    let url = endpoint(value)?;
    if url.path().ends_with(DOCUMENT) {
        return Ok(url);
    }
    endpoint(&format!("{}{DOCUMENT}", value.trim_end_matches('/')))
}

/// The key of a role.
pub(super) fn key(value: &str) -> Result<Uuid, String> {
    Uuid::try_parse(value).map_err(|_| "the key of a role".to_owned())
}

/// A JSON object, optionally after `json:`, as Directus writes it.
fn params(value: &str) -> Result<Vec<(String, String)>, String> {
    let should = || {
        format!("a JSON object such as {{\"prompt\":\"login\"}}, without {}", OUR_PARAMS.join(", "))
    };
    let json = value.strip_prefix("json:").unwrap_or(value);
    let Ok(Json::Object(object)) = serde_json::from_str::<Json>(json) else {
        return Err(should());
    };
    let text = |value: Json| match value {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(switch) => Some(switch.to_string()),
        _ => None,
    };
    object
        .into_iter()
        .map(|(name, value)| {
            let is_ours = OUR_PARAMS.contains(&name.as_str());
            text(value).filter(|_| !is_ours).map(|value| (name, value))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(should)
}
