//! Request rate limits: per address, global, and for registrations (crate `governor`).
//!
//! Upgrades do not count here: sockets have their own admission rate (`ws::Context::admit`) and
//! message rates (`ws::directus::pace`). Failed sign-ins are limited by `domain::auth::throttle`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use governor::NotUntil;
use governor::RateLimiter;
use governor::nanos::Nanos;
use governor::state::InMemoryState;
use governor::state::NotKeyed;
use governor::state::StateStore;
use poem::Endpoint;
use poem::Request;
use poem::Response;
use poem::http::Method;
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;

use crate::clock::Clock;
use crate::config::LimitsConfig;
use crate::config::RateLimit;
use crate::domain::Error;
use crate::domain::Exceeded;
use crate::model::network;
use crate::transport::Context;
use crate::transport::address;
use crate::transport::error;

/// Maximum number of tracked addresses. Rare addresses are evicted before frequent ones.
const ADDRESSES_MAX: usize = 1 << 16;
/// Number of addresses with memory from the start.
const ADDRESSES_USUAL: usize = 1 << 6;

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
    per_address: Option<PerAddress>,
    global: Option<RateLimiter<NotKeyed, InMemoryState, Time>>,
    registration: Option<PerAddress>,
}

type PerAddress = RateLimiter<IpAddr, Addresses, Time>;

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
        let time = || Time(clock.clone());
        let per_address = |limit: RateLimit| {
            RateLimiter::new(governor_quota(limit), Addresses::default(), time())
        };
        Self {
            per_address: config.per_address.map(per_address),
            global: config.global.map(|limit| {
                RateLimiter::new(governor_quota(limit), InMemoryState::default(), time())
            }),
            registration: config.registration.map(per_address),
            clock: clock.clone(),
        }
    }

    /// Counts a request. One that exceeds the limit of its address does not count against the
    /// global limit.
    fn check(&self, method: &Method, path: &str, from: Option<IpAddr>) -> Result<(), Exceeded> {
        if SOCKETS.contains(&path) {
            return Ok(());
        }
        let now = self.clock.instant();
        let from = from.map(network);
        if let (Some(limiter), Some(from)) = (&self.per_address, &from) {
            limiter.check_key(from).map_err(|until| self.exceeded(&until, now, ADVICE))?;
        }
        if let Some(limiter) = &self.global {
            limiter.check().map_err(|until| self.exceeded(&until, now, ADVICE_GLOBAL))?;
        }
        if method == Method::POST
            && path == REGISTER
            && let (Some(limiter), Some(from)) = (&self.registration, &from)
        {
            limiter
                .check_key(from)
                .map_err(|until| self.exceeded(&until, now, ADVICE_REGISTRATION))?;
        }
        Ok(())
    }

    fn exceeded(&self, until: &NotUntil<Instant>, now: Instant, reason: &'static str) -> Exceeded {
        let retry_after = until.wait_time_from(now);
        Exceeded {
            limit: until.quota().burst_size().get(),
            retry_after,
            reset: self.clock.now().plus(retry_after),
            reason,
        }
    }
}

/// Returns the quota as defined by `governor`: the whole quota is the burst, refilled one by one.
fn governor_quota(RateLimit { points, duration }: RateLimit) -> governor::Quota {
    let each = duration / points.get();
    let quota = governor::Quota::with_period(each.max(Duration::from_nanos(1)));
    quota.expect("the period is at least a nanosecond").allow_burst(points)
}

/// The clock of this service, for `governor`.
struct Time(Clock);

impl governor::clock::Clock for Time {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.instant()
    }
}

/// The state of each tracked address. Their number is bounded.
struct Addresses(Cache<IpAddr, Arc<InMemoryState>, UnitWeighter>);

impl Default for Addresses {
    fn default() -> Self {
        // It grows on demand: most services see few addresses.
        Self(Cache::with_weighter(ADDRESSES_USUAL, ADDRESSES_MAX as u64, UnitWeighter))
    }
}

impl StateStore for Addresses {
    type Key = IpAddr;

    fn measure_and_replace<T, F, E>(&self, key: &IpAddr, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let made: Result<_, std::convert::Infallible> =
            self.0.get_or_insert_with(key, || Ok(Arc::new(InMemoryState::default())));
        let Ok(state) = made;
        state.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::clock::Timestamp;

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

    #[test]
    fn many_addresses_are_bounded_and_do_not_evict_a_limited_one() {
        let limits = limits(quota(100, 60), None, None);
        let often = address("192.0.2.1");
        assert_eq!(allowed(&limits, "/x", often), 100);

        for number in 0..4 * ADDRESSES_MAX {
            let number = u128::try_from(number).unwrap() << 64;
            let once = IpAddr::from((0x2001 << 112 | number).to_be_bytes());
            assert!(limits.check(&Method::GET, "/x", Some(once)).is_ok());
            if number % 64 == 0 {
                assert!(limits.check(&Method::GET, "/x", often).is_err());
            }
        }

        let known = limits.per_address.unwrap().into_state_store().0.len();
        assert!(known <= ADDRESSES_MAX, "{known}");
    }
}
