//! Filter, fields and scope shared by all who listen alike: an event is matched, projected and
//! encoded once, however many listen.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Weak;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Error;
use crate::domain::client_shares::ClientPart;
use crate::domain::items::Counts;
use crate::domain::items::Items;
use crate::domain::items::JsonText;
use crate::domain::items::plan::Plan;
use crate::domain::items::show;
use crate::domain::realtime::Hub;
use crate::domain::realtime::Meter;
use crate::domain::realtime::lane::Lane;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::split;
use crate::domain::realtime::split::Amid;
use crate::domain::realtime::split::Lengths;
use crate::domain::realtime::split::Portion;
use crate::domain::realtime::split::Split;
use crate::domain::shares::Part;
use crate::model::Change;
use crate::model::Collection;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::Field;
use crate::model::Key;
use crate::model::Kind;
use crate::model::Record;
use crate::model::event::key_as_written;
use crate::query::Filter;
use crate::query::Meta;
use crate::query::Relations;
use crate::query::Scope;
use crate::query::order;
use crate::query::search;
use crate::store::StoreError;

/// What a subscription has to tell.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// `init`, `create`, `update` or `delete`.
    pub event: &'static str,
    /// Items, or for a delete keys: a list, or one where the subscription is about one item. `None`
    /// for an `init` that only says that it begins.
    pub data: Option<&'a JsonText>,
    /// In an `init`, whether items are missing at the end of the list, or are shown by their keys alone, since
    /// all would be too long.
    pub truncated: bool,
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
        Self {
            event: "init",
            data: None,
            truncated: false,
            counts: None,
            cursor,
            recovered,
            replayed: false,
        }
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

    /// Returns the frame of an error of a running subscription.
    #[must_use]
    pub fn fail(&self, error: &Error) -> Bytes {
        (self.encode_error)(self.uid.as_deref(), error)
    }
}

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
        let mut relations = self.looked_at();
        relations.merge(projection.relations());
        let search = self.search().map_or(0, |search| search.cost());
        Weight {
            reads: self.meta.any() || relations.lead_to_many() || projection.has_lists(),
            cost: select.filter.cost() + search + projection.cost(),
        }
    }

    /// Returns the relations that its filter and its order follow.
    fn looked_at(&self) -> Relations {
        let mut relations = self.plan.select.filter.relations();
        relations.merge(order::relations(&self.plan.select.sort));
        relations
    }

    /// Returns what items have to fit that are searched for.
    fn search(&self) -> Option<Filter> {
        let Plan { select, projection } = &self.plan;
        let (text, fields) = select.search.as_ref()?;
        let fields = fields.iter().copied();
        Some(search::filter(text, fields.filter(|field| projection.scope().searches(field))))
    }
}

/// Those who listen to one subject.
pub(super) struct View {
    pub(super) subject: Subject,
    /// Whether it is found by values of items.
    pub(super) is_anchored: bool,
    /// What items have to fit that are searched for.
    search: Option<Filter>,
    /// By envelope, then by listener.
    listeners: Mutex<HashMap<Wrap, HashMap<u64, Arc<Listener>>>>,
    /// A queue and a task of its own, where every event takes a question to the database (counts, to-many
    /// relations) or much time: nobody else waits for that.
    lane: Option<Lane>,
    /// Where what it takes much time to ask waits for its turn, on a thread of its own.
    turns: Option<Arc<Semaphore>>,
    /// What it takes of the time that others wait for.
    _part: Option<Part>,
    /// What it takes of the share of the account that was the first to ask for it.
    _cost: Option<ClientPart>,
    lengths: Lengths,
    /// What counts frames until they are sent.
    unsent: Meter,
    /// The parts of an event that were made last, as long as somebody has yet to be told them.
    split: Mutex<Weak<Split>>,
    /// Held by whoever makes parts.
    pub(super) splitting: AsyncMutex<()>,
}

/// Envelopes are equal if they make equal frames: the same protocol, the same name.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Wrap {
    encode: usize,
    uid: Option<String>,
    cursors: bool,
}

