//! Removes the trigrams of deleted and edited texts from the segments of the index.
//!
//! In a table without texts, FTS5 deletes by a tombstone beside the segment; the trigrams stay in
//! the file until the segment is merged. (Its option `secure-delete` has no effect on such a
//! table.) A purge merges all segments into one, a few pages at a time. An erasure waits for a
//! purge. Other purges run from time to time, so rarely that they take a thousandth of the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, Row as _, SqliteConnection};
use tokio::sync::watch;

use crate::store::StoreError;
use crate::store::search::indexer::adapt;

/// Minimum and maximum number of index pages that a step writes.
const PAGES: (i64, i64) = (1, 256);

/// The pause between two steps of a purge that no erasure waits for.
const PAUSE: Duration = Duration::from_millis(20);

/// Pause after a purge: the minimum, and a multiple of the duration of that purge.
const REST_MIN: Duration = Duration::from_mins(1);
const REST_OF_WORK: u32 = 1_000;

/// The handle for requesting purges and following their progress.
#[derive(Clone)]
pub(in crate::store) struct Purges {
    wanted: Arc<AtomicI64>,
    purged: watch::Receiver<i64>,
}

impl Purges {
    /// Requests a purge of the texts that were deleted up to an event.
    pub(in crate::store) fn request(&self, seq: i64) {
        self.wanted.fetch_max(seq, Ordering::AcqRel);
    }

    /// Waits until the purge up to an event has ended.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] if the writer ends before that.
    pub(in crate::store) async fn wait(&self, seq: i64) -> Result<(), StoreError> {
        let mut purged = self.purged.clone();
        purged.wait_for(|purged| *purged >= seq).await.map_err(|_| StoreError::Stopped)?;
        Ok(())
    }
}

/// The purges of one index, one at a time.
pub(super) struct Purge {
    wanted: Arc<AtomicI64>,
    /// The offset up to which deleted texts have left no trigrams.
    purged: watch::Sender<i64>,
    /// The offset of the last event that left trigrams.
    stale: i64,
    phase: Phase,
    pages: i64,
    /// Whether the last step was part of a purge.
    stepped: bool,
    /// Total duration of the steps of this purge.
    work: Duration,
    /// Start of the next purge that is not requested.
    next: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Completes the merges that began before this purge: their output may contain trigrams of
    /// texts that were deleted meanwhile.
    Settling,
    /// Merges all segments that existed at this event.
    Merging(i64),
}

impl Purge {
    pub fn new(stale: i64, purged: i64) -> Self {
        Self {
            wanted: Arc::new(AtomicI64::new(i64::MIN)),
            purged: watch::channel(purged).0,
            stale,
            phase: Phase::Idle,
            pages: PAGES.0,
            stepped: false,
            work: Duration::ZERO,
            next: Instant::now() + REST_MIN,
        }
    }

    pub fn purges(&self) -> Purges {
        Purges { wanted: Arc::clone(&self.wanted), purged: self.purged.subscribe() }
    }

    /// Records the last event that left trigrams. An index that was emptied at an event has none.
    pub fn note(&mut self, stale: i64, emptied_at: Option<i64>) {
        self.stale = stale;
        if let Some(seq) = emptied_at {
            self.phase = Phase::Idle;
            self.purged.send_replace(seq);
        }
    }

    /// Returns whether a requested purge has not ended.
    pub fn is_requested(&self) -> bool {
        self.wanted.load(Ordering::Acquire) > *self.purged.borrow()
    }

    /// Returns whether a requested purge has to wait for the index, which has the events up to
    /// `indexed`.
    pub fn waits_for_index(&self, indexed: i64) -> bool {
        self.is_requested() && self.wanted.load(Ordering::Acquire) > indexed
    }

