//! The second factor of an account: setting it up, asking for it, and taking it off again.
//!
//! A code counts once: with the sign-in it is for, the writer notes its time step, or strikes the
//! recovery code out, and a second sign-in with the same is refused by the guard of that change.
//! `totp` and `recovery_codes` know what codes look like.

use uuid::Uuid;

use crate::domain::Error;
use crate::domain::auth::Auth;
use crate::domain::auth::recovery_codes;
use crate::domain::auth::throttle;
use crate::domain::auth::throttle::Attempt;
use crate::domain::auth::throttle::Way;
use crate::domain::auth::totp;
use crate::domain::auth::totp::Secret;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::schema::SECOND_FACTORS;
use crate::model::schema::USERS;
use crate::query::Filter;
use crate::query::Test;
use crate::store::Guard;
use crate::store::Op;
use crate::store::Write;

/// A secret that somebody may put into an authenticator app. Nothing is stored of it yet.
#[derive(Debug)]
pub struct NewFactor {
    /// The secret, in base32.
    pub secret: String,
    /// The same as an address, for a QR code.
    pub otpauth_url: String,
}

impl Auth {
    /// Returns a fresh secret for the account of the actor, after another look at the password.
    /// `service` is what the entry in the app is called by.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::RequestsExceeded`] after too many;
    /// [`Error::InvalidPayload`] if the account has a second factor already.
    pub async fn propose_factor(
        &self,
        actor: &Actor,
        password: &str,
        service: &str,
    ) -> Result<NewFactor, Error> {
        let user = self.confirm_password(actor, password).await?;
        if user.value("tfa_secret").as_text().is_some() {
            return Err(already_set());
        }
        let secret = Secret::fresh();
        let account = user.value("email").as_text().unwrap_or_default();
        let otpauth_url = secret.address(service, account);
        Ok(NewFactor { secret: secret.to_text(), otpauth_url })
    }

    /// Gives the account of the actor a second factor, once a code shows that the app has it. The
    /// same code is good for one sign-in after that.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to update one's own `tfa_secret`, unless a policy asks
    /// for a second factor; [`Error::InvalidPayload`] for a secret or code that is none, or if there
    /// is a second factor already; [`Error::RequestsExceeded`] after too many wrong codes.
    pub async fn enable_factor(&self, actor: &Actor, secret: &str, otp: &str) -> Result<(), Error> {
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        let allowed = self.own_factor(actor)?;
        let user = self.require_user(id).await?;
        if user.value("tfa_secret").as_text().is_some() {
            return Err(already_set());
        }
        let secret = Secret::parse(secret).ok_or_else(|| wrong("secret"))?;
        let attempt = self.attempt(Way::Factor, actor, &user)?;
        let step = secret.step_of(&plain(otp), self.clock.now()).ok_or_else(|| wrong("otp"))?;
        attempt.take_back();

        let sealed = self.sealing.seal(id, &secret.to_text());
        let field = USERS.require("tfa_secret");
        let ops = vec![
            Op::Update {
                collection: &USERS,
                keys: vec![Key::Uuid(id)],
                set: vec![(field, Value::text(&sealed))],
                guard: Guard::Every(allowed.and(Filter::Field(field, Test::Null))),
            },
            forget(id),
            create(id, step - 1, ""),
        ];
        self.commit_factor(actor, ops).await
    }

    /// Takes the second factor off the account of the actor, who shows it once more.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] if the code is wrong, or there is no second factor;
    /// [`Error::RequestsExceeded`] after too many wrong codes.
    pub async fn disable_factor(&self, actor: &Actor, otp: &str) -> Result<(), Error> {
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        let user = self.require_user(id).await?;
        if user.value("tfa_secret").as_text().is_none() {
            return Err(Error::payload("there is no second factor to disable"));
        }
        let attempt = self.attempt(Way::Factor, actor, &user)?;
        let factor = self.second_factor(&user, id, Some(otp)).await;
        attempt.settle(&factor, |error| matches!(error, Error::InvalidOtp));
        let mut ops = match factor {
            Err(Error::InvalidOtp) => return Err(wrong("otp")),
            other => other?,
        };
        ops.extend(remove(id, Guard::Present));
        self.commit_factor(actor, ops).await.map_err(|error| match error {
            // Somebody else used the same code at the same moment.
            Error::Forbidden(_) => wrong("otp"),
            other => other,
        })
    }

