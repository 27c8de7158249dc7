//! A subscription of a connection: carries out the effects of its `delivery`.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::delivery::Outbox;
use crate::domain::delivery::outbox::FRAME_OVERHEAD;
use crate::domain::delivery::outbox::Reservation;
use crate::domain::subscriptions::peer::ConnectionState;
use crate::domain::subscriptions::recovery::identity_gap::IdentityGap;
use crate::domain::subscriptions::recovery::key::RecoveryKey;
use crate::domain::subscriptions::request::SubscriptionRequest;
use crate::domain::subscriptions::state::Delivery;
use crate::domain::subscriptions::state::Effects;
use crate::domain::subscriptions::state::Input;
use crate::domain::subscriptions::state::Leaving;
use crate::domain::subscriptions::state::Missing;
use crate::domain::subscriptions::view::View;

/// A subscription: its request, its view and its delivery.
///
/// The locks are taken in this order: `view`, the subscriptions of a view, `delivery`.
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) request: SubscriptionRequest,
    pub(super) outbox: Arc<Outbox>,
    pub(super) connection: Arc<ConnectionState>,
    /// The current view; `None` while the connection has no access to the requested items.
    pub(super) view: Mutex<Option<Arc<View>>>,
    delivery: Mutex<Delivery<Arc<View>, Frame>>,
    /// Notified when the subscription ends; wakes the replay task.
    pub(super) ended: Notify,
}

/// A frame of a subscription, and the memory of the outbox that it takes while it is buffered.
pub(super) struct Frame {
    bytes: Bytes,
    _reservation: Option<Reservation>,
}

/// The identity gap of a subscription.
pub(super) type Gap = Box<IdentityGap<Arc<View>>>;

/// A position that the client's answer to a ping acknowledges.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) name: RecoveryKey,
    pub(super) seq: i64,
    /// The start of the range up to `seq`, if nothing in it was withheld from any account.
    pub(super) complete_from: Option<i64>,
}

/// The result of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// Whether it took effect, and its frames were queued.
    pub(super) accepted: bool,
    /// Whether a replay has to be started.
    pub(super) starts_replay: bool,
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _reservation: None }
    }
}

impl Subscription {
    /// Creates a subscription that buffers events until its first frame. `gap` is that of the
    /// subscription it replaces.
    pub(super) fn new(
        id: u64,
        request: SubscriptionRequest,
        connection: &Arc<ConnectionState>,
        gap: Option<Gap>,
    ) -> Arc<Self> {
        let (view, delivery) = (Mutex::default(), Mutex::new(Delivery::new(gap)));
        let (outbox, connection) = (Arc::clone(&connection.outbox), Arc::clone(connection));
        Arc::new(Self { id, request, outbox, connection, view, delivery, ended: Notify::new() })
    }

    /// Returns the name that its position is stored under for the current account, if it is.
    pub(super) fn name(&self) -> Option<RecoveryKey> {
        let user = self.connection.identity.lock().actor.user;
        self.name_of(user)
    }

    /// Returns the name that its position is stored under for an account or an anonymous page.
    pub(super) fn name_of(&self, user: Option<Uuid>) -> Option<RecoveryKey> {
        let recover = self.request.resume.recover.as_ref()?;
        RecoveryKey::of(user, recover, self.request.encoder.uid.as_deref())
    }

    /// Applies an input to the delivery.
    pub(super) fn on(&self, input: Input<Arc<View>, Frame>) -> Outcome {
        let mut delivery = self.delivery.lock();
        let effects = delivery.on(input);
        self.carry_out(effects)
    }

    /// Sends the frames of effects. The caller holds the lock of the delivery, so that they are
    /// sent in order.
    fn carry_out(&self, effects: Effects<Frame>) -> Outcome {
        let Effects { first, rest, starts_replay, mut accepted } = effects;
        for frame in first.into_iter().chain(rest) {
            accepted &= self.outbox.push(frame.bytes);
            if self.request.resume.recover.is_some() {
                self.connection.sent.notify_one();
            }
            if !accepted {
                break;
            }
        }
        Outcome { accepted, starts_replay }
    }

