//! What can be asked of the writer.

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::Collection;
use crate::model::Event;
use crate::model::Field;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::query::Filter;

/// Changes that happen together or not at all.
#[derive(Debug)]
pub struct Write {
    /// On whose behalf; `None` for the public and for the service itself.
    pub actor: Option<Uuid>,
    /// When, for the log.
    pub at: Timestamp,
    /// What, in order.
    pub ops: Vec<Op>,
}

/// One change.
#[derive(Debug)]
pub enum Op {
    /// Creates items: one event each. An integer key may be null: the writer then counts one up.
    Create {
        /// The collection of all rows.
        collection: &'static Collection,
        /// The items, complete.
        rows: Vec<Row>,
    },
    /// Sets the same fields of some items: one event for all of them, none if there are none.
    Update {
        /// The collection.
        collection: &'static Collection,
        /// The items.
        keys: Vec<Key>,
        /// The new values.
        set: Vec<(&'static Field, Value)>,
        /// What must hold of the items as they are.
        guard: Guard,
    },
    /// Deletes items: one event for all of them, none if there are none.
    Delete {
        /// The collection.
        collection: &'static Collection,
        /// The items.
        keys: Vec<Key>,
        /// What must hold of the items as they are.
        guard: Guard,
    },
    /// Deletes whatever fits when the write runs: one event for all of them, none if there are none.
    DeleteWhere {
        /// The collection.
        collection: &'static Collection,
        /// What goes.
        filter: Filter,
    },
    /// Writes some of the lines of activity that earlier creates are owed; no event.
    CatchUp,
    /// Takes what is about an account out of the log, the lines of this very write included.
    Forget {
        /// The account.
        user: Uuid,
    },
}

/// What must hold of items for a write to touch them, checked within its transaction.
#[derive(Debug, Clone)]
pub enum Guard {
    /// Nothing: keys that are not there are passed over.
    Present,
    /// Every item must be there and fit, else the whole write is refused with
    /// [`StoreError::Refused`](crate::store::StoreError::Refused).
    Every(Filter),
}

/// What makes a write happen once, however often it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Whose key it is; `None` for all who have not signed in.
    pub owner: Option<Uuid>,
    /// The key the client chose.
    pub key: String,
    /// A digest of all that was asked for.
    pub digest: String,
}

/// What became of a write that happens once.
#[derive(Debug)]
pub enum Done {
    /// It has happened now: its events, in order.
    Now(Vec<Arc<Event>>),
    /// It had happened before: the items that were created then. Nothing has happened now.
    Before(Vec<Key>),
}

/// The events of one transaction, in order, as they leave the writer.
pub type Committed = Arc<[Arc<Event>]>;
