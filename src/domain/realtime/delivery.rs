//! The delivery of one subscription: a state machine without I/O or locks.
//!
//! [`Delivery::on`] is its only transition: it takes an input and returns the effects that
//! `subscription` carries out. Offsets are those of the event log.

use std::sync::Arc;

use crate::domain::realtime::identity_gap::Access;
use crate::domain::realtime::identity_gap::IdentityGap;
use crate::domain::realtime::identity_gap::Shown;

/// The delivery of one subscription. `V` is its view, `F` a frame.
#[derive(Debug)]
pub(super) struct Delivery<V, F> {
    state: State<V, F>,
    /// The number of changes of the view so far.
    epoch: u64,
    /// The epoch whose view delivered everything since the client's resume point.
    resumed_epoch: u64,
    /// The identity gap, which begins when the account that subscribed is no longer signed in, or
    /// when the subscription is resumed without a sign-in. Boxed, since it is rare.
    gap: Option<Box<IdentityGap<V>>>,
    /// Whether a replay is running.
    is_replaying: bool,
}

#[derive(Debug)]
enum State<V, F> {
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
pub(super) struct Missing<V> {
    /// The last delivered offset.
    pub(super) through: i64,
    /// Whether the client missed these events; false if they are merely late, as when one
    /// subscription replaces another.
    pub(super) missed: bool,
    /// The ranges already shown during an identity gap.
    pub(super) shown: Arc<[Shown<V>]>,
}

/// The start of a subscription whose view decides access after its first frame.
#[derive(Debug)]
pub(super) struct Start<V> {
    pub(super) view: Option<V>,
    /// The offset up to which the client has everything; `None` for a start from a snapshot.
    pub(super) resumed_from: Option<i64>,
    /// Whether an identity gap begins: no account is signed in, and one that signs in later
    /// receives the events withheld from the public.
    pub(super) opens_gap: bool,
}

/// Why a subscription leaves its view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Its permissions may have changed.
    Reauthorized,
    /// An account signed in, or its permissions may have changed: an identity gap ends.
    SignedIn,
    /// The account is no longer signed in: an identity gap begins.
    SignedOut,
}

/// An input of the state machine.
#[derive(Debug)]
pub(super) enum Input<V, F> {
    /// The view delivers an event.
    Event { seq: i64, frame: F },
    /// There is no memory to buffer an event.
    Overflow,
    /// Events after `through` cannot be sent as they happen.
    FallBehind { through: i64 },
    /// The first frame of a subscription that begins at `through`: events after it are sent.
    Snapshot { first: F, through: i64, start: Option<Start<V>> },
    /// The first frame of a subscription whose events are replayed.
    Resumed { first: F, missing: Missing<V>, start: Start<V> },
    /// The replay has read the log after `after` up to `through` for the view of `epoch`. `frame`
    /// has the last event, if it matches.
    Page { epoch: u64, after: i64, through: i64, frame: Option<F> },
    /// The replay has reached `through`, the last delivered event.
    CaughtUp { through: i64 },
    /// The replay ends.
    ReplayEnded,
    /// The events of the replay are no longer in the log.
    Restart,
    /// The subscription is about to leave its view `own`, which has delivered `delivered`.
    Leave { own: Option<V>, delivered: i64, leaving: Leaving },
    /// It has entered a view, `is_new` unless it stayed. `delivered` is the last delivered event.
    /// With `resumed` the view delivers everything since the client's resume point.
    Entered { view: V, is_new: bool, delivered: i64, resumed: bool },
    /// It has no access. With `defers_error` the client is not told yet.
    Lost { defers_error: bool },
    /// Missed events up to `through` are skipped and, without access, those until there is a view
    /// again. With `keeps_shown` another account may resume from its own position.
    Skip { through: i64, keeps_shown: bool },
    /// The account that signs in has everything up to `through` and no more.
    GoBack { through: i64 },
    /// The subscription ends.
    Close,
}