    /// Delivers the frame of an event.
    pub(super) fn push(&self, seq: i64, frame: &Bytes) {
        let mut delivery = self.delivery.lock();
        let reservation = if delivery.is_buffering() {
            let reservation = self.outbox.reserve(frame.len() + FRAME_OVERHEAD);
            if reservation.is_none() {
                delivery.on(Input::Overflow);
                return;
            }
            reservation
        } else {
            None
        };
        let frame = Frame { bytes: frame.clone(), _reservation: reservation };
        let effects = delivery.on(Input::Event { seq, frame });
        self.carry_out(effects);
    }

    /// Prepares the subscription to leave its view. Everything up to `delivered` was delivered to
    /// the views. Returns whether the account that signs in resumes from its own position.
    pub(super) fn prepare_to_leave(&self, delivered: i64, leaving: Leaving) -> bool {
        let own = self.view.lock().clone();
        let delivered = delivered_by(own.as_ref(), delivered);
        self.on(Input::Leave { own, delivered, leaving }).accepted
    }

    /// Returns the current view and its epoch.
    pub(super) fn view_and_epoch(&self) -> Option<(Arc<View>, u64)> {
        let view = self.view.lock();
        let epoch = self.delivery.lock().epoch();
        view.clone().map(|view| (view, epoch))
    }

    /// Returns the part of the log to be replayed, the view to replay it with, and its epoch.
    /// Otherwise the replay has ended.
    pub(super) fn missing(&self) -> Option<(Missing<Arc<View>>, Arc<View>, u64)> {
        let view = self.view.lock();
        let mut delivery = self.delivery.lock();
        if let (Some((missing, epoch)), Some(view)) = (delivery.missing(), &*view) {
            return Some((missing, Arc::clone(view), epoch));
        }
        delivery.on(Input::ReplayEnded);
        None
    }

    /// Returns the positions that the answer to a ping sent now acknowledges, with the names they
    /// are stored under. `left` is the account that was signed in before. Events withheld from it
    /// during the identity gap are not acknowledged for it.
    pub(super) fn confirmable(&self, delivered: i64, left: Option<Uuid>) -> Vec<Confirmed> {
        if self.request.resume.recover.is_none() {
            return Vec::new();
        }
        let view = self.view.lock();
        let delivery = self.delivery.lock();
        let position = delivery.position(delivered_by(view.as_ref(), delivered));
        let Some(position) = position else { return Vec::new() };
        let confirmed = |name, seq, complete_from| Some(Confirmed { name, seq, complete_from });
        let complete_from = delivery.gap().and_then(IdentityGap::complete_from);
        let now = self.name().and_then(|name| confirmed(name, position, complete_from));
        let before = delivery
            .gap()
            .and_then(|gap| gap.position_of_own(position))
            .and_then(|seq| confirmed(self.name_of(Some(left?))?, seq, None));
        now.into_iter().chain(before).collect()
    }

    /// Ends the subscription and returns the state that its replacement takes over. Nothing is
    /// delivered in between.
    pub(super) fn hand_over(&self, delivered: i64) -> (Option<Missing<Arc<View>>>, Option<Gap>) {
        let delivered = delivered_by(self.view.lock().as_ref(), delivered);
        self.delivery.lock().hand_over(delivered)
    }

    /// Returns whether a new subscription of the client from the same resume point would receive
    /// the same events.
    pub(super) fn is_resumed(&self) -> bool {
        self.delivery.lock().is_resumed()
    }

    /// Returns whether an error frame was deferred, and clears the flag.
    pub(super) fn take_deferred_error(&self) -> bool {
        self.delivery.lock().take_deferred_error()
    }

    /// Returns whether the subscription has not begun yet.
    pub(super) fn is_buffering(&self) -> bool {
        self.delivery.lock().is_buffering()
    }

    /// Returns whether the subscription has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.delivery.lock().is_closed()
    }

    /// Ends the subscription. Nothing reaches the outbox afterwards.
    pub(super) fn close(&self) {
        self.on(Input::Close);
        self.ended.notify_one();
    }
}

/// Returns the offset up to which a view delivered everything, if everything up to `delivered` was
/// delivered to the views.
fn delivered_by(view: Option<&Arc<View>>, delivered: i64) -> i64 {
    view.map_or(delivered, |view| view.delivered(delivered))
}
