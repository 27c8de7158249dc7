//! Named topics: the number of connections, and the newest messages as one list.
//!
//! Each payload of a topic is its full state and replaces the previous one. The list is kept per
//! scope (`feed`), updated by committed events and encoded once for all subscribers with the same
//! access. `subscriber` is one connection; `count` sends the number of connections. Independent of
//! the wire format: a transport supplies the encoder of frames.

mod count;
pub(super) mod feed;
pub(super) mod line;
mod pages;
mod subscriber;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use pages::Page;
pub use subscriber::{SubscriberHandle, Topic};

use crate::config::TopicsConfig;
use crate::domain::Error;
use crate::domain::auth::ClientInfo;
use crate::domain::items::Items;
use crate::domain::permissions::{Concern, Permissions};
use crate::domain::subscriptions::connection::ConnectionState;
use crate::domain::subscriptions::limits::SubscriptionQuota;
use crate::domain::subscriptions::recovery::Recovery;
use crate::domain::subscriptions::topics::feed::Feed;
use crate::domain::subscriptions::topics::pages::Pages;
use crate::domain::subscriptions::topics::subscriber::Subscriber;
use crate::model::{Actor, Event};

/// The minimum pause between two lists, per byte of the longest one: its transmission time at 40
/// Mbit/s. Messages sent meanwhile are in the next list.
const PAUSE_EACH: Duration = Duration::from_nanos(200);

/// The maximum number of queued events. Beyond it the lists are read again instead.
const EVENTS_MAX: usize = 1024;

/// Encodes the state of a topic, a JSON text, as a frame, header included.
pub type Encode = fn(topic: Topic, payload: &str) -> Bytes;

