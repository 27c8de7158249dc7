//! What can be asked of the writer.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::Collection;
use crate::model::Event;
use crate::model::Field;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::schema;
use crate::query::Filter;

/// What a write takes in memory beside what it says.
const WRITE_OVERHEAD: usize = 1024;
/// What an item takes beside its texts: the values, their copies in the event, the accounts of both.
pub(super) const ROW_OVERHEAD: usize = 512;

/// Changes that happen together or not at all.
///
/// The consequences of a write (items that an [`Op::DeleteWhere`] finds, referential actions, an
/// erasure) may be more than one transaction should hold. The write then ends as [`Done::Partly`].
#[derive(Debug, Clone)]
pub struct Write {
    /// On whose behalf; `None` for the public and for the service itself.
    pub actor: Option<Uuid>,
    /// What the clock says. The date of the events is this or, if that is later, the date of the event
    /// before.
    pub at: Timestamp,
    /// What, in order.
    pub ops: Vec<Op>,
}

impl Write {
    /// Returns about how many bytes of memory it takes while it waits.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ops.iter().map(Op::bytes).sum::<usize>() + WRITE_OVERHEAD
    }

    /// Returns whether it may have more consequences than one transaction should hold.
    #[must_use]
    pub fn may_take_steps(&self) -> bool {
        self.ops.iter().any(|op| match op {
            Op::Delete { collection, .. } => schema::references(collection).next().is_some(),
            Op::DeleteWhere { .. } | Op::Finish { .. } | Op::Erase { .. } => true,
            Op::Create { .. } | Op::Update { .. } | Op::CatchUp => false,
        })
    }

    /// Returns whether nothing is left to decide: the write only carries out deletions that were
    /// committed before.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.ops.iter().all(|op| matches!(op, Op::Finish { .. }))
    }
}

/// Whose turn it is: of all that waits to be written, those of one come in order, and those of
/// different ones in turns, so that nobody waits for all that somebody else has queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Turn(u64);

impl Turn {
    /// Returns the turn of whoever this stands for.
    #[must_use]
    pub fn of(whoever: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        whoever.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// One change.
#[derive(Debug, Clone)]
pub enum Op {
    /// Creates items: one event each. An integer key may be null: the writer then counts one up. A
    /// null date of creation becomes that of the event.
    Create {
        /// The collection of all rows.
        collection: &'static Collection,
        /// The items, complete.
        rows: Vec<Row>,
    },
    /// Sets the same fields of some items: one event for all of them, or several if they are many; none
    /// if there are none. A null date of the update becomes that of the event.
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
    /// Deletes items, with the referential actions of their relations. Events as for an update. If
    /// the actions take more than one transaction the deletion is recorded, the items are retired
    /// (`schema::retired`), and what is left is an [`Op::Finish`].
    Delete {
        /// The collection.
        collection: &'static Collection,
        /// The items.
        keys: Vec<Key>,
        /// What must hold of the items as they are.
        guard: Guard,
        /// The integer keys that the request wrote as text, in ascending order.
        text_keys: Arc<[Key]>,
    },
    /// Deletes the items that fit when the write runs, in several transactions if they are many. Comes
    /// before all other operations of a write, which then belong to the last transaction.
    DeleteWhere {
        /// The collection.
        collection: &'static Collection,
        /// What goes.
        filter: Filter,
    },
    /// Carries out deletions that were recorded. Items without a record are passed over.
    Finish {
        /// The collection.
        collection: &'static Collection,
        /// The items.
        keys: Vec<Key>,
    },
    /// Deletes an account and takes all rows that are about it out of the log, the lines of this very
    /// write included. Recorded as an [`Op::Delete`] if it takes more than one transaction.
    Erase {
        /// The account.
        user: Uuid,
        /// Whether the items that the account created are deleted as well.
        items: bool,
    },
    /// Writes some of the lines of activity that earlier creates are owed; no event.
    CatchUp,
}

impl Op {
    /// Returns the deletion of items whose keys no request wrote as text.
    #[must_use]
    pub fn delete(collection: &'static Collection, keys: Vec<Key>, guard: Guard) -> Self {
        Self::Delete { collection, keys, guard, text_keys: Arc::default() }
    }

    /// Returns the collection whose items it changes, if it is one.
    #[must_use]
    pub const fn collection(&self) -> Option<&'static Collection> {
        match self {
            Self::Create { collection, .. }
            | Self::Update { collection, .. }
            | Self::Delete { collection, .. }
            | Self::DeleteWhere { collection, .. }
            | Self::Finish { collection, .. } => Some(collection),
            Self::CatchUp | Self::Erase { .. } => None,
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
            Self::DeleteWhere { .. } | Self::Erase { .. } | Self::CatchUp => 0,
        }
    }
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
    /// The collection of the items that are asked for.
    pub collection: &'static Collection,
    /// Their places among all items that the write creates in the collection.
    pub roots: Vec<usize>,
}

/// The result of a write.
#[derive(Debug)]
pub enum Done {
    /// It has happened now: its events, in order.
    Now(Vec<Arc<Event>>),
    /// One transaction of several is committed: its events, and the write of the rest. If that
    /// [is decided](Write::is_decided), the write itself has happened and its consequences follow;
    /// otherwise some consequences have, and the write itself comes last.
    Partly(Vec<Arc<Event>>, Write),
    /// It had happened before: the items that were created then. Nothing has happened now.
    Before(Vec<Key>),
}

/// The events of one transaction, in order, as they leave the writer.
pub type Committed = Arc<[Arc<Event>]>;
