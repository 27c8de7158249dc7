//! The index of views, by collection, by subject and by field values.
//!
//! An event is offered to the views that are indexed by its own values, and to the views without an
//! index key. Many subscriptions to different items, such as an account's own messages, thus cost
//! an event little.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Error;
use crate::domain::admission::Admission;
use crate::domain::client_quota::{ClientPermit, ClientQuota};
use crate::domain::quota::{Owner, Quota};
use crate::domain::subscriptions::connection::Subscription;
use crate::domain::subscriptions::fanout::Fanout;
use crate::domain::subscriptions::view::{DeliveryClass, Subject, View, ViewContext};
use crate::domain::subscriptions::view_queue::QueuedEvents;
use crate::model::{Actor, Collection, Event, EventAction, Field, Value};
use crate::query::IndexKey;

/// All views of this process.
pub(super) struct ViewIndex {
    views: RwLock<HashMap<&'static Collection, CollectionViews>>,
    context: Arc<ViewContext>,
    /// The quota for the costs of views, by account and address.
    costs: ClientQuota,
    /// The time budget of the inline views.
    time: Arc<Quota>,
    /// Limits the concurrent evaluation of costly views.
    turns: Arc<Semaphore>,
    admission: Arc<Admission>,
    /// The tasks of queued views, and the token that stops them.
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// A new queued view, whose events need a task.
pub(super) type NewQueue = (Weak<Fanout>, QueuedEvents);

/// The maximum cost of a view that is not evaluated on a blocking thread.
const COST_MAX: usize = 256;
/// The base cost of a view.
const COST_OF_VIEW: usize = 4;
/// The additional cost of a view that queries the database for each event.
const COST_OF_READING: usize = 128;
/// The total cost budget of the views without an index key. Bounds the matching of an event to
/// about 50 ms, for the longest texts and the costliest filters.
const COST_OF_ALL_MAX: usize = 64 * 1024;
/// The number of costly views that are evaluated at the same time.
const TURNS: usize = 1;

/// The views on one collection.
#[derive(Default)]
struct CollectionViews {
    all: HashSet<BySubject>,
    /// The views without an index key, which any row may match.
    open: Vec<Arc<Fanout>>,
    /// The other views, by field and value: a matching row has at least one of the values.
    indexed: HashMap<&'static Field, HashMap<Value, Vec<Arc<Fanout>>>>,
}

/// Whether an exhausted quota of an account or address prevents a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    /// Yes: a subscription begins, or its connection has changed its account.
    Bounded,
    /// No: changed permissions give a running subscription another view.
    Anyway,
}

/// A view that is compared and hashed by its subject.
struct BySubject(Arc<Fanout>);

