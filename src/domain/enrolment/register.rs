//! Self-registration, if the settings allow it.
//!
//! A taken address gets the same response as a free one, after the same work. A second registration
//! before the address is confirmed sends a new link, and the newer password applies: an account
//! that an attacker prepared for a foreign address does not keep the attacker's password.

use std::net::IpAddr;

use serde_json::Value as Json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::auth::throttle::ThrottledAction;
use crate::domain::enrolment::Enrolment;
use crate::domain::enrolment::stall;
use crate::domain::enrolment::urls;
use crate::domain::items;
use crate::domain::mails::Mails;
use crate::domain::settings::InForce;
use crate::domain::{Error, Forbidden, Violation};
use crate::model::id;
use crate::model::schema::USERS;
use crate::model::schema::users;
use crate::model::{AccountStatus, Actor, Field, MailKind, Record, Row, Value};
use crate::query::{Environment, Filter, Limits};
use crate::store::{Mutation, Precondition};
use crate::text::fold;

/// A registration request. Must never be logged.
pub struct Registration<'a> {
    /// The email address.
    pub email: &'a str,
    /// The chosen password.
    pub password: &'a str,
    /// A first name.
    pub first_name: Option<&'a str>,
    /// A last name.
    pub last_name: Option<&'a str>,
    /// The page that the confirmation link leads to; `None` for this service itself.
    pub verification_url: Option<&'a str>,
}

/// The names of an account.
struct Names {
    first: Option<Value>,
    last: Option<Value>,
}

impl Enrolment {
    /// Creates an account. Depending on the settings, it is usable at once, or once its address is
    /// confirmed by a link.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if registration is disabled, or not allowed for this address;
    /// [`Error::InvalidPayload`] for a page that is not on the list; [`Error::FailedValidation`]
    /// for an invalid address and for a password that is too easily guessed;
    /// [`Error::ValueTooLong`]; [`Error::Unprocessable`] if the address must be confirmed and mail
    /// is not configured; [`Error::RequestsExceeded`] after too many registrations from one
    /// address; [`Error::TooBusy`]. None of them depends on whether the account exists.
    pub async fn register(
        &self,
        registration: &Registration<'_>,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let settings = self.settings.in_force().await?;
        if !settings.public_registration() || !fits(&settings, registration.email)? {
            return Err(Error::Forbidden(Forbidden::Action));
        }
        let list = &self.config.register_urls;
        let url = urls::allowed(registration.verification_url, list, "verify registered users")?;
        check_address(registration.email)?;
        let names = Names::read(registration)?;
        let verifies = settings.public_registration_verify_email();
        if verifies {
            self.mails.require_room(1).await?;
        }
        let _counted = self.throttle.begin(ThrottledAction::Register, registration.email, from)?;
        let role = settings.public_registration_role();
        let done = self.make(registration, names, url, role, verifies).await;
        stall(start, self.config.register_stall).await;
        done
    }

    /// Confirms the email address of an account and activates it.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::TokenExpired`]; [`Error::Forbidden`] for a link that was
    /// used already, or belongs to an earlier registration of the same address;
    /// [`Error::RequestsExceeded`] after too many attempts.
    pub async fn confirm(&self, token: &str, from: Option<IpAddr>) -> Result<(), Error> {
        self.by_link(MailKind::Registration, token, from, async |id, user| {
            let set = vec![users::status.to(AccountStatus::Active)];
            self.follow(MailKind::Registration, id, &user, set).await
        })
        .await
    }

    async fn make(
        &self,
        registration: &Registration<'_>,
        names: Names,
        url: Option<&str>,
        role: Option<Uuid>,
        verifies: bool,
    ) -> Result<(), Error> {
        let hash = self.passwords.hash_new(registration.password).await?;
        let found = self.store.find_user_by_email(registration.email).await?;
        let ops = match &found {
            None => self.newcomer(registration.email, names, &hash, url, role, verifies).await?,
            Some(user) if verifies => self.once_more(names, &hash, url, user).await?,
            // An empty write, so that a taken address takes the same path.
            Some(_) => Vec::new(),
        };
        match self.committer.commit_ops(None, ops).await {
            Ok(()) => self.mails.wake(),
            // A concurrent request registered the same address first, or just confirmed it.
            Err(Error::RecordNotUnique { .. } | Error::Forbidden(_)) => {}
            Err(other) => return Err(other),
        }
        Ok(())
    }

    async fn newcomer(
        &self,
        email: &str,
        names: Names,
        hash: &str,
        url: Option<&str>,
        role: Option<Uuid>,
        verifies: bool,
    ) -> Result<Vec<Mutation>, Error> {
        let id = id::fresh();
        let status = if verifies { MailKind::Registration.status() } else { AccountStatus::Active };
        let row = self
            .accounts
            .row(id, email, None, None)
            .await?
            .with(&users::first_name, names.first)
            .with(&users::last_name, names.last)
            .with(&users::password, hash)
            .with(&users::role, role)
            .with(&users::status, status);
        let mut ops = vec![Mutation::create(row)];
        if verifies {
            ops.push(self.confirmation(id, url));
        }
        Ok(ops)
    }