    /// Returns the time until the next step is due, given the time of the last one; `None` if there
    /// is nothing to purge.
    pub fn pause(&self, indexed: i64, last: Instant) -> Option<Duration> {
        if self.is_requested() && !self.waits_for_index(indexed) {
            return Some(Duration::ZERO);
        }
        match self.phase {
            Phase::Idle if self.stale <= *self.purged.borrow() => None,
            Phase::Idle => Some(self.next.saturating_duration_since(Instant::now())),
            Phase::Settling | Phase::Merging(_) => Some(PAUSE.saturating_sub(last.elapsed())),
        }
    }

    /// Returns whether the next step of the index is part of a purge: every other step, if there is
    /// other work.
    pub fn takes_turn(&mut self, indexed: i64, last: Instant, has_other: bool) -> bool {
        let is_due = self.pause(indexed, last).is_some_and(|pause| pause.is_zero());
        self.stepped = is_due && !(has_other && self.stepped);
        self.stepped
    }

    /// Merges some pages.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn step(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let start = Instant::now();
        let mut step = connection.begin_with("begin immediate").await?;
        let row = sqlx::query("select seq from chinwag_search").fetch_one(&mut *step).await?;
        let seq = row.try_get(0)?;
        let (phase, purged) = match self.phase {
            Phase::Idle if self.stale <= *self.purged.borrow() => (Phase::Idle, Some(seq)),
            Phase::Idle | Phase::Settling => {
                if merge(&mut step, self.pages).await? {
                    (Phase::Settling, None)
                } else if merge(&mut step, -self.pages).await? {
                    (Phase::Merging(seq), None)
                } else {
                    (Phase::Idle, Some(seq))
                }
            }
            Phase::Merging(begin) => {
                if merge(&mut step, self.pages).await? {
                    (self.phase, None)
                } else {
                    (Phase::Idle, Some(begin))
                }
            }
        };
        if let Some(purged) = purged {
            sqlx::query("update chinwag_search set purged = ?")
                .bind(purged)
                .execute(&mut *step)
                .await?;
        }
        step.commit().await?;
        let took = start.elapsed();
        self.pages = adapt(self.pages, took, PAGES);
        self.phase = phase;
        self.work += took;
        if let Some(purged) = purged {
            self.next = Instant::now() + REST_MIN.max(self.work * REST_OF_WORK);
            self.work = Duration::ZERO;
            self.purged.send_replace(purged);
        }
        Ok(())
    }
}

/// Continues the merge in progress, or begins one where a level has several segments. With a
/// negative number of pages, begins a merge of all segments. Returns whether it merged anything.
async fn merge(step: &mut SqliteConnection, pages: i64) -> Result<bool, StoreError> {
    let before = changes(step).await?;
    sqlx::query(
        "insert into chinwag_search_texts (chinwag_search_texts, rank) values ('merge', ?)",
    )
    .bind(pages)
    .execute(&mut *step)
    .await?;
    // The statement itself counts as one change.
    Ok(changes(step).await? - before >= 2)
}

