//! The identity gap: a period in which a subscription runs without a signed-in account.
//!
//! A gap begins when a token expires, or when a client reconnects before it signs in. The
//! connection is then anonymous and receives the events that the public may read. When an account
//! signs in, the events it missed are replayed from the log, without items already shown.

/// The maximum number of recorded views; each change of permissions during the gap may add one.
/// Beyond that the oldest record is dropped, and its range is delivered again.
const VIEWS_MAX: usize = 8;

/// The access that a view gives, compared by its rules.
pub trait Access: Clone {
    /// Returns whether both show the same.
    fn is_same(&self, other: &Self) -> bool;

    /// Returns whether this shows all that `other` shows or, without `other`, all that any account
    /// could see.
    fn shows_all_of(&self, other: Option<&Self>) -> bool;
}

/// A range of the log that a view delivered.
#[derive(Debug, Clone)]
pub struct Shown<V> {
    after: i64,
    to: i64,
    pub view: V,
}

impl<V> Shown<V> {
    /// Returns whether an event is in this range.
    pub const fn covers(&self, seq: i64) -> bool {
        self.after < seq && seq <= self.to
    }
}

/// The period since an account was last signed in, or since an anonymous subscription began.
#[derive(Debug)]
pub struct IdentityGap<V> {
    /// The offset up to which the account has everything; `None` after a start from a snapshot.
    from: Option<i64>,
    /// The view that the account had until then, if it is known.
    own: Option<V>,
    /// Whether events may have been withheld from the account since.
    withheld: bool,
    /// Whether an error frame is deferred: access was lost and the client was not told.
    pub has_deferred_error: bool,
    shown: Vec<Shown<V>>,
    /// The current view, and the offset from which on it decides access.
    now: Option<(i64, V)>,
}

impl<V: Access> IdentityGap<V> {
    /// Begins a gap after `from`; `shown` has the later ranges that were already shown.
    pub const fn new(from: Option<i64>, own: Option<V>, shown: Vec<Shown<V>>) -> Self {
        Self { from, own, withheld: false, has_deferred_error: false, shown, now: None }
    }

    /// Returns the position of the account that was signed in before, if there is one. If events
    /// may have been withheld since, this is at most the start of the gap.
    pub fn position_of_own(&self, through: i64) -> Option<i64> {
        self.own.as_ref()?;
        self.from.map(|from| if self.withheld { from.min(through) } else { through })
    }

    /// Returns the start of the gap, if nothing was withheld from any account since.
    pub fn complete_from(&self) -> Option<i64> {
        self.from.filter(|_| !self.withheld && self.own.is_none())
    }

    /// Records that the account that signs in has everything up to `to` and no more.
    pub fn go_back(&mut self, to: i64) {
        self.from = Some(self.from.map_or(to, |from| from.min(to)));
    }

    /// Forgets the account that was signed in before, but not the ranges shown since.
    pub fn forget_account(&mut self) {
        (self.from, self.own) = (None, None);
    }

    /// Records the view that decides access after `through`.
    pub fn see(&mut self, through: i64, view: Option<V>) {
        if let (Some((_, now)), Some(view)) = (&self.now, &view)
            && now.is_same(view)
        {
            return;
        }
        if let Some((after, view)) = self.now.take()
            && after < through
        {
            self.shown.push(Shown { after, to: through, view });
        }
        if let Some(view) = &view {
            self.withheld |= !view.shows_all_of(self.own.as_ref());
        }
        self.now = view.map(|view| (through, view));
        let surplus = self.shown.len().saturating_sub(VIEWS_MAX);
        self.shown.drain(..surplus);
    }

    /// Ends the gap at `through` and returns its start and the ranges shown since; `None` if the
    /// subscription ran with public access only.
    pub fn end(mut self, through: i64) -> Option<(i64, Vec<Shown<V>>)> {
        self.see(through, None);
        Some((self.from?, self.shown))
    }
}
