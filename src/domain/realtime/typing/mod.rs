//! Who is writing a message just now: told to those who ask to hear of it, and never stored.
//!
//! A state like a topic: each telling names all of them, and replaces the one before. It is told at
//! most once a second, whatever happens in between, and once for all who may see the same names.

mod names;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::permissions::Permissions;
use crate::domain::realtime::Peer;
use crate::domain::realtime::peer::Seat;
use crate::domain::realtime::typing::names::Names;
use crate::model::Action;
use crate::model::Change;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::schema::MESSAGES;

/// How long lies between two tellings at least.
const PAUSE: Duration = Duration::from_secs(1);

/// How many are named. Of more the ones who began last are not.
const NAMED_MAX: usize = 20;

/// Makes the frame that tells who is writing, header included: a JSON list, and the client's name for
/// what it asked for.
pub type Encode = fn(names: &str, uid: Option<&str>) -> Bytes;

/// Who is writing, and who hears of it.
pub struct Typing {
    items: Arc<Items>,
    permissions: Arc<Permissions>,
    /// How long somebody counts as writing who does not say so again.
    patience: Duration,
    state: Mutex<State>,
    /// Held while somebody is told, so that nobody is told an older state after a newer one.
    order: tokio::sync::Mutex<()>,
    changed: Notify,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

#[derive(Default)]
struct State {
    /// The first to begin comes first.
    typists: Vec<Typist>,
    watchers: HashMap<u64, Arc<Watcher>>,
}

/// Somebody who is writing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Typist {
    /// The connection that said so last.
    seat: u64,
    /// The account; `None` for one of the public.
    user: Option<Uuid>,
    /// The name of a connection of the public, where it has one.
    guest: Option<Uuid>,
    until: Instant,
}

impl Typist {
    /// Returns whether these are the same person, as far as anybody can tell.
    fn is(&self, seat: u64, user: Option<Uuid>) -> bool {
        if user.is_some() { self.user == user } else { self.user.is_none() && self.seat == seat }
    }
}

/// Somebody who hears of it.
struct Watcher {
    seat: Arc<Seat>,
    encode: Encode,
    uid: Option<String>,
    /// What was told last; `None` if nothing may be told.
    told: Mutex<Option<String>>,
}

/// A connection's part in it. Dropping it ends that.
pub struct Watch {
    typing: Arc<Typing>,
    watcher: Arc<Watcher>,
}

