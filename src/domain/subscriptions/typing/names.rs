//! The names of typing users, as a watcher may see them.
//!
//! A typing user has the name that the author of a message has in the topic `chat`, by the same
//! rules. A user is not listed for a watcher that could not see that message, which is still empty.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::plan::Plan;
use crate::domain::subscriptions::topics::line;
use crate::domain::subscriptions::typing::TypingUser;
use crate::model::Row;
use crate::model::schema::MESSAGES;
use crate::model::schema::messages;

/// The names of the typing users, resolved once for all watchers with the same access.
pub(super) struct Names<'a> {
    items: &'a Items,
    users: &'a [TypingUser],
    /// The names by plan, in the order of the users; `None` for users that are not visible.
    seen: Vec<(Arc<Plan>, Vec<Option<String>>)>,
}

#[derive(Serialize)]
struct Named<'a> {
    user: &'a str,
}

impl<'a> Names<'a> {
    pub(super) const fn new(items: &'a Items, users: &'a [TypingUser]) -> Self {
        Self { items, users, seen: Vec::new() }
    }

    /// Returns the list that a watcher with this plan may see, without the watcher itself. An equal
    /// plan that is already known replaces `plan`, so that the next lookup finds it by its pointer.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn seen_by(
        &mut self,
        plan: &mut Arc<Plan>,
        is_self: impl Fn(&TypingUser) -> bool,
    ) -> Result<String, Error> {
        let mut known = self.seen.iter().position(|(known, _)| Arc::ptr_eq(known, plan));
        if known.is_none() {
            known = self.seen.iter().position(|(known, _)| known == plan);
        }
        let index = if let Some(index) = known {
            index
        } else {
            let names = self.names(plan).await?;
            self.seen.push((Arc::clone(plan), names));
            self.seen.len() - 1
        };
        let (equal, names) = &self.seen[index];
        *plan = Arc::clone(equal);
        let others = self.users.iter().zip(names).filter(|(user, _)| !is_self(user));
        let shown: Vec<Named<'_>> =
            others.filter_map(|(_, user)| user.as_deref()).map(|user| Named { user }).collect();
        Ok(serde_json::to_string(&shown).expect("texts can be serialized"))
    }

    async fn names(&self, plan: &Plan) -> Result<Vec<Option<String>>, Error> {
        let Plan { select, projection } = plan;
        let rows = self.users.iter().map(|user| self.message(user.user, user.guest));
        let records = self.items.records(projection, rows, select.filter.relations()).await?;
        let shown = records.iter().map(|record| {
            let fits = projection.shows_key(record) && select.filter.matches(record);
            fits.then(|| line::author(projection, record)).flatten()
        });
        Ok(shown.collect())
    }

    /// Returns the message as if it were sent now: newer than all others and without content.
    fn message(&self, user: Option<Uuid>, guest: Option<Uuid>) -> Row {
        let author = user.or(self.items.public_user);
        Row::empty(&MESSAGES)
            .with(&messages::id, i64::MAX)
            .with(&messages::user_created, author)
            .with(&messages::date_created, self.items.clock.now())
            .with(&messages::content, "")
            .with(&messages::guest, guest)
    }
}
