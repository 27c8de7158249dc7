//! A connection as the hub sees it: its identity and its subscriptions.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::auth::Identity;
use crate::domain::delivery::ByteBudget;
use crate::domain::delivery::Outbox;
use crate::domain::quota::Owner;
use crate::domain::subscriptions::Hub;
use crate::domain::subscriptions::Subscribe;
use crate::domain::subscriptions::hub::Change;
use crate::domain::subscriptions::request::SubscriptionRequest;
use crate::domain::subscriptions::state::Input;
use crate::domain::subscriptions::subscription::Confirmed;
use crate::domain::subscriptions::subscription::Gap;
use crate::domain::subscriptions::subscription::Subscription;
use crate::domain::subscriptions::view_index::Charge;
use crate::model::Actor;

/// A connection that has joined the hub. Dropping it ends its subscriptions.
pub struct Peer {
    pub(super) hub: Arc<Hub>,
    pub(super) connection: Arc<ConnectionState>,
}

/// The positions of a connection's subscriptions at one moment; empty if none asked for recovery.
#[derive(Debug, Default)]
pub struct AckPoint(Vec<Confirmed>);

/// The hub's record of a connection.
pub(super) struct ConnectionState {
    pub(super) id: u64,
    pub(super) outbox: Arc<Outbox>,
    pub(super) identity: Mutex<Identity>,
    pub(super) subscriptions: Mutex<Vec<Arc<Subscription>>>,
    /// The account that was signed in before the connection became anonymous. Only this account
    /// receives the events missed meanwhile.
    left: Mutex<Option<Uuid>>,
    /// The number of positions that were stored for this connection.
    remembered: AtomicUsize,
    /// The replay of missed events; most connections need none.
    replaying: OnceLock<Box<Replaying>>,
    /// The principal resolved for the last command, cached.
    acting: Mutex<Option<Acting>>,
    /// Notified when a frame was sent that the client has to acknowledge.
    pub(super) sent: Notify,
    /// Notified when the identity was revoked.
    pub(super) lost: Notify,
    /// Serializes changes of the identity.
    pub(super) changing: tokio::sync::Mutex<()>,
}

/// The replay of missed events, one for all subscriptions of a connection.
pub(super) struct Replaying {
    /// Counts the replayed bytes that the client has yet to read.
    pub(super) budget: ByteBudget,
    /// Admits one subscription at a time.
    pub(super) turn: Semaphore,
}

/// A resolved principal, and the state it was resolved from.
struct Acting {
    /// The principal of the connection according to the delivered events.
    known: Arc<Actor>,
    /// The identity version it was resolved at.
    version: u64,
    actor: Arc<Actor>,
}

impl ConnectionState {
    pub(super) fn new(id: u64, outbox: Arc<Outbox>, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbox,
            identity: Mutex::new(identity),
            subscriptions: Mutex::default(),
            left: Mutex::default(),
            remembered: AtomicUsize::new(0),
            replaying: OnceLock::new(),
            acting: Mutex::default(),
            sent: Notify::new(),
            lost: Notify::new(),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the replay of the connection.
    pub(super) fn replaying(&self, hub: &Hub) -> &Replaying {
        self.replaying.get_or_init(|| {
            let budget = hub.budget(hub.replay_bytes_max);
            Box::new(Replaying { budget, turn: Semaphore::new(1) })
        })
    }

    /// Takes one of the `most` positions that a connection may store in its lifetime. Returns false
    /// if none is left.
    pub(super) fn may_remember(&self, most: usize) -> bool {
        self.remembered.fetch_add(1, Ordering::Relaxed) < most
    }

    /// Records the account that was signed in until now.
    pub(super) fn leave(&self, user: Option<Uuid>) {
        if user.is_some() {
            *self.left.lock() = user;
        }
    }
}

impl Peer {
    pub(super) const fn new(hub: Arc<Hub>, connection: Arc<ConnectionState>) -> Self {
        Self { hub, connection }
    }

    /// Returns the current identity of the connection, with the permissions now in force.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.connection.identity.lock().clone()
    }

    /// Sends a frame that is not shared with other connections. It counts towards the global budget
    /// through the budget that has counted it.
    pub fn send(&self, frame: Bytes) {
        // A refused frame needs no report: the connection is closing, and the writer reports that.
        self.connection.outbox.push(frame);
        self.hub.shed_load();
    }

    /// Returns the current principal, the actor of [`Peer::identity`].
    #[must_use]
    pub fn actor(&self) -> Arc<Actor> {
        Arc::clone(&self.connection.identity.lock().actor)
    }

