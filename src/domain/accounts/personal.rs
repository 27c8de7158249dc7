//! Export and erasure of all data about one person.
//!
//! This covers the account itself, the rows that belong to it, and the rows that it created.

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::Error;
use crate::domain::accounts::Accounts;
use crate::model::history::ACTIVITY;
use crate::model::history::activity;
use crate::model::schema::authored;
use crate::model::schema::mails;
use crate::model::schema::sessions;
use crate::model::schema::{MAILS, SESSIONS, USERS};
use crate::model::{Key, Kind, Row};
use crate::store::Mutation;

/// The result of an erasure.
#[derive(Debug)]
pub struct Erased {
    /// Number of items that the person had created, by collection.
    pub items: Vec<(&'static str, u64)>,
}

impl Accounts {
    /// Exports all data about the person with this address: account, sessions, mails (time and
    /// kind), created items, activity, and earlier versions of all these rows in the log. Secrets
    /// are masked.
    ///
    /// # Errors
    /// [`Error::FailedValidation`] for an unknown address.
    pub async fn export(&self, email: &str) -> Result<Json, Error> {
        let key = self.require(email).await?;
        let user = self.store.find_many(&USERS, &[key]).await?;
        let user = user.first().ok_or_else(|| super::violation("email", "in"))?;
        let sessions = self.store.pointing(&SESSIONS, &sessions::user, &[key], None).await?;
        let mails = self.store.pointing(&MAILS, &mails::user, &[key], None).await?;
        let mut created = Map::new();
        for (collection, author) in authored() {
            let rows = self.store.pointing(collection, author, &[key], None).await?;
            created.insert(collection.name.to_owned(), rows.iter().map(shown).collect());
        }
        self.store.catch_up(None).await?;
        let activity = self.store.pointing(&ACTIVITY, &activity::user, &[key], None).await?;
        let earlier = match key {
            Key::Uuid(id) => self.store.earlier_rows(id).await?,
            Key::Integer(_) => Vec::new(),
        };
        let earlier = earlier.into_iter().map(|line| {
            json!({
                "seq": line.seq,
                "collection": line.collection,
                "action": line.action,
                "date": line.at.to_string(),
                line.side: line.row,
            })
        });
        Ok(json!({
            "exported": self.clock.now().to_string(),
            "account": shown(user),
            "sessions": sessions.iter().map(shown).collect::<Json>(),
            "mails": mails.iter().map(shown).collect::<Json>(),
            "created": created,
            "activity": activity.iter().map(shown).collect::<Json>(),
            "earlier": earlier.collect::<Json>(),
        }))
    }

    /// Erases the person with this address: the account, its sessions, the items it created (with
    /// `keep_items`, only their author), the log entries of all these rows, and their texts in the
    /// search index.
    ///
    /// # Errors
    /// [`Error::FailedValidation`] for an unknown address; [`Error::Unprocessable`] for the last
    /// administrator.
    pub async fn erase(&self, email: &str, keep_items: bool) -> Result<Erased, Error> {
        let key = self.require(email).await?;
        let Key::Uuid(user) = key else { return Ok(Erased { items: Vec::new() }) };
        let mut items = Vec::new();
        for (collection, author) in authored().filter(|_| !keep_items) {
            items
                .push((collection.name, self.store.count_pointing(collection, author, key).await?));
        }
        self.commit(vec![Mutation::Erase { user, items: !keep_items }]).await?;
        self.store.purge_texts().await?;
        Ok(Erased { items })
    }
}

/// Renders a row as JSON, with secrets masked.
fn shown(row: &Row) -> Json {
    let columns = row.collection().columns();
    columns
        .map(|field| {
            let value = match field.kind {
                Kind::Secret if !row[field].is_null() => json!("**********"),
                _ => row[field].to_json(),
            };
            (field.name.to_owned(), value)
        })
        .collect::<Map<_, _>>()
        .into()
}
