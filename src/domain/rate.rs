//! Token buckets. A burst of tokens is available at once, later tokens become available one after
//! the other, and a large request may take tokens in advance.
//!
//! A bucket only computes waiting times from the instants passed in. The caller waits or refuses.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;

use crate::config::RateLimit;

/// The burst of a bucket with a rate per second.
const BURST: Duration = Duration::from_secs(1);
/// The maximum number of buckets. A frequently used key evicts a rarely used one.
const KEYS_MAX: u64 = 1 << 16;
/// The number of buckets to allocate in advance.
const KEYS_USUAL: usize = 1 << 6;

/// A token bucket.
#[derive(Debug, Clone)]
pub struct Rate {
    interval: Duration,
    burst: Duration,
    /// The instant at which the bucket is full again.
    full: Instant,
}

/// The token buckets of accounts or addresses.
pub struct Rates<K> {
    quota: RateLimit,
    rates: Cache<K, Arc<Mutex<Rate>>, UnitWeighter>,
}

impl Rate {
    /// Creates a full bucket that holds the tokens of one second.
    #[must_use]
    pub fn new(per_second: u32, now: Instant) -> Self {
        Self { interval: BURST / per_second.max(1), burst: BURST, full: now }
    }

    /// Creates a full bucket for a quota.
    #[must_use]
    pub fn of(quota: RateLimit, now: Instant) -> Self {
        let interval = (quota.duration / quota.points.get()).max(Duration::from_nanos(1));
        Self { interval, burst: quota.duration, full: now }
    }

    /// Returns the time to wait for `count` tokens. A request for more than the burst waits until
    /// the bucket is full.
    #[must_use]
    pub fn wait(&self, count: u32, now: Instant) -> Duration {
        let needed = self.interval.saturating_mul(count).min(self.burst);
        (self.full.max(now) + needed).saturating_duration_since(now + self.burst)
    }

    /// Takes a token and returns the time to wait for it.
    ///
    /// # Errors
    /// The time to wait, if it is longer than `patience`. No token is taken then.
    pub fn take(&mut self, now: Instant, patience: Duration) -> Result<Duration, Duration> {
        let wait = self.wait(1, now);
        if wait > patience {
            return Err(wait);
        }
        self.spend(1, now);
        Ok(wait)
    }

    /// Takes tokens, in advance if there are too few, and returns the time until the next one.
    pub fn spend(&mut self, count: u32, now: Instant) -> Duration {
        if count == 0 {
            return Duration::ZERO;
        }
        self.full = self.full.max(now) + self.interval.saturating_mul(count);
        self.wait(1, now)
    }
}

impl<K: Hash + Eq + Clone> Rates<K> {
    /// Creates buckets with this quota for any number of keys. Each bucket starts full.
    #[must_use]
    pub fn new(quota: RateLimit) -> Self {
        Self { quota, rates: Cache::with_weighter(KEYS_USUAL, KEYS_MAX, UnitWeighter) }
    }

    /// Returns the quota of each key.
    #[must_use]
    pub const fn quota(&self) -> RateLimit {
        self.quota
    }

    /// Returns the bucket of a key.
    pub fn of(&self, key: &K, now: Instant) -> Arc<Mutex<Rate>> {
        let made: Result<_, std::convert::Infallible> = self
            .rates
            .get_or_insert_with(key, || Ok(Arc::new(Mutex::new(Rate::of(self.quota, now)))));
        let Ok(rate) = made;
        rate
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    fn start() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    fn allowed(rate: &mut Rate, now: Instant) -> usize {
        (0..1000).take_while(|_| rate.take(now, NO_TIME).is_ok()).count()
    }

    #[test]
    fn the_bucket_allows_a_burst_and_then_refills_steadily() {
        let start = start();
        let mut rate = Rate::new(10, start);

        assert_eq!(allowed(&mut rate, start), 10);
        assert_eq!(rate.take(start, NO_TIME), Err(Duration::from_millis(100)));
        assert_eq!(allowed(&mut rate, start + Duration::from_millis(250)), 2);
        assert_eq!(allowed(&mut rate, start + Duration::from_mins(1)), 10);
    }

    #[test]
    fn spending_beyond_the_bucket_returns_the_wait() {
        let start = start();
        let mut rate = Rate::new(10, start);

        assert_eq!(rate.spend(9, start), NO_TIME);
        assert_eq!(rate.spend(0, start), NO_TIME);
        assert_eq!(rate.spend(21, start), Duration::from_millis(2100));
        assert_eq!(rate.spend(1, start + Duration::from_secs(2)), Duration::from_millis(200));
        assert_eq!(rate.spend(9, start + Duration::from_mins(1)), NO_TIME);
    }

    #[test]
    fn a_token_is_reserved_within_the_maximum_wait() {
        let start = start();
        let mut rate = Rate::new(1, start);
        let patience = Duration::from_secs(2);

        assert_eq!(rate.take(start, patience), Ok(NO_TIME));
        assert_eq!(rate.take(start, patience), Ok(Duration::from_secs(1)));
        assert_eq!(rate.take(start, patience), Ok(Duration::from_secs(2)));
        assert_eq!(rate.take(start, patience), Err(Duration::from_secs(3)));
        // A refusal takes no token.
        assert_eq!(rate.take(start + Duration::from_secs(1), patience), Ok(patience));
    }

    #[test]
    fn a_request_above_the_burst_waits_for_a_full_bucket() {
        let start = start();
        let points = NonZeroU32::new(100).unwrap();
        let mut rate = Rate::of(RateLimit { points, duration: Duration::from_secs(10) }, start);

        assert_eq!(rate.wait(500, start), NO_TIME);
        assert_eq!(rate.spend(500, start), Duration::from_millis(40_100));
        assert_eq!(rate.wait(500, start), Duration::from_secs(50));
        assert_eq!(rate.wait(u32::MAX, start), Duration::from_secs(50));
    }

    #[test]
    fn one_time_keys_are_bounded_and_do_not_evict_frequent_keys() {
        let quota = RateLimit { points: NonZeroU32::MIN, duration: Duration::from_mins(1) };
        let (rates, now) = (Rates::new(quota), Instant::now());
        assert!(rates.of(&0, now).lock().take(now, NO_TIME).is_ok());

        for once in 1..4 * KEYS_MAX {
            assert!(rates.of(&once, now).lock().take(now, NO_TIME).is_ok());
            if once % 64 == 0 {
                assert!(rates.of(&0, now).lock().take(now, NO_TIME).is_err());
            }
        }

        assert!(rates.rates.len() as u64 <= KEYS_MAX, "{}", rates.rates.len());
    }
}
