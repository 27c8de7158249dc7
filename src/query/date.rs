//! Parses ISO 8601 dates to timestamps.
//!
//! Only calendar dates; week dates and ordinal dates are not supported. `T` may be a space.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use crate::clock::Timestamp;

/// Returns the timestamp of `2026-01-31`, `2026-01-31T12:00`, `2026-01-31T12:00:00.5+01:00` and the
/// like; `None` for other texts.
///
/// A date alone means midnight, the default time zone is UTC, and fractions are truncated to
/// milliseconds.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let mut rest = Rest(text.trim().as_bytes());
    let date = rest.date()?;
    let (time, offset) = if rest.is_empty() {
        (Time::MIDNIGHT, UtcOffset::UTC)
    } else {
        rest.skip(|byte| matches!(byte, b'T' | b't' | b' '))?;
        (rest.time()?, rest.offset()?)
    };
    rest.is_empty()
        .then(|| Timestamp::from_calendar(OffsetDateTime::new_in_offset(date, time, offset)))
}

/// The rest of the input.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn date(&mut self) -> Option<Date> {
        let century = self.two_digits()?;
        let year = i32::from(century) * 100 + i32::from(self.two_digits()?);
        self.skip(|byte| byte == b'-')?;
        let month = Month::try_from(self.two_digits()?).ok()?;
        self.skip(|byte| byte == b'-')?;
        Date::from_calendar_date(year, month, self.two_digits()?).ok()
    }

    fn time(&mut self) -> Option<Time> {
        let hour = self.two_digits()?;
        self.skip(|byte| byte == b':')?;
        let minute = self.two_digits()?;
        if self.skip(|byte| byte == b':').is_none() {
            return Time::from_hms(hour, minute, 0).ok();
        }
        let second = self.two_digits()?;
        let milli = if self.skip(|byte| byte == b'.').is_some() { self.millis()? } else { 0 };
        Time::from_hms_milli(hour, minute, second, milli).ok()
    }

    /// Reads the digits of a fraction, at least one.
    fn millis(&mut self) -> Option<u16> {
        let mut millis = u16::from(self.digit()?) * 100;
        for weight in [10, 1] {
            let Some(digit) = self.digit() else { return Some(millis) };
            millis += u16::from(digit) * weight;
        }
        while self.digit().is_some() {}
        Some(millis)
    }

    /// Reads `Z`, `+01:00`, `+0100`, `+01` or nothing.
    fn offset(&mut self) -> Option<UtcOffset> {
        if self.is_empty() || self.skip(|byte| matches!(byte, b'Z' | b'z')).is_some() {
            return Some(UtcOffset::UTC);
        }
        let east = self.0.first() == Some(&b'+');
        self.skip(|byte| matches!(byte, b'+' | b'-'))?;
        let hours = i8::try_from(self.two_digits()?).ok().filter(|hours| *hours < 24)?;
        let minutes = if self.is_empty() {
            0
        } else {
            let _ = self.skip(|byte| byte == b':');
            i8::try_from(self.two_digits()?).ok()?
        };
        let sign = if east { 1 } else { -1 };
        UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
    }

    fn two_digits(&mut self) -> Option<u8> {
        Some(self.digit()? * 10 + self.digit()?)
    }

    fn digit(&mut self) -> Option<u8> {
        self.skip(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0')
    }

    /// Consumes the next byte if it is one of those wanted.
    fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted(*first).then(|| {
            self.0 = rest;
            *first
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_parsed_to_the_millisecond() {
        for (text, expected) in [
            ("2026-01-31", "2026-01-31T00:00:00.000Z"),
            (" 2026-01-31 ", "2026-01-31T00:00:00.000Z"),
            ("2026-01-31T12:34", "2026-01-31T12:34:00.000Z"),
            ("2026-01-31 12:34:56", "2026-01-31T12:34:56.000Z"),
            ("2026-01-31T12:34:56Z", "2026-01-31T12:34:56.000Z"),
            ("2026-01-31T12:34:56.7Z", "2026-01-31T12:34:56.700Z"),
            ("2026-01-31T12:34:56.78", "2026-01-31T12:34:56.780Z"),
            ("2026-01-31T12:34:56.789Z", "2026-01-31T12:34:56.789Z"),
            ("2026-01-31T12:34:56.7899999z", "2026-01-31T12:34:56.789Z"),
            ("2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00.000Z"),
            ("2026-01-31T23:30:00-0100", "2026-02-01T00:30:00.000Z"),
            ("2026-01-31T12:00-05", "2026-01-31T17:00:00.000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
            ("0001-01-01", "0001-01-01T00:00:00.000Z"),
        ] {
            let found = parse(text).map(|at| at.to_string());

            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn invalid_dates_are_refused() {
        for text in [
            "",
            "now",
            "2026",
            "2026-01",
            "20260131",
            "2026-1-31",
            "2026-13-01",
            "2026-02-29",
            "2026-01-31T",
            "2026-01-31T12",
            "2026-01-31T24:00",
            "2026-01-31T12:60",
            "2026-01-31T12:00:00.",
            "2026-01-31T12:00:00Zulu",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+01:60",
            "2026-01-31T12:00:00+1",
            "2026-01-31x12:00",
            "2026-01-31' or 1=1 --",
            "٢٠٢٦-٠١-٣١",
            "🎉",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
