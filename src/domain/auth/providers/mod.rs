//! Sign-in with an identity provider: redirect to its page, callback, and session.
//!
//! The protocol is in `crate::providers`. A `ticket` in the browser's cookie ties a callback to its
//! authorization request. `redirect` restricts the pages to return to. `account` decides on access
//! and on new accounts.

mod account;
mod redirect;
mod ticket;

pub(super) use account::identifier;
pub(super) use account::identity;
pub(super) use account::require_no_factor;

use std::time::Duration;

use subtle::ConstantTimeEq;
use url::Url;

use crate::clock::Clock;
use crate::config::{Driver, ProviderConfig, ProviderMode, ProvidersConfig, Secret};
use crate::domain::Error;
use crate::domain::auth::providers::ticket::{Ticket, Tickets};
use crate::domain::auth::{Auth, ClientInfo, SignIn};
use crate::model::SessionMode;
use crate::providers::{Network, Provider, ProviderError};

/// Time limit for a sign-in at the provider's page.
pub const TICKET_LIFETIME: Duration = Duration::from_mins(10);
/// Maximum length of an authorization code in bytes.
const CODE_BYTES_MAX: usize = 4096;

/// The configured identity providers.
pub struct Providers {
    offered: Vec<Offered>,
    disable_default: bool,
    /// `None` if no providers are configured.
    flow: Option<Flow>,
}

struct Offered {
    config: ProviderConfig,
    provider: Provider,
}

struct Flow {
    tickets: Tickets,
    /// The public URL of this service, with a trailing slash.
    home: Url,
}

/// Public information about a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a str,
    /// The label of its sign-in button.
    pub label: &'a str,
    /// `openid` or `oauth2`.
    pub driver: &'static str,
    /// The name of an icon.
    pub icon: &'a str,
}

/// An authorization request.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// The provider's page.
    pub url: Url,
    /// The ticket for the browser's cookie, valid for [`TICKET_LIFETIME`]. Must not be disclosed.
    pub ticket: String,
}

/// The parameters of a callback.
#[derive(Debug, Clone, Copy, Default)]
pub struct Callback<'a> {
    /// The ticket in the browser's cookie.
    pub ticket: Option<&'a str>,
    /// The `state` of the authorization request.
    pub state: Option<&'a str>,
    /// The authorization code.
    pub code: Option<&'a str>,
    /// The provider's error, if there is no code.
    pub error: Option<&'a str>,
    /// The issuer, if the provider names it.
    pub issuer: Option<&'a str>,
}

/// The result of a callback.
#[derive(Debug)]
pub struct CallbackResult {
    /// The page to redirect to; `None` to respond with the tokens as JSON.
    pub redirect: Option<Url>,
    /// How the tokens are delivered.
    pub mode: SessionMode,
    /// The new session, or the reason for the refusal.
    pub outcome: Result<SignIn, Error>,
}

impl Providers {
    /// Creates an empty set of providers.
    #[must_use]
    pub const fn none() -> Self {
        Self { offered: Vec::new(), disable_default: false, flow: None }
    }

    /// Creates the configured providers, with callback URLs below `home`. Sends no requests yet.
    #[must_use]
    pub fn new(
        config: &ProvidersConfig,
        home: &Url,
        secret: &Secret,
        network: &Network,
        clock: &Clock,
    ) -> Self {
        let offered = config.providers.iter().filter_map(|config| {
            let callback = home.join(&format!("auth/login/{}/callback", config.name)).ok()?;
            let provider = Provider::new(config, &callback, network, clock);
            Some(Offered { config: config.clone(), provider })
        });
        Self {
            offered: offered.collect(),
            disable_default: config.disable_default,
            flow: Some(Flow { tickets: Tickets::new(secret), home: home.clone() }),
        }
    }

    /// Returns whether sign-in with a password is disabled.
    #[must_use]
    pub const fn disable_default(&self) -> bool {
        self.disable_default
    }

    /// Lists the providers in the order of the settings.
    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.offered.iter().map(|Offered { config, .. }| Listed {
            name: &config.name,
            label: &config.label,
            driver: driver(config),
            icon: &config.icon,
        })
    }

    /// Returns the name of the cookie for this provider's tickets; `None` if there is no such
    /// provider. Provider names are case-insensitive.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let (offered, _) = self.find(name)?;
        let name = offered.config.name.to_ascii_lowercase();
        Some(format!("{}.{name}", driver(&offered.config)))
    }

    /// Validates the page to return to after a sign-in.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] if it is neither a page of this service nor on the provider's
    /// list; [`Error::InvalidProvider`].
    pub fn redirect(&self, name: &str, redirect: Option<&str>) -> Result<Option<Url>, Error> {
        let (offered, flow) = self.find(name).ok_or(Error::InvalidProvider)?;
        redirect::allowed(redirect, &flow.home, &offered.config.redirects)
    }

    fn find(&self, name: &str) -> Option<(&Offered, &Flow)> {
        let is = |offered: &&Offered| offered.config.name.eq_ignore_ascii_case(name);
        self.offered.iter().find(is).zip(self.flow.as_ref())
    }
}