async fn changes(step: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query("select total_changes()").fetch_one(step).await?.try_get(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate;

    /// Two trigrams of a rare text, without their first letter: terms are stored without the prefix
    /// that they share with the previous term.
    const TRACES: [&str; 2] = ["\u{a202}\u{a303}", "\u{a303}\u{a404}"];
    const RARE: &str = "\u{a101}\u{a202}\u{a303}\u{a404}";

    /// Returns an index of several segments. The last one contains the rare text, under the key 1.
    async fn index() -> SqliteConnection {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        migrate::run(&mut connection).await.unwrap();
        for key in (1..3_000).rev() {
            let text = format!("{} words of message {key}", if key == 1 { RARE } else { "some" });
            add(&mut connection, key, &text).await;
        }
        connection
    }

    async fn add(connection: &mut SqliteConnection, key: i64, text: &str) {
        sqlx::query("insert into chinwag_search_texts (rowid, content) values (?, ?)")
            .bind(key)
            .bind(text)
            .execute(connection)
            .await
            .unwrap();
    }

    async fn delete(connection: &mut SqliteConnection) {
        let sql = "delete from chinwag_search_texts where rowid = 1";
        sqlx::query(sql).execute(connection).await.unwrap();
    }

    async fn traces(connection: &mut SqliteConnection) -> i64 {
        let mut found = 0;
        for trace in TRACES {
            let sql = "select count(*) from chinwag_search_texts_data where instr(block, ?) > 0";
            let row = sqlx::query(sql).bind(trace.as_bytes()).fetch_one(&mut *connection).await;
            found += row.unwrap().get::<i64, _>(0);
        }
        found
    }

    /// Runs steps while any are due; returns their number.
    async fn run(purge: &mut Purge, connection: &mut SqliteConnection) -> usize {
        let long_ago = Instant::now().checked_sub(REST_MIN).unwrap();
        let mut steps = 0;
        while purge.takes_turn(0, long_ago, false) {
            purge.step(connection).await.unwrap();
            steps += 1;
        }
        steps
    }

    #[tokio::test]
    async fn a_purge_removes_deleted_texts_in_small_steps() {
        let mut connection = index().await;
        delete(&mut connection).await;
        assert_eq!(traces(&mut connection).await, 2, "a delete keeps the trigrams");

        let mut purge = Purge { next: Instant::now(), ..Purge::new(5, 0) };
        let steps = run(&mut purge, &mut connection).await;

        assert_eq!(traces(&mut connection).await, 0);
        assert!(steps > 5, "{steps}");
        let left = sqlx::query("select count(*) from chinwag_search_texts('mes')");
        assert_eq!(left.fetch_one(&mut connection).await.unwrap().get::<i64, _>(0), 2_998);
    }

    #[tokio::test]
    async fn a_purge_covers_segments_of_an_unfinished_merge() {
        let mut connection = index().await;
        // When the rare text is deleted, the merge has already written it.
        let mut merged = 0;
        while merge(&mut connection, if merged == 0 { -1 } else { 1 }).await.unwrap() && merged < 15
        {
            merged += 1;
        }
        delete(&mut connection).await;

        let mut purge = Purge { next: Instant::now(), ..Purge::new(5, 0) };
        run(&mut purge, &mut connection).await;

        assert!(merged > 1, "{merged}");
        assert_eq!(traces(&mut connection).await, 0);
    }

    #[tokio::test]
    async fn purges_are_spaced_out_unless_requested() {
        let mut connection = index().await;
        let mut purge = Purge::new(5, 0);
        let now = Instant::now();
        assert!(purge.pause(5, now) > Some(REST_MIN / 2), "the first purge is delayed");

        let purges = purge.purges();
        purges.request(7);
        assert!(purge.waits_for_index(5));
        assert_eq!(purge.pause(7, now), Some(Duration::ZERO));
        delete(&mut connection).await;
        sqlx::query("update chinwag_search set seq = 7").execute(&mut connection).await.unwrap();
        while purge.takes_turn(7, now, false) {
            purge.step(&mut connection).await.unwrap();
        }
        purges.wait(7).await.unwrap();
        assert_eq!(traces(&mut connection).await, 0);
        assert_eq!(purge.pause(7, now), None);

        purge.note(8, None);
        assert!(purge.pause(8, now) > Some(REST_MIN / 2));
        purge.note(8, Some(9));
        assert_eq!(purge.pause(9, now), None, "an emptied index needs no purge");
    }

    #[test]
    fn a_purge_takes_every_other_step_of_a_busy_index() {
        let mut purge = Purge::new(5, 0);
        let now = Instant::now();
        assert!(!purge.takes_turn(7, now, true));

        purge.purges().request(7);

        let turns = [true, true, true, true].map(|busy| purge.takes_turn(7, now, busy));
        assert_eq!(turns, [true, false, true, false]);
        assert!(purge.takes_turn(7, now, false) && purge.takes_turn(7, now, false));
    }
}
