//! Starts a subscription: a snapshot, then events, without a gap or a repetition.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::items::keys;
use crate::domain::items::plan::Plan;
use crate::domain::items::read::Presented;
use crate::domain::quota::Owner;
use crate::domain::realtime::Envelope;
use crate::domain::realtime::Hub;
use crate::domain::realtime::Meter;
use crate::domain::realtime::News;
use crate::domain::realtime::ask::Ask;
use crate::domain::realtime::audience::Charge;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::view::Subject;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::EventAction;
use crate::model::Key;
use crate::model::Place;

/// A client's request for a subscription.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The collection.
    pub collection: &'static Collection,
    /// One kind of event; `None` for all three, which adds a snapshot at the start.
    pub event: Option<EventAction>,
    /// One item only, by its key as the client wrote it.
    pub item: Option<Json>,
    /// Fields and filter, and for the snapshot also sort and limit; null for none.
    pub query: Json,
    /// The resume point.
    pub resume: Resume,
    /// Encodes notifications as frames.
    pub envelope: Envelope,
    /// Counts the snapshot, as an answer.
    pub meter: Meter,
}

/// The point at which a subscription that began earlier resumes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// The cursor of the last event the client received.
    pub since: Option<String>,
    /// The name that the client's page gave itself, under which its position is stored: for clients
    /// that keep no cursors.
    pub recover: Option<Arc<str>>,
    /// Whether the cursor takes precedence over the stored position: the client had asked for
    /// something else on the same connection.
    pub(super) insists: bool,
}

impl Resume {
    /// Creates a resume point: the stored position of the page of this name or, if there is none, a
    /// cursor. Without either, the subscription starts from the current state.
    #[must_use]
    pub fn new(recover: Option<String>, since: Option<String>) -> Self {
        Self { since, recover: recover.map(Arc::from), insists: false }
    }

    /// Returns whether the client asks for missed events.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.since.is_some() || self.recover.is_some()
    }

    /// Returns whether both are the same resume point.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.since == other.since && self.recover == other.recover
    }
}

impl Subscribe {
    /// Returns the key of the item, if the subscription is for one item.
    pub(super) fn key(&self) -> Result<Option<Key>, Error> {
        let Some(item) = &self.item else { return Ok(None) };
        match keys::parse(self.collection, item) {
            Some(key) => Ok(Some(key)),
            None => Err(Error::Forbidden(Forbidden::Item)),
        }
    }
}

impl Hub {
    /// Resolves the subject of a subscription with the permissions of an actor.
    pub(super) fn subject(&self, actor: &Actor, listener: &Listener) -> Result<Subject, Error> {
        let Ask { collection, event, item, .. } = &listener.ask;
        let query = self.items.parse(actor, collection, &listener.ask.query())?;
        let plan = Plan::new(&self.permissions, actor, collection, &query)?;
        if item.is_some() && !plan.projection.scope().has(collection.key()) {
            return Err(Error::Forbidden(Forbidden::Item));
        }
        Ok(Subject { collection, event: *event, item: *item, plan, meta: query.meta })
    }

    /// Adds a subscription to the view of its subject. With one kind of event and no resume point
    /// it begins at once; otherwise its events are buffered until [`Hub::begin`].
    ///
    /// # Errors
    /// As [`Audience::enter`](crate::domain::realtime::audience::Audience::enter).
    pub(super) fn enter(
        &self,
        listener: &Arc<Listener>,
        subject: Subject,
        bound: Charge,
    ) -> Result<(), Error> {
        let at_once = listener.ask.event.is_some() && !listener.ask.resume.is_asked();
        let place = match &listener.ask.taken {
            None => Some(self.items.store.head()),
            // The usual case; any other place is looked up.
            Some(taken) => Some(self.last_delivered()).filter(|place| place.seq == taken.told),
        };
        if at_once
            && listener.is_held()
            && let Some(place) = place
        {
            let init = self.init(listener, place, None);
            let begin = |listener: &Listener| listener.open(Some(init), place.seq);
            self.audience.enter(listener, subject, bound, begin)
        } else {
            self.audience.enter(listener, subject, bound, |_| {})
        }
    }

