//! Rate limits of clients.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::parse;
use crate::config::parse::DefaultUnit;
use crate::config::reader::Reader;

/// Rate limits of clients.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// `RATE_LIMITER_ENABLED`, `RATE_LIMITER_POINTS`, `RATE_LIMITER_DURATION` (in seconds), default
    /// 1000 in 1: requests per address; `None` if disabled, which also disables the rate limit of
    /// WebSocket messages.
    pub per_address: Option<RateLimit>,
    /// `RATE_LIMITER_GLOBAL_ENABLED` (default false), `…_POINTS`, `…_DURATION`, default 10000 in 1:
    /// requests of all clients together.
    pub global: Option<RateLimit>,
    /// `RATE_LIMITER_REGISTRATION_ENABLED` (default true), `…_POINTS`, `…_DURATION`, default 20 in
    /// 60: registrations per address, successful or not.
    pub registration: Option<RateLimit>,
    /// `RATE_LIMITER_ITEMS_ENABLED` (default true), `…_POINTS`, `…_DURATION`, default 200000 in
    /// 100: items that one account creates, updates or deletes over all entry points; also `None`
    /// without `RATE_LIMITER_ENABLED`.
    pub items: Option<RateLimit>,
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
    pub(super) fn read(from: &mut Reader) -> Self {
        let per_address = RateLimit::read(
            from,
            ("RATE_LIMITER_ENABLED", "true"),
            ("RATE_LIMITER_POINTS", "1000"),
            ("RATE_LIMITER_DURATION", "1"),
        );
        Self {
            per_address,
            global: RateLimit::read(
                from,
                ("RATE_LIMITER_GLOBAL_ENABLED", "false"),
                ("RATE_LIMITER_GLOBAL_POINTS", "10000"),
                ("RATE_LIMITER_GLOBAL_DURATION", "1"),
            ),
            registration: RateLimit::read(
                from,
                ("RATE_LIMITER_REGISTRATION_ENABLED", "true"),
                ("RATE_LIMITER_REGISTRATION_POINTS", "20"),
                ("RATE_LIMITER_REGISTRATION_DURATION", "60"),
            ),
            items: RateLimit::read(
                from,
                ("RATE_LIMITER_ITEMS_ENABLED", "true"),
                ("RATE_LIMITER_ITEMS_POINTS", "200000"),
                ("RATE_LIMITER_ITEMS_DURATION", "100"),
            )
            .filter(|_| per_address.is_some()),
        }
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

    fn read(
        from: &mut Reader,
        enabled: (&'static str, &'static str),
        points: (&'static str, &'static str),
        duration: (&'static str, &'static str),
    ) -> Option<Self> {
        let is_enabled = from.read(enabled.0, enabled.1, parse::boolean);
        let quota = Self {
            points: from.read(points.0, points.1, |text| {
                let points = parse::number(1, 1_000_000)(text)?;
                NonZeroU32::new(points).ok_or_else(|| "a whole number of at least 1".to_owned())
            }),
            duration: from.read(
                duration.0,
                duration.1,
                parse::duration(DefaultUnit::Seconds, Duration::from_millis(100)),
            ),
        };
        is_enabled.then_some(quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(texts: &[(&str, &str)]) -> LimitsConfig {
        Config::from_texts(texts.iter().copied()).unwrap().limits
    }

    #[test]
    fn rate_limits_are_on_by_default() {
        let limits = read(&[]);

        let quota = |points, seconds| {
            let points = NonZeroU32::new(points).unwrap();
            Some(RateLimit { points, duration: Duration::from_secs(seconds) })
        };
        assert_eq!(limits.per_address, quota(1000, 1));
        assert_eq!(limits.global, None);
        assert_eq!(limits.registration, quota(20, 60));
        assert_eq!(limits.items, quota(200_000, 100));
    }

    #[test]
    fn each_limit_is_configurable() {
        let limits = read(&[
            ("RATE_LIMITER_ENABLED", "false"),
            ("RATE_LIMITER_GLOBAL_ENABLED", "true"),
            ("RATE_LIMITER_GLOBAL_POINTS", "5"),
            ("RATE_LIMITER_GLOBAL_DURATION", "2m"),
        ]);

        assert_eq!((limits.per_address, limits.items), (None, None));
        let global = limits.global.unwrap();
        assert_eq!((global.points.get(), global.duration), (5, Duration::from_mins(2)));
    }
}
