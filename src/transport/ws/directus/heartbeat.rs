//! Heartbeat: when to ping a client, and when to close its connection.
//!
//! Computes from the given instants only, without I/O.

use std::time::Duration;

use tokio::time::Instant;

/// The heartbeat of one connection.
#[derive(Debug)]
pub struct Heartbeat {
    period: Duration,
    due: Instant,
    asked: bool,
    heard: bool,
}

/// The action of a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Send a ping.
    Ask,
    /// Close the connection: there was no activity in the whole period since the last ping.
    Gone,
}

impl Heartbeat {
    /// Creates a heartbeat. The first beat is due after one period.
    #[must_use]
    pub fn new(period: Duration, now: Instant) -> Self {
        Self { period, due: now + period, asked: false, heard: false }
    }

    /// Returns when the next beat is due.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// Records activity: a frame, or bytes received or sent.
    pub const fn hear(&mut self) {
        self.heard = true;
    }

    /// Handles the due beat. A `busy` connection has sent a frame that is still being handled, and
    /// may not have been read since.
    pub fn beat(&mut self, now: Instant, busy: bool) -> Beat {
        if self.asked && !self.heard && !busy {
            return Beat::Gone;
        }
        self.asked = true;
        self.heard = false;
        self.due = now + self.period;
        Beat::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(30);

    #[test]
    fn a_silent_client_is_pinged_once_and_then_disconnected() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(PERIOD, start);

        assert_eq!(heartbeat.due(), start + PERIOD);
        assert_eq!(heartbeat.beat(heartbeat.due(), false), Beat::Ask);
        assert_eq!(heartbeat.due(), start + 2 * PERIOD);
        assert_eq!(heartbeat.beat(heartbeat.due(), false), Beat::Gone);
    }

    #[test]
    fn a_responsive_client_is_pinged_again() {
        let mut heartbeat = Heartbeat::new(PERIOD, Instant::now());

        for _ in 0..3 {
            assert_eq!(heartbeat.beat(heartbeat.due(), false), Beat::Ask);
            heartbeat.hear();
        }
    }

    #[test]
    fn activity_before_a_ping_does_not_answer_it() {
        let mut heartbeat = Heartbeat::new(PERIOD, Instant::now());

        heartbeat.hear();

        assert_eq!(heartbeat.beat(heartbeat.due(), false), Beat::Ask);
        assert_eq!(heartbeat.beat(heartbeat.due(), false), Beat::Gone);
    }

    #[test]
    fn a_client_that_waits_for_a_response_stays_connected() {
        let mut heartbeat = Heartbeat::new(PERIOD, Instant::now());

        heartbeat.beat(heartbeat.due(), false);

        assert_eq!(heartbeat.beat(heartbeat.due(), true), Beat::Ask);
    }
}
