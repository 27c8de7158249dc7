//! What a subscription showed while nobody was signed in on its connection.
//!
//! A token runs out, the connection is the public's, and what the public may read goes on being told.
//! When the same person signs in again, what they missed is told from the log, less what they were
//! shown as the public.

use std::sync::Arc;

use crate::domain::realtime::view::View;

/// How many views are kept account of; each change of rights in the meantime may add one. Of the
/// oldest it is then no longer known what they showed, and it is told again.
const VIEWS_MAX: usize = 8;

/// Part of the log that was told by a view.
#[derive(Clone)]
pub(super) struct Shown {
    after: i64,
    to: i64,
    pub(super) view: Arc<View>,
}

impl Shown {
    /// Returns whether an event is in this part.
    pub(super) fn covers(&self, seq: i64) -> bool {
        self.after < seq && seq <= self.to
    }
}

/// The time since somebody's rights lapsed.
pub(super) struct Lapse {
    /// Up to where they were told everything.
    from: i64,
    /// By what they were told until then.
    own: Option<Arc<View>>,
    /// Whether something may have been kept from them since.
    withheld: bool,
    shown: Vec<Shown>,
    /// What is shown now, and behind which place.
    now: Option<(i64, Arc<View>)>,
}

impl Lapse {
    /// Begins behind a place; some of what follows may have been shown before.
    pub(super) const fn new(from: i64, own: Option<Arc<View>>, shown: Vec<Shown>) -> Self {
        Self { from, own, withheld: false, shown, now: None }
    }

    /// Returns up to where they were told everything, if something may have been kept from them since.
    pub(super) fn withheld_from(&self) -> Option<i64> {
        self.withheld.then_some(self.from)
    }

    /// Notes what is shown from a place on.
    pub(super) fn see(&mut self, place: i64, view: Option<Arc<View>>) {
        if let Some((after, view)) = self.now.take()
            && after < place
        {
            self.shown.push(Shown { after, to: place, view });
        }
        if let Some(view) = &view {
            let own = self.own.as_ref().map(|own| &own.subject.plan);
            self.withheld |= own.is_none_or(|own| !view.subject.plan.shows_all_of(own));
        }
        self.now = view.map(|view| (place, view));
        let surplus = self.shown.len().saturating_sub(VIEWS_MAX);
        self.shown.drain(..surplus);
    }

    /// Ends at a place, and returns where it began and what was shown since.
    pub(super) fn end(mut self, place: i64) -> (i64, Vec<Shown>) {
        self.see(place, None);
        (self.from, self.shown)
    }
}
