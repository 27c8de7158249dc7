//! Reading and changing items: scope, check, store, publish, in that order.
//!
//! The same for every collection and every road; it knows neither HTTP nor sockets nor SQL.

mod access;
mod accounts;
mod asker;
mod draft;
mod guide;
mod ignored;
pub mod keys;
mod nested;
mod once;
mod past;
mod patterns;
pub mod payload;
pub mod plan;
pub mod project;
pub mod read;
mod records;
mod roles;
mod rules;
pub mod show;
#[cfg(test)]
mod tests;
mod text;
mod typed;
mod unchanged;
mod validation;
pub mod write;
mod written;

pub use patterns::Patterns;
pub use rules::STATES;
pub use rules::is_address;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::clock::Clock;
use crate::config::QueryConfig;
use crate::domain::Error;
use crate::domain::auth::password::Passwords;
use crate::domain::changes::Changes;
use crate::domain::directory::Directory;
pub use crate::domain::items::text::JsonText;
use crate::domain::memory::Reservation;
use crate::domain::permissions::Permissions;
use crate::domain::shares::Shares;
use crate::model::Collection;
use crate::model::Key;
use crate::model::collection::Reach;
use crate::model::schema;
use crate::query::Export;
use crate::query::Limits;
use crate::store::Store;

/// Reads and changes items on behalf of an actor.
pub struct Items {
    pub(crate) clock: Clock,
    pub(crate) store: Arc<Store>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) patterns: Patterns,
    pub(crate) limits: Limits,
    pub(crate) config: QueryConfig,
    /// Whom creates of the public are attributed to.
    pub(crate) public_user: Option<uuid::Uuid>,
    pub(crate) memory: Arc<Shares>,
}

/// What a read answers: JSON that goes to the client as it is.
#[derive(Debug)]
pub struct Answer {
    /// One item or a list.
    pub data: JsonText,
    /// The counts, where the query asks for some.
    pub counts: Option<Counts>,
    /// How to make a file of it, where the query asks for one.
    pub sheet: Option<Sheet>,
    /// What is reserved for the data.
    pub memory: Reservation,
}

/// How an answer becomes a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The form of the file.
    pub export: Export,
    /// What is shown, each with the names that lead to it.
    pub columns: Vec<Vec<String>>,
}

/// How many items there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All that the caller may see.
    pub total: Option<u64>,
    /// Those that fit filter and search.
    pub filter: Option<u64>,
}

/// Which items a call is about. Keys are as the client wrote them: a number or text.
#[derive(Debug, Clone)]
pub enum Which {
    /// The one with this key; it has to be there.
    One(Json),
    /// Those with these keys.
    Keys(Vec<Json>),
    /// Those that a query finds.
    Query(Json),
}

/// What an update sets, and of which items.
#[derive(Debug, Clone)]
pub enum Update {
    /// The same values for all of these.
    Same(Which, Json),
    /// Different values for each: objects with their keys among them.
    Each(Vec<Json>),
}

/// What a create or update did. It has happened, whether or not the caller may see the result.
#[derive(Debug)]
pub struct Written {
    /// The items, in the order of the request.
    pub keys: Vec<Key>,
    /// The items as the caller may see them; [`Error::Forbidden`] if they may not.
    pub answer: Result<Answer, Error>,
    /// The names in the payload that are no fields, a bounded number of bounded length.
    pub ignored: Vec<String>,
}

/// Returns the collection of this name, if it can be named by this road.
///
/// # Errors
/// [`Error::Forbidden`] in the words for a collection that one may not see or that is not there.
pub fn require_collection(name: &str, reach: Reach) -> Result<&'static Collection, Error> {
    schema::find(name)
        .filter(|collection| collection.reach == reach)
        .ok_or_else(|| Error::collection(name))
}