    /// Resolves the principal for a command. All changes that were acknowledged to a client count,
    /// even if they are not delivered yet. Without its session or token, the principal has no
    /// access. To be called before each command: the store is read only if an account, a session or
    /// a permission has changed since the last call.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn acting(&self) -> Result<Arc<Actor>, Error> {
        let version = self.hub.changes.identity_version();
        let known = self.actor();
        let is_current =
            |acting: &&Acting| acting.version == version && Arc::ptr_eq(&acting.known, &known);
        if let Some(acting) = self.connection.acting.lock().as_ref().filter(is_current) {
            return Ok(Arc::clone(&acting.actor));
        }
        let identity = self.identity();
        let known = Arc::clone(&identity.actor);
        let actor = if identity.is_denied() {
            Arc::clone(&known)
        } else {
            let renewed = self.hub.auth.renew(&identity).await?;
            renewed.map_or_else(|| Arc::new(Actor::denied()), |renewed| renewed.actor)
        };
        let acting = Acting { known, version, actor: Arc::clone(&actor) };
        *self.connection.acting.lock() = Some(acting);
        Ok(actor)
    }

    /// Changes the identity of this connection. Its subscriptions continue with the access of the
    /// new identity.
    pub async fn identify(&self, identity: Identity) {
        self.turn_into(identity, false).await;
    }

    /// Changes the identity of this connection to one without an account, since a token has
    /// expired. Subscriptions that lose access send no error before [`Peer::send_deferred_errors`]:
    /// clients sign in again at once.
    pub async fn expire(&self, identity: Identity) {
        self.turn_into(identity, true).await;
    }

    /// Sends the deferred errors of subscriptions that lost access when the token expired.
    pub fn send_deferred_errors(&self) {
        let actor = self.actor();
        let subscriptions = self.connection.subscriptions.lock();
        for subscription in
            subscriptions.iter().filter(|subscription| subscription.take_deferred_error())
        {
            if let Err(error) = self.hub.subject(&actor, subscription) {
                self.connection.outbox.push(subscription.request.encoder.fail(&error));
            }
        }
    }

    async fn turn_into(&self, identity: Identity, expired: bool) {
        let _one = self.connection.changing.lock().await;
        let user = identity.actor.user;
        let before = std::mem::replace(&mut *self.connection.identity.lock(), identity);
        if before.actor.user != user {
            self.hub.typing().leave(&self.connection);
            self.connection.leave(before.actor.user);
            if let Some(user) = user {
                let left = self.connection.left.lock().take();
                if left != Some(user) {
                    self.go_on_as(user, left.is_some());
                }
            }
        }
        let change = if before.actor.user.is_none() || user.is_some() {
            Change::Rights
        } else if expired {
            Change::Expiry
        } else {
            Change::Loss
        };
        let is_same = before.actor.user == user;
        let bound = if is_same { Charge::Anyway } else { Charge::Bounded };
        self.hub.rescope(&self.connection, change, bound).await;
        // An earlier revocation concerned the previous identity.
        let _ = futures_util::FutureExt::now_or_never(self.connection.lost.notified());
    }

    /// Forgets the previous account: no account that signs in receives the events missed meanwhile.
    pub fn forget(&self) {
        *self.connection.left.lock() = None;
        self.skip_missed();
        // No account has this key.
        *self.connection.left.lock() = Some(Uuid::nil());
    }

    /// Resumes each subscription from the position stored for an account, if there is one. `left`
    /// says that another account was signed in before; the events it missed are skipped.
    fn go_on_as(&self, user: Uuid, left: bool) {
        let delivered = self.hub.delivered();
        for subscription in self.connection.subscriptions.lock().iter() {
            let name = subscription.name_of(Some(user));
            let own = name.and_then(|name| self.hub.positions.find_own(&name));
            if left {
                self.skip(subscription, delivered);
            }
            if let Some(through) = own {
                subscription.on(Input::GoBack { through });
            }
        }
    }

    fn skip_missed(&self) {
        let delivered = self.hub.delivered();
        for subscription in self.connection.subscriptions.lock().iter() {
            self.skip(subscription, delivered);
        }
    }

    /// Skips the events that a subscription missed up to `through`.
    fn skip(&self, subscription: &Arc<Subscription>, through: i64) {
        let keeps_shown = subscription.request.resume.recover.is_some();
        self.hub.apply(subscription, Input::Skip { through, keeps_shown });
    }

    /// Returns whether the new identity of this connection still holds, with the permissions now in
    /// force. If not, the caller has to replace it with one without an account. The hub applies
    /// changes only to identities that connections already have, so a change between authentication
    /// and this call would otherwise be missed.
    pub async fn confirm(&self, mut identity: Identity) -> bool {
        loop {
            match self.hub.auth.renew(&identity).await {
                Ok(Some(now)) if now.actor == identity.actor => return true,
                Ok(Some(now)) => {
                    self.identify(now.clone()).await;
                    identity = now;
                }
                // An identity that cannot be confirmed does not hold.
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Waits until a frame was sent that the client has to acknowledge. Cancel safe.
    pub async fn told(&self) {
        self.connection.sent.notified().await;
    }

    /// Returns the positions that the client reaches once it has received everything sent so far.
    #[must_use]
    pub fn ack_point(&self) -> AckPoint {
        let delivered = self.hub.delivered();
        let left = *self.connection.left.lock();
        let subscriptions = self.connection.subscriptions.lock();
        AckPoint(subscriptions.iter().flat_map(|one| one.confirmable(delivered, left)).collect())
    }

    /// Stores the positions that the client has acknowledged.
    pub fn remember(&self, point: AckPoint) {
        let by = Owner::of(&self.connection.identity.lock().actor);
        let (positions, now) = (&self.hub.positions, self.hub.now());
        for Confirmed { name, seq, complete_from } in point.0 {
            let is_known = positions.find_own(&name).is_some();
            if !is_known && !self.connection.may_remember(2 * self.hub.subscriptions_max) {
                continue;
            }
            if let Some(from) = complete_from {
                positions.advance_accounts(&name, from, seq, now);
            }
            let by = name.owner().unwrap_or(by);
            positions.advance(name, seq, by, now);
        }
    }

    /// Waits until the identity is revoked (signed out elsewhere, suspended, deleted, password
    /// changed). The hub has then already removed the access of this connection: nothing is
    /// delivered or allowed until [`Peer::identify`] is called again.
    pub async fn identity_lost(&self) {
        self.connection.lost.notified().await;
    }

    /// Begins a subscription: the `init` notification is in the outbox when this returns, before
    /// any event of the subscription.
    ///
    /// If an anonymous connection has no access to the requested items, it receives an error frame
    /// of the encoder, and the subscription begins when it signs in: clients that reconnect repeat
    /// their subscriptions before they sign in again.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidQuery`]; [`Error::LimitExceeded`] beyond the
    /// subscriptions that one connection may have. There is no subscription then.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<(), Error> {
        let mut request = SubscriptionRequest::new(subscribe)?;
        let (before, actor) = (self.actor(), self.acting().await?);
        let (actor, subscription, entered) = {
            let _one = self.connection.changing.lock().await;
            let _between_events = self.hub.order.read().await;
            let mut gap = None;
            if let Some(uid) = request.encoder.uid.clone() {
                gap = self.carry_on(&mut request);
                self.unsubscribe(Some(&uid));
            }
            // The identity may have changed while this waited.
            let actor = if Arc::ptr_eq(&before, &self.actor()) { actor } else { self.actor() };
            (request.part, request.place) = self.permits(&request, &actor)?;
            let subscription =
                Subscription::new(self.hub.next_id(), request, &self.connection, gap);
            self.connection.subscriptions.lock().push(Arc::clone(&subscription));
            let subject = self.hub.subject(&actor, &subscription);
            let entered = subject
                .and_then(|subject| self.hub.enter(&subscription, subject, Charge::Bounded, false));
            (actor, subscription, entered)
        };
        // Read outside the locks, so that only this subscription waits for it.
        let begun = match entered {
            Ok(()) => self.hub.begin(&subscription).await,
            Err(error) => Err(error),
        };
        match begun {
            Err(error @ Error::Forbidden(_)) if actor.user.is_none() => {
                let encoder = &subscription.request.encoder;
                let frame = (encoder.encode_error)(encoder.uid.as_deref(), &error);
                self.connection.outbox.push(frame);
                Ok(())
            }
            Err(error) => {
                self.end(|other| Arc::ptr_eq(other, &subscription));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Ends the subscription with this name; with `None`, all subscriptions of this connection.
    /// Unknown names are ignored.
    pub fn unsubscribe(&self, uid: Option<&str>) {
        self.end(|subscription| {
            uid.is_none() || subscription.request.encoder.uid.as_deref() == uid
        });
    }

    /// Passes the position of a running subscription to an equal one that replaces it. Events
    /// already sent on this connection are not sent again, and events committed but not yet
    /// delivered reach the replacement; otherwise they would reach neither. The SDK repeats each
    /// subscription twice. A subscription that starts from a snapshot needs none of this, since the
    /// snapshot covers all past events. Nor does one that asks for another cursor, or for the same
    /// cursor with other permissions: it is replayed from there.
    fn carry_on(&self, request: &mut SubscriptionRequest) -> Option<Gap> {
        if !request.resume.is_asked() && request.event.is_none() {
            return None;
        }
        let subscriptions = self.connection.subscriptions.lock();
        let uid = |subscription: &&Arc<Subscription>| {
            subscription.request.encoder.uid == request.encoder.uid
        };
        let running = subscriptions.iter().find(uid)?;
        let is_told_again = request.resume.since.is_some() && !running.is_resumed();
        if running.request.is_replaced_by(request) && !is_told_again {
            let (taken, gap) = running.hand_over(self.hub.delivered());
            request.taken = taken.map(Box::new);
            return gap;
        }
        request.resume.insists = request.resume.since.is_some();
        None
    }

    fn end(&self, ends: impl Fn(&Arc<Subscription>) -> bool) {
        let mut subscriptions = self.connection.subscriptions.lock();
        subscriptions.retain(|subscription| {
            if ends(subscription) {
                subscription.close();
                self.hub.view_index.leave(subscription);
                return false;
            }
            true
        });
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.unsubscribe(None);
        self.hub.leave(&self.connection);
    }
}