    /// Takes the second factor off any account; for administrators, which the caller has made sure
    /// of.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if there is no such account.
    pub async fn remove_factor(&self, actor: &Actor, user: Uuid) -> Result<(), Error> {
        let present = Guard::Every(Filter::everything());
        self.commit_factor(actor, remove(user, present).into()).await
    }

    /// Makes a new set of recovery codes, each good for one sign-in instead of a code of the app, and
    /// forgets those made before. They are shown this once.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for a wrong password; [`Error::RequestsExceeded`] after too many;
    /// [`Error::InvalidPayload`] if there is no second factor.
    pub async fn make_recovery_codes(
        &self,
        actor: &Actor,
        password: &str,
    ) -> Result<Vec<String>, Error> {
        let user = self.confirm_password(actor, password).await?;
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        if user.value("tfa_secret").as_text().is_none() {
            return Err(Error::payload("there is no second factor yet: enable one first"));
        }
        let codes = recovery_codes::fresh();
        let stored = recovery_codes::stored(id, &codes);
        let op = match self.store.find(&SECOND_FACTORS, Key::Uuid(id)).await? {
            Some(_) => update(id, "recovery_codes", Value::text(&stored), Filter::everything()),
            None => create(id, 0, &stored),
        };
        self.commit_factor(actor, vec![op]).await?;
        Ok(codes)
    }

    /// Returns the changes that use a code up, to be committed with what it is for; none where the
    /// account has no second factor. If somebody else uses the same code meanwhile, their guard
    /// refuses the write.
    ///
    /// # Errors
    /// [`Error::InvalidOtp`] for a code that is missing, wrong or used.
    pub(super) async fn second_factor(
        &self,
        user: &Row,
        id: Uuid,
        otp: Option<&str>,
    ) -> Result<Vec<Op>, Error> {
        let Some(stored) = user.value("tfa_secret").as_text() else { return Ok(Vec::new()) };
        let otp = plain(otp.ok_or(Error::InvalidOtp)?);
        let noted = self.store.find(&SECOND_FACTORS, Key::Uuid(id)).await?;
        if totp::is_code(&otp) {
            let secret = self.sealing.open(id, stored).as_deref().and_then(Secret::parse);
            if secret.is_none() {
                tracing::error!(user.id = %id, "a second factor cannot be read: was SECRET changed?");
            }
            let step = secret.and_then(|secret| secret.step_of(&otp, self.clock.now()));
            let step = step.ok_or(Error::InvalidOtp)?;
            return use_step(id, step, noted.as_ref());
        }
        let codes = noted.as_ref().and_then(|row| row.value("recovery_codes").as_text());
        let codes = codes.unwrap_or_default();
        let left = recovery_codes::without(id, codes, &otp).ok_or(Error::InvalidOtp)?;
        tracing::info!(
            user.id = %id,
            left = recovery_codes::count(&left),
            "a recovery code was used"
        );
        let unchanged = Test::Eq(Value::text(codes));
        let unchanged = Filter::Field(SECOND_FACTORS.require("recovery_codes"), unchanged);
        Ok(vec![update(id, "recovery_codes", Value::text(&left), unchanged)])
    }

