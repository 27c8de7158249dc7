//! The single writer, with group commit.
//!
//! Writes wait in a bounded queue. The writer takes all queued writes up to the limits of one batch
//! (`fair_queue` selects them by fair queueing), runs them in one transaction together with their
//! rows in `event_log`, commits, and only then publishes events and replies. A lone write does not
//! wait for others: a batch consists of the writes that were queued during the previous commit. If
//! a write of a batch is refused, the batch is retried with a savepoint before each write, so that
//! one bad write fails alone and costs the others no commits of their own. A write with many
//! consequences ends a batch with one step of them (`steps`).

mod addresses;
mod administrators;
mod batch;
mod counters;
mod dates;
mod deletions;
mod failure;
mod fair_queue;
mod idempotency;
mod mutations;
mod queue;
mod references;
mod steps;

use std::iter;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::mpsc;

use crate::config::StoreConfig;
use crate::model::Place;
use crate::store::StoreError;
use crate::store::maintenance::Maintenance;
use crate::store::read;
use crate::store::recent::RecentMessages;
use crate::store::search::Indexer;
use crate::store::wal::Wal;
use crate::store::write::{Committed, IdempotencyKey, Outcome, Write};
pub(super) use crate::store::writer::batch::Step;
use crate::store::writer::batch::{Batch, Bounds, Ran};
use crate::store::writer::counters::Counters;
pub use crate::store::writer::deletions::Begun;
use crate::store::writer::deletions::Deletions;
use crate::store::writer::fair_queue::FairQueue;
use crate::store::writer::idempotency::Idempotency;
pub(super) use crate::store::writer::queue::{Job, Queue};

/// Size of queued writes and of the items that they touch at which a batch ends, in bytes. Bounds
/// the latency of the next batch.
const BATCH_BYTES_MAX: usize = 4 << 20;

pub(super) type JobResult = Result<Outcome, StoreError>;

/// The work of one job.
pub(super) enum Work {
    /// A write, with its idempotency key if it has one.
    Write(Write, Option<IdempotencyKey>),
    /// A maintenance write, without events.
    Maintenance(Maintenance),
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Write(write, _) => write.bytes(),
            Self::Maintenance(_) => 0,
        }
    }

    /// Returns whether the job is a step of a deletion that was decided before.
    fn is_step(&self) -> bool {
        matches!(self, Self::Write(write, _) if write.is_decided())
    }

    const fn once(&self) -> Option<&IdempotencyKey> {
        match self {
            Self::Write(_, key) => key.as_ref(),
            Self::Maintenance(_) => None,
        }
    }
}

/// The execution mode of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchMode {
    /// Optimistic: creates are inserted together, and one refusal rolls back the whole batch.
    Optimistic,
    /// With a savepoint before each write, so that a refusal rolls back that write alone. Costs a
    /// few more statements per write, but still only one commit.
    SavepointPerWrite,
}

/// The in-memory copy of the service's own tables that each transaction needs.
#[derive(Debug, Clone)]
struct State {
    counters: Counters,
    deletions: Deletions,
}

impl State {
    /// Reads the tables.
    async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let counters = Counters::load(connection).await?;
        Ok(Self { counters, deletions: Deletions::load(connection).await? })
    }
}

/// The state of the writer's task.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failure of the database: the state of the connection is unknown then, so the
    /// next batch opens a new one.
    connection: Option<SqliteConnection>,
    state: State,
    pub(super) recent: Arc<RecentMessages>,
    /// The offset and date of the last committed event.
    pub(super) head: Arc<Mutex<Place>>,
    committed: mpsc::Sender<Committed>,
    batch_max: usize,
    bounds: Bounds,
    /// Updates the search index while there is nothing to commit.
    pub(super) indexer: Indexer,
    /// Receives requests to truncate the write-ahead log.
    pub(super) wal: Arc<Wal>,
}

impl Writer {
    /// Loads the state of a migrated database. `options` open further connections to it.
    pub(super) async fn open(
        mut connection: SqliteConnection,
        options: SqliteConnectOptions,
        config: &StoreConfig,
        committed: mpsc::Sender<Committed>,
    ) -> Result<Self, StoreError> {
        let state = State::load(&mut connection).await?;
        let head = state.counters.head();
        Ok(Self {
            recent: Arc::new(read::read_newest(&mut connection).await?),
            indexer: Indexer::new(&mut connection, &options, head.seq).await?,
            options,
            connection: Some(connection),
            state,
            head: Arc::new(Mutex::new(head)),
            committed,
            batch_max: config.write_batch_max,
            bounds: Bounds {
                mutation_bytes_max: config.mutation_bytes_max,
                step: Step { rows: config.step_rows_max, bytes: config.step_bytes_max },
            },
            wal: Arc::new(Wal::of(config)),
        })
    }

