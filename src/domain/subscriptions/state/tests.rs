//! Single transitions of the state machine.

use super::*;

/// The classes of events that a view shows, as a bit mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules(pub(super) u8);

pub(super) const ALL: Rules = Rules(0b111);

impl Rules {
    pub(super) fn show(self, class: u8) -> bool {
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

fn live(through: i64) -> SubscriptionState<Rules, Frame> {
    let mut state = SubscriptionState::new(None);
    state.on(Input::Entered { view: ALL, is_new: true, delivered: 0, resumed: false });
    state.on(Input::Snapshot { epoch: None, first: 0, through, start: None });
    state
}

fn frames(effects: Effects<Frame>) -> Vec<Frame> {
    effects.first.into_iter().chain(effects.rest).collect()
}

#[test]
fn buffered_events_follow_the_snapshot_unless_it_contains_them() {
    let mut state: SubscriptionState<Rules, Frame> = SubscriptionState::new(None);
    for seq in 4..=6 {
        assert_eq!(frames(state.on(Input::Event { seq, frame: seq })), NOTHING);
    }

    let effects = state.on(Input::Snapshot { epoch: None, first: 0, through: 5, start: None });

    assert!(!effects.starts_replay);
    assert_eq!(frames(effects), [0, 6]);
    assert_eq!(frames(state.on(Input::Event { seq: 6, frame: 6 })), NOTHING);
    assert_eq!(frames(state.on(Input::Event { seq: 7, frame: 7 })), [7]);
}

#[test]
fn an_overflowed_buffer_is_replayed_after_the_snapshot() {
    for overflows in [Input::Overflow, Input::FallBehind { through: 4 }] {
        let mut state: SubscriptionState<Rules, Frame> = SubscriptionState::new(None);
        state.on(Input::Event { seq: 4, frame: 4 });
        state.on(overflows);
        state.on(Input::Event { seq: 5, frame: 5 });

        let effects = state.on(Input::Snapshot { epoch: None, first: 0, through: 3, start: None });

        assert!(effects.starts_replay);
        assert_eq!(frames(effects), [0]);
        let (missing, _) = state.missing().unwrap();
        assert_eq!((missing.through, missing.missed), (3, false));
    }
}

#[test]
fn delivered_events_are_not_replayed() {
    for (through, missing) in [(4, None), (5, Some(5)), (6, Some(6))] {
        let mut state = live(3);
        state.on(Input::Event { seq: 5, frame: 5 });

        let effects = state.on(Input::FallBehind { through });

        assert_eq!(effects.starts_replay, missing.is_some());
        assert_eq!(state.missing().map(|(missing, _)| missing.through), missing);
    }
}

#[test]
fn skipped_events_are_not_replayed_and_late_ones_are() {
    for (missed, through) in [(true, 9), (false, 3)] {
        let missing = Missing { missed, ..Missing::late(3) };
        let start = Start { view: Some(ALL), resumed_from: Some(3), opens_gap: true };
        let mut state: SubscriptionState<Rules, Frame> = SubscriptionState::new(None);
        state.on(Input::Resumed { first: 0, missing, start });

        state.on(Input::Skip { through: 9, keeps_shown: false });

        assert_eq!(state.missing().unwrap().0.through, through);
        assert!(state.gap().is_none());
    }
}

#[test]
fn another_account_does_not_receive_events_from_before_its_sign_in() {
    let mut state = live(3);
    let leave = |leaving, delivered| Input::Leave { own: Some(ALL), delivered, leaving };
    state.on(leave(Leaving::SignedOut, 3));
    state.on(Input::Lost { defers_error: false });

    // Event 4 is committed, but delivered only after this.
    state.on(Input::Skip { through: 3, keeps_shown: false });
    state.on(leave(Leaving::SignedIn, 4));
    let entered = Input::Entered { view: ALL, is_new: true, delivered: 4, resumed: false };

    assert!(!state.on(entered).starts_replay);
    assert_eq!(frames(state.on(Input::Event { seq: 5, frame: 5 })), [5]);
}

#[test]
fn a_replacement_does_not_receive_skipped_events() {
    let mut state = live(3);
    state.on(Input::Leave { own: Some(ALL), delivered: 3, leaving: Leaving::SignedOut });
    state.on(Input::Lost { defers_error: false });
    state.on(Input::Skip { through: 3, keeps_shown: false });

    let (missing, _) = state.hand_over(7);

    let missing = missing.unwrap();
    assert_eq!((missing.through, missing.missed), (7, false));
}

#[test]
fn a_restart_while_access_is_lost_leaves_the_replay_to_itself() {
    let mut state = live(3);
    state.on(Input::FallBehind { through: 3 });
    let (_, epoch) = state.missing().unwrap();
    state.on(Input::Leave { own: Some(ALL), delivered: 9, leaving: Leaving::Reauthorized });

    assert!(!state.on(Input::Restart { epoch, after: 3 }).accepted);
    // The replay finds that nothing is to be read, and ends.
    assert!(state.missing().is_none());
    state.on(Input::ReplayEnded);
    let entered = Input::Entered { view: ALL, is_new: true, delivered: 9, resumed: false };
    assert!(state.on(entered).starts_replay);
}

#[test]
fn a_page_of_another_view_or_offset_is_refused() {
    let mut state = live(3);
    state.on(Input::FallBehind { through: 3 });
    let (_, epoch) = state.missing().unwrap();
    let mut page = |epoch, after| {
        let page = Input::Page { epoch, after, through: 5, frame: Some(5) };
        frames(state.on(page))
    };

    assert_eq!(page(epoch + 1, 3), NOTHING);
    assert_eq!(page(epoch, 4), NOTHING);
    assert_eq!(page(epoch, 3), [5]);
    assert_eq!(page(epoch, 3), NOTHING);
}

#[test]
fn a_closed_subscription_sends_nothing() {
    let mut state = live(3);
    state.on(Input::Close);
    assert_eq!(frames(state.on(Input::Event { seq: 4, frame: 4 })), NOTHING);
    let entered = Input::Entered { view: ALL, is_new: true, delivered: 9, resumed: false };
    assert!(!state.on(entered).starts_replay);
    assert!(state.is_closed());
}
