//! Events: committed changes in a total order.

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::collection::Collection;
use crate::model::named::named;
use crate::model::row::Row;
use crate::model::value::{Key, Value};

/// Maximum number of items of an event.
pub const ITEMS_MAX: usize = 100;
/// Maximum size of an event of several items: the text of the items before and after the change,
/// in bytes.
pub const TEXT_BYTES_MAX: usize = 256 << 10;

/// One committed change, in the total order of all changes.
///
/// A create has one item. An update or delete of many items is several consecutive events of the
/// same transaction ([`Event::split`]).
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

    /// Returns whether this may be one of several events of the same call.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        match &*self.changes {
            [change] => {
                self.action != EventAction::Create && change.text_bytes() > TEXT_BYTES_MAX / 2
            }
            _ => true,
        }
    }

    /// Splits the changes of one call into those of its events: at most [`ITEMS_MAX`] items and
    /// [`TEXT_BYTES_MAX`] bytes of text each, unless a single item is longer.
    #[must_use]
    pub fn split(changes: Vec<Change>) -> Vec<Vec<Change>> {
        let mut events: Vec<Vec<Change>> = Vec::new();
        let mut bytes = 0;
        for change in changes {
            bytes += change.text_bytes();
            match events.last_mut() {
                Some(last) if last.len() < ITEMS_MAX && bytes <= TEXT_BYTES_MAX => {
                    last.push(change);
                }
                _ => {
                    bytes = change.text_bytes();
                    events.push(vec![change]);
                }
            }
        }
        events
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

named! {
    /// The kind of a change.
    pub enum EventAction {
        /// An item was created.
        Create = "create",
        /// Items were updated.
        Update = "update",
        /// Items were deleted.
        Delete = "delete",
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

impl Change {
    /// Returns the size of the texts of the item before and after the change, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.before.iter().chain(&self.after).map(|row| row.text_bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;

    fn change(key: i64, text_bytes: usize) -> Change {
        let content = Value::text(&"x".repeat(text_bytes));
        let row = Row::empty(&MESSAGES).with(&messages::content, content);
        Change { key: Key::Integer(key), before: None, after: Some(Arc::new(row)) }
    }

    fn lengths(text_bytes: &[usize]) -> Vec<usize> {
        let changes = (0..).zip(text_bytes).map(|(key, bytes)| change(key, *bytes)).collect();
        Event::split(changes).iter().map(Vec::len).collect()
    }

    #[test]
    fn events_are_split_at_the_limits() {
        assert_eq!(lengths(&[1; 100]), [100]);
        assert_eq!(lengths(&[1; 201]), [100, 100, 1]);
        assert_eq!(lengths(&[TEXT_BYTES_MAX / 2; 3]), [2, 1]);
        assert_eq!(lengths(&[TEXT_BYTES_MAX / 2 + 1; 3]), [1, 1, 1]);
        assert_eq!(lengths(&[1, TEXT_BYTES_MAX + 1, 1]), [1, 1, 1]);
        assert_eq!(lengths(&[]), [0; 0]);
    }

    proptest! {
        #[test]
        fn a_split_keeps_every_change_and_fills_events(
            text_bytes in prop::collection::vec(0..TEXT_BYTES_MAX / 20, 0..400),
        ) {
            let changes = (0..).zip(&text_bytes).map(|(key, bytes)| change(key, *bytes));
            let events = Event::split(changes.collect());

            let keys = events.iter().flatten().map(|change| change.key);
            let count = i64::try_from(text_bytes.len()).unwrap();
            prop_assert!(keys.eq((0..count).map(Key::Integer)));
            let size = |event: &[Change]| event.iter().map(Change::text_bytes).sum::<usize>();
            for event in &events {
                prop_assert!(event.len() <= ITEMS_MAX && size(event) <= TEXT_BYTES_MAX);
            }
            for pair in events.windows(2) {
                let longer = size(&pair[0]) + pair[1][0].text_bytes();
                prop_assert!(pair[0].len() == ITEMS_MAX || longer > TEXT_BYTES_MAX);
            }
        }
    }
}