/// The effects of an input.
#[derive(Debug)]
pub(super) struct Effects<F> {
    /// Frames to be sent: first this one, then the others.
    pub(super) first: Option<F>,
    pub(super) rest: Vec<F>,
    /// Whether a replay starts.
    pub(super) starts_replay: bool,
    /// Whether the input took effect.
    pub(super) accepted: bool,
}

impl<F> Effects<F> {
    const NONE: Self =
        Self { first: None, rest: Vec::new(), starts_replay: false, accepted: false };
    const ACCEPTED: Self =
        Self { first: None, rest: Vec::new(), starts_replay: false, accepted: true };
}

impl<V> Missing<V> {
    fn late(through: i64) -> Self {
        Self { through, missed: false, shown: Arc::default() }
    }
}

impl<F> Buffer<F> {
    fn state<V>() -> State<V, F> {
        State::Buffering(Box::new(Self { frames: Vec::new(), overflowed: false }))
    }
}

impl<V: Access, F> Delivery<V, F> {
    /// Creates the delivery of a subscription that has not begun. `gap` is that of the subscription
    /// it replaces.
    pub(super) fn new(gap: Option<Box<IdentityGap<V>>>) -> Self {
        Self { state: Buffer::state(), epoch: 0, resumed_epoch: 0, gap, is_replaying: false }
    }

