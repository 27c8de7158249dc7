//! The state of one subscription: a state machine without I/O or locks.
//!
//! [`SubscriptionState::on`] is its only transition: it takes an input and returns the effects that
//! `subscription` carries out. Offsets are those of the event log.

#[cfg(test)]
mod histories;
mod input;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::subscriptions::recovery::{Access, IdentityGap, Shown};
pub use crate::domain::subscriptions::state::input::{Effects, Input, Leaving, Start};

/// The offset before all events: nothing after the last sent event is known to be delivered.
const NONE_DELIVERED: i64 = 0;

/// The state of one subscription. `V` is its view, `F` a frame.
#[derive(Debug)]
pub struct SubscriptionState<V, F> {
    phase: Phase<V, F>,
    /// The number of changes of the view so far, which wraps around.
    epoch: u32,
    /// Whether the current view has delivered everything since the client's resume point.
    is_resumed: bool,
    /// The identity gap, which begins when the account that subscribed is no longer signed in, or
    /// when the subscription is resumed without a sign-in. Boxed, since it is rare.
    gap: Option<Box<IdentityGap<V>>>,
    /// Whether a replay is running.
    is_replaying: bool,
}

#[derive(Debug)]
enum Phase<V, F> {
    /// The snapshot is being read: events wait for it.
    Buffering(Box<Buffer<F>>),
    /// Events after `through` are sent as they happen.
    Live { through: i64 },
    /// Events after the offset are replayed from the log; live events are dropped.
    CatchingUp(Missing<V>),
    /// The subscription is in no view, since it has no access or moves to another view. With
    /// `skips` it does not receive the events of this period.
    Suspended { missing: Missing<V>, skips: bool },
    /// The subscription has ended.
    Closed,
}

/// Events buffered until the snapshot is sent.
#[derive(Debug)]
struct Buffer<F> {
    /// The frames, each with its offset.
    frames: Vec<(i64, F)>,
    /// Whether the buffer was discarded: the events are replayed from the log.
    overflowed: bool,
}

/// The part of the log that a subscription has yet to receive.
#[derive(Debug, Clone)]
pub struct Missing<V> {
    /// The last delivered offset.
    pub through: i64,
    /// Whether the client missed these events; false if they are merely late, as when one
    /// subscription replaces another.
    pub missed: bool,
    /// The ranges already shown during an identity gap.
    pub shown: Arc<[Shown<V>]>,
}

impl<V> Missing<V> {
    fn late(through: i64) -> Self {
        Self { through, missed: false, shown: Arc::default() }
    }
}

impl<F> Buffer<F> {
    fn phase<V>() -> Phase<V, F> {
        Phase::Buffering(Box::new(Self { frames: Vec::new(), overflowed: false }))
    }
}

impl<V: Access, F> SubscriptionState<V, F> {
    /// Creates the state of a subscription that has not begun. `gap` is that of the subscription
    /// it replaces.
    pub fn new(gap: Option<Box<IdentityGap<V>>>) -> Self {
        Self { phase: Buffer::phase(), epoch: 0, is_resumed: true, gap, is_replaying: false }
    }

    /// Applies an input and returns its effects.
    pub fn on(&mut self, input: Input<V, F>) -> Effects<F> {
        match input {
            Input::Event { seq, frame } => self.event(seq, frame),
            Input::Overflow => self.overflow(),
            Input::FallBehind { through } => self.fall_behind(through),
            Input::Snapshot { epoch, first, through, start } => {
                self.snapshot(epoch, first, through, start)
            }
            Input::Resumed { first, missing, start } => self.resumed(first, missing, start),
            Input::Page { epoch, after, through, frame } => self.page(epoch, after, through, frame),
            Input::CaughtUp { through } => self.caught_up(through),
            Input::ReplayEnded => {
                self.is_replaying = false;
                Effects::ACCEPTED
            }
            Input::Restart { epoch, after } => self.restart(epoch, after),
            Input::Leave { own, delivered, leaving } => self.leave(own, delivered, leaving),
            Input::Entered { view, is_new, delivered, resumed } => {
                self.entered(view, is_new, delivered, resumed)
            }
            Input::Lost { defers_error } => self.lost(defers_error),
            Input::Skip { through, keeps_shown } => self.skip(through, keeps_shown),
            Input::GoBack { through } => {
                let gap = || Box::new(IdentityGap::new(None, None, Vec::new()));
                self.gap.get_or_insert_with(gap).go_back(through);
                Effects::ACCEPTED
            }
            Input::Close => {
                self.phase = Phase::Closed;
                Effects::ACCEPTED
            }
        }
    }

