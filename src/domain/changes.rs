//! The one road to a commit: write, then let this machine's caches know before anybody is answered,
//! so that whoever made a change sees its effect with the next call.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::admission::Admission;
use crate::domain::directory::Directory;
use crate::domain::permissions::Permissions;
use crate::domain::shares::Owner;
use crate::domain::shares::Shares;
use crate::model::Actor;
use crate::model::Event;
use crate::model::collection::Reach;
use crate::model::schema::SESSIONS;
use crate::model::schema::USERS;
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

/// Commits writes and keeps the caches true.
pub struct Changes {
    store: Arc<Store>,
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
    /// The bytes of writes that wait for the writer. The whole is the store's to refuse.
    waiting: Arc<Shares>,
    admission: Arc<Admission>,
    /// Rises with every change of an account, a session or a right.
    standing: AtomicU64,
}

impl Changes {
    /// Returns the road over its parts.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        directory: Arc<Directory>,
        permissions: Arc<Permissions>,
        admission: Arc<Admission>,
    ) -> Self {
        let waiting = Shares::new(store.queue_bytes_max() / WAITING_SHARE, usize::MAX);
        let standing = AtomicU64::new(0);
        Self { store, directory, permissions, waiting, admission, standing }
    }

    /// Commits a write of the service's own, durably, and returns its events in order.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if too much waits to be written; what the write itself is refused for;
    /// nothing has happened then.
    pub async fn commit(&self, write: Write) -> Result<Vec<Arc<Event>>, Error> {
        let events = self.store.write(write).await?;
        self.apply(&events).await;
        Ok(events)
    }

    /// As [`Changes::commit`], once the write is admitted, out of the share of somebody and when it is
    /// their turn; with a key, unless the same has happened under it already.
    ///
    /// # Errors
    /// As [`Changes::commit`], also if too much waits of the same owner; [`Error::Unprocessable`] if
    /// the key stands for something else; as [`Admission::admit`].
    pub async fn commit_for(
        &self,
        actor: &Actor,
        write: Write,
        once: Option<Once>,
    ) -> Result<Done, Error> {
        let owner = Owner::of(actor);
        let bytes = self.store.queue_bytes(&write).min(self.waiting.of_one_max());
        let _part = self.waiting.take(owner, bytes, 0).map_err(|_| StoreError::QueueFull)?;
        let permit = self.admission.admit(actor, &write).await?;
        let done = self.store.write_in_turn(Turn::of(owner), write, once).await?;
        if let Done::Now(events) = &done {
            if let (Some(permit), Some(last)) = (permit, events.last()) {
                permit.commit(last.seq);
            }
            self.apply(events).await;
        }
        Ok(done)
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
