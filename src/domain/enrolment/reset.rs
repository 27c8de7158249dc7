//! Forgotten passwords: asking for a link, and choosing a new password by it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Error;
use crate::domain::auth::throttle::Way;
use crate::domain::enrolment::Enrolment;
use crate::domain::enrolment::stall;
use crate::domain::enrolment::urls;
use crate::domain::mails::Kind;
use crate::domain::mails::Mails;
use crate::model::Key;
use crate::model::Value;
use crate::model::id;
use crate::model::schema::USERS;
use crate::store::Op;

/// How long a link is good.
const LIFETIME: Duration = Duration::from_hours(24);

impl Enrolment {
    /// Mails whoever has this address a link to choose a new password, if they have an active account
    /// here. `url` is the page it leads to; `None` for the one that is built in.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] for a page that is not on the list; [`Error::Unprocessable`] if
    /// there is no mail here; [`Error::RequestsExceeded`] for asking too often from one address;
    /// [`Error::TooBusy`]. None of them depends on whether there is such an account.
    pub async fn request_reset(
        &self,
        email: &str,
        url: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let url = urls::allowed(url, &self.config.reset_urls, "reset passwords")?;
        self.mails.require_room(1).await?;
        let _counted = self.throttle.begin(Way::Reset, email, from)?;
        let done = self.mail_reset(email, url).await;
        stall(start, self.config.reset_stall).await;
        done
    }

    /// Gives the account of a link a new password, and ends its sessions. A second factor stays.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::TokenExpired`]; [`Error::Forbidden`] for a link that was
    /// followed already, or whose account is not active or has another password since;
    /// [`Error::FailedValidation`] for a password that is too easily guessed;
    /// [`Error::RequestsExceeded`] for trying too often.
    pub async fn reset(
        &self,
        token: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        self.by_link(Kind::Reset, token, from, async |id, user| {
            let hash = self.passwords.hash_new(password).await?;
            let set = vec![(USERS.require("password"), Value::text(&hash))];
            self.follow(Kind::Reset, id, &user, set).await?;
            tracing::info!(user.id = %id, "a password was reset");
            Ok(())
        })
        .await
    }

    async fn mail_reset(&self, email: &str, url: Option<&str>) -> Result<(), Error> {
        let found = self.store.find_user_by_email(email).await?;
        if found.is_none() {
            // Where there is an account its row was looked up as well; so is one here.
            self.store.find(&USERS, Key::Uuid(id::fresh())).await?;
        }
        let mut ops: Vec<Op> = Vec::new();
        if let Some(user) = &found
            && user.value("status").as_text() == Some(Kind::Reset.status())
            && user.value("provider").as_text() == Some("default")
            && let Some(id) = user.value("id").as_uuid()
            && self.mails.may_send(Kind::Reset, id).await?
        {
            ops.push(Mails::queue(Kind::Reset, id, url, self.clock.now(), LIFETIME));
        }
        // Without an account an empty write: it is refused whenever another would be.
        self.commit(ops).await?;
        self.mails.wake();
        Ok(())
    }
}
