//! Time limit for the arrival of a request body or a message: a base, extended by each received
//! byte, up to a deadline that depends on the size alone.
//!
//! Without the minimum rate, a client that sends single bytes could make the server hold a large
//! message for any time; without the deadline, it could still do so at the minimum rate.

use std::time::Duration;

/// The time limit before any byte.
const BASE: Duration = Duration::from_secs(10);
/// Number of bytes that extend the limit by one second.
const BYTES_PER_SECOND: u64 = 1 << 10;
/// The deadline before any byte, and the number of bytes that extend it by one second.
const DEADLINE: Duration = Duration::from_secs(30);
const DEADLINE_BYTES_PER_SECOND: u64 = 64 << 10;

/// Returns the time limit for the next byte, measured from the beginning, after `received` bytes.
#[must_use]
pub fn allowed(received: u64) -> Duration {
    let earned = BASE + Duration::from_secs(received / BYTES_PER_SECOND);
    earned.min(DEADLINE + Duration::from_secs(received / DEADLINE_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_limit_grows_with_the_bytes_received() {
        for (received, seconds) in [
            (0, 10),
            (1023, 10),
            (5 << 10, 15),
            (20 << 10, 30),
            (60 << 10, 30),
            (128 << 10, 32),
            (1 << 20, 46),
        ] {
            assert_eq!(allowed(received), Duration::from_secs(seconds), "{received}");
        }
    }
}
