//! Identity providers: OpenID Connect, OAuth 2, and sets of public keys.
//!
//! This module implements protocols and knows no accounts: `domain::auth` looks up the account of
//! an authenticated user and its permissions. No request is sent to a provider before a sign-in or
//! a token needs it, so an unavailable provider affects neither startup nor other users. Responses
//! of providers are never logged.

mod fetched;
mod http;
mod keys;
mod oauth2;
mod openid;
mod profile;

pub use http::{Http, Network};
pub use keys::{KeySet, TokenError};
pub use profile::Profile;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::clock::Clock;
use crate::config::{Driver, ProviderConfig};
use crate::providers::oauth2::OAuth2;
use crate::providers::openid::OpenId;

/// Why a provider did not identify the user. The error texts are for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider does not respond, or its response is unusable.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The authorization code is invalid or has expired.
    #[error("the provider rejected the code")]
    Code,
    /// The response does not prove the user's identity.
    #[error("{0}")]
    Unproven(&'static str),
}

/// The state of a sign-in while the user is at the provider's page. It is a secret between the
/// browser and this service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The `state` parameter, which the provider returns to the callback.
    pub state: String,
    /// The nonce that the ID token has to contain.
    pub nonce: String,
    /// The PKCE code verifier, required to exchange the authorization code (RFC 7636).
    pub verifier: String,
}

/// An identity provider.
pub enum Provider {
    /// OpenID Connect.
    OpenId(Box<OpenId>),
    /// OAuth 2 with a profile endpoint.
    OAuth2(Box<OAuth2>),
}

impl Provider {
    /// Creates a provider that redirects browsers to `callback`. No request is sent yet.
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

    /// Returns the URL of the provider's sign-in page, and the state to keep until the callback.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`].
    pub async fn begin(&self) -> Result<(Url, Pending), ProviderError> {
        match self {
            Self::OpenId(openid) => openid.begin().await,
            Self::OAuth2(oauth2) => Ok(oauth2.begin()),
        }
    }

    /// Exchanges the authorization code of a callback for the user's profile. `issuer` is the
    /// callback's `iss` parameter, if present (RFC 9207).
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
