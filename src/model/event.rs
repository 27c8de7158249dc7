//! What happened: the unit of the one order of everything.

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::collection::Collection;
use crate::model::row::Row;
use crate::model::value::Key;
use crate::model::value::Value;

/// One committed change, in the one order of everything.
///
/// A create names one item; an update or delete names all that one call changed.
#[derive(Debug, Clone)]
pub struct Event {
    /// The place in the order. Rises without gaps, starting at 1, and is never used twice.
    pub seq: i64,
    /// The collection that changed.
    pub collection: &'static Collection,
    /// What was done.
    pub action: EventAction,
    /// The items it was done to, at least one.
    pub changes: Vec<Change>,
    /// Who did it; `None` for the public and for the service itself.
    pub actor: Option<Uuid>,
    /// When it was committed, by this service's clock.
    pub at: Timestamp,
    /// The integer keys that the request for a delete wrote as text, in ascending order.
    pub text_keys: Arc<[Key]>,
}

impl Event {
    /// Returns its place.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place { seq: self.seq, at: self.at }
    }
}

/// A place in the order of events: behind the event it names. The instant tells two orders apart
/// that went different ways, as after a backup was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the event; 0 before the first.
    pub seq: i64,
    /// When it was committed; 1970 before the first.
    pub at: Timestamp,
}

/// Returns a key as text if it is among those, in ascending order, that a request wrote as text.
#[must_use]
pub fn key_as_written(text_keys: &[Key], key: Key) -> Value {
    match text_keys.binary_search(&key) {
        Ok(_) => Value::text(&key.to_string()),
        Err(_) => Value::from(key),
    }
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventAction {
    /// An item came into being.
    Create,
    /// Items changed.
    Update,
    /// Items went away.
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

    /// Returns the action of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Create, Self::Update, Self::Delete].into_iter().find(|action| action.name() == name)
    }
}

/// What happened to one item.
#[derive(Debug, Clone)]
pub struct Change {
    /// The item.
    pub key: Key,
    /// The item as it was; `None` for a create.
    pub before: Option<Arc<Row>>,
    /// The item as it is now; `None` for a delete.
    pub after: Option<Arc<Row>>,
}
