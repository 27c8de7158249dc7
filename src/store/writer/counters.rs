//! Counters: `seq`, and the integer keys that the server assigns.
//!
//! They are kept in a table, so that no number is ever reused, not even that of a deleted item or
//! of a transaction before a restart. The date of the last event is kept with them, since dates are
//! monotonic as well.

use sqlx::{Row as _, SqliteConnection};

use crate::clock::Timestamp;
use crate::model::schema::{MESSAGES, PERMISSIONS};
use crate::model::{Collection, Place};
use crate::store::StoreError;
use crate::store::writer::dates;

/// The last numbers assigned.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub(super) seq: i64,
    /// The date of the last event.
    last: Timestamp,
    messages: Count,
    permissions: Count,
}

/// The key counter of one collection.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// The last key assigned.
    last: i64,
    /// The greatest key that may have been chosen by a client. Keys up to it may be taken already.
    chosen: i64,
}

impl Counters {
    /// Reads the counters.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let row = sqlx::query(
            "select (select value from chinwag_counters where name = 'seq'), \
             (select value from chinwag_counters where name = 'messages'), \
             (select value from chinwag_counters where name = 'directus_permissions'), \
             (select coalesce(max(id), 0) from messages), \
             (select coalesce(max(id), 0) from directus_permissions), \
             coalesce((select date_created from event_log order by seq desc limit 1), 0)",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self {
            seq: row.try_get(0)?,
            last: Timestamp::from_millis(row.try_get(5)?),
            messages: Count { last: row.try_get(1)?, chosen: row.try_get(3)? },
            permissions: Count { last: row.try_get(2)?, chosen: row.try_get(4)? },
        })
    }

    /// Returns the offset of the last event.
    pub(super) const fn seq(&self) -> i64 {
        self.seq
    }

    /// Returns the offset and date of the last event.
    pub(super) const fn head(&self) -> Place {
        Place { seq: self.seq, at: self.last }
    }

    /// Saves the counters, in the transaction that used them.
    pub(super) async fn save(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "update chinwag_counters set value = case name when 'seq' then ? when 'messages' \
             then ? when 'directus_permissions' then ? else value end",
        )
        .bind(self.seq)
        .bind(self.messages.last)
        .bind(self.permissions.last)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Returns the date of the next event at the time `clock`.
    pub(super) fn date(&mut self, clock: Timestamp) -> Timestamp {
        self.last = dates::next(clock, self.last);
        self.last
    }

    /// Assigns the offset of the next event.
    pub(super) const fn next_seq(&mut self) -> i64 {
        self.seq += 1;
        self.seq
    }

    /// Assigns the next integer key of a collection. Also returns whether it may be taken already.
    pub(super) fn next_key(&mut self, collection: &'static Collection) -> (i64, bool) {
        let count = self.of(collection);
        count.last += 1;
        (count.last, count.last <= count.chosen)
    }

    /// Records a key that a client chose.
    pub(super) fn choose(&mut self, collection: &'static Collection, key: i64) {
        let count = self.of(collection);
        count.chosen = count.chosen.max(key);
    }

    fn of(&mut self, collection: &'static Collection) -> &mut Count {
        debug_assert!(
            *collection == MESSAGES || *collection == PERMISSIONS,
            "only these collections have counters"
        );
        if *collection == MESSAGES { &mut self.messages } else { &mut self.permissions }
    }
}
