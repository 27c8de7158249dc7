//! The log of events as others see it: reading it from a place on, and how far back it is kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use sqlx::Row as _;
use sqlx::SqliteConnection;

use crate::clock::Timestamp;
use crate::model::Event;
use crate::model::Place;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::chore::Chore;
use crate::store::event_log;
use crate::store::writer::Step;

/// How many items the events may name that one step of shortening drops, and how many bytes they may
/// have: some ten milliseconds of the writer's time.
const STEP: Step = Step { rows: 500, bytes: 1 << 20 };

/// What is known of the log without reading it.
pub(super) struct Log {
    /// Who this database is.
    seed: String,
    /// The last event.
    pub(super) head: Arc<Mutex<Place>>,
    /// The last place behind which everything can be told.
    floor: AtomicI64,
    /// How far those have got who read the log at their own pace: what they have not read stays.
    holds: Mutex<HashMap<&'static str, i64>>,
}

/// Some events, in order.
#[derive(Debug)]
pub struct Page {
    /// The events.
    pub events: Vec<Arc<Event>>,
    /// How far this reaches: the next page begins behind it.
    pub last: i64,
}

/// What of the log is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// What happened since then; `None` for everything.
    pub since: Option<Timestamp>,
    /// So many events; `None` for all.
    pub events_max: Option<i64>,
}

impl Log {
    pub(super) async fn open(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let row = sqlx::query(
            "select (select seed from chinwag_database), \
             (select value from chinwag_counters where name = 'log_floor'), \
             (select value from chinwag_counters where name = 'seq'), \
             (select date_created from event_log order by seq desc limit 1)",
        )
        .fetch_one(connection)
        .await?;
        let at = Timestamp::from_millis(row.try_get::<Option<i64>, _>(3)?.unwrap_or(0));
        Ok(Self {
            seed: row.try_get(0)?,
            floor: AtomicI64::new(row.try_get(1)?),
            head: Arc::new(Mutex::new(Place { seq: row.try_get(2)?, at })),
            holds: Mutex::default(),
        })
    }
}

impl Store {
    /// Returns a secret of this database that no other one has, except its copies.
    #[must_use]
    pub fn seed(&self) -> &str {
        &self.log().seed
    }

    /// Returns the place of the last event that was committed.
    #[must_use]
    pub fn head(&self) -> Place {
        *self.log().head.lock()
    }

    /// Returns the place behind the event with this number, if all that happened since then can be
    /// told.
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

    /// Returns some of the events behind a place, up to another one. At least one, if there are any.
    ///
    /// # Errors
    /// [`StoreError::Forgotten`] if the log does not reach back that far.
    pub async fn events(&self, after: i64, to: i64, limit: u32) -> Result<Page, StoreError> {
        self.events_within(after, to, limit, event_log::PAGE_BYTES).await
    }

    /// Returns as [`Store::events`], up to one that makes it this long; at least one, all the same.
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

    /// Keeps the log from being shortened beyond a place, in the name of somebody who reads it at
    /// their own pace and has got that far. Each call takes the place of the last one; a reader who
    /// never calls is not waited for.
    pub fn hold_log(&self, reader: &'static str, seq: i64) {
        self.log().holds.lock().insert(reader, seq);
    }

    /// Drops some of what the log need not keep. Returns whether there is more to drop. The last
    /// event always stays, and so does what somebody holds ([`Store::hold_log`]) and what the index for
    /// searches does not know yet.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn shorten_log(&self, retention: Retention) -> Result<bool, StoreError> {
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
        self.keep_house(Chore::Forget(to)).await?;
        log.floor.fetch_max(to, Ordering::AcqRel);
        Ok(to == step && step < last)
    }

    /// Returns the last place up to which everything happened before an instant.
    async fn last_before(&self, since: Timestamp, after: i64, to: i64) -> Result<i64, StoreError> {
        // Clocks can be set back: what comes behind something younger is not looked at.
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
