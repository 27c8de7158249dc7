//! The inputs of the state machine, and their effects.

use crate::domain::subscriptions::state::Missing;

/// The start of a subscription whose view decides access after its first frame.
#[derive(Debug)]
pub struct Start<V> {
    pub view: Option<V>,
    /// The offset up to which the client has everything; `None` for a start from a snapshot.
    pub resumed_from: Option<i64>,
    /// Whether an identity gap begins: no account is signed in, and one that signs in later
    /// receives the events withheld from the public.
    pub opens_gap: bool,
}

/// Why a subscription leaves its view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Its permissions may have changed.
    Reauthorized,
    /// An account signed in, or its permissions may have changed: an identity gap ends.
    SignedIn,
    /// The account is no longer signed in: an identity gap begins.
    SignedOut,
}

/// An input of the state machine.
#[derive(Debug)]
pub enum Input<V, F> {
    /// The view delivers an event.
    Event { seq: i64, frame: F },
    /// There is no memory to buffer an event.
    Overflow,
    /// Events after `through` cannot be sent as they happen.
    FallBehind { through: i64 },
    /// The first frame of a subscription that begins at `through`: events after it are sent. With
    /// an `epoch` it is refused for another view.
    Snapshot { epoch: Option<u32>, first: F, through: i64, start: Option<Start<V>> },
    /// The first frame of a subscription whose events are replayed.
    Resumed { first: F, missing: Missing<V>, start: Start<V> },
    /// The replay has read the log after `after` up to `through` for the view of `epoch`. `frame`
    /// has the last event, if it matches.
    Page { epoch: u32, after: i64, through: i64, frame: Option<F> },
    /// The replay has reached `through`, the last delivered event.
    CaughtUp { through: i64 },
    /// The replay ends.
    ReplayEnded,
    /// The events after `after` that the replay needs are no longer in the log.
    Restart { epoch: u32, after: i64 },
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
pub struct Effects<F> {
    /// Frames to be sent: first this one, then the others.
    pub first: Option<F>,
    pub rest: Vec<F>,
    /// Whether a replay starts.
    pub starts_replay: bool,
    /// Whether the input took effect.
    pub accepted: bool,
}

impl<F> Effects<F> {
    pub const NONE: Self =
        Self { first: None, rest: Vec::new(), starts_replay: false, accepted: false };
    pub const ACCEPTED: Self =
        Self { first: None, rest: Vec::new(), starts_replay: false, accepted: true };
}
