//! Signing up, where the settings let people do so.
//!
//! An address that is taken is answered like one that is not, after the same work. Whoever signs up
//! again before the address was confirmed gets a new link, and the newer password counts: an
//! account that somebody else prepared in one's name does not keep theirs.

use std::net::IpAddr;

use serde_json::Value as Json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::Violation;
use crate::domain::auth::throttle::Way;
use crate::domain::enrolment::Enrolment;
use crate::domain::enrolment::stall;
use crate::domain::enrolment::urls;
use crate::domain::items;
use crate::domain::mails::Kind;
use crate::domain::mails::Mails;
use crate::domain::settings::InForce;
use crate::model::Actor;
use crate::model::Key;
use crate::model::Record;
use crate::model::Row;
use crate::model::Value;
use crate::model::id;
use crate::model::schema::USERS;
use crate::query::Environment;
use crate::query::Filter;
use crate::query::Limits;
use crate::query::Test;
use crate::store::Guard;
use crate::store::Op;

/// How long a name may be.
const NAME_CHARACTERS_MAX: usize = 255;

/// What somebody signs up with, never to be logged.
pub struct Registration<'a> {
    /// The address.
    pub email: &'a str,
    /// The password they choose.
    pub password: &'a str,
    /// A first name.
    pub first_name: Option<&'a str>,
    /// A last name.
    pub last_name: Option<&'a str>,
    /// The page that the link to confirm the address leads to; `None` for this service itself.
    pub verification_url: Option<&'a str>,
}

impl Enrolment {
    /// Makes an account for somebody who signs up. It can be used at once, or once a link in a mail
    /// was followed, as the settings say.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if registration is off, or not for such addresses;
    /// [`Error::InvalidPayload`] for a page that is not on the list; [`Error::FailedValidation`] for
    /// an address that is none, a name that is too long and a password that is too easily guessed;
    /// [`Error::Unprocessable`] if the address is to be confirmed and there is no mail here;
    /// [`Error::RequestsExceeded`] for signing up too often from one address; [`Error::TooBusy`]. None
    /// of them depends on whether there is such an account.
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
        check(registration)?;
        let verifies = settings.public_registration_verify_email();
        if verifies {
            self.mails.require_room(1).await?;
        }
        let _counted = self.throttle.begin(Way::Register, registration.email, from)?;
        let done = self.make(registration, url, settings.public_registration_role(), verifies);
        let done = done.await;
        stall(start, self.config.register_stall).await;
        done
    }

    /// Confirms the address of an account, which can be used from now on.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::TokenExpired`]; [`Error::Forbidden`] for a link that was
    /// followed already, or belongs to an earlier registration of the same address;
    /// [`Error::RequestsExceeded`] for trying too often.
    pub async fn confirm(&self, token: &str, from: Option<IpAddr>) -> Result<(), Error> {
        self.by_link(Kind::Registration, token, from, async |id, user| {
            let set = vec![(USERS.require("status"), Value::text("active"))];
            self.follow(Kind::Registration, id, &user, set).await
        })
        .await
    }

    async fn make(
        &self,
        registration: &Registration<'_>,
        url: Option<&str>,
        role: Option<Uuid>,
        verifies: bool,
    ) -> Result<(), Error> {
        let hash = self.passwords.hash_new(registration.password).await?;
        let found = self.store.find_user_by_email(registration.email).await?;
        let ops = match &found {
            None => self.newcomer(registration, &hash, url, role, verifies).await?,
            Some(user) if verifies => self.once_more(registration, &hash, url, user).await?,
            // As much is written as for a newcomer, but nothing.
            Some(_) => Vec::new(),
        };
        match self.commit(ops).await {
            Ok(()) => self.mails.wake(),
            // Somebody was faster with the same address, or it was confirmed at this moment.
            Err(Error::RecordNotUnique { .. } | Error::Forbidden(_)) => {}
            Err(other) => return Err(other),
        }
        Ok(())
    }

    async fn newcomer(
        &self,
        registration: &Registration<'_>,
        hash: &str,
        url: Option<&str>,
        role: Option<Uuid>,
        verifies: bool,
    ) -> Result<Vec<Op>, Error> {
        let id = id::fresh();
        let status = if verifies { Kind::Registration.status() } else { "active" };
        let name = |name: Option<&str>| name.map_or(Value::Null, Value::text);
        let row = self
            .accounts
            .row(id, registration.email, registration.first_name, None)
            .await?
            .with("last_name", name(registration.last_name))
            .with("password", Value::text(hash))
            .with("role", role.map_or(Value::Null, Value::Uuid))
            .with("status", Value::text(status));
        let mut ops = vec![Op::Create { collection: &USERS, rows: vec![row] }];
        if verifies {
            ops.push(self.confirmation(id, url));
        }
        Ok(ops)
    }

    /// Returns what signing up again changes: nothing, unless the address was never confirmed.
    async fn once_more(
        &self,
        registration: &Registration<'_>,
        hash: &str,
        url: Option<&str>,
        user: &Row,
    ) -> Result<Vec<Op>, Error> {
        let status = USERS.require("status");
        let pending = Test::Eq(Value::text(Kind::Registration.status()));
        let pending = Filter::Field(status, pending);
        let Some(id) = user.value("id").as_uuid() else { return Ok(Vec::new()) };
        let is_pending = pending.matches(&Record::from(user.clone()));
        if !is_pending || !self.mails.may_send(Kind::Registration, id).await? {
            return Ok(Vec::new());
        }
        let name = |name: Option<&str>| name.map_or(Value::Null, Value::text);
        let update = Op::Update {
            collection: &USERS,
            keys: vec![Key::Uuid(id)],
            set: vec![
                (USERS.require("password"), Value::text(hash)),
                (USERS.require("first_name"), name(registration.first_name)),
                (USERS.require("last_name"), name(registration.last_name)),
            ],
            guard: Guard::Every(pending),
        };
        let mut ops = vec![update, self.confirmation(id, url)];
        let waiting = self.mails.waiting(Kind::Registration, id).await?;
        if !waiting.is_empty() {
            ops.push(Mails::take_back(waiting));
        }
        Ok(ops)
    }

    fn confirmation(&self, id: Uuid, url: Option<&str>) -> Op {
        let lifetime = self.config.verification_ttl;
        Mails::queue(Kind::Registration, id, url, self.clock.now(), lifetime)
    }
}

