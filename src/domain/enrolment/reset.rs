//! Password reset: requesting a link, and setting a new password with it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Error;
use crate::domain::auth::throttle::ThrottledAction;
use crate::domain::enrolment::Enrolment;
use crate::domain::enrolment::stall;
use crate::domain::enrolment::urls;
use crate::domain::mails::Mails;
use crate::model::account::DEFAULT_PROVIDER;
use crate::model::id;
use crate::model::schema::USERS;
use crate::model::schema::users;
use crate::model::{Key, MailKind};
use crate::store::Mutation;

/// Validity of a link.
const LIFETIME: Duration = Duration::from_hours(24);

impl Enrolment {
    /// Mails a password reset link to this address if it has an active account. `url` is the page
    /// that the link leads to; `None` for the built-in page.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] for a page that is not on the list; [`Error::Unprocessable`] if
    /// mail is not configured; [`Error::RequestsExceeded`] after too many requests from one
    /// address; [`Error::TooBusy`]. None of them depends on whether the account exists.
    pub async fn request_reset(
        &self,
        email: &str,
        url: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let url = urls::allowed(url, &self.config.reset_urls, "reset passwords")?;
        self.mails.require_room(1).await?;
        let _counted = self.throttle.begin(ThrottledAction::Reset, email, from)?;
        let done = self.mail_reset(email, url).await;
        stall(start, self.config.reset_stall).await;
        done
    }

    /// Sets a new password by link and ends the account's sessions. The second factor is kept.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::TokenExpired`]; [`Error::Forbidden`] for a link that was
    /// used already, or if the account is inactive or its password has changed since;
    /// [`Error::FailedValidation`] for a password that is too easily guessed;
    /// [`Error::RequestsExceeded`] after too many attempts.
    pub async fn reset(
        &self,
        token: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        self.by_link(MailKind::Reset, token, from, async |id, user| {
            let hash = self.passwords.hash_new(password).await?;
            let set = vec![users::password.to(hash)];
            self.follow(MailKind::Reset, id, &user, set).await?;
            tracing::info!(user.id = %id, "a password was reset");
            Ok(())
        })
        .await
    }

    async fn mail_reset(&self, email: &str, url: Option<&str>) -> Result<(), Error> {
        let found = self.store.find_user_by_email(email).await?;
        if found.is_none() {
            // An existing account takes a second lookup for its row; this one equalizes timing.
            self.store.find(&USERS, Key::Uuid(id::fresh())).await?;
        }
        let mut ops: Vec<Mutation> = Vec::new();
        if let Some(user) = &found
            && user.get(&users::status) == Some(MailKind::Reset.status())
            && user.get(&users::provider) == Some(DEFAULT_PROVIDER)
            && let Some(id) = user.get(&users::id)
            && self.mails.may_send(MailKind::Reset, id).await?
        {
            ops.push(Mails::queue(MailKind::Reset, id, url, self.clock.now(), LIFETIME));
        }
        // An empty write without an account: it is refused whenever another write would be.
        self.committer.commit_ops(None, ops).await?;
        self.mails.wake();
        Ok(())
    }
}
