//! A subscription of a connection, with its delivery state (`gate`).

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::realtime::Outbox;
use crate::domain::realtime::ask::Ask;
use crate::domain::realtime::ask::Taken;
use crate::domain::realtime::gate::Behind;
use crate::domain::realtime::gate::Gate;
use crate::domain::realtime::gate::Held;
use crate::domain::realtime::lapse::Lapse;
use crate::domain::realtime::peer::ConnectionState;
use crate::domain::realtime::positions::Name;
use crate::domain::realtime::view::View;

/// A subscription: its request and its current view.
pub(super) struct Listener {
    pub(super) id: u64,
    pub(super) ask: Ask,
    pub(super) outbox: Arc<Outbox>,
    pub(super) connection: Arc<ConnectionState>,
    /// The current view; `None` while the connection has no access to the requested items.
    pub(super) view: Mutex<Option<Arc<View>>>,
    gate: Mutex<Gate>,
    /// The identity gap, which begins when the account that subscribed is no longer signed in, or
    /// when the subscription is resumed without a sign-in. Boxed, since it is rare.
    lapse: Mutex<Option<Box<Lapse>>>,
    /// The view that delivered everything since the client's resume point.
    whole: Mutex<Weak<View>>,
    /// Whether the scope is being re-evaluated; replay is suspended meanwhile.
    moving: AtomicBool,
    /// Notified when the subscription ends; wakes the replay task.
    pub(super) ended: Notify,
}

/// A position that the client's answer to a ping acknowledges.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) name: Name,
    pub(super) seq: i64,
    /// The start of the range up to `seq`, if nothing in it was withheld from any account.
    pub(super) whole_from: Option<i64>,
}

impl Listener {
    /// Creates a subscription that buffers events until [`Listener::open`].
    pub(super) fn held(id: u64, ask: Ask, connection: &Arc<ConnectionState>) -> Arc<Self> {
        let held = Held::new(Arc::clone(&connection.outbox));
        let (view, gate) = (Mutex::default(), Mutex::new(Gate::Held(Box::new(held))));
        let (outbox, connection) = (Arc::clone(&connection.outbox), Arc::clone(connection));
        let (lapse, whole, moving) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        let ended = Notify::new();
        Arc::new(Self { id, ask, outbox, connection, view, gate, lapse, whole, moving, ended })
    }

    /// Takes over the identity gap of the subscription that this one replaces.
    pub(super) fn inherit(&self, lapse: Option<Box<Lapse>>) {
        *self.lapse.lock() = lapse;
    }

    /// Returns the name that its position is stored under for the current account, if it is.
    pub(super) fn name(&self) -> Option<Name> {
        let user = self.connection.identity.lock().actor.user;
        self.name_of(user)
    }

    /// Returns the name that its position is stored under for an account or an anonymous page.
    pub(super) fn name_of(&self, user: Option<Uuid>) -> Option<Name> {
        let recover = self.ask.resume.recover.as_ref()?;
        Name::of(user, recover, self.ask.envelope.uid.as_deref())
    }

    /// Sends a frame. Returns false if the connection is closing.
    fn send(&self, frame: Bytes) -> bool {
        let sent = self.outbox.push(frame);
        if self.ask.resume.recover.is_some() {
            self.connection.told.notify_one();
        }
        sent
    }

    /// Sends the frame of an event, or buffers it until the snapshot is sent. During a replay the
    /// frame is dropped, since the event is read from the log.
    pub(super) fn push(&self, seq: i64, frame: &Bytes) {
        let mut gate = self.gate.lock();
        match &mut *gate {
            Gate::Open { after } => {
                // Delivery lags behind the commit, so older events may still arrive.
                if seq > *after {
                    *after = seq;
                    self.send(frame.clone());
                }
            }
            Gate::Held(held) => held.push(seq, frame),
            Gate::Behind { .. } | Gate::Shut => {}
        }
    }

