//! Speaking to those who know our users: OpenID Connect, OAuth 2, and sets of public keys.
//!
//! It knows protocols and no accounts: what somebody may do who was recognised, and whether there is
//! such an account, is left to `domain::auth`. Nothing is asked before somebody needs it, so a
//! provider that is down keeps the service neither from starting nor from serving others. Nothing
//! that a provider says is logged.

mod fetched;
mod http;
mod keys;
mod oauth2;
mod openid;
mod profile;

pub use http::Http;
pub use http::Network;
pub use keys::KeySet;
pub use keys::TokenError;
pub use profile::Profile;

use serde::Deserialize;
use serde::Serialize;
use url::Url;

use crate::clock::Clock;
use crate::config::Driver;
use crate::config::ProviderConfig;
use crate::providers::oauth2::OAuth2;
use crate::providers::openid::OpenId;

/// Why a provider did not tell who somebody is. The words are for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or nothing that makes sense.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The code is not good, or not any more.
    #[error("the provider refuses the code")]
    Code,
    /// What it answers with does not prove anything.
    #[error("{0}")]
    Unproven(&'static str),
}

/// What has to be remembered of a sign-in while somebody is at the provider's page; a secret between
/// their browser and this service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What the provider sends back.
    pub state: String,
    /// What the ID token has to hold.
    pub nonce: String,
    /// What the code is only good together with (RFC 7636).
    pub verifier: String,
}

/// Somebody who knows our users.
pub enum Provider {
    /// By OpenID Connect.
    OpenId(Box<OpenId>),
    /// By OAuth 2 and an address of profiles.
    OAuth2(Box<OAuth2>),
}

impl Provider {
    /// Returns a provider that sends people back to this address. Nothing is asked yet.
    #[must_use]
    pub fn new(config: &ProviderConfig, callback: &Url, network: &Network, clock: &Clock) -> Self {
        let http = Http::new(network, config.timeout);
        match &config.driver {
            Driver::OpenId { discovery } => {
                let discovery = discovery.clone();
                let openid = OpenId::new(config, discovery, callback, http, clock.clone());
                Self::OpenId(Box::new(openid))
            }
            Driver::OAuth2 { authorize, access, profile } => {
                let urls = [authorize, access, profile, callback];
                Self::OAuth2(Box::new(OAuth2::new(config, urls, http)))
            }
        }
    }

    /// Returns the address of the page to sign in at, and what has to be remembered until somebody
    /// comes back from there.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`].
    pub async fn begin(&self) -> Result<(Url, Pending), ProviderError> {
        match self {
            Self::OpenId(openid) => openid.begin().await,
            Self::OAuth2(oauth2) => Ok(oauth2.begin()),
        }
    }

    /// Exchanges the code that somebody came back with for what the provider knows of them. `issuer`
    /// is who sent them, where they say so (RFC 9207).
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn finish(
        &self,
        code: &str,
        issuer: Option<&str>,
        pending: &Pending,
    ) -> Result<Profile, ProviderError> {
        match self {
            Self::OpenId(openid) => openid.finish(code, issuer, pending).await,
            Self::OAuth2(oauth2) => oauth2.finish(code, pending).await,
        }
    }
}
