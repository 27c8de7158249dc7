//! The mail queue. An entry contains the kind of the mail, its account and its expiry.
//!
//! A mail is queued in the same transaction as the change that causes it, so neither exists without
//! the other. The queue contains no address, no token and no text: `delivery` reads the account and
//! issues the token when it sends. The texts are in `template`, the tokens in `action_token`.

pub mod action_token;
mod delivery;
mod template;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::domain::Error;
use crate::domain::committer::Committer;
use crate::domain::mails::action_token::ActionTokens;
use crate::domain::settings::Settings;
use crate::mail::Mailer;
use crate::model::id;
use crate::model::schema::MAILS;
use crate::model::schema::mails;
use crate::model::{AccountStatus, Key, MailKind, Row, Value};
use crate::store::{Mutation, Precondition, Store};

/// The maximum number of queued mails. Requests that would add more are refused.
const WAITING_MAX: u64 = 10_000;
/// The maximum number of mails of one kind to an account within [`COUNTED`], so that a client
/// cannot flood the inbox of another user.
const PER_ACCOUNT_MAX: usize = 5;
/// The time for which sent mails count towards the limit per account.
const COUNTED: Duration = Duration::from_hours(1);
/// The retry delay when the queue is full.
const RETRY_AFTER: Duration = Duration::from_mins(1);

impl MailKind {
    /// Returns the name in tokens, as in Directus.
    const fn scope(self) -> &'static str {
        match self {
            Self::Registration => "pending-registration",
            Self::Invitation => "invite",
            Self::Reset => "password-reset",
        }
    }

    /// Returns the only account status for which the link is valid.
    #[must_use]
    pub const fn status(self) -> AccountStatus {
        match self {
            Self::Registration => AccountStatus::Unverified,
            Self::Invitation => AccountStatus::Invited,
            Self::Reset => AccountStatus::Active,
        }
    }

    /// Returns the path of the link unless the request chooses another page.
    const fn path(self) -> &'static str {
        match self {
            Self::Registration => "/users/register/verify-email",
            Self::Invitation => "/admin/accept-invite",
            Self::Reset => "/admin/reset-password",
        }
    }
}

/// Queues and sends mails.
pub struct Mails {
    /// Without a mailer, no mail can be queued.
    pub(crate) mailer: Option<Mailer>,
    pub(crate) store: Arc<Store>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    /// Issues and verifies the tokens of links.
    pub(crate) tokens: ActionTokens,
    /// The URL that links begin with: that of this service, without a trailing slash.
    pub(crate) base: String,
    /// The name of the project if the settings have none.
    pub(crate) project_name: String,
    /// Notifies the delivery of new mails.
    pub(crate) wake: Notify,
}

impl Mails {
    /// Checks that the queue has room for `mails` more mails.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] if mail is not configured; [`Error::TooBusy`] if the queue is full.
    pub async fn require_room(&self, mails: usize) -> Result<(), Error> {
        if self.mailer.is_none() {
            return Err(Error::Unprocessable(
                "this service cannot send emails: the operator has to set \
                 EMAIL_TRANSPORT"
                    .to_owned(),
            ));
        }
        let (waiting, _) = self.store.waiting_mails().await?;
        if waiting.saturating_add(mails as u64) > WAITING_MAX {
            tracing::warn!(waiting, "the email queue is full");
            return Err(Error::TooBusy { retry_after: RETRY_AFTER });
        }
        Ok(())
    }

    /// Returns whether the limit per account, kind and hour allows one more mail.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn may_send(&self, kind: MailKind, user: Uuid) -> Result<bool, Error> {
        let rows = self.of(user).await?;
        let since = self.clock.now().minus(COUNTED);
        let recent = rows.iter().filter(|row| {
            row.get(&mails::kind) == Some(kind)
                && row.get(&mails::date_created).is_some_and(|at| at > since)
        });
        Ok(recent.count() < PER_ACCOUNT_MAX)
    }

    /// Returns the keys of the unsent mails of one kind to an account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn waiting(&self, kind: MailKind, user: Uuid) -> Result<Vec<Key>, Error> {
        let rows = self.of(user).await?;
        let waits = |row: &&Row| {
            row.get(&mails::kind) == Some(kind) && row.get(&mails::date_next).is_some()
        };
        Ok(rows.iter().filter(waits).filter_map(Row::key).collect())
    }

    /// Returns the change that queues a mail, to be committed together with its cause. The link is
    /// valid for `lifetime` and leads to `url`. Call [`Mails::wake`] after the commit.
    #[must_use]
    pub fn queue(
        kind: MailKind,
        user: Uuid,
        url: Option<&str>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Mutation {
        let row = Row::empty(&MAILS)
            .with(&mails::id, id::fresh())
            .with(&mails::user, user)
            .with(&mails::kind, kind)
            .with(&mails::url, url)
            .with(&mails::expires, now.plus(lifetime))
            .with(&mails::attempts, 0)
            .with(&mails::date_created, now)
            .with(&mails::date_next, now);
        Mutation::create(row)
    }

    /// Returns the change that takes the unsent mails of one kind to an account out of the queue,
    /// if there are any. They still count towards the limit, since they may be in delivery already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancel(&self, kind: MailKind, user: Uuid) -> Result<Option<Mutation>, Error> {
        let keys = self.waiting(kind, user).await?;
        let set = vec![mails::date_next.to(Value::Null)];
        Ok((!keys.is_empty()).then(|| Mutation::Update {
            collection: &MAILS,
            keys,
            set,
            precondition: Precondition::None,
        }))
    }

    /// Notifies the delivery of new mails.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    async fn of(&self, user: Uuid) -> Result<Vec<Row>, Error> {
        Ok(self.store.pointing(&MAILS, &mails::user, &[Key::Uuid(user)], None).await?)
    }
}
