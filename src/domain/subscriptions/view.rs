//! A view: the filter, fields and scope of equal subscriptions. An event is matched, projected and
//! encoded once for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::delivery::ByteBudget;
use crate::domain::items::Counts;
use crate::domain::items::Items;
use crate::domain::items::JsonText;
use crate::domain::items::plan::Plan;
use crate::domain::items::render;
use crate::domain::quota::Permit;
use crate::domain::subscriptions::Hub;
use crate::domain::subscriptions::notification::EncoderKey;
use crate::domain::subscriptions::notification::FrameEncoder;
use crate::domain::subscriptions::notification::Notification;
use crate::domain::subscriptions::state::Input;
use crate::domain::subscriptions::subscription::Subscription;
use crate::domain::subscriptions::view_queue::ViewQueue;
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

/// The cost of an event for a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// Whether each event requires a database query.
    pub(super) reads: bool,
    /// The approximate number of simple comparisons per event.
    pub(super) cost: usize,
}

/// The query that the subscriptions of a view share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) collection: &'static Collection,
    pub(super) event: Option<EventAction>,
    pub(super) item: Option<Key>,
    pub(super) plan: Plan,
    pub(super) meta: Meta,
}

impl Subject {
    /// Returns the cost of an event. Permission rules count only by the relations they read, since
    /// the accounts that write rules are trusted.
    pub(super) fn cost_of_event(&self) -> Cost {
        let Plan { select, projection } = &self.plan;
        let mut relations = self.looked_at();
        relations.merge(projection.relations());
        let search = self.search().map_or(0, |search| search.cost());
        Cost {
            reads: self.meta.any() || relations.lead_to_many() || projection.has_lists(),
            cost: select.filter.cost() + search + projection.cost(),
        }
    }

    /// Returns the relations that its filter and its sort order follow.
    fn looked_at(&self) -> Relations {
        let mut relations = self.plan.select.filter.relations();
        relations.merge(order::relations(&self.plan.select.sort));
        relations
    }

    /// Returns the search as a filter.
    fn search(&self) -> Option<Filter> {
        let Plan { select, projection } = &self.plan;
        let (text, fields) = select.search.as_ref()?;
        let fields = fields.iter().copied();
        Some(search::filter(text, fields.filter(|field| projection.scope().searches(field))))
    }
}

/// The subscriptions to one subject.
pub(super) struct View {
    pub(super) subject: Subject,
    /// Whether the view is indexed by field values.
    pub(super) is_indexed: bool,
    /// The search as a filter.
    search: Option<Filter>,
    /// By encoder, then by subscription.
    subscriptions: Mutex<HashMap<EncoderKey, HashMap<u64, Arc<Subscription>>>>,
    /// A separate queue and task, if each event requires a database query (counts, to-many
    /// relations) or much computation: other views do not wait for it.
    queue: Option<ViewQueue>,
    /// Limits the concurrent evaluation of costly views, each on a blocking thread.
    turns: Option<Arc<Semaphore>>,
    /// The permit from the time budget of shared views.
    _permit: Option<Permit>,
    /// The permit from the quota of the account that first needed this view.
    _cost: Option<ClientPermit>,
    frame_bytes_max: usize,
    /// Counts frames until they are sent.
    unsent: ByteBudget,
}

/// The shared dependencies of all views.
pub(super) struct ViewContext {
    /// Size limit of the items of a frame, in bytes.
    pub(super) frame_bytes_max: usize,
    /// Counts frames until they are sent.
    pub(super) unsent: ByteBudget,
    /// The tasks of views that cannot keep up with the others, and the token that stops them.
    pub(super) queues: TaskTracker,
    pub(super) stopping: CancellationToken,
}

/// The delivery class of a view.
pub(super) enum DeliveryClass {
    /// Together with other views, which wait for it.
    Shared(Permit),
    /// Through a queue of its own.
    Queued,
    /// Through a queue of its own, each evaluation with a permit.
    Costly(Arc<Semaphore>),
}

