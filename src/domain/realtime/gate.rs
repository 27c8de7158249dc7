//! The delivery state of a subscription. Events are buffered while the snapshot is read, and
//! dropped while earlier events are replayed from the log. `listener` performs the transitions.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::realtime::Outbox;
use crate::domain::realtime::lapse::Shown;
use crate::domain::realtime::outbox::FRAME_OVERHEAD;

/// The part of the log that a subscription has yet to receive.
pub(super) struct Behind {
    /// The last delivered offset.
    pub(super) told: i64,
    /// Whether the client missed these events; false if they are merely late.
    pub(super) missed: bool,
    /// The ranges already shown during an identity gap.
    pub(super) shown: Arc<[Shown]>,
}

/// The delivery state of a subscription.
pub(super) enum Gate {
    /// Events newer than `after`, the last delivered offset, are sent to the outbox.
    Open { after: i64 },
    /// The snapshot is being read: events are buffered with their offsets.
    Held(Box<Held>),
    /// Events after `told` are replayed from the log; live events are dropped.
    Behind {
        told: i64,
        /// Whether a replay is running.
        reading: bool,
        /// Whether the client missed the events; false if they are merely late, as when one
        /// subscription replaces another.
        missed: bool,
        /// The ranges already shown while no account was signed in.
        shown: Arc<[Shown]>,
    },
    /// The subscription has ended.
    Shut,
}

/// Events buffered until the snapshot is sent.
pub(super) struct Held {
    outbox: Arc<Outbox>,
    /// The frames, each with its offset.
    pub(super) frames: Vec<(i64, Bytes)>,
    /// The bytes reserved in the outbox.
    bytes: usize,
    /// Whether the buffer was discarded: the events are replayed from the log.
    pub(super) is_given_up: bool,
}

impl Held {
    /// Creates an empty buffer; `outbox` limits its size.
    pub(super) const fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, frames: Vec::new(), bytes: 0, is_given_up: false }
    }

    /// Buffers a frame. Beyond the limit the whole buffer is discarded.
    pub(super) fn push(&mut self, seq: i64, frame: &Bytes) {
        if self.is_given_up {
            return;
        }
        let bytes = frame.len() + FRAME_OVERHEAD;
        if self.outbox.hold(bytes) {
            self.bytes += bytes;
            self.frames.push((seq, frame.clone()));
        } else {
            self.give_up();
        }
    }

    /// Discards the buffer and stops buffering: the events are replayed from the log.
    pub(super) fn give_up(&mut self) {
        self.frames = Vec::new();
        self.outbox.release(std::mem::take(&mut self.bytes));
        self.is_given_up = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.outbox.release(self.bytes);
    }
}

impl Gate {
    /// Returns the offset up to which everything was delivered, if everything up to `delivered` was
    /// passed on.
    pub(super) fn position(&self, delivered: i64) -> Option<i64> {
        match *self {
            Self::Open { after } => Some(after.max(delivered)),
            Self::Behind { told, .. } => Some(told),
            Self::Held(_) | Self::Shut => None,
        }
    }

    /// Switches to replay from `delivered`, unless the subscription has not begun or has ended.
    pub(super) fn fall_behind(&mut self, delivered: i64, is_missed: bool) {
        match self {
            Self::Open { after } => {
                let told = delivered.max(*after);
                let shown = Arc::default();
                *self = Self::Behind { told, reading: false, missed: is_missed, shown };
            }
            Self::Behind { missed, .. } => *missed |= is_missed,
            Self::Held(_) | Self::Shut => {}
        }
    }
}
