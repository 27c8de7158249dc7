//! Who listens here. Hands each event to each view, in order.
//!
//! Who may see is decided at delivery: an event that changes rights, accounts or sessions first acts
//! on every connection it concerns, and only then do later events go out.

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
use crate::domain::changes::Changes;
use crate::domain::client_shares::ClientShares;
use crate::domain::items::Items;
use crate::domain::permissions::Permissions;
use crate::domain::realtime::Closing;
use crate::domain::realtime::Meter;
use crate::domain::realtime::Outbox;
use crate::domain::realtime::Peer;
use crate::domain::realtime::Topics;
use crate::domain::realtime::Typing;
use crate::domain::realtime::audience::Audience;
use crate::domain::realtime::cursor::Cursors;
use crate::domain::realtime::pages::Pages;
use crate::domain::realtime::peer::Seat;
use crate::domain::realtime::positions::Positions;
use crate::domain::realtime::split::Lengths;
use crate::domain::shares::Shares;
use crate::model::Event;
use crate::model::Place;
use crate::store::Page;
use crate::store::Position;
use crate::store::StoreError;

/// How many positions are written down in one transaction.
const REMEMBERED_AT_ONCE: usize = 500;

/// After how many views that an event was offered to others get their turn.
const AT_ONCE: usize = 64;

/// The part of its outbox that what a connection missed may take before no more is read of it.
const REPLAY_SHARE: usize = 8;

/// How many pages of the log are read at a time for clients that are behind.
const READING_MAX: usize = 2;

/// All connections of this process and what they listen to.
pub struct Hub {
    pub(super) items: Arc<Items>,
    pub(super) permissions: Arc<Permissions>,
    pub(super) auth: Arc<Auth>,
    pub(super) changes: Arc<Changes>,
    pub(super) audience: Audience,
    topics: Arc<Topics>,
    typing: Arc<Typing>,
    /// Held while an event goes round the views, and shared by those who move listeners from view to
    /// view: a move between two views of one event would lose it or tell it twice.
    pub(super) order: RwLock<()>,
    pub(super) seats: Mutex<HashMap<u64, Arc<Seat>>>,
    /// Subscriptions that begin by themselves, when their connection signs in.
    pub(super) beginnings: TaskTracker,
    ids: AtomicU64,
    pub(super) subscriptions_max: usize,
    /// How long may be what a subscription begins with.
    pub(super) answer_bytes_max: usize,
    pub(super) queries_bytes_max: usize,
    /// The bytes of queries that are kept.
    pub(super) queries: Arc<Shares>,
    /// The subscriptions of each account and address.
    pub(super) subscriptions: Arc<ClientShares>,
    pub(super) cursors: Cursors,
    pub(super) pages: Pages,
    /// How far clients have got that keep no cursors.
    pub(super) positions: Positions,
    /// Held while positions are written down, so that whoever finds none left to write knows that
    /// theirs is on the disk and not only on its way.
    remembering: AsyncMutex<()>,
    /// The last event that went round the views.
    delivered: AtomicI64,
    /// The place of the last one that did, if nothing was passed over since.
    last_delivered: Mutex<Place>,
    /// Those who read the log for clients that are behind: a few at a time.
    pub(super) reading: Semaphore,
    /// How much may wait to be sent of what one subscription missed.
    pub(super) replay_bytes_max: usize,
    /// Frames that some connection has yet to be sent.
    pub(super) unsent: Meter,
    /// When it was last looked for those that leave most of that, by whoever does not wait for it.
    pub(super) making_room: Mutex<Option<Instant>>,
}

/// Why a connection may see something else than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Somebody signed in, or rights were changed.
    Rights,
    /// Nobody is signed in any more.
    Loss,
    /// The same, since a token expired: it is time to sign in again.
    Expiry,
}

