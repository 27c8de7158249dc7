//! The views that somebody takes part in, by collection.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::items::Items;
use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::view::Subject;
use crate::domain::realtime::view::View;
use crate::model::Collection;

/// All views of this process.
pub(super) struct Audience {
    views: RwLock<Vec<Arc<View>>>,
    items: Arc<Items>,
    /// The tasks of views that cannot keep up with the others, and what ends them.
    lanes: TaskTracker,
    stopping: CancellationToken,
}

impl Audience {
    pub(super) fn new(items: Arc<Items>) -> Self {
        Self {
            views: RwLock::default(),
            items,
            lanes: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Lets a listener take part in the view of a subject, instead of the one it was in. `begin`
    /// runs before any event can reach it. A subscription that has ended stays out.
    pub(super) fn enter(
        &self,
        listener: &Arc<Listener>,
        subject: Subject,
        begin: impl FnOnce(&Listener),
    ) {
        let mut current = listener.view.lock();
        if listener.is_shut() {
            return;
        }
        if current.as_ref().is_some_and(|view| view.subject == subject) {
            begin(listener);
            return;
        }
        self.take_out(current.take(), listener);
        let mut views = self.views.write();
        let view = if let Some(view) = views.iter().find(|view| view.subject == subject) {
            Arc::clone(view)
        } else {
            let view = View::new(subject, &self.items, &self.lanes, &self.stopping);
            views.push(Arc::clone(&view));
            view
        };
        view.add(Arc::clone(listener), begin);
        *current = Some(view);
    }

    /// Takes a listener out of its view.
    pub(super) fn leave(&self, listener: &Listener) {
        let view = listener.view.lock().take();
        self.take_out(view, listener);
    }

    fn take_out(&self, view: Option<Arc<View>>, listener: &Listener) {
        if let Some(view) = view {
            // Under the lock, so that nobody enters a view that is on its way out.
            let mut views = self.views.write();
            if view.remove(listener) {
                views.retain(|other| !Arc::ptr_eq(other, &view));
            }
        }
    }

    /// Drops all views and waits for their tasks.
    pub(super) async fn finish(&self) {
        self.views.write().clear();
        self.stopping.cancel();
        self.lanes.close();
        self.lanes.wait().await;
    }

    /// Ends all subscriptions of a view.
    pub(super) fn dissolve(&self, view: &Arc<View>) {
        self.views.write().retain(|other| !Arc::ptr_eq(other, view));
        view.shut_all();
    }

    /// Returns the views on a collection.
    pub(super) fn of(&self, collection: &'static Collection) -> Vec<Arc<View>> {
        let views = self.views.read();
        views.iter().filter(|view| view.subject.collection == collection).cloned().collect()
    }
}
