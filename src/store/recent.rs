//! The cache of the newest messages, which serves the most frequent read.
//!
//! The writer applies each committed event before it replies, so that clients read their own
//! writes, and rows equal those of the database. Dates are monotonic, so the newest messages by
//! date are the newest by key, too. Where old rows or dates of other origin make a difference, the
//! cache serves only the order by date.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::clock::Timestamp;
use crate::model::schema::MESSAGES;
use crate::model::schema::messages;
use crate::model::{Change, Event, EventAction, Key, Row};

/// Maximum number of cached messages.
pub(super) const ROWS_MAX: usize = 1000;
/// Maximum total size of their texts, in bytes.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// The newest messages by `date_created`, ties by key, newest last.
#[derive(Default)]
pub(super) struct RecentMessages {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    rows: VecDeque<Arc<Row>>,
    /// Total size of their texts, in bytes.
    bytes: usize,
    /// Whether the cache contains all messages.
    whole: bool,
    /// A position before which messages may be missing; all messages after it are cached.
    floor: Option<Place>,
    /// An upper bound of the keys of missing messages.
    missing: Option<Key>,
    /// Whether the rows are in the order of their keys as well.
    by_key: bool,
}

/// An order of messages, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By `date_created`, ties by key.
    Date,
    /// By key.
    Key,
}

/// The position of a message in the order by date.
type Place = (Option<Timestamp>, Option<Key>);

impl RecentMessages {
    /// Creates the cache from the newest [`ROWS_MAX`] messages, in any order. `whole` says that
    /// there are no other messages, and `missing` is the greatest key of the others.
    pub(super) fn of(rows: Vec<Row>, whole: bool, missing: Option<Key>) -> Self {
        let mut rows: Vec<Arc<Row>> = rows.into_iter().map(Arc::new).collect();
        rows.sort_by_key(|row| place(row));
        let floor = rows.first().map(|row| place(row));
        let bytes = rows.iter().map(|row| row.text_bytes()).sum();
        let mut state = State { rows: rows.into(), bytes, whole, floor, missing, by_key: false };
        state.shorten();
        state.look_at_keys();
        Self { state: RwLock::new(state) }
    }

    /// Returns the newest messages, newest first, after skipping `offset`; `None` if the page
    /// exceeds the cache, or the cache does not have this order.
    pub(super) fn newest(&self, order: Order, limit: u64, offset: u64) -> Option<Vec<Arc<Row>>> {
        let limit = usize::try_from(limit).ok()?;
        let offset = usize::try_from(offset).ok()?;
        let state = self.state.read();
        if order == Order::Key && !state.is_newest_by_key() {
            return None;
        }
        if !state.whole && offset.checked_add(limit)? > state.rows.len() {
            return None;
        }
        Some(state.rows.iter().rev().skip(offset).take(limit).cloned().collect())
    }

    /// Applies a committed event.
    pub(super) fn apply(&self, event: &Event) {
        if *event.collection != MESSAGES {
            return;
        }
        let mut state = self.state.write();
        if event.action != EventAction::Create {
            state.remove(&event.changes);
        }
        for row in event.changes.iter().filter_map(|change| change.after.as_ref()) {
            state.insert(row);
        }
        if !state.by_key {
            state.look_at_keys();
        }
    }
}

impl State {
    fn insert(&mut self, row: &Arc<Row>) {
        if !self.whole && Some(place(row)) < self.floor {
            // There may be missing messages in between.
            self.missing = self.missing.max(row.key());
            return;
        }
        let at = self.rows.partition_point(|other| place(other) < place(row));
        let is_after = |other: &Arc<Row>| other.key() < row.key();
        self.by_key &= at.checked_sub(1).and_then(|at| self.rows.get(at)).is_none_or(is_after)
            && self.rows.get(at).is_none_or(|other| !is_after(other));
        self.rows.insert(at, Arc::clone(row));
        self.bytes += row.text_bytes();
        self.shorten();
    }

    /// Returns whether the cached messages are in key order and newer by key than all missing ones.
    fn is_newest_by_key(&self) -> bool {
        self.by_key
            && (self.missing.is_none()
                || self.rows.front().is_some_and(|row| row.key() > self.missing))
    }