    /// Applies an input and returns its effects.
    pub(super) fn on(&mut self, input: Input<V, F>) -> Effects<F> {
        match input {
            Input::Event { seq, frame } => self.event(seq, frame),
            Input::Overflow => self.overflow(),
            Input::FallBehind { through } => self.fall_behind(through),
            Input::Snapshot { first, through, start } => self.snapshot(first, through, start),
            Input::Resumed { first, missing, start } => self.resumed(first, missing, start),
            Input::Page { epoch, after, through, frame } => self.page(epoch, after, through, frame),
            Input::CaughtUp { through } => self.caught_up(through),
            Input::ReplayEnded => {
                self.is_replaying = false;
                Effects::ACCEPTED
            }
            Input::Restart => self.restart(),
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
                self.state = State::Closed;
                Effects::ACCEPTED
            }
        }
    }

    fn event(&mut self, seq: i64, frame: F) -> Effects<F> {
        match &mut self.state {
            // Delivery lags behind the commit, so older events may still arrive.
            State::Live { through } if seq > *through => {
                *through = seq;
                Effects { first: Some(frame), ..Effects::ACCEPTED }
            }
            State::Buffering(buffer) if !buffer.overflowed => {
                buffer.frames.push((seq, frame));
                Effects::ACCEPTED
            }
            _ => Effects::NONE,
        }
    }

    fn overflow(&mut self) -> Effects<F> {
        if let State::Buffering(buffer) = &mut self.state {
            **buffer = Buffer { frames: Vec::new(), overflowed: true };
        }
        Effects::ACCEPTED
    }

    fn fall_behind(&mut self, to: i64) -> Effects<F> {
        match self.state {
            State::Live { through } if to >= through => self.catch_up(Missing::late(to)),
            State::Buffering(_) => self.overflow(),
            _ => Effects::NONE,
        }
    }

    fn snapshot(&mut self, first: F, through: i64, start: Option<Start<V>>) -> Effects<F> {
        let State::Buffering(buffer) = &mut self.state else { return Effects::NONE };
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
        self.state = State::Live { through: last };
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
            self.state = State::Suspended { missing, skips: false };
            Effects::ACCEPTED
        };
        Effects { first: Some(first), ..effects }
    }

    /// Records the view that decides access after `through`.
    fn start(&mut self, start: Option<Start<V>>, through: i64) {
        let Some(Start { view, resumed_from, opens_gap }) = start else { return };
        self.resumed_epoch = self.epoch;
        if opens_gap && self.gap.is_none() {
            self.gap = Some(Box::new(IdentityGap::new(resumed_from, None, Vec::new())));
        }
        if let Some(gap) = &mut self.gap {
            gap.see(through, view);
        }
    }

    fn page(&mut self, epoch: u64, after: i64, to: i64, frame: Option<F>) -> Effects<F> {
        match &mut self.state {
            State::CatchingUp(Missing { through, .. })
                if epoch == self.epoch && after == *through =>
            {
                *through = to;
                Effects { first: frame, ..Effects::ACCEPTED }
            }
            _ => Effects::NONE,
        }
    }

    fn caught_up(&mut self, to: i64) -> Effects<F> {
        match &self.state {
            State::CatchingUp(missing) if missing.through == to => {
                self.state = State::Live { through: to };
                self.is_replaying = false;
                Effects::ACCEPTED
            }
            _ => Effects::NONE,
        }
    }

    fn restart(&mut self) -> Effects<F> {
        if !matches!(self.state, State::CatchingUp(_)) {
            return Effects::NONE;
        }
        self.state = Buffer::state();
        // The replay reads the snapshot, and ends.
        self.is_replaying = false;
        Effects::ACCEPTED
    }

    /// Switches to replay.
    fn catch_up(&mut self, missing: Missing<V>) -> Effects<F> {
        self.state = State::CatchingUp(missing);
        let starts_replay = !std::mem::replace(&mut self.is_replaying, true);
        Effects { starts_replay, ..Effects::ACCEPTED }
    }

    fn leave(&mut self, own: Option<V>, delivered: i64, leaving: Leaving) -> Effects<F> {
        let mut missing = match &self.state {
            State::Live { through } => Missing::late(delivered.max(*through)),
            State::Suspended { missing, skips: true } => {
                Missing::late(delivered.max(missing.through))
            }
            State::CatchingUp(missing) | State::Suspended { missing, .. } => missing.clone(),
            State::Buffering(_) | State::Closed => {
                if leaving == Leaving::SignedIn {
                    self.gap = None;
                }
                return Effects::NONE;
            }
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
                    if from < missing.through || matches!(self.state, State::CatchingUp(_)) {
                        let through = from.min(missing.through);
                        missing = Missing { through, missed: true, shown: shown.into() };
                    }
                }
            }
        }
        self.state = State::Suspended { missing, skips: false };
        Effects { accepted: goes_back, ..Effects::NONE }
    }

    fn entered(&mut self, view: V, is_new: bool, delivered: i64, resumed: bool) -> Effects<F> {
        self.epoch += u64::from(is_new);
        if resumed {
            self.resumed_epoch = self.epoch;
        }
        let State::Suspended { missing, .. } = &self.state else { return Effects::NONE };
        let missing = missing.clone();
        if let Some(gap) = &mut self.gap {
            gap.see(missing.through, Some(view));
        }
        if missing.through < delivered {
            return self.catch_up(missing);
        }
        self.state = State::Live { through: missing.through };
        Effects::ACCEPTED
    }

    fn lost(&mut self, defers_error: bool) -> Effects<F> {
        self.epoch += 1;
        if let State::Suspended { missing, .. } = &mut self.state {
            missing.missed = true;
            if let Some(gap) = &mut self.gap {
                gap.see(missing.through, None);
            }
        }
        if let Some(gap) = self.gap.as_mut().filter(|_| defers_error) {
            gap.has_deferred_error = true;
        }
        Effects::ACCEPTED
    }

    fn skip(&mut self, to: i64, keeps_shown: bool) -> Effects<F> {
        match &mut self.gap {
            Some(gap) if keeps_shown => gap.forget_account(),
            gap => *gap = None,
        }
        match &mut self.state {
            State::CatchingUp(missing) if missing.missed => {
                *missing = Missing::late(missing.through.max(to));
            }
            State::Suspended { missing, skips } => *skips |= missing.missed,
            _ => {}
        }
        Effects::ACCEPTED
    }

    /// Ends the subscription and returns the part of the log that its replacement has yet to
    /// deliver, and its identity gap. Its view has delivered `delivered`.
    pub(super) fn hand_over(
        &mut self,
        delivered: i64,
    ) -> (Option<Missing<V>>, Option<Box<IdentityGap<V>>>) {
        let missing = match std::mem::replace(&mut self.state, State::Closed) {
            State::Live { through } => Some(Missing::late(delivered.max(through))),
            State::CatchingUp(missing) | State::Suspended { missing, .. } => Some(missing),
            State::Buffering(_) | State::Closed => None,
        };
        (missing, self.gap.take())
    }

    /// Returns the part of the log to be replayed, and the epoch of the view.
    pub(super) fn missing(&self) -> Option<(Missing<V>, u64)> {
        match &self.state {
            State::CatchingUp(missing) => Some((missing.clone(), self.epoch)),
            _ => None,
        }
    }

    /// Returns the offset up to which everything was delivered, if the view has delivered
    /// everything up to `delivered`; `None` before the first frame.
    pub(super) fn position(&self, delivered: i64) -> Option<i64> {
        match &self.state {
            State::Live { through } => Some(delivered.max(*through)),
            State::CatchingUp(missing) | State::Suspended { missing, .. } => Some(missing.through),
            State::Buffering(_) | State::Closed => None,
        }
    }

    /// Returns the identity gap.
    pub(super) fn gap(&self) -> Option<&IdentityGap<V>> {
        self.gap.as_deref()
    }

    /// Returns whether an error frame was deferred, and clears the flag.
    pub(super) fn take_deferred_error(&mut self) -> bool {
        self.gap.as_mut().is_some_and(|gap| std::mem::take(&mut gap.has_deferred_error))
    }

    /// Returns whether a new subscription of the client from the same resume point would receive
    /// the same events.
    pub(super) const fn is_resumed(&self) -> bool {
        self.resumed_epoch == self.epoch
    }

    /// Returns whether the subscription has not begun yet.
    pub(super) const fn is_buffering(&self) -> bool {
        matches!(self.state, State::Buffering(_))
    }

    /// Returns whether the subscription has ended.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The classes of events that a view shows, as a bit mask.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Rules(u8);

    const ALL: Rules = Rules(0b111);

    impl Rules {
        fn show(self, class: u8) -> bool {
            self.0 & (1 << class) != 0
        }
    }

    impl Access for Rules {
        fn is_same(&self, other: &Self) -> bool {
            self == other
        }

        fn shows_all_of(&self, other: Option<&Self>) -> bool {
            let other = other.map_or(ALL, |other| *other);
            self.0 & other.0 == other.0
        }
    }

    /// The frame of the event with this offset; 0 for the first frame.
    type Frame = i64;

    const NOTHING: [Frame; 0] = [];

    fn live(through: i64) -> Delivery<Rules, Frame> {
        let mut delivery = Delivery::new(None);
        delivery.on(Input::Entered { view: ALL, is_new: true, delivered: 0, resumed: false });
        delivery.on(Input::Snapshot { first: 0, through, start: None });
        delivery
    }

    fn frames(effects: Effects<Frame>) -> Vec<Frame> {
        effects.first.into_iter().chain(effects.rest).collect()
    }

    #[test]
    fn buffered_events_follow_the_snapshot_unless_it_contains_them() {
        let mut delivery: Delivery<Rules, Frame> = Delivery::new(None);
        for seq in 4..=6 {
            assert_eq!(frames(delivery.on(Input::Event { seq, frame: seq })), NOTHING);
        }

        let effects = delivery.on(Input::Snapshot { first: 0, through: 5, start: None });

        assert!(!effects.starts_replay);
        assert_eq!(frames(effects), [0, 6]);
        assert_eq!(frames(delivery.on(Input::Event { seq: 6, frame: 6 })), NOTHING);
        assert_eq!(frames(delivery.on(Input::Event { seq: 7, frame: 7 })), [7]);
    }

    #[test]
    fn an_overflowed_buffer_is_replayed_after_the_snapshot() {
        for overflows in [Input::Overflow, Input::FallBehind { through: 4 }] {
            let mut delivery: Delivery<Rules, Frame> = Delivery::new(None);
            delivery.on(Input::Event { seq: 4, frame: 4 });
            delivery.on(overflows);
            delivery.on(Input::Event { seq: 5, frame: 5 });

            let effects = delivery.on(Input::Snapshot { first: 0, through: 3, start: None });

            assert!(effects.starts_replay);
            assert_eq!(frames(effects), [0]);
            let (missing, _) = delivery.missing().unwrap();
            assert_eq!((missing.through, missing.missed), (3, false));
        }
    }

    #[test]
    fn delivered_events_are_not_replayed() {
        for (through, missing) in [(4, None), (5, Some(5)), (6, Some(6))] {
            let mut delivery = live(3);
            delivery.on(Input::Event { seq: 5, frame: 5 });

            let effects = delivery.on(Input::FallBehind { through });

            assert_eq!(effects.starts_replay, missing.is_some());
            assert_eq!(delivery.missing().map(|(missing, _)| missing.through), missing);
        }
    }

    #[test]
    fn skipped_events_are_not_replayed_and_late_ones_are() {
        for (missed, through) in [(true, 9), (false, 3)] {
            let missing = Missing { missed, ..Missing::late(3) };
            let start = Start { view: Some(ALL), resumed_from: Some(3), opens_gap: true };
            let mut delivery: Delivery<Rules, Frame> = Delivery::new(None);
            delivery.on(Input::Resumed { first: 0, missing, start });

            delivery.on(Input::Skip { through: 9, keeps_shown: false });

            assert_eq!(delivery.missing().unwrap().0.through, through);
            assert!(delivery.gap().is_none());
        }
    }

    #[test]
    fn another_account_does_not_receive_events_from_before_its_sign_in() {
        let mut delivery = live(3);
        let leave = |leaving, delivered| Input::Leave { own: Some(ALL), delivered, leaving };
        delivery.on(leave(Leaving::SignedOut, 3));
        delivery.on(Input::Lost { defers_error: false });

        // Event 4 is committed, but delivered only after this.
        delivery.on(Input::Skip { through: 3, keeps_shown: false });
        delivery.on(leave(Leaving::SignedIn, 4));
        let entered = Input::Entered { view: ALL, is_new: true, delivered: 4, resumed: false };

        assert!(!delivery.on(entered).starts_replay);
        assert_eq!(frames(delivery.on(Input::Event { seq: 5, frame: 5 })), [5]);
    }

    #[test]
    fn a_page_of_another_view_or_offset_is_refused() {
        let mut delivery = live(3);
        delivery.on(Input::FallBehind { through: 3 });
        let (_, epoch) = delivery.missing().unwrap();
        let mut page = |epoch, after| {
            let page = Input::Page { epoch, after, through: 5, frame: Some(5) };
            frames(delivery.on(page))
        };

        assert_eq!(page(epoch + 1, 3), NOTHING);
        assert_eq!(page(epoch, 4), NOTHING);
        assert_eq!(page(epoch, 3), [5]);
        assert_eq!(page(epoch, 3), NOTHING);
    }

    #[test]
    fn a_closed_subscription_sends_nothing() {
        let mut delivery = live(3);
        delivery.on(Input::Close);
        assert_eq!(frames(delivery.on(Input::Event { seq: 4, frame: 4 })), NOTHING);
        let entered = Input::Entered { view: ALL, is_new: true, delivered: 9, resumed: false };
        assert!(!delivery.on(entered).starts_replay);
        assert!(delivery.is_closed());
    }

    /// A step of the world around a subscription.
    #[derive(Debug, Clone)]
    enum Step {
        /// An event of a class happens. Views may be unable to read it.
        Happen { class: u8, readable: bool },
        /// There is no memory for buffered events.
        Overflow,
        /// The rights of the account, or of the public, change.
        Grant { account: bool, rules: Option<u8> },
        /// The connection signs in or out.
        SignIn(bool),
        /// The replay reads a page of the log.
        Read(usize),
        /// The replay sends the page that it has read.
        Send,
        /// The snapshot is read.
        Begin,
        /// The snapshot is sent.
        Snapshot,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..3_u8, prop::bool::weighted(0.9))
                .prop_map(|(class, readable)| Step::Happen { class, readable }),
            1 => Just(Step::Overflow),
            2 => (any::<bool>(), prop::option::weighted(0.7, 0..8_u8))
                .prop_map(|(account, rules)| Step::Grant { account, rules }),
            2 => any::<bool>().prop_map(Step::SignIn),
            4 => (1..5_usize).prop_map(Step::Read),
            4 => Just(Step::Send),
            2 => Just(Step::Begin),
            2 => Just(Step::Snapshot),
        ]
    }

    struct World {
        delivery: Delivery<Rules, Frame>,
        view: Option<Rules>,
        /// The class of each event, from offset 1 on.
        log: Vec<u8>,
        is_signed_in: bool,
        account: Option<Rules>,
        public: Option<Rules>,
        is_replaying: bool,
        /// The page that the replay has read: its part of the log, view, epoch and end.
        page: Option<(Missing<Rules>, Rules, u64, i64)>,
        /// The snapshot that was read: its view and offset.
        snapshot: Option<(Rules, i64)>,
        /// The offset at which the subscription began, if the account was signed in or the client
        /// resumed: from there on it receives everything.
        begun: Option<i64>,
        sent: Vec<i64>,
        /// The last offset sent since the last sign-in.
        last: i64,
    }

    impl World {
        fn new(resumes: bool, is_signed_in: bool) -> Self {
            let mut world = Self {
                delivery: Delivery::new(None),
                view: None,
                log: vec![0, 1, 2, 0],
                is_signed_in,
                account: Some(ALL),
                public: Some(Rules(0b010)),
                is_replaying: false,
                page: None,
                snapshot: None,
                begun: None,
                sent: Vec::new(),
                last: 0,
            };
            world.reauthorize(Leaving::Reauthorized);
            if resumes {
                let missing = Missing { missed: true, ..Missing::late(1) };
                let (view, opens_gap) = (world.view, !is_signed_in);
                let start = Start { view, resumed_from: Some(1), opens_gap };
                world.begun = Some(1);
                world.on(Input::Resumed { first: 0, missing, start });
            }
            world
        }

        fn delivered(&self) -> i64 {
            i64::try_from(self.log.len()).unwrap()
        }

        fn class(&self, seq: i64) -> u8 {
            self.log[usize::try_from(seq).unwrap() - 1]
        }

        /// Applies an input. Every sent event is visible at that moment, new and in order.
        fn on(&mut self, input: Input<Rules, Frame>) -> bool {
            let effects = self.delivery.on(input);
            if effects.starts_replay {
                assert!(!self.is_replaying, "two replays");
                self.is_replaying = true;
            }
            let accepted = effects.accepted;
            for seq in frames(effects).into_iter().filter(|seq| *seq > 0) {
                assert!(!self.sent.contains(&seq), "{seq} again: {:?}", self.sent);
                assert!(seq > self.last, "{seq} after {}", self.last);
                self.last = seq;
                self.sent.push(seq);
            }
            accepted
        }

        fn reauthorize(&mut self, leaving: Leaving) {
            let (own, delivered) = (self.view, self.delivered());
            let resumed = self.on(Input::Leave { own, delivered, leaving });
            if leaving == Leaving::SignedIn {
                self.last = 0;
            }
            let rules = if self.is_signed_in { self.account } else { self.public };
            let is_new = self.view != rules;
            self.view = rules;
            match rules {
                Some(view) => self.on(Input::Entered { view, is_new, delivered, resumed }),
                None => self.on(Input::Lost { defers_error: false }),
            };
        }

        fn take(&mut self, step: &Step) {
            match *step {
                Step::Happen { class, readable } => {
                    self.log.push(class);
                    let seq = self.delivered();
                    match self.view {
                        Some(_) if !readable => {
                            self.on(Input::FallBehind { through: seq - 1 });
                        }
                        Some(view) if view.show(class) => {
                            self.on(Input::Event { seq, frame: seq });
                        }
                        _ => {}
                    }
                }
                Step::Overflow => {
                    self.on(Input::Overflow);
                }
                Step::Grant { account, rules } => {
                    // Every account that has access sees the first class.
                    let rules = rules.map(|rules| Rules(rules | u8::from(account)));
                    *(if account { &mut self.account } else { &mut self.public }) = rules;
                    if account == self.is_signed_in {
                        let signed_in = [Leaving::Reauthorized, Leaving::SignedIn];
                        self.reauthorize(signed_in[usize::from(account)]);
                    }
                }
                Step::SignIn(signs_in) => {
                    if self.is_signed_in != signs_in {
                        self.is_signed_in = signs_in;
                        let leaving = [Leaving::SignedOut, Leaving::SignedIn];
                        self.reauthorize(leaving[usize::from(signs_in)]);
                    }
                }
                Step::Read(limit) => self.read(limit),
                Step::Send => self.send(),
                Step::Begin => {
                    let view = self.view.filter(|_| self.delivery.is_buffering());
                    self.snapshot = view.map(|view| (view, self.delivered()));
                }
                Step::Snapshot => {
                    if let Some((view, through)) = self.snapshot.take()
                        && self.view == Some(view)
                        && self.delivery.is_buffering()
                    {
                        let view = Some(view);
                        let start = Some(Start { view, resumed_from: None, opens_gap: false });
                        self.begun = Some(through).filter(|_| self.is_signed_in);
                        self.on(Input::Snapshot { first: 0, through, start });
                    }
                }
            }
        }

        fn read(&mut self, limit: usize) {
            if !self.is_replaying || self.page.is_some() {
                return;
            }
            let Some(((missing, epoch), view)) = self.delivery.missing().zip(self.view) else {
                self.on(Input::ReplayEnded);
                self.is_replaying = false;
                return;
            };
            let (through, delivered) = (missing.through, self.delivered());
            if through >= delivered {
                if self.on(Input::CaughtUp { through }) {
                    self.is_replaying = false;
                }
                return;
            }
            let end = delivered.min(through + i64::try_from(limit).unwrap());
            self.page = Some((missing, view, epoch, end));
        }

        fn send(&mut self) {
            let Some((missing, view, epoch, end)) = self.page.take() else { return };
            let mut after = missing.through;
            for seq in missing.through + 1..=end {
                let class = self.class(seq);
                let mut shown = missing.shown.iter().filter(|shown| shown.covers(seq));
                if !view.show(class) || shown.any(|shown| shown.view.show(class)) {
                    continue;
                }
                let page = Input::Page { epoch, after, through: seq, frame: Some(seq) };
                if !self.on(page) {
                    return;
                }
                assert_eq!(self.view, Some(view), "sent with the access of another moment");
                after = seq;
            }
            self.on(Input::Page { epoch, after, through: end, frame: None });
        }

        /// Signs in with access to everything, and lets all work come to its end.
        fn finish(&mut self) {
            self.take(&Step::Grant { account: true, rules: Some(ALL.0) });
            for step in [Step::SignIn(true), Step::Begin, Step::Snapshot] {
                self.take(&step);
            }
            while self.is_replaying {
                self.take(&Step::Send);
                self.take(&Step::Read(3));
            }
            self.take(&Step::Happen { class: 0, readable: true });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// An event is sent at most once, in order and with the access of its moment (see
        /// [`World::on`]), and at the end none is missing that the account could see all the time.
        #[test]
        fn every_event_is_delivered_once_and_in_order(
            resumes: bool,
            is_signed_in: bool,
            // The views shown in one identity gap are bounded (`identity_gap::VIEWS_MAX`).
            steps in prop::collection::vec(step(), 0..40),
        ) {
            let grants = steps.iter().filter(|step| matches!(step, Step::Grant { .. })).count();
            prop_assume!(grants <= 7);
            let mut world = World::new(resumes, is_signed_in);
            for step in &steps {
                world.take(step);
            }
            world.finish();

            let begun = world.begun.unwrap_or(world.delivered() - 1);
            let expected = (begun + 1..=world.delivered()).filter(|seq| world.class(*seq) == 0);
            let missing: Vec<i64> = expected.filter(|seq| !world.sent.contains(seq)).collect();
            prop_assert!(missing.is_empty(), "{missing:?} of {:?}", world.sent);
        }
    }
}