    /// Commits queued writes until the queue is closed; returns the connection to be closed.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) -> Option<SqliteConnection> {
        let mut come = Vec::new();
        let mut jobs = Vec::new();
        let mut flows = FairQueue::new(self.batch_max);
        loop {
            if flows.is_empty() {
                let next = queue.recv_many(&mut come, usize::MAX);
                let received = match self.indexer.pause() {
                    None => Ok(next.await),
                    Some(pause) => tokio::time::timeout(pause, next).await,
                };
                let Ok(received) = received else {
                    self.indexer.step().await;
                    continue;
                };
                if received == 0 {
                    break;
                }
            } else {
                come.extend(iter::from_fn(|| queue.try_recv().ok()));
            }
            flows.take(&mut come, &mut jobs);
            self.commit(&mut jobs).await;
            flows.put_back(jobs.drain(..));
            self.wal.truncate_if_asked(self.connection.as_mut()).await;
            self.indexer.notice(self.head.lock().seq);
            if self.indexer.is_late() {
                self.indexer.step().await;
            }
        }
        self.indexer.close().await;
        self.connection
    }

    /// Runs the jobs that fit into one transaction, and replies to them. The other jobs are left
    /// for the next one.
    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        let outcomes = match self.transact(jobs, BatchMode::Optimistic).await {
            Err(_) if jobs.len() > 1 => self.transact(jobs, BatchMode::SavepointPerWrite).await,
            outcomes => outcomes,
        };
        match outcomes {
            Ok(outcomes) => {
                self.publish(&outcomes).await;
                for (job, outcome) in jobs.drain(..outcomes.len()).zip(outcomes) {
                    // The caller may be gone, but the write is committed.
                    let _ = job.reply.send(outcome);
                }
            }
            Err(error) => {
                let mut errors = iter::once(error);
                for job in jobs.drain(..) {
                    let error = errors.next().unwrap_or(StoreError::Abandoned);
                    let _ = job.reply.send(Err(error));
                }
            }
        }
    }

    /// Runs jobs in one transaction and returns the outcome of each job that was run. If the batch
    /// is full after the first jobs, the others wait for the next transaction.
    ///
    /// # Errors
    /// When the database failed or, with [`BatchMode::Optimistic`], a write was refused. Nothing is
    /// committed in either case.
    async fn transact(
        &mut self,
        jobs: &[Job],
        mode: BatchMode,
    ) -> Result<Vec<JobResult>, StoreError> {
        let outcome = self.attempt(jobs, mode).await;
        if let Err(StoreError::Database(error)) = &outcome {
            tracing::error!(error = %error, "a transaction failed, reopening the connection");
            if let Some(connection) = self.connection.take() {
                // Closing rolls back the transaction. If it fails, the lock on the file is still
                // released with the connection.
                let _ = connection.close_hard().await;
            }
        }
        outcome
    }

    async fn attempt(
        &mut self,
        jobs: &[Job],
        mode: BatchMode,
    ) -> Result<Vec<JobResult>, StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let mut connection = self.options.connect().await?;
                // The state in memory is that of the last commit that succeeded. A failed commit
                // may have taken effect nevertheless.
                self.state = State::load(&mut connection).await?;
                none.insert(connection)
            }
        };
        let mut batch = Batch::begin(connection, self.state.clone(), self.bounds).await?;
        let mut done = batch.recall(jobs.iter().filter_map(|job| job.work.once())).await?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for Job { work, .. } in jobs {
            // A step of a long deletion has a transaction of its own, and the writes before it have
            // the previous one: they wait for one step at most.
            let is_later = !outcomes.is_empty() && work.is_step();
            if batch.bytes() >= BATCH_BYTES_MAX || is_later {
                break;
            }
            let savepoint = match mode {
                BatchMode::Optimistic => None,
                BatchMode::SavepointPerWrite => Some(batch.savepoint().await?),
            };
            let outcome = do_one(&mut batch, &mut done, work, mode).await;
            match (&outcome, savepoint) {
                (Ok(_), Some(savepoint)) => batch.release(savepoint).await?,
                (Err(error), Some(savepoint)) if !error.is_passing() => {
                    batch.rollback_to(savepoint).await?;
                }
                // Nothing was written for this job.
                (Ok(_) | Err(StoreError::KeyReused), None) => {}
                (Err(_), _) => return outcome.map(|_| outcomes),
            }
            let is_step = matches!(outcome, Ok(Outcome::Partial(..)));
            outcomes.push(outcome);
            if is_step {
                // One step per batch, so that other writes can go in between.
                break;
            }
        }
        self.state = batch.commit(&done).await?;
        Ok(outcomes)
    }

    /// Publishes committed events.
    async fn publish(&self, outcomes: &[JobResult]) {
        let events = outcomes.iter().flat_map(|outcome| match outcome {
            Ok(Outcome::Committed(events) | Outcome::Partial(events, _)) => events.as_slice(),
            Ok(Outcome::Duplicate(_)) | Err(_) => &[],
        });
        let committed: Committed = events.cloned().collect();
        for event in committed.iter() {
            self.recent.apply(event);
        }
        if let Some(last) = committed.last() {
            *self.head.lock() = last.place();
        }
        if !committed.is_empty() {
            // A full channel blocks the writer, and with it the callers that queue writes: no event
            // is lost. A closed channel means that the service is shutting down.
            let _ = self.committed.send(committed).await;
        }
    }
}

/// Runs one job of a batch, unless it is a duplicate.
async fn do_one(
    batch: &mut Batch<'_>,
    done: &mut Idempotency,
    work: &Work,
    mode: BatchMode,
) -> JobResult {
    let (write, key) = match work {
        Work::Write(write, key) => (write, key),
        Work::Maintenance(maintenance) => {
            batch.maintain(maintenance).await?;
            return Ok(Outcome::Committed(Vec::new()));
        }
    };
    if let Some(items) = key.as_ref().map(|key| done.find(key)).transpose()?.flatten() {
        return Ok(Outcome::Duplicate(items));
    }
    let begin = batch.events().len();
    let ran = batch.run(write).await?;
    if mode == BatchMode::SavepointPerWrite {
        batch.insert().await?;
    }
    let events = batch.events()[begin..].to_vec();
    let rest = match ran {
        Ran::Whole => None,
        Ran::Again => return Ok(Outcome::Partial(events, write.clone())),
        Ran::Left(ops) => Some(Write { ops, ..*write }),
    };
    if let Some(key) = key {
        done.note(key, &events);
    }
    Ok(match rest {
        None => Outcome::Committed(events),
        Some(rest) => Outcome::Partial(events, rest),
    })
}
