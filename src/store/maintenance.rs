//! Maintenance writes, which have no events: truncating the log, saving recovery positions, and
//! giving free pages back to the file system.

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::store::space;
use crate::store::{Store, StoreError};

/// A maintenance write to the service's own tables.
#[derive(Debug)]
pub(super) enum Maintenance {
    /// Truncates the log up to this offset, with the records that are kept as long as its events.
    Forget(i64),
    /// Saves some positions and deletes others.
    Remember(Vec<Position>, Vec<Position>),
    /// Gives about this number of free pages back to the file system.
    Vacuum(i64),
}

/// The progress of a client in one of its subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The owner; `None` if the name alone identifies the client.
    pub owner: Option<Uuid>,
    /// The name chosen by the client's page.
    pub recover: String,
    /// The identifier of the subscription; empty if it has none.
    pub uid: String,
    /// The last offset that the client is known to have received.
    pub seq: i64,
    /// The time of that confirmation.
    pub confirmed: Timestamp,
}

impl Position {
    fn pack(&self) -> Json {
        let owner = self.owner.map(|owner| owner.to_string()).unwrap_or_default();
        json!([owner, self.recover, self.uid, self.seq, self.confirmed.millis()])
    }
}

const KEEP: &str = "insert into chinwag_positions (owner, recover, uid, seq, date_confirmed) \
     select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?) \
     where true \
     on conflict do update set seq = excluded.seq, date_confirmed = excluded.date_confirmed";

const DROP: &str = "delete from chinwag_positions where (owner, recover, uid) in \
     (select value ->> 0, value ->> 1, value ->> 2 from json_each(?))";

impl Maintenance {
    /// Runs it within a transaction.
    pub(super) async fn run(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        match self {
            Self::Forget(to) => {
                for statement in [
                    "delete from event_log where seq <= ?",
                    "delete from chinwag_idempotency where seq <= ?",
                    "update chinwag_counters set value = ? where name = 'log_floor'",
                ] {
                    sqlx::query(statement).bind(to).execute(&mut *connection).await?;
                }
            }
            Self::Vacuum(pages) => space::shrink(connection, *pages).await?,
            Self::Remember(kept, dropped) => {
                for (statement, positions) in [(DROP, dropped), (KEEP, kept)] {
                    if !positions.is_empty() {
                        let packed: Json = positions.iter().map(Position::pack).collect();
                        let packed = packed.to_string();
                        sqlx::query(statement).bind(packed).execute(&mut *connection).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Store {
    /// Saves some positions, replacing those with the same names, and deletes others.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn keep_positions(
        &self,
        kept: Vec<Position>,
        dropped: Vec<Position>,
    ) -> Result<(), StoreError> {
        self.maintain(Maintenance::Remember(kept, dropped)).await
    }

    /// Returns the saved positions, most recently confirmed first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn positions(&self) -> Result<Vec<Position>, StoreError> {
        let lines = sqlx::query(
            "select owner, recover, uid, seq, date_confirmed from chinwag_positions \
             order by date_confirmed desc",
        )
        .fetch_all(self.reserved())
        .await?;
        lines
            .iter()
            .map(|line| {
                Ok(Position {
                    owner: Uuid::try_parse(line.try_get(0)?).ok(),
                    recover: line.try_get(1)?,
                    uid: line.try_get(2)?,
                    seq: line.try_get(3)?,
                    confirmed: Timestamp::from_millis(line.try_get(4)?),
                })
            })
            .collect()
    }
}
