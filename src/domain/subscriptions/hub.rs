//! The hub: all connections of this process. Passes each event to each view, in order.
//!
//! Access is decided at delivery: an event that changes permissions, accounts or sessions first
//! takes effect on every connection it concerns, and only then are later events sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::RwLock;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::clock::Timestamp;
use crate::config::WebSocketConfig;
use crate::domain::auth::Auth;
use crate::domain::auth::Identity;
use crate::domain::client_quota::ClientQuota;
use crate::domain::committer::Committer;
use crate::domain::delivery::ByteBudget;
use crate::domain::delivery::Closing;
use crate::domain::delivery::Outbox;
use crate::domain::items::Items;
use crate::domain::permissions::Permissions;
use crate::domain::quota::Quota;
use crate::domain::subscriptions::Peer;
use crate::domain::subscriptions::Topics;
use crate::domain::subscriptions::Typing;
use crate::domain::subscriptions::cursor::Cursors;
use crate::domain::subscriptions::peer::ConnectionState;
use crate::domain::subscriptions::recovery::store::RecoveryStore;
use crate::domain::subscriptions::topics::pages::Pages;
use crate::domain::subscriptions::view_index::ViewIndex;
use crate::model::Event;
use crate::model::Place;
use crate::store::Page;
use crate::store::Position;
use crate::store::StoreError;

/// The number of positions that are written in one transaction.
const REMEMBERED_AT_ONCE: usize = 500;

/// The number of views that an event is delivered to before the task yields.
const AT_ONCE: usize = 64;

/// The fraction of its outbox, 1/8, that a connection's replay may fill before reading pauses.
const REPLAY_SHARE: usize = 8;

/// The number of pages of the log that are read at a time for clients that are behind.
const READING_MAX: usize = 2;

/// All connections of this process and their subscriptions.
pub struct Hub {
    pub(super) items: Arc<Items>,
    pub(super) permissions: Arc<Permissions>,
    pub(super) auth: Arc<Auth>,
    pub(super) changes: Arc<Committer>,
    pub(super) view_index: ViewIndex,
    topics: Arc<Topics>,
    typing: Arc<Typing>,
    /// Held while an event is delivered to the views, and shared while subscriptions move between
    /// views: a move between two views that match the event would lose it or deliver it twice.
    pub(super) order: RwLock<()>,
    pub(super) connections: Mutex<HashMap<u64, Arc<ConnectionState>>>,
    /// The tasks of subscriptions: deferred starts, replays, and writes of positions.
    pub(super) beginnings: TaskTracker,
    ids: AtomicU64,
    pub(super) subscriptions_max: usize,
    /// The maximum length of a snapshot.
    pub(super) answer_bytes_max: usize,
    pub(super) queries_bytes_max: usize,
    /// The quota for the bytes of stored queries.
    pub(super) queries: Arc<Quota>,
    /// The quota for subscriptions, by account and address.
    pub(super) subscriptions: ClientQuota,
    pub(super) cursors: Cursors,
    pub(super) pages: Pages,
    /// The positions of clients that keep no cursors.
    pub(super) positions: RecoveryStore,
    /// Held while positions are written, so that a caller that finds nothing left to write knows
    /// that its position is on disk and not merely being written.
    remembering: AsyncMutex<()>,
    /// The last offset that was delivered or passed over.
    delivered: AtomicI64,
    /// The place of the last delivered event; offsets that were passed over since do not count.
    last_delivered: Mutex<Place>,
    /// Permits to read the log for clients that are behind.
    pub(super) reading: Semaphore,
    /// The maximum number of unsent bytes of replayed events per connection.
    pub(super) replay_bytes_max: usize,
    /// The budget for unsent frames of all connections.
    pub(super) unsent: ByteBudget,
    /// When `Hub::shed_load` last searched for the connections with the largest backlog.
    pub(super) shedding: Mutex<Option<Instant>>,
}

/// Why the access of a connection may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// An account signed in, or permissions changed.
    Rights,
    /// No account is signed in any longer.
    Loss,
    /// As `Loss`, since a token expired: the client is expected to sign in again.
    Expiry,
}

impl Hub {
    /// Creates a hub without connections.
    #[must_use]
    pub fn new(
        items: Arc<Items>,
        permissions: Arc<Permissions>,
        auth: Arc<Auth>,
        changes: Arc<Committer>,
        topics: Arc<Topics>,
        config: &WebSocketConfig,
    ) -> Self {
        let patience = topics.config().typing_timeout;
        let typing = Typing::start(Arc::clone(&items), Arc::clone(&permissions), patience);
        let unsent = ByteBudget::new(config.outboxes_bytes_max);
        Self {
            cursors: Cursors::new(items.store.seed()),
            pages: Pages::new(items.store.seed()),
            positions: RecoveryStore::new(config.positions_max, config.user_positions_max),
            remembering: AsyncMutex::default(),
            delivered: AtomicI64::new(items.store.position()),
            last_delivered: Mutex::new(items.store.head()),
            reading: Semaphore::new(READING_MAX),
            replay_bytes_max: config.outbox_bytes_max / REPLAY_SHARE,
            items,
            permissions,
            auth,
            view_index: ViewIndex::new(
                config.answer_bytes_max,
                unsent.clone(),
                config.user_queries_max,
                Arc::clone(changes.admission()),
            ),
            changes,
            unsent,
            shedding: Mutex::default(),
            topics,
            typing,
            order: RwLock::new(()),
            connections: Mutex::default(),
            beginnings: TaskTracker::new(),
            ids: AtomicU64::new(1),
            subscriptions_max: config.subscriptions_max,
            answer_bytes_max: config.answer_bytes_max,
            queries_bytes_max: config.queries_bytes_max,
            queries: Quota::new(config.user_queries_bytes_max, config.all_queries_bytes_max),
            subscriptions: ClientQuota::new(config.user_subscriptions_max),
        }
    }

