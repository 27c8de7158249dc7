//! One message as a line of the list: its text and the name of its author.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::items::project::Projection;
use crate::model::schema::messages;
use crate::model::schema::users;
use crate::model::{Key, Record};

/// The name of authors that have no other.
const NOBODY: &str = "Guest";

/// A line. Lines are ordered by `sort_key`: by time, ties by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) sort_key: (Option<Timestamp>, Key),
    /// The account that wrote the message, visible or not.
    pub(super) author: Option<Key>,
    /// `{"text":…,"user":…}`
    pub(super) json: String,
}

/// The fields of a message that a subscriber may see.
#[derive(Deserialize)]
struct Shown {
    content: Option<String>,
    guest: Option<String>,
    user_created: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    first_name: Option<String>,
}

#[derive(Serialize)]
struct Said<'a> {
    text: &'a str,
    user: &'a str,
}

impl Line {
    /// Renders a message as a line, as its subscriber may see it.
    ///
    /// The name is that of the guest's connection, else the author's first name, else the key of
    /// the account; fields that the subscriber may not read are skipped.
    pub(super) fn new(projection: &Projection, record: &Record) -> Option<Self> {
        let mut shown: Shown = serde_json::from_str(projection.object(record).get()).ok()?;
        let text = shown.content.take().unwrap_or_default();
        let user = name(projection, record, shown);
        let said = Said { text: &text, user: &user };
        Some(Self {
            sort_key: (record.row.get(&messages::date_created), record.row.key()?),
            author: record.value(&messages::user_created).as_key(),
            json: serde_json::to_string(&said).ok()?,
        })
    }

    /// Returns the key of the message.
    pub(super) const fn key(&self) -> Key {
        self.sort_key.1
    }
}

/// Returns the name that a message is shown with, as its subscriber may see it.
pub(in crate::domain::subscriptions) fn author(
    projection: &Projection,
    record: &Record,
) -> Option<String> {
    let shown = serde_json::from_str(projection.object(record).get()).ok()?;
    Some(name(projection, record, shown))
}

fn name(projection: &Projection, record: &Record, shown: Shown) -> String {
    let field = messages::user_created.field();
    let account = record.value(field).as_key();
    let account = account.filter(|_| projection.scope().shows(record, field));
    let first_name = shown.user_created.and_then(|author| author.first_name).map(short);
    shown
        .guest
        .or(first_name.filter(|name| !name.trim().is_empty()))
        .or_else(|| account.map(key))
        .unwrap_or_else(|| NOBODY.to_owned())
}

/// Truncates a name to the current maximum length: a database from an earlier version may have
/// longer names, and they are repeated with each message.
fn short(mut name: String) -> String {
    let most = users::first_name.length_max(usize::MAX);
    if let Some((end, _)) = name.char_indices().nth(most) {
        name.truncate(end);
    }
    name
}

fn key(key: Key) -> String {
    match key {
        Key::Integer(number) => number.to_string(),
        Key::Uuid(id) => id.to_string(),
    }
}
