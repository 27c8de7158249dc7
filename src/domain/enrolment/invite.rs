//! Invitations: accounts that wait for their owners to choose a password.

use std::net::IpAddr;

use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::enrolment::Enrolment;
use crate::domain::enrolment::urls;
use crate::domain::items::{Update, Which};
use crate::domain::mails::Mails;
use crate::model::schema::USERS;
use crate::model::schema::users;
use crate::model::{AccountStatus, Action, Actor, Key, MailKind};
use crate::store::{Mutation, Write};
use crate::text::fold;

/// Maximum number of addresses in one request.
const ADDRESSES_MAX: usize = 100;

/// A request to invite users.
pub struct Invitation<'a> {
    /// The email addresses.
    pub emails: Vec<&'a str>,
    /// The role of the new accounts.
    pub role: Uuid,
    /// The page that the link leads to; `None` for the built-in page.
    pub url: Option<&'a str>,
}

impl Enrolment {
    /// Creates accounts for new addresses with the permissions of the actor, and mails each of them
    /// a link to choose a password. An account that was invited before gets another mail; an
    /// account in use is skipped.
    ///
    /// # Errors
    /// [`Error::Forbidden`] unless the actor may create such accounts; [`Error::InvalidPayload`]
    /// for a page that is not on the list; as `Items::create`; [`Error::Unprocessable`] if mail is
    /// not configured; [`Error::TooBusy`].
    pub async fn invite(&self, actor: &Actor, invitation: &Invitation<'_>) -> Result<(), Error> {
        self.items.permissions.scope(actor, &USERS, Action::Create)?;
        let url = urls::allowed(invitation.url, &self.config.invite_urls, "invite users")?;
        if invitation.emails.len() > ADDRESSES_MAX {
            return Err(Error::LimitExceeded(format!(
                "one request may invite at most {ADDRESSES_MAX} addresses"
            )));
        }
        self.mails.require_room(invitation.emails.len()).await?;
        let mut new: Vec<Json> = Vec::new();
        let mut mailed = Vec::new();
        for email in &invitation.emails {
            match self.store.find_user_by_email(email).await? {
                None => new.push(json!({
                    "email": email,
                    "role": invitation.role,
                    "status": MailKind::Invitation.status().name(),
                })),
                Some(user) => {
                    let waits = user.get(&users::status) == Some(MailKind::Invitation.status());
                    let Some(id) = user.get(&users::id).filter(|_| waits) else { continue };
                    if user.get(&users::role) != Some(invitation.role) {
                        let role = json!({"role": invitation.role});
                        let which = Which::One(Json::from(id.to_string()));
                        let update = Update::Same(which, role);
                        self.items.update(actor, &USERS, update, &Json::Null).await?;
                    }
                    if self.mails.may_send(MailKind::Invitation, id).await? {
                        mailed.push(id);
                    }
                }
            }
        }
        // A repeated address would be refused as taken.
        let mut seen = std::collections::HashSet::new();
        new.retain(|one| seen.insert(fold(one["email"].as_str().unwrap_or_default()).into_owned()));
        let mut ops = self.items.creation(actor, &USERS, &Json::Array(new)).await?.ops;
        mailed.extend(created(&ops));
        let (now, lifetime) = (self.clock.now(), self.config.invite_ttl);
        let mails =
            mailed.into_iter().map(|id| Mails::queue(MailKind::Invitation, id, url, now, lifetime));
        ops.extend(mails);
        self.committer.commit(Write { actor: actor.user, at: now, ops }).await?;
        self.mails.wake();
        Ok(())
    }

    /// Sets the password of an invited account and activates it.
    ///
    /// # Errors
    /// As [`Enrolment::reset`].
    pub async fn accept(
        &self,
        token: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        self.by_link(MailKind::Invitation, token, from, async |id, user| {
            let hash = self.passwords.hash_new(password).await?;
            let set = vec![users::password.to(hash), users::status.to(AccountStatus::Active)];
            self.follow(MailKind::Invitation, id, &user, set).await
        })
        .await
    }
}

/// Returns the accounts that the operations create.
fn created(ops: &[Mutation]) -> Vec<Uuid> {
    let rows = ops.iter().flat_map(|op| match op {
        Mutation::Create { collection, rows } if **collection == USERS => rows.as_slice(),
        _ => &[],
    });
    let keys = rows.filter_map(|row| match row.key() {
        Some(Key::Uuid(id)) => Some(id),
        _ => None,
    });
    keys.collect()
}