    /// Sends the first frame, then the buffered events newer than `seq`, and switches to live
    /// delivery. If the buffer was discarded, switches to replay from `seq` instead.
    pub(super) fn open(&self, first: Option<Bytes>, seq: i64) {
        let mut gate = self.gate.lock();
        let Gate::Held(held) = &mut *gate else { return };
        if held.is_given_up {
            if let Some(first) = first {
                self.send(self.ask.meter.count(first));
            }
            let shown = Arc::default();
            *gate = Gate::Behind { told: seq, reading: false, missed: false, shown };
            return;
        }
        let mut after = seq;
        let held = held.frames.drain(..).filter(|(place, _)| *place > seq).map(|(place, frame)| {
            after = place;
            frame
        });
        let first = first.map(|frame| self.ask.meter.count(frame));
        for frame in first.into_iter().chain(held) {
            if !self.send(frame) {
                break;
            }
        }
        *gate = Gate::Open { after };
    }

    /// Sends the first frame of a subscription and switches to replay from `seq`.
    pub(super) fn open_behind(&self, first: Bytes, seq: i64) {
        let mut gate = self.gate.lock();
        if matches!(*gate, Gate::Held(_)) {
            self.send(self.ask.meter.count(first));
            let (missed, shown) = match &self.ask.taken {
                Some(taken) => (taken.missed, Arc::clone(&taken.shown)),
                None => (false, Arc::default()),
            };
            let missed = missed || self.ask.resume.is_asked();
            *gate = Gate::Behind { told: seq, reading: false, missed, shown };
        }
    }

    /// Records that the first frame was sent and that `view` decides access after `place`. The
    /// client has everything up to `from`, which is `None` for a start from a snapshot. Without a
    /// sign-in this begins an identity gap: an account that signs in later receives the events
    /// withheld from the public.
    pub(super) fn note_begin(&self, view: Option<&Arc<View>>, place: i64, from: Option<i64>) {
        *self.whole.lock() = view.map_or_else(Weak::new, Arc::downgrade);
        let is_nobody = self.connection.identity.lock().actor.user.is_none();
        let mut lapse = self.lapse.lock();
        let begins = is_nobody && lapse.is_none() && self.ask.taken.is_none();
        if begins && (from.is_some() || self.ask.resume.recover.is_some()) {
            *lapse = Some(Box::new(Lapse::new(from, None, Vec::new())));
        }
        if let Some(lapse) = lapse.as_mut() {
            lapse.see(place, view.cloned());
        }
    }

    /// Suspends or resumes replay while the scope is re-evaluated.
    pub(super) fn set_moving(&self, moving: bool) {
        let _gate = self.gate.lock();
        self.moving.store(moving, Ordering::Release);
    }

    /// Records that the current view delivered, or will deliver, everything since the client's
    /// resume point.
    pub(super) fn note_whole(&self) {
        let view = self.view.lock().as_ref().map_or_else(Weak::new, Arc::downgrade);
        *self.whole.lock() = view;
    }

    /// Returns whether a new subscription of the client from the same resume point would receive
    /// the same events.
    pub(super) fn is_whole(&self) -> bool {
        let view = self.view.lock().as_ref().map_or_else(Weak::new, Arc::downgrade);
        Weak::ptr_eq(&view, &self.whole.lock())
    }

    /// Stops live delivery. Later events may be replayed as missed. Everything up to `delivered`
    /// was delivered. Must be called before the subscription leaves its view.
    pub(super) fn fall_behind(&self, delivered: i64) {
        let delivered = self.delivered(delivered);
        self.gate.lock().fall_behind(delivered, true);
    }

    /// Switches to replay from `told`, unless events after it were already delivered. While the
    /// snapshot is being read, discards the buffer: everything after the snapshot is replayed.
    pub(super) fn fall_back(&self, told: i64) {
        let mut gate = self.gate.lock();
        match &mut *gate {
            Gate::Open { after } if told >= *after => gate.fall_behind(told, false),
            Gate::Held(held) => held.give_up(),
            Gate::Open { .. } | Gate::Behind { .. } | Gate::Shut => {}
        }
    }

    /// Switches to replay if events still wait in the queue of its view, which the subscription may
    /// be about to leave. Everything up to `delivered` was delivered to the views.
    pub(super) fn leave_lane(&self, delivered: i64) {
        let told = self.delivered(delivered);
        if told < delivered {
            self.gate.lock().fall_behind(told, false);
        }
    }

