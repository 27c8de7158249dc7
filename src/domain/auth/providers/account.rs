//! Accounts of an identity provider. An account is found by the exact pair of provider and
//! identifier. Its email address proves nothing: an attacker with a provider that reports an
//! address must not get into the account that has this address.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::{Admission, ClaimKeys, ProviderConfig};
use crate::domain::Error;
use crate::domain::auth::sign_in::is_active;
use crate::domain::auth::{Auth, ClientInfo, SignIn};
use crate::model::id;
use crate::model::schema::USERS;
use crate::model::schema::users;
use crate::model::{AccountStatus, Field, Row, SessionMode, Value};
use crate::providers::Profile;
use crate::query::{Filter, Test};
use crate::store::{Mutation, Precondition};

/// Maximum length of an identifier in bytes. Never truncated: two identifiers may share a prefix.
const IDENTIFIER_BYTES_MAX: usize = 255;
/// Maximum length of an email address in bytes.
const EMAIL_BYTES_MAX: usize = 254;

impl Auth {
    /// Begins a session of the account with this identity. Creates the account if there is none and
    /// the settings allow it.
    pub(super) async fn enter(
        &self,
        config: &ProviderConfig,
        profile: &Profile,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let ProviderConfig { name, keys, admission, .. } = config;
        let identifier = identifier(keys, profile).ok_or(Error::InvalidCredentials)?;
        let mut user = self.store.find_user_by_identity(name, &identifier).await?;
        if user.is_none() {
            let row = newcomer(name, &identifier, keys, admission, profile)?;
            match self.settle(row, mode, client).await {
                // A concurrent sign-in of the same person created the account first.
                Err(Error::RecordNotUnique { field: "external_identifier", .. }) => {}
                done => return done,
            }
            user = self.store.find_user_by_identity(name, &identifier).await?;
        }
        let user = user.ok_or(Error::InvalidCredentials)?;
        self.resume(config, &user, profile, mode, client).await
    }

    /// Creates an account without a session. Returns its row.
    pub(in crate::domain::auth) async fn admit(
        &self,
        provider: &str,
        keys: &ClaimKeys,
        admission: &Admission,
        profile: &Profile,
    ) -> Result<Row, Error> {
        let identifier = identifier(keys, profile).ok_or(Error::InvalidCredentials)?;
        let row = newcomer(provider, &identifier, keys, admission, profile)?;
        let ops = vec![Mutation::create(row.clone())];
        let made = self.committer.commit_ops(None, ops).await;
        made.map_err(|error| made_by(provider, error))?;
        tell(provider, &row);
        Ok(row)
    }

    /// Creates an account and its first session in one transaction.
    async fn settle(
        &self,
        row: Row,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let now = self.clock.now();
        let row = row.with(&users::last_access, now);
        let id = row.get(&users::id).ok_or(Error::InvalidCredentials)?;
        let provider = row.get(&users::provider).unwrap_or_default().to_owned();
        let ops = vec![Mutation::create(row.clone())];
        let begun = self.begin_session(&row, id, ops, now, mode, client).await;
        let begun = begun.map_err(|error| made_by(&provider, error))?;
        tell(&provider, &row);
        Ok(begun)
    }

    /// Begins a session of an existing account.
    async fn resume(
        &self,
        config: &ProviderConfig,
        user: &Row,
        profile: &Profile,
        mode: SessionMode,
        client: &ClientInfo,
    ) -> Result<SignIn, Error> {
        let id = user.get(&users::id).filter(|_| is_active(user));
        let id = id.ok_or(Error::InvalidCredentials)?;
        require_no_factor(user)?;
        let now = self.clock.now();
        let followed = followed(config, user, profile);
        let attempt = |set: Vec<(&'static Field, Value)>| async move {
            let mut row = user.clone();
            for (field, value) in &set {
                row.set(field, value.clone());
            }
            let ops = vec![note_arrival(user, id, set, now)];
            self.begin_session(&row, id, ops, now, mode, client).await
        };
        let begun = match attempt(followed.clone()).await {
            Err(Error::RecordNotUnique { field: "email", .. }) => {
                tracing::warn!(
                    user.id = %id,
                    "an account keeps its email address: another account has the new one"
                );
                let names = followed.into_iter().filter(|(field, _)| **field != users::email);
                attempt(names.collect()).await
            }
            done => done,
        };
        begun.map_err(|error| match error {
            // The account has changed since it was read.
            Error::Forbidden(_) => Error::InvalidCredentials,
            other => other,
        })
    }
}

/// Returns whether an account has this identifier at this provider.
#[must_use]
pub(in crate::domain::auth) fn identity(user: &Row, provider: &str, identifier: &str) -> bool {
    user.get(&users::provider) == Some(provider)
        && user.get(&users::external_identifier) == Some(identifier)
}