/// Returns whether people with such an address may sign up.
fn fits(settings: &InForce, email: &str) -> Result<bool, Error> {
    let Some(filter) = settings.public_registration_email_filter() else { return Ok(true) };
    fits_filter(filter, email)
}

fn fits_filter(filter: &Json, email: &str) -> Result<bool, Error> {
    let actor = Actor::nobody();
    let now = crate::clock::Timestamp::from_millis(0);
    let environment = Environment::new(&actor, now);
    let filter = Filter::parse(&USERS, filter, &environment, &Limits::default())?;
    let row = Row::empty(&USERS).with("email", Value::text(email));
    Ok(filter.matches(&Record::from(row)))
}

/// Refuses what is no address, and names that are too long or cannot be stored.
fn check(registration: &Registration<'_>) -> Result<(), Error> {
    let violation = |field: &str, kind, details| {
        Err(Error::FailedValidation(vec![Violation { field: field.to_owned(), kind, details }]))
    };
    if !items::is_address(registration.email) {
        return violation("email", "email", vec![]);
    }
    let names = [("first_name", registration.first_name), ("last_name", registration.last_name)];
    for (field, name) in names {
        let Some(name) = name else { continue };
        if name.chars().count() > NAME_CHARACTERS_MAX {
            let valid = Json::from(NAME_CHARACTERS_MAX);
            return violation(field, "max_length", vec![("valid", valid)]);
        }
        if name.contains('\0') {
            return Err(Error::payload(format!("\"{field}\" must not have a NUL character")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_says_whose_addresses_may_come_in() {
        let filter = json!({"email": {"_ends_with": "@example.com"}});

        assert!(fits_filter(&filter, "a@example.com").unwrap());
        assert!(!fits_filter(&filter, "a@example.com.evil").unwrap());
        let either = json!({"_or": [filter, {"email": {"_eq": "x@y.z"}}]});
        assert!(fits_filter(&either, "x@y.z").unwrap());
        assert!(fits_filter(&json!({}), "anybody@anywhere").unwrap());
        assert!(fits_filter(&json!({"email": {"_nonsense": 1}}), "a@b").is_err());
    }
}
