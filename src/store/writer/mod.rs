//! The one writer: group commit.
//!
//! Writes wait in a bounded queue. The writer takes all that are there, runs them in one
//! transaction together with their lines in `event_log`, commits, and only then publishes and
//! answers. A lone write waits for nobody: a batch is what queued while the last one committed. If
//! a batch fails it is repeated one write at a time, so that a bad write fails alone.

mod administrators;
mod batch;
mod counters;
mod failure;
mod idempotency;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::model::Place;
use crate::store::StoreError;
use crate::store::chore::Chore;
use crate::store::recent::Recent;
use crate::store::search::Indexer;
use crate::store::write::Committed;
use crate::store::write::Done;
use crate::store::write::Once;
use crate::store::write::Write;
use crate::store::writer::batch::Batch;
pub(super) use crate::store::writer::counters::Counters;

type Outcome = Result<Done, StoreError>;

/// What waits to be done, and whom to tell.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// What a transaction can hold.
pub(super) enum Work {
    /// Changes, perhaps such as happen once.
    Write(Write, Option<Once>),
    /// What no event tells of.
    Chore(Chore),
}

impl Work {
    const fn once(&self) -> Option<&Once> {
        match self {
            Self::Write(_, once) => once.as_ref(),
            Self::Chore(_) => None,
        }
    }
}

/// The state of the writer's task.
pub(super) struct Writer {
    pub(super) options: SqliteConnectOptions,
    /// `None` after a failure of the database: what state the connection is in is then not known, so
    /// the next batch begins with a new one.
    pub(super) connection: Option<SqliteConnection>,
    pub(super) counters: Counters,
    pub(super) recent: Arc<Recent>,
    /// The place of the last committed event.
    pub(super) position: Arc<AtomicI64>,
    /// The same, with the instant of that event.
    pub(super) head: Arc<Mutex<Place>>,
    pub(super) committed: mpsc::Sender<Committed>,
    pub(super) batch_max: usize,
    /// Keeps the index for searches while there is nothing to commit.
    pub(super) indexer: Indexer,
}

impl Writer {
    /// Commits what is queued until nobody can queue any more; returns the connection to be closed.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) -> Option<SqliteConnection> {
        let mut jobs = Vec::with_capacity(self.batch_max);
        loop {
            let next = queue.recv_many(&mut jobs, self.batch_max);
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
            self.commit(&mut jobs).await;
            self.indexer.notice(self.position.load(Ordering::Acquire));
            if self.indexer.is_late() {
                self.indexer.step().await;
            }
        }
        self.indexer.close().await;
        self.connection
    }

    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        match self.transact(jobs).await {
            Ok(outcomes) => {
                self.publish(&outcomes).await;
                for (job, done) in jobs.drain(..).zip(outcomes) {
                    // Whoever asked may have gone; the write has happened all the same.
                    let _ = job.reply.send(Ok(done));
                }
            }
            Err(error) if jobs.len() == 1 => {
                if let Some(job) = jobs.pop() {
                    let _ = job.reply.send(Err(error));
                }
            }
            Err(_) => self.commit_singly(jobs).await,
        }
    }

    /// Commits each write in a transaction of its own. Once the database itself fails, the rest is
    /// given up: each would only fail after the same wait.
    async fn commit_singly(&mut self, jobs: &mut Vec<Job>) {
        let mut failing = false;
        for job in jobs.drain(..) {
            if failing {
                let _ = job.reply.send(Err(StoreError::Abandoned));
                continue;
            }
            let outcome = match self.transact(std::slice::from_ref(&job)).await {
                Ok(mut outcomes) => {
                    self.publish(&outcomes).await;
                    Ok(outcomes.pop().unwrap_or_else(|| Done::Now(Vec::new())))
                }
                Err(error) => {
                    failing = error.is_passing();
                    Err(error)
                }
            };
            let _ = job.reply.send(outcome);
        }
    }

    /// Runs writes in one transaction, all or none, and returns what became of each.
    async fn transact(&mut self, jobs: &[Job]) -> Result<Vec<Done>, StoreError> {
        let outcome = self.attempt(jobs).await;
        if let Err(StoreError::Database(error)) = &outcome {
            tracing::error!(error = %error, "a transaction failed, the connection is made anew");
            if let Some(connection) = self.connection.take() {
                // What was begun is rolled back by that; if it cannot be, the file's lock is gone
                // with the connection all the same.
                let _ = connection.close_hard().await;
            }
        }
        outcome
    }

    async fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Done>, StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let mut connection = self.options.connect().await?;
                // The counters in memory are those of the last commit that returned; one that
                // failed may have happened all the same.
                self.counters = Counters::load(&mut connection).await?;
                none.insert(connection)
            }
        };
        let mut batch = Batch::begin(connection, self.counters.clone()).await?;
        let mut done = batch.recall(jobs.iter().filter_map(|job| job.work.once())).await?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for Job { work, .. } in jobs {
            let (write, once) = match work {
                Work::Write(write, once) => (write, once),
                Work::Chore(chore) => {
                    batch.keep_house(chore).await?;
                    outcomes.push(Done::Now(Vec::new()));
                    continue;
                }
            };
            if let Some(items) = once.as_ref().map(|once| done.find(once)).transpose()?.flatten() {
                outcomes.push(Done::Before(items));
                continue;
            }
            let begin = batch.events().len();
            batch.run(write).await?;
            let events = batch.events()[begin..].to_vec();
            if let Some(once) = once {
                done.note(once, &events);
            }
            outcomes.push(Done::Now(events));
        }
        self.counters = batch.commit(&done).await?;
        Ok(outcomes)
    }

    /// Lets everybody know of what is committed.
    async fn publish(&self, outcomes: &[Done]) {
        let events = outcomes.iter().flat_map(|done| match done {
            Done::Now(events) => events.as_slice(),
            Done::Before(_) => &[],
        });
        let committed: Committed = events.cloned().collect();
        for event in committed.iter() {
            self.recent.apply(event);
            self.position.store(event.seq, Ordering::Release);
        }
        if let Some(last) = committed.last() {
            *self.head.lock() = last.place();
        }
        if !committed.is_empty() {
            // A full channel makes the writer wait, and with it those who queue: nothing is lost.
            // A closed one means that the service is ending and nobody listens any more.
            let _ = self.committed.send(committed).await;
        }
    }
}
