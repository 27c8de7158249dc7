//! The mail queue. An entry contains the kind of the mail, its account and its expiry.
//!
//! A mail is queued in the same transaction as the change that causes it, so neither exists without
//! the other. The queue contains no address, no token and no text: `delivery` reads the account and
//! issues the token when it sends. The texts are in `letter`, the tokens in `link`.

mod delivery;
mod letter;
pub mod link;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::domain::Error;
use crate::domain::committer::Committer;
use crate::domain::mails::link::Links;
use crate::domain::settings::Settings;
use crate::mail::Mailer;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::id;
use crate::model::schema::MAILS;
use crate::store::Mutation;
use crate::store::Precondition;
use crate::store::Store;

/// The maximum number of queued mails. Requests that would add more are refused.
const WAITING_MAX: u64 = 10_000;
/// The maximum number of mails of one kind to an account within [`COUNTED`], so that a client
/// cannot flood the inbox of another user.
const PER_ACCOUNT_MAX: usize = 5;
/// The time for which sent mails count towards the limit per account.
const COUNTED: Duration = Duration::from_hours(1);
/// The retry delay when the queue is full.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// The purpose of a mail and of its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sign-up: the new user proves access to the address.
    Registration,
    /// Invitation: the user of a new account chooses its password.
    Invitation,
    /// Reset of a forgotten password.
    Reset,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Registration, Self::Invitation, Self::Reset];

    /// Returns the name in the queue.
    const fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Invitation => "invitation",
            Self::Reset => "reset",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

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
    pub const fn status(self) -> &'static str {
        match self {
            Self::Registration => "unverified",
            Self::Invitation => "invited",
            Self::Reset => "active",
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
    mailer: Option<Mailer>,
    store: Arc<Store>,
    changes: Arc<Committer>,
    settings: Arc<Settings>,
    clock: Clock,
    /// Issues and verifies the tokens of links.
    pub links: Links,
    /// The public URL of this service, without a trailing slash.
    base: String,
    /// The name of the project if the settings have none.
    project_name: String,
    wake: Notify,
}

impl Mails {
    /// Creates the queue from its dependencies. `base` is the URL that links begin with. Without a
    /// mailer, no mail can be queued.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "the content of emails and their transport")]
    pub fn new(
        mailer: Option<Mailer>,
        links: Links,
        store: Arc<Store>,
        changes: Arc<Committer>,
        settings: Arc<Settings>,
        clock: Clock,
        base: String,
        project_name: String,
    ) -> Self {
        let wake = Notify::new();
        Self { mailer, store, changes, settings, clock, links, base, project_name, wake }
    }

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
    pub async fn may_send(&self, kind: Kind, user: Uuid) -> Result<bool, Error> {
        let rows = self.of(user).await?;
        let since = self.clock.now().minus(COUNTED);
        let is_of_kind = |row: &&Row| row.value("kind").as_text() == Some(kind.name());
        let is_recent =
            |row: &&Row| row.value("date_created").as_timestamp().is_some_and(|at| at > since);
        let recent = rows.iter().filter(is_of_kind).filter(is_recent);
        Ok(recent.count() < PER_ACCOUNT_MAX)
    }

    /// Returns the keys of the unsent mails of one kind to an account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn waiting(&self, kind: Kind, user: Uuid) -> Result<Vec<Key>, Error> {
        let rows = self.of(user).await?;
        let waits = |row: &&Row| {
            row.value("kind").as_text() == Some(kind.name()) && !row.value("date_next").is_null()
        };
        Ok(rows.iter().filter(waits).filter_map(Row::key).collect())
    }

    /// Returns the change that queues a mail, to be committed together with its cause. The link is
    /// valid for `lifetime` and leads to `url`. Call [`Mails::wake`] after the commit.
    #[must_use]
    pub fn queue(
        kind: Kind,
        user: Uuid,
        url: Option<&str>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Mutation {
        let row = Row::empty(&MAILS)
            .with("id", Value::Uuid(id::fresh()))
            .with("user", Value::Uuid(user))
            .with("kind", Value::text(kind.name()))
            .with("url", url.map_or(Value::Null, Value::text))
            .with("expires", Value::Timestamp(now.plus(lifetime)))
            .with("attempts", Value::Integer(0))
            .with("date_created", Value::Timestamp(now))
            .with("date_next", Value::Timestamp(now));
        Mutation::Create { collection: &MAILS, rows: vec![row] }
    }

    /// Returns the change that takes mails out of the queue. They still count towards the limit,
    /// since they may be in delivery already.
    #[must_use]
    pub fn take_back(keys: Vec<Key>) -> Mutation {
        let set = vec![(MAILS.require("date_next"), Value::Null)];
        Mutation::Update { collection: &MAILS, keys, set, precondition: Precondition::None }
    }

    /// Notifies the delivery of new mails.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    async fn of(&self, user: Uuid) -> Result<Vec<Row>, Error> {
        Ok(self.store.pointing(&MAILS, MAILS.require("user"), &[Key::Uuid(user)], None).await?)
    }
}
