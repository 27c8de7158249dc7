//! Token bucket of a connection, with a burst of two seconds. A faster client is not read for a
//! while, so no frame is dropped.
//!
//! Computes from the given instants only.

use std::time::Duration;

use tokio::time::Instant;

/// The rate limit of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time in which one token is refilled.
    interval: Duration,
    /// When the bucket is full again.
    even: Instant,
}

/// The burst, as a multiple of the rate per second.
const BURST: u32 = 2;

impl Pace {
    /// Creates the full bucket of a new connection.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Self { interval: Duration::from_secs(1) / rate.max(1), even: now }
    }

    /// Takes a token for a frame.
    pub(super) fn count(&mut self, now: Instant) {
        self.even = self.even.max(now) + self.interval;
    }

    /// Returns until when reading is paused, or `None` if the next frame may be read.
    pub(super) fn pause(&self, now: Instant) -> Option<Instant> {
        let ahead = (Duration::from_secs(1) * BURST).saturating_sub(self.interval);
        let until = self.even.checked_sub(ahead)?;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_is_twice_the_rate() {
        let start = Instant::now() + Duration::from_mins(1);
        let mut pace = Pace::new(10, start);

        for frame in 0..20 {
            assert_eq!(pace.pause(start), None, "{frame}");
            pace.count(start);
        }

        let next = start + Duration::from_millis(100);
        assert_eq!(pace.pause(start), Some(next));
        assert_eq!(pace.pause(next), None);
        pace.count(next);
        assert_eq!(pace.pause(next), Some(next + Duration::from_millis(100)));
    }

    #[test]
    fn idle_time_restores_at_most_the_burst() {
        let start = Instant::now() + Duration::from_mins(1);
        let mut pace = Pace::new(1, start);
        pace.count(start);

        let later = start + Duration::from_mins(5);
        for _ in 0..2 {
            assert_eq!(pace.pause(later), None);
            pace.count(later);
        }

        assert!(pace.pause(later).is_some());
    }
}
