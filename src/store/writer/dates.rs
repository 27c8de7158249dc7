//! The dates of events, and of the rows that the server dates. They are monotonic, even if the
//! clock is set back.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::model::collection::Special;
use crate::model::{Field, Row, Value};

/// Maximum lead of the last event over the clock at which the next event gets the same date. With a
/// greater lead, the clock was wrong at that time, and dates follow the clock again.
const AHEAD_MAX: Duration = Duration::from_hours(24);

/// Returns the date of the next event from the clock and the date of the last event.
pub(super) fn next(clock: Timestamp, last: Timestamp) -> Timestamp {
    let ahead = clock.until(last);
    if ahead > AHEAD_MAX {
        tracing::warn!(
            clock = %clock,
            last_event = %last,
            "the last event is dated far ahead of the clock; dates follow the clock from now on"
        );
        return clock;
    }
    clock.max(last)
}

/// Dates a new row that has no date.
pub(super) fn stamp_new(row: &mut Row, at: Timestamp) {
    for field in row.collection().columns() {
        if field.special == Special::DateCreated && row[field].is_null() {
            row.set(field, Value::Timestamp(at));
        }
    }
}

/// Returns the values of an update, dated if they have no date.
pub(super) fn stamp_changes(
    set: &[(&'static Field, Value)],
    at: Timestamp,
) -> Vec<(&'static Field, Value)> {
    let is_dated =
        |field: &Field, value: &Value| field.special == Special::DateUpdated && value.is_null();
    set.iter()
        .map(|(field, value)| match value {
            value if is_dated(field, value) => (*field, Value::Timestamp(at)),
            value => (*field, value.clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_hours(hours))
    }

    #[test]
    fn the_date_is_the_later_of_the_clock_and_the_last_event() {
        for (clock, last, expected) in [
            (at(5), at(4), at(5)),
            (at(5), at(5), at(5)),
            (at(4), at(5), at(5)),
            (at(1), at(25), at(25)),
            // The clock was wrong at the last event.
            (at(1), at(26), at(1)),
        ] {
            assert_eq!(next(clock, last), expected, "{clock} {last}");
        }
    }
}
