//! The second factor of an account: enabling, verifying and disabling it.
//!
//! A code is valid once. The transaction that a code authorizes records its time step, or deletes
//! the recovery code, and a precondition on that change refuses a second use. The formats of codes
//! are in `totp` and `recovery_codes`.

use uuid::Uuid;

use crate::domain::Error;
use crate::domain::auth::Auth;
use crate::domain::auth::recovery_codes;
use crate::domain::auth::throttle;
use crate::domain::auth::throttle::{Attempt, ThrottledAction};
use crate::domain::auth::totp;
use crate::domain::auth::totp::Secret;
use crate::model::schema::second_factors;
use crate::model::schema::users;
use crate::model::schema::{SECOND_FACTORS, USERS};
use crate::model::{Action, Actor, Field, Key, Row, Value};
use crate::query::{Filter, Test};
use crate::store::{Mutation, Precondition};

/// A new secret for an authenticator app. Not stored yet.
#[derive(Debug)]
pub struct NewFactor {
    /// The secret, in base32.
    pub secret: String,
    /// The secret as an `otpauth` URL, for a QR code.
    pub otpauth_url: String,
}

impl Auth {
    /// Generates a secret for the actor's account, after verifying the password. `service` becomes
    /// the name of the entry in the app.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::RequestsExceeded`] after too
    /// many of them; [`Error::InvalidPayload`] if the account has a second factor already.
    pub async fn propose_factor(
        &self,
        actor: &Actor,
        password: &str,
        service: &str,
    ) -> Result<NewFactor, Error> {
        let user = self.confirm_password(actor, password).await?;
        if user.get(&users::tfa_secret).is_some() {
            return Err(already_set());
        }
        let secret = Secret::fresh();
        let account = user.get(&users::email).unwrap_or_default();
        let otpauth_url = secret.address(service, account);
        Ok(NewFactor { secret: secret.to_text(), otpauth_url })
    }

    /// Enables a second factor on the actor's account, once a code proves that the app has the
    /// secret. The same code is still valid for one sign-in.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to update one's own `tfa_secret`, unless a
    /// policy requires a second factor; [`Error::InvalidPayload`] for an invalid secret or code, or
    /// if there is a second factor already; [`Error::RequestsExceeded`] after too many wrong codes.
    pub async fn enable_factor(&self, actor: &Actor, secret: &str, otp: &str) -> Result<(), Error> {
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        let allowed = self.own_factor(actor)?;
        let user = self.require_user(id).await?;
        if user.get(&users::tfa_secret).is_some() {
            return Err(already_set());
        }
        let secret = Secret::parse(secret).ok_or_else(|| wrong("secret"))?;
        let attempt = self.attempt(ThrottledAction::Factor, actor, &user)?;
        let step = secret.step_of(&plain(otp), self.clock.now()).ok_or_else(|| wrong("otp"))?;
        attempt.take_back();

        let sealed = self.sealing.seal(id, &secret.to_text());
        let set = vec![users::tfa_secret.to(sealed)];
        let is_free = Precondition::All(allowed.and(Filter::Field(&users::tfa_secret, Test::Null)));
        let ops =
            vec![Mutation::update(&USERS, id, set, is_free), forget(id), create(id, step - 1, "")];
        self.committer.commit_ops(actor.user, ops).await
    }

    /// Disables the second factor of the actor's account, after verifying a code.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] if the code is wrong, or there is no second factor;
    /// [`Error::RequestsExceeded`] after too many wrong codes.
    pub async fn disable_factor(&self, actor: &Actor, otp: &str) -> Result<(), Error> {
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        let user = self.require_user(id).await?;
        if user.get(&users::tfa_secret).is_none() {
            return Err(Error::payload("there is no second factor to disable"));
        }
        let attempt = self.attempt(ThrottledAction::Factor, actor, &user)?;
        let factor = self.second_factor(&user, id, Some(otp)).await;
        attempt.settle(&factor, |error| matches!(error, Error::InvalidOtp));
        let mut ops = match factor {
            Err(Error::InvalidOtp) => return Err(wrong("otp")),
            other => other?,
        };
        ops.extend(remove(id, Precondition::None));
        self.committer.commit_ops(actor.user, ops).await.map_err(|error| match error {
            // A concurrent request used the same code first.
            Error::Forbidden(_) => wrong("otp"),
            other => other,
        })
    }

    /// Removes the second factor of any account. The caller must have verified that the actor is an
    /// administrator.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if there is no such account.
    pub async fn remove_factor(&self, actor: &Actor, user: Uuid) -> Result<(), Error> {
        let present = Precondition::All(Filter::everything());
        self.committer.commit_ops(actor.user, remove(user, present).into()).await
    }

    /// Generates recovery codes, each valid for one sign-in instead of a TOTP code, and invalidates
    /// the previous ones. The codes cannot be retrieved again.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::RequestsExceeded`] after too
    /// many of them; [`Error::InvalidPayload`] if there is no second factor.
    pub async fn make_recovery_codes(
        &self,
        actor: &Actor,
        password: &str,
    ) -> Result<Vec<String>, Error> {
        let user = self.confirm_password(actor, password).await?;
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        if user.get(&users::tfa_secret).is_none() {
            return Err(Error::payload("there is no second factor yet: enable one first"));
        }
        let codes = recovery_codes::fresh();
        let stored = recovery_codes::stored(id, &codes);
        let op = match self.store.find(&SECOND_FACTORS, Key::Uuid(id)).await? {
            Some(_) => update(id, second_factors::recovery_codes.to(stored), Filter::everything()),
            None => create(id, 0, &stored),
        };
        self.committer.commit_ops(actor.user, vec![op]).await?;
        Ok(codes)
    }