impl Auth {
    /// Returns the configured identity providers.
    #[must_use]
    pub const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Begins a sign-in with a provider. `redirect` is the validated page to return to.
    ///
    /// # Errors
    /// [`Error::ProviderUnavailable`], [`Error::InvalidProvider`].
    pub async fn begin_provider_sign_in(
        &self,
        name: &str,
        redirect: Option<&Url>,
    ) -> Result<AuthorizationRequest, Error> {
        let (offered, flow) = self.providers.find(name).ok_or(Error::InvalidProvider)?;
        let begun = offered.provider.begin().await;
        let (url, pending) = begun.map_err(|error| refused(&offered.config, error))?;
        let expires = self.clock.now().plus(TICKET_LIFETIME);
        let ticket = Ticket::new(pending, redirect, expires);
        Ok(AuthorizationRequest { url, ticket: flow.tickets.seal(&offered.config.name, &ticket) })
    }

    /// Completes a sign-in with a provider. A ticket is valid once.
    ///
    /// # Errors
    /// [`Error::InvalidProvider`] if there is no such provider; other errors are in the
    /// [`CallbackResult`].
    pub async fn finish_provider_sign_in(
        &self,
        name: &str,
        callback: Callback<'_>,
        client: &ClientInfo,
    ) -> Result<CallbackResult, Error> {
        let (offered, flow) = self.providers.find(name).ok_or(Error::InvalidProvider)?;
        let config = &offered.config;
        let ticket = callback.ticket.and_then(|text| flow.tickets.open(&config.name, text));
        let Some(ticket) = ticket.filter(|ticket| self.clock.now() < ticket.expires()) else {
            tell(config, "this browser did not start the sign-in, or started it too long ago");
            let outcome = Err(Error::InvalidCredentials);
            return Ok(CallbackResult {
                redirect: Some(flow.home.clone()),
                mode: SessionMode::Session,
                outcome,
            });
        };
        let redirect = ticket.redirect();
        let mode = match (&redirect, config.mode) {
            (None, _) => SessionMode::Json,
            (Some(_), ProviderMode::Session) => SessionMode::Session,
            (Some(_), ProviderMode::Cookie) => SessionMode::Cookie,
        };
        let outcome = self.sign_in(offered, flow, &ticket, callback, mode, client).await;
        Ok(CallbackResult { redirect, mode, outcome })
    }

    async fn sign_in(
        &self,
        Offered { config, provider }: &Offered,
        flow: &Flow,
        ticket: &Ticket,
        callback: Callback<'_>,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let expected = ticket.pending.state.as_bytes();
        let state = callback.state.unwrap_or_default().as_bytes();
        if !bool::from(state.ct_eq(expected)) {
            tell(config, "the state belongs to another sign-in");
            return Err(Error::InvalidCredentials);
        }
        if !flow.tickets.spend(ticket, self.clock.now())? {
            tell(config, "the sign-in was already completed");
            return Err(Error::InvalidCredentials);
        }
        let code = callback.code.filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
        let Some(code) = code.filter(|_| callback.error.is_none()) else {
            tell(config, "the provider denied the sign-in");
            return Err(Error::InvalidCredentials);
        };
        let profile = provider.finish(code, callback.issuer, &ticket.pending).await;
        let profile = profile.map_err(|error| refused(config, error))?;
        self.enter(config, &profile, mode, client).await
    }
}

fn driver(config: &ProviderConfig) -> &'static str {
    match config.driver {
        Driver::OpenId { .. } => "openid",
        Driver::OAuth2 { .. } => "oauth2",
    }
}

/// Maps a provider's error to the response, and logs its reason.
fn refused(config: &ProviderConfig, error: ProviderError) -> Error {
    match error {
        ProviderError::Unavailable(reason) => {
            tracing::warn!(
                provider = %config.name,
                reason,
                "a provider does not respond correctly"
            );
            Error::ProviderUnavailable(config.name.clone())
        }
        ProviderError::Code => {
            tell(config, "the provider rejected the code");
            Error::InvalidToken
        }
        ProviderError::Unproven(reason) => {
            tell(config, reason);
            Error::InvalidCredentials
        }
    }
}

/// Logs the reason of a refused sign-in. The client receives only an error code.
fn tell(config: &ProviderConfig, reason: &str) {
    tracing::info!(provider = %config.name, reason, "a sign-in with a provider was refused");
}
