//! Filter, fields and scope shared by all who listen alike: an event is matched, projected and
//! encoded once, however many listen.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Error;
use crate::domain::items::Counts;
use crate::domain::items::Items;
use crate::domain::items::JsonText;
use crate::domain::items::plan::Plan;
use crate::domain::items::show;
use crate::domain::realtime::listener::Listener;
use crate::domain::shares::Part;
use crate::model::Change;
use crate::model::Collection;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::Field;
use crate::model::Key;
use crate::model::Kind;
use crate::model::Record;
use crate::query::Meta;
use crate::query::Scope;
use crate::store::StoreError;

/// What a subscription has to tell.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// `init`, `create`, `update` or `delete`.
    pub event: &'static str,
    /// Items, or for a delete keys: a list, or one where the subscription is about one item. `None`
    /// for an `init` that only says that it begins.
    pub data: Option<&'a JsonText>,
    /// The counts, where the query asks for some.
    pub counts: Option<Counts>,
    /// Where in the order of events this is, for clients that keep it; `None` for those that do not.
    pub cursor: Option<&'a str>,
    /// In an `init`, whether the client is told what it missed; `None` if it did not ask.
    pub recovered: Option<bool>,
    /// Whether this happened before, while the client was away.
    pub replayed: bool,
}

impl<'a> News<'a> {
    /// Returns the news that a subscription begins.
    #[must_use]
    pub const fn init(cursor: Option<&'a str>, recovered: Option<bool>) -> Self {
        Self { event: "init", data: None, counts: None, cursor, recovered, replayed: false }
    }
}

/// How a transport wraps news into a frame, ready to be written to a socket. Listeners of one view
/// with equal envelopes share the frame.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The client's name for the subscription, as it goes into the frame; unique on its connection:
    /// the same again replaces the first. `None`: nameless, beside any others.
    pub uid: Option<String>,
    /// Whether frames carry cursors.
    pub cursors: bool,
    /// Makes the frame, header included.
    pub encode: fn(uid: Option<&str>, news: &News<'_>) -> Bytes,
    /// Makes the frame that tells of an error of a running subscription, which ends with it.
    pub encode_error: fn(uid: Option<&str>, error: &Error) -> Bytes,
}

impl Envelope {
    /// Returns the frame of some news.
    #[must_use]
    pub fn wrap(&self, news: News<'_>) -> Bytes {
        let cursor = news.cursor.filter(|_| self.cursors);
        (self.encode)(self.uid.as_deref(), &News { cursor, ..news })
    }
}

/// An event could not be told.
#[derive(Debug)]
pub(super) struct Failed;

/// What of a subject decides how much time an event takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// Whether each event takes a question to the database.
    pub(super) reads: bool,
    /// About how many simple comparisons an event takes.
    pub(super) cost: usize,
}

/// What some listeners have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) collection: &'static Collection,
    pub(super) event: Option<EventAction>,
    pub(super) item: Option<Key>,
    pub(super) plan: Plan,
    pub(super) meta: Meta,
}

impl Subject {
    /// Returns how much time an event takes. The rules of permissions count only by what they read:
    /// whoever writes them may.
    pub(super) fn weight(&self) -> Weight {
        let Plan { select, projection } = &self.plan;
        let mut relations = select.filter.relations();
        relations.merge(projection.relations());
        Weight {
            reads: self.meta.any() || relations.lead_to_many() || projection.has_lists(),
            cost: select.filter.cost() + projection.cost(),
        }
    }
}

/// Those who listen to one subject.
pub(super) struct View {
    pub(super) subject: Subject,
    /// By envelope, then by listener.
    listeners: Mutex<HashMap<Wrap, HashMap<u64, Arc<Listener>>>>,
    /// A queue and a task of its own, where every event takes a question to the database (counts, to-many
    /// relations) or much time: nobody else waits for that. Its end is the end of the view.
    lane: Option<mpsc::Sender<Occurrence>>,
    /// Where what it takes much time to ask waits for its turn, on a thread of its own.
    turns: Option<Arc<Semaphore>>,
    /// What it takes of the time that others wait for.
    _part: Option<Part>,
    /// How long the news of one event may be.
    bytes_max: usize,
    /// How many events wait in the lane, and the last one that does not any more.
    waiting: AtomicUsize,
    told: AtomicI64,
}

/// An event on its way out, with the cursor of its place.
#[derive(Debug, Clone)]
pub(super) struct Occurrence {
    pub(super) event: Arc<Event>,
    pub(super) cursor: Arc<str>,
}

/// Envelopes are equal if they make equal frames: the same protocol, the same name.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Wrap {
    encode: usize,
    uid: Option<String>,
    cursors: bool,
}

/// How many events may wait in the lane of a view; one more, and its subscriptions end.
const LANE_MAX: usize = 1024;

/// What all views are made with.
pub(super) struct Workshop {
    pub(super) items: Arc<Items>,
    /// How long the news of one event may be; subscriptions that ask for more end.
    pub(super) news_bytes_max: usize,
    /// The tasks of views that cannot keep up with the others, and what ends them.
    pub(super) lanes: TaskTracker,
    pub(super) stopping: CancellationToken,
}

