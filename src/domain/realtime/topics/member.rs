//! One connection that speaks of topics: what it wants to hear, and what it was shown last.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::client_shares::ClientPart;
use crate::domain::realtime::Peer;
use crate::domain::realtime::peer::Seat;
use crate::domain::realtime::topics::Topics;
use crate::domain::realtime::topics::feed::Feed;
use crate::model::Actor;
use crate::model::schema::MESSAGES;

/// A topic that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The newest messages.
    Chat,
    /// How many are here.
    Session,
    /// Who is writing just now.
    Typing,
    /// What is for one connection alone.
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

/// A connection that takes part. Dropping it ends that.
pub struct Member {
    topics: Arc<Topics>,
    attendee: Arc<Attendee>,
}

impl Member {
    pub(super) const fn new(topics: Arc<Topics>, attendee: Arc<Attendee>) -> Self {
        Self { topics, attendee }
    }

    /// Returns the name of the connection.
    #[must_use]
    pub fn name(&self) -> Uuid {
        self.attendee.name
    }

    /// Begins to hear of a topic. Whatever its state has become since this connection last saw it
    /// comes at once; else the next change. Who left `session` cannot come back, and who asks for
    /// `_internal` has it already. `typing` is left to [`crate::domain::realtime::Typing::watch`].
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] beyond the subscriptions of one account or address.
    pub async fn subscribe(&self, peer: &Peer, topic: Topic) -> Result<(), Error> {
        if topic == Topic::Chat && self.attendee.state.lock().chat.is_none() {
            let place = peer.take_place()?;
            let order = self.topics.order.lock().await;
            self.attendee.state.lock().chat = Some(place);
            self.attendee.show_if_due(&self.topics, *order);
        }
        Ok(())
    }

    /// Hears no more of a topic.
    pub fn unsubscribe(&self, topic: Topic) {
        let mut state = self.attendee.state.lock();
        match topic {
            Topic::Chat => state.chat = None,
            Topic::Session => state.session = false,
            Topic::Typing | Topic::Internal => {}
        }
    }

    /// Says something: a message is created as whoever is [`acting`](crate::domain::realtime::Peer).
    /// Its author is shown the list with it, subscribed or not.
    ///
    /// # Errors
    /// As [`crate::domain::items::Items::create`].
    pub async fn publish(&self, actor: &Arc<Actor>, text: &str) -> Result<(), Error> {
        let topics = &self.topics;
        let actor = if actor.user.is_none() {
            // Accounts are known by their names, guests only by their connections.
            Arc::new(Actor { guest: Some(self.attendee.name), ..Actor::clone(actor) })
        } else {
            Arc::clone(actor)
        };
        let (payload, query) = (json!({"content": text}), json!({"fields": ["id"]}));
        topics.items.create(&actor, &MESSAGES, payload, &query).await?;
        let position = topics.items.store.position();
        let order = topics.order.lock().await;
        self.attendee.state.lock().owed = Some(position);
        if *order >= position {
            self.attendee.show_if_due(topics, *order);
        }
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.topics.unseat(&self.attendee);
    }
}

/// What is kept of a connection.
pub(super) struct Attendee {
    pub(super) seat: Arc<Seat>,
    pub(super) name: Uuid,
    state: Mutex<State>,
}

struct State {
    /// Its place among the subscriptions of its account and address, while it hears of the chat.
    chat: Option<ClientPart>,
    session: bool,
    /// Whom the list was worked out for; `None` if it has to be worked out anew.
    actor: Option<Arc<Actor>>,
    feed: Option<Arc<Feed>>,
    /// The list that was shown last, by the numbers of the feed and of its state.
    shown: Option<(u64, u64)>,
    /// The place in the order of events from which on the list is owed to an author.
    owed: Option<i64>,
    /// The count that was told last.
    told: usize,
}

impl Attendee {
    /// `chat` is its place if it hears of that topic without asking.
    pub(super) fn new(seat: Arc<Seat>, name: Uuid, chat: Option<ClientPart>) -> Arc<Self> {
        let state = State {
            chat,
            session: true,
            actor: None,
            feed: None,
            shown: None,
            owed: None,
            told: 0,
        };
        Arc::new(Self { seat, name, state: Mutex::new(state) })
    }

    /// Returns whether the list is that of whoever the connection is now.
    pub(super) fn is_settled(&self) -> bool {
        let actor = self.seat.identity.lock().actor.clone();
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

    /// Shows the list to a newcomer, if there is something in it.
    pub(super) fn show_unless_empty(&self, topics: &Topics) {
        let mut state = self.state.lock();
        let Some(feed) = state.feed.clone() else { return };
        let (mark, frame) = feed.frame(topics.encode);
        state.shown = Some(mark);
        if !feed.is_empty() {
            self.seat.outbox.push_whole(frame);
        }
    }

    /// Shows the list if it is not the one that was shown last, to whoever wants to hear of it or has
    /// just added to it. Where nothing may be seen any more the list is empty from then on.
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
            if state.shown == Some(feed.mark()) {
                return;
            }
            let (mark, frame) = feed.frame(topics.encode);
            state.shown = Some(mark);
            self.seat.outbox.push_whole(frame);
        } else if state.actor.is_some() && state.shown.take().is_some() {
            self.seat.outbox.push_whole((topics.encode)(Topic::Chat, "[]"));
        }
    }

    /// Tells how many are here, unless that is known.
    pub(super) fn tell_count(&self, users: usize, frame: impl FnOnce() -> Bytes) {
        let mut state = self.state.lock();
        if state.session && state.told != users {
            state.told = users;
            self.seat.outbox.push(frame());
        }
    }
}
