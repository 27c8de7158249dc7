//! Parts of a timestamp, as in `year(date_created)`, always in UTC.
//!
//! Numbered as Directus does on SQLite: weeks count from 0 and start on Monday, and the first
//! Monday of the year starts week 1. Days of the week count from 0 for Sunday. `store::dialect`
//! computes the same in SQL.

use crate::clock::Timestamp;
use crate::model::named::named;

named! {
    /// A part of a timestamp.
    pub enum DatePart {
        /// The year.
        Year = "year",
        /// The month, from 1.
        Month = "month",
        /// The week of the year, from 0.
        Week = "week",
        /// The day of the month, from 1.
        Day = "day",
        /// The day of the week, from 0 for Sunday.
        Weekday = "weekday",
        /// The hour of the day, from 0.
        Hour = "hour",
        /// The minute of the hour, from 0.
        Minute = "minute",
        /// The second of the minute, from 0.
        Second = "second",
    }
}

impl DatePart {
    /// Returns this part of a timestamp; `None` outside the calendar.
    #[must_use]
    pub fn of(self, at: Timestamp) -> Option<i64> {
        let at = at.to_calendar()?;
        Some(match self {
            Self::Year => i64::from(at.year()),
            Self::Month => i64::from(u8::from(at.month())),
            Self::Week => i64::from(at.monday_based_week()),
            Self::Day => i64::from(at.day()),
            Self::Weekday => i64::from(at.weekday().number_days_from_sunday()),
            Self::Hour => i64::from(at.hour()),
            Self::Minute => i64::from(at.minute()),
            Self::Second => i64::from(at.second()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::date;

    #[test]
    fn date_parts_are_computed_in_utc() {
        for (text, expected) in [
            ("2026-11-22T23:59:58.999Z", [2026, 11, 46, 22, 0, 23, 59, 58]),
            ("2026-01-01T00:00:00.000Z", [2026, 1, 0, 1, 4, 0, 0, 0]),
            ("2026-01-05T00:00:00.000Z", [2026, 1, 1, 5, 1, 0, 0, 0]),
            ("2024-12-31T12:30:00.000Z", [2024, 12, 53, 31, 2, 12, 30, 0]),
            ("2026-01-01T00:30:00+01:00", [2025, 12, 52, 31, 3, 23, 30, 0]),
            ("1969-12-31T23:59:59.999Z", [1969, 12, 52, 31, 3, 23, 59, 59]),
            ("0000-01-01T00:00:00.000Z", [0, 1, 0, 1, 6, 0, 0, 0]),
        ] {
            let at = date::parse(text).expect("a valid date");
            assert_eq!(DatePart::ALL.map(|part| part.of(at)), expected.map(Some), "{text}");
        }
        assert_eq!(DatePart::Year.of(Timestamp::from_millis(i64::MAX)), None);
    }

    #[test]
    fn names_round_trip() {
        for part in DatePart::ALL {
            assert_eq!(DatePart::find(part.name()), Some(part));
        }
        assert_eq!(DatePart::find("Year"), None);
    }
}
