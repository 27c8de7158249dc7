//! Tracks acknowledgements: a client that has answered a ping has received everything that was sent
//! before it.
//!
//! Computes from the given instants only, without I/O.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::subscriptions::AckPoint;

/// Token bucket of acknowledgement pings: one per `PAUSE`, with a burst of `SAVED_UP_MAX`. Events
/// that were sent between two pings may be sent again after a lost connection. At the pace of a
/// conversation, each message is acknowledged at once.
const PAUSE: Duration = Duration::from_millis(100);
const SAVED_UP_MAX: u32 = 20;
/// Maximum number of tracked pings. The answers to further ones acknowledge nothing.
const ASKED_MAX: usize = 8;

/// The unanswered pings of one connection.
#[derive(Debug)]
pub struct AckTracker {
    asked: VecDeque<(PingKind, AckPoint)>,
    wanted: bool,
    /// When the token bucket is full again.
    paused: Instant,
}

/// The kind of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingKind {
    /// A Directus `ping` frame.
    Frame,
    /// A protocol ping.
    Protocol,
}

impl AckTracker {
    /// Creates the state of a connection without pings.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { asked: VecDeque::new(), wanted: false, paused: now }
    }

    /// Requests an acknowledgement of the frames sent so far.
    pub const fn want(&mut self) {
        self.wanted = true;
    }

    /// Returns whether an acknowledgement was requested since the last ping.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Returns when to send a ping, if at all. No ping is due while another one is unanswered.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let earliest = || self.paused.checked_sub(PAUSE * SAVED_UP_MAX).unwrap_or(self.paused);
        (self.wanted && self.asked.is_empty()).then(earliest)
    }

    /// Records a ping, sent for this or another reason, and the point that its answer acknowledges.
    pub fn ask(&mut self, kind: PingKind, point: AckPoint, now: Instant) {
        self.wanted = false;
        self.paused = self.paused.max(now) + PAUSE;
        if self.asked.len() < ASKED_MAX {
            self.asked.push_back((kind, point));
        }
    }

    /// Handles an answer, and returns the acknowledged point.
    pub fn answer(&mut self, kind: PingKind) -> Option<AckPoint> {
        // Clients answer in order. An unexpected answer acknowledges nothing.
        self.asked.pop_front_if(|(asked, _)| *asked == kind).map(|(_, point)| point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_sent_at_once_and_then_rate_limited() {
        let now = Instant::now();
        let mut ack_tracker = AckTracker::new(now);
        assert_eq!(ack_tracker.due(), None);

        for _ in 0..SAVED_UP_MAX {
            ack_tracker.want();
            assert!(ack_tracker.due() <= Some(now));
            ack_tracker.ask(PingKind::Frame, AckPoint::default(), now);
            assert_eq!(ack_tracker.due(), None);
            ack_tracker.want();
            assert_eq!(ack_tracker.due(), None, "only one ping is in flight");
            assert!(ack_tracker.answer(PingKind::Frame).is_some());
        }
        ack_tracker.ask(PingKind::Frame, AckPoint::default(), now);
        ack_tracker.answer(PingKind::Frame);
        ack_tracker.want();
        assert_eq!(ack_tracker.due(), Some(now + PAUSE));
    }

    #[test]
    fn an_unrequested_pong_acknowledges_nothing() {
        let now = Instant::now();
        let mut ack_tracker = AckTracker::new(now);
        assert!(ack_tracker.answer(PingKind::Frame).is_none());

        ack_tracker.ask(PingKind::Protocol, AckPoint::default(), now);

        assert!(ack_tracker.answer(PingKind::Frame).is_none());
        assert!(ack_tracker.answer(PingKind::Protocol).is_some());
    }

    #[test]
    fn unanswered_pings_are_bounded() {
        let now = Instant::now();
        let mut ack_tracker = AckTracker::new(now);
        for _ in 0..2 * ASKED_MAX {
            ack_tracker.ask(PingKind::Frame, AckPoint::default(), now);
        }

        assert_eq!(ack_tracker.asked.len(), ASKED_MAX);
    }
}
