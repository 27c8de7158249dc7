//! One connection that uses topics: its subscriptions, and the state it was sent last.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::subscriptions::Peer;
use crate::domain::subscriptions::peer::ConnectionState;
use crate::domain::subscriptions::topics::Topics;
use crate::domain::subscriptions::topics::feed::Feed;
use crate::model::Actor;
use crate::model::schema::MESSAGES;

/// A topic that has a meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The newest messages.
    Chat,
    /// The number of connections.
    Session,
    /// The typing users.
    Typing,
    /// Frames for one connection alone.
    Internal,
}

impl Topic {
    /// Returns the name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Session => "session",
            Self::Typing => "typing",
            Self::Internal => "_internal",
        }
    }

    /// Returns the topic of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let all = [Self::Chat, Self::Session, Self::Typing, Self::Internal];
        all.into_iter().find(|topic| topic.name() == name)
    }
}

/// A connection that uses topics. Dropping it ends that.
pub struct SubscriberHandle {
    topics: Arc<Topics>,
    subscriber: Arc<Subscriber>,
}

impl SubscriberHandle {
    pub(super) const fn new(topics: Arc<Topics>, subscriber: Arc<Subscriber>) -> Self {
        Self { topics, subscriber }
    }

    /// Returns the name of the connection.
    #[must_use]
    pub fn name(&self) -> Uuid {
        self.subscriber.name
    }

    /// Subscribes to a topic. If its state has changed since this connection last received it, the
    /// new state is sent at once, otherwise with the next change. A connection that has left
    /// `session` cannot return, and `_internal` is always subscribed. `typing` is left to
    /// [`crate::domain::subscriptions::Typing::watch`].
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] beyond the subscriptions of one account or address.
    pub async fn subscribe(&self, peer: &Peer, topic: Topic) -> Result<(), Error> {
        if topic == Topic::Chat && self.subscriber.state.lock().chat.is_none() {
            let place = peer.take_subscription()?;
            let order = self.topics.order.lock().await;
            self.subscriber.state.lock().chat = Some(place);
            self.subscriber.show_if_due(&self.topics, *order);
        }
        Ok(())
    }

    /// Unsubscribes from a topic.
    pub fn unsubscribe(&self, topic: Topic) {
        let mut state = self.subscriber.state.lock();
        match topic {
            Topic::Chat => state.chat = None,
            Topic::Session => state.session = false,
            Topic::Typing | Topic::Internal => {}
        }
    }

    /// Creates a message as the principal that is [`acting`](crate::domain::subscriptions::Peer). Its
    /// author is sent the list with the message, subscribed or not.
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
        self.subscriber.state.lock().owed = Some(position);
        if *order >= position {
            self.subscriber.show_if_due(topics, *order);
        }
        Ok(())
    }
}

impl Drop for SubscriberHandle {
    fn drop(&mut self) {
        self.topics.unseat(&self.subscriber);
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
    /// The offset from which on the list is owed to the author of a message.
    owed: Option<i64>,
    /// The count that was sent last.
    told: usize,
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
            owed: None,
            told: 0,
        };
        Arc::new(Self { connection, name, state: Mutex::new(state) })
    }

    /// Returns whether the list was resolved for the current actor of the connection.
    pub(super) fn is_settled(&self) -> bool {
        let actor = self.connection.identity.lock().actor.clone();
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
        let owed = state.owed.is_some_and(|owed| owed <= order);
        if owed {
            state.owed = None;
        }
        if state.chat.is_none() && !owed {
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
    pub(super) fn tell_count(&self, users: usize, frame: impl FnOnce() -> Bytes) {
        let mut state = self.state.lock();
        if state.session && state.told != users {
            state.told = users;
            self.connection.outbox.push(frame());
        }
    }
}