    /// Begins an identity gap: the account is no longer signed in. Everything up to `delivered` was
    /// delivered.
    pub(super) fn begin_lapse(&self, delivered: i64) {
        let delivered = self.delivered(delivered);
        let own = self.view.lock().clone();
        let gate = self.gate.lock();
        let shown = match &*gate {
            Gate::Behind { shown, .. } => shown.to_vec(),
            Gate::Open { .. } | Gate::Held(_) | Gate::Shut => Vec::new(),
        };
        if let Some(place) = gate.position(delivered) {
            let lapse = || Box::new(Lapse::new(Some(place), own, shown));
            self.lapse.lock().get_or_insert_with(lapse);
        }
    }

    /// Records the view that decides access from `place` on, during an identity gap.
    pub(super) fn see_lapsed(&self, place: Option<i64>) {
        let view = self.view.lock().clone();
        let mut lapse = self.lapse.lock();
        if let Some(place) = place
            && let Some(lapse) = lapse.as_mut()
        {
            lapse.see(place, view);
        }
    }

    /// Defers the error frame: the subscription lost access and the client has not been told.
    pub(super) fn leave_unsaid(&self) {
        if let Some(lapse) = self.lapse.lock().as_mut() {
            lapse.is_unsaid = true;
        }
    }

    /// Returns whether an error frame was deferred, and clears the flag.
    pub(super) fn take_unsaid(&self) -> bool {
        self.lapse.lock().as_mut().is_some_and(|lapse| std::mem::take(&mut lapse.is_unsaid))
    }

    /// Sets the offset from which the account that signed in resumes when the identity gap ends.
    pub(super) fn go_back(&self, to: i64) {
        let lapse = || Box::new(Lapse::new(None, None, Vec::new()));
        self.lapse.lock().get_or_insert_with(lapse).go_back(to);
    }

    /// Ends the identity gap and switches to replay from its start, without the items shown during
    /// the gap. Returns whether the account continues from there. Everything up to `delivered` was
    /// delivered.
    pub(super) fn end_lapse(&self, delivered: i64) -> bool {
        let Some(lapse) = self.lapse.lock().take() else { return false };
        let delivered = self.delivered(delivered);
        let mut gate = self.gate.lock();
        let Some(place) = gate.position(delivered) else { return false };
        let Some((from, shown)) = lapse.end(place) else { return false };
        let reading = matches!(*gate, Gate::Behind { reading: true, .. });
        if reading || from < place {
            let told = from.min(place);
            *gate = Gate::Behind { told, reading, missed: true, shown: shown.into() };
        }
        true
    }

    /// Skips missed events up to `seq`; events that are merely late are still delivered. The ranges
    /// already shown are kept if an account may resume from its own position.
    pub(super) fn leap(&self, seq: i64) {
        let mut lapse = self.lapse.lock();
        match lapse.as_mut() {
            Some(lapse) if self.ask.resume.recover.is_some() => lapse.forget(),
            _ => *lapse = None,
        }
        drop(lapse);
        let mut gate = self.gate.lock();
        if let Gate::Behind { told, missed: true, .. } = *gate {
            *gate = Gate::Open { after: told.max(seq) };
        }
    }

    /// Buffers events again, for a restart from a snapshot.
    pub(super) fn hold(&self) {
        let mut gate = self.gate.lock();
        if matches!(*gate, Gate::Behind { .. }) {
            *gate = Gate::Held(Box::new(Held::new(Arc::clone(&self.outbox))));
        }
    }

    /// Claims the replay. Returns false if it is already running or the subscription is not behind.
    pub(super) fn begin_reading(&self) -> bool {
        match &mut *self.gate.lock() {
            Gate::Behind { reading, .. } => !std::mem::replace(reading, true),
            Gate::Open { .. } | Gate::Held(_) | Gate::Shut => false,
        }
    }

    /// Returns the view to replay the log with. Without a view the replay ends; it restarts once
    /// there is one.
    pub(super) fn reading_view(&self) -> Option<Arc<View>> {
        let view = self.view.lock();
        if view.is_none()
            && let Gate::Behind { reading, .. } = &mut *self.gate.lock()
        {
            *reading = false;
        }
        view.clone()
    }