impl View {
    pub(super) fn new(
        subject: Subject,
        is_indexed: bool,
        class: DeliveryClass,
        cost: Option<ClientPermit>,
        context: &ViewContext,
    ) -> Arc<Self> {
        let (permit, turns) = match class {
            DeliveryClass::Shared(permit) => (Some(permit), None),
            DeliveryClass::Queued => (None, None),
            DeliveryClass::Costly(turns) => (None, Some(turns)),
        };
        let (queue, work) = permit.is_none().then(ViewQueue::new).unzip();
        let view = Arc::new(Self {
            search: subject.search(),
            subject,
            is_indexed,
            subscriptions: Mutex::default(),
            queue,
            turns,
            _permit: permit,
            _cost: cost,
            frame_bytes_max: context.frame_bytes_max,
            unsent: context.unsent.clone(),
        });
        if let Some(work) = work {
            context.queues.spawn(work.run(Arc::downgrade(&view), context.stopping.clone()));
        }
        view
    }

    /// Adds a subscription; `begin` runs before any event can reach it.
    pub(super) fn add(&self, subscription: Arc<Subscription>, begin: impl FnOnce()) {
        let mut subscriptions = self.subscriptions.lock();
        begin();
        subscriptions
            .entry(subscription.request.encoder.key())
            .or_default()
            .insert(subscription.id, subscription);
    }

    /// Removes a subscription. Returns whether none is left.
    pub(super) fn remove(&self, subscription: &Subscription) -> bool {
        let mut subscriptions = self.subscriptions.lock();
        let wrap = subscription.request.encoder.key();
        if let Some(group) = subscriptions.get_mut(&wrap) {
            group.remove(&subscription.id);
            if group.is_empty() {
                subscriptions.remove(&wrap);
            }
        }
        subscriptions.is_empty()
    }

    /// Returns whether the view has no subscriptions.
    pub(super) fn is_empty(&self) -> bool {
        self.subscriptions.lock().is_empty()
    }

    /// Returns the queue of the view, if it has one.
    pub(super) const fn queue(&self) -> Option<&ViewQueue> {
        self.queue.as_ref()
    }

    /// Delivers an event, if it matches: directly, or through the queue of the view.
    pub(super) async fn deliver(self: &Arc<Self>, hub: &Arc<Hub>, event: &Arc<Event>) {
        match &self.queue {
            Some(queue) => queue.push(hub, event),
            None => self.tell(hub, event, None).await,
        }
    }

    /// Returns the offset up to which the subscriptions received everything, if everything up to
    /// `delivered` was delivered to the views.
    pub(super) fn delivered(&self, delivered: i64) -> i64 {
        self.queue.as_ref().map_or(delivered, |queue| queue.delivered(delivered))
    }

    /// Sends an event to all subscriptions, with `counts` if they are already known. If the event
    /// cannot be read, each subscription replays it from the log.
    pub(super) async fn tell(
        self: &Arc<Self>,
        hub: &Arc<Hub>,
        event: &Arc<Event>,
        counts: Option<Counts>,
    ) {
        let found = async {
            let Some(data) = self.news(&hub.items, event).await? else { return Ok(None) };
            let counts = match counts {
                None => self.counts(&hub.items).await?,
                known => known,
            };
            Ok::<_, Error>(Some((data, counts)))
        };
        match found.await {
            Ok(None) => {}
            Ok(Some((data, counts))) => {
                let cursor = hub.cursors.make(event.place());
                let notification = Notification {
                    event: event.action.name(),
                    data: Some(&data),
                    counts,
                    cursor: Some(&cursor),
                    truncated: false,
                    recovered: None,
                    replayed: false,
                };
                self.send(hub, event, |encoder| encoder.wrap(notification));
            }
            Err(error) => {
                tracing::warn!(
                    collection = event.collection.name,
                    error = %error,
                    "cannot read an event for a view"
                );
                self.fall_behind(hub, event.seq - 1);
            }
        }
    }

    /// Switches all subscriptions to replay of the events after `through`.
    pub(super) fn fall_behind(&self, hub: &Arc<Hub>, through: i64) {
        let groups = self.subscriptions.lock();
        for subscription in groups.values().flat_map(HashMap::values) {
            hub.apply(subscription, Input::FallBehind { through });
        }
    }

