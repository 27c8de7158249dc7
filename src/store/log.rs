//! The event log for its consumers: reading from an offset, and retention.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use sqlx::{Row as _, SqlitePool};

use crate::clock::Timestamp;
use crate::model::{Event, Place};
use crate::store::event_log;
use crate::store::maintenance::Maintenance;
use crate::store::writer::Step;
use crate::store::{Store, StoreError};

/// Budget of one truncation step, in items and bytes of the dropped events: some ten milliseconds
/// of the writer's time.
const STEP: Step = Step { rows: 500, bytes: 1 << 20 };

/// The state of the log that is kept in memory.
pub(super) struct Log {
    /// The unique secret of this database.
    seed: String,
    /// The offset and date of the last event.
    head: Arc<Mutex<Place>>,
    /// The smallest offset after which the log is complete.
    floor: AtomicI64,
    /// Offsets of consumers that read the log at their own pace. Unread events are kept.
    holds: Mutex<HashMap<&'static str, i64>>,
}

/// A page of events, in order.
#[derive(Debug)]
pub struct Page {
    /// The events.
    pub events: Vec<Arc<Event>>,
    /// The offset at which the page ends: the next page begins after it.
    pub last: i64,
}

/// The retention policy of the log.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Events before this time may be dropped; `None` for no limit.
    pub since: Option<Timestamp>,
    /// Maximum number of events; `None` for no limit.
    pub events_max: Option<i64>,
}

impl Log {
    pub(super) async fn open(
        reserved: &SqlitePool,
        head: Arc<Mutex<Place>>,
    ) -> Result<Self, StoreError> {
        let row = sqlx::query(
            "select (select seed from chinwag_database), \
             (select value from chinwag_counters where name = 'log_floor')",
        )
        .fetch_one(reserved)
        .await?;
        let (seed, floor) = (row.try_get(0)?, AtomicI64::new(row.try_get(1)?));
        Ok(Self { seed, head, floor, holds: Mutex::default() })
    }
}

impl Store {
    /// Returns the unique secret of this database, which only its copies share.
    #[must_use]
    pub fn seed(&self) -> &str {
        &self.log().seed
    }

    /// Returns the offset and date of the last committed event.
    #[must_use]
    pub fn head(&self) -> Place {
        *self.log().head.lock()
    }

    /// Returns the offset and date of the event with this number, if the log is complete after it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_place(&self, seq: i64) -> Result<Option<Place>, StoreError> {
        let floor = self.log().floor.load(Ordering::Acquire);
        if seq < floor || seq > self.head().seq {
            return Ok(None);
        }
        if seq == 0 {
            return Ok(Some(Place { seq, at: Timestamp::from_millis(0) }));
        }
        let line = sqlx::query("select date_created from event_log where seq = ?")
            .bind(seq)
            .fetch_optional(self.reserved())
            .await?;
        let Some(line) = line else { return Ok(None) };
        Ok(Some(Place { seq, at: Timestamp::from_millis(line.try_get(0)?) }))
    }

    /// Returns a page of the events in `(after, to]`: up to `limit` events, and at least one if
    /// there is any.
    ///
    /// # Errors
    /// [`StoreError::Forgotten`] if the log does not reach back that far.
    pub async fn events(&self, after: i64, to: i64, limit: u32) -> Result<Page, StoreError> {
        self.events_within(after, to, limit, event_log::PAGE_BYTES).await
    }

    /// Like [`Store::events`], but ends the page at about `bytes_max` bytes; it still has at least
    /// one event.
    ///
    /// # Errors
    /// As [`Store::events`].
    pub async fn events_within(
        &self,
        after: i64,
        to: i64,
        limit: u32,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        if after < self.log().floor.load(Ordering::Acquire) {
            return Err(StoreError::Forgotten);
        }
        let bytes_max = bytes_max.clamp(1, event_log::PAGE_BYTES);
        let mut reader = self.readers().borrow().await?;
        let read = event_log::read(&mut reader, after, to, limit, bytes_max).await;
        let (events, last) = reader.finish(read)?;
        Ok(Page { events, last })
    }

    /// Keeps the log from being truncated beyond `seq` for a consumer that has read up to it at its
    /// own pace. Each call replaces the offset of the previous one. A consumer that never calls
    /// this does not delay truncation.
    pub fn hold_log(&self, reader: &'static str, seq: i64) {
        self.log().holds.lock().insert(reader, seq);
    }

    /// Drops some of the events that the retention policy does not keep. Returns whether there is
    /// more to drop. The last event always stays, as do events that a consumer holds
    /// ([`Store::hold_log`]) and events that the search index does not contain yet.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError> {
        let log = self.log();
        let floor = log.floor.load(Ordering::Acquire);
        let held = log.holds.lock().values().copied().min().unwrap_or(i64::MAX);
        let held = held.min(self.indexed());
        let last = held.min(self.head().seq - 1).max(floor);
        let mut connection = self.reserved().acquire().await?;
        let step = event_log::reach(&mut connection, floor, last, STEP).await?;
        drop(connection);
        let surplus = retention.events_max.map_or(floor, |most| self.head().seq - most);
        let old = match retention.since {
            Some(since) => self.last_before(since, floor, step).await?,
            None => floor,
        };
        let to = surplus.max(old).min(step);
        if to <= floor {
            return Ok(false);
        }
        self.maintain(Maintenance::Forget(to)).await?;
        log.floor.fetch_max(to, Ordering::AcqRel);
        Ok(to == step && step < last)
    }

    /// Returns the last offset up to which every event is older than `since`.
    async fn last_before(&self, since: Timestamp, after: i64, to: i64) -> Result<i64, StoreError> {
        // Clocks can be set back: events after the first younger one are ignored.
        let row = sqlx::query(
            "select coalesce(min(case when date_created >= ?3 then seq - 1 end), max(seq), ?1) \
             from event_log where seq > ?1 and seq <= ?2",
        )
        .bind(after)
        .bind(to)
        .bind(since.millis())
        .fetch_one(self.reserved())
        .await?;
        Ok(row.try_get(0)?)
    }
}
