//! Delivery of the mail queue: a few mails at a time, with retries up to a maximum age.
//!
//! Delivery is at least once: if the process ends between sending a mail and recording it, the mail
//! is sent again with the same `Message-ID`. Failures are logged with the keys of the mail and the
//! account, but without the address.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::Error;
use crate::domain::mails::action_token;
use crate::domain::mails::template;
use crate::domain::mails::template::Parts;
use crate::domain::mails::{COUNTED, Mails};
use crate::mail::{Email, MailError, Mailer};
use crate::model::schema::mails;
use crate::model::schema::settings;
use crate::model::schema::users;
use crate::model::schema::{MAILS, USERS};
use crate::model::{Field, Key, MailKind, Row, Value};
use crate::query::{Filter, Test};
use crate::store::{Mutation, Precondition};

/// The maximum number of mails sent concurrently.
const AT_ONCE: u64 = 8;
/// The maximum pause before the queue is polled again.
const REST_MAX: Duration = Duration::from_secs(5);
/// The delay before the second attempt. It doubles with each attempt, up to `BACKOFF_MAX`.
const BACKOFF: Duration = Duration::from_secs(2);
const BACKOFF_MAX: Duration = Duration::from_hours(1);
/// The maximum number of attempts for a mail that the mail server rejects permanently. It is
/// retried too, since the server's settings may be corrected meanwhile.
const REFUSALS_MAX: i64 = 6;
/// The maximum age of a mail that is still attempted.
const AGE_MAX: Duration = Duration::from_hours(24);
/// The grace period for mails being sent when the service stops. Unfinished mails are sent again.
const LAST_WORD: Duration = Duration::from_secs(3);

/// A row of the mail queue.
struct Queued {
    id: Uuid,
    user: Uuid,
    kind: MailKind,
    url: Option<String>,
    expires: Timestamp,
    created: Timestamp,
    attempts: i64,
}

/// The result of an attempt.
enum Outcome {
    Sent,
    Later,
    /// The mail is deleted without being sent.
    Dropped,
}

