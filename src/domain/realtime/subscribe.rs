//! Beginning a subscription: what is there now, then news, without a gap and without a repetition.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::items::keys;
use crate::domain::items::plan::Plan;
use crate::domain::realtime::Envelope;
use crate::domain::realtime::Hub;
use crate::domain::realtime::News;
use crate::domain::realtime::listener::Ask;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::peer::Seat;
use crate::domain::realtime::view::Subject;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::EventAction;
use crate::model::Key;

/// What a client wants to hear of.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The client's name for it, unique on its connection: the same again replaces the first.
    /// `None`: nameless, beside any others.
    pub uid: Option<String>,
    /// The collection.
    pub collection: &'static Collection,
    /// One kind of event; `None` for all three, and then what is there now comes first.
    pub event: Option<EventAction>,
    /// One item only, by its key as the client wrote it.
    pub item: Option<Json>,
    /// Fields, filter, and for what comes first also sort and limit; null for none.
    pub query: Json,
    /// How news becomes a frame.
    pub envelope: Envelope,
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
        let Ask { collection, event, item, query, .. } = &listener.ask;
        let query = self.items.parse(actor, collection, query)?;
        let plan = Plan::new(&self.permissions, actor, collection, &query)?;
        if item.is_some() && !plan.projection.scope().has(collection.key()) {
            return Err(Error::Forbidden(Forbidden::Item));
        }
        Ok(Subject { collection, event: *event, item: *item, plan, meta: query.meta })
    }

    /// Lets a listener take part in the view of its subject. With one kind of event it is told at
    /// once that it begins; without, its news is held back until [`Hub::begin`].
    pub(super) fn enter(&self, listener: &Arc<Listener>, subject: Subject) {
        if listener.ask.event.is_some() && listener.is_held() {
            let init = init(listener, &News { event: "init", data: None, counts: None });
            let position = self.items.store.position();
            self.audience.enter(listener, subject, |listener| listener.open(Some(init), position));
        } else {
            self.audience.enter(listener, subject, |_| {});
        }
    }

    /// Tells a listener that takes part in a view, and whose news is held back, what is there now,
    /// and then lets its news through. If it was moved to another view meanwhile, what it may see has
    /// changed, and it is read anew.
    ///
    /// # Errors
    /// What the reading fails with; [`Error::Forbidden`] if it takes part in no view any more.
    pub(super) async fn begin(&self, listener: &Arc<Listener>) -> Result<(), Error> {
        while listener.is_held() {
            let view = listener.view.lock().clone();
            let view = view.ok_or_else(|| Error::collection(listener.ask.collection.name))?;
            let Subject { plan, item, meta, .. } = &view.subject;
            let (data, counts, seq) = self.items.present(plan, *item, *meta).await?;
            let init = init(listener, &News { event: "init", data: Some(&data), counts });
            let current = listener.view.lock();
            if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &view)) {
                listener.open(Some(init), seq);
            }
        }
        Ok(())
    }

    /// Begins in a task of its own, for whoever cannot wait for a reading.
    pub(super) fn begin_later(self: &Arc<Self>, seat: &Arc<Seat>, listener: Arc<Listener>) {
        let (hub, outbox) = (Arc::clone(self), Arc::clone(&seat.outbox));
        self.beginnings.spawn(async move {
            if let Err(error) = hub.begin(&listener).await {
                hub.audience.leave(&listener);
                let envelope = &listener.ask.envelope;
                outbox.push((envelope.encode_error)(envelope.uid.as_deref(), &error));
            }
        });
    }
}

fn init(listener: &Listener, news: &News<'_>) -> Bytes {
    (listener.ask.envelope.encode)(listener.ask.envelope.uid.as_deref(), news)
}
