//! Signing in, staying signed in, signing out, and recognising who is asking.
//!
//! It knows accounts and sessions. It does not know where a token came from or goes to
//! (`transport`), nor what the signed-in may do (`permissions`).

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
mod totp;

pub use devices::Device;
pub use factor_state::FactorState;
pub use issued::Issuer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::config::AuthConfig;
use crate::domain::Error;
use crate::domain::auth::access_token::AccessTokens;
use crate::domain::auth::password::Passwords;
use crate::domain::auth::providers::Providers;
use crate::domain::auth::refresh_token::RefreshTokens;
use crate::domain::auth::sealing::Sealing;
use crate::domain::auth::throttle::Throttle;
use crate::domain::changes::Changes;
use crate::domain::directory::Directory;
use crate::domain::permissions::Permissions;
use crate::model::Actor;
use crate::store::Store;
use crate::store::Write;

/// How much of a client's name for itself is kept.
const USER_AGENT_CHARACTERS_MAX: usize = 255;

/// Who a connection or request was recognised as, and what that rests on.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who is asking, with the rights in force when this was made.
    pub actor: Arc<Actor>,
    /// What was shown.
    pub basis: Basis,
    /// When the token that was shown expires; `None` for never.
    pub expires: Option<Timestamp>,
}

impl Identity {
    /// Returns whether nothing is allowed to it, whatever happens.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.actor.user.is_none() && self.actor.policies.is_empty()
    }
}

/// What an identity rests on; when that goes, so does the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// Nothing: the public.
    Nothing,
    /// A session of the account.
    Session(Uuid),
    /// The account's static token, by its digest.
    StaticToken(String),
    /// A token that an application issued itself, by whom it recognises.
    Issued(Arc<str>),
}

/// How tokens travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Both tokens in the body.
    Json,
    /// The refresh token in a cookie.
    Cookie,
    /// One session token in a cookie.
    Session,
}

impl Mode {
    /// Returns the name on the wire and in `directus_sessions`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cookie => "cookie",
            Self::Session => "session",
        }
    }

    /// Returns the mode of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Json, Self::Cookie, Self::Session].into_iter().find(|mode| mode.name() == name)
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address: some policies count only at some addresses.
    pub ip: Option<IpAddr>,
    /// The client's name for itself, cut to 255 characters.
    pub user_agent: Option<String>,
}

impl Origin {
    /// Returns the origin with as much of the client's name as is kept.
    #[must_use]
    pub fn new(ip: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let cut = |name: &str| name.chars().take(USER_AGENT_CHARACTERS_MAX).collect();
        Self { ip, user_agent: user_agent.map(cut) }
    }
}

/// What somebody shows to sign in, never to be logged.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The address of the account, in any case.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// A code of the second factor, or a recovery code.
    pub otp: Option<&'a str>,
}

/// A successful sign-in or refresh.
#[derive(Debug)]
pub struct SignIn {
    /// Who signed in.
    pub identity: Identity,
    /// The access token; in session mode the session token.
    pub access_token: String,
    /// The refresh token; `None` in session mode.
    pub refresh_token: Option<String>,
    /// How long the access token (in session mode: the session) lasts.
    pub expires_in: Duration,
}

/// Accounts and sessions.
pub struct Auth {
    config: AuthConfig,
    clock: Clock,
    store: Arc<Store>,
    changes: Arc<Changes>,
    directory: Arc<Directory>,
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
    /// Returns the service over its parts.
    ///
    /// # Panics
    /// If the secret is empty: where none is set, one has to be made before.
    #[must_use]
    pub fn new(
        config: AuthConfig,
        clock: Clock,
        store: Arc<Store>,
        changes: Arc<Changes>,
        directory: Arc<Directory>,
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
            changes,
            directory,
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

    /// Returns what slows down those who guess, for others who let people try.
    #[must_use]
    pub const fn throttle(&self) -> &Arc<Throttle> {
        &self.throttle
    }

    /// Returns the service with others who say who somebody is.
    #[must_use]
    pub fn with(self, providers: Providers, issuer: Option<Issuer>) -> Self {
        Self { providers, issuer, ..self }
    }

    /// Ends the sessions that have expired. To be called now and then.
    ///
    /// # Errors
    /// Only when the store fails.
    pub async fn sweep(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let ops = vec![sessions::end_expired(now)];
        self.changes.commit(Write { actor: None, at: now, ops }).await.map(drop)
    }

    /// Returns the identity of whoever shows nothing, and asks from this address.
    #[must_use]
    pub fn public(&self, from: Option<IpAddr>) -> Identity {
        Identity { actor: self.permissions.public(from), basis: Basis::Nothing, expires: None }
    }
}