    /// Verifies a code and returns the changes that use it up, to commit together with the action
    /// that it authorizes. Without a second factor, there are none. If a concurrent request uses
    /// the same code first, a precondition refuses these changes.
    ///
    /// # Errors
    /// [`Error::InvalidOtp`] for a missing, wrong or used code.
    pub(super) async fn second_factor(
        &self,
        user: &Row,
        id: Uuid,
        otp: Option<&str>,
    ) -> Result<Vec<Mutation>, Error> {
        let Some(stored) = user.get(&users::tfa_secret) else { return Ok(Vec::new()) };
        let otp = plain(otp.ok_or(Error::InvalidOtp)?);
        let noted = self.store.find(&SECOND_FACTORS, Key::Uuid(id)).await?;
        if totp::is_code(&otp) {
            let secret = self.sealing.open(id, stored).as_deref().and_then(Secret::parse);
            if secret.is_none() {
                tracing::error!(
                    user.id = %id,
                    "cannot decrypt a second factor: was SECRET changed?"
                );
            }
            let step = secret.and_then(|secret| secret.step_of(&otp, self.clock.now()));
            let step = step.ok_or(Error::InvalidOtp)?;
            return use_step(id, step, noted.as_ref());
        }
        let codes = noted.as_ref().and_then(|row| row.get(&second_factors::recovery_codes));
        let codes = codes.unwrap_or_default();
        let left = recovery_codes::without(id, codes, &otp).ok_or(Error::InvalidOtp)?;
        tracing::info!(
            user.id = %id,
            left = recovery_codes::count(&left),
            "a recovery code was used"
        );
        let unchanged = Filter::equals(&second_factors::recovery_codes, codes);
        Ok(vec![update(id, second_factors::recovery_codes.to(left), unchanged)])
    }

    /// Returns the actor's account if the password is right. A refusal takes as long as at sign-in.
    async fn confirm_password(&self, actor: &Actor, password: &str) -> Result<Row, Error> {
        let start = tokio::time::Instant::now();
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        let user = self.require_user(id).await?;
        let attempt = self.attempt(ThrottledAction::Password, actor, &user)?;
        let hash = user.get(&users::password);
        let is_right = self.passwords.verify(password, hash).await;
        let is_right =
            is_right.and_then(|is_right| is_right.then_some(()).ok_or(Error::InvalidCredentials));
        attempt.settle(&is_right, |error| matches!(error, Error::InvalidCredentials));
        if matches!(is_right, Err(Error::InvalidCredentials)) {
            tokio::time::sleep_until(start + self.config.login_stall).await;
        }
        is_right.map(|()| user)
    }

    /// Begins an attempt of a signed-in actor on their own account. It counts like one at sign-in,
    /// so that a stolen session is of no use for guessing.
    fn attempt(
        &self,
        way: ThrottledAction,
        actor: &Actor,
        user: &Row,
    ) -> Result<Attempt<'_>, Error> {
        self.throttle.begin(way, &throttle::name(user), actor.profile.address)
    }

    async fn require_user(&self, id: Uuid) -> Result<Row, Error> {
        self.store.find(&USERS, Key::Uuid(id)).await?.ok_or(Error::InvalidCredentials)
    }

    /// Returns the condition under which the actor may set their own second factor.
    fn own_factor(&self, actor: &Actor) -> Result<Filter, Error> {
        if actor.enforce_tfa() {
            return Ok(Filter::everything());
        }
        let scope = self.permissions.scope(actor, &USERS, Action::Update)?;
        scope.filter_for(&[&users::tfa_secret]).ok_or_else(|| Error::collection(USERS.name))
    }
}

/// Returns the change that records the use of a code.
fn use_step(id: Uuid, step: i64, used: Option<&Row>) -> Result<Vec<Mutation>, Error> {
    // An imported secret has no row yet; the key of the new row is its precondition.
    let Some(used) = used else { return Ok(vec![create(id, step, "")]) };
    if used.get(&second_factors::step).is_none_or(|last| step <= last) {
        return Err(Error::InvalidOtp);
    }
    let earlier = Filter::Field(&second_factors::step, Test::Lt(Value::Integer(step)));
    Ok(vec![update(id, second_factors::step.to(step), earlier)])
}

/// Removes white space: authenticator apps show a space in the middle of a code.
fn plain(otp: &str) -> String {
    otp.chars().filter(|c| !c.is_whitespace()).collect()
}

fn create(id: Uuid, step: i64, recovery_codes: &str) -> Mutation {
    let row = Row::empty(&SECOND_FACTORS)
        .with(&second_factors::id, id)
        .with(&second_factors::step, step)
        .with(&second_factors::recovery_codes, recovery_codes);
    Mutation::create(row)
}

fn update(id: Uuid, set: (&'static Field, Value), must: Filter) -> Mutation {
    Mutation::update(&SECOND_FACTORS, id, vec![set], Precondition::All(must))
}

/// Returns the changes that remove the second factor of an account.
pub(in crate::domain) fn remove(id: Uuid, precondition: Precondition) -> [Mutation; 2] {
    let set = vec![users::tfa_secret.to(Value::Null)];
    [Mutation::update(&USERS, id, set, precondition), forget(id)]
}

/// Returns the change that deletes the used step and the recovery codes.
fn forget(id: Uuid) -> Mutation {
    Mutation::delete(&SECOND_FACTORS, vec![Key::Uuid(id)], Precondition::None)
}

fn already_set() -> Error {
    Error::payload("there already is a second factor: disable it first")
}

fn wrong(field: &str) -> Error {
    Error::payload(format!("\"{field}\" is invalid"))
}
