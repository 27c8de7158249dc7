//! The identity gap: a period in which a subscription runs without a signed-in account.
//!
//! A gap begins when a token expires, or when a client reconnects before it signs in. The
//! connection is then anonymous and receives the events that the public may read. When an account
//! signs in, the events it missed are replayed from the log, without items already shown.

use std::sync::Arc;

use crate::domain::realtime::view::View;

/// The maximum number of recorded views; each change of permissions during the gap may add one.
/// Beyond that the oldest record is dropped, and its range is delivered again.
const VIEWS_MAX: usize = 8;

/// A range of the log that a view delivered.
#[derive(Clone)]
pub(super) struct Shown {
    after: i64,
    to: i64,
    pub(super) view: Arc<View>,
}

impl Shown {
    /// Returns whether an event is in this range.
    pub(super) fn covers(&self, seq: i64) -> bool {
        self.after < seq && seq <= self.to
    }
}

/// The period since an account was last signed in, or since an anonymous subscription began.
pub(super) struct Lapse {
    /// The offset up to which the account has everything; `None` after a start from a snapshot.
    from: Option<i64>,
    /// The view that the account had until then, if it is known.
    own: Option<Arc<View>>,
    /// Whether events may have been withheld from the account since.
    withheld: bool,
    /// Whether an error frame is deferred: access was lost and the client was not told.
    pub(super) is_unsaid: bool,
    shown: Vec<Shown>,
    /// The current view, and the offset from which on it decides access.
    now: Option<(i64, Arc<View>)>,
}

impl Lapse {
    /// Begins a gap after `from`; `shown` has the later ranges that were already shown.
    pub(super) const fn new(from: Option<i64>, own: Option<Arc<View>>, shown: Vec<Shown>) -> Self {
        Self { from, own, withheld: false, is_unsaid: false, shown, now: None }
    }

    /// Returns the position of the account that was signed in before, if there is one. If events
    /// may have been withheld since, this is at most the start of the gap.
    pub(super) fn position_of_own(&self, place: i64) -> Option<i64> {
        self.own.as_ref()?;
        self.from.map(|from| if self.withheld { from.min(place) } else { place })
    }

    /// Returns the start of the gap, if nothing was withheld from any account since.
    pub(super) fn whole_from(&self) -> Option<i64> {
        self.from.filter(|_| !self.withheld && self.own.is_none())
    }

    /// Records that the account that signs in has everything up to `to` and no more.
    pub(super) fn go_back(&mut self, to: i64) {
        self.from = Some(self.from.map_or(to, |from| from.min(to)));
    }

    /// Forgets the account that was signed in before, but not the ranges shown since.
    pub(super) fn forget(&mut self) {
        (self.from, self.own) = (None, None);
    }

    /// Records the view that decides access from `place` on.
    pub(super) fn see(&mut self, place: i64, view: Option<Arc<View>>) {
        if let (Some((_, now)), Some(view)) = (&self.now, &view)
            && now.subject == view.subject
        {
            return;
        }
        if let Some((after, view)) = self.now.take()
            && after < place
        {
            self.shown.push(Shown { after, to: place, view });
        }
        if let Some(view) = &view {
            let plan = &view.subject.plan;
            let shows_all = match &self.own {
                Some(own) => plan.shows_all_of(&own.subject.plan),
                None => plan.shows_all(),
            };
            self.withheld |= !shows_all;
        }
        self.now = view.map(|view| (place, view));
        let surplus = self.shown.len().saturating_sub(VIEWS_MAX);
        self.shown.drain(..surplus);
    }

    /// Ends the gap at `place` and returns its start and the ranges shown since; `None` if the
    /// subscription ran with public access only.
    pub(super) fn end(mut self, place: i64) -> Option<(i64, Vec<Shown>)> {
        self.see(place, None);
        Some((self.from?, self.shown))
    }
}
