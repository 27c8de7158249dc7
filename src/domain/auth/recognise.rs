//! Authentication by token, and re-validation of identities.
//!
//! Session and account are looked up on every use. They are cached in memory and updated by the
//! events of their changes, so a sign-out or suspension applies from the next use on.

use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::Error;
use crate::domain::auth::access_token;
use crate::domain::auth::access_token::Claims;
use crate::domain::auth::rotation;
use crate::domain::auth::sessions::Session;
use crate::domain::auth::sign_in::is_active;
use crate::domain::auth::static_token;
use crate::domain::auth::{Auth, Credential, Identity};
use crate::model::schema::sessions;
use crate::model::schema::users;
use crate::model::schema::{SESSIONS, USERS};
use crate::model::{Key, Row, SessionMode};

/// Maximum length of a token in bytes: several times that of any token issued here.
const TOKEN_BYTES_MAX: usize = 4096;
/// Maximum length of an external issuer's token in bytes: some list all groups of a user.
const ISSUED_BYTES_MAX: usize = 16 * 1024;

impl Auth {
    /// Authenticates an access token, a session token, a static token or a token of the external
    /// issuer, used from this address.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown token or one with an ended session or inactive
    /// account; [`Error::InvalidToken`] for a forged one; [`Error::TokenExpired`]. For a token of
    /// the external issuer also [`Error::InvalidProvider`] if another account has the email
    /// address, [`Error::InvalidOtp`] for an account with a second factor, and
    /// [`Error::ProviderUnavailable`] without the issuer's keys.
    pub async fn recognise(&self, token: &str, from: Option<IpAddr>) -> Result<Identity, Error> {
        if token.is_empty() || token.len() > ISSUED_BYTES_MAX {
            return Err(Error::InvalidCredentials);
        }
        if let Some(issuer) = self.issuer.as_ref().filter(|issuer| issuer.is_named_by(token)) {
            return self.recognise_issued(issuer, token, from).await;
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::InvalidCredentials);
        }
        let now = self.clock.now();
        let claims = match self.access_tokens.recall(token) {
            Some(claims) => claims,
            None if access_token::claims_to_be_ours(token) => {
                self.access_tokens.open(token, now)?
            }
            None => return self.recognise_static(token, from).await,
        };
        if claims.is_expired(now) {
            return Err(Error::TokenExpired);
        }
        self.recognise_session(&claims, now, from).await
    }

    /// Returns the identity with the permissions now in force, or `None` if its credential is no
    /// longer valid: the session ended, the token was changed, or the account is inactive. Expiry
    /// is not checked. Public access stays public.
    ///
    /// # Errors
    /// Only when the store fails.
    pub async fn renew(&self, identity: &Identity) -> Result<Option<Identity>, Error> {
        let from = identity.actor.profile.address;
        let user = match (&identity.credential, identity.actor.user) {
            (Credential::Nothing, _) => return Ok(Some(self.public(from))),
            (_, None) => return Ok(None),
            (Credential::Session(id), Some(user)) => {
                let row = self.row_cache.find(&SESSIONS, Key::Uuid(*id)).await?;
                let stands = row.is_some_and(|row| row.get(&sessions::user) == Some(user));
                if stands { self.active_user(user).await? } else { None }
            }
            (Credential::StaticToken(digest), Some(user)) => {
                self.active_user(user).await?.filter(|user| user.get(&users::token) == Some(digest))
            }
            (Credential::Issued(identifier), Some(user)) => self
                .active_user(user)
                .await?
                .filter(|user| self.issuer.as_ref().is_some_and(|by| by.knows(user, identifier))),
        };
        let Some(user) = user else { return Ok(None) };
        let actor = self.permissions.actor(&user, identity.credential.session(), from).await?;
        let actor =
            if actor == *identity.actor { Arc::clone(&identity.actor) } else { Arc::new(actor) };
        let (credential, expires) = (identity.credential.clone(), identity.expires);
        Ok(Some(Identity { actor, credential, expires }))
    }

    async fn recognise_session(
        &self,
        claims: &Claims,
        now: Timestamp,
        from: Option<IpAddr>,
    ) -> Result<Identity, Error> {
        let session = self.session(claims).await?.filter(|session| {
            session.user == claims.id
                && !session.is_expired(now)
                && self.is_current(claims, session, now)
        });
        let session = session.ok_or(Error::InvalidCredentials)?;
        let user = self.active_user(session.user).await?.ok_or(Error::InvalidCredentials)?;
        Ok(Identity {
            actor: Arc::new(self.permissions.actor(&user, Some(session.id), from).await?),
            credential: Credential::Session(session.id),
            expires: Some(claims.expires()),
        })
    }

    async fn recognise_static(&self, token: &str, from: Option<IpAddr>) -> Result<Identity, Error> {
        let digest = static_token::digest(token);
        let user = self.store.find_user_by_token(&digest).await?;
        let user = user.filter(is_active).ok_or(Error::InvalidCredentials)?;
        // Uses the row in memory if it is equal: all connections of an account share it.
        let known = match user.key() {
            Some(key) => self.row_cache.find(&USERS, key).await?,
            None => None,
        };
        let user = known.filter(|known| **known == user).unwrap_or_else(|| Arc::new(user));
        Ok(Identity {
            actor: Arc::new(self.permissions.actor(&user, None, from).await?),
            credential: Credential::StaticToken(digest),
            expires: None,
        })
    }

    /// Returns the session named in a token.
    async fn session(&self, claims: &Claims) -> Result<Option<Session>, Error> {
        let key = Key::Uuid(claims.session);
        let Some(row) = self.row_cache.find(&SESSIONS, key).await? else { return Ok(None) };
        let session = Session::read(&row)?;
        if claims.generation <= Some(session.generation) {
            return Ok(Some(session));
        }
        // The token was just issued, and its event has not reached the cache yet.
        let row = self.store.find(&SESSIONS, key).await?;
        Ok(row.as_ref().map(Session::read).transpose()?)
    }

    /// Returns whether a token fits the mode of its session and is not superseded.
    fn is_current(&self, claims: &Claims, session: &Session, now: Timestamp) -> bool {
        let Some(shown) = claims.generation else { return session.mode != SessionMode::Session };
        let grace = self.config.refresh_grace;
        session.mode == SessionMode::Session
            && rotation::is_current(shown, session.generation, session.age(now), grace)
    }

    pub(super) async fn active_user(&self, id: Uuid) -> Result<Option<Arc<Row>>, Error> {
        let user = self.row_cache.find(&USERS, Key::Uuid(id)).await?;
        Ok(user.filter(|user| is_active(user)))
    }
}