impl Mails {
    /// Sends the mails that are due, and waits until others are due or queued, or the service
    /// stops. Without a mailer, earlier mails stay queued.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn deliver(&self, stopping: &CancellationToken) -> Result<(), Error> {
        let next = match &self.mailer {
            Some(mailer) => self.deliver_due(mailer, stopping).await?,
            None => None,
        };
        let rest = next.map_or(REST_MAX, |next| self.clock.now().until(next).min(REST_MAX));
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.wake.notified() => {}
            () = time::sleep(rest) => {}
        }
        Ok(())
    }

    /// Sends the mails that are due, and returns the time at which the next one is due.
    async fn deliver_due(
        &self,
        mailer: &Mailer,
        stopping: &CancellationToken,
    ) -> Result<Option<Timestamp>, Error> {
        while !stopping.is_cancelled() {
            let due = self.store.due_mails(self.clock.now(), AT_ONCE).await?;
            if due.is_empty() {
                break;
            }
            let sending = join_all(due.iter().map(|row| self.deliver_one(mailer, row)));
            let last_word = async {
                stopping.cancelled().await;
                time::sleep(LAST_WORD).await;
            };
            tokio::select! {
                outcomes = sending => outcomes.into_iter().collect::<Result<(), Error>>()?,
                () = last_word => break,
            }
        }
        Ok(self.store.waiting_mails().await?.1)
    }

    async fn deliver_one(&self, mailer: &Mailer, row: &Row) -> Result<(), Error> {
        let Some(mail) = read(row) else {
            tracing::error!("dropped an invalid email from the queue");
            return self.drop_mails(row.key().into_iter().collect()).await;
        };
        let now = self.clock.now();
        let outcome = if now >= mail.expires || mail.created.until(now) >= AGE_MAX {
            tracing::error!(
                mail.id = %mail.id,
                user.id = %mail.user,
                "dropped an email that could not be sent in time"
            );
            Outcome::Dropped
        } else {
            match self.email(&mail).await? {
                // The account is deleted, or the mail no longer applies to its state.
                None => Outcome::Dropped,
                Some(email) => report(&mail, mailer.send(&email).await),
            }
        };
        let attempts = mail.attempts.saturating_add(1);
        match outcome {
            Outcome::Dropped => self.drop_mails(vec![Key::Uuid(mail.id)]).await,
            Outcome::Sent => {
                self.note(mail.id, vec![mails::date_next.to(Value::Null)], Precondition::None).await
            }
            Outcome::Later => {
                // The time of the failure: the attempt itself may have taken a while.
                let next = self.clock.now().plus(backoff(mail.attempts));
                let set = vec![mails::date_next.to(next), mails::attempts.to(attempts)];
                // A mail that was cancelled meanwhile is not retried.
                let waits = Filter::Field(&mails::date_next, Test::Nnull);
                match self.note(mail.id, set, Precondition::All(waits)).await {
                    Err(Error::Forbidden(_)) => Ok(()),
                    noted => noted,
                }
            }
        }
    }

    /// Builds the message; `None` if the mail no longer applies to its account.
    async fn email(&self, mail: &Queued) -> Result<Option<Email>, Error> {
        let Some(user) = self.store.find(&USERS, Key::Uuid(mail.user)).await? else {
            return Ok(None);
        };
        let Some(to) = user.get(&users::email) else { return Ok(None) };
        if user.get(&users::status) != Some(mail.kind.status()) {
            return Ok(None);
        }
        let token = self.tokens.issue(mail.kind, mail.user, &user, mail.created, mail.expires);
        let Some(link) = self.link(mail, &token) else { return Ok(None) };
        let settings = self.settings.in_force().await?;
        let project = settings.text(&settings::project_name).unwrap_or(&self.project_name);
        let color = settings.text(&settings::project_color);
        let parts = Parts { project, color, link: &link, expires: mail.expires };
        let words = template::render(mail.kind, &parts);
        Ok(Some(Email {
            id: mail.id,
            at: mail.created,
            sender: template::one_line(project),
            to: to.to_owned(),
            subject: words.subject,
            text: words.text,
            html: words.html,
        }))
    }

    /// Returns the URL of the link.
    fn link(&self, mail: &Queued, token: &str) -> Option<String> {
        let page = mail.url.clone().unwrap_or_else(|| format!("{}{}", self.base, mail.kind.path()));
        action_token::address(&page, token)
    }

    /// Deletes the rows of sent mails that no longer count towards the limit per account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_sent(&self) -> Result<(), Error> {
        let before = Value::Timestamp(self.clock.now().minus(COUNTED));
        let filter = Filter::And(vec![
            Filter::Field(&mails::date_next, Test::Null),
            Filter::Field(&mails::date_created, Test::Lte(before)),
        ]);
        self.committer
            .commit_ops(None, vec![Mutation::DeleteWhere { collection: &MAILS, filter }])
            .await
    }

    async fn drop_mails(&self, keys: Vec<Key>) -> Result<(), Error> {
        self.committer
            .commit_ops(None, vec![Mutation::delete(&MAILS, keys, Precondition::None)])
            .await
    }

    async fn note(
        &self,
        id: Uuid,
        set: Vec<(&'static Field, Value)>,
        precondition: Precondition,
    ) -> Result<(), Error> {
        self.committer.commit_ops(None, vec![Mutation::update(&MAILS, id, set, precondition)]).await
    }
}

/// Logs the result of an attempt and returns the outcome.
fn report(mail: &Queued, sent: Result<(), MailError>) -> Outcome {
    let Queued { id, user, kind, attempts, .. } = mail;
    let attempts = attempts.saturating_add(1);
    match sent {
        Ok(()) => {
            tracing::info!(
                mail.id = %id,
                mail.kind = kind.name(),
                user.id = %user,
                "sent an email"
            );
            Outcome::Sent
        }
        Err(error @ MailError::Address) => {
            tracing::error!(mail.id = %id, user.id = %user, error = %error, "gave up on an email");
            Outcome::Dropped
        }
        Err(error @ MailError::Refused(_)) if attempts >= REFUSALS_MAX => {
            tracing::error!(mail.id = %id, user.id = %user, error = %error, "gave up on an email");
            Outcome::Dropped
        }
        Err(error) => {
            tracing::warn!(
                mail.id = %id,
                user.id = %user,
                attempts,
                error = %error,
                "an email could not be sent and will be retried"
            );
            Outcome::Later
        }
    }
}

fn read(row: &Row) -> Option<Queued> {
    Some(Queued {
        id: row.get(&mails::id)?,
        user: row.get(&mails::user)?,
        kind: row.get(&mails::kind)?,
        url: row.get(&mails::url).map(str::to_owned),
        expires: row.get(&mails::expires)?,
        created: row.get(&mails::date_created)?,
        attempts: row.get(&mails::attempts)?,
    })
}

/// Returns the delay before the next attempt, after `attempts` failures before the current one.
fn backoff(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    BACKOFF.saturating_mul(1 << doublings).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_an_hour() {
        let waits: Vec<u64> =
            [0, 1, 2, 10, 11, 100, i64::MAX].map(|attempts| backoff(attempts).as_secs()).into();

        assert_eq!(waits, [2, 4, 8, 2048, 3600, 3600, 3600]);
    }
}