    /// Sends an event. A subscription whose client does not keep up with a bulk change replays it
    /// from the log, at the client's pace.
    fn send(&self, hub: &Arc<Hub>, event: &Event, encode: impl Fn(&FrameEncoder) -> Bytes) {
        let is_bulk = event.is_bulk();
        let subscriptions = self.subscriptions.lock();
        for group in subscriptions.values() {
            let Some(first) = group.values().next() else { continue };
            let frame = self.unsent.count(encode(&first.request.encoder));
            for subscription in group.values() {
                if is_bulk && subscription.outbox.is_crowded() {
                    hub.apply(subscription, Input::FallBehind { through: event.seq - 1 });
                }
                subscription.push(event.seq, &frame);
            }
        }
    }

    /// Returns the counts that the query asks for.
    pub(super) async fn counts(&self, items: &Items) -> Result<Option<Counts>, Error> {
        items.count(&self.subject.plan, self.subject.meta).await
    }

    /// Returns the items of an event that match the view.
    pub(super) async fn news(
        self: &Arc<Self>,
        items: &Items,
        event: &Event,
    ) -> Result<Option<JsonText>, Error> {
        let Some(records) = self.records(items, event).await? else { return Ok(None) };
        let (action, text_keys) = (event.action, Arc::clone(&event.text_keys));
        self.work_out(move |view| view.show(action, &text_keys, &records)).await
    }

    /// Returns the keys of the items of an event that matched the view.
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

    /// Runs `work` here or, for a costly view, on a blocking thread once it has a permit.
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

    /// Returns the items of an event that may match the view: their current state or, if deleted,
    /// their last one.
    async fn records(&self, items: &Items, event: &Event) -> Result<Option<Vec<Record>>, Error> {
        if event.collection != self.subject.collection
            || self.subject.event.is_some_and(|wanted| wanted != event.action)
        {
            return Ok(None);
        }
        let projection = &self.subject.plan.projection;
        // Events identify items by their keys, so the scope must include the key.
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

    /// Returns the matching items. For deleted items only the scope counts, not the filter and
    /// search of the query, as in Directus: the client may show an item that matched before.
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

    /// Renders the matching items, deleted ones as keys. Items that would make the frame too long
    /// are rendered as their keys.
    fn show(&self, action: EventAction, text_keys: &[Key], records: &[Record]) -> Option<JsonText> {
        let Plan { select, projection } = &self.subject.plan;
        let is_single = self.subject.item.is_some();
        let mut fitting: Vec<&Record> = self.fitting(action, records).collect();
        let first = *fitting.first()?;
        if action == EventAction::Delete {
            let keys = fitting.iter().filter_map(|record| record.row.key());
            let keys: Vec<_> = keys.map(|key| key_as_written(text_keys, key)).collect();
            return if is_single {
                keys.first().map(render::key)
            } else {
                Some(render::keys(&keys))
            };
        }
        if is_single {
            let object = projection.object_within(first, self.frame_bytes_max);
            return Some(object.unwrap_or_else(|_| projection.object_of_key(first)));
        }
        if !select.sort.is_empty() {
            order::sort(&mut fitting, &select.sort);
        }
        Some(projection.list_of_all(fitting, self.frame_bytes_max))
    }
}

/// Returns whether a change is visible within a scope: it changed a readable field, or a field that
/// decides access to the item. Changes of other fields are not disclosed.
fn is_news(scope: &Scope, change: &Change) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return true };
    if scope.is_full() {
        return true;
    }
    let collection = scope.collection();
    let mut changed: Vec<&'static Field> =
        collection.columns().filter(|field| before[field] != after[field]).collect();
    if changed.is_empty() {
        // Nothing changed, or only a secret, which events do not contain.
        changed.extend(collection.columns().filter(|field| matches!(field.kind, Kind::Secret)));
    }
    changed.is_empty() || changed.into_iter().any(|field| scope.has(field) || decides(scope, field))
}

/// Returns whether a rule tests a field.
fn decides(scope: &Scope, field: &'static Field) -> bool {
    let mut found = false;
    for rule in scope.rules() {
        rule.filter.visit_fields(&mut |seen| found |= seen == field);
    }
    found
}
