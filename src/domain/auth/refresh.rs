//! Token refresh and sign-out.
//!
//! `rotation` decides, and this module applies the decision. Sessions are read from the store, not
//! from memory: a token may be newer than the copy of its session in this process.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::Error;
use crate::domain::auth::access_token::Claims;
use crate::domain::auth::refresh_token::Claimed;
use crate::domain::auth::rotation;
use crate::domain::auth::rotation::{Rotation, Verdict};
use crate::domain::auth::sessions;
use crate::domain::auth::sessions::Session;
use crate::domain::auth::sign_in::is_active;
use crate::domain::auth::throttle;
use crate::domain::auth::throttle::ThrottledAction;
use crate::domain::auth::{Auth, ClientInfo, Identity, SignIn};
use crate::model::schema::users;
use crate::model::schema::{SESSIONS, USERS};
use crate::model::{Key, SessionMode};
use crate::store::{Mutation, Precondition};

/// Maximum age of the stored `last_access` of an account in use.
const NOTE_PERIOD: Duration = Duration::from_mins(1);

/// A presented token.
enum Shown {
    /// A token in the format of a refresh token, not verified.
    Refresh(Claimed),
    /// A genuine session token, expired or not.
    Session(Arc<Claims>, i64),
}

impl Shown {
    fn session(&self) -> Uuid {
        match self {
            Self::Refresh(token) => token.session,
            Self::Session(claims, _) => claims.session,
        }
    }

    const fn generation(&self) -> i64 {
        match self {
            Self::Refresh(token) => token.generation,
            Self::Session(_, generation) => *generation,
        }
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        match self {
            // A refresh token is valid as long as its session.
            Self::Refresh(_) => false,
            Self::Session(claims, _) => claims.is_expired(now),
        }
    }
}

impl Auth {
    /// Exchanges a refresh token (in session mode: a session token) for its successor, which is
    /// issued to this client.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown, expired or used token;
    /// [`Error::RequestsExceeded`] after too many of them. Invalid tokens of other clients never
    /// block a valid token.
    pub async fn refresh(
        &self,
        token: &str,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let from = client.ip;
        let Some(shown) = self.shown(token, mode) else {
            return Err(self.throttle.count_invalid_token(from, Error::InvalidCredentials));
        };
        let attempt =
            self.throttle.begin(ThrottledAction::Session, &shown.session().to_string(), from)?;
        let answer = self.exchange_shown(&shown, client).await;
        attempt.settle(&answer, |error| matches!(error, Error::InvalidCredentials));
        match answer {
            Ok(sign_in) => {
                if let Some(user) = &sign_in.identity.actor.profile.user {
                    self.throttle.trust(&throttle::name(user), from);
                }
                Ok(sign_in)
            }
            Err(Error::InvalidCredentials) => {
                Err(self.throttle.count_invalid_token(from, Error::InvalidCredentials))
            }
            Err(other) => Err(other),
        }
    }

    async fn exchange_shown(&self, shown: &Shown, client: &ClientInfo) -> Result<SignIn, Error> {
        match self.exchange(shown, client).await {
            // A concurrent request used the same token first. It raised the session's generation,
            // so this time there is nothing to rotate.
            Err(Error::Forbidden(_)) => match self.exchange(shown, client).await {
                Err(Error::Forbidden(_)) => Err(Error::InvalidCredentials),
                answer => answer,
            },
            answer => answer,
        }
    }

    /// Ends the session of a refresh or session token. An unknown token is no error.
    ///
    /// # Errors
    /// Only when the store fails.
    pub async fn logout(&self, token: &str, mode: SessionMode) -> Result<(), Error> {
        let Some(shown) = self.shown(token, mode) else { return Ok(()) };
        match self.proven(&shown).await? {
            Some(session) => self.end_session(session.id, Some(session.user)).await,
            None => Ok(()),
        }
    }

    /// Ends the session of an identity, if it has one.
    ///
    /// # Errors
    /// Only when the store fails.
    pub async fn end(&self, identity: &Identity) -> Result<(), Error> {
        match identity.credential.session() {
            Some(id) => self.end_session(id, identity.actor.user).await,
            None => Ok(()),
        }
    }

    /// Exchanges a token once; [`Error::Forbidden`] if a concurrent request was first.
    async fn exchange(&self, shown: &Shown, client: &ClientInfo) -> Result<SignIn, Error> {
        let from = client.ip;
        let now = self.clock.now();
        let session = self.proven(shown).await?.filter(|session| !session.is_expired(now));
        let session = session.ok_or(Error::InvalidCredentials)?;
        let user = self.row_cache.find(&USERS, Key::Uuid(session.user)).await?;
        let user = user.filter(|user| is_active(user)).ok_or(Error::InvalidCredentials)?;
        if shown.is_expired(now) {
            return Err(Error::InvalidCredentials);
        }

        let grace = self.config.refresh_grace;
        let newest = session.generation;
        let same_client = session.was_rotated_for(client);
        let last = Rotation { newest, age: session.age(now), same_client };
        match rotation::judge(shown.generation(), last, grace, session.mode) {
            Verdict::Rotate => {
                let rotated = session.rotated(client.clone(), now, self.lifetime(session.mode));
                let mut ops = vec![rotated.rotate(newest)];
                let noted = user.get(&users::last_access);
                if noted.is_none_or(|noted| noted.until(now) >= NOTE_PERIOD) {
                    let set = vec![users::last_access.to(now)];
                    ops.push(Mutation::update(&USERS, session.user, set, Precondition::None));
                }
                self.committer.commit_ops(Some(session.user), ops).await?;
                self.issue(&user, &rotated, now, from).await
            }
            Verdict::Again => self.issue(&user, &session, now, from).await,
            Verdict::Refuse => Err(Error::InvalidCredentials),
            Verdict::End => {
                self.end_session(session.id, Some(session.user)).await?;
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Parses a token of this mode.
    fn shown(&self, token: &str, mode: SessionMode) -> Option<Shown> {
        match mode {
            SessionMode::Json | SessionMode::Cookie => Claimed::parse(token).map(Shown::Refresh),
            SessionMode::Session => {
                let claims = self.access_tokens.open(token, self.clock.now()).ok()?;
                let generation = claims.generation?;
                Some(Shown::Session(claims, generation))
            }
        }
    }

    /// Returns the session of a token, expired or not, if the token is genuine.
    async fn proven(&self, shown: &Shown) -> Result<Option<Session>, Error> {
        let row = self.store.find(&SESSIONS, Key::Uuid(shown.session())).await?;
        let Some(row) = row else { return Ok(None) };
        let session = Session::read(&row)?;
        let is_proven = match shown {
            Shown::Refresh(token) => {
                session.mode != SessionMode::Session
                    && self.refresh_tokens.is_genuine(token, &session.seed)
            }
            Shown::Session(claims, _) => {
                session.mode == SessionMode::Session && claims.id == session.user
            }
        };
        Ok(is_proven.then_some(session))
    }

    async fn end_session(&self, id: Uuid, actor: Option<Uuid>) -> Result<(), Error> {
        let op = sessions::end(vec![Key::Uuid(id)]);
        self.committer.commit_ops(actor, vec![op]).await
    }
}