    /// Adds a connection with its identity.
    #[must_use]
    pub fn join(self: &Arc<Self>, outbox: Arc<Outbox>, identity: Identity) -> Peer {
        let connection = ConnectionState::new(self.next_id(), outbox, identity);
        self.connections.lock().insert(connection.id, Arc::clone(&connection));
        Peer::new(Arc::clone(self), connection)
    }

    /// Returns the named topics.
    #[must_use]
    pub const fn topics(&self) -> &Arc<Topics> {
        &self.topics
    }

    /// Returns the typing indicator.
    #[must_use]
    pub const fn typing(&self) -> &Arc<Typing> {
        &self.typing
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.connections.lock().len()
    }

    /// Closes all connections once their queued frames are sent.
    pub fn close_all(&self, closing: Closing) {
        for connection in self.connections.lock().values() {
            connection.outbox.close(closing);
        }
    }

    /// Loads the stored positions of clients.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recall(&self) -> Result<(), StoreError> {
        self.positions.load(self.items.store.positions().await?);
        Ok(())
    }

    /// Drops the positions that were last confirmed before `since`, and writes all changes in small
    /// transactions. To be called every few seconds and at shutdown: after a restart, clients
    /// receive the events after their stored positions again.
    ///
    /// # Errors
    /// When the database fails; the next call tries again.
    pub async fn remember(&self, since: Option<Timestamp>) -> Result<(), StoreError> {
        let _one = self.remembering.lock().await;
        if let Some(since) = since {
            self.positions.forget(since);
        }
        let (mut kept, mut gone) = self.positions.changes();
        while !kept.is_empty() || !gone.is_empty() {
            let step = (last(&mut kept), last(&mut gone));
            let written = self.items.store.keep_positions(step.0.clone(), step.1.clone()).await;
            if let Err(error) = written {
                kept.extend(step.0);
                gone.extend(step.1);
                self.positions.retry(kept, gone);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.items.clock.now()
    }

    /// Waits for the background tasks. Must be called after the last delivery.
    pub async fn finish(&self) {
        self.beginnings.close();
        self.beginnings.wait().await;
        self.view_index.finish().await;
        self.topics.finish().await;
        self.typing.finish().await;
    }

    /// Blocks delivery until the returned guard is dropped, to test operations that must not wait
    /// for it.
    #[doc(hidden)]
    pub async fn hold(&self) -> impl Sized {
        self.order.write().await
    }

    /// Blocks costly views until the returned permit is dropped, to test operations that must not
    /// wait for them.
    #[doc(hidden)]
    pub async fn hold_costly(&self) -> impl Sized + use<> {
        self.view_index.hold_costly().await
    }

    /// Delivers a committed event. Events must come in order.
    pub async fn deliver(self: &Arc<Self>, event: &Arc<Event>) {
        self.wait_for_capacity().await;
        self.changes.hear(event).await;
        self.review(event).await;
        self.topics.notice(event);
        self.typing.notice(event);
        let _round = self.order.write().await;
        let views = self.view_index.of(event);
        for (count, view) in views.into_iter().enumerate() {
            if count % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            view.deliver(self, event).await;
        }
        *self.last_delivered.lock() = event.place();
        self.delivered.store(event.seq, Ordering::Release);
        self.progress(event.seq);
    }

    /// Reports the progress of delivery to the admission of writes.
    fn progress(&self, seq: i64) {
        self.changes.admission().progress().deliver(seq);
    }

    /// Returns the place of the last delivered event. Offsets passed over since do not count.
    pub(super) fn last_delivered(&self) -> Place {
        *self.last_delivered.lock()
    }

    /// Returns the last delivered offset. Later deliveries have higher offsets.
    #[must_use]
    pub fn delivered(&self) -> i64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// Records that there is nothing to deliver at an offset.
    pub(super) fn pass(&self, place: i64) {
        self.delivered.store(place, Ordering::Release);
        self.progress(place);
    }

    /// Returns the last committed offset that is known here.
    pub(super) fn committed(&self) -> i64 {
        self.items.store.position()
    }

    /// Reads a page of events from the log.
    pub(super) async fn missing(
        &self,
        after: i64,
        to: i64,
        limit: u32,
    ) -> Result<Page, StoreError> {
        self.items.store.events(after, to, limit).await
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn leave(&self, connection: &ConnectionState) {
        self.typing.leave(connection);
        self.connections.lock().remove(&connection.id);
    }
}

/// Takes up to `REMEMBERED_AT_ONCE` positions from the end of a list.
fn last(positions: &mut Vec<Position>) -> Vec<Position> {
    positions.split_off(positions.len().saturating_sub(REMEMBERED_AT_ONCE))
}
