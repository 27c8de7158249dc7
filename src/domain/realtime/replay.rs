//! Telling a client what it missed, from the log, and letting it go over to news without a gap and
//! without a repetition.
//!
//! A page of the log is read at a time, and its frames are queued as the client takes them, so what
//! one client missed takes neither much memory nor the time of others. Who may see is decided as for
//! news, event by event, by what the connection may see now.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::realtime::Hub;
use crate::domain::realtime::Meter;
use crate::domain::realtime::News;
use crate::domain::realtime::cursor::Claimed;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::view::View;
use crate::model::Place;
use crate::store::Page;
use crate::store::StoreError;

/// How many events are read at once.
const PAGE_EVENTS: u32 = 256;
/// How long to wait before the log is read again that could not be.
const PATIENCE: Duration = Duration::from_millis(250);

impl Hub {
    /// Returns where a listener goes on, if everything that happened since then can be told.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn resumption(&self, listener: &Listener) -> Result<Option<Place>, Error> {
        let store = &self.items.store;
        let resume = &listener.ask.resume;
        if let Some(told) = resume.told {
            return Ok(store.find_place(told).await?);
        }
        if let Some(seq) = listener.name().and_then(|name| self.positions.find(&name))
            && let Some(place) = store.find_place(seq).await?
        {
            return Ok(Some(place));
        }
        let Some(claimed) = resume.since.as_deref().and_then(Claimed::parse) else {
            return Ok(None);
        };
        let place = store.find_place(claimed.seq).await?;
        Ok(place.filter(|place| self.cursors.is_of(&claimed, *place)))
    }

    /// Tells a listener that is behind what it missed, in a task of its own that ends once it is not
    /// behind any more, has no right to what it asks for, or is gone.
    pub(super) fn catch_up(self: &Arc<Self>, listener: &Arc<Listener>) {
        if listener.begin_reading() {
            let (hub, listener) = (Arc::clone(self), Arc::clone(listener));
            self.beginnings.spawn(async move { hub.replay(&listener).await });
        }
    }

    async fn replay(self: &Arc<Self>, listener: &Arc<Listener>) {
        let meter = Meter::new(self.replay_bytes_max);
        while let Some(told) = listener.behind() {
            if told >= self.delivered() {
                let _between_events = self.order.read().await;
                if told >= self.delivered() {
                    listener.catch_up();
                    return;
                }
                continue;
            }
            let Some(view) = listener.reading_view() else { return };
            match self.read_on(told).await {
                Ok(page) => match self.tell(listener, &view, page, &meter).await {
                    Ok(()) if listener.outbox.is_closing() => return,
                    Ok(()) => {}
                    Err(error) => return self.end_with(listener, &error),
                },
                Err(StoreError::Forgotten) => {
                    listener.hold();
                    match self.begin_anew(listener, Some(false)).await {
                        Ok(()) => return,
                        Err(error) => return self.end_with(listener, &error),
                    }
                }
                Err(error) if error.is_closed() => return,
                Err(error) => {
                    tracing::warn!(error = %error, "the log could not be read for a client");
                    let ended = listener.ended.notified();
                    if tokio::time::timeout(PATIENCE, ended).await.is_ok() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads some of what was delivered behind a place: what is not delivered yet may change rights.
    async fn read_on(&self, told: i64) -> Result<Page, StoreError> {
        let _turn = self.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        self.items.store.events(told, self.delivered(), PAGE_EVENTS).await
    }

    /// Tells a page, as the client takes it, until the listener is gone or another view decides.
    async fn tell(
        &self,
        listener: &Arc<Listener>,
        view: &Arc<View>,
        page: Page,
        meter: &Meter,
    ) -> Result<(), Error> {
        let counts = view.counts(&self.items).await?;
        for event in &page.events {
            let Some(data) = view.news(&self.items, event).await? else { continue };
            let cursor = self.cursors.make(event.place());
            let news = News {
                event: event.action.name(),
                data: Some(&data),
                counts,
                cursor: Some(&cursor),
                recovered: None,
                replayed: true,
            };
            let frame = listener.ask.envelope.wrap(news);
            while !meter.has_room() {
                tokio::select! {
                    () = meter.less() => {}
                    () = listener.ended.notified() => return Ok(()),
                }
            }
            if !listener.tell(view, event.seq, Some(meter.count(frame))) {
                return Ok(());
            }
        }
        listener.tell(view, page.last, None);
        Ok(())
    }
}
