//! Reading and changing items: authorize, validate, store, publish, in that order.
//!
//! The code is the same for every collection and every entry point. It knows neither HTTP nor
//! sockets nor SQL.

mod access;
mod accounts;
mod caller_profile;
mod draft;
mod idempotency;
mod ignored;
mod json_writer;
pub mod keys;
mod nested;
mod patterns;
pub mod payload;
pub mod plan;
pub mod project;
mod query_authorizer;
pub mod read;
mod records;
pub mod render;
mod revision_access;
mod roles;
mod rules;
#[cfg(test)]
mod tests;
mod typed;
mod unchanged;
mod validation;
pub mod write;
mod written;

pub use patterns::Patterns;
pub use rules::is_address;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::clock::Clock;
use crate::config::QueryConfig;
use crate::domain::Error;
use crate::domain::auth::password::Passwords;
use crate::domain::committer::Committer;
pub use crate::domain::items::json_writer::JsonText;
use crate::domain::memory::Reservation;
use crate::domain::permissions::Permissions;
use crate::domain::quota::Quota;
use crate::domain::row_cache::RowCache;
use crate::model::collection::Exposure;
use crate::model::schema;
use crate::model::{Collection, Key};
use crate::query::{Export, Limits};
use crate::store::Store;

/// Reads and changes items on behalf of an actor.
pub struct Items {
    pub(crate) clock: Clock,
    pub(crate) store: Arc<Store>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) row_cache: Arc<RowCache>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) patterns: Patterns,
    pub(crate) limits: Limits,
    pub(crate) config: QueryConfig,
    /// The account that anonymous creates are attributed to.
    pub(crate) public_user: Option<uuid::Uuid>,
    pub(crate) memory: Arc<Quota>,
}

/// The result of a read: JSON that is sent to the client unchanged.
#[derive(Debug)]
pub struct Answer {
    /// One item or a list.
    pub data: JsonText,
    /// The counts, if the query asks for them.
    pub counts: Option<Counts>,
    /// The parameters of the file, if the query asks for one.
    pub table: Option<Table>,
    /// The memory reserved for the data.
    pub memory: Reservation,
}

/// The parameters of an exported file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The format of the file.
    pub export: Export,
    /// The columns, each as the path of names that leads to it.
    pub columns: Vec<Vec<String>>,
}

/// The numbers of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The number of items that the caller may see.
    pub total: Option<u64>,
    /// The number of those that match filter and search.
    pub filter: Option<u64>,
}

/// The selector of the items of a call. Keys are as the client wrote them: a number or text.
#[derive(Debug, Clone)]
pub enum Which {
    /// The item with this key, which must exist.
    One(Json),
    /// The items with these keys.
    Keys(Vec<Json>),
    /// The items that match a query.
    Query(Json),
}

/// The values of an update, and the items to update.
#[derive(Debug, Clone)]
pub enum Update {
    /// The same values for all of these items.
    Same(Which, Json),
    /// Different values for each item: objects that include its key.
    Each(Vec<Json>),
}

/// The result of a create or update. The change is committed even if the caller may not see it.
#[derive(Debug)]
pub struct Written {
    /// The items, in the order of the request.
    pub keys: Vec<Key>,
    /// The items as visible to the caller; [`Error::Forbidden`] if they are not visible.
    pub answer: Result<Answer, Error>,
    /// The unknown names in the payload, bounded in number and length.
    pub ignored: Vec<String>,
}

/// Returns the collection of this name, if it has this exposure.
///
/// # Errors
/// [`Error::Forbidden`], with the same message for a hidden collection and for an unknown one.
pub fn require_collection(name: &str, exposure: Exposure) -> Result<&'static Collection, Error> {
    schema::find(name)
        .filter(|collection| collection.exposure == exposure)
        .ok_or_else(|| Error::collection(name))
}
