//! The views that somebody takes part in, by collection.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::domain::realtime::listener::Listener;
use crate::domain::realtime::view::Subject;
use crate::domain::realtime::view::View;
use crate::model::Collection;

/// All views of this process.
#[derive(Default)]
pub(super) struct Audience {
    views: RwLock<Vec<Arc<View>>>,
}

impl Audience {
    /// Lets a listener take part in the view of a subject, instead of the one it was in. `begin`
    /// runs before any event can reach it.
    pub(super) fn enter(
        &self,
        listener: &Arc<Listener>,
        subject: Subject,
        begin: impl FnOnce(&Listener),
    ) {
        let mut current = listener.view.lock();
        if current.as_ref().is_some_and(|view| view.subject == subject) {
            begin(listener);
            return;
        }
        self.take_out(current.take(), listener);
        let mut views = self.views.write();
        let view = if let Some(view) = views.iter().find(|view| view.subject == subject) {
            Arc::clone(view)
        } else {
            let view = Arc::new(View::new(subject));
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

    /// Returns the views on a collection.
    pub(super) fn of(&self, collection: &'static Collection) -> Vec<Arc<View>> {
        let views = self.views.read();
        views.iter().filter(|view| view.subject.collection == collection).cloned().collect()
    }
}
