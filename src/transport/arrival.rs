//! How long the body of a request, or a message of a socket, may take to arrive: some time from its
//! beginning, and more the more of it has come, up to a deadline that depends on its size alone.
//!
//! Without the rate a client that sends a byte now and then would make the server hold a large message
//! for as long as it likes; without the deadline it could still do so at the lowest rate.

use std::time::Duration;

/// How long it may take whatever has come.
const BASE: Duration = Duration::from_secs(10);
/// How many bytes earn a second more.
const BYTES_PER_SECOND: u64 = 1 << 10;
/// When all has to have come, and how many bytes make that a second later.
const DEADLINE: Duration = Duration::from_secs(30);
const DEADLINE_BYTES_PER_SECOND: u64 = 64 << 10;

/// Returns how long after its beginning more has to have come, of which so many bytes have.
#[must_use]
pub fn allowed(received: u64) -> Duration {
    let earned = BASE + Duration::from_secs(received / BYTES_PER_SECOND);
    earned.min(DEADLINE + Duration::from_secs(received / DEADLINE_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_it_is_the_longer_it_may_take_up_to_a_deadline() {
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
