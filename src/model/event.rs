//! Events: committed changes in a total order.

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::collection::Collection;
use crate::model::row::Row;
use crate::model::value::Key;
use crate::model::value::Value;

/// One committed change, in the total order of all changes.
///
/// A create has one item. An update or delete has all items that one call changed.
#[derive(Debug, Clone)]
pub struct Event {
    /// The sequence number. Increases without gaps from 1 and is never reused.
    pub seq: i64,
    /// The collection that changed.
    pub collection: &'static Collection,
    /// The kind of change.
    pub action: EventAction,
    /// The changed items, at least one.
    pub changes: Vec<Change>,
    /// The account that made the change; `None` for the public and for the service itself.
    pub actor: Option<Uuid>,
    /// Time of the commit, by the service's clock.
    pub at: Timestamp,
    /// The integer keys that a delete request wrote as text, in ascending order.
    pub text_keys: Arc<[Key]>,
}

impl Event {
    /// Returns its offset in the log.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place { seq: self.seq, at: self.at }
    }
}

/// An offset in the event log: after the event it names. The timestamp distinguishes diverged logs,
/// as after restoring a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The sequence number of the event; 0 before the first.
    pub seq: i64,
    /// Time of its commit; 1970 before the first.
    pub at: Timestamp,
}

/// Returns a key as text if the request wrote it as text. `text_keys` is in ascending order.
#[must_use]
pub fn key_as_written(text_keys: &[Key], key: Key) -> Value {
    match text_keys.binary_search(&key) {
        Ok(_) => Value::text(&key.to_string()),
        Err(_) => Value::from(key),
    }
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventAction {
    /// An item was created.
    Create,
    /// Items were updated.
    Update,
    /// Items were deleted.
    Delete,
}

impl EventAction {
    /// Returns the name on the wire and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// Returns the action with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Create, Self::Update, Self::Delete].into_iter().find(|action| action.name() == name)
    }
}

/// The change of one item.
#[derive(Debug, Clone)]
pub struct Change {
    /// The item.
    pub key: Key,
    /// The item before the change; `None` for a create.
    pub before: Option<Arc<Row>>,
    /// The item after the change; `None` for a delete.
    pub after: Option<Arc<Row>>,
}
