//! Sign-in, token refresh, sign-out, and authentication of requests.
//!
//! This module covers accounts and sessions. Token transport is in `transport`, authorization in
//! `permissions`.

pub mod access_token;
pub(in crate::domain) mod background;
mod devices;
mod factor_state;
mod issued;
pub(in crate::domain) mod mac;
pub mod password;
pub mod password_policy;
pub mod providers;
mod recognise;
mod recovery_codes;
mod refresh;
pub mod refresh_token;
pub mod rotation;
mod sealing;
pub mod second_factor;
pub mod sessions;
mod sign_in;
pub mod static_token;
#[cfg(test)]
mod tests;
pub mod throttle;
pub(in crate::domain) mod token_signer;
mod totp;

pub use devices::Device;
pub use factor_state::FactorState;
pub use issued::Issuer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::config::AuthConfig;
use crate::domain::Error;
use crate::domain::auth::access_token::AccessTokens;
use crate::domain::auth::password::Passwords;
use crate::domain::auth::providers::Providers;
use crate::domain::auth::refresh_token::RefreshTokens;
use crate::domain::auth::sealing::Sealing;
use crate::domain::auth::throttle::Throttle;
use crate::domain::committer::Committer;
use crate::domain::permissions::Permissions;
use crate::domain::row_cache::RowCache;
use crate::model::Actor;
use crate::store::Store;

/// Maximum length of a stored user agent, in characters.
const USER_AGENT_CHARACTERS_MAX: usize = 255;

/// The authenticated principal of a connection or request, and its credential.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The principal, with the permissions in force when it was resolved.
    pub actor: Arc<Actor>,
    /// The credential that it was authenticated with.
    pub credential: Credential,
    /// When the credential expires; `None` for never.
    pub expires: Option<Timestamp>,
}

impl Identity {
    /// Returns whether the identity has neither account nor policy, so that all access is denied.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.actor.user.is_none() && self.actor.policies.is_empty()
    }
}

/// The credential behind an identity. The identity ends with its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// No credential: public access.
    Nothing,
    /// A session of the account.
    Session(Uuid),
    /// The account's static token, as a digest.
    StaticToken(String),
    /// A token of an external issuer, with the account's identifier at that issuer.
    Issued(Arc<str>),
}

impl Credential {
    /// Returns the session, if it is one.
    #[must_use]
    pub const fn session(&self) -> Option<Uuid> {
        match self {
            Self::Session(id) => Some(*id),
            Self::Nothing | Self::StaticToken(_) | Self::Issued(_) => None,
        }
    }
}

/// The client that a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's IP address. Some policies apply to certain addresses only.
    pub ip: Option<IpAddr>,
    /// The user agent, truncated to 255 characters.
    pub user_agent: Option<String>,
}

impl ClientInfo {
    /// Describes a client, truncating the user agent.
    #[must_use]
    pub fn new(ip: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let cut = |name: &str| name.chars().take(USER_AGENT_CHARACTERS_MAX).collect();
        Self { ip, user_agent: user_agent.map(cut) }
    }
}

/// The credentials of a sign-in. Must never be logged.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The email address of the account, case-insensitive.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// A TOTP code or a recovery code.
    pub otp: Option<&'a str>,
}

/// A successful sign-in or refresh.
#[derive(Debug)]
pub struct SignIn {
    /// The authenticated identity.
    pub identity: Identity,
    /// The access token; in session mode, the session token.
    pub access_token: String,
    /// The refresh token; `None` in session mode.
    pub refresh_token: Option<String>,
    /// Lifetime of the access token; in session mode, of the session.
    pub expires_in: Duration,
}

/// Authentication of accounts, and their sessions.
pub struct Auth {
    config: AuthConfig,
    clock: Clock,
    store: Arc<Store>,
    committer: Arc<Committer>,
    row_cache: Arc<RowCache>,
    permissions: Arc<Permissions>,
    passwords: Arc<Passwords>,
    throttle: Arc<Throttle>,
    access_tokens: AccessTokens,
    refresh_tokens: RefreshTokens,
    sealing: Sealing,
    providers: Providers,
    issuer: Option<Issuer>,
}

impl Auth {
    /// Creates the service.
    ///
    /// # Panics
    /// If the secret is empty: a missing secret must be generated beforehand.
    #[must_use]
    pub fn new(
        config: AuthConfig,
        clock: Clock,
        store: Arc<Store>,
        committer: Arc<Committer>,
        row_cache: Arc<RowCache>,
        permissions: Arc<Permissions>,
        passwords: Arc<Passwords>,
    ) -> Self {
        assert!(!config.secret.0.is_empty(), "tokens are signed with a secret");
        let access_tokens = AccessTokens::new(&config.secret);
        let refresh_tokens = RefreshTokens::new(&config.secret);
        let sealing = Sealing::new(&config.secret);
        let throttle = Arc::new(Throttle::new(config.throttle, clock.clone()));
        Self {
            config,
            clock,
            store,
            committer,
            row_cache,
            permissions,
            passwords,
            throttle,
            access_tokens,
            refresh_tokens,
            sealing,
            providers: Providers::none(),
            issuer: None,
        }
    }

    /// Returns the throttle, for other services that must limit attempts.
    #[must_use]
    pub const fn throttle(&self) -> &Arc<Throttle> {
        &self.throttle
    }

    /// Adds identity providers and an external token issuer.
    #[must_use]
    pub fn with(self, providers: Providers, issuer: Option<Issuer>) -> Self {
        Self { providers, issuer, ..self }
    }

    /// Deletes expired sessions. Must be called periodically.
    ///
    /// # Errors
    /// Only when the store fails.
    pub async fn end_expired_sessions(&self) -> Result<(), Error> {
        let expired = sessions::end_expired(self.clock.now());
        self.committer.commit_ops(None, vec![expired]).await
    }

    /// Returns the identity of an unauthenticated request from this address.
    #[must_use]
    pub fn public(&self, from: Option<IpAddr>) -> Identity {
        Identity {
            actor: self.permissions.public(from),
            credential: Credential::Nothing,
            expires: None,
        }
    }
}
