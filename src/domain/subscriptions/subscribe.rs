//! Starts a subscription: a snapshot, then events, without a gap or a repetition.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::delivery::ByteBudget;
use crate::domain::items::keys;
use crate::domain::items::plan::Plan;
use crate::domain::items::read::Presented;
use crate::domain::quota::Owner;
use crate::domain::subscriptions::FrameEncoder;
use crate::domain::subscriptions::Hub;
use crate::domain::subscriptions::Notification;
use crate::domain::subscriptions::request::SubscriptionRequest;
use crate::domain::subscriptions::state::Input;
use crate::domain::subscriptions::state::Missing;
use crate::domain::subscriptions::state::Start;
use crate::domain::subscriptions::subscription::Frame;
use crate::domain::subscriptions::subscription::Subscription;
use crate::domain::subscriptions::view::Subject;
use crate::domain::subscriptions::view::View;
use crate::domain::subscriptions::view_index::Charge;
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
    pub encoder: FrameEncoder,
    /// Counts the snapshot, as an answer.
    pub budget: ByteBudget,
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
        self.item.as_ref().map(|item| keys::require(self.collection, item)).transpose()
    }
}

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
        bound: Charge,
        resumed: bool,
    ) -> Result<(), Error> {
        let at_once =
            subscription.request.event.is_some() && !subscription.request.resume.is_asked();
        let place = match &subscription.request.taken {
            None => Some(self.items.store.head()),
            // The usual case; any other place is looked up.
            Some(taken) => Some(self.last_delivered()).filter(|place| place.seq == taken.through),
        };
        let first = place.filter(|_| at_once && subscription.is_buffering()).map(|place| {
            let first = first_frame(subscription, self.init(subscription, place, None));
            Input::Snapshot { epoch: None, first, through: place.seq, start: None }
        });
        let mut starts_replay = false;
        let entered = self.view_index.enter(subscription, subject, bound, |view, is_new| {
            let (view, delivered) = (Arc::clone(view), self.delivered());
            let entered = Input::Entered { view, is_new, delivered, resumed };
            for input in [Some(entered), first].into_iter().flatten() {
                starts_replay |= subscription.on(input).starts_replay;
            }
        });
        if starts_replay {
            self.start_replay(subscription);
        }
        entered
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
        if (asked || subscription.request.taken.is_some())
            && subscription.is_buffering()
            && let Some(place) = self.resumption(subscription).await?
        {
            let first = self.init(subscription, place, asked.then_some(true));
            let first = first_frame(subscription, first);
            let taken = subscription.request.taken.as_deref();
            let missing = Missing {
                through: place.seq,
                missed: asked || taken.is_some_and(|taken| taken.missed),
                shown: taken.map_or_else(Arc::default, |taken| Arc::clone(&taken.shown)),
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
            let most = self.answer_bytes_max;
            let (init, place) = if event.is_some() {
                let head = self.items.store.head();
                self.remember_begin(subscription, head).await;
                (self.init(subscription, head, recovered), head)
            } else {
                let reader = Owner::of(&subscription.connection.identity.lock().actor);
                let now = self.items.present(plan, *item, *meta, most, reader).await?;
                let cursor = self.cursors.make(now.place);
                let Presented { data, truncated, counts, place } = &now;
                let begins = Notification::init(Some(&cursor), recovered);
                let (truncated, counts) = (*truncated, *counts);
                let notification = Notification { data: Some(data), truncated, counts, ..begins };
                (subscription.request.encoder.wrap(notification), *place)
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
    async fn remember_begin(self: &Arc<Self>, subscription: &Subscription, place: Place) {
        let Some(name) = subscription.name() else { return };
        if !subscription.connection.may_remember(2 * self.subscriptions_max) {
            return;
        }
        let by = Owner::of(&subscription.connection.identity.lock().actor);
        self.positions.begin(name, place.seq, by, self.now());
        // In a task of its own: the task also writes positions of other connections, which would
        // stay unwritten if it were dropped together with this connection.
        let hub = Arc::clone(self);
        let written = self.beginnings.spawn(async move { hub.remember(None).await }).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(error = %error, "cannot save the start position of a subscription");
        }
    }

    /// Returns the `init` frame of a subscription that begins at a place.
    fn init(&self, subscription: &Subscription, place: Place, recovered: Option<bool>) -> Bytes {
        let cursor = self.cursors.make(place);
        subscription.request.encoder.wrap(Notification::init(Some(&cursor), recovered))
    }

    /// Starts a subscription in a task of its own, for callers that cannot wait for the read.
    pub(super) fn begin_later(self: &Arc<Self>, subscription: Arc<Subscription>) {
        let hub = Arc::clone(self);
        self.beginnings.spawn(async move {
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
        let encoder = &subscription.request.encoder;
        subscription.outbox.push((encoder.encode_error)(encoder.uid.as_deref(), error));
    }
}

/// Returns the first frame of a subscription, which counts as an answer.
fn first_frame(subscription: &Subscription, frame: Bytes) -> Frame {
    subscription.request.budget.count(frame).into()
}

/// Returns the start of a subscription. Without a sign-in it begins an identity gap, if the client
/// asks for recovery.
fn start(
    subscription: &Subscription,
    view: Option<&Arc<View>>,
    resumed_from: Option<i64>,
) -> Start<Arc<View>> {
    let SubscriptionRequest { resume, taken, .. } = &subscription.request;
    let is_anonymous = subscription.connection.identity.lock().actor.user.is_none();
    let recovers = resumed_from.is_some() || resume.recover.is_some();
    let opens_gap = is_anonymous && taken.is_none() && recovers;
    Start { view: view.cloned(), resumed_from, opens_gap }
}
