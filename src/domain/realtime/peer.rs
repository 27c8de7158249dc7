//! One connection, as the hub sees it: who it is, and what it listens to.

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
use crate::domain::realtime::Hub;
use crate::domain::realtime::Meter;
use crate::domain::realtime::Outbox;
use crate::domain::realtime::Subscribe;
use crate::domain::realtime::ask::Ask;
use crate::domain::realtime::audience::Charge;
use crate::domain::realtime::hub::Change;
use crate::domain::realtime::lapse::Lapse;
use crate::domain::realtime::listener::Confirmed;
use crate::domain::realtime::listener::Listener;
use crate::domain::shares::Owner;
use crate::model::Actor;

/// A connection that has joined the hub. Dropping it ends its subscriptions.
pub struct Peer {
    pub(super) hub: Arc<Hub>,
    pub(super) seat: Arc<Seat>,
}

/// Up to where the subscriptions of a connection were told everything, at one moment. Empty if its
/// client wants none of that remembered.
#[derive(Debug, Default)]
pub struct Mark(Vec<Confirmed>);

/// What the hub keeps of a connection.
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) outbox: Arc<Outbox>,
    pub(super) identity: Mutex<Identity>,
    pub(super) listeners: Mutex<Vec<Arc<Listener>>>,
    /// Who it was before it became nobody's or the public's: only the same one is told what happened
    /// meanwhile.
    left: Mutex<Option<Uuid>>,
    /// How many positions it has had remembered.
    remembered: AtomicUsize,
    /// What it is told that it missed; of most nothing.
    replaying: OnceLock<Box<Replaying>>,
    /// Whom it was found to be when it last did something.
    acting: Mutex<Option<Acting>>,
    /// Told when something was sent that the client is to confirm.
    pub(super) told: Notify,
    /// Told when the identity was taken away.
    pub(super) lost: Notify,
    /// One change of who this is at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
}

/// The one way on which all subscriptions of a connection are told what they missed.
pub(super) struct Replaying {
    /// What of it has yet to be read.
    pub(super) meter: Meter,
    /// Whose turn it is.
    pub(super) turn: Semaphore,
}

/// Who somebody is, and what that was found out from.
struct Acting {
    /// Who the connection is by what was delivered.
    known: Arc<Actor>,
    /// Of which moment that was.
    standing: u64,
    actor: Arc<Actor>,
}

impl Seat {
    pub(super) fn new(id: u64, outbox: Arc<Outbox>, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbox,
            identity: Mutex::new(identity),
            listeners: Mutex::default(),
            left: Mutex::default(),
            remembered: AtomicUsize::new(0),
            replaying: OnceLock::new(),
            acting: Mutex::default(),
            told: Notify::new(),
            lost: Notify::new(),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the way on which it is told what it missed.
    pub(super) fn replaying(&self, hub: &Hub) -> &Replaying {
        self.replaying.get_or_init(|| {
            let meter = hub.meter(hub.replay_bytes_max);
            Box::new(Replaying { meter, turn: Semaphore::new(1) })
        })
    }

    /// Takes one of the positions that a connection may have remembered in its time. Returns whether
    /// there was one left.
    pub(super) fn may_remember(&self, most: usize) -> bool {
        self.remembered.fetch_add(1, Ordering::Relaxed) < most
    }

    /// Notes who this was until now.
    pub(super) fn leave(&self, user: Option<Uuid>) {
        if user.is_some() {
            *self.left.lock() = user;
        }
    }
}

impl Peer {
    pub(super) const fn new(hub: Arc<Hub>, seat: Arc<Seat>) -> Self {
        Self { hub, seat }
    }

    /// Returns who this connection is now, with the rights now in force.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.seat.identity.lock().clone()
    }

    /// Sends a frame that is not shared with others. It counts for what all may leave unread by the meter
    /// that has counted it.
    pub fn send(&self, frame: Bytes) {
        // A refused frame needs no report: the connection is closing then, and the writer says so.
        self.seat.outbox.push(frame);
        self.hub.make_room();
    }

    /// Returns who is asking. Short for the actor of [`Peer::identity`].
    #[must_use]
    pub fn actor(&self) -> Arc<Actor> {
        Arc::clone(&self.seat.identity.lock().actor)
    }

