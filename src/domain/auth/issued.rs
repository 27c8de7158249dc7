//! Tokens that an external application issues to its users, accepted as access tokens.
//!
//! `crate::providers` checks signature, key, issuer and audience. This module checks the times and
//! finds the account. As with tokens issued here, claims grant no permissions, and the account is
//! looked up on every use.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use quick_cache::sync::Cache;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::config::IssuerConfig;
use crate::domain::Error;
use crate::domain::auth::providers;
use crate::domain::auth::sign_in::is_active;
use crate::domain::auth::{Auth, Credential, Identity};
use crate::model::Row;
use crate::model::schema::users;
use crate::providers::{KeySet, Network, Profile, TokenError};

/// Maximum number of cached tokens with verified signatures.
const KNOWN_MAX: usize = 10_000;
/// Maximum lead of the issuer's clock, in seconds.
const AHEAD_SECONDS_MAX: i64 = 60;

/// An external issuer of accepted tokens.
pub struct Issuer {
    config: IssuerConfig,
    keys: KeySet,
    /// Verified tokens, by digest.
    known: Cache<[u8; 32], Arc<Known>>,
}

/// A token with a verified signature.
struct Known {
    profile: Profile,
    identifier: Arc<str>,
    expires: Timestamp,
    /// The version of the key set that verified it.
    version: u64,
    /// The account, once found.
    user: OnceLock<Uuid>,
}

impl Issuer {
    /// Creates the configured issuer. No keys are fetched yet.
    #[must_use]
    pub fn new(config: &IssuerConfig, network: &Network, clock: &Clock) -> Self {
        let keys = KeySet::new(config, network, clock);
        Self { config: config.clone(), keys, known: Cache::new(KNOWN_MAX) }
    }

    /// Returns whether a token names this issuer. The claim is not verified.
    #[must_use]
    pub fn is_named_by(&self, token: &str) -> bool {
        self.keys.is_named_by(token)
    }

    /// Returns whether an account has this identifier at the issuer.
    #[must_use]
    pub fn knows(&self, user: &Row, identifier: &str) -> bool {
        providers::identity(user, &self.config.provider, identifier)
    }

    /// Verifies the signature, issuer, audience and times of a token.
    async fn open(&self, token: &str, now: Timestamp) -> Result<Arc<Known>, Error> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = match self.known.get(&digest) {
            // The key may have been revoked since.
            Some(known)
                if known.version
                    == self.keys.version().await.map_err(|error| self.told(error))? =>
            {
                known
            }
            _ => {
                let (profile, version) =
                    self.keys.open(token).await.map_err(|error| self.told(error))?;
                let known = Arc::new(self.read(profile, version, now).ok_or(Error::InvalidToken)?);
                self.known.insert(digest, Arc::clone(&known));
                known
            }
        };
        if now >= known.expires {
            return Err(Error::TokenExpired);
        }
        Ok(known)
    }

    fn read(&self, profile: Profile, version: u64, now: Timestamp) -> Option<Known> {
        let expires = seconds(profile.get("exp"))?;
        if let Some(begins) = profile.get("nbf")
            && seconds(Some(begins))? > now.seconds().saturating_add(AHEAD_SECONDS_MAX)
        {
            return None;
        }
        let identifier = providers::identifier(&self.config.keys, &profile)?;
        Some(Known {
            profile,
            identifier: Arc::from(identifier),
            expires: Timestamp::from_millis(expires.saturating_mul(1000)),
            version,
            user: OnceLock::new(),
        })
    }

    fn told(&self, error: TokenError) -> Error {
        match error {
            TokenError::Refused => Error::InvalidToken,
            TokenError::Unavailable(reason) => {
                let provider = &self.config.provider;
                tracing::warn!(%provider, reason, "cannot fetch the keys of an issuer");
                Error::ProviderUnavailable(provider.clone())
            }
        }
    }
}

impl Auth {
    /// Authenticates a token of the issuer. Creates the account if there is none and the settings
    /// allow it.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::TokenExpired`]; [`Error::InvalidCredentials`] without a
    /// usable account; [`Error::InvalidProvider`] if another account has the email address;
    /// [`Error::InvalidOtp`] for an account with a second factor; [`Error::ProviderUnavailable`].
    pub(super) async fn recognise_issued(
        &self,
        issuer: &Issuer,
        token: &str,
        from: Option<IpAddr>,
    ) -> Result<Identity, Error> {
        let known = issuer.open(token, self.clock.now()).await?;
        let user = match known.user.get() {
            Some(id) => self.active_user(*id).await?,
            None => None,
        };
        let user = user.filter(|user| issuer.knows(user, &known.identifier));
        let user = match user {
            Some(user) => user,
            None => self.account_of(issuer, &known).await?,
        };
        providers::require_no_factor(&user)?;
        Ok(Identity {
            actor: Arc::new(self.permissions.actor(&user, None, from).await?),
            credential: Credential::Issued(Arc::clone(&known.identifier)),
            expires: Some(known.expires),
        })
    }

    /// Finds or creates the account of a token.
    async fn account_of(&self, issuer: &Issuer, known: &Known) -> Result<Arc<Row>, Error> {
        let IssuerConfig { provider, keys, admission, .. } = &issuer.config;
        let find = || self.store.find_user_by_identity(provider, &known.identifier);
        let mut user = find().await?;
        if user.is_none() {
            user = match self.admit(provider, keys, admission, &known.profile).await {
                Ok(row) => Some(row),
                // A concurrent request with the same token created the account first.
                Err(Error::RecordNotUnique { field: "external_identifier", .. }) => find().await?,
                Err(other) => return Err(other),
            };
        }
        let user = user.filter(is_active).ok_or(Error::InvalidCredentials)?;
        let id = user.get(&users::id).ok_or(Error::InvalidCredentials)?;
        // If a deleted account was recorded before, `set` fails, and each use repeats this lookup.
        let _ = known.user.set(id);
        // Uses the row in memory: all connections of an account share it.
        self.active_user(id).await?.ok_or(Error::InvalidCredentials)
    }
}

/// Reads a time from a claim, in whole seconds.
fn seconds(claim: Option<&Json>) -> Option<i64> {
    let claim = claim?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of floats stops at the bounds")]
    let whole = || claim.as_f64().map(|seconds| seconds.floor() as i64);
    claim.as_i64().or_else(whole)
}