    /// Starts a subscription that is in a view and buffers its events: sends a snapshot, then the
    /// buffered events. If the subscription was moved to another view meanwhile, its access has
    /// changed, and the snapshot is read again.
    ///
    /// If the client asks for missed events, these are replayed instead of the snapshot.
    ///
    /// # Errors
    /// The error of the read; [`Error::Forbidden`] if the subscription has left its view.
    pub(super) async fn begin(self: &Arc<Self>, listener: &Arc<Listener>) -> Result<(), Error> {
        let asked = listener.ask.resume.is_asked();
        if (asked || listener.ask.taken.is_some())
            && listener.is_held()
            && let Some(place) = self.resumption(listener).await?
        {
            let first = self.init(listener, place, asked.then_some(true));
            listener.open_behind(first, place.seq);
            let view = listener.view.lock();
            listener.note_begin(view.as_ref(), place.seq, asked.then_some(place.seq));
            drop(view);
            self.catch_up(listener);
            return Ok(());
        }
        self.begin_anew(listener, asked.then_some(false)).await
    }

    /// Starts a subscription from the current state.
    pub(super) async fn begin_anew(
        self: &Arc<Self>,
        listener: &Arc<Listener>,
        recovered: Option<bool>,
    ) -> Result<(), Error> {
        while listener.is_held() {
            let view = listener.view.lock().clone();
            let view = view.ok_or_else(|| Error::collection(listener.ask.collection.name))?;
            let Subject { plan, item, meta, event, .. } = &view.subject;
            let most = self.answer_bytes_max;
            let (init, place) = if event.is_some() {
                let head = self.items.store.head();
                self.remember_begin(listener, head).await;
                (self.init(listener, head, recovered), head)
            } else {
                let reader = Owner::of(&listener.connection.identity.lock().actor);
                let now = self.items.present(plan, *item, *meta, most, reader).await?;
                let cursor = self.cursors.make(now.place);
                let Presented { data, truncated, counts, place } = &now;
                let begins = News::init(Some(&cursor), recovered);
                let (truncated, counts) = (*truncated, *counts);
                let news = News { data: Some(data), truncated, counts, ..begins };
                (listener.ask.envelope.wrap(news), *place)
            };
            let current = listener.view.lock();
            if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &view)) {
                listener.open(Some(init), place.seq);
                listener.note_begin(Some(&view), place.seq, None);
            }
        }
        // If the buffer was discarded, its events are read from the log.
        self.catch_up(listener);
        Ok(())
    }

    /// Stores the position at which a subscription without a snapshot begins: nothing is lost if
    /// the client never receives its first frame. For other subscriptions only acknowledged
    /// positions count.
    ///
    /// The position is written before the client receives the frame, since a process that is killed
    /// would otherwise forget a subscription that had begun. Connections that begin too many
    /// subscriptions are excluded.
    async fn remember_begin(self: &Arc<Self>, listener: &Listener, place: Place) {
        let Some(name) = listener.name() else { return };
        if !listener.connection.may_remember(2 * self.subscriptions_max) {
            return;
        }
        let by = Owner::of(&listener.connection.identity.lock().actor);
        self.positions.begin(name, place.seq, by, self.now());
        // In a task of its own: the task also writes positions of other connections, which would
        // stay unwritten if it were dropped together with this connection.
        let hub = Arc::clone(self);
        let written = self.beginnings.spawn(async move { hub.remember(None).await }).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(error = %error, "where a subscription begins could not be written down");
        }
    }

    /// Returns the `init` frame of a subscription that begins at a place.
    fn init(&self, listener: &Listener, place: Place, recovered: Option<bool>) -> Bytes {
        let cursor = self.cursors.make(place);
        listener.ask.envelope.wrap(News::init(Some(&cursor), recovered))
    }

    /// Starts a subscription in a task of its own, for callers that cannot wait for the read.
    pub(super) fn begin_later(self: &Arc<Self>, listener: Arc<Listener>) {
        let hub = Arc::clone(self);
        self.beginnings.spawn(async move {
            if let Err(error) = hub.begin(&listener).await {
                hub.end_with(&listener, &error);
            }
        });
    }

    /// Removes a subscription from its view and sends the error.
    pub(super) fn end_with(&self, listener: &Listener, error: &Error) {
        self.audience.leave(listener);
        let envelope = &listener.ask.envelope;
        listener.outbox.push((envelope.encode_error)(envelope.uid.as_deref(), error));
    }
}
