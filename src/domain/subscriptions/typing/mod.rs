//! Typing indicators: the users that are writing a message. Sent to the connections that watch
//! them, and never stored.
//!
//! A state, as with topics: each frame lists all typing users and replaces the previous one. Frames
//! are sent at most once a second, and lists rendered once for watchers with equal access.

mod names;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::items::Items;
use crate::domain::items::plan::Plan;
use crate::domain::permissions::{Concern, Permissions};
use crate::domain::quota::Owner;
use crate::domain::subscriptions::connection::ConnectionState;
use crate::domain::subscriptions::limits::SubscriptionQuota;
use crate::domain::subscriptions::topics::feed;
use crate::domain::subscriptions::typing::names::Names;
use crate::model::schema::MESSAGES;
use crate::model::schema::messages;
use crate::model::{Action, Actor, Change, Event, EventAction};

/// The minimum interval between two updates.
const PAUSE: Duration = Duration::from_secs(1);

/// The maximum number of listed users. If there are more, accounts come before visitors, and the
/// last to start are left out.
const NAMED_MAX: usize = 20;

/// The maximum numbers of typing accounts and of visitors. One more replaces the first to start.
const USERS_MAX: usize = 100;

/// The maximum number of typing visitors of one address.
const OF_ADDRESS_MAX: usize = 20;

/// The number of watchers that are updated before the task yields.
const SENT_AT_ONCE: usize = 256;

/// Encodes a frame with the typing users, header included: a JSON list of names, and the client's
/// name for its subscription.
pub type Encode = fn(names: &str, uid: Option<&str>) -> Bytes;

/// The typing users and their watchers.
pub struct Typing {
    items: Arc<Items>,
    permissions: Arc<Permissions>,
    /// The time after which a user that does not repeat its signal no longer counts as typing.
    patience: Duration,
    quota: SubscriptionQuota,
    state: Mutex<State>,
    /// Held during an update, so that no watcher receives an older state after a newer one.
    order: tokio::sync::Mutex<()>,
    changed: Notify,
    /// Incremented when permissions may have changed.
    rights: AtomicU64,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

#[derive(Default)]
struct State {
    /// The first to start comes first.
    users: Vec<TypingUser>,
    watchers: HashMap<u64, Arc<Watcher>>,
}

/// A typing user.
#[derive(Clone)]
struct TypingUser {
    /// The connection that signalled last.
    connection: Arc<ConnectionState>,
    /// The account; `None` for a visitor.
    user: Option<Uuid>,
    /// The account or address whose limit applies.
    owner: Owner,
    /// The name of a visitor's connection, if it has one.
    guest: Option<Uuid>,
    until: Instant,
}

impl State {
    /// Makes space for one more entry. Visitors do not evict accounts, and an address at its limit
    /// replaces its own entries.
    fn evict(&mut self, owner: Owner) {
        let is_account = |owner: Owner| matches!(owner, Owner::Account(_));
        if !is_account(owner) {
            self.drop_first(OF_ADDRESS_MAX, |typing| typing.owner == owner);
        }
        self.drop_first(USERS_MAX, |typing| is_account(typing.owner) == is_account(owner));
    }

    /// Drops the first entry of a kind if its limit is reached.
    fn drop_first(&mut self, most: usize, is_one: impl Fn(&TypingUser) -> bool) {
        let mut indexes = (0..self.users.len()).filter(|index| is_one(&self.users[*index]));
        if let Some(first) = indexes.next()
            && indexes.count() + 1 >= most
        {
            self.users.remove(first);
        }
    }
}

impl TypingUser {
    /// Returns whether this entry is of the given account or, for a visitor, the given connection.
    fn is(&self, connection: u64, user: Option<Uuid>) -> bool {
        if user.is_some() {
            self.user == user
        } else {
            self.user.is_none() && self.connection.id == connection
        }
    }