    fn event(&mut self, seq: i64, frame: F) -> Effects<F> {
        match &mut self.phase {
            // SubscriptionState lags behind the commit, so older events may still arrive.
            Phase::Live { through } if seq > *through => {
                *through = seq;
                Effects { first: Some(frame), ..Effects::ACCEPTED }
            }
            Phase::Buffering(buffer) if !buffer.overflowed => {
                buffer.frames.push((seq, frame));
                Effects::ACCEPTED
            }
            _ => Effects::NONE,
        }
    }

    fn overflow(&mut self) -> Effects<F> {
        if let Phase::Buffering(buffer) = &mut self.phase {
            **buffer = Buffer { frames: Vec::new(), overflowed: true };
        }
        Effects::ACCEPTED
    }

    fn fall_behind(&mut self, to: i64) -> Effects<F> {
        match self.phase {
            Phase::Live { through } if to >= through => self.catch_up(Missing::late(to)),
            Phase::Buffering(_) => self.overflow(),
            _ => Effects::NONE,
        }
    }

    fn snapshot(
        &mut self,
        epoch: Option<u32>,
        first: F,
        through: i64,
        start: Option<Start<V>>,
    ) -> Effects<F> {
        if epoch.is_some_and(|epoch| epoch != self.epoch) {
            return Effects::NONE;
        }
        let Phase::Buffering(buffer) = &mut self.phase else { return Effects::NONE };
        let buffer =
            std::mem::replace(&mut **buffer, Buffer { frames: Vec::new(), overflowed: true });
        self.start(start, through);
        if buffer.overflowed {
            let effects = self.catch_up(Missing::late(through));
            return Effects { first: Some(first), ..effects };
        }
        let mut last = through;
        let newer = buffer.frames.into_iter().filter(|(seq, _)| *seq > through);
        let rest = newer.map(|(seq, frame)| {
            last = seq;
            frame
        });
        let rest = rest.collect();
        self.phase = Phase::Live { through: last };
        Effects { first: Some(first), rest, ..Effects::ACCEPTED }
    }

    fn resumed(&mut self, first: F, missing: Missing<V>, start: Start<V>) -> Effects<F> {
        if !self.is_buffering() {
            return Effects::NONE;
        }
        let has_view = start.view.is_some();
        self.start(Some(start), missing.through);
        let effects = if has_view {
            self.catch_up(missing)
        } else {
            self.phase = Phase::Suspended { missing, skips: false };
            Effects::ACCEPTED
        };
        Effects { first: Some(first), ..effects }
    }

    /// Records the view that decides access after `through`.
    fn start(&mut self, start: Option<Start<V>>, through: i64) {
        let Some(Start { view, resumed_from, opens_gap }) = start else { return };
        self.is_resumed = true;
        if opens_gap && self.gap.is_none() {
            self.gap = Some(Box::new(IdentityGap::new(resumed_from, None, Vec::new())));
        }
        if let Some(gap) = &mut self.gap {
            gap.see(through, view);
        }
    }

    fn page(&mut self, epoch: u32, after: i64, to: i64, frame: Option<F>) -> Effects<F> {
        match &mut self.phase {
            Phase::CatchingUp(Missing { through, .. })
                if epoch == self.epoch && after == *through =>
            {
                *through = to;
                Effects { first: frame, ..Effects::ACCEPTED }
            }
            _ => Effects::NONE,
        }
    }

    fn caught_up(&mut self, to: i64) -> Effects<F> {
        match &self.phase {
            Phase::CatchingUp(missing) if missing.through == to => {
                self.phase = Phase::Live { through: to };
                self.is_replaying = false;
                Effects::ACCEPTED
            }
            _ => Effects::NONE,
        }
    }

    fn restart(&mut self, epoch: u32, after: i64) -> Effects<F> {
        match &self.phase {
            Phase::CatchingUp(missing) if epoch == self.epoch && after == missing.through => {
                self.phase = Buffer::phase();
                // The replay reads the snapshot, and ends.
                self.is_replaying = false;
                Effects::ACCEPTED
            }
            _ => Effects::NONE,
        }
    }

    /// Switches to replay.
    fn catch_up(&mut self, missing: Missing<V>) -> Effects<F> {
        self.phase = Phase::CatchingUp(missing);
        let starts_replay = !std::mem::replace(&mut self.is_replaying, true);
        Effects { starts_replay, ..Effects::ACCEPTED }
    }

    fn leave(&mut self, own: Option<V>, delivered: i64, leaving: Leaving) -> Effects<F> {
        let Some(mut missing) = self.pending(delivered) else {
            if leaving == Leaving::SignedIn {
                self.gap = None;
            }
            return Effects::NONE;
        };
        let mut goes_back = false;
        match leaving {
            Leaving::Reauthorized => {}
            Leaving::SignedOut => {
                let (from, shown) = (Some(missing.through), missing.shown.to_vec());
                let gap = || Box::new(IdentityGap::new(from, own, shown));
                self.gap.get_or_insert_with(gap);
            }
            Leaving::SignedIn => {
                let gap = self.gap.take();
                if let Some((from, shown)) = gap.and_then(|gap| gap.end(missing.through)) {
                    goes_back = true;
                    if from < missing.through || matches!(self.phase, Phase::CatchingUp(_)) {
                        let through = from.min(missing.through);
                        missing = Missing { through, missed: true, shown: shown.into() };
                    }
                }
            }
        }
        self.phase = Phase::Suspended { missing, skips: false };
        Effects { accepted: goes_back, ..Effects::NONE }
    }