/// How a view hears of events.
pub(super) enum Road {
    /// Along with others, which wait for it.
    Shared(Part),
    /// In a lane.
    Own,
    /// In a lane, and whenever it has its turn.
    Costly(Arc<Semaphore>),
}

impl View {
    pub(super) fn new(subject: Subject, road: Road, shop: &Workshop) -> Arc<Self> {
        let (part, turns) = match road {
            Road::Shared(part) => (Some(part), None),
            Road::Own => (None, None),
            Road::Costly(turns) => (None, Some(turns)),
        };
        let (lane, events) = part.is_none().then(|| mpsc::channel::<Occurrence>(LANE_MAX)).unzip();
        let view = Arc::new(Self {
            subject,
            listeners: Mutex::default(),
            lane,
            turns,
            _part: part,
            bytes_max: shop.news_bytes_max,
            waiting: AtomicUsize::new(0),
            told: AtomicI64::new(0),
        });
        let Some(mut events) = events else { return view };
        let (weak, items) = (Arc::downgrade(&view), Arc::clone(&shop.items));
        let stopping = shop.stopping.clone();
        shop.lanes.spawn(async move {
            while let Some(Some(news)) = stopping.run_until_cancelled(events.recv()).await {
                let Some(view) = weak.upgrade() else { break };
                if view.tell(&items, &news).await.is_err() {
                    view.shut_all();
                }
                view.told.store(news.event.seq, Ordering::Release);
                view.waiting.fetch_sub(1, Ordering::AcqRel);
            }
        });
        view
    }

    /// Adds a listener; `begin` runs before any event can reach it.
    pub(super) fn add(&self, listener: Arc<Listener>, begin: impl FnOnce(&Listener)) {
        let mut listeners = self.listeners.lock();
        begin(&listener);
        listeners.entry(wrap(&listener.ask.envelope)).or_default().insert(listener.id, listener);
    }

    /// Removes a listener. Returns whether nobody is left.
    pub(super) fn remove(&self, listener: &Listener) -> bool {
        let mut listeners = self.listeners.lock();
        let wrap = wrap(&listener.ask.envelope);
        if let Some(group) = listeners.get_mut(&wrap) {
            group.remove(&listener.id);
            if group.is_empty() {
                listeners.remove(&wrap);
            }
        }
        listeners.is_empty()
    }

