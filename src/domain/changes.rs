//! The one road to a commit: write, then let this machine's caches know before anybody is answered,
//! so that whoever made a change sees its effect with the next call.
//!
//! A write that takes several transactions is carried on by a task of its own: it does not end with
//! the connection that asked for it.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::Error;
use crate::domain::admission::Admission;
use crate::domain::directory::Directory;
use crate::domain::permissions::Permissions;
use crate::domain::shares::Owner;
use crate::domain::shares::Part;
use crate::domain::shares::Shares;
use crate::model::Actor;
use crate::model::Event;
use crate::model::collection::Reach;
use crate::model::id;
use crate::model::schema::SESSIONS;
use crate::model::schema::USERS;
use crate::store::Begun;
use crate::store::Done;
use crate::store::Integrity;
use crate::store::Once;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Turn;
use crate::store::Write;

/// The part of the queue of the writer that one owner may take. What is larger than that goes while
/// nothing else of theirs waits.
const WAITING_SHARE: usize = 4;

/// The pause between two transactions of one write: as long as the last one took and at least this
/// long, so that the writer has half of its time for others.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// How long the next transaction waits for the delivery of the events of the last one, which take
/// memory until then.
const DELIVERY_PATIENCE: Duration = Duration::from_millis(250);

/// The pause after a failure that passes.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Commits writes and keeps the caches true.
pub struct Changes {
    store: Arc<Store>,
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
    clock: Clock,
    /// The bytes of writes that wait for the writer. The whole is the store's to refuse.
    waiting: Arc<Shares>,
    admission: Arc<Admission>,
    /// Rises with every change of an account, a session or a right.
    standing: AtomicU64,
    /// The place of the last event whose delivery has begun.
    delivering: AtomicI64,
    /// Writes that take several transactions.
    long: TaskTracker,
}

