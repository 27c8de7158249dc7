//! One subscription of one connection, and whether news may reach it yet.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value as Json;
use tokio::sync::Notify;

use crate::domain::Error;
use crate::domain::realtime::Closing;
use crate::domain::realtime::Envelope;
use crate::domain::realtime::Outbox;
use crate::domain::realtime::Resume;
use crate::domain::realtime::Subscribe;
use crate::domain::realtime::peer::Seat;
use crate::domain::realtime::positions::Name;
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
    pub(super) seat: Arc<Seat>,
    /// The view it takes part in; `None` while its connection has no right to what it asks for.
    pub(super) view: Mutex<Option<Arc<View>>>,
    gate: Mutex<Gate>,
    /// Told when the subscription ends, for whoever reads the log on its behalf.
    pub(super) ended: Notify,
}

/// What a client asked for.
pub(super) struct Ask {
    pub(super) collection: &'static Collection,
    pub(super) event: Option<EventAction>,
    pub(super) item: Option<Key>,
    /// As text, since parsed it would take several times the memory, as long as the connection is
    /// open. It is only read again when rights change.
    query: Box<str>,
    pub(super) resume: Resume,
    pub(super) envelope: Envelope,
}

impl Ask {
    /// Returns what a client asks for, in as little memory as it takes.
    pub(super) fn new(subscribe: Subscribe) -> Result<Self, Error> {
        let item = subscribe.key()?;
        let Subscribe { collection, event, query, resume, envelope, .. } = subscribe;
        let query = query.to_string().into_boxed_str();
        Ok(Self { collection, event, item, query, resume, envelope })
    }

    /// Returns fields, filter and their like as the client sent them.
    pub(super) fn query(&self) -> Json {
        serde_json::from_str(&self.query).expect("it was written from JSON")
    }

    /// Returns whether another subscription takes the place of this one and asks for the same.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        self.envelope.uid.is_some()
            && self.envelope.uid == other.envelope.uid
            && self.collection == other.collection
            && (self.event, self.item) == (other.event, other.item)
            && self.query == other.query
            && self.resume.is_like(&other.resume)
    }
}

enum Gate {
    /// News goes to the outbox, if it is newer than what was told already.
    Open { after: i64 },
    /// The first rows are being read: news waits, with its place in the order.
    Held(Vec<(i64, Bytes)>),
    /// What happened after `told` is in the log, to be told from there: news is passed over.
    Behind {
        told: i64,
        /// Whether somebody is about to tell it.
        reading: bool,
    },
    /// The subscription has ended.
    Shut,
}

impl Listener {
    /// Returns a listener whose news waits until [`Listener::open`].
    pub(super) fn held(id: u64, ask: Ask, seat: &Arc<Seat>) -> Arc<Self> {
        let (view, gate) = (Mutex::default(), Mutex::new(Gate::Held(Vec::new())));
        let (outbox, seat) = (Arc::clone(&seat.outbox), Arc::clone(seat));
        Arc::new(Self { id, ask, outbox, seat, view, gate, ended: Notify::new() })
    }

    /// Returns what its position is remembered under, if it is to be.
    pub(super) fn name(&self) -> Option<Name> {
        let recover = self.ask.resume.recover.as_ref()?;
        let user = self.seat.identity.lock().actor.user;
        Name::of(user, recover, self.ask.envelope.uid.as_deref())
    }

    /// Sends a frame. Returns false if the connection is closing.
    fn send(&self, frame: Bytes) -> bool {
        let sent = self.outbox.push(frame);
        if self.ask.resume.recover.is_some() {
            self.seat.told.notify_one();
        }
        sent
    }

    /// Lets the frame of an event through, or holds it back until the first rows are there.
    pub(super) fn push(&self, seq: i64, frame: &Bytes) {
        let mut gate = self.gate.lock();
        match &mut *gate {
            Gate::Open { after } => {
                // Delivery lags behind the commit, so older events may still come.
                if seq > *after {
                    self.send(frame.clone());
                }
            }
            Gate::Held(frames) if frames.len() < HELD_MAX => frames.push((seq, frame.clone())),
            Gate::Held(_) => {
                *gate = Gate::Shut;
                self.outbox.close(Closing::SlowConsumer);
            }
            Gate::Behind { .. } | Gate::Shut => {}
        }
    }

