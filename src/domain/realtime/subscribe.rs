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
        Ok(Subject { collection, event: *event, item: *item, plan, meta: query.meta })
    }

    /// Begins to tell a listener: `init`, then news.
    pub(super) async fn begin(
        &self,
        listener: &Arc<Listener>,
        subject: Subject,
    ) -> Result<(), Error> {
        if listener.ask.event.is_some() {
            let init = init(listener, &News { event: "init", data: None, counts: None });
            self.audience.enter(listener, subject, |listener| listener.open(Some(init), 0));
            return Ok(());
        }
        // News is held back from here on; what the reading below shows already is dropped then.
        self.audience.enter(listener, subject.clone(), |_| {});
        let present = self.items.present(&subject.plan, subject.item, subject.meta).await;
        match present {
            Ok((data, counts, seq)) => {
                let news = News { event: "init", data: Some(&data), counts };
                listener.open(Some(init(listener, &news)), seq);
                Ok(())
            }
            Err(error) => {
                self.audience.leave(listener);
                Err(error)
            }
        }
    }
}

fn init(listener: &Listener, news: &News<'_>) -> Bytes {
    (listener.ask.envelope.encode)(listener.ask.envelope.uid.as_deref(), news)
}
