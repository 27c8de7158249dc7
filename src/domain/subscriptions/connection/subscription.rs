//! A subscription of a connection: carries out the effects of its state machine.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::delivery::outbox::{FRAME_OVERHEAD, Reservation};
use crate::domain::subscriptions::connection::ConnectionState;
use crate::domain::subscriptions::recovery;
use crate::domain::subscriptions::recovery::{Confirmed, IdentityGap, RecoveryKey};
use crate::domain::subscriptions::request::SubscriptionRequest;
use crate::domain::subscriptions::state::{Effects, Input, Leaving, Missing, SubscriptionState};
use crate::domain::subscriptions::view::View;

/// A subscription: its request, its view and its state.
///
/// The locks are taken in this order: `view`, the subscriptions of a view, `state`.
pub struct Subscription {
    pub id: u64,
    pub request: SubscriptionRequest,
    pub connection: Arc<ConnectionState>,
    /// The current view; `None` while the connection has no access to the requested items.
    pub view: Mutex<Option<Arc<View>>>,
    state: Mutex<SubscriptionState<Arc<View>, Frame>>,
    /// Notified when the subscription ends; wakes the replay task.
    pub ended: Notify,
}

/// A frame of a subscription, and the memory of the outbox that it takes while it is buffered.
pub struct Frame {
    bytes: Bytes,
    _reservation: Option<Reservation>,
}

/// The identity gap of a subscription.
pub type Gap = Box<IdentityGap<Arc<View>>>;

/// The result of an input.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Whether it took effect, and its frames were queued.
    pub accepted: bool,
    /// Whether a replay has to be started.
    pub starts_replay: bool,
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _reservation: None }
    }
}

impl Subscription {
    /// Creates a subscription that buffers events until its first frame. `gap` is that of the
    /// subscription it replaces.
    pub fn new(
        id: u64,
        request: SubscriptionRequest,
        connection: &Arc<ConnectionState>,
        gap: Option<Gap>,
    ) -> Arc<Self> {
        let (view, state) = (Mutex::default(), Mutex::new(SubscriptionState::new(gap)));
        let (connection, ended) = (Arc::clone(connection), Notify::new());
        Arc::new(Self { id, request, connection, view, state, ended })
    }

    /// Returns the key that its position is stored under for the current account, if it is.
    pub fn key(&self) -> Option<RecoveryKey> {
        self.key_of(self.connection.actor().user)
    }

    /// Returns the key that its position is stored under for an account or an anonymous page.
    pub fn key_of(&self, user: Option<Uuid>) -> Option<RecoveryKey> {
        let recover = self.request.resume.recover.as_ref()?;
        RecoveryKey::of(user, recover, self.request.encoder.uid.as_deref())
    }

    /// Applies an input to the state.
    pub fn on(&self, input: Input<Arc<View>, Frame>) -> Outcome {
        let mut state = self.state.lock();
        let effects = state.on(input);
        self.carry_out(effects)
    }

    /// Sends the frames of effects. The caller holds the lock of the state, so that they are
    /// sent in order.
    fn carry_out(&self, effects: Effects<Frame>) -> Outcome {
        let Effects { first, rest, starts_replay, mut accepted } = effects;
        for frame in first.into_iter().chain(rest) {
            accepted &= self.connection.outbox.push(frame.bytes);
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
    pub fn push(&self, seq: i64, frame: &Bytes) {
        let mut state = self.state.lock();
        let reservation = if state.is_buffering() {
            let reservation = self.connection.outbox.reserve(frame.len() + FRAME_OVERHEAD);
            if reservation.is_none() {
                state.on(Input::Overflow);
                return;
            }
            reservation
        } else {
            None
        };
        let frame = Frame { bytes: frame.clone(), _reservation: reservation };
        let effects = state.on(Input::Event { seq, frame });
        self.carry_out(effects);
    }

    /// Prepares the subscription to leave its view. Everything up to `delivered` was delivered to
    /// the views. Returns whether the account that signs in resumes from its own position.
    pub fn prepare_to_leave(&self, delivered: i64, leaving: Leaving) -> bool {
        let own = self.view.lock().clone();
        let delivered = delivered_by(own.as_ref(), delivered);
        self.on(Input::Leave { own, delivered, leaving }).accepted
    }

    /// Returns the current view and its epoch.
    pub fn view_and_epoch(&self) -> Option<(Arc<View>, u32)> {
        let view = self.view.lock();
        let epoch = self.state.lock().epoch();
        view.clone().map(|view| (view, epoch))
    }

    /// Returns the part of the log to be replayed, the view to replay it with, and its epoch.
    /// Otherwise the replay has ended.
    pub fn missing(&self) -> Option<(Missing<Arc<View>>, Arc<View>, u32)> {
        let view = self.view.lock();
        let mut state = self.state.lock();
        if let (Some((missing, epoch)), Some(view)) = (state.missing(), &*view) {
            return Some((missing, Arc::clone(view), epoch));
        }
        state.on(Input::ReplayEnded);
        None
    }

    /// Returns the positions that the client reaches once it has received everything sent so far.
    pub fn sent(&self, delivered: i64) -> Vec<Confirmed> {
        if self.request.resume.recover.is_none() {
            return Vec::new();
        }
        let left = *self.connection.recovery.left.lock();
        let view = self.view.lock();
        let state = self.state.lock();
        // Read under the locks: an identity changes before its subscriptions.
        let user = self.connection.actor().user;
        let position = state.position(delivered_by(view.as_ref(), delivered));
        let Some(position) = position else { return Vec::new() };
        recovery::sent(|user| self.key_of(user), user, left, position, state.gap()).collect()
    }

    /// Ends the subscription and returns the state that its replacement takes over. Nothing is
    /// delivered in between.
    pub fn hand_over(&self, delivered: i64) -> (Option<Missing<Arc<View>>>, Option<Gap>) {
        let delivered = delivered_by(self.view.lock().as_ref(), delivered);
        self.state.lock().hand_over(delivered)
    }

    /// Returns whether a new subscription of the client from the same resume point would receive
    /// the same events.
    pub fn is_resumed(&self) -> bool {
        self.state.lock().is_resumed()
    }

    /// Returns whether an error frame was deferred, and clears the flag.
    pub fn take_deferred_error(&self) -> bool {
        self.state.lock().take_deferred_error()
    }

    /// Returns whether the subscription has not begun yet.
    pub fn is_buffering(&self) -> bool {
        self.state.lock().is_buffering()
    }

    /// Returns whether the subscription has ended.
    pub fn is_closed(&self) -> bool {
        self.state.lock().is_closed()
    }

    /// Ends the subscription. Nothing reaches the outbox afterwards.
    pub fn close(&self) {
        self.on(Input::Close);
        self.ended.notify_one();
    }
}

/// Returns the offset up to which a view delivered everything, if everything up to `delivered` was
/// delivered to the views.
fn delivered_by(view: Option<&Arc<View>>, delivered: i64) -> i64 {
    view.map_or(delivered, |view| view.delivered(delivered))
}
