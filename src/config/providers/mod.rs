//! Identity providers (`AUTH_PROVIDERS`, `AUTH_<NAME>_…`). An application that issues access tokens
//! itself is an `issuer`.

mod parse;
#[cfg(test)]
mod tests;

pub(super) use parse::endpoint;
pub(super) use parse::provider_name;
pub(super) use parse::role;

use std::time::Duration;

use clap::ValueEnum;
use url::Url;
use uuid::Uuid;

use crate::config::providers::parse::discovery;
use crate::config::providers::parse::names;
use crate::config::providers::parse::params;
use crate::config::providers::parse::words;
use crate::config::reader::Reader;
use crate::config::suggest;
use crate::config::{IssuerConfig, Secret};

settings! {
    /// Identity providers and the token issuer.
    pub struct ProvidersConfig {
        /// The identity providers: names separated by commas, such as google,github. Requires
        /// `PUBLIC_URL`. Each provider has the settings `AUTH_<NAME>_…`.
        names: Vec<String> = setting("AUTH_PROVIDERS", "", names);
        /// The providers of these names.
        providers: Vec<ProviderConfig> = each(names, ProviderConfig);
        /// Whether sign-in with a password is disabled, at every entry point.
        disable_default: bool = setting("AUTH_DISABLE_DEFAULT", "false", boolean);
        /// The issuer of accepted tokens.
        issuer: Option<IssuerConfig> = section();
        /// Settings of a provider that are set but unknown.
        unknown: Vec<String> = computed(Vec::new());
    }
    check ProvidersConfig::check;
}

settings! {
    /// One provider.
    pub struct ProviderConfig {
        /// Its name, as in `AUTH_PROVIDERS`.
        name: String = computed(String::new());
        /// Its protocol.
        driver: Driver = group(Driver::new) {
            /// openid, or oauth2 for providers without it
            protocol = optional("AUTH_<NAME>_DRIVER", choice);
            /// openid: the issuer, or its .well-known/openid-configuration
            issuer = optional("AUTH_<NAME>_ISSUER_URL", discovery);
            /// oauth2: the sign-in page
            authorize = optional("AUTH_<NAME>_AUTHORIZE_URL", endpoint);
            /// oauth2: the token endpoint
            access = optional("AUTH_<NAME>_ACCESS_URL", endpoint);
            /// oauth2: the user info endpoint
            profile = optional("AUTH_<NAME>_PROFILE_URL", endpoint);
        };
        /// the client id of this service
        client_id: String = setting("AUTH_<NAME>_CLIENT_ID", "", text);
        /// its secret; none for a public client
        client_secret: Option<Secret> = secret("AUTH_<NAME>_CLIENT_SECRET", secret(1));
        /// openid: openid profile email; oauth2: email
        scope: Vec<String> = derived(
            "AUTH_<NAME>_SCOPE",
            driver.openid("openid profile email").unwrap_or("email"),
            words
        );
        /// The names of the claims.
        keys: ClaimKeys = fields(ClaimKeys) {
            /// the claim with the address; dots lead into nested objects
            email = setting("AUTH_<NAME>_EMAIL_KEY", "email", text);
            /// the claim that identifies a user; openid: sub, oauth2: `EMAIL_KEY`
            identifier =
                derived("AUTH_<NAME>_IDENTIFIER_KEY", driver.openid("sub").unwrap_or(&email), text);
            /// openid: `given_name`
            first_name = derived(
                "AUTH_<NAME>_FIRST_NAME_KEY",
                driver.openid("given_name").unwrap_or_default(),
                text_or_none
            );
            /// openid: `family_name`
            last_name = derived(
                "AUTH_<NAME>_LAST_NAME_KEY",
                driver.openid("family_name").unwrap_or_default(),
                text_or_none
            );
        };
        /// Admission of new accounts.
        admission: Admission = fields(Admission) {
            /// whether unknown users get an account
            register = setting("AUTH_<NAME>_ALLOW_PUBLIC_REGISTRATION", "false", boolean);
            /// only if the provider has confirmed their address
            verified_email = setting("AUTH_<NAME>_REQUIRE_VERIFIED_EMAIL", "false", boolean);
            /// the key of the role of new accounts
            role = optional("AUTH_<NAME>_DEFAULT_ROLE_ID", role);
            /// whether names and address follow the provider's
            sync = setting("AUTH_<NAME>_SYNC_USER_INFO", "false", boolean);
        };
        /// pages of other origins allowed as redirect targets
        redirects: Vec<Url> = setting("AUTH_<NAME>_REDIRECT_ALLOW_LIST", "", urls);
        /// the cookie that such a page gets: session or cookie
        mode: ProviderMode = setting("AUTH_<NAME>_MODE", "session", choice);
        /// the label of the button; the name
        label: String = setting("AUTH_<NAME>_LABEL", "", text);
        /// the icon of the button
        icon: String = setting("AUTH_<NAME>_ICON", "account_circle", text);
        /// more parameters of the sign-in URL: `{"prompt":"login"}`
        params: Vec<(String, String)> = setting("AUTH_<NAME>_PARAMS", "{}", params);
        /// the timeout of its responses (plain: milliseconds)
        timeout: Duration = setting("AUTH_<NAME>_TIMEOUT", "10s", milliseconds(10));
    }
    check ProviderConfig::check;
}

