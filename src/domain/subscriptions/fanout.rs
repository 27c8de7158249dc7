//! The fan-out of a view to its subscriptions: an event is encoded once for all with equal encoders.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::domain::Error;
use crate::domain::items::Counts;
use crate::domain::subscriptions::connection::Subscription;
use crate::domain::subscriptions::notification::{EncoderKey, FrameEncoder, Notification};
use crate::domain::subscriptions::state::Input;
use crate::domain::subscriptions::view::View;
use crate::model::Event;

/// A view and its subscriptions.
pub(super) struct Fanout {
    pub(super) view: Arc<View>,
    /// By encoder, then by subscription.
    subscriptions: Mutex<HashMap<EncoderKey, HashMap<u64, Arc<Subscription>>>>,
}

/// The subscriptions whose replay has to be started.
pub(super) type Replays = Vec<Arc<Subscription>>;

impl Fanout {
    pub(super) fn new(view: Arc<View>) -> Arc<Self> {
        Arc::new(Self { view, subscriptions: Mutex::default() })
    }

    /// Adds a subscription; `begin` runs before any event can reach it.
    pub(super) fn add(&self, subscription: Arc<Subscription>, begin: impl FnOnce()) {
        let mut subscriptions = self.subscriptions.lock();
        begin();
        subscriptions
            .entry(subscription.request.encoder.key())
            .or_default()
            .insert(subscription.id, subscription);
    }

    /// Removes a subscription. Returns whether none is left.
    pub(super) fn remove(&self, subscription: &Subscription) -> bool {
        let mut subscriptions = self.subscriptions.lock();
        let encoder = subscription.request.encoder.key();
        if let Some(group) = subscriptions.get_mut(&encoder) {
            group.remove(&subscription.id);
            if group.is_empty() {
                subscriptions.remove(&encoder);
            }
        }
        subscriptions.is_empty()
    }

    /// Returns whether there are no subscriptions.
    pub(super) fn is_empty(&self) -> bool {
        self.subscriptions.lock().is_empty()
    }

    /// Delivers an event, if it matches: directly, or through the queue of the view.
    pub(super) async fn deliver(&self, event: &Arc<Event>) -> Replays {
        match &self.view.queue {
            Some(queue) => {
                queue.push(event);
                Replays::new()
            }
            None => self.send(event, None).await,
        }
    }

    /// Sends an event to all subscriptions, with `counts` if they are already known. If the event
    /// cannot be read, each subscription replays it from the log.
    pub(super) async fn send(&self, event: &Event, counts: Option<Counts>) -> Replays {
        let view = &self.view;
        let found = async {
            let Some(data) = view.render(event).await? else { return Ok(None) };
            let counts = match counts {
                None => view.counts().await?,
                known => known,
            };
            Ok::<_, Error>(Some((data, counts)))
        };
        match found.await {
            Ok(None) => Replays::new(),
            Ok(Some((data, counts))) => {
                let cursor = view.context.cursors.make(event.place());
                let notification = Notification::event(event, &data, counts, &cursor);
                self.push(event, |encoder| encoder.encode(notification))
            }
            Err(error) => {
                tracing::warn!(
                    collection = event.collection.name,
                    error = %error,
                    "cannot read an event for a view"
                );
                self.fall_behind(event.seq - 1)
            }
        }
    }

    /// Switches all subscriptions to replay of the events after `through`.
    pub(super) fn fall_behind(&self, through: i64) -> Replays {
        let groups = self.subscriptions.lock();
        let all = groups.values().flat_map(HashMap::values);
        all.filter(|one| one.on(Input::FallBehind { through }).starts_replay).cloned().collect()
    }

    /// Queues the frames of an event. A subscription whose client does not keep up with a bulk
    /// change replays it from the log, at the client's pace.
    fn push(&self, event: &Event, encode: impl Fn(&FrameEncoder) -> Bytes) -> Replays {
        let mut replays = Replays::new();
        let (is_bulk, through) = (event.is_bulk(), event.seq - 1);
        let subscriptions = self.subscriptions.lock();
        for group in subscriptions.values() {
            let Some(first) = group.values().next() else { continue };
            let frame = self.view.context.unsent.track(encode(&first.request.encoder));
            for subscription in group.values() {
                if is_bulk
                    && subscription.connection.outbox.is_crowded()
                    && subscription.on(Input::FallBehind { through }).starts_replay
                {
                    replays.push(Arc::clone(subscription));
                }
                subscription.push(event.seq, &frame);
            }
        }
        replays
    }
}