    fn look_at_keys(&mut self) {
        self.by_key = self.rows.iter().is_sorted_by_key(|row| row.key());
    }

    /// Evicts the oldest messages that exceed the limits.
    fn shorten(&mut self) {
        while (self.rows.len() > ROWS_MAX || self.bytes > BYTES_MAX)
            && let Some(row) = self.rows.pop_front()
        {
            self.bytes -= row.text_bytes();
            self.floor = Some(place(&row));
            self.missing = self.missing.max(row.key());
            self.whole = false;
        }
    }

    fn remove(&mut self, changes: &[Change]) {
        if let [change] = changes {
            // Most changes concern one recent message.
            let at = self.rows.iter().rposition(|row| row.key() == Some(change.key));
            let gone = at.and_then(|at| self.rows.remove(at));
            self.bytes -= gone.map_or(0, |row| row.text_bytes());
            return;
        }
        let keys: HashSet<Key> = changes.iter().map(|change| change.key).collect();
        self.rows.retain(|row| {
            let is_gone = row.key().is_some_and(|key| keys.contains(&key));
            if is_gone {
                self.bytes -= row.text_bytes();
            }
            !is_gone
        });
    }
}

fn place(row: &Row) -> Place {
    (row.get(&messages::date_created), row.key())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::Collection;

    fn message(id: i64, at: i64) -> Row {
        Row::empty(&MESSAGES)
            .with(&messages::id, id)
            .with(&messages::date_created, Timestamp::from_millis(at))
            .with(&messages::user_created, Uuid::from_u128(7))
    }

    fn event(
        collection: &'static Collection,
        action: EventAction,
        key: Key,
        after: Option<Row>,
    ) -> Event {
        let changes = vec![Change { key, before: None, after: after.map(Arc::new) }];
        let at = Timestamp::from_millis(0);
        Event { seq: 1, collection, action, changes, actor: None, at, text_keys: Arc::default() }
    }

    fn created(id: i64, at: i64) -> Event {
        event(&MESSAGES, EventAction::Create, Key::Integer(id), Some(message(id, at)))
    }

    fn keys(rows: Option<Vec<Arc<Row>>>) -> Option<Vec<i64>> {
        rows.map(|rows| rows.iter().filter_map(|row| row.get(&messages::id)).collect())
    }

    #[test]
    fn newest_messages_come_first_with_ties_by_key() {
        let recent =
            RecentMessages::of(vec![message(2, 10), message(1, 10), message(3, 5)], true, None);

        recent.apply(&created(4, 10));

        assert_eq!(keys(recent.newest(Order::Date, 3, 0)), Some(vec![4, 2, 1]));
        assert_eq!(keys(recent.newest(Order::Date, 9, 1)), Some(vec![2, 1, 3]));
    }

    #[test]
    fn an_update_keeps_the_order_and_a_delete_removes_the_message() {
        let recent =
            RecentMessages::of(vec![message(1, 1), message(2, 2), message(3, 3)], true, None);
        let changed = message(2, 2).with(&messages::content, "new");

        recent.apply(&event(&MESSAGES, EventAction::Update, Key::Integer(2), Some(changed)));
        recent.apply(&event(&MESSAGES, EventAction::Delete, Key::Integer(3), None));

        let rows = recent.newest(Order::Date, 9, 0).expect("every message is cached");
        assert_eq!(rows[0].get(&messages::content), Some("new"));
        assert_eq!(keys(Some(rows)), Some(vec![2, 1]));
    }

    #[test]
    fn key_order_is_served_only_while_it_matches_date_order() {
        let recent =
            RecentMessages::of(vec![message(2, 2), message(3, 3)], false, Some(Key::Integer(1)));
        let by_key = |limit| keys(recent.newest(Order::Key, limit, 0));
        assert_eq!(by_key(2), Some(vec![3, 2]));
        assert_eq!(by_key(3), None);

        // An imported message with a date between theirs, and its deletion.
        recent.apply(&created(9, 2));
        assert_eq!(by_key(1), None);
        assert_eq!(keys(recent.newest(Order::Date, 2, 0)), Some(vec![3, 9]));
        recent.apply(&event(&MESSAGES, EventAction::Delete, Key::Integer(9), None));
        assert_eq!(by_key(2), Some(vec![3, 2]));

        // A message with a date before theirs is not cached, but exists.
        recent.apply(&created(10, 1));
        recent.apply(&created(4, 4));
        assert_eq!(by_key(1), None);
    }

    #[test]
    fn key_order_is_refused_after_evicting_a_greater_key() {
        let recent = RecentMessages::of((1..=1000).map(|id| message(id, id)).collect(), true, None);
        recent.apply(&created(1001, 1001));
        assert_eq!(keys(recent.newest(Order::Key, 1, 0)), Some(vec![1001]));

        // The oldest message by date has the greatest key.
        let old = (2..=1000).map(|id| message(id, id)).chain([message(5000, 1)]).collect();
        let recent = RecentMessages::of(old, true, None);
        recent.apply(&created(1001, 1001));
        assert_eq!(keys(recent.newest(Order::Key, 1, 0)), None);
    }

    #[test]
    fn incomplete_pages_are_not_served() {
        let rows = (1..=1000).map(|id| message(id, id)).collect();
        let recent = RecentMessages::of(rows, false, None);

        recent.apply(&event(&MESSAGES, EventAction::Delete, Key::Integer(1000), None));
        // An import with an old date: other messages may lie between it and the oldest cached one.
        recent.apply(&created(2000, 0));

        assert_eq!(recent.newest(Order::Date, 999, 0).map(|rows| rows.len()), Some(999));
        assert!(recent.newest(Order::Date, 1000, 0).is_none());
        assert!(recent.newest(Order::Date, u64::MAX, u64::MAX).is_none());
    }

    #[test]
    fn an_emptied_cache_refills() {
        let recent =
            RecentMessages::of((1..=1000).map(|id| message(id, id)).collect(), false, None);
        for id in 1..=1000 {
            recent.apply(&event(&MESSAGES, EventAction::Delete, Key::Integer(id), None));
        }

        recent.apply(&created(2000, 0));
        recent.apply(&created(2001, 2001));
        recent.apply(&created(2002, 2002));

        assert_eq!(keys(recent.newest(Order::Date, 2, 0)), Some(vec![2002, 2001]));
        assert!(recent.newest(Order::Date, 3, 0).is_none());
    }

    #[test]
    fn a_full_cache_evicts_the_oldest_message() {
        let recent = RecentMessages::of((1..=999).map(|id| message(id, id)).collect(), true, None);

        recent.apply(&created(1000, 1000));
        recent.apply(&created(1001, 1001));

        assert_eq!(keys(recent.newest(Order::Date, 1, 999)), Some(vec![2]));
        assert!(recent.newest(Order::Date, 1, 1000).is_none());
    }

    #[test]
    fn long_messages_are_evicted_at_the_byte_limit() {
        let long = |id: i64| message(id, id).with(&messages::content, "x".repeat(1 << 20));
        let write = |recent: &RecentMessages, action, id| {
            recent.apply(&event(&MESSAGES, action, Key::Integer(id), Some(long(id))));
        };
        let recent = RecentMessages::of((1..=20).map(long).collect(), true, None);
        assert_eq!(recent.newest(Order::Date, 16, 0).map(|rows| rows.len()), Some(16));
        assert!(recent.newest(Order::Date, 17, 0).is_none());

        write(&recent, EventAction::Create, 21);
        assert_eq!(keys(recent.newest(Order::Date, 1, 15)), Some(vec![6]));
        recent.apply(&event(&MESSAGES, EventAction::Delete, Key::Integer(21), None));
        assert!(recent.newest(Order::Date, 16, 0).is_none());
        // Messages that become long evict others.
        for id in 22..=60 {
            recent.apply(&created(id, id));
        }
        assert_eq!(keys(recent.newest(Order::Date, 1, 53)), Some(vec![6]));
        for id in 22..=60 {
            write(&recent, EventAction::Update, id);
        }
        assert_eq!(keys(recent.newest(Order::Date, 1, 15)), Some(vec![45]));
        assert!(recent.newest(Order::Date, 1, 16).is_none());
    }
}
