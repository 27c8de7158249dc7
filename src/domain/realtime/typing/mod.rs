//! Who is writing a message just now: told to those who ask to hear of it, and never stored.
//!
//! A state like a topic: each telling names all of them, and replaces the one before. It is told at
//! most once a second, whatever happens in between, and once for all who may see the same names.

mod names;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::client_shares::ClientPart;
use crate::domain::items::Items;
use crate::domain::items::plan::Plan;
use crate::domain::permissions::Concern;
use crate::domain::permissions::Permissions;
use crate::domain::realtime::Peer;
use crate::domain::realtime::peer::Seat;
use crate::domain::realtime::topics::feed;
use crate::domain::realtime::typing::names::Names;
use crate::domain::shares::Owner;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Change;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::schema::MESSAGES;

/// How long lies between two tellings at least.
const PAUSE: Duration = Duration::from_secs(1);

/// How many are named. Of more accounts come before visitors, and the ones who began last are not.
const NAMED_MAX: usize = 20;

/// How many accounts are known, and how many visitors. One more takes the place of the first to begin.
const TYPISTS_MAX: usize = 100;

/// How many visitors of one address are known.
const OF_ADDRESS_MAX: usize = 20;

/// After how many who were told others get their turn.
const TOLD_AT_ONCE: usize = 256;

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
    /// Rises when rights may have changed.
    rights: AtomicU64,
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
#[derive(Clone)]
struct Typist {
    /// The connection that said so last.
    seat: Arc<Seat>,
    /// The account; `None` for one of the public.
    user: Option<Uuid>,
    /// Whose place this takes.
    owner: Owner,
    /// The name of a connection of the public, where it has one.
    guest: Option<Uuid>,
    until: Instant,
}

impl State {
    /// Makes room for one more: nobody who is somebody gives way to visitors, and no visitor to many of
    /// one address.
    fn make_room(&mut self, owner: Owner) {
        let is_account = |owner: Owner| matches!(owner, Owner::Account(_));
        if !is_account(owner) {
            self.drop_first(OF_ADDRESS_MAX, |typist| typist.owner == owner);
        }
        self.drop_first(TYPISTS_MAX, |typist| is_account(typist.owner) == is_account(owner));
    }

    /// Drops the first of a kind if there are as many as there may be.
    fn drop_first(&mut self, most: usize, is_one: impl Fn(&Typist) -> bool) {
        let mut places = (0..self.typists.len()).filter(|place| is_one(&self.typists[*place]));
        if let Some(first) = places.next()
            && places.count() + 1 >= most
        {
            self.typists.remove(first);
        }
    }
}

impl Typist {
    /// Returns whether these are the same person, as far as anybody can tell.
    fn is(&self, seat: u64, user: Option<Uuid>) -> bool {
        if user.is_some() { self.user == user } else { self.user.is_none() && self.seat.id == seat }
    }

    /// Returns whether the connection is still this person's, and they may still create messages.
    fn holds(&self, permissions: &Permissions) -> bool {
        let actor = Arc::clone(&self.seat.identity.lock().actor);
        actor.user == self.user && permissions.scope(&actor, &MESSAGES, Action::Create).is_ok()
    }
}

/// Somebody who hears of it.
struct Watcher {
    seat: Arc<Seat>,
    encode: Encode,
    uid: Option<String>,
    sight: Mutex<Option<Sight>>,
    /// What was told last; `None` if nothing may be told.
    told: Mutex<Option<String>>,
}

/// How somebody sees messages.
#[derive(Clone)]
struct Sight {
    /// Whose sight it is.
    actor: Arc<Actor>,
    /// The rights that it was worked out with.
    rights: u64,
    /// `None` if they may see none.
    plan: Option<Arc<Plan>>,
}

