//! How fast a client may speak: so many frames in a second, after twice as many at once. Whoever is
//! faster is not read for a while, so that nothing is dropped.
//!
//! Decides only, from the instants it is given.

use std::time::Duration;

use tokio::time::Instant;

/// The pace of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    /// What one frame takes.
    interval: Duration,
    /// When all frames so far have had their time.
    even: Instant,
}

/// How many frames may come at once, for each that may come in a second.
const BURST: u32 = 2;

impl Pace {
    /// Returns the pace of a connection that has said nothing yet.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Self { interval: Duration::from_secs(1) / rate.max(1), even: now }
    }

    /// Counts a frame.
    pub(super) fn count(&mut self, now: Instant) {
        self.even = self.even.max(now) + self.interval;
    }

    /// Returns until when nothing is read; `None` if the next frame may come.
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
    fn twice_the_rate_may_come_at_once_and_then_one_after_the_other() {
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
    fn silence_gives_back_no_more_than_that() {
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
