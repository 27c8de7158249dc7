//! Starts a subscription: a snapshot, then events, without a gap or a repetition.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::items::plan::Plan;
use crate::domain::items::read::Presented;
use crate::domain::quota::Owner;
use crate::domain::subscriptions::connection::{Frame, Subscription};
use crate::domain::subscriptions::hub::Hub;
use crate::domain::subscriptions::notification::Notification;
use crate::domain::subscriptions::request::SubscriptionRequest;
use crate::domain::subscriptions::state::{Input, Missing, Start};
use crate::domain::subscriptions::view::{Subject, View};
use crate::domain::subscriptions::view_index::Charge;
use crate::domain::subscriptions::view_task;
use crate::domain::{Error, Forbidden};
use crate::model::{Actor, Place};

impl Hub {
    /// Resolves the subject of a subscription with the permissions of an actor.
    pub(super) fn subject(
        &self,
        actor: &Actor,
        subscription: &Subscription,
    ) -> Result<Subject, Error> {
        let SubscriptionRequest { collection, event, item, .. } = &subscription.request;
        let query = self.items.parse(actor, collection, &subscription.request.query())?;
        let plan = Plan::new(&self.permissions, actor, &query)?;
        if item.is_some() && !plan.projection.scope().has(collection.key()) {
            return Err(Error::Forbidden(Forbidden::Item));
        }
        Ok(Subject { collection, event: *event, item: *item, plan, meta: query.meta })
    }

    /// Adds a subscription to the view of its subject. With one kind of event and no resume point
    /// it begins at once; otherwise its events are buffered until [`Hub::begin`]. With `resumed`
    /// the view delivers everything since the client's resume point.
    ///
    /// # Errors
    /// As [`ViewIndex::enter`](crate::domain::subscriptions::view_index::ViewIndex::enter).
    pub(super) fn enter(
        self: &Arc<Self>,
        subscription: &Arc<Subscription>,
        subject: Subject,
        charge: Charge,
        resumed: bool,
    ) -> Result<(), Error> {
        let at_once =
            subscription.request.event.is_some() && !subscription.request.resume.is_asked();
        let place = match &subscription.request.taken_over {
            None => Some(self.items.store.head()),
            // The usual case; any other place is looked up.
            Some(missing) => {
                Some(self.last_delivered()).filter(|place| place.seq == missing.through)
            }
        };
        let first = place.filter(|_| at_once && subscription.is_buffering()).map(|place| {
            let first = first_frame(subscription, self.init(subscription, place, None));
            Input::Snapshot { epoch: None, first, through: place.seq, start: None }
        });
        let mut starts_replay = false;
        let entered = self.view_index.enter(subscription, subject, charge, |view, is_new| {
            let (view, delivered) = (Arc::clone(view), self.delivered());
            let entered = Input::Entered { view, is_new, delivered, resumed };
            for input in [Some(entered), first].into_iter().flatten() {
                starts_replay |= subscription.on(input).starts_replay;
            }
        });
        if starts_replay {
            self.start_replay(subscription);
        }
        if let Some((fanout, events)) = entered? {
            let hub = Arc::downgrade(self);
            self.view_index.spawn(|stopping| view_task::run(hub, fanout, events, stopping));
        }
        Ok(())
    }

    /// Starts a subscription that is in a view and buffers its events: sends a snapshot, then the
    /// buffered events. If the subscription was moved to another view meanwhile, its access has
    /// changed, and the snapshot is read again.
    ///
    /// If the client asks for missed events, these are replayed instead of the snapshot.
    ///
    /// # Errors
    /// The error of the read; [`Error::Forbidden`] if the subscription has left its view.
    pub(super) async fn begin(
        self: &Arc<Self>,
        subscription: &Arc<Subscription>,
    ) -> Result<(), Error> {
        let asked = subscription.request.resume.is_asked();
        if (asked || subscription.request.taken_over.is_some())
            && subscription.is_buffering()
            && let Some(place) = self.resumption(subscription).await?
        {
            let first = self.init(subscription, place, asked.then_some(true));
            let first = first_frame(subscription, first);
            let taken_over = subscription.request.taken_over.as_deref();
            let missing = Missing {
                through: place.seq,
                missed: asked || taken_over.is_some_and(|missing| missing.missed),
                shown: taken_over.map_or_else(Arc::default, |missing| Arc::clone(&missing.shown)),
            };
            let view = subscription.view.lock();
            let start = start(subscription, view.as_ref(), asked.then_some(place.seq));
            self.apply(subscription, Input::Resumed { first, missing, start });
            drop(view);
            return Ok(());
        }
        self.begin_anew(subscription, asked.then_some(false)).await
    }

