//! The minimum rate at which a client has to take what is written for it: a client that takes nothing
//! for ten seconds, or less than a kilobyte a second for longer, is not waited for any more.
//!
//! Decides only, from the times it is given. HTTP connections (`app::connection`) and sockets
//! (`ws::writer`) keep to the same rate.

use std::time::Duration;

/// How long a client may take nothing at all.
pub const STALL_MAX: Duration = Duration::from_secs(10);
/// How many bytes a client has to take in that time.
const TAKEN_MIN: u32 = 10 * 1024;

/// How long one client is still waited for. Time without progress uses it up, bytes earn it back.
#[derive(Debug)]
pub struct MinimumRate {
    stall_max: Duration,
    left: Duration,
}

impl MinimumRate {
    /// Returns the rate of a client that may take nothing for `stall_max`.
    #[must_use]
    pub const fn new(stall_max: Duration) -> Self {
        Self { stall_max, left: stall_max }
    }

    /// Returns how long the client may still take for nothing.
    #[must_use]
    pub const fn left(&self) -> Duration {
        self.left
    }

    /// Notes that the client took something after it had been waited for. The bytes earn as much time
    /// as the client may need for them: a client that takes a byte now and then is waited for no longer
    /// than one that takes nothing. Returns whether the client keeps to the rate.
    pub fn note(&mut self, waited: Duration, taken: usize) -> bool {
        let taken = u32::try_from(taken).unwrap_or(TAKEN_MIN).min(TAKEN_MIN);
        let earned = self.stall_max * taken / TAKEN_MIN;
        self.left = (self.left.saturating_sub(waited) + earned).min(self.stall_max);
        !self.left.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_takes_a_kilobyte_a_second_is_waited_for() {
        let second = Duration::from_secs(1);

        for (taken, keeps_to_it) in
            [(1024, true), (2048, true), (1 << 30, true), (900, false), (1, false)]
        {
            let mut rate = MinimumRate::new(STALL_MAX);
            // Repeated, so that the time that is missing each time adds up.
            let is_over = (0..200).any(|_| !rate.note(second, taken) || rate.left() < second);

            assert_eq!(!is_over, keeps_to_it, "{taken}");
        }
    }
}
