//! Token buckets: the one mechanism for all rates. A burst of tokens is available at once, later
//! tokens become available one after the other, and a large request may take tokens in advance.
//!
//! A bucket only computes waiting times from the instants passed in. The caller waits or refuses.

use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::RateLimit;
use crate::domain::bounded_map::BoundedMap;

/// A token bucket.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// The time until the next token, and until all tokens of an empty bucket, in nanoseconds.
    interval: u64,
    burst: u64,
    /// The instant at which the bucket is full again.
    full: Instant,
}

/// The token buckets of many keys, such as accounts or addresses.
pub struct TokenBuckets<K> {
    limit: RateLimit,
    buckets: BoundedMap<K, Mutex<TokenBucket>>,
}

impl TokenBucket {
    /// Creates a full bucket.
    #[must_use]
    pub fn new(limit: RateLimit, now: Instant) -> Self {
        let interval = nanos(limit.duration / limit.points.get()).max(1);
        Self { interval, burst: nanos(limit.duration), full: now }
    }

    /// Returns the time to wait for `count` tokens. A request for more than the burst waits until
    /// the bucket is full.
    #[must_use]
    pub fn wait(&self, count: u32, now: Instant) -> Duration {
        let needed = self.interval.saturating_mul(u64::from(count)).min(self.burst);
        let available = self.full.max(now) + Duration::from_nanos(needed);
        available.saturating_duration_since(now + Duration::from_nanos(self.burst))
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
        let spent = self.interval.saturating_mul(u64::from(count));
        self.full = self.full.max(now) + Duration::from_nanos(spent);
        self.wait(1, now)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<K: Hash + Eq + Clone> TokenBuckets<K> {
    /// Creates full buckets for any number of keys.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: BoundedMap::default() }
    }

    /// Returns the limit of each key.
    #[must_use]
    pub const fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Returns the bucket of a key.
    pub fn of(&self, key: &K, now: Instant) -> Arc<Mutex<TokenBucket>> {
        self.buckets.get_or_insert(key, || Mutex::new(TokenBucket::new(self.limit, now)))
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

    fn per_second(rate: u32, now: Instant) -> TokenBucket {
        TokenBucket::new(RateLimit::per_second(rate), now)
    }

    fn allowed(bucket: &mut TokenBucket, now: Instant) -> usize {
        (0..1000).take_while(|_| bucket.take(now, NO_TIME).is_ok()).count()
    }

    #[test]
    fn the_bucket_allows_a_burst_and_then_refills_steadily() {
        let start = start();
        let mut bucket = per_second(10, start);

        assert_eq!(allowed(&mut bucket, start), 10);
        assert_eq!(bucket.take(start, NO_TIME), Err(Duration::from_millis(100)));
        assert_eq!(allowed(&mut bucket, start + Duration::from_millis(250)), 2);
        assert_eq!(allowed(&mut bucket, start + Duration::from_mins(1)), 10);
    }

    #[test]
    fn spending_beyond_the_bucket_returns_the_wait() {
        let start = start();
        let mut bucket = per_second(10, start);

        assert_eq!(bucket.spend(9, start), NO_TIME);
        assert_eq!(bucket.spend(0, start), NO_TIME);
        assert_eq!(bucket.spend(21, start), Duration::from_millis(2100));
        assert_eq!(bucket.spend(1, start + Duration::from_secs(2)), Duration::from_millis(200));
        assert_eq!(bucket.spend(9, start + Duration::from_mins(1)), NO_TIME);
    }

    #[test]
    fn a_token_is_reserved_within_the_maximum_wait() {
        let start = start();
        let mut bucket = per_second(1, start);
        let patience = Duration::from_secs(2);

        assert_eq!(bucket.take(start, patience), Ok(NO_TIME));
        assert_eq!(bucket.take(start, patience), Ok(Duration::from_secs(1)));
        assert_eq!(bucket.take(start, patience), Ok(Duration::from_secs(2)));
        assert_eq!(bucket.take(start, patience), Err(Duration::from_secs(3)));
        // A refusal takes no token.
        assert_eq!(bucket.take(start + Duration::from_secs(1), patience), Ok(patience));
    }

    #[test]
    fn a_request_above_the_burst_waits_for_a_full_bucket() {
        let start = start();
        let points = NonZeroU32::new(100).unwrap();
        let mut bucket =
            TokenBucket::new(RateLimit { points, duration: Duration::from_secs(10) }, start);

        assert_eq!(bucket.wait(500, start), NO_TIME);
        assert_eq!(bucket.spend(500, start), Duration::from_millis(40_100));
        assert_eq!(bucket.wait(500, start), Duration::from_secs(50));
        assert_eq!(bucket.wait(u32::MAX, start), Duration::from_secs(50));
    }

    #[test]
    fn a_burst_of_seconds_keeps_the_rate() {
        let start = start();
        let limit = RateLimit::with_burst(10, NonZeroU32::new(2).unwrap());
        let mut bucket = TokenBucket::new(limit, start);

        assert_eq!(allowed(&mut bucket, start), 20);
        assert_eq!(bucket.take(start, NO_TIME), Err(Duration::from_millis(100)));
        assert_eq!(allowed(&mut bucket, start + Duration::from_mins(5)), 20);
    }
}