    /// Returns the part of the log to replay, if the subscription is behind.
    pub(super) fn behind(&self) -> Option<Behind> {
        match &*self.gate.lock() {
            Gate::Behind { told, missed, shown, .. } => {
                Some(Behind { told: *told, missed: *missed, shown: Arc::clone(shown) })
            }
            Gate::Open { .. } | Gate::Held(_) | Gate::Shut => None,
        }
    }

    /// Sends the events read from the log after `after` and up to `seq`. Returns false if the
    /// connection is closing, `view` is no longer the current view, or `after` is no longer the
    /// last delivered offset.
    pub(super) fn tell(
        &self,
        view: &Arc<View>,
        after: i64,
        seq: i64,
        frame: Option<Bytes>,
    ) -> bool {
        let current = self.view.lock();
        if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, view)) {
            return false;
        }
        match &mut *self.gate.lock() {
            Gate::Behind { told, .. } if *told == after && !self.is_moving() => {
                *told = seq;
                frame.is_none_or(|frame| self.send(frame))
            }
            _ => false,
        }
    }

    /// Returns whether the scope is being re-evaluated. The caller must hold the lock of the gate.
    fn is_moving(&self) -> bool {
        self.moving.load(Ordering::Acquire)
    }

    /// Switches to live delivery if the replay has reached `last`. The caller must prevent
    /// deliveries meanwhile. Returns false if there is more to replay.
    pub(super) fn catch_up(&self, last: i64) -> bool {
        let view = self.view.lock();
        let mut gate = self.gate.lock();
        if let Gate::Behind { told, reading, .. } = &mut *gate {
            if *told != last || self.is_moving() {
                return false;
            }
            if view.is_some() {
                *gate = Gate::Open { after: *told };
            } else {
                // Without a view, live delivery would miss every event.
                *reading = false;
            }
        }
        true
    }

    /// Returns the offset up to which this subscription received everything, if everything up to
    /// `delivered` was delivered; `None` before its first frame.
    pub(super) fn position(&self, delivered: i64) -> Option<i64> {
        let delivered = self.delivered(delivered);
        self.gate.lock().position(delivered)
    }

    /// Returns the positions that the answer to a ping sent now acknowledges, with the names they
    /// are stored under. `left` is the account that was signed in before. Events withheld from it
    /// during the identity gap are not acknowledged for it.
    pub(super) fn confirmable(&self, delivered: i64, left: Option<Uuid>) -> Vec<Confirmed> {
        if self.ask.resume.recover.is_none() {
            return Vec::new();
        }
        let Some(position) = self.position(delivered) else { return Vec::new() };
        let lapse = self.lapse.lock();
        let lapse = lapse.as_deref();
        let confirmed = |name, seq, whole_from| Some(Confirmed { name, seq, whole_from });
        let now = self
            .name()
            .and_then(|name| confirmed(name, position, lapse.and_then(Lapse::whole_from)));
        let before = lapse
            .and_then(|lapse| lapse.position_of_own(position))
            .and_then(|seq| confirmed(self.name_of(Some(left?))?, seq, None));
        now.into_iter().chain(before).collect()
    }

    /// Ends the subscription and returns its position for its replacement. Nothing is delivered in
    /// between.
    pub(super) fn hand_over(&self, delivered: i64) -> (Option<Box<Taken>>, Option<Box<Lapse>>) {
        let delivered = self.delivered(delivered);
        let mut gate = self.gate.lock();
        let taken = gate.position(delivered).map(|told| {
            let (missed, shown) = match &*gate {
                Gate::Behind { missed, shown, .. } => (*missed, Arc::clone(shown)),
                Gate::Open { .. } | Gate::Held(_) | Gate::Shut => (false, Arc::default()),
            };
            Box::new(Taken { told, missed, shown })
        });
        *gate = Gate::Shut;
        drop(gate);
        (taken, self.lapse.lock().take())
    }

    /// Returns the offset up to which its view delivered everything, if everything up to
    /// `delivered` was delivered.
    fn delivered(&self, delivered: i64) -> i64 {
        self.view.lock().as_ref().map_or(delivered, |view| view.told(delivered))
    }

    /// Returns whether the subscription has not begun yet.
    pub(super) fn is_held(&self) -> bool {
        matches!(*self.gate.lock(), Gate::Held(_))
    }

    /// Returns whether the subscription has ended.
    pub(super) fn is_shut(&self) -> bool {
        matches!(*self.gate.lock(), Gate::Shut)
    }

    /// Ends the subscription. Nothing reaches the outbox afterwards.
    pub(super) fn shut(&self) {
        *self.gate.lock() = Gate::Shut;
        self.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde_json::Value as Json;

    use super::*;
    use crate::domain::auth::Credential;
    use crate::domain::auth::Identity;
    use crate::domain::realtime::Envelope;
    use crate::domain::realtime::Meter;
    use crate::domain::realtime::Resume;
    use crate::domain::realtime::Subscribe;
    use crate::domain::realtime::outbox::FRAME_OVERHEAD;
    use crate::model::Actor;
    use crate::model::schema::MESSAGES;

    fn held(bytes_max: usize) -> Arc<Listener> {
        let subscribe = Subscribe {
            collection: &MESSAGES,
            event: None,
            item: None,
            query: Json::Null,
            resume: Resume::default(),
            envelope: Envelope {
                uid: None,
                cursors: false,
                encode: |_, _| Bytes::new(),
                encode_error: |_, _| Bytes::new(),
            },
            meter: Meter::new(1000),
        };
        let actor = Arc::new(Actor::nobody());
        let identity = Identity { actor, basis: Credential::Nothing, expires: None };
        let connection = ConnectionState::new(1, Outbox::new(bytes_max), identity);
        Listener::held(1, Ask::new(subscribe).unwrap(), &connection)
    }

    fn frames(listener: &Listener) -> Vec<Bytes> {
        listener.outbox.take().now_or_never().map_or_else(Vec::new, |batch| batch.frames)
    }

    #[test]
    fn what_is_held_back_comes_after_the_first_rows_unless_they_show_it() {
        let listener = held(1000);
        for (seq, frame) in [(4, "four"), (5, "five"), (6, "six")] {
            listener.push(seq, &Bytes::from_static(frame.as_bytes()));
        }
        assert!(listener.outbox.unsent().bytes > 0);

        listener.open(Some(Bytes::from_static(b"first")), 5);

        assert_eq!(listener.outbox.unsent().bytes, 2 * FRAME_OVERHEAD + 8);
        assert_eq!(frames(&listener), ["first", "six"]);
        assert_eq!(listener.outbox.unsent().bytes, 0);
        assert!(listener.behind().is_none());
    }

    #[test]
    fn more_than_may_be_held_back_is_told_from_the_log() {
        let listener = held(1000);
        let frame = Bytes::from(vec![b'x'; 400]);
        for seq in 1..=3 {
            listener.push(seq, &frame);
        }
        assert_eq!(listener.outbox.unsent().bytes, 0);
        listener.push(4, &Bytes::from_static(b"short"));

        listener.open(Some(Bytes::from_static(b"first")), 2);

        assert_eq!(frames(&listener), ["first"]);
        let behind = listener.behind().unwrap();
        assert_eq!((behind.told, behind.missed), (2, false));
        assert!(!listener.outbox.is_closing());
    }
    #[test]
    fn what_is_to_be_read_in_the_log_is_so_after_the_first_rows_too() {
        for (seq, told) in [(3, 3), (5, 5), (7, 7)] {
            let listener = held(1000);
            listener.push(5, &Bytes::from_static(b"five"));
            listener.fall_back(5);
            listener.push(8, &Bytes::from_static(b"eight"));

            listener.open(Some(Bytes::from_static(b"first")), seq);

            assert_eq!(frames(&listener), ["first"]);
            assert_eq!(listener.behind().unwrap().told, told);
        }
    }

    #[test]
    fn what_was_told_is_not_read_in_the_log_again() {
        for (told, behind) in [(4, None), (5, Some(5)), (6, Some(6))] {
            let listener = held(1000);
            listener.open(None, 3);
            listener.push(5, &Bytes::from_static(b"five"));

            listener.fall_back(told);

            assert_eq!(listener.behind().map(|behind| behind.told), behind, "{told}");
        }
    }
}