impl ViewIndex {
    /// Creates an index without views. An account may have `queries_max` of the cheapest views.
    pub(super) fn new(
        context: Arc<ViewContext>,
        queries_max: usize,
        admission: Arc<Admission>,
    ) -> Self {
        Self {
            views: RwLock::default(),
            context,
            costs: ClientQuota::new(queries_max.saturating_mul(COST_OF_VIEW)),
            time: Quota::new(usize::MAX, COST_OF_ALL_MAX),
            turns: Arc::new(Semaphore::new(TURNS)),
            admission,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Moves a subscription to the view of a subject, unless it has ended. `begin` receives the
    /// view and whether it is another one, and runs before any event can reach the subscription.
    /// Returns the queue of a new view, if it has one.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if the view does not exist yet and the quota of the account or its
    /// address is exhausted. The subscription is in no view then.
    pub(super) fn enter(
        &self,
        subscription: &Arc<Subscription>,
        subject: Subject,
        charge: Charge,
        begin: impl FnOnce(&Arc<View>, bool),
    ) -> Result<Option<NewQueue>, Error> {
        let mut current = subscription.view.lock();
        if subscription.is_closed() {
            return Ok(None);
        }
        if let Some(view) = current.as_ref().filter(|view| view.subject == subject) {
            begin(view, false);
            return Ok(None);
        }
        self.take_out(current.take(), subscription);
        let mut views = self.views.write();
        let views_of_collection = views.entry(subject.collection).or_default();
        let mut queue = None;
        let fanout = if let Some(BySubject(fanout)) = views_of_collection.all.get(&subject) {
            Arc::clone(fanout)
        } else {
            let (class, permit) = self.class(&subject, &subscription.connection.actor(), charge)?;
            let is_indexed = index_keys(&subject).is_some();
            let context = Arc::clone(&self.context);
            let (view, events) = View::new(subject, is_indexed, class, permit, context);
            let fanout = Fanout::new(view);
            queue = events.map(|events| (Arc::downgrade(&fanout), events));
            views_of_collection.add(&fanout);
            fanout
        };
        let view = &fanout.view;
        fanout.add(Arc::clone(subscription), || begin(view, true));
        if !view.is_indexed {
            self.admission.followers().add(view.subject.collection);
        }
        *current = Some(Arc::clone(view));
        Ok(queue)
    }

    /// Starts the task of a queued view.
    pub(super) fn spawn<T: Future<Output = ()> + Send + 'static>(
        &self,
        task: impl FnOnce(CancellationToken) -> T,
    ) {
        self.tasks.spawn(task(self.stopping.clone()));
    }

    /// Blocks the evaluation of costly views until the returned permit is dropped.
    pub(super) async fn hold_costly(&self) -> impl Sized + use<> {
        Arc::clone(&self.turns)
            .acquire_many_owned(u32::try_from(TURNS).expect("the number of turns is small"))
            .await
    }

    /// Returns the delivery class of a view on a subject, and its permit from the quota of the
    /// actor that first needs it. Beyond the shared time budget, a view gets a queue of its own: it
    /// may lag without delaying the others.
    fn class(
        &self,
        subject: &Subject,
        actor: &Actor,
        charge: Charge,
    ) -> Result<(DeliveryClass, Option<ClientPermit>), Error> {
        let (reads, cost) = subject.cost_of_event();
        let counted = cost.min(COST_MAX) + COST_OF_VIEW + if reads { COST_OF_READING } else { 0 };
        let permit = match charge {
            Charge::Anyway => Some(self.costs.take_anyway(actor, counted)),
            Charge::Bounded => Some(self.costs.take(actor, counted).map_err(|exceeded| {
                Error::LimitExceeded(format!(
                    "{} may subscribe with at most {} different queries at a time, and a costly \
                     query counts as several (WEBSOCKETS_USER_QUERIES_MAX): unsubscribe from some \
                     first, or subscribe with the same query",
                    exceeded.clients,
                    exceeded.max / COST_OF_VIEW
                ))
            })?),
        };
        let class = if cost > COST_MAX {
            DeliveryClass::Queued(Some(Arc::clone(&self.turns)))
        } else if reads {
            DeliveryClass::Queued(None)
        } else {
            let cost = cost + COST_OF_VIEW;
            // An indexed view is evaluated only for events that have its values.
            let of_all = if index_keys(subject).is_some() { 0 } else { cost };
            self.time
                .take(Owner::of(actor), of_all)
                .map_or(DeliveryClass::Queued(None), DeliveryClass::Inline)
        };
        Ok((class, permit))
    }

    /// Removes a subscription from its view.
    pub(super) fn leave(&self, subscription: &Subscription) {
        let view = subscription.view.lock().take();
        self.take_out(view, subscription);
    }

    fn take_out(&self, view: Option<Arc<View>>, subscription: &Subscription) {
        let Some(view) = view else { return };
        let collection = view.subject.collection;
        // Under the lock, so that no subscription enters a view that is being removed.
        let mut views = self.views.write();
        if !view.is_indexed {
            self.admission.followers().remove(collection);
        }
        let Some(views_of_collection) = views.get_mut(collection) else { return };
        if let Some(BySubject(fanout)) = views_of_collection.all.get(&view.subject)
            && fanout.remove(subscription)
        {
            let fanout = Arc::clone(fanout);
            views_of_collection.remove(&fanout);
        }
    }

    /// Drops all views and waits for their tasks.
    pub(super) async fn finish(&self) {
        self.views.write().clear();
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Returns the views that an event may match.
    pub(super) fn of(&self, event: &Event) -> Vec<Arc<Fanout>> {
        self.views
            .read()
            .get(event.collection)
            .map_or_else(Vec::new, |views_of_collection| views_of_collection.of(event))
    }
}

impl CollectionViews {
    fn add(&mut self, fanout: &Arc<Fanout>) {
        self.all.insert(BySubject(Arc::clone(fanout)));
        match index_keys(&fanout.view.subject) {
            None => self.open.push(Arc::clone(fanout)),
            Some(index_keys) => {
                for (field, value) in index_keys {
                    let values = self.indexed.entry(field).or_default();
                    values.entry(value).or_default().push(Arc::clone(fanout));
                }
            }
        }
    }

    fn remove(&mut self, fanout: &Arc<Fanout>) {
        let subject = &fanout.view.subject;
        let other = |there: &Arc<Fanout>| !Arc::ptr_eq(there, fanout);
        self.all.remove(subject);
        let Some(index_keys) = index_keys(subject) else {
            return self.open.retain(other);
        };
        for (field, value) in index_keys {
            let Some(values) = self.indexed.get_mut(field) else { continue };
            if let Some(views) = values.get_mut(&value) {
                views.retain(other);
                if views.is_empty() {
                    values.remove(&value);
                }
            }
            if values.is_empty() {
                self.indexed.remove(field);
            }
        }
    }

    fn of(&self, event: &Event) -> Vec<Arc<Fanout>> {
        if event.action == EventAction::Delete {
            // Deletes ignore the filters of queries, so the index does not apply.
            return self.all.iter().map(|BySubject(fanout)| Arc::clone(fanout)).collect();
        }
        let mut views = self.open.clone();
        for (field, values) in &self.indexed {
            // Old values count as well: the row may leave a view.
            let rows = event.changes.iter().flat_map(|change| [&change.before, &change.after]);
            let found = rows.flatten().filter_map(|row| values.get(&row[field]));
            views.extend(found.flatten().cloned());
        }
        // A view may be found by several values.
        views.sort_unstable_by_key(Arc::as_ptr);
        views.dedup_by(|one, other| Arc::ptr_eq(one, other));
        views
    }
}

/// Returns index keys of a subject: each row that it shows or showed has at least one of them.
fn index_keys(subject: &Subject) -> Option<Vec<IndexKey>> {
    if let Some(key) = subject.item {
        return Some(vec![(subject.collection.key(), key.into())]);
    }
    let of_filter = subject.plan.select.filter.index_keys();
    let of_scope = subject.plan.projection.scope().filter().index_keys();
    [of_filter, of_scope].into_iter().flatten().min_by_key(Vec::len)
}

impl Borrow<Subject> for BySubject {
    fn borrow(&self) -> &Subject {
        &self.0.view.subject
    }
}

impl Hash for BySubject {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.view.subject.hash(hasher);
    }
}

impl PartialEq for BySubject {
    fn eq(&self, other: &Self) -> bool {
        self.0.view.subject == other.0.view.subject
    }
}

impl Eq for BySubject {}
