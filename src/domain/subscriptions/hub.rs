//! The hub: all connections of this process. Passes each event to each view, in order.
//!
//! Access is decided at delivery: an event that changes permissions, accounts or sessions first
//! takes effect on every connection it concerns, and only then are later events sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{RwLock, Semaphore};
use tokio_util::task::TaskTracker;

use crate::config::{TopicsConfig, WebSocketConfig};
use crate::domain::auth::Auth;
use crate::domain::committer::Committer;
use crate::domain::delivery::{ByteBudget, Closing, Connections};
use crate::domain::items::Items;
use crate::domain::permissions::Permissions;
use crate::domain::subscriptions::connection::ConnectionState;
use crate::domain::subscriptions::cursor::Cursors;
use crate::domain::subscriptions::limits::{Limits, SubscriptionQuota};
use crate::domain::subscriptions::recovery::Recovery;
use crate::domain::subscriptions::topics;
use crate::domain::subscriptions::topics::Topics;
use crate::domain::subscriptions::typing::Typing;
use crate::domain::subscriptions::view::ViewContext;
use crate::domain::subscriptions::view_index::ViewIndex;
use crate::model::{Event, Place};

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
    pub(super) committer: Arc<Committer>,
    pub(super) view_index: ViewIndex,
    pub(super) views: Arc<ViewContext>,
    pub(super) topics: Arc<Topics>,
    pub(super) typing: Arc<Typing>,
    /// Held while an event is delivered to the views, and shared while subscriptions move between
    /// views: a move between two views that match the event would lose it or deliver it twice.
    pub(super) order: RwLock<()>,
    pub(super) connections: Connections<ConnectionState>,
    /// The tasks of subscriptions: deferred starts, replays, and writes of positions.
    pub(super) tasks: TaskTracker,
    ids: AtomicU64,
    pub(super) limits: Limits,
    /// The positions of clients that keep no cursors.
    pub(super) recovery: Arc<Recovery>,
    /// The last offset that was delivered or passed over.
    delivered: AtomicI64,
    /// The place of the last delivered event; offsets that were passed over since do not count.
    last_delivered: Mutex<Place>,
    /// Permits to read the log for clients that are behind.
    pub(super) reading: Semaphore,
    /// The maximum number of unsent bytes of replayed events per connection.
    pub(super) replay_bytes_max: usize,
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
    /// Creates a hub without connections. `encode` encodes the states of topics.
    #[must_use]
    pub fn new(
        items: Arc<Items>,
        permissions: Arc<Permissions>,
        auth: Arc<Auth>,
        committer: Arc<Committer>,
        config: &WebSocketConfig,
        topics: TopicsConfig,
        encode: topics::Encode,
    ) -> Self {
        let quota = SubscriptionQuota::new(config.user_subscriptions_max);
        let recovery = Arc::new(Recovery::new(
            Arc::clone(&items.store),
            items.clock.clone(),
            config.positions_max,
            config.user_positions_max,
            2 * config.subscriptions_max,
        ));
        let connections = Connections::new(config.outboxes_bytes_max);
        let views = Arc::new(ViewContext {
            items: Arc::clone(&items),
            cursors: Cursors::new(items.store.seed()),
            frame_bytes_max: config.answer_bytes_max,
            unsent: connections.unsent().clone(),
        });
        let admission = Arc::clone(committer.admission());
        Self {
            view_index: ViewIndex::new(Arc::clone(&views), config.user_queries_max, admission),
            views,
            typing: Typing::start(
                Arc::clone(&items),
                Arc::clone(&permissions),
                topics.typing_timeout,
                quota.clone(),
            ),
            topics: Topics::start(
                Arc::clone(&items),
                Arc::clone(&permissions),
                topics,
                encode,
                quota.clone(),
                Arc::clone(&recovery),
            ),
            order: RwLock::new(()),
            connections,
            tasks: TaskTracker::new(),
            ids: AtomicU64::new(1),
            limits: Limits::new(config, quota),
            recovery,
            delivered: AtomicI64::new(items.store.position()),
            last_delivered: Mutex::new(items.store.head()),
            reading: Semaphore::new(READING_MAX),
            replay_bytes_max: config.outbox_bytes_max / REPLAY_SHARE,
            items,
            permissions,
            auth,
            committer,
        }
    }

    /// Returns the positions of clients that keep no cursors.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Creates a budget for the answers of one connection; they count towards the global limit.
    #[must_use]
    pub fn budget(&self, bytes_max: usize) -> ByteBudget {
        self.connections.unsent().part(bytes_max)
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.connections.len()
    }

    /// Closes all connections once their queued frames are sent.
    pub fn close_all(&self, closing: Closing) {
        self.connections.close_all(closing);
    }

    /// Waits for the background tasks. Must be called after the last delivery.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
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
        self.connections.wait_for_capacity().await;
        self.committer.hear(event).await;
        self.review(event).await;
        self.topics.notice(event);
        self.typing.notice(event);
        let _round = self.order.write().await;
        let views = self.view_index.of(event);
        for (count, view) in views.into_iter().enumerate() {
            if count % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            self.start_replays(view.deliver(event).await);
        }
        *self.last_delivered.lock() = event.place();
        self.delivered.store(event.seq, Ordering::Release);
        self.progress(event.seq);
    }

    /// Reports the progress of delivery to the admission of writes.
    fn progress(&self, seq: i64) {
        self.committer.admission().progress().deliver(seq);
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
    pub(super) fn pass(&self, offset: i64) {
        self.delivered.store(offset, Ordering::Release);
        self.progress(offset);
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn leave(&self, connection: &ConnectionState) {
        self.typing.leave(connection);
        self.connections.remove(connection.id);
    }
}
