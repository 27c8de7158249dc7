//! Whether news may reach a subscription yet: not while its first rows are being read, and not while
//! it is told from the log what came before. Who opens and shuts it is for `listener`.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::realtime::Outbox;
use crate::domain::realtime::lapse::Shown;
use crate::domain::realtime::outbox::FRAME_OVERHEAD;

/// What a subscription has yet to be told from the log.
pub(super) struct Behind {
    /// What happened after this.
    pub(super) told: i64,
    /// Whether its client missed it.
    pub(super) missed: bool,
    /// What of it was shown already.
    pub(super) shown: Arc<[Shown]>,
}

/// Whether news may reach a subscription.
pub(super) enum Gate {
    /// News goes to the outbox, if it is newer than what was told last.
    Open { after: i64 },
    /// The first rows are being read: news waits, with its place in the order.
    Held(Box<Held>),
    /// What happened after `told` is in the log, to be told from there: news is passed over.
    Behind {
        told: i64,
        /// Whether somebody is about to tell it.
        reading: bool,
        /// Whether its client missed it, rather than only took a subscription for another.
        missed: bool,
        /// What of it was shown already, while nobody was signed in.
        shown: Arc<[Shown]>,
    },
    /// The subscription has ended.
    Shut,
}

/// News that waits.
pub(super) struct Held {
    outbox: Arc<Outbox>,
    /// With their places in the order.
    pub(super) frames: Vec<(i64, Bytes)>,
    /// What that takes of what may be held back for the connection.
    bytes: usize,
    /// Whether that was too much: it is in the log, and told from there.
    pub(super) is_given_up: bool,
}

impl Held {
    /// Returns news of which none waits; `outbox` says how much may.
    pub(super) const fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, frames: Vec::new(), bytes: 0, is_given_up: false }
    }

    /// Holds a frame back, as far as there is room.
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

    /// Holds nothing back any more: it is told from the log.
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
    /// Returns up to where everything was told, if all up to `delivered` was let through.
    pub(super) fn position(&self, delivered: i64) -> Option<i64> {
        match *self {
            Self::Open { after } => Some(after.max(delivered)),
            Self::Behind { told, .. } => Some(told),
            Self::Held(_) | Self::Shut => None,
        }
    }

    /// Notes that what is behind `delivered` is to be told from the log, unless nothing was told yet.
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
