//! So many of something a second, and a second's worth at once.
//!
//! Decides only, from the instants it is given; it neither waits nor refuses.

use std::time::Duration;

use tokio::time::Instant;

/// What may come at once after a pause.
const BURST: Duration = Duration::from_secs(1);

/// A rate that is kept to.
#[derive(Debug)]
pub struct Rate {
    interval: Duration,
    /// When the next one is due; all before the present is what may come at once.
    next: Instant,
}

impl Rate {
    /// Returns a rate that has a whole second's worth left.
    #[must_use]
    pub fn new(per_second: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        // The first is one of those that may come at once.
        Self { interval, next: back(now, BURST.saturating_sub(interval)) }
    }

    /// Takes the next place, and returns how long to wait for it.
    ///
    /// # Errors
    /// How long it would be, if that is longer than `patience`. No place is taken then.
    pub fn take(&mut self, now: Instant, patience: Duration) -> Result<Duration, Duration> {
        let place = self.next.max(back(now, BURST.saturating_sub(self.interval)));
        let wait = place.saturating_duration_since(now);
        if wait > patience {
            return Err(wait);
        }
        self.next = place + self.interval;
        Ok(wait)
    }

    /// Notes so many that have come, in time or not, and returns how long to wait before the next.
    pub fn spend(&mut self, count: u32, now: Instant) -> Duration {
        if count == 0 {
            return Duration::ZERO;
        }
        let place = self.next.max(back(now, BURST.saturating_sub(self.interval)));
        self.next = place + self.interval * count;
        self.next.saturating_duration_since(now)
    }
}

fn back(now: Instant, by: Duration) -> Instant {
    now.checked_sub(by).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    /// An instant with a past.
    fn start() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    fn allowed(rate: &mut Rate, now: Instant) -> usize {
        (0..1000).take_while(|_| rate.take(now, NO_TIME).is_ok()).count()
    }

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_so_many_a_second() {
        let start = start();
        let mut rate = Rate::new(10, start);

        assert_eq!(allowed(&mut rate, start), 10);
        assert_eq!(rate.take(start, NO_TIME), Err(Duration::from_millis(100)));
        assert_eq!(allowed(&mut rate, start + Duration::from_millis(250)), 2);
        assert_eq!(allowed(&mut rate, start + Duration::from_mins(1)), 10);
    }

    #[test]
    fn what_has_come_too_early_is_waited_for_afterwards() {
        let start = start();
        let mut rate = Rate::new(10, start);

        assert_eq!(rate.spend(9, start), NO_TIME);
        assert_eq!(rate.spend(0, start), NO_TIME);
        assert_eq!(rate.spend(21, start), Duration::from_millis(2100));
        assert_eq!(rate.spend(1, start + Duration::from_secs(2)), Duration::from_millis(200));
        assert_eq!(rate.spend(9, start + Duration::from_mins(1)), NO_TIME);
    }

    #[test]
    fn who_has_patience_gets_a_place_to_wait_for() {
        let start = start();
        let mut rate = Rate::new(1, start);
        let patience = Duration::from_secs(2);

        assert_eq!(rate.take(start, patience), Ok(NO_TIME));
        assert_eq!(rate.take(start, patience), Ok(Duration::from_secs(1)));
        assert_eq!(rate.take(start, patience), Ok(Duration::from_secs(2)));
        assert_eq!(rate.take(start, patience), Err(Duration::from_secs(3)));
        // Whoever was refused took no place.
        assert_eq!(rate.take(start + Duration::from_secs(1), patience), Ok(patience));
    }
}