impl Typing {
    /// Begins to keep account; [`Typing::finish`] ends that.
    #[must_use]
    pub fn start(
        items: Arc<Items>,
        permissions: Arc<Permissions>,
        patience: Duration,
    ) -> Arc<Self> {
        let typing = Arc::new(Self {
            items,
            permissions,
            patience,
            state: Mutex::default(),
            order: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        let telling = Arc::clone(&typing);
        typing.tasks.spawn(async move { telling.tell_on().await });
        typing
    }

    /// Ends the task and waits for it.
    pub async fn finish(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Lets a connection hear of it, from now on and until the watch is dropped. Who is writing now
    /// is told before this returns. A connection has one watch: another takes its place.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if it may not read messages. (If that is taken from it later it hears
    /// nothing more.)
    pub async fn watch(
        self: &Arc<Self>,
        peer: &Peer,
        encode: Encode,
        uid: Option<String>,
    ) -> Result<Watch, Error> {
        self.permissions.scope(&peer.actor(), &MESSAGES, Action::Read)?;
        let seat = Arc::clone(&peer.seat);
        let watcher = Arc::new(Watcher { seat, encode, uid, told: Mutex::default() });
        self.state.lock().watchers.insert(watcher.seat.id, Arc::clone(&watcher));
        let watch = Watch { typing: Arc::clone(self), watcher };
        self.tell(&[Arc::clone(&watch.watcher)]).await;
        Ok(watch)
    }

    /// Notes that the person behind a connection is writing. `guest` is the name of a connection of
    /// the public, where it has one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if they may not create messages.
    pub fn note(&self, peer: &Peer, guest: Option<Uuid>) -> Result<(), Error> {
        let actor = peer.actor();
        self.permissions.scope(&actor, &MESSAGES, Action::Create)?;
        let (seat, user, until) = (peer.seat.id, actor.user, Instant::now() + self.patience);
        let guest = guest.filter(|_| user.is_none());
        let mut state = self.state.lock();
        let known = state.typists.iter_mut().find(|typist| typist.is(seat, user));
        if let Some(typist) = known {
            (typist.seat, typist.until) = (seat, until);
        } else {
            state.typists.push(Typist { seat, user, guest, until });
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Notes that the person behind a connection writes no more.
    pub fn rest(&self, peer: &Peer) {
        let (seat, user) = (peer.seat.id, peer.actor().user);
        self.forget(|typist| typist.is(seat, user));
    }

    /// Notes that a connection has gone.
    pub(super) fn leave(&self, seat: &Seat) {
        self.forget(|typist| typist.seat == seat.id);
    }

    /// Takes notice of a committed event: who has said it writes it no more.
    pub(super) fn notice(&self, event: &Event) {
        if *event.collection != MESSAGES || event.action != EventAction::Create {
            return;
        }
        let guest = |change: &Change| change.after.as_ref()?.value("guest").as_uuid();
        let guests: Vec<Uuid> = event.changes.iter().filter_map(guest).collect();
        self.forget(|typist| match typist.user {
            Some(user) => event.actor == Some(user),
            None => typist.guest.is_some_and(|guest| guests.contains(&guest)),
        });
    }

    fn forget(&self, ends: impl Fn(&Typist) -> bool) {
        let mut state = self.state.lock();
        let before = state.typists.len();
        state.typists.retain(|typist| !ends(typist));
        if state.typists.len() != before {
            self.changed.notify_one();
        }
    }

    async fn tell_on(&self) {
        let telling = async {
            loop {
                self.wait().await;
                let watchers: Vec<_> = self.state.lock().watchers.values().cloned().collect();
                self.tell(&watchers).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.stopping.run_until_cancelled(telling).await;
    }

    /// Waits until somebody begins or ends, and lets those go who have not said so again.
    async fn wait(&self) {
        let next = self.state.lock().typists.iter().map(|typist| typist.until).min();
        match next {
            None => self.changed.notified().await,
            Some(next) => tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            },
        }
        let now = Instant::now();
        self.state.lock().typists.retain(|typist| typist.until > now);
    }

    /// Tells those of the watchers for whom something has changed.
    async fn tell(&self, watchers: &[Arc<Watcher>]) {
        let _order = self.order.lock().await;
        let mut typists = self.state.lock().typists.clone();
        typists.truncate(NAMED_MAX);
        let mut names = Names::new(&self.items, &self.permissions, &typists);
        for watcher in watchers {
            let actor = Arc::clone(&watcher.seat.identity.lock().actor);
            match names.seen_by(&actor, |typist| typist.is(watcher.seat.id, actor.user)).await {
                Ok(list) => watcher.tell(list),
                Err(error) => tracing::warn!(error = %error, "names could not be read"),
            }
        }
    }
}

impl Watcher {
    fn tell(&self, list: Option<String>) {
        let mut told = self.told.lock();
        // Whoever may not read any more is told once that nobody is to be seen.
        let now = list.as_deref().or(told.as_ref().map(|_| "[]"));
        if let Some(now) = now
            && told.as_deref() != Some(now)
        {
            self.seat.outbox.push((self.encode)(now, self.uid.as_deref()));
        }
        *told = list;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.typing.state.lock();
        let seat = self.watcher.seat.id;
        // Another may have taken its place.
        if state.watchers.get(&seat).is_some_and(|now| Arc::ptr_eq(now, &self.watcher)) {
            state.watchers.remove(&seat);
        }
    }
}