    /// Returns whether the connection still has this account, and may still create messages.
    fn holds(&self, permissions: &Permissions) -> bool {
        let actor = self.connection.actor();
        actor.user == self.user && permissions.scope(&actor, &MESSAGES, Action::Create).is_ok()
    }
}

/// A connection that watches the typing users.
struct Watcher {
    connection: Arc<ConnectionState>,
    encode: Encode,
    uid: Option<String>,
    sight: Mutex<Option<Sight>>,
    /// The list that was sent last; `None` if the watcher may see none.
    sent: Mutex<Option<String>>,
}

/// The access of a watcher to messages.
#[derive(Clone)]
struct Sight {
    /// The actor that has this access.
    actor: Arc<Actor>,
    /// The version of the permissions that it was resolved with.
    rights: u64,
    /// `None` without access to messages.
    plan: Option<Arc<Plan>>,
}

/// A connection's registration as a watcher. Dropping it ends the registration.
pub struct Watch {
    typing: Arc<Typing>,
    watcher: Arc<Watcher>,
    _permit: ClientPermit,
}

impl Typing {
    /// Starts the update task; [`Typing::finish`] ends it.
    pub(super) fn start(
        items: Arc<Items>,
        permissions: Arc<Permissions>,
        patience: Duration,
        quota: SubscriptionQuota,
    ) -> Arc<Self> {
        let typing = Arc::new(Self {
            items,
            permissions,
            patience,
            quota,
            state: Mutex::default(),
            order: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            rights: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        let sending = Arc::clone(&typing);
        typing.tasks.spawn(async move { sending.run().await });
        typing
    }

    /// Ends the task and waits for it.
    pub async fn finish(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Registers a connection as a watcher until the returned watch is dropped. The current typing
    /// users are sent before this returns. A connection has one watch: a new one replaces it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the connection may not read the content of messages. (A watcher that
    /// loses this permission later is sent an empty list, and then nothing more.)
    pub(super) async fn watch(
        self: &Arc<Self>,
        connection: &Arc<ConnectionState>,
        actor: &Actor,
        encode: Encode,
        uid: Option<String>,
    ) -> Result<Watch, Error> {
        if feed::plan(&self.items, &self.permissions, actor, 1)?.is_none() {
            return Err(Error::collection(MESSAGES.name));
        }
        let permit = self.quota.take(&connection.actor())?;
        let connection = Arc::clone(connection);
        let (sight, sent) = (Mutex::default(), Mutex::default());
        let watcher = Arc::new(Watcher { connection, encode, uid, sight, sent });
        self.state.lock().watchers.insert(watcher.connection.id, Arc::clone(&watcher));
        let watch = Watch { typing: Arc::clone(self), watcher, _permit: permit };
        self.send(&[Arc::clone(&watch.watcher)]).await;
        Ok(watch)
    }

    /// Records that the user of a connection is typing. `guest` is the name of a visitor's
    /// connection, if it has one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the user may not create messages.
    pub(super) fn start_typing(
        &self,
        connection: &Arc<ConnectionState>,
        actor: &Actor,
        guest: Option<Uuid>,
    ) -> Result<(), Error> {
        self.permissions.scope(actor, &MESSAGES, Action::Create)?;
        let (connection, user) = (Arc::clone(connection), actor.user);
        let (guest, until) = (guest.filter(|_| user.is_none()), Instant::now() + self.patience);
        let mut state = self.state.lock();
        let known = state.users.iter_mut().find(|typing| typing.is(connection.id, user));
        if let Some(typing) = known {
            (typing.connection, typing.until) = (connection, until);
        } else {
            let owner = Owner::of(actor);
            state.evict(owner);
            state.users.push(TypingUser { connection, user, owner, guest, until });
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Records that the user of a connection has stopped typing.
    pub(super) fn stop_typing(&self, connection: &ConnectionState) {
        let (connection, user) = (connection.id, connection.actor().user);
        self.forget(|typing| typing.is(connection, user));
    }

    /// Removes the entry of a connection that was closed or has changed its account.
    pub(super) fn leave(&self, connection: &ConnectionState) {
        self.forget(|typing| typing.connection.id == connection.id);
    }

    /// Applies a committed event. The author of a new message stops typing. After a change of
    /// permissions, entries and watchers are checked again.
    pub(super) fn notice(&self, event: &Event) {
        if Concern::of(event) != Concern::None {
            self.rights.fetch_add(1, Ordering::AcqRel);
            self.changed.notify_one();
        }
        if *event.collection != MESSAGES || event.action != EventAction::Create {
            return;
        }
        let guest = |change: &Change| change.after.as_ref()?.get(&messages::guest);
        let guests: Vec<Uuid> = event.changes.iter().filter_map(guest).collect();
        self.forget(|typing| match typing.user {
            Some(user) => event.actor == Some(user),
            None => typing.guest.is_some_and(|guest| guests.contains(&guest)),
        });
    }

    fn forget(&self, ends: impl Fn(&TypingUser) -> bool) {
        let mut state = self.state.lock();
        let before = state.users.len();
        state.users.retain(|typing| !ends(typing));
        if state.users.len() != before {
            self.changed.notify_one();
        }
    }

    async fn run(&self) {
        let sending = async {
            loop {
                self.wait().await;
                let watchers: Vec<_> = self.state.lock().watchers.values().cloned().collect();
                self.send(&watchers).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.stopping.run_until_cancelled(sending).await;
    }

    /// Waits until a user starts or stops typing, and drops the entries that have expired.
    async fn wait(&self) {
        let next = self.state.lock().users.iter().map(|typing| typing.until).min();
        match next {
            None => self.changed.notified().await,
            Some(next) => tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            },
        }
        let now = Instant::now();
        self.state.lock().users.retain(|typing| typing.until > now);
    }

    /// Sends the typing users to the watchers with an outdated list.
    async fn send(&self, watchers: &[Arc<Watcher>]) {
        let _order = self.order.lock().await;
        let mut users = self.state.lock().users.clone();
        users.retain(|typing| typing.holds(&self.permissions));
        if users.len() > NAMED_MAX {
            // A stable sort: the first to start comes first.
            users.sort_by_key(|typing| typing.user.is_none());
            users.truncate(NAMED_MAX);
        }
        let mut names = Names::new(&self.items, &users);
        for (count, watcher) in watchers.iter().enumerate() {
            if count % SENT_AT_ONCE == SENT_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            if let Err(error) = self.send_to(watcher, &mut names).await {
                tracing::warn!(error = %error, "cannot read the names of typing users");
            }
        }
    }

    async fn send_to(&self, watcher: &Watcher, names: &mut Names<'_>) -> Result<(), Error> {
        let mut sight = self.sight(watcher)?;
        let (connection, user) = (watcher.connection.id, sight.actor.user);
        let list = match &mut sight.plan {
            Some(plan) => Some(names.seen_by(plan, |typing| typing.is(connection, user)).await?),
            None => None,
        };
        let actor = Arc::clone(&sight.actor);
        *watcher.sight.lock() = Some(sight);
        // The names may have been read from disk: a list for an earlier identity is not sent.
        let identity = watcher.connection.identity.lock();
        if Arc::ptr_eq(&identity.actor, &actor) {
            watcher.send(list);
        } else {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Returns the current access of a watcher.
    fn sight(&self, watcher: &Watcher) -> Result<Sight, Error> {
        // Loaded before the permissions are read: if they change in between, they are read again.
        let rights = self.rights.load(Ordering::Acquire);
        let actor = watcher.connection.actor();
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
    fn send(&self, list: Option<String>) {
        let mut sent = self.sent.lock();
        // A watcher that has lost its access is sent one empty list.
        let now = list.as_deref().or(sent.as_ref().map(|_| "[]"));
        if let Some(now) = now
            && sent.as_deref() != Some(now)
        {
            self.connection.outbox.push((self.encode)(now, self.uid.as_deref()));
        }
        *sent = list;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.typing.state.lock();
        let connection = self.watcher.connection.id;
        // A newer watch may have replaced this one.
        if state.watchers.get(&connection).is_some_and(|now| Arc::ptr_eq(now, &self.watcher)) {
            state.watchers.remove(&connection);
        }
    }
}