impl Changes {
    /// Returns the road over its parts.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        directory: Arc<Directory>,
        permissions: Arc<Permissions>,
        admission: Arc<Admission>,
        clock: Clock,
    ) -> Self {
        let waiting = Shares::new(store.queue_bytes_max() / WAITING_SHARE, usize::MAX);
        Self {
            store,
            directory,
            permissions,
            clock,
            waiting,
            admission,
            standing: AtomicU64::new(0),
            delivering: AtomicI64::new(0),
            long: TaskTracker::new(),
        }
    }

    /// Commits a write of the service's own, durably, and returns its events in order.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if too much waits to be written; what the write itself is refused for;
    /// nothing has happened then.
    pub async fn commit(self: &Arc<Self>, write: Write) -> Result<Vec<Arc<Event>>, Error> {
        match self.carry_out(Turn::of(write.actor), write, None, None).await? {
            Done::Now(events) | Done::Partly(events, _) => Ok(events),
            // Only what has a key can have happened before.
            Done::Before(_) => Ok(Vec::new()),
        }
    }

    /// As [`Changes::commit`], once the write is admitted, out of the share of somebody and when it is
    /// their turn; with a key, unless the same has happened under it already.
    ///
    /// # Errors
    /// As [`Changes::commit`], also if too much waits of the same owner; [`Error::Unprocessable`] if
    /// the key stands for something else; as [`Admission::admit`].
    pub async fn commit_for(
        self: &Arc<Self>,
        actor: &Actor,
        write: Write,
        once: Option<Once>,
    ) -> Result<Done, Error> {
        let owner = Owner::of(actor);
        let bytes = self.store.queue_bytes(&write).min(self.waiting.of_one_max());
        let part = self.waiting.take(owner, bytes, 0).map_err(|_| StoreError::QueueFull)?;
        let permit = self.admission.admit(actor, &write).await?;
        let done = self.carry_out(Turn::of(owner), write, once, Some(part)).await?;
        if let (Some(permit), Done::Now(events)) = (permit, &done)
            && let Some(last) = events.last()
        {
            permit.commit(last.seq);
        }
        Ok(done)
    }

    /// Runs a write to its end and holds `part` until its first transaction. A task of its own
    /// does so if there may be several: a client that goes away before the first ends must not leave
    /// the others behind.
    async fn carry_out(
        self: &Arc<Self>,
        turn: Turn,
        write: Write,
        once: Option<Once>,
        part: Option<Part>,
    ) -> Result<Done, Error> {
        if !write.may_take_steps() {
            let done = self.store.write_in_turn(turn, write, once).await?;
            drop(part);
            return self.settle(done).await;
        }
        let changes = Arc::clone(self);
        let running = self.long.spawn(async move {
            let done = changes.store.write_in_turn(turn, write, once).await?;
            drop(part);
            changes.settle(done).await
        });
        running.await.map_err(|_| StoreError::Stopped)?
    }

    /// Goes on with the deletions that an earlier process began.
    pub fn resume(self: &Arc<Self>) {
        let changes = Arc::clone(self);
        self.long.spawn(async move {
            let begun = match changes.store.begun_deletions().await {
                Ok(begun) => begun,
                Err(_) if changes.store.is_ending() => return,
                Err(error) => {
                    tracing::error!(error = %error, "deletions that were begun cannot be read");
                    return;
                }
            };
            for Begun { rest, erases } in begun {
                tracing::info!(actor = ?rest.actor, erases, "deletions go on that were begun before");
                // A failure is in the log; the next start tries again.
                let done = Arc::clone(&changes).finish(rest).await;
                if erases
                    && done.is_ok()
                    && let Err(error) = changes.store.purge_texts().await
                {
                    tracing::error!(error = %error, "parts of erased texts are left in the index");
                }
            }
        });
    }

    /// Waits for the writes that take several transactions; to be called once the store is closed.
    pub async fn ended(&self) {
        self.long.close();
        self.long.wait().await;
    }

    /// Applies the events of a write, and waits for its other transactions if there are any. Returns the
    /// events of the transaction that the write itself happened in.
    async fn settle(self: &Arc<Self>, done: Done) -> Result<Done, Error> {
        match done {
            Done::Now(events) => {
                self.apply(&events).await;
                Ok(Done::Now(events))
            }
            Done::Partly(events, rest) => {
                self.apply(&events).await;
                let is_decided = rest.is_decided();
                let finishing = self.long.spawn(Arc::clone(self).finish(rest));
                let last = finishing.await.map_err(|_| StoreError::Stopped)??;
                Ok(Done::Now(if is_decided { events } else { last }))
            }
            before @ Done::Before(_) => Ok(before),
        }
    }

    /// Commits the rest of a write, a transaction at a time; returns the events of the last.
    async fn finish(self: Arc<Self>, mut rest: Write) -> Result<Vec<Arc<Event>>, Error> {
        let turn = Turn::of(id::fresh());
        loop {
            if self.store.is_ending() {
                return Err(StoreError::Stopped.into());
            }
            rest.at = self.clock.now();
            let begin = Instant::now();
            match self.store.write_in_turn(turn, rest.clone(), None).await {
                Ok(Done::Now(events)) => {
                    self.apply(&events).await;
                    return Ok(events);
                }
                Ok(Done::Partly(events, next)) => {
                    self.apply(&events).await;
                    rest = next;
                    let last = events.last().map_or(0, |event| event.seq);
                    drop(events);
                    time::sleep(begin.elapsed().max(PAUSE_MIN)).await;
                    self.await_delivery(last).await;
                }
                Ok(Done::Before(_)) => return Ok(Vec::new()),
                Err(error) if error.is_passing() => {
                    tracing::warn!(error = %error, "a long write waits");
                    time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => {
                    if rest.is_decided() {
                        tracing::error!(error = %error, "a deletion stays unfinished until a restart");
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Waits until the event at a place is being delivered; not for long.
    async fn await_delivery(&self, seq: i64) {
        let until = Instant::now() + DELIVERY_PATIENCE;
        while self.delivering.load(Ordering::Acquire) < seq && Instant::now() < until {
            time::sleep(PAUSE_MIN).await;
        }
    }

    /// Takes notice of an event that is about to be delivered. As [`Changes::apply`].
    pub async fn hear(&self, event: &Arc<Event>) {
        self.apply(std::slice::from_ref(event)).await;
        self.delivering.fetch_max(event.seq, Ordering::AcqRel);
    }

    /// Returns the admission of writes.
    #[must_use]
    pub const fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Takes notice of committed events, whoever made them. Doing so twice does no harm.
    pub async fn apply(&self, events: &[Arc<Event>]) {
        let mut standing = false;
        for event in events {
            if event.collection.reach != Reach::Items {
                self.directory.apply(event);
                standing |= [&USERS, &SESSIONS].contains(&event.collection);
            }
        }
        let rights = self.permissions.apply(events).await;
        if standing || rights {
            self.standing.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns a number that is another one after each change of an account, a session or a right
    /// that somebody was answered: as long as it stays, so does who somebody is.
    #[must_use]
    pub fn standing(&self) -> u64 {
        self.standing.load(Ordering::Acquire)
    }

    /// Checks the file of the database for damage; one check at a time.
    ///
    /// # Errors
    /// When the store fails otherwise.
    pub async fn check_integrity(&self) -> Result<Integrity, Error> {
        Ok(self.store.check_integrity().await?)
    }

    /// Returns how long the store takes to answer a small read.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn response_time(&self) -> Result<Duration, Error> {
        Ok(self.store.response_time().await?)
    }
}
