//! `$NOW(-1 hour)`: the current time shifted by an interval.

use time::{Date, Month};

use crate::clock::Timestamp;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Returns the timestamp shifted by the argument of `$NOW(…)`; `None` if it is invalid or the
/// result exceeds the calendar.
///
/// The argument is an integer with an optional sign, then a unit (default days). Shifting by months
/// or years keeps the day of the month, or takes the last day of a shorter month.
#[must_use]
pub fn shifted(at: Timestamp, adjustment: &str) -> Option<Timestamp> {
    let text = adjustment.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.trim_start();
    let (digits, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let amount = sign * digits.parse::<i64>().ok()?;
    let shifted = match Unit::find(unit.trim())? {
        Unit::Millis(each) => {
            Timestamp::from_millis(at.millis().checked_add(amount.checked_mul(each)?)?)
        }
        Unit::Months(each) => by_months(at, amount.checked_mul(each)?)?,
    };
    shifted.to_calendar().map(|_| shifted)
}

/// A unit in terms of a base unit.
enum Unit {
    Millis(i64),
    Months(i64),
}

impl Unit {
    fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Self::Millis(1),
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Millis(SECOND),
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Millis(MINUTE),
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Millis(HOUR),
            "" | "d" | "day" | "days" => Self::Millis(DAY),
            "w" | "week" | "weeks" => Self::Millis(7 * DAY),
            "mo" | "mth" | "month" | "months" => Self::Months(1),
            "y" | "yr" | "yrs" | "year" | "years" => Self::Months(12),
            _ => return None,
        })
    }
}

fn by_months(at: Timestamp, months: i64) -> Option<Timestamp> {
    let from = at.to_calendar()?;
    let first = i64::from(from.year()) * 12 + i64::from(u8::from(from.month()) - 1);
    let total = first.checked_add(months)?;
    let year = i32::try_from(total.div_euclid(12)).ok()?;
    let month = Month::try_from(u8::try_from(total.rem_euclid(12) + 1).ok()?).ok()?;
    let day = from.day().min(month.length(year));
    let date = Date::from_calendar_date(year, month, day).ok()?;
    Some(Timestamp::from_calendar(from.replace_date(date)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::date;

    #[test]
    fn every_unit_shifts_by_its_length() {
        let now = "2026-03-31T12:00:00.007Z";
        for (adjustment, expected) in [
            ("-1 hour", "2026-03-31T11:00:00.007Z"),
            ("+2 days", "2026-04-02T12:00:00.007Z"),
            ("2 days", "2026-04-02T12:00:00.007Z"),
            (" 2d ", "2026-04-02T12:00:00.007Z"),
            ("-1", "2026-03-30T12:00:00.007Z"),
            ("- 7 ms", "2026-03-31T12:00:00.000Z"),
            ("-7 milliseconds", "2026-03-31T12:00:00.000Z"),
            ("+1 s", "2026-03-31T12:00:01.007Z"),
            ("+1 second", "2026-03-31T12:00:01.007Z"),
            ("+90 seconds", "2026-03-31T12:01:30.007Z"),
            ("+1m", "2026-03-31T12:01:00.007Z"),
            ("+1 MINUTE", "2026-03-31T12:01:00.007Z"),
            ("-2 minutes", "2026-03-31T11:58:00.007Z"),
            ("+12h", "2026-04-01T00:00:00.007Z"),
            ("-3 hours", "2026-03-31T09:00:00.007Z"),
            ("+1 day", "2026-04-01T12:00:00.007Z"),
            ("-1 w", "2026-03-24T12:00:00.007Z"),
            ("+2 weeks", "2026-04-14T12:00:00.007Z"),
            ("+1 week", "2026-04-07T12:00:00.007Z"),
            ("+1 mo", "2026-04-30T12:00:00.007Z"),
            ("-1 month", "2026-02-28T12:00:00.007Z"),
            ("-25 months", "2024-02-29T12:00:00.007Z"),
            ("+10 months", "2027-01-31T12:00:00.007Z"),
            ("-1 y", "2025-03-31T12:00:00.007Z"),
            ("+1 year", "2027-03-31T12:00:00.007Z"),
            ("-2 years", "2024-03-31T12:00:00.007Z"),
            ("0", "2026-03-31T12:00:00.007Z"),
        ] {
            let found = shifted(date::parse(now).expect("a valid date"), adjustment)
                .map(|at| at.to_string());

            assert_eq!(found.as_deref(), Some(expected), "{adjustment}");
        }
    }

    #[test]
    fn a_leap_day_shifts_to_february_28_in_common_years() {
        let now = date::parse("2024-02-29").expect("a valid date");

        assert_eq!(shifted(now, "+1 year"), date::parse("2025-02-28"));
        assert_eq!(shifted(now, "+4 years"), date::parse("2028-02-29"));
    }

    #[test]
    fn invalid_adjustments_are_refused() {
        let now = date::parse("2026-01-31").expect("a valid date");
        for adjustment in [
            "",
            "-",
            "hour",
            "1 parsec",
            "1.5 hours",
            "--1 hour",
            "1 hour 2 minutes",
            "9223372036854775807 years",
            "9223372036854775807 ms",
            "99999999999999999999",
            "-20000 years",
            "+200000000000 days",
            "²",
            "1 🎉",
        ] {
            assert_eq!(shifted(now, adjustment), None, "{adjustment}");
        }
    }
}
