//! A connection as the hub sees it: its identity and its subscriptions.

mod subscription;

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

pub(super) use subscription::{Frame, Gap, Subscription};

use crate::domain::auth::Identity;
use crate::domain::delivery::{ByteBudget, Outbox};
use crate::domain::subscriptions::recovery;
use crate::model::Actor;

/// The hub's record of a connection.
pub(super) struct ConnectionState {
    pub(super) id: u64,
    pub(super) outbox: Arc<Outbox>,
    pub(super) identity: Mutex<Identity>,
    pub(super) subscriptions: Mutex<Vec<Arc<Subscription>>>,
    pub(super) recovery: recovery::Client,
    /// The replay of missed events; most connections need none.
    replaying: OnceLock<Box<Replaying>>,
    /// The principal resolved for the last command, cached.
    pub(super) acting: Mutex<Option<Acting>>,
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
pub(super) struct Acting {
    /// The principal of the connection according to the delivered events.
    pub(super) known: Arc<Actor>,
    /// The identity version it was resolved at.
    pub(super) version: u64,
    pub(super) actor: Arc<Actor>,
}

impl ConnectionState {
    pub(super) fn new(id: u64, outbox: Arc<Outbox>, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbox,
            identity: Mutex::new(identity),
            subscriptions: Mutex::default(),
            recovery: recovery::Client::default(),
            replaying: OnceLock::new(),
            acting: Mutex::default(),
            sent: Notify::new(),
            lost: Notify::new(),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the current principal.
    pub(super) fn actor(&self) -> Arc<Actor> {
        Arc::clone(&self.identity.lock().actor)
    }

    /// Returns the replay of the connection, with `budget` if it is the first.
    pub(super) fn replaying(&self, budget: impl FnOnce() -> ByteBudget) -> &Replaying {
        let first = || Box::new(Replaying { budget: budget(), turn: Semaphore::new(1) });
        self.replaying.get_or_init(first)
    }
}

impl AsRef<Outbox> for ConnectionState {
    fn as_ref(&self) -> &Outbox {
        &self.outbox
    }
}
