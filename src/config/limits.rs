//! Rate limits of clients.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::parse::number;
use crate::config::reader::Reader;

settings! {
    /// Rate limits of clients.
    pub struct LimitsConfig {
        /// Requests per address; `None` if disabled, which also disables the rate limit of
        /// WebSocket messages.
        per_address: Option<RateLimit> = group(RateLimit::new) {
            /// Whether requests (REST and pages) and socket messages have rate limits.
            /// `IP_TRUST_PROXY` determines the addresses: behind a proxy that it does not name, all
            /// clients share one.
            enabled = setting("RATE_LIMITER_ENABLED", "true", boolean);
            /// The number of requests from one address (IPv6: one /64); further ones are answered
            /// 429.
            points = setting("RATE_LIMITER_POINTS", "1000", points);
            /// The period of `RATE_LIMITER_POINTS` (plain: seconds).
            duration = setting("RATE_LIMITER_DURATION", "1", seconds(100));
        };
        /// Requests of all clients together.
        global: Option<RateLimit> = group(RateLimit::new) {
            /// Whether the requests of all clients together have a rate limit as well.
            enabled = setting("RATE_LIMITER_GLOBAL_ENABLED", "false", boolean);
            /// The number of requests of all clients together; further ones are answered 429.
            points = setting("RATE_LIMITER_GLOBAL_POINTS", "10000", points);
            /// The period of `RATE_LIMITER_GLOBAL_POINTS` (plain: seconds).
            duration = setting("RATE_LIMITER_GLOBAL_DURATION", "1", seconds(100));
        };
        /// Registrations per address, successful or not.
        registration: Option<RateLimit> = group(RateLimit::new) {
            /// Whether registrations from one address have a rate limit of their own, including
            /// refused ones.
            enabled = setting("RATE_LIMITER_REGISTRATION_ENABLED", "true", boolean);
            /// The number of registrations from one address; further ones are answered 429.
            points = setting("RATE_LIMITER_REGISTRATION_POINTS", "20", points);
            /// The period of `RATE_LIMITER_REGISTRATION_POINTS` (plain: seconds).
            duration = setting("RATE_LIMITER_REGISTRATION_DURATION", "60", seconds(100));
        };
        /// Items that one account creates, updates or deletes over all entry points; also `None`
        /// without a limit per address.
        items: Option<RateLimit> = group(RateLimit::new) {
            /// Whether an account has a rate limit for items it creates, updates or deletes over
            /// REST and sockets, singly or in lists. Clients without a sign-in count by address;
            /// all clients of an address have four times the limit. Also disabled if
            /// `RATE_LIMITER_ENABLED` is false.
            enabled = setting("RATE_LIMITER_ITEMS_ENABLED", "true", boolean);
            /// The number of items that one account changes; further ones are refused with
            /// `REQUESTS_EXCEEDED`.
            points = setting("RATE_LIMITER_ITEMS_POINTS", "200000", points);
            /// The period of `RATE_LIMITER_ITEMS_POINTS` (plain: seconds).
            duration = setting("RATE_LIMITER_ITEMS_DURATION", "100", seconds(100));
        };
    }
    check LimitsConfig::check;
}

/// A rate limit, with a burst of up to `points`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Number of points per period.
    pub points: NonZeroU32,
    /// The period.
    pub duration: Duration,
}

impl LimitsConfig {
    /// Disables the limit of items without a limit per address.
    fn check(&mut self, _: &mut Reader) {
        self.items = self.per_address.and(self.items);
    }
}

impl RateLimit {
    /// Returns the limit of `rate` per second, at least one.
    #[must_use]
    pub fn per_second(rate: u32) -> Self {
        Self::with_burst(rate, NonZeroU32::MIN)
    }

    /// Returns the limit of `rate` per second, at least one, with a burst of this many seconds.
    #[must_use]
    pub fn with_burst(rate: u32, seconds: NonZeroU32) -> Self {
        let points = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN).saturating_mul(seconds);
        Self { points, duration: Duration::from_secs(seconds.get().into()) }
    }

    fn new(enabled: bool, points: NonZeroU32, duration: Duration) -> Option<Self> {
        enabled.then_some(Self { points, duration })
    }
}

fn points(value: &str) -> Result<NonZeroU32, String> {
    let points: u32 = number(1, 1_000_000)(value)?;
    Ok(NonZeroU32::new(points).expect("a number from 1 is not zero"))
}
