//! The one road to a commit: write, then let this machine's caches know before anybody is answered,
//! so that whoever made a change sees its effect with the next call.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::directory::Directory;
use crate::domain::permissions::Permissions;
use crate::model::Event;
use crate::model::collection::Reach;
use crate::model::schema::SESSIONS;
use crate::model::schema::USERS;
use crate::store::Done;
use crate::store::Once;
use crate::store::Store;
use crate::store::Write;

/// Commits writes and keeps the caches true.
pub struct Changes {
    store: Arc<Store>,
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
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
    ) -> Self {
        Self { store, directory, permissions, standing: AtomicU64::new(0) }
    }

    /// Commits a write, durably, and returns its events in order.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if too many writes wait; what the write itself is refused for; nothing
    /// has happened then.
    pub async fn commit(&self, write: Write) -> Result<Vec<Arc<Event>>, Error> {
        let events = self.store.write(write).await?;
        self.apply(&events).await;
        Ok(events)
    }

    /// As [`Changes::commit`], unless the same has happened under this key already.
    ///
    /// # Errors
    /// As [`Changes::commit`]; [`Error::Unprocessable`] if the key stands for something else.
    pub async fn commit_once(&self, write: Write, once: Once) -> Result<Done, Error> {
        let done = self.store.write_once(write, once).await?;
        if let Done::Now(events) = &done {
            self.apply(events).await;
        }
        Ok(done)
    }

    /// Takes notice of committed events, whoever made them. Doing so twice does no harm.
    pub async fn apply(&self, events: &[Arc<Event>]) {
        let (mut rights, mut standing) = (None, false);
        for event in events {
            if event.collection.reach != Reach::Items {
                self.directory.apply(event);
                if Permissions::depend_on(event.collection) {
                    rights = Some(event.seq);
                }
                standing |= [&USERS, &SESSIONS].contains(&event.collection);
            }
        }
        if let Some(seq) = rights {
            self.permissions.refresh(seq).await;
        }
        if standing || rights.is_some() {
            self.standing.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns a number that is another one after each change of an account, a session or a right
    /// that somebody was answered: as long as it stays, so does who somebody is.
    #[must_use]
    pub fn standing(&self) -> u64 {
        self.standing.load(Ordering::Acquire)
    }

    /// Returns how long the store takes to answer a small read.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn response_time(&self) -> Result<Duration, Error> {
        Ok(self.store.response_time().await?)
    }
}
