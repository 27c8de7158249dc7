//! Request rate limits: per address, global, and for registrations.
//!
//! Upgrades do not count here: sockets have their own admission rate (`ws::Context::admit`) and
//! message rates (`ws::pace`). Failed sign-ins are limited by `domain::auth::throttle`.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::http::Method;
use poem::{Endpoint, Request, Response};

use crate::clock::Clock;
use crate::config::LimitsConfig;
use crate::domain::token_bucket::TokenBuckets;
use crate::domain::{Error, Exceeded};
use crate::model::network;
use crate::transport::Context;
use crate::transport::address;
use crate::transport::error;

/// The path of registrations.
const REGISTER: &str = "/users/register";
/// The paths of sockets.
const SOCKETS: [&str; 2] = ["/websocket", "/_ws"];

/// Advice for clients that exceed a limit.
pub const ADVICE: &str = "Send less at once. The operator can raise RATE_LIMITER_POINTS";
const ADVICE_GLOBAL: &str = "The service has reached its rate limit. Try again later";
const ADVICE_REGISTRATION: &str = "Too many sign-ups from your network. Try again later";

/// The rate limits of one process.
pub struct Limits {
    clock: Clock,
    per_address: Option<TokenBuckets<IpAddr>>,
    global: Option<TokenBuckets<()>>,
    registration: Option<TokenBuckets<IpAddr>>,
}

/// An endpoint with rate limits. Paths are normalized before it is called.
pub struct Limited<E> {
    inner: E,
    context: Arc<Context>,
    limits: Limits,
}

impl<E> Limited<E> {
    /// Wraps an endpoint with the configured limits.
    #[must_use]
    pub fn new(inner: E, context: Arc<Context>) -> Self {
        let limits = Limits::new(&context.config.limits, &context.services.clock);
        Self { inner, context, limits }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Limited<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let from = address::of(&request, &self.context.config.server.trust_proxy);
        match self.limits.check(request.method(), request.uri().path(), from) {
            Ok(()) => self.inner.call(request).await,
            Err(exceeded) => Ok(error::respond(&Error::RequestsExceeded(exceeded))),
        }
    }
}

impl Limits {
    fn new(config: &LimitsConfig, clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            per_address: config.per_address.map(TokenBuckets::new),
            global: config.global.map(TokenBuckets::new),
            registration: config.registration.map(TokenBuckets::new),
        }
    }

    /// Counts a request. One that exceeds the limit of its address does not count against the
    /// global limit.
    fn check(&self, method: &Method, path: &str, from: Option<IpAddr>) -> Result<(), Exceeded> {
        if SOCKETS.contains(&path) {
            return Ok(());
        }
        let from = from.map(network);
        self.take(self.per_address.as_ref(), from, ADVICE)?;
        self.take(self.global.as_ref(), Some(()), ADVICE_GLOBAL)?;
        if method == Method::POST && path == REGISTER {
            self.take(self.registration.as_ref(), from, ADVICE_REGISTRATION)?;
        }
        Ok(())
    }

    /// Takes a token from the bucket of a key. An unknown address has no limit of its own.
    fn take<K: Hash + Eq + Clone>(
        &self,
        buckets: Option<&TokenBuckets<K>>,
        key: Option<K>,
        reason: &'static str,
    ) -> Result<(), Exceeded> {
        let (Some(buckets), Some(key)) = (buckets, key) else { return Ok(()) };
        let now = self.clock.instant();
        let taken = buckets.of(&key, now).lock().take(now, Duration::ZERO);
        taken.map(drop).map_err(|retry_after| {
            Exceeded::new(buckets.limit().points.get(), retry_after, &self.clock, reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::clock::Timestamp;
    use crate::config::RateLimit;

    #[expect(clippy::unnecessary_wraps, reason = "as the settings have it")]
    fn quota(points: u32, seconds: u64) -> Option<RateLimit> {
        let points = NonZeroU32::new(points).unwrap();
        Some(RateLimit { points, duration: Duration::from_secs(seconds) })
    }

    fn limits(
        per_address: Option<RateLimit>,
        global: Option<RateLimit>,
        registration: Option<RateLimit>,
    ) -> Limits {
        let clock = Clock::manual(Timestamp::from_millis(0));
        Limits::new(&LimitsConfig { per_address, global, registration, items: None }, &clock)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the limits take it")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn allowed(limits: &Limits, path: &str, from: Option<IpAddr>) -> usize {
        let check = || limits.check(&Method::POST, path, from);
        (0..10_000).take_while(|_| check().is_ok()).count()
    }

    #[test]
    fn each_address_has_its_own_limit() {
        let limits = limits(quota(5, 1), None, None);

        assert_eq!(allowed(&limits, "/x", address("192.0.2.1")), 5);
        assert_eq!(allowed(&limits, "/x", address("192.0.2.2")), 5);
        assert_eq!(allowed(&limits, "/x", address("2001:db8::1")), 5);
        assert_eq!(allowed(&limits, "/x", address("2001:db8::2")), 0);
        assert_eq!(allowed(&limits, "/x", address("2001:db8:0:1::2")), 5);
    }

    #[test]
    fn the_retry_delay_of_a_rejected_request_is_exact() {
        let limits = limits(quota(5, 10), None, None);
        let here = address("192.0.2.1");
        assert_eq!(allowed(&limits, "/x", here), 5);

        let exceeded = limits.check(&Method::GET, "/x", here).unwrap_err();
        assert_eq!((exceeded.limit, exceeded.retry_after), (5, Duration::from_secs(2)));
        assert_eq!(exceeded.reset, Timestamp::from_millis(2000));

        limits.clock.advance(Duration::from_millis(1999));
        assert_eq!(allowed(&limits, "/x", here), 0);
        limits.clock.advance(Duration::from_millis(1));
        assert_eq!(allowed(&limits, "/x", here), 1);
    }

    #[test]
    fn the_global_and_registration_limits_are_separate() {
        let limits = limits(None, quota(10, 1), quota(3, 60));

        assert_eq!(allowed(&limits, REGISTER, address("192.0.2.1")), 3);
        assert_eq!(allowed(&limits, "/x", address("192.0.2.2")), 6);
        assert!(limits.check(&Method::GET, "/websocket", address("192.0.2.2")).is_ok());
    }
}
