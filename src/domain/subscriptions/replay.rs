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
use crate::domain::subscriptions::connection::{Frame, Replaying, Subscription};
use crate::domain::subscriptions::cursor::Claimed;
use crate::domain::subscriptions::fanout::Replays;
use crate::domain::subscriptions::hub::Hub;
use crate::domain::subscriptions::notification::Notification;
use crate::domain::subscriptions::request::SubscriptionRequest;
use crate::domain::subscriptions::state::{Input, Missing};
use crate::domain::subscriptions::view::View;
use crate::model::{Event, Key, Place};
use crate::store::{Page, StoreError};

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
    pub(super) async fn resumption(
        &self,
        subscription: &Subscription,
    ) -> Result<Option<Place>, Error> {
        let store = &self.items.store;
        let SubscriptionRequest { resume, taken_over, .. } = &subscription.request;
        if let Some(missing) = taken_over {
            return Ok(store.find_place(missing.through).await?);
        }
        if !resume.insists
            && let Some(seq) = subscription.key().and_then(|key| self.recovery.position(&key))
            && let Some(place) = store.find_place(seq).await?
        {
            return Ok(Some(place));
        }
        let Some(claimed) = resume.since.as_deref().and_then(Claimed::parse) else {
            return Ok(None);
        };
        let place = store.find_place(claimed.seq).await?;
        Ok(place.filter(|place| self.views.cursors.is_of(&claimed, *place)))
    }

    /// Applies an input to a subscription and starts the replay that it may cause.
    pub(super) fn apply(
        self: &Arc<Self>,
        subscription: &Arc<Subscription>,
        input: Input<Arc<View>, Frame>,
    ) {
        if subscription.on(input).starts_replay {
            self.start_replay(subscription);
        }
    }

    /// Replays missed events to a subscription, in a task that ends once the subscription has
    /// caught up, has no access, or has ended.
    pub(super) fn start_replay(self: &Arc<Self>, subscription: &Arc<Subscription>) {
        let (hub, subscription) = (Arc::clone(self), Arc::clone(subscription));
        self.tasks.spawn(async move { hub.replay(&subscription).await });
    }

    /// Starts the replay of several subscriptions.
    pub(super) fn start_replays(self: &Arc<Self>, subscriptions: Replays) {
        for subscription in subscriptions {
            self.start_replay(&subscription);
        }
    }

    async fn replay(self: &Arc<Self>, subscription: &Arc<Subscription>) {
        let replaying = subscription.connection.replaying(|| self.budget(self.replay_bytes_max));
        let mut failures = 0;
        while let Some((missing, view, epoch)) = subscription.missing() {
            let through = missing.through;
            if through >= self.delivered() {
                let _between_events = self.order.read().await;
                if through >= self.delivered()
                    && subscription.on(Input::CaughtUp { through }).accepted
                {
                    return;
                }
                continue;
            }
            // One subscription of a connection is replayed at a time, and only while there is room.
            let turn = async {
                let turn = replaying.turn.acquire().await.expect("the semaphore is never closed");
                while !replaying.budget.has_capacity() {
                    replaying.budget.released().await;
                }
                turn
            };
            let _turn = tokio::select! {
                turn = turn => turn,
                () = subscription.ended.notified() => continue,
            };
            match self.send_page(subscription, &view, epoch, &missing, replaying).await {
                Ok(()) if subscription.connection.outbox.is_closing() => return,
                Ok(()) => failures = 0,
                Err(Error::Store(StoreError::Forgotten)) => {
                    let restart = Input::Restart { epoch, after: through };
                    if !subscription.on(restart).accepted {
                        continue;
                    }
                    match self.begin_anew(subscription, Some(false)).await {
                        Ok(()) => return,
                        Err(error) => return self.end_with(subscription, &error),
                    }
                }
                Err(Error::Unavailable(error)) if error.is_closed() => return,
                Err(error) if is_passing(&error) || failures < FAILURES_MAX => {
                    failures += 1;
                    tracing::warn!(error = %error, "cannot read the event log for a client");
                    let ended = subscription.ended.notified();
                    if tokio::time::timeout(PATIENCE, ended).await.is_ok() {
                        return;
                    }
                }
                Err(error) => {
                    subscription.on(Input::ReplayEnded);
                    return self.end_with(subscription, &error);
                }
            }
        }
    }

    /// Reads delivered events after an offset. Undelivered events may still change permissions.
    async fn read_on(&self, after: i64) -> Result<Page, StoreError> {
        let _turn = self.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        let (to, bytes) = (self.delivered(), self.replay_bytes_max);
        self.items.store.events_within(after, to, PAGE_EVENTS, bytes).await
    }

    /// Sends a page until the client has no room, or the subscription ends or changes its view.
    async fn send_page(
        &self,
        subscription: &Arc<Subscription>,
        view: &Arc<View>,
        epoch: u32,
        missing: &Missing<Arc<View>>,
        replaying: &Replaying,
    ) -> Result<(), Error> {
        let page = self.read_on(missing.through).await?;
        let counts = view.counts().await?;
        let mut after = missing.through;
        for event in &page.events {
            let shown = shown_before(missing, event).await?;
            let event = without(event, &shown);
            let Some(data) = view.render(&event).await? else { continue };
            if !replaying.budget.has_capacity() {
                // The page is not kept until there is room, but read again.
                return Ok(());
            }
            let cursor = self.views.cursors.make(event.place());
            let notification = Notification {
                replayed: missing.missed,
                ..Notification::event(&event, &data, counts, &cursor)
            };
            let frame = replaying.budget.track(subscription.request.encoder.encode(notification));
            let (through, frame) = (event.seq, Some(frame.into()));
            if !subscription.on(Input::Page { epoch, after, through, frame }).accepted {
                return Ok(());
            }
            after = through;
        }
        subscription.on(Input::Page { epoch, after, through: page.last, frame: None });
        Ok(())
    }
}

/// Returns the items of an event that were shown during the identity gap.
async fn shown_before(missing: &Missing<Arc<View>>, event: &Event) -> Result<HashSet<Key>, Error> {
    let shown = missing.shown.iter().find(|shown| shown.covers(event.seq));
    let Some(shown) = shown else { return Ok(HashSet::new()) };
    Ok(shown.view.keys(event).await?.into_iter().collect())
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
