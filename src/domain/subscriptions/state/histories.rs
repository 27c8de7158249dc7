//! Random histories of a subscription: a property test of the state machine.

use proptest::prelude::*;

use super::tests::{ALL, Rules};
use super::*;

/// A frame with the view that encoded it.
type Encoded = (i64, Rules);

/// A step of the world around a subscription.
#[derive(Debug, Clone)]
enum Step {
    /// An event of a class happens. Views may be unable to read it.
    Happen { class: u8, readable: bool },
    /// There is no memory for buffered events.
    Overflow,
    /// The rights of the account, or of the public, change. Another step may come between the end
    /// of the old view and the beginning of the new one.
    Grant { account: bool, rules: Option<u8>, between: Option<Box<Step>> },
    /// The connection signs in or out.
    SignIn { signs_in: bool, between: Option<Box<Step>> },
    /// The replay reads a page of the log.
    Read(usize),
    /// The replay sends the page that it has read.
    Send,
    /// The snapshot is read.
    Begin,
    /// The snapshot is sent.
    Snapshot,
    /// The log no longer has the events that the replay needs.
    Truncate,
}

/// A step of a task of the subscription.
fn task() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5_usize).prop_map(Step::Read),
        4 => Just(Step::Send),
        2 => Just(Step::Begin),
        2 => Just(Step::Snapshot),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let between = || prop::option::weighted(0.3, task().prop_map(Box::new));
    let rules = prop::option::weighted(0.7, 0..8_u8);
    prop_oneof![
        8 => (0..3_u8, prop::bool::weighted(0.9))
            .prop_map(|(class, readable)| Step::Happen { class, readable }),
        1 => Just(Step::Overflow),
        1 => Just(Step::Truncate),
        2 => (any::<bool>(), rules, between())
            .prop_map(|(account, rules, between)| Step::Grant { account, rules, between }),
        2 => (any::<bool>(), between())
            .prop_map(|(signs_in, between)| Step::SignIn { signs_in, between }),
        12 => task(),
    ]
}

