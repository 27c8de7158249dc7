//! The queue of mails: what is to be sent, to whose account, until when.
//!
//! A mail is queued by a change in the write that causes it, so there is neither a mail without its
//! cause nor a cause without its mail. The queue holds no address, no token and no text: `delivery`
//! looks the account up and makes the link when it sends. What a mail says, `letter` knows; what its
//! link is worth, `link`.

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
use crate::domain::changes::Changes;
use crate::domain::mails::link::Links;
use crate::domain::settings::Settings;
use crate::mail::Mailer;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::id;
use crate::model::schema::MAILS;
use crate::store::Guard;
use crate::store::Op;
use crate::store::Store;

/// How many mails may wait; what would make one more is refused.
const WAITING_MAX: u64 = 10_000;
/// How many mails of one kind an account is sent within [`COUNTED`]: nobody can have this service fill
/// somebody else's inbox.
const PER_ACCOUNT_MAX: usize = 5;
/// How long mails that were sent are remembered, to be counted.
const COUNTED: Duration = Duration::from_hours(1);
/// After how long it is worth another try when too many mails wait.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// What a mail is about, and its link for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody signed up with the address, and has to show that they read it.
    Registration,
    /// Somebody was given an account, and has to choose its password.
    Invitation,
    /// Somebody has forgotten the password.
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

    /// Returns the name in tokens, which is that of Directus.
    const fn scope(self) -> &'static str {
        match self {
            Self::Registration => "pending-registration",
            Self::Invitation => "invite",
            Self::Reset => "password-reset",
        }
    }

    /// Returns the one status of an account for which such a link is good.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Registration => "unverified",
            Self::Invitation => "invited",
            Self::Reset => "active",
        }
    }

    /// Returns the path that the link leads to where nobody asks for another.
    const fn path(self) -> &'static str {
        match self {
            Self::Registration => "/users/register/verify-email",
            Self::Invitation => "/admin/accept-invite",
            Self::Reset => "/admin/reset-password",
        }
    }
}

/// Queues mails, and sends what is queued.
pub struct Mails {
    mailer: Option<Mailer>,
    store: Arc<Store>,
    changes: Arc<Changes>,
    settings: Arc<Settings>,
    clock: Clock,
    /// The tokens of links.
    pub links: Links,
    /// Where this service is reached, without a slash at its end.
    base: String,
    /// Its name where the settings have none.
    project_name: String,
    wake: Notify,
}

impl Mails {
    /// Returns the queue over its parts. `base` is the address that links begin with. Without a
    /// mailer nothing can be queued.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "what a mail is made of, and by which road it goes"
    )]
    pub fn new(
        mailer: Option<Mailer>,
        links: Links,
        store: Arc<Store>,
        changes: Arc<Changes>,
        settings: Arc<Settings>,
        clock: Clock,
        base: String,
        project_name: String,
    ) -> Self {
        let wake = Notify::new();
        Self { mailer, store, changes, settings, clock, links, base, project_name, wake }
    }

    /// Makes sure that so many more mails can be queued.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] if there is no mail here; [`Error::TooBusy`] if too many wait.
    pub async fn require_room(&self, mails: usize) -> Result<(), Error> {
        if self.mailer.is_none() {
            return Err(Error::Unprocessable(
                "this service sends no mail: whoever runs it has to set EMAIL_TRANSPORT".to_owned(),
            ));
        }
        let (waiting, _) = self.store.waiting_mails().await?;
        if waiting.saturating_add(mails as u64) > WAITING_MAX {
            tracing::warn!(waiting, "too many mails wait to be sent");
            return Err(Error::TooBusy { retry_after: RETRY_AFTER });
        }
        Ok(())
    }

    /// Returns whether an account may be sent one more mail of this kind: not too many were within the
    /// last hour.
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

    /// Returns the keys of the mails of one kind to an account that have not been sent yet.
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

    /// Returns the change that queues a mail whose link is good for so long, and leads to `url`, to
    /// be committed with what it is about. Then call [`Mails::wake`].
    #[must_use]
    pub fn queue(
        kind: Kind,
        user: Uuid,
        url: Option<&str>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Op {
        let row = Row::empty(&MAILS)
            .with("id", Value::Uuid(id::fresh()))
            .with("user", Value::Uuid(user))
            .with("kind", Value::text(kind.name()))
            .with("url", url.map_or(Value::Null, Value::text))
            .with("expires", Value::Timestamp(now.plus(lifetime)))
            .with("attempts", Value::Integer(0))
            .with("date_created", Value::Timestamp(now))
            .with("date_next", Value::Timestamp(now));
        Op::Create { collection: &MAILS, rows: vec![row] }
    }

    /// Returns the change that takes mails out of the queue. They count as if they had been sent, since
    /// they may be under way.
    #[must_use]
    pub fn take_back(keys: Vec<Key>) -> Op {
        let set = vec![(MAILS.require("date_next"), Value::Null)];
        Op::Update { collection: &MAILS, keys, set, guard: Guard::Present }
    }

    /// Lets the delivery know that there is something to send.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    async fn of(&self, user: Uuid) -> Result<Vec<Row>, Error> {
        Ok(self.store.pointing(&MAILS, MAILS.require("user"), &[Key::Uuid(user)], None).await?)
    }
}