/// What all views are made with.
pub(super) struct Workshop {
    pub(super) lengths: Lengths,
    /// What counts frames until they are sent.
    pub(super) unsent: Meter,
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
    pub(super) fn new(
        subject: Subject,
        is_anchored: bool,
        road: Road,
        cost: Option<ClientPart>,
        shop: &Workshop,
    ) -> Arc<Self> {
        let (part, turns) = match road {
            Road::Shared(part) => (Some(part), None),
            Road::Own => (None, None),
            Road::Costly(turns) => (None, Some(turns)),
        };
        let (lane, work) = part.is_none().then(Lane::new).unzip();
        let view = Arc::new(Self {
            search: subject.search(),
            subject,
            is_anchored,
            listeners: Mutex::default(),
            lane,
            turns,
            _part: part,
            _cost: cost,
            lengths: shop.lengths,
            unsent: shop.unsent.clone(),
            split: Mutex::default(),
            splitting: AsyncMutex::default(),
        });
        if let Some(work) = work {
            shop.lanes.spawn(work.run(Arc::downgrade(&view), shop.stopping.clone()));
        }
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

    /// Returns whether nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        self.listeners.lock().is_empty()
    }

    /// Returns the queue of its own, if it has one.
    pub(super) const fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }

    /// Tells all listeners of an event, if it is one for them; soon, if that takes its time.
    pub(super) async fn deliver(self: &Arc<Self>, hub: &Arc<Hub>, event: &Arc<Event>) {
        match &self.lane {
            Some(lane) => lane.push(hub, event),
            None => self.tell(hub, event, None).await,
        }
    }

    /// Returns up to where the listeners were told everything, if all up to `delivered` was
    /// delivered to the views.
    pub(super) fn told(&self, delivered: i64) -> i64 {
        self.lane.as_ref().map_or(delivered, |lane| lane.told(delivered))
    }

    /// Tells all listeners of an event, with counts if they are known already. What is too long for a
    /// frame, or cannot be told now, each is told from the log, at the pace at which they read.
    pub(super) async fn tell(
        self: &Arc<Self>,
        hub: &Arc<Hub>,
        event: &Arc<Event>,
        counts: Option<Counts>,
    ) {
        let found = async {
            let Some(portion) = self.news(&hub.items, event, false).await? else { return Ok(None) };
            let counts = match counts {
                None => self.counts(&hub.items).await?,
                known => known,
            };
            Ok::<_, Error>(Some((portion, counts)))
        };
        match found.await {
            Ok(None) => {}
            Ok(Some((Portion::Whole(data), counts))) => {
                let cursor = hub.cursors.make(event.place());
                let news = News {
                    event: event.action.name(),
                    data: Some(&data),
                    counts,
                    cursor: Some(&cursor),
                    truncated: false,
                    recovered: None,
                    replayed: false,
                };
                self.send(event.seq, |envelope| envelope.wrap(news));
            }
            Ok(Some((Portion::Parts(parts, is_all), counts))) => {
                let split = Split::new(self, event, HashSet::new(), (parts, is_all), counts);
                self.fall_behind(hub, event.seq - 1, Some(&split));
            }
            Err(error) => {
                tracing::warn!(
                    collection = event.collection.name,
                    error = %error,
                    "an event could not be read for a view"
                );
                self.fall_behind(hub, event.seq - 1, None);
            }
        }
    }

    /// Lets all listeners be told from the log what is behind a place, beginning with some parts of an
    /// event if they are known.
    pub(super) fn fall_behind(&self, hub: &Arc<Hub>, told: i64, split: Option<&Arc<Split>>) {
        let groups = self.listeners.lock();
        for listener in groups.values().flat_map(HashMap::values) {
            listener.fall_back(told);
            hub.catch_up_with(listener, split.cloned());
        }
    }

    /// Returns parts that were made for others who were told the same.
    pub(super) fn find_split(self: &Arc<Self>, amid: &Amid) -> Option<Arc<Split>> {
        self.split.lock().upgrade().filter(|split| split.follows(amid, self))
    }

    /// Lets others find parts that were made, as long as somebody keeps them.
    pub(super) fn share(&self, split: &Arc<Split>) {
        *self.split.lock() = Arc::downgrade(split);
    }

    fn send(&self, seq: i64, encode: impl Fn(&Envelope) -> Bytes) {
        let listeners = self.listeners.lock();
        for group in listeners.values() {
            let Some(first) = group.values().next() else { continue };
            let frame = self.unsent.count(encode(&first.ask.envelope));
            for listener in group.values() {
                listener.push(seq, &frame);
            }
        }
    }

    /// Returns the counts that the listeners ask for.
    pub(super) async fn counts(&self, items: &Items) -> Result<Option<Counts>, Error> {
        items.count(&self.subject.plan, self.subject.meta).await
    }

    /// Returns what of an event is for the listeners; in parts, if it is the rest of what was told in
    /// parts.
    pub(super) async fn news(
        self: &Arc<Self>,
        items: &Items,
        event: &Event,
        is_rest: bool,
    ) -> Result<Option<Portion>, Error> {
        let Some(records) = self.records(items, event).await? else { return Ok(None) };
        let (action, text_keys) = (event.action, Arc::clone(&event.text_keys));
        self.work_out(move |view| view.show(action, &text_keys, &records, is_rest)).await
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
        let projection = &self.subject.plan.projection;
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
        let more = if is_gone { projection.relations() } else { self.subject.looked_at() };
        items.records(projection, rows, more).await.map(Some)
    }

    /// Returns those that fit. Of what is gone only who could read it counts, not filter and search of the
    /// query, as with Directus: whoever listens may show an item that once fitted.
    fn fitting<'r>(
        &'r self,
        action: EventAction,
        records: &'r [Record],
    ) -> impl Iterator<Item = &'r Record> {
        let Plan { select, projection } = &self.subject.plan;
        records.iter().filter(move |record| {
            projection.shows_key(record)
                && (action == EventAction::Delete
                    || select.filter.matches(record)
                        && self.search.as_ref().is_none_or(|search| search.matches(record)))
        })
    }

    /// Returns the items that fit, of what is gone their keys. An item that alone is longer than a frame
    /// may be is told by its key.
    fn show(
        &self,
        action: EventAction,
        text_keys: &[Key],
        records: &[Record],
        is_rest: bool,
    ) -> Option<Portion> {
        let projection = &self.subject.plan.projection;
        let Lengths { whole, .. } = self.lengths;
        let mut fitting: Vec<&Record> = self.fitting(action, records).collect();
        let sort = &self.subject.plan.select.sort;
        if action != EventAction::Delete && !sort.is_empty() {
            order::sort(&mut fitting, sort);
        }
        let first = fitting.first()?;
        let object = |record: &Record| {
            let object = projection.object_within(record, whole);
            object.unwrap_or_else(|_| projection.object_of_key(record))
        };
        let piece = |record: &&Record| {
            let key = record.row.key()?;
            let is_gone = action == EventAction::Delete;
            let gone = || show::key(&key_as_written(text_keys, key));
            Some((key, if is_gone { gone() } else { object(record) }))
        };
        if self.subject.item.is_some() {
            return piece(first).map(|(_, text)| Portion::Whole(text));
        }
        if !is_rest {
            let all = if action == EventAction::Delete {
                let keys = fitting.iter().filter_map(|record| record.row.key());
                let keys: Vec<_> = keys.map(|key| key_as_written(text_keys, key)).collect();
                Some(show::keys(&keys)).filter(|text| text.get().len() <= whole)
            } else {
                projection.list_within(fitting.iter().copied(), whole).ok()
            };
            if let Some(all) = all {
                return Some(Portion::Whole(all));
            }
        }
        let parts = split::divide(fitting.iter().filter_map(piece), self.lengths);
        Some(if is_rest { parts } else { parts.whole_if_one() })
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