struct World {
    state: SubscriptionState<Rules, Encoded>,
    view: Option<Rules>,
    /// The class of each event, from offset 1 on.
    log: Vec<u8>,
    is_signed_in: bool,
    account: Option<Rules>,
    public: Option<Rules>,
    is_replaying: bool,
    /// The page that the replay has read: its part of the log, view, epoch and end.
    page: Option<(Missing<Rules>, Rules, u32, i64)>,
    /// The snapshot that was read: its view, epoch and offset.
    snapshot: Option<(Rules, u32, i64)>,
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
            state: SubscriptionState::new(None),
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
        world.reauthorize(Leaving::Reauthorized, None);
        if resumes {
            let missing = Missing { missed: true, ..Missing::late(1) };
            let (view, opens_gap) = (world.view, !is_signed_in);
            let start = Start { view, resumed_from: Some(1), opens_gap };
            world.begun = Some(1);
            world.on(Input::Resumed { first: (0, ALL), missing, start });
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
    fn on(&mut self, input: Input<Rules, Encoded>) -> bool {
        let effects = self.state.on(input);
        if effects.starts_replay {
            assert!(!self.is_replaying, "two replays");
            self.is_replaying = true;
        }
        for (seq, rules) in effects.first.into_iter().chain(effects.rest) {
            if seq == 0 {
                continue;
            }
            assert!(!self.sent.contains(&seq), "{seq} again: {:?}", self.sent);
            assert!(seq > self.last, "{seq} after {}", self.last);
            assert_eq!(self.view, Some(rules), "{seq} with the access of another moment");
            assert!(rules.show(self.class(seq)), "{seq} is not visible");
            self.last = seq;
            self.sent.push(seq);
        }
        effects.accepted
    }

    fn reauthorize(&mut self, leaving: Leaving, between: Option<&Step>) {
        let (own, delivered) = (self.view, self.delivered());
        let resumed = self.on(Input::Leave { own, delivered, leaving });
        if resumed {
            self.last = 0;
        }
        if let Some(between) = between {
            self.take(between);
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
        match step {
            Step::Happen { class, readable } => self.happen(*class, *readable),
            Step::Overflow => {
                self.on(Input::Overflow);
            }
            Step::Grant { account, rules, between } => {
                // Every account that has access sees the first class.
                let rules = rules.map(|rules| Rules(rules | u8::from(*account)));
                *(if *account { &mut self.account } else { &mut self.public }) = rules;
                if *account == self.is_signed_in {
                    let leaving = [Leaving::Reauthorized, Leaving::SignedIn];
                    self.reauthorize(leaving[usize::from(*account)], between.as_deref());
                }
            }
            Step::SignIn { signs_in, between } => {
                if self.is_signed_in != *signs_in {
                    self.is_signed_in = *signs_in;
                    let leaving = [Leaving::SignedOut, Leaving::SignedIn];
                    self.reauthorize(leaving[usize::from(*signs_in)], between.as_deref());
                }
            }
            Step::Read(limit) => self.read(*limit),
            Step::Send => self.send(),
            Step::Begin => {
                let view = self.view.filter(|_| self.state.is_buffering());
                let epoch = self.state.epoch();
                self.snapshot = view.map(|view| (view, epoch, self.delivered()));
            }
            Step::Snapshot => {
                if let Some((view, epoch, through)) = self.snapshot.take() {
                    let (epoch, first) = (Some(epoch), (0, view));
                    let view = Some(view);
                    let start = Some(Start { view, resumed_from: None, opens_gap: false });
                    self.last = 0;
                    if self.on(Input::Snapshot { epoch, first, through, start }) {
                        self.begun = Some(through).filter(|_| self.is_signed_in);
                    }
                }
            }
            Step::Truncate => {
                if let Some((missing, _, epoch, _)) = self.page.take()
                    && self.on(Input::Restart { epoch, after: missing.through })
                {
                    self.is_replaying = false;
                    self.begun = None;
                }
            }
        }
    }

    fn happen(&mut self, class: u8, readable: bool) {
        self.log.push(class);
        let seq = self.delivered();
        match self.view {
            Some(_) if !readable => {
                self.on(Input::FallBehind { through: seq - 1 });
            }
            Some(view) if view.show(class) => {
                self.on(Input::Event { seq, frame: (seq, view) });
            }
            _ => {}
        }
    }

    fn read(&mut self, limit: usize) {
        if !self.is_replaying || self.page.is_some() {
            return;
        }
        let Some(((missing, epoch), view)) = self.state.missing().zip(self.view) else {
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
            let page = Input::Page { epoch, after, through: seq, frame: Some((seq, view)) };
            if !self.on(page) {
                return;
            }
            after = seq;
        }
        self.on(Input::Page { epoch, after, through: end, frame: None });
    }

    /// Lets the replay come to its end. A subscription with access is live then.
    fn drain(&mut self) {
        while self.is_replaying {
            self.take(&Step::Send);
            self.take(&Step::Read(3));
        }
        if self.view.is_some_and(|view| view.show(0)) && !self.state.is_buffering() {
            self.happen(0, true);
            assert!(self.sent.contains(&self.delivered()), "not live");
        }
    }

    /// Signs in with access to everything, and lets all work come to its end.
    fn finish(&mut self) {
        self.take(&Step::Grant { account: true, rules: Some(ALL.0), between: None });
        self.take(&Step::SignIn { signs_in: true, between: None });
        for step in [Step::Begin, Step::Snapshot] {
            self.take(&step);
        }
        self.drain();
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
        world.drain();
        world.finish();

        let begun = world.begun.unwrap_or(world.delivered() - 1);
        let expected = (begun + 1..=world.delivered()).filter(|seq| world.class(*seq) == 0);
        let missing: Vec<i64> = expected.filter(|seq| !world.sent.contains(seq)).collect();
        prop_assert!(missing.is_empty(), "{missing:?} of {:?}", world.sent);
    }
}