    /// Returns the account of the actor if this is its password. A refusal takes as long as that of
    /// a sign-in.
    async fn confirm_password(&self, actor: &Actor, password: &str) -> Result<Row, Error> {
        let start = tokio::time::Instant::now();
        let id = actor.user.ok_or(Error::InvalidCredentials)?;
        let user = self.require_user(id).await?;
        let attempt = self.attempt(Way::Password, actor, &user)?;
        let hash = user.value("password").as_text();
        let is_right = self.passwords.verify(password, hash).await;
        let is_right =
            is_right.and_then(|is_right| is_right.then_some(()).ok_or(Error::InvalidCredentials));
        attempt.settle(&is_right, |error| matches!(error, Error::InvalidCredentials));
        if matches!(is_right, Err(Error::InvalidCredentials)) {
            tokio::time::sleep_until(start + self.config.login_stall).await;
        }
        is_right.map(|()| user)
    }

    /// Begins an attempt of somebody who is signed in at what guards their own account: a session
    /// that was stolen is no road to guess by.
    fn attempt(&self, way: Way, actor: &Actor, user: &Row) -> Result<Attempt<'_>, Error> {
        self.throttle.begin(way, &throttle::name(user), actor.profile.address)
    }

    async fn require_user(&self, id: Uuid) -> Result<Row, Error> {
        self.store.find(&USERS, Key::Uuid(id)).await?.ok_or(Error::InvalidCredentials)
    }

    /// Returns what must hold of an account for its own second factor to be set by the actor.
    fn own_factor(&self, actor: &Actor) -> Result<Filter, Error> {
        if actor.enforce_tfa() {
            return Ok(Filter::everything());
        }
        let scope = self.permissions.scope(actor, &USERS, Action::Update)?;
        let field = USERS.require("tfa_secret");
        scope.filter_for(&[field]).ok_or_else(|| Error::collection(USERS.name))
    }

    async fn commit_factor(&self, actor: &Actor, ops: Vec<Op>) -> Result<(), Error> {
        let write = Write { actor: actor.user, at: self.clock.now(), ops };
        self.changes.commit(write).await.map(drop)
    }
}

/// Returns the change that notes the use of a code.
fn use_step(id: Uuid, step: i64, used: Option<&Row>) -> Result<Vec<Op>, Error> {
    // A secret that came along from elsewhere has no row yet, and the key of the row is its guard.
    let Some(used) = used else { return Ok(vec![create(id, step, "")]) };
    if used.value("step").as_integer().is_none_or(|last| step <= last) {
        return Err(Error::InvalidOtp);
    }
    let earlier = Filter::Field(SECOND_FACTORS.require("step"), Test::Lt(Value::Integer(step)));
    Ok(vec![update(id, "step", Value::Integer(step), earlier)])
}

/// Returns a code as it is compared: people copy it with the space in its middle.
fn plain(otp: &str) -> String {
    otp.chars().filter(|c| !c.is_whitespace()).collect()
}

fn create(id: Uuid, step: i64, recovery_codes: &str) -> Op {
    let row = Row::empty(&SECOND_FACTORS)
        .with("id", Value::Uuid(id))
        .with("step", Value::Integer(step))
        .with("recovery_codes", Value::text(recovery_codes));
    Op::Create { collection: &SECOND_FACTORS, rows: vec![row] }
}

fn update(id: Uuid, field: &str, value: Value, must: Filter) -> Op {
    Op::Update {
        collection: &SECOND_FACTORS,
        keys: vec![Key::Uuid(id)],
        set: vec![(SECOND_FACTORS.require(field), value)],
        guard: Guard::Every(must),
    }
}

/// Returns the changes that take a second factor off an account.
pub(in crate::domain) fn remove(id: Uuid, guard: Guard) -> [Op; 2] {
    let cleared = Op::Update {
        collection: &USERS,
        keys: vec![Key::Uuid(id)],
        set: vec![(USERS.require("tfa_secret"), Value::Null)],
        guard,
    };
    [cleared, forget(id)]
}

/// Returns the change that forgets used steps and recovery codes.
fn forget(id: Uuid) -> Op {
    Op::delete(&SECOND_FACTORS, vec![Key::Uuid(id)], Guard::Present)
}

fn already_set() -> Error {
    Error::payload("there is a second factor already: disable it first")
}

fn wrong(field: &str) -> Error {
    Error::payload(format!("\"{field}\" is invalid"))
}
