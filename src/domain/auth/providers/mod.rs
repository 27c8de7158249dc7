//! Signing in with a provider: going to its page, coming back from there, and being let in.
//!
//! Who somebody is, `crate::providers` finds out. What binds the two halves together is a `ticket`
//! in the browser's cookie; where people may be sent on to, `redirect` knows; who is let in and who
//! gets an account, `account`.

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
use crate::config::Driver;
use crate::config::ProviderConfig;
use crate::config::ProviderMode;
use crate::config::ProvidersConfig;
use crate::config::Secret;
use crate::domain::Error;
use crate::domain::auth::Auth;
use crate::domain::auth::Mode;
use crate::domain::auth::Origin;
use crate::domain::auth::SignIn;
use crate::domain::auth::providers::ticket::Ticket;
use crate::domain::auth::providers::ticket::Tickets;
use crate::providers::Network;
use crate::providers::Provider;
use crate::providers::ProviderError;

/// How long somebody may be at a provider's page.
pub const TICKET_LIFETIME: Duration = Duration::from_mins(10);
/// How long a code may be.
const CODE_BYTES_MAX: usize = 4096;

/// With whom people can sign in.
pub struct Providers {
    offered: Vec<Offered>,
    disable_default: bool,
    /// What is there where there are providers.
    desk: Option<Desk>,
}

struct Offered {
    config: ProviderConfig,
    provider: Provider,
}

struct Desk {
    tickets: Tickets,
    /// The address under which browsers reach this service, with a slash at its end.
    home: Url,
}

/// One provider, as everybody may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a str,
    /// What to write on a button.
    pub label: &'a str,
    /// `openid` or `oauth2`.
    pub driver: &'static str,
    /// The name of an icon.
    pub icon: &'a str,
}

/// The way to a provider's page.
#[derive(Debug)]
pub struct Departure {
    /// The page.
    pub url: Url,
    /// What the browser has to bring back, within [`TICKET_LIFETIME`]. Nobody else may see it.
    pub ticket: String,
}

/// What somebody comes back with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Callback<'a> {
    /// What their browser kept.
    pub ticket: Option<&'a str>,
    /// What the provider was given.
    pub state: Option<&'a str>,
    /// What can be exchanged for who they are.
    pub code: Option<&'a str>,
    /// Why there is no code.
    pub error: Option<&'a str>,
    /// Which provider it was, where it says so.
    pub issuer: Option<&'a str>,
}

/// What came of it.
#[derive(Debug)]
pub struct Arrival {
    /// Where they are sent on to; `None` if they get the tokens as JSON.
    pub redirect: Option<Url>,
    /// How their tokens travel.
    pub mode: Mode,
    /// Their session, or why there is none.
    pub outcome: Result<SignIn, Error>,
}

impl Providers {
    /// Returns nobody.
    #[must_use]
    pub const fn none() -> Self {
        Self { offered: Vec::new(), disable_default: false, desk: None }
    }

    /// Returns the providers of the settings, who send people back to below `home`. None is asked yet.
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
            desk: Some(Desk { tickets: Tickets::new(secret), home: home.clone() }),
        }
    }

    /// Returns whether nobody signs in with a password.
    #[must_use]
    pub const fn disable_default(&self) -> bool {
        self.disable_default
    }

    /// Returns all, in the order of the settings.
    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.offered.iter().map(|Offered { config, .. }| Listed {
            name: &config.name,
            label: &config.label,
            driver: driver(config),
            icon: &config.icon,
        })
    }

    /// Returns the name of the cookie that a ticket of this provider is kept in; `None` if there is no
    /// such provider. Names are not told apart by their case.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let (offered, _) = self.find(name)?;
        let name = offered.config.name.to_ascii_lowercase();
        Some(format!("{}.{name}", driver(&offered.config)))
    }

    /// Returns the address that people are sent on to who ask for this one.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] if it is neither one of this service nor on the list of the provider;
    /// [`Error::InvalidProvider`].
    pub fn redirect(&self, name: &str, redirect: Option<&str>) -> Result<Option<Url>, Error> {
        let (offered, desk) = self.find(name).ok_or(Error::InvalidProvider)?;
        redirect::allowed(redirect, &desk.home, &offered.config.redirects)
    }

    fn find(&self, name: &str) -> Option<(&Offered, &Desk)> {
        let is = |offered: &&Offered| offered.config.name.eq_ignore_ascii_case(name);
        self.offered.iter().find(is).zip(self.desk.as_ref())
    }
}

