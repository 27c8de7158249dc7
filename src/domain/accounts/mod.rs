//! Account management by the operator: at first start and from the command line.
//!
//! There is no actor, since no connection is involved. Clients create accounts through `items`,
//! which checks permissions.

pub mod bootstrap;
mod personal;

pub use personal::Erased;

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::auth::password::Passwords;
use crate::domain::auth::second_factor;
use crate::domain::auth::sessions;
use crate::domain::committer::Committer;
use crate::domain::{Error, Violation};
use crate::model::id;
use crate::model::schema::roles;
use crate::model::schema::users;
use crate::model::schema::{ROLES, USERS};
use crate::model::{AccountStatus, Field, Key, Row, Value};
use crate::store::{Mutation, Precondition, Store};

/// The default role of new accounts.
pub const MEMBER: &str = "Member";

/// Creates and changes accounts without permission checks.
pub struct Accounts {
    pub(crate) store: Arc<Store>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) clock: Clock,
}

/// A new account.
#[derive(Debug)]
pub struct Created {
    /// Its key.
    pub id: Uuid,
    /// Its password, if it was generated.
    pub password: Option<String>,
}

impl Accounts {
    /// Creates an active account with the named role, by default `Member`. Generates a password if
    /// none is given.
    ///
    /// # Errors
    /// [`Error::RecordNotUnique`] for an address that is taken; [`Error::FailedValidation`] for an
    /// invalid address, an unknown role, or a password that is too easily guessed.
    pub async fn create(
        &self,
        email: &str,
        first_name: Option<&str>,
        role: Option<&str>,
        password: Option<&str>,
    ) -> Result<Created, Error> {
        if !email.contains('@') {
            return Err(violation("email", "email"));
        }
        let role = role.unwrap_or(MEMBER);
        let known = self.store.all(&ROLES).await?;
        let role = known
            .iter()
            .find(|row| row.get(&roles::name) == Some(role))
            .and_then(Row::key)
            .ok_or_else(|| violation("role", "in"))?;
        let (password, generated) = password_or_generated(password)?;
        let id = id::fresh();
        let hash = self.passwords.hash_new(&password).await?;
        let row = self
            .row(id, email, first_name, None)
            .await?
            .with(&users::password, hash)
            .with(&users::role, role);
        self.commit(vec![Mutation::create(row)]).await?;
        Ok(Created { id, password: generated.then_some(password) })
    }

    /// Returns all accounts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self) -> Result<Vec<Row>, Error> {
        Ok(self.store.all(&USERS).await?)
    }

    /// Sets the password of an account and ends its sessions. Generates a password if none is
    /// given, and returns it in that case.
    ///
    /// # Errors
    /// [`Error::FailedValidation`] for an unknown address or a password that is too easily guessed.
    pub async fn set_password(
        &self,
        email: &str,
        password: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let key = self.require(email).await?;
        let (password, generated) = password_or_generated(password)?;
        let hash = self.passwords.hash_new(&password).await?;
        self.change(key, users::password.to(hash)).await?;
        Ok(generated.then_some(password))
    }

    /// Suspends an account and ends its sessions.
    ///
    /// # Errors
    /// [`Error::FailedValidation`] for an unknown address.
    pub async fn suspend(&self, email: &str) -> Result<(), Error> {
        let key = self.require(email).await?;
        self.change(key, users::status.to(AccountStatus::Suspended)).await
    }

    /// Removes the second factor of an account.
    ///
    /// # Errors
    /// [`Error::FailedValidation`] for an unknown address.
    pub async fn disable_factor(&self, email: &str) -> Result<(), Error> {
        match self.require(email).await? {
            Key::Uuid(id) => {
                self.commit(second_factor::remove(id, Precondition::None).into()).await
            }
            Key::Integer(_) => Ok(()),
        }
    }

    /// Returns the row of a new active account, with its password hashed.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if too many passwords wait to be hashed; [`Error::ValueTooLong`].
    pub async fn row(
        &self,
        id: Uuid,
        email: &str,
        first_name: Option<&str>,
        password: Option<&str>,
    ) -> Result<Row, Error> {
        let hash = match password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        // `CONTENT_LENGTH_MAX` does not apply to these fields.
        let text = |field: &'static Field, text: &str| USERS.text(field, text, usize::MAX);
        let name = first_name.map(|name| text(&users::first_name, name)).transpose()?;
        Ok(Row::new(&USERS)
            .with(&users::id, id)
            .with(&users::email, text(&users::email, email)?)
            .with(&users::first_name, name)
            .with(&users::password, hash))
    }

    /// Commits on behalf of the service, without an actor.
    pub(super) async fn commit(&self, ops: Vec<Mutation>) -> Result<(), Error> {
        self.committer.commit_ops(None, ops).await
    }

    async fn require(&self, email: &str) -> Result<Key, Error> {
        let found = self.store.find_user_by_email(email).await?;
        found.as_ref().and_then(Row::key).ok_or_else(|| violation("email", "in"))
    }

    async fn change(&self, key: Key, set: (&'static Field, Value)) -> Result<(), Error> {
        let update = Mutation::update(&USERS, key, vec![set], Precondition::None);
        self.commit(vec![sessions::end_all(key), update]).await
    }
}

fn password_or_generated(password: Option<&str>) -> Result<(String, bool), Error> {
    match password {
        Some("") => Err(Error::payload("\"password\" is not allowed to be empty")),
        Some(password) => Ok((password.to_owned(), false)),
        None => Ok((generate(), true)),
    }
}

/// Generates a password of 120 random bits.
///
/// # Panics
/// If the operating system provides no random numbers.
#[must_use]
pub fn generate() -> String {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
    BASE64URL_NOPAD.encode(&bytes)
}

fn violation(field: &str, kind: &'static str) -> Error {
    let details = Vec::new();
    Error::FailedValidation(vec![Violation { field: field.to_owned(), kind, details }])
}
