//! The input and output of the writer.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::schema;
use crate::model::{Collection, Event, Field, Key, Row, Value};
use crate::query::Filter;

/// Memory of a queued write besides its contents, in bytes.
const WRITE_OVERHEAD: usize = 1024;
/// Memory of an item besides its texts, in bytes: the values, their copies in the event, and the
/// bookkeeping of both.
pub(super) const ROW_OVERHEAD: usize = 512;

/// A set of operations that takes effect as a whole or not at all.
///
/// The consequences of a write (items that a [`Mutation::DeleteWhere`] finds, referential actions,
/// an erasure) may exceed the size of one transaction. The write then ends as [`Outcome::Partial`].
#[derive(Debug, Clone)]
pub struct Write {
    /// The acting account; `None` for anonymous requests and for the service itself.
    pub actor: Option<Uuid>,
    /// The current time. Events get this date or, if it is later, the date of the previous event.
    pub at: Timestamp,
    /// The operations, in order.
    pub ops: Vec<Mutation>,
}

impl Write {
    /// Returns the approximate memory that the write takes while queued, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ops.iter().map(Mutation::bytes).sum::<usize>() + WRITE_OVERHEAD
    }

    /// Returns whether its consequences may exceed the size of one transaction.
    #[must_use]
    pub fn may_take_steps(&self) -> bool {
        self.ops.iter().any(|op| match op {
            Mutation::Delete { collection, .. } => schema::references(collection).next().is_some(),
            Mutation::DeleteWhere { .. } | Mutation::Finish { .. } | Mutation::Erase { .. } => true,
            Mutation::Create { .. } | Mutation::Update { .. } | Mutation::ProjectActivity => false,
        })
    }

    /// Returns whether the write only carries out deletions that were committed before, so that
    /// nothing is left to decide.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.ops.iter().all(|op| matches!(op, Mutation::Finish { .. }))
    }
}

/// The flow key of fair queueing. Jobs of one flow are committed in order. Flows take turns, so
/// that none of them waits for the whole backlog of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey(u64);

impl FlowKey {
    /// Returns the flow key of an owner.
    #[must_use]
    pub fn of(whoever: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        whoever.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// One operation of a write.
#[derive(Debug, Clone)]
pub enum Mutation {
    /// Creates items: one event each. For a null integer key the writer assigns the next number. A
    /// null creation date becomes the date of the event.
    Create {
        /// The collection of all rows.
        collection: &'static Collection,
        /// The items, complete.
        rows: Vec<Row>,
    },
    /// Sets the same fields of several items: one event for all of them, or none if there are no
    /// items. A null update date becomes the date of the event.
    Update {
        /// The collection.
        collection: &'static Collection,
        /// The items.
        keys: Vec<Key>,
        /// The new values.
        set: Vec<(&'static Field, Value)>,
        /// The precondition on the current items.
        precondition: Precondition,
    },
    /// Deletes items, with the referential actions of their relations. Events as for an update. If
    /// the actions exceed one transaction, the deletion is recorded, the items are retired
    /// (`schema::retired`), and a [`Mutation::Finish`] remains.
    Delete {
        /// The collection.
        collection: &'static Collection,
        /// The items.
        keys: Vec<Key>,
        /// The precondition on the current items.
        precondition: Precondition,
        /// The integer keys that the request wrote as text, in ascending order.
        text_keys: Arc<[Key]>,
    },
    /// Deletes the items that match when the write runs, in several transactions if they are many.
    /// Must precede all other operations of a write, which then belong to the last transaction.
    DeleteWhere {
        /// The collection.
        collection: &'static Collection,
        /// Selects the items to delete.
        filter: Filter,
    },
    /// Carries out deletions that were recorded. Items without a record are skipped.
    Finish {
        /// The collection.
        collection: &'static Collection,
        /// The items.
        keys: Vec<Key>,
    },
    /// Deletes an account and removes all rows about it from the log, including the log rows of
    /// this write. Recorded like a [`Mutation::Delete`] if it exceeds one transaction.
    Erase {
        /// The account.
        user: Uuid,
        /// Whether the items that the account created are deleted as well.
        items: bool,
    },
    /// Projects some of the pending activity rows of earlier creates; no event.
    ProjectActivity,
}

impl Mutation {
    /// Returns the creation of one item.
    #[must_use]
    pub fn create(row: Row) -> Self {
        Self::Create { collection: row.collection(), rows: vec![row] }
    }

    /// Returns the update of one item.
    #[must_use]
    pub fn update(
        collection: &'static Collection,
        key: impl Into<Key>,
        set: Vec<(&'static Field, Value)>,
        precondition: Precondition,
    ) -> Self {
        Self::Update { collection, keys: vec![key.into()], set, precondition }
    }

    /// Returns the deletion of items, without keys that a request wrote as text.
    #[must_use]
    pub fn delete(
        collection: &'static Collection,
        keys: Vec<Key>,
        precondition: Precondition,
    ) -> Self {
        Self::Delete { collection, keys, precondition, text_keys: Arc::default() }
    }

    /// Returns the collection that the operation changes; `None` if it may change several.
    #[must_use]
    pub const fn collection(&self) -> Option<&'static Collection> {
        match self {
            Self::Create { collection, .. }
            | Self::Update { collection, .. }
            | Self::Delete { collection, .. }
            | Self::DeleteWhere { collection, .. }
            | Self::Finish { collection, .. } => Some(collection),
            Self::ProjectActivity | Self::Erase { .. } => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Create { rows, .. } => {
                rows.iter().map(|row| row.text_bytes() + ROW_OVERHEAD).sum()
            }
            Self::Update { keys, set, .. } => {
                let set: usize = set.iter().map(|(_, value)| value.text_bytes()).sum();
                size_of_val(keys.as_slice()) + set
            }
            Self::Delete { keys, .. } | Self::Finish { keys, .. } => size_of_val(keys.as_slice()),
            Self::DeleteWhere { .. } | Self::Erase { .. } | Self::ProjectActivity => 0,
        }
    }
}

/// The precondition on the items of a write, checked within its transaction.
#[derive(Debug, Clone)]
pub enum Precondition {
    /// No precondition: missing keys are skipped.
    None,
    /// Every item must exist and match, else the whole write is refused with
    /// [`StoreError::Refused`](crate::store::StoreError::Refused).
    All(Filter),
}

/// The idempotency key of a write, which ensures that repeated requests are carried out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The account that owns the key; `None` for anonymous clients, which share one key space.
    pub owner: Option<Uuid>,
    /// The key the client chose.
    pub key: String,
    /// A digest of the whole request.
    pub digest: String,
    /// The collection of the requested items.
    pub collection: &'static Collection,
    /// Their indexes among all items that the write creates in the collection.
    pub roots: Vec<usize>,
}

/// The outcome of a write.
#[derive(Debug)]
pub enum Outcome {
    /// The write is committed: its events, in order.
    Committed(Vec<Arc<Event>>),
    /// One transaction of several is committed: its events, and the write of the remaining
    /// operations. If that [is decided](Write::is_decided), the write itself is committed and its
    /// consequences follow. Otherwise only some consequences are committed, and the write itself
    /// comes last.
    Partial(Vec<Arc<Event>>, Write),
    /// A duplicate of a committed write: the items that were created then. Nothing is written now.
    Duplicate(Vec<Key>),
}

/// The events of one transaction, in order, as published by the writer.
pub type Committed = Arc<[Arc<Event>]>;
