//! Coming in by a mail: signing up, being invited, choosing a new password.
//!
//! What anybody may ask for (`register`, `reset`) tells neither by its answer nor by its time whether
//! there is an account: see `stall`. What the links are worth, `mails::link` knows; here is what
//! following one does. Each is good for one status of the account and for the password it had, and
//! following it changes one of the two within the same transaction, so it is good once.

mod invite;
mod register;
mod reset;
mod urls;

pub use invite::Invitation;
pub use register::Registration;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::LinksConfig;
use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::accounts::Accounts;
use crate::domain::auth::password::Passwords;
use crate::domain::auth::throttle::Throttle;
use crate::domain::auth::throttle::Way;
use crate::domain::changes::Changes;
use crate::domain::items::Items;
use crate::domain::mails::Kind;
use crate::domain::mails::Mails;
use crate::domain::mails::link::Opened;
use crate::domain::settings::Settings;
use crate::model::Field;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::schema::SESSIONS;
use crate::model::schema::USERS;
use crate::query::Filter;
use crate::query::Test;
use crate::store::Guard;
use crate::store::Op;
use crate::store::Store;
use crate::store::Write;

/// Makes accounts, and gives them passwords, for people who show that they read their mail.
pub struct Enrolment {
    /// Where links may lead, how long they are good, and how long asking takes.
    pub config: LinksConfig,
    /// The time.
    pub clock: Clock,
    /// The rows.
    pub store: Arc<Store>,
    /// The road to a commit.
    pub changes: Arc<Changes>,
    /// What an operator has set.
    pub settings: Arc<Settings>,
    /// New passwords.
    pub passwords: Arc<Passwords>,
    /// Slows down whoever tries too much.
    pub throttle: Arc<Throttle>,
    /// Creating accounts with the rights of whoever invites.
    pub items: Arc<Items>,
    /// Rows of accounts that nobody creates by a right.
    pub accounts: Arc<Accounts>,
    /// The queue of mails.
    pub mails: Arc<Mails>,
}

impl Enrolment {
    /// Begins to follow a link, and does with its account what is to be done. A link that is genuine
    /// is never held back for those that are not.
    async fn by_link(
        &self,
        kind: Kind,
        token: &str,
        from: Option<IpAddr>,
        then: impl AsyncFnOnce(Uuid, Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let opened = self.mails.links.open(kind, token, self.clock.now());
        let opened = opened.map_err(|error| self.throttle.blame(from, error))?;
        let name = opened.user.to_string();
        let attempt = self.throttle.begin(Way::Link, &name, from)?;
        let done = match self.account_of(kind, &opened).await {
            Ok((id, user)) => then(id, user).await,
            Err(error) => Err(error),
        };
        attempt.settle(&done, |error| matches!(error, Error::Forbidden(_)));
        done
    }

    /// Returns the account that a link is for, as it still is.
    async fn account_of(&self, kind: Kind, opened: &Opened) -> Result<(Uuid, Row), Error> {
        let user = self.store.find(&USERS, Key::Uuid(opened.user)).await?;
        let is_for = |user: &Row| {
            user.value("status").as_text() == Some(kind.status())
                && self.mails.links.fits(opened, user)
        };
        user.filter(is_for).map(|user| (opened.user, user)).ok_or_else(used)
    }

    /// Changes an account by its link, ends its sessions, and takes back the mails of this kind that
    /// wait. Refused if the account has changed since it was looked at.
    async fn follow(
        &self,
        kind: Kind,
        id: Uuid,
        user: &Row,
        set: Vec<(&'static Field, Value)>,
    ) -> Result<(), Error> {
        let unchanged = |name: &str| {
            let field = USERS.require(name);
            let test = match &user[field] {
                Value::Null => Test::Null,
                value => Test::Eq(value.clone()),
            };
            Filter::Field(field, test)
        };
        let guard = Filter::And(["email", "password", "status"].map(unchanged).into());
        let mut ops = vec![
            end_sessions(id),
            Op::Update {
                collection: &USERS,
                keys: vec![Key::Uuid(id)],
                set,
                guard: Guard::Every(guard),
            },
        ];
        let waiting = self.mails.waiting(kind, id).await?;
        if !waiting.is_empty() {
            ops.push(Mails::take_back(waiting));
        }
        self.commit(ops).await.map_err(|error| match error {
            Error::Forbidden(_) => used(),
            other => other,
        })
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), Error> {
        let write = Write { actor: None, at: self.clock.now(), ops };
        self.changes.commit(write).await.map(drop)
    }
}

/// Returns what a link is refused with that was genuine and is not good any more.
fn used() -> Error {
    Error::Forbidden(Forbidden::Action)
}

fn end_sessions(user: Uuid) -> Op {
    let filter = Filter::Field(SESSIONS.require("user"), Test::Eq(Value::Uuid(user)));
    Op::DeleteWhere { collection: &SESSIONS, filter }
}

/// Waits until a whole number of these steps has passed since `start`: what was done meanwhile does
/// not show in the time it took, even if it took longer than one.
async fn stall(start: Instant, step: Duration) {
    time::sleep_until(start + whole_steps(start.elapsed(), step)).await;
}

/// Returns the least whole number of steps that is longer than this; nothing where a step is nothing.
fn whole_steps(elapsed: Duration, step: Duration) -> Duration {
    let passed = elapsed.as_nanos().checked_div(step.as_nanos()).unwrap_or_default();
    step.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_done_takes_a_whole_number_of_steps() {
        let steps = |elapsed, step| {
            whole_steps(Duration::from_millis(elapsed), Duration::from_millis(step)).as_millis()
        };

        for (elapsed, all) in [(0, 750), (1, 750), (749, 750), (750, 1500), (1600, 2250)] {
            assert_eq!(steps(elapsed, 750), all, "{elapsed}");
        }
        assert_eq!(steps(10, 0), 0);
    }
}
