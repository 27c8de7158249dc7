//! Enrolment by mail: registration, invitation and password reset.
//!
//! Public requests (`register`, `reset`) reveal neither by their response nor by its timing whether
//! an account exists: see `stall`. `mails::action_token` verifies links, and this module applies
//! them. A link is valid for one status of the account and for the password that it had. Applying it
//! changes one of the two in the same transaction, so a link is valid once.

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
use crate::domain::accounts::Accounts;
use crate::domain::auth::password::Passwords;
use crate::domain::auth::sessions;
use crate::domain::auth::throttle::{Throttle, ThrottledAction};
use crate::domain::committer::Committer;
use crate::domain::items::Items;
use crate::domain::mails::Mails;
use crate::domain::mails::action_token::ActionToken;
use crate::domain::settings::Settings;
use crate::domain::{Error, Forbidden};
use crate::model::schema::USERS;
use crate::model::schema::users;
use crate::model::{Field, Key, MailKind, Row, Value};
use crate::query::Filter;
use crate::store::{Mutation, Precondition, Store};

/// Creates accounts and sets passwords after proof of access to an email address.
pub struct Enrolment {
    /// Allowed pages for links, lifetimes of links, and minimum response times.
    pub config: LinksConfig,
    /// The clock.
    pub clock: Clock,
    /// The store.
    pub store: Arc<Store>,
    /// Commits changes.
    pub committer: Arc<Committer>,
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// Hashes new passwords.
    pub passwords: Arc<Passwords>,
    /// Limits attempts.
    pub throttle: Arc<Throttle>,
    /// Creates accounts with the permissions of the inviting actor.
    pub items: Arc<Items>,
    /// Builds rows of accounts without permission checks.
    pub accounts: Arc<Accounts>,
    /// The mail queue.
    pub mails: Arc<Mails>,
}

impl Enrolment {
    /// Opens a link and calls `then` with its account. Invalid links never block a genuine one.
    async fn by_link(
        &self,
        kind: MailKind,
        token: &str,
        from: Option<IpAddr>,
        then: impl AsyncFnOnce(Uuid, Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let opened = self.mails.tokens.verify(kind, token, self.clock.now());
        let opened = opened.map_err(|error| self.throttle.count_invalid_token(from, error))?;
        let name = opened.user.to_string();
        let attempt = self.throttle.begin(ThrottledAction::Link, &name, from)?;
        let done = match self.account_of(kind, &opened).await {
            Ok((id, user)) => then(id, user).await,
            Err(error) => Err(error),
        };
        attempt.settle(&done, |error| matches!(error, Error::Forbidden(_)));
        done
    }

    /// Returns the account of a link, unless it has changed since the link was issued.
    async fn account_of(&self, kind: MailKind, opened: &ActionToken) -> Result<(Uuid, Row), Error> {
        let user = self.store.find(&USERS, Key::Uuid(opened.user)).await?;
        let is_for = |user: &Row| {
            user.get(&users::status) == Some(kind.status())
                && self.mails.tokens.is_current(opened, user)
        };
        user.filter(is_for).map(|user| (opened.user, user)).ok_or_else(used)
    }

    /// Changes an account by its link, ends its sessions, and cancels the waiting mails of this
    /// kind. Refused if the account has changed since it was read.
    async fn follow(
        &self,
        kind: MailKind,
        id: Uuid,
        user: &Row,
        set: Vec<(&'static Field, Value)>,
    ) -> Result<(), Error> {
        let unchanged = Filter::unchanged(user, [&users::email, &users::password, &users::status]);
        let update = Mutation::update(&USERS, id, set, Precondition::All(unchanged));
        let mut ops = vec![sessions::end_all(id), update];
        ops.extend(self.mails.cancel(kind, id).await?);
        self.committer.commit_ops(None, ops).await.map_err(|error| match error {
            Error::Forbidden(_) => used(),
            other => other,
        })
    }
}

/// Returns the error for a genuine link that is no longer valid.
fn used() -> Error {
    Error::Forbidden(Forbidden::Action)
}

/// Waits until a whole number of steps has passed since `start`. This hides the duration of the
/// work, even if it exceeds one step.
async fn stall(start: Instant, step: Duration) {
    time::sleep_until(start + whole_steps(start.elapsed(), step)).await;
}

/// Returns the smallest multiple of `step` above `elapsed`; zero if `step` is zero.
fn whole_steps(elapsed: Duration, step: Duration) -> Duration {
    let passed = elapsed.as_nanos().checked_div(step.as_nanos()).unwrap_or_default();
    step.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_time_is_padded_to_whole_steps() {
        let steps = |elapsed, step| {
            whole_steps(Duration::from_millis(elapsed), Duration::from_millis(step)).as_millis()
        };

        for (elapsed, all) in [(0, 750), (1, 750), (749, 750), (750, 1500), (1600, 2250)] {
            assert_eq!(steps(elapsed, 750), all, "{elapsed}");
        }
        assert_eq!(steps(10, 0), 0);
    }
}