/// The protocol of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// OpenID Connect: the discovery document contains all other URLs.
    OpenId {
        /// The URL of the document, `…/.well-known/openid-configuration`.
        discovery: Url,
    },
    /// OAuth 2 without OpenID Connect.
    OAuth2 {
        /// The sign-in page.
        authorize: Url,
        /// The token endpoint.
        access: Url,
        /// The user info endpoint.
        profile: Url,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
enum Protocol {
    OpenId,
    OAuth2,
}

/// The cookie that a page gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum ProviderMode {
    /// A session token.
    Session,
    /// A refresh token.
    Cookie,
}

/// Names of the claims in a profile; dots lead into nested objects.
#[derive(Debug, Clone)]
pub struct ClaimKeys {
    /// The email address.
    pub email: String,
    /// The identifier of the user.
    pub identifier: String,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
}

/// Admission of new accounts.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Whether unknown users get an account.
    pub register: bool,
    /// Whether only users with a confirmed address (`email_verified`) get one.
    pub verified_email: bool,
    /// The role of new accounts.
    pub role: Option<Uuid>,
    /// Whether names and address are updated from the provider.
    pub sync: bool,
}

impl ProvidersConfig {
    fn check(&mut self, from: &mut Reader) {
        // Providers redirect back to this URL, which is never taken from a request.
        if !self.names.is_empty() && matches!(from.value("PUBLIC_URL"), None | Some("/")) {
            let should = "set with AUTH_PROVIDERS, such as https://chat.example.com";
            from.report("PUBLIC_URL", should);
        }
        if self.disable_default && self.names.is_empty() && self.issuer.is_none() {
            let should = "false without AUTH_PROVIDERS: otherwise no user could sign in";
            from.report("AUTH_DISABLE_DEFAULT", should);
        }
        self.unknown = unknown_names(from, &self.names);
    }
}

impl ProviderConfig {
    /// Requires the settings without which there is no provider, and derives those that depend on
    /// its name and protocol.
    fn check(&mut self, from: &mut Reader) {
        let urls: &[&str] = match &self.driver {
            Driver::OpenId { .. } => &["AUTH_<NAME>_ISSUER_URL"],
            Driver::OAuth2 { .. } => {
                &["AUTH_<NAME>_AUTHORIZE_URL", "AUTH_<NAME>_ACCESS_URL", "AUTH_<NAME>_PROFILE_URL"]
            }
        };
        for name in ["AUTH_<NAME>_DRIVER", "AUTH_<NAME>_CLIENT_ID"].iter().chain(urls) {
            from.require(name, "set, since AUTH_PROVIDERS names its provider");
        }
        from.provider().clone_into(&mut self.name);
        if self.label.is_empty() {
            self.label.clone_from(&self.name);
        }
        if self.driver.openid(()).is_some() && !self.scope.iter().any(|word| word == "openid") {
            self.scope.insert(0, "openid".to_owned());
        }
    }
}

impl Driver {
    /// Creates the protocol. An unknown one is OpenID Connect, unless a URL of OAuth 2 is set.
    fn new(
        protocol: Option<Protocol>,
        discovery: Option<Url>,
        authorize: Option<Url>,
        access: Option<Url>,
        profile: Option<Url>,
    ) -> Self {
        let is_oauth2 = authorize.is_some() || access.is_some() || profile.is_some();
        if protocol.map_or(!is_oauth2, |protocol| protocol == Protocol::OpenId) {
            return Self::OpenId { discovery: placeholder(discovery) };
        }
        let [authorize, access, profile] = [authorize, access, profile].map(placeholder);
        Self::OAuth2 { authorize, access, profile }
    }

    /// Returns the value if this is OpenID Connect.
    fn openid<T>(&self, value: T) -> Option<T> {
        matches!(self, Self::OpenId { .. }).then_some(value)
    }
}

/// Returns the URL. One that is missing is an error or disables its table, and is never used.
pub(super) fn placeholder(url: Option<Url>) -> Url {
    url.unwrap_or_else(|| Url::parse("https://localhost").expect("the placeholder is a URL"))
}

/// Returns the names that look like settings of these providers but are none. A name close to a
/// known one is reported as a probable misspelling instead.
///
/// Only such names are checked, since the environment holds the variables of other programs too.
fn unknown_names(from: &mut Reader, providers: &[String]) -> Vec<String> {
    let settings: Vec<String> = from.settings().map(str::to_owned).collect();
    let known: Vec<&str> =
        settings.iter().filter_map(|name| Some(name.split_once(">_")?.1)).collect();
    let prefixes: Vec<String> =
        providers.iter().map(|name| format!("AUTH_{}_", name.to_ascii_uppercase())).collect();
    let mut names: Vec<String> = from.names().map(str::to_owned).collect();
    names.retain(|name| from.value(name).is_some() && !settings.contains(name));
    names.sort();
    let mut unknown = Vec::new();
    for name in names {
        // A name may begin with the prefixes of two providers, such as `google` and `google_work`.
        let of_name = prefixes.iter().filter(|prefix| name.starts_with(*prefix));
        let Some(prefix) = of_name.max_by_key(|prefix| prefix.len()) else { continue };
        let rest = &name[prefix.len()..];
        match suggest::nearest(rest, &known) {
            Some(meant) => from.report(&name, format!("{prefix}{meant}: no such setting")),
            None => unknown.push(name),
        }
    }
    unknown
}
