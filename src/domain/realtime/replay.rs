//! Replays missed events from the log to a client and switches it to live delivery, without a gap
//! or a repetition.
//!
//! One page of the log is read at a time for each connection, while the client has room for it, and
//! no page is kept while the client does not read. A replay thus takes little memory and does not
//! delay other clients. Access is decided event by event, as for live events, with the current
//! permissions of the connection.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::realtime::Hub;
use crate::domain::realtime::News;
use crate::domain::realtime::ask::Ask;
use crate::domain::realtime::cursor::Claimed;
use crate::domain::realtime::gate::Behind;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::peer::Replaying;
use crate::domain::realtime::view::View;
use crate::model::Event;
use crate::model::Key;
use crate::model::Place;
use crate::store::Page;
use crate::store::StoreError;

/// The number of events that are read at once.
const PAGE_EVENTS: u32 = 256;
/// The delay before a failed read of the log is retried.
const PATIENCE: Duration = Duration::from_millis(250);
/// The number of consecutive failures that are tolerated, apart from a temporarily unavailable
/// database. After that the subscription ends: its request cannot be evaluated.
const FAILURES_MAX: usize = 4;

impl Hub {
    /// Returns the place where a subscription resumes, if every event since then can be replayed.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn resumption(&self, listener: &Listener) -> Result<Option<Place>, Error> {
        let store = &self.items.store;
        let Ask { resume, taken, .. } = &listener.ask;
        if let Some(taken) = taken {
            return Ok(store.find_place(taken.told).await?);
        }
        if !resume.insists
            && let Some(seq) = listener.name().and_then(|name| self.positions.find(&name))
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

    /// Replays missed events to a subscription that is behind, in a task that ends once the
    /// subscription has caught up, has no access, or has ended.
    pub(super) fn catch_up(self: &Arc<Self>, listener: &Arc<Listener>) {
        if listener.begin_reading() {
            let (hub, listener) = (Arc::clone(self), Arc::clone(listener));
            self.beginnings.spawn(async move { hub.replay(&listener).await });
        }
    }

    async fn replay(self: &Arc<Self>, listener: &Arc<Listener>) {
        let replaying = listener.connection.replaying(self);
        let mut failures = 0;
        while let Some(behind) = listener.behind() {
            let told = behind.told;
            if told >= self.delivered() {
                let _between_events = self.order.read().await;
                if told >= self.delivered() && listener.catch_up(told) {
                    return;
                }
                continue;
            }
            let Some(view) = listener.reading_view() else { return };
            // One subscription of a connection is replayed at a time, and only while there is room.
            let turn = async {
                let turn = replaying.turn.acquire().await.expect("nobody closes it");
                while !replaying.meter.has_capacity() {
                    replaying.meter.less().await;
                }
                turn
            };
            let _turn = tokio::select! {
                turn = turn => turn,
                () = listener.ended.notified() => continue,
            };
            match self.tell_page(listener, &view, &behind, replaying).await {
                Ok(()) if listener.outbox.is_closing() => return,
                Ok(()) => failures = 0,
                Err(Error::Store(StoreError::Forgotten)) => {
                    listener.hold();
                    match self.begin_anew(listener, Some(false)).await {
                        Ok(()) => return,
                        Err(error) => return self.end_with(listener, &error),
                    }
                }
                Err(Error::Unavailable(error)) if error.is_closed() => return,
                Err(error) if is_passing(&error) || failures < FAILURES_MAX => {
                    failures += 1;
                    tracing::warn!(error = %error, "the log could not be read for a client");
                    let ended = listener.ended.notified();
                    if tokio::time::timeout(PATIENCE, ended).await.is_ok() {
                        return;
                    }
                }
                Err(error) => return self.end_with(listener, &error),
            }
        }
    }

    /// Reads delivered events after `told`. Undelivered events may still change permissions.
    async fn read_on(&self, told: i64) -> Result<Page, StoreError> {
        let _turn = self.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        let (to, bytes) = (self.delivered(), self.replay_bytes_max);
        self.items.store.events_within(told, to, PAGE_EVENTS, bytes).await
    }

    /// Sends a page until the client has no room, or the subscription ends or changes its view.
    async fn tell_page(
        &self,
        listener: &Arc<Listener>,
        view: &Arc<View>,
        behind: &Behind,
        replaying: &Replaying,
    ) -> Result<(), Error> {
        let page = self.read_on(behind.told).await?;
        let counts = view.counts(&self.items).await?;
        let mut told = behind.told;
        for event in &page.events {
            let shown = self.shown_before(behind, event).await?;
            let event = without(event, &shown);
            let Some(data) = view.news(&self.items, &event).await? else { continue };
            if !replaying.meter.has_capacity() {
                // The page is not kept until there is room, but read again.
                return Ok(());
            }
            let cursor = self.cursors.make(event.place());
            let news = News {
                event: event.action.name(),
                data: Some(&data),
                counts,
                cursor: Some(&cursor),
                truncated: false,
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

    /// Returns the items of an event that were shown during the identity gap.
    async fn shown_before(&self, behind: &Behind, event: &Event) -> Result<HashSet<Key>, Error> {
        let shown = behind.shown.iter().find(|shown| shown.covers(event.seq));
        let Some(shown) = shown else { return Ok(HashSet::new()) };
        Ok(shown.view.keys(&self.items, event).await?.into_iter().collect())
    }
}

/// Returns whether the error is transient.
const fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::TooBusy { .. })
}

/// Returns an event without its changes to some items.
fn without<'e>(event: &'e Event, keys: &HashSet<Key>) -> Cow<'e, Event> {
    if keys.is_empty() {
        return Cow::Borrowed(event);
    }
    let changes = event.changes.iter().filter(|change| !keys.contains(&change.key));
    Cow::Owned(Event { changes: changes.cloned().collect(), ..event.clone() })
}
