//! Beginning a subscription: what is there now, then news, without a gap and without a repetition.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::items::keys;
use crate::domain::items::plan::Plan;
use crate::domain::items::read::Presented;
use crate::domain::realtime::Envelope;
use crate::domain::realtime::Hub;
use crate::domain::realtime::Meter;
use crate::domain::realtime::News;
use crate::domain::realtime::ask::Ask;
use crate::domain::realtime::audience::Charge;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::view::Subject;
use crate::domain::shares::Owner;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::EventAction;
use crate::model::Key;
use crate::model::Place;

/// What a client wants to hear of.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The collection.
    pub collection: &'static Collection,
    /// One kind of event; `None` for all three, and then what is there now comes first.
    pub event: Option<EventAction>,
    /// One item only, by its key as the client wrote it.
    pub item: Option<Json>,
    /// Fields, filter, and for what comes first also sort and limit; null for none.
    pub query: Json,
    /// Where to go on.
    pub resume: Resume,
    /// How news becomes a frame.
    pub envelope: Envelope,
    /// What counts what comes first, as an answer.
    pub meter: Meter,
}

/// Where a subscription goes on that had begun before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// Behind the last thing the client was told, by its cursor.
    pub since: Option<String>,
    /// Where its client is known to have got to, by the name that its page gave itself: for clients
    /// that keep no cursor.
    pub recover: Option<Arc<str>>,
    /// Whether the cursor counts although it is known where the client has got to: on the same connection
    /// it had asked for something else.
    pub(super) insists: bool,
}

impl Resume {
    /// Returns what goes on where a page of this name has got to or, where that is not known, behind
    /// a cursor; from now on without either.
    #[must_use]
    pub fn new(recover: Option<String>, since: Option<String>) -> Self {
        Self { since, recover: recover.map(Arc::from), insists: false }
    }

    /// Returns whether the client asks for what it missed.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.since.is_some() || self.recover.is_some()
    }

    /// Returns whether clients asked for the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.since == other.since && self.recover == other.recover
    }
}

impl Subscribe {
    /// Returns the key of the one item, if it is about one.
    pub(super) fn key(&self) -> Result<Option<Key>, Error> {
        let Some(item) = &self.item else { return Ok(None) };
        match keys::parse(self.collection, item) {
            Some(key) => Ok(Some(key)),
            None => Err(Error::Forbidden(Forbidden::Item)),
        }
    }
}

impl Hub {
    /// Works out what a listener gets to see as this actor.
    pub(super) fn subject(&self, actor: &Actor, listener: &Listener) -> Result<Subject, Error> {
        let Ask { collection, event, item, .. } = &listener.ask;
        let query = self.items.parse(actor, collection, &listener.ask.query())?;
        let plan = Plan::new(&self.permissions, actor, collection, &query)?;
        if item.is_some() && !plan.projection.scope().has(collection.key()) {
            return Err(Error::Forbidden(Forbidden::Item));
        }
        Ok(Subject { collection, event: *event, item: *item, plan, meta: query.meta })
    }

    /// Lets a listener take part in the view of its subject. With one kind of event it is told at
    /// once that it begins; without, its news is held back until [`Hub::begin`].
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
            // The usual case; any other is looked up.
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

    /// Tells a listener that takes part in a view, and whose news is held back, what is there now,
    /// and then lets its news through. If it was moved to another view meanwhile, what it may see has
    /// changed, and it is read anew.
    ///
    /// # Errors
    /// What the reading fails with; [`Error::Forbidden`] if it takes part in no view any more.
    ///
    /// If its client asks for what it missed, that is told instead, and then the news.
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

    /// Begins with what is there now.
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
                let reader = Owner::of(&listener.seat.identity.lock().actor);
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
        // Some of what was held back may have to be read in the log.
        self.catch_up(listener);
        Ok(())
    }

    /// Remembers where a subscription begins that shows nothing at first: should its first frame be
    /// lost, that is no loss. Of others only what was confirmed counts.
    ///
    /// It is written down before the client hears of it: else a process that is killed would have
    /// forgotten a subscription that had begun. A connection that begins ever so many is not worth that.
    async fn remember_begin(self: &Arc<Self>, listener: &Listener, place: Place) {
        let Some(name) = listener.name() else { return };
        if !listener.seat.may_remember(2 * self.subscriptions_max) {
            return;
        }
        let by = Owner::of(&listener.seat.identity.lock().actor);
        self.positions.begin(name, place.seq, by, self.now());
        // In a task of its own: the positions of others are among those that it writes, and would
        // stay unwritten if it were dropped together with this connection.
        let hub = Arc::clone(self);
        let written = self.beginnings.spawn(async move { hub.remember(None).await }).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(error = %error, "where a subscription begins could not be written down");
        }
    }

    /// Returns the frame that says that a subscription begins at a place.
    fn init(&self, listener: &Listener, place: Place, recovered: Option<bool>) -> Bytes {
        let cursor = self.cursors.make(place);
        listener.ask.envelope.wrap(News::init(Some(&cursor), recovered))
    }

    /// Begins in a task of its own, for whoever cannot wait for a reading.
    pub(super) fn begin_later(self: &Arc<Self>, listener: Arc<Listener>) {
        let hub = Arc::clone(self);
        self.beginnings.spawn(async move {
            if let Err(error) = hub.begin(&listener).await {
                hub.end_with(&listener, &error);
            }
        });
    }

    /// Takes a listener out of its view, and says why.
    pub(super) fn end_with(&self, listener: &Listener, error: &Error) {
        self.audience.leave(listener);
        let envelope = &listener.ask.envelope;
        listener.outbox.push((envelope.encode_error)(envelope.uid.as_deref(), error));
    }
}
