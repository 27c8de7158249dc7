//! A view: the filter, fields and scope of equal subscriptions. An event is matched and projected
//! once for all of them.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::delivery::ByteBudget;
use crate::domain::items::plan::Plan;
use crate::domain::items::render;
use crate::domain::items::{Counts, Items, JsonText};
use crate::domain::quota::Permit;
use crate::domain::subscriptions::cursor::Cursors;
use crate::domain::subscriptions::recovery::Access;
use crate::domain::subscriptions::view_queue::{QueuedEvents, ViewQueue};
use crate::model::event::key_as_written;
use crate::model::{Change, Collection, Event, EventAction, Field, Key, Kind, Record};
use crate::query::order;
use crate::query::search;
use crate::query::{Filter, Meta, Relations, Scope};
use crate::store::StoreError;

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
    /// Returns whether each event requires a database query, and the approximate number of simple
    /// comparisons per event. Permission rules count only by the relations they read, since the
    /// accounts that write rules are trusted.
    pub(super) fn cost_of_event(&self) -> (bool, usize) {
        let Plan { select, projection } = &self.plan;
        let mut relations = self.looked_at();
        relations.merge(projection.relations());
        let search = self.search().map_or(0, |search| search.cost());
        let reads = self.meta.any() || relations.lead_to_many() || projection.has_lists();
        (reads, select.filter.cost() + search + projection.cost())
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

/// The view of equal subscriptions: matches events and renders the items that they show.
pub(super) struct View {
    pub(super) subject: Subject,
    /// Whether the view is indexed by field values.
    pub(super) is_indexed: bool,
    /// The search as a filter.
    search: Option<Filter>,
    /// The queue of events, if other views do not wait for this one.
    pub(super) queue: Option<ViewQueue>,
    /// Limits the concurrent evaluation of costly views, each on a blocking thread.
    turns: Option<Arc<Semaphore>>,
    /// The permit from the time budget of inline views.
    _permit: Option<Permit>,
    /// The permit from the quota of the account that first needed this view.
    _cost: Option<ClientPermit>,
    pub(super) context: Arc<ViewContext>,
}

/// The shared dependencies of all views.
pub(super) struct ViewContext {
    pub(super) items: Arc<Items>,
    pub(super) cursors: Cursors,
    /// Size limit of the items of a frame, in bytes.
    pub(super) frame_bytes_max: usize,
    /// Counts frames until they are sent.
    pub(super) unsent: ByteBudget,
}

/// The delivery class of a view.
pub(super) enum DeliveryClass {
    /// Plain and cheap: events are delivered one after the other with other views, which wait.
    Inline(Permit),
    /// Each event requires a database query (counts, to-many relations) or much computation: the
    /// view has a queue and a task, and other views do not wait. Tasks take turns as the runtime
    /// schedules them. With a semaphore, each evaluation is on a blocking thread, with a permit.
    Queued(Option<Arc<Semaphore>>),
}

impl View {
    /// Creates a view. The events for a queued one come from the returned receiver.
    pub(super) fn new(
        subject: Subject,
        is_indexed: bool,
        class: DeliveryClass,
        cost: Option<ClientPermit>,
        context: Arc<ViewContext>,
    ) -> (Arc<Self>, Option<QueuedEvents>) {
        let (permit, turns, (queue, events)) = match class {
            DeliveryClass::Inline(permit) => (Some(permit), None, (None, None)),
            DeliveryClass::Queued(turns) => {
                let (queue, events) = ViewQueue::new();
                (None, turns, (Some(queue), Some(events)))
            }
        };
        let search = subject.search();
        let view = Self {
            subject,
            is_indexed,
            search,
            queue,
            turns,
            _permit: permit,
            _cost: cost,
            context,
        };
        (Arc::new(view), events)
    }

    /// Returns the offset up to which the subscriptions received everything, if everything up to
    /// `delivered` was delivered to the views.
    pub(super) fn delivered(&self, delivered: i64) -> i64 {
        self.queue.as_ref().map_or(delivered, |queue| queue.delivered(delivered))
    }

    /// Returns the counts that the query asks for.
    pub(super) async fn counts(&self) -> Result<Option<Counts>, Error> {
        self.context.items.count(&self.subject.plan, self.subject.meta).await
    }

    /// Renders the items of an event that match the view; `None` if none does.
    pub(super) async fn render(self: &Arc<Self>, event: &Event) -> Result<Option<JsonText>, Error> {
        let Some(records) = self.records(event).await? else { return Ok(None) };
        let (action, text_keys) = (event.action, Arc::clone(&event.text_keys));
        self.work_out(move |view| view.show(action, &text_keys, &records)).await
    }

    /// Returns the keys of the items of an event that matched the view.
    pub(super) async fn keys(self: &Arc<Self>, event: &Event) -> Result<Vec<Key>, Error> {
        let Some(records) = self.records(event).await? else { return Ok(Vec::new()) };
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
    async fn records(&self, event: &Event) -> Result<Option<Vec<Record>>, Error> {
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
            .filter(|change| is_visible(scope, change))
            .filter_map(|change| if is_gone { change.before.clone() } else { change.after.clone() })
            .collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let more = if is_gone { projection.relations() } else { self.subject.looked_at() };
        self.context.items.records(projection, rows, more).await.map(Some)
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
            let object = projection.object_within(first, self.context.frame_bytes_max);
            return Some(object.unwrap_or_else(|_| projection.object_of_key(first)));
        }
        if !select.sort.is_empty() {
            order::sort(&mut fitting, &select.sort);
        }
        Some(projection.list_of_all(fitting, self.context.frame_bytes_max))
    }
}

impl Access for Arc<View> {
    fn is_same(&self, other: &Self) -> bool {
        self.subject == other.subject
    }

    fn shows_all_of(&self, other: Option<&Self>) -> bool {
        match other {
            Some(other) => self.subject.plan.shows_all_of(&other.subject.plan),
            None => self.subject.plan.shows_all(),
        }
    }
}

/// Returns whether a change is visible within a scope: it changed a readable field, or a field that
/// decides access to the item. Changes of other fields are not disclosed.
fn is_visible(scope: &Scope, change: &Change) -> bool {
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
