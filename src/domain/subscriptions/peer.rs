//! The handle of a connection that a transport holds: identity, subscriptions, topics, typing.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::auth::{ClientInfo, Identity};
use crate::domain::delivery::Outbox;
use crate::domain::quota::Owner;
use crate::domain::subscriptions::connection::{Acting, ConnectionState, Gap, Subscription};
use crate::domain::subscriptions::hub::{Change, Hub};
use crate::domain::subscriptions::limits::Permits;
use crate::domain::subscriptions::recovery::AckPoint;
use crate::domain::subscriptions::request::{Subscribe, SubscriptionRequest};
use crate::domain::subscriptions::state::Input;
use crate::domain::subscriptions::topics::{Page, SubscriberHandle};
use crate::domain::subscriptions::typing;
use crate::domain::subscriptions::typing::Watch;
use crate::domain::subscriptions::view_index::Charge;
use crate::model::Actor;

/// A connection that has joined the hub. Dropping it ends its subscriptions.
pub struct Peer {
    hub: Arc<Hub>,
    connection: Arc<ConnectionState>,
}

impl Hub {
    /// Adds a connection with its identity.
    #[must_use]
    pub fn join(self: &Arc<Self>, outbox: Arc<Outbox>, identity: Identity) -> Peer {
        let connection = ConnectionState::new(self.next_id(), outbox, identity);
        self.connections.add(connection.id, Arc::clone(&connection));
        Peer { hub: Arc::clone(self), connection }
    }
}

impl Peer {
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
        self.hub.connections.shed_load();
    }

    /// Returns the current principal, the actor of [`Peer::identity`].
    #[must_use]
    pub fn actor(&self) -> Arc<Actor> {
        self.connection.actor()
    }

    /// Resolves the principal for a command. All changes that were acknowledged to a client count,
    /// even if they are not delivered yet. Without its session or token, the principal has no
    /// access. To be called before each command: the store is read only if an account, a session or
    /// a permission has changed since the last call.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn acting(&self) -> Result<Arc<Actor>, Error> {
        let version = self.hub.committer.identity_version();
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
                self.connection.outbox.push(subscription.request.encoder.encode_error(&error));
            }
        }
    }

    async fn turn_into(&self, identity: Identity, expired: bool) {
        let _one = self.connection.changing.lock().await;
        let user = identity.actor.user;
        let before = std::mem::replace(&mut *self.connection.identity.lock(), identity);
        if before.actor.user != user {
            self.hub.typing.leave(&self.connection);
            self.connection.recovery.leave(before.actor.user);
            if let Some(user) = user {
                let left = self.connection.recovery.left.lock().take();
                if left != Some(user) {
                    self.resume_as(user, left.is_some());
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
        self.connection.recovery.left.lock().take();
        let delivered = self.hub.delivered();
        for subscription in self.connection.subscriptions.lock().iter() {
            self.skip(subscription, delivered);
        }
        // No account has this key.
        *self.connection.recovery.left.lock() = Some(Uuid::nil());
    }

    /// Resumes each subscription from the position stored for an account, if there is one. `left`
    /// says that another account was signed in before; the events it missed are skipped.
    fn resume_as(&self, user: Uuid, left: bool) {
        let delivered = self.hub.delivered();
        for subscription in self.connection.subscriptions.lock().iter() {
            let key = subscription.key_of(Some(user));
            let own = key.and_then(|key| self.hub.recovery.own_position(&key));
            if left {
                self.skip(subscription, delivered);
            }
            if let Some(through) = own {
                subscription.on(Input::GoBack { through });
            }
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
    pub async fn ack_needed(&self) {
        self.connection.sent.notified().await;
    }

    /// Returns the positions that the client reaches once it has received everything sent so far.
    #[must_use]
    pub fn sent(&self) -> AckPoint {
        let delivered = self.hub.delivered();
        let subscriptions = self.connection.subscriptions.lock();
        AckPoint(subscriptions.iter().flat_map(|one| one.sent(delivered)).collect())
    }

    /// Stores the positions that the client has acknowledged.
    pub fn confirmed(&self, point: AckPoint) {
        let by = Owner::of(&self.actor());
        self.hub.recovery.confirmed(&self.connection.recovery, by, point);
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
                gap = self.take_over(&mut request);
                self.unsubscribe(Some(&uid));
            }
            // The identity may have changed while this waited.
            let actor = if Arc::ptr_eq(&before, &self.actor()) { actor } else { self.actor() };
            request.permits = self.permits(&request, &actor)?;
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
                self.connection.outbox.push(subscription.request.encoder.encode_error(&error));
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
    fn take_over(&self, request: &mut SubscriptionRequest) -> Option<Gap> {
        if !request.resume.is_asked() && request.event.is_none() {
            return None;
        }
        let subscriptions = self.connection.subscriptions.lock();
        let uid = |subscription: &&Arc<Subscription>| {
            subscription.request.encoder.uid == request.encoder.uid
        };
        let running = subscriptions.iter().find(uid)?;
        let is_sent_again = request.resume.since.is_some() && !running.is_resumed();
        if running.request.is_replaced_by(request) && !is_sent_again {
            let (missing, gap) = running.hand_over(self.hub.delivered());
            request.taken_over = missing.map(Box::new);
            return gap;
        }
        request.resume.insists = request.resume.since.is_some();
        None
    }

    /// Takes the permits for one more subscription.
    fn permits(&self, request: &SubscriptionRequest, actor: &Actor) -> Result<Permits, Error> {
        let subscriptions = self.connection.subscriptions.lock();
        let others = subscriptions.iter().map(|one| one.request.query_bytes());
        self.hub.limits.permits(actor, request.query_bytes(), others)
    }

    /// Returns the name of the page at the other end, from its client and the origin of the page;
    /// `None` if the client is no browser.
    #[must_use]
    pub fn page(&self, client: &ClientInfo, origin: Option<&str>) -> Option<Page> {
        self.hub.topics.page(client, origin)
    }

    /// Subscribes the connection, under a unique name, to the topics. When this returns, its outbox
    /// has the current messages, unless there are none, its name and the number of connections. A
    /// page that has subscribed to `chat` before is subscribed again.
    pub async fn enter_topics(&self, name: Uuid, page: Option<Page>) -> SubscriberHandle {
        self.hub.topics.enter(&self.connection, name, page).await
    }

    /// Watches the typing users until the returned watch is dropped. The current ones are sent
    /// before this returns. A connection has one watch: a new one replaces it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the connection may not read the content of messages. (A watcher that
    /// loses this permission later is sent an empty list, and then nothing more.)
    pub async fn watch_typing(
        &self,
        encode: typing::Encode,
        uid: Option<String>,
    ) -> Result<Watch, Error> {
        let actor = self.acting().await?;
        self.hub.typing.watch(&self.connection, &actor, encode, uid).await
    }

    /// Records that the user of the connection is typing. `guest` is the name of a visitor's
    /// connection, if it has one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the user may not create messages.
    pub async fn start_typing(&self, guest: Option<Uuid>) -> Result<(), Error> {
        let actor = self.acting().await?;
        self.hub.typing.start_typing(&self.connection, &actor, guest)
    }

    /// Records that the user of the connection has stopped typing.
    pub fn stop_typing(&self) {
        self.hub.typing.stop_typing(&self.connection);
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