    fn entered(&mut self, view: V, is_new: bool, delivered: i64, resumed: bool) -> Effects<F> {
        if is_new {
            self.change_view();
        }
        self.is_resumed |= resumed;
        // A subscription may have begun since it was to leave its view.
        let begun = matches!(self.phase, Phase::Live { .. } | Phase::CatchingUp(_));
        let delivered_by_view = if begun { NONE_DELIVERED } else { delivered };
        let Some(missing) = self.pending(delivered_by_view) else { return Effects::NONE };
        if let Some(gap) = &mut self.gap {
            gap.see(missing.through, Some(view));
        }
        if missing.through < delivered || matches!(self.phase, Phase::CatchingUp(_)) {
            return self.catch_up(missing);
        }
        self.phase = Phase::Live { through: missing.through };
        Effects::ACCEPTED
    }

    fn lost(&mut self, defers_error: bool) -> Effects<F> {
        self.change_view();
        if let Some(missing) = self.pending(NONE_DELIVERED) {
            if let Some(gap) = &mut self.gap {
                gap.see(missing.through, None);
            }
            let skips = matches!(self.phase, Phase::Suspended { skips: true, .. });
            self.phase = Phase::Suspended { missing: Missing { missed: true, ..missing }, skips };
        }
        if let Some(gap) = self.gap.as_mut().filter(|_| defers_error) {
            gap.has_deferred_error = true;
        }
        Effects::ACCEPTED
    }

    const fn change_view(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.is_resumed = false;
    }

    fn skip(&mut self, to: i64, keeps_shown: bool) -> Effects<F> {
        match &mut self.gap {
            Some(gap) if keeps_shown => gap.forget_account(),
            gap => *gap = None,
        }
        match &mut self.phase {
            Phase::CatchingUp(missing) if missing.missed => {
                *missing = Missing::late(missing.through.max(to));
            }
            Phase::Suspended { missing, skips } => *skips |= missing.missed,
            _ => {}
        }
        Effects::ACCEPTED
    }

    /// Ends the subscription and returns the part of the log that its replacement has yet to
    /// deliver, and its identity gap. Its view has delivered `delivered`.
    pub fn hand_over(
        &mut self,
        delivered: i64,
    ) -> (Option<Missing<V>>, Option<Box<IdentityGap<V>>>) {
        let missing = self.pending(delivered);
        self.phase = Phase::Closed;
        (missing, self.gap.take())
    }

    /// Returns the part of the log to be replayed, and the epoch of the view.
    pub fn missing(&self) -> Option<(Missing<V>, u32)> {
        match &self.phase {
            Phase::CatchingUp(missing) => Some((missing.clone(), self.epoch)),
            _ => None,
        }
    }

    /// Returns the offset up to which everything was delivered, if the view has delivered
    /// everything up to `delivered`; `None` before the first frame.
    pub fn position(&self, delivered: i64) -> Option<i64> {
        self.pending(delivered).map(|missing| missing.through)
    }

    /// Returns the part of the log that the subscription has yet to receive, if the view has
    /// delivered everything up to `delivered`; `None` before its first frame.
    fn pending(&self, delivered: i64) -> Option<Missing<V>> {
        match &self.phase {
            Phase::Live { through } => Some(Missing::late(delivered.max(*through))),
            Phase::Suspended { missing, skips: true } => {
                Some(Missing::late(delivered.max(missing.through)))
            }
            Phase::CatchingUp(missing) | Phase::Suspended { missing, .. } => Some(missing.clone()),
            Phase::Buffering(_) | Phase::Closed => None,
        }
    }

    /// Returns the number of changes of the view so far.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Returns the identity gap.
    pub fn gap(&self) -> Option<&IdentityGap<V>> {
        self.gap.as_deref()
    }

    /// Returns whether an error frame was deferred, and clears the flag.
    pub fn take_deferred_error(&mut self) -> bool {
        self.gap.as_mut().is_some_and(|gap| std::mem::take(&mut gap.has_deferred_error))
    }

    /// Returns whether a new subscription of the client from the same resume point would receive
    /// the same events.
    pub const fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Returns whether the subscription has not begun yet.
    pub const fn is_buffering(&self) -> bool {
        matches!(self.phase, Phase::Buffering(_))
    }

    /// Returns whether the subscription has ended.
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }
}