/// Returns the identifier in a profile, unless it is too long or contains NUL.
pub(in crate::domain::auth) fn identifier(keys: &ClaimKeys, profile: &Profile) -> Option<String> {
    let identifier = profile.text(&keys.identifier)?;
    let is_one = identifier.len() <= IDENTIFIER_BYTES_MAX && !identifier.contains('\0');
    is_one.then_some(identifier)
}

/// Refuses accounts with a second factor: a sign-in with a provider asks for no code.
pub(in crate::domain::auth) fn require_no_factor(user: &Row) -> Result<(), Error> {
    user.get(&users::tfa_secret).map_or(Ok(()), |_| Err(Error::InvalidOtp))
}

/// Returns the row of a new account without a password, if the settings allow creating it.
fn newcomer(
    provider: &str,
    identifier: &str,
    keys: &ClaimKeys,
    admission: &Admission,
    profile: &Profile,
) -> Result<Row, Error> {
    let email = email(keys, profile);
    let is_proven = email.is_some() && profile.email_verified() == Some(true);
    if !admission.register || (admission.verified_email && !is_proven) {
        return Err(Error::InvalidCredentials);
    }
    Ok(Row::new(&USERS)
        .with(&users::id, id::fresh())
        .with(&users::email, email)
        .with(&users::first_name, name(keys.first_name.as_deref(), profile))
        .with(&users::last_name, name(keys.last_name.as_deref(), profile))
        .with(&users::role, admission.role)
        .with(&users::provider, provider)
        .with(&users::external_identifier, identifier))
}

/// Returns the changed values of the fields that are synchronized from the provider.
fn followed(
    config: &ProviderConfig,
    user: &Row,
    profile: &Profile,
) -> Vec<(&'static Field, Value)> {
    let ProviderConfig { keys, admission, .. } = config;
    if !admission.sync {
        return Vec::new();
    }
    let may_follow = match profile.email_verified() {
        Some(verified) => verified,
        None => !admission.verified_email,
    };
    [
        (&users::email, email(keys, profile).filter(|_| may_follow)),
        (&users::first_name, name(keys.first_name.as_deref(), profile)),
        (&users::last_name, name(keys.last_name.as_deref(), profile)),
    ]
    .into_iter()
    .filter_map(|(column, text)| Some(column.to(text?)))
    .filter(|(field, value)| user[*field] != *value)
    .collect()
}

/// Returns the update that records a sign-in. Its precondition refuses it if the account has
/// changed since it was read.
fn note_arrival(
    user: &Row,
    id: Uuid,
    mut set: Vec<(&'static Field, Value)>,
    now: Timestamp,
) -> Mutation {
    set.push(users::last_access.to(now));
    let unchanged = Filter::And(vec![
        Filter::equals(&users::provider, user.get(&users::provider)),
        Filter::equals(&users::external_identifier, user.get(&users::external_identifier)),
        Filter::equals(&users::status, AccountStatus::Active),
        Filter::Field(&users::tfa_secret, Test::Null),
    ]);
    Mutation::update(&USERS, id, set, Precondition::All(unchanged))
}

/// Maps an error from the creation of an account.
fn made_by(provider: &str, error: Error) -> Error {
    match error {
        Error::RecordNotUnique { field: "email", .. } => {
            tracing::info!(
                provider,
                "no account was created: another account has the email address"
            );
            Error::InvalidProvider
        }
        Error::InvalidForeignKey { .. } => {
            tracing::error!(
                provider,
                "cannot create an account: the role DEFAULT_ROLE_ID does not exist"
            );
            Error::ProviderUnavailable(provider.to_owned())
        }
        other => other,
    }
}

fn tell(provider: &str, row: &Row) {
    if let Some(id) = row.get(&users::id) {
        tracing::info!(user.id = %id, provider, "created an account for a user of a provider");
    }
}

/// Returns the email address in a profile, if it is valid.
fn email(keys: &ClaimKeys, profile: &Profile) -> Option<String> {
    let email = profile.text(&keys.email)?;
    let (local, domain) = email.rsplit_once('@')?;
    let fine =
        |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    let is_one = email.len() <= EMAIL_BYTES_MAX && fine(local) && fine(domain);
    (is_one && !local.contains('@')).then_some(email)
}

/// Returns a name in a profile, truncated to the length of its field.
fn name(key: Option<&str>, profile: &Profile) -> Option<String> {
    let name = profile.text(key?)?;
    let field = users::first_name.field();
    let kept: String = field.kept(&name).chars().take(field.length_max(usize::MAX)).collect();
    Some(kept).filter(|name| !name.is_empty())
}
