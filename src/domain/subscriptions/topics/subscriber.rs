//! One connection that uses topics: its subscriptions, and the state it was sent last.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::subscriptions::connection::ConnectionState;
use crate::domain::subscriptions::topics::Topics;
use crate::domain::subscriptions::topics::feed::Feed;
use crate::domain::subscriptions::topics::pages::Page;
use crate::model::Actor;
use crate::model::named::named;
use crate::model::schema::MESSAGES;

named! {
    /// A topic that has a meaning here.
    pub enum Topic {
        /// The newest messages.
        Chat = "chat",
        /// The number of connections.
        Session = "session",
        /// The typing users.
        Typing = "typing",
        /// Frames for one connection alone.
        Internal = "_internal",
    }
}

/// A connection that uses topics. Dropping it ends that.
pub struct SubscriberHandle {
    topics: Arc<Topics>,
    subscriber: Arc<Subscriber>,
    /// The page at the other end, if the client is a browser.
    page: Option<Page>,
}

impl SubscriberHandle {
    pub(super) const fn new(
        topics: Arc<Topics>,
        subscriber: Arc<Subscriber>,
        page: Option<Page>,
    ) -> Self {
        Self { topics, subscriber, page }
    }

    /// Returns the name of the connection.
    #[must_use]
    pub fn name(&self) -> Uuid {
        self.subscriber.name
    }

    /// Subscribes to a topic. If its state has changed since this connection last received it, the
    /// new state is sent at once, otherwise with the next change. A connection that has left
    /// `session` cannot return, and `_internal` is always subscribed. `typing` is left to
    /// `Peer::watch_typing`.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] beyond the subscriptions of one account or address.
    pub async fn subscribe(&self, topic: Topic) -> Result<(), Error> {
        if topic != Topic::Chat {
            return Ok(());
        }
        let (topics, actor) = (&self.topics, self.subscriber.connection.actor());
        if let Some(page) = &self.page {
            topics.pages.add(page, &actor);
        }
        if self.subscriber.state.lock().chat.is_none() {
            let permit = topics.quota.take(&actor)?;
            let order = topics.order.lock().await;
            self.subscriber.state.lock().chat = Some(permit);
            self.subscriber.show_if_due(topics, *order);
        }
        Ok(())
    }

    /// Unsubscribes from a topic.
    pub fn unsubscribe(&self, topic: Topic) {
        match topic {
            Topic::Chat => {
                if let Some(page) = &self.page {
                    self.topics.pages.remove(page, &self.subscriber.connection.actor());
                }
                self.subscriber.state.lock().chat = None;
            }
            Topic::Session => self.subscriber.state.lock().session = false,
            Topic::Typing | Topic::Internal => {}
        }
    }

    /// Creates a message as a principal from `Peer::acting`. The connection is sent the list with the
    /// message, subscribed or not.
    ///
    /// # Errors
    /// As [`crate::domain::items::Items::create`].
    pub async fn publish(&self, actor: &Arc<Actor>, text: &str) -> Result<(), Error> {
        let topics = &self.topics;
        let actor = if actor.user.is_none() {
            // Accounts are known by their names, guests only by their connections.
            Arc::new(Actor { guest: Some(self.subscriber.name), ..Actor::clone(actor) })
        } else {
            Arc::clone(actor)
        };
        let (payload, query) = (json!({"content": text}), json!({"fields": ["id"]}));
        topics.items.create(&actor, &MESSAGES, payload, &query).await?;
        let position = topics.items.store.position();
        let order = topics.order.lock().await;
        self.subscriber.state.lock().own_message = Some(position);
        if *order >= position {
            self.subscriber.show_if_due(topics, *order);
        }
        Ok(())
    }
}

impl Drop for SubscriberHandle {
    fn drop(&mut self) {
        self.topics.remove(&self.subscriber);
    }
}

/// The state of a connection.
pub(super) struct Subscriber {
    pub(super) connection: Arc<ConnectionState>,
    pub(super) name: Uuid,
    state: Mutex<State>,
}

struct State {
    /// The permit from the subscription quota of its account and address, while it is subscribed to
    /// `chat`.
    chat: Option<ClientPermit>,
    session: bool,
    /// The actor that the list was resolved for; `None` if it has to be resolved again.
    actor: Option<Arc<Actor>>,
    feed: Option<Arc<Feed>>,
    /// The list that was sent last, by the numbers of the feed and of its state.
    shown: Option<(u64, u64)>,
    /// The offset of a message of this connection. It is sent the list with that message, subscribed
    /// or not.
    own_message: Option<i64>,
    /// The count that was sent last.
    count: usize,
}

impl Subscriber {
    /// `chat` is its permit if it is subscribed to that topic by default.
    pub(super) fn new(
        connection: Arc<ConnectionState>,
        name: Uuid,
        chat: Option<ClientPermit>,
    ) -> Arc<Self> {
        let state = State {
            chat,
            session: true,
            actor: None,
            feed: None,
            shown: None,
            own_message: None,
            count: 0,
        };
        Arc::new(Self { connection, name, state: Mutex::new(state) })
    }

    /// Returns whether the list was resolved for the current actor of the connection.
    pub(super) fn is_settled(&self) -> bool {
        let actor = self.connection.actor();
        self.state.lock().actor.as_ref().is_some_and(|settled| Arc::ptr_eq(settled, &actor))
    }

    pub(super) fn settle(&self, actor: Arc<Actor>, feed: Option<Arc<Feed>>) {
        let mut state = self.state.lock();
        (state.actor, state.feed) = (Some(actor), feed);
    }

    pub(super) fn unsettle(&self) {
        let mut state = self.state.lock();
        (state.actor, state.feed) = (None, None);
    }

    /// Sends the list to a new connection, unless it is empty.
    pub(super) fn show_unless_empty(&self, topics: &Topics) {
        let mut state = self.state.lock();
        let Some(feed) = state.feed.clone() else { return };
        let (version, frame) = feed.frame(topics.encode);
        state.shown = Some(version);
        if !feed.is_empty() {
            self.connection.outbox.push_whole(frame);
        }
    }

    /// Sends the list if it differs from the one that was sent last and the connection is
    /// subscribed or has just added to it. Without access, an empty list is sent once.
    pub(super) fn show_if_due(&self, topics: &Topics, order: i64) {
        let mut state = self.state.lock();
        let has_own_message = state.own_message.take_if(|seq| *seq <= order).is_some();
        if state.chat.is_none() && !has_own_message {
            return;
        }
        if let Some(feed) = state.feed.clone() {
            if state.shown == Some(feed.version()) {
                return;
            }
            let (version, frame) = feed.frame(topics.encode);
            state.shown = Some(version);
            self.connection.outbox.push_whole(frame);
        } else if state.actor.is_some() && state.shown.take().is_some() {
            self.connection.outbox.push_whole((topics.encode)(Topic::Chat, "[]"));
        }
    }

    /// Sends the number of connections, unless it was already sent.
    pub(super) fn send_count(&self, users: usize, frame: impl FnOnce() -> Bytes) {
        let mut state = self.state.lock();
        if state.session && state.count != users {
            state.count = users;
            self.connection.outbox.push(frame());
        }
    }
}