/// All connections that use topics, and the lists they are shown.
pub struct Topics {
    items: Arc<Items>,
    permissions: Arc<Permissions>,
    config: TopicsConfig,
    encode: Encode,
    quota: SubscriptionQuota,
    pages: Pages,
    subscribers: Mutex<HashMap<u64, Arc<Subscriber>>>,
    feeds: Mutex<Vec<Weak<Feed>>>,
    /// The offset of the last event that is in the lists. Held while lists change or are sent, so
    /// that no connection receives an older list after a newer one.
    order: tokio::sync::Mutex<i64>,
    events: mpsc::Sender<Arc<Event>>,
    missed: AtomicBool,
    /// Notified when a connection joins or leaves.
    moved: Notify,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Topics {
    /// Starts the tasks of the topics; [`Topics::finish`] ends them.
    pub(super) fn start(
        items: Arc<Items>,
        permissions: Arc<Permissions>,
        config: TopicsConfig,
        encode: Encode,
        quota: SubscriptionQuota,
        recovery: Arc<Recovery>,
    ) -> Arc<Self> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let pages = Pages::new(items.store.seed(), recovery);
        let topics = Arc::new(Self {
            items,
            permissions,
            config,
            encode,
            quota,
            pages,
            subscribers: Mutex::default(),
            feeds: Mutex::default(),
            order: tokio::sync::Mutex::default(),
            events: sender,
            missed: AtomicBool::new(false),
            moved: Notify::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        let (following, counting) = (Arc::clone(&topics), Arc::clone(&topics));
        topics.tasks.spawn(async move { following.follow(events).await });
        topics.tasks.spawn(async move { counting.count().await });
        topics
    }

    /// Returns the name of the page at the other end of a connection, from its client and the origin
    /// of the page; `None` if the client is no browser.
    pub(super) fn page(&self, client: &ClientInfo, origin: Option<&str>) -> Option<Page> {
        self.pages.name(client, origin)
    }

    /// Ends the tasks and waits for them.
    pub async fn finish(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Queues a committed event, in order, without waiting. The identities that it concerns must
    /// already be renewed.
    pub(super) fn notice(&self, event: &Arc<Event>) {
        if self.events.try_send(Arc::clone(event)).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// Adds a connection under a unique name. When this returns, its outbox has the current
    /// messages, unless there are none, its name and the number of connections. A page that has
    /// subscribed to `chat` before is subscribed again.
    pub(super) async fn enter(
        self: &Arc<Self>,
        connection: &Arc<ConnectionState>,
        name: Uuid,
        page: Option<Page>,
    ) -> SubscriberHandle {
        let actor = connection.actor();
        let known = page.as_ref().filter(|page| self.pages.has(page, &actor));
        if let Some(page) = known {
            self.pages.add(page, &actor);
        }
        let is_subscribed = known.is_some() || self.config.chat_default;
        let _order = self.order.lock().await;
        let permit = is_subscribed.then(|| self.quota.take(&connection.actor()).ok()).flatten();
        let subscriber = Subscriber::new(Arc::clone(connection), name, permit);
        self.settle(&subscriber).await;
        subscriber.show_unless_empty(self);
        if self.config.internal {
            let payload = format!(r#"{{"connectionId":"{name}"}}"#);
            subscriber.connection.outbox.push((self.encode)(Topic::Internal, &payload));
        }
        self.add(&subscriber);
        SubscriberHandle::new(Arc::clone(self), subscriber, page)
    }

    async fn follow(&self, mut events: mpsc::Receiver<Arc<Event>>) {
        let mut batch = Vec::new();
        loop {
            let waiting = events.recv_many(&mut batch, EVENTS_MAX);
            if self.stopping.run_until_cancelled(waiting).await.is_none() {
                return;
            }
            self.take(&batch).await;
            batch.clear();
            let pause = PAUSE_EACH * self.longest();
            self.stopping.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Updates all lists with these events, and sends those that changed. Of several changes in one
    /// batch only the final state is sent.
    async fn take(&self, batch: &[Arc<Event>]) {
        let mut order = self.order.lock().await;
        let missed = self.missed.swap(false, Ordering::AcqRel);
        for feed in self.feeds() {
            feed.follow(&self.items, batch, missed).await;
        }
        if let Some(last) = batch.last() {
            *order = last.seq;
        }
        // A change of an account's own permissions changes its actor, which resets its connections
        // as well.
        let is_for_all = |event: &Arc<Event>| Concern::of(event) == Concern::All;
        let rights = missed || batch.iter().any(is_for_all);
        for subscriber in self.subscribers() {
            if rights || !subscriber.is_settled() {
                self.settle(&subscriber).await;
            }
            subscriber.show_if_due(self, *order);
        }
    }

    /// Returns the length of the longest list that is in use, in bytes.
    fn longest(&self) -> u32 {
        let longest = self.feeds().iter().map(|feed| feed.frame_bytes()).max().unwrap_or(0);
        u32::try_from(longest).unwrap_or(u32::MAX)
    }

    /// Resolves the list that a connection may see now.
    async fn settle(&self, subscriber: &Subscriber) {
        let actor = subscriber.connection.actor();
        match self.feed_of(&actor).await {
            Ok(feed) => subscriber.settle(actor, feed),
            Err(error) => {
                tracing::warn!(error = %error, "cannot read the newest messages for a topic");
                subscriber.unsettle();
            }
        }
    }

    /// Returns the list that an actor may see; `None` without access to messages.
    async fn feed_of(&self, actor: &Actor) -> Result<Option<Arc<Feed>>, Error> {
        let length = self.config.chat_length;
        let Some(plan) = feed::plan(&self.items, &self.permissions, actor, length)? else {
            return Ok(None);
        };
        if let Some(feed) = self.feeds().into_iter().find(|feed| feed.plan == plan) {
            return Ok(Some(feed));
        }
        let feed = Arc::new(Feed::read(plan, &self.items, self.config.chat_bytes_max).await?);
        self.feeds.lock().push(Arc::downgrade(&feed));
        Ok(Some(feed))
    }

    /// Returns the lists that are in use.
    fn feeds(&self) -> Vec<Arc<Feed>> {
        let mut feeds = self.feeds.lock();
        let alive: Vec<_> = feeds.iter().filter_map(Weak::upgrade).collect();
        feeds.retain(|feed| feed.strong_count() > 0);
        alive
    }

    fn subscribers(&self) -> Vec<Arc<Subscriber>> {
        self.subscribers.lock().values().cloned().collect()
    }
}