    /// Starts a subscription from the current state.
    pub(super) async fn begin_anew(
        self: &Arc<Self>,
        subscription: &Arc<Subscription>,
        recovered: Option<bool>,
    ) -> Result<(), Error> {
        while subscription.is_buffering() {
            let (view, epoch) = subscription
                .view_and_epoch()
                .ok_or_else(|| Error::collection(subscription.request.collection.name))?;
            let Subject { plan, item, meta, event, .. } = &view.subject;
            let most = self.views.frame_bytes_max;
            let (init, place) = if event.is_some() {
                let head = self.items.store.head();
                self.store_begin(subscription, head).await;
                (self.init(subscription, head, recovered), head)
            } else {
                let owner = Owner::of(&subscription.connection.actor());
                let now = self.items.present(plan, *item, *meta, most, owner).await?;
                let cursor = self.views.cursors.make(now.place);
                let Presented { data, truncated, counts, place } = &now;
                let begins = Notification::init(Some(&cursor), recovered);
                let (truncated, counts) = (*truncated, *counts);
                let notification = Notification { data: Some(data), truncated, counts, ..begins };
                (subscription.request.encoder.encode(notification), *place)
            };
            let first = first_frame(subscription, init);
            let (epoch, through) = (Some(epoch), place.seq);
            let start = Some(start(subscription, Some(&view), None));
            self.apply(subscription, Input::Snapshot { epoch, first, through, start });
        }
        Ok(())
    }

    /// Stores the position at which a subscription without a snapshot begins: nothing is lost if
    /// the client never receives its first frame. For other subscriptions only acknowledged
    /// positions count.
    ///
    /// The position is written before the client receives the frame, since a process that is killed
    /// would otherwise forget a subscription that had begun. Connections that begin too many
    /// subscriptions are excluded.
    async fn store_begin(self: &Arc<Self>, subscription: &Subscription, place: Place) {
        let Some(key) = subscription.key() else { return };
        let connection = &subscription.connection;
        let by = Owner::of(&connection.actor());
        if !self.recovery.begin(&connection.recovery, key, place.seq, by) {
            return;
        }
        // In a task of its own: the task also writes positions of other connections, which would
        // stay unwritten if it were dropped together with this connection.
        let recovery = Arc::clone(&self.recovery);
        let written = self.tasks.spawn(async move { recovery.save(None).await }).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(error = %error, "cannot save the start position of a subscription");
        }
    }

    /// Returns the `init` frame of a subscription that begins at a place.
    fn init(&self, subscription: &Subscription, place: Place, recovered: Option<bool>) -> Bytes {
        let cursor = self.views.cursors.make(place);
        subscription.request.encoder.encode(Notification::init(Some(&cursor), recovered))
    }

    /// Starts a subscription in a task of its own, for callers that cannot wait for the read.
    pub(super) fn begin_later(self: &Arc<Self>, subscription: Arc<Subscription>) {
        let hub = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = hub.begin(&subscription).await {
                hub.end_with(&subscription, &error);
            }
        });
    }

    /// Ends a subscription with an error. One that has not begun may begin once it has access.
    pub(super) fn end_with(&self, subscription: &Subscription, error: &Error) {
        if subscription.is_buffering() {
            subscription.on(Input::Lost { defers_error: false });
        } else {
            subscription.close();
        }
        self.view_index.leave(subscription);
        subscription.connection.outbox.push(subscription.request.encoder.encode_error(error));
    }
}

/// Returns the first frame of a subscription, which counts as an answer.
fn first_frame(subscription: &Subscription, frame: Bytes) -> Frame {
    subscription.request.budget.track(frame).into()
}

/// Returns the start of a subscription. Without a sign-in it begins an identity gap, if the client
/// asks for recovery.
fn start(
    subscription: &Subscription,
    view: Option<&Arc<View>>,
    resumed_from: Option<i64>,
) -> Start<Arc<View>> {
    let SubscriptionRequest { resume, taken_over, .. } = &subscription.request;
    let is_anonymous = subscription.connection.actor().user.is_none();
    let recovers = resumed_from.is_some() || resume.recover.is_some();
    let opens_gap = is_anonymous && taken_over.is_none() && recovers;
    Start { view: view.cloned(), resumed_from, opens_gap }
}