    /// Returns the changes of a repeated registration: none if the address was confirmed before, or
    /// no mail may be sent now.
    async fn once_more(
        &self,
        names: Names,
        hash: &str,
        url: Option<&str>,
        user: &Row,
    ) -> Result<Vec<Mutation>, Error> {
        let pending = MailKind::Registration.status();
        let Some(id) = user.get(&users::id) else { return Ok(Vec::new()) };
        if user.get(&users::status) != Some(pending)
            || !self.mails.may_send(MailKind::Registration, id).await?
        {
            return Ok(Vec::new());
        }
        let set = vec![
            users::password.to(hash),
            users::first_name.to(names.first),
            users::last_name.to(names.last),
        ];
        let is_pending = Precondition::All(Filter::equals(&users::status, pending));
        let update = Mutation::update(&USERS, id, set, is_pending);
        let mut ops = vec![update, self.confirmation(id, url)];
        ops.extend(self.mails.cancel(MailKind::Registration, id).await?);
        Ok(ops)
    }

    fn confirmation(&self, id: Uuid, url: Option<&str>) -> Mutation {
        let lifetime = self.config.verification_ttl;
        Mails::queue(MailKind::Registration, id, url, self.clock.now(), lifetime)
    }
}

/// Returns whether an address may register. Case is ignored, as for all addresses.
fn fits(settings: &InForce, email: &str) -> Result<bool, Error> {
    let Some(filter) = settings.public_registration_email_filter() else { return Ok(true) };
    fits_filter(filter, email)
}

fn fits_filter(filter: &Json, email: &str) -> Result<bool, Error> {
    let actor = Actor::denied();
    let now = crate::clock::Timestamp::from_millis(0);
    let environment = Environment::new(&actor, now);
    let filter = folded(filter, &environment);
    let filter = Filter::parse(&USERS, &filter, &environment, &Limits::default())?;
    let row = Row::empty(&USERS).with(&users::email, &*fold(email));
    Ok(filter.matches(&Record::from(row)))
}

/// Returns a filter with folded texts, except for its variables.
fn folded(filter: &Json, environment: &Environment<'_>) -> Json {
    match filter {
        Json::String(text) if matches!(environment.resolve(text), Ok(None)) => {
            Json::from(&*fold(text))
        }
        Json::Array(parts) => parts.iter().map(|part| folded(part, environment)).collect(),
        Json::Object(parts) => {
            let parts = parts.iter().map(|(name, part)| (name.clone(), folded(part, environment)));
            Json::Object(parts.collect())
        }
        other => other.clone(),
    }
}

/// Refuses an invalid email address.
fn check_address(email: &str) -> Result<(), Error> {
    if items::is_address(email) {
        return Ok(());
    }
    let (field, details) = ("email".to_owned(), Vec::new());
    Err(Error::FailedValidation(vec![Violation { field, kind: "email", details }]))
}

impl Names {
    /// Reads the names as they are stored.
    fn read(registration: &Registration<'_>) -> Result<Self, Error> {
        // `CONTENT_LENGTH_MAX` does not apply to names.
        let read = |field: &'static Field, name: Option<&str>| {
            name.map(|name| USERS.text(field, name, usize::MAX)).transpose()
        };
        Ok(Self {
            first: read(&users::first_name, registration.first_name)?,
            last: read(&users::last_name, registration.last_name)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_email_filter_restricts_registration() {
        let filter = json!({"email": {"_ends_with": "@example.com"}});

        assert!(fits_filter(&filter, "a@example.com").unwrap());
        for address in ["b@Example.COM", "b@EXAMPLE.com"] {
            assert!(fits_filter(&filter, address).unwrap(), "{address}");
            for same in [
                json!({"email": {"_eq": "B@example.com"}}),
                json!({"email": {"_in": ["x@y.z", "B@Example.com"]}}),
                json!({"email": {"_contains": "@EXAMPLE."}}),
                json!({"email": {"_starts_with": "B@"}}),
            ] {
                assert!(fits_filter(&same, address).unwrap(), "{same} {address}");
            }
            for other in [
                json!({"email": {"_neq": "B@example.com"}}),
                json!({"email": {"_nin": ["B@example.com"]}}),
                json!({"email": {"_ncontains": "EXAMPLE"}}),
                json!({"email": {"_nends_with": ".Com"}}),
            ] {
                assert!(!fits_filter(&other, address).unwrap(), "{other} {address}");
            }
        }
        let beyond = json!({"email": {"_ends_with": "@BÜCHER.example"}});
        assert!(fits_filter(&beyond, "a@bu\u{308}cher.example").unwrap());
        assert!(!fits_filter(&filter, "a@example.com.evil").unwrap());
        let either = json!({"_or": [filter, {"email": {"_eq": "x@y.z"}}]});
        assert!(fits_filter(&either, "x@y.z").unwrap());
        assert!(fits_filter(&json!({}), "anybody@anywhere").unwrap());
        assert!(fits_filter(&json!({"email": {"_nonsense": 1}}), "a@b").is_err());
    }
}
