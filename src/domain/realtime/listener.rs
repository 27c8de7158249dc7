//! One subscription of one connection, and whether news may reach it yet.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value as Json;

use crate::domain::realtime::Closing;
use crate::domain::realtime::Envelope;
use crate::domain::realtime::Outbox;
use crate::domain::realtime::view::View;
use crate::model::Collection;
use crate::model::EventAction;
use crate::model::Key;

/// How many frames a subscription holds back while its first rows are read. One more, and the
/// connection counts as one that reads too slowly.
const HELD_MAX: usize = 10_000;

/// A subscription: what its client asked for, and the view it takes part in now.
pub(super) struct Listener {
    pub(super) id: u64,
    pub(super) ask: Ask,
    pub(super) outbox: Arc<Outbox>,
    /// The view it takes part in; `None` while its connection has no right to what it asks for.
    pub(super) view: Mutex<Option<Arc<View>>>,
    gate: Mutex<Gate>,
}

/// What a client asked for.
pub(super) struct Ask {
    pub(super) collection: &'static Collection,
    pub(super) event: Option<EventAction>,
    pub(super) item: Option<Key>,
    pub(super) query: Json,
    pub(super) envelope: Envelope,
}

enum Gate {
    /// News goes to the outbox, if it is newer than what the first frame shows.
    Open { after: i64 },
    /// The first rows are being read: news waits, with its place in the order.
    Held(Vec<(i64, Bytes)>),
    /// The subscription has ended.
    Shut,
}

impl Listener {
    /// Returns a listener whose news waits until [`Listener::open`].
    pub(super) fn held(id: u64, ask: Ask, outbox: Arc<Outbox>) -> Arc<Self> {
        let (view, gate) = (Mutex::default(), Mutex::new(Gate::Held(Vec::new())));
        Arc::new(Self { id, ask, outbox, view, gate })
    }

    /// Lets the frame of an event through, or holds it back until the first rows are there.
    pub(super) fn push(&self, seq: i64, frame: &Bytes) {
        let mut gate = self.gate.lock();
        match &mut *gate {
            Gate::Open { after } => {
                // Delivery lags behind the commit, so older events may still come.
                if seq > *after {
                    self.outbox.push(frame.clone());
                }
            }
            Gate::Held(frames) if frames.len() < HELD_MAX => frames.push((seq, frame.clone())),
            Gate::Held(_) => {
                *gate = Gate::Shut;
                self.outbox.close(Closing::SlowConsumer);
            }
            Gate::Shut => {}
        }
    }

    /// Sends the first frame, then what was held back and is newer than `seq`, and opens the gate.
    pub(super) fn open(&self, first: Option<Bytes>, seq: i64) {
        let mut gate = self.gate.lock();
        let Gate::Held(held) = &mut *gate else { return };
        self.outbox.push_all(
            first
                .into_iter()
                .chain(held.drain(..).filter(|(place, _)| *place > seq).map(|(_, frame)| frame)),
        );
        *gate = Gate::Open { after: seq };
    }

    /// Returns whether the subscription has not begun yet.
    pub(super) fn is_held(&self) -> bool {
        matches!(*self.gate.lock(), Gate::Held(_))
    }

    /// Returns whether the subscription has ended.
    pub(super) fn is_shut(&self) -> bool {
        matches!(*self.gate.lock(), Gate::Shut)
    }

    /// Ends the subscription: nothing reaches the outbox any more.
    pub(super) fn shut(&self) {
        *self.gate.lock() = Gate::Shut;
    }
}