    /// Sends the first frame, then what was held back and is newer than `seq`, and opens the gate.
    pub(super) fn open(&self, first: Option<Bytes>, seq: i64) {
        let mut gate = self.gate.lock();
        let Gate::Held(held) = &mut *gate else { return };
        let held = held.drain(..).filter(|(place, _)| *place > seq).map(|(_, frame)| frame);
        for frame in first.into_iter().chain(held) {
            if !self.send(frame) {
                break;
            }
        }
        *gate = Gate::Open { after: seq };
    }

    /// Sends the first frame of a subscription that is to be told from the log what happened after
    /// `seq`.
    pub(super) fn open_behind(&self, first: Bytes, seq: i64) {
        let mut gate = self.gate.lock();
        if matches!(*gate, Gate::Held(_)) {
            self.send(first);
            *gate = Gate::Behind { told: seq, reading: false };
        }
    }

    /// Notes that what happens after `seq` is not told: it may be, later, from the log.
    pub(super) fn fall_behind(&self, seq: i64) {
        let mut gate = self.gate.lock();
        if let Gate::Open { after } = *gate {
            *gate = Gate::Behind { told: after.max(seq), reading: false };
        }
    }

    /// Gives up telling what happened before `seq`.
    pub(super) fn leap(&self, seq: i64) {
        let mut gate = self.gate.lock();
        if let Gate::Behind { told, .. } = *gate {
            *gate = Gate::Open { after: told.max(seq) };
        }
    }

    /// Holds news back again, for a beginning anew.
    pub(super) fn hold(&self) {
        let mut gate = self.gate.lock();
        if matches!(*gate, Gate::Behind { .. }) {
            *gate = Gate::Held(Vec::new());
        }
    }

    /// Returns whether the caller is now the one who tells what is in the log.
    pub(super) fn begin_reading(&self) -> bool {
        match &mut *self.gate.lock() {
            Gate::Behind { reading, .. } => !std::mem::replace(reading, true),
            Gate::Open { .. } | Gate::Held(_) | Gate::Shut => false,
        }
    }

    /// Returns the view that what is in the log is to be told by. Without one, reading has ended
    /// and begins anew when there is one.
    pub(super) fn reading_view(&self) -> Option<Arc<View>> {
        let view = self.view.lock();
        if view.is_none()
            && let Gate::Behind { reading, .. } = &mut *self.gate.lock()
        {
            *reading = false;
        }
        view.clone()
    }

    /// Returns up to where a subscription has been told what is in the log, if it is behind.
    pub(super) fn behind(&self) -> Option<i64> {
        match *self.gate.lock() {
            Gate::Behind { told, .. } => Some(told),
            Gate::Open { .. } | Gate::Held(_) | Gate::Shut => None,
        }
    }

    /// Tells what was read in the log, up to `seq`, as long as it is still this view that decides.
    pub(super) fn tell(&self, view: &Arc<View>, seq: i64, frame: Option<Bytes>) -> bool {
        let current = self.view.lock();
        if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, view)) {
            return false;
        }
        match &mut *self.gate.lock() {
            Gate::Behind { told, .. } => {
                *told = seq;
                frame.is_none_or(|frame| self.send(frame))
            }
            Gate::Open { .. } | Gate::Held(_) | Gate::Shut => false,
        }
    }

    /// Opens the gate once everything in the log is told. The caller sees to it that nothing is
    /// delivered meanwhile.
    pub(super) fn catch_up(&self) {
        let view = self.view.lock();
        let mut gate = self.gate.lock();
        if let Gate::Behind { told, reading } = &mut *gate {
            if view.is_some() {
                *gate = Gate::Open { after: *told };
            } else {
                // Nothing would come through an open gate, and be missed.
                *reading = false;
            }
        }
    }

    /// Returns up to where this subscription was told everything, if all up to `delivered` was
    /// delivered; `None` before its first frame.
    pub(super) fn position(&self, delivered: i64) -> Option<i64> {
        let delivered = match &*self.view.lock() {
            Some(view) => view.told(delivered),
            None => delivered,
        };
        match *self.gate.lock() {
            Gate::Open { after } => Some(after.max(delivered)),
            Gate::Behind { told, .. } => Some(told),
            Gate::Held(_) | Gate::Shut => None,
        }
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
        self.ended.notify_one();
    }
}
