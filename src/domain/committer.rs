//! The commit path: writes a transaction, then updates the caches of this process before the caller
//! gets its answer. A client therefore sees the effect of its own change with its next request.
//!
//! A write that takes several transactions runs in its own task, so it is not cancelled along with
//! the connection that requested it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::Error;
use crate::domain::admission::Admission;
use crate::domain::permissions::Permissions;
use crate::domain::quota::{Owner, Permit, Quota};
use crate::domain::row_cache::RowCache;
use crate::model::collection::Exposure;
use crate::model::id;
use crate::model::schema::{SESSIONS, USERS};
use crate::model::{Actor, Event};
use crate::store::{
    Begun, FlowKey, IdempotencyKey, Integrity, Mutation, Outcome, Store, StoreError, Write,
};

/// The divisor that gives one owner's share of the writer's queue. A larger write is accepted only
/// while nothing else of the same owner waits.
const WAITING_SHARE: usize = 4;

/// The minimum pause between two transactions of one write. The pause is at least as long as the
/// previous transaction took, which leaves half of the writer's time to other writes.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The maximum time that a transaction waits for the delivery of the previous transaction's events.
/// The events occupy memory until then.
const DELIVERY_PATIENCE: Duration = Duration::from_millis(250);

/// The pause after a transient error.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Commits writes and keeps the caches up to date.
pub struct Committer {
    store: Arc<Store>,
    row_cache: Arc<RowCache>,
    permissions: Arc<Permissions>,
    clock: Clock,
    /// The bytes of queued writes per owner. The store itself limits their total.
    waiting: Arc<Quota>,
    admission: Arc<Admission>,
    /// The identity version. It changes with every change of an account, a session or a permission.
    identity_version: AtomicU64,
    /// The offset of the last event whose delivery has begun.
    delivering: AtomicI64,
    /// The tasks of writes that take several transactions.
    long: TaskTracker,
}

