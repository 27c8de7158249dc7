//! Numbers that only rise: `seq`, and the keys that the server counts up.
//!
//! They are kept in a table, so that a number is never used twice, also not that of an item that
//! was deleted or of a transaction before a restart.

use sqlx::Row as _;
use sqlx::SqliteConnection;

use crate::model::Collection;
use crate::model::schema::MESSAGES;
use crate::model::schema::PERMISSIONS;
use crate::store::StoreError;

/// The last numbers given out.
#[derive(Debug, Clone)]
pub(in crate::store) struct Counters {
    pub(super) seq: i64,
    messages: i64,
    permissions: i64,
    /// Whether messages exist beyond the counter: imported with their keys. They are stepped over.
    ahead: bool,
}

impl Counters {
    /// Reads the counters.
    pub(in crate::store) async fn load(
        connection: &mut SqliteConnection,
    ) -> Result<Self, StoreError> {
        let mut counters = Self { seq: 0, messages: 0, permissions: 0, ahead: false };
        let rows = sqlx::query("select name, value from chinwag_counters")
            .fetch_all(&mut *connection)
            .await?;
        for row in rows {
            let value = row.try_get(1)?;
            match row.try_get::<&str, _>(0)? {
                "seq" => counters.seq = value,
                name if name == MESSAGES.name => counters.messages = value,
                name if name == PERMISSIONS.name => counters.permissions = value,
                _ => {}
            }
        }
        let row = sqlx::query("select exists (select 1 from messages where id > ?)")
            .bind(counters.messages)
            .fetch_one(connection)
            .await?;
        counters.ahead = row.try_get::<i64, _>(0)? != 0;
        Ok(counters)
    }

    /// Writes the counters down, as part of the transaction that used them.
    pub(super) async fn save(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "update chinwag_counters set value = case name when 'seq' then ? when 'messages' \
             then ? when 'directus_permissions' then ? else value end",
        )
        .bind(self.seq)
        .bind(self.messages)
        .bind(self.permissions)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Returns the next place in the order of events.
    pub(super) const fn next_seq(&mut self) -> i64 {
        self.seq += 1;
        self.seq
    }

    /// Returns the next key of a collection whose keys are counted.
    pub(super) fn next_key(&mut self, collection: &'static Collection) -> i64 {
        let counter =
            if *collection == MESSAGES { &mut self.messages } else { &mut self.permissions };
        *counter += 1;
        *counter
    }

    /// Returns whether the next key of the collection may be taken already.
    pub(super) fn may_collide(&self, collection: &'static Collection) -> bool {
        self.ahead && *collection == MESSAGES
    }

    /// Takes notice of a key that was chosen by a client.
    pub(super) fn chosen(&mut self, collection: &'static Collection, key: i64) {
        self.ahead |= *collection == MESSAGES && key > self.messages;
    }
}