    /// Returns who is about to do something: whoever this connection is by everything that anybody
    /// was answered, also what has yet to be delivered. Nobody, if what it rests on is gone. To be
    /// asked before each thing that is done; unless an account, a session or a right has changed since
    /// the last time this looks nothing up.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn acting(&self) -> Result<Arc<Actor>, Error> {
        let standing = self.hub.changes.standing();
        let known = self.actor();
        let is_current =
            |acting: &&Acting| acting.standing == standing && Arc::ptr_eq(&acting.known, &known);
        if let Some(acting) = self.seat.acting.lock().as_ref().filter(is_current) {
            return Ok(Arc::clone(&acting.actor));
        }
        let identity = self.identity();
        let known = Arc::clone(&identity.actor);
        let actor = if identity.is_nobody() {
            Arc::clone(&known)
        } else {
            let renewed = self.hub.auth.renew(&identity).await?;
            renewed.map_or_else(|| Arc::new(Actor::nobody()), |renewed| renewed.actor)
        };
        let acting = Acting { known, standing, actor: Arc::clone(&actor) };
        *self.seat.acting.lock() = Some(acting);
        Ok(actor)
    }

    /// Makes this connection somebody else; its subscriptions stay and show from now on what the new
    /// one may see.
    pub async fn identify(&self, identity: Identity) {
        self.turn_into(identity, false).await;
    }

    /// Makes this connection nobody's or the public's since a token has expired. Subscriptions that show
    /// nothing any more do not say so before [`Peer::say_unsaid`]: clients sign in again at once.
    pub async fn expire(&self, identity: Identity) {
        self.turn_into(identity, true).await;
    }

    /// Tells of the subscriptions that have shown nothing since the token expired.
    pub fn say_unsaid(&self) {
        let actor = self.actor();
        let listeners = self.seat.listeners.lock();
        for listener in listeners.iter().filter(|listener| listener.take_unsaid()) {
            if let Err(error) = self.hub.subject(&actor, listener) {
                self.seat.outbox.push(listener.ask.envelope.fail(&error));
            }
        }
    }

    async fn turn_into(&self, identity: Identity, expired: bool) {
        let _one = self.seat.changing.lock().await;
        let user = identity.actor.user;
        let before = std::mem::replace(&mut *self.seat.identity.lock(), identity);
        if before.actor.user != user {
            self.hub.typing().leave(&self.seat);
            self.seat.leave(before.actor.user);
            if let Some(user) = user {
                let left = self.seat.left.lock().take();
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
        self.hub.rescope(&self.seat, change, bound).await;
        // What was lost before belonged to the identity before.
        let _ = futures_util::FutureExt::now_or_never(self.seat.lost.notified());
    }

    /// Forgets who this connection was: whoever it is next is not told what happened meanwhile.
    pub fn forget(&self) {
        *self.seat.left.lock() = None;
        self.skip_missed();
        // Nobody has this key.
        *self.seat.left.lock() = Some(Uuid::nil());
    }

    /// Lets each subscription go on for an account as far as that is known to have got itself. `left` says
    /// that somebody else was here before, who is not told of.
    fn go_on_as(&self, user: Uuid, left: bool) {
        let delivered = self.hub.delivered();
        for listener in self.seat.listeners.lock().iter() {
            let name = listener.name_of(Some(user));
            let own = name.and_then(|name| self.hub.positions.find_own(&name));
            if left {
                listener.leap(delivered);
            }
            if let Some(own) = own {
                listener.go_back(own);
            }
        }
    }

    fn skip_missed(&self) {
        let delivered = self.hub.delivered();
        for listener in self.seat.listeners.lock().iter() {
            listener.leap(delivered);
        }
    }

    /// Returns whether what this connection has just become still holds, with the rights now in
    /// force; if not, the caller has to make it nobody's or the public's. The hub hears of changes
    /// only for whoever a connection is already, so what changed between recognising somebody and
    /// this moment would be missed for good.
    pub async fn confirm(&self, mut identity: Identity) -> bool {
        loop {
            match self.hub.auth.renew(&identity).await {
                Ok(Some(now)) if now.actor == identity.actor => return true,
                Ok(Some(now)) => {
                    self.identify(now.clone()).await;
                    identity = now;
                }
                // What cannot be confirmed does not hold.
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Waits until something was sent that the client is to confirm. Cancelling this loses nothing.
    pub async fn told(&self) {
        self.seat.told.notified().await;
    }

    /// Returns how far the client has got once it has everything that was sent to it by now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let delivered = self.hub.delivered();
        let left = *self.seat.left.lock();
        let listeners = self.seat.listeners.lock();
        Mark(listeners.iter().flat_map(|one| one.confirmable(delivered, left)).collect())
    }

    /// Remembers that the client has everything up to a mark.
    pub fn remember(&self, mark: Mark) {
        let by = Owner::of(&self.seat.identity.lock().actor);
        let (positions, now) = (&self.hub.positions, self.hub.now());
        for Confirmed { name, seq, whole_from } in mark.0 {
            let is_known = positions.find_own(&name).is_some();
            if !is_known && !self.seat.may_remember(2 * self.hub.subscriptions_max) {
                continue;
            }
            if let Some(from) = whole_from {
                positions.advance_accounts(&name, from, seq, now);
            }
            let by = name.owner().unwrap_or(by);
            positions.advance(name, seq, by, now);
        }
    }

    /// Waits until what the identity rests on is gone (signed out elsewhere, suspended, deleted,
    /// password changed). The hub has by then already made this connection nobody's: nothing is
    /// delivered and nothing allowed until [`Peer::identify`] is called again.
    pub async fn identity_lost(&self) {
        self.seat.lost.notified().await;
    }

    /// Begins a subscription: the `init` news is in the outbox when this returns, and no event of
    /// the subscription is before it.
    ///
    /// A connection that has not signed in and may not see what it asks for is told so by an error
    /// frame of the envelope, and its subscription begins when it signs in: clients that reconnect
    /// repeat their subscriptions before they sign in again.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidQuery`]; [`Error::LimitExceeded`] beyond the
    /// subscriptions that one connection may have. There is no subscription then.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<(), Error> {
        let mut ask = Ask::new(subscribe)?;
        let (before, actor) = (self.actor(), self.acting().await?);
        let (actor, listener, entered) = {
            let _one = self.seat.changing.lock().await;
            let _between_events = self.hub.order.read().await;
            let mut lapse = None;
            if let Some(uid) = ask.envelope.uid.clone() {
                lapse = self.carry_on(&mut ask);
                self.unsubscribe(Some(&uid));
            }
            // It may have become somebody else while this waited.
            let actor = if Arc::ptr_eq(&before, &self.actor()) { actor } else { self.actor() };
            (ask.part, ask.place) = self.room(&ask, &actor)?;
            let listener = Listener::held(self.hub.next_id(), ask, &self.seat);
            listener.inherit(lapse);
            self.seat.listeners.lock().push(Arc::clone(&listener));
            let subject = self.hub.subject(&actor, &listener);
            let entered =
                subject.and_then(|subject| self.hub.enter(&listener, subject, Charge::Bounded));
            (actor, listener, entered)
        };
        // The reading is nobody's wait but its own.
        let begun = match entered {
            Ok(()) => self.hub.begin(&listener).await,
            Err(error) => Err(error),
        };
        match begun {
            Err(error @ Error::Forbidden(_)) if actor.user.is_none() => {
                let envelope = &listener.ask.envelope;
                let frame = (envelope.encode_error)(envelope.uid.as_deref(), &error);
                self.seat.outbox.push(frame);
                Ok(())
            }
            Err(error) => {
                self.end(|other| Arc::ptr_eq(other, &listener));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Ends the subscription with this name; with `None` all of this connection. Unknown names are
    /// no error.
    pub fn unsubscribe(&self, uid: Option<&str>) {
        self.end(|listener| uid.is_none() || listener.ask.envelope.uid.as_deref() == uid);
    }

    /// Lets what takes the place of an equal subscription go on where that has got to: what was sent on
    /// this connection need not be sent again, and what was committed by now but not delivered yet
    /// would else reach neither of them. The SDK repeats each subscription twice. One that begins with
    /// what is there now needs none of that, since it shows all that has happened. Nor does one that asks
    /// for another cursor, or for the same one by other rights: it is told what is behind that.
    fn carry_on(&self, ask: &mut Ask) -> Option<Box<Lapse>> {
        if !ask.resume.is_asked() && ask.event.is_none() {
            return None;
        }
        let listeners = self.seat.listeners.lock();
        let uid = |listener: &&Arc<Listener>| listener.ask.envelope.uid == ask.envelope.uid;
        let running = listeners.iter().find(uid)?;
        let is_told_again = ask.resume.since.is_some() && !running.is_whole();
        if running.ask.is_replaced_by(ask) && !is_told_again {
            let (taken, lapse) = running.hand_over(self.hub.delivered());
            ask.taken = taken;
            return lapse;
        }
        ask.resume.insists = ask.resume.since.is_some();
        None
    }

    fn end(&self, ends: impl Fn(&Arc<Listener>) -> bool) {
        let mut listeners = self.seat.listeners.lock();
        listeners.retain(|listener| {
            if ends(listener) {
                listener.shut();
                self.hub.audience.leave(listener);
                return false;
            }
            true
        });
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.unsubscribe(None);
        self.hub.leave(&self.seat);
    }
}
