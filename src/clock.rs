//! The only source of the current time, so that tests can control it.
//!
//! Also the timestamp type of the whole service: UTC milliseconds, as on the wire.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// A timestamp in UTC with millisecond resolution, counted from the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a timestamp `millis` milliseconds after (or, negative, before) the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the Unix epoch, as in JSON Web Tokens.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Adds a duration, saturating at the numeric bound.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Subtracts a duration, saturating at the numeric bound.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the duration until `later`; zero if that is not later.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// Returns the calendar form; `None` outside the years -9999 to 9999.
    #[must_use]
    pub fn to_calendar(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()
    }

    /// Converts from the calendar form, truncating to milliseconds.
    #[must_use]
    pub fn from_calendar(at: OffsetDateTime) -> Self {
        let millis = at.unix_timestamp_nanos().div_euclid(1_000_000);
        Self(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut wire = *b"0000-00-00T00:00:00.000Z";
        match self.to_calendar().filter(|at| at.year() >= 0) {
            Some(at) => f.write_str(write_wire(at, &mut wire)),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Writes the wire form, `2026-01-31T12:00:00.000Z`, over zeros. Written by hand, since every item
/// has dates, and a general formatter takes longer for them than for the rest of an item.
fn write_wire(at: OffsetDateTime, wire: &mut [u8; 24]) -> &str {
    let numbers = [
        (0..4, at.year().unsigned_abs()),
        (5..7, u32::from(u8::from(at.month()))),
        (8..10, u32::from(at.day())),
        (11..13, u32::from(at.hour())),
        (14..16, u32::from(at.minute())),
        (17..19, u32::from(at.second())),
        (20..23, u32::from(at.millisecond())),
    ];
    for (place, mut number) in numbers {
        for digit in wire[place].iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    std::str::from_utf8(wire).expect("digits are ASCII")
}

/// The system clock, or a manual clock for tests.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

/// The state of a manual clock.
#[derive(Debug)]
struct Manual {
    millis: AtomicI64,
    /// Total time by which it was set back, which does not affect [`Clock::instant`].
    set_back: AtomicI64,
    /// Simultaneous readings of both clocks.
    start: (Timestamp, Instant),
}

impl Clock {
    /// Creates the system clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// Creates a clock that stands still at `at` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(at: Timestamp) -> Self {
        let start = (at, Instant::now());
        let millis = AtomicI64::new(at.millis());
        Self(Some(Arc::new(Manual { millis, set_back: AtomicI64::new(0), start })))
    }

    /// Returns the current time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one home of the system's time")]
    pub fn now(&self) -> Timestamp {
        if let Some(manual) = &self.0 {
            return manual.now();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Returns the current time of the monotonic clock, for measuring durations.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.0.as_ref().map_or_else(Instant::now, |manual| {
            let (at, start) = manual.start;
            let set_back = manual.set_back.load(Ordering::SeqCst);
            start + at.until(Timestamp(manual.now().millis() + set_back))
        })
    }

    /// Sets a manual clock back, as an operator or a time server may do; no effect on the system's.
    pub fn set_back(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            manual.millis.fetch_sub(millis, Ordering::SeqCst);
            manual.set_back.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Moves a manual clock forward. No effect on the system clock.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            manual.millis.fetch_add(millis, Ordering::SeqCst);
        }
    }
}

impl Manual {
    fn now(&self) -> Timestamp {
        Timestamp(self.millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_the_wire_format() {
        for (millis, text) in [
            (1_769_860_800_007, "2026-01-31T12:00:00.007Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_399_120, "2000-02-28T23:59:59.120Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (253_402_300_800_000, "253402300800000"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn a_manual_clock_advances_only_on_request() {
        let clock = Clock::manual(Timestamp::from_millis(5));

        clock.advance(Duration::from_millis(7));

        assert_eq!(clock.now(), Timestamp::from_millis(12));
        let before = clock.instant();
        clock.advance(Duration::from_secs(3));
        clock.set_back(Duration::from_hours(1));
        assert_eq!(clock.instant() - before, Duration::from_secs(3));
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.instant() - before, Duration::from_secs(5));
    }
}