impl Hub {
    /// Returns a hub without connections.
    #[must_use]
    pub fn new(
        items: Arc<Items>,
        permissions: Arc<Permissions>,
        auth: Arc<Auth>,
        changes: Arc<Changes>,
        topics: Arc<Topics>,
        config: &WebSocketConfig,
    ) -> Self {
        let patience = topics.config().typing_timeout;
        let typing = Typing::start(Arc::clone(&items), Arc::clone(&permissions), patience);
        let unsent = Meter::new(config.outboxes_bytes_max);
        Self {
            cursors: Cursors::new(items.store.seed()),
            pages: Pages::new(items.store.seed()),
            positions: Positions::new(config.positions_max, config.user_positions_max),
            remembering: AsyncMutex::default(),
            delivered: AtomicI64::new(items.store.position()),
            last_delivered: Mutex::new(items.store.head()),
            reading: Semaphore::new(READING_MAX),
            replay_bytes_max: config.outbox_bytes_max / REPLAY_SHARE,
            items,
            permissions,
            auth,
            audience: Audience::new(
                Lengths {
                    whole: config.answer_bytes_max,
                    part: config.answer_bytes_max.min(config.outbox_bytes_max / REPLAY_SHARE),
                },
                unsent.clone(),
                config.user_queries_max,
                Arc::clone(changes.admission()),
            ),
            changes,
            unsent,
            making_room: Mutex::default(),
            topics,
            typing,
            order: RwLock::new(()),
            seats: Mutex::default(),
            beginnings: TaskTracker::new(),
            ids: AtomicU64::new(1),
            subscriptions_max: config.subscriptions_max,
            answer_bytes_max: config.answer_bytes_max,
            queries_bytes_max: config.queries_bytes_max,
            queries: Shares::new(config.user_queries_bytes_max, config.all_queries_bytes_max),
            subscriptions: ClientShares::new(config.user_subscriptions_max),
        }
    }

    /// Lets a connection join, as whoever it is.
    #[must_use]
    pub fn join(self: &Arc<Self>, outbox: Arc<Outbox>, identity: Identity) -> Peer {
        let seat = Seat::new(self.next_id(), outbox, identity);
        self.seats.lock().insert(seat.id, Arc::clone(&seat));
        Peer::new(Arc::clone(self), seat)
    }

    /// Returns the named topics.
    #[must_use]
    pub const fn topics(&self) -> &Arc<Topics> {
        &self.topics
    }

    /// Returns who is writing.
    #[must_use]
    pub const fn typing(&self) -> &Arc<Typing> {
        &self.typing
    }

    /// Returns how many connections have joined.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.seats.lock().len()
    }

    /// Closes all connections, after what is queued for them.
    pub fn close_all(&self, closing: Closing) {
        for seat in self.seats.lock().values() {
            seat.outbox.close(closing);
        }
    }

    /// Takes in how far clients had got when that was last written down.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recall(&self) -> Result<(), StoreError> {
        self.positions.load(self.items.store.positions().await?);
        Ok(())
    }

    /// Writes down how far clients have got, and forgets those that were last heard of before an
    /// instant, in small steps. Best done every few seconds and at the end: a client that comes back
    /// is told again what it was told since.
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

    /// Waits for what the hub does by itself; to be called once nothing is delivered any more.
    pub async fn finish(&self) {
        self.beginnings.close();
        self.beginnings.wait().await;
        self.audience.finish().await;
        self.topics.finish().await;
        self.typing.finish().await;
    }

    /// Holds delivery back until what is returned is dropped: for tests of what may not wait for it.
    #[doc(hidden)]
    pub async fn hold(&self) -> impl Sized {
        self.order.write().await
    }

    /// Holds back the views that take long until what is returned is dropped: for tests of what may not
    /// wait for them.
    #[doc(hidden)]
    pub async fn hold_costly(&self) -> impl Sized + use<> {
        self.audience.hold_costly().await
    }

    /// Delivers a committed event. Events must come in order.
    pub async fn deliver(self: &Arc<Self>, event: &Arc<Event>) {
        self.wait_for_room().await;
        self.changes.hear(event).await;
        self.review(event).await;
        self.topics.notice(event);
        self.typing.notice(event);
        let _round = self.order.write().await;
        let views = self.audience.of(event);
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

    /// Tells the admission of writes how far delivery has got.
    fn progress(&self, seq: i64) {
        self.changes.admission().progress().deliver(seq);
    }

    /// Returns the place of the last event that was delivered. There may be nothing behind it that
    /// was passed over since.
    pub(super) fn last_delivered(&self) -> Place {
        *self.last_delivered.lock()
    }

    /// Returns the last event that was delivered. Nothing that is delivered later is before it.
    #[must_use]
    pub fn delivered(&self) -> i64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// Notes that there is nothing to deliver at a place.
    pub(super) fn pass(&self, place: i64) {
        self.delivered.store(place, Ordering::Release);
        self.progress(place);
    }

    /// Returns the last event that was committed, as far as is known here.
    pub(super) fn committed(&self) -> i64 {
        self.items.store.position()
    }

    /// Reads events that the bus has not brought.
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

    pub(super) fn leave(&self, seat: &Seat) {
        self.typing.leave(seat);
        self.seats.lock().remove(&seat.id);
    }
}

/// Takes the last of some positions.
fn last(positions: &mut Vec<Position>) -> Vec<Position> {
    positions.split_off(positions.len().saturating_sub(REMEMBERED_AT_ONCE))
}
