//! Sign-in with email address and password, and issue of tokens.
//!
//! Neither the response to a refused sign-in nor its timing reveals whether the account exists. The
//! `throttle` refuses guesses before any password is hashed.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::Error;
use crate::domain::auth::access_token;
use crate::domain::auth::access_token::Claims;
use crate::domain::auth::sessions;
use crate::domain::auth::sessions::{Lifetime, Session};
use crate::domain::auth::throttle;
use crate::domain::auth::throttle::ThrottledAction;
use crate::domain::auth::{Auth, ClientInfo, Credential, Identity, Login, SignIn};
use crate::model::account::DEFAULT_PROVIDER;
use crate::model::id;
use crate::model::schema::USERS;
use crate::model::schema::users;
use crate::model::{AccountStatus, Key, Row, SessionMode};
use crate::query::Filter;
use crate::store::{Mutation, Precondition, Write};

impl Auth {
    /// Signs in with an email address, a password and, if the account has one, a second factor, and
    /// begins a session.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password, an unknown address and an inactive
    /// account, identically and after the same time; [`Error::InvalidOtp`] only after the right
    /// password; [`Error::InvalidProvider`] if sign-in with a password is disabled;
    /// [`Error::RequestsExceeded`] after too many failures, whether or not the account exists;
    /// [`Error::TooBusy`] if too many passwords wait to be checked.
    pub async fn login(
        &self,
        login: Login<'_>,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let start = Instant::now();
        let answer = self.check_and_begin(login, mode, client).await;
        if matches!(answer, Err(Error::InvalidCredentials | Error::InvalidOtp)) {
            time::sleep_until(start + self.config.login_stall).await;
        }
        answer
    }

    async fn check_and_begin(
        &self,
        login: Login<'_>,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        if self.providers.disable_default() {
            return Err(Error::InvalidProvider);
        }
        let Login { email, password, otp } = login;
        if otp.is_some() {
            self.throttle.peek(ThrottledAction::Factor, email, client.ip)?;
        }
        let attempt = self.throttle.begin(ThrottledAction::Password, email, client.ip)?;
        let answer = match self.check_password(email, password).await {
            Ok(user) => self.check_factor_and_begin(&user, password, otp, mode, client).await,
            Err(error) => Err(error),
        };
        // A code is requested only after the right password: `InvalidOtp` is no wrong guess.
        attempt.settle(&answer, |error| matches!(error, Error::InvalidCredentials));
        answer
    }

    /// Returns the active account with this address, if the password is right.
    async fn check_password(&self, email: &str, password: &str) -> Result<Row, Error> {
        let user = self.store.find_user_by_email(email).await?;
        if user.is_none() {
            // An existing account takes a second lookup for its row; this one equalizes timing.
            self.store.find(&USERS, Key::Uuid(id::fresh())).await?;
        }
        let user = user.filter(|user| is_active(user) && account(user).is_some());
        let hash = user.as_ref().and_then(account).map(|(_, hash)| hash);
        let is_right = self.passwords.verify(password, hash).await?;
        user.filter(|_| is_right).ok_or(Error::InvalidCredentials)
    }

    async fn check_factor_and_begin(
        &self,
        user: &Row,
        password: &str,
        otp: Option<&str>,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let (id, _) = account(user).ok_or(Error::InvalidCredentials)?;
        let given = otp.filter(|otp| !otp.trim().is_empty());
        let Some(otp) = given.filter(|_| has_factor(user)) else {
            let factor = self.second_factor(user, id, None).await?;
            let begun = self.begin(user, password, factor, mode, client).await;
            return begun.map_err(|error| match error {
                // The account changed while its password was being checked.
                Error::Forbidden(_) => Error::InvalidCredentials,
                other => other,
            });
        };
        let attempt =
            self.throttle.begin(ThrottledAction::Factor, &throttle::name(user), client.ip)?;
        let begun = match self.second_factor(user, id, Some(otp)).await {
            Ok(factor) => self.begin(user, password, factor, mode, client).await,
            Err(error) => Err(error),
        };
        let begun = begun.map_err(|error| match error {
            // The account changed, or a concurrent sign-in used the same code first.
            Error::Forbidden(_) | Error::RecordNotUnique { .. } => Error::InvalidOtp,
            other => other,
        });
        attempt.settle(&begun, |error| matches!(error, Error::InvalidOtp));
        begun
    }

    /// Begins a session after the password was verified, in one transaction with the changes to the
    /// second factor. Returns [`Error::Forbidden`] if the account has changed since.
    pub(super) async fn begin(
        &self,
        user: &Row,
        password: &str,
        factor: Vec<Mutation>,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let (id, hash) = account(user).ok_or(Error::InvalidCredentials)?;
        let renewed_hash = self.renewed_hash(password, hash).await;
        let now = self.clock.now();
        let mut ops = vec![note_access(user, id, hash, renewed_hash, now)];
        ops.extend(factor);
        self.begin_session(user, id, ops, now, mode, client).await
    }

    /// Returns a new hash if the stored one was made with other parameters. If none can be computed
    /// now, the old hash is kept until the next sign-in.
    async fn renewed_hash(&self, password: &str, hash: &str) -> Option<String> {
        if self.passwords.needs_rehash(hash) {
            self.passwords.hash(password).await.ok()
        } else {
            None
        }
    }

    /// Begins a session of an account in one transaction with `ops`; fails if one is refused.
    pub(super) async fn begin_session(
        &self,
        user: &Row,
        id: Uuid,
        mut ops: Vec<Mutation>,
        now: Timestamp,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let session = Session::begin(id, mode, client.clone(), now, self.lifetime(mode));
        // One below the maximum, to leave room for the new session.
        let stay = self.config.sessions_per_user_max.saturating_sub(1);
        let surplus = self.store.read_stale_sessions(id, now, stay).await?;
        if !surplus.is_empty() {
            ops.push(sessions::end(surplus));
        }
        ops.push(session.create());
        self.committer.commit(Write { actor: Some(id), at: now, ops }).await?;
        self.issue(user, &session, now, client.ip).await
    }

    /// Issues the newest tokens of a session. A session token is the same each time unless the
    /// account's permissions change, since it is dated from the rotation.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn issue(
        &self,
        user: &Row,
        session: &Session,
        now: Timestamp,
        from: Option<IpAddr>,
    ) -> Result<SignIn, Error> {
        let user = Arc::new(user.clone());
        let actor = Arc::new(self.permissions.actor(&user, Some(session.id), from).await?);
        let (generation, at, lifetime) = match session.mode {
            SessionMode::Session => {
                let lifetime = session.date_rotated.until(session.expires);
                (Some(session.generation), session.date_rotated, lifetime)
            }
            SessionMode::Json | SessionMode::Cookie => {
                (None, now, self.config.access_token_ttl.min(now.until(session.expires)))
            }
        };
        let claims = Claims::new(session.user, &actor, session.id, generation, at, lifetime);
        let refresh_token = match session.mode {
            SessionMode::Session => None,
            SessionMode::Json | SessionMode::Cookie => {
                Some(self.refresh_tokens.make(session.id, &session.seed, session.generation))
            }
        };
        Ok(SignIn {
            access_token: self.access_tokens.make(&claims),
            refresh_token,
            expires_in: access_token::whole_seconds(lifetime),
            identity: Identity {
                actor,
                credential: Credential::Session(session.id),
                expires: Some(claims.expires()),
            },
        })
    }

    /// Returns the lifetime of sessions in this mode.
    pub(super) const fn lifetime(&self, mode: SessionMode) -> Lifetime {
        let idle = match mode {
            SessionMode::Session => self.config.session_ttl,
            SessionMode::Json | SessionMode::Cookie => self.config.refresh_token_ttl,
        };
        Lifetime { idle, absolute: self.config.session_lifetime_max }
    }
}