    /// Tells all listeners of an event, if it is one for them.
    ///
    /// # Errors
    /// If that was not possible; the listeners were told so, and the view has to be dissolved, since
    /// it would go on with a gap.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        items: &Items,
        news: &Occurrence,
    ) -> Result<(), Failed> {
        let Some(lane) = &self.lane else { return self.tell(items, news).await };
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if lane.try_send(news.clone()).is_ok() {
            return Ok(());
        }
        let error = Error::LimitExceeded(
            "events come faster than this subscription can be worked out".to_owned(),
        );
        self.fail(news.event.seq, &error);
        Err(Failed)
    }

    /// Returns up to where the listeners were told everything, if all up to `delivered` was
    /// delivered to the views.
    pub(super) fn told(&self, delivered: i64) -> i64 {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return delivered;
        }
        self.told.load(Ordering::Acquire)
    }

    async fn tell(self: &Arc<Self>, items: &Items, news: &Occurrence) -> Result<(), Failed> {
        let Occurrence { event, cursor } = news;
        let found = async {
            let Some(data) = self.news(items, event).await? else { return Ok(None) };
            Ok(Some((data, self.counts(items).await?)))
        };
        match found.await {
            Ok(Some((data, counts))) => {
                let news = News {
                    event: event.action.name(),
                    data: Some(&data),
                    counts,
                    cursor: Some(cursor),
                    recovered: None,
                    replayed: false,
                };
                self.send(event.seq, |envelope| envelope.wrap(news));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!(
                    collection = event.collection.name,
                    error = %error,
                    "an event could not be read for a view; its subscriptions end"
                );
                self.fail(event.seq, &error);
                Err(Failed)
            }
        }
    }

    fn fail(&self, seq: i64, error: &Error) {
        self.send(seq, |envelope| (envelope.encode_error)(envelope.uid.as_deref(), error));
    }

    /// Ends all subscriptions.
    pub(super) fn shut_all(&self) {
        let groups = std::mem::take(&mut *self.listeners.lock());
        for listener in groups.values().flat_map(HashMap::values) {
            listener.shut();
        }
    }

    fn send(&self, seq: i64, encode: impl Fn(&Envelope) -> Bytes) {
        let listeners = self.listeners.lock();
        for group in listeners.values() {
            let Some(first) = group.values().next() else { continue };
            let frame = encode(&first.ask.envelope);
            for listener in group.values() {
                listener.push(seq, &frame);
            }
        }
    }

    /// Returns the counts that the listeners ask for.
    pub(super) async fn counts(&self, items: &Items) -> Result<Option<Counts>, Error> {
        items.count(&self.subject.plan, self.subject.meta).await
    }

    /// Returns what of an event is for the listeners, as JSON.
    pub(super) async fn news(
        self: &Arc<Self>,
        items: &Items,
        event: &Event,
    ) -> Result<Option<JsonText>, Error> {
        let Some(records) = self.records(items, event).await? else { return Ok(None) };
        let action = event.action;
        self.work_out(move |view| view.show(action, &records)).await?
    }

    /// Returns the items of an event that were for the listeners.
    pub(super) async fn keys(
        self: &Arc<Self>,
        items: &Items,
        event: &Event,
    ) -> Result<Vec<Key>, Error> {
        let Some(records) = self.records(items, event).await? else { return Ok(Vec::new()) };
        let action = event.action;
        let keys = move |view: &Self| {
            let fitting = view.fitting(action, &records);
            fitting.filter_map(|record| record.row.key()).collect()
        };
        self.work_out(keys).await
    }

    /// Works something out here or, where that takes long, on another thread in its turn.
    async fn work_out<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let Some(turns) = &self.turns else { return Ok(work(self)) };
        let turn = Arc::clone(turns).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let view = Arc::clone(self);
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&view)
        });
        Ok(working.await.map_err(|_| StoreError::Stopped)?)
    }

    /// Returns the items of an event that the listeners may have asked for: as they are now or, where
    /// they are gone, as they were.
    async fn records(&self, items: &Items, event: &Event) -> Result<Option<Vec<Record>>, Error> {
        if event.collection != self.subject.collection
            || self.subject.event.is_some_and(|wanted| wanted != event.action)
        {
            return Ok(None);
        }
        let Plan { select, projection } = &self.subject.plan;
        // An event is about items by their keys, so it is for those who may read the key.
        let scope = projection.scope();
        if !scope.has(scope.collection().key()) {
            return Ok(None);
        }
        let is_gone = event.action == EventAction::Delete;
        let changes = event
            .changes
            .iter()
            .filter(|change| self.subject.item.is_none_or(|item| item == change.key));
        let rows: Vec<_> = changes
            .filter(|change| is_news(scope, change))
            .filter_map(|change| if is_gone { change.before.clone() } else { change.after.clone() })
            .collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let more = if is_gone { projection.relations() } else { select.filter.relations() };
        items.records(projection, rows, more).await.map(Some)
    }

    /// Returns those that fit. Of what is gone only who could read it counts, not the filter of the
    /// query, as with Directus: whoever listens may show an item that once fitted.
    fn fitting<'r>(
        &'r self,
        action: EventAction,
        records: &'r [Record],
    ) -> impl Iterator<Item = &'r Record> {
        let Plan { select, projection } = &self.subject.plan;
        records.iter().filter(move |record| {
            projection.shows_key(record)
                && (action == EventAction::Delete || select.filter.matches(record))
        })
    }

    /// Returns the items that fit, of what is gone their keys.
    fn show(&self, action: EventAction, records: &[Record]) -> Result<Option<JsonText>, Error> {
        let projection = &self.subject.plan.projection;
        let fitting: Vec<&Record> = self.fitting(action, records).collect();
        let Some(first) = fitting.first() else { return Ok(None) };
        let is_one = self.subject.item.is_some();
        if action == EventAction::Delete {
            let keys: Vec<Key> = fitting.iter().filter_map(|record| record.row.key()).collect();
            let one = keys.first().filter(|_| is_one);
            return Ok(Some(one.map_or_else(|| show::keys(&keys), |key| show::key(*key))));
        }
        let shown = if is_one {
            projection.object_within(first, self.bytes_max)
        } else {
            projection.list_within(fitting, self.bytes_max)
        };
        shown.map(Some)
    }
}

/// Returns whether a change concerns whoever reads within a scope: something changed that they may read,
/// or that decides whether they may read the item. That something else changed is not theirs to know.
fn is_news(scope: &Scope, change: &Change) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return true };
    if scope.is_full() {
        return true;
    }
    let collection = scope.collection();
    let mut changed: Vec<&'static Field> =
        collection.columns().filter(|field| before[field] != after[field]).collect();
    if changed.is_empty() {
        // Nothing did, or a secret, which events do not tell.
        changed.extend(collection.columns().filter(|field| matches!(field.kind, Kind::Secret)));
    }
    changed.is_empty() || changed.into_iter().any(|field| scope.has(field) || decides(scope, field))
}

/// Returns whether a rule looks at a field.
fn decides(scope: &Scope, field: &'static Field) -> bool {
    let mut found = false;
    for rule in scope.rules() {
        rule.filter.visit(scope.collection(), &mut |_, seen, path| {
            found |= path.is_empty() && seen == field;
        });
    }
    found
}

fn wrap(envelope: &Envelope) -> Wrap {
    let Envelope { uid, cursors, encode, .. } = envelope;
    Wrap { encode: *encode as usize, uid: uid.clone(), cursors: *cursors }
}
