//! What a subscription showed while nobody was signed in on its connection.
//!
//! A token runs out, or a client comes back before it signs in: the connection is the public's, and
//! what the public may read is told. When somebody signs in, what they missed is told from the log,
//! less what they were shown as the public.

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

/// The time since somebody's rights lapsed, or a subscription began without a sign-in.
pub(super) struct Lapse {
    /// Up to where they were told everything; `None` for a subscription that has begun anew.
    from: Option<i64>,
    /// By what they were told until then, if that is known.
    own: Option<Arc<View>>,
    /// Whether something may have been kept from them since.
    withheld: bool,
    /// Whether nothing is shown any more, and the client was not told so.
    pub(super) is_unsaid: bool,
    shown: Vec<Shown>,
    /// What is shown now, and behind which place.
    now: Option<(i64, Arc<View>)>,
}

impl Lapse {
    /// Begins behind a place; some of what follows may have been shown before.
    pub(super) const fn new(from: Option<i64>, own: Option<Arc<View>>, shown: Vec<Shown>) -> Self {
        Self { from, own, withheld: false, is_unsaid: false, shown, now: None }
    }

    /// Returns how far the one has got whose rights lapsed, if a place was reached: not beyond what may
    /// have been kept from them since.
    pub(super) fn position_of_own(&self, place: i64) -> Option<i64> {
        self.own.as_ref()?;
        self.from.map(|from| if self.withheld { from.min(place) } else { place })
    }

    /// Returns up to where everything was told before, if nothing was kept since from anybody.
    pub(super) fn whole_from(&self) -> Option<i64> {
        self.from.filter(|_| !self.withheld && self.own.is_none())
    }

    /// Notes that whoever signs in was told everything up to a place and not more.
    pub(super) fn go_back(&mut self, to: i64) {
        self.from = Some(self.from.map_or(to, |from| from.min(to)));
    }

    /// Forgets whose rights lapsed, and not what was shown since.
    pub(super) fn forget(&mut self) {
        (self.from, self.own) = (None, None);
    }

    /// Notes what is shown from a place on.
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

    /// Ends at a place, and returns where it began and what was shown since; `None` if that was
    /// told by nobody's rights but those of the public.
    pub(super) fn end(mut self, place: i64) -> Option<(i64, Vec<Shown>)> {
        self.see(place, None);
        Some((self.from?, self.shown))
    }
}