/// A connection's part in it. Dropping it ends that.
pub struct Watch {
    typing: Arc<Typing>,
    watcher: Arc<Watcher>,
    _place: ClientPart,
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
            rights: AtomicU64::new(0),
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
    /// [`Error::Forbidden`] if it may not read what messages say. (If that is taken from it later it hears
    /// nothing more.)
    pub async fn watch(
        self: &Arc<Self>,
        peer: &Peer,
        encode: Encode,
        uid: Option<String>,
    ) -> Result<Watch, Error> {
        if feed::plan(&self.items, &self.permissions, &*peer.acting().await?, 1)?.is_none() {
            return Err(Error::collection(MESSAGES.name));
        }
        let place = peer.take_place()?;
        let seat = Arc::clone(&peer.seat);
        let (sight, told) = (Mutex::default(), Mutex::default());
        let watcher = Arc::new(Watcher { seat, encode, uid, sight, told });
        self.state.lock().watchers.insert(watcher.seat.id, Arc::clone(&watcher));
        let watch = Watch { typing: Arc::clone(self), watcher, _place: place };
        self.tell(&[Arc::clone(&watch.watcher)]).await;
        Ok(watch)
    }

    /// Notes that the person behind a connection is writing. `guest` is the name of a connection of
    /// the public, where it has one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if they may not create messages.
    pub async fn note(&self, peer: &Peer, guest: Option<Uuid>) -> Result<(), Error> {
        let actor = peer.acting().await?;
        self.permissions.scope(&actor, &MESSAGES, Action::Create)?;
        let (seat, user) = (Arc::clone(&peer.seat), actor.user);
        let (guest, until) = (guest.filter(|_| user.is_none()), Instant::now() + self.patience);
        let mut state = self.state.lock();
        let known = state.typists.iter_mut().find(|typist| typist.is(seat.id, user));
        if let Some(typist) = known {
            (typist.seat, typist.until) = (seat, until);
        } else {
            let owner = Owner::of(&actor);
            state.make_room(owner);
            state.typists.push(Typist { seat, user, owner, guest, until });
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Notes that the person behind a connection writes no more.
    pub fn rest(&self, peer: &Peer) {
        let (seat, user) = (peer.seat.id, peer.actor().user);
        self.forget(|typist| typist.is(seat, user));
    }

    /// Notes that a connection has gone, or is somebody else's.
    pub(super) fn leave(&self, seat: &Seat) {
        self.forget(|typist| typist.seat.id == seat.id);
    }

    /// Takes notice of a committed event: who has said it writes it no more, and whose rights changed
    /// may be named, or told, no more.
    pub(super) fn notice(&self, event: &Event) {
        if Concern::of(event) != Concern::Nobody {
            self.rights.fetch_add(1, Ordering::AcqRel);
            self.changed.notify_one();
        }
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
        typists.retain(|typist| typist.holds(&self.permissions));
        if typists.len() > NAMED_MAX {
            // Stable: the first to begin comes first.
            typists.sort_by_key(|typist| typist.user.is_none());
            typists.truncate(NAMED_MAX);
        }
        let mut names = Names::new(&self.items, &typists);
        for (count, watcher) in watchers.iter().enumerate() {
            if count % TOLD_AT_ONCE == TOLD_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            if let Err(error) = self.tell_one(watcher, &mut names).await {
                tracing::warn!(error = %error, "names could not be read");
            }
        }
    }

    async fn tell_one(&self, watcher: &Watcher, names: &mut Names<'_>) -> Result<(), Error> {
        let mut sight = self.sight(watcher)?;
        let (seat, user) = (watcher.seat.id, sight.actor.user);
        let list = match &mut sight.plan {
            Some(plan) => Some(names.seen_by(plan, |typist| typist.is(seat, user)).await?),
            None => None,
        };
        let actor = Arc::clone(&sight.actor);
        *watcher.sight.lock() = Some(sight);
        // Names may have been read from the disk meanwhile: nobody is told what they may see no more.
        let identity = watcher.seat.identity.lock();
        if Arc::ptr_eq(&identity.actor, &actor) {
            watcher.tell(list);
        } else {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Returns how a watcher sees messages now.
    fn sight(&self, watcher: &Watcher) -> Result<Sight, Error> {
        // Before the rights are looked at: should they change right now they are looked at again.
        let rights = self.rights.load(Ordering::Acquire);
        let actor = Arc::clone(&watcher.seat.identity.lock().actor);
        let known = watcher.sight.lock().clone();
        let is_current =
            |sight: &Sight| sight.rights == rights && Arc::ptr_eq(&sight.actor, &actor);
        if let Some(known) = known.filter(is_current) {
            return Ok(known);
        }
        let plan = feed::plan(&self.items, &self.permissions, &actor, 1)?.map(Arc::new);
        Ok(Sight { actor, rights, plan })
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