impl Committer {
    /// Creates the commit path from its dependencies.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        row_cache: Arc<RowCache>,
        permissions: Arc<Permissions>,
        admission: Arc<Admission>,
        clock: Clock,
    ) -> Self {
        let waiting = Quota::new(store.queue_bytes_max() / WAITING_SHARE, usize::MAX);
        Self {
            store,
            row_cache,
            permissions,
            clock,
            waiting,
            admission,
            identity_version: AtomicU64::new(0),
            delivering: AtomicI64::new(0),
            long: TaskTracker::new(),
        }
    }

    /// Commits a write of the service itself, durably, and returns its events in order.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if the writer's queue is full, and the errors of the write itself.
    /// Nothing is committed in either case.
    pub async fn commit(self: &Arc<Self>, write: Write) -> Result<Vec<Arc<Event>>, Error> {
        match self.carry_out(FlowKey::of(write.actor), write, None, None).await? {
            Outcome::Committed(events) | Outcome::Partial(events, _) => Ok(events),
            // Only a write with an idempotency key can be a duplicate.
            Outcome::Duplicate(_) => Ok(Vec::new()),
        }
    }

    /// Commits operations as [`Committer::commit`], now, on behalf of an account or, with `None`,
    /// of the service itself.
    ///
    /// # Errors
    /// As [`Committer::commit`].
    pub async fn commit_ops(
        self: &Arc<Self>,
        actor: Option<Uuid>,
        ops: Vec<Mutation>,
    ) -> Result<(), Error> {
        self.commit(Write { actor, at: self.clock.now(), ops }).await.map(drop)
    }

    /// Commits as [`Committer::commit`] on behalf of an actor. The write is admitted first, counts
    /// towards the actor's share of the queue, and is scheduled fairly among owners. With an
    /// idempotency key, a duplicate is not written again.
    ///
    /// # Errors
    /// As [`Committer::commit`], also if the owner's share of the queue is full;
    /// [`Error::Unprocessable`] if the key was used for another request; as [`Admission::admit`].
    pub async fn commit_for(
        self: &Arc<Self>,
        actor: &Actor,
        write: Write,
        once: Option<IdempotencyKey>,
    ) -> Result<Outcome, Error> {
        let owner = Owner::of(actor);
        let bytes = self.store.queue_bytes(&write).min(self.waiting.max_of(owner));
        let queue_permit = self.waiting.take(owner, bytes).map_err(|_| StoreError::QueueFull)?;
        let permit = self.admission.admit(actor, &write).await?;
        let outcome = self.carry_out(FlowKey::of(owner), write, once, Some(queue_permit)).await?;
        if let (Some(permit), Outcome::Committed(events)) = (permit, &outcome)
            && let Some(last) = events.last()
        {
            permit.commit(last.seq);
        }
        Ok(outcome)
    }

    /// Runs a write to its end and holds `queue_permit` until its first transaction ends. A write
    /// that may take several transactions runs in its own task: if the client disconnects during
    /// the first one, the others are still executed.
    async fn carry_out(
        self: &Arc<Self>,
        flow: FlowKey,
        write: Write,
        once: Option<IdempotencyKey>,
        queue_permit: Option<Permit>,
    ) -> Result<Outcome, Error> {
        if !write.may_take_steps() {
            let outcome = self.store.write_in_flow(flow, write, once).await?;
            drop(queue_permit);
            return self.settle(outcome).await;
        }
        let committer = Arc::clone(self);
        let running = self.long.spawn(async move {
            let outcome = committer.store.write_in_flow(flow, write, once).await?;
            drop(queue_permit);
            committer.settle(outcome).await
        });
        running.await.map_err(|_| StoreError::Stopped)?
    }

    /// Resumes the deletions that an earlier process left unfinished.
    pub fn resume(self: &Arc<Self>) {
        let committer = Arc::clone(self);
        self.long.spawn(async move {
            let begun = match committer.store.begun_deletions().await {
                Ok(begun) => begun,
                Err(_) if committer.store.is_ending() => return,
                Err(error) => {
                    tracing::error!(error = %error, "cannot read unfinished deletions");
                    return;
                }
            };
            for Begun { rest, erases } in begun {
                tracing::info!(actor = ?rest.actor, erases, "resuming unfinished deletions");
                // The failure is logged already; the next start tries again.
                let done = Arc::clone(&committer).finish(rest).await;
                if erases
                    && done.is_ok()
                    && let Err(error) = committer.store.purge_texts().await
                {
                    tracing::error!(
                        error = %error,
                        "the search index still has parts of erased texts"
                    );
                }
            }
        });
    }

    /// Waits for the writes that take several transactions. Call it once the store is closed.
    pub async fn ended(&self) {
        self.long.close();
        self.long.wait().await;
    }

    /// Applies the events of a write and, if it takes several transactions, waits for the others.
    /// Returns the events of the transaction that performs the write itself.
    async fn settle(self: &Arc<Self>, outcome: Outcome) -> Result<Outcome, Error> {
        match outcome {
            Outcome::Committed(events) => {
                self.apply(&events).await;
                Ok(Outcome::Committed(events))
            }
            Outcome::Partial(events, rest) => {
                self.apply(&events).await;
                let is_decided = rest.is_decided();
                let finishing = self.long.spawn(Arc::clone(self).finish(rest));
                let last = finishing.await.map_err(|_| StoreError::Stopped)??;
                Ok(Outcome::Committed(if is_decided { events } else { last }))
            }
            before @ Outcome::Duplicate(_) => Ok(before),
        }
    }

    /// Commits the rest of a write, one transaction at a time, and returns the events of the last.
    async fn finish(self: Arc<Self>, mut rest: Write) -> Result<Vec<Arc<Event>>, Error> {
        let flow = FlowKey::of(id::fresh());
        loop {
            if self.store.is_ending() {
                return Err(StoreError::Stopped.into());
            }
            rest.at = self.clock.now();
            let begin = Instant::now();
            match self.store.write_in_flow(flow, rest.clone(), None).await {
                Ok(Outcome::Committed(events)) => {
                    self.apply(&events).await;
                    return Ok(events);
                }
                Ok(Outcome::Partial(events, next)) => {
                    self.apply(&events).await;
                    rest = next;
                    let last = events.last().map_or(0, |event| event.seq);
                    drop(events);
                    time::sleep(begin.elapsed().max(PAUSE_MIN)).await;
                    self.await_delivery(last).await;
                }
                Ok(Outcome::Duplicate(_)) => return Ok(Vec::new()),
                Err(error) if error.is_passing() => {
                    tracing::warn!(error = %error, "a long write failed and will be retried");
                    time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => {
                    if rest.is_decided() {
                        tracing::error!(
                            error = %error,
                            "a deletion stays unfinished until the next start"
                        );
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Waits until the delivery of the event at `seq` begins, up to `DELIVERY_PATIENCE`.
    async fn await_delivery(&self, seq: i64) {
        let until = Instant::now() + DELIVERY_PATIENCE;
        while self.delivering.load(Ordering::Acquire) < seq && Instant::now() < until {
            time::sleep(PAUSE_MIN).await;
        }
    }

    /// Applies an event that is about to be delivered, as [`Committer::apply`]. Records its offset.
    pub async fn hear(&self, event: &Arc<Event>) {
        self.apply(std::slice::from_ref(event)).await;
        self.delivering.fetch_max(event.seq, Ordering::AcqRel);
    }

    /// Returns the admission of writes.
    #[must_use]
    pub const fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Applies committed events of any origin to the caches. Idempotent.
    pub async fn apply(&self, events: &[Arc<Event>]) {
        let mut identity_version = false;
        for event in events {
            if event.collection.exposure != Exposure::Items {
                self.row_cache.apply(event);
                identity_version |= [&USERS, &SESSIONS].contains(&event.collection);
            }
        }
        let rights = self.permissions.apply(events).await;
        if identity_version || rights {
            self.identity_version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns the identity version. It changes with every applied change of an account, a session
    /// or a permission. While it is unchanged, a principal that was resolved before stays valid.
    #[must_use]
    pub fn identity_version(&self) -> u64 {
        self.identity_version.load(Ordering::Acquire)
    }

    /// Checks the database file for damage. Only one check runs at a time.
    ///
    /// # Errors
    /// When the store fails during the check.
    pub async fn check_integrity(&self) -> Result<Integrity, Error> {
        Ok(self.store.check_integrity().await?)
    }

    /// Returns the latency of a small read.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn response_time(&self) -> Result<Duration, Error> {
        Ok(self.store.response_time().await?)
    }
}
