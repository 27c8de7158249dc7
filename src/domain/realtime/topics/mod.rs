//! Named topics: how many are here, and the newest messages as one list.
//!
//! Each payload of a topic is its whole state and takes the place of the one before. The list is kept
//! per scope (`feed`), moved on by committed events and encoded once for all who may see the same;
//! `member` is one connection; `count` tells how many there are. Knows no wire: a transport hands in
//! how a payload becomes a frame.

mod count;
pub(super) mod feed;
pub(super) mod line;
mod member;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use member::Member;
pub use member::Topic;

use crate::config::TopicsConfig;
use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::permissions::Concern;
use crate::domain::permissions::Permissions;
use crate::domain::realtime::Peer;
use crate::domain::realtime::topics::feed::Feed;
use crate::domain::realtime::topics::member::Attendee;
use crate::model::Actor;
use crate::model::Event;

/// How long at least lies between two lists, for each byte of the longer one: as long as a line of 40
/// Mbit/s takes for it. What is said meanwhile is in the next list.
const PAUSE_EACH: Duration = Duration::from_nanos(200);

/// How many events may wait to be taken notice of. One more, and the lists are read anew instead.
const EVENTS_MAX: usize = 1024;

/// Makes the frame that tells the state of a topic, a JSON text, header included.
pub type Encode = fn(topic: Topic, payload: &str) -> Bytes;

/// All connections that speak of topics, and what they are shown.
pub struct Topics {
    items: Arc<Items>,
    permissions: Arc<Permissions>,
    config: TopicsConfig,
    encode: Encode,
    attendees: Mutex<HashMap<u64, Arc<Attendee>>>,
    feeds: Mutex<Vec<Weak<Feed>>>,
    /// The place of the last event that is in the lists. Held while lists change or are handed out,
    /// so that nobody is shown an older one after a newer one.
    order: tokio::sync::Mutex<i64>,
    events: mpsc::Sender<Arc<Event>>,
    missed: AtomicBool,
    /// Told when somebody came or went.
    moved: Notify,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Topics {
    /// Begins to keep the topics; [`Topics::finish`] ends that.
    #[must_use]
    pub fn start(
        items: Arc<Items>,
        permissions: Arc<Permissions>,
        config: TopicsConfig,
        encode: Encode,
    ) -> Arc<Self> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let topics = Arc::new(Self {
            items,
            permissions,
            config,
            encode,
            attendees: Mutex::default(),
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

    /// Returns the settings.
    #[must_use]
    pub const fn config(&self) -> &TopicsConfig {
        &self.config
    }

    /// Ends the tasks and waits for them.
    pub async fn finish(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Takes notice of a committed event, in order, without waiting. Who is connected has been looked
    /// at by then.
    pub(super) fn notice(&self, event: &Arc<Event>) {
        if self.events.try_send(Arc::clone(event)).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// Lets a connection take part under a name that nobody else has. The messages of now, unless
    /// there are none, its name and the number of those who are here are in its outbox when this
    /// returns. `follows` says whether its page has subscribed to `chat` before.
    pub async fn enter(self: &Arc<Self>, peer: &Peer, name: Uuid, follows: bool) -> Member {
        let _order = self.order.lock().await;
        let hears = follows || self.config.chat_default;
        let place = if hears { peer.take_place().ok() } else { None };
        let attendee = Attendee::new(Arc::clone(&peer.seat), name, place);
        self.settle(&attendee).await;
        attendee.show_unless_empty(self);
        if self.config.internal {
            let payload = format!(r#"{{"connectionId":"{name}"}}"#);
            attendee.seat.outbox.push((self.encode)(Topic::Internal, &payload));
        }
        self.seat(&attendee);
        Member::new(Arc::clone(self), attendee)
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

    /// Moves all lists on by these events, and shows those that changed. Of several changes that
    /// wait together only the last state is shown.
    async fn take(&self, batch: &[Arc<Event>]) {
        let mut order = self.order.lock().await;
        let missed = self.missed.swap(false, Ordering::AcqRel);
        for feed in self.feeds() {
            feed.follow(&self.items, batch, missed).await;
        }
        if let Some(last) = batch.last() {
            *order = last.seq;
        }
        // Whoever's own rights change becomes another actor, which unsettles them as well.
        let is_for_all = |event: &Arc<Event>| Concern::of(event) == Concern::Everybody;
        let rights = missed || batch.iter().any(is_for_all);
        for attendee in self.attendees() {
            if rights || !attendee.is_settled() {
                self.settle(&attendee).await;
            }
            attendee.show_if_due(self, *order);
        }
    }

    /// Returns how long the longest list is that somebody is shown, in bytes.
    fn longest(&self) -> u32 {
        let longest = self.feeds().iter().map(|feed| feed.frame_bytes()).max().unwrap_or(0);
        u32::try_from(longest).unwrap_or(u32::MAX)
    }

    /// Works out what a connection may see now, and lets it see that from now on.
    async fn settle(&self, attendee: &Attendee) {
        let actor = attendee.seat.identity.lock().actor.clone();
        match self.feed_of(&actor).await {
            Ok(feed) => attendee.settle(actor, feed),
            Err(error) => {
                tracing::warn!(error = %error, "the newest messages could not be read for a topic");
                attendee.unsettle();
            }
        }
    }

    /// Returns the list that an actor may see; `None` if they may not read messages.
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

    /// Returns the lists that somebody is shown.
    fn feeds(&self) -> Vec<Arc<Feed>> {
        let mut feeds = self.feeds.lock();
        let alive: Vec<_> = feeds.iter().filter_map(Weak::upgrade).collect();
        feeds.retain(|feed| feed.strong_count() > 0);
        alive
    }

    fn attendees(&self) -> Vec<Arc<Attendee>> {
        self.attendees.lock().values().cloned().collect()
    }
}