impl Auth {
    /// Returns with whom people can sign in.
    #[must_use]
    pub const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Sends somebody to the page of a provider, to be sent on to an address that is allowed once they
    /// are back.
    ///
    /// # Errors
    /// [`Error::ProviderUnavailable`], [`Error::InvalidProvider`].
    pub async fn depart(&self, name: &str, redirect: Option<&Url>) -> Result<Departure, Error> {
        let (offered, desk) = self.providers.find(name).ok_or(Error::InvalidProvider)?;
        let begun = offered.provider.begin().await;
        let (url, pending) = begun.map_err(|error| refused(&offered.config, error))?;
        let expires = self.clock.now().plus(TICKET_LIFETIME);
        let ticket = Ticket::new(pending, redirect, expires);
        Ok(Departure { url, ticket: desk.tickets.seal(&offered.config.name, &ticket) })
    }

    /// Lets somebody in who comes back from the page of a provider. A ticket is good once.
    ///
    /// # Errors
    /// [`Error::InvalidProvider`] if there is no such provider; all else is in the [`Arrival`].
    pub async fn arrive(
        &self,
        name: &str,
        callback: Callback<'_>,
        origin: &Origin,
    ) -> Result<Arrival, Error> {
        let (offered, desk) = self.providers.find(name).ok_or(Error::InvalidProvider)?;
        let config = &offered.config;
        let ticket = callback.ticket.and_then(|text| desk.tickets.open(&config.name, text));
        let Some(ticket) = ticket.filter(|ticket| self.clock.now() < ticket.expires()) else {
            tell(config, "this browser did not begin it, or too long ago");
            let outcome = Err(Error::InvalidCredentials);
            return Ok(Arrival { redirect: Some(desk.home.clone()), mode: Mode::Session, outcome });
        };
        let redirect = ticket.redirect();
        let mode = match (&redirect, config.mode) {
            (None, _) => Mode::Json,
            (Some(_), ProviderMode::Session) => Mode::Session,
            (Some(_), ProviderMode::Cookie) => Mode::Cookie,
        };
        let outcome = self.let_in(offered, desk, &ticket, callback, mode, origin).await;
        Ok(Arrival { redirect, mode, outcome })
    }

    async fn let_in(
        &self,
        Offered { config, provider }: &Offered,
        desk: &Desk,
        ticket: &Ticket,
        callback: Callback<'_>,
        mode: Mode,
        origin: &Origin,
    ) -> Result<SignIn, Error> {
        let expected = ticket.pending.state.as_bytes();
        let state = callback.state.unwrap_or_default().as_bytes();
        if !bool::from(state.ct_eq(expected)) {
            tell(config, "the state is that of another sign-in");
            return Err(Error::InvalidCredentials);
        }
        if !desk.tickets.spend(ticket, self.clock.now())? {
            tell(config, "they came back before");
            return Err(Error::InvalidCredentials);
        }
        let code = callback.code.filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
        let Some(code) = code.filter(|_| callback.error.is_none()) else {
            tell(config, "the provider did not let them through");
            return Err(Error::InvalidCredentials);
        };
        let profile = provider.finish(code, callback.issuer, &ticket.pending).await;
        let profile = profile.map_err(|error| refused(config, error))?;
        self.enter(config, &profile, mode, origin).await
    }
}

fn driver(config: &ProviderConfig) -> &'static str {
    match config.driver {
        Driver::OpenId { .. } => "openid",
        Driver::OAuth2 { .. } => "oauth2",
    }
}

/// Returns what a provider's failure means to whoever wants to sign in.
fn refused(config: &ProviderConfig, error: ProviderError) -> Error {
    match error {
        ProviderError::Unavailable(reason) => {
            tracing::warn!(provider = %config.name, reason, "a provider does not answer as it should");
            Error::ProviderUnavailable(config.name.clone())
        }
        ProviderError::Code => {
            tell(config, "the provider refuses the code");
            Error::InvalidToken
        }
        ProviderError::Unproven(reason) => {
            tell(config, reason);
            Error::InvalidCredentials
        }
    }
}

/// Tells the operator why somebody was not let in; those themselves are told no more than a code.
fn tell(config: &ProviderConfig, reason: &str) {
    tracing::info!(provider = %config.name, reason, "a sign-in with a provider was refused");
}