/// Returns whether an account can be used.
pub(super) fn is_active(user: &Row) -> bool {
    user.get(&users::status) == Some(AccountStatus::Active)
}

/// Returns whether an account has a second factor.
fn has_factor(user: &Row) -> bool {
    user.get(&users::tfa_secret).is_some()
}

/// Returns the key and the password hash of an account that signs in with a password. An account of
/// an identity provider signs in there only.
fn account(user: &Row) -> Option<(Uuid, &str)> {
    if user.get(&users::provider) != Some(DEFAULT_PROVIDER) {
        return None;
    }
    Some((user.get(&users::id)?, user.get(&users::password)?))
}

/// Returns the update that records a sign-in. Its precondition refuses the sign-in unless the
/// account is active and has the password and second factor that were verified. Otherwise, a
/// session could begin just after a password change had ended all sessions.
fn note_access(
    user: &Row,
    id: Uuid,
    hash: &str,
    renewed_hash: Option<String>,
    now: Timestamp,
) -> Mutation {
    let mut set = vec![users::last_access.to(now)];
    set.extend(renewed_hash.map(|hash| users::password.to(hash)));
    let unchanged = Filter::And(vec![
        Filter::equals(&users::password, hash),
        Filter::equals(&users::tfa_secret, user.get(&users::tfa_secret)),
        Filter::equals(&users::status, AccountStatus::Active),
        Filter::equals(&users::provider, DEFAULT_PROVIDER),
    ]);
    Mutation::update(&USERS, id, set, Precondition::All(unchanged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn only_active_accounts_can_sign_in() {
        let user = |status: Value| Row::empty(&USERS).with(&users::status, status);

        assert!(is_active(&user(Value::text("active"))));
        for status in ["suspended", "draft", "invited", "unverified", "archived", "Active", ""] {
            assert!(!is_active(&user(Value::text(status))), "{status}");
        }
        assert!(!is_active(&user(Value::Null)));
    }

    #[test]
    fn a_stored_hash_is_replaced_only_by_a_rehash() {
        let names = |op: Mutation| match op {
            Mutation::Update { set, .. } => {
                set.iter().map(|(field, _)| field.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let now = Timestamp::from_millis(0);

        assert_eq!(
            names(note_access(&Row::empty(&USERS), Uuid::nil(), "old", None, now)),
            ["last_access"]
        );
        assert_eq!(
            names(note_access(
                &Row::empty(&USERS),
                Uuid::nil(),
                "old",
                Some("new".to_owned()),
                now
            )),
            ["last_access", "password"],
        );
    }
}
