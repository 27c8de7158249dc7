//! Telling a client what it missed, from the log, and letting it go over to news without a gap and
//! without a repetition.
//!
//! For each connection a page of the log is read at a time, as long as the client has room for, and
//! none is kept while it does not read: so what one client missed takes neither much memory nor the
//! time of others. Who may see is decided as for
//! news, event by event, by what the connection may see now.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::realtime::Hub;
use crate::domain::realtime::News;
use crate::domain::realtime::cursor::Claimed;
use crate::domain::realtime::listener::Behind;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::peer::Replaying;
use crate::domain::realtime::view::View;
use crate::model::Event;
use crate::model::Key;
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
        let replaying = listener.seat.replaying(self.replay_bytes_max);
        while let Some(behind) = listener.behind() {
            let told = behind.told;
            if told >= self.delivered() {
                let _between_events = self.order.read().await;
                if told >= self.delivered() {
                    listener.catch_up();
                    return;
                }
                continue;
            }
            let Some(view) = listener.reading_view() else { return };
            // A connection is told one thing at a time, and nothing is read that it has no room for.
            let turn = async {
                let turn = replaying.turn.acquire().await.expect("nobody closes it");
                while !replaying.meter.has_room() {
                    replaying.meter.less().await;
                }
                turn
            };
            let _turn = tokio::select! {
                turn = turn => turn,
                () = listener.ended.notified() => continue,
            };
            match self.read_on(told).await {
                Ok(page) => match self.tell(listener, &view, &behind, page, replaying).await {
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
        let (to, bytes) = (self.delivered(), self.replay_bytes_max);
        self.items.store.events_within(told, to, PAGE_EVENTS, bytes).await
    }

    /// Tells a page, as far as the client takes it, until the listener is gone or another view decides.
    async fn tell(
        &self,
        listener: &Arc<Listener>,
        view: &Arc<View>,
        behind: &Behind,
        page: Page,
        replaying: &Replaying,
    ) -> Result<(), Error> {
        let counts = view.counts(&self.items).await?;
        let mut told = behind.told;
        for event in &page.events {
            let shown = behind.shown.iter().find(|shown| shown.covers(event.seq));
            let event = match shown {
                Some(shown) => without(event, &shown.view.keys(&self.items, event).await?),
                None => Cow::Borrowed(&**event),
            };
            let Some(data) = view.news(&self.items, &event).await? else { continue };
            if !replaying.meter.has_room() {
                // Nothing is kept until there is: it is read again then.
                return Ok(());
            }
            let cursor = self.cursors.make(event.place());
            let news = News {
                event: event.action.name(),
                data: Some(&data),
                counts,
                cursor: Some(&cursor),
                recovered: None,
                replayed: behind.missed,
            };
            let frame = replaying.meter.count(listener.ask.envelope.wrap(news));
            if !listener.tell(view, told, event.seq, Some(frame)) {
                return Ok(());
            }
            told = event.seq;
        }
        listener.tell(view, told, page.last, None);
        Ok(())
    }
}

/// Returns an event without what it did to some items.
fn without<'e>(event: &'e Event, keys: &[Key]) -> Cow<'e, Event> {
    if keys.is_empty() {
        return Cow::Borrowed(event);
    }
    let changes = event.changes.iter().filter(|change| !keys.contains(&change.key));
    Cow::Owned(Event { changes: changes.cloned().collect(), ..event.clone() })
}
